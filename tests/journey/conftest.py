"""One browser for all journeys, and a real kiosk process with a small scanner part behind it for each."""

import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

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
ONLINE = '{"link": "online", "since_ms": 1795000000000, "backlog": 3, "findings": []}'
CONFIG = re.compile(r'<script type="application/json" id="config">(.*?)</script>')
VIEW = {"width": 1280, "height": 720}

# A suite started in the background of a shell inherits a Ctrl-C that is ignored, and so would every command it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)

_SERVE = """
import sys
from pathlib import Path
from edge.kiosk.serve import serve
from edge.model.settings import Settings, StaffSettings, WebSettings
state, port, language, sound, pin, slips = sys.argv[1:]
web = WebSettings(port=int(port), language=language, sound=sound, slips=slips == "slips")
settings = Settings(web=web, staff=StaffSettings(pin_file=pin))
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
        slips: `slips` shows them unasked.
    """

    def __init__(
        self, state: Path, language: str = "zh", sound: str = "verdict", pin: str = "pin", *, slips: str = ""
    ) -> None:
        self.state = state
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = subprocess.Popen(
            [sys.executable, "-c", _SERVE, str(state), str(self.port), language, sound, pin, slips],
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


def kind_of(page: Page) -> str:
    """Return what fills the screen."""
    return page.evaluate("document.body.dataset.kind")


def see(page: Page, kind: str, timeout_ms: float = 5000) -> None:
    """Wait until something fills the screen."""
    expect(page.locator("body")).to_have_attribute("data-kind", kind, timeout=timeout_ms)


class Stand:
    """A kiosk process with a small scanner part behind it, put back to where it began before each test.

    Args:
        folder: The state folder.
        slips: As of `Kiosk`.
    """

    def __init__(self, folder: Path, slips: str = "") -> None:
        self.gate = GateSocket(folder / "gate.sock").start()
        self.kiosk = Kiosk(folder, slips=slips)
        self.kiosk.wait()

    def reset(self) -> None:
        """Forget pictures, commands and verdicts, and be online."""
        self.gate.reset()
        (self.kiosk.state / "link.json").write_text(ONLINE)
        token = json.loads(CONFIG.search(self._read("/"))[1])["token"]  # type: ignore[index] # it is on every page
        with urlopen(f"{self.kiosk.url}/events", timeout=5) as stream:
            snapshot = json.loads(stream.readline().removeprefix(b"data: "))
        shown = snapshot["open"] + ([snapshot["verdict"]] if snapshot["verdict"] else [])
        body = json.dumps({"cmd": "ack", "ids": [entry["id"] for entry in shown]}).encode()
        headers = {"Content-Type": "application/json", "X-Edge-Token": token}
        urlopen(Request(f"{self.kiosk.url}/command", body, headers), timeout=5).close()

    def stop(self) -> None:
        """End both."""
        self.kiosk.stop()
        self.gate.stop()

    def _read(self, path: str) -> str:
        with urlopen(f"{self.kiosk.url}{path}", timeout=5) as answer:
            return str(answer.read().decode())


@pytest.fixture(scope="session")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """One web part for all tests that leave it running: starting one for each would double their time."""
    made = Stand(tmp_path_factory.mktemp("stand"))
    yield made
    made.stop()


@pytest.fixture
def gate(stand: Stand) -> GateSocket:
    """A scanner part that runs, as at the beginning."""
    stand.reset()
    return stand.gate


@pytest.fixture
def kiosk(gate: GateSocket, stand: Stand) -> Kiosk:
    """A kiosk with a scanner part behind it; its test leaves it running."""
    return stand.kiosk


@pytest.fixture
def open_page(kiosk: Kiosk, new_page: Callable[..., Page]) -> Callable[..., Page]:
    """Open the staff page and wait until it is live."""

    def open_one(language: str = "zh", kind: str = "idle", **options: object) -> Page:
        page = new_page(**options)
        page.clock.install()
        page.goto(f"{kiosk.url}/?lang={language}")
        see(page, kind)
        return page

    return open_one


@pytest.fixture
def own_stand(tmp_path: Path) -> Iterator[Stand]:
    """A kiosk and a scanner part of the test's own, to be killed or frozen."""
    made = Stand(tmp_path)
    made.reset()
    yield made
    made.stop()
