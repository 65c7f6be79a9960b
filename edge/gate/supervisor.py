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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from edge.errors import PortInUse
from edge.model.settings import WebSettings

PARTS: Final = ("scanner", "web", "sync")
SETUP_EXIT: Final = 3
"""Exit code of a part that cannot start: starting it again at once would not help."""
_BACKOFF_S: Final = (0.5, 1.0, 2.0, 5.0, 10.0)
_STEADY_S: Final = 30.0
_STOP_WITHIN_S: Final = 5.0
_PR_SET_PDEATHSIG: Final = 1


@dataclass(slots=True)
class _Part:
    name: str
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    failures: int = 0
    starts: int = 0
    start_at: float = field(default=0.0)


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
    running = [_Part(name) for name in parts]
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
            part.process = _start(part.name, config)
            part.started_at = now
            part.starts += 1
        return 0
    ended = part.process.poll()
    if ended is None:
        return 0
    part.process = None
    if ended == SETUP_EXIT and part.name != "sync" and part.starts == 1 and now - part.started_at < _STEADY_S:
        # It has said what to put right; a gate without its scanner or page is none. Without sync it still works.
        return SETUP_EXIT
    part.failures = 0 if now - part.started_at > _STEADY_S else part.failures + 1
    part.start_at = now + _BACKOFF_S[min(part.failures, len(_BACKOFF_S) - 1)]
    print(f"edge: the {part.name} part ended (exit {ended}); it is started again.", file=sys.stderr)  # noqa: T201
    return 0


def _start(name: str, config: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "edge", "gate", "run", "--part", name, "--config", str(config)],
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
