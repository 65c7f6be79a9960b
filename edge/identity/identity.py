"""The device key and the enrolment of a gate, as files of its state folder, and whether they belong together.

`device.key` holds the Ed25519 seed, 32 raw bytes; `enrolment.json` what the hub answered. Both have mode 0600 and are
plain files. Talking to a hub is left to `edge.provision`; what a gate does without an identity to its parts.
"""

import contextlib
import errno
import json
import os
import secrets
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from nacl.signing import SigningKey

from edge.codec.ed25519 import refuse_weak_point
from edge.disk import durable
from edge.errors import EncodingRefused, EnrolmentError, IdentityBroken
from edge.ledger import device
from edge.model.finding import Finding, Severity

KEY_FILE: Final = "device.key"
ENROLMENT_FILE: Final = "enrolment.json"
SCHEMA: Final = 1
_SEED_BYTES: Final = 32
_MAX_ENROLMENT: Final = 64 * 1024
_MODE: Final = 0o600
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_MAX_REGION: Final = 999_999
_SHORT: Final = 8
_MALFORMED: Final = (
    *(ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError),
    EncodingRefused,
)
"""What reading a damaged enrolment may raise."""
_FINDINGS: Final = {
    "enrolment": "gate.enrolment_damaged",
    "key": "gate.key_damaged",
    "other_key": "gate.other_key",
}
_WAITS: Final = "Until then passes are checked and recorded, and nothing is sent."


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


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this gate is.

    Attributes:
        key: The device key.
        enrolment: What it was enrolled as; its gate id is that of the key.
    """

    key: SigningKey = field(repr=False)
    enrolment: Enrolment


def identify(state: Path) -> Identity | None:
    """Return who this gate is, or None where it is not enrolled yet.

    Raises:
        IdentityBroken: Key or enrolment is damaged, or they are not of one gate.
    """
    enrolment = load_enrolment(state)
    if enrolment is None:
        return None
    enrolled = enrolment.gate.hex()[:_SHORT]
    key = load_identity(state)
    found = device.gate_id(key.verify_key.encode())
    if found != enrolment.gate:
        raise IdentityBroken(
            f"The key in {state / KEY_FILE} is that of gate {found.hex()[:_SHORT]}, but {ENROLMENT_FILE} beside it was "
            f"made for gate {enrolled}.",
            f"Put the key of gate {enrolled} back, or make a new gate of it: edge provision enroll CODE. {_WAITS}",
            cause="other_key",
            ids={"key": found.hex()[:_SHORT], "enrolled": enrolled},
        )
    return Identity(key, enrolment)


def finding_of(broken: IdentityBroken) -> Finding:
    """Return what staff and technicians are shown of it."""
    return Finding(_FINDINGS[broken.cause], Severity.DAMAGE, {**broken.ids})


def files_stamp(state: Path) -> tuple[object, ...]:
    """Return what changes when the gate gets another key or enrolment."""
    found: list[object] = []
    for name in (KEY_FILE, ENROLMENT_FILE):
        with contextlib.suppress(OSError):
            status = (state / name).stat(follow_symlinks=False)
            found += [status.st_ino, status.st_mtime_ns, status.st_size, status.st_mode, status.st_uid]
    return tuple(found)


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
        IdentityBroken: There is none, it cannot be read, others can read it, or it is damaged.
    """
    path = state / KEY_FILE
    try:
        seed, mode = _content(path, _SEED_BYTES + 1)
    except FileNotFoundError:
        raise _no_key(f"This gate has no device key ({path}).", "Run: edge provision init") from None
    except OSError as error:
        raise _no_key(f"The device key {path} cannot be read: {_said(error)}.", _fix(path, error)) from error
    if mode & _OTHERS:
        # Whoever can read it can sign scans in this gate's name.
        raise _no_key(f"The device key {path} can be read by others.", f"Run: sudo chmod 600 {path}")
    # A torn write leaves zeros, an erased card ones: as seeds they are everybody's.
    if len(seed) != _SEED_BYTES or len(set(seed)) == 1:
        raise _no_key(
            f"The device key {path} is damaged.",
            "Put it back from a copy, or move it away, run `edge provision init` and enrol this gate again; "
            "its log keeps its scans.",
        )
    return SigningKey(seed)


def _no_key(message: str, next_step: str) -> IdentityBroken:
    return IdentityBroken(message, next_step, cause="key")


def _content(path: Path, most: int) -> tuple[bytes, int]:
    """Return at most so many bytes of a plain file, and its mode; a link, pipe or folder in its place is refused.

    Raises:
        OSError: There is none, it is something else (ELOOP, EINVAL), or it cannot be read.
    """
    # Without blocking: a pipe put there must not hold a starting gate for ever.
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        mode = os.fstat(handle).st_mode
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        with os.fdopen(handle, "rb", closefd=False) as file:
            return file.read(most), mode
    finally:
        os.close(handle)


def _said(error: OSError) -> str:
    named = {errno.ELOOP: "it is a link", errno.EINVAL: "it is not a file", errno.ENXIO: "it is not a file"}
    return named.get(error.errno or 0, error.strerror or "no reason given")


def _fix(path: Path, error: OSError) -> str:
    if error.errno in (errno.ELOOP, errno.EINVAL, errno.ENXIO):
        return f"Put the file itself there, with mode 600: {path}"
    return "Run as the gate's user (edge)."


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
        IdentityBroken: The file cannot be read or is damaged.
    """
    path = state / ENROLMENT_FILE
    try:
        content, _ = _content(path, _MAX_ENROLMENT)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise IdentityBroken(
            f"The enrolment {path} cannot be read: {_said(error)}.", _fix(path, error), cause="enrolment"
        ) from error
    try:
        return _enrolment(json.loads(content))
    except _MALFORMED as error:
        raise IdentityBroken(
            f"The enrolment {path} is damaged.",
            f"Put it back from a copy, or move it away and enrol this gate again: edge provision enroll CODE. {_WAITS}",
            cause="enrolment",
        ) from error


def _enrolment(document: Any) -> Enrolment:
    if document["schema"] != SCHEMA:
        raise ValueError("another schema")
    keys = {str(name): _bytes(key, 32) for name, key in document["hub_keys"].items()}
    for name, key in keys.items():
        refuse_weak_point(key)
        if device.key_id(key).hex() != name:
            raise ValueError("a hub key does not have its own name")
    region = int(document["region"])
    if not 0 <= region <= _MAX_REGION or not _is_address(document["hub_url"]):
        raise ValueError("the region or the hub's address is none")
    return Enrolment(
        gate=_bytes(document["gate"], 16),
        site=str(document["site"]),
        lane=str(document["lane"]),
        region=f"{region:06d}",
        hub_url=str(document["hub_url"]),
        hub_keys=keys,
        trust_url=str(document["trust_url"]),
        heartbeat_s=int(document["heartbeat_s"]),
        enrolled_at=int(document["enrolled_at"]),
    )


def _is_address(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and url.isprintable() and parts.port != 0


def _bytes(value: str, size: int) -> bytes:
    decoded = bytes.fromhex(value)
    if len(decoded) != size:
        raise ValueError("a field has another length")
    return decoded
