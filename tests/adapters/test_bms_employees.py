"""Employees at the wire: read in full by v2, written by the older API (R15, R22, R25)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from infra.local.bms.faults import Kind
from infra.local.bms.process import BmsProcess
from shared.adapters.bms_budget import BmsBudget, SavedLimit
from shared.adapters.bms_session import BmsSession
from shared.adapters.bms_v1 import EmployeesV1
from shared.adapters.http_session import PooledSession
from shared.core.employee_fields import ToWrite
from shared.core.model import RecordId
from shared.errors import DecideAgain, PersonMustAct, Rejected, TryLater, Uncertain
from shared.ports import RouteMissing
from tests.adapters.bms_adapter import BmsWire
from tests.real_storage import RealStorage

pytestmark = pytest.mark.world

CREATE, PUT, LIST = (
    "POST /api/hr/employees",
    "PUT /api/hr/employees/{id}",
    "GET /api/hr/employees",
)
TOMAS = RecordId(903)
FIELDS = {
    "FirstName": "Nina",
    "LastName": "Patel",
    "EmailAddress": "nina@msp.example",
    "UserName": "nina",
    "EmployeeId": "nina",
    "JobTitleId": "201",
    "DepartmentId": "101",
    "LocationId": "501",
    "ManagerId": "902",
    "EmploymentTypeId": "31",
    "EmployeeRoleId": "401",
    "SecurityRoleId": "302",
}


def at_once() -> None:
    """Nothing keeps a write back."""


def fields(**given: str) -> list[ToWrite]:
    return [ToWrite(name, value, value, "entra") for name, value in given.items()]


@pytest.fixture
def wire(bms: BmsProcess, real_storage: RealStorage) -> Iterator[BmsWire]:
    one = BmsWire(bms, real_storage)
    one.settings.held = replace(one.settings.held, gateway_url=bms.url)  # type: ignore[type-var]
    one.control.set_switches(v1_employees="write")
    yield one
    assert "DELETE" not in {line["method"] for line in one.control.log()}, "R16"


@pytest.fixture
def budget(wire: BmsWire) -> BmsBudget:
    return BmsBudget(wire.storage.opened(), SavedLimit(wire.settings, wire.clock), wire.clock)


@pytest.fixture
def v1(wire: BmsWire, budget: BmsBudget) -> EmployeesV1:
    session = BmsSession(PooledSession(), wire.settings, wire.vault, budget, wire.clock)
    return EmployeesV1(PooledSession(), session.settings, wire.vault, budget, wire.clock)


def test_everybody_is_read_active_and_inactive_r6(wire: BmsWire) -> None:
    wire.control.set_switches(max_page_size=2, default_page_size=2, row_order="shuffle")

    found = {one.id: one for one in wire.api.employees()}

    assert sorted(found) == [901, 902, 903, 904]
    assert not found[RecordId(904)].is_active
    assert (found[TOMAS].name, found[TOMAS].job_title) == ("Tomas Reyes", "Senior Technician")
    assert (found[TOMAS].email, found[TOMAS].user_name) == (
        "tomas.reyes@msp.example",
        "tomas.reyes",
    )


def test_a_list_is_read_again_when_it_must_be_newer_r6(wire: BmsWire) -> None:
    wire.api.employees()
    wire.control.add_employee(email="new@msp.example", user_name="new")

    assert len(wire.api.employees()) == 4
    wire.clock.pass_(timedelta(seconds=1))
    assert len(wire.api.employees(newer_than=wire.clock())) == 5


def test_employment_types_are_found_in_the_tenants_tables_too(wire: BmsWire) -> None:
    wire.control.set_switches(type_tables_in="tenant")

    assert (31, "Full Time") in wire.api.lookup("employmenttypes")


def test_a_new_employee_has_all_that_bms_demands_r26(wire: BmsWire, v1: EmployeesV1) -> None:
    record, notes = v1.create([*fields(**FIELDS), *fields(MobilePhone="17")])

    made = next(one for one in wire.control.employees() if one["id"] == record)
    assert (made["first_name"], made["department_id"], made["user_type"]) == (
        "Nina",
        101,
        "Employee",
    )
    assert (made["role_ids"], made["security_role_ids"], made["is_active"]) == ([401], [302], True)
    assert any("phones" in note for note in notes)


def test_a_new_employee_without_a_mandatory_value_is_not_sent_r26(
    wire: BmsWire, v1: EmployeesV1
) -> None:
    for name, label in (("DepartmentId", "Department"), ("SecurityRoleId", "Security role")):
        with pytest.raises(Rejected, match=f"value for {label}"):
            v1.create(fields(**{**FIELDS, name: ""}))

    assert wire.calls(CREATE) == 0


def test_a_change_leaves_all_else_as_it_was_r15(wire: BmsWire, v1: EmployeesV1) -> None:
    wire.control.edit_employee(TOMAS, security_role_ids=[301, 302], is_active=True)
    before = next(one for one in wire.control.employees() if one["id"] == TOMAS)

    v1.change(TOMAS, fields(JobTitleId="203", LastName="Berg"), at_once)

    after = next(one for one in wire.control.employees() if one["id"] == TOMAS)
    changed = {"job_title_id": 203, "job_title": "Project Manager", "last_name": "Berg"}
    assert after == {**before, **changed}


def test_deactivating_is_a_field_r16(wire: BmsWire, v1: EmployeesV1) -> None:
    v1.change(TOMAS, fields(IsActive="no"), at_once)

    (after,) = [one for one in wire.control.employees() if one["id"] == TOMAS]
    assert (after["is_active"], after["security_role_ids"]) == (False, [302])


def test_what_is_so_already_is_not_sent_r14(wire: BmsWire, v1: EmployeesV1) -> None:
    v1.change(TOMAS, fields(LastName="Reyes"), at_once)

    assert wire.calls(PUT) == 0


def test_an_employee_beyond_the_first_page_is_found_r26(wire: BmsWire, v1: EmployeesV1) -> None:
    last = [wire.control.add_employee() for _ in range(105)][-1]

    v1.change(RecordId(last), fields(LastName="Last"), at_once)

    assert wire.control.employees()[-1]["last_name"] == "Last"


def test_an_api_user_is_never_written_r15(wire: BmsWire, v1: EmployeesV1) -> None:
    with pytest.raises(Rejected, match="API user"):
        v1.change(RecordId(901), fields(LastName="X"), at_once)

    assert wire.calls(PUT) == 0


def test_an_employee_who_is_gone_is_told_apart_from_a_missing_route_r8(
    wire: BmsWire, v1: EmployeesV1
) -> None:
    with pytest.raises(DecideAgain):
        v1.change(RecordId(4711), fields(LastName="X"), at_once)


@pytest.mark.parametrize("switch", ["off", "read"])
def test_404_and_405_mean_that_there_is_no_route_r26(
    wire: BmsWire, v1: EmployeesV1, switch: str
) -> None:
    wire.control.set_switches(v1_employees=switch)

    with pytest.raises(RouteMissing):
        v1.create(fields(**FIELDS))
    with pytest.raises(RouteMissing):
        v1.change(TOMAS, fields(LastName="X"), at_once)


def test_the_probe_reads_and_writes_nothing_r26(wire: BmsWire, v1: EmployeesV1) -> None:
    v1.probe()
    assert wire.control.writes() == []

    wire.control.set_switches(v1_employees="off")
    with pytest.raises(RouteMissing):
        v1.probe()


@pytest.mark.parametrize("fault", ["reset_after", "truncated", "error"])
def test_a_creation_without_an_answer_is_uncertain_and_not_repeated_r22(
    wire: BmsWire, v1: EmployeesV1, fault: Kind
) -> None:
    wire.control.add_fault(fault, CREATE, status=502)

    with pytest.raises(Uncertain):
        v1.create(fields(**FIELDS))

    assert wire.calls(CREATE) == 1


def test_what_bms_refuses_is_told_in_its_words_r26(wire: BmsWire, v1: EmployeesV1) -> None:
    with pytest.raises(Rejected, match="taken"):
        v1.create(fields(**{**FIELDS, "UserName": "tomas.reyes"}))


def test_a_withdrawn_token_is_renewed_once(wire: BmsWire, v1: EmployeesV1) -> None:
    v1.probe()
    wire.control.invalidate_tokens(refresh_too=True)

    v1.probe()

    wire.control.add_fault("unauthorized", LIST)
    with pytest.raises(PersonMustAct):
        v1.probe()


def test_a_wrong_password_is_a_persons_matter(wire: BmsWire, v1: EmployeesV1) -> None:
    wire.vault.put("bms-password", "wrong")

    with pytest.raises(PersonMustAct, match="refused the sign-in"):
        v1.probe()


def test_the_older_api_has_a_budget_of_its_own_r25(wire: BmsWire, v1: EmployeesV1) -> None:
    wire.settings.held = replace(wire.settings.held, hourly_limit_v1=3)  # type: ignore[type-var]

    v1.probe()
    v1.probe()
    with pytest.raises(TryLater, match="limit"):
        v1.probe()

    assert wire.calls(LIST) == 2
    wire.api.employees()


def test_bulk_work_on_employees_leaves_fresh_changes_their_share_r25(
    wire: BmsWire, v1: EmployeesV1, budget: BmsBudget
) -> None:
    v1.bulk().change(TOMAS, fields(LastName="Berg"), at_once)

    of_employees = [one for one in budget.view() if "/api/hr/employees" in one.endpoint]
    assert len(of_employees) == 2, "one reads, one writes"
    assert all(one.used_bulk > 0 and one.used_fresh == 0 for one in of_employees)
    v1.change(TOMAS, fields(LastName="Reyes"), at_once)
    assert wire.calls("POST /api/token") == 1, "both lanes share one token"
