"""Lists of revoked foreign credentials from what their issuers publish: one list of hashes a kind, looked up by gates.

Reading the files is left to `edge.authority.revoked_sources`, the lists themselves to `edge.authority.lists`.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from edge.authority.anchors import look_up, require
from edge.authority.authority import Authority
from edge.authority.lists import hash_lists_of, put_hashes
from edge.authority.revoked_sources import KEPT_BYTES, Batch
from edge.errors import PublicationError
from edge.model.credential import HashKind


@dataclass(frozen=True, slots=True)
class Listed:
    """One list as it is now.

    Attributes:
        number: Its number at the issuer.
        kind: What is hashed.
        count: How many hashes it has.
    """

    number: int
    kind: HashKind
    count: int


def put_revoked(
    authority: Authority, issuer: str, batches: Iterable[Batch], *, keep: bool, now: int
) -> tuple[list[Listed], int]:
    """Put what some batches revoke in place of the issuer's last lists of these kinds, and let its keys be looked up.

    Args:
        authority: The authority.
        issuer: Our id of whoever issued the credentials; it has foreign keys.
        batches: What is revoked.
        keep: Whether what was listed before stays.
        now: Unix seconds; batches that have run out by then are left out.

    Returns:
        The lists, and how many batches have run out.

    Raises:
        PublicationError: The issuer has no foreign keys, nothing is named, or a gate would not take a list.
    """
    require(authority, issuer)
    wanted: dict[HashKind, set[bytes]] = {}
    expired = 0
    for batch in batches:
        digests = wanted.setdefault(batch.kind, set())
        if batch.expires_at is not None and batch.expires_at <= now:
            expired += 1
        else:
            digests |= {digest[:KEPT_BYTES] for digest in batch.digests}
    if not wanted:
        raise PublicationError("The files revoke nothing; nothing was changed.", "Check that they are those you mean.")
    known = hash_lists_of(authority, issuer)
    found: list[Listed] = []
    for kind, digests in sorted(wanted.items()):
        number = next((number for number, listed in known.items() if listed.kind is kind), 0)
        taken = {*known, *(one.number for one in found)}
        number = number or next(free for free in range(1, len(taken) + 2) if free not in taken)
        width = KEPT_BYTES
        if keep and number in known:
            # A list may have been made narrower; it cannot be made wider again.
            width = min(width, known[number].width)
            digests |= set(known[number])
        count = put_hashes(authority, (issuer, number), kind, width, digests, now=now)
        found.append(Listed(number, kind, count))
    look_up(authority, issuer, [one.number for one in found])
    return found, expired
