"""Symbol bytes to Verification over the bare Ed25519 check of the same pass."""

from typing import Any

from edge.credentials.format import parse
from edge.policy.examine import examine
from edge.verify.verify import verify
from tests.bench.timing import alternate, median_ratio, percentile, row
from tests.simulators import world

ROUNDS, REPEAT = 400, 50


def run() -> dict[str, Any]:
    """Measure parse + verify, the whole verdict, and `VerifyKey.verify`."""
    code, surroundings, trust, moment = world.make_pass(), world.context(), world.TRUST, world.at(world.NOW)
    credential = parse(code, world.FORMATS)
    bare_key = world.KEY.verify_key
    bare, whole, verdict = alternate(
        [
            lambda: bare_key.verify(credential.signed, credential.signature),
            lambda: verify(parse(code, world.FORMATS), trust, moment),
            lambda: examine(code, surroundings),
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
            row("parse + verify / VerifyKey.verify", median_ratio(whole, bare), "ratio", "<= 1.5, goal 1.4"),
            row("examine / VerifyKey.verify", median_ratio(verdict, bare), "ratio"),
        ],
    }
