"""Previews of rule sets that are not saved: the wish, the people, the numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from shared.core.model import ConnectionId, MappingRule, RecordId, UserId
from shared.core.preview import Move, PreviewedPerson


@dataclass(frozen=True, slots=True)
class Preview:
    """One preview. `state`: running, ready or failed.

    `basis` says what it rests on: another one now, and it is stale. `attempt` names the try whose
    people count; a worker is at it until `busy_until`, unless it says so anew.
    """

    id: str
    connection_id: ConnectionId
    created_at: datetime
    expires_at: datetime
    basis: str
    state: str = "running"
    reason: str = ""
    seen: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)
    moves: tuple[Move, ...] = ()
    would_hold: bool = False
    notes: tuple[str, ...] = ()
    sentence: str = ""
    attempt: str = ""
    busy_until: datetime | None = None
    etag: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class PreviewedRule:
    """A rule of the set. `is_new`: it has an id here that no saved rule has."""

    rule: MappingRule
    index: int
    is_new: bool


@dataclass(frozen=True, slots=True)
class Leaving:
    """Whose record becomes inactive, and how. `kind`: "deactivate" or "move"."""

    record_id: RecordId
    kind: str


class Previews(Protocol):
    """Previews, kept for a day or so."""

    def add(self, preview: Preview, rules: Sequence[PreviewedRule]) -> None: ...

    def get(self, preview_id: str) -> Preview | None: ...

    def rules(self, preview_id: str) -> list[PreviewedRule]:
        """In the order of the request."""

    def save(self, preview: Preview) -> Preview | None:
        """Written if nobody wrote it since it was read; None when somebody did."""

    def put_people(self, preview: Preview, people: Sequence[PreviewedPerson]) -> None:
        """Of this attempt; a repeat changes nothing."""

    def people(
        self,
        preview: Preview,
        *,
        kind: str | None,
        text: str | None,
        limit: int,
        cursor: str | None,
    ) -> tuple[list[PreviewedPerson], str | None]:
        """By kind and user id; `text` is looked for, ignoring case, in names, address and ids."""

    def leaving(self, preview_id: str) -> Mapping[UserId, Leaving]:
        """Whose record becomes inactive by a ready preview: deactivated, or left by a move."""

    def spend(
        self, preview_id: str, connection_id: ConnectionId, users: Sequence[UserId], until: datetime
    ) -> None:
        """What was approved for these is used up; remembered until then."""

    def spent(self, preview_id: str) -> Set[UserId]:
        """For whom it is used up."""

    def remove_expired(self, now: datetime) -> int:
        """Remove what has run out; answers how many entries."""
