"""`national/policy.json`, read strictly: what every policy says, the rules of schema 2, and the policy that follows.

A policy that contradicts itself is refused here, by gate and authority alike, with the row that does it; what needs the
other documents is left to `edge.trust.coherence`.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

from edge.codec.ed25519 import refuse_weak_point
from edge.errors import EncodingRefused
from edge.model.credential import PassKind
from edge.model.rules import DAY_MIN, HEALTHS, Condition, Hours, Relay, Rules, Span
from edge.model.trust import Policy
from edge.trust import health_uses, paths
from edge.trust.fields import MAX_VERSION, SCHEMA, Document, Fields, parsed
from edge.trust.live_rules import live_rules, live_window_s
from edge.trust.targets import KINDS, issuer_id, kinds, prefixes

RULES_SCHEMA: Final = 2
"""From this schema on a policy may hold `rules` and `next`; software before it keeps the trust it has."""
TOKENS: Final = "server_token"
"""The format of live codes; a policy that names it lets operators be asked about them."""
NUMBERS: Final = "document"
"""The format of document numbers, which say nothing that could be accepted."""
_DAY: Final = 86400
_YEAR: Final = 366 * _DAY
_MAX_CONDITIONS: Final = 16
_MAX_RELAYS: Final = 32
_MAX_BUDGET_MS: Final = 5000
_CLOCK: Final = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]|24:00")
_OFFSET: Final = re.compile(r"[+-](?:0[0-9]|1[0-4]):[0-5][0-9]")
_FAMILY: Final = re.compile(r"[a-z][a-z0-9_]{0,31}")
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


def policy(document: Document) -> Policy:
    """Return the policy of `national/policy.json`, with the one that follows it where one is published.

    Raises:
        TrustError: A member is missing, of another type or out of bounds, or the policy contradicts itself.
    """
    schema = document.schema
    if schema < RULES_SCHEMA or not document.has("next"):
        return _policy(document, schema=schema)
    fields = document.object("next")
    following = _policy(fields, effective_at=fields.time("effective_at"), schema=schema)
    found = _policy(document, following=following, schema=schema)
    _check_follows(fields, found, following)
    return found


def draft(data: bytes) -> Policy:
    """Return the policy of a file that somebody writes: schema and version may be missing, everything else counts.

    Raises:
        TrustError: It is not of the form, contradicts itself, or holds a member that no reader knows.
    """
    members = parsed(data, paths.POLICY)
    if isinstance(members, dict):
        members = {"schema": least_schema(members), "version": 1, **members}
    document = Document(json.dumps(members).encode(), paths.POLICY)
    found = policy(document)
    document.refuse_unread()
    return found


def least_schema(members: Mapping[str, Any]) -> int:
    """Return the least schema that holds a policy's members: software before what it does not use then takes it."""
    own, following = members.get("rules"), members.get("next")
    if isinstance(own, dict) and health_uses.MEMBER in own:
        return health_uses.SCHEMA
    least = SCHEMA if own is None and following is None else RULES_SCHEMA
    return max(least, least_schema(following)) if isinstance(following, dict) else least


def _check_follows(fields: Fields, before: Policy, after: Policy) -> None:
    if after.version <= before.version:
        raise fields.fault("version", "must be above that of the policy before it")
    if after.effective_at >= before.ends_at:
        raise fields.fault("effective_at", "must lie before the end of the policy before it")
    if after.ends_at <= after.effective_at:
        raise fields.fault("ends_at", "must lie after effective_at")


def _policy(fields: Fields, *, effective_at: int = 0, following: Policy | None = None, schema: int) -> Policy:
    found = Policy(
        version=fields.integer("version", 1, MAX_VERSION),
        purpose=fields.words("purpose"),
        ends_at=fields.time("ends_at"),
        formats=frozenset(fields.texts("formats")),
        kinds=kinds(fields),
        repeat_window_s=fields.integer("repeat_window_s", 0, _DAY),
        short_lived_s=fields.integer("short_lived_s", 0, _YEAR),
        stale_after_s=fields.integer("stale_after_s", 1, _YEAR),
        too_old_after_s=fields.integer("too_old_after_s", 1, _YEAR),
        retention_s=fields.integer("retention_s", 0, _YEAR),
        travel_days=fields.integer("travel_days", 0, 366),
        listed_areas=prefixes(fields, "listed_areas"),
        live=live_rules(fields),
        live_window_s=live_window_s(fields),
        effective_at=effective_at,
        following=following,
    )
    if found.stale_after_s > found.too_old_after_s:
        raise fields.fault("stale_after_s", "must not be above too_old_after_s")
    if "" in found.listed_areas:
        raise fields.fault("listed_areas", "must not list the whole country")
    return _with_rules(fields, found, schema) if schema >= RULES_SCHEMA else found


def _with_rules(fields: Fields, found: Policy, schema: int) -> Policy:
    for name in ("formats", "kinds"):
        if not getattr(found, name):
            raise fields.fault(name, "is empty, so nothing could ever be accepted")
    if found.formats == {NUMBERS}:
        raise fields.fault("formats", f"names {NUMBERS} alone, which admits nobody: nothing could ever be accepted")
    for area in found.listed_areas:
        wider = next((one for one in found.listed_areas if one != area and area.startswith(one)), None)
        if wider is not None:
            raise fields.fault("listed_areas", f"lists {area}, which lies in {wider} of the same list")
    row = fields.object("rules") if fields.has("rules") else None
    rules = _rules(row, found) if row is not None else Rules()
    if row is not None and schema >= health_uses.SCHEMA:
        # In a policy of an older schema it does not count, as for software of that time.
        rules = replace(rules, health=health_uses.health_uses(row, fields, found.kinds))
    if (TOKENS in found.formats) != bool(rules.relays):
        raise fields.fault("formats", f"must name {TOKENS} exactly where rules.relays says whom to ask of them")
    return found.under(rules)


def _rules(fields: Fields, policy_: Policy) -> Rules:
    default = Rules()
    return Rules(
        healths=_healths(fields) if fields.has("healths") else default.healths,
        max_age_s=_ages(fields.object("max_age_s")) if fields.has("max_age_s") else default.max_age_s,
        conditions=_conditions(fields, policy_) if fields.has("conditions") else (),
        condition_window_s=fields.integer("condition_window_s", 5, 600)
        if fields.has("condition_window_s")
        else default.condition_window_s,
        match_holder=kinds(fields, "match_holder") if fields.has("match_holder") else frozenset(),
        hours=_hours(fields.object("hours")) if fields.has("hours") else None,
        relays=_relays(fields) if fields.has("relays") else default.relays,
    )


def _healths(fields: Fields) -> frozenset[str]:
    found = frozenset(fields.texts("healths"))
    if not found:
        raise fields.fault("healths", "is empty, so nothing could ever be accepted")
    if not found <= set(HEALTHS):
        raise fields.fault("healths", f"may hold {', '.join(HEALTHS)}")
    return found


def _ages(fields: Fields) -> MappingProxyType[PassKind, int]:
    found = {kind: fields.integer(name, 60, 10 * _YEAR) for name, kind in KINDS.items() if fields.has(name)}
    for name in fields.unread:
        # In a signed document too: a kind that is mistyped would be a rule that never holds anybody up.
        raise fields.fault(name, f"is no kind; there are {', '.join(KINDS)}")
    return MappingProxyType(found)


def _conditions(fields: Fields, policy_: Policy) -> tuple[Condition, ...]:
    return tuple(_condition(row, policy_) for row in fields.objects("conditions", _MAX_CONDITIONS))


def _condition(row: Fields, policy_: Policy) -> Condition:
    forms = [name for name in ("all_of", "any_of", "at_least") if row.has(name)]
    if len(forms) != 1:
        raise row.fault("all_of, any_of, at_least", "must be there exactly once")
    form = forms[0]
    name = "of" if form == "at_least" else form
    named = row.texts(name)
    # In the order written: it is the order in which staff are told.
    for kind in named:
        if kind not in KINDS:
            raise row.fault(name, f"may hold {', '.join(KINDS)}")
        if KINDS[kind] not in policy_.kinds:
            raise row.fault(name, f"wants {kind}, which kinds does not admit: it could never be met")
    if not named:
        raise row.fault(name, "is empty")
    least = {"all_of": len(named), "any_of": 1}.get(form) or row.integer("at_least", 1, len(named))
    return Condition(tuple(KINDS[kind] for kind in named), least, row.flag("optional"))


def _hours(fields: Fields) -> Hours:
    offset = fields.text("utc_offset", 6)
    if not _OFFSET.fullmatch(offset):
        raise fields.fault("utc_offset", "must be written +08:00")
    sign = -1 if offset.startswith("-") else 1
    rows = fields.objects("open", 50)
    if not rows:
        raise fields.fault("open", "is empty, so gates would never open")
    return Hours(sign * _minutes(offset[1:]), tuple(_span(row) for row in rows))


def _span(row: Fields) -> Span:
    days = row.integers("days", 1, 7)
    if not days:
        raise row.fault("days", "is empty, so gates would never open")
    opens, closes = (_clock(row, name) for name in ("from", "to"))
    if closes <= opens:
        raise row.fault("to", "must be later than from; a night takes two rows, to 24:00 and from 00:00")
    return Span(days, opens, closes)


def _clock(row: Fields, name: str) -> int:
    text = row.text(name, 5)
    if not _CLOCK.fullmatch(text):
        raise row.fault(name, "must be a time of day from 00:00 to 24:00")
    return _minutes(text)


def _minutes(text: str) -> int:
    hours, minutes = text.split(":")
    return min(int(hours) * 60 + int(minutes), DAY_MIN)


def _relays(fields: Fields) -> MappingProxyType[str, Relay]:
    found: dict[str, Relay] = {}
    for row in fields.objects("relays", _MAX_RELAYS):
        relay = _relay(row)
        if relay.family in found:
            raise row.fault("family", "stands twice")
        found[relay.family] = relay
    return MappingProxyType(found)


def _relay(row: Fields) -> Relay:
    family, url = row.text("family", 32), row.text("url")
    if not _FAMILY.fullmatch(family):
        raise row.fault("family", "must be a name of small letters, digits and underscores")
    if not _is_usable(url):
        raise row.fault("url", "must be https://HOST..., or http:// on the device itself, without name or password")
    public = row.data("public", 32, 32)
    try:
        refuse_weak_point(public)
    except EncodingRefused as error:
        raise row.fault("public", f"is refused: {error.message}") from error
    return Relay(
        family=family,
        issuer=issuer_id(row, "issuer"),
        url=url,
        public=public,
        certificate=row.data("certificate", 32, 32) if row.has("certificate") else b"",
        budget_ms=row.integer("budget_ms", 100, _MAX_BUDGET_MS) if row.has("budget_ms") else 1500,
    )


def _is_usable(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return False
    if not host or port == 0 or parts.username is not None or parts.fragment or not url.isascii() or " " in url:
        return False
    # A live code is a person's: it leaves the device encrypted or not at all.
    return parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK)
