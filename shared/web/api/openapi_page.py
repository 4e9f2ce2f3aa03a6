"""The description of the API as a page shows it: plain values for a template, made from it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]
_JSON = "application/json"
_DEEPEST = 4  # shapes within shapes; the description itself goes on


@dataclass(frozen=True, slots=True)
class Member:
    """A parameter, or a member of a body or reply. `name` is written with its place: items[].id."""

    name: str
    kind: str
    required: bool
    limits: str
    words: str


@dataclass(frozen=True, slots=True)
class Answer:
    """One status that an operation can answer with."""

    status: str
    words: str
    media: str
    headers: tuple[Member, ...]
    members: tuple[Member, ...]


@dataclass(frozen=True, slots=True)
class Operation:
    """One call."""

    id: str
    method: str
    path: str
    summary: str
    words: str
    parameters: tuple[Member, ...]
    body_required: bool
    body: tuple[Member, ...]
    answers: tuple[Answer, ...]
    refusals: tuple[Answer, ...]
    curl: str


@dataclass(frozen=True, slots=True)
class Group:
    """The calls of one resource."""

    id: str
    name: str
    operations: tuple[Operation, ...]


def api_page(description: Json) -> list[Group]:
    """The operations by resource, in the order of the description."""
    reading = _Reading(description)
    groups: dict[str, list[Operation]] = {tag["name"]: [] for tag in description["tags"]}
    for path, item in description["paths"].items():
        for method, operation in item.items():
            groups[operation["tags"][0]].append(reading.operation(method.upper(), path, operation))
    return [
        Group(name.lower().replace(" ", "-"), name, tuple(operations))
        for name, operations in groups.items()
    ]


@dataclass(frozen=True, slots=True)
class _Reading:
    description: Json

    def operation(self, method: str, path: str, operation: Json) -> Operation:
        body = operation.get("requestBody", {})
        schema = body.get("content", {}).get(_JSON, {}).get("schema")
        answers = [self._answer(*each) for each in operation["responses"].items()]
        return Operation(
            id=operation["operationId"],
            method=method,
            path=path,
            summary=operation["summary"],
            words=operation["description"],
            parameters=tuple(self._parameter(each) for each in operation.get("parameters", [])),
            body_required=bool(body.get("required")),
            body=tuple(self._members(schema)) if schema else (),
            answers=tuple(each for each in answers if int(each.status) < 400),
            refusals=tuple(each for each in answers if int(each.status) >= 400),
            curl=self._curl(method, path, operation, schema),
        )

    def _answer(self, status: str, response: Json) -> Answer:
        found = self._found(response)
        content = found.get("content", {})
        media = next(iter(content), "")
        schema = content[media].get("schema") if media == _JSON else None
        return Answer(
            status=status,
            words=found["description"],
            media=media,
            headers=tuple(
                self._member(name, header["schema"], header["required"], header["description"])
                for name, header in found.get("headers", {}).items()
            ),
            members=tuple(self._members(schema)) if schema else (),
        )

    def _parameter(self, parameter: Json) -> Member:
        name = parameter["name"]
        if parameter["in"] == "path":
            name = f"{{{name}}}"
        return self._member(
            name, parameter["schema"], parameter["required"], parameter.get("description", "")
        )

    def _members(
        self, schema: Json, place: str = "", within: tuple[int, ...] = ()
    ) -> Iterator[Member]:
        """Every member within a shape; one that holds itself is shown once."""
        kind = self._bare(schema)
        if id(kind) in within or len(within) > _DEEPEST:
            return
        within = (*within, id(kind))
        for name, member in kind.get("properties", {}).items():
            here = f"{place}.{name}" if place else name
            yield self._member(here, member, name in kind.get("required", []))
            yield from self._members(member, here, within)
        if "items" in kind:
            yield from self._members(kind["items"], f"{place}[]", within)

    def _member(self, name: str, schema: Json, required: bool, words: str = "") -> Member:
        kind = self._bare(schema)
        inner = self._bare(kind["items"]) if "items" in kind else {}
        plain = _kind(kind)
        if inner:
            plain = f"list of {_kind(inner)}"
        if any(part.get("type") == "null" for part in schema.get("anyOf", [])):
            plain += " or null"
        words = words or schema.get("description", "") or kind.get("description", "")
        if kind.get("writeOnly"):
            words = f"{words} Write-only: left out it is kept, it never comes back out.".strip()
        return Member(name, plain, required, _limits({**kind, **schema}), words)

    def _curl(self, method: str, path: str, operation: Json, schema: Json | None) -> str:
        lines = [f"curl -X {method}"] if method != "GET" else ["curl"]
        if operation.get("security") != []:
            lines.append('-H "Authorization: Bearer $ADMIN_TOKEN"')
        if schema is not None:
            lines.append("-H 'Content-Type: application/json'")
            body = json.dumps(self._example(schema), ensure_ascii=False).replace("'", "'\\''")
            lines.append(f"-d '{body}'")
        # Curl takes braces for a choice of its own.
        lines.append(f'"$PUBLIC_URL{path.replace("{", "<").replace("}", ">")}"')
        return " \\\n  ".join(lines)

    def _example(self, schema: Json) -> Any:
        """A body with the members that it needs, or where it needs none with all plain ones."""
        kind = self._bare(schema)
        if "enum" in kind:
            return kind["enum"][0]
        match kind.get("type"):
            case "object":
                members = kind.get("properties", {})
                wanted = kind.get("required") or [
                    name for name, member in members.items() if "anyOf" not in member
                ]
                return {name: self._example(members[name]) for name in wanted}
            case "array":
                return [self._example(kind["items"])]
            case "integer" | "number":
                return kind.get("default", kind.get("minimum", 1))
            case "boolean":
                return kind.get("default", True)
        return _text(kind)

    def _bare(self, schema: Json) -> Json:
        """Without the reference, and without the null that a member may be."""
        found = self._found(schema)
        parts = [part for part in found.get("anyOf", []) if part.get("type") != "null"]
        return self._bare(parts[0]) if len(parts) == 1 else found

    def _found(self, value: Json) -> Json:
        found: Any = value
        while "$ref" in found:
            steps = found["$ref"].removeprefix("#/").split("/")
            found = self.description
            for step in steps:
                found = found[step]
        shown: Json = found
        return shown


def _kind(schema: Json) -> str:
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    names = {"integer": "whole number", "string": "text", "boolean": "true | false"}
    names |= {"array": "list", "object": "object", "number": "number"}
    if schema.get("format") == "date-time":
        return "time"
    if schema.get("format") == "date":
        return "date"
    return names.get(str(schema.get("type", "")), "any JSON")


def _limits(schema: Json) -> str:
    words = []
    for name, before in (("minimum", "from"), ("exclusiveMinimum", "above"), ("maximum", "to")):
        if name in schema:
            words.append(f"{before} {schema[name]:,}")
    if "exclusiveMaximum" in schema:
        words.append(f"below {schema['exclusiveMaximum']:,}")
    if "maxLength" in schema:
        words.append(f"at most {schema['maxLength']:,} characters")
    if "maxItems" in schema:
        words.append(f"at most {schema['maxItems']:,} items")
    if "pattern" in schema and "description" not in schema:
        words.append(f"matches {schema['pattern']}")
    if schema.get("default") is not None:
        words.append(f"default {json.dumps(schema['default'])}")
    return ", ".join(words)


def _text(schema: Json) -> str:
    if schema.get("format") == "date-time":
        return "2027-03-31T09:00:00Z"
    if schema.get("format") == "date":
        return "2027-03-31"
    if "0-9a-f" in schema.get("pattern", ""):
        return "0a1b2c3d-0000-4000-8000-000000000001"
    return str(schema.get("default", "…"))
