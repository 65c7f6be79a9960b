"""Another country's signer in memory: a key, its anchor and a trust snapshot that believes it."""

import zlib
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from types import MappingProxyType
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from edge.codec import base45
from edge.codec.cose import to_be_signed
from edge.model.credential import FOREIGN_KINDS, ForeignCredential, HashKind, PassKind
from edge.model.trust import ES256, Anchor, Issuer, MatrixRow, TrustSnapshot
from edge.trust.anchors import by_place
from edge.trust.hash_list import SortedHashes, build
from tests.simulators.world import DAY, EXPIRES, ISSUED, TRUST

HOLDER = "dcc"
KEY_ID = b"anchor01"


class Signer:
    """A P-256 key, the same for the same number."""

    def __init__(self, number: int = 1) -> None:
        self.key = ec.derive_private_key(number + 1, ec.SECP256R1())
        numbers = self.key.public_key().public_numbers()
        self.public = b"\x04" + numbers.x.to_bytes(32) + numbers.y.to_bytes(32)

    def sign(self, data: bytes) -> bytes:
        """Return r||s over the data's SHA-256."""
        r, s = decode_dss_signature(self.key.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32) + s.to_bytes(32)


SIGNER = Signer()
ANCHOR = Anchor(HOLDER, "hcert", "AT", KEY_ID, ES256, SIGNER.public, FOREIGN_KINDS, ISSUED - DAY, ISSUED + 700 * DAY)


def believing(
    *anchors: Anchor,
    revoked: Mapping[int, tuple[HashKind, bytes]] = MappingProxyType({}),
    outcome: str = "accept",
    **changes: Any,
) -> TrustSnapshot:
    """Return a snapshot that admits the anchors' formats.

    Args:
        anchors: Keys believed; the standard one unless given.
        revoked: By number of the list: kind of hash and what is hashed.
        outcome: What the matrix says of their holder.
        changes: Changes of the policy.
    """
    found = anchors or (ANCHOR,)
    policy = replace(
        TRUST.policy,
        formats=frozenset({"hp1", *(anchor.format for anchor in found)}),
        kinds=TRUST.policy.kinds | {PassKind.VACCINATION, PassKind.TEST, PassKind.RECOVERY},
        **changes,
    )
    lists = {
        (HOLDER, number): SortedHashes(build(kind, 16, [sha256(value).digest()]), "list")
        for number, (kind, value) in revoked.items()
    }
    row = MatrixRow(HOLDER, None, "", "green" if outcome == "accept" else "none", outcome)
    return replace(
        TRUST,
        policy=policy,
        issuers=MappingProxyType({**TRUST.issuers, HOLDER: Issuer(HOLDER, {"en": "EU", "zh": "欧盟"}, 0)}),
        matrix=MappingProxyType({**TRUST.matrix, (HOLDER, None): (row,)}),
        anchors=by_place(found),
        hash_lists=MappingProxyType(lists),
    )


def credential(signer: Signer = SIGNER, signed: bytes = b"signed bytes", **changes: Any) -> ForeignCredential:
    """Return a vaccination certificate of Austria over any bytes."""
    made = ForeignCredential(
        "hcert",
        "AT",
        KEY_ID,
        ES256,
        signed,
        signer.sign(signed),
        PassKind.VACCINATION,
        MappingProxyType({}),
        ISSUED,
        EXPIRES + 300 * DAY,
    )
    return replace(made, **changes)


UVCI = "URN:UVCI:01:AT:10807843F94AEE0EE5093FBC254BD813#B"
VACCINATION: Mapping[str, Any] = {
    "ver": "1.3.0",
    "nam": {"fn": "Musterfrau-Gößinger", "fnt": "MUSTERFRAU<GOESSINGER", "gn": "Gabriele", "gnt": "GABRIELE"},
    "dob": "1998-02-26",
    "v": [{"tg": "840539006", "dn": 1, "sd": 2, "dt": "2021-02-18", "co": "AT", "ci": UVCI}],
}


def hcert_claims(certificate: Mapping[str, Any] = VACCINATION, **changes: Any) -> dict[int, Any]:
    """Return the CWT claims of a health certificate; `changes` are exp and iat."""
    times = {"exp": ISSUED + 300 * DAY, "iat": ISSUED, **changes}
    return {1: "AT", 4: times["exp"], 6: times["iat"], -260: {1: dict(certificate)}}


def hcert_message(
    payload: bytes, *, protected: Any = MappingProxyType({1: ES256, 4: KEY_ID}), unprotected: Any = MappingProxyType({})
) -> list[Any]:
    """Return the four parts of a signed message."""
    header = protected if isinstance(protected, bytes) else cbor2.dumps(dict(protected))
    return [header, dict(unprotected), payload, SIGNER.sign(to_be_signed(header, payload))]


def hcert_code(message: bytes) -> bytes:
    """Return the code of a message's bytes."""
    return b"HC1:" + base45.encode(zlib.compress(message, 9))


def make_hcert(claims: Mapping[int, Any] | None = None, **headers: Any) -> bytes:
    """Issue a health certificate."""
    payload = cbor2.dumps(claims if claims is not None else hcert_claims())
    return hcert_code(cbor2.dumps(cbor2.CBORTag(18, hcert_message(payload, **headers))))
