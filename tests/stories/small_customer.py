"""A small customer with one person for every trait, and one change for every kind of change.

What the big population does by chance happens here once each, so that a whole story takes seconds
and can be told again with outside services that answer in another way.
"""

from __future__ import annotations

import uuid
from typing import Any

from tests.stories.oracle import Rule
from tests.stories.population import Accounts, Json, Population
from tests.stories.story import Story

NO_HOLD = {"count": 10_000, "percent": 100, "atMost": 10_000}
STAFF = [
    "plain",
    "renames",
    "mails",
    "unphoned",
    "untitled",
    "rephoned",
    "blocks",
    "leaves",
    "moves",
    "deleted",
    "erased",
    "blocked",
    "guest_out",
    "alias",
    "dormant",
    "double",
    "elsewhere",
    "second_mail",
    "no_mail",
    "no_name",
    "only_phone",
]
INNER = ["inner", "inner_leaves", "unicode"]
LEADS = ["lead", "both"]
GUESTS = ["guest"]


class SmallCustomer:
    """Twenty-seven people in four groups, three rules, and what BMS held before."""

    def __init__(self, story: Story, domain: str, *, former: bool = True, **options: Any) -> None:
        """Connect and load; without `former` BMS is empty before."""
        self.story, self.domain, self._former = story, domain, former
        self.at: Accounts = story.customers()
        story.connect(domain, holdLimit=NO_HOLD, **options)
        self.load()

    def id(self, key: str) -> str:
        """The object id of a person or group."""
        return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{key}.{self.domain}"))

    def load(self) -> None:
        """Fill both stand-ins, and save the rules."""
        made = Population()
        for number, key in enumerate([*STAFF, *INNER, *LEADS, *GUESTS]):
            user = self._user(key, number)
            made.users[user["id"]] = user
        members = {
            "staff": [*STAFF, "both", "inner_group"],
            "inner_group": INNER,
            "leads": LEADS,
            "guests": GUESTS,
        }
        for day, (key, keys) in enumerate(members.items(), 1):
            made.groups[self.id(key)] = {
                "id": self.id(key),
                "displayName": f"{key} of {self.domain}",
                "kind": "m365" if key == "leads" else "security",
                "createdDateTime": f"2024-03-{day:02d}T08:00:00Z",
                "members": [self.id(each) for each in keys],
            }
        made.contacts = self._former_contacts() if self._former else []
        self.story.load(made)
        self.story.add_rule(Rule(self.id("staff"), 20, self.at.first))
        self.story.add_rule(Rule(self.id("leads"), 10, self.at.second, location=self.at.branch))
        self.story.add_rule(Rule(self.id("guests"), 30, self.at.first, guests=True))

    def sync(self, timeout: float = 60) -> Json:
        """A full sync; the oracle follows the order in which the app linked."""
        run = self.story.admin.sync(self.story.connection, timeout=timeout)
        self.story.oracle.settle(self.story.linked_first())
        return run

    # The changes

    def wave(self) -> None:
        """One change of every kind."""
        self.update("renames", givenName="Ðora", surname="O'Néw", displayName="Ðora O'Néw")
        self.update("mails", mail=f"New.Mail@{self.domain}")
        self.update("unphoned", businessPhones=[])
        self.update("untitled", jobTitle=None)
        self.update("rephoned", businessPhones=["+44 20 1"], mobilePhone="+44 77 1")
        self.update("second_mail", mail=f"third@{self.domain}")
        self.update("only_phone", businessPhones=[])
        self.update("blocks", accountEnabled=False)
        self.join("leads", "moves")
        self.leave("staff", "moves")
        self.leave("staff", "leaves")
        self.leave("inner_group", "inner_leaves")
        self.story.entra.soft_delete(self.story.tenant, self.id("deleted"))
        self.story.entra.hard_delete(self.story.tenant, self.id("erased"))
        self.story.look(self.id("deleted"), self.id("erased"))
        user = self._user("hired", 90)
        self.story.entra.add_user(self.story.tenant, user.pop("userPrincipalName"), **user)
        self.story.look(self.id("hired"))
        self.join("inner_group", "hired")
        self.story.look(*self.story.oracle.groups)
        self.story.oracle.settle()

    def returns(self) -> None:
        """Who left comes back, and some are changed again."""
        self.update("blocks", accountEnabled=True)
        self.join("staff", "leaves")
        self.story.entra.restore(self.story.tenant, self.id("deleted"))
        self.story.look(self.id("deleted"))
        self.update("mails", mail=f"Newest.Mail@{self.domain}", jobTitle="Twice")
        self.update("only_phone", mobilePhone="+49 171 1")
        self.update("unphoned", businessPhones=["+49 30 777"])
        self.story.oracle.settle()

    def update(self, key: str, **props: Any) -> None:
        """Change a person."""
        self.story.entra.update_user(self.story.tenant, self.id(key), **props)
        self.story.look(self.id(key))

    def join(self, group: str, key: str) -> None:
        """Make a person a member of a group."""
        self.story.entra.add_member(self.story.tenant, self.id(group), self.id(key))
        self.story.look(self.id(group))

    def leave(self, group: str, key: str) -> None:
        """End a membership."""
        self.story.entra.remove_member(self.story.tenant, self.id(group), self.id(key))
        self.story.look(self.id(group))

    # What there is

    def _user(self, key: str, number: int) -> Json:
        user: Json = {
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
        special: dict[str, Json] = {
            "guest": {"userType": "Guest", "userPrincipalName": f"g_out#EXT#@{self.domain}"},
            "guest_out": {"userType": "Guest"},
            "blocked": {"accountEnabled": False},
            "alias": {"proxyAddresses": [f"smtp:old.alias@{self.domain}", f"SIP:x@{self.domain}"]},
            "no_mail": {"mail": None},
            "no_name": {"givenName": None, "surname": None, "displayName": "Ada van der Berg"},
            "only_phone": {"mobilePhone": None},
            "unicode": {
                "givenName": "美咲",
                "surname": "Nguyễn-Åström",
                "jobTitle": "Büro & Lager",
            },
            "inner": {"jobTitle": None, "businessPhones": [], "mobilePhone": None},
        }
        user |= special.get(key, {})
        # A property that never had a value is absent from a delta reply, not null.
        return {name: value for name, value in user.items() if value is not None and value != []}

    def _former_contacts(self) -> list[Json]:
        def contact(account: int, *emails: str, **more: Any) -> Json:
            return {
                "account_id": account,
                "first_name": "Typed",
                "last_name": "By hand",
                "emails": [
                    {"value": f"{each}@{self.domain}", "type": 11, "is_default": not place}
                    for place, each in enumerate(emails)
                ],
                "phones": [{"value": "+1 555 1", "type": 24, "is_default": True}],
                **more,
            }

        first = self.at.first
        # The only place from which the phone types can be learnt where BMS has no tables of them.
        both = [
            {"value": "+1 555 2", "type": 21, "is_default": True},
            {"value": "+1 555 3", "type": 22, "is_default": False},
        ]
        return [
            contact(first, "old.alias"),
            contact(first, "dormant", is_active=False),
            contact(first, "double"),
            contact(first, "double", phones=[]),
            contact(self.at.other, "Elsewhere"),
            contact(first, "private", "SECOND_MAIL", job_title="Kept"),
            contact(self.at.other, "both", is_active=False),
            contact(first, "xplain", phones=[]),
            contact(first, "plain.x", phones=both),
        ]
