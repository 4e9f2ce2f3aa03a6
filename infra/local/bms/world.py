"""One BMS tenant in memory: who is in it, and the few ways in which that changes.

Everything that changes a contact goes through here, so that the index, the cached list rows and
the version number stay right whoever changes it: the API, or a person by hand.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from infra.local.bms.contact_index import ContactIndex
from infra.local.bms.first_lists import first_employees, first_lists
from infra.local.bms.records import (
    Account,
    Contact,
    CustomField,
    CustomValue,
    Employee,
    Entry,
    ListEntry,
    Location,
)
from infra.local.bms.switches import Switches

TENANT_ID = 77001


@dataclass(frozen=True, slots=True)
class NewEntry:
    """An e-mail address or phone number that is about to be given an id."""

    value: str
    type_id: int
    is_default: bool


class Clock:
    """The time as the stand-in sees it; it can be moved forward."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def now(self) -> float:
        """Return seconds since 1970."""
        return time.time() + self.ahead


class World:
    """All records of the tenant."""

    def __init__(self, clock: Clock, switches: Switches) -> None:
        self.clock = clock
        self.switches = switches
        self.tenant = "Northwind MSP"
        self.accounts: dict[int, Account] = {}
        self.locations: dict[int, Location] = {}
        self.contacts: dict[int, Contact] = {}
        self.index = ContactIndex()
        self.employees: dict[int, Employee] = first_employees()
        self.lists: dict[str, dict[int, ListEntry]] = first_lists()
        self.custom_fields: dict[int, CustomField] = {}
        # (module id, record id) -> field id -> value
        self.custom_values: dict[tuple[int, int], dict[int, CustomValue]] = {}
        self.itglue_enabled = False
        # ("contacts" | "accounts" | "locations", BMS id) -> (IT Glue id, name)
        self.itglue_links: dict[tuple[str, int], tuple[int, str]] = {}
        self.version = 0
        # Cached list rows made in an older epoch are stale: a name or a switch has changed.
        self.row_epoch = 0
        self.order_ticks = itertools.count()
        self._account_ids = itertools.count(5001)
        self._location_ids = itertools.count(70001)
        self._contact_ids = itertools.count(300001)
        self._employee_ids = itertools.count(951)
        self._email_ids = itertools.count(4000001)
        self._phone_ids = itertools.count(6000001)
        self._list_ids = itertools.count(8001)
        self._custom_ids = itertools.count(9001)

    # Accounts and locations

    def add_account(self, name: str, is_active: bool = True) -> Account:
        """Add a customer without locations."""
        now = self.clock.now()
        account_id = next(self._account_ids)
        account = Account(account_id, name, f"ACC-{account_id}", 41, is_active, now, now)
        self.accounts[account_id] = account
        self.version += 1
        return account

    def add_location(
        self, account: Account, name: str, is_main: bool = False, is_active: bool = True
    ) -> Location:
        """Add a place to a customer."""
        location_id = next(self._location_ids)
        location = Location(location_id, account.id, name, is_main, is_active, self.clock.now())
        self.locations[location_id] = location
        account.location_ids.append(location_id)
        self.version += 1
        return location

    def names_changed(self) -> None:
        """Say that a name shown inside contact rows has changed."""
        self.row_epoch += 1
        self.version += 1

    # Contacts

    def add_contact(
        self,
        account_id: int,
        location_id: int | None,
        first_name: str | None,
        last_name: str | None,
        emails: Iterable[NewEntry],
        phones: Iterable[NewEntry],
        by: int,
    ) -> Contact:
        """Add an active contact; the caller has checked it."""
        now = self.clock.now()
        contact = Contact(
            id=next(self._contact_ids),
            account_id=account_id,
            location_id=location_id,
            first_name=first_name,
            last_name=last_name,
            created_by=by,
            created_on=now,
            modified_by=by,
            modified_on=now,
        )
        contact.emails = [self.new_email(each, by) for each in emails]
        contact.phones = [self.new_phone(each, by) for each in phones]
        self.contacts[contact.id] = contact
        self.index.add(contact)
        self.version += 1
        return contact

    def new_email(self, entry: NewEntry, by: int) -> Entry:
        """Give an e-mail address its id."""
        now = self.clock.now()
        return Entry(
            next(self._email_ids), entry.value, entry.type_id, entry.is_default, by, now, by, now
        )

    def new_phone(self, entry: NewEntry, by: int) -> Entry:
        """Give a phone number its id."""
        now = self.clock.now()
        return Entry(
            next(self._phone_ids), entry.value, entry.type_id, entry.is_default, by, now, by, now
        )

    def change_contact(self, contact: Contact, changes: dict[str, object], by: int) -> None:
        """Set members of a contact, keep the index right, and note who did it."""
        account_id = changes.get("account_id", contact.account_id)
        is_active = changes.get("is_active", contact.is_active)
        if not isinstance(account_id, int) or not isinstance(is_active, bool):
            raise TypeError("account_id is an int and is_active a bool")
        self.index.move(contact, account_id, is_active)
        for name, value in changes.items():
            setattr(contact, name, value)
        contact.modified_by = by
        contact.modified_on = self.clock.now()
        contact.row_epoch = -1
        self.version += 1

    def remove_contact(self, contact: Contact) -> None:
        """Take a contact away for good."""
        self.index.drop(contact)
        del self.contacts[contact.id]
        self.version += 1

    # Lists, employees, custom fields

    def add_list_entry(self, list_name: str, entry: ListEntry) -> ListEntry:
        """Add a row to a look-up list; an id of 0 asks for a new one."""
        row = entry if entry.id else replace(entry, id=next(self._list_ids))
        self.lists[list_name][row.id] = row
        self.names_changed()
        return row

    def list_name_of(self, list_name: str, entry_id: int | None) -> str | None:
        """Return the name of a list row, or None when there is none."""
        row = self.lists[list_name].get(entry_id or 0)
        return row.name if row else None

    def next_employee_id(self) -> int:
        """Return an id that no employee has."""
        return next(self._employee_ids)

    def next_custom_id(self) -> int:
        """Return an id for a custom field or one of its values."""
        return next(self._custom_ids)

    def user_name_of(self, user_id: int) -> str | None:
        """Return the full name behind a CreatedBy or ModifiedBy."""
        employee = self.employees.get(user_id)
        return employee.full_name() if employee else None

    # Times

    def stamp(self, moment: float | None) -> str | None:
        """Write a time as the replies show it, with or without its zone."""
        if moment is None:
            return None
        text = datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
        return text + "Z" if self.switches.timestamps == "utc" else text
