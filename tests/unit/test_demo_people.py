"""The demo's programme: every kind of case comes, and each code can only be answered as it is expected."""

import itertools
import random
from dataclasses import replace
from types import MappingProxyType

import pytest

from edge.credentials import hp1
from edge.demo import counterfeits
from edge.demo.people import (
    EXPECTED,
    FIRST_ROUND,
    PROFILES,
    Case,
    Expected,
    Order,
    Pace,
    Part,
    Person,
    Presentation,
    Programme,
    round_of,
    wanted,
)
from edge.demo.phone import Phone
from edge.model.credential import PassKind, PersonClaims, TravelClaims, VenueClaims
from edge.model.trust import PackedList, TrustSnapshot
from edge.policy.decide import Sighting
from edge.policy.examine import examine
from tests.simulators import world

PACE = Pace(2.2, 1.2, 0.1)
NOW = world.NOW
REVOKED_INDEX = world.REVOKED
PHONE = Phone(world.HOLDER)
WHO = Person("张", "张*伟", 1988, "3416")


def trust() -> TrustSnapshot:
    """A country that knows all seven issuers by one key, with the usual meanings."""
    issuers = {name: replace(world.TRUST.issuers["44"], id=name) for name in PROFILES}
    keys = {
        (name, world.KID): (replace(world.ISSUER_KEY, issuer=name, regions=("",), not_before=0),) for name in PROFILES
    }
    matrix = {key: rows for name in PROFILES for key, rows in world.rows(name).items()}
    return replace(
        world.TRUST,
        issuers=MappingProxyType(issuers),
        keys=MappingProxyType(keys),
        status_lists=MappingProxyType(
            {(name, 1): PackedList("list", 2, world.status_list().entries) for name in PROFILES}
        ),
        matrix=MappingProxyType(matrix),
        policy=replace(world.POLICY, listed_areas=("54",)),
    )


def made(order: Order, index: int) -> bytes:
    """Issue an ordered pass as an authority would."""
    validity = (NOW + order.starts_s, NOW + order.starts_s + order.lasts_s)
    holder = PHONE.key if order.is_live else None
    index = REVOKED_INDEX if order.is_revoked else index
    pseudonym = index.to_bytes(6, "big")
    if order.kind == "travel":
        claims = TravelClaims(14, pseudonym, index, (440100,), b"abc")
        return world.make_pass(claims, PassKind.TRAVEL, validity=validity, issuer=order.issuer)
    if order.kind == "venue":
        place = VenueClaims(b"venue", 440100, "station")
        return world.make_pass(place, PassKind.VENUE, validity=validity, issuer=order.issuer)
    person = PersonClaims(order.status, 440100, pseudonym, index, "张", b"abc")
    return world.make_pass(person, validity=validity, issuer=order.issuer, holder=holder)


def passes(parts: list[Part]) -> list[bytes | None]:
    orders = [wanted(part) for part in parts]
    return [None if order is None else made(order, 100 + at) for at, order in enumerate(orders)]


def first_round(seed: int = 1) -> list[Presentation]:
    parts = round_of(0, seed)
    return [PHONE.shown(one, NOW) for one in Programme(seed, PACE).presentations(parts, passes(parts), NOW)]


class SeenBefore:
    """Everybody was here a minute ago."""

    def seen(self, identity: bytes, moment: object) -> Sighting:
        return Sighting(60)


@pytest.mark.parametrize("presentation", first_round(), ids=lambda one: f"{one.number}-{one.part.case}")
def test_gate_answers_as_expected(presentation: Presentation) -> None:
    """What is shown has exactly one right answer under the usual trust, and the programme expects that one."""
    context = world.context(trust=trust())
    if presentation.part.case is Case.REPEATED:
        context = replace(context, sightings=SeenBefore())
    verdict = examine(presentation.showing.raw, context)

    assert presentation.expected == Expected(verdict.outcome.name.lower(), str(verdict.reason))


def test_first_round_has_every_kind_of_case() -> None:
    """A short run shows them all: every case of the issue, and valid passes of all seven issuers."""
    parts = round_of(0, 5)
    rare = {Case.IDENTITY_ONLY, Case.POPUP}

    assert set(Case) - {part.case for part in parts} == rare
    assert {part.system for part in parts if part.case is Case.VALID} == set(PROFILES)
    assert len(first_round()) == len(FIRST_ROUND)


def test_later_rounds_are_a_crowd_with_everything_in_it_now_and_then() -> None:
    """Most people of a later round simply pass, and no case stays away for ever."""
    rounds = [round_of(number, 5) for number in range(1, 9)]
    cases = [part.case for part in itertools.chain(*rounds)]

    assert set(cases) == set(Case)
    assert cases.count(Case.VALID) * 2 > len(cases)


def test_every_case_has_its_expectation() -> None:
    """No case is shown without the answer it must get, and only a valid pass may be accepted."""
    assert set(EXPECTED) == set(Case)
    assert [case for case in Case if EXPECTED[case].outcome == "accept"] == [Case.VALID, Case.LIVE]


def test_repeated_is_the_code_of_somebody_who_was_accepted() -> None:
    """It is the same code, byte for byte, some people later."""
    shown = first_round()
    again = next(one for one in shown if one.part.case is Case.REPEATED)
    before = [one for one in shown if one.showing.raw == again.showing.raw and one is not again]

    assert [one.part.case for one in before] == [Case.VALID]
    assert again.number - before[0].number >= 3


def test_programme_follows_from_its_seed() -> None:
    """The same seed gives the same people and codes, another seed others."""
    assert first_round(3) == first_round(3)
    assert [one.part.person for one in first_round(3)] != [one.part.person for one in first_round(4)]


def test_part_without_its_pass_is_left_out() -> None:
    """Where the authority has not issued a pass yet nobody comes with it."""
    parts = [Part(Case.VALID, "44"), Part(Case.FOREIGN, "menu")]
    found = list(Programme(1, PACE).presentations(parts, [None, None], NOW))

    assert [one.part.case for one in found] == [Case.FOREIGN]
    assert [one.number for one in found] == [0]


def test_presentation_does_not_print_its_code() -> None:
    """What people show never reaches a log or a traceback of the demo."""
    shown = first_round()[0]

    assert shown.showing.raw.decode() not in repr(shown)
    assert "HP1:" not in repr(shown)


def test_forged_pass_says_the_same_as_the_genuine_one() -> None:
    """Issuer, key id and claims are those of the original; only the signature is a stranger's."""
    genuine = made(Order("44", WHO), 9)
    one, other = hp1.FORMAT.parse(genuine), hp1.FORMAT.parse(counterfeits.forged(genuine, random.Random(1)))

    assert one.signed == other.signed
    assert one.signature != other.signature


def test_altered_pass_turns_red_into_green() -> None:
    """Its signature is the original's, its status is not."""
    genuine = made(Order("44", WHO, status=10), 9)
    one, other = hp1.FORMAT.parse(genuine), hp1.FORMAT.parse(counterfeits.altered(genuine))

    assert (one.claims.status, other.claims.status) == (10, 0)  # type: ignore[union-attr]
    assert one.signature == other.signature


def test_green_pass_cannot_be_altered_to_green() -> None:
    """An alteration that alters nothing is a mistake of the programme."""
    with pytest.raises(ValueError, match="not green"):
        counterfeits.altered(made(Order("44", WHO), 9))


@pytest.mark.parametrize("seed", range(40))
def test_broken_pass_is_malformed_wherever_it_was_torn(seed: int) -> None:
    """What is left of a torn pass is never a pass."""
    torn = counterfeits.broken(made(Order("44", WHO), 9), random.Random(seed))

    assert str(examine(torn, world.context()).reason) == "credential.malformed"


def test_hall_is_empty_for_a_while_now_and_then() -> None:
    """In a run without end the page comes to rest: after an accept, every eight people or a little later."""
    parts = [part for number in range(3) for part in round_of(number, 1)]
    shown = list(Programme(1, replace(PACE, rest_s=7.0)).presentations(parts, passes(parts), NOW))
    rests = [one.number for one in shown if one.showing.gap_s == 7.0]

    assert len(rests) >= 5
    assert all(later - earlier >= 8 for earlier, later in itertools.pairwise(rests))
    assert {shown[number - 1].part.case for number in rests} == {Case.VALID}
