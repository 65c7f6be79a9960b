"""Rows go only under a verified receipt of our hub and after the signed retention, and leave a certificate."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from nacl.signing import SigningKey

from edge.errors import LogDamaged, LogUnwritable
from edge.ledger import destruction, facts
from edge.model.moment import ClockQuality, Moment
from edge.model.scan import EntryType, Head
from edge.scanlog.log import ScanLog
from edge.scanlog.reader import ScanLogReader
from edge.scanlog.retention import MAX_ROWS, Retention
from tests.simulators.ledger import (
    DAY_MS,
    DEVICE,
    EPOCH,
    GATE,
    HUB,
    HUB_KEYS,
    PUBLIC,
    START_MS,
    fill,
    filled,
    head_at,
    receipt,
    scan,
    token,
)

HOUR_MS = 3_600_000
RULE = Retention(GATE, HUB_KEYS, retention_s=7 * 86_400, trust_version=9, policy_version=4)
LATER = Moment(START_MS + 30 * DAY_MS)
"""Everything a test appends is older than the retention by then."""


@pytest.fixture
def log(tmp_path: Path) -> Iterator[ScanLog]:
    """A log of 48 scans, one an hour."""
    found = filled(tmp_path / "scans.db", 48, step_ms=HOUR_MS)
    yield found
    found.close()


def kept(log: ScanLog) -> list[int]:
    """Return the numbers of the entries that are left."""
    return [entry.seq for entry in log.entries(1, 1000)]


def test_receipted_rows_go_after_the_retention(tmp_path: Path, log: ScanLog) -> None:
    """What the receipt covers goes, the rest stays, and the chain verifies from where it was cut."""
    head = head_at(log, 30)

    stated = log.purge([receipt(head)], RULE, LATER, key=DEVICE)

    assert stated is not None
    assert [*range(31, 50)] == kept(log)
    assert head.head == log.head_at(30)
    assert log.head == log.verify() == ScanLogReader(tmp_path / "scans.db").verify()
    assert ScanLogReader(tmp_path / "scans.db").first == 31


def test_a_purge_leaves_a_certificate(log: ScanLog) -> None:
    """It is an entry of the chain: how many went, up to which number, when, and under whose policy."""
    stated = log.purge([receipt(head_at(log, 30))], RULE, replace(LATER, quality=ClockQuality.RTC), key=DEVICE)

    written = facts.decode(log.entries(49, 1)[0].body)
    assert stated == written
    assert (written.type, written.count, written.refers_to) == (EntryType.PURGE, 30, 30)
    assert (LATER.unix_ms, ClockQuality.RTC, 9, 4) == (
        written.at_ms,
        written.quality,
        written.trust_version,
        written.policy_version,
    )


def test_rows_stay_until_the_retention_has_passed(log: ScanLog) -> None:
    """Only what is older goes, to the second, whatever the receipt covers."""
    moment = Moment(START_MS + 10 * HOUR_MS + 7 * DAY_MS)

    log.purge([receipt(log.head)], RULE, replace(moment, unix_ms=moment.unix_ms - 1), key=DEVICE)
    assert [*range(11, 50)] == kept(log)

    log.purge([receipt(head_at(log, 48))], RULE, moment, key=DEVICE)
    assert [*range(12, 51)] == kept(log)


def test_without_a_receipt_nothing_goes(log: ScanLog) -> None:
    """However old: what the hub has not signed for stays."""
    assert log.purge([], RULE, LATER, key=DEVICE) is None
    assert len(kept(log)) == 48


def other_receipts(log: ScanLog) -> dict[str, bytes]:
    """Return answers that are no receipt of our hub for this very log."""
    head = head_at(log, 30)
    good = receipt(head)
    forger = SigningKey(b"\x09" * 32)
    return {
        "another hub": receipt(head, key=forger),
        "another gate": receipt(head, gate=bytes(16)),
        "an earlier log of this gate": receipt(replace(head, epoch=b"epoch-00")),
        "another history": receipt(replace(head, head=bytes(32))),
        "another entry's head": receipt(replace(head, seq=29)),
        "more than there is": receipt(Head(EPOCH, 500, head.head)),
        "nothing": receipt(Head(EPOCH, 0, bytes(32))),
        "an altered one": good[:-1] + bytes([good[-1] ^ 1]),
        "one cut short": good[:-1],
        "a captive portal": b"<html><title>Welcome</title>",
        "no bytes": b"",
    }


def test_what_is_no_receipt_for_this_log_prunes_nothing(log: ScanLog) -> None:
    """Forged, foreign, old, altered and impossible receipts leave every row where it is."""
    for what, offered in other_receipts(log).items():
        assert log.purge([offered], RULE, LATER, key=DEVICE) is None, what

    assert len(kept(log)) == 48


def test_a_good_receipt_counts_among_bad_ones(log: ScanLog) -> None:
    """One forged answer does not keep the others from counting."""
    offered = [*other_receipts(log).values(), receipt(head_at(log, 12)), receipt(head_at(log, 5))]

    stated = log.purge(offered, RULE, LATER, key=DEVICE)

    assert stated is not None
    assert stated.count == 12


def test_a_doubtful_clock_removes_nothing(log: ScanLog) -> None:
    """A clock that may be years ahead would empty the log."""
    assert log.purge([receipt(log.head)], RULE, replace(LATER, quality=ClockQuality.DOUBTFUL), key=DEVICE) is None
    assert len(kept(log)) == 48


def test_a_clock_behind_removes_nothing(log: ScanLog) -> None:
    """A clock set back by ten years only keeps rows longer."""
    assert log.purge([receipt(log.head)], RULE, Moment(START_MS - 3650 * DAY_MS), key=DEVICE) is None


def test_an_entry_of_a_time_that_has_not_come_holds_nothing_up(tmp_path: Path) -> None:
    """One scan under a clock ten years ahead does not keep all that follow for ten years."""
    log = filled(tmp_path / "scans.db", 10)
    log.append(replace(scan(), at_ms=START_MS + 3650 * DAY_MS))
    log.append(replace(scan(), at_ms=START_MS + HOUR_MS))
    log.append(replace(scan(), at_ms=START_MS + 3650 * DAY_MS))

    stated = log.purge([receipt(log.head)], RULE, LATER, key=DEVICE)

    assert stated is not None
    assert stated.refers_to == 12
    assert kept(log) == [13, 14]
    log.close()


def test_certificates_do_not_breed(log: ScanLog) -> None:
    """A purge of nothing but an earlier certificate would write one to remove one: an idle gate writes none."""
    log.purge([receipt(log.head)], RULE, LATER, key=DEVICE)
    assert kept(log) == [49]

    again = log.purge([receipt(log.head)], RULE, replace(LATER, unix_ms=LATER.unix_ms + 30 * DAY_MS), key=DEVICE)

    assert again is None
    assert kept(log) == [49]


def test_purges_go_on_from_each_other(log: ScanLog) -> None:
    """Certificates count on, an old receipt of what has gone is nothing, and a certificate goes with later rows."""
    first = receipt(head_at(log, 20))
    assert log.purge([first], RULE, LATER, key=DEVICE) is not None
    assert log.purge([first], RULE, LATER, key=DEVICE) is None
    fill(log, 5, step_ms=HOUR_MS)

    stated = log.purge(
        [receipt(head_at(log, 51))], RULE, replace(LATER, unix_ms=LATER.unix_ms + 30 * DAY_MS), key=DEVICE
    )

    assert stated is not None
    assert (stated.count, stated.refers_to) == (31, 51)
    assert log.head == log.verify()


def test_a_log_that_was_purged_is_the_same_after_a_restart(tmp_path: Path, log: ScanLog) -> None:
    """Nothing but the certificate is left, and the numbers and the chain go on."""
    log.purge([receipt(log.head)], RULE, LATER, key=DEVICE)
    head = log.head
    log.close()

    again = ScanLog.open(tmp_path / "scans.db")

    assert head == again.head == again.verify()
    assert again.append(scan()).seq == 50
    again.close()


def test_a_long_backlog_goes_in_portions(tmp_path: Path) -> None:
    """No pass waits while a month of rows is removed at once."""
    log = ScanLog.open(tmp_path / "scans.db")
    log._db.execute("PRAGMA synchronous = OFF")
    fill(log, MAX_ROWS + 10)
    signed = receipt(log.head)

    portions = [
        log.purge([signed], RULE, LATER, key=DEVICE),
        log.purge([signed], RULE, LATER, key=DEVICE),
        log.purge([signed], RULE, LATER, key=DEVICE),
    ]

    assert [stated and stated.count for stated in portions] == [MAX_ROWS, 10, None]
    assert log.head == log.verify()
    log.close()


def test_a_purge_that_cannot_be_written_changes_nothing(log: ScanLog) -> None:
    """Certificate, new beginning and removal are one transaction."""
    head = log.head
    log._db.execute("CREATE TEMP TRIGGER full BEFORE DELETE ON main.scan BEGIN SELECT RAISE(ABORT, 'full'); END")

    with pytest.raises(LogUnwritable):
        log.purge([receipt(head)], RULE, LATER, key=DEVICE)

    assert head == log.head == log.verify()
    assert len(kept(log)) == 48
    log._db.execute("DROP TRIGGER full")
    assert log.purge([receipt(head)], RULE, LATER, key=DEVICE) is not None


def test_damaged_rows_stay_as_evidence(tmp_path: Path, log: ScanLog) -> None:
    """What does not verify is not destroyed, even under a receipt."""
    signed = receipt(head_at(log, 30))
    with closing(sqlite3.connect(tmp_path / "scans.db")) as stranger, stranger:
        stranger.execute("DROP TRIGGER scan_is_never_edited")
        stranger.execute("UPDATE scan SET body = x'a0' WHERE seq = 7")
    stranger.close()

    with pytest.raises(LogDamaged, match="entry 7 does not follow"):
        log.purge([signed], RULE, LATER, key=DEVICE)

    with closing(sqlite3.connect(tmp_path / "scans.db")) as stranger, stranger:
        assert stranger.execute("SELECT count(*) FROM scan").fetchone()[0] == 48
    stranger.close()


def test_what_was_purged_is_in_no_byte_of_any_file(tmp_path: Path, log: ScanLog) -> None:
    """Removed rows are overwritten in the database and in the write-ahead log, not only unlinked from them."""
    gone = log.entries(1, 30)

    log.purge([receipt(head_at(log, 30))], RULE, LATER, key=DEVICE)
    log._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    held = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert not any(entry.token is not None and entry.token in held for entry in gone)
    assert not any(entry.head in held for entry in gone[:-1])
    assert token(30) in held


def test_a_rule_without_sense_is_refused() -> None:
    """A negative retention would remove what was just recorded."""
    with pytest.raises(ValueError, match="negative"):
        Retention(GATE, HUB_KEYS, retention_s=-1)


def test_the_hub_key_is_the_one_of_the_trust_list(log: ScanLog) -> None:
    """A hub key that was withdrawn signs no purge any more."""
    assert log.purge([receipt(log.head, key=HUB)], replace(RULE, hub_keys={}), LATER, key=DEVICE) is None


def test_a_purge_leaves_a_certificate_that_the_device_signed(log: ScanLog) -> None:
    """Which entries, the heads before and behind them, the policy, and the receipt it went under."""
    signed = receipt(head_at(log, 30))
    stands = log.head_at(30)

    log.purge([signed], RULE, LATER, key=DEVICE)

    (found,) = log.certificates()
    assert found == destruction.open_certificate(found.wire, {"gate": {PUBLIC}})
    assert found.spans == (destruction.Span(GATE, EPOCH, 1, 30, bytes(32), stands or b""),)
    assert (found.at_ms, found.policy_version, found.trust_version, found.retention_s) == (
        LATER.unix_ms,
        RULE.policy_version,
        RULE.trust_version,
        RULE.retention_s,
    )
    assert found.receipt_sha256 == sha256(signed).digest()


def test_a_certificate_takes_in_those_of_its_day(log: ScanLog) -> None:
    """One a day, under one policy; the next day's begins where it ends, and all are there after a restart."""
    for last, moment in (
        (10, LATER),
        (20, replace(LATER, unix_ms=LATER.unix_ms + 1000)),
        (30, replace(LATER, unix_ms=LATER.unix_ms + DAY_MS)),
        (40, replace(LATER, unix_ms=LATER.unix_ms + DAY_MS)),
    ):
        assert log.purge([receipt(head_at(log, last))], RULE, moment, key=DEVICE) is not None
    log.purge(
        [receipt(log.head)], replace(RULE, policy_version=5), replace(LATER, unix_ms=LATER.unix_ms + DAY_MS), key=DEVICE
    )

    spans = [found.spans[0] for found in log.certificates()]
    assert [(span.first, span.last) for span in spans] == [(1, 20), (21, 40), (41, 48)]
    assert log.verify() == log.head


def test_another_gate_s_key_signs_no_purge(log: ScanLog) -> None:
    """The caller's fault, and nothing goes."""
    with pytest.raises(ValueError, match="its own key"):
        log.purge([receipt(log.head)], RULE, LATER, key=HUB)

    assert len(kept(log)) == 48


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE certificate SET wire = CAST(substr(wire, 1, length(wire) - 1) || x'00' AS BLOB)",
        "UPDATE certificate SET wire = x'00'",
        "DELETE FROM certificate WHERE seq = (SELECT max(seq) FROM certificate)",
        "UPDATE certificate SET wire = (SELECT wire FROM certificate ORDER BY seq LIMIT 1)",
    ],
)
def test_a_changed_certificate_is_found(tmp_path: Path, log: ScanLog, change: str) -> None:
    """Altered, none at all, missing at the end, or another in its place."""
    log.purge([receipt(head_at(log, 10))], RULE, LATER, key=DEVICE)
    log.purge([receipt(head_at(log, 20))], RULE, replace(LATER, unix_ms=LATER.unix_ms + DAY_MS), key=DEVICE)
    with closing(sqlite3.connect(tmp_path / "scans.db")) as stranger, stranger:
        guards = stranger.execute("SELECT name, sql FROM sqlite_schema WHERE name LIKE 'certificate_%'").fetchall()
        for name, _ in guards:
            stranger.execute(f"DROP TRIGGER {name}")
        stranger.execute(change)
        for _, sql in guards:
            stranger.execute(sql)
    stranger.close()

    with pytest.raises(LogDamaged, match="certificate"):
        log.verify()
