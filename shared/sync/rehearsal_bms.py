"""BMS that is read and never written, for a rehearsal.

A record is read once and then shown as the rehearsal has left it, as far as that matters to what
comes next: whether it is active. Lists are those that the process has read in the last minutes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar

from shared.core.employee_fields import ToWrite
from shared.core.model import (
    Account,
    AccountId,
    BmsSettings,
    Contact,
    ContactTypes,
    Employee,
    RecordId,
)
from shared.errors import SyncError
from shared.ports import Bms, EntryChange, NewContact

T = TypeVar("T")
NEW = RecordId(2**31 - 1)  # stands for the id that BMS would give


@dataclass
class RehearsedBms:
    """ports.Bms. Once BMS has failed it is not asked again: its error stands for all the rest."""

    real: Bms
    read: dict[RecordId, Contact | None] = field(default_factory=dict)
    down: SyncError | None = None

    def _ask(self, question: Callable[[], T]) -> T:
        if self.down is not None:
            raise self.down
        try:
            return question()
        except SyncError as error:
            self.down = error
            raise

    def check_sign_in(self, settings: BmsSettings, password: str) -> None:
        """Nobody signs in anew."""

    def accounts(self) -> list[Account]:
        return self._ask(self.real.accounts)

    def account(self, account_id: AccountId, *, fresh: bool = False) -> Account | None:
        return self._ask(lambda: self.real.account(account_id))

    def lookup(self, kind: str, *, account_id: AccountId | None = None) -> list[tuple[int, str]]:
        # Some tables' names are a guess (bms-api.md 6): one that is not there says nothing of BMS.
        if self.down is not None:
            raise self.down
        return self.real.lookup(kind, account_id=account_id)

    def contact_types(self) -> ContactTypes:
        return self._ask(self.real.contact_types)

    def contacts(
        self, *, active: bool, account_id: AccountId | None = None
    ) -> Iterator[list[Contact]]:
        return self.real.contacts(active=active, account_id=account_id)

    def contact(self, record_id: RecordId) -> Contact | None:
        if record_id not in self.read:
            self.read[record_id] = (
                None if record_id == NEW else self._ask(lambda: self.real.contact(record_id))
            )
        return self.read[record_id]

    def find_contacts(self, address: str) -> list[Contact]:
        return self._ask(lambda: self.real.find_contacts(address))

    def employees(self, *, newer_than: datetime | None = None) -> list[Employee]:
        # The list in full costs a call per hundred: what was read a moment ago must do.
        return self._ask(self.real.employees)

    def create_contact(self, contact: NewContact) -> RecordId:
        return NEW

    def patch_contact(self, record_id: RecordId, fields: Mapping[str, object]) -> None:
        before = self.read.get(record_id)
        if before is not None and "IsActive" in fields:
            self.read[record_id] = replace(before, is_active=bool(fields["IsActive"]))

    def change_emails(self, record_id: RecordId, changes: Sequence[EntryChange]) -> None:
        """Nothing is sent."""

    def change_phones(self, record_id: RecordId, changes: Sequence[EntryChange]) -> None:
        """Nothing is sent."""


class RehearsedWriter:
    """ports.EmployeeWriter: as if BMS took everything."""

    def probe(self) -> None:
        """Nothing is asked."""

    def create(self, fields: Sequence[ToWrite]) -> tuple[RecordId, tuple[str, ...]]:
        return NEW, ()

    def change(
        self,
        record_id: RecordId,
        fields: Sequence[ToWrite],
        before_write: Callable[[], None],
    ) -> tuple[str, ...]:
        return ()
