"""Do one item of the worklist through BMS's older API (R26), as often as it may be tried."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from shared.core.employee_matching import match_employee
from shared.core.matching import NotFound, key
from shared.core.model import RecordId
from shared.core.worklist import Item, ItemKind
from shared.errors import DecideAgain, SyncError, TryLater, Uncertain
from shared.ports import Bms, EmployeeWriter, Now, Worklist
from shared.sync.work import CLAIM_LIFE


@dataclass(frozen=True, slots=True)
class EmployeesByApi:
    """Creates, changes and deactivates employees."""

    bms: Bms
    writer: EmployeeWriter
    worklist: Worklist
    now: Now

    def do(self, item: Item, before_write: Callable[[], None]) -> tuple[RecordId, tuple[str, ...]]:
        """The employee, and notes. RouteMissing, Rejected, Uncertain, DecideAgain, TryLater.

        `before_write` is called right before each write, and may raise.
        """
        if item.kind is ItemKind.CREATE:
            return self._create(item, before_write)
        assert item.record_id is not None, "only a new employee has no id yet"
        return item.record_id, self.writer.change(item.record_id, item.fields, before_write)

    def _create(
        self, item: Item, before_write: Callable[[], None]
    ) -> tuple[RecordId, tuple[str, ...]]:
        """Under a lock on the address, and after a look at BMS's whole list (R9, R22)."""
        address, now = key(item.keys[0] if item.keys else item.user_name), self.now()
        if not self.worklist.lock_address(address, item.user_id, now, now + CLAIM_LIFE):
            raise TryLater("Another user with this address is being created.", counts=False)
        present = self.bms.employees(newer_than=now)
        found = match_employee(item.keys, item.user_name, present, frozenset())
        if not isinstance(found, NotFound):
            self.worklist.unlock_address(address)
            raise DecideAgain("The employee is in BMS by now.")
        try:
            before_write()
            created = self.writer.create(item.fields)
        except Uncertain:
            raise  # he may be there: the lock stays until it runs out
        except SyncError:
            self.worklist.unlock_address(address)
            raise
        self.worklist.unlock_address(address)
        return created
