"""The onboarding check of a connection: what would happen, looked at before the first write."""

from __future__ import annotations

from shared.web.api.check import CheckShown
from shared.web.console.inside import at
from shared.web.console.pages.connections import CONNECTIONS, ONE
from shared.web.console.setup_steps import connection_of, set_up_of
from shared.web.console.visits import Onward, Page, View, Visit

_ORDER = {"blocker": 0, "warning": 1, "ok": 2}


def pages() -> list[Page]:
    """The rows of the console's table."""
    return [Page("GET", f"{ONE}/check", check), Page("POST", f"{ONE}/check", again)]


def check(visit: Visit) -> View:
    """GET /console/connections/{id}/check: the page at once, what was found as it comes."""
    connection = connection_of(visit.api, visit.path["connectionId"])
    values: dict[str, object] = {"connection": connection, "check": None, "now": None}
    if visit.wants_part or visit.asked("wait") == "no":
        place = at("/api/connections/{}/check", connection.id)
        found = visit.api.get(CheckShown, place)
        findings = sorted(found.findings, key=lambda each: _ORDER.get(each.severity, 1))
        values |= {
            "check": found,
            "findings": findings,
            "now": set_up_of(visit.api, connection) if found.state == "ready" else None,
        }
    return View("check_found.html" if visit.wants_part else "check.html", values)


def again(visit: Visit) -> Onward:
    """POST /console/connections/{id}/check: a new one, however recent the last one is."""
    id_ = visit.path["connectionId"]
    visit.api.post(CheckShown, at("/api/connections/{}/check", id_))
    return Onward(at(CONNECTIONS + "/{}/check", id_))
