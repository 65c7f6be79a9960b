"""Strict JSON: every member read by name, with type and bounds, and its place named when it is wrong.

A fault is a plain `TrustError`; whoever reads says whether that means damaged (a gate's cache), refused (an update) or
unpublishable (the authority). What the members mean is left to `edge.trust.targets`.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

from edge.errors import TrustError

SCHEMA: Final = 1
NEWEST: Final[Mapping[str, int]] = MappingProxyType({"national/policy.json": 3})
"""The newest schema that is read of a document, where it is not the first."""
MAX_JSON_BYTES: Final = 4 << 20
MAX_VERSION: Final = 1 << 31
_MAX_TEXT: Final = 200
_MAX_ITEMS: Final = 20000
_TIME_FORM: Final = "%Y-%m-%dT%H:%M:%SZ"
_LANGUAGES: Final = ("zh", "en")


class Fields:
    """One JSON object, read member by member.

    Args:
        value: The parsed object.
        place: Where it stands, for messages (`national/matrix.json rows[3]`).
        readers: Every object of the document so far, so that `Document.unread` can name what nobody asked for.

    Raises:
        TrustError: `value` is no object.
    """

    __slots__ = ("_members", "_readers", "_unread", "place")

    def __init__(self, value: Any, place: str, readers: "list[Fields]") -> None:
        if not isinstance(value, dict):
            raise TrustError(f"{place} is not a JSON object.")
        self.place = place
        self._members: dict[str, Any] = value
        self._unread = set(value)
        self._readers = readers
        readers.append(self)

    @property
    def unread(self) -> list[str]:
        """Members that were there and that nobody asked for."""
        return sorted(self._unread)

    def has(self, name: str) -> bool:
        """Whether the member is there and not null."""
        self._unread.discard(name)
        return self._members.get(name) is not None

    def fault(self, name: str, what: str) -> TrustError:
        """Return the error for one member."""
        return TrustError(f"{self.place}: {name} {what}.")

    def _take(self, name: str) -> Any:
        self._unread.discard(name)
        if name not in self._members:
            raise self.fault(name, "is missing")
        return self._members[name]

    def integer(self, name: str, least: int, most: int) -> int:
        """Return a whole number within bounds.

        Raises:
            TrustError: It is missing, no integer or out of bounds.
        """
        value = self._take(name)
        # JSON's true is an int in Python.
        if type(value) is not int or not least <= value <= most:
            raise self.fault(name, f"must be a whole number from {least} to {most}")
        return value

    def plain(self, name: str) -> Any:
        """Return a member as it is, of any type: who asks checks it, bounds included.

        Raises:
            TrustError: It is missing.
        """
        return self._take(name)

    def flag(self, name: str) -> bool:
        """Return whether a member is there and true.

        Raises:
            TrustError: It is neither true nor false.
        """
        if not self.has(name):
            return False
        value = self._take(name)
        if type(value) is not bool:
            raise self.fault(name, "must be true or false")
        return value

    def text(self, name: str, most: int = _MAX_TEXT) -> str:
        """Return a printable, non-empty text of at most `most` characters.

        Raises:
            TrustError: It is missing or something else.
        """
        return self._checked_text(name, self._take(name), most)

    def _checked_text(self, name: str, value: Any, most: int) -> str:
        # Printable: a signed name must not steer a terminal or a page.
        if type(value) is not str or not 1 <= len(value) <= most or not value.isprintable():
            raise self.fault(name, f"must be a printable text of 1 to {most} characters")
        return value

    def text_or_empty(self, name: str, most: int = _MAX_TEXT) -> str:
        """Return a printable text of at most `most` characters, perhaps none.

        Raises:
            TrustError: It is missing or something else.
        """
        return "" if self._take(name) == "" else self.text(name, most)

    def texts(self, name: str, most: int = 500) -> tuple[str, ...]:
        """Return a list of distinct texts; each may be empty.

        Raises:
            TrustError: It is missing, something else, too long or has a member twice.
        """
        value = self._take(name)
        if not isinstance(value, list) or len(value) > most:
            raise self.fault(name, f"must be a list of at most {most} texts")
        items = tuple(item if item == "" else self._checked_text(name, item, _MAX_TEXT) for item in value)
        if len(set(items)) != len(items):
            raise self.fault(name, "has a member twice")
        return items

    def integers(self, name: str, least: int, most: int) -> tuple[int, ...]:
        """Return a list of distinct whole numbers within bounds.

        Raises:
            TrustError: It is missing, something else, or has a member twice.
        """
        value = self._take(name)
        if not isinstance(value, list) or not all(type(item) is int and least <= item <= most for item in value):
            raise self.fault(name, f"must be a list of whole numbers from {least} to {most}")
        if len(set(value)) != len(value):
            raise self.fault(name, "has a member twice")
        return tuple(value)

    def data(self, name: str, least: int, most: int) -> bytes:
        """Return bytes written as lower-case hexadecimal.

        Raises:
            TrustError: It is missing, not hexadecimal, or has another length.
        """
        value = self._take(name)
        try:
            # bytes.fromhex admits spaces and capitals; one value has one spelling here.
            found = bytes.fromhex(value) if type(value) is str else b""
        except ValueError:
            found = b""
        if found.hex() != value or not least <= len(found) <= most:
            length = str(least) if least == most else f"{least} to {most}"
            raise self.fault(name, f"must be {length} bytes in lower-case hexadecimal")
        return found

    def time(self, name: str) -> int:
        """Return Unix seconds of a time written `2026-01-31T08:00:00Z`.

        Raises:
            TrustError: It is missing or written otherwise.
        """
        value = self._take(name)
        try:
            moment = datetime.strptime(value, _TIME_FORM).replace(tzinfo=UTC)
        except (ValueError, TypeError):
            raise self.fault(name, "must be a UTC time such as 2026-01-31T08:00:00Z") from None
        if iso(int(moment.timestamp())) != value or moment.timestamp() < 0:
            raise self.fault(name, "must be a UTC time such as 2026-01-31T08:00:00Z")
        return int(moment.timestamp())

    def words(self, name: str) -> Mapping[str, str]:
        """Return a text by language, `zh` and `en`.

        Raises:
            TrustError: It is missing or lacks a language.
        """
        object_ = Fields(self._take(name), f"{self.place}.{name}", self._readers)
        return MappingProxyType({language: object_.text(language) for language in _LANGUAGES})

    def object(self, name: str) -> "Fields":
        """Return an object.

        Raises:
            TrustError: It is missing or something else.
        """
        return Fields(self._take(name), f"{self.place} {name}", self._readers)

    def objects(self, name: str, most: int = _MAX_ITEMS) -> list["Fields"]:
        """Return a list of objects.

        Raises:
            TrustError: It is missing, something else or too long.
        """
        value = self._take(name)
        if not isinstance(value, list) or len(value) > most:
            raise self.fault(name, f"must be a list of at most {most} objects")
        return [Fields(item, f"{self.place} {name}[{index}]", self._readers) for index, item in enumerate(value)]


class Document(Fields):
    """A whole JSON document with its `"schema"`: 1, or up to what `NEWEST` says.

    Args:
        data: Its bytes.
        place: Its name, for messages.

    Attributes:
        schema: Its schema.
        version: Its own version, 0 where it states none.

    Raises:
        TrustError: It is too long, no strict JSON object, of another schema, or its version is none.
    """

    __slots__ = ("schema", "version")

    def __init__(self, data: bytes, place: str) -> None:
        super().__init__(parsed(data, place), place, [])
        self.schema = self.integer("schema", SCHEMA, NEWEST.get(place, SCHEMA))
        self.version = self.integer("version", 1, MAX_VERSION) if self.has("version") else 0

    def refuse_unread(self) -> None:
        """Check that nothing stands in the document that no reader knows; a gate ignores it, an author mistyped it.

        Raises:
            TrustError: There is such a member.
        """
        for reader in self._readers:
            for name in reader.unread:
                raise reader.fault(name, "is not a member of this form")


def iso(unix_s: int) -> str:
    """Return Unix seconds as `2026-01-31T08:00:00Z`."""
    return datetime.fromtimestamp(unix_s, UTC).strftime(_TIME_FORM)


def parsed(data: bytes, place: str) -> Any:
    """Return the value of a strict JSON text.

    Args:
        data: Its bytes.
        place: Its name, for messages.

    Raises:
        TrustError: It is too long, holds a member twice or a fraction, or is no JSON.
    """
    if len(data) > MAX_JSON_BYTES:
        raise TrustError(f"{place} is longer than {MAX_JSON_BYTES} bytes.")
    try:
        return json.loads(data.decode(), object_pairs_hook=_once, parse_constant=_refuse, parse_float=_refuse)
    except (ValueError, RecursionError) as error:
        raise TrustError(f"{place} is not strict JSON.") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        # Two readers could take different ones.
        raise ValueError("a member stands twice")
    return members


def _refuse(text: str) -> Any:
    raise ValueError(f"{text[:20]} is not a whole number")
