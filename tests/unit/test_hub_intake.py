"""What the hub makes of batches: receipts, repetitions, contradictions, and their evidence."""

import itertools
import random
from hashlib import sha256
from pathlib import Path

import pytest
import zstandard

from edge.codec import cbor
from edge.errors import EncodingRefused
from edge.hub import inspection, rebuild
from edge.hub.declined import Declined
from edge.hub.desk import Desk
from edge.hub.hub import TOKENS_MS, Hub
from edge.hub.projection import _columns
from edge.hub.schema import FACTS
from edge.hub.sequence import MAX_BATCHES
from edge.ledger import batch, device, facts
from edge.model.scan import EntryType, Facts, Receipt
from tests.simulators.hub_gates import START_MS, Clock, Device, enrol, fact, post


def seqs(hub: Hub, epoch: bytes | None = None) -> list[int]:
    """Return the sequence numbers of the rows, in the order of the hub."""
    hub.settle()
    with hub.store.reader() as connection:
        rows = connection.execute(
            "SELECT s.seq FROM scans AS s JOIN logs AS l ON l.id = s.log "
            "WHERE ? IS NULL OR l.epoch = ? ORDER BY s.hub_seq",
            (epoch, epoch),
        )
        return [seq for (seq,) in rows]


def kinds(desk: Desk) -> dict[str, int]:
    """Return the open incidents with the batches kept for each."""
    return {one.kind: one.evidence for one in desk.incidents(100, is_open=True)}


def projected(hub: Hub) -> list[list[tuple[object, ...]]]:
    """Return everything that follows from the ledger."""
    hub.settle()
    tables = ("SELECT * FROM scans", "SELECT * FROM tallies", "SELECT * FROM flow")
    with hub.store.reader() as connection:
        return [connection.execute(statement).fetchall() for statement in tables]


def evidence(hub: Hub) -> list[bytes]:
    """Return the batches kept as evidence."""
    with hub.store.reader() as connection:
        return [wire for (wire,) in connection.execute("SELECT wire FROM evidence ORDER BY id")]


def test_a_batch_that_follows_gets_a_receipt(hub: Hub, gate: Device) -> None:
    """The receipt names the log, its head and the newest hub sequence number."""
    gate.scan(7)

    receipt = post(hub, [gate.batch(1, 7)])[0]

    assert isinstance(receipt, Receipt)
    assert (receipt.gate, receipt.epoch, receipt.last, receipt.head, receipt.hub_seq) == (
        gate.gate,
        gate.epoch,
        7,
        gate.head(),
        7,
    )


def test_a_repeated_batch_is_a_success_with_an_equal_receipt(hub: Hub, gate: Device, clock: Clock) -> None:
    """Nothing is written twice, and the receipt says the same."""
    gate.scan(7)
    first = post(hub, [gate.batch(1, 7)])[0]
    clock.pass_s(5)

    second = post(hub, [gate.batch(1, 7)])[0]

    assert isinstance(first, Receipt)
    assert isinstance(second, Receipt)
    assert (first.last, first.head, first.hub_seq) == (second.last, second.head, second.hub_seq)
    assert list(range(1, 8)) == seqs(hub)


def test_an_old_batch_repeated_later_is_receipted_for_what_it_holds(hub: Hub, gate: Device) -> None:
    """Its receipt covers its own last entry, not the newest."""
    gate.scan(9)
    post(hub, [gate.batch(1, 3), gate.batch(4, 9)])

    receipt = post(hub, [gate.batch(1, 3)])[0]

    assert isinstance(receipt, Receipt)
    assert (3, gate.head(3), 3) == (receipt.last, receipt.head, receipt.hub_seq)


@pytest.mark.parametrize(("first", "last", "held"), [(1, 9, 9), (3, 9, 9), (2, 4, 6), (1, 6, 6), (5, 5, 6)])
def test_the_same_entries_cut_otherwise_are_the_same_entries(
    hub: Hub, gate: Device, desk: Desk, first: int, last: int, held: int
) -> None:
    """A gate that lost its notes of what it sent cuts anew: only what is missing is written, and all is receipted."""
    gate.scan(9)
    post(hub, [gate.batch(1, 3), gate.batch(4, 6)])

    receipt = post(hub, [gate.batch(first, last)])[0]

    assert isinstance(receipt, Receipt)
    assert (last, gate.head(last), last) == (receipt.last, receipt.head, receipt.hub_seq)
    assert list(range(1, held + 1)) == seqs(hub)
    assert kinds(desk) == {}
    assert inspection.inspect(hub.store).problems == ()


def test_every_order_and_repetition_of_batches_gives_the_same_ledger(hub: Hub, desk: Desk) -> None:
    """Each of the 24 orders of four batches, one of them twice, ends in the whole log and no open incident."""
    for number, order in enumerate(itertools.permutations(range(4)), start=1):
        gate = Device(number)
        enrol(hub, desk, gate)
        gate.scan(8)
        cut = gate.batches(2)
        once_more = random.Random(number).choice(order)

        for piece in (*order, once_more):
            post(hub, [cut[piece]])

        answers = post(hub, cut)
        assert [one.last for one in answers if isinstance(one, Receipt)] == [2, 4, 6, 8]
    hub.settle()
    with hub.store.reader() as connection:
        logs: dict[int, list[int]] = {}
        for log, seq in connection.execute("SELECT log, seq FROM scans ORDER BY hub_seq"):
            logs.setdefault(log, []).append(seq)
    assert [list(range(1, 9))] * 24 == list(logs.values())
    assert kinds(desk) == {}
    assert inspection.inspect(hub.store).problems == ()


def test_a_gap_is_told_kept_and_closed_by_what_was_missing(hub: Hub, gate: Device, desk: Desk) -> None:
    """The early batch waits as evidence; once the one before it is there it takes its place and the incident ends."""
    gate.scan(9)
    assert post(hub, [gate.batch(4, 9)]) == ["gap"]
    assert kinds(desk) == {"gap": 1}

    post(hub, [gate.batch(1, 3)])

    assert list(range(1, 10)) == seqs(hub)
    assert kinds(desk) == {}
    assert evidence(hub) == []


def test_a_cloned_card_is_a_fork(hub: Hub, gate: Device, desk: Desk) -> None:
    """Two logs under one key: the second is kept as evidence, the first goes on."""
    gate.scan(3)
    twin = gate.clone(3)
    gate.scan(2)
    twin.scan(2, issuer="4403")
    post(hub, [gate.batch(1, 3), gate.batch(4, 5)])

    answer = post(hub, [twin.batch(4, 5)])

    assert answer == ["fork"]
    assert [twin.batch(4, 5)] == evidence(hub)
    gate.scan(1)
    assert isinstance(post(hub, [gate.batch(6, 6)])[0], Receipt)
    assert seqs(hub) == [1, 2, 3, 4, 5, 6]
    assert kinds(desk) == {"fork": 1}


def test_a_log_that_was_another_before_is_a_fork(hub: Hub, gate: Device) -> None:
    """A batch at the right number whose previous head is not ours does not follow."""
    gate.scan(3)
    other = gate.clone(0)
    other.scan(5, issuer="4403")
    post(hub, [gate.batch(1, 3)])

    assert post(hub, [other.batch(4, 5)]) == ["fork"]


def test_a_store_set_back_is_a_rollback(hub: Hub, gate: Device, desk: Desk) -> None:
    """It leaves the held log in the middle of what was sent before."""
    gate.scan(9)
    old = gate.clone(5)
    post(hub, [gate.batch(1, 9)])
    old.scan(1, issuer="4403")

    assert post(hub, [old.batch(6, 6)]) == ["rollback"]
    assert kinds(desk) == {"rollback": 1}


def test_a_contradiction_posted_again_is_counted_not_repeated(hub: Hub, gate: Device, desk: Desk) -> None:
    """One incident, one piece of evidence, a count."""
    gate.scan(2)
    twin = gate.clone(0)
    twin.scan(2, issuer="4403")
    post(hub, [gate.batch(1, 2)])

    for _ in range(4):
        post(hub, [twin.batch(1, 2)])

    (one,) = desk.incidents(10, is_open=True)
    assert (one.kind, one.count, one.evidence) == ("fork", 4, 1)


def test_a_new_log_is_taken_and_told(hub: Hub, gate: Device, desk: Desk) -> None:
    """A store that was made anew begins at 1 in a new epoch: taken in, and operations hear where the old one ended."""
    gate.scan(4)
    post(hub, [gate.batch(1, 4)])
    anew = Device(epoch=b"epoch-02")
    anew.scan(2)

    receipt = post(hub, [anew.batch(1, 2)])[0]

    assert isinstance(receipt, Receipt)
    assert seqs(hub, b"epoch-02") == [1, 2]
    (told,) = desk.incidents(10, is_open=True)
    assert (told.kind, told.params) == ("new_log", {"seq": 4})


@pytest.mark.parametrize("at", range(3))
def test_a_batch_with_an_edited_part_is_forged(hub: Hub, gate: Device, desk: Desk, at: int) -> None:
    """Header, facts or private part: one flipped bit and nothing is written."""
    gate.scan(3)
    parts = cbor.decode(gate.batch(1, 3))
    parts[at] = parts[at][:-1] + bytes([parts[at][-1] ^ 1])

    assert post(hub, [cbor.encode(parts)]) == ["forged"]
    assert seqs(hub) == []
    assert kinds(desk) == {"forged": 1}


def test_a_batch_signed_by_another_gate_is_not_taken_for_its_own(hub: Hub, gate: Device, desk: Desk) -> None:
    """A gate cannot write into another's log: the header's gate must be the signer's."""
    other = Device(2)
    enrol(hub, desk, other, lane="2")
    gate.scan(2)
    cut = batch.Cut(other.gate, gate.epoch, gate.head(0))

    assert post(hub, [batch.make(gate.entries, cut, gate.key)]) == ["forged"]


def test_a_stranger_is_refused_and_a_little_of_it_kept(hub: Hub, desk: Desk) -> None:
    """An unknown gate's batch is evidence under nobody's name."""
    stranger = Device(77)
    stranger.scan(2)

    assert post(hub, [stranger.batch(1, 2)]) == ["unknown_gate"]
    (told,) = desk.incidents(10, is_open=True)
    assert (told.kind, told.gate, told.evidence) == ("unknown_gate", b"", 1)


def test_strangers_cannot_fill_the_disk(hub: Hub, desk: Desk) -> None:
    """However many post junk, evidence and incidents stay few."""
    for number in range(300):
        stranger = Device(1000 + number)
        stranger.scan(1)
        post(hub, [stranger.batch(1, 1) if number % 2 else b"\xff" * (2000 + number)])

    assert len(evidence(hub)) <= 32
    assert len(desk.incidents(1000, is_open=True)) <= 3


def test_a_retired_gate_is_refused_at_once(hub: Hub, gate: Device, desk: Desk) -> None:
    """Retirement by command reaches a serving hub with the next post; what was sent before stays."""
    gate.scan(4)
    post(hub, [gate.batch(1, 2)])

    desk.retire(gate.gate.hex()[:6])

    assert post(hub, [gate.batch(3, 4)]) == ["unknown_gate"]
    assert seqs(hub) == [1, 2]


def test_a_batch_of_a_later_version_is_refused_as_such(hub: Hub, gate: Device) -> None:
    """The gate keeps it until the hub is updated."""
    gate.scan(1)
    parts = cbor.decode(gate.batch(1, 1))
    header = device.opened("batch", parts[0], gate.public) | {1: 3}
    parts[0] = device.sign("batch", header, gate.key)

    assert post(hub, [cbor.encode(parts)]) == ["version"]


@pytest.mark.parametrize(
    "junk",
    [
        b"\x00",
        b"\xff" * 40,
        b"<!doctype html><title>Welcome</title>",
        cbor.encode([b"", b"", b""]),
        cbor.encode([b"a", b"b"]),
        cbor.encode({1: 2}),
        b"\x9b" + b"\xff" * 8,
        b"\x5b\x7f" + b"\xff" * 7,
        bytes([0x81]) * 5000,
    ],
)
def test_junk_is_malformed(hub: Hub, gate: Device, junk: bytes) -> None:
    """Whatever it is, the answer is one refusal, and a good batch before it is taken all the same."""
    gate.scan(1)

    answers = post(hub, [gate.batch(1, 1), junk])

    assert isinstance(answers[0], Receipt)
    assert "malformed" in answers[1:]
    assert seqs(hub) == [1]


def test_a_bomb_is_refused_unopened(hub: Hub, gate: Device) -> None:
    """A part that announces more than a megabyte is not inflated."""
    gate.scan(1)
    bomb = zstandard.ZstdCompressor().compress(bytes(1 << 26))
    parts = cbor.decode(gate.batch(1, 1))
    header = device.opened("batch", parts[0], gate.public)
    header[10] = sha256(bomb).digest()
    wire = cbor.encode([device.sign("batch", header, gate.key), bomb, parts[2]])

    assert post(hub, [wire]) == ["malformed"]


def test_a_batch_broken_off_leaves_those_before_it(hub: Hub, gate: Device) -> None:
    """Every cut of a post of two batches takes in the first as soon as it is whole, and never half of one."""
    gate.scan(4)
    whole = gate.batch(1, 2) + gate.batch(3, 4)
    end = len(gate.batch(1, 2))

    for length in [1, 2, end - 1, end + 1, end + 40, len(whole) - 1]:
        answers = post(hub, [whole[:length]])

        assert answers[-1] == "truncated"
        assert ([1, 2] if length >= end else []) == seqs(hub)


def test_too_many_batches_at_once_are_refused_whole(hub: Hub) -> None:
    """The answers would not fit what a gate reads: it is told to send fewer, and nothing is read."""
    answer = hub.take(b"\x00" * (MAX_BATCHES + 1))

    assert isinstance(answer, Declined)
    assert (answer.status, answer.code) == (413, "too_many")


def test_an_empty_post_is_an_empty_answer(hub: Hub) -> None:
    """Nothing asked, nothing answered."""
    assert post(hub, []) == []


@pytest.mark.parametrize("at_ms", [0, 1, 253_402_300_800_000, (1 << 53) - 1, 1 << 53, (1 << 64) - 1])
def test_entries_of_impossible_dates_are_kept(hub: Hub, gate: Device, at_ms: int) -> None:
    """A clock centuries off costs no scan; the hours of the chart are not spread over centuries."""
    gate.append(fact(1, at_ms=at_ms))

    assert isinstance(post(hub, [gate.batch(1, 1)])[0], Receipt)
    assert seqs(hub) == [1]
    hub.settle()
    with hub.store.reader() as connection:
        assert connection.execute("SELECT count(*) FROM flow").fetchone()[0] == 0


def test_entries_this_release_cannot_read_are_kept(hub: Hub, gate: Device) -> None:
    """A type of a later release, or no facts at all: signed and chained is enough to be held."""
    gate.append(cbor.encode({1: 99, 2: START_MS}), b"\xff\xfe", cbor.encode([1]), fact(3))

    receipt = post(hub, [gate.batch(1, 4)])[0]

    assert isinstance(receipt, Receipt)
    assert receipt.hub_seq == 4
    assert seqs(hub) == [1, 2, 3, 4]


def test_sums_count_what_was_presented(hub: Hub, gate: Device) -> None:
    """Notes count for nothing, a counted entry for as many as it stands for."""
    gate.append(
        fact(0),
        Facts(EntryType.UNKNOWN_CODES, START_MS, outcome=3, reason="credential.foreign", count=40),
        Facts(EntryType.NOTE, START_MS, refers_to=1, note="document_checked"),
        Facts(EntryType.UNKNOWN_CODES, START_MS, outcome=3, count=(1 << 53) - 1),
    )

    post(hub, [gate.batch(1, 4)])

    hub.settle()
    with hub.store.reader() as connection:
        tallies = dict(connection.execute("SELECT outcome, n FROM tallies"))
    assert tallies == {1: 1, 3: 40 + 1_000_000}


def test_privacy_tokens_are_gone_after_two_days(hub: Hub, gate: Device, desk: Desk, clock: Clock) -> None:
    """No byte of a token is left in any file of the folder; the batch still verifies; sealed fields stay."""
    gate.append(fact(1), sealed=b"sealed to the auditor")
    gate.entries[0] = gate.entries[0].__class__(
        1, gate.entries[0].body, gate.entries[0].head, b"TOKEN-01", b"sealed to the auditor"
    )
    wire = gate.batch(1, 1)
    packed = cbor.decode(wire)[2]
    post(hub, [wire])
    hub.close()
    assert packed in desk.home.database.read_bytes()

    clock.ms += TOKENS_MS + 1
    again = Hub.open(desk.home.path, clock=clock)
    again.writer.do(bool)
    again.close()

    files = [file.read_bytes() for file in desk.home.path.iterdir()]
    assert not any(packed in content for content in files)
    assert inspection.inspect(again.store).problems == ()
    with again.store.reader() as connection:
        assert connection.execute("SELECT * FROM sealed").fetchall() == [(1, b"sealed to the auditor")]


def test_tokens_in_evidence_are_gone_after_two_days_too(hub: Hub, gate: Device, desk: Desk, clock: Clock) -> None:
    """What a fork proves is kept without them; what broke off and cannot be taken apart goes whole."""
    gate.scan(4)
    twin = gate.clone(0)
    twin.scan(2, issuer="4403")
    early = gate.batch(4, 4)
    post(hub, [gate.batch(1, 2), twin.batch(1, 2), early, gate.batch(3, 3)[:-9]])
    assert len(evidence(hub)) == 3

    clock.ms += TOKENS_MS + 1
    hub.close()
    again = Hub.open(desk.home.path, clock=clock)
    again.writer.do(bool)

    assert evidence(again) == [batch.without_private(twin.batch(1, 2)), batch.without_private(early)]
    assert isinstance(post(again, [gate.batch(3, 3)])[0], Receipt)
    assert seqs(again) == [1, 2, 3, 4]
    again.close()


def test_evidence_can_be_taken_out(hub: Hub, gate: Device, desk: Desk, tmp_path: Path) -> None:
    """A file for each batch, as it was received."""
    gate.scan(2)
    post(hub, [gate.batch(2, 2)])

    assert desk.export(tmp_path / "evidence") == 1

    (file,) = (tmp_path / "evidence").iterdir()
    assert file.name == f"000001-gap-{gate.gate.hex()[:8]}.cbor"
    assert file.read_bytes() == gate.batch(2, 2)


def test_a_flipped_bit_in_the_ledger_is_found(hub: Hub, gate: Device) -> None:
    """The inspection names the batch, and the gate whose batch meets it is not blamed."""
    gate.scan(6)
    post(hub, [gate.batch(1, 3)])
    with hub.store.writing() as connection:
        (wire,) = connection.execute("SELECT wire FROM batches").fetchone()
        connection.execute("UPDATE batches SET wire = ?", (wire[:-2] + bytes([wire[-2] ^ 4]) + wire[-1:],))

    report = inspection.inspect(hub.store)

    assert any("batch 1: does not verify" in problem for problem in report.problems)
    assert isinstance(post(hub, [gate.batch(4, 6)])[0], Receipt)


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("UPDATE scans SET outcome = 1 WHERE hub_seq = 3", "other rows"),
        ("DELETE FROM scans WHERE hub_seq = 6", "other rows"),
        ("INSERT INTO scans(hub_seq, log, place, seq) VALUES (7, 1, 1, 7)", "belong to no batch"),
        ("DELETE FROM batches WHERE hub_first = 1", "does not follow"),
        ("UPDATE batches SET hub_first = 9, hub_last = 11 WHERE hub_first = 4", "was next"),
        ("UPDATE logs SET last = 5", "another entry"),
    ],
)
def test_tampering_with_the_database_is_found(hub: Hub, gate: Device, statement: str, problem: str) -> None:
    """Rows, batches and logs are compared with what gates signed."""
    gate.scan(6)
    post(hub, [gate.batch(1, 3), gate.batch(4, 6)])
    hub.settle()
    assert inspection.inspect(hub.store).problems == ()

    with hub.store.writing() as connection:
        connection.execute(statement)

    assert any(problem in one for one in inspection.inspect(hub.store).problems)


def test_the_rows_can_be_made_again_from_the_ledger(hub: Hub, gate: Device) -> None:
    """Rows and sums come out as they were, overlapping batches included."""
    gate.scan(9)
    post(hub, [gate.batch(1, 4), gate.batch(3, 9)])
    before = projected(hub)
    with hub.store.writing() as connection:
        connection.execute("DELETE FROM scans WHERE hub_seq > 2")
        connection.execute("UPDATE tallies SET n = 7")

    written = rebuild.rebuild(hub.store, lambda *_: None)

    assert written == 9
    assert before == projected(hub)


def plainly_read(body: bytes) -> tuple[object, ...] | None:
    """Return the columns of a body as the strict reader alone gives them."""
    try:
        found = facts.decode(body)
    except EncodingRefused:
        return None
    values = tuple(getattr(found, name) for name in FACTS)
    return None if any(isinstance(value, int) and value >= 1 << 53 for value in values) else values


def test_bodies_are_read_as_the_strict_reader_reads_them() -> None:
    """Reading alike entries once changes nothing: every cut, and every value of every byte."""
    bodies = [
        facts.encode(fact(1)),
        facts.encode(fact(2, at_ms=(1 << 53) - 1, outcome=2)),
        facts.encode(fact(3, at_ms=1 << 32, note="document_checked")),
        facts.encode(Facts(EntryType.NOTE, 7)),
        facts.encode(Facts(EntryType.PURGE, (1 << 32) - 1, refers_to=9)),
    ]
    bodies += [body[:length] for body in bodies for length in range(len(body))]
    bodies += [
        body[:at] + bytes([value]) + body[at + 1 :]
        for body in bodies[:5]
        for at in range(len(body))
        for value in range(256)
    ]

    wrong = [body for body in bodies if _columns(body) != plainly_read(body)]

    assert wrong == []
    assert sum(_columns(body) is not None for body in bodies) > 1000


def test_a_rebuild_goes_on_where_it_broke_off(hub: Hub, gate: Device) -> None:
    """Readers meet every row in every commit of it, and batches that come meanwhile are in the sums once."""
    gate.scan(30)
    post(hub, gate.batches(2)[:-1])
    before = projected(hub)[0]

    class BrokenError(Exception):
        pass

    def tell(reached: int, _: int) -> None:
        assert projected(hub)[0][: len(before)] == before
        if reached < 17:
            raise BrokenError

    with pytest.raises(BrokenError):
        rebuild.rebuild(hub.store, tell)
    post(hub, gate.batches(2)[-1:])
    with pytest.raises(BrokenError):
        rebuild.rebuild(hub.store, tell)

    assert rebuild.rebuild(hub.store, tell) == 30
    rows, tallies, _ = projected(hub)
    assert [row[3] for row in rows] == list(range(1, 31))
    assert [n for *_, n in tallies] == [10, 10, 10]
    assert inspection.inspect(hub.store).problems == ()


def test_what_another_process_took_in_is_projected_too(hub: Hub, gate: Device, desk: Desk, clock: Clock) -> None:
    """A hub beside the serving one writes to the same ledger; the pull sees it with its next page."""
    gate.scan(5)
    other = Hub.beside(desk.home.path, clock=clock)
    post(other, [gate.batch(1, 3)])
    other.close()

    post(hub, [gate.batch(4, 5)])

    assert seqs(hub) == [1, 2, 3, 4, 5]
