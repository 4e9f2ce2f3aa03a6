"""Every call to BMS is paid for here before it leaves (R25).

The spending of an endpoint is one entity in the tables, changed under its etag, so that one or
fifty instances share one budget. Calls are reserved a few at a time; what was reserved and not used
in time is given back with the next reservation.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.adapters.store_connections import stamp, when
from shared.adapters.tables import Entity, Storage, Write
from shared.core import budget
from shared.core.budget import Lane, Limit, Spending
from shared.core.model import BmsSettings
from shared.errors import TryLater
from shared.ports import BmsSettingsStore, EndpointBudget, Now

_PARTITION = "bms"
V1 = "bms-v1"  # the older API, whose limit is another
_NOTE = "note"
_TRIES = 25
_PATIENCE = 3.0  # seconds
_LIMIT_KEPT = timedelta(seconds=10)
# 429 without Retry-After: nobody knows how long, so a tenth of the window, but not for ever.
_UNASKED = timedelta(seconds=60)


@dataclass(slots=True)
class _Purse:
    """What this process has reserved and not yet sent."""

    slot: int = 0
    left: int = 0


class BmsBudget:
    """The shared budget. `limit` is read anew for each reservation: it is a setting."""

    def __init__(
        self,
        storage: Storage,
        limit: Callable[[], Limit],
        now: Now,
        sleep: Callable[[float], None] = time.sleep,
        partition: str = _PARTITION,
    ) -> None:
        self._sleep = sleep
        self._partition = partition
        self._table = storage.table("budget")
        self._limit = limit
        self._now = now
        self._lock = threading.Lock()
        self._locks: dict[tuple[str, Lane], threading.Lock] = {}
        self._purses: dict[tuple[str, Lane], _Purse] = {}
        self._pauses: dict[str, datetime] = {}

    def meter(self, endpoint: str, lane: Lane) -> Meter:
        """The stop in front of one endpoint, for one lane."""
        return Meter(self, endpoint, lane)

    def take(self, endpoint: str, lane: Lane) -> None:
        """Pay for one call; TryLater, not counted as a failure, when there is nothing left."""
        with self._lock:
            mine = self._locks.setdefault((endpoint, lane), threading.Lock())
        with mine:
            limit, now = self._limit(), self._now()
            purse = self._purses.setdefault((endpoint, lane), _Purse())
            paused = self._pauses.get(endpoint)
            if paused is not None and paused > now:
                raise _wait(endpoint, paused - now)
            if purse.left > 0 and now < budget.end_of_use(purse.slot, limit):
                purse.left -= 1
                return
            patience = _PATIENCE if lane is Lane.BULK else 0.0
            while (short := self._reserve(endpoint, lane, purse, limit, patience)) > 0:
                # Bulk threads may wait a moment for the next free call; parking the message in the
                # queue for whole seconds would leave a part of the share unused.
                self._sleep(short)
                patience -= short

    def _reserve(
        self, endpoint: str, lane: Lane, purse: _Purse, limit: Limit, patience: float
    ) -> float:
        """Reserve some calls and use one; otherwise the seconds to wait for, if they are few."""
        for _ in range(_TRIES):
            now = self._now()
            spending, etag = self._read(endpoint)
            if purse.left > 0:
                spending = budget.give_back(spending, purse.slot, lane, purse.left)
            free = budget.free(spending, limit, now, lane)
            if free <= 0:
                if spending.paused_until is not None and spending.paused_until > now:
                    self._pauses[endpoint] = spending.paused_until
                short = budget.free_again(spending, limit, now, lane).total_seconds() + 0.01
                if short <= patience and self._pauses.get(endpoint, now) <= now:
                    return short
                worth_it = max(1, limit.bulk // 48) if lane is Lane.BULK else 1
                wait = budget.free_again(spending, limit, now, lane, worth_it)
                raise _wait(endpoint, wait)
            calls = min(free, _portion(limit, lane))
            after = budget.reserve(spending, limit, now, lane, calls)
            if self._write(endpoint, after, etag):
                purse.slot, purse.left = budget.slot_of(now, limit), calls - 1
                return 0.0
        raise TryLater("BMS's budget is being spent by many at once.", timedelta(seconds=1))

    def pause(self, endpoint: str, duration: timedelta) -> None:
        """BMS answered 429: nobody calls this endpoint for so long."""
        until = self._now() + duration
        self._pauses[endpoint] = until
        for _ in range(_TRIES):
            spending, etag = self._read(endpoint)
            if spending.paused_until is not None and spending.paused_until >= until:
                return
            if self._write(endpoint, replace(spending, paused_until=until), etag):
                return

    def view(self) -> list[EndpointBudget]:
        """The budget of every endpoint that was called lately."""
        limit, now = self._limit(), self._now()
        found: list[EndpointBudget] = []
        for entity in self._table.query("PartitionKey eq @p", parameters={"p": self._partition}):
            spending = _spending(entity)
            fresh, bulk = budget.used(budget.current(spending, limit, now))
            paused = spending.paused_until
            found.append(
                EndpointBudget(
                    endpoint=entity["endpoint"],
                    limit=limit.calls,
                    window=limit.window,
                    used_fresh=fresh,
                    used_bulk=bulk,
                    free_fresh=budget.free(spending, limit, now, Lane.FRESH),
                    free_bulk=budget.free(spending, limit, now, Lane.BULK),
                    bulk_share=limit.bulk,
                    bulk_free_in=budget.free_again(spending, limit, now, Lane.BULK),
                    paused_until=paused if paused is not None and paused > now else None,
                )
            )
        return sorted(found, key=lambda one: one.endpoint)

    def finish(self, endpoint: str, calls: int, pace: timedelta) -> datetime:
        """When bulk work that needs so many more calls of this endpoint will be done."""
        spending, _ = self._read(endpoint)
        return budget.expected_finish(spending, self._limit(), self._now(), calls, pace)

    def bulk_wait(self, endpoint: str, calls: int) -> timedelta:
        """How long until bulk work may make so many calls; zero when it may now."""
        limit, now = self._limit(), self._now()
        with self._lock:
            purse = self._purses.get((endpoint, Lane.BULK))
        if purse is not None and purse.left and now < budget.end_of_use(purse.slot, limit):
            return timedelta(0)
        spending, _ = self._read(endpoint)
        return budget.free_again(spending, limit, now, Lane.BULK, min(calls, limit.bulk))

    def note_leavers(self, until: datetime) -> None:
        """Deactivations wait for the budget: other bulk work gives way until then."""
        entity: Entity = {"PartitionKey": _NOTE, "RowKey": "leavers", "until": stamp(until)}
        self._table.write(Write(entity))

    def leavers_until(self) -> datetime | None:
        """Until when deactivations wait for the budget."""
        entity = self._table.get(_NOTE, "leavers")
        return when(entity["until"]) if entity else None

    def _read(self, endpoint: str) -> tuple[Spending, str]:
        entity = self._table.get(self._partition, _row(endpoint))
        return (_spending(entity), entity["etag"]) if entity else (Spending(), "")

    def _write(self, endpoint: str, spending: Spending, etag: str) -> bool:
        entity: Entity = {
            "PartitionKey": self._partition,
            "RowKey": _row(endpoint),
            "endpoint": endpoint,
            "slots": ";".join(
                f"{slot}:{fresh}:{bulk}"
                for slot, (fresh, bulk) in sorted(spending.slots.items())
                if fresh or bulk
            ),
            "pausedUntil": stamp(spending.paused_until),
        }
        return self._table.write(Write(entity, etag=etag)) is not None


class SavedLimit:
    """The limit as the BMS settings say, read again every few seconds."""

    def __init__(self, store: BmsSettingsStore, now: Now, *, v1: bool = False) -> None:
        self._store = store
        self._now = now
        self._v1 = v1
        self._known: tuple[datetime, Limit] | None = None

    def __call__(self) -> Limit:
        now = self._now()
        if self._known is None or now - self._known[0] > _LIMIT_KEPT:
            settings = self._store.get() or BmsSettings()
            limit = Limit(
                settings.v1_hourly_limit if self._v1 else settings.hourly_limit,
                timedelta(seconds=settings.limit_window_seconds),
                settings.fresh_share,
            )
            self._known = (now, limit)
        return self._known[1]


@dataclass(frozen=True, slots=True)
class Meter:
    """A stop for adapters.http: pays before each try, pauses everybody after a 429."""

    of: BmsBudget
    endpoint: str
    lane: Lane

    def pass_or_raise(self, name: str) -> None:
        """Pay for one call."""
        self.of.take(self.endpoint, self.lane)

    def limited(self, asked: float | None) -> float:
        """BMS said that it is too much."""
        pause = timedelta(seconds=asked) if asked else _UNASKED
        self.of.pause(self.endpoint, pause)
        return pause.total_seconds()


def _portion(limit: Limit, lane: Lane) -> int:
    """How many calls to reserve at once: few for fresh changes, which come one by one."""
    return max(1, limit.calls // 150) if lane is Lane.BULK else max(1, limit.calls // 500)


def _row(endpoint: str) -> str:
    return endpoint.replace("/", "|")  # a row key holds no slash


def _spending(entity: Entity) -> Spending:
    slots: dict[int, tuple[int, int]] = {}
    for text in filter(None, str(entity["slots"]).split(";")):
        slot, fresh, bulk = text.split(":")
        slots[int(slot)] = (int(fresh), int(bulk))
    return Spending(slots, when(entity["pausedUntil"]))


def _wait(endpoint: str, wait: timedelta) -> TryLater:
    after = max(wait, timedelta(milliseconds=200))
    return TryLater(f"BMS's hourly limit for {endpoint} is used up.", after, counts=False)
