"""Holds: who is held, and how a hold lists them (R17, R20)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.core import trouble_texts
from shared.core.model import HoldMark, LinkState
from shared.errors import TryLater
from shared.ports import FRESH, LEAVERS
from tests.builders import CONNECTION, a_group, a_group_id
from tests.sync.interference import of, on
from tests.sync.leaving import active, gone, held, ids, listed, mark, staff, the_hold
from tests.sync.world import Worker, World

pytestmark = pytest.mark.world


# --- a group emptied by mistake --------------------------------------------------------------


def test_a_group_of_400_emptied_by_mistake_and_refilled_changes_nobody_r20(world: World) -> None:
    people = staff(world, 400)
    before = {user.id: world.link(user) for user in (people[0], people[200], people[-1])}
    gone(world, people)

    world.sync(*people)
    assert active(world) == 400, "read together, so all of them wait"
    assert listed(world) == ids(people)

    world.worker.holding.refuse(the_hold(world).id, None)
    world.full_sync()
    world.sync(*people)
    assert active(world) == 400

    world.bms.clear_counters()
    for user in people:
        world.join(user)
    world.full_sync()
    world.sync(*people)

    assert world.bms_writes() == 0
    assert active(world) == 400
    assert world.troubles() == []
    assert {mark(world, user) for user in people} == {HoldMark.NONE}
    for user in (people[0], people[200], people[-1]):
        link, was = world.link(user), before[user.id]
        assert link is not None
        assert was is not None
        assert (link.record_id, link.state) == (was.record_id, LinkState.ACTIVE)


def test_leavers_who_come_one_by_one_go_up_to_the_limit_and_no_further_r20(world: World) -> None:
    people = staff(world, 60)
    gone(world, people)

    for user in people:
        world.sync(user)

    assert active(world) == 54, "10 % of 60"
    assert listed(world) == ids(people[6:])


def test_leavers_of_several_messages_are_held_together_where_they_were_read_together_r20(
    world: World,
) -> None:
    people = staff(world, 9)
    gone(world, people)
    part = people[:3]

    world.notice(*part, queue=LEAVERS, together=9)
    world.deliver()

    assert active(world) == 9
    assert listed(world) == ids(part)


def test_who_could_not_be_looked_at_with_the_others_is_counted_with_them_all_the_same_r20(
    world: World,
) -> None:
    people = staff(world, 9)
    gone(world, people)
    world.directory.troubles = {people[0].id: TryLater("Graph is busy.", timedelta(seconds=5))}
    world.notice(*people)
    world.deliver(within=timedelta(seconds=3))
    assert listed(world) == ids(people[1:])

    world.directory.troubles.clear()
    world.deliver()

    assert active(world) == 9, "he was read together with eight others"
    assert listed(world) == ids(people)


def test_of_an_allowed_set_the_one_who_comes_later_goes_too_r20(world: World) -> None:
    people = staff(world, 10)
    leavers = people[:5]
    gone(world, leavers)
    world.directory.troubles = {leavers[0].id: TryLater("Graph is busy.", timedelta(seconds=5))}
    world.notice(*leavers, queue=LEAVERS, together=5)
    world.deliver(within=timedelta(seconds=3))
    world.directory.troubles.clear()

    world.deliver()

    assert active(world) == 5
    assert listed(world) == []


@pytest.mark.parametrize("how", ["deleted", "blocked"])
def test_400_deleted_or_blocked_at_once_wait_like_any_leavers_r4_r16_r20(
    world: World, how: str
) -> None:
    people = staff(world, 12)
    for user in people:
        if how == "deleted":
            world.directory.users.pop(user.id)
        else:
            world.change(user, enabled=False)

    world.sync(*people)

    assert active(world) == 12
    assert listed(world) == ids(people)


@pytest.mark.parametrize("how", ["removed", "switched off", "emptied"])
def test_a_rule_taken_away_by_mistake_deactivates_nobody_past_the_limit_r20(
    world: World, how: str
) -> None:
    people = staff(world, 12)
    if how == "removed":
        world.worker.rules.replace(CONNECTION, [])
    elif how == "switched off":
        world.worker.rules.replace(CONNECTION, [replace(world.rule, enabled=False)])
    else:
        gone(world, people)

    world.full_sync("rules")

    assert active(world) == 12
    assert listed(world) == ids(people)
    world.worker.rules.replace(CONNECTION, [world.rule])
    for user in people:
        world.join(user)
    world.bms.clear_counters()
    world.full_sync("rules")
    assert world.bms_writes() == 0
    assert listed(world) == []
    assert the_hold(world, "decided").state == "decided", "nobody waits in it any more"
    assert world.troubles() == []


def test_an_empty_page_of_members_makes_nobody_leave_r20_r22(world: World) -> None:
    staff(world, 12)
    world.directory.members = lambda group, *, nested: iter([[]])  # type: ignore[method-assign]

    world.full_sync()

    assert active(world) == 12
    assert listed(world) == []


def test_a_group_that_is_gone_holds_its_people_until_it_is_back_r20(world: World) -> None:
    people = staff(world, 12)
    group = world.directory.held_groups.pop(a_group_id("staff"))
    gone(world, people)

    world.full_sync()
    world.sync(*people)
    assert active(world) == 12
    assert world.troubles() == [trouble_texts.GROUPS]

    world.directory.held_groups[group.id] = a_group("staff")
    for user in people:
        world.join(user)
    world.full_sync()
    assert active(world) == 12
    assert world.troubles() == []


# --- the list --------------------------------------------------------------------------------


def test_a_hold_lists_each_person_once_with_name_record_and_reason_r20(world: World) -> None:
    people, hold = held(world)
    world.sync(*people)
    world.full_sync()

    rows = world.worker.holds.people(the_hold(world))

    assert the_hold(world) == hold
    assert sorted(row.user_id for row in rows) == ids(people)
    by_user = {row.user_id: row for row in rows}
    for user in people:
        row = by_user[user.id]
        assert row.display_name == user.display_name
        assert row.record_id == world.record(user).id
        assert "no mapped group" in row.reason
    assert all(world.kinds(user).count("hold") == 1 for user in people), "told once"


def test_later_leavers_join_the_open_hold_and_the_trouble_says_how_many_r20(world: World) -> None:
    people, hold = held(world, 20)
    more = staff(world, 9, "v")
    gone(world, more)

    world.sync(*more)

    assert the_hold(world) == hold
    assert listed(world) == ids([*people, *more])
    connection = world.worker.connections.get(CONNECTION)
    assert connection is not None
    (trouble,) = connection.troubles
    assert trouble.reason.startswith("29 people")


def test_two_workers_who_hold_at_the_same_time_open_one_hold_r20(world: World) -> None:
    people = staff(world, 12)
    gone(world, people)
    first, second = Worker(world), Worker(world)

    def overtake() -> None:
        second.apply.handle(of(*people[6:]), FRESH)

    first.tap = on("holds.add", "before", overtake)
    first.apply.handle(of(*people[:6]), FRESH)
    world.deliver()

    assert len(world.worker.holds.list(connection_id=CONNECTION)) == 1
    assert listed(world) == ids(people)
