"""Cursors, subscriptions, leaver windows, pending sign-ins and BMS settings in the tables."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from shared.adapters.store_connections import stamp, when
from shared.adapters.tables import Entity, Storage, Write, joined, pieces
from shared.core.model import (
    BmsSettings,
    ConnectionId,
    Cursors,
    GroupId,
    Subscription,
    UserId,
)
from shared.ports import PendingSignIn, Window

_SUBSCRIPTIONS = "RowKey ge 'subscription-' and RowKey lt 'subscription.'"


class TableSweepState:
    """ports.SweepState: one partition per connection."""

    def __init__(self, storage: Storage) -> None:
        self._table = storage.table("sweeps")

    def cursors(self, connection_id: ConnectionId) -> Cursors | None:
        entity = self._table.get(connection_id, "cursors")
        if entity is None:
            return None
        tracked = joined(entity, "tracked")
        return Cursors(
            connection_id=connection_id,
            users_link=joined(entity, "usersLink"),
            groups_link=joined(entity, "groupsLink"),
            tracked_groups=frozenset(GroupId(one) for one in tracked.split(",") if one),
            swept_at=when(entity["sweptAt"]),
            etag=entity["etag"],
        )

    def last_sweeps(self) -> dict[ConnectionId, datetime]:
        found = self._table.query(
            "RowKey eq 'cursors'", select=["PartitionKey", "RowKey", "sweptAt"]
        )
        return {
            ConnectionId(entity["PartitionKey"]): at
            for entity in found
            if (at := when(entity["sweptAt"])) is not None
        }

    def save_cursors(self, cursors: Cursors) -> bool:
        entity: Entity = {
            "PartitionKey": cursors.connection_id,
            "RowKey": "cursors",
            "sweptAt": stamp(cursors.swept_at),
            **pieces("usersLink", cursors.users_link),
            **pieces("groupsLink", cursors.groups_link),
            **pieces("tracked", ",".join(sorted(cursors.tracked_groups))),
        }
        return self._table.write(Write(entity, etag=cursors.etag)) is not None

    def subscriptions(self, connection_id: ConnectionId) -> list[Subscription]:
        found = self._table.query(
            f"PartitionKey eq @p and {_SUBSCRIPTIONS}", parameters={"p": connection_id}
        )
        return [_subscription(entity) for entity in found]

    def all_subscriptions(self) -> dict[ConnectionId, list[Subscription]]:
        found: dict[ConnectionId, list[Subscription]] = {}
        for entity in self._table.query(_SUBSCRIPTIONS):
            one = _subscription(entity)
            found.setdefault(one.connection_id, []).append(one)
        return found

    def save_subscription(self, subscription: Subscription) -> None:
        self._table.write(
            Write(
                {
                    "PartitionKey": subscription.connection_id,
                    "RowKey": f"subscription-{subscription.resource}",
                    "id": subscription.id,
                    "expiresAt": stamp(subscription.expires_at),
                    "extendedAt": stamp(subscription.extended_at),
                }
            )
        )

    def remove_subscription(self, connection_id: ConnectionId, resource: str) -> None:
        self._table.write(
            Write(
                {"PartitionKey": connection_id, "RowKey": f"subscription-{resource}"}, delete=True
            )
        )


def _subscription(entity: Entity) -> Subscription:
    return Subscription(
        connection_id=ConnectionId(entity["PartitionKey"]),
        resource=str(entity["RowKey"]).removeprefix("subscription-"),
        id=entity["id"],
        expires_at=datetime.fromisoformat(entity["expiresAt"]),
        extended_at=datetime.fromisoformat(entity["extendedAt"]),
    )


class TablePendingSignIns:
    """ports.PendingSignIns."""

    def __init__(self, storage: Storage) -> None:
        self._table = storage.table("signins")

    def add(self, pending: PendingSignIn) -> None:
        self._table.write(
            Write(
                {
                    "PartitionKey": "state",
                    "RowKey": pending.state_hash,
                    "cookieHash": pending.cookie_hash,
                    "connectionId": pending.connection_id,
                    "expiresAt": stamp(pending.expires_at),
                }
            )
        )

    def take(self, state_hash: str) -> PendingSignIn | None:
        entity = self._table.get("state", state_hash)
        if entity is None:
            return None
        removal = Write(
            {"PartitionKey": "state", "RowKey": state_hash}, etag=entity["etag"], delete=True
        )
        if self._table.write(removal) is None:
            return None  # another callback with the same state was quicker
        return PendingSignIn(
            state_hash=state_hash,
            cookie_hash=entity["cookieHash"],
            connection_id=ConnectionId(entity["connectionId"]),
            expires_at=datetime.fromisoformat(entity["expiresAt"]),
        )


class TableBmsSettings:
    """ports.BmsSettingsStore."""

    def __init__(self, storage: Storage) -> None:
        self._table = storage.table("settings")

    def get(self) -> BmsSettings | None:
        entity = self._table.get("settings", "bms")
        if entity is None:
            return None
        body: dict[str, Any] = json.loads(entity["body"])
        return BmsSettings(**body)

    def put(self, settings: BmsSettings) -> None:
        body = {name: getattr(settings, name) for name in BmsSettings.__dataclass_fields__}
        self._table.write(
            Write({"PartitionKey": "settings", "RowKey": "bms", "body": json.dumps(body)})
        )


class TableWindows:
    """ports.Windows."""

    def __init__(self, storage: Storage) -> None:
        self._table = storage.table("windows")

    def get(self, connection_id: ConnectionId) -> Window | None:
        entity = self._table.get(connection_id, "leavers")
        if entity is None:
            return None
        taken: dict[UserId, datetime] = {}
        for item in filter(None, joined(entity, "taken").split(",")):
            user, _, at = item.partition("@")
            taken[UserId(user)] = datetime.fromtimestamp(float(at), UTC)
        base = int(entity["base"])
        return Window(taken, base if base >= 0 else None, entity["etag"])

    def save(self, connection_id: ConnectionId, window: Window) -> bool:
        text = ",".join(f"{user}@{at.timestamp():.3f}" for user, at in window.taken.items())
        entity: Entity = {
            "PartitionKey": connection_id,
            "RowKey": "leavers",
            "base": window.base if window.base is not None else -1,
            **pieces("taken", text),
        }
        return self._table.write(Write(entity, etag=window.etag)) is not None
