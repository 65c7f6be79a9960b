"""The house rules that a machine can check, so that the one test command checks them all.

Style, types, import contracts, spelling, shell scripts, locks, licence and the index of documents.
"""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
LOCKS = ("requirements.lock", "requirements-dev.lock")
MODULE_LINES = 450
FUNCTION_LINES = 60


def run(*command: str | Path) -> None:
    """Run a checker in the repository and show what it said where it is not content."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        timeout=240,
    )
    if done.returncode:
        pytest.fail(f"{Path(command[0]).name} exited {done.returncode}\n{done.stdout}{done.stderr}", pytrace=False)


def tracked() -> list[Path]:
    """Return every file of the repository: tracked, or new and not ignored."""
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout
    return [ROOT / name.decode() for name in listed.split(b"\0") if name and (ROOT / name.decode()).is_file()]


def pins(lock: str) -> dict[str, list[tuple[Requirement, int]]]:
    """Return what a lock pins: every entry of a name (universal locks may hold several) with its number of hashes."""
    found: dict[str, list[tuple[Requirement, int]]] = {}
    joined = (ROOT / lock).read_text().replace("\\\n", " ")
    for line in joined.splitlines():
        requirement, *hashes = line.split(" --hash=")
        entry = Requirement(requirement)
        found.setdefault(canonicalize_name(entry.name), []).append((entry, len(hashes)))
    return found


def test_ruff_finds_nothing() -> None:
    """Every rule of ruff that the project keeps holds everywhere."""
    run(BIN / "ruff", "check", "--quiet", ".")


def test_ruff_would_format_nothing_anew() -> None:
    """Layout is the formatter's."""
    run(BIN / "ruff", "format", "--check", "--quiet", ".")


def test_types_hold() -> None:
    """Mypy in strict mode is content with the whole package."""
    run(BIN / "mypy")


def test_import_contracts_hold() -> None:
    """Imports go downwards only, and the pure core does no I/O."""
    run(BIN / "lint-imports", "--no-cache")


def test_words_are_spelt() -> None:
    """Codespell knows every word of code and documents."""
    run(BIN / "codespell")


def test_shell_scripts_are_sound() -> None:
    """Shellcheck has nothing to say about any script."""
    shellcheck = shutil.which("shellcheck")
    assert shellcheck, "shellcheck is missing: ./firmware-config/setup.sh pytest installs it"
    scripts = [path for path in tracked() if path.read_bytes()[:64].startswith(b"#!/usr/bin/env bash")]

    assert len(scripts) >= 4
    run(shellcheck, "--external-sources", *scripts)


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_holds_exact_versions_with_hashes_and_no_address(lock: str) -> None:
    """A lock says what is installed and how it is recognised, never where it comes from."""
    text = (ROOT / lock).read_text()

    assert "://" not in text
    assert "--index-url" not in text
    assert "--find-links" not in text
    for entries in pins(lock).values():
        for entry, hashes in entries:
            assert re.fullmatch(r"==[^,*]+", str(entry.specifier)), entry
            assert hashes >= 1, entry


def test_lock_answers_every_requirement_of_the_project() -> None:
    """Whoever changes a dependency makes the locks anew (firmware-config/lock.sh)."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = project["dependency-groups"]
    asked = {
        LOCKS[0]: project["project"]["dependencies"] + groups["build"],
        LOCKS[1]: project["project"]["dependencies"] + groups["build"] + groups["dev"],
    }
    for lock, requirements in asked.items():
        held = pins(lock)
        for wanted in map(Requirement, requirements):
            entries = held.get(canonicalize_name(wanted.name))
            assert entries, f"{wanted.name} is not in {lock}: run ./firmware-config/lock.sh"
            for entry, _ in entries:
                version = Version(str(entry.specifier).removeprefix("=="))
                assert wanted.specifier.contains(version, prereleases=True), f"{lock} holds {entry}, asked was {wanted}"


def test_tests_run_on_the_wheels_of_a_gate() -> None:
    """The lock of the test suite contains the runtime's lock, version by version."""
    runtime, dev = pins(LOCKS[0]), pins(LOCKS[1])

    assert {name: [str(entry) for entry, _ in entries] for name, entries in runtime.items()} == {
        name: [str(entry) for entry, _ in dev.get(name, [])] for name in runtime
    }


def test_licence_is_the_whole_apache_licence() -> None:
    """The licence stands in full, as `pyproject.toml` names it."""
    text = (ROOT / "LICENSE").read_text()

    assert "Version 2.0, January 2004" in text
    assert "9. Accepting Warranty or Additional Liability." in text
    assert "APPENDIX: How to apply the Apache License to your work." in text


def test_nothing_names_the_folder_it_was_written_in() -> None:
    """No tracked text holds the path of this clone."""
    here = f"{ROOT}/".encode()

    assert [path.relative_to(ROOT) for path in tracked() if here in path.read_bytes()] == []


def test_modules_and_functions_fit() -> None:
    """A module is at most 450 lines and a function's body 60: longer ones hide a second thing."""
    long: list[str] = []
    for path in (ROOT / "edge").rglob("*.py"):
        text = path.read_text()
        if text.count("\n") > MODULE_LINES:
            long.append(f"{path.relative_to(ROOT)}: {text.count(chr(10))} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
                length = node.end_lineno - node.body[0].lineno + 1
                if length > FUNCTION_LINES:
                    long.append(f"{path.relative_to(ROOT)}: {node.name} has {length} lines")

    assert long == []


def test_every_test_states_its_fact() -> None:
    """A test without a sentence says nothing when it fails."""
    silent = [
        f"{path.relative_to(ROOT)}: {node.name}"
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and not ast.get_docstring(node)
    ]

    assert silent == []


def test_documents_are_found_from_the_index() -> None:
    """docs/README.md leads to every document or its folder, and every link in a document leads somewhere."""
    documents = [path for path in tracked() if path.suffix == ".md"]
    linked: dict[Path, set[Path]] = {}
    broken: list[str] = []
    for document in documents:
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", document.read_text()):
            if re.match(r"[a-z]+:", target):
                continue
            aim = (document.parent / target).resolve()
            linked.setdefault(document, set()).add(aim)
            if not aim.exists():
                broken.append(f"{document.relative_to(ROOT)}: {target}")
    index = ROOT / "docs/README.md"
    listed = linked[index] | {index}
    unlisted = [
        str(path.relative_to(ROOT))
        for path in documents
        if path.is_relative_to(ROOT / "docs") and not listed & {path, path.parent}
    ]

    assert broken == []
    assert unlisted == []
