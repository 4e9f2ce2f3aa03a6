"""BMS's hourly limit as a budget that all instances share (R25).

BMS counts the calls of a sliding window per method and route template. We reserve calls before they
leave, a few at a time, and note them under a slot: a 120th of the window, the last one in which
they may begin. They count as spent until a whole window after the end of that slot, and one slot
more, for instances whose clocks differ and for calls on their way. So what BMS sees within any
window is never more than what we count.

Bulk work may spend its share and no more; fresh changes may spend whatever is left.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

SLOTS = 120
_SKEW = 1  # slots, for clocks that differ and calls on their way
_MARGIN = 0.01  # of the limit: calls that BMS may count and we do not
_HORIZON = timedelta(days=30)  # no finish is foretold beyond


class Lane(StrEnum):
    """Who spends."""

    FRESH = "fresh"
    BULK = "bulk"


# For how many slots after the present one reserved calls are good. Fresh changes come one by one,
# and each reservation is a write to the tables; bulk work uses its calls at once, and every slot
# that a call is kept for is a slot in which its share lies idle a window later.
_GOOD_FOR = {Lane.FRESH: 4, Lane.BULK: 0}
_LEAST = {Lane.FRESH: 8, Lane.BULK: 1}  # at once, where plenty is free


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
        share = self.calls * (1 - self.fresh_share)
        return min(self.total, max(1, int(share + 1e-6)))  # 0.9 of 10 is 8.999… to a computer


@dataclass(frozen=True, slots=True)
class Spending:
    """Reservations of one endpoint: last slot of use → (fresh, bulk)."""

    slots: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    paused_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Purse:
    """What one instance has reserved for one lane and not yet sent."""

    slot: int = 0  # the last one in which its calls may begin
    left: int = 0
    size: int = 0  # what was in it at first


def slot_of(now: datetime, limit: Limit) -> int:
    """The number of the slot that a moment lies in."""
    return int(now.timestamp() / limit.slot.total_seconds())


def in_slots_of(
    slots: Mapping[int, tuple[int, int]], former: timedelta, limit: Limit
) -> Mapping[int, tuple[int, int]]:
    """Reservations that were noted when a slot was `former` long, after the window was changed."""
    if former == limit.slot:
        return slots
    found: dict[int, tuple[int, int]] = {}
    for slot, (fresh, bulk) in slots.items():
        last = slot_of(datetime.fromtimestamp((slot + 1) * former.total_seconds(), UTC), limit)
        others = found.get(last, (0, 0))
        found[last] = (others[0] + fresh, others[1] + bulk)
    return found


# --- what is spent and what is free ------------------------------------------------------------


def current(spending: Spending, limit: Limit, now: datetime) -> dict[int, tuple[int, int]]:
    """The slots that still count."""
    oldest = slot_of(now, limit) - SLOTS - _SKEW
    return {slot: spent for slot, spent in spending.slots.items() if slot >= oldest}


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


# --- reserving ---------------------------------------------------------------------------------


def is_good(purse: Purse, limit: Limit, now: datetime) -> bool:
    """Whether a call of the purse may begin now."""
    return purse.left > 0 and slot_of(now, limit) <= purse.slot


def refill(
    spending: Spending, purse: Purse, limit: Limit, now: datetime, lane: Lane
) -> tuple[Spending, Purse] | None:
    """Give back what the purse still holds and reserve the next calls; None when none is free."""
    returned = give_back(spending, purse, lane)
    available = free(returned, limit, now, lane)
    if available <= 0:
        return None
    calls = min(available, _portion(purse, limit, lane, available))
    slot = slot_of(now, limit) + _GOOD_FOR[lane]
    slots = current(returned, limit, now)
    fresh, bulk = slots.get(slot, (0, 0))
    slots[slot] = (fresh + calls, bulk) if lane is Lane.FRESH else (fresh, bulk + calls)
    return Spending(slots, spending.paused_until), Purse(slot, calls, calls)


def give_back(spending: Spending, purse: Purse, lane: Lane) -> Spending:
    """The spending without the calls of a purse that were never sent."""
    if purse.left <= 0 or purse.slot not in spending.slots:
        return spending
    fresh, bulk = spending.slots[purse.slot]
    if lane is Lane.FRESH:
        less = (max(0, fresh - purse.left), bulk)
    else:
        less = (fresh, max(0, bulk - purse.left))
    return replace(spending, slots={**spending.slots, purse.slot: less})


def _portion(purse: Purse, limit: Limit, lane: Lane, available: int) -> int:
    """Twice what the last purse was good for: whoever needs few keeps few from the others.

    What is kept and not used is given back with the next reservation.
    """
    wanted = 2 * purse.size if purse.left == 0 else purse.size - purse.left
    most = limit.bulk // 60 if lane is Lane.BULK else min(limit.total // 50, available // 20)
    return max(1, min(max(wanted, _LEAST[lane]), most))


# --- foretelling -------------------------------------------------------------------------------


def free_again(
    spending: Spending, limit: Limit, now: datetime, lane: Lane, calls: int = 1
) -> timedelta:
    """How long until the lane may reserve so many calls, if nobody else spends meanwhile."""
    start = _start(spending, now)
    slots = current(spending, limit, now)
    fresh, bulk = used(slots)
    moment = start
    for slot in sorted(slots):
        if _free_of(fresh, bulk, limit, lane) >= calls:
            break
        fresh, bulk = fresh - slots[slot][0], bulk - slots[slot][1]
        moment = max(start, _expiry(slot, limit))
    return moment - now


def expected_finish(
    spending: Spending, limit: Limit, now: datetime, calls: int, pace: timedelta
) -> datetime:
    """When bulk work that needs so many more calls of one endpoint will be done.

    `pace` is the time for one call when the budget does not hold it up. What is spent becomes free
    a window later, so the pattern of the present window repeats; fresh changes are taken to stay
    within their share.
    """
    moment = _start(spending, now)
    slots = current(spending, limit, now)
    fresh, bulk = used(slots)
    ends = deque((_expiry(slot, limit), *slots[slot]) for slot in sorted(slots))
    left = calls
    while left > 0 and moment - now < _HORIZON:
        batch = min(left, _free_of(fresh, bulk, limit, Lane.BULK))
        if batch > 0:
            left, bulk = left - batch, bulk + batch
            moment += pace * batch
            ends.append((_expiry(slot_of(moment, limit), limit), 0, batch))
        elif ends:
            end, fresh_back, bulk_back = ends.popleft()
            fresh, bulk = fresh - fresh_back, bulk - bulk_back
            moment = max(moment, end)
    return moment


def _start(spending: Spending, now: datetime) -> datetime:
    paused = spending.paused_until
    return paused if paused is not None and paused > now else now


def _expiry(slot: int, limit: Limit) -> datetime:
    """When a slot counts no longer."""
    seconds = limit.slot.total_seconds()
    return datetime.fromtimestamp((slot + 1 + SLOTS + _SKEW) * seconds, UTC)
