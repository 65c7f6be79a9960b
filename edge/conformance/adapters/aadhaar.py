"""Aadhaar secure QR codes with the certificate they are to be checked under; labels speak of the signature alone."""

from collections.abc import Mapping
from typing import Any, Final

from edge.authority import certificates
from edge.conformance import country
from edge.conformance.cases import Case
from edge.credentials import aadhaar
from edge.errors import CredentialError
from edge.model.credential import PassKind
from edge.model.moment import Moment
from edge.model.trust import RS256, Anchor
from edge.verify.verify import verify


class AadhaarCases:
    """The adapter (`edge.conformance.adapters.Adapter`)."""

    format = aadhaar.NAME

    def takes(self, members: Mapping[str, Any]) -> bool:
        """Whether it is a number with the name of a certificate."""
        return str(members.get("qr", "")).isdigit() and isinstance(members.get("cert"), str)

    def judge(self, case: Case) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """Return what was expected of a case and what came."""
        expected = {"expect": case.members["expect"]}
        try:
            found = aadhaar.FORMAT.parse(str(case.members["qr"]).encode())
        except CredentialError:
            return expected, {"expect": "reject"}
        # The name stands first, remarks may follow.
        pem = case.beside(str(case.members["cert"]).split()[0])
        now = found.issued_at or 0
        verified = verify(found, country.believing([_anchor(pem)], now), Moment(now * 1000))
        return expected, {"expect": "ok" if verified.is_authentic else "reject"}


def _anchor(pem: bytes) -> Anchor:
    signer = certificates.read(certificates.ders(pem)[0])
    kinds = frozenset((PassKind.IDENTITY,))
    return Anchor(
        country.HOLDER, aadhaar.NAME, "", b"", RS256, signer.key.public, kinds, signer.not_before, signer.not_after
    )


ADAPTER: Final = AadhaarCases()
