"""The target paths of a publication (ADR 0004): final since the first one.

A gate takes these and ignores every other path, so a path can neither leave a folder nor name anything unexpected.
"""

import re
from enum import StrEnum
from typing import Final

POLICY: Final = "national/policy.json"
MATRIX: Final = "national/matrix.json"
ISSUERS: Final = "national/issuers.json"
REGIONS: Final = "national/regions.json"
VENUES: Final = "national/venues.json"
CODES: Final = "national/codes.json"
HUBS: Final = "national/hubs.json"
AUDITOR: Final = "national/auditor.json"
RULES: Final = "national/rules.json"

REQUIRED: Final = (POLICY, MATRIX, ISSUERS, REGIONS)
NATIONAL: Final = (*REQUIRED, VENUES, CODES, HUBS, AUDITOR, RULES)
"""What the top-level targets hold; a gate takes what is there."""

# The shortest GB/T 2260 prefix, or a national name.
_ISSUER_ID: Final = re.compile(r"(?:[0-9]{2}|[0-9]{4}|[0-9]{6}|[a-z][a-z0-9-]{1,15})")
_KEYS: Final = re.compile(rf"issuers/({_ISSUER_ID.pattern})/keys\.json")
_ANCHORS: Final = re.compile(rf"issuers/({_ISSUER_ID.pattern})/anchors\.json")
_STATUS: Final = re.compile(rf"issuers/({_ISSUER_ID.pattern})/status/([1-9][0-9]{{0,5}})\.cbor")
# A list in parts (docs/adr/0022-revocation-lists.md): its base, the bitmaps the base names, deltas, hashes.
_LIST_FILE: Final = re.compile(
    rf"issuers/({_ISSUER_ID.pattern})/status/([1-9][0-9]{{0,5}})\."
    r"(?:(base)|(delta)\.([1-9][0-9]{0,8})|(part)\.(?:invalid|suspended)\.(?:0|[1-9][0-9]?)|(hashes))"
)


class ListFile(StrEnum):
    """What a file of a list in parts, or of a list of hashes, is."""

    BASE = "base"
    DELTA = "delta"
    PART = "part"
    HASHES = "hashes"


def is_issuer_id(text: str) -> bool:
    """Whether `text` can name an issuer."""
    return _ISSUER_ID.fullmatch(text) is not None


def keys_path(issuer: str) -> str:
    """Return the path of an issuer's keys."""
    return f"issuers/{issuer}/keys.json"


def status_path(issuer: str, number: int) -> str:
    """Return the path of a status list."""
    return f"issuers/{issuer}/status/{number}.cbor"


def status_uri(issuer: str, number: int) -> str:
    """Return the stable name of a status list: a pass carries the index alone, this names the list it counts in."""
    return f"issuers/{issuer}/status/{number}"


def keys_of(path: str) -> str | None:
    """Return the issuer whose keys stand at `path`, or None."""
    found = _KEYS.fullmatch(path)
    return found[1] if found else None


def anchors_path(issuer: str) -> str:
    """Return the path of the foreign keys that go by an issuer id of ours."""
    return f"issuers/{issuer}/anchors.json"


def anchors_of(path: str) -> str | None:
    """Return the issuer whose foreign keys stand at `path`, or None."""
    found = _ANCHORS.fullmatch(path)
    return found[1] if found else None


def status_of(path: str) -> tuple[str, int] | None:
    """Return the issuer and number of the status list at `path`, or None."""
    found = _STATUS.fullmatch(path)
    return (found[1], int(found[2])) if found else None


def base_path(issuer: str, number: int) -> str:
    """Return the path of the base of a list in parts."""
    return f"{status_uri(issuer, number)}.base"


def delta_path(issuer: str, number: int, sequence: int) -> str:
    """Return the path of a delta of a list in parts."""
    return f"{status_uri(issuer, number)}.delta.{sequence}"


def part_path(issuer: str, number: int, plane: str, span: int) -> str:
    """Return the path of a part of a list: the plane is `invalid` or `suspended`, spans count from 0."""
    return f"{status_uri(issuer, number)}.part.{plane}.{span}"


def hashes_path(issuer: str, number: int) -> str:
    """Return the path of a list of hashes."""
    return f"{status_uri(issuer, number)}.hashes"


def list_file_of(path: str) -> tuple[ListFile, str, int, int] | None:
    """Return kind, issuer, list number and, of a delta, sequence of the file of a list at `path`, or None."""
    found = _LIST_FILE.fullmatch(path)
    if found is None:
        return None
    kind = ListFile(found[3] or found[4] or found[6] or found[7])
    return kind, found[1], int(found[2]), int(found[5] or 0)


def is_gate_target(path: str) -> bool:
    """Whether a gate reads the target at `path`."""
    return (
        path in NATIONAL
        or keys_of(path) is not None
        or anchors_of(path) is not None
        or status_of(path) is not None
        or list_file_of(path) is not None
    )
