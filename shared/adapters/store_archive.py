"""Removes what is older than a moment from the tables that grow for ever."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime

from shared.adapters.store_connections import stamp
from shared.adapters.store_log import day_key
from shared.adapters.tables import Storage, Write


class TableArchive:
    """ports.Archive."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def remove_before(self, moment: datetime) -> int:
        at = stamp(moment.astimezone(UTC))
        removed = self._remove("activity", "PartitionKey gt @key", {"key": day_key(moment)})
        for run in self._ids("syncs", "PartitionKey eq 'run' and requestedAt lt @at", at):
            removed += self._remove("syncs", "PartitionKey eq @key", {"key": run})
            removed += self._remove(
                "syncs", "PartitionKey eq 'run' and RowKey eq @key", {"key": run}
            )
        for hold in self._ids("holds", "state ne 'open' and raisedAt lt @at", at):
            removed += self._remove("heldpeople", "PartitionKey eq @key", {"key": hold})
            removed += self._remove("holds", "RowKey eq @key", {"key": hold})
        removed += self._remove("signins", "expiresAt lt @key", {"key": at})
        return removed

    def _ids(self, table: str, query: str, at: str) -> list[str]:
        found = self._storage.table(table).query(
            query, parameters={"at": at}, select=["PartitionKey", "RowKey"]
        )
        return [str(entity["RowKey"]) for entity in found]

    def _remove(self, name: str, query: str, parameters: dict[str, str]) -> int:
        table = self._storage.table(name)
        removed = 0
        pages = table.pages(query, parameters=parameters, select=["PartitionKey", "RowKey"])
        for entities, _ in pages:
            partitions: defaultdict[str, list[Write]] = defaultdict(list)
            for entity in entities:
                keys = {"PartitionKey": entity["PartitionKey"], "RowKey": entity["RowKey"]}
                partitions[entity["PartitionKey"]].append(Write(keys, delete=True))
            for writes in partitions.values():
                table.write_all(writes)
                removed += len(writes)
        return removed
