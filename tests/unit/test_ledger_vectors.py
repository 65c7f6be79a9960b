"""The committed batches, made by another program: read exactly, and written again exactly."""

import json
from hashlib import sha256
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from edge.errors import BatchRefused
from edge.ledger import batch
from edge.ledger.batch import Cut
from edge.model.scan import Entry
from tests.simulators import former_gate
from tests.simulators.ledger import DEVICE

VECTORS = [
    json.loads(line)
    for line in (Path(__file__).parents[1] / "vectors" / "batches.jsonl").read_text(encoding="utf-8").splitlines()
]
WHOLE = [vector for vector in VECTORS if not vector["gone"]]


def named(vectors: list[dict[str, Any]]) -> Any:
    """Return a parametrisation by the rows' names."""
    return pytest.mark.parametrize("vector", vectors, ids=[vector["id"] for vector in vectors])


def binary(value: str | None) -> bytes | None:
    """Return what a row holds in hexadecimal."""
    return None if value is None else bytes.fromhex(value)


def entries(vector: dict[str, Any]) -> list[Entry]:
    """Return the entries of a row."""
    return [Entry(seq, *map(binary, rest)) for seq, *rest in vector["entries"]]  # type: ignore[arg-type]


@named(VECTORS)
def test_a_committed_header_is_read(vector: dict[str, Any]) -> None:
    """Every field, under the device's signature, also where parts were destroyed."""
    header = batch.open_header(bytes.fromhex(vector["wire"]), bytes.fromhex(vector["public"]))

    stated = {
        name: list(value) if isinstance(value, tuple) else value.hex() if isinstance(value, bytes) else value
        for name in vector["header"]
        for value in [getattr(header, name)]
    }
    assert vector["header"] == stated
    assert vector["version"] == header.version


@named([vector for vector in VECTORS if vector["gone"] != "facts"])
def test_committed_entries_are_read(vector: dict[str, Any]) -> None:
    """Every body, head, token and sealed field, byte for byte."""
    opened = batch.open_batch(bytes.fromhex(vector["wire"]), bytes.fromhex(vector["public"]))

    assert entries(vector) == list(opened.entries)


@named(WHOLE)
def test_a_committed_batch_is_written_again(vector: dict[str, Any]) -> None:
    """The same entries under the same key are the same bytes, in both versions."""
    header = vector["header"]
    cut = Cut(
        *(bytes.fromhex(header[name]) for name in ("gate", "epoch", "previous_head", "trust_digest")),
        tuple(header["trust_versions"]),
    )
    made = {1: former_gate.make, 2: batch.make}[vector["version"]](entries(vector), cut, DEVICE)

    assert vector["wire"] == made.hex()


@pytest.mark.parametrize(("whole", "bare"), [("v1-three", "v1-bare"), ("v2-three", "v2-bare")])
def test_a_destroyed_private_part_is_what_the_vectors_say(whole: str, bare: str) -> None:
    """An empty string in version 1, its hash in version 2; and nothing is left to destroy twice."""
    wires = {vector["id"]: bytes.fromhex(vector["wire"]) for vector in VECTORS}

    assert wires[bare] == batch.without_private(wires[whole]) == batch.without_private(wires[bare])
    assert batch.private_of(wires[bare]) == b""
    assert batch.private_of(wires[whole]) != b""


def test_a_batch_without_facts_proves_its_heads_and_says_no_more() -> None:
    """After the retention the signed header is left; asked for entries, it is refused."""
    wires = {vector["id"]: bytes.fromhex(vector["wire"]) for vector in VECTORS}
    public = bytes.fromhex(VECTORS[0]["public"])

    for whole in ("v1-three", "v2-three"):
        left = batch.without_facts(wires[whole])
        assert (batch.has_facts(wires[whole]), batch.has_facts(left)) == (True, False)
        assert batch.open_header(left, public) == batch.open_header(wires[whole], public)
        with pytest.raises(BatchRefused) as refused:
            batch.open_batch(left, public)
        assert refused.value.kind == "malformed"
    assert wires["v2-header"] == batch.without_facts(wires["v2-bare"])


def test_the_dictionary_is_never_changed() -> None:
    """Batches packed with it are kept for years: another dictionary is another file under another form byte."""
    content = resources.files("edge.ledger").joinpath("data", "facts-1.zdict").read_bytes()

    assert sha256(content).hexdigest() == "c80f2eb76e83587248b0f8a758fef95e5374f382d209815860afc8fcde0d0346"
