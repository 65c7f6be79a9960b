"""Writes `batches.jsonl`: batches of both versions, made with cbor2 and `cryptography`, not with the code under test.

usage: python tests/vectors/make_batches.py      (the file is committed; running it again gives the same bytes)

A row: `id`, `note`, `version`, `public` (device key), `wire`, `header` and `entries` (sequence number, body, head, token,
sealed; null where withheld). Everything binary is hexadecimal. The device signs with the Ed25519 seed of 32 bytes 01.
Both parts are zstd 1.5.7 frames; another zstd may write other bytes, and every zstd reads these.
"""

import itertools
import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import cbor2
import zstandard
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

KEY = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)
PUBLIC = KEY.public_key().public_bytes_raw()
DICTIONARY = Path(__file__).parents[2] / "edge" / "ledger" / "data" / "facts-1.zdict"
START = 1_795_000_000_000
TRUST = sha256(b"snapshot").digest()
TOKEN = bytes.fromhex("a1b2c3d4e5f60718")

Fields = dict[int, Any]


def canonical(value: object) -> bytes:
    """RFC 8949 4.2.1; cbor2's `canonical` agrees with it where the keys of a map are small unsigned integers."""
    return cbor2.dumps(value, canonical=True)


def signed(header: Fields) -> bytes:
    """Return an untagged COSE_Sign1 (RFC 9052, 4.2)."""
    protected = cbor2.dumps({1: -8, 4: sha256(PUBLIC).digest()[:8]})
    payload = canonical(header | {0: "batch"})
    signature = KEY.sign(cbor2.dumps(["Signature1", protected, b"", payload]))
    return cbor2.dumps([protected, {}, payload, signature])


def leb128(numbers: list[int]) -> bytes:
    out = b""
    for left in numbers:
        number = left
        while number >= 128:
            out, number = out + bytes([number % 128 + 128]), number // 128
        out += bytes([number])
    return out


def runs(versions: list[tuple[int, int]]) -> list[int]:
    found: list[list[int]] = []
    for pair in versions:
        if found and tuple(found[-1][:2]) == pair:
            found[-1][2] += 1
        else:
            found.append([*pair, 1])
    return [number for run in found for number in run][:-1]


def columns(bodies: list[Fields | bytes]) -> bytes:
    """Return the facts part's content, version 2; a body given as bytes is carried whole."""
    templates: list[Any] = []
    order, times, durations, versions = [], [], [], []
    for body in bodies:
        if isinstance(body, bytes):
            template: Any = [body]
        else:
            template = canonical({key: value for key, value in body.items() if key not in {2, 11, 12, 13}})
            times.append(body[2])
            durations.append(body.get(13, 0))
            versions.append((body.get(11, 0), body.get(12, 0)))
        if template not in templates:
            templates.append(template)
        order.append(templates.index(template))
    steps = [after - before for before, after in itertools.pairwise(times)]
    zigzag = [2 * step if step >= 0 else -2 * step - 1 for step in steps]
    return canonical([templates, leb128(order), leb128(times[:1] + zigzag), leb128(durations), runs(versions)])


def private(rows: list[tuple[bytes | None, bytes | None]]) -> bytes:
    """Return the private part's content, version 2."""
    there = [token is not None for token, _ in rows]
    size = (len(rows) + 7) // 8
    bits = sum(1 << 8 * size - 1 - row for row, is_there in enumerate(there) if is_there)
    tokens = b"".join(token for token, _ in rows if token is not None)
    sealed = {row: field for row, (_, field) in enumerate(rows) if field is not None}
    return canonical([None if all(there) else bits.to_bytes(size, "big"), tokens, sealed])


def part(content: bytes) -> bytes:
    """Return content in the shortest of its three forms."""
    settings = zstandard.ZstdCompressionParameters.from_level(
        19, source_size=len(content), write_content_size=True, write_dict_id=False
    )
    trained = zstandard.ZstdCompressionDict(DICTIONARY.read_bytes(), dict_type=zstandard.DICT_TYPE_FULLDICT)
    frames = [
        zstandard.ZstdCompressor(compression_params=settings, dict_data=used).compress(content)[4:]
        for used in (None, trained)
    ]
    return min(b"\x00" + content, b"\x01" + frames[0], b"\x02" + frames[1], key=len)


def row(name: str, note: str, version: int, bodies: list[Fields | bytes], hidden: list[Any], gone: str = "") -> str:
    """Return one line of the file."""
    encoded = [body if isinstance(body, bytes) else canonical(body) for body in bodies]
    first, epoch = 123_457, b"epoch-01"
    previous = head = sha256(b"before").digest()
    entries = []
    for seq, (body, (token, sealed)) in enumerate(zip(encoded, hidden, strict=True), first):
        head = sha256(head + body).digest()
        entries.append([seq, body, head, token, sealed])
    header: Fields = {1: version, 2: sha256(PUBLIC).digest()[:16], 3: epoch, 4: first}
    header |= {6: previous, 7: head, 8: TRUST, 9: [11423, 12]}
    if version == 1:
        packer = zstandard.ZstdCompressor(level=3, write_content_size=True)
        parts = [packer.compress(canonical(encoded)), packer.compress(canonical([list(pair) for pair in hidden]))]
        header |= {5: first + len(bodies) - 1, 10: sha256(parts[0]).digest(), 11: sha256(parts[1]).digest()}
    else:
        parts = [part(columns(bodies)), part(private(hidden))]
        hashes = [sha256(one).digest() for one in parts]
        header |= {12: len(bodies), 13: sha256(hashes[0] + hashes[1]).digest()}
    message = signed(header)
    stub = [b"" if version == 1 else b"\xff" + sha256(one).digest() for one in parts]
    if gone:
        parts[1] = stub[1]
        entries = [[*entry[:3], None, None] for entry in entries]
    if gone == "facts":
        parts[0], entries = stub[0], []
    return json.dumps(
        {
            "id": name,
            "note": note,
            "version": version,
            "public": PUBLIC.hex(),
            "wire": cbor2.dumps([message, *parts]).hex(),
            "header": {
                "gate": header[2].hex(),
                "epoch": epoch.hex(),
                "first": first,
                "last": first + len(bodies) - 1,
                "previous_head": previous.hex(),
                "head": head.hex(),
                "trust_digest": TRUST.hex(),
                "trust_versions": header[9],
            },
            "entries": [[value.hex() if isinstance(value, bytes) else value for value in entry] for entry in entries],
            "gone": gone,
        }
    )


def scan(at: int, **other: Any) -> Fields:
    """Return an ordinary accept, with other fields as told: `f7="44"` is field 7."""
    changed = {int(name[1:]): value for name, value in other.items()}
    plain = {1: 1, 2: START + at, 4: 1, 5: "ok", 6: "hp1", 7: "44", 8: 0, 9: 0, 10: 440106, 11: 11423, 12: 12, 13: 31}
    return {key: value for key, value in (plain | changed).items() if value is not None}


def rows() -> list[str]:
    """Return every line of the file."""
    three: list[Fields | bytes] = [scan(0), scan(4211, f13=38), scan(9876, f4=3, f5="time.expired", f10=440103)]
    tokens = [(TOKEN, None), (TOKEN[::-1], None), (bytes(8), None)]
    mixed: list[Fields | bytes] = [
        scan(0),
        {1: 3, 2: START + 10, 12: 12, 15: 123_457, 16: "not_shown"},
        scan(-86_400_000, f3=4, f11=None, f12=None, f13=None),
        scan(5000, f11=11424, f17=1),
        {1: 2, 2: START + 9000, 4: 3, 5: "credential.foreign", 11: 11424, 12: 12, 13: 600_000, 14: 12},
    ]
    kept = [(TOKEN, None), (None, None), (TOKEN, b"sealed to the auditor"), (TOKEN[::-1], None), (None, b"\x00" * 100)]
    later: list[Fields | bytes] = [
        scan(0),
        canonical({1: 77, 2: START, 99: ["of a later release", {1: 2}]}),
        canonical({1: 78}),
        canonical({1: 1, 2: START, 13: 0}),
        b"no map at all",
        {1: 79, 2: START + 5, 30: b"\x01", 31: None, 32: True},
    ]
    many: list[Fields | bytes] = [
        scan(977 * n * n % 7919 + 4000 * n, f10=440100 + n % 7, f13=20 + 7 * n % 50, f11=11423 + n // 90)
        for n in range(200)
    ]
    drawn = [(sha256(b"%d" % n).digest()[:8], None) for n in range(200)]
    return [
        row("v1-three", "three scans", 1, three, tokens),
        row("v1-mixed", "no token, a sealed field, other types", 1, mixed, kept),
        row("v1-bare", "its private part destroyed", 1, three, tokens, "private"),
        row("v2-one", "one scan", 2, three[:1], tokens[:1]),
        row("v2-three", "three scans, the worked example of docs/formats.md", 2, three, tokens),
        row("v2-mixed", "no token, a sealed field, a clock set back, other types and versions", 2, mixed, kept),
        row("v2-later", "bodies of a later release, carried whole where they must be", 2, later, [(None, None)] * 6),
        row("v2-many", "200 scans", 2, many, drawn),
        row("v2-bare", "its private part destroyed", 2, three, tokens, "private"),
        row("v2-header", "both parts destroyed: what is left proves the heads", 2, three, tokens, "facts"),
    ]


if __name__ == "__main__":
    Path(__file__).with_name("batches.jsonl").write_text("\n".join(rows()) + "\n", encoding="utf-8")
