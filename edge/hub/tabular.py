"""Scans as tables: CSV for spreadsheets, Parquet for everything that counts millions of rows.

CSV follows RFC 4180 (CRLF, quotes doubled) and cannot make a spreadsheet calculate: a cell that would begin a formula
gets an apostrophe before it. A record is one line, so a torn file can be mended: line breaks inside a cell become
spaces. Parquet is written and read by DuckDB, an optional extra.
"""

import importlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from edge.errors import ConfigError, LibraryMissing
from edge.hub.pull import AFTER, BEFORE, FIELDS, Page, Row, iso, worded

CSV_TYPE: Final = "text/csv; charset=utf-8; header=present"
CSV_HEADER: Final = (",".join(FIELDS) + "\r\n").encode()
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
_QUOTED: Final = frozenset('",\r\n')
_BREAKS: Final = str.maketrans("\r\n\v\f\x1c\x1d\x1e\x85\u2028\u2029", " " * 10)

_INTEGERS: Final = frozenset(
    (
        *("hub_seq", "seq", "at_ms", "status", "region", "trust_version", "policy_version", "duration_ms"),
        *("count", "refers_to", "source"),
    )
)
_GLOB: Final = frozenset("*?[]{}")
_FETCH: Final = 10_000


def csv_lines(page: Page) -> Iterator[bytes]:
    """Give the page as CSV without its header, some hundred lines at a time."""
    for chunk in page.chunks():
        yield "".join([_csv_line(page, row) for row in chunk]).encode()


def _csv_line(page: Page, row: Row) -> str:
    hub_seq, log, place, seq, at_ms, duration_ms, trust, policy, *lasting = row
    origin = _origin(*page.logs[log], *page.places[place])
    before, after = _facts(*lasting)
    time = iso(at_ms) or ""
    if at_ms is None:
        at_ms = duration_ms = trust = policy = ""
    return f"{hub_seq},{origin},{seq},{time},{at_ms},{before},{trust},{policy},{duration_ms},{after}\r\n"


@lru_cache(maxsize=4096)
def _origin(gate: bytes, epoch: bytes, site: str, lane: str) -> str:
    return ",".join((gate.hex(), cell(site), cell(lane), epoch.hex()))


@lru_cache(maxsize=4096)
def _facts(*lasting: Any) -> tuple[str, str]:
    found = worded(lasting)
    return ",".join(cell(found[name]) for name in BEFORE), ",".join(cell(found[name]) for name in AFTER)


def cell(value: str | int | None) -> str:
    """Return a value as a cell of CSV that no spreadsheet takes for a formula (RFC 4180, 2.6 and 2.7; OWASP)."""
    if value is None:
        return ""
    if isinstance(value, int):
        return str(value)
    text = f"'{value}" if value.startswith(_FORMULA) else value
    text = text.translate(_BREAKS)
    return '"' + text.replace('"', '""') + '"' if _QUOTED & set(text) else text


def to_parquet(ndjson: Path, parquet: Path) -> None:
    """Write a file of NDJSON lines as Parquet (zstd, delta-encoded numbers); blocks.

    Args:
        ndjson: Lines as `Page.lines` gives them.
        parquet: The file; replaced where there is one.

    Raises:
        LibraryMissing: DuckDB is not installed.
        ConfigError: A path holds a wildcard, or the file cannot be written.
    """
    duckdb = _library()
    columns = {name: "BIGINT" if name in _INTEGERS else "VARCHAR" for name in FIELDS}
    columns["at"] = "TIMESTAMP"
    typed = ", ".join(f"'{name}': '{kind}'" for name, kind in columns.items())
    source = f"read_json({_quoted(ndjson)}, format='newline_delimited', columns={{{typed}}})"
    options = "FORMAT parquet, COMPRESSION zstd, PARQUET_VERSION V2"
    try:
        with duckdb.connect(config=_CONFIG) as connection:
            connection.execute(f"COPY (SELECT * FROM {source}) TO {_quoted(parquet)} ({options})")  # noqa: S608 - quoted
    except duckdb.Error as failed:
        raise ConfigError(
            f"{parquet} cannot be written: {_said(failed)}.", "Make room, or choose another folder."
        ) from failed


def from_parquet(parquet: Path) -> Iterator[dict[str, Any]]:
    """Give the rows of a Parquet file as the objects the NDJSON lines hold, in order.

    Raises:
        LibraryMissing: DuckDB is not installed.
        ConfigError: It cannot be read as a table of scans.
    """
    duckdb = _library()
    chosen = ", ".join(
        # The time of a row is told by its milliseconds; whether the column agrees with them is asked beside it.
        'epoch_ms("at")' if name == "at" else f'"{name}"'
        for name in FIELDS
    )
    try:
        with duckdb.connect(config=_CONFIG) as connection:
            found = connection.execute(f"SELECT {chosen} FROM read_parquet({_quoted(parquet)})")  # noqa: S608 - quoted
            while rows := found.fetchmany(_FETCH):
                for row in rows:
                    scan = dict(zip(FIELDS, row, strict=True))
                    yield scan | {"at": iso(scan["at"])}
    except duckdb.Error as failed:
        raise ConfigError(f"{parquet} is no table of scans: {_said(failed)}.", "Export it again.") from failed


# No extension is ever fetched: what is not in the wheel is not used.
_CONFIG: Final = {"autoinstall_known_extensions": "false", "threads": "1"}


def check_library() -> None:
    """Say early that Parquet cannot be written here.

    Raises:
        LibraryMissing: DuckDB is not installed.
    """
    _library()


def _library() -> Any:
    try:
        return importlib.import_module("duckdb")
    except ImportError as missing:
        raise LibraryMissing(
            "Parquet needs the library DuckDB, which is not installed.",
            "Install it: pip install 'edge[parquet]', or take another format.",
        ) from missing


def _said(error: Exception) -> str:
    return str(error).partition("\n")[0].rstrip(".")


def _quoted(path: Path) -> str:
    name = str(path.absolute())
    if _GLOB & set(name):
        raise ConfigError(f"{path} holds a wildcard, which DuckDB would follow.", "Choose a folder without * ? [ ] { }")
    return "'" + name.replace("'", "''") + "'"
