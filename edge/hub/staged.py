"""A file of an export in the making: beside its place until it is whole, and hashed on the way."""

import os
from hashlib import sha256
from pathlib import Path
from typing import Any


class Staged:
    """A file written beside its place, hashed on the way, and put there whole."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.staged = path.with_name(f".staged-{path.name}")
        self._file = self.staged.open("wb")
        self._hash = sha256()

    def write(self, data: bytes) -> None:
        """Add bytes."""
        self._file.write(data)
        self._hash.update(data)

    def flush(self) -> None:
        """Let others read what was written."""
        self._file.flush()

    def close(self) -> dict[str, Any]:
        """Put the file in its place, durably, and return its name, size and hash."""
        self._file.flush()
        os.fsync(self._file.fileno())
        size = self._file.tell()
        self._file.close()
        self.staged.replace(self._path)
        return {"name": self._path.name, "bytes": size, "sha256": self._hash.hexdigest()}

    def drop(self) -> None:
        """Remove what was not put in its place."""
        self._file.close()
        self.staged.unlink(missing_ok=True)
