"""The folder of a hub: its keys, its token seed, its configuration and where its database lies.

    hub.toml         name, addresses, region, heartbeat; no secrets
    hub.key          Ed25519 seed, 32 raw bytes, mode 0600: signs receipts, watermarks, answers and invitations
    token.seed       the region's day key for privacy tokens, canonical CBOR, mode 0600; only ever ratchets forward
    operator.token   what central operations pulls with, mode 0600; the database knows only its hash
    root.json        the first TUF root metadata, handed to gates at enrolment
    hub.db           the ledger (`edge.hub.store`)
    hub.lock         empty; its lock says which process serves the folder
    hub.begun        empty; while it is there without hub.toml, nothing beside it was handed out

What the files are used for is left to the rest of the package.
"""

import difflib
import json
import secrets
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from nacl.signing import SigningKey

from edge.codec import cbor
from edge.disk import bounded, durable, turn
from edge.disk.lockfile import LockFile
from edge.errors import ConfigError, EncodingRefused, FolderInUse, SetupError
from edge.ledger import tokens
from edge.ledger.tokens import DayKey

CONFIG: Final = "hub.toml"
KEY: Final = "hub.key"
SEED: Final = "token.seed"
OPERATOR: Final = "operator.token"
ROOT: Final = "root.json"
DATABASE: Final = "hub.db"
LOCK: Final = "hub.lock"
BEGUN: Final = "hub.begun"
_MADE: Final = (KEY, SEED, OPERATOR, ROOT, *(f"{DATABASE}{end}" for end in ("", "-wal", "-shm", "-journal")))
"""What is made before a folder is a hub."""
_SECRET: Final = 0o600

MAX_ROOT: Final = 128 * 1024
_MAX_CONFIG: Final = 1 << 20
_MAX_TEXT: Final = 256
_KEY_BYTES: Final = 32
_MAX_REGION: Final = 999_999
_MAX_HEARTBEAT_S: Final = 3600
_MOST_DAYS: Final = 36_500


@dataclass(frozen=True, slots=True)
class HubConfig:
    """What `hub.toml` says.

    Attributes:
        url: Address under which gates and operations reach this hub.
        name: Name on the hub's page.
        trust_url: Address of the trust publication, empty where there is none yet.
        region: GB/T 2260 code new gates stand in, or 0.
        heartbeat_s: Seconds between two heartbeats of a gate; silent is three of them.
        facts_days: Days that facts are kept before two roles may destroy them.
    """

    url: str
    name: str = "edge"
    trust_url: str = ""
    region: int = 0
    heartbeat_s: int = 30
    facts_days: int = 730

    def __post_init__(self) -> None:
        check_url("url", self.url)
        if self.trust_url:
            check_url("trust_url", self.trust_url)
        if not (self.name.isprintable() and 0 < len(self.name) <= _MAX_TEXT):
            raise ConfigError("The name of the hub is empty, too long or not printable.", "Choose another --name.")
        if not 0 <= self.region <= _MAX_REGION:
            raise ConfigError("The region is no GB/T 2260 code of six digits.", "Give it like 610100.")
        if not 1 <= self.heartbeat_s <= _MAX_HEARTBEAT_S:
            raise ConfigError("heartbeat_s is not between 1 and 3600.", "Set heartbeat_s = 30 in hub.toml.")
        if not 1 <= self.facts_days <= _MOST_DAYS:
            raise ConfigError("facts_days is not between 1 and 36500.", "Set facts_days = 730 in hub.toml.")


@dataclass(frozen=True, slots=True)
class HubFolder:
    """An existing hub folder.

    Attributes:
        path: The folder.
        config: What `hub.toml` says.
        key: The hub's signing key.
    """

    path: Path
    config: HubConfig
    key: SigningKey = field(repr=False)

    @property
    def public(self) -> bytes:
        """The public receipt key, 32 bytes."""
        return self.key.verify_key.encode()

    @property
    def database(self) -> Path:
        """Where the ledger lies."""
        return self.path / DATABASE

    def root(self) -> bytes:
        """Return the first trust root as published, or no bytes where the folder has none yet.

        Raises:
            ConfigError: It cannot be read or is no root.
        """
        file = self.path / ROOT
        return checked_root(file) if file.exists() else b""


def checked_root(file: Path) -> bytes:
    """Return the bytes of a root metadata file, after a look at whether it is one.

    Raises:
        ConfigError: It cannot be read, is too large or is something else.
    """
    again = "Give the authority's first root: --root AUTHORITY/publication/metadata/1.root.json"
    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_ROOT + 1)
        # Whether its signatures hold is what the gate checks; this catches the wrong file.
        is_root = len(data) <= MAX_ROOT and json.loads(data)["signed"]["_type"] == "root"
    except OSError as unreadable:
        raise ConfigError(f"The root metadata {file} cannot be read: {unreadable.strerror}.", again) from unreadable
    except (ValueError, KeyError, TypeError, RecursionError) as bad:
        raise ConfigError(f"{file} is not TUF root metadata.", again) from bad
    if not is_root:
        raise ConfigError(f"{file} is not TUF root metadata.", again)
    return data


@contextmanager
def begun(path: Path) -> Iterator[None]:
    """Hold an empty folder while a hub is made in it; what a begin that broke off left there is removed first.

    A mark, durable before the first key, says that whatever stands beside it was handed out to nobody.

    Raises:
        SetupError: There is something else in the folder, somebody makes a hub there, or it cannot be written.
    """
    mark = path / BEGUN
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        left = {file.name for file in path.iterdir()}
        if left and (CONFIG in left or BEGUN not in left):
            raise SetupError(f"{path} is not empty.", "Name a new folder; a hub's keys are never overwritten.")
        held = turn.take(mark)
    except BlockingIOError as taken:
        raise SetupError(f"Another command makes a hub in {path}.", "Wait for it.") from taken
    except OSError as failed:
        raise SetupError(f"{path} cannot be written: {failed.strerror}.", "Choose a folder of your own.") from failed
    with held:
        try:
            durable.sync_folder(path)
            durable.remove_staged(path)
            if foreign := {file.name for file in path.iterdir()} - {BEGUN, *_MADE}:
                raise SetupError(f"{path} holds {min(foreign)}, which no begin left.", "Name a new folder.")
            for name in _MADE:
                (path / name).unlink(missing_ok=True)
        except OSError as failed:
            raise SetupError(f"{path} cannot be written: {failed.strerror}.", "Make room on the disk.") from failed
        yield


def prepare(path: Path, config: HubConfig, *, root: bytes, today: int) -> tuple[HubFolder, str]:
    """Fill a folder with fresh keys and return it with the operator token; it is a hub once `seal` was called.

    Args:
        path: A folder that is held (`begun`).
        config: What `hub.toml` will say.
        root: The first trust root, or no bytes.
        today: UTC day the token seed begins with.

    Raises:
        SetupError: It cannot be written.
    """
    key = SigningKey.generate()
    operator = secrets.token_urlsafe(32)
    try:
        durable.write(path / KEY, key.encode(), mode=_SECRET)
        durable.write(path / SEED, _packed(DayKey(today, secrets.token_bytes(_KEY_BYTES))), mode=_SECRET)
        durable.write(path / OPERATOR, operator.encode() + b"\n", mode=_SECRET)
        if root:
            durable.write(path / ROOT, root)
    except OSError as failed:
        raise SetupError(f"{path} cannot be written: {failed.strerror}.", "Choose a folder of your own.") from failed
    return HubFolder(path, config, key), operator


def seal(home: HubFolder) -> None:
    """Write `hub.toml`, the last file: a folder without it is no hub, however far a broken-off init came.

    Raises:
        SetupError: It cannot be written.
    """
    try:
        durable.write(home.path / CONFIG, _toml(home.config))
        (home.path / BEGUN).unlink()
    except OSError as failed:
        raise SetupError(f"{home.path} cannot be written: {failed.strerror}.", "Make room on the disk.") from failed


def load(path: Path) -> HubFolder:
    """Return the hub folder at `path`.

    Raises:
        ConfigError: It is none, or a file in it is damaged.
    """
    config = _config(path)
    file = path / KEY
    try:
        seed = file.read_bytes()
    except OSError as unreadable:
        raise ConfigError(
            f"The hub's key {file} cannot be read: {unreadable.strerror}.",
            "Run as the user the hub belongs to, or restore the file from your backup.",
        ) from unreadable
    if len(seed) != _KEY_BYTES:
        raise ConfigError(f"The hub's key {file} is damaged.", "Restore the file from your backup.")
    return HubFolder(path, config, SigningKey(seed))


def claim(path: Path) -> LockFile:
    """Claim a hub folder for the process that serves it, until that ends; commands beside it need no claim.

    Raises:
        FolderInUse: Another process serves it.
        ConfigError: The folder cannot be written.
    """
    try:
        lock = LockFile(path / LOCK)
        is_ours = lock.take()
    except OSError as failed:
        raise ConfigError(
            f"{path / LOCK} cannot be written: {failed.strerror}.", "Run as the user the hub belongs to, or make room."
        ) from failed
    if not is_ours:
        process = lock.holder()
        lock.close()
        named, stop = (f" (process {process})", f"kill {process}, or ") if process else ("", "")
        raise FolderInUse(
            f"A hub serves {path} already{named}.",
            f"Stop it first ({stop}systemctl stop where it runs as a service); a second hub needs a folder of its own.",
        )
    with suppress(OSError):
        # Left by a power cut behind the last file: should that get lost, these keys are no half-made hub's.
        (path / BEGUN).unlink(missing_ok=True)
    return lock


class TokenSeed:
    """The region's day key on disk; an earlier day's key is gone once a later one was asked for."""

    def __init__(self, path: Path) -> None:
        self._file = path / SEED
        self._lock = threading.Lock()

    def of_day(self, day: int) -> DayKey:
        """Return the key of `day`, or of the later day the seed already stands at; may write the file.

        Raises:
            ConfigError: The file is missing, damaged or cannot be replaced.
        """
        with self._lock:
            kept = self._read()
            key = tokens.advance(kept, day)
            if key.day != kept.day:
                self._replace(key)
            return key

    def _read(self) -> DayKey:
        try:
            day, secret = cbor.decode(self._file.read_bytes())
        except OSError as unreadable:
            raise ConfigError(
                f"The token seed {self._file} cannot be read: {unreadable.strerror}.",
                "Restore the file from your backup.",
            ) from unreadable
        except (EncodingRefused, TypeError, ValueError) as bad:
            raise ConfigError(f"{self._file} is damaged.", "Restore the file from your backup.") from bad
        if type(day) is not int or not isinstance(secret, bytes) or len(secret) != _KEY_BYTES:
            raise ConfigError(f"{self._file} is damaged.", "Restore the file from your backup.")
        return DayKey(day, secret)

    def _replace(self, key: DayKey) -> None:
        try:
            # What a power cut left of an earlier turn would still tell the keys of days that are erased.
            durable.remove_staged(self._file.parent)
            self._file.with_suffix(".new").unlink(missing_ok=True)
            durable.write(self._file, _packed(key), mode=_SECRET)
        except OSError as failed:
            raise ConfigError(
                f"The token seed {self._file} cannot be replaced: {failed.strerror}.", "Make room on the disk."
            ) from failed


def _packed(key: DayKey) -> bytes:
    return cbor.encode([key.day, key.key])


def check_url(key: str, url: str) -> None:
    """Check that an address is plain: scheme, host, perhaps a port and a path.

    Args:
        key: What the address is called where it was given.
        url: The address.

    Raises:
        ConfigError: It is not.
    """
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_good = False
    else:
        is_good = is_good and not (parts.username or parts.password or parts.query or parts.fragment)
    if not is_good or len(url) > _MAX_TEXT or not url.isprintable() or " " in url:
        raise ConfigError(f"{key} is no plain http:// or https:// address.", "Give it like https://hub.example:8090")


def _toml(config: HubConfig) -> bytes:
    # A JSON string of printable characters is a TOML basic string.
    lines = ["schema = 1"]
    lines += [f"{row.name} = {json.dumps(getattr(config, row.name), ensure_ascii=False)}" for row in fields(config)]
    return ("\n".join(lines) + "\n").encode()


def _config(path: Path) -> HubConfig:
    file = path / CONFIG
    try:
        found = tomllib.loads(bounded.read(file, _MAX_CONFIG).decode())
    except FileNotFoundError as missing:
        raise ConfigError(
            f"{path} is no hub folder: {CONFIG} is missing.", f"Make one: edge hub init {path} --url http://HOST:8090"
        ) from missing
    except OSError as unreadable:
        raise ConfigError(f"{file} cannot be read: {unreadable.strerror}.", "Check its owner and mode.") from unreadable
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as bad:
        raise ConfigError(f"{file} is not valid TOML: {bad}.", "Correct the line it names.") from bad
    return _checked(file, found)


def _checked(file: Path, found: dict[str, Any]) -> HubConfig:
    if found.pop("schema", None) != 1:
        raise ConfigError(f"{file} does not say schema = 1.", "Update the program, or write schema = 1 as first line.")
    found.pop("webhook", None)  # read, with the secrets, by `edge.hub.webhook`
    found.pop("cross_gate", None)  # read by `edge.hub.cross_gate`
    found.pop("serve", None)  # read by `edge.hub.front`
    known = {row.name: row.type for row in fields(HubConfig)}
    for key, value in found.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, 1, 0.5)
            raise ConfigError(f"{file}: there is no key {key!r}.", f"Did you mean {near[0]}?" if near else "Remove it.")
        if type(value) is not known[key]:
            raise ConfigError(f"{file}: {key} is of another type.", f"Write it like {known[key]}.")
    if "url" not in found:
        raise ConfigError(f"{file} does not say url.", 'Add url = "http://HOST:8090".')
    return HubConfig(**found)
