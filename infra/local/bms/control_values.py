"""What the control client gives and takes: the state of records, and what was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class LocationState:
    """A location as it is."""

    id: int
    name: str
    is_main: bool
    is_active: bool


@dataclass(frozen=True, slots=True)
class AccountState:
    """An account as it is."""

    id: int
    name: str
    is_active: bool
    locations: tuple[LocationState, ...]

    @property
    def main_location_id(self) -> int:
        """The location that is marked as main."""
        return next(each.id for each in self.locations if each.is_main)


@dataclass(frozen=True, slots=True)
class EntryState:
    """An e-mail address or phone number as it is."""

    id: int
    value: str
    type_id: int
    is_default: bool


@dataclass(frozen=True, slots=True)
class ContactState:
    """A contact as it is."""

    id: int
    account_id: int
    location_id: int | None
    first_name: str | None
    middle_name: str | None
    last_name: str | None
    job_title: str | None
    is_active: bool
    poc: bool
    receive_invoices: bool
    bill_by_contact: bool
    effective_date: str | None
    has_portal_access: bool
    emails: tuple[EntryState, ...]
    phones: tuple[EntryState, ...]
    created_by: int
    created_on: float
    modified_by: int
    modified_on: float

    @property
    def default_email(self) -> str | None:
        """The default e-mail address."""
        return next((each.value for each in self.emails if each.is_default), None)


@dataclass(frozen=True, slots=True)
class WriteSeen:
    """One write request: PATCH, PUT, POST or DELETE of a record."""

    number: int
    at: float
    method: str
    endpoint: str
    target: str
    status: int
    changed: bool
    body: Any


@dataclass(frozen=True, slots=True)
class Counters:
    """Calls since the last reset, by "METHOD /route/template" as in the vendor's file."""

    total: int
    calls: Mapping[str, int]
    statuses: Mapping[str, Mapping[str, int]]
    ignored_query: Mapping[str, int]

    def with_status(self, status: int) -> int:
        """Return how many calls ended with a status (0: no reply went out)."""
        return sum(each.get(str(status), 0) for each in self.statuses.values())


@dataclass(frozen=True, slots=True)
class NewAddress:
    """An e-mail address or phone number to add; the type is a name or an id."""

    value: str
    type: str | int = "Work"
    is_default: bool = False


def account_of(body: Json) -> AccountState:
    """Read an account from the control routes' JSON."""
    places = tuple(LocationState(**each) for each in body["locations"])
    return AccountState(body["id"], body["name"], body["is_active"], places)


def contact_of(body: Json) -> ContactState:
    """Read a contact from the control routes' JSON."""
    emails = tuple(EntryState(**each) for each in body.pop("emails"))
    phones = tuple(EntryState(**each) for each in body.pop("phones"))
    return ContactState(emails=emails, phones=phones, **body)
