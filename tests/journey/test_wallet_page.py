"""The holder's page in a browser: what it draws is read from its picture and accepted by the gate's own line."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Page
from waitress.server import create_server

from edge.policy.examine import examine
from edge.scanner.still import read_image
from edge.wallet.page import bind, create_app
from edge.wallet.wallet import Wallet
from tests.simulators.world import NOW, context, make_pass


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """A wallet's page on loopback; each look at the clock is a second later."""
    wallet = Wallet.new(tmp_path / "wallet")
    wallet.keep(make_pass(holder=wallet._key))
    ticks = iter(range(NOW - 20, NOW + 20))
    listener = bind(0)
    server = create_server(
        create_app(wallet, lambda: next(ticks), every_s=1, language="zh"), sockets=[listener], threads=2
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    server.close()
    thread.join(5)


def read(page: Page) -> bytes:
    """Return the code that the page shows, from its picture."""
    page.wait_for_function(
        "() => { const c = document.getElementById('code'); return c.complete && c.naturalWidth > 0; }"
    )
    (symbol,) = read_image(page.locator("#code").screenshot())
    return symbol.raw


def test_the_page_shows_a_code_that_a_gate_accepts_and_draws_it_anew(
    address: str, new_page: Callable[..., Page]
) -> None:
    """Then with the gate's digits typed in."""
    page = new_page()
    page.goto(address)
    first = read(page)
    page.wait_for_function(
        "(old) => document.getElementById('code').src !== old", arg=page.locator("#code").get_attribute("src")
    )
    page.fill("#digits", "4071 8265")
    page.wait_for_function("() => document.getElementById('code').src.includes('40718265')")
    page.wait_for_function("() => document.getElementById('code').complete")

    answered = read(page)

    assert str(examine(first, context()).reason) == "ok"
    assert str(examine(answered, replace(context(), nonces=(b"40718265",))).reason) == "ok"


def test_half_of_the_digits_are_not_shown_as_fresh(address: str, new_page: Callable[..., Page]) -> None:
    """The code fades until they are whole."""
    page = new_page()
    page.goto(address)
    read(page)
    page.fill("#digits", "4071")

    page.wait_for_selector("#code.old")
