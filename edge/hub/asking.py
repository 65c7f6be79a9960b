"""What a pull may ask for in its address: cursor, size, form and filters; anything else is refused by name."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from werkzeug.datastructures import MultiDict

from edge.errors import SetupError
from edge.hub import pull, tabular
from edge.hub.coverage import bounds
from edge.hub.declined import Declined
from edge.hub.export import DEFAULT_VIEWS, VIEWS
from edge.hub.forms import FORMS
from edge.hub.pull import Asked, Filter

PARAMETERS: Final = (
    *("after", "until", "limit", "format"),
    *("gate", "site", "outcome", "reason", "type", "since", "before"),
)
CURSOR: Final = re.compile(r"[0-9]{1,15}", re.ASCII)
_GATE: Final = re.compile(r"[0-9a-fA-F]{4,32}", re.ASCII)
_MAX_TEXT: Final = 256
TYPES: Final = {word: number for number, word in pull.TYPES.items()}
OUTCOMES: Final = {word or "none": number for number, word in pull.OUTCOMES.items()}


class _Refused(Exception):  # noqa: N818 - ends in `parse`
    def __init__(self, message: str, next_step: str) -> None:
        super().__init__(message)
        self.declined = Declined(400, "bad_request", message, next_step)


def parse(args: Mapping[str, str]) -> tuple[str, Asked] | Declined:
    """Return form and question of a pull, or why it is none."""
    unknown = set(args) - set(PARAMETERS)
    if unknown:
        return Declined(
            400, "bad_request", "There is a parameter a pull does not have.", f"Use {', '.join(PARAMETERS)}."
        )
    form = args.get("format", "ndjson")
    if form not in FORMS:
        return Declined(400, "bad_request", "There is no such format.", f"Ask for format={', '.join(FORMS)}.")
    try:
        return form, _asked(args)
    except _Refused as refused:
        return refused.declined


def parse_export(args: MultiDict[str, str]) -> tuple[tuple[str, ...], tuple[str, ...]] | Declined:
    """Return days and views of an export that is asked for, or why it is none."""
    days, views = tuple(args.getlist("day")), tuple(args.getlist("view"))
    if set(args) - {"day", "view"}:
        return Declined(400, "bad_request", "There is a parameter an export does not have.", "Use day, view.")
    if set(views) - set(VIEWS):
        return Declined(400, "bad_request", "There is no such view.", f"Use view={', '.join(VIEWS)}.")
    try:
        for day in days:
            bounds(day)
        if "parquet" in views:
            tabular.check_library()
    except SetupError as bad:
        return Declined(400, "bad_request", bad.message, bad.next_step)
    return days, views or DEFAULT_VIEWS


def _asked(args: Mapping[str, str]) -> Asked:
    limit = _number(args, "limit")
    if limit is not None and not 1 <= limit <= pull.MOST:
        raise _Refused(f"limit is between 1 and {pull.MOST}.", "Ask for less at once.")
    wanted = Filter(
        gate=_gate(args),
        site=_text(args, "site"),
        outcome=_word(args, "outcome", OUTCOMES),
        reason=_text(args, "reason"),
        type=_word(args, "type", TYPES),
        since_ms=_moment(args, "since"),
        before_ms=_moment(args, "before"),
    )
    return Asked(_number(args, "after") or 0, limit or pull.DEFAULT, _number(args, "until"), wanted)


def _number(args: Mapping[str, str], name: str) -> int | None:
    text = args.get(name)
    if text is not None and not CURSOR.fullmatch(text):
        raise _Refused(f"{name} is a whole number.", "Pass the hub_seq of the last line you have.")
    return None if text is None else int(text)


def _gate(args: Mapping[str, str]) -> str | None:
    text = args.get("gate")
    if text is not None and not _GATE.fullmatch(text):
        raise _Refused("gate is the id of a gate in hex, or its first four characters or more.", "See /v1/gates.")
    return text


def _text(args: Mapping[str, str], name: str) -> str | None:
    text = args.get(name)
    if text is not None and not 0 < len(text) <= _MAX_TEXT:
        raise _Refused(f"{name} is empty or too long.", f"Leave {name} out to get all.")
    return text


def _word(args: Mapping[str, str], name: str, words: Mapping[str, int]) -> int | None:
    text = args.get(name)
    if text is not None and text not in words:
        raise _Refused(f"There is no such {name}.", f"Use one of: {', '.join(words)}.")
    return None if text is None else words[text]


def _moment(args: Mapping[str, str], name: str) -> int | None:
    text = args.get(name)
    if text is None:
        return None
    if CURSOR.fullmatch(text):
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise _Refused(f"{name} is no time with a zone.", "Write it like 2026-11-24T08:00:00Z.")
    return round(moment.timestamp() * 1000)
