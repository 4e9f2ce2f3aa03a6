"""Status: how fresh, how busy, and what ends soon, for an operator's glance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from shared.web.api.status import BudgetShown, StatusShown
from shared.web.console.charts import Hour, freshness_chart
from shared.web.console.visits import Page, View, Visit

_QUEUES = {
    "sweeps": "sweeps and full syncs",
    "user-deltas": "fresh changes",
    "user-deltas-bulk": "bulk work",
    "user-deltas-leavers": "deactivations",
    "itglue-contacts": "contacts for IT Glue",
}


@dataclass(frozen=True, slots=True)
class StatusPage:
    """The page; `now` is the end of its chart."""

    now: Callable[[], datetime]

    def pages(self) -> list[Page]:
        """The rows of the console's table."""
        return [
            Page("GET", "/console/status", self.show),
            Page("GET", "/console/status/now", self.part),
        ]

    def show(self, visit: Visit) -> View:
        """GET /console/status."""
        return self._view(visit, "status.html")

    def part(self, visit: Visit) -> View:
        """GET /console/status/now: the same without the frame, to be put in place."""
        return self._view(visit, "status_now.html" if visit.wants_part else "status.html")

    def _view(self, visit: Visit, template: str) -> View:
        status = visit.api.get(StatusShown, "/api/status")
        hours = [
            Hour(each.starts_at, each.counted, each.p50 or 0.0, each.p95 or 0.0)
            for each in status.freshness.hours
            if each.starts_at is not None
        ]
        # A subscription that the app extends in time is no date for a person.
        soon = [each for each in status.credentials if each.notice is not None]
        later = [
            each
            for each in status.credentials
            if each.notice is None and each.kind != "subscription"
        ]
        backlog = [
            (_queue_name(name), number)
            for name, number in sorted(status.backlog.items())
            if number or not name.endswith("-poison")
        ]
        return View(
            template,
            {
                "status": status,
                "chart": freshness_chart(hours, self.now()),
                "hours": hours,
                "soon": soon,
                "later": later,
                "budget": sorted(status.budget, key=_left),
                "backlog": backlog,
                "looked_at": self.now(),
            },
        )


def _left(endpoint: BudgetShown) -> float:
    return 1 - (endpoint.used_fresh + endpoint.used_bulk) / max(1, endpoint.limit)


def _queue_name(name: str) -> str:
    bare = name.removesuffix("-poison")
    words = _QUEUES.get(bare, bare)
    return f"{words}, given up" if bare != name else words
