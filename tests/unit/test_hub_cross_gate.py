"""Rules across gates: one pass at two places too soon, or at many gates; no false alarm, and no trace afterwards."""

import itertools
import json
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge.audit import register
from edge.errors import ConfigError
from edge.hub import cross_gate, incidents, rebuild
from edge.hub.backup import back_up
from edge.hub.cross_gate import MANY_GATES, TWO_PLACES, Rules, Sighting, alarms, distance_km
from edge.hub.hub import TOKENS_MS, Hub
from edge.hub.wording import Wording
from edge.model.moment import ClockQuality
from edge.model.scan import EntryType
from tests.simulators.hub_gates import START_MS, Clock, Device, begin, enrol, fact, post

XIAN, BEIJING, LINTONG = (34.26, 108.94), (39.90, 116.40), (34.37, 109.21)
MINUTE = 60_000
TOKEN = b"one pass"
TOML = """
[cross_gate]
speed_kmh = 1000
many_gates = 3
within_min = 30
[cross_gate.places]
"Xi'an" = [34.26, 108.94]
"110100" = [39.90, 116.40]
"""
SITES = ("Xi'an", "Beijing West", "Nowhere")


class World:
    """A hub with a gate at each of three sites, one more at the first, and scans of one pass wherever they are wanted.

    Args:
        path: The hub's folder.
        toml: What `hub.toml` says besides.
    """

    def __init__(self, path: Path, toml: str = TOML) -> None:
        self.clock = Clock()
        self.path = path
        self.desk = begin(path, self.clock)
        with (path / "hub.toml").open("a") as file:
            file.write(toml)
        self.hub = Hub.open(path, clock=self.clock)
        self.gates = [Device(number) for number in range(1, 5)]
        for gate, site in zip(self.gates, (*SITES, SITES[0]), strict=True):
            enrol(self.hub, self.desk, gate, site=site, lane=str(gate.number))
        with self.hub.store.writing() as connection:
            connection.execute("UPDATE places SET region = 110100 WHERE site = 'Beijing West'")
            connection.execute("UPDATE places SET region = 0 WHERE site = 'Nowhere'")

    def scan(self, gate: int, minute: float, token: bytes = TOKEN, **changes: Any) -> None:
        """Let a pass be scanned at a gate."""
        device = self.gates[gate]
        device.append(fact(1, at_ms=START_MS + int(minute * MINUTE), **changes))
        device.entries[-1] = replace(device.entries[-1], token=token)

    def send(self, *gates: int, size: int = 500) -> dict[str, incidents.Incident]:
        """Post what gates have, in this order, and return the open incidents by kind, once all is looked at."""
        self.clock.ms = max(self.clock.ms, START_MS + 24 * 60 * MINUTE)
        for gate in gates or range(4):
            if self.gates[gate].entries:
                assert "forged" not in post(self.hub, self.gates[gate].batches(size))
        return self.looked()

    def looked(self) -> dict[str, incidents.Incident]:
        """Return the open incidents by kind, once every batch was looked at."""
        rules = cross_gate.load(self.path)
        while self.hub.writer.do(lambda connection: cross_gate.step(connection, rules, self.clock())):
            pass
        return {one.kind: one for one in self.desk.incidents(99, is_open=True)}

    def evidence(self) -> list[dict[str, Any]]:
        """Return what alarms rest on."""
        out = self.path.parent / "evidence"
        self.desk.export(out)
        return [json.loads(file.read_bytes()) for file in sorted(out.glob("*.json"))]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., World]]:
    """Makes worlds and closes them."""
    made: list[World] = []

    def world(toml: str = TOML) -> World:
        made.append(World(tmp_path / f"hub{len(made)}", toml))
        return made[-1]

    yield world
    for one in made:
        one.hub.close()


@pytest.fixture
def world(make: Callable[..., World]) -> World:
    """A hub with rules."""
    return make()


def test_one_pass_in_two_cities_within_the_hour_is_an_alarm(world: World) -> None:
    """Filed under the gate that saw it last, with both scans as evidence and no token in anything people see."""
    world.scan(0, 0)
    world.scan(1, 40)

    found = world.send()

    assert set(found) == {TWO_PLACES}
    incident = found[TWO_PLACES]
    assert (incident.gate, incident.count, dict(incident.params)) == (
        world.gates[1].gate,
        1,
        {"km": 911, "minutes": 40},
    )
    (told,) = world.evidence()
    scans = [(one["site"], one["at_ms"], one["hub_seq"]) for one in told["scans"]]
    assert scans == [("Xi'an", START_MS, 1), ("Beijing West", START_MS + 40 * MINUTE, 2)]
    assert TOKEN.hex() not in json.dumps(told)
    kept = {record.name: {field.name for field in record.fields} for record in register.load().records}
    assert {*told, *(f"scans.{name}" for name in told["scans"][0])} - {"scans"} <= kept["cross-gate evidence"]


@pytest.mark.parametrize(("minute", "is_alarm"), [(0, True), (52, True), (53, False), (-52, True), (-53, False)])
def test_the_bound_is_the_time_the_way_takes_less_two_minutes(world: World, minute: int, *, is_alarm: bool) -> None:
    """911 km at 1000 km/h are 54.7 minutes; either clock may be a minute off."""
    world.scan(0, 60)
    world.scan(1, 60 + minute)

    assert (TWO_PLACES in world.send()) is is_alarm


@pytest.mark.parametrize("order", list(itertools.permutations((0, 1))))
@pytest.mark.parametrize("size", [1, 2, 500])
def test_the_order_in_which_gates_come_changes_nothing(world: World, order: tuple[int, ...], size: int) -> None:
    """A gate that was offline tells later; the alarm is the same, once."""
    for minute in (0, 600, 30):
        world.scan(0, minute)
    for minute in (300, 45, 1200):
        world.scan(1, minute)

    found = world.send(*order, size=size)

    assert {kind: one.count for kind, one in found.items()} == {TWO_PLACES: 1}


def test_two_lanes_of_one_site_are_one_place(world: World) -> None:
    """However soon, and whatever is said of where it lies."""
    world.scan(0, 0)
    world.scan(3, 0)

    assert world.send() == {}


def test_of_a_place_nobody_located_nothing_is_said(world: World) -> None:
    """No coordinates, no distance, no alarm."""
    world.scan(0, 0)
    world.scan(2, 0)

    assert world.send() == {}


def test_another_pass_is_no_second_place(world: World) -> None:
    """Two tokens, two cities; and entries without a token."""
    world.scan(0, 0, b"pass one")
    world.scan(1, 1, b"pass two")
    for gate in (0, 1):
        world.scan(gate, 2)
        world.gates[gate].entries[-1] = replace(world.gates[gate].entries[-1], token=None)

    assert world.send() == {}


@pytest.mark.parametrize("quality", [ClockQuality.FLOOR, ClockQuality.DOUBTFUL, ClockQuality.RTC])
@pytest.mark.parametrize("gate", [0, 1])
def test_a_time_in_doubt_raises_no_alarm(world: World, gate: int, quality: ClockQuality) -> None:
    """Not of a floor, not of a doubtful clock, not of a battery clock nobody compared with the hub's."""
    world.scan(0, 0, quality=int(quality if gate == 0 else ClockQuality.SYNCED))
    world.scan(1, 5, quality=int(quality if gate == 1 else ClockQuality.SYNCED))

    assert world.send() == {}


@pytest.mark.parametrize(("ahead_ms", "is_alarm"), [(0, True), (59_000, True), (61_000, False), (-61_000, False)])
@pytest.mark.parametrize("quality", [ClockQuality.RTC, ClockQuality.SYNCED])
def test_a_clock_the_hub_has_measured_is_believed_within_a_minute(
    world: World, ahead_ms: int, quality: ClockQuality, *, is_alarm: bool
) -> None:
    """A battery clock that is right counts; one that is off does not, even where it calls itself synchronised."""
    world.scan(0, 0)
    world.scan(1, 5, quality=int(quality))
    world.clock.ms = START_MS + 24 * 60 * MINUTE
    world.hub.heartbeat(world.gates[1].heartbeat(world.clock.ms + ahead_ms))

    assert (TWO_PLACES in world.send()) is is_alarm


def test_a_scan_from_the_future_raises_no_alarm(world: World) -> None:
    """Nobody passes after the hub heard of it."""
    world.scan(0, 24 * 60 + 100)
    world.scan(1, 24 * 60 + 105)

    assert TWO_PLACES not in world.send()


@pytest.mark.parametrize("kind", [kind for kind in EntryType if kind is not EntryType.SCAN])
def test_only_what_was_held_up_counts(world: World, kind: EntryType) -> None:
    """Not a note, an undoing or an override that refers to a scan."""
    world.scan(0, 0)
    device = world.gates[1]
    device.append(replace(fact(1, at_ms=START_MS), type=kind))
    device.entries[-1] = replace(device.entries[-1], token=TOKEN)

    assert world.send() == {}


def test_many_gates_within_half_an_hour_are_an_alarm_once(world: World) -> None:
    """Three of three gates, at places nobody located too; further scans add nothing."""
    for gate, minute in ((0, 0), (2, 20), (3, 30), (3, 31), (0, 32)):
        world.scan(gate, minute)

    found = world.send(size=1)

    assert {kind: (one.count, dict(one.params)) for kind, one in found.items()} == {
        MANY_GATES: (1, {"gates": 3, "minutes": 30})
    }
    assert {one["lane"] for one in world.evidence()[0]["scans"]} == {"1", "3", "4"}


def test_the_same_gates_in_more_time_are_none(world: World) -> None:
    """31 minutes between the first and the third; nor is one gate many times."""
    for gate, minute in ((0, 0), (2, 20), (3, 31)):
        world.scan(gate, minute)
    for minute in range(40, 60):
        world.scan(2, minute)

    assert world.send() == {}


def test_passes_are_counted_and_each_once(world: World) -> None:
    """Five passes in two cities: one incident, counted five times."""
    for number in range(5):
        for gate in (0, 1):
            world.scan(gate, number, b"pass %03d" % number)

    found = world.send(size=2)

    assert found[TWO_PLACES].count == 5


def test_a_duplicate_and_a_rebuild_raise_nothing_again(world: World) -> None:
    """A batch that comes twice is held once; rows made anew are no scans."""
    world.scan(0, 0)
    world.scan(1, 5)
    world.send()
    world.send()
    rebuild.rebuild(world.hub.store, lambda *_: None)

    assert world.looked()[TWO_PLACES].count == 1


def test_after_48_hours_nobody_can_say_which_scans_were_of_one_pass(world: World) -> None:
    """No token in the files, no evidence; the incident stays with its distance."""
    world.scan(0, 0)
    world.scan(1, 5)
    world.send()
    files = [world.path / "hub.db", world.path / "hub.db-wal"]
    assert any(TOKEN in file.read_bytes() for file in files)
    world.clock.ms += TOKENS_MS + 1
    world.hub.close()
    world.hub = Hub.open(world.path, clock=world.clock)
    world.hub.close()

    found = {one.kind: one for one in world.desk.incidents(9, is_open=True)}

    assert not any(TOKEN in file.read_bytes() for file in files if file.exists())
    assert (found[TWO_PLACES].evidence, dict(found[TWO_PLACES].params)) == (0, {"km": 911, "minutes": 5})
    assert world.evidence() == []


def test_a_backup_holds_no_sighting(world: World, tmp_path: Path) -> None:
    """Nor a token, nor what an alarm rests on."""
    world.scan(0, 0)
    world.scan(1, 5)
    world.send()

    back_up(world.desk.home, tmp_path / "backup.db", lambda *_: None, world.clock())

    assert TOKEN not in (tmp_path / "backup.db").read_bytes()
    with sqlite3.connect(tmp_path / "backup.db") as copy:
        assert copy.execute("SELECT count(*) FROM sightings").fetchone() == (0,)
        assert copy.execute("SELECT count(*) FROM evidence").fetchone() == (0,)
    copy.close()


def test_without_rules_no_token_is_looked_at(make: Callable[..., World]) -> None:
    """And without a section the default asks for many gates alone."""
    off, default = make("[cross_gate]\nmany_gates = 0\n"), make("")
    for world in (off, default):
        world.scan(0, 0)
        world.scan(1, 0)
        assert world.send() == {}

    assert _count(off) == 0
    assert _count(default) == 2


def _count(world: World) -> int:
    with world.hub.store.reader() as connection:
        return int(connection.execute("SELECT count(*) FROM sightings").fetchone()[0])


def test_the_serving_hub_looks_by_itself(world: World) -> None:
    """In the background, after the rows: nobody asks for it."""
    world.scan(0, 0)
    world.scan(1, 5)
    world.clock.ms = START_MS + 60 * MINUTE
    for gate in (0, 1):
        post(world.hub, world.gates[gate].batches(10))
    world.hub.close()

    assert {one.kind for one in world.desk.incidents(9, is_open=True)} == {TWO_PLACES}


def sighting(gate: int, *times: float, site: str = "") -> Sighting:
    """Return a pass at a gate at some minutes."""
    at = sorted(int(time * MINUTE) for time in times)
    return Sighting(gate, (at[0], at[-1]), (1, 2), site or f"site {gate}", 0, "1", bytes(16))


def test_more_sightings_never_take_an_alarm_away() -> None:
    """Every subset of six sightings of four gates: what was broken stays broken, so each is told once."""
    places = {"site 0": XIAN, "site 1": BEIJING, "site 2": LINTONG}
    rules = Rules(1000, 3, 30, places)
    every = [sighting(0, 0, 500), sighting(1, 30), sighting(2, 10, 20), sighting(3, 25)]
    for size in range(1, len(every)):
        for some in itertools.combinations(every, size):
            before = {alarm.kind for alarm in alarms(rules, some)}
            for more in every:
                if more not in some:
                    assert before <= {alarm.kind for alarm in alarms(rules, (*some, more))}


@pytest.mark.parametrize(
    ("one", "other", "km"),
    [
        (XIAN, XIAN, 0),
        (XIAN, BEIJING, 911),
        ((0, 0), (0, 180), 20015),
        ((90, 0), (-90, 50), 20015),
        ((0, 179), (0, -179), 222),
    ],
)
def test_distances_are_those_of_the_globe(one: tuple[float, float], other: tuple[float, float], km: int) -> None:
    """Also over the pole and over the date line."""
    assert round(distance_km(one, other)) == round(distance_km(other, one)) == km


@pytest.mark.parametrize(
    "toml",
    [
        "cross_gate = 5",
        "[cross_gate]\nspeed = 5",
        "[cross_gate]\nspeed_kmh = 0",
        "[cross_gate]\nspeed_kmh = nan",
        '[cross_gate]\nspeed_kmh = "fast"',
        "[cross_gate]\nmany_gates = 1",
        "[cross_gate]\nmany_gates = true",
        "[cross_gate]\nmany_gates = 65",
        "[cross_gate]\nwithin_min = 0",
        "[cross_gate]\nwithin_min = 1441",
        "[cross_gate]\nplaces = []",
        '[cross_gate.places]\n"North" = [91, 0]',
        '[cross_gate.places]\n"North" = [0, 181]',
        '[cross_gate.places]\n"North" = [1]',
        '[cross_gate.places]\n"North" = [true, false]',
        '[cross_gate.places]\n"North" = "here"',
    ],
)
def test_rules_that_are_none_are_refused_at_the_start(tmp_path: Path, toml: str) -> None:
    """With what to write instead; the hub does not begin with half a rule."""
    clock = Clock()
    begin(tmp_path / "hub", clock)
    file = tmp_path / "hub" / "hub.toml"
    # A key of the top level stands before every section.
    file.write_text(f"{toml}\n{file.read_text()}" if toml.startswith("cross") else f"{file.read_text()}{toml}\n")

    with pytest.raises(ConfigError) as refused:
        Hub.open(tmp_path / "hub", clock=clock)

    assert "cross_gate" in refused.value.message or "hub.toml" in refused.value.message
    assert refused.value.next_step


def test_a_pass_shown_everywhere_is_bounded(world: World) -> None:
    """At more gates than are remembered for one token: no row more, and no failure."""
    with world.hub.store.writing() as connection:
        (place,) = connection.execute("SELECT place FROM gates LIMIT 1").fetchone()
        connection.execute("PRAGMA foreign_keys = OFF")
        for number in range(cross_gate.MOST_GATES):
            connection.execute(
                "INSERT INTO gates(id, gate, key_id, public, place, enrolled_ms, contact_ms) "
                "VALUES (?, ?, ?, ?, ?, 0, 0)",
                (1000 + number, bytes((number,)) * 16, bytes((number,)) * 8, bytes(32), place),
            )
            connection.execute(
                "INSERT INTO sightings VALUES (?, ?, ?, 1, 1, 1, 1, ?)", (TOKEN, 1000 + number, place, START_MS + 10**9)
            )
    world.scan(0, 0)
    world.send(0)

    assert _count(world) == cross_gate.MOST_GATES


def test_an_alarm_is_said_in_words() -> None:
    """Of both languages, with its numbers."""
    for language, wanted in (("zh", "911 公里"), ("en", "911 km")):
        assert wanted in Wording(language)("incident.two_places", km=911, minutes=40)
