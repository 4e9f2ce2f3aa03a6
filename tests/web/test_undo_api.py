"""/api/activity/{id}/undo, /api/syncs/{id}/undo, /api/syncs/{id}/outcome and /api/drift."""

from __future__ import annotations

from shared.core.messages import decode_sweep_order
from shared.core.model import (
    Activity,
    ConnectionId,
    FieldChange,
    Link,
    LinkState,
    RecordId,
    SyncId,
    SyncRun,
    Trace,
    UserId,
)
from shared.ports import SWEEPS, UndoOutcome
from tests.fakes import START
from tests.web.world import World, a_connection

CONTOSO, ADA = ConnectionId("contoso"), UserId("ada")
LINK = Link(CONTOSO, ADA, LinkState.ACTIVE, record_id=RecordId(5))


def a_world(**line: object) -> World:
    world = World()
    world.add(a_connection(connected_at=START, first_sync_at=START))
    world.links.save([LINK])
    standard: dict[str, object] = {
        "at": START,
        "connection_id": CONTOSO,
        "kind": "update",
        "reason": "changed in Entra",
        "origin": "full",
        "user_id": ADA,
        "display_name": "Ada Lind",
        "record_id": RecordId(5),
        "changes": (FieldChange("job title", "Clerk", "Chief"),),
        "sync_id": SyncId("s1"),
        "trace": Trace(LINK),
        "id": "1-2-3",
    }
    world.activity.add([Activity(**(standard | line))])  # type: ignore[arg-type]
    world.runs.add(SyncRun(SyncId("s1"), CONTOSO, "full", "done", START))
    return world


def test_one_line_is_undone_now_by_a_run_of_its_own() -> None:
    world = a_world()

    answer = world.call("POST", "/api/activity/1-2-3/undo")

    (delta,) = world.undone_now
    assert (delta.lines, delta.users) == (("1-2-3",), (ADA,))
    assert answer.status in (200, 202)
    assert answer.body["syncId"] == delta.sync


def test_a_line_that_cannot_be_undone_is_answered_with_its_reason() -> None:
    world = a_world(undone_by="u0")

    answer = world.call("POST", "/api/activity/1-2-3/undo")

    assert (answer.status, answer.body["state"], answer.body["undone"]) == (200, "done", [])
    assert answer.body["notUndone"] == [
        {
            "activityId": "1-2-3",
            "userId": "ada",
            "displayName": "Ada Lind",
            "reason": "it was undone already",
        }
    ]
    assert world.undone_now == []


def test_a_whole_sync_is_ordered_once_and_told_by_its_run() -> None:
    world = a_world()

    answer = world.call("POST", "/api/syncs/s1/undo")
    again = world.call("POST", "/api/syncs/s1/undo")

    assert (answer.status, answer.body["state"]) == (202, "running")
    assert again.body["syncId"] == answer.body["syncId"]
    (order,) = [decode_sweep_order(one[1]) for one in world.queues.sent if one[0] == SWEEPS]
    assert (order.kind, order.undoes, order.sync) == ("undo", "s1", answer.body["syncId"])
    assert answer.headers["Location"] == f"/api/syncs/{order.sync}"
    run = world.call("GET", answer.headers["Location"]).body
    assert (run["kind"], run["undoes"]) == ("undo", "s1")


def test_the_outcome_is_read_in_pages() -> None:
    world = a_world()
    run = SyncId(world.call("POST", "/api/syncs/s1/undo").body["syncId"])
    change = FieldChange("job title", "Chief", "Clerk")
    world.undo_outcomes.put(
        run,
        [
            UndoOutcome("a", ADA, "Ada", RecordId(5), True, (change,)),
            UndoOutcome("b", ADA, "Ada", RecordId(5), False, reason="edited"),
        ],
    )

    first = world.call("GET", f"/api/syncs/{run}/outcome?limit=1").body
    second = world.call("GET", f"/api/syncs/{run}/outcome?cursor={first['nextCursor']}").body

    assert [one["changes"] for one in first["undone"]] == [
        [{"field": "job title", "old": "Chief", "new": "Clerk"}]
    ]
    assert [one["reason"] for one in second["notUndone"]] == ["edited"]


def test_what_there_is_not_and_what_is_no_undo_are_refused() -> None:
    world = a_world()
    world.runs.add(SyncRun(SyncId("s2"), CONTOSO, "sweep", "done", START))

    assert world.call("POST", "/api/activity/none/undo").status == 404
    assert world.call("POST", "/api/syncs/none/undo").status == 404
    assert world.call("POST", "/api/syncs/s2/undo").status == 409
    assert world.call("GET", "/api/syncs/s1/outcome").status == 404


def test_activity_tells_the_sync_and_whether_it_can_be_undone() -> None:
    world = a_world()

    (item,) = world.call("GET", "/api/activity?syncId=s1").body["items"]

    assert (item["syncId"], item["undoable"], item["undoneBy"]) == ("s1", True, None)
    assert world.call("GET", "/api/activity?syncId=s9").body["items"] == []


def test_drift_lists_what_bms_no_longer_has() -> None:
    world = a_world()

    assert world.call("GET", "/api/drift?fresh=true").status == 400  # reading compares nothing
    body = world.call("POST", "/api/drift", {"connectionId": "contoso"}).body

    (item,) = body["items"]
    assert (item["userId"], item["recordId"], item["fields"][0]["inBms"]) == ("ada", 5, "gone")
    assert (body["state"], body["nextCursor"]) == ("ready", None)
    assert body["readAt"]
    assert body["notes"]
    assert world.call("GET", "/api/drift?connectionId=nope").status == 404
