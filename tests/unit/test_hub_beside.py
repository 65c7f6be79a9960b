"""`edge hub check` beside the ledger: private parts, evidence, indexes, texts, and the file's word on its own form."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from edge.errors import LogDamaged
from edge.hub import inspection
from edge.hub.hub import Hub
from edge.hub.store import Store
from tests.simulators.hub_gates import Clock, Device, begin, enrol, post


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The database of a hub with two batches, their private parts and a fork's evidence."""
    at = begin(tmp_path / "hub", Clock())
    hub = Hub.open(tmp_path / "hub", clock=Clock())
    gate, fork = Device(), Device()
    enrol(hub, at, gate)
    gate.scan(40)
    post(hub, gate.batches(20))
    fork.scan(40, duration_ms=77)
    post(hub, [fork.batch(21, 40)])
    hub.settle()
    hub.close()
    return tmp_path / "hub" / "hub.db"


def problems(path: Path) -> tuple[str, ...]:
    """Return what the check says."""
    store = Store(path)
    store.migrate()
    return inspection.inspect(store).problems


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("UPDATE private SET part = flipped(part) WHERE batch = 2", "part of batch 2"),
        ("UPDATE private SET batch = 7 WHERE batch = 2", "the private part of batch 7"),
        ("UPDATE evidence SET wire = flipped(wire)", "piece of evidence 1 (fork)"),
        ("UPDATE places SET site = CAST(x'e58c48' AS TEXT)", "a row of places cannot be read"),
    ],
)
def test_what_lies_beside_the_ledger_is_checked_too(path: Path, sql: str, says: str) -> None:
    """One thing is changed behind the hub's back, and one sentence names it."""
    assert problems(path) == ()
    with closing(sqlite3.connect(path)) as stranger, stranger:
        stranger.create_function("flipped", 1, lambda blob: blob[:-1] + bytes((blob[-1] ^ 1,)))
        stranger.execute(sql)

    (found,) = problems(path)
    assert says in found


def test_a_table_that_is_not_ours_is_named(path: Path) -> None:
    """A column of another name would be met only by the next pull that is put on record."""
    with closing(sqlite3.connect(path)) as stranger, stranger:
        stranger.execute("ALTER TABLE pulls RENAME COLUMN rows TO rowz")

    assert set(problems(path)) == {"table or index pulls is not the one this program makes"}


@pytest.mark.parametrize("changed", ["type = 'tabme'", "tbl_name = 'flou'", "type = CAST(type AS BLOB)", "sql = NULL"])
def test_a_table_that_the_schema_says_less_of_is_named(path: Path, changed: str) -> None:
    """One bit in the list of tables: SQLite still finds the table by its text, who asks for its kind does not."""
    with closing(sqlite3.connect(path)) as stranger, stranger:
        stranger.execute("PRAGMA writable_schema = ON")
        stranger.execute(f"UPDATE sqlite_schema SET {changed} WHERE name = 'flow'")  # noqa: S608 - the parameter

    try:
        found = " ".join(problems(path))
    except LogDamaged as refused:
        found = str(refused)

    assert "flow" in found or "damaged" in found


def test_an_index_that_lost_a_row_is_named(path: Path) -> None:
    """A gate that its index does not find is a gate whose scans are refused."""
    with closing(sqlite3.connect(path)) as stranger, stranger:
        (page,) = stranger.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'sqlite_autoindex_gates_1'"
        ).fetchone()
        (size,) = stranger.execute("PRAGMA page_size").fetchone()
        stranger.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    damaged = bytearray(path.read_bytes())
    damaged[page * size - 5] ^= 1
    path.write_bytes(damaged)

    assert any("sqlite_autoindex_gates_1" in found for found in problems(path))


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE _sqlite_migrations SET name = 'pull_tokenz' WHERE name = 'pull_tokens'",
        "ALTER TABLE _sqlite_migrations RENAME COLUMN migration_set TO migration_sat",
        "ALTER TABLE _sqlite_migrations RENAME COLUMN applied_at TO applied_as",
    ],
)
def test_a_file_that_errs_about_its_own_form_is_damaged(path: Path, sql: str) -> None:
    """Steps are not taken twice, and nobody sees a traceback."""
    with closing(sqlite3.connect(path)) as stranger, stranger:
        stranger.execute(sql)

    with pytest.raises(LogDamaged, match=r"hub\.db is damaged") as refused:
        problems(path)
    assert "backup" in refused.value.next_step
