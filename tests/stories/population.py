"""A customer's directory and the BMS that was there before: 2,000 people with every awkward trait.

Everything follows from one seed. Traits that would make the order of processing decide (shared
addresses) are kept in a list of their own; all other people have addresses of their own.
"""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass, field
from typing import Any

from tests.stories.oracle import Rule

DOMAIN = "contoso.example"
GIVEN = [
    "Ada",
    "Bruno",
    "Zoë",
    "Søren",
    "Łukasz",
    "Ингрид",
    "美咲",
    "Ñandú",
    "Élodie",
    "Jürgen",
    "محمد",
    "Ökkeş",
    "Dmitri",
    "Sinéad",
]
FAMILY = [
    "Müller",
    "O'Brien",
    "Kowalski",
    "Nguyễn",
    "田中",
    "García-López",
    "Иванов",
    "Åström",
    "D'Angelo",
    "Smith",
    "Öz",
]
GROUPS = 20

Json = dict[str, Any]


@dataclass
class Population:
    """What is loaded into the stand-ins before the story begins."""

    users: dict[str, Json] = field(default_factory=dict)
    groups: dict[str, Json] = field(default_factory=dict)
    rules: list[Rule] = field(default_factory=list)
    contacts: list[Json] = field(default_factory=list)  # as BmsControl.add_contacts takes them
    shared: list[list[str]] = field(default_factory=list)  # users with one address

    def __post_init__(self) -> None:
        self.ids: list[str] = []


@dataclass(frozen=True)
class Accounts:
    """The customers in BMS; the last has two locations and no main one, nobody is in `other`."""

    first: int
    second: int
    third: int
    branch: int  # a location of the second
    depot: int  # another one
    no_main: int
    harbour: int  # a location of the one without a main location
    other: int


def guid(chance: random.Random) -> str:
    """A made-up object id."""
    return str(uuid.UUID(int=chance.getrandbits(128), version=4))


def populate(chance: random.Random, accounts: Accounts, people: int) -> Population:
    """Make everything up."""
    made = Population()
    group_ids = [guid(chance) for _ in range(GROUPS)]
    for place, group_id in enumerate(group_ids):
        # Group 8 is older than group 7, which is listed first.
        day = 28 - place if place in (7, 8) else 1 + place
        made.groups[group_id] = {
            "id": group_id,
            "displayName": f"Group {place} – «Ünïted»",
            "kind": "m365" if place == 14 else "security",
            "createdDateTime": f"2024-03-{day:02d}T08:00:00Z",
            "members": [],
        }
    made.ids = group_ids
    made.rules = _rules(group_ids, accounts)
    for number in range(people):
        user = _user(chance, number)
        made.users[user["id"]] = user
        for place in _places(chance, number):
            made.groups[group_ids[place]]["members"].append(user["id"])
    _nest(made.groups, group_ids)
    _share(chance, made, group_ids)
    _former_contacts(chance, made, accounts)
    return made


def _rules(ids: list[str], at: Accounts) -> list[Rule]:
    rules = [
        Rule(ids[0], 50, at.first),  # everybody below 0 > 1 > 2 > 3
        Rule(ids[4], 40, at.second),  # 3 is nested here too
        Rule(ids[5], 30, at.third, nested=False),  # 6 is nested and must not count
        Rule(ids[7], 20, at.first),  # a tie with 8, which is older
        Rule(ids[8], 20, at.second),
        Rule(ids[9], 45, at.third, guests=True),
        Rule(ids[10], 15, at.first, blocked="sync"),
        Rule(ids[10], 15, at.third, blocked="sync"),  # all equal: the older rule wins
        Rule(ids[11], 10, at.first),  # the same group twice: members here,
        Rule(ids[11], 11, at.second, guests=True, blocked="sync"),  # guests and blocked there
        Rule(ids[12], 35, at.second, location=at.branch),
        Rule(ids[13], 34, at.no_main, location=at.harbour),
        Rule(ids[14], 60, at.second),  # a Microsoft 365 group
        Rule(ids[15], 55, at.third),  # 15 > 16 > 15, a ring
        Rule(ids[17], 1, at.other, enabled=False),
        Rule(ids[19], 2, at.third),  # empty
    ]
    return [Rule(**{**rule.__dict__, "age": age}) for age, rule in enumerate(rules)]


def _places(chance: random.Random, number: int) -> list[int]:
    if chance.random() < 0.04:
        return []
    first = number % 19
    more = [chance.randrange(19) for _ in range(chance.choice((0, 0, 0, 1, 1, 2)))]
    return list(dict.fromkeys([first, *more]))


def _nest(groups: dict[str, Json], ids: list[str]) -> None:
    for outer, inner in ((0, 1), (1, 2), (2, 3), (4, 3), (5, 6), (15, 16), (16, 15)):
        groups[ids[outer]]["members"].append(ids[inner])


def _user(chance: random.Random, number: int) -> Json:
    given, family = chance.choice(GIVEN), chance.choice(FAMILY)
    upn = f"u{number}@{DOMAIN}"
    user: Json = {
        "id": guid(chance),
        "userPrincipalName": upn,
        "mail": upn if chance.random() < 0.5 else f"Mail.{number}@{DOMAIN}",
        "displayName": f"{given} {family}",
        "givenName": given,
        "surname": family,
        "accountEnabled": True,
        "userType": "Member",
    }
    if chance.random() < 0.7:
        user["jobTitle"] = chance.choice(("Clerk", "Leiter Büro & Lager", "課長", "QA <Lead>"))
    if chance.random() < 0.6:
        user["businessPhones"] = [f"+49 30 {number:06d}"]
    if chance.random() < 0.4:
        user["mobilePhone"] = f"+49 171 {number:06d}"
    trait = chance.random()
    if trait < 0.04:
        user["mail"] = None
    elif trait < 0.09:
        user["userType"] = "Guest"
        user["userPrincipalName"] = f"g{number}_fabrikam.example#EXT#@{DOMAIN}"
        user["mail"] = None if trait < 0.055 else f"g{number}@fabrikam.example"
    elif trait < 0.14:
        user["accountEnabled"] = False
    elif trait < 0.17:
        user["givenName"] = user["surname"] = None
    elif trait < 0.18:
        user["givenName"] = None
    elif trait < 0.19:
        user["surname"] = None
    elif trait < 0.20:
        user.update(givenName=None, surname=None, displayName=given)
    elif trait < 0.21:
        words = f"{given} van der {family} {number} the Third"
        user.update(givenName=None, surname=None, displayName=words)
    elif trait < 0.22:
        long = {"givenName": None, "surname": None, "jobTitle": "T" * 128}
        user.update(long, displayName=f"{'ß' * 130} {'é' * 110}")
    elif trait < 0.23:
        user["jobTitle"] = "Ж" * 101
    if user["mail"] and chance.random() < 0.15:
        aliases = [f"smtp:alias{number}@{DOMAIN}", f"SIP:sip{number}@{DOMAIN}"]
        user["proxyAddresses"] = [*aliases, f"SMTP:{user['mail']}"]
    return user


def _share(chance: random.Random, made: Population, ids: list[str]) -> None:
    plain = [
        user
        for user in made.users.values()
        if user["userType"] == "Member" and user["accountEnabled"] and user["mail"]
    ]
    picked = chance.sample(plain, 40)
    for place in range(16):
        some = [picked.pop() for _ in range(2 if place % 4 else 3)]
        for user in some:
            user["mail"] = (
                f"Shared{place}@{DOMAIN}" if user is some[0] else f"shared{place}@{DOMAIN}"
            )
            user.pop("proxyAddresses", None)
            home = ids[(0, 4, 8)[place % 3]]
            if user["id"] not in made.groups[home]["members"]:
                made.groups[home]["members"].append(user["id"])
        made.shared.append([user["id"] for user in some])


def _former_contacts(chance: random.Random, made: Population, at: Accounts) -> None:
    """What BMS holds before: for every fifth person something that may match, and strangers."""
    homes = (at.first, at.second, at.third)
    shared = {user_id for some in made.shared for user_id in some}
    people = [user for user in made.users.values() if user["id"] not in shared]
    for user in chance.sample(people, len(people) // 5):
        upn, mail = user["userPrincipalName"], user["mail"]
        own = [a[5:] for a in user.get("proxyAddresses", ()) if a.startswith("smtp:")]
        usable = [a for a in (mail, None if "#EXT#" in upn else upn, *own) if a]
        if not usable:
            continue
        kind = chance.choice(
            [
                "default",
                "default",
                "second",
                "alias",
                "elsewhere",
                "inactive",
                "two_active",
                "two_inactive",
                "one_of_each",
                "spread",
                "blanks",
                "none",
                "same",
            ]
        )
        home, away = chance.sample(homes, 2)
        if kind == "second":
            emails = [f"private.{upn[:6]}@home.example", usable[0].upper()]
        elif kind == "alias":
            emails = [usable[-1]]
        elif kind == "blanks":
            emails = [f" {usable[0].title()} "]
        else:
            emails = [usable[0]]
        one = _contact(chance, home, emails)
        made.contacts.append(one)
        if kind == "elsewhere":
            one["account_id"] = at.other
        elif kind == "inactive":
            one["is_active"] = False
        elif kind == "two_active":
            made.contacts.append(_contact(chance, home, emails))
        elif kind == "two_inactive":
            one["is_active"] = False
            made.contacts.append(_contact(chance, home, emails, is_active=False))
        elif kind == "one_of_each":
            made.contacts.append(_contact(chance, home, emails, is_active=False))
        elif kind == "spread":
            made.contacts.append(_contact(chance, away, emails))
        elif kind == "same" and user.get("jobTitle") and user.get("businessPhones"):
            one.update(first_name=user["givenName"] or "X", job_title=user["jobTitle"][:100])
            one["phones"] = [{"value": user["businessPhones"][0], "type": 21, "is_default": True}]
    for number in range(300):
        # Strangers, some with addresses that a "contains" filter mistakes for somebody else's.
        address = f"x{'u' if number % 3 else 'Mail.'}{number}@{DOMAIN}"
        stranger = _contact(chance, chance.choice((*homes, at.other)), [address])
        made.contacts.append({**stranger, "is_active": number % 5 != 0})
    made.contacts.append(_contact(chance, at.first, []))


def _contact(chance: random.Random, account: int, emails: list[str], **more: Any) -> Json:
    phones: list[Json] = []
    for type_id in chance.sample((21, 22, 23, 24), chance.randrange(4)):
        number = f"+1 555 {chance.randrange(10**7):07d}"
        phones.append({"value": number, "type": type_id, "is_default": not phones})
    body: Json = {
        "account_id": account,
        "first_name": chance.choice(GIVEN),
        "last_name": chance.choice(FAMILY),
        "job_title": chance.choice((None, "Typed by hand", "Clerk")),
        "emails": [
            {"value": each, "type": 11 + place, "is_default": not place}
            for place, each in enumerate(emails)
        ],
        "phones": phones,
        **more,
    }
    if chance.random() < 0.1:
        body["location_id"] = None
    return body
