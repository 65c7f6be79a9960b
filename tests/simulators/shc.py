"""An issuer of SMART Health Cards in memory: cards in every good and bad form."""

import base64
import json
import zlib
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from edge.authority.key_sets import thumbprint
from edge.model.trust import Anchor
from tests.simulators.foreign import ANCHOR, SIGNER
from tests.simulators.world import ISSUED

ISSUER = "https://shc.example/issuer"
KID = thumbprint(SIGNER.public)
SHC_ANCHOR: Anchor = replace(ANCHOR, format="shc", claimed=ISSUER, key_id=KID.encode())
HEADER: Mapping[str, Any] = MappingProxyType({"zip": "DEF", "alg": "ES256", "kid": KID})
PATIENT: Mapping[str, Any] = {
    "resourceType": "Patient",
    "name": [{"family": "Anyperson", "given": ["John", "B."]}],
    "birthDate": "1951-01-20",
}


def resource(kind: str, status: Any = "completed") -> dict[str, Any]:
    """Return a resource of a patient."""
    coded = {"coding": [{"system": "http://hl7.org/fhir/sid/cvx", "code": "207"}]}
    return {"resourceType": kind, "status": status, "vaccineCode": coded, "patient": {"reference": "resource:0"}}


def shc_claims(
    *resources: Mapping[str, Any], vc: Mapping[str, Any] = MappingProxyType({}), **more: Any
) -> dict[str, Any]:
    """Return the claims of a card; of two doses where no resources are given."""
    found = resources or (PATIENT, resource("Immunization"), resource("Immunization"))
    bundle = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"fullUrl": f"resource:{number}", "resource": dict(one)} for number, one in enumerate(found)],
    }
    card = {
        "type": ["https://smarthealth.cards#health-card"],
        "credentialSubject": {"fhirVersion": "4.0.1", "fhirBundle": bundle},
        **vc,
    }
    return {"iss": ISSUER, "nbf": ISSUED + 0.5, "vc": card, **more}


def b64(data: bytes) -> bytes:
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def deflated(data: bytes) -> bytes:
    """A raw deflate stream."""
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return squeezer.compress(data) + squeezer.flush()


def packed(value: Any) -> bytes:
    """Minified JSON."""
    return value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()


def signed(header: Any, payload: bytes) -> bytes:
    """A JWS over payload bytes."""
    text = b64(packed(dict(header) if isinstance(header, Mapping) else header)) + b"." + b64(payload)
    return text + b"." + b64(SIGNER.sign(text))


def shc_code(jws: bytes) -> bytes:
    """The code of a JWS."""
    return b"shc:/" + b"".join(b"%02d" % (code - 45) for code in jws)


def make_shc(claims: Any = None, header: Any = HEADER) -> bytes:
    """Issue a card."""
    return shc_code(signed(header, deflated(packed(shc_claims() if claims is None else claims))))
