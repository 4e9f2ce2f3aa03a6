"""What became of an undo, line by line of the activity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from shared.core.model import FieldChange, RecordId, SyncId, UserId


@dataclass(frozen=True, slots=True)
class UndoOutcome:
    """One line that was to be undone. `reason` says what of it could not be, and why."""

    activity_id: str
    user_id: UserId
    display_name: str
    record_id: RecordId | None
    undone: bool
    changes: tuple[FieldChange, ...] = ()
    reason: str = ""


class UndoOutcomes(Protocol):
    """Kept with the run of the undo."""

    def put(self, run: SyncId, outcomes: Sequence[UndoOutcome]) -> None:
        """The first word on a line stays, so that a repeated message tells nothing else."""

    def get_many(self, run: SyncId, activity_ids: Sequence[str]) -> Sequence[UndoOutcome]:
        """Those of these lines of which something is told, in any order."""

    def list(
        self, run: SyncId, *, limit: int, cursor: str | None = None
    ) -> tuple[Sequence[UndoOutcome], str | None]:
        """Those of a run, with the next page's cursor."""
