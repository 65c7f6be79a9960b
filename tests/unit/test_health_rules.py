"""Business rules of health certificates: which count, what they come to, and what may not be published (ADR 0054)."""

from dataclasses import replace

import pytest

from edge.credentials import hcert
from edge.errors import TrustError
from edge.model.credential import PassKind
from edge.model.moment import ClockQuality
from edge.model.verdict import Outcome, Reason
from edge.policy import health, plain
from edge.policy.compare import changes, situations, under
from edge.policy.examine import examine
from edge.policy.steps import explain
from edge.trust import coherence, paths, snapshot
from edge.trust.fields import Document, iso
from edge.trust.health_rules import health_rules
from tests.simulators.foreign import believing, hcert_claims, make_hcert
from tests.simulators.health_rules import AGENT, published, rule, ruled, sampled
from tests.simulators.repository import NOW as PUBLISHED
from tests.simulators.repository import document, small_targets
from tests.simulators.world import DAY, NOW, TRUST, at, context

HOUR = 3600
OLD, NEW = NOW - 73 * HOUR, NOW - 71 * HOUR
TRUE, FALSE = ({"===": [1, number]} for number in (1, 2))


def shown(taken=NEW, **changes) -> bytes:
    """The code of a test certificate."""
    return make_hcert(hcert_claims(sampled(taken, **changes)))


def judged(*rows, code=None, moment=None, **options):
    """Outcome, reason and the rule named, of a fresh test."""
    world = context(trust=ruled(believing(), *rows, **options), moment=moment or at(NOW))
    found = examine(code or shown(), replace(world, formats=(*world.formats, hcert.FORMAT)))
    return found.outcome.name.lower(), str(found.reason), found.details.get("rule")


def test_a_test_older_than_its_rule_is_rejected_by_the_rules_name_to_the_second():
    """At 72 hours less a second it passes, at 72 hours it does not."""
    assert judged(rule(), code=shown(NOW - 72 * HOUR + 1)) == ("accept", "ok", None)
    assert judged(rule(), code=shown(NOW - 72 * HOUR)) == ("reject", "rule.failed", "TR-AT-0001 1.0.0")


def test_the_policy_may_refer_for_a_broken_rule():
    """The outcome is the policy's."""
    assert judged(rule(), code=shown(OLD), outcome="refer") == ("refer", "rule.failed", "TR-AT-0001 1.0.0")


def test_the_verdict_carries_the_rules_words_in_both_languages():
    """And none where no rule was broken."""
    trust = ruled(believing(), rule())
    world = context(trust=trust, moment=at(NOW))
    world = replace(world, formats=(hcert.FORMAT,))

    assert examine(shown(OLD), world).rule_says["zh"] == "采样须在72小时内。"
    assert examine(shown(NEW), world).rule_says is None


@pytest.mark.parametrize(
    "logic",
    [
        {"plusTime": [{"var": "payload.t.0.sc"}, 0, "day"]},
        {"var": "payload.t.0.tg"},
        {"<": [{"var": "payload.t.0.tg"}, 3]},
        {"plusTime": [{"var": "payload.t.0.missing"}, 0, "day"]},
        {"plusTime": ["9999-12-31", 9999999, "day"]},
        {"reduce": [{"var": "payload"}, True, True]},
        {"reduce": [{"var": "payload.t"}, [{"var": "accumulator"}, {"var": "accumulator"}], {"var": ""}]},
    ],
    ids=["a time", "a text", "types", "a member that is not there", "the calendar", "no list", "all there is"],
)
def test_a_rule_that_does_not_come_to_true_or_false_refers_and_never_admits(logic):
    """An error of evaluation is nobody's fault at the gate, and nobody is admitted for it."""
    assert judged(rule(logic=logic)) == ("refer", "rule.undecided", "TR-AT-0001 1.0.0")


def test_a_rule_that_fails_counts_before_one_that_could_not_be_told():
    """A refusal is not softened by an error beside it."""
    rows = rule(logic={"<": ["a", 3]}), rule("TR-AT-0002", FALSE)

    assert judged(*rows) == ("reject", "rule.failed", "TR-AT-0002 1.0.0")


def test_all_rules_of_one_certificate_share_their_steps():
    """Each alone is within the bounds, together they are not: referred."""
    codes = tuple(str(number) for number in range(4000))
    heavy = [{"in": ["no", {"var": "external.valueSets.disease-agent-targeted"}]} for _ in range(4)]
    rows = [rule(f"TR-AT-{number:04}", {"!": [{"if": [{"and": [{"!": [one]} for one in heavy]}, False, True]}]})
            for number in range(1, 20)]  # fmt: skip
    trust = replace(ruled(believing(), rows[0]), health_rules=health_rules(published(*rows, codes=codes)))
    world = replace(context(trust=trust, moment=at(NOW)), formats=(hcert.FORMAT,))

    assert examine(shown(), world).reason is Reason.RULE_UNDECIDED


def test_a_clock_in_doubt_decides_no_rule_and_refers():
    """An age by that clock would be a guess."""
    moment = at(NOW, ClockQuality.DOUBTFUL)

    assert judged(rule(), code=shown(OLD), moment=moment)[:2] == ("refer", "clock.doubtful")


ROWS = (
    rule("TR-AT-0001", TRUE),
    rule("GR-AT-0001", FALSE),
    rule("VR-AT-0001", FALSE),
    rule("TR-DE-0001", FALSE),
    rule("IR-AT-0001", FALSE),
    rule("IR-DE-0001", FALSE),
)


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (("TR-AT-0001",), "ok"),
        (("TR-AT-0001", "GR-AT-0001"), "rule.failed"),
        (("TR-AT-0001", "VR-AT-0001"), "ok"),
        (("TR-AT-0001", "TR-DE-0001"), "ok"),
        (("TR-AT-0001", "IR-AT-0001"), "rule.failed"),
        (("TR-AT-0001", "IR-DE-0001"), "ok"),
        (("VR-AT-0001", "IR-DE-0001"), "rule.undecided"),
        (("IR-AT-0001",), "rule.undecided"),
        ((), "rule.undecided"),
    ],
)
def test_rules_count_by_country_of_arrival_country_of_issue_and_type(names, wanted):
    """Acceptance rules of where one arrives, invalidation rules of who issued; with none in force nobody decided."""
    assert judged(*(row for row in ROWS if row["Identifier"] in names))[1] == wanted


def test_of_a_rule_the_latest_version_in_force_counts_to_the_second():
    """A version to come does not count yet; one that ends lets the one before it count again."""
    first = rule(logic=TRUE)
    second = rule(logic=FALSE, Version="1.10.0", ValidFrom=iso(NOW), ValidTo=iso(NOW + HOUR))
    third = rule(logic=TRUE, Version="1.9.0", ValidFrom=iso(NOW - DAY))
    for seconds, wanted in ((-1, "ok"), (0, "rule.failed"), (HOUR, "rule.failed"), (HOUR + 1, "ok")):
        code = shown(NOW)
        found = judged(second, first, third, code=code, moment=at(NOW + seconds))
        assert found[1] == wanted, seconds


def test_other_kinds_and_other_formats_are_asked_by_no_rule():
    """A policy that names tests says nothing of vaccinations."""
    assert judged(rule("TR-AT-0001", FALSE), code=make_hcert())[1] == "ok"


def test_rules_read_value_sets_the_clock_and_the_signed_times():
    """What the specification names `external`."""
    times = {name: {"plusTime": [{"var": f"external.{name}"}, 0, "day"]} for name in ("iat", "validationClock", "exp")}
    logic = {
        "and": [
            AGENT,
            {"===": [{"var": "external.countryCode"}, "AT"]},
            {"===": [{"var": "external.issuerCountryCode"}, "AT"]},
            {"before": [times["iat"], times["validationClock"], times["exp"]]},
        ]
    }

    assert judged(rule(logic=logic))[1] == "ok"
    assert judged(rule(logic=logic), code=shown(tg="1"))[1] == "rule.failed"


def test_the_matrix_comes_before_a_rule():
    """What it does not accept is told by its own reason."""
    trust = ruled(believing(outcome="refer"), rule())
    world = replace(context(trust=trust, moment=at(NOW)), formats=(hcert.FORMAT,))

    assert examine(shown(OLD), world).reason is Reason.HEALTH_NONE


def test_the_steps_name_the_rules_asked_and_the_one_that_decided():
    """`edge verify --explain` and `edge policy try`."""
    world = context(trust=ruled(believing(), rule(), rule("GR-AT-0001", TRUE)), moment=at(NOW))
    _, steps = explain(shown(OLD), replace(world, formats=(hcert.FORMAT,)))
    last = steps[-1]

    assert (last.name, str(last.state), last.found["rule"]) == ("rules", "decided", "TR-AT-0001 1.0.0")
    assert last.found["counted"] == ["GR-AT-0001 1.0.0", "TR-AT-0001 1.0.0"]


@pytest.mark.parametrize(("language", "said"), [("en", "at most 72 hours ago"), ("zh", "采样须在72小时内")])
def test_a_policy_tells_its_rules_in_the_words_of_their_country(language, said):
    """What is in force, of the kinds it names."""
    trust = ruled(believing(), rule(), rule("VR-AT-0001", TRUE), rule("TR-AT-0002", ValidTo=iso(NOW)))
    told = plain.health_rules(trust.policy, trust.health_rules, language, NOW + 1)
    admits = plain.sentences(trust.policy, language, dict.fromkeys(plain.times_of(trust.policy), "-"))

    assert [said in line for line in told] == [True]
    assert any("AT" in line for line in admits)


def test_policies_with_and_without_rules_are_compared():
    """`edge policy diff` walks national passes, on which no rule speaks."""
    trust = ruled(believing(), rule())
    plain_one = under(trust, TRUST.policy)
    other = under(plain_one, replace(TRUST.policy, rules=trust.policy.rules))

    assert list(changes(plain_one, other, situations(plain_one, other))) == []


def nested(depth):
    """`reduce` over two within `reduce` over two, and so on."""
    tree = True
    for _ in range(depth):
        tree = {"reduce": [[1, 2], tree, True]}
    return tree


def deep(depth):
    """`!` around `!`."""
    tree = True
    for _ in range(depth):
        tree = {"!": [tree]}
    return tree


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (rule(logic={"launch": [1]}), "Logic is refused.*launch"),
        (rule(logic=deep(60)), "Logic is refused: .*deeper"),
        (rule(logic={"in": [1, [1] * 5000]}), "Logic is refused: .*4096"),
        (rule(logic=nested(14)), "Logic takes more than"),
        (rule(logic={"reduce": [{"var": "payload.t"}, nested(12), True]}), "Logic takes more than"),
        (rule(logic={"in": ["x", {"var": "external.valueSets.colours"}]}), "value set 'colours'"),
        (rule(logic={"===": [{"var": "payload.nam.fnt"}, "MUELLER"]}), "single out a person"),
        (rule(logic={"===": [{"extractFromUVCI": [{"var": "payload.t.0.ci"}, 1]}, "X"]}), "single out"),
        (rule(logic={"===": [{"var": "payload.dob"}, "1990-01-01"]}), "single out"),
        (rule(logic={"reduce": [[1], {"===": [{"var": "data.payload.nam.fn"}, "A"]}, True]}), "single out"),
        (rule(Engine="REGO"), "Engine"),
        (rule(EngineVersion="1.4.0"), "EngineVersion"),
        (rule(SchemaVersion="2.0.0"), "SchemaVersion"),
        (rule(Version="1"), "Version"),
        (rule(Version=1), "Version"),
        (rule(Type="Maybe"), "Type"),
        (rule(CertificateType="Vaccination"), "Identifier must begin with VR-AT"),
        (rule(Country="DE"), "Identifier must begin with TR-DE"),
        (rule(Identifier="TR-AT-1"), "Identifier must be written"),
        (rule(Region="W"), "Region"),
        (rule(ValidTo=iso(NOW - 100 * DAY)), "ValidTo must be after"),
        (rule(ValidFrom="2021-07-02"), "ValidFrom"),
        (rule(Description=[]), "Description must have one in English"),
        (rule(Description=[{"lang": "en", "desc": "\x1b[31m"}]), "desc must be a printable text"),
        (rule(Description="words"), "Description must be a list"),
        (rule(AffectedFields="t"), "AffectedFields"),
    ],
)
def test_a_rule_that_may_not_be_published_is_named_by_its_row(row, said):
    """One reader at authority and gate: what one refuses to sign the other refuses to load."""
    with pytest.raises(TrustError, match=rf"rules\[1\]( Description\[0\])?: .*{said}|rules\[1\].*: {said}"):
        health_rules(published(rule("GR-AT-0001"), row))


def test_an_age_may_be_made_of_a_date_of_birth():
    """Minors are a class of people; the date itself is compared with nothing."""
    logic = {"if": [{"var": "payload.dob"},
                    {"before": [{"dccDateOfBirth": [{"var": "payload.dob"}]},
                                {"plusTime": [{"var": "external.validationClock"}, -18, "year"]}]}, False]}  # fmt: skip

    assert judged(rule(logic=logic))[1] == "ok"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "Version stands twice"),
        ({"Version": "0.9.0", "ValidFrom": iso(NOW)}, "lies before"),
        ({"Version": "1.0.1", "ValidFrom": iso(NOW - 101 * DAY)}, "lies before"),
    ],
)
def test_versions_of_a_rule_contradict_each_other_nowhere(changes, said):
    """None twice, and the next begins with the last or after it."""
    with pytest.raises(TrustError, match=said):
        health_rules(published(rule(), rule(**changes)))


def test_a_gate_loads_no_publication_whose_policy_has_no_rules_to_go_by():
    """It keeps the trust it has; at the authority it is an error of publication."""
    for rows in ((), (rule("VR-AT-0001", TRUE),), (rule("TR-DE-0001", TRUE),), (rule("IR-AT-0001", TRUE),)):
        with pytest.raises(TrustError, match="certlogic wants the rules of AT for test"):
            coherence.check(ruled(believing(), *rows))
    coherence.check(ruled(believing(), rule("GR-AT-0001", TRUE)))


def test_a_snapshot_carries_the_rules_of_its_publication():
    """Read once, at load; a publication without them has none."""
    about = snapshot.Provenance(TRUST.versions, b"", PUBLISHED, PUBLISHED, PUBLISHED)
    rows = document(version=1, value_sets=[], rules=[rule()])
    without, having = (snapshot.build(about, {**small_targets(), **more}) for more in ({}, {paths.RULES: rows}))

    assert without.health_rules.acceptance == {}
    assert [one.name for one in having.health_rules.acceptance["AT"]] == ["TR-AT-0001 1.0.0"]
    with pytest.raises(TrustError, match=r"national/rules.json rules\[0\]: Logic"):
        snapshot.build(about, {**small_targets(), paths.RULES: document(value_sets=[], rules=[rule(logic=deep(90))])})


@pytest.mark.parametrize("text", [b"[" * 100_000, b'{"schema": 1, "rules": ' + b"[" * 50_000 + b"]" * 50_000 + b"}"])
def test_a_document_deeper_than_any_reader_is_refused(text):
    """Never a traceback."""
    with pytest.raises(TrustError):
        health_rules(Document(text, paths.RULES))


def test_a_certificate_is_unasked_where_nothing_is_published():
    """Without rules in the policy the way of a certificate costs one look at an empty list."""
    credential = hcert.FORMAT.parse(shown())

    assert health.use_for(credential, TRUST.policy.rules) is None
    assert Outcome.ACCEPT is examine(shown(), replace(context(trust=believing()), formats=(hcert.FORMAT,))).outcome
    assert credential.kind is PassKind.TEST
