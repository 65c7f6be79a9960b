"""What the log's files do not hold: searched for byte by byte, write-ahead log included (docs/privacy.md)."""

from collections.abc import Sequence
from pathlib import Path

from edge.codec import cbor
from edge.gate.clock import Clock
from edge.gate.line import Line, Trusted
from edge.gate.sightings import Memory
from edge.ledger.tokens import DayKey, day_of
from edge.model.credential import PassKind, TravelClaims
from edge.model.moment import Moment
from edge.model.scan import Entry
from edge.model.symbol import Symbol
from edge.model.trust import TrustSnapshot
from edge.scanlog.log import ScanLog
from edge.scanlog.reader import ScanLogReader
from tests.simulators import world
from tests.simulators.ledger import EPOCH

PSEUDONYM, TAG = b"\xc5\x91\x7e\x33\xa8\x4d", b"\x9d\xe2\x71"
INDEX = 779
PLANTED = world.person(
    pseudonym=PSEUDONYM, index=INDEX, tag=TAG, surname="欧阳", name="欧阳*雪", id_tail="739X", birth_year=1977
)


class Fixed(Clock):
    """A clock that a test sets."""

    def __init__(self, moment: Moment) -> None:
        super().__init__()
        self.now = moment

    def moment(self, trust: TrustSnapshot | None) -> Moment:
        """Return what was set."""
        return self.now


def shown(folder: Path, moment: Moment, codes: Sequence[bytes]) -> tuple[list[Entry], bytes]:
    """Present codes to a gate and return its entries and every byte of the log's files while it still runs."""
    log = ScanLog.open(folder / "scans.db", epoch=EPOCH)
    key = DayKey(day_of(world.NOW * 1000), b"\x05" * 32)
    line = Line(
        formats=world.FORMATS,
        place=world.PLACE,
        log=log,
        memory=Memory((key,), folder, window_s=300),
        trusted=Trusted(world.TRUST),
        clock=Fixed(moment),
        publish=lambda _: None,
    )
    line.present([Symbol(code) for code in codes])
    line.end()
    held = b"".join(file.read_bytes() for file in folder.glob("scans.db*"))
    log.close()
    return ScanLogReader(folder / "scans.db").latest(100)[::-1], held


def test_no_byte_of_the_log_is_personal(tmp_path: Path) -> None:
    """Not the code, the signed bytes, the signature, the pseudonym, the names, the numbers or the times of a pass."""
    travel = TravelClaims(14, PSEUDONYM, INDEX, (440106, 610100), TAG)
    issued, expires = world.ISSUED + 77, world.EXPIRES - 99
    codes = [
        world.make_pass(PLANTED, validity=(issued, expires)),
        world.make_pass(world.person(status=10, pseudonym=PSEUDONYM, index=INDEX, tag=TAG, surname="欧阳")),
        world.make_pass(travel, PassKind.TRAVEL, validity=(issued, expires)),
        world.make_pass(PLANTED, issuer="99"),
        b"https://example.invalid/?id=11010119770101739X",
        b"WIFI:T:WPA;S:home;P:secret-word;;",
        b"Y:1795000000:8a6f2c99d1e0475b",
    ]

    entries, held = shown(tmp_path, world.at(world.NOW), codes)

    parsed = [format_.parse(code) for code in codes[:3] for format_ in world.FORMATS[:1]]
    planted = {f"code {number}": code for number, code in enumerate(codes)}
    planted |= {f"part of code {number}": code[len(code) // 3 :][:12] for number, code in enumerate(codes)}
    planted |= {f"signed bytes {n}": credential.signed[-24:] for n, credential in enumerate(parsed)}
    planted |= {f"signature {n}": credential.signature[:8] for n, credential in enumerate(parsed)}
    planted |= {"pseudonym": PSEUDONYM, "tag": TAG, "surname": "欧阳".encode(), "name": "欧阳*雪".encode()}
    planted |= {"id tail": b"739X", "issued": issued.to_bytes(4, "big"), "expires": expires.to_bytes(4, "big")}
    assert len(entries) == len(codes)
    assert [what for what, value in planted.items() if value in held] == []
    stated = [number for entry in entries for number in cbor.decode(entry.body).values() if isinstance(number, int)]
    assert not {INDEX, 1977, issued, expires} & set(stated)


def test_the_search_finds_what_is_there(tmp_path: Path) -> None:
    """The test above would see a value that was stored: the token is found."""
    (entry,), held = shown(tmp_path, world.at(world.NOW), [world.make_pass(PLANTED)])

    assert entry.token is not None
    assert entry.token in held
    assert entry.body in held


def test_two_people_of_equal_status_leave_equal_facts(tmp_path: Path) -> None:
    """Nothing that is chained tells one holder from another: only the token does, and it goes."""
    codes = [world.make_pass(PLANTED), world.make_pass(world.person(pseudonym=b"other!", index=8, surname="王"))]

    entries, _ = shown(tmp_path, world.at(world.NOW), codes)

    assert entries[0].body == entries[1].body
    assert entries[0].token != entries[1].token


def test_two_days_of_one_pass_cannot_be_joined(tmp_path: Path) -> None:
    """The same pass at the same gate: the same token on one day, another on the next, and no other trace of it."""
    code = world.make_pass(PLANTED, validity=(world.ISSUED, world.ISSUED + 10 * world.DAY))
    days = []
    for number, after_s in enumerate((0, 3600, world.DAY, 2 * world.DAY)):
        folder = tmp_path / str(number)
        folder.mkdir()
        (entry,), _ = shown(folder, world.at(world.NOW + after_s), [code])
        days.append(entry.token)

    assert days[0] == days[1]
    assert len({*days}) == 3
    assert None not in days
