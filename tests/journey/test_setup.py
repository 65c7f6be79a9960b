"""Set-up as its user meets it: a fresh clone, a second run, no network, no rights, a moved or half-made clone.

The quick tests run the real scripts on a clone of the project's own shape whose lock names one small wheel, made here,
so that everything happens as always and nothing is fetched. The long ones take the real locks and a real Debian.
"""

import base64
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOBODY = 65534

BACKEND = '''
"""A build backend without requirements: it makes an editable wheel that points at `edge` beside it."""
import base64, hashlib, pathlib, zipfile

def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    here = pathlib.Path(__file__).parent
    name = "edge-0.1.0-py3-none-any.whl"
    files = {
        "edge.pth": str(here),
        "edge-0.1.0.dist-info/METADATA": "Metadata-Version: 2.1\\nName: edge\\nVersion: 0.1.0\\n",
        "edge-0.1.0.dist-info/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
        "edge-0.1.0.dist-info/entry_points.txt": "[console_scripts]\\nedge = edge:main\\n",
    }
    with zipfile.ZipFile(pathlib.Path(wheel_directory) / name, "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
        wheel.writestr("edge-0.1.0.dist-info/RECORD", "".join(f"{path},,\\n" for path in files))
    return name
'''


def make_wheel(folder: Path, name: str, version: str) -> str:
    """Write a wheel of one module that knows its version; return its lock entry."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"VERSION = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as wheel:
        records = ""
        for path, text in files.items():
            wheel.writestr(zipfile.ZipInfo(path), text)  # of no time: the same wheel has the same hash
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
            records += f"{path},sha256={digest},{len(text)}\n"
        wheel.writestr(zipfile.ZipInfo(f"{info}/RECORD"), records + f"{info}/RECORD,,\n")
    (folder / f"{name}-{version}-py3-none-any.whl").write_bytes(packed.getvalue())
    return f"{name}=={version} \\\n    --hash=sha256:{hashlib.sha256(packed.getvalue()).hexdigest()}\n"


@dataclass
class Said:
    """What a command answered."""

    code: int
    out: str
    err: str
    seconds: float


@dataclass
class Clone:
    """A clone with the real set-up scripts and a small lock, and the machine around it."""

    path: Path
    wheels: Path
    bin: Path
    prefix: list[str] = field(default_factory=list)

    def lock(self, name: str, *versions: str) -> None:
        """Write a lock of the small wheel at a version for each name given as `package=version`."""
        entries = [make_wheel(self.wheels, *version.split("=")) for version in versions]
        (self.path / name).write_text("".join(entries))

    def setup(self, *command: str, **environment: str) -> Said:
        """Run set-up as a person would, with a machine whose only package index is the folder of wheels."""
        known = {"PATH": f"{self.bin}:{os.environ['PATH']}", "HOME": str(self.path.parent), "LC_ALL": "C.UTF-8"}
        pip = {
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.wheels),
            "PIP_NO_CACHE_DIR": "1",
            "PIP_CONFIG_FILE": os.devnull,
        }
        start = time.monotonic()
        done = subprocess.run(
            [*self.prefix, str(self.path / "firmware-config/setup.sh"), *command],
            cwd=self.path.parent,
            env={**known, **pip, "EDGE_PYTHON": sys.executable, **environment},
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=120,
        )
        return Said(done.returncode, done.stdout, done.stderr, time.monotonic() - start)

    def debian(self, *zbar: str) -> None:
        """Say what dpkg knows of besides Python: lines of status, name and what it provides."""
        lines = ["installed, python3, ,", "installed, python3-venv, ,", *zbar]
        self.fake("dpkg-query", f"cat <<'END'\n{chr(10).join(lines)}\nEND")

    def fake(self, name: str, script: str) -> None:
        """Put a program of the machine's in front of the real one."""
        (self.bin / name).write_text(f"#!/bin/bash\n{script}\n")
        (self.bin / name).chmod(0o755)


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder where any account may look."""
    folder = Path(tempfile.mkdtemp(prefix="edge-setup-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def clone(place: Path) -> Clone:
    """A fresh clone, on a machine that has every Debian package. Its path is the same for every test."""
    for name in ("a clone", "wheels", "bin"):
        shutil.rmtree(place / name, ignore_errors=True)
    path = place / "a clone"
    shutil.copytree(ROOT / "firmware-config", path / "firmware-config")
    (path / "edge").mkdir()
    (path / "edge/__init__.py").write_text("def main():\n    print('edge runs')\n")
    (path / "backend.py").write_text(BACKEND)
    (path / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "edge"\nversion = "0.1.0"\n'
    )
    made = Clone(path, place / "wheels", place / "bin")
    made.wheels.mkdir()
    made.bin.mkdir()
    made.lock("requirements.lock", "small=1.0")
    made.lock("requirements-dev.lock", "small=1.0", "extra=1.0")
    made.debian("installed, libzbar0, ,")
    return made


@pytest.fixture
def ready(clone: Clone) -> Clone:
    """A clone that was made ready; the environment is made once and laid back as it was."""
    kept, venv = clone.path.parent / "kept", clone.path / ".venv"
    if not kept.exists():
        said = clone.setup("true")
        assert said.code == 0, said.err
        shutil.copytree(venv, kept, symlinks=True)
    shutil.rmtree(venv, ignore_errors=True)
    shutil.copytree(kept, venv, symlinks=True, copy_function=os.link)
    return clone


def offline() -> list[str]:
    """Return what makes a command run on a machine without any network."""
    apart = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--user", "--map-current-user", "--net"]
    if subprocess.run([*apart, "true"], check=False, stderr=subprocess.DEVNULL).returncode == 0:
        return apart
    # Where users may not make namespaces: everything asked of the network goes to a closed port.
    return ["env", *(f"{name}_proxy=http://127.0.0.1:9" for name in ("http", "https", "all"))]


def test_a_fresh_clone_is_made_ready_and_runs_the_command(clone: Clone) -> None:
    """The locked wheel and the package itself are there; every step is said in a line on standard error."""
    first = clone.setup("edge")

    assert (first.code, first.out) == (0, "edge runs\n"), first.err
    assert [line.split(": ", 1)[1].split(" with ")[0] for line in first.err.splitlines()] == [
        "making .venv",
        "installing 1 locked packages from requirements.lock",
        "ready",
    ]


def test_a_ready_clone_runs_at_once_in_silence_without_a_network(ready: Clone) -> None:
    """The second run adds nothing to the command but a fraction of a second, wherever it is called from."""
    ready.prefix = offline()

    again = ready.setup("python", "-c", "import os, small; print(small.VERSION, os.getcwd())")

    assert (again.code, again.err) == (0, "")
    assert again.out == f"1.0 {ready.path.parent}\n"
    assert again.seconds < 1.0


def test_tests_get_the_larger_lock_which_then_serves_everything(ready: Clone) -> None:
    """A linter brings the development wheels; an ordinary command afterwards changes nothing back."""
    ready.fake("ruff", "exec python -c 'import extra; print(extra.VERSION)'")

    linter = ready.setup("ruff")
    ordinary = ready.setup("edge")

    assert "requirements-dev.lock" in linter.err
    assert linter.out == "1.0\n"
    assert (ordinary.out, ordinary.err) == ("edge runs\n", "")


def test_a_changed_lock_is_followed(ready: Clone) -> None:
    """After an update of the clone, the next command runs on what the new lock names."""
    ready.lock("requirements.lock", "small=2.0")

    updated = ready.setup("python", "-c", "import small; print(small.VERSION)")

    assert updated.out == "2.0\n"


def test_a_wheel_that_is_not_the_locked_one_is_refused(ready: Clone) -> None:
    """A package with another hash is not installed, the sentence says so, and the right one then goes in."""
    ready.lock("requirements.lock", "small=2.0")
    lock = ready.path / "requirements.lock"
    right = lock.read_text()
    lock.write_text(right[:-5] + ("0000\n" if not right.endswith("0000\n") else "1111\n"))

    refused = ready.setup("edge")
    lock.write_text(right)
    healed = ready.setup("edge")

    assert refused.code == 1
    assert "not the one whose hash stands in the lock" in refused.err
    assert "edge runs" not in refused.out
    assert healed.out == "edge runs\n"


def test_an_interrupted_set_up_goes_on(ready: Clone) -> None:
    """Without its last step an environment counts as unfinished: the next command completes it in place."""
    (ready.path / ".venv/edge-setup").unlink()
    shutil.rmtree(next((ready.path / ".venv/lib").glob("python*/site-packages/small-*")))

    resumed = ready.setup("python", "-c", "import small; print(small.VERSION)")

    assert resumed.out == "1.0\n"
    assert "making .venv" not in resumed.err


def test_an_environment_without_a_working_pip_is_made_anew(clone: Clone) -> None:
    """Whatever half-made thing stands in .venv, the next command gets past it."""
    (clone.path / ".venv/bin").mkdir(parents=True)
    (clone.path / ".venv/bin/python").symlink_to(sys.executable)

    said = clone.setup("edge")

    assert "making .venv" in said.err
    assert said.out == "edge runs\n"


def test_a_moved_clone_is_noticed(ready: Clone) -> None:
    """The environment of another place is not used: it is made anew."""
    ready.path = ready.path.rename(ready.path.parent / "moved")

    moved = ready.setup("python", "-c", "import edge; print(edge.__file__)")

    assert "making .venv" in moved.err
    assert moved.out == f"{ready.path}/edge/__init__.py\n"


def test_no_network_and_not_ready_is_one_clear_sentence(clone: Clone) -> None:
    """A first set-up without a network says what is needed, leaves no trace of readiness and no pip output."""
    clone.prefix = offline()

    said = clone.setup("edge", PIP_NO_INDEX="0", PIP_FIND_LINKS="", PIP_RETRIES="0")

    assert said.code == 1
    assert "the network cannot be reached" in said.err
    assert "Traceback" not in said.err
    assert "WARNING" not in said.err
    assert len(said.err.splitlines()) == 4
    assert not (clone.path / ".venv/edge-setup").exists()


def test_two_set_ups_at_once_do_not_spoil_each_other(clone: Clone) -> None:
    """The second waits for the first and finds its work done."""
    environment = {
        **os.environ,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(clone.wheels),
        "PIP_CONFIG_FILE": os.devnull,
        "PATH": f"{clone.bin}:{os.environ['PATH']}",
        "EDGE_PYTHON": sys.executable,
    }
    started = [
        subprocess.Popen(
            [str(clone.path / "firmware-config/setup.sh"), "edge"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    ends = [process.communicate(timeout=120) for process in started]

    assert [out for out, _ in ends] == ["edge runs\n", "edge runs\n"]
    assert sum("making .venv" in err for _, err in ends) == 1


def test_debian_packages_are_fetched_by_name_and_lists_only_when_needed(ready: Clone) -> None:
    """What is missing is installed; the lists are fetched only where the first try shows that they are old."""
    calls = ready.path.parent / "calls"
    ready.debian()
    ready.fake("sudo", '[[ $1 == --non-interactive ]] && shift; exec "$@"')
    ready.fake(
        "apt-get",
        f"echo \"$@\" >>'{calls}'\n"
        f"[[ $* == *update* ]] && touch '{calls}.new'\n"
        f"[[ $* == *update* || -e '{calls}.new' ]]",
    )

    said = ready.setup("edge")

    assert said.out == "edge runs\n"
    assert "installing Debian packages" in said.err.splitlines()[0]
    assert said.err.splitlines()[0].endswith("libzbar0")
    verbs = ["update" if "update" in line else "install" for line in calls.read_text().splitlines()]
    assert verbs == ["install", "update", "install"]


def test_a_package_provided_under_another_name_counts(ready: Clone) -> None:
    """Where libzbar0t64 provides libzbar0, nothing is installed."""
    ready.debian("installed, libzbar0t64, libzbar0 (= 0.23.93-6),")
    ready.fake("apt-get", "exit 1")

    assert ready.setup("edge").out == "edge runs\n"


def test_a_removed_package_does_not_count(ready: Clone) -> None:
    """A package whose settings alone are left is missing."""
    ready.debian("config-files, libzbar0, ,")
    ready.fake("sudo", "exit 1")
    ready.fake("apt-get", "echo 'Temporary failure resolving'; exit 1")

    said = ready.setup("edge")

    assert said.code == 1
    assert "libzbar0" in said.err


def test_who_may_not_install_is_told_the_command(clone: Clone) -> None:
    """Without rights, the sentence holds the very apt command, and nothing was begun."""
    clone.debian()
    clone.fake("sudo", "exit 1")
    if os.geteuid() == 0:
        clone.prefix = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]

    said = clone.setup("edge")

    assert said.code == 1
    assert "apt-get install --yes --no-install-recommends libzbar0\n" in said.err
    assert not (clone.path / ".venv").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can lay a folder into another account's hands")
def test_an_environment_of_root_is_told_to_its_user(clone: Clone) -> None:
    """Who meets an unfinished .venv of root's is told to whom it belongs and how to remove it."""
    for path in (clone.path, *clone.path.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    (clone.path / ".venv").mkdir()
    clone.prefix = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]

    said = clone.setup("edge")

    assert said.code == 1
    assert ".venv belongs to root" in said.err
    assert f"sudo rm -r '{clone.path}/.venv'" in said.err


def test_a_wrong_python_is_named(clone: Clone) -> None:
    """A chosen interpreter that edge does not run on is refused by name, before anything is made."""
    clone.fake("python2", "exit 1")

    said = clone.setup("edge", EDGE_PYTHON="python2")

    assert said.code == 1
    assert "EDGE_PYTHON=python2 is not a 64-bit Python 3.11 to 3.13" in said.err
    assert not (clone.path / ".venv").exists()


def test_called_wrongly_it_explains_itself(clone: Clone) -> None:
    """Without a command it shows its usage and fails; asked for help it does not fail; options are not its own."""
    nothing, asked, option = clone.setup(), clone.setup("--help"), clone.setup("--fast")

    assert (nothing.code, asked.code, option.code) == (2, 0, 1)
    assert "setup.sh edge demo" in nothing.err
    assert "setup.sh edge demo" in asked.out
    assert "unknown option --fast" in option.err


def test_the_commands_own_exit_code_and_input_pass_through(ready: Clone) -> None:
    """Set-up is not in the way: exit codes and standard input are the command's."""
    assert ready.setup("python", "-c", "import sys; sys.exit(7 + len(sys.stdin.read()))").code == 7
    assert ready.setup("no-such-command").code == 127
