"""Graph's change notifications come in here (R31).

Answers within a second whatever the load: what it needs to know comes from a short cache, what it
has to say goes out in few messages, and nothing is looked at here. 202 means queued, or not worth
queueing; 429 and 503 mean that Graph shall send it again. The same address takes both kinds,
changes and lifecycle events.
"""

from __future__ import annotations

import asyncio
import logging
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from datetime import datetime, timedelta

from shared.core.messages import (
    SweepOrder,
    UserDelta,
    encode_sweep_order,
    encode_user_delta,
    pack,
)
from shared.core.model import ConnectionId, GroupId, Origin, UserId
from shared.core.notifications import (
    LARGEST_BODY,
    Hints,
    UnreadableNotification,
    hints_of,
    items_of,
    token_is_harmless,
    validation_token,
)
from shared.errors import Limited, SyncError
from shared.measures import tracer
from shared.ports import FRESH, SWEEPS, Connections, Now, Queues, SweepState, Vault
from shared.web.bursts import HIDDEN, Bursts, Covering
from shared.web.coalescer import Coalescer, Gathered
from shared.web.http import Reply, Request, problem
from shared.web.webhook_facts import Facts, FactsCache, read_facts

log = logging.getLogger(__name__)

_TIME_TO_ANSWER = 0.85
_USERS_PER_MESSAGE = 200  # several workers share a burst
_GROUPS_PER_MESSAGE = 500
_LOG_PAUSE = 5.0
_PARSED_AT_ONCE = 64 * 1024
_CONNECTION_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
_TEXT = "text/plain; charset=utf-8"
_NO_SNIFF = (("X-Content-Type-Options", "nosniff"), ("Cache-Control", "no-store"))
_ACCEPTED = Reply(202, b"", _TEXT, _NO_SNIFF)
_LATER = (("Retry-After", "5"),)
_TOO_MANY = problem(429, "Too many at once: please send it again later.", headers=_LATER)
_AGAIN = problem(503, "Please send it again.", headers=_LATER)


class Webhook:
    """Answers POST /webhooks/graph/{connection} and …/lifecycle."""

    def __init__(
        self,
        connections: Connections,
        state: SweepState,
        vault: Vault,
        queues: Queues,
        now: Now,
        *,
        threads: int = 6,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._queues = queues
        self._now = now
        self._clock = clock
        self._threads = threads
        self._lock = threading.Lock()
        self._pool: Executor | None = None
        self._facts = FactsCache(
            lambda connection_id: read_facts(connections, state, vault, connection_id),
            self._executor,
        )
        self._coalescer = Coalescer(self._send, self._executor)
        self._bursts = Bursts(self._send_covering, self._executor)
        self._discarded: dict[str, tuple[float, int]] = {}

    async def answer(self, connection_id: str, request: Request) -> Reply:
        """The reply to one request."""
        if not _CONNECTION_ID.fullmatch(connection_id):
            return problem(404, "There is no connection with this id.")
        token = validation_token(request.query)
        if token is not None:  # before any body is read; Graph wants it back decoded, as plain text
            if not token_is_harmless(token):
                return problem(400, "This is not a validation token of Microsoft Graph.")
            return Reply(200, token.encode(), _TEXT, _NO_SNIFF)
        if _is_too_large(request):
            return problem(413, "The body is larger than 8 MiB.")
        try:
            async with asyncio.timeout(_TIME_TO_ANSWER):
                await self._take(ConnectionId(connection_id), request.body)
        except UnreadableNotification as error:
            return problem(400, str(error))
        except TimeoutError:
            log.warning("notifications not queued in time: connection=%s", connection_id)
            return _AGAIN
        except Limited:
            return _TOO_MANY
        except SyncError as error:
            log.warning("notifications not queued: connection=%s %s", connection_id, error.sentence)
            return _AGAIN
        except Exception as error:  # a fault of ours must not lose a change
            log.error(
                "notifications not queued: connection=%s %s", connection_id, type(error).__name__
            )
            return _AGAIN
        return _ACCEPTED

    async def _take(self, connection_id: ConnectionId, body: bytes) -> None:
        arrived_at = self._now()
        facts = await self._facts.get(connection_id)
        if facts is None or not facts.readable:
            # Before the body is parsed: a stranger's work must not become ours.
            self._count_discarded(connection_id, 1)
            return
        items = await self._items(body)
        hints = hints_of(items, facts.expected, arrived_at)
        if hints.unknown_subscriptions:
            newer = await self._facts.reload(connection_id)
            if newer is not None and newer.readable and newer != facts:
                facts = newer
                hints = hints_of(items, facts.expected, arrived_at)
        if hints.discarded:
            self._count_discarded(connection_id, hints.discarded)
        if not facts.wanted and not hints.lifecycle:
            # Perhaps a person has asked for the first sync at this very moment (R5).
            facts = await self._facts.reload(connection_id, at_most=0.1) or facts
        if not _worth_queueing(hints, facts):
            return
        count = len(hints.users) + len(hints.members) + len(hints.groups)
        if self._bursts.takes(connection_id, count) and not hints.lifecycle:
            await self._bursts.cover(connection_id, hints)
        else:
            await self._coalescer.add(connection_id, hints)

    async def _items(self, body: bytes) -> list[object]:
        """The notifications in a body; a large one is parsed where it holds nobody up."""
        if len(body) <= _PARSED_AT_ONCE:
            return items_of(body)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor(), items_of, body)

    def _send(self, connection_id: ConnectionId, gathered: Gathered) -> None:
        """In a worker thread: the messages for what was gathered. A trace begins here."""
        with tracer.start_as_current_span(
            "graph notifications",
            attributes={"connection": connection_id, "requests": gathered.requests},
        ):
            self._queue(connection_id, gathered)

    def _queue(self, connection_id: ConnectionId, gathered: Gathered) -> None:
        at = gathered.signal_at
        others = [user for user in gathered.users if user not in gathered.members]
        for users, membership in ((others, False), (list(gathered.members), True)):
            self._send_users(connection_id, users, at, membership=membership)
        if gathered.lifecycle:
            # What went past while the subscription was ill is found by a sweep.
            self._order(SweepOrder(connection_id, "subscriptions", signal_at=at))
            if not gathered.groups:
                self._order(SweepOrder(connection_id, "sweep", signal_at=at))
        self._order_groups(connection_id, tuple(gathered.groups), at)

    def _send_covering(self, connection_id: ConnectionId, covering: Covering) -> None:
        """In a worker thread: a sweep that finds what a burst was about."""
        at = covering.signal_at or self._now()
        with tracer.start_as_current_span(
            "graph notifications",
            attributes={"connection": connection_id, "requests": covering.requests},
        ):
            sweep = SweepOrder(connection_id, "sweep", signal_at=at)
            self._order(sweep, covering.delay)
            self._order_groups(connection_id, covering.groups, at, HIDDEN)

    def _send_users(
        self, connection_id: ConnectionId, users: list[UserId], at: datetime, *, membership: bool
    ) -> None:
        delta = UserDelta(
            connection_id, (), Origin.NOTIFICATION, signal_at=at, membership=membership
        )
        for message in pack(delta, users, _USERS_PER_MESSAGE):
            self._queues.send(FRESH, encode_user_delta(message))

    def _order_groups(
        self,
        connection_id: ConnectionId,
        groups: tuple[GroupId, ...],
        at: datetime,
        delay: timedelta | None = None,
    ) -> None:
        for start in range(0, len(groups), _GROUPS_PER_MESSAGE):
            some = groups[start : start + _GROUPS_PER_MESSAGE]
            self._order(SweepOrder(connection_id, "sweep", signal_at=at, groups=some), delay)

    def _order(self, order: SweepOrder, delay: timedelta | None = None) -> None:
        self._queues.send(SWEEPS, encode_sweep_order(order), delay)

    def _count_discarded(self, connection_id: str, count: int) -> None:
        """One line now and then: a stranger must not fill the log."""
        if not count:
            return
        since, before = self._discarded.get(connection_id, (-_LOG_PAUSE, 0))
        if self._clock() - since < _LOG_PAUSE:
            self._discarded[connection_id] = (since, before + count)
            return
        if len(self._discarded) > 1000:
            self._discarded.clear()
        self._discarded[connection_id] = (self._clock(), 0)
        log.warning(
            "notifications discarded: connection=%s count=%d", connection_id, before + count
        )

    def _executor(self) -> Executor:
        with self._lock:
            if self._pool is None:
                # Threads of its own: the app's may all be busy with bulk work.
                self._pool = ThreadPoolExecutor(self._threads, "webhook")
            return self._pool


def _is_too_large(request: Request) -> bool:
    told = request.headers.get("content-length", "")
    return len(request.body) > LARGEST_BODY or (told.isdigit() and int(told) > LARGEST_BODY)


def _worth_queueing(hints: Hints, facts: Facts) -> bool:
    """A connection whose first sync nobody has asked for keeps its subscriptions, no more (R5)."""
    if hints.lifecycle:
        return True
    return facts.wanted and bool(hints.users or hints.members or hints.groups)
