"""What a hub tells in one document: its bytes, and how many rows it has for the audit."""

import sqlite3
from dataclasses import asdict

from edge.hub import coverage, fleet, incidents, statement, token_queries
from edge.hub.hub import Hub

Told = tuple[bytes, int]


def gates(hub: Hub, connection: sqlite3.Connection) -> Told:
    """Return the state of every gate as JSON, and how many there are."""
    found = fleet.gates(connection, hub.clock(), hub.silent_s)
    return statement.canonical([{**asdict(one), "gate": one.gate.hex()} for one in found]), len(found)


def opened(_: Hub, connection: sqlite3.Connection) -> Told:
    """Return the open incidents as JSON, and how many there are."""
    found = incidents.listed(connection, most=1000, is_open=True)
    told = [{**asdict(one), "gate": one.gate.hex(), "params": dict(one.params)} for one in found]
    return statement.canonical(told), len(found)


def covered(hub: Hub, connection: sqlite3.Connection, day: str) -> Told:
    """Return the signed statement about a day, and how many gates it speaks of."""
    content = coverage.of_day(connection, day, hub.clock())
    return statement.make(statement.COVERAGE, content, hub.home.key), len(content["gates"])


def queries(hub: Hub, connection: sqlite3.Connection) -> Told:
    """Return the questions about tokens and their counts by purpose as JSON, and how many are told."""
    now_ms = hub.clock()
    told = token_queries.listed(connection, now_ms)
    content = {"counts": token_queries.counts(connection, now_ms), "queries": told}
    return statement.canonical(content), len(told)
