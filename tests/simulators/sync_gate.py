"""The gate's half of sync with a log in memory, a clock that is moved by hand and a hub that is a model."""

import os
import random
from collections.abc import Callable
from pathlib import Path

from nacl.signing import SigningKey

from edge.ledger import chain, device, facts
from edge.model.scan import Entry, EntryType, Facts, Head
from edge.model.settings import SyncSettings
from edge.sync.outbox import Outbox
from edge.sync.pusher import Job, Pusher, Result, perform
from edge.sync.session import Session
from edge.sync.store import SyncStore
from tests.simulators.hub import AT_MS, ModelHub

KEY = SigningKey(bytes(range(32)))


class MemoryLog:
    """A scan log in memory; see `edge.sync.outbox.Log`."""

    def __init__(self) -> None:
        self.epoch = os.urandom(8)
        self.all: list[Entry] = []
        self.purged = 0

    def add(self, count: int = 1, *, sealed_bytes: int = 0, at_ms: int = AT_MS) -> None:
        """Append entries, with a sealed field of random bytes where one is asked for."""
        for _ in range(count):
            body = facts.encode(Facts(EntryType.SCAN, at_ms + len(self.all)))
            head = chain.next_head(self.all[-1].head if self.all else chain.GENESIS, body)
            sealed = os.urandom(sealed_bytes) if sealed_bytes else None
            self.all.append(Entry(len(self.all) + 1, body, head, bytes(8), sealed))

    @property
    def head(self) -> Head | None:
        """Where it stands."""
        return Head(self.epoch, len(self.all), self.all[-1].head if self.all else chain.GENESIS)

    @property
    def first(self) -> int:
        """Number of the oldest entry."""
        return self.purged + 1

    def head_at(self, seq: int) -> bytes | None:
        """Return the chain hash at an entry."""
        if seq == 0 and not self.purged:
            return chain.GENESIS
        return self.all[seq - 1].head if self.purged <= seq <= len(self.all) and seq else None

    def entries(self, first: int, limit: int) -> list[Entry]:
        """Return entries from `first` on."""
        start = max(first, self.purged + 1) - 1
        return self.all[start : start + limit]


class SyncGate:
    """A gate's pusher, run step by step on a clock of its own.

    Args:
        hub: The model it talks to; it is one of its gates.
        path: Where `sync.db` lies.
        settings: When to push.
    """

    def __init__(self, hub: ModelHub, path: Path, settings: SyncSettings | None = None, key: SigningKey = KEY) -> None:
        self.hub = hub
        self.key = key
        self.id = device.gate_id(key.verify_key.encode())
        hub.gates[self.id] = key.verify_key.encode()
        self.path = path
        self.settings = settings or SyncSettings()
        self.log = MemoryLog()
        self.now = 1000.0
        self.tick = 0.25
        self.jobs: list[Job] = []
        self.start()

    def start(self) -> None:
        """Begin as a new process does: nothing is remembered but what is on the disk."""
        self.store = SyncStore(self.path)
        # A death of the process is what is played here, not a power cut: nothing waits for the disk.
        self.store._db.conn.execute("PRAGMA synchronous = OFF")
        self.outbox = Outbox(self.store, self.log, self.key)
        self.session = Session(self.settings, random.Random(1).random, was_online=self.store.was_online())
        self.pusher = Pusher(self.session, self.outbox, self.key, dict)

    def kill(self) -> None:
        """Die and begin again."""
        self.store.close()
        self.start()

    def next(self) -> Job | None:
        """Return the exchange that is due now."""
        return self.pusher.next(self.now, AT_MS + int(self.now * 1000), self.outbox.standing())

    def done(self, job: Job, result: Result) -> None:
        """Hand over a result."""
        self.pusher.done(job, result, self.now, AT_MS + int(self.now * 1000))

    def step(self) -> Job | None:
        """Carry out the exchange that is due, or let a tick of the clock pass."""
        job = self.next()
        if job is None:
            self.now += self.tick
            return None
        self.jobs.append(job)
        self.done(job, perform(job, self.hub, self.hub.keys))
        return job

    def run(self, seconds: float, until: Callable[[], bool] | None = None) -> None:
        """Go on for so many seconds of the gate's clock, or until something holds."""
        end = self.now + seconds
        while self.now < end and not (until is not None and until()):
            before = len(self.jobs)
            for _ in range(50):
                if self.step() is None:
                    break
            else:
                raise AssertionError(f"a hot loop: {self.jobs[before:][:5]}")

    @property
    def waiting(self) -> int:
        """Entries that no receipt covers."""
        return self.outbox.standing().backlog

    @property
    def is_whole(self) -> bool:
        """Whether the hub holds exactly this log."""
        head = self.log.head
        assert head is not None
        return self.hub.seqs(self.id, head.epoch) == list(range(1, head.seq + 1)) and (
            self.hub.head(self.id, head.epoch) == head.head
        )
