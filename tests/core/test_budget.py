"""The budget of BMS's calls, by values and by simulation on a clock of its own (R25)."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core import budget
from shared.core.budget import Lane, Limit, Purse, Spending

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
HOUR = Limit()
SHORT = Limit(100, timedelta(seconds=20))


def spent(fresh: int, bulk: int, limit: Limit = HOUR, at: datetime = START) -> Spending:
    return Spending({budget.slot_of(at, limit): (fresh, bulk)})


# --- by values ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("calls", "share", "total", "bulk"),
    [
        (1500, 0.2, 1485, 1200),
        (500, 0.2, 495, 400),
        (100, 0.2, 99, 80),
        (10, 0.1, 9, 9),
        (10, 0.9, 9, 1),
        (1500, 0.0, 1485, 1485),
        (1, 0.2, 1, 1),
    ],
)
def test_r25_bulk_may_spend_all_but_the_fresh_share(
    calls: int, share: float, total: int, bulk: int
) -> None:
    limit = Limit(calls, fresh_share=share)

    assert (limit.total, limit.bulk) == (total, bulk)


@pytest.mark.parametrize(
    ("fresh", "bulk", "free_fresh", "free_bulk"),
    [
        (0, 0, 1485, 1200),
        (0, 1200, 285, 0),
        (285, 1200, 0, 0),
        (1000, 0, 485, 485),
        (1485, 0, 0, 0),
        (2000, 0, 0, 0),
    ],
)
def test_r25_what_is_free_for_whom(fresh: int, bulk: int, free_fresh: int, free_bulk: int) -> None:
    spending = spent(fresh, bulk)

    assert budget.free(spending, HOUR, START, Lane.FRESH) == free_fresh
    assert budget.free(spending, HOUR, START, Lane.BULK) == free_bulk


def test_r25_a_pause_leaves_nothing_to_anybody_until_it_ends() -> None:
    spending = Spending(paused_until=START + timedelta(seconds=30))

    for lane in Lane:
        assert budget.free(spending, HOUR, START, lane) == 0
        assert budget.free_again(spending, HOUR, START, lane) == timedelta(seconds=30)
        assert budget.free(spending, HOUR, START + timedelta(seconds=30), lane) > 0
        assert budget.refill(spending, Purse(), HOUR, START, lane) is None


def test_r25_a_call_counts_for_a_window_after_the_last_moment_it_may_begin_and_a_slot_more() -> (
    None
):
    spending = spent(1485, 0)
    ends = START + HOUR.slot + HOUR.window + HOUR.slot

    assert budget.free(spending, HOUR, ends - timedelta(milliseconds=1), Lane.FRESH) == 0
    assert budget.free(spending, HOUR, ends, Lane.FRESH) == 1485
    assert budget.free_again(spending, HOUR, START, Lane.FRESH) == ends - START


def test_r25_free_again_waits_for_as_many_calls_as_are_asked_for() -> None:
    slot = budget.slot_of(START, HOUR)
    spending = Spending({slot: (0, 10), slot + 2: (0, 1190)})
    first = HOUR.window + 2 * HOUR.slot

    assert budget.free_again(spending, HOUR, START, Lane.BULK, 10) == first
    assert budget.free_again(spending, HOUR, START, Lane.BULK, 11) == first + 2 * HOUR.slot
    assert budget.free_again(spending, HOUR, START, Lane.FRESH, 285) == timedelta(0)


def test_r25_who_needs_many_reserves_more_at_a_time_and_who_needs_few_does_not() -> None:
    spending, purse = Spending(), Purse()
    sizes = []
    for _ in range(7):
        refilled = budget.refill(spending, Purse(purse.slot, 0, purse.size), HOUR, START, Lane.BULK)
        assert refilled
        spending, purse = refilled
        sizes.append(purse.size)
    later = START + timedelta(minutes=10)
    refilled = budget.refill(spending, Purse(purse.slot, 19, 20), HOUR, later, Lane.BULK)

    assert sizes == [1, 2, 4, 8, 16, 20, 20]
    assert refilled
    assert refilled[1].size == 1


def test_r25_the_fuller_the_budget_the_less_is_reserved_for_fresh_changes() -> None:
    used_up = Purse(0, 0, 1000)

    def portion(fresh: int) -> int:
        refilled = budget.refill(spent(fresh, 0), used_up, HOUR, START, Lane.FRESH)
        assert refilled
        return refilled[1].size

    assert [portion(fresh) for fresh in (0, 985, 1385, 1484)] == [29, 25, 5, 1]


def test_r25_what_was_not_used_is_given_back_with_the_next_reservation() -> None:
    slot = budget.slot_of(START, HOUR)
    spending = Spending({slot: (7, 20)})

    refilled = budget.refill(
        spending, Purse(slot, 15, 20), HOUR, START + timedelta(minutes=1), Lane.BULK
    )

    assert refilled
    assert refilled[0].slots == {slot: (7, 5), slot + 2: (0, 5)}


def test_r25_a_purse_is_good_to_the_end_of_its_slot() -> None:
    refilled = budget.refill(Spending(), Purse(), HOUR, START, Lane.BULK)
    assert refilled
    purse = refilled[1]

    assert budget.is_good(purse, HOUR, START + HOUR.slot - timedelta(milliseconds=1))
    assert not budget.is_good(purse, HOUR, START + HOUR.slot)


@pytest.mark.parametrize("former", [timedelta(hours=1), timedelta(seconds=20), timedelta(hours=9)])
def test_r25_after_a_change_of_the_window_what_was_spent_counts_for_a_new_window(
    former: timedelta,
) -> None:
    before, after = Limit(window=former), Limit(window=timedelta(minutes=10))
    slots = {budget.slot_of(START, before): (1, 2), budget.slot_of(START, before) - 1: (10, 20)}

    spending = Spending(budget.in_slots_of(slots, before.slot, after))

    assert budget.used(budget.current(spending, after, START)) == (11, 22)
    ends = START + before.slot + after.window + 3 * after.slot
    assert budget.used(budget.current(spending, after, ends)) == (0, 0)


# --- the finish --------------------------------------------------------------------------------


def test_r25_the_finish_of_little_work_is_a_matter_of_its_pace() -> None:
    at = budget.expected_finish(Spending(), HOUR, START, 100, timedelta(milliseconds=50))

    assert at == START + timedelta(seconds=5)


@pytest.mark.parametrize(("calls", "hours"), [(1200, 0), (1201, 1), (2400, 1), (10_000, 8)])
def test_r25_the_finish_of_much_work_counts_the_windows(calls: int, hours: int) -> None:
    at = budget.expected_finish(Spending(), HOUR, START, calls, timedelta(milliseconds=10))

    assert timedelta(hours=hours) <= at - START <= timedelta(hours=hours * 1.03, minutes=2)


def test_r25_the_finish_knows_of_a_pause_and_of_fresh_changes_that_took_all() -> None:
    slot = budget.slot_of(START, HOUR)
    paused = Spending(paused_until=START + timedelta(minutes=5))
    crowded = Spending({slot: (1485, 0)})

    assert budget.expected_finish(paused, HOUR, START, 1, timedelta(0)) == (
        START + timedelta(minutes=5)
    )
    assert budget.expected_finish(crowded, HOUR, START, 1, timedelta(0)) == (
        START + HOUR.window + 2 * HOUR.slot
    )


# --- simulation: instances that share one budget -----------------------------------------------


@dataclass
class Instance:
    """One instance with a clock of its own, as the adapter uses the core."""

    limit: Limit
    offset: timedelta = timedelta(0)
    purses: dict[Lane, Purse] = field(default_factory=dict)
    writes: int = 0

    def take(self, shared: list[Spending], lane: Lane, at: datetime) -> bool:
        now = at + self.offset
        purse = self.purses.get(lane, Purse())
        if not budget.is_good(purse, self.limit, now):
            refilled = budget.refill(shared[0], purse, self.limit, now, lane)
            if refilled is None:
                return False
            shared[0], purse = refilled
            self.writes += 1
        self.purses[lane] = Purse(purse.slot, purse.left - 1, purse.size)
        return True


def most_within(calls: list[datetime], window: timedelta) -> int:
    """The most calls in any window, counted as BMS does."""
    calls, most, first = sorted(calls), 0, 0
    for index, at in enumerate(calls):
        while calls[first] <= at - window:
            first += 1
        most = max(most, index + 1 - first)
    return most


STEPS = st.lists(
    st.tuples(
        st.integers(0, 2),  # which instance
        st.sampled_from([Lane.FRESH, Lane.BULK]),
        st.integers(1, 60),  # how many calls it wants
        st.floats(0, 0.4),  # how long to the next step, in windows
        st.floats(0, 0.5),  # how long the calls are on their way, in slots
    ),
    max_size=60,
)


@given(
    steps=STEPS,
    calls=st.integers(1, 300),
    share=st.floats(0, 0.95),
    window=st.sampled_from([20.0, 33.3, 3600.0]),
    offsets=st.lists(st.floats(-0.25, 0.25), min_size=3, max_size=3),
)
def test_r25_no_window_ever_sees_more_than_the_limit_and_bulk_never_more_than_its_share(
    steps: list[tuple[int, Lane, int, float, float]],
    calls: int,
    share: float,
    window: float,
    offsets: list[float],
) -> None:
    limit = Limit(calls, timedelta(seconds=window), share)
    instances = [Instance(limit, limit.slot * offset) for offset in offsets]
    shared = [Spending()]
    arrived: dict[Lane, list[datetime]] = {Lane.FRESH: [], Lane.BULK: []}
    at = START
    for who, lane, wanted, pause, way in steps:
        for _ in range(wanted):
            if instances[who].take(shared, lane, at):
                arrived[lane].append(at + limit.slot * way)
        at += limit.window * pause

    assert most_within(arrived[Lane.FRESH] + arrived[Lane.BULK], limit.window) <= calls
    assert most_within(arrived[Lane.BULK], limit.window) <= limit.bulk


@given(
    steps=STEPS,
    died=st.sets(st.integers(0, 59)),
)
def test_r25_giving_back_never_makes_calls_and_a_dead_instance_costs_its_own_only(
    steps: list[tuple[int, Lane, int, float, float]], died: set[int]
) -> None:
    instances = [Instance(SHORT) for _ in range(3)]
    shared = [Spending()]
    sent: list[tuple[datetime, Lane]] = []
    lost = 0
    at = START
    for step, (who, lane, wanted, pause, _) in enumerate(steps):
        if step in died:
            lost += sum(purse.left for purse in instances[who].purses.values())
            instances[who] = Instance(SHORT)
        sent += [(at, lane) for _ in range(wanted) if instances[who].take(shared, lane, at)]
        counted = budget.current(shared[0], SHORT, at)
        fresh, bulk = budget.used(counted)
        recent = sum(1 for when, _ in sent if when > at - SHORT.window)
        reserved = sum(one.left for each in instances for one in each.purses.values())
        oldest = at - SHORT.window - 6 * SHORT.slot
        assert recent <= fresh + bulk
        assert fresh + bulk <= sum(1 for when, _ in sent if when > oldest) + reserved + lost
        at += SHORT.window * pause


@given(fresh=st.integers(0, 3000), bulk=st.integers(0, 3000), lane=st.sampled_from(list(Lane)))
def test_r25_after_free_again_there_is_something_free(fresh: int, bulk: int, lane: Lane) -> None:
    spending = spent(fresh, bulk)

    wait = budget.free_again(spending, HOUR, START, lane)

    assert budget.free(spending, HOUR, START + wait, lane) > 0
    assert wait == timedelta(0) or budget.free(spending, HOUR, START, lane) == 0


@dataclass(frozen=True)
class Day:
    """What a simulated stretch of time came to."""

    bulk: list[datetime]
    fresh: list[datetime]
    refused: int  # fresh changes that found nothing left
    writes: int


def a_day(limit: Limit, windows: float, fresh_per_window: int, tick: timedelta) -> Day:
    """Two instances, bulk work without end, and fresh changes one by one, roughly evenly."""
    chance = random.Random(25)
    instances = [Instance(limit, limit.slot * offset) for offset in (0, 0.25)]
    shared = [Spending()]
    day = Day([], [], 0, 0)
    refused = 0
    at, end = START, START + limit.window * windows
    every = limit.window / fresh_per_window
    next_change = START
    while at < end:
        for one in instances:
            # As many as twelve threads send in a tick, on each instance.
            for _ in range(max(1, round(12 * tick.total_seconds() / 0.25))):
                if not one.take(shared, Lane.BULK, at):
                    break
                day.bulk.append(at)
        if at >= next_change:
            next_change += every * chance.uniform(0.8, 1.2)
            if chance.choice(instances).take(shared, Lane.FRESH, at):
                day.fresh.append(at)
            else:
                refused += 1
        at += tick
    return Day(day.bulk, day.fresh, refused, sum(one.writes for one in instances))


@pytest.mark.parametrize(
    ("limit", "tick"),
    [
        pytest.param(HOUR, timedelta(seconds=2), id="1500 an hour"),
        pytest.param(Limit(500), timedelta(seconds=2), id="500 an hour"),
        pytest.param(Limit(100, timedelta(seconds=30)), timedelta(seconds=0.05), id="100 in 30 s"),
        pytest.param(SHORT, timedelta(seconds=0.05), id="100 in 20 s"),
    ],
)
def test_r25_bulk_work_uses_95_percent_of_its_share_and_fresh_changes_never_wait(
    limit: Limit, tick: timedelta
) -> None:
    windows = 10
    day = a_day(limit, windows, int(limit.calls * 0.15), tick)

    # The first window is a head start: what counts is how often the share comes round.
    after_first = [at for at in day.bulk if at >= START + limit.window]
    assert len(after_first) >= 0.95 * limit.bulk * (windows - 1)
    assert most_within(day.bulk, limit.window) >= 0.95 * limit.bulk
    assert most_within(day.bulk + day.fresh, limit.window) <= limit.calls
    assert day.refused == 0
    assert day.writes <= len(day.bulk + day.fresh)
