"""What may pass: the policy's rules one by one."""

from dataclasses import replace
from types import MappingProxyType

import pytest

from edge.model.credential import PassKind, TravelClaims, VenueClaims
from edge.model.moment import ClockQuality
from edge.model.trust import MatrixRow
from edge.model.verdict import Outcome, Reason, Verdict
from edge.policy.decide import Place, Sighting, refused_outcome
from edge.policy.examine import examine
from tests.simulators import world
from tests.simulators.world import DAY, EXPIRES, ISSUED, NOW, TRUST, at, context, make_pass, person

LONG = (ISSUED, ISSUED + 90 * DAY)


def verdict(code=None, **options):
    found = examine(code or make_pass(), context(**options))
    return found.outcome.name.lower(), str(found.reason)


def with_policy(**changes):
    return replace(TRUST, policy=replace(TRUST.policy, **changes))


def test_a_green_pass_is_accepted():
    """The plain case."""
    assert verdict() == ("accept", "ok")


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (1, ("refer", "health.yellow")),
        (10, ("reject", "health.red")),
        (20, ("refer", "health.popup")),
        (30, ("refer", "health.unknown")),
        (77, ("reject", "matrix.unlisted")),
    ],
)
def test_a_status_means_what_the_matrix_says(status, expected):
    """Statuses beyond green get the matrix's outcome; an unlisted one is refused."""
    assert verdict(make_pass(person(status=status))) == expected


def test_the_most_local_row_of_the_matrix_decides():
    """A city may be stricter than the country."""
    here = MatrixRow("44", 0, "4401", "yellow", "refer")
    matrix = dict(TRUST.matrix) | {("44", 0): (*TRUST.matrix["44", 0], here)}
    trust = replace(TRUST, matrix=MappingProxyType(matrix))

    assert verdict(trust=trust) == ("refer", "health.yellow")
    assert verdict(trust=trust, place=Place("110101")) == ("accept", "ok")


def test_a_venue_pass_admits_nobody():
    """A poster is not a person."""
    assert verdict(make_pass(VenueClaims(b"v", 440106, "站"), PassKind.VENUE)) == ("refer", "kind.not_admitted")


def test_a_format_the_policy_does_not_name_is_refused():
    """Formats are admitted by name."""
    assert verdict(trust=with_policy(formats=frozenset())) == ("reject", "format.not_admitted")


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        (TravelClaims(14, bytes(6), 9, (110000,), b"abc"), ("accept", "ok")),
        (TravelClaims(14, bytes(6), 9, (110000, 610104), b"abc"), ("refer", "travel.listed_area")),
        (TravelClaims(7, bytes(6), 9, (110000,), b"abc"), ("refer", "travel.window")),
    ],
)
def test_a_travel_pass_is_held_against_the_listed_areas(claims, expected):
    """Places visited and the length of the window decide."""
    assert verdict(make_pass(claims, PassKind.TRAVEL)) == expected


def test_revoked_is_rejected_and_suspended_referred():
    """The status list decides by index."""
    assert verdict(make_pass(person(index=world.REVOKED))) == ("reject", "status.revoked")
    assert verdict(make_pass(person(index=world.SUSPENDED))) == ("refer", "status.suspended")


def test_a_long_lived_pass_outside_its_list_is_referred():
    """No answer about revocation is not a clean answer."""
    assert verdict(make_pass(person(index=999_999), validity=LONG)) == ("refer", "status.unavailable")
    assert verdict(make_pass(person(index=999_999))) == ("accept", "ok")


def test_stale_trust_refers_what_depends_on_revocation_and_nothing_else():
    """Short-lived passes stay accepted until trust is too old."""
    day_two = at(ISSUED + 2 * DAY)
    short = make_pass(validity=(ISSUED + 2 * DAY - 60, ISSUED + 3 * DAY - 60))

    assert verdict(make_pass(validity=LONG), moment=day_two) == ("refer", "status.stale")
    assert verdict(short, moment=day_two) == ("accept", "ok")


def test_a_pass_revoked_before_the_outage_stays_refused_on_stale_trust():
    """Stale lists still refuse what they already list."""
    code = make_pass(person(index=world.REVOKED), validity=LONG)

    assert verdict(code, moment=at(ISSUED + 20 * DAY)) == ("reject", "status.revoked")


def test_trust_that_is_too_old_refuses_everything():
    """After the policy's limit nothing is accepted."""
    day = ISSUED + 31 * DAY

    assert verdict(make_pass(validity=(day - 60, day + 60)), moment=at(day)) == ("reject", "trust.too_old")


def test_past_its_end_date_a_policy_admits_nobody():
    """A health emergency's machinery ends by itself."""
    trust = with_policy(ends_at=NOW)

    assert verdict(trust=trust) == ("reject", "policy.ended")


def test_without_trust_nothing_is_accepted():
    """An empty device refuses, with its own reason."""
    assert verdict(trust=None) == ("reject", "trust.missing")


def test_a_clock_ten_years_ahead_refers_and_rejects_nobody_for_time():
    """A doubted clock caps at refer; expiry and age cannot be told."""
    doubtful = at(ISSUED + 3650 * DAY, ClockQuality.DOUBTFUL)

    assert verdict(moment=doubtful) == ("refer", "clock.doubtful")
    assert verdict(make_pass(validity=(ISSUED, ISSUED + 399 * DAY)), moment=doubtful) == ("refer", "clock.doubtful")
    assert verdict(make_pass(person(index=world.REVOKED)), moment=doubtful) == ("reject", "status.revoked")


def test_a_clock_held_at_the_floor_downgrades_not_yet_valid_to_a_warning():
    """Behind signed time a pass from the real present is not refused."""
    later = make_pass(validity=(ISSUED + 50 * DAY, ISSUED + 51 * DAY))
    found = examine(later, context(at(ISSUED, ClockQuality.FLOOR)))

    assert (found.outcome, found.warnings) == (Outcome.ACCEPT, (Reason.TIME_NOT_YET_VALID,))
    assert verdict(later) == ("reject", "time.not_yet_valid")


class SeenAgo:
    def __init__(self, ago_s):
        self.ago_s = ago_s

    def seen(self, identity, moment):
        return Sighting(self.ago_s)


def test_a_pass_admitted_just_now_is_referred_with_the_time_since():
    """The repeat rule says how long ago."""
    found = examine(make_pass(), context(sightings=SeenAgo(180)))

    assert (found.outcome, found.reason, found.details) == (Outcome.REFER, Reason.REPEAT_RECENT, {"ago_s": 180})


def test_a_repeated_pass_that_is_revoked_is_still_rejected():
    """Repetition never softens a refusal."""
    code = make_pass(person(index=world.REVOKED))

    assert verdict(code, sightings=SeenAgo(1)) == ("reject", "status.revoked")


def test_server_tokens_are_named_and_referred_never_accepted():
    """Live codes of the regional systems cannot be checked offline."""
    import base64

    national = base64.b64encode((b"\x00" * 10 + b"JKM1440000GBGS").ljust(201, b"\x01"))
    for raw, family in [
        (b'{"label":"yss","data":"x"}', "yuekang"),
        (b'{"label":"yss","codeId":"x"}', "yuekang"),
        (b'{"codeId":"1a2b","time":1}', "yukang"),
        (b"a" * 64 + b":1", "nhc"),
        (b"A" * 64, "nhc"),
        (national, "jkm"),
    ]:
        found = examine(raw, context())

        assert (found.outcome, found.reason) == (Outcome.REFER, Reason.CREDENTIAL_SERVER_TOKEN)
        assert found.details == {"family": family}


@pytest.mark.parametrize(
    "raw",
    [b"", b"https://example.com", b"WIFI:S:x;;", b'{"label":"xss"}',
     b'{"codeId":1}', b'{"codeId":""}', b'["codeId"]', b"{" * 4000, b"[" * 4000, b"a" * 63, b"\xff\xfe",
     b"a" * 64 + b":12", b"A" * 268, b'{"label":' + b"9" * 4200 + b"}"],
)  # fmt: skip
def test_foreign_codes_are_refused_as_foreign(raw):
    """What belongs to no format gets its own answer."""
    assert verdict(raw or b"\x00") == ("reject", "credential.foreign")


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason is not Reason.OK])
def test_no_verdict_accepts_with_a_reason_other_than_ok(reason):
    """Such a verdict does not construct."""
    with pytest.raises(ValueError, match="accepts exactly"):
        Verdict(Outcome.ACCEPT, reason, is_authentic=True)

    assert refused_outcome(reason) is not Outcome.ACCEPT


def test_ok_without_a_verified_signature_does_not_construct():
    """Success is said, never implied."""
    with pytest.raises(ValueError, match="did not verify"):
        Verdict(Outcome.ACCEPT, Reason.OK)
    with pytest.raises(ValueError, match="no reason to refuse"):
        refused_outcome(Reason.OK)


def test_the_verdict_records_the_versions_it_was_made_under():
    """Policy and trust versions stand in every verdict."""
    found = examine(make_pass(validity=(ISSUED, EXPIRES)), context())

    assert (found.policy_version, found.trust_version) == (3, 9)
