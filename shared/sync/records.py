"""What a technician looks through: records, conflicts and failures, over all connections."""

from __future__ import annotations

from dataclasses import dataclass

from shared.core.model import Connection, Link
from shared.ports import Conflict, Conflicts, Connections, Failure, Failures, Links
from shared.sync.connections import existing

_MOST_CONNECTIONS = 25  # asked for one page


@dataclass(frozen=True, slots=True)
class LinkPage:
    """Some links; the next page begins at `cursor` of the connection `connection_id`.

    Without a connection nothing comes after it.
    """

    links: tuple[Link, ...]
    connection_id: str = ""
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Records:
    """The lists."""

    connections: Connections
    links: Links
    conflicts: Conflicts
    failures: Failures

    def connection(self, connection_id: str) -> Connection:
        """BadInput 404 when there is none."""
        return existing(self.connections, connection_id)

    def page(
        self,
        connection_id: str | None,
        *,
        state: str | None,
        text: str | None,
        limit: int,
        start: tuple[str, str | None] | None,
    ) -> LinkPage:
        """Links of one connection, or of all of them one after the other.

        `start` is where a page before ended: a connection, and the cursor in it. A page ends after
        25 connections however few links they had, since each is a question to the store.
        """
        left = self._of(connection_id)
        cursor: str | None = None
        if start is not None:
            left = [each for each in left if each.id >= start[0]]
            if left and left[0].id == start[0]:
                cursor = start[1]
        found: list[Link] = []
        for index, connection in enumerate(left):
            links, cursor = self.links.page(
                connection.id, state=state, text=text, limit=limit - len(found), cursor=cursor
            )
            found += links
            if cursor is not None:
                return LinkPage(tuple(found), connection.id, cursor)
            enough = len(found) >= limit or index + 1 == _MOST_CONNECTIONS
            if enough and index + 1 < len(left):
                return LinkPage(tuple(found), left[index + 1].id)
        return LinkPage(tuple(found))

    def all_conflicts(self, connection_id: str | None, state: str | None) -> list[Conflict]:
        """What waits for a person's choice (R9), or did, oldest first."""
        of = self.connection(connection_id).id if connection_id else None
        found = self.conflicts.list(of, state=state)
        return sorted(found, key=lambda each: (each.found_at, each.user_id))

    def all_failures(self, connection_id: str | None) -> list[Failure]:
        """Work that cannot succeed by itself, newest first."""
        mine = {connection.id for connection in self._of(connection_id)}
        return [
            failure
            for failure in self.failures.list()
            if connection_id is None or failure.connection_id in mine
        ]

    def _of(self, connection_id: str | None) -> list[Connection]:
        """That connection, or all of them in a lasting order."""
        if connection_id:
            return [self.connection(connection_id)]
        return sorted(self.connections.list(), key=lambda each: each.id)
