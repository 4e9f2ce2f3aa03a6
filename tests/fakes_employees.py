"""Employee Defaults, the worklist and BMS's older API in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from shared.core.employee_fields import ToWrite
from shared.core.model import ConnectionId, EmployeeDefaults, RecordId, RecordType, UserId
from shared.core.worklist import Item
from shared.errors import SyncError
from shared.ports import Owner


@dataclass
class FakeEmployeeDefaults:
    held: EmployeeDefaults = field(default_factory=EmployeeDefaults)

    def get(self) -> EmployeeDefaults:
        return self.held

    def update(self, change: Callable[[EmployeeDefaults], EmployeeDefaults]) -> EmployeeDefaults:
        self.held = change(self.held)
        return self.held


@dataclass
class FakeWorklist:
    held: dict[tuple[ConnectionId, UserId], Item] = field(default_factory=dict)
    locks: dict[str, UserId] = field(default_factory=dict)

    def put(self, items: Sequence[Item]) -> None:
        self.held |= {(one.connection_id, one.user_id): one for one in items}

    def get(self, connection_id: ConnectionId, user_id: UserId) -> Item | None:
        return self.held.get((connection_id, user_id))

    def list(self, connection_id: ConnectionId | None = None) -> list[Item]:
        mine = [one for one in self.held.values() if connection_id in (None, one.connection_id)]
        return sorted(mine, key=lambda one: (one.at, one.user_id))

    def change(self, item: Item) -> Item | None:
        self.put([item])
        return item

    def remove(
        self, connection_id: ConnectionId, user_id: UserId, *, etag: str | None = None
    ) -> None:
        self.held.pop((connection_id, user_id), None)

    def lock_address(self, address: str, user_id: UserId, now: datetime, until: datetime) -> bool:
        return self.locks.setdefault(address, user_id) == user_id

    def unlock_address(self, address: str) -> None:
        self.locks.pop(address, None)


@dataclass
class FakeOwners:
    held: dict[tuple[RecordType, RecordId], Owner] = field(default_factory=dict)

    def get_many(
        self, record_type: RecordType, record_ids: Iterable[RecordId]
    ) -> dict[RecordId, Owner]:
        found = {one: self.held.get((record_type, one)) for one in record_ids}
        return {one: owner for one, owner in found.items() if owner is not None}

    def take(
        self, record_type: RecordType, record_id: RecordId, owner: Owner, *, over: Owner | None
    ) -> bool:
        if self.held.get((record_type, record_id)) not in (None, over, owner):
            return False
        self.held[record_type, record_id] = owner
        return True

    def take_new(self, record_type: RecordType, taken: Sequence[tuple[RecordId, Owner]]) -> None:
        self.held |= {(record_type, one): owner for one, owner in taken}

    def release(self, record_type: RecordType, record_id: RecordId, owner: Owner) -> None:
        if self.held.get((record_type, record_id)) == owner:
            del self.held[record_type, record_id]


@dataclass
class FakeEmployeeWriter:
    """`refusal` is raised by everything."""

    refusal: SyncError | None = None
    probes: int = 0
    created: list[tuple[ToWrite, ...]] = field(default_factory=list)

    def probe(self) -> None:
        self.probes += 1
        if self.refusal:
            raise self.refusal

    def create(self, fields: Sequence[ToWrite]) -> tuple[RecordId, tuple[str, ...]]:
        if self.refusal:
            raise self.refusal
        self.created.append(tuple(fields))
        return RecordId(950 + len(self.created)), ()

    def change(
        self,
        record_id: RecordId,
        fields: Sequence[ToWrite],
        before_write: Callable[[], None],
    ) -> tuple[str, ...]:
        before_write()
        if self.refusal:
            raise self.refusal
        return ()
