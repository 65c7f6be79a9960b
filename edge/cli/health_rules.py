"""`edge authority rules`: business rules of health certificates, brought in, listed and taken out."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from edge.cli.authority_ceremony import FOLDER, opened, read

if TYPE_CHECKING:
    from edge.model.health_rules import HealthRule

_MAX_FILE: Final = 4 << 20
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def rules() -> None:
    """Business rules of health certificates (CertLogic), by which gates decide where the policy says so."""


@rules.command("import")
@FOLDER
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--country", "countries", multiple=True, help="Only rules of this country.  [default: of every one]")
@_JSON
def import_(folder: Path, files: tuple[Path, ...], countries: tuple[str, ...], as_json: bool) -> None:  # noqa: FBT001  # click passes options by name
    """Add the rules and value sets of each FILE: JSON in the EU's form, one or a list of them.

    Check where the file comes from and its signature before: every gate decides by what it says.
    """
    from edge.authority import health_rules

    done = health_rules.add(opened(folder), {str(file): read(file, _MAX_FILE) for file in files}, countries)
    told: dict[str, Any] = {"version": done.version, "rules": done.rules, "value_sets": done.value_sets}
    if as_json:
        click.echo(json.dumps(told))
        return
    click.echo(f"Rules: version {done.version}; {done.rules} rules and {done.value_sets} value sets are new.")
    if done.left_out:
        click.echo(f"Descriptions that no screen shows are left out: {', '.join(done.left_out)}.")
    click.echo(f"Next: name the country in the policy if it is not yet, then: edge authority publish {folder}")


@rules.command("list")
@FOLDER
@_JSON
def list_(folder: Path, as_json: bool) -> None:  # noqa: FBT001
    """List every version of every rule, and the value sets."""
    from edge.authority import health_rules

    found = health_rules.listed(opened(folder))
    for book in (found.acceptance, found.invalidation):
        for rule in (rule for _, own in sorted(book.items()) for rule in own):
            row = _row(rule)
            line = f"{rule.name}  {row['kind']}  {row['valid_from']} to {row['valid_to']}  {rule.says_in('en')}"
            click.echo(json.dumps(row, ensure_ascii=False) if as_json else line)
    for id_, codes in sorted(found.value_sets.items()):
        row = {"value_set": id_, "codes": len(codes)}
        click.echo(json.dumps(row) if as_json else f"value set {id_}: {len(codes)} codes")


@rules.command("remove")
@FOLDER
@click.argument("identifier")
@click.option("--version", help="One version of it only.")
def remove(folder: Path, identifier: str, version: str | None) -> None:
    """Take a rule out: gates no longer ask it once they have refreshed."""
    from edge.authority import health_rules

    now, gone = health_rules.remove(opened(folder), identifier, version)
    click.echo(f"Rules: version {now}; {gone} versions of {identifier} are taken out.")
    click.echo(f"Next: edge authority publish {folder}")


def _row(rule: "HealthRule") -> dict[str, Any]:
    from edge.trust.fields import iso

    return {
        "rule": rule.identifier,
        "version": ".".join(map(str, rule.version)),
        "type": "invalidation" if rule.is_invalidation else "acceptance",
        "kind": "every" if rule.kind is None else rule.kind.name.lower(),
        "country": rule.country,
        "valid_from": iso(rule.valid_from),
        "valid_to": iso(rule.valid_to),
        "says": dict(rule.says),
    }


COMMANDS: Final = (rules,)
