"""The rows that are pulled, made again from the ledger: a few batches a commit, beside a hub that serves.

Every commit puts whole batches in place of whatever rows stood there, so that no reader meets a hole; the sums are
counted beside those in use and take their place at the end. How far it came is in the database: a rebuild that broke
off goes on there.
"""

import sqlite3
from collections.abc import Callable
from typing import Final

from edge.hub import kept, projection
from edge.hub.projection import Sums
from edge.hub.store import Store

Tell = Callable[[int, int], None]
"""Called with the hub sequence number reached and the newest there is."""

_FRESH: Final = Sums("fresh_tallies", "fresh_flow")


def rebuild(store: Store, tell: Tell) -> int:
    """Make `scans`, `tallies` and `flow` again; return how many rows, those of a rebuild that broke off included.

    Raises:
        LedgerError: The database cannot be written; the same call again goes on.
    """
    rows = None
    while rows is None:
        with store.writing() as connection:
            rows = _step(connection)
            reached, newest = _reach(connection)
        tell(newest if rows is not None else reached, newest)
    return rows


def _step(connection: sqlite3.Connection) -> int | None:
    """Do a part of the work; return the number of rows once all is done."""
    connection.execute("INSERT OR IGNORE INTO rebuilding VALUES (1, 0, 0)")
    done, rows = connection.execute("SELECT batch, rows FROM rebuilding").fetchone()
    found = list(kept.read(connection, after=done, most=projection.STEP))
    for one in found:
        projection.insert(connection, one, _FRESH)
        rows += one.hub_last - one.hub_first + 1
    if found:
        connection.execute("UPDATE rebuilding SET batch = ?, rows = ?", (found[-1].row, rows))
        return None
    _put_in_place(connection)
    return int(rows)


def _put_in_place(connection: sqlite3.Connection) -> None:
    connection.execute(
        "DELETE FROM scans WHERE hub_seq < 1 OR hub_seq > (SELECT coalesce(max(hub_last), 0) FROM batches)"
    )
    for table, fresh in (("tallies", _FRESH.tallies), ("flow", _FRESH.flow)):
        connection.execute(f"DELETE FROM {table}")  # noqa: S608 - fixed names
        connection.execute(f"INSERT INTO {table} SELECT * FROM {fresh}")  # noqa: S608 - fixed names
        connection.execute(f"DELETE FROM {fresh}")  # noqa: S608 - fixed names
    connection.execute("DELETE FROM rebuilding")
    connection.execute(
        "UPDATE projected SET (batch, hub_seq) = (SELECT coalesce(max(id), 0), coalesce(max(hub_last), 0) FROM batches)"
    )


def _reach(connection: sqlite3.Connection) -> tuple[int, int]:
    found = connection.execute(
        "SELECT coalesce((SELECT hub_last FROM batches WHERE id = (SELECT batch FROM rebuilding)), 0), "
        "(SELECT coalesce(max(hub_last), 0) FROM batches)"
    ).fetchone()
    return int(found[0]), int(found[1])
