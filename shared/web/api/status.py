"""/api/status for the admin, /health for whoever watches from outside."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from shared import VERSION
from shared.core.model import ConnectionState
from shared.core.standing import standing
from shared.ports import ITGLUE
from shared.sync.itglue_settings import ItGlueStanding
from shared.sync.status import Freshness, Health, ReadStatus
from shared.web.api.employees import WriteMode
from shared.web.api.shapes import Shown, one_of, utc
from shared.web.http import Reply, json_reply
from shared.web.router import AnyQuery, Call, Route


class SubscriptionShown(Shown):
    """A change-notification subscription in Graph."""

    resource: str
    expires_at: datetime | None


class ConnectionStatus(Shown):
    """How a connection stands."""

    id: str
    tenant_domain: str
    state: ConnectionState
    reason: str | None
    next_step: str | None
    last_sweep_at: datetime | None
    subscriptions: list[SubscriptionShown]


class HourShown(Shown):
    """The same for one hour that had any."""

    starts_at: datetime | None
    counted: int
    p50: float | None
    p95: float | None


class FreshnessShown(Shown):
    """Seconds from signal to write, over the last 24 hours."""

    window_hours: int
    counted: int
    upper_bounds: int
    read: int
    complete: bool
    p50: float | None
    p95: float | None
    max: float | None
    hours: list[HourShown]


class CredentialShown(Shown):
    """What can end; `notice` 30, 14 or 3 days before, 0 when it is over or refused."""

    kind: str
    connection_id: str | None
    tenant_domain: str | None
    ends_on: str | None
    days_left: int | None
    notice: int | None
    reason: str


class BudgetShown(Shown):
    """One endpoint of BMS within its window (R25)."""

    endpoint: str
    limit: int
    window_seconds: int
    used_fresh: int
    used_bulk: int
    free_fresh: int
    free_bulk: int
    bulk_share: int
    bulk_free_in_seconds: int
    paused_until: datetime | None


class ItGlueStatus(Shown):
    """IT Glue: off, on, or on with something to look at."""

    state: Literal["off", "on", "attention"]
    reason: str | None
    next_step: str | None
    since: datetime | None
    waiting: int
    accounts_without_organization: int


class EmployeesStatus(Shown):
    """How employees are written, and what waits on the worklist (R26)."""

    mode: Annotated[str, one_of(WriteMode)]
    fell_back: str | None
    open_items: int
    licences_needed: int
    licences_freed: int


class StatusShown(Shown):
    """Everything at a glance."""

    version: str
    bms_is_set: bool
    connections: list[ConnectionStatus]
    freshness: FreshnessShown
    backlog: dict[str, int]
    failures: int
    credentials: list[CredentialShown]
    budget: list[BudgetShown]
    it_glue: ItGlueStatus
    employees: EmployeesStatus


def _freshness(figures: Freshness) -> FreshnessShown:
    return FreshnessShown(
        window_hours=24,
        counted=figures.counted,
        upper_bounds=figures.upper_bounds,
        read=figures.read,
        complete=figures.complete,
        p50=figures.p50,
        p95=figures.p95,
        max=figures.most,
        hours=[
            HourShown(
                starts_at=utc(each.starts_at), counted=each.counted, p50=each.p50, p95=each.p95
            )
            for each in figures.hours
        ],
    )


def _itglue(now: ItGlueStanding, waiting: int) -> ItGlueStatus:
    missing, trouble = now.accounts_without_organization, now.trouble
    state: Literal["off", "on", "attention"] = "off"
    if now.enabled:
        state = "attention" if trouble or missing else "on"
    reason = next_step = None
    if trouble:
        reason, next_step = trouble.reason, trouble.next_step
    elif missing:
        reason = f"BMS accounts without an organization in IT Glue: {missing}."
        next_step = "Choose their organizations in the IT Glue settings."
    return ItGlueStatus(
        state=state,
        reason=reason,
        next_step=next_step,
        since=utc(trouble.since) if trouble else None,
        waiting=waiting,
        accounts_without_organization=missing,
    )


@dataclass(frozen=True, slots=True)
class StatusApi:
    """The resources."""

    status: ReadStatus
    health: Health

    def routes(self) -> list[Route]:
        """Their rows in the table."""
        return [
            Route(
                "GET",
                "/api/status",
                self.read,
                "How it goes",
                description=(
                    "States, subscriptions, freshness of the last 24 hours, backlog, BMS's budget, "
                    "what ends soon, and how employees are written."
                ),
                reply=StatusShown,
            ),
            Route(
                "GET",
                "/health",
                self.look,
                "200 or 503",
                query=AnyQuery,
                anonymous=True,
                description=(
                    "For whoever watches from outside: whether the app can work, and nothing else."
                ),
                also={503: None},
                media="text/plain",
            ),
        ]

    def read(self, _: Call) -> Reply:
        """GET /api/status."""
        now = self.status.read()
        connections = []
        for connection, subscriptions in now.connections:
            words = standing(connection)
            connections.append(
                ConnectionStatus(
                    id=connection.id,
                    tenant_domain=connection.tenant_domain,
                    state=connection.state,
                    reason=words.reason or None,
                    next_step=words.next_step or None,
                    last_sweep_at=utc(now.last_sweeps.get(connection.id)),
                    subscriptions=[
                        SubscriptionShown(resource=each.resource, expires_at=utc(each.expires_at))
                        for each in subscriptions
                    ],
                )
            )
        return json_reply(
            StatusShown(
                version=VERSION,
                bms_is_set=now.bms_is_set,
                connections=connections,
                freshness=_freshness(now.freshness),
                backlog=now.backlog,
                failures=now.failures,
                credentials=[
                    CredentialShown(
                        kind=each.kind,
                        connection_id=each.connection.id if each.connection else None,
                        tenant_domain=each.connection.tenant_domain if each.connection else None,
                        ends_on=each.ends_on.isoformat() if each.ends_on else None,
                        days_left=each.days_left,
                        notice=each.notice,
                        reason=each.words,
                    )
                    for each in now.credentials
                ],
                budget=[
                    BudgetShown(
                        endpoint=each.endpoint,
                        limit=each.limit,
                        window_seconds=int(each.window.total_seconds()),
                        used_fresh=each.used_fresh,
                        used_bulk=each.used_bulk,
                        free_fresh=each.free_fresh,
                        free_bulk=each.free_bulk,
                        bulk_share=each.bulk_share,
                        bulk_free_in_seconds=int(each.bulk_free_in.total_seconds()),
                        paused_until=utc(each.paused_until),
                    )
                    for each in now.budget
                ],
                it_glue=_itglue(now.itglue, now.backlog.get(ITGLUE, 0)),
                employees=EmployeesStatus(
                    mode=now.employees.mode,
                    fell_back=now.employees.fell_back or None,
                    open_items=len(now.employees.items),
                    licences_needed=now.employees.licences.needed,
                    licences_freed=now.employees.licences.freed,
                ),
            )
        )

    def look(self, _: Call) -> Reply:
        """GET /health."""
        if self.health.is_well():
            return Reply(200, b"ok", "text/plain", (("Cache-Control", "no-store"),))
        return Reply(503, b"unavailable", "text/plain", (("Cache-Control", "no-store"),))
