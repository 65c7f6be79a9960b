"""What an operator answered about a live code, checked: who signed it, to which question, about which code.

The answer is a signed message `relay` {1 nonce, 2 SHA-256 of the code, 3 status, 4 region} (docs/formats.md). What
holds becomes a credential of a minute, so that matrix and rules decide as for every other.
"""

from hashlib import sha256
from hmac import compare_digest
from typing import Any, Final

from nacl.signing import SigningKey

from edge.errors import LedgerError
from edge.ledger import device
from edge.model.credential import Credential, PassKind, PersonClaims
from edge.model.rules import Relay
from edge.model.trust import EDDSA, IssuerKey, TrustSnapshot
from edge.model.verdict import Reason, Verification

KIND: Final = "relay"
FORMAT: Final = "server_token"
MAX_ANSWER: Final = 1024
"""No answer is longer, bytes."""
_LASTS_S: Final = 60
_MAX_STATUS: Final = 0xFFFF
_FIELDS: Final = {1, 2, 3, 4}


def relayed(relay: Relay, token: bytes, nonce: bytes, answer: bytes, *, trust: TrustSnapshot, now: int) -> Verification:
    """Return what an answer says of a live code, verified.

    Args:
        relay: Who was asked.
        token: The live code as presented.
        nonce: The question's nonce.
        answer: What came back.
        trust: The trust in force.
        now: Unix seconds.

    Raises:
        LedgerError: It is not signed by the operator's key, answers another question, or is not of its form.
    """
    if len(answer) > MAX_ANSWER:
        raise LedgerError("the answer is too long")
    found = device.opened(KIND, answer, relay.public)
    digest = sha256(token).digest()
    if found.keys() != _FIELDS or not _equal(found[1], nonce) or not _equal(found[2], digest):
        raise LedgerError("the answer is to another question")
    status, region = _number(found[3], 0, _MAX_STATUS), _number(found[4], 100000, 999999)
    credential = Credential(
        FORMAT,
        relay.issuer,
        device.key_id(relay.public),
        EDDSA,
        # The same code shown twice is the same presentation; the operator signed a question, not the code.
        b"relay/" + relay.family.encode() + b"/" + digest,
        b"",
        now,
        now + _LASTS_S,
        PassKind.PERSON,
        PersonClaims(status, region, b"", 0, "", b""),
    )
    issuer = trust.issuers.get(relay.issuer)
    key = IssuerKey(
        relay.issuer,
        credential.key_id,
        EDDSA,
        relay.public,
        frozenset({PassKind.PERSON}),
        (relay.issuer if relay.issuer.isdigit() else "",),
        _LASTS_S,
        now,
        now + _LASTS_S,
        0,
    )
    return Verification(credential, _reason(credential, key, trust), issuer, key)


def _reason(credential: Credential, key: IssuerKey, trust: TrustSnapshot) -> Reason:
    region = credential.claims.region if isinstance(credential.claims, PersonClaims) else 0
    if credential.issuer not in trust.issuers:
        return Reason.ISSUER_UNKNOWN
    if not str(region).startswith(key.regions):
        return Reason.KEY_REGION
    return Reason.OK if trust.region_name(region) and not trust.registries.lacks(region) else Reason.REGION_UNKNOWN


def answer(question: tuple[bytes, bytes], status: int, region: int, key: SigningKey) -> bytes:
    """Return an operator's signed answer to (nonce, code): what its adapter sends.

    Args:
        question: The nonce and the live code, as asked.
        status: The issuer's own status number.
        region: GB/T 2260 code, six digits.
        key: The operator's key, whose public half stands in the policy.
    """
    nonce, token = question
    return device.sign(KIND, {1: nonce, 2: sha256(token).digest(), 3: status, 4: region}, key)


def _equal(value: Any, wanted: bytes) -> bool:
    return type(value) is bytes and compare_digest(value, wanted)


def _number(value: Any, least: int, most: int) -> int:
    if type(value) is not int or not least <= value <= most:
        raise LedgerError("a field of the answer is out of bounds")
    return value
