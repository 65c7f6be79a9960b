"""What every page must show now: the state, the verdict that is still showing, and what nobody has acknowledged.

The board outlives the pages: a reload must not wipe a red that nobody acknowledged, and must not bring back a holder
whose time is over. What a holder is called is kept exactly as long as a page may show it. It reads the monotonic
clock only; the wall clock is what the scanner part says plus the time since.
"""

import json
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from edge.kiosk.fanout import MAX_CLIENTS, Fanout, Listener
from edge.kiosk.link_file import Link
from edge.kiosk.view import View, state_view, strip_entry, verdict_view
from edge.kiosk.witnesses import Witnesses
from edge.model.finding import Finding

SHOWS_S: Final = {"accept": 4.0, "reject": 8.0}
"""How long a verdict shows, seconds; a refer shows until it is acknowledged or another comes."""

_BEAT_S = 4.0
"""A page that hears nothing for longer than two of these says that it is not live."""
_KEPT = 50
_FULL_SHOWS_S = 60.0


class Board:
    """Joins the scanner's messages and the link, and tells the pages.

    Args:
        fanout: The open pages.
        read_link: Returns what the sync part says; called at every pulse.
        token: The secret that a command must carry.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        fanout: Fanout,
        read_link: Callable[[], Link],
        token: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fanout = fanout
        self._read_link = read_link
        self._token = token
        self._clock = clock
        self._lock = threading.RLock()
        self._run = secrets.token_hex(4)
        self._count = 0
        self._state: Mapping[str, Any] | None = None
        self._state_at = 0.0
        self._told: tuple[str, float] = ("", float("-inf"))
        self._showing: tuple[View, float] | None = None
        self._open: OrderedDict[str, View] = OrderedDict()
        self._full_until = float("-inf")
        self._witnesses = Witnesses()

    def on_message(self, message: Mapping[str, Any]) -> None:
        """Take one event of the scanner part; one of an unknown type is left alone."""
        with self._lock:
            if message.get("type") == "verdict":
                self._on_verdict(message)
            elif message.get("type") == "state":
                self._state, self._state_at = message, self._clock()
                self._tell_state()

    def on_connection(self, is_connected: bool) -> None:  # noqa: FBT001 - the event is that one fact
        """Take note that the scanner part came or went; its last state is not shown as if it still held."""
        with self._lock:
            if not is_connected:
                self._state = None
            self._tell_state()

    def pulse(self) -> None:
        """Forget whoever's time is over, and tell the pages the state: at once if it changed, else as a heartbeat."""
        with self._lock:
            self._expire()
            self._tell_state()

    def listen(self, is_gone: Callable[[], bool], page: str | None = "") -> Listener | None:
        """Admit a page with a snapshot as its first message, or return None where too many are open.

        Args:
            is_gone: Tells whether the page has closed its connection.
            page: As of `Listener`.
        """
        with self._lock:
            snapshot = self.snapshot()
            listener = self._fanout.open(is_gone, _text(snapshot), page=page)
            if listener is None:
                self._full_until = self._clock() + _FULL_SHOWS_S
                self._tell_state()
            elif page is not None and snapshot["verdict"] is not None:
                self._witnesses.join(snapshot["verdict"]["id"], page)
            return listener

    def snapshot(self) -> View:
        """Return everything a page that has just been opened must show."""
        with self._lock:
            self._expire()
            verdict, age_ms = None, 0
            if self._showing is not None:
                verdict, since = self._showing
                age_ms = int((self._clock() - since) * 1000)
            return {
                "type": "snapshot",
                "state": self._state_view(),
                "verdict": verdict,
                "age_ms": age_ms,
                "open": list(self._open.values()),
                "token": self._token,
            }

    def acknowledge(self, idents: Iterable[str]) -> None:
        """Take verdicts off the list that nobody had acknowledged, on every page."""
        with self._lock:
            asked = list(idents)
            gone = [ident for ident in asked if self._open.pop(ident, None) is not None]
            if self._showing is not None and self._showing[0]["id"] in asked:
                self._showing = None  # an accept too: staff said that the next person's turn has come
            if gone:
                self._fanout.publish(_text({"type": "ack", "ids": gone}))

    def not_shown(self, idents: Iterable[str], page: str) -> list[int]:
        """Take a page's word that it never showed these accepts in green, and return the numbers nobody else did.

        Those are handed to no page any more, stand among what nobody has acknowledged, and are named once.

        Args:
            idents: Names of the verdicts.
            page: The page's own name.
        """
        with self._lock:
            missed = [entry for ident in idents if (entry := self._witnesses.deny(ident, page)) is not None]
            for entry in missed:
                if self._showing is not None and self._showing[0]["id"] == entry["id"]:
                    self._showing = None
                self._keep_open(entry)
            return [entry["seq"] for entry in missed]

    def last_state(self) -> tuple[View, list[View]]:
        """Return the state as pages show it, and what nobody has acknowledged."""
        with self._lock:
            return self._state_view(), list(self._open.values())

    def _on_verdict(self, message: Mapping[str, Any]) -> None:
        self._count += 1
        gate = self._state.get("gate") if self._state is not None else None
        view = verdict_view(message, ident=f"{self._run}-{self._count}", gate=gate if isinstance(gate, str) else "")
        # One of several codes of a frame tells nothing alone: a page that missed the others gets none of them.
        is_part = view["together"] > 1
        self._showing = None if is_part and view["outcome"] == "accept" else (view, self._clock())
        if view["outcome"] != "accept":
            self._keep_open(strip_entry(view))
        pages = self._fanout.publish(_text(view))
        if view["outcome"] == "accept":
            self._witnesses.hand(view, pages)

    def _keep_open(self, entry: View) -> None:
        self._open[entry["id"]] = entry
        while len(self._open) > _KEPT:
            self._open.popitem(last=False)

    def _expire(self) -> None:
        if self._showing is not None:
            view, since = self._showing
            if self._clock() - since >= SHOWS_S.get(view["outcome"], float("inf")):
                self._showing = None

    def _state_view(self) -> View:
        ours = []
        if self._clock() < self._full_until:
            ours.append(Finding("web.clients_full", params={"limit": MAX_CLIENTS}))
        return state_view(self._state, elapsed_s=self._clock() - self._state_at, link=self._read_link(), ours=ours)

    def _tell_state(self) -> None:
        view = self._state_view()
        now = self._clock()
        # The time and the ages run on by themselves: only what else changed is news before the next beat.
        news = _text({key: value for key, value in view.items() if key != "at_ms"})
        if news == self._told[0] and now - self._told[1] < _BEAT_S:
            return
        self._told = (news, now)
        self._fanout.publish(_text(view))


def _text(view: View) -> str:
    return json.dumps(view, ensure_ascii=False, separators=(",", ":"))


def idents_of(raw: object) -> list[str]:
    """Return the verdict names of an acknowledgement, at most as many as are kept."""
    return [ident for ident in raw[:_KEPT] if isinstance(ident, str)] if isinstance(raw, list) else []
