"""Previews in the tables: one row each, their rules and their people in partitions of their own.

The people of each attempt are a partition: a worker that died over one leaves rows that nobody
reads. Every row names its connection, with which it goes, and the moment from which it may go.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from shared.adapters.store_connections import remove_rows, rule_entity, rule_of, stamp, when
from shared.adapters.tables import Entity, Storage, Write, joined, pieces
from shared.core.model import (
    AccountId,
    ConnectionId,
    FieldChange,
    RecordId,
    RecordType,
    RuleId,
    UserId,
)
from shared.core.preview import Move, Outcome, PreviewedPerson
from shared.errors import BadInput
from shared.ports import Leaving, Preview, PreviewedRule

_HEADS = "preview"
_KEPT = 4  # approved previews that a process keeps at hand


class TablePreviews:
    """ports.Previews."""

    def __init__(self, storage: Storage) -> None:
        self._table = storage.table("previews")
        self._lock = threading.Lock()
        self._leaving: dict[str, Mapping[UserId, Leaving]] = {}

    def add(self, preview: Preview, rules: Sequence[PreviewedRule]) -> None:
        partition = f"{preview.id}.rules"
        self._table.write_all(
            [
                Write(
                    {
                        **rule_entity(one.rule, partition),
                        "index": one.index,
                        "isNew": one.is_new,
                        "expiresAt": stamp(preview.expires_at),
                    }
                )
                for one in rules
            ]
        )
        self._table.write(Write(_head(preview)))

    def get(self, preview_id: str) -> Preview | None:
        entity = self._table.get(_HEADS, preview_id)
        return _preview(entity) if entity else None

    def rules(self, preview_id: str) -> list[PreviewedRule]:
        found = self._table.query("PartitionKey eq @p", parameters={"p": f"{preview_id}.rules"})
        rules = [
            PreviewedRule(rule_of(entity), int(entity["index"]), bool(entity["isNew"]))
            for entity in found
        ]
        return sorted(rules, key=lambda one: one.index)

    def save(self, preview: Preview) -> Preview | None:
        etag = self._table.write(Write(_head(preview), etag=preview.etag))
        return None if etag is None else replace(preview, etag=etag)

    def put_people(self, preview: Preview, people: Sequence[PreviewedPerson]) -> None:
        self._table.write_all([Write(_person(preview, one)) for one in people])

    def people(
        self,
        preview: Preview,
        *,
        kind: str | None,
        text: str | None,
        limit: int,
        cursor: str | None,
    ) -> tuple[list[PreviewedPerson], str | None]:
        query, parameters = "PartitionKey eq @p", {"p": _partition(preview)}
        if kind:
            query += " and RowKey ge @from and RowKey lt @to"
            parameters |= {"from": f"{kind}:", "to": f"{kind};"}
        if cursor:
            if ":" not in cursor or len(cursor) > 100:
                raise BadInput(
                    400,
                    "cursor is not one of ours: take nextCursor from the page before.",
                    field="cursor",
                )
            query += " and RowKey gt @after"
            parameters["after"] = cursor
        sought = (text or "").strip().casefold()
        found: list[PreviewedPerson] = []
        last = ""
        page = 1000 if sought else min(limit + 1, 1000)
        for entities, _ in self._table.pages(query, parameters=parameters, page=page):
            for entity in entities:
                one = _person_of(entity)
                if sought and not _mentions(one, sought):
                    continue
                if len(found) == limit:
                    return found, last
                found.append(one)
                last = str(entity["RowKey"])
        return found, None

    def leaving(self, preview_id: str) -> Mapping[UserId, Leaving]:
        with self._lock:
            known = self._leaving.get(preview_id)
        if known is not None:
            return known
        preview = self.get(preview_id)
        if preview is None or preview.state != "ready":
            return {}
        found = self._table.query(
            "PartitionKey eq @p and leaving ge 0",
            parameters={"p": _partition(preview)},
            select=["userId", "leaving", "kind"],
        )
        leaving = {
            UserId(one["userId"]): Leaving(RecordId(int(one["leaving"])), str(one["kind"]))
            for one in found
        }
        with self._lock:
            while len(self._leaving) >= _KEPT:
                self._leaving.pop(next(iter(self._leaving)))
            self._leaving[preview_id] = leaving
        return leaving

    def spend(
        self, preview_id: str, connection_id: ConnectionId, users: Sequence[UserId], until: datetime
    ) -> None:
        self._table.write_all(
            [
                Write(
                    {
                        "PartitionKey": _spent(preview_id),
                        "RowKey": user,
                        "connectionId": connection_id,
                        "expiresAt": stamp(until.astimezone(UTC)),
                    }
                )
                for user in users
            ]
        )

    def spent(self, preview_id: str) -> Set[UserId]:
        found = self._table.query(
            "PartitionKey eq @p", parameters={"p": _spent(preview_id)}, select=["RowKey"]
        )
        return {UserId(one["RowKey"]) for one in found}

    def remove_expired(self, now: datetime) -> int:
        at = stamp(now.astimezone(UTC))
        return remove_rows(self._table, "expiresAt lt @at", {"at": at})


def _spent(preview_id: str) -> str:
    return f"{preview_id}.spent"


def _partition(preview: Preview) -> str:
    return f"{preview.id}.{preview.attempt}"


def _head(one: Preview) -> Entity:
    body: dict[str, Any] = {
        "reason": one.reason,
        "counts": dict(one.counts),
        "notes": list(one.notes),
        "sentence": one.sentence,
        "moves": [
            [move.from_account_id, move.to_account_id, move.count, move.from_name, move.to_name]
            for move in one.moves
        ],
    }
    return {
        "PartitionKey": _HEADS,
        "RowKey": one.id,
        "connectionId": one.connection_id,
        "createdAt": stamp(one.created_at),
        "expiresAt": stamp(one.expires_at.astimezone(UTC)),
        "basis": one.basis,
        "state": one.state,
        "seen": one.seen,
        "wouldHold": one.would_hold,
        "attempt": one.attempt,
        "busyUntil": stamp(one.busy_until),
        **pieces("body", json.dumps(body, ensure_ascii=False)),
    }


def _preview(entity: Entity) -> Preview:
    body = json.loads(joined(entity, "body"))
    return Preview(
        id=entity["RowKey"],
        connection_id=ConnectionId(entity["connectionId"]),
        created_at=datetime.fromisoformat(entity["createdAt"]),
        expires_at=datetime.fromisoformat(entity["expiresAt"]),
        basis=entity["basis"],
        state=entity["state"],
        reason=body["reason"],
        seen=int(entity["seen"]),
        counts=body["counts"],
        moves=tuple(Move(*each) for each in body["moves"]),
        would_hold=bool(entity["wouldHold"]),
        notes=tuple(body["notes"]),
        sentence=body["sentence"],
        attempt=entity["attempt"],
        busy_until=when(entity["busyUntil"]),
        etag=entity["etag"],
    )


def _person(preview: Preview, one: PreviewedPerson) -> Entity:
    outcome = one.outcome
    changes = [[each.field, each.old, each.new] for each in outcome.changes]
    return {
        "PartitionKey": _partition(preview),
        "RowKey": f"{outcome.kind}:{one.user_id}",
        "connectionId": preview.connection_id,
        "expiresAt": stamp(preview.expires_at.astimezone(UTC)),
        "userId": one.user_id,
        "kind": outcome.kind,
        "displayName": one.display_name,
        "address": one.address,
        "recordType": outcome.record_type.value,
        "recordId": _number(outcome.record_id),
        "accountId": _number(outcome.account_id),
        "fromAccountId": _number(outcome.from_account_id),
        "ruleId": outcome.rule_id or "",
        "reason": outcome.reason,
        "leaving": _number(outcome.leaving),
        "changes": json.dumps(changes, ensure_ascii=False),
    }


def _person_of(entity: Entity) -> PreviewedPerson:
    record, leaving = _optional(entity["recordId"]), _optional(entity["leaving"])
    account, came_from = _optional(entity["accountId"]), _optional(entity["fromAccountId"])
    return PreviewedPerson(
        UserId(entity["userId"]),
        Outcome(
            kind=entity["kind"],
            reason=entity["reason"],
            record_type=RecordType(entity["recordType"]),
            record_id=None if record is None else RecordId(record),
            account_id=None if account is None else AccountId(account),
            from_account_id=None if came_from is None else AccountId(came_from),
            rule_id=RuleId(entity["ruleId"]) if entity["ruleId"] else None,
            changes=tuple(FieldChange(*each) for each in json.loads(entity["changes"])),
            leaving=None if leaving is None else RecordId(leaving),
        ),
        entity["displayName"],
        entity["address"],
    )


def _mentions(one: PreviewedPerson, sought: str) -> bool:
    texts = (one.display_name, one.address, one.user_id, str(one.outcome.record_id or ""))
    return any(sought in text.casefold() for text in texts)


def _number(value: int | None) -> int:
    return -1 if value is None else int(value)


def _optional(value: int) -> int | None:
    return None if int(value) < 0 else int(value)
