"""Many passes from a file of requests, a JSON object a line; a wrong line is reported and stops no other."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from edge.authority import codes, requests
from edge.authority.authority import Authority
from edge.authority.issue import Desk, IssuedPass
from edge.disk import durable
from edge.errors import PublicationError

MANIFEST: Final = "passes.ndjson"
FORMATS: Final = ("text", "png", "svg")
_PRIVATE: Final = 0o600


@dataclass(frozen=True, slots=True)
class Line:
    """What became of one line.

    Attributes:
        number: Its number, from 1.
        issued: The pass, or None where the line was refused.
        problem: Why it was refused, empty where it was not.
    """

    number: int
    issued: IssuedPass | None
    problem: str = ""


def row(issued: IssuedPass) -> dict[str, Any]:
    """Return what a script needs to know of a pass, its code apart."""
    place = issued.place
    return {
        "issuer": issued.issuer,
        "key_id": issued.key_id.hex(),
        "list": place.number if place else None,
        "index": place.index if place else None,
        "issued_at": issued.issued_at,
        "expires_at": issued.expires_at,
    }


def write_code(folder: Path, name: str, code: str, formats: Iterable[str]) -> dict[str, str]:
    """Write a code in the formats asked for and return the file names by format.

    Raises:
        OSError: The file system refuses.
    """
    found: dict[str, str] = {}
    for form in formats:
        suffix = "txt" if form == "text" else form
        found[form] = f"{name}.{suffix}"
        durable.write(folder / found[form], drawn(code, form), mode=_PRIVATE)
    return found


def drawn(code: str, form: str) -> bytes:
    """Return a code as the bytes of a file: `text`, `png` or `svg`."""
    if form == "text":
        return code.encode() + b"\n"
    return codes.png(code) if form == "png" else codes.svg(code)


def issue_batch(
    authority: Authority, lines: Iterable[str], out: Path, now: int, *, formats: Iterable[str] = ("text",)
) -> Iterator[Line]:
    """Issue a pass for each line, write it as `000001.txt` (`.png`, `.svg`) and a row to `passes.ndjson`.

    Args:
        authority: The authority.
        lines: Requests; empty lines are passed over.
        out: Folder to write to, made where it is missing; it holds no batch yet.
        now: Issue time where a line gives none, Unix seconds.
        formats: What to write of each.

    Yields:
        What became of each line, once it is written.

    Raises:
        PublicationError: The folder holds a batch already or cannot be written, or the authority's sources are wrong.
    """
    desk = Desk(authority)
    try:
        out.mkdir(parents=True, exist_ok=True)
        with (out / MANIFEST).open("x", encoding="utf-8") as manifest:
            for number, text in enumerate(lines, 1):
                if not text.strip():
                    continue
                found = _line(desk, number, text, now)
                told: dict[str, Any] = {"line": number}
                if found.issued is None:
                    told["problem"] = found.problem
                else:
                    told |= row(found.issued)
                    told |= write_code(out, f"{number:06}", found.issued.code, formats)
                manifest.write(json.dumps(told, ensure_ascii=False) + "\n")
                yield found
    except FileExistsError as error:
        raise PublicationError(f"{out} holds a batch already.", "Name another folder with --out.") from error
    except OSError as error:
        raise PublicationError(f"{out} cannot be written: {error.strerror}.", "Check permissions and space.") from error


def _line(desk: Desk, number: int, text: str, now: int) -> Line:
    if len(text) > requests.MAX_LINE:
        return Line(number, None, f"The line is longer than {requests.MAX_LINE} characters.")
    try:
        return Line(number, desk.issue(requests.request(requests.parse(text), now)))
    except PublicationError as error:
        return Line(number, None, str(error))
