"""Keys published as JSON Web Keys: a key set (RFC 7517), as SMART Health Cards have, and a DID document (did:web).

Both name their keys and say nothing of when these may sign, unless a key brings its certificate along. They become rows
as those of certificates do (`edge.authority.key_sources`).
"""

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from cryptography import x509

from edge.errors import PublicationError

_WIDTH: Final = {"P-256": 32, "P-384": 48, "Ed25519": 32}
_ALGORITHM: Final = {"P-256": "ES256", "P-384": "ES384", "Ed25519": "EdDSA"}
_PRIVATE: Final = frozenset(("d", "p", "q", "k"))
_MAX_KID: Final = 64
_NEXT: Final = "Leave it out, or ask its issuer for another."


@dataclass(frozen=True, slots=True)
class Named:
    """One key of a set.

    Attributes:
        key_id: As its credentials name it.
        issuer: Who publishes it, where the file tells; else empty.
        algorithm: Name of its algorithm.
        public: The plain key.
        not_before: Unix seconds, or None where the file does not tell.
        not_after: Unix seconds, or None.
    """

    key_id: bytes
    issuer: str
    algorithm: str
    public: bytes
    not_before: int | None = None
    not_after: int | None = None


def document_of(data: bytes) -> Mapping[str, Any] | None:
    """Return the JSON object of a file, or None for any other."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def of_set(document: Mapping[str, Any]) -> Iterator[tuple[str, Named | PublicationError]] | None:
    """Return the keys of a JSON Web Key Set with their places, or None for any other document."""
    rows = document.get("keys")
    if not isinstance(rows, list):
        return None
    return ((f"keys[{number}]", _tried(_of_set, row)) for number, row in enumerate(rows))


def of_did(document: Mapping[str, Any]) -> Iterator[tuple[str, Named | PublicationError]] | None:
    """Return the keys a DID document asserts with (did-core, 5.3.2), or None for any other document."""
    methods, asserted, own = (document.get(name) for name in ("verificationMethod", "assertionMethod", "id"))
    if not isinstance(methods, list) or not isinstance(own, str):
        return None
    allowed = asserted if isinstance(asserted, list) else []
    return ((f"verificationMethod[{number}]", _tried(_of_did, row, own, allowed)) for number, row in enumerate(methods))


def _tried(reader: Any, row: Any, *more: Any) -> Named | PublicationError:
    try:
        return reader(row, *more)  # type: ignore[no-any-return]  # each reader returns Named
    except PublicationError as error:
        return error


def _of_set(row: Any) -> Named:
    algorithm, public = _key(row)
    kid = _kid(row.get("kid"))
    if row.get("use", "sig") != "sig" or row.get("alg", algorithm) != algorithm:
        raise PublicationError(f"Its use or alg is not that of a signing key for {algorithm}.", _NEXT)
    if "x5c" not in row:
        return Named(kid, "", algorithm, public)
    return _certified(row["x5c"], Named(kid, "", algorithm, public))


def _of_did(row: Any, own: str, allowed: list[Any]) -> Named:
    if not isinstance(row, dict) or not isinstance(row.get("id"), str):
        raise PublicationError("It has no id.", _NEXT)
    did, _, fragment = row["id"].partition("#")
    if did not in {own, ""} or row.get("controller", own) != own:
        raise PublicationError("It is another's key.", _NEXT)
    if row["id"] not in allowed and f"#{fragment}" not in allowed:
        raise PublicationError("assertionMethod does not name it: it may not sign credentials.", _NEXT)
    algorithm, public = _key(row.get("publicKeyJwk"))
    return Named(_kid(fragment), own, algorithm, public)


def _kid(value: Any) -> bytes:
    if not isinstance(value, str) or not value.isascii() or not 1 <= len(value) <= _MAX_KID:
        raise PublicationError(f"Its key id is no text of 1 to {_MAX_KID} ASCII characters.", _NEXT)
    return value.encode()


def _key(row: Any) -> tuple[str, bytes]:
    if not isinstance(row, dict) or row.get("crv") not in list(_WIDTH):
        raise PublicationError("It is no JSON Web Key on P-256, P-384 or Ed25519.", _NEXT)
    if row.keys() & _PRIVATE:
        raise PublicationError("It holds a private key: whoever has the file can sign.", "Tell its issuer at once.")
    curve = row["crv"]
    if row.get("kty") != ("OKP" if curve == "Ed25519" else "EC"):
        raise PublicationError("kty and crv do not go together.", _NEXT)
    x = _coordinate(row.get("x"), curve)
    return _ALGORITHM[curve], x if curve == "Ed25519" else b"\x04" + x + _coordinate(row.get("y"), curve)


def _coordinate(value: Any, curve: str) -> bytes:
    try:
        found = base64.b64decode(str(value) + "=" * (-len(str(value)) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise PublicationError("A coordinate is not base64url.", _NEXT) from error
    if len(found) != _WIDTH[curve]:
        raise PublicationError(f"A coordinate has {len(found)} bytes, not {_WIDTH[curve]}.", _NEXT)
    return found


def thumbprint(public: bytes) -> str:
    """Return the thumbprint (RFC 7638) of a plain P-256 key, which is the kid of a SMART Health Card."""
    x, y = (base64.urlsafe_b64encode(half).rstrip(b"=").decode() for half in (public[1:33], public[33:]))
    members = {"crv": "P-256", "kty": "EC", "x": x, "y": y}
    digest = sha256(json.dumps(members, separators=(",", ":"), sort_keys=True).encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _certified(chain: Any, key: Named) -> Named:
    # The certificate of the key itself stands first (RFC 7517, 4.7); its subject's URI is the issuer (SHC, "x5c").
    try:
        found = x509.load_der_x509_certificate(base64.b64decode(chain[0], validate=True))
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
        from_certificate = found.public_key()
        numbers = from_certificate.public_numbers()  # type: ignore[union-attr]  # another kind of key: AttributeError
        public = b"\x04" + numbers.x.to_bytes(32) + numbers.y.to_bytes(32)  # type: ignore[union-attr]
        begins, ends = int(found.not_valid_before_utc.timestamp()), int(found.not_valid_after_utc.timestamp())
    except Exception as error:  # whatever a certificate of strangers brings about
        raise PublicationError("The first certificate of x5c cannot be read.", _NEXT) from error
    if public != key.public:
        raise PublicationError("The first certificate of x5c is of another key.", _NEXT)
    return Named(key.key_id, uris[0] if len(uris) == 1 else "", key.algorithm, public, begins, ends)
