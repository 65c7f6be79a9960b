"""SMART Health Card cases: a code or the JWS of one, whether it must pass, must not, or may; the key set beside.

A case without a clock is judged at the time its card was issued. The key set belongs to the issuer that its
certificates name; where they name none, to whoever the card claims.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from edge.authority import key_sets
from edge.authority.key_sources import Wish
from edge.conformance import country, published
from edge.conformance.cases import Case
from edge.credentials import shc
from edge.errors import CredentialError
from edge.model.credential import ForeignCredential
from edge.model.moment import Moment
from edge.model.verdict import Reason
from edge.trust.anchors import KINDS
from edge.verify.verify import verify

_OK, _REJECT, _EITHER = "ok", "reject", "policy"
_SEEN: Final = 16


class ShcCases:
    """The adapter (`edge.conformance.adapters.Adapter`)."""

    format = shc.NAME

    def takes(self, members: Mapping[str, Any]) -> bool:
        """Whether it has a label of such cases, and near its beginning the mark of a card or of a JWS."""
        start = str(members.get("qr", ""))[:_SEEN]
        return members.get("expect") in {_OK, _REJECT, _EITHER} and ("shc:" in start.lower() or "eyJ" in start)

    def judge(self, case: Case) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """Return what was expected of a case and what came; of one that policy decides, that it has a verdict."""
        came = _OK if _holds(case) else _REJECT
        if case.members["expect"] == _EITHER:
            return {"judged": True}, {"judged": came in {_OK, _REJECT}}
        return {"expect": case.members["expect"]}, {"expect": came}


def _holds(case: Case) -> bool:
    try:
        credential = _parsed(str(case.members["qr"]))
    except CredentialError:
        return False
    now = int(case.members.get("clock") or credential.issued_at or 0)
    keys = case.beside("jwks.json")
    trust = published.keys(keys, Wish(shc.NAME, _issuer(keys) or credential.issuer, tuple(KINDS)))
    return verify(credential, country.believing(trust, now), Moment(now * 1000)).reason is Reason.OK


def _parsed(text: str) -> ForeignCredential:
    raw = text.encode(errors="replace")
    if re.fullmatch(rb"eyJ[A-Za-z0-9_.-]+", raw):
        # The JWS of a card is shown as digits: each character its distance from the first one.
        raw = shc.PREFIX + b"".join(b"%02d" % (code - shc.FIRST) for code in raw)
    if not shc.FORMAT.recognises(raw):
        raise CredentialError(Reason.CREDENTIAL_FOREIGN)
    return shc.FORMAT.parse(raw)


def _issuer(keys: bytes) -> str:
    document = key_sets.document_of(keys)
    found = key_sets.of_set(document) if document is not None else None
    named = {key.issuer for _, key in found or () if isinstance(key, key_sets.Named)} - {""}
    return named.pop() if len(named) == 1 else ""


ADAPTER: Final = ShcCases()
