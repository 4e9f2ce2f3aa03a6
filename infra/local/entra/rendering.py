"""Entities as JSON text, kept per property selection so that a page is a join of ready pieces."""

import json
from collections.abc import Mapping
from typing import Any

from infra.local.entra.entities import Entity
from infra.local.entra.schema import ALL_PROPERTIES, COLLECTIONS, DEFAULT_PROPERTIES

Select = tuple[str, ...]
# Keeps memory bounded when a client asks for ever new selections over a large directory.
_MOST_PIECES = 400_000


def dumps(value: Any) -> bytes:
    """Write compact JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


class RenderCache:
    """Ready JSON per selection and entity."""

    def __init__(self) -> None:
        self._pieces: dict[tuple[str, Select | None], dict[str, bytes]] = {}
        self._count = 0

    def forget(self, entity_id: str) -> None:
        """Drop what was written for this entity."""
        for pieces in self._pieces.values():
            pieces.pop(entity_id, None)

    def plain(self, entity: Entity, select: Select | None) -> bytes:
        """Write the entity as a GET on its own collection shows it."""
        return self._piece("plain", entity, select)

    def typed(self, entity: Entity, select: Select | None) -> bytes:
        """Write the entity with @odata.type, as lists of mixed types show it."""
        return self._piece("typed", entity, select)

    def tracked(self, entity: Entity, select: Select | None) -> bytes:
        """Write the entity as delta shows it: a property that never had a value is left out."""
        return self._piece("tracked", entity, select)

    def _piece(self, form: str, entity: Entity, select: Select | None) -> bytes:
        pieces = self._pieces.get((form, select))
        if pieces is None:
            pieces = self._pieces[(form, select)] = {}
        piece = pieces.get(entity.id)
        if piece is None:
            if self._count >= _MOST_PIECES:
                self._pieces.clear()
                self._count = 0
                pieces = self._pieces[(form, select)] = {}
            piece = pieces[entity.id] = dumps(as_json(form, entity, entity.props, select))
            self._count += 1
        return piece


def as_json(
    form: str, entity: Entity, props: Mapping[str, Any], select: Select | None
) -> dict[str, Any]:
    """Return the entity in one of the three forms with the properties given."""
    if form == "tracked":
        return tracked_values(entity, props, select)
    out: dict[str, Any] = {"@odata.type": entity.type} if form == "typed" else {}
    out["id"] = entity.id
    known = ALL_PROPERTIES[entity.kind]
    for name in DEFAULT_PROPERTIES[entity.kind] if select is None else select:
        if name != "id" and (select is None or form == "plain" or name in known):
            out[name] = value_of(entity, props, name)
    return out


def tracked_values(
    entity: Entity, props: Mapping[str, Any], select: Select | None
) -> dict[str, Any]:
    """Return the id and those selected properties that ever had a value."""
    out: dict[str, Any] = {"id": entity.id}
    for name in ALL_PROPERTIES[entity.kind] if select is None else select:
        if name in props:
            out[name] = props[name]
        elif name == "proxyAddresses" and props.get("mail"):
            out[name] = value_of(entity, props, name)
    out.pop("deletedDateTime", None)
    return out


def value_of(entity: Entity, props: Mapping[str, Any], name: str) -> Any:
    """Return a property as a GET shows it: null, or [] for a collection, when it is empty."""
    if name == "id":
        return entity.id
    value = props.get(name)
    if value is None and name in COLLECTIONS:
        # Follows from mail until somebody sets it; not stored, to keep 100,000 users small.
        if name == "proxyAddresses" and props.get("mail"):
            return [f"SMTP:{props['mail']}"]
        return []
    return value
