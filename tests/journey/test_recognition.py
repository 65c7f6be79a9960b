"""A region joins by publishing data, no gate is restarted for it; and statuses reach the log unchanged."""

import json

import pytest

from tests.simulators.running_gate import EighthRegion, RunningGate, edge


@pytest.fixture(scope="module")
def country(tmp_path_factory):
    return EighthRegion(tmp_path_factory.mktemp("eighth"))


def test_an_eighth_region_joins_a_running_gate_by_publication_alone(country):
    """Refused as nobody's before, accepted after, by the same process."""
    passes = country.prepare()
    with RunningGate(country.country.parent) as gate:
        before = gate.show(passes.pop())
        country.publish()
        country.refresh()
        after = gate.show_until_accepted(passes)

    assert (before["outcome"], before["reason"]) == ("reject", "issuer.unknown")
    assert (after["outcome"], after["issuer"], after["issuer_names"]["zh"]) == ("accept", "31", "随申码")


@pytest.mark.parametrize(
    ("issuer", "status", "outcome", "health", "named"),
    [
        ("11", 23, "refer", "popup", "弹窗3"),
        ("11", 30, "refer", "unknown", "未知"),
        ("44", 31, "refer", "unknown", "黑白码（显示失败）"),
        ("nhc", 40, "refer", "none", "仅身份，无健康声明"),
        ("6101", 10, "reject", "red", "红码"),
    ],
)
def test_a_status_beyond_three_colours_goes_from_issuer_to_screen_to_log(
    country, tmp_path, issuer, status, outcome, health, named
):
    """The number, its national meaning, its own name, its ground and the law, then the number again in the log."""
    if not (country.country / "sources/national/codes.json").exists():
        for profile in ("11", "44", "nhc", "6101"):
            edge("authority", "codes", "set", country.country, "--profile", profile)
        country.publish()
        country.refresh()
    wanted = {"issuer": issuer, "status": status, "surname": "张", "id_tail": "3416"}
    wanted |= {"region": 110000} if issuer == "nhc" else {}
    (tmp_path / "wanted.json").write_text(json.dumps(wanted))
    code = edge("authority", "issue", country.country, "--holder-file", tmp_path / "wanted.json").strip()

    with RunningGate(country.country.parent) as gate:
        event = gate.show(code)
    logged = json.loads(edge("scans", "list", "--state", gate.state, "--last", 1, "--json"))

    assert (event["outcome"], event["health"], event["status"]) == (outcome, health, status)
    assert event["status_names"]["zh"] == named
    assert event["ground"]["class"]
    assert event["ground"]["basis"]["zh"] == "《中华人民共和国传染病防治法》"
    assert (logged["issuer"], logged["status"], logged["outcome"]) == (issuer, status, outcome)


def test_refusals_are_counted_by_class_on_the_gate_and_on_its_lines(country, tmp_path):
    """The gate's own log and its export, which has the form of a hub's pull, give the same counts."""
    state = country.country.parent / "state"
    own = json.loads(edge("scans", "grounds", "--state", state, "--json"))
    edge("scans", "export", "--state", state, "--out", tmp_path / "lines.ndjson")
    words = ("--from", tmp_path / "lines.ndjson", "--trust", country.country, "--json")

    assert own == json.loads(edge("scans", "grounds", *words))
    assert own == {
        "case": {"6101": 1},
        "display": {"44": 1},
        "identity": {"nhc": 1},
        "record": {"11": 1},
        "test": {"11": 1},
    }
