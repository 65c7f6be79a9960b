"""What people do with a hub by command, beside one that may be serving: begin, invite, list, retire, hand out tokens.

Every change is one durable transaction of its own; a serving hub sees it with the next request.
"""

import base64
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from edge.errors import ConfigError, EnrolmentError
from edge.hub import access, courier, coverage, fleet, folder, incidents, person, projection, pull, roster, statement
from edge.hub.export import Export, Say, Summary, Task
from edge.hub.folder import HubConfig, HubFolder
from edge.hub.hub import SILENT_BEATS, system_clock
from edge.hub.pull import Read
from edge.hub.roster import Place
from edge.hub.store import Store
from edge.ledger import enrolment, timecode, tokens

Clock = Callable[[], int]

MOST_HOURS: Final = 30 * 24
_HOUR_MS: Final = 3_600_000
_MAX_NAME: Final = 64
_MOST_DAYS: Final = 3660
_MAX_REGION: Final = 999_999
_LEAST_HEX: Final = 4


@dataclass(frozen=True, slots=True)
class Invited:
    """An invitation as it is handed out.

    Attributes:
        code: The code to print, show or type. It is a secret until it is used.
        place: Where the gate will stand.
        expires_ms: When it ends, Unix milliseconds.
        has_root: Whether a gate that uses it now gets a trust root.
    """

    code: str
    place: Place
    expires_ms: int
    has_root: bool


def begin(path: Path, config: HubConfig, *, root: bytes = b"", clock: Clock = system_clock) -> HubFolder:
    """Make a hub: its folder, keys, database and operator token; again, where the last time was cut short.

    Raises:
        SetupError: There is something in the folder already, or it cannot be written.
        LedgerError: The database cannot be made.
    """
    now_ms = clock()
    with folder.begun(path):
        home, operator = folder.prepare(path, config, root=root, today=tokens.day_of(now_ms))
        store = Store(home.database)
        store.create()
        with store.writing() as connection:
            access.add(connection, "operator", operator, now_ms, term=(folder.OPERATOR, None))
        folder.seal(home)
    return home


class Desk:
    """A hub folder at hand.

    Args:
        path: The folder.
        clock: Unix milliseconds.
        who: Names whoever gives the command, for the audit.

    Raises:
        ConfigError: It is no hub folder.
        LedgerError: The database is missing, damaged or cannot be written.
    """

    def __init__(self, path: Path, *, clock: Clock = system_clock, who: Callable[[], str] = person.name) -> None:
        self._who = who
        self.home = folder.load(path)
        self._store = Store(self.home.database)
        self._store.migrate()
        self._clock = clock

    def invite(self, place: Place, hours: float) -> Invited:
        """Make a one-time invitation for a gate at `place`.

        Raises:
            ConfigError: A name is empty, too long or not printable, or the time impossible.
            LedgerError: The database cannot be written.
        """
        _check_place(place)
        if not 0 < hours <= MOST_HOURS:
            raise ConfigError("An invitation is valid for up to 720 hours.", "Choose another --valid-hours.")
        now_ms = self._clock()
        expires_ms = now_ms + int(hours * _HOUR_MS)
        with self._store.writing() as connection:
            token = roster.invite(connection, place, now_ms=now_ms, expires_ms=expires_ms)
            made = enrolment.Invitation(
                hub_url=self.home.config.url,
                hub_key=self.home.public,
                token=token,
                site=place.site,
                lane=place.lane,
                region=place.region,
                issued_at=now_ms // 1000,
                expires_at=expires_ms // 1000,
            )
            code = enrolment.make_invitation(made, self.home.key)
            _check_readable(code)
        return Invited(code, place, expires_ms, bool(self.home.root()))

    def time_code(self, question: str) -> tuple[str, int]:
        """Sign this hub's time for the gate that shows `question`.

        Returns:
            The code to show to its camera, and the time in it, Unix milliseconds.

        Raises:
            ConfigError: It is no question of a gate.
        """
        try:
            nonce = base64.b32decode(question.replace(" ", "").replace("-", "").upper(), casefold=False)
            at_ms = self._clock()
            return timecode.make(timecode.TimeCode(nonce, at_ms), self.home.key), at_ms
        except ValueError:
            raise ConfigError(
                "A gate's question is eight letters and digits, without 0, 1, 8 and 9.",
                "Read it anew from the gate's screen: it changes every ten minutes.",
            ) from None

    def gates(self) -> tuple[fleet.GateState, ...]:
        """Return the state of every gate, the one that wants a look most first.

        Raises:
            LedgerError: The database cannot be read.
        """
        with self._store.reader() as connection:
            return fleet.gates(connection, self._clock(), SILENT_BEATS * self.home.config.heartbeat_s)

    def outbox(self, most: int) -> list[courier.Waiting]:
        """Return what webhooks were and are to be told, the newest first.

        Raises:
            LedgerError: The database cannot be read.
        """
        with self._store.reader() as connection:
            return courier.listed(connection, most)

    def incidents(self, most: int, *, is_open: bool) -> list[incidents.Incident]:
        """Return incidents, open ones first.

        Raises:
            LedgerError: The database cannot be read.
        """
        with self._store.reader() as connection:
            return incidents.listed(connection, most=most, is_open=is_open)

    def resolve(self, number: int) -> bool:
        """Mark an incident as dealt with; return whether it was open.

        Raises:
            LedgerError: The database cannot be written.
        """
        with self._store.writing() as connection:
            return incidents.resolve(connection, number, self._clock())

    def export(self, target: Path) -> int:
        """Write every piece of evidence to a folder, a file each, and return how many.

        Raises:
            ConfigError: The folder cannot be written.
            LedgerError: The database cannot be read.
        """
        count = 0
        row = self._begun(Read("evidence", 0))
        try:
            target.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._store.reader() as connection:
                for name, wire in incidents.exhibits(connection):
                    (target / name).write_bytes(wire)
                    count += 1
        except OSError as failed:
            raise ConfigError(f"{target} cannot be written: {failed.strerror}.", "Choose another folder.") from failed
        self._done(row, Read("evidence", count))
        return count

    def export_ledger(self, task: Task, say: Say) -> Summary:
        """Bring an export of the ledger up to date (`edge.hub.export`), on record.

        Raises:
            SetupError: The folder cannot be written, is another's, or Parquet is not to be had here.
            LedgerError: The database cannot be used, or does not verify.
        """
        made = Export(self.home, task, say)
        row = self._begun(Read(pull.exported_as(task.days, task.views), 0))
        summary = made.run(self._store, self._clock())
        self._done(row, Read("", summary.scans, 0, summary.last))
        return summary

    def coverage(self, day: str) -> bytes:
        """Return the signed statement about a UTC day, like 2026-11-24 (`edge.hub.coverage`), on record.

        Raises:
            ConfigError: It is no day.
            LedgerError: The database cannot be used.
        """
        is_behind = True
        while is_behind:
            with self._store.writing() as connection:
                is_behind = projection.step(connection)
        with self._store.reader() as connection:
            content = coverage.of_day(connection, day, self._clock())
        self._begun(Read(f"coverage {day}", len(content["gates"])))
        return statement.make(statement.COVERAGE, content, self.home.key)

    def _begun(self, read: Read) -> int:
        """Put on record what is about to be read here, before a byte of it leaves."""
        with self._store.writing() as connection:
            return pull.record_local(connection, self._who(), read, self._clock())

    def _done(self, row: int, read: Read) -> None:
        with self._store.writing() as connection:
            pull.complete(connection, row, read, self._clock())

    def retire(self, start: str) -> bytes:
        """Retire the one gate whose id begins so, and return its id.

        Raises:
            EnrolmentError: None or several begin so.
            LedgerError: The database cannot be written.
        """
        look = f"See them: edge hub gates {self.home.path}"
        with self._store.writing() as connection:
            found = roster.named(connection, start) if len(start) >= _LEAST_HEX else []
            if not found:
                raise EnrolmentError("No gate's id begins like that (at least four characters).", look)
            if len(found) > 1:
                raise EnrolmentError(f"{len(found)} gates' ids begin like that.", look)
            roster.retire(connection, found[0], self._clock())
        return found[0]

    def pulls(self, most: int) -> list[dict[str, Any]]:
        """Return the audit trail of pulls, the newest first.

        Raises:
            LedgerError: The database cannot be read.
        """
        with self._store.reader() as connection:
            return pull.recorded(connection, most)

    def tokens(self) -> list[access.Granted]:
        """Return every token that was handed out, the newest first.

        Raises:
            LedgerError: The database cannot be read.
        """
        with self._store.reader() as connection:
            return access.listed(connection)

    def revoke(self, named: str) -> int:
        """Let nobody in any more by the tokens of this name or beginning of their hash; return how many that were.

        Raises:
            LedgerError: The database cannot be written.
        """
        with self._store.writing() as connection:
            return access.revoke(connection, named, self._clock())

    def new_token(self, role: str, *, name: str = "", days: float | None = None) -> str:
        """Let somebody in as `role` and return the token; it is not kept and cannot be shown again.

        Args:
            role: One of `access.ROLES`.
            name: What to call it in lists.
            days: How long it is valid, None for ever.

        Raises:
            ConfigError: There is no such role, the name is too long or not plain text, or the time impossible.
            LedgerError: The database cannot be written.
        """
        if role not in access.ROLES:
            raise ConfigError(f"There is no role {role!r}.", f"Choose one of: {', '.join(access.ROLES)}.")
        if len(name) > _MAX_NAME or not (name.isprintable() and name.strip() == name):
            raise ConfigError("--name is too long or not plain text.", "Choose another --name.")
        if days is not None and not 0 < days <= _MOST_DAYS:
            raise ConfigError(f"A token is valid for up to {_MOST_DAYS} days.", "Choose another --valid-days.")
        token = secrets.token_urlsafe(32)
        now_ms = self._clock()
        expires_ms = None if days is None else now_ms + int(days * 24 * _HOUR_MS)
        with self._store.writing() as connection:
            access.add(connection, role, token, now_ms, term=(name, expires_ms))
        return token


def _check_place(place: Place) -> None:
    for option, name in (("--site", place.site), ("--lane", place.lane)):
        if not (0 < len(name) <= _MAX_NAME and name.isprintable() and name.strip() == name):
            raise ConfigError(
                f"{option} is empty, longer than {_MAX_NAME} characters or not plain text.", f"Choose another {option}."
            )
    if not 0 <= place.region <= _MAX_REGION:
        raise ConfigError("The region is no GB/T 2260 code of six digits.", "Give it like --region 610100.")


def _check_readable(code: str) -> None:
    """Read back what will be printed: a gate must be able to, whatever the names and the address are."""
    try:
        enrolment.open_invitation(code.encode())
    except EnrolmentError as too_long:
        raise ConfigError(
            "Site, lane and address together are too long for one code.", "Shorten --site or --lane."
        ) from too_long
