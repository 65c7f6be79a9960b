"""Asking an operator about a live code: believed only as the signed policy says, and a failure is never green."""

import socket
import subprocess
import threading
import time
from dataclasses import replace
from hashlib import sha256
from itertools import product
from types import MappingProxyType

import pytest

from edge.ledger import device
from edge.model.credential import PassKind
from edge.model.moment import ClockQuality
from edge.model.rules import Condition, Relay, Rules
from edge.model.verdict import Outcome, Reason
from edge.policy.ask import answered, ask
from edge.policy.examine import examine
from edge.relay.client import RelayClient
from edge.relay.desk import RelayDesk
from edge.verify.relayed import KIND, answer
from tests.simulators.operator import KEY, OTHER, Operator
from tests.simulators.world import DAY, ISSUED, NOW, TRUST, at, context, make_pass
from tests.unit.test_gate_line import Gate

CODE = b'{"label":"yss","data":"x"}'
NONCE = bytes(range(16))
GREEN = ("accept", "ok")


def relay_to(url, **changes):
    return replace(Relay("yuekang", "44", url, bytes(KEY.verify_key), budget_ms=600), **changes)


def asking(relay, **rules):
    policy = replace(TRUST.policy, formats=frozenset({"hp1", "server_token"}))
    return replace(TRUST, policy=policy.under(Rules(relays=MappingProxyType({relay.family: relay}), **rules)))


RELAY = relay_to("https://operator.example/ask")
ASKING = asking(RELAY)


def question(trust=ASKING, code=CODE, moment=None):
    presented = examine(code, context(trust=trust)).presentation
    return ask(presented, trust, moment or at(NOW), NONCE)


def verdict(data, trust=ASKING, **options):
    found = answered(question(trust), data, context(trust=trust, **options))
    return found.outcome.name.lower(), str(found.reason)


# -- what an answer is worth -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "expected"),
    [(0, GREEN), (1, ("refer", "health.yellow")), (10, ("reject", "health.red")), (77, ("reject", "matrix.unlisted"))],
)
def test_an_answer_is_decided_by_matrix_and_rules_as_a_pass_is(status, expected):
    """The operator says a number; what it means here stands in the signed data."""
    assert verdict(answer((NONCE, CODE), status, 440106, KEY)) == expected


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"green",
        b"<html>",
        b"\xff" * 1025,
        answer((bytes(16), CODE), 0, 440106, KEY),
        answer((NONCE, b"another"), 0, 440106, KEY),
        answer((NONCE, CODE), 0, 440106, OTHER),
        device.sign("receipt", {1: NONCE, 2: sha256(CODE).digest(), 3: 0, 4: 440106}, KEY),
        *(
            device.sign(KIND, {1: NONCE, 2: sha256(CODE).digest(), 3: status, 4: region}, KEY)
            for status, region in product(("green", -1, 65536, None, True), (440106, 1, "440106"))
        ),
        device.sign(KIND, {1: NONCE, 2: sha256(CODE).digest(), 3: 0}, KEY),
        device.sign(KIND, {1: NONCE, 2: sha256(CODE).digest(), 3: 0, 4: 440106, 5: "more"}, KEY),
    ],
)
def test_an_answer_that_does_not_count_is_referred(data):
    """Unsigned, of another question, code, key or kind, or of another form: never green, never a raise."""
    assert verdict(data) == ("refer", "relay.refused")


def test_every_one_byte_change_of_a_green_answer_is_refused():
    """Small spaces are walked."""
    good = answer((NONCE, CODE), 0, 440106, KEY)
    accepted = [
        (place, value)
        for place in range(len(good))
        for value in range(256)
        if value != good[place] and verdict(good[:place] + bytes((value,)) + good[place + 1 :])[0] == "accept"
    ]

    assert accepted == []


def test_an_answer_about_another_region_is_refused():
    """An operator speaks for its issuer's region alone."""
    assert verdict(answer((NONCE, CODE), 0, 110105, KEY)) == ("reject", "key.region")


def test_the_rules_hold_for_an_answer_too():
    """A combination is wanted of whoever shows a live code as well."""
    ruled = asking(RELAY, conditions=(Condition((PassKind.PERSON, PassKind.TRAVEL), 2),))

    assert verdict(answer((NONCE, CODE), 0, 440106, KEY), ruled) == ("refer", "condition.pending")


@pytest.mark.parametrize(
    "asked",
    [
        {"trust": TRUST},
        {"code": b"A" * 64},
        {"code": make_pass()},
        {"code": b"11010519491231002X"},
        {"moment": at(NOW, ClockQuality.DOUBTFUL)},
        {"moment": at(ISSUED + 31 * DAY)},
        {"moment": at(ISSUED + 301 * DAY)},
        {"trust": replace(ASKING, policy=replace(ASKING.policy, formats=frozenset({"hp1"})))},
    ],
)
def test_nobody_is_asked_where_the_policy_names_nobody_or_nothing_could_be_green(asked):
    """A person's code leaves the device only where it can help him."""
    assert question(**asked) is None


# -- the way there and back ------------------------------------------------------------------------------------------


@pytest.fixture
def desk(tmp_path):
    made = RelayDesk(tmp_path / "relay.sock")
    yield RelayClient(tmp_path / "relay.sock")
    made.close()


@pytest.fixture
def gate(tmp_path, desk):
    made = Gate(tmp_path)
    made.line._relay = desk.ask
    yield made
    made.log.close()


def at_the_gate(gate, operator, **changes):
    gate.trusted.snapshot = asking(relay_to(operator.url, **changes))
    return gate.show(CODE)[0]


def test_a_live_code_goes_to_its_operator_and_back_in_one_scan(gate):
    """Asked once, recorded once, after the answer; the log says whose status it was and not what the code was."""
    with Operator() as operator:
        assert at_the_gate(gate, operator) == GREEN
        assert [asked["family"] for asked in operator.asked] == ["yuekang"]
    (entry,) = gate.facts()

    assert (entry.outcome, entry.format, entry.issuer, entry.status) == (Outcome.ACCEPT, "server_token", "44", 0)
    assert gate.heard.durable_at == [1]


def test_the_same_live_code_admits_once(gate):
    """The repeat rule holds: the code's hash is what two showings share."""
    with Operator() as operator:
        assert at_the_gate(gate, operator) == GREEN
        assert at_the_gate(gate, operator) == ("refer", "repeat.recent")
        assert operator.asked[0]["nonce"] != operator.asked[1]["nonce"]


@pytest.mark.parametrize("way", ["other_nonce", "other_code", "other_key", "status_text", "portal", "garbage"])
def test_whoever_answers_wrongly_is_not_believed(gate, way):
    """A login page that answers 200, a replayed green, a forger: `refer relay.refused`."""
    with Operator(way) as operator:
        assert at_the_gate(gate, operator) == ("refer", "relay.refused")


@pytest.mark.parametrize("way", ["slow", "drips", "silent", "redirect", "huge"])
def test_whoever_answers_late_or_too_much_has_not_answered(gate, way):
    """`refer relay.failed`, and the line is free again within the budget: nobody drips it to a stop."""
    with Operator(way) as operator:
        begun = time.monotonic()
        assert at_the_gate(gate, operator) == ("refer", "relay.failed")
        # A bound, not a measure: the drip would last 9 s, the slow one 5.
        assert time.monotonic() - begun < 3


def test_nobody_there_is_a_referral(gate):
    """No operator, no sync part: the gate goes on."""
    with Operator() as operator:
        gone = operator.url
    gate.trusted.snapshot = asking(relay_to(gone))
    assert gate.show(CODE) == [("refer", "relay.failed")]

    gate.line._relay = RelayClient(gate.path.parent / "no.sock").ask
    assert gate.show(CODE) == [("refer", "relay.failed")]
    assert gate.show(make_pass()) == [GREEN]


def test_a_green_that_nobody_asked_for_is_ignored(gate, tmp_path):
    """An answer comes only on the connection of its question; pushed at the gate's socket it meets nobody."""
    path = tmp_path / "relay.sock"
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.connect(str(path))
        stranger.sendall(b'{"answer": "' + b"A" * 100 + b'"}\n')
        assert b"failed" in stranger.recv(4096)

    assert gate.show(CODE) == [("refer", "credential.server_token")]
    assert gate.facts()[0].reason == str(Reason.CREDENTIAL_SERVER_TOKEN)


class Liar:
    """A sync part gone wrong: answers anything on the socket.

    Args:
        path: The socket.
        data: What it sends.
    """

    def __init__(self, path, data):
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(path))
        self._server.listen()
        self._data = data
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        peer, _ = self._server.accept()
        with peer:
            peer.recv(65536)
            peer.sendall(self._data)

    def close(self):
        self._server.close()


@pytest.mark.parametrize(
    "data", [b"", b"\n", b"[]\n", b'{"answer": 1}\n', b'{"answer": "!"}\n', b'{"failed": {}}\n', b"x" * 20_000]
)
def test_any_bytes_from_the_other_part_are_a_referral(gate, tmp_path, data):
    """The scanner part believes its own sync part as little as anybody."""
    liar = Liar(tmp_path / "liar.sock", data)
    gate.line._relay = RelayClient(tmp_path / "liar.sock").ask
    gate.trusted.snapshot = ASKING

    assert gate.show(CODE) == [("refer", "relay.failed")]
    liar.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A self-signed certificate with its key, and the SHA-256 of it."""
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-days", "2", "-subj", "/CN=operator"]
    subprocess.run([*command, "-keyout", path, "-out", f"{path}.crt"], check=True, capture_output=True)
    with path.open("ab") as file:
        file.write((path.parent / "both.pem.crt").read_bytes())
    der = subprocess.run(
        ["openssl", "x509", "-in", f"{path}.crt", "-outform", "DER"], check=True, capture_output=True
    ).stdout
    return path, sha256(der).digest()


def test_over_tls_the_policy_names_the_certificate(gate, certificate):
    """The pinned one counts; another, or one nobody vouches for, is nobody."""
    path, digest = certificate
    with Operator(certificate=path) as operator:
        assert at_the_gate(gate, operator, certificate=bytes(32)) == ("refer", "relay.failed")
        assert at_the_gate(gate, operator) == ("refer", "relay.failed")
        assert operator.asked == []
        assert at_the_gate(gate, operator, certificate=digest) == GREEN
