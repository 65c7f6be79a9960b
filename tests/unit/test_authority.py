"""A small authority: made once, edited, published; what no gate could load is never signed."""

import json
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from nacl.public import PrivateKey, SealedBox
from nacl.signing import SigningKey

from edge.authority import issuers, profiles
from edge.authority.authority import Authority, init
from edge.authority.keys import AUDITOR
from edge.authority.publish import publish, renew
from edge.authority.revocation import set_status
from edge.errors import PublicationError, TrustRefused
from edge.model.credential import PassKind
from edge.model.trust import Status, TrustSnapshot
from edge.trust import paths
from edge.trust.fetchers import FolderFetcher
from edge.trust.opening import open_trust
from edge.trust.store import TrustStore
from tests.simulators.repository import DAY, NOW
from tests.unit.test_trust_refusals import weak_keys

SEVEN = ("11", "44", "50", "6101", "nhc", "trip", "cn")


@pytest.fixture(scope="session")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    authority = init(tmp_path_factory.mktemp("authority") / "authority", NOW)
    for profile in profiles.profiles():
        issuers.add_issuer(authority, profile, NOW)
    publish(authority, NOW)
    return authority.folder


@pytest.fixture
def authority(_made: Path, tmp_path: Path) -> Authority:
    """An authority with the seven systems, published once."""
    shutil.copytree(_made, tmp_path / "authority")
    return Authority.open(tmp_path / "authority")


def gate(authority: Authority, now: int = NOW) -> TrustSnapshot:
    """Return what a new gate believes."""
    return open_trust(authority.folder, now)


def edit(authority: Authority, path: str, change: Callable[[dict[str, Any]], object]) -> None:
    """Edit a source by hand, as a person with an editor would."""
    place = authority.sources.folder / path
    members = json.loads(place.read_bytes())
    change(members)
    place.write_text(json.dumps(members))


# Making one


def test_the_seven_systems_reach_a_gate(authority: Authority) -> None:
    """Every system of the project is an issuer with a key, a list and rows of the matrix."""
    trust = gate(authority)

    assert tuple(sorted(trust.issuers)) == tuple(sorted(SEVEN))
    assert {issuer for issuer, _ in trust.keys} == {issuer for issuer, _ in trust.status_lists} == set(SEVEN)
    assert {issuer for issuer, _ in trust.matrix} == set(SEVEN)
    assert all(set(issuer.names) == {"zh", "en"} for issuer in trust.issuers.values())


@pytest.mark.parametrize(
    ("issuer", "status", "health", "outcome"),
    [
        ("11", 0, "green", "accept"),
        ("11", 1, "yellow", "refer"),
        ("11", 10, "red", "reject"),
        ("11", 23, "popup", "refer"),
        ("44", 31, "unknown", "refer"),
        ("50", 20, "popup", "refer"),
        ("nhc", 0, "green", "accept"),
        ("nhc", 40, "none", "refer"),
        ("trip", None, "none", "accept"),
        ("cn", 30, "unknown", "refer"),
    ],
)
def test_statuses_mean_what_the_systems_say(
    authority: Authority, issuer: str, status: int | None, health: str, outcome: str
) -> None:
    """The listed statuses of each system, in the national vocabulary."""
    (row,) = gate(authority).matrix[issuer, status]

    assert (row.area, row.health, row.outcome) == ("", health, outcome)


def test_a_regional_key_speaks_of_its_region_alone(authority: Authority) -> None:
    """Key records bind region, kind and validity."""
    keys = {key.issuer: key for found in gate(authority).keys.values() for key in found if PassKind.PERSON in key.kinds}

    assert (keys["6101"].regions, keys["44"].regions, keys["nhc"].regions) == (("6101",), ("44",), ("",))
    assert all(key.max_validity_s <= 366 * DAY for key in keys.values())


def test_all_provinces_have_both_names(authority: Authority) -> None:
    """GB/T 2260: thirty-four province-level codes."""
    regions = gate(authority).regions

    assert sum(code % 10000 == 0 for code in regions) == 34
    assert regions[610100] == {"zh": "西安市", "en": "Xi'an"}


def test_private_keys_are_private(authority: Authority) -> None:
    """Keys have mode 0600 in a folder of 0700, and none of their bytes is published."""
    folder = authority.folder / "keys"
    published = b"".join(file.read_bytes() for file in authority.publication.rglob("*") if file.is_file())

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(key.stat().st_mode) for key in folder.iterdir()} == {0o600}
    for key in folder.iterdir():
        assert key.read_bytes() not in published
        assert key.read_bytes().hex().encode() not in published


def test_a_key_others_can_read_is_not_used(authority: Authority) -> None:
    """As with SSH: the next step is a command."""
    (authority.folder / "keys" / "timestamp.key").chmod(0o644)

    with pytest.raises(PublicationError, match="chmod 600"):
        publish(authority, NOW)


def test_what_is_sealed_for_the_auditor_opens_with_the_auditors_key(authority: Authority) -> None:
    """The published key and the kept one are a pair."""
    sealed = SealedBox(_box_key(gate(authority).auditor_key)).encrypt(b"note")

    private = PrivateKey((authority.folder / "keys" / f"{AUDITOR}.key").read_bytes())

    assert SealedBox(private).decrypt(sealed) == b"note"


def _box_key(public: bytes | None) -> Any:
    from nacl.public import PublicKey

    assert public is not None
    return PublicKey(public)


def test_an_authority_is_never_made_over_another(authority: Authority) -> None:
    """`init` touches no folder that holds anything."""
    with pytest.raises(PublicationError, match="not empty"):
        init(authority.folder, NOW)


def test_a_folder_without_authority_is_named(tmp_path: Path) -> None:
    """The next step is the command that makes one."""
    with pytest.raises(PublicationError, match="edge authority init"):
        Authority.open(tmp_path)


def test_two_writers_do_not_mix(authority: Authority) -> None:
    """A second command while one is at work is told so."""
    with authority.locked(), pytest.raises(PublicationError, match="at work"):
        publish(authority, NOW)


def test_two_who_begin_at_once_do_not_mix(tmp_path: Path) -> None:
    """While one fills the folder the second puts no key among its keys; afterwards the folder is taken."""
    (tmp_path / "authority").mkdir()
    with Authority(tmp_path / "authority").locked(), pytest.raises(PublicationError, match="at work"):
        init(tmp_path / "authority", NOW)
    init(tmp_path / "authority", NOW)

    with pytest.raises(PublicationError, match="not empty"):
        init(tmp_path / "authority", NOW)


def test_a_folder_of_somebody_elses_is_left_as_it_is(tmp_path: Path) -> None:
    """Not even a lock file is put beside what is there."""
    (tmp_path / "letters.txt").write_text("private")

    with pytest.raises(PublicationError, match="not empty"):
        init(tmp_path, NOW)
    assert [path.name for path in tmp_path.iterdir()] == ["letters.txt"]


# Publishing


def test_a_daily_publish_renews_the_signed_time_alone(authority: Authority) -> None:
    """Nothing changed: a new timestamp, the same snapshot and targets."""
    before = publish(authority, NOW)

    after = publish(authority, NOW + DAY)

    assert (after.versions.timestamp, after.changed) == (before.versions.timestamp + 1, ())
    assert after.versions.targets == before.versions.targets
    assert gate(authority, NOW + DAY).issued_at == NOW + DAY


def test_a_year_of_daily_publishing_never_runs_out(authority: Authority) -> None:
    """Every role is renewed in time, roots follow each other, and the folder does not grow without bound."""
    store = TrustStore.init(authority.folder / "gate", (authority.publication / "metadata/1.root.json").read_bytes())
    for day in range(0, 700, 20):
        publish(authority, NOW + day * DAY)
        store.refresh(FolderFetcher(authority.publication), NOW + (day + 19) * DAY)

    assert store.load().versions.root >= 3
    kept = [file.name.partition(".")[2] for file in (authority.publication / "metadata").glob("*.*.json")]
    assert {name: kept.count(name) for name in kept if kept.count(name) > 10 and name != "root.json"} == {}


def test_missing_root_keys_are_told_in_time(authority: Authority) -> None:
    """Root keys kept elsewhere: a warning first, a refusal once gates would refuse."""
    for name in ("root-1", "root-2", "root-3"):
        (authority.folder / "keys" / f"{name}.key").rename(authority.folder / name)

    assert publish(authority, NOW + 300 * DAY).warnings == ()
    assert "root" in publish(authority, NOW + 320 * DAY).warnings[0]
    with pytest.raises(PublicationError, match="Role root is signed by 2 of the 3"):
        publish(authority, NOW + 366 * DAY)


def test_a_clock_set_back_publishes_nothing(authority: Authority) -> None:
    """Gates would refuse it; the authority says so first."""
    with pytest.raises(PublicationError, match="clock"):
        publish(authority, NOW - 1)


def test_a_clock_ten_years_ahead_publishes_nothing(authority: Authority) -> None:
    """A time signed so far ahead would be a floor at every gate; whoever knows better may say so."""
    ahead = NOW + 3650 * DAY
    members = authority.sources.members(paths.POLICY)
    edit(authority, paths.POLICY, lambda policy: policy.update(ends_at="2040-01-01T00:00:00Z"))
    before = (authority.publication / "metadata/timestamp.json").read_bytes()

    with pytest.raises(PublicationError, match="--clock-is-right"):
        publish(authority, ahead)
    with pytest.raises(PublicationError, match="far past the root"):
        renew(authority, ahead)
    assert (authority.publication / "metadata/timestamp.json").read_bytes() == before

    assert publish(authority, ahead, newest=ahead).issued_at == ahead
    assert members["ends_at"] < "2040"


def test_a_publish_cut_off_before_the_timestamp_is_not_seen(authority: Authority) -> None:
    """Metadata that nothing points to yet is written over by the next publish."""
    (authority.publication / "metadata/2.targets.json").write_bytes(b"half")
    edit(authority, paths.POLICY, lambda policy: policy.update(travel_days=7))

    assert publish(authority, NOW).versions.targets == 2
    assert gate(authority).policy.travel_days == 7


def test_a_damaged_publication_is_named(authority: Authority) -> None:
    """Nothing is signed on top of what does not verify."""
    for folder in ("metadata", "log/metadata"):
        (authority.publication / folder / "1.snapshot.json").write_bytes(b"")

    with pytest.raises(PublicationError, match=r"1\.snapshot\.json is not what log entry 0 names"):
        publish(authority, NOW)


SLIPS: dict[str, tuple[str, Callable[[dict[str, Any]], object], str]] = {
    "a mistyped member": (paths.POLICY, lambda m: m.update(travel_day=7), "travel_day is not a member"),
    "a mistyped row member": (paths.MATRIX, lambda m: m["rows"][0].update(areas=""), "areas is not a member"),
    "a missing member": (paths.POLICY, lambda m: m.pop("ends_at"), "ends_at is missing"),
    "no ISO time": (paths.POLICY, lambda m: m.update(ends_at="2027-1-1"), "ends_at must be a UTC time"),
    "an unknown issuer in the matrix": (
        paths.MATRIX,
        lambda m: m["rows"].append({"issuer": "99", "status": 0, "area": "", "health": "green", "outcome": "accept"}),
        "names issuer 99",
    ),
    "a row twice": (paths.MATRIX, lambda m: m["rows"].append(m["rows"][0]), "stands twice"),
    "an issuer twice": (paths.ISSUERS, lambda m: m["issuers"].append(m["issuers"][0]), "stands twice"),
    "an issuer's region unknown": (paths.ISSUERS, lambda m: m["issuers"][0].update(region=990000), "990000"),
    "an issuer removed, its keys left": (paths.ISSUERS, lambda m: m["issuers"].pop(), "names issuer cn"),
    "an unknown listed area": (paths.POLICY, lambda m: m.update(listed_areas=["99"]), "area 99"),
    "a region twice": (paths.REGIONS, lambda m: m["regions"].append(m["regions"][0]), "stands twice"),
    "another schema": (paths.REGIONS, lambda m: m.update(schema=2), "schema"),
    "a key of another algorithm": (
        "issuers/44/keys.json",
        lambda m: m["keys"].append({**m["keys"][0], "alg": "RS256", "kid": "00"}),
        "algorithm",
    ),
    "a key twice": ("issuers/44/keys.json", lambda m: m["keys"].append(m["keys"][0]), "public key twice"),
    "a key beyond its region": ("issuers/44/keys.json", lambda m: m["keys"][0].update(regions=["45"]), "own region"),
    "a regional key for all": ("issuers/44/keys.json", lambda m: m["keys"][0].update(regions=[""]), "own region"),
    "a list that is none": ("issuers/44/keys.json", lambda m: m["keys"][0].update(status_list=9), "status list 9"),
    "another issuer's name": ("issuers/44/keys.json", lambda m: m.update(issuer="50"), "issuer of this path"),
    "a hub under another id": (
        paths.HUBS,
        lambda m: m["hubs"].append({"key_id": "00" * 8, "public": "11" * 32, "name": "x"}),
        "key_id",
    ),
    "an auditor key of small order": (paths.AUDITOR, lambda m: m.update(public="00" * 32), "small order"),
    "a venue without name": (paths.VENUES, lambda m: m["venues"].append({"id": "aa", "region": 110000}), "name"),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_in_the_sources_is_named_and_not_published(authority: Authority, slip: str) -> None:
    """Before anything is signed: file, row and member, and the last publication stays as it was."""
    path, change, match = SLIPS[slip]
    before = (authority.publication / "metadata/timestamp.json").read_bytes()
    edit(authority, path, change)

    with pytest.raises(PublicationError, match=match) as met:
        publish(authority, NOW)

    assert path in str(met.value)
    assert (authority.publication / "metadata/timestamp.json").read_bytes() == before


@pytest.mark.parametrize("public", weak_keys(), ids=lambda key: key.hex()[:8])
def test_weak_keys_are_refused_at_publication(authority: Authority, public: bytes) -> None:
    """Small order, mixed order, no canonical point, no point: the row is named."""
    edit(authority, "issuers/44/keys.json", lambda members: members["keys"][0].update(public=public.hex()))

    with pytest.raises(PublicationError, match=r"issuers/44/keys\.json keys\[0\]: public is refused"):
        publish(authority, NOW)


def test_a_key_belongs_to_one_issuer(authority: Authority) -> None:
    """The same key under two issuers would let one speak for the other."""
    borrowed = json.loads(authority.sources.read("issuers/50/keys.json"))["keys"][0]["public"]
    edit(authority, "issuers/44/keys.json", lambda members: members["keys"][0].update(public=borrowed))

    with pytest.raises(PublicationError, match="as a key of issuer 50 and as a key of issuer 44"):
        publish(authority, NOW)


# Editing


def test_an_issuer_of_ones_own(authority: Authority) -> None:
    """Adding a region changes no code."""
    own = profiles.own_profile("53", {"zh": "云南健康码", "en": "Yunnan Health Code"}, 530000)

    (added,) = issuers.add_issuer(authority, own, NOW)
    publish(authority, NOW)

    trust = gate(authority)
    assert trust.issuers["53"].region == 530000
    assert trust.keys["53", added.key_id][0].regions == ("53",)
    assert trust.matrix["53", 10][0].outcome == "reject"


def test_an_issuer_is_not_added_twice(authority: Authority) -> None:
    """The next step names the command for another key."""
    with pytest.raises(PublicationError, match="add-key"):
        issuers.add_issuer(authority, profiles.profile("44"), NOW)


@pytest.mark.parametrize("id_", ["", "5", "../x", "53 ", "YN", "a" * 17])
def test_an_issuer_id_that_is_none_leaves_nothing_behind(authority: Authority, id_: str) -> None:
    """Refused before a key is made."""
    before = sorted(authority.folder.rglob("*"))

    with pytest.raises(PublicationError, match="id"):
        issuers.add_issuer(authority, profiles.own_profile(id_, {"zh": "某", "en": "x"}, 0), NOW)
    assert sorted(authority.folder.rglob("*")) == before


def test_a_second_key_has_a_list_of_its_own(authority: Authority) -> None:
    """The older key stays until it runs out."""
    added = issuers.add_key(authority, "44", profiles.profile("44").keys[0], NOW)
    publish(authority, NOW)

    trust = gate(authority)
    assert (added.status_list, ("44", 2) in trust.status_lists) == (2, True)
    assert sum(issuer == "44" for issuer, _ in trust.keys) == 2


def test_a_region_keeps_its_own_key(authority: Authority) -> None:
    """Only the public half is given; its passes can be revoked by an index that was drawn elsewhere."""
    region = SigningKey(bytes([5]) * 32)
    foreign = issuers.ForeignKey(bytes(region.verify_key), b"\x07")
    own = profiles.own_profile("53", {"zh": "云南健康码", "en": "Yunnan Health Code"}, 530000)

    (added,) = issuers.add_issuer(authority, own, NOW, foreign=foreign)
    set_status(authority, "53", 77, Status.SUSPENDED, NOW)
    set_status(authority, "53", 77, Status.INVALID, NOW)
    publish(authority, NOW)

    trust = gate(authority)
    assert trust.keys["53", b"\x07"][0].public == foreign.public
    assert [trust.status_lists["53", added.status_list].status(index) for index in (76, 77)] == [0, 1]
    with pytest.raises(PublicationError, match="no pass with this index"):
        set_status(authority, "53", 1 << 20, Status.INVALID, NOW)


@pytest.mark.parametrize("foreign", [issuers.ForeignKey(key) for key in weak_keys()])
def test_a_weak_key_of_a_region_leaves_nothing_behind(authority: Authority, foreign: issuers.ForeignKey) -> None:
    """Refused before anything is written."""
    before = (authority.sources.read("issuers/44/keys.json"), authority.ledger.lists())

    with pytest.raises(PublicationError, match="public"):
        issuers.add_key(authority, "44", profiles.profile("44").keys[0], NOW, foreign=foreign)
    assert (authority.sources.read("issuers/44/keys.json"), authority.ledger.lists()) == before


def test_a_hub_key_reaches_gates_once(authority: Authority) -> None:
    """The receipt key, under the id a receipt names."""
    public = bytes(SigningKey(bytes(32)).verify_key)

    kid = issuers.add_hub(authority, public, "north")
    publish(authority, NOW)

    assert gate(authority).hub_keys == {kid.hex(): public}
    with pytest.raises(PublicationError, match="already"):
        issuers.add_hub(authority, public, "north")


@pytest.mark.parametrize("public", weak_keys(), ids=lambda key: key.hex()[:8])
def test_a_weak_hub_key_is_refused(authority: Authority, public: bytes) -> None:
    """Receipts decide what a gate may erase."""
    with pytest.raises(PublicationError, match="refused"):
        issuers.add_hub(authority, public, "north")


def test_a_live_rule_for_nobody_is_not_published(authority: Authority) -> None:
    """The message names the issuer that is in no registry."""
    row = {"issuer": "99", "kinds": ["person"], "copied": "refer", "unbound": "accept"}
    edit(authority, paths.POLICY, lambda policy: policy.update(live=[row]))

    with pytest.raises(PublicationError, match="wants passes of issuer 99 live"):
        publish(authority, NOW)


def test_a_policy_is_set_with_the_next_version(authority: Authority) -> None:
    """Whatever version the file says."""
    members = {**authority.sources.members(paths.POLICY), "listed_areas": ["6101"], "version": 77}

    assert issuers.set_policy(authority, members, NOW) == 2
    publish(authority, NOW)
    assert (gate(authority).policy.version, gate(authority).policy.listed_areas) == (2, ("6101",))


def test_a_policy_that_has_ended_is_not_set(authority: Authority) -> None:
    """No gate would admit under it."""
    members = {**authority.sources.members(paths.POLICY), "ends_at": "2025-01-01T00:00:00Z"}

    with pytest.raises(PublicationError, match="past"):
        issuers.set_policy(authority, members, NOW)


# Opening


def test_a_publication_opens_from_every_folder_at_hand(authority: Authority, tmp_path: Path) -> None:
    """Authority, publication, store and state folder give the same view."""
    store = TrustStore.init(tmp_path / "state/trust", (authority.publication / "metadata/1.root.json").read_bytes())
    store.refresh(FolderFetcher(authority.publication), NOW)
    folders = (authority.folder, authority.publication, store.folder, tmp_path / "state")

    assert len({open_trust(folder, NOW).digest for folder in folders}) == 1


def test_an_expired_publication_does_not_open(authority: Authority) -> None:
    """A new gate would refuse it too."""
    with pytest.raises(TrustRefused, match="expired"):
        gate(authority, NOW + 60 * DAY)


def test_revocation_travels_from_ledger_to_gate(authority: Authority) -> None:
    """Issued, revoked, suspended, restored: a gate sees each after its next refresh, and not before the publish."""
    store = TrustStore.init(authority.folder / "gate", (authority.publication / "metadata/1.root.json").read_bytes())
    places = [authority.ledger.draw("44", 1, (NOW, NOW + DAY), 0) for _ in range(4)]
    wanted = (Status.VALID, Status.INVALID, Status.SUSPENDED, Status.VALID)
    for place, status in zip(places[1:], (Status.INVALID, Status.SUSPENDED, Status.SUSPENDED), strict=True):
        set_status(authority, "44", place.index, status, NOW)
    set_status(authority, "44", places[3].index, Status.VALID, NOW)

    store.refresh(FolderFetcher(authority.publication), NOW)
    assert {store.load().status_lists["44", 1].status(place.index) for place in places} == {Status.VALID}

    result = publish(authority, NOW)
    store.refresh(FolderFetcher(authority.publication), NOW)
    listed = store.load().status_lists["44", 1]
    assert result.changed == ("issuers/44/status/1.cbor",)
    assert tuple(listed.status(place.index) for place in places) == wanted


def test_a_revocation_is_taken_back_only_with_a_reason(authority: Authority) -> None:
    """Refused without one; with one it is done, and the trail keeps every step."""
    place = authority.ledger.draw("44", 1, (NOW, NOW + DAY), 0)
    set_status(authority, "44", place.index, Status.INVALID, NOW, reason="wrong list")

    for status in (Status.VALID, Status.SUSPENDED):
        with pytest.raises(PublicationError, match="only with a reason"):
            set_status(authority, "44", place.index, status, NOW + 1, reason=" ")
    set_status(authority, "44", place.index, Status.VALID, NOW + 2, reason="order 12 was meant for another")

    assert authority.ledger.find("44", place.index, None) == [(place, Status.VALID)]
    assert [(change.at - NOW, change.was, change.now, change.reason) for change in authority.ledger.history(place)] == [
        (0, Status.VALID, Status.INVALID, "wrong list"),
        (2, Status.INVALID, Status.VALID, "order 12 was meant for another"),
    ]


def test_only_issued_passes_are_revoked(authority: Authority) -> None:
    """An index nobody has been given, or another issuer's."""
    place = authority.ledger.draw("44", 1, (NOW, NOW + DAY), 0)

    for issuer, index in (("44", (place.index + 1) % (1 << 20)), ("50", place.index), ("44", -1), ("44", 1 << 70)):
        with pytest.raises(PublicationError, match="no pass with this index"):
            set_status(authority, issuer, index, Status.INVALID, NOW)


def test_indices_are_never_given_twice(authority: Authority) -> None:
    """A small list is filled to its half and then is full."""
    number = authority.ledger.add_list("44", size=64)

    drawn = [authority.ledger.draw("44", number, (NOW, NOW + DAY), 0).index for _ in range(32)]

    assert len(set(drawn)) == 32
    assert drawn != sorted(drawn)
    with pytest.raises(PublicationError, match="full"):
        authority.ledger.draw("44", number, (NOW, NOW + DAY), 0)


@pytest.mark.parametrize("content", [b"", b"no database, no database" * 50])
def test_a_damaged_ledger_stops_publishing(authority: Authority, content: bytes) -> None:
    """Without it a revocation could be forgotten."""
    (authority.folder / "ledger.db").write_bytes(content)

    with pytest.raises(PublicationError, match="ledger"):
        publish(authority, NOW)
