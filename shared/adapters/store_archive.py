"""Removes what is older than a moment from the tables that grow for ever."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

from shared.adapters.store_connections import remove_rows, stamp
from shared.adapters.store_log import day_key
from shared.adapters.tables import Entity, Storage

# A run that nobody has looked at since is not marked as ended; one this old has ended somehow.
_SURELY_OVER = timedelta(days=7)
# Their people still wait for a person's word by a mark on their link (R20).
_STILL_OF_USE = ("refused", "expired")


class TableArchive:
    """ports.Archive."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def remove_before(self, moment: datetime) -> int:
        moment = moment.astimezone(UTC)
        removed = self._remove("activity", "PartitionKey gt @key", {"key": day_key(moment)})
        removed += self._runs(moment)
        removed += self._holds(moment)
        removed += self._choices(moment)
        removed += self._drift(moment)
        removed += self._remove("signins", "expiresAt lt @key", {"key": stamp(moment)})
        return removed

    def _runs(self, moment: datetime) -> int:
        """Ended runs; the parts first, so that nothing is left of a run that cannot be found."""
        removed = 0
        parameters = {"at": stamp(moment), "lost": stamp(moment - _SURELY_OVER)}
        query = (
            "PartitionKey eq 'run' and requestedAt lt @at and "
            "( state eq 'done' or state eq 'failed' or requestedAt lt @lost )"
        )
        for run in self._rows("syncs", query, parameters):
            key = {"key": run["RowKey"]}
            removed += self._remove("syncs", "PartitionKey eq @key", key)
            removed += self._remove("syncs", "PartitionKey eq 'run' and RowKey eq @key", key)
        return removed

    def _holds(self, moment: datetime) -> int:
        """Holds that are over, once nobody in them waits for another word."""
        removed = 0
        for hold in self._rows(
            "holds", "state ne 'open' and raisedAt lt @at", {"at": stamp(moment)}
        ):
            key = {"key": hold["RowKey"]}
            people = self._storage.table("heldpeople").query(
                "PartitionKey eq @key", parameters=key, select=["state"]
            )
            if any(one["state"] in _STILL_OF_USE for one in people):
                continue
            removed += self._remove("heldpeople", "PartitionKey eq @key", key)
            here = {**key, "of": hold["PartitionKey"]}
            removed += self._remove("holds", "PartitionKey eq @of and RowKey eq @key", here)
        return removed

    def _drift(self, moment: datetime) -> int:
        """Comparisons with BMS that nobody has asked for since; the reading last."""
        removed = 0
        old = "PartitionKey eq 'reading' and readAt lt @at and readingUntil lt @at"
        for reading in self._rows("drift", old, {"at": stamp(moment)}):
            key = {"key": reading["RowKey"]}
            removed += self._remove("drift", "PartitionKey eq @key", key)
            removed += self._remove("drift", "PartitionKey eq 'reading' and RowKey eq @key", key)
        return removed

    def _choices(self, moment: datetime) -> int:
        """Choices in conflicts of users of whom nothing else is remembered."""
        links = self._storage.table("links")
        removed = 0
        for choice in self._rows(
            "conflicts", "state eq 'resolved' and foundAt lt @at", {"at": stamp(moment)}
        ):
            if links.get(choice["PartitionKey"], choice["RowKey"]) is None:
                here = {"of": choice["PartitionKey"], "key": choice["RowKey"]}
                removed += self._remove(
                    "conflicts", "PartitionKey eq @of and RowKey eq @key and state ne 'open'", here
                )
        return removed

    def _rows(self, table: str, query: str, parameters: Mapping[str, str]) -> Iterator[Entity]:
        return self._storage.table(table).query(
            query, parameters=parameters, select=["PartitionKey", "RowKey"]
        )

    def _remove(self, name: str, query: str, parameters: Mapping[str, str]) -> int:
        return remove_rows(self._storage.table(name), query, parameters)
