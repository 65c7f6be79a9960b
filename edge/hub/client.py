"""A small client of a hub, and what the command line uses: scans by cursor, gates, incidents, coverage.

    hub = Client(Source("https://hub.example:8090", read_token(Path("operator.token"))))
    for scan in hub.scans(Query(after=0, filters={"outcome": "reject"})):
        ...

Everything that comes back is bounded and looked at before it is believed: a captive portal's page is no scan. A token
never goes anywhere but to the address it was meant for, so redirects are not followed and proxies not used. A hub that
names a time to come back in (429, 503) is waited for; a broken connection is an error, for the caller knows his cursor.
Files are left to `edge.hub.outfile`.
"""

import http
import http.client
import ipaddress
import json
import operator
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from edge.errors import AnswerRefused, ConfigError, TransportError
from edge.hub import exchange
from edge.hub.forms import FORMS
from edge.ledger import wire

PAGE: Final = 10_000
MAX_LINE: Final = 64 * 1024
MAX_DOCUMENT: Final = 64 << 20
"""Largest answer that is one document, bytes."""
MAX_PIECE: Final = 16 << 20
"""Largest piece of a file, bytes."""
_BLOCK: Final = 256 * 1024
_MAX_TOKEN_FILE: Final = 512
_TRIES: Final = 5
_POLL_S: Final = 2.0
_Result = TypeVar("_Result")
_NO_FILTERS: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Source:
    """Where to pull from.

    Attributes:
        url: Address of the hub.
        token: Operator or auditor token.
        ca_file: PEM file of the certificates an https hub is held to; empty: those of the system.
    """

    url: str
    token: str = field(repr=False)
    ca_file: str = ""


def read_token(file: Path) -> str:
    """Return the token in a file.

    Raises:
        ConfigError: It cannot be read or holds none.
    """
    try:
        with file.open("rb") as opened:
            token = opened.read(_MAX_TOKEN_FILE).decode("ascii").strip()
    except OSError as unreadable:
        raise ConfigError(
            f"The token file {file} cannot be read: {unreadable.strerror}.", "Name the hub's operator.token."
        ) from unreadable
    except UnicodeDecodeError as bad:
        raise ConfigError(f"{file} holds no token.", "Name the hub's operator.token.") from bad
    if not token or not token.isprintable() or " " in token:
        raise ConfigError(f"{file} holds no token.", "Name the hub's operator.token.")
    return token


@dataclass(frozen=True, slots=True)
class Query:
    """Which scans are wanted, in which form.

    Attributes:
        after: Cursor to go on behind.
        limit: Most scans, None for all there are.
        until: Last hub sequence number wanted, None for no end.
        form: One of `edge.hub.forms.FORMS` that has lines.
        filters: `gate`, `site`, `outcome`, `reason`, `type`, `since`, `before`, as `/v1/scans` takes them.
    """

    after: int = 0
    limit: int | None = None
    until: int | None = None
    form: str = "ndjson"
    filters: Mapping[str, str] = field(default_factory=lambda: _NO_FILTERS)


@dataclass(frozen=True, slots=True)
class Fetched:
    """A page that came over.

    Attributes:
        lines: Whole lines, without the header of the form.
        cursor: Up to where the ledger was looked through.
        top: The last hub sequence number there was, or the cursor where that was not said.
        is_end: Whether there was nothing behind it.
    """

    lines: list[bytes]
    cursor: int
    top: int
    is_end: bool


@dataclass(frozen=True, slots=True)
class Manifest:
    """The manifest of an export that is ready, unverified.

    Attributes:
        key: What its files are asked for by.
        text: The manifest.
    """

    key: str
    text: bytes


@dataclass(frozen=True, slots=True)
class Making:
    """An export the hub is still making.

    Attributes:
        day: The day it is at, empty before the first.
        done: Batches done of it.
        total: Batches of it.
        retry_after_s: When to ask again, seconds.
    """

    day: str
    done: int
    total: int
    retry_after_s: float = 1.0


class Client:
    """A hub, asked by somebody with a token.

    Args:
        source: Where it is, and the token.
        sleep: Waits for seconds.
        tries: How often a hub that says it is busy is asked.
    """

    def __init__(self, source: Source, *, sleep: Callable[[float], None] = time.sleep, tries: int = _TRIES) -> None:
        self.source = source
        self._sleep = sleep
        self._tries = tries

    def pages(self, query: Query) -> Iterator[Fetched]:
        """Give pages until the end of the ledger, or of what was asked for.

        Raises:
            TransportError: The hub cannot be reached or refuses; go on from the last page's cursor.
        """
        left = query.limit
        while left is None or left > 0:
            size = PAGE if left is None else min(PAGE, left)
            page = self._patiently(partial(fetch, self.source, replace(query, limit=size)))
            if page.lines or page.cursor > query.after:
                yield page
            if page.is_end or page.cursor <= query.after:
                return
            query = replace(query, after=page.cursor)
            left = None if left is None else left - len(page.lines)

    def scans(self, query: Query) -> Iterator[dict[str, Any]]:
        """Give scans as objects; the cursor is `hub_seq`.

        Raises:
            TransportError: The hub cannot be reached or refuses.
        """
        for page in self.pages(replace(query, form="ndjson")):
            for line in page.lines:
                yield json.loads(line)

    def follow(self, query: Query, *, poll_s: float = _POLL_S) -> Iterator[dict[str, Any]]:
        """Give scans as objects, and wait for more; has no end.

        Raises:
            TransportError: The hub cannot be reached or refuses; go on behind the last `hub_seq`.
        """
        while True:
            for page in self.pages(replace(query, form="ndjson")):
                for line in page.lines:
                    yield json.loads(line)
                query = replace(query, after=page.cursor)
            self._sleep(poll_s)

    def status(self) -> Any:
        """Return the hub's health in numbers (`/v1/status`)."""
        return self.document("/v1/status")

    def gates(self) -> Any:
        """Return the state of every gate (`/v1/gates`)."""
        return self.document(wire.GATES)

    def incidents(self) -> Any:
        """Return what went wrong and is not dealt with (`/v1/incidents`)."""
        return self.document(wire.INCIDENTS)

    def coverage(self, day: str) -> Any:
        """Return the signed statement about a UTC day, like 2026-11-24 (`edge.hub.coverage`)."""
        return self.document(f"{wire.COVERAGE}/{day}")

    def export(self, days: Sequence[str], views: Sequence[str]) -> Manifest | Making:
        """Return the manifest of an export, or how far the hub is with making it (`edge.hub.remote_export`).

        Raises:
            TransportError: The hub cannot be reached or refuses.
        """
        asked = urlencode([*(("day", day) for day in days), *(("view", view) for view in views)])
        return self._patiently(partial(_export, self.source, f"{wire.EXPORT}?{asked}"))

    def exported(self, asked: tuple[str, str, str], begin: int) -> bytes:
        """Return a piece of a file of an export: its key, day and name, from this byte on; nothing behind its end.

        Raises:
            TransportError: The hub cannot be reached or refuses.
        """
        path = f"{wire.EXPORT}/{'/'.join(map(quote, asked))}?{urlencode({'from': begin})}"
        return self._patiently(partial(_piece, self.source, path))

    def token_queries(self) -> Any:
        """Return who asked which scans were of one pass, with counts by purpose (`/v1/token-queries`)."""
        return self.document(wire.QUERIES)

    def ask_token(self, question: Mapping[str, Any]) -> Any:
        """Ask which scans were of one pass: `day`, `scan` or `token`, `purpose`, `most` (`edge.hub.token_queries`)."""
        return self.document(wire.QUERIES, json.dumps(dict(question)).encode())

    def approve_token(self, number: int) -> Any:
        """Approve another person's question, in the other role."""
        return self.document(f"{wire.QUERIES}/{number}/approval", b"")

    def answer_token(self, number: int) -> Any:
        """Take the answer to one's own question, once: a broken connection costs it, and it is asked anew."""
        return self.document(f"{wire.QUERIES}/{number}/answer", b"")

    def document(self, path: str, body: bytes | None = None) -> Any:
        """Return one JSON document of the hub.

        Args:
            path: Its path.
            body: What to post there, None to get it.

        Raises:
            TransportError: The hub cannot be reached or refuses.
        """
        return self._patiently(partial(_document, self.source, path, body))

    def _patiently(self, ask: Callable[[], _Result]) -> _Result:
        for tried in range(1, self._tries + 1):
            try:
                return ask()
            except AnswerRefused as refused:
                if refused.status not in {429, 503} or tried == self._tries:
                    raise
                self._sleep(refused.retry_after_s or 2.0**tried)
        raise AssertionError("at least one try is made")


def fetch(source: Source, query: Query) -> Fetched:
    """Return the next page, whole lines only.

    Raises:
        Unreachable: Nobody answered, or the connection broke before the first line.
        AnswerRefused: Somebody answered something else.
    """
    numbers = {"after": query.after, "limit": query.limit, "until": query.until, "format": query.form}
    asked = {name: value for name, value in numbers.items() if value is not None} | dict(query.filters)
    form = FORMS[query.form]
    with exchange.opened(source, f"{wire.SCANS}?{urlencode(asked)}", form.content_type) as answer:
        lines = _lines(answer, query)
        cursor, top, rows = (exchange.count(answer.headers.get(name)) for name in (wire.CURSOR, wire.TOP, wire.ROWS))
    last = _cursor_of(lines[-1], query.form) if lines else query.after
    if cursor is None or top is None or rows != len(lines):
        # It broke off: what is whole counts, the rest is asked for again. A page without a line is the end.
        return Fetched(lines, last, last, not lines)
    return Fetched(lines, max(last, cursor), top, cursor >= top)


def _lines(answer: Any, query: Query) -> list[bytes]:
    lines: list[bytes] = []
    after, rest = query.after, b""
    try:
        _skip_header(answer, FORMS[query.form].header)
        # Block by block: asking for single lines took http.client longer than the hub to write them.
        while len(lines) <= PAGE and len(rest) <= MAX_LINE and (block := _block(answer)):
            whole, ends, rest = (rest + block).rpartition(b"\n")
            found = [line + b"\n" for line in whole.split(b"\n")] if ends else []
            after = _last_of(found, query.form, after)
            lines += found
    except (OSError, http.client.HTTPException):
        if not lines:
            raise
    if rest and not lines:
        raise AnswerRefused("The hub's answer broke off.", "Start the same command again.")
    # Broken off, or endless: whole lines before it count, the rest is asked for again.
    return lines[: PAGE + 1]


def _block(answer: Any) -> bytes:
    try:
        return bytes(answer.read(_BLOCK))
    except http.client.IncompleteRead as broken:
        # What came before the connection broke; the next block is empty.
        return broken.partial


def _last_of(lines: list[bytes], form: str, after: int) -> int:
    """Return the hub sequence number of the last of some lines, each looked at and behind the one before it."""
    numbers = [after, *map(FORMS[form].cursor_of, lines)]
    if min(numbers[1:], default=1) < 1 or max(map(len, lines), default=0) > MAX_LINE:
        raise exchange.foreign()
    if not all(map(operator.lt, numbers, numbers[1:])):
        raise AnswerRefused("The hub's lines are out of order.", "Tell the hub's operator.")
    return numbers[-1]


def _skip_header(answer: Any, header: bytes) -> None:
    if header and answer.readline(MAX_LINE) != header:
        raise exchange.foreign()


def _cursor_of(line: bytes, form: str) -> int:
    number = FORMS[form].cursor_of(line)
    if number < 1:
        raise exchange.foreign()
    return number


def _document(source: Source, path: str, body: bytes | None) -> Any:
    with exchange.opened(source, path, "application/json", body) as answer:
        return exchange.parsed(exchange.whole(answer, MAX_DOCUMENT))


def _export(source: Source, path: str) -> Manifest | Making:
    with exchange.opened(source, path, "application/json") as answer:
        text = exchange.whole(answer, MAX_DOCUMENT)
        if answer.status == http.HTTPStatus.OK:
            return Manifest(answer.headers.get(wire.EXPORTED, ""), text)
        said = exchange.parsed(text)
        wait = exchange.count(answer.headers.get("Retry-After")) or 1
        try:
            progress = exchange.plain(said["day"]), int(said["done"]), int(said["total"])
            return Making(*progress, min(float(wait), exchange.MAX_WAIT_S))
        except (KeyError, TypeError, ValueError) as bad:
            raise exchange.foreign() from bad


def _piece(source: Source, path: str) -> bytes:
    with exchange.opened(source, path, "application/octet-stream") as answer:
        return exchange.whole(answer, MAX_PIECE)


def is_passing(failed: TransportError) -> bool:
    """Whether waiting may help; a token that is not accepted will not become right."""
    return not isinstance(failed, AnswerRefused) or failed.status in {429, 500, 502, 503, 504}


def is_private(url: str) -> bool:
    """Whether a token sent there cannot be read on the way: by TLS, or because it does not leave this machine."""
    parts = urlsplit(url)
    if parts.scheme == "https" or parts.hostname == "localhost":
        return True
    try:
        return ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False
