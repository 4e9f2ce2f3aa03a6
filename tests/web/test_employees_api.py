"""/api/employee-defaults, employee rules, /api/worklist and its table (R3, R15, R26)."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from shared.core.employee_fields import ToWrite
from shared.core.messages import decode_sweep_order
from shared.core.model import (
    ConnectionId,
    Employee,
    Link,
    LinkState,
    RecordId,
    RecordType,
    UserId,
)
from shared.core.worklist import Item, ItemKind, switch_off
from shared.errors import PersonMustAct
from shared.ports import SWEEPS, RouteMissing
from shared.web.http import request_from
from tests.fakes import START
from tests.web.world import TOKEN, World, a_connection, a_ready_world, a_rule

DEFAULTS = {
    "departmentId": 101,
    "locationId": 501,
    "managerId": 902,
    "jobTitleId": 201,
    "employmentTypeId": 31,
    "securityRoleId": 302,
    "employeeRoleId": 401,
}
PATH = "/api/employee-defaults"
ADA, BEN = (
    UserId("0a1b2c3d-0000-4000-8000-00000000000a"),
    UserId("0a1b2c3d-0000-4000-8000-00000000000b"),
)


@pytest.fixture
def world() -> World:
    one = a_ready_world()
    one.bms.lookups = {
        "departments": [(101, "Service Desk")],
        "locations": [(501, "Head Office")],
        "employees": [(902, "Olga Marin")],
        "jobtitles": [(201, "Technician")],
        "employmenttypes": [(31, "Full Time")],
        "securityroles": [(302, "Technician")],
        "employeeroles": [(401, "Engineer")],
    }
    one.bms.staff = {
        RecordId(902): Employee(RecordId(902), "Olga", "Marin", "o@x", "olga", "", True),
        RecordId(904): Employee(RecordId(904), "Ines", "Okafor", "i@x", "ines", "", False),
    }
    return one


def put(world: World, **members: Any) -> Any:
    return world.call("PUT", PATH, {**DEFAULTS, **members})


# --- defaults --------------------------------------------------------------------------------


def test_defaults_come_back_as_they_were_put_r3(world: World) -> None:
    answer = put(world, protectedEmployeeIds=[902])

    assert answer.status == 200
    now = world.call("GET", PATH).body
    assert {name: now[name] for name in DEFAULTS} == DEFAULTS
    assert (now["mode"], now["protectedEmployeeIds"]) == ("worklist", [902])
    again = world.call("PUT", PATH, now)
    assert again.status == 200, "what a GET shows can be put back"


def test_before_they_are_set_all_are_empty_and_the_mode_is_worklist_r26(world: World) -> None:
    now = world.call("GET", PATH).body

    assert (now["departmentId"], now["mode"]) == (None, "worklist")
    assert now["paidLicences"] == {"needed": 0, "freed": 0}


@pytest.mark.parametrize("name", list(DEFAULTS))
def test_an_id_that_bms_does_not_know_is_refused_r3(world: World, name: str) -> None:
    answer = put(world, **{name: 4711})

    assert (answer.status, answer.body["field"]) == (422, name)
    assert "4711 is not known to BMS" in answer.body["detail"]
    assert world.employee_defaults.held.values == {}


def test_an_unknown_protected_employee_is_refused_r15(world: World) -> None:
    answer = put(world, protectedEmployeeIds=[902, 4711])

    assert (answer.status, answer.body["field"]) == (422, "protectedEmployeeIds")


def test_an_inactive_manager_is_refused_r3(world: World) -> None:
    world.bms.lookups["employees"].append((904, "Ines Okafor"))

    assert put(world, managerId=904).body["field"] == "managerId"


def test_the_api_mode_needs_protected_employees_r15(world: World) -> None:
    answer = put(world, mode="api")

    assert (answer.status, answer.body["field"]) == (422, "protectedEmployeeIds")
    assert world.writer.probes == 0


def test_the_api_mode_begins_with_a_probe_that_writes_nothing_r26(world: World) -> None:
    answer = put(world, mode="api", protectedEmployeeIds=[902])

    assert (answer.body["mode"], answer.body["fellBack"]) == ("api", None)
    assert (world.writer.probes, world.writer.created) == (1, [])


def test_where_bms_has_no_route_the_mode_stays_worklist_and_that_is_said_r26(
    world: World,
) -> None:
    world.writer.refusal = RouteMissing("BMS answers 404.", "By hand.", code="employee-api")

    answer = put(world, mode="api", protectedEmployeeIds=[902])

    assert (answer.status, answer.body["mode"]) == (200, "worklist")
    assert answer.body["fellBack"] == "BMS answers 404."
    assert answer.body["departmentId"] == 101, "the defaults are saved all the same"
    status = world.call("GET", "/api/status").body["employees"]
    assert (status["mode"], status["fellBack"]) == ("worklist", "BMS answers 404.")


def test_a_refused_sign_in_saves_nothing_r26(world: World) -> None:
    world.writer.refusal = PersonMustAct("BMS refused the sign-in.", "Check it.", code="x")

    answer = put(world, mode="api", protectedEmployeeIds=[902])

    assert (answer.status, answer.body["field"]) == (422, "mode")
    assert world.employee_defaults.held.values == {}


def test_a_changed_default_re_evaluates_whom_it_touches_r5(world: World) -> None:
    for name in ("contoso", "fabrikam"):
        world.connections.held.pop(ConnectionId(name), None)
        world.add(a_connection(name, first_sync_at=START))
    world.call("POST", "/api/mapping-rules", an_employee_rule())
    world.queues.sent.clear()

    put(world)
    put(world)

    orders = [decode_sweep_order(text) for queue, text, _ in world.queues.sent if queue == SWEEPS]
    assert [(one.connection_id, one.kind) for one in orders] == [("contoso", "rules")]


# --- rules -----------------------------------------------------------------------------------


def an_employee_rule(**members: Any) -> dict[str, Any]:
    rule = a_rule(recordType="employee", **members)
    return {name: value for name, value in rule.items() if name != "accountId"}


def test_an_employee_rule_needs_no_account_and_may_override_defaults_r3(world: World) -> None:
    answer = world.call(
        "POST", "/api/mapping-rules", an_employee_rule(employee={"departmentId": 101})
    )

    assert answer.status == 201
    assert answer.body["recordType"] == "employee"
    assert answer.body["employee"] == {"departmentId": 101}
    read = world.call("GET", f"/api/mapping-rules/{answer.body['id']}").body
    assert world.call("PUT", f"/api/mapping-rules/{read['id']}", read).status == 200


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"employee": {"departmentId": 4711}}, "employee.departmentId"),
        ({"employee": {"securityRoleId": 4711}}, "employee.securityRoleId"),
    ],
)
def test_what_cannot_be_in_an_employee_rule_is_refused_r3(
    world: World, members: dict[str, Any], field: str
) -> None:
    answer = world.call("POST", "/api/mapping-rules", an_employee_rule(**members))

    assert (answer.status, answer.body["field"]) == (422, field)


def test_an_employee_rule_names_no_account_and_says_so_r3(world: World) -> None:
    answer = world.call("POST", "/api/mapping-rules", a_rule(recordType="employee", locationId=70))

    assert (answer.status, answer.body["accountId"], answer.body["locationId"]) == (201, None, None)
    assert "belongs to no account" in answer.body["notes"][0]


def test_a_contact_rule_takes_no_employee_values_r3(world: World) -> None:
    rule = a_rule(employee={"departmentId": 101})

    assert world.call("POST", "/api/mapping-rules", rule).body["field"] == "employee"


# --- the worklist ----------------------------------------------------------------------------


def an_item(kind: ItemKind = ItemKind.CREATE, user: UserId = ADA, **fields: Any) -> Item:
    given: dict[str, Any] = {
        "connection_id": ConnectionId("contoso"),
        "user_id": user,
        "kind": kind,
        "basis": "print.settings",
        "at": START,
        "reason": "member of Desk (Order 1)",
        "fields": (
            ToWrite("FirstName", "Ada", "Ada", "entra"),
            ToWrite("DepartmentId", "101", "Service Desk", "default"),
            ToWrite("MobilePhone", "+4917", "+4917", "entra"),
        ),
        "display_name": "Ada Lind",
        "upn": "ada@contoso.example",
        "keys": ("ada@contoso.example",),
        "user_name": "ada@contoso.example",
    }
    return Item(**{**given, **fields})


def a_waiting(world: World, item: Item) -> Item:
    world.worklist.put([item])
    world.links.save(
        [
            Link(
                item.connection_id,
                item.user_id,
                LinkState.WORKLIST if item.kind is ItemKind.CREATE else LinkState.ACTIVE,
                record_type=RecordType.EMPLOYEE,
                record_id=item.record_id,
                task=item.task,
            )
        ]
    )
    return item


def test_the_list_has_every_value_its_source_and_the_licences_r26(world: World) -> None:
    a_waiting(world, an_item())
    a_waiting(
        world,
        an_item(ItemKind.DEACTIVATE, BEN, record_id=RecordId(902), fields=switch_off()),
    )

    body = world.call("GET", "/api/worklist").body

    first, second = body["items"]
    assert (first["kind"], first["needsLicence"], second["kind"]) == ("create", True, "deactivate")
    assert first["fields"][1] == {
        "field": "DepartmentId",
        "label": "Department",
        "value": "Service Desk",
        "id": 101,
        "source": "default",
        "before": None,
        "shownByBms": False,
    }
    assert body["paidLicences"] == {"needed": 1, "freed": 1}
    only = world.call("GET", "/api/worklist?kind=deactivate&limit=1").body
    assert [one["id"] for one in only["items"]] == [second["id"]]
    status = world.call("GET", "/api/status").body["employees"]
    assert (status["openItems"], status["licencesNeeded"]) == (2, 1)


def test_a_tick_links_the_employee_whom_bms_shows_r26(world: World) -> None:
    one = a_waiting(world, an_item())
    path = f"/api/worklist/{one.id}/done"
    early = world.call("POST", path)
    world.bms.staff[RecordId(950)] = Employee(
        RecordId(950), "Ada", "Lind", "ada@contoso.example", "ada", "", True
    )

    answer = world.call("POST", path)

    assert (early.status, answer.status) == (409, 200)
    assert "type him in first" in early.body["detail"]
    link = world.links.get(one.connection_id, ADA)
    assert link is not None
    assert (link.state, link.record_id, link.task) == (LinkState.ACTIVE, 950, "")
    assert world.call("POST", path).status == 404


def test_an_unknown_employee_or_item_is_refused_r26(world: World) -> None:
    one = a_waiting(world, an_item())

    wrong = world.call("POST", f"/api/worklist/{one.id}/done", {"recordId": 4711})
    assert (wrong.status, wrong.body["field"]) == (422, "recordId")
    assert world.call("POST", "/api/worklist/nonsense/done").status == 404
    assert world.call("POST", f"/api/worklist/{one.id}x/dismiss").status == 409


def test_a_dismissed_item_is_gone_and_told_r26(world: World) -> None:
    one = a_waiting(world, an_item())

    assert world.call("POST", f"/api/worklist/{one.id}/dismiss").status == 200

    assert world.call("GET", "/api/worklist").body["items"] == []
    assert [each.kind for each in world.activity.held] == ["skip"]


def test_a_look_closes_what_bms_shows_r26(world: World) -> None:
    off = an_item(ItemKind.DEACTIVATE, record_id=RecordId(904), fields=switch_off())
    a_waiting(world, off)

    assert world.call("POST", "/api/worklist/look").body == {"closed": 1}


# --- the table -------------------------------------------------------------------------------


def table(world: World, *items: Item) -> list[dict[str, str]]:
    for one in items:
        a_waiting(world, one)
    sent = {"Authorization": f"Bearer {TOKEN}"}
    url = "https://sync.example/api/worklist.csv"
    reply = world.api.dispatch(request_from("GET", url, sent, b""))
    assert reply.content_type == "text/csv; charset=utf-8"
    assert dict(reply.headers)["Content-Disposition"].startswith("attachment")
    text = reply.body.decode("utf-8")
    assert text.startswith("\ufeff")
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))


def test_the_table_reads_like_a_list_of_things_to_do_r26(world: World) -> None:
    change = an_item(
        ItemKind.CHANGE,
        BEN,
        record_id=RecordId(902),
        fields=(ToWrite("JobTitleId", "202", "Senior", "entra", "Technician"),),
    )

    ada, ben = table(world, an_item(), change)

    assert (ada["What to do"], ada["Person"]) == ("Create a new employee", "Ada Lind")
    assert (ada["First name"], ada["Department"]) == ("Ada", "Service Desk")
    assert ada["Not from Entra"] == "Department (from the Employee Defaults)"
    assert "paid licence" in ada["Remarks"]
    assert (ben["What to do"], ben["Employee in BMS"]) == ("Change the employee", "902")
    assert (ben["Job title"], ben["Value until now"]) == ("Senior", "Job title: Technician")
    assert ben["Department"] == ""


@pytest.mark.parametrize(
    "evil", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "＝1", '=HYPERLINK("x","y")']
)
def test_no_cell_begins_a_formula_r26(world: World, evil: str) -> None:
    fields = (ToWrite("FirstName", evil, evil, "entra"),)

    [row] = table(world, an_item(display_name=evil, fields=fields, reason=evil, notes=(evil,)))

    assert row["Person"] == row["First name"] == f"'{evil}"
    assert not any(cell.lstrip().startswith(tuple("=+-@＝")) for cell in row.values())


def test_quotes_commas_and_names_of_any_script_survive_r26(world: World) -> None:
    name = 'Þórdís "Disa" 佐藤, GmbH;\nKG'

    [row] = table(world, an_item(display_name=name))

    assert row["Person"] == 'Þórdís "Disa" 佐藤, GmbH; KG'
