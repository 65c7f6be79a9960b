"""Tokens and sealed fields at rest: what no signature covers yet is checked, named, and left out of what is sent."""

import logging
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from edge.cli.scans import scans as scans_commands
from edge.errors import LogDamaged
from edge.ledger import batch
from edge.model.scan import Entry
from edge.scanlog.log import ScanLog
from edge.scanlog.reader import ScanLogReader
from edge.sync.outbox import Outbox
from edge.sync.store import SyncStore
from tests.simulators.ledger import DEVICE, EPOCH, PUBLIC, START_MS, fill, filled, scan, token

FORMER = Path(__file__).parents[1] / "vectors" / "former-release" / "scans.db"
SEALED = b"sealed to the auditor" * 3


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file of a closed log: nine scans, the tenth with a sealed field."""
    log = filled(tmp_path / "scans.db", 9)
    log.append(scan(10), token=token(10), sealed=SEALED)
    log.close()
    return tmp_path / "scans.db"


def flip(path: Path, value: bytes, bit: int) -> None:
    """Flip one bit of a value where it lies in the file."""
    content = bytearray(path.read_bytes())
    at = content.index(value)
    content[at + bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def private(entries: list[Entry]) -> list[tuple[bytes | None, bytes | None]]:
    """Return token and sealed field of each."""
    return [(entry.token, entry.sealed) for entry in entries]


@pytest.mark.parametrize("bit", range(64))
def test_every_flipped_bit_of_a_token_is_named_and_costs_that_token_alone(path: Path, bit: int) -> None:
    """Facts, chain and every other token are as they were."""
    before = ScanLogReader(path).entries(1, 10)
    assert before[4].token is not None
    flip(path, before[4].token, bit)

    after = ScanLogReader(path).entries(1, 10)

    assert [(entry.seq, entry.body, entry.head) for entry in after] == [
        (entry.seq, entry.body, entry.head) for entry in before
    ]
    assert private(after) == [*private(before[:4]), (None, None), *private(before[5:])]
    assert [entry.seq for entry in after if entry.has_lost] == [5]
    with pytest.raises(LogDamaged, match=r"chain of the scan log holds.* entry 5 "):
        ScanLogReader(path).verify()


@pytest.mark.parametrize("bit", [0, 7, 100, 8 * len(SEALED) - 1])
def test_a_flipped_bit_of_a_sealed_field_leaves_the_token(path: Path, bit: int) -> None:
    """Each is guarded by itself."""
    flip(path, SEALED, bit)

    (entry,) = ScanLogReader(path).latest(1)

    assert (entry.token, entry.sealed, entry.has_lost) == (token(10), None, True)


def test_the_command_names_the_rows_and_says_what_to_do(path: Path) -> None:
    """Not to move the log aside: what is chained holds and is sent."""
    for entry in ScanLogReader(path).entries(2, 2):
        assert entry.token is not None
        flip(path, entry.token, 3)

    done = CliRunner().invoke(scans_commands, ["verify", "--state", str(path.parent)])

    assert isinstance(done.exception, LogDamaged)
    assert "entry 2, 3 is not" in done.exception.message
    assert "Leave the log where it is" in str(done.exception.next_step)


def test_the_batch_is_cut_all_the_same_and_says_what_it_lacks(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A gate's facts do not wait for a token; the hub gets the others."""
    lost = ScanLogReader(path).entries(5, 1)[0].token
    assert lost is not None
    flip(path, lost, 9)
    store = SyncStore(path.with_name("sync.db"))
    outbox = Outbox(store, ScanLogReader(path), DEVICE)

    with caplog.at_level(logging.WARNING, "edge.sync"):
        (kept,) = outbox.everything()

    wire = store.wire(kept.number)
    assert wire is not None
    opened = batch.open_batch(wire, PUBLIC)
    assert [entry.seq for entry in opened.entries if entry.token is None] == [5]
    assert opened.entries[9].sealed == SEALED
    assert caplog.messages == ["entry 5 is sent without its token or sealed field, damaged on the disk"]
    store.close()


def test_a_token_of_another_row_is_not_believed(path: Path) -> None:
    """The number is in the checksum: pages that were mixed up are found."""
    with closing(sqlite3.connect(path)) as stranger:
        stranger.executescript("DROP TRIGGER scan_private_only_goes; DROP TRIGGER scan_crc_only_goes")
        stranger.execute(
            "UPDATE scan SET (token, token_crc) = (SELECT token, token_crc FROM scan WHERE seq = 2) WHERE seq = 7"
        )
        stranger.commit()

    assert [entry.seq for entry in ScanLogReader(path).entries(1, 10) if entry.has_lost] == [7]


def test_a_checksum_goes_with_its_token_whoever_erases_it(path: Path) -> None:
    """It tells of equal tokens that they are equal: also a former program, that knows of none, leaves none behind."""
    with closing(sqlite3.connect(path)) as former:
        former.execute("UPDATE scan SET token = NULL WHERE seq = 1")
        former.commit()
    log = ScanLog.open(path)
    log.erase_tokens(START_MS + 10**9)

    assert log.verify().seq == 10
    assert log._db.execute("SELECT count(token_crc), count(sealed_crc) FROM scan").fetchone() == (0, 1)
    assert log.entries(10, 1)[0].sealed == SEALED
    log.close()


@pytest.mark.parametrize(
    "edit", ["UPDATE scan SET token_crc = 5 WHERE seq = 10", "UPDATE scan SET sealed_crc = 5 WHERE seq = 10"]
)
def test_a_checksum_is_never_edited(path: Path, edit: str) -> None:
    """The database itself refuses."""
    with closing(sqlite3.connect(path)) as stranger, pytest.raises(sqlite3.IntegrityError, match="checksum"):
        stranger.execute(edit)


def test_rows_of_a_former_release_are_read_as_they_are_and_new_ones_guarded(tmp_path: Path) -> None:
    """Before the upgrade and after it."""
    path = tmp_path / "scans.db"
    shutil.copy(FORMER, path)
    before = ScanLogReader(path).entries(11, 100)
    log = ScanLog.open(path)
    fill(log, 1)

    assert log.entries(11, 100)[:-1] == before
    assert any(entry.token is not None for entry in before)
    assert log._db.execute("SELECT min(seq) FROM scan WHERE token_crc IS NOT NULL").fetchone() == (log.head.seq,)
    assert (log.head.epoch, log.verify()) == (EPOCH, log.head)
    log.close()
