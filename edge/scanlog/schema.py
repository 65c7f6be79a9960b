"""The tables of the scan log and how they grow: numbered steps, forwards only, all in one transaction at start.

Steps stay additive for one release, so that the previous slot of an A/B update still reads and writes: each names the
oldest program that can. What stands in the rows is left to `edge.scanlog.rows`.
"""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from sqlite_utils import Database

from edge.codec import cbor
from edge.errors import LogDamaged, SetupError
from edge.ledger import chain

EPOCH_BYTES: Final = 8
_HEAD_BYTES: Final = 32
ASIDE: Final = (
    "Do not delete it: move it and the files beside it that begin with the same name to a safe place, then start the "
    "gate, which begins a new log."
)
"""What a technician does with a log that does not verify: what it holds may still be read elsewhere."""


@dataclass(frozen=True, slots=True)
class Meta:
    """The one row about the log as a whole.

    Attributes:
        schema: Number of the last step that ran on this file.
        needs: Number a program must know at least to use this file.
        epoch: 8 random bytes, made with the file.
        purged_seq: Everything up to this number has gone under receipts and the signed retention.
        purged_head: Chain hash there; the chain verifies from it (32 zero bytes where nothing has gone).
    """

    schema: int
    needs: int
    epoch: bytes
    purged_seq: int = 0
    purged_head: bytes = chain.GENESIS

    def digest(self) -> bytes:
        """Return what guards the row against a failing card, 32 bytes: a changed epoch would be another log."""
        return sha256(
            cbor.encode([self.schema, self.needs, self.epoch, self.purged_seq, self.purged_head]),
        ).digest()


@dataclass(frozen=True, slots=True)
class Step:
    """One step forwards.

    Attributes:
        number: 1, 2, 3, ...
        needs: The oldest program that can still use the file afterwards.
        apply: Makes the step inside the transaction that is open.
    """

    number: int
    needs: int
    apply: Callable[[Database], None]


def _tables(db: Database) -> None:
    db.execute("""
        CREATE TABLE meta (
          id INTEGER PRIMARY KEY CHECK (id = 1),
          schema INTEGER NOT NULL,
          needs INTEGER NOT NULL,
          epoch BLOB NOT NULL,
          purged_seq INTEGER NOT NULL,
          purged_head BLOB NOT NULL,
          digest BLOB NOT NULL
        ) STRICT""")
    # One row is one page written, a second table is a second page: 0.91 and 0.74 of a raw append (ADR 0007). The
    # private columns stand outside the chain, so that they can be erased alone. `at_ms` repeats the body's: windows
    # are selected by it without reading every body; `verify` holds the two equal.
    db.execute("""
        CREATE TABLE scan (
          seq INTEGER PRIMARY KEY,
          at_ms INTEGER NOT NULL,
          body BLOB NOT NULL,
          head BLOB NOT NULL,
          token BLOB,
          sealed BLOB
        ) STRICT""")
    # Rewritten only while the write-ahead log is brought to its full length (`ScanLog.open`).
    db.execute("CREATE TABLE warm (id INTEGER PRIMARY KEY CHECK (id = 1), n INTEGER NOT NULL) STRICT")
    db.execute("INSERT INTO warm VALUES (1, 0)")


def _guards(db: Database) -> None:
    """Make the database itself refuse what no program of ours ever asks for."""
    db.execute("""
        CREATE TRIGGER scan_is_never_edited BEFORE UPDATE OF seq, at_ms, body, head ON scan
        BEGIN SELECT RAISE(ABORT, 'an entry is never edited'); END""")
    db.execute("""
        CREATE TRIGGER scan_private_only_goes BEFORE UPDATE OF token, sealed ON scan
        WHEN (NEW.token IS NOT NULL AND NEW.token IS NOT OLD.token)
          OR (NEW.sealed IS NOT NULL AND NEW.sealed IS NOT OLD.sealed)
        BEGIN SELECT RAISE(ABORT, 'the private part of an entry is only ever erased'); END""")
    db.execute("""
        CREATE TRIGGER scan_goes_by_purge BEFORE DELETE ON scan
        WHEN OLD.seq > (SELECT purged_seq FROM meta)
        BEGIN SELECT RAISE(ABORT, 'an entry goes only by a purge'); END""")


def _certificates(db: Database) -> None:
    # Beside the entries: a certificate stays when the entry that tells of its purge goes in its turn.
    db.execute("CREATE TABLE certificate (seq INTEGER PRIMARY KEY, wire BLOB NOT NULL) STRICT")
    db.execute("""
        CREATE TRIGGER certificate_is_never_edited BEFORE UPDATE ON certificate
        BEGIN SELECT RAISE(ABORT, 'a certificate is never edited'); END""")
    db.execute("""
        CREATE TRIGGER certificate_goes_for_a_newer BEFORE DELETE ON certificate
        WHEN OLD.seq = (SELECT max(seq) FROM certificate)
        BEGIN SELECT RAISE(ABORT, 'a certificate goes only for a newer one'); END""")


def _checksums(db: Database) -> None:
    # No signature covers the private columns before a batch does. A row of a former program has none, and is believed.
    db.execute("ALTER TABLE scan ADD COLUMN token_crc INTEGER")
    db.execute("ALTER TABLE scan ADD COLUMN sealed_crc INTEGER")
    # Of equal tokens it tells that they are: it goes with the token, whichever program erases that.
    db.execute("""
        CREATE TRIGGER scan_crc_goes_with_token AFTER UPDATE OF token ON scan
        WHEN NEW.token IS NULL AND NEW.token_crc IS NOT NULL
        BEGIN UPDATE scan SET token_crc = NULL WHERE seq = NEW.seq; END""")
    db.execute("""
        CREATE TRIGGER scan_crc_only_goes BEFORE UPDATE OF token_crc, sealed_crc ON scan
        WHEN (NEW.token_crc IS NOT NULL AND NEW.token_crc IS NOT OLD.token_crc)
          OR (NEW.sealed_crc IS NOT NULL AND NEW.sealed_crc IS NOT OLD.sealed_crc)
        BEGIN SELECT RAISE(ABORT, 'a checksum is never edited'); END""")


STEPS: Final = (Step(1, 1, _tables), Step(2, 1, _guards), Step(3, 1, _certificates), Step(4, 1, _checksums))


def read_meta(db: Database, path: Path) -> Meta | None:
    """Return the log's own row, or None where nothing was ever written.

    Raises:
        LogDamaged: There is something else, or the row is not what was written.
    """
    names = {name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    if "meta" not in names:
        # One page: WAL mode was set and nothing more. A flipped bit on the first page must not make a log look new.
        if names or db.execute("PRAGMA page_count").fetchone()[0] > 1:
            raise LogDamaged(f"{path} is no scan log, or its first page is damaged.", ASIDE)
        return None
    rows = db.execute("SELECT id, schema, needs, epoch, purged_seq, purged_head, digest FROM meta").fetchall()
    if len(rows) != 1 or [type(value) for value in rows[0]] != [int, int, int, bytes, int, bytes, bytes]:
        raise LogDamaged(f"The row about the scan log in {path} is damaged.", ASIDE)
    number, *values, digest = rows[0]
    meta = Meta(*values)
    # A row of another number would stay beside the one that is written next.
    if number != 1 or meta.digest() != digest or len(meta.epoch) != EPOCH_BYTES or len(meta.purged_head) != _HEAD_BYTES:
        raise LogDamaged(f"The row about the scan log in {path} is damaged.", ASIDE)
    return meta


def write_meta(db: Database, meta: Meta) -> None:
    """Put the log's own row in place, inside the transaction that is open; columns of a newer step stay."""
    db.execute(
        "INSERT INTO meta (id, schema, needs, epoch, purged_seq, purged_head, digest) VALUES (1, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (id) DO UPDATE SET schema = excluded.schema, needs = excluded.needs, "
        "purged_seq = excluded.purged_seq, purged_head = excluded.purged_head, digest = excluded.digest",
        (meta.schema, meta.needs, meta.epoch, meta.purged_seq, meta.purged_head, meta.digest()),
    )


def check_known(meta: Meta, path: Path, steps: Sequence[Step] = STEPS) -> None:
    """Check that this program may use the file.

    Raises:
        SetupError: A newer program wrote it and this one would misread it.
    """
    if meta.needs > steps[-1].number:
        raise SetupError(
            f"The scan log {path} was made by a newer version of this program (form {meta.schema}, "
            f"this one knows {steps[-1].number}).",
            "Install the newer version again; nothing in the log was touched.",
        )


def migrate(db: Database, path: Path, epoch: bytes, steps: Sequence[Step] = STEPS) -> Meta:
    """Bring the file to the newest step, or leave it as it was.

    Args:
        db: The writer's connection, no transaction open.
        path: Its file, for messages.
        epoch: The epoch of a log that is made now.
        steps: All steps this program knows.

    Raises:
        LogDamaged: It is no scan log, or its tables are not those of its step.
        SetupError: A newer program made it.
        sqlite3.Error: It could not be written.
    """
    db.execute("BEGIN IMMEDIATE")
    try:
        meta = read_meta(db, path) or Meta(0, 0, epoch)
        check_known(meta, path, steps)
        check_tables(db, meta, path, steps)
        for step in steps[meta.schema :]:
            step.apply(db)
            meta = Meta(step.number, max(meta.needs, step.needs), meta.epoch, meta.purged_seq, meta.purged_head)
            write_meta(db, meta)
        db.execute("COMMIT")
    except BaseException:
        if db.conn.in_transaction:
            db.execute("ROLLBACK")
        raise
    return meta


def check_tables(db: Database, meta: Meta, path: Path, steps: Sequence[Step] = STEPS) -> None:
    """Check that the tables and guards are exactly those of the file's step; those of a newer step are believed.

    Raises:
        LogDamaged: A table or guard is missing, added or changed.
    """
    if meta.schema > steps[-1].number:
        return
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        model = Database(connection, execute_plugins=False)
        for step in steps[: meta.schema]:
            step.apply(model)
        expected = _definitions(model)
    if _definitions(db) != expected:
        raise LogDamaged(f"The tables of the scan log {path} are not those this program made.", ASIDE)


def _definitions(db: Database) -> list[tuple[str, str, str]]:
    return db.execute("SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name").fetchall()
