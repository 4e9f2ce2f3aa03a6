"""What was found to be edited in BMS, connection by connection."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from shared.core.drift import DriftField
from shared.core.model import AccountId, ConnectionId, RecordId, RecordType, UserId


@dataclass(frozen=True, slots=True)
class DriftItem:
    """One linked record whose mapped fields were edited."""

    connection_id: ConnectionId
    user_id: UserId
    display_name: str
    record_type: RecordType
    record_id: RecordId
    account_id: AccountId | None
    account_name: str
    is_active: bool
    fields: tuple[DriftField, ...]
    read_at: datetime
    edited_by: str | None = None
    edited_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class DriftReading:
    """How a connection's comparison stands. `compared` of `links` while one is going on."""

    connection_id: ConnectionId
    read_at: datetime | None = None
    reading_until: datetime | None = None  # the lease of whoever compares now
    links: int = 0
    compared: int = 0
    notes: tuple[str, ...] = ()
    go_on_after: AccountId | None = None  # BMS's limit ended the comparison behind this account


class DriftStore(Protocol):
    """The last comparison of each connection."""

    def reading(self, connection_id: ConnectionId) -> DriftReading: ...

    def begin(self, connection_id: ConnectionId, now: datetime, lease: timedelta) -> bool:
        """Become the only one who compares this connection; False while another does."""

    def progress(self, reading: DriftReading) -> bool:
        """How far it is; without `reading_until` it is over. False when nobody began it, or the
        connection was deleted since.
        """

    def replace_all(
        self,
        connection_id: ConnectionId,
        items: Sequence[DriftItem],
        not_compared: Collection[UserId] = (),
    ) -> None:
        """These and no others, but for who was not compared now."""

    def remove(self, connection_id: ConnectionId) -> None:
        """Everything of a connection that is no more."""

    def list(
        self, connection_id: ConnectionId, *, text: str, limit: int, cursor: str | None
    ) -> tuple[Sequence[DriftItem], str | None]:
        """By user id, with the next page's cursor. `text` is looked for in names and ids."""
