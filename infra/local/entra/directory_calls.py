"""Graph calls that read users, groups and memberships."""

from typing import Any

from infra.local.entra import listing
from infra.local.entra.calls import Call, Reply
from infra.local.entra.entities import Entity, Kind
from infra.local.entra.graph_errors import GraphError, bad_request, not_found
from infra.local.entra.rendering import as_json, dumps
from infra.local.entra.views import View

_MOST_CHECKED = 20
_MOST_BY_IDS = 1000
_MOST_MEMBER_GROUPS = 11_000


def list_users(call: Call) -> Reply:
    """GET /users"""
    view = _lists(call, call.query.search is not None)
    return listing.collection(call, view, "user", call.directory.all_users(), "users")


def list_groups(call: Call) -> Reply:
    """GET /groups"""
    view = _lists(call, call.query.search is not None)
    return listing.collection(call, view, "group", call.directory.all_groups(), "groups")


def count_users(call: Call) -> Reply:
    """GET /users/$count"""
    view = _lists(call, True)
    return listing.count_reply(call, sum(1 for i in call.directory.all_users() if view.find(i)))


def count_groups(call: Call) -> Reply:
    """GET /groups/$count"""
    view = _lists(call, True)
    return listing.count_reply(call, sum(1 for i in call.directory.all_groups() if view.find(i)))


def get_user(call: Call) -> Reply:
    """GET /users/{id}"""
    view = _reads(call)
    return listing.single(call, view, _user(call, view), "users")


def get_me(call: Call) -> Reply:
    """GET /me"""
    return get_user(call)


def get_group(call: Call) -> Reply:
    """GET /groups/{id}"""
    view = _reads(call)
    return listing.single(call, view, _find(view, call.params[0], "group"), "groups")


def get_manager(call: Call) -> Reply:
    """GET /users/{id}/manager"""
    view = _reads(call)
    user = _user(call, view)
    manager = view.find(str(view.props(user).get("manager") or ""))
    if manager is None:
        raise not_found("manager")
    select = call.query.select
    body = as_json("typed", manager, view.props(manager), select)
    context = f"{call.base}/$metadata#directoryObjects/$entity"
    return Reply(200, dumps({"@odata.context": context, **body}))


def member_of(call: Call) -> Reply:
    """GET /users/{id}/memberOf, with or without a cast"""
    view = _checks(call)
    user = _user(call, view)
    return listing.members(call, view, view.parents(user.id), _cast(call, 1))


def group_member_of(call: Call) -> Reply:
    """GET /groups/{id}/memberOf: the groups that hold this one directly"""
    view = _reads(call)
    group = _find(view, call.params[0], "group")
    return listing.members(call, view, view.parents(group.id), None)


def transitive_member_of(call: Call) -> Reply:
    """GET /users/{id}/transitiveMemberOf, with or without a cast"""
    view = _checks(call)
    user = _user(call, view)
    return listing.members(call, view, list(view.groups_of(user.id)), _cast(call, 1))


def check_member_groups(call: Call) -> Reply:
    """POST /users/{id}/checkMemberGroups"""
    return _check(call, "groupIds")


def check_member_objects(call: Call) -> Reply:
    """POST /users/{id}/checkMemberObjects"""
    return _check(call, "ids")


def get_member_groups(call: Call) -> Reply:
    """POST /users/{id}/getMemberGroups"""
    view = _checks(call)
    user = _user(call, view)
    only_security = call.json().get("securityEnabledOnly")
    if not isinstance(only_security, bool):
        raise bad_request("The parameter 'securityEnabledOnly' is required.")
    objects = call.directory.objects
    ids = [
        i
        for i in view.groups_of(user.id)
        if not only_security or objects[i].props.get("securityEnabled")
    ]
    if len(ids) > _MOST_MEMBER_GROUPS:
        raise GraphError(
            400,
            "Directory_ResultSizeLimitExceeded",
            "The result set to this query has more results than allowed.",
        )
    return listing.ids_reply(call, ids)


def direct_members(call: Call) -> Reply:
    """GET /groups/{id}/members, with or without a cast"""
    view = _lists(call, False)
    group = _find(view, call.params[0], "group")
    return listing.members(call, view, view.members(group.id), _cast(call, 1))


def count_direct_members(call: Call) -> Reply:
    """GET /groups/{id}/members/$count"""
    view = _lists(call, True)
    group = _find(view, call.params[0], "group")
    return listing.count_reply(call, len(view.members(group.id)))


def transitive_members(call: Call) -> Reply:
    """GET /groups/{id}/transitiveMembers, with or without a cast"""
    view = _lists(call, call.eventual)
    group = _find(view, call.params[0], "group")
    return listing.members(call, view, view.transitive(group.id), _cast(call, 1))


def count_transitive_members(call: Call) -> Reply:
    """GET /groups/{id}/transitiveMembers/$count"""
    view = _lists(call, True)
    group = _find(view, call.params[0], "group")
    return listing.count_reply(call, len(view.transitive(group.id)))


def get_by_ids(call: Call) -> Reply:
    """POST /directoryObjects/getByIds"""
    body = call.json()
    ids = _strings(body, "ids")
    if len(ids) > _MOST_BY_IDS:
        raise bad_request(f"Number of ids exceeds the maximum of {_MOST_BY_IDS}.")
    types = body.get("types") or ["directoryObject"]
    view = _lists(call, False)
    pieces: list[bytes] = []
    for entity_id in dict.fromkeys(i.lower() for i in ids):
        entity = view.find(entity_id)
        if entity is None:
            continue
        type_name = entity.type.removeprefix("#microsoft.graph.")
        if type_name in types or "directoryObject" in types:
            props = view.props(entity)
            pieces.append(dumps(as_json("typed", entity, props, call.query.select)))
    head = b'{"@odata.context":' + dumps(f"{call.base}/$metadata#directoryObjects")
    return Reply(200, head + b',"value":[' + b",".join(pieces) + b"]}")


def get_directory_object(call: Call) -> Reply:
    """GET /directoryObjects/{id}"""
    view = _reads(call)
    entity = _find(view, call.params[0], None)
    body = as_json("typed", entity, view.props(entity), call.query.select)
    context = f"{call.base}/$metadata#directoryObjects/$entity"
    return Reply(200, dumps({"@odata.context": context, **body}))


def get_deleted_item(call: Call) -> Reply:
    """GET /directory/deletedItems/{id}"""
    key = call.params[0].lower()
    view = _reads(call)
    entity = call.directory.objects.get(key)
    if entity is None or view.status(entity) != "soft":
        raise not_found(key)
    select = call.query.select or ("id", "displayName", "deletedDateTime")
    if entity.kind == "user" and call.query.select is None:
        select = (*select, "userPrincipalName", "mail")
    body = as_json("typed", entity, view.props(entity), select)
    context = f"{call.base}/$metadata#directoryObjects/$entity"
    return Reply(200, dumps({"@odata.context": context, **body}))


def list_deleted_items(call: Call) -> Reply:
    """GET /directory/deletedItems/microsoft.graph.user (or .group)"""
    kind: Kind = listing.cast_kind(call.params[0])
    listing.checked_select(call, kind)
    view = _reads(call)
    select = call.query.select
    if select is None:
        defaults = {"user": ("displayName", "userPrincipalName", "mail")}
        select = ("id", "deletedDateTime", *defaults.get(kind, ("displayName",)))
    objects = call.directory.objects
    values = [
        as_json("plain", objects[i], view.props(objects[i]), select)
        for i in call.directory.soft_deleted
        if objects[i].kind == kind and view.status(objects[i]) == "soft"
    ]
    context = f"{call.base}/$metadata#{kind}s"
    return Reply(200, dumps({"@odata.context": context, "value": values}))


def organization(call: Call) -> Reply:
    """GET /organization"""
    directory = call.directory
    full: dict[str, Any] = {
        "id": directory.id,
        "displayName": directory.display_name,
        "tenantType": "AAD",
        "countryLetterCode": "NL",
        "onPremisesSyncEnabled": None,
        "verifiedDomains": [
            {
                "capabilities": "Email, OfficeCommunicationsOnline",
                "isDefault": True,
                "isInitial": False,
                "name": directory.domain,
                "type": "Managed",
            }
        ],
    }
    select = call.query.select
    value = full if select is None else {n: full.get(n) for n in ("id", *select)}
    return Reply(
        200,
        dumps({"@odata.context": f"{call.base}/$metadata#organization", "value": [value]}),
    )


def _check(call: Call, member: str) -> Reply:
    view = _checks(call)
    user = _user(call, view)
    ids = _strings(call.json(), member)
    if len(ids) > _MOST_CHECKED:
        raise GraphError(
            400,
            "Directory_RequestLimitExceeded",
            f"Number of entries in {member} exceeds the maximum of {_MOST_CHECKED}.",
        )
    groups = view.groups_of(user.id)
    return listing.ids_reply(call, [i for i in dict.fromkeys(ids) if i.lower() in groups])


def _strings(body: dict[str, Any], member: str) -> list[str]:
    values = body.get(member)
    if not isinstance(values, list) or not all(isinstance(v, str) for v in values) or not values:
        raise bad_request(f"The parameter '{member}' must be a collection of strings.")
    return values


def _cast(call: Call, at: int) -> str | None:
    return call.params[at] if len(call.params) > at else None


def _user(call: Call, view: View) -> Entity:
    key = call.params[0]
    return _find(view, call.directory.user_id(key), "user", key)


def _find(view: View, key: str, kind: Kind | None, shown: str | None = None) -> Entity:
    entity = view.find(key.lower(), kind)
    if entity is None:
        raise not_found(shown or key)
    return entity


def _lists(call: Call, index: bool) -> View:
    switches = call.world.switches
    lag = switches.lag_index_seconds if index else switches.lag_lists_seconds
    return call.directory.view(lag, call.see_hidden)


def _reads(call: Call) -> View:
    return call.directory.view(call.world.switches.lag_reads_seconds, call.see_hidden)


def _checks(call: Call) -> View:
    return call.directory.view(call.world.switches.lag_checks_seconds, call.see_hidden)
