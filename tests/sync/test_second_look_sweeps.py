"""Nothing that happens once ends the sweeps (R21, R23, R24)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import cast

import pytest

from shared.core.messages import SweepOrder
from shared.core.model import SyncId
from shared.core.signin_trouble import SIGN_IN_CODES
from shared.errors import PersonMustAct, SyncError, TryLater
from shared.sync.full_sync import FullSync
from tests.builders import CONNECTION
from tests.sync.office import ADA, MINUTE, OTHER, SOON, STAFF, Died, Office


@pytest.fixture
def office() -> Office:
    return Office()


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


# --- delta links that have to be begun anew ----------------------------------------------------


def test_a_crash_between_ordering_the_full_sync_and_emptying_the_links_ends_nothing_r23(
    office: Office,
) -> None:
    office.tenant.dead = {"users-0"}
    office.state.dies = True
    with pytest.raises(Died):
        office.run()
    office.state.dies = False

    office.minutes(3)

    assert "users-0" not in office.cursors.users_link
    assert office.sweeps_live()


@pytest.mark.parametrize("emptied", [False, True], ids=["a dead link", "emptied links"])
def test_a_full_sync_that_could_not_be_queued_is_ordered_again_r23(
    office: Office, emptied: bool
) -> None:
    office.tenant.dead = {"users-0"}
    if emptied:
        office.state.save_cursors(replace(office.cursors, users_link="", groups_link=""))
    office.queues.down = TryLater("The queues are away.")
    with suppress(SyncError):
        office.run()
    office.queues.down = None

    office.minutes(5)

    assert office.sweeps_live()


@pytest.mark.parametrize("code", [sorted(SIGN_IN_CODES)[0], "graph-refused"])
def test_a_full_sync_that_failed_ends_no_sweeps_once_the_cause_is_mended_r23_r30(
    office: Office, code: str
) -> None:
    office.tenant.dead = {"users-0"}
    office.run()
    office.tenant.down = PersonMustAct("Entra refuses.", "Mend it in Entra.", code=code)
    office.work_off()
    (failed,) = office.runs.held.values()
    assert failed.state == "failed"
    office.tenant.down = None

    office.minutes(40)  # a blocked connection is probed every quarter of an hour

    assert office.sweeps_live()


def test_while_the_links_are_begun_anew_one_full_sync_is_ordered_r23(office: Office) -> None:
    office.tenant.dead = {"users-0"}
    office.run()

    for _ in range(5):
        office.run()

    assert [order.kind for order in office.taken()] == ["full"]


def read_elsewhere(office: Office) -> None:
    """Another instance reads the same round and saves its cursor first."""
    assert office.state.save_cursors(office.cursors)


@pytest.mark.parametrize("how", ["dead", "emptied", "overtaken"])
def test_a_persons_sweep_that_meets_no_living_link_ends_r23(office: Office, how: str) -> None:
    if how == "dead":
        office.tenant.dead = {"users-0"}
    elif how == "emptied":
        office.state.save_cursors(replace(office.cursors, users_link="", groups_link=""))
    else:
        office.tenant.changed = [ADA]
        office.tenant.during = lambda: read_elsewhere(office)

    office.run(sync=office.asked())

    assert office.runs.held[SyncId("asked")].state == "done"


# --- orders that meet a running sweep ----------------------------------------------------------


class Round:
    """Blocks the first delta round until it is let go; later rounds go through."""

    def __init__(self, office: Office, threads: ThreadPoolExecutor, **order: object) -> None:
        self.began, self.go = threading.Event(), threading.Event()
        office.tenant.during = self._wait
        self.errors: list[BaseException | None] = []
        self.then: BaseException | None = None
        self.future: Future[None] = threads.submit(office.run, **order)
        assert self.began.wait(SOON)

    def _wait(self) -> None:
        if not self.began.is_set():
            self.began.set()
            assert self.go.wait(SOON)
        elif self.errors:
            error = self.errors.pop(0)
            if error is not None:
                raise error
        if self.then is not None:
            error, self.then = self.then, None
            raise error

    def end(self) -> None:
        self.go.set()
        self.future.result(SOON)


def test_a_persons_sweep_during_another_is_carried_out_and_stops_no_later_one_r21_r23(
    office: Office, threads: ThreadPoolExecutor
) -> None:
    running = Round(office, threads)
    threads.submit(office.run, sync=office.asked()).result(SOON)
    running.end()
    assert office.tenant.rounds == 1

    office.work_off()

    assert office.runs.held[SyncId("asked")].state == "done"
    assert office.tenant.rounds == 2
    assert office.sweeps_live()


def test_orders_that_wait_become_one_round_and_each_persons_run_ends_r21(
    office: Office, threads: ThreadPoolExecutor
) -> None:
    office.tenant.changed = [ADA]
    early, late = office.clock() - MINUTE, office.clock()
    running = Round(office, threads)
    for number in range(3):
        office.run(groups=(STAFF,), signal_at=late)
        office.run(groups=(OTHER,), signal_at=early)
        office.run(sync=office.asked(f"asked{number}"))

    running.end()

    assert office.tenant.rounds == 2, "six notices are one more round"
    assert office.queues.fresh[-1].signal_at == early
    orders = office.taken()
    assert {order.groups for order in orders if order.looks} == {(STAFF, OTHER)}
    persons = [order for order in orders if order.sync is not None]
    assert len(persons) == 3
    for order in persons:
        office.sweep.handle(order)
    assert {run.state for run in office.runs.held.values()} == {"done"}
    assert office.sweeps_live()


def test_a_later_rounds_trouble_does_not_undo_a_persons_run_r23(
    office: Office, threads: ThreadPoolExecutor
) -> None:
    running = Round(office, threads, sync=office.asked())
    running.errors = [PersonMustAct("Entra refuses.", "Mend it.", code="graph-refused")]
    office.run(groups=(STAFF,), signal_at=office.clock())

    running.end()

    assert office.runs.held[SyncId("asked")].state == "done"
    assert office.sweeps_live()


@pytest.mark.parametrize(
    "error", [TryLater("Graph broke off."), RuntimeError("a bug")], ids=["expected", "unexpected"]
)
def test_what_waits_behind_a_sweep_that_fails_is_not_lost_r23_r24(
    office: Office, threads: ThreadPoolExecutor, error: Exception
) -> None:
    running = Round(office, threads)
    running.then = error
    office.run(sync=office.asked())
    office.run(groups=(STAFF,), signal_at=office.clock())

    with suppress(RuntimeError):
        running.end()
    office.work_off()

    assert office.runs.held[SyncId("asked")].state == "done"
    assert office.tenant.rounds >= 2
    assert office.sweeps_live()


# --- full syncs wait in the queue --------------------------------------------------------------


def test_more_than_two_full_syncs_wait_in_the_queue_and_hold_no_thread_r21_r24(
    office: Office, threads: ThreadPoolExecutor
) -> None:
    begun, go = threading.Semaphore(0), threading.Event()

    class Slow:
        def run(self, order: SweepOrder, sync_id: SyncId, origin: object) -> None:
            begun.release()
            assert go.wait(SOON)
            raise RuntimeError("even a bug gives its place back")

    office.sweep = office.a_worker(cast(FullSync, Slow()))
    running = [
        threads.submit(office.run, kind="full", sync=SyncId(f"full{number}")) for number in range(2)
    ]
    assert all(begun.acquire(timeout=SOON) for _ in running)

    waiting = SweepOrder(CONNECTION, "full", sync=SyncId("third"), tries=3)
    threads.submit(office.sweep.handle, waiting).result(SOON)

    ((order, delay),) = office.queues.sweep_orders
    assert order == waiting, "waiting is no try"
    assert delay is not None
    assert timedelta(0) < delay <= timedelta(seconds=30)
    office.tenant.changed = [ADA]
    threads.submit(office.run).result(SOON)
    assert office.queues.fresh, "sweeps go on meanwhile"
    go.set()
    for one in running:
        assert isinstance(one.exception(SOON), RuntimeError)
    office.taken()
    with suppress(RuntimeError):
        office.sweep.handle(waiting)
    assert office.taken() == [], "its turn has come"
