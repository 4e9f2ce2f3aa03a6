"""Shapes that several resources share. The words in `expects` become part of the refusals."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, get_args

import msgspec
from msgspec import Meta

Guid = Annotated[
    str,
    Meta(
        pattern=r"^\s*[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\s*$",
        extra={"expects": "a GUID such as 0a1b2c3d-0000-4000-8000-000000000001"},
    ),
]
BmsId = Annotated[int, Meta(ge=1, le=2_147_483_647)]
Text = Annotated[str, Meta(max_length=1000)]
Secret = Annotated[str, Meta(max_length=1000, extra_json_schema={"writeOnly": True})]
Limit = Annotated[int, Meta(ge=1, le=1000)]
Cursor = Annotated[str, Meta(max_length=4000)]


def one_of(choices: object) -> Meta:
    """Tells the values of a text that is held as a plain one in the core: those of a Literal."""
    return Meta(extra_json_schema={"enum": sorted(get_args(choices))})


class Strict(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """What comes in: an unknown member is a slip of the caller, so it is refused."""


class Shown(msgspec.Struct, rename="camel", kw_only=True):
    """What goes out."""


class Paged(Strict):
    """The query of every list."""

    limit: Limit = 100
    cursor: Cursor | None = None


class Search(Paged):
    """A list that is searched through."""

    q: Text = ""


def utc(at: datetime | None) -> datetime | None:
    """The same moment in UTC, so that it is written with a Z."""
    return None if at is None else at.astimezone(UTC)
