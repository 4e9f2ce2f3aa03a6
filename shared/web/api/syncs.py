"""/api/connections/{id}/sync and /api/syncs: ask for a sync, see how far it is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from shared.core.model import SyncRun
from shared.sync.order_sync import OrderSync
from shared.web.api.shapes import Paged, Shown, Strict, Text, one_of, utc
from shared.web.http import Reply, json_reply
from shared.web.router import Call, Route

RunKind = Literal["full", "rules", "sweep", "undo"]
RunState = Literal["queued", "running", "waiting", "done", "failed"]


class SyncBody(Strict):
    """POST /api/connections/{id}/sync."""

    kind: Literal["full", "sweep"]


class SyncsQuery(Paged):
    """GET /api/syncs."""

    connection_id: Text | None = None


class SyncQueued(Shown):
    """Where to look for its progress."""

    sync_id: str
    state: Annotated[str, one_of(RunState)]


class SyncShown(Shown):
    """A sync and its progress. `undoes`: of an undo, the sync or the line of the activity."""

    id: str
    connection_id: str
    kind: Annotated[str, one_of(RunKind)]
    state: Annotated[str, one_of(RunState)]
    reason: str | None
    seen: int
    done: int
    waiting_for_budget: int
    failed: int
    expected_finish: datetime | None
    requested_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    undoes: str | None


class SyncList(Shown):
    """A page of syncs."""

    items: list[SyncShown]
    next_cursor: str | None


def shown(run: SyncRun) -> SyncShown:
    """The run as the API shows it."""
    return SyncShown(
        id=run.id,
        connection_id=run.connection_id,
        kind=run.kind,
        state=run.state,
        reason=run.reason or None,
        seen=run.seen,
        done=run.done,
        waiting_for_budget=run.waiting_for_budget,
        failed=run.failed,
        expected_finish=utc(run.expected_finish),
        requested_at=utc(run.requested_at),
        started_at=utc(run.started_at),
        finished_at=utc(run.finished_at),
        undoes=run.undoes or None,
    )


@dataclass(frozen=True, slots=True)
class SyncsApi:
    """The resource."""

    syncs: OrderSync

    def routes(self) -> list[Route]:
        """Its rows in the table."""
        return [
            Route(
                "POST",
                "/api/connections/{connectionId}/sync",
                self.order,
                "Ask for a full sync or a sweep",
                description=(
                    "The first full sync allows this connection to write to BMS. One that goes on "
                    "already is answered with that one."
                ),
                refusals=(409,),
                headers={202: {"Location": "Where to look for its progress."}},
                body=SyncBody,
                reply=SyncQueued,
                status=202,
            ),
            Route(
                "GET",
                "/api/syncs",
                self.all,
                "Syncs",
                description="Newest first, of one connection with `connectionId`.",
                refusals=(404,),
                query=SyncsQuery,
                reply=SyncList,
            ),
            Route(
                "GET",
                "/api/syncs/{syncId}",
                self.get,
                "Progress of a sync",
                description="How many were seen, done, failed, and when it will be finished.",
                reply=SyncShown,
            ),
        ]

    def order(self, call: Call) -> Reply:
        """POST /api/connections/{id}/sync."""
        body: SyncBody = call.body
        run = self.syncs.order(call.path["connectionId"], body.kind)
        return json_reply(
            SyncQueued(sync_id=run.id, state=run.state),
            202,
            (("Location", f"/api/syncs/{run.id}"),),
        )

    def all(self, call: Call) -> Reply:
        """GET /api/syncs."""
        query: SyncsQuery = call.query
        runs, cursor = self.syncs.page(query.connection_id, query.limit, query.cursor)
        return json_reply(SyncList(items=[shown(run) for run in runs], next_cursor=cursor))

    def get(self, call: Call) -> Reply:
        """GET /api/syncs/{id}."""
        return json_reply(shown(self.syncs.get(call.path["syncId"])))
