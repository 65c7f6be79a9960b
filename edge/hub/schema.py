"""Tables of the hub's database, as migrations that only go forwards.

The ledger is `batches`: what gates signed, verbatim, without its private part. `scans`, `tallies` and `flow` are a
projection made in the background (`projected` says how far; `edge.hub.rebuild` makes it anew). `private` and
`sightings` hold privacy tokens and are emptied after 48 hours; personal fields, sealed to the auditor, go to `sealed`.
"""

from typing import Final

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

MIGRATIONS: Final = Migrations("edge.hub")

# Columns of `scans` that are an entry's facts, in the order of `edge.hub.projection`.
FACTS: Final = (
    "at_ms",
    "type",
    "quality",
    "outcome",
    "reason",
    "format",
    "issuer",
    "kind",
    "status",
    "region",
    "trust_version",
    "policy_version",
    "duration_ms",
    "count",
    "refers_to",
    "note",
    "source",
)
_TEXTS: Final = frozenset(("reason", "format", "issuer", "note"))

_COLUMNS: Final = ", ".join(f"{name} {'TEXT' if name in _TEXTS else 'INTEGER'}" for name in FACTS)

_FIRST: Final = (
    """CREATE TABLE gates(
        id INTEGER PRIMARY KEY, gate BLOB NOT NULL UNIQUE, key_id BLOB NOT NULL UNIQUE, public BLOB NOT NULL,
        place INTEGER NOT NULL REFERENCES places(id), enrolled_ms INTEGER NOT NULL, retired_ms INTEGER,
        contact_ms INTEGER NOT NULL, doubted_ms INTEGER NOT NULL DEFAULT 0, beat_ms INTEGER NOT NULL DEFAULT 0,
        offset_ms INTEGER, epoch BLOB, last INTEGER NOT NULL DEFAULT 0, health TEXT NOT NULL DEFAULT '{}') STRICT""",
    """CREATE TABLE places(
        id INTEGER PRIMARY KEY, gate BLOB NOT NULL, site TEXT NOT NULL, lane TEXT NOT NULL, region INTEGER NOT NULL,
        since_ms INTEGER NOT NULL) STRICT""",
    """CREATE TABLE logs(
        id INTEGER PRIMARY KEY, gate INTEGER NOT NULL REFERENCES gates(id), epoch BLOB NOT NULL,
        last INTEGER NOT NULL, head BLOB NOT NULL, hub_seq INTEGER NOT NULL, entry_ms INTEGER NOT NULL,
        UNIQUE(gate, epoch)) STRICT""",
    """CREATE TABLE batches(
        id INTEGER PRIMARY KEY, log INTEGER NOT NULL REFERENCES logs(id), first INTEGER NOT NULL,
        last INTEGER NOT NULL, head BLOB NOT NULL, hub_first INTEGER NOT NULL, hub_last INTEGER NOT NULL UNIQUE,
        place INTEGER NOT NULL REFERENCES places(id), received_ms INTEGER NOT NULL, wire BLOB NOT NULL,
        UNIQUE(log, first, head)) STRICT""",
    """CREATE TABLE private(
        batch INTEGER PRIMARY KEY REFERENCES batches(id), received_ms INTEGER NOT NULL, part BLOB NOT NULL) STRICT""",
    "CREATE TABLE sealed(hub_seq INTEGER PRIMARY KEY, sealed BLOB NOT NULL) STRICT",
    f"""CREATE TABLE scans(
        hub_seq INTEGER PRIMARY KEY, log INTEGER NOT NULL, place INTEGER NOT NULL, seq INTEGER NOT NULL,
        {_COLUMNS}) STRICT""",
    """CREATE TABLE tallies(
        gate INTEGER, outcome INTEGER, n INTEGER NOT NULL, PRIMARY KEY(gate, outcome)) STRICT, WITHOUT ROWID""",
    """CREATE TABLE flow(
        hour INTEGER, outcome INTEGER, n INTEGER NOT NULL, PRIMARY KEY(hour, outcome)) STRICT, WITHOUT ROWID""",
    """CREATE TABLE invitations(
        token_hash BLOB PRIMARY KEY, site TEXT NOT NULL, lane TEXT NOT NULL, region INTEGER NOT NULL,
        issued_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL, used_ms INTEGER, gate BLOB) STRICT, WITHOUT ROWID""",
    """CREATE TABLE incidents(
        id INTEGER PRIMARY KEY, gate BLOB NOT NULL, kind TEXT NOT NULL, first_ms INTEGER NOT NULL,
        last_ms INTEGER NOT NULL, count INTEGER NOT NULL, params TEXT NOT NULL, resolved_ms INTEGER) STRICT""",
    "CREATE UNIQUE INDEX open_incident ON incidents(gate, kind) WHERE resolved_ms IS NULL",
    """CREATE TABLE evidence(
        id INTEGER PRIMARY KEY, gate BLOB NOT NULL, kind TEXT NOT NULL, epoch BLOB, first INTEGER,
        received_ms INTEGER NOT NULL, digest BLOB NOT NULL, wire BLOB NOT NULL, is_stripped INTEGER NOT NULL DEFAULT 0,
        UNIQUE(gate, kind, digest)) STRICT""",
    """CREATE TABLE access(
        token_hash BLOB PRIMARY KEY, role TEXT NOT NULL, created_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID""",
    """CREATE TABLE pulls(
        id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL, times INTEGER NOT NULL,
        role TEXT NOT NULL, token TEXT NOT NULL, peer TEXT NOT NULL, after INTEGER NOT NULL, rows INTEGER NOT NULL,
        last INTEGER NOT NULL) STRICT""",
    "CREATE INDEX pulls_of_token ON pulls(token, peer)",
)


@MIGRATIONS()
def first_tables(db: Database) -> None:
    """Make the tables of the first release."""
    for statement in _FIRST:
        db.conn.execute(statement)


@MIGRATIONS()
def pull_tokens(db: Database) -> None:
    """Give tokens a name, an end and a revocation; say on record what was read."""
    for column in ("name TEXT NOT NULL DEFAULT ''", "expires_ms INTEGER", "revoked_ms INTEGER"):
        db.conn.execute(f"ALTER TABLE access ADD COLUMN {column}")
    db.conn.execute("ALTER TABLE pulls ADD COLUMN what TEXT NOT NULL DEFAULT 'scans'")


_PROJECTION: Final = (
    """CREATE TABLE projected(
        id INTEGER PRIMARY KEY CHECK(id = 1), batch INTEGER NOT NULL, hub_seq INTEGER NOT NULL) STRICT""",
    "INSERT INTO projected SELECT 1, coalesce(max(id), 0), coalesce(max(hub_last), 0) FROM batches",
    """CREATE TABLE rebuilding(
        id INTEGER PRIMARY KEY CHECK(id = 1), batch INTEGER NOT NULL, rows INTEGER NOT NULL) STRICT""",
    """CREATE TABLE fresh_tallies(
        gate INTEGER, outcome INTEGER, n INTEGER NOT NULL, PRIMARY KEY(gate, outcome)) STRICT, WITHOUT ROWID""",
    """CREATE TABLE fresh_flow(
        hour INTEGER, outcome INTEGER, n INTEGER NOT NULL, PRIMARY KEY(hour, outcome)) STRICT, WITHOUT ROWID""",
)


@MIGRATIONS()
def second_projection(db: Database) -> None:
    """Note how far the rows are made, and give a rebuild sums of its own; the rows there are were made at once."""
    for statement in _PROJECTION:
        db.conn.execute(statement)


@MIGRATIONS()
def pull_webhooks(db: Database) -> None:
    """Keep what webhooks are to be told until they took it (`edge.hub.courier`)."""
    db.conn.execute(
        """CREATE TABLE outbox(
            id INTEGER PRIMARY KEY, hook TEXT NOT NULL, subject TEXT NOT NULL, message TEXT NOT NULL,
            body BLOB NOT NULL, made_ms INTEGER NOT NULL, due_ms INTEGER NOT NULL, tries INTEGER NOT NULL DEFAULT 0,
            state TEXT NOT NULL DEFAULT 'waiting', said TEXT NOT NULL DEFAULT '', UNIQUE(hook, subject)) STRICT"""
    )


_RECOVERY: Final = (
    """CREATE TABLE claims(
        gate BLOB NOT NULL, epoch BLOB NOT NULL, last INTEGER NOT NULL, head BLOB NOT NULL, receipt BLOB NOT NULL,
        PRIMARY KEY(gate, epoch)) STRICT, WITHOUT ROWID""",
    """CREATE TABLE holes(
        log INTEGER NOT NULL REFERENCES logs(id), first INTEGER NOT NULL, last INTEGER NOT NULL, head BLOB NOT NULL,
        noted_ms INTEGER NOT NULL, PRIMARY KEY(log, first)) STRICT, WITHOUT ROWID""",
    """CREATE TABLE backup(
        hub BLOB NOT NULL, made_ms INTEGER NOT NULL, hub_seq INTEGER NOT NULL) STRICT""",
    """CREATE TABLE destructions(
        digest BLOB PRIMARY KEY, at_ms INTEGER NOT NULL, wire BLOB NOT NULL) STRICT, WITHOUT ROWID""",
)


@MIGRATIONS()
def second_recovery(db: Database) -> None:
    """Hold what gates prove this hub once held, what it lost, whose backup this is, and what was destroyed."""
    for statement in _RECOVERY:
        db.conn.execute(statement)


@MIGRATIONS()
def second_role_keys(db: Database) -> None:
    """Hold who may sign that facts are destroyed."""
    db.conn.execute(
        "CREATE TABLE role_keys(public BLOB PRIMARY KEY, role TEXT NOT NULL, since_ms INTEGER NOT NULL) "
        "STRICT, WITHOUT ROWID"
    )


_CROSS_GATE: Final = (
    """CREATE TABLE sightings(
        token BLOB NOT NULL, gate INTEGER NOT NULL REFERENCES gates(id), place INTEGER NOT NULL REFERENCES places(id),
        first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL, first_seq INTEGER NOT NULL, last_seq INTEGER NOT NULL,
        received_ms INTEGER NOT NULL, PRIMARY KEY(token, gate)) STRICT, WITHOUT ROWID""",
    "CREATE INDEX sightings_by_age ON sightings(received_ms)",
    "CREATE TABLE watched(id INTEGER PRIMARY KEY CHECK(id = 1), batch INTEGER NOT NULL) STRICT",
    "INSERT INTO watched SELECT 1, coalesce(max(id), 0) FROM batches",
)


@MIGRATIONS()
def third_cross_gate(db: Database) -> None:
    """Hold at which gates a pass was seen, for as long as its token is kept (`edge.hub.cross_gate`)."""
    for statement in _CROSS_GATE:
        db.conn.execute(statement)


@MIGRATIONS()
def fourth_token_queries(db: Database) -> None:
    """Hold who asked which scans were of one pass, who approved it and whether it was answered."""
    db.conn.execute(
        """CREATE TABLE token_queries(
            id INTEGER PRIMARY KEY, day TEXT NOT NULL, scan INTEGER, token BLOB, purpose TEXT NOT NULL,
            most INTEGER NOT NULL, asked_ms INTEGER NOT NULL, asked_role TEXT NOT NULL, asked_by TEXT NOT NULL,
            expires_ms INTEGER NOT NULL, approved_ms INTEGER, approved_role TEXT, approved_by TEXT,
            answered_ms INTEGER, found INTEGER, refused INTEGER NOT NULL DEFAULT 0) STRICT"""
    )
