"""/api/connections: add, look, change, delete, pause, resume."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from shared.core.model import Connection, ConnectionState, HoldLimit, Mode
from shared.core.standing import standing
from shared.errors import TryLater
from shared.ports import SweepState
from shared.sync.connections import ConnectionChange, ManageConnections, NewConnection
from shared.web.api.shapes import Guid, Search, Secret, Shown, Strict, Text, one_of, utc
from shared.web.cursor import page_of
from shared.web.http import Reply, empty_reply, json_reply
from shared.web.router import Call, Route

ModeName = Literal["delegated", "application"]
EmailSource = Literal["mail", "upn"]
MatchScope = Literal["all", "account"]
OnLeave = Literal["deactivate", "keep"]
Count = Annotated[int, Meta(ge=0, le=1_000_000)]
Percent = Annotated[float, Meta(ge=0, le=100)]
_STANDARD = HoldLimit()


class HoldLimitBody(Strict):
    """A limit (R20). What is left out has its default, in a change its old value."""

    count: Count | UnsetType = UNSET
    percent: Percent | UnsetType = UNSET
    at_most: Count | UnsetType = UNSET

    def over(self, before: HoldLimit) -> HoldLimit:
        """The limit with what is given here."""
        return HoldLimit(
            count=before.count if self.count is UNSET else self.count,
            percent=before.percent if self.percent is UNSET else self.percent,
            at_most=before.at_most if self.at_most is UNSET else self.at_most,
        )


class ConnectionBody(Strict):
    """POST /api/connections."""

    tenant_domain: Text
    application_id: Guid
    application_key: Secret
    mode: ModeName = "delegated"
    email_source: EmailSource = "mail"
    match_scope: MatchScope = "all"
    on_leave: OnLeave = "deactivate"
    hold_limit: HoldLimitBody | None = None
    secret_expires_on: date | None = None


class ConnectionPatch(Strict):
    """PATCH /api/connections/{id}: what is left out stays."""

    tenant_domain: Text | UnsetType = UNSET
    application_id: Guid | UnsetType = UNSET
    application_key: Secret | UnsetType = UNSET
    mode: ModeName | UnsetType = UNSET
    email_source: EmailSource | UnsetType = UNSET
    match_scope: MatchScope | UnsetType = UNSET
    on_leave: OnLeave | UnsetType = UNSET
    hold_limit: HoldLimitBody | UnsetType | None = UNSET
    secret_expires_on: date | UnsetType | None = UNSET


class ConnectionsQuery(Search):
    """GET /api/connections. `q`: part of the domain name, or an id; `order`: what is told first.

    `synced`: those whose first sync was asked for, or those whose was not.
    """

    synced: bool | None = None
    state: Literal["draft", "connected", "attention", "paused"] | None = None
    order: Literal["oldest", "newest", "domain"] = "oldest"

    def chosen(self, connections: list[Connection]) -> list[Connection]:
        """Those that are asked for, in the order that is asked for; given oldest first."""
        wanted = self.q.strip().casefold()
        found = [
            each
            for each in connections
            if (self.state is None or each.state == self.state)
            and (self.synced is None or self.synced is (each.first_sync_at is not None))
            and (not wanted or wanted in each.tenant_domain or wanted in _ids(each))
        ]
        if self.order == "domain":
            found.sort(key=lambda each: each.tenant_domain)
        return found[::-1] if self.order == "newest" else found


def _ids(connection: Connection) -> set[str]:
    return {connection.id, connection.application_id, connection.tenant_id or connection.id}


class HoldLimitShown(Shown):
    """How many deactivations within 24 hours are done without asking (R20)."""

    count: int
    percent: float
    at_most: int


class TroubleShown(Shown):
    """One thing that needs a look."""

    code: str
    reason: str
    next_step: str
    since: datetime | None
    blocks: bool


class ConnectionShown(Shown):
    """A connection. The application key never comes back out."""

    id: str
    tenant_domain: str
    tenant_id: str | None
    application_id: str
    mode: Mode
    email_source: Annotated[str, one_of(EmailSource)]
    match_scope: Annotated[str, one_of(MatchScope)]
    on_leave: Annotated[str, one_of(OnLeave)]
    hold_limit: HoldLimitShown
    secret_expires_on: str | None
    state: ConnectionState
    reason: str | None
    next_step: str | None
    troubles: list[TroubleShown]
    redirect_uri: str
    created_at: datetime | None
    connected_at: datetime | None
    first_sync_at: datetime | None
    rules_edited_at: datetime | None
    rules_compared_at: datetime | None  # the edit by which everybody was last compared (R5)
    last_sweep_at: datetime | None = None
    has_application_key: bool | None = None  # looked up for one connection, not in lists
    notes: list[str] = []


class ConnectionList(Shown):
    """A page of connections."""

    items: list[ConnectionShown]
    next_cursor: str | None


def shown(connection: Connection, redirect_uri: str) -> ConnectionShown:
    """The connection as the API shows it."""
    now = standing(connection)
    limit = connection.hold_limit
    return ConnectionShown(
        id=connection.id,
        tenant_domain=connection.tenant_domain,
        tenant_id=connection.tenant_id,
        application_id=connection.application_id,
        mode=connection.mode,
        email_source=connection.email_source,
        match_scope=connection.match_scope,
        on_leave=connection.on_leave,
        hold_limit=HoldLimitShown(count=limit.count, percent=limit.percent, at_most=limit.at_most),
        secret_expires_on=connection.secret_expires_on,
        state=connection.state,
        reason=now.reason or None,
        next_step=now.next_step or None,
        troubles=[
            TroubleShown(
                code=each.code,
                reason=each.reason,
                next_step=each.next_step,
                since=utc(each.since),
                blocks=each.blocks,
            )
            for each in connection.troubles
        ],
        redirect_uri=redirect_uri,
        created_at=utc(connection.created_at),
        connected_at=utc(connection.connected_at),
        first_sync_at=utc(connection.first_sync_at),
        rules_edited_at=utc(connection.rules_edited_at),
        rules_compared_at=utc(connection.compared_edit),
    )


@dataclass(frozen=True, slots=True)
class ConnectionsApi:
    """The resource."""

    manage: ManageConnections
    redirect_uri: str
    sweeps: SweepState

    def routes(self) -> list[Route]:
        """Its rows in the table."""
        one = "/api/connections/{connectionId}"
        return [
            Route(
                "GET",
                "/api/connections",
                self.all,
                "All connections",
                description="Every connection with its state, the reason and the next step.",
                query=ConnectionsQuery,
                reply=ConnectionList,
            ),
            Route(
                "POST",
                "/api/connections",
                self.add,
                "Add a connection",
                description=(
                    "A new connection is a draft until somebody connects it. The application key "
                    "goes to the vault."
                ),
                refusals=(409,),
                headers={201: {"Location": "The address of the new connection."}},
                body=ConnectionBody,
                reply=ConnectionShown,
                status=201,
            ),
            Route(
                "GET",
                one,
                self.get,
                "One connection",
                description=(
                    "The connection with its troubles, and whether its application key is stored."
                ),
                reply=ConnectionShown,
            ),
            Route(
                "PATCH",
                one,
                self.change,
                "Change a connection",
                description=(
                    "What is left out stays. Another tenant, application or mode makes it a draft "
                    "again; `notes` say what follows."
                ),
                refusals=(409,),
                body=ConnectionPatch,
                reply=ConnectionShown,
            ),
            Route(
                "DELETE",
                one,
                self.delete,
                "Delete a connection, never its records",
                description=(
                    "Removes its subscriptions, secrets, rules and links. The records in BMS stay "
                    "as they are."
                ),
                refusals=(409,),
                status=204,
            ),
            Route(
                "POST",
                f"{one}/pause",
                self.pause,
                "Pause it",
                description=(
                    "Nothing is read or written for it until it is resumed; its subscriptions are "
                    "removed."
                ),
                refusals=(409,),
                reply=ConnectionShown,
            ),
            Route(
                "POST",
                f"{one}/resume",
                self.resume,
                "Resume it",
                description="Reads again, beginning with what has changed meanwhile.",
                refusals=(409,),
                reply=ConnectionShown,
            ),
        ]

    def all(self, call: Call) -> Reply:
        """GET /api/connections."""
        query: ConnectionsQuery = call.query
        items, cursor = page_of(query.chosen(self.manage.all()), query.limit, query.cursor)
        swept = self.sweeps.last_sweeps() if items else {}
        found = [shown(each, self.redirect_uri) for each in items]
        for each, connection in zip(found, items, strict=True):
            each.last_sweep_at = utc(swept.get(connection.id))
        return json_reply(ConnectionList(items=found, next_cursor=cursor))

    def add(self, call: Call) -> Reply:
        """POST /api/connections."""
        body: ConnectionBody = call.body
        connection = self.manage.add(
            NewConnection(
                tenant_domain=body.tenant_domain,
                application_id=body.application_id,
                application_key=body.application_key,
                mode=Mode(body.mode),
                email_source=body.email_source,
                match_scope=body.match_scope,
                on_leave=body.on_leave,
                hold_limit=body.hold_limit.over(_STANDARD) if body.hold_limit else _STANDARD,
                secret_expires_on=_iso(body.secret_expires_on),
            )
        )
        return self._one(
            connection, status=201, headers=(("Location", f"/api/connections/{connection.id}"),)
        )

    def get(self, call: Call) -> Reply:
        """GET /api/connections/{id}."""
        return self._one(self.manage.get(call.path["connectionId"]))

    def change(self, call: Call) -> Reply:
        """PATCH /api/connections/{id}."""
        body: ConnectionPatch = call.body
        before = self.manage.get(call.path["connectionId"])
        limit: HoldLimit | None = None
        if body.hold_limit is None:
            limit = _STANDARD
        elif body.hold_limit is not UNSET:
            limit = body.hold_limit.over(before.hold_limit)
        changed = self.manage.change(
            before.id,
            ConnectionChange(
                tenant_domain=_given(body.tenant_domain),
                application_id=_given(body.application_id),
                application_key=_given(body.application_key),
                mode=None if body.mode is UNSET else Mode(body.mode),
                email_source=_given(body.email_source),
                match_scope=_given(body.match_scope),
                on_leave=_given(body.on_leave),
                hold_limit=limit,
                secret_expires_on=(
                    None if body.secret_expires_on is UNSET else _iso(body.secret_expires_on) or ""
                ),
            ),
        )
        return self._one(changed.connection, notes=changed.notes)

    def delete(self, call: Call) -> Reply:
        """DELETE /api/connections/{id}."""
        self.manage.delete(call.path["connectionId"])
        return empty_reply()

    def pause(self, call: Call) -> Reply:
        """POST /api/connections/{id}/pause."""
        changed = self.manage.pause(call.path["connectionId"])
        return self._one(changed.connection, notes=changed.notes)

    def resume(self, call: Call) -> Reply:
        """POST /api/connections/{id}/resume."""
        changed = self.manage.resume(call.path["connectionId"])
        return self._one(changed.connection, notes=changed.notes)

    def _one(
        self,
        connection: Connection,
        *,
        status: int = 200,
        headers: tuple[tuple[str, str], ...] = (),
        notes: tuple[str, ...] = (),
    ) -> Reply:
        body = shown(connection, self.redirect_uri)
        body.notes = list(notes)
        cursors = self.sweeps.cursors(connection.id)
        body.last_sweep_at = utc(cursors.swept_at) if cursors else None
        try:
            body.has_application_key = self.manage.has_application_key(connection)
        except TryLater as error:  # the rest is worth seeing all the same
            body.notes.append(f"{error.sentence} Whether it holds the application key is unknown.")
        return json_reply(body, status, headers)


def _given(value: str | UnsetType) -> str | None:
    return None if value is UNSET else value


def _iso(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
