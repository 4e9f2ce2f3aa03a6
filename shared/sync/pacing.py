"""Bulk work waits in the queue while BMS's hourly limit is used up, and gives way to leavers (R25).

A message that cannot be worked on now is put back before anything is read for it: nobody in it has
failed, and Graph is not asked in vain. It comes back a moment before the calls are free, so that
its threads stand ready: queues know whole seconds only, and each idle one is a part of the share.

What is worked on claims no more people than the budget pays for at that moment, and waits for calls
before it claims anybody: a fresh change never waits for bulk work that waits for its turn.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared.core.model import SyncRun
from shared.errors import Limited
from shared.ports import FRESH, LEAVERS, Budget, Now

_LEAVERS_CALLS = ("GET /v2/crm/contacts/summary/{id}", "PATCH /v2/crm/contacts/{id}")
# What a message needs shows only when it is read, so all of these have to be free.
_BULK_CALLS = (
    *_LEAVERS_CALLS,
    "POST /v2/crm/contacts/summary",
    "PATCH /v2/crm/contacts/{id}/emails",
    "PATCH /v2/crm/contacts/{id}/phones",
)
_SOON = timedelta(seconds=3)  # for so long the threads themselves wait for a free call
_EARLY = timedelta(seconds=2.5)
_SETTLING = timedelta(seconds=0.7)  # from a message's arrival to its first call
_HEAD_START = timedelta(seconds=0.5)  # of leavers, and a moment for each of them
_PER_LEAVER = timedelta(milliseconds=20)
_PACE = timedelta(milliseconds=50)
_LONGEST = timedelta(minutes=5)
_PATIENCE = timedelta(seconds=3.5)
_SHORTEST = timedelta(milliseconds=200)
_MOMENT = timedelta(milliseconds=5)
_IN_PARALLEL = 3  # messages that find the same calls free
_WORDS = "BMS's hourly limit is used up for the moment."


@dataclass(frozen=True, slots=True)
class Pacing:
    """When bulk work may go on."""

    budget: Budget
    now: Now

    def wait_before(self, queue: str, users: int) -> timedelta | None:
        """How long a message of this queue has to wait for BMS's budget; None: not at all."""
        if queue == FRESH:
            return None
        if queue == LEAVERS:
            wait = self.budget.bulk_room(_LEAVERS_CALLS, users).wait
            if wait > timedelta(0) or self._scarce(users):
                self.budget.note_leavers(self.now() + wait + _HEAD_START + _PER_LEAVER * users)
            return _parked(wait)
        leavers = self.budget.leavers_until()
        if leavers is not None and (left := leavers - self.now()) > _SETTLING:
            return _back_in(left, _SETTLING)
        return _parked(self.budget.bulk_room(_BULK_CALLS, users).wait)

    def _scarce(self, leavers: int) -> bool:
        """Whether other bulk work could use up what the leavers need."""
        return any(
            one.free_bulk < 2 * leavers
            for one in self.budget.view()
            if one.endpoint in _LEAVERS_CALLS
        )

    def expected_finish(self, run: SyncRun) -> datetime | None:
        """An honest guess for a run: from its pace so far and from what the budget allows."""
        decided = run.done + run.failed
        left = run.seen - decided
        if run.state not in ("running", "waiting") or left <= 0 or run.started_at is None:
            return None
        at = self.budget.finish(_BULK_CALLS, left, _PACE)
        if decided and not run.waiting_for_budget:
            pace = (self.now() - run.started_at) / decided
            at = max(at, self.now() + pace * left)
        return at


def _parked(wait: timedelta) -> timedelta | None:
    return _back_in(wait, _EARLY) if wait > _SOON else None


def _back_in(wait: timedelta, early: timedelta) -> timedelta:
    # A person may raise the limit meanwhile: nobody sleeps through that.
    return max(_SHORTEST, min(wait - early, _LONGEST))


@dataclass(frozen=True, slots=True)
class BulkShare:
    """Bulk work's share of BMS's limit, as the jobs of a message see it."""

    budget: Budget
    now: Now
    leavers: bool = False  # whose deactivations go first
    sleep: Callable[[float], None] = time.sleep
    _turn: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def room(self, jobs: int) -> Iterator[int]:
        """How many of these jobs may be claimed, and are to be done within the block.

        Where calls are scarce one message claims at a time, so that no two claim for the same
        calls. Limited when no call becomes free within some seconds.
        """
        if self.budget.bulk_plenty(self._calls, _IN_PARALLEL * jobs):
            yield jobs
            return
        if not self._turn.acquire(timeout=_PATIENCE.total_seconds()):
            raise Limited(_WORDS, _SHORTEST)
        try:
            yield self._wait(jobs)
        finally:
            self._turn.release()

    @property
    def _calls(self) -> Sequence[str]:
        return _LEAVERS_CALLS if self.leavers else _BULK_CALLS

    def _wait(self, jobs: int) -> int:
        until = self.now() + _PATIENCE
        while True:
            if self.leavers:
                done = self.budget.finish(self._calls, jobs, _PACE)
                self.budget.note_leavers(done + _HEAD_START)
            else:
                self._give_way()
            room = self.budget.bulk_room(self._calls, jobs)
            if room.wait <= timedelta(0):
                return room.free
            if self.now() + room.wait > until:
                raise Limited(_WORDS, _back_in(room.wait, _EARLY))
            self.sleep((room.wait + _MOMENT).total_seconds())

    def _give_way(self) -> None:
        leavers = self.budget.leavers_until()
        if leavers is not None and (left := leavers - self.now()) > timedelta(0):
            raise Limited(_WORDS, _back_in(left, _SETTLING))
