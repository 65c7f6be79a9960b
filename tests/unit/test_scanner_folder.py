"""The watched folder: each picture once, in order, whole, whatever is done to the folder meanwhile."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.errors import SourceError
from edge.scanner.sources import folder as module
from edge.scanner.sources.base import MAX_ENCODED_BYTES
from edge.scanner.sources.folder import LOOK_S, MAX_PICTURES, Folder


class Watched:
    """A folder on a clock that is set by hand.

    Args:
        path: The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.now = 100.0
        self.folder = Folder(path, 0, clock=lambda: self.now)

    def put(self, name: str, content: bytes = b"picture") -> None:
        """Put a file there, whole."""
        (self.path / name).write_bytes(content)

    def read(self, looks: int = 2) -> list[str]:
        """Return the names of what is delivered in so many looks; what is no picture is `!`."""
        found = []
        for _ in range(looks):
            self.now += LOOK_S
            found += self.drain()
        return found

    def drain(self) -> list[str]:
        """Return what is delivered without time going by."""
        found: list[str] = []
        while True:
            try:
                frame = self.folder.read()
            except SourceError as fault:
                if fault.cause != "not_a_picture":
                    raise
                found.append("!")
                continue
            if frame is None:
                return found
            found.append(frame.name)


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    """An empty folder."""
    (tmp_path / "in").mkdir()
    return Watched(tmp_path / "in")


def test_every_picture_is_delivered_once_in_the_order_people_count(watched: Watched) -> None:
    """However often the folder is looked at."""
    for name in ("p10.png", "p2.jpg", "p1.JPEG", "notes.txt"):
        watched.put(name)

    assert (watched.read(), watched.read(20)) == (["p1.JPEG", "p2.jpg", "p10.png"], [])


def test_what_comes_later_is_delivered_later(watched: Watched) -> None:
    """New pictures follow in the order of their names, behind what was there."""
    watched.put("b.png")
    first = watched.read()
    watched.put("c.png")
    watched.put("a.png")

    assert (first, watched.read()) == (["b.png"], ["a.png", "c.png"])


def test_the_folder_is_not_looked_at_in_a_busy_loop(watched: Watched) -> None:
    """Between two looks half a second goes by, however often somebody asks."""
    watched.put("a.png")
    asked = [watched.folder.read() for _ in range(1000)]

    assert asked == [None] * 1000


def test_a_long_look_is_paused_after(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that takes 0.2 s to look through is looked at every four seconds: five per cent of the time."""
    found = watched.folder._found

    def slowly() -> dict[str, tuple[int, int]]:
        watched.now += 0.2
        return found()

    monkeypatch.setattr(watched.folder, "_found", slowly)
    watched.read(1)

    assert watched.folder._look_at - watched.now == pytest.approx(4.0)


def test_a_picture_that_is_still_written_is_waited_for(watched: Watched) -> None:
    """It is read once it has stopped growing, whole."""
    with (watched.path / "slow.png").open("wb") as file:
        for _ in range(10):
            file.write(b"piece")
            file.flush()
            assert watched.read(1) == []
    watched.now += LOOK_S
    frame = watched.folder.read()

    assert frame is not None
    assert frame.encoded == b"piece" * 10


def test_a_copy_that_paused_is_read_again_when_it_goes_on(watched: Watched) -> None:
    """The first half was taken for the whole; the whole is not lost for it."""
    watched.put("paused.png", b"half")
    half = watched.read()
    watched.put("paused.png", b"half and half")

    assert (half, watched.read()) == (["paused.png"], ["paused.png"])


def test_a_picture_replaced_under_its_name_is_a_new_one(watched: Watched) -> None:
    """A camera that always writes `latest.jpg` shows each picture."""
    watched.put("latest.jpg", b"one")
    first = watched.read()
    watched.put("latest.jpg", b"two")
    os.utime(watched.path / "latest.jpg", ns=(1, 1))

    assert (first, watched.read()) == (["latest.jpg"], ["latest.jpg"])


def test_a_deleted_picture_is_forgotten(watched: Watched) -> None:
    """One that comes again under its name is read again, and nothing is kept of what is gone."""
    watched.put("a.png")
    watched.read()
    (watched.path / "a.png").unlink()
    gone = watched.read()
    kept = len(watched.folder._known)
    watched.put("a.png")

    assert (gone, kept, watched.read()) == ([], 0, ["a.png"])


def test_a_picture_deleted_before_its_turn_is_left_out(watched: Watched) -> None:
    """It is no fault, and the next one is delivered."""
    watched.put("a.png")
    watched.put("b.png")
    watched.put("c.png")
    watched.read(1)
    watched.now += LOOK_S
    first = watched.folder.read()
    (watched.path / "b.png").unlink()

    assert first is not None
    assert (first.name, watched.drain()) == ("a.png", ["c.png"])


@pytest.mark.parametrize(
    "name", [".hidden.png", "._mac.jpg", ".staged-x.png", "text.txt", "png", "a.png.part", "a.jpg~"]
)
def test_what_is_not_called_a_picture_is_left_alone(watched: Watched, name: str) -> None:
    """Half copies of programs, what a Mac leaves on a stick, and everything else."""
    watched.put(name)

    assert watched.read(3) == []


def _folder(path: Path) -> None:
    path.mkdir()


def _loop(path: Path) -> None:
    path.symlink_to(path.name)


def _empty(path: Path) -> None:
    path.touch()


def _huge(path: Path) -> None:
    path.touch()
    os.truncate(path, MAX_ENCODED_BYTES + 1)


@pytest.mark.parametrize("put", [_folder, _loop, _empty, _huge, os.mkfifo])
def test_what_can_be_no_picture_is_said_once_and_passed(watched: Watched, put: Callable[[Path], None]) -> None:
    """A folder, a link to itself, nothing, too much, a pipe: nobody waits for it, and the next picture is delivered."""
    put(watched.path / "a.png")
    watched.put("b.png")

    assert (watched.read(), watched.read(5)) == (["!", "b.png"], [])


def test_a_link_to_a_picture_is_one(watched: Watched, tmp_path: Path) -> None:
    """Its content counts."""
    (tmp_path / "elsewhere.png").write_bytes(b"picture")
    (watched.path / "link.png").symlink_to(tmp_path / "elsewhere.png")

    assert watched.read() == ["link.png"]


def test_a_link_into_nowhere_is_read_once_it_leads_somewhere(watched: Watched, tmp_path: Path) -> None:
    """Until then it is not there."""
    (watched.path / "link.png").symlink_to(tmp_path / "elsewhere.png")
    before = watched.read(4)
    (tmp_path / "elsewhere.png").write_bytes(b"picture")

    assert (before, watched.read(3)) == ([], ["link.png"])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_picture_that_may_not_be_read_is_said_and_passed(watched: Watched) -> None:
    """Permissions are of the one file."""
    watched.put("a.png")
    (watched.path / "a.png").chmod(0)

    assert watched.read() == ["!"]


def test_a_folder_that_goes_away_and_comes_back_goes_on_where_it_was(watched: Watched, tmp_path: Path) -> None:
    """A stick pulled out is said at every look; put back, only what is new on it is read."""
    watched.put("a.png")
    watched.read()
    watched.path.rename(tmp_path / "drawer")
    causes = []
    for _ in range(3):
        watched.now += LOOK_S
        with pytest.raises(SourceError) as away:
            watched.folder.read()
        causes.append((away.value.cause, bool(away.value.next_step)))
    (tmp_path / "drawer" / "b.png").write_bytes(b"picture")
    (tmp_path / "drawer").rename(watched.path)

    assert causes == [("no_file", True)] * 3
    assert watched.read(3) == ["b.png"]


def test_an_empty_mount_point_is_not_the_stick_without_its_pictures(watched: Watched, tmp_path: Path) -> None:
    """The folder under a stick that was pulled out is another one: what was read stays read, what waited is read."""
    watched.put("a.png")
    watched.read()
    watched.put("b.png")
    watched.put("c.png")
    watched.read(1)
    watched.now += LOOK_S
    first = watched.folder.read()
    watched.path.rename(tmp_path / "stick")
    watched.path.mkdir()
    meanwhile = watched.read(5)
    watched.path.rmdir()
    (tmp_path / "stick").rename(watched.path)

    assert first is not None
    assert (first.name, meanwhile, watched.read(3)) == ("b.png", [], ["c.png"])


def test_a_stick_that_fails_under_the_reader_loses_no_picture(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of the device is no fault of the file: it is read when the device answers again."""
    watched.put("a.png")
    watched.put("b.png")
    watched.read(1)
    real = module._bytes_of

    def failing(path: Path) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

    monkeypatch.setattr(module, "_bytes_of", failing)
    watched.now += LOOK_S
    with pytest.raises(SourceError) as lost:
        watched.folder.read()
    monkeypatch.setattr(module, "_bytes_of", real)

    assert lost.value.cause == "no_file"
    assert sorted(watched.read(3)) == ["a.png", "b.png"]


def test_more_pictures_than_are_kept_in_mind_are_refused(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit and what to do are named; with fewer it goes on by itself."""
    assert MAX_PICTURES >= 10_000
    monkeypatch.setattr(module, "MAX_PICTURES", 3)
    for number in range(4):
        watched.put(f"{number}.png")
    watched.now += LOOK_S
    with pytest.raises(SourceError, match="more than 3 pictures") as refused:
        watched.folder.read()
    (watched.path / "3.png").unlink()

    assert refused.value.cause == "no_file"
    assert watched.read() == ["0.png", "1.png", "2.png"]


def test_ten_thousand_pictures_are_delivered_in_order(watched: Watched) -> None:
    """Each once, and none of them again."""
    names = [f"IMG_{number}.jpg" for number in range(10_000)]
    for name in names:
        watched.put(name)

    assert watched.read() == names
    assert watched.read() == []


def test_names_that_are_no_text_are_names_too(watched: Watched) -> None:
    """Any bytes of a file system, and very many digits."""
    odd = [b"\xff\xfe.png", "码 \n.png".encode(), b"9" * 200 + b".png"]
    for name in odd:
        (watched.path / os.fsdecode(name)).write_bytes(b"picture")

    assert sorted(map(os.fsencode, watched.read())) == sorted(odd)


def test_a_closed_folder_delivers_nothing(watched: Watched) -> None:
    """Whatever lies in it."""
    watched.put("a.png")
    watched.read(1)
    watched.folder.close()

    assert watched.read(3) == []
