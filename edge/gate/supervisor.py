"""`edge gate run`: starts the three parts as processes of their own and starts again what ends.

The same commands as the systemd units; a part that crashes takes no other with it.
"""

import ctypes
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.errors import PortInUse
from edge.gate.claim import PARTS
from edge.model.settings import WebSettings

SETUP_EXIT: Final = 3
"""Exit code of a part that cannot start: starting it again at once would not help."""
_BACKOFF_S: Final = (0.5, 1.0, 2.0, 5.0, 10.0)
_SETUP_S: Final = 30.0
"""Between two starts of a part that waits for a person to put something right."""
_STEADY_S: Final = 30.0
_STOP_WITHIN_S: Final = 5.0
_PR_SET_PDEATHSIG: Final = 1


@dataclass(slots=True)
class Record:
    """How one part has fared.

    Attributes:
        name: Which part.
        failures: How often in a row it ended before it had worked for a while.
        has_worked: Whether it ever did.
    """

    name: str
    failures: int = 0
    has_worked: bool = False

    def pause_s(self, code: int, lasted_s: float) -> float | None:
        """Take note of an end and return how long to wait before the next start; None where the gate ends with it.

        A part that cannot start has said what to put right, and a gate without its scanner or its page is none. Once
        both have worked, the gate goes on and tries again now and then: whatever broke may be put right under way, and
        of two parts the other still does its work. Without sync it works in any case.

        Args:
            code: Exit code of the part.
            lasted_s: How long it ran, seconds.
        """
        is_steady = lasted_s > _STEADY_S
        self.has_worked |= is_steady
        self.failures = 0 if is_steady else self.failures + 1
        if code != SETUP_EXIT:
            return _BACKOFF_S[min(self.failures, len(_BACKOFF_S) - 1)]
        return _SETUP_S if self.has_worked or self.name == "sync" else None


@dataclass(slots=True)
class _Part:
    record: Record
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    start_at: float = 0.0


def check_port(web: WebSettings) -> None:
    """Find out whether the pages' address is free before anything starts.

    Raises:
        PortInUse: Somebody listens there, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in web.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((web.host, web.port))
        except OSError as error:
            raise PortInUse(
                f"The gate's pages cannot be served on {web.host}:{web.port}: {error.strerror}.",
                f"Find who listens there with `ss -ltnp sport = :{web.port}`, or set another [web] port in gate.toml.",
            ) from error


def supervise(config: Path, stop: threading.Event, *, parts: Sequence[str] = PARTS) -> int:
    """Keep the parts running until `stop` is set.

    Args:
        config: The gate.toml each part is started with.
        stop: Set to end.
        parts: Which parts.

    Returns:
        The exit code: 0, or 3 where the scanner part cannot start at all.
    """
    running = [_Part(Record(name)) for name in parts]
    code = 0
    try:
        while not stop.is_set() and code == 0:
            for part in running:
                code = code or _tend(part, config)
            stop.wait(0.1)
    finally:
        _end(running)
    return code


def _tend(part: _Part, config: Path) -> int:
    now = time.monotonic()
    if part.process is None:
        if now >= part.start_at:
            part.process = _start(part.record.name, config)
            part.started_at = now
        return 0
    ended = part.process.poll()
    if ended is None:
        return 0
    part.process = None
    pause_s = part.record.pause_s(ended, now - part.started_at)
    if pause_s is None:
        return SETUP_EXIT
    part.start_at = now + pause_s
    print(  # noqa: T201
        f"edge: the {part.record.name} part ended (exit {ended}); it is started again in {pause_s:g} s.",
        file=sys.stderr,
    )
    return 0


def _start(name: str, config: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "edge", "gate", "run", "--part", name, "--config", str(config)],
        stdin=subprocess.DEVNULL,
        start_new_session=False,
        preexec_fn=_die_with_parent,  # noqa: PLW1509  # one system call; no thread runs yet that could hold a lock
    )


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _end(parts: Sequence[_Part]) -> None:
    processes = [part.process for part in parts if part.process is not None]
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + _STOP_WITHIN_S
    for process in processes:
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
