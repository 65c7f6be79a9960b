"""`edge authority ...`: keep a national trust root, from its first key to a code on paper."""

import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from edge.cli import authority_anchors, authority_ceremony, authority_lists, authority_roles, health_rules, registries
from edge.cli.authority_ceremony import FOLDER, JSON, PASSPHRASE, asked, new_passphrase, now, opened, read
from edge.cli.authority_roles import PROVINCES, is_delegated, time_of
from edge.errors import PublicationError

if TYPE_CHECKING:
    from edge.authority.issue import IssuedPass
    from edge.authority.issuers import AddedKey, ForeignKey
    from edge.authority.publish import Publication

_MAX_FILE: Final = 64 << 10
_ALGORITHM: Final = click.option(
    "--alg",
    "algorithm",
    type=click.Choice(["EdDSA", "SM2"]),
    default="EdDSA",
    show_default=True,
    help="With --public: what its key signs with; SM2 is verified where a gate's libcrypto can.",
)


@click.group()
def authority() -> None:
    """Keep a national trust root: issuers, passes, revocations, publication.

    DIR is the authority's folder; `init` makes it.
    """


for _group in (registries.region, registries.venue, registries.codes):
    authority.add_command(_group)


@authority.command()
@FOLDER
@click.option("--purpose-zh", help="Why gates check, in Chinese; part of the signed policy.")
@click.option("--purpose-en", help="The same in English.")
@PROVINCES
@PASSPHRASE
def init(folder: Path, purpose_zh: str | None, purpose_en: str | None, **given: Any) -> None:
    """Make an authority in DIR: root (three of five keys), role and auditor keys, default policy, regions."""
    from edge.authority.authority import PURPOSE
    from edge.authority.authority import init as make

    purpose = {"zh": purpose_zh or purpose_en or PURPOSE["zh"], "en": purpose_en or purpose_zh or PURPOSE["en"]}
    passphrase = new_passphrase(given["passphrase_file"])
    make(folder, now(), purpose=purpose, delegated=is_delegated(given["provinces"]), passphrase=passphrase)
    click.echo(f"The authority is in {folder}. Its private keys are in {folder / 'keys'}: back them up, apart.")
    if passphrase is None:
        click.echo("edge: the keys have no passphrase, as in a demonstration: edge authority protect KEYFILE", err=True)
    click.echo(f"Next: edge authority add-issuer {folder} --profile all")
    click.echo(f"then: edge authority publish {folder}")


@authority.command("profiles")
@JSON
def list_profiles(as_json: bool) -> None:  # noqa: FBT001  # click passes options by name
    """List the ready issuer profiles."""
    from edge.authority.profiles import profiles

    for found in profiles():
        kinds = sorted({kind for key in found.keys for kind in key.kinds})
        statuses = {str(row.status): row.meaning["en"] for row in found.statuses if row.status is not None}
        if as_json:
            told = {"name": found.name, "id": found.id, "names": dict(found.names), "region": found.region}
            click.echo(json.dumps({**told, "kinds": kinds, "statuses": statuses}, ensure_ascii=False))
            continue
        click.echo(f"{found.name:20} {found.id:5} {found.names['zh']} {found.names['en']}")
        click.echo(f"{'':26} {', '.join(kinds)}; " + ", ".join(f"{n} {meaning}" for n, meaning in statuses.items()))


@authority.command("add-issuer")
@FOLDER
@click.option("--profile", help="A ready profile (`edge authority profiles` lists them), or `all`.")
@click.option("--id", "id_", help="Id of an issuer of your own: its GB/T 2260 prefix or a national name.")
@click.option("--name-zh", help="Its name in Chinese.")
@click.option("--name-en", help="Its name in English.")
@click.option("--region", type=int, default=0, help="GB/T 2260 code of its seat; 0 for a national system.")
@click.option("--kind", "kinds", multiple=True, default=("person",), show_default=True, help="Kind of pass it signs.")
@click.option("--max-validity-days", type=click.IntRange(1, 3650), default=31, show_default=True)
@click.option("--public", metavar="HEX", help="Public key of an issuer that keeps its private key itself.")
@click.option("--key-id", metavar="HEX", help="With --public: the key id its passes name.  [default: from the key]")
@_ALGORITHM
@click.option("--valid-from", metavar="TIME", help="From when its keys may have signed.  [default: a day ago]")
@JSON
def add_issuer(folder: Path, profile: str | None, id_: str | None, valid_from: str | None, **given: Any) -> None:
    """Add an issuer with its keys, its status lists and its rows of the recognition matrix."""
    from edge.authority import issuers, profiles

    if (profile is None) == (id_ is None):
        raise click.UsageError("name either --profile or --id")
    if id_ is not None:
        names = {"zh": given["name_zh"] or given["name_en"], "en": given["name_en"] or given["name_zh"]}
        if not names["zh"]:
            raise click.UsageError("an issuer needs a name: --name-zh and --name-en")
        found = [
            profiles.own_profile(
                id_, names, given["region"], kinds=given["kinds"], max_validity_days=given["max_validity_days"]
            )
        ]
    else:
        found = list(profiles.profiles()) if profile == "all" else [profiles.profile(str(profile))]
    since = None if valid_from is None else time_of(valid_from)
    foreign = _foreign(given["public"], given["key_id"], given["algorithm"])
    if foreign is not None and id_ is None:
        raise click.UsageError("--public goes with --id")
    country = opened(folder)
    for one in found:
        for added in issuers.add_issuer(country, one, now(), valid_from=since, foreign=foreign):
            _tell_key(added, as_json=given["as_json"])
    if not given["as_json"]:
        click.echo(f"Next: edge authority publish {folder}")


def _tell_key(added: "AddedKey", *, as_json: bool) -> None:
    if as_json:
        told = {"issuer": added.issuer, "key_id": added.key_id.hex(), "public": added.public.hex()}
        click.echo(json.dumps({**told, "kinds": added.kinds, "status_list": added.status_list}))
        return
    click.echo(
        f"issuer {added.issuer}: key {added.key_id.hex()} for {', '.join(added.kinds)}, status list {added.status_list}"
    )


@authority.command("add-key")
@FOLDER
@click.option("--issuer", required=True, help="Issuer id.")
@click.option("--kind", "kinds", multiple=True, default=("person",), show_default=True, help="Kind of pass it signs.")
@click.option("--public", metavar="HEX", help="Public key of an issuer that keeps its private key itself.")
@click.option("--key-id", metavar="HEX", help="With --public: the key id its passes name.  [default: from the key]")
@_ALGORITHM
@click.option("--region", "regions", multiple=True, help="GB/T 2260 prefix it may speak of.  [default: the issuer's]")
@click.option("--max-validity-days", type=click.IntRange(1, 3650), default=31, show_default=True)
@click.option("--valid-from", metavar="TIME", help="From when it may have signed.  [default: a day ago]")
@click.option(
    "--list-size",
    type=click.IntRange(1, 1 << 32),
    default=1 << 20,
    show_default=True,
    help="Entries of its status list; a larger one is published in parts.",
)
@JSON
def add_key(folder: Path, issuer: str, valid_from: str | None, **given: Any) -> None:
    """Give an issuer one more key, with a status list of its own. Publish it long before its first use."""
    from edge.authority import issuers
    from edge.authority.profiles import KeyProfile

    regions = given["regions"] or ((issuer if issuer.isdigit() else ""),)
    key = KeyProfile(given["kinds"], regions, given["max_validity_days"] * 86400)
    foreign = _foreign(given["public"], given["key_id"], given["algorithm"])
    since = None if valid_from is None else time_of(valid_from)
    added = issuers.add_key(
        opened(folder), issuer, key, now(), valid_from=since, foreign=foreign, list_size=given["list_size"]
    )
    _tell_key(added, as_json=given["as_json"])


@authority.command("revoke-key")
@FOLDER
@click.option("--issuer", required=True, help="Issuer id.")
@click.option("--key-id", required=True, metavar="HEX", help="The key to take back (see sources/issuers/ID/keys.json).")
def revoke_key(folder: Path, issuer: str, key_id: str) -> None:
    """Take an issuer's key back, stolen or lost: gates refuse every pass it ever signed once they have refreshed."""
    from edge.authority import issuers

    issuers.revoke_key(opened(folder), issuer, _hex(key_id, "--key-id"))
    click.echo(f"issuer {issuer}: key {key_id} is taken back")
    click.echo(f"Next: edge authority add-key {folder} --issuer {issuer}, then: edge authority publish {folder}")


@authority.command("remove-issuer")
@FOLDER
@click.argument("issuer", metavar="ISSUER")
def remove_issuer(folder: Path, issuer: str) -> None:
    """Take an issuer out: gates refuse its passes as of nobody they know, once they have refreshed."""
    from edge.authority import issuers

    issuers.remove_issuer(opened(folder), issuer)
    click.echo(f"issuer {issuer} is taken out")
    click.echo(f"Next: edge authority publish {folder}")


def _foreign(public: str | None, key_id: str | None, algorithm: str) -> "ForeignKey | None":
    from edge.authority.issuers import ForeignKey

    if public is None:
        if key_id is not None:
            raise click.UsageError("--key-id goes with --public")
        return None
    return ForeignKey(_hex(public, "--public"), None if key_id is None else _hex(key_id, "--key-id"), algorithm)


def _hex(text: str, option: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise click.UsageError(f"{option} takes hexadecimal digits") from None


@authority.command("add-hub")
@FOLDER
@click.option("--key", metavar="HEX", help="The hub's public receipt key (`edge hub init` prints it).")
@click.option("--key-file", type=click.Path(path_type=Path), help="A file with it: hexadecimal text or 32 raw bytes.")
@click.option("--name", default="hub", show_default=True, help="What the registry calls it.")
def add_hub(folder: Path, key: str | None, key_file: Path | None, name: str) -> None:
    """Name a hub's receipt key, so that gates know whose receipts count."""
    from edge.authority.issuers import add_hub as add

    if (key is None) == (key_file is None):
        raise click.UsageError("name either --key or --key-file")
    data = read(key_file, 1024) if key_file is not None else str(key).encode()
    kid = add(opened(folder), _public(data), name)
    click.echo(f"hub {name}: key {kid.hex()}")
    click.echo(f"Next: edge authority publish {folder}")


def _public(data: bytes) -> bytes:
    text = data.strip()
    if re.fullmatch(rb"[0-9a-fA-F]{64}", text):
        return bytes.fromhex(text.decode())
    return data


@authority.command("set-policy")
@FOLDER
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--effective-at", metavar="TIME", help="From when it holds (2026-12-01T00:00:00Z); gates switch offline.")
def set_policy(folder: Path, file: Path, effective_at: str | None) -> None:
    """Put the policy in FILE in place (docs/formats.md); its version becomes one above the last.

    What it admits: edge policy explain FILE. What it changes: edge policy diff.
    """
    from edge.authority.issuers import set_policy as put

    try:
        members = json.loads(read(file, _MAX_FILE))
    except (ValueError, RecursionError) as error:
        raise PublicationError(f"{file} is not JSON.", "See docs/formats.md for a policy with every member.") from error
    if not isinstance(members, dict):
        raise PublicationError(f"{file} is not a JSON object.", "See docs/formats.md for a policy with every member.")
    since = None if effective_at is None else time_of(effective_at)
    version = put(opened(folder), members, now(), effective_at=since)
    click.echo(f"policy version {version}" + (f", in force from {effective_at}" if effective_at else ""))
    click.echo(f"Next: edge authority publish {folder}")


@authority.command()
@FOLDER
@click.option("--clock-is-right", is_flag=True, help="Believe this machine's clock however far ahead it is.")
@PASSPHRASE
@JSON
def publish(folder: Path, clock_is_right: bool, passphrase_file: Path | None, as_json: bool) -> None:  # noqa: FBT001  # click passes options by name
    """Sign and write the publication. Run it after every change, and daily: it renews the signed time."""
    from edge.authority.publish import publish as sign

    moment = now()
    done = sign(opened(folder), moment, passphrase=asked(passphrase_file), newest=moment if clock_is_right else None)
    for warning in done.warnings:
        click.echo(f"edge: {warning}", err=True)
    click.echo(json.dumps(_publication(done)) if as_json else _published(done, folder))


def _publication(done: "Publication") -> dict[str, Any]:
    versions = done.versions
    return {
        "root": versions.root,
        "timestamp": versions.timestamp,
        "snapshot": versions.snapshot,
        "targets": versions.targets,
        "target_files": done.targets,
        "changed": list(done.changed),
        "signed": list(done.signed),
        "issued_at": done.issued_at,
        "warnings": list(done.warnings),
    }


def _published(done: "Publication", folder: Path) -> str:
    signed = f"{', '.join(done.signed)} signed anew" if done.signed else "the signed time renewed"
    changed = f"{len(done.changed)} of {done.targets} targets changed" if done.changed else signed
    return (
        f"published as timestamp {done.versions.timestamp}, targets {done.versions.targets}: {changed}\n"
        f"Serve {folder / 'publication'} with any web server, or: edge authority serve {folder}"
    )


@authority.command()
@FOLDER
@click.option("--issuer", help="Issuer id.")
@click.option("--kind", type=click.Choice(["person", "travel", "venue", "visitor"]), help="  [default: person]")
@click.option("--status", type=int, help="The issuer's status number.  [default: 0]")
@click.option("--region", type=int, help="GB/T 2260 code, six digits.  [default: the issuer's seat]")
@click.option("--surname", help="Plain surname, a hint for staff.")
@click.option("--id-tail", help="Last four characters of the document number, for the tag.")
@click.option("--show-id-tail", "shows_id_tail", is_flag=True, default=None, help="Write the tail in plain, too.")
@click.option("--birth-year", type=int, help="Plain birth year.")
@click.option("--name", help="Masked full name.")
@click.option("--valid-hours", type=float, help="Validity.  [default: 24]")
@click.option("--issued-at", metavar="TIME", help="Issue time (2026-11-23T08:00:00Z, or Unix seconds).  [default: now]")
@click.option("--visited", metavar="CODE,CODE", help="GB/T 2260 codes of a travel pass.")
@click.option("--days", type=int, help="Window of a travel pass, days.  [default: 14]")
@click.option("--venue-id", metavar="HEX", help="Id of a venue pass, 1 to 16 bytes.")
@click.option("--venue-name", help="Name of a venue pass.")
@click.option("--holder-key", metavar="HEX", help="Public key of the holder, for a live pass.")
@click.option(
    "--holder-file", metavar="FILE|-", help="These members as a JSON object, so that no process list has them."
)
@click.option("--png", type=click.Path(path_type=Path), help="Write the code as PNG.")
@click.option("--svg", type=click.Path(path_type=Path), help="Write the code as SVG.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the code's text here; with --batch, the folder.")
@click.option(
    "--batch", type=click.Path(path_type=Path), help="Issue a pass for each line of this file (JSON objects)."
)
@click.option(
    "--format", "formats", multiple=True, help="With --batch: text, png, svg; may be repeated.  [default: text]"
)
@JSON
def issue(folder: Path, batch: Path | None, as_json: bool, **given: Any) -> None:  # noqa: FBT001
    """Issue a pass as text, PNG or SVG, and note its index so that it can be revoked.

    Without --out, --png or --svg the code is printed. Personal members are better given with --holder-file.
    """
    from edge.authority import requests
    from edge.authority.issue import issue_pass

    out, drawings = given.pop("out"), {form: given.pop(form) for form in ("png", "svg")}
    formats, holder_file = given.pop("formats"), given.pop("holder_file")
    if batch is not None:
        _issue_batch(folder, batch, out, formats or ("text",), as_json=as_json)
        return
    members = requests.parse(read(Path(holder_file), _MAX_FILE).decode(errors="replace")) if holder_file else {}
    members |= _members(given)
    issued = issue_pass(opened(folder), requests.request(members, now()))
    _tell_pass(issued, {"text": out, **drawings}, as_json=as_json)


def _members(given: dict[str, Any]) -> dict[str, Any]:
    found = {name: value for name, value in given.items() if value is not None}
    if "visited" in found:
        codes = str(found["visited"]).split(",")
        if not all(code.strip().isdecimal() for code in codes):
            raise click.UsageError("--visited takes GB/T 2260 codes with commas between")
        found["visited"] = [int(code) for code in codes]
    if "issued_at" in found:
        found["issued_at"] = time_of(str(found["issued_at"]))
    return found


def _tell_pass(issued: "IssuedPass", files: dict[str, Path | None], *, as_json: bool) -> None:
    from edge.authority import batch
    from edge.disk import durable

    wanted = {form: path for form, path in files.items() if path is not None}
    for form, path in wanted.items():
        try:
            durable.write(path, batch.drawn(issued.code, form), mode=0o600)
        except OSError as error:
            raise PublicationError(f"{path} cannot be written: {error.strerror}.", "Check the folder.") from error
    told = {**batch.row(issued), **{form: str(path) for form, path in wanted.items()}}
    if as_json:
        click.echo(json.dumps({**told, "code": issued.code}, ensure_ascii=False))
        return
    if not wanted:
        click.echo(issued.code)
    place = f"list {told['list']}, index {told['index']}" if issued.place else "no status list"
    click.echo(f"issuer {issued.issuer}, key {told['key_id']}, {place}", err=True)


def _issue_batch(folder: Path, file: Path, out: Path | None, formats: tuple[str, ...], *, as_json: bool) -> None:
    from edge.authority import batch

    if out is None:
        raise click.UsageError("--batch needs --out FOLDER")
    if not set(formats) <= set(batch.FORMATS):
        raise click.UsageError(f"--format is one of {', '.join(batch.FORMATS)}")
    issued = refused = 0
    try:
        with click.open_file(str(file), "r", encoding="utf-8", errors="replace") as lines:
            for line in _with_progress(batch.issue_batch(opened(folder), lines, out, now(), formats=formats)):
                issued, refused = issued + (line.issued is not None), refused + (line.issued is None)
                if line.issued is None:
                    click.echo(f"edge: line {line.number}: {line.problem}", err=True)
    except OSError as error:
        raise PublicationError(f"{file} cannot be read: {error.strerror}.", "Check its name.") from error
    told = {"issued": issued, "refused": refused, "manifest": str(out / batch.MANIFEST)}
    click.echo(
        json.dumps(told) if as_json else f"{issued} passes issued, {refused} lines refused; see {told['manifest']}"
    )
    raise SystemExit(1 if refused else 0)


def _with_progress(lines: Iterable[Any]) -> Iterable[Any]:
    for done, line in enumerate(lines, 1):
        if sys.stderr.isatty():
            click.echo(f"\r{done} passes", nl=False, err=True)
        yield line
    if sys.stderr.isatty():
        click.echo("\r", nl=False, err=True)


@authority.command()
@FOLDER
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to serve on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8091, show_default=True, help="0 takes a free one.")
def serve(folder: Path, host: str, port: int) -> None:
    """Serve DIR/publication over HTTP, read-only, until Ctrl-C."""
    import signal

    from edge.authority.serve import bind, run

    country = opened(folder)
    if not (country.publication / "metadata" / "timestamp.json").is_file():
        raise PublicationError(f"{folder} has published nothing yet.", f"Run: edge authority publish {folder}")
    listener = bind(host, port)
    bound = listener.getsockname()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    address = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
    click.echo(f"Serving {country.publication} at http://{address}:{bound[1]} (Ctrl-C ends)")
    sys.stdout.flush()
    run(country.publication, listener)


for _part in (authority_ceremony, authority_roles, authority_lists, authority_anchors, health_rules):
    for _command in _part.COMMANDS:
        authority.add_command(_command)
