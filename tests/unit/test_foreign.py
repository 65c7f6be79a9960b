"""Credentials of other systems under the gate's rules: anchors, usage, times, revocation, admission (ADR 0044)."""

from dataclasses import replace

import pytest

from edge.gate.line import facts_of
from edge.model.credential import FOREIGN_KINDS, HashKind, Introduced, PassKind
from edge.model.moment import ClockQuality
from edge.model.symbol import Symbol
from edge.model.trust import EDDSA, ES256
from edge.model.verdict import Outcome, Reason
from edge.policy.decide import decide
from edge.verify.verify import verify
from tests.simulators.foreign import ANCHOR, HOLDER, SIGNER, Signer, believing, credential
from tests.simulators.world import DAY, EXPIRES, ISSUED, NOW, PLACE, TRUST, at

LATE = EXPIRES + 300 * DAY


def reason(shown, trust=None, moment=None) -> Reason:
    """What verification finds."""
    return verify(shown, trust or believing(), moment or at(NOW)).reason


def test_a_foreign_credential_passes_where_format_kind_and_matrix_admit_it():
    """The one way to an accept."""
    trust = believing()
    found = verify(credential(), trust, at(NOW))
    verdict = decide(found, trust, at(NOW), place=PLACE)

    assert (verdict.outcome, verdict.issuer.id, verdict.kind) == (Outcome.ACCEPT, HOLDER, PassKind.VACCINATION)


def test_the_standard_publication_admits_none():
    """Without the format in the policy no anchor is looked at."""
    trust = replace(believing(), policy=TRUST.policy)

    assert reason(credential(), trust) is Reason.FORMAT_NOT_ADMITTED
    assert not verify(credential(), trust, at(NOW)).is_authentic


def test_a_kind_that_the_policy_leaves_out_is_referred():
    """A ticket alone admits nobody, unless the policy says so."""
    trust = believing()
    verdict = decide(verify(credential(kind=PassKind.TICKET), trust, at(NOW)), trust, at(NOW), place=PLACE)

    assert (verdict.outcome, verdict.reason) == (Outcome.REFER, Reason.KIND_NOT_ADMITTED)


@pytest.mark.parametrize(("outcome", "wanted"), [("refer", Outcome.REFER), ("reject", Outcome.REJECT)])
def test_the_matrix_speaks_of_our_name_for_its_issuer(outcome, wanted):
    """What the credential calls its issuer chooses no row."""
    trust = believing(outcome=outcome)

    assert decide(verify(credential(), trust, at(NOW)), trust, at(NOW), place=PLACE).outcome is wanted


def test_the_log_states_format_our_issuer_and_kind_and_nothing_else_of_it():
    """Facts of an accepted one, and of a forged one."""
    trust = believing()
    symbol = Symbol(b"", 0, 0)
    good = decide(verify(credential(), trust, at(NOW)), trust, at(NOW), place=PLACE)
    forged = decide(verify(credential(signature=bytes(64)), trust, at(NOW)), trust, at(NOW), place=PLACE)

    facts, unknown = facts_of(good, symbol, at(NOW)), facts_of(forged, symbol, at(NOW))

    assert (facts.format, facts.issuer, facts.kind) == ("hcert", HOLDER, 16)
    assert (facts.status, facts.region) == (None, 0)
    assert (unknown.format, unknown.issuer, unknown.kind) == ("hcert", "", None)


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"key_id": b"another1"}, Reason.KEY_UNKNOWN),
        ({"key_id": b""}, Reason.KEY_UNKNOWN),
        ({"issuer": "DE"}, Reason.KEY_UNKNOWN),
        ({"format": "shc"}, Reason.FORMAT_NOT_ADMITTED),
        ({"algorithm": EDDSA}, Reason.KEY_ALGORITHM),
        ({"signature": bytes(64)}, Reason.SIGNATURE_INVALID),
        ({"signed": b"other bytes"}, Reason.SIGNATURE_INVALID),
        ({"issued_at": ISSUED - 2 * DAY}, Reason.KEY_NOT_CURRENT),
        ({"issued_at": None}, Reason.OK),
        ({"expires_at": None}, Reason.OK),
        ({"expires_at": NOW}, Reason.TIME_EXPIRED),
        ({"expires_at": NOW + 1}, Reason.OK),
        ({"issued_at": NOW + 61}, Reason.TIME_NOT_YET_VALID),
    ],
)
def test_each_check_fails_by_its_own_name(changes, wanted):
    """From the key to the clock."""
    assert reason(replace(credential(), **changes)) is wanted


@pytest.mark.parametrize("kind", sorted(FOREIGN_KINDS))
def test_an_anchor_attests_what_its_usage_says_and_nothing_else(kind):
    """Every kind under every anchor of one kind."""
    for allowed in FOREIGN_KINDS:
        trust = believing(replace(ANCHOR, kinds=frozenset({allowed})))
        assert reason(credential(kind=kind), trust) is (Reason.OK if kind is allowed else Reason.KEY_KIND)


def test_an_anchor_that_has_run_out_verifies_nothing_unless_the_clock_is_doubted():
    """Its certificate's end, seen from the clock."""
    trust = believing(replace(ANCHOR, not_after=NOW))

    assert reason(credential(), trust) is Reason.KEY_NOT_CURRENT
    assert reason(credential(), trust, at(NOW, ClockQuality.DOUBTFUL)) is Reason.OK


def test_keys_that_share_an_id_are_tried_up_to_four_and_never_more():
    """A truncated key id may collide; the fifth key is not asked."""
    strangers = [replace(ANCHOR, public=Signer(number).public) for number in range(2, 6)]

    assert reason(credential(), believing(*strangers[:3], ANCHOR)) is Reason.OK
    assert reason(credential(), believing(*strangers, ANCHOR)) is Reason.SIGNATURE_INVALID


def test_a_key_bound_to_no_claimed_issuer_serves_any():
    """`claimed` empty in the anchor."""
    assert reason(credential(issuer="CNAM"), believing(replace(ANCHOR, claimed=""))) is Reason.OK


@pytest.mark.parametrize("kind", list(HashKind))
def test_each_kind_of_hash_revokes_what_has_it_and_no_other(kind):
    """The anchor's lists are looked up by kind and digest."""
    listing = replace(ANCHOR, hash_lists=(1,))
    trust = believing(listing, revoked={1: (kind, b"value")})

    for other in HashKind:
        found = reason(credential(revocable=((other, b"value"),)), trust)
        assert found is (Reason.STATUS_REVOKED if other is kind else Reason.OK)


def test_a_list_that_is_not_there_leaves_long_lived_credentials_undecided():
    """No answer is not "valid"; a short-lived credential needs none."""
    trust = believing(replace(ANCHOR, hash_lists=(1,)))

    assert reason(credential(), trust) is Reason.STATUS_UNAVAILABLE
    assert reason(credential(expires_at=EXPIRES), trust) is Reason.OK


def introducing(**changes):
    """A credential signed by a key that the anchor signed."""
    sealer = Signer(9)
    brought = Introduced(
        sealer.public, ES256, b"certificate", ES256, SIGNER.sign(b"certificate"), ISSUED - 10, ISSUED + DAY
    )
    return credential(sealer, introduced=replace(brought, **changes))


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({}, Reason.OK),
        ({"signature": bytes(64)}, Reason.SIGNATURE_INVALID),
        ({"algorithm": EDDSA}, Reason.KEY_ALGORITHM),
        ({"key_algorithm": EDDSA}, Reason.KEY_ALGORITHM),
        ({"public": SIGNER.public}, Reason.SIGNATURE_INVALID),
        ({"not_after": ISSUED}, Reason.KEY_NOT_CURRENT),
        ({"not_before": ISSUED - 2 * DAY}, Reason.KEY_NOT_CURRENT),
    ],
)
def test_a_key_brought_along_counts_only_under_the_anchors_signature(changes, wanted):
    """The signer certificate of a visible seal: both signatures, both times."""
    assert reason(introducing(**changes)) is wanted
