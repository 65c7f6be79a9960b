"""Which scans of a day were of one pass: asked by one role, approved by another, answered once (ADR 52).

Nobody is shown a token and a pull has none. Who must know where else a pass was shown (an alarm across gates, a
dispute) names one of its scans, or a token he has from an auditor's hand, the day and a purpose of a fixed list. An
operator's question waits for an auditor's approval or the other way round; it ends by itself, and its answer goes to
who asked, once. The answer is scans as everybody pulls them. Only private parts that are kept still (48 hours) are
looked at; a token that was named is forgotten with the answer or the end of the question.

Every step, refused ones too, is a row of `pulls` in the same commit; `counts` is what is published.
"""

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from edge.errors import BatchRefused, ConfigError
from edge.hub import access, kept, pull
from edge.hub.access import Reader
from edge.hub.coverage import bounds
from edge.hub.declined import Declined
from edge.hub.kept import Kept
from edge.hub.pull import Asked, Filter
from edge.ledger import batch
from edge.ledger.tokens import TOKEN_BYTES

PURPOSES: Final = ("alarm", "dispute", "fault", "order")
"""An alarm across gates, somebody's objection, a gate that seems wrong, a written order of the competent authority."""
TERM_MS: Final = 4 * 3_600_000
"""How long a question waits for its approval and its answer."""
DEFAULT: Final = 50
MOST: Final = 500
MOST_OPEN: Final = 32
"""Questions that wait at a time: no list that nobody reads any more."""
LISTED: Final = 200
_MAX_SCAN: Final = 1 << 53
_STATES: Final = ("asked", "approved", "answered", "expired")

_AGAIN: Final = "Ask anew: edge hub token-query ask DAY --scan N --purpose PURPOSE"
_BAD: Final = (
    'Send {"day": "2026-11-24", "scan": HUB_SEQ, "purpose": one of ' + ", ".join(PURPOSES) + '}, or "token" in hex.'
)
REFUSALS: Final = {
    one.code: one
    for one in (
        Declined(400, "bad_request", "This is no question about a token.", _BAD),
        Declined(
            409, "wrong_day", "There is no such scan of that day.", "Days are UTC; take day and number of a pull."
        ),
        Declined(409, "no_token", "That entry has no token: its gate made none.", "Name a scan of a pass."),
        Declined(410, "destroyed", "The tokens of that day are destroyed.", "Nothing can be asked after 48 hours."),
        Declined(409, "too_many", "Too many questions wait.", "Have them approved and answered, or let them end."),
        Declined(404, "unknown_query", "There is no such question.", "See: edge hub token-query list"),
        Declined(403, "not_yours", "Somebody else asked this.", "Who asked takes the answer."),
        Declined(403, "same_person", "Who asked does not approve.", "Let somebody of the other role approve it."),
        Declined(403, "same_role", "Two roles are needed.", "An operator's question is for an auditor to approve."),
        Declined(409, "not_approved", "Nobody of the other role has approved it.", "edge hub token-query approve ID"),
        Declined(409, "approved_already", "It is approved already.", "Who asked can take the answer."),
        Declined(409, "used", "It was answered; an answer is given once.", _AGAIN),
        Declined(410, "expired", "It waited too long and has ended.", _AGAIN),
    )
}
"""Every refusal, by its code."""

_NEW: Final = (
    "INSERT INTO token_queries(day, scan, token, purpose, most, asked_ms, asked_role, asked_by, expires_ms) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_ROW: Final = (
    "SELECT id, day, scan, token, purpose, most, asked_ms, asked_role, asked_by, expires_ms, approved_ms, "
    "approved_role, approved_by, answered_ms, found, refused FROM token_queries"
)
_OF_DAY: Final = (
    "SELECT p.batch, p.part FROM private AS p JOIN batches AS b ON b.id = p.batch WHERE EXISTS (SELECT 1 FROM scans "
    "WHERE hub_seq BETWEEN b.hub_first AND b.hub_last AND at_ms >= ? AND at_ms < ?) ORDER BY p.batch"
)
_HOLDING: Final = (
    "SELECT b.id, p.part FROM batches AS b JOIN private AS p ON p.batch = b.id WHERE b.id = "
    "(SELECT id FROM batches WHERE hub_last >= ? AND hub_first <= ? ORDER BY hub_last LIMIT 1)"
)


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked.

    Attributes:
        day: UTC day of the scans.
        purpose: One of `PURPOSES`.
        most: Most scans in the answer.
        scan: Hub sequence number of a scan of the pass, None where its token is named.
        token: The pass's token of that day, None where a scan is named.
    """

    day: str
    purpose: str
    most: int = DEFAULT
    scan: int | None = None
    token: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Query:
    """A question on its way.

    Attributes:
        id: Number to name it by.
        question: What is asked; a token is not in it any more once it has ended.
        asked_ms: When, hub time.
        asked_role: By which role.
        asked_by: First characters of the asker's access token's hash.
        expires_ms: When it ends.
        approved_ms: When it was approved, or None.
        approved_role: By which role, or None.
        approved_by: As `asked_by`, or None.
        answered_ms: When it was answered, or None.
        found: How many scans there were, or None.
        refused: How often something was refused about it.
    """

    id: int
    question: Question
    asked_ms: int
    asked_role: str
    asked_by: str
    expires_ms: int
    approved_ms: int | None
    approved_role: str | None
    approved_by: str | None
    answered_ms: int | None
    found: int | None
    refused: int

    def state(self, now_ms: int) -> str:
        """Return `asked`, `approved`, `answered` or `expired`."""
        if self.answered_ms is not None:
            return "answered"
        if now_ms >= self.expires_ms:
            return "expired"
        return "asked" if self.approved_ms is None else "approved"

    def told(self, now_ms: int) -> dict[str, Any]:
        """Return what readers see of it: never a token, whether one was named only."""
        shown = {name: value for name, value in asdict(self).items() if name != "question" and not name.endswith("_ms")}
        asked = self.question
        times = {"asked": self.asked_ms, "expires": self.expires_ms, "approved": self.approved_ms}
        times["answered"] = self.answered_ms
        return shown | {
            "state": self.state(now_ms),
            "day": asked.day,
            "scan": asked.scan,
            "purpose": asked.purpose,
            "most": asked.most,
            **{f"{name}_at": pull.iso(at_ms) for name, at_ms in times.items()},
        }


def parse(body: bytes) -> Question | Declined:
    """Return the question in a body of JSON, or why it is none."""
    try:
        said = json.loads(body)
        day, scan, token, purpose, most = (said.pop(name, None) for name in ("day", "scan", "token", "purpose", "most"))
        bounds(day)
        wanted = bytes.fromhex(token) if token is not None else None
    except (ValueError, TypeError, AttributeError, RecursionError, ConfigError):
        return REFUSALS["bad_request"]
    most = DEFAULT if most is None else most
    is_named = (type(scan) is int and 0 < scan < _MAX_SCAN) if wanted is None else len(wanted) == TOKEN_BYTES
    is_one = (scan is None) != (wanted is None)
    if said or not (is_named and is_one and purpose in PURPOSES and type(most) is int and 1 <= most <= MOST):
        return REFUSALS["bad_request"]
    return Question(day, purpose, most, scan, wanted)


def ask(
    connection: sqlite3.Connection, reader: Reader, peer: str, question: Question, now_ms: int
) -> dict[str, Any] | Declined:
    """File a question, or say why it could not be answered anyway; either is on record."""
    why = _unanswerable(connection, question, now_ms)
    if why is not None:
        _record(connection, reader, peer, f"token query for {question.purpose} refused: {why.code}", now_ms)
        return why
    values = (question.day, question.scan, question.token, question.purpose, question.most)
    made = connection.execute(_NEW, (*values, now_ms, reader.role, reader.token, now_ms + TERM_MS))
    number = int(made.lastrowid or 0)
    _record(connection, reader, peer, f"token query {number} asked for {question.purpose}", now_ms)
    return _read(connection, number)[0].told(now_ms)


def approve(
    connection: sqlite3.Connection, reader: Reader, peer: str, number: int, now_ms: int
) -> dict[str, Any] | Declined:
    """Approve a question of somebody else of the other role, or say why not; either is on record."""
    query, why = _open(connection, number, now_ms)
    if query is not None and why is None:
        why = _not_second(connection, query, reader)
    if query is None or why is not None:
        return _refused(connection, reader, peer, (number, why or REFUSALS["unknown_query"]), now_ms)
    connection.execute(
        "UPDATE token_queries SET approved_ms = ?, approved_role = ?, approved_by = ? WHERE id = ?",
        (now_ms, reader.role, reader.token, number),
    )
    _record(connection, reader, peer, f"token query {number} approved", now_ms)
    return _read(connection, number)[0].told(now_ms)


def look(connection: sqlite3.Connection, reader: Reader, number: int, now_ms: int) -> list[int] | Declined:
    """Return the hub sequence numbers that an approved question asks for, or why there is no answer. Reading only."""
    query, why = _open(connection, number, now_ms)
    if query is None or why is not None:
        return why or REFUSALS["unknown_query"]
    if reader.token != query.asked_by:
        return REFUSALS["not_yours"]
    if query.approved_ms is None:
        return REFUSALS["not_approved"]
    asked = query.question
    token = _token(connection, asked)
    return token if isinstance(token, Declined) else list(_scans_of(connection, token, asked.day))


def answer(
    connection: sqlite3.Connection, reader: Reader, peer: str, at: tuple[int, list[int] | Declined], now_ms: int
) -> dict[str, Any] | Declined:
    """Spend a question for what `look` found, and return its scans; on record before a byte of it leaves.

    Args:
        connection: In a transaction that writes.
        reader: Who asks.
        peer: From where.
        at: Number of the question, and what `look` returned.
        now_ms: Hub time.
    """
    number, found = at
    if isinstance(found, Declined):
        return _refused(connection, reader, peer, (number, found), now_ms)
    spent = connection.execute(
        "UPDATE token_queries SET answered_ms = ?, found = ?, token = NULL "
        "WHERE id = ? AND answered_ms IS NULL AND approved_ms IS NOT NULL AND expires_ms > ?",
        (now_ms, len(found), number, now_ms),
    )
    if not spent.rowcount:
        # Somebody was quicker with the same question.
        return _refused(connection, reader, peer, (number, REFUSALS["used"]), now_ms)
    query = _read(connection, number)[0]
    told = pull.Read(f"token query {number}", min(len(found), query.question.most))
    pull.record_other(connection, reader, peer, told, now_ms)
    # What came before is destroyed already: of a day that began earlier the answer may lack some.
    (since_ms,) = connection.execute("SELECT min(received_ms) FROM private").fetchone()
    return query.told(now_ms) | {"scans": found[: query.question.most], "kept_since": pull.iso(since_ms)}


def scans(connection: sqlite3.Connection, numbers: list[int]) -> list[dict[str, Any]]:
    """Return scans by hub sequence number, as a pull has them."""
    pages = (pull.read(connection, Asked(number - 1, 1, number)) for number in numbers)
    return [json.loads(line) for page in pages for line in page.lines()]


def listed(connection: sqlite3.Connection, now_ms: int) -> list[dict[str, Any]]:
    """Return the newest questions, the newest first."""
    rows = connection.execute(f"{_ROW} ORDER BY id DESC LIMIT ?", (LISTED,))
    return [_query(row).told(now_ms) for row in rows]


def counts(connection: sqlite3.Connection, now_ms: int) -> dict[str, dict[str, int]]:
    """Return for each purpose how many questions came to which state, and how many scans were told."""
    found = {purpose: {**dict.fromkeys(_STATES, 0), "scans": 0, "refused": 0} for purpose in PURPOSES}
    for row in connection.execute(_ROW):
        query = _query(row)
        sums = found[query.question.purpose]
        sums[query.state(now_ms)] += 1
        sums["scans"] += min(query.found or 0, query.question.most)
        sums["refused"] += query.refused
    return found


def forget(connection: sqlite3.Connection, now_ms: int) -> int:
    """Let go of the tokens of questions that have ended; return how many."""
    return connection.execute(
        "UPDATE token_queries SET token = NULL WHERE token IS NOT NULL AND expires_ms <= ?", (now_ms,)
    ).rowcount


def _unanswerable(connection: sqlite3.Connection, question: Question, now_ms: int) -> Declined | None:
    (waiting,) = connection.execute(
        "SELECT count(*) FROM token_queries WHERE answered_ms IS NULL AND expires_ms > ?", (now_ms,)
    ).fetchone()
    if waiting >= MOST_OPEN:
        return REFUSALS["too_many"]
    if bounds(question.day)[0] > now_ms:
        return REFUSALS["wrong_day"]
    token = _token(connection, question)
    return token if isinstance(token, Declined) else None


def _token(connection: sqlite3.Connection, question: Question) -> bytes | Declined:
    """Return the token that is asked for, or why nothing of its day can be."""
    if question.scan is not None:
        return _token_of(connection, question.scan, question.day)
    is_kept = connection.execute(f"{_OF_DAY} LIMIT 1", bounds(question.day)).fetchone()
    return question.token if question.token and is_kept else REFUSALS["destroyed"]


def _token_of(connection: sqlite3.Connection, scan: int, day: str) -> bytes | Declined:
    """Return the token of a scan of a day, or why there is none."""
    begin_ms, end_ms = bounds(day)
    row = connection.execute("SELECT at_ms FROM scans WHERE hub_seq = ?", (scan,)).fetchone()
    if row is not None and row[0] is None:
        return REFUSALS["destroyed"]
    if row is None or not begin_ms <= row[0] < end_ms:
        return REFUSALS["wrong_day"]
    held = connection.execute(_HOLDING, (scan, scan)).fetchone()
    if held is None:
        return REFUSALS["destroyed"]
    one = next(kept.read(connection, after=held[0] - 1, most=1))
    tokens = _tokens(one, held[1])
    return (tokens[scan - one.hub_first] or REFUSALS["no_token"]) if tokens else REFUSALS["destroyed"]


def _scans_of(connection: sqlite3.Connection, token: bytes, day: str) -> Iterator[int]:
    """Give the hub sequence numbers of a token's scans of a day, in order."""
    begin_ms, end_ms = bounds(day)
    of_day = Filter(since_ms=begin_ms, before_ms=end_ms)
    for row, part in connection.execute(_OF_DAY, (begin_ms, end_ms)).fetchall():
        one = next(kept.read(connection, after=row - 1, most=1))
        for hub_seq, its in enumerate(_tokens(one, part), one.hub_first):
            if its == token and pull.read(connection, Asked(hub_seq - 1, 1, hub_seq, of_day)).rows:
                yield hub_seq


def _tokens(one: Kept, part: bytes) -> list[bytes | None]:
    """Return the tokens of a batch's entries; none where part or facts are damaged or gone."""
    try:
        rows = batch.private_rows(batch.with_private(one.wire, part))
    except BatchRefused:
        return []
    return [token for token, _ in rows][one.skip :]


def _open(connection: sqlite3.Connection, number: int, now_ms: int) -> tuple[Query | None, Declined | None]:
    """Return a question, and why it is none that waits."""
    found = _read(connection, number)
    if not found:
        return None, REFUSALS["unknown_query"]
    ended = {"answered": REFUSALS["used"], "expired": REFUSALS["expired"]}
    return found[0], ended.get(found[0].state(now_ms))


def _not_second(connection: sqlite3.Connection, query: Query, reader: Reader) -> Declined | None:
    """Return why a reader is not the second of two people of two roles."""
    if query.approved_ms is not None:
        return REFUSALS["approved_already"]
    names = {one.token: one.name for one in access.listed(connection)}
    is_named_alike = names.get(reader.token) and names.get(reader.token) == names.get(query.asked_by)
    if reader.token == query.asked_by or is_named_alike:
        return REFUSALS["same_person"]
    return REFUSALS["same_role"] if reader.role == query.asked_role else None


def _refused(
    connection: sqlite3.Connection, reader: Reader, peer: str, at: tuple[int, Declined], now_ms: int
) -> Declined:
    number, why = at
    connection.execute("UPDATE token_queries SET refused = refused + 1 WHERE id = ?", (number,))
    _record(connection, reader, peer, f"token query {number} refused: {why.code}", now_ms)
    return why


def _record(connection: sqlite3.Connection, reader: Reader, peer: str, what: str, now_ms: int) -> None:
    pull.record_other(connection, reader, peer, pull.Read(what, 0), now_ms)


def _read(connection: sqlite3.Connection, number: int) -> list[Query]:
    return [_query(row) for row in connection.execute(f"{_ROW} WHERE id = ?", (number,))]


def _query(row: tuple[Any, ...]) -> Query:
    number, day, scan, token, purpose, most, *rest = row
    return Query(number, Question(day, purpose, most, scan, token), *rest)
