"""Bytes to verdict of a health certificate, with a country's business rules and without."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from edge.credentials import hcert
from edge.model.verdict import Outcome
from edge.policy.examine import Context, examine
from tests.bench.timing import alternate, median_ratio, percentile, row
from tests.simulators import foreign, world
from tests.simulators import health_rules as countries

ROUNDS, REPEAT = 200, 25
_LOGICS = (
    countries.FRESH,
    countries.AGENT,
    {"and": [countries.AGENT, {"===": [{"var": "payload.t.0.tr"}, "260415000"]}]},
)


def run() -> dict[str, Any]:
    """Measure the whole way to a verdict of a test certificate, with business rules and without."""
    code = foreign.make_hcert(foreign.hcert_claims(countries.sampled(world.NOW - 3600)))
    believed = foreign.believing()
    own = countries.ruled(believed, *[countries.rule(f"TR-AT-{n:04}", _LOGICS[n % len(_LOGICS)]) for n in range(20)])
    # Published and not named by the policy: nothing of it is asked.
    idle = replace(believed, health_rules=own.health_rules)
    contexts = [replace(world.context(trust=trust), formats=(hcert.FORMAT,)) for trust in (believed, idle, own)]
    bare, unasked, asked = alternate([_verdict(code, one) for one in contexts], ROUNDS, REPEAT)
    return {
        "about": f"one test certificate of {len(code)} characters, {ROUNDS} turns of {REPEAT}",
        "rows": [
            row("bytes to verdict, no rules published, p50", percentile(bare, 0.5) * 1e6, "us"),
            row("bytes to verdict, 20 rules, p50", percentile(asked, 0.5) * 1e6, "us"),
            row("rules published, none in the policy / none published", median_ratio(unasked, bare), "ratio"),
            row("20 rules / none published", median_ratio(asked, bare), "ratio"),
        ],
    }


def _verdict(code: bytes, context: Context) -> Callable[[], object]:
    if examine(code, context).outcome is not Outcome.ACCEPT:
        raise ValueError("what is measured must be accepted")
    return lambda: examine(code, context)
