"""2D-DOC in parts (header, fields, signature) with the signer's certificate beside it."""

import base64
from collections.abc import Mapping
from typing import Any, Final

from edge.authority import certificates
from edge.conformance import country
from edge.conformance.cases import Case
from edge.credentials import twoddoc
from edge.errors import CredentialError
from edge.model.credential import FOREIGN_KINDS
from edge.model.moment import Moment
from edge.model.trust import Anchor
from edge.trust.anchors import ALGORITHMS
from edge.verify.verify import verify

_BAD: Final = frozenset(("reject", "bad", "invalid"))


class TwoDDocCases:
    """The adapter (`edge.conformance.adapters.Adapter`)."""

    format = twoddoc.NAME

    def takes(self, members: Mapping[str, Any]) -> bool:
        """Whether it has a header, fields and a signature."""
        return {"header", "fields", "sig_hex"} <= members.keys()

    def judge(self, case: Case) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """Return what was expected of a case and what came; a case that says nothing is a genuine one."""
        members = case.members
        expected = members.get("expect") not in _BAD
        signature = base64.b32encode(bytes.fromhex(members["sig_hex"])).rstrip(b"=")
        try:
            found = twoddoc.FORMAT.parse((members["header"] + members["fields"]).encode() + b"\x1f" + signature)
        except CredentialError:
            return {"signature": expected}, {"signature": False}
        trust = country.believing([_anchor(case.beside("cert.pem"))], found.issued_at or 0)
        verified = verify(found, trust, Moment((found.issued_at or 0) * 1000))
        return {"signature": expected}, {"signature": verified.is_authentic}


def _anchor(pem: bytes) -> Anchor:
    signer = certificates.read(certificates.ders(pem)[0])
    return Anchor(
        country.HOLDER,
        twoddoc.NAME,
        signer.issuer_name,
        signer.common_name.encode(),
        ALGORITHMS[signer.key.algorithms[0]],
        signer.key.public,
        FOREIGN_KINDS,
        signer.not_before,
        signer.not_after,
    )


ADAPTER: Final = TwoDDocCases()
