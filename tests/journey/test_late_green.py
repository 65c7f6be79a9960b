"""A green that comes too late: never painted, never buried, and its pass shown again gets an honest answer.

In a real browser in front of the real web part; once with the real line, scan log and socket behind it.
"""

import contextlib
import queue
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Response, expect

from edge.gate.bus import Bus
from edge.gate.staff import Staff
from edge.model.scan import NOT_SHOWN, EntryType
from edge.words.catalogue import label
from tests.journey.conftest import Kiosk, see
from tests.journey.test_kiosk_screens import overflows
from tests.simulators.gate_socket import GateSocket, accept, reject, standing
from tests.simulators.world import make_pass, person
from tests.unit.test_gate_line import Gate

KINDS = """() => { window.kinds = [];
  const note = () => window.kinds.push(document.body.dataset.kind);
  new MutationObserver(note).observe(document.body, {attributes: true, attributeFilter: ['data-kind']}); }"""
GUARD_MS = 3050


def let_it_be_late(gate: GateSocket, *pages: Page, greens: int = 1) -> None:
    """Two reds, 700 and 701, greens from 702 on behind them, and six seconds."""
    gate.publish(reject(700))
    for page in pages:
        see(page, "reject")
    gate.publish(reject(701), *[accept(702 + more) for more in range(greens)])
    for page in pages:
        expect(page.locator(".waiting")).to_contain_text(str(1 + greens))
        page.clock.fast_forward(GUARD_MS)
        page.clock.fast_forward(GUARD_MS)
        see(page, "refer")


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize(("greens", "title"), [(1, "missed.title"), (3, "missed.many")])
def test_a_green_that_comes_too_late_fills_the_screen_as_an_amber(
    language: str, greens: int, title: str, gate: GateSocket, open_page: Callable[..., Page], tmp_path: Path
) -> None:
    """The sentence and what to do, nobody's name, no green at any moment; the next person's code shrinks it."""
    page = open_page(language)
    page.evaluate(KINDS)
    let_it_be_late(gate, page, greens=greens)
    text, cut = page.locator("main").inner_text(), overflows(page)
    page.screenshot(path=tmp_path / f"late-{greens}-{language}.png")
    page.locator("#strip").click()
    gate.publish(reject(710))
    expect(page.locator(".waiting")).to_be_visible()
    page.clock.fast_forward(GUARD_MS)
    see(page, "reject")
    page.screenshot(path=tmp_path / f"late-{greens}-{language}-strip.png")
    said = [label(language, key, n=greens) for key in (title, "missed.detail", "missed.next", "verdict.refer")]

    assert [sentence for sentence in said if sentence not in text] == []
    assert not [part for part in ("张＊伟", "1988", "3416") if part in text]
    assert "accept" not in page.evaluate("window.kinds")
    assert cut == overflows(page) == []
    expect(page.locator("#strip")).to_contain_text(label(language, "missed.strip"))


def test_a_screen_reader_hears_what_to_do(gate: GateSocket, open_page: Callable[..., Page]) -> None:
    """The live region says that it is a CHECK, why, and that nobody goes through yet."""
    page = open_page("en")
    let_it_be_late(gate, page)

    expect(page.locator("#say")).to_have_text(f"CHECK. {label('en', 'missed.title')}. {label('en', 'missed.next')}")


def test_a_late_amber_survives_a_reload(gate: GateSocket, open_page: Callable[..., Page]) -> None:
    """It stands in the strip with both reds until somebody has seen to them, and then on no page."""
    page = open_page("en")
    let_it_be_late(gate, page)
    gate.wait_for("not_shown")
    page.reload()
    see(page, "idle")
    expect(page.locator("#strip")).to_contain_text(label("en", "strip.count", n=3))
    page.locator("#strip").click()
    page.reload()
    see(page, "idle")

    expect(page.locator("#strip")).to_be_hidden()


def test_two_pages_that_were_both_late_free_the_pass_once(gate: GateSocket, open_page: Callable[..., Page]) -> None:
    """The gate hears of it when the second has said so, too."""
    here, there = open_page(), open_page("en")
    let_it_be_late(gate, here, there)
    gate.wait_for("not_shown")

    assert gate.asked("not_shown") == [{"cmd": "not_shown", "seq": 702}]


def test_a_green_that_one_page_showed_is_not_freed_by_another_that_was_late(
    gate: GateSocket, open_page: Callable[..., Page]
) -> None:
    """One screen had time for the green, the other had not: its word alone would let two people use one pass."""
    late, shown = open_page("en"), open_page("en")
    said: list[Response] = []
    late.on("response", lambda answer: said.append(answer) if answer.url.endswith("/command") else None)
    gate.publish(reject(720), reject(721))
    for page in (late, shown):
        expect(page.locator(".waiting")).to_contain_text("1")
    shown.clock.fast_forward(GUARD_MS)
    shown.clock.fast_forward(GUARD_MS)
    gate.publish(accept(722))
    see(shown, "accept")
    expect(late.locator(".waiting")).to_contain_text("2")
    late.clock.fast_forward(GUARD_MS)
    late.clock.fast_forward(GUARD_MS)
    see(late, "refer")
    for _ in range(100):
        late.wait_for_timeout(0 if said else 50)

    assert [answer.json() for answer in said] == [{"ok": True}]
    assert gate.asked("not_shown") == []


class RealGate:
    """The real line, scan log, commands and socket in front of the real web part; the test's own thread serves them.

    Args:
        folder: The state folder.
    """

    def __init__(self, folder: Path) -> None:
        self.gate = Gate(folder)
        self.bus = Bus(folder / "gate.sock")
        self.gate.line._publish = self._publish
        self.staff = Staff(self.gate.line, None, preview=lambda: None, report=dict, slip=str)
        self.bus.start()
        self.bus.publish(standing())
        self.kiosk = Kiosk(folder)
        self.kiosk.wait()

    def _publish(self, event: dict[str, Any]) -> None:
        self.gate.heard(event)
        self.bus.publish(event)

    def serve_until(self, is_done: Callable[[], bool]) -> None:
        """Carry out commands until something is so."""
        for _ in range(500):
            if is_done():
                return
            with contextlib.suppress(queue.Empty):
                self.staff.serve(self.bus.commands.get(timeout=0.02))
        raise AssertionError("it did not happen in time")

    def close(self) -> None:
        """End everything."""
        self.kiosk.stop()
        self.bus.close()
        self.gate.log.close()


@pytest.fixture
def real(tmp_path: Path) -> Iterator[RealGate]:
    """A gate whose camera is the test."""
    made = RealGate(tmp_path)
    yield made
    made.close()


def test_whoever_shows_a_late_pass_again_gets_an_honest_green(real: RealGate, new_page: Callable[..., Page]) -> None:
    """Two reds, a late green, the CHECK and its entry; shown again it is green, and a third time a repetition."""
    good = make_pass(person(index=1))
    page = new_page()
    page.clock.install()
    page.goto(f"{real.kiosk.url}/?lang=en")
    see(page, "idle")
    real.gate.show(make_pass(person(index=2, status=10)))
    see(page, "reject")
    real.gate.show(make_pass(person(index=3, status=10)))
    first = real.gate.show(good)
    expect(page.locator(".waiting")).to_contain_text("2")
    page.clock.fast_forward(GUARD_MS)
    page.clock.fast_forward(GUARD_MS)
    see(page, "refer")
    real.serve_until(lambda: real.gate.log.head.seq == 4)
    page.clock.fast_forward(GUARD_MS)
    second = real.gate.show(good)
    see(page, "accept")
    third = real.gate.show(good)
    see(page, "refer")
    note = real.gate.facts()[3]

    assert (note.type, note.refers_to, note.note) == (EntryType.NOTE, 3, NOT_SHOWN)
    assert [*first, *second, *third] == [("accept", "ok"), ("accept", "ok"), ("refer", "repeat.recent")]
