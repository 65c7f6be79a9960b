"""`edge policy` and `edge verify --explain` as a person uses them, over a small authority."""

import json

import pytest
from click.testing import CliRunner

from edge.authority import issuers, profiles
from edge.authority.authority import init
from edge.authority.issue import issue_pass
from edge.authority.publish import publish
from edge.authority.requests import request
from edge.cli.main import edge
from edge.errors import EdgeError
from edge.model.credential import PassKind
from edge.trust import paths
from edge.words.catalogue import kind_names, label
from tests.simulators.repository import DAY, NOW

RULES = {
    "healths": ["green", "none"],
    "max_age_s": {"person": 3600},
    "conditions": [{"all_of": ["person", "travel"]}, {"any_of": ["visitor"], "optional": True}],
    "match_holder": ["person"],
    "hours": {"utc_offset": "+08:00", "open": [{"days": [1, 2, 3, 4, 5], "from": "06:00", "to": "22:00"}]},
}


def run(*words, code=0, given=None):
    done = CliRunner().invoke(edge, [str(word) for word in words], input=given)
    if done.exception is not None and isinstance(done.exception, EdgeError):
        raise done.exception
    assert done.exit_code == code, done.output
    return done.output


@pytest.fixture(scope="module")
def country(tmp_path_factory):
    """An authority of the seven systems, two drafts, a green pass of Xi'an."""
    folder = tmp_path_factory.mktemp("policy")
    authority = init(folder / "a", NOW)
    for profile in profiles.profiles():
        issuers.add_issuer(authority, profile, NOW)
    publish(authority, NOW)
    members = authority.sources.members(paths.POLICY)
    (folder / "plain.json").write_text(json.dumps(members))
    (folder / "ruled.json").write_text(json.dumps({**members, "schema": 2, "rules": RULES}))
    wanted = {"issuer": "6101", "surname": "张", "id_tail": "3416"}
    (folder / "pass.txt").write_text(issue_pass(authority, request(wanted, NOW)).code)
    return folder


@pytest.mark.parametrize("language", ["zh", "en"])
def test_explain_says_every_rule_and_leaves_no_hole(country, language):
    """One sentence a demand, in either language; with trust also what each issuer's statuses mean."""
    told = run("policy", "explain", country / "ruled.json", "--lang", language, "--trust", country / "a", "--at", NOW)
    plain = run("policy", "explain", country / "plain.json", "--lang", language, "--trust", country / "a", "--at", NOW)

    assert len(told.splitlines()) == len(plain.splitlines()) + 6
    assert not set(told) & set("{}[]?")
    assert ("Open on days 1,2,3,4,5" if language == "en" else "06:00 至 22:00") in told
    assert ("Xi'an One-Code-Pass (6101)" if language == "en" else "西安一码通 (6101)") in told


@pytest.mark.parametrize("kind", PassKind)
@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_kind_of_pass_has_a_name_in_words(language, kind):
    """None is left as the program writes it."""
    assert kind_names(language, kind.name.lower()) == label(language, f"kind.{int(kind)}")


def test_explain_says_what_a_copy_is(country, tmp_path):
    """That a bound pass counts only live is said always; a row adds what it refuses and demands."""
    members = json.loads((country / "plain.json").read_text())
    row = {"issuer": "44", "kinds": ["person"], "copied": "reject", "unbound": "refer", "nonce": True}
    other = {"issuer": "", "kinds": ["travel"], "copied": "refer", "unbound": "reject", "nonce": False}
    (tmp_path / "live.json").write_text(json.dumps({**members, "live": [row, other]}))

    plain = run("policy", "explain", country / "plain.json")
    told = run("policy", "explain", tmp_path / "live.json")

    assert "A pass bound to a phone counts only as the phone shows it" in plain
    assert set(told.splitlines()) - set(plain.splitlines()) == {
        "A copy of these is refused, of issuer 44: Person pass.",
        "Bound to no phone these go to the desk, of issuer 44: Person pass.",
        "Bound to no phone these are refused, whoever issued them: Travel pass.",
        "The phone has to answer the gate's digits, of issuer 44: Person pass.",
    }


def test_explain_of_a_policy_with_a_next_says_both(country, tmp_path):
    """What follows is said after what is in force, with its time."""
    members = json.loads((country / "plain.json").read_text())
    members.pop("schema")
    following = {**members, "version": 2, "effective_at": "2026-03-01T00:00:00Z", "travel_days": 3}
    (tmp_path / "next.json").write_text(json.dumps({**members, "next": following}))

    told = run("policy", "explain", tmp_path / "next.json")

    assert "It holds from 2026-03-01T00:00:00Z on." in told
    assert told.index("Then follows") < told.index("It holds from")
    assert told.index("covers at least 14 days") < told.index("covers at least 3 days")


@pytest.mark.parametrize(
    ("content", "row"),
    [
        ("{", "strict JSON"),
        ("[]", "not a JSON object"),
        ('{"rules": {}, "rules": {}}', "strict JSON"),
        ('{"rules": {"hours": 1}}', "purpose is missing"),
    ],
)
def test_a_draft_that_is_none_is_named_by_its_row(tmp_path, content, row):
    """As when it would be published."""
    (tmp_path / "draft.json").write_text(content)

    with pytest.raises(EdgeError, match=row):
        run("policy", "explain", tmp_path / "draft.json")


def test_a_draft_with_a_mistyped_rule_is_refused(country, tmp_path):
    """Whoever writes it is told; a rule that is not read would hold nobody up."""
    members = json.loads((country / "ruled.json").read_text())
    members["rules"]["helths"] = ["green"]
    (tmp_path / "draft.json").write_text(json.dumps(members))

    with pytest.raises(EdgeError, match="helths is not a member"):
        run("policy", "explain", tmp_path / "draft.json")


@pytest.mark.parametrize(
    ("draft", "at", "decided"),
    [
        ("plain.json", NOW + 60, ("accept", "ok", "rules")),
        ("ruled.json", NOW + 60, ("refer", "condition.pending", "rules")),
        ("ruled.json", NOW + 3601, ("refer", "time.too_old", "rules")),
        ("ruled.json", NOW + DAY, ("reject", "time.expired", "time")),
    ],
)
def test_try_gives_the_verdict_and_the_step_that_decided(country, draft, at, decided):
    """A draft over the trust in force."""
    words = ("policy", "try", country / draft, country / "pass.txt", "--trust", country / "a", "--at", at)
    row = json.loads(run(*words, "--json", code=0 if decided[0] == "accept" else 1))

    assert (row["outcome"], row["reason"], row["decided_by"]) == decided
    assert f"decided by: {decided[2]}" in run(*words, code=0 if decided[0] == "accept" else 1)


def test_diff_of_a_policy_with_itself_finds_nothing(country):
    """Nothing changes, and something was compared."""
    told = json.loads(
        run("policy", "diff", *[country / "ruled.json"] * 2, "--trust", country / "a", "--at", NOW, "--json")
    )

    assert (told["changed"], told["changes"]) == (0, [])
    assert told["compared"] > 1000


def test_diff_finds_what_one_rule_changes_and_nothing_else(country, tmp_path):
    """Only travel passes change where only the listed areas do."""
    members = json.loads((country / "plain.json").read_text())
    (tmp_path / "b.json").write_text(json.dumps({**members, "listed_areas": ["6101"]}))
    words = (
        "policy",
        "diff",
        country / "plain.json",
        tmp_path / "b.json",
        "--trust",
        country / "a",
        "--at",
        NOW,
        "--json",
    )
    changes = json.loads(run(*words))["changes"]

    assert {(row["what"], row["after"]) for row in changes} == {
        ("cn travel", "refer travel.listed_area"),
        ("trip travel", "refer travel.listed_area"),
    }


def test_diff_over_a_corpus_of_codes(country, tmp_path):
    """A folder of real passes: which of them get another verdict."""
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "1.txt").write_text((country / "pass.txt").read_text())
    words = ("policy", "diff", country / "plain.json", country / "ruled.json", "--trust", country / "a")
    told = run(*words, "--corpus", tmp_path / "corpus", "--at", NOW + 60)

    assert "1.txt: accept ok -> refer condition.pending" in told
    assert "1 of 1 change" in told


def test_verify_explain_prints_ten_steps(country):
    """In words and as JSON."""
    words = ("verify", "--explain", "--trust", country / "a", "--at", NOW + 60, country / "pass.txt")
    row = json.loads(run(*words, "--json"))

    assert [step["step"] for step in row["steps"]][:5] == ["decode", "parse", "trust", "key", "signature"]
    assert row["steps"][-1]["state"] == "decided"
    assert len(run(*words).splitlines()) == 11
