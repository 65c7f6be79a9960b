"""Live passes: vectors, how far a time may be off, and what a policy makes of copies."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import segno
from nacl.signing import SigningKey

from edge.codec import base45
from edge.credentials import hl1
from edge.errors import CredentialError, TrustError
from edge.model.credential import PassKind, TravelClaims
from edge.model.live import LiveRule
from edge.model.moment import ClockQuality, Moment
from edge.model.trust import IssuerKey
from edge.model.verdict import Outcome, Reason
from edge.policy.decide import refused_outcome
from edge.policy.examine import examine
from edge.trust import policies
from edge.trust.fields import Document
from edge.verify.live import UNSYNCED_S
from tests.simulators import world
from tests.simulators.repository import POLICY
from tests.simulators.world import NOW, TRUST, at, context, make_pass, shown_live

VECTORS = [json.loads(line) for line in (Path(__file__).parents[1] / "vectors/live.jsonl").read_text().splitlines()]
BOUND = make_pass(world.person(birth_year=None, id_tail=None, name=None), holder=world.HOLDER)
PERSONS = frozenset({PassKind.PERSON})
RULE = LiveRule("44", PERSONS, "refer", "accept", nonce=False)
NONCE = b"40718265"


def under(*rules, **changes):
    return replace(TRUST, policy=replace(TRUST.policy, live=rules, **changes))


def verdict(code, *, trust=TRUST, moment=None, nonces=()):
    found = examine(code, replace(context(moment=moment, trust=trust), nonces=nonces))
    return found.outcome.name.lower(), str(found.reason)


@pytest.mark.parametrize("row", VECTORS, ids=[row["id"] for row in VECTORS])
def test_vector_gets_the_expected_reason(row):
    """Each is accepted, or refused for the first check it fails."""
    trust = replace(TRUST, policy=replace(TRUST.policy, listed_areas=()))
    nonces = [digits.encode() for digits in row["nonces"]]

    found = verdict(row["code"].encode(), trust=trust, moment=at(row["clock"]), nonces=nonces)

    assert found[1] == row["expect"]
    assert (found[0] == "accept") == (row["expect"] == "ok")


def test_the_worked_example_of_the_document_is_its_vector():
    """What a phone team reads is what a gate takes."""
    document = (Path(__file__).parents[2] / "docs/live-passes.md").read_text(encoding="utf-8")
    (code,) = [row["code"] for row in VECTORS if row["id"] == "nonce"]
    proof = hl1.FORMAT.parse(code.encode()).proof

    assert code in document.splitlines()
    assert proof.signature.hex() in document.splitlines()
    assert proof.signed[:19].hex() in document
    assert proof.signed[-165:].hex() in document.replace("\n", "")


def test_negative_vectors_outnumber_positive_ones():
    """The suite is mostly about what must not pass."""
    positive = sum(row["expect"] == "ok" for row in VECTORS)

    assert len(VECTORS) - positive > 3 * positive


def test_a_presentation_is_the_same_credential_as_its_pass():
    """Another second or other digits make no other credential: the repeat rule holds (ADR 0002)."""
    found = [hl1.FORMAT.parse(shown_live(BOUND, NOW + later, nonce)) for later, nonce in ((0, b""), (9, b"12345678"))]

    assert {one.identity for one in found} == {world.FORMATS[0].parse(BOUND).identity}


@pytest.mark.parametrize(("nonce", "most"), [(b"", 12), (NONCE, 14)])
def test_a_presentation_fits_its_symbol(nonce, most):
    """Without optional elements version 12-M, with a gate's digits at most 14-M."""
    drawn = segno.make_qr(shown_live(BOUND, NOW, nonce).decode(), error="m", boost_error=False)

    assert drawn.version <= most


@pytest.mark.parametrize(
    ("quality", "late_s", "off_s", "expected"),
    [
        (ClockQuality.SYNCED, 0, 30, ("accept", "ok")),
        (ClockQuality.SYNCED, 0, -30, ("accept", "ok")),
        (ClockQuality.SYNCED, 0, 31, ("refer", "live.stale")),
        (ClockQuality.SYNCED, 0, -31, ("refer", "live.stale")),
        (ClockQuality.SYNCED, 60, 90, ("accept", "ok")),
        (ClockQuality.SYNCED, 60, 91, ("refer", "live.stale")),
        (ClockQuality.SYNCED, 60, -31, ("refer", "live.stale")),
        (ClockQuality.RTC, 0, 30 + UNSYNCED_S, ("accept", "ok")),
        (ClockQuality.RTC, 0, 31 + UNSYNCED_S, ("refer", "live.stale")),
        (ClockQuality.RTC, 0, -31 - UNSYNCED_S, ("refer", "live.stale")),
        (ClockQuality.FLOOR, 0, 40_000, ("accept", "ok")),
        (ClockQuality.FLOOR, 0, -31 - UNSYNCED_S, ("refer", "live.stale")),
        (ClockQuality.DOUBTFUL, 0, 40_000, ("refer", "clock.doubtful")),
        (ClockQuality.DOUBTFUL, 0, 0, ("refer", "clock.doubtful")),
    ],
)
def test_the_time_is_judged_as_far_as_the_gate_knows_it(quality, late_s, off_s, expected):
    """What is behind is stale for certain; what is ahead may be now where the gate's time may be later."""
    moment = Moment(NOW * 1000, quality, late_ms=late_s * 1000)

    assert verdict(shown_live(BOUND, NOW + off_s), moment=moment) == expected


def test_what_a_floor_lets_through_is_said():
    """A presentation ahead of a clock that only knows a lower bound carries a warning."""
    found = examine(shown_live(BOUND, NOW + 4000), context(moment=at(NOW, ClockQuality.FLOOR)))

    assert found.warnings == (Reason.LIVE_STALE,)


def test_staff_are_told_how_old_a_stale_code_is():
    """A minute on everybody's code is a clock, a day on one is a screenshot."""
    found = examine(shown_live(BOUND, NOW - 300), context())

    assert found.details == {"ago_s": 300}


def test_the_window_is_the_policys():
    """A policy may ask for ten seconds."""
    trust = under(live_window_s=10)

    assert verdict(shown_live(BOUND, NOW - 10), trust=trust) == ("accept", "ok")
    assert verdict(shown_live(BOUND, NOW - 11), trust=trust) == ("refer", "live.stale")


@pytest.mark.parametrize(
    ("rule", "code", "expected"),
    [
        (None, BOUND, ("refer", "live.missing")),
        (None, shown_live(BOUND), ("accept", "ok")),
        (RULE, BOUND, ("refer", "live.missing")),
        (replace(RULE, copied="reject"), BOUND, ("reject", "live.missing")),
        (replace(RULE, issuer=""), BOUND, ("refer", "live.missing")),
        (replace(RULE, issuer="11", copied="reject"), BOUND, ("refer", "live.missing")),
        (replace(RULE, kinds=frozenset({PassKind.VISITOR}), copied="reject"), BOUND, ("refer", "live.missing")),
        (RULE, make_pass(), ("accept", "ok")),
        (replace(RULE, unbound="refer"), make_pass(), ("refer", "live.unbound")),
        (replace(RULE, unbound="reject"), make_pass(), ("reject", "live.unbound")),
        (RULE, shown_live(BOUND), ("accept", "ok")),
        (RULE, shown_live(BOUND, NOW - 99), ("refer", "live.stale")),
        (replace(RULE, copied="reject"), shown_live(BOUND, NOW - 99), ("reject", "live.stale")),
        (replace(RULE, nonce=True), shown_live(BOUND), ("refer", "live.nonce")),
        (replace(RULE, nonce=True, copied="reject"), shown_live(BOUND), ("reject", "live.nonce")),
        (replace(RULE, nonce=True), shown_live(BOUND, nonce=NONCE), ("accept", "ok")),
        (replace(RULE, nonce=True), shown_live(BOUND, nonce=b"11111111"), ("refer", "live.nonce")),
        (replace(RULE, copied="reject"), shown_live(BOUND, holder=world.KEY), ("reject", "live.invalid")),
        (RULE, shown_live(BOUND, holder=world.KEY), ("reject", "live.invalid")),
    ],
)
def test_a_copy_is_what_the_policy_says(rule, code, expected):
    """Bound and copied, unbound, stale, without digits, of another phone."""
    trust = under() if rule is None else under(rule)

    assert verdict(code, trust=trust, nonces=(NONCE,)) == expected


def test_the_issuers_own_rule_comes_before_the_one_for_all():
    """Whatever the order of the rows."""
    everybody = replace(RULE, issuer="", copied="reject")

    assert verdict(BOUND, trust=under(everybody, RULE)) == ("refer", "live.missing")
    assert verdict(BOUND, trust=under(RULE, everybody)) == ("refer", "live.missing")


def test_a_red_pass_stays_red_however_it_is_shown():
    """What it says is worse than how it is shown."""
    red = make_pass(world.person(status=10), holder=world.HOLDER)

    assert verdict(red, trust=under(RULE)) == ("reject", "health.red")


def test_nothing_of_a_presentation_by_another_phone_is_authentic():
    """So nothing of it is shown or kept, and a flood of them is counted, not written."""
    found = examine(shown_live(BOUND, holder=SigningKey(b"x" * 32)), context())

    assert not found.is_authentic
    assert refused_outcome(found.reason) is Outcome.REJECT


def test_an_unbound_pass_cannot_be_laid_out():
    """The wallet is told why."""
    with pytest.raises(CredentialError) as refusal:
        hl1.unsigned(make_pass(), NOW)

    assert refusal.value.reason is Reason.LIVE_UNBOUND


@pytest.mark.parametrize(("moment", "nonce"), [(-1, b""), (NOW, b"1234"), (NOW, b"1234567x")])
def test_what_a_gate_would_refuse_is_never_signed(moment, nonce):
    """Time and digits outside the CDDL."""
    with pytest.raises((CredentialError, OverflowError)):
        hl1.unsigned(BOUND, moment, nonce)


def test_the_admitted_formats_are_the_policys():
    """A policy that does not name hl1 admits no presentation."""
    trust = replace(TRUST, policy=replace(TRUST.policy, formats=frozenset({"hp1"})))

    assert verdict(shown_live(BOUND), trust=trust) == ("reject", "format.not_admitted")


def test_a_travel_pass_can_be_live():
    """Every kind that a person shows."""
    code = make_pass(TravelClaims(14, bytes(6), 9, (110000,), b"abc"), PassKind.TRAVEL, holder=world.HOLDER)
    rule = replace(RULE, kinds=frozenset({PassKind.TRAVEL}))

    assert verdict(code, trust=under(rule)) == ("refer", "live.missing")
    assert verdict(shown_live(code), trust=under(rule)) == ("accept", "ok")


def test_the_holders_key_never_stands_for_the_issuers():
    """A holder who signs a pass of his own around his own key is refused at the issuer's signature."""
    own = make_pass(key=world.HOLDER, holder=world.HOLDER)

    assert isinstance(TRUST.keys["44", world.KID][0], IssuerKey)
    assert verdict(shown_live(own)) == ("reject", "signature.invalid")


def test_the_longest_pass_can_be_shown():
    """The bound of a presentation holds the largest pass there is and its own part."""
    inner = 2 * (1200 - 4) // 3
    around = len(base45.decode(shown_live(BOUND, NOW, NONCE)[4:])) - len(base45.decode(BOUND[4:])) + 1

    assert len(hl1.PREFIX) + (inner + around) * 3 / 2 <= hl1.MAX_CHARS


ROW = {"issuer": "44", "kinds": ["person"], "copied": "refer", "unbound": "accept"}


def published(*rows, **members):
    return policies.policy(
        Document(json.dumps({"schema": 1, **POLICY, "live": list(rows), **members}).encode(), "policy")
    )


def test_the_rules_are_read_from_the_signed_policy():
    """And an older document without them demands nothing."""
    found = published(ROW, {**ROW, "issuer": "", "nonce": True}, live_window_s=20)

    assert found.live == (RULE, LiveRule("", PERSONS, "refer", "accept", nonce=True))
    assert (found.live_window_s, published(live=None).live, published().live_window_s) == (20, (), 30)


@pytest.mark.parametrize(
    ("rows", "members", "message"),
    [
        ([ROW, ROW], {}, r"live\[1\]: kinds has a kind that another row has"),
        ([{**ROW, "kinds": []}], {}, r"live\[0\]: kinds must hold kinds"),
        ([{**ROW, "kinds": ["venue"]}], {}, "a venue's poster is not live"),
        ([{**ROW, "copied": "accept"}], {}, "copied must be one of refer, reject"),
        ([{**ROW, "unbound": "yes"}], {}, "unbound must be one of"),
        ([{**ROW, "nonce": 1}], {}, "nonce must be true or false"),
        ([{**ROW, "issuer": "Xi'an"}], {}, "issuer must be"),
        ([ROW], {"formats": ["hp1"]}, "needs hl1 among formats"),
        ([ROW], {"live_window_s": 4}, "live_window_s must be a whole number from 5 to 300"),
    ],
)
def test_a_rule_that_contradicts_itself_is_refused(rows, members, message):
    """By the authority before it signs and by every gate; the message names the row."""
    with pytest.raises(TrustError, match=message):
        published(*rows, **members)
