"""Mapping rules in the console: a draft that is nowhere but on the page, saved in one step (R5)."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from shared.core.model import GroupId, GroupState, SyncId, SyncRun
from shared.errors import TryLater
from shared.web.api.users import GroupShown
from shared.web.http import Reply, json_reply
from shared.web.router import AnyQuery, Call, Route
from tests.fakes import START
from tests.fakes_bms import an_account
from tests.web.console.reader import Reader, Shown
from tests.web.world import (
    NOWHERE,
    SALES,
    SUPPORT,
    World,
    a_connection,
    a_draft,
    a_group,
    a_ready_world,
    a_rule,
)

RULES = "/console/connections/contoso/rules"
EVIL = "<script>alert(1)</script>\"'>"


def add(world: World, **members: Any) -> dict[str, Any]:
    body: dict[str, Any] = world.call("POST", "/api/mapping-rules", a_rule(**members)).body
    return body


def saved(world: World) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = world.call("GET", "/api/connections/contoso/mapping-rules").body[
        "items"
    ]
    return items


def two_rules() -> tuple[World, Reader]:
    world = a_ready_world()
    add(world, order=10)
    add(world, groupId=SUPPORT, order=20, accountId=8)
    return world, Reader(world)


def press(visitor: Reader, page: Shown, do: str, **inputs: str | list[str]) -> Shown:
    """A button of the page, with the draft that the page carries."""
    return visitor.post(RULES, {"draft": page.value("draft"), "do": do, **inputs})


def a_form(**members: str) -> dict[str, str]:
    """The inputs of a rule that can be taken."""
    form = {
        "at": "",
        "groupId": SUPPORT,
        "order": "30",
        "recordType": "contact",
        "accountId": "8",
        "locationId": "",
        "includeNested": "yes",
        "enabled": "yes",
    }
    return {**form, **members}


def without(form: dict[str, str], *names: str) -> dict[str, str]:
    return {name: value for name, value in form.items() if name not in names}


def draft_of(page: Shown) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = json.loads(page.value("draft"))["items"]
    return items


# --- finding the page -----------------------------------------------------------------------------


def test_with_one_connection_the_rules_are_opened_straight_away() -> None:
    assert Reader(a_ready_world()).get("/console/rules").location == RULES


def test_with_several_connections_one_is_chosen() -> None:
    world = a_ready_world()
    world.add(a_connection("fabrikam"))

    page = Reader(world).get("/console/rules")

    assert "contoso.example" in page.text
    assert page.one("a", href="/console/connections/fabrikam/rules")


def test_without_a_connection_the_next_step_is_shown() -> None:
    assert "Add a connection first" in Reader(World()).get("/console/rules").text


def test_r2_the_rules_stand_in_the_order_in_which_they_are_tried() -> None:
    world = a_ready_world()
    add(world, order=20)
    add(world, groupId=SUPPORT, order=5, accountId=8)

    page = Reader(world).get(RULES)

    assert page.text.index("Support") < page.text.index("Sales")
    assert "lowest Order wins" in page.text


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (GroupState.GONE, "gone from Entra"),
        (GroupState.HIDDEN, "members hidden"),
        (GroupState.UNREADABLE, "cannot be read"),
    ],
)
def test_r20_a_group_that_cannot_be_read_is_marked_with_what_it_means(
    state: GroupState, words: str
) -> None:
    world, visitor = two_rules()
    rule = world.rules.edited()[0]
    world.rules.put(replace(rule, group_state=state))

    assert words in visitor.get(RULES).text


def test_names_from_entra_and_bms_are_shown_as_text() -> None:
    world = a_ready_world()
    world.directories.directory.held_groups[GroupId(SALES)] = a_group(SALES, EVIL)
    account = an_account(7)
    world.bms.held[account.id] = replace(account, name=EVIL)
    add(world)
    visitor = Reader(world)

    page = visitor.get(RULES)
    form = press(visitor, page, "edit:0")

    for shown in (page, form):
        assert shown.status == 200
        assert "<script>alert" not in shown.html
        assert "alert(1)" in shown.text


def test_without_bms_the_rules_are_shown_by_their_ids_and_that_is_said() -> None:
    world, visitor = two_rules()
    world.bms.down = TryLater("BMS does not answer.")

    page = visitor.get(RULES)

    assert page.status == 200
    assert "account 7" in page.text
    assert "BMS does not answer." in page.text


# --- the draft ------------------------------------------------------------------------------------


def test_every_edit_is_a_draft_and_nothing_of_it_is_saved() -> None:
    world, visitor = two_rules()
    before = saved(world)
    page = visitor.get(RULES)

    for do in ("down:0", "disable:0", "remove:1"):
        page = press(visitor, page, do)

    assert page.status == 200
    assert "2 changes not saved." in page.text
    assert saved(world) == before


def test_a_draft_is_saved_as_a_whole() -> None:
    world, visitor = two_rules()
    page = press(visitor, visitor.get(RULES), "remove:0")
    page = press(visitor, page, "disable:0")

    after = visitor.follow(press(visitor, page, "save"))

    assert [(each["groupId"], each["enabled"]) for each in saved(world)] == [(SUPPORT, False)]
    assert "The rules are saved (1 changed, 1 removed)." in after.text


def test_moving_a_rule_up_swaps_its_order_with_the_rule_above() -> None:
    _, visitor = two_rules()

    page = press(visitor, visitor.get(RULES), "up:1")

    assert [(each["groupId"], each["order"]) for each in draft_of(page)] == [
        (SUPPORT, 10),
        (SALES, 20),
    ]


def test_moving_among_equal_orders_numbers_the_rules_anew() -> None:
    world = a_ready_world()
    add(world, order=10)
    add(world, groupId=SUPPORT, order=10, accountId=8)
    visitor = Reader(world)
    page = visitor.get(RULES)
    first = draft_of(page)[0]["groupId"]

    page = press(visitor, page, "down:0")

    assert draft_of(page)[1]["groupId"] == first
    assert [each["order"] for each in draft_of(page)] == [10, 20]


def test_a_removed_rule_stays_in_sight_and_comes_back() -> None:
    world, visitor = two_rules()
    page = press(visitor, visitor.get(RULES), "remove:0")
    assert "Sales" in page.text

    page = press(visitor, page, f"restore:{saved(world)[0]['id']}")

    assert "not saved" not in page.text
    assert len(draft_of(page)) == 2


def test_a_discarded_draft_leaves_the_rules_as_they_are_saved() -> None:
    world, visitor = two_rules()
    page = press(visitor, visitor.get(RULES), "remove:0")

    after = visitor.follow(press(visitor, page, "discard"))

    assert "was discarded" in after.text
    assert len(saved(world)) == 2


def test_what_somebody_else_saved_meanwhile_is_not_overwritten_unseen() -> None:
    world, visitor = two_rules()
    page = press(visitor, visitor.get(RULES), "disable:0")
    add(world, groupId=SUPPORT, order=40, accountId=7)

    refused = press(visitor, page, "save")

    assert refused.status == 409
    assert "Somebody saved other rules" in refused.text
    assert len(saved(world)) == 3
    assert press(visitor, refused, "save").status == 303  # seen now, and wanted all the same


@pytest.mark.parametrize(
    "draft",
    [
        "",
        "{",
        "[]",
        "[" * 100_000,
        '{"items": [{"order": "x"}]}',
        '{"items": 1}',
        f'{{"items": [{{"groupId": "{SALES}", "order": 1, "recordType": "contact", '
        '"createdAt": "2026-01-01T00:00:00"}]}',  # no zone: it cannot be put in order
    ],
)
def test_a_draft_that_is_none_is_refused_with_a_sentence(draft: str) -> None:
    _, visitor = two_rules()

    page = visitor.post(RULES, {"draft": draft, "do": "save"})

    assert page.status == 400
    assert "Nothing was saved" in page.text


@pytest.mark.parametrize(
    "do", ["up:0", "down:1", "up:99", "remove:-1", f"up:{'9' * 5000}", "restore:x", "what", ""]
)
def test_a_button_that_cannot_be_carried_out_changes_nothing(do: str) -> None:
    _, visitor = two_rules()
    page = visitor.get(RULES)

    assert draft_of(press(visitor, page, do)) == draft_of(page)


def test_a_foreign_form_is_refused() -> None:
    world, visitor = two_rules()
    page = press(visitor, visitor.get(RULES), "remove:0")

    refused = visitor.post(RULES, {"draft": page.value("draft"), "do": "save"}, token="foreign")

    assert refused.status == 403
    assert len(saved(world)) == 2


def test_what_the_api_refuses_stands_at_its_rule_and_the_draft_stays() -> None:
    world, visitor = two_rules()
    page = press(visitor, visitor.get(RULES), "apply", **a_form(groupId=SALES, accountId="7"))
    page = press(visitor, page, "apply", **a_form(at="2", groupId=SUPPORT, accountId="8"))

    refused = press(visitor, page, "save")

    assert refused.status in (409, 422)
    assert "There is a rule already that does the same" in refused.one("p", class_="fault").text
    assert len(draft_of(refused)) == 3
    assert len(saved(world)) == 2
    assert "does the same" in press(visitor, refused, "edit:2").text


# --- the form of one rule -------------------------------------------------------------------------


def test_r1_a_new_rule_goes_into_the_draft_and_then_into_the_set() -> None:
    world = a_ready_world()
    visitor = Reader(world)
    form = press(visitor, visitor.get(RULES), "add")
    assert form.value("order") == "10"
    assert [one.attributes["value"] for one in form.all("input", name="groupId")] == [
        SALES,
        SUPPORT,
    ]

    page = press(visitor, form, "apply", **a_form())
    assert "1 change not saved." in page.text
    assert saved(world) == []
    press(visitor, page, "save")

    [rule] = saved(world)
    assert (rule["groupName"], rule["accountId"], rule["order"]) == ("Support", 8, 30)


def test_a_refused_rule_keeps_what_was_typed_and_marks_the_input() -> None:
    visitor = Reader(a_ready_world())
    form = press(visitor, visitor.get(RULES), "add")

    refused = press(visitor, form, "apply", **a_form(order="many", accountId="8"))

    assert refused.status == 422
    order = refused.one("input", name="order")
    assert order.attributes["aria-invalid"] == "true"
    assert order.attributes["value"] == "many"
    assert "whole number" in refused.one("p", id="order-fault").text
    chosen = [one for one in refused.all("input", name="groupId") if "checked" in one.attributes]
    assert chosen[0].attributes["value"] == SUPPORT


@pytest.mark.parametrize(
    ("members", "at", "words"),
    [
        ({"groupId": ""}, "groupId", "Choose the group"),
        ({"groupId": NOWHERE}, "groupId", "There is no group with this id"),
        ({"accountId": ""}, "accountId", "Choose the BMS account"),
        ({"accountId": "8", "locationId": "99999"}, "locationId", "none of the chosen account"),
    ],
)
def test_what_is_missing_or_unknown_is_said_at_its_input(
    members: dict[str, str], at: str, words: str
) -> None:
    visitor = Reader(a_ready_world())
    form = press(visitor, visitor.get(RULES), "add")

    refused = press(visitor, form, "apply", **a_form(**members))

    assert refused.status == 422
    assert words in refused.one("p", id=f"{at}-fault").text


def test_r1_a_group_that_cannot_be_used_is_shown_with_its_reason_and_cannot_be_chosen() -> None:
    world = a_ready_world()
    world.directories.directory.held_groups[GroupId(SALES)] = a_group(hidden=True)
    visitor = Reader(world)

    part = visitor.get("/console/connections/contoso/groups/part?groupId_q=sal", part=True)
    refused = press(visitor, visitor.get(RULES), "apply", **a_form(groupId=SALES))

    assert "disabled" in part.one("input", name="groupId").attributes
    assert "are hidden" in part.html
    assert "are hidden" in refused.one("p", id="groupId-fault").text


def test_a_search_without_a_script_keeps_everything_that_was_typed() -> None:
    visitor = Reader(a_ready_world())
    form = press(visitor, visitor.get(RULES), "add")

    typed = a_form(groupId="", groupId_q="supp", order="77", includeGuests="yes")
    found = press(visitor, form, "search", **typed)

    assert found.status == 200
    assert [one.attributes["value"] for one in found.all("input", name="groupId")] == [SUPPORT]
    assert found.value("order") == "77"
    assert "checked" in found.one("input", name="includeGuests").attributes


def test_an_object_id_in_the_search_is_the_choice_while_entra_cannot_be_asked() -> None:
    world = a_ready_world()
    world.add(a_draft())
    visitor = Reader(world)

    page = press(visitor, visitor.get(RULES), "apply", **a_form(groupId="", groupId_q=SUPPORT))

    assert page.status == 200
    [rule] = draft_of(page)
    assert (rule["groupId"], rule["groupState"]) == (SUPPORT, "unverified")


def test_an_edited_rule_keeps_its_id() -> None:
    world, visitor = two_rules()
    page = visitor.get(RULES)
    form = press(visitor, page, "edit:0")

    page = press(visitor, form, "apply", **a_form(at="0", groupId=SALES, accountId="8"))
    assert "1 change not saved." in page.text
    before = [each["id"] for each in saved(world)]
    press(visitor, page, "save")

    assert sorted(each["id"] for each in saved(world)) == sorted(before)


def test_r3_an_employee_rule_overrides_a_default_and_names_no_account() -> None:
    world = a_ready_world()
    world.bms.lookups["departments"] = [(3, "Service desk")]
    visitor = Reader(world)
    form = press(visitor, visitor.get(RULES), "add")

    typed = a_form(recordType="employee", **{"employee.departmentId": "3"})
    page = press(visitor, form, "apply", **typed)

    assert "Service desk" in page.text
    press(visitor, page, "save")
    [rule] = saved(world)
    assert (rule["employee"], rule["accountId"]) == ({"departmentId": 3}, None)


def test_unticked_boxes_are_switched_off() -> None:
    visitor = Reader(a_ready_world())
    form = press(visitor, visitor.get(RULES), "add")

    typed = without(a_form(blockedUsers="yes"), "includeNested", "enabled")
    page = press(visitor, form, "apply", **typed)

    [rule] = draft_of(page)
    assert (rule["includeNested"], rule["enabled"], rule["blockedUsers"]) == (False, False, "sync")


def test_the_locations_of_an_account_name_its_main_one() -> None:
    visitor = Reader(a_ready_world())
    address = "/console/bms/locations/choice/part?accountId=7&locationId=&accountId_q="

    part = visitor.get(address, part=True)

    assert part.status == 200
    assert part.one("select", name="locationId")
    assert "main location (" in part.html


def test_thousands_of_accounts_are_searched_instead_of_listed() -> None:
    world = a_ready_world()
    world.bms.held = {one.id: one for one in map(an_account, range(1, 2001))}
    visitor = Reader(world)

    form = press(visitor, visitor.get(RULES), "add")
    part = visitor.get("/console/bms/accounts/part?name=accountId&accountId_q=1777", part=True)

    assert len(form.all("input", name="accountId")) < 20
    assert form.one("input", name="accountId_q")
    assert [one.attributes["value"] for one in part.all("input", name="accountId")] == ["1777"]


# --- after saving ---------------------------------------------------------------------------------


def test_r5_before_the_first_sync_it_is_said_that_nothing_is_written() -> None:
    _, visitor = two_rules()

    page = visitor.get(RULES)

    assert "Nothing is written to BMS for this connection yet." in page.text
    assert page.one("a", href="/console/connections/contoso")


def progress_of(world: World, **members: Any) -> Shown:
    world.add(a_connection(first_sync_at=START, rules_edited_at=START, **members))
    return Reader(world).get(f"{RULES}/progress/part", part=True)


def test_r5_an_edit_that_is_not_carried_out_yet_is_looked_for_again() -> None:
    part = progress_of(a_ready_world())

    assert "Looking at everybody again starts" in part.text
    assert part.one("div", class_="progress").attributes["hx-trigger"] == "every 2s"


def test_r5_the_re_evaluation_is_shown_until_it_is_done() -> None:
    world = a_ready_world()
    at = START + timedelta(seconds=30)
    run = SyncRun(SyncId("s1"), a_connection().id, "rules", "running", at, seen=40, done=12)
    world.runs.add(run)

    going = progress_of(world)
    world.runs.held[run.id] = replace(run, state="done", finished_at=at)
    done = progress_of(world, compared_edit=START)

    assert "40 people seen, 12 done" in going.text
    assert "hx-trigger" in going.one("div", class_="progress").attributes
    assert "in force" in done.text
    assert "hx-trigger" not in done.one("div", class_="progress").attributes


def test_r1_a_group_is_taken_by_its_id_where_another_ones_name_is_that_id() -> None:
    groups = [
        GroupShown(id=id_, name=name, kind="security", created_at=None, usable=True, reason=None)
        for id_, name in ((SALES, SUPPORT), (SUPPORT, "Helpdesk"))
    ]

    def answer(_: Call) -> Reply:
        return json_reply({"items": msgspec.to_builtins(groups), "nextCursor": None})

    path = "/api/connections/{connectionId}/groups"
    visitor = Reader(a_ready_world(), [Route("GET", path, answer, "Groups", query=AnyQuery)])

    taken = press(visitor, visitor.get(RULES), "apply", **a_form())

    assert taken.status == 200
    assert "Helpdesk" in taken.text
