"""Graph's paths: which call each is, what it costs and which permissions let it through."""

from dataclasses import dataclass

from infra.local.entra import delta, directory_calls, subscription_calls
from infra.local.entra.calls import Handler

# Any one of the sets is enough; all of a set are needed.
Permissions = tuple[frozenset[str], ...]


def _any(*names: str) -> Permissions:
    return tuple(frozenset({name}) for name in names)


_USERS = _any("User.Read.All", "Directory.Read.All")
_GROUPS = _any("Group.Read.All", "GroupMember.Read.All", "Directory.Read.All")
_MEMBER_OF = _any("Directory.Read.All", "Group.Read.All", "GroupMember.Read.All", "User.Read.All")
_CHECKS = (
    frozenset({"Directory.Read.All"}),
    frozenset({"User.Read.All", "Group.Read.All"}),
    frozenset({"User.Read.All", "GroupMember.Read.All"}),
)
_DIRECTORY = _any("Directory.Read.All")
_OWN = _any("User.Read", "User.Read.All", "Directory.Read.All")
_ORGANIZATION = _any("User.Read", "Organization.Read.All", "Directory.Read.All")
_SUBSCRIPTIONS = _any("User.Read.All", "Group.Read.All")
_DELETED = _any("User.Read.All", "Group.Read.All", "Directory.Read.All")


@dataclass(slots=True, frozen=True)
class Route:
    """One method of one path template; cost 0 is metered by the subscription service."""

    method: str
    template: str
    handler: Handler
    allowed: Permissions
    cost: int = 1

    @property
    def name(self) -> str:
        """Return method and template, the key of counters."""
        return f"{self.method} {self.template}"


def _table() -> list[Route]:
    calls = directory_calls
    subs = subscription_calls
    routes = [
        Route("GET", "/users", calls.list_users, _USERS, 2),
        Route("GET", "/users/$count", calls.count_users, _USERS),
        Route("GET", "/users/delta", delta.users_delta, _USERS),
        Route("GET", "/users/{id}", calls.get_user, _USERS),
        Route("GET", "/users/{id}/manager", calls.get_manager, _USERS),
        Route("GET", "/groups", calls.list_groups, _GROUPS),
        Route("GET", "/groups/$count", calls.count_groups, _GROUPS),
        Route("GET", "/groups/delta", delta.groups_delta, _GROUPS),
        Route("GET", "/groups/{id}", calls.get_group, _GROUPS),
        Route("GET", "/groups/{id}/members", calls.direct_members, _GROUPS, 3),
        Route("GET", "/groups/{id}/members/$count", calls.count_direct_members, _GROUPS, 3),
        Route("GET", "/groups/{id}/members/{cast}", calls.direct_members, _GROUPS, 3),
        Route("GET", "/groups/{id}/memberOf", calls.group_member_of, _GROUPS, 2),
        Route("GET", "/groups/{id}/transitiveMembers", calls.transitive_members, _GROUPS, 5),
        Route(
            "GET",
            "/groups/{id}/transitiveMembers/$count",
            calls.count_transitive_members,
            _GROUPS,
            5,
        ),
        Route("GET", "/groups/{id}/transitiveMembers/{cast}", calls.transitive_members, _GROUPS, 5),
        Route("POST", "/directoryObjects/getByIds", calls.get_by_ids, _DIRECTORY, 5),
        Route("GET", "/directoryObjects/{id}", calls.get_directory_object, _DIRECTORY),
        Route("GET", "/directory/deletedItems/{id}", calls.get_deleted_item, _DELETED),
        Route("GET", "/organization", calls.organization, _ORGANIZATION),
        Route("GET", "/me", calls.get_me, _OWN),
        Route("POST", "/subscriptions", subs.create, _SUBSCRIPTIONS, 0),
        Route("GET", "/subscriptions", subs.list_all, _SUBSCRIPTIONS, 0),
        Route("GET", "/subscriptions/{id}", subs.get, _SUBSCRIPTIONS, 0),
        Route("PATCH", "/subscriptions/{id}", subs.renew, _SUBSCRIPTIONS, 0),
        Route("DELETE", "/subscriptions/{id}", subs.delete, _SUBSCRIPTIONS, 0),
        Route("POST", "/subscriptions/{id}/reauthorize", subs.reauthorize, _SUBSCRIPTIONS, 0),
    ]
    for owner, member_of, checks in (("/users/{id}", _MEMBER_OF, _CHECKS), ("/me", _OWN, _OWN)):
        routes += [
            Route("GET", f"{owner}/memberOf", calls.member_of, member_of, 2),
            Route("GET", f"{owner}/memberOf/{{cast}}", calls.member_of, member_of, 2),
            Route("GET", f"{owner}/transitiveMemberOf", calls.transitive_member_of, member_of, 2),
            Route(
                "GET",
                f"{owner}/transitiveMemberOf/{{cast}}",
                calls.transitive_member_of,
                member_of,
                2,
            ),
            Route("POST", f"{owner}/checkMemberGroups", calls.check_member_groups, checks, 4),
            Route("POST", f"{owner}/checkMemberObjects", calls.check_member_objects, checks, 4),
            Route("POST", f"{owner}/getMemberGroups", calls.get_member_groups, checks, 2),
        ]
    return routes


LIST_DELETED = Route(
    "GET", "/directory/deletedItems/{cast}", directory_calls.list_deleted_items, _DELETED
)

_Shape = tuple[tuple[str, ...], dict[str, Route]]


def _index() -> dict[tuple[str, int], list[_Shape]]:
    index: dict[tuple[str, int], list[_Shape]] = {}
    for route in _table():
        parts = tuple(route.template[1:].split("/"))
        shapes = index.setdefault((parts[0].lower(), len(parts)), [])
        for known, methods in shapes:
            if known == parts:
                methods[route.method] = route
                break
        else:
            shapes.append((parts, {route.method: route}))
    # Fixed words before placeholders: /users/delta is not a user called delta.
    for shapes in index.values():
        shapes.sort(key=lambda shape: sum(part.startswith("{") for part in shape[0]))
    return index


_INDEX = _index()
# Actions and functions may be written in full; casts keep their prefix.
_PREFIXES = ("microsoft.graph.", "graph.")
_CAST_TYPES = ("user", "group", "device", "orgcontact", "serviceprincipal", "directoryrole")


def find(parts: list[str]) -> tuple[dict[str, Route], tuple[str, ...]] | None:
    """Return the methods of a path and what its placeholders hold."""
    parts = [_plain(part) for part in parts]
    for shape, methods in _INDEX.get((parts[0].lower(), len(parts)), ()):
        params: list[str] = []
        for wanted, part in zip(shape, parts, strict=True):
            if wanted[0] == "{":
                if wanted == "{cast}" and "graph." not in part:
                    break
                params.append(part)
            elif wanted.lower() != part.lower():
                break
        else:
            if shape[-1] == "{id}" and shape[0] == "directory" and "graph." in params[0]:
                return {"GET": LIST_DELETED}, tuple(params)
            return methods, tuple(params)
    return None


def _plain(part: str) -> str:
    part = part.removesuffix("()")
    for prefix in _PREFIXES:
        if part.startswith(prefix) and part[len(prefix) :].lower() not in _CAST_TYPES:
            return part[len(prefix) :]
    return part
