"""The hub as it ships, asked directly or over HTTP by a simulated gate, and what its ledger holds."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from edge.errors import Unreachable
from edge.hub.desk import Desk
from edge.hub.hub import Declined, Hub
from edge.hub.roster import Place
from edge.ledger import batch, enrolment, wire
from edge.sync.transport import Answer, Question, Transport
from tests.simulators.hub import ModelHub
from tests.simulators.hub_gates import START_MS
from tests.simulators.sync_gate import SyncGate


class DirectHub(ModelHub):
    """An open hub in this process, behind a way that drops, loses and doubles.

    Args:
        hub: The hub.
    """

    def __init__(self, hub: Hub) -> None:
        super().__init__(hub.home.key)
        self.real = hub
        self.way = "there"
        self.sent: list[bytes] = []

    def exchange(self, question: Question) -> Answer:
        """Ask the hub over the way."""
        if self.way == "dropped":
            raise Unreachable("dropped")
        if question.path == wire.BATCHES:
            self.sent.append(question.body)
        for _ in range(2 if self.way == "twice" else 1):
            answer = (self.real.take if question.path == wire.BATCHES else self.real.heartbeat)(question.body)
        if self.way == "answer lost":
            raise Unreachable("the answer was lost")
        return Answer(403, b"") if isinstance(answer, Declined) else Answer(200, answer)


class RemoteHub(ModelHub):
    """A hub behind a transport.

    Args:
        home: Its open folder, for its key.
        transport: The way to it.
    """

    def __init__(self, home: Desk, transport: Transport) -> None:
        super().__init__(home.home.key)
        self.transport = transport

    def exchange(self, question: Question) -> Answer:
        """Ask over the transport."""
        return self.transport.exchange(question)

    def hold(self) -> bool:
        """Look after the idle connection."""
        return self.transport.hold()

    def close(self) -> None:
        """Let go of it."""
        self.transport.close()


def enrol(take: Callable[[bytes], object], desk: Desk, gate: SyncGate) -> None:
    """Make a simulated gate one of the hub's."""
    token = enrolment.open_invitation(desk.invite(Place("North", "1", 610100), 24).code.encode()).token
    request = enrolment.EnrolmentRequest(token, gate.key.verify_key.encode(), START_MS)
    assert isinstance(take(enrolment.make_request(request, gate.key)), bytes)


def held(database: Path, gate: bytes) -> list[tuple[int, bytes]]:
    """Return number and chain hash of every entry held of a gate, in the order of the hub's numbers."""
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        rows = connection.execute(
            "SELECT b.wire, b.hub_first, b.hub_last, g.public FROM batches AS b "
            "JOIN logs AS l ON l.id = b.log JOIN gates AS g ON g.id = l.gate WHERE g.gate = ? ORDER BY b.hub_first",
            (gate,),
        ).fetchall()
    found: list[tuple[int, bytes]] = []
    for data, first, last, public in rows:
        entries = batch.open_batch(data, public).entries
        # Where batches overlap, the one that was written first holds the entry.
        found += [(entry.seq, entry.head) for entry in entries[len(entries) - (last - first + 1) :]]
    return found
