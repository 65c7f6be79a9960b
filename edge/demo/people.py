"""The programme: who comes, what they show, and what a gate must say about it.

A programme is endless. Its first round has every kind of case once, in a fixed order, so that a short run shows them
all; later rounds are a usual day's crowd. Genuine passes are ordered here and made by the authority's own command; the
gate is told nothing of any of this.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from edge.demo import counterfeits
from edge.demo.showing import Colour, Face, Showing, Wear


class Case(StrEnum):
    """What somebody comes with."""

    VALID = "valid"
    EXPIRED = "expired"
    NOT_YET_VALID = "not yet valid"
    REVOKED = "revoked"
    FORGED = "forged"
    ALTERED = "altered"
    UNKNOWN_ISSUER = "unknown issuer"
    REPEATED = "repeated"
    SERVER_TOKEN = "live token"  # noqa: S105
    FOREIGN = "foreign code"
    IDENTITY_ONLY = "identity only"
    POPUP = "pop-up"
    YELLOW = "yellow"
    RED = "red"
    VENUE = "venue code"
    BROKEN = "broken pass"
    LIVE = "live pass"
    SCREENSHOT = "screenshot"


@dataclass(frozen=True, slots=True)
class Expected:
    """What a gate must record.

    Attributes:
        outcome: `accept`, `refer` or `reject`.
        reason: The stable reason code.
    """

    outcome: str
    reason: str


EXPECTED: Final[Mapping[Case, Expected]] = {
    Case.VALID: Expected("accept", "ok"),
    Case.EXPIRED: Expected("reject", "time.expired"),
    Case.NOT_YET_VALID: Expected("reject", "time.not_yet_valid"),
    Case.REVOKED: Expected("reject", "status.revoked"),
    Case.FORGED: Expected("reject", "signature.invalid"),
    Case.ALTERED: Expected("reject", "signature.invalid"),
    Case.UNKNOWN_ISSUER: Expected("reject", "issuer.unknown"),
    Case.REPEATED: Expected("refer", "repeat.recent"),
    Case.SERVER_TOKEN: Expected("refer", "credential.server_token"),
    Case.FOREIGN: Expected("reject", "credential.foreign"),
    Case.IDENTITY_ONLY: Expected("refer", "health.none"),
    Case.POPUP: Expected("refer", "health.popup"),
    Case.YELLOW: Expected("refer", "health.yellow"),
    Case.RED: Expected("reject", "health.red"),
    Case.VENUE: Expected("refer", "kind.not_admitted"),
    Case.BROKEN: Expected("reject", "credential.malformed"),
    Case.LIVE: Expected("accept", "ok"),
    Case.SCREENSHOT: Expected("refer", "live.stale"),
}

SIGNED_BEFORE_S: Final[Mapping[Case, int]] = {Case.LIVE: 0, Case.SCREENSHOT: 600}
"""How long before it is shown a phone signed the code, seconds: a screenshot is a copy of what was fresh then."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody invented.

    Attributes:
        surname: Surname.
        name: Masked full name.
        birth_year: Year of birth.
        id_tail: Last four characters of an invented document number.
    """

    surname: str
    name: str
    birth_year: int
    id_tail: str


_SURNAMES: Final = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗"
_GIVEN: Final = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平"


def invented(rng: random.Random) -> Person:
    """Return somebody."""
    surname = rng.choice(_SURNAMES)
    tail = f"{rng.randrange(1000):03d}{rng.choice('0123456789X')}"
    return Person(surname, f"{surname}*{rng.choice(_GIVEN)}", rng.randrange(1945, 2006), tail)


@dataclass(frozen=True, slots=True)
class Part:
    """One presentation of a round, before its code is made.

    Attributes:
        case: What somebody comes with.
        system: Issuer id, or family of the token or foreign code.
        carrier: `phone` or `paper`.
        person: Who comes.
    """

    case: Case
    system: str
    carrier: str = "phone"
    person: Person = Person("张", "张*伟", 1988, "3416")


PROFILES: Final[Mapping[str, str]] = {
    "11": "beijing-health-kit",
    "44": "yuekang",
    "50": "yukang",
    "6101": "one-code-pass",
    "nhc": "nhc",
    "trip": "trip",
    "cn": "cn",
}
"""The seven systems the project exists for: issuer profile by issuer id."""

FIRST_ROUND: Final = (
    Part(Case.VALID, "6101"),
    Part(Case.VALID, "44"),
    Part(Case.EXPIRED, "6101", "paper"),
    Part(Case.VALID, "11"),
    Part(Case.SERVER_TOKEN, "yuekang"),
    Part(Case.VALID, "trip", "paper"),
    Part(Case.FORGED, "11"),
    Part(Case.VALID, "50"),
    Part(Case.FOREIGN, "menu", "paper"),
    Part(Case.REPEATED, "44"),
    Part(Case.REVOKED, "6101"),
    Part(Case.VALID, "nhc", "paper"),
    Part(Case.YELLOW, "50"),
    Part(Case.UNKNOWN_ISSUER, counterfeits.STRANGER),
    Part(Case.ALTERED, "44"),
    Part(Case.VALID, "cn"),
    Part(Case.RED, "44"),
    Part(Case.FOREIGN, "wifi"),
    Part(Case.VENUE, "11", "paper"),
    Part(Case.NOT_YET_VALID, "50"),
    Part(Case.SERVER_TOKEN, "cn"),
    Part(Case.LIVE, "50"),
    Part(Case.BROKEN, "6101", "paper"),
    Part(Case.SCREENSHOT, "44"),
)
_ODD: Final = (
    *(part for part in FIRST_ROUND if part.case is not Case.VALID),
    Part(Case.SERVER_TOKEN, "nhc"),
    Part(Case.IDENTITY_ONLY, "nhc"),
    Part(Case.POPUP, "50"),
    Part(Case.RED, "cn", "paper"),
)
_VALID_IN_ROUND: Final = 22
_ODD_IN_ROUND: Final = 11
_REPEATED_AFTER: Final = 3
"""Somebody shows again what was accepted this many people ago: long after the gate forgot the frame."""
_REST_AFTER: Final = 8
"""So many people come before the hall is empty for a while."""


def round_of(number: int, seed: int) -> list[Part]:
    """Return the parts of a round: every case in the first, a usual crowd in the others."""
    rng = random.Random(f"{seed}/round/{number}")
    crowd = list(FIRST_ROUND)
    if number > 0:
        carriers = ("phone", "phone", "paper")
        crowd = [Part(Case.VALID, rng.choice(tuple(PROFILES)), rng.choice(carriers)) for _ in range(_VALID_IN_ROUND)]
        crowd += rng.sample(_ODD, _ODD_IN_ROUND)
        rng.shuffle(crowd)
    return [replace(part, person=invented(rng)) for part in crowd]


@dataclass(frozen=True, slots=True)
class Order:
    """A pass wanted of the authority.

    Attributes:
        issuer: Issuer id.
        person: Whom it is for.
        kind: `person`, `travel` or `venue`.
        status: The issuer's status number of a person's pass.
        starts_s: When it begins to be valid, seconds from now.
        lasts_s: How long it is valid.
        is_revoked: Whether it is to be revoked before it is shown.
        is_live: Whether it is to be bound to a phone.
        holder_key: The phone's public key, hexadecimal; set by who has the phone.
    """

    issuer: str
    person: Person
    kind: str = "person"
    status: int = 0
    starts_s: int = -1800
    lasts_s: int = 12 * 3600
    is_revoked: bool = False
    is_live: bool = False
    holder_key: str = ""


_STATUS: Final = {Case.YELLOW: 1, Case.RED: 10, Case.ALTERED: 10, Case.POPUP: 20, Case.IDENTITY_ONLY: 40}
_TIMES: Final = {Case.EXPIRED: (-50_000, 43_200), Case.NOT_YET_VALID: (7_200, 43_200)}
_ORDERED: Final = frozenset(Case) - {Case.UNKNOWN_ISSUER, Case.REPEATED, Case.SERVER_TOKEN, Case.FOREIGN}


def wanted(part: Part) -> Order | None:
    """Return the genuine pass this part begins with, or None where it needs none."""
    if part.case not in _ORDERED:
        return None
    kind = "venue" if part.case is Case.VENUE else "travel" if part.system == "trip" else "person"
    order = Order(part.system, part.person, kind, _STATUS.get(part.case, 0), is_revoked=part.case is Case.REVOKED)
    order = replace(order, is_live=part.case in SIGNED_BEFORE_S)
    if part.case in _TIMES:
        starts_s, lasts_s = _TIMES[part.case]
        order = replace(order, starts_s=starts_s, lasts_s=lasts_s)
    return order


@dataclass(frozen=True, slots=True)
class Presentation:
    """One person before the camera.

    Attributes:
        showing: What the camera is told.
        part: What it is.
        expected: What the gate must record.
        repeats: Which earlier presentation shows the same code, or None.
    """

    showing: Showing = field(repr=False)
    part: Part
    expected: Expected
    repeats: int | None = None

    @property
    def number(self) -> int:
        """Which presentation, from 0."""
        return self.showing.number

    @property
    def shows(self) -> str:
        """What they show, in words."""
        return f"{self.part.case}, {SYSTEMS[self.part.system].english}, {self.part.carrier}"


@dataclass(frozen=True, slots=True)
class System:
    """How a system's codes look.

    Attributes:
        chinese: Its name.
        english: The same.
        tint: Colour of its app.
    """

    chinese: str
    english: str
    tint: Colour


SYSTEMS: Final[Mapping[str, System]] = {
    "11": System("北京健康宝", "Beijing Health Kit", (150, 96, 24)),
    "44": System("粤康码", "Yuekang Code", (176, 110, 20)),
    "50": System("渝康码", "Yukang Code", (120, 132, 12)),
    "6101": System("西安一码通", "Xi'an One-Code-Pass", (96, 140, 20)),
    "nhc": System("居民电子健康码", "NHC health code", (140, 84, 60)),
    "trip": System("通信行程卡", "Trip card", (60, 150, 40)),
    "cn": System("全国健康信息码", "National platform", (70, 60, 160)),
    "yuekang": System("粤康码", "Yuekang Code", (176, 110, 20)),
    counterfeits.STRANGER: System("通行证", "Unheard-of Pass", (120, 60, 120)),
    "menu": System("扫码点餐", "Noodle shop menu", (50, 50, 60)),
    "wifi": System("Wi-Fi 上网", "Wi-Fi login", (160, 100, 40)),
}

_BLACK: Final[Colour] = (26, 24, 24)
_LINES: Final[Mapping[Case, tuple[str, Colour]]] = {
    Case.IDENTITY_ONLY: ("身份码 Identity", _BLACK),
    Case.POPUP: ("弹窗 Pop-up", _BLACK),
    Case.YELLOW: ("黄码 Yellow", (10, 84, 132)),
    Case.RED: ("红码 Red", (36, 28, 158)),
    Case.VENUE: ("场所码 Venue", _BLACK),
    Case.SERVER_TOKEN: ("动态码 Live", _BLACK),
    Case.FOREIGN: ("", _BLACK),
    Case.SCREENSHOT: ("截图 Screenshot", _BLACK),
}
_GREEN: Final = ("绿码 Green", (44, 104, 12))

_TOKENS: Final[Mapping[tuple[Case, str], Callable[[int, random.Random], bytes]]] = {
    (Case.SERVER_TOKEN, "yuekang"): counterfeits.yuekang_token,
    (Case.SERVER_TOKEN, "nhc"): counterfeits.nhc_token,
    (Case.SERVER_TOKEN, "cn"): counterfeits.national_token,
    (Case.FOREIGN, "menu"): counterfeits.menu,
    (Case.FOREIGN, "wifi"): counterfeits.wifi,
    (Case.UNKNOWN_ISSUER, counterfeits.STRANGER): counterfeits.strange,
}


@dataclass(frozen=True, slots=True)
class Pace:
    """How people follow each other.

    Attributes:
        person_s: From one person to the next, seconds.
        hold_s: How long a code is held still.
        gap_s: How long nobody is there.
        rest_s: How long nobody is there now and then, so that the page comes to rest; 0 for never.
    """

    person_s: float
    hold_s: float
    gap_s: float
    rest_s: float = 0.0


class Programme:
    """Turns parts and their passes into presentations, one after the other.

    Args:
        seed: Who comes in what light follows from it.
        pace: How people follow each other.
    """

    def __init__(self, seed: int, pace: Pace) -> None:
        self._seed = seed
        self._pace = pace
        self._number = 0
        self._accepted: list[tuple[int, Presentation]] = []
        self._rested_at = 0
        self._was_accepted = False

    def presentations(
        self, parts: Sequence[Part], passes: Sequence[bytes | None], now_s: int
    ) -> Iterator[Presentation]:
        """Give the presentations of some parts.

        Args:
            parts: What comes.
            passes: The genuine pass of each part, None where it needs none or there is none: then another case comes.
            now_s: Unix seconds.
        """
        for part, genuine in zip(parts, passes, strict=True):
            found = self._presentation(part, genuine, now_s)
            if found is not None:
                self._number += 1
                self._was_accepted = part.case is Case.VALID
                yield found

    def _presentation(self, part: Part, genuine: bytes | None, now_s: int) -> Presentation | None:
        rng = random.Random(f"{self._seed}/code/{self._number}")
        again = self._to_repeat(part) if part.case is Case.REPEATED else None
        if again is not None:
            showing = replace(again.showing, number=self._number)
            return Presentation(showing, replace(again.part, case=part.case), EXPECTED[part.case], again.number)
        raw = _code(part, genuine, now_s, rng)
        if raw is None:
            return None
        showing = Showing(
            self._number,
            raw,
            part.carrier,
            _face(part),
            _wear(part.carrier, rng),
            light=0.5 if rng.random() < 0.22 else 1.0,  # noqa: PLR2004  # somebody dims the hall for two people of nine
            hold_s=self._pace.hold_s,
            gap_s=self._gap_s(),
        )
        found = Presentation(showing, part, EXPECTED[part.case])
        if part.case is Case.VALID:
            self._accepted.append((self._number, found))
        return found

    def _gap_s(self) -> float:
        # After an accept only: a page keeps the others until somebody has seen to them.
        if not (self._pace.rest_s and self._was_accepted and self._number - self._rested_at >= _REST_AFTER):
            return self._pace.gap_s
        self._rested_at = self._number
        return self._pace.rest_s

    def _to_repeat(self, part: Part) -> Presentation | None:
        """Return what was accepted some people ago, of the same system where somebody had it; each once."""
        ripe = [found for at, found in self._accepted if self._number - at >= _REPEATED_AFTER]
        again = next((found for found in ripe if found.part.system == part.system), ripe[-1] if ripe else None)
        # Later than this the signed repeat window may have closed.
        self._accepted = [(at, found) for at, found in self._accepted if found is not again and self._number - at < 20]  # noqa: PLR2004
        return again


def _code(part: Part, genuine: bytes | None, now_s: int, rng: random.Random) -> bytes | None:
    token = _TOKENS.get((part.case, part.system))
    if token is not None:
        return token(now_s, rng)
    if genuine is None:
        return None
    if part.case is Case.FORGED:
        return counterfeits.forged(genuine, rng)
    if part.case is Case.ALTERED:
        return counterfeits.altered(genuine)
    return counterfeits.broken(genuine, rng) if part.case is Case.BROKEN else genuine


def _face(part: Part) -> Face:
    system = SYSTEMS[part.system]
    line, ink = _LINES.get(part.case, _GREEN)
    if part.system == "trip":
        line = "途经 西安 Xi'an"
    return Face(system.chinese, line, system.tint, ink if part.carrier == "phone" else _BLACK)


def _wear(carrier: str, rng: random.Random) -> Wear:
    defocus = round(rng.uniform(0.3, 1.4), 2)
    if carrier == "paper":
        return Wear(defocus=defocus, creases=round(rng.uniform(0.3, 0.75), 2))
    return Wear(defocus=defocus, moire=round(rng.random(), 2), glare=rng.choice((0.0, 0.0, 0.7, 1.0)))
