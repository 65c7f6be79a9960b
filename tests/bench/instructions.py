"""Instructions a frame takes, by callgrind: zxing-cpp alone beside the ladder. `python -m tests.bench.instructions`.

An estimate for a Pi, whose cores do about as many instructions a cycle on this code: what a run of four frames takes
beyond a run of two is two frames, without the interpreter's start. Needs Debian's `valgrind`; takes some minutes.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np

from tests.bench.line import generator

_RUN = """
import sys
import cv2, numpy as np
from edge.scanner.engines import ZxingEngine
from edge.scanner.ladder import Ladder
cv2.setNumThreads(1)
path, kind, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
grey = cv2.imread(path, 0)
if kind == "zxing":
    engine = ZxingEngine()
    read = engine.read
else:
    ladder = Ladder(retry_s=1000.0, second_every=0)
    read = ladder.read_still if kind == "picture" else ladder.read_frame
for _ in range(2 + count):
    read(grey)
"""


def _instructions(folder: Path, picture: Path, kind: str, count: int) -> int:
    out = folder / "callgrind.out"
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", sys.executable, "-c", _RUN]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
    done = subprocess.run(
        [*command, str(picture), kind, str(count)], env=environment, capture_output=True, text=True, check=True
    )
    found = re.search(r"Collected : (\d+)", done.stderr)
    if found is None:
        raise SystemExit(done.stderr)
    return int(found.group(1))


def _pictures(folder: Path) -> dict[str, Path]:
    drawn = generator()
    backgrounds, rng = drawn.bglist(), np.random.default_rng(77)
    text = drawn.payload(rng, 260)
    made = {
        "a code that is read": drawn.frame(rng, text, "M", 4.0, "clean", backgrounds, sev=0.3)[0],
        "an empty lane": drawn.background(rng, 1280, 720, backgrounds),
        "a code that needs retries": drawn.frame(rng, text, "M", 2.5, "motion", backgrounds, sev=0.7)[0],
    }
    for name, grey in made.items():
        cv2.imwrite(str(folder / f"{name}.png"), grey)
    return {name: folder / f"{name}.png" for name in made}


def main() -> None:
    """Print millions of instructions a frame, of zxing-cpp and of the ladder."""
    if shutil.which("valgrind") is None:
        raise SystemExit("valgrind is not installed: apt install valgrind")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for what, picture in _pictures(folder).items():
            kinds = ("zxing", "frame", "picture") if "retries" in what else ("zxing", "frame")
            figures = {
                kind: (_instructions(folder, picture, kind, 4) - _instructions(folder, picture, kind, 0)) / 4
                for kind in kinds
            }
            told = ", ".join(f"{kind} {figure / 1e6:.1f}" for kind, figure in figures.items())
            print(f"{what}: {told} million; ladder / zxing-cpp {figures['frame'] / figures['zxing']:.2f}", flush=True)


if __name__ == "__main__":
    main()
