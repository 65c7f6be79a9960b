"""One pass at two places sooner than anybody travels, and one pass at many gates within a while: alarms by token.

A token says that two scans were of one pass on one day, and nothing of whose. For each token and gate the hub keeps the
first and the last time for as long as tokens are kept; from these two rules ask. What they find is an incident, once
for each pass and rule, with its scans as evidence, which goes with the tokens: afterwards nobody can say any more which
scans were of one pass, only that it happened. No token is in either.

Times count only where they can be believed: of a synchronised clock, or of another that the hub has measured itself.
Tokens change at midnight (UTC) and between regions of different hubs: nothing is seen across.
"""

import math
import sqlite3
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from edge.errors import BatchRefused, ConfigError
from edge.hub import folder, incidents, kept, projection, statement
from edge.hub.kept import Kept
from edge.hub.schema import FACTS
from edge.ledger import batch
from edge.model.moment import ClockQuality
from edge.model.scan import EntryType

TWO_PLACES: Final = "two_places"
MANY_GATES: Final = "many_gates"
KINDS: Final = (TWO_PLACES, MANY_GATES)
SECTION: Final = "cross_gate"

CLOCK_MS: Final = 60_000
"""A gate's clock that the hub found further off than this is not believed; within it either clock may be off so far."""
MOST_GATES: Final = 64
"""Gates remembered for one token at most: what is beyond alarms nobody anew."""
STEP: Final = 4
"""Batches looked at in one commit."""
_EARTH_KM: Final = 6371.0
_HOUR_MS: Final = 3_600_000
_MINUTE_MS: Final = 60_000
_MOST_SPEED: Final = 100_000.0
_LEAST_GATES: Final = 2
_DAY_MIN: Final = 1440
_AT, _TYPE, _QUALITY = (FACTS.index(name) for name in ("at_ms", "type", "quality"))

_KNOWN: Final = (
    "SELECT s.gate, s.first_ms, s.last_ms, s.first_seq, s.last_seq, p.site, p.region, p.lane, g.gate "
    "FROM sightings AS s JOIN places AS p ON p.id = s.place JOIN gates AS g ON g.id = s.gate "
    "WHERE s.token = ? ORDER BY s.first_ms, s.gate"
)
_SEEN: Final = (
    "INSERT INTO sightings(token, gate, place, first_ms, last_ms, first_seq, last_seq, received_ms) "
    "VALUES (?1, ?2, ?3, ?4, ?4, ?5, ?5, ?6) ON CONFLICT(token, gate) DO UPDATE SET "
    "first_seq = CASE WHEN ?4 < first_ms THEN ?5 ELSE first_seq END, first_ms = min(first_ms, ?4), "
    "last_seq = CASE WHEN ?4 > last_ms THEN ?5 ELSE last_seq END, last_ms = max(last_ms, ?4)"
)


@dataclass(frozen=True, slots=True)
class Rules:
    """What `[cross_gate]` in `hub.toml` says.

    Attributes:
        speed_kmh: Faster than this nobody travels.
        many_gates: So many gates within `within_min` are an alarm; 0 asks for none.
        within_min: Minutes.
        places: Latitude and longitude in degrees by name of a site, or by area code of six digits. Where a place has
            neither nothing is said about its distance.
    """

    speed_kmh: float = 1000.0
    many_gates: int = 6
    within_min: int = 30
    places: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def is_asked(self) -> bool:
        """Whether there is anything to look for."""
        return bool(self.many_gates or self.places)

    def where(self, site: str, region: int) -> tuple[float, float] | None:
        """Return where a place is, or None where nobody said."""
        return self.places.get(site) or self.places.get(f"{region:06d}")


@dataclass(frozen=True, slots=True)
class Sighting:
    """One pass at one gate: the first and the last time.

    Attributes:
        gate: Row of the gate.
        times: Unix milliseconds of the first and of the last, by the gate's clock.
        seqs: Their hub sequence numbers.
        site: Name of the site.
        region: GB/T 2260 code of the place, or 0.
        lane: Name of the lane.
        device: Gate id.
    """

    gate: int
    times: tuple[int, int]
    seqs: tuple[int, int]
    site: str
    region: int
    lane: str
    device: bytes


@dataclass(frozen=True, slots=True)
class Alarm:
    """A rule that one pass broke.

    Attributes:
        kind: One of `KINDS`.
        params: Numbers of its sentence.
        sightings: What it rests on, in the order of time.
    """

    kind: str
    params: Mapping[str, int]
    sightings: tuple[Sighting, ...]


def load(home: Path) -> Rules:
    """Return the rules of a hub.

    Raises:
        ConfigError: `hub.toml` cannot be read, or the section is not as it must be.
    """
    file = home / folder.CONFIG
    try:
        found = tomllib.loads(file.read_text(encoding="utf-8")).get(SECTION, {})
    except (OSError, ValueError) as bad:
        raise ConfigError(f"{file} cannot be read: {type(bad).__name__}.", "Correct it.") from bad
    known = {"speed_kmh": 1000.0, "many_gates": 6, "within_min": 30, "places": {}}
    if not isinstance(found, dict) or not found.keys() <= known.keys():
        raise ConfigError(f"{file}: [{SECTION}] has other keys than {', '.join(known)}.", "Remove them.")
    speed, gates, minutes, places = (found.get(name, value) for name, value in known.items())
    if not (_is_number(speed) and 1 <= speed <= _MOST_SPEED):
        raise ConfigError(f"{file}: speed_kmh is no speed.", "Write speed_kmh = 1000, or a lower one.")
    if type(gates) is not int or not (gates == 0 or _LEAST_GATES <= gates <= MOST_GATES):
        raise ConfigError(f"{file}: many_gates is not 0 or 2 to {MOST_GATES}.", "Write many_gates = 6, or 0 for never.")
    if type(minutes) is not int or not 1 <= minutes <= _DAY_MIN:
        raise ConfigError(f"{file}: within_min is not 1 to {_DAY_MIN}.", "Write within_min = 30.")
    if not isinstance(places, dict) or not all(_is_position(one) for one in places.values()):
        raise ConfigError(
            f"{file}: a place in [{SECTION}.places] is no latitude and longitude.", 'Write "North" = [34.27, 108.95]'
        )
    return Rules(float(speed), gates, minutes, {name: (float(one[0]), float(one[1])) for name, one in places.items()})


def _is_number(value: Any) -> bool:
    return type(value) in {int, float} and math.isfinite(value)


def _is_position(value: Any) -> bool:
    is_pair = isinstance(value, list) and len(value) == 2 and all(map(_is_number, value))  # noqa: PLR2004 - a pair
    return is_pair and abs(value[0]) <= 90 and abs(value[1]) <= 180  # noqa: PLR2004 - degrees


def alarms(rules: Rules, sightings: Sequence[Sighting]) -> Iterator[Alarm]:
    """Give the rules that one pass breaks, each once.

    Args:
        rules: What is asked for.
        sightings: Where the pass was seen, one for each gate.
    """
    far = _two_places(rules, sightings)
    if far is not None:
        yield far
    many = _many_gates(rules, sightings)
    if many is not None:
        yield many


def _two_places(rules: Rules, sightings: Sequence[Sighting]) -> Alarm | None:
    for number, one in enumerate(sightings):
        for other in sightings[:number]:
            here, there = rules.where(one.site, one.region), rules.where(other.site, other.region)
            if here is None or there is None or one.site == other.site:
                continue
            away_km = distance_km(here, there)
            apart_ms = min(abs(at - before) for at in one.times for before in other.times)
            if apart_ms + 2 * CLOCK_MS < away_km / rules.speed_kmh * _HOUR_MS:
                params = {"km": round(away_km), "minutes": apart_ms // _MINUTE_MS}
                return Alarm(TWO_PLACES, params, tuple(sorted((one, other), key=lambda seen: seen.times)))
    return None


def _many_gates(rules: Rules, sightings: Sequence[Sighting]) -> Alarm | None:
    if not rules.many_gates:
        return None
    moments = sorted((at, number) for number, one in enumerate(sightings) for at in set(one.times))
    for start, (begin, _) in enumerate(moments):
        within = {number for at, number in moments[start:] if at - begin <= rules.within_min * _MINUTE_MS}
        if len(within) >= rules.many_gates:
            params = {"gates": len(within), "minutes": rules.within_min}
            return Alarm(MANY_GATES, params, tuple(sightings[number] for number in sorted(within)))
    return None


def distance_km(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Return the great-circle distance of two places, kilometres (haversine)."""
    (north, east), (north_too, east_too) = (map(math.radians, place) for place in (one, other))
    half = math.sin((north_too - north) / 2) ** 2
    half += math.cos(north) * math.cos(north_too) * math.sin((east_too - east) / 2) ** 2
    return 2 * _EARTH_KM * math.asin(min(1.0, math.sqrt(half)))


def step(connection: sqlite3.Connection, rules: Rules, now_ms: int, most: int = STEP) -> bool:
    """Look at the tokens of the next batches; return whether there may be more.

    Args:
        connection: In a transaction that writes.
        rules: What is asked for.
        now_ms: Hub time.
        most: Most batches.
    """
    (done,) = connection.execute("SELECT batch FROM watched").fetchone()
    found = list(kept.read(connection, after=done, most=most))
    if not found:
        return False
    if rules.is_asked:
        for one in found:
            _look(connection, rules, one, now_ms)
    connection.execute("UPDATE watched SET batch = ?", (found[-1].row,))
    return len(found) == most


def forget(connection: sqlite3.Connection, before_ms: int) -> int:
    """Let go of every token that came before a time; return how many rows went."""
    return connection.execute("DELETE FROM sightings WHERE received_ms < ?", (before_ms,)).rowcount


def _look(connection: sqlite3.Connection, rules: Rules, one: Kept, now_ms: int) -> None:
    for token, at_ms, hub_seq in _timed(connection, one):
        before = _known(connection, token)
        if len(before) >= MOST_GATES and one.gate not in {seen.gate for seen in before}:
            continue
        connection.execute(_SEEN, (token, one.gate, one.place, at_ms, hub_seq, one.received_ms))
        if not before or {seen.gate for seen in before} == {one.gate}:
            # At one gate alone neither rule has anything to ask.
            continue
        told = {alarm.kind for alarm in alarms(rules, before)}
        for alarm in alarms(rules, _known(connection, token)):
            if alarm.kind not in told:
                _note(connection, alarm, now_ms, one.received_ms)


def _timed(connection: sqlite3.Connection, one: Kept) -> Iterator[tuple[bytes, int, int]]:
    """Give token, time and hub sequence number of each scan of a batch whose time can be believed."""
    part = connection.execute("SELECT part FROM private WHERE batch = ?", (one.row,)).fetchone()
    (offset_ms,) = connection.execute("SELECT offset_ms FROM gates WHERE id = ?", (one.gate,)).fetchone()
    if part is None or (offset_ms is not None and abs(offset_ms) > CLOCK_MS):
        return
    try:
        opened = batch.open_batch(batch.with_private(one.wire, part[0]), one.public)
    except BatchRefused:
        # Facts that were destroyed, or damage, which `edge hub check` names.
        return
    trusted = {ClockQuality.SYNCED} if offset_ms is None else {ClockQuality.SYNCED, ClockQuality.RTC}
    columns = projection.columns_of(opened.bodies[one.skip :])
    for hub_seq, ((token, _), stated) in enumerate(zip(opened.hidden[one.skip :], columns, strict=True), one.hub_first):
        if token is None or stated is None or stated[_TYPE] != EntryType.SCAN:
            continue
        if stated[_QUALITY] in trusted and stated[_AT] <= one.received_ms + CLOCK_MS:
            yield token, stated[_AT], hub_seq


def _known(connection: sqlite3.Connection, token: bytes) -> list[Sighting]:
    rows: Iterable[tuple[Any, ...]] = connection.execute(_KNOWN, (token,))
    return [Sighting(row[0], (row[1], row[2]), (row[3], row[4]), *row[5:]) for row in rows]


def _note(connection: sqlite3.Connection, alarm: Alarm, now_ms: int, received_ms: int) -> None:
    newest = max(alarm.sightings, key=lambda seen: seen.times[1])
    incidents.note(connection, newest.device, alarm.kind, now_ms, alarm.params)
    # Dated by what it was told with, so that it goes with that token.
    incidents.keep(connection, newest.device, alarm.kind, received_ms, incidents.Exhibit(_evidence(alarm)))


def _evidence(alarm: Alarm) -> bytes:
    """Return the scans an alarm rests on, JSON; no token is in it, so it joins them with no others."""
    scans = [
        {"gate": seen.device.hex(), "site": seen.site, "lane": seen.lane, "at_ms": at_ms, "hub_seq": hub_seq}
        for seen in alarm.sightings
        for at_ms, hub_seq in sorted({*zip(seen.times, seen.seqs, strict=True)})
    ]
    return statement.canonical({"kind": alarm.kind, **alarm.params, "scans": scans})
