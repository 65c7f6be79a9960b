"""New Zealand's signer in memory: passes in every good and bad form."""

import base64
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import cbor2

from edge.codec.cose import to_be_signed
from edge.model.trust import ES256, Anchor
from tests.simulators.foreign import ANCHOR, SIGNER
from tests.simulators.world import DAY, ISSUED

DID = "did:web:nzcp.example"
CTI = bytes(range(16))
NZCP_ANCHOR: Anchor = replace(ANCHOR, format="nzcp", claimed=DID, key_id=b"key-1")
HEADER: Mapping[int, Any] = MappingProxyType({4: b"key-1", 1: ES256})
NONE: Mapping[int, Any] = MappingProxyType({})


def nzcp_vc(**changes: Any) -> dict[str, Any]:
    """Return the verifiable credential of a pass."""
    made = {
        "@context": ["https://www.w3.org/2018/credentials/v1", "https://nzcp.covid19.health.nz/contexts/v1"],
        "version": "1.0.0",
        "type": ["VerifiableCredential", "PublicCovidPass"],
        "credentialSubject": {"givenName": "Jack", "familyName": "Sparrow", "dob": "1960-04-16"},
    }
    return {**made, **changes}


def nzcp_claims(**vc: Any) -> dict[Any, Any]:
    """Return the claims of a pass; `vc` changes its verifiable credential."""
    return {1: DID, 5: ISSUED, 4: ISSUED + 300 * DAY, "vc": nzcp_vc(**vc), 7: CTI}


def nzcp_message(payload: bytes, *, protected: Any = HEADER, unprotected: Mapping[int, Any] = NONE) -> list[Any]:
    """Return the four parts of a signed message."""
    header = protected if isinstance(protected, bytes) else cbor2.dumps(dict(protected))
    return [header, dict(unprotected), payload, SIGNER.sign(to_be_signed(header, payload))]


def nzcp_code(message: bytes) -> bytes:
    """Return the code of a message's bytes."""
    return b"NZCP:/1/" + base64.b32encode(message).rstrip(b"=")


def make_nzcp(claims: Mapping[Any, Any] | None = None, **headers: Any) -> bytes:
    """Issue a pass."""
    payload = cbor2.dumps(nzcp_claims() if claims is None else claims)
    return nzcp_code(cbor2.dumps(cbor2.CBORTag(18, nzcp_message(payload, **headers))))
