"""Which gates there are: invitations, enrolment, heartbeats, retirement.

All of it works on a connection inside a transaction and takes the hub's time as an argument; signing and sealing the
answers is left to `edge.hub.hub`.
"""

import json
import secrets
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from edge.codec import ed25519
from edge.errors import EncodingRefused, EnrolmentError
from edge.hub import incidents, intake
from edge.ledger import device
from edge.ledger.enrolment import EnrolmentRequest, Heartbeat

TOKEN_BYTES: Final = 16
AGAIN_MS: Final = 15 * 60_000
"""How long a gate may ask again with the same token because the answer got lost."""
NEAR_MS: Final = 120_000
"""A gate's clock within this of ours is right."""
_SENSIBLE: Final = 1 << 53
_ASK: Final = "Ask the hub for a new one: edge hub invite DIR --site SITE --lane LANE"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a gate stands.

    Attributes:
        site: Site name.
        lane: Lane name.
        region: GB/T 2260 code, or 0.
    """

    site: str
    lane: str
    region: int


@dataclass(frozen=True, slots=True)
class Gate:
    """A gate as the database knows it.

    Attributes:
        row: Its row.
        gate: Gate id, 16 bytes.
        public: Device public key.
        place: Row of the place it stands at.
        is_retired: Whether nothing more is taken from it.
    """

    row: int
    gate: bytes
    public: bytes
    place: int
    is_retired: bool


def invite(connection: sqlite3.Connection, place: Place, *, now_ms: int, expires_ms: int) -> bytes:
    """Return a fresh one-time token for a gate at `place`; only its hash is kept."""
    token = secrets.token_bytes(TOKEN_BYTES)
    connection.execute(
        "INSERT INTO invitations(token_hash, site, lane, region, issued_ms, expires_ms) VALUES (?, ?, ?, ?, ?, ?)",
        (_hash(token), place.site, place.lane, place.region, now_ms, expires_ms),
    )
    return token


def enrol(connection: sqlite3.Connection, request: EnrolmentRequest, now_ms: int) -> Place | str:
    """Make the sender one of the gates; return its place, or why not: `unknown`, `expired` or `used`.

    The same key may ask again with the same token for a while: its answer may have been lost.
    """
    found = connection.execute(
        "SELECT site, lane, region, expires_ms, used_ms, gate FROM invitations WHERE token_hash = ?",
        (_hash(request.token),),
    ).fetchone()
    if not found:
        return "unknown"
    place, gate = Place(*found[:3]), device.gate_id(request.public)
    expires_ms, used_ms, used_by = found[3:]
    if used_ms is not None:
        if used_by == gate and 0 <= now_ms - used_ms <= AGAIN_MS:
            return place
        # Counted for the gate that has it: a stranger with a copy of the code must not fill the list.
        incidents.note(connection, used_by, "invitation_reused", now_ms, {})
        return "used"
    if now_ms >= expires_ms:
        return "expired"
    connection.execute(
        "UPDATE invitations SET used_ms = ?, gate = ? WHERE token_hash = ?", (now_ms, gate, _hash(request.token))
    )
    _register(connection, request, place, now_ms)
    return place


def check_key(public: bytes) -> None:
    """Check that a device key is fit to be believed.

    Raises:
        EnrolmentError: It is a weak or no point.
    """
    try:
        ed25519.refuse_weak_point(public)
    except EncodingRefused as weak:
        raise EnrolmentError("The gate's key is no valid Ed25519 key.", "Make a new one: edge provision init") from weak


def by_key_id(connection: sqlite3.Connection, key_id: bytes) -> Gate | None:
    """Return the gate whose key has this id, retired or not."""
    found = connection.execute(
        "SELECT id, gate, public, place, retired_ms IS NOT NULL FROM gates WHERE key_id = ?", (key_id,)
    ).fetchone()
    if not found:
        return None
    row, gate, public, place, is_retired = found
    return Gate(row, gate, public, place, bool(is_retired))


def by_id(connection: sqlite3.Connection, gate: bytes) -> Gate | None:
    """Return the gate with this id, retired or not."""
    found = connection.execute("SELECT key_id FROM gates WHERE gate = ?", (gate,)).fetchone()
    return by_key_id(connection, found[0]) if found else None


def heard(connection: sqlite3.Connection, gate: Gate, beat: Heartbeat, now_ms: int) -> intake.Log:
    """Take in a verified heartbeat and return how far the hub holds the log it names.

    One that is older than another that was heard is answered and changes nothing: it may be a replay by somebody who
    wants a stolen gate to look alive.
    """
    log = intake.log_of(connection, gate.row, beat.epoch)
    beat_ms, epoch = connection.execute("SELECT beat_ms, epoch FROM gates WHERE id = ?", (gate.row,)).fetchone()
    is_newer = beat.at_ms > beat_ms
    # A clock that was years ahead and was put right: ours tells which of the two to believe.
    is_righted = abs(beat.at_ms - now_ms) <= NEAR_MS < abs(beat_ms - now_ms)
    if not (is_newer or is_righted):
        connection.execute("UPDATE gates SET doubted_ms = ? WHERE id = ?", (now_ms, gate.row))
        return log
    _compare(connection, gate, beat, log, (epoch, now_ms))
    connection.execute(
        "UPDATE gates SET contact_ms = ?, beat_ms = ?, offset_ms = ?, epoch = ?, last = ?, health = ? WHERE id = ?",
        (now_ms, beat.at_ms, beat.at_ms - now_ms, beat.epoch, beat.last, _health(beat.health), gate.row),
    )
    return log


def retire(connection: sqlite3.Connection, gate: bytes, now_ms: int) -> None:
    """Take nothing more from a gate; what it sent stays."""
    connection.execute("UPDATE gates SET retired_ms = ? WHERE gate = ?", (now_ms, gate))


def named(connection: sqlite3.Connection, start: str) -> list[bytes]:
    """Return the gates whose id begins with these hex characters."""
    rows = connection.execute("SELECT gate FROM gates ORDER BY gate").fetchall()
    return [gate for (gate,) in rows if gate.hex().startswith(start.lower())]


def _register(connection: sqlite3.Connection, request: EnrolmentRequest, place: Place, now_ms: int) -> None:
    gate = device.gate_id(request.public)
    row = connection.execute(
        "INSERT INTO places(gate, site, lane, region, since_ms) VALUES (?, ?, ?, ?, ?)",
        (gate, place.site, place.lane, place.region, now_ms),
    ).lastrowid
    connection.execute(
        "INSERT INTO gates(gate, key_id, public, place, enrolled_ms, contact_ms) VALUES (?, ?, ?, ?, ?, ?) "
        # A known device at a new place: its log goes on, what it sent from the old place stays there.
        "ON CONFLICT(gate) DO UPDATE SET place = excluded.place, enrolled_ms = excluded.enrolled_ms, "
        "contact_ms = excluded.contact_ms, retired_ms = NULL",
        (gate, device.key_id(request.public), request.public, row, now_ms, now_ms),
    )


def _compare(
    connection: sqlite3.Connection, gate: Gate, beat: Heartbeat, log: intake.Log, before: tuple[bytes | None, int]
) -> None:
    """Note an incident where the gate's log stands before, or beside, what the hub holds of it."""
    epoch, now_ms = before
    params = {"seq": beat.last, "held": log.last}
    if log.row and epoch is not None and intake.log_of(connection, gate.row, epoch).row > log.row:
        # It had begun another log since: a former disk was put back.
        incidents.note(connection, gate.gate, "rollback", now_ms, params)
    elif log.row and beat.last == log.last and beat.head != log.head:
        incidents.note(connection, gate.gate, "fork", now_ms, params)
    elif beat.last < log.last and beat.at_ms > _entry_ms(connection, log.row):
        # One made before the newest entry we hold, and late on the way, says nothing.
        incidents.note(connection, gate.gate, "rollback", now_ms, params)


def _entry_ms(connection: sqlite3.Connection, log: int) -> int:
    return int(connection.execute("SELECT entry_ms FROM logs WHERE id = ?", (log,)).fetchone()[0])


def _health(health: Mapping[str, Any]) -> str:
    # Numbers past 2**53 would not come out of JSON as they went in; none that means something is as large.
    return json.dumps({name: value for name, value in health.items() if isinstance(value, str) or value < _SENSIBLE})


def is_sensible(beat: Heartbeat) -> bool:
    """Whether a heartbeat's numbers are within what the database holds."""
    return beat.at_ms < _SENSIBLE and beat.last < _SENSIBLE


def _hash(token: bytes) -> bytes:
    return sha256(token).digest()
