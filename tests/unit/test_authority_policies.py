"""Policies on their way to gates: the next one, slips named by row, grounds of every refusal."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from edge.authority import issuers, profiles
from edge.authority.authority import Authority, init
from edge.authority.publish import publish
from edge.errors import PublicationError
from edge.model.moment import Moment
from edge.trust import paths
from edge.trust.opening import open_trust
from tests.simulators.repository import DAY, NOW
from tests.unit.test_authority import edit

RULES: dict[str, Any] = {"healths": ["green", "none"]}


@pytest.fixture(scope="module")
def _country(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = init(tmp_path_factory.mktemp("policies") / "authority", NOW)
    for profile in profiles.profiles():
        issuers.add_issuer(made, profile, NOW)
    publish(made, NOW)
    return made.folder


@pytest.fixture
def authority(_country: Path, tmp_path: Path) -> Authority:
    """An authority with the seven systems, published once."""
    return Authority.open(Path(shutil.copytree(_country, tmp_path / "authority")))


def members(authority: Authority, **changes: Any) -> dict[str, Any]:
    return {**authority.sources.members(paths.POLICY), **changes}


def test_a_policy_with_rules_takes_the_schema_it_needs(authority: Authority) -> None:
    """Without rules it stays readable for software of before."""
    issuers.set_policy(authority, members(authority, rules=RULES), NOW)
    assert authority.sources.members(paths.POLICY)["schema"] == 2

    plain = members(authority)
    del plain["rules"]
    issuers.set_policy(authority, plain, NOW)
    assert authority.sources.members(paths.POLICY)["schema"] == 1


def test_a_policy_takes_effect_at_its_time_without_another_publication(authority: Authority) -> None:
    """A gate holds both from the day before, and switches by itself."""
    assert issuers.set_policy(authority, members(authority, travel_days=7), NOW, effective_at=NOW + DAY) == 2
    publish(authority, NOW)
    trust = open_trust(authority.folder, NOW)

    found = [trust.at(Moment((NOW + DAY + second) * 1000)).policy for second in (-1, 0)]
    assert [(policy.version, policy.travel_days) for policy in found] == [(1, 14), (2, 7)]


def test_a_policy_set_after_the_next_took_effect_follows_that_one(authority: Authority) -> None:
    """Versions only grow, and what is in force then is what is kept until the new one."""
    issuers.set_policy(authority, members(authority, travel_days=7), NOW, effective_at=NOW + DAY)
    later = NOW + 2 * DAY
    following = members(authority, travel_days=3)

    assert issuers.set_policy(authority, following, later, effective_at=later + DAY) == 3
    policy = authority.sources.value(paths.POLICY)
    assert (policy.version, policy.travel_days, policy.following.version, policy.following.travel_days) == (2, 7, 3, 3)


def test_a_policy_cannot_take_effect_in_the_past(authority: Authority) -> None:
    """Leave the time out to have it at once."""
    with pytest.raises(PublicationError, match="past"):
        issuers.set_policy(authority, members(authority), NOW, effective_at=NOW)


@pytest.mark.parametrize(
    ("path", "change", "row"),
    [
        (paths.POLICY, {"formats": ["hp1", "hpx"]}, "formats names 'hpx'"),
        (paths.POLICY, {"formats": []}, "formats is empty"),
        (paths.POLICY, {"kinds": []}, "kinds is empty"),
        (paths.POLICY, {"listed_areas": ["61", "6101"]}, "lists 6101, which lies in 61"),
        (paths.POLICY, {"listed_areas": ["99"]}, "lists area 99"),
        (
            paths.MATRIX,
            {"rows": [{"issuer": "99", "status": 0, "area": "", "health": "green", "outcome": "accept"}]},
            "names issuer 99",
        ),
        (
            paths.MATRIX,
            {"rows": [{"issuer": "44", "status": 0, "area": "", "health": "green", "outcome": "accept", "class": "x"}]},
            r"rows\[0\]: class must be one of",
        ),
        (paths.MATRIX, {"rows": [{"issuer": "44", "status": -1}]}, r"rows\[0\]: status"),
    ],
)
def test_a_slip_is_a_publication_error_that_names_the_row(
    authority: Authority,
    path: str,
    change: dict[str, Any],
    row: str,
) -> None:
    """Nothing is signed, and the author finds the place."""
    edit(authority, path, lambda found: found.update(change))

    with pytest.raises(PublicationError, match=row):
        publish(authority, NOW + DAY)


def test_with_rules_every_row_that_does_not_accept_needs_its_ground(authority: Authority) -> None:
    """Reason class and legal basis, or it is not published; the ready profiles have both."""
    issuers.set_policy(authority, members(authority, rules=RULES), NOW)
    publish(authority, NOW)
    trust = open_trust(authority.folder, NOW)
    grounds = [row.ground for rows in trust.matrix.values() for row in rows if row.outcome != "accept"]

    assert grounds
    assert all(ground is not None and ground.basis["zh"] for ground in grounds)
    edit(authority, paths.MATRIX, lambda found: found["rows"][1].pop("class"))
    with pytest.raises(PublicationError, match=r"rows\[1\]: class is missing"):
        publish(authority, NOW + DAY)
    edit(authority, paths.MATRIX, lambda found: found["rows"][1].pop("basis"))
    with pytest.raises(PublicationError, match="the row of issuer 11, status 1"):
        publish(authority, NOW + DAY)


def test_healths_that_no_row_accepts_are_refused_by_gate_and_authority(authority: Authority) -> None:
    """Across two documents: the policy admits what the matrix accepts nowhere."""
    edit(authority, paths.POLICY, lambda found: found.update(schema=2, rules={"healths": ["red"]}))

    with pytest.raises(PublicationError, match=r"no row of national/matrix\.json accepts"):
        publish(authority, NOW + DAY)


def test_a_document_of_a_later_schema_is_refused_as_a_whole(authority: Authority) -> None:
    """Nobody reads half of it: a policy knows three schemas, every other document one."""
    policy, matrix = members(authority), authority.sources.members(paths.MATRIX)

    with pytest.raises(PublicationError, match="schema must be a whole number from 1 to 3"):
        authority.sources.check(paths.POLICY, {**policy, "schema": 4})
    with pytest.raises(PublicationError, match="schema must be a whole number from 1 to 1"):
        authority.sources.check(paths.MATRIX, {**matrix, "schema": 2})
