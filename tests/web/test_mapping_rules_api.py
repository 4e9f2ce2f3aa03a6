"""/api/mapping-rules."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shared.core.model import Account, AccountId, GroupId, GroupState, Location, LocationId
from shared.errors import TryLater
from shared.sync.re_evaluation import GATHER
from tests.fakes import START
from tests.fakes_bms import an_account
from tests.web.world import (
    NOWHERE,
    SALES,
    SUPPORT,
    Answer,
    World,
    a_connection,
    a_draft,
    a_group,
    a_ready_world,
    a_rule,
    a_trouble,
)

WHOLE = "/api/connections/contoso/mapping-rules"


def add(world: World, **members: Any) -> Answer:
    return world.call("POST", "/api/mapping-rules", a_rule(**members))


def test_a_rule_takes_name_and_date_of_its_group_from_entra() -> None:
    answer = add(a_ready_world(), groupId=SALES.upper())

    assert answer.status == 201
    assert answer.headers["Location"] == f"/api/mapping-rules/{answer.body['id']}"
    assert answer.body["groupId"] == SALES
    assert answer.body["groupName"] == "Sales"
    assert answer.body["groupState"] == "ok"
    assert answer.body["groupCreatedAt"] == "2026-03-02T09:00:00Z"


def test_what_is_left_out_of_a_rule_has_its_default() -> None:
    body = add(a_ready_world()).body

    assert body["includeNested"] is True
    assert body["includeGuests"] is False
    assert body["blockedUsers"] == "leave"
    assert body["enabled"] is True
    assert body["locationId"] is None


def test_the_group_stays_unverified_while_the_connection_is_a_draft() -> None:
    world = a_ready_world()
    world.add(a_draft())

    answer = add(world, groupId=NOWHERE)

    assert (answer.status, answer.body["groupState"]) == (201, "unverified")


@pytest.mark.parametrize(
    ("members", "field", "words"),
    [
        ({"groupId": "sales"}, "groupId", "must be a GUID"),
        ({"groupId": NOWHERE}, "groupId", f"no group with the id {NOWHERE}"),
        ({"order": -1}, "order", "from 0 to 1,000,000"),
        ({"order": 1_000_001}, "order", "from 0 to 1,000,000"),
        ({"order": "1"}, "order", "a whole number"),
        ({"order": 1.5}, "order", "a whole number"),
        ({"recordType": "person"}, "recordType", '"contact" or "employee"'),
        ({"accountId": None}, "accountId", "is missing"),
        ({"accountId": 99}, "accountId", "no account in BMS"),
        ({"accountId": 0}, "accountId", "from 1"),
        ({"locationId": 80}, "locationId", "no active location of the account Contoso"),
        ({"blockedUsers": "drop"}, "blockedUsers", '"leave" or "sync"'),
        ({"includeNested": "yes"}, "includeNested", "true or false"),
        ({"connectionId": "nobody"}, "connectionId", "no connection with this id"),
        ({"connectionId": None}, "connectionId", "is missing"),
        ({"id": "mine"}, "id", "leave it out"),
        ({"employee": {"bossId": 1}}, "employee.bossId", "departmentId"),
        ({"colour": "red"}, "colour", "not known here"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_rule_that_cannot_work_is_422_with_the_field(
    members: dict[str, Any], field: str, words: str
) -> None:
    world = a_ready_world()

    answer = add(world, **members)

    assert (answer.status, answer.body["field"]) == (422, field)
    assert words in answer.detail
    assert not world.rules.held


def test_r1_a_group_with_hidden_membership_is_refused() -> None:
    world = a_ready_world()
    world.directories.directory.held_groups[GroupId(SALES)] = a_group(hidden=True)

    answer = add(world)

    assert (answer.status, answer.body["field"]) == (422, "groupId")
    assert "hidden" in answer.detail


@pytest.mark.parametrize("kind", ["security", "microsoft365", "mail-enabled security"])
def test_r1_security_and_microsoft_365_groups_are_taken(kind: str) -> None:
    world = a_ready_world()
    world.directories.directory.held_groups[GroupId(SALES)] = a_group(kind=kind)

    assert add(world).status == 201


def test_a_distribution_list_is_refused() -> None:
    world = a_ready_world()
    world.directories.directory.held_groups[GroupId(SALES)] = a_group(kind="distribution")

    assert "distribution list" in add(world).detail


def test_an_inactive_account_is_refused() -> None:
    world = a_ready_world()
    world.bms.held[AccountId(7)] = an_account(7, active=False)

    answer = add(world)

    assert (answer.status, answer.body["field"]) == (422, "accountId")
    assert "inactive" in answer.detail


def test_r3_an_account_without_main_location_asks_for_one() -> None:
    world = a_ready_world()
    world.bms.held[AccountId(7)] = an_account(7, main=False)

    answer = add(world)
    chosen = add(world, locationId=71)

    assert (answer.status, answer.body["field"]) == (422, "locationId")
    assert "choose a location" in answer.detail
    assert chosen.status == 201


def test_r3_the_only_active_location_of_an_account_does_as_its_main_one() -> None:
    world = a_ready_world()
    world.bms.held[AccountId(7)] = Account(
        AccountId(7),
        "Contoso",
        True,
        (
            Location(LocationId(70), "Old", is_main=True, is_active=False),
            Location(LocationId(71), "New", is_main=False),
        ),
    )

    assert add(world).status == 201
    assert add(world, groupId=SUPPORT, locationId=70).body["field"] == "locationId"


def test_without_bms_settings_a_rule_is_409() -> None:
    world = a_ready_world()
    world.bms_settings.held = None

    answer = add(world)

    assert answer.status == 409
    assert "BMS settings" in answer.detail


def test_everything_wrong_with_a_rule_is_told_at_once() -> None:
    answer = add(a_ready_world(), groupId=NOWHERE, accountId=99)

    assert [each["field"] for each in answer.body["errors"]] == ["groupId", "accountId"]


def test_trouble_with_entra_is_passed_on_and_saves_nothing() -> None:
    world = a_ready_world()
    world.directories.directory.down = TryLater("Graph does not answer.")

    assert add(world).status == 503
    assert not world.rules.held


def test_r2_rules_are_listed_in_the_order_in_which_they_are_tried() -> None:
    world = a_ready_world()
    later = add(world, order=20).body["id"]
    sooner = add(world, order=5, groupId=SUPPORT).body["id"]

    listed = world.call("GET", WHOLE).body["items"]

    assert [each["id"] for each in listed] == [sooner, later]
    assert world.call("GET", "/api/mapping-rules?connectionId=contoso").body["items"] == listed
    assert world.call("GET", "/api/mapping-rules").body["items"] == listed


# --- Two rules on one group ------------------------------------------------------------------


def test_the_same_rule_twice_is_409() -> None:
    world = a_ready_world()
    add(world)

    answer = add(world, order=20)

    assert (answer.status, answer.body["field"]) == (409, "groupId")


def test_r4_a_second_rule_may_take_the_guests_that_the_first_leaves_out() -> None:
    world = a_ready_world()
    add(world)

    answer = add(world, order=20, accountId=8, includeGuests=True)

    assert (answer.status, answer.body["notes"]) == (201, [])


def test_r2_a_second_rule_that_never_matches_is_taken_and_told() -> None:
    world = a_ready_world()
    first = add(world).body["id"]

    answer = add(world, order=20, accountId=8)

    assert answer.status == 201
    assert f"never matches: rule {first}" in answer.body["notes"][0]


# --- Edits -----------------------------------------------------------------------------------


def test_r5_edits_are_gathered_and_only_the_last_one_counts() -> None:
    world = a_ready_world()
    connection = world.add(a_connection(first_sync_at=START))
    rule = add(world).body
    world.clock.pass_(GATHER / 2)
    world.call("PUT", f"/api/mapping-rules/{rule['id']}", a_rule(order=11))
    world.clock.pass_(GATHER / 2)
    world.call("DELETE", f"/api/mapping-rules/{rule['id']}")

    orders = world.queues.sweep_orders

    assert [(order.kind, wait, order.sync) for order, wait in orders] == [
        ("rules", GATHER, None)
    ] * 3
    assert orders[-1][0].stamp == world.now(connection).rules_edited_at
    assert orders[0][0].stamp != orders[-1][0].stamp


def test_r5_edits_before_the_first_sync_order_nothing() -> None:
    world = a_ready_world()

    add(world)

    assert not world.queues.sent
    assert world.connections.list()[0].rules_edited_at == START


def test_an_edit_that_changes_nothing_orders_nothing() -> None:
    world = a_ready_world()
    world.add(a_connection(first_sync_at=START))
    rule = add(world).body
    world.queues.sent.clear()

    answer = world.call("PUT", f"/api/mapping-rules/{rule['id']}", rule)

    assert (answer.status, answer.body) == (200, rule)
    assert not world.queues.sent


def test_put_unsets_what_it_leaves_out_and_keeps_id_and_age() -> None:
    world = a_ready_world()
    rule = add(world, locationId=71, includeGuests=True).body
    world.clock.pass_(GATHER)

    answer = world.call("PUT", f"/api/mapping-rules/{rule['id']}", a_rule())

    assert answer.body["locationId"] is None
    assert answer.body["includeGuests"] is False
    assert (answer.body["id"], answer.body["createdAt"]) == (rule["id"], rule["createdAt"])


def test_put_moves_no_rule_to_another_connection_or_id() -> None:
    world = a_ready_world()
    world.add(a_connection("fabrikam"))
    path = f"/api/mapping-rules/{add(world).body['id']}"

    assert world.call("PUT", path, a_rule(connectionId="fabrikam")).body["field"] == "connectionId"
    assert world.call("PUT", path, a_rule(id="other")).body["field"] == "id"


def test_a_rule_whose_group_is_gone_can_still_be_edited_and_switched_off() -> None:
    world = a_ready_world()
    rule = add(world).body
    del world.directories.directory.held_groups[GroupId(SALES)]
    path = f"/api/mapping-rules/{rule['id']}"

    assert world.call("PUT", path, a_rule(order=11)).body["groupName"] == "Sales"
    world.bms.held.clear()
    assert world.call("PUT", path, a_rule(enabled=False)).body["enabled"] is False


def test_a_group_that_became_hidden_is_not_marked_readable_by_an_edit() -> None:
    world = a_ready_world()
    rule = add(world).body
    held = world.rules.held
    held[rule["id"]] = replace(held[rule["id"]], group_state=GroupState.HIDDEN)
    world.directories.directory.held_groups[GroupId(SALES)] = a_group(hidden=True)

    answer = world.call("PUT", f"/api/mapping-rules/{rule['id']}", a_rule(order=11))

    assert answer.body["groupState"] == "hidden"


def test_a_rule_of_a_blocked_connection_is_edited_without_asking_entra() -> None:
    world = a_ready_world()
    rule = add(world).body
    world.add(a_connection(troubles=(a_trouble(),)))
    world.directories.directory.down = TryLater("Graph does not answer.")

    answer = world.call("PUT", f"/api/mapping-rules/{rule['id']}", a_rule(order=11))

    assert (answer.status, answer.body["groupState"]) == (200, "ok")


def test_an_unknown_rule_is_404() -> None:
    world = a_ready_world()

    assert world.call("GET", "/api/mapping-rules/nothing").status == 404
    assert world.call("PUT", "/api/mapping-rules/nothing", a_rule()).status == 404
    assert world.call("DELETE", "/api/mapping-rules/nothing").status == 404
