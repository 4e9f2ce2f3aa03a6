"""The pages, one module per subject; each gives its rows of the console's table."""

from __future__ import annotations

from shared.ports import Now
from shared.web.console.pages import (
    activity,
    api_description,
    checks,
    connecting,
    connection_options,
    connections,
    drift,
    employee_defaults,
    finding,
    guide,
    hold,
    home,
    itglue,
    people,
    records,
    restore,
    rules,
    settings,
    syncs,
    undoing,
    waiting,
)
from shared.web.console.pages.status import StatusPage
from shared.web.console.visits import Page


def all_pages(now: Now) -> list[Page]:
    """Every page of the console."""
    return [
        *home.pages(),
        *guide.pages(),
        *connections.pages(),
        *connecting.pages(),
        *connection_options.pages(),
        *checks.pages(),
        *syncs.pages(),
        *rules.pages(),
        *finding.pages(),
        *employee_defaults.pages(),
        *settings.pages(),
        *restore.pages(),
        *itglue.pages(),
        *waiting.pages(),
        *hold.pages(),
        *records.pages(),
        *people.pages(),
        *activity.pages(),
        *undoing.pages(),
        *drift.pages(),
        *api_description.pages(),
        *StatusPage(now).pages(),
    ]
