"""Which objects a delta round names, and how each is written."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from infra.local.entra.calls import Call
from infra.local.entra.directory import Directory
from infra.local.entra.entities import STATUS_KEY, UNSET, Change, Entity
from infra.local.entra.rendering import dumps, tracked_values
from infra.local.entra.views import View

if TYPE_CHECKING:
    from infra.local.entra.delta import Tracking

_REASONS = {"soft": "changed", "gone": "deleted"}


@dataclass(slots=True)
class Entry:
    """One item of a round."""

    id: str
    changed: frozenset[str] | None = None  # None: everything, as for a new object
    members: tuple[tuple[str, bool], ...] | None = None  # (member, present): one slice
    old_manager: str | None = None
    live: bool = False  # written as a live item although the object is deleted


@dataclass(slots=True)
class _Touched:
    fresh: bool = False
    removed: bool = False
    changed: set[str] = field(default_factory=set)
    members: dict[str, None] = field(default_factory=dict)
    old_manager: str | None = None


def gather(call: Call, tracking: "Tracking", since: int | None, until: int) -> list[Entry]:
    """Return the items of a round: the full state, or what changed since."""
    directory = call.directory
    view = call.directory.view(call.world.switches.lag_delta_seconds, call.see_hidden)
    slice_size = max(1, call.world.switches.delta_members_per_item)
    entries: list[Entry] = []
    if since is None:
        everything = directory.all_users() if tracking.kind == "user" else directory.all_groups()
        removed_too = call.world.switches.delta_removed_in_full
        for entity_id in tracking.ids or everything:
            entity = directory.objects.get(entity_id)
            if entity is None or entity.kind != tracking.kind:
                continue
            status = view.status(entity)
            if status == "live":
                entries += _whole(view, tracking, entity, slice_size)
            elif status != "absent" and removed_too:
                entries.append(Entry(entity_id))
        return entries
    wanted = frozenset(tracking.ids)
    for entity_id, touched in _touched(directory, tracking, since, until).items():
        if wanted and entity_id not in wanted:
            continue
        entity = directory.objects[entity_id]
        if view.status(entity) == "absent":
            continue
        if view.status(entity) != "live":
            if touched.removed:
                entries.append(Entry(entity_id))
                if call.world.switches.delta_contradictions:
                    entries.append(Entry(entity_id, live=True))
            continue
        if touched.fresh:
            entries += _whole(view, tracking, entity, slice_size)
            continue
        entries += _partial(view, tracking, entity, touched, slice_size)
    return entries


def item(
    directory: Directory, view: View, tracking: "Tracking", entry: Entry, minimal: bool
) -> bytes:
    """Write one item."""
    entity = directory.objects[entry.id]
    status = view.status(entity)
    if status in _REASONS and not entry.live:
        return b'{"id":"%s","@removed":{"reason":"%s"}}' % (
            entity.id.encode(),
            _REASONS[status].encode(),
        )
    select = tracking.properties
    if minimal and entry.changed is not None:
        names = entry.changed if select is None else entry.changed & set(select)
        text = dumps(tracked_values(entity, view.props(entity), tuple(sorted(names))))
    elif view.seq is None:
        text = directory.rendered.tracked(entity, select)
    else:
        text = dumps(tracked_values(entity, view.props(entity), select))
    if entry.members:
        text = text[:-1] + b',"members@delta":[' + _slice(directory, entry.members) + b"]}"
    if "manager" in tracking.relationships:
        text = _with_manager(directory, view, entity, entry, text)
    return text


def _touched(
    directory: Directory, tracking: "Tracking", since: int, until: int
) -> dict[str, _Touched]:
    out: dict[str, _Touched] = {}
    for change in directory.log[since:until]:
        if change.what == "bulk":
            for entity_id in change.bulk:
                if directory.objects[entity_id].kind == tracking.kind:
                    out.setdefault(entity_id, _Touched()).fresh = True
        elif change.kind == tracking.kind:
            _note(out.setdefault(change.entity_id, _Touched()), change)
    return out


def _note(touched: _Touched, change: Change) -> None:
    if change.what in ("created", "restored"):
        touched.fresh = True
    elif change.what in ("soft", "gone"):
        touched.removed = True
    elif change.what == "members":
        for member, _ in change.members:
            touched.members[member] = None
    for name, old in change.before.items():
        if name != STATUS_KEY:
            touched.changed.add(name)
        if name == "manager" and old not in (None, UNSET) and touched.old_manager is None:
            touched.old_manager = str(old)


def _whole(view: View, tracking: "Tracking", entity: Entity, size: int) -> list[Entry]:
    if "members" not in tracking.relationships:
        return [Entry(entity.id)]
    members = [(member, True) for member in view.kept_members(entity.id)]
    return [Entry(entity.id, None, part) for part in _slices(members, size)]


def _partial(
    view: View, tracking: "Tracking", entity: Entity, touched: _Touched, size: int
) -> list[Entry]:
    select = tracking.properties
    changed = frozenset(touched.changed)
    if "mail" in changed:
        changed |= {"proxyAddresses"}
    seen = bool(changed - {"manager"}) if select is None else bool(changed & set(select))
    seen = seen or ("manager" in changed and "manager" in tracking.relationships)
    if not ("members" in tracking.relationships and touched.members):
        return [Entry(entity.id, changed, None, touched.old_manager)] if seen else []
    if not view.readable(entity.id):
        return [Entry(entity.id, changed)] if seen else []
    members = [(member, view.is_member(entity.id, member)) for member in touched.members]
    return [Entry(entity.id, changed, part) for part in _slices(members, size)]


def _slices(
    members: Sequence[tuple[str, bool]], size: int
) -> list[tuple[tuple[str, bool], ...] | None]:
    if not members:
        return [None]
    return [tuple(members[at : at + size]) for at in range(0, len(members), size)]


def _slice(directory: Directory, members: tuple[tuple[str, bool], ...]) -> bytes:
    objects = directory.objects
    pieces = []
    for member, present in members:
        text = f'{{"@odata.type":"{objects[member].type}","id":"{member}"'
        text += "}" if present else ',"@removed":{"reason":"deleted"}}'
        pieces.append(text)
    return ",".join(pieces).encode()


def _with_manager(
    directory: Directory, view: View, entity: Entity, entry: Entry, text: bytes
) -> bytes:
    if entry.changed is not None and "manager" not in entry.changed:
        return text
    manager = view.props(entity).get("manager")
    one: dict[str, Any]
    if manager:
        one = {"@odata.type": directory.objects[str(manager)].type, "id": manager}
    elif entry.old_manager:
        kind = directory.objects[entry.old_manager].type
        one = {"@odata.type": kind, "id": entry.old_manager, "@removed": {"reason": "deleted"}}
    else:
        return text
    return text[:-1] + b',"manager@delta":[' + dumps(one) + b"]}"
