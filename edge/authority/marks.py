"""What is done to the status of passes, and what the ledger tells of it: values alone."""

from dataclasses import dataclass

from edge.model.trust import Status


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a pass's status.

    Attributes:
        at: When, Unix seconds.
        was: The status before.
        now: The status since.
        reason: Why, as it was given.
    """

    at: int
    was: Status
    now: Status
    reason: str


@dataclass(frozen=True, slots=True)
class Marking:
    """A status that passes get, for a reason.

    Attributes:
        status: The status.
        at: When, Unix seconds.
        reason: Why; kept for good, so nothing about a person belongs in it.
    """

    status: Status
    at: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Marked:
    """What a share of a long change did.

    Attributes:
        changed: Entries that have another status now.
        unchanged: Entries that had it already.
        unknown: Indices that were never issued here, the first few.
        refused: How many those are.
    """

    changed: int
    unchanged: int
    unknown: tuple[int, ...]
    refused: int
