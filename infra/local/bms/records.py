"""The records that BMS keeps, as the stand-in holds them in memory.

They are mutable on purpose: they are the state. Times are seconds since 1970; how they look on
the wire is a switch.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ListEntry:
    """One row of a look-up list; each list shows only the members that it declares."""

    id: int
    name: str
    is_active: bool = True
    is_default: bool = False
    is_main: bool = False
    is_system: bool = False
    is_external: bool = False
    is_client: bool = False
    is_vendor: bool = False


@dataclass(slots=True)
class Location:
    """A place of an account; names repeat between accounts."""

    id: int
    account_id: int
    name: str
    is_main: bool
    is_active: bool
    created_on: float


@dataclass(slots=True)
class Account:
    """A customer."""

    id: int
    name: str
    code: str
    type_id: int
    is_active: bool
    created_on: float
    modified_on: float
    location_ids: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Entry:
    """One e-mail address or phone number of a contact."""

    id: int
    value: str
    type_id: int
    is_default: bool
    created_by: int
    created_on: float
    modified_by: int
    modified_on: float


@dataclass(slots=True)
class CustomValue:
    """What one record holds in one custom field."""

    id: int
    field_id: int
    data: str | None
    settings_id: int
    by: int
    on: float


@dataclass(slots=True)
class Contact:
    """A person at a customer."""

    id: int
    account_id: int
    location_id: int | None
    first_name: str | None
    last_name: str | None
    created_by: int
    created_on: float
    modified_by: int
    modified_on: float
    middle_name: str | None = None
    job_title: str | None = None
    poc: bool = False
    is_active: bool = True
    receive_invoices: bool = False
    bill_by_contact: bool = False
    effective_date: str | None = None
    has_portal_access: bool = False
    emails: list[Entry] = field(default_factory=list)
    phones: list[Entry] = field(default_factory=list)
    # The list row as it was last sent, with the epoch of names and switches it was made in.
    row: bytes = b""
    row_epoch: int = -1

    def default_email(self) -> str | None:
        """Return the default e-mail address, if there is one."""
        return next((each.value for each in self.emails if each.is_default), None)

    def default_phone(self) -> str | None:
        """Return the default phone number, if there is one."""
        return next((each.value for each in self.phones if each.is_default), None)


@dataclass(slots=True)
class Employee:
    """One of the service provider's own people, or an API user."""

    id: int
    first_name: str
    last_name: str
    email: str
    user_name: str
    employee_id: str
    job_title_id: int
    department_id: int
    location_id: int
    manager_id: int | None
    employment_type_id: int
    role_ids: tuple[int, ...]
    security_role_ids: tuple[int, ...]
    user_type: str = "Employee"
    is_active: bool = True

    def full_name(self) -> str:
        """Return first and last name."""
        return f"{self.first_name} {self.last_name}".strip()


@dataclass(frozen=True, slots=True)
class CustomField:
    """A field that the tenant has added to a module."""

    id: int
    module_id: int
    name: str
    is_required: bool = False
    data_type: int = 1
