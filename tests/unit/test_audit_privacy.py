"""Planted people are found in every form and every container, and a report never says who."""

import base64
import gzip
import io
import json
import lzma
import os
import random
import shutil
import sqlite3
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import zstandard
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.audit import patterns, planted
from edge.audit.needles import Needles
from edge.audit.pages import Database
from edge.audit.planted import Planted
from edge.audit.search import STRETCH, Finding, Report, Search
from edge.audit.source import Held
from edge.cli.main import edge
from edge.codec import base45
from edge.errors import ConfigError
from tests.simulators.hub_gates import Device

NAME, DIGITS = "欧阳雪晴", "440106197701017399"
PSEUDONYM = b"\xc5\x91\x7e\x33\xa8\x4d"
CODE = "HP1:" + base45.encode(random.Random(5).randbytes(180)).decode()
PEOPLE = (
    Planted("person 1, name", NAME.encode(), is_text=True),
    Planted("person 1, number", DIGITS.encode(), is_text=True),
    Planted("person 1, pseudonym", PSEUDONYM, is_text=False),
    Planted("person 1, code", CODE.encode(), is_text=True),
)
NOISE = random.Random(7).randbytes(3000)


def search(*roots: Path, people: tuple[Planted, ...] = PEOPLE) -> Report:
    """Search and return the report."""
    return Search(Needles(planted.needles(people)), lambda *_: None).run(roots)


def labels(report: Report) -> set[str]:
    """Return what was found, without what only looks like something."""
    return {one.label for one in report.findings} - {patterns.CODE, patterns.NUMBER}


def forms_of(value: bytes) -> Iterator[tuple[str, bytes]]:
    """Give bytes as programs write them, with neighbours of every length."""
    for before in range(4):
        shifted = b"<" * before + value + b">>>"
        yield f"plain {before}", shifted
        yield f"hex {before}", shifted.hex().encode()
        yield f"HEX {before}", shifted.hex().upper().encode()
        yield f"base64 {before}", base64.b64encode(shifted)
        yield f"base64url {before}", base64.urlsafe_b64encode(shifted)
        yield f"base45 {before}", base45.encode(shifted)
        yield f"repr {before}", repr(shifted).encode()
        yield f"numbers {before}", json.dumps(list(shifted)).encode()


@pytest.mark.parametrize("planted_one", PEOPLE, ids=lambda one: one.label)
def test_every_form_is_found(tmp_path: Path, planted_one: Planted) -> None:
    """Plain, hex, base64 and base45 at every alignment, escaped, as numbers."""
    for name, written in forms_of(planted_one.value):
        (tmp_path / "file").write_bytes(NOISE + written + NOISE)

        assert labels(search(tmp_path)) == {planted_one.label}, name


@pytest.mark.parametrize(
    "written",
    [
        NAME.encode("utf-16-le"),
        NAME.encode("utf-16-be"),
        NAME.encode("gb18030"),
        json.dumps({"name": NAME}).encode(),
        json.dumps({"name": NAME}).upper().replace("\\U", "\\u").encode(),
        b"GET /?name=%E6%AC%A7%E9%98%B3%E9%9B%AA%E6%99%B4 HTTP/1.1",
        b"GET /?name=%e6%ac%a7%e9%98%b3%e9%9b%aa%e6%99%b4 HTTP/1.1",
    ],
)
def test_a_name_is_found_as_text_is_written(tmp_path: Path, written: bytes) -> None:
    """UTF-16 of both orders, GB 18030, JSON with escapes of both cases, an address."""
    (tmp_path / "file").write_bytes(NOISE + written + NOISE)

    assert labels(search(tmp_path)) == {"person 1, name"}


@pytest.mark.parametrize(
    "written", [int(DIGITS).to_bytes(8, "big"), int(DIGITS).to_bytes(8, "little"), bytes.fromhex(DIGITS)]
)
def test_a_number_is_found_as_a_number(tmp_path: Path, written: bytes) -> None:
    """As an integer of both orders (CBOR, SQLite, a structure in memory) and as packed digits."""
    (tmp_path / "file").write_bytes(NOISE + written + NOISE)

    assert labels(search(tmp_path)) == {"person 1, number"}


def test_any_fragment_of_a_code_of_31_bytes_is_found(tmp_path: Path) -> None:
    """Wherever it was cut out."""
    for start in range(len(CODE) - 31):
        (tmp_path / "file").write_bytes(NOISE + CODE[start : start + 31].encode() + NOISE)

        assert labels(search(tmp_path)) == {"person 1, code"}, start


def test_what_two_codes_share_tells_of_neither() -> None:
    """The head of every code of one issuer is no trace of a person."""
    head = "HP1:" + "THE SAME HEAD OF ALL CODES " * 3
    one, two = (Planted(f"code {tail}", (head + tail * 40).encode(), is_text=True) for tail in ("ABCDEFG", "TUVWXYZ"))

    needles = planted.needles((one, two))

    assert not any(needle in head.encode() for needle in needles)
    assert {label for label, _ in needles.values()} == {"code ABCDEFG", "code TUVWXYZ"}


@pytest.mark.parametrize("at", [0, STRETCH - len(NAME.encode()), STRETCH - 5, STRETCH, STRETCH + 1, 2 * STRETCH - 1])
def test_nothing_is_missed_where_two_stretches_meet(tmp_path: Path, at: int) -> None:
    """And the offset is the one in the file, told once."""
    content = bytearray(2 * STRETCH + 100)
    content[at : at + len(NAME.encode())] = NAME.encode()
    (tmp_path / "image").write_bytes(content)

    (finding,) = search(tmp_path).findings

    assert (finding.offset, finding.inside) == (at, "")


def zipped(data: bytes) -> bytes:
    """Return a zip archive with one file."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("scans.ndjson", data)
    return out.getvalue()


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "zstd": zstandard.compress,
    "gzip": gzip.compress,
    "xz": lzma.compress,
    "zip": zipped,
}


@pytest.mark.parametrize("outer", PACKERS)
@pytest.mark.parametrize("inner", PACKERS)
def test_what_is_compressed_is_searched_wherever_it_stands(tmp_path: Path, outer: str, inner: str) -> None:
    """A compressed log in a compressed backup in the middle of an image."""
    # Both halves stood before, so that no packer writes the name in one piece.
    text = ("line 欧阳 0123456789\nline 雪晴 0123456789\n" * 50 + NAME + " line" * 50).encode()
    packed = PACKERS[outer](b"head" + PACKERS[inner](text) + b"tail")
    assert NAME.encode() not in packed
    (tmp_path / "image").write_bytes(NOISE + packed + NOISE)

    found = {(one.label, one.offset, one.inside) for one in search(tmp_path).findings}

    # What the outer one only stored is met on the way too, as the inner one alone.
    assert ("person 1, name", len(NOISE), f"{outer}, {inner}") in found


def test_two_logs_compressed_behind_each_other_are_both_read(tmp_path: Path) -> None:
    """As `cat one.gz two.gz`."""
    (tmp_path / "log.gz").write_bytes(gzip.compress(NOISE) + gzip.compress(NAME.encode()))

    assert labels(search(tmp_path)) == {"person 1, name"}


def test_a_bomb_is_not_followed_to_its_end_and_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was not read to its end is no "nothing found"."""
    monkeypatch.setattr("edge.audit.search.MOST_INFLATED", 1 << 20)
    (tmp_path / "bomb").write_bytes(gzip.compress(bytes(8 << 20)))

    report = search(tmp_path)

    assert (report.cut["gzip"], report.inflated <= 1 << 20) == (1, True)


def batch_with(value: bytes) -> bytes:
    """Return a batch whose entries hold a value in their sealed field, compressed."""
    gate = Device()
    gate.scan(200)
    gate.append(gate.entries[-1].body, sealed=value * 3)
    return gate.batch(1, 201)


@pytest.mark.parametrize("value", [one.value for one in PEOPLE[:3]])
def test_packed_parts_of_a_batch_are_searched(tmp_path: Path, value: bytes) -> None:
    """On a stick, in an export, anywhere: parts are compressed without a mark of their own."""
    wire = batch_with(value * 4)
    (tmp_path / "1.batches").write_bytes(NOISE + wire + NOISE)

    report = search(tmp_path)

    assert len(labels(report)) == 1
    assert {"private part of a batch"} == {one.inside for one in report.findings if one.inside}


class Store:
    """A database on disk that a test writes to; its connection stays open, so that the journal stays."""

    def __init__(self, path: Path, *, wal: bool = True, secure: bool = False, page: int = 4096) -> None:
        self.path = path
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.execute(f"PRAGMA page_size = {page}")
        self.connection.execute(f"PRAGMA journal_mode = {'wal' if wal else 'delete'}")
        self.connection.execute(f"PRAGMA secure_delete = {'on' if secure else 'off'}")
        self.connection.execute("CREATE TABLE scans(id INTEGER PRIMARY KEY, what BLOB)")
        self.connection.execute("CREATE TABLE private(name BLOB PRIMARY KEY, part BLOB) WITHOUT ROWID")

    def put(self, what: bytes | str, table: str = "scans") -> None:
        row = (None, what) if table == "scans" else (random.randbytes(8), what)
        self.connection.execute(f"INSERT INTO {table} VALUES (?, ?)", row)  # noqa: S608 - a name of the test's

    def checkpoint(self) -> None:
        self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A database in WAL mode that does not overwrite what it deletes."""
    made = Store(tmp_path / "hub.db")
    yield made
    made.connection.close()


@pytest.mark.parametrize("table", ["scans", "private"])
@pytest.mark.parametrize("is_in_journal", [True, False])
@pytest.mark.parametrize("size", [10, 3000, 5000, 60_000])
def test_a_record_is_searched_in_one_piece(store: Store, table: str, size: int, *, is_in_journal: bool) -> None:
    """Wherever its overflow pages lie, in the database and in its journal."""
    store.put(b"x" * size, table)
    places = range(0, size, max(1, size // 20))
    for at in places:
        store.put(NOISE[: at % 3000] + b"y" * at + NAME.encode() + b"z" * (size - at), table)
    if not is_in_journal:
        store.checkpoint()

    report = search(store.path.parent)

    assert labels(report) == {"person 1, name"}
    assert sum(count for _, count in report.found.values()) >= len(places)


@pytest.mark.parametrize("is_in_journal", [True, False])
@pytest.mark.parametrize("table", ["scans", "private"])
def test_a_batch_in_a_database_is_opened(store: Store, table: str, *, is_in_journal: bool) -> None:
    """Over overflow pages, and a private part that stands alone."""
    wire = batch_with(DIGITS.encode() * 30)
    store.put(wire, table)
    if not is_in_journal:
        store.checkpoint()

    assert labels(search(store.path.parent)) == {"person 1, number"}


def test_what_was_deleted_and_not_overwritten_is_found(store: Store) -> None:
    """In freed pages and freed cells; with secure_delete nothing is left."""
    store.put(b"stays")
    store.put(b"a" * 9000 + NAME.encode() + b"b" * 9000)
    store.put(PSEUDONYM)
    store.connection.execute("DELETE FROM scans WHERE id > 1")
    store.checkpoint()

    assert labels(search(store.path)) == {"person 1, name", "person 1, pseudonym"}


def test_nothing_is_left_where_deleting_overwrites(tmp_path: Path) -> None:
    """The stores of gate and hub set secure_delete: the control of the test above."""
    store = Store(tmp_path / "hub.db", secure=True)
    store.put(b"stays")
    store.put(b"a" * 9000 + NAME.encode() + b"b" * 9000)
    store.connection.execute("DELETE FROM scans WHERE id > 1")
    store.checkpoint()
    report = search(tmp_path)
    store.connection.close()

    assert report.findings == []
    assert report.records > 0


def test_a_database_inside_an_image_is_opened(store: Store) -> None:
    """A backup in an image, a database in a compressed backup: its records are put together from where it begins."""
    store.put(b"y" * 5000 + NAME.encode() + b"z" * 5000)
    store.put(batch_with(DIGITS.encode() * 30))
    store.checkpoint()
    inside = store.path.read_bytes()
    image = store.path.parent / "image"
    for content in (bytes(512 * 7) + inside, gzip.compress(inside)):
        image.write_bytes(content)

        assert labels(search(image)) == {"person 1, name", "person 1, number"}


def test_the_image_of_a_card_is_searched(store: Store, tmp_path: Path) -> None:
    """A file system with a database, its journal and a rotated log in it, as it would be read from a card."""
    mkfs = shutil.which("mke2fs", path=f"{os.environ['PATH']}:/sbin:/usr/sbin")
    if mkfs is None:
        pytest.skip("mke2fs is not installed (e2fsprogs)")
    store.put(b"y" * 5000 + NAME.encode() + b"z" * 5000)
    store.checkpoint()
    store.put(batch_with(DIGITS.encode() * 30))
    (tmp_path / "gate.log.1.gz").write_bytes(gzip.compress(b"line\n" * 500 + PSEUDONYM.hex().encode()))
    image = tmp_path.parent / f"{tmp_path.name}.img"
    subprocess.run([mkfs, "-q", "-t", "ext4", "-d", str(tmp_path), str(image), "8M"], check=True, timeout=60)

    found = labels(search(image))

    image.unlink()
    assert found == {"person 1, name", "person 1, number", "person 1, pseudonym"}


def test_reading_changes_nothing(store: Store) -> None:
    """No byte, no file beside, although SQLite itself would make one."""
    store.put(NAME)
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in store.path.parent.iterdir()}

    assert labels(search(store.path.parent)) == {"person 1, name"}

    assert before == {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in store.path.parent.iterdir()}


@given(
    values=st.lists(st.binary(min_size=1, max_size=20_000), min_size=1, max_size=20),
    page=st.sampled_from([512, 1024, 4096, 65536]),
)
@settings(max_examples=40, deadline=None)
def test_the_pages_give_what_sqlite_gives(
    tmp_path_factory: pytest.TempPathFactory, values: list[bytes], page: int
) -> None:
    """Every blob of every live row, of tables with and without row numbers, of the database and of its journal."""
    folder = tmp_path_factory.mktemp("pages")
    for wal in (True, False):
        store = Store(folder / f"{wal}.db", page=page)
        for at, value in enumerate(values):
            store.connection.execute("INSERT INTO scans VALUES (NULL, ?)", (value,))
            store.connection.execute("INSERT INTO private VALUES (?, ?)", (f"{at}".encode(), value))
        if not wal:
            store.checkpoint()
        data, log = store.path.read_bytes(), store.path.with_name(f"{wal}.db-wal").read_bytes()
        store.connection.close()
        database = Database(Held(data).read, Held(log).read)

        found = {blob for records in (database.records(), database.logged()) for one in records for blob in one.blobs()}

        assert set(values) <= found


@given(
    head=st.sampled_from(
        [
            *(b"SQLite format 3\x00", b"\x37\x7f\x06\x82", b"\x28\xb5\x2f\xfd", b"\x1f\x8b\x08\x00", b"\xfd7zXZ\x00"),
            *(b"PK\x03\x04" + bytes(4) + b"\x08\x00", b"\x83\x58\x60\x84\x4d\xa2\x01\x27\x04\x48", b""),
        ]
    ),
    rest=st.binary(max_size=6000),
)
@settings(max_examples=300, deadline=None)
def test_no_bytes_end_a_search(tmp_path_factory: pytest.TempPathFactory, head: bytes, rest: bytes) -> None:
    """Whatever begins like something and is nothing, and what stands behind it is searched."""
    file = tmp_path_factory.mktemp("any") / "file"
    file.write_bytes(head + rest + NAME.encode())

    assert "person 1, name" in labels(search(file))


def test_every_change_of_a_database_is_survived(store: Store) -> None:
    """Each page of a database with bytes of noise in it, at every place of a page's head."""
    store.put(b"y" * 9000 + NAME.encode())
    store.checkpoint()
    whole = store.path.read_bytes()
    image = store.path.parent / "image"
    for page in range(0, len(whole), 4096):
        for at in range(12):
            for value in (0, 2, 10, 13, 127, 255):
                image.write_bytes(whole[: page + at] + bytes((value,)) + whole[page + at + 1 :])
                report = search(image)
                assert report.unread == []


def test_codes_and_numbers_of_nobody_in_particular_are_found(tmp_path: Path) -> None:
    """With nobody planted: what looks like a raw code, and an identity number whose check character is right."""
    (tmp_path / "log").write_bytes(f"scanned {CODE}\nholder {DIGITS}\nwrong {DIGITS[:-1]}0\n12{DIGITS}\n".encode())

    found = {(one.label, one.offset) for one in search(tmp_path, people=()).findings}

    assert found == {(patterns.CODE, 8), (patterns.NUMBER, 16 + len(CODE))}


def run(*words: object) -> Result:
    """Run `edge audit privacy`."""
    return CliRunner().invoke(edge, ["audit", "privacy", *map(str, words)], catch_exceptions=False)


@pytest.fixture
def plant(tmp_path: Path) -> Path:
    """A file of planted people."""
    rows = [
        {"label": "person 1, name", "text": NAME},
        {"label": "person 1, pseudonym", "hex": PSEUDONYM.hex()},
        {"label": "person 1, code", "base64": base64.b64encode(CODE.encode()).decode()},
    ]
    file = tmp_path / "plant.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return file


def test_the_command_says_where_and_never_who(tmp_path: Path, plant: Path) -> None:
    """File, offset and label; no form of the identity in what is printed. Exit code 1."""
    folder = tmp_path / "state"
    folder.mkdir()
    (folder / "gate.log").write_bytes(b"line\n" + NAME.encode() + b"\n" + PSEUDONYM.hex().encode() + CODE.encode())
    (folder / f"{NAME}.txt").write_bytes(b"")

    plain, as_json = run(folder, "--plant", plant), run(folder, "--plant", plant, "--json")

    assert (plain.exit_code, as_json.exit_code) == (1, 1)
    told = json.loads(as_json.output)
    assert {
        "file": str(folder / "gate.log"),
        "inside": "",
        "offset": 5,
        "label": "person 1, name",
        "form": "plain",
    } in [{name: value for name, value in one.items() if name != "count"} for one in told["found"]]
    assert {one["label"] for one in told["found"]} > {"person 1, name", "person 1, pseudonym", "person 1, code"}
    for needle in planted.needles(PEOPLE):
        assert needle not in plain.output.encode()
        assert needle not in as_json.output.encode()


def test_a_clean_folder_ends_with_zero(tmp_path: Path, plant: Path) -> None:
    """The file that names them is not searched, even where it lies in the folder."""
    (tmp_path / "gate.log").write_bytes(NOISE)

    done = run(tmp_path, "--plant", plant)

    assert done.exit_code == 0
    assert "0 places" in done.output
    assert "searched 1 files" in done.output


def test_a_file_that_cannot_be_read_is_no_clean_file(tmp_path: Path) -> None:
    """Exit code 3, and it is named."""
    done = run("/proc/self/mem", "--json")

    assert done.exit_code == 3
    assert json.loads(done.output)["unread"][0]["file"] == "/proc/self/mem"
    assert json.loads(done.output)["holds"] is False


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{}",
        "no json",
        '{"label": "x"}',
        '{"label": "x", "text": 5}',
        '{"label": "x", "hex": "zz"}',
        '{"label": "x", "base64": "!"}',
        '{"label": "x", "text": "abc"}',
        '{"label": "x", "text": "abcd", "hex": "00000000"}',
        '{"label": 5, "text": "abcd"}',
        "[" * 100_000,
    ],
)
def test_a_plant_that_is_none_is_named_by_its_line(tmp_path: Path, line: str) -> None:
    """And what stands in the line is not repeated."""
    file = tmp_path / "plant"
    file.write_text(f"\n{line}\n")

    with pytest.raises(ConfigError) as refused:
        planted.load(file)

    assert "abc" not in str(refused.value)
    assert not line or "line 2" in str(refused.value)


def test_findings_are_bounded_and_counted(tmp_path: Path) -> None:
    """Ten thousand times the same in one file is one finding with its first place."""
    (tmp_path / "log").write_bytes(b"x" + (NAME.encode() + b"\n") * 10_000)

    report = search(tmp_path)

    assert [(one, count) for one, count in report.found.values()] == [
        (Finding(str(tmp_path / "log"), "", 1, "person 1, name", "plain"), 10_000)
    ]


def test_what_chance_would_find_is_told() -> None:
    """A needle of four bytes stands once in four GiB of random bytes, one of six in none."""
    assert Needles({b"abcd": ("", ""), b"abcdef": ("", "")}).by_chance(1 << 32) == pytest.approx(1.0, rel=1e-3)


def test_closing_a_search_leaves_no_file_open(tmp_path: Path) -> None:
    """A thousand small files are searched with a few descriptors."""
    for number in range(1200):
        (tmp_path / str(number)).write_bytes(gzip.compress(NAME.encode()))

    with closing(sqlite3.connect(":memory:")):
        assert len(search(tmp_path).findings) == 1200
