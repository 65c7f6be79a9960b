"""Invitations, enrolment, heartbeats and retirement at the hub."""

import json
import stat
from pathlib import Path

import pytest

from edge.errors import ConfigError, EnrolmentError, LogDamaged, SetupError
from edge.hub import folder
from edge.hub.declined import Declined
from edge.hub.desk import Desk
from edge.hub.folder import HubConfig, TokenSeed
from edge.hub.hub import Hub
from edge.hub.roster import AGAIN_MS, Place
from edge.ledger import device, enrolment, timecode, tokens
from edge.ledger.enrolment import EnrolmentAnswer, Watermark
from tests.simulators.hub_gates import ROOT, START_MS, Clock, Device, begin, enrol, post

HOUR_MS = 3_600_000


def invited(desk: Desk, hours: float = 24) -> str:
    """Return the code of a fresh invitation."""
    return desk.invite(Place("北站", "3", 610100), hours).code


def answered(hub: Hub, request: bytes) -> EnrolmentAnswer:
    """Return the hub's answer to a request, verified."""
    answer = hub.enrol(request)
    assert isinstance(answer, bytes)
    return enrolment.open_answer(answer, hub.home.public)


def refused(answer: bytes | Declined) -> tuple[int, str]:
    """Return status and code of a refusal."""
    assert isinstance(answer, Declined)
    return answer.status, answer.code


def marked(hub: Hub, beat: bytes) -> Watermark:
    """Return the hub's answer to a heartbeat, verified."""
    answer = hub.heartbeat(beat)
    assert isinstance(answer, bytes)
    return enrolment.open_watermark(answer, {device.key_id(hub.home.public).hex(): hub.home.public})


def kinds(desk: Desk) -> list[str]:
    """Return the kinds of open incidents."""
    return [one.kind for one in desk.incidents(100, is_open=True)]


def state(desk: Desk) -> str:
    """Return the state of the only gate."""
    return desk.gates()[0].state


# Invitation and enrolment


def test_an_invitation_says_what_a_gate_needs(desk: Desk) -> None:
    """Address and key of the hub, the place and an end."""
    found = enrolment.open_invitation(invited(desk, 2).encode())

    assert (found.hub_url, found.hub_key) == ("http://127.0.0.1:8090", desk.home.public)
    assert (found.site, found.lane, found.region) == ("北站", "3", 610100)
    assert found.expires_at - found.issued_at == 7200


def test_an_invited_gate_gets_everything_it_needs(hub: Hub, desk: Desk) -> None:
    """Place, trust root, receipt key, and a token seed that only it can open."""
    gate = Device()

    answer = answered(hub, gate.request(invited(desk)))

    assert (answer.gate, answer.site, answer.lane, answer.region) == (gate.gate, "北站", "3", 610100)
    assert (answer.root, answer.trust_url) == (ROOT, "http://127.0.0.1:8091")
    assert (answer.hub_keys, answer.heartbeat_s, answer.at_ms) == ((hub.home.public,), 30, START_MS)
    assert tokens.day_of(START_MS) == enrolment.unseal_seed(answer.sealed_seed, gate.key).day


def test_gates_of_one_day_share_the_token_key(hub: Hub, desk: Desk, clock: Clock) -> None:
    """Later gates get the key ratcheted forward to their day, and the hub no longer knows the earlier one."""
    first, second, third = Device(1), Device(2), Device(3)
    key = enrolment.unseal_seed(answered(hub, first.request(invited(desk))).sealed_seed, first.key)
    same = enrolment.unseal_seed(answered(hub, second.request(invited(desk))).sealed_seed, second.key)
    clock.ms += 3 * tokens.DAY_MS

    later = enrolment.unseal_seed(answered(hub, third.request(invited(desk))).sealed_seed, third.key)

    assert key == same
    assert tokens.advance(key, key.day + 3) == later
    assert later == TokenSeed(desk.home.path).of_day(key.day)


def test_an_invitation_works_once(hub: Hub, desk: Desk) -> None:
    """A second gate with the same code is refused, and operations hear of it."""
    code = invited(desk)
    answered(hub, Device(1).request(code))

    assert refused(hub.enrol(Device(2).request(code))) == (409, "used")
    assert kinds(desk) == ["invitation_reused"]
    assert len(desk.gates()) == 1


def test_a_gate_whose_answer_was_lost_may_ask_again(hub: Hub, desk: Desk, clock: Clock) -> None:
    """The same key with the same code within minutes gets the same answer, and no incident."""
    code, gate = invited(desk), Device()
    first = answered(hub, gate.request(code))
    clock.ms += AGAIN_MS

    again = answered(hub, gate.request(code))

    assert (first.gate, first.site, first.root) == (again.gate, again.site, again.root)
    assert kinds(desk) == []


def test_asking_again_later_is_a_second_use(hub: Hub, desk: Desk, clock: Clock) -> None:
    """After some minutes the code is spent, for its own gate too."""
    code, gate = invited(desk), Device()
    answered(hub, gate.request(code))
    clock.ms += AGAIN_MS + 1

    assert refused(hub.enrol(gate.request(code))) == (409, "used")


def test_many_keys_with_one_copied_code_are_one_incident(hub: Hub, desk: Desk) -> None:
    """Somebody with a copy of the code cannot fill the list of incidents."""
    code = invited(desk)
    answered(hub, Device(1).request(code))

    for number in range(2, 30):
        hub.enrol(Device(number).request(code))

    (told,) = desk.incidents(100, is_open=True)
    assert told.count == 28


def test_an_expired_invitation_is_refused(hub: Hub, desk: Desk, clock: Clock) -> None:
    """It ends on the hub's clock, whatever the gate's says."""
    code = invited(desk, 1)
    clock.ms += HOUR_MS

    assert refused(hub.enrol(Device().request(code))) == (403, "expired")


def test_an_invitation_of_another_hub_is_refused(hub: Hub, tmp_path: Path, clock: Clock) -> None:
    """Its token is not one of ours."""
    other = begin(tmp_path / "other", clock)

    assert refused(hub.enrol(Device().request(invited(other)))) == (403, "unknown")


@pytest.mark.parametrize("junk", [b"", b"\x00", b"<html>", b"\x84" * 50])
def test_junk_is_no_request(hub: Hub, junk: bytes) -> None:
    """It is refused before anything is looked up."""
    assert refused(hub.enrol(junk)) == (400, "malformed")


def test_every_edited_byte_of_a_request_is_refused(hub: Hub, desk: Desk) -> None:
    """No one-byte change of a request is answered, and none uses up the invitation."""
    request = Device().request(invited(desk))

    for at in range(len(request)):
        edited = request[:at] + bytes([request[at] ^ 1]) + request[at + 1 :]
        assert isinstance(hub.enrol(edited), Declined)

    assert desk.gates() == ()
    answered(hub, request)


def test_a_weak_device_key_is_refused(hub: Hub, desk: Desk) -> None:
    """A point of small order signs anything."""
    code = invited(desk)
    token = enrolment.open_invitation(code.encode()).token
    asked = enrolment.EnrolmentRequest(token, bytes(32), START_MS)
    forged = enrolment.make_request(asked, Device().key)

    assert refused(hub.enrol(forged)) == (400, "malformed")


def test_a_known_device_at_a_new_place_goes_on(hub: Hub, desk: Desk, gate: Device) -> None:
    """Its log goes on; what it sent from the old place stays there."""
    gate.scan(4)
    post(hub, [gate.batch(1, 2)])
    enrol(hub, desk, gate, site="South", lane="9")
    post(hub, [gate.batch(3, 4)])

    hub.settle()
    with hub.store.reader() as connection:
        rows = connection.execute(
            "SELECT seq, site FROM scans JOIN places ON places.id = place ORDER BY hub_seq"
        ).fetchall()
    assert rows == [(1, "North"), (2, "North"), (3, "South"), (4, "South")]
    assert len(desk.gates()) == 1


def test_a_retired_gate_comes_back_with_a_new_invitation(hub: Hub, desk: Desk, gate: Device) -> None:
    """And only so."""
    desk.retire(gate.gate.hex())
    assert refused(hub.heartbeat(gate.heartbeat(START_MS))) == (403, "unknown_gate")

    enrol(hub, desk, gate)

    assert isinstance(hub.heartbeat(gate.heartbeat(START_MS)), bytes)


def test_a_token_seed_that_is_gone_uses_up_no_invitation(hub: Hub, desk: Desk) -> None:
    """What cannot be answered is refused before the code is spent."""
    code, gate = invited(desk), Device()
    seed = desk.home.path / folder.SEED
    kept = seed.read_bytes()
    seed.unlink()
    with pytest.raises(ConfigError, match="token seed"):
        hub.enrol(gate.request(code))

    seed.write_bytes(kept)

    answered(hub, gate.request(code))


# Heartbeats


def test_a_heartbeat_is_answered_with_what_is_held(hub: Hub, gate: Device) -> None:
    """Last entry, head, the hub's time and the next interval, signed."""
    gate.scan(5)
    post(hub, [gate.batch(1, 3)])

    found = marked(hub, gate.heartbeat(START_MS))

    assert (found.gate, found.epoch, found.last, found.head) == (gate.gate, gate.epoch, 3, gate.head(3))
    assert (found.at_ms, found.heartbeat_s, found.slot_s) == (START_MS, 30, 0)


def test_a_heartbeat_of_an_unknown_log_is_answered_with_nothing_held(hub: Hub, gate: Device) -> None:
    """Zero, and the head before the first entry."""
    found = marked(hub, gate.heartbeat(START_MS))

    assert (0, bytes(32)) == (found.last, found.head)


def test_a_heartbeat_fills_the_fleet(hub: Hub, desk: Desk, gate: Device, clock: Clock) -> None:
    """Backlog, trust version and age, and how far the clock is off."""
    gate.scan(5)
    post(hub, [gate.batch(1, 3)])
    marked(hub, gate.heartbeat(START_MS + 1500, trust_version=7, trust_age_s=60, clock="synced"))
    clock.pass_s(20)

    (found,) = desk.gates()

    assert (
        found.state,
        found.backlog,
        found.held,
        found.trust_version,
        found.trust_age_s,
        found.offset_ms,
    ) == ("online", 2, 3, 7, 80, 1500)


@pytest.mark.parametrize(("after_s", "expected"), [(0, "online"), (90, "online"), (91, "silent"), (9e6, "silent")])
def test_a_gate_is_silent_after_ninety_seconds(
    hub: Hub, desk: Desk, gate: Device, clock: Clock, after_s: float, expected: str
) -> None:
    """Three heartbeats missed, not earlier."""
    marked(hub, gate.heartbeat(START_MS))

    clock.pass_s(after_s)

    assert expected == state(desk)


@pytest.mark.parametrize(
    ("offset_ms", "health", "expected"),
    [
        (0, {}, "online"),
        (30_001, {}, "clock"),
        (-30_001, {}, "clock"),
        (0, {"trust_age_s": 86_401}, "stale"),
        (0, {"trust_age_s": "old", "trust_version": -1}, "online"),
        (0, {"trust_version": (1 << 64) - 1}, "online"),
    ],
)
def test_what_wants_a_look_is_said(
    hub: Hub, desk: Desk, gate: Device, offset_ms: int, health: dict[str, int | str], expected: str
) -> None:
    """A clock that is off and trust data that are old are states of their own; nonsense is none."""
    assert isinstance(hub.heartbeat(gate.heartbeat(START_MS + offset_ms, **health)), bytes)

    assert expected == state(desk)


def test_a_batch_is_a_sign_of_life_too(hub: Hub, desk: Desk, gate: Device, clock: Clock) -> None:
    """Whoever sends new entries is not silent."""
    marked(hub, gate.heartbeat(START_MS))
    clock.pass_s(100)
    gate.scan(1)

    post(hub, [gate.batch(1, 1)])

    assert state(desk) == "online"


def test_a_log_behind_what_is_held_is_a_rollback(hub: Hub, desk: Desk, gate: Device) -> None:
    """A gate that has forgotten entries we hold was set back."""
    gate.scan(9)
    post(hub, [gate.batch(1, 9)])

    marked(hub, gate.heartbeat(START_MS + 60_000, last=5))

    assert kinds(desk) == ["rollback"]


def test_another_head_at_the_same_entry_is_a_fork(hub: Hub, desk: Desk, gate: Device) -> None:
    """Equal numbers, other entries."""
    twin = gate.clone(0)
    gate.scan(3)
    twin.scan(3, issuer="4403")
    post(hub, [gate.batch(1, 3)])

    marked(hub, twin.heartbeat(START_MS + 60_000))

    assert kinds(desk) == ["fork"]


def test_a_late_heartbeat_is_no_rollback(hub: Hub, desk: Desk, gate: Device) -> None:
    """One made before the newest entry we hold, and long on the way, flags nobody."""
    gate.scan(2)
    late = gate.heartbeat(START_MS + 1500)
    gate.scan(7)
    post(hub, [gate.batch(1, 9)])

    marked(hub, late)

    assert kinds(desk) == []


def test_a_replayed_heartbeat_keeps_no_gate_alive(hub: Hub, desk: Desk, gate: Device, clock: Clock) -> None:
    """Whoever stole a gate and repeats its last heartbeat does not hide that it is gone, and flags no rollback."""
    old = gate.heartbeat(START_MS)
    marked(hub, old)
    gate.scan(2)
    post(hub, [gate.batch(1, 2)])
    marked(hub, gate.heartbeat(START_MS + 30_000))
    clock.pass_s(300)

    for _ in range(3):
        marked(hub, old)

    assert state(desk) == "doubtful"
    assert kinds(desk) == []


def test_a_clock_that_was_years_ahead_and_is_put_right_is_heard(
    hub: Hub, desk: Desk, gate: Device, clock: Clock
) -> None:
    """The gate is not called silent for the years its clock went back."""
    marked(hub, gate.heartbeat(START_MS + 10 * 365 * tokens.DAY_MS))
    assert state(desk) == "clock"
    clock.pass_s(60)

    marked(hub, gate.heartbeat(clock.ms + 40))

    assert state(desk) == "online"


def test_a_former_disk_put_back_is_a_rollback(hub: Hub, desk: Desk, gate: Device) -> None:
    """A gate that had begun a new log and goes back to the old one was given its former disk."""
    gate.scan(2)
    post(hub, [gate.batch(1, 2)])
    anew = Device(epoch=b"epoch-02")
    anew.scan(1)
    post(hub, [anew.batch(1, 1)])
    marked(hub, anew.heartbeat(START_MS + 60_000))
    assert kinds(desk) == ["new_log"]

    marked(hub, gate.heartbeat(START_MS + 90_000))

    assert {"new_log", "rollback"} == set(kinds(desk))


def test_a_heartbeat_of_a_stranger_is_refused(hub: Hub, gate: Device) -> None:
    """A gate that is not enrolled here is told so."""
    assert refused(hub.heartbeat(Device(9).heartbeat(START_MS))) == (403, "unknown_gate")


@pytest.mark.parametrize("junk", [b"", b"\x00", b"<html>", b"\xd2\x84"])
def test_junk_is_no_heartbeat(hub: Hub, gate: Device, junk: bytes) -> None:
    """It is refused before anything is looked up."""
    assert refused(hub.heartbeat(junk)) == (400, "malformed")


def test_every_edited_byte_of_a_heartbeat_is_refused(hub: Hub, desk: Desk, gate: Device) -> None:
    """No one-byte change is heard."""
    beat = gate.heartbeat(START_MS + 1000, trust_version=3)

    for at in range(len(beat)):
        assert isinstance(hub.heartbeat(beat[:at] + bytes([beat[at] ^ 1]) + beat[at + 1 :]), Declined)

    assert state(desk) == "waiting"


def test_a_heartbeat_from_beyond_the_calendar_is_refused(hub: Hub, desk: Desk, gate: Device) -> None:
    """A time the database cannot hold would keep every later heartbeat from being newer."""
    assert refused(hub.heartbeat(gate.heartbeat(1 << 60))) == (400, "malformed")
    assert state(desk) == "waiting"


# The folder


def test_a_hub_folder_keeps_its_secrets_to_itself(desk: Desk) -> None:
    """Keys, seed and token are for the owner only, and the database holds no token in clear."""
    path = desk.home.path
    operator = (path / folder.OPERATOR).read_text().strip()

    assert {0o600} == {
        stat.S_IMODE((path / name).stat().st_mode) for name in ("hub.key", "token.seed", "operator.token")
    }
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert operator.encode() not in (path / folder.DATABASE).read_bytes()


def test_a_hub_is_never_begun_twice(desk: Desk, clock: Clock) -> None:
    """Its keys are not overwritten."""
    before = (desk.home.path / folder.KEY).read_bytes()

    with pytest.raises(SetupError, match="not empty"):
        begin(desk.home.path, clock)

    assert before == (desk.home.path / folder.KEY).read_bytes()


@pytest.mark.parametrize("missing", [folder.CONFIG, folder.KEY, folder.DATABASE])
def test_a_folder_without_a_part_is_named_with_the_next_step(desk: Desk, missing: str) -> None:
    """Which file, and what to do."""
    (desk.home.path / missing).unlink()

    with pytest.raises((ConfigError, LogDamaged), match=missing) as met:
        Hub.open(desk.home.path)

    assert met.value.next_step


@pytest.mark.parametrize("content", [b"", b"x", b"SQLite format 3\x00" + bytes(9000), bytes(70_000)])
def test_a_database_that_is_none_is_not_made_anew(desk: Desk, content: bytes) -> None:
    """An emptied or overwritten file is never mistaken for a fresh ledger."""
    desk.home.database.write_bytes(content)

    with pytest.raises(LogDamaged, match=r"hub\.db"):
        Hub.open(desk.home.path)

    assert content == desk.home.database.read_bytes()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("heartbeats = 5", "Did you mean heartbeat_s"),
        ("heartbeat_s = '5'", "another type"),
        ("heartbeat_s = 0", "heartbeat_s"),
        ("schema = 2", "not valid TOML"),
        ("= 5", "not valid TOML"),
    ],
)
def test_a_wrong_line_in_the_configuration_is_named(desk: Desk, line: str, said: str) -> None:
    """With the nearest key that exists."""
    file = desk.home.path / folder.CONFIG
    text = file.read_text().replace("heartbeat_s = 30\n", "")
    file.write_text(text + line + "\n")

    with pytest.raises(ConfigError) as met:
        Hub.open(desk.home.path)

    assert said in str(met.value)


@pytest.mark.parametrize(
    "url", ["", "hub.example", "ftp://hub", "http://", "http://a b", "http://u:p@hub", "http://h/?q=1", "http://h:x"]
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    """Gates would be given it."""
    with pytest.raises(ConfigError, match="address"):
        HubConfig(url)


def test_the_configuration_survives_hostile_names(tmp_path: Path, clock: Clock) -> None:
    """Quotes, backslashes and Chinese come back as they were given."""
    from edge.hub import desk

    name = '西安 "hub" \\ \U0001f600 = #'
    desk.begin(tmp_path / "h", HubConfig("http://127.0.0.1:1", name), clock=clock)

    assert name == folder.load(tmp_path / "h").config.name


@pytest.mark.parametrize(
    "place", [Place("", "1", 0), Place("a" * 65, "1", 0), Place("a", "b\n", 0), Place("a", "1", -1)]
)
def test_an_impossible_place_is_refused(desk: Desk, place: Place) -> None:
    """Before an invitation is made."""
    with pytest.raises(ConfigError):
        desk.invite(place, 24)


@pytest.mark.parametrize("hours", [0, -1, 721, float("nan"), float("inf")])
def test_an_impossible_time_is_refused(desk: Desk, hours: float) -> None:
    """An invitation ends within a month."""
    with pytest.raises(ConfigError, match="720"):
        desk.invite(Place("a", "1", 0), hours)


def test_an_invitation_too_long_for_one_code_is_refused(tmp_path: Path, clock: Clock) -> None:
    """What a gate could not read is not printed."""
    desk = begin(tmp_path / "h", clock, url="https://" + "a" * 230 + ".example")

    with pytest.raises(ConfigError, match="too long"):
        desk.invite(Place("西" * 64, "安" * 64, 610100), 24)


def test_a_gate_is_retired_by_the_beginning_of_its_id(hub: Hub, desk: Desk, gate: Device) -> None:
    """At least four characters, and only where they name one gate."""
    for start in ("", "0", gate.gate.hex()[:3], "zzzz"):
        with pytest.raises(EnrolmentError, match="No gate"):
            desk.retire(start)

    assert gate.gate == desk.retire(gate.gate.hex()[:4].upper())
    assert state(desk) == "retired"


def test_the_hub_signs_its_time_for_the_question_on_a_gates_screen(desk: Desk, clock: Clock, tmp_path: Path) -> None:
    """As people type it, with spaces and in small letters; what comes out is what a gate takes."""
    keys = {device.key_id(desk.home.public).hex(): desk.home.public}
    code, at_ms = desk.time_code("aeba-geaf ")
    found = timecode.open_code(code.encode(), keys)

    assert (found.nonce, found.at_ms) == (b"\x01\x02\x03\x10\x05", clock.ms)
    assert at_ms == clock.ms


@pytest.mark.parametrize("question", ["", "AEBAGEA", "AEBAGEAF7", "AEBAGEA1", "AEBAGEAFAEBAGEAF", "问询码", "A" * 999])
def test_what_is_no_question_is_signed_for_nobody(desk: Desk, question: str) -> None:
    """Too short, too long, with a digit that no question has: said with the next step."""
    with pytest.raises(ConfigError, match="eight letters"):
        desk.time_code(question)


def test_a_time_code_is_written_as_text_picture_and_drawing(desk: Desk, tmp_path: Path) -> None:
    """The command prints the code, writes a PNG that the gate's own decoder reads, and an SVG."""
    from click.testing import CliRunner

    from edge.cli.hub import hub as command
    from edge.scanner.still import read_image

    png, svg = tmp_path / "time.png", tmp_path / "time.svg"
    words = ["time-code", str(desk.home.path), "--for", "AEBAGEAF", "--png", str(png), "--svg", str(svg)]
    done = CliRunner().invoke(command, words, catch_exceptions=False)
    (seen,) = read_image(png.read_bytes())

    assert done.exit_code == 0
    assert done.stdout.startswith("HT1:")
    assert seen.raw == done.stdout.strip().encode()
    assert svg.read_bytes().startswith(b"<?xml")
    told = CliRunner().invoke(command, [*words[:4], "--json"], catch_exceptions=False)
    assert json.loads(told.stdout).keys() == {"code", "at", "at_ms"}
