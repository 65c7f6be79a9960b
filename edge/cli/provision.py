"""`edge provision init|enroll|show|pin`: give this device its key and enrol it at a hub."""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from edge.cli.place import CONFIG, of_a_gate, settings_of, state_of
from edge.errors import ConfigError, EnrolmentError

if TYPE_CHECKING:
    from edge.ledger.enrolment import Invitation

_MIN_PIN: Final = 4
_MAX_PIN: Final = 64
_MAX_LINE: Final = 2000


@click.group()
def provision() -> None:
    """Give this device its key and enrol it at a hub.

    First `init`, then `enroll` with the code the hub made.
    """


@provision.command()
@of_a_gate
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def init(config: Path | None, state: Path | None, as_json: bool) -> None:  # noqa: FBT001
    """Make the device key; an existing one is kept."""
    from edge.errors import IdentityBroken
    from edge.identity.identity import KEY_FILE, identify, make_identity
    from edge.ledger.device import fingerprint, gate_id
    from edge.provision import owner

    folder = state_of(config, state)
    with owner.writing(folder, KEY_FILE):
        public = make_identity(folder).verify_key.encode()
    row = {"gate": gate_id(public).hex(), "fingerprint": fingerprint(public), "state": str(folder)}
    try:
        identify(folder)
    except IdentityBroken as broken:
        # The key is as good as new, but what lies beside it is not of this gate.
        click.echo(f"Warning: {broken}", err=True)
    if as_json:
        click.echo(json.dumps(row))
        return
    click.echo(f"gate         {row['gate']}\nfingerprint  {row['fingerprint']}")
    click.echo("Next: edge provision enroll CODE (the hub makes one: edge hub invite DIR --site SITE --lane LANE)")


@provision.command()
@click.argument("code", metavar="CODE|IMAGE|-")
@of_a_gate
@click.option(
    "--ca-file",
    type=click.Path(exists=True, dir_okay=False),
    help="Certificates (PEM) an https hub is held to; [sync] ca_file if not given.",
)
@click.option("--yes", is_flag=True, help="Do not ask to compare the hub's fingerprint.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; implies --yes.")
def enroll(code: str, config: Path | None, state: Path | None, *, yes: bool, as_json: bool, **named: str) -> None:
    """Enrol this device with the code a hub made.

    CODE is the text EDGE1:... in single quotes, a picture or text file of it, or - for standard input. The same command
    may be run again after anything went wrong.
    """
    from functools import partial

    from edge.gate.clock import now_ms
    from edge.provision.enrol import check_time, enrol, over_http, read_invitation

    is_asked = not (yes or as_json)
    if is_asked and (code == "-" or not sys.stdin.isatty()):
        raise click.UsageError(
            "nobody is there to compare the hub's fingerprint: add --yes if you know where it is from."
        )
    settings = settings_of(config, state)
    folder, authorities = Path(settings.state), named["ca_file"] or settings.sync.ca_file
    invitation = read_invitation(sys.stdin.readline(_MAX_LINE).strip() if code == "-" else code)
    check_time(invitation, now_ms() // 1000)
    if is_asked:
        _ask(folder, invitation)
    done = enrol(folder, invitation, now_ms, connect=partial(over_http, authorities=authorities))
    row = _row(done.enrolment) | {"trust_version": done.trust_version, "trust_problem": done.trust_problem}
    if as_json:
        click.echo(json.dumps(row, ensure_ascii=False))
        return
    click.echo(f"This is gate {row['gate'][:8]} of {row['site']}, {row['lane']}; its hub is {row['hub']}.")
    if done.trust_problem:
        click.echo(f"Trust data is still missing: {done.trust_problem}", err=True)
    else:
        click.echo(f"Trust data is here (timestamp {done.trust_version}). Next: edge gate run")


def _ask(folder: Path, invitation: "Invitation") -> None:
    """Show whose invitation it is and what it replaces; abort where a person says no."""
    from edge.identity.identity import load_enrolment
    from edge.ledger.device import fingerprint

    click.echo(f"hub          {invitation.hub_url}\nfingerprint  {fingerprint(invitation.hub_key)}")
    click.echo(f"site         {invitation.site}, {invitation.lane}")
    try:
        before = load_enrolment(folder)
    except EnrolmentError as damaged:
        click.echo(f"before       {damaged.message}")
    else:
        if before is not None:
            click.echo(f"before       {before.site}, {before.lane}, hub {before.hub_url}: this takes its place")
    click.confirm("Is this the fingerprint that edge hub invite showed?", abort=True)


def _row(enrolment: Any) -> dict[str, Any]:
    return {
        "gate": enrolment.gate.hex(),
        "site": enrolment.site,
        "lane": enrolment.lane,
        "region": enrolment.region,
        "hub": enrolment.hub_url,
        "trust": enrolment.trust_url,
        "enrolled_at": enrolment.enrolled_at,
    }


@provision.command()
@of_a_gate
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(config: Path | None, state: Path | None, as_json: bool) -> None:  # noqa: FBT001
    """Say who this device is and what it was enrolled as."""
    from edge.identity.identity import identify, load_identity
    from edge.ledger.device import fingerprint, gate_id

    folder = state_of(config, state)
    identity = identify(folder)
    public = load_identity(folder).verify_key.encode()
    enrolment = identity.enrolment if identity is not None else None
    row = {"gate": gate_id(public).hex(), "fingerprint": fingerprint(public), "enrolled": enrolment is not None}
    row |= _row(enrolment) if enrolment is not None else {}
    if as_json:
        click.echo(json.dumps(row, ensure_ascii=False))
        return
    for name, value in row.items():
        click.echo(f"{name:12} {value}")
    if enrolment is None:
        click.echo("Next: edge provision enroll CODE")


@provision.command()
@of_a_gate
@click.option(
    "--out", type=click.Path(path_type=Path), help="File to write.  [default: staff.pin_file of the settings]"
)
def pin(config: Path | None, state: Path | None, out: Path | None) -> None:
    """Set the PIN that supervisors override with; asked twice, or read from standard input when it is no terminal."""
    from nacl.pwhash import str as hash_password

    from edge.disk import durable
    from edge.provision import owner

    path = out or _pin_file(config, state)
    chosen = (
        click.prompt("PIN", hide_input=True, confirmation_prompt=True) if sys.stdin.isatty() else sys.stdin.readline()
    )
    chosen = chosen.strip()
    if not _MIN_PIN <= len(chosen) <= _MAX_PIN:
        raise EnrolmentError("A PIN has 4 to 64 characters.", "Choose another.")
    try:
        with owner.writing(path.parent, path.name):
            durable.write(path, hash_password(chosen.encode()) + b"\n", mode=0o600)
    except OSError as error:
        raise EnrolmentError(
            f"{path} cannot be written: {os.strerror(error.errno or 0)}.", "Run as the gate's user."
        ) from error
    click.echo(f"The PIN's hash is in {path}.")


def _pin_file(config: Path | None, state: Path | None) -> Path:
    from edge.gate.config import load_settings

    if state is not None:
        return state / "pin"
    name = load_settings(config or Path(CONFIG)).staff.pin_file
    if not name:
        raise ConfigError(
            "The settings name no PIN file.", 'Set pin_file = "pin" under [staff] in gate.toml, or use --out.'
        )
    return Path(name)
