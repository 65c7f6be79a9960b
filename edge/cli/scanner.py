"""`edge scanner check|bench`: try out a camera or hand scanner before people do, and measure what is read."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge.cli.place import CONFIG

if TYPE_CHECKING:
    from edge.scanner.check import Checked


@click.group()
def scanner() -> None:
    """Try out cameras and hand scanners, and measure what is read."""


@scanner.command()
@click.argument("source")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@click.option(
    "--save", type=click.Path(path_type=Path, dir_okay=False), metavar="PNG", help="Write an annotated picture."
)
@click.option("--frames", type=click.IntRange(1, 1000), default=50, show_default=True, help="Frames looked at.")
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help=f"Size, rate, exposure and focus as set here.  [default: {CONFIG}]",
)
def check(source: str, as_json: bool, save: Path | None, frames: int, config: Path | None) -> None:  # noqa: FBT001
    """Open SOURCE as the gate does, look at some fifty frames, and say what to put right.

    \b
    Hold a printed code 15 cm before the camera, or scan three codes.
    SOURCE is written as in gate.toml: camera:0, url:http://..., hid:/dev/..., serial:/dev/..., folder:DIR.
    A picture saved shows whatever the camera saw; a code's content is never printed.

    Exit code 0: all is well; 1: there are findings; 3: the source cannot be opened.
    """  # noqa: D301  # click reads the backspace
    from edge.scanner.check import save_picture

    found = _checked(source, config, frames)
    rows = _rows(found)
    problems = _problems(found)
    if as_json:
        click.echo(json.dumps(_object(found), ensure_ascii=False))
    else:
        _show(rows, problems)
    if save is not None:
        lines = [f"{source.partition(':')[0]}  {_line(rows)}", *(f"! {what}" for what, _, _ in problems)]
        save_picture(found, lines, save)
    raise SystemExit(1 if found.findings else 0)


def _checked(source: str, config: Path | None, frames: int) -> "Checked":
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from edge.gate.config import load_settings
    from edge.gate.formats import load_formats
    from edge.model.settings import Settings
    from edge.scanner.check import check as try_out

    known = config if config is not None else Path(CONFIG)
    settings = load_settings(known) if config is not None or known.exists() else Settings()
    formats = load_formats()

    def family(raw: bytes) -> str:
        return next((one.name for one in formats if one.recognises(raw)), "foreign")

    columns = (
        TextColumn(source.partition(":")[0]),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.description}"),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("opening", total=frames)
        return try_out(
            source,
            settings.scanner,
            family=family,
            frames=frames,
            told=lambda count, said: bar.update(task, completed=count, description=said),
        )


def _rows(found: "Checked") -> list[tuple[str, str]]:
    rows = [("source", found.source)]
    if found.frames:
        width, height = found.size
        fps = "" if found.fps is None else f", {found.fps:g} a second"
        rows += [
            ("frames", f"{found.frames} of {width}x{height}{fps}"),
            ("decode rate", f"{100 * (found.decode_rate or 0):.0f} % of frames"),
            ("px per module", "-" if found.module_px is None else f"{found.module_px:g}"),
            ("focus", "-" if found.focus is None else f"{found.focus} of 100"),
            ("brightness", "-" if found.brightness is None else f"{found.brightness} of 255"),
            ("glare", "-" if found.glare is None else f"{100 * found.glare:.1f} % of the code"),
        ]
    rows += [
        ("code", f"{code['family']}, {code['length']} bytes, read by {code['engine']}") for code in found.codes[:5]
    ]
    return rows


def _line(rows: list[tuple[str, str]]) -> str:
    return "   ".join(f"{name} {value}" for name, value in rows[1:7] if name != "code")


def _problems(found: "Checked") -> list[tuple[str, str, str]]:
    from edge.words.catalogue import finding_words

    said = [finding_words("en", finding.code, finding.params) for finding in found.findings]
    return [(words.what, words.why, words.next_step) for words in said]


def _show(rows: list[tuple[str, str]], problems: list[tuple[str, str, str]]) -> None:
    for name, value in rows:
        click.echo(f"{name:14} {value}")
    if not problems:
        click.echo("All is well.")
    for what, why, step in problems:
        click.echo(f"!! {what}\n   {why}\n   -> {step}")


def _object(found: "Checked") -> dict[str, Any]:
    words = _problems(found)
    findings = [
        {
            "code": one.code,
            "severity": str(one.severity),
            "params": one.params,
            "what": what,
            "why": why,
            "next_step": step,
        }
        for one, (what, why, step) in zip(found.findings, words, strict=True)
    ]
    return {
        "source": found.source,
        "frames": found.frames,
        "width": found.size[0],
        "height": found.size[1],
        "fps": found.fps,
        "decode_rate": found.decode_rate,
        "module_px": found.module_px,
        "focus": found.focus,
        "brightness": found.brightness,
        "glare": found.glare,
        "codes": list(found.codes),
        "findings": findings,
    }


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
