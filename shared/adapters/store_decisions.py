"""What waits for a person, in the tables: holds with their people, and conflicts."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

from shared.adapters.store_connections import stamp
from shared.adapters.tables import Entity, Storage, Write
from shared.core.model import ConnectionId, RecordId, RecordType, UserId
from shared.ports import Conflict, HeldUser, Hold

_FEW = 4  # up to here single look-ups are cheaper than reading everybody


class TableHolds:
    """ports.Holds. The people of a hold are one partition; holds of a connection are another."""

    def __init__(self, storage: Storage) -> None:
        self._holds = storage.table("holds")
        self._people = storage.table("heldpeople")

    def add(self, hold: Hold) -> bool:
        return self._holds.write(Write(_hold_entity(hold), etag="")) is not None

    def put(self, hold: Hold) -> None:
        self._holds.write(Write(_hold_entity(hold)))

    def get(self, hold_id: str) -> Hold | None:
        entity = self._holds.get(hold_id.rpartition("-")[0], hold_id)
        return _hold(entity) if entity else None

    def put_people(self, hold: Hold, people: Sequence[HeldUser]) -> None:
        self._people.write_all(
            [
                Write(
                    {
                        "PartitionKey": hold.id,
                        "RowKey": one.user_id,
                        "connectionId": hold.connection_id,
                        "recordId": one.record_id if one.record_id is not None else -1,
                        "reason": one.reason,
                        "displayName": one.display_name,
                        "state": one.state,
                    }
                )
                for one in people
            ]
        )

    def people(self, hold: Hold, users: Sequence[UserId] | None = None) -> list[HeldUser]:
        if users is not None and len(users) <= _FEW:
            rows = [self._people.get(hold.id, user) for user in dict.fromkeys(users)]
            return [_held(entity) for entity in rows if entity]
        wanted = None if users is None else set(users)
        found = self._people.query("PartitionKey eq @p", parameters={"p": hold.id})
        return [_held(entity) for entity in found if wanted is None or entity["RowKey"] in wanted]

    def people_page(
        self, hold: Hold, *, limit: int, after: UserId | None
    ) -> tuple[Sequence[HeldUser], UserId | None]:
        query, parameters = "PartitionKey eq @p", {"p": hold.id}
        if after is not None:
            query += " and RowKey gt @after"
            parameters["after"] = after
        found: list[HeldUser] = []
        # One more than asked for tells whether there is a next page.
        pages = self._people.pages(query, parameters=parameters, page=min(limit + 1, 1000))
        for entities, _ in pages:
            found += map(_held, entities)
            if len(found) > limit:
                return found[:limit], found[limit - 1].user_id
        return found, None

    def tally(self, hold: Hold) -> Mapping[str, int]:
        found = self._people.query(
            "PartitionKey eq @p", parameters={"p": hold.id}, select=["state"]
        )
        return Counter(str(entity["state"]) for entity in found)

    def count_waiting(self, holds: Sequence[Hold]) -> int:
        if len(holds) > _FEW:
            ids = {hold.id for hold in holds}
            found = self._people.query("state eq 'waiting'", select=["PartitionKey"])
            return sum(1 for entity in found if entity["PartitionKey"] in ids)
        return sum(self._waiting_in(hold) for hold in holds)

    def _waiting_in(self, hold: Hold) -> int:
        query = "PartitionKey eq @p and state eq 'waiting'"
        found = self._people.query(query, parameters={"p": hold.id}, select=["RowKey"])
        return sum(1 for _ in found)

    def list(
        self, *, connection_id: ConnectionId | None = None, state: str | None = None
    ) -> list[Hold]:
        query, parameters = _narrowed(connection_id, state)
        found = self._holds.query(query, parameters=parameters)
        return sorted((_hold(one) for one in found), key=lambda one: one.raised_at, reverse=True)


def _narrowed(connection_id: ConnectionId | None, state: str | None) -> tuple[str, dict[str, str]]:
    """The filter for rows of a connection and of a state, where they are given."""
    given = {"PartitionKey": connection_id, "state": state}
    parameters = {name: str(value) for name, value in given.items() if value}
    return " and ".join(f"{name} eq @{name}" for name in parameters), parameters


def _hold_entity(hold: Hold) -> Entity:
    return {
        "PartitionKey": hold.connection_id,
        "RowKey": hold.id,
        "raisedAt": stamp(hold.raised_at),
        "expiresAt": stamp(hold.expires_at),
        "state": hold.state,
    }


def _hold(entity: Entity) -> Hold:
    return Hold(
        id=entity["RowKey"],
        connection_id=ConnectionId(entity["PartitionKey"]),
        raised_at=datetime.fromisoformat(entity["raisedAt"]),
        expires_at=datetime.fromisoformat(entity["expiresAt"]),
        state=entity["state"],
    )


def _held(entity: Entity) -> HeldUser:
    record = int(entity["recordId"])
    return HeldUser(
        user_id=UserId(entity["RowKey"]),
        record_id=RecordId(record) if record >= 0 else None,
        reason=entity["reason"],
        display_name=entity["displayName"],
        state=entity["state"],
    )


class TableConflicts:
    """ports.Conflicts."""

    def __init__(self, storage: Storage) -> None:
        self._table = storage.table("conflicts")

    def put(self, conflict: Conflict) -> None:
        self._table.write(
            Write(
                {
                    "PartitionKey": conflict.connection_id,
                    "RowKey": conflict.user_id,
                    "recordIds": json.dumps(list(conflict.record_ids)),
                    "reason": conflict.reason,
                    "foundAt": stamp(conflict.found_at),
                    "state": conflict.state,
                    "chosen": conflict.chosen if conflict.chosen is not None else -1,
                    "create": conflict.create,
                    "ignore": conflict.ignore,
                    "recordType": conflict.record_type.value,
                }
            )
        )

    def get(self, connection_id: ConnectionId, user_id: UserId) -> Conflict | None:
        entity = self._table.get(connection_id, user_id)
        return _conflict(entity) if entity else None

    def settle(self, connection_id: ConnectionId, user_id: UserId) -> None:
        entity = self._table.get(connection_id, user_id)
        if entity is not None and _conflict(entity).state == "open":
            keys = {"PartitionKey": connection_id, "RowKey": user_id}
            self._table.write(Write(keys, etag=entity["etag"], delete=True))

    def count_open(self) -> int:
        return sum(1 for _ in self._table.query("state eq 'open'", select=["RowKey"]))

    def list(
        self, connection_id: ConnectionId | None = None, *, state: str | None = None
    ) -> list[Conflict]:
        query, parameters = _narrowed(connection_id, state)
        return [_conflict(entity) for entity in self._table.query(query, parameters=parameters)]


def _conflict(entity: Entity) -> Conflict:
    chosen = int(entity.get("chosen", -1))
    return Conflict(
        connection_id=ConnectionId(entity["PartitionKey"]),
        user_id=UserId(entity["RowKey"]),
        record_ids=tuple(RecordId(one) for one in json.loads(entity["recordIds"])),
        reason=entity["reason"],
        found_at=datetime.fromisoformat(entity["foundAt"]),
        state=entity.get("state", "open"),
        chosen=RecordId(chosen) if chosen >= 0 else None,
        create=bool(entity.get("create", False)),
        ignore=bool(entity.get("ignore", False)),
        record_type=RecordType(entity.get("recordType", "contact")),
    )
