"""/api/activity: what was decided for whom, when and why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from msgspec import Meta

from shared.core.model import Activity, ConnectionId, SyncId, UserId
from shared.ports import ActivityLog, Connections
from shared.sync.connections import existing
from shared.web.api.shapes import Paged, Shown, Text, utc
from shared.web.http import Reply, json_reply
from shared.web.router import Call, Route

Kind = Annotated[str, Meta(pattern="^[a-z]{1,30}$", extra={"expects": "a kind such as update"})]


class ActivityQuery(Paged):
    """GET /api/activity."""

    connection_id: Text | None = None
    user_id: Text | None = None
    kind: Kind | None = None
    since: datetime | None = None
    sync_id: Text | None = None


class FieldChangeShown(Shown):
    """One field, old and new."""

    field: str
    old: str
    new: str


class ActivityShown(Shown):
    """One line. `seconds`: first signal to write; `upperBound`: at most so many.

    `correlationId` is the trace's, which the app's log lines name too. `undoable`: it wrote, and
    nobody took it back; `undoneBy`: the sync of kind "undo" that did.
    """

    id: str
    at: datetime | None
    connection_id: str
    user_id: str | None
    display_name: str
    record_id: int | None
    rule_id: str | None
    kind: str
    reason: str
    origin: str
    changes: list[FieldChangeShown]
    notes: list[str]
    signal_at: datetime | None
    seconds: float | None
    upper_bound: bool
    correlation_id: str
    sync_id: str | None
    undoable: bool
    undone_by: str | None


class ActivityList(Shown):
    """A page of activity, newest first."""

    items: list[ActivityShown]
    next_cursor: str | None


def shown(activity: Activity) -> ActivityShown:
    """The line as the API shows it."""
    seconds = activity.seconds
    return ActivityShown(
        id=activity.id,
        at=utc(activity.at),
        connection_id=activity.connection_id,
        user_id=activity.user_id,
        display_name=activity.display_name,
        record_id=activity.record_id,
        rule_id=activity.rule_id,
        kind=activity.kind,
        reason=activity.reason,
        origin=str(activity.origin),
        changes=[
            FieldChangeShown(field=each.field, old=each.old, new=each.new)
            for each in activity.changes
        ],
        notes=list(activity.notes),
        signal_at=utc(activity.signal_at),
        seconds=None if seconds is None else round(seconds, 3),
        upper_bound=activity.signal_is_upper_bound,
        correlation_id=activity.correlation_id,
        sync_id=activity.sync_id,
        undoable=activity.trace is not None and not activity.undone_by,
        undone_by=activity.undone_by or None,
    )


@dataclass(frozen=True, slots=True)
class ActivityApi:
    """The resource."""

    connections: Connections
    log: ActivityLog

    def routes(self) -> list[Route]:
        """Its rows in the table."""
        return [
            Route(
                "GET",
                "/api/activity",
                self.all,
                "What was decided, newest first",
                description=(
                    "What was decided for whom, when and why, with each field old and new. "
                    "`connectionId` narrows it to one connection, `userId` to one user, `since` to "
                    "what is newer."
                ),
                refusals=(404,),
                query=ActivityQuery,
                reply=ActivityList,
            )
        ]

    def all(self, call: Call) -> Reply:
        """GET /api/activity."""
        query: ActivityQuery = call.query
        connection_id: ConnectionId | None = None
        if query.connection_id:
            connection_id = existing(self.connections, query.connection_id).id
        since = query.since
        if since is not None and since.tzinfo is None:
            since = since.replace(tzinfo=UTC)
        items, cursor = self.log.list(
            connection_id=connection_id,
            user_id=UserId(query.user_id.strip().lower()) if query.user_id else None,
            kind=query.kind or None,
            since=since,
            sync_id=SyncId(query.sync_id) if query.sync_id else None,
            limit=query.limit,
            cursor=query.cursor or None,
        )
        return json_reply(ActivityList(items=[shown(each) for each in items], next_cursor=cursor))
