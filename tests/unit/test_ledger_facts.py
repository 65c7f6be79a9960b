"""The canonical bytes of an entry."""

from dataclasses import fields, replace
from typing import Any

import cbor2
import pytest

from edge.codec import cbor
from edge.errors import EncodingRefused
from edge.ledger import facts
from edge.model.scan import EntryType, Facts
from tests.simulators.ledger import START_MS, scan

FULL = Facts(
    EntryType.OVERRIDE,
    START_MS,
    quality=2,
    outcome=3,
    reason="staff.override",
    format="hp1",
    issuer="6101",
    kind=0,
    status=10,
    region=610100,
    trust_version=70_000,
    policy_version=300,
    duration_ms=1234,
    count=2,
    refers_to=5_000_000_000,
    note="supervisor_present",
    source=1,
)
LEAST = Facts(EntryType.NOTE, 0)


def plainly(stated: Facts) -> bytes:
    """Return the body as the table of docs/formats.md says it, made by another encoder."""
    default = Facts(EntryType.SCAN, -1)
    always = {"type", "at_ms"}
    content: dict[int, Any] = {
        key: value
        for name, key in facts.KEYS.items()
        if (value := getattr(stated, name)) != getattr(default, name) or name in always
    }
    content[1] = int(stated.type)
    return cbor2.dumps(content, canonical=True)


@pytest.mark.parametrize(
    "stated", [FULL, LEAST, scan(), replace(scan(), at_ms=2**32 - 1), replace(scan(), at_ms=2**32)]
)
def test_facts_are_the_canonical_map_of_what_differs_from_the_default(stated: Facts) -> None:
    """Another encoder of deterministic CBOR comes to the same bytes, and they decode to the same facts."""
    body = facts.encode(stated)

    assert body == plainly(stated)
    assert facts.decode(body) == stated


def test_every_field_has_a_number_and_no_number_is_used_twice() -> None:
    """A field that is added takes the next number (docs/formats.md)."""
    assert list(facts.KEYS) == [field.name for field in fields(Facts)]
    assert list(facts.KEYS.values()) == list(range(1, len(facts.KEYS) + 1))


def test_every_field_changes_the_bytes() -> None:
    """No field of an entry can be edited without its chain hash changing."""
    for name in facts.KEYS:
        old = getattr(FULL, name)
        other = EntryType.NOTE if name == "type" else old + ("x" if isinstance(old, str) else 1)

        assert facts.encode(replace(FULL, **{name: other})) != facts.encode(FULL), name


def test_equal_values_of_other_types_have_equal_bytes() -> None:
    """An enum's member, a boolean and a number that are equal are stored as the number."""
    assert facts.encode(replace(scan(), outcome=True, kind=False)) == facts.encode(replace(scan(), outcome=1, kind=0))


def test_keys_of_a_later_version_are_passed_over_and_stay_in_the_bytes() -> None:
    """A gate that is newer than the reader states more: the reader keeps the bytes and reads what it knows."""
    body = cbor.encode({**cbor.decode(facts.encode(scan())), 99: "later", 100: [1, 2]})

    assert facts.decode(body) == scan()


@pytest.mark.parametrize("name", ["at_ms", "duration_ms", "count", "region", "outcome"])
def test_a_negative_number_is_not_written(name: str) -> None:
    """No reader would take the entry: it would stand in the log and hold up every batch."""
    with pytest.raises(ValueError, match="negative"):
        facts.encode(replace(scan(), **{name: -1}))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x80",
        b"\x00",
        cbor.encode({2: 5}),
        cbor.encode({1: 1}),
        cbor.encode({1: 250, 2: 5}),
        cbor.encode({1: "1", 2: 5}),
        cbor.encode({1: True, 2: 5}),
        cbor.encode({1: 1, 2: -5}),
        cbor.encode({1: 1, 2: b"5"}),
        cbor.encode({1: 1, 2: 5, 5: 7}),
        cbor.encode({1: 1, 2: 5, 5: b"ok"}),
        cbor.encode({1: 1, 2: 5, 8: None}),
        cbor.encode({1: 1, 2: 5}) + b"\x00",
        cbor.encode({1: 1, 2: 5, 99: bytes(1100)}),
        b"\xa2\x02\x05\x01\x01",
        b"\xa2\x01\x01\x02\x18\x05",
        b"\xbf\x01\x01\x02\x05\xff",
    ],
)
def test_a_body_that_is_not_canonical_or_has_other_types_is_refused(body: bytes) -> None:
    """Short, long, unsorted, non-minimal, of another type or without its time."""
    with pytest.raises(EncodingRefused):
        facts.decode(body)
