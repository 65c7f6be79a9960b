"""`edge scans list|verify|stats|grounds|export`: look at a gate's scan log, also while it runs; nothing is changed."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from edge.cli.place import of_a_gate, state_of

if TYPE_CHECKING:
    from edge.scanlog.reader import ScanLogReader


@click.group()
def scans() -> None:
    """Look at this gate's scan log; the gate may run meanwhile, and nothing is changed."""


def _reader(state: Path | None, config: Path | None) -> "ScanLogReader":
    """Return the log that is meant; one that does not exist is an error here, not an empty log."""
    from edge.errors import SetupError
    from edge.scanlog.reader import ScanLogReader

    path = state_of(config, state) / "scans.db"
    reader = ScanLogReader(path)
    if reader.head is None:
        raise SetupError(
            f"There is no scan log at {path}.",
            "Name the gate's state folder: edge scans ... --state DIR; a new gate makes the log when it starts.",
        )
    return reader


@scans.command("list")
@of_a_gate
@click.option("--last", type=click.IntRange(1, 10_000), default=20, show_default=True, help="How many entries.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object a line.")
def list_(state: Path | None, config: Path | None, last: int, as_json: bool) -> None:  # noqa: FBT001  # click's way
    """Show the newest entries, the newest last."""
    from edge.scanlog.lines import line

    reader = _reader(state, config)
    newest = reader.latest(last)[::-1]
    head = reader.head
    epoch = head.epoch if head is not None else b""
    for entry in newest:
        shown = line(entry, epoch)
        click.echo(json.dumps(shown, ensure_ascii=False) if as_json else _words(shown))


def _words(shown: dict[str, Any]) -> str:
    if shown["type"] == "unreadable":
        return f"{shown['seq']:>8}  written by a newer version of this program"
    parts = [shown["outcome"] or shown["type"], shown["reason"], shown["issuer"], shown["format"], shown["note"]]
    if shown["count"] != 1:
        parts.append(f"stands for {shown['count']}")
    if shown["refers_to"] is not None:
        parts.append(f"about {shown['refers_to']}")
    return f"{shown['seq']:>8}  {shown['at'] or shown['at_ms']}  " + "  ".join(str(part) for part in parts if part)


@scans.command()
@of_a_gate
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verify(state: Path | None, config: Path | None, as_json: bool) -> None:  # noqa: FBT001  # click's way
    """Follow the whole chain; the exit code is 0 only if every entry holds."""
    reader = _reader(state, config)
    head = reader.verify()
    first = reader.first
    shown = {"entries": head.seq - first + 1, "first": first, "last": head.seq, "epoch": head.epoch.hex()}
    if as_json:
        click.echo(json.dumps(shown | {"head": head.head.hex()}))
        return
    gone = f" {first - 1} earlier ones went under the hub's receipts." if first > 1 else ""
    click.echo(f"The log verifies: {shown['entries']} entries, {first} to {head.seq}.{gone}")
    click.echo(f"epoch {shown['epoch']}  head {head.head.hex()}")


@scans.command()
@of_a_gate
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def stats(state: Path | None, config: Path | None, as_json: bool) -> None:  # noqa: FBT001  # click's way
    """Count presentations by outcome and reason over the whole log."""
    from edge.scanlog.lines import statistics

    found = statistics(_reader(state, config))
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False))
        return
    click.echo(f"{found['entries']} entries, {found['first']} to {found['last']}")
    click.echo(f"from {found['earliest']} to {found['latest']}")
    for title in ("presentations", "reasons", "types"):
        click.echo(title)
        for name, count in found[title].items():
            click.echo(f"{count:>10}  {name}")


@scans.command()
@of_a_gate
@click.option(
    "--trust", type=click.Path(path_type=Path), help="Trust to look statuses up in.  [default: the gate's own]"
)
@click.option("--region", default="000000", show_default=True, help="GB/T 2260 code of the place the gates stand at.")
@click.option(
    "--from", "file", type=click.File("rb"), help="Lines of `export`, or of a hub's pull, not the log; - too."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def grounds(
    *,
    state: Path | None,
    config: Path | None,
    trust: Path | None,
    region: str,
    file: IO[bytes] | None,
    as_json: bool,
) -> None:
    """Count who was not accepted for a status, by reason class and issuer: the counts to be published."""
    from edge.gate.clock import now_ms
    from edge.policy.decide import Place
    from edge.policy.grounds import count
    from edge.scanlog.lines import line, walk
    from edge.trust.opening import open_trust

    snapshot = open_trust(trust or state_of(config, state) / "trust", now_ms() // 1000)
    read = _parsed(file) if file is not None else (line(entry, b"") for entry in walk(_reader(state, config)))
    found = count(read, snapshot, Place(region))
    if as_json:
        click.echo(json.dumps(found))
        return
    for class_, by_issuer in found.items():
        click.echo(f"{sum(by_issuer.values()):>8}  {class_}")
        for issuer, times in by_issuer.items():
            click.echo(f"{times:>12}  {issuer}")


def _parsed(file: IO[bytes]) -> Iterator[dict[str, Any]]:
    from edge.errors import SetupError

    for number, text in enumerate(file, 1):
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise SetupError(f"Line {number} is no JSON object.", "Give the lines of `edge scans export` or a pull.")
        yield found


@scans.command()
@of_a_gate
@click.option("--ndjson", is_flag=True, help="One JSON object a line: the form there is, and the default.")
@click.option("--after", type=click.IntRange(0), default=0, show_default=True, help="Begin behind this number.")
@click.option("--out", type=click.Path(path_type=Path), help="Write to this new file instead of standard output.")
def export(state: Path | None, config: Path | None, ndjson: bool, after: int, out: Path | None) -> None:  # noqa: ARG001, FBT001
    """Print every entry, each with its chained bytes; tokens and sealed fields stay on the gate."""
    from edge.errors import SetupError
    from edge.scanlog.lines import line, walk

    reader = _reader(state, config)
    head = reader.head
    epoch = head.epoch if head is not None else b""
    lines = (json.dumps(line(entry, epoch), ensure_ascii=False) for entry in walk(reader, after))
    if out is None:
        for text in lines:
            click.echo(text)
        return
    try:
        with out.open("x", encoding="utf-8") as file:
            file.writelines(f"{text}\n" for text in lines)
    except OSError as bad:
        raise SetupError(f"{out} cannot be written: {bad.strerror}.", "Name a file that does not exist yet.") from bad
