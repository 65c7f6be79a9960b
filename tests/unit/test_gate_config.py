"""gate.toml: every key known, typed, in range and documented."""

import re
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

from edge.errors import ConfigError
from edge.gate.config import load_settings
from edge.gate.settings_table import markdown, rows
from edge.model.settings import Settings

ROOT = Path(__file__).parents[2]


@pytest.fixture
def write(tmp_path):
    def written(text):
        path = tmp_path / "gate.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return written


def refusal(path):
    with pytest.raises(ConfigError) as refused:
        load_settings(path)
    return refused.value


def test_a_file_that_says_only_its_schema_gives_the_defaults(write):
    """Every key has a default."""
    settings = load_settings(write("schema = 1\n"))

    assert settings == Settings()


def test_relative_paths_count_from_the_files_folder(write, tmp_path):
    """A configuration can be moved with its state."""
    settings = load_settings(write('schema = 1\nstate = "state"\n[staff]\npin_file = "pin"\n'))

    assert (settings.state, settings.staff.pin_file) == (str(tmp_path / "state"), str(tmp_path / "pin"))


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        *(("folder:in", "folder:{}/in"), ("video:film.avi", "video:{}/film.avi"), ("folder:.", "folder:{}")),
        *(("folder:/srv/in", "folder:/srv/in"), ("camera:0", "camera:0"), ("camera:/dev/x", "camera:/dev/x")),
        *(
            ("url:http://h/s", "url:http://h/s"),
            ("folder:", "folder:"),
            ("folder", "folder"),
            ("stranger:x", "stranger:x"),
        ),
    ],
)
def test_pictures_and_films_lie_beside_the_file_too(write, tmp_path, given, meant):
    """Wherever the gate is started from; devices and addresses are no paths of ours."""
    settings = load_settings(write(f'schema = 1\n[scanner]\nsources = ["{given}"]\n'))

    assert settings.scanner.sources == (meant.format(tmp_path),)


@pytest.mark.parametrize(
    ("text", "key", "step"),
    [
        ("schema = 1\nstat = 'x'\n", "stat", "Did you mean state?"),
        ("schema = 1\n[web]\nprot = 1\n", "web.prot", "Did you mean web.port?"),
        ("schema = 1\n[scaner]\n", "scaner", "Did you mean scanner?"),
        ("schema = 1\n[web]\nzzz = 1\n", "web.zzz", "Known keys here"),
        ("schema = 1\n[web]\nport = '8080'\n", "web.port", "Settings"),
        ("schema = 1\n[web]\nport = true\n", "web.port", "Settings"),
        ("schema = 1\n[web]\nport = 70000\n", "web.port", "range"),
        ("schema = 1\n[web]\nlanguage = 'fr'\n", "web.language", "Choose"),
        ("schema = 1\n[scanner]\nsources = 'camera:0'\n", "scanner.sources", "sources"),
        ("schema = 1\n[scanner]\nsources = []\n", "scanner.sources", "sources"),
        ("schema = 1\n[scanner]\nfps = nan\n", "scanner.fps", "Settings"),
        ("schema = 1\n[scanner]\nwatchdog_s = nan\n", "scanner.watchdog_s", "range"),
        ("schema = 1\n[place]\nregion = '6101'\n", "place.region", "610100"),
        ("schema = 1\nweb = 3\n", "web", "[web]"),
        ("schema = 2\n", "schema", "schema = 1"),
        ("", "schema", "schema = 1"),
        ("schema = 1\n= broken", "TOML", "line"),
        ("schema = 1\nschema = 1\n", "TOML", "line"),
    ],
)
def test_what_is_wrong_is_named_with_the_next_step(write, text, key, step):
    """The message names file and key, the step says what to write."""
    error = refusal(write(text))

    assert "gate.toml" in error.message
    assert key in error.message
    assert step in error.next_step


def test_a_missing_or_unreadable_file_is_said_plainly(tmp_path):
    """No file, a folder, and bytes that are no text."""
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")

    assert "no configuration" in refusal(tmp_path / "absent.toml").message
    assert "cannot be read" in refusal(tmp_path).message
    assert "cannot be read" in refusal(tmp_path / "binary.toml").message


def test_every_setting_is_documented_in_the_technicians_guide():
    """The table in docs/technician.md is the one the program prints."""
    guide = (ROOT / "docs" / "technician.md").read_text(encoding="utf-8")

    assert markdown(Settings()) in guide


def test_every_setting_says_what_it_means():
    """No key without a sentence, and every leaf is listed once."""
    listed = rows(Settings())
    leaves = [key for table in fields(Settings()) for key in _leaves(table.name, getattr(Settings(), table.name))]

    assert [key for key, _, _ in listed] == leaves
    assert all(re.search(r"[.:]$", doc) for _, _, doc in listed)


def _leaves(name, value):
    return [f"{name}.{key.name}" for key in fields(value)] if is_dataclass(value) else [name]


def test_the_shipped_configuration_loads():
    """The template a technician copies is valid."""
    load_settings(ROOT / "firmware-config" / "gate.toml")
