"""The hub under TLS of its own: real sockets, a private authority, and peers that stall or do not speak it."""

import contextlib
import json
import os
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edge.errors import ConfigError, Unreachable
from edge.hub import channel, client, folder
from edge.hub.certificate import Certificate
from edge.hub.client import Client, Query, Source
from edge.hub.desk import Desk
from edge.hub.front import Front, Named, load
from edge.hub.hub import Hub
from edge.hub.serve import Server, address, create_app, listen, make_server
from edge.ledger import wire
from edge.sync.transport import Question
from edge.sync.transports.http import HttpTransport
from tests.simulators.certificates import Authority
from tests.simulators.hub_gates import Device, enrol, post
from tests.simulators.hub_server import Caller, serving


def now_ms() -> int:
    """Return the machine's time: certificates are read by it at both ends."""
    return time.time_ns() // 1_000_000


@pytest.fixture
def clock() -> Callable[[], int]:
    """The hub's clock is the machine's."""
    return now_ms


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """An authority of our own."""
    return Authority(tmp_path)


@pytest.fixture
def certificate(authority: Authority) -> Certificate:
    """The hub's certificate under it."""
    return Certificate(*authority.certify(), now_ms)


@pytest.fixture
def url(hub: Hub, certificate: Certificate) -> Iterator[str]:
    """The address of the hub, served under TLS."""
    with serving(hub, Front(certificate)) as address_of_it:
        yield address_of_it


def where(url: str) -> tuple[str, int]:
    """Return host and port of an address."""
    host, _, port = url.rpartition("/")[2].partition(":")
    return host, int(port)


# Exchanges


def test_operations_pull_over_tls(hub: Hub, desk: Desk, url: str, authority: Authority) -> None:
    """With the private authority's file, by the client that the command line uses too; large answers come whole."""
    gate = Device()
    enrol(hub, desk, gate)
    gate.scan(6000)
    post(hub, gate.batches(500))
    token = client.read_token(desk.home.path / folder.OPERATOR)

    pages = list(Client(Source(url, token, str(authority.file))).pages(Query()))

    seqs = [json.loads(line)["hub_seq"] for page in pages for line in page.lines]
    assert url.startswith("https://")
    assert seqs == list(range(1, 6001))


def test_a_gate_beats_over_tls_on_one_connection(hub: Hub, desk: Desk, url: str, authority: Authority) -> None:
    """Held to the file of its settings, and the idle connection is kept between two heartbeats."""
    gate = Device()
    enrol(hub, desk, gate)
    with contextlib.closing(HttpTransport(url, 10, authorities=str(authority.file))) as way:
        first = way.exchange(Question(wire.HEARTBEAT, gate.heartbeat(now_ms()), wire.COSE_TYPE))
        is_open = way.hold()
        second = way.exchange(Question(wire.HEARTBEAT, gate.heartbeat(now_ms()), wire.COSE_TYPE))

    assert (first.status, is_open, second.status) == (200, True, 200)


def test_a_large_post_comes_over_whole(url: str, authority: Authority) -> None:
    """Of many TLS records: what OpenSSL holds back no poll would see."""
    body = os.urandom(wire.MAX_POST // 2)

    with Caller(url, ca_file=authority.file) as caller:
        answer = caller.post(wire.BATCHES, body)

    # Random bytes are no batches: the hub read them all to say so.
    assert answer.status in {200, 413}
    assert answer.body


def test_slow_readers_at_once_get_every_byte(hub: Hub, desk: Desk, url: str, authority: Authority) -> None:
    """The loop and the threads that answer share each connection: records are never torn or mixed."""
    gate = Device()
    enrol(hub, desk, gate)
    gate.scan(6000)
    post(hub, gate.batches(500))
    token = client.read_token(desk.home.path / folder.OPERATOR)
    context = ssl.create_default_context(cafile=authority.file)
    lines = ("GET /v1/scans?limit=6000 HTTP/1.1", "Host: x", f"Authorization: Bearer {token}", "Connection: close")

    def read(_: int) -> bytes:
        with socket.socket() as plain:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            plain.connect(where(url))
            with context.wrap_socket(plain, server_hostname="127.0.0.1", suppress_ragged_eofs=False) as peer:
                peer.sendall("\r\n".join((*lines, "", "")).encode())
                answer = bytearray()
                while piece := peer.recv(3000):
                    answer += piece
        return bytes(answer.partition(b"\r\n\r\n")[2])

    with ThreadPoolExecutor(6) as readers:
        bodies = set(readers.map(read, range(6)))

    assert len(bodies) == 1
    assert bodies.pop().count(b'"hub_seq":') == 6000


@pytest.mark.parametrize("size", [1, channel.RECORD - 1, channel.RECORD, channel.RECORD + 1, 5 * channel.RECORD])
def test_requests_of_every_size_around_a_record_are_read(url: str, authority: Authority, size: int) -> None:
    """None waits for bytes that were decrypted already."""
    with Caller(url, ca_file=authority.file) as caller:
        answers = [caller.post(wire.BATCHES, b"\xff" * size).status for _ in range(3)]

    assert answers == [answers[0]] * 3


def test_a_wrong_authority_is_no_hub(tmp_path: Path, desk: Desk, url: str) -> None:
    """Gate and client say which certificate does not verify and what to look at; no token leaves."""
    wrong = str(Authority(tmp_path, "wrong").file)
    with (
        pytest.raises(Unreachable, match="certificate") as at_gate,
        contextlib.closing(HttpTransport(url, 5, authorities=wrong)) as way,
    ):
        way.exchange(Question(wire.HEARTBEAT, b"x", wire.COSE_TYPE))
    with pytest.raises(Unreachable, match="certificate") as at_client:
        Client(Source(url, "token", wrong)).gates()
    with pytest.raises(Unreachable, match="certificate"):
        Client(Source(url, "token")).gates()

    assert "ca_file" in at_gate.value.next_step
    assert "--ca-file" in at_client.value.next_step


def test_a_file_without_certificates_is_said(tmp_path: Path, url: str) -> None:
    """Before anything is asked."""
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing")

    with pytest.raises(ConfigError, match="no certificates"):
        HttpTransport(url, 5, authorities=str(empty))
    with pytest.raises(ConfigError, match="no certificates"):
        Client(Source(url, "token", str(empty))).gates()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_older_versions_of_tls_are_not_spoken(url: str, authority: Authority, version: ssl.TLSVersion) -> None:
    """TLS 1.2 is the least."""
    old = ssl.create_default_context(cafile=authority.file)
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version = old.maximum_version = version
    with socket.create_connection(where(url), timeout=5) as peer, pytest.raises(ssl.SSLError):
        old.wrap_socket(peer, server_hostname="127.0.0.1")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_current_versions_of_tls_are_spoken_and_closed_properly(
    url: str, authority: Authority, version: ssl.TLSVersion
) -> None:
    """The end of a connection is told under TLS, so that nobody takes a cut for an end."""
    new = ssl.create_default_context(cafile=authority.file)
    new.minimum_version = new.maximum_version = version
    with (
        socket.create_connection(where(url), timeout=5) as peer,
        new.wrap_socket(peer, server_hostname="127.0.0.1", suppress_ragged_eofs=False) as secured,
    ):
        secured.sendall(b"GET /v1/status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = b""
        while piece := secured.recv(4096):
            answer += piece

    assert answer.startswith(b"HTTP/1.1 200")


# Peers that do not do as they should


@pytest.mark.parametrize("sent", [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"])
def test_a_stalled_handshake_holds_up_nobody(
    hub: Hub, certificate: Certificate, authority: Authority, sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fifty peers that stop in the middle: others are served at once, and the silent ones are hung up on in the end."""
    with _looking(hub, certificate) as (url, server):
        silent = [socket.create_connection(where(url), timeout=30) for _ in range(50)]
        for peer in silent:
            peer.sendall(sent)
        with Caller(url, timeout_s=5, ca_file=authority.file) as caller:
            status = caller.get("/v1/status").status
        monkeypatch.setattr(channel, "HANDSHAKE_S", 0)
        server.maintenance(now_ms() / 1000)
        server.pull_trigger()
        ends = [peer.recv(100) for peer in silent]
        for peer in silent:
            peer.close()

    assert status == 200
    assert not any(ends)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_plain_http_is_told_the_right_address(url: str, method: str) -> None:
    """In one sentence and in the clear; the body that came with it is not read."""
    with socket.create_connection(where(url), timeout=5) as peer:
        peer.sendall(f"{method} /v1/status HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc".encode())
        answer = b""
        while piece := peer.recv(4096):
            answer += piece
    head, _, body = answer.partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 400 ")
    assert json.loads(body)["code"] == "tls_needed"
    assert "https://" in json.loads(body)["next_step"]


def test_broken_tls_harms_nobody_else(url: str, authority: Authority) -> None:
    """Random bytes, a reset in the handshake, and one after it."""
    for sent in (os.urandom(300), b"\x16\x03\x01\x00\x05abcde", b"\x15\x03\x01\x00\x02\x02\x28", b"\x80\x2e\x01"):
        with socket.create_connection(where(url), timeout=5) as peer, contextlib.suppress(OSError):
            peer.sendall(sent)
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    context = ssl.create_default_context(cafile=authority.file)
    with context.wrap_socket(socket.create_connection(where(url)), server_hostname="127.0.0.1") as peer:
        peer.sendall(b"POST /v1/batches HTTP/1.1\r\nContent-Length: 999\r\n\r\nabc")
        # Under the TLS layer: bytes that are no record.
        socket.socket.send(peer, os.urandom(100))
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with Caller(url, ca_file=authority.file) as caller:
        assert caller.get("/v1/status").status == 200


def test_the_session_cookie_is_for_tls_only(url: str, desk: Desk, authority: Authority) -> None:
    """Whatever address `hub.toml` names."""
    with Caller(url, ca_file=authority.file) as caller:
        cookie = caller.get("/login").headers["Set-Cookie"]

    assert "Secure" in cookie


# Files


def test_a_renewed_certificate_is_served_without_a_restart(
    hub: Hub, certificate: Certificate, authority: Authority
) -> None:
    """New connections get the new one; those that stand go on."""
    with _looking(hub, certificate) as (url, server), Caller(url, ca_file=authority.file) as before:
        old = _serial(url, authority)
        authority.certify()
        server.maintenance(now_ms() / 1000)
        new = _serial(url, authority)
        status = before.get("/v1/status").status

    assert old != new
    assert status == 200


def test_a_renewal_that_cannot_be_used_is_a_finding_and_the_old_one_stays(
    authority: Authority, certificate: Certificate, caplog: pytest.LogCaptureFixture
) -> None:
    """Between the two files of a renewal, or for good: said once in the log, until the pair fits again."""
    chain, key = authority.certify("other")
    served = certificate.context
    key.replace(key.with_name("hub.key"))

    certificate.look()
    certificate.look()
    found = certificate.finding()
    is_kept = certificate.context is served
    chain.replace(chain.with_name("hub.pem"))
    certificate.look()

    assert is_kept
    assert found is not None
    assert (found.code, "does not belong" in found.message) == ("files", True)
    assert [record.levelname for record in caplog.records].count("ERROR") == 1
    assert certificate.finding() is None
    assert certificate.context is not served


def test_the_end_of_a_certificate_is_a_finding_before_it_comes(authority: Authority) -> None:
    """From two weeks before; once it is over it says so."""
    at = [now_ms()]
    certificate = Certificate(*authority.certify(days=20), lambda: at[0])
    codes = []
    for days in (0, 4, 6, 18, 20):
        at[0] = now_ms() + days * 86_400_000
        found = certificate.finding()
        codes.append(found and found.code)

    assert codes == [None, None, "soon", "soon", "expired"]


@pytest.mark.parametrize(
    ("days", "code", "shown"), [(90, "ok", ""), (10, "soon", "certificate ends on"), (None, "none", "")]
)
def test_a_finding_stands_on_the_page_and_in_the_status(
    hub: Hub, authority: Authority, days: float | None, code: str, shown: str
) -> None:
    """For whoever watches, and whatever watches."""
    front = Front(Certificate(*authority.certify(days=days), now_ms)) if days else Front()
    client = create_app(hub, front).test_client()
    page = client.get("/?lang=en").text

    assert client.get("/v1/status").json["certificate"] == code  # type: ignore[index]
    assert ("certificate" in page, shown in page) == (bool(shown), True)


def test_files_that_cannot_be_served_are_said_at_the_start(tmp_path: Path, authority: Authority) -> None:
    """Each with a next step; nothing asks for a passphrase."""
    chain, key = authority.certify()
    _, other = authority.certify("other")
    _, locked = authority.certify("locked", secret=b"secret")
    old = authority.certify("old", begin=datetime(2025, 1, 1, tzinfo=UTC), days=90)
    coming = authority.certify("coming", begin=datetime.now(UTC) + timedelta(days=2))  # noqa: TID251
    junk = tmp_path / "junk.pem"
    junk.write_bytes(os.urandom(1000))
    cases = {
        (chain, other): "does not belong",
        (chain, locked): "passphrase",
        (chain, junk): "does not belong",
        (junk, key): "no certificate",
        (tmp_path / "none.pem", key): "cannot be read",
        (chain, tmp_path / "none.key"): "cannot be read",
        old: "valid from 2025-01-01 to 2025-04-01",
        coming: "clock says",
    }
    said = {}
    for files in cases:
        with pytest.raises(ConfigError) as met:
            Certificate(*files, now_ms)
        said[files] = met.value

    assert all(cases[files] in error.message and error.next_step for files, error in said.items())


# Settings


def test_the_command_line_wins_over_hub_toml(desk: Desk, authority: Authority) -> None:
    """Files named in `hub.toml` lie beside it where they have no path of their own."""
    chain, _ = authority.certify()
    home = desk.home.path
    with (home / folder.CONFIG).open("a") as file:
        file.write('[serve]\ntls_cert = "../hub.pem"\ntls_key = "../hub.key"\ntrusted_proxies = ["10.0.0.0/8"]\n')

    of_file = load(home, Named(), now_ms)
    other = load(home, Named(*authority.certify("other"), ("127.0.0.1",)), now_ms)
    chain.unlink()

    assert of_file.certificate is not None
    assert other.certificate is not None
    assert folder.load(home).config.name
    with pytest.raises(ConfigError, match="cannot be read"):
        load(home, Named(), now_ms)


@pytest.mark.parametrize(
    "text",
    [
        'tls_cert = "a.pem"',
        'tls_key = "a.key"',
        "tls_cert = 1\ntls_key = 2",
        'trusted_proxies = "127.0.0.1"',
        'trusted_proxies = ["localhost"]',
        'trusted_proxies = ["10.0.0.1/8"]',
        "trusted_proxies = [1]",
        'verify = "no"',
    ],
)
def test_a_section_that_is_not_right_is_said(desk: Desk, text: str) -> None:
    """With what would be."""
    with (desk.home.path / folder.CONFIG).open("a") as file:
        file.write(f"[serve]\n{text}\n")

    with pytest.raises(ConfigError) as met:
        load(desk.home.path, Named(), now_ms)

    assert met.value.next_step


def _serial(url: str, authority: Authority) -> object:
    context = ssl.create_default_context(cafile=authority.file)
    with context.wrap_socket(socket.create_connection(where(url), timeout=5), server_hostname="127.0.0.1") as peer:
        found = peer.getpeercert()
        assert found is not None
        return found["serialNumber"]


@contextlib.contextmanager
def _looking(hub: Hub, certificate: Certificate) -> Iterator[tuple[str, Server]]:
    """Serve, and give the server too."""
    listening = listen("127.0.0.1", 0)
    server = make_server(hub, listening, Front(certificate))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield address(listening, is_secure=True), server
    finally:
        server.stop()
        thread.join(20)
        assert not thread.is_alive()
