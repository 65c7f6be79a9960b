"""A hub's folder is made whole, or made again: whatever a power cut left of a begin, and nothing of anybody else's."""

import itertools
import shutil
from pathlib import Path

import pytest

from edge.disk import turn
from edge.errors import SetupError
from edge.hub import folder
from edge.hub.folder import TokenSeed
from edge.hub.hub import Hub
from edge.ledger import tokens
from tests.simulators.hub_gates import ROOT, START_MS, Clock, Device, begin, enrol

ORDER = (folder.BEGUN, folder.KEY, folder.SEED, folder.OPERATOR, folder.ROOT, folder.DATABASE)
"""In which order a begin writes."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hub that was begun, and its mark put back."""
    path = tmp_path_factory.mktemp("made") / "hub"
    begin(path, Clock())
    (path / folder.BEGUN).touch()
    return path


def half(made: Path, path: Path, names: tuple[str, ...]) -> None:
    """Leave of a begin what a power cut leaves."""
    path.mkdir()
    for name in names:
        shutil.copy(made / name, path / name)


@pytest.mark.parametrize("count", range(1, len(ORDER) + 1))
@pytest.mark.parametrize("torn", ["", ".staged-abc", "hub.db-wal"])
def test_a_begin_that_was_cut_short_is_begun_again(tmp_path: Path, made: Path, count: int, torn: str) -> None:
    """After every file of it, with fresh keys, and the hub takes its first gate."""
    path = tmp_path / "hub"
    half(made, path, ORDER[:count])
    if torn:
        (path / torn).write_bytes(b"half of a secret")

    desk = begin(path, Clock())

    assert (path / folder.KEY).read_bytes() != (made / folder.KEY).read_bytes()
    assert {file.name for file in path.iterdir()} == {*ORDER[1:], folder.CONFIG}
    hub = Hub.open(path, clock=Clock())
    enrol(hub, desk, Device())
    hub.close()


@pytest.mark.parametrize("names", [one for size in (1, 2) for one in itertools.combinations(ORDER[1:], size)])
def test_keys_without_the_mark_of_a_begin_are_never_touched(tmp_path: Path, made: Path, names: tuple[str, ...]) -> None:
    """Somebody brings back a hub from copies and forgot hub.toml."""
    path = tmp_path / "hub"
    half(made, path, names)

    with pytest.raises(SetupError, match="not empty"):
        begin(path, Clock())

    assert {file.name: file.read_bytes() for file in path.iterdir()} == {
        name: (made / name).read_bytes() for name in names
    }


def test_a_hub_is_never_begun_again_although_its_mark_was_left(tmp_path: Path, made: Path) -> None:
    """The power went behind the last file; serving it takes the mark away."""
    path = tmp_path / "hub"
    half(made, path, (*ORDER, folder.CONFIG))
    with pytest.raises(SetupError, match="not empty"):
        begin(path, Clock())
    Hub.open(path, clock=Clock()).close()
    (path / folder.CONFIG).unlink()

    with pytest.raises(SetupError, match="not empty"):
        begin(path, Clock())

    assert (path / folder.KEY).read_bytes() == (made / folder.KEY).read_bytes()


def test_a_file_that_no_begin_left_stops_it(tmp_path: Path, made: Path) -> None:
    """It is named, and nothing is removed."""
    path = tmp_path / "hub"
    half(made, path, ORDER[:3])
    (path / "thesis.txt").write_text("mine")

    with pytest.raises(SetupError, match="thesis"):
        begin(path, Clock())

    assert {file.name for file in path.iterdir()} == {*ORDER[:3], "thesis.txt"}


def test_two_do_not_begin_in_one_folder(tmp_path: Path) -> None:
    """The second is told to wait."""
    path = tmp_path / "hub"
    with folder.begun(path), pytest.raises(SetupError, match="Another command"), folder.begun(path):
        pytest.fail("both began")

    assert begin(path, Clock(), root=ROOT).home.path == path


def test_a_turn_of_the_seed_leaves_no_key_of_an_earlier_day(tmp_path: Path) -> None:
    """Not where a power cut left a staged file either: from it every later day's key would follow."""
    path = tmp_path / "hub"
    begin(path, Clock())
    today = tokens.day_of(START_MS)
    for name in (".staged-xyz", "token.new"):
        (path / name).write_bytes((path / folder.SEED).read_bytes())

    key = TokenSeed(path).of_day(today + 1)

    assert (key.day, TokenSeed(path).of_day(today)) == (today + 1, key)
    assert {file.name for file in path.iterdir()} == {*ORDER[1:], folder.CONFIG}
    assert (path / folder.SEED).stat().st_mode & 0o777 == 0o600


def test_one_turn_at_a_time(tmp_path: Path) -> None:
    """Also within one process; and a folder that is not there is not made."""
    with turn.take(tmp_path / "lock"), pytest.raises(BlockingIOError):
        turn.take(tmp_path / "lock")
    turn.take(tmp_path / "lock").close()

    with pytest.raises(FileNotFoundError):
        turn.take(tmp_path / "no" / "lock")
