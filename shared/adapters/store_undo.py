"""What became of an undo, in the tables: beside the parts of its run, and removed with them."""

from __future__ import annotations

import json
from collections.abc import Sequence

from shared.adapters.tables import Entity, Storage, Write
from shared.core.model import FieldChange, RecordId, SyncId, UserId
from shared.ports import UndoOutcome

# After every name of a part, which begins with a hexadecimal digit.
_FIRST, _LAST = "undo.", "undo/"


class TableUndoOutcomes:
    """ports.UndoOutcomes."""

    def __init__(self, storage: Storage) -> None:
        self._table = storage.table("syncs")

    def put(self, run: SyncId, outcomes: Sequence[UndoOutcome]) -> None:
        self._table.write_all([Write(_entity(run, one), etag="") for one in outcomes])

    def get_many(self, run: SyncId, activity_ids: Sequence[str]) -> Sequence[UndoOutcome]:
        rows = [self._table.get(run, _FIRST + one) for one in activity_ids]
        return [_outcome(entity) for entity in rows if entity]

    def list(
        self, run: SyncId, *, limit: int, cursor: str | None = None
    ) -> tuple[Sequence[UndoOutcome], str | None]:
        parameters = {"p": run, "lo": _FIRST + (cursor or ""), "hi": _LAST}
        pages = self._table.pages(
            "PartitionKey eq @p and RowKey gt @lo and RowKey lt @hi",
            parameters=parameters,
            page=min(1000, limit + 1),
        )
        found: list[UndoOutcome] = []
        for entities, _ in pages:
            for entity in entities:
                if len(found) == limit:
                    return found, found[-1].activity_id
                found.append(_outcome(entity))
        return found, None


def _entity(run: SyncId, one: UndoOutcome) -> Entity:
    return {
        "PartitionKey": run,
        "RowKey": _FIRST + one.activity_id,
        "userId": one.user_id,
        "displayName": one.display_name,
        "recordId": one.record_id if one.record_id is not None else -1,
        "undone": one.undone,
        "changes": json.dumps(
            [[each.field, each.old, each.new] for each in one.changes], ensure_ascii=False
        ),
        "reason": one.reason,
    }


def _outcome(entity: Entity) -> UndoOutcome:
    record = int(entity["recordId"])
    return UndoOutcome(
        activity_id=str(entity["RowKey"]).removeprefix(_FIRST),
        user_id=UserId(entity["userId"]),
        display_name=entity["displayName"],
        record_id=RecordId(record) if record >= 0 else None,
        undone=bool(entity["undone"]),
        changes=tuple(FieldChange(*each) for each in json.loads(entity["changes"])),
        reason=entity["reason"],
    )
