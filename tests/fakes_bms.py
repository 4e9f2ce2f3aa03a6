"""BMS in memory, as `ports.Bms`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from shared.core.model import (
    Account,
    AccountId,
    BmsSettings,
    Contact,
    ContactEmail,
    ContactPhone,
    ContactTypes,
    Employee,
    Location,
    LocationId,
    RecordId,
)
from shared.errors import DecideAgain, SyncError
from shared.ports import EntryChange, NewContact

_FIELDS = {
    "FirstName": "first_name",
    "LastName": "last_name",
    "JobTitle": "job_title",
    "IsActive": "is_active",
    "LocationId": "location_id",
}


def an_account(
    account_id: int = 7, *, name: str = "Contoso", active: bool = True, main: bool = True
) -> Account:
    """An account with two locations, the first of them the main one unless said otherwise."""
    return Account(
        AccountId(account_id),
        name,
        active,
        (
            Location(LocationId(account_id * 10), "Head office", is_main=main),
            Location(LocationId(account_id * 10 + 1), "Warehouse", is_main=False),
        ),
    )


@dataclass
class FakeBms:
    """`refusal` is raised by every sign-in, `down` by everything."""

    held: dict[AccountId, Account] = field(default_factory=dict)
    lookups: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    records: dict[RecordId, Contact] = field(default_factory=dict)
    staff: dict[RecordId, Employee] = field(default_factory=dict)
    signed_in: list[tuple[BmsSettings, str]] = field(default_factory=list)
    refusal: SyncError | None = None
    down: SyncError | None = None

    def check_sign_in(self, settings: BmsSettings, password: str) -> None:
        if self.refusal or self.down:
            raise self.refusal or self.down or SyncError()
        self.signed_in.append((settings, password))

    def accounts(self) -> list[Account]:
        self._answer()
        return list(self.held.values())

    def account(self, account_id: AccountId, *, fresh: bool = False) -> Account | None:
        self._answer()
        return self.held.get(account_id)

    def lookup(self, kind: str, *, account_id: AccountId | None = None) -> list[tuple[int, str]]:
        self._answer()
        return list(self.lookups.get(kind, []))

    def contact_types(self) -> ContactTypes:
        return ContactTypes(email=1, work_phone=2, mobile_phone=3)

    def contacts(
        self, *, active: bool, account_id: AccountId | None = None
    ) -> Iterator[list[Contact]]:
        self._answer()
        found = [
            each
            for each in self.records.values()
            if each.is_active is active and account_id in (None, each.account_id)
        ]
        for start in range(0, len(found), 100):
            yield found[start : start + 100]

    def contact(self, record_id: RecordId) -> Contact | None:
        self._answer()
        return self.records.get(record_id)

    def find_contacts(self, address: str) -> list[Contact]:
        self._answer()
        wanted = address.strip().casefold()
        return [
            each
            for each in self.records.values()
            if any(email.address.strip().casefold() == wanted for email in each.emails)
        ]

    def employees(self, *, newer_than: datetime | None = None) -> list[Employee]:
        self._answer()
        return list(self.staff.values())

    def create_contact(self, contact: NewContact) -> RecordId:
        self._answer()
        record_id = RecordId(max(self.records, default=100) + 1)
        self.records[record_id] = Contact(
            id=record_id,
            account_id=contact.account_id,
            location_id=LocationId(contact.location_id),
            first_name=contact.first_name,
            last_name=contact.last_name,
            job_title="",
            is_active=True,
            emails=(ContactEmail(contact.email, contact.email_type_id, is_default=True),),
        )
        return record_id

    def patch_contact(self, record_id: RecordId, fields: Mapping[str, object]) -> None:
        self._answer()
        if record_id not in self.records:
            raise DecideAgain("The contact is gone.")
        changes = {_FIELDS[name]: value for name, value in fields.items()}
        self.records[record_id] = replace(self.records[record_id], **changes)  # type: ignore[arg-type]

    def change_emails(self, record_id: RecordId, changes: Sequence[EntryChange]) -> None:
        self._answer()
        contact = self.records[record_id]
        emails = list(contact.emails)
        for change in changes:
            if change.is_default:
                emails = [replace(each, is_default=False) for each in emails]
            if change.operation == "add":
                emails.append(
                    ContactEmail(change.value, change.type_id or 0, bool(change.is_default))
                )
                continue
            emails = [
                each if each.address != change.value else _changed(each, change)
                for each in emails
                if change.operation != "remove" or each.address != change.value
            ]
        self.records[record_id] = replace(contact, emails=tuple(emails))

    def change_phones(self, record_id: RecordId, changes: Sequence[EntryChange]) -> None:
        self._answer()
        contact = self.records[record_id]
        phones = list(contact.phones)
        for change in changes:
            if change.is_default:
                phones = [replace(each, is_default=False) for each in phones]
            if change.operation == "add":
                phones.append(
                    ContactPhone(change.value, change.type_id or 0, bool(change.is_default))
                )
                continue
            phones = [
                each
                if each.number != change.value
                else replace(
                    each,
                    number=change.new_value or each.number,
                    is_default=each.is_default if change.is_default is None else change.is_default,
                )
                for each in phones
                if change.operation != "remove" or each.number != change.value
            ]
        self.records[record_id] = replace(contact, phones=tuple(phones))

    def _answer(self) -> None:
        if self.down:
            raise self.down


def _changed(email: ContactEmail, change: EntryChange) -> ContactEmail:
    return replace(
        email,
        address=change.new_value or email.address,
        is_default=email.is_default if change.is_default is None else change.is_default,
    )
