"""Movers in a hold, how holds end, and who is interrupted over them (R17, R20)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.core import trouble_texts
from shared.core.model import AccountId, HoldLimit, HoldMark, LinkState
from shared.errors import BadInput
from shared.ports import FRESH, HeldUser
from tests.builders import CONNECTION
from tests.sync.interference import of, on
from tests.sync.leaving import DAY, active, gone, held, ids, limited, listed, mark, staff, the_hold
from tests.sync.world import Died, Worker, World

pytestmark = pytest.mark.world


# --- moves -----------------------------------------------------------------------------------


def to_fabrikam(world: World) -> None:
    rule = replace(world.rule, account_id=AccountId(world.fabrikam.id))
    world.set_rules(rule)


def test_movers_wait_leavers_and_movers_counted_together_r17_r20(world: World) -> None:
    lower = world.a_rule("all", order=2, account_id=AccountId(world.fabrikam.id))
    world.set_rules(world.rule, lower)
    people = staff(world, 6)
    for user in people[:3]:
        world.join(user, "all")
    gone(world, people)

    world.sync(*people)
    assert {contact.account_id for contact in world.bms.contacts()} == {world.contoso.id}
    assert listed(world) == ids(people)

    world.worker.holding.approve(the_hold(world).id, None)
    world.deliver()
    for user in people[:3]:
        assert (world.record(user).account_id, world.record(user).is_active) == (
            world.fabrikam.id,
            True,
        )
    assert active(world) == 3


def test_a_kept_leaver_who_would_move_waits_and_is_not_stuck_r17_r20(world: World) -> None:
    world.worker.connections.update(CONNECTION, lambda now: replace(now, on_leave="keep"))
    people = staff(world, 6)
    gone(world, people)
    world.sync(*people)
    to_fabrikam(world)
    for user in people:
        world.join(user)
    world.sync(*people)
    assert listed(world) == ids(people)

    decided = world.worker.holding.approve(the_hold(world).id, None)
    world.deliver()

    assert sorted(decided.done) == ids(people)
    assert {world.record(user).account_id for user in people} == {world.fabrikam.id}
    assert active(world) == 6


def test_those_who_leave_and_are_kept_hold_no_movers_back_r17_r20(world: World) -> None:
    world.worker.connections.update(CONNECTION, lambda now: replace(now, on_leave="keep"))
    lower = world.a_rule("all", order=2, account_id=AccountId(world.fabrikam.id))
    world.set_rules(world.rule, lower)
    people = staff(world, 12)
    for user in people[:2]:
        world.join(user, "all")
    gone(world, people)

    world.full_sync()

    assert listed(world) == []
    assert {world.record(user).account_id for user in people[:2]} == {world.fabrikam.id}
    assert active(world) == 12


def test_keep_chosen_while_people_wait_ends_the_hold_r17_r20(world: World) -> None:
    people, _ = held(world)
    world.worker.connections.update(CONNECTION, lambda now: replace(now, on_leave="keep"))

    world.full_sync("rules")

    assert {link.state for user in people if (link := world.link(user))} == {LinkState.KEPT}
    assert world.worker.holds.list(connection_id=CONNECTION, state="open") == []
    assert active(world) == 8


# --- the end of a hold -----------------------------------------------------------------------


def test_a_hold_ends_after_7_days_without_acting_and_a_full_sync_raises_it_again_r20(
    world: World,
) -> None:
    people, hold = held(world)
    world.clock.pass_(7 * DAY - timedelta(hours=1))
    assert world.worker.holding.expire() == 0

    world.clock.pass_(timedelta(hours=1))
    assert world.worker.holding.expire() == 1
    assert active(world) == 8
    assert world.troubles() == []
    assert [one.id for one in world.worker.holds.list(state="expired")] == [hold.id]

    world.sync(*people)
    assert active(world) == 8, "a sweep alone decides nothing about them"
    assert listed(world) == []

    world.full_sync()
    assert active(world) == 8
    again = the_hold(world)
    assert again.id != hold.id
    rows = world.worker.holds.people(again)
    assert sorted(row.user_id for row in rows if row.state == "waiting") == ids(people)
    assert world.troubles() == [trouble_texts.LEAVERS]


def test_even_a_single_one_of_an_ended_hold_is_asked_for_again_r20(world: World) -> None:
    people, _ = held(world)
    world.clock.pass_(8 * DAY)
    world.worker.holding.expire()
    for user in people[1:]:
        world.join(user)

    world.full_sync()

    assert active(world) == 8
    assert listed(world) == [people[0].id]


def test_the_end_of_an_old_hold_hides_no_newer_one_r20(world: World) -> None:
    people, old = held(world)
    world.clock.pass_(8 * DAY)
    more = staff(world, 9, "v")
    gone(world, more)
    world.sync(*more)

    world.worker.holding.expire()

    assert the_hold(world).id != old.id
    assert listed(world) == ids(more)
    assert listed(world, state="expired") == ids(people)
    assert world.troubles() == [trouble_texts.LEAVERS]


def test_a_word_on_an_old_list_is_shown_in_the_newer_one_too_r20(world: World) -> None:
    people, old = held(world)
    world.clock.pass_(8 * DAY)
    world.worker.holding.expire()
    world.full_sync()

    world.worker.holding.approve(old.id, [user.id for user in people])
    world.deliver()

    assert active(world) == 0
    assert listed(world) == []
    assert world.troubles() == []


# --- workers and people who are interrupted --------------------------------------------------


@pytest.mark.parametrize(("call", "when"), [("holds.put_people", "after"), ("links.save", "after")])
def test_a_worker_that_dies_while_it_raises_a_hold_leaves_nobody_out_r20_r22(
    world: World, call: str, when: str
) -> None:
    people = staff(world, 8)
    gone(world, people)
    victim = Worker(world)

    def die() -> None:
        raise Died

    victim.tap = on(call, when, die)
    with pytest.raises(Died):
        victim.apply.handle(of(*people), FRESH)

    world.sync(*people)  # the queue hands the message out again

    assert listed(world) == ids(people)
    assert {mark(world, user) for user in people} == {HoldMark.WAITING}
    assert active(world) == 8


def test_a_mark_without_any_list_is_listed_by_the_next_full_sync_r20(world: World) -> None:
    people, hold = held(world)
    world.worker.holds.put(replace(hold, state="decided"))
    world.worker.holds.put_people(
        hold, [HeldUser(user.id, None, "", state="back") for user in people]
    )

    world.full_sync()

    assert active(world) == 8
    assert listed(world) == ids(people)
    assert world.troubles() == [trouble_texts.LEAVERS]


def test_a_list_without_marks_is_decided_all_the_same_r20(world: World) -> None:
    people, hold = held(world)
    for user in people:
        link = world.link(user)
        assert link is not None
        world.worker.links.save([replace(link, hold=HoldMark.NONE)])

    world.worker.holding.refuse(hold.id, None)
    world.deliver()
    world.full_sync()

    assert active(world) == 8
    assert {mark(world, user) for user in people} == {HoldMark.REFUSED}


def test_a_left_over_row_of_somebody_in_scope_binds_him_to_nothing_r20(world: World) -> None:
    people, hold = held(world)
    for user in people:
        world.join(user)
        link = world.link(user)
        assert link is not None
        world.worker.links.save([replace(link, hold=HoldMark.NONE)])

    world.worker.holding.refuse(hold.id, None)
    world.deliver()

    assert {mark(world, user) for user in people} == {HoldMark.NONE}
    assert listed(world, state="back") == ids(people)
    gone(world, people[:1])
    world.sync(people[0])
    assert active(world) == 7


@pytest.mark.parametrize("call", ["links.save", "queues.send", "holds.put_people"])
def test_a_word_that_was_interrupted_is_said_again_and_carried_out_r20(
    world: World, call: str
) -> None:
    _, hold = held(world)
    desk = Worker(world)

    def die() -> None:
        raise Died

    desk.tap = on(call, "after", die)
    with pytest.raises(Died):
        desk.holding.approve(hold.id, None)
    if the_hold(world).state == "open" and listed(world):
        world.worker.holding.approve(hold.id, None)
    world.deliver()

    assert active(world) == 0
    assert listed(world) == []


def test_a_deleted_connection_takes_its_holds_along_r20(world: World) -> None:
    _, hold = held(world)

    world.worker.connections.delete(CONNECTION)

    assert world.worker.holds.list() == []
    assert world.worker.holds.people(hold) == []
    with pytest.raises(BadInput, match="no hold"):
        world.worker.holding.approve(hold.id, None)


def test_the_limits_base_is_what_was_active_when_the_window_began_r20(world: World) -> None:
    limited(world, HoldLimit(count=2, percent=25, at_most=50))
    people = staff(world, 16)
    for user in people[:4]:
        world.leave(user)
        world.sync(user)
    assert active(world) == 12, "4 of 16 are 25 %"

    world.leave(people[4])
    world.sync(people[4])
    assert active(world) == 12, "and the fifth is more, though only 12 are left"


def test_a_window_that_never_runs_empty_counts_its_base_anew_r20(world: World) -> None:
    limited(world, HoldLimit(count=1, percent=10, at_most=50))
    people = staff(world, 10)
    gone(world, people[:1])
    world.sync(people[0])
    world.clock.pass_(timedelta(hours=20))
    gone(world, people[1:2])
    world.sync(people[1])
    assert listed(world) == [people[1].id], "2 of 10 within a day"
    more = staff(world, 30, "v")
    world.clock.pass_(timedelta(hours=5))
    for user in more[:3]:
        world.leave(user)
        world.sync(user)

    assert listed(world) == [people[1].id], "3 of 39 are less than 10 %"
    assert active(world) == 36, "and they went"
