"""Alarms on their way out: what is worth telling, an outbox on the disk, and a thread that empties it.

New incidents and gates that fell silent are put into `outbox`, once for each webhook, before anything is sent; what was
not taken is tried again with growing pauses, for three days. A message says what is on the hub's page and nothing of a
presentation: no token, no code, no identity.
"""

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from edge.errors import LedgerError
from edge.hub import fleet, incidents, pull, webhook
from edge.hub.hub import Hub
from edge.hub.webhook import Hook, Outcome

LOOK_S: Final = 5.0
"""Seconds between two looks for something to tell."""
PAUSES_S: Final = (5, 30, 120, 600, 3600, 4 * 3600)
"""Seconds until the next attempt, by how many there were; the last one repeats."""
MAX_AGE_MS: Final = 3 * 86_400_000
"""A message older than this is given up; the hub's page still shows what it said."""
MOST_WAITING: Final = 1000
"""Messages that wait for one webhook at most; further alarms go into the outbox when there is room."""
KEPT_MS: Final = 30 * 86_400_000
_AT_ONCE: Final = 50
_MOST_OPEN: Final = 10_000
_OLD: Final = "SELECT id, subject FROM outbox WHERE made_ms < ? AND state <> 'waiting'"
_LOG: Final = logging.getLogger("edge.hub")

Send = Callable[[Hook, str, bytes, int], Outcome]


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that is so now and worth telling once.

    Attributes:
        subject: Names this one occasion, the same at every look.
        kind: `incident.opened` or `gate.silent`.
        data: What the message says.
    """

    subject: str
    kind: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Waiting:
    """A row of the outbox, for people.

    Attributes:
        hook: `Hook.name`.
        subject: What it is about.
        state: `waiting`, `taken` or `given_up`.
        made_ms: When it was put there, Unix milliseconds.
        tries: How often it was sent.
        said: What came of the last attempt.
    """

    hook: str
    subject: str
    state: str
    made_ms: int
    tries: int
    said: str


def alarms(connection: sqlite3.Connection, now_ms: int, silent_s: int, *, with_silent: bool) -> list[Alarm]:
    """Return what is so now: open incidents, and gates that are silent."""
    places = {one.gate: one for one in fleet.gates(connection, now_ms, silent_s)}
    found = [_of_incident(one, places) for one in incidents.listed(connection, most=_MOST_OPEN, is_open=True)]
    if not with_silent:
        return found
    # A gate that is silent is not heard of, so the time it was last heard of names this one silence.
    heard = dict(connection.execute("SELECT gate, contact_ms FROM gates").fetchall())
    for gate, one in places.items():
        if one.state == "silent":
            data = {"gate": gate.hex(), "site": one.site, "lane": one.lane, "heard_at": pull.iso(heard[gate])}
            found.append(Alarm(f"silent/{gate.hex()}/{heard[gate]}", "gate.silent", data))
    return found


def _of_incident(one: incidents.Incident, places: dict[bytes, fleet.GateState]) -> Alarm:
    place = places.get(one.gate)
    data = {
        "incident": one.id,
        "kind": one.kind,
        "is_severe": one.kind in incidents.SEVERE,
        "gate": one.gate.hex() or None,
        "site": place.site if place else None,
        "lane": place.lane if place else None,
        "first_at": pull.iso(one.first_ms),
        "count": one.count,
    }
    return Alarm(f"incident/{one.id}", "incident.opened", data)


def listed(connection: sqlite3.Connection, most: int) -> list[Waiting]:
    """Return the outbox, the newest first."""
    rows = connection.execute(
        "SELECT hook, subject, state, made_ms, tries, said FROM outbox ORDER BY id DESC LIMIT ?", (most,)
    )
    return [Waiting(*row) for row in rows]


class Courier:
    """Tells the webhooks of one serving hub.

    Args:
        hub: An open hub.
        hooks: Who is told.
        send: Delivers one message once.
    """

    def __init__(self, hub: Hub, hooks: tuple[Hook, ...], *, send: Send = webhook.send) -> None:
        self._hub = hub
        self._hooks = hooks
        self._send = send
        self._began = hub.monotonic()
        self._stopping = threading.Event()

    def look(self) -> None:
        """Put what is new into the outbox, durably.

        Raises:
            LedgerError: The database cannot be used.
        """
        now_ms = self._hub.clock()
        # After a start nobody was heard of for as long as the hub was down: that is not the gates' silence.
        with_silent = self._hub.monotonic() - self._began > self._hub.silent_s
        with self._hub.readers.reader() as connection:
            found = alarms(connection, now_ms, self._hub.silent_s, with_silent=with_silent)
            known = set(connection.execute("SELECT hook, subject FROM outbox").fetchall())
            old = connection.execute(_OLD, (now_ms - KEPT_MS,)).fetchall()
        fresh = [(hook, one) for hook in self._hooks for one in found if (hook.name, one.subject) not in known]
        if fresh:
            self._hub.writer.do(lambda connection: self._put(connection, fresh, now_ms))
        # What was told long ago and is so no more would only make the table grow.
        current = {one.subject for one in found}
        gone = [(row,) for row, subject in old if subject not in current]
        if with_silent and gone:
            self._hub.writer.do(lambda connection: connection.executemany("DELETE FROM outbox WHERE id = ?", gone))

    def _put(self, connection: sqlite3.Connection, fresh: list[tuple[Hook, Alarm]], now_ms: int) -> None:
        waiting = dict(
            connection.execute("SELECT hook, count(*) FROM outbox WHERE state = 'waiting' GROUP BY hook").fetchall()
        )
        for hook, one in fresh:
            if waiting.get(hook.name, 0) >= MOST_WAITING:
                continue
            waiting[hook.name] = waiting.get(hook.name, 0) + 1
            named = sha256(self._hub.home.public + f"{one.subject}/{now_ms}".encode()).hexdigest()[:24]
            body = webhook.body_of(one.kind, pull.iso(now_ms), {"hub": self._hub.config.name, **one.data})
            connection.execute(
                "INSERT OR IGNORE INTO outbox(hook, subject, message, body, made_ms, due_ms) VALUES (?, ?, ?, ?, ?, ?)",
                (hook.name, one.subject, f"msg_{named}", body, now_ms, now_ms),
            )

    def deliver(self) -> None:
        """Send what is due, for each webhook until one message is not taken.

        Raises:
            LedgerError: The database cannot be used.
        """
        for hook in self._hooks:
            with self._hub.readers.reader() as connection:
                due = connection.execute(
                    "SELECT id, message, body, made_ms, tries FROM outbox WHERE hook = ? AND state = 'waiting' "
                    "AND due_ms <= ? ORDER BY id LIMIT ?",
                    (hook.name, self._hub.clock(), _AT_ONCE),
                ).fetchall()
            for row, message, body, made_ms, tries in due:
                if self._stopping.is_set():
                    return
                outcome = self._send(hook, message, body, self._hub.clock() // 1000)
                self._mark(hook, row, outcome, (made_ms, tries + 1))
                if not outcome.is_taken:
                    break

    def _mark(self, hook: Hook, row: int, outcome: Outcome, so_far: tuple[int, int]) -> None:
        made_ms, tries = so_far
        now_ms = self._hub.clock()
        due_ms = now_ms + 1000 * PAUSES_S[min(tries, len(PAUSES_S)) - 1]
        state = "waiting"
        if outcome.is_taken:
            state = "taken"
        elif outcome.is_final or due_ms - made_ms > MAX_AGE_MS:
            state = "given_up"
            _LOG.error("webhook %s: a message is given up after %d attempts: %s", hook.host, tries, outcome.said)
        elif tries == 1:
            _LOG.warning("webhook %s takes no messages: %s; tried again for three days", hook.host, outcome.said)
        self._hub.writer.do(
            lambda connection: connection.execute(
                "UPDATE outbox SET state = ?, tries = ?, due_ms = ?, said = ? WHERE id = ?",
                (state, tries, due_ms, outcome.said, row),
            )
        )

    def run(self) -> None:
        """Look and deliver until `stop`; blocks."""
        while not self._stopping.wait(LOOK_S):
            try:
                self.look()
                self.deliver()
            except LedgerError as failed:
                # The hub says so itself; what is in the outbox stays there.
                _LOG.warning("webhooks wait: %s", failed.message)
            except Exception:  # noqa: BLE001 - no row may end the thread that tells of the others
                _LOG.exception("a defect in telling webhooks; tried again")

    def stop(self) -> None:
        """Make `run` come to its end after the delivery under way."""
        self._stopping.set()


@contextmanager
def running(hub: Hub) -> Iterator[None]:
    """Tell the webhooks of `hub.toml` meanwhile, in a thread of its own.

    Raises:
        ConfigError: A webhook of `hub.toml` is not right.
    """
    hooks = webhook.load(hub.home.path)
    if not hooks:
        yield
        return
    courier = Courier(hub, hooks)
    thread = threading.Thread(target=courier.run, name="hub-courier", daemon=True)
    thread.start()
    try:
        yield
    finally:
        courier.stop()
        thread.join(2 * webhook.TIMEOUT_S)
