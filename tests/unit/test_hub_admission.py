"""The row of slots learns the hub's pace: quickly at first, and slow moments pass afterwards."""

from edge.hub.admission import Admission


class Line:
    """A hub of one place that is always taken, on a clock moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.admission = Admission(lambda: self.now, at_once=1)

    def work(self, posts: int, each_s: float) -> None:
        """Let posts follow each other, each of a duration."""
        for _ in range(posts):
            with self.admission.entered() as slot_s:
                assert not slot_s
                self.now += each_s

    def slots(self, count: int) -> list[int]:
        """Return the slots that so many gates get while the hub is full."""
        with self.admission.entered():
            return [self.admission.slot_s() for _ in range(count)]


def test_a_slow_hub_spreads_a_crowd_after_a_few_posts() -> None:
    """Three hundred gates at ten posts a second are not called back within the next two seconds."""
    line = Line()
    line.work(40, 0.1)

    last = line.slots(300)[-1]

    assert 0.5 * 300 * 0.1 < last <= 300 * 0.1


def test_a_quick_hub_is_not_slowed_by_slow_moments_later() -> None:
    """A slot once given too late leaves the hub idle: after the first posts a slow one hardly counts."""
    line = Line()
    line.work(100, 0.001)
    line.work(10, 0.5)

    assert line.slots(300)[-1] <= 2


def test_slow_first_moments_are_forgotten_by_quick_posts() -> None:
    """Every gate's first heartbeat after an outage is one."""
    line = Line()
    line.work(10, 0.5)
    line.work(100, 0.001)

    assert line.slots(300)[-1] <= 2
