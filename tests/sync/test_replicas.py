"""Two looks within seconds may be answered by two replicas, the later one by the older (R22)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from shared.core.model import AccountId, EntraUser, MappingRule, Origin
from tests.sync.world import BULK, World

pytestmark = pytest.mark.world

AT_ONCE = timedelta(0)
STAYS_BEHIND = 60  # seconds


def by_two_rules(world: World) -> MappingRule:
    """The group `board` leads to Fabrikam, before `staff`, which leads to Contoso."""
    board = world.a_rule("board", order=1, account_id=AccountId(world.fabrikam.id))
    world.set_rules(board, replace(world.rule, order=2))
    return board


def signal(world: World) -> datetime:
    """The moment of a change in Entra, a second after all that was before."""
    world.clock.pass_(timedelta(seconds=1))
    return world.clock()


def look(world: World, user: EntraUser, at: datetime, **fields: Any) -> None:
    """One message of this signal, handled now."""
    world.clock.pass_(timedelta(seconds=0.2))
    world.notice(user, signal_at=at, **fields)
    world.deliver(within=AT_ONCE)


def hired_and_not_shown(world: World) -> EntraUser:
    """Ada is written, and the next look at the same signal does not find her in the group."""
    ada = world.hire("ada")
    at = signal(world)
    look(world, ada, at)
    world.leave(ada)
    look(world, ada, at)
    return ada


def account(world: World, user: EntraUser) -> int:
    return world.record(user).account_id


def test_a_move_is_not_taken_back_by_a_replica_that_shows_the_group_of_before_r22(
    world: World,
) -> None:
    by_two_rules(world)
    ada = world.hire("ada")
    world.sync(ada)
    at = signal(world)
    world.join(ada, "board")
    look(world, ada, at)
    assert account(world, ada) == world.fabrikam.id
    written = world.bms_writes()
    world.leave(ada, "board")  # as a replica shows it that is behind
    look(world, ada, at)
    world.join(ada, "board")
    world.deliver()
    assert account(world, ada) == world.fabrikam.id
    assert world.bms_writes() == written
    assert world.kinds(ada) == ["create", "move"]


def test_nobody_who_has_just_come_is_deactivated_by_a_replica_without_him_r22(
    world: World,
) -> None:
    ada = hired_and_not_shown(world)
    assert world.record(ada).is_active
    world.join(ada)
    world.deliver()
    assert world.record(ada).is_active
    assert world.kinds(ada) == ["create"]


def test_after_a_replica_that_stays_behind_for_long_the_present_state_returns_by_itself_r22(
    world: World,
) -> None:
    ada = hired_and_not_shown(world)
    world.deliver(within=timedelta(seconds=STAYS_BEHIND))
    assert not world.record(ada).is_active  # believed the second time
    world.join(ada)
    world.deliver()
    assert world.record(ada).is_active


def test_a_title_that_an_old_replica_has_put_back_is_put_right_by_a_later_look_r22(
    world: World,
) -> None:
    ada = world.hire("ada", job_title="Clerk")
    world.sync(ada)
    at = signal(world)
    world.change(ada, job_title="Chief")
    look(world, ada, at)
    assert world.record(ada).job_title == "Chief"
    world.change(ada, job_title="Clerk")
    look(world, ada, at)
    world.deliver(within=timedelta(seconds=STAYS_BEHIND))
    assert world.record(ada).job_title == "Clerk"
    world.change(ada, job_title="Chief")
    world.deliver()
    assert world.record(ada).job_title == "Chief"


@pytest.mark.parametrize("origin", [Origin.FULL, Origin.RULES])
def test_what_bulk_work_has_read_behind_a_fresh_change_is_put_right_by_itself_r22(
    world: World, origin: Origin
) -> None:
    ada = world.hire("ada", job_title="Clerk")
    world.sync(ada)
    world.change(ada, job_title="Chief")
    look(world, ada, signal(world))
    world.change(ada, job_title="Clerk")
    world.notice(ada, queue=BULK, origin=origin, signal_at=None)
    world.deliver(within=timedelta(seconds=STAYS_BEHIND))
    assert world.record(ada).job_title == "Clerk"
    world.change(ada, job_title="Chief")
    world.deliver()
    assert world.record(ada).job_title == "Chief"


def test_a_change_with_a_signal_of_its_own_waits_for_nothing_r21(world: World) -> None:
    ada = world.hire("ada")
    look(world, ada, signal(world))
    world.leave(ada)
    look(world, ada, signal(world))
    assert not world.record(ada).is_active


def test_who_left_while_he_was_written_leaves_seconds_later_r21(world: World) -> None:
    ada = hired_and_not_shown(world)  # or left, signalled before the write had ended
    world.deliver(within=timedelta(seconds=5))
    assert not world.record(ada).is_active


def test_a_groups_change_is_not_lost_behind_another_change_of_the_same_moment_r21(
    world: World,
) -> None:
    by_two_rules(world)
    ada = world.hire("ada", job_title="Clerk")
    world.sync(ada)
    at = signal(world)
    world.change(ada, job_title="Chief")  # and came into a group, which does not show yet
    look(world, ada, at, origin=Origin.NOTIFICATION)
    look(world, ada, at, membership=True)
    world.join(ada, "board")
    world.deliver(within=timedelta(seconds=5))
    assert account(world, ada) == world.fabrikam.id


def test_looking_again_comes_to_an_end(world: World) -> None:
    ada = world.hire("ada")
    at = signal(world)
    for _ in range(3):
        look(world, ada, at, membership=True, origin=Origin.NOTIFICATION)
    world.leave(ada)
    look(world, ada, at)
    world.deliver()
    assert world.inbox.deltas() == []
    assert world.kinds(ada) == ["create", "deactivate"]
