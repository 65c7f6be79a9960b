"""docs/systems.md as a stranger follows it: every command runs, and each system gets the answer the page promises."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs/systems.md"
EXPECTED = {
    "beijing.txt": ("refer", "health.popup"),
    "guangdong.txt": ("refer", "health.unknown"),
    "chongqing.txt": ("accept", "ok"),
    "xian.png": ("accept", "ok"),
    "nhc.txt": ("refer", "health.none"),
    "trip.txt": ("accept", "ok"),
    "cn.txt": ("refer", "health.popup"),
    "venue.txt": ("refer", "kind.not_admitted"),
}


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    """Run every command of the page in one folder, those that verify with --json; return their rows."""
    folder = tmp_path_factory.mktemp("systems")
    rows = []
    for block in re.findall(r"```\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        for line in block.strip().splitlines():
            words = shlex.split(line)[1:]
            is_verify = words[0] == "verify"
            command = [sys.executable, "-m", "edge", *words[:1], *(["--json"] if is_verify else []), *words[1:]]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
            assert done.returncode == (1 if is_verify else 0), f"{line}: {done.stderr}"
            rows += [json.loads(row) for row in done.stdout.splitlines()] if is_verify else []
    return rows


def test_every_live_code_of_the_page_is_named_and_referred(followed):
    """Six codes on the page, none green."""
    live = [row for row in followed if row["format"] == "server_token"]

    assert {row["issuer"] for row in live} == {"44", "50", "6101", "trip", "11", "nhc"}
    assert {(row["outcome"], row["reason"]) for row in live} == {("refer", "credential.server_token")}


def test_every_pass_of_the_page_gets_its_verdict_in_another_region(followed):
    """All seven issuers at a gate of Shanghai, and the venue."""
    found = {row["input"]: (row["outcome"], row["reason"]) for row in followed if row["format"] == "hp1"}

    assert found == EXPECTED
    assert {row["issuer"] for row in followed if row["authentic"]} == {"11", "44", "50", "6101", "nhc", "trip", "cn"}
