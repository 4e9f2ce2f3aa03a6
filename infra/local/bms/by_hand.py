"""What a person does in the BMS pages: the same records, without the rules of the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infra.local.bms.first_lists import PERSON_ID
from infra.local.bms.records import Contact, Employee, Entry, ListEntry
from infra.local.bms.world import NewEntry, World

_MEMBERS = frozenset(
    [
        "account_id",
        "location_id",
        "first_name",
        "middle_name",
        "last_name",
        "job_title",
        "is_active",
        "poc",
        "receive_invoices",
        "bill_by_contact",
        "effective_date",
        "has_portal_access",
    ]
)


def add_contact(world: World, values: Mapping[str, Any]) -> Contact:
    """Add a contact; whatever is not given is empty."""
    rest = dict(values)
    emails = [_entry(world, "email_types", each) for each in rest.pop("emails", ())]
    phones = [_entry(world, "phone_types", each) for each in rest.pop("phones", ())]
    account = world.accounts[rest.pop("account_id")]
    # Left out: the main location, as the page offers it. An explicit null stays empty.
    places = [world.locations[each] for each in account.location_ids]
    main = next((each.id for each in places if each.is_main), None)
    location_id = rest.pop("location_id", main)
    contact = world.add_contact(
        account.id,
        location_id,
        rest.pop("first_name", ""),
        rest.pop("last_name", ""),
        emails,
        phones,
        by=PERSON_ID,
    )
    if rest:
        edit_contact(world, contact, rest)
    return contact


def edit_contact(world: World, contact: Contact, values: Mapping[str, Any]) -> None:
    """Set members of a contact; e-mails and phones replace the lists that were there.

    An entry whose value was there before keeps its id.
    """
    changes: dict[str, object] = {}
    for name, value in values.items():
        if name == "emails":
            entries = [_entry(world, "email_types", each) for each in value]
            changes[name] = [
                _kept(contact.emails, each) or world.new_email(each, PERSON_ID) for each in entries
            ]
        elif name == "phones":
            entries = [_entry(world, "phone_types", each) for each in value]
            changes[name] = [
                _kept(contact.phones, each) or world.new_phone(each, PERSON_ID) for each in entries
            ]
        elif name in _MEMBERS:
            changes[name] = value
        else:
            raise ValueError(f"a contact has no {name!r}")
    world.change_contact(contact, changes, PERSON_ID)


def save_employee(world: World, employee_id: int | None, values: Mapping[str, Any]) -> Employee:
    """Add an employee, or change one; what is not given stays or takes a sensible value."""
    held = world.employees.get(employee_id) if employee_id else None
    own_id = held.id if held else world.next_employee_id()
    defaults: dict[str, Any] = {
        "first_name": "New",
        "last_name": f"Employee{own_id}",
        "email": f"employee{own_id}@msp.example",
        "user_name": f"employee{own_id}",
        "employee_id": f"E-{own_id}",
        "job_title_id": 201,
        "department_id": 101,
        "location_id": 501,
        "manager_id": PERSON_ID,
        "employment_type_id": 31,
        "role_ids": (401,),
        "security_role_ids": (302,),
        "user_type": "Employee",
        "is_active": True,
    }
    given = dict(values)
    title = given.pop("job_title", None)
    if title is not None:
        given["job_title_id"] = _list_id(world, "job_titles", title)
    unknown = set(given) - set(defaults)
    if unknown:
        raise ValueError(f"an employee has no {sorted(unknown)}")
    if held is not None:
        defaults = {name: getattr(held, name) for name in defaults}
    merged = defaults | given
    merged["role_ids"] = tuple(merged["role_ids"])
    merged["security_role_ids"] = tuple(merged["security_role_ids"])
    employee = Employee(id=own_id, **merged)
    world.employees[own_id] = employee
    world.version += 1
    return employee


def _entry(world: World, list_name: str, values: Mapping[str, Any]) -> NewEntry:
    wanted = values.get("type", "Work")
    type_id = wanted if isinstance(wanted, int) else _list_id(world, list_name, wanted)
    return NewEntry(values["value"], type_id, bool(values.get("is_default", False)))


def _list_id(world: World, list_name: str, name: str) -> int:
    for row in world.lists[list_name].values():
        if row.name.lower() == name.lower():
            return row.id
    return world.add_list_entry(list_name, ListEntry(0, name)).id


def _kept(held: list[Entry], new: NewEntry) -> Entry | None:
    for each in held:
        if each.value == new.value:
            each.type_id, each.is_default = new.type_id, new.is_default
            return each
    return None
