"""A bit flipped in every page of `scans.db` and `hub.db`: the check names it, or it changes nothing that is read (P8).

Not found are values that nobody signed and no hash covers: they are listed here, and a flip in anything else fails.
"""

import random
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from edge.cli.hub import hub as hub_commands
from edge.cli.scans import scans as scans_commands
from edge.errors import EdgeError
from edge.hub.hub import Hub
from edge.model.moment import Moment
from edge.scanlog.retention import Retention
from tests.simulators import ledger
from tests.simulators.hub_gates import Clock, Device, begin, enrol, post

Read = dict[str, list[tuple[Any, ...]]]
LONG = (pytest.mark.crash, pytest.mark.timeout(7200))
UNSIGNED = {
    "scan": {"token_crc", "sealed_crc"},
    "_sqlite_migrations": {"applied_at"},
    "access": {"token_hash", "role", "created_ms", "name", "expires_ms", "revoked_ms"},
    "batches": {"received_ms", "place"},
    "evidence": {"gate", "kind", "epoch", "first", "received_ms", "is_stripped"},
    "flow": {"hour", "outcome", "n"},
    "gates": {"place", "enrolled_ms", "retired_ms", "contact_ms", "doubted_ms", "beat_ms", "offset_ms"}
    | {"epoch", "last", "health"},
    "incidents": {"gate", "kind", "first_ms", "last_ms", "count", "params", "resolved_ms"},
    "invitations": {"token_hash", "site", "lane", "region", "issued_ms", "expires_ms", "used_ms", "gate"},
    "logs": {"hub_seq", "entry_ms"},
    "places": {"gate", "site", "lane", "region", "since_ms"},
    "private": {"received_ms"},
    "projected": {"batch", "hub_seq"},
    "sightings": {"token", "gate", "place", "first_ms", "last_ms", "first_seq", "last_seq", "received_ms"},
    "warm": {"n"},
    "watched": {"batch"},
    "tallies": {"gate", "outcome", "n"},
}
"""Values of each table that no signature, hash or second copy covers."""


def read(path: Path) -> Read:
    """Return everything in a database, by table, column names first; every index agrees with it."""
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        found = {}
        for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").fetchall():
            rows = db.execute(f'SELECT * FROM "{name}" NOT INDEXED')  # noqa: S608 - a name of the schema
            found[name] = [tuple(column[0] for column in rows.description), *rows]
    return found


def changed(before: Read, after: Read) -> set[tuple[str, str]]:
    """Return which columns of which tables differ."""
    assert before.keys() == after.keys()
    found = set()
    for table, rows in before.items():
        assert len(after[table]) == len(rows), table
        for one, other in zip(rows, after[table], strict=True):
            found |= {(table, name) for name, a, b in zip(rows[0], one, other, strict=True) if a != b}
    return found


def flipped(path: Path, page: int, every: int) -> Iterator[int]:
    """Put the file there again and again with one bit flipped, `every` in each page; give the bit's number."""
    intact, dice = path.read_bytes(), random.Random(5)
    for start in range(0, len(intact) * 8, page * 8):
        for bit in dice.sample(range(start, start + page * 8), every):
            damaged = bytearray(intact)
            damaged[bit // 8] ^= 1 << bit % 8
            for left in ("-wal", "-shm"):
                path.with_name(path.name + left).unlink(missing_ok=True)
            path.write_bytes(damaged)
            yield bit
    path.write_bytes(intact)


def walked(path: Path, page: int, every: int, ask: click.Group, *words: str) -> Counter[str]:
    """Flip bits in every page and run the check each time; return how often what came of it."""
    before = read(path)
    assert CliRunner().invoke(ask, words).exit_code == 0
    counted: Counter[str] = Counter()
    for bit in flipped(path, page, every):
        said = CliRunner().invoke(ask, words)
        if said.exit_code:
            assert isinstance(said.exception, EdgeError), (bit, said.exception)
            assert said.exception.next_step
            counted["named"] += 1
            continue
        found = changed(before, read(path))
        assert all(column in UNSIGNED.get(table, ()) for table, column in found), (bit, found)
        counted["a value nobody signed" if found else "without effect"] += 1
    return counted


@pytest.mark.parametrize("every", [4, pytest.param(200, marks=LONG)])
def test_a_bit_flipped_in_any_page_of_a_gates_log_is_named_or_changes_nothing(tmp_path: Path, every: int) -> None:
    """After a purge and with a sealed field; no second copy covers the checksums of token and sealed field alone."""
    path = tmp_path / "scans.db"
    log = ledger.filled(path, 150)
    rule = Retention(ledger.GATE, ledger.HUB_KEYS, retention_s=0)
    receipts = [ledger.receipt(ledger.head_at(log, 60))]
    log.purge(receipts, rule, Moment(ledger.START_MS + 200_000), key=ledger.DEVICE)
    log.append(ledger.scan(153), token=ledger.token(3), sealed=bytes(range(200)))
    log.close()

    counted = walked(path, 1024, every, scans_commands, "verify", "--state", str(tmp_path), "--json")

    print(f"scans.db, {counted.total()} flips: {dict(counted)}")
    assert counted["named"] > counted.total() // 4
    assert counted["without effect"] > 0


@pytest.mark.parametrize("every", [2, pytest.param(100, marks=LONG)])
def test_a_bit_flipped_in_any_page_of_a_hubs_database_is_named_or_changes_nothing(tmp_path: Path, every: int) -> None:
    """Two gates, a fork with its evidence, private parts still there; a hub's own notes are signed by nobody."""
    at = begin(tmp_path / "hub", Clock())
    hub = Hub.open(tmp_path / "hub", clock=Clock())
    for number in (1, 2):
        gate = Device(number)
        enrol(hub, at, gate, lane=str(number))
        gate.scan(100)
        post(hub, gate.batches(20))
    fork = Device(1)
    fork.scan(100, duration_ms=77)
    assert post(hub, [fork.batch(81, 100)]) == ["fork"]
    hub.settle()
    hub.close()

    counted = walked(tmp_path / "hub" / "hub.db", 4096, every, hub_commands, "check", str(tmp_path / "hub"))

    print(f"hub.db, {counted.total()} flips: {dict(counted)}")
    assert counted["named"] > counted.total() // 20
    assert counted["without effect"] > 0
