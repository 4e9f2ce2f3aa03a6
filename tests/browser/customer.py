"""A customer with something on every page of the console, and hostile names among it.

Names in a directory are whatever somebody typed: here some of them are scripts and tags, in Entra
as well as in BMS. None of them may do anything but be read.
"""

from __future__ import annotations

from typing import Any

from infra.local.admin import wait_for
from infra.local.demo_itglue import switch_on
from tests.stories.story import APPLICATION, BMS_SETTINGS, SECRET, Story

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
        draft = {
            "tenantDomain": "draft-of-a-very-long-domain-name.example",
            "applicationId": APPLICATION,
            "applicationKey": SECRET,
        }
        self.draft = str(self.admin.call("POST", "/api/connections", draft)["id"])
        self.admin.call("PUT", "/api/employee-defaults", DEFAULTS)
        switch_on(
            self.admin,
            story.world.itglue,
            "Contoso Optics",
            self.main,
            ("Ada", "Elsewhere", f"ada@{DOMAIN}"),
        )
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
        self.hire("late", "desk", surname="Latecomer", givenName="Lara")
        self.entra.update_user(self.tenant, self.users["staff-1"], jobTitle=f"Clerk {TEMPLATE}")
        self._wait("records", lambda: self._count("/api/records", state="active") >= STAFF, 60)
        # Told of one by one, the first would go: read together, they are all held (R20).
        self.entra.switch(notify_loss_rate=1.0)
        leavers = [self.users[f"staff-{number}"] for number in range(10, 10 + LEAVERS)]
        self.entra.remove_members(self.tenant, self.groups["staff"], leavers)
        self.admin.call("POST", f"/api/connections/{self.connection}/sync", {"kind": "full"})
        self._wait("a hold", lambda: self._waiting()["heldPeople"] >= LEAVERS, 90)
        self.entra.switch(notify_loss_rate=0.0)
        self._wait("a conflict", lambda: self._waiting()["conflicts"] >= 1, 30)
        self._wait("a failure", lambda: self._waiting()["failures"] >= 1, 60)
        self._wait("the worklist", lambda: self._waiting()["worklist"] >= 1, 60)
        self._by_hand()
        self._take_back()

    def record_of(self, key: str) -> Json | None:
        """What the app has linked this person to."""
        found = self.admin.items(
            "/api/records", connectionId=self.connection, q=f"{key}@{DOMAIN}", limit="10"
        )
        return next((each for each in found if each["userId"] == self.users[key]), None)

    def state_of(self, key: str) -> str:
        """The state of this person's record; empty without one."""
        record = self.record_of(key)
        return str(record["state"]) if record else ""

    def lines(self, key: str, kind: str) -> list[Json]:
        """What the activity tells of this person."""
        return self.admin.items(
            "/api/activity", connectionId=self.connection, userId=self.users[key], kind=kind
        )

    def places(self) -> dict[str, str]:
        """What an address of the console may hold, by name."""
        people = f"/console/people/{self.connection}"
        syncs = self.admin.items("/api/syncs", connectionId=self.connection)
        return {
            "connection": f"/console/connections/{self.connection}",
            "id": self.connection,
            "draft": f"/console/connections/{self.draft}",
            "draft_id": self.draft,
            "conflict": str(self.admin.items("/api/conflicts")[0]["id"]),
            "sync": next(str(each["id"]) for each in syncs if each["kind"] == "full"),
            "undone": self.undone,
            "account": str(self.hostile),
            "people": people,
            **{key.replace("-", "_"): f"{people}/{user}" for key, user in self.users.items()},
        }

    def _by_hand(self) -> None:
        """Somebody edits a contact in BMS."""
        record = self.record_of("staff-2")
        assert record is not None
        self.bms.edit_contact(int(record["recordId"]), job_title=f"Boss {IMAGE}")

    def _take_back(self) -> None:
        """A change of one person, undone."""
        self.entra.update_user(self.tenant, self.users["staff-3"], jobTitle=f"Cook {SCRIPT}")
        self._wait("the change", lambda: self.lines("staff-3", "update"), 60)
        line = self.lines("staff-3", "update")[0]
        reply = self.admin.call("POST", f"/api/activity/{line['id']}/undo")
        self.undone = str(reply["syncId"])

    def _people(self) -> None:
        for number in range(STAFF):
            self.hire(f"staff-{number}", "staff", surname=f"Person {number:02d}")
        self.hire("desk", "desk", surname="Desk", givenName="Dora")
        self.hire("script", "hostile", givenName=SCRIPT, surname=IMAGE)
        self.hire("double", "staff", surname="Double", givenName="Dana")
        self.hire("refused", "staff", surname="Refused", givenName="Rita")
        self.hire("guest", "staff", surname="Guest", givenName="Gus", userType="Guest")
        self.hire("technician", "technicians", surname="Technician", givenName=f"Tom {IMAGE}")

    def hire(self, key: str, group: str, **props: Any) -> None:
        """Make a person in Entra, a member of this group."""
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
