"""Employees by the worklist: what a person types, and what closes by itself (R26)."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.core.model import (
    EntraUser,
    HoldLimit,
    Link,
    LinkState,
    MappingRule,
    RecordId,
    RecordType,
)
from shared.core.worklist import Item
from shared.errors import BadInput
from tests.builders import CONNECTION, a_connection
from tests.sync.world import Died, Worker, World

pytestmark = pytest.mark.world

BOSS, TOMAS, INES, API_USER = 902, 903, 904, 901
DEFAULTS = {
    "department_id": 101,
    "location_id": 501,
    "manager_id": BOSS,
    "job_title_id": 201,
    "employment_type_id": 31,
    "security_role_id": 302,
    "employee_role_id": 401,
}


@pytest.fixture
def desk(world: World) -> World:
    """A second group, `desk`, whose members become employees."""
    world.worker.defaults.update(lambda now: replace(now, values=DEFAULTS))
    world.set_rules(world.rule, employees(world))
    return world


def employees(world: World, group: str = "desk", **fields: Any) -> MappingRule:
    given = {"record_type": RecordType.EMPLOYEE, "account_id": None, "order": 0, **fields}
    return world.a_rule(group, **given)


def item(world: World, user: EntraUser) -> Item:
    found = world.worker.worklist.get(CONNECTION, user.id)
    assert found is not None, "nothing is on the worklist"
    return found


def nothing_open(world: World) -> bool:
    return world.worker.worklist.list() == []


def typed(item: Item) -> dict[str, str]:
    return {one.field: one.name or one.value for one in item.fields}


def link(world: World, user: EntraUser) -> Link:
    found = world.link(user)
    assert found is not None
    return found


def type_in(world: World, item: Item, **other: Any) -> int:
    """A person makes the employee in BMS as the item says."""
    fields = {one.field: one for one in item.fields}
    given = {
        "first_name": fields["FirstName"].value,
        "last_name": fields["LastName"].value,
        "email": fields["EmailAddress"].value,
        "user_name": fields["UserName"].value,
        "job_title_id": int(fields["JobTitleId"].value),
        **other,
    }
    return world.bms.add_employee(**given)


def look(world: World) -> int:
    world.clock.pass_(timedelta(seconds=1))
    count = world.worker.work_off.look()
    world.deliver()
    return count


# --- hired -----------------------------------------------------------------------------------


def test_a_new_employee_is_on_the_worklist_with_every_value_and_its_source_r26_r3(
    desk: World,
) -> None:
    ada = desk.hire(
        "ada", "desk", job_title="senior technician", department="Projects", mobile_phone="17"
    )

    desk.sync(ada)

    one = item(desk, ada)
    assert typed(one) == {
        "FirstName": "Ada",
        "LastName": "Lind",
        "EmailAddress": "ada@contoso.example",
        "UserName": "ada@contoso.example",
        "EmployeeId": "ada@contoso.example",
        "JobTitleId": "Senior Technician",
        "DepartmentId": "Projects",
        "LocationId": "Head Office",
        "ManagerId": "Olga Marin",
        "EmploymentTypeId": "Full Time",
        "EmployeeRoleId": "Engineer",
        "SecurityRoleId": "Technician",
        "MobilePhone": "17",
    }
    sources = {each.field: each.source for each in one.fields}
    assert (sources["DepartmentId"], sources["LocationId"]) == ("entra", "default")
    assert link(desk, ada).state is LinkState.WORKLIST
    assert desk.bms_writes() == 0
    assert desk.kinds(ada) == ["worklist"]


def test_the_same_decision_is_told_and_listed_once_r22(desk: World) -> None:
    ada = desk.hire("ada", "desk")

    desk.sync(ada)
    first = item(desk, ada)
    desk.sync(ada)
    desk.full_sync()

    assert item(desk, ada).id == first.id
    assert desk.kinds(ada) == ["worklist"]


def test_a_rule_overrides_a_default_r3(desk: World) -> None:
    overrides = {"department_id": 104, "security_role_id": 303}
    desk.set_rules(employees(desk, employee=overrides))
    ada = desk.hire("ada", "desk")

    desk.sync(ada)

    fields = {each.field: each for each in item(desk, ada).fields}
    assert (fields["DepartmentId"].name, fields["DepartmentId"].source) == ("Sales", "rule")
    assert fields["SecurityRoleId"].name == "API Integration"
    assert fields["LocationId"].source == "default"


def test_the_lower_order_wins_across_both_record_types_r2(desk: World) -> None:
    desk.set_rules(world_rule(desk, order=1), employees(desk, order=2))
    ada = desk.hire("ada", "desk", "staff")

    desk.sync(ada)

    assert nothing_open(desk)
    assert link(desk, ada).record_type is RecordType.CONTACT


def world_rule(world: World, **fields: Any) -> MappingRule:
    return replace(world.rule, **fields)


def test_a_value_that_nobody_provides_is_named_r26(world: World) -> None:
    world.set_rules(employees(world))
    ada = world.hire("ada", "desk")

    world.sync(ada)

    one = item(world, ada)
    assert [each.value for each in one.fields if each.field == "DepartmentId"] == [""]
    assert any("Employee Defaults" in note for note in one.notes)


def test_a_typed_in_employee_closes_its_item_and_is_linked_r26(desk: World) -> None:
    ada = desk.hire("ada", "desk")
    desk.sync(ada)
    record = type_in(desk, item(desk, ada))

    assert look(desk) == 1

    after = link(desk, ada)
    assert (after.state, after.record_type, after.record_id) == (
        LinkState.ACTIVE,
        RecordType.EMPLOYEE,
        record,
    )
    assert nothing_open(desk)
    assert desk.kinds(ada) == ["worklist", "create"]
    owners = desk.worker.owners.get_many(RecordType.EMPLOYEE, [RecordId(record)])
    assert owners[RecordId(record)].user_id == ada.id
    desk.full_sync()
    assert nothing_open(desk)


def test_what_was_typed_in_another_way_becomes_a_change_r26(desk: World) -> None:
    ada = desk.hire("ada", "desk")
    desk.sync(ada)
    record = type_in(desk, item(desk, ada), last_name="Lint")

    look(desk)

    one = item(desk, ada)
    assert (one.kind.value, one.record_id) == ("change", record)
    assert [(each.field, each.old, each.value) for each in one.fields] == [
        ("LastName", "Lint", "Lind")
    ]
    desk.bms.edit_employee(record, last_name="Lind")
    assert look(desk) == 1
    assert nothing_open(desk)


def test_an_item_ticked_off_counts_as_written_r26(desk: World) -> None:
    ada = desk.hire("ada", "desk")
    desk.sync(ada)
    record = type_in(desk, item(desk, ada), user_name="ada", email="other@contoso.example")
    one = item(desk, ada)

    with pytest.raises(BadInput) as refused:
        desk.worker.work_off.done(one.id)
    desk.worker.work_off.done(one.id, record)
    desk.deliver()

    assert "no employee with the e-mail ada@contoso.example" in refused.value.sentence
    assert link(desk, ada).record_id == record
    assert nothing_open(desk)


def test_leaving_before_anybody_typed_it_removes_the_item_r26(desk: World) -> None:
    ada = desk.hire("ada", "desk")
    desk.sync(ada)
    desk.leave(ada, "desk")

    desk.sync(ada)

    assert nothing_open(desk)
    assert desk.link(ada) is None


def test_a_newer_decision_replaces_the_item_and_its_id_r26(desk: World) -> None:
    ada = desk.hire("ada", "desk")
    desk.sync(ada)
    old = item(desk, ada)
    desk.change(ada, surname="Berg", display_name="Ada Berg")

    desk.sync(ada)

    assert typed(item(desk, ada))["LastName"] == "Berg"
    with pytest.raises(BadInput) as refused:
        desk.worker.work_off.done(old.id)
    assert refused.value.status == 409


def test_a_dismissed_item_comes_back_only_when_the_user_changes_r26(desk: World) -> None:
    ada = desk.hire("ada", "desk")
    desk.sync(ada)
    desk.worker.work_off.dismiss(item(desk, ada).id)

    desk.full_sync()
    assert nothing_open(desk)
    desk.change(ada, surname="Berg")
    desk.sync(ada)

    assert typed(item(desk, ada))["LastName"] == "Berg"


# --- matching --------------------------------------------------------------------------------


def test_an_employee_with_his_e_mail_is_merged_r6(desk: World) -> None:
    tomas = desk.hire(
        "tomas", "desk", mail="Tomas.Reyes@msp.example", given_name="Tomas", surname="Reyes",
        upn="tomas.reyes", job_title="Senior Technician",
    )  # fmt: skip

    desk.sync(tomas)

    assert link(desk, tomas).record_id == TOMAS
    assert desk.kinds(tomas) == ["merge"]


def test_else_by_user_name_and_the_difference_is_a_change_r6(desk: World) -> None:
    tomas = desk.hire("tomas", "desk", upn="x@contoso.example", mail="new@contoso.example")
    desk.bms.edit_employee(TOMAS, user_name="X@contoso.example")

    desk.sync(tomas)

    assert link(desk, tomas).record_id == TOMAS
    assert ("EmailAddress", "new@contoso.example") in [
        (each.field, each.value) for each in item(desk, tomas).fields
    ]


def test_a_merged_employee_keeps_what_only_a_default_would_set_r15(desk: World) -> None:
    tomas = desk.hire("tomas", "desk", mail="tomas.reyes@msp.example", department="Sales")

    desk.sync(tomas)

    fields = {each.field for each in item(desk, tomas).fields}
    assert "DepartmentId" in fields
    assert not fields & {"SecurityRoleId", "LocationId", "ManagerId", "EmployeeRoleId"}
    assert "JobTitleId" not in fields


def test_an_inactive_match_is_to_become_active_again_r9(desk: World) -> None:
    ines = desk.hire("ines", "desk", mail="ines.okafor@msp.example")

    desk.sync(ines)

    one = item(desk, ines)
    assert (one.kind.value, one.record_id, one.activates) == ("change", INES, True)
    assert link(desk, ines).state is LinkState.WORKLIST


def test_two_matches_wait_for_a_person_r9(desk: World) -> None:
    double = desk.bms.add_employee(email="tomas.reyes@msp.example", user_name="twin")
    tomas = desk.hire("tomas", "desk", mail="tomas.reyes@msp.example")

    desk.sync(tomas)

    (conflict,) = desk.worker.conflicts.list(CONNECTION)
    assert set(conflict.record_ids) == {TOMAS, double}
    assert conflict.record_type is RecordType.EMPLOYEE
    desk.worker.conflicts.put(replace(conflict, state="resolved", chosen=RecordId(double)))
    desk.sync(tomas)
    assert link(desk, tomas).record_id == double


@pytest.mark.parametrize("address", ["directory.sync@msp.example", "tomas.reyes@msp.example"])
def test_the_api_user_and_protected_employees_are_never_touched_r15(
    desk: World, address: str
) -> None:
    desk.worker.defaults.update(lambda now: replace(now, protected=frozenset({RecordId(TOMAS)})))
    one = desk.hire("one", "desk", mail=address)

    desk.sync(one)
    desk.sync(one)

    assert nothing_open(desk)
    assert link(desk, one).state is LinkState.SKIPPED
    assert desk.kinds(one) == ["skip"]


def test_a_linked_employee_who_becomes_protected_is_not_deactivated_r15(desk: World) -> None:
    tomas = desk.hire("tomas", "desk", mail="tomas.reyes@msp.example")
    desk.sync(tomas)
    desk.worker.defaults.update(lambda now: replace(now, protected=frozenset({RecordId(TOMAS)})))
    desk.leave(tomas, "desk")

    desk.sync(tomas)

    assert nothing_open(desk)
    assert link(desk, tomas).state is LinkState.KEPT


# --- changes ---------------------------------------------------------------------------------


def an_employee(world: World, name: str = "ada", **fields: Any) -> EntraUser:
    """Hired, typed in and linked."""
    user = world.hire(name, "desk", **fields)
    world.sync(user)
    type_in(world, item(world, user))
    look(world)
    assert nothing_open(world)
    return user


def test_what_bms_shows_closes_and_the_rest_waits_for_a_tick_r26(desk: World) -> None:
    ada = an_employee(desk)
    desk.change(ada, job_title="Project Manager", department="Projects")
    desk.sync(ada)
    assert {each.field for each in item(desk, ada).fields} == {"JobTitleId", "DepartmentId"}
    record = link(desk, ada).record_id
    assert record is not None
    desk.bms.edit_employee(record, job_title="Project Manager")

    assert look(desk) == 0

    one = item(desk, ada)
    assert [each.field for each in one.fields] == ["DepartmentId"]
    desk.worker.work_off.done(one.id)
    assert link(desk, ada).written["DepartmentId"] == "102"
    desk.full_sync()
    assert nothing_open(desk)


def test_a_change_that_entra_takes_back_leaves_the_list_r26(desk: World) -> None:
    ada = an_employee(desk)
    desk.change(ada, job_title="Project Manager")
    desk.sync(ada)
    assert not nothing_open(desk)
    desk.change(ada)

    desk.sync(ada)

    assert nothing_open(desk)


def test_a_changed_default_touches_only_what_came_from_it_r5_r12(desk: World) -> None:
    ada, ben = an_employee(desk, "ada"), an_employee(desk, "ben", department="Projects")
    record = link(desk, ada).record_id
    assert record is not None
    desk.bms.edit_employee(record, last_name="By-Hand")
    desk.worker.defaults.update(
        lambda now: replace(now, values={**DEFAULTS, "department_id": 104, "security_role_id": 301})
    )

    desk.full_sync("rules")

    assert [(each.field, each.name) for each in item(desk, ada).fields] == [
        ("DepartmentId", "Sales")
    ]
    assert desk.worker.worklist.get(CONNECTION, ben.id) is None


def test_a_manager_who_becomes_an_employee_is_his_peoples_manager_r11(desk: World) -> None:
    boss, ada = desk.hire("boss", "desk"), desk.hire("ada", "desk")
    desk.directory.managed_by[ada.id] = boss.id
    desk.sync(ada)
    assert typed(item(desk, ada))["ManagerId"] == "Olga Marin"
    desk.sync(boss)

    type_in(desk, item(desk, boss))
    look(desk)

    fields = {each.field: each for each in item(desk, ada).fields}
    assert fields["ManagerId"].value == str(link(desk, boss).record_id)
    assert (fields["ManagerId"].source, fields["ManagerId"].name) == ("entra", "Boss Lind")


# --- leaving ---------------------------------------------------------------------------------


def test_who_leaves_is_listed_and_inactive_once_bms_shows_it_r17(desk: World) -> None:
    ada = an_employee(desk)
    record = link(desk, ada).record_id
    assert record is not None
    desk.leave(ada, "desk")
    desk.sync(ada)
    assert item(desk, ada).kind.value == "deactivate"
    assert link(desk, ada).state is LinkState.ACTIVE

    desk.bms.edit_employee(record, is_active=False)
    look(desk)

    assert link(desk, ada).state is LinkState.INACTIVE
    assert nothing_open(desk)
    assert desk.kinds(ada)[-1] == "deactivate"


def test_who_is_back_before_anybody_typed_it_stays_r19(desk: World) -> None:
    ada = an_employee(desk)
    desk.leave(ada, "desk")
    desk.sync(ada)
    desk.join(ada, "desk")

    desk.sync(ada)

    assert nothing_open(desk)
    assert link(desk, ada).state is LinkState.ACTIVE


def test_who_is_back_later_becomes_active_again_as_the_same_employee_r19(desk: World) -> None:
    ada = an_employee(desk)
    record = link(desk, ada).record_id
    assert record is not None
    desk.leave(ada, "desk")
    desk.sync(ada)
    desk.bms.edit_employee(record, is_active=False)
    look(desk)
    desk.join(ada, "desk")

    desk.sync(ada)
    assert [(each.field, each.value) for each in item(desk, ada).fields] == [("IsActive", "yes")]
    desk.bms.edit_employee(record, is_active=True)
    look(desk)

    after = link(desk, ada)
    assert (after.state, after.record_id) == (LinkState.ACTIVE, record)


def test_too_many_leavers_wait_in_a_hold_and_not_on_the_worklist_r20(desk: World) -> None:
    desk.worker.connections.update(
        CONNECTION, lambda _: a_connection(hold_limit=HoldLimit(count=1, percent=10))
    )
    people = [an_employee(desk, name) for name in ("ada", "ben", "cleo")]
    for one in people:
        desk.leave(one, "desk")

    desk.full_sync()
    assert nothing_open(desk)
    (hold,) = desk.worker.holds.list(state="open")
    assert len(desk.worker.holds.people(hold)) == 3
    desk.worker.holding.approve(hold.id, None)
    desk.deliver()

    assert {one.kind.value for one in desk.worker.worklist.list()} == {"deactivate"}
    assert len(desk.worker.worklist.list()) == 3


def test_licences_are_counted_before_anybody_is_created_r26(desk: World) -> None:
    ada = an_employee(desk)
    desk.leave(ada, "desk")
    new = [desk.hire(name, "desk") for name in ("ben", "cleo")]
    back = desk.hire("ines", "desk", mail="ines.okafor@msp.example")

    desk.sync(ada, *new, back)

    counted = desk.worker.work_off.open_items().licences
    assert (counted.needed, counted.freed) == (3, 1)


# --- contact and employee --------------------------------------------------------------------


def test_a_contact_who_becomes_an_employee_goes_when_the_employee_exists_r18(desk: World) -> None:
    ada = desk.hire("ada", "staff")
    desk.sync(ada)
    contact = desk.record(ada)
    desk.join(ada, "desk")

    desk.sync(ada)
    desk.full_sync()
    assert desk.bms.get_contact(contact.id).is_active, "the employee does not exist yet"
    record = type_in(desk, item(desk, ada))
    look(desk)

    assert not desk.bms.get_contact(contact.id).is_active
    after = link(desk, ada)
    assert (after.record_type, after.record_id, after.old_record_id) == (
        RecordType.EMPLOYEE,
        record,
        None,
    )
    contacts = desk.worker.owners.get_many(RecordType.CONTACT, [RecordId(contact.id)])
    assert contacts == {}


def test_back_in_the_contact_rule_before_anybody_typed_it_nothing_happens_r18(
    desk: World,
) -> None:
    ada = desk.hire("ada", "staff")
    desk.sync(ada)
    contact = desk.record(ada)
    desk.join(ada, "desk")
    desk.sync(ada)
    desk.leave(ada, "desk")

    desk.sync(ada)

    assert nothing_open(desk)
    assert link(desk, ada).record_id == contact.id
    assert desk.record(ada).is_active


def test_an_employee_who_becomes_a_contact_is_to_be_deactivated_r18(desk: World) -> None:
    ada = an_employee(desk)
    employee = link(desk, ada).record_id
    assert employee is not None
    desk.leave(ada, "desk")
    desk.join(ada, "staff")

    desk.sync(ada)

    contact = desk.record(ada)
    assert (contact.is_active, link(desk, ada).record_type) == (True, RecordType.CONTACT)
    one = item(desk, ada)
    assert (one.kind.value, one.record_id) == ("deactivate", employee)
    desk.full_sync()
    assert item(desk, ada).id == one.id
    desk.bms.edit_employee(employee, is_active=False)
    look(desk)
    assert nothing_open(desk)
    assert link(desk, ada).record_id == contact.id
    assert link(desk, ada).state is LinkState.ACTIVE


def test_to_and_fro_ends_with_one_active_record_of_the_right_type_r18(desk: World) -> None:
    ada = an_employee(desk)
    employee = link(desk, ada).record_id
    desk.leave(ada, "desk")
    desk.join(ada, "staff")
    desk.sync(ada)
    contact = desk.record(ada)
    desk.join(ada, "desk")

    desk.sync(ada)

    assert nothing_open(desk)
    assert link(desk, ada).record_id == employee
    assert not desk.bms.get_contact(contact.id).is_active


# --- when things go wrong --------------------------------------------------------------------


def test_an_employee_gone_in_bms_is_matched_or_listed_anew_r8(desk: World) -> None:
    ada = an_employee(desk)
    record = link(desk, ada).record_id
    assert record is not None
    desk.bms.remove_employee(record)
    desk.clock.pass_(timedelta(minutes=5))
    desk.change(ada, surname="Berg")

    desk.sync(ada)

    assert item(desk, ada).kind.value == "create"
    assert "note" in desk.kinds(ada)


@pytest.mark.parametrize(
    ("call", "when", "nth"),
    [
        ("worklist.put", "after", 1),
        ("log.add", "after", 1),
        ("links.save", "after", 1),
        ("links.save", "after", 2),
    ],
)
def test_a_worker_that_dies_over_an_item_leaves_one_item_and_one_link_r22(
    desk: World, call: str, when: str, nth: int
) -> None:
    ada = desk.hire("ada", "desk")
    dying, seen = Worker(desk), Counter[str]()

    def die(name: str, moment: str) -> None:
        if moment == when:
            seen[name] += 1
            if name == call and seen[name] == nth:
                raise Died

    dying.tap = die
    desk.notice(ada)
    with pytest.raises(Died):
        desk.deliver(dying)
    desk.notice(ada)
    desk.deliver()

    assert link(desk, ada).task == item(desk, ada).task
    record = type_in(desk, item(desk, ada))
    look(desk)
    assert (link(desk, ada).record_id, nothing_open(desk)) == (record, True)


@pytest.mark.parametrize("call", ["owners.take", "links.save", "worklist.remove", "log.add"])
def test_a_worker_that_dies_over_closing_is_made_good_by_the_next_look_r22(
    desk: World, call: str
) -> None:
    ada = desk.hire("ada", "desk")
    desk.sync(ada)
    record = type_in(desk, item(desk, ada))
    dying = Worker(desk)

    def die(name: str, moment: str) -> None:
        if (name, moment) == (call, "after"):
            raise Died

    dying.tap = die
    with pytest.raises(Died):
        dying.work_off.look()
    desk.clock.pass_(timedelta(minutes=15))
    look(desk)

    assert (link(desk, ada).record_id, nothing_open(desk)) == (record, True)
    assert len([one for one in desk.bms.employees() if one["last_name"] == "Lind"]) == 1


def test_an_item_that_no_link_names_is_removed_r22(desk: World) -> None:
    ada = desk.hire("ada", "desk")
    desk.sync(ada)
    stray = item(desk, ada)
    desk.leave(ada, "desk")
    desk.sync(ada)
    desk.worker.worklist.put([stray])
    desk.clock.pass_(timedelta(minutes=11))

    look(desk)

    assert nothing_open(desk)
