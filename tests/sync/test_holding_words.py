"""A person's word on a hold, and whoever comes back meanwhile (R20)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.core.model import HoldLimit, HoldMark
from shared.errors import BadInput
from shared.ports import FRESH
from tests.builders import CONNECTION
from tests.sync.interference import of, on
from tests.sync.leaving import DAY, active, gone, held, ids, limited, listed, mark, staff, the_hold
from tests.sync.world import Worker, World

pytestmark = pytest.mark.world


# --- the word --------------------------------------------------------------------------------


def test_an_approved_hold_deactivates_all_whatever_the_limit_r20(world: World) -> None:
    limited(world, HoldLimit(count=1, percent=0, at_most=2))
    people, hold = held(world)

    decided = world.worker.holding.approve(hold.id, None)
    world.deliver()

    assert sorted(decided.done) == ids(people)
    assert decided.hold.state == "decided"
    assert active(world) == 0
    assert world.troubles() == []
    assert listed(world, state="approved") == ids(people)


def test_what_a_person_approved_does_not_count_against_the_limit_r20(world: World) -> None:
    people = staff(world, 40)
    gone(world, people[:10])
    world.sync(*people[:10])
    world.worker.holding.approve(the_hold(world).id, None)
    world.deliver()
    assert active(world) == 30

    gone(world, people[10:14])
    world.sync(*people[10:14])

    assert active(world) == 26


def test_the_approved_who_are_still_to_go_hold_nobody_else_back_r20(world: World) -> None:
    people = staff(world, 20)
    gone(world, people[:8])
    world.sync(*people[:8])
    world.worker.holding.approve(the_hold(world).id, None)
    world.inbox.waiting.clear()  # as if BMS had been away all the time
    gone(world, people[8:11])

    world.full_sync()

    assert active(world) == 9
    assert listed(world) == []


def test_some_are_approved_and_the_rest_waits_on_r20(world: World) -> None:
    people, hold = held(world)
    chosen = people[:2]

    decided = world.worker.holding.approve(hold.id, [user.id.upper() for user in chosen])
    world.deliver()

    assert decided.hold.state == "open"
    assert active(world) == 6
    assert listed(world) == ids(people[2:])
    connection = world.worker.connections.get(CONNECTION)
    assert connection is not None
    assert connection.troubles[0].reason.startswith("6 people")


def test_the_refused_are_kept_through_sweeps_and_full_syncs_r20(world: World) -> None:
    people, hold = held(world)

    world.worker.holding.refuse(hold.id, None)
    assert world.troubles() == []
    world.clock.pass_(30 * DAY)
    world.sync(*people)
    world.full_sync()
    world.full_sync("rules")

    assert active(world) == 8
    assert listed(world, state="refused") == ids(people)
    assert world.worker.holds.list(connection_id=CONNECTION, state="open") == []


def test_whoever_was_refused_and_came_back_leaves_the_next_time_like_anybody_r20(
    world: World,
) -> None:
    people, hold = held(world)
    world.worker.holding.refuse(hold.id, None)
    for user in people:
        world.join(user)
    world.sync(*people)
    assert listed(world, state="back") == ids(people)
    gone(world, people[:2])

    world.sync(*people[:2])

    assert active(world) == 6


def test_who_was_refused_may_be_approved_later_r20(world: World) -> None:
    people, hold = held(world)
    world.worker.holding.refuse(hold.id, None)
    world.clock.pass_(3 * DAY)

    decided = world.worker.holding.approve(hold.id, [people[0].id])
    world.deliver()

    assert list(decided.done) == [people[0].id]
    assert active(world) == 7
    assert listed(world, state="approved") == [people[0].id]


def test_an_approval_can_be_taken_back_before_it_was_carried_out_r20(world: World) -> None:
    people, hold = held(world)
    world.worker.holding.approve(hold.id, None)

    decided = world.worker.holding.refuse(hold.id, [people[0].id])
    world.deliver()

    assert list(decided.done) == [people[0].id]
    assert active(world) == 1
    assert world.record(people[0]).is_active


def test_what_was_carried_out_cannot_be_refused_any_more_r20(world: World) -> None:
    people, hold = held(world)
    world.worker.holding.approve(hold.id, None)
    world.deliver()

    decided = world.worker.holding.refuse(hold.id, [people[0].id])

    assert (decided.done, decided.not_waiting) == ((), (people[0].id,))
    assert listed(world, state="approved") == ids(people)


def test_a_hold_is_decided_once_as_a_whole_and_says_so_the_second_time_r20(world: World) -> None:
    _, hold = held(world)
    world.worker.holding.refuse(hold.id, None)

    with pytest.raises(BadInput, match="name the users") as told:
        world.worker.holding.approve(hold.id, None)

    assert told.value.status == 409
    assert active(world) == 8


def test_a_word_about_somebody_who_is_not_in_the_hold_changes_nobody_r20(world: World) -> None:
    people, hold = held(world)
    stranger = world.hire("stranger")

    with pytest.raises(BadInput, match="not in the hold") as told:
        world.worker.holding.approve(hold.id, [people[0].id, stranger.id])

    assert told.value.field == "users"
    assert listed(world) == ids(people)
    with pytest.raises(BadInput, match="no hold"):
        world.worker.holding.approve("contoso-99", None)


# --- back in scope ---------------------------------------------------------------------------


def test_who_is_back_before_the_word_is_none_of_its_business_r20(world: World) -> None:
    people, hold = held(world)
    world.join(people[0])
    world.sync(people[0])

    decided = world.worker.holding.approve(hold.id, None)
    world.deliver()

    assert sorted(decided.done) == ids(people[1:])
    assert world.record(people[0]).is_active
    assert active(world) == 1
    assert listed(world, state="back") == [people[0].id]


def test_who_is_back_between_the_word_and_its_doing_stays_r20(world: World) -> None:
    people, hold = held(world)
    world.worker.holding.approve(hold.id, None)
    world.join(people[0])

    world.deliver()

    assert world.record(people[0]).is_active
    assert active(world) == 1
    assert mark(world, people[0]) is HoldMark.NONE


def test_a_hold_is_over_when_everybody_in_it_is_back_r20(world: World) -> None:
    people, _ = held(world)
    for user in people:
        world.join(user)

    for user in people:
        world.sync(world.change(user, job_title="Clerk"))

    assert world.worker.holds.list(connection_id=CONNECTION, state="open") == []
    assert world.troubles() == []
    assert {world.record(user).job_title for user in people} == {"Clerk"}


def test_who_is_back_at_the_moment_of_the_word_is_decided_by_how_things_are_r20(
    world: World,
) -> None:
    people, hold = held(world)
    world.join(people[0])
    worker = Worker(world)

    def word() -> None:
        world.worker.holding.approve(hold.id, None)

    worker.tap = on("links.save", "before", word)  # between the look and what it writes
    worker.apply.handle(of(people[0]), FRESH)
    world.deliver()

    assert world.record(people[0]).is_active
    assert active(world) == 1
    assert mark(world, people[0]) is HoldMark.NONE


def test_a_mark_whose_row_a_slow_worker_has_closed_is_not_lost_from_sight_r20(
    world: World,
) -> None:
    people, _ = held(world)
    world.join(people[0])
    slow = Worker(world)

    def leaves_again() -> None:
        world.leave(people[0])
        link = world.link(people[0])
        assert link is not None
        world.worker.links.save([replace(link, upn="written.by.another@contoso.example")])

    slow.tap = on("links.save", "before", leaves_again)
    slow.apply.handle(of(people[0]), FRESH)
    world.deliver()

    assert mark(world, people[0]) is HoldMark.WAITING
    assert people[0].id in listed(world)


def test_a_record_that_is_being_written_waits_on_and_the_word_is_asked_for_again_r20_r22(
    world: World,
) -> None:
    people, hold = held(world)
    world.join(people[0])
    worker, words = Worker(world), []
    worker.tap = on(
        "bms.patch_contact",
        "before",
        lambda: words.append(world.worker.holding.approve(hold.id, None)),
    )

    worker.apply.handle(of(world.change(people[0], job_title="Clerk")), FRESH)
    world.deliver(within=timedelta(seconds=10))

    assert words[0].busy == (people[0].id,)
    assert sorted(words[0].done) == ids(people[1:])
    assert (world.record(people[0]).is_active, active(world)) == (True, 1)
    link = world.link(people[0])
    assert link is not None
    assert (link.claim, link.hold) == (None, HoldMark.NONE), "his worker lost nothing"
