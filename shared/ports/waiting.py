"""Remembered for a person: holds, conflicts, failures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shared.core.model import (
    ConnectionId,
    RecordId,
    RecordType,
    UserId,
)


@dataclass(frozen=True, slots=True)
class HeldUser:
    """One person of a hold. `state`: waiting, approved, refused, expired, or back (in scope)."""

    user_id: UserId
    record_id: RecordId | None
    reason: str
    display_name: str = ""
    state: str = "waiting"


@dataclass(frozen=True, slots=True)
class Hold:
    """Deactivations that wait for a person (R20). `state`: open, decided or expired."""

    id: str
    connection_id: ConnectionId
    raised_at: datetime
    expires_at: datetime
    state: str = "open"


class Holds(Protocol):
    """Holds, and the people in them."""

    def add(self, hold: Hold) -> bool:
        """False when there is one of this id already."""

    def put(self, hold: Hold) -> None: ...

    def get(self, hold_id: str) -> Hold | None: ...

    def put_people(self, hold: Hold, people: Sequence[HeldUser]) -> None: ...

    def people(self, hold: Hold, users: Sequence[UserId] | None = None) -> list[HeldUser]: ...

    def people_page(
        self, hold: Hold, *, limit: int, after: UserId | None
    ) -> tuple[Sequence[HeldUser], UserId | None]:
        """People by their ids, and after whom the next page begins; None at the end."""

    def tally(self, hold: Hold) -> Mapping[str, int]:
        """How many people of the hold are in each state."""

    def count_waiting(self, holds: Sequence[Hold]) -> int:
        """How many people wait in these holds."""

    def list(
        self, *, connection_id: ConnectionId | None = None, state: str | None = None
    ) -> list[Hold]:
        """Newest first."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """A person must choose (R9). What was chosen is remembered for these very records."""

    connection_id: ConnectionId
    user_id: UserId
    record_ids: tuple[RecordId, ...]
    reason: str
    found_at: datetime
    state: str = "open"  # "open" | "resolved"
    chosen: RecordId | None = None
    create: bool = False
    ignore: bool = False
    record_type: RecordType = RecordType.CONTACT

    @property
    def id(self) -> str:
        """Connection ids hold no dot."""
        return f"{self.connection_id}.{self.user_id}"


class Conflicts(Protocol):
    def put(self, conflict: Conflict) -> None: ...

    def get(self, connection_id: ConnectionId, user_id: UserId) -> Conflict | None: ...

    def settle(self, connection_id: ConnectionId, user_id: UserId) -> None:
        """Remove it, unless a person resolved it: that choice is remembered."""

    def count_open(self) -> int:
        """How many wait for a choice."""

    def list(
        self, connection_id: ConnectionId | None = None, *, state: str | None = None
    ) -> list[Conflict]: ...


@dataclass(frozen=True, slots=True)
class Failure:
    """Work that cannot succeed by itself; a person can replay it."""

    id: str
    connection_id: ConnectionId
    at: datetime
    cause: str
    sentence: str
    next_step: str
    message: str  # the queue message, to be replayed
    queue: str
    user_id: UserId | None = None  # where it is about a single one


class Failures(Protocol):
    def add(self, *failures: Failure) -> None: ...

    def get(self, failure_id: str) -> Failure | None: ...

    def remove(self, failure_ids: Sequence[str]) -> None: ...

    def count(self) -> int: ...

    def list(self) -> list[Failure]:
        """Newest first."""
