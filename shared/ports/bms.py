"""BMS: its records, and the budget of calls to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from shared.core.model import (
    Account,
    AccountId,
    BmsSettings,
    Contact,
    ContactTypes,
    Employee,
    RecordId,
)


@dataclass(frozen=True, slots=True)
class NewContact:
    """What POST /v2/crm/contacts/summary takes; the job title and the rest follow by PATCH."""

    first_name: str
    last_name: str
    account_id: AccountId
    location_id: int
    email: str
    email_type_id: int
    work_phone: str = ""
    work_phone_type_id: int | None = None
    mobile_phone: str = ""
    mobile_phone_type_id: int | None = None


@dataclass(frozen=True, slots=True)
class EntryChange:
    """One operation on a contact's e-mails or phones: "add", "update" (old → new), "remove"."""

    operation: str
    value: str
    new_value: str = ""
    type_id: int | None = None
    is_default: bool | None = None


class Bms(Protocol):
    """BMS v2. No method deletes."""

    def check_sign_in(self, settings: BmsSettings, password: str) -> None:
        """Sign in with these; PersonMustAct with BMS's own words when refused."""

    def accounts(self) -> list[Account]:
        """All accounts with locations (cached for minutes)."""

    def account(self, account_id: AccountId, *, fresh: bool = False) -> Account | None:
        """One account with its locations. `fresh`: not from a list that is older than seconds."""

    def lookup(self, kind: str, *, account_id: AccountId | None = None) -> list[tuple[int, str]]:
        """A look-up table for the forms (cached); `kind` as in the admin API."""

    def contact_types(self) -> ContactTypes:
        """Type ids: from the settings, else learnt from contacts, else from the look-up tables."""

    def contacts(
        self, *, active: bool, account_id: AccountId | None = None
    ) -> Iterator[list[Contact]]:
        """All contacts, 100 a page; or those of one account, and perhaps others."""

    def contact(self, record_id: RecordId) -> Contact | None: ...

    def find_contacts(self, address: str) -> list[Contact]:
        """Contacts that carry exactly this address, both states. May leave some out (R6)."""

    def employees(self, *, newer_than: datetime | None = None) -> list[Employee]:
        """All employees, active and inactive; a list that was read before will do if it is newer.

        Without `newer_than` it may be minutes old.
        """

    def create_contact(self, contact: NewContact) -> RecordId:
        """Uncertain when no answer came; Rejected with BMS's words when refused."""

    def patch_contact(self, record_id: RecordId, fields: Mapping[str, object]) -> None:
        """JSON Patch; checks that the reply shows what was sent. DecideAgain on 404."""

    def change_emails(self, record_id: RecordId, changes: Sequence[EntryChange]) -> None: ...

    def change_phones(self, record_id: RecordId, changes: Sequence[EntryChange]) -> None: ...


@dataclass(frozen=True, slots=True)
class EndpointBudget:
    """How one endpoint of BMS stands within its window (R25)."""

    endpoint: str
    limit: int
    window: timedelta
    used_fresh: int
    used_bulk: int
    free_fresh: int
    free_bulk: int
    bulk_share: int
    bulk_free_in: timedelta
    paused_until: datetime | None


@dataclass(frozen=True, slots=True)
class Room:
    """What is left for bulk work on the endpoint that has least."""

    free: int  # calls, at this moment
    wait: timedelta  # until as many are free as are wanted, or enough to begin


class Budget(Protocol):
    """BMS's hourly limit, shared by all instances."""

    def view(self) -> list[EndpointBudget]: ...

    def finish(self, endpoints: Sequence[str], calls: int, pace: timedelta) -> datetime:
        """When bulk work that needs so many more calls of each of these endpoints will be done."""

    def bulk_room(self, endpoints: Sequence[str], calls: int) -> Room:
        """What bulk work that needs so many calls of each of these endpoints finds."""

    def bulk_plenty(self, endpoints: Sequence[str], calls: int) -> bool:
        """Whether that many are free for sure, as far as is known without asking each time."""

    def note_leavers(self, until: datetime) -> None:
        """Deactivations have the budget first: other bulk work gives way until then."""

    def leavers_until(self) -> datetime | None:
        """Until when deactivations have the budget first."""
