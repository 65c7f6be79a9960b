"""`edge trust --metadata-dir` as the public TUF conformance suite drives it: commands, exit codes, files, requests.

Each class of that suite's tests stands here in plain form, over real HTTP on loopback. The suite itself is run by hand
(docs/reports); what needs another time than this machine's is in `tests/unit/test_trust_*.py`, on the same workflow.
"""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest
from click.testing import CliRunner
from securesystemslib.signer import CryptoSigner, Signer
from tuf.api.metadata import Metadata, Snapshot, TargetFile

from edge.cli.trust import trust as trust_command
from edge.errors import AnswerRefused, EdgeError
from tests.simulators.repository import DAY, ROLES, Repository

AGES = 36_500 * DAY
"""Far enough that this machine's clock, whatever it says, is before it."""


@pytest.fixture
def repository() -> Repository:
    """A repository whose metadata outlives any machine's clock."""
    found = Repository()
    found.lifetimes = dict.fromkeys(ROLES, AGES)
    found.versions = dict.fromkeys(ROLES, 0)
    found.files.clear()
    found.publish_root()
    found.publish()
    return found


@pytest.fixture
def address(repository: Repository) -> Iterator[str]:
    """Serve the repository on a free loopback port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            # Requests are noted as they came, so that quoting shows.
            path = self.path.lstrip("/")
            try:
                status, body = 200, repository.fetch(unquote(path), 1 << 30)
            except AnswerRefused:
                status, body = 404, b""
            repository.requests[-1] = path
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


class Client:
    """The command, as the suite runs it."""

    def __init__(self, folder: Path, address: str, repository: Repository) -> None:
        self.metadata, self.artifacts = folder / "metadata", folder / "artifacts"
        self.metadata.mkdir()
        self._folder, self._address, self._repository = folder, address, repository

    def _run(self, *words: str) -> int:
        done = CliRunner().invoke(trust_command, list(words))
        assert done.exception is None or isinstance(done.exception, EdgeError | SystemExit)
        return 0 if done.exception is None else 1

    def init(self, root: bytes | None = None) -> int:
        """Begin to trust."""
        place = self._folder / "initial.json"
        place.write_bytes(self._repository.first_root if root is None else root)
        return self._run("--metadata-dir", str(self.metadata), "init", str(place))

    def refresh(self) -> int:
        """Update top-level metadata."""
        url = f"{self._address}/metadata/"
        return self._run("--metadata-url", url, "--metadata-dir", str(self.metadata), "refresh")

    def download(self, *names: str) -> int:
        """Fetch targets."""
        where = ["--metadata-url", f"{self._address}/metadata/", "--metadata-dir", str(self.metadata)]
        what = [word for name in names for word in ("--target-name", name)] + ["--target-dir", str(self.artifacts)]
        return self._run(*where, *what, "--target-base-url", f"{self._address}/targets/", "download")

    def trusted(self) -> dict[str, int]:
        """Return the version of each trusted role, by the file's name."""
        return {
            file.name.removesuffix(".json"): json.loads(file.read_bytes())["signed"]["version"]
            for file in self.metadata.glob("*.json")
        }

    def downloaded(self) -> list[bytes]:
        """Return the content of every file downloaded."""
        files = sorted(self.artifacts.rglob("*")) if self.artifacts.exists() else []
        return [file.read_bytes() for file in files if file.is_file()]


@pytest.fixture
def client(tmp_path: Path, address: str, repository: Repository) -> Client:
    """A client that trusts the first root."""
    found = Client(tmp_path, address, repository)
    assert found.init() == 0
    repository.requests.clear()
    return found


FIRST = {"root": 1, "timestamp": 1, "snapshot": 1, "targets": 1}
REQUESTS = ["metadata/2.root.json", "metadata/timestamp.json", "metadata/1.snapshot.json", "metadata/1.targets.json"]


# Basic


def test_a_refresh_makes_four_requests(client: Client, repository: Repository) -> None:
    """The next root, the timestamp, and what each names; `init` makes none."""
    assert client.refresh() == 0
    assert repository.requests == REQUESTS


def test_metadata_is_kept_byte_for_byte_without_versions(client: Client, repository: Repository) -> None:
    """Files are the ones served, under the role's own name."""
    repository.files["metadata/timestamp.json"] += b" "
    assert client.refresh() == 0
    assert client.trusted() == FIRST
    assert (client.metadata / "timestamp.json").read_bytes() == repository.files["metadata/timestamp.json"]
    assert (client.metadata / "targets.json").read_bytes() == repository.files["metadata/1.targets.json"]


def test_a_download_refreshes_first(client: Client, repository: Repository) -> None:
    """A target that is not there fails, and metadata is up to date."""
    assert client.download("nothing") == 1
    assert repository.requests == REQUESTS
    assert client.trusted() == FIRST


@pytest.mark.parametrize(
    "change", [lambda root: root["signed"].pop("version"), lambda root: root["signatures"].clear()]
)
def test_nothing_is_asked_with_an_invalid_root(
    tmp_path: Path, address: str, repository: Repository, change: Callable[[dict[str, Any]], Any]
) -> None:
    """A root without version or signature is not trusted, and no request is made."""
    root = json.loads(repository.first_root)
    change(root)
    found = Client(tmp_path, address, repository)
    repository.requests.clear()

    assert found.init(json.dumps(root).encode()) == 1
    assert found.refresh() == 1
    assert repository.requests == []


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_an_unsigned_role_ends_the_refresh_there(client: Client, repository: Repository, role: str) -> None:
    """What came before it is kept, what comes after is not asked for."""
    repository.signers[role] = [CryptoSigner.generate_ed25519()]
    repository.publish()

    assert client.refresh() == 1
    before = {"timestamp": {"root"}, "snapshot": {"root", "timestamp"}, "targets": {"root", "timestamp", "snapshot"}}
    assert set(client.trusted()) == before[role]


@pytest.mark.parametrize("role", ["snapshot", "targets"])
def test_another_version_than_the_address_names_is_refused(client: Client, repository: Repository, role: str) -> None:
    """A file of version 3 served as version 2 is not version 2."""
    repository.publish()
    repository.publish_targets()
    repository.publish_snapshot()
    repository.instead[f"metadata/2.{role}.json"] = repository.files[f"metadata/3.{role}.json"]

    assert client.refresh() == 1
    assert role not in client.trusted()


def test_new_content_under_a_known_version_is_not_taken(client: Client, repository: Repository) -> None:
    """The timestamp that was verified stays."""
    client.refresh()
    repository.publish_snapshot()
    repository.versions["timestamp"] = 0
    repository.publish_timestamp()

    assert client.refresh() == 0
    assert client.trusted() == FIRST


def test_unknown_members_do_not_matter(client: Client, repository: Repository) -> None:
    """They are signed like the rest (specification, 4)."""
    repository.root_fields["custom-field"] = {"a": [1, 2]}
    repository.publish_root()

    assert client.refresh() == 0
    assert client.trusted()["root"] == 2


@pytest.mark.parametrize("name", ["timestamp", "2.snapshot", "2.targets"])
def test_a_missing_file_fails_and_keeps_what_verified(client: Client, repository: Repository, name: str) -> None:
    """A 404 after others verified: those are newer now."""
    client.refresh()
    repository.publish()
    del repository.files[f"metadata/{name}.json"]

    assert client.refresh() == 1
    versions = {"timestamp": (1, 1), "2.snapshot": (2, 1), "2.targets": (2, 2)}[name]
    assert (client.trusted()["timestamp"], client.trusted()["snapshot"]) == versions
    assert client.trusted()["targets"] == 1


def test_a_snapshot_that_looks_like_a_timestamp_is_none(client: Client, repository: Repository) -> None:
    """The type is checked although the signature would hold."""
    payload = Snapshot(9, expires=repository._expires("snapshot"))
    repository.instead["metadata/timestamp.json"] = repository._signed("timestamp", payload)

    assert client.refresh() == 1
    assert set(client.trusted()) == {"root"}


# Expiry


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_an_expired_role_is_refused(client: Client, repository: Repository, role: str) -> None:
    """Genuine, new and run out: the trusted one of before stays."""
    client.refresh()
    repository.lifetimes[role] = -365 * DAY
    repository.publish()

    assert client.refresh() == 1
    assert client.trusted()[role] == 1


def test_an_expired_root_is_kept_and_ends_the_refresh(client: Client, repository: Repository) -> None:
    """5.3.10: it is the newest root, and nothing below it is asked for."""
    client.refresh()
    repository.lifetimes["root"] = -365 * DAY
    repository.publish_root()
    repository.publish()

    assert client.refresh() == 1
    assert client.trusted() == {**FIRST, "root": 2}


# Rollback and fast-forward recovery


def test_an_older_timestamp_is_refused(client: Client, repository: Repository) -> None:
    """Its version has been seen to be higher."""
    repository.publish_timestamp()
    client.refresh()
    repository.versions["timestamp"] = 0
    repository.publish_timestamp()

    assert client.refresh() == 1
    assert client.trusted()["timestamp"] == 2


@pytest.mark.parametrize("role", ["snapshot", "targets"])
def test_an_older_role_under_a_newer_timestamp_is_refused(client: Client, repository: Repository, role: str) -> None:
    """What the newer files name was seen to be higher."""
    repository.publish()
    client.refresh()
    repository.versions[role] = 0
    repository.publish()

    assert client.refresh() == 1
    assert client.trusted()[role] == 2


@pytest.mark.parametrize(
    ("rotated", "role"), [("timestamp", "timestamp"), ("snapshot", "snapshot"), ("snapshot", "targets")]
)
def test_new_keys_recover_from_a_fast_forward(client: Client, repository: Repository, rotated: str, role: str) -> None:
    """Versions pushed to 100 by a stolen key start again once the key has been replaced (5.3.11)."""
    repository.versions[role] = 99
    repository.publish()
    client.refresh()
    assert client.trusted()[role] == 100
    repository.versions[role] = 0
    repository.rotate(rotated)
    repository.publish()

    assert client.refresh() == 0
    assert client.trusted()[role] == 1


# Keys


def test_a_threshold_of_keys_must_sign(client: Client, repository: Repository) -> None:
    """Three of three: two are too few."""
    for _ in range(2):
        repository.signers["snapshot"].append(CryptoSigner.generate_ed25519())
        repository.root.add_key(repository.signers["snapshot"][-1].public_key, "snapshot")
    repository.root.roles["snapshot"].threshold = 3
    repository.publish_root()
    repository.publish()
    assert client.refresh() == 0
    repository.signers["snapshot"].pop()
    repository.publish()

    assert client.refresh() == 1
    assert client.trusted()["snapshot"] == 2


def test_a_key_that_signs_twice_is_refused(client: Client, repository: Repository) -> None:
    """Key ids are unique among signatures (specification, 4.2.1)."""
    metadata = json.loads(repository.files["metadata/timestamp.json"])
    metadata["signatures"] *= 2
    repository.instead["metadata/timestamp.json"] = json.dumps(metadata).encode()

    assert client.refresh() == 1
    assert set(client.trusted()) == {"root"}


@pytest.mark.parametrize("signature", ["00" * 64, ""])
def test_a_wrong_signature_beside_enough_right_ones_does_not_matter(
    client: Client, repository: Repository, signature: str
) -> None:
    """The threshold is met without it."""
    spare = CryptoSigner.generate_ed25519()
    repository.root.add_key(spare.public_key, "timestamp")
    repository.publish_root()
    metadata = json.loads(repository.files["metadata/timestamp.json"])
    metadata["signatures"].append({"keyid": spare.public_key.keyid, "sig": signature})
    repository.instead["metadata/timestamp.json"] = json.dumps(metadata).encode()

    assert client.refresh() == 0


@pytest.mark.parametrize(
    "made",
    [CryptoSigner.generate_ed25519, CryptoSigner.generate_ecdsa, lambda: CryptoSigner.generate_rsa(size=2048)],
    ids=["ed25519", "ecdsa", "rsa"],
)
def test_each_kind_of_key_of_the_specification_verifies(
    client: Client, repository: Repository, made: Callable[[], Signer]
) -> None:
    """A root that needs it is taken with its signature and refused with one altered bit."""
    signer = made()
    repository.root.add_key(signer.public_key, "root")
    repository.signers["root"].append(signer)  # type: ignore[arg-type]
    repository.root.roles["root"].threshold = 4
    repository.publish_root()
    assert client.refresh() == 0
    metadata = Metadata.from_bytes(repository.publish_root())
    good = metadata.signatures[signer.public_key.keyid]
    good.signature = good.signature[:-2] + f"{int(good.signature[-2:], 16) ^ 1:02x}"
    repository.files["metadata/3.root.json"] = metadata.to_bytes()

    assert client.refresh() == 1
    assert client.trusted()["root"] == 2


ROTATIONS = [
    # signed by the root before, by the new root, whether it follows: thresholds are two of three
    (2, 2, True),
    (1, 2, False),
    (2, 1, False),
    (0, 2, False),
    (2, 0, False),
]


@pytest.mark.parametrize(("old", "new", "follows"), ROTATIONS)
def test_a_root_is_signed_by_both_thresholds(
    client: Client, repository: Repository, old: int, new: int, *, follows: bool
) -> None:
    """All keys of a root are replaced: a threshold of the old ones and one of the new ones must sign."""
    before = list(repository.signers["root"])
    after = [CryptoSigner.generate_ed25519() for _ in range(3)]
    for signer in before:
        repository.root.revoke_key(signer.public_key.keyid, "root")
    for signer in after:
        repository.root.add_key(signer.public_key, "root")
    repository.publish_root(signers=[*before[:old], *after[:new]])

    assert (client.refresh() == 0) is follows
    assert client.trusted()["root"] == (2 if follows else 1)


# Downloads


def listed(repository: Repository, name: str, content: bytes) -> None:
    """Publish one more target."""
    repository.targets[name] = content
    repository.publish()


@pytest.mark.parametrize("name", ["file.txt", "path/to/a/file.txt", "with space.txt", "a%2fb", "..%2f", "zh/文件"])
def test_a_target_is_downloaded_under_one_name(client: Client, repository: Repository, name: str) -> None:
    """Whatever its path, it is one file of the folder, and comes again to the same place."""
    listed(repository, name, b"one")
    assert client.download(name) == 0
    listed(repository, name, b"two")
    assert client.download(name) == 0

    assert client.downloaded() == [b"two"]
    assert [file.name for file in client.artifacts.iterdir()] == [quote(name, safe="")]


@pytest.mark.parametrize("name", ["..", ".", "x" * 300])
def test_a_target_of_no_usable_name_is_refused(client: Client, repository: Repository, name: str) -> None:
    """It would leave the folder, or not fit."""
    listed(repository, name, b"one")

    assert client.download(name) == 1
    assert client.downloaded() == []


def test_a_target_that_is_there_is_not_fetched_again(client: Client, repository: Repository) -> None:
    """Its hash decides, not its name."""
    listed(repository, "file", b"one")
    client.download("file")
    repository.requests.clear()

    assert client.download("file") == 0
    assert not [path for path in repository.requests if path.startswith("targets/")]


@pytest.mark.parametrize("instead", [b"malicious", b"", b"three and longer than was signed for"])
def test_a_substituted_target_is_refused(client: Client, repository: Repository, instead: bytes) -> None:
    """Nothing of it is kept, and what was downloaded before stays."""
    listed(repository, "file", b"one")
    client.download("file")
    listed(repository, "file", b"two")
    for path in [path for path in repository.files if path.endswith(".file")]:
        repository.instead[path] = instead

    assert client.download("file") == 1
    assert client.downloaded() == [b"one"]


@pytest.mark.parametrize(
    ("hashes", "status"), [(["sha256"], 0), (["sha512"], 0), (["sha256", "sha512"], 0), (["unknown"], 1)]
)
def test_hashes_of_known_kinds_verify(client: Client, repository: Repository, hashes: list[str], status: int) -> None:
    """Any of the hashes is in front of the file's name; one of an unknown kind proves nothing."""
    target = TargetFile.from_data("file", b"content", [name for name in hashes if name != "unknown"] or ["sha256"])
    if hashes == ["unknown"]:
        target.hashes = {"unknown": target.hashes["sha256"]}
    payload = Metadata.from_bytes(repository.files["metadata/1.targets.json"]).signed
    payload.targets["file"] = target
    repository.files["metadata/1.targets.json"] = repository._signed("targets", payload)
    repository.publish_snapshot()
    repository.publish_timestamp()
    for digest in target.hashes.values():
        repository.files[f"targets/{digest}.file"] = b"content"

    assert client.download("file") == status
    assert client.downloaded() == ([] if status else [b"content"])


# Delegations


def test_delegated_roles_are_fetched_on_the_way_and_kept(client: Client, repository: Repository) -> None:
    """Those that may hold the target, in order, each once; the next time none."""
    for delegator, name, paths in (("targets", "A", ["*.md"]), ("targets", "B", ["r/*/*"]), ("B", "C", ["r/x/*"])):
        repository.delegate(name, paths, delegator=delegator, expires_in=AGES, terminating=False)
    repository.delegated["C"].targets["r/x/file"] = b"content"
    repository.publish()

    assert client.download("r/x/file") == 0
    assert repository.requests[4:6] == ["metadata/1.B.json", "metadata/1.C.json"]
    assert client.trusted() == {"root": 1, "timestamp": 2, "snapshot": 2, "targets": 2, "B": 1, "C": 1}
    repository.requests.clear()
    assert client.download("r/x/file") == 0
    assert repository.requests == ["metadata/2.root.json", "metadata/timestamp.json"]


@pytest.mark.parametrize("vouches", ["A", "B", "both"])
def test_a_role_of_two_delegators_is_held_to_each_ones_keys(
    client: Client, repository: Repository, vouches: str
) -> None:
    """A and B delegate to C under different keys: signed as one wants it, it does not count for the other's paths."""
    shared = repository.delegate("C", ["a/*"], delegator="A", expires_in=AGES, terminating=False)
    repository.delegate("A", ["a/*"], expires_in=AGES, terminating=False)
    other = repository.delegate("B", ["b/*"], expires_in=AGES, terminating=False)
    other.second = ("C", ["b/*"], [CryptoSigner.generate_ed25519() for _ in range(3)])
    shared.targets |= {"a/file": b"a", "b/file": b"b"}
    keys = {"A": shared.signers[:2], "B": other.second[2][:2], "both": [*shared.signers[:2], *other.second[2][:2]]}
    shared.signing = keys[vouches]
    repository.publish()

    assert client.download("a/file", "b/file") == (0 if vouches == "both" else 1)
    assert client.downloaded() == {"A": [b"a"], "B": [], "both": [b"a", b"b"]}[vouches]
    assert client.download("b/file", "a/file") == (0 if vouches == "both" else 1)
    assert client.downloaded() == {"A": [b"a"], "B": [b"b"], "both": [b"a", b"b"]}[vouches]


def test_an_expired_delegated_role_is_neither_used_nor_kept(client: Client, repository: Repository) -> None:
    """The target it lists is not downloaded."""
    repository.delegate("A", ["*"], expires_in=-365 * DAY).targets["file"] = b"content"
    repository.publish()

    assert client.refresh() == 0
    assert client.download("file") == 1
    assert client.downloaded() == []
    assert "A" not in client.trusted()


@pytest.mark.parametrize("name", ["?", "#", "/delegated", "../delegated", "..", "%2e%2e", "文"])
def test_unusual_role_names_stay_in_the_folder(client: Client, repository: Repository, name: str) -> None:
    """The address has the name in one quoted segment, and so has the file."""
    repository.delegate(name, ["*"], expires_in=AGES)
    repository.publish()

    assert client.download("nothing") == 1
    assert repository.requests[-1] == f"metadata/1.{quote(name, safe='')}.json"
    assert set(client.trusted()) == {*FIRST, quote(name, safe="")}
    assert not (client.metadata.parent / "delegated.json").exists()


# The folder


def test_a_second_root_begins_again(client: Client, repository: Repository) -> None:
    """`init` forgets what stood there, floors and metadata."""
    client.refresh()

    assert client.init() == 0
    assert client.trusted() == {"root": 1}


def test_lost_metadata_lets_nothing_older_in(client: Client, repository: Repository) -> None:
    """Floors stand beside the files: a folder emptied by hand is not fooled by an old copy."""
    old = dict(repository.files)
    repository.publish()
    client.refresh()
    for file in client.metadata.glob("*.json"):
        file.unlink()
    repository.files.clear()
    repository.files.update(old)

    assert client.refresh() == 1
    assert "snapshot" not in client.trusted()


def test_an_option_that_is_missing_is_named(client: Client) -> None:
    """A download without a target's name says which option it lacks."""
    done = CliRunner().invoke(trust_command, ["--metadata-dir", str(client.metadata), "download"])

    assert done.exit_code == 2
    assert "--target-name is missing" in done.output


@pytest.mark.parametrize("root", ["missing.json", ".", "/dev/zero"])
def test_a_root_that_cannot_be_one_is_refused_with_1(tmp_path: Path, root: str) -> None:
    """A missing file, a folder and one without end: refused within bounds, as everything else is."""
    command = [sys.executable, "-m", "edge", "trust", "--metadata-dir", str(tmp_path / "D"), "init", root]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path, check=False)

    assert ended.returncode == 1
    assert "->" in ended.stderr


def test_an_address_of_another_kind_is_refused_with_1(tmp_path: Path) -> None:
    """What is neither HTTP nor a folder is a refusal, not a fault of this machine."""
    command = [sys.executable, "-m", "edge", "trust", "--metadata-dir", str(tmp_path), "--metadata-url", "ftp://x"]
    ended = subprocess.run([*command, "refresh"], capture_output=True, text=True, timeout=60, check=False)

    assert ended.returncode == 1
    assert "ftp://x" in ended.stderr
