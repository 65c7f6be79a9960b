"""What the nation keeps lists of, beside issuers and their keys: how complete its regions are, venues, code sets."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class LegalPerson:
    """Who answers for a venue.

    Attributes:
        name: Registered name.
        code: Unified social credit identifier, 18 characters (GB 32100-2015).
    """

    name: str
    code: str


@dataclass(frozen=True, slots=True)
class Venue:
    """A registered place.

    Attributes:
        id: 1 to 16 bytes.
        region: GB/T 2260 code, six digits.
        name: Its name.
        legal_person: Who answers for it, or None where the registry does not say.
    """

    id: bytes
    region: int
    name: str
    legal_person: LegalPerson | None = None


@dataclass(frozen=True, slots=True)
class Registries:
    """The registries of one publication.

    Attributes:
        complete: GB/T 2260 prefixes (2 or 4 digits) of regions all of whose parts are listed.
        listed: Every prefix (2, 4 and 6 digits) of a listed code.
        venues: By id; empty where none are registered, and then none is asked for.
        statuses: Names of an issuer's statuses by (issuer, status), by language.
        versions: Version of each document that states one, by target path.
    """

    complete: frozenset[str] = frozenset()
    listed: frozenset[str] = frozenset()
    venues: Mapping[bytes, Venue] = field(default_factory=lambda: MappingProxyType({}))
    statuses: Mapping[tuple[str, int], Mapping[str, str]] = field(default_factory=lambda: MappingProxyType({}))
    versions: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))

    def lacks(self, region: int) -> bool:
        """Whether a region would have to be listed, because the larger one it lies in is complete, and is not."""
        if not self.complete:
            return False
        code = f"{region:06d}"
        for length in (2, 4):
            part = code[: length + 2]
            if not part.endswith("00") and code[:length] in self.complete and part not in self.listed:
                return True
        return False

    def refuses(self, venue: bytes, region: int) -> bool:
        """Whether venues are registered and this one is not, or stands elsewhere."""
        if not self.venues:
            return False
        found = self.venues.get(venue)
        return found is None or found.region != region
