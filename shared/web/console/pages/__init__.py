"""The pages, one module per subject; each gives its rows of the console's table."""

from __future__ import annotations

from shared.web.console.pages import activity, drift, home, people, records, undoing
from shared.web.console.visits import Page


def all_pages() -> list[Page]:
    """Every page of the console."""
    return [
        *home.pages(),
        *records.pages(),
        *people.pages(),
        *activity.pages(),
        *undoing.pages(),
        *drift.pages(),
    ]
