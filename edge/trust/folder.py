"""Verified metadata as plain files, for `edge trust --metadata-dir`: each role under its own name, without a version.

`root.json`, `timestamp.json`, ... are what the public conformance suite reads; the floors stand beside them in `edge/`.
A gate's own store is a database (`edge.trust.database`); the workflow is the same for both.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote

from edge.disk import durable
from edge.errors import TrustDamaged, TrustError, TrustMissing
from edge.trust import records, workflow
from edge.trust.records import Stored
from edge.trust.store import first_records
from edge.trust.workflow import LIMITS

_SUFFIX: Final = ".json"
_OURS: Final = "edge"
_MAX_BYTES: Final = max(LIMITS.root, LIMITS.targets, LIMITS.snapshot)


class MetadataFolder:
    """A folder of verified metadata.

    Args:
        folder: Where it is.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def init(cls, folder: Path, root_bytes: bytes) -> "MetadataFolder":
        """Begin to trust with `root_bytes`; metadata and floors that stood there are replaced.

        Raises:
            TrustRefused: It is no root metadata.
            TrustError: The folder cannot be written.
        """
        root = workflow.first_root(root_bytes)
        found = cls(folder)
        with found._ours():
            (folder / _OURS).mkdir(parents=True, exist_ok=True)
            for file in (*folder.glob(f"*{_SUFFIX}"), *(folder / _OURS).iterdir()):
                file.unlink()
            durable.sync_folder(folder)
        found.write(first_records(root))
        return found

    def read(self) -> Stored:
        """Return all records; see `Records`.

        Raises:
            TrustMissing: `init` was not run here.
            TrustDamaged: A file is far too long.
            TrustError: The folder cannot be read.
        """
        if not (self._folder / _OURS).is_dir():
            raise TrustMissing(
                f"{self._folder} holds no trusted root.", "Begin: edge trust --metadata-dir FOLDER init ROOT.json"
            )
        with self._ours():
            values = {
                _record(file.name.removesuffix(_SUFFIX)): _read(file) for file in self._folder.glob(f"*{_SUFFIX}")
            }
            values |= {unquote(file.name): _read(file) for file in (self._folder / _OURS).iterdir()}
        return Stored(self._folder, values, frozenset())

    def write(self, values: Mapping[str, bytes], *, remove: tuple[str, ...] = ()) -> None:
        """Put and remove records; see `Records`.

        Raises:
            TrustError: The folder cannot be written.
        """
        with self._ours():
            for record in remove:
                self._place(record).unlink(missing_ok=True)
            # Floors first: a power cut in between leaves metadata behind its floor, which is fetched again.
            for record in sorted(values, key=lambda name: name != records.FLOORS):
                durable.write(self._place(record), values[record])

    def _place(self, record: str) -> Path:
        role = record if record in records.TOP_LEVEL else records.delegated_name(record)
        if role is None:
            return self._folder / _OURS / quote(record, safe="")
        return self._folder / f"{quote(role, safe='')}{_SUFFIX}"

    @contextmanager
    def _ours(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise TrustError(
                f"{self._folder} cannot be used: {error.strerror}.", "Check permissions and free space."
            ) from error


def _record(stem: str) -> str:
    role = unquote(stem)
    return role if role in records.TOP_LEVEL else records.delegated(role)


def _read(file: Path) -> bytes:
    with file.open("rb") as opened:
        data = opened.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES:
        raise TrustDamaged(f"{file} is far too long.", "Remove it; it is fetched again.")
    return data
