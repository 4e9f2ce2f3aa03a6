"""The guide: from an empty installation to the first synced person, one step after the other."""

from __future__ import annotations

from shared.web.api.deployment import DeploymentShown
from shared.web.console.setup_steps import (
    STEPS,
    connection_of,
    goes_on,
    newest_unfinished,
    set_up_of,
)
from shared.web.console.visits import Page, View, Visit

GUIDE = "/console/guide"


def pages() -> list[Page]:
    """The rows of the console's table."""
    return [Page("GET", GUIDE, guide)]


def guide(visit: Visit) -> View:
    """GET /console/guide: about the newest unfinished connection, or the one asked for."""
    unfinished, newest = newest_unfinished(visit.api)
    about = unfinished or newest
    if visit.asked("connection"):
        about = connection_of(visit.api, visit.asked("connection"))
    now = set_up_of(visit.api, about)
    run = now.full_sync
    values = {
        "now": now,
        "connection": about,
        "app": visit.api.get(DeploymentShown, "/api/settings/app"),
        "states": {step: now.state(step) for step in STEPS},
        "run": run,
        "goes_on": run is not None and goes_on(run),
        "done_steps": sum(1 for step in STEPS[:-1] if now.is_done(step)),
        "all_done": now.next == "",
    }
    return View("guide.html", values)
