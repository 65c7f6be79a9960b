"""The session: when the gate speaks, and how long it leaves a silent or busy hub alone. Times only, no socket."""

import itertools
import random

import pytest

from edge.model.settings import SyncSettings
from edge.sync.session import RETRY_CAP_S, Action, Demand, Link, Session

WAITING = Demand(waiting=3)
IDLE = Demand()


def session(*, random: float = 0.5, was_online: bool = False) -> Session:
    """Return a session whose dice always fall the same."""
    return Session(SyncSettings(push_at=10, push_after_s=60.0), lambda: random, was_online=was_online)


def online(*, slot_s: float = 0, heartbeat_s: float = 30) -> Session:
    """Return a session whose hub answered at second 0."""
    made = session()
    made.on_watermark(0, heartbeat_s=heartbeat_s, slot_s=slot_s)
    return made


def test_it_begins_with_a_heartbeat() -> None:
    """The first thing said is a heartbeat, whatever waits."""
    assert session().next(0, WAITING).action is Action.BEAT


@pytest.mark.parametrize(("was_online", "expected"), [(False, Link.NEVER), (True, Link.OFFLINE)])
def test_the_link_is_what_exchanges_showed(was_online: bool, expected: Link) -> None:  # noqa: FBT001  # a case of the test
    """Before the first answer the link is `never`, or `offline` for a gate that was online before."""
    made = session(was_online=was_online)
    made.on_failure(0)

    assert made.link is expected


def test_a_signed_answer_makes_it_online() -> None:
    """Online is what a signed answer shows, and nothing else."""
    made = session()
    made.on_busy(0, 5.0)
    made.on_doubt(1)
    assert made.link is Link.NEVER

    made.on_watermark(2, heartbeat_s=30, slot_s=0)

    assert made.link is Link.ONLINE


def test_a_link_that_returns_starts_the_push_however_little_waits() -> None:
    """One waiting entry goes at once after an outage."""
    made = online()

    assert made.next(0.1, Demand(waiting=1)).action is Action.PUSH


def test_few_entries_wait_for_the_set_time() -> None:
    """Less than a push is worth waits for its time, counted from the first of them."""
    made = online()
    made.next(0.1, IDLE)
    made.on_watermark(10, heartbeat_s=3600, slot_s=0)

    assert made.next(20, WAITING).action is Action.HOLD
    assert made.next(79, WAITING).action is Action.HOLD
    assert made.next(80, WAITING).action is Action.PUSH


def test_a_drain_ends_only_when_nothing_waits() -> None:
    """Once a push began, the rest follows, though it alone would not be worth one."""
    made = online()
    made.next(0.1, IDLE)
    made.next(1, Demand(waiting=10))
    made.on_receipt(1)

    assert made.next(1, Demand(waiting=2)).action is Action.PUSH


def test_something_abnormal_does_not_wait() -> None:
    """What staff did against a verdict reaches the hub without waiting for company."""
    made = online()
    made.next(0.1, IDLE)
    made.next(1, WAITING)

    made.urge()

    assert made.next(1, WAITING).action is Action.PUSH


def test_the_hub_sets_the_heartbeat() -> None:
    """The next heartbeat comes when the hub wants it, at most a tenth early."""
    made = online(heartbeat_s=100)
    times = (second / 2 for second in range(400))

    beat = next(second for second in times if second and made.next(second, IDLE).action is Action.BEAT)

    assert 90 <= beat <= 100


@pytest.mark.parametrize(("asked", "least", "most"), [(0, 0.9, 1), (10**9, 3240, 3600)])
def test_a_heartbeat_out_of_reason_is_bounded(asked: float, least: float, most: float) -> None:
    """Neither a storm of heartbeats nor a silence of years can be ordered."""
    made = online(heartbeat_s=asked)

    due = next(at / 10 for at in itertools.count(1) if made.next(at / 10, IDLE).action is Action.BEAT)

    assert least <= due <= most


def test_a_slot_is_kept_and_not_moved_away_by_the_next() -> None:
    """A backlog goes in the first slot it was given, even if each heartbeat offers a later one."""
    made = online(slot_s=20)
    for second in range(1, 20):
        made.on_watermark(second, heartbeat_s=30, slot_s=20)
        assert made.next(second, WAITING).action is not Action.PUSH

    # Within the second of its slot, not with all the others that were told the same.
    assert made.next(21, WAITING).action is Action.PUSH


def test_a_retry_after_silences_everything() -> None:
    """Asked to wait, the gate sends neither batch nor heartbeat before its slot."""
    made = online()
    made.on_busy(1, 40.0)

    assert made.next(40.9, WAITING).action is Action.WAIT
    assert made.next(42, WAITING).action is not Action.WAIT


def test_slots_of_one_second_are_spread_over_it() -> None:
    """A hundred gates that were told the same whole second do not come at the same moment."""
    comes = set()
    for number in range(100):
        made = Session(SyncSettings(), random.Random(number).random, was_online=True)
        made.on_busy(0, 10.0)
        comes.add(round(made.next(0, WAITING).until_s, 3))

    assert len(comes) > 90
    assert 10 <= min(comes) < max(comes) < 11


def test_who_has_a_slot_pushes_without_asking_first() -> None:
    """After an outage a gate in its turn sends what waits; its receipt is the sign that the hub is there."""
    made = Session(SyncSettings(), random.Random(1).random, was_online=True)
    made.on_busy(0, 10.0)
    turn = made.next(11, WAITING).action
    made.on_failure(11)
    again = made.next(13, WAITING).action
    made.on_receipt(13)

    assert (turn, again, made.link) == (Action.PUSH, Action.PUSH, Link.ONLINE)


def test_a_slot_does_not_outlive_many_silences() -> None:
    """Whoever said it is gone: a heartbeat finds out whether anybody is there."""
    made = Session(SyncSettings(), random.Random(1).random, was_online=True)
    made.on_busy(0, 10.0)
    for minute in range(1, 9):
        made.on_failure(60 * minute)

    assert made.next(600, WAITING).action is Action.BEAT


@pytest.mark.parametrize("asked", [None, 0.0])
def test_a_busy_hub_without_a_sensible_slot_is_left_alone_for_a_moment(asked: float | None) -> None:
    """No header, or a zero, never makes a hot loop."""
    made = online()
    made.on_busy(1, asked)

    assert made.next(1.1, WAITING).action is Action.WAIT


def test_back_off_is_full_jitter_under_a_bound() -> None:
    """Waits after failures spread over the whole of a range that doubles up to eight seconds."""
    longest, shortest = session(random=0.999, was_online=True), session(random=0.0, was_online=True)
    waits: list[tuple[float, float]] = []
    for _ in range(8):
        longest.on_failure(0)
        shortest.on_failure(0)
        waits.append((shortest.next(0, IDLE).until_s, longest.next(0, IDLE).until_s))

    assert {low for low, _ in waits} == {0.2}
    assert [round(high) for _, high in waits] == [1, 2, 4, 8, 8, 8, 8, 8]
    assert max(high for _, high in waits) <= RETRY_CAP_S


def test_a_change_of_the_network_ends_the_wait() -> None:
    """A carrier that comes back is used at once."""
    made = session(random=0.999, was_online=True)
    for _ in range(6):
        made.on_failure(0)
    assert made.next(1, IDLE).action is Action.WAIT

    made.on_network_changed(1)

    assert made.next(1, IDLE).action is Action.BEAT


def test_a_change_of_the_network_is_looked_into_at_once() -> None:
    """A carrier that went is met with a heartbeat, not at the end of an interval."""
    made = online(heartbeat_s=3600)

    made.on_network_changed(5)

    assert made.next(5, IDLE).action is Action.BEAT


def test_a_change_of_the_network_does_not_jump_the_queue() -> None:
    """A slot of a hub that is there holds, whatever interface comes up."""
    made = online()
    made.on_busy(1, 60.0)

    made.on_network_changed(2)

    assert made.next(3, WAITING).action is Action.WAIT


def test_the_idle_connection_is_watched_every_second() -> None:
    """A hub that died is noticed by the idle connection, between heartbeats."""
    made = online(heartbeat_s=3600)
    assert made.next(0.5, IDLE).action is Action.WAIT

    assert made.next(1, IDLE).action is Action.HOLD


def test_a_connection_that_keeps_closing_is_not_opened_in_a_loop() -> None:
    """Where the far side closes every idle connection, a new one is made every five seconds at most."""
    made = online(heartbeat_s=3600)
    made.on_hold(1, was_open=False)

    assert made.next(5.9, IDLE).action is Action.WAIT
    assert made.next(6, IDLE).action is Action.HOLD


def test_parked_batches_are_tried_again_after_minutes() -> None:
    """What was refused is not offered again at once, and not never."""
    made = online()
    made.on_nothing_parked_left(0)

    assert made.next(149, Demand(parked=5)).action is not Action.RETRY
    made.on_watermark(250, heartbeat_s=30, slot_s=0)
    assert made.next(250, Demand(parked=5)).action is Action.RETRY


def test_a_log_the_hub_was_not_asked_about_is_asked_about_at_once() -> None:
    """A log that begins while online needs the hub's word before anything is cut, and asks no faster than it may."""
    made = online(heartbeat_s=3600)

    assert made.next(10, Demand(waiting=1, needs_mark=True)).action is Action.BEAT
    made.on_watermark(10, heartbeat_s=3600, slot_s=0)
    assert made.next(10.5, Demand(waiting=1, needs_mark=True)).action is not Action.BEAT
