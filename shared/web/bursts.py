"""A burst of notifications for one connection becomes few sweeps instead of many messages (R31).

After a large change Graph sends thousands of requests in seconds. To queue each of them, and to ask
Graph for each person, would cost more than the delta query that names them all. So a burst has one
order for a sweep queued, hidden for some seconds. Whatever arrives well before that sweep begins is
covered by it: 202 is true at once, for the order is safely queued, and the sweep reads Graph after
the change was signalled. While the burst goes on, the next order is queued before the last one's
cover ends; when it is over, one more sweep looks for what Graph's replicas did not show yet.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared.core.model import ConnectionId, GroupId
from shared.core.notifications import Hints

log = logging.getLogger(__name__)

# A pail that loses so many hints a second, and what is in it when a burst begins and ends: a
# hundred changes a second are looked at one by one, which is fresher; beyond, a sweep is cheaper.
_LEAK = 100.0
_BEGINS = 200.0
_ENDS = 100.0
_BRIM = 500.0
_ALONE = 1_000  # hints of one body that are a burst by themselves
_MOST_KEPT = 5_000

HIDDEN = timedelta(seconds=5)  # from the order to its sweep
_COVERED = 3.0  # of these, so many seconds' arrivals are the sweep's: Graph needs a moment too
_AHEAD = 1.0
ONCE_MORE = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class Covering:
    """A sweep to order. `groups` were notified since the last order, and are looked for by name."""

    signal_at: datetime | None
    groups: tuple[GroupId, ...]
    requests: int
    delay: timedelta


@dataclass(slots=True)
class _Burst:
    ordered: asyncio.Future[None]
    covered_until: float = 0.0
    waiting: int = 0
    requests: int = 0
    signal_at: datetime | None = None
    groups: dict[GroupId, None] = field(default_factory=dict)

    def note(self, hints: Hints) -> None:
        self.requests += 1
        self.groups.update(dict.fromkeys(hints.groups))
        if self.signal_at is None or hints.signal_at < self.signal_at:
            self.signal_at = hints.signal_at

    def taken(self, delay: timedelta) -> Covering:
        """What was noted since the last time."""
        found = Covering(self.signal_at, tuple(self.groups), self.requests, delay)
        self.signal_at, self.groups, self.requests = None, {}, 0
        return found


class Bursts:
    """Knows which connections have a burst, and keeps those covered by orders in the queue."""

    def __init__(
        self, order: Callable[[ConnectionId, Covering], None], executor: Callable[[], Executor]
    ) -> None:
        self._order = order
        self._executor = executor
        self._levels: dict[ConnectionId, tuple[float, float]] = {}
        self._bursts: dict[ConnectionId, _Burst] = {}
        self._keeping: set[asyncio.Task[None]] = set()

    def takes(self, connection_id: ConnectionId, hints: int) -> bool:
        """Count these hints; whether they are part of a burst."""
        now = asyncio.get_running_loop().time()
        before = self._level(connection_id, now)
        if len(self._levels) >= _MOST_KEPT:
            self._levels.clear()
        self._levels[connection_id] = min(_BRIM, before + max(1, hints)), now
        return connection_id in self._bursts or before >= _BEGINS or hints > _ALONE

    async def cover(self, connection_id: ConnectionId, hints: Hints) -> None:
        """Return when a queued sweep covers these hints; raise what kept it from being queued."""
        loop = asyncio.get_running_loop()
        burst = self._bursts.get(connection_id)
        if burst is None:
            burst = self._bursts[connection_id] = _Burst(_next(loop))
            task = loop.create_task(self._keep(connection_id, burst))
            self._keeping.add(task)
            task.add_done_callback(self._keeping.discard)
        burst.note(hints)
        if loop.time() < burst.covered_until:
            await asyncio.sleep(0)  # thousands that need not wait would keep the next order back
            return
        burst.waiting += 1
        try:
            await asyncio.shield(burst.ordered)
        finally:
            burst.waiting -= 1

    async def _keep(self, connection_id: ConnectionId, burst: _Burst) -> None:
        """Order sweeps ahead until the burst is over."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                began = loop.time()
                await self._send(connection_id, burst.taken(HIDDEN))
                burst.covered_until = began + _COVERED
                burst.ordered.set_result(None)
                burst.ordered = _next(loop)
                await asyncio.sleep(max(0.0, burst.covered_until - _AHEAD - loop.time()))
                if not burst.waiting and self._level(connection_id, loop.time()) < _ENDS:
                    break
        except Exception as error:  # whatever it is, it belongs to those who wait
            burst.ordered.set_exception(error)
            return
        finally:
            del self._bursts[connection_id]
        try:
            await self._send(connection_id, burst.taken(ONCE_MORE))
        except Exception as error:  # nobody waits for it, and the timer sweeps as well
            log.warning(
                "burst not looked at again: connection=%s %s", connection_id, type(error).__name__
            )

    async def _send(self, connection_id: ConnectionId, covering: Covering) -> None:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._executor(), self._order, connection_id, covering)

    def _level(self, connection_id: ConnectionId, now: float) -> float:
        level, at = self._levels.get(connection_id, (0.0, now))
        return max(0.0, level - (now - at) * _LEAK)


def _next(loop: asyncio.AbstractEventLoop) -> asyncio.Future[None]:
    future = loop.create_future()
    # Nobody may be waiting when it fails: that is no unhandled error.
    future.add_done_callback(lambda done: done.cancelled() or done.exception())
    return future
