"""An export fetched from a hub elsewhere: byte for byte the folder that `edge hub export` makes on the hub's machine.

Each file comes in pieces, is gone on with where it broke off, and counts only by the hash that stands in the index,
whose own stands in the manifest; the manifest is replaced last. Whether it all holds is left to `edge.hub.proof`.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from edge.disk import durable
from edge.errors import AnswerRefused, ConfigError, LedgerError
from edge.hub import export, statement
from edge.hub.client import Client, Making, Manifest
from edge.hub.export import Say, Summary, Task

_TRIES: Final = 3
"""How often it is begun anew where the hub put its files away, or a day grew meanwhile."""
_GONE: Final = 404
_PATIENCE_S: Final = 900.0
"""Longest time a hub may make no progress."""


@dataclass(frozen=True, slots=True)
class File:
    """A file as index or manifest names it.

    Attributes:
        name: Its name.
        size: Bytes.
        digest: SHA-256, hex.
    """

    name: str
    size: int
    digest: str

    @classmethod
    def of(cls, said: Any) -> "File":
        """Return what is said of a file.

        Raises:
            AnswerRefused: It is not of its form.
        """
        match said:
            case {"name": str(name), "bytes": int(size), "sha256": str(digest)} if export.NAME.fullmatch(name):
                return cls(name, size, digest)
        raise AnswerRefused("The hub's export names no proper files.", "Tell the hub's operator.")


class RemoteExport:
    """An export of a hub's ledger, fetched into a folder.

    Args:
        hub: The hub.
        task: What is wanted.
        say: Told of progress: while the hub makes it, the day and its batches; while it comes over, the day and bytes.
        monotonic: Seconds that never go back.
        sleep: Waits for seconds.
    """

    def __init__(
        self,
        hub: Client,
        task: Task,
        say: Say,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._hub = hub
        self._task = task
        self._say = say
        self._monotonic = monotonic
        self._sleep = sleep
        self._written = 0

    def run(self) -> Summary:
        """Bring the folder up to the ledger; broken off, the same call goes on.

        Raises:
            ConfigError: The folder cannot be written, or holds something else or another hub's export.
            FolderInUse: Another export is at work in it.
            TransportError: The hub cannot be reached or refuses; go on with the same call.
        """
        with export.claimed(self._task.out):
            for tried in range(1, _TRIES + 1):
                try:
                    return self._once()
                except AnswerRefused as refused:
                    if refused.status != _GONE or tried == _TRIES:
                        raise
            raise AssertionError("at least one try is made")

    def _once(self) -> Summary:
        out = self._task.out
        before = export.held(out, None)
        days = set(self._task.days)
        wanted = tuple(sorted(days | {str(day["day"]) for day in before["days"]})) if days else ()
        manifest = self._made(wanted)
        content = self._content(manifest, before)
        batches = 0
        for day in content["days"]:
            batches += day["batches"]
            self._day(manifest.key, day)
        durable.write(out / export.MANIFEST, manifest.text)
        for day in content["days"]:
            folder = out / day["day"]
            index = File.of(day["index"])
            export.sweep(folder, {index.name, *(one.name for one in _listed(folder / index.name))})
        return Summary(
            days=len(content["days"]),
            written=self._written,
            batches=batches,
            scans=sum(day["hub_last"] - day["hub_first"] + 1 for day in content["days"]),
            last=max((day["hub_last"] for day in content["days"]), default=0),
        )

    def _made(self, days: tuple[str, ...]) -> Manifest:
        """Wait until the hub has made the export."""
        seen, since = Making("", 0, 0), self._monotonic()
        while isinstance(found := self._hub.export(days, tuple(self._task.views)), Making):
            if found != seen:
                seen, since = found, self._monotonic()
            elif self._monotonic() - since > _PATIENCE_S:
                raise AnswerRefused("The hub does not get on with the export.", "Look at the hub's log and disk.")
            self._say(found.day or "hub", found.done, found.total)
            self._sleep(found.retry_after_s)
        return found

    def _content(self, manifest: Manifest, before: dict[str, Any]) -> dict[str, Any]:
        """Return what a manifest says, after a look at whether it can be one of the folder's."""
        try:
            content = statement.opened(statement.EXPORT, manifest.text, None)
        except LedgerError as bad:
            raise AnswerRefused("The answer is no signed export.", "Check the address of the hub.") from bad
        if before.get("hub_key", content["hub_key"]) != content["hub_key"]:
            raise ConfigError(f"{self._task.out} is not of this hub.", "Choose an empty folder.")
        days = content.get("days")
        numbers = ("hub_first", "hub_last", "batches")
        is_right = isinstance(days, list) and all(
            isinstance(day, dict)
            and export.DAY.fullmatch(str(day.get("day")))
            and all(type(day.get(name)) is int for name in numbers)
            for day in days
        )
        if not is_right:
            raise AnswerRefused("The hub's export names no proper days.", "Tell the hub's operator.")
        return content

    def _day(self, key: str, day: dict[str, Any]) -> None:
        folder = self._task.out / day["day"]
        folder.mkdir(mode=0o700, exist_ok=True)
        index = File.of(day["index"])
        is_new = self._file(key, folder, index)
        for one in _listed(folder / index.name):
            is_new |= self._file(key, folder, one)
        if is_new:
            durable.sync_folder(folder)
            self._written += 1

    def _file(self, key: str, folder: Path, file: File) -> bool:
        """Have a file in its place; return whether it had to come over."""
        path = folder / file.name
        if path.exists() and export.digest(path) == (file.size, file.digest):
            return False
        staged = path.with_name(f".staged-{path.name}")
        # What lies there from before may be of another content under the same name: then it is fetched anew, once.
        for _ in range(2):
            if self._fetched(key, staged, (folder.name, file)) == file.digest:
                staged.replace(path)
                return True
            staged.unlink()
        raise AnswerRefused(
            f"{folder.name}/{file.name} does not come over as the hub's index says.", "Start the same command again."
        )

    def _fetched(self, key: str, staged: Path, wanted: tuple[str, File]) -> str:
        """Go on with a file until it is whole, durably; return its SHA-256."""
        day, file = wanted
        hashed, size = sha256(), 0
        with staged.open("a+b") as opened:
            opened.seek(0)
            while piece := opened.read(1 << 20):
                hashed.update(piece)
                size += len(piece)
            while size < file.size:
                piece = self._hub.exported((key, day, file.name), size)
                if not piece:
                    break
                opened.write(piece)
                hashed.update(piece)
                size += len(piece)
                self._say(day, size, file.size)
            opened.flush()
            durable.sync(staged)
        return hashed.hexdigest() if size == file.size else ""


def _listed(index: Path) -> list[File]:
    """Return the files an index names; its hash was checked, so a hub that signs nonsense is met here at the latest."""
    try:
        files = json.loads(index.read_bytes())["files"]
        return [File.of(one) for one in files]
    except (ValueError, KeyError, TypeError, RecursionError) as bad:
        raise AnswerRefused("The hub's index is none.", "Tell the hub's operator.") from bad
