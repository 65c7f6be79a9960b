"""An export fetched over HTTP is the one made at the hub, whatever breaks off, and every reading is on record."""

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

from edge.cli.hub import hub as hub_command
from edge.errors import AnswerRefused, ConfigError, TransportError
from edge.hub import export, folder, proof, spool
from edge.hub.client import Client, Making, Manifest, Source, read_token
from edge.hub.desk import Desk
from edge.hub.export import Summary, Task
from edge.hub.hub import Hub
from edge.hub.remote_export import RemoteExport
from edge.ledger import device
from tests.simulators.hub_gates import Clock, Device, begin, enrol, post
from tests.simulators.hub_server import serving

DAYS = ("2026-11-18", "2026-11-19")


class Site:
    """A served hub with scans of two days, and a folder to fetch into.

    Args:
        path: A folder of its own.
    """

    def __init__(self, path: Path) -> None:
        self.clock = Clock()
        self.desk: Desk = begin(path / "hub", self.clock)
        self.hub = Hub.open(path / "hub", clock=self.clock)
        self.gate = Device()
        enrol(self.hub, self.desk, self.gate, site="北站")
        self.gate.scan(60)
        post(self.hub, self.gate.batches(5)[:6])
        self.clock.pass_s(86_400)
        post(self.hub, self.gate.batches(5)[6:])
        self.out = path / "far"
        self.local = path / "local"
        self.url = ""

    def token(self) -> str:
        """Return the operator's token."""
        return read_token(self.desk.home.path / folder.OPERATOR)

    def client(self) -> Client:
        """Return a client that does not really wait between two tries."""
        return Client(Source(self.url, self.token()))

    def fetch(self, *days: str, views: Sequence[str] = ("ndjson", "csv"), hub: Client | None = None) -> Summary:
        """Fetch an export."""
        task = Task(self.out, days, views)
        return RemoteExport(hub or self.client(), task, lambda *_: None, sleep=lambda _: None).run()

    def files(self, of: Path) -> dict[str, bytes]:
        """Return every file of an export but its manifest."""
        found = {str(one.relative_to(of)): one.read_bytes() for one in of.rglob("*") if one.is_file()}
        return {name: data for name, data in found.items() if name not in {export.MANIFEST, export.LOCK}}

    def signed(self, of: Path) -> dict[str, object]:
        """Return what a manifest says, but for when it was made."""
        said = json.loads((of / export.MANIFEST).read_text())["signed"]
        return {name: value for name, value in said.items() if name != "made_at"}

    def holds(self) -> bool:
        """Whether the fetched folder verifies under the hub's key."""
        keys = {device.key_id(self.desk.home.public).hex(): self.desk.home.public}
        return proof.verify(self.out, keys, lambda *_: None).faults == []


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A served hub."""
    made = Site(tmp_path)
    with serving(made.hub) as url:
        made.url = url
        yield made
    made.hub.close()


class Breaking(Client):
    """A client whose connection breaks at the n-th piece.

    Args:
        site: Where it asks.
        after: How many pieces come before.
        most: Bytes of a piece that arrive.
    """

    def __init__(self, site: Site, after: int, most: int = 700) -> None:
        super().__init__(Source(site.url, site.token()))
        self._left = after
        self._most = most

    def exported(self, asked: tuple[str, str, str], begin: int) -> bytes:
        """Return a short piece, or break."""
        if self._left == 0:
            raise TransportError("It broke.", "Again.")
        self._left -= 1
        return super().exported(asked, begin)[: self._most]


class Lying(Client):
    """A client whose hub's answers are changed on the way.

    Args:
        site: Where it asks.
        manifest: Changes the manifest.
        piece: Changes a piece.
    """

    def __init__(
        self,
        site: Site,
        manifest: Callable[[bytes], bytes] = lambda text: text,
        piece: Callable[[bytes], bytes] = lambda data: data,
    ) -> None:
        super().__init__(Source(site.url, site.token()))
        self._manifest = manifest
        self._piece = piece

    def export(self, days: Sequence[str], views: Sequence[str]) -> Manifest | Making:
        """Return the changed manifest."""
        found = super().export(days, views)
        return found if isinstance(found, Making) else Manifest(found.key, self._manifest(found.text))

    def exported(self, asked: tuple[str, str, str], begin: int) -> bytes:
        """Return the changed piece."""
        return self._piece(super().exported(asked, begin))


@pytest.mark.parametrize("views", [("ndjson", "csv"), ("csv",), ("parquet",)])
def test_it_is_the_local_export_byte_for_byte(site: Site, views: tuple[str, ...]) -> None:
    """Every file, and all that the manifest says but when; and it verifies."""
    far = site.fetch(views=views)
    near = site.desk.export_ledger(Task(site.local, (), views), lambda *_: None)

    assert (far, site.files(site.out)) == (near, site.files(site.local))
    assert site.signed(site.out) == site.signed(site.local)
    assert site.holds()


def test_single_days_add_to_the_folder(site: Site) -> None:
    """As locally: what was there stays, and the manifest speaks of both."""
    first = site.fetch(DAYS[1])
    both = site.fetch(DAYS[0])

    assert (first.days, both.days, both.written) == (1, 2, 1)
    assert site.holds()


@pytest.mark.parametrize("after", range(12))
def test_it_goes_on_wherever_it_broke_off(site: Site, after: int) -> None:
    """Nothing that came is asked for again, and a torn folder has no manifest."""
    with pytest.raises(TransportError):
        site.fetch(views=("csv",), hub=Breaking(site, after))
    has_manifest = (site.out / export.MANIFEST).exists()
    staged = sum(one.stat().st_size for one in site.out.rglob(".staged-*"))
    done = sum(one.stat().st_size for one in site.out.rglob("*-0*") if not one.name.startswith("."))

    site.fetch(views=("csv",))

    assert not has_manifest
    assert staged + done >= min(after, 1) * 300
    assert site.holds()
    assert list(site.out.rglob(".staged-*")) == []


def test_a_day_that_grew_is_fetched_anew_and_the_rest_is_left(site: Site) -> None:
    """The former files of the day go, the other day is not touched."""
    site.fetch()
    old = {one: one.stat().st_mtime_ns for one in (site.out / DAYS[0]).iterdir()}
    site.gate.scan(5)
    post(site.hub, [site.gate.batch(61, 65)])
    site.hub.spool.tidy()
    site.hub.spool._orders.clear()

    again = site.fetch()

    assert (again.scans, again.written) == (65, 1)
    assert {one: one.stat().st_mtime_ns for one in (site.out / DAYS[0]).iterdir()} == old
    assert len(list((site.out / DAYS[1]).glob("batches-*"))) == 1
    assert site.holds()


def test_files_put_away_under_the_fetch_are_made_again(site: Site) -> None:
    """By an hour's silence, or because facts are destroyed: the client begins anew and has a true manifest."""

    class Putting(Breaking):
        def exported(self, asked: tuple[str, str, str], begin: int) -> bytes:
            if self._left:
                self._left = 0
                spool.empty(site.desk.home.path)
            return Client.exported(self, asked, begin)

    site.fetch(hub=Putting(site, 1))

    assert site.holds()


def test_a_staged_file_of_another_content_is_not_built_on(site: Site) -> None:
    """Its hash does not fit, so it is fetched from its beginning."""
    site.fetch(views=("csv",))
    (table,) = (site.out / DAYS[0]).glob("*.csv")
    table.rename(table.with_name(f".staged-{table.name}"))
    staged = table.with_name(f".staged-{table.name}")
    staged.write_bytes(b"x" + staged.read_bytes()[1:])

    site.fetch(views=("csv",))

    assert site.holds()


@pytest.mark.parametrize(
    "lie",
    [
        {"manifest": lambda _: b"<html>"},
        {"manifest": lambda text: text.replace(b"2026-11-18", b"../../../x")},
        {"manifest": lambda text: text.replace(b'"batches": 6', b'"batches": 7')},
        {"piece": lambda data: data[:-1] + b"\x00"},
        {"piece": lambda _: b""},
        {"piece": lambda data: data * 2},
    ],
)
def test_what_does_not_fit_is_not_kept(site: Site, lie: dict[str, Callable[[bytes], bytes]]) -> None:
    """Neither a manifest whose signature does not hold, nor a file another than its hash."""
    with pytest.raises(AnswerRefused):
        site.fetch(views=("csv",), hub=Lying(site, **lie))

    assert not (site.out / export.MANIFEST).exists()
    assert {one.name for one in site.out.parent.iterdir()} <= {"hub", "far", "local"}


def test_a_folder_of_something_else_is_left_alone(site: Site, tmp_path: Path) -> None:
    """Of a stranger, or of another hub."""
    site.out.mkdir()
    (site.out / "diary.txt").write_text("dear diary")
    with pytest.raises(ConfigError, match="something else"):
        site.fetch()
    (site.out / "diary.txt").unlink()
    other = begin(tmp_path / "other", Clock())
    other.export_ledger(Task(site.out), lambda *_: None)

    with pytest.raises(ConfigError, match="not of this hub"):
        site.fetch()


def test_a_day_without_scans_is_said(site: Site) -> None:
    """By the hub, in the words of the local command."""
    with pytest.raises(AnswerRefused, match="received nothing on 2020-01-01"):
        site.fetch("2020-01-01")


def test_no_export_fills_the_hubs_disk(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk would stop it from taking scans: refused before a byte is written, with a way out."""
    monkeypatch.setattr(spool, "RESERVE", 1 << 60)

    with pytest.raises(AnswerRefused, match="no room") as met:
        site.fetch()

    assert met.value.status == 507
    assert "--day" in met.value.next_step


def test_who_asks_for_ever_other_days_leaves_nothing_behind(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what was begun is kept."""
    monkeypatch.setattr(spool, "RESERVE", 1 << 60)

    for day in range(1, 29):
        site.hub.spool.ask((f"2026-02-{day:02}",), ("ndjson",))

    assert site.hub.spool._orders == {}


def test_an_export_is_put_away(site: Site) -> None:
    """After an hour that nobody asked in, at the next start, and when facts are destroyed."""
    site.fetch()
    where = site.desk.home.path / "spool"
    kept = list(where.iterdir())
    at = site.hub.monotonic()
    site.hub.spool._monotonic = lambda: at + spool.KEPT_S - 1
    site.hub.spool.tidy()
    still = list(where.iterdir())
    site.hub.spool._monotonic = lambda: at + spool.KEPT_S + 60
    site.hub.spool.tidy()

    assert (len(kept), still, list(where.iterdir())) == (1, kept, [])


def test_a_defect_ends_the_making(site: Site) -> None:
    """Whoever waits is told, and who asks anew begins it anew."""

    class Broken:
        def reader(self) -> None:
            raise RuntimeError("a defect")

    store, site.hub.spool._store = site.hub.spool._store, Broken()  # type: ignore[assignment]
    site.hub.spool._is_full = lambda _: False  # type: ignore[method-assign]
    waiting = Client(Source(site.url, site.token()), sleep=lambda _: None, tries=1)
    with pytest.raises(AnswerRefused) as met:
        site.fetch(hub=waiting)
    site.hub.spool._store = store
    site.fetch()

    assert met.value.status == 503
    assert site.holds()


def test_a_start_puts_exports_away(tmp_path: Path) -> None:
    """What a process left that was killed."""
    path = begin(tmp_path / "hub", Clock()).home.path
    (path / "spool" / "x" / DAYS[0]).mkdir(parents=True)

    Hub.open(path, clock=Clock()).close()

    assert not (path / "spool").exists()


def test_every_file_is_on_record_before_it_leaves(site: Site) -> None:
    """The manifest with what was asked for, each file with its range; pieces of one file are one row, counted."""
    with contextlib.suppress(TransportError):
        site.fetch(DAYS[0], views=("csv",), hub=Breaking(site, 100, most=2000))
    found = site.desk.pulls(100)
    manifest = found[-1]
    files = [one for one in found if "/" in one["what"]]

    assert (manifest["what"], manifest["rows"], manifest["last"]) == (f"export {DAYS[0]} csv", 30, 30)
    assert {(one["rows"], one["after"], one["last"], one["role"]) for one in files} == {(30, 0, 30, "operator")}
    assert len(files) == 3
    assert max(one["times"] for one in files) > 1


def test_roles_are_those_of_a_pull(site: Site) -> None:
    """Operators and auditors."""
    auditor, technician = (Client(Source(site.url, site.desk.new_token(role))) for role in ("auditor", "technician"))

    with pytest.raises(AnswerRefused) as met:
        site.fetch(hub=technician)
    site.fetch(hub=auditor)

    assert met.value.status == 403
    assert site.holds()


def test_the_command_fetches_and_the_folder_verifies(site: Site) -> None:
    """By the words of the guide."""
    token = str(site.desk.home.path / folder.OPERATOR)
    asked = ["export", "--hub", site.url, "--token-file", token, "--out", str(site.out)]
    fetched = CliRunner().invoke(hub_command, asked)
    verified = CliRunner().invoke(hub_command, ["verify", str(site.out), "--hub-key", site.desk.home.public.hex()])

    assert "60 scans in 12 batches of 2 days" in fetched.stdout
    assert verified.exit_code == 0, verified.output
