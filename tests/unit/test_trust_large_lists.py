"""Large lists at a gate: the shortest way to the newest state, bounds on change, and what is kept otherwise."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tuf.api.metadata import TargetFile

from edge.codec.roaring import SPAN
from edge.errors import AnswerRefused, TransportError, TrustDamaged, TrustError, TrustRefused
from edge.gate.line import Trusted
from edge.gate.scanner_part import TrustWatcher
from edge.model.credential import HashKind
from edge.model.finding import Severity
from edge.model.trust import Status, TrustSnapshot
from edge.trust import hash_list, large_lists, list_book, status_list
from edge.trust.large_lists import Cosigned
from edge.trust.list_book import ListBook
from edge.trust.list_state import ListDelta, parse_delta
from edge.trust.list_update import FREE_FLIPS, ListUpdate
from edge.trust.part_files import PartFiles
from edge.trust.store import TrustStore
from tests.simulators.lists import ListAuthor
from tests.simulators.repository import DAY, NOW, Repository

PLACE = ("44", 2)
URI = "issuers/44/status/2"


class World:
    """A list, the repository it is published in, and a gate."""

    def __init__(self, folder: Path, size: int = 1 << 20) -> None:
        self.repository = Repository()
        self.author = ListAuthor(size)
        self.author.change([5], [7])
        self.author.rebase()
        self.store = TrustStore.init(folder / "trust", self.repository.first_root)

    def publish(self, **instead: bytes) -> None:
        """Publish the list as it stands, with other bytes at some of its paths (`delta_3`)."""
        small = {path: data for path, data in self.repository.targets.items() if "/status/2" not in path}
        other = {f"{URI}.{name.replace('_', '.')}": data for name, data in instead.items()}
        self.repository.targets = {**small, **self.author.files(), **other}
        self.repository.publish()

    def refresh(self, days: int = 0) -> TrustSnapshot:
        """Refresh the gate and return what it believes."""
        self.repository.now += days * DAY
        self.repository.publish_timestamp()
        self.repository.requests.clear()
        self.store.refresh(self.repository, self.repository.now)
        return self.store.load()

    def fetched(self) -> list[str]:
        """Files of the list that the last refresh asked for, without their hash."""
        names = (path.rpartition("/")[2].partition(".")[2] for path in self.repository.requests if "/status/" in path)
        return sorted(name for name in names if name.startswith("2."))


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A gate that has been refreshed once."""
    found = World(tmp_path)
    found.publish()
    found.refresh()
    return found


def statuses(trust: TrustSnapshot, *indices: int) -> list[int | None]:
    """What the gate says of some entries."""
    return [trust.status_lists[PLACE].status(index) for index in indices]


def test_a_first_refresh_fetches_the_base(tmp_path: Path) -> None:
    """The base and its parts; deltas before it are not asked for, but the newest, which may lead on."""
    world = World(tmp_path)
    world.publish()

    trust = world.refresh()

    assert world.fetched() == ["2.base", "2.part.invalid.0", "2.part.suspended.0"]
    assert statuses(trust, 4, 5, 6, 7) == [0, Status.INVALID, 0, Status.SUSPENDED]


def test_a_refresh_fetches_the_delta_alone(world: World) -> None:
    """Revoked, un-revoked and suspended in one day; nothing else is fetched."""
    world.author.change([5, 9], [11])
    world.publish()

    trust = world.refresh()

    assert world.fetched() == ["2.delta.2"]
    assert statuses(trust, 5, 7, 9, 11) == [0, Status.SUSPENDED, Status.INVALID, Status.SUSPENDED]


def test_a_gate_that_was_away_takes_every_delta(world: World) -> None:
    """Thirty of them, in order."""
    for number in range(30):
        world.author.change([100 + number])
    world.publish()

    trust = world.refresh(29)

    assert sorted(f"2.delta.{number}" for number in range(2, 32)) == world.fetched()
    assert statuses(trust, *range(100, 130)) == [1] * 30


def test_a_new_base_costs_a_gate_that_followed_nothing(world: World) -> None:
    """Base and parts are, byte for byte, what the deltas led to."""
    world.author.change([9])
    world.publish()
    world.refresh()
    world.author.rebase()
    world.publish()

    trust = world.refresh()

    assert world.fetched() == []
    assert statuses(trust, 9) == [1]


def test_a_gate_with_a_hole_in_its_chain_takes_the_base(world: World) -> None:
    """Deltas that were pruned meanwhile."""
    world.author.change([9])
    world.author.change([10])
    world.author.rebase()
    world.author.change([11])
    del world.author.deltas[1], world.author.deltas[2]
    world.publish()

    trust = world.refresh()

    assert world.fetched() == ["2.base", "2.delta.4", "2.part.invalid.0"]
    assert statuses(trust, 9, 10, 11) == [1, 1, 1]


def test_no_list_is_loaded_twice_when_nothing_changed(world: World) -> None:
    """A fresh timestamp: two requests, and the same list."""
    trust = world.refresh(1)

    assert world.fetched() == []
    assert statuses(trust, 5) == [1]


def test_the_packed_form_is_not_fetched_beside_the_parts(world: World) -> None:
    """It is there for others."""
    world.repository.targets[f"{URI}.cbor"] = world.repository.targets["issuers/44/status/1.cbor"]
    world.repository.publish()

    world.refresh()

    assert world.fetched() == []


def test_what_no_view_needs_is_removed(world: World) -> None:
    """Old parts, old states, deltas that were applied."""
    for number in range(5):
        world.author.change([100 + number])
        world.publish()
        world.refresh()
    state = world.author.state

    kept = {file.name for file in (world.store.folder / "targets").iterdir()}
    assert {digest.hex() for digest in (state.digest, *state.digests())} <= kept
    # Five small targets, list 1, the base, its newest delta, the state and its two parts.
    assert len(kept) == 5 + 1 + 1 + 1 + 1 + 2


def hole(world: World) -> dict[str, bytes]:
    """A chain with a hole behind the base."""
    world.author.change([10])
    del world.author.deltas[2]
    return {}


def backwards(world: World) -> dict[str, bytes]:
    """A base of an earlier sequence than the gate holds, validly signed."""
    world.author.deltas.clear()
    return {"base": replace(world.author.state, sequence=0).encode()}


def other_result(world: World) -> dict[str, bytes]:
    """A delta that does not lead where it says."""
    return {"delta_2": replace(read(world, 2), result=bytes(32)).encode()}


def other_start(world: World) -> dict[str, bytes]:
    """A delta from a state nobody was in."""
    return {"delta_2": replace(read(world, 2), previous=bytes(32)).encode()}


def other_list(world: World) -> dict[str, bytes]:
    """A delta of another list."""
    return {"delta_2": replace(read(world, 2), uri="issuers/44/status/3").encode()}


def other_base(world: World) -> dict[str, bytes]:
    """A base of another list."""
    return {"base": replace(world.author.state, uri="issuers/61/status/2").encode()}


def other_size(world: World) -> dict[str, bytes]:
    """A base of another size."""
    return {"base": replace(world.author.base, size=1 << 21).encode()}


def missing_part(world: World) -> dict[str, bytes]:
    """A base that names a part which was not published."""
    gone = replace(world.author.state, parts={**world.author.state.parts, Status.INVALID: (bytes(32),)})
    world.author.deltas.clear()
    return {"base": gone.encode()}


def torn_part(world: World) -> dict[str, bytes]:
    """A base whose part is rubbish, signed."""
    data = b"no bitmap"
    parts = {**world.author.state.parts, Status.INVALID: (sha256(data).digest(),)}
    world.author.deltas.clear()
    return {"base": replace(world.author.state, parts=parts).encode(), "part_invalid_0": data}


def rubbish(world: World) -> dict[str, bytes]:
    """No base at all."""
    return {"base": b"<html>"}


def read(world: World, sequence: int) -> ListDelta:
    """The delta as the author made it."""
    return parse_delta(world.author.deltas[sequence], URI, sequence, world.author.state.size)


HOSTILE = [
    hole,
    backwards,
    other_result,
    other_start,
    other_list,
    other_base,
    other_size,
    missing_part,
    torn_part,
    rubbish,
]


@pytest.mark.parametrize("make", HOSTILE)
def test_a_hostile_list_stays_as_it_was_and_holds_up_nothing_else(
    world: World, make: Callable[[World], dict[str, bytes]]
) -> None:
    """Signed and yet wrong: the state of before answers, the reason is told, the rest of the update is in force."""
    before = world.store.load().versions.targets
    world.author.change([9])
    world.publish(**make(world))

    trust = world.refresh()

    assert statuses(trust, 5, 7, 9) == [1, 2, 0]
    assert trust.versions.targets > before
    assert URI in trust.held_back[URI]


@pytest.mark.parametrize("make", HOSTILE)
def test_a_sound_publication_ends_it(world: World, make: Callable[[World], dict[str, bytes]]) -> None:
    """The next good one is taken."""
    world.author.change([9])
    kept = dict(world.author.deltas)
    world.publish(**make(world))
    world.refresh()
    world.author.deltas = {**kept, **world.author.deltas}
    world.author.change([12])
    world.author.rebase()
    world.publish()

    trust = world.refresh()

    assert statuses(trust, 9, 12) == [1, 1]
    assert trust.held_back == {}


def test_a_first_list_that_is_rubbish_gives_no_answer(tmp_path: Path) -> None:
    """There is no state of before: no answer is not "valid"."""
    world = World(tmp_path)
    world.publish(base=b"<html>")

    trust = world.refresh()

    assert PLACE not in trust.status_lists
    assert URI in trust.held_back


def test_an_altered_file_of_a_mirror_ends_the_refresh(world: World) -> None:
    """What was not signed for is the mirror's fault: the whole view of before stays."""
    world.author.change([9])
    world.publish()
    (path,) = [path for path in world.repository.files if path.endswith("2.delta.2")]
    world.repository.instead[path] = b"x" * len(world.repository.files[path])
    before = world.store.load()

    with pytest.raises(TrustRefused, match="not the file"):
        world.refresh()

    assert before.versions == world.store.load().versions


@pytest.mark.parametrize("after", range(8))
def test_a_network_that_goes_loses_nothing(world: World, after: int) -> None:
    """At any request: the list of before answers, and the next refresh goes on."""
    world.author.change([9])
    world.author.change([10])
    world.author.rebase()
    world.author.deltas.clear()
    world.publish()

    class Going:
        left = after

        def fetch(self, path: str, max_bytes: int) -> bytes:
            self.left -= 1
            if self.left < 0:
                raise AnswerRefused("gone", status=500)
            return world.repository.fetch(path, max_bytes)

    try:
        world.store.refresh(Going(), NOW)
    except TransportError:
        assert statuses(world.store.load(), 5, 9) == [1, 0]

    assert statuses(world.refresh(), 5, 9) == [1, 1]


# How much may change


def test_a_change_of_more_than_a_hundredth_is_held_back(world: World) -> None:
    """One percent of 2^20 issued entries a day."""
    most = (1 << 20) // 100
    world.author.change(range(100, 100 + most + 1))
    world.publish()

    trust = world.refresh()

    assert statuses(trust, 5, 100) == [1, 0]
    assert "co-signature" in trust.held_back[URI]


def test_a_large_change_is_not_passed_in_slices(world: World) -> None:
    """Ten deltas in one publication count together."""
    for number in range(10):
        world.author.change(range(1000 + number * 2000, 1000 + number * 2000 + 2000))
    world.publish()

    assert URI in world.refresh().held_back


def test_a_large_change_is_not_passed_in_a_new_base(world: World) -> None:
    """The base is measured against what is held."""
    world.author.change(range(100, 20_100))
    world.author.rebase()
    world.author.deltas.clear()
    world.publish()

    assert URI in world.refresh().held_back


def test_days_away_allow_for_as_many_days_of_change(world: World) -> None:
    """Half a percent a day for ten days is no attack; days count by signed times."""
    for number in range(10):
        world.author.change(range(1000 + number * 5000, 1000 + number * 5000 + 5000))
    world.publish()

    trust = world.refresh(10)

    assert (statuses(trust, 50_999), trust.held_back) == ([1], {})


def test_a_small_list_is_not_held_up_by_a_busy_day(tmp_path: Path) -> None:
    """A thousand changes are free whatever the size."""
    world = World(tmp_path, 5000)
    world.publish()
    world.refresh()
    world.author.change(range(100, 100 + FREE_FLIPS))
    world.publish()

    assert world.refresh().held_back == {}


def test_a_large_change_passes_where_the_signed_targets_vouch_for_it(world: World) -> None:
    """Held back first; then the national role names the delta, path and hash, in its own metadata."""
    world.author.change(range(100, 20_100))
    world.publish()
    held = world.refresh()
    path = f"{URI}.delta.2"
    row = {"path": path, "sha256": sha256(world.author.deltas[2]).hexdigest()}
    world.repository.targets_fields["x-edge-cosigned"] = [row]
    world.publish()

    passed = world.refresh()

    assert (statuses(held, 100), statuses(passed, 100), passed.held_back) == ([0], [1], {})


class Files:
    """A publication without metadata, and what a gate keeps of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: dict[str, bytes] = {}
        self.parts = PartFiles(folder)

    def bring(self, author: ListAuthor, before: ListBook, cosigned: Cosigned = frozenset()) -> ListBook:
        """Bring the book up to what the author publishes now."""
        self.files = author.files()
        targets = {path: TargetFile.from_data(path, data, ["sha256"]) for path, data in self.files.items()}
        self.update = ListUpdate(self.parts, self.fetch, before, issued_at=NOW, cosigned=cosigned)
        return self.update.bring(large_lists.offers(targets), NOW)

    def fetch(self, target: TargetFile) -> bytes:
        """Fetch and keep."""
        self.parts.keep(self.files[target.path])
        return self.files[target.path]


@pytest.mark.parametrize("form", ["delta.2", "base"])
def test_a_national_co_signature_lets_a_large_change_through(tmp_path: Path, form: str) -> None:
    """Over the very file: path and hash; the same path with another hash is none."""
    author, gate = ListAuthor(), Files(tmp_path)
    author.change([5])
    author.rebase()
    first = gate.bring(author, ListBook())
    author.change(range(100, 30_100))
    if form == "base":
        author.rebase()
        author.deltas.clear()
    path = f"{URI}.{form}"
    signed = sha256(author.files()[path]).hexdigest()

    held = gate.bring(author, first, frozenset({(path, bytes(32).hex())}))
    passed = gate.bring(author, held, frozenset({(path, signed)}))

    assert (first.lists[URI].state, author.state.digest.hex()) == (held.lists[URI].state, passed.lists[URI].state)
    assert (bool(held.lists[URI].refused), passed.lists[URI].refused) == (True, "")


def test_what_was_refused_is_not_worked_through_again(tmp_path: Path) -> None:
    """The same publication, the same answer: the delta is not even applied."""
    author, gate = ListAuthor(), Files(tmp_path)
    author.change([5])
    author.rebase()
    book = gate.bring(author, ListBook())
    author.change(range(100, 30_100))
    held = gate.bring(author, book)

    assert held.lists == gate.bring(author, held).lists


# What is on the disk


def test_a_part_that_rots_is_fetched_anew_within_a_day(world: World) -> None:
    """A seal stands for a day; then everything is hashed again."""
    digest = world.author.state.parts[Status.INVALID][0].hex()
    place = world.store.folder / "targets" / digest
    place.write_bytes(bytes(place.stat().st_size))

    with pytest.raises(TrustDamaged):
        world.store.load()
    assert statuses(world.refresh(1), 5) == [1]
    assert sha256(place.read_bytes()).hexdigest() == digest


@pytest.mark.parametrize("left", ["nothing", "half"])
def test_a_lost_part_is_fetched_anew(world: World, left: str) -> None:
    """Whatever a power cut left of it."""
    place = world.store.folder / "targets" / world.author.state.parts[Status.INVALID][0].hex()
    data = place.read_bytes()
    place.unlink()
    if left == "half":
        place.write_bytes(data[: len(data) // 2])

    with pytest.raises(TrustDamaged):
        world.store.load()
    assert statuses(world.refresh(), 5, 7) == [1, 2]


def test_a_lost_part_that_a_delta_made_is_made_again(world: World) -> None:
    """From the base on."""
    world.author.change([9])
    world.publish()
    world.refresh()
    (world.store.folder / "targets" / world.author.state.parts[Status.INVALID][0].hex()).unlink()

    assert statuses(world.refresh(), 5, 9) == [1, 1]


def test_a_lost_book_is_written_anew(world: World) -> None:
    """A record that does not verify counts as absent: a refresh repairs it."""
    with closing(sqlite3.connect(world.store.folder / "trust.db")) as connection, connection:
        connection.execute("UPDATE records SET value = x'00' WHERE name = ?", (list_book.RECORD,))

    with pytest.raises(TrustDamaged):
        world.store.load()
    assert statuses(world.refresh(), 5) == [1]


def test_a_file_is_hashed_once_and_then_known_by_its_seal(tmp_path: Path) -> None:
    """The seal is of the very file: a rewritten one has another, whatever its modification time."""
    parts = PartFiles(tmp_path)
    digest = parts.keep(b"x" * 100_000)
    place = tmp_path / digest.hex()
    before = place.stat()
    seals = parts.seals([digest])
    place.write_bytes(b"y" * 100_000)
    os.utime(place, ns=(before.st_atime_ns, before.st_mtime_ns))

    assert not PartFiles(tmp_path, seals).is_whole(digest)


def test_a_full_disk_ends_the_refresh_and_nothing_else(tmp_path: Path) -> None:
    """It is no fault of the list: it is not held back."""
    (tmp_path / "file").write_bytes(b"")
    parts = PartFiles(tmp_path / "file")

    with pytest.raises(TrustError, match="kept"):
        parts.keep(b"x")


def test_a_list_of_several_spans_is_answered_from_mapped_files(tmp_path: Path) -> None:
    """A part above 64 KiB is mapped; its answers are those of the author's."""
    world = World(tmp_path, 2 * SPAN)
    world.author.change([*range(0, 900_000, 3), SPAN + 9])
    world.author.rebase()
    world.publish()

    trust = world.refresh()

    assert statuses(trust, 299_997, 299_998, SPAN + 9, SPAN + 10) == [1, 0, 1, 0]
    assert (world.store.folder / "targets" / world.author.state.parts[Status.INVALID][0].hex()).stat().st_size > 1 << 16


def test_a_snapshot_keeps_its_answers_while_the_next_is_put_in_force(world: World) -> None:
    """What was mapped stays mapped, though its file is removed."""
    before = world.store.load()
    world.author.change([5, 9])
    world.author.rebase()
    world.publish()

    after = world.refresh()

    assert (statuses(before, 5, 9), statuses(after, 5, 9)) == ([1, 0], [0, 1])


# Lists of hashes


def test_a_list_of_hashes_reaches_the_gate(world: World) -> None:
    """Opened, replaced, and held back where the next one is rubbish."""
    path = f"{URI}.hashes"
    digests = [sha256(bytes([number])).digest() for number in range(3)]
    world.repository.targets[path] = hash_list.build(HashKind.IDENTIFIER, 16, digests[:2])
    world.repository.publish()
    first = world.refresh().hash_lists[PLACE]
    world.repository.targets[path] = b"EHL1 rubbish"
    world.repository.publish()
    held = world.refresh()
    world.repository.targets[path] = hash_list.build(HashKind.IDENTIFIER, 16, digests[1:])
    world.repository.publish()
    last = world.refresh()

    assert [digest in first for digest in digests] == [True, True, False]
    assert [digest in held.hash_lists[PLACE] for digest in digests] == [True, True, False]
    assert path in held.held_back
    assert [digest in last.hash_lists[PLACE] for digest in digests] == [False, True, True]
    assert last.held_back == {}


def test_staff_are_told_that_a_list_is_held_back(world: World) -> None:
    """A finding of the gate, for as long as it is so; the gate goes on."""
    world.author.change(range(100, 20_100))
    world.publish()
    world.refresh()
    watcher = TrustWatcher(world.store.folder, Trusted())
    watcher.look()

    (finding,) = watcher.findings()

    assert (finding.code, finding.severity) == ("trust.list_held", Severity.WARNING)


# Packed lists

PACKED = ("44", 1)
PACKED_PATH = "issuers/44/status/1.cbor"
PACKED_SIZE = 1 << 18


def packed(*revoked: int, bits: int = 2) -> bytes:
    """The file of a packed list."""
    return status_list.build(PACKED_SIZE, bits, dict.fromkeys(revoked, 1))


def republished(world: World, data: bytes, days: int = 0) -> TrustSnapshot:
    """Publish another packed list and refresh."""
    world.repository.targets[PACKED_PATH] = data
    world.repository.publish()
    return world.refresh(days)


def test_a_packed_list_is_bound_to_a_days_share_too(world: World) -> None:
    """One percent of its entries; what is held back is told, asked for once, and taken when days allow it."""
    first = republished(world, world.repository.targets[PACKED_PATH])
    assert first.status_lists[PACKED].status(7) == 1
    republished(world, packed(7), days=2)
    many = packed(*range(PACKED_SIZE // 100 + 3))

    held = republished(world, many)
    asked = world.repository.requests[:]
    again = world.refresh()
    later = world.refresh(2)

    assert [found.status_lists[PACKED].status(9) for found in (held, again, later)] == [0, 0, 1]
    assert "co-signature" in held.held_back["issuers/44/status/1"]
    assert any("1.cbor" in path for path in asked)
    assert later.held_back == {}


def test_a_days_share_is_one_however_often_a_gate_refreshes(world: World) -> None:
    """Slices of an hour add up."""
    republished(world, packed(7))
    most = PACKED_SIZE // 100

    half = republished(world, packed(*range(most // 2)))
    whole = republished(world, packed(*range(most - 100)))
    over = republished(world, packed(*range(most + 100)))

    assert [bool(found.held_back) for found in (half, whole, over)] == [False, False, True]
    assert over.status_lists[PACKED].status(most - 101) == 1


@pytest.mark.parametrize("data", [b"\xa0", b"<html>", packed(bits=1)[:-1]])
def test_a_packed_list_that_is_none_stays_as_it_was(world: World, data: bytes) -> None:
    """It holds up nothing else."""
    before = world.store.load().versions.targets

    trust = republished(world, data)

    assert (trust.status_lists[PACKED].status(7), trust.versions.targets > before) == (1, True)
    assert "issuers/44/status/1" in trust.held_back


def test_a_list_does_not_slip_through_in_another_form(world: World) -> None:
    """Parts become no packed list, a packed list no parts: what is held in one form bounds nothing in the other."""
    files = world.author.files()
    for path in files:
        del world.repository.targets[path]
    world.repository.targets[f"{URI}.cbor"] = packed(*range(PACKED_SIZE))
    other = ListAuthor(PACKED_SIZE, number=1)
    other.change(range(PACKED_SIZE))
    other.rebase()
    world.repository.targets |= other.files()
    world.repository.publish()

    trust = world.refresh()

    assert set(trust.held_back) == {URI, "issuers/44/status/1"}
    assert statuses(trust, 5, 6) == [1, 0]
    assert [trust.status_lists[PACKED].status(index) for index in (6, 7)] == [0, 1]


def test_a_store_of_before_the_book_loads(world: World) -> None:
    """A gate that is updated while offline goes on with the packed lists it has."""
    for path in world.author.files():
        del world.repository.targets[path]
    world.repository.publish()
    world.refresh()
    with closing(sqlite3.connect(world.store.folder / "trust.db")) as connection, connection:
        connection.execute("DELETE FROM records WHERE name = ?", (list_book.RECORD,))

    assert world.store.load().status_lists[PACKED].status(7) == 1


def test_an_issuer_restored_from_a_backup_comes_back_with_a_co_signature(tmp_path: Path) -> None:
    """A lower sequence is held back; a base the national role has signed too is taken."""
    author, gate = ListAuthor(), Files(tmp_path)
    author.change([5])
    backup = author.state
    author.change([6])
    author.rebase()
    book = gate.bring(author, ListBook())
    author.state = backup
    author.deltas.clear()
    author.change([9])
    author.rebase()
    author.deltas.clear()
    signed = sha256(author.base.encode()).hexdigest()

    held = gate.bring(author, book)
    passed = gate.bring(author, held, frozenset({(f"{URI}.base", signed)}))

    assert (bool(held.lists[URI].refused), passed.lists[URI].state) == (True, author.state.digest.hex())


@given(
    st.sampled_from([1, 2, 4, 8]),
    st.dictionaries(st.integers(0, 99), st.integers(0, 1)),
    st.dictionaries(st.integers(0, 99), st.integers(0, 1)),
)
def test_packed_lists_lie_as_far_apart_as_their_entries(bits: int, one: dict[int, int], other: dict[int, int]) -> None:
    """Entries, not bits."""
    top = (1 << bits) - 1
    left, right = (
        status_list.parse(status_list.build(100, bits, {index: value * top for index, value in found.items()}), "x")
        for found in (one, other)
    )

    found = status_list.difference(left, right)

    assert found == sum(left.status(index) != right.status(index) for index in range(100))


def test_a_gate_that_followed_deltas_says_that_it_is_no_whole_publication(world: World) -> None:
    """It holds the state, and not every file that was signed: whoever copies from it is told where to copy from."""
    world.author.change([9])
    world.publish()
    world.refresh()
    publication = world.store.publication()
    (path,) = [path for path in publication.addresses() if path.endswith("2.part.invalid.0")]

    with pytest.raises(AnswerRefused, match="followed"):
        publication.fetch(path, 1 << 20)
