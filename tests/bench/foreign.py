"""Symbol bytes to Verification over the bare signature check, for credentials of other systems."""

from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from edge.credentials import hcert
from edge.verify.verify import verify
from tests.bench.timing import alternate, median_ratio, percentile, row
from tests.simulators import foreign, world

ROUNDS, REPEAT = 200, 25


def run() -> dict[str, Any]:
    """Measure parse + verify of a health certificate, and what `cryptography` takes for its signature."""
    code, trust, moment = foreign.make_hcert(), foreign.believing(), world.at(world.NOW)
    credential = hcert.FORMAT.parse(code)
    key, scheme = foreign.SIGNER.key.public_key(), ec.ECDSA(hashes.SHA256())
    r, s = (int.from_bytes(half) for half in (credential.signature[:32], credential.signature[32:]))
    der = encode_dss_signature(r, s)
    bare, parsed, whole = alternate(
        [
            lambda: key.verify(der, credential.signed, scheme),
            lambda: hcert.FORMAT.parse(code),
            lambda: verify(hcert.FORMAT.parse(code), trust, moment),
        ],
        ROUNDS,
        REPEAT,
    )
    return {
        "about": f"one health certificate of {len(code)} characters, {ROUNDS} turns of {REPEAT}",
        "rows": [
            row("ES256 verify of cryptography, p50", percentile(bare, 0.5) * 1e6, "us"),
            row("parse, p50", percentile(parsed, 0.5) * 1e6, "us"),
            row("parse + verify, p50", percentile(whole, 0.5) * 1e6, "us"),
            row("parse + verify, p99", percentile(whole, 0.99) * 1e6, "us"),
            row("parse + verify / bare ES256", median_ratio(whole, bare), "ratio", "<= 1.5"),
        ],
    }
