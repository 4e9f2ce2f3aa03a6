"""v1: signing in, and the employees route that only a switch brings to life.

v1 answers in PascalCase with an envelope of its own. That employees can be written there is not
known from any public source; the members are the mandatory ones of the BMS pages.
"""

from __future__ import annotations

import json
import re
from typing import Any

from infra.local.bms.calls import Call
from infra.local.bms.records import Employee
from infra.local.bms.refusals import SignInRefused, Unreadable, V1Refused
from infra.local.bms.replies import Reply
from infra.local.bms.world import World

_MOST = 100

_LISTS = {
    "JobTitleId": "job_titles",
    "DepartmentId": "departments",
    "LocationId": "own_locations",
    "EmploymentTypeId": "employment_types",
}
_TEXTS = ("UserName", "FirstName", "LastName", "EmployeeId", "EmailAddress")
_USER_TYPES = ("Employee", "External Employee", "API Employee")


def token(call: Call) -> Reply:
    """POST /api/token."""
    form = call.form()
    if form.get("grant_type") != "password":
        raise V1Refused(400, "unsupported_grant_type", "Only the grant type password is known.")
    now = call.world.clock.now()
    try:
        call.service.tokens.sign_in(form, now)
    except SignInRefused as refusal:
        raise V1Refused(400, "invalid_grant", str(refusal)) from refusal
    body = {
        "access_token": call.service.tokens.issue_v1(call.switches, now),
        "token_type": "bearer",
        "expires_in": int(call.switches.v1_token_seconds),
    }
    return Reply(body=json.dumps(body).encode())


def list_employees(call: Call) -> Reply:
    """GET /api/hr/employees, with $top, $skip and a $filter of "Member eq value" terms."""
    world = call.world
    rows = [_row(world, each) for each in world.employees.values()]
    for term in _terms(call.query.text("$filter")):
        rows = [row for row in rows if _holds(row, *term)]
    skip = call.query.integer("$skip") or 0
    top = min(call.query.integer("$top") or _MOST, _MOST)
    return _enveloped(rows[skip : skip + top], total=len(rows))


def create_employee(call: Call) -> Reply:
    """POST /api/hr/employees."""
    world = call.world
    employee = _read(world, _body(call), world.next_employee_id(), None)
    world.employees[employee.id] = employee
    world.version += 1
    return _enveloped(_row(world, employee))


def put_employee(call: Call) -> Reply:
    """PUT /api/hr/employees/{id}: a full replacement."""
    world = call.world
    former = world.employees.get(call.ids[0])
    if former is None:
        raise V1Refused(404, "not_found", f"There is no employee {call.ids[0]}.")
    employee = _read(world, _body(call), former.id, former)
    world.employees[employee.id] = employee
    world.version += 1
    return _enveloped(_row(world, employee))


def _body(call: Call) -> dict[str, Any]:
    try:
        read = call.json()
    except Unreadable as refusal:
        raise V1Refused(400, "bad_request", str(refusal)) from refusal
    if not isinstance(read, dict):
        raise V1Refused(400, "bad_request", "An object is expected.")
    return {str(name).lower(): value for name, value in read.items()}


def _read(world: World, body: dict[str, Any], own_id: int, former: Employee | None) -> Employee:
    wrong: list[str] = []
    texts = {name: body.get(name.lower()) for name in _TEXTS}
    wrong += [name for name, each in texts.items() if not isinstance(each, str) or not each.strip()]
    ids = {name: body.get(name.lower()) for name in _LISTS}
    wrong += [name for name, each in ids.items() if not _known(world, _LISTS[name], each)]
    manager_id = body.get("managerid")
    is_someone = isinstance(manager_id, int) and manager_id in world.employees
    if not is_someone or manager_id == own_id:
        wrong.append("ManagerId")
    role_ids = _ids_in(world, "roles", body.get("employeeroleids"))
    security_role_ids = _ids_in(world, "security_roles", body.get("securityroleids"))
    wrong += [] if role_ids else ["EmployeeRoleIds"]
    wrong += [] if security_role_ids else ["SecurityRoleIds"]
    user_type = body.get("usertype")
    # The kind of a user cannot be changed once he exists.
    if user_type not in _USER_TYPES or (former and former.user_type != user_type):
        wrong.append("UserType")
    is_active = body.get("isactive", False)
    if not isinstance(is_active, bool):
        wrong.append("IsActive")
    if wrong:
        raise V1Refused(400, "validation", f"Missing or not valid: {', '.join(wrong)}.")
    taken = {each.user_name.lower() for each in world.employees.values() if each.id != own_id}
    if str(texts["UserName"]).lower() in taken:
        raise V1Refused(400, "validation", "The user name is taken.")
    return Employee(
        id=own_id,
        first_name=str(texts["FirstName"]),
        last_name=str(texts["LastName"]),
        email=str(texts["EmailAddress"]),
        user_name=str(texts["UserName"]),
        employee_id=str(texts["EmployeeId"]),
        job_title_id=int(str(ids["JobTitleId"])),
        department_id=int(str(ids["DepartmentId"])),
        location_id=int(str(ids["LocationId"])),
        manager_id=manager_id,
        employment_type_id=int(str(ids["EmploymentTypeId"])),
        role_ids=role_ids,
        security_role_ids=security_role_ids,
        user_type=str(user_type),
        is_active=is_active,
    )


def _ids_in(world: World, list_name: str, given: object) -> tuple[int, ...]:
    """Return the ids when all of them are in the list, else nothing."""
    if not isinstance(given, list) or not all(_known(world, list_name, each) for each in given):
        return ()
    return tuple(given)


def _known(world: World, list_name: str, entry_id: object) -> bool:
    return isinstance(entry_id, int) and entry_id in world.lists[list_name]


def _row(world: World, employee: Employee) -> dict[str, Any]:
    return {
        "Id": employee.id,
        "UserName": employee.user_name,
        "FirstName": employee.first_name,
        "LastName": employee.last_name,
        "EmployeeId": employee.employee_id,
        "EmailAddress": employee.email,
        "JobTitleId": employee.job_title_id,
        "JobTitle": world.list_name_of("job_titles", employee.job_title_id),
        "DepartmentId": employee.department_id,
        "LocationId": employee.location_id,
        "ManagerId": employee.manager_id,
        "EmploymentTypeId": employee.employment_type_id,
        "EmployeeRoleIds": list(employee.role_ids),
        "SecurityRoleIds": list(employee.security_role_ids),
        "UserType": employee.user_type,
        "IsActive": employee.is_active,
    }


def _terms(text: str | None) -> list[tuple[str, str]]:
    if text is None:
        return []
    terms: list[tuple[str, str]] = []
    for part in re.split(r"\s+and\s+", text.strip()):
        match = re.fullmatch(r"(\w+)\s+eq\s+(?:'((?:[^']|'')*)'|(\S+))", part)
        if match is None:
            raise V1Refused(400, "bad_request", f"The filter cannot be read: {part}")
        quoted = match.group(2)
        value = match.group(3) if quoted is None else quoted.replace("''", "'")
        terms.append((match.group(1), value))
    return terms


def _holds(row: dict[str, Any], member: str, wanted: str) -> bool:
    held = next((value for name, value in row.items() if name.lower() == member.lower()), None)
    return str(held).lower() == wanted.lower()


def _enveloped(result: Any, total: int | None = None) -> Reply:
    whole: dict[str, Any] = {
        "ResponseCode": 0,
        "Status": "OK",
        "Error": "None",
        "Result": result,
    }
    if total is not None:
        whole["TotalRecords"] = total
    return Reply(body=json.dumps(whole, separators=(",", ":")).encode())
