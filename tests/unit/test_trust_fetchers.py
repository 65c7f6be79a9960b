"""Both fetchers keep the same promises; each also meets the peers and sticks that do not."""

import os
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from edge.errors import AnswerRefused, ConfigError, Unreachable
from edge.trust.fetchers import Fetcher, FolderFetcher, HttpFetcher, Way
from edge.trust.store import TrustStore
from tests.simulators.repository import NOW, Repository


@pytest.fixture
def publication(tmp_path: Path) -> Path:
    """A publication as files."""
    return Repository().write(tmp_path / "publication")


class Quiet(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    connections: set[Any] = set()  # noqa: RUF012

    def handle(self) -> None:
        self.connections.add(self.client_address)
        super().handle()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Say no and keep the connection, as real mirrors do."""
        self.send_response(code, message)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture
def serve() -> Iterator[Callable[[Any], str]]:
    """Start an HTTP server on a free loopback port and return its address."""
    running: list[ThreadingHTTPServer] = []

    def start(handler: Any) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        running.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in running:
        server.shutdown()
        server.server_close()


@pytest.fixture(params=["http", "folder"])
def fetcher(request: pytest.FixtureRequest, publication: Path, serve: Callable[[Any], str]) -> Iterator[Fetcher]:
    """Each implementation over the same publication."""
    if request.param == "folder":
        yield FolderFetcher(publication)
        return
    found = HttpFetcher(serve(lambda *args: Quiet(*args, directory=str(publication))))
    yield found
    found.close()


def responding(respond: Callable[[BaseHTTPRequestHandler], None]) -> type[BaseHTTPRequestHandler]:
    """Return a handler that answers every GET by `respond`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            respond(self)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    return Handler


# The promises


def test_a_file_comes_back_whole(fetcher: Fetcher, publication: Path) -> None:
    """The bytes are the file's, up to and including the bound."""
    content = (publication / "metadata/timestamp.json").read_bytes()

    assert fetcher.fetch("metadata/timestamp.json", len(content)) == content


def test_a_longer_file_is_not_taken(fetcher: Fetcher, publication: Path) -> None:
    """One byte above the bound is status 413."""
    size = (publication / "metadata/timestamp.json").stat().st_size

    with pytest.raises(AnswerRefused) as met:
        fetcher.fetch("metadata/timestamp.json", size - 1)
    assert met.value.status == 413


def test_a_missing_file_is_404(fetcher: Fetcher) -> None:
    """How the end of the chain of roots is told from a fault; the next file is served all the same."""
    with pytest.raises(AnswerRefused) as met:
        fetcher.fetch("metadata/2.root.json", 100)

    assert met.value.status == 404
    assert fetcher.fetch("metadata/1.root.json", 100_000)


def test_a_store_refreshes_from_it(fetcher: Fetcher, publication: Path, tmp_path: Path) -> None:
    """HTTP and stick are the same tree."""
    store = TrustStore.init(tmp_path / "trust", (publication / "metadata/1.root.json").read_bytes())

    store.refresh(fetcher, NOW)

    assert store.load().issuers.keys() == {"44"}


# HTTP


def test_one_connection_serves_a_whole_refresh(publication: Path, serve: Callable[[Any], str], tmp_path: Path) -> None:
    """Ten requests, one TCP connection."""
    Quiet.connections.clear()
    fetcher = HttpFetcher(serve(lambda *args: Quiet(*args, directory=str(publication))))
    store = TrustStore.init(tmp_path / "trust", (publication / "metadata/1.root.json").read_bytes())

    store.refresh(fetcher, NOW)
    fetcher.close()

    assert len(Quiet.connections) == 1


def test_a_redirect_is_not_followed(serve: Callable[[Any], str]) -> None:
    """A captive portal's 302 is an answer like any other wrong one."""

    def redirect(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", "http://127.0.0.1:9/login")
        handler.end_headers()

    with pytest.raises(AnswerRefused) as met:
        HttpFetcher(serve(responding(redirect))).fetch("metadata/timestamp.json", 100)
    assert met.value.status == 302


def test_an_answer_cut_short_is_unreachable(serve: Callable[[Any], str]) -> None:
    """Fewer bytes than announced are no file."""

    def half(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b"half")

    with pytest.raises(Unreachable):
        HttpFetcher(serve(responding(half))).fetch("metadata/timestamp.json", 2000)


def test_an_endless_answer_is_cut_at_the_bound(serve: Callable[[Any], str]) -> None:
    """Nobody announces a length; the bound holds all the same."""

    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        for _ in range(1000):
            handler.wfile.write(b"x" * 65536)

    with pytest.raises(AnswerRefused) as met:
        HttpFetcher(serve(responding(endless))).fetch("metadata/timestamp.json", 100_000)
    assert met.value.status == 413


def test_a_dripping_answer_is_cut_off_in_time() -> None:
    """A byte now and then keeps a socket's own time-out at bay; the whole exchange has one too."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stop = threading.Event()

        def drip() -> None:
            peer, _ = listener.accept()
            with peer:
                peer.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
                while not stop.wait(0.05):
                    try:
                        peer.sendall(b"x")
                    except OSError:
                        return

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        began = time.monotonic()
        fetcher = HttpFetcher(f"http://127.0.0.1:{listener.getsockname()[1]}", Way(timeout_s=0.4))
        with pytest.raises(Unreachable):
            fetcher.fetch("metadata/timestamp.json", 100_000)
        elapsed = time.monotonic() - began
        stop.set()
        thread.join(5)

    assert elapsed < 2.0


def test_a_web_page_is_no_publication(serve: Callable[[Any], str]) -> None:
    """A captive portal that answers 200 with its login page is told from a forged file."""

    def portal(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(b"\n<!DOCTYPE html><title>Welcome</title>")

    with pytest.raises(AnswerRefused, match="web page"):
        HttpFetcher(serve(responding(portal))).fetch("metadata/timestamp.json", 10_000)


def test_all_files_together_take_a_bounded_time(serve: Callable[[Any], str], publication: Path) -> None:
    """A mirror that answers each file just in time does not hold a gate for hours."""
    address = serve(lambda *args: Quiet(*args, directory=str(publication)))
    patient, hurried = HttpFetcher(address), HttpFetcher(address, Way(total_s=0.0))

    assert patient.fetch("metadata/1.root.json", 100_000)
    with pytest.raises(Unreachable, match="takes too long"):
        hurried.fetch("metadata/1.root.json", 100_000)
    patient.close()


def certificate(folder: Path) -> tuple[Path, Path]:
    """Make a key and its own certificate for 127.0.0.1; return both files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mirror")])
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=36_500))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, key_pem = folder / "ca.pem", folder / "key.pem"
    pem.write_bytes(made.public_bytes(Encoding.PEM))
    key_pem.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return pem, key_pem


@pytest.fixture
def https(tmp_path: Path, publication: Path) -> Iterator[tuple[str, Path]]:
    """Serve the publication by https under a certificate of our own; give address and certificate."""
    pem, key_pem = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key_pem)
    server = ThreadingHTTPServer(("127.0.0.1", 0), lambda *args: Quiet(*args, directory=str(publication)))
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that hangs up is what is tested
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"https://127.0.0.1:{server.server_port}", pem
    server.shutdown()
    server.server_close()


def test_https_is_held_to_the_certificates_of_the_settings(https: tuple[str, Path]) -> None:
    """A private authority's certificate is enough; without it nobody is believed to be the mirror."""
    address, pem = https
    known = HttpFetcher(address, Way(ca_file=str(pem)))

    assert known.fetch("metadata/1.root.json", 100_000)
    with pytest.raises(Unreachable):
        HttpFetcher(address).fetch("metadata/1.root.json", 100_000)
    known.close()


@pytest.mark.parametrize("content", [None, b"", b"rubbish"])
def test_a_file_without_certificates_is_named(tmp_path: Path, content: bytes | None) -> None:
    """A slip in the settings is said at once."""
    if content is not None:
        (tmp_path / "ca.pem").write_bytes(content)

    with pytest.raises(ConfigError, match=r"ca\.pem"):
        HttpFetcher("https://127.0.0.1:9", Way(ca_file=str(tmp_path / "ca.pem")))


def test_a_proxy_is_asked_for_the_whole_address(serve: Callable[[Any], str]) -> None:
    """Plain HTTP goes through a proxy by its absolute address (RFC 9112, 3.2.2)."""
    asked: list[str] = []

    def proxy(handler: BaseHTTPRequestHandler) -> None:
        asked.append(handler.path)
        handler.send_response(200)
        handler.send_header("Content-Length", "2")
        handler.end_headers()
        handler.wfile.write(b"{}")

    fetcher = HttpFetcher("http://mirror.example/edge", Way(proxy=serve(responding(proxy))))

    assert fetcher.fetch("metadata/timestamp.json", 100) == b"{}"
    assert asked == ["http://mirror.example/edge/metadata/timestamp.json"]


def test_https_goes_through_a_proxy_by_a_tunnel(serve: Callable[[Any], str], https: tuple[str, Path]) -> None:
    """The proxy is asked to connect and sees no file; the certificate is still the mirror's."""
    address, pem = https
    asked: list[str] = []

    class Tunnel(BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            asked.append(self.path)
            host, _, port = self.path.rpartition(":")
            with socket.create_connection((host, int(port))) as far:
                self.send_response(200)
                self.end_headers()
                pump(self.connection, far)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    fetcher = HttpFetcher(address, Way(ca_file=str(pem), proxy=serve(Tunnel)))

    assert fetcher.fetch("metadata/1.root.json", 100_000)
    assert asked == [address.removeprefix("https://")]
    fetcher.close()


def pump(one: socket.socket, other: socket.socket) -> None:
    """Carry bytes both ways until either side closes."""
    while True:
        for ready in select.select([one, other], [], [], 5)[0]:
            data = ready.recv(65536)
            if not data:
                return
            (other if ready is one else one).sendall(data)


def test_nobody_there_is_unreachable() -> None:
    """A closed port, and a name that is none."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    for address in (f"http://127.0.0.1:{port}", "http://" + "a" * 70 + ".invalid"):
        with pytest.raises(Unreachable):
            HttpFetcher(address, Way(timeout_s=2)).fetch("metadata/timestamp.json", 100)


def test_a_connection_closed_meanwhile_is_opened_again(publication: Path, serve: Callable[[Any], str]) -> None:
    """Between two refreshes the mirror closes the kept connection; the next fetch does not fail for it."""

    class Closing(Quiet):
        def handle(self) -> None:
            self.handle_one_request()

    fetcher = HttpFetcher(serve(lambda *args: Closing(*args, directory=str(publication))))

    assert all(fetcher.fetch("metadata/timestamp.json", 10_000) for _ in range(3))
    fetcher.close()


@pytest.mark.parametrize(
    "address", ["", "ftp://x/", "http://", "http://x:port/", "//x", "file:///etc", "http://user:secret@x/"]
)
def test_an_address_that_is_none_is_refused(address: str) -> None:
    """Only http and https, with a host and no password in it; the message repeats none of it."""
    with pytest.raises(ConfigError) as met:
        HttpFetcher(address)
    assert "secret" not in str(met.value)


# Folder


def test_no_stick_is_unreachable(tmp_path: Path) -> None:
    """A stick that was pulled is a transport fault, not a refusal."""
    with pytest.raises(Unreachable, match="not a folder"):
        FolderFetcher(tmp_path / "stick").fetch("metadata/timestamp.json", 100)


def _plant(kind: str, place: Path, outside: Path) -> None:
    place.unlink()
    match kind:
        case "link":
            place.symlink_to(outside)
        case "pipe":
            os.mkfifo(place)
        case "loop":
            place.symlink_to(place)
        case _:
            place.mkdir()


@pytest.mark.parametrize("kind", ["link", "pipe", "loop", "folder"])
def test_a_hostile_stick_leads_nowhere(publication: Path, tmp_path: Path, kind: str) -> None:
    """Links out of the stick, pipes without end, loops and folders are no files, and nothing hangs."""
    outside = tmp_path / "outside"
    outside.write_bytes(b"secret")
    _plant(kind, publication / "metadata/timestamp.json", outside)

    with pytest.raises((AnswerRefused, Unreachable)):
        FolderFetcher(publication).fetch("metadata/timestamp.json", 100)


def test_a_linked_folder_of_a_stick_leads_nowhere(publication: Path, tmp_path: Path) -> None:
    """A folder that is a link out of the stick holds no file of it."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "x.json").write_bytes(b"secret")
    (publication / "targets" / "elsewhere").symlink_to(tmp_path / "outside")

    with pytest.raises(AnswerRefused, match="outside"):
        FolderFetcher(publication).fetch("targets/elsewhere/x.json", 100)


def test_a_path_upwards_leads_nowhere(publication: Path) -> None:
    """Even where a caller were to ask for it."""
    with pytest.raises(AnswerRefused, match="outside"):
        FolderFetcher(publication).fetch("metadata/../../outside", 100)


def test_a_folder_named_with_dots_is_served(tmp_path: Path) -> None:
    """`../country` is where somebody keeps it; only a file's own name may not lead out."""
    (tmp_path / "here").mkdir()
    (tmp_path / "country" / "metadata").mkdir(parents=True)
    (tmp_path / "country" / "metadata" / "timestamp.json").write_bytes(b"{}")

    fetcher = FolderFetcher(tmp_path / "here" / ".." / "country")

    assert fetcher.fetch("metadata/timestamp.json", 10) == b"{}"
