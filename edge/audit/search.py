"""Planted people are searched for in whatever lies in folders, images and devices; nothing is opened for writing.

A file of any size is read in stretches. What is compressed or packed inside is opened and searched too, to four levels;
of databases every record of every page, also freed ones and those of the write-ahead log. A finding says file, offset
and label, never what was found. What cannot be found: anything encrypted, a form nobody listed
(`edge.audit.planted.forms`), a compressed record whose page was freed and in part overwritten.
"""

import stat
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from edge.audit import containers, patterns
from edge.audit.needles import Needles
from edge.audit.pages import Database, Record
from edge.audit.source import Held, OnDisk, Source, Spooled

STRETCH: Final = 4 << 20
BEHIND: Final = 4096
"""So many bytes behind a stretch are read with it, so that nothing is missed at its end."""
DEEPEST: Final = 4
MOST_INFLATED: Final = 16 << 30
"""Bytes taken out of one compressed stream at most."""
MOST_FINDINGS: Final = 10_000

Tell = Callable[[int, int, str], None]
"""Called with the bytes of files that are done, all there are, and the file at hand."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that must not be there.

    Attributes:
        file: In which file.
        inside: In what inside it, from the outside inwards; empty for the file's own bytes.
        offset: Where in the file, or where in it that begins in which it was found.
        label: What the planted thing is called, or what it looks like.
        form: In which form.
    """

    file: str
    inside: str
    offset: int
    label: str
    form: str


@dataclass(slots=True)
class Report:
    """What a search came to.

    Attributes:
        needles: Forms that were searched for.
        files: Files that were searched.
        size: Their bytes.
        inflated: Bytes that came out of what was compressed or packed.
        records: Records of databases.
        found: Findings, the first of each place, label and form, with how often it was met there.
        unread: Files that could not be read, with why.
        cut: Streams that were not read to their end, by what they were.
        chance: Findings to expect in as many random bytes.
    """

    needles: int
    files: int = 0
    size: int = 0
    inflated: int = 0
    records: int = 0
    found: dict[tuple[str, str, str, str], tuple[Finding, int]] = field(default_factory=dict)
    unread: list[tuple[str, str]] = field(default_factory=list)
    cut: Counter[str] = field(default_factory=Counter)
    chance: float = 0.0

    @property
    def findings(self) -> list[Finding]:
        """The findings, file by file."""
        return [one for one, _ in self.found.values()]

    def add(self, finding: Finding) -> None:
        """Keep a finding; further ones in the same place are counted."""
        key = (finding.file, finding.inside, finding.label, finding.form)
        first, count = self.found.get(key, (finding, 0))
        if count or len(self.found) < MOST_FINDINGS:
            self.found[key] = (min(first, finding, key=lambda one: one.offset), count + 1)


@dataclass(frozen=True, slots=True)
class _Place:
    file: str
    inside: tuple[str, ...] = ()
    base: int | None = None
    """Where the outermost of `inside` begins in the file."""

    def into(self, name: str, at: int) -> "_Place":
        return _Place(self.file, (*self.inside, name), at if self.base is None else self.base)

    def finding(self, at: int, label: str, form: str) -> Finding:
        return Finding(self.file, ", ".join(self.inside), at if self.base is None else self.base, label, form)


class Search:
    """One search through any number of files.

    Args:
        needles: Whom and what to look for; codes and identity numbers of nobody in particular are always looked for.
        tell: Told of progress.
        leave: Files that are not searched: the one that names the planted people.
    """

    def __init__(self, needles: Needles, tell: Tell, leave: Sequence[Path] = ()) -> None:
        self._needles = needles
        self._tell = tell
        self._leave = {_identity(path) for path in leave}
        self.report = Report(len(needles))
        self._done = 0
        self._whole = 0

    def run(self, roots: Sequence[Path]) -> Report:
        """Search files, folders with all that is in them, images and devices; links are not followed."""
        files = [(path, size) for root in roots for path, size in self._files(root, is_named=True)]
        self._whole = sum(size for _, size in files)
        for path, size in files:
            self._file(path)
            self._done += size
        self._tell(self._whole, self._whole, "")
        self.report.chance = self._needles.by_chance(self.report.size + self.report.inflated)
        return self.report

    def _files(self, root: Path, *, is_named: bool = False) -> Iterator[tuple[Path, int]]:
        try:
            found = root.stat()
            if stat.S_ISDIR(found.st_mode):
                for path in sorted(root.iterdir()):
                    if not path.is_symlink():
                        yield from self._files(path)
                    self._name(path)
                return
            is_file = stat.S_ISREG(found.st_mode) or stat.S_ISBLK(found.st_mode)
            if is_named and not is_file:
                # Inside a folder it has no content; named by a person, "nothing found" would be an answer.
                self.report.unread.append((str(root), "it is no file, folder or disk"))
            if is_file and (found.st_dev, found.st_ino) not in self._leave:
                with OnDisk(root) as source:
                    yield root, source.size
        except OSError as failed:
            self.report.unread.append((str(root), failed.strerror or type(failed).__name__))

    def _name(self, path: Path) -> None:
        """Search a name; the finding names the folder, for the name may be what must not be told."""
        name = path.name.encode("utf-8", "surrogateescape")
        for _, label, form in (*self._needles.find(name), *patterns.find(name)):
            self.report.add(Finding(str(path.parent), "the name of a file in it", 0, label, form))

    def _file(self, path: Path) -> None:
        try:
            with OnDisk(path) as source:
                self._look(source, _Place(str(path)), 0)
                self._beside(path, source)
                self.report.files += 1
                self.report.size += source.size
        except OSError as failed:
            self.report.unread.append((str(path), failed.strerror or type(failed).__name__))

    def _beside(self, path: Path, source: OnDisk) -> None:
        """Search a database's write-ahead log together with it: its records go on in the pages of both."""
        if not path.name.endswith("-wal"):
            return
        database = path.with_name(path.name.removesuffix("-wal"))
        with ExitStack() as opened:
            beside: Source = opened.enter_context(OnDisk(database)) if database.is_file() else Held(b"")
            self._records(Database(beside.read, source.read).logged(), _Place(str(path)), 0)

    def _look(self, source: Source, place: _Place, depth: int) -> None:
        start = 0
        while start < source.size or not start:
            data = source.read(start, STRETCH + BEHIND)
            # What begins behind the stretch is the next one's.
            end = min(len(data), STRETCH)
            for at, label, form in (*self._needles.find(data), *patterns.find(data)):
                if at < end:
                    self.report.add(place.finding(start + at, label, form))
            self._open(source, (data, start, end), place, depth)
            start += STRETCH
            if not depth:
                self._tell(self._done + min(start, source.size), self._whole, place.file)

    def _open(self, source: Source, stretch: tuple[bytes, int, int], place: _Place, depth: int) -> None:
        if depth >= DEEPEST:
            return
        for found in containers.streams(source, *stretch):
            with Spooled(found.pieces, MOST_INFLATED) as inner:
                self.report.inflated += inner.size
                self.report.cut[found.name] += not inner.is_whole
                if inner.size:
                    self._look(inner, place.into(found.name, found.at), depth + 1)
        for at in containers.databases(*stretch):

            def read(offset: int, count: int, at: int = at) -> bytes:
                return source.read(at + offset, count)

            is_alone = not (place.base is None and place.file.endswith("-wal") and at == 0)
            self._records(Database(read).records(), place, depth, at)
            if is_alone:
                self._records(Database(Held(b"").read, read).logged(), place, depth, at)

    def _records(self, records: Iterator[Record], place: _Place, depth: int, base: int = 0) -> None:
        for record in records:
            self.report.records += 1
            inside = place.into(f"record of page {record.page}", base + record.offset)
            if record.is_spread:
                # Where it stands in one piece the page was searched with the file.
                self._look(Held(record.payload), inside, depth + 1)
            for blob in record.blobs():
                content = containers.unpacked(blob)
                if content:
                    self.report.inflated += len(content)
                    self._look(Held(content), inside.into("part of a batch", base + record.offset), depth + 1)


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino
