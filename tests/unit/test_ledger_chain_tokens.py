"""The hash chain, and the tokens that cannot be joined from one day to the next."""

from dataclasses import replace
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from edge.errors import LogDamaged
from edge.ledger import chain, tokens
from edge.ledger.tokens import DAY_MS, MAX_DAYS_AHEAD, DayKey
from tests.simulators.ledger import entries

SEED = DayKey(20_775, bytes(range(32)))


def test_a_head_is_the_hash_of_the_one_before_and_the_body() -> None:
    """From 32 zero bytes on; anybody with SHA-256 follows a log."""
    assert chain.next_head(chain.GENESIS, b"body") == sha256(bytes(32) + b"body").digest()


def test_a_whole_log_follows() -> None:
    """From the beginning, and from any place whose head is known."""
    log = entries(20)

    assert chain.follow(log, chain.GENESIS, first=1) == log[-1].head
    assert chain.follow(log[7:], log[6].head, first=8) == log[-1].head
    assert chain.follow([], log[6].head, first=8) == log[6].head


@pytest.mark.parametrize("missing", range(19))
def test_a_log_with_an_entry_missing_does_not_follow(missing: int) -> None:
    """Whichever it is; only the end can be cut, and that shows against a receipt."""
    log = entries(20)
    del log[missing]

    with pytest.raises(LogDamaged, match=f"entry {missing + 1} is missing"):
        chain.follow(log, chain.GENESIS, first=1)


@pytest.mark.parametrize("at", range(20))
def test_a_log_with_an_entry_changed_does_not_follow(at: int) -> None:
    """One bit of a body or a head, one number, two entries swapped, one repeated."""
    log = entries(20)
    entry = log[at]
    flipped = bytes([entry.body[0] ^ 1]) + entry.body[1:]
    other = log[(at + 1) % 20]
    for wrong in (
        replace(entry, body=flipped),
        replace(entry, head=bytes(32)),
        replace(entry, seq=entry.seq + 1),
        replace(other, seq=entry.seq),
        other,
    ):
        with pytest.raises(LogDamaged, match=f"entry {at + 1} "):
            chain.follow([*log[:at], wrong, *log[at + 1 :]], chain.GENESIS, first=1)


def test_a_log_from_another_place_does_not_follow() -> None:
    """Neither behind another head nor under other numbers."""
    log = entries(5)

    with pytest.raises(LogDamaged):
        chain.follow(log, bytes(31) + b"\x01", first=1)
    with pytest.raises(LogDamaged):
        chain.follow(log, chain.GENESIS, first=2)


def hkdf(secret: bytes) -> bytes:
    """Return the next day's key as another implementation of RFC 5869 makes it."""
    return HKDF(SHA256(), 32, salt=None, info=b"edge token day").derive(secret)


def test_the_next_day_s_key_is_hkdf_of_this_day_s() -> None:
    """As docs/formats.md says it, checked against another implementation."""
    assert tokens.advance(SEED, SEED.day + 1) == DayKey(SEED.day + 1, hkdf(SEED.key))
    assert tokens.advance(SEED, SEED.day + 3) == DayKey(SEED.day + 3, hkdf(hkdf(hkdf(SEED.key))))


@pytest.mark.parametrize(("first", "second"), [(1, 1), (1, 6), (30, 1), (0, 7), (365, 365)])
def test_an_offline_gate_comes_to_the_same_key(first: int, second: int) -> None:
    """Ratcheting day by day, or over weeks at once, leads to one key for a region."""
    stepwise = tokens.advance(tokens.advance(SEED, SEED.day + first), SEED.day + first + second)

    assert stepwise == tokens.advance(SEED, SEED.day + first + second)


def test_the_ratchet_does_not_turn_back() -> None:
    """From a later key an earlier day's cannot be had: a clock that jumps back goes on under the later one."""
    later = tokens.advance(SEED, SEED.day + 2)

    assert tokens.advance(later, SEED.day) == later
    assert tokens.advance(later, SEED.day + 2) == later


def test_a_clock_a_thousand_centuries_ahead_ends() -> None:
    """At most a hundred years are walked."""
    assert tokens.advance(SEED, 1 << 40).day == SEED.day + MAX_DAYS_AHEAD


def test_a_token_says_same_credential_same_day_and_nothing_else() -> None:
    """Equal for the same, different for another credential, another day, another region's seed."""
    identity = b"the signed bytes of one pass"
    tomorrow = tokens.advance(SEED, SEED.day + 1)
    elsewhere = DayKey(SEED.day, bytes(32))

    made = tokens.token(SEED, identity)

    assert len(made) == tokens.TOKEN_BYTES == 8
    assert made == tokens.token(SEED, identity)
    others = [tokens.token(SEED, identity + b"!"), tokens.token(tomorrow, identity), tokens.token(elsewhere, identity)]
    assert len({made, *others}) == 4


def test_a_thousand_days_of_one_pass_are_a_thousand_tokens() -> None:
    """No two days of one pass can be joined by their tokens."""
    key, seen = SEED, set()
    for day in range(1000):
        key = tokens.advance(key, SEED.day + day)
        seen.add(tokens.token(key, b"one pass"))

    assert len(seen) == 1000


@pytest.mark.parametrize(("unix_ms", "day"), [(0, 0), (DAY_MS - 1, 0), (DAY_MS, 1), (1_795_000_000_000, 20_775)])
def test_days_are_of_utc(unix_ms: int, day: int) -> None:
    """All gates of a region turn the key at the same moment."""
    assert tokens.day_of(unix_ms) == day
