"""Scans on a stick: the same bytes as a POST, nothing lost whatever the stick is, and only a true receipt lets go."""

import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest
from nacl.signing import SigningKey

from edge.codec import cbor
from edge.errors import SetupError
from edge.ledger import device, receipt, stick, wire
from edge.model.scan import Receipt
from edge.sync.stick import Exported, Returned, export, is_prepared, take_receipts
from tests.simulators.hub import AT_MS, Fault, ModelHub
from tests.simulators.stick_import import files_on, import_stick
from tests.simulators.sync_gate import SyncGate

EVERYTHING = 1 << 30


@pytest.fixture
def hub() -> ModelHub:
    """Return a hub."""
    return ModelHub()


@pytest.fixture
def gate(hub: ModelHub, tmp_path: Path) -> SyncGate:
    """Return one of its gates with 1,200 scans that were never sent."""
    gate = SyncGate(hub, tmp_path / "sync.db")
    gate.log.add(1200)
    return gate


@pytest.fixture
def mount(tmp_path: Path) -> Path:
    """Return an empty stick."""
    mount = tmp_path / "stick"
    mount.mkdir()
    return mount


def write(gate: SyncGate, mount: Path, limit: int = EVERYTHING) -> Exported:
    """Write a stick."""
    return export(gate.outbox, mount, limit=limit, tell=lambda _done, _of: None)


def back(gate: SyncGate, mount: Path) -> Returned:
    """Take the receipts of a stick."""
    return take_receipts(gate.outbox, mount, gate.hub.keys, AT_MS)


def post(hub: ModelHub, data: bytes) -> bytes:
    """Post a sequence to the model, which takes one batch at a time."""
    answers, at = [], 0
    while at < len(data):
        _, end = cbor.decode_first(data, at)
        answers += cbor.decode(hub.answer(wire.BATCHES, data[at:end]).body)
        at = end
    return cbor.encode(answers)


def carry(gate: SyncGate, mount: Path) -> None:
    """Take a stick to the hub."""
    import_stick(mount, lambda data: post(gate.hub, data))


def put_receipt(gate: SyncGate, mount: Path, content: bytes) -> None:
    """Put a file of receipts on a stick."""
    folder = mount / stick.FOLDER / gate.id.hex()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / stick.RECEIPTS).write_bytes(content)


def signed(of: SyncGate, last: int, key: SigningKey | None = None, **changes: bytes) -> bytes:
    """Return the receipt of a hub for an entry of the gate's log."""
    true = Receipt(of.id, of.log.epoch, last, of.log.all[last - 1].head, last, AT_MS, "", b"")
    return receipt.make(replace(true, **changes), key or of.hub.key).wire  # type: ignore[arg-type]  # fields by name


def test_a_stick_carries_everything_there_and_back(gate: SyncGate, mount: Path) -> None:
    """A gate that never had a network: everything written, imported, receipted, and nothing left."""
    out = write(gate, mount)
    carry(gate, mount)
    returned = back(gate, mount)

    assert (out.entries, out.batches, out.files, out.left) == (1200, 3, 1, 0)
    assert (returned.taken, returned.freed, returned.refused) == (1, 1200, ())
    assert gate.is_whole
    assert gate.store.batches() == []


def test_the_layout_is_the_documented_one(gate: SyncGate, mount: Path) -> None:
    """Folder, file name and content are those of docs/formats.md."""
    write(gate, mount)

    epoch = gate.log.epoch.hex()
    assert [f"edge-scans/{gate.id.hex()}/{epoch}-{1:016d}.batches"] == [
        str(path.relative_to(mount)) for path in mount.rglob("*") if path.is_file()
    ]
    assert files_on(mount)[0].read_bytes() == b"".join(
        gate.store.wire(kept.number) or b"" for kept in gate.store.batches()
    )


def test_a_batch_cut_for_the_network_is_written_as_it_is(gate: SyncGate, hub: ModelHub, mount: Path) -> None:
    """What was posted and never answered lies on the stick byte by byte."""
    hub.always = (Fault.LOSE, wire.BATCHES)
    gate.run(60)

    write(gate, mount)

    assert files_on(mount)[0].read_bytes().startswith(hub.posted[0])


def test_a_batch_cut_for_the_stick_is_posted_as_it_is(gate: SyncGate, hub: ModelHub, mount: Path) -> None:
    """When the network returns first, the same bytes go over it, though more scans came and the process died."""
    write(gate, mount)
    gate.log.add(3)
    gate.kill()

    gate.run(60, until=lambda: gate.waiting == 0)

    assert b"".join(hub.posted).startswith(files_on(mount)[0].read_bytes())
    assert gate.is_whole


def test_what_is_on_the_stick_is_not_written_again(gate: SyncGate, mount: Path) -> None:
    """A command that is run again finds its file there."""
    first = write(gate, mount)
    before = files_on(mount)[0].stat().st_ino

    again = write(gate, mount)

    assert (first.written, again.written, again.entries) == (1, 0, 1200)
    assert files_on(mount)[0].stat().st_ino == before


def test_what_the_hub_signed_for_leaves_the_stick(gate: SyncGate, mount: Path) -> None:
    """The next export carries what is new and no file of tokens from before; strangers' files stay."""
    write(gate, mount)
    carry(gate, mount)
    back(gate, mount)
    gate.log.add(4)
    (files_on(mount)[0].parent / "holiday.jpg").write_bytes(b"a picture")

    out = write(gate, mount)

    assert (out.entries, [path.name[-24:] for path in files_on(mount)]) == (4, [f"{1201:016d}{stick.SUFFIX}"])
    assert (files_on(mount)[0].parent / "holiday.jpg").exists()


def test_a_limit_leaves_the_rest_and_says_how_much(gate: SyncGate, mount: Path) -> None:
    """What does not fit stays, and what is there is the oldest."""
    size = write(gate, mount).size

    out = write(gate, mount, limit=size - 1)

    assert (out.entries, out.left) == (1000, 200)


def test_refused_batches_are_carried_too(gate: SyncGate, hub: ModelHub, mount: Path) -> None:
    """A parked batch is unreceipted like any other: whoever imports it judges anew."""
    hub.always = (Fault.REFUSE, wire.BATCHES)
    gate.run(60)
    hub.always = None

    write(gate, mount)
    carry(gate, mount)
    back(gate, mount)

    assert gate.is_whole
    assert gate.store.batches() == []


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ("strange key", "forged"),
        ("junk", "forged"),
        ("other gate", "other_gate"),
        ("other log", "other_log"),
        ("other head", "other_head"),
        ("beyond the log", "other_head"),
        ("old", "old"),
    ],
)
def test_a_receipt_that_is_not_ours_is_refused_by_name(gate: SyncGate, mount: Path, content: str, kind: str) -> None:
    """Forged, old, another gate's or for another log: named, and nothing is let go."""
    write(gate, mount)
    gate.outbox.take(receipt.open_receipt(signed(gate, 500), gate.hub.keys), AT_MS)
    waiting, mark = gate.waiting, gate.store.mark(gate.log.epoch)
    beyond = Receipt(gate.id, gate.log.epoch, 5000, bytes(32), 5000, AT_MS, "", b"")
    put_receipt(
        gate,
        mount,
        {
            "strange key": signed(gate, 1000, SigningKey(bytes(32))),
            "junk": b"\xff\x00 no receipt",
            "other gate": signed(gate, 1000, gate=bytes(16)),
            "other log": signed(gate, 1000, epoch=b"another!"),
            "other head": signed(gate, 1000, head=bytes(32)),
            "beyond the log": receipt.make(beyond, gate.hub.key).wire,
            "old": signed(gate, 500),
        }[content],
    )

    returned = back(gate, mount)

    assert [refused for refused, _ in returned.refused] == [kind]
    assert (returned.taken, returned.is_clean) == (0, kind == "old")
    assert (gate.waiting, gate.store.mark(gate.log.epoch)) == (waiting, mark)


def test_a_true_receipt_among_bad_ones_counts(gate: SyncGate, mount: Path) -> None:
    """What is wrong on a stick does not hide what is right."""
    write(gate, mount)
    put_receipt(gate, mount, signed(gate, 500, SigningKey(bytes(32))) + signed(gate, 1000) + b"\xff")

    returned = back(gate, mount)

    assert (returned.taken, returned.freed, len(returned.refused)) == (1, 1000, 2)


def test_every_cut_short_receipt_is_none(gate: SyncGate, mount: Path) -> None:
    """A file that was cut short by a pull, at any byte, takes nothing."""
    write(gate, mount)
    whole = signed(gate, 1000)

    for length in range(len(whole)):
        put_receipt(gate, mount, whole[:length])
        assert back(gate, mount).taken == 0

    assert gate.waiting == 1200


@pytest.mark.parametrize("what", ["link", "pipe", "folder"])
def test_receipts_that_are_no_file_are_refused(gate: SyncGate, mount: Path, tmp_path: Path, what: str) -> None:
    """A link, a pipe or a folder in the place of the receipts is one sentence, and nothing is waited for."""
    place = mount / stick.FOLDER / gate.id.hex() / stick.RECEIPTS
    place.parent.mkdir(parents=True)
    if what == "link":
        (tmp_path / "elsewhere").write_bytes(b"secret")
        place.symlink_to(tmp_path / "elsewhere")
    elif what == "pipe":
        os.mkfifo(place)
    else:
        place.mkdir()

    with pytest.raises(SetupError, match="cannot be read"):
        back(gate, mount)


@pytest.mark.parametrize("level", [0, 1])
def test_a_link_on_the_stick_leads_nowhere(gate: SyncGate, mount: Path, tmp_path: Path, level: int) -> None:
    """A stick cannot make a gate write to another place."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    place = mount / stick.FOLDER
    if level:
        place.mkdir()
        place = place / gate.id.hex()
    place.symlink_to(elsewhere)

    with pytest.raises(SetupError, match="leads elsewhere"):
        write(gate, mount)

    assert list(elsewhere.iterdir()) == []


def test_a_link_in_the_place_of_a_file_is_replaced_not_followed(gate: SyncGate, mount: Path, tmp_path: Path) -> None:
    """What the link led to stays as it was."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    write(gate, mount)
    file = files_on(mount)[0]
    file.unlink()
    file.symlink_to(victim)

    write(gate, mount)

    assert (victim.read_bytes(), file.is_symlink()) == (b"precious", False)


def test_a_stick_that_is_not_there_is_said(gate: SyncGate, mount: Path) -> None:
    """A mistyped folder is not made."""
    with pytest.raises(SetupError, match="is not there"):
        write(gate, mount / "missing")


def test_a_stick_that_was_pulled_out_half_way_is_made_whole(gate: SyncGate, mount: Path) -> None:
    """A file cut short and a half-written one are not believed: the next export replaces and removes them."""
    write(gate, mount)
    file = files_on(mount)[0]
    whole = file.read_bytes()
    file.write_bytes(whole[:100])
    (file.parent / ".staged-x").write_bytes(whole[:50])

    write(gate, mount)

    assert (file.read_bytes(), list(file.parent.iterdir())) == (whole, [file])


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
@pytest.mark.parametrize(("options", "words"), [("ro", "cannot be written"), ("size=64k", "full")])
def test_a_stick_that_cannot_be_written_loses_nothing(gate: SyncGate, mount: Path, options: str, words: str) -> None:
    """Read-only or full: one sentence with the next step; what waits waits, and a larger stick takes it."""
    gate.log.add(40, sealed_bytes=4000)
    if os.system(f"mount -t tmpfs -o {options} none {mount}"):  # noqa: S605  # a path of the test
        pytest.skip("this machine does not let us mount a file system")
    try:
        with pytest.raises(SetupError, match=words) as met:
            write(gate, mount)
        left = [path.name for path in mount.rglob("*") if path.is_file() and not path.name.endswith(stick.SUFFIX)]
    finally:
        os.system(f"umount {mount}")  # noqa: S605  # a path of the test
    out = write(gate, mount)

    assert met.value.next_step
    assert left == []
    assert (out.entries, gate.waiting) == (1240, 1240)


def test_a_stick_is_prepared_by_its_folder(mount: Path, tmp_path: Path) -> None:
    """Nothing is written by itself to a stick that nobody made for it, nor through a link."""
    before = is_prepared(mount)
    (mount / stick.FOLDER).symlink_to(tmp_path)
    linked = is_prepared(mount)
    (mount / stick.FOLDER).unlink()
    (mount / stick.FOLDER).mkdir()

    assert (before, linked, is_prepared(mount)) == (False, False, True)


def test_every_failure_of_a_stick_names_the_next_step(gate: SyncGate, mount: Path) -> None:
    """Whatever the system says about a stick becomes a sentence with something to do."""
    from edge.sync.stick import _unwritable

    for number in (errno.ENOSPC, errno.EROFS, errno.EIO, errno.ENODEV):
        assert _unwritable(mount, OSError(number, os.strerror(number)), Exported(entries=7)).next_step


def test_one_stick_serves_many_gates(gate: SyncGate, hub: ModelHub, mount: Path, tmp_path: Path) -> None:
    """Each gate has its folder and takes its own receipts only."""
    other = SyncGate(hub, tmp_path / "other.db", key=SigningKey(bytes(range(1, 33))))
    other.log.add(10)
    write(gate, mount)
    write(other, mount)
    carry(gate, mount)

    assert (back(other, mount).freed, back(gate, mount).freed) == (10, 1200)


def test_two_writers_cut_the_same_batches(gate: SyncGate, mount: Path) -> None:
    """A command beside the running part: what one cut the other takes as it is."""
    from edge.sync.outbox import Outbox
    from edge.sync.store import SyncStore

    beside = SyncStore(gate.path)
    walking = Outbox(beside, gate.log, gate.key).everything()
    first = next(walking)
    write(gate, mount)
    rest = list(walking)
    beside.close()

    assert [first, *rest] == gate.store.batches()
    assert device.gate_id(gate.key.verify_key.encode()) == gate.outbox.gate
