"""Once a minute: the figures that nobody's work tells, for the alerts and the workbook.

Read from the same places as the status page. Where nothing receives them nothing is read.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta

from shared.measures import (
    BACKLOG,
    BUDGET_USED,
    CREDENTIAL_DAYS,
    FAILURES_WAITING,
    FRESHNESS_P95,
    SWEEP_AGE,
)
from shared.ports import (
    ActivityLog,
    Budget,
    Connections,
    Failures,
    ItGlueMemory,
    Now,
    Queues,
    SweepState,
)
from shared.sync.status import ITGLUE_KEY_REFUSED, credential_calendar, freshness

_LATELY = timedelta(minutes=15)
_MOST_ROWS = 1000


@dataclass(frozen=True, slots=True)
class Measure:
    """The use case behind the timer."""

    connections: Connections
    sweeps: SweepState
    activity: ActivityLog
    queues: Queues
    failures: Failures
    budget: Budget
    itglue: ItGlueMemory
    wanted: bool  # something receives the figures
    now: Now

    def take(self) -> None:
        """Read and tell them."""
        if not self.wanted:
            return
        now = self.now()
        connections = self.connections.list()
        swept = self.sweeps.last_sweeps()
        # Also of a connection that is refused: nobody would hear of it otherwise.
        ages = [
            (
                now - max(swept.get(one.id, one.first_sync_at), one.resumed_at or one.first_sync_at)
            ).total_seconds()
            for one in connections
            if one.connected_at is not None and not one.paused and one.first_sync_at is not None
        ]
        SWEEP_AGE.set(max(ages, default=0.0))
        FAILURES_WAITING.set(self.failures.count())
        for queue, waiting in self.queues.backlog().items():
            BACKLOG.set(waiting, {"queue": queue})
        rows, more = self.activity.list(since=now - _LATELY, limit=_MOST_ROWS)
        FRESHNESS_P95.set(freshness(rows, complete=more is None).p95 or 0.0)
        shares = [(one.used_fresh + one.used_bulk) / one.limit for one in self.budget.view()]
        BUDGET_USED.set(max(shares, default=0.0))
        days: defaultdict[str, list[int]] = defaultdict(list)
        subscriptions = self.sweeps.all_subscriptions()
        for each in credential_calendar(connections, now.date(), subscriptions):
            days[each.kind].append(0 if each.days_left is None else each.days_left)
        trouble = self.itglue.trouble()
        if trouble is not None and trouble.code == ITGLUE_KEY_REFUSED:
            days["itglue"].append(0)
        for kind, left in days.items():
            CREDENTIAL_DAYS.set(min(left), {"kind": kind})
