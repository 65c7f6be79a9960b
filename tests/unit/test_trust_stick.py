"""Trust data on a USB stick: the same tree as over HTTP, resumable, and harmless whatever a stick holds."""

import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edge.cli.trust import trust as trust_command
from edge.disk import durable
from edge.errors import EdgeError, TransportError, TrustDamaged, TrustError, TrustExpired, TrustRefused
from edge.trust import stick
from edge.trust.fetchers import FolderFetcher
from edge.trust.opening import publication_of
from edge.trust.store import TrustStore
from tests.simulators.repository import DAY, NOW, ROLES, Repository, province
from tests.unit.test_trust_delegations import keys_of, registry


def quiet(files: int, size: int) -> None:
    """Tell nobody."""


@pytest.fixture
def repository() -> Repository:
    """A repository with a province, two roots old."""
    found = Repository()
    found.lifetimes = dict.fromkeys(ROLES, 36_500 * DAY)
    found.targets["national/issuers.json"] = registry("44", "61")
    found.delegate("province-61", province("61"), expires_in=36_500 * DAY).targets["issuers/61/keys.json"] = keys_of(
        "61"
    )
    found.publish_root()
    found.publish()
    return found


@pytest.fixture
def store(tmp_path: Path, repository: Repository) -> TrustStore:
    """A gate that has been refreshed from it."""
    found = TrustStore.init(tmp_path / "trust", repository.first_root)
    found.refresh(repository, NOW)
    return found


@pytest.fixture
def carried(tmp_path: Path, store: TrustStore) -> Path:
    """A stick that this gate wrote."""
    stick.export(store.publication(), tmp_path / "stick", now=NOW, tell=quiet)
    return tmp_path / "stick"


def edge(*words: object) -> Result:
    """Run `edge trust ...`."""
    return CliRunner(catch_exceptions=False).invoke(trust_command, [str(word) for word in words])


# What a stick carries


def test_a_stick_carries_the_files_a_mirror_serves(carried: Path, repository: Repository) -> None:
    """Each file is byte for byte the published one, at the same place; nothing else is on it."""
    files = {str(path.relative_to(carried)): path.read_bytes() for path in carried.rglob("*") if path.is_file()}

    assert {path: repository.files[path] for path in files} == files
    assert {
        "metadata/1.root.json",
        "metadata/2.root.json",
        "metadata/timestamp.json",
        "metadata/1.province-61.json",
    } <= set(files)


def test_another_gate_takes_a_stick_that_a_gate_wrote(
    carried: Path, store: TrustStore, tmp_path: Path, repository: Repository
) -> None:
    """It begins with the first root and arrives at the same view."""
    other = TrustStore.init(tmp_path / "other", repository.first_root)
    other.refresh(FolderFetcher(carried), NOW)

    assert other.load() == store.load()


def test_a_stick_of_a_publication_is_the_same(carried: Path, tmp_path: Path, repository: Repository) -> None:
    """Written from the authority's folder or from a gate: one tree."""
    published = repository.write(tmp_path / "published")
    gathered = stick.gathered(FolderFetcher(published), tmp_path / "scratch", NOW)
    stick.export(gathered, tmp_path / "second", now=NOW, tell=quiet)

    assert {path.relative_to(carried) for path in carried.rglob("*")} == {
        path.relative_to(tmp_path / "second") for path in (tmp_path / "second").rglob("*")
    }


def test_a_stick_may_begin_with_a_later_root(tmp_path: Path, repository: Repository) -> None:
    """A gate enrolled with root 2 has no root 1 to give; its stick is found, and gathered from again."""
    gate = TrustStore.init(tmp_path / "late", repository.files["metadata/2.root.json"])
    gate.refresh(repository, NOW)
    stick.export(gate.publication(), tmp_path / "stick", now=NOW, tell=quiet)

    assert publication_of(tmp_path / "stick") == tmp_path / "stick"
    assert not (tmp_path / "stick" / "metadata" / "1.root.json").exists()
    again = stick.gathered(FolderFetcher(tmp_path / "stick"), tmp_path / "scratch", NOW)
    assert again.timestamp.raw == gate.publication().timestamp.raw


def test_what_no_gate_would_take_is_not_exported(store: TrustStore, tmp_path: Path) -> None:
    """A gate that has been offline for too long says so before a stick is carried about."""
    with pytest.raises(TrustExpired):
        stick.export(store.publication(), tmp_path / "stick", now=NOW + 36_501 * DAY, tell=quiet)

    assert not (tmp_path / "stick").exists()


# Resuming


def test_what_is_there_is_not_written_again(carried: Path, store: TrustStore) -> None:
    """A second run writes nothing; a file cut short or altered is written again."""
    assert stick.export(store.publication(), carried, now=NOW, tell=quiet).written == 0
    damaged = [path for path in carried.rglob("*") if path.is_file()][:3]
    damaged[0].write_bytes(b"")
    damaged[1].write_bytes(b"x" + damaged[1].read_bytes()[1:])
    damaged[2].unlink()

    assert stick.export(store.publication(), carried, now=NOW, tell=quiet).written == 3


def test_a_stick_pulled_out_at_any_file_is_refused_or_old(
    carried: Path, store: TrustStore, repository: Repository, tmp_path: Path
) -> None:
    """Walked over every file of the next export: the stick gives what it gave before, or changes nothing."""
    before = store.load()
    repository.targets["national/regions.json"] += b" "
    repository.publish()
    newer = TrustStore.init(tmp_path / "newer", repository.first_root)
    newer.refresh(repository, NOW)
    order = newer.publication().addresses()
    for cut in range(len(order)):
        torn = shutil.copytree(carried, tmp_path / f"torn-{cut}")
        for path in order[:cut]:
            (torn / path).parent.mkdir(exist_ok=True)
            (torn / path).write_bytes(newer.publication().fetch(path, 1 << 20))
        assert not store.refresh(FolderFetcher(torn), NOW).changed
        assert store.load() == before


def test_a_stick_that_ends_within_any_file_is_refused(carried: Path, tmp_path: Path, repository: Repository) -> None:
    """Each file cut short, emptied or missing, before a new gate: refused, and a whole stick is taken afterwards."""
    files = [path for path in carried.rglob("*") if path.is_file() and not path.name.endswith("root.json")]
    for number, file in enumerate(files):
        gate = TrustStore.init(tmp_path / f"gate-{number}", repository.first_root)
        whole = file.read_bytes()
        for content in (whole[: len(whole) // 2], b"", None):
            file.unlink()
            if content is not None:
                file.write_bytes(content)
            with pytest.raises((TrustRefused, TransportError)):
                gate.refresh(FolderFetcher(carried), NOW)
            file.write_bytes(whole)
        assert gate.refresh(FolderFetcher(carried), NOW).changed


# Hostile and failing sticks


def test_a_link_on_the_stick_is_not_written_through(store: TrustStore, tmp_path: Path) -> None:
    """A folder that leads out of the stick would let it overwrite files of whoever runs the command."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "stick").mkdir()
    (tmp_path / "stick" / "metadata").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(TrustError, match="leads out"):
        stick.export(store.publication(), tmp_path / "stick", now=NOW, tell=quiet)

    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_linked_file_is_replaced_and_not_followed(carried: Path, store: TrustStore, tmp_path: Path) -> None:
    """A file of the stick that is a link becomes a file; what it pointed at stays."""
    outside = tmp_path / "outside"
    outside.write_bytes(b"mine")
    place = carried / "metadata" / "timestamp.json"
    place.unlink()
    place.symlink_to(outside)
    stick.export(store.publication(), carried, now=NOW, tell=quiet)

    assert not place.is_symlink()
    assert outside.read_bytes() == b"mine"


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    """A stick of 64 kB, or skip where this user may not mount."""
    place = tmp_path / "tiny"
    place.mkdir()
    if os.system(f"mount -t tmpfs -o size=64k tmpfs {place} 2>/dev/null") != 0:  # noqa: S605
        pytest.skip("this user may not mount")
    yield place
    os.system(f"umount {place}")  # noqa: S605


def test_a_full_stick_is_named_and_the_command_goes_on(tiny: Path, store: TrustStore) -> None:
    """What fits stays; with room made the same command completes."""
    ballast = tiny / "ballast"
    ballast.write_bytes(bytes(40 << 10))
    with pytest.raises(TrustError, match=os.strerror(errno.ENOSPC)):
        stick.export(store.publication(), tiny, now=NOW, tell=quiet)
    ballast.unlink()
    done = stick.export(store.publication(), tiny, now=NOW, tell=quiet)

    assert 0 < done.written < done.files
    assert not list(tiny.rglob(".staged-*"))


def test_a_damaged_store_gives_no_stick(store: TrustStore, tmp_path: Path) -> None:
    """A target of the gate that was altered is met and not spread."""
    for file in (store.folder / "targets").iterdir():
        file.write_bytes(b"")
    with pytest.raises(TrustDamaged):
        stick.export(store.publication(), tmp_path / "stick", now=NOW, tell=quiet)


@pytest.mark.parametrize("kind", ["fifo", "folder", "device", "huge", "unreadable", "loop"])
@pytest.mark.parametrize("name", ["metadata/timestamp.json", "metadata/2.snapshot.json"])
def test_whatever_stands_in_a_files_place_is_refused_at_once(
    carried: Path, store: TrustStore, repository: Repository, kind: str, name: str
) -> None:
    """A pipe that never ends, a folder, a device, 4 GB, a file nobody may read, a loop of links."""
    before = store.load()
    repository.publish()
    repository.write(carried)
    place = carried / name.replace("2.", f"{repository.versions['snapshot']}.")
    place.unlink()
    if kind == "fifo":
        os.mkfifo(place)
    elif kind == "folder":
        place.mkdir()
    elif kind == "device":
        place.symlink_to("/dev/zero")
    elif kind == "huge":
        with place.open("wb") as file:
            file.truncate(4 << 30)
    elif kind == "unreadable":
        place.write_bytes(b"{}")
        place.chmod(0)
    else:
        place.symlink_to(place)
    with pytest.raises(EdgeError):
        store.refresh(FolderFetcher(carried), NOW)

    assert store.load() == before


def test_a_stick_that_vanishes_at_any_file_changes_nothing(
    carried: Path, store: TrustStore, repository: Repository, tmp_path: Path
) -> None:
    """Pulled out while the gate reads, after each file in turn."""
    before = store.load()
    repository.publish()
    for left in range(6):
        place = repository.write(tmp_path / f"pulled-{left}")
        fetcher = FolderFetcher(place)

        class Pulled:
            """Reads some files, then the stick is gone."""

            def __init__(self, files: int, inner: FolderFetcher, folder: Path) -> None:
                self._left, self._inner, self._folder = files, inner, folder

            def fetch(self, path: str, max_bytes: int) -> bytes:
                """Read one file."""
                if self._left == 0:
                    shutil.rmtree(self._folder)
                self._left -= 1
                return self._inner.fetch(path, max_bytes)

        if left < 4:
            with pytest.raises(TransportError):
                store.refresh(Pulled(left, fetcher, place), NOW)
            assert store.load().versions.targets == before.versions.targets


# The commands


def test_the_commands_carry_trust_from_gate_to_gate(store: TrustStore, tmp_path: Path, repository: Repository) -> None:
    """Export, import, and import again: nothing new."""
    other = TrustStore.init(tmp_path / "other", repository.first_root)
    out = edge("export-usb", tmp_path / "usb", "--trust", store.folder)
    first = edge("import-usb", tmp_path / "usb", "--trust", other.folder)
    again = edge("import-usb", tmp_path / "usb", "--trust", other.folder)

    assert (out.exit_code, first.exit_code, again.exit_code) == (0, 0, 0)
    assert "written now" in out.output
    assert first.output.startswith("now timestamp 2")
    assert again.output.startswith("nothing new")
    assert other.load() == store.load()


def test_an_export_from_a_folder_needs_no_gate(tmp_path: Path, repository: Repository) -> None:
    """The authority's publication goes straight to a stick."""
    published = repository.write(tmp_path / "published")
    done = edge("export-usb", tmp_path / "usb", "--from", published, "--json")

    assert done.exit_code == 0
    assert '"timestamp": 2' in done.output


def test_an_empty_folder_is_no_stick(store: TrustStore, tmp_path: Path) -> None:
    """What is missing is named, and the next step."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(TransportError, match="Copy the publication again"):
        edge("import-usb", tmp_path / "empty", "--trust", store.folder)


def test_a_file_system_without_permissions_takes_files(tmp_path: Path) -> None:
    """FAT refuses to change a file's mode; an export does not ask for it."""
    durable.write(tmp_path / "file", b"x", mode=None)

    assert (tmp_path / "file").read_bytes() == b"x"
