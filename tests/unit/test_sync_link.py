"""What pages see of the link, when trust is refreshed, and which changes of the network count."""

import json
from pathlib import Path

import pytest

from edge.errors import (
    AnswerRefused,
    ConfigError,
    EdgeError,
    TrustError,
    TrustExpired,
    TrustOlder,
    TrustRefused,
    Unreachable,
)
from edge.model.finding import Finding
from edge.sync.link import LinkFile, LinkState, read_link
from edge.sync.network import is_cut_off, ways_out
from edge.sync.refresher import Believed, Outcome, Schedule, Stick, View, findings, look, refresh, try_stick
from edge.sync.session import Link
from edge.trust.fetchers import Way
from edge.trust.store import TrustStore
from tests.simulators.repository import DAY, NOW, Repository

STATE = LinkState(Link.ONLINE, 1000, 3, None, None, (Finding("hub.refused", params={"kind": "fork"}),))


def test_the_file_has_the_documented_form(tmp_path: Path) -> None:
    """`link.json` is what docs/architecture.md says."""
    LinkFile(tmp_path, 1).show(STATE, 0)

    assert json.loads((tmp_path / "link.json").read_bytes()) == {
        "link": "online",
        "since_ms": 1000,
        "backlog": 3,
        "last_push_ms": None,
        "last_refresh_ms": None,
        "clock_ahead_ms": None,
        "clock_unsure_ms": None,
        "findings": [{"code": "hub.refused", "severity": "warning", "params": {"kind": "fork"}}],
    }


def test_since_counts_from_the_change(tmp_path: Path) -> None:
    """The link is what it is since it became so, also across a restart of the part."""
    LinkFile(tmp_path, 1).show(STATE, 0)
    again = LinkFile(tmp_path, 5000)

    again.show(LinkState(Link.ONLINE, 6000), 0)
    same = read_link(tmp_path)
    again.show(LinkState(Link.OFFLINE, 7000), 0)
    other = read_link(tmp_path)

    assert same is not None
    assert other is not None
    assert (same.since_ms, other.since_ms) == (1000, 7000)


def test_numbers_alone_do_not_wear_out_the_card(tmp_path: Path) -> None:
    """A backlog that counts down is written five times a second at most; a change of the link at once."""
    file = LinkFile(tmp_path, 1)
    written = []
    for step in range(100):
        file.show(LinkState(Link.ONLINE, 1, 1000 - step), step / 100)
        found = read_link(tmp_path)
        assert found is not None
        written.append(found.backlog)

    file.show(LinkState(Link.OFFLINE, 1, 900), 1.001)
    found = read_link(tmp_path)

    assert len(set(written)) <= 6
    assert found is not None
    assert (found.link, found.backlog) == (Link.OFFLINE, 900)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"link": "sideways"}', b"\xff\xfe", b"[" * 100_000])
def test_a_broken_file_is_none(tmp_path: Path, content: bytes) -> None:
    """After a power cut the file may be anything; it is written anew."""
    (tmp_path / "link.json").write_bytes(content)

    assert read_link(tmp_path) is None
    LinkFile(tmp_path, 1).show(STATE, 0)
    assert read_link(tmp_path) is not None


def test_trust_is_due_at_the_start_and_then_at_its_interval() -> None:
    """A refresh comes at once, then every so often, a little early."""
    schedule = Schedule(900, lambda: 0.5)
    assert schedule.is_due(0)
    schedule.on_result(0, None)

    assert not schedule.is_due(854)
    assert schedule.is_due(856)


def test_a_mirror_that_is_down_is_asked_again_soon_and_not_at_once() -> None:
    """Waits grow to half a minute, and a link that returns ends them."""
    schedule = Schedule(900, lambda: 0.999)
    at = 0.0
    waits = []
    for _ in range(8):
        schedule.on_result(at, Unreachable("no"))
        due = next(at + tenth / 10 for tenth in range(10_000) if schedule.is_due(at + tenth / 10))
        waits.append(due - at)
        at = due
    schedule.on_result(at, Unreachable("no"))

    assert min(waits) >= 1
    assert 29 <= max(waits) <= 31
    schedule.on_link_returned(at)
    assert schedule.is_due(at)


def test_a_refused_update_is_not_asked_for_in_a_loop() -> None:
    """Who offers trust that does not verify is asked again after minutes."""
    schedule = Schedule(900, lambda: 0.999)
    for _ in range(12):
        schedule.on_result(0, TrustRefused("no"))

    assert not schedule.is_due(250)


def test_the_view_names_trust_and_hub_keys(tmp_path: Path) -> None:
    """What batches are cut under and whose receipts count comes from the verified store, read again when it changed."""
    repository = Repository()
    public = bytes(range(32))

    assert look(tmp_path / "trust", View()) == View()
    store = TrustStore.init(tmp_path / "trust", repository.files["metadata/1.root.json"])
    assert look(tmp_path / "trust", View()) == View()
    store.refresh(repository, NOW)

    first = look(tmp_path / "trust", View())
    same = look(tmp_path / "trust", first)

    assert same is first
    assert len(first.believed.digest) == 32
    assert first.believed.versions == (1, 1)
    assert first.believed.issued_at == NOW
    assert public not in first.believed.hub_keys.values()


def test_a_gate_ten_years_ahead_still_takes_a_fresh_update_and_never_an_old_one(tmp_path: Path) -> None:
    """A clock past everything signed is doubted here too: the update is judged by the newest signed time."""
    repository = Repository()
    repository.publish()
    old = repository.copy()
    store = TrustStore.init(tmp_path, repository.first_root)
    store.refresh(repository, NOW)
    repository.pass_time(20 * DAY)
    ahead = NOW + 3653 * DAY
    believed = look(tmp_path, View()).believed

    with pytest.raises(TrustRefused, match="expired"):
        store.refresh(repository, ahead)
    assert believed.refresh_at(NOW + DAY) == NOW + DAY
    assert Believed().refresh_at(ahead) == ahead
    store.refresh(repository, believed.refresh_at(ahead))
    assert store.load().issued_at == NOW + 20 * DAY
    with pytest.raises(TrustRefused, match="already verified"):
        store.refresh(old, look(tmp_path, View()).believed.refresh_at(ahead))


def test_a_store_that_cannot_be_read_leaves_what_was_believed(tmp_path: Path) -> None:
    """Receipts of before still count while a technician looks at the store."""
    repository = Repository()
    store = TrustStore.init(tmp_path / "trust", repository.files["metadata/1.root.json"])
    store.refresh(repository, NOW)
    before = look(tmp_path / "trust", View())
    (tmp_path / "trust" / "trust.db").write_bytes(b"no database" * 500)

    assert look(tmp_path / "trust", before) is before


def test_a_mirror_that_is_not_there_is_an_error_and_no_harm(tmp_path: Path) -> None:
    """The trust in force stays where nobody answers or the address is none."""
    repository = Repository()
    store = TrustStore.init(tmp_path / "trust", repository.files["metadata/1.root.json"])
    store.refresh(repository, NOW)

    assert isinstance(refresh(tmp_path / "trust", "http://127.0.0.1:9/", Way(1.0), NOW + DAY).error, Unreachable)
    assert isinstance(refresh(tmp_path / "trust", "nowhere", Way(1.0), NOW + DAY).error, ConfigError)
    assert store.load().issued_at == NOW


def test_carriers_and_default_routes_are_ways_out(tmp_path: Path) -> None:
    """An interface with a carrier and a default route count; loopback, a dead cable and a local route do not."""
    for name, state in {"lo": "unknown", "eth0": "up", "wlan0": "down", "wwan0": "unknown"}.items():
        (tmp_path / "net" / name).mkdir(parents=True)
        (tmp_path / "net" / name / "operstate").write_text(f"{state}\n")
    routes = tmp_path / "route"
    routes.write_text(
        "Iface\tDestination\tGateway\tFlags\neth0\t00000000\t0100A8C0\t0003\neth0\t0000A8C0\t00000000\t0001\n"
    )

    found = ways_out(tmp_path / "net", routes)

    assert found == {"carrier eth0", "carrier wwan0", "route eth0 0100A8C0"}


def test_a_gate_without_a_carrier_is_cut_off() -> None:
    """A route that is left behind leads nowhere; one carrier of several is enough."""
    assert is_cut_off(frozenset())
    assert is_cut_off(frozenset(("route eth0 0102A8C0",)))
    assert not is_cut_off(frozenset(("carrier wlan0",)))


def test_a_system_that_shows_nothing_has_no_ways_out(tmp_path: Path) -> None:
    """Where the kernel's files are hidden nothing ever changes, and nothing fails."""
    assert ways_out(tmp_path / "none", tmp_path / "none") == frozenset()


@pytest.mark.parametrize(
    ("error", "online", "offline"),
    [
        (None, [], []),
        (Unreachable("x"), [], []),
        (TrustRefused("x"), ["trust.refused"], []),
        (TrustExpired("x"), ["trust.expired"], []),
        (AnswerRefused("x"), ["trust.mirror"], []),
        (TrustError("x"), ["trust.unkept"], ["trust.unkept"]),
    ],
)
def test_what_ended_a_refresh_is_said_by_its_own_name(
    error: EdgeError | None, online: list[str], offline: list[str]
) -> None:
    """Forged, run out, a login page and a full disk differ; without the hub a wrong answer accuses nobody."""
    assert online == [finding.code for finding in findings(Outcome(error), is_online=True)]
    assert offline == [finding.code for finding in findings(Outcome(error), is_online=False)]


@pytest.mark.parametrize(
    ("error", "online", "offline"),
    [
        (None, [], []),
        (Unreachable("x"), ["trust.stick"], ["trust.stick"]),
        (AnswerRefused("x"), ["trust.stick"], ["trust.stick"]),
        (TrustRefused("x"), ["trust.refused"], ["trust.refused"]),
        (TrustExpired("x"), ["trust.expired"], ["trust.expired"]),
        (TrustOlder("x"), [], ["trust.stick_old"]),
        (TrustError("x"), ["trust.unkept"], ["trust.unkept"]),
    ],
)
def test_what_is_wrong_with_a_stick_is_said(error: EdgeError | None, online: list[str], offline: list[str]) -> None:
    """Torn, forged, run out or old; an old one that was left in place concerns nobody while the hub answers."""
    outcome = Outcome(error, is_stick=True)

    assert online == [finding.code for finding in findings(outcome, is_online=True)]
    assert offline == [finding.code for finding in findings(outcome, is_online=False)]


def test_a_stick_is_taken_once_and_again_when_it_changes(tmp_path: Path) -> None:
    """Put in, left in, replaced, pulled out."""
    repository = Repository()
    store = TrustStore.init(tmp_path / "trust", repository.first_root)
    none = try_stick(store.folder, tmp_path / "usb", Stick(), NOW)
    repository.write(tmp_path / "usb")
    first = try_stick(store.folder, tmp_path / "usb", none, NOW)
    again = try_stick(store.folder, tmp_path / "usb", first, NOW)
    repository.pass_time(DAY)
    repository.write(tmp_path / "usb")
    second = try_stick(store.folder, tmp_path / "usb", again, NOW + DAY)

    assert (none, again is first) == (Stick(), True)
    assert (first.outcome, second.outcome) == (Outcome(is_stick=True), Outcome(is_stick=True))
    assert store.load().issued_at == NOW + DAY


def test_a_torn_stick_is_looked_at_again(tmp_path: Path) -> None:
    """While it is being copied to it is torn; when it is whole it is taken."""
    repository = Repository()
    store = TrustStore.init(tmp_path / "trust", repository.first_root)
    missing = repository.write(tmp_path / "usb") / "metadata" / "1.targets.json"
    missing.unlink()
    torn = try_stick(store.folder, tmp_path / "usb", Stick(), NOW)
    repository.write(tmp_path / "usb")
    whole = try_stick(store.folder, tmp_path / "usb", torn, NOW)

    assert isinstance(torn.outcome.error, AnswerRefused)
    assert whole.outcome.error is None
    assert store.load().issued_at == NOW


def test_an_old_stick_is_told_from_a_forged_one(tmp_path: Path) -> None:
    """Yesterday's stick is older; a stick of another authority is refused."""
    repository = Repository()
    old = repository.write(tmp_path / "old")
    store = TrustStore.init(tmp_path / "trust", repository.first_root)
    repository.pass_time(DAY)
    store.refresh(repository, NOW + DAY)
    forged = Repository().write(tmp_path / "forged")

    assert isinstance(try_stick(store.folder, old, Stick(), NOW + DAY).outcome.error, TrustOlder)
    assert type(try_stick(store.folder, forged, Stick(), NOW + DAY).outcome.error) is TrustRefused


def test_missing_authorities_are_named() -> None:
    """A role that came expired is said, whatever the link does."""
    found = findings(Outcome(withheld=frozenset({"province-62", "province-61"})), is_online=False)

    assert [(finding.code, dict(finding.params)) for finding in found] == [
        ("trust.withheld", {"roles": "province-61, province-62"})
    ]
