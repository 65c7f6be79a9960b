"""Does an export hold? Everything in it checked again, with no hub and no network: `edge hub verify`.

The hub's signature over the manifest, the hash of every file, each gate's signature over each batch, the chain of every
log across batches, files and days, the hub sequence without a hole, and every row of every table against the batches.
A fault is named by file and place. What nobody can find here: scans a hub dropped at the end of a log before it made
the export; a gate's own receipts and the coverage of the day (`edge.hub.coverage`) show those.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from edge.codec import cbor
from edge.disk import bounded
from edge.errors import BatchRefused, ConfigError, EncodingRefused, LedgerError
from edge.hub import coverage, export, statement
from edge.hub.pull import Page
from edge.hub.views import Place, View, opened_view
from edge.ledger import batch, chain, device
from edge.model.scan import BatchHeader

MOST: Final = 1000
"""Faults that are listed at most; all are counted."""
_MAX_INDEX: Final = 256 << 20
_ID: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)
_KEY: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_WINDOW: Final = 4 * batch.MAX_WIRE
_BROKEN: Final = (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError, OverflowError)


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that does not hold.

    Attributes:
        file: Path inside the export.
        place: Where in it, like "batch 3" or "line 17"; empty for the whole.
        what: What does not hold.
    """

    file: str
    place: str
    what: str

    def __str__(self) -> str:
        return f"{self.file}{', ' if self.place else ''}{self.place}: {self.what}"


@dataclass(slots=True)
class Report:
    """What was found.

    Attributes:
        hub_key: Key the manifest names, hex.
        is_pinned: Whether that key was given by whoever checks.
        days: Days looked at.
        batches: Batches that verified.
        scans: Entries in them.
        destroyed: Batches of which only the signed header is left, for their retention is over.
        unchecked: Files whose rows could not be compared here, with the reason.
        count: How many faults there are.
        faults: The first `MOST` of them.
    """

    hub_key: str = ""
    is_pinned: bool = False
    days: int = 0
    batches: int = 0
    scans: int = 0
    destroyed: int = 0
    unchecked: list[str] = field(default_factory=list)
    count: int = 0
    faults: list[Fault] = field(default_factory=list)

    def add(self, file: str, place: str, what: str) -> None:
        """Note a fault."""
        self.count += 1
        if self.count <= MOST:
            self.faults.append(Fault(file, place, what))


Say = Callable[[str, int, int], None]


def verify(folder: Path, hub_keys: Mapping[str, bytes] | None, say: Say) -> Report:
    """Check an export.

    Args:
        folder: The export.
        hub_keys: Keys of hubs that are trusted, by key id (hex); None where nobody gave one.
        say: Told of progress: the day, batches done of it, batches of it.

    Raises:
        ConfigError: There is no export, or it cannot be read.
    """
    report = Report(is_pinned=hub_keys is not None)
    try:
        text = bounded.read(folder / export.MANIFEST, statement.MAX_TEXT)
    except OSError as failed:
        raise ConfigError(
            f"{folder} is no export: {export.MANIFEST} cannot be read ({failed.strerror}).", "Name an export's folder."
        ) from failed
    try:
        manifest = statement.opened(statement.EXPORT, text, hub_keys)
    except LedgerError as bad:
        report.add(export.MANIFEST, "", bad.message)
        manifest = _unsigned(text)
    try:
        report.hub_key = str(manifest.get("hub_key", ""))
        state = _State(
            folder, report, say, gates=_gates(manifest["gates"], report), is_partial=manifest["is_partial"] is True
        )
        days = list(manifest["days"])
    except _BROKEN:
        report.add(export.MANIFEST, "", "is not of its form")
        return report
    try:
        _run(state, days)
    except OSError as failed:
        raise ConfigError(
            f"{failed.filename or folder} cannot be read: {failed.strerror}.", "Copy it anew."
        ) from failed
    return report


def verify_statement(path: Path, hub_keys: Mapping[str, bytes] | None) -> tuple[Report, dict[str, Any]]:
    """Check a coverage of a day; returns the report and what the statement says.

    Raises:
        ConfigError: It is none, or it cannot be read.
    """
    report = Report(is_pinned=hub_keys is not None)
    try:
        with path.open("rb") as file:
            text = file.read(statement.MAX_TEXT)
    except OSError as failed:
        raise ConfigError(f"{path} cannot be read: {failed.strerror}.", "Name an export or a coverage.") from failed
    if statement.kind_of(text) != statement.COVERAGE:
        raise ConfigError(f"{path} is neither an export nor a coverage.", "Name an export's folder or a coverage.")
    try:
        said = statement.opened(statement.COVERAGE, text, hub_keys)
        report.hub_key = said["hub_key"]
        if found := coverage.inconsistency(said):
            report.add(path.name, "", found)
    except LedgerError as bad:
        report.add(path.name, "", bad.message)
        return report, {}
    except _BROKEN:
        report.add(path.name, "", "is not of its form")
        return report, {}
    return report, said


def _unsigned(text: bytes) -> dict[str, Any]:
    """Return what a manifest says whose signature does not hold, so that the other faults are named too."""
    try:
        found = json.loads(text)["signed"]
    except _BROKEN:
        return {}
    return found if isinstance(found, dict) else {}


@dataclass(slots=True)
class _State:
    """Where the walk through the days stands."""

    folder: Path
    report: Report
    say: Say
    gates: Mapping[str, bytes]
    is_partial: bool
    logs: dict[tuple[str, str], tuple[int, str]] = field(default_factory=dict)
    """Last entry and head of every log, by gate and epoch."""
    hub_last: int = 0
    day: str = ""
    is_after_hole: bool = False
    listed: set[str] = field(default_factory=lambda: {export.MANIFEST, export.LOCK})

    def file(self, day: str, said: Mapping[str, Any]) -> Path | None:
        """Return a file that is there, its hash compared with what was said of it."""
        name: str = said["name"]
        # Names lead nowhere else: they come from a stranger.
        if not export.NAME.fullmatch(name) or not export.DAY.fullmatch(day):
            self.report.add(export.MANIFEST, f"day {day}", "names a file that no export has")
            return None
        path, where = self.folder / day / name, f"{day}/{name}"
        self.listed.add(where)
        if path.is_symlink() or not path.is_file():
            self.report.add(where, "", "is missing")
            return None
        if export.digest(path) != (said["bytes"], said["sha256"]):
            self.report.add(where, "", "has another SHA-256 than was signed")
        return path


def _gates(said: Mapping[str, str], report: Report) -> dict[str, bytes]:
    gates = {}
    for gate, public in said.items():
        if not _ID.fullmatch(gate) or not _KEY.fullmatch(public) or device.gate_id(bytes.fromhex(public)).hex() != gate:
            report.add(export.MANIFEST, f"gate {gate}", "is not the id of its key")
        else:
            gates[gate] = bytes.fromhex(public)
    return gates


def _run(state: _State, days: list[Any]) -> None:
    for number, day in enumerate(days, 1):
        try:
            _day(state, day)
        except _BROKEN:
            state.report.add(export.MANIFEST, f"day {number}", "is not of its form")
    for path in sorted(state.folder.rglob("*")):
        name = path.relative_to(state.folder).as_posix()
        if not path.is_dir() and name not in state.listed:
            state.report.add(name, "", "is not in the manifest")


def _day(state: _State, said: Mapping[str, Any]) -> None:
    day, hub_first, hub_last = said["day"], int(said["hub_first"]), int(said["hub_last"])
    if day <= state.day:
        state.report.add(export.MANIFEST, f"day {day}", "is out of order")
    # Days that were left out leave a hole, in the hub sequence and in the logs; nothing else may.
    state.is_after_hole = hub_first > state.hub_last + 1
    if hub_first <= state.hub_last or (state.is_after_hole and not state.is_partial):
        what = f"begins at hub_seq {hub_first}, {state.hub_last + 1} was next"
        state.report.add(export.MANIFEST, f"day {day}", what)
    state.day, state.hub_last = day, hub_last
    state.report.days += 1
    path = state.file(day, said["index"])
    if path is None:
        return
    where = f"{day}/{path.name}"
    if path.stat().st_size > _MAX_INDEX:
        state.report.add(where, "", f"is longer than {_MAX_INDEX} bytes: the day was not checked")
        return
    try:
        index = json.loads(bounded.read(path, _MAX_INDEX))
        if (index["day"], index["batches"][0][0], index["batches"][-1][1]) != (day, hub_first, hub_last):
            state.report.add(where, "", "is of another day or other numbers than the manifest says")
        _Day(state, where, index).run()
    except _BROKEN:
        state.report.add(where, "", "is not of its form")


class _Day:
    """One day: its batches against its index, and its tables against its batches."""

    def __init__(self, state: _State, where: str, index: Mapping[str, Any]) -> None:
        self._state = state
        self._report = state.report
        self._where = where
        self._index = index
        self._name: str = index["day"]
        places = [(str(site), str(lane)) for site, lane in index["places"]]
        self._logs = {(log["gate"], log["epoch"]) for log in index["logs"]}
        self._kept = [(int(first), int(last), places[place]) for first, last, place, _ in index["batches"]]

    def run(self) -> None:
        """Check the day, and move the logs behind it."""
        self._begin_logs()
        found = [self._state.file(self._name, said) for said in self._index["files"]]
        paths = [path for path in found if path is not None]
        views = [opened_view(path) for path in paths if path.name.startswith("scans-")]
        batches = [path for path in paths if path.suffix == ".cbor"]
        try:
            for path in batches[:1]:
                self._batches(path, views)
                for view in views:
                    self._told(view, view.rest())
        finally:
            for view in views:
                view.close()
        self._report.unchecked += [f"{self._name}/{one.path.name}: {one.unchecked}" for one in views if one.unchecked]
        if not batches:
            self._report.add(self._where, "", "there are no batches of this day")
        self._end_logs()

    def _begin_logs(self) -> None:
        for log in self._index["logs"]:
            name, (last, head) = (log["gate"], log["epoch"]), log["from"]
            known = self._state.logs.get(name)
            if known is None and not self._state.is_partial:
                known = (0, chain.GENESIS.hex())
            has_grown = self._state.is_after_hole and known is not None and last > known[0]
            if known is not None and (last, head) != known and not has_grown:
                what = f"goes on behind entry {last}, entry {known[0]} was the last"
                self._report.add(self._where, f"log of gate {name[0]}", what)
            self._state.logs[name] = (last, head)

    def _end_logs(self) -> None:
        for log in self._index["logs"]:
            name, (last, head) = (log["gate"], log["epoch"]), log["to"]
            known = self._state.logs.get(name)
            if known != (last, head):
                what = f"ends at entry {known[0] if known else 0}, the index says at {last}"
                self._report.add(self._where, f"log of gate {name[0]}", what)
            self._state.logs[name] = (last, head)

    def _batches(self, path: Path, views: list[View]) -> None:
        where = f"{self._name}/{path.name}"
        count, next_hub = 0, self._kept[0][0]
        for at, wire in _sequence(path):
            count += 1
            place = f"batch {count} at byte {at}"
            if wire is None or count > len(self._kept):
                what = "is no CBOR; what follows cannot be read" if wire is None else "is more than the index lists"
                self._report.add(where, place, what)
                break
            kept = self._kept[count - 1]
            if kept[0] != next_hub or kept[1] < kept[0]:
                self._report.add(self._where, f"batch {count}", f"begins at hub_seq {kept[0]}, {next_hub} was next")
            next_hub = kept[1] + 1
            page, rows = self._page(wire, kept, (where, place))
            for view in views:
                self._told(view, view.compare(page, rows))
            self._state.say(self._name, count, len(self._kept))
        if count < len(self._kept):
            self._report.add(where, "", f"ends after {count} batches, the index lists {len(self._kept)}")

    def _page(
        self, wire: bytes, kept: tuple[int, int, tuple[str, str]], at: tuple[str, str]
    ) -> tuple[Page | None, int]:
        """Return the rows a batch has in the tables, None where they cannot be known, and how many they are."""
        hub_first, hub_last, place = kept
        count = hub_last - hub_first + 1
        try:
            header, is_bare = self._header(wire)
            skip = _skip(header, count)
            if is_bare:
                self._report.destroyed += 1
                self._follow(header, skip, header.previous_head if not skip else None, at)
                return None, 0
            opened = batch.open_batch(wire, self._state.gates[header.gate.hex()])
        except BatchRefused as bad:
            self._report.add(*at, bad.message)
            return None, count
        self._follow(header, skip, opened.heads[skip - 1] if skip else header.previous_head, at)
        self._report.batches += 1
        self._report.scans += count
        return export.page_of(opened, (hub_first, hub_last), place), count

    def _header(self, wire: bytes) -> tuple[BatchHeader, bool]:
        """Return the header of a batch, its signature verified, and whether its facts are gone."""
        header, _ = batch.header_of(wire)
        public = self._state.gates.get(header.gate.hex())
        if public is None:
            raise BatchRefused("unknown_gate", "is of a gate the manifest does not list")
        if batch.has_facts(wire):
            return header, False
        return batch.open_header(wire, public), True

    def _follow(self, header: BatchHeader, skip: int, before: bytes | None, at: tuple[str, str]) -> None:
        """Note where a batch does not follow the one before it in its log; go on behind it all the same."""
        name = (header.gate.hex(), header.epoch.hex())
        if name not in self._logs:
            self._report.add(self._where, f"log of gate {name[0]}", "is not listed")
        last, head = self._state.logs.get(name, (0, chain.GENESIS.hex()))
        if header.first + skip != last + 1:
            self._report.add(*at, f"goes on at entry {header.first + skip} of gate {name[0]}, {last + 1} was next")
        elif before is not None and before.hex() != head:
            self._report.add(*at, f"does not follow entry {last} of gate {name[0]}: another log led up to it")
        self._state.logs[name] = (header.last, header.head.hex())

    def _told(self, view: View, fault: Place | None) -> None:
        if fault is not None:
            self._report.add(f"{self._name}/{view.path.name}", *fault)


def _skip(header: BatchHeader, count: int) -> int:
    skip = header.last - header.first + 1 - count
    if skip < 0:
        raise BatchRefused("malformed", f"holds fewer than the {count} entries the index counts")
    return skip


def _sequence(path: Path) -> Iterator[tuple[int, bytes | None]]:
    """Give the items of a CBOR sequence (RFC 8742) with their places; None for a rest that is none, and no more."""
    at, rest = 0, b""
    with path.open("rb") as file:
        while True:
            if len(rest) < _WINDOW // 2:
                rest += file.read(_WINDOW)
            if not rest:
                return
            try:
                _, end = cbor.decode_first(rest)
            except EncodingRefused:
                yield at, None
                return
            yield at, rest[:end]
            at, rest = at + end, rest[end:]
