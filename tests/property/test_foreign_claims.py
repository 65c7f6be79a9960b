"""What an issuer signs may be anything: every place of the claims of every foreign format, put out of shape in turn.

The mutants are signed by a believed key, so only the format's own reading stands between them and a screen.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from edge.credentials import claim169, hcert, nzcp, shc
from edge.model.credential import FOREIGN_KINDS, ForeignCredential
from edge.model.trust import Anchor
from edge.model.verdict import Reason
from edge.policy.examine import examine
from tests.simulators.claim169 import ID_ANCHOR, id_claims, make_id
from tests.simulators.foreign import ANCHOR, believing, hcert_claims, make_hcert
from tests.simulators.health_rules import AGENT, FRESH, rule, ruled, sampled
from tests.simulators.nzcp import NZCP_ANCHOR, make_nzcp, nzcp_claims
from tests.simulators.shc import SHC_ANCHOR, make_shc, shc_claims
from tests.simulators.world import NOW, at, context

ODD = (None, True, -1, 1 << 63, 0.5, 1e300, "", "x", "\u202e", "9" * 5000, [], {}, [None], [[]], {"x": None})
FORMATS: dict[str, tuple[Any, Any, Any, Anchor]] = {
    "hcert": (hcert.FORMAT, make_hcert, hcert_claims(), ANCHOR),
    "shc": (shc.FORMAT, make_shc, shc_claims(vc={"rid": "abc"}, exp=NOW + 9), SHC_ANCHOR),
    "nzcp": (nzcp.FORMAT, make_nzcp, nzcp_claims(), NZCP_ANCHOR),
    "claim169": (claim169.FORMAT, make_id, id_claims(), ID_ANCHOR),
}


def mutants(value: Any) -> Iterator[Any]:
    """Every value that differs at one place: another there, or none."""
    yield from ODD
    places = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for place in places:
        if isinstance(value, dict):
            yield {key: one for key, one in value.items() if key != place}
        else:
            yield value[:place] + value[place + 1 :]
        for mutant in mutants(value[place]):
            if isinstance(value, dict):
                yield {**value, place: mutant}
            else:
                yield [*value[:place], mutant, *value[place + 1 :]]


def within_bounds(found: ForeignCredential, anchor: Anchor) -> bool:
    """Whether what would be shown and stored is what the model promises."""
    shown = (found.holder.surname, found.holder.name or "") if found.holder else ()
    times = [time for time in (found.issued_at, found.expires_at) if time is not None]
    return (
        found.issuer == anchor.claimed
        and found.kind in FOREIGN_KINDS
        and all(text.isprintable() and len(text) <= 400 for text in shown)
        and all(type(time) is int and 0 <= time <= 1 << 40 for time in times)
        and all(len(digest) == 32 for _, digest in found.revocation)
    )


@pytest.mark.parametrize("name", FORMATS)
def test_every_signed_mutant_of_the_claims_gets_a_verdict_within_bounds(name):
    """No internal fault, and nothing that steers a screen or overflows."""
    known, make, claims, anchor = FORMATS[name]
    shown = replace(context(at(NOW), believing(anchor)), formats=(known,))
    seen = 0
    for mutant in mutants(claims):
        verdict = examine(make(mutant), shown)
        assert verdict.reason is not Reason.INTERNAL_FAULT, mutant
        if verdict.is_authentic:
            assert within_bounds(verdict.presentation, anchor), mutant
            seen += 1

    assert seen > 0


def test_every_signed_mutant_of_a_test_under_rules_gets_a_verdict_and_none_passes_without_a_sample_time():
    """A rule never faults the gate, and what it cannot read admits nobody."""
    certificate = sampled(NOW - 3600)
    rows = rule(logic=FRESH), rule("GR-AT-0001", AGENT)
    shown = replace(context(at(NOW), ruled(believing(), *rows)), formats=(hcert.FORMAT,))
    found = set()
    for mutant in mutants(certificate):
        verdict = examine(make_hcert(hcert_claims({"t": []}) | {-260: {1: mutant}}), shown)
        entries = mutant.get("t") if isinstance(mutant, dict) else None
        sample = (
            entries[0].get("sc") if isinstance(entries, list) and entries and isinstance(entries[0], dict) else None
        )
        assert verdict.reason is not Reason.INTERNAL_FAULT, mutant
        assert verdict.reason is not Reason.OK or sample == certificate["t"][0]["sc"], mutant
        found.add(verdict.reason)

    assert found >= {Reason.OK, Reason.RULE_FAILED, Reason.RULE_UNDECIDED}
