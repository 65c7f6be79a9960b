"""The file of keys that open encrypted codes: TOML, readable by its owner alone, no key of it in any message."""

import os
import stat
import tomllib
from pathlib import Path
from typing import Any, Final

from edge.errors import ConfigError
from edge.model.content_key import ContentKey

MAX_BYTES: Final = 64 << 10
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_LENGTHS: Final = frozenset((16, 24, 32))
_MAX_KID: Final = 64
_MEMBERS: Final = frozenset(("format", "kid", "secret"))
_SHAPE: Final = (
    'Write each key as: [[key]] format = "claim169", kid = "HEX" (left out where codes name none), secret = "HEX".'
)


def load(path: str) -> tuple[ContentKey, ...]:
    """Return the keys of a file; none where no file is named.

    Raises:
        ConfigError: It cannot be read, others may read it, or it holds something else.
    """
    if not path:
        return ()
    try:
        document = tomllib.loads(_read(Path(path)).decode())
    except OSError as error:
        raise ConfigError(
            f"The keys in {path} cannot be read: {error.strerror}.", "Check trust.content_keys."
        ) from error
    except ValueError:
        # Neither the line nor its number: it may be the key.
        raise ConfigError(f"{path} is no valid TOML.", _SHAPE) from None
    rows = document.get("key")
    if document.keys() != {"key"} or not isinstance(rows, list):
        raise ConfigError(f"{path} holds something other than keys.", _SHAPE)
    return tuple(_key(row, f"{path}, key {number}") for number, row in enumerate(rows, 1))


def _read(path: Path) -> bytes:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode) or found.st_size > MAX_BYTES:
            raise ConfigError(f"{path} is no file of keys.", _SHAPE)
        if found.st_mode & _OTHERS:
            raise ConfigError(f"Others may read the keys in {path}.", f"Run: chmod 600 {path}")
        return os.read(handle, MAX_BYTES)
    finally:
        os.close(handle)


def _key(row: Any, where: str) -> ContentKey:
    if not isinstance(row, dict) or not _MEMBERS >= row.keys() >= _MEMBERS - {"kid"}:
        raise ConfigError(f"{where} is not what a key is.", _SHAPE)
    kid, secret = _hex(row.get("kid", "")), _hex(row["secret"])
    if not isinstance(row["format"], str) or kid is None or secret is None:
        raise ConfigError(f"{where}: format is a text, kid and secret are hexadecimal.", _SHAPE)
    if len(secret) not in _LENGTHS or len(kid) > _MAX_KID:
        raise ConfigError(f"{where}: a secret has 16, 24 or 32 bytes, a kid at most 64.", _SHAPE)
    return ContentKey(row["format"], kid, secret)


def _hex(value: Any) -> bytes | None:
    try:
        return bytes.fromhex(value)
    except (TypeError, ValueError):
        return None
