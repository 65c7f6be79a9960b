"""A scan log under any sequence of what a gate's day may bring is a plain list with a head."""

import tempfile
from dataclasses import replace
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from edge.ledger import chain, facts
from edge.model.moment import ClockQuality, Moment
from edge.model.scan import Entry, EntryType, Facts
from edge.scanlog.log import ScanLog
from edge.scanlog.reader import ScanLogReader
from edge.scanlog.retention import Retention
from tests.simulators.ledger import DEVICE, EPOCH, GATE, HUB_KEYS, START_MS, head_at, receipt, scan, token

RETENTION_S = 100
RULE = Retention(GATE, HUB_KEYS, retention_s=RETENTION_S)
YEARS_MS = 10 * 365 * 86_400_000

STEPS = st.one_of(
    st.tuples(st.just("append"), st.integers(0, 300), st.booleans()),
    st.tuples(st.just("append far off"), st.sampled_from([-START_MS, -YEARS_MS, YEARS_MS]), st.booleans()),
    st.tuples(st.just("reopen"), st.none(), st.none()),
    st.tuples(st.just("checkpoint"), st.none(), st.none()),
    st.tuples(st.just("erase"), st.integers(0, 300), st.none()),
    st.tuples(st.just("purge"), st.integers(0, 400), st.sampled_from(ClockQuality)),
)


class Model:
    """What the log should hold: entries in a list, and what a purge may take."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.seq, self.head, self.gone = 0, chain.GENESIS, 0

    def append(self, stated: Facts, private: bytes | None) -> None:
        """Chain one entry."""
        body = facts.encode(stated)
        self.seq, self.head = self.seq + 1, chain.next_head(self.head, body)
        self.entries.append(Entry(self.seq, body, self.head, private))

    def erase(self, before_ms: int) -> None:
        """Forget old tokens."""
        self.entries = [
            replace(entry, token=None) if facts.decode(entry.body).at_ms < before_ms else entry
            for entry in self.entries
        ]

    def purge(self, covered: int, moment: Moment) -> Facts | None:
        """Let rows go: covered, none of them young, and an old one last."""
        oldest_ms = moment.unix_ms - RETENTION_S * 1000
        going: list[Entry] = []
        for entry in self.entries[:]:
            at_ms = facts.decode(entry.body).at_ms
            if entry.seq > covered or oldest_ms < at_ms <= moment.unix_ms:
                break
            going.append(entry)
        while going and facts.decode(going[-1].body).at_ms > oldest_ms:
            going.pop()
        if moment.quality is ClockQuality.DOUBTFUL or all(
            facts.decode(entry.body).type is EntryType.PURGE for entry in going
        ):
            return None
        last = going[-1].seq
        stated = Facts(
            EntryType.PURGE, moment.unix_ms, quality=int(moment.quality), count=last - self.gone, refers_to=last
        )
        self.entries, self.gone = self.entries[len(going) :], last
        self.append(stated, None)
        return stated


@given(st.lists(STEPS, max_size=25))
@settings(max_examples=25, deadline=None)
def test_a_log_is_a_list_with_a_head(steps: list[tuple[str, int, object]]) -> None:
    """Appends under any clock, restarts, WAL checkpoints, erasures, purges in any order: all agree."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scans.db"
        log, model = ScanLog.open(path, epoch=EPOCH), Model()
        for kind, number, more in steps:
            if kind.startswith("append"):
                at_ms = START_MS + number * (1000 if kind == "append" else 1)
                private = token(number) if more else None
                log.append(replace(scan(), at_ms=at_ms), token=private)
                model.append(replace(scan(), at_ms=at_ms), private)
            elif kind == "reopen":
                log.close()
                log = ScanLog.open(path)
            elif kind == "checkpoint":
                log.checkpoint()
            elif kind == "erase":
                log.erase_tokens(START_MS + number * 1000)
                model.erase(START_MS + number * 1000)
            else:
                covered = max(model.gone, model.seq - number % 5)
                moment = Moment(START_MS + number * 1000, ClockQuality(more))
                signed = receipt(head_at(log, covered))
                assert log.purge([signed], RULE, moment, key=DEVICE) == model.purge(covered, moment)
        reader = ScanLogReader(path)

        assert log.entries(1, 100) == model.entries == reader.entries(1, 100)
        assert (log.head.seq, log.head.head) == (model.seq, model.head)
        assert log.head == log.verify() == reader.verify()
        assert reader.first == model.gone + 1
        log.close()
