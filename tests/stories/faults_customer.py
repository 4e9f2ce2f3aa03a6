"""A customer of ten people whose outside services fail: three changes at a time, and what is told.

Many of them live in one world side by side, so each has a tenant, an app registration and a BMS
account of its own and is judged by that account alone.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, field
from typing import Any

from infra.local.admin import Refused, wait_for
from infra.local.bms.control import BmsControl
from infra.local.entra.control import EntraControl
from infra.local.host_process import HostProcess
from infra.local.world import World
from tests.stories.oracle import Rule
from tests.stories.population import Json, Population
from tests.stories.small_customer import NO_HOLD
from tests.stories.story import SECRET, Story

PEOPLE = 10
_SENTENCE = re.compile(r"[A-Z][^<>{}\n]{10,600}[.!?]")
_INSIDE = (
    "HTTP 2",
    "answered 2",
    "Traceback",
    "Error(",
    "Exception",
    "requests.",
    "azure.",
    "urllib3",
    "  File ",
    "None",
)


class AccountView(BmsControl):
    """BMS as one customer's account shows it."""

    account: int | None = None

    def contacts_json(
        self, account_id: int | None = None, is_active: bool | None = None
    ) -> list[Json]:
        """The account's contacts alone."""
        return super().contacts_json(account_id or self.account, is_active)


@dataclass(frozen=True)
class Answered:
    """What a person who asked the admin API was answered."""

    status: int
    sentence: str

    @property
    def plain(self) -> bool:
        """Whether it is a success, or one or more plain sentences and nothing of the inside."""
        if self.status < 400 and not self.sentence:
            return True
        inside = any(word in self.sentence for word in _INSIDE)
        return bool(_SENTENCE.fullmatch(self.sentence)) and not inside


def answered(refused: Refused) -> Answered:
    """A refusal as it was read."""
    return Answered(refused.status, str(refused.problem.get("detail", "")))


@dataclass
class Wave:
    """Whom three changes are about."""

    hired: str
    renamed: str
    leaver: str
    contacts: tuple[int, ...] = ()
    texts: tuple[str, ...] = field(default=())


class FaultCustomer(Story):
    """Ten people in one group that becomes contacts of one account."""

    def __init__(self, world: World, host: HostProcess, name: str) -> None:
        super().__init__(world, host)
        self.domain = f"{name}.example"
        self.entra = EntraControl(world.base_url("entra"))
        self.bms = AccountView(world.base_url("bms"))
        self._application = str(uuid.uuid5(uuid.NAMESPACE_DNS, self.domain))
        self._waves = 0

    def id(self, key: str) -> str:
        """The object id of a person or the group."""
        return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{key}.{self.domain}"))

    # The beginning

    def register(self) -> None:
        """A tenant with an administrator and an app registration, and an account in BMS."""
        self.tenant = self.entra.add_tenant(self.domain)
        callback = f"{self.host.base_url}/OAuth/IntegrationCallback.aspx"
        self.entra.register_app(
            self._application, self.tenant, SECRET, [callback], multi_tenant=True
        )
        boss = self.entra.add_user(self.tenant, f"admin@{self.domain}", displayName="Admin Boss")
        self.entra.set_administrator(self.tenant, boss)
        self.entra.sign_in_as(boss, self.tenant)
        self.account = self.bms.add_account(self.domain).id
        assert isinstance(self.bms, AccountView)
        self.bms.account = self.account

    def draft(self) -> Json:
        """What makes the connection, still to be connected."""
        return {
            "tenantDomain": self.domain,
            "applicationId": self._application,
            "applicationKey": SECRET,
            "mode": "delegated",
            "holdLimit": NO_HOLD,
        }

    def begin(self) -> None:
        """Everything up to the end of the first full sync, which is right."""
        self.register()
        self.connection = str(self.admin.call("POST", "/api/connections", self.draft())["id"])
        page = self.admin.connect(self.connection)
        assert page.status_code == 200, page.text
        self.load_people()
        self.first_sync()

    def load_people(self) -> None:
        """Fill both stand-ins, and save the rule."""
        made = Population()
        for number in range(PEOPLE):
            user = self._user(f"p{number}", number)
            made.users[user["id"]] = user
        made.groups[self.id("staff")] = {
            "id": self.id("staff"),
            "displayName": f"Staff of {self.domain}",
            "kind": "security",
            "createdDateTime": "2024-03-01T08:00:00Z",
            "members": list(made.users),
        }
        former = {"value": f"p9@{self.domain}", "type": 11, "is_default": True}
        made.contacts = [
            {
                "account_id": self.account,
                "first_name": "Typed",
                "last_name": "By hand",
                "emails": [former],
            }
        ]
        self.load(made)
        self.add_rule(Rule(self.id("staff"), 10, self.account))

    def first_sync(self) -> None:
        """The first full sync."""
        run = self.admin.sync(self.connection, timeout=90)
        assert (run["state"], run["failed"]) == ("done", 0), run
        self.oracle.settle(self.linked_first())
        assert self.differences() == []

    # Changes

    def wave(self) -> Wave:
        """Somebody is hired, somebody changes his name and address, and somebody leaves."""
        self._waves += 1
        number = self._waves
        wave = Wave(self.id(f"h{number}"), self.id(f"p{number}"), self.id(f"p{number + 4}"))
        wave.contacts = (self.contact_id(wave.renamed), self.contact_id(wave.leaver))
        wave.texts = (f"H{number}@{self.domain}", *(f"/{each}" for each in wave.contacts))
        return wave

    def happen(self, wave: Wave) -> None:
        """Let the three changes happen now."""
        number = self._waves
        hired = self._user(f"h{number}", 50 + number)
        self.entra.add_user(self.tenant, hired.pop("userPrincipalName"), **hired)
        self.entra.add_member(self.tenant, self.id("staff"), wave.hired)
        self.entra.update_user(
            self.tenant, wave.renamed, surname=f"Née-{number}", mail=f"wed{number}@{self.domain}"
        )
        self.entra.remove_member(self.tenant, self.id("staff"), wave.leaver)
        self.look(wave.hired, wave.renamed, self.id("staff"))
        self.oracle.settle()

    def _user(self, key: str, number: int) -> Json:
        return {
            "id": self.id(key),
            "userPrincipalName": f"{key}@{self.domain}",
            "mail": f"{key.title()}@{self.domain}",
            "displayName": f"{key.title()} Person",
            "givenName": key.title(),
            "surname": "Person",
            "accountEnabled": True,
            "userType": "Member",
            "jobTitle": "Clerk",
            "businessPhones": [f"+49 30 {number:04d}"],
            "mobilePhone": f"+49 171 {number:04d}",
        }

    # What a person sees

    def asks(self, method: str, path: str, body: Any = None) -> Answered:
        """What the admin API answers to one question."""
        try:
            reply = self.admin.call(method, path, body)
        except Refused as refused:
            return answered(refused)
        # What could not be done at once is queued, and the reply says why.
        return Answered(202, str(reply["reason"])) if reply.get("queued") else Answered(200, "")

    def standing(self) -> tuple[str, str | None]:
        """State and reason of the connection."""
        shown = self.admin.call("GET", f"/api/connections/{self.connection}")
        return str(shown["state"]), shown["reason"]

    def troubles(self) -> list[str]:
        """Everything that calls for a person: empty when all is well."""
        state, reason = self.standing()
        found = [] if (state, reason) == ("connected", None) else [f"{state}: {reason}"]
        failures = self.admin.items("/api/failures", connectionId=self.connection)
        found += [f"failure: {each['sentence']}" for each in failures]
        lines = self.admin.items("/api/activity", connectionId=self.connection)
        found += [f"activity: {each['reason']}" for each in lines if each["kind"] == "failure"]
        return found

    def is_well(self, timeout: float = 10) -> None:
        """Nothing calls for a person, at once or as soon as the last work has ended."""
        try:
            wait_for(lambda: not self.troubles(), timeout, every=0.5)
        except TimeoutError:
            raise AssertionError(f"{self.domain}: {self.troubles()}") from None

    def orders(self) -> tuple[str | None, Answered]:
        """Ask for a full sync: its id, or what was answered instead."""
        path = f"/api/connections/{self.connection}/sync"
        try:
            return str(self.admin.call("POST", path, {"kind": "full"})["syncId"]), Answered(202, "")
        except Refused as refused:
            return None, answered(refused)

    def stays_as_it_is(self) -> None:
        """A full sync ends well and has nothing to write."""
        # By number: a request of another customer that hung for long ends late with an early one.
        since = max((each.number for each in self.bms.writes()), default=0)
        run = self.admin.sync(self.connection, timeout=150)
        assert (run["state"], run["failed"]) == ("done", 0), run
        own = {f"/{row['id']}" for row in self.bms.contacts_json()}
        written = [
            f"{each.method} {each.target}"
            for each in self.bms.writes(since)
            if self.domain in str(each.body) or any(one in each.target for one in own)
        ]
        assert not written, f"a full sync wrote again: {written}"
        assert self.differences() == []
