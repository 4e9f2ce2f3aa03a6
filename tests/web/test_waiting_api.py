"""/api/holds, /api/conflicts and /api/failures: a person's word over HTTP (R9, R20, R24)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.core.messages import UserDelta, decode_user_delta, encode_user_delta
from shared.core.model import (
    Claim,
    ConnectionId,
    HoldMark,
    Link,
    LinkState,
    Origin,
    RecordId,
    UserId,
)
from shared.errors import TryLater
from shared.ports import FRESH, LEAVERS, Conflict, Failure, HeldUser, Hold
from tests.fakes import START
from tests.web.world import INES, World, a_connection

CONTOSO = ConnectionId("contoso")
WEEK = timedelta(days=7)


def a_link(number: int, **members: object) -> Link:
    standard: dict[str, object] = {
        "connection_id": CONTOSO,
        "user_id": UserId(f"u{number}"),
        "state": LinkState.ACTIVE,
        "record_id": RecordId(number),
        "hold": HoldMark.WAITING,
    }
    return Link(**(standard | members))  # type: ignore[arg-type]


def a_world_with_a_hold(count: int = 3) -> World:
    """Contoso, and so many who wait in the hold contoso-1."""
    world = World()
    world.add(a_connection())
    hold = Hold("contoso-1", CONTOSO, START, START + WEEK)
    world.holds.add(hold)
    numbers = range(1, count + 1)
    world.links.save([a_link(number) for number in numbers])
    world.holds.put_people(
        hold,
        [
            HeldUser(UserId(f"u{number}"), RecordId(number), "left", f"Person {number}")
            for number in numbers
        ],
    )
    return world


def marks(world: World) -> dict[str, HoldMark]:
    return {link.user_id: link.hold for link in world.links.held.values()}


# --- holds -----------------------------------------------------------------------------------


def test_a_hold_shows_who_waits_and_why_r20() -> None:
    body = a_world_with_a_hold(1).call("GET", "/api/holds").body

    assert body == {
        "items": [
            {
                "id": "contoso-1",
                "connectionId": "contoso",
                "state": "open",
                "raisedAt": "2026-03-02T09:00:00Z",
                "expiresAt": "2026-03-09T09:00:00Z",
                "waiting": 1,
                "moreUsers": 0,
                "users": [
                    {
                        "userId": "u1",
                        "displayName": "Person 1",
                        "recordId": 1,
                        "reason": "left",
                        "state": "waiting",
                    }
                ],
            }
        ],
        "nextCursor": None,
    }


def test_a_hold_of_many_shows_500_of_them_and_how_many_more_there_are_r20() -> None:
    world = a_world_with_a_hold(1200)
    world.holds.put_people(
        world.holds.held["contoso-1"], [HeldUser(UserId("u7"), RecordId(7), "left", state="back")]
    )

    [listed] = world.call("GET", "/api/holds").body["items"]

    assert len(listed["users"]) == 500
    assert listed["moreUsers"] == 700
    assert listed["waiting"] == 1199
    assert world.call("GET", "/api/holds/contoso-1").body == listed


@pytest.mark.parametrize("limit", [1, 3, 4, 1000])
def test_everybody_in_a_hold_is_paged_without_gap_or_repeat_r20(limit: int) -> None:
    world = a_world_with_a_hold(4)
    path, cursor = f"/api/holds/contoso-1/people?limit={limit}", ""
    seen: list[str] = []
    for _ in range(5):
        body = world.call("GET", path + cursor).body
        assert len(body["items"]) <= limit
        seen += [each["userId"] for each in body["items"]]
        if body["nextCursor"] is None:
            break
        cursor = f"&cursor={body['nextCursor']}"

    assert seen == ["u1", "u2", "u3", "u4"]


@pytest.mark.parametrize("path", ["/api/holds/contoso-9", "/api/holds/contoso-9/people"])
def test_a_hold_that_is_not_there_is_said_r20(path: str) -> None:
    answer = a_world_with_a_hold().call("GET", path)

    assert answer.status == 404
    assert "no hold with this id" in answer.detail


def test_holds_are_narrowed_by_connection_and_state_and_paged_r20() -> None:
    world = a_world_with_a_hold()
    world.add(a_connection("fabrikam"))
    for number in (2, 3):
        hold = Hold(f"contoso-{number}", CONTOSO, START, START + WEEK, "decided")
        world.holds.add(hold)

    def found(query: str) -> list[str]:
        return [each["id"] for each in world.call("GET", f"/api/holds?{query}").body["items"]]

    assert found("state=open") == ["contoso-1"]
    assert found("connectionId=contoso&state=decided") == ["contoso-3", "contoso-2"]
    assert found("connectionId=fabrikam") == []
    first = world.call("GET", "/api/holds?limit=2").body
    assert len(first["items"]) == 2
    assert found(f"limit=2&cursor={first['nextCursor']}") == ["contoso-1"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/holds?connectionId=nobody", 404),
        ("/api/holds?state=closed", 400),
        ("/api/holds?cursor=x", 400),
        ("/api/conflicts?connectionId=nobody", 404),
        ("/api/conflicts?state=done", 400),
        ("/api/failures?connectionId=nobody", 404),
    ],
)
def test_a_wrong_question_is_refused_with_a_sentence(path: str, status: int) -> None:
    answer = a_world_with_a_hold().call("GET", path)

    assert answer.status == status
    assert answer.detail


@pytest.mark.parametrize("body", [None, {}, {"users": None}])
def test_without_names_the_word_is_about_everybody_who_waits_r20(body: object) -> None:
    world = a_world_with_a_hold()

    answer = world.call("POST", "/api/holds/contoso-1/approve", body)

    assert answer.status == 200
    assert answer.body == {
        "id": "contoso-1",
        "state": "decided",
        "decided": ["u1", "u2", "u3"],
        "notWaiting": [],
        "busy": [],
    }
    assert set(marks(world).values()) == {HoldMark.APPROVED}
    [(queue, text, _)] = world.queues.sent
    assert (queue, decode_user_delta(text).users) == (LEAVERS, ("u1", "u2", "u3"))


def test_a_refusal_sends_nothing_anywhere_r20() -> None:
    world = a_world_with_a_hold()

    body = world.call("POST", "/api/holds/contoso-1/refuse", {"users": ["u2"]}).body

    assert (body["state"], body["decided"]) == ("open", ["u2"])
    assert marks(world) == {
        "u1": HoldMark.WAITING,
        "u2": HoldMark.REFUSED,
        "u3": HoldMark.WAITING,
    }
    assert world.queues.sent == []


def test_who_is_back_and_who_is_being_written_are_told_apart_r20() -> None:
    world = a_world_with_a_hold()
    back, busy = world.links.held[CONTOSO, UserId("u1")], world.links.held[CONTOSO, UserId("u2")]
    world.links.remove([back])
    claim = Claim("another", START, START + timedelta(seconds=60))
    world.links.remove([busy])
    world.links.save([a_link(2, claim=claim)])

    body = world.call("POST", "/api/holds/contoso-1/approve").body

    assert (body["decided"], body["notWaiting"], body["busy"]) == (["u3"], ["u1"], ["u2"])
    assert body["state"] == "open", "one waits on"
    world.clock.pass_(timedelta(minutes=2))
    assert world.call("POST", "/api/holds/contoso-1/approve").body["decided"] == ["u2"]


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("contoso-9/approve", {}, 404, "no hold"),
        ("nobody-1/refuse", {}, 404, "no hold"),
        ("contoso-1/approve", {"users": ["u1", "u9"]}, 422, "u9"),
        ("contoso-1/approve", {"users": "u1"}, 422, "users"),
        ("contoso-1/approve", {"user": ["u1"]}, 422, "user"),
    ],
)
def test_a_word_that_cannot_be_taken_changes_nothing_r20(
    path: str, body: object, status: int, words: str
) -> None:
    world = a_world_with_a_hold()

    answer = world.call("POST", f"/api/holds/{path}", body)

    assert (answer.status, words in answer.detail) == (status, True)
    assert set(marks(world).values()) == {HoldMark.WAITING}
    assert world.queues.sent == []


def test_the_second_word_on_a_whole_hold_is_a_conflict_r20() -> None:
    world = a_world_with_a_hold()
    world.call("POST", "/api/holds/contoso-1/refuse")

    answer = world.call("POST", "/api/holds/contoso-1/approve")

    assert (answer.status, "decided" in answer.detail) == (409, True)
    named = world.call("POST", "/api/holds/contoso-1/approve", {"users": ["u1"]})
    assert (named.status, named.body["decided"]) == (200, ["u1"])


# --- conflicts -------------------------------------------------------------------------------


def a_world_with_a_conflict() -> World:
    world = World()
    world.add(a_connection())
    records = (RecordId(1), RecordId(2))
    world.conflicts.put(Conflict(CONTOSO, UserId(INES), records, "Two match.", START))
    return world


@pytest.mark.parametrize(
    ("choice", "chosen"),
    [({"recordId": 2}, "2"), ({"create": True}, "create"), ({"ignore": True}, "ignore")],
)
def test_a_choice_is_kept_and_carried_out_at_once_r9(
    choice: dict[str, object], chosen: str
) -> None:
    world = a_world_with_a_conflict()

    answer = world.call("POST", f"/api/conflicts/contoso.{INES}/resolve", choice)

    assert answer.status == 200
    assert (answer.body["state"], answer.body["chosen"]) == ("resolved", chosen)
    [(queue, text, _)] = world.queues.sent
    assert queue == FRESH
    assert decode_user_delta(text).users == (INES,)
    assert world.call("GET", "/api/conflicts?state=open").body["items"] == []
    [listed] = world.call("GET", "/api/conflicts?state=resolved").body["items"]
    assert listed["chosen"] == chosen


@pytest.mark.parametrize(
    ("name", "choice", "status"),
    [
        (f"contoso.{INES}", {}, 422),
        (f"contoso.{INES}", {"recordId": 1, "ignore": True}, 422),
        (f"contoso.{INES}", {"recordId": 3}, 422),
        (f"contoso.{INES}", {"recordId": "1"}, 422),
        (f"contoso.{INES}", {"delete": True}, 422),
        ("contoso.nobody", {"create": True}, 404),
        ("contoso", {"create": True}, 404),
        ("..", {"create": True}, 404),
    ],
)
def test_what_is_no_choice_is_refused_r9(name: str, choice: object, status: int) -> None:
    world = a_world_with_a_conflict()

    assert world.call("POST", f"/api/conflicts/{name}/resolve", choice).status == status

    assert world.conflicts.list()[0].state == "open"
    assert world.queues.sent == []


def test_a_settled_conflict_is_no_longer_open_to_choice_r9() -> None:
    world = a_world_with_a_conflict()
    world.links.save([a_link(2, user_id=UserId(INES), hold=HoldMark.NONE)])

    answer = world.call("POST", f"/api/conflicts/contoso.{INES}/resolve", {"create": True})

    assert (answer.status, "record 2" in answer.detail) == (409, True)


# --- failures --------------------------------------------------------------------------------


def a_failure(name: str, cause: str = "poison", connection: str = "contoso") -> Failure:
    message = encode_user_delta(
        UserDelta(ConnectionId(connection), (UserId(name),), Origin.SWEEP, revived=3)
    )
    of = ConnectionId(connection)
    return Failure(name, of, START, cause, "It failed.", "Mend it.", message, FRESH, UserId(name))


def a_world_of_failures() -> World:
    world = World()
    for connection in ("contoso", "fabrikam"):
        world.add(a_connection(connection))
    world.failures.add(a_failure("a"))
    world.failures.add(a_failure("b", "rejected"))
    world.failures.add(a_failure("c", "rejected", "fabrikam"))
    return world


def test_failures_show_cause_reason_and_next_step_r24() -> None:
    items = a_world_of_failures().call("GET", "/api/failures?connectionId=fabrikam").body["items"]

    assert items == [
        {
            "id": "c",
            "connectionId": "fabrikam",
            "userId": "c",
            "displayName": "",
            "at": "2026-03-02T09:00:00Z",
            "cause": "rejected",
            "reason": "It failed.",
            "nextStep": "Mend it.",
        }
    ]


def test_one_failure_goes_back_to_its_queue_once_r24() -> None:
    world = a_world_of_failures()

    assert world.call("POST", "/api/failures/a/replay").body == {"replayed": 1}
    assert world.call("POST", "/api/failures/a/replay").status == 404

    [(queue, text, _)] = world.queues.sent
    assert (queue, decode_user_delta(text).users) == (FRESH, ("a",))
    assert world.call("GET", "/api/status").body["failures"] == 2


@pytest.mark.parametrize(
    ("wish", "left"),
    [
        ({"cause": "rejected"}, {"a"}),
        ({"cause": "rejected", "connectionId": "contoso"}, {"a", "c"}),
        ({"connectionId": "contoso"}, {"c"}),
        ({"cause": "no such"}, {"a", "b", "c"}),
        ({}, set()),
    ],
)
def test_all_failures_of_a_cause_go_back_r24(wish: dict[str, str], left: set[str]) -> None:
    world = a_world_of_failures()

    answer = world.call("POST", "/api/failures/replay", wish)

    assert answer.body == {"replayed": 3 - len(left)}
    assert {each.id for each in world.failures.list()} == left
    assert len(world.queues.sent) == 3 - len(left)


def test_an_unknown_connection_or_wish_replays_nothing_r24() -> None:
    world = a_world_of_failures()

    assert world.call("POST", "/api/failures/replay", {"connectionId": "nobody"}).status == 404
    assert world.call("POST", "/api/failures/replay", {"causes": "rejected"}).status == 422
    assert world.queues.sent == []


def test_a_queue_that_is_away_is_said_and_loses_nothing_r24(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = a_world_of_failures()

    def away(*_: object) -> None:
        raise TryLater("The queue storage cannot be reached.")

    monkeypatch.setattr(world.queues, "send", away)
    answer = world.call("POST", "/api/failures/a/replay")

    assert (answer.status, "queue" in answer.detail) == (503, True)
    assert len(world.failures.list()) == 3


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/holds"),
        ("POST", "/api/holds/contoso-1/approve"),
        ("POST", "/api/holds/contoso-1/refuse"),
        ("GET", "/api/conflicts"),
        ("POST", f"/api/conflicts/contoso.{INES}/resolve"),
        ("GET", "/api/failures"),
        ("POST", "/api/failures/a/replay"),
        ("POST", "/api/failures/replay"),
    ],
)
def test_nobody_but_the_admin_decides(method: str, path: str) -> None:
    world = a_world_with_a_hold()

    assert world.call(method, path, token=None).status == 401
    assert set(marks(world).values()) == {HoldMark.WAITING}
