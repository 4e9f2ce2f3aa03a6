"""One Entra tenant, read through Microsoft Graph: ports.Directory and ports.Directories.

The pieces: `graph_calls` (token, errors, pages), `graph_batch`, `graph_look` (present state),
`graph_delta`, `graph_subscriptions`, `graph_shapes` (JSON to our values). Here are the lists.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import quote

from shared.adapters import graph_delta, graph_look, graph_nesting, graph_subscriptions
from shared.adapters.graph_calls import (
    EVENTUAL,
    NAME,
    GraphCalls,
    error_of,
    next_link,
    object_of,
    rows_of,
)
from shared.adapters.graph_shapes import (
    GROUP_FIELDS,
    USER_FIELDS,
    group_of,
    is_guid,
    text_of,
    user_of,
    users_of,
    users_page,
)
from shared.adapters.http import Answer, BrakeBoard, HttpClient
from shared.adapters.http_session import PooledSession
from shared.config import Settings
from shared.core.model import Connection, EntraGroup, EntraUser, GroupId, UserId
from shared.errors import SyncError, TryLater
from shared.ports import DeltaPage, Directory, Look, Nesting, SignIn

_METHODS: Final = frozenset({"GET", "POST", "PATCH", "DELETE"})  # DELETE: subscriptions only
_PAGE: Final = 999  # the most that Graph gives at once
_LONGEST_SEARCH: Final = 120


class GraphDirectories:
    """Opens directories. Throttling is per app and tenant, so all threads share one brake each."""

    def __init__(self, settings: Settings, session: PooledSession, sign_in: SignIn) -> None:
        self._base = f"{settings.graph_url}/v1.0"
        self._http = HttpClient(session, NAME, [settings.graph_url], _METHODS)
        self._sign_in = sign_in
        self._brakes = BrakeBoard()

    def open(self, connection: Connection) -> Directory:
        """The directory of a connection; costs nothing until it is asked something."""
        brake = self._brakes.brake(connection.tenant_id or connection.id)
        return GraphDirectory(GraphCalls(self._http, self._base, connection, self._sign_in, brake))


@dataclass(frozen=True, slots=True)
class GraphDirectory:
    """See ports.Directory for the promises."""

    calls: GraphCalls

    def organization_id(self) -> str:
        """The tenant's id, from GET /organization (R28)."""
        rows = self.calls.get("/organization?$select=id").get("value")
        first = rows[0] if isinstance(rows, list) and rows else None
        if not isinstance(first, dict) or not first.get("id"):
            raise TryLater("Microsoft Graph did not name the tenant.")
        return text_of(first["id"]).lower()

    def find_user(self, id_or_upn: str) -> EntraUser | None:
        """By object id or UPN; None when there is no such user now."""
        name = id_or_upn.strip()
        if not name:
            return None
        answer = self.calls.request("GET", f"/users/{quote(name, safe='')}?$select={USER_FIELDS}")
        if answer.status in (400, 404):  # 400: no user can have this name
            return None
        if not answer.ok:
            raise error_of(answer)
        return user_of(object_of(answer))

    def search_users(self, text: str, limit: int) -> list[EntraUser]:
        """By id, or by UPN, address or the beginning of the name."""
        wanted = _searchable(text)
        if is_guid(wanted):
            found = self.find_user(wanted)
            return [found] if found else []
        if not wanted:
            return self._search_users([""], limit)
        filters = [f"startswith(displayName,{_literal(wanted)})"]
        if "@" in wanted:
            filters = [
                f"userPrincipalName eq {_literal(wanted)}",
                f"mail eq {_literal(wanted)}",
                *filters,
            ]
        return self._search_users(filters, limit)

    def _search_users(self, filters: Sequence[str], limit: int) -> list[EntraUser]:
        rows = graph_look.rows_of(self.calls, _searches("users", USER_FIELDS, filters, limit))
        found = {user.id: user for user in users_of(rows)}
        return list(found.values())[:limit]

    def users_named(self, text: str) -> list[EntraUser]:
        """Whose UPN, address or display name is exactly this."""
        wanted = _searchable(text)
        if not wanted:
            return []
        filters = [f"displayName eq {_literal(wanted)}"]
        if "@" in wanted:
            filters += [
                f"userPrincipalName eq {_literal(wanted)}",
                f"mail eq {_literal(wanted)}",
                f"proxyAddresses/any(p:p eq {_literal(f'smtp:{wanted}')})",
            ]
        return self._search_users(filters, _PAGE)

    def search_groups(self, text: str, limit: int) -> list[EntraGroup]:
        """By id, or by the beginning of the name."""
        wanted = _searchable(text)
        if is_guid(wanted):
            found = self.groups([GroupId(wanted.lower())])[GroupId(wanted.lower())]
            if isinstance(found, SyncError):
                raise found
            return [found] if found else []
        filters = [f"startswith(displayName,{_literal(wanted)})" if wanted else ""]
        rows = graph_look.rows_of(self.calls, _searches("groups", GROUP_FIELDS, filters, limit))
        return [group_of(row) for row in rows if row.get("id")][:limit]

    def groups(self, ids: Sequence[GroupId]) -> dict[GroupId, EntraGroup | SyncError | None]:
        """The groups as they are now; None = 404."""
        return graph_look.groups_now(self.calls, ids)

    def look(
        self, users: Sequence[UserId], groups: Sequence[GroupId], *, direct: bool
    ) -> dict[UserId, Look | SyncError]:
        """Look at each user directly."""
        return graph_look.look(self.calls, users, groups, direct=direct)

    def nesting(self, user: UserId, tops: Collection[GroupId]) -> Nesting:
        """How these groups hold the user."""
        return graph_nesting.nesting(self.calls, user, tops)

    def refused_reads(self) -> dict[str, SyncError]:
        """What may not be read, by the permission that would allow it."""
        return graph_look.refused_reads(self.calls)

    def managers(self, users: Sequence[UserId]) -> dict[UserId, UserId | SyncError | None]:
        """Who manages each of them now."""
        return graph_look.managers(self.calls, users)

    def members(self, group: GroupId, *, nested: bool) -> Iterator[list[EntraUser]]:
        """All users of a group, page by page; the same user may come twice."""
        url = (
            f"/groups/{quote(group, safe='')}/{'transitiveMembers' if nested else 'members'}"
            f"/microsoft.graph.user?$count=true&$select={USER_FIELDS}&$top={_PAGE}"
        )
        return self.calls.pages_as(_users_and_link, url, EVENTUAL)

    def nested_groups(self, group: GroupId) -> set[GroupId]:
        """Every group below this one, however deep."""
        url = (
            f"/groups/{quote(group, safe='')}/transitiveMembers/microsoft.graph.group"
            f"?$count=true&$select=id&$top={_PAGE}"
        )
        return {
            GroupId(text_of(row.get("id")).lower())
            for rows in self.calls.pages(url, EVENTUAL)
            for row in rows
        }

    def start_cursor(self, resource: str) -> str:
        """A delta link from now on."""
        return graph_delta.start_cursor(self.calls, resource)

    def delta(self, link: str) -> Iterator[DeltaPage]:
        """One delta round."""
        return graph_delta.delta(self.calls, link)

    def create_subscription(
        self, resource: str, *, notify: str, lifecycle: str, client_state: str, expires: datetime
    ) -> tuple[str, datetime]:
        """Subscription id and expiry."""
        return graph_subscriptions.create(
            self.calls,
            resource,
            notify=notify,
            lifecycle=lifecycle,
            client_state=client_state,
            expires=expires,
        )

    def extend_subscription(self, subscription_id: str, expires: datetime) -> datetime | None:
        """New expiry, or None when it is lost."""
        return graph_subscriptions.extend(self.calls, subscription_id, expires)

    def subscription_exists(self, subscription_id: str) -> bool:
        """Whether Graph still knows it."""
        return graph_subscriptions.exists(self.calls, subscription_id)

    def delete_subscription(self, subscription_id: str) -> None:
        """Gone already is fine."""
        graph_subscriptions.delete(self.calls, subscription_id)


def _users_and_link(answer: Answer) -> tuple[list[EntraUser], str]:
    page = users_page(answer.content)
    if page is not None:
        return page
    body = object_of(answer)
    return users_of(rows_of(body)), next_link(body)


def _searches(resource: str, fields: str, filters: Sequence[str], limit: int) -> list[str]:
    top = max(1, min(limit, _PAGE))
    return [
        f"/{resource}?$select={fields}&$top={top}"
        + (f"&$filter={quote(each, safe='')}" if each else "")
        for each in filters
    ]


def _literal(text: str) -> str:
    """A text inside of an OData filter."""
    return "'" + text.replace("'", "''") + "'"


def _searchable(text: str) -> str:
    return re.sub("[\x00-\x1f\x7f-\x9f\ud800-\udfff]+", "", text).strip()[:_LONGEST_SEARCH]
