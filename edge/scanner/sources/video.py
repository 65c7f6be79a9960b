"""A video file, `video:FILE`: every frame once, in order, unpacked in a child process."""

from pathlib import Path

from edge.errors import SourceError
from edge.model.settings import ScannerSettings
from edge.scanner.sources._film import Film, open_film
from edge.scanner.sources.base import Frame


class Video:
    """An open video file.

    Args:
        film: What unpacks it.
    """

    is_live = False

    def __init__(self, film: Film) -> None:
        self._film = film
        self.is_finished = False

    def read(self) -> Frame | None:
        """Return the next frame, None after the last.

        Raises:
            SourceError: The child that unpacks it was lost over it: the file is read no further.
        """
        if self.is_finished:
            return None
        self.is_finished = True
        frame = self._film.read()
        self.is_finished = not isinstance(frame, Frame)
        return frame if isinstance(frame, Frame) else None

    def close(self) -> None:
        """Close the file."""
        self._film.close()


def open_source(target: str, source: int, _settings: ScannerSettings) -> Video:
    """Open a video file.

    Raises:
        SourceError: It is not there or not a video this machine can read.
        LibraryMissing: OpenCV does not load.
    """
    path = Path(target)
    if not path.is_file():
        raise SourceError(f"There is no video file {path}.", "Check `sources` in gate.toml.", cause="no_file")
    # Absolute, so that no name is taken for an address or an option.
    film = open_film(str(path.absolute()), path.name, source)
    if film is None:
        raise SourceError(f"{path} is not a video this machine can read.", "Try an MP4 or AVI file.", cause="no_file")
    return Video(film)
