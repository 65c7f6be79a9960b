"""Passes as pictures: QR codes in alphanumeric mode, error correction M, drawn by segno."""

import io
from typing import Final

import segno

_QUIET_ZONE: Final = 4
"""Modules of white around the code (ISO/IEC 18004, 6.3.8)."""
_SCALE: Final = 8


def _drawn(code: str) -> segno.QRCode:
    # Base45 and the prefix are within QR's alphanumeric set: 5.5 bits a character (ISO/IEC 18004, 7.4.4).
    return segno.make_qr(code, error="m", mode="alphanumeric", boost_error=False)


def png(code: str, scale: int = _SCALE) -> bytes:
    """Return the code as a PNG, `scale` pixels a module."""
    out = io.BytesIO()
    _drawn(code).save(out, kind="png", scale=scale, border=_QUIET_ZONE)
    return out.getvalue()


def svg(code: str) -> bytes:
    """Return the code as an SVG of one unit a module."""
    out = io.BytesIO()
    _drawn(code).save(out, kind="svg", border=_QUIET_ZONE, light="#fff")
    return out.getvalue()
