"""Drift: whose record somebody edited by hand in BMS, which field, and what the next sync does.

To read again costs calls of BMS's hourly limit, so it is a form: reloading the page reads nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

from shared.web.api.drift import DriftList
from shared.web.console.names import all_connections, connection_options
from shared.web.console.pages.records import RECORDS
from shared.web.console.visits import Onward, Page, View, Visit

DRIFT = "/console/drift"
_A_PAGE = 50


def pages() -> list[Page]:
    """The rows of the console's table."""
    return [
        Page("GET", DRIFT, drift),
        Page("POST", f"{DRIFT}/read", read_again),
    ]


def drift(visit: Visit) -> View:
    """GET /console/drift: the page, or for its script what was found."""
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
        "reload": _address(visit.query),
        "sought": sought,
        "connection_id": connection_id,
        "connections": connections,
        "connection_options": connection_options(connections),
        "tenants": {each.id: each.tenant_domain for each in connections},
        "found": found,
        "filtered": bool(sought or connection_id),
    }
    return View("drift_found.html" if visit.wants_part else "drift.html", values)


def read_again(visit: Visit) -> Onward:
    """POST /console/drift/read: compare with BMS now, as far as that is done while one waits."""
    kept = {name: visit.form.text(name) for name in ("connectionId", "q")}
    visit.api.post(DriftList, "/api/drift", {"connectionId": kept["connectionId"] or None})
    return Onward(_address(kept))


def _address(query: Mapping[str, str]) -> str:
    given = {name: value for name, value in query.items() if value}
    return f"{DRIFT}?{urlencode(given)}" if given else DRIFT
