"""The ledger as a folder, by day of receipt, for somebody who trusts nobody: signed batches, tables, a signed manifest.

    manifest.json                                 what there is, signed by the hub (`edge.hub.statement`)
    2026-11-24/index-<first>-<last>.json          the day: places, logs, where each batch stands, hashes of its files
    2026-11-24/batches-<first>-<last>.cbor        the batches as the gates signed them, without private parts
    2026-11-24/scans-<first>-<last>.ndjson        the same scans as tables, each made from the batches: .csv, .parquet

First and last are hub sequence numbers, so a day that grew gets files of new names, and the manifest, replaced at the
end in one step, never speaks of a file that is half written. What is there and right is not written again: the same
command goes on where it broke off. Days are UTC and follow the hub sequence; a hub clock set back makes no day anew.
Whether an export holds is left to `edge.hub.proof`.
"""

import json
import os
import re
import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import file_digest, sha256
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from edge.disk import durable
from edge.disk.lockfile import LockFile
from edge.errors import ConfigError, FolderInUse, LedgerError
from edge.hub import forms, projection, pull, statement, tabular
from edge.hub.folder import HubFolder
from edge.hub.store import Store
from edge.ledger import batch, chain, device
from edge.model.scan import Batch

MANIFEST: Final = "manifest.json"
LOCK: Final = ".lock"
VIEWS: Final = ("ndjson", "csv", "parquet")
DEFAULT_VIEWS: Final = ("ndjson", "csv")
NAME: Final = re.compile(
    r"(?:batches-[0-9]{15}-[0-9]{15}\.cbor|index-[0-9]{15}-[0-9]{15}\.json"
    r"|scans-[0-9]{15}-[0-9]{15}\.(?:ndjson|csv|parquet))",
    re.ASCII,
)
NUMBERS: Final = re.compile(r"[0-9]{15}", re.ASCII)
"""First and last hub sequence number in a `NAME`."""
DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_DAY_S: Final = 86_400
_NOWHERE: Final = projection.Placed(0, 0, 0, 0)
_KEPT: Final = (
    "SELECT id, log, place, received_ms, first, last, head, hub_first, hub_last FROM batches ORDER BY hub_last"
)
_LOGS: Final = "SELECT logs.id, gates.gate, logs.epoch, gates.public FROM logs JOIN gates ON gates.id = logs.gate"
_SIZE: Final = "SELECT sum(length(wire)) FROM batches WHERE hub_last BETWEEN ? AND ?"
_WIRE: Final = "SELECT wire FROM batches WHERE id = ?"


@dataclass(frozen=True, slots=True)
class Kept:
    """Where a batch stands in the ledger."""

    row: int
    log: int
    place: int
    received_ms: int
    first: int
    last: int
    head: bytes
    hub_first: int
    hub_last: int


@dataclass(frozen=True, slots=True)
class Summary:
    """What an export came to.

    Attributes:
        days: Days in the folder.
        written: Days that were written, the others were there.
        batches: Batches in the folder.
        scans: Entries in them.
        last: The newest hub sequence number in it.
    """

    days: int
    written: int
    batches: int
    scans: int
    last: int


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be exported.

    Attributes:
        out: The folder; made where it is missing.
        days: Only these days, like 2026-11-24, beside those the folder holds; all where there are none.
        views: Tables to make, of `VIEWS`.
    """

    out: Path
    days: Sequence[str] = ()
    views: Sequence[str] = DEFAULT_VIEWS


Say = Callable[[str, int, int], None]
"""Told of progress: the day, batches done of it, batches there are of it."""


def page_of(opened: Batch, numbers: tuple[int, int], place: tuple[str, str]) -> pull.Page:
    """Return the scans a batch added to the ledger, as they are handed out.

    Args:
        opened: The batch, verified.
        numbers: First and last hub sequence number it was given; entries before were held already.
        place: Site and lane of its gate.
    """
    hub_first, hub_last = numbers
    header = opened.header
    skip = (header.last - header.first) - (hub_last - hub_first)
    facts = projection.columns_of(opened.bodies[skip:])
    start = header.first + skip
    rows = [pull.row_of(projection.row(_NOWHERE, hub_first + at, start + at, found)) for at, found in enumerate(facts)]
    return pull.Page(rows, {0: (header.gate, header.epoch)}, {0: place}, hub_last, hub_last)


class Export:
    """An export of a hub's ledger into a folder; also one that broke off, or is of an earlier time.

    Args:
        home: The hub.
        task: What is to be exported.
        say: Told of progress.

    Raises:
        LibraryMissing: Parquet is asked for and DuckDB is not installed.
    """

    def __init__(self, home: HubFolder, task: Task, say: Say) -> None:
        self._home = home
        self._out = task.out
        self._days = frozenset(task.days)
        self._views = tuple(view for view in VIEWS if view in task.views)
        self._say = say
        self._written = 0
        if "parquet" in self._views:
            tabular.check_library()

    def run(self, store: Store, now_ms: int) -> Summary:
        """Bring the folder up to the ledger; a serving hub may go on.

        Args:
            store: The hub's database.
            now_ms: Hub time.

        Raises:
            ConfigError: The folder cannot be written, or holds something else.
            FolderInUse: Another export is at work in it.
            LedgerError: The database cannot be read, or does not verify.
        """
        with claimed(self._out):
            return self._run(store, now_ms)

    def _run(self, store: Store, now_ms: int) -> Summary:
        days = self._days
        before = self._before()
        wanted = days | {day["day"] for day in before["days"]} if days else frozenset()
        listed: list[dict[str, Any]] = []
        left_out = False
        with store.reader() as connection:
            connection.execute("BEGIN")
            book = _Book(connection)
            for day, kept in _days(connection):
                content = book.content(day, kept)
                if wanted and day not in wanted:
                    left_out = True
                    continue
                listed.append(self._day(connection, book, content, kept))
        if missing := days - {one["day"] for one in listed}:
            raise ConfigError(f"The hub received nothing on {', '.join(sorted(missing))}.", "Days are UTC: 2026-11-24.")
        gates = {gate: public for one in listed for gate, public in one.pop("gates").items()}
        content = {
            "hub": {"name": self._home.config.name, "url": self._home.config.url},
            "views": list(self._views),
            "is_partial": left_out,
            "days": listed,
            "gates": gates,
        }
        kept_as = {name: before.get(name) for name in content}
        if content != kept_as:
            signed = statement.make(statement.EXPORT, {**content, "made_at": pull.iso(now_ms)}, self._home.key)
            durable.write(self._out / MANIFEST, signed)
        self._sweep(listed)
        return Summary(
            days=len(listed),
            written=self._written,
            batches=sum(one["batches"] for one in listed),
            scans=sum(one["hub_last"] - one["hub_first"] + 1 for one in listed),
            last=max((one["hub_last"] for one in listed), default=0),
        )

    def _before(self) -> dict[str, Any]:
        """Return what the folder holds by our own signature."""
        return held(self._out, {_key_id(self._home): self._home.public})

    def _day(
        self, connection: sqlite3.Connection, book: "_Book", content: dict[str, Any], kept: list[Kept]
    ) -> dict[str, Any]:
        """Return what the manifest says of a day, after its files were written or found right."""
        day = content["day"]
        folder = self._out / day
        folder.mkdir(mode=0o700, exist_ok=True)
        durable.remove_staged(folder)
        numbers = f"{kept[0].hub_first:015}-{kept[-1].hub_last:015}"
        index = folder / f"index-{numbers}.json"
        (size,) = connection.execute(_SIZE, (kept[0].hub_last, kept[-1].hub_last)).fetchone()
        if not self._is_there(index, content, numbers, size):
            files = self._write(connection, book, (folder, numbers), kept)
            text = json.dumps({**content, "files": files}, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
            durable.write(index, text.encode() + b"\n")
            self._written += 1
        gates = {gate.hex(): public.hex() for gate, _, public in (book.logs[one.log] for one in kept)}
        data = index.read_bytes()
        return {
            "day": day,
            "hub_first": kept[0].hub_first,
            "hub_last": kept[-1].hub_last,
            "batches": len(kept),
            "index": {"name": index.name, "bytes": len(data), "sha256": sha256(data).hexdigest()},
            "gates": gates,
        }

    def _is_there(self, index: Path, content: dict[str, Any], numbers: str, size: int) -> bool:
        batches = f"batches-{numbers}.cbor"
        names = {batches, *(f"scans-{numbers}.{view}" for view in self._views)}
        try:
            found = json.loads(index.read_bytes())
            files = found.pop("files")
            return (
                found == content
                and {file["name"] for file in files} == names
                # Facts that the hub destroyed since must not stay here.
                and [file["bytes"] for file in files if file["name"] == batches] == [size]
                and all(digest(index.parent / file["name"]) == (file["bytes"], file["sha256"]) for file in files)
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return False

    def _write(
        self, connection: sqlite3.Connection, book: "_Book", where: tuple[Path, str], kept: list[Kept]
    ) -> list[dict[str, Any]]:
        folder, numbers = where
        wire_file = folder / f"batches-{numbers}.cbor"
        tables = {view: folder / f"scans-{numbers}.{view}" for view in self._views}
        lined = {view: Staged(file) for view, file in tables.items() if view in forms.FORMS}
        if "parquet" in tables and "ndjson" not in lined:
            lined["ndjson"] = Staged(folder / f"scans-{numbers}.ndjson")
        batches = Staged(wire_file)
        try:
            for view, file in lined.items():
                file.write(forms.FORMS[view].header)
            for at, one in enumerate(kept):
                (wire,) = connection.execute(_WIRE, (one.row,)).fetchone()
                batches.write(wire)
                page = book.page(one, wire)
                for view, file in lined.items():
                    file.write(b"".join(forms.FORMS[view].render(page)))
                self._say(folder.name, at + 1, len(kept))
            files = [batches.close()]
            if "parquet" in tables:
                files.append(_as_parquet(lined["ndjson"], tables["parquet"]))
            files += [file.close() for view, file in lined.items() if view in tables]
        finally:
            for file in (batches, *lined.values()):
                file.drop()
        durable.sync_folder(folder)
        return files

    def _sweep(self, listed: list[dict[str, Any]]) -> None:
        """Remove files of ours that the manifest speaks of no more."""
        for one in listed:
            folder = self._out / one["day"]
            index = one["index"]["name"]
            sweep(folder, {index, *(file["name"] for file in json.loads((folder / index).read_bytes())["files"])})


@contextmanager
def claimed(out: Path) -> Iterator[None]:
    """Make a folder for an export and keep other exports away meanwhile.

    Raises:
        ConfigError: It cannot be written; also where the block finds so.
        FolderInUse: Another export is at work in it.
    """
    try:
        out.mkdir(mode=0o700, parents=True, exist_ok=True)
        with closing(LockFile(out / LOCK)) as lock:
            if not lock.take():
                raise FolderInUse(f"Another export writes to {out}.", "Let it end, or choose another --out.")
            yield
    except OSError as failed:
        raise ConfigError(
            f"{out} cannot be written: {failed.strerror}.", "Make room and start the same command again."
        ) from failed


def held(out: Path, hub_keys: Mapping[str, bytes] | None) -> dict[str, Any]:
    """Return what a folder holds by its manifest; no days where there is none yet.

    Args:
        out: The folder.
        hub_keys: Whose it must be, by key id; None for anybody's.

    Raises:
        ConfigError: It holds something else, or an export of another hub.
    """
    try:
        return statement.opened(statement.EXPORT, (out / MANIFEST).read_bytes(), hub_keys)
    except FileNotFoundError:
        strangers = [one.name for one in out.iterdir() if one.name != LOCK and not DAY.fullmatch(one.name)]
        if strangers:
            raise ConfigError(f"{out} holds something else.", "Choose an empty folder.") from None
    except LedgerError as bad:
        raise ConfigError(f"{out / MANIFEST} is not of this hub.", "Choose an empty folder.") from bad
    return {"days": []}


def sweep(folder: Path, named: Collection[str]) -> None:
    """Remove files of an export that its manifest speaks of no more."""
    for file in folder.iterdir():
        if NAME.fullmatch(file.name) and file.name not in named:
            file.unlink()


class _Book:
    """The logs as far as the walk has come, with names for gates and places."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.logs = {row: (gate, epoch, public) for row, gate, epoch, public in connection.execute(_LOGS)}
        self._places = {
            row: (site, lane) for row, site, lane in connection.execute("SELECT id, site, lane FROM places")
        }
        self._at: dict[int, tuple[int, bytes]] = {}

    def content(self, day: str, kept: list[Kept]) -> dict[str, Any]:
        """Return what the index of a day says before its files are known, and move behind the day."""
        places = sorted({one.place for one in kept})
        begin = {one.log: self._at.get(one.log, (0, chain.GENESIS)) for one in kept}
        self._at |= {one.log: (one.last, one.head) for one in kept}
        return {
            "day": day,
            "places": [list(self._places[place]) for place in places],
            "logs": [
                {
                    "gate": self.logs[log][0].hex(),
                    "epoch": self.logs[log][1].hex(),
                    "from": [last, head.hex()],
                    "to": [self._at[log][0], self._at[log][1].hex()],
                }
                for log, (last, head) in sorted(begin.items())
            ],
            "batches": [
                [one.hub_first, one.hub_last, places.index(one.place), pull.iso(one.received_ms)] for one in kept
            ],
        }

    def page(self, kept: Kept, wire: bytes) -> pull.Page:
        """Return the scans of a batch; none where its facts were destroyed."""
        _, _, public = self.logs[kept.log]
        if not batch.has_facts(wire):
            return pull.Page([], {}, {})
        return page_of(batch.open_batch(wire, public), (kept.hub_first, kept.hub_last), self._places[kept.place])


class Staged:
    """A file written beside its place, hashed on the way, and put there whole."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.staged = path.with_name(f".staged-{path.name}")
        self._file = self.staged.open("wb")
        self._hash = sha256()

    def write(self, data: bytes) -> None:
        """Add bytes."""
        self._file.write(data)
        self._hash.update(data)

    def flush(self) -> None:
        """Let others read what was written."""
        self._file.flush()

    def close(self) -> dict[str, Any]:
        """Put the file in its place, durably, and return its name, size and hash."""
        self._file.flush()
        os.fsync(self._file.fileno())
        size = self._file.tell()
        self._file.close()
        self.staged.replace(self._path)
        return {"name": self._path.name, "bytes": size, "sha256": self._hash.hexdigest()}

    def drop(self) -> None:
        """Remove what was not put in its place."""
        self._file.close()
        self.staged.unlink(missing_ok=True)


def digest(path: Path) -> tuple[int, str]:
    """Return size and SHA-256 of a file.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        hashed = file_digest(file, "sha256").hexdigest()
        return file.tell(), hashed


def _as_parquet(ndjson: Staged, target: Path) -> dict[str, Any]:
    ndjson.flush()
    staged = target.with_name(f".staged-{target.name}")
    try:
        tabular.to_parquet(ndjson.staged, staged)
        durable.sync(staged)
        size, hashed = digest(staged)
        staged.replace(target)
    finally:
        staged.unlink(missing_ok=True)
    return {"name": target.name, "bytes": size, "sha256": hashed}


def _days(connection: sqlite3.Connection) -> Iterator[tuple[str, list[Kept]]]:
    newest = 0

    def day_of(one: Kept) -> int:
        nonlocal newest
        newest = max(newest, one.received_ms // (1000 * _DAY_S))
        return newest

    rows = (Kept(*row) for row in connection.execute(_KEPT))
    for day, kept in groupby(rows, day_of):
        yield f"{datetime.fromtimestamp(day * _DAY_S, UTC):%Y-%m-%d}", list(kept)


def _key_id(home: HubFolder) -> str:
    return device.key_id(home.public).hex()
