"""A customer with something in every list of the admin API, so that made-up calls meet things.

A hold, a conflict, a failure, work to type in, people linked, IT Glue on; and drafts to spare, for
calls that delete and change.
"""

from __future__ import annotations

from typing import Any

from infra.local.admin import wait_for
from tests.stories.population import Json
from tests.stories.story import APPLICATION, BMS_SETTINGS, Story
from tests.stories.test_employees import DEFAULTS

DOMAIN = "described.example"
LONG = "L" * 60
SPARE = 6
PREVIEW = "/api/mapping-rules/preview"


class DescribedCustomer:
    """Everything that the lists can show."""

    def __init__(self, story: Story) -> None:
        self.story, self.admin, self.bms = story, story.admin, story.bms
        self.admin.call("PUT", "/api/settings/bms", BMS_SETTINGS)
        self.account = self.bms.add_account("Described").id
        self.connection = story.connect(DOMAIN, holdLimit={"count": 0, "percent": 0, "atMost": 0})
        self.admin.call("PUT", "/api/employee-defaults", DEFAULTS)
        self.people = [self._add(f"p{number}") for number in range(6)]
        desk = [self._add(f"d{number}") for number in range(4)]
        self.bms.set_switches(max_lengths={"FirstName": 30})
        failing = self._add("long", givenName=LONG)
        doubled = self._add("double")
        email = {"value": f"double@{DOMAIN}", "type": 11, "is_default": True}
        twin = {"account_id": self.account, "first_name": "Typed", "last_name": "By hand"}
        self.bms.add_contacts([{**twin, "emails": [email]}, {**twin, "emails": [email]}])
        entra, tenant = story.entra, story.tenant
        self.staff = entra.add_group(tenant, "Staff", members=[*self.people, failing, doubled])
        self.desk = entra.add_group(tenant, "Desk", members=desk)
        self.rules = [
            self._rule(self.staff, 10, recordType="contact", accountId=self.account),
            self._rule(self.desk, 20, recordType="employee"),
        ]
        self._switch_it_glue_on()
        self.drafts = [self._draft(number) for number in range(SPARE)]
        self.sync = str(self.admin.sync(self.connection, timeout=90)["id"])
        for person in self.people[:3]:
            entra.remove_member(tenant, self.staff, person)
        self.admin.sync(self.connection, timeout=90)
        wait_for(lambda: self._ids("/api/holds"), 30, what="a hold")
        wait_for(lambda: self._ids("/api/worklist"), 30, what="work to type in")
        first = self._undoable()[0]
        self.undo = str(self.admin.call("POST", f"/api/activity/{first}/undo")["syncId"])
        self.preview = str(self.admin.call("POST", PREVIEW, self._rule_set())["previewId"])

    def known(self) -> dict[str, list[str]]:
        """Ids that mean something now, by the name of a path parameter."""
        return {
            "connectionId": [self.connection],
            "ruleId": self._ids("/api/mapping-rules"),
            "syncId": self._ids("/api/syncs"),
            "holdId": self._ids("/api/holds"),
            "conflictId": self._ids("/api/conflicts"),
            "failureId": self._ids("/api/failures"),
            "activityId": self._undoable(),
            "previewId": [self.preview],
            "itemId": self._ids("/api/worklist"),
            "user": [*self.people[3:], f"p4@{DOMAIN}"],
        }

    def fitting(self, operation: str, number: int) -> Json:
        """Members with which a body of this operation can be taken."""
        rule = {
            "connectionId": self.connection,
            "groupId": self.desk if number % 2 else self.staff,
            "recordType": "contact",
            "accountId": self.account,
            "locationId": None,
            "employee": None,
            "id": None,
        }
        conflict = self.admin.items("/api/conflicts")[0]
        fitting: dict[str, Json] = {
            "POST /api/connections": {"tenantDomain": f"new{number}.example"},
            "PATCH /api/connections/{connectionId}": {"tenantDomain": f"other{number}.example"},
            "POST /api/mapping-rules": rule,
            "PUT /api/mapping-rules/{ruleId}": rule,
            "PUT /api/connections/{connectionId}/mapping-rules": {
                "items": [{**rule, "order": 1}],
                "confirm": None,
                "nextCursor": None,
            },
            f"POST {PREVIEW}": self._rule_set(),
            "PUT /api/settings/bms": BMS_SETTINGS,
            "PUT /api/settings/itglue": self._it_glue(),
            "PUT /api/employee-defaults": {**DEFAULTS, "mode": "worklist"},
            "POST /api/conflicts/{conflictId}/resolve": {
                "recordId": conflict["recordIds"][0],
                "create": False,
                "ignore": False,
            },
            "POST /api/holds/{holdId}/approve": {"users": None},
            "POST /api/holds/{holdId}/refuse": {"users": None},
            "POST /api/failures/replay": {"connectionId": self.connection},
            "POST /api/import": {"configuration": self.admin.call("GET", "/api/export")},
            "POST /api/worklist/{itemId}/done": {"recordId": 903},
        }
        return fitting.get(operation, {})

    def _undoable(self) -> list[str]:
        lines = self.admin.items("/api/activity", connectionId=self.connection)
        return [str(each["id"]) for each in lines if each["undoable"]]

    def _rule_set(self) -> Json:
        rule = {"groupId": self.staff, "recordType": "contact", "accountId": self.account}
        items = [{**rule, "order": 1}]
        return {"connectionId": self.connection, "items": items, "nextCursor": None}

    def _it_glue(self) -> Json:
        key = self.story.world.itglue.key
        return {"enabled": True, "apiUrl": "https://api.itglue.com", "apiKey": key}

    def _ids(self, path: str) -> list[str]:
        return [str(each["id"]) for each in self.admin.items(path)]

    def _add(self, name: str, **props: Any) -> str:
        given = {"displayName": f"{name.title()} Person", "mail": f"{name}@{DOMAIN}", **props}
        return self.story.entra.add_user(self.story.tenant, f"{name}@{DOMAIN}", **given)

    def _rule(self, group: str, order: int, **members: Any) -> str:
        body = {"connectionId": self.connection, "groupId": group, "order": order, **members}
        return str(self.admin.call("POST", "/api/mapping-rules", body)["id"])

    def _draft(self, number: int) -> str:
        body: Json = {
            "tenantDomain": f"draft{number}.example",
            "applicationId": APPLICATION,
            "applicationKey": "a-key-of-a-draft",
        }
        return str(self.admin.call("POST", "/api/connections", body)["id"])

    def _switch_it_glue_on(self) -> None:
        glue = self.story.world.itglue
        glue.add_organization("Described")
        self.admin.call("PUT", "/api/settings/itglue", self._it_glue())
