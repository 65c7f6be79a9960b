"""The gate's trust store: offline use, ageing, floors, damage and power cuts (the table of docs/adr/0005)."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from edge.errors import TransportError, TrustDamaged, TrustError, TrustMissing, TrustRefused, Unreachable
from edge.model.trust import Band, Status
from edge.trust.store import TrustStore
from tests.simulators.repository import DAY, NOW, Repository, document


@pytest.fixture
def repository() -> Repository:
    """A repository that has published once."""
    return Repository()


@pytest.fixture
def store(tmp_path: Path, repository: Repository) -> TrustStore:
    """A store that has been refreshed once."""
    found = TrustStore.init(tmp_path / "trust", repository.first_root)
    found.refresh(repository, NOW)
    return found


class NoNetwork:
    """A fetcher whose network is gone, at once or after some requests."""

    def __init__(self, inner: Repository | None = None, after: int = 0) -> None:
        self._inner = inner
        self._left = after

    def fetch(self, path: str, max_bytes: int) -> bytes:
        """Serve until the network goes."""
        self._left -= 1
        if self._inner is None or self._left < 0:
            raise Unreachable("no network")
        return self._inner.fetch(path, max_bytes)


def damage(store: TrustStore, record: str) -> None:
    """Flip one bit of a record, as a failing card does."""
    with closing(sqlite3.connect(store.folder / "trust.db")) as connection, connection:
        (value,) = connection.execute("SELECT value FROM records WHERE name = ?", (record,)).fetchone()
        flipped = bytes([value[0] ^ 1]) + value[1:]
        connection.execute("UPDATE records SET value = ? WHERE name = ?", (flipped, record))
    connection.close()


def target_files(store: TrustStore) -> list[Path]:
    """Return the kept target files."""
    return sorted((store.folder / "targets").iterdir())


# What a view holds


def test_a_refreshed_store_holds_what_was_published(store: TrustStore) -> None:
    """Issuers, keys, status and policy come out as they were signed."""
    trust = store.load()

    assert (trust.versions.root, trust.versions.targets, trust.issued_at) == (1, 1, NOW)
    assert trust.issuers["44"].names["en"] == "Yuekang Code"
    assert [trust.status_lists["44", 1].status(index) for index in (6, 7, 8)] == [
        Status.VALID,
        Status.INVALID,
        Status.SUSPENDED,
    ]


def test_a_store_with_a_root_alone_says_what_is_missing(tmp_path: Path, repository: Repository) -> None:
    """Enrolled and never online is `TrustMissing`, with the next step."""
    store = TrustStore.init(tmp_path / "trust", repository.first_root)

    with pytest.raises(TrustMissing, match="edge trust refresh"):
        store.load()


def test_no_store_at_all_is_missing(tmp_path: Path, repository: Repository) -> None:
    """A folder that is not there is `TrustMissing` for every verb."""
    store = TrustStore(tmp_path / "nowhere")

    for verb in (store.load, store.generation, lambda: store.refresh(repository, NOW)):
        with pytest.raises(TrustMissing, match="Enrol"):
            verb()


def test_an_unchanged_refresh_takes_two_requests(store: TrustStore, repository: Repository) -> None:
    """Nothing new: the next root and the timestamp are asked for, nothing is written."""
    repository.requests.clear()
    before = store.generation()

    result = store.refresh(repository, NOW)

    assert repository.requests == ["metadata/2.root.json", "metadata/timestamp.json"]
    assert (result.changed, store.generation()) == (False, before)


def test_only_changed_targets_are_fetched(store: TrustStore, repository: Repository) -> None:
    """One changed target is one file fetched; the others stay by their hash."""
    repository.targets["national/regions.json"] = document(regions=[])
    repository.publish()

    result = store.refresh(repository, NOW)

    assert (result.changed, result.fetched) == (True, 1)
    assert len(target_files(store)) == len(repository.targets)


def test_a_daily_timestamp_makes_the_view_younger(store: TrustStore, repository: Repository) -> None:
    """A new issue time alone is a change: readers must see the new age."""
    before = store.generation()
    now = repository.pass_time(DAY)

    result = store.refresh(repository, now)

    assert (result.changed, result.fetched, store.load().issued_at) == (True, 0, now)
    assert store.generation() != before


# Offline


def test_the_cache_serves_with_no_network(store: TrustStore) -> None:
    """No network: the refresh says so and the verified view stays usable."""
    before = store.load()

    with pytest.raises(TransportError):
        store.refresh(NoNetwork(), NOW)

    assert store.load() == before


def test_expired_metadata_stays_usable_within_its_age_bands(store: TrustStore) -> None:
    """Forty days offline: the timestamp has long expired, the view loads and its age says how far it is believed."""
    trust = store.load()

    assert trust.newest_expiry > NOW
    assert [trust.band(NOW + age) for age in (0, 2 * DAY, 40 * DAY)] == [Band.FRESH, Band.STALE, Band.TOO_OLD]


def test_an_expired_update_is_refused(store: TrustStore, repository: Repository) -> None:
    """A mirror that froze is refused by the metadata's own expiry."""
    with pytest.raises(TrustRefused, match="expired"):
        store.refresh(repository, NOW + 31 * DAY)


@pytest.mark.parametrize("clock", [0, NOW - 400 * DAY])
def test_an_old_stick_is_refused_under_a_clock_set_back(
    store: TrustStore, repository: Repository, tmp_path: Path, clock: int
) -> None:
    """1970 or 400 days back: the signed floor decides, not the clock."""
    stick = repository.copy()
    store.refresh(repository, repository.pass_time(DAY))

    with pytest.raises(TrustRefused, match="already verified 2"):
        store.refresh(stick, clock)


def test_a_clock_set_back_does_not_revive_an_expired_update(store: TrustStore, repository: Repository) -> None:
    """In 1970 nothing has expired by the clock; by the signed floor it has."""
    repository.lifetimes["targets"] = -1
    repository.publish()

    with pytest.raises(TrustRefused, match="targets metadata offered expired"):
        store.refresh(repository, 0)


def test_a_right_clock_is_not_raised_by_a_refresh(store: TrustStore, repository: Repository) -> None:
    """A clock ten years ahead refuses one update and leaves no mark: the next right one passes."""
    with pytest.raises(TrustRefused, match="clock"):
        store.refresh(repository, NOW + 3650 * DAY)

    assert store.refresh(repository, repository.pass_time(60)).changed


# Damage


def test_a_zero_byte_target_is_named_and_repaired(store: TrustStore, repository: Repository) -> None:
    """A power cut's empty file is `TrustDamaged` with its name; the next refresh fetches it again."""
    victim = target_files(store)[0]
    victim.write_bytes(b"")
    before = store.generation()

    with pytest.raises(TrustDamaged, match=victim.name):
        store.load()

    result = store.refresh(repository, NOW)
    assert (result.changed, result.fetched) == (True, 1)
    assert store.generation() != before
    assert store.load().versions.targets == 1


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data + b" ", lambda data: b"!" + data[1:]])
def test_an_altered_target_is_never_loaded(store: TrustStore, change: Callable[[bytes], bytes]) -> None:
    """Cut short, grown or altered: each kept file, one after the other."""
    for victim in target_files(store):
        whole = victim.read_bytes()
        victim.write_bytes(change(whole))
        with pytest.raises(TrustDamaged, match=victim.name):
            store.load()
        victim.write_bytes(whole)

    assert store.load().versions.targets == 1


@pytest.mark.parametrize("role", ["root", "timestamp", "snapshot", "targets"])
def test_damaged_metadata_is_met_and_fetched_again(store: TrustStore, repository: Repository, role: str) -> None:
    """A flipped bit in the view's metadata is damage, and a refresh puts it right."""
    damage(store, f"view.{role}")
    damage(store, role)

    with pytest.raises(TrustDamaged, match=role):
        store.load()

    assert store.refresh(repository, NOW).changed
    assert store.load().versions.root == 1


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets", "root"])
def test_lost_metadata_lets_no_old_stick_in(store: TrustStore, repository: Repository, role: str) -> None:
    """Files lost to a power cut, then last week's stick: the floors refuse it."""
    stick = repository.copy()
    repository.publish()
    store.refresh(repository, NOW)
    damage(store, role)
    damage(store, f"view.{role}")

    with pytest.raises(TrustRefused, match="already verified 2"):
        store.refresh(stick, NOW)


@pytest.mark.parametrize("record", ["floors", "pinned"])
def test_a_store_without_its_floors_relies_on_nothing(store: TrustStore, repository: Repository, record: str) -> None:
    """Without floors or pinned root a refresh would be a rollback hole: the gate must be enrolled again."""
    damage(store, record)
    damage(store, "root")

    with pytest.raises(TrustDamaged, match=r"Enrol this gate again"):
        store.refresh(repository, NOW)


@pytest.mark.parametrize("content", [b"", b"not a database, not at all" * 100])
def test_a_destroyed_database_is_named_and_enrolment_begins_again(
    store: TrustStore, repository: Repository, content: bytes
) -> None:
    """Zero bytes or rubbish: the file is named, set aside by the next enrolment, and the store works again."""
    (store.folder / "trust.db").write_bytes(content)

    with pytest.raises(TrustDamaged, match=r"trust\.db"):
        store.load()

    TrustStore.init(store.folder, repository.first_root).refresh(repository, NOW)
    assert store.load().versions.root == 1
    assert (store.folder / "trust.db.damaged").read_bytes() == content


def test_a_database_of_a_newer_form_is_left_alone(store: TrustStore) -> None:
    """The previous slot of an update says so instead of guessing."""
    with closing(sqlite3.connect(store.folder / "trust.db")) as connection, connection:
        connection.execute("PRAGMA user_version = 2")
    connection.close()

    with pytest.raises(TrustError, match="newer version"):
        store.load()


def test_enrolling_again_keeps_the_floors(store: TrustStore, repository: Repository) -> None:
    """The same root pinned twice changes nothing: an old stick is still refused."""
    stick = repository.copy()
    store.refresh(repository, repository.pass_time(60))

    again = TrustStore.init(store.folder, repository.first_root)

    with pytest.raises(TrustRefused, match="already verified 2"):
        again.refresh(stick, NOW)


def test_a_store_does_not_change_hands_silently(store: TrustStore) -> None:
    """Another authority's root is refused until somebody removes the folder."""
    with pytest.raises(TrustRefused, match="another root"):
        TrustStore.init(store.folder, Repository().first_root)


def test_something_else_than_a_root_is_not_pinned(tmp_path: Path, repository: Repository) -> None:
    """A timestamp, HTML or nothing is no root of trust."""
    for data in (repository.files["metadata/timestamp.json"], b"<html>", b""):
        with pytest.raises(TrustRefused):
            TrustStore.init(tmp_path / "trust", data)

    assert not (tmp_path / "trust").exists()


# Power cuts


def test_a_network_that_goes_at_any_request_loses_nothing(tmp_path: Path) -> None:
    """Cut after each request in turn: the old view stays whole, and the next refresh completes."""
    for after in range(10):
        repository = Repository()
        store = TrustStore.init(tmp_path / str(after), repository.first_root)
        store.refresh(repository, NOW)
        before = store.load()
        for path in list(repository.targets):
            repository.targets[path] += b" " if path.endswith(".json") else b""
        repository.rotate("timestamp")
        repository.publish()
        with pytest.raises(Unreachable):
            store.refresh(NoNetwork(repository, after), NOW)
        assert store.load() == before
        assert store.refresh(repository, NOW).changed


CHILD = """
import itertools, sys
from pathlib import Path
from edge.trust.fetchers import FolderFetcher
from edge.trust.store import TrustStore

store, sticks, now = TrustStore(Path(sys.argv[1])), Path(sys.argv[2]), int(sys.argv[3])
print("ready", flush=True)
for number in itertools.count(2):
    store.refresh(FolderFetcher(sticks / str(number)), now)
"""


def test_a_killed_refresh_leaves_a_whole_view(tmp_path: Path) -> None:
    """`kill -9` of a process that refreshes without pause: what is on the disk loads and goes on."""
    repository = Repository()
    for number in range(2, 60):
        repository.targets["national/regions.json"] = document(regions=[], filler=str(number))
        repository.publish()
        repository.write(tmp_path / "sticks" / str(number))

    for pause in (0, 40, 160):
        store = TrustStore.init(tmp_path / f"trust-{pause}", repository.first_root)
        command = [sys.executable, "-c", CHILD, str(store.folder), str(tmp_path / "sticks"), str(NOW)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
            assert child.stdout is not None
            child.stdout.readline()
            _wait_for_swap(store, child, pause)
            child.kill()
        assert store.load().versions.root == 1
        assert store.refresh(repository, NOW).versions.timestamp == repository.versions["timestamp"]


def _wait_for_swap(store: TrustStore, child: subprocess.Popen[bytes], reads: int) -> None:
    # Until the child has swapped a view in, then some reads more, so that the kill lands in another place each time.
    while not store.generation():
        assert child.poll() is None
    for _ in range(reads):
        store.generation()


def test_two_refreshes_do_not_mix(store: TrustStore, repository: Repository) -> None:
    """A second refresh while one is under way is told so at once."""

    class Nested:
        def fetch(self, path: str, max_bytes: int) -> bytes:
            with pytest.raises(TrustError, match="under way"):
                TrustStore(store.folder).refresh(repository, NOW)
            return repository.fetch(path, max_bytes)

    assert not store.refresh(Nested(), NOW).changed


def test_a_reader_meets_a_swap_and_reads_the_new_view(store: TrustStore, repository: Repository) -> None:
    """Files of the old view that go while a reader is at them send it to the new one."""
    reader = TrustStore(store.folder)
    inner = reader._files.read
    swapped: list[int] = []

    class Swapping:
        def read(self, target: object) -> bytes:
            if not swapped:
                swapped.append(1)
                for path in list(repository.targets):
                    repository.targets[path] += b" " if path.endswith(".json") else b""
                repository.publish()
                store.refresh(repository, NOW)
            return inner(target)  # type: ignore[arg-type]

    reader._files = Swapping()  # type: ignore[assignment]

    assert reader.load().versions.targets == 2
