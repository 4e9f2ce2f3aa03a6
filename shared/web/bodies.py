"""Takes JSON bodies and query strings into typed structs, and says in words what does not fit.

msgspec finds the first place that does not fit and says so in the words of a programmer. Here that
place is looked up in the struct's own types, and the sentence says what is expected there. A type
may bring words of its own: `Meta(extra={"expects": "a GUID"})`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import TypeVar

import msgspec
from msgspec import inspect

from shared.errors import BadInput

_AT = re.compile(r" - at `(?:key in )?\$(?P<path>.*?)`$")
_NAMED = re.compile(r"(?P<kind>missing required|contains unknown) field `(?P<name>.*?)`")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_CONTROL = re.compile("[\x00-\x1f\x7f]")
T = TypeVar("T")

_STEP = re.compile(r"\.(?P<name>[^.\[\]]+)|\[(?P<index>\d+|\.\.\.)\]")


def read_body(body: bytes, shape: type[T], *, at: str = "") -> T:
    """The body as that struct; BadInput 400 when it is no JSON, 422 when it does not fit.

    `at` is put before the names of fields ("items[3].").
    """
    try:
        return msgspec.json.decode(body, type=shape)
    except msgspec.ValidationError as error:
        raise _refusal(str(error), shape, 422, at, "The body") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput(400, "The body is not JSON that can be read: check how it was made.") from (
            error
        )


def read_query(query: Mapping[str, str], shape: type[T]) -> T:
    """The query parameters as that struct; BadInput 400 when one does not fit or is not known."""
    try:
        read = msgspec.convert(dict(query), type=shape, strict=False)
    except msgspec.ValidationError as error:
        raise _refusal(str(error), shape, 400, "", "The query") from error
    for name, kind in _fields(inspect.type_info(shape)).items():
        if has_control(query.get(name, "")):
            raise BadInput(400, f"{name} must not hold control characters.", field=name)
        if name in query and not _is_meant(query[name], kind):
            raise BadInput(400, f"{name} must be {expected(kind)}.", field=name)
    return read


def has_control(text: str) -> bool:
    """Whether it holds a control character, which nothing here is named by and no table takes."""
    return _CONTROL.search(text) is not None


def _is_meant(text: str, kind: inspect.Type) -> bool:
    """msgspec takes the word null for nothing at all, and a number for a time."""
    bare = _bare(kind)
    if isinstance(bare, inspect.DateTimeType):
        return _DATE.match(text) is not None
    return isinstance(bare, inspect.StrType) or text.lower() != "null"


def expected(shape: inspect.Type) -> str:
    """What a value of this type has to be, in words that follow "must be"."""
    if isinstance(shape, inspect.Metadata):
        words = (shape.extra or {}).get("expects")
        return str(words) if words else expected(shape.type)
    if isinstance(shape, inspect.UnionType):
        kinds = [kind for kind in shape.types if not isinstance(kind, inspect.NoneType)]
        return " or ".join(expected(kind) for kind in kinds)
    if isinstance(shape, inspect.LiteralType):
        return _choices([str(value) for value in shape.values])
    if isinstance(shape, inspect.EnumType):
        return _choices([str(member.value) for member in shape.cls])
    if isinstance(shape, inspect.IntType):
        return "a whole number" + _range(shape)
    if isinstance(shape, inspect.FloatType):
        return "a number" + _range(shape)
    if isinstance(shape, inspect.StrType):
        return "a text" + _length(shape)
    for kind, words in _PLAIN.items():
        if isinstance(shape, kind):
            return words
    return "something else"


_PLAIN: dict[type[inspect.Type], str] = {
    inspect.BoolType: "true or false",
    inspect.DateType: "a date such as 2027-03-31",
    inspect.DateTimeType: "a time such as 2027-03-31T09:00:00Z",
    inspect.ListType: "a list",
    inspect.DictType: "an object",
    inspect.StructType: "an object",
    inspect.RawType: "JSON",
}


def _choices(values: list[str]) -> str:
    quoted = [f'"{value}"' for value in values]
    if len(quoted) == 1:
        return quoted[0]
    return f"{', '.join(quoted[:-1])} or {quoted[-1]}"


def _range(shape: inspect.IntType | inspect.FloatType) -> str:
    low = shape.ge if shape.ge is not None else shape.gt
    high = shape.le if shape.le is not None else shape.lt
    words = []
    if low is not None:
        words.append(f"{'from' if shape.ge is not None else 'above'} {low:,}")
    if high is not None:
        words.append(f"{'to' if shape.le is not None else 'below'} {high:,}")
    return f" {' '.join(words)}" if words else ""


def _length(shape: inspect.StrType) -> str:
    if shape.min_length and shape.max_length:
        return f" of {shape.min_length} to {shape.max_length:,} characters"
    if shape.max_length:
        return f" of at most {shape.max_length:,} characters"
    return ", not empty" if shape.min_length else ""


@cache
def _type(shape: type) -> inspect.Type:
    return inspect.type_info(shape)


def _refusal(message: str, shape: type, status: int, at: str, whole: str) -> BadInput:
    """BadInput for msgspec's message about a value of this type."""
    place = _AT.search(message)
    steps = list(_STEP.finditer(place["path"])) if place else []
    here, path = _walk(_type(shape), steps)
    named = _NAMED.search(message)
    if named:
        field = f"{at}{path}.{named['name']}" if path else f"{at}{named['name']}"
        if named["kind"] == "contains unknown":
            known = ", ".join(_fields(here))
            return BadInput(status, f"{field} is not known here; known: {known}.", field=field)
        wanted = _fields(here).get(named["name"])
        words = f": it must be {expected(wanted)}." if wanted else "."
        return BadInput(status, f"{field} is missing{words}", field=field)
    if not path:
        place_of_it = at.rstrip(".")
        return BadInput(
            status, f"{place_of_it or whole} must be {expected(here)}.", field=place_of_it or None
        )
    return BadInput(status, f"{at}{path} must be {expected(here)}.", field=at + path)


def _walk(shape: inspect.Type, steps: list[re.Match[str]]) -> tuple[inspect.Type, str]:
    """The type at that place, and the place as a person writes it."""
    path = ""
    for step in steps:
        bare = _bare(shape)
        if step["name"]:
            path += f".{step['name']}" if path else step["name"]
            shape = _fields(bare).get(step["name"], inspect.AnyType())
        elif isinstance(bare, inspect.DictType):
            shape = bare.value_type
        elif isinstance(bare, inspect.ListType):
            path += f"[{step['index']}]"
            shape = bare.item_type
    return shape, path


def _fields(shape: inspect.Type) -> dict[str, inspect.Type]:
    bare = _bare(shape)
    if not isinstance(bare, inspect.StructType):
        return {}
    return {field.encode_name: field.type for field in bare.fields}


def _bare(shape: inspect.Type) -> inspect.Type:
    """Without annotations, and without the null that an optional member may be."""
    if isinstance(shape, inspect.Metadata):
        return _bare(shape.type)
    if isinstance(shape, inspect.UnionType):
        kinds = [kind for kind in shape.types if not isinstance(kind, inspect.NoneType)]
        return _bare(kinds[0]) if len(kinds) == 1 else shape
    return shape
