"""What a policy admits, in plain words, for whoever signs it or stands under it. Pure: a policy in, sentences out."""

from collections.abc import Iterator
from typing import Final

from edge.model.health_rules import HealthRule, HealthRules
from edge.model.rules import HEALTHS, Hours
from edge.model.trust import Policy, TrustSnapshot
from edge.policy import health
from edge.words.catalogue import Value, has_label, label

_OUTCOMES: Final = ("accept", "refer", "reject")


def sentences(policy: Policy, language: str, times: dict[int, str]) -> list[str]:
    """Return what a policy says, a sentence each; the one that follows it last.

    Args:
        policy: The policy.
        language: Language code.
        times: How each Unix time of the policy is written.
    """
    say = _Voice(language)
    found = [
        say("head", version=str(policy.version), purpose=policy.purpose.get(language, policy.purpose["en"])),
        *([say("from", time=times[policy.effective_at])] if policy.effective_at else ()),
        say("ends", time=times[policy.ends_at]),
        say("formats", formats=say.listed(policy.formats)),
        say("kinds", some_kinds=",".join(kind.name.lower() for kind in sorted(policy.kinds))),
        *_rules(policy, say),
        say("repeat", window_s=policy.repeat_window_s),
        say("short", limit_s=policy.short_lived_s),
        *_live(policy, say),
        say("bands", stale_s=policy.stale_after_s, old_s=policy.too_old_after_s),
        say("travel", days=policy.travel_days),
        *([say("areas", areas=say.listed(policy.listed_areas))] if policy.listed_areas else ()),
        say("retention", limit_s=policy.retention_s),
        say("nobody_rules" if policy.rules.health else "nobody"),
    ]
    if policy.following is not None:
        found += [say("next"), *sentences(policy.following, language, times)]
    return found


def times_of(policy: Policy) -> set[int]:
    """Return every Unix time a policy names."""
    own = {policy.ends_at, policy.effective_at}
    return own if policy.following is None else own | times_of(policy.following)


def issuers(trust: TrustSnapshot, language: str) -> list[str]:
    """Return which statuses of which issuer are accepted, referred and refused everywhere, a sentence an issuer."""
    say = _Voice(language)
    found = []
    for issuer in trust.issuers.values():
        rows = [row for (id_, _), rows in trust.matrix.items() if id_ == issuer.id for row in rows]
        by_outcome = {
            outcome: say.listed({_status(say, row.health, row.area) for row in rows if row.outcome == outcome}) or "-"
            for outcome in _OUTCOMES
        }
        found.append(say("issuer", name=f"{issuer.names.get(language, issuer.id)} ({issuer.id})", **by_outcome))
    return found


def health_rules(policy: Policy, rules: HealthRules, language: str, unix_s: int) -> list[str]:
    """Return the business rules that a policy names and that are in force, a sentence a rule in its country's words.

    Args:
        policy: The policy.
        rules: The rules that are published.
        language: Language code; of a rule without it the English words are told.
        unix_s: When.
    """
    say = _Voice(language)
    named = {kind: use for use in policy.rules.health for kind in use.kinds}
    found: dict[str, HealthRule] = {}
    for kind, use in named.items():
        own = health.in_force(rules.acceptance.get(use.country, ()), unix_s)
        found |= {name: rule for name, rule in own.items() if rule.is_for(kind)}
    for own_rules in rules.invalidation.values() if named else ():
        found |= health.in_force(own_rules, unix_s)
    return [say("rule", name=rule.name, says=rule.says_in(language)) for _, rule in sorted(found.items())]


def _status(say: "_Voice", health: str, area: str) -> str:
    return say.health(health) + (f" @{area}" if area else "")


class _Voice:
    def __init__(self, language: str) -> None:
        self._language = language

    def __call__(self, key: str, **values: Value) -> str:
        return label(self._language, f"policy.{key}", **values)

    def listed(self, names: "frozenset[str] | set[str] | tuple[str, ...]") -> str:
        return label(self._language, "list.comma").join(sorted(names))

    def health(self, name: str) -> str:
        key = f"health.{name}"
        return label(self._language, key) if has_label(key) else name


def _live(policy: Policy, say: _Voice) -> Iterator[str]:
    yield say("bound", window_s=policy.live_window_s)
    for rule in policy.live:
        of = {"some_kinds": ",".join(kind.name.lower() for kind in sorted(rule.kinds))}
        if rule.issuer:
            of["issuer"] = rule.issuer
        if rule.copied == "reject":
            yield say("copy", **of)
        if rule.unbound != "accept":
            yield say(f"unbound_{rule.unbound}", **of)
        if rule.nonce:
            yield say("digits", **of)


def _rules(policy: Policy, say: _Voice) -> Iterator[str]:
    rules = policy.rules
    if rules.healths != frozenset(HEALTHS):
        yield say("healths", healths=say.listed({say.health(name) for name in rules.healths}))
    for kind, limit in rules.max_age_s.items():
        yield say("age", one_kinds=kind.name.lower(), limit_s=limit)
    for condition in rules.conditions:
        named = ",".join(kind.name.lower() for kind in condition.kinds)
        key = "welcome" if condition.is_optional else "wanted"
        yield say(key, least=condition.at_least, of_kinds=named, window_s=rules.condition_window_s)
    if rules.match_holder:
        yield say("match", some_kinds=",".join(kind.name.lower() for kind in sorted(rules.match_holder)))
    for use in rules.health:
        kinds = ",".join(kind.name.lower() for kind in sorted(use.kinds))
        yield say(f"certlogic_{use.outcome}", one_kinds=kinds, country=use.country)
    yield from _hours(rules.hours, say)
    for relay in rules.relays.values():
        yield say("relay", family=relay.family, url=relay.url, budget=relay.budget_ms)


def _hours(hours: Hours | None, say: _Voice) -> Iterator[str]:
    for span in hours.spans if hours is not None else ():
        ahead = hours.offset_min if hours is not None else 0
        yield say(
            "hours",
            days=",".join(map(str, span.days)),
            opens=_clock(span.opens_min),
            closes=_clock(span.closes_min),
            offset=f"{'-' if ahead < 0 else '+'}{_clock(abs(ahead))}",
        )


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"
