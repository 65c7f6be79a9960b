"""Which scans were of one pass: two people of two roles, once, for a while, on record, and no token is told."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from edge.cli.main import edge
from edge.errors import AnswerRefused
from edge.hub import pull, token_queries
from edge.hub.backup import back_up
from edge.hub.client import Client, Query, Source
from edge.hub.desk import Desk
from edge.hub.hub import TOKENS_MS, Hub
from tests.simulators.hub_gates import START_MS, Clock, Device, begin, enrol, fact, post
from tests.simulators.hub_server import Caller, serving

DAY = "2026-11-18"
DAY_MS = 86_400_000
PASS, OTHER, RARE = b"one pass", b"another1", b"a third1"
ASKED = {"day": DAY, "scan": 1, "purpose": "alarm"}


class World:
    """A served hub with two gates, and an operator, another operator, an auditor and a technician.

    Args:
        path: A folder.
        clock: The hub's clock.
        hub: The hub.
        desk: Its desk.
        url: Its address.
    """

    def __init__(self, path: Path, clock: Clock, hub: Hub, desk: Desk, url: str) -> None:
        self.path, self.clock, self.hub, self.desk, self.url = path, clock, hub, desk, url
        self.gates = [Device(1), Device(2)]
        for gate in self.gates:
            enrol(hub, desk, gate, site=f"site {gate.number}")
        self.tokens = {
            name: desk.new_token(role, name=name)
            for name, role in (
                ("li", "operator"),
                ("wu", "operator"),
                ("han", "auditor"),
                ("tan", "technician"),
            )
        }
        self.tokens["li too"] = desk.new_token("auditor", name="li")

    def person(self, name: str) -> Client:
        """Return the hub as somebody asks it."""
        return Client(Source(self.url, self.tokens[name]), sleep=lambda _: None)

    def scan(self, gate: int, at_ms: int, token: bytes | None = PASS) -> None:
        """Let a pass be scanned at a gate."""
        device = self.gates[gate]
        device.append(fact(1, at_ms=at_ms))
        device.entries[-1] = replace(device.entries[-1], token=token)

    def send(self) -> None:
        """Post all there is."""
        for gate in self.gates:
            if gate.entries:
                post(self.hub, gate.batches(2))

    def tidy(self) -> None:
        """Let the hub do what it does by itself every few minutes."""
        with closing(self.hub.store.open_writer()) as connection:
            self.hub._tidy(connection)

    def refusal(self, act: Callable[[], Any]) -> str:
        """Return the code somebody is refused with."""
        with pytest.raises(AnswerRefused) as refused:
            act()
        return next(one.code for one in token_queries.REFUSALS.values() if one.message == refused.value.message)

    def approved(self, question: dict[str, Any] | None = None) -> int:
        """Let one ask and the other approve."""
        number = self.person("li").ask_token(question or ASKED)["id"]
        self.person("han").approve_token(number)
        return int(number)

    def record(self) -> list[tuple[str, str, int]]:
        """Return what is on record of questions, the oldest first."""
        found = [(one["what"], one["role"], one["rows"]) for one in reversed(self.desk.pulls(99))]
        return [one for one in found if one[0].startswith("token query")]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Seven entries of two gates: one pass at both on one day and again the next, another, a third, one without."""
    clock = Clock()
    desk = begin(tmp_path / "hub", clock)
    hub = Hub.open(desk.home.path, clock=clock)
    with serving(hub) as url:
        made = World(tmp_path, clock, hub, desk, url)
        for gate, minutes, token in (
            *((0, 0, PASS), (0, 1, OTHER), (0, 2, PASS), (0, 3, None), (0, 24 * 60, PASS)),
            *((1, 5, PASS), (1, 6, RARE)),
        ):
            made.scan(gate, START_MS + minutes * 60_000, token)
        clock.ms += DAY_MS + 3_600_000
        made.send()
        yield made
    hub.close()


def test_two_people_of_two_roles_learn_which_scans_were_of_one_pass(world: World) -> None:
    """Of that day, at every gate, as a pull has them, by a scan or by the token; nothing else of anybody."""
    by_scan = world.person("li").answer_token(world.approved())
    by_token = world.person("li").answer_token(world.approved({"day": DAY, "token": PASS.hex(), "purpose": "order"}))

    assert [one["hub_seq"] for one in by_scan["scans"]] == [1, 3, 6]
    assert by_scan["scans"] == by_token["scans"]
    assert by_scan["scans"] == [one for one in world.person("han").scans(Query()) if one["hub_seq"] in {1, 3, 6}]
    assert (by_scan["state"], by_scan["found"]) == ("answered", 3)
    assert by_scan["kept_since"] == pull.iso(world.clock.ms)
    for token in (PASS, OTHER, RARE):
        assert token.hex() not in json.dumps([by_scan, by_token, world.person("li").token_queries()])


def test_an_auditor_asks_and_an_operator_approves_just_as_well(world: World) -> None:
    """Two roles, in either order."""
    number = world.person("han").ask_token(ASKED)["id"]
    world.person("wu").approve_token(number)

    assert len(world.person("han").answer_token(number)["scans"]) == 3


def test_the_answer_is_bounded_and_says_how_many_there_were(world: World) -> None:
    """The first two of three."""
    told = world.person("li").answer_token(world.approved(ASKED | {"most": 2}))

    assert ([one["hub_seq"] for one in told["scans"]], told["found"]) == ([1, 3], 3)


def test_one_role_alone_gets_nothing(world: World) -> None:
    """Not by asking, not by approving oneself, not with a second token of the role, not under one name."""
    number = world.person("li").ask_token(ASKED)["id"]

    assert world.refusal(lambda: world.person("li").answer_token(number)) == "not_approved"
    assert world.refusal(lambda: world.person("li").approve_token(number)) == "same_person"
    assert world.refusal(lambda: world.person("li too").approve_token(number)) == "same_person"
    assert world.refusal(lambda: world.person("wu").approve_token(number)) == "same_role"
    assert world.refusal(lambda: world.person("li").answer_token(number)) == "not_approved"


def test_the_answer_goes_to_who_asked(world: World) -> None:
    """Not to who approved it, and not to a third."""
    number = world.approved()

    assert [world.refusal(lambda name=name: world.person(name).answer_token(number)) for name in ("han", "wu")] == [
        "not_yours",
        "not_yours",
    ]


def test_a_technician_asks_nothing(world: World) -> None:
    """Nor does he approve, or read the list."""
    tan = world.person("tan")

    for act in (lambda: tan.ask_token(ASKED), lambda: tan.approve_token(1), lambda: tan.answer_token(1)):
        with pytest.raises(AnswerRefused, match="role"):
            act()
    with pytest.raises(AnswerRefused, match="role"):
        tan.token_queries()


def test_an_answer_is_given_once(world: World) -> None:
    """Neither taken again nor approved again."""
    number = world.approved()
    assert world.refusal(lambda: world.person("han").approve_token(number)) == "approved_already"
    world.person("li").answer_token(number)

    assert world.refusal(lambda: world.person("li").answer_token(number)) == "used"
    assert world.refusal(lambda: world.person("han").approve_token(number)) == "used"


def test_who_is_quicker_has_the_answer(world: World) -> None:
    """Two that looked at the same time: the question is spent in one commit."""
    number = world.approved()
    reader = token_queries.Reader("operator", "0" * 8)
    with world.hub.store.writing() as connection:
        first, second = (token_queries.answer(connection, reader, "", (number, [1]), world.clock()) for _ in range(2))

    assert isinstance(first, dict)
    assert second is token_queries.REFUSALS["used"]


@pytest.mark.parametrize("is_approved", [False, True])
def test_a_question_ends_by_itself(world: World, *, is_approved: bool) -> None:
    """At the millisecond, approved or not."""
    number = world.approved() if is_approved else world.person("li").ask_token(ASKED)["id"]
    world.clock.ms += token_queries.TERM_MS - 1
    assert world.person("li").token_queries()["queries"][0]["state"] == ("approved" if is_approved else "asked")
    world.clock.ms += 1

    assert world.refusal(lambda: world.person("han").approve_token(number)) == "expired"
    assert world.refusal(lambda: world.person("li").answer_token(number)) == "expired"
    assert world.person("li").token_queries()["counts"]["alarm"]["expired"] == 1


def test_of_another_day_nothing_is_told(world: World) -> None:
    """A scan of another day, a day to come, a scan that is none; a token is the next day's no more."""
    for question in (
        ASKED | {"scan": 5},
        ASKED | {"day": "2026-11-19"},
        ASKED | {"scan": 99},
        ASKED | {"day": "2026-12-01"},
    ):
        assert world.refusal(lambda question=question: world.person("li").ask_token(question)) == "wrong_day"
    next_day = world.approved({"day": "2026-11-19", "token": RARE.hex(), "purpose": "fault"})
    assert world.person("li").answer_token(next_day)["found"] == 0


def test_an_entry_without_a_token_is_of_no_pass(world: World) -> None:
    """Its gate had no key."""
    assert world.refusal(lambda: world.person("li").ask_token(ASKED | {"scan": 4})) == "no_token"


@pytest.mark.parametrize("named", [{"scan": 1}, {"scan": None, "token": PASS.hex()}])
def test_after_48_hours_nothing_can_be_asked(world: World, named: dict[str, Any]) -> None:
    """The tokens are destroyed, whoever approves."""
    question = {name: value for name, value in (ASKED | named).items() if value is not None}
    world.clock.ms += TOKENS_MS - token_queries.TERM_MS // 2
    number = world.approved(question)
    world.clock.ms += token_queries.TERM_MS // 2 + 1
    world.tidy()

    assert world.refusal(lambda: world.person("han").ask_token(question)) == "destroyed"
    assert world.refusal(lambda: world.person("li").answer_token(number)) == "destroyed"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b'{"day": "2026-11-18"}',
        b'{"day": "2026-11-18", "purpose": "alarm"}',
        b'{"day": "2026-11-18", "scan": 1, "purpose": "curiosity"}',
        b'{"day": "2026-11-18", "scan": 1, "token": "6f6e652070617373", "purpose": "alarm"}',
        b'{"day": "2026-11-18", "token": "6f6e", "purpose": "alarm"}',
        b'{"day": "2026-11-18", "token": 7, "purpose": "alarm"}',
        b'{"day": "2026-11-18", "scan": true, "purpose": "alarm"}',
        b'{"day": "2026-11-18", "scan": 0, "purpose": "alarm"}',
        b'{"day": "2026-11-18", "scan": 1, "purpose": ["alarm"]}',
        b'{"day": "2026-11-18", "scan": 1, "purpose": "alarm", "most": 501}',
        b'{"day": "2026-11-18", "scan": 1, "purpose": "alarm", "most": true}',
        b'{"day": "2026-11-18", "scan": 1, "purpose": "alarm", "name": "Li"}',
        b'{"day": "yesterday", "scan": 1, "purpose": "alarm"}',
        b'{"day": 20261118, "scan": 1, "purpose": "alarm"}',
        b"[" * 5000,
        b"\xff",
    ],
)
def test_what_is_no_question_is_refused_and_files_nothing(world: World, body: bytes) -> None:
    """With what to send instead."""
    with Caller(world.url) as caller:
        answer = caller.post("/v1/token-queries", body, Authorization=f"Bearer {world.tokens['li']}")

    assert (answer.status, answer.json["code"]) == (400, "bad_request")
    assert world.person("li").token_queries()["queries"] == []


def test_questions_that_wait_are_bounded(world: World) -> None:
    """Until one is answered or ends."""
    for _ in range(token_queries.MOST_OPEN):
        world.person("li").ask_token(ASKED)
    assert world.refusal(lambda: world.person("li").ask_token(ASKED)) == "too_many"
    world.clock.ms += token_queries.TERM_MS

    assert world.person("li").ask_token(ASKED)["state"] == "asked"


def test_every_step_is_on_record_and_counted_by_purpose(world: World) -> None:
    """Also what was refused; by role and name, with how many scans were told."""
    number = world.person("li").ask_token(ASKED)["id"]
    for name in ("li", "wu"):
        world.refusal(lambda name=name: world.person(name).approve_token(number))
    world.person("han").approve_token(number)
    world.person("li").answer_token(number)
    world.refusal(lambda: world.person("li").answer_token(number))
    world.refusal(lambda: world.person("wu").ask_token(ASKED | {"scan": 4, "purpose": "fault"}))
    world.refusal(lambda: world.person("han").approve_token(77))

    assert world.record() == [
        ("token query 1 asked for alarm", "operator", 0),
        ("token query 1 refused: same_person", "operator", 0),
        ("token query 1 refused: same_role", "operator", 0),
        ("token query 1 approved", "auditor", 0),
        ("token query 1", "operator", 3),
        ("token query 1 refused: used", "operator", 0),
        ("token query for fault refused: no_token", "operator", 0),
        ("token query 77 refused: unknown_query", "auditor", 0),
    ]
    counts = world.person("han").token_queries()["counts"]
    assert counts["alarm"] == {"asked": 0, "approved": 0, "answered": 1, "expired": 0, "scans": 3, "refused": 3}
    assert {sum(sums.values()) for purpose, sums in counts.items() if purpose != "alarm"} == {0}


def test_a_token_that_was_named_stays_no_longer_than_its_question(world: World) -> None:
    """Gone with the answer, with the end, and never in a backup."""
    by_token = {"day": DAY, "token": OTHER.hex(), "purpose": "dispute"}
    answered, waiting = world.approved(by_token), world.approved(by_token)
    world.person("li").answer_token(answered)
    back_up(world.desk.home, world.path / "backup.db", lambda *_: None, world.clock())
    kept = [_token(world, number) for number in (answered, waiting)]
    world.clock.ms += token_queries.TERM_MS
    world.tidy()

    assert (kept, _token(world, waiting)) == ([None, OTHER], None)
    assert OTHER not in (world.path / "backup.db").read_bytes()


def _token(world: World, number: int) -> bytes | None:
    with world.hub.store.reader() as connection:
        found = connection.execute("SELECT token FROM token_queries WHERE id = ?", (number,)).fetchone()
    return None if found[0] is None else bytes(found[0])


def test_a_batch_whose_private_part_is_damaged_hides_no_other(world: World) -> None:
    """What cannot be read is passed over."""
    with world.hub.store.writing() as connection:
        connection.execute("UPDATE private SET part = x'00ff' WHERE batch = 2")

    assert [one["hub_seq"] for one in world.person("li").answer_token(world.approved())["scans"]] == [1, 6]


def run(world: World, name: str, *words: str, stdin: str = "") -> Result:
    """Run a command as somebody."""
    file = world.path / name.replace(" ", "-")
    file.write_text(world.tokens[name])
    where = ("--hub", world.url, "--token-file", str(file))
    return CliRunner().invoke(edge, ["hub", "token-query", *words, *where], input=stdin)


def test_the_commands_ask_approve_answer_and_list(world: World) -> None:
    """The token comes by standard input; scans go to standard output, a line each."""
    asked = run(world, "li", "ask", DAY, "--token-stdin", "--purpose", "alarm", stdin=f"{PASS.hex()}\n")
    number = re.findall(r"Question (\d+)", asked.output)[0]
    refused = run(world, "li", "answer", number)
    approved = run(world, "han", "approve", number)
    answered = run(world, "li", "answer", number)
    listed = run(world, "han", "list")

    assert (asked.exit_code, refused.exit_code, approved.exit_code, answered.exit_code) == (0, 1, 0, 0)
    assert [json.loads(line)["hub_seq"] for line in answered.stdout.splitlines()] == [1, 3, 6]
    assert "3 of 3 scans" in answered.stderr
    assert re.search(r"alarm +0 +0 +1 +0 +3 +1", listed.output)
    assert PASS.hex() not in asked.output + approved.output + listed.output


@pytest.mark.parametrize("words", [("--purpose", "alarm"), ("--scan", "1", "--token-stdin", "--purpose", "alarm")])
def test_the_command_wants_one_way_to_name_the_pass(world: World, words: tuple[str, ...]) -> None:
    """Neither none nor two."""
    assert run(world, "li", "ask", DAY, *words).exit_code == 2


def test_the_purposes_of_the_command_are_those_of_the_hub() -> None:
    """The command line does not import the hub to say them."""
    from edge.cli import hub_query

    assert hub_query._PURPOSES == token_queries.PURPOSES
