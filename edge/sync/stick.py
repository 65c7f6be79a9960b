"""Scans onto a USB stick, and the hub's receipts back from it (docs/adr/0030-stick-and-parked-batches.md).

The stick carries the bytes that a POST would: what was cut for the network is copied, what is cut here is kept in
`sync.db` and posted later as it is. Nothing is let go because a stick was written; only a receipt does that, and one
from a stick counts as much as one from the network: under the hub's signature, for our own head. Whatever else lies on
the stick is left alone.
"""

import errno
import os
import re
import stat as modes
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final

from edge.codec import cbor
from edge.disk import durable
from edge.errors import BatchRefused, EncodingRefused, ReceiptRefused, SetupError
from edge.ledger import batch, receipt, stick, wire
from edge.sync.outbox import Outbox
from edge.sync.store import Kept

Tell = Callable[[int, int], None]
"""Called as batches go by: how many entries so far, of how many."""
_Span = tuple[bytes, int, int]
"""Epoch, first and last of a batch."""

MAX_FILE: Final = wire.MAX_POST
"""A file is never larger than what one POST takes."""
_MAX_BATCHES: Final = 256
_MOST_FILES: Final = 10_000
_OURS: Final = re.compile(rf"[0-9a-f]{{16}}-[0-9]{{16}}{re.escape(stick.SUFFIX)}", re.ASCII)
_ELSE: Final = "Use another stick, or make room on it. The scans are all on the gate; run the command again."
_BACK: Final = "Take it to the hub (edge hub import), bring it back, and run this again; or use a larger stick."


@dataclass(frozen=True, slots=True)
class Exported:
    """What a stick carries of this gate now.

    Attributes:
        batches: Batches that no receipt covers.
        entries: Entries in them.
        size: Their bytes.
        files: Files they lie in.
        written: Of those the files written now; the others were there already.
        left: Entries that wait and are not on the stick: more than the limit allowed.
    """

    batches: int = 0
    entries: int = 0
    size: int = 0
    files: int = 0
    written: int = 0
    left: int = 0


@dataclass(frozen=True, slots=True)
class Returned:
    """What the receipts on a stick changed.

    Attributes:
        taken: Receipts that held and said something new.
        freed: Entries that are the hub's now and were not before.
        refused: Kind and message of every other one; `old` is one that says nothing new.
    """

    taken: int = 0
    freed: int = 0
    refused: tuple[tuple[str, str], ...] = ()

    @property
    def is_clean(self) -> bool:
        """Whether nothing was refused but old ones."""
        return all(kind == "old" for kind, _ in self.refused)


@dataclass(slots=True)
class _File:
    """One file in the making."""

    epoch: bytes
    first: int
    last: int
    batches: list[Kept] = field(default_factory=list)
    content: bytearray = field(default_factory=bytearray)

    @property
    def name(self) -> str:
        return f"{self.epoch.hex()}-{self.first:016d}{stick.SUFFIX}"

    def takes(self, kept: Kept, size: int) -> bool:
        return (
            kept.epoch == self.epoch
            and kept.first == self.last + 1
            and len(self.batches) < _MAX_BATCHES
            and len(self.content) + size <= MAX_FILE
        )

    def add(self, kept: Kept, data: bytes) -> None:
        self.batches.append(kept)
        self.content += data
        self.last = kept.last


def export(outbox: Outbox, mount: Path, *, limit: int, tell: Tell) -> Exported:
    """Write everything that no receipt covers to a stick; what is there already is not written again.

    Args:
        outbox: The gate's scans; what is not cut yet is cut, and kept.
        mount: Where the stick is mounted.
        limit: Most bytes of batches on it.
        tell: Told as batches go by.

    Raises:
        SetupError: The stick cannot be written, is full, or leads elsewhere; what was written before stays on it.
        LedgerError: The scan log or `sync.db` cannot be read or written.
    """
    folder = _folder(mount, outbox.gate)
    waiting = outbox.standing().backlog
    done, names, seen = Exported(), set[str](), set[_Span]()
    # What the hub has signed for goes first: it may make the room that is needed.
    _sweep(folder, outbox, names, seen)
    for file in _files(outbox, limit):
        try:
            is_new = _put(folder / file.name, bytes(file.content))
        except OSError as error:
            raise _unwritable(mount, error, done) from error
        names.add(file.name)
        seen |= {(kept.epoch, kept.first, kept.last) for kept in file.batches}
        done = Exported(
            done.batches + len(file.batches),
            done.entries + sum(kept.last - kept.first + 1 for kept in file.batches),
            done.size + len(file.content),
            done.files + 1,
            done.written + is_new,
        )
        tell(done.entries, max(waiting, done.entries))
    _sweep(folder, outbox, names, seen)
    left = max(0, waiting - done.entries)
    return Exported(done.batches, done.entries, done.size, done.files, done.written, left)


def take_receipts(outbox: Outbox, mount: Path, hub_keys: Mapping[str, bytes], now_ms: int) -> Returned:
    """Take the receipts that the hub's import left on a stick for this gate; each is verified, none believed.

    Args:
        outbox: The gate's scans.
        mount: Where the stick is mounted.
        hub_keys: Public keys by key id (hex), from enrolment and the trust list.
        now_ms: The time, Unix milliseconds.

    Raises:
        SetupError: The file of receipts is there and cannot be read.
        LedgerError: The scan log or `sync.db` cannot be read or written.
    """
    before = outbox.standing().backlog
    taken, refused = 0, []
    for piece in _receipts(mount / stick.FOLDER / outbox.gate.hex() / stick.RECEIPTS):
        try:
            outbox.take(receipt.open_receipt(piece, hub_keys), now_ms)
        except ReceiptRefused as bad:
            refused.append((bad.kind, bad.message))
        else:
            taken += 1
    return Returned(taken, max(0, before - outbox.standing().backlog) if taken else 0, tuple(refused))


def is_prepared(mount: Path) -> bool:
    """Whether a stick is mounted that somebody made for scans: it has the folder `edge-scans`."""
    try:
        return modes.S_ISDIR((mount / stick.FOLDER).lstat().st_mode)
    except OSError:
        return False


def _files(outbox: Outbox, limit: int) -> Iterator[_File]:
    file, size = None, 0
    for kept in outbox.everything():
        data = outbox.store.wire(kept.number)
        if data is None:
            # Its receipt has come meanwhile.
            continue
        if size + len(data) > limit:
            break
        if file is None or not file.takes(kept, len(data)):
            if file is not None:
                yield file
            file = _File(kept.epoch, kept.first, kept.last)
        file.add(kept, data)
        size += len(data)
    if file is not None:
        yield file


def _folder(mount: Path, gate: bytes) -> Path:
    """Return the gate's folder on a stick, made where it is missing, free of what an earlier pull left half-written."""
    folder = mount / stick.FOLDER / gate.hex()
    if not mount.is_dir():
        raise SetupError(f"{mount} is not there.", "Put the stick in and name the folder it is mounted at.")
    try:
        for place in (folder.parent, folder):
            place.mkdir(exist_ok=True)
            # A link on the stick must not lead a command of this machine's owner elsewhere.
            if place.is_symlink():
                raise SetupError(f"{place} is a link and leads elsewhere.", "Use a freshly formatted stick.")
        durable.remove_staged(folder)
        durable.sync_folder(mount)
        durable.sync_folder(folder.parent)
    except OSError as error:
        raise _unwritable(mount, error, Exported()) from error
    return folder


def _put(place: Path, data: bytes) -> bool:
    """Write a file unless the same one is there; return whether it was written."""
    with suppress(OSError):
        if _content(place, len(data) + 1) == data:
            return False
    # FAT knows no permissions.
    durable.write(place, data, mode=None)
    return True


def _unwritable(mount: Path, error: OSError, done: Exported) -> SetupError:
    carried = f" It carries {done.entries} entries of this gate." if done.entries else ""
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return SetupError(f"The stick at {mount} is full.{carried}", _BACK)
    if error.errno in {errno.EROFS, errno.EACCES, errno.EPERM}:
        return SetupError(
            f"The stick at {mount} cannot be written: {error.strerror}.",
            "Mount it for writing, for this user, and see that its lock switch is off.",
        )
    return SetupError(f"The stick at {mount} failed: {error.strerror}.{carried}", _ELSE)


def _sweep(folder: Path, outbox: Outbox, names: set[str], seen: set[_Span]) -> None:
    """Remove files of this gate whose every batch the hub signed for, or that another of the files carries now.

    A stick that travels for years must not carry the tokens of them all. Anything unclear stays where it is.
    """
    with suppress(OSError):
        for path in islice(folder.iterdir(), _MOST_FILES):
            if path.name in names or not _OURS.fullmatch(path.name):
                continue
            found = _spans_in(path)
            if found and all(item in seen or _is_held(outbox, item) for item in found):
                path.unlink()


def _is_held(outbox: Outbox, item: _Span) -> bool:
    taken = outbox.store.taken(item[0])
    return taken is not None and item[2] <= taken.last


def _spans_in(path: Path) -> set[_Span]:
    """Return the epoch, first and last of every batch in a file, nothing where any of it cannot be read."""
    try:
        content = _content(path, MAX_FILE + 1)
        found = [batch.header_of(piece)[0] for piece in _pieces(content)]
    except (OSError, BatchRefused):
        return set()
    return {(header.epoch, header.first, header.last) for header in found}


def _receipts(path: Path) -> list[bytes]:
    try:
        content = _content(path, stick.MAX_RECEIPTS * receipt.MAX_WIRE)
    except FileNotFoundError:
        return []
    except OSError as error:
        why = "it is a link or no file" if error.errno == errno.ELOOP else error.strerror
        raise SetupError(f"{path} cannot be read: {why}.", "Let the hub write it again: edge hub import") from error
    return list(islice(_pieces(content), stick.MAX_RECEIPTS))


def _pieces(content: bytes) -> Iterator[bytes]:
    """Give the items of a CBOR sequence; a rest that is none comes as one piece."""
    at = 0
    while at < len(content):
        try:
            _, end = cbor.decode_first(content, at)
        except EncodingRefused:
            end = len(content)
        yield content[at:end]
        at = end


def _content(path: Path, most: int) -> bytes:
    """Return at most so many bytes of a regular file; a link, a pipe or a device is none (`ELOOP`)."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        if not modes.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.ELOOP, "not a file")
        return file.read(most)
