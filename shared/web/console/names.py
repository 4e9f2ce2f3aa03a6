"""The connections on a page: their domain names instead of ids, and the choices of a filter."""

from __future__ import annotations

from collections.abc import Iterable

from shared.web.api.connections import ConnectionList, ConnectionShown
from shared.web.console.inside import Inside

_A_PAGE = 1000


def all_connections(api: Inside) -> list[ConnectionShown]:
    """Every connection, by domain name."""
    found: list[ConnectionShown] = []
    cursor: str | None = None
    while True:
        page = api.get(ConnectionList, "/api/connections", limit=_A_PAGE, cursor=cursor)
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            return sorted(found, key=lambda each: each.tenant_domain)


def connection_options(connections: Iterable[ConnectionShown]) -> list[tuple[str, str]]:
    """The choices of a filter by connection."""
    return [("", "All connections"), *((each.id, each.tenant_domain) for each in connections)]
