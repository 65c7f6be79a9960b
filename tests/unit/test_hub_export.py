"""Exports and their proof: what was exported holds with no hub at hand, and no change of it goes unnoticed.

Two who change are played: somebody on the way, who cannot sign, and a dishonest hub, which signs what it changed.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from nacl.signing import SigningKey

from edge.codec import cbor
from edge.errors import ConfigError, FolderInUse
from edge.hub import export, proof, statement
from edge.hub.export import Summary, Task
from edge.hub.hub import Hub
from edge.hub.proof import Report
from edge.ledger import batch, device
from tests.simulators.hub_gates import Clock, Device, begin, enrol, post

DAY_S = 86_400
VIEWS = ("ndjson", "csv", "parquet")


class Ledger:
    """A hub with two gates whose scans came on three days, one batch overlapping the one before."""

    def __init__(self, path: Path) -> None:
        self.clock = Clock()
        self.desk = begin(path / "hub", self.clock)
        self.out = path / "out"
        self.gates = Device(1), Device(2)
        hub = Hub.open(path / "hub", clock=self.clock)
        for gate, site in zip(self.gates, ("North, =1", "北站"), strict=True):
            enrol(hub, self.desk, gate, site=site)
            gate.scan(12)
        one, two = self.gates
        post(hub, [one.batch(1, 3), two.batch(1, 4), one.batch(2, 6)])
        self.clock.pass_s(DAY_S)
        post(hub, [one.batch(7, 9)])
        self.clock.pass_s(DAY_S)
        # A clock set back makes no earlier day of what comes later.
        self.clock.pass_s(-3 * DAY_S)
        post(hub, [two.batch(5, 8)])
        self.clock.pass_s(3 * DAY_S)
        post(hub, [two.batch(9, 12), one.batch(10, 12)])
        hub.close()

    def export(self, *days: str, views: tuple[str, ...] = VIEWS) -> Summary:
        return self.desk.export_ledger(Task(self.out, days, views), lambda *_: None)

    @property
    def key(self) -> SigningKey:
        return self.desk.home.key

    def verify(self, **keys: bytes) -> Report:
        trusted = keys or {device.key_id(self.desk.home.public).hex(): self.desk.home.public}
        return proof.verify(self.out, trusted, lambda *_: None)

    def file(self, pattern: str, day: int = 0) -> Path:
        """Return a file of a day."""
        days = sorted(one for one in self.out.iterdir() if one.is_dir())
        (found,) = days[day].glob(pattern)
        return found

    def edit_index(self, day: int, change: Callable[[dict[str, Any]], None]) -> None:
        index = self.file("index-*", day)
        content = json.loads(index.read_text())
        change(content)
        index.write_text(json.dumps(content))

    def sign(self, change: Callable[[dict[str, Any]], None] = lambda _: None) -> None:
        """Sign everything as it lies there now: what a dishonest hub does."""
        manifest = json.loads((self.out / "manifest.json").read_text())["signed"]
        for at, day in enumerate(manifest["days"]):
            self.edit_index(at, lambda content: rehash(content["files"], self.out / content["day"]))
            rehash([day["index"]], self.out / day["day"])
        change(manifest)
        (self.out / "manifest.json").write_bytes(statement.make("export", manifest, self.key))


def rehash(files: list[dict[str, Any]], folder: Path) -> None:
    """Put the hashes right."""
    for file in files:
        file["bytes"], file["sha256"] = export.digest(folder / file["name"])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    """A ledger, exported once."""
    ledger = Ledger(tmp_path_factory.mktemp("ledger"))
    ledger.export()
    return ledger


@pytest.fixture
def lean(ledger: Ledger) -> Ledger:
    """The same with one table, for walks: DuckDB takes its time to begin."""
    shutil.rmtree(ledger.out)
    ledger.export(views=("csv",))
    return ledger


@pytest.fixture
def ledger(made: Ledger, tmp_path: Path) -> Ledger:
    """The ledger with a copy of its export to spoil."""
    mine = object.__new__(Ledger)
    mine.__dict__ = dict(made.__dict__) | {"out": tmp_path / "out"}
    shutil.copytree(made.out, mine.out)
    return mine


# What is exported


def test_an_export_holds(made: Ledger) -> None:
    """All days, batches and scans, under the hub's key."""
    report = made.verify()

    assert report.faults == []
    assert (report.days, report.batches, report.scans, report.is_pinned) == (3, 7, 24, True)
    assert report.unchecked == []


def test_days_are_of_receipt_and_never_go_back(made: Ledger) -> None:
    """A hub clock set back by three days leaves the order of the hub sequence."""
    manifest = json.loads((made.out / "manifest.json").read_text())["signed"]

    assert [(day["day"], day["hub_first"], day["hub_last"]) for day in manifest["days"]] == [
        ("2026-11-18", 1, 10),
        ("2026-11-19", 11, 17),
        ("2026-11-20", 18, 24),
    ]


def test_the_batches_are_those_of_the_gates(made: Ledger) -> None:
    """Byte for byte what was signed, without the private part."""
    one, two = made.gates
    expected = [one.batch(1, 3), two.batch(1, 4), one.batch(2, 6)]

    assert b"".join(map(batch.without_private, expected)) == made.file("batches-*").read_bytes()


def test_no_token_is_exported(made: Ledger) -> None:
    """Neither raw nor in hex, in no file."""
    tokens = [number.to_bytes(8, "big") for number in range(1, 13)]
    for file in made.out.rglob("*.*"):
        content = file.read_bytes() if file.is_file() else b""

        assert not any(token.hex().encode() in content for token in tokens)
        for item in _items(content) if file.suffix == ".cbor" else []:
            assert batch.private_of(cbor.encode(item)) == b""


def test_the_same_export_again_writes_nothing(ledger: Ledger) -> None:
    """Not a byte changes, however much later."""
    before = {file: file.stat().st_mtime_ns for file in ledger.out.rglob("*.*") if file.is_file()}
    ledger.clock.pass_s(3600)

    assert ledger.export().written == 0
    assert before == {file: file.stat().st_mtime_ns for file in ledger.out.rglob("*.*") if file.is_file()}


def test_a_day_that_grew_is_written_anew_and_the_others_are_not(tmp_path: Path) -> None:
    """New names, then the manifest, then the old files go."""
    ledger = Ledger(tmp_path)
    ledger.export()
    gate = Device(3)
    hub = Hub.open(ledger.desk.home.path, clock=ledger.clock)
    enrol(hub, ledger.desk, gate)
    gate.scan(5)
    post(hub, gate.batches(5))
    hub.close()

    assert ledger.export() == Summary(days=3, written=1, batches=8, scans=29, last=29)
    assert ledger.verify().faults == []
    assert ledger.file("index-*", 2).name == "index-000000000000018-000000000000029.json"


def test_an_export_that_broke_off_anywhere_is_completed(ledger: Ledger) -> None:
    """Whatever file is missing, cut short or left over, the same command puts it right."""
    names = sorted(file.relative_to(ledger.out) for file in ledger.out.rglob("*.*") if file.is_file())
    for name in names:
        whole = (ledger.out / name).read_bytes()
        for content in (None, whole[: len(whole) // 2]):
            if name.name == "manifest.json" and content is not None:
                continue  # it is replaced in one step
            (ledger.out / name).unlink()
            if content is not None:
                (ledger.out / name).write_bytes(content)
            (ledger.out / "2026-11-18" / ".staged-left").write_bytes(b"half")

            ledger.export()

            assert ledger.verify().faults == [], name


def test_chosen_days_hold_by_themselves_and_add_up(ledger: Ledger) -> None:
    """The first and the third day leave a hole that is said; the second fills it."""
    shutil.rmtree(ledger.out)
    ledger.export("2026-11-18")
    ledger.export("2026-11-20")
    partial = ledger.verify()
    ledger.export("2026-11-19")

    assert (partial.faults, partial.days) == ([], 2)
    assert (ledger.verify().faults, ledger.verify().days) == ([], 3)
    assert json.loads((ledger.out / "manifest.json").read_text())["signed"]["is_partial"] is False


def test_a_day_nothing_came_on_is_said(ledger: Ledger) -> None:
    """And the export stays as it was."""
    with pytest.raises(ConfigError, match="nothing on 2026-01-01"):
        ledger.export("2026-01-01")

    assert ledger.verify().faults == []


def test_an_empty_ledger_exports(tmp_path: Path) -> None:
    """A manifest with no days, which holds."""
    desk = begin(tmp_path / "hub", Clock())
    desk.export_ledger(Task(tmp_path / "out"), lambda *_: None)

    assert proof.verify(tmp_path / "out", None, lambda *_: None).faults == []


def test_somebody_elses_folder_is_left_alone(ledger: Ledger, tmp_path: Path) -> None:
    """Neither a folder with other files nor another hub's export is written to."""
    other = begin(tmp_path / "other", Clock())
    diary = tmp_path / "diary"
    diary.mkdir()
    (diary / "monday").write_text("dear")

    for folder in (diary, ledger.out):
        with pytest.raises(ConfigError, match=r"something else|not of this hub"):
            other.export_ledger(Task(folder), lambda *_: None)
    assert ledger.verify().faults == []


def test_two_exports_do_not_share_a_folder(ledger: Ledger) -> None:
    """The second is told so, from another process."""
    import subprocess
    import sys

    code = (
        "import sys; from pathlib import Path; from edge.disk.lockfile import LockFile\n"
        "lock = LockFile(Path(sys.argv[1])); assert lock.take(); print('ours', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(ledger.out / ".lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "ours\n"
        with pytest.raises(FolderInUse):
            ledger.export()
        holder.communicate(timeout=20)


# Somebody on the way


def test_every_changed_byte_of_every_file_is_found(lean: Ledger) -> None:
    """One bit of it; white space in the manifest may change, for it says nothing."""
    for file in sorted(one for one in lean.out.rglob("*.*") if one.is_file() and one.name != ".lock"):
        whole = file.read_bytes()
        for at in range(0, len(whole), 3):
            file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
            is_same = file.name == "manifest.json" and _read(file) == json.loads(whole)
            assert is_same or lean.verify().count, (file.name, at)
        file.write_bytes(whole)
    assert lean.verify().faults == []


@pytest.mark.parametrize("pattern", ["index-*", "batches-*", "scans-*.csv", "scans-*.ndjson", "scans-*.parquet"])
def test_a_missing_file_is_named(ledger: Ledger, pattern: str) -> None:
    """By its path."""
    file = ledger.file(pattern, 1)
    file.unlink()

    assert f"{file.parent.name}/{file.name}: is missing" in {str(fault) for fault in ledger.verify().faults}


def test_a_file_more_is_named(ledger: Ledger) -> None:
    """Nothing rides along unsigned."""
    (ledger.out / "2026-11-19" / "notes.txt").write_text("x")

    assert [str(fault) for fault in ledger.verify().faults] == ["2026-11-19/notes.txt: is not in the manifest"]


def test_another_hubs_export_is_not_ours(ledger: Ledger) -> None:
    """Whole, and signed by a key nobody trusts."""
    other = SigningKey.generate().verify_key.encode()
    report = ledger.verify(**{device.key_id(other).hex(): other})

    assert [fault.file for fault in report.faults] == ["manifest.json"]
    assert "not trusted" in report.faults[0].what


def test_without_a_key_it_is_said_whose_word_it_is(ledger: Ledger) -> None:
    """It holds, and nobody claims to know the signer."""
    report = proof.verify(ledger.out, None, lambda *_: None)

    assert (report.faults, report.is_pinned, report.hub_key) == ([], False, ledger.desk.home.public.hex())


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b'{"signed": 1}', b'{"signed": {}}', b"\xff", b"[" * 9999])
def test_a_manifest_that_is_none_is_a_fault(ledger: Ledger, content: bytes) -> None:
    """Named, never a crash."""
    (ledger.out / "manifest.json").write_bytes(content)

    assert ledger.verify().faults[0].file == "manifest.json"


def test_a_folder_without_a_manifest_is_none(tmp_path: Path) -> None:
    """Said as what it is."""
    with pytest.raises(ConfigError, match="no export"):
        proof.verify(tmp_path, None, lambda *_: None)


# A dishonest hub


def test_signing_again_alone_changes_nothing(ledger: Ledger) -> None:
    """The tests below find what was changed, not that something was signed."""
    ledger.sign()

    assert ledger.verify().faults == []


def test_every_changed_byte_of_a_batch_is_found_under_the_hubs_signature(lean: Ledger) -> None:
    """The gates signed them, the hub cannot: every byte, with the batch named."""
    file = lean.file("batches-*", 1)
    whole = file.read_bytes()
    for at in range(len(whole)):
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        lean.sign()

        faults = lean.verify().faults
        assert any(fault.file == f"2026-11-19/{file.name}" for fault in faults), at


def test_dropped_batches_are_found(ledger: Ledger) -> None:
    """Any one of a day; the next of that log does not follow, or the log ends too early."""
    file = ledger.file("batches-*")
    whole = _items(file.read_bytes())
    index = json.loads(ledger.file("index-*").read_text())
    for at in range(len(whole)):
        file.write_bytes(b"".join(cbor.encode(item) for item in whole[:at] + whole[at + 1 :]))
        ledger.edit_index(0, lambda content, at=at: content["batches"].pop(at))
        ledger.sign()
        assert ledger.verify().count, at
        ledger.edit_index(0, lambda content: content.update(batches=index["batches"]))


def test_reordered_and_swapped_batches_are_found(ledger: Ledger) -> None:
    """Every pair of a day, and a batch of another day in its place."""
    file = ledger.file("batches-*")
    whole = _items(file.read_bytes())
    other = _items(ledger.file("batches-*", 2).read_bytes())[0]
    orders = [[whole[1], whole[0], whole[2]], [whole[0], whole[2], whole[1]], [whole[2], whole[1], whole[0]]]
    orders += [[*whole[:at], other, *whole[at + 1 :]] for at in range(3)]
    for order in orders:
        file.write_bytes(b"".join(map(cbor.encode, order)))
        ledger.sign()

        assert ledger.verify().count


@pytest.mark.parametrize("view", VIEWS[:2])
def test_every_row_that_differs_from_the_batches_is_named(ledger: Ledger, view: str) -> None:
    """Edited, dropped, doubled and swapped rows, each by its line."""
    file = ledger.file(f"scans-*.{view}")
    lines = file.read_bytes().splitlines(keepends=True)
    for at, line in enumerate(lines):
        spoilt = {
            at + 1: [*lines[:at], line.replace(b"e", b"f", 1), *lines[at + 1 :]],
            -at - 1: [*lines[:at], *lines[at + 1 :]],
        }
        if at:
            spoilt[at] = [*lines[: at - 1], line, lines[at - 1], *lines[at + 1 :]]
        for number, content in spoilt.items():
            file.write_bytes(b"".join(content))
            ledger.sign()
            assert [(fault.file, fault.place) for fault in ledger.verify().faults] == [
                (f"2026-11-18/{file.name}", f"line {abs(number)}")
            ]
    file.write_bytes(b"".join([*lines, lines[-1]]))
    ledger.sign()
    assert [fault.place for fault in ledger.verify().faults] == [f"line {len(lines) + 1}"]


def test_every_row_of_parquet_is_compared(ledger: Ledger) -> None:
    """A table made of other scans is found by its first row that differs."""
    import duckdb

    file = ledger.file("scans-*.parquet")
    rows = f"SELECT * FROM read_parquet('{file}')"  # noqa: S608 - our own file
    changes = {
        3: f"SELECT * REPLACE (CASE hub_seq WHEN 3 THEN 'accept!' ELSE outcome END AS outcome) FROM ({rows})",  # noqa: S608
        5: f"SELECT * FROM ({rows}) WHERE hub_seq <> 5",  # noqa: S608
        7: f'SELECT * REPLACE (CASE hub_seq WHEN 7 THEN "at" + INTERVAL 1 DAY ELSE "at" END AS "at") FROM ({rows})',  # noqa: S608
        10: f"SELECT * FROM ({rows}) WHERE hub_seq < 10",  # noqa: S608
        11: f"SELECT * FROM ({rows}) UNION ALL SELECT * FROM ({rows}) WHERE hub_seq = 1",  # noqa: S608
    }
    whole = file.read_bytes()
    for number, query in changes.items():
        with duckdb.connect() as connection:
            connection.execute(f"COPY ({query}) TO '{file}.new' (FORMAT parquet)")
        Path(f"{file}.new").replace(file)
        ledger.sign()
        assert [fault.place for fault in ledger.verify().faults] == [f"row {number}"]
        file.write_bytes(whole)


@pytest.mark.parametrize(
    "change",
    [
        lambda manifest: manifest["days"].pop(),
        lambda manifest: manifest["days"].pop(1),
        lambda manifest: manifest["days"].reverse(),
        lambda manifest: manifest["days"][0].update(hub_first=2),
        lambda manifest: manifest["gates"].clear(),
        lambda manifest: manifest["gates"].update(dict.fromkeys(manifest["gates"], "00" * 32)),
        lambda manifest: manifest["days"][0]["index"].update(name="../../manifest.json"),
        lambda manifest: manifest["days"][0].update(index=7),
        lambda manifest: manifest["days"][1].update(day="../2026-11-19"),
    ],
)
def test_a_manifest_that_leaves_something_out_is_found(ledger: Ledger, change: Callable[[Any], None]) -> None:
    """Days, gates, places: signed by the hub itself, and wrong."""
    ledger.sign(change)

    assert ledger.verify().count


@pytest.mark.parametrize(
    "change",
    [
        lambda index: index["places"].reverse(),
        lambda index: index["places"][0].__setitem__(0, "elsewhere"),
        lambda index: index["logs"].pop(),
        lambda index: index["logs"][0]["from"].__setitem__(0, 1),
        lambda index: index["logs"][0]["to"].__setitem__(1, "00" * 32),
        lambda index: index["batches"].pop(),
        lambda index: index["batches"][0].__setitem__(0, 0),
        lambda index: index["batches"][1].__setitem__(2, 9),
        lambda index: index["files"].pop(0),
        lambda index: index["files"][0].update(name="batches-x.cbor"),
        lambda index: index.clear(),
        lambda index: index.update(day="2026-11-19"),
    ],
)
def test_an_index_that_does_not_fit_is_found(ledger: Ledger, change: Callable[[Any], None]) -> None:
    """Signed by the hub itself, and wrong."""
    before = ledger.file("index-*").read_text()
    ledger.edit_index(0, change)
    after = ledger.file("index-*").read_text()
    assert before != after
    manifest = json.loads((ledger.out / "manifest.json").read_text())["signed"]
    rehash([manifest["days"][0]["index"]], ledger.out / "2026-11-18")
    (ledger.out / "manifest.json").write_bytes(statement.make("export", manifest, ledger.key))

    assert ledger.verify().count


def test_a_batch_whose_facts_are_gone_stays_in_the_chain(ledger: Ledger) -> None:
    """Its signed header is enough to follow the log; it has no rows, and that is said."""
    file = ledger.file("batches-*", 1)
    first, second = map(cbor.encode, _items(file.read_bytes()))
    file.write_bytes(batch.without_facts(first) + second)
    for view in VIEWS:
        table = ledger.file(f"scans-*.{view}", 1)
        table.unlink()
    ledger.edit_index(1, lambda index: index.update(files=[one for one in index["files"] if "batches" in one["name"]]))
    ledger.sign()

    report = ledger.verify()
    assert (report.faults, report.destroyed, report.batches) == ([], 1, 6)


def test_a_part_that_is_said_to_be_destroyed_is_the_one_that_was_signed(ledger: Ledger) -> None:
    """Who takes the facts out without what proves which they were has forged the batch."""
    file = ledger.file("batches-*", 1)
    first, second = map(cbor.encode, _items(file.read_bytes()))
    for part in (b"", batch.without_facts(second)):
        facts = cbor.decode(part)[1] if part else b""
        file.write_bytes(cbor.encode([cbor.decode(first)[0], facts, b""]) + second)
        ledger.sign()
        assert any("is not the one its header was signed over" in fault.what for fault in ledger.verify().faults)


def test_a_day_that_is_too_long_to_check_is_a_fault(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was not looked at is never passed over in silence."""
    size = ledger.file("index-*", 1).stat().st_size
    monkeypatch.setattr(proof, "_MAX_INDEX", size - 1)
    found = [fault.what for fault in ledger.verify().faults]
    assert any("the day was not checked" in what for what in found)


def test_a_manifest_that_never_ends_is_refused(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stranger's export may hold a link to a device."""
    monkeypatch.setattr(statement, "MAX_TEXT", 1 << 20)
    (ledger.out / "manifest.json").unlink()
    (ledger.out / "manifest.json").symlink_to("/dev/zero")
    with pytest.raises(ConfigError, match="cannot be read"):
        ledger.verify()


def test_a_number_without_end_in_a_manifest_is_a_fault(ledger: Ledger) -> None:
    """JSON of Python knows Infinity; it is no sequence number."""
    text = (ledger.out / "manifest.json").read_text()
    (ledger.out / "manifest.json").write_text(text.replace('"hub_first": 1,', '"hub_first": Infinity,', 1))
    assert "Infinity" in (ledger.out / "manifest.json").read_text()
    assert ledger.verify().count


def _items(data: bytes) -> list[Any]:
    found, at = [], 0
    while at < len(data):
        item, at = cbor.decode_first(data, at)
        found.append(item)
    return found


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_bytes())
    except ValueError:
        return None
