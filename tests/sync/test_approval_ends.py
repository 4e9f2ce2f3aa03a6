"""An approval by preview counts once, for the change that it was given for (R20)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.core.model import AccountId, EntraUser
from shared.sync.mapping_rules import RuleWish
from tests.builders import CONNECTION
from tests.sync.test_preview import ask, leavers, save, wish
from tests.sync.world import World

pytestmark = pytest.mark.world


def active(world: World, users: list[EntraUser]) -> int:
    return sum(world.record(user).is_active for user in users)


def waiting(world: World) -> int:
    """How many people wait in holds."""
    return sum(len(world.worker.holds.people(hold)) for hold in world.worker.holds.list())


def test_who_came_back_after_he_was_deactivated_by_approval_counts_again_r20(
    world: World,
) -> None:
    gone, wishes = leavers(world)
    save(world, ask(world, *wishes), *wishes)
    assert active(world, gone) == 0
    for user in gone:
        world.join(user, "staff")
    world.clock.pass_(timedelta(minutes=5))
    world.sync(*gone)
    assert active(world, gone) == 8
    for user in gone:
        world.leave(user, "staff")
    world.clock.pass_(timedelta(minutes=5))

    world.full_sync()

    assert active(world, gone) == 8
    assert waiting(world) == 8


def two_groups(world: World) -> tuple[list[EntraUser], list[RuleWish]]:
    """Eight people of `staff` and twelve of `other`, and the set in which `staff` is off."""
    people = [world.hire(f"u{number}") for number in range(8)]
    other = world.a_rule("other", order=5)
    world.set_rules(world.rule, other)
    for number in range(12):
        world.hire(f"o{number}", "other")
    world.full_sync()
    return people, [wish(world.rule, enabled=False), wish(other)]


def test_whom_the_approved_rules_found_in_scope_counts_when_he_leaves_later_r20(
    world: World,
) -> None:
    people, wishes = two_groups(world)
    preview = ask(world, *wishes)
    world.worker.previewing.save(CONNECTION, wishes, preview.id)
    for user in people:
        world.join(user, "other")
    world.deliver()
    assert active(world, people) == 8
    for user in people:
        world.leave(user, "other")
    world.clock.pass_(timedelta(minutes=5))

    world.full_sync()

    assert active(world, people) == 8
    assert waiting(world) == 8


def test_who_is_found_in_scope_while_the_re_evaluation_goes_on_has_used_his_up_r20(
    world: World,
) -> None:
    people, wishes = two_groups(world)
    stay = world.hire("stay", "other")
    world.full_sync()
    preview = ask(world, *wishes)
    world.worker.previewing.save(CONNECTION, wishes, preview.id)
    order = world.inbox.waiting.pop()
    world.worker.handle(order.queue, order.text)  # the leavers are queued, none is decided
    held_back, world.inbox.waiting = world.inbox.waiting, []
    for user in people:
        world.join(user, "other")
    world.sync(*people)  # in scope by the approved set
    for user in people:
        world.leave(user, "other")
    world.inbox.waiting += held_back

    world.deliver()

    assert active(world, [*people, stay]) == 9
    assert waiting(world) == 8


def test_an_approved_move_is_no_approval_to_deactivate_r20(world: World) -> None:
    people, (_, other) = two_groups(world)
    wishes = [
        wish(world.rule, account_id=AccountId(world.fabrikam.id)),
        other,
    ]
    preview = ask(world, *wishes)
    assert preview.counts["move"] == 8
    world.worker.previewing.save(CONNECTION, wishes, preview.id)
    for user in people:
        world.leave(user)

    world.deliver()

    assert active(world, people) == 8
    assert waiting(world) == 8


def test_an_approved_deactivation_is_no_approval_to_move_r20(world: World) -> None:
    fabrikam = AccountId(world.fabrikam.id)
    away = world.a_rule("away", order=7, account_id=fabrikam)
    people, wishes = two_groups(world)
    wishes.append(wish(away, id=None))
    preview = ask(world, *wishes)
    assert preview.counts["deactivate"] == 8
    world.worker.previewing.save(CONNECTION, wishes, preview.id)
    for user in people:
        world.join(user, "away")

    world.deliver()

    assert active(world, people) == 8
    assert waiting(world) == 8


def test_an_approval_ends_after_an_hour_though_its_re_evaluation_goes_on_r20(
    world: World,
) -> None:
    gone, wishes = leavers(world)
    preview = ask(world, *wishes)
    world.worker.previewing.save(CONNECTION, wishes, preview.id)
    world.clock.pass_(timedelta(minutes=61))

    world.deliver()

    assert active(world, gone) == 8
    assert waiting(world) == 8


def test_before_its_rules_are_live_an_approval_counts_for_nobody_r20(world: World) -> None:
    gone, wishes = leavers(world)
    preview = ask(world, *wishes)
    world.worker.previewing.save(CONNECTION, wishes, preview.id)
    (order,) = world.inbox.waiting
    world.inbox.waiting.clear()
    for user in gone:
        world.leave(user, "interns")

    world.sync(*gone)

    assert active(world, gone) == 8, "they left by Entra, not by the rules"
    assert waiting(world) == 8
    world.inbox.waiting.append(order)
    world.deliver()
    assert active(world, gone) == 0, "and the approved change takes them out of that hold"
