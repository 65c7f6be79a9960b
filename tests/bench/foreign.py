"""Symbol bytes to Verification over the bare signature check, for credentials of other systems; and what rivals take.

Rivals are never installed with the project: name a Python that has them (`pip install cwt pycose joserfc claim169
base45 pynacl` in an environment of its own) with `EDGE_BENCH_RIVALS`. Memory is `tests.bench.memory`'s.
"""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_der_public_key
from nacl.signing import VerifyKey

from edge.model.trust import EDDSA, ES256, PS256
from edge.verify.verify import verify
from tests.bench.timing import alternate, median_ratio, percentile, row
from tests.simulators import world
from tests.simulators.codes import CODES, Shown
from tests.simulators.tickets import admitting

ROUNDS, REPEAT = 1000, 5
TARGETS = {"hcert, ES256": "<= 1.5", "shc": "<= 2"}
"""The most that a whole verification may take of the bare one."""
_RIVALS = "EDGE_BENCH_RIVALS"
_SHA256 = hashes.SHA256()
_PSS = padding.PSS(padding.MGF1(_SHA256), _SHA256.digest_size)


def run() -> dict[str, Any]:
    """Measure parse + verify of a credential a format, and what the library alone takes for its signatures."""
    ratios: dict[str, float] = {}
    rows = [measured for name, shown in CODES.items() for measured in _measured(name, shown, ratios)]
    rivals, said = _rivals(ratios)
    return {"about": f"one credential a format, {ROUNDS} turns of {REPEAT}; {said}", "rows": [*rows, *rivals]}


def _measured(name: str, shown: Shown, ratios: dict[str, float]) -> list[dict[str, Any]]:
    trust, moment, known, code = admitting(shown.anchor), world.at(world.NOW), shown.known, shown.code
    found: Any = known.parse(code)
    if not verify(found, trust, moment).is_authentic:
        raise RuntimeError(f"{name} does not verify")
    bare, parsed, whole = alternate(
        [_bare(found, shown), lambda: known.parse(code), lambda: verify(known.parse(code), trust, moment)],  # type: ignore[arg-type]  # all of them are signed
        ROUNDS,
        REPEAT,
    )
    ratios[name] = median_ratio(whole, bare)
    return [
        row(f"{name}, {len(code)} characters: bare signature check, p50", percentile(bare, 0.5) * 1e6, "us"),
        row(f"{name}: parse, p50", percentile(parsed, 0.5) * 1e6, "us"),
        row(f"{name}: parse + verify, p50", percentile(whole, 0.5) * 1e6, "us"),
        row(f"{name}: parse + verify, p99", percentile(whole, 0.99) * 1e6, "us"),
        row(f"{name}: parse + verify / bare", ratios[name], "ratio", TARGETS.get(name, "")),
    ]


def _bare(found: Any, shown: Shown) -> Callable[[], object]:
    """Return the check of the signatures alone, by the libraries that make them, with keys that are ready."""
    introduced = found.introduced
    if introduced is None:
        return _check(shown.anchor.algorithm, shown.anchor.public, found.signed, found.signature)
    # A seal has two: its own, and the country's over the certificate it brings along.
    own = _check(introduced.key_algorithm, introduced.public, found.signed, found.signature)
    above = _check(shown.anchor.algorithm, shown.anchor.public, introduced.signed, introduced.signature)
    return lambda: (own(), above())


def _check(algorithm: int, public: bytes, signed: bytes, signature: bytes) -> Callable[[], object]:
    if algorithm == EDDSA:
        key = VerifyKey(public)
        return lambda: key.verify(signed, signature)
    if algorithm == ES256:
        point, scheme = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), public), ec.ECDSA(_SHA256)
        der = encode_dss_signature(int.from_bytes(signature[:32]), int.from_bytes(signature[32:]))
        return lambda: point.verify(der, signed, scheme)
    modulus: Any = load_der_public_key(public)
    form = _PSS if algorithm == PS256 else padding.PKCS1v15()
    return lambda: modulus.verify(signature, signed, form, _SHA256)


def _rivals(ratios: dict[str, float]) -> tuple[list[dict[str, Any]], str]:
    """Return what rivals take, as shares of the bare check of their own process, and in words whether they ran."""
    python = os.environ.get(_RIVALS, "")
    if not python:
        return [], f"rivals not measured, as {_RIVALS} names no Python that has them"
    script = Path(__file__).with_name("foreign_rivals.py")
    asked = json.dumps({name: _asked(shown) for name, shown in CODES.items()})
    done = subprocess.run([python, str(script)], input=asked, capture_output=True, text=True, check=True, timeout=600)
    rows, faults = [], []
    for one in json.loads(done.stdout):
        name, package = one["format"], one["package"]
        if "fault" in one:
            faults.append(f"{package} for {name}: {one['fault']}")
            continue
        share = one["whole_s"] / one["bare_s"]
        rows.append(row(f"{name}: rival {package}, whole", one["whole_s"] * 1e6, "us"))
        rows.append(row(f"{name}: rival {package}, whole / bare", share, "ratio"))
        rows.append(row(f"{name}: parse + verify / rival {package}", ratios[name] / share, "ratio"))
    return rows, "; ".join(("rivals in a process of their own", *faults))


def _asked(shown: Shown) -> dict[str, str]:
    found: Any = shown.known.parse(shown.code)
    public = shown.anchor.public
    key = {"ed25519": public} if shown.anchor.algorithm == EDDSA else {"x": public[1:33], "y": public[33:]}
    said = {"code": shown.code, "kid": found.key_id, "signed": found.signed, "signature": found.signature, **key}
    return {name: value.hex() for name, value in said.items()}
