"""`edge authority anchors`: keys of other systems, brought in from certificates and trust lists as plain keys."""

import json
import re
from pathlib import Path
from typing import Any, Final

import click

from edge.cli.authority_ceremony import FOLDER, now, opened, read

_MAX_FILE: Final = 32 << 20
_KINDS: Final = ("signature", "identifier", "country_and_identifier")
_ISSUER = click.option("--issuer", required=True, help="Our id of whoever holds the keys, such as dcc.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def anchors() -> None:
    """Keys of other systems: whose foreign certificates and tickets gates may believe."""


@anchors.command("add")
@FOLDER
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@_ISSUER
@click.option("--format", "format_", required=True, help="The format they sign, such as hcert.")
@click.option("--claimed", help="The issuer credentials must claim.  [default: each certificate's country]")
@click.option("--kind", "kinds", multiple=True, help="What they may attest.  [default: as each certificate says]")
@click.option("--alg", "algorithm", help="Algorithm, where a key fits several.  [default: PS256 for RSA]")
@click.option("--hash-list", "hash_lists", type=int, multiple=True, help="A list of hashes to look credentials up in.")
@click.option(
    "--type",
    "types",
    multiple=True,
    metavar="TYPE=KIND",
    help="What a type of credential attests (its vct or type); types that are not named are refused.  [default: any]",
)
@click.option("--name-zh", help="With --name-en: adds the issuer to the registry under this name.")
@click.option("--name-en", help="With --name-zh.")
@click.option(
    "--outcome",
    type=click.Choice(["accept", "refer", "reject"]),
    default="refer",
    show_default=True,
    help="For a new issuer: what the matrix says of its credentials, where the policy admits them.",
)
@click.option("--skip-bad", is_flag=True, help="Leave out keys that cannot be used, naming each.")
@_JSON
def add(folder: Path, files: tuple[Path, ...], issuer: str, format_: str, **given: Any) -> None:
    """Add the keys of each FILE: certificates in PEM or DER, or a DCC trust list in JSON.

    Check where the file comes from and its signature before: what it names is believed by every gate.
    """
    from edge.authority import key_sources
    from edge.authority.anchors import Holder, add_anchors

    names = {"zh": given["name_zh"], "en": given["name_en"]}
    if any(names.values()) and not all(names.values()):
        raise click.UsageError("--name-zh and --name-en go together")
    types = dict(one.rpartition("=")[::2] for one in given["types"])
    if not all(types) or not all(types.values()):
        raise click.UsageError("--type takes TYPE=KIND, such as https://example.org/vaccination=vaccination")
    wish = key_sources.Wish(format_, given["claimed"], given["kinds"] or None, given["algorithm"])
    found = [one for file in files for one in key_sources.read(read(file, _MAX_FILE), wish)]
    done = add_anchors(
        opened(folder),
        issuer,
        format_,
        found,
        hash_lists=given["hash_lists"],
        types=types,
        holder=Holder(names, given["outcome"]) if names["zh"] else None,
        skip_bad=given["skip_bad"],
    )
    for one in done.left_out:
        click.echo(f"edge: {one.place}: {one.problem}", err=True)
    told = {"issuer": issuer, "added": done.added, "changed": done.changed, "left_out": len(done.left_out)}
    if given["as_json"]:
        click.echo(json.dumps(told))
        return
    click.echo(f"issuer {issuer}: {done.added} keys added, {done.changed} changed, {len(done.left_out)} left out")
    click.echo(f"Next: admit {format_} in the policy if it is not yet, then: edge authority publish {folder}")


@anchors.command("list")
@FOLDER
@_JSON
def list_(folder: Path, as_json: bool) -> None:  # noqa: FBT001  # click passes options by name
    """List every foreign key with what it may attest and when."""
    from edge.authority.anchors import list_anchors
    from edge.trust.fields import iso

    for anchor in list_anchors(opened(folder)):
        row = {
            "issuer": anchor.issuer,
            "format": anchor.format,
            "claimed": anchor.claimed,
            "kid": anchor.key_id.hex(),
            "kinds": sorted(kind.name.lower() for kind in anchor.kinds),
            "not_before": iso(anchor.not_before),
            "not_after": iso(anchor.not_after),
        }
        kinds = ",".join(row["kinds"])
        line = f"{anchor.issuer}  {anchor.format}  {anchor.claimed or '-'}  {row['kid']}  {kinds}  {row['not_after']}"
        click.echo(json.dumps(row, ensure_ascii=False) if as_json else line)


@anchors.command("remove")
@FOLDER
@_ISSUER
@click.option("--claimed", help="Only keys of this claimed issuer.")
@click.option("--kid", metavar="HEX", help="Only keys of this id.")
@click.option("--all", "every", is_flag=True, help="Every key of the issuer.")
def remove(folder: Path, issuer: str, claimed: str | None, kid: str | None, every: bool) -> None:  # noqa: FBT001
    """Take keys back, stolen or no longer recognised: gates refuse what they signed once they have refreshed."""
    from edge.authority.anchors import remove_anchors

    if every != (claimed is None and kid is None):
        raise click.UsageError("name --claimed or --kid, or --all")
    try:
        key_id = None if kid is None else bytes.fromhex(kid)
    except ValueError:
        raise click.UsageError("--kid takes hexadecimal digits") from None
    count = remove_anchors(opened(folder), issuer, claimed=claimed, key_id=key_id)
    click.echo(f"issuer {issuer}: {count} foreign keys are taken back")
    click.echo(f"Next: edge authority publish {folder}")


@anchors.command("revoked")
@FOLDER
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@_ISSUER
@click.option("--kind", type=click.Choice(_KINDS), help="Of lines that are hashes: what is hashed.")
@click.option("--country", help="Of lines that are identifiers: hash this country of issue with each.")
@click.option("--keep", is_flag=True, help="Add to what is listed, instead of replacing it.")
@_JSON
def revoked(folder: Path, files: tuple[Path, ...], issuer: str, **given: Any) -> None:
    """List what each FILE revokes, in place of the issuer's last lists of the same kinds; - is standard input.

    A FILE holds revocation batches of the EU's gateway, a card revocation list of SMART Health Cards (give the lists of
    all keys of the issuer at once), a Status List Token (JWT; give all of the issuer's at once), or lines: identifiers
    as the certificates have them, or hashes with --kind. Batches that have run out are left out.

    Gates refuse what is listed after the next publish and their next refresh.
    """
    from edge.authority.revoked import put_revoked
    from edge.authority.revoked_sources import Wish
    from edge.authority.revoked_sources import read as read_revoked
    from edge.model.credential import HashKind

    country = given["country"] or ""
    if country and not re.fullmatch("[A-Z]{2}", country):
        raise click.UsageError("--country takes two capital letters, as the certificates' issuer")
    kind = HashKind[given["kind"].upper()] if given["kind"] else None
    wish = Wish(kind, country)
    batches = [batch for file in files for batch in read_revoked(read(file, _MAX_FILE), str(file), wish)]
    found, expired = put_revoked(opened(folder), issuer, batches, keep=given["keep"], now=now())
    if given["as_json"]:
        lists = [{"list": one.number, "kind": one.kind.name.lower(), "hashes": one.count} for one in found]
        click.echo(json.dumps({"issuer": issuer, "lists": lists, "expired": expired}))
        return
    for one in found:
        click.echo(f"issuer {issuer}, list {one.number}: {one.count} hashes, {one.kind.name.lower()}")
    if expired:
        click.echo(f"{expired} batches have run out and are left out.")
    click.echo(f"Next: edge authority publish {folder}")


COMMANDS: Final = (anchors,)
