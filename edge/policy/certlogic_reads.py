"""What an expression reads of its data, and at most how many steps that takes: asked once, before a rule is signed.

A path is literal and objects cannot be walked, so whatever is read is named in the expression. That an expression is
one at all is `edge.policy.certlogic_form`'s to say.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, Final

NAMING: Final = frozenset({"nam", "fn", "gn", "fnt", "gnt", "ci"})
"""Members of a certificate that name a person or one certificate (DCC schema 1.3.0)."""
_BIRTH: Final = "dob"
_AGES: Final = ("plusTime", "dccDateOfBirth", "!", "if")
"""Operators whose first operand a date of birth may be: they make an age of it, or ask whether there is one."""
_SETS: Final = "valueSets"

SizeOf = Callable[[str], int]
"""How long the list at a path is taken to be."""


def paths(tree: Any) -> Iterator[str]:
    """Yield every path that an expression without faults reads."""
    for _, path in _variables(tree, ""):
        yield path


def value_sets(tree: Any) -> frozenset[str]:
    """Return the ids of the value sets that an expression reads."""
    found = (path.split(".") for path in paths(tree))
    return frozenset(after for parts in found for before, after in pairwise(parts) if before == _SETS)


def naming(tree: Any) -> str:
    """Return the path by which an expression could select one person, or the empty text.

    Rules speak of classes (docs/adr/0038-policy-rules.md): names and certificate ids are read by none, a date of birth
    only as an age. Certificates are revoked by lists of hashes.
    """
    for operator, path in _variables(tree, ""):
        parts = path.split(".")
        if not NAMING.isdisjoint(parts) or (_BIRTH in parts and operator not in _AGES):
            return path
    return ""


def _variables(tree: Any, within: str) -> Iterator[tuple[str, str]]:
    """Yield each path, with the operator whose first operand it is, or the empty text."""
    if type(tree) is list:
        for part in tree:
            yield from _variables(part, "")
    elif type(tree) is dict:
        ((operator, operands),) = tree.items()
        if operator == "var":
            yield within, operands
            return
        for place, operand in enumerate(operands):
            yield from _variables(operand, "" if place else operator)


def steps(tree: Any, size_of: SizeOf) -> int:
    """Return how many steps an expression without faults takes at most, lists of the data being as long as `size_of`.

    Loops within loops multiply: what this finds too many is refused before anybody waits for it.
    """
    if type(tree) is list:
        return 1 + sum(steps(part, size_of) for part in tree)
    if type(tree) is not dict:
        return 1
    ((operator, operands),) = tree.items()
    if operator == "var":
        return 1
    each = [steps(operand, size_of) for operand in operands]
    if operator == "reduce":
        return 1 + each[0] + each[2] + _length(operands[0], size_of) * each[1]
    if operator == "if":
        return 1 + each[0] + max(each[1:])
    return 1 + sum(each) + (_length(operands[1], size_of) if operator == "in" else 0)


def _length(tree: Any, size_of: SizeOf) -> int:
    """Return how long the list is at most that an operand comes to."""
    if type(tree) is list:
        return len(tree)
    if type(tree) is not dict:
        return 0
    ((operator, operands),) = tree.items()
    if operator == "var":
        return size_of(operands)
    if operator in {"if", "and"}:
        return max(_length(part, size_of) for part in operands)
    # A loop may build a list inside its body.
    return max(size_of(""), *(_length(part, size_of) for part in operands)) if operator == "reduce" else 0
