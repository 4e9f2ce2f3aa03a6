"""The look-up lists and employees that every fresh tenant has.

Ids differ between the lists on purpose: a client that mixes two lists up is found out.
"""

from __future__ import annotations

from infra.local.bms.records import Employee, ListEntry

API_USER_ID = 901
# A person who works in the BMS pages: edits made "by hand" carry this id.
PERSON_ID = 902


def first_lists() -> dict[str, dict[int, ListEntry]]:
    """Return the lists of a fresh tenant, by list name and id."""
    rows = {
        "departments": [
            ListEntry(101, "Service Desk"),
            ListEntry(102, "Projects"),
            ListEntry(103, "Administration"),
            ListEntry(104, "Sales"),
        ],
        "job_titles": [
            ListEntry(201, "Technician"),
            ListEntry(202, "Senior Technician"),
            ListEntry(203, "Project Manager"),
            ListEntry(204, "Office Manager"),
            ListEntry(205, "Telephonist", is_active=False),
        ],
        "security_roles": [
            ListEntry(301, "Administrator", is_system=True),
            ListEntry(302, "Technician"),
            ListEntry(303, "API Integration"),
            ListEntry(304, "Client Portal", is_external=True),
        ],
        "roles": [
            ListEntry(401, "Engineer", is_default=True),
            ListEntry(402, "Consultant"),
        ],
        "own_locations": [
            ListEntry(501, "Head Office", is_main=True),
            ListEntry(502, "Branch North"),
        ],
        "email_types": [
            ListEntry(11, "Work", is_default=True),
            ListEntry(12, "Personal"),
            ListEntry(13, "Other"),
        ],
        "phone_types": [
            ListEntry(21, "Work", is_default=True),
            ListEntry(22, "Mobile"),
            ListEntry(23, "Home"),
            ListEntry(24, "Fax"),
        ],
        "employment_types": [
            ListEntry(31, "Full Time", is_default=True),
            ListEntry(32, "Part Time"),
            ListEntry(33, "Contractor"),
        ],
        "account_types": [
            ListEntry(41, "Customer", is_client=True),
            ListEntry(42, "Prospect"),
            ListEntry(43, "Vendor", is_vendor=True),
        ],
    }
    return {name: {row.id: row for row in each} for name, each in rows.items()}


def first_employees() -> dict[int, Employee]:
    """Return the employees of a fresh tenant: the API user, an administrator, two technicians."""
    people = [
        Employee(
            id=API_USER_ID,
            first_name="Directory",
            last_name="Sync",
            email="directory.sync@msp.example",
            user_name="directory.sync",
            employee_id="E-000",
            job_title_id=204,
            department_id=103,
            location_id=501,
            manager_id=PERSON_ID,
            employment_type_id=31,
            role_ids=(401,),
            security_role_ids=(303,),
            user_type="API Employee",
        ),
        Employee(
            id=PERSON_ID,
            first_name="Olga",
            last_name="Marin",
            email="olga.marin@msp.example",
            user_name="olga.marin",
            employee_id="E-001",
            job_title_id=204,
            department_id=103,
            location_id=501,
            manager_id=None,
            employment_type_id=31,
            role_ids=(402,),
            security_role_ids=(301,),
        ),
        Employee(
            id=903,
            first_name="Tomas",
            last_name="Reyes",
            email="tomas.reyes@msp.example",
            user_name="tomas.reyes",
            employee_id="E-002",
            job_title_id=202,
            department_id=101,
            location_id=501,
            manager_id=PERSON_ID,
            employment_type_id=31,
            role_ids=(401,),
            security_role_ids=(302,),
        ),
        Employee(
            id=904,
            first_name="Ines",
            last_name="Okafor",
            email="ines.okafor@msp.example",
            user_name="ines.okafor",
            employee_id="E-003",
            job_title_id=201,
            department_id=101,
            location_id=502,
            manager_id=903,
            employment_type_id=32,
            role_ids=(401,),
            security_role_ids=(302,),
            is_active=False,
        ),
    ]
    return {each.id: each for each in people}
