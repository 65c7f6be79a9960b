"""Symbol bytes to Verification over the bare signature check, for credentials of other systems."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from edge.credentials import claim169, hcert, nzcp, shc
from edge.model.trust import EDDSA, Anchor
from edge.model.verdict import Outcome
from edge.policy.examine import Context, examine
from edge.verify.verify import verify
from tests.bench.timing import alternate, median_ratio, percentile, row
from tests.simulators import claim169 as identities
from tests.simulators import foreign, world
from tests.simulators import health_rules as countries
from tests.simulators import nzcp as passes
from tests.simulators import shc as cards

ROUNDS, REPEAT = 200, 25
CASES: tuple[tuple[str, Any, bytes, Anchor, str], ...] = (
    ("health certificate", hcert.FORMAT, foreign.make_hcert(), foreign.ANCHOR, "<= 1.5"),
    ("SMART Health Card", shc.FORMAT, cards.make_shc(), cards.SHC_ANCHOR, "<= 2"),
    ("NZ COVID Pass", nzcp.FORMAT, passes.make_nzcp(), passes.NZCP_ANCHOR, ""),
    ("identity, EdDSA", claim169.FORMAT, identities.make_id(), identities.ID_ANCHOR, ""),
)
"""Name, format, a code, the key it is signed with, and the most that a whole verification may take of the bare one."""
_LOGICS = (
    countries.FRESH,
    countries.AGENT,
    {"and": [countries.AGENT, {"===": [{"var": "payload.t.0.tr"}, "260415000"]}]},
)


def run() -> dict[str, Any]:
    """Measure parse + verify of a credential a format, and what the library alone takes for its signature."""
    return {
        "about": f"one credential a format, {ROUNDS} turns of {REPEAT}",
        "rows": [*(measured for case in CASES for measured in _measured(*case)), *_ruled()],
    }


def _ruled() -> list[dict[str, Any]]:
    """Measure the whole way to a verdict of a test certificate, with business rules and without."""
    code = foreign.make_hcert(foreign.hcert_claims(countries.sampled(world.NOW - 3600)))
    believed = foreign.believing()
    own = countries.ruled(believed, *[countries.rule(f"TR-AT-{n:04}", _LOGICS[n % len(_LOGICS)]) for n in range(20)])
    # Published and not named by the policy: nothing of it is asked.
    idle = replace(believed, health_rules=own.health_rules)
    contexts = [replace(world.context(trust=trust), formats=(hcert.FORMAT,)) for trust in (believed, idle, own)]
    bare, unasked, asked = alternate([_verdict(code, one) for one in contexts], ROUNDS, REPEAT)
    return [
        row("health certificate: bytes to verdict, no rules published, p50", percentile(bare, 0.5) * 1e6, "us"),
        row("health certificate: bytes to verdict, 20 rules, p50", percentile(asked, 0.5) * 1e6, "us"),
        row(
            "health certificate: rules published, none in the policy / none published",
            median_ratio(unasked, bare),
            "ratio",
        ),
        row("health certificate: 20 rules / none published", median_ratio(asked, bare), "ratio"),
    ]


def _verdict(code: bytes, context: Context) -> Callable[[], object]:
    if examine(code, context).outcome is not Outcome.ACCEPT:
        raise ValueError("what is measured must be accepted")
    return lambda: examine(code, context)


def _measured(name: str, known: Any, code: bytes, anchor: Anchor, target: str) -> list[dict[str, Any]]:
    trust, moment = foreign.believing(anchor), world.at(world.NOW)
    bare, parsed, whole = alternate(
        [
            _bare(known.parse(code), anchor),
            lambda: known.parse(code),
            lambda: verify(known.parse(code), trust, moment),
        ],
        ROUNDS,
        REPEAT,
    )
    return [
        row(f"{name} of {len(code)} characters: bare signature check, p50", percentile(bare, 0.5) * 1e6, "us"),
        row(f"{name}: parse, p50", percentile(parsed, 0.5) * 1e6, "us"),
        row(f"{name}: parse + verify, p50", percentile(whole, 0.5) * 1e6, "us"),
        row(f"{name}: parse + verify, p99", percentile(whole, 0.99) * 1e6, "us"),
        row(f"{name}: parse + verify / bare", median_ratio(whole, bare), "ratio", target),
    ]


def _bare(credential: Any, anchor: Anchor) -> Callable[[], object]:
    """Return the check of the signature alone, by the library that makes it."""
    if anchor.algorithm == EDDSA:
        public = identities.KEY.verify_key
        return lambda: public.verify(credential.signed, credential.signature)
    key, scheme = foreign.SIGNER.key.public_key(), ec.ECDSA(hashes.SHA256())
    r, s = (int.from_bytes(half) for half in (credential.signature[:32], credential.signature[32:]))
    der = encode_dss_signature(r, s)
    return lambda: key.verify(der, credential.signed, scheme)
