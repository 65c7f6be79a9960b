"""What a running gate says on standard error: each condition once, and nothing line after line."""

import pytest

from edge.gate.announcer import AGAIN_S, Announcer
from edge.model.finding import Finding, Severity

LOST = Finding("camera.lost", Severity.STOP, {"source": 0, "name": "camera:0"})
OTHER = Finding("gate.other_key", Severity.DAMAGE, {"key": "1a2b3c4d", "enrolled": "5e6f7a8b"})


class Heard:
    """An announcer with a clock that is set by hand, and what it said."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.lines: list[str] = []
        self._announcer = Announcer(self.lines.append, clock=lambda: self.now)

    def tell(self, *findings: Finding, later_s: float = 1.0) -> list[str]:
        """Return what is said of the findings that hold, a moment later."""
        self.now += later_s
        self.lines.clear()
        self._announcer.tell(findings)
        return list(self.lines)


@pytest.fixture
def heard() -> Heard:
    """An announcer."""
    return Heard()


def test_a_condition_is_said_once_with_why_and_what_to_do(heard: Heard) -> None:
    """It stands on the page for an hour and on standard error once."""
    first = heard.tell(LOST)
    again = [heard.tell(LOST) for _ in range(3600)]

    assert len(first) == 1
    assert first[0].startswith("Camera lost (camera:0). No codes can be read until it is back; ")
    assert first[0].endswith(" Check the camera cable. If it stays lost, call the technician.")
    assert [line for lines in again for line in lines] == []


def test_the_most_urgent_is_said_first(heard: Heard) -> None:
    """A stop, then damage, then a warning, then the rest, as on the page."""
    said = heard.tell(Finding("source.finished", Severity.INFO), Finding("clock.floor"), OTHER, LOST)

    assert [line.split()[0] for line in said] == ["Camera", "Wrong", "The", "Recording"]
    assert said[1].startswith("Wrong key on this gate: 1a2b3c4d in place of 5e6f7a8b. device.key and enrolment.json")
    assert said[2].startswith("The gate clock is behind.")


def test_its_end_is_said(heard: Heard) -> None:
    """Whoever reads the journal knows how long it lasted."""
    heard.tell(LOST)

    assert (heard.tell(), heard.tell()) == (["Over: Camera lost (camera:0)."], [])


def test_what_comes_and_goes_is_not_said_line_after_line(heard: Heard) -> None:
    """A loose plug gives two lines, then at most two a minute."""
    lines = [line for _ in range(300) for line in heard.tell(LOST) + heard.tell()]

    assert 2 <= len(lines) <= 2 * (600 / AGAIN_S + 1)


def test_a_condition_that_came_back_for_good_is_said_again(heard: Heard) -> None:
    """It is not taken for over."""
    heard.tell(LOST)
    heard.tell()

    assert heard.tell(LOST, later_s=AGAIN_S) != []


def test_news_about_a_condition_waits_a_minute(heard: Heard) -> None:
    """A number that changes every second is said now and then, with its newest value."""
    counts = [heard.tell(Finding("scanner.child_restarted", params={"count": count})) for count in range(120)]

    assert [index for index, lines in enumerate(counts) if lines] == [0, 60]
    assert "(60 times)" in counts[60][0]


def test_two_cameras_are_two_conditions(heard: Heard) -> None:
    """The second one lost is news."""
    second = Finding("camera.lost", Severity.STOP, {"source": 1, "name": "camera:1"})
    heard.tell(LOST)

    assert len(heard.tell(LOST, second)) == 1
