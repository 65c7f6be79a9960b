"""Who may read: tokens by role, sessions of the page, and patience with those who guess.

Tokens are 32 random bytes; the database knows their SHA-256 only, and a stolen copy of it opens nothing. Roles follow
the architecture: operators and auditors pull scans, technicians see the page and the status.
"""

import hmac
import secrets
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import Final

from edge.hub.admission import Allowance

ROLES: Final = ("operator", "auditor", "technician")
PULLERS: Final = frozenset(("operator", "auditor"))

_MAX_TOKEN: Final = 256
_VALID: Final = "SELECT token_hash, role FROM access WHERE revoked_ms IS NULL AND coalesce(expires_ms > ?, TRUE)"


@dataclass(frozen=True, slots=True)
class Reader:
    """Somebody with a token.

    Attributes:
        role: One of `ROLES`.
        token: First characters of the token's hash, to name it in the audit trail.
    """

    role: str
    token: str


@dataclass(frozen=True, slots=True)
class Granted:
    """A token as the database knows it; the token itself nobody can show again.

    Attributes:
        token: First characters of its hash.
        name: What it was called when it was made, perhaps nothing.
        role: One of `ROLES`.
        created_ms: When it was made, Unix milliseconds.
        expires_ms: When it ends, None for never.
        revoked_ms: When it was revoked, or None.
    """

    token: str
    name: str
    role: str
    created_ms: int
    expires_ms: int | None
    revoked_ms: int | None


def add(connection: sqlite3.Connection, role: str, token: str, now_ms: int, *, term: tuple[str, int | None]) -> None:
    """Let a token in as `role`, under a name and until a time, None for ever."""
    connection.execute(
        "INSERT INTO access(token_hash, role, created_ms, name, expires_ms) VALUES (?, ?, ?, ?, ?)",
        (_hash(token), role, now_ms, *term),
    )


def listed(connection: sqlite3.Connection) -> list[Granted]:
    """Return every token, the newest first."""
    rows = connection.execute(
        "SELECT token_hash, name, role, created_ms, expires_ms, revoked_ms FROM access ORDER BY created_ms DESC"
    )
    return [Granted(kept.hex()[:8], *rest) for kept, *rest in rows]


def revoke(connection: sqlite3.Connection, named: str, now_ms: int) -> int:
    """Let nobody in any more by the tokens so named, or whose hash begins so; return how many that were."""
    rows = connection.execute("SELECT token_hash, name FROM access WHERE revoked_ms IS NULL").fetchall()
    found = [kept for kept, name in rows if named and named in {name, kept.hex()[:8]}]
    connection.executemany("UPDATE access SET revoked_ms = ? WHERE token_hash = ?", [(now_ms, kept) for kept in found])
    return len(found)


def find(connection: sqlite3.Connection, token: str, now_ms: int) -> Reader | None:
    """Return who the token belongs to, or None; one that ended or was revoked belongs to nobody."""
    if not 0 < len(token) <= _MAX_TOKEN:
        return None
    wanted = _hash(token)
    reader = None
    # All are compared, in constant time each: neither the answer's time nor an index says how near a guess came.
    for kept, role in connection.execute(_VALID, (now_ms,)).fetchall():
        if hmac.compare_digest(kept, wanted):
            reader = Reader(role, wanted.hex()[:8])
    return reader


def is_valid(connection: sqlite3.Connection, token_hash: bytes, now_ms: int) -> bool:
    """Whether the token with this hash still lets somebody in."""
    return any(kept == token_hash for kept, _ in connection.execute(_VALID, (now_ms,)))


class Pace:
    """How often each token may ask: a reader who never rests must leave the others their turn.

    Args:
        monotonic: Seconds that never go back.
        rate: Requests a second, in the long run.
        burst: Requests at once.
    """

    def __init__(self, monotonic: Callable[[], float], *, rate: float = 50.0, burst: float = 200.0) -> None:
        self._make = partial(Allowance, monotonic, rate=rate, burst=burst)
        self._of: dict[str, Allowance] = {}
        self._lock = threading.Lock()

    def take(self, reader: Reader) -> bool:
        """Whether the reader may ask once more now."""
        with self._lock:
            # Only who was let in is counted, so there are no more of them than tokens.
            allowance = self._of.setdefault(reader.token, self._make())
        return allowance.take()


class Patience:
    """How often a peer may name a wrong token: a few times a minute.

    Args:
        monotonic: Seconds that never go back.
        most: Failures a peer has in a window.
        window_s: Length of the window.
    """

    def __init__(self, monotonic: Callable[[], float], *, most: int = 10, window_s: float = 60.0) -> None:
        self._monotonic = monotonic
        self._most = most
        self._window_s = window_s
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._lock = threading.Lock()

    def wait_s(self, peer: str) -> int:
        """Return how many seconds the peer has to wait before it may try again, 0 for none."""
        with self._lock:
            count, ends = self._failures.get(peer, (0, 0.0))
            left = ends - self._monotonic()
            return max(1, round(left)) if count >= self._most and left > 0 else 0

    def failed(self, peer: str) -> None:
        """Count a failure."""
        with self._lock:
            now = self._monotonic()
            count, ends = self._failures.pop(peer, (0, 0.0))
            self._failures[peer] = (count + 1, ends) if ends > now else (1, now + self._window_s)
            while len(self._failures) > _MOST_PEERS:
                self._failures.popitem(last=False)


_MOST_PEERS: Final = 4096
_MOST_SESSIONS: Final = 256
SESSION_S: Final = 8 * 3600


class Sessions:
    """Who is logged in to the page: in memory only, gone with the process.

    Args:
        monotonic: Seconds that never go back.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._open: OrderedDict[bytes, tuple[float, bytes]] = OrderedDict()
        self._lock = threading.Lock()
        self._form_key = secrets.token_bytes(32)

    def begin(self, token: str) -> str:
        """Return the secret of a new session for somebody with a token."""
        secret = secrets.token_urlsafe(32)
        with self._lock:
            self._open[_hash(secret)] = (self._monotonic() + SESSION_S, _hash(token))
            while len(self._open) > _MOST_SESSIONS:
                self._open.popitem(last=False)
        return secret

    def token_hash(self, secret: str) -> bytes | None:
        """Return the hash of the token a session was begun with, None where it is none or has ended."""
        if not 0 < len(secret) <= _MAX_TOKEN:
            return None
        with self._lock:
            ends, token = self._open.get(_hash(secret), (0.0, b""))
            return token if ends > self._monotonic() else None

    def end(self, secret: str) -> None:
        """Close a session."""
        with self._lock:
            self._open.pop(_hash(secret), None)

    def form_token(self, nonce: str) -> str:
        """Return what a form served with this cookie must bring back: another site cannot make one (CSRF)."""
        return hmac.new(self._form_key, nonce.encode(), sha256).hexdigest()

    def is_form(self, nonce: str, token: str) -> bool:
        """Whether the form was served by us to this browser."""
        return bool(nonce) and hmac.compare_digest(self.form_token(nonce).encode(), token.encode())


def _hash(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogatepass")).digest()
