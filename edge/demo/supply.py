"""Genuine passes, made by the authority's own command ahead of their turn, and the people who come with them.

Passes that are to be shown as revoked are revoked and published; they are shown only when the gate has had time to
hear of it. What people show besides is made in `edge.demo.counterfeits`.
"""

import json
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from edge.demo.people import Order, Part, Presentation, Programme, round_of, wanted
from edge.demo.phone import Phone
from edge.demo.processes import Processes
from edge.errors import EdgeError, SetupError

_ROUNDS_AT_ONCE: Final = 4
_FEWEST_LEFT: Final = 50
"""Below this more are made: a minute and a half of people."""
_HEARD_AFTER_MS: Final = 3000
"""The gate has read what it refreshed this long after it says so."""
_HOME: Final = {"nhc": 420100, "cn": 510100}
"""Regions that passes of the national systems speak of."""
_VISITED: Final = (310000, 610100)


def request(order: Order, number: int, now_s: int) -> dict[str, Any]:
    """Return an order as a line of `edge authority issue --batch`.

    Args:
        order: The pass wanted.
        number: Makes venues differ.
        now_s: Unix seconds.
    """
    line: dict[str, Any] = {
        "issuer": order.issuer,
        "kind": order.kind,
        "issued_at": now_s + order.starts_s,
        "valid_hours": order.lasts_s / 3600,
    }
    if order.kind == "venue":
        return line | {"venue_id": f"{number:08x}", "venue_name": "北京南站", "region": 110000}
    line["id_tail"] = order.person.id_tail
    if order.kind == "travel":
        return line | {"visited": list(_VISITED), "days": 14}
    person = order.person
    named = {"surname": person.surname, "name": person.name, "birth_year": person.birth_year, "shows_id_tail": True}
    home = {"region": _HOME[order.issuer]} if order.issuer in _HOME else {}
    bound = {"holder_key": order.holder_key} if order.holder_key else {}
    return line | {"status": order.status} | named | home | bound


class Issuing:
    """The authority's desk, as a script uses it.

    Args:
        processes: Runs the commands.
        authority: The authority's folder.
        folder: Where orders and passes are written.
    """

    def __init__(self, processes: Processes, authority: Path, folder: Path) -> None:
        self._processes = processes
        self._authority = str(authority)
        self._folder = folder
        self._batches = 0
        self.is_urgent = True
        """Whether people wait for the passes; afterwards the authority works in the background."""

    def _run(self, *arguments: str) -> None:
        self._processes.command("authority", *arguments, is_urgent=self.is_urgent)

    def issue(self, orders: Sequence[Order], now_s: int) -> list[bytes]:
        """Have passes issued, and those revoked that are to be; the publication is left to `publish`.

        Raises:
            SetupError: The command failed.
        """
        self._batches += 1
        lines, out = self._folder / f"orders-{self._batches}.ndjson", self._folder / f"passes-{self._batches}"
        requests = [request(order, number, now_s) for number, order in enumerate(orders, 1)]
        lines.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in requests), encoding="utf-8")
        lines.chmod(0o600)
        self._run("issue", self._authority, "--batch", str(lines), "--out", str(out))
        rows = [json.loads(row) for row in (out / "passes.ndjson").read_text(encoding="utf-8").splitlines()]
        for order, row in zip(orders, rows, strict=True):
            if order.is_revoked:
                self._revoke(row)
        return [(out / row["text"]).read_bytes().strip() for row in rows]

    def _revoke(self, row: dict[str, Any]) -> None:
        place = ("--issuer", row["issuer"], "--list", str(row["list"]), "--index", str(row["index"]))
        self._run("revoke", self._authority, *place)

    def publish(self) -> None:
        """Publish what was changed.

        Raises:
            SetupError: The command failed.
        """
        self._run("publish", self._authority)


@dataclass(slots=True)
class _Stock:
    """Some rounds with their passes.

    Attributes:
        parts: Who comes.
        passes: The pass of each.
        published_ms: When its revocations were published, Unix milliseconds.
    """

    parts: list[Part]
    passes: list[bytes | None]
    published_ms: int


@dataclass(slots=True)
class Supply:
    """People, as long as anybody wants some.

    Attributes:
        issuing: Makes their passes.
        programme: Makes presentations of them.
        seed: Who comes follows from it.
        now_ms: The demo's clock, Unix milliseconds.
        phone: Signs what people with live passes show.
    """

    issuing: Issuing
    programme: Programme
    seed: int
    now_ms: Callable[[], int]
    phone: Phone = field(default_factory=Phone)
    _people: deque[Presentation] = field(default_factory=deque)
    _ripening: deque[_Stock] = field(default_factory=deque)
    _rounds: int = 0
    _worker: threading.Thread | None = None
    _failure: EdgeError | None = None

    def open(self) -> None:
        """Make the first round; to be called before the first publication.

        Raises:
            SetupError: A command failed.
        """
        stock = self._made(1)
        self._admit(stock)

    def _made(self, rounds: int) -> _Stock:
        parts = [part for number in range(self._rounds, self._rounds + rounds) for part in round_of(number, self.seed)]
        self._rounds += rounds
        orders = [self._bound(wanted(part)) for part in parts]
        issued = iter(self.issuing.issue([order for order in orders if order is not None], self.now_ms() // 1000))
        return _Stock(parts, [None if order is None else next(issued) for order in orders], 0)

    def _bound(self, order: Order | None) -> Order | None:
        return order if order is None or not order.is_live else replace(order, holder_key=self.phone.public)

    def _admit(self, stock: _Stock) -> None:
        self._people.extend(self.programme.presentations(stock.parts, stock.passes, self.now_ms() // 1000))

    def next(self, refreshed_ms: int) -> Presentation | None:
        """Return who comes next, or None where nobody's pass is ready.

        Args:
            refreshed_ms: When the gate last refreshed its trust, Unix milliseconds.

        Raises:
            SetupError: Making more passes failed.
        """
        if self._failure is not None:
            raise self._failure
        if self._ripening and self._is_heard(self._ripening[0], refreshed_ms):
            self._admit(self._ripening.popleft())
        if not self._people and self._ripening:
            self._admit(_without_revoked(self._ripening.popleft()))
        return self.phone.shown(self._people.popleft(), self.now_ms() // 1000) if self._people else None

    def _is_heard(self, stock: _Stock, refreshed_ms: int) -> bool:
        return stock.published_ms < refreshed_ms < self.now_ms() - _HEARD_AFTER_MS

    def refill(self) -> None:
        """Have more passes made in the background where few are left; returns at once."""
        is_busy = self._worker is not None and self._worker.is_alive()
        if not is_busy and not self._ripening and len(self._people) < _FEWEST_LEFT and self._failure is None:
            self._worker = threading.Thread(target=self._make_more, name="passes", daemon=True)
            self._worker.start()

    def _make_more(self) -> None:
        try:
            self.issuing.is_urgent = False
            stock = self._made(_ROUNDS_AT_ONCE)
            self.issuing.publish()
            stock.published_ms = self.now_ms()
            self._ripening.append(stock)
        except EdgeError as error:
            self._failure = error
        except (OSError, ValueError) as error:
            self._failure = SetupError(f"Passes could not be issued: {error}")


def _without_revoked(stock: _Stock) -> _Stock:
    """Return a stock as it is shown while the gate cannot have heard of its revocations."""
    orders = [wanted(part) for part in stock.parts]
    passes = [
        None if order is not None and order.is_revoked else pass_
        for order, pass_ in zip(orders, stock.passes, strict=True)
    ]
    return _Stock(stock.parts, passes, stock.published_ms)
