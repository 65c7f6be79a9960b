"""Tickets `pretix_sig1` with whether their signature holds under one of the keys beside them (libpretixsync)."""

from collections.abc import Mapping
from typing import Any, Final

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from edge.conformance import country
from edge.conformance.cases import Case
from edge.credentials import pretix
from edge.errors import CredentialError
from edge.model.credential import PassKind
from edge.model.moment import Moment
from edge.model.trust import EDDSA, Anchor
from edge.verify.verify import verify

_END: Final = b"-----END PUBLIC KEY-----"


class PretixCases:
    """The adapter (`edge.conformance.adapters.Adapter`)."""

    format = pretix.NAME

    def takes(self, members: Mapping[str, Any]) -> bool:
        """Whether it is a text with what is to be said of its signature alone."""
        return {"qr", "expect_sig"} <= members.keys()

    def judge(self, case: Case) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """Return what was expected of a case and what came."""
        expected = str(case.members["expect_sig"]).endswith("ok")
        try:
            ticket = pretix.FORMAT.parse(str(case.members["qr"]).encode())
        except CredentialError:
            return {"signature": expected}, {"signature": False}
        found = verify(ticket, country.believing(_anchors(case.beside("pubkey.pem")), 1), Moment(1000))
        return {"signature": expected}, {"signature": found.is_authentic}


def _anchors(pem: bytes) -> list[Anchor]:
    keys = [load_pem_public_key(part + _END) for part in pem.split(_END) if part.strip()]
    plain = [key.public_bytes(Encoding.Raw, PublicFormat.Raw) for key in keys]
    kinds = frozenset((PassKind.TICKET,))
    return [Anchor(country.HOLDER, pretix.NAME, "", b"", EDDSA, key, kinds, 0, country.FAR) for key in plain]


ADAPTER: Final = PretixCases()
