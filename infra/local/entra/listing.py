"""Lists of users, groups and members: selection, filters, search, order, and how items look."""

import json
from collections.abc import Callable, Sequence

from infra.local.entra.calls import Call, Reply
from infra.local.entra.entities import Entity, Kind
from infra.local.entra.graph_errors import GraphError, bad_request, unsupported
from infra.local.entra.odata import Filter, parse_filter, parse_search
from infra.local.entra.paging import page
from infra.local.entra.rendering import Select, as_json, dumps
from infra.local.entra.schema import ALL_PROPERTIES, RELATIONSHIPS, USER_SINGLE_ONLY
from infra.local.entra.views import View

_CAST_KINDS: dict[str, Kind] = {
    "microsoft.graph.user": "user",
    "graph.user": "user",
    "microsoft.graph.group": "group",
    "graph.group": "group",
}
_EXPAND_MOST = 20


def cast_kind(segment: str) -> Kind:
    """Return what an OData cast segment asks for."""
    kind = _CAST_KINDS.get(segment)
    if kind is None:
        raise bad_request(f"Resource not found for the segment '{segment}'.")
    return kind


def checked_select(call: Call, kind: Kind, single: bool = False) -> Select | None:
    """Return the $select after checking it against the type."""
    select = call.query.select
    if select is None:
        return None
    for name in select:
        if name in ALL_PROPERTIES[kind] or name.startswith("extension_"):
            continue
        if name in USER_SINGLE_ONLY and kind == "user":
            if single:
                continue
            raise GraphError(501, "NotImplemented", f"Getting '{name}' here is not implemented.")
        if name in RELATIONSHIPS.get(kind, frozenset()):
            continue
        raise bad_request(
            f"Could not find a property named '{name}' on type 'microsoft.graph.{kind}'."
        )
    return tuple(name for name in select if name not in RELATIONSHIPS.get(kind, frozenset()))


def needs_advanced(call: Call, why: str, count_too: bool = True) -> None:
    """Refuse an advanced query that lacks ConsistencyLevel or $count=true."""
    if not call.eventual or (count_too and not call.query.count):
        raise unsupported(
            f"{why} is only supported with the header ConsistencyLevel: eventual"
            + (" and $count=true." if count_too else ".")
        )


def collection(
    call: Call, view: View, kind: Kind, everything: Sequence[str], path_context: str
) -> Reply:
    """Answer GET /users or /groups, or a deletedItems list."""
    refuse_delta_options(call)
    return _listed(call, view, kind, everything, path_context, cast=False)


def members(call: Call, view: View, ids: Sequence[str], cast: str | None) -> Reply:
    """Answer a list of directory objects, mixed or cast to one type."""
    refuse_delta_options(call)
    if cast is None:
        if call.query.filter or call.query.search or call.query.orderby:
            needs_advanced(call, "A query on directoryObject", True)
        if call.query.count:
            needs_advanced(call, "$count", False)
        return _listed(call, view, None, ids, "directoryObjects", cast=False)
    kind = cast_kind(cast)
    if call.world.switches.cast_needs_consistency_level:
        needs_advanced(call, f"An OData cast to {cast}")
    of_kind = [i for i in ids if call.directory.objects[i].kind == kind]
    return _listed(call, view, kind, of_kind, f"{kind}s", cast=True)


def single(call: Call, view: View, entity: Entity, context: str) -> Reply:
    """Answer GET of one user or group."""
    refuse_delta_options(call)
    select = checked_select(call, entity.kind, single=True)
    shape = f"({','.join(call.query.select)})" if call.query.select else ""
    head = b'{"@odata.context":' + dumps(f"{call.base}/$metadata#{context}{shape}/$entity")
    return Reply(200, head + b"," + _renderer(call, view, False, select)(entity.id)[1:])


def refuse_delta_options(call: Call) -> None:
    """Refuse what only delta knows."""
    if call.query.deltatoken is not None:
        raise bad_request("The query parameter '$deltatoken' is not supported here.")


def _listed(
    call: Call,
    view: View,
    kind: Kind | None,
    ids: Sequence[str],
    context: str,
    cast: bool,
) -> Reply:
    query = call.query
    select = query.select if kind is None else checked_select(call, kind)
    if query.count:
        needs_advanced(call, "$count", False)
    if query.search:
        needs_advanced(call, "$search", False)
    compiled = parse_filter(query.filter) if query.filter else None
    if compiled is not None:
        if compiled.advanced or query.orderby:
            needs_advanced(call, "This $filter")
        if kind is not None:
            for name in compiled.names - set(ALL_PROPERTIES[kind]):
                raise bad_request(f"Property '{name}' does not exist or cannot be filtered.")
    maximum = 500 if query.select and "signInActivity" in query.select else None
    shape = f"({','.join(query.select)})" if query.select else ""
    draw = _renderer(call, view, kind is None or cast, select)
    live = view.find

    def render(entity_id: str) -> bytes | None:
        return draw(entity_id) if live(entity_id) is not None else None

    return page(
        call,
        lambda: _chosen(call, view, ids, compiled),
        render,
        f"{context}{shape}",
        maximum,
    )


def _chosen(call: Call, view: View, ids: Sequence[str], compiled: Filter | None) -> Sequence[str]:
    objects = call.directory.objects
    query = call.query
    if compiled is None and not query.search and not query.orderby:
        # Most lists: every live one. No test per object but its status.
        return [i for i in ids if view.status(objects[i]) == "live"]
    if compiled is not None and compiled.equals is not None and not query.search:
        name, value = compiled.equals
        if name in ("id", "userPrincipalName"):
            found = view.find(call.directory.user_id(value))
            fits = found is not None and found.id in set(ids)
            return [found.id] if found is not None and fits else []
    search = parse_search(query.search) if query.search else None
    out: list[str] = []
    for entity_id in ids:
        entity = objects[entity_id]
        if view.status(entity) != "live":
            continue
        props = view.props(entity)
        if compiled is not None and not compiled.test({**props, "id": entity_id}):
            continue
        if search is not None and not search(props):
            continue
        out.append(entity_id)
    if query.orderby:
        name, _, direction = query.orderby.partition(" ")
        out.sort(
            key=lambda i: str(view.props(objects[i]).get(name) or "").lower(),
            reverse=direction.strip().lower() == "desc",
        )
    return out


def _renderer(call: Call, view: View, typed: bool, select: Select | None) -> Callable[[str], bytes]:
    objects = call.directory.objects
    rendered = call.directory.rendered
    expand = call.query.expand
    if expand is not None:
        return lambda entity_id: _expanded(call, view, objects[entity_id], typed, select, expand)
    if view.seq is not None:
        form = "typed" if typed else "plain"
        return lambda i: dumps(as_json(form, objects[i], view.props(objects[i]), select))
    draw = rendered.typed if typed else rendered.plain
    return lambda entity_id: draw(objects[entity_id], select)


def _expanded(
    call: Call, view: View, entity: Entity, typed: bool, select: Select | None, expand: str
) -> bytes:
    name, _, options = expand.partition("(")
    chosen: Select | None = None
    if options:
        option = options.rstrip(")")
        if not option.lower().startswith("$select="):
            raise bad_request(f"Unsupported option in $expand: {option}")
        chosen = tuple(part.strip() for part in option[8:].split(","))
    form = "typed" if typed else "plain"
    out = as_json(form, entity, view.props(entity), select)
    objects = call.directory.objects

    def related(ids: Sequence[str]) -> list[object]:
        return [
            as_json("typed", objects[i], view.props(objects[i]), chosen) for i in ids[:_EXPAND_MOST]
        ]

    if name == "manager" and entity.kind == "user":
        manager = view.find(str(view.props(entity).get("manager") or ""))
        if manager is not None:
            out["manager"] = related([manager.id])[0]
    elif name == "members" and entity.kind == "group":
        out["members"] = related(view.members(entity.id))
    elif name == "memberOf":
        out["memberOf"] = related(view.parents(entity.id))
    elif name == "transitiveMemberOf":
        out["transitiveMemberOf"] = related(list(view.groups_of(entity.id)))
    else:
        raise bad_request(f"Parsing OData Select and Expand failed: '{name}'.")
    return dumps(out)


def count_reply(call: Call, number: int) -> Reply:
    """Answer a /$count path with plain text."""
    needs_advanced(call, "$count", False)
    return Reply(200, str(number).encode(), content_type="text/plain")


def ids_reply(call: Call, ids: Sequence[str]) -> Reply:
    """Answer one of the calls that return ids only."""
    body = {
        "@odata.context": f"{call.base}/$metadata#Collection(Edm.String)",
        "value": list(ids),
    }
    return Reply(200, json.dumps(body, separators=(",", ":")).encode())
