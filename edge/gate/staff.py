"""Commands of the gate's pages, carried out in the line's thread: each that changes something is an entry of the log.

An override asks for the PIN whose argon2id hash `edge provision pin` wrote; checking it takes long on purpose, so it is
done beside the line, and at most five tries a minute.
"""

import base64
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from nacl.exceptions import InvalidkeyError
from nacl.pwhash import verify as verify_password

from edge.credentials.document_number import is_document_number
from edge.credentials.tail import tail_of
from edge.errors import EdgeError, LogUnwritable
from edge.gate.bus import Command
from edge.gate.line import Line
from edge.gate.tails import Compared
from edge.model.scan import TAIL_DIFFERS, TAIL_MATCHED, EntryType, Facts
from edge.model.symbol import Symbol
from edge.model.verdict import Reason
from edge.words.catalogue import NOTES

UNDO_WITHIN_S: Final = 10.0
_MAX_TRIES: Final = 5
_TRIES_WINDOW_S: Final = 60.0
_MAX_PIN: Final = 64


class Staff:
    """Carries out commands.

    Args:
        line: The line, whose thread calls `serve`.
        pin_file: File of the PIN's hash, or None where overrides are off.
        preview: Returns the newest frame as a small JPEG, or None.
        report: Returns the shift report.
        slip: Returns the slip of an entry.
    """

    def __init__(
        self,
        line: Line,
        pin_file: Path | None,
        *,
        preview: Callable[[], bytes | None],
        report: Callable[[], dict[str, Any]],
        slip: Callable[[int], str],
    ) -> None:
        self._line = line
        self._pin_file = pin_file
        self._preview = preview
        self._report = report
        self._slip = slip
        self._tries: deque[float] = deque(maxlen=_MAX_TRIES)
        self._checked: deque[Command] = deque()
        self._recent: dict[int, float] = {}

    def serve(self, command: Command) -> None:
        """Carry out one command and answer it; never raises."""
        handlers: dict[object, Callable[[Command], None]] = {
            "preview": self._show_preview,
            "report": lambda asked: asked.answer({"ok": True, "report": self._report()}),
            "not_holder": lambda asked: self._record(asked, EntryType.NOT_HOLDER, Reason.STAFF_NOT_HOLDER),
            "note": lambda asked: self._record(asked, EntryType.NOTE, None),
            "override": self._override,
            "undo": self._undo,
            "not_shown": self._not_shown,
            "slip": self._give_slip,
            "manual": self._manual,
            "tail": self._compare,
        }
        name = command.body.get("cmd")
        handler = handlers.get(name) if isinstance(name, str) else None
        if handler is None:
            command.answer(_no("unknown", "this command is not known"))
        else:
            handler(command)

    def serve_checked(self) -> None:
        """Record the overrides whose PIN was found right."""
        while self._checked:
            self._record(self._checked.popleft(), EntryType.OVERRIDE, Reason.STAFF_OVERRIDE)

    def _show_preview(self, command: Command) -> None:
        jpeg = self._preview()
        command.answer({"ok": True, "jpeg": None if jpeg is None else base64.b64encode(jpeg).decode("ascii")})

    def _record(self, command: Command, kind: EntryType, reason: Reason | None) -> None:
        seq, note = command.body.get("seq"), command.body.get("note", "")
        if type(seq) is not int or not 1 <= seq <= self._line.last_seq:
            command.answer(_no("seq", "there is no such entry"))
            return
        if (note and note not in NOTES) or (kind in {EntryType.NOTE, EntryType.OVERRIDE} and not note):
            command.answer(_no("note", "the note is not one of the list"))
            return
        facts = Facts(kind, 0, reason=str(reason) if reason is not None else "", refers_to=seq, note=note)
        try:
            written = self._line.staff(facts)
        except LogUnwritable as error:
            command.answer(_no("log.unwritable", str(error)))
            return
        self._remember(written)
        command.answer({"ok": True, "seq": written})

    def _remember(self, seq: int) -> None:
        now = time.monotonic()
        self._recent = {old: at for old, at in self._recent.items() if now - at < UNDO_WITHIN_S}
        self._recent[seq] = now

    def _undo(self, command: Command) -> None:
        seq = command.body.get("seq")
        at = self._recent.pop(seq, None) if isinstance(seq, int) else None
        if at is None or time.monotonic() - at > UNDO_WITHIN_S:
            command.answer(_no("too_late", "only what was done within the last 10 seconds can be undone"))
            return
        command.body.pop("note", None)
        self._record(command, EntryType.UNDO, Reason.STAFF_UNDO)

    def _not_shown(self, command: Command) -> None:
        # Nobody pressed a key for it, so it is nothing that `undo` takes back.
        seq = command.body.get("seq")
        try:
            written = self._line.take_back(seq) if type(seq) is int else None
        except LogUnwritable as error:
            command.answer(_no("log.unwritable", str(error)))
            return
        if written is None:
            command.answer(_no("not_recent", "only an accept of the last 30 seconds can be taken back"))
            return
        command.answer({"ok": True, "seq": written})

    def _give_slip(self, command: Command) -> None:
        seq = command.body.get("seq")
        try:
            command.answer({"ok": True, "slip": self._slip(seq if type(seq) is int else 0)})
        except EdgeError as error:
            command.answer(_no("slip", str(error)))

    def _manual(self, command: Command) -> None:
        # Taken out of the command at once: a number is looked at and goes nowhere.
        way, number = command.body.get("way"), command.body.pop("number", "")
        if way == "registration":
            self._line.register()
        elif way == "document" and isinstance(number, str) and is_document_number(_plain(number)):
            self._line.present([Symbol(_plain(number), engine="typed")])
        else:
            command.answer(_no("number", "this is no document number; check it, or register without one"))
            return
        command.answer({"ok": True, "seq": self._line.last_seq})

    def _compare(self, command: Command) -> None:
        # Taken out of the command at once, as a number is: what is recorded is whether it agrees.
        seq, typed = command.body.get("seq"), command.body.pop("tail", None)
        seq = seq if type(seq) is int else 0
        tail = tail_of(typed) if isinstance(typed, str) else None
        if tail is None:
            command.answer(_no("tail", "type the last four characters of the document's number"))
            return
        compared = self._line.tails.compare(seq, tail)
        if compared is Compared.UNKNOWN:
            command.answer(_no("not_recent", "only a pass accepted within the last minute can be compared"))
        elif compared is Compared.TOO_MANY:
            command.answer(_no("tail_tries", "three tries for a pass; compare the document with the screen"))
        else:
            self._say_compared(command, seq, is_match=compared is Compared.MATCHED)

    def _say_compared(self, command: Command, seq: int, *, is_match: bool) -> None:
        note = TAIL_MATCHED if is_match else TAIL_DIFFERS
        try:
            written = self._line.staff(Facts(EntryType.NOTE, 0, refers_to=seq, note=note))
        except LogUnwritable as error:
            command.answer(_no("log.unwritable", str(error)))
            return
        command.answer({"ok": True, "seq": written, "matched": is_match})

    def _override(self, command: Command) -> None:
        pin = command.body.pop("pin", None)
        if self._pin_file is None:
            command.answer(_no("off", "overrides are switched off on this gate"))
            return
        now = time.monotonic()
        if len(self._tries) == _MAX_TRIES and now - self._tries[0] < _TRIES_WINDOW_S:
            command.answer(_no("too_many", "too many tries; wait a minute"))
            return
        if not isinstance(pin, str) or not 1 <= len(pin) <= _MAX_PIN:
            command.answer(_no("pin", "the PIN is missing"))
            return
        self._tries.append(now)
        threading.Thread(target=self._check, args=(command, pin, self._pin_file), name="pin", daemon=True).start()

    def _check(self, command: Command, pin: str, pin_file: Path) -> None:
        try:
            verify_password(pin_file.read_bytes().strip(), pin.encode())
        except InvalidkeyError:
            command.answer(_no("pin", "the PIN is wrong"))
        except (OSError, ValueError):
            command.answer(_no("pin_file", "the PIN's file cannot be read; run: edge provision pin"))
        else:
            self._tries.clear()
            self._checked.append(command)


def _plain(number: str) -> bytes:
    return number.strip().upper().encode(errors="replace")


def _no(code: str, message: str) -> dict[str, Any]:
    return {"ok": False, "code": code, "message": message}
