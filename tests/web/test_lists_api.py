"""/api/records, /api/activity, /api/conflicts, /api/failures."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from shared.core.model import (
    AccountId,
    Activity,
    ConnectionId,
    FieldChange,
    Link,
    LinkState,
    RecordId,
    RuleId,
    UserId,
)
from shared.ports import Conflict, Failure
from tests.fakes import START
from tests.web.world import INES, World, a_connection


def a_link(connection: str, number: int, **members: object) -> Link:
    standard: dict[str, object] = {
        "state": LinkState.ACTIVE,
        "record_id": RecordId(number),
        "account_id": AccountId(7),
        "rule_id": RuleId("r1"),
        "display_name": f"Person {number}",
        "upn": f"p{number}@{connection}.example",
        "address": f"p{number}@mail.example",
        "updated_at": START,
    }
    return Link(ConnectionId(connection), UserId(f"u{number}"), **(standard | members))  # type: ignore[arg-type]


def a_world_of_links() -> World:
    world = World()
    for name in ("contoso", "fabrikam", "empty"):
        world.add(a_connection(name))
    world.links.save([a_link("contoso", number) for number in (1, 2, 3)])
    world.links.save([a_link("fabrikam", number) for number in (4, 5)])
    return world


def test_a_record_shows_who_it_is_and_by_which_rule() -> None:
    body = a_world_of_links().call("GET", "/api/records?q=p4@").body

    assert body["items"] == [
        {
            "connectionId": "fabrikam",
            "userId": "u4",
            "displayName": "Person 4",
            "userPrincipalName": "p4@fabrikam.example",
            "address": "p4@mail.example",
            "state": "active",
            "reason": None,
            "recordType": "contact",
            "recordId": 4,
            "accountId": 7,
            "ruleId": "r1",
            "updatedAt": "2026-03-02T09:00:00Z",
        }
    ]


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 100])
def test_records_of_all_connections_are_paged_without_gap_or_repeat(limit: int) -> None:
    world = a_world_of_links()
    seen: list[str] = []
    path = f"/api/records?limit={limit}"
    cursor = ""
    for _ in range(10):
        body = world.call("GET", path + cursor).body
        assert len(body["items"]) <= limit
        seen += [each["userId"] for each in body["items"]]
        if body["nextCursor"] is None:
            break
        cursor = f"&cursor={body['nextCursor']}"

    assert seen == ["u1", "u2", "u3", "u4", "u5"]


@pytest.mark.parametrize("query", ["", "&q=person", "&state=active"])
def test_a_page_asks_25_connections_and_says_where_to_go_on(query: str) -> None:
    world = World()
    for number in range(60):
        world.add(a_connection(f"c{number:02}"))
    world.links.save([a_link("c59", 1)])
    asked: list[str] = []
    page = world.links.page

    def counted(connection_id: ConnectionId, **members: Any) -> Any:
        asked.append(connection_id)
        return page(connection_id, **members)

    world.links.page = counted  # type: ignore[method-assign]
    found, calls, cursor = [], [], ""
    for _ in range(5):
        asked.clear()
        body = world.call("GET", f"/api/records?limit=50{query}{cursor}").body
        calls.append(len(asked))
        found += [each["userId"] for each in body["items"]]
        if body["nextCursor"] is None:
            break
        cursor = f"&cursor={body['nextCursor']}"

    assert found == ["u1"]
    assert calls == [25, 25, 10]


def test_records_are_narrowed_by_connection_and_state() -> None:
    world = a_world_of_links()
    left = a_link("contoso", 9, state=LinkState.INACTIVE, reason="Left.")
    world.links.save([left])

    body = world.call("GET", "/api/records?connectionId=contoso&state=inactive").body

    assert [(each["userId"], each["reason"]) for each in body["items"]] == [("u9", "Left.")]


def test_a_page_goes_on_when_its_connection_was_deleted_meanwhile() -> None:
    world = a_world_of_links()
    cursor = world.call("GET", "/api/records?limit=1").body["nextCursor"]
    world.connections.delete(ConnectionId("contoso"))

    body = world.call("GET", f"/api/records?cursor={cursor}").body

    assert [each["userId"] for each in body["items"]] == ["u4", "u5"]


@pytest.mark.parametrize(
    ("query", "status"),
    [("connectionId=nobody", 404), ("state=gone", 400), ("cursor=x", 400), ("name=x", 400)],
)
def test_a_wrong_question_about_records_is_refused(query: str, status: int) -> None:
    assert a_world_of_links().call("GET", f"/api/records?{query}").status == status


def an_activity(minutes: int, **members: object) -> Activity:
    standard: dict[str, object] = {
        "at": START + timedelta(minutes=minutes),
        "connection_id": ConnectionId("contoso"),
        "kind": "update",
        "reason": "The name changed.",
        "origin": "notification",
        "user_id": UserId(INES),
        "id": f"a{minutes}",
    }
    return Activity(**(standard | members))  # type: ignore[arg-type]


def test_activity_shows_fields_old_and_new_and_the_seconds_from_the_signal() -> None:
    world = World()
    world.activity.add(
        [
            an_activity(
                1,
                changes=(FieldChange("lastName", "Okafor", "Ødegård"),),
                notes=("Cut to 100 characters.",),
                signal_at=START + timedelta(seconds=58),
                signal_is_upper_bound=True,
            )
        ]
    )

    [item] = world.call("GET", "/api/activity").body["items"]

    assert item["changes"] == [{"field": "lastName", "old": "Okafor", "new": "Ødegård"}]
    assert item["notes"] == ["Cut to 100 characters."]
    assert (item["seconds"], item["upperBound"]) == (2.0, True)
    assert (item["at"], item["kind"], item["origin"]) == (
        "2026-03-02T09:01:00Z",
        "update",
        "notification",
    )


def test_activity_is_newest_first_and_narrowed_by_every_filter() -> None:
    world = World()
    world.add(a_connection())
    world.activity.add([an_activity(1), an_activity(2, kind="create"), an_activity(3)])

    def ids(query: str) -> list[str]:
        items = world.call("GET", f"/api/activity?{query}").body["items"]
        return [item["id"] for item in items]

    assert ids("") == ["a3", "a2", "a1"]
    assert ids("kind=create") == ["a2"]
    assert ids("since=2026-03-02T09:02:00Z") == ["a3", "a2"]
    assert ids("since=2026-03-02T09:02:00") == ["a3", "a2"]
    assert ids(f"connectionId=contoso&userId={INES.upper()}&limit=1") == ["a3"]
    assert ids("userId=nobody") == []


@pytest.mark.parametrize(
    ("query", "status"), [("since=yesterday", 400), ("connectionId=x", 404), ("kind=%27", 400)]
)
def test_a_wrong_question_about_activity_is_refused(query: str, status: int) -> None:
    assert World().call("GET", f"/api/activity?{query}").status == status


def test_r9_conflicts_are_listed() -> None:
    world = World()
    world.add(a_connection())
    records = (RecordId(1), RecordId(2))
    conflict = Conflict(ConnectionId("contoso"), UserId(INES), records, "Two match.", START)
    world.conflicts.put(conflict)

    [item] = world.call("GET", "/api/conflicts").body["items"]

    assert item["id"] == f"contoso.{INES}"
    assert (item["recordIds"], item["state"]) == ([1, 2], "open")
    assert world.call("GET", "/api/conflicts?connectionId=nobody").status == 404


def test_failures_are_listed_without_the_message_itself() -> None:
    world = World()
    world.add(a_connection())
    world.failures.add(
        Failure(
            "f1",
            ConnectionId("contoso"),
            START,
            "bms",
            "BMS refuses the phone.",
            "Correct it in Entra.",
            '{"secret-looking":"payload"}',
            "user-deltas",
        )
    )

    [item] = world.call("GET", "/api/failures?connectionId=contoso").body["items"]

    assert (item["reason"], item["nextStep"]) == ("BMS refuses the phone.", "Correct it in Entra.")
    assert "payload" not in str(item)
