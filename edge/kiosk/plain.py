"""Text of strangers made fit for a screen: what a signer, a mirror or a cable wrote into a name.

A signature says who wrote a name, not that the name is harmless. Escaping is left to the page, which sets text and
never markup; here goes what survives escaping: characters that turn, hide or stack text, and length.
"""

import re
import unicodedata

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
"""Controls, bidi overrides and zero-width signs, lone surrogates, private use, unassigned."""

_BLANK = frozenset({"Zs", "Zl", "Zp"})
_MAX_MARKS = 4
_CREDENTIALS = re.compile(r"//[^/@\s]*@")


def plain_text(value: object, limit: int) -> str:
    """Return one line of visible text of at most `limit` characters; anything but text is empty.

    Args:
        value: What was received.
        limit: Most characters kept, at least 2; a cut is shown as an ellipsis.
    """
    if not isinstance(value, str):
        return ""
    # What is read is bounded before it is looked at: composing 4 kB of marks costs time nobody has at a gate.
    text = unicodedata.normalize("NFC", value[: limit * 8])
    kept: list[str] = []
    marks = 0
    for sign in text:
        category = unicodedata.category(sign)
        marks = marks + 1 if category.startswith("M") else 0
        if category in _HIDDEN - {"Cc"} or marks > _MAX_MARKS:
            continue
        kept.append(" " if category in _BLANK or category == "Cc" else sign)
    line = " ".join("".join(kept).split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def without_credentials(text: str) -> str:
    """Return text with the user part of any address taken out: a camera's address may carry a password."""
    return _CREDENTIALS.sub("//", text)
