"""JWTs signed by an issuer, with claims it lets the holder disclose one by one (RFC 7515; SD-JWT, RFC 9901).

Compact form alone. What is disclosed is put where its digest stood; a disclosure that belongs nowhere, a digest that
stands twice, a claim that is there already: refused (RFC 9901, 7.1). Whose key signed it is left to the caller.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from edge.codec import base64url, foreign_json
from edge.codec.foreign_json import MAX_DEPTH
from edge.errors import EncodingRefused

_DIGESTS, _ELEMENT, _HASH = "_sd", "...", "_sd_alg"
_SHA256: Final = "sha-256"
"""The only hash that is taken, and the one meant where none is named (RFC 9901, 4.1.1)."""


@dataclass(frozen=True, slots=True)
class Token:
    """An opened token; nothing of it has been verified.

    Attributes:
        header: The protected header.
        claims: What is signed, with what is disclosed in its places.
        disclosed: Names of the claims at the top that were disclosed.
        signed: Header and payload as they were signed.
        signature: The signature over `signed`.
        is_sd_jwt: Whether it has the form of an SD-JWT (a tilde behind the signed part).
    """

    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    disclosed: frozenset[str]
    signed: bytes
    signature: bytes
    is_sd_jwt: bool


def header_of(data: bytes) -> Mapping[str, Any]:
    """Return the protected header of a compact JWS.

    Raises:
        EncodingRefused: There is none.
    """
    found = foreign_json.decode(base64url.decode(data.partition(b".")[0]))
    if type(found) is not dict:
        raise EncodingRefused("the header is no object")
    return found


def open_token(data: bytes) -> Token:
    """Open a JWT, an SD-JWT or an SD-JWT with a key binding, which is looked at for its form alone.

    Raises:
        EncodingRefused: It is none, or a disclosure does not belong.
    """
    jwt, *rest = data.split(b"~")
    header, payload, signature = _jws(jwt)
    claims = foreign_json.decode(base64url.decode(payload))
    if type(claims) is not dict or claims.pop(_HASH, _SHA256) != _SHA256:
        raise EncodingRefused("the claims are no object, or of another hash than SHA-256")
    if rest and rest[-1]:
        _jws(rest[-1])
    reader = _Disclosures(rest[:-1])
    found, disclosed = reader.object_(claims, 0)
    reader.refuse_unused()
    return Token(
        header_of(header), found, disclosed, header + b"." + payload, base64url.decode(signature), is_sd_jwt=bool(rest)
    )


def _jws(data: bytes) -> tuple[bytes, bytes, bytes]:
    parts = data.split(b".")
    if len(parts) != 3 or not all(parts):  # RFC 7515, 7.1
        raise EncodingRefused("not a compact JWS")
    return parts[0], parts[1], parts[2]


class _Disclosures:
    """Puts disclosures where their digests stand."""

    def __init__(self, encoded: list[bytes]) -> None:
        self._by_digest = {_digest(one): foreign_json.decode(base64url.decode(one)) for one in encoded}
        if len(self._by_digest) != len(encoded):
            raise EncodingRefused("a disclosure stands twice")
        self._seen: set[str] = set()

    def refuse_unused(self) -> None:
        """Refuse what no digest asked for."""
        if self._by_digest.keys() - self._seen:
            raise EncodingRefused("a disclosure belongs nowhere")

    def object_(self, members: Mapping[str, Any], depth: int) -> tuple[dict[str, Any], frozenset[str]]:
        """Return an object with what is disclosed of it, and the names of that."""
        if _ELEMENT in members:
            raise EncodingRefused("an object has the member of an array's digest")
        found = {name: self._value(value, depth + 1) for name, value in members.items() if name != _DIGESTS}
        digests = members.get(_DIGESTS, [])
        if type(digests) is not list:
            raise EncodingRefused("_sd is no list")
        disclosed = set()
        for digest in digests:
            disclosure = self._taken(digest)
            if disclosure is None:
                continue
            name = disclosure[1] if len(disclosure) == 3 else None
            if type(name) is not str or name in {_DIGESTS, _ELEMENT} or name in found:
                raise EncodingRefused("a disclosure is no claim, or one that is there already")
            found[name] = self._value(disclosure[2], depth + 1)
            disclosed.add(name)
        return found, frozenset(disclosed)

    def _value(self, value: Any, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise EncodingRefused("the claims nest too deeply")
        if type(value) is dict:
            return self.object_(value, depth)[0]
        return self._array(value, depth) if type(value) is list else value

    def _array(self, values: list[Any], depth: int) -> list[Any]:
        found = []
        for value in values:
            if type(value) is not dict or value.keys() != {_ELEMENT}:
                found.append(self._value(value, depth + 1))
                continue
            disclosure = self._taken(value[_ELEMENT])
            if disclosure is not None:
                if len(disclosure) != 2:
                    raise EncodingRefused("a disclosure is no element")
                found.append(self._value(disclosure[1], depth + 1))
        return found

    def _taken(self, digest: Any) -> list[Any] | None:
        if type(digest) is not str or digest in self._seen:
            raise EncodingRefused("a digest is no text, or stands twice")
        self._seen.add(digest)
        disclosure = self._by_digest.get(digest)
        if digest in self._by_digest and (type(disclosure) is not list or not disclosure):
            raise EncodingRefused("a disclosure is no list")
        if disclosure is not None and type(disclosure[0]) is not str:
            raise EncodingRefused("the salt of a disclosure is no text")
        return disclosure


def _digest(encoded: bytes) -> str:
    return base64.urlsafe_b64encode(sha256(encoded).digest()).rstrip(b"=").decode()
