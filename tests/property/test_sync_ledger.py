"""Any interleaving of failures, deaths and lost databases gives the hub the same ledger as none at all."""

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from edge.ledger import wire
from edge.model.settings import SyncSettings
from tests.simulators.hub import Fault, ModelHub
from tests.simulators.sync_gate import SyncGate

SETTINGS = SyncSettings(push_at=3, push_after_s=5.0)
PATHS = ("", wire.BATCHES, wire.HEARTBEAT)
HOLED = frozenset((Fault.REFUSE, Fault.TOO_LARGE))
"""After these the hub was really offered later batches without an earlier one."""

Doing = tuple[str, object]

doings = st.one_of(
    st.tuples(st.just("add"), st.integers(1, 5)),
    st.tuples(st.just("run"), st.sampled_from([0.5, 1.0, 6.0, 40.0])),
    st.tuples(st.just("fail"), st.tuples(st.sampled_from(list(Fault)), st.sampled_from(PATHS))),
    st.tuples(st.just("fail on"), st.tuples(st.sampled_from(list(Fault)), st.sampled_from(PATHS))),
    st.tuples(st.just("heal"), st.none()),
    st.tuples(st.just("kill"), st.none()),
    st.tuples(st.just("lose sync.db"), st.none()),
    st.tuples(st.just("hub loses"), st.integers(1, 6)),
    st.tuples(st.just("network"), st.none()),
)


def do(gate: SyncGate, hub: ModelHub, doing: Doing) -> None:  # noqa: PLR0912  # one case a doing
    """Let one thing happen."""
    match doing:
        case "add", int(count):
            gate.log.add(count)
        case "run", float(seconds):
            gate.run(seconds)
        case "fail", (Fault() as fault, str(path)):
            hub.fail(fault, path=path)
        case "fail on", (Fault() as fault, str(path)):
            hub.always = (fault, path)
        case "heal", _:
            hub.always = None
        case "kill", _:
            gate.kill()
        case "lose sync.db", _:
            gate.store.close()
            for part in gate.path.parent.glob("sync.db*"):
                part.unlink()
            gate.start()
        case "hub loses", int(count):
            log = hub.logs.get((gate.id, gate.log.epoch))
            if log is not None:
                del log.entries[-count:]
        case "network", _:
            gate.session.on_network_changed(gate.now)
        case _:
            raise AssertionError(doing)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(doings, max_size=14))
@example([("add", 3), ("fail", (Fault.LOSE, wire.BATCHES)), ("run", 1.0), ("lose sync.db", None), ("add", 2)])
@example(
    [("add", 3), ("fail on", (Fault.REFUSE, wire.BATCHES)), ("run", 6.0), ("heal", None), ("add", 3), ("run", 6.0)]
)
@example(
    [("add", 4), ("fail on", (Fault.BROKEN, wire.BATCHES)), ("run", 40.0), ("add", 4), ("run", 40.0), ("kill", None)]
)
@example(
    [("add", 5), ("run", 6.0), ("hub loses", 4), ("add", 1), ("fail", (Fault.LOSE, "")), ("run", 6.0), ("hub loses", 2)]
)
def test_every_interleaving_ends_in_the_same_ledger(history: list[Doing]) -> None:
    """Once the hub behaves, it holds exactly the gate's log, once, in order, and nothing waits at the gate."""
    with tempfile.TemporaryDirectory() as folder:
        hub = ModelHub()
        gate = SyncGate(hub, Path(folder) / "sync.db", SETTINGS)
        gate.tick = 0.5
        for doing in history:
            do(gate, hub, doing)
        hub.always = None
        hub.faults.clear()
        gate.log.add(1)

        gate.run(700, until=lambda: gate.waiting == 0)

        assert gate.is_whole
        assert gate.waiting == 0
        assert gate.store.batches() == []
        assert "fork" not in hub.evidence
        faults = {detail[0] for name, detail in history if name.startswith("fail") and isinstance(detail, tuple)}
        loses = any(name == "hub loses" for name, _ in history)
        assert "gap" not in hub.evidence or loses or faults & HOLED
        gate.store.close()
