"""Cases of MOSIP claim 169: a code, its key if it is signed, what it says, or the stage at which it must be refused.

A case without a clock is judged at the time its code begins to be valid. The key of an encrypted one is held as a gate
holds those of its settings, under the key id that the code names.
"""

import base64
from collections.abc import Callable, Mapping
from typing import Any, Final

from edge.codec import base45, foreign_cbor
from edge.codec.foreign_cose import open_encrypt0
from edge.codec.inflate import inflate
from edge.conformance import country
from edge.conformance.cases import Case
from edge.credentials import claim169
from edge.errors import CredentialError, EncodingRefused
from edge.gate.code_keys import ALGORITHMS as CIPHERS
from edge.model.code_key import KEY_BYTES, CodeKey
from edge.model.credential import ForeignCredential, PassKind
from edge.model.moment import Moment
from edge.model.trust import Anchor
from edge.trust.anchors import ALGORITHMS, unusable
from edge.verify.verify import verify

_OK, _REFUSED = "ok", "refused"
_META: Final = {"issuer": 1, "subject": 2, "expiresAt": 4, "notBefore": 5, "issuedAt": 6}
_HANDS: Final = [
    f"{side}{finger}"
    for side in ("right", "left")
    for finger in ("Thumb", "PointerFinger", "MiddleFinger", "RingFinger", "LittleFinger")
]
_BODY: Final = [*_HANDS, "rightIris", "leftIris", "face", "rightPalm", "leftPalm", "voice"]
_IDENTITY: Final = [
    *("id", "version", "language", "fullName", "firstName", "middleName", "lastName", "dateOfBirth", "gender"),
    *("address", "email", "phone", "nationality", "maritalStatus", "guardian", "photo", "photoFormat"),
    *("bestQualityFingers", "secondaryFullName", "secondaryLanguage", "locationCode", "legalStatus"),
    "countryOfIssuance",
]
_NUMBERS: Final = {name: number for number, name in enumerate(_IDENTITY, 1)} | {
    name: number for number, name in enumerate(_BODY, 50)
}
"""Claim 169 QR code, "CBOR map structure"."""
_OPENED: Final = "CoseParse"
_SAMPLE: Final = {"format": 1, "subFormat": 2, "issuer": 3}
"""Members of a sample of the body; its bytes are left out: the suite's JSON has lost those that are no UTF-8."""


class Claim169Cases:
    """The adapter (`edge.conformance.adapters.Adapter`)."""

    format = claim169.NAME

    def takes(self, members: Mapping[str, Any]) -> bool:
        """Whether it tells of an identity and of the claims around it."""
        return {"qr", "expect", "key", "meta", "claim169"} <= members.keys()

    def judge(self, case: Case) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """Return what was expected of a case and what came."""
        members = case.members
        stage, credential = _stage(members)
        label = members["expect"]
        if label != _OK:
            known = label in {name for name, _ in _STAGES}
            return {"expect": label if known else _REFUSED}, {"expect": stage if known or stage == _OK else _REFUSED}
        stated = {name: _stated(value) for name, value in (members["claim169"] or {}).items()}
        expected = {"expect": _OK, "meta": members["meta"], "claim169": stated}
        got = {"expect": stage, **_told(members, credential)}
        return ({**expected, "authentic": True}, got) if members["key"] else (expected, got)


def _told(members: Mapping[str, Any], credential: ForeignCredential | None) -> dict[str, Any]:
    if credential is None:
        return {}
    claims: Any = credential.claims
    identity = claims[claim169.IDENTITY]
    return {
        "meta": {name: claims.get(_META.get(name, name)) for name in members["meta"] or ()},
        "claim169": {name: _plain(identity.get(_NUMBERS.get(name, name))) for name in members["claim169"] or ()},
        "authentic": _is_authentic(members, credential),
    }


def _stated(value: Any) -> Any:
    if isinstance(value, list):
        return [_stated(one) for one in value]
    return {name: value[name] for name in _SAMPLE if name in value} if isinstance(value, dict) else value


def _plain(value: Any) -> Any:
    """Return a value as the JSON of a case writes it: bytes as base64, samples with names."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {name: value[number] for name, number in _SAMPLE.items() if number in value}
    return value


_STAGES: Final[tuple[tuple[str, Callable[[Any, Any], Any]], ...]] = (
    ("Base45Decode", lambda raw, _: base45.decode(raw)),
    ("Decompress", lambda data, _: inflate(data)),
    ("CoseParse", lambda data, members: claim169.message_in(data, _keys(data, members)).payload),
    ("CborParse", lambda payload, _: (foreign_cbor.decode(payload), payload)[1]),
    ("Claim169NotFound", lambda payload, _: claim169.identity_of(payload)),
    ("DecryptionFailed", lambda *_: None),
    ("Claim169Invalid", lambda *_: None),
    ("SignatureInvalid", lambda *_: None),
)
"""What must come of a code, one stage after the other, and how a case calls its failure."""


def _stage(members: Mapping[str, Any]) -> tuple[str, ForeignCredential | None]:
    """Return the stage at which a code is refused, or that it is not, and the credential."""
    raw = str(members["qr"]).encode(errors="replace")
    found: Any = raw
    keys: tuple[CodeKey, ...] = ()
    for name, step in _STAGES:
        try:
            keys = _keys(found, members) if name == _OPENED else keys
            found = step(found, members)
        except EncodingRefused:
            return name, None
        except CredentialError:
            return "DecryptionFailed", None
    try:
        credential = claim169.FORMAT.holding(keys).parse(raw)
    except CredentialError:
        return "Claim169Invalid", None
    if not claim169.FORMAT.recognises(raw):
        return _REFUSED, None
    return ("SignatureInvalid" if members["key"] and not _is_authentic(members, credential) else _OK), credential


def _keys(data: bytes, members: Mapping[str, Any]) -> tuple[CodeKey, ...]:
    """Return the keys a gate of this case holds, named as the code names its own."""
    told = members.get("enc") or {}
    algorithm = CIPHERS.get(str(told.get("algorithm")))
    if algorithm is None:
        return ()
    secret = bytes.fromhex(str(told.get("symmetric_key_hex", "")))
    return (CodeKey(algorithm, open_encrypt0(data).key_id, secret),) if len(secret) == KEY_BYTES[algorithm] else ()


def _is_authentic(members: Mapping[str, Any], credential: ForeignCredential) -> bool:
    key = members["key"] or {}
    algorithm = ALGORITHMS.get(str(key.get("algorithm")))
    public = bytes.fromhex(str(key.get("public_key_hex", "")))
    if algorithm is None or unusable(algorithm, public):
        return False
    kinds = frozenset((PassKind.IDENTITY,))
    named = credential.issuer, credential.key_id
    anchor = Anchor(country.HOLDER, claim169.NAME, *named, algorithm, public, kinds, 0, country.FAR)
    now = int(members.get("clock") or credential.issued_at or 0)
    return verify(credential, country.believing([anchor], now), Moment(now * 1000)).is_authentic


ADAPTER: Final = Claim169Cases()
