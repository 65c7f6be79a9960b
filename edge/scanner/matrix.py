"""DataMatrix beside QR codes, on gates whose `gate.toml` asks for it: French 2D-DOC is printed in no other symbol.

It costs a second search of every frame in which no QR code was read, so it is off unless asked for.
"""

from dataclasses import replace

import zxingcpp

from edge.scanner.engines import Pixels, of_zxing
from edge.scanner.handover import Notice, Sighting
from edge.scanner.ladder import Reader

_MATRIX = zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.DataMatrix)


class WithMatrix:
    """A reader that looks for DataMatrix where another has read nothing.

    Args:
        reader: Reads QR codes, and is asked first.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def read_frame(self, grey: Pixels, source: int) -> list[Sighting]:
        """Return the codes of one frame of many."""
        return self._reader.read_frame(grey, source) or read_matrix(grey)

    def read_still(self, grey: Pixels) -> list[Sighting]:
        """Return the codes of one picture."""
        return self._reader.read_still(grey) or read_matrix(grey)

    def take_notice(self) -> Notice:
        """Return what the first reader noticed."""
        return self._reader.take_notice()


def read_matrix(grey: Pixels) -> list[Sighting]:
    """Return the DataMatrix symbols of a picture, bytes as in the symbol.

    Args:
        grey: uint8, HxW, at least one pixel.
    """
    found = zxingcpp.read_barcodes(grey, formats=_MATRIX, text_mode=zxingcpp.TextMode.Plain)
    # Its sizes are not those of QR codes: how large a module is, nobody says.
    return [replace(of_zxing(one), module_px=0.0) for one in found if one.bytes]
