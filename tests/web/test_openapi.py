"""The description of the admin API says what the code does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from shared.web.router import Api
from tests.web.world import World, a_ready_world

WORLD = a_ready_world()
DESCRIPTION: dict[str, Any] = WORLD.call("GET", "/api/openapi.json").body
SCHEMAS: dict[str, Any] = DESCRIPTION["components"]["schemas"]
OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, item in DESCRIPTION["paths"].items()
    for method, operation in item.items()
}
each_operation = pytest.mark.parametrize("name", list(OPERATIONS))


def parameters(name: str, place: str) -> dict[str, Any]:
    """The schemas of an operation's parameters by name."""
    return {
        each["name"]: each["schema"]
        for each in OPERATIONS[name].get("parameters", [])
        if each["in"] == place
    }


def test_every_route_under_api_is_described_and_nothing_else() -> None:
    api: Api = WORLD.api
    routes = {f"{each.method} {each.template}" for each in api.routes}

    assert set(OPERATIONS) == {each for each in routes if " /api/" in each} | {"GET /health"}


def test_the_description_needs_the_admin_like_every_call() -> None:
    assert World().call("GET", "/api/openapi.json", token=None).status == 401


def test_operation_ids_are_unique_names() -> None:
    ids = [each["operationId"] for each in OPERATIONS.values()]

    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z][A-Za-z]+", each) for each in ids)


@each_operation
def test_an_operation_has_a_tag_and_words(name: str) -> None:
    operation = OPERATIONS[name]

    assert operation["tags"]
    assert operation["summary"]
    assert operation["description"].endswith((".", "?"))


@each_operation
def test_path_parameters_are_those_of_the_template(name: str) -> None:
    assert list(parameters(name, "path")) == re.findall(r"\{(\w+)\}", name)


def test_no_two_shapes_have_one_name() -> None:
    assert [name for name in SCHEMAS if not re.fullmatch(r"[A-Z][A-Za-z]+", name)] == []


def test_every_reference_leads_somewhere() -> None:
    def references(value: object) -> Iterator[str]:
        if isinstance(value, dict):
            if isinstance(value.get("$ref"), str):
                yield value["$ref"]
            for each in value.values():
                yield from references(each)
        elif isinstance(value, list):
            for each in value:
                yield from references(each)

    for reference in set(references(DESCRIPTION)):
        found: Any = DESCRIPTION
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]


@pytest.mark.parametrize("name", list(SCHEMAS))
def test_a_shape_is_json_schema(name: str) -> None:
    Draft202012Validator.check_schema(SCHEMAS[name])


def test_constraints_and_defaults_of_the_types_are_told() -> None:
    query = parameters("GET /api/connections", "query")
    rule = SCHEMAS["RuleBody"]["properties"]

    assert query["limit"] == {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}
    assert query["cursor"] == {"type": "string", "maxLength": 4000}
    assert rule["includeNested"]["default"] is True
    assert rule["order"] == {"type": "integer", "minimum": 0, "maximum": 1_000_000}
    assert "pattern" in rule["groupId"]
    assert sorted(rule["recordType"]["enum"]) == ["contact", "employee"]
    assert SCHEMAS["RuleBody"]["required"] == ["groupId", "order", "recordType"]
    assert SCHEMAS["RuleBody"]["additionalProperties"] is False


def test_secrets_are_write_only_and_in_no_reply_r29() -> None:
    secret = {"applicationKey", "password", "apiKey"}
    found = {
        (shape, member)
        for shape, schema in SCHEMAS.items()
        for member, value in schema.get("properties", {}).items()
        if member in secret
    }

    assert {member for _, member in found} == secret
    for shape, member in found:
        value = SCHEMAS[shape]["properties"][member]
        parts = [value, *value.get("anyOf", [])]
        assert any(each.get("writeOnly") for each in parts), (shape, member)
        assert not shape.endswith("Shown")


def test_times_are_rfc_3339() -> None:
    at = SCHEMAS["ActivityShown"]["properties"]["at"]

    assert {"type": "string", "format": "date-time"} in at["anyOf"]
    assert parameters("GET /api/activity", "query")["since"]["format"] == "date-time"


def test_look_ups_name_their_kinds() -> None:
    assert "jobtitles" in parameters("GET /api/bms/{kind}", "path")["kind"]["enum"]
    assert "contacttypes" in parameters("GET /api/itglue/{kind}", "path")["kind"]["enum"]


def test_items_that_are_read_one_by_one_have_their_shape() -> None:
    items = SCHEMAS["RuleSetBody"]["properties"]["items"]["items"]
    file = SCHEMAS["ConfigurationBody"]["properties"]

    assert items["$ref"].endswith("/RuleBody")
    assert SCHEMAS["ImportBody"]["properties"]["configuration"]["$ref"].endswith(
        "/ConfigurationBody"
    )
    assert file["connections"]["items"]["$ref"].endswith("/ConnectionInFile")


@each_operation
def test_refusals_are_problem_details(name: str) -> None:
    operation = OPERATIONS[name]
    refusals = {int(each) for each in operation["responses"] if int(each) >= 400}
    if name == "GET /health":
        assert operation["security"] == []
        return
    assert refusals >= {400, 401, 403, 500, 503}
    if "{" in name:
        assert 404 in refusals
    if "requestBody" in operation:
        assert refusals >= {413, 415, 422}
    for status in refusals:
        reference = operation["responses"][str(status)]["$ref"]
        response = DESCRIPTION["components"]["responses"][reference.split("/")[-1]]
        assert list(response["content"]) == ["application/problem+json"]


def test_replies_tell_their_headers_and_media() -> None:
    made = OPERATIONS["POST /api/connections"]["responses"]["201"]
    csv = OPERATIONS["GET /api/worklist.csv"]["responses"]["200"]

    assert "Location" in made["headers"]
    assert (
        "Set-Cookie"
        in (
            OPERATIONS["POST /api/connections/{connectionId}/connect"]["responses"]["200"][
                "headers"
            ]
        )
    )
    assert list(csv["content"]) == ["text/csv; charset=utf-8"]
    assert "content" not in OPERATIONS["DELETE /api/mapping-rules/{ruleId}"]["responses"]["204"]
    assert set(OPERATIONS["POST /api/users/{connectionId}/{user}/sync"]["responses"]) >= {
        "200",
        "202",
    }


@each_operation
def test_a_list_pages(name: str) -> None:
    success = OPERATIONS[name]["responses"].get("200", {})
    schema = success.get("content", {}).get("application/json", {}).get("schema", {})
    shape = SCHEMAS.get(schema.get("$ref", "").split("/")[-1], {})
    if name.startswith("GET ") and "items" in shape.get("properties", {}):
        assert "nextCursor" in shape["properties"]
        assert {"limit", "cursor"} <= set(parameters(name, "query"))


def test_nothing_of_the_rules_numbers_is_told_to_callers() -> None:
    assert re.findall(r"\bR\d+\b", json.dumps(DESCRIPTION)) == []
