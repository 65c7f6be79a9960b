"""The seven systems at a gate: live codes recognised and never green, fallbacks that are verdicts of their own."""

import base64
from pathlib import Path

import pytest

from edge.authority.profiles import profiles
from edge.credentials.document_number import is_document_number
from edge.credentials.server_token import FAMILIES
from edge.gate.bus import Command
from edge.gate.formats import load_formats
from edge.gate.staff import Staff
from edge.model.verdict import Outcome, Reason
from edge.policy.examine import Context, NobodySeen, examine
from edge.words.catalogue import has_label
from tests.simulators.world import NOW, PLACE, TRUST, at
from tests.unit.test_gate_line import Gate

SEVEN = {"11", "44", "50", "6101", "nhc", "trip", "cn"}
NATIONAL = base64.b64encode((b"\x00" * 10 + b"JKM1440000GBGS").ljust(201, b"\x01"))
LIVE = {
    "yuekang": (b'{"label":"yss","data":"x"}', "44"),
    "nhc": (b"A" * 64 + b":1", "nhc"),
    "jkm": (NATIONAL, "cn"),
    "trip_card": (b"https://xc.caict.ac.cn/?code=1", "trip"),
    "yukang": (b"https://ykm.cq.gov.cn/code?codeId=1", "50"),
    "one_code_pass": (b"https://yqpt.xa.gov.cn:8443/code#1", "6101"),
    "beijing_health_kit": (b"http://JKB.Beijing.gov.cn", "11"),
}
NUMBER = b"11010519491231002X"
"""The example of GB 11643-1999 itself, nobody's."""


def verdict(raw, trust=TRUST):
    return examine(raw, Context(load_formats(), trust, at(NOW), PLACE, NobodySeen()))


@pytest.mark.parametrize("family", LIVE)
def test_a_live_code_is_recognised_named_and_referred(family):
    """T0: never green, with the system's name in both languages."""
    raw, issuer = LIVE[family]
    found = verdict(raw)

    assert (found.outcome, found.reason) == (Outcome.REFER, Reason.CREDENTIAL_SERVER_TOKEN)
    assert found.details == {"family": family}
    assert found.presentation.issuer == issuer
    assert has_label(f"family.{family}")


def test_every_system_has_a_family_and_a_profile():
    """Seven rows, seven profiles, a family for each."""
    assert set(LIVE) == set(FAMILIES)
    assert {issuer for _, issuer in LIVE.values()} == SEVEN == {profile.id for profile in profiles()}
    for profile in profiles():
        assert set(profile.names) == {"zh", "en"}
        assert profile.statuses


@pytest.mark.parametrize(
    "raw",
    [
        b"https://cq.gov.cn.example.com/",
        b"https://cq.gov.cn@example.com/",
        b"https://evilcq.gov.cn",
        b"https://example.com/?u=https://xa.gov.cn/",
        b"ftp://xa.gov.cn/",
        b"xa.gov.cn",
        b"https:// xa.gov.cn/",
        b"https://xa.gov.cn\x00.example.com/",
    ],
)
def test_a_link_that_only_looks_like_an_operators_is_no_live_code(raw):
    """Whole host names count."""
    assert verdict(raw).reason is Reason.CREDENTIAL_FOREIGN


def test_a_document_number_is_a_referral_of_its_own():
    """T3: read by a hand scanner; it says who, and nothing of health."""
    found = verdict(NUMBER)

    assert (found.outcome, found.reason, found.details) == (
        Outcome.REFER,
        Reason.MANUAL_DOCUMENT,
        {"family": "resident_id"},
    )


def test_every_one_character_change_of_a_document_number_is_another_code():
    """Its check character finds each (ISO 7064 MOD 11-2), so a misread one is said to be none."""
    for place in range(len(NUMBER)):
        for char in b"0123456789X":
            changed = NUMBER[:place] + bytes((char,)) + NUMBER[place + 1 :]
            assert is_document_number(changed) == (changed == NUMBER)


@pytest.mark.parametrize("raw", [b"", b"1" * 18, b"110105194913310025", b"x" * 18, b"\xff" * 18, NUMBER + b"\n"])
def test_what_is_no_document_number_is_foreign(raw):
    """Impossible dates and lengths included."""
    assert not is_document_number(raw)
    assert verdict(raw or b"\0").reason is Reason.CREDENTIAL_FOREIGN


@pytest.fixture
def gate(tmp_path):
    made = Gate(tmp_path)
    made.line._formats = load_formats()
    made.answers = []
    made.staff = Staff(made.line, None, preview=lambda: None, report=dict, slip=str)
    yield made
    made.log.close()


def ask(gate, **body):
    gate.staff.serve(Command({"cmd": "manual", **body}, gate.answers.append))
    return gate.answers[-1]


def test_a_typed_number_is_recorded_as_its_own_verdict_and_kept_nowhere(gate, tmp_path):
    """The page gets the verdict as of any code; no file of the gate holds the number."""
    assert ask(gate, way="document", number=" 11010519491231002x ") == {"ok": True, "seq": 1}
    assert [(event["outcome"], event["reason"], event["seq"]) for event in gate.heard.events] == [
        ("refer", "manual.document", 1)
    ]
    gate.log.close()
    held = b"".join(path.read_bytes() for path in Path(tmp_path).rglob("*") if path.is_file())

    assert NUMBER[:17] not in held
    assert "1949" not in repr(gate.heard.events)


def test_a_registration_by_hand_is_a_verdict_too(gate):
    """Nobody is let in beside the log."""
    assert ask(gate, way="registration")["ok"]
    assert [(one.outcome, one.reason) for one in gate.facts()] == [(2, "manual.registration")]


@pytest.mark.parametrize(
    "body", [{}, {"way": "document"}, {"way": "document", "number": 1}, {"way": ["x"], "number": ""}]
)
def test_a_mistyped_number_is_answered_and_not_recorded(gate, body):
    """Staff are asked to look again."""
    assert ask(gate, **body)["code"] == "number"
    assert gate.facts() == []
