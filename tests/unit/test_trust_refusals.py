"""What a store refuses to be given, each attack with real signatures; the view in force stays every time."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nacl import bindings
from nacl.signing import SigningKey
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Key

from edge.errors import AnswerRefused, EdgeError, TrustRefused
from edge.model.trust import TrustSnapshot
from edge.trust import paths, workflow
from edge.trust.store import TrustStore
from tests.simulators.health_rules import rule
from tests.simulators.repository import DAY, NOW, POLICY, Repository, document, key_row, keys_document
from tests.unit.test_trust_store import damage

SMALL_ORDER = bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")


@pytest.fixture
def repository() -> Repository:
    """A repository that has published once."""
    return Repository()


@pytest.fixture
def store(tmp_path: Path, repository: Repository) -> Iterator[TrustStore]:
    """A store that has been refreshed once; whatever a test offers it, its view verifies afterwards."""
    found = TrustStore.init(tmp_path / "trust", repository.first_root)
    found.refresh(repository, NOW)
    yield found
    assert isinstance(found.load(), TrustSnapshot)


def refused(store: TrustStore, repository: Repository, match: str = ".", *, now: int = NOW) -> None:
    """Assert that the offer is refused and the view in force is the same as before."""
    before = store.load()
    with pytest.raises(TrustRefused, match=match):
        store.refresh(repository, now)
    assert store.load() == before


@pytest.mark.parametrize(
    ("logic", "said"),
    [
        ({"launch": []}, "Logic is refused"),
        ({"reduce": [[1] * 99, {"reduce": [[1] * 99, {"reduce": [[1] * 99, True, 1]}, 1]}, 1]}, "steps"),
        ({"===": [{"var": "payload.nam.fnt"}, "A"]}, "single out a person"),
    ],
)
def test_hostile_rules_are_refused_by_a_gate_too(
    store: TrustStore, repository: Repository, logic: Any, said: str
) -> None:
    """Signed by the right keys, past an authority that did not look: the view in force stays."""
    repository.targets[paths.RULES] = document(version=1, value_sets=[], rules=[rule(logic=logic)])
    repository.publish()

    refused(store, repository, said)


# Root


def test_an_under_signed_root_is_refused(store: TrustStore, repository: Repository) -> None:
    """One signature where two are needed."""
    repository.publish_root(signers=repository.signers["root"][:1])

    refused(store, repository, "1 of the 2 keys")


def test_a_root_signed_only_by_new_keys_is_refused(store: TrustStore, repository: Repository) -> None:
    """Whoever holds new keys alone has no word (5.3.4)."""
    thieves = Repository()
    repository.files["metadata/2.root.json"] = thieves.publish_root()

    refused(store, repository, "0 of the 2 keys")


def test_a_root_signed_only_by_old_keys_is_refused(store: TrustStore, repository: Repository) -> None:
    """The new root's own threshold counts too (5.3.4)."""
    old = list(repository.signers["root"])
    for _ in range(2):
        key = repository.signers["root"].pop(0).public_key
        repository.root.revoke_key(key.keyid, "root")
        repository.root.add_key(CryptoSigner.generate_ed25519().public_key, "root")
    repository.publish_root(signers=old)

    refused(store, repository, "1 of the 2 keys")


def test_a_root_that_skips_a_version_is_refused(store: TrustStore, repository: Repository) -> None:
    """Exactly N+1 follows N (5.3.5)."""
    repository.publish_root()
    repository.files["metadata/2.root.json"] = repository.publish_root()

    refused(store, repository, "Root 3 was offered where 2 follows")


def test_one_root_key_under_two_ids_is_one_signer(store: TrustStore, repository: Repository) -> None:
    """A threshold counts keys, not key ids."""
    signer = repository.signers["timestamp"][0]
    twin = Key.from_dict("twin", signer.public_key.to_dict())
    repository.root.add_key(twin, "timestamp")
    repository.root.roles["timestamp"].threshold = 2
    repository.publish_root()
    repository.publish_timestamp()
    metadata = workflow.Metadata.from_bytes(repository.files["metadata/timestamp.json"])
    signature = metadata.signatures[signer.public_key.keyid]
    metadata.signatures["twin"] = type(signature)("twin", signature.signature)
    repository.files["metadata/timestamp.json"] = metadata.to_bytes()

    refused(store, repository, "1 of the 2 keys")


def test_a_weak_root_key_is_refused(store: TrustStore, repository: Repository) -> None:
    """A small-order key in the root would let anybody sign."""
    repository.root.keys["weak"] = Key.from_dict(
        "weak", {"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": SMALL_ORDER.hex()}}
    )
    repository.publish_root()

    refused(store, repository, "weak")


def test_an_expired_final_root_is_refused(store: TrustStore, repository: Repository) -> None:
    """The last root of the chain must not have expired (5.3.10)."""
    repository.lifetimes["root"] = -1
    repository.publish_root()

    refused(store, repository, "root metadata offered expired")


def test_an_expired_root_in_between_does_not_matter(store: TrustStore, repository: Repository) -> None:
    """Only the last root's expiry counts (5.3.6)."""
    repository.lifetimes["root"] = -1
    repository.publish_root()
    repository.lifetimes["root"] = DAY
    repository.publish_root()

    assert store.refresh(repository, NOW).versions.root == 3


def test_missed_rotations_are_caught_up(store: TrustStore, repository: Repository) -> None:
    """Fifty rotations of every key while the gate was off, in one refresh."""
    for number in range(50):
        repository.rotate(("root", "timestamp", "snapshot", "targets")[number % 4])
    repository.publish()

    assert store.refresh(repository, NOW).versions.root == 51
    assert store.load().versions.root == 51


def test_a_verified_root_sticks_where_the_rest_fails(store: TrustStore, repository: Repository) -> None:
    """Partial progress: the old timestamp key is gone for good, even though nothing else arrived."""
    stolen = repository.signers["timestamp"][0]
    repository.rotate("timestamp")
    repository.instead["metadata/timestamp.json"] = b""
    refused(store, repository, "not TUF metadata")

    repository.instead.clear()
    repository.signers["timestamp"] = [stolen]
    repository.publish_timestamp()
    del repository.files["metadata/2.root.json"]
    refused(store, repository, "0 of the 1 keys")


def test_a_verified_timestamp_sticks_where_the_rest_fails(store: TrustStore, repository: Repository) -> None:
    """Partial progress: after a broken snapshot the older timestamp is refused, and the next refresh completes."""
    stick = repository.copy()
    repository.publish()
    repository.instead["metadata/2.snapshot.json"] = b"{}"
    refused(store, repository)

    refused(store, stick, "Timestamp 1 was offered; this gate has already verified 2")
    repository.instead.clear()
    assert store.refresh(repository, NOW).changed


# Timestamp


def test_an_older_timestamp_is_refused(store: TrustStore, repository: Repository) -> None:
    """A stale stick (5.4.3.1)."""
    stick = repository.copy()
    store.refresh(repository, repository.pass_time(60))

    refused(store, stick, "out of date|already verified")


def test_a_newer_version_issued_earlier_is_refused(store: TrustStore, repository: Repository) -> None:
    """Versions go up and time goes back: one of them lies."""
    repository.now -= DAY
    repository.publish_timestamp()

    refused(store, repository, "issued before 2026-01-01T00:00:00Z")


def test_a_timestamp_without_issue_time_counts_as_too_old(tmp_path: Path, repository: Repository) -> None:
    """Nothing signed says how old it is, so nothing is accepted under it."""
    metadata = workflow.Metadata.from_bytes(repository.files["metadata/timestamp.json"])
    del metadata.signed.unrecognized_fields[workflow.ISSUED_AT]
    metadata.sign(repository.signers["timestamp"][0])
    repository.files["metadata/timestamp.json"] = metadata.to_bytes()
    store = TrustStore.init(tmp_path / "trust", repository.first_root)
    store.refresh(repository, NOW)

    assert store.load().band(NOW) == "too_old"


@pytest.mark.parametrize("issue_time", ["yesterday", 1767225600, "2099-01-01T00:00:00Z", {}, ["2026"]])
def test_a_malformed_issue_time_is_refused(store: TrustStore, repository: Repository, issue_time: Any) -> None:
    """Not a time, or behind the expiry that bounds it."""
    repository.publish_timestamp(**{workflow.ISSUED_AT: issue_time})

    refused(store, repository, "issue time")


def test_a_timestamp_of_another_key_is_refused(store: TrustStore, repository: Repository) -> None:
    """Another repository's timestamp (5.4.2)."""
    repository.files["metadata/timestamp.json"] = Repository().files["metadata/timestamp.json"]

    refused(store, repository, "0 of the 1 keys")


def test_an_older_snapshot_under_a_newer_timestamp_is_refused(store: TrustStore, repository: Repository) -> None:
    """Mix-and-match by a stolen timestamp key (5.4.3.2)."""
    repository.publish()
    store.refresh(repository, NOW)
    repository.versions["snapshot"] = 1
    repository.publish_timestamp()

    refused(store, repository, "Snapshot 1 was offered")


# Snapshot and targets


def test_a_snapshot_of_another_moment_is_refused(store: TrustStore, repository: Repository) -> None:
    """Mix-and-match: the timestamp signed for another file (5.5.2)."""
    repository.publish()
    repository.files["metadata/2.snapshot.json"] = repository.files["metadata/1.snapshot.json"]

    refused(store, repository, "not the one that was signed for")


def test_targets_of_another_moment_are_refused(store: TrustStore, repository: Repository) -> None:
    """Mix-and-match: the snapshot signed for another file (5.6.2)."""
    repository.publish()
    repository.files["metadata/2.targets.json"] = repository.files["metadata/1.targets.json"]

    refused(store, repository, "not the one that was signed for")


def test_older_targets_under_a_newer_snapshot_are_refused(store: TrustStore, repository: Repository) -> None:
    """A stolen snapshot key cannot bring old revocations back (5.5.5)."""
    repository.publish()
    store.refresh(repository, NOW)
    repository.versions["targets"] = 1
    repository.publish_snapshot()
    repository.publish_timestamp()

    refused(store, repository, "version 1 was offered; this gate has seen 2")


@pytest.mark.parametrize("role", ["snapshot", "targets"])
def test_metadata_signed_by_another_key_is_refused(store: TrustStore, repository: Repository, role: str) -> None:
    """The hashes agree and the signature does not (5.5.3, 5.6.3)."""
    repository.signers[role] = [CryptoSigner.generate_ed25519()]
    repository.publish()

    refused(store, repository, f"{role} metadata is signed by 0")


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_expired_metadata_of_each_role_is_refused(store: TrustStore, repository: Repository, role: str) -> None:
    """A freeze attack on each role (5.4.4, 5.5.6, 5.6.5)."""
    repository.lifetimes[role] = 30
    repository.publish()

    refused(store, repository, f"{role} metadata offered expired", now=NOW + 60)


# Fast-forward recovery (5.3.11)


@pytest.mark.parametrize("role", ["timestamp", "snapshot"])
def test_rotated_keys_lower_the_floors(store: TrustStore, repository: Repository, role: str) -> None:
    """A thief ran the versions up; once the keys are rotated the true, lower ones are accepted again."""
    repository.versions.update(timestamp=1000, snapshot=1000, targets=1000)
    repository.publish()
    store.refresh(repository, NOW)

    repository.rotate(role)
    if role == "timestamp":
        repository.rotate("snapshot")
        repository.versions.update(timestamp=1, snapshot=1, targets=1)
    else:
        repository.versions.update(targets=1)
    repository.publish()

    assert store.refresh(repository, NOW).versions.targets == 2


def test_a_stolen_key_cannot_leave_the_time_in_the_future(store: TrustStore, repository: Repository) -> None:
    """A thief signed an issue time years ahead; rotation brings the gate back although the root is not valid then."""
    repository.lifetimes.update(timestamp=4000 * DAY, snapshot=4000 * DAY, targets=4000 * DAY)
    repository.publish_targets()
    repository.publish_snapshot()
    repository.publish_timestamp(**{workflow.ISSUED_AT: "2035-01-01T00:00:00Z"})
    store.refresh(repository, NOW)

    repository.rotate("timestamp")
    repository.publish_timestamp()

    assert store.refresh(repository, NOW).issued_at == NOW


def test_an_added_key_lowers_no_floor(store: TrustStore, repository: Repository) -> None:
    """The signer of the floor still holds the role: nothing was rotated, so an old stick stays refused."""
    stick = repository.copy()
    store.refresh(repository, repository.pass_time(60))
    new = CryptoSigner.generate_ed25519()
    repository.root.add_key(new.public_key, "timestamp")
    repository.root.add_key(new.public_key, "snapshot")
    stick.files["metadata/2.root.json"] = repository.publish_root()

    refused(store, stick, "already verified 2")


def test_replayed_old_roots_lower_no_floor(store: TrustStore, repository: Repository) -> None:
    """The root is lost and the old chain walked again, rotations and all: the newer keys' floors stand."""
    for _ in range(3):
        repository.rotate("timestamp")
        repository.rotate("snapshot")
    repository.publish()
    store.refresh(repository, NOW)
    stick = repository.copy()
    store.refresh(repository, repository.pass_time(60))
    damage(store, "root")
    damage(store, "timestamp")

    with pytest.raises(TrustRefused, match="already verified 3"):
        store.refresh(stick, NOW)
    assert store.refresh(repository, repository.now).versions.root == 7


def test_a_chain_that_ends_below_the_newest_root_is_refused(store: TrustStore, repository: Repository) -> None:
    """The root is lost and an old stick leads to an older one, with the old timestamp key on it."""
    stick = repository.copy()
    repository.rotate("timestamp")
    repository.publish()
    store.refresh(repository, NOW)
    damage(store, "root")

    refused(store, stick, "already verified root 2")


def test_a_forked_chain_of_stolen_old_root_keys_is_refused(store: TrustStore, repository: Repository) -> None:
    """The root is lost; keys that were rotated away since sign another root of the same version."""
    forked = repository.copy()
    forked.signers = {role: list(signers) for role, signers in repository.signers.items()}
    repository.rotate("root")
    repository.publish()
    store.refresh(repository, NOW)
    damage(store, "root")
    forked.versions, forked.root = dict(forked.versions), workflow.first_root(forked.first_root).signed
    forked.versions["root"] = 1
    forked.publish_root()

    refused(store, forked, "not the one this gate has verified before")


# Files


def test_an_altered_target_is_refused(store: TrustStore, repository: Repository) -> None:
    """One byte of a target changed on the way."""
    repository.targets["national/policy.json"] = document(**{**POLICY, "version": 2})
    repository.publish()
    (path,) = [name for name in repository.files if name.endswith(".policy.json") and _is_new(repository, name)]
    repository.instead[path] = repository.files[path].replace(b"900", b"901")

    refused(store, repository, r"national/policy\.json is not the file that was signed for")


def _is_new(repository: Repository, path: str) -> bool:
    return repository.files[path] == repository.targets["national/policy.json"]


@pytest.mark.parametrize("content", [b"", b"<html>log in to the Wi-Fi</html>", b"[]", b"{}", b"\xff\xfe"])
@pytest.mark.parametrize("name", ["2.root", "timestamp", "2.snapshot", "2.targets"])
def test_rubbish_in_place_of_metadata_is_refused(
    store: TrustStore, repository: Repository, name: str, content: bytes
) -> None:
    """Zero bytes, a captive portal, other JSON, no UTF-8: in place of each file."""
    repository.publish()
    repository.instead[f"metadata/{name}.json"] = content

    refused(store, repository)


@pytest.mark.parametrize("name", ["2.root", "timestamp"])
def test_deep_nesting_is_refused(store: TrustStore, repository: Repository, name: str) -> None:
    """A thousand brackets end in a refusal, not in a crash."""
    repository.instead[f"metadata/{name}.json"] = b"[" * 9000

    refused(store, repository, "not TUF metadata")


@pytest.mark.parametrize("name", ["2.root", "timestamp", "2.snapshot", "2.targets"])
def test_oversized_metadata_is_not_taken(store: TrustStore, repository: Repository, name: str) -> None:
    """No file is read beyond its bound."""
    repository.publish()
    repository.instead[f"metadata/{name}.json"] = b" " * (6 << 20)

    with pytest.raises(AnswerRefused):
        store.refresh(repository, NOW)


def test_a_metadata_file_in_place_of_another_is_refused(store: TrustStore, repository: Repository) -> None:
    """A genuine snapshot is no timestamp."""
    repository.instead["metadata/timestamp.json"] = repository.files["metadata/1.snapshot.json"]

    refused(store, repository, "another type")


@pytest.mark.parametrize("path", ["../../etc/passwd", "/etc/passwd", "national/../../x.json", "issuers/../keys.json"])
def test_a_target_path_leads_nowhere_else(store: TrustStore, repository: Repository, path: str) -> None:
    """Paths that are no target of ours are neither fetched nor written, whoever signed them."""
    repository.targets[path] = b"x"
    repository.publish()
    repository.requests.clear()

    store.refresh(repository, NOW)

    assert not [asked for asked in repository.requests if "passwd" in asked or ".." in asked]
    assert len(list((store.folder / "targets").iterdir())) == 6


# Content that was signed and still is not accepted


def weak_keys() -> list[bytes]:
    """Return Ed25519 keys nobody may publish: small order, mixed order, non-canonical, off the curve, too short."""
    mixed = bindings.crypto_core_ed25519_add(bytes(SigningKey(bytes(32)).verify_key), SMALL_ORDER)
    return [SMALL_ORDER, mixed, b"\xee" + b"\xff" * 30 + b"\x7f", b"\x02" + bytes(31), bytes(32), b"\x01" * 31]


@pytest.mark.parametrize("public", weak_keys(), ids=lambda key: key.hex()[:8])
def test_weak_issuer_keys_are_refused_at_load(store: TrustStore, repository: Repository, public: bytes) -> None:
    """A weak key would let one signature hold for many passes."""
    repository.targets["issuers/44/keys.json"] = keys_document(key_row(public))
    repository.publish()

    refused(store, repository, r"issuers/44/keys\.json keys\[0\]: public is refused")


SIGNED_AND_WRONG = {
    "another issuer's file": ("issuers/44/keys.json", keys_document(issuer="61"), "issuer is not the issuer"),
    "a newer schema": ("national/policy.json", document(**POLICY).replace(b'"schema": 1', b'"schema": 4'), "schema"),
    "a member missing": ("national/policy.json", document(version=1), "purpose is missing"),
    "a member of another type": ("national/policy.json", document(**{**POLICY, "travel_days": "14"}), "travel_days"),
    "true for a number": ("national/policy.json", document(**{**POLICY, "version": True}), "version"),
    "a fraction": ("national/policy.json", document(**{**POLICY, "travel_days": 1.5}), "strict JSON"),
    "a member twice": ("national/policy.json", b'{"schema": 1, "schema": 1}', "strict JSON"),
    "bands out of order": ("national/policy.json", document(**{**POLICY, "stale_after_s": 9999999}), "stale_after_s"),
    "a time with a zone": (
        "national/policy.json",
        document(**{**POLICY, "ends_at": "2027-01-01T00:00:00+08:00"}),
        "ends_at",
    ),
    "a policy that never opens": (
        "national/policy.json",
        document(**POLICY, rules={"hours": {"utc_offset": "+08:00", "open": []}}).replace(
            b'"schema": 1', b'"schema": 2'
        ),
        "open is empty",
    ),
    "a policy no row can meet": (
        "national/policy.json",
        document(**POLICY, rules={"healths": ["red"]}).replace(b'"schema": 1', b'"schema": 2'),
        "healths admits red",
    ),
    "an unknown kind": ("national/policy.json", document(**{**POLICY, "kinds": ["pet"]}), "kinds"),
    "an unknown outcome": (
        "national/matrix.json",
        document(rows=[{"issuer": "44", "status": 0, "area": "", "health": "green", "outcome": "yes"}]),
        r"rows\[0\]: outcome",
    ),
    "two rows for one case": (
        "national/matrix.json",
        document(rows=[{"issuer": "44", "status": 0, "area": "", "health": "green", "outcome": "accept"}] * 2),
        "stands twice",
    ),
    "an issuer id that is a path": (
        "national/issuers.json",
        document(issuers=[{"id": "../44", "names": {"zh": "x", "en": "x"}, "region": 0}]),
        "id must be",
    ),
    "a control character in a name": (
        "national/issuers.json",
        document(issuers=[{"id": "44", "names": {"zh": "\u202e", "en": "x"}, "region": 0}]),
        "names: zh",
    ),
    "a region of five digits": ("national/regions.json", document(regions=[{"code": 44000, "names": {}}]), "code"),
    "a hub key under another id": (
        "national/hubs.json",
        document(hubs=[{"key_id": "00" * 8, "public": "11" * 32, "name": "x"}]),
        "key_id",
    ),
    "an auditor key of small order": ("national/auditor.json", document(public="00" * 32), "small order"),
}


@pytest.mark.parametrize("case", SIGNED_AND_WRONG)
def test_signed_content_of_another_form_is_refused(store: TrustStore, repository: Repository, case: str) -> None:
    """What no gate can read never replaces what it can, and the message names target and member."""
    path, content, match = SIGNED_AND_WRONG[case]
    repository.targets[path] = content
    repository.publish()

    refused(store, repository, match)


def test_a_missing_required_target_is_refused(store: TrustStore, repository: Repository) -> None:
    """A publication without a policy is none."""
    del repository.targets["national/policy.json"]
    repository.publish()

    refused(store, repository, r"national/policy\.json is missing")


def test_more_than_four_keys_of_one_id_are_refused(store: TrustStore, repository: Repository) -> None:
    """A gate tries at most four keys."""
    rows = [key_row(bytes(SigningKey(bytes([n]) * 32).verify_key)) for n in range(1, 6)]
    repository.targets["issuers/44/keys.json"] = keys_document(*rows)
    repository.publish()

    refused(store, repository, "more than 4 keys")


def test_a_key_of_an_unknown_algorithm_is_left_out(store: TrustStore, repository: Repository) -> None:
    """Another province's new algorithm does not stop this gate's refreshes."""
    good = key_row(bytes(SigningKey(bytes(range(32))).verify_key))
    repository.targets["issuers/44/keys.json"] = keys_document(good, key_row(b"\x04" * 64, alg="ML-DSA-44", kid="77"))
    repository.publish()

    store.refresh(repository, NOW)

    assert list(store.load().keys) == [("44", bytes.fromhex("0badcafe"))]


def test_an_issuer_that_left_the_registry_has_no_keys(store: TrustStore, repository: Repository) -> None:
    """Files that linger after an issuer was removed say nothing."""
    repository.targets["national/issuers.json"] = document(issuers=[])
    repository.publish()

    store.refresh(repository, NOW)

    trust = store.load()
    assert (dict(trust.keys), dict(trust.status_lists)) == ({}, {})


def test_every_refusal_ends_with_the_next_step(store: TrustStore, repository: Repository) -> None:
    """A technician is told what to do, whichever file was wrong."""
    repository.publish()
    for path in ("metadata/2.root.json", "metadata/timestamp.json", "metadata/2.snapshot.json"):
        repository.instead = {path: b"?"}
        with pytest.raises(EdgeError) as met:
            store.refresh(repository, NOW)
        assert met.value.next_step
