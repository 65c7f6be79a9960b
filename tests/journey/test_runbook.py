"""docs/runbook-authority.md as it stands: every command is run, in order, and a gate follows after every chapter."""

import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge.authority.authority import Authority
from edge.authority.publish import gather
from edge.trust.fetchers import FolderFetcher
from edge.trust.store import TrustStore
from tests.unit.test_authority_roles import stock

ROOT = Path(__file__).parents[2]
RUNBOOK = ROOT / "docs/runbook-authority.md"
CHAPTER_S = 120


@dataclass(frozen=True, slots=True)
class Chapter:
    """A chapter of the runbook.

    Attributes:
        title: Its heading.
        script: All its commands.
    """

    title: str
    script: str


def chapters() -> list[Chapter]:
    """Return the chapters that have commands, in order."""
    found: list[Chapter] = []
    for part in RUNBOOK.read_text(encoding="utf-8").split("\n## ")[1:]:
        blocks = re.findall(r"^ *```sh\n(.*?)^ *```", part, re.MULTILINE | re.DOTALL)
        if blocks:
            lines = [line.removeprefix("   ") for block in blocks for line in block.splitlines()]
            found.append(Chapter(part.partition("\n")[0], "\n".join(lines)))
    return found


def follow(table: Path, store: TrustStore) -> int:
    """Let a gate and the stock client refresh; return the root version the gate trusts."""
    authority = Authority.open(table / "country")
    store.refresh(FolderFetcher(authority.publication), int(time.time()))  # noqa: TID251
    client = stock(authority, table / "client")
    for path in gather(authority):
        assert client.get_targetinfo(path) is not None, path
    return store.load().versions.root


def run(chapter: Chapter, table: Path) -> None:
    """Run a chapter's commands as a person would type them; the first that fails ends it."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", chapter.script],
        cwd=table,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        timeout=CHAPTER_S,
    )
    if done.returncode:
        pytest.fail(f"{chapter.title}\n{done.stdout}{done.stderr}", pytrace=False)


def test_every_chapter_of_the_runbook_ends_with_a_gate_that_follows(tmp_path: Path) -> None:
    """One country through every accident; a gate enrolled on the first day is never touched."""
    table = tmp_path / "table"
    table.mkdir()
    (table / "passphrase").write_text("five random words of this test\n")
    store: TrustStore = TrustStore(table / "gate")
    roots: list[int] = []
    seen: list[str] = []
    for chapter in chapters():
        run(chapter, table)
        first = (table / "country/publication/metadata/1.root.json").read_bytes()
        store = TrustStore.init(store.folder, first)
        roots.append(follow(table, store))
        seen.append(chapter.title.partition(".")[0])

    assert seen == ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10"]
    assert roots == [1, 2, 3, 3, 3, 3, 4, 4, 4, 4]
    assert "44" not in store.load().issuers


def test_no_command_of_the_runbook_is_skipped() -> None:
    """Every fenced block is one that the test runs."""
    text = RUNBOOK.read_text(encoding="utf-8")

    assert text.count("```") == 2 * len(re.findall(r"^ *```sh$", text, re.MULTILINE))
    assert sum(chapter.script.count("edge authority") for chapter in chapters()) >= 50
