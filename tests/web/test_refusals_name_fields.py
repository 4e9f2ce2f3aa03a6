"""Every refusal names the member or parameter at fault: each one is made wrong, one at a time.

The wrong values are made from the description of the API, so a new route is covered by itself.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest

from tests.web.test_openapi import OPERATIONS, SCHEMAS
from tests.web.world import APP_ID, SALES, Answer, World, a_ready_world

Json = dict[str, Any]
JSON = "application/json"
# What stands in a path so that the call gets as far as its body.
IDS = {"connectionId": "contoso", "kind": "accounts", "user": "ines@contoso.example"}
# A fitting value for a member whose pattern or meaning a made-up one would not meet.
TEXT = {"type", "maxLength", "default"}
FITTING: Json = {
    "applicationId": APP_ID,
    "groupId": SALES,
    "tenantDomain": "fabrikam.example",
    "connectionId": "contoso",
    "format": 1,
}


@dataclass(frozen=True)
class Wrong:
    """A call in which one thing is wrong."""

    operation: str
    field: str
    how: str
    body: Any = None
    query: str = ""

    def __str__(self) -> str:
        return f"{self.operation} {self.field} {self.how}"


def bare(schema: Json) -> Json:
    """Without the reference and the null that it may be."""
    if "$ref" in schema:
        return bare(SCHEMAS[schema["$ref"].split("/")[-1]])
    parts = [each for each in schema.get("anyOf", []) if each.get("type") != "null"]
    return bare(parts[0]) if parts else schema


def may_be_null(schema: Json) -> bool:
    return any(each.get("type") == "null" for each in schema.get("anyOf", []))


def fitting(name: str, schema: Json) -> Any:
    """A value that fits the schema."""
    kind = bare(schema)
    if name in FITTING:
        return FITTING[name]
    if "enum" in kind:
        return kind["enum"][0]
    match kind.get("type"):
        case "object":
            return {
                each: fitting(each, kind["properties"][each]) for each in kind.get("required", [])
            }
        case "array":
            return [fitting("", kind["items"])]
        case "integer" | "number":
            return kind.get("minimum", 1)
        case "boolean":
            return True
    return "2027-03-31" if kind.get("format") == "date" else "text"


def wrong_values(schema: Json) -> Iterator[tuple[str, Any]]:
    """Values that do not fit, each with what is wrong with it."""
    kind = bare(schema)
    plain = kind.get("type") if "enum" not in kind else "string"
    yield "of another type", {"text": "here"} if plain != "object" else "no object"
    if not may_be_null(schema):
        yield "null", None
    if "enum" in kind:
        yield "no choice", "neither"
    if "minimum" in kind:
        yield "too small", kind["minimum"] - 1
    if "maximum" in kind:
        yield "too large", kind["maximum"] + 1
    if "maxLength" in kind:
        yield "too long", "x" * (kind["maxLength"] + 1)
    if "pattern" in kind:
        yield "no match", "no match"
    if "format" in kind:
        yield "no date", "tomorrow"


def places(schema: Json, path: tuple[str | int, ...] = ()) -> Iterator[tuple[Any, Json]]:
    """Every member within a shape, by its path."""
    kind = bare(schema)
    for name, member in kind.get("properties", {}).items():
        yield (*path, name), member
        yield from places(member, (*path, name))
    if kind.get("type") == "array":
        yield (*path, 0), kind["items"]
        yield from places(kind["items"], (*path, 0))


def put(body: Any, path: tuple[str | int, ...], value: Any, schema: Json) -> Any:
    """The body with that value at that place; what is missing on the way is made."""
    if not path:
        return value
    kind, step = bare(schema), path[0]
    if isinstance(step, int):
        return [put(fitting("", kind["items"]), path[1:], value, kind["items"])]
    member = kind["properties"][step]
    before = body.get(step) if body.get(step) is not None else fitting("", member)
    return {**body, step: put(before, path[1:], value, member)}


def written(path: tuple[str | int, ...]) -> str:
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")


def in_bodies() -> Iterator[Wrong]:
    for name, operation in OPERATIONS.items():
        if "requestBody" not in operation:
            continue
        schema = operation["requestBody"]["content"][JSON]["schema"]
        body = fitting("", schema)
        if name == "POST /api/import":
            body["dryRun"] = False
        for path, member in places(schema):
            for how, value in wrong_values(member):
                sent = put(copy.deepcopy(body), path, value, schema)
                yield Wrong(name, written(path), how, sent)
        yield Wrong(name, "unknown", "not known", {**body, "unknown": 1})
        for required in bare(schema).get("required", []):
            less = {each: value for each, value in body.items() if each != required}
            yield Wrong(name, required, "missing", less)


def in_queries() -> Iterator[Wrong]:
    for name, operation in OPERATIONS.items():
        if name == "GET /health":
            continue
        for each in operation.get("parameters", []):
            if each["in"] != "query":
                continue
            for how, value in wrong_values(each["schema"]):
                if how == "of another type" and set(each["schema"]) <= TEXT:
                    continue  # a text may be any word
                if how == "null" and set(each["schema"]) <= {*TEXT, "pattern", "description"}:
                    continue  # and this one
                text = "null" if value is None else str(value)
                yield Wrong(name, each["name"], how, query=f"{each['name']}={quote(text)}")
        yield Wrong(name, "unknown", "not known", query="unknown=1")


@pytest.fixture(scope="module")
def world() -> World:
    return a_ready_world()


def call(world: World, wrong: Wrong) -> Answer:
    method, template = wrong.operation.split(" ")
    path = re.sub(r"\{(\w+)\}", lambda found: quote(IDS.get(found[1], "one")), template)
    return world.call(method, f"{path}?{wrong.query}" if wrong.query else path, wrong.body)


@pytest.mark.parametrize("wrong", list(in_bodies()), ids=str)
def test_a_wrong_member_of_a_body_is_422_and_named(world: World, wrong: Wrong) -> None:
    answer = call(world, wrong)

    assert answer.status == 422, answer.body
    assert answer.body.get("field") == wrong.field, answer.body
    assert wrong.field in answer.detail


@pytest.mark.parametrize("wrong", list(in_queries()), ids=str)
def test_a_wrong_query_parameter_is_400_and_named(world: World, wrong: Wrong) -> None:
    answer = call(world, wrong)

    assert answer.status == 400, answer.body
    assert answer.body.get("field") == wrong.field, answer.body
    assert wrong.field in answer.detail
