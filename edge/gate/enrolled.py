"""Who this gate is, as its scanner part knows it: looked up at the start and again whenever key or enrolment change.

A gate without a name of its own still verifies and records: entries carry no name, only what sync sends does. It sends
nothing then, and lets nothing of its log go (ADR 0019).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from edge.errors import IdentityBroken
from edge.identity.identity import Enrolment, Identity, files_stamp, finding_of, gate_id, identify, load_enrolment
from edge.model.finding import Finding
from edge.model.settings import PlaceSettings

_NO_REGION: Final = "000000"


class Enrolled:
    """What this gate was enrolled as.

    Args:
        state: The gate's state folder.
        place: What stands in the gate's settings; it wins over what was enrolled.
    """

    def __init__(self, state: Path, place: PlaceSettings) -> None:
        self._state = state
        self._settings = place
        self._stamp: tuple[object, ...] | None = None
        self._findings: list[Finding] = []
        self.place = place
        """Where the gate stands."""
        self.gate = ""
        """Gate id (hex) that scans are numbered under: the enrolled one, before that the key's, empty without a key."""
        self.enrolment: Enrolment | None = None
        """What its hub made of it, whatever the key here is; None where it is not enrolled or the file is damaged."""
        self.identity: Identity | None = None
        """Key and enrolment, where they belong together; otherwise nothing may leave or go in its name."""
        self.look()

    def look(self) -> bool:
        """Read the files again if they changed; return whether anything is another now. Never raises."""
        stamp = files_stamp(self._state)
        if stamp == self._stamp:
            return False
        self._stamp = stamp
        self.enrolment, self.identity, self._findings = None, None, []
        try:
            # On its own first: the place is known also where the key is not the right one.
            self.enrolment = load_enrolment(self._state)
            self.identity = identify(self._state)
            self._findings = [] if self.identity is not None else [Finding("gate.not_enrolled")]
        except IdentityBroken as broken:
            self._findings = [finding_of(broken)]
        self.gate = self.enrolment.gate.hex() if self.enrolment is not None else gate_id(self._state)
        self.place = place_of(self._settings, self.enrolment)
        return True

    @property
    def hub_keys(self) -> Mapping[str, bytes]:
        """Keys of its hub by key id (hex): what that hub signs holds, whatever the key here is."""
        return self.enrolment.hub_keys if self.enrolment is not None else {}

    def findings(self) -> list[Finding]:
        """Return what is wrong with key or enrolment."""
        return self._findings


def place_of(place: PlaceSettings, enrolled: Enrolment | None) -> PlaceSettings:
    """Return the gate's place: what stands in the file wins over what was enrolled."""
    if enrolled is None:
        return place
    region = place.region if place.region != _NO_REGION else enrolled.region
    return PlaceSettings(place.site or enrolled.site, place.lane or enrolled.lane, region, place.direction)
