"""Bulk work waits in the queue while BMS's hourly limit is used up, and gives way to leavers (R25).

A message that cannot be worked on now is put back before anything is read for it: nobody in it has
failed, and Graph is not asked in vain.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.core.model import SyncRun
from shared.ports import FRESH, LEAVERS, Budget, Now

# Waking up for a single free call would wear the queue out.
_WORTH_WAKING = 25
_ENDPOINTS = ("PATCH /v2/crm/contacts/{id}", "POST /v2/crm/contacts/summary")
_NOT_WORTH_PARKING = timedelta(seconds=2)
_PACE = timedelta(milliseconds=50)


@dataclass(frozen=True, slots=True)
class Pacing:
    """When bulk work may go on."""

    budget: Budget
    now: Now

    def wait_before(self, queue: str, users: int) -> timedelta | None:
        """How long a message of this queue has to wait for BMS's budget; None: not at all."""
        if queue == FRESH:
            return None
        calls = min(users, _WORTH_WAKING)
        wait = max(self.budget.bulk_wait(endpoint, calls) for endpoint in _ENDPOINTS)
        if wait < _NOT_WORTH_PARKING:
            wait = timedelta(0)
        if queue == LEAVERS:
            if wait > timedelta(0):
                self.budget.note_leavers(self.now() + wait + timedelta(seconds=2))
            return wait or None
        leavers = self.budget.leavers_until()
        if leavers is not None and leavers > self.now():
            wait = max(wait, leavers - self.now())
        if wait <= timedelta(0):
            return None
        # Not all at the same moment.
        return wait + timedelta(seconds=random.uniform(0, 0.5))  # noqa: S311 - spreads load

    def expected_finish(self, run: SyncRun) -> datetime | None:
        """An honest guess for a run: from its pace so far and from what the budget allows."""
        decided = run.done + run.failed
        left = run.seen - decided
        if run.state not in ("running", "waiting") or left <= 0 or run.started_at is None:
            return None
        at = max(self.budget.finish(endpoint, left, _PACE) for endpoint in _ENDPOINTS)
        if decided and not run.waiting_for_budget:
            pace = (self.now() - run.started_at) / decided
            at = max(at, self.now() + pace * left)
        return at
