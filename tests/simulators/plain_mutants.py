"""Mutants of codes that are no CBOR: parts of text, bytes, numbers, lists and members, changed and put together again.

A code is taken apart into plain data (JSON as it reads, fields of a message, a signature beside them); a change is made
somewhere within, and the format's own notation is written around it, so that it gets behind the first check. What can
no longer be written is changed in its bytes. Deterministic by seed.
"""

import base64
import gzip
import json
import random
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from edge.credentials import aadhaar, shc, vdsnc
from tests.simulators import codes, seals, tickets
from tests.simulators import shc as cards
from tests.simulators import vc as statements
from tests.unit import test_aadhaar, test_twoddoc

_NUMBERS = (-1, 0, 1, 255, 65536, 2**31, 2**32, 2**53, 2**63, 2**64 - 1, 1.5, 1e300)
_TEXTS = ("", "0", "=HYPERLINK(1)", "\u202e", "王", "\0", "A" * 300)
_BYTES = (b"", b"\0", b"\xff", b"\x1d", b"\x1f", b"\x30\x00", bytes(64))
_UNWRITTEN = (TypeError, ValueError, OverflowError, LookupError, AttributeError)


@dataclass(frozen=True, slots=True)
class Apart:
    """A code that is accepted, in parts.

    Attributes:
        code: The code.
        parts: Plain data: dicts, lists, texts, bytes, numbers, None.
        closed: Writes parts as a code; of what it cannot write it may raise whatever Python does.
    """

    code: bytes
    parts: Any
    closed: Callable[[Any], bytes]


class PlainMutator:
    """Makes mutants of one code, without end.

    Args:
        original: What is changed.
        seed: Of the changes.
    """

    def __init__(self, original: Apart, seed: int) -> None:
        self._original = original
        self._random = random.Random(seed)

    def next(self) -> bytes:
        """Return the next mutant; by chance it may be the original again."""
        chance, original = self._random, self._original
        if chance.random() < 0.15:
            return self._in_bytes(original.code)
        parts = [deepcopy(original.parts)]
        for _ in range(chance.choice((1, 1, 1, 2, 3))):
            self._change(parts)
        try:
            return original.closed(parts[0])
        except _UNWRITTEN:
            return self._in_bytes(original.code)

    def _change(self, parts: list[Any]) -> None:
        chance = self._random
        holder, place = chance.choice(list(_places(parts)))
        way = chance.randrange(6)
        if way < 3:
            holder[place] = self._other(holder[place])
        elif way == 3:
            other, at = chance.choice(list(_places(parts)))
            holder[place] = deepcopy(other[at])
        elif isinstance(holder, dict):
            value = holder.pop(place)
            if way == 4:
                holder[chance.choice((f"{place}x", "x"))] = value
        elif holder is not parts:
            # Dropped, or doubled.
            holder[place : place + 1] = [] if way == 4 else [holder[place], deepcopy(holder[place])]

    def _other(self, value: Any) -> Any:
        chance = self._random
        if chance.random() < 0.1:
            return chance.choice((None, True, [value], {"x": value}, 0, "", b""))
        if isinstance(value, bytes):
            return chance.choice((self._in_bytes(value), chance.choice(_BYTES), value + value))
        if isinstance(value, str):
            at = chance.randrange(len(value) + 1)
            put = chance.choice(_TEXTS)
            return chance.choice((value[:at], value[at:], value[:at] + put + value[at:], put, value.swapcase()))
        if isinstance(value, int | float):
            return chance.choice((*_NUMBERS, value + 1, value - 1))
        if isinstance(value, list):
            return chance.sample(value, len(value))
        return dict(reversed(value.items())) if isinstance(value, dict) else 0

    def _in_bytes(self, data: bytes) -> bytes:
        chance = self._random
        at = chance.randrange(len(data) + 1)
        byte = bytes((chance.randrange(256),))
        flipped = bytes((data[at] ^ 1 << chance.randrange(8),)) if at < len(data) else b""
        return chance.choice(
            (
                *(data[:at] + byte + data[at + 1 :], data[:at] + flipped + data[at + 1 :], data[:at], data[at:]),
                *(data[:at] + data[at + 1 :], data[:at] + byte + data[at:], data + byte, data[at:] + data[:at]),
            )
        )


def _places(holder: Any) -> Any:
    """Every place within plain data, as its container and its name there."""
    for place, value in holder.items() if isinstance(holder, dict) else enumerate(holder):
        yield holder, place
        if isinstance(value, dict | list):
            yield from _places(value)


def card() -> Apart:
    """Return a SMART Health Card: header, claims, signature."""
    code = codes.CODES["shc"].code
    digits = code[len(shc.PREFIX) :]
    jws = bytes(int(digits[at : at + 2]) + shc.FIRST for at in range(0, len(digits), 2))
    signature = base64.urlsafe_b64decode(jws.rpartition(b".")[2] + b"==")

    def closed(parts: Any) -> bytes:
        head, claims, proof = parts
        text = cards.b64(cards.packed(head)) + b"." + cards.b64(cards.deflated(cards.packed(claims)))
        return cards.shc_code(text + b"." + cards.b64(proof))

    return Apart(code, [dict(cards.HEADER), cards.shc_claims(), signature], closed)


def seal() -> Apart:
    """Return an ICAO seal: its data, what is said of the signature, the signature, the certificate."""
    code = codes.CODES["vdsnc"].code
    read: Any = json.loads(code)
    der, proof = seals.certificate(), vdsnc.FORMAT.parse(code).signature

    def closed(parts: Any) -> bytes:
        data, said, signature, certificate = parts
        texts = {name: base64.urlsafe_b64encode(raw).decode() for name, raw in (("sigvl", signature),)}
        texts["cer"] = base64.urlsafe_b64encode(certificate).decode()
        return json.dumps({"data": data, "sig": {**said, **texts}}, ensure_ascii=False).encode()

    # The country signs anew every time: the code is made with this very certificate.
    own = [read["data"], {"alg": "ES256"}, proof, der]
    return Apart(closed(own), own, closed)


def statement() -> Apart:
    """Return an SD-JWT: header, claims, signature, what is disclosed."""
    code = codes.CODES["vc"].code
    token, *shown, _ = code.decode().split("~")
    own = [statements.disclosure(f"salt{number}", *pair) for number, pair in enumerate(statements.NAMES.items())]
    signature = base64.urlsafe_b64decode(token.rpartition(".")[2] + "==")

    def closed(parts: Any) -> bytes:
        header, claims, proof, disclosed = parts
        said = [statements.b64(statements.text(one)) for one in (header, claims)]
        return "~".join((".".join((*said, statements.b64(proof))), *disclosed, "")).encode()

    return Apart(code, [dict(statements.HEADER), statements.vct_claims(own), signature, shown], closed)


def ticket() -> Apart:
    """Return a ticket: fields of its message, signature, version."""
    signature = tickets.EVENT.sign(tickets.message(*tickets.TICKET)).signature

    def closed(parts: Any) -> bytes:
        fields, proof, version = parts
        # None would ask the event to sign.
        return tickets.ticket_code(tickets.message(*fields), b"" + proof, version=version)

    return Apart(codes.CODES["pretix"].code, [[list(one) for one in tickets.TICKET], signature, 1], closed)


def document() -> Apart:
    """Return a 2D-DOC: header and fields between separators, signature."""
    code = codes.CODES["twoddoc"].code
    signed, _, text = code.partition(b"\x1f")
    signature = base64.b32decode(text + b"=" * (-len(text) % 8))
    head = len(test_twoddoc.header())

    def closed(parts: Any) -> bytes:
        header, fields, proof = parts
        # None would ask the issuer to sign.
        return test_twoddoc.code(header + b"\x1d".join(fields), b"" + proof)

    return Apart(code, [signed[:head], signed[head:].split(b"\x1d"), signature], closed)


def identity() -> Apart:
    """Return an Aadhaar code: fields, signature."""
    code = codes.CODES["aadhaar"].code
    signature = aadhaar.FORMAT.parse(code).signature

    def closed(parts: Any) -> bytes:
        fields, proof = parts
        return test_aadhaar.number(gzip.compress(b"\xff".join(fields) + proof, 1, mtime=0))

    return Apart(code, [test_aadhaar.content().split(b"\xff"), signature], closed)


ORIGINALS: dict[str, Callable[[], Apart]] = {
    "shc": card,
    "vdsnc": seal,
    "vc": statement,
    "pretix": ticket,
    "twoddoc": document,
    "aadhaar": identity,
}
"""By format."""
