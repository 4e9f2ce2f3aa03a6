"""Activity, runs and failures on the real storage emulator."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from shared.adapters.store_log import TableActivityLog, TableFailures, TableRuns, backwards
from shared.adapters.tables import Storage
from shared.core.model import (
    Activity,
    ConnectionId,
    FieldChange,
    RecordId,
    RuleId,
    SyncId,
    SyncRun,
    UserId,
)
from shared.errors import BadInput
from shared.ports import Failure, Part
from tests.builders import LONG_AGO, a_user_id
from tests.fakes import Clock
from tests.real_storage import RealStorage

pytestmark = pytest.mark.world

ONE, TWO = ConnectionId("one"), ConnectionId("two")
DAY, HOUR, SECOND = timedelta(days=1), timedelta(hours=1), timedelta(seconds=1)
AWKWARD = 'Łukasz O\'Neil "the 3rd" <&> 日本 🙂 %27 \\'
ADA, BEN = a_user_id("ada"), a_user_id("ben")


@pytest.fixture
def storage(real_storage: RealStorage) -> Storage:
    return real_storage.opened()


@pytest.fixture
def log(storage: Storage) -> TableActivityLog:
    return TableActivityLog(storage)


# --- activity --------------------------------------------------------------------------------


def an_activity(at: datetime = LONG_AGO, **fields: object) -> Activity:
    return Activity(
        **{  # type: ignore[arg-type]
            "at": at,
            "connection_id": ONE,
            "kind": "update",
            "reason": "changed in Entra",
            "origin": "sweep",
            **fields,
        }
    )


def shown(
    log: TableActivityLog, *, limit: int = 100, **filters: object
) -> list[tuple[str, datetime]]:
    """Everything, page after page, as (reason, at)."""
    found: list[tuple[str, datetime]] = []
    cursor: str | None = None
    for _ in range(100):
        items, cursor = log.list(limit=limit, cursor=cursor, **filters)  # type: ignore[arg-type]
        assert len(items) <= limit
        found += [(item.reason, item.at) for item in items]
        if cursor is None:
            return found
    raise AssertionError("the pages never end")


def test_an_activity_comes_back_with_every_field(log: TableActivityLog) -> None:
    full = an_activity(
        LONG_AGO + timedelta(microseconds=1234),
        kind="merge",
        reason=AWKWARD,
        user_id=ADA,
        display_name=AWKWARD,
        record_id=RecordId(500),
        rule_id=RuleId("rule"),
        changes=(FieldChange("first name", "", AWKWARD), FieldChange("e-mail", "a", "b")),
        notes=(AWKWARD, "two"),
        signal_at=LONG_AGO - SECOND,
        signal_is_upper_bound=True,
    )
    least = an_activity(LONG_AGO - DAY)

    log.add([full, least])

    items, cursor = log.list()
    assert [replace(item, id="") for item in items] == [full, least]
    assert all(item.id for item in items)
    assert items[0].id != items[1].id
    assert cursor is None
    assert log.list(limit=5, kind="none") == ([], None)


@pytest.mark.parametrize("limit", [1, 4, 10, 100], ids=lambda limit: f"pages of {limit}")
def test_activity_is_newest_first_over_several_days(log: TableActivityLog, limit: int) -> None:
    times = [LONG_AGO + number * timedelta(hours=7) for number in range(20)]
    for at in (*times[::2], *times[1::2]):
        log.add([an_activity(at, reason=at.isoformat())])

    found = shown(log, limit=limit)

    assert [at for _, at in found] == times[::-1]


def test_hundreds_in_one_moment_are_all_there_once(log: TableActivityLog) -> None:
    log.add([an_activity(LONG_AGO, reason=str(number)) for number in range(230)])

    reasons = [reason for reason, _ in shown(log, limit=37)]

    assert sorted(reasons, key=int) == [str(number) for number in range(230)]


def test_what_comes_in_while_somebody_pages_shifts_nothing(log: TableActivityLog) -> None:
    log.add([an_activity(LONG_AGO + n * HOUR, reason=str(n)) for n in range(6)])
    first, cursor = log.list(limit=3)

    log.add([an_activity(LONG_AGO + 9 * HOUR, reason="new")])
    second, end = log.list(limit=3, cursor=cursor)

    assert [item.reason for item in (*first, *second)] == ["5", "4", "3", "2", "1", "0"]
    assert end is None


def test_activity_is_filtered_by_everything_asked_for(log: TableActivityLog) -> None:
    for days in range(4):
        at = LONG_AGO + days * DAY
        log.add(
            [
                an_activity(at, reason=f"a{days}", user_id=ADA, kind="create"),
                an_activity(at + SECOND, reason=f"b{days}", user_id=BEN),
                an_activity(at, reason=f"t{days}", user_id=ADA, connection_id=TWO),
            ]
        )

    def reasons(**filters: object) -> list[str]:
        return [reason for reason, _ in shown(log, limit=2, **filters)]

    assert reasons(connection_id=TWO) == ["t3", "t2", "t1", "t0"]
    assert reasons(connection_id=ONE, user_id=ADA) == ["a3", "a2", "a1", "a0"]
    assert reasons(kind="create") == ["a3", "a2", "a1", "a0"]
    assert reasons(user_id=BEN, since=LONG_AGO + 2 * DAY) == ["b3", "b2"]
    assert reasons(connection_id=ONE, kind="create", user_id=BEN) == []


def test_since_takes_in_the_moment_itself_and_nothing_before(log: TableActivityLog) -> None:
    log.add([an_activity(LONG_AGO + n * SECOND, reason=str(n)) for n in range(-2, 3)])

    assert [reason for reason, _ in shown(log, since=LONG_AGO)] == ["2", "1", "0"]


def test_since_may_be_said_in_another_zone(log: TableActivityLog) -> None:
    log.add([an_activity(LONG_AGO - HOUR, reason="before"), an_activity(reason="at")])
    elsewhere = datetime.fromisoformat("2025-01-15T23:00:00+15:00")
    assert elsewhere == LONG_AGO

    assert [reason for reason, _ in shown(log, since=elsewhere)] == ["at"]


@pytest.mark.parametrize("cursor", ["", "x", "12345", "a/b", "20250115/"])
def test_a_cursor_that_no_list_gave_out_is_refused(log: TableActivityLog, cursor: str) -> None:
    with pytest.raises(BadInput):
        log.list(cursor=cursor)


def test_an_id_with_a_quote_finds_nothing_and_harms_nothing(log: TableActivityLog) -> None:
    log.add([an_activity(user_id=UserId("o'neil")), an_activity(user_id=ADA)])

    assert len(shown(log, user_id=UserId("o'neil"))) == 1
    assert shown(log, user_id=UserId("' or kind ne '")) == []


# --- runs ------------------------------------------------------------------------------------

RUN = SyncId("run-1")


@pytest.fixture
def clock() -> Clock:
    return Clock(LONG_AGO)


@pytest.fixture
def runs(storage: Storage, clock: Clock) -> TableRuns:
    return TableRuns(storage, clock)


def a_run(run_id: SyncId = RUN, **fields: object) -> SyncRun:
    given = {
        "id": run_id,
        "connection_id": ONE,
        "kind": "full",
        "state": "queued",
        "requested_at": LONG_AGO,
        "reason": AWKWARD,
        **fields,
    }
    return SyncRun(**given)  # type: ignore[arg-type]


def a_part(number: int, attempt: str = "one", **fields: object) -> Part:
    given = {
        "sync_id": RUN,
        "part": f"{attempt}-{number:05d}",
        "done": 10,
        "failed": 0,
        "finished_at": LONG_AGO + HOUR,
        **fields,
    }
    return Part(**given)  # type: ignore[arg-type]


def standing(runs: TableRuns) -> SyncRun:
    found = runs.get(RUN)
    assert found is not None
    return found


def test_a_run_is_queued_then_running_then_done(runs: TableRuns, clock: Clock) -> None:
    runs.add(a_run())
    assert standing(runs) == a_run()

    clock.pass_(SECOND)
    runs.started(RUN, clock(), "one")
    assert (standing(runs).state, standing(runs).started_at) == ("running", LONG_AGO + SECOND)
    runs.seen(RUN, 500)
    assert standing(runs).seen == 500

    runs.all_read(RUN, seen=1000, unchanged=980, parts=2)
    assert (standing(runs).state, standing(runs).done) == ("running", 980)
    runs.part(a_part(1, finished_at=LONG_AGO + HOUR))
    assert (standing(runs).state, standing(runs).done) == ("running", 990)
    runs.part(a_part(2, done=9, failed=1, finished_at=LONG_AGO + 2 * HOUR))

    done = standing(runs)
    assert (done.state, done.seen, done.done, done.failed) == ("done", 1000, 999, 1)
    assert done.finished_at == LONG_AGO + 2 * HOUR
    assert standing(runs) == done, "the same from what is kept of it"


def test_a_run_with_nothing_to_do_is_done_when_read(runs: TableRuns, clock: Clock) -> None:
    runs.add(a_run())
    runs.started(RUN, LONG_AGO, "one")
    clock.pass_(HOUR)

    runs.all_read(RUN, seen=20, unchanged=20, parts=0)

    run = standing(runs)
    assert (run.state, run.done, run.finished_at) == ("done", 20, LONG_AGO + HOUR)


def test_a_part_that_arrives_twice_counts_once_r22(runs: TableRuns) -> None:
    runs.add(a_run())
    runs.started(RUN, LONG_AGO, "one")
    runs.all_read(RUN, seen=30, unchanged=0, parts=3)
    for _ in range(2):
        runs.part(a_part(1))
        runs.part(a_part(2))

    assert (standing(runs).state, standing(runs).done) == ("running", 20)


def test_parts_that_finish_before_all_is_read_count_too(runs: TableRuns) -> None:
    runs.add(a_run())
    runs.started(RUN, LONG_AGO, "one")
    runs.part(a_part(1))

    runs.all_read(RUN, seen=10, unchanged=0, parts=1)

    assert (standing(runs).state, standing(runs).done) == ("done", 10)


def test_parts_of_a_former_attempt_are_ignored_r23(runs: TableRuns) -> None:
    runs.add(a_run())
    runs.started(RUN, LONG_AGO, "one")
    runs.part(a_part(1, "one"))
    runs.part(a_part(2, "one"))
    runs.started(RUN, LONG_AGO, "two")
    runs.all_read(RUN, seen=10, unchanged=0, parts=1)
    assert (standing(runs).state, standing(runs).done) == ("running", 0)

    runs.part(a_part(1, "two"))

    assert (standing(runs).state, standing(runs).done) == ("done", 10)


def test_a_part_that_handed_its_rest_on_is_not_finished(runs: TableRuns) -> None:
    runs.add(a_run())
    runs.started(RUN, LONG_AGO, "one")
    runs.all_read(RUN, seen=100, unchanged=0, parts=1)

    runs.part(a_part(1, done=40, waiting_for_budget=60, finished=False))
    run = standing(runs)
    assert (run.state, run.done, run.waiting_for_budget) == ("waiting", 40, 60)

    runs.part(a_part(1, done=100))
    run = standing(runs)
    assert (run.state, run.done, run.waiting_for_budget) == ("done", 100, 0)


def test_a_failed_run_says_why_and_ignores_what_comes_after(runs: TableRuns) -> None:
    runs.add(a_run())
    runs.started(RUN, LONG_AGO, "one")

    runs.failed(RUN, LONG_AGO + HOUR, AWKWARD)
    runs.part(a_part(1))

    run = standing(runs)
    assert (run.state, run.reason, run.finished_at) == ("failed", AWKWARD, LONG_AGO + HOUR)


def test_runs_are_listed_newest_first_and_page(runs: TableRuns) -> None:
    ids = [SyncId(backwards(LONG_AGO + number * HOUR)) for number in range(5)]
    for run_id in ids:
        runs.add(a_run(run_id))
    runs.add(a_run(SyncId(backwards(LONG_AGO + 9 * HOUR)), connection_id=TWO))

    first, cursor = runs.list(connection_id=ONE, limit=3)
    rest, end = runs.list(connection_id=ONE, limit=3, cursor=cursor)

    assert [run.id for run in (*first, *rest)] == ids[::-1]
    assert end is None
    assert len(runs.list(limit=100)[0]) == 6


def test_what_happens_to_an_unknown_run_harms_nothing(runs: TableRuns) -> None:
    runs.started(RUN, LONG_AGO, "one")
    runs.seen(RUN, 5)
    runs.failed(RUN, LONG_AGO, "why")

    assert runs.get(RUN) is None


# --- failures --------------------------------------------------------------------------------


def test_failures_come_back_newest_first(storage: Storage) -> None:
    failures = TableFailures(storage)
    kept = [
        Failure(
            id=f"{name}-failure",
            connection_id=ONE,
            at=LONG_AGO + hours * HOUR,
            cause="poison",
            sentence=AWKWARD,
            next_step="Mend it.",
            message="x" * 30_000,
            queue="user-deltas",
        )
        for name, hours in (("b", 1), ("c", 2), ("a", 0))
    ]
    for failure in kept:
        failures.add(failure)

    assert failures.count() == 3
    assert failures.list() == [kept[1], kept[0], kept[2]]


def test_the_longest_message_that_a_queue_holds_can_be_kept_r24(storage: Storage) -> None:
    failures = TableFailures(storage)
    longest = "x" * (48 * 1024)

    failures.add(Failure("one", ONE, LONG_AGO, "poison", "", "", longest, "user-deltas"))

    assert failures.list()[0].message == longest
