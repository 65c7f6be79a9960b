"""Symbol bytes to Verification over the bare signature check, for tickets, seals, 2D-DOC and Aadhaar codes."""

import sys
from collections.abc import Callable
from typing import Any

from edge.credentials import aadhaar, pretix, twoddoc, vdsnc
from edge.credentials.format import Format
from edge.model.trust import Anchor
from edge.verify.signatures import VERIFIERS
from edge.verify.verify import verify
from tests.bench.timing import alternate, median_ratio, percentile, row
from tests.simulators import seals, tickets, world
from tests.unit import test_aadhaar, test_twoddoc

ROUNDS, REPEAT = 100, 20
_CODES: tuple[tuple[Format, bytes, Anchor], ...] = (
    (pretix.FORMAT, tickets.make_ticket(), tickets.EVENT_ANCHOR),
    (vdsnc.FORMAT, seals.make_seal(), seals.CSCA_ANCHOR),
    (twoddoc.FORMAT, test_twoddoc.GOOD, test_twoddoc.ANCHOR),
    (aadhaar.FORMAT, test_aadhaar.GOOD, test_aadhaar.ANCHOR),
)


def run() -> dict[str, Any]:
    """Measure parse + verify of a code of each format, and what its signatures alone take."""
    rows = [one for format_, code, anchor in _CODES for one in _measured(format_, code, anchor)]
    return {"about": f"one code a format, {ROUNDS} turns of {REPEAT}; Python {sys.version.split()[0]}", "rows": rows}


def _measured(format_: Format, code: bytes, anchor: Anchor) -> list[dict[str, Any]]:
    trust, moment = tickets.admitting(anchor), world.at(world.NOW)
    bare, whole = alternate(
        [_bare(format_, code, anchor), lambda: verify(format_.parse(code), trust, moment)], ROUNDS, REPEAT
    )
    return [
        row(f"{format_.name}, {len(code)} characters: parse + verify, p50", percentile(whole, 0.5) * 1e6, "us"),
        row(f"{format_.name}: parse + verify / bare signature checks", median_ratio(whole, bare), "ratio", ""),
    ]


def _bare(format_: Format, code: bytes, anchor: Anchor) -> Callable[[], object]:
    found: Any = format_.parse(code)
    holds, signer = VERIFIERS[anchor.algorithm], found.introduced
    if signer is None:
        return lambda: holds(anchor.public, found.signed, found.signature)
    # A seal has two signatures: the country's over the certificate, and its own.
    return lambda: (
        holds(anchor.public, signer.signed, signer.signature) and holds(signer.public, found.signed, found.signature)
    )
