"""A country that seals: its CSCA, signers with certificates of their own, and seals (ICAO VDS-NC)."""

import base64
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID, ObjectIdentifier

from edge.credentials import vdsnc
from edge.model.credential import PassKind
from edge.model.trust import ES256, Anchor
from tests.simulators.foreign import HOLDER, Signer
from tests.simulators.world import DAY, ISSUED

CSCA = Signer(40)
SEALER = Signer(41)
CSCA_ID = bytes(range(20))
HEALTH = frozenset((PassKind.VACCINATION, PassKind.TEST))
CSCA_ANCHOR = Anchor(
    HOLDER, vdsnc.NAME, "UTO", CSCA_ID, ES256, CSCA.public, HEALTH, ISSUED - 900 * DAY, ISSUED + 3000 * DAY
)
VACCINATED: Mapping[str, Any] = {
    "hdr": {"t": "icao.vacc", "v": 1, "is": "UTO"},
    "msg": {
        "uvci": "U32870",
        "pid": {"n": "Smith Bill", "dob": "1990-01-02", "sex": "M", "i": "A1234567Z"},
        "ve": [{"des": "XM68M6", "nam": "Comirnaty", "dis": "RA01.0", "vd": [{"dvc": "2021-03-03", "seq": 1}]}],
    },
}


def certificate(
    *,
    signer: Signer = SEALER,
    issuer: Signer = CSCA,
    usages: Sequence[str] = (vdsnc.USAGE,),
    first: int = ISSUED - DAY,
    last: int = ISSUED + 2000 * DAY,
) -> bytes:
    """Return a signer's certificate, DER."""
    name = x509.Name([x509.NameAttribute(NameOID.COUNTRY_NAME, "UT")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(signer.key.public_key())
        .serial_number(7)
        .not_valid_before(datetime.fromtimestamp(first, UTC))
        .not_valid_after(datetime.fromtimestamp(last, UTC))
        .add_extension(x509.AuthorityKeyIdentifier(CSCA_ID, None, None), critical=False)
    )
    if usages:
        made = made.add_extension(x509.ExtendedKeyUsage([ObjectIdentifier(one) for one in usages]), critical=True)
    return made.sign(issuer.key, hashes.SHA256()).public_bytes(Encoding.DER)


def canonical(value: Any) -> bytes:
    """Return the canonical form of plain ASCII-named JSON."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def make_seal(
    data: Any = VACCINATED, *, der: bytes | None = None, signature: bytes | None = None, **proof: Any
) -> bytes:
    """Return the code of a seal."""
    signed = SEALER.sign(canonical(data)) if signature is None else signature
    said = {"alg": "ES256", "sigvl": _url(signed), "cer": _url(certificate() if der is None else der), **proof}
    return json.dumps({"data": data, "sig": said}, ensure_ascii=False).encode()


def _url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode()
