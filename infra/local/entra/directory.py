"""One tenant's directory: users, groups, memberships, and the log of what changed.

Every mutation appends to the log (delta queries read it), tells the listener (notifications come
from it) and drops the caches it makes wrong.
"""

import uuid
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from infra.local.entra.clock import Clock, iso
from infra.local.entra.entities import STATUS_KEY, UNSET, Change, Entity, Kind, What
from infra.local.entra.rendering import RenderCache
from infra.local.entra.schema import (
    ALL_PROPERTIES,
    COLLECTIONS,
    GROUP_KINDS,
    USER_SINGLE_ONLY,
)
from infra.local.entra.views import View

SOFT_DELETED_SECONDS = 30 * 86_400.0
_READ_ONLY = frozenset({"id", "deletedDateTime"})


class Directory:
    """The people and groups of one tenant."""

    def __init__(
        self,
        tenant_id: str,
        domain: str,
        display_name: str,
        clock: Clock,
        on_change: Callable[["Directory", Change], None],
    ) -> None:
        self.id = tenant_id
        self.domain = domain
        self.display_name = display_name
        self.objects: dict[str, Entity] = {}
        self.user_ids: list[str] = []
        self.group_ids: list[str] = []
        self.by_upn: dict[str, str] = {}
        self.soft_deleted: dict[str, float] = {}
        self.log: list[Change] = []
        self._times: list[float] = []
        self._clock = clock
        self._on_change = on_change
        self.rendered = RenderCache()
        self._present = {hidden: View(self, hidden) for hidden in (False, True)}
        self._lagging: dict[tuple[bool, int, int], View] = {}
        self._user_tuple: tuple[str, ...] | None = None
        self._group_tuple: tuple[str, ...] | None = None

    # Reading

    @property
    def head(self) -> int:
        """Return how many changes there have been."""
        return len(self.log)

    def seq_after_lag(self, lag_seconds: float) -> int:
        """Return how many changes a reader sees who lags behind by so many seconds."""
        if lag_seconds <= 0 or not self.log:
            return len(self.log)
        return bisect_right(self._times, self._clock.now() - lag_seconds)

    def view(self, lag_seconds: float = 0.0, see_hidden: bool = False) -> View:
        """Return the memberships as a reader sees them who lags behind by so many seconds."""
        seq = self.seq_after_lag(lag_seconds)
        if seq == len(self.log):
            return self._present[see_hidden]
        key = (see_hidden, seq, len(self.log))
        view = self._lagging.get(key)
        if view is None:
            self._lagging.clear()
            view = self._lagging[key] = View(self, see_hidden, seq)
        return view

    def all_users(self) -> tuple[str, ...]:
        """Return the ids of all users ever created, oldest first."""
        if self._user_tuple is None:
            self._user_tuple = tuple(self.user_ids)
        return self._user_tuple

    def all_groups(self) -> tuple[str, ...]:
        """Return the ids of all groups ever created, oldest first."""
        if self._group_tuple is None:
            self._group_tuple = tuple(self.group_ids)
        return self._group_tuple

    def user_id(self, key: str) -> str:
        """Return the id for an id or a user principal name; the key itself when unknown."""
        lowered = key.lower()
        if lowered in self.objects:
            return lowered
        return self.by_upn.get(lowered, lowered)

    def get(self, key: str) -> Entity:
        """Return the entity with this id or user principal name, dead or alive."""
        entity = self.objects.get(self.user_id(key))
        if entity is None:
            raise ValueError(f"{self.domain} has no object {key}.")
        return entity

    # Changing

    def add_user(self, props: Mapping[str, Any]) -> Entity:
        """Create a user; what is not given has never had a value."""
        entity = self._insert("user", self.new_user(props))
        self._record(entity, "created")
        return entity

    def add_group(self, props: Mapping[str, Any], kind: str) -> Entity:
        """Create a group of one of the four kinds."""
        entity = self._insert("group", self.new_group(props, kind))
        self._record(entity, "created")
        return entity

    def add_other(self, odata_type: str, props: Mapping[str, Any]) -> Entity:
        """Create a device, contact or service principal, good for being a member only."""
        entity_id, rest = _identified(props)
        entity = self._insert("other", Entity(entity_id, "other", odata_type, rest))
        self._record(entity, "created")
        return entity

    def new_user(self, props: Mapping[str, Any]) -> Entity:
        """Make a user that is not in the directory yet."""
        entity_id, rest = _identified(props)
        _check_names("user", rest)
        if not rest.get("userPrincipalName"):
            raise ValueError("A user needs a userPrincipalName.")
        rest.setdefault("accountEnabled", True)
        rest.setdefault("userType", "Member")
        rest.setdefault("createdDateTime", iso(self._clock.now()))
        return Entity(entity_id, "user", "#microsoft.graph.user", rest)

    def new_group(self, props: Mapping[str, Any], kind: str) -> Entity:
        """Make a group that is not in the directory yet."""
        if kind not in GROUP_KINDS:
            raise ValueError(f"The kind of a group is one of {', '.join(GROUP_KINDS)}.")
        entity_id, rest = _identified(props)
        _check_names("group", rest)
        merged = {**GROUP_KINDS[kind], **rest}
        if rest.get("membershipRule"):
            merged["groupTypes"] = [*merged["groupTypes"], "DynamicMembership"]
        merged.setdefault("createdDateTime", iso(self._clock.now()))
        return Entity(entity_id, "group", "#microsoft.graph.group", merged)

    def update(self, key: str, props: Mapping[str, Any]) -> bool:
        """Change properties; returns whether anything differed."""
        entity = self.get(key)
        if entity.status != "live":
            raise ValueError(f"{key} is deleted.")
        _check_names(entity.kind, props)
        wanted = dict(props)
        if entity.kind == "user" and "mail" in wanted and "proxyAddresses" not in wanted:
            wanted.update(_proxies_after(entity.props, wanted["mail"]))
        before: dict[str, Any] = {}
        for name, value in wanted.items():
            if value is None and name in COLLECTIONS:
                value = []
            old = entity.props.get(name, UNSET)
            if value == old or (old is UNSET and value in (None, [])):
                continue
            before[name] = old
            entity.props[name] = value
        if not before:
            return False
        if "userPrincipalName" in before:
            self.by_upn[str(entity.props["userPrincipalName"]).lower()] = entity.id
        if "visibility" in before:
            self._forget_views()
        self._record(entity, "updated", before)
        return True

    def soft_delete(self, key: str) -> None:
        """Delete to deletedItems; a distribution group is gone at once."""
        entity = self.get(key)
        if entity.status != "live":
            raise ValueError(f"{key} is deleted already.")
        props = entity.props
        distribution = (
            entity.kind == "group"
            and not props.get("securityEnabled")
            and "Unified" not in props.get("groupTypes", [])
        )
        if entity.kind == "other" or distribution:
            self.hard_delete(key)
            return
        before = {STATUS_KEY: "live", "deletedDateTime": UNSET}
        entity.status = "soft"
        entity.deleted_at = self._clock.now()
        props["deletedDateTime"] = iso(entity.deleted_at)
        self.soft_deleted[entity.id] = entity.deleted_at
        self._forget_entity(entity)
        self._record(entity, "soft", before)

    def restore(self, key: str) -> None:
        """Bring a soft-deleted object back under its old id."""
        entity = self.get(key)
        if entity.status != "soft":
            raise ValueError(f"{key} is not in deletedItems.")
        before = {STATUS_KEY: "soft", "deletedDateTime": entity.props.pop("deletedDateTime")}
        entity.status = "live"
        entity.deleted_at = None
        self.soft_deleted.pop(entity.id, None)
        if entity.kind == "user":
            self.by_upn[str(entity.props["userPrincipalName"]).lower()] = entity.id
        self._forget_entity(entity)
        self._record(entity, "restored", before)

    def hard_delete(self, key: str) -> None:
        """Remove for good; memberships end with it."""
        entity = self.get(key)
        if entity.status == "gone":
            raise ValueError(f"{key} is gone already.")
        for group_id in list(entity.parents):
            self.remove_members(group_id, [entity.id])
        if entity.members:
            self.remove_members(entity.id, list(entity.members))
        if entity.kind == "user":
            for other_id in self.user_ids:
                if self.objects[other_id].props.get("manager") == entity.id:
                    self.update(other_id, {"manager": None})
        before = {STATUS_KEY: entity.status}
        entity.status = "gone"
        self.soft_deleted.pop(entity.id, None)
        self._forget_entity(entity)
        self._record(entity, "gone", before)

    def purge_overdue(self) -> None:
        """Hard-delete what has been in deletedItems for 30 days."""
        limit = self._clock.now() - SOFT_DELETED_SECONDS
        for entity_id in [i for i, at in self.soft_deleted.items() if at <= limit]:
            self.hard_delete(entity_id)

    def add_members(self, group_key: str, member_keys: Iterable[str]) -> int:
        """Add direct members; returns how many were new."""
        group = self._group(group_key)
        ids = [self.get(key).id for key in member_keys]
        return self._change_members(group, [i for i in ids if i not in _members(group)], True)

    def remove_members(self, group_key: str, member_keys: Iterable[str]) -> int:
        """Remove direct members; returns how many there were."""
        group = self._group(group_key)
        ids = [self.get(key).id for key in member_keys]
        return self._change_members(group, [i for i in ids if i in _members(group)], False)

    def load(self, entities: list[Entity], memberships: Mapping[str, list[str]]) -> None:
        """Take in many objects at once, as one entry of the log."""
        for entity in entities:
            self._place(entity)
        seq = len(self.log) + 1
        for entity in entities:
            entity.created_seq = seq
        fresh = {entity.id for entity in entities if entity.kind == "group"}
        later: list[tuple[str, list[str]]] = []
        for group_key, keys in memberships.items():
            group = self._group(group_key)
            if group.id not in fresh:
                later.append((group.id, keys))
                continue
            members = _members(group)
            for key in keys:
                member = self.get(key)
                if member.id not in members:
                    members[member.id] = None
                    member.parents = (*member.parents, group.id)
        self._forget_views()
        if entities:
            ids = tuple(entity.id for entity in entities)
            self._append(Change(seq, self._now(), "", "other", "bulk", bulk=ids))
        for group_id, keys in later:
            self.add_members(group_id, keys)

    # Inside

    def _group(self, key: str) -> Entity:
        group = self.get(key)
        if group.members is None:
            raise ValueError(f"{key} is not a group.")
        return group

    def _place(self, entity: Entity) -> None:
        if entity.id in self.objects:
            raise ValueError(f"{self.domain} has {entity.id} already.")
        self.objects[entity.id] = entity
        if entity.kind == "user":
            self.user_ids.append(entity.id)
            self._user_tuple = None
            self.by_upn[str(entity.props["userPrincipalName"]).lower()] = entity.id
        elif entity.kind == "group":
            self.group_ids.append(entity.id)
            self._group_tuple = None

    def _insert(self, kind: Kind, entity: Entity) -> Entity:
        self._place(entity)
        entity.created_seq = len(self.log) + 1
        return entity

    def _change_members(self, group: Entity, ids: list[str], added: bool) -> int:
        ids = list(dict.fromkeys(ids))
        if not ids:
            return 0
        members = _members(group)
        nesting = False
        for member_id in ids:
            member = self.objects[member_id]
            nesting = nesting or member.kind == "group"
            if added:
                members[member_id] = None
                member.parents = (*member.parents, group.id)
            else:
                del members[member_id]
                member.parents = tuple(p for p in member.parents if p != group.id)
        for view in self._present.values():
            view.forget_members(group.id, nesting)
        self._record(group, "members", members=tuple((i, added) for i in ids))
        return len(ids)

    def _forget_entity(self, entity: Entity) -> None:
        for view in self._present.values():
            if entity.kind == "group":
                view.forget_all()
            else:
                for parent in entity.parents:
                    view.forget_members(parent, False)

    def _forget_views(self) -> None:
        for view in self._present.values():
            view.forget_all()

    def _now(self) -> float:
        # The log is searched by time, so a clock that was moved back must not unsort it.
        now = self._clock.now()
        return max(now, self._times[-1]) if self._times else now

    def _record(
        self,
        entity: Entity,
        what: What,
        before: Mapping[str, Any] | None = None,
        members: tuple[tuple[str, bool], ...] = (),
    ) -> None:
        seq = len(self.log) + 1
        change = Change(seq, self._now(), entity.id, entity.kind, what, before or {}, members)
        if what != "created":
            if entity.history is None:
                entity.history = []
            entity.history.append(change)
        self.rendered.forget(entity.id)
        self._append(change)

    def _append(self, change: Change) -> None:
        self.log.append(change)
        self._times.append(change.at)
        self._on_change(self, change)


def _members(group: Entity) -> dict[str, None]:
    if group.members is None:
        raise ValueError(f"{group.id} is not a group.")
    return group.members


def _identified(props: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    rest = {name: value for name, value in props.items() if value is not None and name != "id"}
    return str(props.get("id") or uuid.uuid4()).lower(), rest


def _check_names(kind: Kind, props: Mapping[str, Any]) -> None:
    allowed = {*ALL_PROPERTIES[kind], "manager"} - _READ_ONLY
    unknown = [
        n
        for n in props
        if n not in allowed and n not in USER_SINGLE_ONLY and not n.startswith("extension_")
    ]
    if unknown:
        raise ValueError(f"A {kind} has no property {', '.join(unknown)} that can be set.")


def _proxies_after(props: Mapping[str, Any], mail: str | None) -> dict[str, Any]:
    """Setting mail moves the primary SMTP address; the old one stays as an alias."""
    old_mail = props.get("mail")
    old = props.get("proxyAddresses") or ([f"SMTP:{old_mail}"] if old_mail else [])
    if not mail:
        return {"proxyAddresses": [a for a in old if not a.startswith("SMTP:")]}
    kept = ["smtp:" + a[5:] if a.startswith("SMTP:") else a for a in old]
    kept = [a for a in kept if a.lower() != f"smtp:{mail}".lower()]
    return {"proxyAddresses": [f"SMTP:{mail}", *kept]}
