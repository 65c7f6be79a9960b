"""How a hub stands to the network: under TLS or behind a proxy. `[serve]` of `hub.toml`, and what a command names."""

import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from edge.errors import ConfigError
from edge.hub import folder
from edge.hub.certificate import Certificate
from edge.hub.proxies import Proxies

SECTION: Final = "serve"
_KEYS: Final = ("tls_cert", "tls_key", "trusted_proxies")


@dataclass(frozen=True, slots=True)
class Front:
    """What stands between the hub and whoever asks.

    Attributes:
        certificate: What TLS is spoken with, None for plain HTTP.
        proxies: Whose word on who asks is believed.
    """

    certificate: Certificate | None = None
    proxies: Proxies = field(default_factory=Proxies)


@dataclass(frozen=True, slots=True)
class Named:
    """What the command line says; what it leaves out stands in `hub.toml`.

    Attributes:
        tls_cert: PEM file of the certificate chain.
        tls_key: PEM file of its key.
        trusted_proxies: Addresses and networks.
    """

    tls_cert: Path | None = None
    tls_key: Path | None = None
    trusted_proxies: Sequence[str] = ()


def load(home: Path, named: Named, clock: Callable[[], int]) -> Front:
    """Return how a hub stands to the network.

    Args:
        home: The hub's folder; file names in its `hub.toml` may be relative to it.
        named: What the command line says.
        clock: Unix milliseconds.

    Raises:
        ConfigError: `hub.toml` is not as it must be, or the certificate cannot be used.
    """
    chain, key, proxies = _settings(home)
    chain, key = named.tls_cert or chain, named.tls_key or key
    if (chain is None) != (key is None):
        raise ConfigError("A certificate and its key go together.", "Name both: --tls-cert FILE --tls-key FILE.")
    certificate = Certificate(chain, key, clock) if chain is not None and key is not None else None
    return Front(certificate, Proxies(named.trusted_proxies or proxies))


def _settings(home: Path) -> tuple[Path | None, Path | None, Sequence[str]]:
    file = home / folder.CONFIG
    try:
        found = tomllib.loads(file.read_text(encoding="utf-8")).get(SECTION, {})
    except (OSError, ValueError) as bad:
        raise ConfigError(f"{file} cannot be read: {type(bad).__name__}.", "Correct it.") from bad
    if not isinstance(found, dict) or not found.keys() <= set(_KEYS):
        raise ConfigError(f"{file}: [{SECTION}] has other keys than {', '.join(_KEYS)}.", "Remove them.")
    chain, key, proxies = found.get("tls_cert", ""), found.get("tls_key", ""), found.get("trusted_proxies", [])
    if not (isinstance(chain, str) and isinstance(key, str)):
        raise ConfigError(f"{file}: tls_cert or tls_key is no file name.", 'Write tls_cert = "/etc/.../fullchain.pem".')
    if not (isinstance(proxies, list) and all(isinstance(one, str) for one in proxies)):
        raise ConfigError(f"{file}: trusted_proxies is no list.", 'Write trusted_proxies = ["127.0.0.1"].')
    return home / chain if chain else None, home / key if key else None, proxies
