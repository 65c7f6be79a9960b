"""Writes `live.jsonl`: vectors of live presentations, made with cbor2 and `cryptography`, not with the code under test.

usage: python tests/vectors/make_live.py      (the file is committed; running it again gives the same bytes)

A row: `id`, `code`, `clock` (Unix seconds), `nonces` (what the gate asks now and asked just before), `expect` (`ok` or
the reason of the first check that fails), `note`. Issuer 44 signs with the Ed25519 seed 00 01 .. 1f, the holder with
02 03 .. 21. The window is 30 s.
"""

import json
from pathlib import Path

import cbor2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from make_hp1 import CLOCK, EXP, PERSON, SEED_STRANGER, base45, canonical, claims, signed

SEED_HOLDER = bytes(range(2, 34))
HOLDER = Ed25519PrivateKey.from_private_bytes(SEED_HOLDER).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
CNF = {1: {1: 1, -1: 6, -2: HOLDER}}
NONCE = b"40718265"
HEADER = canonical({1: -8})
IAT, ASKED, PASS = 6, 10, -70003


def message(content: object, **options: object) -> bytes:
    return cbor2.dumps(signed(canonical(content), **options))


BOUND = message(claims(cnf=CNF))
FULL = message(claims([*PERSON, 1988, "341X", "张*伟"], cnf=CNF))


def live(inner: object = BOUND, at: object = CLOCK, **more: object) -> dict:
    return {IAT: at, PASS: inner} | ({ASKED: more["nonce"]} if "nonce" in more else {})


def shown(content: object, seed: bytes = SEED_HOLDER, protected: bytes = HEADER) -> list:
    return signed(canonical(content), seed, protected)


def code(content: object, **options: object) -> str:
    return raw(cbor2.dumps(shown(content, **options)))


def raw(data: bytes) -> str:
    return "HL1:" + base45(data)


def rows() -> list[tuple[str, str, str, int, str]]:
    good, parts = code(live()), shown(live())
    bad = "credential.malformed"
    forged = message(claims(cnf=CNF), seed=SEED_STRANGER)
    stolen = {1: {1: 1, -1: 6, -2: bytes(range(32))}}
    return [
        ("person", good, "ok", CLOCK, "six elements, no nonce"),
        ("person-full", code(live(FULL)), "ok", CLOCK, "all optional elements"),
        ("nonce", code(live(nonce=NONCE)), "ok", CLOCK, "what the gate asks now"),
        ("nonce-before", code(live(nonce=b"00000001")), "ok", CLOCK, "what the gate asked just before"),
        ("nonce-any-clock", code(live(at=CLOCK - 9000, nonce=NONCE)), "ok", CLOCK, "the digits prove it, whatever the phone's clock"),
        ("thirty-behind", good, "ok", CLOCK + 30, "the last second of the window"),
        ("thirty-ahead", good, "ok", CLOCK - 30, "the phone's clock is ahead"),
        ("visitor", code(live(message(claims(cnf=CNF, kind=3)))), "ok", CLOCK, "a visitor's pass"),
        ("travel", code(live(message(claims([14, bytes(6), 9, [110000], b"abc"], kind=1, cnf=CNF)))), "ok", CLOCK, "a travel pass"),
        ("stale", good, "live.stale", CLOCK + 31, "a screenshot"),
        ("signed-for-later", good, "live.stale", CLOCK - 31, "signed ahead of time"),
        ("other-nonce", code(live(nonce=b"99999999")), "live.nonce", CLOCK, "another gate's, or an old one"),
        ("other-holder", code(live(), seed=SEED_STRANGER), "live.invalid", CLOCK, "somebody else's phone"),
        ("zero-signature", raw(cbor2.dumps([*parts[:3], bytes(64)])), "live.invalid", CLOCK, "no signature"),
        ("swapped-pass", raw(cbor2.dumps([parts[0], {}, canonical(live(FULL)), parts[3]])), "live.invalid", CLOCK, "another pass under the signature"),
        ("swapped-time", raw(cbor2.dumps([parts[0], {}, canonical(live(at=CLOCK + 1)), parts[3]])), "live.invalid", CLOCK, "another time under the signature"),
        ("rebound", code(live(message(claims(cnf=stolen)))), "live.invalid", CLOCK, "a pass bound to another key"),
        ("forged-pass", code(live(forged)), "signature.invalid", CLOCK, "an issuer's signature that does not hold"),
        ("expired-pass", code(live(at=EXP)), "time.expired", EXP, "a fresh proof keeps no pass alive"),
        ("revoked-pass", code(live(message(claims([0, 440106, bytes(6), 5, *PERSON[4:]], cnf=CNF)))), "status.revoked", CLOCK, "index 5"),
        ("unbound-pass", code(live(message(claims()))), bad, CLOCK, "no holder key to sign with"),
        ("pass-as-code", code(live("HP1:" + base45(BOUND))), bad, CLOCK, "the message, not its text"),
        ("pass-array", code(live(signed(canonical(claims(cnf=CNF))))), bad, CLOCK, "a byte string, not an array"),
        ("pass-cut", code(live(BOUND[:-1])), bad, CLOCK, "the pass is a byte short"),
        ("pass-longer", code(live(BOUND + b"\0")), bad, CLOCK, "bytes behind the pass"),
        ("pass-in-pass", code(live(cbor2.dumps(parts))), bad, CLOCK, "a presentation of a presentation"),
        ("kid", code(live(), protected=canonical({1: -8, 4: b"\x07"})), bad, CLOCK, "the key is the pass's, never named"),
        ("es256", code(live(), protected=canonical({1: -7})), bad, CLOCK, "EdDSA only"),
        ("crit", code(live(), protected=canonical({1: -8, 2: [1]})), bad, CLOCK, "crit is refused"),
        ("empty-header", code(live(), protected=b""), bad, CLOCK, "no algorithm"),
        ("unprotected", raw(cbor2.dumps([parts[0], {4: b"\x07"}, *parts[2:]])), bad, CLOCK, "unprotected header"),
        ("tagged", raw(cbor2.dumps(cbor2.CBORTag(18, parts))), bad, CLOCK, "untagged only"),
        ("trailing-byte", raw(cbor2.dumps(parts) + b"\0"), bad, CLOCK, "bytes behind the message"),
        ("short-signature", raw(cbor2.dumps([*parts[:3], parts[3][:63]])), bad, CLOCK, "63 bytes"),
        ("no-time", code({PASS: BOUND}), bad, CLOCK, "iat missing"),
        ("no-pass", code({IAT: CLOCK}), bad, CLOCK, "pass missing"),
        ("extra-claim", code(live() | {1: "44"}), bad, CLOCK, "iss is the pass's"),
        ("float-time", code(live(at=float(CLOCK))), bad, CLOCK, "no floats"),
        ("bool-time", code(live(at=True)), bad, CLOCK, "true is not 1"),
        ("negative-time", code(live(at=-1)), bad, CLOCK, "before 1970"),
        ("huge-time", code(live(at=2**60)), bad, CLOCK, "beyond any calendar"),
        ("nonce-7", code(live(nonce=b"4071826")), bad, CLOCK, "seven digits"),
        ("nonce-9", code(live(nonce=b"407182655")), bad, CLOCK, "nine digits"),
        ("nonce-letters", code(live(nonce=b"4071826A")), bad, CLOCK, "digits only"),
        ("nonce-text", code(live(nonce="40718265")), bad, CLOCK, "a byte string"),
        ("nonce-null", code(live(nonce=None)), bad, CLOCK, "a second form of none"),
        ("nonce-empty", code(live(nonce=b"")), bad, CLOCK, "a second form of none"),
        ("reordered", raw(cbor2.dumps(signed(cbor2.dumps({PASS: BOUND, IAT: CLOCK}), SEED_HOLDER, HEADER))), bad, CLOCK, "claims out of order"),
        ("lower-case", "hl1:" + good[4:], "credential.foreign", CLOCK, "the prefix is upper case"),
        ("as-pass", "HP1:" + good[4:], bad, CLOCK, "under the prefix of a pass"),
        ("pass-as-live", "HL1:" + base45(BOUND), bad, CLOCK, "a pass under the prefix of a presentation"),
        ("empty", "HL1:", bad, CLOCK, "nothing after the prefix"),
        ("newline-behind", good + "\n", bad, CLOCK, "no white space"),
        ("too-large", "HL1:" + "0" * 1500, "credential.too_large", CLOCK, "longer than any presentation"),
    ]  # fmt: skip


if __name__ == "__main__":
    lines = [
        json.dumps(
            {"id": i, "expect": e, "clock": c, "nonces": [NONCE.decode(), "00000001"], "note": n, "code": t},
            ensure_ascii=False,
        )
        for i, t, e, c, n in rows()
    ]
    Path(__file__).with_name("live.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
