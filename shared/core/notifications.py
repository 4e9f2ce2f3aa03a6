"""Graph's change notifications: what may be believed of them, and what they hint at (R31).

Anybody can send to the webhook, and there is no signature: an item counts only when its
subscription is one of ours, its clientState is our secret, and its tenant is the connection's.
Everything else is discarded and counted. What is left is a hint and nothing more: ids of users and
groups to look at. A body may hold ten thousand items, so this is one plain loop.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from shared.core.model import GroupId, UserId
from shared.core.times import moment

LARGEST_BODY: Final = 8 * 1024 * 1024
_LONGEST_TOKEN: Final = 4096
_OLDEST_EVENT: Final = timedelta(days=1)
_CLOCK_SKEW: Final = timedelta(minutes=1)

_GUID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")
_RESOURCE = re.compile(r"/?(users|groups)[/(]'?([0-9a-f-]{36})'?\)?", re.IGNORECASE)
LIFECYCLE_EVENTS: Final = ("reauthorizationRequired", "subscriptionRemoved", "missed")


class UnreadableNotification(ValueError):
    """The body is not a collection of notifications."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What an item must say to be believed. No tenant id known: nothing is."""

    tenant_id: str
    client_state: bytes
    subscription_ids: frozenset[str]  # lower case


@dataclass(frozen=True, slots=True)
class Hints:
    """What a body asks to look at. `signal_at` is the earliest event, else the arrival.

    `members` are users whose membership changed; what Graph answers on that may lag behind.
    """

    users: tuple[UserId, ...]
    members: tuple[UserId, ...]
    groups: tuple[GroupId, ...]
    lifecycle: frozenset[str]
    signal_at: datetime
    accepted: int
    discarded: int
    unknown_subscriptions: int  # of the discarded: their subscription is none that we know


@dataclass(slots=True)
class _Found:
    users: dict[UserId, None] = field(default_factory=dict)
    members: dict[UserId, None] = field(default_factory=dict)
    groups: dict[GroupId, None] = field(default_factory=dict)
    lifecycle: set[str] = field(default_factory=set)
    earliest: datetime | None = None


def validation_token(query: Mapping[str, str]) -> str | None:
    """The token of a validation handshake, None when this is none. The name's case varies."""
    for name, value in query.items():
        if name.lower() == "validationtoken":
            return value
    return None


def token_is_harmless(token: str) -> bool:
    """Whether a token may be sent back: it never contains markup, whoever sends it."""
    return 0 < len(token) <= _LONGEST_TOKEN and "<" not in token and ">" not in token


def items_of(body: bytes) -> list[Any]:
    """The items of a body; UnreadableNotification for anything that is no collection."""
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UnreadableNotification("The body is not JSON.") from error
    value = parsed.get("value") if isinstance(parsed, dict) else None
    if not isinstance(value, list):
        raise UnreadableNotification('The body must be an object with a list "value".')
    return value


def hints_of(items: list[Any], expected: Expected, arrived_at: datetime) -> Hints:
    """What the believable items hint at."""
    found = _Found()
    accepted = unknown = 0
    for item in items:
        if not isinstance(item, dict):
            continue
        subscription = item.get("subscriptionId")
        if (
            not isinstance(subscription, str)
            or subscription.lower() not in expected.subscription_ids
        ):
            unknown += 1
            continue
        if not _is_ours(item, expected):
            continue
        accepted += 1
        event = item.get("lifecycleEvent")
        if isinstance(event, str):
            # An event that is new to us still says that something is wrong with the subscription.
            found.lifecycle.add(event if event in LIFECYCLE_EVENTS else "missed")
        else:
            _collect(item, found, arrived_at)
    return Hints(
        users=tuple(found.users),
        members=tuple(found.members),
        groups=tuple(found.groups),
        lifecycle=frozenset(found.lifecycle),
        signal_at=found.earliest or arrived_at,
        accepted=accepted,
        discarded=len(items) - accepted,
        unknown_subscriptions=unknown,
    )


def _is_ours(item: Mapping[str, Any], expected: Expected) -> bool:
    state, tenant = item.get("clientState"), item.get("tenantId")
    if not isinstance(state, str) or not isinstance(tenant, str):
        return False
    # Bytes: compare_digest refuses texts that are not ASCII, and a stranger may send such.
    same = hmac.compare_digest(state.encode("utf-8", "replace"), expected.client_state)
    return same and bool(expected.client_state) and tenant.lower() == expected.tenant_id


def _collect(item: Mapping[str, Any], found: _Found, arrived_at: datetime) -> None:
    data = item.get("resourceData")
    data = data if isinstance(data, dict) else {}
    resource = item.get("resource")
    match = _RESOURCE.fullmatch(resource) if isinstance(resource, str) else None
    if match is None or not _GUID.fullmatch(match[2]):
        return
    object_id = match[2].lower()
    if match[1].lower() == "users":
        found.users[UserId(object_id)] = None
    else:
        found.groups[GroupId(object_id)] = None
        _collect_members(data.get("members@delta"), found)
    at = moment(data.get("eventTime"))
    # A time that cannot be right would spoil the figures on freshness.
    if at is not None and arrived_at - _OLDEST_EVENT <= at <= arrived_at + _CLOCK_SKEW:
        at = min(at, arrived_at)
        if found.earliest is None or at < found.earliest:
            found.earliest = at


def _collect_members(members: object, found: _Found) -> None:
    """Members that joined or left; who left carries "@removed", which does not matter here."""
    if not isinstance(members, list):
        return
    for member in members:
        member_id = member.get("id") if isinstance(member, dict) else None
        if not isinstance(member_id, str) or not _GUID.fullmatch(member_id):
            continue
        kind = member.get("@odata.type")
        if isinstance(kind, str) and kind.lower().endswith("group"):
            found.groups[GroupId(member_id.lower())] = None
        else:  # mostly it does not say: a look at something that is no user finds nobody
            found.members[UserId(member_id.lower())] = None
