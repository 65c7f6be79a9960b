"""Who may ask the pages for anything: this machine's own browser, looking at the gate's own page.

Three attacks stop here. A web site that rebinds its name to 127.0.0.1 comes with its own name in `Host`. A page of
another origin that posts here says so in `Origin` or `Sec-Fetch-Site`, and does not know the token. And a page that
frames or embeds ours is refused by the headers of every answer.
"""

import hmac
from collections.abc import Mapping

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; object-src 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""On every answer."""

TOKEN_HEADER = "X-Edge-Token"  # noqa: S105 - the header's name
LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})


def allowed_hosts(configured: str) -> frozenset[str]:
    """Return the names a `Host` header may carry: loopback and the configured address."""
    name = configured.strip().lower()
    return LOOPBACK | {f"[{name}]" if ":" in name and not name.startswith("[") else name}


def host_name(header: str) -> str:
    """Return the name of a `Host` header without its port, in small letters."""
    name = header.strip().lower()
    if name.startswith("["):
        return name.partition("]")[0] + "]"
    return name.partition(":")[0]


def is_same_site(headers: Mapping[str, str]) -> bool:
    """Whether a browser sent this from the page it is for, or it came from no page at all.

    Args:
        headers: The request's headers; `Origin` and `Sec-Fetch-Site` cannot be set by a page's script.
    """
    if headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none"):
        return False
    origin = headers.get("Origin")
    return origin is None or origin == f"http://{headers.get('Host', '')}"


def is_token(given: str | None, token: str) -> bool:
    """Whether the token is ours, told in constant time."""
    return given is not None and hmac.compare_digest(given.encode(), token.encode())
