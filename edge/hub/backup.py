"""A copy of the ledger while the hub serves, and its return: private parts stay out, keys stay where they are.

The copy is one state of the database (SQLite's online backup inside one read transaction: a serving hub neither waits
nor makes it begin again). Tokens do not outlive their 48 hours in a drawer: the copy has no private part. Restoring
needs the folder with the hub's keys; what gates got receipts for since is `edge.hub.recovery`'s.
"""

import errno
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from edge.disk import durable
from edge.errors import ConfigError, LedgerError, LogDamaged, SetupError
from edge.hub import folder, incidents, inspection
from edge.hub.folder import HubFolder
from edge.hub.store import Store

Tell = Callable[[int, int], None]
"""Called with the pages that are copied and the pages there are."""

_PAGES: Final = 512
_FOR_EVER: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class Made:
    """A backup that stands.

    Attributes:
        hub_seq: Newest hub sequence number in it.
        size: Its bytes.
    """

    hub_seq: int
    size: int


@dataclass(frozen=True, slots=True)
class Ahead:
    """A gate that may hold receipts for more than a restored hub has.

    Attributes:
        gate: Gate id.
        site: Where it stands.
        lane: Its lane there.
        held: Newest entry the backup holds of its newest log.
    """

    gate: bytes
    site: str
    lane: str
    held: int


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did.

    Attributes:
        made_ms: When the backup was made, hub time.
        hub_seq: Newest hub sequence number now.
        entries: Entries that were verified.
        aside: Where the former database went, None where there was none.
        ahead: Gates that may be ahead.
    """

    made_ms: int
    hub_seq: int
    entries: int
    aside: Path | None
    ahead: tuple[Ahead, ...]


def back_up(home: HubFolder, file: Path, tell: Tell, now_ms: int) -> Made:
    """Write a backup of the hub's database to a file, whole or not at all; a serving hub goes on.

    Args:
        home: The hub's folder.
        file: Where it goes; one that stands there is replaced.
        tell: Told how far it has come.
        now_ms: Hub time.

    Raises:
        LedgerError: The database cannot be read.
        SetupError: The file cannot be written.
    """
    store = Store(home.database)
    store.migrate()
    staged = file.with_name(f".{file.name}.partial")
    try:
        durable.refuse_device(file)
        staged.unlink(missing_ok=True)
        # Made here, because tokens stand in it until they are taken out.
        os.close(os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        with store.reader() as source:
            hub_seq = _copied(source, staged, tell, (home.public, now_ms))
        durable.sync(staged)
        staged.replace(file)
        durable.sync_folder(file.parent)
    except (OSError, sqlite3.Error) as failed:
        raise SetupError(
            f"The backup {file} cannot be written: {failed}.", "Make room, or name a file on another disk."
        ) from failed
    finally:
        _remove(staged)
    return Made(hub_seq, file.stat().st_size)


def _copied(source: sqlite3.Connection, staged: Path, tell: Tell, mark: tuple[bytes, int]) -> int:
    source.execute("BEGIN")
    source.execute("SELECT count(*) FROM logs").fetchone()
    with closing(sqlite3.connect(staged, isolation_level=None)) as copy:
        try:
            source.backup(copy, pages=_PAGES, progress=lambda _status, left, whole: tell(whole - left, whole))
        except sqlite3.OperationalError as failed:
            # The ledger is only read: it is the copy that has no room.
            if failed.sqlite_errorcode == sqlite3.SQLITE_FULL:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from failed
            raise
        copy.execute("PRAGMA journal_mode=DELETE")
        copy.execute("PRAGMA secure_delete=ON")
        copy.execute("BEGIN")
        copy.execute("DELETE FROM private")
        copy.execute("DELETE FROM sightings")
        copy.execute("UPDATE token_queries SET token = NULL")
        incidents.strip(copy, _FOR_EVER)
        copy.execute("DELETE FROM backup")
        (hub_seq,) = copy.execute("SELECT coalesce(max(hub_last), 0) FROM batches").fetchone()
        copy.execute("INSERT INTO backup VALUES (?, ?, ?)", (*mark, hub_seq))
        copy.execute("COMMIT")
        copy.execute("VACUUM")
    return int(hub_seq)


def _remove(staged: Path) -> None:
    for part in (staged, staged.with_name(staged.name + "-journal")):
        part.unlink(missing_ok=True)


def restore(file: Path, path: Path, tell: Tell) -> Restored:
    """Put a backup in the place of a hub's database; the hub must not serve. The former database is moved aside.

    Args:
        file: The backup.
        path: The hub's folder, with its keys.
        tell: Told how far it has come.

    Raises:
        ConfigError: The folder is no hub's, or the backup is another hub's.
        FolderInUse: A hub serves the folder.
        LogDamaged: The file is no backup, or its ledger does not verify.
        LedgerError: The folder's own database holds more than the backup.
        SetupError: The folder cannot be written.
    """
    home = folder.load(path)
    lock = folder.claim(path)
    staged = path / ".hub.db.restoring"
    try:
        _stage(file, staged, tell)
        made_ms, hub_seq = _marked(staged, home)
        Store(staged).migrate()
        report = inspection.inspect(Store(staged))
        if report.problems:
            raise LogDamaged(
                f"The ledger in {file} does not hold: {report.problems[0]}.",
                "Take another backup; nothing was changed.",
            )
        _check_not_ahead(home.database, hub_seq)
        _fold(staged)
        aside = _move_aside(home.database)
        staged.replace(home.database)
        durable.sync_folder(path)
        return Restored(made_ms, hub_seq, report.entries, aside, _ahead(Store(home.database)))
    except OSError as failed:
        raise SetupError(f"{path} cannot be written: {failed}.", "Make room on the disk of the folder.") from failed
    finally:
        for suffix in ("", "-wal", "-shm", "-journal"):
            (path / (staged.name + suffix)).unlink(missing_ok=True)
        lock.close()


def _stage(file: Path, staged: Path, tell: Tell) -> None:
    staged.unlink(missing_ok=True)
    os.close(os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with (
            closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as source,
            closing(sqlite3.connect(staged)) as copy,
        ):
            source.backup(copy, pages=_PAGES, progress=lambda _status, left, whole: tell(whole - left, whole))
    except sqlite3.Error as bad:
        raise LogDamaged(f"{file} is no backup of a hub ({bad}).", "Name a file made by: edge hub backup") from bad
    durable.sync(staged)


def _marked(staged: Path, home: HubFolder) -> tuple[int, int]:
    try:
        with closing(sqlite3.connect(staged)) as copy:
            found = copy.execute("SELECT hub, made_ms, hub_seq FROM backup").fetchone()
    except sqlite3.Error:
        found = None
    if found is None:
        raise LogDamaged("The file is no backup of a hub.", "Name a file made by: edge hub backup")
    hub, made_ms, hub_seq = found
    if hub != home.public:
        raise ConfigError(
            f"The backup was made of another hub ({hub.hex()[:8]}), this folder's key is {home.public.hex()[:8]}.",
            "Restore it into the folder that has its hub.key.",
        )
    return int(made_ms), int(hub_seq)


def _check_not_ahead(database: Path, hub_seq: int) -> None:
    if not database.exists():
        return
    try:
        with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            (now,) = connection.execute("SELECT coalesce(max(hub_last), 0) FROM batches").fetchone()
    except sqlite3.Error:
        # What cannot be read cannot be served either; it is kept all the same.
        return
    if now > hub_seq:
        raise LedgerError(
            f"The database in the folder holds {now} entries, the backup {hub_seq}: the others were signed for.",
            f"If it is damaged (edge hub check), move it away by hand first: mv {database} {database}.damaged",
        )


def _fold(staged: Path) -> None:
    with closing(sqlite3.connect(staged)) as copy:
        copy.execute("DELETE FROM backup")
        copy.commit()
        copy.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        copy.execute("PRAGMA journal_mode=DELETE")
    durable.sync(staged)


def _move_aside(database: Path) -> Path | None:
    if not database.exists():
        return None
    # What stands in the journal goes into the database first: a power cut in between must not part the two.
    with suppress(sqlite3.Error), closing(sqlite3.connect(database)) as former:
        former.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    number = 1
    while (aside := database.with_name(f"{database.name}.before-restore-{number}")).exists():
        number += 1
    for suffix in ("-wal", "-shm"):
        part = database.with_name(database.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    database.rename(aside)
    return aside


def _ahead(store: Store) -> tuple[Ahead, ...]:
    with store.reader() as connection:
        rows: list[tuple[Any, ...]] = connection.execute(
            "SELECT g.gate, p.site, p.lane, coalesce((SELECT last FROM logs WHERE gate = g.id ORDER BY id DESC), 0) "
            "FROM gates AS g JOIN places AS p ON p.id = g.place WHERE g.retired_ms IS NULL ORDER BY p.site, p.lane"
        ).fetchall()
    return tuple(Ahead(*row) for row in rows)
