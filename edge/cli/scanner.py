"""`edge scanner bench`: what the scanner's engines read and cost, on this machine."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click


@click.group()
def scanner() -> None:
    """Measure what this gate's eyes see and read."""


@scanner.command()
@click.argument("where", metavar="[DIR|SOURCE]", default="camera:0")
@click.option("--frames", default=150, show_default=True, type=click.IntRange(1), help="Frames of a live source.")
@click.option("--plot", type=click.Path(path_type=Path), help="Draw recall against time into this SVG file.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def bench(where: str, frames: int, plot: Path | None, as_json: bool) -> None:  # noqa: FBT001
    """Compare the ladder with zxing-cpp and pyzbar alone: what each reads, and how long a picture takes.

    DIR is a folder of pictures with an index.json that says what stands in them. Without one, or with a frame source
    such as video:FILE, live frames are read; recall is then the share of frames in which a code was read.
    """
    from edge.scanner.bench import bench_folder, bench_live

    folder = Path(where)
    if folder.is_dir() or ":" not in where:
        result = _shown(lambda report: bench_folder(folder, report), quiet=as_json)
    else:
        result = _shown(lambda report: bench_live(where, frames, report), quiet=as_json)
    if plot is not None:
        _draw(plot, result)
    if as_json:
        click.echo(json.dumps(result))
    else:
        _table(result)


def _shown(work: Callable[[Callable[[int, int], None]], dict[str, Any]], *, quiet: bool) -> dict[str, Any]:
    """Do `work` behind a bar on standard error, where a person looks on."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        return work(lambda _done, _of: None)
    with Progress(console=console) as bar:
        task = bar.add_task("reading", total=None)
        return work(lambda done, of: bar.update(task, completed=done, total=of))


def _draw(path: Path, result: dict[str, Any]) -> None:
    from edge.errors import SetupError
    from edge.scanner.plot import recall_over_time

    try:
        path.write_text(recall_over_time(result), encoding="utf-8")
    except OSError as broken:
        raise SetupError(
            f"{path} cannot be written: {broken.strerror}.", "Name a file in a folder of yours."
        ) from broken


def _table(result: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    engines = result["engines"]
    table = Table(title=f"{result['images']} pictures, {result['labels'] or 'no'} labelled codes")
    for column in ("engine", "recall", "wrong", "mean ms", "p95 ms", "recall / zxing", "time / zxing"):
        table.add_column(column, justify="left" if column == "engine" else "right")
    base = engines["zxing"]
    for name, one in engines.items():
        table.add_row(
            name,
            *(f"{one['recall']:.3f}", str(one["wrong"]), f"{one['mean_ms']:.2f}", f"{one['p95_ms']:.2f}"),
            *(_ratio(one[key], base[key]) for key in ("recall", "mean_ms")),
        )
    Console().print(table)
    lost = sum(one["lost"] for one in engines.values())
    if lost or result["unreadable"]:
        click.echo(f"{result['unreadable']} pictures could not be unpacked, {lost} ended a decoder.", err=True)


def _ratio(one: float, other: float) -> str:
    return f"{one / other:.2f}" if other else "-"
