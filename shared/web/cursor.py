"""Where the next page of a list begins: a text that means nothing outside this app."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from typing import TypeVar

from shared.errors import BadInput

T = TypeVar("T")
_FURTHEST = 1_000_000_000


def write_cursor(*parts: str | int | None) -> str:
    """The cursor that holds these parts."""
    text = json.dumps(parts, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_cursor(cursor: str, *kinds: type) -> list[str | int | None]:
    """The parts again, each of its kind or None; BadInput 400 for a cursor that is not ours."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        parts = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError):
        parts = None
    if (
        not isinstance(parts, list)
        or len(parts) != len(kinds)
        or any(
            part is not None and type(part) is not kind
            for part, kind in zip(parts, kinds, strict=True)
        )
    ):
        raise BadInput(
            400, "cursor is not one of ours: take nextCursor from the page before.", field="cursor"
        )
    return parts


def write_place(connection_id: str, cursor: str | None) -> str | None:
    """The cursor of a list over several connections; None at its end, after the last of them."""
    return write_cursor(connection_id, cursor) if connection_id else None


def read_place(cursor: str | None) -> tuple[str, str | None] | None:
    """The connection where the next page begins, and the cursor in it; None for the first page."""
    if not cursor:
        return None
    connection_id, inner = read_cursor(cursor, str, str)
    return str(connection_id or ""), None if inner is None else str(inner)


def page_of(items: Sequence[T], limit: int, cursor: str | None) -> tuple[Sequence[T], str | None]:
    """One page of a list that is at hand as a whole."""
    start = start_of(cursor)
    end = start + limit
    return items[start:end], write_cursor(end) if end < len(items) else None


def start_of(cursor: str | None) -> int:
    """How many items the pages before have shown."""
    if not cursor:
        return 0
    [offset] = read_cursor(cursor, int)
    return min(max(0, int(offset or 0)), _FURTHEST)
