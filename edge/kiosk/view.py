"""What pages are shown of a verdict and of the gate: messages of the scanner part in, finished words out.

Pure: no socket, no clock. A message is believed as little as its form allows: a field that is missing or of another
type is left out, a verdict that says *accept* without being recorded is never shown as one, and of a reject nothing
personal goes on. Painting rules are left to the page's `paint.js`.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from edge.kiosk.link_file import Link
from edge.kiosk.plain import plain_text, without_credentials
from edge.model.finding import Finding, Severity, most_urgent_first
from edge.words.catalogue import Value, duration, finding_words, has_label, label, languages, reason_words

View = dict[str, Any]

_OUTCOMES = frozenset({"accept", "refer", "reject"})
_CODE = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)*\Z")
_ASKED = re.compile(r"[0-9]{8}\Z")
_KEY = re.compile(r"[a-z_]{1,32}\Z")
_MAX_CODE = 64
_MAX_NAME = 48
_MAX_SITE = 24
_MAX_TITLE = 40
_MAX_BASIS = 80
_MAX_RULE = 160
_MAX_PARAMS = 16
_MAX_FINDINGS = 32
_MAX_TOGETHER = 99
_OFFLINE_LIMIT_S = 86_400
"""How long offline is nothing to shout about where the policy gave no age limit."""


def in_every_language(say: Callable[[str], Any]) -> dict[str, Any]:
    """Return what `say` answers for each language, by language code."""
    return {code: say(code) for code in languages()}


def count_of(value: object, default: int = 0) -> int:
    """Return a whole number that JSON and JavaScript hold exactly, else the default; true and false are no numbers."""
    return value if type(value) is int and 0 <= value < 1 << 53 else default


def seconds_of(value: object) -> float | None:
    """Return a length of time in seconds, else None."""
    return float(value) if type(value) in (int, float) and 0 <= value < 1 << 40 else None  # type: ignore[operator,arg-type] # type() is the check


def code_of(value: object) -> str:
    """Return a stable dotted code, else `unknown`."""
    return value if isinstance(value, str) and len(value) <= _MAX_CODE and _CODE.match(value) else "unknown"


def section(message: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return a nested object of a message, empty where it is none."""
    value = message.get(key)
    return value if isinstance(value, dict) else {}


def scan_number(gate: str, seq: int) -> str:
    """Return the number staff and the hub name a scan by: the gate's first four digits and the sequence number."""
    return f"{plain_text(gate, 64)[:4].upper()}-{seq:06d}" if seq else ""


def verdict_view(message: Mapping[str, Any], *, ident: str, gate: str) -> View:
    """Turn a verdict message into what a page paints.

    Args:
        message: The scanner's message, its form unchecked.
        ident: What makes this verdict another than the last; a page paints each once.
        gate: The gate's id in hex.
    """
    outcome, reason = _decision(message)
    seq = count_of(message.get("seq"))
    details = _values(section(message, "details"))
    view: View = {
        "type": "verdict",
        "id": ident,
        "seq": seq,
        "number": scan_number(gate, seq),
        "outcome": outcome,
        "reason": reason,
        "at_ms": count_of(message.get("at_ms")),
        "together": _together(message),
        "words": in_every_language(
            lambda language: _reason(language, reason, details) | _ruled(language, message, details)
        ),
        "issuer": _names(message.get("issuer_names")) or _family(details),
        "took_ms": seconds_of(message.get("frame_to_verdict_ms")),
        "holder": None,
        "has_tail": False,
        "facts": None,
        "expires_at": 0,
        "warnings": [],
    }
    if outcome == "reject":
        return view  # nothing personal on a reject: what follows is about a person
    warnings = _warnings(message)
    view["holder"] = _holder(message.get("holder"))
    view["has_tail"] = message.get("has_tail") is True
    view["expires_at"] = count_of(message.get("expires_at"))
    view["facts"] = in_every_language(lambda language: _facts(language, message, warnings))
    view["warnings"] = [in_every_language(partial(_title, code)) for code in warnings]
    return view


def asked_of(message: Mapping[str, Any]) -> str:
    """Return the eight digits that a gate asks phones to answer, empty where it asks none."""
    asks = message.get("asks")
    return asks if isinstance(asks, str) and _ASKED.match(asks) else ""


def strip_entry(view: Mapping[str, Any]) -> View:
    """Return what remains of a refer or reject until it is acknowledged; nothing in it is personal."""
    return {
        "id": view["id"],
        "seq": view["seq"],
        "number": view["number"],
        "outcome": view["outcome"],
        "at_ms": view["at_ms"],
        "title": {language: words["title"] for language, words in view["words"].items()},
    }


def missed_entry(view: Mapping[str, Any]) -> View:
    """Return the strip entry of an accept that came too late to be shown; nothing in it is personal."""
    title = in_every_language(lambda language: label(language, "missed.strip"))
    return strip_entry(view) | {"outcome": "refer", "title": title}


def state_view(state: Mapping[str, Any] | None, *, elapsed_s: float, link: Link, ours: Iterable[Finding] = ()) -> View:
    """Turn the scanner's latest state and the link into what every page always shows.

    Args:
        state: The latest state message, or None while the scanner part is away.
        elapsed_s: How long ago it came, seconds.
        link: What the sync part says.
        ours: Findings of the web part itself.
    """
    message = state or {}
    trust = _trust(section(message, "trust"), elapsed_s)
    at_ms = count_of(message.get("at_ms"))
    now_ms = at_ms + int(elapsed_s * 1000) if at_ms else 0
    offline_s = (now_ms - link.since_ms) / 1000 if 0 < link.since_ms < now_ms and link.state == "offline" else None
    admitting = message.get("admitting") is True
    findings = _findings(message, link, trust, offline_s) + [_clean(finding) for finding in ours]
    alerts = _alerts(_merged(findings), stopped=state is not None and not admitting)
    place = section(message, "place")
    counts = section(message, "counts")
    return {
        "type": "state",
        "connected": state is not None,
        "at_ms": now_ms,
        "gate": plain_text(message.get("gate"), 64)[:4].upper(),
        "admitting": admitting and not any(alert["severity"] == Severity.STOP for alert in alerts),
        "band": trust["band"],
        "link": link.state,
        "counts": {outcome: count_of(counts.get(outcome)) for outcome in ("accept", "refer", "reject")},
        "last_seq": count_of(message.get("last_seq")),
        "asks": asked_of(message),
        "texts": in_every_language(lambda language: _texts(language, place, trust, link, offline_s)),
        "alerts": alerts,
    }


def _decision(message: Mapping[str, Any]) -> tuple[str, str]:
    outcome, reason = message.get("outcome"), code_of(message.get("reason"))
    if not isinstance(outcome, str) or outcome not in _OUTCOMES:
        return "refer", "unknown"
    if outcome != "accept":
        return outcome, reason if reason != "ok" else "unknown"
    # Record, then show: a green that is not in the log is not a green.
    if message.get("recorded") is not True:
        return "refer", "log.unwritable"
    return ("accept", "ok") if reason == "ok" else ("refer", "unknown")


def _together(message: Mapping[str, Any]) -> int:
    together = message.get("together", 1)
    # A number that cannot be read is taken for two, which shows no green by itself.
    return min(together, _MAX_TOGETHER) if type(together) is int and together >= 1 else 2


def _reason(language: str, reason: str, details: Mapping[str, Value]) -> View:
    words = reason_words(language, reason, details)
    return {"title": words.title, "detail": words.detail, "next": words.next_step}


def _ruled(language: str, message: Mapping[str, Any], details: Mapping[str, Value]) -> View:
    """Return the sentences that the rules add to: the ground of no green, a broken rule, what staff compare."""
    reason = code_of(message.get("reason"))
    words = reason_words(language, reason, details)
    ground, match = section(message, "ground"), message.get("match")
    key = f"ground.{ground.get('class')}"
    if has_label(key) and key != "ground.line":
        basis = _names(ground.get("basis"), _MAX_BASIS) or {}
        said = label(language, "ground.line", ground=label(language, key), basis=basis.get(language, "-"))
        return {"detail": f"{words.detail} · {said}"}
    told = _names(message.get("rule_says"), _MAX_RULE)
    if told is not None:
        return {"detail": f"{words.detail} · {told[language]}"}
    fields = [f"match.{name}" for name in match[:8]] if isinstance(match, list) else []
    named = [label(language, key) for key in fields if has_label(key) and key != "match.line"]
    if not named or message.get("outcome") != "accept":
        return {}
    return {"next": label(language, "match.line", fields=label(language, "list.comma").join(named))}


def _title(code: str, language: str) -> str:
    return reason_words(language, code).title


def _values(raw: Mapping[str, Any]) -> dict[str, Value]:
    values: dict[str, Value] = {}
    for key, value in list(raw.items())[:_MAX_PARAMS]:
        if not _KEY.match(key):
            continue
        if isinstance(value, str):
            values[key] = without_credentials(plain_text(value, _MAX_TITLE))
        elif type(value) in (int, float):
            values[key] = value
    return values


def _names(raw: object, most: int = _MAX_TITLE) -> dict[str, str] | None:
    if not isinstance(raw, dict):
        return None
    names = {code: plain_text(raw.get(code), most) for code in languages()}
    spare = next((name for name in names.values() if name), "")
    return {code: name or spare for code, name in names.items()} if spare else None


def _family(details: Mapping[str, Value]) -> dict[str, str] | None:
    """Name the system a server token belongs to: its verdict has no issuer, because nobody signed it."""
    key = f"family.{details.get('family', '')}"
    return in_every_language(lambda language: label(language, key)) if has_label(key) else None


def _holder(raw: object) -> View | None:
    if not isinstance(raw, dict):
        return None
    name = plain_text(raw.get("name"), _MAX_NAME) or plain_text(raw.get("surname"), _MAX_NAME)
    year = raw.get("birth_year")
    holder = {
        "name": name,
        "born": str(year) if type(year) is int and 1850 <= year < 2200 else "",  # noqa: PLR2004 - a year of a living person
        "tail": plain_text(raw.get("id_tail"), 8),
    }
    return holder if any(holder.values()) else None


def _warnings(message: Mapping[str, Any]) -> list[str]:
    raw = message.get("warnings")
    return [code_of(code) for code in raw[:4]] if isinstance(raw, list) else []


def _facts(language: str, message: Mapping[str, Any], warnings: list[str]) -> list[str]:
    """Say what was signed, in short: whether revocation was asked, kind, status, region."""
    facts = []
    if message.get("outcome") == "accept" and not any(code.startswith("status.") for code in warnings):
        facts.append(label(language, "result.not_revoked"))
    kind = message.get("kind")
    kind_key = f"kind.{_KINDS.get(kind, '')}" if isinstance(kind, str) else ""
    health = message.get("health")
    health_key = f"health.{health}" if isinstance(health, str) and health not in ("", "none") else ""
    facts += [label(language, key) for key in (kind_key, health_key) if key and has_label(key)]
    status = _names(message.get("status_names"))
    # What the issuer calls it, where that says more than the colour.
    facts += [status[language]] if status and status[language] not in facts else []
    region = _names(message.get("region_names"))
    return facts + ([region[language]] if region else [])


_KINDS = {"person": "0", "travel": "1", "venue": "2", "visitor": "3"}


def _trust(raw: Mapping[str, Any], elapsed_s: float) -> View:
    age = seconds_of(raw.get("age_s"))
    stale_after, too_old_after = seconds_of(raw.get("stale_after_s")), seconds_of(raw.get("too_old_after_s"))
    band = raw.get("band") if raw.get("band") in ("fresh", "stale", "too_old") else "missing"
    if age is not None and band != "missing":
        age += elapsed_s
        # The page's word on the age grows while no new state comes; the band follows it, and only upwards.
        if too_old_after and age >= too_old_after:
            band = "too_old"
        elif stale_after and age >= stale_after and band == "fresh":
            band = "stale"
    return {
        "band": band,
        "age_s": age if band != "missing" else None,
        "stale_after_s": stale_after,
        "too_old_after_s": too_old_after,
        "ended": raw.get("policy_ended") is True,
    }


def _findings(message: Mapping[str, Any], link: Link, trust: View, offline_s: float | None) -> list[Finding]:
    """Collect what every part reported, and what the state says without a finding of its own."""
    if not message:
        return []
    found = [_clean(raw) for raw in _listed(message.get("findings")) + list(link.findings)]
    found = [_calmed(finding, link, offline_s, trust) for finding in found]
    age = {key: trust[key] for key in ("age_s",) if trust[key] is not None}
    if trust["band"] == "stale":
        found.append(Finding("trust.stale", Severity.WARNING, age | _limit(trust["stale_after_s"])))
    elif trust["band"] == "too_old":
        found.append(Finding("trust.too_old", Severity.STOP, age | _limit(trust["too_old_after_s"])))
    elif trust["band"] == "missing":
        found.append(Finding("trust.missing", Severity.STOP))
    if trust["ended"]:
        found.append(Finding("policy.ended", Severity.STOP))
    if message.get("clock") in ("floor", "doubtful"):
        found.append(Finding(f"clock.{message['clock']}", Severity.WARNING))
    if _is_offline_too_long(offline_s, trust):
        found.append(Finding("hub.unreachable", Severity.WARNING, _offline_params(link, offline_s)))
    return found


def _listed(raw: object) -> list[object]:
    return raw[:_MAX_FINDINGS] if isinstance(raw, list) else []


def _limit(seconds: float | None) -> dict[str, str | int | float]:
    return {"limit_s": seconds} if seconds else {}


def _clean(raw: object) -> Finding:
    if isinstance(raw, Finding):
        return Finding(raw.code, raw.severity, _values(raw.params))
    if not isinstance(raw, dict):
        return Finding("unknown")
    severity = raw.get("severity")
    known = severity if isinstance(severity, str) and severity in set(Severity) else Severity.WARNING
    return Finding(code_of(raw.get("code")), Severity(known), _values(section(raw, "params")))


def _is_offline_too_long(offline_s: float | None, trust: View) -> bool:
    return offline_s is not None and offline_s >= (trust["stale_after_s"] or _OFFLINE_LIMIT_S)


def _offline_params(link: Link, offline_s: float | None) -> dict[str, str | int | float]:
    params: dict[str, str | int | float] = {}
    if offline_s is not None:
        params["since_s"] = offline_s
    if link.backlog is not None:
        params["backlog"] = link.backlog
    return params


def _calmed(finding: Finding, link: Link, offline_s: float | None, trust: View) -> Finding:
    """Keep a short outage off the banner: verdicts are not touched by it, and the link always stands in the header."""
    if finding.code != "hub.unreachable":
        return finding
    urgent = _is_offline_too_long(offline_s, trust)
    params = dict(finding.params) | _offline_params(link, offline_s)
    return Finding(finding.code, Severity.WARNING if urgent else Severity.INFO, params)


def _merged(findings: Iterable[Finding]) -> list[Finding]:
    """Keep one finding a code: the most urgent severity, and whatever values any of them knew."""
    kept: dict[str, Finding] = {}
    for finding in findings:
        before = kept.get(finding.code)
        if before is None:
            kept[finding.code] = finding
            continue
        severity = max(before.severity, finding.severity, key=lambda one: one.rank)
        kept[finding.code] = Finding(finding.code, severity, before.params | finding.params)
    return most_urgent_first(kept.values())


def _alerts(findings: list[Finding], *, stopped: bool) -> list[View]:
    if stopped and not any(finding.severity is Severity.STOP for finding in findings):
        findings = [Finding("not_admitting", Severity.STOP), *findings]
    return [
        {
            "code": finding.code,
            "severity": str(finding.severity),
            "words": in_every_language(partial(_finding, finding)),
        }
        for finding in findings
    ]


def _finding(finding: Finding, language: str) -> View:
    words = finding_words(language, finding.code, finding.params)
    return {"what": words.what, "why": words.why, "next": words.next_step}


def _texts(language: str, place: Mapping[str, Any], trust: View, link: Link, offline_s: float | None) -> View:
    direction = place.get("direction")
    shown = direction if direction in ("entry", "exit") else "entry"
    age = trust["age_s"]
    backlog = link.backlog
    return {
        "place": _place(language, place),
        "direction": label(language, f"direction.{shown}"),
        "trust": label(language, "trust.none") if age is None else label(language, "trust.age", age_s=age),
        "link": label(language, f"link.{link.state}")
        if offline_s is None
        else label(language, "link.offline_for", since_s=duration(language, offline_s)),
        "backlog": label(language, "backlog.unknown") if backlog is None else label(language, "backlog", n=backlog),
    }


def _place(language: str, place: Mapping[str, Any]) -> str:
    site, lane = plain_text(place.get("site"), _MAX_SITE), plain_text(place.get("lane"), 12)
    if not site and not lane:
        return label(language, "place.none")
    if not site or not lane:
        return site or lane
    return label(language, "place.lane" if lane.isdigit() else "place.free", site=site, lane=lane)
