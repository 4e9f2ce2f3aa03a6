"""Look-up lists and employees of the BMS stand-in, v1 included."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from infra.local.bms.process import BmsProcess, start_bms
from tests.local.bms_wire import PASSWORD, TENANT, USER, Wire

SELECT = "/v2/hr/employees/searchselect"
EMPLOYEE = {
    "UserName": "nina.patel",
    "FirstName": "Nina",
    "LastName": "Patel",
    "EmployeeId": "E-100",
    "EmailAddress": "nina.patel@msp.example",
    "JobTitleId": 201,
    "DepartmentId": 101,
    "LocationId": 501,
    "ManagerId": 903,
    "EmploymentTypeId": 31,
    "EmployeeRoleIds": [401],
    "SecurityRoleIds": [302],
    "UserType": "Employee",
    "IsActive": True,
}


@pytest.fixture(scope="module")
def running() -> Iterator[BmsProcess]:
    with start_bms() as process:
        yield process


@pytest.fixture
def wire(running: BmsProcess) -> Wire:
    running.control.reset()
    return Wire(running)


class V1:
    """A v1 client: another sign-in, another envelope, PascalCase."""

    def __init__(self, wire: Wire) -> None:
        self._base = wire.url
        form = {"grant_type": "password", "username": USER, "password": PASSWORD, "tenant": TENANT}
        self.token = requests.post(f"{self._base}/api/token", data=form, timeout=5).json()
        self.headers = {"Authorization": f"Bearer {self.token['access_token']}"}

    def call(self, method: str, path: str, body: Any = None, **query: Any) -> requests.Response:
        return requests.request(
            method,
            self._base + path,
            json=body,
            params={f"${name}": value for name, value in query.items()},
            headers=self.headers,
            timeout=5,
        )


@pytest.mark.parametrize(
    ("path", "list_name"),
    [
        ("/v2/admin/hr/departments/lookup", "departments"),
        ("/v2/admin/hr/jobtitles/lookup", "job_titles"),
        ("/v2/admin/security/roles/lookup", "security_roles"),
        ("/v2/system/roles/lookup", "roles"),
        ("/v2/system/locations/lookup", "own_locations"),
        ("/v2/system/accounttypes/lookup", "account_types"),
        ("/v2/system/lookup/EmailType", "email_types"),
        ("/v2/system/lookup/phonetype", "phone_types"),
        ("/v2/system/lookup/EMPLOYMENTTYPE", "employment_types"),
    ],
)
def test_each_list_shows_its_rows_and_what_a_person_adds(
    wire: Wire, path: str, list_name: str
) -> None:
    before = [row["name"] for row in wire.control.lists()[list_name]]

    wire.control.add_list_entry(list_name, "Added")

    assert [row["name"] for row in wire.get(path)] == [*before, "Added"]


def test_type_tables_can_have_other_names_and_be_the_tenants(wire: Wire) -> None:
    wire.control.set_switches(email_type_table="EMailTypes", type_tables_in="tenant")

    assert len(wire.get("/v2/system/tenantlookup/EmailTypes")) == 3
    assert wire.call("GET", "/v2/system/lookup/EmailTypes").status == 404
    assert wire.call("GET", "/v2/system/tenantlookup/EmailType").status == 404


def test_security_roles_are_filtered_and_paged(wire: Wire) -> None:
    path = "/v2/admin/security/roles/lookup"

    assert [row["name"] for row in wire.get(path, Name="portal")] == ["Client Portal"]
    assert len(wire.get(path, PageSize=1, PageNumber=2)) == 1


def test_searchselect_alone_shows_address_title_and_state(wire: Wire) -> None:
    number = wire.control.add_employee(
        first_name="Nina", last_name="Patel", email="nina@msp.example", job_title="Architect"
    )

    rows = wire.get(SELECT, Filter__Filter_Text="NINA@")

    assert [(row["id"], row["jobtitle"], row["isactive"]) for row in rows] == [
        (number, "Architect", True)
    ]
    assert set(wire.get("/v2/hr/employees/lookup")[0]) == {"id", "name"}


def test_searchselect_filters_by_state_and_ids(wire: Wire) -> None:
    assert [row["id"] for row in wire.get(SELECT, Filter__IsActive="false")] == [904]
    assert len(wire.get(SELECT)) == 4
    assert [row["id"] for row in wire.get(SELECT, Filter__Ids=[901, 903])] == [901, 903]


def test_assignees_are_active_people_and_no_api_users(wire: Wire) -> None:
    assert wire.get("/v2/hr/assignees/count") == 2
    assert [row["id"] for row in wire.get("/v2/hr/assignees", Name="reyes")] == [903]
    rows = wire.get("/v2/hr/assignees/lookup", Filter__ExcludedIds="902")
    assert [row["id"] for row in rows] == [903]
    assert [row["name"] for row in wire.get("/v2/hr/assignees/903/roles")] == ["Engineer"]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_employees_cannot_be_written_through_v2(wire: Wire, method: str) -> None:
    for path in ("/v2/hr/employees", "/v2/hr/employees/903", "/v2/hr/employees/lookup"):
        assert wire.call(method, path, {}, check=False).status in (404, 405)


def test_a_person_can_change_and_remove_employees(wire: Wire) -> None:
    wire.control.edit_employee(903, job_title="Technician", is_active=False)
    wire.control.remove_employee(904)

    rows = {row["id"]: row for row in wire.get(SELECT)}
    assert (rows[903]["jobtitle"], rows[903]["isactive"]) == ("Technician", False)
    assert 904 not in rows


def test_v1_signs_in_with_a_token_of_its_own(wire: Wire) -> None:
    v1 = V1(wire)
    wire.control.set_switches(v1_employees="read")

    assert (v1.token["token_type"], v1.token["expires_in"]) == ("bearer", 7775999)
    v1.headers["Authorization"] = str(wire.session.headers["Authorization"])
    assert v1.call("GET", "/api/hr/employees").status_code == 401
    wire.control.set_switches(tokens_interchangeable=True)
    assert v1.call("GET", "/api/hr/employees").status_code == 200


def test_a_wrong_v1_password_is_invalid_grant(wire: Wire) -> None:
    form = {"grant_type": "password", "username": USER, "password": "x", "tenant": TENANT}

    reply = requests.post(f"{wire.url}/api/token", data=form, timeout=5)

    assert (reply.status_code, reply.json()["error"]) == (400, "invalid_grant")


def test_v1_employees_are_404_until_switched_on(wire: Wire) -> None:
    v1 = V1(wire)

    assert v1.call("GET", "/api/hr/employees").status_code == 404
    wire.control.set_switches(v1_employees="read")
    assert v1.call("POST", "/api/hr/employees", EMPLOYEE).status_code == 405
    assert v1.call("PUT", "/api/hr/employees/903", EMPLOYEE).status_code == 404


def test_v1_lists_employees_in_its_own_envelope(wire: Wire) -> None:
    v1 = V1(wire)
    wire.control.set_switches(v1_employees="read")

    page = v1.call("GET", "/api/hr/employees", top=1, skip=1).json()
    found = v1.call("GET", "/api/hr/employees", filter="UserName eq 'tomas.reyes'").json()

    assert (page["ResponseCode"], page["Status"], page["TotalRecords"]) == (0, "OK", 4)
    assert [row["Id"] for row in page["Result"]] == [902]
    assert [row["Id"] for row in found["Result"]] == [903]
    assert v1.call("GET", "/api/hr/employees", filter="UserName like 'x'").status_code == 400


def test_v1_creates_and_replaces_employees_with_the_second_switch(wire: Wire) -> None:
    v1 = V1(wire)
    wire.control.set_switches(v1_employees="write")

    made = v1.call("POST", "/api/hr/employees", EMPLOYEE).json()["Result"]
    path = f"/api/hr/employees/{made['Id']}"
    v1.call("PUT", path, EMPLOYEE | {"JobTitleId": 202, "IsActive": False})

    row = next(row for row in wire.get(SELECT) if row["id"] == made["Id"])
    assert (row["jobtitle"], row["isactive"]) == ("Senior Technician", False)


@pytest.mark.parametrize("missing", [name for name in EMPLOYEE if name != "IsActive"])
def test_v1_refuses_an_employee_without_a_mandatory_member(wire: Wire, missing: str) -> None:
    v1 = V1(wire)
    wire.control.set_switches(v1_employees="write")
    body = {name: value for name, value in EMPLOYEE.items() if name != missing}

    reply = v1.call("POST", "/api/hr/employees", body)

    assert reply.status_code == 400
    assert missing in reply.json()["error_description"]


def test_v1_user_names_are_unique_and_user_types_stay(wire: Wire) -> None:
    v1 = V1(wire)
    wire.control.set_switches(v1_employees="write")
    v1.call("POST", "/api/hr/employees", EMPLOYEE)

    twin = v1.call("POST", "/api/hr/employees", EMPLOYEE | {"UserName": "Nina.Patel"})
    changed = v1.call(
        "PUT", "/api/hr/employees/903", EMPLOYEE | {"UserType": "API Employee", "ManagerId": 902}
    )

    assert "taken" in twin.json()["error_description"]
    assert "UserType" in changed.json()["error_description"]


def test_v1_has_an_hourly_limit_of_its_own(wire: Wire) -> None:
    v1 = V1(wire)
    wire.control.set_switches(v1_employees="read", v1_rate_limit=1)

    statuses = [v1.call("GET", "/api/hr/employees").status_code for _ in range(2)]

    assert statuses == [200, 429]


def test_it_glue_links_are_there_only_while_the_integration_is_on(wire: Wire) -> None:
    link = {"kind": "contacts", "id": 5, "itglue_id": 2**40, "name": "Ada"}
    path = "/v2/integrations/itglue/contacts/5/lookup"
    wire.control.set_itglue(True, [link])

    assert wire.get(path) == {"id": 2**40, "name": "Ada"}
    assert wire.call("GET", "/v2/integrations/itglue/contacts/6/lookup").status == 404
    wire.control.set_itglue(False)
    assert wire.call("GET", path).status == 404
    assert wire.get("/v2/integrations/itglue/status")["isenabled"] is False


def test_the_employee_defaults_of_the_tenant_can_be_read(wire: Wire) -> None:
    defaults = wire.get("/v2/admin/k1/accesscontrol/settings")

    assert (defaults["departmentid"], defaults["securityrolename"]) == (101, "Technician")
