"""The attacks every format must survive, one named test a row of the table, for a pass and for a live presentation.

The attacker may be an issuer's insider or a holder: whatever is made here is signed by genuine keys unless it says so.
"""

import zlib
from dataclasses import replace
from types import MappingProxyType

import pytest
from nacl.signing import SigningKey

from edge.authority.requests import request
from edge.codec import base45, cbor, cose
from edge.credentials import hl1, hp1
from edge.errors import PublicationError, TrustError
from edge.gate.events import Shown, verdict_event
from edge.kiosk.view import verdict_view
from edge.model.live import LiveRule
from edge.model.moment import ClockQuality
from edge.model.trust import EDDSA, ES256
from edge.policy.decide import Sighting
from edge.policy.examine import examine
from edge.trust import targets
from edge.trust.fields import Document
from tests.simulators import world
from tests.simulators.repository import key_row, keys_document
from tests.simulators.world import HOLDER, ISSUER_KEY, KEY, KID, NOW, TRUST, context, make_pass, shown_live

BOUND = make_pass(holder=HOLDER)
UNBOUND = make_pass()
CLAIMS = cbor.decode(cose.parse(base45.decode(BOUND[4:])).payload)
UNBOUND_CLAIMS = cbor.decode(cose.parse(base45.decode(UNBOUND[4:])).payload)
SMALL_ORDER = bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")
LARGEST = 4296


def signed(payload: bytes, key: SigningKey, protected: bytes) -> bytes:
    """Return a COSE_Sign1 over any payload."""
    return cose.assemble(protected, payload, key.sign(cose.to_be_signed(protected, payload)).signature)


def as_pass(payload: bytes, protected: bytes = cose.protected_header(KID)) -> bytes:
    """Return the code of a pass over any payload, signed by the issuer."""
    return hp1.PREFIX + base45.encode(signed(payload, KEY, protected))


def as_live(payload: bytes, protected: bytes = cose.protected_header(None)) -> bytes:
    """Return the code of a presentation over any payload, signed by the holder."""
    return hl1.PREFIX + base45.encode(signed(payload, HOLDER, protected))


def around(code: bytes) -> bytes:
    """Return the presentation of a pass that may be none."""
    return as_live(cbor.encode({hl1.IAT: NOW, hl1.PASS: base45.decode(code[4:])}))


def alone(code: bytes) -> bytes:
    """Return what is shown as a pass: a bound one alone is a copy, so the one without a holder stands for it."""
    return UNBOUND if code is BOUND else code


FORMS = {"hp1": (as_pass, alone), "hl1": (as_live, around)}
both = pytest.mark.parametrize(("made", "shown"), FORMS.values(), ids=FORMS)


def reason(code: bytes, **options: object) -> str:
    return str(examine(code, context(**options)).reason)


def test_both_forms_are_accepted_when_nothing_is_wrong():
    """So that what follows is refused for what was done to it."""
    assert [reason(alone(BOUND)), reason(around(BOUND)), reason(as_pass(cbor.encode(UNBOUND_CLAIMS)))] == ["ok"] * 3


@both
def test_decompression_bomb(made, shown):
    """Nothing is ever inflated, and what is longer than any pass is not even decoded."""
    assert reason(made(zlib.compress(cbor.encode(CLAIMS)))) == "credential.malformed"
    assert reason(made(zlib.compress(bytes(1 << 20)))) in {"credential.malformed", "credential.too_large"}
    assert reason(made(b"")[:4] + b"0" * (LARGEST - 4)) == "credential.too_large"


NESTED = b"\x81" * 40 + b"\x80"


@both
@pytest.mark.parametrize(
    "payload",
    [
        NESTED,
        b"\xa1\x01" + NESTED,
        b"\x9a\xff\xff\xff\xff",
        b"\xba\xff\xff\xff\xff",
        b"\x5a\xff\xff\xff\xff",
        b"\x7b" + b"\xff" * 8,
        b"\x9f\xff",
        b"\xbf\xff",
        b"\xc2\x41\x01",
        b"\xc3\x41\x01",
        b"\xc4\x82\x01\x01",
        b"\xc5\x82\x01\x01",
        b"\xd8\x1c\x80",
        b"\xd8\x1d\x00",
        b"\xd8\x23\x61a",
        b"\xf9\x3c\x00",
        b"\xfb" + bytes(8),
        b"\xf7",
    ],
    ids=bytes.hex,
)
def test_cbor_depth_counts_lengths_and_tags(made, shown, payload):
    """Nesting, announced sizes, indefinite lengths, tags 2 to 5, 28, 29, 35, floats and undefined."""
    assert reason(made(payload)) == "credential.malformed"


@both
@pytest.mark.parametrize(
    "spoil",
    [
        lambda good: good + b"\0",
        lambda good: good + good,
        lambda good: bytes((good[0] + 1,)) + good[1:] + good[1:3],
        lambda good: b"\xb8" + bytes((good[0] & 31,)) + good[1:],
        lambda good: good[:1] + b"\x18" + good[1:],
        lambda good: b"\xbf" + good[1:] + b"\xff",
    ],
    ids=["trailing byte", "twice", "duplicate key", "long map", "long key", "indefinite map"],
)
def test_duplicate_keys_trailing_bytes_non_minimal_integers(made, shown, spoil):
    """One byte string for every content, also where a genuine key has signed another."""
    live = {hl1.IAT: NOW, hl1.PASS: base45.decode(BOUND[4:])}
    good = cbor.encode(UNBOUND_CLAIMS if made is as_pass else live)

    assert reason(made(good)) == "ok"
    assert reason(made(spoil(good))) == "credential.malformed"


@both
def test_algorithm_confusion(made, shown):
    """The algorithm is the key record's: no header changes it, no key serves two."""
    confused = as_pass(cbor.encode(CLAIMS), cose.protected_header(KID, ES256))
    twofold = replace(TRUST, keys=MappingProxyType({("44", KID): (replace(ISSUER_KEY, algorithm=ES256),)}))

    assert reason(shown(confused)) == "key.algorithm"
    assert reason(shown(BOUND), trust=twofold) == "key.algorithm"
    assert (
        reason(as_live(cbor.encode({hl1.IAT: NOW, hl1.PASS: b""}), cbor.encode({1: ES256}))) == "credential.malformed"
    )


@both
def test_key_id_collision(made, shown):
    """Keys that share an id are tried, at most four of them, and never another issuer's."""
    others = [replace(ISSUER_KEY, public=SigningKey(bytes([n]) * 32).verify_key.encode()) for n in range(1, 6)]
    fourth = replace(TRUST, keys=MappingProxyType({("44", KID): (*others[:3], ISSUER_KEY)}))
    fifth = replace(TRUST, keys=MappingProxyType({("44", KID): (*others[:4], ISSUER_KEY)}))
    elsewhere = replace(TRUST, keys=MappingProxyType({("44", KID): tuple(others[:1]), ("11", KID): (ISSUER_KEY,)}))

    assert [reason(shown(BOUND), trust=trust) for trust in (fourth, fifth, elsewhere)] == [
        "ok",
        "signature.invalid",
        "signature.invalid",
    ]


@both
def test_kid_in_both_headers(made, shown):
    """The unprotected header is empty, so there is one key id or no pass."""
    message = base45.decode(shown(BOUND)[4:])
    at = message.index(b"\xa0")
    twice = message[:at] + cbor.encode({4: b"\x08"}) + message[at + 1 :]

    assert reason(shown(BOUND)[:4] + base45.encode(twice)) == "credential.malformed"


@both
def test_crit(made, shown):
    """No extension is critical to what is read: any `crit` is refused."""
    header = {1: EDDSA, 2: [4], 4: KID} if made is as_pass else {1: EDDSA, 2: [1]}

    assert reason(made(cbor.encode(CLAIMS), cbor.encode(header))) == "credential.malformed"


@both
def test_small_order_and_mixed_order_keys(made, shown):
    """Refused when published, when loaded, as a holder's key, and by the check itself."""
    with pytest.raises(TrustError, match="prime-order group"):
        targets.keys(Document(keys_document(key_row(SMALL_ORDER)), "keys"), "44")
    with pytest.raises(PublicationError, match="holder_key"):
        request({"issuer": "44", "holder_key": SMALL_ORDER.hex()}, NOW)
    weak = replace(TRUST, keys=MappingProxyType({("44", KID): (replace(ISSUER_KEY, public=SMALL_ORDER),)}))
    forged = hp1.PREFIX + base45.encode(base45.decode(BOUND[4:])[:-64] + SMALL_ORDER + bytes(32))

    assert reason(shown(forged), trust=weak) == "signature.invalid"


@both
@pytest.mark.parametrize("tail", [-1, 1])
def test_signature_twins_and_wrong_lengths(made, shown, tail):
    """Exactly 64 bytes; another signature over the same bytes is the same credential."""
    message = base45.decode(shown(BOUND)[4:])
    body, signature = message[:-66], message[-64:]
    other = signature[:tail] if tail < 0 else signature + bytes(tail)
    code = shown(BOUND)[:4] + base45.encode(body + cbor.encode(other))

    assert reason(code) == "credential.malformed"
    assert examine(around(BOUND), context()).presentation.identity == examine(BOUND, context()).presentation.identity


@both
def test_wrong_key_usage(made, shown):
    """A key for visitors signs nobody else's pass; one of another region speaks for its own."""
    for change, expected in (
        ({"kinds": frozenset({world.PassKind.VISITOR})}, "key.kind"),
        ({"regions": ("11",)}, "key.region"),
        ({"max_validity_s": 60}, "key.validity"),
        ({"not_after": ISSUER_KEY.not_before + 1}, "key.not_current"),
    ):
        trust = replace(TRUST, keys=MappingProxyType({("44", KID): (replace(ISSUER_KEY, **change),)}))
        assert reason(shown(BOUND), trust=trust) == expected


@both
@pytest.mark.parametrize(
    "value", [b"\xfb" + b"\x41" * 8, b"\x1b" + b"\xff" * 8, b"\x20", b"\xf5", b"\x61\x31", b"\xf6"]
)
def test_time_of_another_type_or_size(made, shown, value):
    """Floats, huge, negative, true, text, null in place of the issue time."""
    good = cbor.encode(UNBOUND_CLAIMS if made is as_pass else {hl1.IAT: NOW, hl1.PASS: base45.decode(BOUND[4:])})
    time = cbor.encode(CLAIMS[hp1.IAT] if made is as_pass else NOW)
    at = good.index(b"\x06" + time) + 1

    assert reason(made(good[:at] + value + good[at + len(time) :])) == "credential.malformed"


@both
def test_a_clock_that_was_set_back_or_far_ahead(made, shown):
    """Nobody is accepted by it whom the right time would refuse."""
    late = world.at(world.EXPIRES + 1)

    assert reason(shown(BOUND), moment=late) == "time.expired"
    assert reason(shown(BOUND), moment=world.at(NOW, ClockQuality.DOUBTFUL)) == "clock.doubtful"
    assert reason(shown(BOUND), moment=world.at(world.ISSUED - 3600)) == "time.not_yet_valid"


@both
@pytest.mark.parametrize("noise", [b"\n", b" ", b"=", b"\0", b"0", b"00"])
def test_lenient_base45(made, shown, noise):
    """The alphabet exactly, nothing around it, nothing skipped within."""
    code = shown(BOUND)

    for spoilt in (code + noise, code[:4] + noise + code[4:], code[:40] + noise + code[40:], noise + code):
        assert not examine(spoilt, context()).is_authentic
    assert reason(code.lower()) == "credential.foreign"


@both
def test_screenshot_replay(made, shown):
    """A copied pass, or presentation a minute later, is what the policy says; shown twice it is a repetition."""
    rule = LiveRule("44", frozenset({world.PassKind.PERSON}), "reject", "accept", nonce=False)
    strict = replace(TRUST, policy=replace(TRUST.policy, live=(rule,)))
    minute = world.at(NOW + 60)

    class JustSeen:
        def seen(self, identity, moment):
            return Sighting(5)

    assert reason(BOUND) == "live.missing", "taken out of the picture of a presentation"
    copied, expected = (BOUND, "live.missing") if made is as_pass else (around(BOUND), "live.stale")
    assert reason(copied, trust=strict, moment=minute) == expected
    assert reason(shown(BOUND), sightings=JustSeen()) == "repeat.recent"
    assert reason(shown_live(BOUND, NOW + 60), trust=strict, moment=minute) == "ok"


SHELLS = [
    "$(reboot)",
    "`id`",
    "'; DROP TABLE scan;--",
    '"><script>alert(1)</script>',
    "{{7*7}}",
    "=cmd|' /C calc'!A0",
    "%n%s",
]


@both
@pytest.mark.parametrize("text", SHELLS)
def test_text_that_reaches_a_shell_a_template_a_log_or_a_sheet(made, shown, text):
    """A signed name is shown as text and logged nowhere; an unsigned one is shown nowhere."""
    named = make_pass(world.person(name=text), holder=HOLDER)
    forged = make_pass(world.person(name=text), key=SigningKey(b"f" * 32), holder=HOLDER)
    event = Shown(1, recorded=True, at_ms=NOW * 1000, frame_to_verdict_ms=None, source=0, together=1)
    views = {}
    for what, code in (("signed", named), ("forged", forged)):
        told = verdict_event(examine(shown(code), context()), event, TRUST)
        views[what] = verdict_view(told, ident="1", gate="ab")

    assert views["signed"]["holder"]["name"] == text
    assert text not in str({**views["signed"], "holder": None})
    assert text not in str(views["forged"])


@pytest.mark.parametrize("text", ["a\nb", "\x1b[2J", "\u202egnp.exe", "\u2028", "\ufeff", "\x00"])
def test_text_that_steers_a_terminal_is_never_signed_in(text):
    """Control and bidirectional characters make a pass malformed, whoever signed it."""
    claims = {**CLAIMS, hp1.BODY: [*CLAIMS[hp1.BODY][:8], text]}

    assert reason(as_pass(cbor.encode(claims))) == "credential.malformed"
    assert reason(around(as_pass(cbor.encode(claims)))) == "credential.malformed"
