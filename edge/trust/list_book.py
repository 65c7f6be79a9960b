"""What a store notes about its lists: which state of each is in force, what was refused and why, and the seals.

One record of the store's database, written in the commit that puts a view in force, so that view and lists change
together. How a state is reached is left to `edge.trust.large_lists`.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any, Final

from edge.trust.part_files import NO_SEALS, Seal

RECORD: Final = "lists"
_DAY: Final = 86_400


@dataclass(frozen=True, slots=True)
class Kept:
    """One list.

    Attributes:
        state: SHA-256 (hexadecimal) of the state or file in force, empty where there is none.
        is_packed: Whether that is a packed list; a list never changes its form.
        since: When the day began in which `flips` are counted, by signed issue times, Unix seconds.
        flips: Entries that changed since then without a national co-signature.
        refused: SHA-256 (hexadecimal) of the newest file of the list that was refused, empty where none was.
        refused_at: Signed issue time of the publication that held it.
        why: Why it was refused.
    """

    state: str = ""
    is_packed: bool = False
    since: int = 0
    flips: int = 0
    refused: str = ""
    refused_at: int = 0
    why: str = ""

    @property
    def digest(self) -> bytes:
        """The state in force."""
        return bytes.fromhex(self.state)


@dataclass(frozen=True, slots=True)
class ListBook:
    """All lists.

    Attributes:
        lists: By the list's name.
        seals: By SHA-256 of the file, hexadecimal.
        hashed_at: When everything was last hashed, by the system clock, Unix seconds.
    """

    lists: Mapping[str, Kept] = field(default_factory=lambda: MappingProxyType({}))
    seals: Mapping[str, Seal] = field(default_factory=lambda: NO_SEALS)
    hashed_at: int = 0

    def is_due(self, now: int) -> bool:
        """Whether everything is to be hashed again: once a day, and after a clock that jumped."""
        return not 0 <= now - self.hashed_at < _DAY

    def encode(self) -> bytes:
        """Return the record."""
        lists = {name: asdict(kept) for name, kept in self.lists.items()}
        return json.dumps(
            {"lists": lists, "seals": dict(self.seals), "hashed_at": self.hashed_at}, sort_keys=True
        ).encode()


def decode(record: bytes | None) -> ListBook:
    """Return the book in a record; an empty one where it is missing or none: then everything is fetched anew."""
    try:
        found: dict[str, Any] = json.loads(record or b"{}")
        lists = {name: Kept(**row) for name, row in found.get("lists", {}).items()}
        seals: dict[str, Seal] = {name: _sealed(row) for name, row in found.get("seals", {}).items()}
        return ListBook(MappingProxyType(lists), MappingProxyType(seals), int(found.get("hashed_at", 0)))
    except (ValueError, TypeError, AttributeError):
        return ListBook()


def _sealed(row: list[int]) -> Seal:
    size, inode, modified, changed = row
    return size, inode, modified, changed
