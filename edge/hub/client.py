"""Pulling scans from a hub over HTTP: pages until the end, resumable from any line, into a file that survives a crash.

Everything that comes back is bounded and looked at before it is believed: a captive portal's page is no scan. A token
never goes anywhere but to the address it was meant for, so redirects are not followed and proxies not used.
"""

import fcntl
import http.client
import ipaddress
import json
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self
from urllib.parse import urlsplit

from edge.errors import AnswerRefused, ConfigError, TransportError, Unreachable
from edge.ledger import wire

PAGE: Final = 5000
MAX_LINE: Final = 64 * 1024
_BEGIN: Final = b'{"hub_seq":'
"""How every line begins (`edge.hub.pull`)."""
_MAX_REFUSAL: Final = 4096
_TIMEOUT_S: Final = 30.0
_MAX_TOKEN_FILE: Final = 512
_MAX_WAIT_S: Final = 900.0


@dataclass(frozen=True, slots=True)
class Source:
    """Where to pull from.

    Attributes:
        url: Address of the hub.
        token: Operator or auditor token.
    """

    url: str
    token: str = field(repr=False)


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


def fetch(source: Source, after: int, limit: int) -> list[bytes]:
    """Return the next lines after a cursor, whole ones only; none at the end of the ledger.

    Raises:
        Unreachable: Nobody answered, or the connection broke before the first line.
        AnswerRefused: Somebody answered something else.
    """
    request = urllib.request.Request(  # noqa: S310 - the scheme was checked with the address
        f"{source.url.rstrip('/')}{wire.SCANS}?after={after}&limit={limit}&format=ndjson",
        headers={"Authorization": f"Bearer {source.token}", "Accept": wire.NDJSON_TYPE},
    )
    # No proxies and no redirects: either would carry the token to somebody else.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)
    try:
        with opener.open(request, timeout=_TIMEOUT_S) as answer:
            if answer.headers.get_content_type() != wire.NDJSON_TYPE:
                raise _foreign()
            return _lines(answer, after, limit)
    except urllib.error.HTTPError as refusal:
        with refusal:
            raise _refused(refusal) from refusal
    except (OSError, http.client.HTTPException) as failed:
        raise _unreachable(source) from failed


def cursor_of(line: bytes) -> int:
    """Return the hub sequence number of a line.

    Raises:
        AnswerRefused: It is no line of a hub.
    """
    try:
        number = json.loads(line)["hub_seq"]
    except (ValueError, KeyError, TypeError, RecursionError):
        number = None
    if type(number) is not int or number < 1:
        raise _foreign()
    return number


class OutFile:
    """A file of lines that is only ever appended to, whole pages at a time, each on the disk before the next.

    Args:
        path: The file; made where it is missing. A last line that broke off is cut away.

    Raises:
        ConfigError: It cannot be written, is in use by another pull, or is no file of scans.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file: IO[bytes] = path.open("a+b")
        except OSError as failed:
            raise ConfigError(f"{path} cannot be written: {failed.strerror}.", "Choose another --out.") from failed
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.last = self._recover()
        except OSError as failed:
            self._file.close()
            raise ConfigError(f"{path} is in use by another pull.", "Let it end, or choose another --out.") from failed
        except AnswerRefused as bad:
            self._file.close()
            raise ConfigError(f"{path} holds something other than scans.", "Choose another --out.") from bad

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def write(self, lines: list[bytes]) -> None:
        """Append lines and wait until they are on the disk.

        Raises:
            ConfigError: The disk is full or failing; what was written before stays whole.
        """
        try:
            self._file.write(b"".join(lines))
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as failed:
            raise ConfigError(
                f"{self.path} cannot be written: {failed.strerror}.", "Make room and start the same command again."
            ) from failed

    def _recover(self) -> int:
        """Cut away a line that broke off and return the last whole one's cursor, 0 for an empty file."""
        size = self._file.seek(0, os.SEEK_END)
        start = max(0, size - 2 * MAX_LINE)
        self._file.seek(start)
        tail = self._file.read()
        whole = tail.rfind(b"\n") + 1
        last = cursor_of(tail[:whole].splitlines()[-1]) if whole else 0
        torn = tail[whole:]
        if torn:
            # Somebody's other file is not ours to cut.
            if (start and not whole) or not (torn.startswith(_BEGIN) or _BEGIN.startswith(torn)):
                raise _foreign()
            self._file.truncate(start + whole)
        return last


class Progress:
    """How far a pull has come.

    Args:
        sink: Takes each page; what it took is not fetched again.
        say: Called after each page with lines and cursor so far.
        after: Cursor to begin behind.
    """

    def __init__(self, sink: Callable[[list[bytes]], None], say: Callable[[int, int], None], after: int) -> None:
        self._sink = sink
        self._say = say
        self.cursor = after
        self.lines = 0

    def take(self, lines: list[bytes]) -> None:
        """Hand a page on and move the cursor behind it."""
        self._sink(lines)
        self.cursor = cursor_of(lines[-1])
        self.lines += len(lines)
        self._say(self.lines, self.cursor)


def pull(source: Source, progress: Progress, limit: int | None) -> None:
    """Pull everything after the cursor, a page at a time.

    Args:
        source: Where from.
        progress: Takes the pages and keeps the cursor, also where the pull breaks off.
        limit: Most lines, None for all there are.

    Raises:
        TransportError: The hub cannot be reached or refuses.
        ConfigError: The lines cannot be written.
    """
    left = limit
    while left is None or left > 0:
        lines = fetch(source, progress.cursor, PAGE if left is None else min(PAGE, left))
        if not lines:
            break
        progress.take(lines)
        left = None if left is None else left - len(lines)


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


def _lines(answer: Any, after: int, limit: int) -> list[bytes]:
    lines: list[bytes] = []
    try:
        while len(lines) < limit:
            line = answer.readline(MAX_LINE)
            if not line:
                break
            if not line.endswith(b"\n"):
                # Broken off, or endless: whole lines before it count, the rest is asked for again.
                if not lines:
                    raise AnswerRefused("The hub's answer broke off.", "Start the same command again.")
                break
            number = cursor_of(line)
            if number <= after:
                raise AnswerRefused("The hub's lines are out of order.", "Tell the hub's operator.")
            after = number
            lines.append(line)
    except (OSError, http.client.HTTPException):
        if not lines:
            raise
    return lines


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
    return AnswerRefused(
        "The answer is not a hub's list of scans.", "Check the address; a captive portal may have answered."
    )


def _unreachable(source: Source) -> Unreachable:
    return Unreachable(
        f"The hub at {source.url} does not answer.",
        "Check that it runs (edge hub serve DIR) and start the same command again; it goes on where it was.",
    )
