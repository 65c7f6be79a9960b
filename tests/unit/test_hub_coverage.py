"""The coverage of a day: complete only when nothing of it can be outstanding, signed, and checked offline."""

import json
from pathlib import Path
from typing import Any

import pytest

from edge.errors import ConfigError
from edge.hub import coverage, proof, statement
from edge.hub.coverage import REASONS, STATES
from edge.hub.desk import Desk
from edge.hub.hub import Hub
from edge.hub.serve import create_app
from edge.hub.wording import LANGUAGES, Wording
from edge.ledger import device
from tests.simulators.hub_gates import START_MS, Clock, Device, enrol, fact, post

DAY = "2026-11-18"
END_MS = coverage.bounds(DAY)[1]


@pytest.fixture
def gate(hub: Hub, desk: Desk) -> Device:
    """A gate that scanned three times on the day and sent it all."""
    made = Device()
    enrol(hub, desk, made, site="北站")
    made.scan(3)
    post(hub, [made.batch(1, 3)])
    return made


def state(desk: Desk, day: str = DAY) -> tuple[str, list[str], int]:
    """Return state, reasons and scans of the one gate."""
    (one,) = statement.opened("coverage", desk.coverage(day), None)["gates"]
    return one["state"], one["reasons"], one["scans"]


def test_a_day_that_is_not_over_is_outstanding(desk: Desk, hub: Hub, gate: Device) -> None:
    """Whatever is held."""
    hub.heartbeat(gate.heartbeat(START_MS + 9000))

    assert state(desk) == ("outstanding", ["day_not_over"], 3)


def test_a_gate_not_heard_after_the_day_is_outstanding(desk: Desk, hub: Hub, gate: Device, clock: Clock) -> None:
    """It may have scanned on."""
    hub.heartbeat(gate.heartbeat(START_MS + 9000))
    clock.ms = END_MS + 1

    assert state(desk) == ("outstanding", ["not_heard"], 3)


def test_a_gate_that_says_after_the_day_that_all_is_here_is_complete(
    desk: Desk, hub: Hub, gate: Device, clock: Clock
) -> None:
    """By its heartbeat."""
    clock.ms = END_MS + 1
    hub.heartbeat(gate.heartbeat(END_MS + 1))

    assert state(desk) == ("complete", [], 3)


def test_a_backlog_is_outstanding_until_it_came(desk: Desk, hub: Hub, gate: Device, clock: Clock) -> None:
    """Entries it said it has and the hub has not."""
    gate.scan(2)
    clock.ms = END_MS + 1
    hub.heartbeat(gate.heartbeat(END_MS + 1))
    before = state(desk)
    post(hub, [gate.batch(4, 5)])

    assert (before, state(desk)) == (("outstanding", ["backlog"], 3), ("complete", [], 5))


def test_an_entry_from_after_the_day_completes_it(desk: Desk, hub: Hub, gate: Device, clock: Clock) -> None:
    """The chain has no holes, so a backlog of later days does not matter."""
    gate.append(fact(9, at_ms=END_MS + 5))
    gate.scan(4)
    clock.ms = END_MS + 10
    post(hub, [gate.batch(4, 4)])
    hub.heartbeat(gate.heartbeat(END_MS + 10))

    assert state(desk) == ("complete", [], 3)


def test_a_gap_is_outstanding_and_a_fork_disputed(desk: Desk, hub: Hub, gate: Device, clock: Clock) -> None:
    """Until they are put right."""
    gate.append(*(fact(9, at_ms=END_MS + n) for n in range(4)))
    clock.ms = END_MS + 10
    post(hub, [gate.batch(4, 4), gate.batch(6, 7)])
    gap = state(desk)
    twin = gate.clone(0)
    twin.scan(3, issuer="4403")
    post(hub, [gate.batch(5, 5), twin.batch(1, 3)])

    assert (gap, state(desk)) == (("outstanding", ["gap"], 3), ("disputed", ["fork"], 3))


def test_a_gate_enrolled_later_is_not_asked_for(desk: Desk, hub: Hub, clock: Clock) -> None:
    """Nor is a day anybody can take for another."""
    clock.ms = END_MS + 1
    enrol(hub, desk, Device(5))

    assert statement.opened("coverage", desk.coverage(DAY), None)["gates"] == []


@pytest.mark.parametrize("day", ["2026-13-01", "yesterday", "", "9999-12-31", "2026-11-18T00:00"])
def test_what_is_no_day_is_refused(desk: Desk, day: str) -> None:
    """With how to write one."""
    with pytest.raises(ConfigError, match="no day"):
        desk.coverage(day)


def test_a_coverage_is_checked_offline(desk: Desk, gate: Device, tmp_path: Path) -> None:
    """Under the hub's key; any changed character that says something is found."""
    file = tmp_path / "coverage.json"
    whole = desk.coverage(DAY)
    keys = {device.key_id(desk.home.public).hex(): desk.home.public}
    file.write_bytes(whole)
    assert proof.verify_statement(file, keys)[0].faults == []

    for at in range(0, len(whole), 5):
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        try:
            is_same = json.loads(file.read_bytes()) == json.loads(whole)
        except ValueError:
            is_same = False
        try:
            report, _ = proof.verify_statement(file, keys)
        except ConfigError:
            continue
        assert report.count or is_same, at


@pytest.mark.parametrize(
    "change",
    [
        lambda said: said["states"].update(complete=1, outstanding=0),
        lambda said: said["gates"][0].update(state="complete"),
        lambda said: said.update(scans=4),
        lambda said: said.pop("gates"),
    ],
)
def test_a_coverage_that_contradicts_itself_is_found(desk: Desk, gate: Device, tmp_path: Path, change: Any) -> None:
    """Also where the hub signed it."""
    said = statement.opened("coverage", desk.coverage(DAY), None)
    change(said)
    file = tmp_path / "coverage.json"
    file.write_bytes(statement.make("coverage", said, desk.home.key))

    assert proof.verify_statement(file, None)[0].count == 1


# The page


@pytest.mark.parametrize(("language", "shown"), [("zh", "齐全"), ("en", "Complete")])
def test_the_page_says_what_the_statement_says(desk: Desk, hub: Hub, gate: Device, language: str, shown: str) -> None:
    """In both languages, with the day before and, once it began, the day after; and it is on record."""
    hub_client = create_app(hub).test_client()
    answer = hub_client.get(f"/coverage/{DAY}?lang={language}", headers={"Host": "127.0.0.1"})
    (row,) = desk.pulls(10)

    assert (answer.status_code, shown in answer.text, "北站" in answer.text) == (200, True, True)
    assert "/coverage/2026-11-17" in answer.text
    assert (row["what"], row["role"], row["rows"]) == (f"coverage {DAY}", "page", 1)


def test_every_state_and_reason_has_words() -> None:
    """In both languages: what a statement can say the page can."""
    wanted = {*(f"cover.state.{state}" for state in STATES), *(f"cover.why.{reason}" for reason in REASONS)}

    for language in LANGUAGES:
        assert all(Wording(language)(key) for key in wanted)


@pytest.mark.parametrize("day", ["today", "2026-13-01", "9999-12-31", "0001-01-01", "<script>"])
def test_every_day_or_nonsense_is_answered(hub: Hub, gate: Device, day: str) -> None:
    """With the page of that day, or the way to yesterday's."""
    answer = create_app(hub).test_client().get(f"/coverage/{day}", headers={"Host": "127.0.0.1"})

    assert answer.status_code in {200, 302, 404}
    assert "<script>" not in answer.text


def test_from_elsewhere_the_page_asks_for_a_token(hub: Hub) -> None:
    """And tells nothing."""
    answer = (
        create_app(hub)
        .test_client()
        .get(f"/coverage/{DAY}", headers={"Host": "127.0.0.1"}, environ_overrides={"REMOTE_ADDR": "192.0.2.1"})
    )

    assert (answer.status_code, "/login" in answer.headers["Location"]) == (302, True)
