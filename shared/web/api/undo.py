"""/api/activity/{id}/undo and /api/syncs/{id}/undo: take back what was written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shared.ports import UndoOutcome
from shared.sync.undo_order import OrderUndo, UndoReport
from shared.web.api.activity import FieldChangeShown
from shared.web.api.shapes import Paged, Shown
from shared.web.http import Reply, json_reply
from shared.web.router import Call, Route


class UndoneShown(Shown):
    """What went back. `changes`: old is what the decision wrote, new what was before it."""

    activity_id: str
    user_id: str
    display_name: str
    record_id: int | None
    changes: list[FieldChangeShown]


class NotUndoneShown(Shown):
    """What could not be, and why. A line of which a part went back stands in both lists."""

    activity_id: str
    user_id: str
    display_name: str
    reason: str


class UndoReply(Shown):
    """`syncId` names the run: GET /api/syncs/{syncId} and GET /api/syncs/{syncId}/outcome."""

    state: Literal["running", "done", "failed"]
    sync_id: str | None
    undone: list[UndoneShown]
    not_undone: list[NotUndoneShown]
    next_cursor: str | None


def shown(report: UndoReport) -> UndoReply:
    """The report as the API shows it."""
    state: Literal["running", "done", "failed"] = "running"
    if report.state == "done":
        state = "done"
    elif report.state == "failed":
        state = "failed"
    return UndoReply(
        state=state,
        sync_id=report.run.id if report.run else None,
        undone=[_undone(one) for one in report.outcomes if one.undone],
        not_undone=[
            NotUndoneShown(
                activity_id=one.activity_id,
                user_id=one.user_id,
                display_name=one.display_name,
                reason=one.reason,
            )
            for one in report.outcomes
            if one.reason
        ],
        next_cursor=report.cursor,
    )


def _undone(one: UndoOutcome) -> UndoneShown:
    return UndoneShown(
        activity_id=one.activity_id,
        user_id=one.user_id,
        display_name=one.display_name,
        record_id=one.record_id,
        changes=[
            FieldChangeShown(field=each.field, old=each.old, new=each.new) for each in one.changes
        ],
    )


@dataclass(frozen=True, slots=True)
class UndoApi:
    """The resource."""

    undo: OrderUndo

    def routes(self) -> list[Route]:
        """Its rows in the table."""
        return [
            Route(
                "POST",
                "/api/activity/{activityId}/undo",
                self.one,
                "Undo one decision; 202 when it goes on in the queue",
                reply=UndoReply,
                also={202: UndoReply},
                refusals=(409,),
                headers={202: {"Location": "The run that goes on."}},
            ),
            Route(
                "POST",
                "/api/syncs/{syncId}/undo",
                self.all_of,
                "Undo all that a sync wrote",
                reply=UndoReply,
                status=202,
                refusals=(409,),
                headers={202: {"Location": "The run that does it."}},
            ),
            Route(
                "GET",
                "/api/syncs/{syncId}/outcome",
                self.outcome,
                "What became of an undo",
                query=Paged,
                reply=UndoReply,
            ),
        ]

    def one(self, call: Call) -> Reply:
        """POST /api/activity/{id}/undo."""
        report = self.undo.activity(call.path["activityId"])
        if report.run is None or report.state == "done":
            return json_reply(shown(report))
        return json_reply(shown(report), 202, _where(report))

    def all_of(self, call: Call) -> Reply:
        """POST /api/syncs/{id}/undo."""
        report = self.undo.sync(call.path["syncId"])
        return json_reply(shown(report), 202, _where(report))

    def outcome(self, call: Call) -> Reply:
        """GET /api/syncs/{id}/outcome."""
        query: Paged = call.query
        report = self.undo.report(call.path["syncId"], limit=query.limit, cursor=query.cursor)
        return json_reply(shown(report))


def _where(report: UndoReport) -> tuple[tuple[str, str], ...]:
    return (("Location", f"/api/syncs/{report.run.id}"),) if report.run else ()
