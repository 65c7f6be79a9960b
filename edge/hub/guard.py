"""Who is asking, and may the page answer: peers, host names, tokens, headers. HTTP only; nothing is read or written.

Gates prove themselves by signatures and operations by tokens, under any name the hub has. The page is different: on
this machine it needs no login, so a foreign site must not reach it through a browser that runs here (DNS rebinding).
"""

import ipaddress
from typing import Final
from urllib.parse import urlsplit

from flask import Request, Response, jsonify

from edge.hub import access
from edge.hub.declined import Declined
from edge.hub.hub import Hub
from edge.hub.proxies import VIA

COOKIE: Final = "edge_hub"
FORM_COOKIE: Final = "edge_hub_form"

# Set by a proxy on this machine: then "from here" says nothing about who asks.
_FORWARDED: Final = ("x-forwarded-", "x-real-ip", "forwarded", "via")
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}


def with_headers(response: Response) -> Response:
    """Return the response with the headers every answer carries."""
    for name, value in _HEADERS.items():
        response.headers[name] = value
    return response


def declined(why: Declined, *, retry_after_s: int | None = None) -> Response:
    """Return a refusal as JSON: `code`, `message`, `next_step`."""
    response = jsonify(code=why.code, message=why.message, next_step=why.next_step)
    response.status_code = why.status
    if retry_after_s is not None:
        response.headers["Retry-After"] = str(retry_after_s)
    return response


def peer_of(request: Request) -> str:
    """Return the address the request came from: as the socket says, or a proxy that was named (`edge.hub.proxies`)."""
    return request.remote_addr or ""


def is_from_here(request: Request, hub: Hub) -> bool:
    """Whether a person on this machine asks, by one of this machine's own names, a hub that only this machine uses.

    A hub with a public address may stand behind a proxy here that says nothing of whom it speaks for: there everybody
    logs in.
    """
    if not _is_loopback(urlsplit(hub.config.url).hostname or ""):
        return False
    if VIA in request.environ or any(name.lower().startswith(_FORWARDED) for name, _ in request.headers):
        return False
    return _is_loopback(peer_of(request)) and _is_loopback(_host(request))


def is_our_name(request: Request, hub: Hub) -> bool:
    """Whether the Host header is one the page is served under: the configured name, an address, or this machine."""
    host = _host(request)
    return host == (urlsplit(hub.config.url).hostname or "") or _is_loopback(host) or _is_address(host)


def is_secure(request: Request, hub: Hub) -> bool:
    """Whether cookies are for TLS only: the browser came by it, or the hub is told to everybody under https."""
    return request.is_secure or hub.config.url.startswith("https:")


def may_see(request: Request, hub: Hub, sessions: access.Sessions) -> bool:
    """Whether the page may be shown: to somebody on this machine, or logged in."""
    if is_from_here(request, hub):
        return True
    token = sessions.token_hash(request.cookies.get(COOKIE, ""))
    if token is None:
        return False
    # Asked each time: who revokes a token closes the pages it opened.
    with hub.readers.reader() as connection:
        return access.is_valid(connection, token, hub.clock())


def bearer(request: Request) -> str:
    """Return the token the request brings (RFC 6750, 2.1), empty where there is none."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _host(request: Request) -> str:
    try:
        return urlsplit(f"//{request.headers.get('Host', '')}").hostname or ""
    except ValueError:
        return ""


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)
