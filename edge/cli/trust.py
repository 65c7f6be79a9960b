"""`edge trust`: what this gate believes, how old it is, and bringing it up to date by hand or by stick."""

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from edge.errors import ConfigError

if TYPE_CHECKING:
    from edge.trust.fetchers import Fetcher, Way

STATE: Final = "/var/lib/edge"
_OF_ANY: Final = frozenset(("init", "refresh", "download"))
"""The commands that work on any TUF repository."""
_TRUST = click.option(
    "--trust", "folder", type=click.Path(path_type=Path), help=f"The gate's trust folder.  [default: {STATE}/trust]"
)
_CONFIG = click.option("--config", type=click.Path(path_type=Path), help="The gate's settings, to find its folder.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def _now() -> int:
    return int(time.time())  # noqa: TID251  # a technician's command, outside the gate's processes


@dataclass(frozen=True, slots=True)
class Repository:
    """Any TUF repository, by the options of the public conformance suite, in place of this gate's store.

    Attributes:
        metadata_dir: Where verified metadata is kept.
        metadata_url: Where metadata comes from.
        target_name: The targets to download.
        target_base_url: Where targets come from.
        target_dir: Where they go.
    """

    metadata_dir: Path | None
    metadata_url: str | None
    target_name: tuple[str, ...]
    target_base_url: str | None
    target_dir: Path | None

    def need(self, option: str) -> Any:
        """Return an option that must be given."""
        value = getattr(self, option)
        if value in {None, ()}:
            raise click.UsageError(f"--{option.replace('_', '-')} is missing")
        return value


@click.group()
@click.option("--metadata-dir", type=click.Path(path_type=Path), help="Keep metadata here, not in this gate's store.")
@click.option("--metadata-url", help="Where that metadata comes from.")
@click.option("--target-name", multiple=True, help="A target that `download` fetches; may be given again.")
@click.option("--target-base-url", help="Where `download` fetches it.")
@click.option("--target-dir", type=click.Path(path_type=Path), help="Where `download` puts it.")
@click.pass_context
def trust(context: click.Context, /, **options: Any) -> None:
    """See what this gate believes, and refresh it.

    With --metadata-dir, `init`, `refresh` and `download` work on any TUF repository instead, as the public conformance
    suite of TUF drives a client.
    """
    context.obj = Repository(**options)
    given = [name for name, value in options.items() if value not in {None, ()}]
    if given and context.invoked_subcommand not in _OF_ANY:
        option = given[0].replace("_", "-")
        raise click.UsageError(f"--{option} goes with {', '.join(sorted(_OF_ANY))} only; name this gate's by --trust")


def _store_folder(folder: Path | None, config: Path | None) -> Path:
    if folder is not None and config is not None:
        raise click.UsageError("name either --trust or --config")
    if folder is not None:
        return folder
    if config is None:
        return Path(STATE) / "trust"
    from edge.gate.config import load_settings

    return Path(load_settings(config).state) / "trust"


@trust.command()
@_TRUST
@_CONFIG
@_JSON
def status(folder: Path | None, config: Path | None, as_json: bool) -> None:  # noqa: FBT001
    """Verify what this gate keeps, offline, and say how old it is.

    The exit code is 0 while the trust data is fresh and its policy in force, 1 otherwise.
    """
    from edge.cli import trust_told
    from edge.trust.store import TrustStore

    store = TrustStore(_store_folder(folder, config))
    snapshot, view, changes = store.load(), store.view(), store.last_changes()
    told = trust_told.status(view, snapshot, changes, _now())
    click.echo(json.dumps(told, ensure_ascii=False) if as_json else trust_told.status_lines(told))
    raise SystemExit(0 if told["band"] == "fresh" and not told["policy_ended"] else 1)


@trust.command()
@click.argument("issuer")
@_TRUST
@_CONFIG
@click.option("--svg", "picture", type=click.Path(path_type=Path), help="Draw it into this file, too.")
@click.option("--language", type=click.Choice(("zh", "en")), default="en", show_default=True)
@_JSON
def explain(
    *,
    issuer: str,
    folder: Path | None,
    config: Path | None,
    picture: Path | None,
    language: str,
    as_json: bool,
) -> None:
    """Say by whose word this gate believes ISSUER: the chain from the root to its keys."""
    from edge.cli import trust_told
    from edge.trust.chain import chain_of
    from edge.trust.picture import svg
    from edge.trust.store import TrustStore

    store = TrustStore(_store_folder(folder, config))
    chain = chain_of(store.view(), store.load(), issuer)
    if picture is not None:
        try:
            picture.write_text(svg(chain, language), encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"{picture} cannot be written: {error.strerror}.", "Name another file.") from error
    told = json.dumps(trust_told.chain(chain), ensure_ascii=False) if as_json else None
    click.echo(told or trust_told.chain_lines(chain, language))


@trust.command()
@_TRUST
@_CONFIG
@click.argument("root", type=click.Path(path_type=Path))
@click.pass_obj
def init(repository: Repository, folder: Path | None, config: Path | None, root: Path) -> None:
    """Begin to trust with ROOT, a root.json that came by a way you trust. Enrolling a gate does this by itself."""
    from edge.errors import TrustMissing, TrustRefused
    from edge.trust.folder import MetadataFolder
    from edge.trust.store import TrustStore
    from edge.trust.workflow import LIMITS

    try:
        with root.open("rb") as file:
            data = file.read(LIMITS.root + 1)
    except OSError as error:
        raise TrustMissing(f"{root} cannot be read: {error.strerror}.", "Name the root.json to begin with.") from error
    if len(data) > LIMITS.root:
        raise TrustRefused(f"{root} is longer than {LIMITS.root} bytes.", "Name the root.json to begin with.")
    if repository.metadata_dir is not None:
        MetadataFolder.init(repository.metadata_dir, data)
        click.echo(f"{repository.metadata_dir} trusts {root}")
        return
    store = TrustStore.init(_store_folder(folder, config), data)
    click.echo(f"{store.folder} trusts {root}; fetch the rest: edge trust refresh --from ADDRESS")


@trust.command()
@_TRUST
@_CONFIG
@click.option("--from", "source", metavar="URL|DIR", help="The publication: an address, a folder or a stick.")
@_JSON
@click.pass_obj
def refresh(
    repository: Repository,
    *,
    folder: Path | None,
    config: Path | None,
    source: str | None,
    as_json: bool,
) -> None:
    """Bring the trust data up to date from an address, a folder or a stick; the same rules hold for each."""
    if repository.metadata_dir is not None:
        _refresh_folder(repository)
        return
    if source is None:
        raise click.UsageError("name the publication with --from")
    _refresh_store(source, folder, config, as_json=as_json)


def _refresh_store(source: str, folder: Path | None, config: Path | None, *, as_json: bool) -> None:
    from edge.trust.stick import Told
    from edge.trust.store import TrustStore

    store = TrustStore(_store_folder(folder, config))
    with _fetcher(source, config) as fetcher, _progress("fetched") as tell:
        result = store.refresh(Told(fetcher, tell), _now())
    versions, withheld, outlived = result.versions, sorted(result.withheld), sorted(result.outlived)
    if as_json:
        told = {"changed": result.changed, "timestamp": versions.timestamp, "targets": versions.targets}
        told |= {"root": versions.root, "fetched": result.fetched}
        click.echo(json.dumps({**told, "withheld": withheld, "outlived": outlived}))
        return
    done = (
        f"now timestamp {versions.timestamp}" if result.changed else f"nothing new since timestamp {versions.timestamp}"
    )
    click.echo(f"{done}, targets {versions.targets}; {result.fetched} files fetched")
    if withheld:
        click.echo(f"left out, because they came expired: {', '.join(withheld)}; they must publish again")
    if outlived:
        click.echo(
            f"run out, and counting for thirty days more at most: {', '.join(outlived)}; they must publish again"
        )


def _refresh_folder(repository: Repository) -> None:
    from edge.trust.download import refresh as refresh_folder
    from edge.trust.folder import MetadataFolder

    kept = MetadataFolder(repository.need("metadata_dir"))
    with _two_addresses(repository) as fetcher:
        floors = refresh_folder(kept, fetcher, _now())
    click.echo(f"root {floors.root.version}, timestamp {floors.timestamp.version if floors.timestamp else 0}")


@trust.command()
@_TRUST
@_CONFIG
@click.pass_obj
def download(repository: Repository, folder: Path | None, config: Path | None) -> None:
    """Put each verified target --target-name into --target-dir.

    It comes from this gate's store, or, with --metadata-dir, --metadata-url and --target-base-url, from any repository.
    """
    names, into = repository.need("target_name"), repository.need("target_dir")
    is_ours = repository.metadata_dir is None
    for place in _copied(names, into, folder, config) if is_ours else _downloaded(repository, names, into):
        click.echo(str(place))


def _downloaded(repository: Repository, names: tuple[str, ...], into: Path) -> "Iterator[Path]":
    from edge.trust.download import download as download_targets
    from edge.trust.folder import MetadataFolder
    from edge.trust.update import Update

    kept = MetadataFolder(repository.need("metadata_dir"))
    repository.need("target_base_url")
    with _two_addresses(repository) as fetcher:
        yield from download_targets(names, into, Update(kept, fetcher, _now()), fetcher)


def _copied(names: tuple[str, ...], into: Path, folder: Path | None, config: Path | None) -> "Iterator[Path]":
    from edge.trust.download import place_of, put
    from edge.trust.store import TrustStore

    store = TrustStore(_store_folder(folder, config))
    for name in names:
        place = place_of(name, into)
        put(place, store.target(name))
        yield place


@contextmanager
def _two_addresses(repository: Repository) -> "Iterator[Fetcher]":
    from edge.errors import TrustRefused
    from edge.trust.download import TwoAddresses

    base = repository.target_base_url
    for address in (repository.need("metadata_url"), base):
        if address is not None and "://" in address and not address.startswith(("http://", "https://")):
            raise TrustRefused(
                f"{address} is not an address this client can ask.", "Use http://, https:// or a folder."
            )
    with _fetcher(repository.need("metadata_url")) as metadata:
        if base is None:
            yield TwoAddresses(metadata, None)
            return
        with _fetcher(base) as targets:
            yield TwoAddresses(metadata, targets)


@trust.command("export-usb")
@click.argument("stick", type=click.Path(path_type=Path))
@click.option("--from", "source", metavar="URL|DIR", help="Another publication.  [default: what this gate believes]")
@_TRUST
@_CONFIG
@_JSON
def export_usb(*, stick: Path, source: str | None, folder: Path | None, config: Path | None, as_json: bool) -> None:
    """Write the trust data to STICK, a mounted USB stick: the same files that a mirror serves.

    It may be stopped and run again; what is on the stick already is not written again.
    """
    from edge.trust.stick import Told, export, gathered
    from edge.trust.store import TrustStore

    now = _now()
    with tempfile.TemporaryDirectory(prefix="edge-trust-") as scratch, _progress("read") as tell:
        if source is None:
            publication = TrustStore(_store_folder(folder, config)).publication()
        else:
            with _fetcher(source) as fetcher:
                publication = gathered(Told(fetcher, tell), Path(scratch), now)
        with _progress("written") as told:
            done = export(publication, stick, now=now, tell=told)
    version = publication.timestamp.signed.version
    if as_json:
        click.echo(json.dumps({"timestamp": version, **asdict(done)}))
        return
    click.echo(
        f"{stick} carries timestamp {version}: {done.files} files, {done.size} bytes, {done.written} written now"
    )


@trust.command("import-usb")
@click.argument("stick", type=click.Path(path_type=Path))
@_TRUST
@_CONFIG
@_JSON
def import_usb(*, stick: Path, folder: Path | None, config: Path | None, as_json: bool) -> None:
    """Take the trust data from STICK, a mounted USB stick; what does not verify changes nothing."""
    _refresh_store(str(stick.absolute()), folder, config, as_json=as_json)


@contextmanager
def _progress(what: str) -> "Iterator[Callable[[int, int], None]]":
    """Show how far a command has come, to a person who watches."""
    shown = sys.stderr.isatty()

    def tell(files: int, size: int) -> None:
        if shown:
            click.echo(f"\r{what}: {files} files, {size / 1e6:.1f} MB ", nl=False, err=True)

    yield tell
    if shown:
        click.echo("\r\033[K", nl=False, err=True)


@contextmanager
def _fetcher(source: str, config: Path | None = None) -> "Iterator[Fetcher]":
    from edge.trust.fetchers import FolderFetcher, HttpFetcher
    from edge.trust.opening import publication_of

    if "://" not in source:
        folder = Path(source)
        yield FolderFetcher(publication_of(folder) or folder)
        return
    fetcher = HttpFetcher(source, _way(config))
    try:
        yield fetcher
    finally:
        fetcher.close()


def _way(config: Path | None) -> "Way":
    from edge.trust.fetchers import Way

    if config is None:
        return Way()
    from edge.gate.config import load_settings

    settings = load_settings(config)
    return Way(settings.sync.timeout_s, ca_file=settings.trust.ca_file, proxy=settings.trust.proxy)
