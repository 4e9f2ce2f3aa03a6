"""Employee Defaults, the worklist, and the locks under which employees are made, in the tables."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from shared.adapters.store_connections import stamp, when
from shared.adapters.tables import Entity, Storage, Write, joined, pieces
from shared.core.employee_fields import ToWrite
from shared.core.model import ConnectionId, EmployeeDefaults, RecordId, RuleId, UserId
from shared.core.worklist import Item, ItemKind
from shared.errors import TryLater

_TRIES = 12


class TableEmployeeDefaults:
    """ports.EmployeeDefaultsStore: one entity beside the BMS settings."""

    def __init__(self, storage: Storage) -> None:
        self._table = storage.table("settings")

    def get(self) -> EmployeeDefaults:
        entity = self._table.get("settings", "employees")
        if entity is None:
            return EmployeeDefaults()
        body: dict[str, Any] = json.loads(entity["body"])
        return EmployeeDefaults(
            values={str(name): int(value) for name, value in body["values"].items()},
            protected=frozenset(RecordId(one) for one in body["protected"]),
            mode=body["mode"],
            fell_back=body["fellBack"],
            fell_back_at=when(body["fellBackAt"]),
            etag=entity["etag"],
        )

    def update(self, change: Callable[[EmployeeDefaults], EmployeeDefaults]) -> EmployeeDefaults:
        for _ in range(_TRIES):
            before = self.get()
            after = change(before)
            body = {
                "values": dict(after.values),
                "protected": sorted(after.protected),
                "mode": after.mode,
                "fellBack": after.fell_back,
                "fellBackAt": stamp(after.fell_back_at),
            }
            entity: Entity = {
                "PartitionKey": "settings",
                "RowKey": "employees",
                "body": json.dumps(body),
            }
            etag = self._table.write(Write(entity, etag=before.etag))
            if etag is not None:
                return replace(after, etag=etag)
        raise TryLater("The Employee Defaults are being changed by others at the same time.")


class TableWorklist:
    """ports.Worklist: a connection's items are one partition, one row per user."""

    def __init__(self, storage: Storage) -> None:
        self._table = storage.table("worklist")
        self._locks = storage.table("employeelocks")

    def put(self, items: Sequence[Item]) -> None:
        by_connection: dict[ConnectionId, list[Item]] = {}
        for item in items:
            by_connection.setdefault(item.connection_id, []).append(item)
        for mine in by_connection.values():
            self._table.write_all([Write(_entity(item)) for item in mine])

    def get(self, connection_id: ConnectionId, user_id: UserId) -> Item | None:
        entity = self._table.get(connection_id, user_id)
        return _item(entity) if entity else None

    def list(self, connection_id: ConnectionId | None = None) -> list[Item]:
        query = "PartitionKey eq @p" if connection_id else ""
        found = self._table.query(query, parameters={"p": connection_id} if connection_id else {})
        return sorted((_item(entity) for entity in found), key=lambda one: (one.at, one.user_id))

    def change(self, item: Item) -> Item | None:
        etag = self._table.write(Write(_entity(item), etag=item.etag))
        return None if etag is None else replace(item, etag=etag)

    def remove(
        self, connection_id: ConnectionId, user_id: UserId, *, etag: str | None = None
    ) -> None:
        keys = {"PartitionKey": connection_id, "RowKey": user_id}
        self._table.write(Write(keys, etag=etag, delete=True))

    def lock_address(self, address: str, user_id: UserId, now: datetime, until: datetime) -> bool:
        held = self._locks.get("address", _row(address))
        if held is not None and held["userId"] != user_id:
            ends = when(held["until"])
            if ends is not None and ends > now:
                return False
        entity: Entity = {
            "PartitionKey": "address",
            "RowKey": _row(address),
            "userId": user_id,
            "until": stamp(until),
        }
        return self._locks.write(Write(entity, etag=held["etag"] if held else "")) is not None

    def unlock_address(self, address: str) -> None:
        self._locks.write(Write({"PartitionKey": "address", "RowKey": _row(address)}, delete=True))


def _row(address: str) -> str:
    # An address may hold what a row key may not.
    return address.encode().hex()


def _entity(item: Item) -> Entity:
    body = {
        "kind": item.kind.value,
        "basis": item.basis,
        "reason": item.reason,
        "fields": [[one.field, one.value, one.name, one.source, one.old] for one in item.fields],
        "displayName": item.display_name,
        "upn": item.upn,
        "recordId": item.record_id,
        "ruleId": item.rule_id,
        "keys": list(item.keys),
        "userName": item.user_name,
        "after": dict(item.after),
        "notes": list(item.notes),
        "refused": item.refused,
    }
    return {
        "PartitionKey": item.connection_id,
        "RowKey": item.user_id,
        "at": stamp(item.at),
        **pieces("body", json.dumps(body, ensure_ascii=False)),
    }


def _item(entity: Entity) -> Item:
    body: dict[str, Any] = json.loads(joined(entity, "body"))
    record, rule = body["recordId"], body["ruleId"]
    return Item(
        connection_id=ConnectionId(entity["PartitionKey"]),
        user_id=UserId(entity["RowKey"]),
        kind=ItemKind(body["kind"]),
        basis=body["basis"],
        at=datetime.fromisoformat(entity["at"]),
        reason=body["reason"],
        fields=tuple(ToWrite(*one) for one in body["fields"]),
        display_name=body["displayName"],
        upn=body["upn"],
        record_id=None if record is None else RecordId(record),
        rule_id=None if rule is None else RuleId(rule),
        keys=tuple(body["keys"]),
        user_name=body["userName"],
        after=body["after"],
        notes=tuple(body["notes"]),
        refused=body["refused"],
        etag=entity["etag"],
    )
