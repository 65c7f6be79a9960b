"""`kill -9` and a full disk at every step of enrolling and refreshing, walked: what was in force stays in force."""

import os
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from edge.errors import TrustError, TrustMissing, TrustRefused
from edge.trust.download import refresh as refresh_folder
from edge.trust.folder import MetadataFolder
from edge.trust.store import TrustStore
from tests.simulators.repository import NOW, Repository, province
from tests.unit.test_trust_delegations import keys_of, registry

# From Python 3.12 on: threads of other tests may still be ending; the child touches nothing of theirs.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")

KILLED = 9
STEPS = frozenset(("os.rename", "os.remove", "os.mkdir", "open"))
"""What the interpreter reports of work on files; statements of SQLite and syncs are counted besides."""


def killed_at(step: int, work: Callable[[], object]) -> int:
    """Do `work` in a child that is gone before its `step`-th durable operation; return its exit status."""
    child = os.fork()
    if child == 0:
        # Nothing of pytest's may run in the child, whatever happens.
        try:
            _count_down(step)
            work()
        except BaseException:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _count_down(step: int) -> None:
    left = count(step, -1)

    def passed(*_: object) -> None:
        if next(left) <= 0:
            os._exit(KILLED)

    def heard(event: str, args: tuple[Any, ...]) -> None:
        # Reading a file changes none.
        if event in STEPS and not (event == "open" and args[1] in {"r", "rb", None}):
            passed()

    sync, connect = os.fsync, sqlite3.connect

    def counted(handle: int) -> None:
        passed()
        sync(handle)

    def traced(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        connection = connect(*args, **kwargs)
        connection.set_trace_callback(passed)
        return connection

    # In the child alone.
    os.fsync, sqlite3.connect = counted, traced  # type: ignore[assignment]
    sys.addaudithook(heard)


def prepared() -> Repository:
    """Return a repository with a province."""
    found = Repository()
    found.targets["national/issuers.json"] = registry("44", "61")
    found.delegate("province-61", province("61")).targets["issuers/61/keys.json"] = keys_of("61")
    found.publish()
    return found


def moved_on(repository: Repository) -> Repository:
    """Return the repository a day later: new root and timestamp key, other files, another province."""
    repository.targets["national/regions.json"] += b" "
    repository.targets["national/issuers.json"] = registry("44", "61", "62")
    repository.delegated["province-61"].targets["issuers/61/keys.json"] = keys_of("61", seed=3)
    repository.delegate("province-62", province("62")).targets["issuers/62/keys.json"] = keys_of("62")
    repository.rotate("timestamp")
    repository.publish()
    return repository


def test_a_refresh_killed_at_any_step_leaves_the_old_view_or_the_new(tmp_path: Path) -> None:
    """Walked until the refresh survives: a whole view loads, an old stick is refused, and the next completes."""
    repository = prepared()
    base = TrustStore.init(tmp_path / "base", repository.first_root)
    base.refresh(repository, NOW)
    before, old = base.load(), repository.copy()
    moved_on(repository)
    seen: set[int] = set()
    for step in range(1, 2000):
        folder = shutil.copytree(base.folder, tmp_path / f"store-{step}")
        store = TrustStore(folder)
        status = killed_at(step, lambda store=store: store.refresh(repository, NOW))  # type: ignore[misc]
        loaded = store.load()
        seen.add(loaded.versions.timestamp)
        assert loaded == before or loaded.versions.timestamp == repository.versions["timestamp"]
        store.refresh(repository, NOW)
        assert {issuer for issuer, _ in store.load().keys} == {"44", "61", "62"}
        with pytest.raises(TrustRefused):
            store.refresh(old, NOW)
        assert not [file for file in (folder / "targets").iterdir() if file.name.startswith(".")]
        shutil.rmtree(folder)
        if status == 0:
            break
        assert status == KILLED

    assert step > 40
    assert seen == {before.versions.timestamp, repository.versions["timestamp"]}


def test_a_first_refresh_killed_at_any_step_begins_again(tmp_path: Path) -> None:
    """A new gate has a root and nothing else, or its first view."""
    repository = prepared()
    base = TrustStore.init(tmp_path / "base", repository.first_root)
    for step in range(1, 2000):
        folder = shutil.copytree(base.folder, tmp_path / f"store-{step}")
        store = TrustStore(folder)
        status = killed_at(step, lambda store=store: store.refresh(repository, NOW))  # type: ignore[misc]
        try:
            assert store.load().versions.timestamp == 2
        except TrustMissing:
            assert status == KILLED
        store.refresh(repository, NOW)
        shutil.rmtree(folder)
        if status == 0:
            break

    assert step > 40


def test_enrolment_killed_at_any_step_begins_again(tmp_path: Path) -> None:
    """The root is pinned, or it is not: `init` is run again and the gate refreshes."""
    repository = prepared()
    for step in range(1, 200):
        folder = tmp_path / f"store-{step}"
        status = killed_at(step, lambda folder=folder: TrustStore.init(folder, repository.first_root))  # type: ignore[misc]
        assert TrustStore.init(folder, repository.first_root).refresh(repository, NOW).changed
        if status == 0:
            break

    assert step > 5


def test_a_metadata_folder_killed_at_any_step_goes_on(tmp_path: Path) -> None:
    """The same walk over the plain folder of `edge trust --metadata-dir`: floors are never behind the files."""
    repository = prepared()
    base = MetadataFolder.init(tmp_path / "base", repository.first_root)
    refresh_folder(base, repository, NOW)
    old = repository.copy()
    moved_on(repository)
    for step in range(1, 500):
        place = shutil.copytree(tmp_path / "base", tmp_path / f"folder-{step}")
        kept = MetadataFolder(place)
        status = killed_at(step, lambda kept=kept: refresh_folder(kept, repository, NOW))  # type: ignore[misc]
        assert refresh_folder(kept, repository, NOW).root.version == 2
        with pytest.raises(TrustRefused):
            refresh_folder(kept, old, NOW)
        if status == 0:
            break

    assert step > 20


@pytest.fixture
def card(tmp_path: Path) -> Iterator[Path]:
    """A card of 512 kB, or skip where this user may not mount."""
    place = tmp_path / "card"
    place.mkdir()
    if os.system(f"mount -t tmpfs -o size=512k tmpfs {place} 2>/dev/null") != 0:  # noqa: S605
        pytest.skip("this user may not mount")
    yield place
    os.system(f"umount {place}")  # noqa: S605


def test_a_disk_full_at_any_point_of_a_refresh_changes_nothing(card: Path) -> None:
    """Walked over the room that is left, page by page: the old view stays, and with room made the refresh completes."""
    repository = prepared()
    store = TrustStore.init(card / "trust", repository.first_root)
    store.refresh(repository, NOW)
    before = store.load()
    kept = {path: path.read_bytes() for path in card.rglob("*") if path.is_file()}
    moved_on(repository)
    faults = []
    for pages in range(64):
        fault = _refreshed_with(pages, card, store, repository)
        if fault is None:
            break
        faults.append(fault)
        assert store.load() == before
        assert store.refresh(repository, NOW).changed
        # Back to where it began.
        for path in [path for path in card.rglob("*") if path.is_file()]:
            path.unlink()
        for path, content in kept.items():
            path.write_bytes(content)

    assert len(faults) > 3
    assert all("space" in fault for fault in faults)
    assert {issuer for issuer, _ in store.load().keys} == {"44", "61", "62"}


def _refreshed_with(pages: int, card: Path, store: TrustStore, repository: Repository) -> str | None:
    """Refresh with so many pages of room; return what was said, or None where it was enough."""
    ballast = card / "ballast"
    with ballast.open("wb", buffering=0) as file:
        while shutil.disk_usage(card).free > pages * 4096:
            file.write(bytes(4096))
    try:
        store.refresh(repository, NOW)
    except TrustError as error:
        return str(error)
    finally:
        ballast.unlink()
    return None
