"""What a swap of the view changed, for people: versions and files, before and after."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from edge.trust.view import View


@dataclass(frozen=True, slots=True)
class Changes:
    """The last swap.

    Attributes:
        at: When, by this machine's clock, Unix seconds.
        versions: Version before (None where the role is new) and after (None where it went) of each role that changed.
        added: Target paths that are new.
        changed: Target paths with another content.
        removed: Target paths that no longer count.
    """

    at: int
    versions: Mapping[str, tuple[int | None, int | None]]
    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]

    def record(self) -> bytes:
        """Return it as a record."""
        return json.dumps(asdict(self), sort_keys=True).encode()


def between(before: View | None, after: View, at: int) -> Changes:
    """Return what putting `after` in the place of `before` changes."""
    old, new = _versions(before), _versions(after)
    was, now = _files(before), _files(after)
    return Changes(
        at=at,
        versions={
            name: (old.get(name), new.get(name)) for name in sorted(old.keys() | new) if old.get(name) != new.get(name)
        },
        added=tuple(sorted(now.keys() - was)),
        changed=tuple(sorted(path for path in now.keys() & was if now[path] != was[path])),
        removed=tuple(sorted(was.keys() - now)),
    )


def _versions(view: View | None) -> dict[str, int]:
    return {name: role.signed.version for name, role in view.roles.items()} if view else {}


def _files(view: View | None) -> dict[str, Mapping[str, str]]:
    return {path: found.target.hashes for path, found in view.listing.found.items()} if view else {}


def read(record: bytes | None) -> Changes | None:
    """Return what a record tells; None where there is none that can be read: it is for people and decides nothing."""
    try:
        found: Any = json.loads(record or b"null")
        return Changes(
            at=int(found["at"]),
            versions={str(name): (pair[0], pair[1]) for name, pair in found["versions"].items()},
            added=tuple(found["added"]),
            changed=tuple(found["changed"]),
            removed=tuple(found["removed"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        return None
