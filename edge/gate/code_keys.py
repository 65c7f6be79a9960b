"""The file of secret keys that open encrypted codes: a JWK Set (RFC 7517, 5) of symmetric keys, closed to others.

They stand in no list of trust: whoever reads the publication could open every code. What a key opens is believed only
by the signature within (ADR 0055).
"""

import logging
import os
import stat
from pathlib import Path
from typing import Any, Final

from edge.codec import base64url, foreign_json
from edge.errors import ConfigError, EncodingRefused
from edge.model.code_key import A128GCM, A192GCM, A256GCM, KEY_BYTES, CodeKey
from edge.model.finding import Finding

_LOG: Final = logging.getLogger(__name__)
ALGORITHMS: Final = {"A128GCM": A128GCM, "A192GCM": A192GCM, "A256GCM": A256GCM}
"""Names of RFC 7518, 5.1."""
_MEMBERS: Final = frozenset(("kty", "alg", "kid", "k", "use", "key_ops"))
_MAX_FILE: Final = 64 << 10
_MAX_KEYS: Final = 64
_MAX_KID: Final = 64
_FORM: Final = (
    'Write {"keys": [{"kty": "oct", "alg": "A256GCM", "kid": "...", "k": "<base64url>"}]} (docs/technician.md).'
)


def load(file: Path) -> tuple[CodeKey, ...]:
    """Return the keys in a file.

    Raises:
        ConfigError: It cannot be read, others may read it, or it is no such set; no word of a key is repeated.
    """
    try:
        # Without blocking: a pipe put there must not hold a starting gate for ever.
        with os.fdopen(os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as opened:
            mode = os.fstat(opened.fileno()).st_mode
            data = opened.read(_MAX_FILE + 1) if stat.S_ISREG(mode) else b""
    except OSError as error:
        raise ConfigError(
            f"The code keys {file} cannot be read: {error.strerror}.", "Correct scanner.code_keys_file, or its owner."
        ) from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(f"The code keys {file} can be read by others.", f"Close them: chmod 600 {file}")
    try:
        return _keys(foreign_json.decode(data) if len(data) <= _MAX_FILE else None)
    except EncodingRefused as refusal:
        raise ConfigError(f"{file} is no set of code keys: {refusal}.", _FORM) from None


def at_start(file: str) -> tuple[tuple[CodeKey, ...], list[Finding]]:
    """Return the keys of a gate that starts, and what staff should know: it starts without keys, too.

    Args:
        file: `scanner.code_keys_file` of the settings; empty for none.
    """
    if not file:
        return (), []
    try:
        return load(Path(file)), []
    except ConfigError as error:
        _LOG.error("%s", error)
        return (), [Finding("code_keys.unreadable")]


def _keys(document: Any) -> tuple[CodeKey, ...]:
    rows = document.get("keys") if type(document) is dict else None
    if type(rows) is not list or not 1 <= len(rows) <= _MAX_KEYS:
        raise EncodingRefused(f"it has no list of 1 to {_MAX_KEYS} keys")
    found = tuple(_key(number, row) for number, row in enumerate(rows, 1))
    if len(set(found)) != len(found):
        raise EncodingRefused("a key stands twice")
    return found


def _key(number: int, row: Any) -> CodeKey:
    if type(row) is not dict or row.get("kty") != "oct" or not row.keys() <= _MEMBERS:
        raise EncodingRefused(f"key {number} is no symmetric key (kty oct)")
    name, kid, secret = row.get("alg"), row.get("kid", ""), row.get("k")
    algorithm = ALGORITHMS.get(name) if type(name) is str else None
    if algorithm is None:
        raise EncodingRefused(f"key {number} names no alg of {', '.join(ALGORITHMS)}")
    if type(kid) is not str or len(kid.encode(errors="replace")) > _MAX_KID:
        raise EncodingRefused(f"the kid of key {number} is no text of at most {_MAX_KID} bytes")
    try:
        plain = base64url.decode(secret.encode() if type(secret) is str else b"")
    except (EncodingRefused, UnicodeEncodeError):
        plain = b""
    if len(plain) != KEY_BYTES[algorithm]:
        raise EncodingRefused(f"k of key {number} is not {KEY_BYTES[algorithm]} bytes in base64url")
    return CodeKey(algorithm, kid.encode(errors="replace"), plain)
