"""`live` of a policy, read strictly: whose passes must be shown live (docs/adr/0041-live-passes.md)."""

from typing import Final

from edge.model.credential import PassKind
from edge.model.live import LiveRule
from edge.trust.fields import Fields
from edge.trust.targets import OUTCOMES, issuer_id, kinds

_FORMAT: Final = "hl1"
_WINDOW_S: Final = 30
_COPIED: Final = ("refer", "reject")


def live_rules(fields: Fields) -> tuple[LiveRule, ...]:
    """Return whose passes a policy wants shown live; none where it says nothing.

    Raises:
        TrustError: A row is wrong, two speak of the same issuer's same kind, or no live presentation would be admitted.
    """
    found: list[LiveRule] = []
    for row in fields.objects("live", 1000) if fields.has("live") else []:
        issuer = "" if row.text_or_empty("issuer", 16) == "" else issuer_id(row, "issuer")
        shown = kinds(row)
        if not shown or PassKind.VENUE in shown:
            raise row.fault("kinds", "must hold kinds of pass that a person shows: a venue's poster is not live")
        if any(rule.issuer == issuer and rule.kinds & shown for rule in found):
            raise row.fault("kinds", "has a kind that another row has for this issuer")
        copied, unbound = _choice(row, "copied", _COPIED), _choice(row, "unbound", OUTCOMES)
        found.append(LiveRule(issuer, shown, copied, unbound, row.flag("nonce")))
    if found and _FORMAT not in fields.texts("formats"):
        raise fields.fault("live", f"needs {_FORMAT} among formats: no live pass would be admitted")
    return tuple(found)


def live_window_s(fields: Fields) -> int:
    """Return how far the time a phone signed may be from the gate's, seconds.

    Raises:
        TrustError: It is out of bounds.
    """
    return fields.integer("live_window_s", 5, 300) if fields.has("live_window_s") else _WINDOW_S


def _choice(fields: Fields, name: str, choices: tuple[str, ...]) -> str:
    found = fields.text(name)
    if found not in choices:
        raise fields.fault(name, f"must be one of {', '.join(choices)}")
    return found
