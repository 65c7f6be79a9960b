"""Whom the hub believes who asks: nobody, but proxies that were named, and these only as far as they know."""

import pytest
from flask.testing import FlaskClient

from edge.errors import ConfigError
from edge.hub.desk import Desk
from edge.hub.front import Front
from edge.hub.hub import Hub
from edge.hub.proxies import VIA, Proxies
from edge.hub.serve import create_app
from edge.ledger import wire

PROXY = "192.0.2.10"
INNER = "192.0.2.77"
CLIENT = "203.0.113.5"
LIE = "198.51.100.1"


def seen(named: tuple[str, ...], remote: str, **headers: str) -> tuple[str, str, bool]:
    """Return address and scheme an application sees, and whether it was told that a proxy stands between."""
    environ = {"REMOTE_ADDR": remote, "wsgi.url_scheme": "https"}
    environ |= {f"HTTP_{name.upper()}": value for name, value in headers.items()}
    found: list[tuple[str, str, bool]] = []
    Proxies(named).wrapped(
        lambda given, _: found.append((given["REMOTE_ADDR"], given["wsgi.url_scheme"], VIA in given))
    )(environ, None)
    return found[0]


@pytest.mark.parametrize("remote", [CLIENT, "127.0.0.1", "::1", "", "unix"])
@pytest.mark.parametrize("named", [(), (PROXY,)])
def test_a_stranger_is_not_believed(named: tuple[str, ...], remote: str) -> None:
    """Whatever he writes, his address is the socket's, and so is the scheme."""
    said = seen(named, remote, x_forwarded_for=LIE, x_forwarded_proto="http", x_real_ip=LIE)
    standard = seen(named, remote, forwarded=f"for={LIE};proto=http")

    assert said == standard == (remote, "https", False)


@pytest.mark.parametrize(
    ("headers", "peer", "scheme"),
    [
        ({}, PROXY, "http"),
        ({"x_forwarded_for": CLIENT}, CLIENT, "http"),
        ({"x_forwarded_for": CLIENT, "x_forwarded_proto": "https"}, CLIENT, "https"),
        ({"x_forwarded_for": CLIENT, "x_forwarded_proto": "http, HTTPS"}, CLIENT, "https"),
        ({"x_forwarded_for": CLIENT, "x_forwarded_proto": "gopher"}, CLIENT, "http"),
        ({"x_forwarded_for": f"{LIE}, {CLIENT}"}, CLIENT, "http"),
        ({"x_forwarded_for": f"{LIE},127.0.0.1,  {CLIENT}"}, CLIENT, "http"),
        ({"x_forwarded_for": f"{LIE}, {CLIENT}, {INNER}"}, CLIENT, "http"),
        ({"x_forwarded_for": f"{LIE}, {PROXY}, {CLIENT}, {INNER}, {INNER}"}, CLIENT, "http"),
        ({"x_forwarded_for": INNER}, INNER, "http"),
        ({"x_forwarded_for": f"{LIE}, unknown"}, PROXY, "http"),
        ({"x_forwarded_for": f"{LIE}, <script>, {INNER}"}, INNER, "http"),
        ({"x_forwarded_for": f"{LIE},"}, PROXY, "http"),
        ({"x_forwarded_for": f"{CLIENT}:4711"}, CLIENT, "http"),
        ({"x_forwarded_for": "2001:db8::5"}, "2001:db8::5", "http"),
        ({"x_forwarded_for": "[2001:db8::5]:4711"}, "2001:db8::5", "http"),
        ({"x_forwarded_for": f"::ffff:{CLIENT}"}, CLIENT, "http"),
        ({"x_forwarded_for": ", ".join([LIE] * 5000 + [CLIENT])}, CLIENT, "http"),
        ({"forwarded": f"for={CLIENT};proto=https"}, CLIENT, "https"),
        ({"forwarded": f'For="{CLIENT}:80" ; Proto=HTTPS;by={PROXY}'}, CLIENT, "https"),
        ({"forwarded": 'for="[2001:db8::5]:4711";proto=https'}, "2001:db8::5", "https"),
        ({"forwarded": f"for={LIE};proto=https, for={CLIENT};proto=http"}, CLIENT, "http"),
        ({"forwarded": f"for={LIE}, for={CLIENT};proto=https, for={INNER};proto=http"}, CLIENT, "https"),
        ({"forwarded": f"for={LIE}, for=_hidden"}, PROXY, "http"),
        ({"forwarded": f'for={LIE}, for="{CLIENT}'}, PROXY, "http"),
        ({"forwarded": f'for="a\\"b, for={LIE}"'}, PROXY, "http"),
        ({"forwarded": f"for={CLIENT};;;"}, PROXY, "http"),
        ({"forwarded": f"for={LIE}", "x_forwarded_for": CLIENT}, PROXY, "http"),
        ({"forwarded": f"for={CLIENT}", "x_forwarded_for": LIE}, PROXY, "http"),
    ],
)
def test_the_first_address_from_the_right_that_is_no_proxys_asks(
    headers: dict[str, str], peer: str, scheme: str
) -> None:
    """What a client put further left counts for nothing; where both headers came, nobody knows whose one is."""
    assert seen((PROXY, "192.0.2.64/26"), PROXY, **headers) == (peer, scheme, True)


def test_a_network_may_be_named_in_either_family() -> None:
    """A socket that takes both shows IPv4 addresses inside IPv6 ones."""
    assert seen(("192.0.2.0/24",), f"::ffff:{PROXY}", x_forwarded_for=CLIENT)[0] == CLIENT
    assert seen(("2001:db8::/32",), "2001:db8::9", x_forwarded_for=CLIENT)[0] == CLIENT
    assert seen(("2001:db8::/32",), PROXY, x_forwarded_for=CLIENT)[0] == PROXY


@pytest.mark.parametrize("named", ["", "proxy.example", "10.0.0.1/8", "10.0.0.0/33", "*", "0"])
def test_what_is_no_address_is_refused(named: str) -> None:
    """A name could be anybody's by tomorrow."""
    with pytest.raises(ConfigError, match="neither"):
        Proxies([named])


def asking(hub: Hub, *named: str) -> FlaskClient:
    """Return a client of the hub's application with these proxies named."""
    return create_app(hub, Front(proxies=Proxies(named))).test_client()


def wrong_tokens(asker: FlaskClient, count: int, hidden_as: str) -> list[int]:
    """Return how wrong tokens were answered that came from PROXY, as if for `hidden_as` and then another."""
    return [
        asker.get(
            wire.SCANS,
            headers={"Authorization": f"Bearer {number}", "X-Forwarded-For": hidden_as.format(number)},
            environ_overrides={"REMOTE_ADDR": PROXY},
        ).status_code
        for number in range(count)
    ]


def test_who_guesses_tokens_hides_behind_no_header(hub: Hub) -> None:
    """Ten tries an address: of the socket where no proxy is named, of the right-most stranger where one is."""
    direct = wrong_tokens(asking(hub), 12, "10.0.0.{}")
    behind = wrong_tokens(asking(hub, PROXY), 12, f"10.0.0.{{}}, {CLIENT}")
    others = wrong_tokens(asking(hub, PROXY), 12, "10.0.0.{}")

    assert direct == behind == [401] * 10 + [429] * 2
    assert others == [401] * 12


def test_the_audit_names_who_asked_the_proxy(hub: Hub, desk: Desk) -> None:
    """And the proxy itself where it was not named."""
    token = desk.new_token("auditor")
    headers = {"Authorization": f"Bearer {token}", "X-Forwarded-For": f"{LIE}, {CLIENT}"}
    for client in (asking(hub), asking(hub, PROXY)):
        client.get(wire.SCANS, headers=headers, environ_overrides={"REMOTE_ADDR": PROXY})

    assert [one["peer"] for one in desk.pulls(10)] == [CLIENT, PROXY]


@pytest.mark.parametrize(("scheme", "is_secure"), [("https", True), ("http", False)])
def test_the_cookie_is_secure_where_the_proxy_was_asked_by_tls(hub: Hub, scheme: str, *, is_secure: bool) -> None:
    """By the proxy's word alone."""
    headers = {"X-Forwarded-For": CLIENT, "X-Forwarded-Proto": scheme, "Host": "localhost"}
    told = asking(hub, PROXY).get("/login", headers=headers, environ_overrides={"REMOTE_ADDR": PROXY})
    stranger = asking(hub, PROXY).get("/login", headers=headers, environ_overrides={"REMOTE_ADDR": CLIENT})

    assert ("Secure" in told.headers["Set-Cookie"]) is is_secure
    assert "Secure" not in stranger.headers["Set-Cookie"]


def test_behind_a_proxy_here_everybody_logs_in(hub: Hub) -> None:
    """Even where it says nothing of whom it speaks for, or speaks for somebody here."""
    from_here = {"REMOTE_ADDR": "127.0.0.1"}
    plain = asking(hub).get("/", environ_overrides=from_here)
    named = asking(hub, "127.0.0.1").get("/", environ_overrides=from_here)
    lied = asking(hub, PROXY).get(
        "/", headers={"X-Forwarded-For": "127.0.0.1"}, environ_overrides={"REMOTE_ADDR": PROXY}
    )

    assert [answer.status_code for answer in (plain, named, lied)] == [200, 302, 302]
