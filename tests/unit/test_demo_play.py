"""The demo's run of people: its timetable, its outage, its supply of passes, its table and its summary."""

import io
import json
import queue
import socket
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from edge.authority import requests
from edge.demo.blackout import Blackout, Times
from edge.demo.comparison import Comparison, Mismatch
from edge.demo.display import Judged, Lines, LiveTable, Row, Standing
from edge.demo.people import FIRST_ROUND, Order, Pace, Person, Programme, round_of, wanted
from edge.demo.phone import Phone
from edge.demo.play import Cast, Play
from edge.demo.processes import Processes, Service
from edge.demo.run import Options, run
from edge.demo.station import Places, Ports, choose_ports
from edge.demo.summary import Result, write
from edge.demo.supply import Issuing, Supply, request
from edge.demo.timetable import Outages, outages, pace
from edge.demo.watch import Link, Page, link_of
from edge.errors import SetupError
from edge.gate.config import load_settings
from edge.model.credential import PassKind
from tests.simulators import world

NOW_MS = world.NOW * 1000
WHO = Person("张", "张*伟", 1988, "3416")


@pytest.mark.parametrize("seconds", [40, 45, 60, 90, 3600])
def test_first_round_fits_into_a_run(seconds: float) -> None:
    """Every kind of case comes within forty seconds, and nobody hurries more than needed."""
    found = pace(seconds)

    assert int(seconds / found.person_s) >= len(FIRST_ROUND)
    assert 1.6 <= found.person_s <= 2.2
    assert found.hold_s > 0.6


def test_endless_run_has_the_usual_pace() -> None:
    """About a second of holding still for each person."""
    assert pace(None) == Pace(2.2, pytest.approx(1.2), 0.1, 7.0)


def test_outage_lies_in_the_middle_of_a_run() -> None:
    """A quarter of the run, with as much before as after."""
    found = outages(60, None)

    assert found == Outages(22.5, 15.0)
    assert [found.is_down(at) for at in (-1, 0, 22, 23, 37, 38, 100)] == [False, False, False, True, True, False, False]


def test_endless_run_has_outages_again_and_again() -> None:
    """Twenty seconds of every two minutes."""
    found = outages(None, None)

    assert [found.is_down(at) for at in (59, 61, 79, 81, 179, 181, 199, 201)] == [False, True, True, False] * 2


def test_outage_can_be_left_out() -> None:
    """No seconds offline means none."""
    assert not any(outages(60, 0).is_down(at) for at in range(60))


class Centre:
    """A hub and an authority that remember what was done to them."""

    def __init__(self) -> None:
        self.central: list[Service] = []
        self.done: list[str] = []
        self.is_central_answering = False

    def kill_central(self) -> None:
        self.done.append("kill")

    def start_central(self) -> None:
        self.done.append("start")


def test_blackout_kills_once_and_revives_once() -> None:
    """However often it is asked; it is over when both answer."""
    centre = Centre()
    blackout = Blackout(centre, Outages(10, 5))
    dead = []
    for at_s, is_answering in ((-1, True), (9, True), (10, False), (14, False), (15, False), (16, False), (17, True)):
        centre.is_central_answering = is_answering
        blackout.keep_time(at_s)
        dead.append(blackout.is_dead)

    assert centre.done == ["kill", "start"]
    assert dead == [False, False, True, True, True, True, False]
    assert blackout.times.offline_s > 0


def test_blackout_notes_when_the_gate_noticed() -> None:
    """One figure for each way; a link that was offline before does not count."""
    centre = Centre()
    blackout = Blackout(centre, Outages(10, 5))
    blackout.see(Link("offline"))
    blackout.see(Link("online"))
    blackout.keep_time(10)
    for state in ("online", "offline", "offline"):
        blackout.see(Link(state))
    blackout.keep_time(15)
    blackout.see(Link("online"))

    assert len(blackout.times.noticed_s) == len(blackout.times.resumed_s) == 1


def test_supply_orders_what_the_authority_takes() -> None:
    """Every order of many rounds is a request that `edge authority issue` reads, with nothing left out."""
    parts = [part for number in range(6) for part in round_of(number, 1)]
    orders = [order for order in map(wanted, parts) if order is not None]
    for number, order in enumerate(orders):
        line = json.dumps(request(order, number, world.NOW))
        found = requests.request(requests.parse(line), world.NOW)
        assert (found.issuer, found.kind.name.lower(), found.status) == (order.issuer, order.kind, order.status)
        assert (found.issued_at, found.valid_s) == (world.NOW + order.starts_s, order.lasts_s)
        assert found.kind is not PassKind.PERSON or (found.surname, found.name) == (
            order.person.surname,
            order.person.name,
        )


PHONE = Phone(world.HOLDER)


class Desk(Issuing):
    """Issues at once, without an authority."""

    def __init__(self) -> None:
        self.published = 0
        self.fails = False
        self._drawn = 100

    def issue(self, orders: Sequence[Order], now_s: int) -> list[bytes]:
        if self.fails:
            raise SetupError("no room")
        made = []
        for order in orders:
            self._drawn += 1
            claims = world.person(index=self._drawn, status=order.status)
            holder = world.HOLDER if order.is_live else None
            assert order.holder_key == (PHONE.public if order.is_live else "")
            made.append(world.make_pass(claims, validity=(now_s - 60, now_s + 3600), holder=holder))
        return made

    def publish(self) -> None:
        self.published += 1


def supply(desk: Desk, now_ms: int = NOW_MS) -> Supply:
    return Supply(desk, Programme(1, pace(None)), 1, lambda: now_ms, PHONE)


def worked(one: Supply) -> None:
    one.refill()
    if one._worker is not None:
        one._worker.join()


def test_supply_makes_more_in_time_and_publishes_once() -> None:
    """Few are left: four rounds are made at once; while they wait for the gate no more are."""
    desk = Desk()
    one = supply(desk)
    one.open()
    worked(one)
    worked(one)

    assert desk.published == 1
    assert len(one._ripening) == 1


def test_revoked_passes_come_only_when_the_gate_has_heard_of_them() -> None:
    """A batch whose revocations the gate has not refreshed yet comes late and without them."""
    one = supply(Desk())
    one.open()
    worked(one)
    first = [one.next(0) for _ in range(len(FIRST_ROUND))]
    later = [one.next(0) for _ in range(100)]

    assert None not in first
    assert {shown.part.case for shown in first if shown is not None} >= {"revoked"}
    assert "revoked" not in {shown.part.case for shown in later if shown is not None}


def test_supply_says_what_failed() -> None:
    """A failure in the background ends the demo with its sentence, not silently with an empty hall."""
    desk = Desk()
    one = supply(desk)
    one.open()
    desk.fails = True
    worked(one)

    with pytest.raises(SetupError, match="no room"):
        one.next(0)


class Camera:
    """A camera that shows everybody for two seconds of its own time."""

    def __init__(self) -> None:
        self.events: queue.Queue[dict[str, Any]] = queue.Queue()
        self.outstanding = 0
        self.at_ms = NOW_MS
        self.asked: list[Any] = []
        self.is_enough = False

    def send_away(self) -> None:
        self.is_enough = True

    def show(self, presentation: Any) -> None:
        self.outstanding += 1
        self.asked.append(presentation)
        number = presentation.number
        self.events.put({"is": "first", "number": number, "wall_ms": self.at_ms})
        self.events.put({"is": "last", "number": number, "wall_ms": self.at_ms + 2000})
        self.at_ms += 2200


class Page_:  # noqa: N801  # the display of the play
    def __init__(self) -> None:
        self.said: list[str] = []
        self.rows: list[Row] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def row(self, row: Row) -> None:
        if row not in self.rows:
            self.rows.append(row)

    def standing(self, standing: Standing) -> None:
        pass


def play(camera: Camera, display: Page_, most: int | None) -> Play:
    one = supply(Desk())
    one.open()
    cast = Cast(camera, one, Blackout(Centre(), Outages(0, 0)), lambda: Link("online", 2, 0), list, display)  # type: ignore[arg-type]
    return Play(cast, most)


def verdict(at_ms: int, outcome: str = "accept", reason: str = "ok") -> dict[str, Any]:
    return {"type": "verdict", "at_ms": at_ms, "outcome": outcome, "reason": reason, "took_ms": 31.2}


def test_play_shows_as_many_as_were_asked_for_and_joins_their_answers() -> None:
    """Presentations and verdicts meet by their times, in whichever order they arrive."""
    camera, display = Camera(), Page_()
    one = play(camera, display, most=2)
    one.events.put(verdict(NOW_MS + 700))
    one.run(threading.Event())

    assert [shown.number for shown in one.shown] == [0, 1]
    assert [shown.last_ms - shown.first_ms for shown in one.shown] == [2000, 2000]
    assert (one.took_ms, one.first_green_s is not None) == ([31.2], True)
    assert (display.rows[0].recorded, display.rows[0].judged, display.rows[0].backlog) == (
        "accept ok",
        Judged.RIGHT,
        2,
    )
    assert display.rows[1].recorded == ""


def test_play_tells_of_a_verdict_that_belongs_to_nobody() -> None:
    """It is said at once and counted in the comparison later."""
    camera, display = Camera(), Page_()
    one = play(camera, display, most=1)
    one.events.put(verdict(NOW_MS - 60_000, "reject", "health.red"))
    one.run(threading.Event())

    assert display.said == ["A verdict nobody expected: reject health.red"]


def test_play_ends_when_it_is_told_to() -> None:
    """Nobody more is shown, and those who wait are sent away."""
    stop = threading.Event()
    stop.set()
    camera = Camera()
    camera.outstanding = 1
    camera.events.put({"is": "dropped", "number": 0})
    play(camera, Page_(), most=None).run(stop)

    assert camera.asked == []
    assert camera.is_enough


def test_page_is_ready_when_the_gate_admits() -> None:
    """A gate without trust or frames is waited for."""
    page = Page()
    page.take({"type": "snapshot", "state": {"type": "state", "connected": True, "admitting": False}})
    assert not page.is_ready
    page.take({"type": "state", "connected": True, "admitting": True})

    assert page.is_ready


@pytest.mark.parametrize("content", [None, "", "[]", '{"link": "online"}', '{"link": "online", "backlog": "many"}'])
def test_link_that_cannot_be_read_is_none(tmp_path: Path, content: str | None) -> None:
    """The file is replaced while it is read, or is not there yet."""
    if content is not None:
        (tmp_path / "link.json").write_text(content)

    assert link_of(tmp_path) == Link()


def test_taken_ports_are_replaced() -> None:
    """The demo starts beside whatever else runs on the machine, and its three ports differ."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = choose_ports(Ports(port, port, 0))

    assert len({port, found.page, found.hub, found.authority}) == 4
    assert 0 not in (found.page, found.hub, found.authority)


def test_settings_of_the_gate_are_an_ordinary_gates(tmp_path: Path) -> None:
    """The gate's own strict reader takes them, and nothing in them speaks of a demo."""
    places = Places(tmp_path, Ports(8080, 8090, 8091))
    places.config.write_text(places.settings("http://127.0.0.1:5/stream.mjpg"))
    settings = load_settings(places.config)

    assert settings.scanner.sources == ("url:http://127.0.0.1:5/stream.mjpg",)
    assert Path(settings.state) == places.state
    assert "demo" not in places.config.read_text()


RIGHT = Comparison(20, (), (), 20, 20, (), ())
TIMES = Times(15.2, [3.1], [2.0])


def result(comparison: Comparison) -> Result:
    return Result(comparison, TIMES, [10.0, 30.0], 9.5, 60.0, 1)


@pytest.mark.parametrize(
    ("comparison", "is_right"),
    [
        (RIGHT, True),
        (Comparison(20, ("one",), (), 19, 19, (), ()), True),
        (Comparison(20, ("one", "two"), (), 18, 18, (), ()), False),
        (Comparison(20, (), (Mismatch("a", "b", "c", 1),), 20, 20, (), ()), False),
        (Comparison(20, (), (), 20, 19, (20,), ()), False),
        (Comparison(20, (), (), 20, 20, (), (3,)), False),
        (Comparison(20, (), (), 20, 20, (), (), (3,)), False),
        (Comparison(0, (), (), 0, 0, (), ()), False),
    ],
)
def test_result_is_right_only_where_everything_adds_up(
    comparison: Comparison,
    is_right: bool,  # noqa: FBT001  # a parameter of the table above
) -> None:
    """A wrong verdict, a lost, doubled or altered entry, one in ten unread, or nobody at all: not right."""
    found = result(comparison)

    assert found.is_right == is_right
    assert ("does NOT add up" in found.words()[-1]) != is_right


def test_summary_has_what_a_script_reads(tmp_path: Path) -> None:
    """The names are fixed: other tools read them."""
    found = json.loads(write(result(RIGHT), tmp_path / "out").read_text())

    assert {name: found[name] for name in ("presented", "decoded", "verdict_mismatches", "logged", "on_hub")} == {
        "presented": 20,
        "decoded": 20,
        "verdict_mismatches": 0,
        "logged": 20,
        "on_hub": 20,
    }
    assert (found["lost"], found["duplicated"], found["offline_seconds"]) == (0, 0, 15.2)
    assert found["frame_to_verdict_ms"] == {"p50": 10.0, "p95": 30.0}
    assert found["versions"]["zxing-cpp"]


def row(recorded: str) -> Row:
    return Row(3, NOW_MS, "张*伟", "red, Yuekang Code, phone", "reject health.red", recorded, 31.4, "offline", 7)


def test_table_shows_each_presentation_once() -> None:
    """A row changes in place when its answer comes; a wrong one cannot be overlooked."""
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=140, height=30, color_system=None)
    with LiveTable(console, ["Gate page  http://127.0.0.1:8080/"]) as table:
        shown = row("")
        table.row(shown)
        shown.recorded = "accept ok"
        table.row(shown)
        table.standing(Standing("offline", 7, is_dead=True))
        console.print(table._render())
    last = out.getvalue()

    assert "WRONG" in last
    assert "DEAD" in last
    assert len(table._rows) == 1


@pytest.mark.parametrize(
    ("is_repeat", "recorded", "judged"),
    [
        (True, "", Judged.WAITING),
        (True, "refer repeat.recent", Judged.RIGHT),
        (True, "accept ok", Judged.OPEN),
        (True, "reject health.red", Judged.WRONG),
        (False, "accept ok", Judged.WRONG),
    ],
)
def test_accept_of_a_code_shown_again_is_left_to_the_log(is_repeat: bool, recorded: str, judged: Judged) -> None:  # noqa: FBT001
    """Its first green may have come too late and been taken back: the table marks it, and calls nothing else open."""
    out = io.StringIO()
    one = Row(4, NOW_MS, "张*伟", "again", "refer repeat.recent", recorded, is_repeat=is_repeat)
    Lines(Console(file=out, width=200)).row(one)

    assert one.judged is judged
    assert str(judged) in out.getvalue()
    assert ("WRONG" in out.getvalue()) is (judged is Judged.WRONG)


def test_lines_tell_answers_and_changes() -> None:
    """Without a terminal: a line for each answer, and one whenever hub, authority or link change."""
    out = io.StringIO()
    lines = Lines(Console(file=out, width=200))
    for standing in (Standing("online"), Standing("online", 1), Standing("offline", 2, is_dead=True)):
        lines.standing(standing)
    lines.row(row(""))
    lines.row(row("reject health.red"))
    said = out.getvalue().splitlines()

    assert [line.split(";")[0] for line in said[:2]] == [
        "-- hub and authority run",
        "-- hub and authority are DEAD (killed), the gate goes on",
    ]
    assert " ok " in said[2]
    assert "31 ms" in said[2]


def test_issuing_names_its_failure(tmp_path: Path) -> None:
    """A folder that is no authority is named by the authority's own command."""
    processes = Processes(tmp_path / "demo", is_kept=True)
    try:
        with pytest.raises(SetupError, match="holds no authority"):
            Issuing(processes, tmp_path / "nothing", tmp_path).issue([Order("44", WHO)], world.NOW)
    finally:
        processes.close()


def test_folder_with_too_long_a_path_is_refused_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gate could not make its socket there; the sentence says what to set, and the folder is gone."""
    long = tmp_path / ("x" * 90)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    with pytest.raises(SetupError, match="too long for a socket"):
        run(Options(seconds=5))

    assert list(long.iterdir()) == []
