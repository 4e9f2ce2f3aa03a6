"""Bulk work waits in the queue while BMS's hourly limit is used up, and gives way to leavers (R25).

A message that cannot be worked on now is put back before anything is read for it: nobody in it has
failed, and Graph is not asked in vain. It comes back a moment before the calls are free, so that
its threads stand ready: queues know whole seconds only, and each idle one is a part of the share.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.core.model import SyncRun
from shared.ports import FRESH, LEAVERS, Budget, Now

_LEAVERS_CALL = ("GET /v2/crm/contacts/summary/{id}", "PATCH /v2/crm/contacts/{id}")
# What a message needs shows only when it is read, so all of these have to be free.
_BULK_CALLS = (
    *_LEAVERS_CALL,
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
            wait = self.budget.bulk_wait(_LEAVERS_CALL, users)
            if wait > timedelta(0) or self._scarce(users):
                self.budget.note_leavers(self.now() + wait + _HEAD_START + _PER_LEAVER * users)
            return _parked(wait)
        leavers = self.budget.leavers_until()
        if leavers is not None and (left := leavers - self.now()) > _SETTLING:
            return left - _SETTLING
        return _parked(self.budget.bulk_wait(_BULK_CALLS, users))

    def _scarce(self, leavers: int) -> bool:
        """Whether other bulk work could use up what the leavers need."""
        return any(
            one.free_bulk < 2 * leavers
            for one in self.budget.view()
            if one.endpoint in _LEAVERS_CALL
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
    # A person may raise the limit meanwhile: nobody sleeps through that.
    return min(wait - _EARLY, _LONGEST) if wait > _SOON else None
