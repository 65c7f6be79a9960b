"""Key and enrolment of a gate: whatever lies in their place is met with a sentence, and no wrong pair is believed."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from nacl.signing import SigningKey

from edge.cli.provision import provision
from edge.disk import durable
from edge.errors import EnrolmentError, IdentityBroken
from edge.gate.enrolled import Enrolled
from edge.identity.identity import (
    Enrolment,
    Identity,
    files_stamp,
    finding_of,
    gate_id,
    identify,
    load_enrolment,
    load_identity,
    make_identity,
    save_enrolment,
)
from edge.ledger import device
from edge.model.finding import Severity
from edge.model.settings import PlaceSettings, Settings
from edge.sync.foreground import push_now

HUB = SigningKey(b"h" * 32).verify_key.encode()
SEED = bytes(range(32))
OTHER = bytes(range(1, 33))


def id_of(seed: bytes) -> bytes:
    """Return the gate id of a seed."""
    return device.gate_id(SigningKey(seed).verify_key.encode())


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The state folder of an enrolled gate."""
    durable.write(tmp_path / "device.key", SEED, mode=0o600)
    keys = {device.key_id(HUB).hex(): HUB}
    save_enrolment(
        tmp_path, Enrolment(id_of(SEED), "北站", "3", "610100", "http://hub:8090", keys, "", 30, 1_795_000_000)
    )
    return tmp_path


def broken(state: Path) -> IdentityBroken:
    """Return what is wrong with a folder."""
    with pytest.raises(IdentityBroken) as met:
        identify(state)
    assert met.value.next_step
    return met.value


def test_key_and_enrolment_of_one_gate_are_its_identity(state: Path) -> None:
    """Both are read, and the key is the one that was enrolled."""
    identity = identify(state)

    assert isinstance(identity, Identity)
    assert (bytes(identity.key), identity.enrolment.site) == (SEED, "北站")
    assert SEED.hex() not in repr(identity)


def test_a_gate_that_is_not_enrolled_has_no_identity_yet(state: Path) -> None:
    """With a key or without one that is no fault."""
    (state / "enrolment.json").unlink()
    with_key = identify(state)
    (state / "device.key").unlink()

    assert (with_key, identify(state)) == (None, None)


def test_another_gates_key_is_named_with_both_ids_both_files_and_the_next_step(state: Path) -> None:
    """A junk key of the right length would give the gate a new name without a word."""
    durable.write(state / "device.key", OTHER, mode=0o600)

    error = broken(state)

    assert error.cause == "other_key"
    for named in (id_of(OTHER).hex()[:8], id_of(SEED).hex()[:8], "device.key", "enrolment.json"):
        assert named in error.message
    assert f"Put the key of gate {id_of(SEED).hex()[:8]} back" in error.next_step
    assert "edge provision enroll" in error.next_step


def test_every_flipped_bit_of_the_key_is_noticed(state: Path) -> None:
    """All 256 of them: no worn card makes another gate of this one."""
    unnoticed = []
    for bit in range(256):
        seed = bytearray(SEED)
        seed[bit // 8] ^= 1 << bit % 8
        durable.write(state / "device.key", bytes(seed), mode=0o600)
        try:
            identify(state)
        except IdentityBroken as error:
            if error.cause == "other_key":
                continue
        unnoticed.append(bit)

    assert unnoticed == []


@pytest.mark.parametrize("size", [0, 1, 31, 33, 64, 5000])
def test_a_key_of_another_length_is_damaged(state: Path, size: int) -> None:
    """What a torn write or an editor left is named and not replaced."""
    durable.write(state / "device.key", os.urandom(size), mode=0o600)

    assert (broken(state).cause, "is damaged" in broken(state).message) == ("key", True)
    with pytest.raises(IdentityBroken, match="is damaged"):
        make_identity(state)
    assert (state / "device.key").stat().st_size == size


def test_no_key_of_one_repeated_byte_is_taken(state: Path) -> None:
    """Zeros are what a power cut leaves, ones an erased card; everybody knows all 256 of them."""
    taken = []
    for byte in range(256):
        durable.write(state / "device.key", bytes([byte]) * 32, mode=0o600)
        try:
            load_identity(state)
        except IdentityBroken:
            continue
        taken.append(byte)

    assert taken == []


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o620, 0o777])
def test_a_key_that_others_can_read_is_refused_with_the_command_that_closes_it(state: Path, mode: int) -> None:
    """Whoever has read it can sign scans in this gate's name."""
    (state / "device.key").chmod(mode)

    assert f"chmod 600 {state / 'device.key'}" in broken(state).next_step


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_private_key_may_be_read_only(state: Path, mode: int) -> None:
    """Only what others may do counts."""
    (state / "device.key").chmod(mode)

    assert identify(state) is not None


def _link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))


def _dangling(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def _loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir(mode=0o700)


@pytest.mark.parametrize("name", ["device.key", "enrolment.json"])
@pytest.mark.parametrize("put", [_link, _dangling, _loop, _pipe, _folder])
def test_what_is_no_plain_file_is_refused_and_holds_nobody_up(
    state: Path, name: str, put: Callable[[Path], None]
) -> None:
    """A link leads who knows where, a pipe would hold the start of the gate for ever."""
    put(state / name)

    error = broken(state)

    assert error.cause == ("key" if name == "device.key" else "enrolment")
    assert "it is a link" in error.message or "it is not a file" in error.message
    assert "Put the file itself there" in error.next_step


def test_a_link_in_place_of_the_key_is_not_made_one(state: Path) -> None:
    """`provision init` neither writes through it nor says that there is no key."""
    _dangling(state / "device.key")

    with pytest.raises(IdentityBroken, match="it is a link"):
        make_identity(state)
    assert (state / "device.key").is_symlink()


def test_an_enrolment_without_its_key_is_said(state: Path) -> None:
    """A lost key does not make the gate one that was never enrolled."""
    (state / "device.key").unlink()

    assert (broken(state).cause, "no device key" in broken(state).message) == ("key", True)


FIELDS = ["schema", "gate", "site", "lane", "region", "hub_url", "hub_keys", "trust_url", "heartbeat_s", "enrolled_at"]


@pytest.mark.parametrize("field", FIELDS)
def test_an_enrolment_that_lacks_a_field_is_damaged(state: Path, field: str) -> None:
    """Nothing is guessed."""
    document = json.loads((state / "enrolment.json").read_bytes())
    del document[field]
    (state / "enrolment.json").write_text(json.dumps(document))

    assert broken(state).cause == "enrolment"


@pytest.mark.parametrize(
    ("field", "junk"),
    [
        *((("gate"), junk) for junk in ("", "zz", "00" * 15, 7, None, [])),
        *((("region"), junk) for junk in (-1, 1_000_000, "x", None, 1e400)),
        *((("hub_url"), junk) for junk in ("", "hub", "ftp://hub", "http://", "http://h:99999", "http://[", 7, None)),
        *((("hub_keys"), junk) for junk in ([], "x", {"00" * 8: "00" * 32}, {"x": 1})),
        *((("heartbeat_s"), junk) for junk in ("x", None, 1e400)),
        *((("schema"), junk) for junk in (0, 2, "1", None)),
    ],
)
def test_an_enrolment_with_junk_in_a_field_is_damaged(state: Path, field: str, junk: object) -> None:
    """The part that would meet it later does not have to."""
    document = json.loads((state / "enrolment.json").read_bytes()) | {field: junk}
    (state / "enrolment.json").write_text(json.dumps(document))

    error = broken(state)

    assert (error.cause, "enrolment.json" in error.message) == ("enrolment", True)


def test_an_enrolment_torn_anywhere_is_damaged(state: Path) -> None:
    """Wherever a write broke off, at every byte."""
    whole = (state / "enrolment.json").read_bytes()
    taken = []
    for cut in range(len(whole)):
        (state / "enrolment.json").write_bytes(whole[:cut])
        try:
            load_enrolment(state)
        except IdentityBroken:
            continue
        taken.append(cut)

    assert taken == []


@pytest.mark.parametrize(
    ("cause", "code"),
    [("enrolment", "gate.enrolment_damaged"), ("key", "gate.key_damaged"), ("other_key", "gate.other_key")],
)
def test_every_case_is_damage_on_the_page(cause: str, code: str) -> None:
    """Each has a text of its own, and stands before every warning."""
    finding = finding_of(IdentityBroken("m", "n", cause=cause, ids={"key": "1a"}))

    assert (finding.code, finding.severity, finding.params) == (code, Severity.DAMAGE, {"key": "1a"})


def test_the_stamp_changes_with_every_change_of_the_files(state: Path) -> None:
    """New content, a new mode, a link in its place, gone: each is looked at again."""
    stamps = [files_stamp(state)]
    for change in (lambda p: durable.write(p, OTHER, mode=0o600), lambda p: p.chmod(0o644), _dangling, Path.unlink):
        change(state / "device.key")
        stamps.append(files_stamp(state))

    assert len(set(stamps)) == len(stamps)


# What the scanner part knows


def enrolled(state: Path) -> Enrolled:
    """Return what the scanner part knows."""
    return Enrolled(state, PlaceSettings())


def test_an_enrolled_gate_has_its_place_and_lets_its_log_go_under_receipts(state: Path) -> None:
    """Nothing is wrong, and nothing is said."""
    found = enrolled(state)

    assert (found.findings(), found.place.site, found.gate) == ([], "北站", id_of(SEED).hex())
    assert found.identity is not None
    assert found.identity.enrolment == load_enrolment(state)


def test_under_another_key_the_gate_keeps_place_and_number_and_lets_nothing_go(state: Path) -> None:
    """It stands where it stood, so the same rules hold; scans keep the name the hub knows; no receipt purges."""
    durable.write(state / "device.key", OTHER, mode=0o600)

    found = enrolled(state)

    assert [finding.code for finding in found.findings()] == ["gate.other_key"]
    assert (found.place.region, found.gate, found.identity) == ("610100", id_of(SEED).hex(), None)


def test_with_a_damaged_enrolment_the_gate_is_numbered_by_its_key(state: Path) -> None:
    """Its place is not known any more; what stands in gate.toml still is."""
    (state / "enrolment.json").write_bytes(b"{")
    found = Enrolled(state, PlaceSettings(site="西门"))

    assert [finding.code for finding in found.findings()] == ["gate.enrolment_damaged"]
    assert (found.place.site, found.place.region, found.gate) == ("西门", "000000", gate_id(state))


def test_a_gate_notices_by_itself_that_it_was_put_right(state: Path) -> None:
    """The right key back in its place needs no restart; looking again at unchanged files changes nothing."""
    durable.write(state / "device.key", OTHER, mode=0o600)
    found = enrolled(state)
    durable.write(state / "device.key", SEED, mode=0o600)

    assert (found.look(), found.look()) == (True, False)
    assert found.identity is not None
    assert (found.findings(), found.identity.enrolment) == ([], load_enrolment(state))


def test_a_gate_that_is_not_enrolled_says_so_and_notices_the_enrolment(state: Path) -> None:
    """Enrolling is noticed while the gate runs, with the place."""
    content = (state / "enrolment.json").read_bytes()
    (state / "enrolment.json").unlink()
    found = enrolled(state)
    before = [finding.code for finding in found.findings()]
    (state / "enrolment.json").write_bytes(content)

    assert before == ["gate.not_enrolled"]
    assert (found.look(), found.place.lane, found.findings()) == (True, "3", [])


# What commands say


def cli(*words: str) -> tuple[int, str]:
    """Run `edge provision` and return its exit code and all it said."""
    done = CliRunner().invoke(provision, list(words))
    return done.exit_code, done.output + (str(done.exception) if done.exception is not None else "")


def test_show_says_that_key_and_enrolment_are_of_two_gates(state: Path) -> None:
    """The command a technician is sent to names both and what to do."""
    durable.write(state / "device.key", OTHER, mode=0o600)

    code, said = cli("show", "--state", str(state))

    assert code != 0
    assert "is that of gate" in said
    assert "Put the key of gate" in said


def test_init_warns_that_what_lies_there_is_another_gates(state: Path) -> None:
    """A new key beside an old enrolment is no enrolled gate."""
    (state / "device.key").unlink()

    code, said = cli("init", "--state", str(state))

    assert code == 0
    assert "Warning: The key in" in said


def test_a_push_by_hand_under_another_key_sends_nothing(state: Path) -> None:
    """It ends with the sentence before any connection is made."""
    durable.write(state / "device.key", OTHER, mode=0o600)

    with pytest.raises(EnrolmentError, match="is that of gate"):
        push_now(Settings(state=str(state)), now_ms=lambda: 0, report=lambda _: None)
