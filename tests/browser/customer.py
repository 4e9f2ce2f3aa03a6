"""A customer with something on every page of the console, and hostile names among it.

Names in a directory are whatever somebody typed: here some of them are scripts and tags, in Entra
as well as in BMS. None of them may do anything but be read.
"""

from __future__ import annotations

from typing import Any

from infra.local.admin import wait_for
from tests.stories.story import BMS_SETTINGS, Story

Json = dict[str, Any]
DOMAIN = "contoso.example"
BOSS = 902
SCRIPT = "<script>document.title='owned'</script>"
IMAGE = "\"><img src=x onerror=document.title='owned'>"
TEMPLATE = "{{ 7 * 191 }}' onmouseover='document.title=1"
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
STAFF = 24
LEAVERS = 9


class Customer:
    """The customer's tenant, its people and groups by short names."""

    def __init__(self, story: Story) -> None:
        self.story, self.admin = story, story.admin
        self.entra, self.bms = story.entra, story.bms
        self.admin.call("PUT", "/api/settings/bms", BMS_SETTINGS)
        self.main = self.bms.add_account("Contoso Optics").id
        self.hostile = self.bms.add_account(f"Acme {IMAGE}").id
        self.connection = story.connect(DOMAIN, secretExpiresOn="2027-01-15")
        self.tenant = story.tenant
        self.admin.call("PUT", "/api/employee-defaults", DEFAULTS)
        self.groups = {
            name: self.entra.add_group(self.tenant, words)
            for name, words in {
                "staff": "Optics staff",
                "desk": "Front desk",
                "hostile": f"Group {SCRIPT}",
                "technicians": "Technicians",
            }.items()
        }
        self.entra.add_member(self.tenant, self.groups["staff"], self.groups["desk"])
        self.users: dict[str, str] = {}
        self._people()
        self._rules()
        self._before()

    def settle(self) -> None:
        """The first sync; then a hold, a conflict, a failure, a worklist, and some changes."""
        self.admin.sync(self.connection)
        self._hire("late", "desk", surname="Latecomer", givenName="Lara")
        self.entra.update_user(self.tenant, self.users["staff-1"], jobTitle=f"Clerk {TEMPLATE}")
        self._wait("records", lambda: self._count("/api/records", state="active") >= STAFF, 60)
        for number in range(10, 10 + LEAVERS):
            self.entra.remove_member(
                self.tenant, self.groups["staff"], self.users[f"staff-{number}"]
            )
        self.admin.call("POST", f"/api/connections/{self.connection}/sync", {"kind": "full"})
        self._wait("a hold", lambda: self._waiting()["heldPeople"] >= LEAVERS, 90)
        self._wait("a conflict", lambda: self._waiting()["conflicts"] >= 1, 30)
        self._wait("a failure", lambda: self._waiting()["failures"] >= 1, 60)
        self._wait("the worklist", lambda: self._waiting()["worklist"] >= 1, 60)

    def _people(self) -> None:
        for number in range(STAFF):
            self._hire(f"staff-{number}", "staff", surname=f"Person {number:02d}")
        self._hire("desk", "desk", surname="Desk", givenName="Dora")
        self._hire("script", "hostile", givenName=SCRIPT, surname=IMAGE)
        self._hire("double", "staff", surname="Double", givenName="Dana")
        self._hire("refused", "staff", surname="Refused", givenName="Rita")
        self._hire("guest", "staff", surname="Guest", givenName="Gus", userType="Guest")
        self._hire("technician", "technicians", surname="Technician", givenName=f"Tom {IMAGE}")

    def _hire(self, key: str, group: str, **props: Any) -> None:
        given = {
            "givenName": "Ines",
            "mail": f"{key}@{DOMAIN}",
            "jobTitle": "Clerk",
            "mobilePhone": "+49 170 1",
            **props,
        }
        given["displayName"] = f"{given['givenName']} {given['surname']}"
        self.users[key] = self.entra.add_user(self.tenant, f"{key}@{DOMAIN}", **given)
        self.entra.add_member(self.tenant, self.groups[group], self.users[key])

    def _rules(self) -> None:
        becomes: dict[str, Json] = {
            "hostile": {"recordType": "contact", "accountId": self.hostile},
            "staff": {"recordType": "contact", "accountId": self.main},
            "technicians": {"recordType": "employee"},
        }
        for order, (name, more) in enumerate(becomes.items(), 1):
            rule = {
                "connectionId": self.connection,
                "groupId": self.groups[name],
                "order": order * 10,
                **more,
            }
            self.admin.call("POST", "/api/mapping-rules", rule)

    def _before(self) -> None:
        """Two contacts with one address, and one person whom BMS will refuse."""
        for name in ("Dana", "Dana Maria"):
            self.bms.add_contacts(
                [
                    {
                        "account_id": self.main,
                        "first_name": name,
                        "last_name": f"Double {IMAGE}",
                        "emails": [{"value": f"double@{DOMAIN}", "type": 11, "is_default": True}],
                        "phones": [],
                    }
                ]
            )
        self.bms.add_fault(
            "refused_in_200", "POST /v2/crm/contacts/summary", contains=f"refused@{DOMAIN}"
        )

    def _count(self, path: str, **query: str) -> int:
        return len(self.admin.items(path, connectionId=self.connection, **query))

    def _waiting(self) -> Json:
        found: Json = self.admin.call("GET", "/api/waiting")
        return found

    def _wait(self, what: str, look: Any, seconds: float) -> None:
        wait_for(look, seconds, what=what, every=0.3)
