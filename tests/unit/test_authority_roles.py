"""Who may sign what: root, targets, provinces, online roles; rotated, delegated, upgraded, and followed by gates."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from nacl.signing import SigningKey
from tuf.api.exceptions import DownloadHTTPError, UnsignedMetadataError
from tuf.api.metadata import Metadata, Root, Targets
from tuf.ngclient import FetcherInterface, Updater

from edge.authority import issuers, profiles, rotation
from edge.authority import roles as role_names
from edge.authority.authority import Authority, delegated_roles, init
from edge.authority.publish import gather, publish, renew
from edge.authority.revocation import set_status
from edge.authority.roles import Holder, Role, Roles
from edge.errors import PublicationError, TrustError
from edge.model.trust import Status
from edge.trust.fetchers import FolderFetcher
from edge.trust.store import TrustStore
from tests.simulators.former_authority import former
from tests.simulators.repository import DAY, NOW
from tests.unit.test_trust_refusals import weak_keys

TODAY = int(time.time())  # noqa: TID251  # the stock client reads the system clock
ISSUERS = ("11", "44", "6101", "nhc", "trip")


class Folder(FetcherInterface):
    """The stock client's way into a publication's folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _fetch(self, url: str) -> Iterator[bytes]:
        place = self._folder / urlsplit(url).path.lstrip("/")
        if not place.is_file():
            raise DownloadHTTPError("no such file", 404)
        return iter([place.read_bytes()])


def stock(authority: Authority, folder: Path) -> Updater:
    """Return python-tuf's own client, refreshed; it keeps what it has seen in `folder`."""
    for name in ("metadata", "targets"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    root = (authority.publication / "metadata/1.root.json").read_bytes()
    places = (str(folder / "metadata"), "http://host/metadata/", str(folder / "targets"), "http://host/targets/")
    found = Updater(*places, fetcher=Folder(authority.publication), bootstrap=root)
    found.refresh()
    return found


def country(folder: Path, now: int = NOW, *, delegated: bool = False) -> Authority:
    """Return an authority with a few issuers, published."""
    authority = init(folder, now, delegated=delegated)
    for name in ISSUERS:
        issuers.add_issuer(authority, profiles.profile(name), now)
    publish(authority, now)
    return authority


def in_force(authority: Authority, role: str) -> Metadata[Targets]:
    """Return the newest metadata of a targets role."""
    found = authority.repository.published().offline(role)
    assert found is not None
    return Metadata.from_bytes(found.raw)


# What a new authority is


def test_a_new_authority_has_root_three_of_five_and_targets_two_of_three(tmp_path: Path) -> None:
    """Snapshot and timestamp have one key each, because a machine signs with them."""
    root = country(tmp_path / "a").repository.published().root.signed

    counted = {name: (role.threshold, len(role.keyids)) for name, role in root.roles.items()}

    assert counted == {"root": (3, 5), "targets": (2, 3), "snapshot": (1, 1), "timestamp": (1, 1)}
    assert root.unrecognized_fields == {"x-edge-sunset": "2027-01-01T00:00:00Z"}


def test_each_province_has_a_terminating_role_of_two_in_three(tmp_path: Path) -> None:
    """Thirty-four provinces with their own paths, and one role for issuers with names."""
    authority = country(tmp_path / "a", delegated=True)

    delegations = in_force(authority, "targets").signed.delegations

    assert delegations is not None
    assert delegations.roles is not None
    roles = delegations.roles
    assert len(roles) == 35
    assert all((role.threshold, len(role.keyids), role.terminating) == (2, 3, True) for role in roles.values())
    assert roles["province-61"].paths == ["issuers/61*/*", "issuers/61*/status/*"]
    assert roles["national-issuers"].paths == [
        *("issuers/nhc/*", "issuers/nhc/status/*", "issuers/trip/*", "issuers/trip/status/*")
    ]


def test_a_role_is_published_once_an_issuer_leads_to_it(tmp_path: Path) -> None:
    """Silent provinces cost a gate nothing."""
    authority = country(tmp_path / "a", delegated=True)

    snapshot = authority.repository.published().snapshot

    assert snapshot is not None
    expected = {"targets", "province-11", "province-44", "province-61", "national-issuers"}
    assert set(snapshot.signed.meta) == {f"{name}.json" for name in expected}


def test_the_nation_signs_no_issuers_file_where_provinces_sign(tmp_path: Path) -> None:
    """Each path is listed by the one role that may list it."""
    authority = country(tmp_path / "a", delegated=True)

    assert all(path.startswith("national/") for path in in_force(authority, "targets").signed.targets)
    assert set(in_force(authority, "province-61").signed.targets) == {
        "issuers/6101/keys.json",
        "issuers/6101/status/1.cbor",
    }


@pytest.mark.parametrize("delegated", [False, True])
def test_the_stock_client_finds_every_target(tmp_path: Path, delegated: bool) -> None:  # noqa: FBT001
    """python-tuf itself follows the delegations to each file and verifies it."""
    authority = country(tmp_path / "a", TODAY, delegated=delegated)
    client = stock(authority, tmp_path / "client")

    for path, data in gather(authority).items():
        target = client.get_targetinfo(path)
        assert target is not None, path
        assert Path(client.download_target(target)).read_bytes() == data


def test_only_the_province_that_changed_signs_anew(tmp_path: Path) -> None:
    """A revocation in one province leaves the others' and the nation's metadata as they are."""
    authority = country(tmp_path / "a", delegated=True)
    place = authority.ledger.draw("44", 1, (NOW, NOW + DAY), 0)
    set_status(authority, "44", place.index, Status.INVALID, NOW)

    done = publish(authority, NOW + 1)

    assert done.signed == ("province-44",)
    assert done.changed == ("issuers/44/status/1.cbor",)


# Prefectures


def test_a_prefecture_takes_over_its_files_from_its_province(tmp_path: Path) -> None:
    """Two of three of its own keys sign from then on, and the stock client still finds the file."""
    authority = country(tmp_path / "a", TODAY, delegated=True)

    rotation.add_prefecture(authority, "6101")
    done = publish(authority, TODAY)

    assert done.signed == ("province-61", "prefecture-6101")
    assert not in_force(authority, "province-61").signed.targets
    assert "issuers/6101/keys.json" in in_force(authority, "prefecture-6101").signed.targets
    assert stock(authority, tmp_path / "client").get_targetinfo("issuers/6101/status/1.cbor") is not None


@pytest.mark.parametrize("digits", ["61", "610100", "9999", "ab01", ""])
def test_a_prefecture_is_four_digits_of_a_province_with_a_role(tmp_path: Path, digits: str) -> None:
    """Anything else is refused and makes no key."""
    authority = init(tmp_path / "a", NOW, delegated=True)
    before = sorted((tmp_path / "a/keys").iterdir())

    with pytest.raises(PublicationError, match="no prefecture"):
        rotation.add_prefecture(authority, digits)

    assert sorted((tmp_path / "a/keys").iterdir()) == before


# Rotation


@pytest.mark.parametrize(
    "name", ["root-2", "targets-1", "snapshot", "timestamp", "root", "targets", "province-61-3", "province-61"]
)
def test_a_gate_follows_the_rotation_of_every_role(tmp_path: Path, name: str) -> None:
    """A new key in place of an old one, for single keys and whole roles; clients go on without being touched."""
    authority = country(tmp_path / "a", TODAY, delegated=True)
    stock(authority, tmp_path / "client")

    rotated = rotation.rotate(authority, (name,))
    publish(authority, TODAY)
    client = stock(authority, tmp_path / "client")

    assert all(one.new.name == f"{one.old}.2" for one in rotated)
    if name in {"root-2", "targets-1", "province-61-3"}:
        with pytest.raises(PublicationError, match=rf"In its place is {name}\.2"):
            rotation.rotate(authority, (name,))
    assert client.get_targetinfo("issuers/6101/keys.json") is not None


def test_what_a_stolen_key_has_signed_is_signed_anew_without_it(tmp_path: Path) -> None:
    """Two of the three signatures were enough; once a signer leaves, the rest may not be."""
    authority = init(tmp_path / "a", NOW, delegated=True)
    authority.keys.place("province-61-3").rename(tmp_path / "elsewhere.key")
    issuers.add_issuer(authority, profiles.profile("6101"), NOW)
    publish(authority, NOW)

    stolen = authority.roles().holder("province-61-1")[1].key.keyid
    rotation.rotate(authority, ("province-61-1",))
    publish(authority, NOW)

    assert stolen not in in_force(authority, "province-61").signatures
    assert in_force(authority, "province-61").signed.version == 2


def test_rotating_the_online_keys_lets_gates_forget_what_a_thief_fast_forwarded(tmp_path: Path) -> None:
    """TUF 5.3.11: a stolen timestamp key that counted to the end is survived by rotating it."""
    authority = country(tmp_path / "a")
    store = TrustStore.init(tmp_path / "trust", (authority.publication / "metadata/1.root.json").read_bytes())
    store.refresh(FolderFetcher(authority.publication), NOW)
    timestamp = authority.publication / "metadata/timestamp.json"
    honest = timestamp.read_bytes()
    forged = Metadata.from_bytes(honest)
    forged.signed.version = 1 << 40
    forged.sign(authority.keys.signer("timestamp"))
    timestamp.write_bytes(forged.to_bytes())
    store.refresh(FolderFetcher(authority.publication), NOW)
    timestamp.write_bytes(honest)

    with pytest.raises(TrustError):
        store.refresh(FolderFetcher(authority.publication), NOW)
    rotation.rotate(authority, ("timestamp", "snapshot"))
    publish(authority, NOW + 60)
    store.refresh(FolderFetcher(authority.publication), NOW + 60)

    assert store.load().issued_at == NOW + 60


def test_a_key_made_elsewhere_is_known_by_its_public_half(tmp_path: Path) -> None:
    """Its private half never comes to the centre; the role is still signed by the two that are here."""
    authority = country(tmp_path / "a")
    public = bytes(SigningKey(bytes([9]) * 32).verify_key)

    rotation.rotate(authority, ("targets-2",), public=public)
    publish(authority, NOW)

    assert not authority.keys.has("targets-2.2")
    root = authority.repository.published().root.signed
    assert Holder("", public).key.keyid in root.roles["targets"].keyids


@pytest.mark.parametrize("public", weak_keys(), ids=lambda key: key.hex()[:8])
def test_a_weak_key_gets_no_role(tmp_path: Path, public: bytes) -> None:
    """Small order, mixed order, no canonical point, no point."""
    authority = init(tmp_path / "a", NOW)

    with pytest.raises(PublicationError, match="refused"):
        rotation.rotate(authority, ("root-1",), public=public)

    assert authority.roles().holder("root-1")


def test_a_key_has_one_role(tmp_path: Path) -> None:
    """A key of the targets role is not taken for a root key, nor the same twice."""
    authority = init(tmp_path / "a", NOW)
    public = authority.roles().holder("targets-1")[1].public

    with pytest.raises(PublicationError, match=r"is also key root-1\.2"):
        rotation.rotate(authority, ("root-1",), public=public)


@pytest.mark.parametrize("where", ["issuer", "hub"])
def test_a_key_of_a_role_is_no_issuers_and_no_hubs_key(tmp_path: Path, where: str) -> None:
    """One key has one use."""
    authority = country(tmp_path / "a")
    public = authority.roles().holder("root-1")[1].public
    if where == "hub":
        issuers.add_hub(authority, public, "north")
    else:
        foreign = issuers.ForeignKey(public)
        issuers.add_key(authority, "44", profiles.profile("44").keys[0], NOW, foreign=foreign)

    with pytest.raises(PublicationError, match="root-1 of role root"):
        publish(authority, NOW)


def test_rotating_what_is_not_there_is_refused(tmp_path: Path) -> None:
    """A mistyped name changes nothing, even beside a right one."""
    authority = init(tmp_path / "a", NOW)
    before = (tmp_path / "a/roles.json").read_bytes()

    with pytest.raises(PublicationError, match="no key root-9"):
        rotation.rotate(authority, ("root-1", "root-9"))

    assert (tmp_path / "a/roles.json").read_bytes() == before


# Two persons


def test_a_change_signed_once_is_refused(tmp_path: Path) -> None:
    """Two of three, and one key is here: nothing is published, and the message counts."""
    authority = country(tmp_path / "a")
    for name in ("targets-2", "targets-3"):
        authority.keys.place(name).unlink()
    before = (authority.publication / "metadata/timestamp.json").read_bytes()
    issuers.add_issuer(authority, profiles.profile("50"), NOW)

    with pytest.raises(PublicationError, match="targets is signed by 1 of the 2 keys"):
        publish(authority, NOW)

    assert (authority.publication / "metadata/timestamp.json").read_bytes() == before


def test_extending_the_sunset_needs_three_root_keys(tmp_path: Path) -> None:
    """Two are not enough; with three the new root carries it."""
    authority = country(tmp_path / "a")
    hidden = {name: authority.keys.place(name).read_bytes() for name in ("root-1", "root-2", "root-3")}
    for name in hidden:
        authority.keys.place(name).unlink()
    rotation.set_sunset(authority, NOW + 500 * DAY, NOW)

    with pytest.raises(PublicationError, match="root is signed by 2 of the 3 keys"):
        publish(authority, NOW)
    authority.keys.keep("root-1", SigningKey(hidden["root-1"]))
    assert publish(authority, NOW).signed == ("root",)

    root = authority.repository.published().root.signed
    assert root.unrecognized_fields["x-edge-sunset"] == "2027-05-16T00:00:00Z"


def test_a_policy_beyond_the_sunset_is_told(tmp_path: Path) -> None:
    """It is published, because the root ends it in any case; whoever set it should know."""
    authority = country(tmp_path / "a")
    members = authority.sources.members("national/policy.json")
    issuers.set_policy(authority, {**members, "ends_at": "2029-01-01T00:00:00Z"}, NOW)

    assert "2029-01-01" in publish(authority, NOW).warnings[0]


def test_an_approved_delta_stands_in_the_national_metadata(tmp_path: Path) -> None:
    """Path and hash; once other bytes stand there the approval is gone."""
    authority = country(tmp_path / "a", delegated=True)
    path = "issuers/44/status/1.cbor"
    place = authority.ledger.draw("44", 1, (NOW, NOW + DAY), 0)
    set_status(authority, "44", place.index, Status.SUSPENDED, NOW)
    digest = in_digest(gather(authority)[path])

    rotation.cosign(authority, {path: digest})
    publish(authority, NOW)
    approved = in_force(authority, "targets").signed.unrecognized_fields
    set_status(authority, "44", place.index, Status.INVALID, NOW)
    publish(authority, NOW)

    assert approved == {"x-edge-cosigned": [{"path": path, "sha256": digest}]}
    assert in_force(authority, "targets").signed.unrecognized_fields == {}


def in_digest(data: bytes) -> str:
    """Return the SHA-256 as metadata writes it."""
    from hashlib import sha256

    return sha256(data).hexdigest()


# Online


def test_a_machine_with_the_two_online_keys_renews_the_time(tmp_path: Path) -> None:
    """Neither sources nor ledger nor any other key is there; gates take what it signs."""
    authority = country(tmp_path / "a", delegated=True)
    machine = tmp_path / "machine"
    (machine / "keys").mkdir(parents=True)
    authority.publication.rename(machine / "publication")
    for name in ("snapshot", "timestamp"):
        authority.keys.place(name).rename(machine / f"keys/{name}.key")
    online = Authority(machine)

    for day in range(5, 45, 5):
        done = renew(online, NOW + day * DAY)

    assert (done.versions.timestamp, done.versions.snapshot > 1, done.versions.targets) == (9, True, 1)
    assert sorted(path.name for path in machine.iterdir()) == [".lock", "keys", "publication"]


def test_a_renewal_tells_what_people_must_sign_soon(tmp_path: Path) -> None:
    """The machine cannot renew the targets, but it can say that they run out."""
    authority = country(tmp_path / "a")

    assert renew(authority, NOW + 59 * DAY).warnings == ()
    assert "targets" in renew(authority, NOW + 61 * DAY).warnings[0]


def test_renewal_needs_the_online_keys(tmp_path: Path) -> None:
    """A machine without them is told which are missing."""
    authority = country(tmp_path / "a")
    authority.keys.place("timestamp").unlink()

    with pytest.raises(PublicationError, match="role timestamp"):
        renew(authority, NOW)


# An authority of the former version


def test_an_authority_of_the_former_version_still_publishes(tmp_path: Path) -> None:
    """With the keys it has, and a word that it should be upgraded."""
    authority = former(tmp_path / "a", NOW)

    done = publish(authority, NOW + 1)

    assert (done.versions.root, done.signed) == (1, ())
    assert "edge authority upgrade" in done.warnings[0]


@pytest.mark.parametrize("delegated", [False, True])
def test_gates_of_the_former_root_follow_the_upgrade(tmp_path: Path, delegated: bool) -> None:  # noqa: FBT001
    """Two of the three old keys sign the root of five; a gate and the stock client go along."""
    authority = former(tmp_path / "a", TODAY)
    store = TrustStore.init(tmp_path / "trust", (authority.publication / "metadata/1.root.json").read_bytes())
    store.refresh(FolderFetcher(authority.publication), TODAY)

    rotation.upgrade(authority, TODAY, delegated=delegated)
    done = publish(authority, TODAY + 1)
    stock(authority, tmp_path / "client")
    store.refresh(FolderFetcher(authority.publication), TODAY + 1)

    assert done.signed[:2] == ("root", "targets")
    assert done.warnings == ()
    assert store.provenance().versions.root == 2
    assert len(authority.repository.published().root.signed.roles["root"].keyids) == 5


def test_an_upgraded_authority_gets_provinces_later(tmp_path: Path) -> None:
    """Once the gates in the field follow delegations, `upgrade` adds the roles that are missing."""
    authority = country(tmp_path / "a", TODAY)

    fresh = rotation.upgrade(authority, TODAY, delegated=True)
    publish(authority, TODAY)

    assert set(fresh) == set(delegated_roles())
    assert stock(authority, tmp_path / "client").get_targetinfo("issuers/6101/keys.json") is not None


# The file


def test_roles_are_written_and_read_back(tmp_path: Path) -> None:
    """Every member, the sunset and the approvals included."""
    roles = init(tmp_path / "a", NOW, delegated=True).roles()
    roles = Roles(roles.by_name, NOW, (("issuers/44/status/1.delta.7", "00" * 32),))

    assert role_names.decode(role_names.encode(roles)) == roles


SLIPS = {
    "no JSON": (lambda text: text[:-3], "strict JSON"),
    "a mistyped member": (lambda text: text.replace('"sunset"', '"sunsets"'), "sunsets"),
    "a role that is none": (lambda text: text.replace('"targets"', '"target"'), "is not a role"),
    "no timestamp": (
        lambda text: text.replace('"name": "timestamp",', '"name": "province-11",', 1),
        "no role timestamp",
    ),
    "a threshold that cannot be met": (lambda text: text.replace('"threshold": 3', '"threshold": 6'), "6 of 5"),
    "a path as a key's name": (lambda text: text.replace('"root-1"', '"../x"'), "small letters"),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_in_the_roles_is_named(tmp_path: Path, slip: str) -> None:
    """Nothing is signed under roles that cannot hold."""
    change, match = SLIPS[slip]
    authority = init(tmp_path / "a", NOW)
    place = tmp_path / "a/roles.json"
    place.write_text(change(place.read_text()))

    with pytest.raises(PublicationError, match=match):
        publish(authority, NOW)


def test_a_province_cannot_speak_for_another(tmp_path: Path) -> None:
    """A file of another region among a province's targets is not found by any client, and not signed by ours."""
    authority = country(tmp_path / "a", TODAY, delegated=True)
    forged = in_force(authority, "province-61")
    forged.signed.targets["issuers/44/keys.json"] = in_force(authority, "province-44").signed.targets[
        "issuers/44/keys.json"
    ]
    delegations = in_force(authority, "targets").signed.delegations

    assert delegations is not None
    found = [name for name, _ in delegations.get_roles_for_target("issuers/44/keys.json")]
    assert found == ["province-44"]


def test_a_gate_refuses_a_regional_key_that_speaks_for_another_region(tmp_path: Path) -> None:
    """Signed by a whole province: its issuers' keys are bound to its own region when a gate loads them."""
    from edge.trust import snapshot, targets
    from edge.trust.fields import Document

    files = gather(country(tmp_path / "a"))
    members = json.loads(files["issuers/44/keys.json"])
    members["keys"][0]["regions"] = ["45"]

    with pytest.raises(TrustError, match="own region"):
        targets.keys(Document(json.dumps(members).encode(), "issuers/44/keys.json"), "44")
    assert snapshot.paths.keys_of("issuers/44/keys.json") == "44"


def test_under_signed_roles_are_refused_by_the_stock_client(tmp_path: Path) -> None:
    """The thresholds written are thresholds enforced."""
    authority = country(tmp_path / "a", TODAY, delegated=True)
    root = Metadata[Root].from_bytes((authority.publication / "metadata/1.root.json").read_bytes())
    for keyid in list(root.signatures)[:3]:
        del root.signatures[keyid]

    with pytest.raises(UnsignedMetadataError):
        root.signed.verify_delegate("root", root.signed_bytes, root.signatures)


def test_names_of_rotated_keys_count_generations() -> None:
    """Each generation has a file of its own, so that nothing is overwritten."""
    assert role_names.next_name("root-2") == "root-2.2"
    assert role_names.next_name("province-61-3.9") == "province-61-3.10"


def test_a_role_needs_its_keys() -> None:
    """A threshold of none would let anybody sign."""
    with pytest.raises(PublicationError, match="0 of 1"):
        role_names.check(Roles({"root": Role("root", 0, (Holder("root-1", bytes(SigningKey(bytes(32)).verify_key)),))}))
