"""Undo of what was decided about employees, by API and by worklist (R15, R18, R20, R26)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.core.model import HoldMark, LinkState, RecordId, RecordType
from shared.core.undo import TO_BE_TYPED
from tests.sync.test_drift import found
from tests.sync.test_employees_by_api import staff
from tests.sync.test_undo import reasons, settled, undo
from tests.sync.test_worklist import BOSS, DEFAULTS, employees, item, link, look, type_in, typed
from tests.sync.world import World

pytestmark = pytest.mark.world


@pytest.fixture
def desk(world: World) -> World:
    """A second group, `desk`, whose members become employees."""
    world.worker.defaults.update(lambda now: replace(now, values=DEFAULTS))
    world.set_rules(world.rule, employees(world))
    return world


@pytest.fixture
def api(desk: World) -> World:
    """The same, and the app writes employees itself."""
    desk.bms.set_switches(v1_employees="write")
    desk.worker.defaults.update(
        lambda now: replace(now, protected=frozenset({RecordId(BOSS)}), mode="api")
    )
    return desk


def test_an_employees_fields_go_back_by_api_r26(api: World) -> None:
    ada = api.hire("ada", "desk", job_title="Project Manager")
    api.sync(ada)
    api.sync(api.change(ada, surname="Wu"))

    report = undo(api, ada, "update")

    (made,) = staff(api, email="ada@contoso.example")
    assert reasons(report) == []
    assert made["last_name"] == "Lind"
    assert settled(api) == 0
    assert found(api) == {}


def test_a_created_employee_is_inactive_until_a_change_in_entra_r12(api: World) -> None:
    ada = api.hire("ada", "desk")
    api.sync(ada)

    report = undo(api, ada, "create")

    (made,) = staff(api, email="ada@contoso.example")
    assert (reasons(report), made["is_active"]) == ([], False)
    assert settled(api) == 0

    api.sync(api.change(ada, surname="Wu"))

    (made,) = staff(api, email="ada@contoso.example")
    assert made["is_active"]


def test_an_employee_who_left_is_kept_as_if_refused_r20(api: World) -> None:
    ada = api.hire("ada", "desk")
    api.sync(ada)
    api.leave(ada, "desk")
    api.sync(ada)

    undo(api, ada, "deactivate")

    (made,) = staff(api, email="ada@contoso.example")
    assert (made["is_active"], link(api, ada).hold) == (True, HoldMark.REFUSED)
    assert settled(api) == 0


def test_what_bms_does_not_show_of_an_employee_stays_and_is_named(api: World) -> None:
    ada = api.hire("ada", "desk", department="Projects")
    api.sync(ada)
    api.sync(api.change(ada, department="Finance", mobile_phone="17"))

    report = undo(api, ada, "update")

    assert any("BMS does not show it" in reason for reason in reasons(report))


def test_a_contact_who_became_an_employee_is_a_contact_again_r18(api: World) -> None:
    ada = api.hire("ada")
    api.sync(ada)
    contact = api.record(ada).id
    api.join(ada, "desk")
    api.sync(ada)
    assert not api.bms.get_contact(contact).is_active

    line = next(one for one in api.activity(ada) if one.reason.startswith("becomes"))
    report = api.worker.undo.activity(line.id)
    api.deliver()

    (made,) = staff(api, email="ada@contoso.example")
    now = link(api, ada)
    assert [one.undone for one in report.outcomes] == [True]
    assert (now.record_type, now.record_id) == (RecordType.CONTACT, contact)
    assert api.bms.get_contact(contact).is_active
    assert not made["is_active"]
    assert settled(api) == 0


def test_an_employee_who_became_a_contact_is_an_employee_again_r18(api: World) -> None:
    ada = api.hire("ada", "desk")
    api.sync(ada)
    employee = link(api, ada).record_id
    api.leave(ada, "desk")
    api.join(ada)
    api.sync(ada)
    contact = api.record(ada).id
    line = next(one for one in api.activity(ada) if one.record_id == contact)

    report = api.worker.undo.activity(line.id)
    api.deliver()

    (made,) = staff(api, email="ada@contoso.example")
    now = link(api, ada)
    assert [one.undone for one in report.outcomes] == [True]
    assert (now.record_type, now.record_id) == (RecordType.EMPLOYEE, employee)
    assert made["is_active"]
    assert not api.bms.get_contact(contact).is_active
    assert settled(api) == 0


def test_by_worklist_a_person_types_what_goes_back_r26(desk: World) -> None:
    ada = desk.hire("ada", "desk")
    desk.sync(ada)
    number = type_in(desk, item(desk, ada))
    look(desk)
    desk.sync(desk.change(ada, surname="Wu"))
    desk.bms.edit_employee(number, last_name="Wu")
    look(desk)

    report = undo(desk, ada, "update")

    assert (reasons(report), [one.undone for one in report.outcomes]) == ([TO_BE_TYPED], [False])
    assert typed(item(desk, ada)) == {"LastName": "Lind"}
    desk.full_sync()
    assert typed(item(desk, ada)) == {"LastName": "Lind"}, "the next sync leaves the item"
    desk.bms.edit_employee(number, last_name="Lind")
    look(desk)
    assert desk.worker.worklist.list() == []
    desk.full_sync()
    assert desk.worker.worklist.list() == []


def test_by_worklist_a_leaver_is_kept_after_the_typing_too_r20(desk: World) -> None:
    ada = desk.hire("ada", "desk")
    desk.sync(ada)
    number = type_in(desk, item(desk, ada))
    look(desk)
    desk.leave(ada, "desk")
    desk.sync(ada)
    desk.bms.edit_employee(number, is_active=False)
    look(desk)
    assert link(desk, ada).state is LinkState.INACTIVE

    undo(desk, ada, "deactivate")

    assert typed(item(desk, ada)) == {"IsActive": "yes"}
    desk.full_sync()
    desk.bms.edit_employee(number, is_active=True)
    look(desk)
    desk.full_sync()
    assert desk.worker.worklist.list() == []
    assert link(desk, ada).hold is HoldMark.REFUSED


def test_a_line_that_is_only_on_the_worklist_says_so(desk: World) -> None:
    ada = desk.hire("ada", "desk")
    desk.sync(ada)

    (reason,) = reasons(undo(desk, ada))

    assert "worklist" in reason


def test_a_dismissed_undo_can_be_asked_for_again_r26(desk: World) -> None:
    ada = desk.hire("ada", "desk")
    desk.sync(ada)
    number = type_in(desk, item(desk, ada))
    look(desk)
    desk.sync(desk.change(ada, surname="Wu"))
    desk.bms.edit_employee(number, last_name="Wu")
    look(desk)
    undo(desk, ada, "update")
    desk.worker.work_off.dismiss(item(desk, ada).id)

    report = undo(desk, ada, "update")

    assert reasons(report) == [TO_BE_TYPED]
    assert typed(item(desk, ada)) == {"LastName": "Lind"}


def test_an_undo_replaces_no_open_item_of_the_worklist_r26(desk: World) -> None:
    ada = desk.hire("ada", "desk")
    desk.sync(ada)
    number = type_in(desk, item(desk, ada))
    look(desk)
    ada = desk.change(ada, surname="Wu")
    desk.sync(ada)
    desk.bms.edit_employee(number, last_name="Wu")
    look(desk)
    desk.sync(desk.change(ada, given_name="Ida"))

    report = undo(desk, ada, "update")

    (reason,) = reasons(report)
    assert "another item of this person is open" in reason
    assert typed(item(desk, ada)) == {"FirstName": "Ida"}
