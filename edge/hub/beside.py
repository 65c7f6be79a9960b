"""What lies in the database beside the ledger: can it still be read, and is it what was signed or filed? Reading only.

Private parts are held to the signed header of their batch, evidence to the digest it was filed under. What nobody
signed (names of places, times of receipt, incidents, sightings, tokens' hashes) can only be read: a value that a
failing disk changed into another possible one is not found here.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from typing import Final

from sqlite_utils import Database

from edge.errors import BatchRefused
from edge.hub.schema import MIGRATIONS
from edge.ledger import batch

_IN_THE_LEDGER: Final = frozenset(("batches", "scans", "private", "evidence"))
"""Tables that are read row by row elsewhere."""
_PRIVATE: Final = (
    "SELECT p.batch, b.wire, p.part, g.public FROM private AS p LEFT JOIN batches AS b ON b.id = p.batch "
    "LEFT JOIN logs AS l ON l.id = b.log LEFT JOIN gates AS g ON g.id = l.gate ORDER BY p.batch"
)


def problems(connection: sqlite3.Connection) -> Iterator[str]:
    """Give what does not hold, one sentence each."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as model:
        MIGRATIONS.apply(Database(model))
        changed = _definitions(connection) ^ _definitions(model)
        for name in sorted({str(name) for _, name, *_ in changed}):
            yield f"table or index {name} is not the one this program makes"
    for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").fetchall():
        if name not in _IN_THE_LEDGER:
            yield from _unreadable(connection, name)
    for row, wire, part, public in connection.execute(_PRIVATE):
        if not _is_private_of(wire, part, public):
            yield f"the private part of batch {row} is not the one its gate signed"
    for row, kind, digest, wire in connection.execute(
        "SELECT id, kind, digest, wire FROM evidence WHERE NOT is_stripped ORDER BY id"
    ):
        if sha256(wire).digest() != digest:
            yield f"piece of evidence {row} ({kind}) is not the one that was filed"


def _definitions(connection: sqlite3.Connection) -> set[tuple[object, ...]]:
    """Return what the schema says of tables and indexes; those of sqlite-utils are its own affair."""
    # All of each row: SQLite goes by the text, others by the kind and the name of the table.
    return set(
        connection.execute(
            "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND tbl_name NOT LIKE '%sqlite%'"
        )
    )


def _unreadable(connection: sqlite3.Connection, table: str) -> Iterator[str]:
    try:
        for _ in connection.execute(f'SELECT * FROM "{table}" NOT INDEXED'):  # noqa: S608 - a name of the schema
            pass
    except (sqlite3.OperationalError, UnicodeDecodeError) as bad:
        yield f"a row of {table} cannot be read: {bad}"


def _is_private_of(wire: bytes | None, part: bytes, public: bytes | None) -> bool:
    if wire is None or public is None:
        return False
    try:
        batch.open_header(batch.with_private(wire, part), public)
    except BatchRefused:
        return False
    return True
