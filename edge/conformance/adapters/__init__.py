"""One adapter a format: how the members of a public case become trust, a moment and presented bytes of ours.

An adapter takes a case by its members alone, and judges it with the functions a gate runs; it decides nothing itself.
"""

from collections.abc import Mapping
from typing import Any, Final, Protocol

from edge.conformance.adapters import (
    aadhaar,
    certlogic,
    claim169,
    hcert,
    nzcp,
    pretix,
    shc,
    signatures,
    status_list,
    twoddoc,
    vc,
    vdsnc,
)
from edge.conformance.cases import Case

Judged = tuple[Mapping[str, Any], Mapping[str, Any]]
"""What was expected, and what came, by member."""


class Adapter(Protocol):
    """Judges the cases of one format; a module with these three names is one."""

    @property
    def format(self) -> str:
        """The format's name, as rows and exemptions write it."""

    def takes(self, members: Mapping[str, Any], /) -> bool:
        """Whether a case of these members is one of this format; the first adapter that says so judges it."""

    def judge(self, case: Case, /) -> Judged:
        """Return what was expected of a case and what came."""


ADAPTERS: Final[tuple[Adapter, ...]] = (
    vc.ADAPTER,
    claim169.ADAPTER,
    hcert.ADAPTER,
    nzcp.ADAPTER,
    shc.ADAPTER,
    status_list.ADAPTER,
    signatures.ADAPTER,
    certlogic.ADAPTER,
    pretix.ADAPTER,
    vdsnc.ADAPTER,
    twoddoc.ADAPTER,
    aadhaar.ADAPTER,
)
"""In the order in which they are asked."""
