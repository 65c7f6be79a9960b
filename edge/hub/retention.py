"""Facts at the end of their retention: asked for, signed by two roles, then destroyed; headers and heads stay (ADR 31).

Batches kept as evidence go the same way, under a certificate of their own: the log they tell of is not the ledger's.
A request is JSON that its signers can read; what they sign is a destruction certificate (`edge.ledger.destruction`).
The hub keeps the certificate before the first byte goes. Private parts go by themselves after 48 hours and need no one.
"""

import json
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Final

from nacl.signing import SigningKey

from edge.errors import ConfigError, LedgerError
from edge.hub import incidents, kept
from edge.hub.kept import Kept
from edge.hub.schema import FACTS
from edge.hub.store import Store
from edge.ledger import batch, destruction
from edge.ledger.destruction import Destruction, Signer, Span
from edge.model.scan import BatchHeader

Tell = Callable[[int], None]
"""Called with the batches that are done."""

KIND: Final = "destroyed"
ROLES: Final = ("auditor", "operator")
DAY_MS: Final = 86_400_000
MAX_REQUEST: Final = 1 << 20
_STEP: Final = 64
_ANSWER: Final = "Make the request again: edge hub destroy DIR --before DAY --out REQUEST"
_NO_FACTS: Final = ", ".join(f"{name} = NULL" for name in FACTS)


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be destroyed, and who signed for it so far.

    Attributes:
        stated: What the certificate will say.
        signatures: Those there are.
    """

    stated: Destruction
    signatures: tuple[bytes, ...] = ()


def add_role(connection: sqlite3.Connection, role: str, public: bytes, now_ms: int) -> None:
    """Let a key sign for a role.

    Raises:
        ConfigError: It signs for the other role already: one person must not sign twice.
    """
    found = connection.execute("SELECT role FROM role_keys WHERE public = ?", (public,)).fetchone()
    if found and found[0] != role:
        raise ConfigError(f"This key signs as {found[0]} already.", "Make another: two roles need two keys.")
    connection.execute("INSERT OR IGNORE INTO role_keys VALUES (?, ?, ?)", (public, role, now_ms))


def holders(connection: sqlite3.Connection) -> dict[str, list[bytes]]:
    """Return the keys of each role, the newest first."""
    found: dict[str, list[bytes]] = {role: [] for role in ROLES}
    for role, public in connection.execute("SELECT role, public FROM role_keys ORDER BY since_ms DESC, public"):
        found[role].append(public)
    return found


def ask(store: Store, before_ms: int, facts_days: int, now_ms: int, *, what: str = destruction.FACTS) -> Request:
    """Return the request for everything that came before a time, of five hundred logs or pieces of evidence at most.

    Args:
        store: The database.
        before_ms: Hub time.
        facts_days: How long facts are kept.
        now_ms: Hub time.
        what: `FACTS` of the ledger, or of what is kept as `EVIDENCE`.

    Raises:
        ConfigError: It is not past its retention, nothing is left to destroy, or a role has no key.
        LedgerError: The database cannot be read.
    """
    if before_ms > now_ms - facts_days * DAY_MS:
        raise ConfigError(
            f"Facts are kept for {facts_days} days (facts_days in hub.toml).", "Name an earlier day with --before."
        )
    with store.reader() as connection:
        connection.execute("BEGIN")
        keys = holders(connection)
        for role in ROLES:
            if not keys[role]:
                raise ConfigError(
                    f"No key signs as {role}.", f"Make one: edge hub role-key DIR --role {role} --out FILE"
                )
        spans = _spans(connection, before_ms) if what == destruction.FACTS else _exhibits(connection, before_ms)
    if not spans:
        raise ConfigError("No facts from before that day are left.", "Nothing to do.")
    signers = tuple(sorted((Signer(role, keys[role][0]) for role in ROLES), key=lambda one: (one.role, one.public)))
    return Request(
        Destruction(
            destruction.HUB_DESTRUCTION,
            what,
            tuple(spans[: destruction.MAX_SPANS]),
            now_ms,
            facts_days * DAY_MS // 1000,
            0,
            0,
            signers,
        )
    )


def _spans(connection: sqlite3.Connection, before_ms: int) -> list[Span]:
    """Return, for each log, the runs of entries whose facts are there and came before a time."""
    found: list[Span] = []
    open_at: dict[int, int] = {}
    for one in kept.read(connection):
        if one.received_ms >= before_ms or not batch.has_facts(one.wire):
            open_at.pop(one.log, None)
            continue
        header, _ = batch.header_of(one.wire)
        at = open_at.get(one.log)
        if at is not None and found[at].head == header.previous_head and found[at].last + 1 == header.first:
            found[at] = replace(found[at], last=header.last, head=header.head)
            continue
        if one.skip:
            # Its first entries are an earlier batch's: it is named whole by itself only where that one is gone.
            open_at.pop(one.log, None)
            if at is None or found[at].last < header.first - 1:
                continue
            found[at] = replace(found[at], last=header.last, head=header.head)
            open_at[one.log] = at
            continue
        found.append(_span_of(header))
        open_at[one.log] = len(found) - 1
    return sorted(found, key=lambda span: (span.gate, span.epoch, span.first))


def _exhibits(connection: sqlite3.Connection, before_ms: int) -> list[Span]:
    """Return a span for each batch that is evidence, has facts and came before a time."""
    found = {_span_of(header) for _, header in incidents.with_facts(connection, before_ms)}
    return sorted(found, key=lambda span: (span.gate, span.epoch, span.first, span.last, span.previous_head, span.head))


def left_as_evidence(store: Store, before_ms: int) -> int:
    """Return how many pieces of evidence from before a time still have facts.

    Raises:
        LedgerError: The database cannot be read.
    """
    with store.reader() as connection:
        return sum(1 for _ in incidents.with_facts(connection, before_ms))


def _span_of(header: BatchHeader) -> Span:
    return Span(header.gate, header.epoch, header.first, header.last, header.previous_head, header.head)


def packed(request: Request) -> bytes:
    """Return a request as the JSON that its signers read."""
    stated = request.stated
    text = {
        "kind": stated.kind,
        "what": stated.what,
        "count": stated.count,
        "at_ms": stated.at_ms,
        "retention_s": stated.retention_s,
        "signers": [[signer.role, signer.public.hex()] for signer in stated.signers],
        "spans": [
            [span.gate.hex(), span.epoch.hex(), span.first, span.last, span.previous_head.hex(), span.head.hex()]
            for span in stated.spans
        ],
        "signatures": [signature.hex() for signature in request.signatures],
    }
    return json.dumps(text, indent=1).encode() + b"\n"


def opened(data: bytes) -> Request:
    """Return the request in a file; its signatures are not looked at.

    Raises:
        LedgerError: It is none.
    """
    try:
        text: dict[str, Any] = json.loads(data)
        spans = [
            Span(bytes.fromhex(gate), bytes.fromhex(epoch), first, last, bytes.fromhex(before), bytes.fromhex(head))
            for gate, epoch, first, last, before, head in text["spans"]
        ]
        signers = tuple(Signer(role, bytes.fromhex(public)) for role, public in text["signers"])
        stated = Destruction(
            text["kind"], text["what"], tuple(spans), text["at_ms"], text["retention_s"], 0, 0, signers
        )
        signatures = tuple(bytes.fromhex(one) for one in text["signatures"])
    except (ValueError, KeyError, TypeError, RecursionError, AttributeError) as bad:
        raise LedgerError("The file is no request for destruction.", _ANSWER) from bad
    if text.get("count") != stated.count or stated.kind != destruction.HUB_DESTRUCTION:
        raise LedgerError("The request counts otherwise than it numbers.", _ANSWER)
    return Request(stated, signatures)


def sign(request: Request, key: SigningKey) -> Request:
    """Return a request with one more signature; one that is there already stays once.

    Raises:
        ConfigError: The key is none of those that have to sign.
    """
    try:
        signature = destruction.sign(request.stated, key)
    except ValueError as stranger:
        raise ConfigError("The request does not name this key.", "Sign with the key it names.") from stranger
    return replace(request, signatures=tuple(dict.fromkeys((*request.signatures, signature))))


def apply(store: Store, request: Request, tell: Tell, now_ms: int) -> int:
    """Destroy what a request names; return how many batches that were. The same call again goes on where it broke off.

    Args:
        store: The database.
        request: With every signature.
        tell: Told how far it has come.
        now_ms: Hub time.

    Raises:
        LedgerError: A signature is missing or does not hold, a signer does not hold his role here, or it names other
            entries than the ledger has; nothing is destroyed then.
    """
    with store.reader() as connection:
        certificate = destruction.assemble(request.signatures) if request.signatures else b""
        stated = destruction.open_certificate(certificate, holders(connection))
        if stated != request.stated or stated.what not in _DESTROY:
            raise LedgerError("The signatures are over something else than the request says.", _ANSWER)
        rows = _rows(connection, stated)
    with store.writing() as connection:
        digest = sha256(certificate).digest()
        connection.execute("INSERT OR IGNORE INTO destructions VALUES (?, ?, ?)", (digest, now_ms, certificate))
    for start in range(0, len(rows), _STEP):
        with store.writing() as connection:
            for row in rows[start : start + _STEP]:
                _DESTROY[stated.what](connection, row)
        tell(min(start + _STEP, len(rows)))
    with store.errors():
        connection = store.open_writer()
        try:
            # What was overwritten in the database must not stand in the journal.
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            connection.close()
    return len(rows)


def _rows(connection: sqlite3.Connection, stated: Destruction) -> list[int]:
    if stated.what == destruction.FACTS:
        return [one.row for span in stated.spans for one in _of_span(connection, span)]
    # What came since under the same header has its own time to stay.
    before_ms = stated.at_ms - stated.retention_s * 1000
    return [row for row, header in incidents.with_facts(connection, before_ms) if _span_of(header) in stated.spans]


def _of_span(connection: sqlite3.Connection, span: Span) -> list[Kept]:
    """Return the batches of a span, after a look at whether they are what was signed for."""
    found = connection.execute(
        "SELECT b.id FROM batches AS b JOIN logs AS l ON l.id = b.log JOIN gates AS g ON g.id = l.gate "
        "WHERE g.gate = ? AND l.epoch = ? AND b.last BETWEEN ? AND ? ORDER BY b.id",
        (span.gate, span.epoch, span.first, span.last),
    ).fetchall()
    batches = [next(kept.read(connection, after=row - 1, most=1)) for (row,) in found]
    headers = [batch.open_header(one.wire, one.public) for one in batches]
    if not headers or headers[0].previous_head != span.previous_head or headers[-1].head != span.head:
        raise LedgerError("The request names other entries than the ledger has.", _ANSWER)
    if headers[0].first != span.first or headers[-1].last != span.last:
        raise LedgerError("The request names a part of a batch.", _ANSWER)
    return batches


def _destroy(connection: sqlite3.Connection, row: int) -> None:
    wire, first, last = connection.execute(
        "SELECT wire, hub_first, hub_last FROM batches WHERE id = ?", (row,)
    ).fetchone()
    connection.execute("UPDATE batches SET wire = ? WHERE id = ?", (batch.without_facts(wire), row))
    connection.execute("DELETE FROM private WHERE batch = ?", (row,))
    connection.execute("DELETE FROM sealed WHERE hub_seq BETWEEN ? AND ?", (first, last))
    connection.execute(f"UPDATE scans SET {_NO_FACTS} WHERE hub_seq BETWEEN ? AND ?", (first, last))  # noqa: S608


_DESTROY: Final = {destruction.FACTS: _destroy, destruction.EVIDENCE: incidents.bare}
"""What a request may name, and how one row of it goes."""


class Certified:
    """Which entries of the ledger certificates speak of: what may be without facts."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._spans: list[Span] = []
        self.problems: list[str] = []
        roles = holders(connection)
        for at_ms, wire in connection.execute("SELECT at_ms, wire FROM destructions ORDER BY at_ms"):
            try:
                stated = destruction.open_certificate(wire, roles)
            except LedgerError as bad:
                self.problems.append(f"destruction certificate of {at_ms}: {bad.message}")
            else:
                # One about evidence names entries of logs that are not the ledger's.
                self._spans += stated.spans if stated.what == destruction.FACTS else ()

    def covers(self, header: BatchHeader) -> bool:
        """Whether a certificate names every entry of a batch."""
        return any(
            (span.gate, span.epoch) == (header.gate, header.epoch)
            and span.first <= header.first
            and header.last <= span.last
            for span in self._spans
        )


def problems(certified: Certified, one: Kept, header: BatchHeader) -> Iterator[str]:
    """Give what does not hold of a batch whose facts are gone."""
    if (header.first, header.last, header.head) != (one.first, one.last, one.head):
        yield "is filed under other numbers than it was signed with"
    if not certified.covers(header):
        yield "has lost its facts, and no certificate says so"


def header_left(one: Kept) -> BatchHeader | None:
    """Return the header of a batch whose facts were destroyed, None where they are there.

    Raises:
        BatchRefused: What is left does not verify.
    """
    return None if batch.has_facts(one.wire) else batch.open_header(one.wire, one.public)
