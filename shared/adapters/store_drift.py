"""What was found to be edited in BMS, in the tables: one partition per connection."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from shared.adapters.store_connections import stamp, when
from shared.adapters.tables import Entity, Storage, Write
from shared.core.drift import DriftField
from shared.core.model import AccountId, ConnectionId, RecordId, RecordType, UserId
from shared.ports.drift import DriftItem, DriftReading

_READINGS = "reading"  # no connection id is this word


class TableDrift:
    """ports.DriftStore."""

    def __init__(self, storage: Storage) -> None:
        self._table = storage.table("drift")

    def reading(self, connection_id: ConnectionId) -> DriftReading:
        entity = self._table.get(_READINGS, connection_id)
        if entity is None:
            return DriftReading(connection_id)
        return DriftReading(
            connection_id,
            when(entity["readAt"]),
            when(entity["readingUntil"]),
            int(entity["links"]),
            int(entity["compared"]),
            tuple(json.loads(entity["notes"])),
            AccountId(int(entity["goOnAfter"])) if entity.get("goOnAfter") else None,
        )

    def begin(self, connection_id: ConnectionId, now: datetime, lease: timedelta) -> bool:
        entity = self._table.get(_READINGS, connection_id)
        until = when(entity["readingUntil"]) if entity else None
        if until is not None and until > now:
            return False
        etag = str(entity.pop("etag")) if entity else ""
        known = entity or _reading_entity(DriftReading(connection_id))
        after = {**known, "readingUntil": stamp(now + lease)}
        return self._table.write(Write(after, etag=etag)) is not None

    def progress(self, reading: DriftReading) -> bool:
        known = self._table.get(_READINGS, reading.connection_id)
        if known is None:
            return False
        write = Write(_reading_entity(reading), etag=str(known["etag"]))
        return self._table.write(write) is not None

    def replace_all(
        self,
        connection_id: ConnectionId,
        items: Sequence[DriftItem],
        not_compared: Collection[UserId] = (),
    ) -> None:
        self._table.write_all([Write(_entity(item)) for item in items])
        self._remove_but(connection_id, {item.user_id for item in items}.union(not_compared))

    def remove(self, connection_id: ConnectionId) -> None:
        self._remove_but(connection_id, frozenset())

    def _remove_but(self, connection_id: ConnectionId, present: Collection[str]) -> None:
        rows = self._table.query(
            "PartitionKey eq @p", parameters={"p": connection_id}, select=["RowKey"]
        )
        self._table.write_all(
            [
                Write({"PartitionKey": connection_id, "RowKey": row["RowKey"]}, delete=True)
                for row in rows
                if row["RowKey"] not in present
            ]
        )

    def list(
        self, connection_id: ConnectionId, *, text: str, limit: int, cursor: str | None
    ) -> tuple[Sequence[DriftItem], str | None]:
        sought = text.strip().casefold()
        found: list[DriftItem] = []
        pages = self._table.pages(
            "PartitionKey eq @p and RowKey gt @after",
            parameters={"p": connection_id, "after": cursor or ""},
        )
        for entities, _ in pages:
            for entity in entities:
                item = _item(entity)
                if sought and not _mentions(item, sought):
                    continue
                if len(found) == limit:
                    return found, found[-1].user_id
                found.append(item)
        return found, None


def _mentions(item: DriftItem, sought: str) -> bool:
    texts = (item.display_name, item.account_name, item.user_id, str(item.record_id))
    return any(sought in text.casefold() for text in texts)


def _reading_entity(reading: DriftReading) -> Entity:
    return {
        "PartitionKey": _READINGS,
        "RowKey": reading.connection_id,
        "connectionId": reading.connection_id,
        "readAt": stamp(reading.read_at),
        "readingUntil": stamp(reading.reading_until),
        "links": reading.links,
        "compared": reading.compared,
        "notes": json.dumps(list(reading.notes), ensure_ascii=False),
        "goOnAfter": reading.go_on_after or 0,
    }


def _entity(item: DriftItem) -> Entity:
    return {
        "PartitionKey": item.connection_id,
        "RowKey": item.user_id,
        "displayName": item.display_name,
        "recordType": item.record_type.value,
        "recordId": item.record_id,
        "accountId": item.account_id if item.account_id is not None else -1,
        "accountName": item.account_name,
        "isActive": item.is_active,
        "fields": json.dumps(
            [[one.field, one.label, one.written, one.in_bms, one.next] for one in item.fields],
            ensure_ascii=False,
        ),
        "readAt": stamp(item.read_at),
        "editedBy": item.edited_by or "",
        "editedAt": stamp(item.edited_at),
    }


def _item(entity: Entity) -> DriftItem:
    account = int(entity["accountId"])
    return DriftItem(
        connection_id=ConnectionId(entity["PartitionKey"]),
        user_id=UserId(entity["RowKey"]),
        display_name=entity["displayName"],
        record_type=RecordType(entity["recordType"]),
        record_id=RecordId(int(entity["recordId"])),
        account_id=AccountId(account) if account >= 0 else None,
        account_name=entity["accountName"],
        is_active=bool(entity["isActive"]),
        fields=tuple(DriftField(*one) for one in json.loads(entity["fields"])),
        read_at=datetime.fromisoformat(entity["readAt"]),
        edited_by=entity["editedBy"] or None,
        edited_at=when(entity["editedAt"]),
    )
