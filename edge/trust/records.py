"""What a trust store remembers, by record name, and the two verbs of whatever keeps it: a database or a plain folder.

The newest metadata that ever verified stands under the role's own name, the view in force under `view.`; rollback
protection is `FLOORS`, what trust began with is `PINNED`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from edge.errors import TrustDamaged

PINNED: Final = "pinned"
FLOORS: Final = "floors"
GENERATION: Final = "generation"
REGISTRIES: Final = "registries"
"""The newest version of each registry that was in force, and under which targets keys, JSON."""
CHANGES: Final = "view.changes"
"""What the last swap of the view changed, JSON, for people."""
WITHHELD: Final = "view.withheld"
"""Names of delegated roles that came expired when the view was put in force, JSON; absent where there are none."""

ROOT: Final = "root"
TIMESTAMP: Final = "timestamp"
SNAPSHOT: Final = "snapshot"
TARGETS: Final = "targets"
TOP_LEVEL: Final = (ROOT, TIMESTAMP, SNAPSHOT, TARGETS)
_ROLE: Final = "role/"
_CHAIN: Final = "chain/"
_VIEW: Final = "view."

AGAIN: Final = (
    "Nothing of it is relied on. Enrol this gate again: the new invitation brings the root of trust (edge provision)."
)


def delegated(name: str) -> str:
    """Return the record of a delegated role's newest metadata."""
    return _ROLE + name


def delegated_name(record: str) -> str | None:
    """Return the delegated role whose newest metadata stands under `record`, or None."""
    return record.removeprefix(_ROLE) if record.startswith(_ROLE) else None


def chain(version: int) -> str:
    """Return the record of a root that was verified on the way to the newest."""
    return f"{_CHAIN}{version}"


def chained(records: Mapping[str, bytes]) -> dict[int, bytes]:
    """Return the roots that were verified, by version."""
    return {
        int(name.removeprefix(_CHAIN)): value
        for name, value in records.items()
        if name.startswith(_CHAIN) and name.removeprefix(_CHAIN).isdigit()
    }


def view(record: str) -> str:
    """Return the record of the view in force for a role's own record."""
    return _VIEW + record


def delegated_names(records: Mapping[str, bytes]) -> frozenset[str]:
    """Return the names of delegated roles of which the newest metadata is kept."""
    return frozenset(name.removeprefix(_ROLE) for name in records if name.startswith(_ROLE))


def viewed_names(records: Mapping[str, bytes]) -> frozenset[str]:
    """Return the names of the delegated roles of the view in force."""
    prefix = view(_ROLE)
    return frozenset(name.removeprefix(prefix) for name in records if name.startswith(prefix))


@dataclass(frozen=True, slots=True)
class Stored:
    """All records at one moment.

    Attributes:
        path: Where they are kept, for messages.
        values: Value by name, of those that are whole.
        damaged: Names of those that are not.
    """

    path: Path
    values: Mapping[str, bytes]
    damaged: frozenset[str]

    def get(self, name: str) -> bytes | None:
        """Return a record that can be fetched again: damaged counts as absent."""
        return self.values.get(name)

    def need(self, name: str) -> bytes:
        """Return a record that nothing else can replace.

        Raises:
            TrustDamaged: It is damaged or absent.
        """
        if name not in self.values:
            raise TrustDamaged(f"The record {name} of {self.path} is damaged.", AGAIN)
        return self.values[name]


class Records(Protocol):
    """Something that keeps records durably.

    Promises: after `write` returned, a power cut loses none of it; before, floors are never behind the metadata.
    """

    def read(self) -> Stored:
        """Return all records.

        Raises:
            TrustMissing: There are none.
            TrustDamaged: They cannot be read.
            TrustError: They cannot be reached now.
        """

    def write(self, records: Mapping[str, bytes], *, remove: tuple[str, ...] = ()) -> None:
        """Put and remove records.

        Raises:
            TrustMissing: There is no store.
            TrustError: They cannot be written (busy, full, read-only).
        """
