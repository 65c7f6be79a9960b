"""`edge scans list|show|verify|stats|grounds|export`: look at a gate's scan log while it runs; nothing is changed."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import click

from edge.cli.place import of_a_gate, state_of

if TYPE_CHECKING:
    from edge.ledger.destruction import Destruction
    from edge.model.scan import Head
    from edge.scanlog.reader import ScanLogReader

_TIMES: Final = ("%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S")


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
@click.option("--since", type=click.DateTime(_TIMES), help="Recorded at this time (UTC) or later.")
@click.option("--until", type=click.DateTime(_TIMES), help="Recorded before this time (UTC).")
@click.option("--outcome", type=click.Choice(["accept", "refer", "reject"]), help="Only of this outcome.")
@click.option("--reason", help="Only of this reason code, as time.expired.")
@click.option("--type", "type_", help="Only of this type, as scan, note or purge.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object a line.")
def list_(
    *,
    state: Path | None,
    config: Path | None,
    last: int,
    since: datetime | None,
    until: datetime | None,
    outcome: str | None,
    reason: str | None,
    type_: str | None,
    as_json: bool,
) -> None:
    """Show the newest entries, or the newest that are asked for; the newest last."""
    from edge.model.scan import EntryType
    from edge.scanlog.lines import Wanted, newest

    if type_ is not None and type_.upper() not in EntryType.__members__:
        known = ", ".join(name.lower() for name in EntryType.__members__)
        raise click.BadParameter(f"{type_} is no type of entry; there are {known}.", param_hint="--type")
    wanted = Wanted(_unix_ms(since), _unix_ms(until), outcome, reason, type_.lower() if type_ else None)
    for shown in newest(_reader(state, config), wanted, last):
        click.echo(json.dumps(shown, ensure_ascii=False) if as_json else _words(shown))


def _unix_ms(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.replace(tzinfo=UTC).timestamp() * 1000)


@scans.command()
@of_a_gate
@click.argument("seq", type=click.IntRange(1))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(state: Path | None, config: Path | None, seq: int, as_json: bool) -> None:  # noqa: FBT001  # click's way
    """Show one entry in full, by its number."""
    from edge.errors import SetupError
    from edge.scanlog.lines import line

    reader = _reader(state, config)
    head, first = reader.head, reader.first
    found = reader.entries(seq, 1)
    if head is None or not found or found[0].seq != seq:
        gone = " Earlier ones went under the hub's receipts." if seq < first else ""
        raise SetupError(
            f"The log has no entry {seq}.", f"It has {first} to {head.seq if head is not None else 0}.{gone}"
        )
    shown = line(found[0], head.epoch)
    if as_json:
        click.echo(json.dumps(shown, ensure_ascii=False))
        return
    for name, value in shown.items():
        if value is not None:
            click.echo(f"{name:<15} {value}")


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
    """Follow the whole chain and check the certificates of what went; the exit code is 0 only if all of it holds."""
    reader = _reader(state, config)
    head = _verified(reader, quiet=as_json)
    first, certificates = reader.first, reader.certificates()
    shown = {"entries": head.seq - first + 1, "first": first, "last": head.seq, "epoch": head.epoch.hex()}
    if as_json:
        went = [_certificate(stated) for stated in certificates]
        click.echo(json.dumps(shown | {"head": head.head.hex(), "certificates": went}))
        return
    gone = f" {first - 1} earlier ones went under the hub's receipts." if first > 1 else ""
    click.echo(f"The log verifies: {shown['entries']} entries, {first} to {head.seq}.{gone}")
    click.echo(f"epoch {shown['epoch']}  head {head.head.hex()}")
    for stated in certificates:
        (span,) = stated.spans
        click.echo(
            f"certificate     {span.first} to {span.last} went by {_certificate(stated)['at']} under policy "
            f"{stated.policy_version}, signed by gate {span.gate.hex()[:8]}"
        )
    signed = sum(stated.count for stated in certificates)
    if signed < first - 1:
        click.echo(f"{first - 1 - signed} of those that went have no certificate: an earlier release let them go.")


def _certificate(stated: "Destruction") -> dict[str, Any]:
    from edge.scanlog.lines import iso

    (span,) = stated.spans
    return {
        "first": span.first,
        "last": span.last,
        "count": stated.count,
        "gate": span.gate.hex(),
        "head": span.head.hex(),
        "at": iso(stated.at_ms),
        "policy_version": stated.policy_version,
        "retention_s": stated.retention_s,
        "wire": stated.wire.hex(),
    }


def _verified(reader: "ScanLogReader", *, quiet: bool) -> "Head":
    """Walk the log behind a bar on standard error, where a person looks on."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    head, first = reader.head, reader.first
    if quiet or not console.is_terminal or head is None:
        return reader.verify()
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task("verifying", total=head.seq - first + 1)
        return reader.verify(lambda seq: bar.update(task, completed=seq - first + 1))


@scans.command()
@of_a_gate
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def stats(state: Path | None, config: Path | None, as_json: bool) -> None:  # noqa: FBT001  # click's way
    """Count presentations by outcome, reason and day over the whole log; how long checks took, what waits, its size."""
    from edge.scanlog.lines import statistics
    from edge.sync.overview import overview

    found = statistics(_reader(state, config))
    folder = state_of(config, state)
    found["backlog"] = overview(folder).backlog
    found["bytes"] = sum(file.stat().st_size for file in folder.glob("scans.db*"))
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False))
        return
    click.echo(f"{found['entries']} entries, {found['first']} to {found['last']}, {found['bytes'] / 1e6:.1f} MB")
    click.echo(f"from {found['earliest']} to {found['latest']}")
    click.echo(f"{found['backlog']} are not at the hub yet")
    took = found["duration_ms"]
    if took["p50"] is not None:
        click.echo(f"checks took {took['p50']} ms (half of them) and {took['p95']} ms (95 of 100) at most")
    for title in ("presentations", "reasons", "types"):
        click.echo(title)
        for name, count in found[title].items():
            click.echo(f"{count:>10}  {name}")
    click.echo("days")
    for day, counts in found["days"].items():
        click.echo(f"{day:>12}  " + "  ".join(f"{count} {name}" for name, count in counts.items()))


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
@click.option("--ndjson", "form", flag_value="ndjson", default="ndjson", help="One JSON object a line: the default.")
@click.option("--csv", "form", flag_value="csv", help="A table for a spreadsheet; no cell of it is a formula.")
@click.option("--after", type=click.IntRange(0), default=0, show_default=True, help="Begin behind this number.")
@click.option("--out", type=click.Path(path_type=Path), help="Write to this new file instead of standard output.")
def export(state: Path | None, config: Path | None, form: str, after: int, out: Path | None) -> None:
    """Print every entry, each with its chained bytes; tokens and sealed fields stay on the gate."""
    from edge.errors import SetupError

    lines = _exported(_reader(state, config), form, after)
    if out is None:
        for text in lines:
            click.echo(text)
        return
    try:
        with out.open("x", encoding="utf-8", newline="") as file:
            file.writelines(f"{text}\n" for text in lines)
    except OSError as bad:
        raise SetupError(f"{out} cannot be written: {bad.strerror}.", "Name a file that does not exist yet.") from bad


def _exported(reader: "ScanLogReader", form: str, after: int) -> Iterator[str]:
    from edge.scanlog import table
    from edge.scanlog.lines import line, walk

    head = reader.head
    epoch = head.epoch if head is not None else b""
    rows = (line(entry, epoch) for entry in walk(reader, after))
    if form == "csv":
        # RFC 4180: lines end with CRLF.
        yield table.header() + "\r"
        yield from (table.csv_line(row) + "\r" for row in rows)
    else:
        yield from (json.dumps(row, ensure_ascii=False) for row in rows)
