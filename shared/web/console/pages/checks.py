"""The onboarding check of a connection: what would happen, looked at before the first write."""

from __future__ import annotations

from shared.web.api.check import CheckShown
from shared.web.console.inside import at
from shared.web.console.pages.connections import ONE
from shared.web.console.setup_steps import connection_of, set_up_of
from shared.web.console.visits import Page, View, Visit

_ORDER = {"blocker": 0, "warning": 1, "ok": 2}


def pages() -> list[Page]:
    """The rows of the console's table."""
    return [Page("GET", f"{ONE}/check", check)]


def check(visit: Visit) -> View:
    """GET /console/connections/{id}/check: the page at once, what was found as it comes."""
    connection = connection_of(visit.api, visit.path["connectionId"])
    again = bool(visit.asked("again"))
    values: dict[str, object] = {"connection": connection, "check": None, "now": None}
    values["again"] = again
    if visit.wants_part or visit.asked("wait") == "no":
        place = at("/api/connections/{}/check", connection.id)
        # A recent check is given again unless a new one is asked for.
        found = visit.api.get(CheckShown, place, again=True if again else None)
        findings = sorted(found.findings, key=lambda each: _ORDER.get(each.severity, 1))
        values |= {
            "check": found,
            "findings": findings,
            "now": set_up_of(visit.api, connection) if found.state == "ready" else None,
        }
    return View("check_found.html" if visit.wants_part else "check.html", values)
