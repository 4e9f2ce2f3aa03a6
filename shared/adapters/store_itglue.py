"""What is remembered of IT Glue, in the tables: the settings, contacts, organizations, trouble.

All but the settings is in the table `itglue`: a partition of BMS contacts by record id, one of
their contacts in IT Glue by whose id a second record finds them taken, one of BMS accounts, and one
of IT Glue as a whole.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from typing import Any

from shared.adapters.store_connections import stamp, when
from shared.adapters.tables import Entity, Storage, Write
from shared.core.itglue import (
    GlueId,
    ItGlueSettings,
    OrganizationId,
    PassedOn,
    PassState,
)
from shared.core.model import AccountId, ConnectionId, RecordId, Trouble, UserId
from shared.ports import Everybody, Held, Mapped

_CONTACTS, _HELD, _ACCOUNTS, _WHOLE, _EVERYBODY = (
    "contact",
    "held",
    "account",
    "whole",
    "everybody",
)


class TableItGlueSettings:
    """ports.ItGlueSettingsStore."""

    def __init__(self, storage: Storage) -> None:
        self._table = storage.table("settings")

    def get(self) -> ItGlueSettings | None:
        entity = self._table.get("settings", "itglue")
        if entity is None:
            return None
        body: dict[str, Any] = json.loads(entity["body"])
        return ItGlueSettings(
            enabled=bool(body["enabled"]),
            api_url=body["apiUrl"],
            inactive_contact_type_id=body["inactiveContactTypeId"],
            organizations=tuple(
                (AccountId(account), OrganizationId(organization))
                for account, organization in body["organizations"]
            ),
            version=body["version"],
        )

    def put(self, settings: ItGlueSettings) -> None:
        body = {
            "enabled": settings.enabled,
            "apiUrl": settings.api_url,
            "inactiveContactTypeId": settings.inactive_contact_type_id,
            "organizations": settings.organizations,
            "version": settings.version,
        }
        self._table.write(
            Write({"PartitionKey": "settings", "RowKey": "itglue", "body": json.dumps(body)})
        )


class TablePassedOn:
    """ports.PassedOnStore."""

    def __init__(self, storage: Storage) -> None:
        self._table = storage.table("itglue")

    def get(self, record_id: RecordId) -> PassedOn | None:
        entity = self._table.get(_CONTACTS, str(record_id))
        return _row(entity) if entity else None

    def save(self, row: PassedOn) -> PassedOn | None:
        etag = self._table.write(Write(_entity(row), etag=row.etag))
        return None if etag is None else replace(row, etag=etag)

    def unmapped(self, account_id: AccountId | None = None) -> list[PassedOn]:
        query = "PartitionKey eq @p and state eq @s"
        parameters: dict[str, Any] = {"p": _CONTACTS, "s": PassState.UNMAPPED.value}
        if account_id is not None:
            query += " and accountId eq @a"
            parameters["a"] = int(account_id)
        return [_row(entity) for entity in self._table.query(query, parameters=parameters)]

    def holder(self, contact_id: GlueId) -> Held | None:
        entity = self._table.get(_HELD, contact_id)
        return Held(RecordId(int(entity["recordId"])), entity["etag"]) if entity else None

    def hold(self, contact_id: GlueId, row: PassedOn, over: Held | None) -> bool:
        entity: Entity = {
            "PartitionKey": _HELD,
            "RowKey": contact_id,
            "recordId": int(row.record_id),
            "connectionId": row.connection_id,
        }
        return self._table.write(Write(entity, etag=over.etag if over else "")) is not None


class TableItGlueMemory:
    """ports.ItGlueMemory."""

    def __init__(self, storage: Storage) -> None:
        self._table = storage.table("itglue")

    def mapped(self, account_id: AccountId) -> Mapped | None:
        entity = self._table.get(_ACCOUNTS, str(account_id))
        return _mapped(entity) if entity else None

    def all_mapped(self) -> list[Mapped]:
        found = self._table.query("PartitionKey eq @p", parameters={"p": _ACCOUNTS})
        return [_mapped(entity) for entity in found]

    def put_mapped(self, mapped: Mapped) -> None:
        self._table.write(
            Write(
                {
                    "PartitionKey": _ACCOUNTS,
                    "RowKey": str(mapped.account_id),
                    "organizationId": _number(mapped.organization_id),
                    "by": mapped.by,
                    "lookedAt": stamp(mapped.looked_at),
                    "reason": mapped.reason,
                }
            )
        )

    def trouble(self) -> Trouble | None:
        entity = self._table.get(_WHOLE, "trouble")
        if entity is None:
            return None
        since = datetime.fromisoformat(entity["since"])
        return Trouble(entity["code"], entity["reason"], entity["nextStep"], since)

    def put_trouble(self, trouble: Trouble | None) -> None:
        keys: Entity = {"PartitionKey": _WHOLE, "RowKey": "trouble"}
        if trouble is None:
            self._table.write(Write(keys, delete=True))
            return
        more = {
            "code": trouble.code,
            "reason": trouble.reason,
            "nextStep": trouble.next_step,
            "since": stamp(trouble.since),
        }
        self._table.write(Write({**keys, **more}))

    def everybody(self) -> list[Everybody]:
        found = self._table.query("PartitionKey eq @p", parameters={"p": _EVERYBODY})
        return [
            Everybody(
                ConnectionId(entity["RowKey"]),
                datetime.fromisoformat(entity["startedAt"]),
                datetime.fromisoformat(entity["changedAt"]),
                int(entity["done"]),
                bool(entity["finished"]),
            )
            for entity in found
        ]

    def put_everybody(self, progress: Everybody) -> None:
        self._table.write(
            Write(
                {
                    "PartitionKey": _EVERYBODY,
                    "RowKey": progress.connection_id,
                    "connectionId": progress.connection_id,
                    "startedAt": stamp(progress.started_at),
                    "changedAt": stamp(progress.changed_at),
                    "done": progress.done,
                    "finished": progress.finished,
                }
            )
        )


def _mapped(entity: Entity) -> Mapped:
    organization = _optional(entity["organizationId"])
    return Mapped(
        AccountId(int(entity["RowKey"])),
        None if organization is None else OrganizationId(organization),
        entity["by"],
        datetime.fromisoformat(entity["lookedAt"]),
        entity["reason"],
    )


def _entity(row: PassedOn) -> Entity:
    return {
        "PartitionKey": _CONTACTS,
        "RowKey": str(row.record_id),
        "connectionId": row.connection_id,
        "userId": row.user_id,
        "accountId": _number(row.account_id),
        "contactId": row.contact_id or "",
        "state": row.state.value,
        "reason": row.reason,
        "written": json.dumps(dict(row.written), ensure_ascii=False),
        "typeBefore": _number(row.type_before),
        "typeSet": _number(row.type_set),
        "refused": row.refused,
        "listsMerge": row.lists_merge,
        "creatingUntil": stamp(row.creating_until),
    }


def _row(entity: Entity) -> PassedOn:
    account = _optional(entity["accountId"])
    return PassedOn(
        record_id=RecordId(int(entity["RowKey"])),
        connection_id=ConnectionId(entity["connectionId"]),
        user_id=UserId(entity["userId"]),
        account_id=None if account is None else AccountId(account),
        contact_id=GlueId(entity["contactId"]) if entity["contactId"] else None,
        state=PassState(entity["state"]),
        reason=entity["reason"],
        written=json.loads(entity["written"]),
        type_before=_optional(entity["typeBefore"]),
        type_set=_optional(entity["typeSet"]),
        refused=entity["refused"],
        lists_merge=bool(entity["listsMerge"]),
        creating_until=when(entity["creatingUntil"]),
        etag=entity["etag"],
    )


def _number(value: int | None) -> int:
    return -1 if value is None else int(value)


def _optional(value: Any) -> int | None:
    return None if int(value) < 0 else int(value)
