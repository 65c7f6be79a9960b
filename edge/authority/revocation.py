"""Revoking, suspending and restoring passes. Gates see it after the next publish and their next refresh."""

from typing import Final

from edge.authority.authority import Authority
from edge.authority.ledger import Index
from edge.errors import PublicationError
from edge.model.trust import Status

_MAX_INDEX: Final = 0xFFFFFFFF
"""The largest index a pass can carry (docs/adr/0006-national-pass.md)."""


def set_status(
    authority: Authority, issuer: str, index: int, status: Status, now: int, *, number: int | None = None
) -> Index:
    """Set the status of an issued pass and return its place.

    Args:
        authority: The authority.
        issuer: Issuer id.
        index: The pass's index, as issuing printed it.
        status: `INVALID` revokes for good, `SUSPENDED` until `VALID` restores it.
        now: Unix seconds.
        number: Number of the status list, where an issuer has issued this index in more than one.

    Raises:
        PublicationError: No such pass was issued, it is not told which of several is meant, or it is revoked for good.
    """
    with authority.locked():
        is_index = 0 <= index <= _MAX_INDEX and (number is None or 0 <= number <= _MAX_INDEX)
        found = authority.ledger.find(issuer, index, number) if is_index else []
        if is_index and not found:
            for place in authority.ledger.find_foreign(issuer, index, number):
                # Signed elsewhere, so never drawn here.
                found.append((place, Status.VALID))
        if not found:
            raise PublicationError(
                f"Issuer {issuer} has issued no pass with this index.", "Check the issuer and the index of the pass."
            )
        if len(found) > 1:
            raise PublicationError(
                f"Issuer {issuer} has issued this index in {len(found)} lists.", "Name the list with --list NUMBER."
            )
        ((place, current),) = found
        if not authority.ledger.find(issuer, index, place.number):
            authority.ledger.note_foreign(place, now)
        if current is Status.INVALID and status is not Status.INVALID:
            raise PublicationError("This pass is revoked, and that is final.", "Issue a new pass.")
        authority.ledger.mark(place, status, now)
    return place
