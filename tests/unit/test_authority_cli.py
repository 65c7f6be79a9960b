"""`edge authority` and `edge trust` as people and scripts use them: a whole life of a trust root by commands."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from nacl.signing import SigningKey

from edge.authority.authority import Authority
from edge.authority.serve import application, bind
from edge.cli.authority import authority as authority_command
from edge.cli.trust import trust as trust_command
from edge.errors import EdgeError, PortInUse, PublicationError, SetupError
from edge.trust import paths
from edge.trust.fetchers import HttpFetcher
from edge.trust.store import TrustStore


def authority(*words: object, input_: str | None = None) -> Result:
    """Run `edge authority ...`; our errors come through as they would to the command line's end."""
    return CliRunner(catch_exceptions=False).invoke(authority_command, [str(word) for word in words], input=input_)


def trust(*words: object) -> Result:
    """Run `edge trust ...`."""
    return CliRunner(catch_exceptions=False).invoke(trust_command, [str(word) for word in words])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An authority with one issuer, published, all by commands."""
    found = tmp_path / "authority"
    for words in (("init", found), ("add-issuer", found, "--profile", "yuekang"), ("publish", found)):
        assert authority(*words).exit_code == 0
    return found


@pytest.fixture
def store(folder: Path, tmp_path: Path) -> TrustStore:
    """A gate's store, pinned to the authority."""
    return TrustStore.init(tmp_path / "trust", (folder / "publication/metadata/1.root.json").read_bytes())


ISSUE = ("--issuer", "44", "--surname", "张", "--id-tail", "3416", "--json")


def test_each_command_names_the_next(tmp_path: Path) -> None:
    """A technician is led from init to serve."""
    folder = tmp_path / "authority"

    assert "edge authority add-issuer" in authority("init", folder).output
    assert "edge authority publish" in authority("add-issuer", folder, "--profile", "all").output
    assert "edge authority serve" in authority("publish", folder).output


def test_profiles_are_listed() -> None:
    """Seven, for people and for scripts."""
    rows = [json.loads(line) for line in authority("profiles", "--json").output.splitlines()]

    assert [row["id"] for row in rows] == ["11", "44", "50", "6101", "nhc", "trip", "cn"]
    assert rows[0]["statuses"]["21"] == "pop-up 1"
    assert "粤康码" in authority("profiles").output


def test_an_issuer_of_ones_own_by_options(folder: Path) -> None:
    """As in the guide."""
    words = ("--id", "53", "--name-zh", "云南健康码", "--name-en", "Yunnan", "--region", "530000", "--kind", "person")

    result = authority("add-issuer", folder, *words, "--kind", "travel", "--json")

    assert json.loads(result.output)["kinds"] == ["person", "travel"]
    assert json.loads(authority("publish", folder, "--json").output)["targets"] == 2


def test_a_key_kept_elsewhere_by_options(folder: Path) -> None:
    """Only its public half, under the id its passes name."""
    public = bytes(SigningKey(bytes(32)).verify_key).hex()

    result = authority("add-key", folder, "--issuer", "44", "--public", public, "--key-id", "07", "--json")

    assert (json.loads(result.output)["public"], json.loads(result.output)["key_id"]) == (public, "07")
    assert authority("add-key", folder, "--issuer", "44", "--public", "xyz").exit_code == 2
    assert authority("add-key", folder, "--issuer", "44", "--key-id", "07").exit_code == 2


@pytest.mark.parametrize("words", [(), ("--profile", "x", "--id", "53"), ("--id", "53")])
def test_an_issuer_is_named_one_way(folder: Path, words: tuple[str, ...]) -> None:
    """Either a profile or an id with a name."""
    assert authority("add-issuer", folder, *words).exit_code == 2


def test_a_pass_is_printed_for_a_pipe(folder: Path) -> None:
    """The code alone on standard output; the index on the other."""
    result = authority("issue", folder, *ISSUE[:-1])

    assert result.stdout.startswith("HP1:")
    assert result.stdout.count("\n") == 1
    assert "index" in result.stderr


def test_personal_members_come_from_a_file_or_a_pipe(folder: Path, tmp_path: Path) -> None:
    """So that no process list shows them."""
    person = json.dumps({"surname": "张", "id_tail": "3416", "birth_year": 1988})
    (tmp_path / "person.json").write_text(person)

    first = authority("issue", folder, "--issuer", "44", "--holder-file", tmp_path / "person.json", "--json")
    second = authority("issue", folder, "--issuer", "44", "--holder-file", "-", "--json", input_=person)

    assert all(json.loads(result.stdout)["code"].startswith("HP1:") for result in (first, second))


def test_a_pass_is_written_in_every_format(folder: Path, tmp_path: Path) -> None:
    """Text, PNG and SVG at once; nobody else on the machine can read them."""
    files = {form: tmp_path / f"pass.{form}" for form in ("out", "png", "svg")}

    authority("issue", folder, *ISSUE, *(word for form, path in files.items() for word in (f"--{form}", path)))

    assert files["out"].read_text().startswith("HP1:")
    assert files["png"].read_bytes().startswith(b"\x89PNG")
    assert files["svg"].read_bytes().startswith(b"<?xml")
    assert {path.stat().st_mode & 0o777 for path in files.values()} == {0o600}


def test_every_option_reaches_the_pass(folder: Path) -> None:
    """Times, validity, places."""
    authority("add-issuer", folder, "--profile", "trip", "--valid-from", "2025-01-01T00:00:00Z")
    words = ("--kind", "travel", "--visited", "110000, 440100", "--days", "7", "--valid-hours", "1.5")

    told = json.loads(
        authority(
            "issue",
            folder,
            "--issuer",
            "trip",
            "--id-tail",
            "3416",
            *words,
            "--issued-at",
            "2025-06-01T08:00:00Z",
            "--json",
        ).stdout
    )

    assert (told["issued_at"], told["expires_at"] - told["issued_at"]) == (1_748_764_800, 5400)


@pytest.mark.parametrize(
    "words", [("--issued-at", "yesterday"), ("--visited", "Beijing"), ("--kind", "pet"), ("--batch", "x")]
)
def test_a_wrong_option_is_a_usage_error(folder: Path, words: tuple[str, ...]) -> None:
    """Exit code 2 and a sentence."""
    assert authority("issue", folder, *ISSUE, *words).exit_code == 2


def test_a_batch_reports_and_fails_by_its_exit_code(folder: Path, tmp_path: Path) -> None:
    """One wrong line: the rest is issued, and a script notices."""
    lines = [json.dumps({"issuer": "44", "surname": "张", "id_tail": "3416"}), "{}"]
    (tmp_path / "batch.ndjson").write_text("\n".join(lines))

    result = authority("issue", folder, "--batch", tmp_path / "batch.ndjson", "--out", tmp_path / "out", "--json")

    assert json.loads(result.stdout)["issued"] == 1
    assert "line 2" in result.stderr
    assert (result.exit_code, (tmp_path / "out/000001.txt").exists()) == (1, True)


def test_revocation_by_commands(folder: Path, store: TrustStore) -> None:
    """Issue, revoke, publish, refresh: the gate knows."""
    told = json.loads(authority("issue", folder, *ISSUE).stdout)
    authority("revoke", folder, "--issuer", "44", "--index", told["index"], "--suspend")
    authority("revoke", folder, "--issuer", "44", "--index", told["index"], "--restore")
    authority("revoke", folder, "--issuer", "44", "--index", told["index"])
    authority("publish", folder)

    trust("refresh", "--trust", store.folder, "--from", folder)

    assert store.load().status_lists["44", told["list"]].status(told["index"]) == 1


def test_a_hub_key_from_hex_or_file(folder: Path, tmp_path: Path) -> None:
    """Hexadecimal text, a file of it, or raw bytes."""
    publics = [bytes(SigningKey(bytes([n]) * 32).verify_key) for n in range(3)]
    (tmp_path / "hex").write_text(publics[1].hex() + "\n")
    (tmp_path / "raw").write_bytes(publics[2])

    authority("add-hub", folder, "--key", publics[0].hex(), "--name", "north")
    for name in ("hex", "raw"):
        authority("add-hub", folder, "--key-file", tmp_path / name)

    assert sorted(Authority.open(folder).sources.value(paths.HUBS).values()) == sorted(publics)


def test_a_hub_key_that_is_none_is_refused(folder: Path) -> None:
    """Too short, or no key at all."""
    for key in ("abcd", "zz" * 32):
        with pytest.raises(PublicationError):
            authority("add-hub", folder, "--key", key)


def test_a_policy_from_a_file(folder: Path, tmp_path: Path) -> None:
    """Edited, set, version two."""
    members = Authority.open(folder).sources.members(paths.POLICY)
    (tmp_path / "policy.json").write_text(json.dumps({**members, "listed_areas": ["6101"]}))

    assert "version 2" in authority("set-policy", folder, tmp_path / "policy.json").output


@pytest.mark.parametrize("content", ["", "[]", '{"travel_days": 1}', "[" * 9000])
def test_a_policy_file_that_is_none_changes_nothing(folder: Path, tmp_path: Path, content: str) -> None:
    """The message names what is wrong."""
    (tmp_path / "policy.json").write_text(content)

    with pytest.raises(PublicationError):
        authority("set-policy", folder, tmp_path / "policy.json")
    assert Authority.open(folder).sources.value(paths.POLICY).version == 1


def test_files_that_are_not_there_are_named(folder: Path, tmp_path: Path) -> None:
    """One sentence, not a traceback."""
    missing = tmp_path / "missing"
    for words in (
        ("set-policy", folder, missing),
        ("add-hub", folder, "--key-file", missing),
        ("issue", folder, "--holder-file", missing),
        ("issue", folder, "--batch", missing, "--out", tmp_path / "out"),
        ("issue", folder, *ISSUE, "--png", missing / "x.png"),
        ("publish", missing),
    ):
        with pytest.raises(EdgeError, match="missing"):
            authority(*words)


# trust


def test_status_says_what_a_gate_believes(folder: Path, store: TrustStore) -> None:
    """For people and scripts; the exit code says fresh."""
    trust("refresh", "--trust", store.folder, "--from", folder)

    told = trust("status", "--trust", store.folder, "--json")
    people = trust("status", "--trust", store.folder)

    status = json.loads(told.output)
    assert (told.exit_code, status["band"], list(status["issuers"])) == (0, "fresh", ["44"])
    assert status["age_s"] < 60
    assert "粤康码" in people.output
    assert "fresh" in people.output


def test_refresh_says_whether_anything_is_new(folder: Path, store: TrustStore) -> None:
    """From the authority's folder, its publication, and again."""
    words = ("refresh", "--trust", store.folder, "--from")

    results = [trust(*words, folder), trust(*words, folder / "publication"), trust(*words, folder, "--json")]

    assert "now timestamp 1" in results[0].output
    assert "nothing new" in results[1].output
    assert json.loads(results[2].output)["changed"] is False


def test_the_store_is_found_by_the_gates_settings(folder: Path, tmp_path: Path) -> None:
    """`--config gate.toml` names the state folder."""
    (tmp_path / "gate.toml").write_text(f'schema = 1\nstate = "{tmp_path}"\n')
    TrustStore.init(tmp_path / "trust", (folder / "publication/metadata/1.root.json").read_bytes())

    assert "now timestamp 1" in trust("refresh", "--config", tmp_path / "gate.toml", "--from", folder).output
    assert trust("status", "--config", tmp_path / "gate.toml").exit_code == 0
    assert trust("status", "--config", tmp_path / "gate.toml", "--trust", tmp_path).exit_code == 2


# serve


@pytest.fixture
def served(folder: Path) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """`edge authority serve` as a process of its own, on a free port."""
    command = [sys.executable, "-m", "edge", "authority", "serve", str(folder), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        yield line.split(" at ")[1].split()[0], process
        process.terminate()


def test_a_gate_refreshes_from_the_served_publication(
    served: tuple[str, "subprocess.Popen[str]"], store: TrustStore
) -> None:
    """Over HTTP, on one connection; SIGTERM ends it quietly."""
    address, process = served

    assert "now timestamp 1" in trust("refresh", "--trust", store.folder, "--from", address).output

    process.send_signal(signal.SIGTERM)
    assert (process.wait(10), process.stderr.read() if process.stderr else "?") == (0, "")


def _ask(publication: Path, path: str, method: str = "GET") -> tuple[str, bytes]:
    started: list[str] = []

    def start(status: str, headers: list[tuple[str, str]]) -> Any:
        started.append(status)

    body = b"".join(application(publication)({"PATH_INFO": path, "REQUEST_METHOD": method}, start))
    return started[0], body


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/metadata",
        "/metadata/",
        "/metadata/../../keys/root-1.key",
        "/metadata/..",
        "/keys/root-1.key",
        "//etc/passwd",
        "/metadata//etc/passwd",
        "/metadata/.staged-x",
        "/metadata/\x00",
        "/metadata/timestamp.json\n",
        "/ledger.db",
        "/metadata/" + "a" * 5000,
    ],
)
def test_nothing_else_is_served(folder: Path, path: str) -> None:
    """No listing, no path upwards, no private file."""
    assert _ask(folder / "publication", path) == ("404 Not Found", b"")


def test_serving_is_read_only(folder: Path) -> None:
    """GET and HEAD alone."""
    publication = folder / "publication"

    statuses = [_ask(publication, "/metadata/timestamp.json", method)[0] for method in ("GET", "HEAD", "POST", "PUT")]

    assert [status[:3] for status in statuses] == ["200", "200", "405", "405"]
    assert _ask(publication, "/metadata/timestamp.json", "HEAD")[1] == b""


def test_a_port_in_use_is_one_sentence_and_a_next_step() -> None:
    """And an address that is not ours another."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortInUse, match=rf"{port}.* --port {port + 1}"):
            bind("127.0.0.1", port)
    with pytest.raises(SetupError, match="--host"):
        bind("203.0.113.1", 0)


def test_nothing_is_served_before_the_first_publish(tmp_path: Path) -> None:
    """The next step is the command that publishes."""
    authority("init", tmp_path / "authority")

    with pytest.raises(PublicationError, match="edge authority publish"):
        authority("serve", tmp_path / "authority")


def test_a_served_file_is_not_taken_beyond_its_bound(served: tuple[str, "subprocess.Popen[str]"]) -> None:
    """The fetcher's bound holds against the real server."""
    with pytest.raises(EdgeError, match="longer"):
        HttpFetcher(served[0]).fetch("metadata/1.root.json", 10)
