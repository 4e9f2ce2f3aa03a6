"""How it goes: connections, freshness, backlog, failures, and what ends soon (R30)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from shared.core.model import Activity, Connection, ConnectionId, Origin, Subscription
from shared.errors import SyncError
from shared.ports import (
    ActivityLog,
    BmsSettingsStore,
    Connections,
    Failures,
    Now,
    Queues,
    SweepState,
)

WINDOW = timedelta(hours=24)
MOST_ROWS = 2000  # of activity, newest first; the reply says when there were more
_PAGE = 1000
_FRESH = {Origin.NOTIFICATION.value, Origin.SWEEP.value}
_WRITES = {"create", "merge", "update", "move", "deactivate", "reactivate"}
_NOTICES = (3, 14, 30)  # days before a secret ends


@dataclass(frozen=True, slots=True)
class Freshness:
    """Seconds from the first signal to the write, for changes of the last day."""

    counted: int
    read: int
    complete: bool  # False: there was more activity than was read
    upper_bounds: int  # how many of the counted are upper bounds (sweeps)
    p50: float | None
    p95: float | None
    most: float | None


@dataclass(frozen=True, slots=True)
class SecretEnd:
    """When a connection's client secret ends. `notice`: 30, 14 or 3 days before; 0 when over."""

    connection: Connection
    ends_on: date
    days_left: int
    notice: int | None


@dataclass(frozen=True, slots=True)
class Status:
    """Everything at a glance."""

    connections: tuple[tuple[Connection, tuple[Subscription, ...]], ...]
    last_sweeps: dict[ConnectionId, datetime]
    freshness: Freshness
    backlog: dict[str, int]
    failures: int
    secrets: tuple[SecretEnd, ...]
    bms_is_set: bool


@dataclass
class Health:
    """Whether the tables answer, asked at most every five seconds however often one looks."""

    bms_settings: BmsSettingsStore
    now: Now
    keep: timedelta = timedelta(seconds=5)
    _known: tuple[datetime, bool] | None = field(default=None, init=False)

    def is_well(self) -> bool:
        """True when the tables answer."""
        now, known = self.now(), self._known
        if known is not None and timedelta() <= now - known[0] < self.keep:
            return known[1]
        try:
            self.bms_settings.get()
            well = True
        except SyncError:
            well = False
        self._known = (now, well)
        return well


@dataclass(frozen=True, slots=True)
class ReadStatus:
    """The status page's use case."""

    connections: Connections
    sweeps: SweepState
    activity: ActivityLog
    queues: Queues
    failures: Failures
    bms_settings: BmsSettingsStore
    now: Now

    def read(self) -> Status:
        """How it goes now."""
        connections = sorted(self.connections.list(), key=lambda each: (each.created_at, each.id))
        now = self.now()
        return Status(
            last_sweeps=self.sweeps.last_sweeps(),
            connections=tuple(
                (each, tuple(self.sweeps.subscriptions(each.id))) for each in connections
            ),
            freshness=self._freshness(now),
            backlog=self.queues.backlog(),
            failures=self.failures.count(),
            secrets=credential_calendar(connections, now.date()),
            bms_is_set=self.bms_settings.get() is not None,
        )

    def _freshness(self, now: datetime) -> Freshness:
        rows: list[Activity] = []
        cursor: str | None = None
        while True:
            page, cursor = self.activity.list(since=now - WINDOW, limit=_PAGE, cursor=cursor)
            rows += page
            if cursor is None or len(rows) >= MOST_ROWS:
                break
        return freshness(rows, complete=cursor is None)


def freshness(rows: Sequence[Activity], *, complete: bool) -> Freshness:
    """The figures over these rows; what no signal led to (bulk work) is left out."""
    timed = [
        (row.seconds, row.signal_is_upper_bound)
        for row in rows
        if row.origin in _FRESH and row.kind in _WRITES and row.seconds is not None
    ]
    seconds = sorted(second for second, _ in timed if second is not None)
    return Freshness(
        counted=len(seconds),
        read=len(rows),
        complete=complete,
        upper_bounds=sum(1 for _, upper in timed if upper),
        p50=_share(seconds, 50),
        p95=_share(seconds, 95),
        most=seconds[-1] if seconds else None,
    )


def credential_calendar(connections: Sequence[Connection], today: date) -> tuple[SecretEnd, ...]:
    """When each known client secret ends, the next one first."""
    ends = []
    for connection in connections:
        if not connection.secret_expires_on:
            continue
        ends_on = date.fromisoformat(connection.secret_expires_on)
        left = (ends_on - today).days
        if left < 0:
            notice: int | None = 0
        else:
            notice = next((days for days in _NOTICES if left <= days), None)
        ends.append(SecretEnd(connection, ends_on, left, notice))
    return tuple(sorted(ends, key=lambda each: each.ends_on))


def _share(seconds: Sequence[float], percent: int) -> float | None:
    """The smallest value that so many percent do not exceed."""
    if not seconds:
        return None
    return seconds[max(0, -(-len(seconds) * percent // 100) - 1)]
