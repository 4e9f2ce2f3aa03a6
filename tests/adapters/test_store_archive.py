"""What is too old goes from every table that grows, and nothing else, on the real emulator."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from shared.adapters.store_archive import TableArchive
from shared.adapters.store_decisions import TableConflicts, TableHolds
from shared.adapters.store_drift import TableDrift
from shared.adapters.store_log import TableActivityLog, TableFailures, TableRuns
from shared.adapters.store_people import TableLinks
from shared.adapters.store_sweeps import TablePendingSignIns, TableWindows
from shared.adapters.tables import Storage
from shared.core.model import Activity, ConnectionId, RecordId, RecordType, SyncId, SyncRun, UserId
from shared.ports import Conflict, Failure, HeldUser, Hold, Part, PendingSignIn, Window
from shared.ports.drift import DriftItem, DriftReading
from tests.builders import CONNECTION, a_link, a_user_id
from tests.fakes import Clock
from tests.real_storage import RealStorage

pytestmark = pytest.mark.world

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
DAY = timedelta(days=1)
LIMIT = NOW - 90 * DAY
OLD, NEW = LIMIT - 2 * DAY, LIMIT + DAY
ADA, BEN = a_user_id("ada"), a_user_id("ben")


@pytest.fixture
def storage(real_storage: RealStorage) -> Storage:
    return real_storage.opened()


@pytest.fixture
def archive(storage: Storage) -> TableArchive:
    return TableArchive(storage)


def an_activity(at: datetime) -> Activity:
    return Activity(at, CONNECTION, "update", f"{at}", "sweep")


def a_run(name: str, at: datetime, state: str = "done") -> SyncRun:
    return SyncRun(SyncId(name), CONNECTION, "full", state, at)


def parts_of(storage: Storage, run: str) -> int:
    rows = storage.table("syncs").query("PartitionKey eq @p", parameters={"p": run})
    return sum(1 for _ in rows)


def test_activity_goes_by_whole_days_through_many_pages(
    storage: Storage, archive: TableArchive
) -> None:
    log = TableActivityLog(storage)
    log.add([an_activity(OLD) for _ in range(1_150)])
    log.add([an_activity(OLD - 300 * DAY), an_activity(NEW), an_activity(NOW)])
    log.add([an_activity(LIMIT)])

    assert archive.remove_before(LIMIT) == 1_151

    left, _ = log.list(limit=10)
    assert [one.at for one in left] == [NOW, NEW, LIMIT]
    assert archive.remove_before(LIMIT) == 0


def test_ended_runs_go_with_their_parts(storage: Storage, archive: TableArchive) -> None:
    runs = TableRuns(storage, Clock(NOW))
    for name, at in (("old", OLD), ("new", NEW)):
        runs.add(a_run(name, at))
        for number in range(130):
            runs.part(Part(SyncId(name), f"a-{number:05d}", 1, 0, at))

    assert archive.remove_before(LIMIT) == 131

    assert runs.get(SyncId("old")) is None
    assert parts_of(storage, "old") == 0
    assert runs.get(SyncId("new")) is not None
    assert parts_of(storage, "new") == 130


@pytest.mark.parametrize("state", ["queued", "running", "waiting"])
def test_a_run_that_is_under_way_stays_however_short_the_setting_is(
    storage: Storage, archive: TableArchive, state: str
) -> None:
    runs = TableRuns(storage, Clock(NOW))
    runs.add(a_run("long", NOW - 2 * DAY, state))
    runs.add(a_run("forgotten", NOW - 9 * DAY, state))

    archive.remove_before(NOW - DAY)

    assert runs.get(SyncId("long")) is not None
    assert runs.get(SyncId("forgotten")) is None


def a_hold(name: str, at: datetime, state: str) -> Hold:
    return Hold(f"{CONNECTION}-{name}", CONNECTION, at, at + 7 * DAY, state)


@pytest.mark.parametrize(
    ("at", "state", "of_ben", "stays"),
    [
        (OLD, "decided", "approved", False),
        (OLD, "decided", "back", False),
        (OLD, "expired", "back", False),
        (OLD, "decided", "refused", True),
        (OLD, "expired", "expired", True),
        (OLD, "open", "waiting", True),
        (NEW, "decided", "approved", True),
    ],
)
def test_a_hold_goes_once_it_is_old_and_nobody_in_it_waits_for_another_word_r20(
    storage: Storage, archive: TableArchive, at: datetime, state: str, of_ben: str, *, stays: bool
) -> None:
    holds = TableHolds(storage)
    hold = a_hold("1", at, state)
    holds.put(hold)
    people = [HeldUser(ADA, RecordId(1), "", state="approved")]
    holds.put_people(hold, [*people, HeldUser(BEN, RecordId(2), "", state=of_ben)])

    removed = archive.remove_before(LIMIT)

    assert removed == (0 if stays else 3)
    assert (holds.get(hold.id) is not None) is stays
    assert len(holds.people(hold)) == (2 if stays else 0)


def test_a_large_hold_goes_whole(storage: Storage, archive: TableArchive) -> None:
    holds = TableHolds(storage)
    hold = a_hold("1", OLD, "decided")
    holds.put(hold)
    people = [
        HeldUser(UserId(f"u{number:04d}"), None, "", state="approved") for number in range(1_101)
    ]
    holds.put_people(hold, people)

    archive.remove_before(LIMIT)

    assert holds.people(hold) == []
    assert holds.list() == []


def test_a_choice_goes_when_nothing_else_is_known_of_its_user_r9(
    storage: Storage, archive: TableArchive
) -> None:
    conflicts, links = TableConflicts(storage), TableLinks(storage)
    for name, at, state in (
        ("gone", OLD, "resolved"),
        ("linked", OLD, "resolved"),
        ("recent", NEW, "resolved"),
        ("open", OLD, "open"),
    ):
        user = a_user_id(name)
        conflicts.put(Conflict(CONNECTION, user, (RecordId(1),), "", at, state, ignore=True))
    links.save([a_link("linked")])

    assert archive.remove_before(LIMIT) == 1

    left = {one.user_id for one in conflicts.list()}
    assert left == {a_user_id(name) for name in ("linked", "recent", "open")}


def test_sign_ins_that_never_came_back_go(storage: Storage, archive: TableArchive) -> None:
    pending = TablePendingSignIns(storage)
    for name, at in (("old", OLD), ("new", NOW)):
        pending.add(PendingSignIn(name, "cookie", CONNECTION, at))

    archive.remove_before(LIMIT)

    assert pending.take("old") is None
    assert pending.take("new") is not None


def test_what_is_alive_stays_however_old(storage: Storage, archive: TableArchive) -> None:
    links, windows, failures = TableLinks(storage), TableWindows(storage), TableFailures(storage)
    links.save([a_link("ada", updated_at=OLD)])
    windows.save(CONNECTION, Window({ADA: OLD}, 12))
    failures.add(Failure("f", CONNECTION, OLD, "poison", "s", "n", "m", "user-deltas"))

    assert archive.remove_before(NOW) == 0

    assert links.get(CONNECTION, ADA) is not None
    assert windows.get(CONNECTION) is not None
    assert failures.count() == 1


def test_other_connections_holds_of_the_same_name_are_told_apart(
    storage: Storage, archive: TableArchive
) -> None:
    holds, other = TableHolds(storage), ConnectionId("fabrikam")
    mine = a_hold("1", OLD, "decided")
    theirs = Hold("fabrikam-1", other, NEW, NEW + DAY, "open")
    holds.put(mine)
    holds.put(theirs)

    archive.remove_before(LIMIT)

    assert holds.list() == [theirs]


def test_old_comparisons_go_and_nothing_is_told_of_one_that_is_gone(
    storage: Storage, archive: TableArchive
) -> None:
    drift = TableDrift(storage)
    old, new = ConnectionId("old"), ConnectionId("new")
    for connection, at in ((old, OLD), (new, NEW)):
        assert drift.begin(connection, at, timedelta(minutes=15))
        drift.replace_all(
            connection,
            [
                DriftItem(
                    connection,
                    ADA,
                    "Ada",
                    RecordType.CONTACT,
                    RecordId(1),
                    None,
                    "",
                    True,
                    (),
                    at,
                )
            ],
        )
        assert drift.progress(DriftReading(connection, at))

    assert archive.remove_before(LIMIT) == 2

    assert drift.list(old, text="", limit=10, cursor=None) == ([], None)
    assert drift.reading(old).read_at is None
    assert drift.reading(new).read_at == NEW
    assert len(drift.list(new, text="", limit=10, cursor=None)[0]) == 1
    assert not drift.progress(DriftReading(old, NOW))
    assert drift.reading(old).read_at is None
