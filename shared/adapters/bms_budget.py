"""Every call to BMS, and to IT Glue, is paid for here before it leaves (R25, R27).

The spending of an endpoint is one entity in the tables, changed under its etag, so that one or
fifty instances share one budget. An instance reserves a few calls at a time and remembers the etag:
as long as it is alone, a reservation is one write and no read. What was reserved and not used in
time is given back with the next reservation.

A write whose answer never came may have been made. Each one bears its writer's number, so that the
next look tells, and nothing is given back twice.
"""

from __future__ import annotations

import logging
import random
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from shared.adapters.store_connections import stamp, when
from shared.adapters.tables import Entity, Storage, Write
from shared.core import budget
from shared.core.budget import Lane, Limit, Purse, Spending
from shared.core.model import BmsSettings
from shared.errors import Limited, SyncError, TryLater
from shared.ports import BmsSettingsStore, EndpointBudget, Now, Room

log = logging.getLogger(__name__)

_PARTITION = "bms"
_NOTE = "note"
_TRIES = 25
# Bulk threads wait so long for the next free call: parking the message in its queue, which knows
# whole seconds only, would leave a part of the share unused. Not longer: they hold claims.
_PATIENCE = timedelta(seconds=1.5)
_EARLY = timedelta(seconds=1)  # work that is parked comes back before its calls are free
_BELIEVED = timedelta(seconds=5)  # so old may be what we know of a pause that others were told of
# So old may be the limit by which a call was reserved that is sent now: it is paid for already.
_LIMIT_BELIEVED = {Lane.FRESH: timedelta(seconds=20), Lane.BULK: timedelta(seconds=5)}
_JUST_SEEN = timedelta(milliseconds=250)  # many threads that find nothing left look once
_LIMIT_KEPT = timedelta(seconds=1)  # short: work that follows a lower limit must not overrun it
_UNASKED = timedelta(seconds=60)  # 429 without Retry-After (bms-api.md 3.3)
_AT_LEAST = timedelta(milliseconds=200)
_LONGEST = {Lane.FRESH: timedelta(seconds=30), Lane.BULK: timedelta(minutes=5)}


@dataclass(frozen=True, slots=True)
class _Page:
    """An endpoint's entity as we last saw it."""

    spending: Spending
    writers: Mapping[str, tuple[int, int]]  # writer → (number of its last write, slot)
    etag: str
    seen_at: datetime


@dataclass(slots=True)
class _Wallet:
    """One lane's purse in this process."""

    writer: str
    lock: threading.Lock = field(default_factory=threading.Lock)
    purse: Purse = field(default_factory=Purse)
    slot: timedelta = timedelta(0)  # how long a slot was when it was filled
    number: int = 0
    tried: Purse | None = None  # what the last write was to reserve, as long as its end is unknown


@dataclass(slots=True)
class _Account:
    """One endpoint in this process."""

    endpoint: str
    wallets: dict[Lane, _Wallet]
    lock: threading.Lock = field(default_factory=threading.Lock)
    page: _Page | None = None
    limit: tuple[Limit, datetime] | None = None  # as it was last asked for, and when
    written: str = ""  # the etag of our own last write
    shared: bool = False  # others write it as well, so that it is read before it is written
    paused_until: datetime | None = None


class BmsBudget:
    """The shared budget. `limit` tells an endpoint's limit, anew each time: it is a setting."""

    def __init__(
        self,
        storage: Storage,
        limit: Callable[[str], Limit],
        now: Now,
        sleep: Callable[[float], None] = time.sleep,
        *,
        partition: str = _PARTITION,
        words: str = "BMS's hourly limit",
    ) -> None:
        self._partition = partition
        self._words = words
        self._table = storage.table("budget")
        self._limit = limit
        self._now = now
        self._sleep = sleep
        self._name = secrets.token_hex(4)
        self._lock = threading.Lock()
        self._accounts: dict[str, _Account] = {}
        self._snapshot: tuple[datetime, Mapping[str, Spending]] = (
            datetime.min.replace(tzinfo=UTC),
            {},
        )

    def meter(self, endpoint: str, lane: Lane) -> Meter:
        """The stop in front of one endpoint, for one lane."""
        return Meter(self, endpoint, lane)

    # --- paying --------------------------------------------------------------------------------

    def take(self, endpoint: str, lane: Lane) -> None:
        """Pay for one call; Limited, which is no failure, when there is nothing left."""
        account = self._account(endpoint)
        wallet = account.wallets[lane]
        patience = _PATIENCE if lane is Lane.BULK else timedelta(0)
        while True:
            with wallet.lock:
                wait = self._pay(account, wallet, lane)
            if wait is None:
                return
            if wait > patience:
                raise self._limited(account, lane, wait)
            self._sleep(wait.total_seconds())
            patience -= wait

    def _pay(self, account: _Account, wallet: _Wallet, lane: Lane) -> timedelta | None:
        """Use a reserved call or reserve some; otherwise how long until the next one is free."""
        with account.lock:
            now = self._now()
            limit = self._limit_for(account, wallet, lane, now)
            if wallet.slot != limit.slot:
                # The window was changed, and with it what the numbers of slots mean.
                wallet.purse, wallet.tried, wallet.slot = Purse(), None, limit.slot
                account.page = None
            for _ in range(_TRIES):
                page = self._believed(account, wallet, lane, limit, now)
                paused = account.paused_until
                if paused is not None and paused > now:
                    return paused - now
                if budget.is_good(wallet.purse, limit, now):
                    wallet.purse = replace(wallet.purse, left=wallet.purse.left - 1)
                    return None
                page = page or self._look(account, wallet, limit)
                after = budget.refill(page.spending, wallet.purse, limit, now, lane)
                if after is None:
                    wait = budget.free_again(page.spending, limit, now, lane)
                    return max(wait, timedelta()) + timedelta(milliseconds=5)
                if self._reserve(account, wallet, page, limit, after):
                    wallet.purse = replace(after[1], left=after[1].left - 1)
                    return None
                self._sleep(random.uniform(0, 0.02))  # noqa: S311 - spreads instances that race
                now = self._now()
        raise TryLater(
            f"{self._words} is being spent by many at once.", timedelta(seconds=1), counts=False
        )

    def _limit_for(self, account: _Account, wallet: _Wallet, lane: Lane, now: datetime) -> Limit:
        """The limit; for a call that is reserved already, as it was known a moment ago."""
        if account.limit is not None:
            known, asked_at = account.limit
            if now - asked_at <= _LIMIT_BELIEVED[lane] and budget.is_good(wallet.purse, known, now):
                return known
        limit = self._limit(account.endpoint)
        account.limit = limit, now
        return limit

    def _believed(
        self, account: _Account, wallet: _Wallet, lane: Lane, limit: Limit, now: datetime
    ) -> _Page | None:
        """What is known of the endpoint, where that may be believed without another look."""
        page, unknown = account.page, wallet.tried is not None
        if page is None:
            return self._look(account, wallet, limit) if unknown else None
        age = now - page.seen_at
        if budget.is_good(wallet.purse, limit, now):
            if age > _BELIEVED and not unknown:
                self._look_around(account)
                return account.page or self._look(account, wallet, limit)
            doubtful = False
        elif budget.free(page.spending, limit, now, lane) > 0:
            # Alone, a reservation needs no look: its etag proves that nobody else has written.
            doubtful = account.shared
        else:
            doubtful = age > (_JUST_SEEN if account.shared else _BELIEVED)
        if unknown or doubtful:
            return self._look(account, wallet, limit)
        return page

    def _look(self, account: _Account, wallet: _Wallet, limit: Limit) -> _Page:
        """Read the entity, and learn what became of a write whose answer never came."""
        page = self._read(account.endpoint, limit)
        _learn(account, page)
        if wallet.tried is not None:
            if page.writers.get(wallet.writer, (0, 0))[0] == wallet.number:
                wallet.purse = wallet.tried
            wallet.tried = None
        return page

    def _look_around(self, account: _Account) -> None:
        """Read every endpoint at once: a change needs several, and each would be looked at."""
        account.page = None
        now = self._now()
        for row in self._table.query("PartitionKey eq @p", parameters={"p": self._partition}):
            endpoint = str(row["endpoint"])
            page = _Page(
                _spending(row, self._limit(endpoint)), _writers(row), str(row["etag"]), now
            )
            if endpoint == account.endpoint:
                _learn(account, page)
                continue
            other = self._account(endpoint)
            # Whoever is at it looks for himself, and so does who waits for the end of a write.
            if other.lock.acquire(blocking=False):
                try:
                    if all(wallet.tried is None for wallet in other.wallets.values()):
                        _learn(other, page)
                finally:
                    other.lock.release()

    def _reserve(
        self,
        account: _Account,
        wallet: _Wallet,
        page: _Page,
        limit: Limit,
        after: tuple[Spending, Purse],
    ) -> bool:
        """Write it; False when somebody else was quicker, so that it has to be looked at anew."""
        spending, purse = after
        wallet.number += 1
        slot = budget.slot_of(self._now(), limit)
        writers = {
            writer: (number, at)
            for writer, (number, at) in page.writers.items()
            if slot - at <= budget.SLOTS
        }
        writers[wallet.writer] = (wallet.number, slot)
        wallet.tried, account.page = purse, None
        etag = self._write(account.endpoint, spending, writers, page.etag, limit)
        if etag is None:
            return False
        wallet.tried = None
        account.page = _Page(spending, writers, etag, self._now())
        account.written = etag
        return True

    def _limited(self, account: _Account, lane: Lane, wait: timedelta) -> Limited:
        page, limit = account.page, self._limit(account.endpoint)
        if lane is Lane.BULK:
            if page is not None:
                # Waking up for a single free call would wear the queue out.
                some = _worth_waking(limit, limit.bulk)
                wait = max(wait, budget.free_again(page.spending, limit, self._now(), lane, some))
            wait -= _EARLY
        # A person may raise the limit meanwhile: nobody sleeps through that.
        paused = account.paused_until is not None and account.paused_until > self._now()
        wait = wait if paused else min(wait, _LONGEST[lane])
        return Limited(f"{self._words} is used up for the moment.", max(wait, _AT_LEAST))

    # --- pausing -------------------------------------------------------------------------------

    def pause(self, endpoint: str, duration: timedelta) -> None:
        """BMS answered 429: nobody calls this endpoint for so long."""
        account = self._account(endpoint)
        until = self._now() + duration
        with account.lock:
            limit = self._limit(endpoint)
            account.paused_until = max(until, account.paused_until or until)
            for _ in range(_TRIES):
                page, account.page = self._read(endpoint, limit), None
                paused = page.spending.paused_until
                if paused is not None and paused >= until:
                    return
                spending = replace(page.spending, paused_until=until)
                etag = self._write(endpoint, spending, page.writers, page.etag, limit)
                if etag is not None:
                    account.written = etag
                    return

    # --- looking -------------------------------------------------------------------------------

    def view(self) -> list[EndpointBudget]:
        """The budget of every endpoint that was called lately."""
        now = self._now()
        found: list[EndpointBudget] = []
        for endpoint, spending in self._all().items():
            limit = self._limit(endpoint)
            fresh, bulk = budget.used(budget.current(spending, limit, now))
            paused = spending.paused_until
            found.append(
                EndpointBudget(
                    endpoint=endpoint,
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

    def finish(self, endpoints: Sequence[str], calls: int, pace: timedelta) -> datetime:
        """When bulk work that needs so many more calls of each of these endpoints will be done."""
        now, known = self._now(), self._all()
        ends = [
            budget.expected_finish(
                known.get(endpoint, Spending()), self._limit(endpoint), now, calls, pace
            )
            for endpoint in endpoints
        ]
        return max(ends, default=now)

    def bulk_room(self, endpoints: Sequence[str], calls: int) -> Room:
        """What bulk work that needs so many calls of each of these endpoints finds."""
        now, known = self._now(), self._all()
        self._snapshot = now, known
        free, wait = calls, timedelta(0)
        for endpoint in endpoints:
            if endpoint in known:
                limit, spending = self._limit(endpoint), known[endpoint]
                free = min(free, budget.free(spending, limit, now, Lane.BULK))
                some = _worth_waking(limit, calls)
                wait = max(wait, budget.free_again(spending, limit, now, Lane.BULK, some))
        return Room(free, wait)

    def bulk_plenty(self, endpoints: Sequence[str], calls: int) -> bool:
        """Whether that many are free for sure, as far as is known without asking each time."""
        now = self._now()
        if now - self._snapshot[0] > _BELIEVED:
            self._snapshot = now, self._all()
        return all(
            budget.free(self._last_seen(one), self._limit(one), now, Lane.BULK) >= calls
            for one in endpoints
        )

    def _last_seen(self, endpoint: str) -> Spending:
        seen_at, known = self._snapshot
        with self._lock:
            account = self._accounts.get(endpoint)
        page = account.page if account is not None else None
        if page is not None and page.seen_at >= seen_at:
            return page.spending
        return known.get(endpoint, Spending())

    def note_leavers(self, until: datetime) -> None:
        """Deactivations have the budget first: other bulk work gives way until then."""
        entity: Entity = {"PartitionKey": _NOTE, "RowKey": "leavers", "until": stamp(until)}
        self._table.write(Write(entity))

    def leavers_until(self) -> datetime | None:
        """Until when deactivations have the budget first."""
        entity = self._table.get(_NOTE, "leavers")
        return when(entity["until"]) if entity else None

    # --- the table -----------------------------------------------------------------------------

    def _account(self, endpoint: str) -> _Account:
        with self._lock:
            if endpoint not in self._accounts:
                wallets = {lane: _Wallet(f"{self._name}{lane.value[0]}") for lane in Lane}
                self._accounts[endpoint] = _Account(endpoint, wallets)
            return self._accounts[endpoint]

    def _all(self) -> dict[str, Spending]:
        rows = self._table.query("PartitionKey eq @p", parameters={"p": self._partition})
        return {str(row["endpoint"]): _spending(row, self._limit(row["endpoint"])) for row in rows}

    def _read(self, endpoint: str, limit: Limit) -> _Page:
        entity = self._table.get(self._partition, _row(endpoint))
        now = self._now()
        if entity is None:
            return _Page(Spending(), {}, "", now)
        return _Page(_spending(entity, limit), _writers(entity), entity["etag"], now)

    def _write(
        self,
        endpoint: str,
        spending: Spending,
        writers: Mapping[str, tuple[int, int]],
        etag: str,
        limit: Limit,
    ) -> str | None:
        entity: Entity = {
            "PartitionKey": self._partition,
            "RowKey": _row(endpoint),
            "endpoint": endpoint,
            "slotSeconds": limit.slot.total_seconds(),
            "slots": ";".join(
                f"{slot}:{fresh}:{bulk}"
                for slot, (fresh, bulk) in sorted(spending.slots.items())
                if fresh or bulk
            ),
            "writers": ";".join(
                f"{writer}:{number}:{slot}" for writer, (number, slot) in writers.items()
            ),
            "pausedUntil": stamp(spending.paused_until),
        }
        return self._table.write(Write(entity, etag=etag))


class SavedLimit:
    """An endpoint's limit as the BMS settings say, read again every second that it is needed."""

    def __init__(self, store: BmsSettingsStore, now: Now) -> None:
        self._store = store
        self._now = now
        self._known: tuple[datetime, Limit, Limit] | None = None

    def __call__(self, endpoint: str) -> Limit:
        now, known = self._now(), self._known
        if known is None or now - known[0] > _LIMIT_KEPT:
            saved = self._store.get()
            settings = saved or BmsSettings()
            window = timedelta(seconds=settings.limit_window_seconds)
            v2 = Limit(settings.hourly_limit, window, settings.fresh_share)
            v1 = Limit(settings.hourly_limit_v1, window, settings.fresh_share)
            known = (now, v2, v1)
            self._known = known if saved else None  # the first settings count at once
        route = endpoint.partition(" ")[2]
        return known[1] if route.startswith("/v2/") else known[2]


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
        try:
            self.of.pause(self.endpoint, pause)
        except SyncError as error:
            # BMS's answer matters more to the caller; this instance pauses all the same.
            log.warning("the pause of %s could not be noted: %s", self.endpoint, error.sentence)
        return pause.total_seconds()


def _learn(account: _Account, page: _Page) -> None:
    account.page = page
    account.shared = bool(account.written) and page.etag != account.written
    paused = page.spending.paused_until
    if paused is not None:
        account.paused_until = max(paused, account.paused_until or paused)


def _worth_waking(limit: Limit, calls: int) -> int:
    return max(1, min(calls, limit.bulk // 48))


def _row(endpoint: str) -> str:
    return endpoint.replace("/", "|")  # a row key holds no slash


def _spending(entity: Entity, limit: Limit) -> Spending:
    slots: dict[int, tuple[int, int]] = {}
    for text in filter(None, str(entity["slots"]).split(";")):
        slot, fresh, bulk = text.split(":")
        slots[int(slot)] = (int(fresh), int(bulk))
    former = timedelta(seconds=float(entity.get("slotSeconds", limit.slot.total_seconds())))
    return Spending(budget.in_slots_of(slots, former, limit), when(entity["pausedUntil"]))


def _writers(entity: Entity) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for text in filter(None, str(entity.get("writers", "")).split(";")):
        writer, number, slot = text.split(":")
        found[writer] = (int(number), int(slot))
    return found
