"""Symbol bytes to Verification over the bare signature check, for credentials of other systems."""

from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from edge.credentials import claim169, hcert, nzcp, shc
from edge.model.trust import EDDSA, Anchor
from edge.verify.verify import verify
from tests.bench.timing import alternate, median_ratio, percentile, row
from tests.simulators import claim169 as identities
from tests.simulators import foreign, world
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


def run() -> dict[str, Any]:
    """Measure parse + verify of a credential a format, and what the library alone takes for its signature."""
    return {
        "about": f"one credential a format, {ROUNDS} turns of {REPEAT}",
        "rows": [measured for case in CASES for measured in _measured(*case)],
    }


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
