"""`edge scans` as a technician uses it, on a gate that runs."""

import csv
import io
import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from click.testing import CliRunner

from edge.cli.scans import scans
from edge.errors import LogDamaged, SetupError
from edge.hub.pull import LASTING, VARYING, Page
from edge.ledger import destruction, facts
from edge.model.moment import Moment
from edge.model.scan import EntryType, Facts
from edge.model.verdict import Outcome
from edge.scanlog import lines, table
from edge.scanlog.lines import line
from edge.scanlog.log import ScanLog
from edge.scanlog.retention import Retention
from tests.simulators.ledger import DEVICE, GATE, HUB_KEYS, START_MS, entries, fill, head_at, receipt, scan, token


@pytest.fixture
def log(tmp_path: Path) -> Iterator[ScanLog]:
    """A log of many kinds of entries, its writer still there."""
    found = ScanLog.open(tmp_path / "scans.db")
    fill(found, 30)
    found.append(scan(31, outcome=Outcome.REJECT), token=token(31))
    found.append(Facts(EntryType.UNKNOWN_CODES, START_MS + 40_000, outcome=3, reason="issuer.unknown", count=9))
    found.append(Facts(EntryType.NOTE, START_MS + 50_000, refers_to=31, note="document_checked"))
    yield found
    found.close()


def run(folder: Path, *words: str) -> str:
    """Run a command that succeeds and return what it printed."""
    done = CliRunner().invoke(scans, [*words, "--state", str(folder)], catch_exceptions=False)
    assert done.exit_code == 0
    return done.output


def test_list_shows_the_newest_last(tmp_path: Path, log: ScanLog) -> None:
    """A line an entry, with its number, time, outcome and reason."""
    shown = run(tmp_path, "list", "--last", "4").splitlines()

    assert [text.split()[0] for text in shown] == ["30", "31", "32", "33"]
    assert shown[0].endswith("accept  ok  6101  hp1")
    assert shown[2].endswith("reject  issuer.unknown  stands for 9")
    assert shown[3].endswith("note  document_checked  about 31")


def test_verify_says_where_the_log_stands(tmp_path: Path, log: ScanLog) -> None:
    """Entries, epoch and head, for a person and for a script."""
    shown = json.loads(run(tmp_path, "verify", "--json"))

    assert shown == {
        "entries": 33,
        "first": 1,
        "last": 33,
        "epoch": log.head.epoch.hex(),
        "head": log.head.head.hex(),
        "certificates": [],
    }
    assert "The log verifies: 33 entries, 1 to 33." in run(tmp_path, "verify")


def test_verify_says_what_has_gone(tmp_path: Path, log: ScanLog) -> None:
    """A purged log is whole from where it begins."""
    log.purge([receipt(head_at(log, 12))], Retention(GATE, HUB_KEYS, 0), Moment(START_MS + 10**9), key=DEVICE)

    assert "22 entries, 13 to 34. 12 earlier ones went under the hub's receipts." in run(tmp_path, "verify")


def test_stats_counts_presentations(tmp_path: Path, log: ScanLog) -> None:
    """A counted entry stands for what it counts; a note is no presentation."""
    found = json.loads(run(tmp_path, "stats", "--json"))

    assert found["presentations"] == {"accept": 30, "refer": 0, "reject": 10}
    assert found["reasons"] == {"ok": 30, "issuer.unknown": 9, "time.expired": 1}
    assert found["types"] == {"scan": 31, "unknown_codes": 1, "note": 1}
    assert (found["entries"], found["first"], found["last"]) == (33, 1, 33)
    assert found["earliest"] < found["latest"]
    assert "        30  accept" in run(tmp_path, "stats")


def test_an_export_can_be_followed_without_this_program(tmp_path: Path, log: ScanLog) -> None:
    """Each line holds the chained bytes; neither a token nor a sealed field is in one."""
    log.append(scan(60), token=token(60), sealed=b"sealed-to-the-auditor")
    lines = [json.loads(text) for text in run(tmp_path, "export", "--ndjson").splitlines()]

    head = bytes(32)
    for found in lines:
        head = sha256(head + bytes.fromhex(found["body"])).digest()
        assert head.hex() == found["head"]
    assert head == log.head.head
    assert [found["seq"] for found in lines] == list(range(1, 35))
    printed = run(tmp_path, "export")
    assert not any(token(n).hex() in printed for n in range(61))
    assert b"sealed-to-the-auditor".hex() not in printed


def test_an_export_goes_on_behind_a_number_and_into_a_new_file(tmp_path: Path, log: ScanLog) -> None:
    """What was exported before is not exported again, and no file is written over."""
    out = tmp_path / "scans.ndjson"
    run(tmp_path, "export", "--ndjson", "--after", "30", "--out", str(out))

    assert [json.loads(text)["seq"] for text in out.read_text().splitlines()] == [31, 32, 33]
    with pytest.raises(SetupError, match="File exists"):
        run(tmp_path, "export", "--out", str(out))


def test_a_gate_s_lines_have_the_fields_of_the_hub_s() -> None:
    """Whoever compares a gate's export with the hub's pull compares equal names and values."""
    (entry,) = entries(1)
    stated = facts.decode(entry.body)
    row = (1, 1, 1, 1, *(getattr(stated, name) for name in (*VARYING, *LASTING)))
    central = json.loads(b"".join(Page([row], {1: (GATE, b"epoch-01")}, {1: ("site", "lane")}).lines()))

    own = line(entry, b"epoch-01")

    assert {key: value for key, value in central.items() if key not in {"hub_seq", "gate", "site", "lane"}} == {
        key: value for key, value in own.items() if key not in {"body", "head"}
    }


def test_an_entry_of_a_later_version_is_shown_as_such(tmp_path: Path) -> None:
    """The previous slot of an update shows what it cannot read, and still follows it."""
    log = ScanLog.open(tmp_path / "scans.db")
    later = bytearray(facts.encode(replace(scan(), type=EntryType.NOTE)))
    later[2] = 23  # a type that is not given yet
    head = sha256(bytes(32) + later).digest()
    log._db.execute("INSERT INTO scan (seq, at_ms, body, head) VALUES (1, ?, ?, ?)", (START_MS, bytes(later), head))

    assert "written by a newer version" in run(tmp_path, "list")
    assert json.loads(run(tmp_path, "list", "--json"))["type"] == "unreadable"
    assert json.loads(run(tmp_path, "stats", "--json"))["types"] == {"unreadable": 1}
    assert "verifies: 1 entries" in run(tmp_path, "verify")
    log.close()


@pytest.mark.parametrize("command", ["list", "verify", "stats", "export", "show 1"])
def test_a_missing_log_is_no_empty_one(tmp_path: Path, command: str) -> None:
    """A wrong folder is said to be wrong, and nothing is made in it."""
    with pytest.raises(SetupError, match="There is no scan log"):
        run(tmp_path, *command.split())

    assert list(tmp_path.iterdir()) == []


def test_a_damaged_log_ends_with_a_sentence_and_no_traceback(tmp_path: Path, log: ScanLog) -> None:
    """An exit code, the entry, and what to do."""
    stranger = sqlite3.connect(tmp_path / "scans.db")
    guard = stranger.execute("SELECT sql FROM sqlite_schema WHERE name = 'scan_is_never_edited'").fetchone()[0]
    stranger.execute("DROP TRIGGER scan_is_never_edited")
    stranger.execute("UPDATE scan SET body = x'a0' WHERE seq = 7")
    stranger.execute(guard)
    stranger.commit()
    stranger.close()

    command = [sys.executable, "-m", "edge", "scans", "verify", "--state", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode != 0
    assert "entry 7 does not follow" in done.stderr
    assert "Do not delete it" in done.stderr
    assert "Traceback" not in done.stderr
    with pytest.raises(LogDamaged):
        run(tmp_path, "export")


def test_the_state_folder_is_taken_from_the_settings(tmp_path: Path, log: ScanLog) -> None:
    """`--config` names the same log; both at once are one too many."""
    config = tmp_path / "gate.toml"
    config.write_text('schema = 1\nstate = "."\n')

    done = CliRunner().invoke(scans, ["verify", "--config", str(config)], catch_exceptions=False)
    both = CliRunner().invoke(scans, ["verify", "--config", str(config), "--state", str(tmp_path)])

    assert "33 entries" in done.output
    assert both.exit_code == 2


def test_list_shows_what_is_asked_for(tmp_path: Path, log: ScanLog) -> None:
    """By outcome, reason, type and time; the newest of them."""

    def numbers(*words: str) -> list[int]:
        return [json.loads(text)["seq"] for text in run(tmp_path, "list", "--json", *words).splitlines()]

    assert numbers("--outcome", "reject") == [31, 32]
    assert numbers("--reason", "ok", "--last", "2") == [29, 30]
    assert numbers("--type", "note") == [33]
    assert numbers("--since", iso(START_MS + 31_000).partition(".")[0]) == [31, 32, 33]
    assert numbers("--until", iso(START_MS + 2000).partition(".")[0]) == [1, 2]
    assert numbers("--since", "2036-01-01") == []
    assert "no type of entry" in CliRunner().invoke(scans, ["list", "--type", "x", "--state", str(tmp_path)]).output


def test_show_shows_one_entry_in_full(tmp_path: Path, log: ScanLog) -> None:
    """Every field, for a person and for a script; a number that is not there says which are."""
    shown = run(tmp_path, "show", "31")

    assert "reason          time.expired\n" in shown
    assert json.loads(run(tmp_path, "show", "31", "--json"))["head"] == log.entries(31, 1)[0].head.hex()
    with pytest.raises(SetupError, match="no entry 34"):
        run(tmp_path, "show", "34")
    log.purge([receipt(head_at(log, 12))], Retention(GATE, HUB_KEYS, 0), Moment(START_MS + 10**9), key=DEVICE)
    with pytest.raises(SetupError) as refused:
        run(tmp_path, "show", "12")
    assert "It has 13 to 34. Earlier ones went" in refused.value.next_step


def test_verify_tells_of_the_certificates(tmp_path: Path, log: ScanLog) -> None:
    """What went, when, by which policy and who signed; the certificate itself for a script."""
    log.purge([receipt(head_at(log, 12))], Retention(GATE, HUB_KEYS, 0), Moment(START_MS + 10**9), key=DEVICE)

    (found,) = json.loads(run(tmp_path, "verify", "--json"))["certificates"]

    assert (found["first"], found["last"], found["count"], found["gate"]) == (1, 12, 12, GATE.hex())
    assert destruction.open_purge(bytes.fromhex(found["wire"])).spans[0].gate == GATE
    assert f"1 to 12 went by {found['at']} under policy 0, signed by gate {GATE.hex()[:8]}" in run(tmp_path, "verify")
    assert "no certificate" not in run(tmp_path, "verify")


def test_stats_tell_days_durations_backlog_and_size(tmp_path: Path, log: ScanLog) -> None:
    """All a technician asks for first."""
    found = json.loads(run(tmp_path, "stats", "--json"))

    assert found["days"] == {iso(START_MS)[:10]: {"accept": 30, "reject": 10}}
    assert found["duration_ms"] == {"p50": 33, "p95": 36}
    assert found["backlog"] == 33
    assert found["bytes"] == sum(file.stat().st_size for file in tmp_path.glob("scans.db*"))
    assert "33 are not at the hub yet" in run(tmp_path, "stats")


def test_an_export_as_a_table_calculates_nothing(tmp_path: Path, log: ScanLog) -> None:
    """Every entry a line, with a header; what would begin a formula is text."""
    log.append(Facts(EntryType.NOTE, START_MS, note='=cmd|"x"!A1,\n2', issuer="-1", reason="+1"))
    out = tmp_path / "scans.csv"
    run(tmp_path, "export", "--csv", "--out", str(out))

    header, *rows = list(csv.reader(io.StringIO(out.read_bytes().decode(), newline="")))

    assert out.read_bytes().count(b"\r\n") == 35 == len(rows) + 1
    assert tuple(header) == table.FIELDS
    assert [row[1] for row in rows] == [str(number) for number in range(1, 35)]
    last = dict(zip(header, rows[-1], strict=True))
    assert (last["note"], last["issuer"], last["reason"]) == ('\'=cmd|"x"!A1, 2', "'-1", "'+1")
    assert set(line(log.entries(34, 1)[0], b"")) == set(table.FIELDS)


def iso(unix_ms: int) -> str:
    """Return a time as the lines have it."""
    found = lines.iso(unix_ms)
    assert found is not None
    return found
