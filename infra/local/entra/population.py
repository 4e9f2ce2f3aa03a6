"""Whole directories at once: from JSON, or made up by number for scale."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

from infra.local.entra.clock import iso
from infra.local.entra.directory import Directory
from infra.local.entra.entities import Entity

_GIVEN = [
    "Ines",
    "Tomas",
    "Amara",
    "Jonas",
    "Mei",
    "Olu",
    "Petra",
    "Rafael",
    "Saskia",
    "Yusuf",
    "Linnea",
    "Kofi",
    "Dagny",
    "Emre",
    "Farah",
    "Gustav",
    "Hana",
    "Ivo",
    "Jolanda",
    "Kwame",
    "Leire",
    "Matteo",
    "Nadia",
    "Oskar",
    "Priya",
    "Quentin",
    "Rosa",
    "Sven",
    "Tariq",
    "Ulla",
]
_SURNAMES = [
    "Okafor",
    "Lindqvist",
    "Marchetti",
    "Nakamura",
    "Brandt",
    "Haddad",
    "Kowalski",
    "Ferreira",
    "Jansen",
    "Osei",
    "Petrov",
    "Quispe",
    "Rossi",
    "Schneider",
    "Takahashi",
    "Unal",
    "Vermeer",
    "Weiss",
    "Xu",
    "Yilmaz",
    "Zamora",
    "Albrecht",
    "Bakker",
    "Costa",
]
_TITLES = ("Planner", "Engineer", "Accountant", "Consultant", "Driver", "Nurse", "Buyer")
_DEPARTMENTS = ("Logistics", "Finance", "Operations", "Sales", "Care", "Purchasing", "IT")
_CITIES = ("Utrecht", "Gent", "Aarhus", "Porto", "Leeds", "Graz")


def load(directory: Directory, document: Mapping[str, Any]) -> dict[str, int]:
    """Take in `{"users": [...], "groups": [...], "memberships": {group: [members]}}`.

    Members are named by id or user principal name; a group may list its `members` itself.
    """
    entities: list[Entity] = []
    memberships: dict[str, list[str]] = {}
    for props in document.get("users") or ():
        entities.append(directory.new_user(props))
    for given in document.get("groups") or ():
        props = dict(given)
        members = props.pop("members", [])
        group = directory.new_group(props, props.pop("kind", "security"))
        entities.append(group)
        if members:
            memberships[group.id] = list(members)
    for group_id, members in (document.get("memberships") or {}).items():
        memberships.setdefault(group_id.lower(), []).extend(members)
    directory.load(entities, memberships)
    return {"objects": len(entities), "memberships": sum(map(len, memberships.values()))}


def generate(
    directory: Directory,
    users: int,
    groups: int = 1,
    groups_per_user: int = 1,
    nested: int = 0,
    prefix: str = "person",
    now: float = 0.0,
    seed: int = 7,
) -> dict[str, Sequence[str]]:
    """Make up a directory: users spread evenly over groups, and a chain of groups above the first.

    With `nested` 2 the first group is a member of a group that is a member of another one.
    Ids follow from the tenant and the number, so a test can work them out.
    """
    tail = directory.id[-18:]
    start = len(directory.user_ids)
    chance = random.Random(seed)
    created = iso(now - 86_400)
    entities: list[Entity] = []
    user_ids: list[str] = []
    for number in range(start, start + users):
        given = _GIVEN[number % len(_GIVEN)]
        surname = _SURNAMES[(number // len(_GIVEN)) % len(_SURNAMES)]
        address = f"{prefix}.{number}@{directory.domain}"
        entity_id = f"{number:08x}-0000-4000{tail}"
        props: dict[str, Any] = {
            "userPrincipalName": address,
            "mail": address,
            "displayName": f"{given} {surname}",
            "givenName": given,
            "surname": surname,
            "jobTitle": _TITLES[number % len(_TITLES)],
            "department": _DEPARTMENTS[number % len(_DEPARTMENTS)],
            "city": _CITIES[number % len(_CITIES)],
            "accountEnabled": True,
            "userType": "Member",
            "createdDateTime": created,
        }
        if chance.random() < 0.7:
            props["businessPhones"] = [f"+31 20 {number:07d}"]
        if chance.random() < 0.4:
            props["mobilePhone"] = f"+31 6 {number:08d}"
        entities.append(Entity(entity_id, "user", "#microsoft.graph.user", props))
        user_ids.append(entity_id)
    group_start = len(directory.group_ids)
    group_ids: list[str] = []
    memberships: dict[str, list[str]] = {}
    for number in range(group_start, group_start + groups + nested):
        entity_id = f"{number:08x}-0000-4001{tail}"
        at = number - group_start
        name = f"Team {number}" if at < groups else f"All of {number}"
        group_props = {"id": entity_id, "displayName": name, "createdDateTime": created}
        entities.append(directory.new_group(group_props, "security"))
        group_ids.append(entity_id)
        if at < groups:
            memberships[entity_id] = [
                user_ids[i]
                for turn in range(groups_per_user)
                for i in range((at - turn) % groups, users, groups)
            ]
        else:
            memberships[entity_id] = [group_ids[0] if at == groups else group_ids[-2]]
    directory.load(entities, memberships)
    return {"users": user_ids, "groups": group_ids}
