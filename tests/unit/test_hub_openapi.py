"""The OpenAPI document is true: routes, methods, statuses, bodies and examples are those of a hub that is asked."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from flask import Flask
from jsonschema import Draft202012Validator, FormatChecker
from openapi_spec_validator import OpenAPIV31SpecValidator

from edge.cli.hub import hub as hub_command
from edge.hub import openapi, statement
from edge.hub.hub import Hub
from edge.hub.serve import create_app
from tests.simulators.hub_answers import EXAMPLES, Heard, examples, walked
from tests.simulators.hub_gates import Clock, begin


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> list[Heard]:
    """Every kind of answer of a hub."""
    return walked(tmp_path_factory.mktemp("walk"))


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """The application of a hub."""
    desk = begin(tmp_path_factory.mktemp("app") / "hub", Clock())
    hub = Hub.open(desk.home.path, clock=Clock())
    yield create_app(hub)
    hub.close()


def routes(app: Flask) -> set[tuple[str, str]]:
    """Return method and path of every route, paths written as OpenAPI does."""
    return {
        (method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


def documented() -> dict[tuple[str, str], Mapping[str, Any]]:
    """Return every operation of the document by method and path."""
    return {
        (method.upper(), path): operation
        for path, methods in openapi.document()["paths"].items()
        for method, operation in methods.items()
    }


def operation_of(one: Heard) -> Mapping[str, Any]:
    """Return what the document says of what was asked."""
    for (method, path), operation in documented().items():
        if method == one.method and re.fullmatch(re.sub(r"\{\w+\}", r"[^/]+", path), one.path):
            return operation
    raise AssertionError(f"{one.method} {one.path} is not in the document")


def errors(schema: Mapping[str, Any], value: Any) -> list[str]:
    """Return what a value has against a schema of the document."""
    whole = {"components": openapi.document()["components"], **schema}
    checked = Draft202012Validator(whole, format_checker=FormatChecker())
    return [f"{error.json_path}: {error.message}" for error in checked.iter_errors(value)]


def unnamed(shown: Any) -> str:
    """Return examples without who asked: access tokens are random."""
    return re.sub(r'"(asked|approved)_by": "[0-9a-f]{8}"', r'"\1_by": ""', json.dumps(shown, sort_keys=True))


def test_the_document_is_openapi() -> None:
    """By a validator that is not ours."""
    assert [str(error) for error in OpenAPIV31SpecValidator(openapi.document()).iter_errors()] == []


def test_every_route_is_documented_and_nothing_else(app: Flask) -> None:
    """Path and method, in both directions."""
    assert routes(app) == set(documented())


def test_operations_have_names_of_their_own() -> None:
    """Programs that are made from the document call them by these."""
    names = [operation["operationId"] for operation in documented().values()]

    assert len(set(names)) == len(names)


def test_every_answer_is_named(heard: list[Heard]) -> None:
    """Its status and its media type stand at its operation."""
    strange = set()
    for one in heard:
        answer = operation_of(one)["responses"].get(str(one.status), {})
        types = [kind.partition(";")[0] for kind in answer.get("content", {})] or [one.media_type.partition(";")[0]]
        if not answer or not {one.media_type.partition(";")[0], "*/*"} & set(types):
            strange.add((one.method, one.path, one.status, one.media_type))

    assert strange == set()


def test_every_status_but_a_defect_is_answered_by_the_hub(heard: list[Heard]) -> None:
    """None stands in the document that nobody ever sees."""
    seen = {(operation_of(one)["operationId"], str(one.status)) for one in heard}
    said = {
        (operation["operationId"], status)
        for operation in documented().values()
        for status in operation["responses"]
        if status != "500"
    }

    assert said - seen == set()


def test_json_is_what_its_schema_says(heard: list[Heard]) -> None:
    """Each answer, member by member; lines of scans too."""
    wrong = []
    for one in heard:
        content = operation_of(one)["responses"][str(one.status)].get("content", {})
        if one.media_type == "application/json" and "schema" in content[one.media_type]:
            wrong += errors(content[one.media_type]["schema"], json.loads(one.body))
        if one.path == "/v1/scans" and one.media_type == "application/x-ndjson" and b"specversion" not in one.body:
            scan = {"$ref": "#/components/schemas/Scan"}
            wrong += [error for line in one.body.splitlines() for error in errors(scan, json.loads(line))]

    assert wrong == []


def test_examples_are_answers_of_a_hub(heard: list[Heard]) -> None:
    """They are what a hub answers now, but for keys and signatures: `python -m tests.simulators.hub_answers`."""
    kept = json.loads(EXAMPLES.read_text(encoding="utf-8"))
    fresh = examples(heard)
    coverage = json.dumps(kept["coverage"]).encode()

    assert statement.opened(statement.COVERAGE, coverage, None)["day"] == "2026-11-18"
    for one in (kept, fresh):
        for name in ("coverage", "export"):
            one[name]["signature"] = one[name]["signed"]["hub_key"] = ""
    assert unnamed(kept) == unnamed(fresh)


def test_every_refusal_has_an_example() -> None:
    """And everything that is JSON does, but the document itself."""
    without = [
        (operation["operationId"], status)
        for operation in documented().values()
        for status, answer in operation["responses"].items()
        for kind, content in answer.get("content", {}).items()
        if kind == "application/json" and operation["operationId"] != "openapi" and content.get("example") is None
    ]

    assert without == []


def test_the_hub_serves_it_and_the_command_prints_it(app: Flask) -> None:
    """The same, to anybody under any name: there is no secret in it."""
    printed = CliRunner().invoke(hub_command, ["openapi"])
    served = app.test_client().get(
        openapi.PATH, headers={"Host": "hub.example"}, environ_overrides={"REMOTE_ADDR": "192.0.2.1"}
    )

    assert printed.exit_code == 0
    assert json.loads(printed.stdout) == served.json == openapi.document()


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_page_shows_every_operation_and_field_without_a_network(app: Flask, language: str) -> None:
    """Nothing in it points elsewhere, and no script runs."""
    text = app.test_client().get(f"{openapi.DOCS}?lang={language}").text

    assert all(f'id="{operation["operationId"]}"' in text for operation in documented().values())
    assert all(
        f"<code>{name}</code>" in text for name in openapi.document()["components"]["schemas"]["Scan"]["properties"]
    )
    assert re.findall(r'(?:src|href)="(?![/?#])[^"]*"', text.replace('href="#', 'href="/')) == []
    assert "<script" not in text


def test_there_is_a_way_from_the_guide(tmp_path: Path) -> None:
    """Whoever reads how to pull finds the document."""
    guide = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")

    assert openapi.PATH in guide
    assert openapi.DOCS in guide
