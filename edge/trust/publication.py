"""A gate's view as a publication: a `Fetcher` over what the store holds, verified when it was opened."""

from typing import Final
from urllib.parse import quote

from tuf.api.metadata import Timestamp  # type: ignore[attr-defined]  # documented there, without `__all__`

from edge.errors import AnswerRefused
from edge.trust import paths, records
from edge.trust.files import TargetFiles
from edge.trust.records import Stored
from edge.trust.view import View
from edge.trust.workflow import Verified

_TIMESTAMP: Final = "metadata/timestamp.json"


class StorePublication:
    """What a gate believes, as a publication: a stick made at one gate serves another.

    Args:
        view: The view in force.
        stored: The store's records, for the roots on the way.
        files: The store's target files.
    """

    def __init__(self, view: View, stored: Stored, files: TargetFiles) -> None:
        is_versioned = bool(view.root.signed.consistent_snapshot)
        roots = records.chained(stored.values) | {view.root.signed.version: view.root.raw}
        self._metadata = {root_path(version): raw for version, raw in sorted(roots.items())}
        for name, role in view.roles.items():
            if name != records.ROOT:
                prefix = f"{role.signed.version}." if is_versioned and name != records.TIMESTAMP else ""
                self._metadata[f"metadata/{prefix}{quote(name, safe='')}.json"] = role.raw
        self._targets = {
            f"targets/{quote(found.target.get_prefixed_paths()[0] if is_versioned else path)}": found.target
            for path, found in view.listing.found.items()
        }
        self._listed = view.listing.found.keys()
        self._files = files
        self._timestamp = view.timestamp

    @property
    def timestamp(self) -> Verified[Timestamp]:
        """Its timestamp."""
        return self._timestamp

    def addresses(self) -> list[str]:
        """Return the address of every file; the timestamp comes last, so that a copy cut off is no publication."""
        return [*self._targets, *sorted(self._metadata, key=lambda path: path == _TIMESTAMP)]

    def fetch(self, path: str, max_bytes: int) -> bytes:
        """Return one file; see `Fetcher`.

        Raises:
            AnswerRefused: There is no such file, it is longer, or it is of a list that was followed by deltas.
            TrustDamaged: A target of the store is cut short or altered.
        """
        if path in self._targets:
            target = self._targets[path]
            if self._is_in_parts(target.path) and not self._files.has(target):
                raise AnswerRefused(
                    f"This gate has followed {target.path} by deltas and has not all that was published of it.",
                    "Copy the publication from the authority or a mirror.",
                    status=404,
                )
            data = self._files.read(target)
        elif path in self._metadata:
            data = self._metadata[path]
        else:
            raise AnswerRefused(f"This gate has no {path}.", "Refresh it first.", status=404)
        if len(data) > max_bytes:
            raise AnswerRefused(f"{path} is longer than {max_bytes} bytes.", "Refresh it first.", status=413)
        return data

    def _is_in_parts(self, path: str) -> bool:
        place = paths.status_of(path)
        is_beside = place is not None and paths.base_path(*place) in self._listed
        return is_beside or paths.list_file_of(path) is not None


def root_path(version: int) -> str:
    """Return the address of a root below a publication's."""
    return f"metadata/{version}.root.json"
