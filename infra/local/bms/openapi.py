"""The vendor's OpenAPI file, as far as the stand-in obeys it when it reads a request.

Names are matched in any casing, as .NET does; types are checked as declared. What comes out has
the file's own spelling, so that the handlers can rely on it.
"""

from __future__ import annotations

import json
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from infra.local.bms.refusals import Unreadable
from infra.local.bms.switches import Switches

FILE = Path(__file__).with_name("bms-openapi-subset.json")


@cache
def document() -> dict[str, Any]:
    """Return the vendor's file."""
    loaded: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return loaded


@cache
def query_names(method: str, template: str) -> frozenset[str]:
    """Return the query names that a route declares, in lower case."""
    operation = document()["paths"].get(template, {}).get(method.lower(), {})
    return frozenset(
        each["name"].lower() for each in operation.get("parameters", []) if each["in"] == "query"
    )


def bind(schema_name: str, value: object, switches: Switches) -> dict[str, Any]:
    """Read one object of a named schema, or raise Unreadable with every error in it."""
    reader = _Reader(switches)
    bound = reader.read({"$ref": f"#/components/schemas/{schema_name}"}, value, "$")
    reader.finish()
    if not isinstance(bound, dict):
        raise Unreadable({"$": ["A body is required."]})
    return bound


def bind_list(schema_name: str, value: object, switches: Switches) -> list[dict[str, Any]]:
    """Read an array of objects of a named schema."""
    items = {"$ref": f"#/components/schemas/{schema_name}"}
    reader = _Reader(switches)
    bound = reader.read({"type": "array", "items": items}, value, "$")
    reader.finish()
    return [each for each in bound if isinstance(each, dict)]


def bind_member(schema_name: str, member: str, value: object, switches: Switches) -> Any:
    """Read one value as the named member of a schema declares it."""
    reader = _Reader(switches)
    properties = document()["components"]["schemas"][schema_name]["properties"]
    bound = reader.read(properties[member], value, member)
    reader.finish()
    return bound


@cache
def members(schema_name: str) -> dict[str, str]:
    """Return the members of a schema: lower case to the file's spelling."""
    properties = document()["components"]["schemas"][schema_name].get("properties", {})
    return {name.lower(): name for name in properties}


class _Reader:
    def __init__(self, switches: Switches) -> None:
        self._coerce = switches.wrong_types == "coerce"
        self._ignore_unknown = switches.unknown_members == "ignore"
        self._errors: dict[str, list[str]] = {}

    def finish(self) -> None:
        if self._errors:
            raise Unreadable(self._errors)

    def read(self, schema: dict[str, Any], value: object, where: str) -> Any:
        name = schema.get("$ref", "").rsplit("/", 1)[-1]
        if name:
            schema = document()["components"]["schemas"][name]
        kind = schema.get("type")
        if value is None:
            if kind is not None and not schema.get("nullable"):
                return self._wrong(where, "null is not allowed here")
            return None
        if kind == "object" and name:
            return self._read_object(name, schema, value, where)
        if kind == "array":
            if not isinstance(value, list):
                return self._wrong(where, "an array is expected")
            return [
                self.read(schema["items"], each, f"{where}[{number}]")
                for number, each in enumerate(value)
            ]
        if kind is None:
            return value
        read = self._read_plain(kind, schema, value, where)
        if read is not None and "enum" in schema and read not in schema["enum"]:
            return self._wrong(where, f"{read!r} is not one of {schema['enum']}")
        return read

    def _read_object(self, name: str, schema: dict[str, Any], value: object, where: str) -> Any:
        if not isinstance(value, dict):
            return self._wrong(where, "an object is expected")
        known = members(name)
        read: dict[str, Any] = {}
        for key, each in value.items():
            spelling = known.get(str(key).lower())
            if spelling is None:
                if not self._ignore_unknown:
                    self._wrong(f"{where}.{key}", f"{name} has no such member")
                continue
            read[spelling] = self.read(schema["properties"][spelling], each, f"{where}.{key}")
        return read

    def _read_plain(self, kind: str, schema: dict[str, Any], value: object, where: str) -> Any:
        if self._coerce:
            value = _coerced(kind, value)
        if kind == "boolean" and isinstance(value, bool):
            return value
        if kind == "integer" and isinstance(value, int) and not isinstance(value, bool):
            bits = 63 if schema.get("format") == "int64" else 31
            if -(2**bits) <= value < 2**bits:
                return value
            return self._wrong(where, f"{value} is too large")
        if kind == "number" and isinstance(value, int | float) and not isinstance(value, bool):
            return value
        if kind == "string" and isinstance(value, str):
            if schema.get("format") == "date-time" and not is_moment(value):
                return self._wrong(where, f"{value!r} is not a date")
            return value
        return self._wrong(where, f"a {kind} is expected, not {value!r}")

    def _wrong(self, where: str, why: str) -> None:
        self._errors.setdefault(where, []).append(why)


def is_moment(text: str) -> bool:
    """Tell whether a text is an ISO 8601 date or time."""
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _coerced(kind: str, value: object) -> object:
    if kind == "string" and isinstance(value, int | float):
        return str(value)
    if not isinstance(value, str):
        return value
    if kind == "boolean" and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if kind == "integer":
        try:
            return int(value)
        except ValueError:
            return value
    return value
