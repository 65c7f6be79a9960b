"""One browser for all journeys, and a real kiosk process with a small scanner part behind it for each."""

import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.simulators.gate_socket import GateSocket

BROWSER_ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]
MISSING = "Chromium is not installed. Run: sudo apt-get install -y chromium fonts-noto-cjk fonts-inter"
VIEW = {"width": 1280, "height": 720}

_SERVE = """
import sys
from pathlib import Path
from edge.kiosk.serve import serve
from edge.model.settings import Settings, StaffSettings, WebSettings
state, port, language, sound, pin = sys.argv[1:]
settings = Settings(web=WebSettings(port=int(port), language=language, sound=sound), staff=StaffSettings(pin_file=pin))
serve(settings, Path(state))
"""


def free_port() -> int:
    """Return a port nobody listens at now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Kiosk:
    """The real web part as its own process.

    Args:
        state: The state folder; holds the gate's socket and `link.json`.
        language: Language a page starts in.
        sound: The sound policy.
        pin: Name of the PIN file; empty means no override.
    """

    def __init__(self, state: Path, language: str = "zh", sound: str = "verdict", pin: str = "pin") -> None:
        self.state = state
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = subprocess.Popen(
            [sys.executable, "-c", _SERVE, str(state), str(self.port), language, sound, pin],
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait(self) -> None:
        """Wait until it answers."""
        end = time.monotonic() + 15
        while time.monotonic() < end:
            try:
                urlopen(f"{self.url}/healthz", timeout=1).close()
            except (URLError, OSError):
                time.sleep(0.03)
            else:
                return
        raise AssertionError("the kiosk did not answer")

    def stop(self) -> tuple[int, str]:
        """Tell it to stop; return its exit code and what it said."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        _, said = self.process.communicate(timeout=10)
        return self.process.returncode, said

    def kill(self) -> None:
        """End it without a word."""
        self.process.kill()
        self.process.communicate(timeout=10)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium; its absence is a failure with the command that mends it."""
    executable = shutil.which("chromium")
    if executable is None:
        pytest.fail(MISSING)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=BROWSER_ARGS)
        yield browser
        browser.close()


@pytest.fixture
def new_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Make pages of their own context, closed afterwards; a page that logs an error fails its test."""
    contexts: list[BrowserContext] = []
    faults: list[str] = []

    def make(**options: object) -> Page:
        context = browser.new_context(**({"viewport": VIEW, "timezone_id": "Asia/Shanghai"} | options))
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        return page

    yield make
    for context in contexts:
        context.close()
    assert faults == []


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[GateSocket]:
    """A scanner part that runs."""
    socket_end = GateSocket(tmp_path / "gate.sock").start()
    (tmp_path / "link.json").write_text('{"link": "online", "since_ms": 1795000000000, "backlog": 3, "findings": []}')
    yield socket_end
    socket_end.stop()


@pytest.fixture
def start_kiosk(tmp_path: Path) -> Iterator[Callable[..., Kiosk]]:
    """Start kiosk processes, stopped afterwards."""
    started: list[Kiosk] = []

    def start(**options: str) -> Kiosk:
        kiosk = Kiosk(tmp_path, **options)
        started.append(kiosk)
        kiosk.wait()
        return kiosk

    yield start
    for kiosk in started:
        kiosk.stop()


@pytest.fixture
def kiosk(gate: GateSocket, start_kiosk: Callable[..., Kiosk]) -> Kiosk:
    """A kiosk with a scanner part behind it."""
    return start_kiosk()
