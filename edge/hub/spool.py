"""Exports on their way to somebody who asked over HTTP: made in a folder of the hub, handed out in pieces, put away.

The very same export as the local command's (`edge.hub.export`), one at a time and beside everything else. It is put
away an hour after it was last asked for, at every start, and whenever facts are destroyed: a copy nobody knows of would
outlive their retention.
"""

import logging
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final

from edge.errors import ConfigError, EdgeError, SetupError
from edge.hub.declined import Declined
from edge.hub.export import DAY, MANIFEST, NAME, VIEWS, Export, Summary, Task
from edge.hub.folder import HubFolder
from edge.hub.store import Store

PIECE: Final = 4 << 20
"""Most bytes of a file in one answer: waitress takes it in memory, so a slow reader holds no thread."""
KEPT_S: Final = 3600.0
FRESH_S: Final = 60.0
"""A finished export is handed out for so long before the ledger is looked at again."""
RESERVE: Final = 512 << 20
"""Bytes of the disk that no export takes: a full disk would stop the hub from taking scans."""
_BYTES_A_SCAN: Final = {"ndjson": 480, "csv": 280, "parquet": 500}
"""What a table takes at most, Parquet with the lines it is made from."""
_FOLDER: Final = "spool"
_LOG: Final = logging.getLogger("edge.hub")


@dataclass(frozen=True, slots=True)
class Made:
    """An export that is ready.

    Attributes:
        key: What its files are asked for by.
        manifest: The signed manifest.
        summary: What it came to.
    """

    key: str
    manifest: bytes
    summary: Summary


@dataclass(frozen=True, slots=True)
class Making:
    """An export that is being made.

    Attributes:
        day: The day it is at, empty before the first.
        done: Batches done of it.
        total: Batches of it.
    """

    day: str = ""
    done: int = 0
    total: int = 0


@dataclass(slots=True)
class _Order:
    used_at: float
    progress: Making = field(default_factory=Making)
    thread: threading.Thread | None = None
    made: Made | None = None
    made_at: float = 0.0
    failed: EdgeError | None = None


class Spool:
    """The exports of a serving hub.

    Args:
        home: Its folder.
        store: Its database.
        clock: Unix milliseconds.
        monotonic: Seconds that never go back.
    """

    def __init__(self, home: HubFolder, store: Store, clock: Callable[[], int], monotonic: Callable[[], float]) -> None:
        self._home = home
        self._store = store
        self._clock = clock
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._orders: dict[str, _Order] = {}

    def ask(self, days: tuple[str, ...], views: tuple[str, ...]) -> Made | Making | Declined:
        """Return an export, or how far its making is; begins it where nobody did.

        Raises:
            EdgeError: It could not be made.
        """
        days, views = tuple(sorted(set(days))), tuple(view for view in VIEWS if view in views)
        key = sha256(repr((days, views)).encode()).hexdigest()[:16]
        with self._lock:
            now = self._monotonic()
            order = self._orders.get(key) or _Order(now)
            order.used_at = now
            if order.thread is not None:
                return order.progress
            if order.failed is not None:
                failed, order.failed = order.failed, None
                raise failed
            if order.made is not None and now - order.made_at < FRESH_S:
                return order.made
            if any(other.thread is not None for other in self._orders.values()):
                return Making()
            if self._is_full(views):
                return Declined(
                    507, "no_room", "The hub's disk has no room for this export.", "Ask for single days: --day DAY."
                )
            # Kept from now on: who asks for ever other days while one is made leaves nothing behind.
            self._orders[key] = order
            begun = order.progress = Making()
            order.thread = threading.Thread(
                target=self._make, args=(key, order, (days, views)), name="hub-export", daemon=True
            )
            order.thread.start()
            return begun

    def file(self, key: str, day: str, name: str) -> Path | None:
        """Return where a file of a finished export lies, None where it does not any more."""
        with self._lock:
            order = self._orders.get(key)
            if order is None or not DAY.fullmatch(day) or not NAME.fullmatch(name):
                return None
            order.used_at = self._monotonic()
            path = self._path(key) / day / name
            if not path.is_file():
                # Put away beside us, or of a day that grew: who asks anew gets a manifest that is true.
                order.made = None
                return None
            return path

    def tidy(self) -> None:
        """Put away what nobody asked for in an hour."""
        with self._lock:
            oldest = self._monotonic() - KEPT_S
            for key, order in list(self._orders.items()):
                if order.thread is None and order.used_at < oldest:
                    del self._orders[key]
                    shutil.rmtree(self._path(key), ignore_errors=True)

    def _path(self, key: str) -> Path:
        return self._home.path / _FOLDER / key

    def _make(self, key: str, order: _Order, wanted: tuple[tuple[str, ...], tuple[str, ...]]) -> None:
        def say(day: str, done: int, total: int) -> None:
            order.progress = Making(day, done, total)

        made: Made | None = None
        failed: EdgeError | None = None
        try:
            path = self._path(key)
            summary = Export(self._home, Task(path, *wanted), say).run(self._store, self._clock())
            made = Made(key, (path / MANIFEST).read_bytes(), summary)
        except EdgeError as met:
            failed = met
        except OSError as met:
            failed = SetupError(f"The export cannot be written: {met.strerror}.", "Make room at the hub.")
        except Exception:  # noqa: BLE001 - see below
            # Without an end of it whoever asks would begin it again and again.
            _LOG.exception("a defect in making an export")
            failed = SetupError("The export cannot be made: a defect.", "Report the hub's log.")
        finally:
            with self._lock:
                order.made, order.failed, order.thread = made, failed, None
                order.made_at = self._monotonic()

    def _is_full(self, views: tuple[str, ...]) -> bool:
        with self._store.reader() as connection:
            size, scans = connection.execute(
                "SELECT coalesce(sum(length(wire)), 0), coalesce(max(hub_last), 0) FROM batches"
            ).fetchone()
        needed = size + scans * sum(_BYTES_A_SCAN[view] for view in views)
        return bool(shutil.disk_usage(self._home.path).free < needed + RESERVE)


def empty(home: Path) -> None:
    """Put every export of a hub away.

    Raises:
        ConfigError: One cannot be removed.
    """
    path = home / _FOLDER
    try:
        if path.exists():
            shutil.rmtree(path)
    except OSError as failed:
        raise ConfigError(f"{path} cannot be removed: {failed.strerror}.", "Remove it by hand.") from failed
