"""Enrolment from the technician's side: codes in every form, every failure a sentence, every step repeatable."""

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
import segno
from click.testing import CliRunner
from nacl.pwhash import verify
from nacl.signing import SigningKey

from edge.cli.provision import provision
from edge.errors import EdgeError, EnrolmentError, TransportError, TrustRefused, Unreachable
from edge.identity.daykeys import load_day_keys
from edge.identity.identity import load_enrolment, load_identity, make_identity, save_enrolment
from edge.ledger import device, enrolment, wire
from edge.ledger.tokens import DayKey
from edge.provision import owner
from edge.provision.enrol import check_time, enrol, read_invitation
from edge.sync.transport import Answer, Question
from edge.trust.store import TrustStore
from tests.simulators.hub import AT_MS, Fault, HubServer, ModelHub
from tests.simulators.repository import NOW, Repository

NOW_S = AT_MS // 1000


def now_ms() -> int:
    """The time of every test."""
    return AT_MS


@pytest.fixture
def hub() -> ModelHub:
    """Return a hub with a trust root."""
    hub = ModelHub()
    hub.root = Repository().files["metadata/1.root.json"]
    return hub


@pytest.fixture
def server(hub: ModelHub) -> Iterator[HubServer]:
    """Return it, running."""
    with HubServer(hub) as server:
        yield server


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Return a state folder that is not there yet."""
    return tmp_path / "state"


def test_a_device_becomes_a_gate(state: Path, server: HubServer, hub: ModelHub) -> None:
    """Afterwards the gate knows its hub, its place, the seed of its tokens and the first root of trust."""
    done = enrol(state, read_invitation(hub.invite(server.url)), now_ms)

    found = load_enrolment(state)
    assert found == done.enrolment
    assert (found.site, found.lane, found.region) == ("North gate", "3", "610100")
    assert found.hub_keys == hub.keys
    assert load_day_keys(state) == (DayKey(20_000, bytes(range(32))),)
    assert hub.gates[found.gate] == load_identity(state).verify_key.encode()
    assert "no trust publication" in done.trust_problem


def test_what_is_secret_is_for_its_owner_alone(state: Path, server: HubServer, hub: ModelHub) -> None:
    """Key and enrolment have mode 0600, the folder 0700."""
    enrol(state, read_invitation(hub.invite(server.url)), now_ms)

    modes = {name: stat.S_IMODE((state / name).stat().st_mode) for name in (".", "device.key", "enrolment.json")}

    assert modes == {".": 0o700, "device.key": 0o600, "enrolment.json": 0o600}


@pytest.mark.parametrize("kind", ["png", "text", "dos text", "bom", "code"])
def test_a_code_is_read_from_whatever_carries_it(tmp_path: Path, hub: ModelHub, kind: str) -> None:
    """A picture, a text file with any line ending, and the text itself are the same invitation."""
    code = hub.invite("http://127.0.0.1:9")
    path = tmp_path / "invitation"
    if kind == "png":
        picture = BytesIO()
        segno.make(code, error="m").save(picture, kind="png", scale=4)
        path.write_bytes(picture.getvalue())
    else:
        forms = {"text": b"%s\n", "dos text": b"%s\r\n", "bom": b"\xef\xbb\xbf%s\n", "code": b"%s"}
        path.write_bytes(forms[kind] % code.encode())

    found = read_invitation(code if kind == "code" else str(path))

    assert found.hub_key == hub.public


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "does not begin with EDGE1:"),
        (b"HP1:ABC", "does not begin with EDGE1:"),
        (b"\x89PNG\r\n\x1a\n damaged", "cannot be read"),
        (b"EDGE1:" + b"A" * 5000, "no invitation of a hub"),
        (b"EDGE1:AAAA", "damaged or altered"),
        (os.urandom(5000), "does not begin with EDGE1:"),
    ],
    ids=["empty", "a pass", "no picture", "endless", "torn", "noise"],
)
def test_a_file_without_an_invitation_is_one_sentence(tmp_path: Path, content: bytes, said: str) -> None:
    """Whatever the file holds instead, the message says it and what to do."""
    (tmp_path / "file").write_bytes(content)

    with pytest.raises(EnrolmentError, match=said) as met:
        read_invitation(str(tmp_path / "file"))

    assert met.value.next_step


@pytest.mark.parametrize("given", ["nowhere.png", "/", "x" * 5000, "a\0b", "edge1:lower"])
def test_what_is_neither_code_nor_file_is_one_sentence(given: str) -> None:
    """A mistyped name, a folder, a name no system has: one sentence each."""
    with pytest.raises(EnrolmentError, match="neither an invitation"):
        read_invitation(given)


def test_every_altered_character_is_noticed(hub: ModelHub) -> None:
    """No single wrong character of a typed code passes."""
    code = hub.invite("http://127.0.0.1:9")
    passed = []
    for at in range(len(code)):
        typed = code[:at] + ("A" if code[at] != "A" else "B") + code[at + 1 :]
        try:
            read_invitation(typed)
        except EnrolmentError:
            continue
        passed.append(at)

    assert passed == []


@pytest.mark.parametrize(
    ("at", "said"),
    [
        (NOW_S + 900, "expired"),
        (NOW_S + 10**9, "expired"),
        (NOW_S - 90_000, "lies in the future"),
        (0, "lies in the future"),
    ],
)
def test_an_invitation_out_of_time_is_not_used(hub: ModelHub, at: int, said: str) -> None:
    """Expired, or a clock that cannot be right: nothing is sent, and the clock is named."""
    with pytest.raises(EnrolmentError, match=said):
        check_time(read_invitation(hub.invite("http://127.0.0.1:9")), at)


def test_a_clock_a_little_behind_is_no_hindrance(hub: ModelHub) -> None:
    """A gate without a clock chip may be hours behind the hub."""
    check_time(read_invitation(hub.invite("http://127.0.0.1:9")), NOW_S - 80_000)


@pytest.mark.parametrize(
    ("fault", "error", "said"),
    [
        (Fault.DROP, Unreachable, "did not answer"),
        (Fault.HALF, Unreachable, "did not answer"),
        (Fault.PORTAL, EnrolmentError, "captive portal"),
        (Fault.REDIRECT, TransportError, "HTTP 302"),
        (Fault.HTML_404, TransportError, "HTTP 404"),
        (Fault.BROKEN, TransportError, "HTTP 500"),
        (Fault.BUSY, TransportError, "busy"),
        (Fault.HUGE, TransportError, "larger than"),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_every_failure_is_a_sentence_and_the_same_command_again_succeeds(
    state: Path, server: HubServer, hub: ModelHub, fault: Fault, error: type[EdgeError], said: str
) -> None:
    """Whatever answers instead of the hub, the gate is as before, and the invitation still works."""
    invitation = read_invitation(hub.invite(server.url))
    hub.always = (fault, wire.ENROL)
    with pytest.raises(error, match=said):
        enrol(state, invitation, now_ms)
    assert load_enrolment(state) is None

    hub.always = None
    enrol(state, invitation, now_ms)

    assert load_enrolment(state) is not None


def test_a_lost_answer_is_asked_for_again(state: Path, server: HubServer, hub: ModelHub) -> None:
    """The hub had already used the token up for this key: it answers the same key again."""
    invitation = read_invitation(hub.invite(server.url))
    hub.always = (Fault.LOSE, wire.ENROL)
    with pytest.raises(Unreachable):
        enrol(state, invitation, now_ms)
    assert len(hub.used) == 1

    hub.always = None
    done = enrol(state, invitation, now_ms)

    assert load_enrolment(state) == done.enrolment
    assert len(hub.gates) == 1


def test_a_used_invitation_is_said_in_the_words_of_the_hub(tmp_path: Path, server: HubServer, hub: ModelHub) -> None:
    """A second device with the same code is refused, with what to do."""
    invitation = read_invitation(hub.invite(server.url))
    enrol(tmp_path / "first", invitation, now_ms)

    with pytest.raises(EnrolmentError, match="used before") as met:
        enrol(tmp_path / "second", invitation, now_ms)

    assert "Ask for a new one" in met.value.next_step
    assert load_enrolment(tmp_path / "second") is None


def test_an_answer_of_another_hub_is_refused(state: Path, hub: ModelHub) -> None:
    """Somebody on the way who signs with his own key enrols nobody."""
    with HubServer(ModelHub()) as liar:
        liar.hub.invitations = {bytes([1]) * 16: ("x", "y", 0)}
        invitation = read_invitation(hub.invite(liar.url))
        with pytest.raises(EnrolmentError, match="not the inviting hub's"):
            enrol(state, invitation, now_ms)

    assert load_enrolment(state) is None


class AnswersFor:
    """A way to a hub that answers with what it gave another gate.

    Args:
        hub: The hub.
        key: The other gate's key.
    """

    def __init__(self, hub: ModelHub, key: SigningKey) -> None:
        self.hub = hub
        self.key = key

    def exchange(self, question: Question) -> Answer:
        """Ask in the other's name."""
        asked = enrolment.open_request(question.body)
        theirs = enrolment.EnrolmentRequest(asked.token, self.key.verify_key.encode(), AT_MS)
        return self.hub.answer(wire.ENROL, enrolment.make_request(theirs, self.key))

    def hold(self) -> bool:
        """Always there."""
        return True

    def close(self) -> None:
        """Nothing to let go of."""


def test_an_answer_for_another_gate_is_refused(state: Path, hub: ModelHub) -> None:
    """A true answer of the hub to somebody else makes this device nobody else."""
    way = AnswersFor(hub, SigningKey.generate())

    with pytest.raises(EnrolmentError, match="another gate"):
        enrol(state, read_invitation(hub.invite("http://127.0.0.1:9")), now_ms, connect=lambda _: way)

    assert load_enrolment(state) is None


def test_a_hub_without_a_root_still_takes_scans(state: Path, server: HubServer, hub: ModelHub) -> None:
    """The gate is enrolled and says that trust is missing and how it comes."""
    hub.root = b""

    done = enrol(state, read_invitation(hub.invite(server.url)), now_ms)

    assert load_enrolment(state) == done.enrolment
    assert "no trust root yet" in done.trust_problem


def test_a_mirror_that_is_down_does_not_undo_the_enrolment(state: Path, server: HubServer, hub: ModelHub) -> None:
    """Trust can follow later; the gate is enrolled now."""
    for url in ("http://127.0.0.1:9/", "nonsense"):
        hub.trust_url = url

        done = enrol(state, read_invitation(hub.invite(server.url)), now_ms)

        assert load_enrolment(state) == done.enrolment
        assert done.trust_problem


def test_a_second_enrolment_takes_the_place_of_the_first(state: Path, server: HubServer, hub: ModelHub) -> None:
    """A gate that moves keeps its key and its trust; a hub of another authority is refused."""
    first, root = enrol(state, read_invitation(hub.invite(server.url)), now_ms), hub.root
    hub.root = Repository().files["metadata/1.root.json"]
    with pytest.raises(TrustRefused, match="another root"):
        enrol(state, read_invitation(hub.invite(server.url)), now_ms)
    hub.root = root

    second = enrol(state, read_invitation(hub.invite(server.url)), now_ms)

    assert second.enrolment.gate == first.enrolment.gate


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_does_not_use_the_invitation_up(
    state: Path, server: HubServer, hub: ModelHub
) -> None:
    """Permissions are met before the hub is asked."""
    state.mkdir()
    state.chmod(0o500)
    with pytest.raises(EnrolmentError, match="cannot be written by this user"):
        enrol(state, read_invitation(hub.invite(server.url)), now_ms)

    assert hub.used == {}


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path, hub: ModelHub) -> None:
    """A file where the folder should be is said before the hub is asked."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(EnrolmentError, match="cannot be made"):
        enrol(tmp_path / "file" / "state", read_invitation(hub.invite("http://127.0.0.1:9")), now_ms)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can hand files over")
def test_what_root_makes_belongs_to_the_gates_user(state: Path, server: HubServer, hub: ModelHub) -> None:
    """After `sudo edge provision enroll` the gate's user can read its key, enrolment and trust."""
    state.mkdir()
    os.chown(state, 65534, 65534)

    enrol(state, read_invitation(hub.invite(server.url)), now_ms)

    owners = {path.relative_to(state).as_posix(): path.stat().st_uid for path in state.rglob("*")}
    assert owners.keys() >= {"device.key", "enrolment.json", "trust", "trust/trust.db"}
    assert set(owners.values()) == {65534}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can hand files over")
def test_root_hands_nothing_over_through_a_link(tmp_path: Path) -> None:
    """A link or a second name planted in the folder gets its owner no file of root's."""
    outside = tmp_path / "root's own"
    outside.write_bytes(b"secret")
    other = tmp_path / "another"
    other.write_bytes(b"secret")
    folder = tmp_path / "state"
    folder.mkdir()
    os.chown(folder, 65534, 65534)
    (folder / "device.key").symlink_to(outside)
    (folder / "enrolment.json").hardlink_to(other)
    (folder / "trust").symlink_to(tmp_path)

    owner.hand_over(folder, "device.key", "enrolment.json", "trust")

    assert {path.stat().st_uid for path in (outside, other, tmp_path)} == {0}


def cli(*words: str, typed: str | None = None) -> tuple[int, str]:
    """Run `edge provision` and return its exit code and all it said."""
    done = CliRunner().invoke(provision, list(words), input=typed, catch_exceptions=True)
    said = done.output + (str(done.exception) if done.exception is not None else "")
    return done.exit_code, said


def test_init_makes_one_key_and_keeps_it(state: Path) -> None:
    """The second `init` shows the same gate; the file is as it was."""
    first = json.loads(cli("init", "--state", str(state), "--json")[1])
    seed = (state / "device.key").read_bytes()
    second = json.loads(cli("init", "--state", str(state), "--json")[1])

    assert first == second
    assert seed == (state / "device.key").read_bytes()
    assert first["gate"] == device.gate_id(SigningKey(seed).verify_key.encode()).hex()


def test_a_damaged_key_is_not_replaced(state: Path) -> None:
    """A key that lost bytes is named, never overwritten: it may be all that is left of the gate's identity."""
    make_identity(state)
    (state / "device.key").write_bytes(b"short")

    code, said = cli("init", "--state", str(state))

    assert code != 0
    assert "device.key" in said
    assert (state / "device.key").read_bytes() == b"short"


def test_the_seed_never_shows(state: Path, server: HubServer, hub: ModelHub) -> None:
    """No command prints a secret."""
    code = hub.invite(server.url, expires_at=2**40)
    said = cli("init", "--state", str(state))[1]
    said += cli("enroll", code, "--state", str(state), "--yes")[1]
    said += cli("show", "--state", str(state), "--json")[1]

    assert (state / "device.key").read_bytes().hex() not in said
    assert hub.seed.key.hex() not in said


def test_enroll_reads_standard_input(state: Path, server: HubServer, hub: ModelHub) -> None:
    """`-` takes the code from a pipe, where it stands in no list of processes."""
    typed = hub.invite(server.url, expires_at=2**40) + "\n"

    code, said = cli("enroll", "-", "--state", str(state), "--json", typed=typed)

    assert code == 0, said
    assert json.loads(said)["site"] == "North gate"


def test_enroll_without_a_person_wants_a_yes(state: Path, server: HubServer, hub: ModelHub) -> None:
    """Where nobody can compare the fingerprint, nothing happens without --yes."""
    code, said = cli("enroll", hub.invite(server.url), "--state", str(state))

    assert code == 2
    assert "--yes" in said
    assert hub.used == {}


def test_show_says_who_the_gate_is(state: Path, server: HubServer, hub: ModelHub) -> None:
    """Before the key, after it and after enrolling, `show` says what there is and what comes next."""
    assert "edge provision init" in cli("show", "--state", str(state))[1]
    cli("init", "--state", str(state))
    assert "edge provision enroll" in cli("show", "--state", str(state))[1]
    enrol(state, read_invitation(hub.invite(server.url)), now_ms)

    said = json.loads(cli("show", "--state", str(state), "--json")[1])

    assert said["enrolled"] is True
    assert said["hub"] == server.url


def test_a_pin_is_kept_as_a_hash(tmp_path: Path) -> None:
    """The file holds an argon2id hash that verifies, for its owner alone, and not the PIN."""
    path = tmp_path / "pin"

    code, said = cli("pin", "--out", str(path), typed="271828\n")

    content = path.read_bytes()
    assert code == 0, said
    assert content.startswith(b"$argon2id$")
    assert b"271828" not in content
    assert "271828" not in said
    assert verify(content.strip(), b"271828")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("typed", ["", "\n", "123\n", "x" * 65 + "\n"])
def test_a_pin_out_of_bounds_is_refused(tmp_path: Path, typed: str) -> None:
    """Too short, too long or nothing: one sentence, and the old file stays."""
    path = tmp_path / "pin"
    path.write_bytes(b"old")

    code, said = cli("pin", "--out", str(path), typed=typed)

    assert code != 0
    assert "4 to 64" in said
    assert path.read_bytes() == b"old"


def test_the_command_ends_in_a_sentence_and_no_traceback(tmp_path: Path) -> None:
    """The real command says what is wrong and what to do."""
    done = subprocess.run(
        [sys.executable, "-m", "edge", "provision", "enroll", "nowhere.png", "--state", str(tmp_path), "--yes"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 3
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("edge: This is neither an invitation")


def test_a_refreshed_gate_says_so(state: Path, tmp_path: Path, server: HubServer) -> None:
    """With a mirror that answers, the gate has its trust when the command ends."""
    import http.server
    import threading
    from functools import partial

    repository = Repository()
    server.hub.root = repository.files["metadata/1.root.json"]

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Keep the test's output clean."""

    handler = partial(Quiet, directory=str(repository.write(tmp_path / "mirror")))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as mirror:
        threading.Thread(target=mirror.serve_forever, args=(0.02,), daemon=True).start()
        server.hub.trust_url = f"http://127.0.0.1:{mirror.server_address[1]}"
        invitation = read_invitation(server.hub.invite(server.url, issued_at=NOW, expires_at=NOW + 900))
        done = enrol(state, invitation, lambda: NOW * 1000)
        mirror.shutdown()

    assert (done.trust_version, done.trust_problem) == (1, "")
    assert TrustStore(state / "trust").load().issued_at == NOW
    save_enrolment(state, done.enrolment)
