"""Signed notices to other systems: who gets them, how they are signed, and how one is sent.

The form is that of Standard Webhooks 1.0 (standardwebhooks.com): headers `webhook-id`, `webhook-timestamp` and
`webhook-signature`, the latter `v1,` and base64 of HMAC-SHA256 over `id.timestamp.body`. What is sent, and when again,
is left to `edge.hub.courier`.
"""

import base64
import binascii
import hmac
import http.client
import json
import ssl
import threading
import tomllib
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from edge.errors import ConfigError
from edge.hub import folder
from edge.hub.client import is_private

MOST: Final = 8
"""Webhooks a hub has at most."""
TIMEOUT_S: Final = 10.0
"""Most seconds for one delivery, from connecting to the head of the answer."""
PREFIX: Final = "whsec_"
_LEAST_KEY: Final = 24
_MOST_KEY: Final = 64
_MAX_SECRET_FILE: Final = 512
_OTHERS: Final = 0o077
_MAKE: Final = "Make one: (umask 077; echo whsec_$(head -c 32 /dev/urandom | base64) > FILE)"


@dataclass(frozen=True, slots=True)
class Hook:
    """Somebody who is told.

    Attributes:
        url: Where, https or loopback http.
        secret: The key of the signature, 24 to 64 bytes.
    """

    url: str
    secret: bytes = field(repr=False)

    @property
    def name(self) -> str:
        """Eight characters that name it in the database; an address may be a secret itself."""
        return sha256(self.url.encode()).hexdigest()[:8]

    @property
    def host(self) -> str:
        """Its address without the path, for people and logs."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a delivery.

    Attributes:
        is_taken: Whether it was answered with 2xx.
        said: A few words: the HTTP status, or what failed.
        is_final: Whether the receiver wants none of it any more (410).
    """

    is_taken: bool
    said: str
    is_final: bool = False


def load(home: Path) -> tuple[Hook, ...]:
    """Return the webhooks of `hub.toml`, with their secrets.

    Raises:
        ConfigError: The file or one of the secrets cannot be read, or an address is not allowed.
    """
    file = home / folder.CONFIG
    try:
        found = tomllib.loads(file.read_text(encoding="utf-8")).get("webhook", [])
    except (OSError, ValueError) as bad:
        raise ConfigError(f"{file} cannot be read: {type(bad).__name__}.", "Correct it.") from bad
    if not isinstance(found, list) or len(found) > MOST:
        raise ConfigError(f"{file}: webhook is no list of up to {MOST} tables.", "Write each as [[webhook]].")
    hooks = tuple(_hook(home, entry) for entry in found)
    if len({hook.url for hook in hooks}) != len(hooks):
        raise ConfigError(f"{file}: two webhooks have the same url.", "Remove one of them.")
    return hooks


def _hook(home: Path, entry: Any) -> Hook:
    if not isinstance(entry, dict) or set(entry) != {"url", "secret_file"}:
        raise ConfigError("A [[webhook]] has exactly url and secret_file.", 'Write url = "..." and secret_file = "..."')
    url, name = entry["url"], entry["secret_file"]
    if not (isinstance(url, str) and isinstance(name, str)):
        raise ConfigError("url and secret_file of a [[webhook]] are texts.", "Put them in quotation marks.")
    folder.check_url("The url of a [[webhook]]", url)
    if not (url.isascii() and is_private(url)):
        raise ConfigError("A webhook goes by https, or by http to this machine.", "Give an https:// address.")
    return Hook(url, _secret(home / name))


def _secret(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            text = opened.read(_MAX_SECRET_FILE).decode("ascii").strip()
        is_open = bool(file.stat().st_mode & _OTHERS)
        key = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except OSError as unreadable:
        raise ConfigError(f"The secret {file} cannot be read: {unreadable.strerror}.", _MAKE) from unreadable
    except (UnicodeDecodeError, binascii.Error):
        key, is_open = b"", False
    if not _LEAST_KEY <= len(key) <= _MOST_KEY:
        raise ConfigError(f"{file} holds no secret of {_LEAST_KEY} to {_MOST_KEY} bytes in base64.", _MAKE)
    if is_open:
        raise ConfigError(f"The secret {file} can be read by others.", f"Close it: chmod 600 {file}")
    return key


def headers(hook: Hook, message: str, body: bytes, unix_s: int) -> dict[str, str]:
    """Return the headers of one attempt (Standard Webhooks 1.0, "Webhook headers").

    Args:
        hook: Who is told.
        message: Id of the message, the same at every attempt.
        body: The bytes that are sent.
        unix_s: Time of the attempt, Unix seconds.
    """
    signed = hmac.new(hook.secret, f"{message}.{unix_s}.".encode() + body, sha256).digest()
    return {
        "Content-Type": "application/json",
        "User-Agent": "edge-hub",
        "webhook-id": message,
        "webhook-timestamp": str(unix_s),
        "webhook-signature": f"v1,{base64.b64encode(signed).decode()}",
    }


def body_of(kind: str, at: str | None, data: dict[str, Any]) -> bytes:
    """Return the body of a message: `type`, `timestamp` and `data`."""
    return json.dumps({"type": kind, "timestamp": at, "data": data}, ensure_ascii=False, separators=(",", ":")).encode()


def send(hook: Hook, message: str, body: bytes, unix_s: int, *, timeout_s: float = TIMEOUT_S) -> Outcome:
    """Deliver a message once; blocks for about `timeout_s` at most. Redirects are not followed, no proxy is asked."""
    parts = urlsplit(hook.url)
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        context = ssl.create_default_context()
        connection = http.client.HTTPSConnection(parts.hostname or "", parts.port, timeout=timeout_s, context=context)
    else:
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout_s)
    # The socket's own time-out starts anew with every byte: one that drips is cut off by this one.
    cutter = threading.Timer(timeout_s, _cut, (connection,))
    cutter.daemon = True
    cutter.start()
    try:
        connection.request("POST", parts.path or "/", body, headers(hook, message, body, unix_s))
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException, UnicodeError, AttributeError, ValueError) as failed:
        return Outcome(is_taken=False, said=type(failed).__name__)
    finally:
        cutter.cancel()
        connection.close()
    is_taken = http.HTTPStatus.OK <= status < http.HTTPStatus.MULTIPLE_CHOICES
    return Outcome(is_taken, f"HTTP {status}", status == http.HTTPStatus.GONE)


def _cut(connection: http.client.HTTPConnection) -> None:
    peer = connection.sock
    if peer is not None:
        with suppress(OSError):
            peer.shutdown(2)
