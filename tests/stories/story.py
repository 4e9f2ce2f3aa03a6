"""One connected customer: the local world, a technician's hands, and the oracle beside them."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from infra.local.admin import Admin, wait_for
from infra.local.host_process import HostProcess
from infra.local.world import World
from tests.stories.oracle import MOBILE, WORK, Contact, Oracle, Rule, plain
from tests.stories.population import DOMAIN, Accounts, Json, Population

APPLICATION = "11111111-2222-4333-8444-555555555555"
SECRET = "s3cret-value-~abc"
BMS_SETTINGS: Json = {
    "apiUrl": "https://api.bms.kaseya.com",
    "gatewayUrl": "https://bms.kaseya.com",
    "tenant": "Northwind MSP",
    "userName": "directory.sync",
    "password": "correct horse battery staple",
}
WORK_EMAIL = 11
UNTOUCHED = ("middle_name", "poc", "receive_invoices", "bill_by_contact", "effective_date")


class Story:
    """What happens to one customer, and whether BMS holds what the rules say."""

    def __init__(self, world: World, host: HostProcess) -> None:
        self.world, self.host = world, host
        self.entra, self.bms = world.entra, world.bms
        self.admin = Admin(
            host.base_url,
            world.admin_token,
            proxy=world.proxy_url,
            ca_bundle=str(world.certificates.bundle),
        )
        self.ids: dict[str, int] = {}  # the oracle's key of a contact -> BMS's id
        self.before: dict[int, Json] = {}  # contacts as they were before the app came
        self.ever_linked: set[str] = set()
        self.edited: set[int] = set()  # contacts that somebody has edited by hand since

    # Setting up

    def connect(self, domain: str = DOMAIN, **options: Any) -> str:
        """Make a tenant and a connection to it through the real flow."""
        self.tenant = self.entra.add_tenant(domain)
        callback = f"{self.host.base_url}/OAuth/IntegrationCallback.aspx"
        self.entra.register_app(APPLICATION, self.tenant, SECRET, [callback], multi_tenant=True)
        boss = self.entra.add_user(self.tenant, f"admin@{domain}", displayName="Admin Boss")
        self.entra.set_administrator(self.tenant, boss)
        self.entra.sign_in_as(boss, self.tenant)
        body = {"tenantDomain": domain, "applicationId": APPLICATION, "applicationKey": SECRET}
        body |= {"mode": "delegated", **options}
        self.connection = str(self.admin.call("POST", "/api/connections", body)["id"])
        page = self.admin.connect(self.connection)
        assert page.status_code == 200, page.text
        return self.connection

    def customers(self) -> Accounts:
        """Make the accounts in BMS."""
        first, second, third, other = (
            self.bms.add_account(name).id for name in ("First", "Second", "Third", "Other")
        )
        bare = self.bms.add_account("No main", locations=[]).id
        harbour = self.bms.add_location(bare, "Harbour")
        self.bms.add_location(bare, "Airport")
        branch = self.bms.add_location(second, "Branch")
        depot = self.bms.add_location(second, "Depot")
        return Accounts(first, second, third, branch, depot, bare, harbour, other)

    def load(self, made: Population) -> None:
        """Fill both stand-ins, and tell the oracle."""
        document = {"users": list(made.users.values()), "groups": list(made.groups.values())}
        self.entra.load(self.tenant, document)
        self.bms.add_contacts(made.contacts)
        main = {a.id: [p.id for p in a.locations if p.is_main] for a in self.bms.accounts()}
        self.oracle = Oracle({key: ids[0] if ids else None for key, ids in main.items()})
        self.oracle.users = {key: dict(user) for key, user in made.users.items()}
        self.oracle.groups = {key: dict(group) for key, group in made.groups.items()}
        for contact in self.bms.contacts_json():
            self.before[contact["id"]] = contact
            key = f"old-{contact['id']}"
            self.ids[key] = contact["id"]
            self.oracle.contacts[key] = held(contact)

    def rule_body(self, rule: Rule) -> Json:
        """A rule as the admin API takes it."""
        body: Json = {
            "connectionId": self.connection,
            "groupId": rule.group,
            "order": rule.order,
            "recordType": "contact",
            "accountId": rule.account,
            "includeNested": rule.nested,
            "includeGuests": rule.guests,
            "blockedUsers": rule.blocked,
            "enabled": rule.enabled,
        }
        return body | ({"locationId": rule.location} if rule.location else {})

    def add_rule(self, rule: Rule) -> Rule:
        """Save a rule and tell the oracle."""
        saved = self.admin.call("POST", "/api/mapping-rules", self.rule_body(rule))
        rule = replace(rule, id=saved["id"], age=len(self.oracle.rules) + 100)
        self.oracle.rules.append(rule)
        return rule

    def change_rule(self, group: str, **new: Any) -> None:
        """Change the rule of a group by PUT, which replaces the whole of it."""
        old = next(rule for rule in self.oracle.rules if rule.group == group)
        rule = replace(old, **new)
        self.admin.call("PUT", f"/api/mapping-rules/{rule.id}", self.rule_body(rule))
        self.oracle.rules[self.oracle.rules.index(old)] = rule

    def remove_rule(self, group: str) -> None:
        """Remove the rule of a group."""
        rule = next(rule for rule in self.oracle.rules if rule.group == group)
        self.admin.call("DELETE", f"/api/mapping-rules/{rule.id}")
        self.oracle.rules.remove(rule)

    def replace_rules(self, rules: Iterable[Rule]) -> None:
        """Replace the whole rule set in one step; a rule without an id is new."""
        rules = list(rules)
        items = [{**self.rule_body(rule), **({"id": rule.id} if rule.id else {})} for rule in rules]
        path = f"/api/connections/{self.connection}/mapping-rules"
        saved = self.admin.call("PUT", path, {"items": items})["items"]
        assert len(saved) == len(rules)
        self.oracle.rules = rules

    # Changes

    def known(self, contact_id: int) -> None:
        """Tell the oracle of a contact that somebody has typed into BMS."""
        row = next(row for row in self.bms.contacts_json() if row["id"] == contact_id)
        key = f"old-{contact_id}"
        self.ids[key] = contact_id
        self.before[contact_id] = row
        self.oracle.contacts[key] = held(row)

    def forget(self, user: str) -> None:
        """Tell the oracle that somebody has deleted a user's contact in BMS."""
        key = self.oracle.links[user].key
        del self.oracle.contacts[key], self.ids[key]

    def told_of(self, user: str) -> list[str]:
        """The kinds of what the activity tells of a user."""
        found = self.admin.items("/api/activity", connectionId=self.connection, userId=user)
        return [str(each["kind"]) for each in found]

    def look(self, *keys: str) -> None:
        """Let the oracle see users and groups as they are now."""
        for key in keys:
            now = self.entra.get(self.tenant, key)
            if now["kind"] == "group":
                self.oracle.groups[key]["members"] = now["members"]
            elif now["status"] == "live":
                self.oracle.users[key] = now["props"]
            else:
                self.oracle.users.pop(key, None)

    def edit(self, user: str, **changes: Any) -> None:
        """Edit a user's contact in BMS by hand."""
        key = self.oracle.links[user].key
        self.bms.edit_contact(self.ids[key], **changes)
        self.edited.add(self.ids[key])
        now = self.bms.contacts_json()
        self.oracle.contacts[key] = next(held(c) for c in now if c["id"] == self.ids[key])

    def contact_id(self, user: str) -> int:
        """BMS's id of a user's contact."""
        return self.ids[self.oracle.links[user].key]

    # Judging

    def linked_first(self) -> list[str]:
        """Users in the order in which the app linked them, as far as it tells."""
        found = self.admin.items("/api/records", connectionId=self.connection, limit="500")
        return [str(each["userId"]) for each in found if each.get("recordId")]

    def differences(self) -> list[str]:
        """What BMS holds against the oracle, contact by contact; empty when all is right."""
        rows = {row["id"]: row for row in self.bms.contacts_json()}
        self._learn_ids(rows)
        by_key = {link.key: user for user, link in self.oracle.links.items()}
        self.ever_linked |= by_key.keys()
        found: list[str] = []
        for key, wanted in self.oracle.contacts.items():
            row = rows.pop(self.ids.get(key, 0), None)
            who = f"{key} (user {by_key.get(key)})"
            if row is None:
                found.append(f"{who}: missing: {wanted}")
            elif (actual := held(row)) != wanted:
                odd = [n for n in vars(wanted) if getattr(wanted, n) != getattr(actual, n)]
                pairs = [f"{n}: {getattr(actual, n)!r} not {getattr(wanted, n)!r}" for n in odd]
                found.append(f"{who}: {'; '.join(pairs)}")
            else:
                found += [f"{who}: {each}" for each in self._oddities(row, key in self.ever_linked)]
        found += [f"nobody should be {held(row)}" for row in rows.values()]
        return found

    def settles(self, timeout: float, every: float = 0.25) -> float:
        """Wait until BMS is what the oracle says, and return the seconds; fail with what is not."""
        began = time.monotonic()
        try:
            wait_for(lambda: not self.differences(), timeout, every=every)
        except TimeoutError:
            left = self.differences()
            text = "\n".join(left[:25])
            raise AssertionError(f"{len(left)} differences after {timeout} s:\n{text}") from None
        return time.monotonic() - began

    def nobody_was_deleted(self) -> bool:
        """R16: no PUT and no DELETE has ever reached BMS."""
        return not any(call.startswith(("PUT", "DELETE")) for call in self.bms.counters().calls)

    def _learn_ids(self, rows: Mapping[int, Json]) -> None:
        known = set(self.ids.values())
        new: dict[tuple[int, str], list[int]] = {}
        for row in rows.values():
            if row["id"] not in known:
                new.setdefault((row["account_id"], held(row).default), []).append(row["id"])
        for key, wanted in self.oracle.contacts.items():
            if key not in self.ids and (ids := new.get((wanted.account, wanted.default))):
                self.ids[key] = ids.pop(0)

    def _oddities(self, row: Json, linked: bool) -> Iterable[str]:
        before = self.before.get(row["id"])
        if before and not linked and row != before:
            yield "never linked, yet touched (R10)"
        if before and any(row[name] != before[name] for name in UNTOUCHED):
            yield "a field that is not mapped has changed"
        if linked and len({plain(e["value"]) for e in row["emails"]}) != len(row["emails"]):
            yield "an e-mail twice"
        for name in ("emails", "phones"):
            if row[name] and sum(each["is_default"] for each in row[name]) != 1:
                yield f"not exactly one default of {name}"
        if before or row["id"] in self.edited:
            return
        types = [each["type_id"] for each in row["phones"]]
        if len(set(types)) != len(types) or not {WORK, MOBILE}.issuperset(types):
            yield "a phone type twice, or a strange one"
        if any(each["type_id"] != WORK_EMAIL for each in row["emails"]):
            yield "an e-mail of another type than Work"


def held(row: Json) -> Contact:
    """A contact of BMS as the oracle writes it."""
    emails, phones = row["emails"], row["phones"]
    return Contact(
        row["account_id"],
        row["location_id"],
        row["first_name"] or "",
        row["last_name"] or "",
        row["job_title"] or "",
        row["is_active"],
        next((plain(each["value"]) for each in emails if each["is_default"]), ""),
        {plain(each["value"]) for each in emails},
        {each["type_id"]: each["value"] for each in phones},
    )


def seconds_until(look: Callable[[], Any], timeout: float, what: str) -> float:
    """How long it takes until something is so."""
    began = time.monotonic()
    wait_for(look, timeout, what=what, every=0.1)
    return time.monotonic() - began


def seeded(seed: int) -> random.Random:
    """A source of chance, with the seed on the page for whoever has to repeat it."""
    say(f"seed {seed}")
    return random.Random(seed)


def say(text: str) -> None:
    """A line for whoever looks at the figures (pytest -s, or after a failure)."""
    print(text)  # noqa: T201
