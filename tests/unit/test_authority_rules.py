"""Business rules at the authority: files of a country read, rows named, published, told in words, asked by a gate."""

import json

import pytest
from click.testing import CliRunner

from edge.authority.authority import Authority
from edge.cli.authority_ceremony import now
from edge.cli.main import edge
from edge.errors import EdgeError, PublicationError
from edge.trust import paths
from tests.simulators.foreign import Signer, hcert_claims, make_hcert
from tests.simulators.health_rules import AGENT, AGENTS, rule, sampled
from tests.unit.test_authority_key_sets import b64

NOW = now()
HOUR, DAY = 3600, 86_400
KID = "dcc-key-1"
LATEST = {"ValidFrom": "2021-07-01T00:00:00Z", "ValidTo": "2099-01-01T00:00:00Z"}


def run(*words, code=0):
    """`edge ...`."""
    done = CliRunner().invoke(edge, [str(word) for word in words])
    if isinstance(done.exception, EdgeError):
        raise done.exception
    assert done.exit_code == code, done.output
    return done.output


def written(folder, content, name="rules.json"):
    """A file of rules."""
    file = folder / name
    file.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return file


@pytest.fixture
def folder(tmp_path):
    """A new authority that believes Austria's key for tests and admits its certificates."""
    made, public = tmp_path / "authority", Signer().public
    run("authority", "init", made)
    key = {"kty": "EC", "crv": "P-256", "alg": "ES256", "kid": KID, "x": b64(public[1:33]), "y": b64(public[33:])}
    file = written(tmp_path, {"keys": [key]}, "jwks.json")
    run(*("authority", "anchors", "add", made, file, "--issuer", "dcc", "--format", "hcert", "--claimed", "AT"),
        *("--kind", "test", "--name-zh", "欧盟", "--name-en", "EU", "--outcome", "accept"))  # fmt: skip
    return made


def policy(folder, **rules):
    """A draft that admits tests under some rules."""
    members = Authority.open(folder).sources.members(paths.POLICY)
    del members["schema"], members["version"]
    kinds = sorted({*members["kinds"], "test"})
    wanted = {**members, "formats": ["hp1", "hcert"], "kinds": kinds}
    file = folder.parent / "policy.json"
    file.write_text(json.dumps({**wanted, **({"rules": rules} if rules else {})}))
    return file


AUSTRIA = {"kinds": ["test"], "country": "AT", "outcome": "reject"}


def imported(folder, *rows):
    """What the command says of an import."""
    file = written(folder.parent, list(rows))
    return json.loads(run("authority", "rules", "import", folder, file, "--json"))


def certificate(folder, hours):
    """A file with the certificate of a test taken some hours ago."""
    claims = hcert_claims(sampled(NOW - hours * HOUR), iat=NOW - hours * HOUR, exp=NOW + DAY)
    return written(folder.parent, make_hcert(claims, protected={1: -7, 4: KID.encode()}), f"{hours}.txt")


def test_rules_and_value_sets_are_brought_in_once(folder):
    """A second import of the same changes nothing but the version of the document."""
    rows = AGENTS, rule(logic=AGENT), rule("VR-AT-0001")

    assert imported(folder, *rows) == {"version": 1, "rules": 2, "value_sets": 1}
    assert imported(folder, *rows) == {"version": 2, "rules": 0, "value_sets": 0}
    told = [json.loads(line) for line in run("authority", "rules", "list", folder, "--json").splitlines()]
    assert [row.get("rule") for row in told] == ["TR-AT-0001", "VR-AT-0001", None]
    assert "at most 72 hours" in run("authority", "rules", "list", folder)


def test_times_descriptions_and_empty_members_take_the_published_form(folder):
    """As the gateways of countries write them: zones, fractions, languages, line breaks."""
    said = [{"lang": "en", "desc": "At most\n 72 hours."}, {"lang": "de", "desc": "Höchstens 72 Stunden."}]
    row = rule(ValidFrom="2021-07-05T04:00:00.000+02:00", ValidTo="2030-06-01", Region=None, Description=said)
    file = written(folder.parent, row)

    assert "left out: de" in run("authority", "rules", "import", folder, file)
    (found,) = Authority.open(folder).sources.members(paths.RULES)["rules"]
    assert (found["ValidFrom"], found["ValidTo"]) == ("2021-07-05T02:00:00Z", "2030-06-01T00:00:00Z")
    assert found["Description"] == [{"lang": "en", "desc": "At most 72 hours."}]
    assert "Region" not in found


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not strict JSON"),
        (b"\xff", "not strict JSON"),
        (b"[" * 100_000, "not strict JSON"),
        (b'{"Identifier": "TR-AT-0001", "Identifier": "x"}', "not strict JSON"),
        ([5], r"\[0\] is not a JSON object"),
        ([rule(), {"valueSetId": "x", "valueSetDate": "2021-04-27", "valueSetValues": []}], r"\[1\]: valueSetValues"),
        ([rule(), {"valueSetId": "../x", "valueSetDate": "2021-04-27", "valueSetValues": {}}], r"\[1\]: valueSetId"),
        ([rule(), {"valueSetId": "x", "valueSetDate": "now", "valueSetValues": {}}], r"\[1\]: valueSetDate"),
        ([rule(), rule("TR-AT-0002", AGENT)], r"\[1\]: Logic reads value set 'disease-agent-targeted'"),
        ([rule(), rule("TR-AT-0002", {"launch": []})], r"\[1\]: Logic is refused: .*launch"),
        ([rule(), rule("TR-AT-0002", Hash="00")], r"\[1\]: Hash is not a member"),
        ([rule(), rule("TR-AT-0002", ValidFrom=7)], r"\[1\]: ValidFrom"),
        ([rule(), rule("TR-AT-0002", Description=[{"lang": "en", "desc": 7}])], r"\[1\] Description\[0\]: desc"),
        ([rule(), {**rule(), "AffectedFields": ["t"]}], r"\[1\]: TR-AT-0001 1.0.0 is there and says something else"),
        ([rule(), rule(Version="1.0.1", ValidFrom="2021-01-01T00:00:00Z")], "lies before that of"),
    ],
)
def test_a_bad_row_is_named_and_nothing_is_changed(folder, content, said):
    """Any bytes, any row; what was there before stays."""
    imported(folder, rule("GR-AT-0001"))
    before = Authority.open(folder).sources.read(paths.RULES)

    with pytest.raises(PublicationError, match=said):
        run("authority", "rules", "import", folder, written(folder.parent, content))
    assert Authority.open(folder).sources.read(paths.RULES) == before


def test_of_a_file_of_many_countries_one_is_taken(folder):
    """A rule of another country that could not be published is in nobody's way; value sets come along."""
    file = written(folder.parent, [AGENTS, rule(), rule("TR-DE-0001", {"==": [1, 1]})])

    told = json.loads(run("authority", "rules", "import", folder, file, "--country", "AT", "--json"))
    assert told == {"version": 1, "rules": 1, "value_sets": 1}
    with pytest.raises(PublicationError, match='unrecognised operator: "=="'):
        run("authority", "rules", "import", folder, file)


def test_an_older_value_set_replaces_no_newer_one(folder):
    """The newer one replaces the older."""
    newer = {**AGENTS, "valueSetDate": "2022-01-01", "valueSetValues": {"1": {}, "2": {}}}

    assert imported(folder, AGENTS)["value_sets"] == imported(folder, newer)["value_sets"] == 1
    with pytest.raises(PublicationError, match="there is one of 2022-01-01"):
        imported(folder, AGENTS)


def test_a_rule_is_taken_out_by_name_or_by_version(folder):
    """One that is not there is an error with the next step."""
    imported(folder, rule(), rule(Version="1.0.1"), rule("VR-AT-0001"))

    run("authority", "rules", "remove", folder, "TR-AT-0001", "--version", "1.0.0")
    run("authority", "rules", "remove", folder, "VR-AT-0001")
    assert run("authority", "rules", "list", folder).startswith("TR-AT-0001 1.0.1")
    with pytest.raises(PublicationError, match="no rule VR-AT-0001"):
        run("authority", "rules", "remove", folder, "VR-AT-0001")


def test_no_publication_names_a_country_whose_rules_are_not_there(folder):
    """The publication fails with the row; with the rules it passes, and the policy takes schema 3 by itself."""
    run("authority", "set-policy", folder, policy(folder, certlogic=[AUSTRIA]))
    with pytest.raises(PublicationError, match="certlogic wants the rules of AT for test"):
        run("authority", "publish", folder)
    imported(folder, rule(**LATEST))

    run("authority", "publish", folder)
    assert Authority.open(folder).sources.members(paths.POLICY)["schema"] == 3
    run("authority", "rules", "remove", folder, "TR-AT-0001")
    with pytest.raises(PublicationError, match="certlogic wants the rules of AT for test"):
        run("authority", "publish", folder)


def test_no_publication_names_a_country_none_of_whose_rules_is_in_force(folder):
    """Gates would refer everybody; once one is in force it passes."""
    run("authority", "set-policy", folder, policy(folder, certlogic=[AUSTRIA]))
    imported(folder, rule(ValidFrom="2020-01-01T00:00:00Z", ValidTo="2021-01-01T00:00:00Z"))
    with pytest.raises(PublicationError, match="no rule of AT for test that is in force"):
        run("authority", "publish", folder)
    imported(folder, rule("GR-AT-0001", **LATEST))

    run("authority", "publish", folder)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({**AUSTRIA, "kinds": ["person"]}, "kinds must hold some of"),
        ({**AUSTRIA, "kinds": []}, "kinds must hold some of"),
        ({**AUSTRIA, "kinds": ["vaccination"]}, "does not admit"),
        ({**AUSTRIA, "country": "at"}, "country"),
        ({**AUSTRIA, "outcome": "accept"}, "outcome must be one of refer, reject"),
        ({**AUSTRIA, "surname": "x"}, "surname is not a member"),
    ],
)
def test_a_policys_row_that_could_not_count_is_refused(folder, row, said):
    """By the draft's reader already."""
    with pytest.raises(EdgeError, match=said):
        run("policy", "explain", policy(folder, certlogic=[row]))


def test_no_kind_stands_in_two_rows_and_the_format_is_admitted(folder):
    """Else two countries' rules would speak of one certificate, or of none."""
    with pytest.raises(EdgeError, match="has a kind that another row has"):
        run("policy", "explain", policy(folder, certlogic=[AUSTRIA, {**AUSTRIA, "country": "DE"}]))
    draft = json.loads(policy(folder, certlogic=[AUSTRIA]).read_text())
    with pytest.raises(EdgeError, match="certlogic needs hcert among formats"):
        run("policy", "explain", written(folder.parent, {**draft, "formats": ["hp1"]}))


def test_rules_are_told_tried_and_compared_before_they_are_signed(folder):
    """`edge policy explain`, `try` and `diff`, and `edge verify --explain` once they are published."""
    imported(folder, AGENTS, rule(**LATEST))
    run("authority", "set-policy", folder, policy(folder))
    run("authority", "publish", folder)
    plain = policy(folder).rename(folder.parent / "plain.json")
    ruled, old, fresh = policy(folder, certlogic=[AUSTRIA]), certificate(folder, 80), certificate(folder, 20)
    trust = ("--trust", folder)

    assert "TR-AT-0001 1.0.0：采样须在72小时内。" in run("policy", "explain", ruled, "--lang", "zh", *trust)
    tried = json.loads(run("policy", "try", ruled, old, "--json", *trust, code=1))
    assert (tried["outcome"], tried["decided_by"]) == ("reject", "rules")
    assert tried["steps"][-1]["rule"] == "TR-AT-0001 1.0.0"
    assert "at most 72 hours" in run("policy", "try", ruled, old, *trust, code=1)
    run("policy", "try", ruled, fresh, *trust)
    changed = json.loads(run("policy", "diff", plain, ruled, "--corpus", old, "--json", *trust))
    assert [(row["before"], row["after"]) for row in changed["changes"]] == [("accept ok", "reject rule.failed")]
    assert "with --corpus" in run("policy", "diff", plain, ruled, *trust)
    assert run("verify", old, *trust).startswith("ACCEPT")
    run("authority", "set-policy", folder, ruled)
    run("authority", "publish", folder)
    assert "rule TR-AT-0001 1.0.0" in run("verify", old, "--explain", *trust, code=1)
