"""Turns a change of the directory into the notifications that its subscriptions get."""

from typing import Any

from infra.local.entra.clock import iso_offset, iso_seven
from infra.local.entra.directory import Directory
from infra.local.entra.entities import Change
from infra.local.entra.subscriptions import Subscription
from infra.local.entra.switches import Switches

# Seconds from year 1 to 1970, in the 100 ns ticks that sequence numbers count.
_TICKS_TO_1970 = 621_355_968_000_000_000
_MEMBERS_SHOWN = 20


def notices_for(
    directory: Directory,
    change: Change,
    subscriptions: list[Subscription],
    switches: Switches,
) -> list[tuple[Subscription, dict[str, Any]]]:
    """Return every notification that this change causes, with its subscription."""
    if change.what == "bulk":
        out = []
        for entity_id in change.bulk:
            kind = directory.objects[entity_id].kind
            single = Change(change.seq, change.at, entity_id, kind, "created")
            out += notices_for(directory, single, subscriptions, switches)
        return out
    if change.kind == "other":
        return []
    collection = "users" if change.kind == "user" else "groups"
    # Created, changed, soft-deleted and restored all arrive as "updated".
    change_type = "deleted" if change.what == "gone" else "updated"
    payload: dict[str, Any] | None = None
    out = []
    for subscription in subscriptions:
        if subscription.collection != collection or change_type not in subscription.change_types:
            continue
        if subscription.object_id is not None and subscription.object_id != change.entity_id:
            continue
        if subscription.relation is not None and (
            subscription.relation != "members" or change.what != "members"
        ):
            continue
        if payload is None:
            payload = _resource_data(directory, change, switches)
        out.append((subscription, _notice(subscription, change, change_type, payload)))
    return out


def _notice(
    subscription: Subscription, change: Change, change_type: str, payload: dict[str, Any]
) -> dict[str, Any]:
    return {
        "changeType": change_type,
        "clientState": subscription.client_state,
        "resource": payload["@odata.id"],
        "resourceData": payload,
        "subscriptionExpirationDateTime": iso_offset(subscription.expires_at),
        "subscriptionId": subscription.id,
        "tenantId": subscription.tenant,
    }


def _resource_data(directory: Directory, change: Change, switches: Switches) -> dict[str, Any]:
    name = "User" if change.kind == "user" else "Group"
    data: dict[str, Any] = {
        "@odata.type": f"#Microsoft.Graph.{name}",
        "@odata.id": f"{name}s/{change.entity_id}",
        "id": change.entity_id,
    }
    if switches.notify_event_time:
        data["organizationId"] = directory.id
        data["eventTime"] = iso_seven(change.at)
        data["sequenceNumber"] = _TICKS_TO_1970 + int(change.at * 1_000_000) * 10 + change.seq % 10
    if change.members and switches.notify_members_delta:
        group = directory.objects[change.entity_id]
        if not group.hidden:
            # Here @removed is a string; in a delta reply it is an object.
            data["members@delta"] = [
                {"id": member} if added else {"id": member, "@removed": "deleted"}
                for member, added in change.members[:_MEMBERS_SHOWN]
            ]
    return data
