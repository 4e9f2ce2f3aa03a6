"""People to begin with: a small tenant that holds every awkward case, and large ones for scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from infra.local.bms.first_lists import PERSON_ID
from infra.local.bms.records import Contact, Location
from infra.local.bms.world import NewEntry, World

WORK_EMAIL, OTHER_EMAIL = 11, 13
WORK_PHONE, MOBILE_PHONE = 21, 22


def seed_demo(world: World, domains: Sequence[str]) -> dict[str, Any]:
    """Fill the tenant with two or more customers and the cases that a match must get right.

    Each domain becomes an account with a location named Main; the awkward contacts are those of
    the first. One more account has no main location. Returns the ids by what they stand for.
    """
    accounts: dict[str, int] = {}
    locations: dict[str, int] = {}
    for domain in domains:
        account = world.add_account(domain.split(".")[0].capitalize())
        accounts[account.name] = account.id
        locations[f"{account.name} Main"] = world.add_location(account, "Main", is_main=True).id
        locations[f"{account.name} Branch"] = world.add_location(account, "Branch").id
    without_main = world.add_account("Without Main Location")
    accounts[without_main.name] = without_main.id
    for name in ("Harbour", "Airport"):
        locations[f"{without_main.name} {name}"] = world.add_location(without_main, name).id
    former = world.add_account("Former Customer", is_active=False)
    accounts[former.name] = former.id
    main = world.locations[next(iter(locations.values()))]
    return {
        "accounts": accounts,
        "locations": locations,
        "contacts": _awkward_contacts(world, main, domains[0]),
    }


def _awkward_contacts(world: World, main: Location, domain: str) -> dict[str, int]:
    def person(first: str, last: str, *addresses: str, phone: str | None = None) -> Contact:
        emails = [
            NewEntry(f"{each}@{domain}", WORK_EMAIL if place == 0 else OTHER_EMAIL, place == 0)
            for place, each in enumerate(addresses)
        ]
        phones = [NewEntry(phone, WORK_PHONE, True)] if phone else []
        return world.add_contact(
            main.account_id, main.id, first, last, emails, phones, by=PERSON_ID
        )

    plain = person("Ada", "Lindqvist", "ada.lindqvist", phone="+49 30 5550101")
    inactive = person("Bruno", "Keller", "bruno.keller", phone="+49 30 5550102")
    world.change_contact(inactive, {"is_active": False}, PERSON_ID)
    shared_one = person("Carla", "Nunez", "reception", phone="+49 30 5550103")
    shared_two = person("Front", "Desk", "reception", phone="+49 30 5550104")
    second = person("Dmitri", "Volkov", "d.volkov", "dmitri.volkov", phone="+49 30 5550105")
    no_phone = person("Elif", "Aydin", "elif.aydin")
    no_location = person("Farid", "Haddad", "farid.haddad", phone="+49 30 5550106")
    world.change_contact(no_location, {"location_id": None}, PERSON_ID)
    return {
        "plain": plain.id,
        "inactive": inactive.id,
        "shared_email_1": shared_one.id,
        "shared_email_2": shared_two.id,
        "second_email": second.id,
        "without_phone": no_phone.id,
        "without_location": no_location.id,
    }


def generate(world: World, values: Mapping[str, Any]) -> list[int]:
    """Add many contacts spread evenly over accounts, and return the accounts' ids.

    Texts may hold {n}, the contact's number, and {account}, the place of its account in the list.
    """
    count = int(values["count"])
    start = int(values.get("start", 1))
    account_ids = list(values.get("account_ids") or _new_accounts(world, values))
    homes = [(each, _home(world, each)) for each in account_ids]
    inactive_every = int(values.get("inactive_every", 0))
    first, last = values.get("first_name", "Given{n}"), values.get("last_name", "Family{n}")
    email, phone = values.get("email", "user{n}@contoso.example"), values.get("phone")
    mobile, job_title = values.get("mobile"), values.get("job_title")
    for n in range(start, start + count):
        place = (n - start) % len(homes)
        account_id, location_id = homes[place]

        def fill(template: str, n: int = n, place: int = place) -> str:
            return template.replace("{n}", str(n)).replace("{account}", str(place))

        phones = [NewEntry(fill(phone), WORK_PHONE, True)] if phone else []
        if mobile:
            phones.append(NewEntry(fill(mobile), MOBILE_PHONE, not phones))
        emails = [NewEntry(fill(email), WORK_EMAIL, True)] if email else []
        contact = world.add_contact(
            account_id, location_id, fill(first), fill(last), emails, phones, by=PERSON_ID
        )
        contact.job_title = fill(job_title) if job_title else None
        if inactive_every and n % inactive_every == 0:
            world.change_contact(contact, {"is_active": False}, PERSON_ID)
    return account_ids


def _new_accounts(world: World, values: Mapping[str, Any]) -> list[int]:
    ids: list[int] = []
    for place in range(int(values.get("accounts", 1))):
        account = world.add_account(f"Customer {place}")
        world.add_location(account, "Main", is_main=True)
        ids.append(account.id)
    return ids


def _home(world: World, account_id: int) -> int | None:
    places = [world.locations[each] for each in world.accounts[account_id].location_ids]
    main = next((each for each in places if each.is_main), None)
    return main.id if main else places[0].id if places else None
