"""A gate's scanner part as its own process, read from standard input: codes go in, verdicts come from its socket."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

EDGE = [sys.executable, "-m", "edge"]


def edge(*words: object) -> str:
    """Run `edge ...`; return what it printed."""
    done = subprocess.run([*EDGE, *map(str, words)], capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        raise AssertionError(f"edge {' '.join(map(str, words))}: {done.stderr}")
    return done.stdout


class RunningGate:
    """`edge gate run --part scanner` on a state folder.

    Args:
        folder: Where `gate.toml` and the state folder go.
        region: Where the gate stands.
        more: Further lines of `gate.toml`; they begin in the section of the scanner.
        log: Where what it says on standard error is appended; nowhere by default.
    """

    def __init__(self, folder: Path, region: str = "440106", more: str = "", log: Path | None = None) -> None:
        self._log = log or Path(os.devnull)
        self.state = folder / "state"
        self.config = folder / "gate.toml"
        self.config.write_text(
            f'schema = 1\nstate = "{self.state}"\n[place]\nregion = "{region}"\n'
            f'[scanner]\nsources = ["stdin:-"]\n{more}'
        )
        self._process: subprocess.Popen[bytes] | None = None
        self._heard = b""

    def __enter__(self) -> Self:
        command = [*EDGE, "gate", "run", "--part", "scanner", "--config", str(self.config)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=log)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(0.05)
        self._heard = b""
        end = time.monotonic() + 30
        while True:
            try:
                self._socket.connect(str(self.state / "gate.sock"))
            except OSError:
                if time.monotonic() > end or self._process.poll() is not None:
                    raise
                time.sleep(0.02)
            else:
                return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End it in good order. A second call does nothing."""
        self._socket.close()
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
            self._process.terminate()
            self._process.wait(10)

    def kill(self) -> None:
        """End it without a word, from another thread too."""
        if self._process is not None:
            self._process.kill()

    def show(self, code: str) -> dict[str, Any]:
        """Hold one code before the gate and return its verdict.

        Raises:
            ConnectionError: The gate died before it answered.
        """
        if self._process is None or self._process.stdin is None:
            raise AssertionError("the gate does not run")
        self._process.stdin.write(code.encode() + b"\n")
        self._process.stdin.flush()
        return self.until(lambda event: event["type"] == "verdict")

    def until(self, is_it: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Return the next event that is asked for.

        Raises:
            ConnectionError: The gate died before.
        """
        end = time.monotonic() + 20
        while time.monotonic() < end:
            for event in self._events():
                if is_it(event):
                    return event
        raise AssertionError("the gate did not say it")

    def show_until_accepted(self, codes: list[str]) -> dict[str, Any]:
        """Hold up one code after the other, ten a second, until one is accepted or there are none left."""
        while True:
            verdict = self.show(codes.pop())
            if verdict["outcome"] == "accept" or not codes:
                return verdict
            time.sleep(0.1)

    def _events(self) -> list[dict[str, Any]]:
        try:
            heard = self._socket.recv(65536)
        except TimeoutError:
            return []
        if not heard:
            raise ConnectionError("the gate ended")
        self._heard += heard
        *lines, self._heard = self._heard.split(b"\n")
        return [json.loads(line) for line in lines]


class EighthRegion:
    """An authority of seven systems that a gate trusts, and an eighth region that is about to join.

    Args:
        folder: Where it is made.
    """

    def __init__(self, folder: Path) -> None:
        self.country = folder / "country"
        edge("authority", "init", self.country)
        edge("authority", "add-issuer", self.country, "--profile", "all")
        edge("authority", "publish", self.country)
        (root,) = (self.country / "publication/metadata").glob("*root.json")
        self._store = folder / "state/trust"
        edge("trust", "init", root, "--trust", self._store)
        self.refresh()
        self._folder = folder

    def refresh(self) -> None:
        """Bring the gate's trust up to date, as its sync part or a technician does."""
        edge("trust", "refresh", "--trust", self._store, "--from", self.country / "publication")

    def prepare(self, passes: int = 60) -> list[str]:
        """Add Shanghai to the sources, publish nothing, and return passes of it."""
        names = ("--name-zh", "随申码", "--name-en", "Shanghai Suishen Code")
        edge("authority", "add-issuer", self.country, "--id", "31", *names, "--region", 310000)
        wanted = self._folder / "wanted.ndjson"
        row = json.dumps({"issuer": "31", "surname": "张", "id_tail": "3416", "region": 310000})
        wanted.write_text(f"{row}\n" * passes)
        edge("authority", "issue", self.country, "--batch", wanted, "--out", self._folder / "passes")
        return [path.read_text().strip() for path in sorted((self._folder / "passes").glob("*.txt"))]

    def publish(self) -> None:
        """Sign and write what was prepared."""
        edge("authority", "publish", self.country)
