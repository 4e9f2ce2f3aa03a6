"""The address index, the windows of leavers and the onboarding checks in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from shared.core.model import ConnectionId
from shared.core.onboarding import CheckResult
from shared.ports import AddressEntry, Known, Window
from shared.ports.checks import KeptCheck


@dataclass
class FakeAddressIndex:
    """Read at `at`; `reading` while somebody else reads."""

    at: datetime | None = None
    held: dict[str, AddressEntry] = field(default_factory=dict)
    reading: bool = False

    def read_at(self) -> datetime | None:
        return self.at

    def begin_reading(self, now: datetime, lease: timedelta) -> bool:
        return not self.reading

    def finish_reading(
        self, began: datetime, entries: Mapping[str, tuple[Known, ...]], now: datetime
    ) -> None:
        self.held = {address: AddressEntry(address, known) for address, known in entries.items()}
        self.at = began

    def abandon_reading(self) -> None:
        self.reading = False

    def get_many(self, addresses: Iterable[str]) -> dict[str, AddressEntry]:
        return {one: self.held[one] for one in addresses if one in self.held}

    def cached(self, addresses: Iterable[str]) -> dict[str, AddressEntry]:
        return self.get_many(addresses)

    def change(self, entries: Sequence[AddressEntry]) -> dict[str, AddressEntry]:
        self.put(entries)
        return {one.address: one for one in entries}

    def put(self, entries: Sequence[AddressEntry]) -> None:
        self.held |= {one.address: one for one in entries}


@dataclass
class FakeWindows:
    held: dict[ConnectionId, Window] = field(default_factory=dict)

    def get(self, connection_id: ConnectionId) -> Window | None:
        return self.held.get(connection_id)

    def save(self, connection_id: ConnectionId, window: Window) -> bool:
        self.held[connection_id] = replace(window)
        return True


@dataclass
class FakeChecks:
    held: dict[ConnectionId, KeptCheck] = field(default_factory=dict)

    def get(self, connection_id: ConnectionId) -> KeptCheck | None:
        return self.held.get(connection_id)

    def begin(self, connection_id: ConnectionId, now: datetime, until: datetime) -> bool:
        before = self.held.get(connection_id)
        if before is not None and before.until is not None and before.until > now:
            return False
        self.held[connection_id] = KeptCheck(now, until, None)
        return True

    def renew(self, connection_id: ConnectionId, started: datetime, until: datetime) -> None:
        if self.held[connection_id].started_at != started:
            return
        self.held[connection_id] = replace(self.held[connection_id], until=until)

    def finish(
        self, connection_id: ConnectionId, started: datetime, result: CheckResult | None
    ) -> None:
        before = self.held[connection_id]
        if before.started_at != started:
            return
        self.held[connection_id] = replace(before, until=None, result=result)
