"""Bulk work waits in its queue for BMS's budget, gives way to leavers, and says how long (R25)."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import cast

import pytest

from shared.adapters.bms_budget import BmsBudget, SavedLimit
from shared.adapters.store_people import TableLinks
from shared.core.budget import Lane
from shared.core.model import ConnectionId, Origin, SyncId, SyncRun
from shared.errors import Limited
from shared.ports import BULK, FRESH, LEAVERS, Budget, EndpointBudget, Room
from shared.sync.pacing import BulkShare, Pacing
from tests.builders import CONNECTION
from tests.fakes import START, Clock, FakeBudget
from tests.sync.world import World

CREATE, PATCH = "POST /v2/crm/contacts/summary", "PATCH /v2/crm/contacts/{id}"
READ = "GET /v2/crm/contacts/summary/{id}"
SHARE = 80  # of a hundred


@dataclass
class Waits(FakeBudget):
    """How long each endpoint is used up."""

    of: dict[str, timedelta] = field(default_factory=dict)

    def bulk_room(self, endpoints: Sequence[str], calls: int) -> Room:
        wait = max((self.of.get(one, timedelta(0)) for one in endpoints), default=timedelta(0))
        return Room(0 if wait else calls, wait)


def seconds(wait: timedelta | None) -> float | None:
    return None if wait is None else wait.total_seconds()


@dataclass
class Paced:
    budget: Waits = field(default_factory=Waits)
    clock: Clock = field(default_factory=Clock)

    def wait(self, queue: str, users: int = 10) -> float | None:
        return seconds(Pacing(self.budget, self.clock).wait_before(queue, users))

    def finish(self, run: SyncRun) -> datetime | None:
        return Pacing(self.budget, self.clock).expected_finish(run)


def used_up(endpoint: str, free_bulk: int) -> EndpointBudget:
    return EndpointBudget(
        endpoint, 100, timedelta(hours=1), 0, 80, 19, free_bulk, 80, timedelta(0), None
    )


def a_run(**members: object) -> SyncRun:
    run = SyncRun(SyncId("s"), ConnectionId("contoso"), "full", "running", START)
    return replace(run, started_at=START, seen=100, **members)  # type: ignore[arg-type]


# --- when a message may be worked on -----------------------------------------------------------


def test_r25_fresh_changes_never_wait_in_their_queue() -> None:
    paced = Paced(Waits(of={PATCH: timedelta(hours=1)}, leavers=START + timedelta(hours=1)))

    assert paced.wait(FRESH) is None


def test_r25_with_budget_left_nobody_waits() -> None:
    paced = Paced()

    assert [paced.wait(queue) for queue in (BULK, LEAVERS)] == [None, None]
    assert paced.budget.leavers is None


@pytest.mark.parametrize("endpoint", [CREATE, PATCH, f"{PATCH}/emails", f"{PATCH}/phones"])
def test_r25_bulk_work_waits_for_each_endpoint_that_it_may_need(endpoint: str) -> None:
    paced = Paced(Waits(of={endpoint: timedelta(seconds=60)}))

    assert paced.wait(BULK) == 57.5  # its threads then stand ready when the calls are free


def test_r25_a_wait_of_a_moment_is_no_reason_to_park() -> None:
    paced = Paced(Waits(of={PATCH: timedelta(seconds=3)}))

    assert [paced.wait(queue) for queue in (BULK, LEAVERS)] == [None, None]


def test_r25_leavers_do_not_wait_for_what_only_creations_need() -> None:
    paced = Paced(Waits(of={CREATE: timedelta(minutes=4)}))

    assert paced.wait(LEAVERS) is None
    assert paced.wait(BULK) == 237.5


def test_r25_nobody_sleeps_through_a_limit_that_a_person_raises() -> None:
    paced = Paced(Waits(of={PATCH: timedelta(hours=1)}))

    assert paced.wait(BULK) == paced.wait(LEAVERS) == 300


def test_r25_while_leavers_wait_other_bulk_work_waits_longer() -> None:
    paced = Paced(Waits(of={PATCH: timedelta(seconds=60)}))

    leavers, bulk = paced.wait(LEAVERS, 25), paced.wait(BULK)

    assert leavers == 57.5
    assert bulk
    assert bulk == pytest.approx(60 + 0.5 + 25 * 0.02 - 0.7)
    paced.budget.of.clear()
    paced.clock.pass_(timedelta(seconds=58))
    assert paced.wait(LEAVERS, 25) is None
    assert paced.wait(BULK)
    paced.clock.pass_(timedelta(seconds=3))
    assert paced.wait(BULK) is None


def test_r25_leavers_go_first_where_the_budget_is_scarce_and_disturb_nobody_else() -> None:
    plenty = Paced(Waits(endpoints=[used_up(PATCH, 50)]))
    scarce = Paced(Waits(endpoints=[used_up(PATCH, 49)]))

    for paced in (plenty, scarce):
        assert paced.wait(LEAVERS, 25) is None

    assert plenty.wait(BULK) is None
    assert scarce.wait(BULK) is not None


# --- how many jobs may be claimed ----------------------------------------------------------------


@dataclass
class Shares:
    """The share of bulk work, on a clock of its own; calls become free one by one."""

    free: int = 0
    every: float = 1  # seconds
    leavers: bool = False
    budget: FakeBudget = field(default_factory=FakeBudget)
    clock: Clock = field(default_factory=Clock)
    share: BulkShare = field(init=False)

    def __post_init__(self) -> None:
        self.share = BulkShare(cast(Budget, self), self.clock, self.leavers, self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.clock.pass_(timedelta(seconds=seconds))
        self.free += int(seconds / self.every)

    def bulk_plenty(self, endpoints: Sequence[str], calls: int) -> bool:
        return self.free >= calls

    def bulk_room(self, endpoints: Sequence[str], calls: int) -> Room:
        return Room(min(self.free, calls), timedelta(seconds=0 if self.free else self.every))

    def finish(self, endpoints: Sequence[str], calls: int, pace: timedelta) -> datetime:
        return self.clock() + timedelta(seconds=calls * self.every)

    def note_leavers(self, until: datetime) -> None:
        self.budget.leavers = until

    def leavers_until(self) -> datetime | None:
        return self.budget.leavers

    def room(self, jobs: int) -> int:
        with self.share.room(jobs) as room:
            return room


def test_r25_with_plenty_left_all_may_be_claimed_by_several_at_a_time() -> None:
    shares = Shares(free=300)

    with shares.share.room(100) as one, shares.share.room(100) as another:
        assert (one, another) == (100, 100)


def test_r25_no_more_are_claimed_than_the_budget_pays_for() -> None:
    shares = Shares(free=7)

    assert shares.room(100) == 7
    assert shares.clock() == START


def test_r25_calls_are_waited_for_before_anybody_is_claimed() -> None:
    shares = Shares(free=0, every=3)

    assert shares.room(100) == 1
    assert shares.clock() >= START + timedelta(seconds=3)


def test_r25_nobody_waits_long_for_calls_and_the_queue_brings_the_work_back_in_time() -> None:
    shares = Shares(free=0, every=60)

    with pytest.raises(Limited) as limit:
        shares.room(100)

    assert shares.clock() == START
    assert limit.value.after == timedelta(seconds=57.5)


def test_r25_where_calls_are_scarce_no_two_messages_claim_for_the_same_ones() -> None:
    shares = Shares(free=10)
    took: list[int] = []

    def claim() -> None:
        with shares.share.room(10) as room:
            took.append(room)
            shares.free -= room

    with shares.share.room(10) as first:
        other = threading.Thread(target=claim)
        other.start()
        other.join(0.2)
        assert not took
        shares.free -= first
        shares.free += 3
    other.join(5)

    assert (first, took) == (10, [3])


def test_r25_bulk_work_gives_way_to_leavers_before_each_claim() -> None:
    shares = Shares(free=10)
    shares.budget.leavers = START + timedelta(seconds=20)

    with pytest.raises(Limited) as limit:
        shares.room(100)

    assert limit.value.after == timedelta(seconds=19.3)
    shares.clock.pass_(timedelta(seconds=20))
    assert shares.room(100) == 10


def test_r25_leavers_go_first_for_as_long_as_all_of_them_take() -> None:
    shares = Shares(free=2, every=3, leavers=True)

    assert shares.room(25) == 2
    assert shares.budget.leavers == START + timedelta(seconds=75.5)


# --- the finish --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "run",
    [
        a_run(state="queued"),
        a_run(state="done", done=100),
        a_run(done=90, failed=10),
        replace(a_run(done=10), started_at=None),
    ],
    ids=["queued", "done", "all decided", "not started"],
)
def test_r25_a_run_with_nothing_left_to_foretell_has_no_finish(run: SyncRun) -> None:
    assert Paced().finish(run) is None


def test_r25_a_run_that_waits_ends_when_the_budget_allows() -> None:
    finishes = START + timedelta(hours=8)
    paced = Paced(Waits(finishes=finishes))
    paced.clock.pass_(timedelta(hours=1))

    assert paced.finish(a_run(state="waiting", done=10, waiting_for_budget=90)) == finishes


def test_r25_a_run_that_goes_on_ends_no_sooner_than_its_pace_so_far_says() -> None:
    paced = Paced(Waits(finishes=START))
    paced.clock.pass_(timedelta(minutes=1))

    assert paced.finish(a_run(done=20)) == START + timedelta(minutes=5)
    paced.budget.finishes = START + timedelta(hours=1)
    assert paced.finish(a_run(done=20)) == START + timedelta(hours=1)


# --- in the queues, on the real tables ---------------------------------------------------------


@pytest.fixture
def used_up_world(world: World) -> World:
    """Other bulk work has just spent its share of every endpoint."""
    assert world.bms_settings.held
    world.bms_settings.held = replace(world.bms_settings.held, hourly_limit=100)
    return world


def spend_bulk_share(world: World, but: int = 0) -> None:
    limit = SavedLimit(world.bms_settings, world.clock)
    budget = BmsBudget(world.storage.opened(), limit, world.clock)
    for endpoint in (READ, PATCH, CREATE):
        with suppress(Limited):
            for _ in range(SHARE - but):
                budget.take(endpoint, Lane.BULK)


@pytest.mark.world
def test_r25_a_waiting_message_is_parked_with_nothing_read_and_nothing_failed(
    used_up_world: World,
) -> None:
    world = used_up_world
    people = [world.hire(f"u{number}") for number in range(3)]
    run_id = SyncId("run")
    world.worker.runs.add(SyncRun(run_id, CONNECTION, "full", "queued", world.clock()))
    world.worker.runs.started(run_id, world.clock(), "a")
    world.worker.runs.all_read(run_id, seen=3, unchanged=0, parts=1)
    spend_bulk_share(world)
    looks: list[int] = []
    world.directory.before_look = lambda: looks.append(1)
    world.notice(*people, queue=BULK, origin=Origin.FULL, sync=run_id, part="a-00001")

    world.deliver(within=timedelta(minutes=59))

    assert len(world.inbox.waiting) == 1
    [delta] = world.inbox.deltas(BULK)
    run = world.worker.runs.get(run_id)
    assert run
    assert (run.state, run.waiting_for_budget, run.done, run.failed) == ("waiting", 3, 0, 0)
    assert (delta.users, delta.tries) == (tuple(user.id for user in people), 0)
    assert not looks
    assert world.worker.failures.count() == 0

    world.deliver()
    run = world.worker.runs.get(run_id)
    assert run
    assert (run.state, run.waiting_for_budget, run.done, run.failed) == ("done", 0, 3, 0)


@pytest.mark.world
def test_r25_people_whose_calls_are_not_free_are_not_claimed(used_up_world: World) -> None:
    world = used_up_world
    users = [world.hire(f"u{number}") for number in range(5)]
    people = [user.id for user in users]
    spend_bulk_share(world, but=2)
    links, claimed = TableLinks(world.storage.opened()), [0]

    def count(call: str, moment: str) -> None:
        if (call, moment) == ("bms.create_contact", "before"):
            held = links.get_many(CONNECTION, people).values()
            claimed.append(sum(1 for link in held if link.claim is not None))

    world.worker.tap = count
    world.notice(*users, queue=BULK, origin=Origin.FULL)
    world.deliver(within=timedelta(seconds=10))

    assert max(claimed) == 2
    assert len([write for write in world.bms.writes() if write.endpoint == CREATE]) == 2
    [delta] = world.inbox.deltas(BULK)
    assert len(delta.users) == 3


@pytest.mark.world
def test_r25_deactivations_go_before_other_bulk_work_that_came_earlier(
    used_up_world: World,
) -> None:
    world = used_up_world
    leavers = [world.hire(f"gone{number}") for number in range(3)]
    world.full_sync()
    for user in leavers:
        world.leave(user)
    spend_bulk_share(world)
    world.bms.clear_counters()

    new = [world.hire(f"new{number}") for number in range(3)]
    world.notice(*new, queue=BULK, origin=Origin.FULL)
    world.deliver(within=timedelta(seconds=10))
    world.notice(*leavers, queue=LEAVERS, origin=Origin.FULL)
    world.deliver()

    endpoints = [write.endpoint for write in world.bms.writes()]
    assert endpoints == [PATCH] * 3 + [CREATE] * 3


@pytest.mark.world
def test_r25_fresh_changes_are_made_while_bulk_work_waits(used_up_world: World) -> None:
    world = used_up_world
    ada = world.hire("ada")
    world.full_sync()
    spend_bulk_share(world)
    world.notice(world.hire("new"), queue=BULK, origin=Origin.FULL)
    ada = world.change(ada, surname="Berg")
    world.notice(ada, queue=FRESH)

    world.deliver(within=timedelta(seconds=5))

    assert world.record(ada).last_name == "Berg"
    assert world.inbox.backlog() == {BULK: 1}
