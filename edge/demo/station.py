"""A whole country in one folder: authority, hub and gate, each set up and started by its own command.

Nothing here reaches into any of them; what a technician would type is run, independent commands side by side.
"""

import json
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.demo.camera_link import Camera, await_camera
from edge.demo.comparison import Logged, logged
from edge.demo.processes import EDGE, Processes, Service, wait_until
from edge.demo.supply import Supply
from edge.demo.watch import is_answering
from edge.identity.identity import gate_id

SITE: Final = "西安北站 Xi'an North"
LANE: Final = "3"
REGION: Final = "610100"
_REFRESH_S: Final = 10
_PUSH_AFTER_S: Final = 2
_START_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the three serve on the loopback.

    Attributes:
        page: The gate's page.
        hub: The hub.
        authority: The authority's publication.
    """

    page: int
    hub: int
    authority: int


def choose_ports(wanted: Ports) -> Ports:
    """Return the ports wanted, each that is 0 or taken replaced by a free one."""
    chosen: list[int] = []
    for port in (wanted.page, wanted.hub, wanted.authority):
        chosen.append(port if port and port not in chosen and _is_free(port) else _free(chosen))
    return Ports(*chosen)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _free(taken: list[int]) -> int:
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        if port not in taken:
            return port


@dataclass(frozen=True, slots=True)
class Places:
    """Where everything is.

    Attributes:
        folder: The folder of all.
        ports: The ports of all.
    """

    folder: Path
    ports: Ports

    @property
    def authority(self) -> Path:
        """The authority's folder."""
        return self.folder / "authority"

    @property
    def hub(self) -> Path:
        """The hub's folder."""
        return self.folder / "hub"

    @property
    def config(self) -> Path:
        """The gate's settings."""
        return self.folder / "gate.toml"

    @property
    def state(self) -> Path:
        """The gate's state folder."""
        return self.folder / "gate"

    @property
    def hub_url(self) -> str:
        """Address of the hub."""
        return f"http://127.0.0.1:{self.ports.hub}"

    @property
    def trust_url(self) -> str:
        """Address of the publication."""
        return f"http://127.0.0.1:{self.ports.authority}"

    @property
    def page_url(self) -> str:
        """Address of the gate's page."""
        return f"http://127.0.0.1:{self.ports.page}/"

    def settings(self, stream: str) -> str:
        """Return the gate's settings: an ordinary gate with a network camera, quicker to push and to refresh."""
        return f"""\
schema = 1
state = "{self.state.name}"

[scanner]
sources = ["url:{stream}"]

[trust]
refresh_s = {_REFRESH_S}

[sync]
push_after_s = {_PUSH_AFTER_S}

[web]
port = {self.ports.page}
"""


class Station:
    """Authority, hub and gate.

    Args:
        processes: Runs the commands.
        places: Where everything is.
        camera: What the gate will look at.
    """

    def __init__(self, processes: Processes, places: Places, camera: Camera) -> None:
        self._processes = processes
        self._places = places
        self._camera = camera
        self.central: list[Service] = []
        """The hub and the authority, while they are not dead."""

    def set_up(self, supply: Supply) -> None:
        """Make all three, up to an enrolled gate that is ready to start; authority and hub run.

        Args:
            supply: Its first passes are issued on the way, before the one publication.

        Raises:
            SetupError: A command failed; what it said is in the message.
        """
        run, places = self._processes.command, self._places
        authority, hub, config = str(places.authority), str(places.hub), str(places.config)
        with ThreadPoolExecutor(1) as aside:
            run("authority", "init", authority)
            root = str(places.authority / "publication" / "metadata" / "1.root.json")
            addresses = ("--url", places.hub_url, "--trust-url", places.trust_url)
            made = aside.submit(run, "hub", "init", hub, *addresses, "--root", root, "--region", REGION, "--json")
            run("authority", "add-issuer", authority, "--profile", "all")
            # The hub's key stands in the first publication; what needs neither is done beside it.
            receipt_key = json.loads(made.result())["key"]
            place = ("--site", SITE, "--lane", LANE, "--region", REGION)
            invited = aside.submit(run, "hub", "invite", hub, *place, "--out", str(self._invitation))
            await_camera(self._camera)
            places.config.write_text(places.settings(self._camera.url), encoding="utf-8")
            keyed = aside.submit(run, "provision", "init", "--config", config)
            supply.open()
            run("authority", "add-hub", authority, "--key", receipt_key)
            run("authority", "publish", authority)
            for pending in (invited, keyed):
                pending.result()
        self.start_central()
        self.await_central()
        run("provision", "enroll", str(self._invitation), "--config", config, "--yes")

    @property
    def _invitation(self) -> Path:
        return self._places.folder / "invitation.txt"

    def start_central(self) -> None:
        """Start the hub and the authority; they answer a little later."""
        start, places = self._processes.start, self._places
        hub = (*EDGE, "hub", "serve", str(places.hub), "--port", str(places.ports.hub))
        authority = (*EDGE, "authority", "serve", str(places.authority), "--port", str(places.ports.authority))
        self.central = [start("hub", hub), start("authority", authority)]

    @property
    def is_central_answering(self) -> bool:
        """Whether both answer."""
        ports = self._places.ports
        return is_answering(ports.hub, "/v1/status") and is_answering(ports.authority, "/metadata/timestamp.json")

    def await_central(self) -> None:
        """Wait until both answer.

        Raises:
            SetupError: One ended or does not answer.
        """
        wait_until(lambda: self.is_central_answering, self.central, "the hub and the authority", _START_S)

    def kill_central(self) -> None:
        """Kill the hub and the authority as a power cut does."""
        for service in self.central:
            service.kill()
            self._processes.forget(service)
        self.central = []

    def start_gate(self) -> Service:
        """Start the gate; it is ready when its page says so."""
        return self._processes.start("gate", (*EDGE, "gate", "run", "--config", str(self._places.config)))

    def hub_log(self) -> list[Logged]:
        """Return every scan on the hub, as central operations pulls it.

        Raises:
            SetupError: The pull failed.
        """
        token = str(self._places.hub / "operator.token")
        source = ("--hub", self._places.hub_url, "--token-file", token)
        lines = self._processes.command("hub", "pull", *source, "--after", "0")
        return [logged(json.loads(line)) for line in lines.splitlines()]

    def gate_log(self) -> list[Logged]:
        """Return the gate's own log, oldest entry first, as its technician exports it.

        Raises:
            SetupError: The command failed.
        """
        lines = self._processes.command("scans", "export", "--config", str(self._places.config))
        gate = gate_id(self._places.state)
        return [logged(json.loads(line), gate=gate) for line in lines.splitlines()]


def command_name() -> str:
    """Return how a person types `edge` from any folder: by its path."""
    return str(Path(sys.executable).with_name("edge"))
