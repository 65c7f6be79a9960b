"""The file of keys for encrypted codes: read whole, or refused with what to do, and never repeated."""

import base64
import json
import os

import pytest
from click.testing import CliRunner

from edge.cli.verify import verify
from edge.errors import ConfigError
from edge.gate import code_keys
from edge.gate.formats import load_formats
from edge.model.code_key import A128GCM, A256GCM, CodeKey
from tests.unit.test_claim169_encrypted import code, sealed

SECRET = bytes(range(32))
GOOD = {"kty": "oct", "alg": "A256GCM", "kid": "k1", "k": base64.urlsafe_b64encode(SECRET).decode().rstrip("=")}


@pytest.fixture
def file(tmp_path):
    """Writes the file."""

    def write(document, mode=0o600):
        path = tmp_path / "keys.json"
        path.unlink(missing_ok=True)
        path.write_text(document if isinstance(document, str) else json.dumps(document))
        path.chmod(mode)
        return path

    return write


def refusal(path):
    """What is said of a file."""
    with pytest.raises(ConfigError) as refused:
        code_keys.load(path)
    assert GOOD["k"] not in str(refused.value)
    assert refused.value.next_step
    return str(refused.value)


def test_keys_are_read(file):
    """With a name or without."""
    short = {"kty": "oct", "alg": "A128GCM", "k": base64.urlsafe_b64encode(SECRET[:16]).decode().rstrip("=")}

    found = code_keys.load(file({"keys": [GOOD, short]}))

    assert found == (CodeKey(A256GCM, b"k1", SECRET), CodeKey(A128GCM, b"", SECRET[:16]))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601])
def test_a_file_that_others_may_open(file, mode):
    """They could read every code."""
    assert "chmod 600" in refusal(file({"keys": [GOOD]}, mode))


@pytest.mark.parametrize(
    "change",
    [
        *({"kty": "EC"}, {"alg": "A256KW"}, {"alg": None}, {"alg": []}, {"kid": 5}, {"kid": "x" * 65}, {"k": ""}),
        *({"k": None}, {"k": GOOD["k"] + "="}, {"k": GOOD["k"][:-2]}, {"alg": "A128GCM"}, {"k": "\u00e9"}, {"d": "x"}),
    ],
    ids=str,
)
def test_a_row_that_is_no_key_is_named(file, change):
    """By its number."""
    assert "key 1" in refusal(file({"keys": [{**GOOD, **change}]}))


@pytest.mark.parametrize(
    "document",
    ["", "no", "[]", "{}", '{"keys": []}', '{"keys": 1}', '{"keys": [], "keys": []}', "[" * 99, " " * 70_000],
    ids=lambda text: text[:9],
)
def test_a_file_that_is_no_key_set(file, document):
    """Any bytes."""
    assert "no set of code keys" in refusal(file(document))


def test_a_key_that_stands_twice_and_too_many(file):
    """A mistake of whoever wrote it."""
    assert "twice" in refusal(file({"keys": [GOOD, GOOD]}))
    assert "1 to 64" in refusal(file({"keys": [{**GOOD, "kid": str(number)} for number in range(65)]}))


def test_what_is_no_file(tmp_path):
    """Missing, a folder, a pipe that would hold a starting gate."""
    os.mkfifo(tmp_path / "pipe", 0o600)
    (tmp_path / "folder").mkdir(0o700)

    assert "cannot be read" in refusal(tmp_path / "none")
    assert "code keys" in refusal(tmp_path / "folder")
    assert "no set" in refusal(tmp_path / "pipe")


def test_a_gate_starts_without_a_file_that_it_cannot_read(file):
    """All other codes are read, and the page says what is wrong."""
    assert code_keys.at_start("") == ((), [])
    keys, findings = code_keys.at_start(str(file("no")))

    assert keys == ()
    assert [finding.code for finding in findings] == ["code_keys.unreadable"]


def test_formats_that_open_codes_are_given_the_keys():
    """And no other format notices."""
    plain, holding = load_formats(), load_formats([CodeKey(A256GCM, b"", SECRET)])

    changed = [one.name for one, other in zip(plain, holding, strict=True) if one is not other]
    assert changed == ["claim169"]


def test_a_technician_tries_the_file_with_a_code(file):
    """`edge verify --code-keys` opens what a gate would open, and says what is wrong with the file."""
    raw = code(sealed(unprotected={5: bytes(range(12)), 4: b"k1"})).decode()
    opened = CliRunner().invoke(verify, ["--json", "--code-keys", str(file({"keys": [GOOD]})), "--", raw])
    closed = CliRunner().invoke(verify, ["--json", "--", raw])

    assert json.loads(opened.output.splitlines()[-1])["format"] == "claim169"
    assert json.loads(closed.output.splitlines()[-1])["reason"] == "credential.encrypted"
