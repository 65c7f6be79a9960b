"""One question to a hub over HTTP, and its answer: bounded, without proxies and redirects; failures become ours."""

import http.client
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from edge.disk import ca_file
from edge.errors import AnswerRefused, Unreachable

if TYPE_CHECKING:
    from edge.hub.client import Source

MAX_WAIT_S: Final = 900.0
"""Longest time a hub is waited for because it says so, seconds."""
_MAX_REFUSAL: Final = 4096
_TIMEOUT_S: Final = 30.0


def count(text: str | None) -> int | None:
    """Return the whole number in a header, None where it is none."""
    return int(text) if text and text.isascii() and text.isdecimal() else None


def whole(answer: Any, most: int) -> bytes:
    """Return an answer of at most so many bytes.

    Raises:
        AnswerRefused: It is larger.
    """
    text: bytes = answer.read(most + 1)
    if len(text) > most:
        raise foreign()
    return text


def parsed(text: bytes) -> Any:
    """Return what JSON says.

    Raises:
        AnswerRefused: It is none.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as bad:
        raise foreign() from bad


@contextmanager
def opened(source: "Source", path: str, content_type: str, body: bytes | None = None) -> Iterator[Any]:
    """Give the answer of the hub, of the type asked for; failures become ours.

    Args:
        source: The hub, and as whom.
        path: What is asked for.
        content_type: The type wanted.
        body: What to post there, None to get it.

    Raises:
        Unreachable: Nobody answered, or the connection broke.
        AnswerRefused: Somebody answered something else.
    """
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
                raise foreign()
            yield answer
    except urllib.error.HTTPError as refusal:
        with refusal:
            raise _refused(refusal) from refusal
    except (OSError, http.client.HTTPException) as failed:
        raise _unreachable(source, failed) from failed


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _refused(refusal: urllib.error.HTTPError) -> AnswerRefused:
    message, next_step = f"The hub refused with HTTP {refusal.code}.", "Check the address and the token."
    try:
        said = json.loads(refusal.read(_MAX_REFUSAL))
        message, next_step = (plain(said[name]) for name in ("message", "next_step"))
    except (ValueError, KeyError, TypeError, OSError, RecursionError, http.client.HTTPException):
        said = None
    wait = refusal.headers.get("Retry-After", "")
    retry_after_s = min(float(wait), MAX_WAIT_S) if wait.isascii() and wait.isdecimal() else None
    return AnswerRefused(message, next_step, status=refusal.code, retry_after_s=retry_after_s)


def plain(text: Any) -> str:
    """Return a text of the far side without what a terminal would obey.

    Raises:
        TypeError: It is no text.
    """
    if not isinstance(text, str):
        raise TypeError("a message is a text")
    return "".join(character for character in text if character.isprintable())


def foreign() -> AnswerRefused:
    """Return what is raised where the answer is nobody's we know."""
    return AnswerRefused("The answer is not a hub's.", "Check the address; a captive portal may have answered.")


def _unreachable(source: "Source", failed: Exception) -> Unreachable:
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
