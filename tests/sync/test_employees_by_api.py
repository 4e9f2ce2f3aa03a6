"""Employees by BMS's older API: written once, and no more than asked (R15, R22, R26)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from infra.local.bms.faults import Kind
from shared.core.model import LinkState, RecordId, RecordType
from tests.builders import CONNECTION
from tests.sync.test_worklist import (
    BOSS,
    DEFAULTS,
    TOMAS,
    employees,
    item,
    link,
    look,
    nothing_open,
)
from tests.sync.world import Died, Worker, World

pytestmark = pytest.mark.world

CREATE, PUT = "POST /api/hr/employees", "PUT /api/hr/employees/{id}"


@pytest.fixture
def api(world: World) -> World:
    """The group `desk` becomes employees, and BMS takes writes of them."""
    world.bms.set_switches(v1_employees="write")
    world.worker.defaults.update(
        lambda now: replace(now, values=DEFAULTS, protected=frozenset({RecordId(BOSS)}), mode="api")
    )
    world.set_rules(world.rule, employees(world))
    return world


def staff(world: World, **having: Any) -> list[dict[str, Any]]:
    """The employees of BMS that have these members."""
    return [
        one
        for one in world.bms.employees()
        if all(one[name] == value for name, value in having.items())
    ]


def test_a_new_employee_is_created_with_every_value_r26_r11(api: World) -> None:
    ada = api.hire("ada", "desk", job_title="Project Manager", department="Projects")

    api.sync(ada)

    (made,) = staff(api, email="ada@contoso.example")
    assert (made["job_title_id"], made["department_id"], made["manager_id"]) == (203, 102, BOSS)
    assert (made["role_ids"], made["security_role_ids"]) == ([401], [302])
    assert (made["user_name"], made["user_type"]) == ("ada@contoso.example", "Employee")
    assert link(api, ada).record_id == made["id"]
    assert nothing_open(api)
    assert api.kinds(ada) == ["create"]


def test_nothing_is_sent_when_nothing_differs_r14(api: World) -> None:
    ada = api.hire("ada", "desk")
    api.sync(ada)
    before = api.bms_writes()

    api.sync(ada)
    api.full_sync()

    assert api.bms_writes() == before


def test_a_change_sends_the_rest_as_it_was_and_no_other_role_r15(api: World) -> None:
    tomas = api.hire("tomas", "desk", mail="tomas.reyes@msp.example", job_title="Project Manager")
    api.bms.edit_employee(TOMAS, security_role_ids=[301, 302], role_ids=[401, 402])

    api.sync(tomas)

    (now,) = staff(api, id=TOMAS)
    assert (now["job_title_id"], now["first_name"]) == (203, "Tomas")
    assert (now["security_role_ids"], now["role_ids"]) == ([301, 302], [401, 402])
    assert (now["employment_type_id"], now["location_id"]) == (31, 501)
    assert api.kinds(tomas) == ["update"] or api.kinds(tomas) == ["merge"]


def test_the_default_security_role_never_reaches_an_existing_employee_r15(api: World) -> None:
    ada = api.hire("ada", "desk")
    api.sync(ada)
    api.worker.defaults.update(
        lambda now: replace(now, values={**DEFAULTS, "security_role_id": 301, "department_id": 104})
    )

    api.full_sync("rules")

    (now,) = staff(api, email="ada@contoso.example")
    assert (now["security_role_ids"], now["department_id"]) == ([302], 104)


def test_a_leaver_is_deactivated_and_active_again_when_back_r17_r19(api: World) -> None:
    ada = api.hire("ada", "desk")
    api.sync(ada)
    record = link(api, ada).record_id
    api.leave(ada, "desk")
    api.sync(ada)
    assert [one["is_active"] for one in staff(api, id=record)] == [False]
    assert link(api, ada).state is LinkState.INACTIVE
    api.join(ada, "desk")

    api.sync(ada)

    assert [one["is_active"] for one in staff(api, id=record)] == [True]
    assert api.kinds(ada) == ["create", "deactivate", "reactivate"]


def test_nothing_is_ever_deleted_r16(api: World) -> None:
    ada = api.hire("ada", "desk")
    api.sync(ada)
    api.leave(ada, "desk")
    api.sync(ada)

    assert not [call for call in api.bms.counters().calls if call.startswith("DELETE")]


def test_contact_to_employee_and_back_r18(api: World) -> None:
    ada = api.hire("ada", "staff")
    api.sync(ada)
    contact = api.record(ada)
    api.join(ada, "desk")
    api.sync(ada)
    employee = link(api, ada).record_id
    assert not api.bms.get_contact(contact.id).is_active
    assert [one["is_active"] for one in staff(api, id=employee)] == [True]
    api.leave(ada, "desk")

    api.sync(ada)

    assert link(api, ada).record_type is RecordType.CONTACT
    assert api.record(ada).is_active
    assert api.record(ada).id == contact.id, "the old contact is matched again"
    assert [one["is_active"] for one in staff(api, id=employee)] == [False]


def test_reports_get_their_manager_once_he_is_there_r11(api: World) -> None:
    ada, boss = api.hire("ada", "desk"), api.hire("boss", "desk")
    api.directory.managed_by[ada.id] = boss.id

    api.sync(ada, boss)

    (made,) = staff(api, email="ada@contoso.example")
    assert made["manager_id"] == link(api, boss).record_id


# --- BMS does not offer it -------------------------------------------------------------------


@pytest.mark.parametrize("switch", ["off", "read"])
def test_404_and_405_fall_back_to_the_worklist_and_say_so_r26(api: World, switch: str) -> None:
    api.bms.set_switches(v1_employees=switch)
    ada, ben = api.hire("ada", "desk"), api.hire("ben", "desk")

    api.sync(ada, ben)

    assert item(api, ada).kind.value == item(api, ben).kind.value == "create"
    now = api.worker.defaults.get()
    assert now.mode == "worklist"
    assert "BMS answers 40" in now.fell_back
    assert "employee-api" in api.troubles()
    assert link(api, ada).state is LinkState.WORKLIST


def test_a_route_that_ends_half_way_leaves_the_rest_on_the_worklist_r26(api: World) -> None:
    people = [api.hire(name, "desk") for name in ("ada", "ben", "cleo", "dan")]
    api.bms.add_fault("error", CREATE, status=405, skip=2)

    api.sync(*people)

    states = sorted(link(api, one).state.value for one in people)
    assert states == ["active", "active", "worklist", "worklist"]
    assert len(api.worker.worklist.list()) == 2
    assert len(staff(api)) == 6
    assert api.bms.counters().calls[CREATE] == 3, "after the first 405 nothing more is tried"


def test_what_bms_refuses_stays_on_the_worklist_with_its_words_r26(api: World) -> None:
    api.bms.add_employee(user_name="ada@contoso.example", email="x@contoso.example")
    api.bms.edit_employee(staff(api, email="x@contoso.example")[0]["id"], is_active=True)
    ada = api.hire("ada", "desk", mail="ada@contoso.example", upn="ada2@contoso.example")
    api.bms.edit_employee(
        staff(api, email="x@contoso.example")[0]["id"], user_name="ada2@contoso.example "
    )
    api.bms.add_fault("error", CREATE, status=400, count=1)
    api.bms.add_fault("error", PUT, status=400, count=1)

    api.sync(ada)

    assert item(api, ada).refused
    assert "failure" in api.kinds(ada)


# --- crashes and lost answers ----------------------------------------------------------------


@pytest.mark.parametrize("fault", ["error_after", "reset_after", "truncated"])
def test_a_creation_whose_answer_is_lost_is_found_and_not_repeated_r22(
    api: World, fault: Kind
) -> None:
    ada = api.hire("ada", "desk")
    api.bms.add_fault(fault, CREATE, count=1)

    api.sync(ada)

    (made,) = staff(api, email="ada@contoso.example")
    assert link(api, ada).record_id == made["id"]
    assert link(api, ada).state is LinkState.ACTIVE
    assert nothing_open(api)


@pytest.mark.parametrize(
    ("call", "when"),
    [
        ("worklist.put", "after"),
        ("writer.create", "before"),
        ("writer.create", "after"),
        ("owners.take_new", "after"),
        ("log.add", "after"),
        ("links.save", "after"),
    ],
)
def test_a_worker_that_dies_never_makes_two_employees_r22(api: World, call: str, when: str) -> None:
    ada = api.hire("ada", "desk")
    dying = Worker(api)
    seen: list[str] = []

    def die(name: str, moment: str) -> None:
        if (name, moment) == (call, when):
            seen.append(name)
            # The first save is the claim: death comes after the link's own.
            if call != "links.save" or len(seen) == 2:
                raise Died

    dying.tap = die
    api.notice(ada)
    with pytest.raises(Died):
        api.deliver(dying)
    api.notice(ada)
    api.deliver()
    api.clock.pass_(timedelta(minutes=15))
    look(api)

    (made,) = staff(api, email="ada@contoso.example")
    assert (link(api, ada).state, link(api, ada).record_id) == (LinkState.ACTIVE, made["id"])
    assert api.worker.worklist.get(CONNECTION, ada.id) is None


def test_two_users_with_one_address_never_get_two_employees_r9(api: World) -> None:
    ada = api.hire("ada", "desk")
    twin = api.hire("twin", "desk", mail="ada@contoso.example")

    api.sync(ada, twin)

    assert len(staff(api, email="ada@contoso.example")) == 1
    states = {link(api, ada).state, link(api, twin).state}
    assert states == {LinkState.ACTIVE, LinkState.CONFLICT}


def test_the_older_apis_limit_is_waited_for_r25(api: World) -> None:
    settings = api.bms_settings.get()
    assert settings is not None
    api.bms_settings.put(replace(settings, hourly_limit_v1=4))
    api.bms.set_switches(v1_rate_limit=4)
    people = [api.hire(name, "desk") for name in ("ada", "ben", "cleo", "dan", "eve", "finn")]

    api.notice(*people)
    api.deliver(within=timedelta(minutes=10))

    assert api.bms.counters().with_status(429) == 0
    assert len(staff(api)) == 4 + 3
    assert all(link(api, one).state is not LinkState.FAILED for one in people)
    assert api.inbox.deltas(), "the others wait in the queue"
