"""The engines that read a whole picture: zxing-cpp on every frame, zbar as the independent second.

They run in the decoding child only (`edge.scanner.child`). When each is asked is left to `edge.scanner.ladder`.
"""

import importlib
from collections import deque
from collections.abc import Callable
from hashlib import blake2b
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt
import zxingcpp

from edge.scanner.handover import Notice, Sighting

Pixels = npt.NDArray[np.uint8]

_QR = zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode)
_OTHERS = frozenset({zxingcpp.BarcodeFormat.MicroQRCode, zxingcpp.BarcodeFormat.RMQRCode})
"""The family's name takes in Micro QR and rMQR, in which nobody issues a pass; asked for `QRCodeModel2` alone,
zxing-cpp reads fewer QR codes and none that is drawn clean."""

_STRUCTURED_APPEND = 0b0011
"""Mode indicator (ISO/IEC 18004, table 2)."""

_ECI_UTF_8 = 0b0111_00011010
_CLEARLY = 2
_MIDDLE = 128

_MASKS: tuple[Callable[[int, int], bool], ...] = (
    lambda i, j: (i + j) % 2 == 0,
    lambda i, _: i % 2 == 0,
    lambda _, j: j % 3 == 0,
    lambda i, j: (i + j) % 3 == 0,
    lambda i, j: (i // 2 + j // 3) % 2 == 0,
    lambda i, j: i * j % 2 + i * j % 3 == 0,
    lambda i, j: (i * j % 2 + i * j % 3) % 2 == 0,
    lambda i, j: ((i + j) % 2 + i * j % 3) % 2 == 0,
)
"""Which modules each data mask turns over (ISO/IEC 18004, table 10): row i, column j."""

_UPRIGHT = [*((8, column) for column in (0, 1, 2, 3, 4, 5, 7, 8)), *((row, 8) for row in (7, 5, 4, 3, 2, 1, 0))]
_FORMAT_PLACES = (_UPRIGHT, [(column, row) for row, column in _UPRIGHT])
"""Row and column of the 15 format bits beside the top left finder, most significant first (figure 25), and mirrored."""

_HELD_FRAMES = 4


class Engine(Protocol):
    """Reads QR codes in a grey picture.

    Promises: the bytes are those in the symbol or the symbol is not answered; symbols of other kinds (Micro QR, rMQR,
    bar codes) are not answered; a part of a structured append is not answered as a whole; no picture of any size from
    one pixel makes it raise anything; places are in the picture's own pixels.
    """

    def read(self, grey: Pixels) -> list[Sighting]:
        """Return the symbols of a picture in no order.

        Args:
            grey: uint8, HxW, at least one pixel; rows may lie apart.
        """


class ZxingEngine:
    """zxing-cpp as it comes, both polarities at once."""

    def read(self, grey: Pixels) -> list[Sighting]:
        """Return the QR codes zxing-cpp reads, bytes as in the symbol."""
        return read_zxing(grey, both=True)


def read_zxing(grey: Pixels, *, is_drawn: bool = False, both: bool = False) -> list[Sighting]:
    """Return the QR codes zxing-cpp reads, bytes as in the symbol.

    Args:
        grey: uint8, HxW, at least one pixel.
        is_drawn: The picture is nothing but one code, drawn clean.
        both: Light on dark as well as dark on light.
    """
    found = zxingcpp.read_barcodes(
        grey, formats=_QR, try_invert=both, is_pure=is_drawn, text_mode=zxingcpp.TextMode.Plain
    )
    return [of_zxing(one) for one in found if one.bytes and one.format not in _OTHERS and not is_part(one)]


def of_zxing(found: zxingcpp.Barcode) -> Sighting:
    """Return a symbol of zxing-cpp as the child answers it."""
    place = found.position
    corners = [(p.x, p.y) for p in (place.top_left, place.top_right, place.bottom_right, place.bottom_left)]
    x, y = sum(c[0] for c in corners) / 4, sum(c[1] for c in corners) / 4
    sides = [float(np.hypot(a[0] - b[0], a[1] - b[1])) for a, b in zip(corners, corners[1:] + corners[:1], strict=True)]
    extra: Any = found.extra
    version = str(extra.get("Version", ""))
    # ISO/IEC 18004, 5.3.1: version v has 17 + 4v modules a side.
    modules = 17 + 4 * int(version) if version.isdigit() else 0
    side = sum(sides) / 4
    return Sighting(found.bytes, x, y, side / modules if modules else 0.0, "zxing", side)


def is_part(found: zxingcpp.Barcode) -> bool:
    """Return whether a symbol is one part of a structured append (ISO/IEC 18004, 8).

    zxing-cpp's Python does not say so, but gives the modules it read, before correction: the mode the data begins with
    and, in data of one segment, its length, which is known. Where modules are damaged, they must be clearly nearer to
    the beginning of a part than to that of a whole.
    """
    extra: Any = found.extra
    mask, most_errors = int(extra["DataMask"]), int(float(extra.get("UEC", 0.0)) < 1)
    dark = np.asarray(found.to_image(scale=1, add_quiet_zones=False)) < _MIDDLE
    if all(_mode_errors(_head(seen, mask, 4), 4) > most_errors for seen in (dark, dark.T)):
        return False
    if _is_mirrored(dark, str(extra["ECLevel"]), mask):
        dark = dark.T
    bits = min(40, 2 * (dark.shape[0] - 9))
    head = _head(dark, mask, bits)
    begins = _begins(int(extra["Version"]), len(found.bytes))
    whole = min(((head >> bits - size) ^ begin).bit_count() for begin, size in begins if size <= bits)
    # 8.1: mode, number, count and parity of a part take 20 bits; then its data begins as any other.
    tail = head & (1 << bits - 20) - 1
    parts = ((tail >> bits - 20 - size) ^ begin for begin, size in begins if size <= bits - 20)
    part = _mode_errors(head, bits) + min((errors.bit_count() for errors in parts), default=0)
    if not most_errors:
        return _mode_errors(head, bits) == 0
    # Parts are rare and weak light is not: of a damaged symbol only clear evidence counts.
    return bool(part + _CLEARLY <= whole)


def _mode_errors(head: int, bits: int) -> int:
    return (head >> bits - 4 ^ _STRUCTURED_APPEND).bit_count()


def _head(dark: npt.NDArray[np.bool_], mask: int, bits: int) -> int:
    """Return the first bits of the data, unmasked (ISO/IEC 18004, 7.7.3: upwards in the last two columns)."""
    last, head = dark.shape[0] - 1, 0
    for number in range(bits):
        row, column = last - number // 2, last - number % 2
        head = head << 1 | (bool(dark[row, column]) ^ _MASKS[mask](row, column))
    return head


def _begins(version: int, length: int) -> list[tuple[int, int]]:
    """Return how data of one segment may begin, and its bits: mode and length (tables 2, 3), or ECI first."""
    size = 0 if version < 10 else 1 if version < 27 else 2  # noqa: PLR2004  # table 3
    counts = ((0b0001, (10, 12, 14)[size]), (0b0010, (9, 11, 13)[size]), (0b0100, (8, 16, 16)[size]))
    plain = [(mode << bits | length, 4 + bits) for mode, bits in counts if length >> bits == 0]
    return [*plain, *((_ECI_UTF_8 << bits | begin, 12 + bits) for begin, bits in plain)]


def _is_mirrored(dark: npt.NDArray[np.bool_], level: str, mask: int) -> bool:
    """Return whether the format beside the top left finder is seen with rows and columns exchanged."""
    wanted = _format_bits(level, mask)
    seen = [sum(bool(dark[place]) << (14 - n) for n, place in enumerate(places)) for places in _FORMAT_PLACES]
    upright, mirrored = ((one ^ wanted).bit_count() for one in seen)
    return mirrored < upright


def _format_bits(level: str, mask: int) -> int:
    """Return the format information of an error correction level and mask (ISO/IEC 18004, 7.9 and annex C)."""
    data = {"M": 0, "L": 1, "H": 2, "Q": 3}[level] << 3 | mask
    rest = data << 10
    for bit in range(14, 9, -1):
        if rest >> bit & 1:
            rest ^= 0b10100110111 << (bit - 10)
    return (data << 10 | rest) ^ 0b101010000010010


class FirstEngine:
    """zxing-cpp on every frame, both polarities of it where nobody waits.

    A code seen for the first time is answered after one look. Of other frames, empty or with codes held up, the
    negative of every second one is read as well: a light-on-dark code is met at most one frame later. An empty frame in
    which nothing has moved since its negative was read is read once. One engine belongs to one source.
    """

    def __init__(self) -> None:
        # Digests: what is remembered is nobody's pass.
        self._held: deque[frozenset[bytes]] = deque(maxlen=_HELD_FRAMES)
        self.has_looked = False
        """Whether the last frame's negative was read as well."""

    def read(self, grey: Pixels, *, is_still: bool = False, is_known: bool = False) -> list[Sighting]:
        """Return the QR codes of a frame.

        Args:
            grey: uint8, HxW, at least one pixel.
            is_still: There is no next frame: both polarities are read.
            is_known: Nothing has moved since a frame whose negative was read in vain.
        """
        found = read_zxing(grey)
        if is_still or self._is_time_to_look(found, is_known=is_known):
            found += read_zxing(np.asarray(cv2.bitwise_not(grey), np.uint8))
        self._held.append(frozenset(blake2b(seen.raw, digest_size=16).digest() for seen in found))
        return found

    def _is_time_to_look(self, found: list[Sighting], *, is_known: bool) -> bool:
        if is_known and not found:
            self.has_looked = False
            return False
        known = frozenset[bytes]().union(*self._held)
        is_held = all(blake2b(seen.raw, digest_size=16).digest() in known for seen in found)
        self.has_looked = is_held and not self.has_looked
        return self.has_looked


class SecondEngine:
    """pyzbar, loaded when it is first needed.

    It mangles payloads that are not text (binary 0 of 20 byte-exact) and raises ValueError on structured append, so
    only plain ASCII is believed and nothing it raises leaves.
    """

    def __init__(self) -> None:
        self._pyzbar: Any = None
        self._is_missing = False
        self.notice = Notice.NOTHING
        """What there was to notice when it was last asked."""

    def _load(self) -> bool:
        if self._pyzbar is None and not self._is_missing:
            try:
                self._pyzbar = importlib.import_module("pyzbar.pyzbar")
            except (ImportError, OSError):  # without libzbar0 the import itself fails
                self._is_missing = True
        return self._pyzbar is not None

    def read(self, grey: Pixels) -> list[Sighting]:
        """Return what zbar reads; never raises, `notice` says whether something went wrong."""
        if not self._load():
            self.notice = Notice.SECOND_MISSING
            return []
        height, width = grey.shape
        try:
            found = self._pyzbar.decode((grey.tobytes(), width, height), symbols=[self._pyzbar.ZBarSymbol.QRCODE])
            self.notice = Notice.NOTHING
            return [_of_zbar(one) for one in found if one.data and one.data.isascii()]
        except Exception:  # noqa: BLE001 - it is counted by the parent; the first engine has answered already
            self.notice = Notice.SECOND_FAILED
            return []


def _of_zbar(found: Any) -> Sighting:
    box = found.rect
    return Sighting(
        bytes(found.data), box.left + box.width / 2, box.top + box.height / 2, 0.0, "pyzbar", max(box.width, box.height)
    )
