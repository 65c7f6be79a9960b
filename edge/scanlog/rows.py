"""Reading the scan log's rows: the same for the writer and for readers in other processes.

What is handed out has been checked to follow: a damaged entry is named, never passed on to be signed. Connections and
the one place that writes are left to `edge.scanlog.connection` and `edge.scanlog.log`.
"""

import zlib
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, Final

from sqlite_utils import Database

from edge.codec import cbor
from edge.errors import EncodingRefused, LedgerError, LogDamaged
from edge.ledger import chain, facts
from edge.ledger.destruction import Destruction, open_purge
from edge.model.scan import NOT_SHOWN, Entry, EntryType, Facts, Head
from edge.model.verdict import Outcome
from edge.scanlog.schema import ASIDE, Meta

_CHAINED: Final = "seq, body, head, token, sealed"
_TYPES: Final = (int, bytes, bytes)
_PAGE: Final = 1000
_CERTIFICATES: Final = 3
_CHECKSUMS: Final = 4
"""The steps of the schema that have them."""
_NAMED: Final = 8
_AT_MS: Final = facts.KEYS["at_ms"]
_PRESENTATIONS: Final = frozenset((EntryType.SCAN, EntryType.UNKNOWN_CODES))
_OUTCOMES: Final = {int(outcome): outcome.name.lower() for outcome in Outcome}


def checksum(seq: int, private: bytes | None) -> int | None:
    """Return what guards the token or sealed field of an entry at rest, None where there is none (CRC-32, ISO 3309)."""
    return None if private is None else zlib.crc32(private, seq & 0xFFFFFFFF)


def _columns(meta: Meta) -> str:
    return f"{_CHAINED}, token_crc, sealed_crc" if meta.schema >= _CHECKSUMS else f"{_CHAINED}, NULL, NULL"


def head_of(db: Database, meta: Meta) -> Head:
    """Return where the log stands.

    Raises:
        LogDamaged: The newest entry is not one.
    """
    row = db.execute("SELECT seq, head FROM scan ORDER BY seq DESC LIMIT 1").fetchone()
    if row is None:
        return Head(meta.epoch, meta.purged_seq, meta.purged_head)
    seq, head = row
    if type(seq) is not int or not isinstance(head, bytes) or seq <= meta.purged_seq:
        raise LogDamaged("The newest entry of the scan log is damaged.", ASIDE)
    return Head(meta.epoch, seq, head)


def head_at(db: Database, meta: Meta, seq: int) -> bytes | None:
    """Return the chain hash at an entry, or None where the log does not hold it (gone, or not written yet)."""
    if seq == meta.purged_seq:
        return meta.purged_head
    row = db.execute("SELECT head FROM scan WHERE seq = ?", (seq,)).fetchone()
    return row[0] if row is not None and isinstance(row[0], bytes) else None


def entries(db: Database, meta: Meta, first: int, limit: int) -> list[Entry]:
    """Return at most `limit` entries from number `first` on, oldest first; those that were purged are passed over.

    A token or sealed field that is not what was written is left out (`Entry.has_lost`): what is chained counts.

    Raises:
        LogDamaged: One of them does not follow the one before it.
    """
    first = max(first, meta.purged_seq + 1)
    rows = db.execute(f"SELECT {_columns(meta)} FROM scan WHERE seq >= ? ORDER BY seq LIMIT ?", (first, limit))  # noqa: S608
    found = [_entry(row) for row in rows.fetchall()]
    if not found:
        return found
    previous = head_at(db, meta, first - 1)
    if previous is None:
        raise _damaged(f"entry {first - 1} is missing")
    _follow(found, previous, first)
    return found


def latest(db: Database, meta: Meta, count: int) -> list[Entry]:
    """Return the newest `count` entries, newest first.

    Raises:
        LogDamaged: One of them does not follow the one before it.
    """
    return entries(db, meta, head_of(db, meta).seq - count + 1, count)[::-1]


def walk(db: Database, meta: Meta, progress: Callable[[int], None] = lambda _: None) -> Head:
    """Check the database's own structure and every entry from the first that is left, and return where the log stands.

    Args:
        db: The log.
        meta: Its own row.
        progress: Told the number of the last entry that holds, now and then.

    Raises:
        LogDamaged: It names the first entry that does not hold, or, where the chain holds, those whose token or sealed
            field is not what was written.
    """
    for (problem,) in db.execute("PRAGMA integrity_check(1)"):
        if problem != "ok":
            raise _damaged(str(problem))
    seq, head, lost = meta.purged_seq, meta.purged_head, []
    for row in _pages(db, meta):
        entry = _entry(row[:-1])
        lost += [entry.seq] if entry.has_lost else []
        head = _follow([entry], head, seq + 1)
        seq = entry.seq
        if _stated_at_ms(entry) != row[-1]:
            raise _damaged(f"the time column of entry {seq} is not what the entry states")
        if seq % _PAGE == 0:
            progress(seq)
    stands = head_of(db, meta)
    if (stands.seq, stands.head) != (seq, head):
        raise _damaged(f"entries after {seq} are missing")
    certificates(db, meta)
    if lost:
        raise _lost(lost)
    return stands


def certificates(db: Database, meta: Meta) -> list[Destruction]:
    """Return what this gate signed for when rows went, oldest first; checked against each other and the log.

    Raises:
        LogDamaged: One does not verify, does not follow the one before it, or is not what the log says.
    """
    if meta.schema < _CERTIFICATES:
        return []
    found = [_certificate(*row) for row in db.execute("SELECT seq, wire FROM certificate ORDER BY seq")]
    spans = [stated.spans[0] for stated in found]
    for before, after in pairwise(spans):
        if (after.first, after.previous_head) != (before.last + 1, before.head):
            raise _damaged(f"the certificate of a purge up to entry {after.last} does not follow the one before it")
    if any(span.epoch != meta.epoch for span in spans):
        raise _damaged("a certificate is of another log")
    if spans and (spans[-1].last, spans[-1].head) != (meta.purged_seq, meta.purged_head):
        raise _damaged(f"the newest certificate ends at entry {spans[-1].last}, the log begins after {meta.purged_seq}")
    return found


def newest_certificate(db: Database) -> Destruction | None:
    """Return what was signed for at the last purge, None where there was none.

    Raises:
        LogDamaged: It does not verify.
    """
    row = db.execute("SELECT seq, wire FROM certificate ORDER BY seq DESC LIMIT 1").fetchone()
    return _certificate(*row) if row is not None else None


def _certificate(seq: int, wire: bytes) -> Destruction:
    try:
        return open_purge(wire)
    except (LedgerError, TypeError) as bad:
        raise _damaged(f"the certificate of the purge in entry {seq} does not hold: {bad}") from bad


def counts(db: Database, since_ms: int) -> dict[str, int]:
    """Return how many presentations had each outcome since a moment, by `accept`, `refer` and `reject`."""
    found = no_counts()
    for (body,) in db.execute("SELECT body FROM scan WHERE at_ms >= ?", (since_ms,)):
        stated = _facts(body)
        if stated is not None and stated.type in _PRESENTATIONS and stated.outcome in _OUTCOMES:
            found[_OUTCOMES[stated.outcome]] += stated.count
    return found


def no_counts() -> dict[str, int]:
    """Return the counts of a log in which nothing was presented."""
    return dict.fromkeys(_OUTCOMES.values(), 0)


def accepted_tokens(db: Database, since_ms: int) -> list[tuple[bytes, int]]:
    """Return (token, Unix milliseconds) of every accepted scan since a moment that was not taken back, oldest first."""
    rows = db.execute("SELECT seq, token, at_ms, body FROM scan WHERE at_ms >= ? ORDER BY seq", (since_ms,))
    found: dict[int, tuple[bytes, int]] = {}
    for seq, token, at_ms, body in rows:
        stated = _facts(body)
        if stated is None:
            continue
        if stated.type is EntryType.SCAN and stated.outcome == Outcome.ACCEPT and token is not None:
            found[seq] = (token, at_ms)
        elif stated.type is EntryType.NOTE and stated.note == NOT_SHOWN:
            # A restart must not bring back what was let go before it.
            found.pop(stated.refers_to, None)
    return list(found.values())


def _pages(db: Database, meta: Meta) -> Iterator[tuple[Any, ...]]:
    """Walk all rows in bounded memory."""
    after = meta.purged_seq
    while rows := db.execute(
        f"SELECT {_columns(meta)}, at_ms FROM scan WHERE seq > ? ORDER BY seq LIMIT {_PAGE}",  # noqa: S608 - constants
        (after,),
    ).fetchall():
        yield from rows
        after = rows[-1][0]


def _entry(row: tuple[Any, ...]) -> Entry:
    seq, body, head, token, sealed, *crcs = row
    # A STRICT table holds its types when written; a flipped bit changes them behind its back.
    if tuple(map(type, (seq, body, head))) != _TYPES:
        raise _damaged(f"entry {seq!r} holds values of another type")
    has_token, has_sealed = (_is_whole(seq, value, crc) for value, crc in zip((token, sealed), crcs, strict=True))
    if has_token and has_sealed:
        return Entry(seq, body, head, token, sealed)
    return Entry(seq, body, head, token if has_token else None, sealed if has_sealed else None, has_lost=True)


def _is_whole(seq: int, private: Any, crc: Any) -> bool:
    """Whether a token or sealed field is what was written, as far as that can be known; one that is gone is."""
    if private is None:
        return True
    return isinstance(private, bytes) and (crc is None or crc == checksum(seq, private))


def _follow(found: list[Entry], previous: bytes, first: int) -> bytes:
    try:
        return chain.follow(found, previous, first=first)
    except LogDamaged as bad:
        raise _damaged(bad.message) from bad


def _stated_at_ms(entry: Entry) -> int | None:
    try:
        stated = cbor.decode(entry.body)
    except EncodingRefused:
        return None
    found = stated.get(_AT_MS) if isinstance(stated, dict) else None
    return found if type(found) is int else None


def stated_by(entry: Entry) -> Facts | None:
    """Return what an entry states, or None for a type that only a later version knows."""
    return _facts(entry.body)


def _facts(body: Any) -> Facts | None:
    """Return what a body states, or None for a type of entry that only a later version knows."""
    try:
        return facts.decode(body)
    except (EncodingRefused, TypeError):
        return None


def _damaged(what: str) -> LogDamaged:
    return LogDamaged(f"The scan log does not verify: {what}.", ASIDE)


def _lost(numbers: list[int]) -> LogDamaged:
    named = ", ".join(map(str, numbers[:_NAMED])) + (f" and {len(numbers) - _NAMED} more" if numbers[_NAMED:] else "")
    return LogDamaged(
        f"The chain of the scan log holds, but the token or sealed field of entry {named} is not what was written.",
        "Leave the log where it is: these entries are sent without them. A card that changes bits fails: replace it.",
    )
