"""An identity system in memory: MOSIP identity codes in every good and bad form."""

import zlib
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import cbor2
from nacl.signing import SigningKey

from edge.codec import base45
from edge.codec.cose import to_be_signed
from edge.model.trust import EDDSA, ES256, Anchor
from tests.simulators.foreign import ANCHOR, SIGNER
from tests.simulators.world import DAY, ISSUED

ISSUER = "https://mosip.example"
KID = b"k-1101"
KEY = SigningKey(bytes(range(32)))
ID_ANCHOR: Anchor = replace(
    ANCHOR, format="claim169", claimed=ISSUER, key_id=KID, algorithm=EDDSA, public=bytes(KEY.verify_key)
)
ID_ANCHOR_ES256: Anchor = replace(ID_ANCHOR, algorithm=ES256, public=SIGNER.public)
HEADER: Mapping[int, Any] = MappingProxyType({1: EDDSA, 4: KID})
NONE: Mapping[int, Any] = MappingProxyType({})
IDENTITY: Mapping[int, Any] = MappingProxyType({1: "3918592438", 4: "Janardhan BS", 8: "19840118", 9: 1})


def id_claims(identity: Any = IDENTITY, **changes: Any) -> dict[Any, Any]:
    """Return the CWT claims of a code; `changes` are exp, nbf and iat."""
    times = {"exp": ISSUED + 300 * DAY, "nbf": ISSUED, "iat": ISSUED, **changes}
    stated = dict(identity) if isinstance(identity, Mapping) else identity
    claims = {1: ISSUER, 4: times["exp"], 5: times["nbf"], 6: times["iat"], 169: stated}
    return {name: value for name, value in claims.items() if value is not None}


def id_message(payload: bytes, *, protected: Any = HEADER, unprotected: Mapping[int, Any] = NONE) -> list[Any]:
    """Return the four parts of a message, signed as its header says."""
    header = protected if isinstance(protected, bytes) else cbor2.dumps(dict(protected))
    signed = to_be_signed(header, payload)
    is_es256 = isinstance(protected, Mapping) and protected.get(1) == ES256
    return [header, dict(unprotected), payload, SIGNER.sign(signed) if is_es256 else KEY.sign(signed).signature]


def id_code(message: bytes, level: int = 9) -> bytes:
    """Return the code of a message's bytes."""
    return base45.encode(zlib.compress(message, level))


def make_id(claims: Any = None, **headers: Any) -> bytes:
    """Issue an identity code."""
    payload = cbor2.dumps(id_claims() if claims is None else claims)
    return id_code(cbor2.dumps(cbor2.CBORTag(61, cbor2.CBORTag(18, id_message(payload, **headers)))))
