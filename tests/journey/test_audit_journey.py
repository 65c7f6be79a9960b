"""Planted people go through a real gate to a real hub, and `edge audit privacy` looks for them wherever anything lies.

Gate, sync and hub are processes as they ship; the gate is killed once, so that a journal stays behind.
"""

import json
import signal
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from edge.audit import register
from edge.credentials.hp1 import FORMAT
from tests.simulators.hub import wait_until
from tests.simulators.running_gate import EDGE, RunningGate, edge

PEOPLE = [
    ("欧阳", "欧阳雪晴", "739X"),
    ("尉迟", "尉迟怀瑾", "0126"),
    ("Featherstonehaugh", "F. Featherstonehaugh", "88K2"),
]
STRANGE = ["WIFI:T:WPA;S:home;P:secret-word-of-a-guest;;", "https://example.invalid/?id=440106197701017399&n=1"]


class Town:
    """An authority with passes for the planted, a hub, a gate, and folders for what leaves them.

    Args:
        folder: Where all lies.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.country, self.hub, self.stick = folder / "country", folder / "hub", folder / "stick"
        self.logs, self.out, self.plant = folder / "logs", folder / "out", folder / "plant.jsonl"
        for made in (self.logs, self.out, self.stick):
            made.mkdir()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{free.getsockname()[1]}"
        self.verdicts: list[str] = []
        self.processes: list[subprocess.Popen[bytes]] = []
        self.gate = RunningGate(folder, more="[sync]\npush_at = 1\n", log=self.logs / "scanner.log")
        self._begin_authority()

    def _begin_authority(self) -> None:
        edge("authority", "init", self.country)
        edge("authority", "add-issuer", self.country, "--profile", "all")
        wanted = self.folder / "wanted.ndjson"
        rows = [
            {"issuer": "44", "surname": surname, "name": name, "id_tail": tail, "birth_year": 1977, "region": 440106}
            for surname, name, tail in PEOPLE
        ]
        wanted.write_text("".join(json.dumps(row) + "\n" for row in rows))
        edge("authority", "issue", self.country, "--batch", wanted, "--out", self.folder / "passes")
        edge("authority", "publish", self.country)
        self.codes = [path.read_text().strip() for path in sorted((self.folder / "passes").glob("*.txt"))]

    def plant_them(self) -> None:
        """Write down whom to look for: codes, signed bytes, signatures, pseudonyms, names."""
        rows: list[dict[str, str]] = []
        for number, (code, (surname, name, _)) in enumerate(zip(self.codes, PEOPLE, strict=True)):
            parsed = FORMAT.parse(code.encode())
            pseudonym = parsed.claims.pseudonym
            told = {"code": code.encode(), "signed bytes": parsed.signed[-40:], "signature": parsed.signature}
            rows += [{"label": f"person {number}, {what}", "hex": value.hex()} for what, value in told.items()]
            rows.append({"label": f"person {number}, pseudonym", "hex": pseudonym.hex()})
            rows += [
                {"label": f"person {number}, {what}", "text": one}
                for what, one in (("name", name), ("surname", surname))
            ]
        rows += [{"label": f"strange code {number}", "text": code} for number, code in enumerate(STRANGE)]
        self.plant.write_text("".join(json.dumps(row) + "\n" for row in rows))

    def start(self, name: str, *words: object) -> subprocess.Popen[bytes]:
        """Start `edge ...`, what it says kept in a log."""
        with (self.logs / f"{name}.log").open("ab") as log:
            process = subprocess.Popen([*EDGE, *map(str, words)], stdout=log, stderr=log)
        self.processes.append(process)
        return process

    def enrol(self) -> None:
        """Begin the hub and make the gate one of its gates."""
        (root,) = (self.country / "publication/metadata").glob("1.root.json")
        edge("hub", "init", self.hub, "--url", self.url, "--root", root, "--region", "440106")
        self.start("hub", "hub", "serve", self.hub, "--port", self.url.rpartition(":")[2])
        wait_until(self._listens, 20)
        code = json.loads(edge("hub", "invite", self.hub, "--site", "北站", "--lane", "3", "--json"))["code"]
        edge("provision", "init", "--config", self.gate.config)
        edge("provision", "enroll", code, "--config", self.gate.config, "--yes")
        edge("trust", "refresh", "--trust", self.gate.state / "trust", "--from", self.country / "publication")

    def _listens(self) -> bool:
        with socket.socket() as peer:
            return peer.connect_ex(("127.0.0.1", int(self.url.rpartition(":")[2]))) == 0

    def is_level(self) -> bool:
        """Whether the hub has signed for everything."""
        try:
            found = json.loads((self.gate.state / "link.json").read_bytes())
        except FileNotFoundError:
            return False
        return (found["link"], found["backlog"]) == ("online", 0) and found["last_push_ms"] is not None

    def walk_through(self) -> None:
        """Let everybody pass, and kill the gate in the middle."""
        with self.gate as gate:
            self.verdicts += [gate.show(code)["outcome"] for code in (*self.codes, *STRANGE)]
            gate.kill()
        self.start("sync", "gate", "run", "--part", "sync", "--config", self.gate.config)
        with self.gate as gate:
            self.verdicts += [gate.show(code)["outcome"] for code in self.codes]
            wait_until(self.is_level, 30)
            gate.kill()

    def take_out(self) -> None:
        """Pull, export, back up, carry off on a stick, write out evidence."""
        edge("hub", "pull", "--hub", self.url, "--dir", self.hub, "--out", self.out / "scans.ndjson")
        edge("hub", "export", self.hub, "--out", self.out / "export")
        edge("hub", "backup", self.hub, self.out / "backup.db")
        edge("hub", "incidents", self.hub, "--export", self.out / "evidence")
        edge("sync", "export-usb", self.stick, "--config", self.gate.config)
        (self.out / "list.txt").write_text(edge("scans", "list", "--config", self.gate.config))

    def audit(self) -> tuple[int, dict[str, Any]]:
        """Search everything but the authority and the passes themselves."""
        places = (self.gate.state, self.hub, self.logs, self.out, self.stick)
        command = [*EDGE, "audit", "privacy", *map(str, places), "--plant", str(self.plant), "--json"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        return done.returncode, json.loads(done.stdout)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A town in which everybody has passed; gate and sync are killed, so that journals are left; the hub serves."""
    made = Town(tmp_path_factory.mktemp("town"))
    try:
        made.enrol()
        made.walk_through()
        made.plant_them()
        made.take_out()
        for process in made.processes[1:]:
            process.send_signal(signal.SIGKILL)
            process.wait(10)
        yield made
    finally:
        for process in made.processes:
            process.kill()
            process.wait(10)


def test_nobody_planted_is_found(town: Town) -> None:
    """In the folders of gate and hub, their logs, a pull, an export, a backup, evidence and a stick: 0 of all forms."""
    code, told = town.audit()

    assert town.verdicts.count("accept") >= len(PEOPLE)
    assert (told["found"], told["unread"], code) == ([], [], 0)
    # It did look: at journals, at records, and into what is packed.
    assert {f"{town.gate.state}/scans.db-wal", f"{town.hub}/hub.db-wal"} <= set(map(str, town.folder.rglob("*-wal")))
    assert all(told[what] > 0 for what in ("records", "inflated", "needles"))


@pytest.mark.parametrize(
    "place",
    ["hub/hub.log", "state/scans.db-journal", "logs/scanner.log", "out/export/notes.txt", "stick/edge-scans/x.batches"],
)
def test_one_that_is_planted_there_is_found(town: Town, place: str) -> None:
    """The control: a code in one file of any folder, and the report does not repeat it."""
    file = town.folder / place
    before = file.read_bytes() if file.exists() else None
    with file.open("ab") as opened:
        opened.write(b"WARNING code " + town.codes[0].encode())

    code, told = town.audit()

    if before is None:
        file.unlink()
    else:
        file.write_bytes(before)
    assert code == 1
    assert {(one["file"], one["label"]) for one in told["found"]} >= {(str(file), "person 0, code")}
    assert town.codes[0][20:50] not in json.dumps(told)


def test_a_name_in_the_hubs_database_is_found(town: Town) -> None:
    """The control in a table: somebody types a holder's name as the name of a site."""
    copy = town.out / "copy.db"
    with closing(sqlite3.connect(town.hub / "hub.db")) as hub, closing(sqlite3.connect(copy)) as other:
        hub.backup(other)
        other.execute("UPDATE places SET site = ?", (PEOPLE[0][1],))
        other.commit()

    code, told = town.audit()
    copy.unlink()

    assert code == 1
    assert {one["file"] for one in told["found"]} == {str(copy)}


def test_everything_there_is_stands_in_the_register(town: Town) -> None:
    """Files of gate and hub, and the numbers that the hub heard in heartbeats."""
    kept = {record.name: {field.name for field in record.fields} for record in register.load().records}
    files = {file.name.removesuffix("-wal").removesuffix("-shm") for file in town.gate.state.iterdir()}
    with closing(sqlite3.connect(town.hub / "hub.db")) as hub:
        ((health,),) = hub.execute("SELECT health FROM gates").fetchall()

    assert files <= kept["state folder"]
    assert {file.name.removesuffix("-wal").removesuffix("-shm") for file in town.hub.iterdir()} <= kept["hub folder"]
    assert set(json.loads(health)) <= kept["heartbeat: health"]
