"""Codes that no issuer of the demo made: forged and altered passes, strangers' passes, live tokens, foreign codes.

Each is made so that exactly one check of the gate can be the first to refuse it. Genuine passes come from
`edge authority issue`; which code is shown when is left to `edge.demo.people`.
"""

import base64
import json
import random
from dataclasses import replace
from typing import Final

from nacl.signing import SigningKey

from edge.credentials import hp1
from edge.model.credential import Credential, PassKind, PersonClaims

STRANGER: Final = "9901"
"""An issuer id in nobody's trust list."""
_STRANGER_REGION: Final = 990100
_MONTH_S: Final = 30 * 86_400


def forged(genuine: bytes, rng: random.Random) -> bytes:
    """Return the same claims under the same issuer and key id, signed by somebody else's key."""
    return _signed(hp1.FORMAT.parse(genuine), _stranger_key(rng))


def altered(genuine: bytes) -> bytes:
    """Return a person's pass whose status was changed to green under the signature of the original.

    Raises:
        ValueError: It is no person's pass, or green already: nothing would be altered.
    """
    pass_ = hp1.FORMAT.parse(genuine)
    claims = pass_.claims
    if not isinstance(claims, PersonClaims) or claims.status == 0:
        raise ValueError("only a person's pass that is not green can be altered to green")
    return _laid_out(replace(pass_, claims=replace(claims, status=0))).sign(pass_.signature)


def strange(now_s: int, rng: random.Random) -> bytes:
    """Return a well-formed pass of an issuer that nobody knows."""
    claims = PersonClaims(0, _STRANGER_REGION, rng.randbytes(6), rng.randrange(1 << 20), "无", rng.randbytes(3))
    key = _stranger_key(rng)
    key_id = key.verify_key.encode()[:8]
    pass_ = Credential(
        hp1.NAME, STRANGER, key_id, -8, b"", bytes(64), now_s - 60, now_s + _MONTH_S, PassKind.PERSON, claims
    )
    return _signed(pass_, key)


def broken(genuine: bytes, rng: random.Random) -> bytes:
    """Return a national pass that lost its end, as a torn printout or a cropped picture does."""
    # Base45 takes three characters for two bytes: what is left stays decodable text and is no whole message.
    whole = (len(genuine) - len(hp1.PREFIX)) // 3
    return genuine[: len(hp1.PREFIX) + 3 * rng.randrange(whole // 3, whole - 2)]


def _stranger_key(rng: random.Random) -> SigningKey:
    return SigningKey(rng.randbytes(32))


def _laid_out(pass_: Credential) -> hp1.Unsigned:
    validity = (pass_.issued_at, pass_.expires_at)
    return hp1.unsigned(pass_.issuer, pass_.key_id, validity, pass_.kind, pass_.claims, holder_key=pass_.holder_key)


def _signed(pass_: Credential, key: SigningKey) -> bytes:
    laid_out = _laid_out(pass_)
    return laid_out.sign(key.sign(laid_out.to_be_signed).signature)


def yuekang_token(now_s: int, rng: random.Random) -> bytes:
    """Return an opaque live code of the Yuekang family."""
    token = {"label": "yss", "cid": rng.randbytes(12).hex(), "ts": now_s, "sign": rng.randbytes(16).hex()}
    return json.dumps(token, separators=(",", ":")).encode()


def nhc_token(_now_s: int, rng: random.Random) -> bytes:
    """Return an opaque resident electronic health code."""
    return f"{rng.randbytes(32).hex().upper()}:1".encode()


def national_token(_now_s: int, rng: random.Random) -> bytes:
    """Return an opaque code of the national platform."""
    body = b"JKM1610100" + b"GBGS" + rng.randbytes(187)
    return base64.b64encode(body)


def menu(_now_s: int, rng: random.Random) -> bytes:
    """Return the address of a noodle shop's menu."""
    return f"https://noodles.example/menu?table={rng.randrange(1, 60)}&t={rng.randrange(1 << 30):x}".encode()


def wifi(_now_s: int, rng: random.Random) -> bytes:
    """Return a Wi-Fi code."""
    return f"WIFI:T:WPA;S:Station-Guest;P:{rng.randrange(10**9):09d};;".encode()
