"""The rules of a signed policy: each demand alone, contradictions by row, and nothing that could name a person."""

import ast
import json
from contextlib import suppress
from dataclasses import fields, is_dataclass, replace
from itertools import combinations, product
from pathlib import Path
from types import MappingProxyType
from typing import get_args, get_type_hints

import pytest

from edge.errors import TrustError
from edge.model import credential, rules, trust
from edge.model.credential import PassKind, TravelClaims
from edge.model.moment import ClockQuality
from edge.model.rules import HEALTHS, Condition, Hours, Rules, Span
from edge.model.trust import MatrixRow
from edge.model.verdict import Reason
from edge.policy.decide import Place
from edge.policy.examine import examine
from edge.policy.grounds import count
from edge.trust import policies
from edge.trust.fields import Document
from tests.simulators.world import DAY, ISSUED, KEY, NOW, TRUST, at, context, make_pass, person

POLICY = {
    "schema": 2,
    "version": 3,
    "purpose": {"zh": "演练", "en": "exercise"},
    "ends_at": "2030-01-01T00:00:00Z",
    "formats": ["hp1"],
    "kinds": ["person", "travel", "visitor"],
    "repeat_window_s": 300,
    "short_lived_s": 86400,
    "stale_after_s": 86400,
    "too_old_after_s": 2592000,
    "retention_s": 604800,
    "travel_days": 14,
    "listed_areas": ["6101"],
}
TRAVEL = TravelClaims(14, bytes(6), 9, (110000,), b"abc")


def read(**changes):
    return policies.policy(Document(json.dumps(POLICY | changes).encode(), "national/policy.json"))


def under(**changes):
    return replace(TRUST, policy=TRUST.policy.under(Rules(**changes)))


def verdict(code=None, **options):
    found = examine(code or make_pass(), context(**options))
    return found.outcome.name.lower(), str(found.reason)


def travel_pass():
    return make_pass(TRAVEL, PassKind.TRAVEL)


def test_a_policy_without_rules_demands_nothing_more():
    """Schema 2 without `rules` is a policy of schema 1."""
    assert read() == replace(read(schema=1), version=3)
    assert read().rules == Rules()


def test_in_schema_1_rules_do_not_count():
    """Software of before ignores members it does not know; so does this, so that both decide alike."""
    assert read(schema=1, rules={"healths": []}).rules == Rules()


def test_a_green_beside_the_healths_admitted_is_referred():
    """The matrix may accept what this policy does not."""
    assert verdict(trust=under(healths=frozenset({"none"}))) == ("refer", "status.not_admitted")
    assert verdict(trust=under(healths=frozenset({"green"}))) == ("accept", "ok")


def test_a_pass_older_than_its_kind_may_be_is_referred_to_the_second():
    """The age counts from the issue; the limit itself is still good."""
    ruled = under(max_age_s=MappingProxyType({PassKind.PERSON: 3600}))

    assert verdict(trust=ruled, moment=at(ISSUED + 3600)) == ("accept", "ok")
    assert verdict(trust=ruled, moment=at(ISSUED + 3601)) == ("refer", "time.too_old")
    assert verdict(travel_pass(), trust=ruled, moment=at(ISSUED + 7200)) == ("accept", "ok")


def test_a_clock_in_doubt_neither_ages_a_pass_nor_closes_a_gate():
    """What would pass is referred for the clock, not for a rule that nobody can judge."""
    ruled = under(max_age_s=MappingProxyType({PassKind.PERSON: 60}), hours=Hours(0, (Span((1,), 0, 1),)))

    assert verdict(trust=ruled, moment=at(NOW, ClockQuality.DOUBTFUL)) == ("refer", "clock.doubtful")


@pytest.mark.parametrize("minute", [0, 1, 359, 360, 361, 1319, 1320, 1439])
def test_hours_hold_to_the_minute_in_their_own_zone(minute):
    """06:00 to 22:00 at +08:00, Monday to Friday, wherever the gate stands."""
    hours = Hours(480, (Span((1, 2, 3, 4, 5), 360, 1320),))
    # 2026-11-23 was a Monday; midnight there is 16:00 UTC of the day before.
    monday = 1_795_363_200

    found = [hours.is_open(monday + day * DAY + minute * 60) for day in range(7)]

    assert found == [360 <= minute < 1320] * 5 + [False] * 2


def test_outside_the_hours_what_would_pass_is_referred_and_the_rest_still_refused():
    """A closed gate says so, and softens nothing of a red or a forged pass."""
    closed = under(hours=Hours(0, (Span(tuple(range(1, 8)), 0, 1),)))
    forged = bytearray(make_pass())
    forged[-1] ^= 1

    assert verdict(trust=closed) == ("refer", "hours.closed")
    assert verdict(make_pass(person(status=10)), trust=closed) == ("reject", "health.red")
    assert verdict(make_pass(person(status=77)), trust=closed) == ("reject", "matrix.unlisted")
    assert verdict(bytes(forged), trust=closed)[0] == "reject"


@pytest.mark.parametrize("held", [held for n in range(3) for held in combinations(PassKind, n)])
@pytest.mark.parametrize("least", [1, 2])
def test_a_condition_is_met_by_different_kinds_alone(held, least):
    """Every set of kinds presented before, against one or both of person and travel pass."""
    condition = Condition((PassKind.PERSON, PassKind.TRAVEL), least)
    found = examine(make_pass(), replace(context(trust=under(conditions=(condition,))), held=frozenset(held)))

    enough = len({PassKind.PERSON, *held} & {PassKind.PERSON, PassKind.TRAVEL}) >= least
    assert found.reason is (Reason.OK if enough else Reason.CONDITION_PENDING)
    assert enough or found.details == {"wanted_kinds": "travel", "missing": 1}


def test_an_optional_condition_admits_and_says_what_would_be_welcome():
    """Admission does not depend on it."""
    condition = Condition((PassKind.TRAVEL,), 1, is_optional=True)
    found = examine(make_pass(), context(trust=under(conditions=(condition,))))

    assert (found.reason, found.warnings) == (Reason.OK, (Reason.CONDITION_OPTIONAL,))


def test_an_accept_names_what_staff_compare():
    """Only what was signed in plain can be compared, and only where the rules ask for it."""
    ruled = under(match_holder=frozenset({PassKind.PERSON}))
    plain, bare = make_pass(), make_pass(person(birth_year=None, id_tail=None, name=None))

    assert examine(plain, context(trust=ruled)).match == ("surname", "name", "birth_year", "id_tail")
    assert examine(bare, context(trust=ruled)).match == ("surname",)
    assert examine(plain, context()).match == ()


def test_a_status_that_is_not_green_carries_its_ground():
    """Class and legal basis come from the row of the matrix that decided; an accept has none."""
    ground = rules.Ground("contact", MappingProxyType({"zh": "某法", "en": "some law"}))
    matrix = dict(TRUST.matrix) | {("44", 1): (MatrixRow("44", 1, "", "yellow", "refer", ground),)}
    known = replace(TRUST, matrix=MappingProxyType(matrix))

    assert examine(make_pass(person(status=1)), context(trust=known)).ground == ground
    assert examine(make_pass(), context(trust=known)).ground is None


def test_the_next_policy_takes_over_at_its_second_offline():
    """One publication holds both; each verdict records the version it was made under."""
    following = replace(TRUST.policy, version=4, effective_at=NOW + 10, kinds=frozenset({PassKind.TRAVEL}))
    both = replace(TRUST, successor=replace(TRUST, policy=following))
    found = [examine(make_pass(), context(trust=both, moment=at(NOW + second))) for second in (9, 10)]

    assert [(one.reason, one.policy_version) for one in found] == [(Reason.OK, 3), (Reason.KIND_NOT_ADMITTED, 4)]
    doubtful = context(trust=both, moment=at(NOW + 10, ClockQuality.DOUBTFUL))
    assert examine(make_pass(), doubtful).policy_version == 3
    assert examine(b"no pass", context(trust=both, moment=at(NOW + 10))).policy_version == 4


RULED = {
    "healths": ["green", "none"],
    "max_age_s": {"person": 86400},
    "conditions": [{"all_of": ["person", "travel"]}, {"any_of": ["visitor"], "optional": True}],
    "condition_window_s": 30,
    "match_holder": ["person"],
    "hours": {"utc_offset": "+08:00", "open": [{"days": [1, 7], "from": "06:00", "to": "24:00"}]},
}


def test_every_member_of_the_rules_is_read():
    """What the example of docs/formats.md says is what the gate holds."""
    found = read(rules=RULED).rules

    assert found == Rules(
        healths=frozenset({"green", "none"}),
        max_age_s=MappingProxyType({PassKind.PERSON: 86400}),
        conditions=(Condition((PassKind.PERSON, PassKind.TRAVEL), 2), Condition((PassKind.VISITOR,), 1, True)),
        condition_window_s=30,
        match_holder=frozenset({PassKind.PERSON}),
        hours=Hours(480, (Span((1, 7), 360, 1440),)),
    )


SPAN = {"days": [1], "from": "06:00", "to": "22:00"}
RELAY = {
    "family": "yuekang",
    "issuer": "44",
    "url": "https://operator.example/ask",
    "public": bytes(KEY.verify_key).hex(),
}
CONTRADICTIONS = {
    "no kind": ({"kinds": []}, "kinds is empty"),
    "no format": ({"formats": []}, "formats is empty"),
    "document numbers alone": ({"formats": ["document"]}, "formats names document alone"),
    "areas that overlap": ({"listed_areas": ["6101", "61"]}, "listed_areas lists 6101, which lies in 61"),
    "no health": ({"rules": {"healths": []}}, "rules: healths is empty"),
    "an unknown health": ({"rules": {"healths": ["blue"]}}, "rules: healths may hold"),
    "an unknown kind of age": ({"rules": {"max_age_s": {"pet": 60}}}, "max_age_s: pet is no kind"),
    "an age of nothing": ({"rules": {"max_age_s": {"person": 0}}}, "max_age_s: person must be"),
    "a kind that is not admitted": (
        {"rules": {"conditions": [{"all_of": ["venue"]}]}},
        r"conditions\[0\]: all_of wants",
    ),
    "an unknown kind": ({"rules": {"conditions": [{"any_of": ["pet"]}]}}, r"conditions\[0\]: any_of may hold"),
    "more than there are": (
        {"rules": {"conditions": [{"at_least": 3, "of": ["person", "travel"]}]}},
        r"conditions\[0\]: at_least must be a whole number from 1 to 2",
    ),
    "two forms at once": ({"rules": {"conditions": [{"all_of": ["person"], "any_of": ["person"]}]}}, "exactly once"),
    "no form": ({"rules": {"conditions": [{}]}}, "exactly once"),
    "of nothing": ({"rules": {"conditions": [{"any_of": []}]}}, r"conditions\[0\]: any_of is empty"),
    "never open": ({"rules": {"hours": {"utc_offset": "+08:00", "open": []}}}, "hours: open is empty"),
    "on no day": ({"rules": {"hours": {"utc_offset": "+08:00", "open": [SPAN | {"days": []}]}}}, r"open\[0\]: days is"),
    "on an eighth day": ({"rules": {"hours": {"utc_offset": "+08:00", "open": [SPAN | {"days": [8]}]}}}, r"open\[0\]"),
    "an end before the beginning": (
        {"rules": {"hours": {"utc_offset": "+08:00", "open": [SPAN, SPAN | {"to": "05:00"}]}}},
        r"open\[1\]: to must be later than from",
    ),
    "an impossible time": (
        {"rules": {"hours": {"utc_offset": "+08:00", "open": [SPAN | {"from": "25:00"}]}}},
        r"open\[0\]: from must be a time of day",
    ),
    "a zone by name": ({"rules": {"hours": {"utc_offset": "CST", "open": [SPAN]}}}, "utc_offset must be written"),
    "a date that is none": ({"ends_at": "2030-02-30T00:00:00Z"}, "ends_at must be a UTC time"),
    "a relay without the format": ({"rules": {"relays": [RELAY]}}, "formats must name server_token exactly"),
    "the format without a relay": ({"formats": ["hp1", "server_token"]}, "formats must name server_token exactly"),
    "a relay in the clear": (
        {"formats": ["hp1", "server_token"], "rules": {"relays": [RELAY | {"url": "http://operator.example/"}]}},
        r"relays\[0\]: url must be https",
    ),
    "a next version that is not above": ({"next": {**POLICY, "effective_at": "2029-01-01T00:00:00Z"}}, "next: version"),
    "a gap before the next": (
        {"next": {**POLICY, "version": 4, "ends_at": "2032-01-01T00:00:00Z", "effective_at": "2031-01-01T00:00:00Z"}},
        "next: effective_at must lie before the end",
    ),
    "a next that ends before it begins": (
        {"next": {**POLICY, "version": 4, "ends_at": "2028-01-01T00:00:00Z", "effective_at": "2029-01-01T00:00:00Z"}},
        "next: ends_at must lie after effective_at",
    ),
}


@pytest.mark.parametrize("case", CONTRADICTIONS)
def test_a_policy_that_contradicts_itself_is_refused_with_its_row(case):
    """The gate keeps its last good policy, the authority signs none of these: both read with this reader."""
    changes, row = CONTRADICTIONS[case]

    with pytest.raises(TrustError, match=row):
        read(**changes)


WRONG = (None, True, 1, -1, 1.5, "", "x", [], [1], [None], {}, {"a": 1}, [[]], "\x1b[2J", 10**30)


def test_counts_by_class_come_from_what_the_log_states():
    """Issuer and status are looked up in the matrix; accepts, other refusals and odd lines are passed over."""
    ground = rules.Ground("contact", MappingProxyType({"zh": "某法", "en": "some law"}))
    matrix = dict(TRUST.matrix) | {("44", 1): (MatrixRow("44", 1, "", "yellow", "refer", ground),)}
    known = replace(TRUST, matrix=MappingProxyType(matrix))
    lines = [
        {"reason": "health.yellow", "issuer": "44", "status": 1, "count": 1},
        {"reason": "health.yellow", "issuer": "44", "status": 1, "count": 4},
        {"reason": "health.red", "issuer": "44", "status": 10, "count": 1},
        {"reason": "ok", "issuer": "44", "status": 0, "count": 1},
        {"reason": "status.revoked", "issuer": "44", "status": 1, "count": 1},
        {"reason": None, "issuer": ["44"]},
        {},
    ]

    assert count(lines, known, Place("440106")) == {"contact": {"44": 5}, "unnamed": {"44": 1}}


@pytest.mark.parametrize(("member", "value"), list(product(RULED, WRONG)))
def test_a_member_of_another_type_is_refused_or_means_what_it_says(member, value):
    """Every member against every kind of JSON value: a policy or a `TrustError`, nothing else."""
    with suppress(TrustError):
        found = read(rules=RULED | {member: value}).rules

        assert value in (None, [], {})
        assert found != read(rules=RULED).rules


# -- the language cannot select a person --------------------------------------------------------------------------

PERSONAL = {"pseudonym", "index", "surname", "tag", "birth_year", "id_tail", "name", "id", "holder_key", "signature"}


def leaves(kind, path="policy"):
    """Yield (path, type) of every value a policy can hold."""
    if is_dataclass(kind):
        hints = get_type_hints(kind, vars(rules) | vars(trust))
        for field in fields(kind):
            if field.name != "following":
                yield from leaves(hints[field.name], f"{path}.{field.name}")
        return
    inner = [one for one in get_args(kind) if one not in (type(None), Ellipsis)]
    if not inner:
        yield path, kind
    for one in inner:
        yield from leaves(one, path)


def test_no_field_of_the_language_can_name_a_person():
    """Every field the language has is listed here; a new one is a decision somebody has to take again.

    Kinds, healths, times, counts and regions select classes; `family`, `url`, `issuer` name systems. The claims that
    tell one person from another are not among them.
    """
    names = {path.rpartition(".")[2] for path, _ in leaves(trust.Policy)}

    assert names & PERSONAL == set()
    assert {path for path, kind in leaves(trust.Policy) if kind is bytes} == {
        "policy.rules.relays.public",
        "policy.rules.relays.certificate",
    }
    assert {path for path, kind in leaves(trust.Policy) if kind is str} == {
        "policy.purpose",
        "policy.formats",
        "policy.listed_areas",
        "policy.rules.healths",
        *(f"policy.live.{name}" for name in ("issuer", "unbound", "copied")),
        *(f"policy.rules.relays.{name}" for name in ("family", "issuer", "url")),
        "policy.rules.relays",
        "policy.rules.health.country",
        "policy.rules.health.outcome",
    }


def test_what_decides_reads_no_claim_that_names_a_person():
    """No module that decides touches such a claim; what staff compare is named, never compared.

    Of the holder's key it is asked whether there is one.
    """
    touched = {
        (path.name, node.attr)
        for path in Path(credential.__file__).parents[1].joinpath("policy").glob("*.py")
        if path.name != "steps.py"  # tells what was decided, and looks the list's answer up for it
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in PERSONAL - {"id", "name"}
    }

    assert touched == {("live.py", "holder_key")}


OTHERS = [
    {"surname": "王"},
    {"tag": b"xyz"},
    {"pseudonym": b"abcdef"},
    {"index": 8},
    {"birth_year": 2001},
    {"id_tail": "000X"},
    {"name": "王*"},
    {"birth_year": None, "id_tail": None, "name": None},
]
POLICIES = [
    Rules(),
    Rules(healths=frozenset({"none"})),
    Rules(max_age_s=MappingProxyType({PassKind.PERSON: 60})),
    Rules(conditions=(Condition((PassKind.PERSON, PassKind.TRAVEL), 2),)),
    Rules(match_holder=frozenset(PassKind)),
    Rules(hours=Hours(0, (Span((1,), 0, 1),))),
]


@pytest.mark.parametrize("other", OTHERS)
def test_two_people_alike_in_everything_but_who_they_are_get_the_same_verdict(other):
    """Under every rule and status; the status list, which knows an index as good or bad, apart."""
    for ruled, status in product(POLICIES, (0, 1, 10, 30, 77)):
        trusted = replace(TRUST, policy=TRUST.policy.under(ruled))
        found = [
            examine(make_pass(person(status=status, **who)), context(trust=trusted, place=Place("110000")))
            for who in ({}, other)
        ]

        assert len({(one.outcome, one.reason, str(one.details), one.warnings) for one in found}) == 1


def test_healths_are_the_vocabulary_of_the_matrix():
    """One list of words for both."""
    assert set(HEALTHS) == {row.health for rows in TRUST.matrix.values() for row in rows} | {"none"}
