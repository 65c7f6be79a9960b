"""Files that people name: a device never ends, a wrong folder is near the right one, and what stands in /dev stays."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edge.authority import authority, desk, keys
from edge.cli import answers
from edge.cli.hub import hub as hub_command
from edge.cli.trust import trust as trust_command
from edge.disk import bounded, durable
from edge.errors import ConfigError, PublicationError
from edge.gate.config import load_settings
from edge.hub import folder as hub_folder
from edge.trust.fetchers import FolderFetcher

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
