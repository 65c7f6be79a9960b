"""Delegated roles: provinces and prefectures write where they may, and nowhere else (ADR 0004, ADR 0020)."""

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import pytest
from nacl.signing import SigningKey
from tuf.api.metadata import DelegatedRole, Delegations, SuccinctRoles, TargetFile, Targets

from edge.errors import AnswerRefused, TrustDamaged, TrustExpired, TrustRefused
from edge.model.trust import TrustSnapshot
from edge.trust import delegations
from edge.trust.delegations import search
from edge.trust.store import TrustStore
from edge.trust.workflow import LIMITS, Verified
from tests.simulators.repository import (
    DAY,
    NOW,
    Delegated,
    Repository,
    document,
    key_row,
    keys_document,
    province,
    words,
)
from tests.unit.test_trust_refusals import SMALL_ORDER
from tests.unit.test_trust_store import damage


def public_of(digits: str, seed: int = 1) -> bytes:
    """Return a key of an issuer; no two issuers share one."""
    return bytes(SigningKey(sha256(f"{digits} {seed}".encode()).digest()).verify_key)


def keys_of(digits: str, seed: int = 1) -> bytes:
    """Return a keys file of an issuer."""
    return keys_document(key_row(public_of(digits, seed), regions=[digits]), issuer=digits)


def registry(*ids: str) -> bytes:
    """Return a registry of issuers."""
    rows = [{"id": id_, "names": words(id_, id_), "region": int(id_.ljust(6, "0"))} for id_ in ids]
    return document(issuers=rows)


@pytest.fixture
def repository() -> Repository:
    """Shaanxi signs for itself, Xi'an for itself under Shaanxi; Guangdong stands in the top-level role as before."""
    found = Repository()
    found.targets["national/issuers.json"] = registry("44", "61", "6101")
    found.delegate("province-61", province("61")).targets["issuers/61/keys.json"] = keys_of("61")
    xian = found.delegate("prefecture-6101", province("6101"), delegator="province-61")
    xian.targets["issuers/6101/keys.json"] = keys_of("6101")
    found.delegate("province-62", province("62"))
    found.publish()
    return found


@pytest.fixture
def store(tmp_path: Path, repository: Repository) -> Iterator[TrustStore]:
    """A store that has been refreshed once; whatever a test offers it, its view verifies afterwards."""
    found = TrustStore.init(tmp_path / "trust", repository.first_root)
    found.refresh(repository, NOW)
    yield found
    assert isinstance(found.load(), TrustSnapshot)


def issuers_with_keys(store: TrustStore) -> set[str]:
    """Return the issuers whose keys the store accepts."""
    return {issuer for issuer, _ in store.load().keys}


# What counts


def test_keys_of_a_province_and_its_prefecture_are_loaded(store: TrustStore) -> None:
    """What a chain of delegated roles lists is in the view, beside what the top-level role lists."""
    assert issuers_with_keys(store) == {"44", "61", "6101"}


def test_only_roles_that_lead_to_registered_issuers_are_fetched(store: TrustStore, repository: Repository) -> None:
    """A province without an issuer in the registry costs no request."""
    fetched = [path for path in repository.requests if "province" in path or "prefecture" in path]

    assert fetched == ["metadata/1.province-61.json", "metadata/1.prefecture-6101.json"]


def test_a_province_that_changed_costs_five_requests_and_its_files(store: TrustStore, repository: Repository) -> None:
    """Root, timestamp, snapshot, the role and its file: nothing of other provinces."""
    repository.requests.clear()
    repository.delegated["province-61"].targets["issuers/61/keys.json"] = keys_of("61", seed=2)
    repository.publish_delegated(repository.delegated["province-61"])
    repository.publish_snapshot()
    repository.publish_timestamp()
    store.refresh(repository, NOW)

    assert [path.split(".")[-2] for path in repository.requests[:4]] == [
        "root",
        "metadata/timestamp",
        "snapshot",
        "province-61",
    ]
    assert len(repository.requests) == 5
    assert store.refresh(repository, NOW).fetched == 0


@pytest.mark.parametrize(
    ("role", "path"),
    [
        ("province-61", "issuers/44/keys.json"),
        ("province-61", "issuers/44/status/1.cbor"),
        ("province-61", "national/policy.json"),
        ("province-61", "issuers/62/keys.json"),
        ("prefecture-6101", "issuers/61/keys.json"),
        ("prefecture-6101", "issuers/44/keys.json"),
    ],
)
def test_a_role_that_writes_in_anothers_path_is_not_heard(
    store: TrustStore, repository: Repository, role: str, path: str
) -> None:
    """A province cannot speak for another, for the nation, nor a prefecture for its province."""
    before = store.load()
    repository.targets["national/issuers.json"] = registry("44", "61", "6101", "62")
    repository.delegated[role].targets[path] = keys_of("44", seed=9)
    repository.publish()
    store.refresh(repository, NOW)
    after = store.load()

    assert {pair: keys for pair, keys in after.keys.items() if pair[0] != "62"} == dict(before.keys)
    assert "62" not in issuers_with_keys(store)
    assert after.policy == before.policy


def test_the_top_level_role_comes_first(store: TrustStore, repository: Repository) -> None:
    """Pre-order: what the top-level role lists counts, whatever a province lists under the same path."""
    repository.targets["issuers/61/keys.json"] = keys_of("61", seed=7)
    repository.publish()
    store.refresh(repository, NOW)
    public = {key.public for (issuer, _), keys in store.load().keys.items() if issuer == "61" for key in keys}

    assert public == {public_of("61", seed=7)}


def test_a_publication_without_delegations_stays_valid(tmp_path: Path) -> None:
    """An old flat publication loads as ever, and goes over to delegated roles with the same paths."""
    flat = Repository()
    store = TrustStore.init(tmp_path / "trust", flat.first_root)
    store.refresh(flat, NOW)
    keys = flat.targets.pop("issuers/44/keys.json")
    flat.delegate("province-44", province("44")).targets["issuers/44/keys.json"] = keys
    flat.publish()
    before = store.load()
    store.refresh(flat, NOW)

    assert store.load().keys == before.keys
    assert store.view().listing.found["issuers/44/keys.json"].chain == ("targets", "province-44")


def test_a_delegation_by_hash_prefix_is_followed_for_keys(store: TrustStore, repository: Repository) -> None:
    """Bins name no issuer; a registered issuer's keys are found in them."""
    repository.targets["national/issuers.json"] = registry("44", "61", "6101", "65")
    everything = [f"{digit:x}" for digit in range(16)]
    bins = repository.delegate("bins", None, hash_prefixes=everything)
    bins.targets["issuers/65/keys.json"] = keys_of("65")
    repository.publish()
    store.refresh(repository, NOW)

    assert issuers_with_keys(store) == {"44", "61", "6101", "65"}


# What is refused


def refused(store: TrustStore, repository: Repository, match: str) -> None:
    """Assert that the offer is refused and the view in force is the same as before."""
    before = store.load()
    with pytest.raises(TrustRefused, match=match):
        store.refresh(repository, NOW)
    assert store.load() == before


def test_an_under_signed_province_is_refused(store: TrustStore, repository: Repository) -> None:
    """One of two signatures is none."""
    role = repository.delegated["province-61"]
    role.signing = role.signers[:1]
    repository.publish()

    refused(store, repository, "province-61 metadata is signed by 1 of the 2 keys")


def test_a_province_signed_by_another_provinces_keys_is_refused(store: TrustStore, repository: Repository) -> None:
    """Keys of one province do not sign for the next."""
    repository.delegated["province-61"].signing = repository.delegated["province-62"].signers[:2]
    repository.publish()

    refused(store, repository, "province-61 metadata is signed by 0 of the 2 keys")


def test_one_key_twice_is_one_signer(store: TrustStore, repository: Repository) -> None:
    """A second id for the same key does not reach the threshold of a delegated role."""
    role = repository.delegated["province-61"]
    twin = repository.delegated["province-62"].signers[0]
    twin.public_key.keyval["public"] = role.signers[0].public_key.keyval["public"]
    role.signers[1] = twin
    role.signing = role.signers[:2]
    repository.publish()

    refused(store, repository, "province-61 metadata is signed by [01] of the 2 keys")


@pytest.mark.parametrize("vouches", ["A", "B", "both"])
def test_a_role_of_two_provinces_is_held_to_the_keys_of_each(
    store: TrustStore, repository: Repository, vouches: str
) -> None:
    """Signed as one of two delegators wants it, a role does not count for the paths of the other."""
    repository.targets["national/issuers.json"] = registry("44", "61", "6101", "62")
    shared = repository.delegate("joint", province("6101"), delegator="province-61", terminating=False)
    gansu = repository.delegated["province-62"]
    gansu.second = ("joint", list(province("62")), repository.delegated["prefecture-6101"].signers)
    shared.targets["issuers/62/keys.json"] = keys_of("62")
    keys = {"A": shared.signers[:2], "B": gansu.second[2][:2]}
    shared.signing = keys.get(vouches, [*keys["A"], *keys["B"]])
    repository.publish()
    if vouches != "both":
        refused(store, repository, "joint metadata is signed by 0 of the 2 keys")
        return
    store.refresh(repository, NOW)

    assert issuers_with_keys(store) == {"44", "61", "6101", "62"}
    assert store.view().listing.found["issuers/62/keys.json"].chain == ("targets", "province-62", "joint")
    assert [path for path in repository.requests if "joint" in path] == ["metadata/1.joint.json"]


def test_a_stolen_key_taken_from_a_province_signs_no_more(store: TrustStore, repository: Repository) -> None:
    """The national role replaces the keys: what the old ones signed no longer counts until the new ones sign it."""
    role = repository.delegated["province-61"]
    stolen = role.signers[:2]
    role.signers = [*repository.delegated["province-62"].signers[:2], role.signers[2]]
    role.signing = stolen
    repository.publish()

    refused(store, repository, "province-61 metadata is signed by 0 of the 2 keys")
    role.signing = None
    repository.publish()
    assert store.refresh(repository, NOW).changed


def test_kept_metadata_of_replaced_keys_is_not_used(store: TrustStore, repository: Repository) -> None:
    """The same version, still in the store, under a delegation that names other keys: it is asked for and refused."""
    repository.delegated["province-61"].signers = [repository.delegated["province-62"].signers[0]]
    repository.delegated["province-61"].threshold = 1
    repository.versions["targets"] += 1
    payload = Targets(
        repository.versions["targets"], expires=repository._expires("targets"), **repository._content("targets")
    )
    repository.files[f"metadata/{payload.version}.targets.json"] = repository._signed("targets", payload)
    repository.publish_snapshot()
    repository.publish_timestamp()

    refused(store, repository, "province-61 metadata is signed by 0 of the 1 keys")


def test_a_weak_key_in_a_delegation_is_refused(store: TrustStore, repository: Repository) -> None:
    """A key of small order would let anybody sign for the province."""
    repository.delegated["province-61"].signers[2].public_key.keyval["public"] = SMALL_ORDER.hex()
    repository.publish()

    refused(store, repository, "weak or malformed key")


def test_a_provinces_metadata_of_another_moment_is_refused(store: TrustStore, repository: Repository) -> None:
    """Mix-and-match: version and hash are the snapshot's."""
    old = repository.files["metadata/1.province-61.json"]
    repository.delegated["province-61"].targets["issuers/61/keys.json"] = keys_of("61", seed=2)
    repository.publish()
    repository.instead["metadata/2.province-61.json"] = old

    refused(store, repository, "province-61 metadata offered is not the one that was signed for")


def test_one_provinces_metadata_in_place_of_anothers_is_refused(store: TrustStore, repository: Repository) -> None:
    """A swapped file is not the one the snapshot names."""
    repository.publish()
    repository.instead["metadata/2.prefecture-6101.json"] = repository.files["metadata/2.province-62.json"]

    refused(store, repository, "prefecture-6101")


def test_a_provinces_metadata_in_the_place_of_national_targets_is_refused(
    store: TrustStore, repository: Repository
) -> None:
    """A delegated role cannot stand in for the role above it."""
    repository.publish()
    national = f"metadata/{repository.versions['targets']}.targets.json"
    repository.instead[national] = repository.files["metadata/2.province-61.json"]

    refused(store, repository, "targets metadata offered is not the one")


def test_a_province_rolled_back_under_a_newer_snapshot_is_refused(store: TrustStore, repository: Repository) -> None:
    """A stolen snapshot key cannot bring back what a province has replaced: its version has a floor (5.5.5)."""
    repository.publish()
    store.refresh(repository, NOW)
    repository.delegated["province-61"].version = 1
    repository.publish_snapshot()
    repository.publish_timestamp()

    refused(store, repository, "version 1 was offered; this gate has seen 2")


def test_a_province_that_vanishes_from_the_snapshot_is_refused(store: TrustStore, repository: Repository) -> None:
    """A stolen snapshot key cannot make a province's revocations disappear (5.5.5)."""
    repository.delegated["province-61"].version = 0
    repository.publish_snapshot()
    repository.publish_timestamp()

    refused(store, repository, "no longer lists")


def test_rotated_snapshot_keys_lower_a_provinces_floor(store: TrustStore, repository: Repository) -> None:
    """Fast-forward recovery (5.3.11): a version pushed to the end of the range is taken back with new snapshot keys."""
    role = repository.delegated["province-61"]
    role.version = (1 << 53) - 3
    repository.publish()
    store.refresh(repository, NOW)
    role.version = 1
    repository.rotate("snapshot")
    repository.publish()
    store.refresh(repository, NOW)

    assert store.view().listing.roles["province-61"].signed.version == 2


def test_a_missing_file_of_a_province_leaves_the_view_as_it_was(store: TrustStore, repository: Repository) -> None:
    """A torn stick: what verified before stays verified, the view waits for the whole."""
    before = store.load()
    repository.publish()
    repository.files.pop("metadata/2.prefecture-6101.json")
    with pytest.raises(AnswerRefused):
        store.refresh(repository, NOW)

    assert store.load() == before
    repository.requests.clear()
    repository.publish_delegated(repository.delegated["prefecture-6101"])
    repository.publish_snapshot()
    repository.publish_timestamp()
    store.refresh(repository, NOW)
    assert "metadata/2.province-61.json" not in repository.requests


# Expiry: one province must not stop all others


def test_a_province_whose_role_ran_out_stays_for_a_while(store: TrustStore, repository: Repository) -> None:
    """The snapshot vouches that it is the newest: the nation goes on, people are told, and after the grace it ends."""
    repository.lifetimes = dict.fromkeys(repository.lifetimes, 300 * DAY)
    repository.delegated["prefecture-6101"].expires_in = 300 * DAY
    repository.publish_root()
    repository.publish()
    store.refresh(repository, NOW)
    expires_at = store.view().listing.roles["province-61"].expires_at
    before = store.refresh(repository, repository.pass_time(expires_at - 1 - repository.now))
    after = store.refresh(repository, repository.pass_time(1))
    kept = issuers_with_keys(store)
    last = store.refresh(repository, repository.pass_time(LIMITS.grace_s - 1))
    ended = store.refresh(repository, repository.pass_time(1))

    assert [result.outlived for result in (before, after, last, ended)] == [
        frozenset(),
        {"province-61"},
        {"province-61"},
        frozenset(),
    ]
    assert kept == {"44", "61", "6101"}
    assert ended.withheld == {"province-61"}
    assert issuers_with_keys(store) == {"44"}


def test_a_province_that_comes_expired_is_left_out_and_named(tmp_path: Path, repository: Repository) -> None:
    """An expired update is refused; a new gate starts without that province rather than without all of them."""
    repository.delegated["province-61"].expires_in = -DAY
    repository.publish()
    store = TrustStore.init(tmp_path / "new", repository.first_root)
    result = store.refresh(repository, NOW)

    assert result.withheld == {"province-61"}
    assert issuers_with_keys(store) == {"44"}
    assert store.view().withheld == {"province-61"}
    repository.delegated["province-61"].expires_in = DAY
    repository.publish()
    assert not store.refresh(repository, NOW).withheld
    assert issuers_with_keys(store) == {"44", "61", "6101"}


# The cache


@pytest.mark.parametrize("record", ["view.role/province-61", "view.role/prefecture-6101", "view.withheld"])
def test_a_damaged_role_is_met_and_fetched_again(store: TrustStore, repository: Repository, record: str) -> None:
    """Each delegated role of the view verifies at load, or is named."""
    if record == "view.withheld":
        repository.delegated["province-62"].expires_in = -DAY
        repository.targets["national/issuers.json"] = registry("44", "61", "6101", "62")
        repository.publish()
        store.refresh(repository, NOW)
    damage(store, record)
    with pytest.raises(TrustDamaged):
        store.load()
    store.refresh(repository, NOW)

    assert issuers_with_keys(store) == {"44", "61", "6101"}


def test_a_role_that_is_no_longer_needed_leaves_the_store(store: TrustStore, repository: Repository) -> None:
    """An issuer that left the registry takes its role's metadata along."""
    repository.targets["national/issuers.json"] = registry("44")
    repository.publish()
    store.refresh(repository, NOW)

    assert store.view().listing.roles == {}
    assert not [name for name in store._database.read().values if "province" in name]


# The search itself, without any file (TUF specification, 5.6.7)


@dataclass
class Tree:
    """Roles by name, each with what it lists and delegates; `asked` notes the order of visits."""

    roles: dict[str, Targets] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def add(self, delegator: str, name: str, *paths: str, terminating: bool = False) -> None:
        """Delegate `paths` from one role to another."""
        targets = self.roles.setdefault(delegator, Targets())
        if targets.delegations is None:
            targets.delegations = Delegations({}, {})
        assert targets.delegations.roles is not None
        targets.delegations.roles[name] = DelegatedRole(name, [], 1, terminating, list(paths))
        self.roles.setdefault(name, Targets())

    def lists(self, name: str, path: str) -> None:
        """Let a role list a path."""
        self.roles.setdefault(name, Targets()).targets[path] = TargetFile.from_data(path, name.encode())

    def delegate(self, _: str, name: str) -> Verified[Targets] | None:
        """Give a role, as a caller of the search does."""
        self.asked.append(name)
        return Verified(self.roles[name], b"", {}, 1) if name in self.roles else None

    def search(self, path: str) -> tuple[str, ...] | None:
        """Return the chain that a path counts from."""
        top = Verified(self.roles.setdefault("targets", Targets()), b"", {}, 1)
        found = search(path, top, self.delegate)
        return found.chain if found else None


def test_the_search_is_depth_first_and_in_order() -> None:
    """A's children come before A's sister."""
    tree = Tree()
    for delegator, name in (("targets", "A"), ("targets", "B"), ("A", "C"), ("A", "D")):
        tree.add(delegator, name, "*")
    tree.search("x")

    assert tree.asked == ["A", "C", "D", "B"]


def test_a_cycle_ends() -> None:
    """Each role is visited once."""
    tree = Tree()
    for delegator, name in (("targets", "A"), ("A", "B"), ("B", "A"), ("B", "C")):
        tree.add(delegator, name, "*")

    assert tree.search("x") is None
    assert tree.asked == ["A", "B", "C"]


def test_a_role_reached_twice_counts_from_the_first_chain() -> None:
    """Two roles delegate to a third: the one that comes first is whose word counts."""
    tree = Tree()
    for delegator, name in (("targets", "A"), ("targets", "B"), ("A", "C"), ("B", "C")):
        tree.add(delegator, name, "*")
    tree.lists("C", "x")

    assert tree.search("x") == ("targets", "A", "C")


def test_a_terminating_role_that_matches_ends_the_search() -> None:
    """What comes after it is not asked, even where it lists the path."""
    tree = Tree()
    tree.add("targets", "A", "*", terminating=True)
    tree.add("targets", "B", "*")
    tree.lists("B", "x")

    assert tree.search("x") is None
    assert tree.asked == ["A"]


def test_a_terminating_role_that_does_not_match_ends_nothing() -> None:
    """Terminating holds for the paths of that role alone."""
    tree = Tree()
    tree.add("targets", "A", "a/*", terminating=True)
    tree.add("targets", "B", "*")
    tree.lists("B", "x")

    assert tree.search("x") == ("targets", "B")


def test_a_role_that_cannot_be_had_ends_the_search() -> None:
    """A mirror that withholds a role must not hand its paths to the next one (5.6.7.2)."""
    tree = Tree()
    tree.add("targets", "A", "*")
    tree.add("targets", "B", "*")
    tree.lists("B", "x")
    del tree.roles["A"]

    assert tree.search("x") is None


def test_a_listed_path_that_was_not_delegated_does_not_count() -> None:
    """Every delegation of the chain must allow the path."""
    tree = Tree()
    tree.add("targets", "B", "releases/*/*")
    tree.add("B", "D", "releases/y/*")
    tree.lists("D", "releases/z/file")

    assert tree.search("releases/z/file") is None
    assert tree.asked == ["B"]


SEGMENTS = ("issuers", "61", "6101", "x", "status", "1.cbor")


def test_a_wildcard_does_not_cross_a_slash() -> None:
    """Walked: of all paths of one to four segments, those of province 61 and no other match its two patterns."""
    tree = Tree()
    tree.add("targets", "A", *province("61"))
    matched = set()
    for length in range(1, 5):
        for parts in itertools.product(SEGMENTS, repeat=length):
            tree.asked.clear()
            tree.search("/".join(parts))
            matched |= {parts} if tree.asked else set()

    assert matched == {("issuers", digits, last) for digits in ("61", "6101") for last in SEGMENTS} | {
        ("issuers", digits, "status", last) for digits in ("61", "6101") for last in SEGMENTS
    }


def test_succinct_bins_are_searched() -> None:
    """One bin of a succinct delegation is asked, the one that the path's hash names (TAP 15)."""
    tree = Tree()
    bins = SuccinctRoles([], 1, 3, "bin")
    tree.roles["targets"] = Targets(delegations=Delegations({}, None, bins))
    name = bins.get_role_for_target("x")
    tree.lists(name, "x")

    assert tree.search("x") == ("targets", name)
    assert tree.asked == [name]


def test_a_chain_deeper_than_any_nation_ends() -> None:
    """More delegated roles than a gate follows are refused, however they are arranged."""
    tree = Tree()
    for number in range(LIMITS.delegations + 1):
        tree.add(f"r{number - 1}" if number else "targets", f"r{number}", "*")

    with pytest.raises(TrustRefused, match="more than 1024 delegated roles"):
        tree.search("x")


def test_434_roles_are_within_the_bound(tmp_path: Path) -> None:
    """34 provinces and 400 prefectures: the stock client's 32 delegations would not reach the last province."""
    tree = Tree()
    for number in range(434):
        tree.add("targets", f"r{number}", "*")
    tree.lists("r433", "x")

    assert tree.search("x") == ("targets", "r433")


def test_a_million_delegations_are_not_taken(store: TrustStore, repository: Repository) -> None:
    """A file of a million delegations is longer than a gate takes, and its length is signed: none of it is fetched."""
    row = b'{"keyids": [], "name": "n", "paths": ["p"], "terminating": true, "threshold": 1}'
    repository.publish_targets()
    name = f"metadata/{repository.versions['targets']}.targets.json"
    repository.files[name] = b'{"signed": {"delegations": {"roles": [' + b",".join([row] * 1_000_000) + b"]}}}"
    repository.publish_snapshot()
    repository.publish_timestamp()
    repository.requests.clear()

    refused(store, repository, "longer than")
    assert name not in repository.requests


def test_more_delegations_than_one_file_may_list_are_refused(store: TrustStore, repository: Repository) -> None:
    """What fits into the size and is still absurd is refused before anything is matched against it."""
    signers = repository.delegated["province-62"].signers
    for number in range(LIMITS.listed + 1):
        repository.delegated[f"x{number}"] = Delegated(f"x{number}", "targets", ("x",), signers)
    repository.publish()

    refused(store, repository, "lists more than 4096 delegated roles")


def test_a_province_that_lists_without_end_is_refused(store: TrustStore, repository: Repository) -> None:
    """More targets than a gate keeps are refused before any of them is searched for."""
    role = repository.delegated["province-61"]
    role.targets |= {f"issuers/61/status/{number}.cbor": b"" for number in range(1, 4098)}
    repository.publish()
    repository.requests.clear()

    refused(store, repository, "more than 4096 targets")
    assert not [path for path in repository.requests if path.startswith("targets/issuers")]


def test_a_role_named_twice_by_one_file_is_refused(store: TrustStore, repository: Repository) -> None:
    """Two delegations of one name could say different things."""
    metadata = json.loads(repository.files[f"metadata/{repository.versions['targets']}.targets.json"])
    roles = metadata["signed"]["delegations"]["roles"]
    metadata["signed"]["delegations"]["roles"] = [*roles, roles[0]]
    metadata["signed"]["version"] += 1
    repository.versions["targets"] += 1
    repository.files[f"metadata/{repository.versions['targets']}.targets.json"] = json.dumps(metadata).encode()
    repository.publish_snapshot()
    repository.publish_timestamp()

    refused(store, repository, "targets metadata is not TUF metadata")


def test_the_walk_towards_issuers_ends_in_a_cycle() -> None:
    """Roles that delegate to each other are asked once for the same issuers."""
    tree = Tree()
    for delegator, name in (("targets", "A"), ("A", "B"), ("B", "A")):
        tree.add(delegator, name, *province("61"))
    top = Verified(tree.roles["targets"], b"", {}, 1)

    assert [name for name, _ in delegations.leading_to({"61", "44"}, top, tree.delegate)] == ["A", "B", "A"]


def test_expiry_has_its_own_error() -> None:
    """A caller can tell what ran out from what was forged."""
    assert issubclass(TrustExpired, TrustRefused)
