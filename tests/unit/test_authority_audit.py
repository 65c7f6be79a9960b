"""The publication log: whoever has a copy re-verifies all of it offline, and the first entry that fails is named."""

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.signing import SigningKey
from securesystemslib.formats import encode_canonical
from tuf.api.metadata import Metadata

from edge.authority import issuers, keys, log, profiles, rotation
from edge.authority.audit import audit
from edge.authority.authority import Authority, init
from edge.authority.checkpoint import Checkpoint, is_note_by, key_hash, merkle_root, open_checkpoint
from edge.authority.publish import publish, renew
from edge.errors import PublicationError, TrustRefused
from edge.trust.fetchers import FolderFetcher
from edge.trust.store import TrustStore
from tests.simulators.former_authority import former
from tests.simulators.json_shapes import nodes, replaced
from tests.simulators.repository import DAY, NOW


@pytest.fixture(scope="session")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority with a history: issuers, renewals, every kind of rotation, a prefecture."""
    authority = init(tmp_path_factory.mktemp("audit") / "country", NOW, delegated=True)
    for name in ("44", "6101", "nhc"):
        issuers.add_issuer(authority, profiles.profile(name), NOW)
    publish(authority, NOW)
    renew(authority, NOW + DAY)
    rotation.rotate(authority, ("root-2", "targets-1", "province-44"))
    publish(authority, NOW + 2 * DAY)
    rotation.rotate(authority, ("snapshot", "timestamp"))
    publish(authority, NOW + 3 * DAY)
    rotation.add_prefecture(authority, "6101")
    publish(authority, NOW + 4 * DAY)
    for day in range(5, 75, 5):
        publish(authority, NOW + day * DAY)
    return authority.folder


@pytest.fixture
def authority(_made: Path, tmp_path: Path) -> Authority:
    """A copy of it."""
    shutil.copytree(_made, tmp_path / "country")
    return Authority.open(tmp_path / "country")


def entries(authority: Authority) -> Path:
    """Return the log's file."""
    return authority.publication / "log" / log.ENTRIES


# A history that holds


def test_a_copy_of_the_publication_alone_is_enough(authority: Authority, tmp_path: Path) -> None:
    """No key, no source, no network; metadata that gates no longer need is in the log."""
    shutil.copytree(authority.publication, tmp_path / "copy")

    found = audit(tmp_path / "copy")

    assert (found.holds, found.entries, found.published_at) == (True, 19, NOW + 70 * DAY)
    assert found.summary.startswith("All 19 publications hold")


def test_the_log_says_who_signed_what(authority: Authority) -> None:
    """Role, version, hash and key ids, the roles that changed alone."""
    third = authority.repository.log.entries()[2]

    named = {one.role: one.version for one in third.roles}
    leaving = authority.roles().holder("root-2.2")[1].key.keyid
    assert named == {"root": 2, "targets": 2, "province-44": 2, "snapshot": 2, "timestamp": 3}
    assert leaving in third.roles[0].signers


def test_a_renewal_is_one_short_entry(authority: Authority) -> None:
    """A year of them is a small file."""
    second = entries(authority).read_bytes().split(b"\n")[1]

    assert len(second) < 400


def test_an_older_checkpoint_still_holds(authority: Authority, tmp_path: Path) -> None:
    """Whoever kept one proves that nothing before it was rewritten, across rotated keys."""
    (tmp_path / "old").write_bytes((authority.publication / "log/checkpoint").read_bytes())
    publish(authority, NOW + 80 * DAY)

    assert audit(authority.publication, (tmp_path / "old").read_bytes()).holds


def test_the_history_of_an_upgraded_authority_begins_with_what_was_in_force(tmp_path: Path) -> None:
    """The first entry names everything, the roots before it are followed from the first."""
    authority = former(tmp_path / "country", NOW)
    rotation.upgrade(authority, NOW)
    publish(authority, NOW + 1)

    found = audit(authority.publication)

    assert (found.holds, found.entries) == (True, 1)
    assert {one.role for one in authority.repository.log.entries()[0].roles} == {
        *("root", "targets", "snapshot", "timestamp")
    }


# A history that does not


def rewrite(authority: Authority, change: Callable[[list[bytes]], list[bytes]]) -> None:
    """Change the lines of the log as a thief of the snapshot key would, and sign the log anew."""
    place = entries(authority)
    place.write_bytes(b"".join(line + b"\n" for line in change(place.read_bytes().split(b"\n")[:-1])))
    origin = log.origin_of((authority.publication / "metadata/1.root.json").read_bytes())
    authority.repository.log.sign(origin, authority.keys.signer("snapshot.2"))


def edited(number: int, change: Callable[[dict[str, object]], object]) -> Callable[[list[bytes]], list[bytes]]:
    """Return the change of one entry's members."""

    def edit(lines: list[bytes]) -> list[bytes]:
        members = json.loads(lines[number])
        change(members)
        lines[number] = json.dumps(members, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
        return lines

    return edit


REWRITTEN: dict[str, tuple[Callable[[list[bytes]], list[bytes]], int, str]] = {
    "an entry taken out": (lambda lines: [*lines[:2], *lines[3:]], 2, "numbered 3"),
    "two exchanged": (lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], 1, "numbered 2"),
    "an entry twice": (lambda lines: [*lines[:2], lines[1], *lines[2:]], 2, "numbered 1"),
    "another time": (edited(1, lambda m: m.update(time="2026-01-02T00:00:01Z")), 1, "issue time"),
    "a time before": (edited(1, lambda m: m.update(time="2025-01-02T00:00:01Z")), 1, "lies before"),
    "a signer left out": (edited(0, lambda m: m["roles"][0]["signers"].pop()), 0, "by others than it names"),  # type: ignore[index]
    "a change left out": (edited(0, lambda m: m["added"].pop()), 0, "other changes"),  # type: ignore[attr-defined]
    "a role left out": (edited(0, lambda m: m["roles"].pop(1)), 0, ""),  # type: ignore[attr-defined]
    "another hash": (edited(0, lambda m: m["roles"][1].update(sha256="00" * 32)), 0, "not the file"),  # type: ignore[index]
    "a path as a role": (edited(0, lambda m: m["roles"][1].update(role="../x")), 0, "no role"),  # type: ignore[index]
    "no entry": (edited(0, lambda m: m.pop("roles")), 0, "roles is missing"),
    "not JSON": (lambda lines: [lines[0], b"{", *lines[2:]], 1, "strict JSON"),
    "spaces": (lambda lines: [lines[0] + b" ", *lines[1:]], 0, "not written as"),
}


@pytest.mark.parametrize("kind", REWRITTEN)
def test_a_rewritten_entry_is_named(authority: Authority, kind: str) -> None:
    """Even by somebody who can sign the log: the metadata it names does not agree."""
    change, number, match = REWRITTEN[kind]
    rewrite(authority, change)

    found = audit(authority.publication)

    assert (found.holds, found.entry, match in found.problem) == (False, number, True), found.problem


def test_every_changed_byte_of_the_log_is_found(authority: Authority) -> None:
    """Walked over the first entry's line, and the checkpoint."""
    whole = entries(authority).read_bytes()
    checkpoint = (authority.publication / "log/checkpoint").read_bytes()
    for position in range(0, whole.index(b"\n"), 97):
        entries(authority).write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        assert not audit(authority.publication).holds
    entries(authority).write_bytes(whole)
    for position in range(0, len(checkpoint) - 1, 7):
        changed = checkpoint[:position] + bytes([checkpoint[position] ^ 1]) + checkpoint[position + 1 :]
        (authority.publication / "log/checkpoint").write_bytes(changed)
        assert not audit(authority.publication).holds


def test_a_log_cut_short_does_not_hold(authority: Authority) -> None:
    """The end is bound by the checkpoint, the checkpoint by what is published."""
    lines = entries(authority).read_bytes().split(b"\n")
    entries(authority).write_bytes(b"\n".join(lines[:5]) + b"\n")

    assert "checkpoint" in audit(authority.publication).problem
    rewrite(authority, lambda kept: kept)
    assert "not what it ends with" in audit(authority.publication).problem


def test_a_rewritten_history_does_not_hold_against_an_older_checkpoint(tmp_path: Path) -> None:
    """All keys stolen and everything made anew: whoever kept a checkpoint sees it."""
    first, second = (init(tmp_path / name, NOW) for name in ("first", "second"))
    for authority in (first, second):
        publish(authority, NOW)
    shutil.rmtree(second.folder)
    shutil.copytree(first.folder, second.folder)
    old = (first.publication / "log/checkpoint").read_bytes()
    second = Authority.open(second.folder)
    shutil.rmtree(second.publication / "log")
    publish(second, NOW + 5)
    publish(second, NOW + 6)

    assert audit(second.publication).holds
    assert "does not begin with the 1 entries" in audit(second.publication, old).problem


def test_a_published_root_that_was_never_logged_is_found(authority: Authority) -> None:
    """A secret root beside the log would be followed by gates."""
    root = Metadata.from_bytes((authority.publication / "metadata/3.root.json").read_bytes())
    root.signed.version = 4
    (authority.publication / "metadata/4.root.json").write_bytes(root.to_bytes())

    assert "was never logged" in audit(authority.publication).problem


def test_a_published_target_that_is_not_what_was_signed_is_found(authority: Authority) -> None:
    """The files are part of the publication."""
    (file,) = (authority.publication / "targets/national").glob("*.policy.json")
    file.write_bytes(file.read_bytes() + b" ")

    assert "national/policy.json as it is published" in audit(authority.publication).problem


def test_a_key_outside_its_role_is_found(tmp_path: Path) -> None:
    """A targets key that also signs a root is one theft for two roles."""
    authority = init(tmp_path / "country", NOW)
    place = authority.publication / "metadata/1.root.json"
    root = Metadata.from_bytes(place.read_bytes())
    root.sign(authority.keys.signer("targets-1"), append=True)
    place.write_bytes(root.to_bytes())
    publish(authority, NOW)

    found = audit(authority.publication)

    assert (found.entry, "outside its role" in found.problem) == (0, True)


def test_a_folder_without_a_log_is_named(tmp_path: Path) -> None:
    """The next step says what to name."""
    with pytest.raises(PublicationError, match="no publication with a log"):
        audit(tmp_path)


def test_every_changed_file_of_a_publication_is_found(authority: Authority) -> None:
    """One byte in each file there is, wherever a mirror or a stick could change it; nothing else is ever raised."""
    files = sorted(file for file in authority.publication.rglob("*") if file.is_file())
    unseen = []
    for file in files:
        whole = file.read_bytes()
        middle = len(whole) // 2
        file.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
        if audit(authority.publication).holds:
            unseen.append(file.relative_to(authority.publication).as_posix())
        file.write_bytes(whole)

    assert len(files) > 60
    assert audit(authority.publication).holds
    # Targets of the last ten versions stay for gates in mid-refresh; those that no version in force names are not read.
    assert [path for path in unseen if not path.startswith("targets/")] == []


@pytest.mark.parametrize("kind", ["missing", "empty", "link", "pipe", "folder", "huge"])
@pytest.mark.parametrize(
    "name", ["log/entries.ndjson", "log/checkpoint", "log/metadata/1.targets.json", "metadata/timestamp.json"]
)
def test_whatever_stands_in_the_place_of_a_file_is_a_finding(authority: Authority, name: str, kind: str) -> None:
    """A hostile copy: nothing outside is read, nothing hangs, nothing is taken beyond its bound."""
    place = authority.publication / name
    whole = place.read_bytes()
    place.unlink()
    if kind == "empty":
        place.write_bytes(b"")
    elif kind == "link":
        (authority.folder / "outside").write_bytes(whole)
        place.symlink_to(authority.folder / "outside")
    elif kind == "pipe":
        os.mkfifo(place)
    elif kind == "folder":
        place.mkdir()
    elif kind == "huge":
        place.write_bytes(whole)
        os.truncate(place, 300 << 20)

    if name == "log/entries.ndjson" and kind in {"missing", "pipe", "folder"}:
        with pytest.raises(PublicationError, match="no publication with a log"):
            audit(authority.publication)
    else:
        assert not audit(authority.publication).holds


def resigned(authority: Authority, role: str, signed: dict[str, Any]) -> None:
    """Publish metadata of any shape as the holders of all keys could, up to the log and its checkpoint."""
    publication = authority.publication
    line = json.loads(entries(authority).read_bytes())
    kept = authority.repository.log.metadata
    files: dict[str, bytes] = {}
    for row in line["roles"]:
        name = row["role"]
        part = signed if name == role else json.loads((kept / f"1.{name}.json").read_bytes())["signed"]
        for meta, inner in (("targets", "snapshot"), ("snapshot", "timestamp")):
            if name == inner != role:
                described = {"length": len(files[meta]), "hashes": {"sha256": sha256(files[meta]).hexdigest()}}
                part["meta"][f"{meta}.json"] = {"version": 1, **described}
        payload = encode_canonical(part).encode()
        made = [authority.keys.signer(key).sign(payload) for key in authority.keys.of_role(name)]
        signatures = [{"keyid": one.keyid, "sig": one.signature} for one in made]
        files[name] = json.dumps(
            {"signatures": signatures, "signed": part}, sort_keys=True, separators=(",", ":")
        ).encode()
        row |= {"sha256": sha256(files[name]).hexdigest(), "signers": sorted(one.keyid for one in made)}
    for name, data in files.items():
        (kept / f"1.{name}.json").write_bytes(data)
        (publication / "metadata" / ("timestamp.json" if name == "timestamp" else f"1.{name}.json")).write_bytes(data)
    entries(authority).write_bytes(json.dumps(line, sort_keys=True, separators=(",", ":")).encode() + b"\n")
    authority.repository.log.sign(log.origin_of(files["root"]), authority.keys.signer("snapshot"))


@pytest.mark.parametrize("role", ["root", "targets", "snapshot", "timestamp"])
def test_no_shape_of_signed_metadata_is_met_with_anything_but_a_finding(tmp_path: Path, role: str) -> None:
    """Every node of a role is replaced, and all of it signed again: an auditor gets a sentence, never a traceback."""
    authority = init(tmp_path / "country", NOW)
    publish(authority, NOW)
    whole = json.loads((authority.repository.log.metadata / f"1.{role}.json").read_bytes())["signed"]
    resigned(authority, role, whole)
    assert audit(authority.publication).holds
    found = []
    for path, new in product(nodes(whole), (None, [], "x", 1 << 70)):
        resigned(authority, role, replaced(whole, path, new))
        found.append(audit(authority.publication).holds)

    assert len(found) > 20
    assert found.count(False) > found.count(True)


# Power cuts


@pytest.mark.parametrize("left", ["entry", "checkpoint", "torn"])
def test_a_publication_cut_off_after_its_entry_is_finished(tmp_path: Path, left: str) -> None:
    """Logged, not yet shown: the next command shows it; a torn line never counted."""
    authority = init(tmp_path / "country", NOW)
    publish(authority, NOW)
    metadata = authority.publication / "metadata/timestamp.json"
    checkpoint = authority.publication / "log/checkpoint"
    seen = (metadata.read_bytes(), checkpoint.read_bytes(), entries(authority).read_bytes())
    publish(authority, NOW + 1)
    metadata.write_bytes(seen[0])
    if left != "checkpoint":
        checkpoint.write_bytes(seen[1])
    if left == "torn":
        entries(authority).write_bytes(seen[2] + b'{"torn')

    done = publish(authority, NOW + 2)

    assert done.versions.timestamp == (2 if left == "torn" else 3)
    assert audit(authority.publication).holds


KILLED = """
import os, sys
from pathlib import Path
from edge.authority.authority import Authority
from edge.authority.publish import publish

left, folder, now = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])

def count(event, args):
    global left
    if event in ("os.rename", "os.truncate") or (event == "open" and args[2] & (os.O_WRONLY | os.O_RDWR)):
        if str(args[0]).startswith(folder + "/publication"):
            left -= 1
            if left == 0:
                os._exit(9)

authority = Authority.open(Path(folder))
sys.addaudithook(count)
publish(authority, now)
"""
"""Publishes, and is gone before the given one of its writes."""


def test_a_publish_killed_before_any_of_its_writes_loses_nothing(tmp_path: Path) -> None:
    """Kill -9 walked over every file that is opened for writing or renamed: gates refresh, the next publish goes on."""
    folder = tmp_path / "country"
    authority = init(folder, NOW)
    publish(authority, NOW)
    store = TrustStore.init(tmp_path / "gate", (authority.publication / "metadata/1.root.json").read_bytes())
    killed = refused = 0
    for step in range(1, 60):
        now = NOW + 10 * step
        issuers.set_policy(authority, {**authority.sources.members("national/policy.json"), "travel_days": step}, now)
        rotation.rotate(authority, (authority.roles().by_name["root"].holders[0].name, "timestamp"))
        done = subprocess.run([sys.executable, "-c", KILLED, str(step), str(folder), str(now)], check=False, timeout=60)
        try:
            store.refresh(FolderFetcher(authority.publication), now)
        except TrustRefused:
            # Between the root that names another timestamp key and its first timestamp: the view before stays.
            refused += 1
        assert store.load().policy.travel_days in {14, step - 1, step}
        publish(authority, now + 1)
        store.refresh(FolderFetcher(authority.publication), now + 1)
        assert audit(authority.publication).holds
        assert store.load().policy.travel_days == step
        if done.returncode == 0:
            break
        killed += done.returncode == 9

    assert done.returncode == 0
    assert killed >= 15
    assert refused <= 2


def test_nothing_is_published_on_a_log_that_was_changed(authority: Authority) -> None:
    """The authority verifies its own log before it adds to it."""
    lines = entries(authority).read_bytes().split(b"\n")
    entries(authority).write_bytes(b"\n".join([*lines[:3], lines[2], *lines[3:]]))

    with pytest.raises(PublicationError, match="does not begin with"):
        publish(authority, NOW + 90 * DAY)


def test_metadata_lost_from_the_publication_comes_back_from_the_log(authority: Authority) -> None:
    """The newest publication is kept twice."""
    newest = authority.repository.log.entries()[-1].roles
    for one in newest:
        (authority.publication / "metadata" / one.file).unlink(missing_ok=True)
    (authority.publication / "metadata/timestamp.json").unlink()

    publish(authority, NOW + 90 * DAY)

    assert audit(authority.publication).holds


# Checkpoints


def test_a_merkle_root_is_that_of_rfc_6962() -> None:
    """Written out for the first sizes as the RFC draws them (2.1)."""

    def leaf(data: bytes) -> bytes:
        return sha256(b"\x00" + data).digest()

    def node(left: bytes, right: bytes) -> bytes:
        return sha256(b"\x01" + left + right).digest()

    a, b, c, d, e = (leaf(data) for data in (b"a", b"b", b"c", b"d", b"e"))
    leaves = [b"a", b"b", b"c", b"d", b"e"]
    expected = [sha256(b"").digest(), a, node(a, b), node(node(a, b), c), node(node(a, b), node(c, d))]
    expected.append(node(node(node(a, b), node(c, d)), e))

    assert [merkle_root(leaves[:size]) for size in range(6)] == expected


def test_a_note_is_signed_as_others_sign_it() -> None:
    """Key hash and signature of the note in Go's golang.org/x/mod/sumdb/note, whose key is published with it."""
    public = base64.b64decode("ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")[1:]
    text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
    line = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="

    assert key_hash("PeterNeumann", public).hex() == "c74f20a3"
    assert is_note_by(public, "PeterNeumann", text.encode(), line)
    assert not is_note_by(public, "PeterNeumann", text.encode() + b"\n", line)


def test_a_checkpoint_is_of_one_log() -> None:
    """The standard's own example is read as far as its name; it is of another log than ours."""
    note = (
        "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
        "\u2014 example.com/behind-the-sofa "
        "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
    )

    with pytest.raises(PublicationError, match="not signed by the key"):
        open_checkpoint(note.encode(), "example.com/behind-the-sofa", [bytes(SigningKey(bytes(32)).verify_key)])
    with pytest.raises(PublicationError, match="malformed"):
        open_checkpoint(note.encode(), "edge-publication-log/x", [])


def test_a_witness_may_add_its_line() -> None:
    """Signature lines of others are passed over; ours must be among them."""
    key = SigningKey(bytes(32))
    checkpoint = Checkpoint("edge-publication-log/x", 1, merkle_root([b"a"]))
    note = checkpoint.sign(keys.signer_of(key))

    witnessed = note + "\u2014 witness.example AAAAAAAA\n".encode()

    assert open_checkpoint(witnessed, checkpoint.origin, [bytes(key.verify_key)]) == checkpoint
    with pytest.raises(PublicationError, match="not signed"):
        open_checkpoint(witnessed, checkpoint.origin, [bytes(SigningKey(bytes([1]) * 32).verify_key)])


@given(st.binary(max_size=300))
def test_any_bytes_are_no_checkpoint(data: bytes) -> None:
    """A clear refusal, never another exception."""
    with pytest.raises(PublicationError):
        open_checkpoint(data, "edge-publication-log/x", [bytes(SigningKey(bytes(32)).verify_key)])
