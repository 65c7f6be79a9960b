"""The device key and the enrolment of a gate, as files of its state folder.

`device.key` holds the Ed25519 seed, 32 raw bytes; `enrolment.json` what the hub answered. Both have mode 0600. Talking
to a hub is left to `edge.provision`.
"""

import contextlib
import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from nacl.signing import SigningKey

from edge.codec.ed25519 import refuse_weak_point
from edge.disk import durable
from edge.errors import EncodingRefused, EnrolmentError
from edge.ledger import device

KEY_FILE: Final = "device.key"
ENROLMENT_FILE: Final = "enrolment.json"
SCHEMA: Final = 1
_SEED_BYTES: Final = 32
_MAX_ENROLMENT: Final = 64 * 1024
_MODE: Final = 0o600


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What makes a device one of a hub's gates.

    Attributes:
        gate: Gate id, 16 bytes.
        site: Site name.
        lane: Lane name.
        region: GB/T 2260 code, six digits.
        hub_url: Address of the hub.
        hub_keys: The hub's receipt keys by key id (hex).
        trust_url: Address of the trust publication or a mirror.
        heartbeat_s: Seconds between heartbeats to begin with.
        enrolled_at: Unix seconds by the hub's clock.
    """

    gate: bytes
    site: str
    lane: str
    region: str
    hub_url: str
    hub_keys: dict[str, bytes]
    trust_url: str
    heartbeat_s: int
    enrolled_at: int


def make_identity(state: Path) -> SigningKey:
    """Make the device key if there is none, and return it; an existing one is never replaced.

    Raises:
        EnrolmentError: The folder cannot be written, or the existing key is damaged.
    """
    if not (state / KEY_FILE).exists():
        staged = state / f".{KEY_FILE}-{secrets.token_hex(8)}"
        try:
            state.mkdir(mode=0o700, parents=True, exist_ok=True)
            durable.write(staged, SigningKey.generate().encode(), mode=_MODE)
            # A link, unlike a rename, never replaces: of two who make a key at once, the second takes the first's.
            with contextlib.suppress(FileExistsError):
                (state / KEY_FILE).hardlink_to(staged)
            staged.unlink()
            durable.sync_folder(state)
        except OSError as error:
            raise EnrolmentError(
                f"The device key cannot be written to {state}: {error.strerror}.", "Run as the gate's user (edge)."
            ) from error
    return load_identity(state)


def load_identity(state: Path) -> SigningKey:
    """Return the device key.

    Raises:
        EnrolmentError: There is none, it cannot be read or it is damaged.
    """
    path = state / KEY_FILE
    try:
        seed = path.read_bytes()
    except FileNotFoundError:
        raise EnrolmentError(f"This gate has no device key yet ({path}).", "Run: edge provision init") from None
    except OSError as error:
        raise EnrolmentError(f"{path} cannot be read: {error.strerror}.", "Run as the gate's user (edge).") from error
    if len(seed) != _SEED_BYTES:
        raise EnrolmentError(
            f"The device key {path} is damaged.",
            "Move it away, run `edge provision init` and enrol this gate again; its log keeps its scans.",
        )
    return SigningKey(seed)


def gate_id(state: Path) -> str:
    """Return the gate's id (hex), empty before it has a readable key."""
    try:
        return device.gate_id(load_identity(state).verify_key.encode()).hex()
    except EnrolmentError:
        return ""


def save_enrolment(state: Path, enrolment: Enrolment) -> None:
    """Write the enrolment durably.

    Raises:
        OSError: The disk is full or read-only; the old enrolment stands.
    """
    document = {
        "schema": SCHEMA,
        "gate": enrolment.gate.hex(),
        "site": enrolment.site,
        "lane": enrolment.lane,
        "region": enrolment.region,
        "hub_url": enrolment.hub_url,
        "hub_keys": {name: key.hex() for name, key in enrolment.hub_keys.items()},
        "trust_url": enrolment.trust_url,
        "heartbeat_s": enrolment.heartbeat_s,
        "enrolled_at": enrolment.enrolled_at,
    }
    durable.write(state / ENROLMENT_FILE, json.dumps(document, ensure_ascii=False, indent=1).encode(), mode=_MODE)


def load_enrolment(state: Path) -> Enrolment | None:
    """Return the enrolment, or None where this gate is not enrolled yet.

    Raises:
        EnrolmentError: The file cannot be read or is damaged.
    """
    path = state / ENROLMENT_FILE
    try:
        content = path.read_bytes()[:_MAX_ENROLMENT]
    except FileNotFoundError:
        return None
    except OSError as error:
        raise EnrolmentError(f"{path} cannot be read: {error.strerror}.", "Run as the gate's user (edge).") from error
    try:
        return _enrolment(json.loads(content))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, EncodingRefused) as error:
        raise EnrolmentError(
            f"The enrolment {path} is damaged.",
            "Move it away and enrol this gate again: edge provision enroll CODE; its log keeps its scans.",
        ) from error


def _enrolment(document: Any) -> Enrolment:
    if document["schema"] != SCHEMA:
        raise ValueError("another schema")
    keys = {str(name): _bytes(key, 32) for name, key in document["hub_keys"].items()}
    for name, key in keys.items():
        refuse_weak_point(key)
        if device.key_id(key).hex() != name:
            raise ValueError("a hub key does not have its own name")
    return Enrolment(
        gate=_bytes(document["gate"], 16),
        site=str(document["site"]),
        lane=str(document["lane"]),
        region=f"{int(document['region']):06d}",
        hub_url=str(document["hub_url"]),
        hub_keys=keys,
        trust_url=str(document["trust_url"]),
        heartbeat_s=int(document["heartbeat_s"]),
        enrolled_at=int(document["enrolled_at"]),
    )


def _bytes(value: str, size: int) -> bytes:
    decoded = bytes.fromhex(value)
    if len(decoded) != size:
        raise ValueError("a field has another length")
    return decoded
