"""What an authority edits: JSON of the same form and path as it publishes, in `sources/`.

Every change is read back by the gate's own strict reader before it is written, so what stands here can be published.
Signing is left to `edge.authority.publish`.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from edge.disk import durable
from edge.errors import PublicationError, TrustError
from edge.trust import anchors, health_rules, paths, policies, registries, targets
from edge.trust.fields import MAX_JSON_BYTES, Document

_READERS: Final[Mapping[str, Callable[[Document], Any]]] = {
    paths.POLICY: policies.policy,
    paths.MATRIX: targets.matrix,
    paths.ISSUERS: targets.issuers,
    paths.REGIONS: registries.regions,
    paths.VENUES: registries.venues,
    paths.CODES: registries.statuses,
    paths.HUBS: targets.hub_keys,
    paths.AUDITOR: targets.auditor,
    paths.RULES: health_rules.health_rules,
}


def read_strictly(path: str, data: bytes) -> Any:
    """Return the value of a source, every member known and in bounds.

    Args:
        path: Its target path.
        data: Its JSON.

    Raises:
        PublicationError: It could not be published; the message names file, row and member.
    """
    try:
        document = Document(data, path)
        value, rows = _value(path, document)
        document.refuse_unread()
        if rows and len(value) != len(document.objects(rows)):
            # A gate leaves such a key out, for algorithms to come; here it is a slip.
            raise document.fault(rows, "has a key of an algorithm that is not known")
    except TrustError as error:
        raise PublicationError(error.message, f"Correct sources/{path} and try again.") from error
    return value


def _value(path: str, document: Document) -> tuple[Any, str]:
    """Return the value of a source and, of one that lists keys, the member that does."""
    if (issuer := paths.keys_of(path)) is not None:
        return targets.keys(document, issuer), "keys"
    if (issuer := paths.anchors_of(path)) is not None:
        return anchors.anchors(document, issuer), "anchors"
    return _READERS[path](document), ""


class Sources:
    """The folder `sources/` of an authority.

    Args:
        folder: Where it is.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, path: str) -> bytes:
        """Return the bytes of a source.

        Raises:
            PublicationError: It cannot be read, or is too long.
        """
        place = self.folder / path
        try:
            with place.open("rb") as file:
                data = file.read(MAX_JSON_BYTES + 1)
        except OSError as error:
            raise PublicationError(
                f"{place} cannot be read: {error.strerror}.", "Restore it from a backup of this folder."
            ) from error
        return data

    def has(self, path: str) -> bool:
        """Whether there is such a source."""
        return (self.folder / path).is_file()

    def value(self, path: str) -> Any:
        """Return a source as the gate would read it.

        Raises:
            PublicationError: It cannot be read or published.
        """
        return read_strictly(path, self.read(path))

    def members(self, path: str) -> dict[str, Any]:
        """Return a source's JSON object, after the same checks as `value`.

        Raises:
            PublicationError: It cannot be read or published.
        """
        data = self.read(path)
        read_strictly(path, data)
        found: dict[str, Any] = json.loads(data)
        return found

    def check(self, path: str, members: Mapping[str, Any]) -> Any:
        """Return the value of a source that is not in place yet.

        Raises:
            PublicationError: It could not be published.
        """
        return read_strictly(path, _encoded(members))

    def write(self, path: str, members: Mapping[str, Any]) -> None:
        """Check a source and put it in place, durably.

        Raises:
            PublicationError: It could not be published, or the file system refuses; what stood there stays.
        """
        data = _encoded(members)
        read_strictly(path, data)
        place = self.folder / path
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            durable.write(place, data)
        except OSError as error:
            raise PublicationError(f"{place} cannot be written: {error.strerror}.", "Check permissions.") from error

    def remove(self, path: str) -> None:
        """Remove a source; one that is not there is removed already.

        Raises:
            PublicationError: The file system refuses.
        """
        place = self.folder / path
        try:
            place.unlink(missing_ok=True)
        except OSError as error:
            raise PublicationError(f"{place} cannot be removed: {error.strerror}.", "Check permissions.") from error

    def issuers_with_keys(self) -> list[str]:
        """Return the ids that have a key file, in order."""
        return sorted(found for found in map(paths.keys_of, self._paths("keys.json")) if found is not None)

    def anchor_paths(self) -> list[str]:
        """Return the path of every file of foreign keys, in order."""
        return sorted(path for path in self._paths("anchors.json") if paths.anchors_of(path) is not None)

    def _paths(self, name: str) -> list[str]:
        return [file.relative_to(self.folder).as_posix() for file in self.folder.glob(f"issuers/*/{name}")]


def _encoded(members: Mapping[str, Any]) -> bytes:
    # Lone surrogates of a hand-made source cannot be encoded; the strict reader refuses the mark put in their place.
    return json.dumps(members, ensure_ascii=False, indent=1).encode(errors="replace") + b"\n"
