"""Revoking, suspending and restoring passes, one or millions. Gates see it after the next publish and their refresh.

A revocation can be taken back, with a reason: wrong lists happen, and a person must not stay refused for one. The trail
of every change stays in the ledger.
"""

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from edge.authority.authority import Authority
from edge.authority.ledger import Index
from edge.authority.marks import Marking
from edge.errors import PublicationError
from edge.model.trust import Status

_MAX_INDEX: Final = 0xFFFFFFFF
"""The largest index a pass can carry (docs/adr/0006-national-pass.md)."""
_MAX_REASON: Final = 200
_MAX_LINE: Final = 64


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a long change has come.

    Attributes:
        done: Lines done.
        total: Lines altogether, each index counted once.
        changed: Passes that have another status now.
        refused: Indices that were never issued.
        unknown: The first few of those.
    """

    done: int
    total: int
    changed: int
    refused: int
    unknown: tuple[int, ...]


def set_status(
    authority: Authority,
    issuer: str,
    index: int,
    status: Status,
    now: int,
    *,
    number: int | None = None,
    reason: str = "",
) -> Index:
    """Set the status of an issued pass and return its place.

    Args:
        authority: The authority.
        issuer: Issuer id.
        index: The pass's index, as issuing printed it.
        status: `INVALID` revokes, `SUSPENDED` holds back for a while, `VALID` takes either back.
        now: Unix seconds.
        number: Number of the status list, where an issuer has issued this index in more than one.
        reason: Why, kept for good; needed to take a revocation back.

    Raises:
        PublicationError: No such pass was issued, it is not told which of several is meant, or a reason is missing.
    """
    marking = _marking(status, now, reason)
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
        if current is Status.INVALID and status is not Status.INVALID:
            _need_reason(marking)
        for _ in authority.ledger.mark(issuer, place.number, [index], marking):
            pass
    return place


def set_statuses(
    authority: Authority, place: tuple[str, int], lines: Iterable[str], marking: Marking
) -> Iterator[Progress]:
    """Set the status of many passes, an index a line; walk it to the end.

    Every line is read before anything is changed. Shares are durable one by one, and doing all of it again changes
    nothing that is done: what a power cut interrupts is finished by the same command.

    Args:
        authority: The authority.
        place: Issuer id and number of the status list.
        lines: Decimal indices; empty lines and what follows a `#` do not count.
        marking: The status, when and why; a reason is needed where passes are restored.

    Raises:
        PublicationError: A line is no index (nothing was changed), a reason is missing, or there is no such list.
    """
    marking = _marking(marking.status, marking.at, marking.reason)
    if marking.status is not Status.INVALID:
        # Among many some may be revoked.
        _need_reason(marking)
    indices = _indices(lines)
    done = changed = refused = 0
    unknown: tuple[int, ...] = ()
    with authority.locked():
        for share in authority.ledger.mark(*place, indices, marking):
            done += share.changed + share.unchanged + share.refused
            changed, refused = changed + share.changed, refused + share.refused
            unknown = (unknown + share.unknown)[:5]
            yield Progress(done, len(indices), changed, refused, unknown)


def _indices(lines: Iterable[str]) -> "array[int]":
    found = array("I")
    for number, line in enumerate(lines, 1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        if len(text) > _MAX_LINE or not (text.isascii() and text.isdigit()) or int(text) > _MAX_INDEX:
            raise PublicationError(
                f"Line {number} is not an index of a pass; nothing was changed.", "Correct it and run this again."
            )
        found.append(int(text))
    # In order the ledger is written from front to back; packed, ten million are 40 MB.
    return array("I", (index for index, _ in groupby(sorted(found))))


def _marking(status: Status, now: int, reason: str) -> Marking:
    if len(reason) > _MAX_REASON or not (reason == "" or reason.isprintable()):
        raise PublicationError(f"A reason is a printable text of at most {_MAX_REASON} characters.")
    return Marking(status, now, reason)


def _need_reason(marking: Marking) -> None:
    if not marking.reason.strip():
        raise PublicationError(
            "A revocation is taken back only with a reason, which the trail keeps.", "Say why: --reason TEXT"
        )
