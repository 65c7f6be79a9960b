"""The parts of a `multipart/x-mixed-replace` stream, from bytes alone: no socket, no clock.

What cameras send differs from RFC 2046 in known ways: a boundary announced with or without its dashes, no length, a
wrong length, bare line feeds. All are read; everything is bounded. Reading the socket is left to `url`.
"""

from typing import TYPE_CHECKING

from edge.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_PART = 8 << 20
"""Bytes of one picture; a 20-megapixel JPEG of a camera has about five million."""

_MAX_HEADERS = 8 << 10
_NEXT = "Give the address of the camera's MJPEG stream."


def boundary_of(content_type: str) -> bytes:
    """Return the boundary in a Content-Type, without its dashes.

    Raises:
        SourceError: The answer is not a stream of parts.
    """
    kind, _, params = content_type.partition(";")
    kind = kind.strip().lower()
    if kind == "image/jpeg":
        raise SourceError("The address gives one picture, not a stream.", _NEXT, cause="not_a_stream")
    if not kind.startswith("multipart/"):
        shown = kind if kind.isascii() and kind.isprintable() and len(kind) <= 40 else "something else"  # noqa: PLR2004
        raise SourceError(f"The address answers {shown or 'nothing'}, not a stream.", _NEXT, cause="not_a_stream")
    for param in params.split(";"):
        name, _, value = param.partition("=")
        token = value.strip().strip('"').lstrip("-")
        # RFC 2046, 5.1.1: at most 70 characters.
        if name.strip().lower() == "boundary" and 0 < len(token) <= 70 and token.isascii():  # noqa: PLR2004
            return token.encode()
    raise SourceError("The stream names no boundary between its pictures.", _NEXT, cause="not_a_stream")


class Parts:
    """Cuts a stream into its parts.

    Args:
        boundary: As `boundary_of` gives it.
    """

    def __init__(self, boundary: bytes) -> None:
        # A boundary that itself begins with dashes ends in this as well.
        self._mark = b"--" + boundary
        self._buffer = bytearray()
        self._searched = 0
        self._length: int | None = None
        self._trusts_length = True
        self._step: Callable[[], bool] = self._seek
        self._complete: list[bytes] = []
        self._after_length = False
        self.is_ended = False
        """The closing boundary was met."""

    def feed(self, data: bytes) -> list[bytes]:
        """Take in some bytes and return the parts they complete.

        Raises:
            SourceError: A part or its headers are larger than any picture.
        """
        self._buffer += data
        while not self.is_ended and self._step():
            pass
        complete, self._complete = self._complete, []
        return complete

    def _find_mark(self) -> int:
        """Return where the mark begins, -1 if it is not there yet; each byte is searched once."""
        at = self._buffer.find(self._mark, self._searched)
        if at < 0:
            self._searched = max(0, len(self._buffer) - len(self._mark) + 1)
            if len(self._buffer) > MAX_PART:
                raise SourceError("The stream sends more than any picture has.", _NEXT, cause="not_a_stream")
        return at

    def _drop(self, count: int) -> None:
        del self._buffer[:count]
        self._searched = 0

    def _seek(self) -> bool:
        at = self._find_mark()
        if at < 0:
            return False
        if self._after_length and self._buffer[:at].strip(b"\r\n-"):
            # Something stood between the announced end and the boundary: this camera counts wrongly.
            self._trusts_length = False
        self._after_length = False
        self._drop(at + len(self._mark))
        self._step = self._headers
        return True

    def _headers(self) -> bool:
        if bytes(self._buffer[:2]) == b"--":
            self.is_ended = True
            return False
        ends = [(at, len(end)) for end in (b"\r\n\r\n", b"\n\n") if (at := self._buffer.find(end)) >= 0]
        if not ends:
            if len(self._buffer) > _MAX_HEADERS:
                raise SourceError("The stream's headers do not end.", _NEXT, cause="not_a_stream")
            return False
        at, size = min(ends)
        self._length = _length_of(bytes(self._buffer[:at])) if self._trusts_length else None
        self._drop(at + size)
        self._step = self._scan if self._length is None else self._count
        return True

    def _count(self) -> bool:
        length = self._length or 0
        if len(self._buffer) < length:
            return False
        self._deliver(bytes(self._buffer[:length]))
        self._drop(length)
        self._after_length = True
        return True

    def _scan(self) -> bool:
        at = self._find_mark()
        if at < 0:
            return False
        self._deliver(bytes(self._buffer[:at]).rstrip(b"\r\n-"))
        self._drop(at)
        return True

    def _deliver(self, part: bytes) -> None:
        if part:
            self._complete.append(part)
        self._step = self._seek


def _length_of(headers: bytes) -> int | None:
    """Return the announced length of a part; None where there is none to go by.

    Raises:
        SourceError: It is larger than any picture.
    """
    for line in headers.split(b"\n"):
        name, _, value = line.partition(b":")
        text = value.strip()
        if name.strip().lower() != b"content-length" or not text.isdigit():
            continue
        length = int(text[:20])
        if length > MAX_PART:
            raise SourceError("The stream announces more than any picture has.", _NEXT, cause="not_a_stream")
        return length or None
    return None
