"""How a verdict came about: one step decides, those before it held, those behind it were not asked."""

from dataclasses import replace
from types import MappingProxyType

import pytest

from edge.model.credential import PassKind, TravelClaims
from edge.model.rules import Rules
from edge.model.verdict import Reason
from edge.policy.examine import examine
from edge.policy.steps import NAMES, State, explain, step_of
from tests.simulators import world
from tests.simulators.world import DAY, EXPIRES, ISSUED, TRUST, at, context, make_pass, person


def forged():
    code = bytearray(make_pass())
    code[-3] = ord("0") if code[-3] != ord("0") else ord("1")
    return bytes(code)


def other_trust(**changes):
    return context(trust=replace(TRUST, **changes))


OLD = replace(TRUST, policy=TRUST.policy.under(Rules(max_age_s=MappingProxyType({PassKind.PERSON: 60}))))
CASES = {
    "no pass": (b"https://example.com", context(), "parse"),
    "damaged": (b"HP1:%%%", context(), "parse"),
    "no trust": (make_pass(), context(trust=None), "trust"),
    "trust too old": (make_pass(), context(moment=at(ISSUED + 31 * DAY)), "trust"),
    "a live code": (b"a" * 64, context(), "key"),
    "nobody's": (make_pass(issuer="6101"), context(), "key"),
    "no such key": (make_pass(), other_trust(keys=MappingProxyType({})), "key"),
    "forged": (forged(), context(), "signature"),
    "of another region": (make_pass(person(region=110000)), context(), "bounds"),
    "expired": (make_pass(), context(moment=at(EXPIRES)), "time"),
    "revoked": (make_pass(person(index=world.REVOKED)), context(), "status"),
    "red": (make_pass(person(status=10)), context(), "matrix"),
    "unlisted": (make_pass(person(status=77)), context(), "matrix"),
    "too old": (make_pass(), context(trust=OLD), "rules"),
    "from a listed area": (
        make_pass(TravelClaims(14, bytes(6), 9, (610104,), b"abc"), PassKind.TRAVEL),
        context(),
        "rules",
    ),
    "good": (make_pass(), context(), "rules"),
}


@pytest.mark.parametrize("case", CASES)
def test_the_step_that_decided_is_named_and_the_verdict_is_the_gates(case):
    """Steps before it are ok, steps behind it have found nothing."""
    code, asked, decided = CASES[case]
    verdict, steps = explain(code, asked)
    place = NAMES.index(decided)

    assert verdict == examine(code, asked)
    assert [step.name for step in steps] == list(NAMES)
    assert [step.state for step in steps] == [
        *([State.OK] * place),
        State.DECIDED,
        *([State.NOT_REACHED] * (len(NAMES) - place - 1)),
    ]
    assert all(step.found == {} for step in steps[place + 1 :])


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_is_given_by_a_step(reason):
    """A reason of another part is a rule's unless it says otherwise."""
    assert step_of(reason) in NAMES


def test_nothing_personal_is_told():
    """What was found names no person: no pseudonym, tag, name or index."""
    marked = person(
        surname="赵钱孙", tag=b"\xab\xcd\xef", pseudonym=b"\xde\xad\xbe\xef\x01\x02", index=777, id_tail="ZZZZ"
    )
    _, steps = explain(make_pass(marked), context())
    told = repr([step.found for step in steps])

    assert [word for word in ("赵钱孙", "abcdef", "deadbeef", "777", "ZZZZ", "张") if word in told] == []
