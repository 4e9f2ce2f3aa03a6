"""The provider's own technicians: one is hired by the worklist, one by BMS's older API.

Played after the contacts' story, in a tenant of its own, so that neither changes the other's
figures.
"""

from __future__ import annotations

import csv
import io
import time
from typing import Any

from infra.local.admin import Admin, wait_for
from infra.local.bms.control import BmsControl
from infra.local.demo_cast import Tenant, add_person, make_northwind
from infra.local.demo_columns import change_line, say
from infra.local.demo_setup import connect
from infra.local.demo_story import PATIENCE_SECONDS, StoryFailed
from infra.local.entra.control import EntraControl

ADMINISTRATOR = 902
DEFAULTS = {
    "departmentId": 101,
    "locationId": 501,
    "managerId": ADMINISTRATOR,
    "jobTitleId": 201,
    "employmentTypeId": 31,
    "securityRoleId": 302,
    "employeeRoleId": 401,
    "protectedEmployeeIds": [ADMINISTRATOR],
}
_COLUMNS = ("What to do", "Person", "User name", "Job title", "Department", "Not from Entra")


def hire_employees(entra: EntraControl, bms: BmsControl, admin: Admin) -> None:
    """Hire one by the worklist and one by the API; StoryFailed when BMS does not hold them."""
    say("\nThe provider's own people: members of Technicians become employees")
    tenant = make_northwind(entra)
    connection = connect(admin, entra, tenant)
    admin.call("PUT", "/api/employee-defaults", DEFAULTS)
    rule = {
        "connectionId": connection,
        "groupId": tenant.groups["technicians"],
        "order": 1,
        "recordType": "employee",
    }
    admin.call("POST", "/api/mapping-rules", rule)
    admin.sync(connection, "full")

    began = time.monotonic()
    _hire(entra, tenant, "nadia", "Nadia", "Petrova", "Senior Technician", "Projects")
    item = _await(lambda: _item(admin), "the worklist's item of Nadia Petrova")
    line = "on the worklist, every value ready; a paid licence is needed"
    say(change_line("hired", "Nadia Petrova joins Technicians", line, time.monotonic() - began))
    for column, cell in _row(admin).items():
        say(f"{' ' * 15}{column}: {cell}")
    values = {each["field"]: each for each in item["fields"]}
    bms.add_employee(
        first_name=values["FirstName"]["value"],
        last_name=values["LastName"]["value"],
        email=values["EmailAddress"]["value"],
        user_name=values["UserName"]["value"],
        job_title_id=values["JobTitleId"]["id"],
        department_id=values["DepartmentId"]["id"],
    )
    admin.call("POST", "/api/worklist/look", {})
    nadia = _await(lambda: _linked(admin, connection, item["userId"]), "the link of Nadia Petrova")
    done = f"employee {nadia}: BMS shows her, so the item has closed by itself"
    say(change_line("typed in", "an office manager types what the list says", done, None))

    bms.set_switches(v1_employees="write")
    admin.call("PUT", "/api/employee-defaults", {**DEFAULTS, "mode": "api"})
    began = time.monotonic()
    user = _hire(entra, tenant, "oisin", "Oisín", "Byrne", "Technician", "Service Desk")
    record = _await(lambda: _linked(admin, connection, user), "the employee Oisín Byrne")
    made = next((each for each in bms.employees() if each["id"] == record), None)
    if made is None or (made["last_name"], made["security_role_ids"]) != ("Byrne", [302]):
        raise StoryFailed(f"the employee Oisín Byrne is not in BMS as he must be: {made}")
    line = f"new employee {record}, by BMS's older API, which the operator has switched on"
    say(change_line("hired", "Oisín Byrne joins Technicians", line, time.monotonic() - began))
    if admin.call("GET", "/api/worklist")["items"]:
        raise StoryFailed("the worklist was to be empty at the end")


def _hire(
    entra: EntraControl,
    tenant: Tenant,
    key: str,
    first: str,
    last: str,
    title: str,
    department: str,
) -> str:
    props = {
        "displayName": f"{first} {last}",
        "givenName": first,
        "surname": last,
        "mail": f"{key}@{tenant.domain}",
        "jobTitle": title,
        "department": department,
    }
    user = add_person(entra, tenant, key, props)
    entra.add_member(tenant.id, tenant.groups["technicians"], user)
    return user


def _await(look: Any, what: str) -> Any:
    return wait_for(look, PATIENCE_SECONDS, what=what)


def _item(admin: Admin) -> dict[str, Any] | None:
    items: list[dict[str, Any]] = admin.call("GET", "/api/worklist")["items"]
    return items[0] if items else None


def _linked(admin: Admin, connection: str, user: str) -> int | None:
    for link in admin.items("/api/records", connectionId=connection):
        if link["userId"] == user and link["state"] == "active":
            return int(link["recordId"])
    return None


def _row(admin: Admin) -> dict[str, str]:
    """The list's first line, as a spreadsheet shows it."""
    text = admin.text("/api/worklist.csv").removeprefix("\ufeff")
    row = next(csv.DictReader(io.StringIO(text)))
    return {column: row[column] for column in _COLUMNS}
