"""Who is a member of what, now or as a lagging reader still sees it.

The present view keeps what it has computed (ancestors of groups, flat member lists) and forgets
only what a change touches: a check of one user costs the depth of the nesting, never the size of
a group. A lagging view answers from the same directory with the newest changes undone.
"""

from typing import TYPE_CHECKING

from infra.local.entra.entities import Entity, Status

if TYPE_CHECKING:
    from infra.local.entra.directory import Directory


class View:
    """The memberships of one tenant as one kind of reader sees them."""

    def __init__(self, directory: "Directory", see_hidden: bool, seq: int | None = None) -> None:
        self._directory = directory
        self._objects = directory.objects
        self._see_hidden = see_hidden
        self.seq = seq
        self._ancestors: dict[str, frozenset[str]] = {}
        self._members: dict[str, tuple[str, ...]] = {}
        self._transitive: dict[str, tuple[str, ...]] = {}
        # (group, member) -> was a member then; only where it differs from now.
        self._then: dict[tuple[str, str], bool] = {}
        if seq is not None:
            for change in reversed(directory.log[seq:]):
                for member, added in change.members:
                    self._then[(change.entity_id, member)] = not added

    def status(self, entity: Entity) -> Status:
        """Return the entity's status in this view."""
        return entity.status if self.seq is None else entity.status_at(self.seq)

    def props(self, entity: Entity) -> dict[str, object]:
        """Return the entity's properties in this view."""
        return entity.props if self.seq is None else entity.props_at(self.seq)

    def find(self, entity_id: str, kind: str | None = None) -> Entity | None:
        """Return a live entity, or None."""
        entity = self._objects.get(entity_id)
        if entity is None or (kind is not None and entity.kind != kind):
            return None
        return entity if self.status(entity) == "live" else None

    def readable(self, group_id: str) -> bool:
        """Whether the group is live and its members may be read here."""
        group = self._objects.get(group_id)
        if group is None or self.status(group) != "live":
            return False
        if self._see_hidden:
            return True
        return self.props(group).get("visibility") != "HiddenMembership"

    def parents(self, entity_id: str) -> tuple[str, ...]:
        """Return the groups that the entity is a direct member of."""
        entity = self._objects.get(entity_id)
        if entity is None:
            return ()
        groups = entity.parents
        if self._then:
            was = [g for g in groups if self._then.get((g, entity_id), True)]
            was += [
                g for (g, m), then in self._then.items() if m == entity_id and then and g not in was
            ]
            groups = tuple(was)
        return tuple(g for g in groups if self.readable(g))

    def ancestors(self, group_id: str) -> frozenset[str]:
        """Return every group above this one; rings are walked once."""
        known = self._ancestors.get(group_id)
        if known is not None:
            return known
        found: set[str] = set()
        open_ends = list(self.parents(group_id))
        while open_ends:
            parent = open_ends.pop()
            if parent in found:
                continue
            found.add(parent)
            above = self._ancestors.get(parent)
            if above is not None:
                found |= above
            else:
                open_ends.extend(self.parents(parent))
        self._ancestors[group_id] = frozenset(found)
        return self._ancestors[group_id]

    def groups_of(self, entity_id: str) -> dict[str, None]:
        """Return every group that the entity is in, directly or through nesting."""
        found: dict[str, None] = {}
        for parent in self.parents(entity_id):
            found[parent] = None
            for above in self.ancestors(parent):
                found[above] = None
        return found

    def members(self, group_id: str) -> tuple[str, ...]:
        """Return the live direct members; a group whose members are hidden reads as empty."""
        known = self._members.get(group_id)
        if known is not None:
            return known
        group = self._objects.get(group_id)
        if group is None or group.members is None or not self.readable(group_id):
            return ()
        ids = list(group.members)
        if self._then:
            ids = [m for m in ids if self._then.get((group_id, m), True)]
            ids += [
                m
                for (g, m), then in self._then.items()
                if g == group_id and then and m not in group.members
            ]
        # A soft-deleted user keeps the membership but is not listed.
        objects = self._objects
        self._members[group_id] = tuple(m for m in ids if self.status(objects[m]) == "live")
        return self._members[group_id]

    def is_member(self, group_id: str, member_id: str) -> bool:
        """Whether the membership stands, also that of a soft-deleted user."""
        group = self._objects[group_id]
        now = group.members is not None and member_id in group.members
        return self._then.get((group_id, member_id), now)

    def kept_members(self, group_id: str) -> list[str]:
        """Return the direct members with the soft-deleted ones, who keep their memberships."""
        group = self._objects[group_id]
        if group.members is None or not self.readable(group_id):
            return []
        ids = dict.fromkeys(group.members)
        for (at, member), then in self._then.items():
            if at == group_id and then:
                ids[member] = None
            elif at == group_id:
                ids.pop(member, None)
        objects = self._objects
        return [m for m in ids if self.status(objects[m]) in ("live", "soft")]

    def transitive(self, group_id: str) -> tuple[str, ...]:
        """Return all nested members, each once, the group itself left out."""
        known = self._transitive.get(group_id)
        if known is not None:
            return known
        seen: dict[str, None] = {}
        open_ends = [group_id]
        walked = {group_id}
        while open_ends:
            for member in self.members(open_ends.pop()):
                seen[member] = None
                if member not in walked and self._objects[member].kind == "group":
                    walked.add(member)
                    open_ends.append(member)
        seen.pop(group_id, None)
        self._transitive[group_id] = tuple(seen)
        return self._transitive[group_id]

    def forget_members(self, group_id: str, nesting: bool) -> None:
        """Drop what a change of this group's member list makes wrong."""
        self._members.pop(group_id, None)
        if nesting:
            self.forget_all()
            return
        if self._transitive:
            self._transitive.pop(group_id, None)
            for above in self.ancestors(group_id):
                self._transitive.pop(above, None)

    def forget_all(self) -> None:
        """Drop everything that was computed."""
        self._ancestors.clear()
        self._members.clear()
        self._transitive.clear()
