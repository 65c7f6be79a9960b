"""A change between desks: asked for, shown in plain words, signed by each, gathered, published; lies are refused."""

import base64
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from nacl.signing import SigningKey
from tuf.api.metadata import Metadata

from edge.authority import ceremony, health_rules, issuers, profiles, rotation, rule_changes
from edge.authority.authority import Authority, init
from edge.authority.ceremony import RoleSignature, SigningRequest, examine
from edge.authority.changes import changes, flips
from edge.authority.draft import refuse_outdated
from edge.authority.publish import publish
from edge.authority.request import request
from edge.authority.revocation import set_status
from edge.authority.signing_desk import SigningDesk
from edge.errors import PublicationError
from edge.model.trust import Status
from edge.trust import status_list
from edge.words.catalogue import languages
from tests.simulators.health_rules import AGENTS, rule, rules_document
from tests.simulators.json_shapes import nodes, replaced
from tests.simulators.repository import DAY, NOW


@pytest.fixture(scope="session")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority of provinces, published, its people's keys at desks of their own."""
    folder = tmp_path_factory.mktemp("ceremony")
    authority = init(folder / "centre", NOW, delegated=True)
    for name in ("44", "6101", "nhc"):
        issuers.add_issuer(authority, profiles.profile(name), NOW)
    publish(authority, NOW)
    for role in authority.roles().by_name.values():
        for holder in role.holders if role.name not in {"snapshot", "timestamp"} else ():
            desk = folder / "desks" / holder.name
            desk.mkdir(parents=True)
            authority.keys.place(holder.name).rename(desk / f"{holder.name}.key")
    return folder


@pytest.fixture
def table(_made: Path, tmp_path: Path) -> Path:
    """The folder of all of it: `centre/` and `desks/NAME/NAME.key`."""
    import shutil

    shutil.copytree(_made, tmp_path / "table")
    return tmp_path / "table"


@pytest.fixture
def authority(table: Path) -> Authority:
    """The centre."""
    return Authority.open(table / "centre")


def desk(table: Path, name: str) -> SigningDesk:
    """Return a desk by the name of its key."""
    return SigningDesk(table / "desks" / name / f"{name}.key")


def signed(table: Path, file: Path, name: str) -> list[RoleSignature]:
    """Let a desk examine and sign what is in a request's file."""
    examined = examine(ceremony.decode(file.read_bytes(), "request"))
    mine = desk(table, name)
    found = mine.sign(mine.signable(examined), None)
    mine.remember(examined)
    return found


def said(one: Any, language: str = "en") -> str:
    """Return all that a request tells a desk."""
    return "\n".join(change.said(language) for change in changes(one))


# The whole way


def test_two_desks_of_a_province_publish_a_revocation(table: Path, authority: Authority) -> None:
    """Asked for at the centre, signed at two desks, collected, published; nobody else is asked."""
    place = authority.ledger.draw("44", 1, (NOW, NOW + DAY), 0)
    set_status(authority, "44", place.index, Status.INVALID, NOW)
    asked = request(authority, NOW + 1)

    for name in ("province-44-1", "province-44-3"):
        authority.pending.collect({name: signed(table, asked.file, name)})
    done = publish(authority, NOW + 2)

    assert done.signed == ("province-44",)
    assert authority.pending.request() is None


def test_one_signature_publishes_nothing(table: Path, authority: Authority) -> None:
    """The two-person rule holds at the last step, whatever was collected."""
    issuers.add_issuer(authority, profiles.profile("50"), NOW)
    asked = request(authority, NOW)
    authority.pending.collect({"one": signed(table, asked.file, "targets-1")})

    with pytest.raises(PublicationError, match="targets is signed by 1 of the 2"):
        publish(authority, NOW)


def test_a_new_issuer_is_signed_by_the_nation_and_by_its_province(table: Path, authority: Authority) -> None:
    """The registry is national, the keys are the province's: each role needs its own two."""
    issuers.add_issuer(authority, profiles.profile("50"), NOW)
    asked = request(authority, NOW)

    names = ("targets-2", "targets-3", "province-50-1", "province-50-2")
    authority.pending.collect({name: signed(table, asked.file, name) for name in names})

    assert publish(authority, NOW).signed == ("targets", "province-50")


def test_a_new_root_needs_the_old_keys_and_its_own(table: Path, authority: Authority) -> None:
    """Three of five: a lost key is replaced by one made at its desk."""
    new = SigningKey.generate()
    rotation.rotate(authority, ("root-5",), public=bytes(new.verify_key))
    asked = request(authority, NOW)

    authority.pending.collect({name: signed(table, asked.file, name) for name in ("root-1", "root-2")})
    with pytest.raises(PublicationError, match="root is signed by 2 of the 3"):
        publish(authority, NOW)
    authority.pending.collect({"root-4": signed(table, asked.file, "root-4")})

    assert publish(authority, NOW).versions.root == 2


def test_a_change_after_the_request_asks_for_a_new_one(table: Path, authority: Authority) -> None:
    """What was signed is published as it was signed, or not at all."""
    issuers.add_issuer(authority, profiles.profile("50"), NOW)
    asked = request(authority, NOW)
    names = ("targets-2", "targets-3", "province-50-1", "province-50-2")
    authority.pending.collect({name: signed(table, asked.file, name) for name in names})
    issuers.add_issuer(authority, profiles.profile("11"), NOW)

    with pytest.raises(PublicationError, match="targets has changed since"):
        publish(authority, NOW)


def test_a_change_taken_back_asks_for_a_new_one(authority: Authority) -> None:
    """A request that asks for more than is wanted is not published either."""
    before = (authority.folder / "roles.json").read_bytes()
    rotation.set_sunset(authority, NOW + 400 * DAY, NOW)
    request(authority, NOW)
    (authority.folder / "roles.json").write_bytes(before)

    with pytest.raises(PublicationError, match="root is not to be changed any more"):
        publish(authority, NOW)


def test_nothing_to_sign_is_said(authority: Authority) -> None:
    """An empty request would only train people to sign without reading."""
    with pytest.raises(PublicationError, match="nothing to sign"):
        request(authority, NOW)


# What a desk is shown


def test_a_desk_is_told_each_revocation_it_signs(authority: Authority) -> None:
    """Counted from the lists themselves."""
    for status in (Status.INVALID, Status.SUSPENDED):
        place = authority.ledger.draw("44", 1, (NOW, NOW + DAY), 0)
        set_status(authority, "44", place.index, status, NOW)

    told = said(request(authority, NOW).examined)

    assert "2 of 1,048,576 entries change (0.00%)" in told
    assert "issuers/44/status/1.cbor changes" in told


def test_a_desk_is_told_what_changes_in_the_policy(authority: Authority) -> None:
    """Member by member, in both languages."""
    members = authority.sources.members("national/policy.json")
    issuers.set_policy(authority, {**members, "travel_days": 7}, NOW)

    examined = request(authority, NOW).examined

    assert "travel_days: 14 becomes 7" in said(examined)
    assert "travel_days：14 改为 7" in said(examined, "zh")


def test_a_desk_is_told_in_plain_words_what_a_policy_with_rules_admits(authority: Authority) -> None:
    """Whole sentences of all of it, the next one too, whatever length its JSON has."""
    members = authority.sources.members("national/policy.json")
    rules = {"max_age_s": {"person": 3600}, "conditions": [{"all_of": ["person", "travel"]}] * 9}
    issuers.set_policy(authority, {**members, "rules": rules}, NOW, effective_at=NOW + DAY)

    examined = request(authority, NOW).examined

    assert "Person pass: at most 60 min since it was issued." in said(examined)
    assert "须在 1 分钟 内出示以下之中 2 种" in said(examined, "zh")
    assert said(examined).count("Wanted: 2 of these") == 9


def test_a_desk_is_told_whole_rules_and_every_code(authority: Authority) -> None:
    """What a rule reads and its logic to the end, codes that come and go: cut short they would hide what is signed."""
    health_rules.add(authority, {"first": json.dumps([AGENTS, rule(), rule("VR-AT-0001")]).encode()})
    told = said(request(authority, NOW).examined, "zh")
    logic = json.dumps(rule()["Logic"])

    assert logic in told
    assert len(logic) > 100
    assert "采样须在72小时内。 读取 external.validationClock, payload.t.0.sc" in told
    assert "值集 disease-agent-targeted：新增 840539006；移除 -" in told


def test_a_desk_is_told_what_leaves_the_rules() -> None:
    """A rule taken out and a code that no longer counts; what stays is not told again."""
    before, after = rules_document(rule(), rule("VR-AT-0001")), rules_document(rule(), codes=("1",))

    assert list(rule_changes.told(before, after, "rules")) == [
        ("codes", {"set": "disease-agent-targeted", "added": "1", "removed": "840539006"}),
        ("rule_removed", {"rule": "VR-AT-0001 1.0.0"}),
    ]


def test_a_desk_is_told_of_keys_and_roles(authority: Authority) -> None:
    """Who joins, who leaves, what an issuer's new key may sign, and until when policies may run."""
    rotation.rotate(authority, ("province-61-2",))
    rotation.set_sunset(authority, NOW + 400 * DAY, NOW)
    issuers.add_key(authority, "44", profiles.profile("44").keys[0], NOW)

    told = said(request(authority, NOW).examined)

    assert "JOINS role province-61" in told
    assert "LEAVES role province-61" in told
    assert "policies may run until 2027-02-05T00:00:00Z (so far: 2027-01-01T00:00:00Z)" in told
    assert '"max_validity_s": 2678400' in told


def test_the_words_of_a_ceremony_are_all_said() -> None:
    """Each has a case in the code, and each case has words."""
    folder = Path(__file__).parents[2] / "edge/authority"
    source = "".join((folder / name).read_text() for name in ("changes.py", "rule_changes.py"))
    words = {key.removeprefix("ceremony.") for key in languages()["en"].labels if key.startswith("ceremony.")}
    causes = {"changed", "resigned", "renewed", "row_added_more", "row_removed_more", "row_added", "row_removed"}

    assert {word for word in words if f'"{word}"' not in source} <= causes


def test_a_large_file_is_named_by_its_hash(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request stays small enough for a stick and a strict reader; what it does not show it says."""
    monkeypatch.setattr(ceremony, "CARRIED_BYTES", 100)
    issuers.add_key(authority, "44", profiles.profile("44").keys[0], NOW)

    assert "too large to be shown here" in said(request(authority, NOW).examined)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({}, {}, 0),
        ({}, {7: 1}, 1),
        ({7: 1}, {}, 1),
        ({7: 1}, {7: 2}, 1),
        ({1: 1, 2: 1}, {2: 1, 3: 1}, 2),
        ({}, {0: 1, 65535: 2}, 2),
    ],
)
def test_flips_are_counted_by_entry(before: dict[int, int], after: dict[int, int], expected: int) -> None:
    """Set, cleared and changed entries count once each."""
    old, new = (status_list.build(1 << 16, 2, statuses) for statuses in (before, after))

    assert flips(old, new, "list") == (expected, 1 << 16)


def test_flips_of_a_new_or_longer_list_are_what_it_revokes() -> None:
    """Nothing was there before."""
    assert flips(None, status_list.build(64, 2, {3: 1}), "list") == (1, 64)
    assert flips(status_list.build(64, 2, {3: 1}), status_list.build(128, 2, {3: 1, 100: 1}), "list") == (1, 128)


# A request that lies


def forged(file: Path, change: Callable[[dict[str, Any]], object]) -> SigningRequest:
    """Return a request as somebody on the way has changed it."""
    members = json.loads(file.read_bytes())
    change(members)
    return ceremony.decode(json.dumps(members).encode(), "request")


def _payload(members: dict[str, Any], role: str, change: Callable[[dict[str, Any]], object]) -> None:
    """Change what is to be signed for a role, canonically."""
    from securesystemslib.formats import encode_canonical

    for row in members["payloads"]:
        if row["role"] == role:
            signed_part = json.loads(base64.b64decode(row["payload"]))
            change(signed_part)
            row["payload"] = base64.b64encode(encode_canonical(signed_part).encode()).decode()


def _unsign(members: dict[str, Any], role: str) -> None:
    """Take the signatures off what is said to be in force."""
    for row in members["in_force"]:
        if row["role"] == role:
            metadata = json.loads(base64.b64decode(row["metadata"]))
            metadata["signatures"] = metadata["signatures"][:1]
            row["metadata"] = base64.b64encode(json.dumps(metadata).encode()).decode()


_TARGET = {"length": 1, "hashes": {"sha256": "00" * 32}}
LIES: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "no root": (lambda m: m.update(roots=[]), "no root"),
    "another version": (lambda m: _payload(m, "province-44", lambda p: p.update(version=9)), "2 follows"),
    "a path of another province": (
        lambda m: _payload(m, "province-44", lambda p: p["targets"].update({"issuers/61/keys.json": _TARGET})),
        "not its own",
    ),
    "a national path": (
        lambda m: _payload(m, "province-44", lambda p: p["targets"].update({"national/policy.json": _TARGET})),
        "not its own",
    ),
    "no canonical form": (
        lambda m: m["payloads"][0].update(
            payload=base64.b64encode(b" " + base64.b64decode(m["payloads"][0]["payload"])).decode()
        ),
        "not canonical",
    ),
    "a root in the place of a province": (
        lambda m: m["payloads"][0].update(payload=base64.b64encode(b'{"_type":"root"}').decode()),
        "not TUF metadata",
    ),
    "an unsigned past": (lambda m: _unsign(m, "targets"), "signed by too few"),
    "another file than its hash": (
        lambda m: m["files"][0].update(after=base64.b64encode(b"{}").decode()),
        "not the file that its hash names",
    ),
    "nothing asked": (lambda m: m.update(payloads=[]), "asks for nothing"),
    "no JSON inside": (lambda m: m["payloads"][0].update(payload="AAAA"), "not JSON"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_request_that_lies_is_not_signed(authority: Authority, lie: str) -> None:
    """A desk verifies all of it with nothing else at hand."""
    place = authority.ledger.draw("44", 1, (NOW, NOW + DAY), 0)
    set_status(authority, "44", place.index, Status.INVALID, NOW)
    change, match = LIES[lie]

    with pytest.raises(PublicationError, match=match):
        examine(forged(request(authority, NOW).file, change))


def test_no_shape_of_a_request_is_met_with_anything_but_a_refusal(tmp_path: Path) -> None:
    """Every node of what is to be signed, of what is in force and of the request itself is replaced by others."""
    from securesystemslib.formats import encode_canonical

    authority = init(tmp_path / "a", NOW)
    publish(authority, NOW)
    rotation.cosign(authority, {"national/policy.json": "00" * 32})
    rotation.rotate(authority, ("root-1",))
    issuers.add_issuer(authority, profiles.profile("nhc"), NOW)
    members = json.loads(request(authority, NOW).file.read_bytes())
    tried = 0
    for section, name in (("payloads", "payload"), ("in_force", "metadata"), ("roots", "metadata"), ("", "")):
        rows = members[section] if section else [members]
        for number, row in enumerate(rows):
            whole = json.loads(base64.b64decode(row[name])) if name else row
            for path, new in product(nodes(whole), (None, 0, "", [], {}, "x", [0], 1 << 70)):
                found = replaced(whole, path, new)
                if name:
                    data = base64.b64encode(encode_canonical(found).encode()).decode()
                    found = replaced(members, (section, number, name), data)
                tried += 1
                with suppress(PublicationError):
                    changes(examine(ceremony.decode(json.dumps(found).encode(), "request")))

    assert tried > 2000


def test_a_weak_key_in_a_request_is_not_signed(authority: Authority) -> None:
    """A delegation to a key of small order would let anybody sign for the province."""
    rotation.rotate(authority, ("province-61-2",))
    asked = request(authority, NOW)

    def weaken(payload: dict[str, Any]) -> None:
        first = next(iter(payload["delegations"]["keys"].values()))
        first["keyval"]["public"] = "01" + "00" * 31

    with pytest.raises(PublicationError, match="refused"):
        examine(forged(asked.file, lambda members: _payload(members, "targets", weaken)))


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff" * 100, b'{"schema": 1, "kind": "other"}', b"[" * 100_000])
def test_any_bytes_are_no_request_and_no_signatures(data: bytes) -> None:
    """Whatever lies on the stick."""
    for decode in (ceremony.decode, ceremony.decode_signatures):
        with pytest.raises(PublicationError):
            decode(data, "stick/file")


def test_a_request_that_has_run_out_is_not_signed(authority: Authority) -> None:
    """Nor one that would hold for years."""
    rotation.set_sunset(authority, NOW + 400 * DAY, NOW)
    examined = request(authority, NOW).examined

    refuse_outdated(examined.drafts, NOW)
    for moment in (NOW + 366 * DAY, NOW - 400 * DAY):
        with pytest.raises(PublicationError, match="hold until"):
            refuse_outdated(examined.drafts, moment)


def test_a_desk_knows_its_authority_again(table: Path, authority: Authority, tmp_path: Path) -> None:
    """A made-up authority that gives the desk's key a role is refused, once the desk has signed for the true one."""
    rotation.set_sunset(authority, NOW + 400 * DAY, NOW)
    asked = request(authority, NOW)
    assert not desk(table, "root-1").knows(asked.examined)
    signed(table, asked.file, "root-1")
    impostor = init(tmp_path / "impostor", NOW)
    key = SigningKey(desk(table, "root-1").key.read_bytes())
    rotation.rotate(impostor, ("targets-1",), public=bytes(key.verify_key))

    assert desk(table, "root-1").knows(asked.examined)
    with pytest.raises(PublicationError, match="does not come from the authority"):
        desk(table, "root-1").knows(request(impostor, NOW).examined)


def test_a_key_without_a_role_signs_nothing(table: Path, authority: Authority) -> None:
    """A province's desk is not asked for a root."""
    rotation.set_sunset(authority, NOW + 400 * DAY, NOW)

    with pytest.raises(PublicationError, match="counts for nothing"):
        desk(table, "province-44-1").signable(request(authority, NOW).examined)


# Signatures that do not count


BAD: dict[str, tuple[Callable[[RoleSignature], RoleSignature], str]] = {
    "an unknown key": (lambda one: replace(one, keyid="ab" * 32), "key abababab for root is by a key that does not"),
    "other bytes": (lambda one: replace(one, sha256="00" * 32), "over other bytes"),
    "another version": (lambda one: replace(one, version=9), "over other bytes"),
    "another role": (lambda one: replace(one, role="targets"), "not pending"),
    "a forged signature": (lambda one: replace(one, signature="00" * 64), "does not hold"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_signature_that_does_not_count_is_refused_by_name(table: Path, authority: Authority, kind: str) -> None:
    """File, key and role are named, and not even the good ones of the same call are kept."""
    rotation.set_sunset(authority, NOW + 400 * DAY, NOW)
    asked = request(authority, NOW)
    good, (bad,) = signed(table, asked.file, "root-1"), signed(table, asked.file, "root-2")
    change, match = BAD[kind]

    with pytest.raises(PublicationError, match=match) as met:
        authority.pending.collect({"good.json": good, "bad.json": [change(bad)]})

    assert "bad.json" in str(met.value)
    assert authority.pending.kept() == ()


def test_a_key_counts_once(table: Path, authority: Authority) -> None:
    """The same file brought twice is one signature, and keeps no other back; another of the same key is refused."""
    rotation.set_sunset(authority, NOW + 400 * DAY, NOW)
    asked = request(authority, NOW)
    (first,), (second,) = (list(signed(table, asked.file, name)) for name in ("root-1", "root-2"))
    authority.pending.collect({"first": [first]})

    authority.pending.collect({"first": [first], "second": [second, second]})

    assert authority.pending.kept() == (first, second)
    with pytest.raises(PublicationError, match="one key counts once"):
        authority.pending.collect({"third": [replace(first, signature="00" * 64)]})


def test_signatures_for_nothing_are_refused(authority: Authority) -> None:
    """Without a pending request there is nothing to add to."""
    with pytest.raises(PublicationError, match="Nothing is waiting"):
        authority.pending.collect({})


def test_what_is_published_is_what_was_signed(table: Path, authority: Authority) -> None:
    """Byte for byte the payload that the desks have seen, days later too."""
    rotation.set_sunset(authority, NOW + 400 * DAY, NOW)
    asked = request(authority, NOW)
    for name in ("root-1", "root-3", "root-4"):
        authority.pending.collect({name: signed(table, asked.file, name)})

    publish(authority, NOW + 3 * DAY)

    published = Metadata.from_bytes((authority.publication / "metadata/2.root.json").read_bytes())
    assert published.signed_bytes == asked.examined.drafts[0].payload
    assert len(published.signatures) == 3


def test_what_was_signed_long_ago_is_not_published(table: Path, authority: Authority) -> None:
    """A request that waited until it ran out would be refused by every gate."""
    rotation.set_sunset(authority, NOW + 400 * DAY, NOW)
    asked = request(authority, NOW)
    for name in ("root-1", "root-3", "root-4"):
        authority.pending.collect({name: signed(table, asked.file, name)})

    with pytest.raises(PublicationError, match="root would hold until"):
        publish(authority, NOW + 366 * DAY)
