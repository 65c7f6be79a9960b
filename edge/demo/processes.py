"""The demo's processes: commands that run and end, services that stay, and what clears up after all of them.

Every service has its own process group and log file. They are ended by `edge.demo.leash`, whichever way the demo ends.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.errors import SetupError

EDGE: Final = (sys.executable, "-P", "-m", "edge")
"""The command line of this very installation."""
_TAIL_LINES: Final = 12
_COMMAND_S: Final = 60.0


@dataclass(slots=True)
class Service:
    """A process that stays.

    Attributes:
        name: What it is, for messages.
        process: The process; its number is its group's.
        log: Where it writes.
    """

    name: str
    process: "subprocess.Popen[bytes]"
    log: Path

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    def kill(self) -> None:
        """Kill it and all it started, as a power cut does."""
        if self.process.returncode is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def bury(self) -> None:
        """Take note of its end, if it has ended."""
        if self.process.poll() is not None:
            for pipe in (self.process.stdin, self.process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()

    def tail(self) -> str:
        """Return the last lines of its log."""
        return tail(self.log)


def tail(log: Path) -> str:
    """Return the last lines of a log file."""
    try:
        text = log.read_bytes()[-8192:].decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-_TAIL_LINES:])


class Processes:
    """Everything the demo starts.

    Args:
        folder: Where everything is kept; log files go to its `logs`.
        is_kept: Whether the folder outlives the demo.
    """

    def __init__(self, folder: Path, *, is_kept: bool) -> None:
        self._logs = folder / "logs"
        self._logs.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._services: list[Service] = []
        self._leash = subprocess.Popen(
            [sys.executable, "-P", "-m", "edge.demo.leash"], stdin=subprocess.PIPE, text=True, start_new_session=True
        )
        if not is_kept:
            self._tell(f"={folder}")

    def _tell(self, line: str) -> None:
        pipe = self._leash.stdin
        if pipe is not None:
            with self._lock:
                pipe.write(line + "\n")
                pipe.flush()

    def close(self) -> None:
        """End every process and remove the folder unless it is kept; returns when that is done."""
        if self._leash.stdin is not None:
            self._leash.stdin.close()
        while self._leash.poll() is None:
            # One that has ended is there until somebody asks for it, and the leash would wait for it.
            for service in self._services:
                service.bury()
            time.sleep(0.02)
        for service in self._services:
            service.bury()

    def command(self, *arguments: str, is_urgent: bool = True) -> str:
        """Run `edge` with some arguments and return its standard output.

        Args:
            arguments: What to run.
            is_urgent: Whether somebody waits for it; else it leaves the processor to the gate.

        Raises:
            SetupError: It failed or took longer than a minute; what it said is in the message.
        """
        process = subprocess.Popen(
            [*(() if is_urgent else ("nice", "-n", "15")), *EDGE, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env=_environment(),
        )
        self._tell(f"+{process.pid}")
        shown = " ".join(arguments[:3])
        try:
            out, error = process.communicate(timeout=_COMMAND_S)
        except subprocess.TimeoutExpired:
            raise SetupError(f"edge {shown} took longer than a minute.", "Try again on a less busy machine.") from None
        finally:
            # On any way out, an interruption too: nothing is left running that nobody waits for.
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            self._tell(f"-{process.pid}")
        with (self._logs / "commands.log").open("a", encoding="utf-8") as log:
            log.write(f"$ edge {' '.join(arguments)}\n{error}")
        if process.returncode != 0:
            said = error.strip() or "nothing"
            raise SetupError(f"edge {shown} ended with {process.returncode} and said:\n{said}")
        return out

    def start(self, name: str, argv: Sequence[str], *, is_spoken_to: bool = False) -> Service:
        """Start a service.

        Args:
            name: What it is; its log file is named for it.
            argv: The command and its arguments.
            is_spoken_to: Whether its standard input and output are pipes of ours; else its output goes to its log.
        """
        log = self._logs / f"{name}.log"
        with log.open("ab") as file:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE if is_spoken_to else subprocess.DEVNULL,
                stdout=subprocess.PIPE if is_spoken_to else file,
                stderr=file,
                start_new_session=True,
                env=_environment(),
            )
        self._tell(f"+{process.pid}")
        service = Service(name, process, log)
        self._services.append(service)
        return service

    def forget(self, service: Service) -> None:
        """Take a service that has ended off the list of those to end."""
        self._tell(f"-{service.process.pid}")


def _environment() -> Mapping[str, str]:
    # A service's messages reach its log file line by line.
    return {**os.environ, "PYTHONUNBUFFERED": "1"}


def wait_until(answers: Callable[[], bool], services: Sequence[Service], what: str, within_s: float) -> None:
    """Wait until something holds.

    Args:
        answers: Asked every 30 ms; must not raise.
        services: What it depends on; one that ends meanwhile is an error at once.
        what: What is waited for, for the message.
        within_s: How long.

    Raises:
        SetupError: A service ended or the time is over; the message has the end of its log.
    """
    until = time.monotonic() + within_s
    while not answers():
        for service in services:
            if not service.is_running:
                raise SetupError(
                    f"The {service.name} ended with {service.process.returncode} while the demo waited for {what}:\n"
                    f"{service.tail()}",
                    f"Its whole log is {service.log} (run the demo with --keep).",
                )
        if time.monotonic() >= until:
            tails = "\n".join(f"--- {service.name}\n{service.tail()}" for service in services)
            raise SetupError(
                f"After {within_s:.0f} s the demo still waits for {what}:\n{tails}",
                "Run the demo again with --keep and read the logs in its folder.",
            )
        time.sleep(0.03)
