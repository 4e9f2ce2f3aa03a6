"""The pages, one module per subject; each gives its rows of the console's table."""

from __future__ import annotations

from shared.ports import Now
from shared.web.console.pages import activity, drift, home, people, records, undoing, waiting
from shared.web.console.pages.status import StatusPage
from shared.web.console.visits import Page


def all_pages(now: Now) -> list[Page]:
    """Every page of the console."""
    return [
        *home.pages(),
        *waiting.pages(),
        *StatusPage(now).pages(),
        *records.pages(),
        *people.pages(),
        *activity.pages(),
        *undoing.pages(),
        *drift.pages(),
    ]
