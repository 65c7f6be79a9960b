"""A small client of a hub, and what the command line uses: scans by cursor, gates, incidents, coverage.

    hub = Client(Source("https://hub.example:8090", read_token(Path("operator.token"))))
    for scan in hub.scans(Query(after=0, filters={"outcome": "reject"})):
        ...

Everything that comes back is bounded and looked at before it is believed: a captive portal's page is no scan. A token
never goes anywhere but to the address it was meant for, so redirects are not followed and proxies not used. A hub that
names a time to come back in (429, 503) is waited for; a broken connection is an error, for the caller knows his cursor.
Files are left to `edge.hub.outfile`.
"""

import http.client
import ipaddress
import json
import operator
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeVar
from urllib.parse import urlencode, urlsplit

from edge.disk import ca_file
from edge.errors import AnswerRefused, ConfigError, TransportError, Unreachable
from edge.hub.forms import FORMS
from edge.ledger import wire

PAGE: Final = 10_000
MAX_LINE: Final = 64 * 1024
MAX_DOCUMENT: Final = 64 << 20
"""Largest answer that is one document, bytes."""
_MAX_REFUSAL: Final = 4096
_BLOCK: Final = 256 * 1024
_TIMEOUT_S: Final = 30.0
_MAX_TOKEN_FILE: Final = 512
_MAX_WAIT_S: Final = 900.0
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
    with _opened(source, f"{wire.SCANS}?{urlencode(asked)}", form.content_type) as answer:
        lines = _lines(answer, query)
        cursor, top, rows = (_count(answer.headers.get(name)) for name in (wire.CURSOR, wire.TOP, wire.ROWS))
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
        raise _foreign()
    if not all(map(operator.lt, numbers, numbers[1:])):
        raise AnswerRefused("The hub's lines are out of order.", "Tell the hub's operator.")
    return numbers[-1]


def _skip_header(answer: Any, header: bytes) -> None:
    if header and answer.readline(MAX_LINE) != header:
        raise _foreign()


def _cursor_of(line: bytes, form: str) -> int:
    number = FORMS[form].cursor_of(line)
    if number < 1:
        raise _foreign()
    return number


def _count(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdecimal() else None


def _document(source: Source, path: str, body: bytes | None) -> Any:
    with _opened(source, path, "application/json", body) as answer:
        try:
            text = answer.read(MAX_DOCUMENT + 1)
            if len(text) > MAX_DOCUMENT:
                raise _foreign()
            return json.loads(text)
        except (ValueError, RecursionError) as bad:
            raise _foreign() from bad


@contextmanager
def _opened(source: Source, path: str, content_type: str, body: bytes | None = None) -> Iterator[Any]:
    """Give the answer of the hub, of the type asked for; failures become ours."""
    wanted = content_type.partition(";")[0]
    request = urllib.request.Request(  # noqa: S310 - the scheme was checked with the address
        f"{source.url.rstrip('/')}{path}",
        data=body,
        headers={"Authorization": f"Bearer {source.token}", "Accept": wanted},
    )
    # No proxies and no redirects: either would carry the token to somebody else.
    handlers: list[Any] = [urllib.request.ProxyHandler({}), _NoRedirect]
    if source.url.startswith("https:"):
        handlers.append(urllib.request.HTTPSHandler(context=ca_file.context(source.ca_file, "--ca-file")))
    opener = urllib.request.build_opener(*handlers)
    try:
        with opener.open(request, timeout=_TIMEOUT_S) as answer:
            if answer.headers.get_content_type() != wanted:
                raise _foreign()
            yield answer
    except urllib.error.HTTPError as refusal:
        with refusal:
            raise _refused(refusal) from refusal
    except (OSError, http.client.HTTPException) as failed:
        raise _unreachable(source, failed) from failed


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


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _refused(refusal: urllib.error.HTTPError) -> AnswerRefused:
    message, next_step = f"The hub refused with HTTP {refusal.code}.", "Check the address and the token."
    try:
        said = json.loads(refusal.read(_MAX_REFUSAL))
        message, next_step = (_plain(said[name]) for name in ("message", "next_step"))
    except (ValueError, KeyError, TypeError, OSError, RecursionError, http.client.HTTPException):
        said = None
    wait = refusal.headers.get("Retry-After", "")
    retry_after_s = min(float(wait), _MAX_WAIT_S) if wait.isascii() and wait.isdecimal() else None
    return AnswerRefused(message, next_step, status=refusal.code, retry_after_s=retry_after_s)


def _plain(text: Any) -> str:
    if not isinstance(text, str):
        raise TypeError("a message is a text")
    return "".join(character for character in text if character.isprintable())


def _foreign() -> AnswerRefused:
    return AnswerRefused("The answer is not a hub's.", "Check the address; a captive portal may have answered.")


def _unreachable(source: Source, failed: Exception) -> Unreachable:
    why = getattr(failed, "reason", failed)
    if isinstance(why, ssl.SSLCertVerificationError):
        return Unreachable(
            f"The certificate of {source.url} does not verify: {why.verify_message}.",
            "Check this machine's clock; where the hub's certificate is of an authority of your own, name --ca-file.",
        )
    return Unreachable(
        f"The hub at {source.url} does not answer.",
        "Check that it runs (edge hub serve DIR) and start the same command again; it goes on where it was.",
    )
