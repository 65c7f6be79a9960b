"""Who asks, where a proxy stands between: its word counts only if its address was named, and only as far as it knows.

A proxy adds the address it was asked from at the right end of `X-Forwarded-For`, or of `Forwarded` (RFC 7239); all that
stands further left came from outside. So the list is read from the right, over the addresses that were named, to the
first that was not: that is who asks. Werkzeug's `ProxyFix` and waitress count hops and ask nobody's address.
"""

import ipaddress
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from edge.errors import ConfigError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

VIA: Final = "edge.via_proxy"
"""Set in the WSGI environment of a request that came from an address named as a proxy's."""
_MOST_HOPS: Final = 32
_FORWARDED: Final = re.compile(
    r'\s*(?P<name>[A-Za-z]+)=(?:"(?P<quoted>[^"\\]*)"|(?P<token>[^\s";,]*))\s*(?P<end>[;,]|$)'
)


@dataclass(frozen=True, slots=True)
class Hop:
    """What one proxy says of who asked it.

    Attributes:
        address: The address, None where it says none that can be read.
        scheme: `http` or `https`, empty where it does not say.
    """

    address: Address | None
    scheme: str = ""


class Proxies:
    """The proxies whose word counts.

    Args:
        named: Addresses and networks (CIDR) of them.

    Raises:
        ConfigError: One is neither.
    """

    def __init__(self, named: Iterable[str] = ()) -> None:
        self._networks = tuple(_network(one) for one in named)

    def __bool__(self) -> bool:
        """Whether any proxy is believed."""
        return bool(self._networks)

    def is_one(self, address: Address | None) -> bool:
        """Whether this is the address of a proxy that was named."""
        return address is not None and any(address in network for network in self._networks)

    def wrapped(self, application: Callable[..., Any]) -> Callable[..., Any]:
        """Return a WSGI application that sees who asks in `REMOTE_ADDR`, and how in `wsgi.url_scheme`."""

        def answered(environ: dict[str, Any], start_response: Any) -> Any:
            near = _address(environ.get("REMOTE_ADDR", ""))
            if self.is_one(near):
                environ[VIA] = True
                asking = self._asking(environ, Hop(near))
                environ["REMOTE_ADDR"] = str(asking.address)
                # How the proxy asked us says nothing of how it was asked.
                environ["wsgi.url_scheme"] = asking.scheme or "http"
            return application(environ, start_response)

        return answered

    def _asking(self, environ: dict[str, Any], asking: Hop) -> Hop:
        """Return the first address from the right that is no proxy's; the last one that could be read, failing that."""
        for hop in reversed(_hops(environ)):
            if hop.address is None:
                break
            asking = hop
            if not self.is_one(hop.address):
                break
        return asking


def _hops(environ: dict[str, Any]) -> list[Hop]:
    """Return what the headers say, the nearest proxy last."""
    listed, standard = environ.get("HTTP_X_FORWARDED_FOR", ""), environ.get("HTTP_FORWARDED", "")
    if bool(listed) == bool(standard):
        # A proxy writes one of them; where both came, one is the client's own, and nobody can say which.
        return []
    if standard:
        return _standard(standard)
    # This header is set by each proxy anew, so only the nearest one's word is there: the last.
    scheme = environ.get("HTTP_X_FORWARDED_PROTO", "").rpartition(",")[2].strip().lower()
    return [Hop(_address(one.strip()), _scheme(scheme)) for one in listed.split(",")[-_MOST_HOPS:]]


def _standard(text: str) -> list[Hop]:
    """Return the hops of a `Forwarded` header (RFC 7239, 4); none where it is malformed."""
    hops: list[Hop] = []
    pairs: dict[str, str] = {}
    at = 0
    while at < len(text):
        found = _FORWARDED.match(text, at)
        if found is None:
            return []
        pairs[found["name"].lower()] = found["quoted"] if found["quoted"] is not None else found["token"]
        if found["end"] != ";":
            hops.append(Hop(_address(pairs.get("for", "")), _scheme(pairs.get("proto", "").lower())))
            pairs = {}
        at = found.end()
    return hops[-_MOST_HOPS:]


def _scheme(text: str) -> str:
    return text if text in {"http", "https"} else ""


def _address(text: str) -> Address | None:
    """Return the address in `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1` or `[2001:db8::1]:4711`, or None."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError as bad:
        raise ConfigError(
            f"{text[:64]!r} is neither the address of a proxy nor a network.",
            "Write it like 127.0.0.1, 10.0.0.0/8 or 2001:db8::/32.",
        ) from bad
