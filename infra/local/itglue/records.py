"""What one IT Glue account holds: organizations, locations, contact types, contacts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Entry = dict[str, Any]  # of contact-emails and contact-phones, in kebab-case
KASEYA_BMS = "kaseya-bms"


@dataclass(slots=True)
class Organization:
    """A customer."""

    id: int
    name: str
    psa_id: int | None = None
    psa_type: str = KASEYA_BMS
    primary: bool = False
    parent_id: int | None = None
    at: float = 0.0


@dataclass(slots=True)
class Place:
    """A location of one organization."""

    id: int
    organization_id: int
    name: str
    primary: bool = False
    city: str | None = None
    psa_id: int | None = None
    psa_type: str = KASEYA_BMS
    at: float = 0.0


@dataclass(slots=True)
class ContactType:
    """An entry of the account's own list."""

    id: int
    name: str
    synced: bool = False
    at: float = 0.0


@dataclass(slots=True)
class Person:
    """A contact."""

    id: int
    organization_id: int
    first_name: str | None = None
    last_name: str | None = None
    title: str | None = None
    contact_type_id: int | None = None
    location_id: int | None = None
    important: bool | None = False
    notes: str | None = None
    restricted: bool | None = False
    emails: list[Entry] = field(default_factory=list)
    phones: list[Entry] = field(default_factory=list)
    psa_id: int | None = None
    psa_type: str = KASEYA_BMS
    created_at: float = 0.0
    updated_at: float = 0.0

    @property
    def name(self) -> str:
        """First and last name."""
        return " ".join(part for part in (self.first_name, self.last_name) if part)

    @property
    def synced(self) -> bool:
        """Whether a PSA keeps it."""
        return self.psa_id is not None


class Account:
    """Everything that one key opens."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now
        self.organizations: dict[int, Organization] = {}
        self.places: dict[int, Place] = {}
        self.types: dict[int, ContactType] = {}
        self.people: dict[int, Person] = {}
        self.labels = {"Work", "Home", "Mobile"}
        self.version = 0
        self._last = {"organization": 3000, "place": 900, "type": 40, "person": 88000}
        for name in ("Approver", "End User", "No Longer Employed"):
            self.add_type(name)

    def add_organization(self, name: str, **more: Any) -> Organization:
        """A new organization."""
        one = Organization(self._next("organization"), name, at=self.now(), **more)
        self.organizations[one.id] = one
        return one

    def add_place(self, organization_id: int, name: str, **more: Any) -> Place:
        """A new location."""
        one = Place(self._next("place"), organization_id, name, at=self.now(), **more)
        self.places[one.id] = one
        return one

    def add_type(self, name: str, *, synced: bool = False) -> ContactType:
        """A new contact type."""
        one = ContactType(self._next("type"), name, synced, self.now())
        self.types[one.id] = one
        return one

    def add_person(self, organization_id: int, **more: Any) -> Person:
        """A new contact."""
        now = self.now()
        one = Person(self._next("person"), organization_id, created_at=now, updated_at=now, **more)
        self.people[one.id] = one
        return one

    def touch(self, person: Person) -> None:
        """The contact was changed."""
        person.updated_at = self.now()
        self.version += 1

    def _next(self, kind: str) -> int:
        self.version += 1
        self._last[kind] += 1
        return self._last[kind]
