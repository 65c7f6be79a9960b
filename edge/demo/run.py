"""`edge demo`, from the first process to the last comparison.

Set up a country, let people pass its gate, kill hub and authority in the middle, compare everything at the end. Every
way out (done, Ctrl-C, a signal, an error, even a kill) ends all processes and removes the folder.
"""

import contextlib
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Final

from rich.console import Console

from edge.demo.blackout import Blackout
from edge.demo.camera_link import Camera, start_camera
from edge.demo.comparison import Comparison, compare
from edge.demo.display import Display, Lines, LiveTable
from edge.demo.people import Programme
from edge.demo.play import Cast, Play
from edge.demo.processes import Processes, Service, wait_until
from edge.demo.station import Places, Ports, Station, choose_ports, command_name
from edge.demo.summary import Result, write
from edge.demo.supply import Issuing, Supply
from edge.demo.timetable import outages, pace
from edge.demo.watch import Page, PageWatcher, link_of
from edge.errors import SetupError

_GATE_READY_S: Final = 30.0
_SYNCED_S: Final = 30.0
_FAILED: Final = 1
_MAX_SOCKET_PATH: Final = 107


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for.

    Attributes:
        seconds: How long people come, None for until Ctrl-C.
        offline_s: How long hub and authority are dead, None for the usual.
        seed: Who comes, and how, follows from it.
        is_headless: Whether to print plain lines even in a terminal.
        out: Where the summary is written, or None.
        is_kept: Whether the folder with everything stays.
        ports: Where to serve, if free.
    """

    seconds: float | None = None
    offline_s: float | None = None
    seed: int = 1
    is_headless: bool = False
    out: Path | None = None
    is_kept: bool = False
    ports: Ports = Ports(8080, 8090, 8091)


class _Stop:
    """Ctrl-C once ends the programme, twice everything; another signal everything at once."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self.is_playing = False

    def on_signal(self, number: int, _frame: FrameType | None) -> None:
        """Take a signal."""
        if number == signal.SIGINT and self.is_playing and not self.event.is_set():
            self.event.set()
        elif number == signal.SIGINT:
            raise KeyboardInterrupt
        else:
            raise SystemExit(128 + number)

    @contextlib.contextmanager
    def heeding(self) -> Iterator[None]:
        """Heed signals while inside."""
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {number: signal.signal(number, self.on_signal) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def run(options: Options) -> int:
    """Run the demo.

    Returns:
        0 where everything adds up, else 1.

    Raises:
        EdgeError: A process could not be started or ended by itself.
        KeyboardInterrupt: It was broken off before there was anything to compare.
    """
    began_s = time.monotonic()
    console = Console()
    folder = _folder(options)
    stop = _Stop()
    processes = Processes(folder, is_kept=options.is_kept)
    try:
        with stop.heeding():
            result = _Demo(options, processes, folder, console).play(stop, began_s)
    finally:
        processes.close()
        if options.is_kept:
            console.print(f"Everything is kept in {folder}", markup=False, highlight=False, soft_wrap=True)
    for line in result.words():
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    if options.out is not None:
        try:
            console.print(f"Summary: {write(result, options.out)}", markup=False, highlight=False, soft_wrap=True)
        except OSError as error:
            raise SetupError(f"{options.out} cannot be written: {error.strerror}.", "Name another --out.") from error
    return 0 if result.is_right else _FAILED


def _folder(options: Options) -> Path:
    """Make the folder that everything is kept in.

    Raises:
        SetupError: It cannot be made, or its path is too long for the gate's socket.
    """
    try:
        parent = Path(tempfile.gettempdir())
        if options.is_kept and options.out is not None:
            options.out.mkdir(parents=True, exist_ok=True)
            parent = options.out
        folder = Path(tempfile.mkdtemp(prefix="edge-demo-", dir=parent.resolve()))
    except OSError as error:
        raise SetupError(f"There is no room for the demo: {error.strerror}.", "Set TMPDIR, or name --out.") from error
    # A Unix socket lies in it, and its address has room for 107 bytes (unix(7)).
    if len(os.fsencode(folder / "gate" / "gate.sock")) > _MAX_SOCKET_PATH:
        folder.rmdir()
        raise SetupError(f"The path {folder} is too long for a socket.", "Set TMPDIR, or --out, to a shorter one.")
    return folder


class _Demo:
    """One demo, set up and run."""

    def __init__(self, options: Options, processes: Processes, folder: Path, console: Console) -> None:
        self._options = options
        self._processes = processes
        self._console = console
        self._places = Places(folder, choose_ports(options.ports))
        self._pace = pace(options.seconds)

    def play(self, stop: _Stop, began_s: float) -> Result:
        """Set up, let people come, compare.

        Raises:
            EdgeError: A process could not be started or ended by itself.
        """
        options = self._options
        camera = start_camera(self._processes, options.seed)
        issuing = Issuing(self._processes, self._places.authority, self._places.folder)
        supply = Supply(issuing, Programme(options.seed, self._pace), options.seed, _now_ms)
        self._say("Setting up an authority, a hub and a gate ...")
        station = Station(self._processes, self._places, camera)
        station.set_up(supply)
        gate = station.start_gate()
        with ExitStack() as stack:
            page, display = Page(), stack.enter_context(self._display())
            blackout = Blackout(station, outages(options.seconds, options.offline_s))
            services = _Services(gate, camera, station)
            cast = Cast(camera, supply, blackout, lambda: link_of(self._places.state), services.all, display)
            most = None if options.seconds is None else max(1, int(options.seconds / self._pace.person_s))
            play = Play(cast, most)
            watcher = self._watch(page, play)
            stack.callback(watcher.stop)
            wait_until(lambda: page.is_ready, [gate, camera.service], "the gate's page to be ready", _GATE_READY_S)
            stop.is_playing = True
            opened_s = time.monotonic()
            play.run(stop.event)
            seconds = time.monotonic() - opened_s
            comparison = self._compare(station, play, display)
        camera.close()
        first_green_s = None if play.first_green_s is None else play.first_green_s - began_s
        return Result(comparison, blackout.times, play.took_ms, first_green_s, seconds, options.seed)

    def _say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _watch(self, page: Page, play: Play) -> PageWatcher:
        def on_event(event: dict[str, Any]) -> None:
            page.take(event)
            play.events.put(event)

        watcher = PageWatcher(self._places.ports.page, on_event)
        watcher.start()
        return watcher

    def _head(self) -> list[str]:
        places = self._places
        pull = (
            f"{command_name()} hub pull --hub {places.hub_url} --token-file {places.hub / 'operator.token'} --after 0"
        )
        return [
            f"Gate page  {places.page_url}?lang=en   {places.page_url}?lang=zh",
            f"Hub page   {places.hub_url}/",
            f"The hub's log, from another terminal:  {pull}",
            "Ctrl-C ends the demo and compares everything.",
        ]

    @contextlib.contextmanager
    def _display(self) -> Iterator[Display]:
        if self._options.is_headless or not self._console.is_terminal:
            for line in self._head():
                self._say(line)
            yield Lines(self._console)
            return
        with LiveTable(self._console, self._head()) as table:
            yield table

    def _compare(self, station: Station, play: Play, display: Display) -> Comparison:
        """Wait until the hub has the whole log, at most half a minute, and compare."""
        display.say("Nobody comes any more; waiting for the last entries to reach the hub ...")
        until_s = time.monotonic() + _SYNCED_S
        while True:
            found = compare(play.shown, station.gate_log(), station.hub_log())
            if not found.lost or time.monotonic() >= until_s:
                return found
            time.sleep(0.5)


@dataclass(frozen=True, slots=True)
class _Services:
    """Processes that must not end by themselves."""

    gate: Service
    camera: Camera
    station: Station

    def all(self) -> list[Service]:
        """Return them."""
        return [self.gate, self.camera.service, *self.station.central]


def _now_ms() -> int:
    return int(time.time() * 1000)  # noqa: TID251  # the demo's own clock: it orders passes, it judges none


def main(options: Options) -> None:
    """Run the demo and exit.

    Raises:
        EdgeError: As `run`.
    """
    try:
        sys.exit(run(options))
    except KeyboardInterrupt:
        sys.exit(130)
