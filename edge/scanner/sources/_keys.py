"""The keys a hand scanner presses, as the characters it means.

A scanner that plays a keyboard sends positions of keys, not characters: which character a position stands for is agreed
between the scanner's set-up and this table, and the layout of the gate's own session has no say. Pure: one event in,
bytes out. Reading events is left to `hid`.

Numbers of keys: Linux, include/uapi/linux/input-event-codes.h.
"""

from collections.abc import Iterator

SPOILT = None
"""The key means nothing a code can hold."""

_NOTHING = b""
_SHIFTS = frozenset({42, 54})
_CTRLS = frozenset({29, 97})
_ALT = 56
_ALT_GR = 100
_CAPS = 58
_LOCKS = frozenset({69, 70})
"""Num lock and scroll lock: some scanners set them before they begin."""

_ENTERS = frozenset({28, 96})
_TAB = 15

_KEYPAD = dict(zip((71, 72, 73, 75, 76, 77, 79, 80, 81, 82), "7894561230", strict=True))
_KEYPAD_SIGNS = {55: "*", 74: "-", 78: "+", 83: ".", 98: "/"}

# Keys of the rows from left to right: digits (2-13), upper letters (16-27), home row (30-41), lower letters (43-53).
_ROWS = (range(2, 14), range(16, 28), range(30, 42), range(43, 54))
_EXTRA_KEY = 86  # between left shift and Z, on ISO keyboards

_Table = dict[int, str]
_US = (("1234567890-=", "qwertyuiop[]", "asdfghjkl;'`", "\\zxcvbnm,./"), "\\")
_US_SHIFT = (("!@#$%^&*()_+", "QWERTYUIOP{}", 'ASDFGHJKL:"~', "|ZXCVBNM<>?"), "|")
_DE = (("1234567890ß´", "qwertzuiopü+", "asdfghjklöä^", "#yxcvbnm,.-"), "<")
_DE_SHIFT = (('!"§$%&/()=?`', "QWERTZUIOPÜ*", "ASDFGHJKLÖÄ°", "'YXCVBNM;:_"), ">")
_DE_GR = {3: "²", 4: "³", 8: "{", 9: "[", 10: "]", 11: "}", 12: "\\", 16: "@", 18: "€", 27: "~", 50: "µ", 86: "|"}


def _table(rows: tuple[tuple[str, ...], str]) -> _Table:
    keys, extra = rows
    found = {code: char for row, chars in zip(_ROWS, keys, strict=True) for code, char in zip(row, chars, strict=True)}
    return found | {_EXTRA_KEY: extra, 57: " "}


LAYOUTS: dict[str, tuple[_Table, _Table, _Table]] = {
    "us": (_table(_US), _table(_US_SHIFT), {}),
    "de": (_table(_DE), _table(_DE_SHIFT), _DE_GR),
}
"""Plain, with shift, with the right Alt key."""


class Keys:
    """Knows which modifiers are down and what the next key then means.

    Args:
        layout: One of `LAYOUTS`.
    """

    def __init__(self, layout: str) -> None:
        self._plain, self._shifted, self._graphic = LAYOUTS[layout]
        self._down: set[int] = set()
        self._is_caps = False
        self._number = ""

    def forget(self) -> None:
        """Take every key for up: events were lost."""
        self._down.clear()
        self._number = ""

    def press(self, code: int) -> bytes | None:
        """Return what pressing a key gives, a line feed for Enter, `SPOILT` where it is no key of a code."""
        if code in _SHIFTS | _CTRLS | {_ALT, _ALT_GR}:
            self._down.add(code)
            return _NOTHING
        if code == _CAPS:
            self._is_caps = not self._is_caps
            return _NOTHING
        if code in _LOCKS:
            return _NOTHING
        if _ALT in self._down:
            return self._digit(code)
        if code in _ENTERS or code == _TAB:
            return b"\t" if code == _TAB else b"\n"
        return self._character(code)

    def release(self, code: int) -> bytes | None:
        """Return what letting go of a key gives: the character whose number was typed while Alt was down."""
        self._down.discard(code)
        if code != _ALT or not self._number:
            return _NOTHING
        number, self._number = int(self._number), ""
        # Up to 255 scanners send bytes by number, above it characters.
        if number <= 255:  # noqa: PLR2004
            return bytes([number])
        try:
            return chr(number).encode()
        except (ValueError, UnicodeEncodeError):
            return SPOILT

    def _digit(self, code: int) -> bytes | None:
        digit = _KEYPAD.get(code)
        if digit is None or len(self._number) >= 7:  # noqa: PLR2004 - U+10FFFF is 1114111
            self._number = ""
            return SPOILT
        self._number += digit
        return _NOTHING

    def _character(self, code: int) -> bytes | None:
        if _ALT_GR in self._down:
            return _encoded(self._graphic.get(code))
        sign = _KEYPAD.get(code) or _KEYPAD_SIGNS.get(code)
        plain = self._plain.get(code)
        if sign is None and plain is not None and self._down & _CTRLS:
            return _control(plain)
        is_upper = bool(self._down & _SHIFTS) != (self._is_caps and plain is not None and plain.isalpha())
        return _encoded(sign or (self._shifted if is_upper else self._plain).get(code))


def _encoded(char: str | None) -> bytes | None:
    return SPOILT if char is None else char.encode()


def _control(plain: str) -> bytes | None:
    """Return the control character of a key: Ctrl and `]` is the group separator, as GS1 scanners send it."""
    upper = plain.upper()
    return bytes([ord(upper) & 0x1F]) if plain.isascii() and "@" <= upper <= "_" else SPOILT


def typed(text: str, layout: str = "us") -> Iterator[tuple[int, int]]:
    """Return the key events, code and value, with which a scanner types a text: what `Keys` reads back.

    Args:
        text: Characters of the layout, and line feeds for Enter.
        layout: One of `LAYOUTS`.

    Raises:
        KeyError: A character is not on the layout.
    """
    plain, shifted, graphic = ({char: code for code, char in table.items()} for table in LAYOUTS[layout])
    for char in text:
        if char == "\n":
            held, code = 0, 28
        elif char in plain:
            held, code = 0, plain[char]
        elif char in shifted:
            held, code = 42, shifted[char]
        else:
            held, code = _ALT_GR, graphic[char]
        yield from ((held, 1),) if held else ()
        yield from ((code, 1), (code, 0))
        yield from ((held, 0),) if held else ()
