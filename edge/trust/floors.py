"""Floors: small facts about the newest metadata ever verified, below which nothing is accepted.

Rollback protection rests on them and not on old files, which a power cut may take. They are kept as JSON and read back
strictly. What they refuse is left to `edge.trust.workflow`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edge.errors import TrustDamaged
from edge.trust.records import ROOT, SNAPSHOT, TIMESTAMP


@dataclass(frozen=True, slots=True)
class RootFloor:
    """The newest root ever verified.

    Attributes:
        version: Its version.
        digest: SHA-256 of its file.
    """

    version: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class TimestampFloor:
    """The newest timestamp ever verified.

    Attributes:
        version: Its version.
        issued_at: Its signed issue time, Unix seconds.
        snapshot: The snapshot version it named.
        signers: Public key by key id of those who signed it.
        threshold: How many had to.
    """

    version: int
    issued_at: int
    snapshot: int
    signers: Mapping[str, str]
    threshold: int


@dataclass(frozen=True, slots=True)
class SnapshotFloor:
    """The newest snapshot ever verified.

    Attributes:
        version: Its version.
        meta: The version it named of each targets file.
        signers: Public key by key id of those who signed it.
        threshold: How many had to.
    """

    version: int
    meta: Mapping[str, int]
    signers: Mapping[str, str]
    threshold: int


@dataclass(frozen=True, slots=True)
class Floors:
    """Below these nothing is accepted, whatever files are left on the disk.

    Attributes:
        root: The newest root.
        timestamp: The newest timestamp, or None before the first and after its keys were rotated.
        snapshot: The newest snapshot, or None likewise.
        view: SHA-256 of the timestamp of the complete view in force, empty before the first. It may be older than the
            floor above: an update that could not be finished leaves its floors, and the view as it was.
    """

    root: RootFloor
    timestamp: TimestampFloor | None = None
    snapshot: SnapshotFloor | None = None
    view: bytes = b""

    @property
    def issued_at(self) -> int:
        """The newest signed issue time, Unix seconds: no honest clock is behind it."""
        return self.timestamp.issued_at if self.timestamp else 0


def encode_floors(floors: Floors) -> bytes:
    """Return the record of `floors`."""
    timestamp, snapshot = floors.timestamp, floors.snapshot
    return json.dumps(
        {
            ROOT: {"version": floors.root.version, "digest": floors.root.digest.hex()},
            TIMESTAMP: timestamp
            and {
                "version": timestamp.version,
                "issued_at": timestamp.issued_at,
                "snapshot": timestamp.snapshot,
                "signers": dict(timestamp.signers),
                "threshold": timestamp.threshold,
            },
            SNAPSHOT: snapshot
            and {
                "version": snapshot.version,
                "meta": dict(snapshot.meta),
                "signers": dict(snapshot.signers),
                "threshold": snapshot.threshold,
            },
            "view": floors.view.hex(),
        },
        sort_keys=True,
    ).encode()


def decode_floors(record: bytes) -> Floors:
    """Return the floors in a record.

    Raises:
        TrustDamaged: It is none.
    """
    try:
        found: dict[str, Any] = json.loads(record)
        return Floors(
            root=RootFloor(found[ROOT]["version"], bytes.fromhex(found[ROOT]["digest"])),
            timestamp=TimestampFloor(**found[TIMESTAMP]) if found[TIMESTAMP] else None,
            snapshot=SnapshotFloor(**found[SNAPSHOT]) if found[SNAPSHOT] else None,
            view=bytes.fromhex(found["view"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise TrustDamaged(
            "The floors of the trust store cannot be read.", "Enrol this gate again: edge provision enroll."
        ) from error
