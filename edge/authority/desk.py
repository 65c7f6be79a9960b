"""The file by which a desk without a link issues on its own: indices set aside for it, drawn at random, none twice.

The file names its spans, a secret and how many were drawn. The secret orders the indices: the n-th draw is the n-th
value of a permutation (a Feistel network over BLAKE2b, walked until it lands inside), so nobody who sees passes learns
their order, and nothing has to be remembered but a number. That number is on the disk before an index is given out: a
power cut costs indices and repeats none. One file belongs to one desk; a copy of it would give the same indices again.
"""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

from edge.authority.authority import Authority
from edge.authority.ledger import Index
from edge.authority.spans import Span
from edge.disk import bounded, durable, turn
from edge.errors import PublicationError, TrustError
from edge.trust.fields import MAX_JSON_BYTES, Document

_ROUNDS: Final = 4
_SECRET_BYTES: Final = 16
_MAX_NAME: Final = 60
_MAX_COUNT: Final = 1 << 32
_MAX_SPANS: Final = 20_000


@dataclass(frozen=True, slots=True)
class Reserve:
    """Indices set aside for a desk, as its file says.

    Attributes:
        issuer: Issuer id.
        number: Number of the status list.
        desk: What the desk is called.
        spans: Its indices.
        secret: What orders them.
        drawn: How many were given out.
    """

    issuer: str
    number: int
    desk: str
    spans: tuple[Span, ...]
    secret: bytes
    drawn: int = 0

    @property
    def count(self) -> int:
        """How many indices there are, drawn or not."""
        return sum(span.count for span in self.spans)

    def index(self, turn: int) -> int:
        """Return the index that is drawn at a turn, counted from 0."""
        place = _permuted(turn, self.count, self.secret)
        for span in self.spans:
            if place < span.count:
                return span.start + place
            place -= span.count
        raise AssertionError("a permutation stays inside")

    def encode(self) -> bytes:
        """Return the file."""
        members: dict[str, Any] = {**asdict(self), "schema": 1, "secret": self.secret.hex()}
        members["spans"] = [{"start": span.start, "count": span.count} for span in self.spans]
        return json.dumps(members, ensure_ascii=False, indent=1).encode() + b"\n"


def reserve(authority: Authority, place: tuple[str, int], count: int, desk: str, now: int) -> Reserve:
    """Set indices aside for a desk and return what its file says; nobody else is ever given one of them.

    Args:
        authority: The authority.
        place: Issuer id and number of the status list.
        count: How many.
        desk: What the desk is called.
        now: Unix seconds.

    Raises:
        PublicationError: There is no such list, it has not that much room, or the name is no printable text.
    """
    if not 1 <= len(desk) <= _MAX_NAME or not desk.isprintable():
        raise PublicationError(f"A desk's name is a printable text of 1 to {_MAX_NAME} characters.")
    with authority.locked():
        spans = authority.ledger.reserve(*place, count, desk, now)
    return Reserve(*place, desk, spans, secrets.token_bytes(_SECRET_BYTES))


def draw(path: Path, count: int) -> list[Index]:
    """Draw indices from a desk's file; they are drawn for good when this returns.

    Raises:
        PublicationError: It is no such file, cannot be written, is in use, or has fewer left.
    """
    with _locked(path):
        found = read(path)
        if found.drawn + count > found.count:
            raise PublicationError(
                f"{path} has {found.count - found.drawn} indices left.", "Ask the authority for another reserve."
            )
        try:
            durable.write(path, replace(found, drawn=found.drawn + count).encode(), mode=0o600)
        except OSError as error:
            raise PublicationError(f"{path} cannot be written: {error.strerror}.", "Nothing was drawn.") from error
    turns = range(found.drawn, found.drawn + count)
    return [Index(found.issuer, found.number, found.index(turn)) for turn in turns]


def read(path: Path) -> Reserve:
    """Return what a desk's file says.

    Raises:
        PublicationError: It is none.
    """
    try:
        document = Document(bounded.read(path, MAX_JSON_BYTES), path.name)
        spans = tuple(
            Span(row.integer("start", 0, _MAX_COUNT - 1), row.integer("count", 1, _MAX_COUNT))
            for row in document.objects("spans", _MAX_SPANS)
        )
        return Reserve(
            document.text("issuer"),
            document.integer("number", 1, 999_999),
            document.text("desk", _MAX_NAME),
            spans,
            document.data("secret", _SECRET_BYTES, _SECRET_BYTES),
            document.integer("drawn", 0, sum(span.count for span in spans)),
        )
    except OSError as error:
        raise PublicationError(f"{path} cannot be read: {error.strerror}.", "Check its name.") from error
    except PublicationError:
        raise
    except TrustError as error:
        raise PublicationError(f"{error.message}", "Ask the authority for another reserve.") from error


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    # Beside the file: that one is replaced, and a lock on it would go with it.
    try:
        lock = turn.take(path.with_name(path.name + ".lock"))
    except BlockingIOError as error:
        raise PublicationError(f"Another command draws from {path}.", "Try again in a moment.") from error
    except OSError as error:
        raise PublicationError(f"{path} cannot be used: {error.strerror}.", "Check its folder.") from error
    with lock:
        yield


def _permuted(turn: int, count: int, secret: bytes) -> int:
    half = max(1, ((count - 1).bit_length() + 1) // 2)
    found = _mixed(turn, half, secret)
    # Cycle walking: a permutation of a larger domain, followed until it is back inside, is one of the smaller.
    while found >= count:
        found = _mixed(found, half, secret)
    return found


def _mixed(number: int, half: int, secret: bytes) -> int:
    mask = (1 << half) - 1
    left, right = number >> half, number & mask
    for round_ in range(_ROUNDS):
        digest = blake2b(bytes((round_,)) + right.to_bytes(4, "big"), key=secret, digest_size=8).digest()
        left, right = right, left ^ (int.from_bytes(digest, "big") & mask)
    return left << half | right
