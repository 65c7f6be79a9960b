"""What a document signer certificate of the EU DCC or the WHO network may attest: its extended key usages.

HCERT 1.0.5, 3.3.2 and DCC trust framework 1.3, annex: three object identifiers; a certificate with none of them may
sign all. The first issuers wrote them below 1.3.6.1.4.1.0.1847, a slip that was kept as a second spelling.
"""

from collections.abc import Iterable
from typing import Final

ALL: Final = ("vaccination", "test", "recovery")
_KINDS: Final = {"1": "test", "2": "vaccination", "3": "recovery"}
_ARCS: Final = ("1.3.6.1.4.1.1847.2021.1.", "1.3.6.1.4.1.0.1847.2021.1.")


def kinds(usages: Iterable[str]) -> tuple[str, ...]:
    """Return the kinds that extended key usages (dotted) allow."""
    found = {
        _KINDS[usage.removeprefix(arc)]
        for usage in usages
        for arc in _ARCS
        if usage.startswith(arc) and usage.removeprefix(arc) in _KINDS
    }
    return tuple(kind for kind in ALL if kind in found) or ALL
