"""Drift: whose record somebody edited by hand in BMS, which field, and what the next sync does."""

from __future__ import annotations

from shared.web.console.answers import DriftList
from shared.web.console.names import all_connections, connection_options
from shared.web.console.pages.records import RECORDS
from shared.web.console.visits import Page, View, Visit

DRIFT = "/console/drift"
_A_PAGE = 50


def pages() -> list[Page]:
    """The rows of the console's table."""
    return [Page("GET", DRIFT, drift)]


def drift(visit: Visit) -> View:
    """GET /console/drift."""
    connections = all_connections(visit.api)
    sought, connection_id = visit.asked("q"), visit.asked("connectionId")
    found = visit.api.get(
        DriftList,
        "/api/drift",
        connectionId=connection_id,
        q=sought,
        limit=_A_PAGE,
        cursor=visit.asked("cursor"),
    )
    values = {
        "here": RECORDS,
        "page": DRIFT,
        "sought": sought,
        "connection_id": connection_id,
        "connections": connections,
        "connection_options": connection_options(connections),
        "tenants": {each.id: each.tenant_domain for each in connections},
        "found": found,
        "filtered": bool(sought or connection_id),
    }
    return View("drift.html", values)
