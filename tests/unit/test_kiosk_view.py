"""What pages are shown: believed as little as its form allows, and nothing personal past a reject."""

import json
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.kiosk.link_file import Link, LinkFile, parse_link
from edge.kiosk.plain import plain_text, without_credentials
from edge.kiosk.report import shift_report
from edge.kiosk.view import state_view, strip_entry, verdict_view
from edge.model.finding import Finding, Severity
from tests.simulators.gate_socket import AT_MS, accept, aged, refer, reject, standing, verdict

GATE = "a7f3c09d"
HOSTILE = (
    "<script>alert(1)</script>",
    "\u202edrowssap\u202c\u2066\u2069",
    "a\u200bb\u200cc\u200dd\u2060e\ufeff",
    "Z" + "\u0308" * 400,
    "x" * 4096,
    "line\nbreak\ttab\0nul\x1b[31m",
    "\ud800lone",
    "𝒜" * 200,
)


def view_of(message: dict[str, Any]) -> dict[str, Any]:
    """Return a view under a fixed name."""
    return verdict_view(message, ident="r-1", gate=GATE)


def state_of(
    message: dict[str, Any] | None = None, *, elapsed_s: float = 0, link: Link | None = None
) -> dict[str, Any]:
    """Return a state view of a gate that is online unless told otherwise."""
    return state_view(message or standing(), elapsed_s=elapsed_s, link=link or Link("online", AT_MS, 3))


def codes(view: dict[str, Any]) -> list[tuple[str, str]]:
    """Return code and severity of each alert, in order."""
    return [(alert["code"], alert["severity"]) for alert in view["alerts"]]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_strangers_text_is_one_short_line_of_visible_signs(text: str) -> None:
    """Controls, overrides, zero-width signs and stacks of marks go, and the length is bounded."""
    shown = plain_text(text, 48)

    assert len(shown) <= 48
    assert shown.isprintable()
    assert not set(shown) & set("\u202e\u202c\u2066\u2069\u200b\u200c\u200d\u2060\ufeff")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("张＊伟", "张＊伟"),
        ("ABDUREHIM  TURSUN", "ABDUREHIM TURSUN"),
        ("བཀྲ་ཤིས", "བཀྲ་ཤིས"),
        ("José", "José"),
        ("x" * 49, "x" * 47 + "…"),
    ],
)
def test_an_honest_name_stays_as_it_is(text: str, shown: str) -> None:
    """Chinese, Uyghur, Tibetan and accented names are shown whole; only length cuts them, visibly."""
    assert plain_text(text, 48) == shown


@pytest.mark.parametrize("value", [None, 7, b"x", ["x"], {"x": 1}])
def test_what_is_no_text_is_empty(value: object) -> None:
    """A field of another type shows nothing."""
    assert plain_text(value, 48) == ""


def test_a_cameras_password_is_not_shown() -> None:
    """The user part of an address is taken out."""
    assert without_credentials("rtsp://admin:secret@10.0.0.5/1") == "rtsp://10.0.0.5/1"


def test_an_accept_shows_what_was_signed() -> None:
    """Masked name, birth year, ID tail, issuer, validity and the words of both languages go to the page."""
    view = view_of(accept(482))

    assert view["outcome"] == "accept"
    assert view["number"] == "A7F3-000482"
    assert view["holder"] == {"name": "张＊伟", "born": "1988", "tail": "3416"}
    assert view["issuer"] == {"en": "Xi'an One-Code Pass", "zh": "西安一码通"}
    assert view["words"]["zh"]["next"] == "核对证件后放行"
    assert view["facts"]["en"] == ["Not revoked", "Person pass", "green", "Xi'an, Shaanxi"]


def test_an_accept_whose_revocation_was_not_asked_does_not_claim_it() -> None:
    """With a downgraded status check the page does not say *not revoked*, and says which check it was."""
    view = view_of(accept(482, warnings=["status.stale"]))

    assert "Not revoked" not in view["facts"]["en"]
    assert view["warnings"][0]["en"] == "Revocation list too old"


def test_a_reject_carries_nothing_personal() -> None:
    """Whatever a scanner sends with a reject, no name, year, tail, region or validity goes on."""
    message = reject(483) | {"holder": {"name": "张＊伟", "birth_year": 1988, "id_tail": "3416"}}

    view = view_of(message)

    assert view["holder"] is None
    assert view["facts"] is None
    assert view["expires_at"] == 0
    assert not [text for text in ("张", "1988", "3416", "陕西省") if text in json.dumps(view, ensure_ascii=False)]


def test_a_status_that_is_not_green_is_shown_with_its_ground_and_law() -> None:
    """On a refer and on a reject, in both languages; an odd class says nothing more."""
    ground = {"class": "contact", "basis": {"zh": "某法", "en": "some law"}}
    for message in (
        verdict("refer", "health.yellow", 1, ground=ground),
        verdict("reject", "health.red", 2, ground=ground),
    ):
        words = view_of(message)["words"]

        assert words["en"]["detail"].endswith(" · Ground: contact of a case; some law")
        assert words["zh"]["detail"].endswith(" · 依据：病例接触者；某法")
    for odd in (None, 1, {}, {"class": "line"}, {"class": ["contact"]}, {"class": "moon", "basis": {}}):
        assert "Ground" not in view_of(verdict("refer", "health.yellow", 1, ground=odd))["words"]["en"]["detail"]


def test_a_broken_rule_is_shown_by_name_with_its_countrys_words() -> None:
    """In both languages, cut to what a screen holds; anything odd says nothing more."""
    says = {"zh": "采样须在72小时内。", "en": "The sample was taken at most 72 hours ago."}
    message = verdict("reject", "rule.failed", 1, details={"rule": "TR-AT-0001 1.0.0"}, rule_says=says)
    words = view_of(message)["words"]

    assert words["en"]["detail"].endswith(": TR-AT-0001 1.0.0 · The sample was taken at most 72 hours ago.")
    assert words["zh"]["detail"].endswith("：TR-AT-0001 1.0.0 · 采样须在72小时内。")
    for odd in (None, 1, [], {}, {"en": 5}, {"en": ""}):
        assert "·" not in view_of(message | {"rule_says": odd})["words"]["en"]["detail"]
    assert len(view_of(message | {"rule_says": {"en": "x" * 9999}})["words"]["zh"]["detail"]) < 260


def test_an_accept_tells_staff_what_to_compare() -> None:
    """Where the rules ask for it, the next step names the fields; never on a refusal."""
    match = ["surname", "id_tail", 7, "line", "moon"]

    assert view_of(accept(1, match=match))["words"]["en"]["next"] == "Compare: surname, end of the ID number"
    assert view_of(accept(1, match="surname"))["words"]["en"]["next"] == view_of(accept(1))["words"]["en"]["next"]
    assert "Compare: surname" not in view_of(refer(1, match=match))["words"]["en"]["next"]


def test_a_strip_entry_carries_nothing_personal() -> None:
    """What remains of a refer until it is acknowledged has no holder in it."""
    entry = strip_entry(view_of(refer(484)))

    assert set(entry) == {"id", "seq", "number", "outcome", "at_ms", "title"}
    assert "张" not in json.dumps(entry, ensure_ascii=False)


@pytest.mark.parametrize(
    ("changes", "outcome", "reason"),
    [
        ({"recorded": False}, "refer", "log.unwritable"),
        ({"recorded": "yes"}, "refer", "log.unwritable"),
        ({"recorded": None}, "refer", "log.unwritable"),
        ({"reason": "health.red"}, "refer", "unknown"),
        ({"reason": None}, "refer", "unknown"),
        ({"outcome": "ACCEPT"}, "refer", "unknown"),
        ({"outcome": None}, "refer", "unknown"),
        ({"outcome": ["accept"]}, "refer", "unknown"),
        ({"outcome": "reject"}, "reject", "unknown"),
    ],
)
def test_only_a_whole_recorded_accept_is_an_accept(changes: dict[str, Any], outcome: str, reason: str) -> None:
    """A message that accepts without being recorded, or contradicts itself, never becomes a green."""
    view = view_of(accept(485) | changes)

    assert (view["outcome"], view["reason"]) == (outcome, reason)


@pytest.mark.parametrize(
    ("together", "shown"), [(1, 1), (2, 2), (500, 99), (0, 2), (-1, 2), ("2", 2), (None, 2), (True, 2)]
)
def test_a_number_of_codes_that_cannot_be_read_is_two(together: object, shown: int) -> None:
    """Two codes show no green by themselves: in doubt the page waits for the other."""
    assert view_of(accept(486, together=together))["together"] == shown


def test_a_server_token_is_named_by_its_system() -> None:
    """An opaque live code has no issuer, and staff still read which system made it."""
    message = verdict("refer", "credential.server_token", 487, issuer_names={}, details={"family": "yuekang"})

    assert view_of(message)["issuer"]["en"] == "Guangdong Yuekang Code"


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_reaches_the_page_plain(name: str) -> None:
    """A signed name is still a stranger's text."""
    view = view_of(accept(488, holder={"name": name, "birth_year": 1988, "id_tail": name}, issuer_names={"zh": name}))

    json.dumps(view).encode("ascii")
    assert view["holder"]["name"].isprintable()
    assert len(view["holder"]["tail"]) <= 8


@pytest.mark.parametrize(
    "field",
    ["details", "issuer_names", "region_names", "holder", "warnings", "kind", "health", "seq", "at_ms", "expires_at"],
)
@pytest.mark.parametrize("junk", [None, [], {}, "x", -1, 1e300, True, [[[]]], {"a": {"b": 1}}, float("nan")])
def test_no_junk_in_a_field_raises(field: str, junk: object) -> None:
    """Each field of another type is left out, and the outcome stands."""
    assert view_of(accept(489) | {field: junk})["outcome"] == "accept"


def test_a_fresh_gate_that_is_online_has_no_alerts() -> None:
    """Nothing is wrong, so nothing is said."""
    view = state_of()

    assert codes(view) == []
    assert view["admitting"] is True
    assert view["texts"]["en"]["place"] == "西安北站 · Gate 3"
    assert view["texts"]["zh"]["trust"] == "信任数据 12 分钟前"


@pytest.mark.parametrize(
    ("age_s", "band", "expected"),
    [
        (93_600, "stale", [("trust.stale", "warning")]),
        (2_592_000, "too_old", [("trust.too_old", "stop")]),
        (0, "missing", [("trust.missing", "stop")]),
    ],
)
def test_the_age_of_trust_is_an_alert(age_s: int, band: str, expected: list[tuple[str, str]]) -> None:
    """Stale, too old and missing trust stand on the page even where no part reported a finding."""
    assert codes(state_of(aged(age_s, band))) == expected


def test_the_band_follows_the_age_while_no_state_comes() -> None:
    """A state that was fresh when it came turns stale on the page in its time."""
    message = aged(86_000, "fresh")

    assert codes(state_of(message, elapsed_s=399)) == []
    assert codes(state_of(message, elapsed_s=400)) == [("trust.stale", "warning")]


def test_the_stale_alert_says_how_old_and_what_to_do() -> None:
    """The banner has the age, the limit and the next step, and does not say that short-lived passes stop."""
    words = state_of(aged(93_600, "stale"))["alerts"][0]["words"]["en"]

    assert words["what"] == "Trust data is 26 h old (limit 24 h)"
    assert "Short-lived passes still pass" in words["why"]
    assert "update stick" in words["next"]


def test_a_short_outage_is_no_alert_and_a_long_one_is() -> None:
    """Offline stands in the header at once; the banner waits for the limit, because verdicts are not touched."""
    shortly = state_of(link=Link("offline", AT_MS - 720_000, 41, ({"code": "hub.unreachable"},)))
    long = state_of(link=Link("offline", AT_MS - 93_600_000, 1284))

    assert codes(shortly) == [("hub.unreachable", "info")]
    assert shortly["texts"]["en"]["link"] == "Offline 12 min"
    assert codes(long) == [("hub.unreachable", "warning")]
    assert "1,284 scans wait" in long["alerts"][0]["words"]["en"]["why"]


def test_a_policy_that_ended_stops_the_gate() -> None:
    """Past the policy's end the page says so as a stop."""
    message = standing()
    message["trust"] = message["trust"] | {"policy_ended": True}

    view = state_of(message)

    assert codes(view) == [("policy.ended", "stop")]
    assert view["admitting"] is False


def test_a_gate_that_does_not_admit_says_so_even_without_a_reason() -> None:
    """A state that stops without a finding is still a stop on the page."""
    view = state_of(standing(admitting=False))

    assert codes(view) == [("not_admitting", "stop")]
    assert view["admitting"] is False


def test_findings_of_all_parts_are_one_list_the_most_urgent_first() -> None:
    """A code reported twice stands once, with the worse severity."""
    message = standing(findings=[{"code": "disk.low", "severity": "warning", "params": {"free_bytes": 52_000_000}}])
    link = Link("online", AT_MS, 0, ({"code": "disk.low", "severity": "stop", "params": {}}, {"code": "hub.refused"}))

    view = state_of(message, link=link)

    assert codes(view) == [("disk.low", "stop"), ("hub.refused", "warning")]
    assert "52.0 MB" in view["alerts"][0]["words"]["en"]["what"]


def test_damage_stands_before_every_warning_and_behind_every_stop() -> None:
    """Whichever part says it and in whatever order: staff read the first without opening anything."""
    found = [
        {"code": "scanner.pyzbar_missing", "severity": "warning"},
        {"code": "source.finished", "severity": "info"},
        {"code": "gate.enrolment_damaged", "severity": "damage"},
        {"code": "camera.lost", "severity": "stop"},
    ]
    link = Link("never", AT_MS, 9, ({"code": "sync.failed"}, {"code": "gate.enrolment_damaged", "severity": "damage"}))

    orders = {tuple(codes(state_of(standing(findings=list(order)), link=link))[:2]) for order in permutations(found)}

    assert orders == {(("camera.lost", "stop"), ("gate.enrolment_damaged", "damage"))}


def test_damage_does_not_stop_the_gate() -> None:
    """It goes on admitting: what is damaged is not what it decides by."""
    view = state_of(standing(findings=[{"code": "gate.other_key", "severity": "damage"}]))

    assert view["admitting"] is True


def test_a_severity_of_a_later_version_is_a_warning() -> None:
    """It is shown, and hides nothing that is known to be worse."""
    later, known = {"code": "disk.low", "severity": "catastrophe"}, {"code": "gate.other_key", "severity": "damage"}

    view = state_of(standing(findings=[later, known]))

    assert codes(view) == [("gate.other_key", "damage"), ("disk.low", "warning")]


@pytest.mark.parametrize("junk", [None, 7, "x", [], {}, {"code": 7}, {"code": "x" * 999, "severity": [], "params": 7}])
def test_a_finding_that_is_none_is_an_unknown_one(junk: object) -> None:
    """Junk among the findings is named as unknown and hides none of the others."""
    message = standing(findings=[junk, {"code": "camera.lost", "severity": "stop"}])

    assert codes(state_of(message)) == [("camera.lost", "stop"), ("unknown", "warning")]


def test_the_web_parts_own_finding_is_said() -> None:
    """A page that was turned away stands among the findings."""
    ours = [Finding("web.clients_full", Severity.WARNING, {"limit": 4})]

    view = state_view(standing(), elapsed_s=0, link=Link("online"), ours=ours)

    assert view["alerts"][0]["words"]["en"]["what"] == "Too many screens open (limit 4)"


def test_without_a_scanner_part_the_gate_admits_nobody() -> None:
    """While the scanner part is away nothing of its last state holds."""
    view = state_view(None, elapsed_s=1e6, link=Link("offline", AT_MS, 5))

    assert view["connected"] is False
    assert view["admitting"] is False
    assert view["texts"]["en"]["backlog"] == "5 to upload"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"link": 7}',
        b'{"link": "x"}',
        b"[" * 70_000,
        b" " * 70_000,
        b"[" * 9000,
    ],
)
def test_a_link_file_that_is_none_is_an_unknown_link(raw: bytes) -> None:
    """Torn, foreign, deep or huge: the link is unknown, never the last good word."""
    assert parse_link(raw) == Link()


def test_a_link_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    """Missing, written, torn, gone: each state of the file is what the page says."""
    path = tmp_path / "link.json"
    file = LinkFile(path)
    before = file.read()
    path.write_text('{"link": "offline", "since_ms": 5, "backlog": 7, "findings": []}')
    written = file.read()
    path.write_text('{"link": "onl')
    torn = file.read()
    path.unlink()

    assert before == Link()
    assert written == Link("offline", 5, 7)
    assert torn == Link()
    assert file.read() == Link()


def test_the_shift_report_shows_what_is_known_and_leaves_out_the_rest() -> None:
    """Counts, reasons, staff entries, open verdicts and findings; a part that was not told is not shown as nought."""
    raw = {
        "since_ms": 1,
        "until_ms": 2,
        "counts": {"accept": 5, "refer": 1, "reject": 2},
        "reasons": {"status.revoked": 2, "ok": 5, "repeat.recent": 1, "x y": 3},
        "staff": {"override": 1},
    }

    report = shift_report("en", raw, state_of(aged(93_600, "stale")), [strip_entry(view_of(reject(490)))])

    assert report.results == (("accept", "ACCEPT", 5), ("refer", "CHECK", 1), ("reject", "REJECT", 2))
    assert report.reasons == (("Needs a check", 3), ("Pass revoked", 2), ("Same pass shown before", 1))
    assert report.staff == (("Overrides by a supervisor", 1),)
    assert report.open == (("A7F3-000490", "REJECT", "Pass revoked", AT_MS + 490_000),)
    assert report.findings[0][0] == "Trust data is 26 h old (limit 24 h)"


def test_the_shift_report_falls_back_to_the_last_state() -> None:
    """Without an answer of the scanner part the last counts are shown."""
    report = shift_report("zh", {}, state_of(), [])

    assert [count for _, _, count in report.results] == [1326, 37, 14]
    assert report.reasons == report.staff == ()


SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["accept", "ok", "stale"])
)
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=8
)


@given(base=st.sampled_from([accept(1), refer(2), reject(3), standing(), aged(93_600, "stale")]), data=st.data())
def test_no_message_of_the_socket_can_stop_the_page(base: dict[str, Any], data: st.DataObject) -> None:
    """Any value in any field gives a view that JSON and UTF-8 can carry: the page goes on."""
    spoilt = base | {key: data.draw(ANYTHING) for key in data.draw(st.sets(st.sampled_from(sorted(base))))}
    view = view_of(spoilt) if base["type"] == "verdict" else state_of(spoilt)

    assert json.dumps(view, ensure_ascii=False, allow_nan=False).encode()


@given(
    raw=st.binary(max_size=200) | ANYTHING.map(lambda value: json.dumps({"link": value, "findings": value}).encode())
)
def test_no_link_file_can_stop_the_page(raw: bytes) -> None:
    """Any bytes in `link.json` give a state that is shown."""
    assert state_of(link=parse_link(raw))["connected"] is True
