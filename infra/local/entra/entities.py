"""What the directory is made of: entities, and the changes that happened to them.

A change remembers what was before. That lets a read that lags behind be answered from the
present state with the newest changes undone, without keeping a second copy of the directory.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Kind = Literal["user", "group", "other"]
Status = Literal["absent", "live", "soft", "gone"]
What = Literal["created", "updated", "soft", "restored", "gone", "members", "bulk"]

# "before" value of a property that never had a value: a delta item leaves such a property out.
UNSET: Final = object()
STATUS_KEY: Final = "@status"


@dataclass(slots=True, frozen=True)
class Change:
    """One change of one entity; `seq` counts the changes of the tenant from 1."""

    seq: int
    at: float
    entity_id: str
    kind: Kind
    what: What
    before: Mapping[str, Any] = field(default_factory=dict)
    members: tuple[tuple[str, bool], ...] = ()  # (member, added)
    bulk: tuple[str, ...] = ()  # everything that one load created


class Entity:
    """A user, a group, or something else that can be a member (device, contact, ...)."""

    __slots__ = (
        "created_seq",
        "deleted_at",
        "history",
        "id",
        "kind",
        "members",
        "parents",
        "props",
        "status",
        "type",
    )

    def __init__(self, entity_id: str, kind: Kind, type_name: str, props: dict[str, Any]) -> None:
        self.id = entity_id
        self.kind: Kind = kind
        self.type = type_name
        self.props = props
        self.status: Status = "live"
        self.deleted_at: float | None = None
        self.created_seq = 0
        self.history: list[Change] | None = None
        # Groups only; users leave it None to stay small at 100,000.
        self.members: dict[str, None] | None = {} if kind == "group" else None
        self.parents: tuple[str, ...] = ()

    @property
    def hidden(self) -> bool:
        """Whether the members may only be read with Member.Read.Hidden."""
        return self.kind == "group" and self.props.get("visibility") == "HiddenMembership"

    def status_at(self, seq: int) -> Status:
        """Return the status after the first `seq` changes of the tenant."""
        if self.created_seq > seq:
            return "absent"
        status = self.status
        for change in reversed(self.history or ()):
            if change.seq <= seq:
                break
            status = change.before.get(STATUS_KEY, status)
        return status

    def props_at(self, seq: int) -> dict[str, Any]:
        """Return the properties after the first `seq` changes of the tenant."""
        history = self.history
        if not history or history[-1].seq <= seq:
            return self.props
        props = dict(self.props)
        for change in reversed(history):
            if change.seq <= seq:
                break
            for name, value in change.before.items():
                if name == STATUS_KEY:
                    continue
                if value is UNSET:
                    props.pop(name, None)
                else:
                    props[name] = value
        return props
