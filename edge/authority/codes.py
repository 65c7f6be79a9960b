"""Passes as pictures, drawn by segno."""

import io
from typing import Final

from edge.kiosk.drawing import QUIET_ZONE, svg, symbol

__all__ = ["png", "svg"]
_SCALE: Final = 8


def png(code: str, scale: int = _SCALE) -> bytes:
    """Return the code as a PNG, `scale` pixels a module."""
    out = io.BytesIO()
    symbol(code).save(out, kind="png", scale=scale, border=QUIET_ZONE)
    return out.getvalue()
