"""Batches from sticks, folders and files into the ledger: the same function as a POST, and receipts back.

Whatever lies on a stick is read in pieces of bounded size: links, devices and other people's files are passed over,
what is damaged is skipped up to the next batch, and each of it is told. A gate lets go of nothing because of an import,
only under the receipts that are written back. What follows and what contradicts is left to `edge.hub.intake`.
"""

import errno
import os
import re
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO, Any, Final

from edge.codec import cbor
from edge.disk import durable
from edge.errors import BatchRefused, EncodingRefused, LedgerError, ReceiptRefused
from edge.hub.hub import Hub, Taken
from edge.hub.sequence import is_batch
from edge.ledger import batch, device, receipt, stick

MOST_FILES: Final = 100_000
"""Files looked at in one place; a stick with more is imported folder by folder."""
_DEPTH: Final = 2
_TOGETHER: Final = 16
_WINDOW: Final = 1 << 20
_ITEM: Final = batch.MAX_WIRE + 64
_MOST_DAMAGED: Final = 64
_MOST_TRIES: Final = 10_000
_BEGIN: Final = re.compile(rb"\x83[\x58\x59]")
"""How every batch begins: an array of three, whose first part is longer than 23 bytes."""

_NO_FILE: Final = "a link or a device, no file"

_OF_A_LOG: Final = frozenset(("gap", "fork", "rollback"))
"""Refusals of what the gate did sign: the receipt says how far its log is held."""

Piece = tuple[bytes, Any]
Tell = Callable[[str, int, int], None]
"""Called with the file in work, the bytes read and the batches taken in so far."""


@dataclass(slots=True)
class OfGate:
    """What was found of one gate, in batches.

    Attributes:
        taken: Newly written to the ledger.
        entries: Entries in them.
        held: Held already.
        held_back: Kept until what is missing before them arrives.
        refused: By the kind of refusal; kept as evidence.
    """

    taken: int = 0
    entries: int = 0
    held: int = 0
    held_back: int = 0
    refused: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Summary:
    """What an import did.

    Attributes:
        files: Files read.
        size: Bytes read.
        gates: By gate id.
        unreadable: Pieces that are no batch, or of nobody we know: by file, what was met.
        skipped: Files and folders that were not read, and why.
        receipts: Files of receipts written.
        unwritten: Why receipts could not be written back, by folder.
    """

    files: int = 0
    size: int = 0
    gates: dict[bytes, OfGate] = field(default_factory=dict)
    unreadable: Counter[tuple[str, str]] = field(default_factory=Counter)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    receipts: list[Path] = field(default_factory=list)
    unwritten: dict[str, str] = field(default_factory=dict)

    @property
    def batches(self) -> int:
        """Batches that the ledger holds now."""
        return sum(one.taken + one.held for one in self.gates.values())

    @property
    def is_whole(self) -> bool:
        """Whether every byte was read and nothing was refused."""
        return not (self.unreadable or self.skipped or any(one.refused for one in self.gates.values()))


class Import:
    """One import into an open hub.

    Args:
        hub: The hub.
        tell: Told how far it has come.
        receipts: Where receipts go of batches that lie in no gate's folder, None for nowhere.
    """

    def __init__(self, hub: Hub, tell: Tell, *, receipts: Path | None = None) -> None:
        self._hub = hub
        self._tell = tell
        self._elsewhere = receipts
        self._logs: dict[Path | None, set[tuple[bytes, bytes]]] = {}
        self.summary = Summary()

    def take_path(self, path: Path) -> None:
        """Take in a stick's root, a folder or a file.

        Raises:
            LedgerError: The hub's database cannot be used; what was taken in before stays.
        """
        for file, problem in _files(path):
            if problem:
                self.summary.skipped.append((str(file), problem))
                continue
            try:
                opened = _opened(file)
            except OSError as failed:
                self.summary.skipped.append((str(file), _why(failed)))
                continue
            with opened:
                self.take_stream(opened, str(file), file.parent)

    def take_stream(self, stream: IO[bytes], name: str, folder: Path | None = None) -> None:
        """Take in a CBOR sequence of batches.

        Args:
            stream: Gives the bytes.
            name: What it is called in the summary.
            folder: Where it lies.

        Raises:
            LedgerError: The hub's database cannot be used; what was taken in before stays.
        """
        self.summary.files += 1
        pieces = Pieces(stream, lambda count: self._read(name, count))
        try:
            while together := list(islice(pieces, _TOGETHER)):
                for piece, taken in zip(together, self._hub.take_pieces(together), strict=True):
                    self._note(name, folder, piece, taken)
                self._tell(name, self.summary.size, self.summary.batches)
        except OSError as failed:
            self.summary.skipped.append((name, _why(failed)))
        if pieces.is_given_up:
            self.summary.skipped.append((name, "the rest: it holds too much that is no batch"))

    def write_receipts(self) -> None:
        """Write a receipt for every log that was met, to the folder of its gate.

        Raises:
            LedgerError: The hub's database cannot be read.
        """
        for folder, logs in sorted(self._logs.items(), key=lambda item: str(item[0])):
            for gate in sorted({gate for gate, _ in logs}):
                wires = [self._hub.receipt_of(*log) for log in sorted(logs) if log[0] == gate]
                self._write(folder, gate, [wire for wire in wires if wire])

    def _write(self, folder: Path | None, gate: bytes, wires: list[bytes]) -> None:
        place = self._place(folder, gate)
        if not wires:
            return
        if place is None:
            self.summary.unwritten[gate.hex()] = "its batches lie in no folder of its own; name one: --receipts FOLDER"
            return
        file = place / stick.RECEIPTS
        try:
            if place != folder:
                place.mkdir(parents=True, exist_ok=True)
            durable.write(file, b"".join(_merged(_former(file), wires, self._hub.home.public)), mode=None)
        except OSError as failed:
            self.summary.unwritten[str(place)] = _why(failed)
        else:
            self.summary.receipts.append(file)

    def _place(self, folder: Path | None, gate: bytes) -> Path | None:
        if folder is not None and folder.name == gate.hex():
            return folder
        return None if self._elsewhere is None else self._elsewhere / stick.FOLDER / gate.hex()

    def _read(self, name: str, count: int) -> None:
        self.summary.size += count
        self._tell(name, self.summary.size, self.summary.batches)

    def _note(self, name: str, folder: Path | None, piece: Piece, taken: Taken) -> None:
        result = taken.result
        if isinstance(result, BatchRefused) and not taken.gate:
            self.summary.unreadable[name, result.kind] += 1
            return
        gate = self.summary.gates.setdefault(taken.gate, OfGate())
        if isinstance(result, BatchRefused):
            if result.kind == "gap":
                gate.held_back += 1
            else:
                gate.refused[result.kind] += 1
            if result.kind not in _OF_A_LOG:
                return
            epoch = batch.header_of(piece[0])[0].epoch
        else:
            gate.taken += bool(result.written)
            gate.entries += result.written
            gate.held += not result.written
            epoch = result.epoch
        self._logs.setdefault(folder, set()).add((taken.gate, epoch))


class Pieces:
    """The batches of a CBOR sequence, in bounded memory; what is none comes as one piece without a value.

    Args:
        stream: Gives the bytes.
        tell: Told of every read, in bytes.
    """

    def __init__(self, stream: IO[bytes], tell: Callable[[int], None]) -> None:
        self._stream = stream
        self._tell = tell
        self._data = b""
        self._at = 0
        self._is_end = False
        self._damaged = 0
        self._tries = 0
        self.is_given_up = False

    def __iter__(self) -> Iterator[Piece]:
        """Return itself."""
        return self

    def __next__(self) -> Piece:
        """Return the next batch, or what stands in its place.

        Raises:
            OSError: The bytes cannot be read.
        """
        self._fill()
        if self._at == len(self._data) or self.is_given_up:
            raise StopIteration
        found = self._batch_at(self._at)
        if found is None:
            return self._damage(), None
        value, end = found
        piece, self._at = self._data[self._at : end], end
        return piece, value

    def _damage(self) -> bytes:
        """Go on behind what is no batch and return its beginning."""
        begin = self._data[self._at : self._at + batch.MAX_WIRE]
        self._at += 1
        self._damaged += 1
        while not self._is_at_a_batch():
            if self._is_end or self.is_given_up:
                self._at = len(self._data)
                break
            self._fill()
        return begin

    def _is_at_a_batch(self) -> bool:
        """Go on to the next batch in what was read, or to where one may begin that was not read whole."""
        for start in _BEGIN.finditer(self._data, self._at):
            self._at = start.start()
            # Near the end of what was read it may only look cut short.
            if len(self._data) - self._at < _ITEM and not self._is_end:
                return False
            self._tries += 1
            self.is_given_up = self._tries > _MOST_TRIES or self._damaged > _MOST_DAMAGED
            if self.is_given_up:
                return False
            if self._batch_at(self._at) is not None:
                return True
        self._at = max(self._at, len(self._data) - 1)
        return False

    def _batch_at(self, start: int) -> tuple[Any, int] | None:
        try:
            value, end = cbor.decode_first(self._data, start)
        except EncodingRefused:
            return None
        return (value, end) if is_batch(value) and end - start <= batch.MAX_WIRE else None

    def _fill(self) -> None:
        if len(self._data) - self._at >= _ITEM or self._is_end:
            return
        kept = self._data[self._at :]
        while len(kept) < _ITEM and not self._is_end:
            more = self._stream.read(_WINDOW)
            self._is_end = not more
            kept += more
            self._tell(len(more))
        self._data, self._at = kept, 0


def _files(path: Path) -> Iterator[tuple[Path, str]]:
    """Give files of batches and, with a reason, what is not read of them."""
    try:
        whole = path.resolve(strict=True)
        if not whole.is_dir():
            yield whole, ""
            return
        inner = whole / stick.FOLDER
        # On a stick only that folder is ours.
        start = inner if inner.is_dir() and not inner.is_symlink() else whole
    except (OSError, RuntimeError) as failed:
        yield path, _why(failed)
        return
    found = _walk(start, _DEPTH)
    yield from islice(found, MOST_FILES)
    if next(found, None) is not None:
        yield start, f"the rest: more than {MOST_FILES} files; import its folders one by one"


def _walk(folder: Path, depth: int) -> Iterator[tuple[Path, str]]:
    try:
        with os.scandir(folder) as listed:
            entries = sorted(islice(listed, MOST_FILES), key=lambda entry: entry.name)
    except OSError as failed:
        yield folder, _why(failed)
        return
    for entry in entries:
        here = folder / entry.name
        if entry.is_dir(follow_symlinks=False):
            if depth:
                yield from _walk(here, depth - 1)
        # Hidden ones are what somebody's computer left beside them, or a write that was not finished.
        elif entry.name.endswith(stick.SUFFIX) and not entry.name.startswith("."):
            yield here, "" if entry.is_file(follow_symlinks=False) else _NO_FILE


def _opened(file: Path) -> IO[bytes]:
    """Open a regular file, whatever stands there by now.

    Raises:
        OSError: It is none or cannot be read.
    """
    handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.ELOOP, _NO_FILE)
    return os.fdopen(handle, "rb", buffering=0)


def _why(failed: Exception) -> str:
    if isinstance(failed, OSError) and failed.errno == errno.ELOOP:
        return _NO_FILE
    return getattr(failed, "strerror", None) or "it cannot be read"


def _former(file: Path) -> list[bytes]:
    """Return the receipts that lie there, as far as they can be read."""
    try:
        with _opened(file) as opened:
            data = opened.read(stick.MAX_RECEIPTS * receipt.MAX_WIRE)
    except OSError:
        return []
    found: list[bytes] = []
    at = 0
    while at < len(data) and len(found) < stick.MAX_RECEIPTS:
        try:
            _, end = cbor.decode_first(data, at)
        except EncodingRefused:
            break
        found.append(data[at:end])
        at = end
    return found


def _merged(former: Iterable[bytes], fresh: list[bytes], public: bytes) -> list[bytes]:
    """Return the receipts to write: ours anew, those of ours for other logs, and those of other hubs."""
    keys = {device.key_id(public).hex(): public}
    logs = {receipt.open_receipt(wire, keys).epoch for wire in fresh}
    kept: list[bytes] = []
    for wire in former:
        try:
            is_old = receipt.open_receipt(wire, keys).epoch in logs
        except ReceiptRefused:
            is_old = not _is_of_another_hub(wire, keys)
        if not is_old and wire not in kept:
            kept.append(wire)
    return fresh + kept[: max(0, stick.MAX_RECEIPTS - len(fresh))]


def _is_of_another_hub(wire: bytes, keys: dict[str, bytes]) -> bool:
    try:
        return device.signer_of(wire).hex() not in keys
    except LedgerError:
        return False
