"""BMS's hourly limit as a budget that all instances share (R25).

BMS counts the calls of a sliding window per method and route template. We count reservations in
slots of a 120th of the window. A reserved call may go out until the end of the slot after its own,
so two slots more than the window are counted: what BMS sees is never more than what we count.

Bulk work may spend its share and no more; fresh changes may spend whatever is left.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

SLOTS = 120
_LATE = 2  # slots that a reserved call may still be on its way
_MARGIN = 0.01  # of the limit, for calls that our clocks and BMS's see differently


class Lane(StrEnum):
    """Who spends."""

    FRESH = "fresh"
    BULK = "bulk"


@dataclass(frozen=True, slots=True)
class Limit:
    """What BMS allows per endpoint, and how we divide it."""

    calls: int = 1500
    window: timedelta = timedelta(hours=1)
    fresh_share: float = 0.2

    @property
    def slot(self) -> timedelta:
        """The length of a slot."""
        return self.window / SLOTS

    @property
    def total(self) -> int:
        """All that we spend in a window."""
        return max(1, self.calls - max(1, round(self.calls * _MARGIN)))

    @property
    def bulk(self) -> int:
        """What bulk work spends in a window at the most."""
        return min(self.total, max(1, int(self.calls * (1 - self.fresh_share))))


@dataclass(frozen=True, slots=True)
class Spending:
    """Reservations of one endpoint: slot number → (fresh, bulk)."""

    slots: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    paused_until: datetime | None = None


def slot_of(now: datetime, limit: Limit) -> int:
    """The number of the slot that a moment lies in."""
    return int(now.timestamp() / limit.slot.total_seconds())


def end_of_use(slot: int, limit: Limit) -> datetime:
    """Until when calls that were reserved in a slot may begin."""
    return datetime.fromtimestamp((slot + _LATE) * limit.slot.total_seconds(), UTC)


def current(spending: Spending, limit: Limit, now: datetime) -> dict[int, tuple[int, int]]:
    """The slots that still count."""
    oldest = slot_of(now, limit) - SLOTS - _LATE
    return {slot: spent for slot, spent in spending.slots.items() if slot > oldest}


def used(slots: Mapping[int, tuple[int, int]]) -> tuple[int, int]:
    """How much is spent in these slots: (fresh, bulk)."""
    return sum(one[0] for one in slots.values()), sum(one[1] for one in slots.values())


def free(spending: Spending, limit: Limit, now: datetime, lane: Lane) -> int:
    """How many calls the lane may reserve now."""
    if spending.paused_until is not None and spending.paused_until > now:
        return 0
    return _free_of(*used(current(spending, limit, now)), limit, lane)


def _free_of(fresh: int, bulk: int, limit: Limit, lane: Lane) -> int:
    left = limit.total - fresh - bulk
    if lane is Lane.BULK:
        left = min(left, limit.bulk - bulk)
    return max(0, left)


def reserve(spending: Spending, limit: Limit, now: datetime, lane: Lane, calls: int) -> Spending:
    """The spending with so many calls more (or fewer, when unused ones are given back)."""
    slots = current(spending, limit, now)
    slot = slot_of(now, limit)
    fresh, bulk = slots.get(slot, (0, 0))
    added = (fresh + calls, bulk) if lane is Lane.FRESH else (fresh, bulk + calls)
    return Spending({**slots, slot: added}, spending.paused_until)


def give_back(spending: Spending, slot: int, lane: Lane, calls: int) -> Spending:
    """The spending without calls that were reserved in a slot and never sent."""
    fresh, bulk = spending.slots.get(slot, (0, 0))
    less = (max(0, fresh - calls), bulk) if lane is Lane.FRESH else (fresh, max(0, bulk - calls))
    return Spending({**spending.slots, slot: less}, spending.paused_until)


def free_again(
    spending: Spending, limit: Limit, now: datetime, lane: Lane, calls: int = 1
) -> timedelta:
    """How long until the lane may reserve so many calls, if nobody else spends meanwhile."""
    start = now
    if spending.paused_until is not None and spending.paused_until > now:
        start = spending.paused_until
    slots = current(spending, limit, now)
    fresh, bulk = used(slots)
    moment = start
    for slot in sorted(slots):
        if _free_of(fresh, bulk, limit, lane) >= calls:
            break
        fresh, bulk = fresh - slots[slot][0], bulk - slots[slot][1]
        moment = max(start, _expiry(slot, limit))
    return moment - now


def _expiry(slot: int, limit: Limit) -> datetime:
    """When a slot counts no longer."""
    seconds = limit.slot.total_seconds()
    return datetime.fromtimestamp((slot + SLOTS + _LATE) * seconds, UTC)


def expected_finish(
    spending: Spending, limit: Limit, now: datetime, calls: int, pace: timedelta
) -> datetime:
    """When bulk work that needs so many more calls of one endpoint will be done.

    `pace` is the time for one call when the budget does not hold it up. What is spent becomes free
    one window later, so the pattern of the present window repeats.
    """
    moment = now
    if spending.paused_until is not None and spending.paused_until > now:
        moment = spending.paused_until
    slots = current(spending, limit, now)
    available = _free_of(*used(slots), limit, Lane.BULK)
    # (when, how many) become free; what is spent at that time is queued again a window later.
    refills = [(_expiry(slot, limit), slots[slot][1]) for slot in sorted(slots) if slots[slot][1]]
    round_trip = limit.slot * (SLOTS + _LATE)
    left = calls
    index = 0
    horizon = now + timedelta(days=30)
    while left > 0 and moment < horizon:
        batch = min(left, available)
        if batch:
            left -= batch
            moment += pace * batch
            refills.append((moment + round_trip, batch))
        if left <= 0:
            break
        if index >= len(refills):
            return horizon
        when, available = refills[index]
        moment = max(moment, when)
        index += 1
    return moment
