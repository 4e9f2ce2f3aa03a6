"""A slip in Entra does not empty BMS (R20): 400 people leave by mistake, in every way there is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import product

import pytest

from infra.local.world import World
from tests.torture.crowd import FEW, Crowd
from tests.torture.front import Front
from tests.torture.tenant import in_this_world

pytestmark = pytest.mark.world

PEOPLE = 400
SOME = 60  # enough people where their number does not matter: more than 50 are too many


@pytest.fixture(scope="module")
def crowd_of() -> Iterator[Callable[[int], Crowd]]:
    """Makes a crowd of so many people, synced, in a world that holds nothing else."""
    with World() as world:
        front = Front()
        with in_this_world(world, front) as environment:
            yield lambda people: Crowd(world, front, environment, people=people)
        front.close()


@pytest.mark.parametrize(("found_by", "people"), [("a sweep", PEOPLE), ("notifications", SOME)])
def test_of_a_group_emptied_by_mistake_nobody_beyond_the_limit_leaves_r20(
    crowd_of: Callable[[int], Crowd], found_by: str, people: int
) -> None:
    crowd = crowd_of(people)
    crowd.leave(*crowd.many, notified=found_by == "notifications")
    early = crowd.inactive()
    # Read together, they wait together. A notification names a few of them before all are read.
    assert len(early) <= (0 if found_by == "a sweep" else (people + FEW) // 10)
    waiting = set(crowd.many) - early
    assert crowd.held() == waiting
    assert crowd.standing()[0] == "attention"

    # Neither time, nor a full sync, nor a notification about one of them wears that down.
    crowd.timers(3)
    assert crowd.full_sync()["state"] == "done"
    crowd.world.entra.update_user(crowd.story.tenant, min(waiting), jobTitle="Left already")
    crowd.hears()
    assert crowd.inactive() == early
    assert crowd.held() == waiting

    # Some are approved: these and no others. Some are refused: they stay, also after a full sync.
    in_order = sorted(waiting)
    gone, kept = set(in_order[:3]), set(in_order[3:8])
    assert set(crowd.say(crowd.the_hold(), "approve", sorted(gone))["decided"]) == gone
    assert crowd.inactive() == early | gone
    assert set(crowd.say(crowd.the_hold(), "refuse", sorted(kept))["decided"]) == kept
    crowd.full_sync()
    assert crowd.inactive() == early | gone
    assert crowd.held() == waiting - gone - kept

    # All the others are approved, and what a person approved does not count.
    crowd.say(crowd.the_hold(), "approve")
    assert crowd.inactive() == set(crowd.many) - kept
    assert crowd.held() == set()
    assert crowd.standing() == ("connected", "")
    if not early:
        crowd.leave(crowd.few[0], group="leads")
        assert crowd.few[0] in crowd.inactive()
        crowd.join(crowd.few[0], group="leads")

    # Back in scope: the same records, active, and those refused as if nothing had been.
    crowd.join(*crowd.many)
    assert crowd.inactive() == set()
    assert crowd.held() == set()
    if not early:
        crowd.leave(min(kept))
        assert crowd.inactive() == {min(kept)}


def test_who_comes_back_waits_no_more_r20(crowd_of: Callable[[int], Crowd]) -> None:
    crowd = crowd_of(SOME)
    crowd.leave(*crowd.many)
    crowd.join(*crowd.many)
    assert crowd.held() == set()
    assert crowd.inactive() == set()
    assert crowd.standing() == ("connected", "")


def test_no_more_leave_one_by_one_within_a_day_than_the_limit_allows_r20(
    crowd_of: Callable[[int], Crowd],
) -> None:
    crowd = crowd_of(SOME)
    most = (SOME + FEW) // 10  # more than 5, so 10 % of the links when the window began
    for user in crowd.many[: most + 4]:
        crowd.leave(user)
    assert crowd.inactive() == set(crowd.many[:most])
    assert crowd.held() == set(crowd.many[most : most + 4])
    crowd.pass_time(timedelta(hours=24).total_seconds())
    crowd.timers(1)
    crowd.leave(crowd.many[-1])
    assert crowd.inactive() == {*crowd.many[:most], crowd.many[-1]}
    # Who was held is deactivated by a person alone, also on another day.
    crowd.full_sync()
    assert crowd.held() == set(crowd.many[most : most + 4])


def test_a_hold_ends_after_a_week_without_acting_and_a_full_sync_raises_it_again_r20(
    crowd_of: Callable[[int], Crowd],
) -> None:
    crowd = crowd_of(SOME)
    crowd.world.entra.switch(delta_link_days=30.0)  # a dead link would bring a full sync
    crowd.leave(*crowd.many)
    crowd.pass_time(timedelta(days=7, hours=1).total_seconds())
    crowd.instances[0].app.retention.run()
    crowd.timers(1)
    assert crowd.held() == set()
    assert crowd.inactive() == set()
    crowd.world.entra.update_user(crowd.story.tenant, crowd.many[0], jobTitle="Left last week")
    crowd.hears()
    assert crowd.inactive() == set()
    crowd.full_sync()
    assert crowd.held() == set(crowd.many)
    assert crowd.inactive() == set()


def test_a_rule_deleted_by_mistake_holds_its_people_r20(crowd_of: Callable[[int], Crowd]) -> None:
    crowd = crowd_of(SOME)
    (rule,) = [one for one in crowd.story.oracle.rules if one.group == crowd.group("staff")]
    crowd.story.remove_rule(crowd.group("staff"))
    crowd.drain()
    assert crowd.inactive() == set()
    assert crowd.held() == set(crowd.many)
    crowd.story.add_rule(rule)
    crowd.drain()
    assert crowd.held() == set()
    assert crowd.inactive() == set()
    assert crowd.standing() == ("connected", "")


def test_a_deleted_group_holds_its_people_and_its_return_frees_them_r20(
    crowd_of: Callable[[int], Crowd],
) -> None:
    crowd = crowd_of(SOME)
    crowd.world.entra.soft_delete(crowd.story.tenant, crowd.group("staff"))
    crowd.hears()
    assert crowd.inactive() == set()
    crowd.full_sync()
    crowd.timers(2)
    assert crowd.inactive() == set()
    # Still gone an hour later: the rule is marked, and a person is asked about its people.
    crowd.pass_time(timedelta(hours=1, minutes=5).total_seconds())
    crowd.timers(2)
    crowd.full_sync()
    assert crowd.inactive() == set()
    assert crowd.standing()[0] == "attention"
    states = {
        rule["groupId"]: rule["groupState"]
        for rule in crowd.story.admin.items("/api/mapping-rules")
    }
    assert states == {crowd.group("staff"): "gone", crowd.group("leads"): "ok"}
    assert crowd.held() == set(crowd.many)
    crowd.world.entra.restore(crowd.story.tenant, crowd.group("staff"))
    crowd.hears()
    crowd.timers(2)
    assert crowd.inactive() == set()
    assert crowd.held() == set()
    assert crowd.standing() == ("connected", "")


def test_a_reading_that_breaks_off_lets_nobody_leave_r20(
    crowd_of: Callable[[int], Crowd],
) -> None:
    crowd = crowd_of(SOME)
    entra, admin = crowd.world.entra, crowd.story.admin
    people = {"route": "/groups/{id}/transitiveMembers/{cast}", "path_contains": "graph.user"}
    path = f"/api/connections/{crowd.story.connection}/sync"
    for trouble, read_before in product(("reset", "truncate", "status"), (0, 1)):
        entra.add_fault(trouble, **people, after=read_before, status=503)
        sync_id = admin.call("POST", path, {"kind": "full"})["syncId"]
        for _ in range(2):
            crowd.work_one()
        state = admin.call("GET", f"/api/syncs/{sync_id}")["state"]
        assert state in ("queued", "running", "waiting"), (trouble, read_before)
        assert any(one["hits"] for one in entra.faults()), (trouble, read_before)
        entra.clear_faults()
        crowd.drain()
        assert admin.call("GET", f"/api/syncs/{sync_id}")["state"] == "done"
        assert (crowd.inactive(), crowd.held()) == (set(), set()), (trouble, read_before)
    assert crowd.story.nobody_was_deleted()
