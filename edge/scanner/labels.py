"""Labelled pictures: a folder's `index.json`, and whether what was read is what stands in a picture.

`{"items": [{"image": "1.png", "texts": ["..."]}]}`: the exact texts of its codes, or `quads`: four corners of each
code, pixels. A picture with neither holds no code. Reading pictures is left to `edge.scanner.bench`.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from edge.errors import SourceError
from edge.model.symbol import Symbol

INDEX = "index.json"
_MAX_INDEX = 64 << 20
_CORNERS = 4

_ENCODINGS = ("utf-8", "cp932", "gb18030", "iso8859_1")
"""How a text may stand in a code that does not say so: ISO/IEC 18004, 7.3, and what is met in Japan and China."""

Quad = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Item:
    """One labelled picture.

    Attributes:
        path: The picture.
        texts: Exact text of each code in it.
        quads: Four corners of each code in it, pixels, where the texts are not known.
    """

    path: Path
    texts: tuple[str, ...] = ()
    quads: tuple[Quad, ...] = ()

    @property
    def labels(self) -> int:
        """How many codes there are to be read."""
        return len(self.texts) or len(self.quads)

    def score(self, symbols: Iterable[Symbol]) -> tuple[int, int]:
        """Return how many of the labelled codes were read, and how many symbols were read wrongly.

        Where only places are known, a code is read when a symbol's centre lies in its quad; nothing counts as wrong.
        """
        symbols = list(symbols)
        if self.quads and not self.texts:
            return sum(any(_contains(quad, symbol.centre) for symbol in symbols) for quad in self.quads), 0
        read = sum(any(_is(symbol.raw, text) for symbol in symbols) for text in self.texts)
        return read, sum(not any(_is(symbol.raw, text) for text in self.texts) for symbol in symbols)


def _is(raw: bytes, text: str) -> bool:
    for encoding in _ENCODINGS:
        try:
            if raw == text.encode(encoding):
                return True
        except UnicodeEncodeError:
            continue
    return False


def _contains(quad: Quad, point: tuple[float, float]) -> bool:
    """Return whether a point lies in a quad: an even number of sides to its right means outside."""
    x, y = point
    inside = False
    for (ax, ay), (bx, by) in zip(quad, (*quad[1:], quad[0]), strict=True):
        if (ay > y) != (by > y) and x < ax + (y - ay) * (bx - ax) / (by - ay):
            inside = not inside
    return inside


def load_items(folder: Path) -> list[Item]:
    """Return the labelled pictures of a folder.

    Raises:
        SourceError: There is no index, it is not one, or a picture it names is missing.
    """
    path = folder / INDEX
    try:
        if path.stat().st_size > _MAX_INDEX:
            raise _refused(path, "is larger than 64 MiB")
        index = json.loads(path.read_bytes())
    except FileNotFoundError as missing:
        raise SourceError(
            f"There is no {INDEX} in {folder}.",
            'Write one: {"items": [{"image": "1.png", "texts": ["..."]}]}.',
            cause="missing",
        ) from missing
    except OSError as broken:
        raise _refused(path, f"cannot be read: {broken.strerror}") from broken
    except (ValueError, RecursionError) as broken:
        raise _refused(path, "is not JSON") from broken
    if not isinstance(index, dict) or not isinstance(index.get("items"), list) or not index["items"]:
        raise _refused(path, "has no list `items` with a picture in it")
    items = [_item(folder, path, number, entry) for number, entry in enumerate(index["items"])]
    missing_files = [item.path.name for item in items if not item.path.is_file()]
    if missing_files:
        raise _refused(path, f"names {len(missing_files)} pictures that are not there, {missing_files[0]} first")
    return items


def _item(folder: Path, path: Path, number: int, entry: Any) -> Item:
    if not isinstance(entry, dict) or not isinstance(entry.get("image"), str) or not entry["image"]:
        raise _refused(path, f"has no `image` in item {number}")
    name = PurePosixPath(entry["image"])
    if name.is_absolute() or ".." in name.parts:
        raise _refused(path, f"names a picture outside of its folder in item {number}")
    texts, quads = entry.get("texts") or [], entry.get("quads") or []
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise _refused(path, f"has `texts` that are no list of texts in item {number}")
    try:
        return Item(folder / name, tuple(texts), tuple(_quad(quad) for quad in quads))
    except (TypeError, ValueError) as broken:
        raise _refused(path, f"has `quads` that are not four corners each in item {number}") from broken


def _quad(quad: Any) -> Quad:
    """Return four corners given as pairs, or as eight numbers in a row.

    Raises:
        TypeError: It is something else.
        ValueError: It is something else.
    """
    flat = [float(value) for corner in quad for value in (corner if isinstance(corner, list) else [corner])]
    if len(flat) != 2 * _CORNERS:
        raise ValueError(len(flat))
    return tuple(zip(flat[::2], flat[1::2], strict=True))


def _refused(path: Path, what: str) -> SourceError:
    return SourceError(f"{path} {what}.", "docs/technician.md says what stands in it.", cause="index")
