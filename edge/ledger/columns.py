"""Chained bodies as columns, from which each comes back byte for byte (docs/formats.md, "Columns").

Two bodies of one gate differ in their time and the milliseconds a check took; the versions in force change now and
then, and the rest is one of a few dozen templates. So: the templates, which of them each row has, and a column each for
those four. It is generic: no other field has a meaning here, and a body that cannot be taken apart so, as one of a
later release may be, is carried as it is.

One list of bodies has one form: what `decode` accepts, `encode` gives again. Compression is `edge.ledger.packing`'s.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, groupby, pairwise
from typing import Any, Final

from edge.codec import cbor
from edge.errors import EncodingRefused
from edge.ledger.facts import KEYS, MAX_BODY

MAX_ROWS: Final = 500
_TIME, _TRUST, _POLICY, _DURATION = (KEYS[name] for name in ("at_ms", "trust_version", "policy_version", "duration_ms"))
_COLUMNS: Final = frozenset((_TIME, _TRUST, _POLICY, _DURATION))
_MAX_PAIRS: Final = 23
"""A body of fewer pairs has a head of one byte, also with a duration."""
_END: Final = 1 << 53
_MOST_BITS: Final = 56
_MAX_ITEMS: Final = 5 * MAX_ROWS + 8
_SPANS: Final = ((-1, _TIME), (_TIME, _TRUST), (_DURATION, 1 << 64))
"""Which keys stand before the time, between it and the versions, and behind the duration."""
_MAP: Final = 0xA0
_TIME_HEAD: Final = bytes((_TIME,))
_TIME_8: Final = _TIME_HEAD + b"\x1b"
"""Head of a time from February 1970 on: eight bytes are its shortest form (RFC 8949, 4.2.1)."""
_SIMPLE: Final = (int, str, bytes, bool, type(None))


@dataclass(frozen=True, slots=True)
class _Template:
    """A body without its time, versions and duration.

    Attributes:
        pairs: How many pairs it has.
        before: Encoded pairs before the time.
        middle: Those between time and versions.
        end: Those behind the duration.
    """

    pairs: int
    before: bytes
    middle: bytes
    end: bytes

    def around(self, versions: bytes, stated: int) -> tuple[bytes, bytes, bytes, bytes]:
        """Return the start of a body that states a duration and of one that does not, what follows its time, its end.

        Args:
            versions: The encoded versions.
            stated: How many of them there are.

        Raises:
            EncodingRefused: The body has more fields than one that can be taken apart.
        """
        pairs = self.pairs + stated + 1
        if pairs >= _MAX_PAIRS:
            raise EncodingRefused("a body has too many fields to be taken apart")
        before = self.before
        return bytes((_MAP | pairs + 1,)) + before, bytes((_MAP | pairs,)) + before, self.middle + versions, self.end


@dataclass(frozen=True, slots=True)
class _Row:
    template: bytes
    at_ms: int
    duration_ms: int
    trust: int
    policy: int


def encode(bodies: Sequence[bytes]) -> bytes:
    """Return bodies as `[templates, rows, times, durations, versions]`, deterministic CBOR.

    Args:
        bodies: 1 to 500 canonical bodies, or any other bytes of at most 1024.
    """
    templates: dict[bytes | tuple[bytes, ...], int] = {}
    order: list[int] = []
    found: list[_Row] = []
    for body in bodies:
        row = _apart(body)
        if row is not None:
            found.append(row)
        order.append(templates.setdefault((body,) if row is None else row.template, len(templates)))
    times = [row.at_ms for row in found]
    steps = [_zigzag(after - before) for before, after in pairwise(times)]
    return cbor.encode(
        [
            list(templates),
            _leb128(order),
            _leb128(times[:1] + steps),
            _leb128([row.duration_ms for row in found]),
            _runs([(row.trust, row.policy) for row in found]),
        ]
    )


def decode(content: bytes, count: int) -> list[bytes]:
    """Return the bodies that columns were made of.

    Args:
        content: What `encode` returned; any bytes.
        count: How many rows there are.

    Raises:
        EncodingRefused: They are not the columns of `count` bodies in their one form.
    """
    columns = cbor.decode(content, max_items=_MAX_ITEMS)
    if not isinstance(columns, list) or [type(column) for column in columns] != [list, bytes, bytes, bytes, list]:
        raise EncodingRefused("the columns are not five")
    shapes = _shapes(columns[0])
    order = _numbers(columns[1])
    if not count == len(order) <= MAX_ROWS or list(dict.fromkeys(order)) != list(range(len(shapes))):
        raise EncodingRefused("the rows do not name the templates in the order of their first use")
    rows = [shapes[number] for number in order]
    stated = iter(_stated([shape for shape in rows if isinstance(shape, _Template)], columns[2:]))
    bodies = [shape if isinstance(shape, bytes) else next(stated) for shape in rows]
    if max(map(len, bodies)) > MAX_BODY:
        raise EncodingRefused("the body of an entry is too long")
    return bodies


def _apart(body: bytes) -> _Row | None:
    """Return a body as its template and what stands in columns, None where it cannot be taken apart."""
    try:
        pairs = cbor.decode(body)
    except EncodingRefused:
        return None
    if not isinstance(pairs, dict) or len(pairs.keys() - {_DURATION}) >= _MAX_PAIRS or not _is_plain(pairs):
        return None
    at_ms = pairs.pop(_TIME, None)
    duration, trust, policy = (pairs.pop(key, None) for key in (_DURATION, _TRUST, _POLICY))
    # A number that is stated is none of the default: a body that states a 0 would lose it in a column.
    if not _is_number(at_ms, 0) or any(
        value is not None and not _is_number(value, 1) for value in (duration, trust, policy)
    ):
        return None
    return _Row(cbor.encode(pairs), at_ms, duration or 0, trust or 0, policy or 0)


def _is_plain(pairs: dict[Any, Any]) -> bool:
    return all(type(key) is int and key >= 0 and type(value) in _SIMPLE for key, value in pairs.items())


def _is_number(value: Any, least: int) -> bool:
    return type(value) is int and least <= value < _END


def _shapes(templates: list[Any]) -> list[_Template | bytes]:
    """Return the templates, those that stand for one whole body as its bytes."""
    shapes: list[_Template | bytes] = []
    for template in templates:
        if isinstance(template, bytes):
            shapes.append(_template(template))
        elif isinstance(template, list) and len(template) == 1 and isinstance(template[0], bytes):
            if _apart(template[0]) is not None:
                raise EncodingRefused("a body is carried whole that could be taken apart")
            shapes.append(template[0])
        else:
            raise EncodingRefused("a template is neither a body without its columns nor a whole one")
    # Equal templates have equal bytes, and a whole body is never a template's.
    if len({template if isinstance(template, bytes) else (template[0],) for template in templates}) != len(templates):
        raise EncodingRefused("a template stands twice")
    return shapes


# A gate has the same few hundred templates all day; a hub of a country meets some ten thousand, a kilobyte each.
@lru_cache(maxsize=16384)
def _template(encoded: bytes) -> _Template:
    pairs = cbor.decode(encoded)
    if not isinstance(pairs, dict) or not _is_plain(pairs) or not _COLUMNS.isdisjoint(pairs):
        raise EncodingRefused("a template is not a body without its columns")
    parts = [
        b"".join(cbor.encode(key) + cbor.encode(pairs[key]) for key in pairs if low < key < high)
        for low, high in _SPANS
    ]
    return _Template(len(pairs), *parts)


def _stated(rows: list[_Template], columns: list[Any]) -> list[bytes]:
    """Return the bodies of rows from their templates, times, durations and versions."""
    times, durations = _numbers(columns[0]), _numbers(columns[1])
    if not len(rows) == len(times) == len(durations):
        raise EncodingRefused("a column of the batch does not have its rows")
    at_ms = list(accumulate([*times[:1], *(step >> 1 ^ -(step & 1) for step in times[1:])]))
    if rows and not (min(at_ms) >= 0 and max(at_ms) < _END and max(durations) < _END):
        raise EncodingRefused("a number of the batch counts impossibly")
    encoded = [_TIME_8 + at.to_bytes(8, "big") if at >> 32 else _TIME_HEAD + cbor.encode(at) for at in at_ms]
    bodies: list[bytes] = []
    for versions, start, end in _segments(columns[2], len(rows)):
        stated = [(key, version) for key, version in zip((_TRUST, _POLICY), versions, strict=True) if version]
        between = b"".join(cbor.encode(key) + cbor.encode(version) for key, version in stated)
        known: dict[int, tuple[bytes, bytes, bytes, bytes]] = {}
        for shape, time, took in zip(rows[start:end], encoded[start:end], durations[start:end], strict=True):
            around = known.get(id(shape))
            if around is None:
                around = known[id(shape)] = shape.around(between, len(stated))
            timed, untimed, middle, tail = around
            bodies.append(timed + time + middle + _took(took) + tail if took else untimed + time + middle + tail)
    return bodies


@lru_cache(maxsize=4096)
def _took(duration: int) -> bytes:
    return bytes((_DURATION,)) + cbor.encode(duration)


def _zigzag(step: int) -> int:
    return step << 1 if step >= 0 else (-step << 1) - 1


def _leb128(numbers: Iterable[int]) -> bytes:
    out = bytearray()
    for number in numbers:
        rest = number
        while rest > 0x7F:
            out.append(rest & 0x7F | 0x80)
            rest >>= 7
        out.append(rest)
    return bytes(out)


def _numbers(column: bytes) -> list[int]:
    if column.isascii():
        return list(column)  # every one in a single byte
    if column[-1] > 0x7F:
        raise EncodingRefused("a column is cut short")
    found: list[int] = []
    rest = iter(column)
    for first in rest:
        if first < 0x80:
            found.append(first)
            continue
        # Most are of two bytes: a step of seconds, a check of tens or hundreds of milliseconds.
        second = next(rest)
        if 0 < second < 0x80:
            found.append(first & 0x7F | second << 7)
        else:
            found.append(_long(first, second, rest))
    return found


def _long(first: int, second: int, rest: Iterator[int]) -> int:
    """Return a number of three bytes or more; the column's last byte ends one, so there is a next one to ask for."""
    number, byte, shift = first & 0x7F, second, 7
    while byte > 0x7F:
        number |= (byte & 0x7F) << shift
        shift += 7
        if shift >= _MOST_BITS:
            raise EncodingRefused("a number of a column is too long")
        byte = next(rest)
    # A last group of zero bits has a shorter form.
    if not byte:
        raise EncodingRefused("a number of a column is not in its shortest form")
    return number | byte << shift


def _runs(versions: Sequence[tuple[int, int]]) -> list[int]:
    """Return `[trust, policy, rows, ..., trust, policy]`: how many rows the last is for is known."""
    runs = [number for found, group in groupby(versions) for number in (*found, len(list(group)))]
    return runs[:-1]


def _segments(runs: list[Any], rows: int) -> list[tuple[tuple[int, int], int, int]]:
    """Return (versions, first row, row behind the last) of each run."""
    if bool(runs) != bool(rows) or (runs and len(runs) % 3 != 2):
        raise EncodingRefused("the column of versions is cut short")
    versions = list(zip(runs[::3], runs[1::3], strict=True))
    ends = [*accumulate(runs[2::3]), rows] if all(_is_number(count, 1) for count in runs[2::3]) else []
    starts = [0, *ends[:-1]]
    if not all(_is_number(number, 0) for pair in versions for number in pair):
        raise EncodingRefused("the column of versions counts impossibly")
    if (
        len(ends) < len(versions)
        or (rows and starts[-1] >= rows)
        or any(one == other for one, other in pairwise(versions))
    ):
        raise EncodingRefused("the column of versions is not in its one form")
    return list(zip(versions, starts, ends[: len(versions)], strict=False))
