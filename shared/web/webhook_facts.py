"""What the webhook has to know of a connection, from a short cache.

Graph sends thousands of requests for a few connections, and strangers may send for any: neither may
reach the tables with each request. Facts are kept for half a minute and refreshed behind the back
of the requests; what would mean "discard" is kept for moments only, since it may just have changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

from shared.core.model import ConnectionId
from shared.core.notifications import Expected
from shared.errors import Limited
from shared.ports import Connections, SweepState, Vault, client_state

_KEPT = 30.0
_KEPT_AT_MOST = 300.0  # while the tables or the vault do not answer
_IDLE_KEPT = 2.0  # paused, or its first sync not asked for: a person may be at it right now
_UNKNOWN_KEPT = 5.0
_RELOAD_PAUSE = 1.0
_UNKNOWN_PER_SECOND = 20
_MOST_KEPT = 5_000


@dataclass(frozen=True, slots=True)
class Facts:
    """One connection as the webhook sees it. `wanted`: hints may be queued (R5)."""

    expected: Expected
    readable: bool
    wanted: bool


def read_facts(
    connections: Connections, state: SweepState, vault: Vault, connection_id: ConnectionId
) -> Facts | None:
    """From the tables and the vault; None for a connection that is not there."""
    connection = connections.get(connection_id)
    if connection is None:
        return None
    if not connection.may_read:
        return Facts(Expected("", b"", frozenset()), readable=False, wanted=False)
    ids = frozenset(each.id.lower() for each in state.subscriptions(connection_id))
    secret = vault.get(client_state(connection_id)) or ""
    expected = Expected((connection.tenant_id or "").lower(), secret.encode(), ids)
    return Facts(expected, readable=True, wanted=connection.may_write)


@dataclass(slots=True)
class _Kept:
    facts: Facts | None
    read_at: float

    def age(self, now: float) -> float:
        return now - self.read_at

    @property
    def keep(self) -> float:
        if self.facts is None:
            return _UNKNOWN_KEPT
        return _KEPT if self.facts.wanted else _IDLE_KEPT


class FactsCache:
    """Facts by connection; one reading at a time for each."""

    def __init__(
        self, read: Callable[[ConnectionId], Facts | None], executor: Callable[[], Executor]
    ) -> None:
        self._read = read
        self._executor = executor
        self._kept: dict[ConnectionId, _Kept] = {}
        self._reading: dict[ConnectionId, asyncio.Task[Facts | None]] = {}
        self._strangers = (0.0, 0)  # (second, how many were looked up in it)

    async def get(self, connection_id: ConnectionId) -> Facts | None:
        """The facts, None when there is no such connection. TryLater when they cannot be read,

        Limited when somebody invents connection ids.
        """
        now = asyncio.get_running_loop().time()
        kept = self._kept.get(connection_id)
        if kept is None:
            if connection_id not in self._reading:
                self._count_stranger(now)
            return await self._load(connection_id)
        age = kept.age(now)
        if age < kept.keep:
            return kept.facts
        reading = self._load(connection_id)
        if kept.facts is not None and kept.facts.wanted and age < _KEPT_AT_MOST:
            return kept.facts  # good enough while the newer ones are on their way
        return await reading

    async def reload(
        self, connection_id: ConnectionId, *, at_most: float = _RELOAD_PAUSE
    ) -> Facts | None:
        """Newer facts, unless the known ones are younger than so many seconds."""
        kept = self._kept.get(connection_id)
        now = asyncio.get_running_loop().time()
        if kept is not None and kept.age(now) < at_most:
            return kept.facts
        return await self._load(connection_id)

    def _load(self, connection_id: ConnectionId) -> asyncio.Future[Facts | None]:
        task = self._reading.get(connection_id)
        if task is None:
            loop = asyncio.get_running_loop()
            task = self._reading[connection_id] = loop.create_task(self._load_now(connection_id))
            # In the background nobody may be waiting for it: that is no unhandled error.
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return asyncio.shield(task)

    async def _load_now(self, connection_id: ConnectionId) -> Facts | None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            facts = await loop.run_in_executor(self._executor(), self._read, connection_id)
        finally:
            del self._reading[connection_id]
        if len(self._kept) >= _MOST_KEPT:
            self._kept.clear()
        self._kept[connection_id] = _Kept(facts, began)
        return facts

    def _count_stranger(self, now: float) -> None:
        """Whoever invents connection ids is not looked up in the tables without end."""
        second, count = self._strangers
        if now - second >= 1.0:
            second, count = now, 0
        if count >= _UNKNOWN_PER_SECOND:
            raise Limited("Too many unknown connections were asked for.")
        self._strangers = (second, count + 1)
