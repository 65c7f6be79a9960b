"""`edge authority region|venue|codes`: the registries an authority keeps beside its issuers."""

import json
from pathlib import Path
from typing import Any

import click

from edge.cli.authority_ceremony import FOLDER, opened

_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, one row a line.")
_NAME_ZH = click.option("--name-zh", help="Name in Chinese.")
_NAME_EN = click.option("--name-en", help="Name in English.")


def _names(zh: str | None, en: str | None) -> dict[str, str] | None:
    return {"zh": zh or en or "", "en": en or zh or ""} if zh or en else None


def _done(folder: Path, what: str, version: int) -> None:
    click.echo(f"{what}: version {version}.")
    click.echo(f"Next: edge authority publish {folder}")


def _rows(rows: list[tuple[str, dict[str, Any]]], *, as_json: bool) -> None:
    for line, row in rows:
        click.echo(json.dumps(row, ensure_ascii=False) if as_json else line)


@click.group()
def region() -> None:
    """Keep the register of regions (GB/T 2260)."""


@region.command("set")
@FOLDER
@click.option("--code", type=click.IntRange(100000, 999999), required=True, help="GB/T 2260 code, six digits.")
@_NAME_ZH
@_NAME_EN
@click.option("--complete/--partial", "is_complete", default=None, help="Whether all its parts are listed.")
def set_region(folder: Path, code: int, name_zh: str | None, name_en: str | None, is_complete: bool | None) -> None:  # noqa: FBT001
    """Add a region or change it. Of a complete one gates refuse every part that is not listed."""
    from edge.authority import registries

    names = _names(name_zh, name_en)
    _done(folder, "Regions", registries.set_region(opened(folder), code, names, is_complete=is_complete))


@region.command("list")
@FOLDER
@_JSON
def list_regions(folder: Path, as_json: bool) -> None:  # noqa: FBT001  # click passes options by name
    """List the regions."""
    from edge.authority import registries
    from edge.trust import paths

    authority = opened(folder)
    found, complete = authority.sources.value(paths.REGIONS), registries.current(authority).complete
    rows = []
    for code, names in sorted(found.items()):
        prefix = f"{code:06d}"[: 2 if code % 10000 == 0 else 4]
        is_complete = code % 100 == 0 and prefix in complete
        line = f"{code} {names['zh']} {names['en']}{'  (complete)' if is_complete else ''}"
        rows.append((line, {"code": code, "names": dict(names), "complete": is_complete}))
    _rows(rows, as_json=as_json)


@click.group()
def venue() -> None:
    """Keep the register of venues and who answers for them."""


@venue.command("add")
@FOLDER
@click.option("--id", "id_", metavar="HEX", required=True, help="The venue's id, 1 to 16 bytes.")
@click.option("--region", type=click.IntRange(100000, 999999), required=True, help="GB/T 2260 code of the place.")
@click.option("--name", required=True, help="Its name.")
@click.option("--legal-person", help="Registered name of who answers for it.")
@click.option("--credit-code", help="Its unified social credit identifier, 18 characters.")
def add_venue(folder: Path, id_: str, legal_person: str | None, credit_code: str | None, **given: Any) -> None:
    """Register a venue, or change it. From the first one on gates refuse the passes of every other."""
    from edge.authority import registries
    from edge.model.registries import LegalPerson, Venue

    if (legal_person is None) != (credit_code is None):
        raise click.UsageError("--legal-person and --credit-code go together")
    person = None if legal_person is None or credit_code is None else LegalPerson(legal_person, credit_code)
    found = Venue(_hex(id_), given["region"], given["name"], person)
    _done(folder, "Venues", registries.set_venue(opened(folder), found))


@venue.command("remove")
@FOLDER
@click.option("--id", "id_", metavar="HEX", required=True, help="The venue's id.")
def remove_venue(folder: Path, id_: str) -> None:
    """Strike a venue off; gates refuse its passes after the next publish."""
    from edge.authority import registries

    _done(folder, "Venues", registries.remove_venue(opened(folder), _hex(id_)))


@venue.command("list")
@FOLDER
@_JSON
def list_venues(folder: Path, as_json: bool) -> None:  # noqa: FBT001
    """List the venues."""
    from edge.authority import registries

    rows = []
    for found in registries.current(opened(folder)).venues.values():
        person = found.legal_person
        told = None if person is None else {"name": person.name, "code": person.code}
        by = "" if person is None else f"  {person.name} ({person.code})"
        row = {"id": found.id.hex(), "region": found.region, "name": found.name, "legal_person": told}
        rows.append((f"{found.id.hex()} {found.region} {found.name}{by}", row))
    _rows(rows, as_json=as_json)


@click.group()
def codes() -> None:
    """Keep the names of issuers' statuses, as screens show them."""


@codes.command("set")
@FOLDER
@click.option("--profile", help="Take a ready profile's names (`edge authority profiles` lists them).")
@click.option("--issuer", help="Issuer id.")
@click.option("--status", type=click.IntRange(0, 65535), help="The issuer's own number.")
@_NAME_ZH
@_NAME_EN
def set_codes(folder: Path, profile: str | None, issuer: str | None, status: int | None, **given: Any) -> None:
    """Name a status of an issuer, or all of a ready profile."""
    from edge.authority import profiles, registries

    names = _names(given["name_zh"], given["name_en"])
    if profile is not None and issuer is None:
        found = profiles.profile(profile)
        version = registries.set_status_names(opened(folder), found.id, registries.names_of(found))
    elif profile is None and issuer is not None and status is not None and names is not None:
        version = registries.set_status_names(opened(folder), issuer, {status: names})
    else:
        raise click.UsageError("name either --profile, or --issuer with --status and --name-zh and --name-en")
    _done(folder, "Codes", version)


@codes.command("list")
@FOLDER
@_JSON
def list_codes(folder: Path, as_json: bool) -> None:  # noqa: FBT001
    """List the names of statuses."""
    from edge.authority import registries

    rows = []
    for (issuer, status), names in registries.current(opened(folder)).statuses.items():
        line = f"{issuer:16} {status:5} {names['zh']} {names['en']}"
        rows.append((line, {"issuer": issuer, "status": status, "names": dict(names)}))
    _rows(rows, as_json=as_json)


def _hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise click.UsageError("an id is written in hexadecimal, 1 to 16 bytes") from None
