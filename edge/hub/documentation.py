"""What the hub answers over HTTP, for programs (OpenAPI 3.1) and to read: without a token, without a network."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from flask import Blueprint, Response, jsonify, make_response, render_template, request
from markupsafe import Markup, escape

from edge.hub import openapi
from edge.hub.wording import LANGUAGES, chosen

_CODE: Final = re.compile("`([^`]*)`")


@dataclass(frozen=True, slots=True)
class Field:
    """One member of an object, or one parameter.

    Attributes:
        name: Its name, dotted inside other objects.
        kind: Its type, in few words.
        description: What it says, perhaps nothing.
        is_required: Whether it is always there.
    """

    name: str
    kind: str
    description: str
    is_required: bool


def blueprint() -> Blueprint:
    """Return the routes, to register in an application."""
    routes = Blueprint("documentation", __name__)
    routes.get(openapi.PATH)(document)
    routes.get(openapi.DOCS)(page)
    return routes


def document() -> Response:
    """Hand out the document."""
    return jsonify(openapi.document())


def page() -> Response:
    """Show it."""
    found = openapi.document()
    words = chosen(request.args.get("lang", ""), request.accept_languages.best_match(LANGUAGES))
    shown = {
        "words": words,
        "version": found["info"]["version"],
        "about": found["info"]["description"],
        "tags": [(tag, list(_operations(found, tag["name"]))) for tag in found["tags"]],
        "schemas": {name: list(_fields(schema)) for name, schema in found["components"]["schemas"].items()},
        "address": openapi.PATH,
        "kind_of": kind_of,
        "pretty": pretty,
        "marked": marked,
    }
    return make_response(render_template("docs.html", **shown))


def _operations(found: dict[str, Any], tag: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in found["paths"].items():
        for method, operation in methods.items():
            if tag in operation["tags"]:
                yield method.upper(), path, operation


def _fields(schema: dict[str, Any], within: str = "") -> Iterator[Field]:
    for name, member in schema.get("properties", {}).items():
        yield Field(within + name, kind_of(member), member.get("description", ""), name in schema["required"])
        yield from _fields(member, f"{within}{name}.")
        yield from _fields(member.get("items", {}), f"{within}{name}[].")


def kind_of(schema: dict[str, Any]) -> str:
    """Return the type a schema asks for, in few words."""
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "enum" in schema:
        return " | ".join("null" if one is None else str(one) for one in schema["enum"])
    if "const" in schema:
        return str(schema["const"])
    if schema.get("type") == "array":
        return f"[{kind_of(schema['items'])}]"
    kinds = schema.get("type", "")
    return " | ".join(kinds) if isinstance(kinds, list) else str(schema.get("format", kinds))


def marked(text: str) -> Markup:
    """Return a text with what stands between backticks as code, as CommonMark has it."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped before


def pretty(example: Any) -> str:
    """Return an example as it is shown: text as it is, JSON on lines of its own."""
    return example if isinstance(example, str) else json.dumps(example, ensure_ascii=False, indent=2)
