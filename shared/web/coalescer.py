"""Many notifications, few queue messages (R31).

Graph may send thousands of requests in a few seconds, each for one change. What arrives for one
connection within a moment, and while the previous send is under way, is gathered and sent at once;
every request that waits for it is answered when the send has worked, or has not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import datetime

from shared.core.model import ConnectionId, GroupId, UserId
from shared.core.notifications import Hints

_MOMENT = 0.05  # seconds: unnoticed by a person, and plenty at twenty changes a second


@dataclass(slots=True)
class Gathered:
    """The hints of several requests for one connection."""

    began: float
    done: asyncio.Future[None]
    signal_at: datetime
    users: dict[UserId, None] = field(default_factory=dict)
    members: dict[UserId, None] = field(default_factory=dict)
    groups: dict[GroupId, None] = field(default_factory=dict)
    lifecycle: set[str] = field(default_factory=set)
    requests: int = 0

    def add(self, hints: Hints) -> None:
        """Take these in as well."""
        self.users.update(dict.fromkeys(hints.users))
        self.members.update(dict.fromkeys(hints.members))
        self.groups.update(dict.fromkeys(hints.groups))
        self.lifecycle |= hints.lifecycle
        self.signal_at = min(self.signal_at, hints.signal_at)
        self.requests += 1


class Coalescer:
    """Gathers per connection and sends in worker threads, one send at a time per connection."""

    def __init__(
        self, send: Callable[[ConnectionId, Gathered], None], executor: Callable[[], Executor]
    ) -> None:
        self._send = send
        self._executor = executor
        self._open: dict[ConnectionId, Gathered] = {}
        self._running: dict[ConnectionId, asyncio.Task[None]] = {}

    async def add(self, connection_id: ConnectionId, hints: Hints) -> None:
        """Return when these hints are safely queued; raise what kept them from it."""
        loop = asyncio.get_running_loop()
        gathered = self._open.get(connection_id)
        if gathered is None:
            gathered = Gathered(loop.time(), loop.create_future(), hints.signal_at)
            # Nobody may be waiting any more when it fails: that is no unhandled error.
            gathered.done.add_done_callback(lambda future: future.exception())
            self._open[connection_id] = gathered
        gathered.add(hints)
        if connection_id not in self._running:
            self._running[connection_id] = loop.create_task(self._run(connection_id))
        # A request that gives up waiting must not take the others' send with it.
        await asyncio.shield(gathered.done)

    async def _run(self, connection_id: ConnectionId) -> None:
        """Send until nothing is open for this connection."""
        loop = asyncio.get_running_loop()
        try:
            while connection_id in self._open:
                wait = self._open[connection_id].began + _MOMENT - loop.time()
                if wait > 0:
                    await asyncio.sleep(wait)
                gathered = self._open.pop(connection_id)
                try:
                    await loop.run_in_executor(
                        self._executor(), self._send, connection_id, gathered
                    )
                except Exception as error:  # whatever it is, it belongs to those who wait
                    gathered.done.set_exception(error)
                else:
                    gathered.done.set_result(None)
        finally:
            del self._running[connection_id]
