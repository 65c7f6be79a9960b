"""What may cover what on the staff page: each rule driven through the machine of `paint.js` with a clock of its own.

The machine is the page's own file, run in the browser that runs the page; times are milliseconds of no real clock.
"""

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from edge.demo.people import EXPECTED, round_of
from edge.kiosk.link_file import Link
from edge.kiosk.view import missed_entry, state_view, strip_entry, verdict_view
from tests.simulators import gate_socket
from tests.simulators.gate_socket import standing

PAINT = Path(__file__).parents[2] / "edge" / "kiosk" / "static" / "paint.js"
OUTCOMES = ("accept", "refer", "reject")
SETUP = {
    "language": "zh",
    "order": ["zh", "en"],
    "override": True,
    "notes": ["document_checked", "medical"],
    "notHolder": {
        "zh": {"title": "不是本人", "detail": "d", "next": "n"},
        "en": {"title": "Not", "detail": "", "next": ""},
    },
}

_RUN = """async ({setup, steps}) => {
  const m = await import('http://machine.test/paint.js');
  let s = m.begin(setup, 0);
  return steps.map(([at, event]) => {
    s = m.step(s, event, at);
    const {kind, shown} = m.screen(s);
    const {seq, mixed, missed, holders} = shown || {seq: 0, holders: []};
    return {
      kind, seq, mixed: mixed || 0, missed: missed || 0, holders: holders.length, waiting: s.queue.length,
      strip: s.strip.map((entry) => entry.label || `${entry.outcome} ${entry.seq}`),
      actions: m.actions(s), effects: s.effects, notice: s.notice && s.notice.key, panel: s.panel && s.panel.kind,
      language: s.language, wakes: m.wakes(s), whole: JSON.stringify({...s, effects: []}),
    };
  });
}"""

Step = tuple[float, dict[str, Any]]
Machine = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    """A page with nothing on it but the machine."""
    made = browser.new_page()
    made.route("http://machine.test/", lambda route: route.fulfill(body="<!doctype html>", content_type="text/html"))
    made.route(
        "http://machine.test/paint.js",
        lambda route: route.fulfill(body=PAINT.read_text(encoding="utf-8"), content_type="text/javascript"),
    )
    made.goto("http://machine.test/")
    yield made
    made.close()


@pytest.fixture
def machine(page: Page) -> Machine:
    """Run steps of (milliseconds, event) from a live, idle page; return what each left."""

    def run(*steps: Step) -> list[dict[str, Any]]:
        first: Step = (0, snapshot())
        return page.evaluate(_RUN, {"setup": SETUP, "steps": [first, *steps]})[1:]

    return run


def snapshot(*, verdict: dict[str, Any] | None = None, age_ms: int = 0, still: tuple[int, ...] = ()) -> dict[str, Any]:
    """Return the first message of a connection; `still` are rejects nobody has acknowledged."""
    entries = [strip_entry(show("reject", seq)) for seq in still]
    return {"type": "snapshot", "state": state(), "verdict": verdict, "age_ms": age_ms, "open": entries, "token": "t"}


def state(**changes: Any) -> dict[str, Any]:
    """Return a state as the web part tells it."""
    return state_view(standing(**changes), elapsed_s=0, link=Link("online", 1, 0))


def show(outcome: str, seq: int, **changes: Any) -> dict[str, Any]:
    """Return a verdict as the web part tells it, named by its number."""
    message = getattr(gate_socket, outcome)(seq, **changes)
    return verdict_view(message, ident=f"v{seq}", gate="a7f3")


def key(name: str) -> dict[str, Any]:
    """Return a key."""
    return {"type": "key", "key": name}


TICK = {"type": "tick"}
DOWN = {"type": "down"}
UNWRITABLE = {"findings": [{"code": "log.unwritable", "severity": "stop", "params": {}}], "admitting": False}


def alive(until_ms: int) -> list[Step]:
    """Return heartbeats that keep the page live."""
    return [(at, state()) for at in range(4000, until_ms, 4000)]


def test_an_accept_needs_no_key_and_clears_after_four_seconds(machine: Machine) -> None:
    """Green at once, still there just before four seconds, gone at four."""
    left = machine((100, show("accept", 1)), (4099, TICK), (4100, TICK))

    assert [step["kind"] for step in left] == ["accept", "accept", "idle"]
    assert left[-1]["strip"] == []


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_the_next_code_replaces_an_accept_at_once(machine: Machine, outcome: str) -> None:
    """Nobody waits for a green to run out."""
    left = machine((0, show("accept", 1)), (1, show(outcome, 2)))

    assert (left[1]["kind"], left[1]["seq"], left[1]["strip"]) == (outcome, 2, [])


@pytest.mark.parametrize("first", ["reject", "refer"])
@pytest.mark.parametrize("second", OUTCOMES)
def test_a_red_or_amber_is_not_painted_over_within_three_seconds(machine: Machine, first: str, second: str) -> None:
    """An accomplice's code that follows at once waits, then shows, and the first stays as a strip."""
    left = machine((0, show(first, 1)), (10, show(second, 2)), (2999, TICK), (3000, TICK))

    assert [step["seq"] for step in left] == [1, 1, 1, 2]
    assert [step["kind"] for step in left] == [first, first, first, second]
    assert left[2]["waiting"] == 1
    assert left[3]["strip"] == [f"{first} 1"]


@pytest.mark.parametrize("first", ["reject", "refer"])
def test_after_three_seconds_the_next_code_shrinks_it_to_the_strip(machine: Machine, first: str) -> None:
    """The next person is answered at once, and the strip stays through the green and after it."""
    left = machine((0, show(first, 1)), (3000, show("accept", 2)), (4000, state()), (7000, TICK), (8000, state()))

    assert [step["kind"] for step in left] == [first, "accept", "accept", "idle", "idle"]
    assert left[-1]["strip"] == [f"{first} 1"]


def test_a_reject_clears_after_eight_seconds_into_the_strip(machine: Machine) -> None:
    """Nobody pressed a key: the screen is free for the next, and the red is still to be acknowledged."""
    left = machine((0, show("reject", 1)), (4000, state()), (7999, TICK), (8000, TICK))

    assert [step["kind"] for step in left] == ["reject", "reject", "reject", "idle"]
    assert left[-1]["strip"] == ["reject 1"]


def test_a_refer_stays_until_a_key(machine: Machine) -> None:
    """Ten minutes later it still shows; then a key takes it away without a strip."""
    later_ms = 600_000
    left = machine((0, show("refer", 1)), *alive(later_ms), (later_ms, TICK), (later_ms, key("next")))

    assert [step["kind"] for step in left[-2:]] == ["refer", "idle"]
    assert left[-1]["strip"] == []


@pytest.mark.parametrize("outcome", ["reject", "refer"])
def test_a_key_acknowledges_a_red_or_amber(machine: Machine, outcome: str) -> None:
    """It goes, leaves no strip, and the other pages are told."""
    left = machine((0, show(outcome, 1)), (400, key("next")))

    assert (left[1]["kind"], left[1]["strip"]) == ("idle", [])
    assert left[1]["effects"] == [{"do": "ack", "ids": ["v1"]}]


def test_a_key_meant_for_the_last_person_acknowledges_nothing(machine: Machine) -> None:
    """Space pressed in the instant a red appears was not pressed for the red."""
    left = machine((0, show("accept", 1)), (1000, show("reject", 2)), (1399, key("next")), (1400, key("next")))

    assert [step["kind"] for step in left] == ["accept", "reject", "reject", "idle"]


def test_a_key_on_a_green_leaves_the_strip_alone(machine: Machine) -> None:
    """One press does one thing: first the green goes, the next press acknowledges the strip."""
    left = machine(
        (0, show("reject", 1)), (3000, show("accept", 2)), (3500, key("next")), (3600, key("next")), (3700, key("next"))
    )

    assert [step["strip"] for step in left[1:]] == [["reject 1"], ["reject 1"], [], []]
    assert left[3]["effects"] == [{"do": "ack", "ids": ["v1"]}]
    assert left[4]["effects"] == []


def test_reds_stand_before_ambers_in_the_strip(machine: Machine) -> None:
    """Whatever came last, the strip begins with the gravest."""
    left = machine(
        (0, show("reject", 1)),
        (3000, show("refer", 2)),
        (6000, show("reject", 3)),
        (9000, show("refer", 4)),
        (9001, state()),
        (12_000, show("accept", 5)),
    )

    assert left[-1]["strip"] == ["reject 3", "reject 1", "refer 4", "refer 2"]


def said(*idents: str) -> dict[str, Any]:
    """Return the effect that tells the gate of accepts which this page will never paint green."""
    return {"do": "not_shown", "ids": list(idents)}


BEHIND_TWO_REDS: list[Step] = [
    (0, show("reject", 1)),
    (100, show("reject", 2)),
    (200, show("accept", 3)),
    (3000, TICK),
    (5999, state()),
]


def test_a_green_that_comes_too_late_is_an_amber_of_its_own(machine: Machine) -> None:
    """After two reds its turn comes at six seconds: it fills the screen as a CHECK, sounds as one, and is said."""
    left = machine(*BEHIND_TWO_REDS, (6000, TICK))

    assert [(step["kind"], step["seq"]) for step in left[-2:]] == [("reject", 2), ("refer", 3)]
    assert (left[-1]["missed"], left[-1]["strip"], left[-1]["waiting"]) == (1, ["reject 2", "reject 1"], 0)
    assert left[-1]["effects"] == [said("v3"), {"do": "sound", "kind": "refer"}]


def test_a_late_amber_keeps_the_rules_of_an_amber(machine: Machine) -> None:
    """Nothing covers it for three seconds; it stays until a key, or the next person's code shrinks it to the strip."""
    late: list[Step] = [*BEHIND_TWO_REDS, (6000, TICK)]
    covered = machine(*late, (6100, show("accept", 4)), (8999, TICK), (9000, TICK))
    pressed = machine(*late, *[(at, state()) for at in range(9000, 60_000, 4000)], (60_000, key("next")))

    assert [step["kind"] for step in covered[-3:]] == ["refer", "refer", "accept"]
    assert covered[-1]["strip"] == ["reject 2", "reject 1", "missed.strip"]
    assert [step["kind"] for step in pressed[-2:]] == ["refer", "idle"]
    assert pressed[-1]["effects"] == [{"do": "ack", "ids": ["v3"]}]
    assert pressed[-1]["strip"] == ["reject 2", "reject 1"]


def test_a_late_amber_names_nobody_and_lets_nobody_through(machine: Machine) -> None:
    """Nothing of the holder is left in the machine; it can be noted, and no key overrides what can be shown again."""
    left = machine(*BEHIND_TWO_REDS, (6000, TICK))

    assert not [text for text in ("张", "1988", "3416") if text in left[-1]["whole"]]
    assert left[-1]["actions"] == ["next", "note"]


def test_a_green_that_waits_no_longer_than_it_may_is_green(machine: Machine) -> None:
    """At four seconds after it came it is painted; a millisecond later it is an amber."""
    reds: list[Step] = [(0, show("reject", 1)), (100, show("reject", 2))]
    within = machine(*reds, (2000, show("accept", 3)), (3000, TICK), (6000, TICK))
    after = machine(*reds, (1999, show("accept", 3)), (3000, TICK), (6000, TICK))

    assert (within[-1]["kind"], after[-1]["kind"]) == ("accept", "refer")
    assert said("v3") not in within[-1]["effects"]


def test_a_late_amber_stands_for_its_three_seconds_however_old_the_green_was(machine: Machine) -> None:
    """The age of what came with a snapshot is the green's, not the amber's."""
    left = machine(
        (0, snapshot(verdict=show("accept", 1), age_ms=4100)), (1, show("reject", 2)), (2999, TICK), (3000, TICK)
    )

    assert [step["kind"] for step in left] == ["refer", "refer", "refer", "reject"]


def test_greens_that_are_too_late_are_told_in_one_amber_when_nobody_else_waits(machine: Machine) -> None:
    """One amber for three people, behind whoever is still in time: each would make those behind it late in turn."""
    left = machine(
        (0, show("reject", 1)),
        (100, show("reject", 2)),
        *[(200 + seq, show("accept", seq)) for seq in (3, 4, 5)],
        (3000, TICK),
        (5500, show("accept", 6)),
        (6000, TICK),
        (7000, TICK),
    )

    assert [(step["kind"], step["seq"], step["missed"]) for step in left[-2:]] == [("accept", 6, 0), ("refer", 3, 3)]
    assert left[-2]["effects"][0] == said("v3", "v4", "v5")


def test_a_late_green_of_two_is_said_for_both(machine: Machine) -> None:
    """Both were recorded, and both must show again."""
    left = machine(
        (0, show("reject", 1)),
        (100, show("reject", 2)),
        (200, show("accept", 3, together=2)),
        (201, show("accept", 4, together=2)),
        (3000, TICK),
        (6000, TICK),
    )

    assert (left[-1]["kind"], left[-1]["missed"], left[-1]["holders"]) == ("refer", 2, 0)
    assert left[-1]["effects"][0] == said("v3", "v4")


def test_a_green_that_finds_the_queue_full_is_told_though_reds_never_end(machine: Machine) -> None:
    """It cannot be in time and is said at once; it evicts no red, and lets others go first for fifteen seconds."""
    left = machine(
        (0, show("reject", 1)),
        *[(seq, show("reject", seq)) for seq in range(2, 8)],
        (10, show("accept", 8)),
        (11, show("accept", 9)),
        *[(at, state()) for at in range(3000, 21_001, 3000)],
    )

    assert [step["effects"] for step in left[7:9]] == [[said("v8")], [said("v9")]]
    assert {step["waiting"] for step in left[6:9]} == {6}
    assert [(step["kind"], step["seq"]) for step in left[9:]] == [
        *[("reject", seq) for seq in range(2, 7)],
        ("refer", 8),
        ("reject", 7),
    ]
    assert left[-2]["missed"] == 2


def test_one_late_green_does_not_make_the_next_ones_late(machine: Machine) -> None:
    """The demo's people without a pause, a third of them refused.

    With an amber at once for each late green the page falls behind for good and shows one green of fourteen.
    """
    outcomes = [EXPECTED[part.case].outcome for number in range(5) for part in round_of(number, 1)]
    people = [(2200 * at, show(outcome, 1 + at)) for at, outcome in enumerate(outcomes)]
    ticks = [(at, state()) for at in range(50, 2200 * len(people) + 20_000, 200)]
    left = machine(*sorted([*people, *ticks], key=lambda step: step[0]))
    greens = {step["seq"] for step in left if step["kind"] == "accept"}

    assert len(greens) > 0.9 * outcomes.count("accept")


def test_a_flood_of_greens_behind_a_red_takes_no_memory(machine: Machine) -> None:
    """Two hundred admissions in one red's time end as one amber that counts them."""
    left = machine((0, show("reject", 1)), *[(10 * seq, show("accept", seq)) for seq in range(2, 202)], (3000, TICK))

    assert left[-2]["waiting"] == 6
    assert max(len(step["whole"]) for step in left) < 100_000
    idents = [
        ident for step in left for effect in step["effects"] if effect["do"] == "not_shown" for ident in effect["ids"]
    ]
    assert len(idents) == len(set(idents))


def test_a_green_that_is_no_green_for_another_reason_is_said_too(machine: Machine) -> None:
    """Half of two codes, or a gate that cannot record by now: whoever shows again must get an honest answer."""
    half = machine((0, show("accept", 1, together=2)), (1000, TICK))
    beside = machine((0, show("accept", 1, together=2)), (1, show("refer", 2, together=2)))
    waiting = machine((0, show("reject", 1)), (10, show("accept", 2)), (20, state(**UNWRITABLE)), (3000, TICK))

    assert said("v1") in half[-1]["effects"]
    assert said("v1") in beside[-1]["effects"]
    assert (waiting[-1]["kind"], waiting[-1]["missed"]) == ("refer", 0)
    assert said("v2") in waiting[-1]["effects"]


def test_a_green_that_waited_while_the_page_was_lost_is_told_when_it_is_live_again(machine: Machine) -> None:
    """It is said at once, not painted on a page that is not live, and not buried in the strip."""
    left = machine(
        (0, show("reject", 1)), (10, show("accept", 2)), (20, DOWN), (2520, TICK), (9000, TICK), (9500, state())
    )

    assert [step["kind"] for step in left[-3:]] == ["lost", "lost", "refer"]
    assert (left[3]["effects"], left[3]["strip"]) == ([said("v2")], ["reject 1"])
    assert (left[-1]["missed"], left[-1]["effects"]) == (1, [{"do": "sound", "kind": "refer"}])
    assert "张" not in left[3]["whole"]


@pytest.mark.parametrize("how", ["verdict", "snapshot"])
def test_a_green_that_makes_a_lost_page_live_is_seen_before_the_late_one_is_told(machine: Machine, how: str) -> None:
    """Painted and covered in one step it would count as shown, and nobody would have seen it."""
    first = show("accept", 3) if how == "verdict" else snapshot(verdict=show("accept", 3))
    left = machine(
        (0, show("reject", 1)),
        (10, show("accept", 2)),
        (20, DOWN),
        (2520, TICK),
        (5000, first),
        (5999, TICK),
        (6000, TICK),
    )

    assert [(step["kind"], step["seq"]) for step in left[-3:]] == [("accept", 3), ("accept", 3), ("refer", 2)]


def test_a_late_amber_in_the_snapshot_is_not_there_twice(machine: Machine) -> None:
    """The web part keeps it too, once every page has said it: whichever of the two is left, it is one."""
    kept = snapshot()
    kept["open"] = [missed_entry(show("accept", 3))]
    left = machine(*BEHIND_TWO_REDS, (6000, TICK), (9000, show("refer", 4)), (9100, kept))
    waiting = machine(*BEHIND_TWO_REDS, (5999, show("accept", 4)), (6000, TICK), (6100, kept), (7000, TICK))

    assert left[-2]["strip"].count("missed.strip") == 1
    assert left[-1]["strip"] == ["refer 3"]
    assert [(step["kind"], step["missed"], step["strip"]) for step in waiting[-2:]] == [
        ("accept", 0, []),
        ("refer", 1, []),
    ]


def test_a_green_that_had_to_wait_is_seen(machine: Machine) -> None:
    """Two greens that waited behind a red show one after the other, a second at least."""
    left = machine(
        (0, show("reject", 1)),
        (1000, show("accept", 2)),
        (1500, show("accept", 3)),
        (3000, TICK),
        (3999, TICK),
        (4000, TICK),
    )

    assert [step["seq"] for step in left[3:]] == [2, 2, 3]


def test_a_flood_behind_a_red_takes_no_memory_and_hides_no_red(machine: Machine) -> None:
    """A hundred answers within the red's three seconds: a few wait, the reds go to the strip, bounded."""
    left = machine((0, show("reject", 1)), *[(1 + at, show("reject", 2 + at)) for at in range(100)])

    assert (left[-1]["kind"], left[-1]["seq"]) == ("reject", 1)
    assert left[-1]["waiting"] == 6
    assert len(left[-1]["strip"]) == 60
    assert len(left[-1]["whole"]) < 100_000


@pytest.mark.parametrize("size", [2, 3])
def test_several_codes_of_one_frame_never_show_one_green(machine: Machine, size: int) -> None:
    """Every combination of outcomes in every order, whole and with the last missing: green only if all are."""
    seq = itertools.count(10)
    for outcomes in itertools.product(OUTCOMES, repeat=size):
        for arrived in (size, size - 1):
            shown = [show(outcome, next(seq), together=size) for outcome in outcomes[:arrived]]
            left = machine(*[(at, view) for at, view in enumerate(shown)], (1200, TICK))
            worst = max(outcomes[:arrived], key=OUTCOMES.index)
            is_green = arrived == size and worst == "accept"

            assert {step["kind"] for step in left[:-1]} <= {"idle", "accept" if is_green else worst}
            assert left[-1]["kind"] == ("accept" if is_green else max(worst, "refer", key=OUTCOMES.index))
            assert (left[-1]["holders"], left[-1]["mixed"]) == ((size, 0) if is_green else (0, size))


def test_two_greens_of_one_frame_are_two(machine: Machine) -> None:
    """Both holders are shown, and neither can be called *not the holder* by one key."""
    left = machine((0, show("accept", 1, together=2)), (5, show("accept", 2, together=2)))

    assert [step["kind"] for step in left] == ["idle", "accept"]
    assert left[1]["holders"] == 2
    assert "not_holder" not in left[1]["actions"]


def test_the_code_after_an_incomplete_frame_settles_it(machine: Machine) -> None:
    """A lone half is amber before the next person's green may come, and the green waits behind it."""
    left = machine((0, show("accept", 1, together=2)), (50, show("accept", 2)), (3050, TICK))

    assert [(step["kind"], step["seq"]) for step in left] == [("idle", 0), ("refer", 1), ("accept", 2)]
    assert left[2]["strip"] == ["refer 1"]


def test_acknowledging_two_codes_acknowledges_both(machine: Machine) -> None:
    """Two reds of one frame are one thing to press for."""
    left = machine((0, show("reject", 1, together=2)), (1, show("refer", 2, together=2)), (500, key("next")))

    assert left[-1]["effects"] == [{"do": "ack", "ids": ["v1", "v2"]}]


def test_a_gate_that_cannot_record_shows_no_green(machine: Machine) -> None:
    """The green that shows goes at once, and one that still comes is an amber with the reason."""
    left = machine((0, show("accept", 1)), (10, state(**UNWRITABLE)), (20, show("accept", 2)), (3100, key("next")))

    assert [step["kind"] for step in left] == ["accept", "stopped", "refer", "stopped"]
    assert left[2]["holders"] == 0


def test_a_gate_that_stopped_says_so_instead_of_asking_for_codes(machine: Machine) -> None:
    """Not admitting is a screen of its own, and ends with its cause."""
    lost = {"findings": [{"code": "camera.lost", "severity": "stop", "params": {}}], "admitting": False}
    left = machine((0, state(**lost)), (10, state()))

    assert [step["kind"] for step in left] == ["stopped", "idle"]


def test_a_page_that_hears_nothing_says_so(machine: Machine) -> None:
    """Nine seconds of silence, and it is no longer live; a message makes it live again."""
    left = machine((8999, TICK), (9000, TICK), (9500, state()))

    assert [step["kind"] for step in left] == ["idle", "lost", "idle"]


def test_a_broken_connection_is_said_sooner_and_a_blink_is_not(machine: Machine) -> None:
    """Two and a half seconds without a connection are too long; one second is not worth a word."""
    left = machine((0, DOWN), (1000, state()), (3000, DOWN), (5499, DOWN), (5500, TICK))

    assert [step["kind"] for step in left] == ["idle", "idle", "idle", "idle", "lost"]


def test_a_lost_page_shows_no_green_and_keeps_its_reds(machine: Machine) -> None:
    """The green goes, the red becomes a strip, what waited is kept as strips, and no action is offered."""
    green = machine((8000, show("accept", 1)), (8001, DOWN), (10_501, TICK))
    red = machine((0, show("reject", 1)), (10, show("refer", 2)), (20, DOWN), (2520, TICK))

    assert (green[-1]["kind"], green[-1]["strip"]) == ("lost", [])
    assert (red[-1]["kind"], red[-1]["strip"]) == ("lost", ["reject 1", "refer 2"])
    assert red[-1]["actions"] == []


def test_a_page_loaded_again_shows_the_rest_of_a_results_time(machine: Machine) -> None:
    """An accept of three seconds ago shows for one more; a red keeps its protection for the rest of its three."""
    green = machine((0, snapshot(verdict=show("accept", 1), age_ms=3000)), (999, TICK), (1000, TICK))
    red = machine(
        (0, snapshot(verdict=show("reject", 1), age_ms=2000)), (1, show("accept", 2)), (999, TICK), (1000, TICK)
    )

    assert [step["kind"] for step in green] == ["accept", "accept", "idle"]
    assert [step["kind"] for step in red] == ["reject", "reject", "reject", "accept"]


def test_a_page_loaded_again_shows_what_nobody_acknowledged(machine: Machine) -> None:
    """Reloading wipes no red, and what shows in the middle is not in the strip as well."""
    left = machine((0, snapshot(verdict=show("reject", 9), still=(7, 9))), (8000, state()))

    assert left[0]["strip"] == ["reject 7"]
    assert left[1]["strip"] == ["reject 9", "reject 7"]


def test_a_connection_made_anew_paints_nothing_twice(machine: Machine) -> None:
    """The verdict that a page has shown and cleared does not come back with the next snapshot."""
    left = machine(
        (0, show("accept", 1)), (1000, key("next")), (1500, snapshot(verdict=show("accept", 1), age_ms=1500))
    )

    assert [step["kind"] for step in left] == ["accept", "idle", "idle"]


def test_what_another_page_acknowledged_goes_here_too(machine: Machine) -> None:
    """Two screens of one gate agree."""
    left = machine(
        (0, show("reject", 1)),
        (3000, show("refer", 2)),
        (3001, {"type": "ack", "ids": ["v1"]}),
        (3002, {"type": "ack", "ids": ["v2"]}),
    )

    assert [(step["kind"], step["strip"]) for step in left[1:]] == [
        ("refer", ["reject 1"]),
        ("refer", []),
        ("idle", []),
    ]


@pytest.mark.parametrize(
    "ending",
    [
        [(4000, TICK)],
        [(1000, key("next"))],
        [(1000, key("not_holder"))],
        [(1000, show("reject", 2))],
        [(1000, DOWN), (3500, TICK)],
        [(1000, state(**UNWRITABLE))],
    ],
    ids=["time", "key", "not_holder", "next", "lost", "unwritable"],
)
def test_nothing_of_a_holder_outlives_the_result(machine: Machine, ending: list[Step]) -> None:
    """However an accept ends, the machine's whole state holds no name, year or tail afterwards."""
    left = machine((0, show("accept", 1)), *ending)

    assert "张＊伟" in left[0]["whole"]
    assert not [text for text in ("张", "1988", "3416") if text in left[-1]["whole"]]


def test_not_the_holder_turns_the_green_red_and_is_recorded(machine: Machine) -> None:
    """N takes the green away at once, posts the entry, and cannot be painted over for three seconds."""
    left = machine((0, show("accept", 1)), (500, key("not_holder")), (600, show("accept", 2)), (3500, TICK))

    assert [(step["kind"], step["seq"]) for step in left] == [
        ("accept", 1),
        ("reject", 1),
        ("reject", 1),
        ("accept", 2),
    ]
    assert {"do": "post", "body": {"cmd": "not_holder", "seq": 1}, "ids": []} in left[1]["effects"]
    assert left[3]["strip"] == []  # staff said it themselves


def test_not_the_holder_can_still_be_said_after_the_green_cleared(machine: Machine) -> None:
    """Matching an ID takes longer than four seconds: N is offered for thirty, and no longer."""
    within = machine((0, show("accept", 1)), *alive(29_000), (29_000, key("not_holder")))
    after = machine((0, show("accept", 1)), *alive(30_000), (30_000, key("not_holder")))

    assert within[-1]["kind"] == "reject"
    assert (after[-1]["kind"], after[-1]["effects"]) == ("idle", [])


@pytest.mark.parametrize(
    ("outcome", "actions"),
    [
        ("accept", ["next", "not_holder", "note"]),
        ("refer", ["next", "not_holder", "note", "override", "slip"]),
        ("reject", ["next", "note", "override", "slip"]),
    ],
)
def test_each_result_offers_its_own_actions(machine: Machine, outcome: str, actions: list[str]) -> None:
    """An override makes no sense of an accept, nor *not the holder* of a reject."""
    assert machine((0, show(outcome, 1)))[0]["actions"] == actions


def test_a_note_is_chosen_from_the_list(machine: Machine) -> None:
    """M opens the list, a number posts the note and closes it; anything else is not a note."""
    left = machine(
        (0, show("refer", 1)),
        (10, key("note")),
        (20, {"type": "choose", "note": "free text"}),
        (30, {"type": "choose", "note": "medical"}),
    )

    assert [step["panel"] for step in left] == [None, "note", "note", None]
    assert left[3]["effects"] == [{"do": "post", "body": {"cmd": "note", "seq": 1, "note": "medical"}, "ids": []}]


TAIL_MATCHED = {"type": "reply", "cmd": "tail", "ok": True, "matched": True, "seq": 9}


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_what_is_said_of_a_matched_id_ends_with_the_next_person(machine: Machine, outcome: str) -> None:
    """*ID ending matches* names the result it is of, and never stands over another's."""
    left = machine(
        (0, show("accept", 1, has_tail=True)),
        (10, key("tail")),
        (20, {"type": "tail", "tail": "3416"}),
        (30, TAIL_MATCHED),
        (4500, state()),
        (5000, show(outcome, 2)),
    )

    assert [step["notice"] for step in left[3:]] == ["done.tail_matched", "done.tail_matched", None]
    assert '"number":"A7F3-000001"' in left[3]["whole"]


def test_a_failure_is_still_said_when_the_next_person_comes(machine: Machine) -> None:
    """*NOT recorded* is of no person alone: it stands its time."""
    failed = {"type": "reply", "cmd": "note", "ok": False, "code": "gone"}

    assert machine((0, show("accept", 1)), (10, failed), (20, show("reject", 2)))[-1]["notice"] == "failed.gone"


@pytest.mark.parametrize(
    ("pressed", "kind", "panel"),
    [("next", "idle", None), ("not_holder", "reject", "slip"), ("tail", "accept", "tail"), ("note", "accept", "note")],
)
def test_an_open_slip_takes_no_key_from_the_next_person(
    machine: Machine, pressed: str, kind: str, panel: str | None
) -> None:
    """While one person photographs the slip, the next one's green answers to its keys."""
    left = machine(
        (0, show("refer", 1)),
        (500, key("slip")),
        (3500, show("accept", 2, has_tail=True)),
        (4500, key(pressed)),
    )

    assert [(step["kind"], step["panel"]) for step in left] == [
        ("refer", None),
        ("refer", "slip"),
        ("accept", "slip"),
        (kind, panel),
    ]


def test_space_closes_the_slip_and_acknowledges_its_person(machine: Machine) -> None:
    """One key for the next person, also with the slip open; then `D` opens for whoever has no code."""
    left = machine((0, show("refer", 1)), (500, key("slip")), (1500, key("next")), (1600, key("manual")))

    assert [(step["kind"], step["panel"]) for step in left[1:]] == [
        ("refer", "slip"),
        ("idle", None),
        ("idle", "manual"),
    ]
    assert left[2]["effects"] == [{"do": "ack", "ids": ["v1"]}]


def test_an_override_asks_for_a_reason_and_the_pin(machine: Machine) -> None:
    """Without a reason no PIN is taken; the red goes only when the scanner part says it is recorded."""
    pin = {"type": "pin", "pin": "2468"}
    left = machine(
        (0, show("reject", 1)),
        (10, key("override")),
        (20, pin),
        (30, {"type": "choose", "note": "medical"}),
        (40, pin),
        (50, pin),
        (60, {"type": "reply", "cmd": "override", "ids": ["v1"], "ok": True, "seq": 5}),
    )

    assert [len(step["effects"]) for step in left] == [1, 0, 0, 0, 1, 0, 1]
    assert left[4]["effects"][0]["body"] == {"cmd": "override", "seq": 1, "note": "medical", "pin": "2468"}
    assert [step["kind"] for step in left[-2:]] == ["reject", "idle"]
    assert (left[-1]["notice"], left[-1]["strip"], left[-1]["panel"]) == ("done.override", [], None)
    assert "2468" not in left[-1]["whole"] + left[4]["whole"]


def test_a_wrong_pin_leaves_the_red_and_asks_again(machine: Machine) -> None:
    """Refused, the panel stays and the reason stands on the page."""
    left = machine(
        (0, show("reject", 1)),
        (10, key("override")),
        (30, {"type": "choose", "note": "medical"}),
        (40, {"type": "pin", "pin": "1"}),
        (60, {"type": "reply", "cmd": "override", "ids": [], "ok": False, "code": "pin"}),
        (70, {"type": "pin", "pin": "2"}),
    )

    assert (left[4]["kind"], left[4]["panel"], left[4]["notice"]) == ("reject", "override", "failed.pin")
    assert len(left[5]["effects"]) == 1


def test_an_entry_can_be_undone_for_ten_seconds(machine: Machine) -> None:
    """U takes the last entry back, once, and only in time."""
    done = (100, {"type": "reply", "cmd": "not_holder", "ids": [], "ok": True, "seq": 5})
    started = [(0, show("accept", 1)), (50, key("not_holder")), done]
    within = machine(*started, (4000, state()), (8000, state()), (10_099, key("undo")), (10_099, key("undo")))
    after = machine(*started, (4000, state()), (8000, state()), (10_100, key("undo")))

    assert within[-2]["effects"] == [{"do": "post", "body": {"cmd": "undo", "seq": 5}, "ids": []}]
    assert within[-1]["effects"] == after[-1]["effects"] == []


def test_an_undone_not_holder_leaves_the_red(machine: Machine) -> None:
    """The red that staff made goes with the entry."""
    left = machine(
        (0, show("accept", 1)),
        (50, key("not_holder")),
        (100, {"type": "reply", "cmd": "not_holder", "ids": [], "ok": True, "seq": 5}),
        (900, key("undo")),
        (950, {"type": "reply", "cmd": "undo", "ids": [], "ok": True, "seq": 6}),
    )

    assert [step["kind"] for step in left[-2:]] == ["reject", "idle"]
    assert "undo" not in left[-1]["actions"]


def test_a_verdict_closes_the_help(machine: Machine) -> None:
    """Nothing covers an answer: the help goes by itself, a half-made note stays beside it."""
    helping = machine((0, key("help")), (10, show("accept", 1)))
    noting = machine((0, show("refer", 1)), (10, key("note")), (3000, show("accept", 2)))

    assert [step["panel"] for step in helping] == ["help", None]
    assert (noting[-1]["panel"], noting[-1]["kind"]) == ("note", "accept")


def test_the_language_goes_round(machine: Machine) -> None:
    """L shows each language in turn, also while a panel is open."""
    left = machine((0, key("language")), (1, key("help")), (2, key("language")))

    assert [step["language"] for step in left] == ["en", "en", "zh"]


def test_a_page_that_could_not_connect_says_why(machine: Machine) -> None:
    """Turned away as one page too many, it is not live, and the reason is known."""
    left = machine((0, DOWN), (1, {"type": "full"}), (2500, TICK))

    assert left[-1]["kind"] == "lost"
    assert json.loads(left[-1]["whole"])["full"] is True


def test_the_machine_wakes_for_everything_that_ends(machine: Machine) -> None:
    """Each timer is announced: a page that sleeps until then misses nothing."""
    assert machine((100, show("accept", 1)))[0]["wakes"] == 4100
    assert machine((100, show("reject", 1)), (200, show("accept", 2)))[1]["wakes"] == 3100
    assert machine((100, show("accept", 1, together=2)))[0]["wakes"] == 1100
    assert machine((0, TICK))[0]["wakes"] == 9000


_WALK = """async ({setup, views, state, snapshot}) => {
  const m = await import('http://machine.test/paint.js');
  let seed = 20251123;
  const draw = (n) => { seed = (seed * 1103515245 + 12345) & 0x7fffffff; return (seed >> 8) % n; };
  const ids = (list) => list.flatMap((one) => one.ids);
  const faults = [];
  let painted = 0, greens = 0, late = 0;
  for (let run = 0; run < 400 && faults.length < 5; run += 1) {
    let now = 0, count = 0, s = m.step(m.begin(setup, 0), snapshot, 0);
    let last = {id: 'idle', kind: 'idle', since: 0};
    const owed = new Set(), came = new Set(), green = new Set(), denied = new Set();
    const check = (time, isPressed) => {
      for (const effect of s.effects) {
        if (effect.do === 'ack') effect.ids.forEach((one) => owed.delete(one));
        for (const one of effect.do === 'not_shown' ? effect.ids : []) {
          if (denied.has(one) || !came.has(one)) faults.push(`${one} said twice, or never came`);
          denied.add(one);
        }
      }
      const kind = m.screen(s).kind, id = s.main ? s.main.p.id : kind;
      if (id !== last.id) {
        const isGuarded = ['reject', 'refer'].includes(last.kind) && time - last.since < 3000;
        if (isGuarded && !isPressed && kind !== 'lost') faults.push(`${last.kind} covered after ${time - last.since}`);
        if (kind === 'accept' && time - s.main.p.heard > 4000) faults.push('a late green');
        if (kind === 'accept') s.main.p.ids.forEach((one) => green.add(one));
        last = {id, kind, since: s.main ? s.main.since : time};
        painted += 1;
      }
      if (kind === 'accept' && s.main.p.mixed) faults.push('a mixed green');
      const members = s.group ? s.group.members : [];
      const held = new Set([...(s.main ? s.main.p.ids : []), ...ids(s.queue), ...ids(s.strip), ...ids(members)]);
      for (const one of owed) if (!held.has(one)) faults.push(`${one} vanished`);
      if (s.queue.length > 6 || s.strip.length > 60 || s.seen.length > 64) faults.push('unbounded');
    };
    const go = (event) => {
      // A page that was not live until this very event shows nothing that could be covered.
      const wasLost = now - s.heard >= 9000 || (s.down !== null && now - s.down >= 2500);
      if (wasLost) last = {id: 'lost', kind: 'lost', since: now};
      s = m.step(s, event, now);
    };
    for (let i = 0; i < 60; i += 1) {
      now += [1, 40, 500, 1100, 2900][draw(5)];
      const roll = draw(10);
      let event = roll === 6 ? {type: 'key', key: 'next'} : roll === 7 ? state : {type: roll === 8 ? 'down' : 'tick'};
      if (roll < 6) {
        count += 1;
        event = {...structuredClone(views[draw(views.length)]), id: `${run}-${count}`, seq: count, at_ms: count};
      }
      if (roll < 6 && event.outcome === 'accept') came.add(event.id);
      // Timers run by themselves between events, as on the page; on a busy one they come late, together with the event.
      let wakes = 0;
      for (let wake = draw(4) ? m.wakes(s) : now; wake < now; wake = m.wakes(s)) {
        s = m.step(s, {type: 'tick'}, wake);
        check(wake, false);
        wakes += 1;
        if (wakes > 100) { faults.push('a timer that never ends'); break; }
      }
      go(event);
      if (roll < 6 && event.outcome !== 'accept') owed.add(event.id);
      check(now, roll === 6);
    }
    for (let i = 0; i < 60; i += 1) {
      now += 500;
      go(state);
      check(now, false);
    }
    for (const one of came) if (green.has(one) === denied.has(one)) faults.push(`${one} shown and denied, or neither`);
    greens += green.size;
    late += denied.size;
  }
  return {faults: faults.slice(0, 5), painted, greens, late};
}"""


def test_no_sequence_of_events_covers_a_red_or_loses_one(page: Page) -> None:
    """Four hundred drawn sequences of verdicts, frames of two, keys, broken connections and time: the rules hold.

    And every accept was either painted green in time, or said, once, to be one that was not.
    """
    views = [show(outcome, 1, together=together) for outcome in OUTCOMES for together in (1, 1, 2)]

    walked = page.evaluate(_WALK, {"setup": SETUP, "views": views, "state": state(), "snapshot": snapshot()})

    assert walked["faults"] == []
    assert walked["painted"] > 3000
    assert min(walked["greens"], walked["late"]) > 300
