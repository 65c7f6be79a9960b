"""`edge verify INPUT...`: verdicts offline, with the functions a gate uses. A code is never repeated in the output."""

import difflib
import re
import sys
from pathlib import Path
from typing import Any, Final, NoReturn

import click

TRUST: Final = "/var/lib/edge/trust"
_MISSPELT: Final = re.compile(r"--[a-z][a-z-]*(=.*)?")


class _Inputs(click.Command):
    """A command whose inputs may begin with a hyphen, and that still knows a misspelt option from a code."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Refuse options that do not exist; what follows `--` is never looked at."""
        known = {name for option in self.get_params(ctx) for name in (*option.opts, *option.secondary_opts)}
        words = args[: args.index("--")] if "--" in args else args
        if words == ["-h"]:
            args = ["--help"]
        for word in words:
            name = word.partition("=")[0]
            if _MISSPELT.fullmatch(word) and name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                hint = f"did you mean {close[0]}?" if close else "a code like this one goes behind --"
                ctx.fail(f"there is no option {name}; {hint}")
        return super().parse_args(ctx, args)


@click.command(cls=_Inputs, context_settings={"ignore_unknown_options": True, "help_option_names": ["--help"]})
@click.argument("inputs", metavar="INPUT...", nargs=-1, type=click.UNPROCESSED)
@click.option(
    "--trust",
    type=click.Path(path_type=Path),
    help=f"A gate's trust folder, an authority's folder or a publication.  [default: {TRUST}]",
)
@click.option("--at", metavar="TIME", help="Decide as of TIME (2026-11-23T08:00:00Z, or Unix seconds).")
@click.option("--region", default="000000", show_default=True, help="GB/T 2260 code of the place to decide for.")
@click.option(
    "--code-keys",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Open encrypted identity codes with the keys of FILE (a gate's scanner.code_keys_file).",
)
@click.option(
    "--conformance",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Run the public conformance cases of a folder instead of reading inputs.",
)
@click.option("--explain", "explains", is_flag=True, help="Print each step with what was found, and which decided.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object a line.")
def verify(
    inputs: tuple[str, ...],
    *,
    conformance: Path | None,
    explains: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Give the verdict on each INPUT, offline, as a gate would.

    \b
    An existing path is a picture or a text file (a code a line),
    - is standard input (a code a line),
    anything else is the code itself.

    One line an input. The exit code is 0 only if every input is accepted, or is a genuine slip of a gate. Nothing is
    recorded.

    With --conformance each case is a line: format, id, what its suite expects, what came, and where the two differ the
    clause that exempts it, if one does. The exit code is 0 only if every other case came as expected.
    """  # noqa: D301  # click reads the backspace
    if (conformance is None) == (not inputs):
        raise click.UsageError("name inputs, or a folder with --conformance")
    if conformance is not None:
        _conformance(conformance, as_json=as_json)
    from edge.gate.verifier import Verifier, read_inputs

    place = {"region": given["region"], "default": Path(TRUST), "keys": given["code_keys"]}
    verifier = Verifier.open(given["trust"], at=given["at"], **place)
    if verifier.note:
        click.echo(f"edge: {verifier.note}", err=True)
    accepted, answered = True, False
    for name, read in read_inputs(inputs, sys.stdin.buffer):
        row = verifier.explained(name, read) if explains else verifier.row(name, read)
        accepted, answered = accepted and row["outcome"] in {"accept", "genuine"}, True
        click.echo(_json(row) if as_json else told(row))
    if not answered:
        click.echo("edge: Standard input held no code. Give a code a line.", err=True)
    raise SystemExit(0 if accepted and answered else 1)


def _conformance(folder: Path, *, as_json: bool) -> NoReturn:
    from edge.conformance.runner import run, table

    rows = []
    for row in run(folder):
        rows.append(row)
        if as_json:
            click.echo(_json(row.told()))
        elif not row.ok:
            word, names = "exempt" if row.exempt else "FAILED", ", ".join(sorted(row.differing()))
            click.echo(f"{word}  {row.format}  {row.id}  {names}  {row.exempt}".rstrip())
    if not as_json:
        click.echo(f"{'format':14}{'passed':>8}{'failed':>8}{'exempt':>8}")
        for name, *counts in table(rows):
            click.echo(f"{name:14}" + "".join(f"{count:8}" for count in counts))
    raise SystemExit(0 if all(row.ok or row.exempt for row in rows) else 1)


def _json(row: dict[str, Any]) -> str:
    import json

    return json.dumps(row, ensure_ascii=False)


def told(row: dict[str, Any]) -> str:
    """Return a row of a verdict as text, with its steps where it has them."""
    from edge.words.catalogue import reason_words

    words = reason_words("en", row["reason"], row["details"])
    if "slip" in row:
        return _slip(row, words.title)
    steps = "".join(f"\n{_step(number, step)}" for number, step in enumerate(row.get("steps", ()), 1))
    issuer = f"  issuer {row['issuer']}" if row["issuer"] else ""
    verdict = f"{row['outcome'].upper():6}  {row['input']}  {row['reason']}{_rule(row)}{issuer}"
    return f"{verdict}  {row['problem'] or f'{words.title}. {words.next_step}'}".rstrip() + steps


def _rule(row: dict[str, Any]) -> str:
    """Name the business rule that decided, with its country's words."""
    says = row.get("rule_says") or {}
    return f" ({row['details']['rule']}: {says.get('en') or '-'})" if "rule" in row["details"] else ""


def _step(number: int, step: dict[str, Any]) -> str:
    found = "  ".join(f"{name} {_value(value)}" for name, value in step.items() if name not in {"step", "state"})
    return f"  {number:>2} {step['step']:<10} {step['state'].replace('_', ' '):<12} {found}".rstrip()


def _value(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value)) or "-"
    return {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)


def _slip(row: dict[str, Any], title: str) -> str:
    told = row["slip"]
    place = " ".join(part for part in (told["site"], told["lane"], row["region"]) if part)
    said = f"{told['outcome']} for {row['reason']} ({title}) at {told['at']}, {place or 'no place'}"
    under = f"policy {row['policy_version']}, gate {told['gate'][:8]}, entry {told['seq']}, clock {told['clock']}"
    by = f"hub {told['hub'][:8]} vouches for the gate" if told["hub"] else "no hub of this trust vouches for the gate"
    return f"{row['outcome'].upper():6}  {row['input']}  slip: {said}; {under}; {by}"
