"""Asking other desks for signatures: what is wanted becomes a request that waits in `pending/` for their answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edge.authority import ceremony
from edge.authority.authority import Authority
from edge.authority.ceremony import CARRIED_BYTES, ChangedFile, Examined
from edge.authority.checks import check
from edge.authority.draft import Draft, Published, drafts, listed_after
from edge.authority.publish import gather
from edge.errors import PublicationError


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that is out.

    Attributes:
        file: Where it lies.
        examined: What it asks for.
    """

    file: Path
    examined: Examined


def request(authority: Authority, now: int) -> Asked:
    """Make the request for everything the next publication must have signed.

    Args:
        authority: The authority.
        now: Unix seconds.

    Raises:
        PublicationError: There is nothing to sign, a source could not be published, or the folder cannot be written.
    """
    with authority.locked():
        files, roles = gather(authority), authority.roles()
        check(files, now, roles)
        before = authority.repository.published()
        wanted = drafts(before, roles, files, now)
        if not wanted:
            raise PublicationError(
                "Nothing has changed and nothing runs out: there is nothing to sign.",
                f"To renew the signed time: edge authority publish {authority.folder}",
            )
        changed = _changed(authority, before, files, wanted)
        found = ceremony.request_of(authority.repository.roots(), before, wanted, files=changed, now=now)
        examined = ceremony.examine(found)
        return Asked(authority.pending.put(found), examined)


def _changed(
    authority: Authority, before: Published, files: Mapping[str, bytes], wanted: tuple[Draft, ...]
) -> list[ChangedFile]:
    """Return the files that change; one too large for a request is named without its bytes."""
    was, becomes = before.listed(), listed_after(before, wanted)
    found: list[ChangedFile] = []
    for path in sorted({*was, *becomes}):
        new = becomes.get(path)
        if new is not None and was.get(path) == new.hashes["sha256"]:
            continue
        old = authority.repository.target(path, was[path], CARRIED_BYTES) if path in was else None
        is_small = new is not None and new.length <= CARRIED_BYTES
        found.append(ChangedFile(path, old, files[path] if is_small else None))
    return found
