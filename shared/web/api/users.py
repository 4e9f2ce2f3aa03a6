"""Groups and users of a tenant for the forms, and the sync of one user by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from msgspec import Meta

from shared.sync.users import FoundGroup, FoundUser, Users
from shared.web.api.activity import ActivityShown
from shared.web.api.activity import shown as activity_shown
from shared.web.api.records import RecordShown
from shared.web.api.records import shown as record_shown
from shared.web.api.shapes import Search, Shown, utc
from shared.web.cursor import start_of, write_cursor
from shared.web.http import Reply, json_reply
from shared.web.router import Call, Route

IdOrUpn = Annotated[str, Meta(description="The user's object id or UPN.")]


class GroupShown(Shown):
    """A group of the tenant; `reason` says why it is not usable in a rule."""

    id: str
    name: str
    kind: str
    created_at: datetime | None
    usable: bool
    reason: str | None


class GroupList(Shown):
    """What was found."""

    items: list[GroupShown]
    next_cursor: str | None


class UserShown(Shown):
    """A user of the tenant, with his link when there is one."""

    id: str
    display_name: str
    user_principal_name: str
    mail: str
    enabled: bool
    guest: bool
    record: RecordShown | None


class UserList(Shown):
    """Who was found."""

    items: list[UserShown]
    next_cursor: str | None


class UserSynced(Shown):
    """What was decided for the user, and why; `activity` when something was done."""

    user_id: str
    queued: bool
    decision: str | None
    reason: str
    activity: ActivityShown | None


def _group(found: FoundGroup) -> GroupShown:
    return GroupShown(
        id=found.group.id,
        name=found.group.name,
        kind=found.group.kind,
        created_at=utc(found.group.created_at),
        usable=found.refusal is None,
        reason=found.refusal,
    )


def _user(found: FoundUser) -> UserShown:
    user = found.user
    return UserShown(
        id=user.id,
        display_name=user.display_name,
        user_principal_name=user.upn,
        mail=user.mail,
        enabled=user.enabled,
        guest=user.guest,
        record=record_shown(found.link) if found.link else None,
    )


def _next(start: int, found: Sequence[object], limit: int) -> str | None:
    return write_cursor(start + limit) if len(found) > limit else None


@dataclass(frozen=True, slots=True)
class UsersApi:
    """The resources."""

    users: Users

    def routes(self) -> list[Route]:
        """Their rows in the table."""
        return [
            Route(
                "GET",
                "/api/connections/{connectionId}/groups",
                self.groups,
                "Groups of the tenant by name or id",
                description=(
                    "For the rule form; `usable` says whether a group can stand in a rule. Entra "
                    "shows 999 at most."
                ),
                refusals=(409, 422),
                query=Search,
                reply=GroupList,
            ),
            Route(
                "GET",
                "/api/users/{connectionId}",
                self.search,
                "Users of the tenant by name, address, UPN or id",
                description=(
                    "Linked or not, each with the record when there is one. Entra shows 999 at "
                    "most."
                ),
                refusals=(409, 422),
                query=Search,
                reply=UserList,
            ),
            Route(
                "POST",
                "/api/users/{connectionId}/{user}/sync",
                self.sync,
                "Sync this one user now",
                description=(
                    "Looks at the user, decides and writes at once. 202 when something passing is "
                    "in the way: it is tried again by itself."
                ),
                refusals=(409,),
                also={202: UserSynced},
                path={"user": IdOrUpn},
                reply=UserSynced,
            ),
        ]

    def groups(self, call: Call) -> Reply:
        """GET /api/connections/{id}/groups."""
        query: Search = call.query
        start = start_of(query.cursor)
        found = self.users.search_groups(
            call.path["connectionId"], query.q, query.limit + 1, skip=start
        )
        groups = [_group(each) for each in found[: query.limit]]
        return json_reply(GroupList(items=groups, next_cursor=_next(start, found, query.limit)))

    def search(self, call: Call) -> Reply:
        """GET /api/users/{connectionId}."""
        query: Search = call.query
        start = start_of(query.cursor)
        found = self.users.search(call.path["connectionId"], query.q, query.limit + 1, skip=start)
        users = [_user(each) for each in found[: query.limit]]
        return json_reply(UserList(items=users, next_cursor=_next(start, found, query.limit)))

    def sync(self, call: Call) -> Reply:
        """POST /api/users/{connectionId}/{user}/sync."""
        outcome = self.users.sync(call.path["connectionId"], call.path["user"])
        told = outcome.told
        activity = told.activity if told else None
        return json_reply(
            UserSynced(
                user_id=outcome.user_id,
                queued=outcome.queued,
                decision=told.kind if told else None,
                reason=outcome.reason,
                activity=activity_shown(activity) if activity else None,
            ),
            202 if outcome.queued else 200,
        )
