"""Visible seals without the key of their country: the seal must parse, and its signature hold under its certificate."""

from collections.abc import Mapping
from typing import Any, Final

from edge.conformance.cases import Case
from edge.credentials import vdsnc
from edge.errors import CredentialError
from edge.verify.signatures import VERIFIERS

_BAD: Final = frozenset(("reject", "bad", "invalid"))


class VdsNcCases:
    """The adapter (`edge.conformance.adapters.Adapter`)."""

    format = vdsnc.NAME

    def takes(self, members: Mapping[str, Any]) -> bool:
        """Whether it is the text of a seal."""
        return vdsnc.FORMAT.recognises(str(members.get("qr", "")).encode())

    def judge(self, case: Case) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """Return what was expected of a case and what came; a case that says nothing is a genuine one."""
        expected = case.members.get("expect") not in _BAD
        try:
            found = vdsnc.FORMAT.parse(str(case.members["qr"]).encode())
        except CredentialError:
            return {"signature": expected}, {"signature": False}
        signer = found.introduced
        holds = (
            signer is not None
            and signer.key_algorithm == found.algorithm
            and VERIFIERS[found.algorithm](signer.public, found.signed, found.signature)
        )
        return {"signature": expected}, {"signature": holds}


ADAPTER: Final = VdsNcCases()
