"""The hub's page in a real browser: what operations see, in both languages, renewed by itself.

With EDGE_UPDATE_PICTURES=1 the pictures of the documentation are taken anew.
"""

import os
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from edge.hub import incidents
from edge.hub.desk import Desk
from edge.hub.hub import Hub
from edge.model.scan import EntryType, Facts
from tests.simulators.hub_gates import Clock, Device, begin, enrol, fact, post
from tests.simulators.hub_server import serving

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
VIEW = {"width": 1440, "height": 900}
NOW_MS = 1_795_000_000_000 + 25_400_000
HOUR_MS = 3_600_000
PLACES = {
    "zh": [
        ("西安北站", "3"),
        ("西安北站", "4"),
        ("重庆北站", "A1"),
        ("广州南站", "7"),
        ("上海虹桥", "12"),
        ("武汉站", "2"),
    ],
    "en": [
        ("Xi'an North", "3"),
        ("Xi'an North", "4"),
        ("Chongqing North", "A1"),
        ("Guangzhou South", "7"),
        ("Hongqiao", "12"),
        ("Wuhan", "2"),
    ],
}


@pytest.fixture
def clock() -> Clock:
    """The hub's clock."""
    return Clock(NOW_MS)


@pytest.fixture(params=["zh", "en"])
def language(request: pytest.FixtureRequest) -> str:
    """Each language of the page."""
    return str(request.param)


@pytest.fixture
def desk(tmp_path: Path, clock: Clock) -> Desk:
    """A hub folder."""
    return begin(tmp_path / "hub", clock)


@pytest.fixture
def hub(desk: Desk, clock: Clock) -> Iterator[Hub]:
    """An open hub."""
    made = Hub.open(desk.home.path, clock=clock)
    yield made
    made.close()


@pytest.fixture
def url(hub: Hub) -> Iterator[str]:
    """Its address, served."""
    with serving(hub) as address:
        yield address


def day_of_scans(gate: Device, seed: int, until_ms: int) -> None:
    """Give a gate a day's scans with the two rushes of a station."""
    dice = random.Random(seed)
    weights = [1, 1, 1, 1, 1, 2, 5, 9, 11, 8, 6, 5, 6, 6, 5, 5, 6, 9, 12, 11, 7, 5, 3, 2]
    times = sorted(
        until_ms - dice.choices(range(24), weights[::-1])[0] * HOUR_MS - dice.randrange(HOUR_MS) for _ in range(260)
    )
    reasons = ["time.expired", "signature.invalid", "status.revoked", "issuer.unknown"]
    for number, at_ms in enumerate(times):
        outcome = dice.choices((1, 2, 3), (92, 5, 3))[0]
        reason = {1: "ok", 2: "status.stale", 3: dice.choice(reasons)}[outcome]
        issuer = dice.choice(["6101", "4403", "3301", "EU"])
        gate.append(fact(number, outcome=outcome, at_ms=at_ms, reason=reason, issuer=issuer))


def fleet(hub: Hub, desk: Desk, clock: Clock, language: str) -> list[Device]:
    """Fill the hub with a day of six gates, of which some want a look."""
    gates = [Device(number) for number in range(1, 7)]
    clock.ms = NOW_MS - 26 * HOUR_MS
    for gate, (site, lane) in zip(gates, PLACES[language], strict=True):
        enrol(hub, desk, gate, site=site, lane=lane)
    for gate in gates:
        silent = gate.number == 4
        day_of_scans(gate, gate.number, NOW_MS - (3 * HOUR_MS if silent else 20_000))
        clock.ms = NOW_MS - (3 * HOUR_MS if silent else 9000 + gate.number * 1300)
        held = {2: 258, 3: 173}.get(gate.number, 260)
        post(hub, [gate.batch(first, min(first + 49, held)) for first in range(1, held + 1, 50)])
        stale = gate.number == 3
        health = {"trust_version": 115 if stale else 118, "trust_age_s": 26 * 3600 if stale else 700 + gate.number}
        hub.heartbeat(gate.heartbeat(clock.ms + (41_000 if gate.number == 6 else 300), **health))
    clock.ms = NOW_MS
    twin = gates[4].clone(250)
    twin.scan(3, issuer="4403")
    post(hub, [twin.batch(251, 253)])
    gates[0].append(
        Facts(EntryType.UNKNOWN_CODES, NOW_MS - 9000, outcome=3, reason="credential.foreign", count=14),
        Facts(EntryType.NOTE, NOW_MS - 7000, refers_to=260, note="document_checked"),
        fact(0, at_ms=NOW_MS - 5000),
    )
    post(hub, [gates[0].batch(261, 263)])
    with hub.store.writing() as connection:
        incidents.note(connection, gates[1].gate, "invitation_reused", NOW_MS - 5 * HOUR_MS, {})
    return gates


def test_operations_see_the_fleet(
    hub: Hub, desk: Desk, clock: Clock, url: str, language: str, new_page: Callable[..., Page]
) -> None:
    """Gates by risk, incidents, flow, adoption and the latest entries, with nothing cut off and nothing foreign."""
    fleet(hub, desk, clock, language)
    page = new_page(viewport=VIEW)
    page.clock.set_fixed_time(NOW_MS / 1000)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    page.goto(f"{url}/?lang={language}")

    expect(page.locator("table").first.locator("tbody tr")).to_have_count(6)
    first = page.locator("tbody tr").first
    expect(first).to_contain_text(PLACES[language][3][0])
    expect(first.locator(".state")).to_have_class("state bad")
    expect(page.locator(".incident")).to_have_count(2)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert all(address.startswith(url) for address in asked)
    if os.environ.get("EDGE_UPDATE_PICTURES") == "1":
        page.screenshot(path=PICTURES / f"hub-{language}.png")


def test_the_page_renews_itself(hub: Hub, desk: Desk, clock: Clock, url: str, new_page: Callable[..., Page]) -> None:
    """A new scan appears without a touch."""
    gate = Device()
    enrol(hub, desk, gate)
    page = new_page(viewport=VIEW)
    page.goto(f"{url}/?lang=en")
    expect(page.locator("#live")).to_contain_text("No entries yet")

    gate.append(fact(0, outcome=3, at_ms=clock.ms))
    post(hub, [gate.batch(1, 1)])

    expect(page.locator("#live")).to_contain_text("Pass revoked", timeout=10_000)
    expect(page.locator("time")).to_have_text(re.compile(r"^11-19 02:10:00\s*$"))


def test_a_hub_that_goes_away_is_said_on_the_page(hub: Hub, desk: Desk, new_page: Callable[..., Page]) -> None:
    """What stands there is marked as old, not shown as live."""
    page = new_page(viewport=VIEW)
    with serving(hub) as url:
        page.goto(f"{url}/?lang=en")
        expect(page.locator("#beat")).to_have_text("Live")

    expect(page.locator("#beat")).to_contain_text("Connection to the hub lost", timeout=15_000)
    expect(page.locator("body")).to_have_class("frozen")


@pytest.mark.parametrize("width", [360, 768, 1024])
def test_the_page_fits_smaller_screens(
    hub: Hub, desk: Desk, clock: Clock, url: str, width: int, new_page: Callable[..., Page]
) -> None:
    """Tables scroll by themselves; the page does not."""
    fleet(hub, desk, clock, "en")
    page = new_page(viewport={"width": width, "height": 800})

    page.goto(f"{url}/?lang=en")

    expect(page.locator(".kpi")).to_have_count(6)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_somebody_from_elsewhere_logs_in(
    hub: Hub, desk: Desk, url: str, language: str, new_page: Callable[..., Page]
) -> None:
    """Behind a proxy the page asks for the token, opens with it and closes again."""
    page = new_page(viewport={"width": 900, "height": 640}, extra_http_headers={"X-Forwarded-For": "192.0.2.7"})
    page.goto(f"{url}/?lang={language}")
    page.fill("#token", "wrong")
    page.press("#token", "Enter")
    expect(page.get_by_role("alert")).to_be_visible()

    page.fill("#token", desk.new_token("technician"))
    page.press("#token", "Enter")

    expect(page.locator(".kpi")).to_have_count(6)
    page.get_by_role("button").click()
    expect(page.locator("#token")).to_be_visible()
