"""Upgrades of the tables on the real storage emulator: once, by one instance, to the end."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from shared import VERSION
from shared.adapters.schema import STEPS, Step, TableSchema
from shared.adapters.store_connections import TableConnections, TableRules
from shared.adapters.store_decisions import TableConflicts, TableHolds
from shared.adapters.store_people import TableLinks
from shared.adapters.tables import Storage, Write
from shared.core.model import HoldMark, Link, Trouble
from shared.core.rules import version_of
from shared.errors import Misconfigured, TryLater
from shared.ports import Conflict, Hold
from tests.builders import CONNECTION, LONG_AGO, a_connection, a_link, a_rule, a_user_id
from tests.fakes import START, Clock
from tests.real_storage import RealStorage

pytestmark = pytest.mark.world

KEYS = {"PartitionKey": "settings", "RowKey": "schema"}


@pytest.fixture
def storage(real_storage: RealStorage) -> Storage:
    return real_storage.opened()


@dataclass
class Instance:
    """One process of the app, as far as the schema goes. Waiting moves its own clock."""

    storage: Storage
    clock: Clock = field(default_factory=Clock)
    steps: tuple[Step, ...] = STEPS
    waited: float = 0.0

    def __post_init__(self) -> None:
        self.schema = TableSchema(
            self.storage,
            self.clock,
            steps=self.steps,
            clock=lambda: self.waited,
            sleep=self._wait,
        )

    def _wait(self, seconds: float) -> None:
        self.waited += seconds


def version_in(storage: Storage) -> tuple[int, str]:
    entity = storage.table("settings").get("settings", "schema") or {}
    return int(entity["version"]), str(entity["by"])


def put_version(storage: Storage, version: int, by: str = "9.9.9", **members: Any) -> None:
    entity = {**KEYS, "version": version, "by": by, "leasedBy": "", "leasedUntil": "", **members}
    storage.table("settings").write(Write(entity))


def strip(storage: Storage, table: str, *names: str) -> None:
    """Make every row of a table one that an older release wrote: without these members."""
    for entity in list(storage.table(table).query("")):
        old = {name: value for name, value in entity.items() if name not in (*names, "etag")}
        storage.table(table).write(Write(old))


def rows(storage: Storage, table: str) -> list[dict[str, Any]]:
    return [
        {name: value for name, value in entity.items() if name != "etag"}
        for entity in storage.table(table).query("")
    ]


# --- what the step does ------------------------------------------------------------------------


def first_release(storage: Storage, **connection: Any) -> None:
    """Tables as the first release left them: one connection, one rule, two links, a conflict."""
    TableConnections(storage).add(a_connection(**connection))
    TableRules(storage).make_live(CONNECTION, [a_rule()])
    TableLinks(storage).save([a_link("ada"), a_link("bo", record_id=None)])
    TableConflicts(storage).put(Conflict(CONNECTION, a_user_id("bo"), (), "several", LONG_AGO))
    strip(storage, "connections", "liveRules", "comparedEdit", "resumedAt")
    strip(storage, "links", "hold", "inConflict")
    strip(storage, "conflicts", "state", "chosen", "create", "ignore")


def test_new_tables_are_of_the_newest_version_at_once(storage: Storage) -> None:
    Instance(storage).schema.bring_up()

    assert version_in(storage) == (1 + len(STEPS), VERSION)


def test_tables_of_the_first_release_get_every_member_that_rows_have_today(
    storage: Storage,
) -> None:
    first_release(storage)
    before = {name: rows(storage, name) for name in ("connections", "links", "conflicts")}

    Instance(storage).schema.bring_up()

    [connection] = rows(storage, "connections")
    assert connection["liveRules"] == version_of([a_rule()])
    assert (connection["comparedEdit"], connection["resumedAt"]) == ("", "")
    assert all(link["hold"] == HoldMark.NONE for link in rows(storage, "links"))
    [conflict] = rows(storage, "conflicts")
    assert (conflict["state"], conflict["chosen"]) == ("open", -1)
    assert (conflict["create"], conflict["ignore"]) == (False, False)
    for name, old_rows in before.items():
        for old, new in zip(old_rows, rows(storage, name), strict=True):
            assert old.items() <= new.items(), f"{name} keeps what it had"


def test_r9_a_user_whose_conflict_is_open_is_looked_at_again_by_a_full_sync(
    storage: Storage,
) -> None:
    first_release(storage)

    Instance(storage).schema.bring_up()

    links: list[Link] = [link for page in TableLinks(storage).all(CONNECTION) for link in page]
    assert {link.user_id: link.in_conflict for link in links} == {
        a_user_id("ada"): False,
        a_user_id("bo"): True,
    }


def a_leavers_trouble() -> Trouble:
    return Trouble("leavers", "70 people would be deactivated at once.", "Full sync.", LONG_AGO)


def test_r20_leavers_that_stopped_the_release_before_are_compared_again(storage: Storage) -> None:
    other = Trouble("rule-group", "A group is gone.", "Restore it.", LONG_AGO)
    first_release(storage, troubles=(a_leavers_trouble(), other), compared_edit=LONG_AGO)

    Instance(storage).schema.bring_up()

    [after] = TableConnections(storage).list()
    assert [trouble.code for trouble in after.troubles] == ["rule-group"]
    assert after.rules_edited_at is not None, "the timer sees an edit"
    assert after.compared_edit is None, "that nobody was compared by"


def test_r20_leavers_that_wait_in_a_hold_stay_there(storage: Storage) -> None:
    first_release(storage, troubles=(a_leavers_trouble(),))
    TableHolds(storage).add(Hold(f"{CONNECTION}-1", CONNECTION, LONG_AGO, START))

    Instance(storage).schema.bring_up()

    [after] = TableConnections(storage).list()
    assert [trouble.code for trouble in after.troubles] == ["leavers"]


def test_a_row_that_has_everything_is_not_written(storage: Storage) -> None:
    TableLinks(storage).save([a_link("ada", in_conflict=True, hold=HoldMark.REFUSED)])
    [before] = list(storage.table("links").query(""))

    Instance(storage).schema.bring_up()

    assert list(storage.table("links").query("")) == [before]


def test_thousands_of_rows_are_brought_up(storage: Storage) -> None:
    links = [a_link(f"user-{number:04d}") for number in range(1203)]
    storage.table("links").write_all(
        [
            Write({"PartitionKey": CONNECTION, "RowKey": link.user_id, "state": "active"})
            for link in links
        ]
    )

    Instance(storage).schema.bring_up()

    after = rows(storage, "links")
    assert len(after) == 1203
    assert all(row["hold"] == "" and row["inConflict"] is False for row in after)


def test_what_a_worker_writes_meanwhile_is_not_overwritten_r22(storage: Storage) -> None:
    first_release(storage)
    links = TableLinks(storage)
    real = storage.table("links").write_all
    interfered: list[bool] = []

    def write_all(writes: list[Write]) -> dict[int, str]:
        if not interfered:
            interfered.append(True)
            entity = storage.table("links").get(CONNECTION, a_user_id("ada")) or {}
            etag = str(entity.pop("etag"))
            real([Write({**entity, "reason": "written meanwhile"}, etag=etag)])
        return real(writes)

    storage.table("links").write_all = write_all  # type: ignore[method-assign,assignment]
    Instance(storage).schema.bring_up()

    link = links.get(CONNECTION, a_user_id("ada"))
    assert link is not None
    assert link.reason == "written meanwhile"
    assert "hold" in (storage.table("links").get(CONNECTION, a_user_id("ada")) or {})


# --- once, by one, to the end ------------------------------------------------------------------


@dataclass
class Counted:
    """A step that counts how often it was begun and ended; `before` runs in its middle."""

    begun: int = 0
    ended: int = 0
    before: Callable[[], None] | None = None

    def __call__(self, storage: Storage) -> Iterator[None]:
        self.begun += 1
        yield
        if self.before:
            self.before()
        yield
        self.ended += 1


def test_after_the_first_time_a_process_never_asks_again(storage: Storage) -> None:
    one = Instance(storage)
    one.schema.bring_up()
    storage.table("settings").write(Write({**KEYS}, delete=True))

    one.schema.bring_up()

    assert storage.table("settings").get("settings", "schema") is None


def test_of_instances_that_start_together_one_goes_the_steps(real_storage: RealStorage) -> None:
    step, start = Counted(), threading.Barrier(4)

    def begin(_: int) -> None:
        one = TableSchema(real_storage.opened(), Clock(), steps=(step,))
        start.wait()
        one.bring_up()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(begin, range(4)))

    assert (step.begun, step.ended) == (1, 1)
    assert version_in(real_storage.opened()) == (2, VERSION)


def test_triggers_of_one_process_that_begin_together_go_the_steps_once(storage: Storage) -> None:
    step, start = Counted(), threading.Barrier(6)
    schema = TableSchema(storage, Clock(), steps=(step,))

    def begin(_: int) -> None:
        start.wait()
        schema.bring_up()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(begin, range(6)))

    assert step.begun == 1


def test_who_comes_while_another_instance_is_at_it_is_told_to_come_later(
    storage: Storage,
) -> None:
    second = Instance(storage, steps=(Counted(),))
    met: list[TryLater] = []

    def meanwhile() -> None:
        with pytest.raises(TryLater) as refused:
            second.schema.bring_up()
        met.append(refused.value)

    Instance(storage, steps=(Counted(before=meanwhile),)).schema.bring_up()

    assert "brought to version 2" in met[0].sentence
    assert not met[0].counts, "waiting is no failure"
    assert second.waited > 0, "it waited for a moment first"
    second.schema.bring_up()


class Crash(BaseException):
    """The process is gone."""


def crash() -> None:
    raise Crash


def test_a_crash_in_the_middle_is_taken_up_again_when_the_lease_has_ended(
    storage: Storage,
) -> None:
    done, clock = Counted(), Clock()
    dying = Instance(storage, clock, steps=(done, Counted(before=crash)))
    with pytest.raises(Crash):
        dying.schema.bring_up()
    assert version_in(storage)[0] == 2, "the first step is noted"

    second = Counted()
    heir = Instance(storage, clock, steps=(done, second))
    with pytest.raises(TryLater):
        heir.schema.bring_up()
    clock.pass_(timedelta(minutes=3))
    heir.schema.bring_up()

    assert version_in(storage)[0] == 3
    assert (done.begun, second.ended) == (1, 1), "what was done is not done again"


def test_a_crash_between_any_two_writes_of_the_step_leaves_tables_that_can_be_finished(
    storage: Storage, real_storage: RealStorage
) -> None:
    writes = 0
    while True:
        real_storage.drop_tables()
        mortal, clock = real_storage.opened(), Clock()
        first_release(mortal, troubles=(a_leavers_trouble(),))
        left = [writes]
        for name in ("settings", "links", "conflicts", "connections"):
            _die_after(mortal, name, left)
        try:
            Instance(mortal, clock).schema.bring_up()
        except Crash:
            clock.pass_(timedelta(minutes=3))
            heir = real_storage.opened()
            Instance(heir, clock).schema.bring_up()
            [after] = rows(heir, "connections")
            assert json.loads(after["troubles"]) == []
            assert after["liveRules"] == version_of([a_rule()])
            assert {row["inConflict"] for row in rows(heir, "links")} == {True, False}
            writes += 1
            continue
        break
    assert writes >= 5


def _die_after(storage: Storage, name: str, left: list[int]) -> None:
    table = storage.table(name)
    real = table.write_all

    def write_all(some: list[Write]) -> dict[int, str]:
        if left[0] == 0:
            raise Crash
        left[0] -= 1
        return real(some)

    table.write_all = write_all  # type: ignore[method-assign,assignment]


def test_a_try_that_the_storage_cut_short_is_repeated_by_the_same_process_at_once(
    storage: Storage,
) -> None:
    failures = [TryLater("The table storage is busy.")]

    def fail_once() -> None:
        if failures:
            raise failures.pop()

    one = Instance(storage, steps=(Counted(before=fail_once),))
    with pytest.raises(TryLater, match="busy"):
        one.schema.bring_up()

    one.schema.bring_up()

    assert version_in(storage)[0] == 2


def test_the_lease_of_long_steps_is_extended(storage: Storage) -> None:
    clock, seen = Clock(), []

    def long_step(_: Storage) -> Iterator[None]:
        for _minute in range(5):
            clock.pass_(timedelta(minutes=1))
            yield
            entity = storage.table("settings").get("settings", "schema") or {}
            seen.append(entity["leasedUntil"] > clock().isoformat())

    Instance(storage, clock, steps=(long_step,)).schema.bring_up()

    assert seen == [True] * 5


def test_who_slept_through_his_lease_leaves_the_work_to_the_heir(storage: Storage) -> None:
    clock, heirs_step = Clock(), Counted()

    def sleep() -> None:
        clock.pass_(timedelta(minutes=10))
        Instance(storage, clock, steps=(heirs_step,)).schema.bring_up()

    sleeper_step = Counted(before=sleep)
    Instance(storage, clock, steps=(sleeper_step,)).schema.bring_up()

    assert version_in(storage)[0] == 2
    assert (heirs_step.ended, sleeper_step.ended) == (1, 0)


# --- newer tables ------------------------------------------------------------------------------


def test_tables_of_a_newer_app_are_refused_with_both_versions_and_what_to_do(
    storage: Storage,
) -> None:
    put_version(storage, 7, by="2.3.0")
    one = Instance(storage)

    for _ in range(2):
        with pytest.raises(Misconfigured) as refused:
            one.schema.bring_up()

    sentence = refused.value.sentence
    assert "version 7" in sentence
    assert f"({VERSION}) knows version {1 + len(STEPS)}" in sentence
    assert "deploy version 2.3.0" in sentence
    assert "restore the tables from a backup" in sentence
    assert version_in(storage) == (7, "2.3.0")


def test_tables_that_were_restored_are_taken_without_a_restart(storage: Storage) -> None:
    put_version(storage, 7)
    one = Instance(storage)
    with pytest.raises(Misconfigured):
        one.schema.bring_up()
    put_version(storage, 1, by="0.0.9")

    one.schema.bring_up()

    assert version_in(storage) == (1 + len(STEPS), VERSION)
