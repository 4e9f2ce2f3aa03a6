"""Holds and conflicts on the real storage emulator (R9, R20)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.adapters.store_decisions import TableConflicts, TableHolds
from shared.adapters.tables import Storage
from shared.core.model import ConnectionId, RecordId, UserId
from shared.ports import Conflict, HeldUser, Hold
from tests.builders import LONG_AGO, a_user_id
from tests.real_storage import RealStorage

pytestmark = pytest.mark.world

ONE, TWO = ConnectionId("one"), ConnectionId("two")
ADA, BEN = a_user_id("ada"), a_user_id("ben")
AWKWARD = 'Łukasz O\'Neil "the 3rd" <&> 日本 🙂 %27 \\'
WEEK = timedelta(days=7)


@pytest.fixture
def storage(real_storage: RealStorage) -> Storage:
    return real_storage.opened()


@pytest.fixture
def holds(storage: Storage) -> TableHolds:
    return TableHolds(storage)


@pytest.fixture
def conflicts(storage: Storage) -> TableConflicts:
    return TableConflicts(storage)


def a_hold(number: int = 1, connection: ConnectionId = ONE, **fields: object) -> Hold:
    at = LONG_AGO + timedelta(hours=number)
    hold = Hold(f"{connection}-{number}", connection, at, at + WEEK)
    return replace(hold, **fields)  # type: ignore[arg-type]


def test_a_hold_and_its_people_come_back_as_they_went_in_r20(holds: TableHolds) -> None:
    hold = a_hold()
    people = [
        HeldUser(ADA, RecordId(7), f"because {AWKWARD}", AWKWARD),
        HeldUser(BEN, None, "", state="refused"),
    ]
    assert holds.add(hold)
    holds.put_people(hold, people)

    assert holds.get(hold.id) == hold
    assert holds.people(hold) == sorted(people, key=lambda one: one.user_id)


def test_of_two_who_add_a_hold_of_one_id_one_wins_r20(storage: Storage, holds: TableHolds) -> None:
    assert holds.add(a_hold())
    assert not TableHolds(storage).add(a_hold(expires_at=LONG_AGO))

    assert holds.get("one-1") == a_hold()


def test_a_person_stands_in_a_hold_once_with_what_was_written_last_r20(holds: TableHolds) -> None:
    hold = a_hold()
    holds.put_people(hold, [HeldUser(ADA, RecordId(7), "left")])
    holds.put_people(hold, [HeldUser(ADA, RecordId(7), "left", state="approved")])

    (row,) = holds.people(hold)
    assert row.state == "approved"


@pytest.mark.parametrize("asked", [0, 1, 4, 5, 250])
def test_only_the_people_asked_for_are_answered_r20(holds: TableHolds, asked: int) -> None:
    hold, other = a_hold(1), a_hold(2)
    users = [UserId(f"u{number:04d}") for number in range(300)]
    holds.put_people(hold, [HeldUser(user, None, "") for user in users])
    holds.put_people(other, [HeldUser(ADA, None, "")])

    found = holds.people(hold, [*users[:asked], ADA])

    assert [one.user_id for one in found] == users[:asked]


def test_holds_are_listed_newest_first_by_connection_and_state_r20(holds: TableHolds) -> None:
    for hold in (a_hold(1), a_hold(2, state="decided"), a_hold(11), a_hold(3, TWO)):
        holds.add(hold)

    assert [one.id for one in holds.list()] == ["one-11", "two-3", "one-2", "one-1"]
    assert [one.id for one in holds.list(connection_id=ONE, state="open")] == ["one-11", "one-1"]
    assert [one.id for one in holds.list(state="decided")] == ["one-2"]
    assert holds.list(state="expired") == []


@pytest.mark.parametrize("name", ["", "one", "one-9", "-1", "' or 1 eq 1", "one-1-1"])
def test_there_is_no_hold_of_another_name_r20(holds: TableHolds, name: str) -> None:
    holds.add(a_hold())

    assert holds.get(name) is None


def a_conflict(user: UserId = ADA, **fields: object) -> Conflict:
    conflict = Conflict(ONE, user, (RecordId(1), RecordId(2)), f"two match {AWKWARD}", LONG_AGO)
    return replace(conflict, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "choice",
    [
        {},
        {"state": "resolved", "chosen": RecordId(2)},
        {"state": "resolved", "create": True},
        {"state": "resolved", "ignore": True},
    ],
)
def test_a_conflict_and_its_choice_come_back_as_they_went_in_r9(
    conflicts: TableConflicts, choice: dict[str, object]
) -> None:
    conflict = a_conflict(ADA, **choice)
    conflicts.put(conflict)

    assert conflicts.get(ONE, ADA) == conflict
    assert conflicts.list(ONE) == [conflict]


def test_settling_removes_what_is_open_and_keeps_a_choice_r9(conflicts: TableConflicts) -> None:
    resolved = a_conflict(BEN, state="resolved", ignore=True)
    conflicts.put(a_conflict())
    conflicts.put(resolved)

    for user in (ADA, BEN, a_user_id("nobody")):
        conflicts.settle(ONE, user)

    assert conflicts.list() == [resolved]


def test_a_choice_that_falls_while_it_is_settled_stays_r9(
    storage: Storage, conflicts: TableConflicts
) -> None:
    conflicts.put(a_conflict())
    table = storage.table("conflicts")
    read = table.get

    def chosen_meanwhile(partition: str, row: str) -> object:
        entity = read(partition, row)
        conflicts.put(a_conflict(state="resolved", create=True))
        return entity

    table.get = chosen_meanwhile  # type: ignore[method-assign, assignment]
    conflicts.settle(ONE, ADA)
    table.get = read  # type: ignore[method-assign]

    (left,) = conflicts.list()
    assert left.create


def test_conflicts_are_listed_by_connection_r9(conflicts: TableConflicts) -> None:
    conflicts.put(a_conflict())
    conflicts.put(a_conflict(connection_id=TWO))

    assert [one.connection_id for one in conflicts.list(TWO)] == [TWO]
    assert len(conflicts.list()) == 2


def test_what_is_open_is_listed_and_counted_over_all_connections_r9(
    conflicts: TableConflicts,
) -> None:
    conflicts.put(a_conflict())
    conflicts.put(a_conflict(connection_id=TWO))
    conflicts.put(a_conflict(BEN, state="resolved", ignore=True))

    assert conflicts.count_open() == 2
    assert {one.connection_id for one in conflicts.list(state="open")} == {ONE, TWO}
    assert [one.user_id for one in conflicts.list(ONE, state="resolved")] == [BEN]


@pytest.mark.parametrize("number", [0, 1, 4, 5, 9])
def test_who_waits_is_counted_in_these_holds_alone_r20(holds: TableHolds, number: int) -> None:
    every = [a_hold(one) for one in range(1, 11)]
    for hold in every:
        holds.put_people(
            hold,
            [
                HeldUser(ADA, RecordId(1), "left"),
                HeldUser(BEN, RecordId(2), "left", state="refused"),
            ],
        )

    assert holds.count_waiting(every[:number]) == number
    assert holds.tally(every[0]) == {"waiting": 1, "refused": 1}


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 500])
def test_people_of_a_hold_are_paged_without_gap_or_repeat_r20(
    holds: TableHolds, limit: int
) -> None:
    people = [HeldUser(UserId(f"u{one}"), RecordId(one), "left") for one in range(1, 5)]
    holds.put_people(a_hold(), people)
    holds.put_people(a_hold(2), people[:1])
    seen: list[HeldUser] = []
    after: UserId | None = None
    for _ in range(5):
        page, after = holds.people_page(a_hold(), limit=limit, after=after)
        assert 0 < len(page) <= limit
        seen += page
        if after is None:
            break

    assert seen == people
