"""The reference holder: a key of its own, a pass bound to it, a code that is fresh whenever it is asked for."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from edge.cli.main import edge
from edge.errors import EdgeError, WalletError
from edge.kiosk.drawing import svg
from edge.policy.examine import examine
from edge.wallet.page import create_app
from edge.wallet.wallet import KEY_FILE, Wallet, digits_of, read_pass
from tests.simulators import world
from tests.simulators.world import NOW, context, make_pass

ORIGIN = {"Host": "127.0.0.1:8093"}


@pytest.fixture
def wallet(tmp_path: Path) -> Wallet:
    """A wallet with its pass."""
    made = Wallet.new(tmp_path / "wallet")
    made.keep(make_pass(holder=made._key))
    return made


def verdict(code: str, *nonces: bytes) -> str:
    return str(examine(code.encode(), replace(context(), nonces=nonces)).reason)


def test_what_a_wallet_shows_is_accepted_now_and_no_later(wallet: Wallet) -> None:
    """By the gate's own line, and another signature every second."""
    assert verdict(wallet.shown(NOW)) == "ok"
    assert verdict(wallet.shown(NOW - 31)) == "live.stale"
    assert wallet.shown(NOW) != wallet.shown(NOW + 1)


@pytest.mark.parametrize("typed", ["40718265", "4071 8265", " 40718265\n", "HN1:40718265"])
def test_digits_are_taken_as_people_type_and_phones_read_them(wallet: Wallet, typed: str) -> None:
    """With the space of the screen, or from the gate's code."""
    assert verdict(wallet.shown(NOW, typed), b"40718265") == "ok"


@pytest.mark.parametrize("typed", ["4071826", "407182655", "4071826x", "４０７１８２６５", "HN1:HN1:40718265"])
def test_anything_else_is_no_digits(typed: str) -> None:
    """Refused with what to do."""
    with pytest.raises(WalletError, match="eight digits"):
        digits_of(typed)


def test_a_wallet_is_opened_again(wallet: Wallet) -> None:
    """Key and pass outlive the program, readable by their owner alone."""
    again = Wallet.open(wallet.folder)

    assert again.shown(NOW) == wallet.shown(NOW)
    assert {place.stat().st_mode & 0o777 for place in wallet.folder.iterdir()} == {0o600}


def test_a_key_is_never_replaced(wallet: Wallet) -> None:
    """It would make the pass useless."""
    with pytest.raises(WalletError, match="is there already"):
        Wallet.new(wallet.folder)


@pytest.mark.parametrize("seed", [b"", bytes(32), b"\xff" * 32, b"short", b"x" * 31 + b"yz"])
def test_a_damaged_key_is_said(wallet: Wallet, seed: bytes) -> None:
    """A torn write leaves zeros: as a seed they are everybody's."""
    (wallet.folder / KEY_FILE).write_bytes(seed)

    with pytest.raises(WalletError, match="damaged"):
        Wallet.open(wallet.folder)


def test_a_key_that_others_can_read_is_refused(wallet: Wallet) -> None:
    """With the command that mends it."""
    (wallet.folder / KEY_FILE).chmod(0o644)

    with pytest.raises(WalletError, match="chmod 600"):
        Wallet.open(wallet.folder)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (make_pass(), "bound to no key"),
        (make_pass(holder=world.HOLDER), "bound to another key"),
        (b"HP1:ABC", "no national pass"),
        (world.shown_live(make_pass(holder=world.HOLDER)), "no national pass"),
        (b"", "no national pass"),
    ],
)
def test_a_pass_that_cannot_be_shown_is_not_taken_in(wallet: Wallet, code: bytes, said: str) -> None:
    """The one before stays."""
    with pytest.raises(WalletError, match=said):
        wallet.keep(code)

    assert verdict(wallet.shown(NOW)) == "ok"


@pytest.mark.parametrize("damage", [b"", b"HP1:", b"\x91" * 300, b"HP1:" + b"A" * 2000])
def test_a_damaged_pass_is_said(wallet: Wallet, damage: bytes) -> None:
    """Nothing is signed around it."""
    (wallet.folder / "pass.txt").write_bytes(damage)

    with pytest.raises(WalletError):
        wallet.shown(NOW)


def test_the_pass_is_read_from_text_file_or_picture(wallet: Wallet, tmp_path: Path) -> None:
    """As the issuer hands it over."""
    from edge.authority.codes import png

    code = make_pass(holder=wallet._key)
    (tmp_path / "pass.png").write_bytes(png(code.decode()))
    (tmp_path / "pass.txt").write_bytes(code + b"\n")

    found = [read_pass(given) for given in (code.decode(), str(tmp_path / "pass.txt"), str(tmp_path / "pass.png"))]

    assert found == [code] * 3


@pytest.mark.parametrize("given", ["", "nothing.png", "\0", "x" * 5000])
def test_what_holds_no_pass_is_said(given: str) -> None:
    """A missing file, no path at all."""
    with pytest.raises(WalletError):
        read_pass(given)


def test_the_page_draws_the_code_of_now(wallet: Wallet) -> None:
    """Never one of before, never from a cache, for this machine's own browser alone."""
    at = [NOW]
    client = create_app(wallet, lambda: at[0], every_s=5, language="en").test_client()

    first = client.get("/code.svg", headers=ORIGIN)
    at[0] += 5
    second = client.get("/code.svg?digits=40718265", headers=ORIGIN)

    assert first.data == svg(wallet.shown(NOW))
    assert second.data == svg(wallet.shown(NOW + 5, "40718265"))
    assert first.headers["Cache-Control"] == "no-store"
    assert client.get("/code.svg", headers={"Host": "evil.example"}).status_code == 403
    assert client.get("/code.svg", headers={**ORIGIN, "Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert client.get("/code.svg?digits=12", headers=ORIGIN).status_code == 409
    assert "Live pass" in client.get("/", headers=ORIGIN).text


def run(*words: str, given: str = "") -> str:
    done = CliRunner().invoke(edge, ["wallet", *words], input=given, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout.strip()


def test_from_a_new_key_to_a_code_a_gate_accepts(tmp_path: Path) -> None:
    """`new`, the issuer's own command, `pass`, `show`: the way a holder goes."""
    from edge.authority.authority import init
    from edge.authority.issuers import add_issuer
    from edge.authority.profiles import profile
    from edge.authority.publish import publish
    from edge.gate.clock import now_ms
    from edge.trust.opening import open_trust

    now = now_ms() // 1000
    authority = init(tmp_path / "country", now)
    add_issuer(authority, profile("yuekang"), now)
    publish(authority, now)
    folder = str(tmp_path / "wallet")
    public = json.loads(run("new", folder, "--json"))["holder_key"]
    words = ["issue", str(authority.folder), "--issuer", "44", "--surname", "张", "--id-tail", "3416"]
    issued = CliRunner().invoke(edge, ["authority", *words, "--holder-key", public], catch_exceptions=False).stdout
    run("pass", folder, "-", given=issued)

    found = examine(
        run("show", folder, "--text").encode(),
        replace(
            context(trust=open_trust(authority.folder, now), moment=world.at(now)),
            place=replace(world.PLACE, region="440106"),
        ),
    )

    assert str(found.reason) == "ok"


@pytest.mark.parametrize(
    "words", [["show", "nowhere"], ["pass", "nowhere", "HP1:ABC"], ["show", "nowhere", "--nonce", "1"]]
)
def test_without_a_wallet_a_command_says_how_to_make_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    """And raises one of the project's own errors."""
    monkeypatch.chdir(tmp_path)

    with pytest.raises(EdgeError, match="edge wallet new nowhere"):
        CliRunner().invoke(edge, ["wallet", *words], catch_exceptions=False)


@pytest.mark.parametrize("public", ["c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a", "00" * 32])
def test_a_weak_holder_key_gets_no_pass(public: str) -> None:
    """Under a key of small order anybody's signature could hold: nobody would be bound."""
    from edge.authority.requests import request
    from edge.errors import PublicationError

    with pytest.raises(PublicationError, match="holder_key"):
        request({"issuer": "44", "holder_key": public}, NOW)
