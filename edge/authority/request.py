"""Asking other desks for signatures: what is wanted becomes a request that waits in `pending/` for their answers."""

from dataclasses import dataclass
from pathlib import Path

from edge.authority import ceremony
from edge.authority.authority import Authority
from edge.authority.ceremony import ChangedFile, Examined
from edge.authority.checks import check
from edge.authority.draft import Draft, Published, drafts
from edge.authority.publish import gather
from edge.errors import PublicationError
from edge.trust.workflow import LIMITS


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
    authority: Authority, before: Published, files: dict[str, bytes], wanted: tuple[Draft, ...]
) -> list[ChangedFile]:
    was = before.listed()
    touched = {path for draft in wanted for path in getattr(draft.signed, "targets", {})}
    found: list[ChangedFile] = []
    for path in sorted({*was, *files} & {*touched, *was}):
        old = authority.repository.target(path, was[path], LIMITS.targets) if path in was else None
        new = files.get(path)
        if old != new:
            found.append(ChangedFile(path, old, new))
    return found
