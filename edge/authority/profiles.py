"""Issuers as they are set up: the seven national and regional systems as ready profiles, or one of your own.

A profile says who an issuer is, what its keys may sign and what its statuses mean. Making keys from it is left to
`edge.authority.issuers`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final

from edge.errors import PublicationError

_DAY: Final = 86400
BASIS: Final[Mapping[str, str]] = MappingProxyType(
    {"zh": "《中华人民共和国传染病防治法》", "en": "Law on the Prevention and Treatment of Infectious Diseases"}
)
"""The law the ready profiles name for a status that is not green; an authority puts the article or order it acts by."""


@dataclass(frozen=True, slots=True)
class KeyProfile:
    """What a key may sign.

    Attributes:
        kinds: Kinds of pass (`person`, `travel`, `venue`, `visitor`).
        regions: GB/T 2260 prefixes its passes may speak of; an empty one for all.
        max_validity_s: Longest validity, seconds.
    """

    kinds: tuple[str, ...]
    regions: tuple[str, ...]
    max_validity_s: int


@dataclass(frozen=True, slots=True)
class StatusProfile:
    """What one of the issuer's statuses means.

    Attributes:
        status: The issuer's number; None for passes without one.
        health: The status in the national vocabulary.
        outcome: `accept`, `refer` or `reject`.
        meaning: What it stands for, by language.
        ground: Reason class of a status that is not accepted, empty where it is.
    """

    status: int | None
    health: str
    outcome: str
    meaning: Mapping[str, str]
    ground: str = ""

    def row(self, issuer: str) -> dict[str, Any]:
        """Return its row of the recognition matrix."""
        row = {"issuer": issuer, "status": self.status, "area": "", "health": self.health, "outcome": self.outcome}
        return row | ({"class": self.ground, "basis": dict(BASIS)} if self.ground else {})


@dataclass(frozen=True, slots=True)
class IssuerProfile:
    """An issuer.

    Attributes:
        name: What `--profile` calls it.
        id: Issuer id, as its passes write it.
        names: Display names, `zh` and `en`.
        region: GB/T 2260 code of its seat, 0 for a national system.
        keys: One key is made for each.
        statuses: Its rows of the recognition matrix.
    """

    name: str
    id: str
    names: Mapping[str, str]
    region: int
    keys: tuple[KeyProfile, ...]
    statuses: tuple[StatusProfile, ...]


def _profile(row: Mapping[str, Any]) -> IssuerProfile:
    return IssuerProfile(
        row["name"],
        row["id"],
        MappingProxyType(row["names"]),
        row["region"],
        tuple(KeyProfile(tuple(key["kinds"]), tuple(key["regions"]), key["max_validity_s"]) for key in row["keys"]),
        tuple(
            StatusProfile(
                item["status"],
                item["health"],
                item["outcome"],
                MappingProxyType(item["meaning"]),
                item.get("ground", ""),
            )
            for item in row["statuses"]
        ),
    )


@cache
def profiles() -> tuple[IssuerProfile, ...]:
    """Return the ready profiles."""
    rows = json.loads(files("edge.authority").joinpath("profiles.json").read_text(encoding="utf-8"))
    return tuple(_profile(row) for row in rows)


def profile(name: str) -> IssuerProfile:
    """Return the ready profile of this name or issuer id.

    Raises:
        PublicationError: There is none.
    """
    for found in profiles():
        if name in (found.name, found.id):
            return found
    known = ", ".join(found.name for found in profiles())
    raise PublicationError(f"There is no issuer profile {name!r}.", f"There are: {known}.")


def own_profile(
    id_: str,
    names: Mapping[str, str],
    region: int,
    *,
    kinds: tuple[str, ...] = ("person",),
    max_validity_days: int = 31,
) -> IssuerProfile:
    """Return a profile for an issuer that is not among the ready ones: green, yellow and red, its own region.

    Args:
        id_: Issuer id.
        names: Display names, `zh` and `en`.
        region: GB/T 2260 code of its seat, 0 for a national system.
        kinds: Kinds of pass it may sign.
        max_validity_days: Longest validity.
    """
    model = profile("one-code-pass")
    travel = profile("trip")
    return IssuerProfile(
        id_,
        id_,
        names,
        region,
        (KeyProfile(kinds, (id_ if id_.isdigit() else "",), max_validity_days * _DAY),),
        model.statuses + (travel.statuses if "travel" in kinds else ()),
    )
