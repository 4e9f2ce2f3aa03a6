"""Employees: their defaults, the worklist, and the one route by which the app may write them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from shared.core.employee_fields import ToWrite
from shared.core.model import ConnectionId, EmployeeDefaults, RecordId, UserId
from shared.core.worklist import Item
from shared.errors import PersonMustAct


class RouteMissing(PersonMustAct):
    """BMS's older API answers 404 or 405: it offers no way to write employees here (R26)."""


class EmployeeDefaultsStore(Protocol):
    """The Employee Defaults."""

    def get(self) -> EmployeeDefaults: ...

    def update(self, change: Callable[[EmployeeDefaults], EmployeeDefaults]) -> EmployeeDefaults:
        """Read, change, write back; repeated when somebody else wrote meanwhile."""


class Worklist(Protocol):
    """Open items, at most one per user."""

    def put(self, items: Sequence[Item]) -> None:
        """Write items; each replaces its user's former one."""

    def get(self, connection_id: ConnectionId, user_id: UserId) -> Item | None: ...

    def list(self, connection_id: ConnectionId | None = None) -> list[Item]:
        """Oldest first."""

    def change(self, item: Item) -> Item | None:
        """Write an item if nobody wrote it since it was read; None when somebody did."""

    def remove(
        self, connection_id: ConnectionId, user_id: UserId, *, etag: str | None = None
    ) -> None:
        """Gone already is fine; with an etag, a newer item stays."""

    def lock_address(self, address: str, user_id: UserId, now: datetime, until: datetime) -> bool:
        """Become the only one who makes an employee with this address; False while another does."""

    def unlock_address(self, address: str) -> None: ...


class EmployeeWriter(Protocol):
    """BMS's older API (v1), which alone may write employees. It deletes nothing."""

    def probe(self) -> None:
        """Read one employee and write nothing; RouteMissing on 404 or 405."""

    def create(self, fields: Sequence[ToWrite]) -> tuple[RecordId, tuple[str, ...]]:
        """The new employee, and notes on what could not be written.

        Uncertain when no answer came; Rejected with BMS's words when refused.
        """

    def change(
        self,
        record_id: RecordId,
        fields: Sequence[ToWrite],
        before_write: Callable[[], None],
    ) -> tuple[str, ...]:
        """Read the employee whole, change these fields alone, write it whole, check the reply.

        Security roles go back exactly as they were read (R15). Answers notes; DecideAgain when the
        employee is gone.
        """
