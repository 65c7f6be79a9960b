"""The file of keys that open encrypted codes: its form, its permissions, and no key in any message."""

import os

import pytest

from edge.errors import ConfigError
from edge.gate.content_keys import load
from edge.model.content_key import ContentKey

SECRET = "a5" * 32
GOOD = f"""
[[key]]
format = "claim169"
secret = "{SECRET}"

[[key]]
format = "claim169"
kid = "6b31"
secret = "{SECRET[:32]}"
"""


def written(folder, text, mode=0o600):
    path = folder / "keys.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)
    return str(path)


def row(**members):
    return "[[key]]\n" + "".join(f"{name} = {value}\n" for name, value in members.items())


def test_keys_with_and_without_an_id_are_read(tmp_path):
    """In the order of the file; no file named is no key."""
    assert load(written(tmp_path, GOOD)) == (
        ContentKey("claim169", b"", bytes.fromhex(SECRET)),
        ContentKey("claim169", b"k1", bytes.fromhex(SECRET[:32])),
    )
    assert load("") == ()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_file_that_others_may_read_is_refused(tmp_path, mode):
    """With the command that mends it."""
    with pytest.raises(ConfigError, match="Others may read") as refused:
        load(written(tmp_path, GOOD, mode))
    assert "chmod 600" in refused.value.next_step


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x = 1",
        "key = 1",
        "key = [1]",
        f'key = "{SECRET}',
        b"\xff\xfe",
        row(format='"claim169"', secret=f'"{SECRET}0"'),
        row(format='"claim169"', secret=f'"{SECRET}00"'),
        row(format='"claim169"', secret=f'"{SECRET[:-1]}g"'),
        row(format='"claim169"', secret=5, kid=f'"{SECRET}"'),
        row(format=1, secret=f'"{SECRET}"'),
        row(secret=f'"{SECRET}"'),
        row(format='"claim169"', secret=f'"{SECRET}"', kid=f'"{SECRET * 3}"'),
        row(format='"claim169"', secret=f'"{SECRET}"', name='"x"'),
        b"#" * (64 << 10) + b"\n",
    ],
)
def test_what_is_no_file_of_keys_is_refused_without_repeating_it(tmp_path, text):
    """Not even the line that is wrong: it may be the key."""
    with pytest.raises(ConfigError) as refused:
        load(written(tmp_path, text))

    assert SECRET[:8] not in str(refused.value)
    assert SECRET[:8] not in repr(refused.value.__cause__)


def test_a_file_that_is_none_is_refused(tmp_path):
    """Missing, a folder, a pipe, a device: none of them is waited for."""
    os.mkfifo(tmp_path / "pipe")

    for name in (str(tmp_path / "missing"), str(tmp_path), str(tmp_path / "pipe"), "/dev/zero"):
        with pytest.raises(ConfigError):
            load(name)
