"""The hub's own TLS certificate: two PEM files, looked at again while it serves, so that a renewal needs no restart.

What cannot be used at the start is an error. Later the last good pair stays in use, and what is wrong with the files is
a finding: a renewal writes two files one after the other, and between them they do not fit.
"""

import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography import x509

from edge.errors import ConfigError

SOON_MS: Final = 14 * 86_400_000
"""A certificate that ends sooner is a finding: renewals are tried about a month before the end."""
_MAX_BYTES: Final = 1 << 20
_LOG: Final = logging.getLogger("edge.hub")

Stamp = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is to be done about the certificate.

    Attributes:
        code: `expired`, `soon` or `files`.
        expires: When the certificate in use ends, like 2026-11-24.
        message: What is wrong, for a log; empty where the code says it all.
    """

    code: str
    expires: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class _Loaded:
    context: ssl.SSLContext
    expires_ms: int


class Certificate:
    """A certificate chain and its key, as they are served.

    Args:
        chain: PEM file: the hub's certificate first, then those between it and the root.
        key: PEM file with its private key, without a passphrase.
        clock: Unix milliseconds.

    Raises:
        ConfigError: They cannot be read, are none, do not belong together, or the certificate is not valid now.
    """

    def __init__(self, chain: Path, key: Path, clock: Callable[[], int]) -> None:
        self._files = (chain, key)
        self._clock = clock
        self._stamp = _stamp(self._files)
        self._loaded = self._load()
        self._wrong = ""

    @property
    def context(self) -> ssl.SSLContext:
        """What the next connection is secured by."""
        return self._loaded.context

    def look(self) -> None:
        """Take the files into use where they changed; whatever is wrong with them is a finding and logged once."""
        stamp = _stamp(self._files)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._loaded = self._load()
        except ConfigError as bad:
            self._wrong = bad.message
            _LOG.error("the renewed certificate is not used: %s %s", bad.message, bad.next_step)
        else:
            self._wrong = ""
            _LOG.info("the renewed certificate is in use, valid until %s", self._expires())

    def finding(self) -> Finding | None:
        """Return what is to be done, None where nothing is."""
        left_ms = self._loaded.expires_ms - self._clock()
        if left_ms <= 0:
            return Finding("expired", self._expires(), self._wrong)
        if self._wrong:
            return Finding("files", self._expires(), self._wrong)
        return Finding("soon", self._expires()) if left_ms < SOON_MS else None

    def _expires(self) -> str:
        return f"{datetime.fromtimestamp(self._loaded.expires_ms / 1000, UTC):%Y-%m-%d}"

    def _load(self) -> _Loaded:
        chain, key = self._files
        leaf = _leaf(chain)
        now = datetime.fromtimestamp(self._clock() / 1000, UTC)
        if not leaf.not_valid_before_utc <= now < leaf.not_valid_after_utc:
            span = f"{leaf.not_valid_before_utc:%Y-%m-%d} to {leaf.not_valid_after_utc:%Y-%m-%d}"
            raise ConfigError(
                f"The certificate {chain} is valid from {span}, and this machine's clock says {now:%Y-%m-%d}.",
                "Renew the certificate, or set the clock (timedatectl).",
            )
        _read(key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # RFC 9325, 3.1.1: nothing older.
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION
        context.set_alpn_protocols(["http/1.1"])
        try:
            # With a passphrase OpenSSL would ask for it on the terminal of a service.
            context.load_cert_chain(chain, key, password=_no_passphrase)
        except (OSError, ValueError) as bad:
            raise ConfigError(
                f"The key {key} does not belong to the certificate {chain}, is no key or has a passphrase.",
                "Name the pair that was made together (fullchain.pem and privkey.pem), the key without a passphrase.",
            ) from bad
        return _Loaded(context, int(leaf.not_valid_after_utc.timestamp() * 1000))


def _no_passphrase() -> str:
    raise ValueError("the key has a passphrase")


def _leaf(chain: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificates(_read(chain))[0]
    except ValueError as bad:
        raise ConfigError(
            f"{chain} is no certificate in PEM form.", "Name the certificate chain, e.g. fullchain.pem."
        ) from bad


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(_MAX_BYTES)
    except OSError as unreadable:
        raise ConfigError(
            f"{file} cannot be read: {unreadable.strerror}.",
            "Let the user the hub runs as read it, or name the right file (--tls-cert, --tls-key).",
        ) from unreadable


def _stamp(files: tuple[Path, ...]) -> Stamp:
    """Return what tells that a file was written anew or replaced; zeros for one that is not there."""
    found = []
    for file in files:
        try:
            state = file.stat()
        except OSError:
            found.append((0, 0, 0))
        else:
            found.append((state.st_ino, state.st_size, state.st_mtime_ns))
    return tuple(found)
