"""HCERT cases: a certificate text beside every stage it decodes to, labels a stage, signer certificate and clock.

From eu-digital-green-certificates/dgc-testdata: each label says whether its stage must succeed, and a stage has
succeeded where it gives what the case holds of it. Cases that have a text and no key must parse.
"""

import base64
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from edge.authority import certificates, health_usage
from edge.codec import base45, foreign_cbor
from edge.codec.foreign_cose import open_sign1
from edge.codec.inflate import inflate
from edge.conformance import country
from edge.conformance.cases import Case
from edge.credentials import hcert
from edge.errors import CredentialError, EncodingRefused, PublicationError
from edge.model.moment import Moment
from edge.model.trust import Anchor
from edge.model.verdict import Reason, Verification
from edge.trust.anchors import ALGORITHMS, KINDS, unusable
from edge.verify.verify import verify

_TIME_REASONS: Final = frozenset((Reason.TIME_EXPIRED, Reason.TIME_NOT_YET_VALID))
_LABELS: Final = "EXPECTED"
_LEFT_OUT: Final = frozenset(("EXPECTEDSCHEMAVALIDATION",))
"""Its labels contradict every published schema (the README of the cases)."""


class HcertCases:
    """The adapter (`edge.conformance.adapters.Adapter`)."""

    format = hcert.NAME

    def takes(self, members: Mapping[str, Any]) -> bool:
        """Whether it has a signer's certificate with labels a stage, or just the text of a health certificate."""
        if isinstance(members.get("cert_der_b64"), str):
            return isinstance(members.get("expect"), dict)
        return str(members.get("qr", "")).encode().startswith(hcert.PREFIX)

    def judge(self, case: Case) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """Return what was expected of a case and what came."""
        if not isinstance(case.members.get("expect"), dict):
            return {"parses": True}, {"parses": _parsed(case.members) is not None}
        labels = case.members["expect"]
        expected = {name: value for name, value in labels.items() if name.startswith(_LABELS) and name not in _LEFT_OUT}
        return expected, {name: _STAGES[name](case.members) if name in _STAGES else None for name in expected}


def _raw(members: Mapping[str, Any]) -> bytes:
    return str(members.get("qr") or "").encode()


def _unprefixed(members: Mapping[str, Any]) -> bool:
    raw = _raw(members)
    return hcert.FORMAT.recognises(raw) and _is(members, "base45", raw[len(hcert.PREFIX) :].decode())


def _is(members: Mapping[str, Any], name: str, found: str) -> bool:
    # A stage is compared where the case holds it: then the label speaks of just that.
    return not members.get(name) or str(members[name]).lower() == found.lower()


def _text(members: Mapping[str, Any]) -> bytes:
    raw = _raw(members)
    return raw[len(hcert.PREFIX) :] if hcert.FORMAT.recognises(raw) else str(members.get("base45") or "").encode()


def _unbased(members: Mapping[str, Any]) -> bool:
    return _is(members, "compressed", base45.decode(_text(members)).hex())


def _inflated(members: Mapping[str, Any]) -> bool:
    return _is(members, "cose", inflate(base45.decode(_text(members))).hex())


def _certificate(members: Mapping[str, Any]) -> Any:
    cose = bytes.fromhex(members["cose"]) if members.get("cose") else inflate(base45.decode(_text(members)))
    return hcert.claims_of(open_sign1(cose).payload)[hcert.HCERT][hcert.DCC]


def _decoded(members: Mapping[str, Any]) -> bool:
    """The certificate in the signed message is the one the case holds as JSON or, where it holds none, as CBOR."""
    found = _certificate(members)
    return found == _stated(members) if members.get("json") or members.get("cbor") else True


def _stated(members: Mapping[str, Any]) -> Any:
    if members.get("json"):
        return members["json"]
    return _encoded_certificate(members)


def _encoded_certificate(members: Mapping[str, Any]) -> Any:
    # Some suites hold the certificate alone, others the whole payload around it.
    found = foreign_cbor.decode(bytes.fromhex(members["cbor"]))
    return found[hcert.HCERT][hcert.DCC] if hcert.HCERT in found else found


def _encoded(members: Mapping[str, Any]) -> bool:
    """The CBOR the case holds is an encoding of the JSON it holds."""
    if not members.get("cbor") or not members.get("json"):
        return True
    return bool(_encoded_certificate(members) == members["json"])


def _object(members: Mapping[str, Any]) -> bool:
    """What is stated is an object of strict JSON, read back as it is written."""
    stated = members.get("json")
    return isinstance(stated, dict) and json.loads(json.dumps(stated, allow_nan=False)) == stated


def anchor_of(members: Mapping[str, Any]) -> Anchor:
    """Return the anchor of a case's signer certificate, as the authority would publish it.

    Raises:
        PublicationError: It would not.
    """
    found = certificates.read(base64.b64decode(members["cert_der_b64"]))
    algorithm = ALGORITHMS[found.key.algorithms[0]]
    fault = unusable(algorithm, found.key.public)
    if fault:
        raise PublicationError(f"The key is refused: {fault}.")
    kinds = frozenset(KINDS[name] for name in health_usage.kinds(found.usages))
    return Anchor(
        country.HOLDER,
        hcert.NAME,
        "",
        found.key_id,
        algorithm,
        found.key.public,
        kinds,
        found.not_before,
        found.not_after,
    )


def _parsed(members: Mapping[str, Any]) -> Any:
    try:
        return hcert.FORMAT.parse(_raw(members))
    except CredentialError:
        return None


def _verified(members: Mapping[str, Any]) -> Verification | None:
    credential = _parsed(members)
    if credential is None:
        return None
    now = _clock(members)
    return verify(credential, country.believing([anchor_of(members)], now), Moment(now * 1000))


def _clock(members: Mapping[str, Any]) -> int:
    moment = datetime.fromisoformat(str(members["clock"]))
    # Some suites leave the zone out; they are written at the zero meridian.
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _authentic(members: Mapping[str, Any]) -> bool:
    found = _verified(members)
    return found is not None and found.is_authentic


def _usable(members: Mapping[str, Any]) -> bool:
    found = _verified(members)
    return found is not None and found.is_authentic and found.reason is not Reason.KEY_KIND


def _current(members: Mapping[str, Any]) -> bool:
    found = _verified(members)
    return found is not None and found.is_authentic and found.reason not in _TIME_REASONS


def _stage(judge: Callable[[Mapping[str, Any]], bool]) -> Callable[[Mapping[str, Any]], bool]:
    def judged(members: Mapping[str, Any]) -> bool:
        try:
            return judge(members)
        except (EncodingRefused, PublicationError, ValueError, KeyError, TypeError):
            return False

    return judged


_STAGES: Final = {
    "EXPECTEDUNPREFIX": _stage(_unprefixed),
    "EXPECTEDB45DECODE": _stage(_unbased),
    "EXPECTEDCOMPRESSION": _stage(_inflated),
    "EXPECTEDDECODE": _stage(_decoded),
    "EXPECTEDENCODE": _stage(_encoded),
    "EXPECTEDVALIDJSON": _stage(_object),
    "EXPECTEDVALIDOBJECT": _stage(_object),
    "EXPECTEDVERIFY": _stage(_authentic),
    "EXPECTEDKEYUSAGE": _stage(_usable),
    "EXPECTEDEXPIRATIONCHECK": _stage(_current),
}
ADAPTER: Final = HcertCases()
