"""Stores that forget: what is written to one of them is seen through it, and nowhere else.

The real sync runs on these when somebody asks what it would do (rehearsing). Each reads through to
the real store and keeps in memory what it was told to write, with etags of its own, so that claims,
locks and races come out as they would. None of them holds a way to write to the store behind it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from shared.core.digest import LinkDigests
from shared.core.model import (
    Activity,
    Connection,
    ConnectionId,
    EmployeeDefaults,
    Link,
    RecordId,
    RecordType,
    SyncId,
    UserId,
)
from shared.core.worklist import Item
from shared.errors import BadInput
from shared.ports import (
    AddressEntry,
    AddressIndex,
    Conflict,
    Conflicts,
    Connections,
    EmployeeDefaultsStore,
    HeldUser,
    Hold,
    Holds,
    Known,
    Links,
    Now,
    Owner,
    Owners,
    Window,
    Windows,
    Worklist,
)

_MINE = "rehearsed-"


def _newer(etag: str) -> str:
    """An etag that no store gives out."""
    number = int(etag.removeprefix(_MINE)) if etag.startswith(_MINE) else 0
    return f"{_MINE}{number + 1}"


@dataclass
class RehearsedConnections:
    """ports.Connections."""

    real: Connections
    held: dict[ConnectionId, Connection] = field(default_factory=dict)

    def get(self, connection_id: ConnectionId) -> Connection | None:
        return self.held.get(connection_id) or self.real.get(connection_id)

    def list(self) -> list[Connection]:
        return [self.held.get(one.id, one) for one in self.real.list()]

    def add(self, connection: Connection) -> None:
        self.held[connection.id] = connection

    def update(
        self, connection_id: ConnectionId, change: Callable[[Connection], Connection]
    ) -> Connection | None:
        before = self.get(connection_id)
        if before is None:
            return None
        self.held[connection_id] = change(before)
        return self.held[connection_id]

    def delete(self, connection_id: ConnectionId) -> None:
        raise BadInput(409, "A connection is not deleted to see what would come of it.")


@dataclass
class RehearsedLinks:
    """ports.Links; the lists show the real ones, which a decision about one user never lists."""

    real: Links
    held: dict[tuple[ConnectionId, UserId], Link | None] = field(default_factory=dict)

    def get(self, connection_id: ConnectionId, user_id: UserId) -> Link | None:
        key = (connection_id, user_id)
        return self.held[key] if key in self.held else self.real.get(connection_id, user_id)

    def get_many(
        self, connection_id: ConnectionId, user_ids: Sequence[UserId]
    ) -> dict[UserId, Link]:
        left = [user for user in user_ids if (connection_id, user) not in self.held]
        found = self.real.get_many(connection_id, left) if left else {}
        mine = {user: self.held.get((connection_id, user)) for user in user_ids}
        return {**found, **{user: link for user, link in mine.items() if link is not None}}

    def all(self, connection_id: ConnectionId) -> Iterator[list[Link]]:
        return self.real.all(connection_id)

    def digests(self, connection_id: ConnectionId) -> LinkDigests:
        return self.real.digests(connection_id)

    def employees(self, connection_id: ConnectionId) -> list[Link]:
        return self.real.employees(connection_id)

    def count_active(self, connection_id: ConnectionId) -> int:
        return self.real.count_active(connection_id)

    def page(
        self,
        connection_id: ConnectionId,
        *,
        state: str | None,
        text: str | None,
        limit: int,
        cursor: str | None,
    ) -> tuple[list[Link], str | None]:
        return self.real.page(connection_id, state=state, text=text, limit=limit, cursor=cursor)

    def save(self, links: Sequence[Link]) -> dict[UserId, Link]:
        saved: dict[UserId, Link] = {}
        for link in links:
            before = self.get(link.connection_id, link.user_id)
            if link.etag == (before.etag if before else ""):
                after = replace(link, etag=_newer(link.etag))
                self.held[link.connection_id, link.user_id] = saved[link.user_id] = after
        return saved

    def remove(self, links: Sequence[Link]) -> None:
        self.held |= {(link.connection_id, link.user_id): None for link in links}


@dataclass
class RehearsedOwners:
    """ports.Owners."""

    real: Owners
    held: dict[tuple[RecordType, RecordId], Owner | None] = field(default_factory=dict)

    def get_many(
        self, record_type: RecordType, record_ids: Iterable[RecordId]
    ) -> dict[RecordId, Owner]:
        wanted = list(record_ids)
        left = [one for one in wanted if (record_type, one) not in self.held]
        found = self.real.get_many(record_type, left) if left else {}
        mine = {one: self.held.get((record_type, one)) for one in wanted}
        return {**found, **{one: owner for one, owner in mine.items() if owner is not None}}

    def take(
        self, record_type: RecordType, record_id: RecordId, owner: Owner, *, over: Owner | None
    ) -> bool:
        before = self.get_many(record_type, [record_id]).get(record_id)
        if (before.etag if before else "") == (over.etag if over else ""):
            etag = _newer(before.etag if before else "")
            self.held[record_type, record_id] = replace(owner, etag=etag)
            return True
        return before == owner

    def take_new(self, record_type: RecordType, taken: Sequence[tuple[RecordId, Owner]]) -> None:
        for record_id, owner in taken:
            self.held[record_type, record_id] = replace(owner, etag=_newer(""))

    def release(self, record_type: RecordType, record_id: RecordId, owner: Owner) -> None:
        if self.get_many(record_type, [record_id]).get(record_id) == owner:
            self.held[record_type, record_id] = None


@dataclass
class RehearsedConflicts:
    """ports.Conflicts. Nobody else's conflict is listed: only this user's work is rehearsed."""

    real: Conflicts
    held: dict[tuple[ConnectionId, UserId], Conflict | None] = field(default_factory=dict)

    def put(self, conflict: Conflict) -> None:
        self.held[conflict.connection_id, conflict.user_id] = conflict

    def get(self, connection_id: ConnectionId, user_id: UserId) -> Conflict | None:
        key = (connection_id, user_id)
        return self.held[key] if key in self.held else self.real.get(connection_id, user_id)

    def settle(self, connection_id: ConnectionId, user_id: UserId) -> None:
        before = self.get(connection_id, user_id)
        if before is not None and before.state == "open":
            self.held[connection_id, user_id] = None

    def count_open(self) -> int:
        return len(self.list(state="open"))

    def list(
        self, connection_id: ConnectionId | None = None, *, state: str | None = None
    ) -> list[Conflict]:
        mine = [one for one in self.held.values() if one is not None]
        return [one for one in mine if state in (None, one.state)]


@dataclass
class RehearsedHolds:
    """ports.Holds."""

    real: Holds
    held: dict[str, Hold] = field(default_factory=dict)
    inside: dict[str, dict[UserId, HeldUser]] = field(default_factory=dict)

    def add(self, hold: Hold) -> bool:
        if self.get(hold.id) is not None:
            return False
        self.held[hold.id] = hold
        return True

    def put(self, hold: Hold) -> None:
        self.held[hold.id] = hold

    def get(self, hold_id: str) -> Hold | None:
        return self.held.get(hold_id) or self.real.get(hold_id)

    def put_people(self, hold: Hold, people: Sequence[HeldUser]) -> None:
        self.inside.setdefault(hold.id, {}).update({one.user_id: one for one in people})

    def people(self, hold: Hold, users: Sequence[UserId] | None = None) -> list[HeldUser]:
        found = {one.user_id: one for one in self.real.people(hold, users)}
        found |= self.inside.get(hold.id, {})
        return [one for one in found.values() if users is None or one.user_id in users]

    def people_page(
        self, hold: Hold, *, limit: int, after: UserId | None
    ) -> tuple[Sequence[HeldUser], UserId | None]:
        return self.real.people_page(hold, limit=limit, after=after)  # a list to read: as it is

    def tally(self, hold: Hold) -> Mapping[str, int]:
        return Counter(one.state for one in self.people(hold))

    def count_waiting(self, holds: Sequence[Hold]) -> int:
        return sum(self.tally(hold).get("waiting", 0) for hold in holds)

    def list(
        self, *, connection_id: ConnectionId | None = None, state: str | None = None
    ) -> list[Hold]:
        found = {one.id: one for one in self.real.list(connection_id=connection_id)} | self.held
        return [
            one
            for one in found.values()
            if state in (None, one.state) and connection_id in (None, one.connection_id)
        ]


@dataclass
class RehearsedWindows:
    """ports.Windows."""

    real: Windows
    held: dict[ConnectionId, Window] = field(default_factory=dict)

    def get(self, connection_id: ConnectionId) -> Window | None:
        return self.held.get(connection_id) or self.real.get(connection_id)

    def save(self, connection_id: ConnectionId, window: Window) -> bool:
        before = self.get(connection_id)
        if window.etag != (before.etag if before else ""):
            return False
        self.held[connection_id] = replace(window, etag=_newer(window.etag))
        return True


@dataclass
class RehearsedIndex:
    """ports.AddressIndex. BMS's lists are never read in full for one user."""

    real: AddressIndex
    now: Now
    held: dict[str, AddressEntry] = field(default_factory=dict)

    def read_at(self) -> datetime | None:
        """Not read at all counts as read now: BMS is asked by address instead."""
        return self.real.read_at() or self.now()

    def begin_reading(self, now: datetime, lease: timedelta) -> bool:
        return False

    def finish_reading(
        self, began: datetime, entries: Mapping[str, tuple[Known, ...]], now: datetime
    ) -> None:
        """Never begun."""

    def abandon_reading(self) -> None:
        """Never begun."""

    def get_many(self, addresses: Iterable[str]) -> dict[str, AddressEntry]:
        wanted = list(addresses)
        left = [one for one in wanted if one not in self.held]
        found = self.real.get_many(left) if left else {}
        return {**found, **{one: self.held[one] for one in wanted if one in self.held}}

    def cached(self, addresses: Iterable[str]) -> dict[str, AddressEntry]:
        return self.get_many(addresses)

    def change(self, entries: Sequence[AddressEntry]) -> dict[str, AddressEntry]:
        before = self.get_many([one.address for one in entries])
        done: dict[str, AddressEntry] = {}
        for one in entries:
            seen = before.get(one.address)
            if one.etag == (seen.etag if seen else ""):
                self.held[one.address] = done[one.address] = replace(one, etag=_newer(one.etag))
        return done

    def put(self, entries: Sequence[AddressEntry]) -> None:
        self.held |= {one.address: replace(one, etag=_newer(one.etag)) for one in entries}


@dataclass
class RehearsedWorklist:
    """ports.Worklist."""

    real: Worklist
    held: dict[tuple[ConnectionId, UserId], Item | None] = field(default_factory=dict)

    def put(self, items: Sequence[Item]) -> None:
        self.held |= {(one.connection_id, one.user_id): one for one in items}

    def get(self, connection_id: ConnectionId, user_id: UserId) -> Item | None:
        key = (connection_id, user_id)
        return self.held[key] if key in self.held else self.real.get(connection_id, user_id)

    def list(self, connection_id: ConnectionId | None = None) -> list[Item]:
        return self.real.list(connection_id)

    def change(self, item: Item) -> Item | None:
        self.put([item])
        return item

    def remove(
        self, connection_id: ConnectionId, user_id: UserId, *, etag: str | None = None
    ) -> None:
        self.held[connection_id, user_id] = None

    def lock_address(self, address: str, user_id: UserId, now: datetime, until: datetime) -> bool:
        return True

    def unlock_address(self, address: str) -> None:
        """Locked nowhere."""


@dataclass
class RehearsedDefaults:
    """ports.EmployeeDefaultsStore."""

    real: EmployeeDefaultsStore
    held: EmployeeDefaults | None = None

    def get(self) -> EmployeeDefaults:
        return self.held or self.real.get()

    def update(self, change: Callable[[EmployeeDefaults], EmployeeDefaults]) -> EmployeeDefaults:
        self.held = change(self.get())
        return self.held


@dataclass
class RehearsedLog:
    """ports.ActivityLog: the lines that the sync would write."""

    held: list[Activity] = field(default_factory=list)

    def add(self, items: Sequence[Activity]) -> None:
        self.held += items

    def list(
        self,
        *,
        connection_id: ConnectionId | None = None,
        user_id: UserId | None = None,
        kind: str | None = None,
        since: datetime | None = None,
        sync_id: SyncId | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> tuple[list[Activity], str | None]:
        return self.held[::-1][:limit], None

    def users_of(self, sync_id: SyncId, since: datetime) -> Iterator[Sequence[tuple[UserId, str]]]:
        yield from ()  # nothing of a rehearsal is undone

    def get_many(self, ids: Sequence[str]) -> Sequence[Activity]:
        return []

    def mark_undone(self, ids: Sequence[str], by: SyncId) -> None:
        """Nothing of a rehearsal is undone."""


class NoQueues:
    """ports.Queues: nothing is sent."""

    def send(self, queue: str, text: str, delay: timedelta | None = None) -> None:
        """Heard by nobody."""

    def backlog(self) -> dict[str, int]:
        return {}
