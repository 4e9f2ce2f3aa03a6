"""Onboarding checks in the tables: one row per connection."""

from __future__ import annotations

from datetime import datetime

import msgspec

from shared.adapters.store_connections import stamp, when
from shared.adapters.tables import Entity, Storage, Write, joined, pieces
from shared.core.model import ConnectionId
from shared.core.onboarding import CheckResult
from shared.ports.checks import KeptCheck

_ROW = "check"


class TableChecks:
    """ports.Checks."""

    def __init__(self, storage: Storage) -> None:
        self._table = storage.table("checks")

    def get(self, connection_id: ConnectionId) -> KeptCheck | None:
        entity = self._table.get(connection_id, _ROW)
        if entity is None:
            return None
        started = when(entity["startedAt"])
        text = joined(entity, "result")
        if started is None:
            return None
        try:
            result = msgspec.json.decode(text, type=CheckResult) if text else None
        except msgspec.MsgspecError:
            result = None  # written by another version: made anew
        return KeptCheck(started, when(entity["until"]), result)

    def begin(self, connection_id: ConnectionId, now: datetime, until: datetime) -> bool:
        before = self._table.get(connection_id, _ROW)
        busy = when(before["until"]) if before else None
        if busy is not None and busy > now:
            return False
        etag = before["etag"] if before else ""
        return self._table.write(Write(_entity(connection_id, now, until, ""), etag)) is not None

    def renew(self, connection_id: ConnectionId, started: datetime, until: datetime) -> None:
        self._write(connection_id, started, until, "")

    def finish(
        self, connection_id: ConnectionId, started: datetime, result: CheckResult | None
    ) -> None:
        text = "" if result is None else msgspec.json.encode(result).decode()
        self._write(connection_id, started, None, text)

    def _write(
        self, connection_id: ConnectionId, started: datetime, until: datetime | None, result: str
    ) -> None:
        before = self._table.get(connection_id, _ROW)
        if before is None or when(before["until"]) is None or when(before["startedAt"]) != started:
            return  # the connection was deleted, or another one took it over
        entity = _entity(connection_id, started, until, result)
        self._table.write(Write(entity, etag=before["etag"]))


def _entity(
    connection_id: ConnectionId, started: datetime, until: datetime | None, result: str
) -> Entity:
    return {
        "PartitionKey": connection_id,
        "RowKey": _ROW,
        "startedAt": stamp(started),
        "until": stamp(until),
        **pieces("result", result),
    }
