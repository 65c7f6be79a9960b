"""Signatures under plain keys: each verifier takes what its algorithm made and refuses everything near it."""

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from nacl.signing import SigningKey

from edge.model.trust import EDDSA, ES256, ES384, PS256, RS256
from edge.verify.signatures import VERIFIERS

MESSAGE = b"what was signed"


def _ecdsa(curve, digest, size):
    key = ec.generate_private_key(curve)
    r, s = decode_dss_signature(key.sign(MESSAGE, ec.ECDSA(digest)))
    point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return point, r.to_bytes(size) + s.to_bytes(size)


def _rsa(scheme, bits=2048):
    key = rsa.generate_private_key(65537, bits)
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1), key.sign(MESSAGE, scheme, hashes.SHA256())


def _ed25519():
    key = SigningKey(bytes(range(32)))
    return key.verify_key.encode(), key.sign(MESSAGE).signature


MADE = {
    EDDSA: _ed25519(),
    ES256: _ecdsa(ec.SECP256R1(), hashes.SHA256(), 32),
    ES384: _ecdsa(ec.SECP384R1(), hashes.SHA384(), 48),
    PS256: _rsa(padding.PSS(padding.MGF1(hashes.SHA256()), 32)),
    RS256: _rsa(padding.PKCS1v15()),
}
every_algorithm = pytest.mark.parametrize("algorithm", MADE)


def test_every_algorithm_of_the_table_is_tried_here():
    """A verifier without a case would be untested."""
    assert MADE.keys() == VERIFIERS.keys()


@every_algorithm
def test_a_signature_holds_over_its_own_bytes_alone(algorithm):
    """Another message, one bit of the signature or another length of it: refused."""
    public, signature = MADE[algorithm]
    holds = VERIFIERS[algorithm]

    assert holds(public, MESSAGE, signature)
    assert not holds(public, MESSAGE + b"!", signature)
    for at in range(len(signature)):
        assert not holds(public, MESSAGE, signature[:at] + bytes((signature[at] ^ 1,)) + signature[at + 1 :])
    for wrong in (b"", signature[:-1], signature + b"\0", b"\0" + signature, bytes(len(signature))):
        assert not holds(public, MESSAGE, wrong)


@every_algorithm
def test_a_key_of_another_algorithm_or_form_verifies_nothing(algorithm):
    """Whatever bytes stand in a key record: an answer, never an exception."""
    public, signature = MADE[algorithm]
    # PS256 and RS256 share the form of a key; their signatures do not hold for each other all the same.
    strangers = [key for other, (key, _) in MADE.items() if other != algorithm]

    for key in (*strangers, b"", public[:-1], public + b"\0", bytes(len(public)), b"\x02" + public[1:33]):
        assert not VERIFIERS[algorithm](key, MESSAGE, signature)


def test_a_short_rsa_key_verifies_nothing():
    """Below 2048 bits a signature can be forged."""
    public, signature = _rsa(padding.PKCS1v15(), 1024)

    assert not VERIFIERS[RS256](public, MESSAGE, signature)
