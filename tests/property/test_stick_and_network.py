"""Any mix of network and stick, with lost answers, repetitions and old sticks, gives the gate's own log (P3)."""

import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from edge.hub.hub import Declined, Hub
from edge.model.settings import SyncSettings
from edge.sync.stick import export, take_receipts
from tests.simulators.hub_gates import Clock, begin
from tests.simulators.real_hub import DirectHub, enrol, held
from tests.simulators.stick_import import files_on, import_stick
from tests.simulators.sync_gate import AT_MS, SyncGate

SETTINGS = SyncSettings(push_at=3, push_after_s=5.0)
WAYS = ("there", "dropped", "answer lost", "twice")


class Mixture(RuleBasedStateMachine):
    """One gate, one hub, one stick and copies of it from earlier days."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        desk = begin(self.folder / "hub", Clock(AT_MS))
        hub = Hub.open(self.folder / "hub", clock=Clock(AT_MS))
        # Deaths of processes are what is played here, not power cuts.
        self.hub = DirectHub(hub)
        self.gate = SyncGate(self.hub, self.folder / "sync.db", SETTINGS)
        self.gate.tick = 0.5
        self.stick = self.folder / "stick"
        self.stick.mkdir()
        self.copies: list[Path] = []
        enrol(hub.enrol, desk, self.gate)

    @rule(count=st.integers(1, 6))
    def scan(self, count: int) -> None:
        """People pass."""
        self.gate.log.add(count)

    @rule(seconds=st.sampled_from([1.0, 6.0, 40.0]), way=st.sampled_from(WAYS))
    def network(self, seconds: float, way: str) -> None:
        """There is a network for a while."""
        self.hub.way = way
        self.gate.run(seconds)

    @rule(limit=st.sampled_from([0, 700, 1 << 20]))
    def write(self, limit: int) -> None:
        """Somebody brings the stick to the gate."""
        keys = self.hub.keys
        take_receipts(self.gate.outbox, self.stick, keys, AT_MS)
        export(self.gate.outbox, self.stick, limit=limit, tell=lambda _done, _of: None)

    @rule()
    def keep_a_copy(self) -> None:
        """The stick as it is today, to be found again later."""
        copy = self.folder / f"copy-{len(self.copies)}"
        shutil.copytree(self.stick, copy)
        self.copies.append(copy)

    @rule(backwards=st.booleans(), is_lost=st.booleans())
    def carry(self, *, backwards: bool, is_lost: bool) -> None:
        """The stick comes to the hub; on some days its receipts are lost on the way back."""
        import_stick(self.stick, self.post, backwards=backwards)
        if is_lost:
            for file in self.stick.glob("*/*/receipts"):
                file.unlink()

    @precondition(lambda self: self.copies)
    @rule(data=st.data(), backwards=st.booleans())
    def carry_an_old_copy(self, data: st.DataObject, *, backwards: bool) -> None:
        """An old stick is imported again, and its receipts are brought to the gate."""
        copy = data.draw(st.sampled_from(self.copies))
        import_stick(copy, self.post, backwards=backwards)
        take_receipts(self.gate.outbox, copy, self.hub.keys, AT_MS)

    @precondition(lambda self: self.hub.sent)
    @rule(data=st.data())
    def replay(self, data: st.DataObject) -> None:
        """Somebody posts again what was posted before."""
        self.post(data.draw(st.sampled_from(self.hub.sent)))

    @rule(keep=st.integers(0, 400))
    def tear(self, keep: int) -> None:
        """The stick was pulled out in the middle of a write: its newest file is cut short."""
        for file in files_on(self.stick)[-1:]:
            file.write_bytes(file.read_bytes()[:keep])

    @rule()
    def die(self) -> None:
        """The sync part is killed."""
        self.gate.kill()

    @rule()
    def lose_the_database(self) -> None:
        """`sync.db` is gone."""
        self.gate.store.close()
        for part in self.folder.glob("sync.db*"):
            part.unlink()
        self.gate.start()

    @invariant()
    def the_hub_holds_the_beginning_of_the_log(self) -> None:
        """Every entry once, in order, and none that the gate did not record."""
        at_hub = self.held

        assert at_hub == [(entry.seq, entry.head) for entry in self.gate.log.all[: len(at_hub)]]

    @invariant()
    def nothing_is_let_go_that_the_hub_lacks(self) -> None:
        """A receipt never covers more than the hub holds."""
        taken = self.gate.store.taken(self.gate.log.epoch)

        assert taken is None or taken.last <= len(self.held)

    @property
    def held(self) -> list[tuple[int, bytes]]:
        """What the hub holds of the gate."""
        return held(self.folder / "hub" / "hub.db", self.gate.id)

    def post(self, body: bytes) -> bytes:
        """Post as the importer does."""
        answer = self.hub.real.take(body)
        assert not isinstance(answer, Declined)
        return answer

    def teardown(self) -> None:
        """Once the network stays, the hub holds the whole log and nothing waits."""
        try:
            self.hub.way = "there"
            self.gate.log.add(1)
            self.gate.run(700, until=lambda: self.gate.waiting == 0)

            assert len(self.held) == len(self.gate.log.all)
            assert self.gate.store.batches() == []
            self.the_hub_holds_the_beginning_of_the_log()
        finally:
            self.gate.store.close()
            self.hub.real.close()
            shutil.rmtree(self.folder)


TestMixture = Mixture.TestCase
TestMixture.settings = settings(
    max_examples=40, stateful_step_count=14, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
