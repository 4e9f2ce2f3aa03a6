"""Pages and text filters: PageSize, PageNumber, and what a Filter.… text matches."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TypeVar

from infra.local.bms.calls import Call
from infra.local.bms.refusals import Rejected

Row = TypeVar("Row")


def page_of(call: Call, rows: Sequence[Row]) -> Sequence[Row]:
    """Return the page that the query asks for; beyond the end it is empty."""
    switches = call.switches
    asked = call.query.integer("PageSize")
    size = asked if asked is not None and asked > 0 else switches.default_page_size
    if size > switches.max_page_size:
        if switches.over_max_page_size == "refuse":
            raise Rejected(f"PageSize must not be over {switches.max_page_size}.")
        size = switches.max_page_size
    number = call.query.integer("PageNumber")
    if number is None:
        number = switches.first_page
    # With pages from 1, page 0 is the first page too; with pages from 0, page 1 is the second.
    start = max(0, number - switches.first_page) * size
    if switches.row_order == "stable":
        return rows[start : start + size]
    return _unstable(call, rows, start, size)


def _unstable(call: Call, rows: Sequence[Row], start: int, size: int) -> Sequence[Row]:
    tick = next(call.world.order_ticks)
    dice = random.Random(tick)
    if call.switches.row_order == "within":
        page = list(rows[start : start + size])
        dice.shuffle(page)
        return page
    if call.switches.row_order == "shuffle":
        return dice.sample(rows, len(rows))[start : start + size]
    # Drift: every request sees the rows one place further on, so that the last row of a page
    # comes again as the first of the next, and others are missed.
    by = tick % len(rows) if rows else 0
    turned = [*rows[len(rows) - by :], *rows[: len(rows) - by]]
    return turned[start : start + size]


def text_test(call: Call, name: str) -> Callable[[str | None], bool] | None:
    """Return a test for a text filter, or None when the query does not have it."""
    wanted = call.query.text(name)
    if wanted is None:
        return None
    switches = call.switches
    if switches.string_filters == "exact":
        if switches.filters_ignore_case:
            folded = wanted.strip().lower()
            return lambda held: (held or "").strip().lower() == folded
        return lambda held: held == wanted
    if switches.filters_ignore_case:
        lowered = wanted.lower()
        return lambda held: lowered in (held or "").lower()
    return lambda held: wanted in (held or "")


def active_filter(call: Call, name: str = "Filter.IsActive") -> bool | None:
    """Return the state that a list is narrowed to; None means both."""
    asked = call.query.boolean(name)
    if asked is None and call.switches.is_active_absent == "active":
        return True
    return asked
