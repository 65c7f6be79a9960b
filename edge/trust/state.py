"""Floors as the database keeps them: JSON, read back strictly."""

import json
from collections.abc import Mapping
from typing import Any, Final

from edge.errors import TrustDamaged
from edge.trust.workflow import Floors, RootFloor, SnapshotFloor, TimestampFloor

ROOT: Final = "root"
TIMESTAMP: Final = "timestamp"
SNAPSHOT: Final = "snapshot"
TARGETS: Final = "targets"
VIEW: Final[Mapping[str, str]] = {role: f"view.{role}" for role in (ROOT, TIMESTAMP, SNAPSHOT, TARGETS)}
"""Records of the complete view in force, by role; without the prefix stands the newest metadata verified."""


def encode(floors: Floors) -> bytes:
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


def decode(record: bytes) -> Floors:
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
