"""The provider's own people through all layers: typed in by hand, then by BMS's older API (R26)."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from infra.local.admin import wait_for
from tests.stories.story import BMS_SETTINGS, Story

pytestmark = pytest.mark.world

Json = dict[str, Any]
DOMAIN = "northwind.example"
BOSS = 902
DEFAULTS = {
    "departmentId": 101,
    "locationId": 501,
    "managerId": BOSS,
    "jobTitleId": 201,
    "employmentTypeId": 31,
    "securityRoleId": 302,
    "employeeRoleId": 401,
    "protectedEmployeeIds": [BOSS],
}


class Office:
    """A tenant with two groups: `desk` becomes employees, `friends` contacts."""

    def __init__(self, story: Story) -> None:
        self.story, self.admin, self.bms = story, story.admin, story.bms
        self.admin.call("PUT", "/api/settings/bms", BMS_SETTINGS)
        account = self.bms.add_account("Friends").id
        story.connect(DOMAIN, holdLimit={"count": 100, "percent": 100, "atMost": 100})
        self.admin.call("PUT", "/api/employee-defaults", DEFAULTS)
        self.groups = {
            name: story.entra.add_group(story.tenant, name) for name in ("desk", "friends")
        }
        becomes: dict[str, Json] = {
            "desk": {"recordType": "employee"},
            "friends": {"recordType": "contact", "accountId": account},
        }
        for order, (name, more) in enumerate(becomes.items()):
            rule = {
                "connectionId": story.connection,
                "groupId": self.groups[name],
                "order": order,
                **more,
            }
            self.admin.call("POST", "/api/mapping-rules", rule)
        self.admin.sync(story.connection)

    def hire(self, name: str, group: str = "desk", **props: Any) -> str:
        story = self.story
        given = {
            "displayName": f"{name} Lind",
            "givenName": name,
            "surname": "Lind",
            "mail": f"{name.lower()}@{DOMAIN}",
            **props,
        }
        user = story.entra.add_user(story.tenant, f"{name.lower()}@{DOMAIN}", **given)
        self.join(user, group)
        return user

    def join(self, user: str, group: str = "desk") -> None:
        self.story.entra.add_member(self.story.tenant, self.groups[group], user)

    def leave(self, user: str, group: str = "desk") -> None:
        self.story.entra.remove_member(self.story.tenant, self.groups[group], user)

    def item(self, user: str, kind: str) -> Json:
        def look() -> Json | None:
            found = self.admin.call("GET", "/api/worklist", kind=kind)["items"]
            return next((one for one in found if one["userId"] == user), None)

        return wait_for(look, 30, what=f"an item to {kind} {user}")

    def link(self, user: str, **members: Any) -> Json:
        """The user's link once it has these members."""

        def look() -> Json | None:
            for one in self.admin.items("/api/records", connectionId=self.story.connection):
                if one["userId"] == user and members.items() <= one.items():
                    return one
            return None

        return wait_for(look, 30, what=f"a link of {user} with {members}")

    def type_in(self, item: Json) -> int:
        values = {each["field"]: each for each in item["fields"]}
        return self.bms.add_employee(
            first_name=values["FirstName"]["value"],
            last_name=values["LastName"]["value"],
            email=values["EmailAddress"]["value"],
            user_name=values["UserName"]["value"],
            job_title_id=values["JobTitleId"]["id"],
        )

    def look(self) -> int:
        return int(self.admin.call("POST", "/api/worklist/look", {})["closed"])

    def employee(self, record: int) -> Json:
        return next(one for one in self.bms.employees() if one["id"] == record)


def test_a_technicians_life_by_the_worklist_and_by_the_api_r26(story: Story) -> None:
    office = Office(story)

    # Hired: on the worklist, also as a table; typed in; linked.
    ada = office.hire("Ada", jobTitle="Project Manager", mobilePhone="+4917")
    create = office.item(ada, "create")
    assert office.admin.call("GET", "/api/worklist")["paidLicences"] == {"needed": 1, "freed": 0}
    text = office.admin.text("/api/worklist.csv").removeprefix("\ufeff")
    [row] = csv.DictReader(io.StringIO(text))
    assert (row["Person"], row["Job title"]) == ("Ada Lind", "Project Manager")
    assert row["Mobile phone"] == "'+4917"
    record = office.type_in(create)
    assert office.look() == 1
    office.link(ada, state="active", recordType="employee", recordId=record)

    # Changed: what BMS shows closes by itself.
    story.entra.update_user(story.tenant, ada, surname="Berg", displayName="Ada Berg")
    change = office.item(ada, "change")
    assert [each["field"] for each in change["fields"]] == ["LastName"]
    office.bms.edit_employee(record, last_name="Berg")
    assert office.look() == 1

    # A contact becomes an employee: the contact goes only when the employee is there.
    ben = office.hire("Ben", "friends")
    contact = office.link(ben, state="active", recordType="contact")["recordId"]
    office.join(ben)
    create = office.item(ben, "create")
    assert office.bms.get_contact(contact).is_active
    office.type_in(create)
    office.look()
    office.link(ben, state="active", recordType="employee")
    wait_for(lambda: not office.bms.get_contact(contact).is_active, 30, what="the contact's end")

    # Another manager in Entra is another manager in BMS, seen by the sweep.
    story.entra.update_user(story.tenant, ada, manager=ben)
    office.admin.sync(story.connection, "sweep")
    [field] = office.item(ada, "change")["fields"]
    assert (field["label"], field["value"], field["source"]) == ("Manager", "Ben Lind", "entra")
    office.admin.call("POST", f"/api/worklist/{office.item(ada, 'change')['id']}/done", {})
    office.link(ada, state="active")

    # The operator switches the API on: what waited on the worklist is written by the app.
    cleo = office.hire("Cleo")
    office.item(cleo, "create")
    office.bms.set_switches(v1_employees="write")
    saved = office.admin.call("PUT", "/api/employee-defaults", {**DEFAULTS, "mode": "api"})
    assert (saved["mode"], saved["paidLicences"]["needed"]) == ("api", 1)
    office.admin.sync(story.connection)
    made = office.link(cleo, state="active", recordType="employee")["recordId"]
    assert office.employee(made)["security_role_ids"] == [302]
    office.leave(ada)
    office.link(ada, state="inactive")
    assert not office.employee(record)["is_active"]

    # The route ends half way: the rest waits on the worklist, and everybody is told.
    office.bms.add_fault("error", "POST /api/hr/employees", status=405)
    dan = office.hire("Dan")
    office.item(dan, "create")
    office.link(dan, state="worklist")
    status = office.admin.call("GET", "/api/status")
    assert status["employees"]["mode"] == "worklist"
    assert "405" in status["employees"]["fellBack"]
    assert "attention" in {one["state"] for one in status["connections"]}

    # Nobody was doubled, deleted, or touched who must not be.
    names = [one["user_name"] for one in office.bms.employees()]
    assert len(names) == len(set(names))
    assert not [call for call in office.bms.counters().calls if call.startswith("DELETE")]
    assert office.employee(BOSS)["is_active"]
    assert office.employee(901)["is_active"]
