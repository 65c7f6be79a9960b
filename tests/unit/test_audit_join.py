"""Two days' logs of the same passes: by no field and no combination of fields do tokens join them; with one key, all.

The long form, a million scans: `pytest -m long tests/unit/test_audit_join.py`.
"""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from edge.audit import join
from edge.audit.days import CARRIED, FIELDS, Day, entries_of
from edge.audit.join import Outcome, attempt
from edge.cli.main import edge
from edge.errors import ConfigError
from edge.hub.hub import Hub
from edge.model.scan import EntryType, Facts
from edge.scanlog.log import ScanLog
from tests.simulators.hub_gates import START_MS, Clock, Device, begin, enrol, post
from tests.simulators.two_days import FIRST_DAY, Crowd, record

DAYS = (FIRST_DAY, FIRST_DAY + 1)


def tried(folder: Path, whose: list[list[int]]) -> Outcome:
    """Try to join the two days that were recorded."""
    days = [Day(entries_of(folder / str(number))) for number in range(2)]
    return attempt(days[0], days[1], lambda *_: None, (whose[0], whose[1]))


def check(outcome: Outcome, count: int) -> None:
    """No bytes join anything; facts join only who is alone; what times claim is right no more often than by chance."""
    assert outcome.sizes == (count, count)
    assert outcome.joined == 0
    assert {name for claim in outcome.claims for name in claim.fields} == set(FIELDS)
    for claim in outcome.claims:
        if claim.is_join or "token" in claim.fields:
            assert (claim.pairs, claim.right) == (0, 0), claim


@pytest.mark.parametrize("count", [10_000, pytest.param(500_000, marks=[pytest.mark.long, pytest.mark.timeout(7200)])])
def test_two_days_are_not_joined(tmp_path: Path, count: int) -> None:
    """Twice as many scans as people, each person once a day: by tokens no pair, by facts those who are alone."""
    outcome = tried(tmp_path, record(tmp_path, Crowd(count), DAYS))

    check(outcome, count)
    print(json.dumps(told(outcome), indent=1))


def told(outcome: Outcome) -> dict[str, object]:
    """Return the figures of the report."""
    most = sorted(outcome.claims, key=lambda one: -(one.right or 0))[:12]
    return {
        "entries": outcome.sizes,
        "combinations": len(outcome.claims),
        "joined": outcome.joined,
        "alike": outcome.alike,
        "alike and of one pass": max(claim.right or 0 for claim in outcome.claims if claim.is_of_facts),
        "right": [(claim.fields, claim.pairs, claim.right) for claim in most],
    }


def test_with_one_key_for_both_days_everybody_is_joined(tmp_path: Path) -> None:
    """The control: the attempt finds what there is to be found, and every claim by tokens is right."""
    outcome = tried(tmp_path, record(tmp_path, Crowd(3000), DAYS, is_ratcheted=False))

    (by_token,) = (claim for claim in outcome.claims if claim.fields == ("token",))
    assert (outcome.joined, by_token.pairs, by_token.right) == (3000, 3000, 3000)


def test_who_is_alone_with_his_facts_is_claimed_and_counted_apart(tmp_path: Path) -> None:
    """One pass of an area on both days: the facts tell, and that is said; it is no join by a token."""
    crowd = Crowd(200)
    crowd.passes = [replace(one, region=440103, status=0, issuer="44") for one in crowd.passes]
    crowd.passes[7] = replace(crowd.passes[7], region=654321)
    outcome = tried(tmp_path, record(tmp_path, crowd, DAYS))

    (by_region,) = (claim for claim in outcome.claims if claim.fields == ("region",))
    assert (by_region.pairs, by_region.right) == (1, 1)
    assert outcome.joined == 0
    assert outcome.alike >= 1


def test_every_subset_of_what_a_pass_carries_is_tried_alone_and_with_each_other_field() -> None:
    """31 subsets, and 32 with each of the others."""
    every = list(join.tried())

    assert len(every) == len(set(every)) == 31 + 32 * (len(FIELDS) - len(CARRIED))
    assert ("token",) in every
    assert (*CARRIED, "time of day, s") in every


@pytest.mark.parametrize("field", ["token", "sealed"])
def test_bytes_that_stay_the_same_join(tmp_path: Path, field: str) -> None:
    """A token, and a sealed field that was sealed once and written twice."""
    days = []
    for number, day in enumerate(DAYS):
        log = ScanLog.open(tmp_path / f"{number}.db")
        log.append(Facts(EntryType.SCAN, day * 86_400_000 + number))
        log.append(Facts(EntryType.SCAN, day * 86_400_000 + 7 * number), **{field: b"the same"})
        log.close()
        (tmp_path / str(number)).mkdir()
        (tmp_path / f"{number}.db").rename(tmp_path / str(number) / "scans.db")
        days.append(Day(entries_of(tmp_path / str(number) / "scans.db")))

    outcome = attempt(days[0], days[1], lambda *_: None)

    assert outcome.joined == 1


def hub_of_two_days(path: Path, *, is_same: bool) -> Path:
    """Return the folder of a hub that took in two days of a gate, tokens still there."""
    clock = Clock()
    desk = begin(path, clock)
    hub = Hub.open(path, clock=clock)
    gate = Device(1)
    enrol(hub, desk, gate)
    for day in range(2):
        gate.scan(30, at_ms=START_MS + day * 86_400_000)
    if is_same:
        gate.entries[30:] = [
            replace(entry, token=first.token) for entry, first in zip(gate.entries[30:], gate.entries, strict=False)
        ]
    post(hub, gate.batches(20))
    hub.close()
    return path


@pytest.mark.parametrize(("is_same", "code"), [(False, 0), (True, 1)])
def test_the_command_joins_two_days_of_one_hub(tmp_path: Path, *, is_same: bool, code: int) -> None:
    """By the private parts it still has; exit code 1 where tokens join."""
    hub = str(hub_of_two_days(tmp_path / "hub", is_same=is_same))
    words = ["audit", "join", hub, hub, "--day-a", "2026-11-18", "--day-b", "2026-11-19"]

    plain = CliRunner().invoke(edge, words, catch_exceptions=False)
    as_json = json.loads(CliRunner().invoke(edge, [*words, "--json"], catch_exceptions=False).output)

    assert plain.exit_code == code
    assert plain.output.startswith(f"{30 * code} joined, of 30 and 30 entries, by ")
    assert (as_json["joined"], as_json["entries"]) == (30 * code, [30, 30])


@pytest.mark.parametrize("name", ["scans.db", "hub.db", "other.db"])
def test_what_is_no_log_is_refused(tmp_path: Path, name: str) -> None:
    """With what to name instead."""
    with pytest.raises(ConfigError):
        entries_of(tmp_path)
    (tmp_path / name).write_bytes(b"no database" * 100)

    done = CliRunner().invoke(edge, ["audit", "join", str(tmp_path / name), str(tmp_path)])

    assert done.exit_code == 1
