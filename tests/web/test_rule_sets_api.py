"""/api/connections/{id}/mapping-rules: the whole set in one step (R5)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes import START
from tests.web.world import (
    NOWHERE,
    SUPPORT,
    Answer,
    World,
    a_connection,
    a_ready_world,
    a_rule,
)

WHOLE = "/api/connections/contoso/mapping-rules"


def add(world: World, **members: Any) -> Answer:
    return world.call("POST", "/api/mapping-rules", a_rule(**members))


def test_r5_the_whole_set_is_replaced_in_one_step_and_at_once() -> None:
    world = a_ready_world()
    world.add(a_connection(first_sync_at=START))
    kept, gone = add(world).body, add(world, groupId=SUPPORT).body
    world.queues.sent.clear()

    answer = world.call(
        "PUT", WHOLE, {"items": [kept | {"order": 3}, a_rule(groupId=SUPPORT, accountId=8)]}
    )

    assert answer.status == 200
    ids = [each["id"] for each in answer.body["items"]]
    assert ids[0] == kept["id"]
    assert gone["id"] not in ids
    assert len(ids) == 2
    [(order, wait)] = world.queues.sweep_orders
    assert (order.kind, wait) == ("rules", None)


def test_what_get_answers_can_be_put_back_and_changes_nothing() -> None:
    world = a_ready_world()
    world.add(a_connection(first_sync_at=START))
    add(world)
    before = world.call("GET", WHOLE).body
    world.queues.sent.clear()

    assert world.call("PUT", WHOLE, before).body == before
    assert not world.queues.sent


def test_the_whole_set_is_taken_all_or_nothing_and_every_problem_has_its_place() -> None:
    world = a_ready_world()
    rule = add(world).body

    answer = world.call(
        "PUT",
        WHOLE,
        {
            "items": [
                rule | {"order": 1},
                a_rule(groupId=SUPPORT, accountId=None),
                a_rule(groupId=NOWHERE, accountId=99),
            ]
        },
    )

    assert (answer.status, answer.body["field"]) == (422, "items[1].accountId")
    assert [each["field"] for each in answer.body["errors"]] == [
        "items[1].accountId",
        "items[2].groupId",
        "items[2].accountId",
    ]
    assert [each["id"] for each in world.call("GET", WHOLE).body["items"]] == [rule["id"]]


def test_what_does_not_fit_its_type_is_told_for_every_item() -> None:
    answer = a_ready_world().call("PUT", WHOLE, {"items": [a_rule(order="1"), 7, {}]})

    assert answer.status == 422
    assert [each["field"] for each in answer.body["errors"]] == [
        "items[0].order",
        None,
        "items[2].groupId",
    ]
    assert "items[1] must be an object" in answer.detail


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"id": "of-nobody"}, "items[0].id"),
        ({"connectionId": "fabrikam"}, "items[0].connectionId"),
    ],
)
def test_an_item_of_another_connection_is_422(change: dict[str, str], field: str) -> None:
    answer = a_ready_world().call("PUT", WHOLE, {"items": [a_rule(**change)]})

    assert (answer.status, answer.body["field"]) == (422, field)


def test_a_rule_of_another_connection_cannot_be_pulled_over_by_its_id() -> None:
    world = a_ready_world()
    world.add(a_connection("fabrikam"))
    other = add(world, connectionId="fabrikam").body

    item = {**a_rule(), "id": other["id"]}
    answer = world.call("PUT", WHOLE, {"items": [item]})

    assert (answer.status, answer.body["field"]) == (422, "items[0].id")
    assert world.rules.held[other["id"]].connection_id == "fabrikam"


def test_an_item_twice_is_422() -> None:
    world = a_ready_world()
    rule = add(world).body

    answer = world.call("PUT", WHOLE, {"items": [rule, rule | {"order": 11}]})
    twins = world.call("PUT", WHOLE, {"items": [a_rule(), a_rule(order=11)]})

    assert (answer.status, answer.body["field"]) == (422, "items[1].id")
    assert (twins.status, twins.body["field"]) == (422, "items[1].groupId")


def test_confirm_of_a_preview_that_there_is_not_is_refused_with_a_sentence() -> None:
    answer = a_ready_world().call("PUT", WHOLE, {"items": [], "confirm": {"previewId": "p"}})

    assert (answer.status, answer.body["field"]) == (422, "confirm.previewId")


def test_one_page_of_a_longer_list_is_not_taken_for_the_whole_set() -> None:
    world = a_ready_world()
    add(world)
    add(world, groupId=SUPPORT)
    page = world.call("GET", f"{WHOLE}?limit=1").body

    answer = world.call("PUT", WHOLE, page)

    assert (answer.status, answer.body["field"]) == (422, "nextCursor")
    assert len(world.rules.held) == 2


def test_an_empty_set_removes_every_rule() -> None:
    world = a_ready_world()
    add(world)

    assert world.call("PUT", WHOLE, {"items": []}).body["items"] == []
    assert not world.rules.held
