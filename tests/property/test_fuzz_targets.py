"""Coverage-guided fuzzing of what reads codes: short here, as long as one likes by `python -m tests.fuzz.codes`."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("atheris", reason="no wheel of atheris for this machine")

ROOT = Path(__file__).parents[2]


def _fuzzed(folder: Path, *options: str) -> str:
    command = [sys.executable, "-m", "tests.fuzz.codes", str(folder), *options]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=7200, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
    return ended.stderr


def test_no_bytes_that_reach_new_code_are_a_fault_or_an_accept(tmp_path):
    """Two hundred thousand inputs, led by coverage, from one good code of every format."""
    told = _fuzzed(tmp_path / "corpus", "-runs=200000", "-seed=1", f"-artifact_prefix={tmp_path}/")

    assert re.search(r"Done 200000 runs", told)
    assert len(list((tmp_path / "corpus").iterdir())) > 30, "the fuzzer must be led by coverage"


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_ten_minutes_of_fuzzing_find_nothing(tmp_path):
    """The same, on the clock."""
    told = _fuzzed(tmp_path / "corpus", "-max_total_time=600", f"-artifact_prefix={tmp_path}/")

    print(told.strip().splitlines()[-1])
