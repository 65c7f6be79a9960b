"""What the hub answers over HTTP, as an OpenAPI 3.1 document: made from the same names and words the code uses.

A test holds it to the routes in both directions, to every status the routes answer, and each answer to its schema
(OpenAPI 3.1.1; schemas are JSON Schema 2020-12). The examples are answers of a hub, kept in `openapi_examples.json`.
"""

import json
from functools import cache
from importlib import metadata, resources
from typing import Any, Final

from edge.hub import api, pull
from edge.hub.asking import OUTCOMES, PARAMETERS, TYPES
from edge.hub.export import DEFAULT_VIEWS, VIEWS
from edge.hub.forms import FORMS
from edge.hub.openapi_schemas import number, schemas
from edge.hub.spool import PIECE
from edge.hub.tabular import CSV_TYPE
from edge.ledger import wire

PATH: Final = "/openapi.json"
DOCS: Final = "/docs"
_JSON: Final = "application/json"
_HTML: Final = "text/html"

_REFUSALS: Final = {
    400: "The request is not one the hub can read; `code` and `message` say why.",
    401: "There is no token, or it is none of this hub's, or it ended or was revoked.",
    403: "The token's role, or the gate, may not do this.",
    404: "There is nothing at this address, or not any more.",
    409: "It does not fit how things stand: used before, not approved yet, of another day.",
    410: "It has ended, or what it is about is destroyed.",
    413: "The body is larger than this message may be.",
    415: "The body is compressed; it is not read.",
    421: "The page is not served under this host name.",
    429: "Asked too often, or too many wrong tokens from this address; `Retry-After` says when to come again.",
    507: "The hub's disk has no room for this; ask for less.",
    503: "The hub is full (`Retry-After` is a slot of one's own), or cannot use its disk. Come again.",
}
"""What each refusal means, by its status."""
_LATER: Final = {"Retry-After": {"description": "Seconds.", "schema": number(1)}}
_READING: Final = (401, 403, 429, 503)


@cache
def document() -> dict[str, Any]:
    """Return the document; the same for every hub of this version, its server is where it was fetched from."""
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "edge hub",
            "version": metadata.version("edge"),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "description": (
                "Gates post signed batches and heartbeats; central operations pull scans by hub sequence number, "
                "exports and statements of coverage. Every refusal is JSON with a code, a sentence and a next step. "
                "Messages of gates are CBOR (RFC 8949) and COSE (RFC 9052), described in docs/formats.md."
            ),
        },
        "servers": [{"url": "/"}],
        "tags": [
            {"name": "operations", "description": "For central operations, with a token."},
            {"name": "gates", "description": "For gates; signed by the device key, without a token."},
            {"name": "health", "description": "For whoever watches the hub, without a token."},
            {"name": "pages", "description": "For people and their browsers."},
        ],
        "paths": {**_operations(), **_gates(), **_health(), **_pages()},
        "components": {
            "schemas": schemas(),
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token of an operator or auditor (`edge hub token make`). 50 requests a second.",
                },
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "edge_hub",
                    "description": "Begun by POST /login; not needed on the hub's own machine.",
                },
            },
        },
    }


def _operations() -> dict[str, Any]:
    page: dict[str, Any] = {form.content_type: {"schema": {"type": "string"}} for form in FORMS.values()}
    page[wire.NDJSON_TYPE] = {"schema": {"type": "string"}, "example": _example("scans")}
    page[CSV_TYPE] = {"schema": {"type": "string"}, "example": _example("scans_csv")}
    numbers = {
        wire.CURSOR: "Hub sequence number to go on behind.",
        wire.TOP: "The newest hub sequence number there was; a page whose cursor is there is the end.",
        wire.ROWS: "How many scans the page holds.",
    }
    scans = _answer("A page of scans, one a line; `Scan` says what an NDJSON line holds.", page)
    scans["headers"] = {name: {"description": text, "schema": number(0)} for name, text in numbers.items()}
    return {
        **_exports(),
        **_queries(),
        wire.SCANS: {
            "get": _reading(
                "scans",
                "Pull scans by hub sequence number, never by time",
                {200: scans},
                parameters=[_of_scans(name) for name in PARAMETERS],
                refusals=(400, *_READING),
            )
        },
        wire.GATES: {"get": _reading("gates", "The state of every gate", {200: _listed("Gate", "gates")})},
        wire.INCIDENTS: {
            "get": _reading(
                "incidents", "What went wrong and is not dealt with", {200: _listed("Incident", "incidents")}
            )
        },
        f"{wire.COVERAGE}/{{day}}": {
            "get": _reading(
                "coverage",
                "Whether every gate's scans of a UTC day are all here, signed by the hub",
                {200: _answer("The statement.", {_JSON: _typed("Coverage", "coverage")})},
                parameters=[_in_path("day", {"type": "string", "format": "date"}, "A UTC day, like 2026-11-24.")],
                refusals=(400, *_READING),
            )
        },
    }


def _exports() -> dict[str, Any]:
    whole = {"schema": {"type": "object"}, "example": _example("export")}
    manifest = _answer("The signed manifest (docs/formats.md).", {_JSON: whole})
    manifest["headers"] = {wire.EXPORTED: {"description": "Names the export.", "schema": {"type": "string"}}}
    making = _answer("It is being made: ask again.", {_JSON: _typed("Making", "making")})
    making["headers"] = _LATER
    text = f"The next bytes, {PIECE >> 20} MiB at most; none behind the end."
    piece = _answer(text, {"application/octet-stream": {}})
    piece["headers"] = {wire.SIZE: {"description": "Bytes of the whole file.", "schema": number(0)}}
    several = {"style": "form", "explode": True, "in": "query"}
    view = {"type": "array", "items": {"enum": list(VIEWS)}, "default": list(DEFAULT_VIEWS)}
    day = {"type": "array", "items": {"type": "string", "format": "date"}}
    where = [
        _in_path("key", {"type": "string"}, f"As `{wire.EXPORTED}` says."),
        _in_path("day", {"type": "string", "format": "date"}, "A day of the manifest."),
        _in_path("name", {"type": "string"}, "A file of the manifest or of the day's index."),
        {"name": "from", "in": "query", "description": "Byte to begin at.", "schema": {**number(0), "default": 0}},
    ]
    return {
        wire.EXPORT: {
            "get": _reading(
                "export",
                "An export of the ledger by day of receipt: signed batches, tables, manifest",
                {200: manifest, 202: making},
                parameters=[
                    {"name": "day", "description": "Only these days (UTC).", "schema": day, **several},
                    {"name": "view", "description": "Tables to make.", "schema": view, **several},
                ],
                refusals=(400, *_READING, 507),
            )
        },
        f"{wire.EXPORT}/{{key}}/{{day}}/{{name}}": {
            "get": _reading(
                "exported",
                "A piece of a file of an export",
                {200: piece},
                parameters=where,
                refusals=(400, 404, *_READING),
            )
        },
    }


def _queries() -> dict[str, Any]:
    asked = {"required": True, "content": {_JSON: {"schema": {"$ref": "#/components/schemas/Question"}}}}
    query = _answer("The question as it stands.", {_JSON: _typed("TokenQuery", "token_query")})
    number_of = [_in_path("number", number(1), "Number of the question.")]
    told = _answer("Questions and counts.", {_JSON: _typed("TokenQueries", "token_queries")})
    scans = _answer("Its scans, once.", {_JSON: _typed("TokenAnswer", "token_answer")})
    steps = (400, 409, 410, 413, 415, *_READING)
    return {
        wire.QUERIES: {
            "get": _reading("token_queries", "Who asked which scans were of one pass, and how often", {200: told}),
            "post": _reading("ask_token", "Ask which scans of a day were of one pass", {200: query}, refusals=steps)
            | {"requestBody": asked},
        },
        f"{wire.QUERIES}/{{number}}/approval": {
            "post": _reading(
                "approve_token",
                "Approve a question of another person, in the other role",
                {200: query},
                parameters=number_of,
                refusals=(404, 409, 410, *_READING),
            )
        },
        f"{wire.QUERIES}/{{number}}/answer": {
            "post": _reading(
                "answer_token",
                "Take the answer to one's own approved question",
                {200: scans},
                parameters=number_of,
                refusals=(404, 409, 410, *_READING),
            )
        },
    }


def _gates() -> dict[str, Any]:
    signed: dict[str, Any] = {wire.COSE_TYPE: {}}
    full = (413, 415, 503)
    return {
        wire.ENROL: {
            "post": _posted(
                "enrol",
                "Make a gate one of this hub's, by an invitation",
                (signed, {200: _answer("The signed answer.", signed)}),
                (400, 403, 409, *full),
            )
        },
        wire.HEARTBEAT: {
            "post": _posted(
                "heartbeat",
                "Say that a gate is alive; answers how far its log is held",
                (signed, {200: _answer("The signed watermark.", signed)}),
                (400, 403, *full),
            )
        },
        wire.BATCHES: {
            "post": _posted(
                "batches",
                "Hand over signed batches, one or many (a CBOR sequence)",
                ({wire.CBOR_TYPE: {}}, {200: _answer("A CBOR list, an item for each batch.", {wire.CBOR_TYPE: {}})}),
                full,
            )
        },
    }


def _health() -> dict[str, Any]:
    here = {_JSON: {"schema": {"type": "object"}}}
    status = {"200": _answer("The numbers.", {_JSON: _typed("Status", "status")}), **_declined((503,))}
    return {
        api.STATUS: {"get": _said("status", "The hub's health in numbers", "health", status)},
        PATH: {"get": _said("openapi", "This document", "health", {"200": _answer("The document.", here)})},
    }


def _pages() -> dict[str, Any]:
    shown = {"200": _answer("The page.", {_HTML: {}})}
    away = {"302": {"description": "The way there, or to the login."}}
    form = {"application/x-www-form-urlencoded": {"schema": {"$ref": "#/components/schemas/Login"}}}
    misnamed = _declined((421,))
    entered = {"303": {"description": "Logged in."}}
    entered |= {str(code): _answer("The form, with why.", {_HTML: {}}) for code in (400, 403, 429)}
    file = _in_path("filename", {"type": "string"}, "Name of a file of the pages.")
    day = _in_path("day", {"type": "string", "format": "date"}, "A UTC day.")
    broken = {"503": _answer("The ledger cannot be read.", {_HTML: {}})}
    login = {
        "get": _page("login", "The form that asks for a token", {**shown, **misnamed}),
        "post": _page("enter", "Begin a session", {**entered, **misnamed}) | {"requestBody": {"content": form}},
    }
    stands = {**shown, **away, **misnamed, **broken}
    return {
        "/": {"get": _page("index", "The hub at a glance", stands)},
        "/live": {
            "get": _page("live", "Its part that is renewed", {**shown, **_declined((401,)), **misnamed, **broken})
        },
        "/coverage": {"get": _page("yesterday", "The way to the last day that is over", {**away, **misnamed})},
        "/coverage/{day}": {
            "get": _page("covered", "Whether every gate's scans of a day are here", stands) | {"parameters": [day]}
        },
        "/login": login,
        "/logout": {"post": _page("leave", "End a session", {"303": {"description": "Logged out."}, **misnamed})},
        DOCS: {"get": _page("documentation", "This document, to read", shown)},
        "/static/{filename}": {
            "get": _page("static", "Style, script and signs", {"200": _answer("It.", {"*/*": {}}), **_declined((404,))})
            | {"parameters": [file]}
        },
    }


def _reading(
    name: str,
    summary: str,
    answers: dict[int, Any],
    *,
    parameters: list[dict[str, Any]] | None = None,
    refusals: tuple[int, ...] = _READING,
) -> dict[str, Any]:
    said = {str(code): answer for code, answer in answers.items()} | _declined(refusals)
    found = _said(name, summary, "operations", said) | {"security": [{"token": []}]}
    return found | ({"parameters": parameters} if parameters else {})


def _posted(
    name: str, summary: str, bodies: tuple[dict[str, Any], dict[int, Any]], refusals: tuple[int, ...]
) -> dict[str, Any]:
    asked, answers = bodies
    said = {str(code): answer for code, answer in answers.items()} | _declined(refusals)
    return _said(name, summary, "gates", said) | {"requestBody": {"required": True, "content": asked}}


def _page(name: str, summary: str, answers: dict[str, Any]) -> dict[str, Any]:
    return _said(name, summary, "pages", answers)


def _said(name: str, summary: str, tag: str, answers: dict[str, Any]) -> dict[str, Any]:
    defect = {"500": _answer("A defect of the hub's own; its log says more.", _refusal_body("refusal_500"))}
    return {"operationId": name, "summary": summary, "tags": [tag], "responses": {**answers, **defect}}


def _declined(codes: tuple[int, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for code in codes:
        answer = _answer(_REFUSALS[code], _refusal_body(f"refusal_{code}"))
        if code in {429, 503}:
            answer["headers"] = _LATER
        found[str(code)] = answer
    return found


def _refusal_body(example: str) -> dict[str, Any]:
    return {_JSON: _typed("Refusal", example)}


def _answer(description: str, content: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": content}


def _typed(schema: str, example: str) -> dict[str, Any]:
    typed: dict[str, Any] = {"schema": {"$ref": f"#/components/schemas/{schema}"}}
    return typed | ({"example": _example(example)} if example in _examples() else {})


def _listed(schema: str, example: str) -> dict[str, Any]:
    items = {"type": "array", "items": {"$ref": f"#/components/schemas/{schema}"}}
    return _answer("All of them.", {_JSON: {"schema": items, "example": _example(example)}})


def _of_scans(name: str) -> dict[str, Any]:
    schema: dict[str, dict[str, Any]] = {
        "after": number(0),
        "until": number(1),
        "limit": {**number(1), "maximum": pull.MOST, "default": pull.DEFAULT},
        "format": {"enum": list(FORMS), "default": "ndjson"},
        "gate": {"type": "string", "pattern": "^[0-9a-fA-F]{4,32}$"},
        "outcome": {"enum": list(OUTCOMES)},
        "type": {"enum": list(TYPES)},
    }
    text = {
        "after": "Cursor: the last `hub_seq` there is already.",
        "until": "The last `hub_seq` wanted.",
        "limit": "Most scans in the page.",
        "format": "Form of the page.",
        "gate": "Id of a gate, or the beginning of it.",
        "site": "Name of a site.",
        "outcome": "What was decided.",
        "reason": "Reason code.",
        "type": "Type of the entry.",
        "since": "Not before this time of the gate: ISO 8601 with a zone, or Unix milliseconds.",
        "before": "Before this time of the gate.",
    }
    return {"name": name, "in": "query", "description": text[name], "schema": schema.get(name, {"type": "string"})}


def _in_path(name: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "description": description, "schema": schema}


def _example(name: str) -> Any:
    return _examples().get(name)


@cache
def _examples() -> dict[str, Any]:
    text = resources.files("edge.hub").joinpath("openapi_examples.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found
