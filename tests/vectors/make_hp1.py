"""Writes `hp1.jsonl`: vectors of the national pass, made with cbor2 and `cryptography`, not with the code under test.

usage: python tests/vectors/make_hp1.py      (the file is committed; running it again gives the same bytes)

A row: `id`, `code`, `clock` (Unix seconds), `expect` (`ok` or the reason of the first check that fails), `note`.
Issuer 44 signs with the Ed25519 seed 00 01 .. 1f, as the public profile vector does.
"""

import json
from pathlib import Path

import cbor2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
IAT, EXP = 1_795_000_000, 1_795_086_400
CLOCK = IAT + 3600
SEED_44 = bytes(range(32))
SEED_STRANGER = bytes(range(1, 33))
PERSON = [0, 440106, bytes(6), 7, "张", b"abc"]
HOLDER = {1: {1: 1, -1: 6, -2: bytes(range(32))}}


def base45(data: bytes) -> str:
    out = []
    for start in range(0, len(data), 2):
        part = data[start : start + 2]
        number = int.from_bytes(part, "big")
        for _ in range(3 if len(part) == 2 else 2):
            out.append(ALPHABET[number % 45])
            number //= 45
    return "".join(out)


def canonical(value: object) -> bytes:
    """RFC 8949 4.2.1 over integer keys: cbor2's `canonical` sorts by RFC 7049, which differs for negative keys."""
    if isinstance(value, dict):
        pairs = sorted((canonical(k), canonical(v)) for k, v in value.items())
        return bytes([0xA0 | len(pairs)]) + b"".join(k + v for k, v in pairs)
    if isinstance(value, list):
        head = cbor2.dumps([0] * len(value))[: -len(value) or None] if value else b"\x80"
        return head + b"".join(canonical(item) for item in value)
    return cbor2.dumps(value)


def signed(payload: bytes, seed: bytes = SEED_44, protected: bytes | None = None) -> list:
    protected = canonical({1: -8, 4: b"\x07"}) if protected is None else protected
    to_sign = cbor2.dumps(["Signature1", protected, b"", payload])
    return [protected, {}, payload, Ed25519PrivateKey.from_private_bytes(seed).sign(to_sign)]


def claims(body: object = PERSON, **changes: object) -> dict:
    names = {"iss": 1, "exp": 4, "iat": 6, "cnf": 8, "kind": -70002}
    content = {1: "44", 4: EXP, 6: IAT, -70001: body}
    for name, value in changes.items():
        key = names[name]
        if value is ...:
            del content[key]
        else:
            content[key] = value
    return content


def code(content: object, **options: object) -> str:
    return "HP1:" + base45(cbor2.dumps(signed(canonical(content), **options)))


def raw(message: bytes) -> str:
    return "HP1:" + base45(message)


def rows() -> list[tuple[str, str, str, int, str]]:
    good = code(claims())
    parts = signed(canonical(claims()))
    payload = parts[2]
    bad = "credential.malformed"
    return [
        ("person", good, "ok", CLOCK, "six elements"),
        ("person-full", code(claims([*PERSON, 1988, "341X", "张*伟"])), "ok", CLOCK, "all optional elements"),
        ("person-name-only", code(claims([*PERSON, None, None, "张*伟"])), "ok", CLOCK, "inner nulls"),
        ("person-birth-year", code(claims([*PERSON, 1988])), "ok", CLOCK, "seven elements"),
        ("person-live", code(claims(cnf=HOLDER)), "ok", CLOCK, "RFC 8747 holder key"),
        ("travel", code(claims([14, bytes(6), 9, [110000, 440100], b"abc"], kind=1)), "ok", CLOCK, "two regions"),
        ("travel-nowhere", code(claims([14, bytes(6), 9, [], b"abc"], kind=1)), "ok", CLOCK, "no region visited"),
        ("venue", code(claims([b"v1", 440106, "广州南站"], kind=2)), "ok", CLOCK, "venue"),
        ("visitor", code(claims(kind=3)), "ok", CLOCK, "visitor"),
        ("at-issue", good, "ok", IAT, "the first second"),
        ("at-leeway", good, "ok", IAT - 60, "clocks differ by a minute"),
        ("last-second", good, "ok", EXP - 1, "the last second"),
        ("expired", good, "time.expired", EXP, "exp is exclusive, RFC 8392 3.1.4"),
        ("long-expired", good, "time.expired", EXP + 10**8, "years later"),
        ("not-yet", good, "time.not_yet_valid", IAT - 61, "more than the leeway"),
        ("unknown-issuer", code(claims(iss="99")), "issuer.unknown", CLOCK, "nobody's"),
        ("unknown-key", code(claims(), protected=canonical({1: -8, 4: b"\x08"})), "key.unknown", CLOCK, "kid 08"),
        ("stranger", code(claims(), seed=SEED_STRANGER), "signature.invalid", CLOCK, "signed by another key"),
        ("es256", code(claims(), protected=canonical({1: -7, 4: b"\x07"})), "key.algorithm", CLOCK, "alg is not the key's"),
        ("zero-signature", raw(cbor2.dumps([*parts[:3], bytes(64)])), "signature.invalid", CLOCK, "no signature"),
        ("other-region", code(claims([0, 110101, *PERSON[2:]])), "key.region", CLOCK, "the key speaks for 44 only"),
        ("too-long-valid", code(claims(exp=IAT + 10**8)), "key.validity", CLOCK, "beyond the key's longest validity"),
        ("issued-before-key", code(claims(iat=1_500_000_000, exp=1_500_000_100)), "key.not_current", CLOCK, "too early"),
        ("revoked", code(claims([0, 440106, bytes(6), 5, *PERSON[4:]])), "status.revoked", CLOCK, "index 5"),
        ("suspended", code(claims([0, 440106, bytes(6), 6, *PERSON[4:]])), "status.suspended", CLOCK, "index 6"),
        ("lower-case", "hp1:" + good[4:], "credential.foreign", CLOCK, "the prefix is upper case"),
        ("empty", "HP1:", bad, CLOCK, "nothing after the prefix"),
        ("space-behind", good + " ", bad, CLOCK, "a space is base45 and changes the length"),
        ("newline-behind", good + "\n", bad, CLOCK, "no white space"),
        ("lower-base45", good[:10] + good[10:].lower(), bad, CLOCK, "alphabet"),
        ("overflow-base45", good[:4] + ":::" + good[7:], bad, CLOCK, "a group above 65535"),
        ("one-char-short", good[:-1], bad, CLOCK, "length 1 mod 3"),
        ("three-chars-short", good[:-3], bad, CLOCK, "cut"),
        ("too-large", "HP1:" + "0" * 1300, "credential.too_large", CLOCK, "longer than any pass"),
        ("trailing-byte", raw(cbor2.dumps(parts) + b"\x00"), bad, CLOCK, "bytes behind the message"),
        ("tagged", raw(cbor2.dumps(cbor2.CBORTag(18, parts))), bad, CLOCK, "untagged only"),
        ("five-parts", raw(cbor2.dumps([*parts, b""])), bad, CLOCK, "array of five"),
        ("three-parts", raw(cbor2.dumps(parts[:3])), bad, CLOCK, "array of three"),
        ("map-message", raw(cbor2.dumps({0: 1})), bad, CLOCK, "not an array"),
        ("unprotected-kid", raw(cbor2.dumps([parts[0], {4: b"\x07"}, *parts[2:]])), bad, CLOCK, "unprotected header"),
        ("detached", raw(cbor2.dumps([parts[0], {}, None, parts[3]])), bad, CLOCK, "payload absent"),
        ("short-signature", raw(cbor2.dumps([*parts[:3], parts[3][:63]])), bad, CLOCK, "63 bytes"),
        ("long-signature", raw(cbor2.dumps([*parts[:3], parts[3] + b"\0"])), bad, CLOCK, "65 bytes"),
        ("text-signature", raw(cbor2.dumps([*parts[:3], "s" * 64])), bad, CLOCK, "text"),
        ("crit", code(claims(), protected=canonical({1: -8, 2: [4], 4: b"\x07"})), bad, CLOCK, "crit is refused"),
        ("no-kid", code(claims(), protected=canonical({1: -8})), bad, CLOCK, "kid missing"),
        ("empty-kid", code(claims(), protected=canonical({1: -8, 4: b""})), bad, CLOCK, "kid of no bytes"),
        ("long-kid", code(claims(), protected=canonical({1: -8, 4: bytes(9)})), bad, CLOCK, "kid of nine bytes"),
        ("text-alg", code(claims(), protected=canonical({1: "EdDSA", 4: b"\x07"})), bad, CLOCK, "alg by name"),
        ("swapped-header", code(claims(), protected=b"\xa2\x04\x41\x07\x01\x27"), bad, CLOCK, "keys out of order"),
        ("indefinite-header", code(claims(), protected=b"\xbf\x01\x27\x04\x41\x07\xff"), bad, CLOCK, "indefinite"),
        ("empty-header", code(claims(), protected=b""), bad, CLOCK, "no protected header"),
        ("long-int", raw(cbor2.dumps([parts[0], {}, *parts[2:]]).replace(b"\x06\x1a", b"\x18\x06\x1a", 1)), bad, CLOCK, "non-minimal"),
        ("duplicate-exp", raw(cbor2.dumps(signed(b"\xa5" + payload[1:5] + canonical(4) + canonical(EXP) + payload[5:]))), bad, CLOCK, "twice"),
        ("reordered", raw(cbor2.dumps(signed(cbor2.dumps({4: EXP, 1: "44", 6: IAT, -70001: PERSON})))), bad, CLOCK, "claims out of order"),
        ("indefinite-claims", raw(cbor2.dumps(signed(b"\xbf" + payload[1:] + b"\xff"))), bad, CLOCK, "indefinite map"),
        ("payload-trailing", raw(cbor2.dumps(signed(payload + b"\xf6"))), bad, CLOCK, "bytes behind the claims"),
        ("array-claims", raw(cbor2.dumps(signed(canonical([1, 2])))), bad, CLOCK, "claims are a map"),
        ("float-exp", code(claims(exp=float(EXP))), bad, CLOCK, "no floats"),
        ("text-exp", code(claims(exp=str(EXP))), bad, CLOCK, "no texts as times"),
        ("negative-iat", code(claims(iat=-1)), bad, CLOCK, "before 1970"),
        ("huge-exp", code(claims(exp=2**60)), bad, CLOCK, "beyond any calendar"),
        ("bignum-exp", code(claims(exp=2**70)), bad, CLOCK, "tag 2"),
        ("exp-before-iat", code(claims(exp=IAT - 1)), bad, CLOCK, "ends before it begins"),
        ("exp-is-iat", code(claims(exp=IAT)), bad, CLOCK, "never valid"),
        ("bool-iat", code(claims(iat=True)), bad, CLOCK, "true is not 1"),
        ("no-iss", code(claims(iss=...)), bad, CLOCK, "issuer missing"),
        ("empty-iss", code(claims(iss="")), bad, CLOCK, "issuer empty"),
        ("long-iss", code(claims(iss="4" * 17)), bad, CLOCK, "17 characters"),
        ("bytes-iss", code(claims(iss=b"44")), bad, CLOCK, "bytes"),
        ("upper-iss", code(claims(iss="NHC")), bad, CLOCK, "issuer ids are lower case"),
        ("no-exp", code(claims(exp=...)), bad, CLOCK, "expiry missing"),
        ("no-iat", code(claims(iat=...)), bad, CLOCK, "issue time missing"),
        ("extra-claim", code(claims() | {7: b"x"}), bad, CLOCK, "cti is not admitted"),
        ("kind-0", code(claims(kind=0)), bad, CLOCK, "person is said by absence"),
        ("kind-4", code(claims(kind=4)), bad, CLOCK, "no such kind"),
        ("kind-text", code(claims(kind="1")), bad, CLOCK, "text"),
        ("person-as-travel", code(claims(kind=1)), bad, CLOCK, "body of another kind"),
        ("venue-as-person", code(claims([b"v1", 440106, "广州南站"])), bad, CLOCK, "body of another kind"),
        ("five-elements", code(claims(PERSON[:5])), bad, CLOCK, "tag missing"),
        ("ten-elements", code(claims([*PERSON, 1988, "3416", "a", 1])), bad, CLOCK, "one too many"),
        ("trailing-null", code(claims([*PERSON, None])), bad, CLOCK, "a second form of six elements"),
        ("two-trailing-nulls", code(claims([*PERSON, 1988, None, None])), bad, CLOCK, "a second form of seven"),
        ("status-text", code(claims(["0", *PERSON[1:]])), bad, CLOCK, "status by name"),
        ("status-negative", code(claims([-1, *PERSON[1:]])), bad, CLOCK, "negative status"),
        ("status-huge", code(claims([65536, *PERSON[1:]])), bad, CLOCK, "17 bits"),
        ("status-bool", code(claims([False, *PERSON[1:]])), bad, CLOCK, "false is not green"),
        ("region-short", code(claims([0, 4401, *PERSON[2:]])), bad, CLOCK, "four digits"),
        ("region-long", code(claims([0, 4401060, *PERSON[2:]])), bad, CLOCK, "seven digits"),
        ("pseudonym-5", code(claims([0, 440106, bytes(5), *PERSON[3:]])), bad, CLOCK, "five bytes"),
        ("pseudonym-text", code(claims([0, 440106, "abcdef", *PERSON[3:]])), bad, CLOCK, "text"),
        ("index-33-bits", code(claims([0, 440106, bytes(6), 2**32, *PERSON[4:]])), bad, CLOCK, "beyond any list"),
        ("surname-empty", code(claims([*PERSON[:4], "", b"abc"])), bad, CLOCK, "no surname"),
        ("surname-control", code(claims([*PERSON[:4], "a\nb", b"abc"])), bad, CLOCK, "a line break"),
        ("surname-rtl", code(claims([*PERSON[:4], "\u202eab", b"abc"])), bad, CLOCK, "right-to-left override"),
        ("surname-long", code(claims([*PERSON[:4], "张" * 33, b"abc"])), bad, CLOCK, "99 bytes"),
        ("surname-bytes", code(claims([*PERSON[:4], b"Li", b"abc"])), bad, CLOCK, "bytes"),
        ("tag-4", code(claims([*PERSON[:5], b"abcd"])), bad, CLOCK, "four bytes"),
        ("birth-1500", code(claims([*PERSON, 1500])), bad, CLOCK, "no one is that old"),
        ("tail-5", code(claims([*PERSON, None, "34161"])), bad, CLOCK, "five characters"),
        ("tail-lower", code(claims([*PERSON, None, "341x"])), bad, CLOCK, "lower case"),
        ("days-0", code(claims([0, bytes(6), 9, [110000], b"abc"], kind=1)), bad, CLOCK, "no window"),
        ("visited-65", code(claims([14, bytes(6), 9, [110000] * 65, b"abc"], kind=1)), bad, CLOCK, "too many regions"),
        ("visited-text", code(claims([14, bytes(6), 9, ["110000"], b"abc"], kind=1)), bad, CLOCK, "texts"),
        ("visited-deep", code(claims([14, bytes(6), 9, [[110000]], b"abc"], kind=1)), bad, CLOCK, "nested"),
        ("venue-no-id", code(claims([b"", 440106, "x"], kind=2)), bad, CLOCK, "empty id"),
        ("venue-long-id", code(claims([bytes(17), 440106, "x"], kind=2)), bad, CLOCK, "17 bytes"),
        ("cnf-empty", code(claims(cnf={})), bad, CLOCK, "no key"),
        ("cnf-kid", code(claims(cnf={3: b"k"})), bad, CLOCK, "by reference"),
        ("cnf-p256", code(claims(cnf={1: {1: 2, -1: 1, -2: bytes(32)}})), bad, CLOCK, "another curve"),
        ("cnf-private", code(claims(cnf={1: {1: 1, -1: 6, -2: bytes(32), -4: bytes(32)}})), bad, CLOCK, "a private key"),
        ("cnf-short", code(claims(cnf={1: {1: 1, -1: 6, -2: bytes(31)}})), bad, CLOCK, "31 bytes"),
        ("deep", raw(b"\x81" * 200), bad, CLOCK, "nested 200 deep"),
        ("huge-array", raw(b"\x9a\xff\xff\xff\xff"), bad, CLOCK, "four billion elements announced"),
        ("huge-string", raw(b"\x84\x5a\xff\xff\xff\xff"), bad, CLOCK, "four gigabytes announced"),
        ("http-url", "https://example.com/HP1:ABC", "credential.foreign", CLOCK, "an address"),
        ("wifi", "WIFI:T:WPA;S:station;P:secret;;", "credential.foreign", CLOCK, "a network"),
    ]  # fmt: skip


if __name__ == "__main__":
    lines = [
        json.dumps({"id": i, "expect": e, "clock": c, "note": n, "code": t}, ensure_ascii=False)
        for i, t, e, c, n in rows()
    ]
    Path(__file__).with_name("hp1.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
