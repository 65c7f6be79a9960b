"""`python -m tests.bench NAME [--out FILE]`: run one benchmark, print a table, write JSON.

Every figure is a ratio of things measured alternately in one run, with p50 and p99 beside it; no test asserts a time.
A benchmark is a module here with `run() -> dict`: `rows`, a list of `name`, `value`, `unit` and, where there is one,
`target`; and `about`, what was measured on what.
"""

import argparse
import importlib
import json
import os
import platform
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

NAMES = (
    *("verify", "record", "decode", "line", "start", "hub", "trust", "revocation", "publication", "looks", "scanner"),
    *(
        "recognition",
        "foreign",
        "memory",
        "rules",
        "wire",
        "storm",
        "hostile",
        "pull",
        "joined",
        "drain",
        "crowd",
        "ledger",
    ),
)


def machine() -> dict[str, object]:
    """Name what the figures were taken on."""
    model = ""
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return {"cpu": model, "cores": os.cpu_count(), "python": platform.python_version(), "system": platform.platform()}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__.partition("\n")[0])
    parser.add_argument("name", choices=[*NAMES, "all"])
    parser.add_argument("--out", type=Path, help="folder the JSON is written to (default: build/bench)")
    asked = parser.parse_args()
    folder = asked.out or Path("build/bench")
    folder.mkdir(parents=True, exist_ok=True)
    for name in NAMES if asked.name == "all" else [asked.name]:
        result = importlib.import_module(f"tests.bench.{name}").run()
        result["machine"] = machine()
        table = Table(title=f"{name}: {result['about']}")
        for column in ("what", "value", "unit", "target"):
            table.add_column(column, justify="right" if column == "value" else "left")
        for row in result["rows"]:
            table.add_row(row["name"], f"{row['value']:.3f}", row["unit"], str(row.get("target", "")))
        Console(file=sys.stdout, width=110).print(table)
        path = folder / f"{name}.json"
        path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        print(f"written to {path}")


main()
