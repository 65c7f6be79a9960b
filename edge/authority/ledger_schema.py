"""The tables of an authority's ledger, and how a ledger of an older form becomes one of this form."""

import sqlite3
from typing import Final

FORM: Final = 2
"""Form 1 (`user_version` 0) had a row a pass by issuer name, no trail of changes and no reserves."""

_TABLES: Final = (
    """CREATE TABLE lists (
        id INTEGER PRIMARY KEY, issuer TEXT NOT NULL, number INTEGER NOT NULL, size INTEGER NOT NULL,
        bits INTEGER NOT NULL, is_foreign INTEGER NOT NULL, given INTEGER NOT NULL DEFAULT 0,
        reserved INTEGER NOT NULL DEFAULT 0, last_change INTEGER NOT NULL DEFAULT 0,
        published TEXT NOT NULL DEFAULT '{}', UNIQUE (issuer, number))""",
    """CREATE TABLE passes (
        list INTEGER NOT NULL, idx INTEGER NOT NULL, kind INTEGER NOT NULL, issued_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL, status INTEGER NOT NULL, changed_at INTEGER NOT NULL,
        PRIMARY KEY (list, idx)) WITHOUT ROWID""",
    # So that a publication walks what is marked and not what was issued.
    "CREATE INDEX marked ON passes (list, idx, status) WHERE status <> 0",
    "CREATE TABLE acts (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, status INTEGER NOT NULL, reason TEXT NOT NULL)",
    """CREATE TABLE changes (
        id INTEGER PRIMARY KEY, act INTEGER NOT NULL, list INTEGER NOT NULL, idx INTEGER NOT NULL,
        was INTEGER NOT NULL)""",
    """CREATE TABLE ranges (
        list INTEGER NOT NULL, start INTEGER NOT NULL, count INTEGER NOT NULL, desk TEXT NOT NULL,
        reserved_at INTEGER NOT NULL, PRIMARY KEY (list, start)) WITHOUT ROWID""",
    """CREATE TABLE hash_lists (
        issuer TEXT NOT NULL, number INTEGER NOT NULL, sha256 TEXT NOT NULL, set_at INTEGER NOT NULL,
        PRIMARY KEY (issuer, number)) WITHOUT ROWID""",
)
_FROM_FORM_1: Final = (
    "ALTER TABLE lists RENAME TO lists_1",
    "ALTER TABLE passes RENAME TO passes_1",
    *_TABLES,
    """INSERT INTO lists (issuer, number, size, bits, is_foreign, given)
        SELECT issuer, number, size, bits, is_foreign, (SELECT count(*) FROM passes_1 WHERE passes_1.issuer =
        lists_1.issuer AND passes_1.number = lists_1.number) FROM lists_1 ORDER BY issuer, number""",
    """INSERT INTO passes SELECT lists.id, idx, kind, issued_at, expires_at, status, changed_at
        FROM passes_1 JOIN lists USING (issuer, number) ORDER BY lists.id, idx""",
    "DROP TABLE passes_1",
    "DROP TABLE lists_1",
)


def bring_up(connection: sqlite3.Connection) -> None:
    """Lay down the tables where there are none, and bring an older form up, whole or not at all.

    Raises:
        sqlite3.Error: The file cannot be used, or is of a newer form.
    """
    if _form(connection) == FORM:
        return
    connection.execute("BEGIN IMMEDIATE")
    form = _form(connection)
    if form > FORM:
        raise sqlite3.DatabaseError("it was written by a newer version of edge")
    if form < FORM:
        is_old = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'passes'").fetchone()
        for statement in _FROM_FORM_1 if is_old else _TABLES:
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {FORM}")
    connection.commit()


def _form(connection: sqlite3.Connection) -> int:
    found: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return found
