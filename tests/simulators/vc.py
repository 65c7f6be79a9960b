"""An issuer of verifiable credentials in memory: JWTs and SD-JWTs in every good and bad form."""

import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from types import MappingProxyType
from typing import Any

from edge.model.credential import PassKind
from edge.model.trust import EDDSA, Anchor
from tests.simulators.foreign import ANCHOR, SIGNER
from tests.simulators.tickets import EVENT
from tests.simulators.world import DAY, ISSUED

ISSUER = "https://issuer.example"
KID = b"key-1"
VC_ANCHOR: Anchor = replace(ANCHOR, format="vc", claimed=ISSUER, key_id=KID, kinds=frozenset((PassKind.STATEMENT,)))
VC_ANCHOR_ED: Anchor = replace(VC_ANCHOR, algorithm=EDDSA, public=bytes(EVENT.verify_key))
HEADER: Mapping[str, Any] = MappingProxyType({"alg": "ES256", "typ": "dc+sd-jwt", "kid": "key-1"})
W3C_HEADER: Mapping[str, Any] = MappingProxyType({"alg": "ES256", "typ": "vc+jwt", "kid": f"{ISSUER}#key-1"})
NAMES: Mapping[str, Any] = MappingProxyType({"given_name": "Jane", "family_name": "Doe", "birthdate": "1990-02-03"})


def b64(data: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def text(value: Any) -> bytes:
    """JSON, or bytes as they are."""
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def digest(disclosure: str) -> str:
    """What stands for a disclosure in the signed part (RFC 9901, 4.2.3)."""
    return b64(sha256(disclosure.encode()).digest())


def disclosure(*parts: Any) -> str:
    """A disclosure of any parts: salt, name, value."""
    return b64(text(list(parts)))


def vct_claims(disclosures: Any = (), **changes: Any) -> dict[str, Any]:
    """The signed claims of an SD-JWT VC; None leaves one out."""
    found = {
        "iss": ISSUER,
        "vct": "https://issuer.example/badge",
        "iat": ISSUED,
        "exp": ISSUED + 300 * DAY,
        "_sd": [digest(one) for one in disclosures],
        **changes,
    }
    return {name: value for name, value in found.items() if value is not None}


def w3c_claims(**changes: Any) -> dict[str, Any]:
    """The claims of a credential of the W3C's data model 2.0; None leaves one out."""
    found = {
        "@context": ["https://www.w3.org/ns/credentials/v2", "https://issuer.example/context"],
        "id": "https://issuer.example/1",
        "type": ["VerifiableCredential", "Badge"],
        "issuer": {"id": ISSUER, "name": "Issuer"},
        "validFrom": datetime.fromtimestamp(ISSUED, UTC).isoformat(),
        "validUntil": "2027-06-01T02:00:00+02:00",
        "credentialSubject": {"id": "did:example:1", "givenName": "Jane", "familyName": "Doe", "birthDate": "1990"},
        **changes,
    }
    return {name: value for name, value in found.items() if value is not None}


def signed(claims: Any, header: Any = HEADER) -> str:
    """A compact JWS under ES256, or EdDSA where the header says so."""
    stated = dict(header) if isinstance(header, Mapping) else header
    said = f"{b64(text(stated))}.{b64(text(claims))}"
    is_ed = isinstance(stated, dict) and stated.get("alg") in ("EdDSA", "Ed25519")
    made = EVENT.sign(said.encode()).signature if is_ed else SIGNER.sign(said.encode())
    return f"{said}.{b64(made)}"


def make_sd(claims: Any = None, shown: Any = None, header: Any = HEADER, binding: str = "") -> bytes:
    """Issue an SD-JWT VC of three disclosures and show all of them, or others."""
    own = [disclosure(f"salt{number}", *pair) for number, pair in enumerate(NAMES.items())]
    token = signed(vct_claims(own) if claims is None else claims, header)
    return "~".join((token, *(own if shown is None else shown), binding)).encode()


def make_w3c(claims: Any = None, header: Any = W3C_HEADER) -> bytes:
    """Issue a credential of the W3C as a JWT."""
    return signed(w3c_claims() if claims is None else claims, header).encode()
