"""The shapes of the admin API as JSON Schema, taken from the structs that read and write them.

msgspec writes the schemas. What its types know and its schemas leave out is added here: times are
RFC 3339, a member that is read one by one later (`Raw`) has the shape that it is read with, and a
type's own words of what it expects become the member's description.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from msgspec import inspect

Schema = dict[str, Any]
_AT = "#/components/schemas/{name}"
# Rules are the business of whoever works on the code.
_RULES = re.compile(r"^R\d+\.\s*|\s*\(R\d+(?:, R\d+)*\)")


def schemas_of(shapes: Iterable[type]) -> tuple[dict[type, Schema], dict[str, Schema]]:
    """A schema per shape, and the components that they refer to, by name."""
    roots = list(dict.fromkeys(shapes))
    structs = _structs(roots)
    every = list(dict.fromkeys([*roots, *structs]))
    found, components = msgspec.json.schema_components(every, ref_template=_AT)
    for schema in components.values():
        if "description" in schema:
            schema["description"] = _RULES.sub("", schema["description"])
    for struct, shown in structs.items():
        schema = components[struct.__name__]
        for field in shown.fields:
            _complete(schema["properties"][field.encode_name], field.type)
    by_shape = dict(zip(every, found, strict=True))
    return {shape: by_shape[shape] for shape in roots}, components


def words_of(shape: type) -> str:
    """What a shape is, in a sentence."""
    return _RULES.sub("", (shape.__doc__ or "").strip().splitlines()[0])


def query_parameters(shape: type[msgspec.Struct]) -> Iterator[Schema]:
    """The members of a query's struct as OpenAPI parameters."""
    _, components = schemas_of([shape])
    schema = components[shape.__name__]
    required = schema.get("required", [])
    for name, member in schema["properties"].items():
        plain = _without_null(member)
        description = plain.pop("description", None)
        yield {
            "name": name,
            "in": "query",
            "required": name in required,
            **({"description": description} if description else {}),
            "schema": plain,
        }


def value_schema(shape: Any) -> Schema:
    """The schema of a plain value, such as a path parameter's."""
    schema: Schema = msgspec.json.schema(shape)
    _complete(schema, inspect.type_info(shape))
    return schema


def _structs(roots: Iterable[type]) -> dict[type, inspect.StructType]:
    """Every struct within these, also behind what is read one by one later."""
    found: dict[type, inspect.StructType] = {}
    waiting = list(inspect.multi_type_info(roots))
    while waiting:
        shape = waiting.pop()
        if isinstance(shape, inspect.StructType):
            if shape.cls in found:
                continue
            found[shape.cls] = shape
            waiting.extend(field.type for field in shape.fields)
        elif isinstance(shape, inspect.Metadata):
            waiting.append(shape.type)
            if read_as := (shape.extra or {}).get("read_as"):
                waiting.append(inspect.type_info(read_as))
        else:
            waiting.extend(_inner(shape))
    return found


def _inner(shape: inspect.Type) -> Iterator[inspect.Type]:
    if isinstance(shape, inspect.UnionType):
        yield from shape.types
    elif isinstance(shape, inspect.ListType):
        yield shape.item_type
    elif isinstance(shape, inspect.DictType):
        yield shape.value_type


def _complete(schema: Schema, shape: inspect.Type) -> None:
    """What the type knows, and msgspec's schema does not say."""
    if isinstance(shape, inspect.Metadata):
        extra = shape.extra or {}
        if "read_as" in extra:
            schema["$ref"] = _AT.format(name=extra["read_as"].__name__)
        if "expects" in extra and "$ref" not in schema:
            words = str(extra["expects"])
            schema.setdefault("description", f"{words[:1].upper()}{words[1:]}.")
        _complete(schema, shape.type)
    elif isinstance(shape, inspect.DateTimeType):
        schema["format"] = "date-time"
    elif isinstance(shape, inspect.UnionType):
        kinds = [kind for kind in shape.types if not isinstance(kind, inspect.NoneType)]
        parts = [part for part in schema.get("anyOf", [schema]) if part.get("type") != "null"]
        if len(kinds) == len(parts) == 1:
            _complete(parts[0], kinds[0])
    elif isinstance(shape, inspect.ListType):
        _complete(schema["items"], shape.item_type)
    elif isinstance(shape, inspect.DictType) and isinstance(
        schema.get("additionalProperties"), dict
    ):
        _complete(schema["additionalProperties"], shape.value_type)


def _without_null(schema: Schema) -> Schema:
    """A query parameter is left out, never null."""
    plain = {name: value for name, value in schema.items() if name != "anyOf"}
    for part in schema.get("anyOf", []):
        if part.get("type") != "null":
            plain.update(part)
    if plain.get("default", ...) is None:
        del plain["default"]
    return plain
