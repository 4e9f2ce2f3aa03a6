"""Queue messages: small JSON texts that name users, never describe them (R22).

A user id is a GUID; packed as base64url it takes 22 characters instead of 36, so that a thousand
users fit into one message of at most 48 KiB.
"""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from shared.core.model import ConnectionId, GroupId, Origin, SyncId, UserId

MOST_USERS = 1000


class UnreadableMessage(ValueError):
    """The text is not one of our messages."""


@dataclass(frozen=True, slots=True)
class UserDelta:
    """Something about these users may have changed: look at them and decide.

    `tries` counts failed attempts, `looks` how often we looked again because nothing had changed
    yet although `membership` said so. `part`, `done` and `failed` belong to the run `sync` (a
    message may hand its rest on).
    """

    connection_id: ConnectionId
    users: tuple[UserId, ...]
    origin: Origin
    signal_at: datetime | None = None
    upper_bound: bool = False
    sync: SyncId | None = None
    part: str = ""
    done: int = 0
    failed: int = 0
    tries: int = 0
    looks: int = 0
    together: int = 0  # leavers that were read together, over all messages of a run (R20)
    membership: bool = False  # the signal was about a group, which may lag behind (graph.md 3.7)
    revived: int = 0  # how often it came back from the poison queue
    lines: tuple[str, ...] = ()  # of the activity, to be undone: nothing is decided then
    index_since: datetime | None = None  # when it began: matching rests on nothing older (R6)
    doubted: bool = False  # two looks have differed, so that `looks` go on to their end
    unlinked: bool = False  # they had no link when they were compared, so that none is read


@dataclass(frozen=True, slots=True)
class SweepOrder:
    """Work on a whole connection.

    kind "sweep": read the delta queries. "full": compare everybody (with `sync`). "rules": the same
    after an edit, if the rules were last edited at `stamp`. "subscriptions": keep them (R31).
    "preview": work `preview` out.
    "undo": gather what the sync `undoes` wrote, to be undone by the run `sync`. "drift": compare
    the links with what BMS holds.
    """

    connection_id: ConnectionId
    kind: str
    sync: SyncId | None = None
    stamp: datetime | None = None
    signal_at: datetime | None = None
    groups: tuple[GroupId, ...] = ()  # groups that Graph notified about
    looks: int = 0
    tries: int = 0
    revived: int = 0  # how often it came back from the poison queue
    preview: str = ""
    undoes: SyncId | None = None


def encode_user_delta(delta: UserDelta) -> str:
    """JSON text of a user delta."""
    body: dict[str, object] = {
        "v": 1,
        "c": delta.connection_id,
        "u": [pack_user(user) for user in delta.users],
        "o": delta.origin.value,
    }
    if delta.signal_at:
        body["at"] = delta.signal_at.isoformat()
    if delta.index_since:
        body["ix"] = delta.index_since.isoformat()
    for key, value in (
        ("ub", delta.upper_bound),
        ("s", delta.sync),
        ("p", delta.part),
        ("d", delta.done),
        ("f", delta.failed),
        ("t", delta.tries),
        ("l", delta.looks),
        ("m", delta.membership),
        ("r", delta.revived),
        ("tg", delta.together),
        ("un", delta.lines),
        ("db", delta.doubted),
        ("nl", delta.unlinked),
    ):
        if value:
            body[key] = value
    return json.dumps(body, separators=(",", ":"))


def decode_user_delta(text: str) -> UserDelta:
    """The inverse; raises UnreadableMessage."""
    try:
        body = json.loads(text)
        return UserDelta(
            connection_id=ConnectionId(str(body["c"])),
            users=tuple(unpack_user(user) for user in body["u"]),
            origin=Origin(body["o"]),
            signal_at=_time(body.get("at")),
            upper_bound=bool(body.get("ub", False)),
            sync=SyncId(body["s"]) if body.get("s") else None,
            part=str(body.get("p", "")),
            done=int(body.get("d", 0)),
            failed=int(body.get("f", 0)),
            tries=int(body.get("t", 0)),
            looks=int(body.get("l", 0)),
            membership=bool(body.get("m", False)),
            revived=int(body.get("r", 0)),
            together=int(body.get("tg", 0)),
            lines=tuple(str(line) for line in body.get("un", ())),
            index_since=_time(body.get("ix")),
            doubted=bool(body.get("db", False)),
            unlinked=bool(body.get("nl", False)),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnreadableMessage("not a user delta") from error


def encode_sweep_order(order: SweepOrder) -> str:
    """JSON text of a sweep order."""
    body: dict[str, object] = {"v": 1, "c": order.connection_id, "k": order.kind}
    if order.sync:
        body["s"] = order.sync
    if order.stamp:
        body["st"] = order.stamp.isoformat()
    if order.signal_at:
        body["at"] = order.signal_at.isoformat()
    if order.groups:
        body["g"] = list(order.groups)
    if order.looks:
        body["l"] = order.looks
    if order.tries:
        body["t"] = order.tries
    if order.revived:
        body["r"] = order.revived
    if order.preview:
        body["pv"] = order.preview
    if order.undoes:
        body["un"] = order.undoes
    return json.dumps(body, separators=(",", ":"))


def decode_sweep_order(text: str) -> SweepOrder:
    """The inverse; raises UnreadableMessage."""
    try:
        body = json.loads(text)
        return SweepOrder(
            connection_id=ConnectionId(str(body["c"])),
            kind=str(body["k"]),
            sync=SyncId(body["s"]) if body.get("s") else None,
            stamp=_time(body.get("st")),
            signal_at=_time(body.get("at")),
            groups=tuple(GroupId(group) for group in body.get("g", [])),
            looks=int(body.get("l", 0)),
            tries=int(body.get("t", 0)),
            revived=int(body.get("r", 0)),
            preview=str(body.get("pv", "")),
            undoes=SyncId(body["un"]) if body.get("un") else None,
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnreadableMessage("not a sweep order") from error


def pack(delta: UserDelta, users: Iterable[UserId], size: int = MOST_USERS) -> Iterator[UserDelta]:
    """The same delta for these users, in as few messages as the size allows."""
    chunk: list[UserId] = []
    for user in users:
        chunk.append(user)
        if len(chunk) == size:
            yield replace(delta, users=tuple(chunk))
            chunk = []
    if chunk:
        yield replace(delta, users=tuple(chunk))


def pack_user(user: UserId) -> str:
    """A user id in 22 characters."""
    try:
        raw = uuid.UUID(user).bytes
    except ValueError:
        return f"={user}"
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def unpack_user(text: str) -> UserId:
    """The inverse of `pack_user`."""
    if text.startswith("="):
        return UserId(text[1:])
    return UserId(str(uuid.UUID(bytes=base64.urlsafe_b64decode(text + "=="))))


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


__all__: Sequence[str] = (
    "MOST_USERS",
    "SweepOrder",
    "UnreadableMessage",
    "UserDelta",
    "decode_sweep_order",
    "decode_user_delta",
    "encode_sweep_order",
    "encode_user_delta",
    "pack",
    "pack_user",
    "unpack_user",
)
