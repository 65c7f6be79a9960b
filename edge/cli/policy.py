"""`edge policy explain|try|diff`: what a policy, or the draft of one, means before anybody stands in front of it."""

import json
import sys
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge.cli.verify import TRUST, told

if TYPE_CHECKING:
    from edge.gate.verifier import Verifier
    from edge.model.trust import Policy
    from edge.policy.compare import Change

_MAX_FILE = 4 << 20
_TRUST = click.option(
    "--trust", type=click.Path(path_type=Path), help=f"Trust to take issuers and matrix from.  [default: {TRUST}]"
)
_AT = click.option("--at", metavar="TIME", help="Decide as of TIME (2026-11-23T08:00:00Z, or Unix seconds).")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def policy() -> None:
    """Say what a policy admits, try codes under a draft, compare two."""


@policy.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@_TRUST
@_AT
@click.option("--lang", default="en", show_default=True, type=click.Choice(["en", "zh"]), help="Language.")
@_JSON
def explain(file: Path | None, trust: Path | None, at: str | None, lang: str, as_json: bool) -> None:  # noqa: FBT001  # click's way
    """Say in plain words what the policy in FILE admits, or without FILE the one in force.

    With --trust it also says which statuses of which issuer count, and each business rule in its country's words.
    """
    from edge.policy import plain
    from edge.trust.fields import iso

    verifier = _verifier(trust, at) if trust is not None or file is None else None
    found = _read(file) if file is not None else _in_force(verifier)
    times = {at: iso(at) for at in plain.times_of(found)}
    said = plain.sentences(found, lang, times)
    known = verifier.context.trust if verifier is not None else None
    listed = plain.issuers(known, lang) if known is not None else []
    rules = _rules(found, verifier, lang)
    if as_json:
        told = {"version": found.version, "says": said, "rules": rules, "issuers": listed}
        click.echo(json.dumps(told, ensure_ascii=False))
        return
    click.echo("\n".join([*said, *rules, *listed]))


@policy.command("try")
@click.argument("draft", metavar="POLICY", type=click.Path(path_type=Path))
@click.argument("code")
@_TRUST
@_AT
@click.option("--region", default="000000", show_default=True, help="GB/T 2260 code of the place to decide for.")
@_JSON
def try_(draft: Path, code: str, trust: Path | None, at: str | None, region: str, as_json: bool) -> None:  # noqa: FBT001
    """Give the verdict on CODE (a code, picture or text file, - for standard input) under the draft POLICY, and the
    step that decided.

    Issuers, keys and revocations are those of the trust in force. The exit code is 0 only if all is accepted.
    """  # noqa: D205  # click prints it as one paragraph
    from edge.gate.verifier import read_inputs

    verifier = _verifier(trust, at, region).under(_read(draft))
    accepted = True
    for name, read in read_inputs([code], sys.stdin.buffer):
        row = verifier.explained(name, read)
        accepted = accepted and row["outcome"] == "accept"
        click.echo(json.dumps(row, ensure_ascii=False) if as_json else f"{told(row)}\ndecided by: {row['decided_by']}")
    raise SystemExit(0 if accepted else 1)


@policy.command()
@click.argument("before", metavar="A", type=click.Path(path_type=Path))
@click.argument("after", metavar="B", type=click.Path(path_type=Path))
@click.option("--corpus", type=click.Path(path_type=Path), help="Passes to compare: a file or a folder of them.")
@_TRUST
@_AT
@_JSON
def diff(before: Path, after: Path, corpus: Path | None, trust: Path | None, at: str | None, as_json: bool) -> None:  # noqa: FBT001
    """Show which passes change their verdict from policy A to policy B.

    Without --corpus every situation that one of the policies tells apart is walked: kinds, statuses, ages, places,
    hours and combinations, each at its limits.
    """
    verifier = _verifier(trust, at)
    pair = verifier.under(_read(before)), verifier.under(_read(after))
    rows, asked = _walked(*pair) if corpus is None else _of_corpus(corpus, *pair)
    if as_json:
        click.echo(json.dumps({"compared": asked, "changed": sum(row["count"] for row in rows), "changes": rows}))
        return
    for row in rows:
        click.echo(f"{row['count']:>8}  {row['what']}: {row['before']} -> {row['after']}")
    click.echo(f"{sum(row['count'] for row in rows)} of {asked} change")


def _rules(policy_: "Policy", verifier: "Verifier | None", language: str) -> list[str]:
    from edge.policy import plain

    if verifier is None or verifier.context.trust is None:
        return []
    at = verifier.context.moment.unix_s
    return plain.health_rules(policy_, verifier.context.trust.health_rules, language, at)


def _walked(a: "Verifier", b: "Verifier") -> tuple[list[dict[str, Any]], int]:
    from edge.policy import compare

    before, after = a.context.trust, b.context.trust
    if before is None or after is None:
        return [], 0
    if before.policy.rules.health != after.policy.rules.health:
        click.echo("edge: business rules are asked of certificates only; name some with --corpus.", err=True)
    walked = list(islice(compare.situations(before, after), compare.MOST + 1))
    if len(walked) > compare.MOST:
        click.echo(f"edge: only the first {compare.MOST} situations are compared; name passes with --corpus.", err=True)
    found = Counter(_kind_of(change) for change in compare.changes(before, after, walked[: compare.MOST]))
    return _counted(found), min(len(walked), compare.MOST)


def _kind_of(change: "Change") -> tuple[str, str, str]:
    from edge.verify.verify import status_of

    credential = change.situation.verification.credential
    status = status_of(credential)
    what = f"{credential.issuer} {credential.kind.name.lower()}" + ("" if status is None else f" status {status}")
    held = "+".join(sorted(kind.name.lower() for kind in change.situation.held))
    what += f" after {held}" if held else ""
    return what, *(f"{one.outcome.name.lower()} {one.reason}" for one in (change.before, change.after))  # type: ignore[return-value]  # two of them


def _of_corpus(corpus: Path, a: "Verifier", b: "Verifier") -> tuple[list[dict[str, Any]], int]:
    from edge.gate.verifier import read_inputs

    files = sorted(path for path in corpus.rglob("*") if path.is_file()) if corpus.is_dir() else [corpus]
    found: Counter[tuple[str, str, str]] = Counter()
    asked = 0
    for name, read in read_inputs(map(str, files), sys.stdin.buffer):
        asked += 1
        rows = a.row(name, read), b.row(name, read)
        was, becomes = (f"{row['outcome']} {row['reason']}" for row in rows)
        if was != becomes:
            found[name, was, becomes] += 1
    return _counted(found), asked


def _counted(found: "Counter[tuple[str, str, str]]") -> list[dict[str, Any]]:
    return [
        {"what": what, "before": before, "after": after, "count": count}
        for (what, before, after), count in sorted(found.items())
    ]


def _verifier(trust: Path | None, at: str | None = None, region: str = "000000") -> "Verifier":
    from edge.gate.verifier import Verifier

    verifier = Verifier.open(trust, at=at, region=region, default=Path(TRUST))
    if verifier.note:
        click.echo(f"edge: {verifier.note}", err=True)
    return verifier


def _in_force(verifier: "Verifier | None") -> "Policy":
    from edge.errors import TrustMissing

    trust = verifier.context.trust if verifier is not None else None
    if verifier is None or trust is None:
        raise TrustMissing("There is no policy in force here.", "Name a policy FILE, or a folder with --trust DIR.")
    return trust.at(verifier.context.moment).policy


def _read(file: Path) -> "Policy":
    from edge.disk import bounded
    from edge.errors import ConfigError, TrustError
    from edge.trust import paths
    from edge.trust.policies import draft

    try:
        return draft(bounded.read(file, _MAX_FILE))
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}.", "Check its name.") from error
    except TrustError as error:
        # A gate would name the target; who tries a draft has a file.
        said = error.message.replace(paths.POLICY, str(file), 1)
        step = error.next_step or "Write it as docs/formats.md says of national/policy.json."
        raise ConfigError(said, step) from error
