"""Remembered people: links, record owners, and the address index."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from shared.core.digest import LinkDigests
from shared.core.model import (
    AccountId,
    ConnectionId,
    Link,
    RecordId,
    RecordType,
    UserId,
)


class Links(Protocol):
    """Links, one partition per connection."""

    def get(self, connection_id: ConnectionId, user_id: UserId) -> Link | None: ...

    def get_many(
        self, connection_id: ConnectionId, user_ids: Sequence[UserId]
    ) -> dict[UserId, Link]: ...

    def all(self, connection_id: ConnectionId) -> Iterator[list[Link]]:
        """Every link of the connection, page by page, with what a comparison needs.

        Names, addresses, written values and claims are left out.
        """

    def digests(self, connection_id: ConnectionId) -> LinkDigests:
        """Every link of the connection, packed: what a comparison needs of many."""

    def employees(self, connection_id: ConnectionId) -> list[Link]:
        """The links that are, were or become employees, whole."""

    def count_active(self, connection_id: ConnectionId) -> int:
        """Without those whose records a person's undo has made inactive."""

    def save(self, links: Sequence[Link]) -> dict[UserId, Link]:
        """Write links of one connection, each only if nobody wrote it since it was read.

        The etag "" means: must not exist yet. Answers those written, with their new etags; whoever
        is missing from the answer was changed meanwhile and has to be decided again.
        """

    def remove(self, links: Sequence[Link]) -> None: ...

    def page(
        self,
        connection_id: ConnectionId,
        *,
        state: str | None,
        text: str | None,
        limit: int,
        cursor: str | None,
    ) -> tuple[list[Link], str | None]:
        """Links ordered by user id, with the next page's cursor; BadInput for a foreign cursor.

        `text` is looked for, ignoring case, in user id, UPN, display name, address and record id; a
        whole object id is read directly. A search may end early: with fewer links than asked for,
        or none, and a cursor by which it goes on.
        """


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose record this is."""

    connection_id: ConnectionId
    user_id: UserId
    etag: str = field(default="", compare=False)


class Owners(Protocol):
    """Record → user, over all connections: two users never hold one record (R9)."""

    def get_many(
        self, record_type: RecordType, record_ids: Iterable[RecordId]
    ) -> dict[RecordId, Owner]: ...

    def take(
        self, record_type: RecordType, record_id: RecordId, owner: Owner, *, over: Owner | None
    ) -> bool:
        """Become the owner: of a free record (`over` None), or over a stated former owner.

        False when somebody else was quicker. Taking what one has already is True.
        """

    def take_new(self, record_type: RecordType, taken: Sequence[tuple[RecordId, Owner]]) -> None:
        """Become the owner of records that were created just now."""

    def release(self, record_type: RecordType, record_id: RecordId, owner: Owner) -> None:
        """Give up a record; nothing happens when it is somebody else's by now."""


@dataclass(frozen=True, slots=True)
class Known:
    """A record that carries an address, as the index knows it."""

    record_id: RecordId
    account_id: AccountId
    is_active: bool


@dataclass(frozen=True, slots=True)
class AddressEntry:
    """What the index holds for one address. `creating_for` locks the address while one is made."""

    address: str
    known: tuple[Known, ...] = ()
    creating_for: UserId | None = None
    creating_until: datetime | None = None
    etag: str = field(default="", compare=False)


class AddressIndex(Protocol):
    """Address → records, read from BMS's lists in full and kept in the tables (R6)."""

    def read_at(self) -> datetime | None:
        """When the last complete reading of BMS's lists began."""

    def begin_reading(self, now: datetime, lease: timedelta) -> bool:
        """Become the only one that reads BMS's lists now; False while somebody else does."""

    def finish_reading(
        self, began: datetime, entries: Mapping[str, tuple[Known, ...]], now: datetime
    ) -> None:
        """Take over a complete reading; what was written here since `began` stays."""

    def abandon_reading(self) -> None: ...

    def get_many(self, addresses: Iterable[str]) -> dict[str, AddressEntry]:
        """The entries now; an address without one is missing. Addresses are normalised keys."""

    def cached(self, addresses: Iterable[str]) -> dict[str, AddressEntry]:
        """The same for bulk work, from this process's copy of the whole index."""

    def change(self, entries: Sequence[AddressEntry]) -> dict[str, AddressEntry]:
        """Write entries, each only if unchanged since read (etag "" = must not exist).

        Answers those written, with new etags.
        """

    def put(self, entries: Sequence[AddressEntry]) -> None:
        """Write entries as they are: for the lock's holder only."""
