"""Files that people name: a device never ends, a wrong folder is near the right one, and what stands in /dev stays."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edge.authority import authority, desk, issuers, keys, profiles
from edge.cli import answers
from edge.cli.audit import audit as audit_command
from edge.cli.authority import authority as authority_command
from edge.cli.hub import hub as hub_command
from edge.cli.policy import policy as policy_command
from edge.cli.trust import trust as trust_command
from edge.cli.verify import verify as verify_command
from edge.disk import bounded, durable
from edge.errors import ConfigError, PublicationError, SetupError, WalletError
from edge.gate.config import load_settings
from edge.hub import folder as hub_folder
from edge.hub import retention
from edge.hub.store import Store
from edge.scanner.sources.base import split_spec
from edge.trust.fetchers import FolderFetcher
from edge.wallet.wallet import Wallet

ENDLESS = Path("/dev/zero")


def test_a_file_is_read_up_to_its_bound(tmp_path: Path) -> None:
    """A file of exactly the bound is read whole; one byte more is refused."""
    file = tmp_path / "file"
    file.write_bytes(b"12345")
    assert bounded.read(file, 5) == b"12345"
    with pytest.raises(OSError, match="File too large"):
        bounded.read(file, 4)


def test_no_command_reads_a_device_for_ever(tmp_path: Path) -> None:
    """A key, a reserve, settings of a gate and of a hub: /dev/zero in place of each is answered at once."""
    (tmp_path / "hub.toml").symlink_to(ENDLESS)
    with pytest.raises(PublicationError):
        keys.read(ENDLESS)
    with pytest.raises(PublicationError, match="cannot be read"):
        desk.read(ENDLESS)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_settings(ENDLESS)
    with pytest.raises(ConfigError, match="cannot be read"):
        hub_folder.load(tmp_path)


def test_a_destruction_request_that_never_ends_is_named(tmp_path: Path) -> None:
    """`edge hub destroy --sign` of a device, or with one for a key, ends with a sentence."""
    key = tmp_path / "key"
    key.write_bytes(bytes(range(32)))
    for words in (("--sign", ENDLESS, "--key", key), ("--sign", key, "--key", ENDLESS)):
        done = CliRunner().invoke(hub_command, ["destroy", *map(str, words)])
        assert isinstance(done.exception, ConfigError)
        assert done.exception.message.startswith("/dev/zero cannot be read")


def test_what_stands_in_dev_is_never_replaced() -> None:
    """An output named /dev/null or /dev/stdout is refused; the device is there as before."""
    for name in ("null", "stdout", "fd"):
        place = Path("/dev") / name
        before = place.lstat()
        with pytest.raises(OSError, match="nothing in /dev is replaced"):
            durable.write(place, b"pass")
        with pytest.raises(ConfigError, match="cannot be written"):
            answers.write_secret(place, b"token")
        assert place.lstat() == before


def test_a_secret_that_cannot_be_written_leaves_the_former_one(tmp_path: Path) -> None:
    """A request with signatures is replaced only by a whole one: a folder that takes no file loses nothing."""
    file = tmp_path / "request"
    file.write_bytes(b"signed by one")
    answers.write_secret(file, b"signed by two")
    assert file.read_bytes() == b"signed by two"
    assert file.stat().st_mode & 0o777 == 0o600
    with pytest.raises(ConfigError, match="cannot be written"):
        answers.write_secret(tmp_path / "nowhere" / "request", b"signed")


def test_the_authority_near_a_wrong_folder_is_named(tmp_path: Path) -> None:
    """Its publication, a folder inside that, and the folder it lies in all lead to the authority's own folder."""
    country = authority.init(tmp_path / "country", 1_780_000_000).folder
    (country / "publication" / "metadata").mkdir(parents=True, exist_ok=True)
    for wrong in (country / "publication", country / "publication" / "metadata", tmp_path):
        with pytest.raises(PublicationError) as refused:
            authority.Authority.open(wrong)
        assert refused.value.next_step == f"Name the authority's own folder: {country}"
    with pytest.raises(PublicationError) as refused:
        authority.Authority.open(tmp_path / "a" / "b" / "c")
    assert "edge authority init" in refused.value.next_step


def trust(*words: object) -> Result:
    """Run `edge trust`."""
    return CliRunner().invoke(trust_command, [str(word) for word in words])


@pytest.mark.parametrize("command", ["status", "explain", "export-usb", "import-usb"])
def test_options_of_any_repository_are_refused_where_they_say_nothing(command: str, tmp_path: Path) -> None:
    """`edge trust --metadata-dir D status` would speak of the gate's store and not of D: it is a usage error."""
    done = trust("--metadata-dir", tmp_path, command, "6101")
    assert done.exit_code == 2
    assert "--metadata-dir goes with download, init, refresh only" in done.output


def test_a_torn_stick_is_called_torn(tmp_path: Path) -> None:
    """A copy that has the timestamp, written last, once had the rest: what it lacks was lost."""
    (tmp_path / "metadata").mkdir()
    with pytest.raises(Exception, match=r"has no metadata/1\.targets\.json") as refused:
        FolderFetcher(tmp_path).fetch("metadata/1.targets.json", 10)
    assert "is torn" not in str(refused.value)
    (tmp_path / "metadata" / "timestamp.json").touch()
    with pytest.raises(Exception, match=r"is torn: it has no metadata/1\.targets\.json"):
        FolderFetcher(tmp_path).fetch("metadata/1.targets.json", 10)


def run(*words: object, into: str) -> subprocess.CompletedProcess[str]:
    """Run `edge` as a process with its standard output in a device."""
    with Path(into).open("wb") as out:
        command = [sys.executable, "-m", "edge", *map(str, words)]
        return subprocess.run(command, stdout=out, stderr=subprocess.PIPE, text=True, check=False)


@pytest.mark.parametrize("words", [("audit", "register"), ("--help",)])
def test_a_full_disk_under_the_output_ends_with_a_sentence(words: tuple[str, ...]) -> None:
    """What cannot be printed is said on standard error with the next step, and is no traceback."""
    done = run(*words, into="/dev/full")
    assert done.returncode == 1
    assert done.stderr.startswith("edge: The output cannot be used: No space left on device.\n  -> Make room")
    assert "Traceback" not in done.stderr


def test_a_backup_into_dev_is_refused(tmp_path: Path) -> None:
    """`edge hub backup DIR /dev/null` leaves the device."""
    CliRunner().invoke(hub_command, ["init", str(tmp_path / "hub"), "--url", "http://127.0.0.1:8090"])
    before = Path("/dev/null").lstat()
    done = CliRunner().invoke(hub_command, ["backup", str(tmp_path / "hub"), "/dev/null"])
    assert isinstance(done.exception, SetupError)
    assert "nothing in /dev is replaced" in done.exception.message
    assert Path("/dev/null").lstat() == before


def test_nothing_searched_is_no_clean_search() -> None:
    """`edge audit privacy` of a device without content says so and ends with 3: no finding is not an answer."""
    done = CliRunner().invoke(audit_command, ["privacy", str(ENDLESS)])
    assert done.exit_code == 3
    assert "could not be read: /dev/zero: it is no file, folder or disk" in done.output


@pytest.mark.parametrize("content", [b"\x89PNG", b"{}", b" " * (4 << 20) + b"{}"])
def test_a_draft_that_is_none_is_named_as_the_person_named_it(content: bytes, tmp_path: Path) -> None:
    """Not as the target a gate would know; and what to do stands below."""
    draft = tmp_path / "draft.json"
    draft.write_bytes(content)
    done = CliRunner().invoke(policy_command, ["explain", str(draft)])
    assert isinstance(done.exception, ConfigError)
    assert done.exception.message.startswith(str(draft))
    assert done.exception.next_step


@pytest.mark.parametrize("region", ["999", "61010a", "", "-1", "６１０１００"])
def test_a_place_to_decide_for_has_six_digits(region: str) -> None:
    """`edge verify --region 999` does not decide for a place that is none."""
    done = CliRunner().invoke(verify_command, ["HP1:X", "--region", region])
    assert isinstance(done.exception, ConfigError)
    assert "six digits" in done.exception.next_step


def test_a_frame_source_without_a_target_is_not_called_unknown() -> None:
    """`stdin` and `stdin:` are of a kind that is known; only what to read is missing."""
    for spec in ("stdin", "stdin:"):
        with pytest.raises(ConfigError, match="does not say what to read"):
            split_spec(spec)
    with pytest.raises(ConfigError, match="not known here"):
        split_spec("nope:x")


def test_a_pass_without_history_is_told_so(tmp_path: Path) -> None:
    """`edge authority history` of an index nobody changed is no silence; for scripts it is no line."""
    country = authority.init(tmp_path / "country", 1_780_000_000)
    issuers.add_issuer(country, next(iter(profiles.profiles())), 1_780_000_000)
    issuer = next(iter(profiles.profiles())).id
    words = ["history", str(country.folder), "--issuer", issuer, "--list", "1", "--index", "1"]
    assert "is on record" in CliRunner().invoke(authority_command, words).output
    assert not CliRunner().invoke(authority_command, [*words, "--json"]).output


def test_of_two_wallets_made_at_once_one_is_refused(tmp_path: Path) -> None:
    """A key whose public half was told is never replaced by the other's."""
    begin = threading.Barrier(8)

    def make() -> bytes | None:
        begin.wait()
        try:
            return Wallet.new(tmp_path / "wallet").public
        except WalletError:
            return None

    with ThreadPoolExecutor(8) as pool:
        made = [found.result() for found in [pool.submit(make) for _ in range(8)]]
    assert [public for public in made if public] == [Wallet.open(tmp_path / "wallet").public]
    assert [file.name for file in (tmp_path / "wallet").iterdir()] == ["holder.key"]


def test_a_role_key_that_cannot_be_written_signs_for_nobody(tmp_path: Path) -> None:
    """The hub knows only keys that somebody has."""
    home = tmp_path / "hub"
    CliRunner().invoke(hub_command, ["init", str(home), "--url", "http://127.0.0.1:8090"])
    nowhere = tmp_path / "nowhere" / "key"
    done = CliRunner().invoke(hub_command, ["role-key", str(home), "--role", "operator", "--out", str(nowhere)])
    assert isinstance(done.exception, ConfigError)
    with Store(home / "hub.db").reader() as connection:
        assert not retention.holders(connection).get("operator")


def test_the_outbox_of_no_hub_says_that_it_is_none(tmp_path: Path) -> None:
    """`edge hub webhook list` of another folder answers as every other command of the hub."""
    done = CliRunner().invoke(hub_command, ["webhook", "list", str(tmp_path)])
    assert isinstance(done.exception, ConfigError)
    assert "is no hub folder" in done.exception.message
