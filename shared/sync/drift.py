"""Who edited a synced record by hand, which field, and what the next sync will do.

The list shows the last comparison, which is good for some minutes. A small connection is compared
while the person waits; a large one by the queue, and the list says so meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared.core.messages import SweepOrder, encode_sweep_order
from shared.core.model import Connection, ConnectionId, Link
from shared.errors import SyncError
from shared.ports import (
    SWEEPS,
    Connections,
    DriftItem,
    DriftReading,
    DriftStore,
    Links,
    Now,
    Queues,
)
from shared.sync.connections import existing
from shared.sync.drift_reading import ReadDrift

_GOOD_FOR = timedelta(minutes=10)
_LARGE_GOOD_FOR = timedelta(hours=6)  # of a large connection, unless a person asks for another
_MOST_AT_ONCE = 2000  # links that are compared while a person waits
_MOST_CALLS = 100  # to BMS, at least, that this takes
_PATIENCE = timedelta(seconds=8)
_MOST_ORDERS = 2  # comparisons that one request puts into the queue


@dataclass(slots=True)
class DriftPage:
    """Some items; the next page begins at `cursor` of the connection `connection_id`."""

    items: list[DriftItem] = field(default_factory=list)
    state: str = "ready"  # "ready" | "reading"
    read_at: datetime | None = None  # the oldest comparison of those shown
    links: int = 0
    compared: int = 0
    notes: list[str] = field(default_factory=list)
    connection_id: str = ""
    cursor: str | None = None


@dataclass(frozen=True)
class Drift:
    """The use case behind the list."""

    connections: Connections
    links: Links
    store: DriftStore
    reading: ReadDrift
    queues: Queues
    now: Now

    def page(
        self,
        connection_id: str | None,
        *,
        text: str,
        limit: int,
        start: tuple[str, str | None] | None,
        fresh: bool,
    ) -> DriftPage:
        """Edited records of one connection or of all; BadInput 404 for one that there is not."""
        every = self._of(connection_id)
        page = DriftPage()
        if start is None:
            self._bring_up(every, page, fresh=fresh, alone=connection_id is not None)
        self._tell(every, page)
        left = every
        cursor: str | None = None
        if start is not None:
            left = [each for each in every if each.id >= start[0]]
            cursor = start[1] if left and left[0].id == start[0] else None
        for index, connection in enumerate(left):
            more = limit - len(page.items)
            found, cursor = self.store.list(connection.id, text=text, limit=more, cursor=cursor)
            page.items += self._still_so(connection.id, found)
            if cursor is not None:
                page.connection_id, page.cursor = connection.id, cursor
                return page
            if len(page.items) >= limit and index + 1 < len(left):
                page.connection_id = left[index + 1].id
                return page
        return page

    def _of(self, connection_id: str | None) -> list[Connection]:
        if connection_id:
            return [existing(self.connections, connection_id)]
        return sorted(self.connections.list(), key=lambda each: each.id)

    def _bring_up(
        self, every: Sequence[Connection], page: DriftPage, *, fresh: bool, alone: bool
    ) -> None:
        """Compare what is too old: at once as far as that goes, the rest by the queue."""
        began, orders = self.now(), 0
        for connection in every:
            known = self.store.reading(connection.id)
            if connection.first_sync_at is None or not self._is_due(known, fresh=fresh):
                continue
            if self.now() - began < _PATIENCE and known.links <= _MOST_AT_ONCE:
                try:
                    if self.reading.read(connection.id, most=_MOST_AT_ONCE, calls=_MOST_CALLS):
                        continue
                except SyncError as error:
                    if alone and known.read_at is None:
                        raise
                    page.notes.append(f"BMS could not be read just now: {error.sentence}")
                    continue
            if orders < _MOST_ORDERS:
                orders += 1
                order = SweepOrder(connection.id, "drift")
                self.queues.send(SWEEPS, encode_sweep_order(order))
                page.state = "reading"

    def _is_due(self, known: DriftReading, *, fresh: bool) -> bool:
        now = self.now()
        if known.reading_until is not None and known.reading_until > now:
            return False
        good_for = _GOOD_FOR if known.links <= _MOST_AT_ONCE else _LARGE_GOOD_FOR
        return fresh or known.read_at is None or now - known.read_at > good_for

    def _tell(self, every: Sequence[Connection], page: DriftPage) -> None:
        """When it was read, and what is still being read."""
        readings = [self.store.reading(connection.id) for connection in every]
        now = self.now()
        for one in readings:
            if one.reading_until is not None and one.reading_until > now:
                page.state = "reading"
                page.links += one.links
                page.compared += one.compared
        read = [one.read_at for one in readings if one.read_at is not None]
        page.read_at = min(read, default=None)
        if page.state == "reading":
            page.notes.append(
                "Records are being compared with BMS just now; what is shown is the comparison "
                "before. Look again in a minute."
            )
        for one in readings:
            page.notes += [note for note in one.notes if note not in page.notes]

    def _still_so(self, connection_id: ConnectionId, items: Sequence[DriftItem]) -> list[DriftItem]:
        """Without those who were written, or lost their link, since they were compared."""
        if not items:
            return []
        links = self.links.get_many(connection_id, [item.user_id for item in items])
        return [item for item in items if _is_as_compared(item, links.get(item.user_id))]


def _is_as_compared(item: DriftItem, link: Link | None) -> bool:
    if link is None or link.record_id != item.record_id:
        return False
    return link.updated_at is None or link.updated_at <= item.read_at
