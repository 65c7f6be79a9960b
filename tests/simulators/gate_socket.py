"""A scanner part in small: a real Unix socket that speaks the gate's protocol (docs/architecture.md).

Tests publish events through it and see which commands came. It answers as the real part does: notes from a fixed
list, the PIN for an override, ten seconds for an undo, one ending of a document, one entry for an accept that was not
shown. A picture is whatever JPEG the test gave it.
"""

import base64
import contextlib
import json
import socket
import threading
import time
from pathlib import Path
from typing import Any

from edge.words.catalogue import NOTES

UNDO_S = 10.0
TAIL = "341X"
"""How every document ends."""
PIN = "246810"
SLIP = "HS1:" + "A" * 546
"""As long as a real one."""
AT_MS = 1_795_000_000_000

HOLDER = {"surname": "张", "name": "张＊伟", "birth_year": 1988, "id_tail": "3416"}
ISSUER = {"zh": "西安一码通", "en": "Xi'an One-Code Pass"}
REGION = {"zh": "陕西省西安市", "en": "Xi'an, Shaanxi"}


def verdict(outcome: str, reason: str, seq: int, **changes: Any) -> dict[str, Any]:
    """Return a verdict event of a person pass; `changes` replace fields."""
    event = {
        "type": "verdict",
        "seq": seq,
        "recorded": True,
        "at_ms": AT_MS + seq * 1000,
        "outcome": outcome,
        "reason": reason,
        "format": "hp1",
        "issuer": "6101",
        "issuer_names": ISSUER,
        "kind": "person",
        "health": "green",
        "status": 0,
        "region": 610100,
        "region_names": REGION,
        "issued_at": AT_MS // 1000 - 3600,
        "expires_at": AT_MS // 1000 + 82_800,
        "holder": None if outcome == "reject" else HOLDER,
        "details": {},
        "warnings": [],
        "frame_to_verdict_ms": 31.2,
        "source": 0,
        "count": 1,
        "together": 1,
    }
    return event | changes


def accept(seq: int, **changes: Any) -> dict[str, Any]:
    """Return an accept."""
    return verdict("accept", "ok", seq, **changes)


def refer(seq: int, **changes: Any) -> dict[str, Any]:
    """Return a refer of a pass used three minutes ago."""
    return verdict("refer", "repeat.recent", seq, **({"details": {"ago_s": 180}} | changes))


def reject(seq: int, **changes: Any) -> dict[str, Any]:
    """Return a reject of a revoked pass."""
    return verdict("reject", "status.revoked", seq, **changes)


def standing(**changes: Any) -> dict[str, Any]:
    """Return a state event of a gate where everything works; `changes` replace fields."""
    event = {
        "type": "state",
        "at_ms": AT_MS,
        "place": {"site": "西安北站", "lane": "3", "region": "610100", "direction": "entry"},
        "gate": "a7f3c09d51e24b8890ab12cd34ef5678",
        "clock": "synced",
        "trust": {
            "band": "fresh",
            "age_s": 720,
            "version": 5,
            "policy_version": 2,
            "stale_after_s": 86_400,
            "too_old_after_s": 2_592_000,
            "policy_ended": False,
        },
        "counts": {"accept": 1326, "refer": 37, "reject": 14},
        "findings": [],
        "admitting": True,
        "frame_age_ms": 60,
        "last_seq": 482,
    }
    return event | changes


def aged(age_s: int, band: str, **changes: Any) -> dict[str, Any]:
    """Return a state event whose trust data is that old."""
    event = standing(**changes)
    return event | {"trust": event["trust"] | {"age_s": age_s, "band": band}}


class GateSocket:
    """Listens at a path and serves any number of web parts.

    Args:
        path: Where the socket stands.
        state: The state that greets who connects, or None for none.
    """

    def __init__(self, path: Path, state: dict[str, Any] | None = None) -> None:
        self.path = path
        self.state = standing() if state is None else state
        self.jpeg: bytes | None = None
        self.report: dict[str, Any] = {"since_ms": AT_MS - 14_400_000, "counts": {"accept": 2, "refer": 1, "reject": 1}}
        self.commands: list[dict[str, Any]] = []
        self.is_mute = False
        self.refusal: str = ""
        self._seq = 1000
        self._staff: dict[int, float] = {}
        self._taken_back: dict[int, int] = {}
        self._lock = threading.Lock()
        self._clients: list[socket.socket] = []
        self._server: socket.socket | None = None

    def start(self) -> "GateSocket":
        """Begin to listen."""
        self.path.unlink(missing_ok=True)
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._server.bind(str(self.path))
        self._server.listen(8)
        threading.Thread(target=self._accept, args=(self._server,), daemon=True).start()
        return self

    def reset(self) -> None:
        """Forget what a test set and what came, and say that everything works."""
        with self._lock:
            self.commands.clear()
        self.jpeg, self.is_mute, self.refusal, self._seq = None, False, "", 1000
        self._taken_back.clear()
        self.publish(standing())

    def stop(self) -> None:
        """Close everything, as a part that was killed does."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown(socket.SHUT_RDWR)
            server.close()
        with self._lock:
            clients, self._clients = self._clients, []
        for client in clients:
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
            client.close()
        self.path.unlink(missing_ok=True)

    def publish(self, *events: dict[str, Any]) -> None:
        """Send events to everybody; a state also greets who connects later."""
        for event in events:
            if event.get("type") == "state":
                self.state = event
            self.raw(json.dumps(event, ensure_ascii=False).encode() + b"\n")

    def raw(self, data: bytes) -> None:
        """Send bytes as they are."""
        with self._lock:
            for client in self._clients:
                client.sendall(data)

    def asked(self, name: str) -> list[dict[str, Any]]:
        """Return the commands of a name that came so far, without their ids."""
        with self._lock:
            found = [command for command in self.commands if command.get("cmd") == name]
        return [{key: value for key, value in command.items() if key != "id"} for command in found]

    def wait_for(self, name: str, timeout_s: float = 5.0) -> dict[str, Any]:
        """Return the newest command of a name, waiting for it.

        Raises:
            AssertionError: None came in time.
        """
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            found = self.asked(name)
            if found:
                return found[-1]
            time.sleep(0.01)
        raise AssertionError(f"no command {name} came")

    def _accept(self, server: socket.socket) -> None:
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            with self._lock:
                self._clients.append(client)
                client.sendall(json.dumps(self.state).encode() + b"\n")
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        rest = b""
        while True:
            try:
                chunk = client.recv(65536)
            except OSError:
                return
            if not chunk:
                return
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._answer(client, json.loads(line))

    def _answer(self, client: socket.socket, command: dict[str, Any]) -> None:
        with self._lock:
            self.commands.append(command)
            if self.is_mute:
                return
            answer = {"id": command.get("id")} | self._reply(command)
            client.sendall(json.dumps(answer).encode() + b"\n")

    def _reply(self, command: dict[str, Any]) -> dict[str, Any]:
        name = command["cmd"]
        if name == "preview":
            return {"ok": True, "jpeg": None if self.jpeg is None else base64.b64encode(self.jpeg).decode()}
        if name in ("report", "slip"):
            return {"ok": True, "report": self.report, "slip": SLIP}
        if self.refusal:
            return {"ok": False, "code": self.refusal, "message": "as the test asked"}
        if name in ("note", "override") and command.get("note") not in NOTES:
            return {"ok": False, "code": "note", "message": "not of the list"}
        if name == "override" and command.get("pin") != PIN:
            return {"ok": False, "code": "pin", "message": "the PIN is wrong"}
        if name == "undo" and time.monotonic() - self._staff.pop(command["seq"], float("-inf")) > UNDO_S:
            return {"ok": False, "code": "too_late", "message": "too late"}
        if name == "not_shown" and command["seq"] in self._taken_back:
            return {"ok": True, "seq": self._taken_back[command["seq"]]}
        self._seq += 1
        compared = {"matched": command["tail"].strip().upper() == TAIL} if name == "tail" else {}
        if name == "not_shown":
            self._taken_back[command["seq"]] = self._seq
        else:
            self._staff[self._seq] = time.monotonic()
        return {"ok": True, "seq": self._seq, **compared}
