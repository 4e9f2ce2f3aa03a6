"""One hold with everybody in it, page by page: a hold may have thousands."""

from __future__ import annotations

from shared.web.api.waiting import HeldList, HoldShown
from shared.web.console.inside import at
from shared.web.console.names import all_connections
from shared.web.console.visits import Page, View, Visit

_HOLDS = "/console/waiting/holds"
_A_PAGE = 200


def pages() -> list[Page]:
    """The rows of the console's table."""
    return [Page("GET", f"{_HOLDS}/{{holdId}}", hold)]


def hold(visit: Visit) -> View:
    """GET /console/waiting/holds/{holdId}."""
    path = at("/api/holds/{}", visit.path["holdId"])
    found = visit.api.get(HoldShown, path)
    people = visit.api.get(HeldList, f"{path}/people", limit=_A_PAGE, cursor=visit.asked("cursor"))
    domains = {each.id: each.tenant_domain for each in all_connections(visit.api)}
    return View(
        "waiting_hold.html",
        {
            "here": at(f"{_HOLDS}/{{}}", visit.path["holdId"]),
            "hold": found,
            "people": people,
            "domain": domains.get(found.connection_id, found.connection_id),
            "a_page": _A_PAGE,
        },
    )
