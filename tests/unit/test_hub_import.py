"""What the hub takes in from sticks: the same ledger as over HTTP, receipts back, and no harm from anything on them."""

import json
import os
from io import BytesIO
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edge.cli.hub import hub as hub_command
from edge.codec import cbor
from edge.errors import LedgerError
from edge.hub import imports, inspection
from edge.hub.desk import Desk
from edge.hub.hub import Hub
from edge.hub.imports import Import, Pieces
from edge.ledger import batch, device, receipt, stick
from edge.model.scan import Receipt
from tests.simulators.hub_gates import Device, enrol, post


@pytest.fixture
def gate(hub: Hub, desk: Desk) -> Device:
    """An enrolled gate with nine scans."""
    made = Device()
    enrol(hub, desk, made)
    made.scan(9)
    return made


def written(root: Path, gate: Device, size: int = 3) -> Path:
    """Write a gate's log to a stick as the gate does; return its folder."""
    folder = root / stick.FOLDER / gate.gate.hex()
    folder.mkdir(parents=True, exist_ok=True)
    for number, wire in enumerate(gate.batches(size)):
        first = number * size + 1
        (folder / f"{gate.epoch.hex()}-{first:016}{stick.SUFFIX}").write_bytes(wire)
    return folder


def taken(hub: Hub, *paths: Path, receipts: Path | None = None) -> imports.Summary:
    """Import paths and write the receipts."""
    work = Import(hub, lambda *_: None, receipts=receipts)
    for path in paths:
        work.take_path(path)
    work.write_receipts()
    return work.summary


def receipts_in(folder: Path, hub: Hub) -> list[Receipt]:
    """Return the verified receipts in a gate's folder."""
    return opened_receipts((folder / stick.RECEIPTS).read_bytes(), hub)


def opened_receipts(data: bytes, hub: Hub) -> list[Receipt]:
    """Return the receipts in a CBOR sequence, each verified under the hub's key."""
    public = hub.home.public
    found, at = [], 0
    while at < len(data):
        _, end = cbor.decode_first(data, at)
        found.append(receipt.open_receipt(data[at:end], {device.key_id(public).hex(): public}))
        at = end
    return found


def ledger(hub: Hub) -> list[tuple[object, ...]]:
    """Return what was written to the ledger."""
    with hub.store.reader() as connection:
        return connection.execute("SELECT first, last, head, wire FROM batches ORDER BY first").fetchall()


def seqs(hub: Hub) -> list[int]:
    """Return the sequence numbers of the ledger's entries, in the order of the hub."""
    with hub.store.reader() as connection:
        rows = connection.execute("SELECT last - hub_last + hub_first, last FROM batches ORDER BY hub_first")
        return [seq for first, last in rows for seq in range(first, last + 1)]


def run(*arguments: object, stdin: bytes = b"") -> Result:
    """Run `edge hub` with arguments."""
    return CliRunner().invoke(hub_command, [str(one) for one in arguments], input=stdin)


def test_a_stick_gives_the_ledger_that_posts_give(hub: Hub, gate: Device, tmp_path: Path) -> None:
    """Row for row and byte for byte."""
    folder = written(tmp_path / "stick", gate)

    summary = taken(hub, tmp_path / "stick")

    by_stick = ledger(hub)
    assert (summary.gates[gate.gate].taken, summary.gates[gate.gate].entries, summary.is_whole) == (3, 9, True)
    assert [(wire, last) for _, last, _, wire in by_stick] == [
        (batch.without_private(wire), 3 * number) for number, wire in enumerate(gate.batches(3), start=1)
    ]
    (said,) = receipts_in(folder, hub)
    assert (said.gate, said.epoch, said.last, said.head) == (gate.gate, gate.epoch, 9, gate.head())


def test_a_stick_taken_in_twice_is_held_already(hub: Hub, gate: Device, tmp_path: Path) -> None:
    """Nothing is written again; the receipt is written anew and not doubled."""
    folder = written(tmp_path, gate)
    taken(hub, tmp_path)

    summary = taken(hub, tmp_path)

    assert (summary.gates[gate.gate].taken, summary.gates[gate.gate].held) == (0, 3)
    assert len(receipts_in(folder, hub)) == 1
    assert list(range(1, 10)) == seqs(hub)


def test_stick_and_network_mix(hub: Hub, gate: Device, tmp_path: Path) -> None:
    """What came by post before is held already, cut otherwise or not; the receipt covers all of it."""
    post(hub, [gate.batch(1, 2), gate.batch(3, 5)])
    folder = written(tmp_path, gate)

    taken(hub, tmp_path)

    assert list(range(1, 10)) == seqs(hub)
    assert [one.last for one in receipts_in(folder, hub)] == [9]
    assert inspection.inspect(hub.store).problems == ()


def test_many_gates_on_one_stick_get_a_file_of_receipts_each(hub: Hub, desk: Desk, tmp_path: Path) -> None:
    """Each under its own id, one receipt for each of its logs."""
    folders = []
    for number in range(1, 4):
        one = Device(number, bytes(7) + bytes([number]))
        enrol(hub, desk, one, lane=str(number))
        one.scan(4)
        folders.append(written(tmp_path, one))
        anew = Device(number, bytes(8))
        anew.scan(2)
        written(tmp_path, anew)

    summary = taken(hub, tmp_path)

    assert len(summary.receipts) == 3
    assert [sorted(one.last for one in receipts_in(folder, hub)) for folder in folders] == [[2, 4]] * 3


def test_a_stick_that_lacks_the_beginning_is_held_back(hub: Hub, gate: Device, tmp_path: Path) -> None:
    """The receipt covers what is held and no more; the rest falls into place when the beginning comes."""
    folder = written(tmp_path, gate)
    post(hub, [gate.batch(1, 3)])
    (folder / f"{gate.epoch.hex()}-{4:016}{stick.SUFFIX}").unlink()

    summary = taken(hub, tmp_path)

    assert (summary.gates[gate.gate].held_back, summary.is_whole) == (1, True)
    assert [one.last for one in receipts_in(folder, hub)] == [3]
    post(hub, [gate.batch(4, 6)])
    assert list(range(1, 10)) == seqs(hub)


def test_every_cut_of_a_file_takes_in_what_is_whole(hub: Hub, gate: Device, tmp_path: Path) -> None:
    """Each length of a file of three batches: the whole ones are taken, the rest is told."""
    pieces = gate.batches(3)
    whole, ends = b"".join(pieces), [0, len(pieces[0]), len(pieces[0] + pieces[1]), len(b"".join(pieces))]
    file = tmp_path / "cut.batches"

    for length in range(0, len(whole) + 1, 7):
        file.write_bytes(whole[:length])
        summary = taken(hub, file)

        complete = sum(end <= length for end in ends[1:])
        assert summary.batches == complete
        assert bool(summary.unreadable) == (length not in ends)


def test_damage_in_the_middle_costs_one_batch(hub: Hub, gate: Device, tmp_path: Path) -> None:
    """A block of zeros over the end of the first batch: the ones behind it are found and wait for it."""
    pieces = gate.batches(3)
    file = tmp_path / "hurt.batches"
    file.write_bytes(pieces[0][:-40] + bytes(40 + 4096) + pieces[1] + pieces[2])

    summary = taken(hub, file)

    assert summary.gates[gate.gate].held_back == 2
    post(hub, [pieces[0]])
    assert list(range(1, 10)) == seqs(hub)


def test_a_sequence_is_read_in_bounded_memory(hub: Hub, gate: Device) -> None:
    """However long a file is, whatever is in it, and however little each read gives."""

    class Slow(BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(min(size or 0, 3000) if size and size > 0 else 3000)

    pieces = gate.batches(2)
    found = list(Pieces(Slow(bytes(5_000_000) + b"".join(pieces)), lambda _: None))

    assert [piece for piece, value in found if value is not None] == pieces
    assert max(len(piece) for piece, _ in found) <= batch.MAX_WIRE


@pytest.mark.parametrize("junk", [b"\x83\x59\xff\xff", b"\x83\x58\x20" + bytes(40), b"\x83"])
def test_a_file_of_junk_is_given_up(hub: Hub, desk: Desk, tmp_path: Path, junk: bytes) -> None:
    """Beginnings of batches over and over cost a bounded number of tries, and little evidence is kept."""
    (tmp_path / "junk.batches").write_bytes(junk * 300_000)

    summary = taken(hub, tmp_path / "junk.batches")

    assert summary.gates == {}
    assert sum(summary.unreadable.values()) <= 65
    assert len(desk.incidents(100, is_open=True)) == 1


def test_links_devices_and_strangers_files_are_passed_over(hub: Hub, gate: Device, tmp_path: Path) -> None:
    """Nothing outside of the stick is read, nothing blocks, other people's files are left alone."""
    folder = written(tmp_path / "stick", gate)
    secret = tmp_path / "secret.batches"
    secret.write_bytes(gate.batch(1, 3))
    (folder / "link.batches").symlink_to(secret)
    os.mkfifo(folder / "pipe.batches")
    (folder / "folder.batches").mkdir()
    (folder / "._hidden.batches").write_bytes(b"\x00\x05\x16\x07")
    (tmp_path / "stick" / stick.FOLDER / "away").symlink_to(tmp_path)
    (tmp_path / "stick" / "holiday.jpg").write_bytes(b"\xff\xd8")
    (tmp_path / "stick" / "other.batches").write_bytes(b"junk")

    summary = taken(hub, tmp_path / "stick")

    assert summary.files == 3
    assert sorted(Path(name).name for name, _ in summary.skipped) == ["link.batches", "pipe.batches"]
    assert summary.unreadable == {}


def test_a_link_in_place_of_the_receipts_is_replaced_not_followed(hub: Hub, gate: Device, tmp_path: Path) -> None:
    """What it points to is neither read nor written."""
    folder = written(tmp_path / "stick", gate)
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    (folder / stick.RECEIPTS).symlink_to(victim)

    taken(hub, tmp_path / "stick")

    assert victim.read_bytes() == b"mine"
    assert not (folder / stick.RECEIPTS).is_symlink()
    assert len(receipts_in(folder, hub)) == 1


def test_receipts_of_another_hub_stay_on_the_stick(hub: Hub, gate: Device, tmp_path: Path) -> None:
    """A stick may serve two hubs; what is junk, or ours and superseded, goes."""
    folder = written(tmp_path, gate)
    other = receipt.make(Receipt(gate.gate, gate.epoch, 1, gate.head(1), 1, 5, "", b""), Device(50).key).wire
    ours = receipt.make(Receipt(gate.gate, gate.epoch, 1, gate.head(1), 1, 5, "", b""), hub.home.key).wire
    (folder / stick.RECEIPTS).write_bytes(ours + other + cbor.encode("junk") + b"\xff")

    taken(hub, tmp_path)

    data = (folder / stick.RECEIPTS).read_bytes()
    assert data.endswith(other)
    assert ours not in data
    assert [one.last for one in opened_receipts(data.removesuffix(other), hub)] == [9]


def test_a_read_only_stick_is_taken_in_and_said(hub: Hub, gate: Device, tmp_path: Path) -> None:
    """The scans are in; that no receipts could be written is told with the reason."""
    folder = written(tmp_path, gate)
    # A folder stands where the file would: refused to root as well.
    (folder / stick.RECEIPTS).mkdir()

    summary = taken(hub, tmp_path)

    assert summary.gates[gate.gate].taken == 3
    assert list(summary.unwritten) == [str(folder)]


def test_batches_outside_of_a_gates_folder_get_receipts_where_asked(hub: Hub, gate: Device, tmp_path: Path) -> None:
    """A loose file has no place for receipts; one that is named gets the layout of a stick."""
    loose = tmp_path / "mail.batches"
    loose.write_bytes(b"".join(gate.batches(5)))
    assert list(taken(hub, loose).unwritten) == [gate.gate.hex()]

    taken(hub, loose, receipts=tmp_path / "back")

    assert [one.last for one in receipts_in(tmp_path / "back" / stick.FOLDER / gate.gate.hex(), hub)] == [9]


def test_a_folder_that_is_not_there_is_told(hub: Hub, tmp_path: Path) -> None:
    """No traceback; the other paths are still read."""
    summary = taken(hub, tmp_path / "nowhere")

    assert [name for name, _ in summary.skipped] == [str(tmp_path / "nowhere")]


def test_the_command_works_beside_a_serving_hub(hub: Hub, gate: Device, desk: Desk, tmp_path: Path) -> None:
    """The folder is claimed by another; the ledger takes both, and the answer is JSON for scripts."""
    written(tmp_path / "stick", gate)

    answer = run("import", desk.home.path, tmp_path / "stick", "--json")

    assert answer.exit_code == 0, answer.output
    (told,) = json.loads(answer.stdout)["gates"]
    assert (told["gate"], told["taken"], told["entries"]) == (gate.gate.hex(), 3, 9)
    gate.scan(1)
    assert isinstance(post(hub, [gate.batch(10, 10)])[0], Receipt)


def test_the_command_reads_standard_input(hub: Hub, gate: Device, desk: Desk) -> None:
    """A pipe is a stick without a place for receipts."""
    answer = run("import", desk.home.path, "-", stdin=b"".join(gate.batches(4)))

    assert answer.exit_code == 0, answer.output
    assert "3 batches taken (9 entries)" in answer.stdout
    assert "--receipts" in answer.stderr


def test_the_command_says_what_was_not_taken_in(hub: Hub, gate: Device, desk: Desk, tmp_path: Path) -> None:
    """A forged batch ends it with an error after everything else was taken in."""
    folder = written(tmp_path, gate)
    twin = gate.clone(6)
    twin.scan(1, issuer="4403")
    (folder / "zz.batches").write_bytes(gate.batch(7, 9)[:-1] + b"\x00" + twin.batch(7, 7) + b"\xf6")

    answer = run("import", desk.home.path, tmp_path)

    assert isinstance(answer.exception, LedgerError)
    assert "1 quarantined (forged)" in answer.stdout
    assert "1 quarantined (fork)" in answer.stdout
    assert list(range(1, 10)) == seqs(hub)
