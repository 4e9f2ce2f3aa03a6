"""Connections and mapping rules in the tables.

Connections share one partition, so that the timer reads them all at once. Rules stand twice: as a
person edits them, and as decisions use them (R5); the second set is replaced as a whole.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from shared.adapters.tables import Entity, Storage, Table, Write
from shared.core.model import (
    AccountId,
    Approval,
    Connection,
    ConnectionId,
    GroupId,
    GroupState,
    HoldLimit,
    LocationId,
    MappingRule,
    Mode,
    RecordType,
    RuleId,
    SyncId,
    Trouble,
)
from shared.core.rules import version_of
from shared.errors import TryLater

_PARTITION = "connection"
_TRIES = 12
# Everything that hangs on a connection by its partition key, in the order in which it is removed.
_HANGING = (
    "links",
    "conflicts",
    "sweeps",
    "liverules",
    "windows",
    "holds",
    "worklist",
    "checks",
    "drift",
)


def when(text: str | None) -> datetime | None:
    """A time as the tables keep it."""
    return datetime.fromisoformat(text) if text else None


def stamp(at: datetime | None) -> str:
    """The inverse of `when`."""
    return at.isoformat() if at else ""


class TableConnections:
    """ports.Connections."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._table = storage.table("connections")

    def get(self, connection_id: ConnectionId) -> Connection | None:
        entity = self._table.get(_PARTITION, connection_id)
        return _connection(entity) if entity else None

    def list(self) -> list[Connection]:
        found = self._table.query("PartitionKey eq @p", parameters={"p": _PARTITION})
        return sorted((_connection(entity) for entity in found), key=lambda one: one.created_at)

    def add(self, connection: Connection) -> None:
        if self._table.write(Write(_connection_entity(connection), etag="")) is None:
            raise TryLater("A connection of this id exists already.")

    def update(
        self, connection_id: ConnectionId, change: Callable[[Connection], Connection]
    ) -> Connection | None:
        for _ in range(_TRIES):
            entity = self._table.get(_PARTITION, connection_id)
            if entity is None:
                return None
            before = _connection(entity)
            after = change(before)
            if after == before:
                return before
            etag = self._table.write(Write(_connection_entity(after), etag=before.etag))
            if etag is not None:
                return replace(after, etag=etag)
        raise TryLater("The connection is being changed by others at the same time.")

    def delete(self, connection_id: ConnectionId) -> None:
        for hold in self._storage.table("holds").query(
            "PartitionKey eq @p", parameters={"p": connection_id}, select=["RowKey"]
        ):
            self._empty("heldpeople", hold["RowKey"])
        for name in _HANGING:
            self._empty(name, connection_id)
        for record_type in RecordType:
            self._empty("owners", record_type.value, of=connection_id)
        self._empty("rules", "rule", of=connection_id)
        self._empty("signins", "state", of=connection_id)
        self._empty("failures", "failure", of=connection_id)
        self._empty("drift", "reading", of=connection_id)
        for partition in ("contact", "held", "everybody"):
            self._empty("itglue", partition, of=connection_id)
        remove_rows(self._storage.table("previews"), "connectionId eq @c", {"c": connection_id})
        self._table.write(Write({"PartitionKey": _PARTITION, "RowKey": connection_id}, delete=True))

    def _empty(self, name: str, partition: str, of: str | None = None) -> None:
        query, parameters = "PartitionKey eq @p", {"p": partition}
        if of is not None:
            query += " and connectionId eq @c"
            parameters["c"] = of
        table = self._storage.table(name)
        pages = table.pages(query, parameters=parameters, select=["PartitionKey", "RowKey"])
        for entities, _ in pages:
            table.write_all([Write(_keys(entity), delete=True) for entity in entities])


def remove_rows(table: Table, query: str, parameters: Mapping[str, str]) -> int:
    """Remove every row of a query, whatever its partition; answers how many."""
    removed = 0
    pages = table.pages(query, parameters=parameters, select=["PartitionKey", "RowKey"])
    for entities, _ in pages:
        partitions: defaultdict[str, list[Write]] = defaultdict(list)
        for entity in entities:
            partitions[entity["PartitionKey"]].append(Write(_keys(entity), delete=True))
        for writes in partitions.values():
            table.write_all(writes)
            removed += len(writes)
    return removed


def _keys(entity: Entity) -> Entity:
    return {"PartitionKey": entity["PartitionKey"], "RowKey": entity["RowKey"]}


def _connection_entity(one: Connection) -> Entity:
    return {
        "PartitionKey": _PARTITION,
        "RowKey": one.id,
        "tenantDomain": one.tenant_domain,
        "applicationId": one.application_id,
        "mode": one.mode.value,
        "createdAt": stamp(one.created_at),
        "emailSource": one.email_source,
        "matchScope": one.match_scope,
        "onLeave": one.on_leave,
        "holdCount": one.hold_limit.count,
        "holdPercent": float(one.hold_limit.percent),
        "holdAtMost": one.hold_limit.at_most,
        "secretExpiresOn": one.secret_expires_on or "",
        "tenantId": one.tenant_id or "",
        "connectedAt": stamp(one.connected_at),
        "firstSyncAt": stamp(one.first_sync_at),
        "paused": one.paused,
        "rulesEditedAt": stamp(one.rules_edited_at),
        "comparedEdit": stamp(one.compared_edit),
        "liveRules": one.live_rules,
        "resumedAt": stamp(one.resumed_at),
        "approvedPreview": one.approval.preview_id if one.approval else "",
        "approvedUntil": stamp(one.approval.until) if one.approval else "",
        "approvedSync": (one.approval.sync or "") if one.approval else "",
        "troubles": json.dumps(
            [
                {
                    "code": trouble.code,
                    "reason": trouble.reason,
                    "nextStep": trouble.next_step,
                    "since": stamp(trouble.since),
                    "blocks": trouble.blocks,
                }
                for trouble in one.troubles
            ]
        ),
    }


def _connection(entity: Entity) -> Connection:
    created_at = when(entity["createdAt"])
    if created_at is None:
        raise ValueError("a connection has a date")
    return Connection(
        id=ConnectionId(entity["RowKey"]),
        tenant_domain=entity["tenantDomain"],
        application_id=entity["applicationId"],
        mode=Mode(entity["mode"]),
        created_at=created_at,
        email_source=entity["emailSource"],
        match_scope=entity["matchScope"],
        on_leave=entity["onLeave"],
        hold_limit=HoldLimit(
            int(entity["holdCount"]), float(entity["holdPercent"]), int(entity["holdAtMost"])
        ),
        secret_expires_on=entity["secretExpiresOn"] or None,
        tenant_id=entity["tenantId"] or None,
        connected_at=when(entity["connectedAt"]),
        first_sync_at=when(entity["firstSyncAt"]),
        paused=bool(entity["paused"]),
        rules_edited_at=when(entity["rulesEditedAt"]),
        compared_edit=when(entity.get("comparedEdit")),
        live_rules=entity.get("liveRules", ""),
        resumed_at=when(entity.get("resumedAt")),
        approval=_approval(entity),
        troubles=tuple(_trouble(item) for item in json.loads(entity["troubles"])),
        etag=entity["etag"],
    )


def _approval(entity: Entity) -> Approval | None:
    until = when(entity.get("approvedUntil"))
    if until is None:
        return None
    sync = entity.get("approvedSync")
    return Approval(entity["approvedPreview"], until, SyncId(sync) if sync else None)


def _trouble(item: dict[str, Any]) -> Trouble:
    since = when(item["since"])
    if since is None:
        raise ValueError("a trouble has a date")
    return Trouble(item["code"], item["reason"], item["nextStep"], since, bool(item["blocks"]))


class TableRules:
    """ports.Rules."""

    def __init__(self, storage: Storage) -> None:
        self._edited = storage.table("rules")
        self._live = storage.table("liverules")
        self._known: dict[ConnectionId, tuple[str, list[MappingRule]]] = {}

    def edited(self, connection_id: ConnectionId | None = None) -> list[MappingRule]:
        query, parameters = "PartitionKey eq 'rule'", {}
        if connection_id is not None:
            query += " and connectionId eq @c"
            parameters["c"] = connection_id
        return [rule_of(entity) for entity in self._edited.query(query, parameters=parameters)]

    def get(self, rule_id: RuleId) -> MappingRule | None:
        entity = self._edited.get("rule", rule_id)
        return rule_of(entity) if entity else None

    def put(self, rule: MappingRule) -> None:
        self._edited.write(Write(rule_entity(rule, "rule")))

    def remove(self, rule: MappingRule) -> None:
        self._edited.write(Write({"PartitionKey": "rule", "RowKey": rule.id}, delete=True))

    def replace(self, connection_id: ConnectionId, rules: Sequence[MappingRule]) -> None:
        kept = {rule.id for rule in rules}
        writes = [Write(rule_entity(rule, "rule")) for rule in rules]
        writes += [
            Write({"PartitionKey": "rule", "RowKey": rule.id}, delete=True)
            for rule in self.edited(connection_id)
            if rule.id not in kept
        ]
        self._edited.write_all(writes)

    def live(self, connection_id: ConnectionId, version: str = "") -> list[MappingRule]:
        known = self._known.get(connection_id)
        if version and known is not None and known[0] == version:
            return known[1]
        found = self._live.query("PartitionKey eq @p", parameters={"p": connection_id})
        rules = [rule_of(entity) for entity in found]
        # By its own version, whatever was asked for: it may be replaced at this very moment.
        self._known[connection_id] = (version_of(rules), rules)
        return rules

    def make_live(self, connection_id: ConnectionId, rules: Sequence[MappingRule]) -> None:
        before = {rule.id: rule for rule in self.live(connection_id)}
        kept = {rule.id for rule in rules}
        writes = [
            Write(rule_entity(rule, connection_id)) for rule in rules if before.get(rule.id) != rule
        ]
        writes += [
            Write({"PartitionKey": connection_id, "RowKey": gone}, delete=True)
            for gone in before
            if gone not in kept
        ]
        self._live.write_all(writes)


def rule_entity(rule: MappingRule, partition: str) -> Entity:
    """The row of a rule in this partition."""
    return {
        "PartitionKey": partition,
        "RowKey": rule.id,
        "connectionId": rule.connection_id,
        "groupId": rule.group_id,
        "order": rule.order,
        "recordType": rule.record_type.value,
        "createdAt": stamp(rule.created_at),
        "accountId": rule.account_id if rule.account_id is not None else -1,
        "locationId": rule.location_id if rule.location_id is not None else -1,
        "includeNested": rule.include_nested,
        "includeGuests": rule.include_guests,
        "blockedUsers": rule.blocked_users,
        "enabled": rule.enabled,
        "employee": json.dumps(dict(rule.employee)),
        "groupName": rule.group_name,
        "groupCreatedAt": stamp(rule.group_created_at),
        "groupState": rule.group_state.value,
        "groupGoneSince": stamp(rule.group_gone_since),
        "groupGoneTwice": rule.group_gone_twice,
    }


def rule_of(entity: Entity) -> MappingRule:
    """The inverse of `rule_entity`."""
    created_at = when(entity["createdAt"])
    if created_at is None:
        raise ValueError("a rule has a date")
    account, location = int(entity["accountId"]), int(entity["locationId"])
    return MappingRule(
        id=RuleId(entity["RowKey"]),
        connection_id=ConnectionId(entity["connectionId"]),
        group_id=GroupId(entity["groupId"]),
        order=int(entity["order"]),
        record_type=RecordType(entity["recordType"]),
        created_at=created_at,
        account_id=AccountId(account) if account >= 0 else None,
        location_id=LocationId(location) if location >= 0 else None,
        include_nested=bool(entity["includeNested"]),
        include_guests=bool(entity["includeGuests"]),
        blocked_users=entity["blockedUsers"],
        enabled=bool(entity["enabled"]),
        employee=json.loads(entity["employee"]),
        group_name=entity["groupName"],
        group_created_at=when(entity["groupCreatedAt"]),
        group_state=GroupState(entity["groupState"]),
        group_gone_since=when(entity.get("groupGoneSince")),
        group_gone_twice=bool(entity.get("groupGoneTwice", False)),
    )
