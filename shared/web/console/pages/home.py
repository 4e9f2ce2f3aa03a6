"""The console's start: the guide until somebody is synced, then the connections."""

from __future__ import annotations

from shared.web.api.connections import ConnectionList
from shared.web.console.visits import Onward, Page, Visit


def pages() -> list[Page]:
    """The rows of the console's table."""
    return [Page("GET", "/console", start)]


def start(visit: Visit) -> Onward:
    """GET /console."""
    synced = visit.api.get(ConnectionList, "/api/connections", synced="true", limit=1).items
    return Onward("/console/connections" if synced else "/console/guide")
