"""The JSON of the hub's answers as schemas (JSON Schema 2020-12), for the OpenAPI document (`edge.hub.openapi`)."""

from typing import Any, Final

from edge.hub import coverage, fleet, incidents, pull, token_queries

_HEX: Final = "^[0-9a-f]*$"


def schemas() -> dict[str, Any]:
    """Return every schema by its name."""
    return {
        "Refusal": _object(
            {
                "code": _text("What was met, for programs."),
                "message": _text("What was met, one sentence."),
                "next_step": _text("What to do."),
            }
        ),
        "Login": _object({"token": _text("The token."), "form": _text("What the form held (against CSRF).")}),
        "Scan": _scan(),
        "Gate": _gate(),
        "Incident": _incident(),
        "Coverage": _coverage(),
        **_queries(),
        "Making": _object(
            {
                "day": _text("The day it is at, empty before the first."),
                "done": number(0, "Batches done of it."),
                "total": number(0, "Batches of it."),
            }
        ),
        "Status": _object(
            {
                "status": {"const": "ok"},
                "name": _text("Name of the hub."),
                "at": _moment("Hub time."),
                **{
                    name: number(0, text)
                    for name, text in {
                        "gates": "Gates enrolled.",
                        "online": "Of these, heard of lately.",
                        "silent": "Of these, not heard of for three heartbeats.",
                        "backlog": "Entries at gates that are not here yet.",
                        "hub_seq": "The newest hub sequence number.",
                        "incidents_open": "Incidents nobody dealt with.",
                    }.items()
                },
                "has_trust_root": {"type": "boolean", "description": "Whether gates enrolled now get trust data."},
                "certificate": {
                    "enum": ["ok", "soon", "files", "expired", "none"],
                    "description": "The hub's own TLS: `soon` ends within 14 days, `files` cannot be renewed.",
                },
            }
        ),
    }


def _scan() -> dict[str, Any]:
    coded = {
        "clock": ("How far the gate's clock is to be believed.", pull.CLOCKS),
        "kind": ("Kind of pass.", pull.KINDS),
    }
    return _object(
        {
            "hub_seq": number(1, "The cursor: 1, 2, 3 ... in the order in which entries became durable."),
            "gate": _hex("Id of the gate."),
            "site": _text("Where the gate stood."),
            "lane": _text("Which lane."),
            "epoch": _hex("Which log of the gate."),
            "seq": number(1, "Number in that log."),
            "at": _perhaps(_moment("The gate's time; null for a date no calendar has.")),
            "at_ms": _perhaps({"type": "integer", "description": "The same, Unix milliseconds."}),
            **{
                name: _perhaps(_text(f"{text} {', '.join(words.values())}, or unknown:NUMBER."))
                for name, (text, words) in coded.items()
            },
            "type": _text(f"{', '.join(pull.TYPES.values())}, unreadable, or unknown:NUMBER."),
            "outcome": {"enum": [*pull.OUTCOMES.values()], "description": "Null where the entry decides nothing."},
            "reason": _perhaps(_text("Reason code.")),
            "format": _perhaps(_text("What was presented.")),
            "issuer": _perhaps(_text("Whose signature verified.")),
            "region": _perhaps(number(0, "GB/T 2260 code.")),
            **{
                name: _perhaps({"type": "integer"})
                for name in (
                    *("status", "trust_version", "policy_version", "duration_ms"),
                    *("count", "refers_to", "source"),
                )
            },
            "note": _perhaps(_text("Fixed note code.")),
        }
    )


def _gate() -> dict[str, Any]:
    return _object(
        {
            "gate": _hex("Its id."),
            "site": _text("Where it stands."),
            "lane": _text("Which lane."),
            "region": number(0, "GB/T 2260 code, or 0."),
            "state": {"enum": list(fleet.RISK)},
            "contact_s": {"type": "integer", "description": "Seconds since it was heard of."},
            "backlog": _perhaps(number(0, "Entries it has and the hub has not.")),
            "held": number(0, "Entries the hub holds of it."),
            "trust_version": _perhaps(number(0)),
            "trust_age_s": _perhaps({"type": "integer"}),
            "offset_ms": _perhaps({"type": "integer", "description": "How far its clock is ahead of the hub's."}),
        }
    )


def _incident() -> dict[str, Any]:
    return _object(
        {
            "id": number(1),
            "gate": _hex("The gate, empty where nobody knows."),
            "kind": {"enum": sorted(incidents.KINDS)},
            "first_ms": {"type": "integer"},
            "last_ms": {"type": "integer"},
            "count": number(1),
            "params": {"type": "object", "additionalProperties": {"type": "integer"}},
            "resolved_ms": _perhaps({"type": "integer"}),
            "evidence": number(0, "Batches kept for it."),
        }
    )


def _coverage() -> dict[str, Any]:
    log = _object({"epoch": _hex("Which log."), "last": number(0), "head": _hex("Hash of its last entry.")})
    gate = _object(
        {
            "gate": _hex("Its id."),
            "site": _text("Where it stands."),
            "lane": _text("Which lane."),
            "state": {"enum": list(coverage.STATES)},
            "reasons": {"type": "array", "items": {"enum": list(coverage.REASONS)}},
            "scans": number(0, "Its entries of the day that are here."),
            "missing": number(0, "Entries it said it has, and the hub has not."),
            "heard_at": _perhaps(_moment("When it was heard of.")),
            "logs": {"type": "array", "items": log},
        }
    )
    said = _object(
        {
            "day": {"type": "string", "format": "date"},
            "made_at": _moment("When this was said."),
            "hub_seq": number(0),
            "states": _object({state: number(0) for state in coverage.STATES}),
            "scans": number(0),
            "gates": {"type": "array", "items": gate},
            "version": {"const": 1},
            "hub_key": _hex("Public key of the hub."),
        }
    )
    return _object({"kind": {"const": "coverage"}, "signed": said, "signature": _hex("COSE_Sign1 (docs/formats.md).")})


def _queries() -> dict[str, Any]:
    asked = {
        "day": {"type": "string", "format": "date"},
        "scan": number(1, "Hub sequence number of a scan of the pass."),
        "token": _hex("Or the token itself, from an auditor's hand."),
        "purpose": {"enum": list(token_queries.PURPOSES)},
        "most": {**number(1), "maximum": token_queries.MOST, "default": token_queries.DEFAULT},
    }
    query = {
        "id": number(1),
        "state": _text("asked, approved, answered or expired."),
        "day": asked["day"],
        "scan": _perhaps(number(1)),
        "purpose": asked["purpose"],
        "most": asked["most"],
        **{f"{step}_by": _perhaps(_text("First characters of the token's hash.")) for step in ("asked", "approved")},
        **{f"{step}_role": _perhaps(_text("In which role.")) for step in ("asked", "approved")},
        **{f"{step}_at": _perhaps(_moment("Hub time.")) for step in ("asked", "expires", "approved", "answered")},
        "found": _perhaps(number(0, "How many scans there were.")),
        "refused": number(0, "How often something was refused about it."),
    }
    counts = {"type": "object", "additionalProperties": {"type": "object", "additionalProperties": number(0)}}
    listed = {"type": "array", "items": {"$ref": "#/components/schemas/TokenQuery"}}
    scans = {"type": "array", "items": {"$ref": "#/components/schemas/Scan"}}
    question = {**_object(asked), "required": ["day", "purpose"]}
    return {
        "Question": question,
        "TokenQuery": _object(query),
        "TokenQueries": _object({"counts": counts, "queries": listed}),
        "TokenAnswer": _object(
            {
                **query,
                "scans": scans,
                "kept_since": _perhaps(_moment("Since when tokens are kept; of earlier scans the answer lacks.")),
            }
        ),
    }


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _text(description: str) -> dict[str, Any]:
    return {"type": "string", "description": description}


def _hex(description: str) -> dict[str, Any]:
    return {"type": "string", "pattern": _HEX, "description": description}


def _moment(description: str) -> dict[str, Any]:
    return {"type": "string", "format": "date-time", "description": description}


def number(least: int, description: str = "") -> dict[str, Any]:
    """Return the schema of a whole number that is at least so much."""
    return {"type": "integer", "minimum": least} | ({"description": description} if description else {})


def _perhaps(schema: dict[str, Any]) -> dict[str, Any]:
    return {**schema, "type": [schema["type"], "null"]}
