"""BMS's budget in the real tables: instances share it, under races, trouble and death (R25)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast

import pytest

from shared.adapters.bms_budget import BmsBudget, SavedLimit
from shared.adapters.tables import Storage
from shared.core.budget import Lane, Limit
from shared.core.model import BmsSettings
from shared.errors import Limited, TryLater
from shared.ports import Room
from tests.adapters.bms_adapter import CREATE, LIST, PATCH, READ, BmsWire
from tests.fakes import Clock, FakeBmsSettings
from tests.real_storage import RealStorage

OTHER = "GET /v2/crm/accounts/summary"
V1 = "POST /api/hr/employees"


class _Table:
    """The real table; every call is counted, and fails as it is told."""

    def __init__(self, real: Any, storage: Tables) -> None:
        self._real, self._storage = real, storage

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._real, name)

        def call(*args: Any, **options: Any) -> Any:
            self._storage.calls.append(name)
            fails = self._storage.fails
            if fails == f"{name} before":
                raise TryLater("The table storage is busy.")
            answer = real(*args, **options)
            if fails == f"{name} after":
                raise TryLater("The table storage cannot be reached.")
            if fails == f"{name} unheard" and answer is not None:
                self._storage.fails = ""
                return None  # committed, repeated by the SDK, and refused the second time
            return answer

        return call


@dataclass
class Tables:
    """Storage as one instance sees it."""

    real: Storage
    calls: list[str] = field(default_factory=list)
    fails: str = ""

    def table(self, name: str) -> _Table:
        return _Table(self.real.table(name), self)


@dataclass
class Shared:
    """Instances of the app on one storage and one clock."""

    storage: RealStorage
    settings: FakeBmsSettings
    clock: Clock = field(default_factory=Clock)
    slept: list[float] = field(default_factory=list)

    def limits(self, **members: Any) -> None:
        self.settings.held = BmsSettings(**members)

    def instance(self) -> tuple[BmsBudget, Tables]:
        tables = Tables(self.storage.opened())

        def sleep(seconds: float) -> None:
            self.slept.append(seconds)
            self.clock.pass_(timedelta(seconds=seconds))

        limit = SavedLimit(self.settings, self.clock)
        return BmsBudget(cast(Storage, tables), limit, self.clock, sleep), tables

    def pass_(self, seconds: float) -> None:
        self.clock.pass_(timedelta(seconds=seconds))


@pytest.fixture
def shared(real_storage: RealStorage) -> Shared:
    return Shared(real_storage, FakeBmsSettings(BmsSettings(hourly_limit=100)))


def all_of(budget: BmsBudget, endpoint: str, lane: Lane) -> int:
    """How many calls the lane gets before it is told to wait."""
    count = 0
    while True:
        try:
            budget.take(endpoint, lane)
        except Limited:
            return count
        except TryLater:  # it raced with the others too often: the queue would come again as well
            continue
        count += 1


def at_once(jobs: Sequence[Callable[[], int]]) -> list[int]:
    start = threading.Barrier(len(jobs))

    def run(job: Callable[[], int]) -> int:
        start.wait()
        return job()

    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(run, jobs))


# --- one budget for all ------------------------------------------------------------------------


def test_r25_instances_that_race_never_spend_more_than_the_limit_together(shared: Shared) -> None:
    instances = [shared.instance()[0] for _ in range(3)]
    lanes = [Lane.BULK, Lane.BULK, Lane.FRESH]

    def job(one: BmsBudget, lane: Lane) -> Callable[[], int]:
        return lambda: all_of(one, PATCH, lane)

    counts = at_once([job(one, lane) for one in instances for lane in lanes])

    bulk = sum(count for index, count in enumerate(counts) if index % 3 < 2)
    assert sum(counts) <= 99
    assert sum(counts) >= 90  # what an instance has reserved and did not use is all that is missing
    assert bulk <= 80


def test_r25_bulk_leaves_the_fresh_share_alone(shared: Shared) -> None:
    one, another = shared.instance()[0], shared.instance()[0]

    assert all_of(one, PATCH, Lane.BULK) == 80
    assert all_of(another, PATCH, Lane.BULK) == 0
    assert all_of(another, PATCH, Lane.FRESH) == 19


def test_r25_endpoints_do_not_disturb_each_other(shared: Shared) -> None:
    budget, _ = shared.instance()
    all_of(budget, PATCH, Lane.BULK)
    budget.pause(CREATE, timedelta(minutes=5))

    assert all_of(budget, OTHER, Lane.BULK) == 80
    assert [one.endpoint for one in budget.view()] == [OTHER, PATCH, CREATE]


def test_r25_v1_routes_have_a_limit_of_their_own(shared: Shared) -> None:
    shared.limits(hourly_limit=100, hourly_limit_v1=10)
    budget, _ = shared.instance()

    assert all_of(budget, V1, Lane.BULK) == 8
    assert all_of(budget, PATCH, Lane.BULK) == 80
    assert {one.endpoint: one.limit for one in budget.view()} == {V1: 10, PATCH: 100}


def test_r25_after_a_window_the_calls_are_free_again(shared: Shared) -> None:
    budget, _ = shared.instance()
    all_of(budget, PATCH, Lane.BULK)

    shared.pass_(3600 + 2 * 30)

    assert all_of(budget, PATCH, Lane.BULK) == 80


def test_r25_a_limit_that_is_used_up_is_told_with_the_wait_and_is_no_failure(
    shared: Shared,
) -> None:
    budget, _ = shared.instance()
    all_of(budget, PATCH, Lane.BULK)
    all_of(budget, PATCH, Lane.FRESH)

    with pytest.raises(Limited) as fresh:
        budget.take(PATCH, Lane.FRESH)
    with pytest.raises(Limited) as bulk:
        budget.take(PATCH, Lane.BULK)

    assert not fresh.value.counts
    assert not bulk.value.counts
    # Both are free in an hour; a person may raise the limit before, so nobody waits that long.
    assert fresh.value.after == timedelta(seconds=30)
    assert bulk.value.after == timedelta(minutes=5)
    assert "limit" in bulk.value.sentence


def test_r25_bulk_threads_wait_a_moment_for_the_next_free_call_and_fresh_ones_never(
    shared: Shared,
) -> None:
    shared.limits(hourly_limit=100, limit_window_seconds=20)
    budget, _ = shared.instance()
    all_of(budget, PATCH, Lane.BULK)
    all_of(budget, PATCH, Lane.FRESH)
    shared.pass_(19.5)

    with pytest.raises(Limited):
        budget.take(PATCH, Lane.FRESH)
    assert not shared.slept
    budget.take(PATCH, Lane.BULK)

    assert 0 < sum(shared.slept) <= 1.5


def test_r25_another_window_counts_what_was_spent_before(shared: Shared) -> None:
    budget, _ = shared.instance()
    all_of(budget, PATCH, Lane.BULK)
    shared.limits(hourly_limit=100, limit_window_seconds=20)
    shared.pass_(11)

    assert all_of(budget, PATCH, Lane.BULK) == 0
    shared.pass_(60)
    assert all_of(budget, PATCH, Lane.BULK) == 80

    shared.limits(hourly_limit=100, limit_window_seconds=3600)
    shared.pass_(11)
    assert all_of(budget, PATCH, Lane.BULK) == 0
    shared.pass_(3700)
    assert all_of(budget, PATCH, Lane.BULK) == 80


# --- pausing -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("asked", "seconds"), [(7.0, 7), (120.0, 120), (None, 60), (0.0, 60)])
def test_r25_a_429_pauses_the_endpoint_for_all_instances(
    shared: Shared, asked: float | None, seconds: int
) -> None:
    one, another = shared.instance()[0], shared.instance()[0]
    for lane in Lane:
        another.take(PATCH, lane)

    assert one.meter(PATCH, Lane.FRESH).limited(asked) == seconds

    shared.pass_(5.5)  # so long may an instance not know of it
    third, _ = shared.instance()
    for instance in (one, another, third):
        for lane in Lane if seconds > 9 else (Lane.FRESH,):
            with pytest.raises(Limited) as paused:
                instance.take(PATCH, lane)
            assert paused.value.after
            assert paused.value.after <= timedelta(seconds=seconds - 5.4)
        instance.take(OTHER, Lane.FRESH)
    shared.pass_(seconds - 5.5)
    for instance in (one, another, third):
        instance.take(PATCH, Lane.FRESH)


def test_r25_a_shorter_pause_never_ends_a_longer_one(shared: Shared) -> None:
    one, another = shared.instance()[0], shared.instance()[0]

    one.pause(PATCH, timedelta(minutes=5))
    another.pause(PATCH, timedelta(seconds=1))
    shared.pass_(10)

    for instance in (one, another):
        with pytest.raises(Limited):
            instance.take(PATCH, Lane.FRESH)


def test_r25_a_pause_that_cannot_be_noted_holds_here_all_the_same_and_hides_no_answer(
    shared: Shared,
) -> None:
    budget, tables = shared.instance()
    tables.fails = "get before"

    assert budget.meter(PATCH, Lane.FRESH).limited(30) == 30

    tables.fails = ""
    with pytest.raises(Limited):
        budget.take(PATCH, Lane.FRESH)


# --- giving back, dying, trouble -----------------------------------------------------------------


def test_r25_what_was_reserved_and_not_used_comes_back(shared: Shared) -> None:
    shared.limits(hourly_limit=1500)
    one, another = shared.instance()[0], shared.instance()[0]
    for _ in range(20):
        one.take(PATCH, Lane.BULK)  # 1 + 2 + 4 + 8 + 16: eleven are left over
    shared.pass_(60)

    one.take(PATCH, Lane.BULK)
    counts = [all_of(another, PATCH, Lane.BULK), all_of(one, PATCH, Lane.BULK)]

    assert 20 + 1 + sum(counts) == 1200


def test_r25_an_instance_that_dies_costs_what_it_had_reserved_and_no_more(shared: Shared) -> None:
    shared.limits(hourly_limit=1500)
    dies, lives = shared.instance()[0], shared.instance()[0]
    for _ in range(20):
        dies.take(PATCH, Lane.BULK)
    del dies

    assert all_of(lives, PATCH, Lane.BULK) == 1200 - 31
    shared.pass_(3600 + 2 * 30)
    assert all_of(lives, PATCH, Lane.BULK) == 1200


@pytest.mark.parametrize("fails", ["get before", "write before", "write after"])
def test_r25_no_call_leaves_unpaid_when_the_tables_fail(shared: Shared, fails: str) -> None:
    budget, tables = shared.instance()
    tables.fails = fails

    for lane in Lane:
        with pytest.raises(TryLater, match="table storage"):
            budget.take(PATCH, lane)

    tables.fails = ""
    assert all_of(budget, PATCH, Lane.BULK) + all_of(budget, PATCH, Lane.FRESH) == 99


def test_r25_a_reservation_whose_answer_never_came_is_used_and_given_back_once(
    shared: Shared,
) -> None:
    shared.limits(hourly_limit=1500)
    one, tables = shared.instance()
    another, _ = shared.instance()
    sent = 0
    for _ in range(20):
        one.take(PATCH, Lane.BULK)
        sent += 1
    for fails in ("write after", "write after", "write unheard"):
        shared.pass_(60)  # what is left over is given back with the write that goes wrong
        tables.fails = fails
        try:
            one.take(PATCH, Lane.BULK)
            sent += 1
        except TryLater:
            tables.fails = ""

    sent += all_of(another, PATCH, Lane.BULK) + all_of(one, PATCH, Lane.BULK)
    assert sent == 1200


# --- foretelling ---------------------------------------------------------------------------------


def test_r25_bulk_waits_for_the_endpoint_that_is_free_last_and_finishes_with_it(
    shared: Shared,
) -> None:
    budget, _ = shared.instance()
    pace = timedelta(seconds=0)
    assert budget.bulk_room([PATCH, CREATE], 10) == Room(10, timedelta(0))
    assert budget.finish([PATCH, CREATE], 80, pace) == shared.clock()

    all_of(budget, PATCH, Lane.BULK)

    assert budget.bulk_room([CREATE], 10) == Room(10, timedelta(0))
    room = budget.bulk_room([PATCH, CREATE], 10)
    assert room.free == 0
    assert timedelta(hours=1) <= room.wait <= timedelta(hours=1, minutes=2)
    for calls, hours in ((1, 1), (80, 1), (81, 2), (800, 10)):
        at = budget.finish([PATCH, CREATE], calls, pace) - shared.clock()
        assert timedelta(hours=hours) <= at <= timedelta(hours=hours * 1.03)


def test_r25_bulk_finds_what_is_free_where_least_is_left(shared: Shared) -> None:
    budget, _ = shared.instance()
    for _ in range(30):
        budget.take(PATCH, Lane.BULK)

    spent = 80 - budget.bulk_room([PATCH], 100).free
    assert 30 <= spent <= 31  # what is reserved counts as spent
    assert budget.bulk_room([PATCH, CREATE], 100) == budget.bulk_room([PATCH], 100)
    assert budget.bulk_room([PATCH, CREATE], 20) == Room(20, timedelta(0))


def test_r25_that_there_is_plenty_is_known_without_asking_each_time(shared: Shared) -> None:
    budget, tables = shared.instance()
    assert budget.bulk_plenty([PATCH, CREATE], 80)
    tables.calls.clear()

    for _ in range(20):
        budget.take(PATCH, Lane.BULK)
        paid = len(tables.calls)
        assert budget.bulk_plenty([PATCH, CREATE], 40)
        assert len(tables.calls) == paid

    assert not budget.bulk_plenty([PATCH, CREATE], 70)  # its own spending is seen at once
    assert budget.bulk_plenty([CREATE], 70)


def test_r25_what_others_have_spent_is_seen_seconds_later(shared: Shared) -> None:
    one, another = shared.instance()[0], shared.instance()[0]
    assert one.bulk_plenty([PATCH], 80)

    all_of(another, PATCH, Lane.BULK)
    shared.clock.pass_(timedelta(seconds=6))

    assert not one.bulk_plenty([PATCH], 10)
    assert one.bulk_plenty([CREATE], 80)


def test_r25_the_note_of_leavers_is_seen_by_all_instances(shared: Shared) -> None:
    one, another = shared.instance()[0], shared.instance()[0]
    assert another.leavers_until() is None

    one.note_leavers(shared.clock() + timedelta(seconds=4))

    assert another.leavers_until() == shared.clock() + timedelta(seconds=4)


def test_r25_the_status_shows_what_is_used_and_free(shared: Shared) -> None:
    budget, _ = shared.instance()
    for _ in range(3):
        budget.take(PATCH, Lane.FRESH)
    all_of(budget, PATCH, Lane.BULK)
    budget.pause(PATCH, timedelta(seconds=30))

    [seen] = budget.view()

    assert (seen.used_fresh, seen.used_bulk, seen.bulk_share, seen.limit) == (3, 80, 80, 100)
    assert (seen.free_fresh, seen.free_bulk) == (0, 0)
    assert seen.paused_until == shared.clock() + timedelta(seconds=30)
    shared.pass_(31)
    [seen] = budget.view()
    assert (seen.free_fresh, seen.free_bulk, seen.paused_until) == (16, 0, None)


# --- what it costs -------------------------------------------------------------------------------


def test_r25_paying_for_fresh_changes_costs_little_in_the_tables(shared: Shared) -> None:
    shared.limits(hourly_limit=1500)
    budget, tables = shared.instance()

    for _ in range(200):
        budget.take(PATCH, Lane.FRESH)
        shared.pass_(0.05)

    assert len(tables.calls) <= 0.1 * 200


def test_r25_a_single_fresh_change_costs_one_transaction_an_endpoint(shared: Shared) -> None:
    shared.limits(hourly_limit=1500)
    budget, tables = shared.instance()
    for endpoint in (READ, PATCH):
        budget.take(endpoint, Lane.FRESH)
    tables.calls.clear()

    for _ in range(30):
        shared.pass_(60)
        for endpoint in (READ, PATCH):
            budget.take(endpoint, Lane.FRESH)

    # Either a reservation, or a look whether another instance has met a 429.
    assert len(tables.calls) <= 30 * 2 * 1.5


def test_r25_an_endpoint_with_nothing_left_is_not_asked_for_again_and_again(
    shared: Shared,
) -> None:
    one, tables = shared.instance()
    another, _ = shared.instance()
    another.take(PATCH, Lane.BULK)
    all_of(one, PATCH, Lane.BULK)
    another.take(PATCH, Lane.FRESH)
    tables.calls.clear()

    for _ in range(50):
        assert all_of(one, PATCH, Lane.BULK) == 0

    assert len(tables.calls) <= 2


# --- at the wire -------------------------------------------------------------------------------


@pytest.fixture
def limited_wire(bms_wire: BmsWire) -> Iterator[BmsWire]:
    settings = bms_wire.settings.held
    assert settings
    bms_wire.settings.held = BmsSettings(
        api_url=settings.api_url,
        tenant=settings.tenant,
        user_name=settings.user_name,
        version="2",
        hourly_limit=20,
    )
    bms_wire.control.set_switches(rate_limit=20)
    yield bms_wire
    assert bms_wire.control.counters().with_status(429) == 0


def test_r25_bms_never_has_to_answer_429_however_many_instances_call(
    limited_wire: BmsWire,
) -> None:
    record = limited_wire.a_contact()
    instances = [limited_wire.another() for _ in range(3)]

    def job(instance: Any) -> Callable[[], int]:
        def run() -> int:
            count = 0
            while True:
                try:
                    instance.contact(record)
                except Limited:
                    return count
                count += 1

        return run

    lanes = [api for one in instances for api in (one, one.bulk())]
    counts = at_once([job(api) for api in lanes])

    assert 10 <= sum(counts) == limited_wire.calls(READ) <= 19
    assert sum(counts[1::2]) <= 16


def test_r25_a_429_of_bms_stops_the_other_instances_before_they_call(bms_wire: BmsWire) -> None:
    record = bms_wire.a_contact()
    bms_wire.control.set_switches(rate_limits={READ: 1})
    one, another = bms_wire.another(), bms_wire.another()
    another.contact(record)
    with pytest.raises(Limited):
        one.contact(record)
    bms_wire.clock.pass_(timedelta(seconds=6))
    before = bms_wire.calls(READ)

    with pytest.raises(Limited):
        another.contact(record)

    assert bms_wire.calls(READ) == before
    assert next(another.contacts(active=True))  # another endpoint
    assert bms_wire.calls(LIST) > 0


def test_r25_the_limit_is_that_of_the_settings_and_by_default_bmss_own() -> None:
    clock, settings = Clock(), FakeBmsSettings(None)
    limit = SavedLimit(settings, clock)

    assert limit(PATCH) == Limit(1500, timedelta(hours=1), 0.2)
    assert limit(V1) == Limit(500, timedelta(hours=1), 0.2)
    settings.held = BmsSettings(hourly_limit=9, limit_window_seconds=20, fresh_share=0.5)
    assert limit(PATCH) == Limit(9, timedelta(seconds=20), 0.5)
    settings.held = BmsSettings(hourly_limit=7)
    clock.pass_(timedelta(seconds=1.1))
    assert limit(PATCH).calls == 7
