"""`edge hub backup`, `restore`, `role-key` and `destroy`: what keeps the ledger, and what ends it."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from edge.cli import answers
from edge.disk import bounded
from edge.errors import ConfigError

if TYPE_CHECKING:
    from edge.hub.backup import Restored
    from edge.hub.retention import Request

_DIR = click.argument("directory", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
_JSON = click.option("--json", "as_json", is_flag=True, help="Answer in JSON, for scripts.")
_KEY_BYTES: Final = 32
_MOST_OF_A_KEY: Final = 4096


@click.command()
@_DIR
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@_JSON
def backup(directory: Path, file: Path, *, as_json: bool) -> None:
    """Write a copy of the ledger to FILE; works while the hub serves.

    No private part is in it. The keys of the folder are not: keep copies of hub.key and hub.toml apart.
    """
    from edge.hub import folder
    from edge.hub.backup import back_up
    from edge.hub.hub import system_clock

    made = back_up(folder.load(directory), file, _tell, system_clock())
    if as_json:
        answers.print_json({"file": str(file), "hub_seq": made.hub_seq, "bytes": made.size})
        return
    click.echo(f"{made.hub_seq} entries, {made.size} bytes, in {file}")


@click.command()
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@_DIR
@_JSON
def restore(file: Path, directory: Path, *, as_json: bool) -> None:
    """Put the backup FILE in the place of the database in DIR, which has the hub's keys; the hub must not serve.

    Gates that have receipts for more show them and send again what they still hold.
    """
    from edge.hub.backup import restore as put_back

    done = put_back(file, directory, _tell)
    if as_json:
        ahead = [{**answers.fields_of(one), "gate": one.gate.hex()} for one in done.ahead]
        told = {"made_ms": done.made_ms, "hub_seq": done.hub_seq, "entries": done.entries, "ahead": ahead}
        answers.print_json({**told, "aside": str(done.aside) if done.aside else None})
        return
    _show(done)


def _show(done: "Restored") -> None:
    from edge.hub.pull import iso

    click.echo(f"{done.entries} entries verified and put back, as of {iso(done.made_ms)}.")
    if done.aside is not None:
        click.echo(f"The former database is kept: {done.aside}")
    click.echo(f"Whoever pulled beyond hub_seq {done.hub_seq} begins there again: --after {done.hub_seq}")
    click.echo(
        "Gates retired and tokens revoked since are so no longer: do it again. Gates enrolled since enrol again."
    )
    if done.ahead:
        click.echo("These may have receipts for more; they show them and send again what they still hold:")
        rows = [(one.site, one.lane, one.gate.hex()[:8], one.held) for one in done.ahead]
        answers.table(("site", "lane", "gate", "held"), rows)


def _tell(done: int, whole: int) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r\033[K{done} of {whole} pages", nl=done == whole, err=True)


@click.command("role-key")
@click.argument("directory", metavar="[DIR]", required=False, type=click.Path(path_type=Path, file_okay=False))
@click.option("--role", required=True, type=click.Choice(["auditor", "operator"]))
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Make a key and write it there.")
@click.option("--public", metavar="HEX", help="Take a key that was made elsewhere, by its public half.")
def role_key(directory: Path | None, role: str, out: Path | None, public: str | None) -> None:
    """Make a key that signs for destruction, and let it do so at the hub in DIR if one is named."""
    from nacl.signing import SigningKey

    from edge.hub import folder, retention
    from edge.hub.hub import system_clock
    from edge.hub.store import Store

    if (out is None) == (public is None):
        raise ConfigError("Name one of --out and --public.", "--out makes a key, --public takes one made elsewhere.")
    if out is not None and out.exists():
        raise ConfigError(f"{out} exists.", "Keys are never overwritten: choose another file.")
    key = _public(public) if public is not None else SigningKey.generate()
    half = key if isinstance(key, bytes) else key.verify_key.encode()
    home = folder.load(directory) if directory is not None else None
    # First the key: the hub must not wait for signatures of one that nobody has.
    if out is not None and not isinstance(key, bytes):
        answers.write_secret(out, key.encode())
    if home is not None:
        store = Store(home.database)
        store.migrate()
        with store.writing() as connection:
            retention.add_role(connection, role, half, system_clock())
    click.echo(f"{role}: {half.hex()}")


@click.command()
@click.argument("directory", metavar="[DIR]", required=False, type=click.Path(path_type=Path, file_okay=False))
@click.option("--before", type=click.DateTime(["%Y-%m-%d"]), help="What came to the hub before this day (UTC).")
@click.option("--evidence", is_flag=True, help="Ask for the batches kept as evidence of incidents, not for the ledger.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write the request there.")
@click.option("--sign", type=click.Path(path_type=Path, dir_okay=False, exists=True), help="Sign this request.")
@click.option("--key", type=click.Path(path_type=Path, dir_okay=False, exists=True), help="Key of one of its signers.")
@click.option("--apply", "applied", type=click.Path(path_type=Path, dir_okay=False, exists=True), help="Carry it out.")
def destroy(
    directory: Path | None,
    *,
    before: datetime | None,
    evidence: bool,
    out: Path | None,
    sign: Path | None,
    key: Path | None,
    applied: Path | None,
) -> None:
    """Destroy facts past their retention, under the signatures of an operator and an auditor.

    DIR --before DAY --out REQUEST asks, --sign REQUEST --key FILE signs, DIR --apply REQUEST destroys.
    """
    if sign is not None and key is not None:
        _sign(sign, key)
    elif directory is not None and before is not None and out is not None:
        _ask(directory, before, out, is_of_evidence=evidence)
    elif directory is not None and applied is not None:
        _apply(directory, applied)
    else:
        raise ConfigError("The options do not fit together.", "See: edge hub destroy --help")


def _ask(directory: Path, before: datetime, out: Path, *, is_of_evidence: bool) -> None:
    from edge.hub import folder, retention
    from edge.hub.hub import system_clock
    from edge.hub.store import Store
    from edge.ledger import destruction

    home = folder.load(directory)
    store = Store(home.database)
    store.migrate()
    before_ms = int(before.replace(tzinfo=UTC).timestamp() * 1000)
    what = destruction.EVIDENCE if is_of_evidence else destruction.FACTS
    request = retention.ask(store, before_ms, home.config.facts_days, system_clock(), what=what)
    answers.write_secret(out, retention.packed(request))
    of = "pieces of evidence" if is_of_evidence else "logs"
    click.echo(f"{request.stated.count} entries of {len(request.stated.spans)} {of}. It counts once these signed:")
    for signer in request.stated.signers:
        click.echo(f"  {signer.role}: {signer.public.hex()}")
    if not is_of_evidence and (left := retention.left_as_evidence(store, before_ms)):
        click.echo(f"{left} pieces of evidence have facts from before that day, too: ask for them with --evidence.")


def _sign(file: Path, key: Path) -> None:
    from nacl.signing import SigningKey

    from edge.hub import retention

    seed = _named(key, _MOST_OF_A_KEY, "edge hub role-key")
    if len(seed) != _KEY_BYTES:
        raise ConfigError(f"{key} is no key.", "Name a file made by: edge hub role-key")
    request = retention.sign(_request(file), SigningKey(seed))
    answers.write_secret(file, retention.packed(request))
    signed = f"{len(request.signatures)} of {len(request.stated.signers)}"
    click.echo(f"Signed for {request.stated.count} entries; {signed} signatures.")


def _apply(directory: Path, file: Path) -> None:
    from edge.hub import folder, retention, spool
    from edge.hub.hub import system_clock
    from edge.hub.store import Store

    store = Store(folder.load(directory).database)
    store.migrate()
    request = _request(file)
    # Exports that are being fetched hold the facts, also one that is begun meanwhile.
    spool.empty(directory)
    count = retention.apply(store, request, _tell_batches, system_clock())
    spool.empty(directory)
    of = "batches" if request.stated.what == "facts" else "pieces of evidence"
    click.echo(f"The facts of {request.stated.count} entries in {count} {of} are destroyed, the certificate kept.")


def _request(file: Path) -> "Request":
    from edge.hub import retention

    return retention.opened(_named(file, retention.MAX_REQUEST, "edge hub destroy DIR --before DAY --out FILE"))


def _named(file: Path, most: int, made_by: str) -> bytes:
    try:
        return bounded.read(file, most)
    except OSError as failed:
        raise ConfigError(f"{file} cannot be read: {failed.strerror}.", f"Name a file made by: {made_by}") from failed


def _public(text: str) -> bytes:
    from edge.codec import ed25519
    from edge.errors import EncodingRefused

    try:
        public = bytes.fromhex(text)
        ed25519.refuse_weak_point(public)
    except (ValueError, EncodingRefused) as bad:
        raise ConfigError("--public is no Ed25519 key.", "Give the 64 hex digits that role-key prints.") from bad
    return public


def _tell_batches(done: int) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r\033[K{done} batches", nl=False, err=True)


COMMANDS: Final = (backup, restore, role_key, destroy)
