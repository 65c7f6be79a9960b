"""Symbol bytes to Verification over the bare signature checks of the same pass, shown as it is and live; and SM2."""

from typing import Any

from edge.credentials.format import parse
from edge.gate.sm2 import verifiers
from edge.model.trust import SM2
from edge.policy.examine import examine
from edge.verify.verify import verify
from tests.bench.timing import alternate, median_ratio, percentile, row
from tests.simulators import world
from tests.simulators.sm2 import Signer

ROUNDS, REPEAT = 1000, 20


def run() -> dict[str, Any]:
    """Measure parse + verify of a pass and of a live presentation, the whole verdict, and the bare checks."""
    code, surroundings, trust, moment = world.make_pass(), world.context(), world.TRUST, world.at(world.NOW)
    credential = parse(code, world.FORMATS)
    bare_key, holder = world.KEY.verify_key, world.HOLDER.verify_key
    live = world.shown_live(world.make_pass(holder=world.HOLDER))
    shown = parse(live, world.FORMATS)
    proof = shown.proof
    signer = Signer(7)
    sm2, sm2_signature = verifiers()[SM2], signer.sign(credential.signed)

    def both() -> None:
        bare_key.verify(shown.signed, shown.signature)
        holder.verify(proof.signed, proof.signature)

    bare, whole, verdict = alternate(
        [
            lambda: bare_key.verify(credential.signed, credential.signature),
            lambda: verify(parse(code, world.FORMATS), trust, moment),
            lambda: examine(code, surroundings),
        ],
        ROUNDS,
        REPEAT,
    )
    bare_live, whole_live = alternate([both, lambda: verify(parse(live, world.FORMATS), trust, moment)], ROUNDS, REPEAT)
    bare_ed25519, bare_sm2 = alternate(
        [
            lambda: bare_key.verify(credential.signed, credential.signature),
            lambda: sm2(signer.public, credential.signed, sm2_signature),
        ],
        ROUNDS,
        REPEAT,
    )
    return {
        "about": f"one person pass of {len(code)} characters, {ROUNDS} turns of {REPEAT}",
        "rows": [
            row("VerifyKey.verify, p50", percentile(bare, 0.5) * 1e6, "us"),
            row("parse + verify, p50", percentile(whole, 0.5) * 1e6, "us"),
            row("parse + verify, p99", percentile(whole, 0.99) * 1e6, "us"),
            row("whole verdict (examine), p50", percentile(verdict, 0.5) * 1e6, "us"),
            row("parse + verify / VerifyKey.verify", median_ratio(whole, bare), "ratio", "<= 1.4"),
            row("live: parse + verify, p50", percentile(whole_live, 0.5) * 1e6, "us"),
            row("live: parse + verify / both bare checks", median_ratio(whole_live, bare_live), "ratio", "<= 1.4"),
            row("SM2 / Ed25519, bare checks", median_ratio(bare_sm2, bare_ed25519), "ratio"),
            row("examine / VerifyKey.verify", median_ratio(verdict, bare), "ratio"),
        ],
    }
