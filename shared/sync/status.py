"""How it goes: connections, freshness, backlog, failures, and what ends soon (R30)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from shared.core.model import Activity, Connection, ConnectionId, Origin, Subscription
from shared.core.signin_trouble import SIGN_IN_CODES
from shared.core.trouble_texts import BMS
from shared.errors import SyncError
from shared.ports import (
    ActivityLog,
    BmsSettingsStore,
    Budget,
    Connections,
    EndpointBudget,
    Failures,
    Now,
    Queues,
    SweepState,
)
from shared.sync.itglue_settings import ItGlueStanding, ManageItGlue
from shared.sync.worklist import Page, WorkOff

WINDOW = timedelta(hours=24)
MOST_ROWS = 2000  # of activity, newest first; the reply says when there were more
_PAGE = 1000
_FRESH = {Origin.NOTIFICATION.value, Origin.SWEEP.value}
_WRITES = {"create", "merge", "update", "move", "deactivate", "reactivate"}
_SUBSCRIBED = frozenset({"users", "groups"})
_CONSENT_CODES = frozenset(
    {
        "permissions",
        "sign-in-admin-needed",
        "sign-in-consent",
        "sign-in-declined",
        "sign-in-scopes-missing",
    }
)
ITGLUE_KEY_REFUSED = "itglue-key"
_NOTICES = (3, 14, 30)  # days before a secret ends


@dataclass(frozen=True, slots=True)
class Hour:
    """The same for one hour."""

    starts_at: datetime
    counted: int
    p50: float | None
    p95: float | None


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
    hours: tuple[Hour, ...] = ()  # with at least one of the counted, oldest first


@dataclass(frozen=True, slots=True)
class Credential:
    """One thing that can end (R30): when, or what is wrong with it already.

    `notice`: 30, 14 or 3 days before the end, 0 when it is over or refused.
    """

    kind: str  # "secret" | "consent" | "sign-in" | "subscription" | "bms" | "itglue"
    connection: Connection | None
    ends_on: date | None = None
    days_left: int | None = None
    notice: int | None = None
    words: str = ""


@dataclass(frozen=True, slots=True)
class Status:
    """Everything at a glance."""

    connections: tuple[tuple[Connection, tuple[Subscription, ...]], ...]
    last_sweeps: dict[ConnectionId, datetime]
    freshness: Freshness
    backlog: dict[str, int]
    failures: int
    credentials: tuple[Credential, ...]
    bms_is_set: bool
    itglue: ItGlueStanding
    budget: tuple[EndpointBudget, ...]
    employees: Page  # the worklist with its licences, and how employees are written (R26)


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
    budget: Budget
    now: Now
    itglue: ManageItGlue
    worklist: WorkOff

    def read(self) -> Status:
        """How it goes now."""
        connections = sorted(self.connections.list(), key=lambda each: (each.created_at, each.id))
        now = self.now()
        every = self.sweeps.all_subscriptions()
        subscriptions = {each.id: tuple(every.get(each.id, ())) for each in connections}
        credentials = credential_calendar(connections, now.date(), subscriptions)
        itglue = self.itglue.standing()
        if itglue.trouble is not None and itglue.trouble.code == ITGLUE_KEY_REFUSED:
            words = itglue.trouble.reason
            credentials = (Credential("itglue", None, notice=0, words=words), *credentials)
        return Status(
            last_sweeps=self.sweeps.last_sweeps(),
            connections=tuple((each, subscriptions[each.id]) for each in connections),
            freshness=self._freshness(now),
            backlog=self.queues.backlog(),
            failures=self.failures.count(),
            credentials=credentials,
            bms_is_set=self.bms_settings.get() is not None,
            itglue=itglue,
            budget=tuple(self.budget.view()),
            employees=self.worklist.open_items(),
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


def is_fresh_write(row: Activity) -> bool:
    """Whether this line tells of a write to BMS that a change in Entra led to."""
    return row.origin in _FRESH and row.kind in _WRITES and row.seconds is not None


def freshness(rows: Sequence[Activity], *, complete: bool) -> Freshness:
    """The figures over these rows; what no signal led to (bulk work) is left out."""
    fresh = [row for row in rows if is_fresh_write(row)]
    timed = [(row.seconds, row.signal_is_upper_bound) for row in fresh]
    seconds = sorted(second for second, _ in timed if second is not None)
    return Freshness(
        counted=len(seconds),
        read=len(rows),
        complete=complete,
        upper_bounds=sum(1 for _, upper in timed if upper),
        p50=_share(seconds, 50),
        p95=_share(seconds, 95),
        most=seconds[-1] if seconds else None,
        hours=tuple(_by_hour(fresh)),
    )


def _by_hour(rows: Sequence[Activity]) -> Iterator[Hour]:
    found: dict[datetime, list[float]] = {}
    for row in rows:
        hour = row.at.replace(minute=0, second=0, microsecond=0)
        found.setdefault(hour, []).append(row.seconds or 0.0)
    for hour, seconds in sorted(found.items()):
        seconds.sort()
        yield Hour(hour, len(seconds), _share(seconds, 50), _share(seconds, 95))


def credential_calendar(
    connections: Sequence[Connection],
    today: date,
    subscriptions: Mapping[ConnectionId, Sequence[Subscription]] | None = None,
) -> tuple[Credential, ...]:
    """Everything that can end, what is wrong or ends next first (R30)."""
    found: list[Credential] = []
    bms = None
    for connection in connections:
        if connection.secret_expires_on:
            ends_on = date.fromisoformat(connection.secret_expires_on)
            words = "the client secret of the app registration"
            found.append(_ending("secret", connection, ends_on, today, words))
        for trouble in connection.troubles:
            if trouble.code in SIGN_IN_CODES:
                kind = _kind_of(trouble.code)
                found.append(Credential(kind, connection, notice=0, words=trouble.reason))
            elif trouble.code in BMS:
                bms = Credential("bms", None, notice=0, words=trouble.reason)
        held = () if subscriptions is None else subscriptions.get(connection.id, ())
        if subscriptions is not None and _should_be_subscribed(connection, today):
            for resource in sorted(_SUBSCRIBED - {one.resource for one in held}):
                words = f"there is no subscription on {resource}: changes are found by sweeps only"
                found.append(Credential("subscription", connection, notice=0, words=words))
        for one in held:
            words = f"the subscription on {one.resource}, which the app extends by itself"
            ends_on = one.expires_at.date()
            found.append(_ending("subscription", connection, ends_on, today, words, (3,)))
    if bms is not None:
        found.append(bms)
    return tuple(sorted(found, key=lambda each: (each.notice != 0, each.ends_on or today)))


def _kind_of(code: str) -> str:
    if code.startswith("sign-in-secret"):
        return "secret"
    return "consent" if code in _CONSENT_CODES else "sign-in"


def _should_be_subscribed(connection: Connection, today: date) -> bool:
    """Whether the app has had the time to make its subscriptions."""
    if connection.connected_at is None or not connection.may_write:
        return False
    since = max(connection.connected_at, connection.resumed_at or connection.connected_at)
    return since.date() < today


def _ending(
    kind: str,
    connection: Connection,
    ends_on: date,
    today: date,
    words: str,
    notices: Sequence[int] = _NOTICES,
) -> Credential:
    left = (ends_on - today).days
    notice = 0 if left < 0 else next((days for days in notices if left <= days), None)
    return Credential(kind, connection, ends_on, left, notice, words)


def _share(seconds: Sequence[float], percent: int) -> float | None:
    """The smallest value that so many percent do not exceed."""
    if not seconds:
        return None
    return seconds[max(0, -(-len(seconds) * percent // 100) - 1)]
