"""Codes of our own as QR symbols: alphanumeric mode, error correction M; what stands in them is the caller's word."""

import io
from typing import Final

import segno

QUIET_ZONE: Final = 4
"""Modules of white around the code (ISO/IEC 18004, 6.3.8)."""


def symbol(code: str) -> segno.QRCode:
    """Return a code's symbol; Base45 and our prefixes lie within QR's 45 characters (ISO/IEC 18004, 7.4.4)."""
    return segno.make_qr(code, error="m", mode="alphanumeric", boost_error=False)


def svg(code: str) -> bytes:
    """Return the code as an SVG of one unit a module."""
    out = io.BytesIO()
    symbol(code).save(out, kind="svg", border=QUIET_ZONE, light="#fff")
    return out.getvalue()
