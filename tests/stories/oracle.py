"""What BMS must hold, told from the rules alone: an independent judge of the end state.

It shares no code with the app and none of its ideas: it is given the directory as it is now, walks
over the people one by one and keeps what BMS must then look like. What the rules make depend on
the past (R8, R12, R13, R17, R19) it remembers in `links`. Only one thing is asked of the app: of
users with one address, who was linked first (R9), by the order in which `settle` is given them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

WORK, MOBILE = 21, 22
LONGEST = 100


class Values(NamedTuple):
    """The fields of R11, as computed from Entra."""

    first: str
    last: str
    email: str
    work: str
    mobile: str
    title: str


@dataclass(frozen=True)
class Rule:
    """A mapping rule; `age` is the order in which rules were made."""

    group: str
    order: int
    account: int
    location: int | None = None
    nested: bool = True
    guests: bool = False
    blocked: str = "leave"
    enabled: bool = True
    age: int = 0
    id: str = ""


@dataclass
class Contact:
    """A contact as BMS must hold it; addresses are compared without case and blanks (R6)."""

    account: int
    location: int | None
    first: str = ""
    last: str = ""
    title: str = ""
    active: bool = True
    default: str = ""
    emails: set[str] = field(default_factory=set)
    phones: dict[int, str] = field(default_factory=dict)


@dataclass
class Link:
    """What is remembered of a user: his record, and what was computed when it was last compared."""

    key: str
    rule: Rule
    values: Values
    in_scope: bool = True


def plain(address: str | None) -> str:
    """An address as it is compared."""
    return (address or "").strip().lower()


def addresses(user: dict[str, Any]) -> list[str]:
    """R6, R7: primary address first, then UPN and SMTP aliases; a guest's #EXT# UPN never."""
    upn = user["userPrincipalName"]
    found = [user.get("mail"), None if "#EXT#" in upn else upn]
    found += [a[5:] for a in user.get("proxyAddresses") or () if a.lower().startswith("smtp:")]
    return list(dict.fromkeys(plain(each) for each in found if plain(each)))


def values_of(user: dict[str, Any]) -> Values:
    """R11, with the names derived from displayName where one is missing."""
    *rest, word = (user.get("displayName") or "").split() or [""]
    derived = (" ".join(rest), word) if rest else (word, "-")
    first, last = user.get("givenName") or derived[0], user.get("surname") or derived[1]
    work = (user.get("businessPhones") or [""])[0]
    names = (each[:LONGEST].rstrip() for each in (first, last, user.get("jobTitle") or ""))
    first, last, title = names
    return Values(first, last, addresses(user)[0], work, user.get("mobilePhone") or "", title)


@dataclass(frozen=True)
class Choice:
    """What a person chose for a user among some contacts: one of them, a new one, or none (R9)."""

    among: frozenset[str]
    key: str = ""
    create: bool = False


class Oracle:
    """The directory, the rules and BMS as it must be."""

    def __init__(self, main_locations: dict[int, int | None]) -> None:
        self.main_locations = main_locations
        self.users: dict[str, dict[str, Any]] = {}  # the live ones; a deleted user is not here
        self.groups: dict[str, dict[str, Any]] = {}  # id -> createdDateTime, members
        self.rules: list[Rule] = []
        self.contacts: dict[str, Contact] = {}
        self.links: dict[str, Link] = {}
        self.conflicts: set[str] = set()
        self.skipped: set[str] = set()
        self.choices: dict[str, Choice] = {}
        self.held: set[str] = set()  # may not leave or move before a person says so (R20)
        self.made = 0

    def settle(self, first: Iterable[str] = ()) -> None:
        """Bring everybody to what the rules say; of users with one address `first` go first."""
        self.look()
        self.conflicts, self.skipped = set(), set()
        for user_id in dict.fromkeys([*first, *self.users, *self.links]):
            self.decide(user_id)

    def look(self) -> None:
        """Take users, groups and rules as they are now for what is decided next."""
        self._members: dict[tuple[str, bool], set[str]] = {}
        self._in_order = sorted(
            (rule for rule in self.rules if rule.enabled),
            key=lambda r: (r.order, self.groups[r.group]["createdDateTime"], r.age),
        )

    def winner(self, user_id: str) -> Rule | None:
        """R1, R2, R4: the rule that takes a user."""
        user = self.users.get(user_id, {})
        for rule in self._in_order if user else ():
            guest, blocked = user.get("userType") == "Guest", user.get("accountEnabled") is False
            left_out = (guest and not rule.guests) or (blocked and rule.blocked == "leave")
            if not left_out and user_id in self._people(rule.group, rule.nested):
                return rule
        return None

    def _people(self, group: str, nested: bool) -> set[str]:
        if (group, nested) not in self._members:
            seen, found, todo = {group}, set(), [group]
            while todo:
                for member in self.groups[todo.pop()]["members"]:
                    found.add(member)
                    if nested and member in self.groups and member not in seen:
                        seen.add(member)
                        todo.append(member)
            self._members[group, nested] = found
        return self._members[group, nested]

    def decide(self, user_id: str) -> None:
        """Bring one user to what the rules say."""
        rule, link = self.winner(user_id), self.links.get(user_id)
        goes = rule is None or (link is not None and link.rule.account != rule.account)
        if goes and user_id in self.held:
            return
        if rule is None:  # R16, R17: deactivated, and nothing else
            if link and link.in_scope:
                link.in_scope = False
                if link.key in self.contacts:
                    self.contacts[link.key].active = False
            return
        user = self.users[user_id]
        if not addresses(user):  # R4: skipped, or stays as he is
            self.skipped.add(user_id)
            return
        values = values_of(user)
        held = self.contacts.get(link.key) if link else None
        if link is None or held is None:  # R6, or R8 for a record that is gone
            self._match(user_id, rule, values, old=None)
        elif link.rule.account != rule.account:  # R17: a move to another account
            self._match(user_id, rule, values, old=held)
        elif values != link.values or not link.in_scope:  # R12, R19
            self._write(held, values, link.values)
            self._locate(held, rule)
            self.links[user_id] = Link(link.key, rule, values)
        else:
            if rule.location != link.rule.location:
                self._locate(held, rule)
            link.rule = rule

    def _match(self, user_id: str, rule: Rule, values: Values, old: Contact | None) -> None:
        key = ""
        for address in addresses(self.users[user_id]):
            everywhere = [k for k, c in self.contacts.items() if address in c.emails]
            here = [k for k in everywhere if self.contacts[k].account == rule.account]
            found = here or ([] if old else everywhere)
            if found:
                active = [k for k in found if self.contacts[k].active]
                choice = active or found
                owner = next((u for u, o in self.links.items() if o.key == choice[0]), user_id)
                taken = owner != user_id and self.winner(owner) is not None
                chosen = self.choices.get(user_id)
                if (len(choice) > 1 or taken) and chosen and chosen.among == set(choice):
                    if not chosen.key and not chosen.create:
                        return
                    key = chosen.key
                    break
                if len(choice) > 1 or taken:  # R9
                    self.conflicts.add(user_id)
                    return
                if owner != user_id:
                    del self.links[owner]
                key = choice[0]
                break
        if old and (not key or self.contacts[key] is not old):
            old.active = False
        if not key:
            self.made += 1
            key = f"new-{self.made}"
            self.contacts[key] = Contact(rule.account, self.main_locations[rule.account])
        self._write(self.contacts[key], values, Values("", "", "", "", "", ""))
        self._locate(self.contacts[key], rule)
        self.links[user_id] = Link(key, rule, values)

    def _locate(self, contact: Contact, rule: Rule) -> None:
        # R3: a rule without a location leaves a contact where it is.
        if rule.location is not None and contact.account == rule.account:
            contact.location = rule.location

    def _write(self, contact: Contact, values: Values, ours: Values) -> None:
        contact.active, contact.first, contact.last = True, values.first, values.last
        contact.default = values.email
        contact.emails.add(values.email)
        if values.title or (contact.title == ours.title and ours.title):  # R13
            contact.title = values.title
        phones = ((WORK, values.work, ours.work), (MOBILE, values.mobile, ours.mobile))
        for kind, value, _ in phones:
            if value:
                contact.phones[kind] = value
        for kind, value, former in phones:
            cleared = not value and former and contact.phones.get(kind) == former
            if cleared and len(contact.phones) > 1:  # BMS keeps the last phone (R13)
                del contact.phones[kind]
