"""The pages, one module per subject; each gives its rows of the console's table."""

from __future__ import annotations

from shared.web.console.pages import employee_defaults, finding, home, rules
from shared.web.console.visits import Page


def all_pages() -> list[Page]:
    """Every page of the console."""
    return [
        *home.pages(),
        *rules.pages(),
        *finding.pages(),
        *employee_defaults.pages(),
    ]
