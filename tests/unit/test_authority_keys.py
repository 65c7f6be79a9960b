"""Key files: private, sealed by a passphrase where people keep them, bounded where strangers wrote them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from nacl.public import PrivateKey
from nacl.signing import SigningKey

from edge.authority import keys, sealed
from edge.authority.authority import Authority, init
from edge.authority.publish import publish
from edge.authority.sealed import Seal
from edge.errors import PublicationError
from tests.simulators.repository import NOW

PASSPHRASE = b"five random words of this test"


@pytest.fixture(scope="session")
def _sealed() -> bytes:
    return Seal.new(PASSPHRASE).close(SigningKey(bytes(range(32))))


@pytest.fixture
def file(_sealed: bytes, tmp_path: Path) -> Path:
    """A sealed key file."""
    place = tmp_path / "root-1.key"
    place.write_bytes(_sealed)
    place.chmod(0o600)
    return place


def test_a_sealed_key_opens_with_its_passphrase_alone(file: Path) -> None:
    """Another is refused, and so is none."""
    assert bytes(keys.load(file, lambda _: PASSPHRASE)) == bytes(range(32))
    with pytest.raises(PublicationError, match=r"passphrase of .* is wrong"):
        keys.load(file, lambda _: b"another passphrase")
    with pytest.raises(PublicationError, match="is sealed"):
        keys.load(file, None)


def test_a_sealed_key_shows_its_public_half_alone(file: Path) -> None:
    """Whoever finds the file learns which key it is, and no more."""
    data = file.read_bytes()

    assert sealed.public_of(data, "x") == bytes(SigningKey(bytes(range(32))).verify_key)
    assert bytes(range(32)).hex().encode() not in data


def test_an_auditors_key_is_sealed_too(tmp_path: Path) -> None:
    """X25519 comes back as X25519."""
    key = PrivateKey(bytes(range(1, 33)))
    keys.write(tmp_path / "auditor.key", key, Seal.new(PASSPHRASE))

    assert isinstance(keys.load(tmp_path / "auditor.key", lambda _: PASSPHRASE), PrivateKey)


def test_a_short_passphrase_is_refused() -> None:
    """The file may be copied and tried at leisure."""
    with pytest.raises(PublicationError, match="at least 10"):
        Seal.new(b"ninechars")


CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "too much memory": lambda m: m.update(memory=1 << 40),
    "too many rounds": lambda m: m.update(ops=1 << 20),
    "another kind": lambda m: m.update(kind="x"),
    "another derivation": lambda m: m.update(kdf="pbkdf2"),
    "another algorithm": lambda m: m.update(algorithm="rsa"),
    "a short salt": lambda m: m.update(salt="00"),
    "a member more": lambda m: m.update(more=1),
    "a changed box": lambda m: m.update(box="00" * 72),
    "another public half": lambda m: m.update(public=bytes(SigningKey(bytes(32)).verify_key).hex()),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_a_changed_key_file_is_refused(file: Path, kind: str) -> None:
    """Parameters within bounds, halves that belong together."""
    members = json.loads(file.read_bytes())
    CHANGES[kind](members)
    file.write_text(json.dumps(members))

    with pytest.raises(PublicationError):
        keys.load(file, lambda _: PASSPHRASE)


@pytest.mark.parametrize("data", [b"", b"x" * 31, b"x" * 33, b"{", b"{" * 5000])
def test_what_is_no_key_is_named(tmp_path: Path, data: bytes) -> None:
    """File and next step."""
    place = tmp_path / "root-1.key"
    place.write_bytes(data)
    place.chmod(0o600)

    with pytest.raises(PublicationError, match="root-1"):
        keys.load(place, lambda _: PASSPHRASE)


def test_keys_of_people_are_sealed_and_those_of_machines_are_not(tmp_path: Path) -> None:
    """`init` with a passphrase; publishing asks for it only where a signature is needed."""
    authority = init(tmp_path / "a", NOW, passphrase=PASSPHRASE)
    asked: list[str] = []

    def ask(name: str) -> bytes:
        asked.append(name)
        return PASSPHRASE

    reopened = Authority.open(authority.folder)
    kept = {name: reopened.keys.is_sealed(name) for name in ("root-1", "targets-3", "snapshot", "timestamp", "auditor")}
    with pytest.raises(PublicationError, match="targets is signed by 0 of the 2"):
        publish(reopened, NOW)
    publish(reopened, NOW, passphrase=ask)
    publish(reopened, NOW + 1, passphrase=ask)

    assert kept == {"root-1": True, "targets-3": True, "snapshot": False, "timestamp": False, "auditor": True}
    assert asked == ["targets-1", "targets-2"]


def test_a_passphrase_that_is_too_short_makes_no_authority(tmp_path: Path) -> None:
    """Nothing is left behind."""
    with pytest.raises(PublicationError, match="at least 10"):
        init(tmp_path / "a", NOW, passphrase=b"short")

    assert not (tmp_path / "a").exists()
