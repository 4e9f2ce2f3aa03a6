"""Leaving, returning, moving, and the limit of deactivations (R9, R16, R17, R19, R20)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.core import trouble_texts
from shared.core.model import AccountId, EntraUser, HoldLimit, LinkState
from shared.errors import PersonMustAct, TryLater
from tests.builders import CONNECTION, a_connection, a_group, a_group_id
from tests.sync.world import World

pytestmark = pytest.mark.world


def state(world: World, user: EntraUser) -> LinkState:
    link = world.link(user)
    assert link is not None
    return link.state


def staff(world: World, count: int) -> list[EntraUser]:
    """So many linked people."""
    people = [world.hire(f"u{number:03d}") for number in range(count)]
    world.sync(*people)
    return people


def active(world: World) -> int:
    return len(world.bms.contacts(is_active=True))


# --- leaving and returning -------------------------------------------------------------------


@pytest.mark.parametrize("how", ["left the group", "deleted", "blocked"])
def test_who_leaves_is_deactivated_never_deleted_r16_r17(world: World, how: str) -> None:
    ada = world.hire("ada", job_title="Clerk", business_phone="1")
    world.sync(ada)
    if how == "left the group":
        world.leave(ada)
    elif how == "deleted":
        world.directory.users.pop(ada.id)
    else:
        world.change(ada, enabled=False)

    world.sync(ada)
    world.sync(ada)

    contact = world.record(ada)
    assert not contact.is_active
    assert (contact.first_name, contact.job_title) == ("Ada", "Clerk"), "nothing else changes"
    assert state(world, ada) is LinkState.INACTIVE
    assert world.kinds(ada) == ["create", "deactivate"]
    assert not [write for write in world.bms.writes() if write.method == "DELETE"]


def test_who_returns_gets_the_same_record_back_with_todays_values_r19(world: World) -> None:
    ada = world.hire("ada")
    world.sync(ada)
    before = world.record(ada).id
    world.leave(ada)
    world.sync(ada)
    world.join(ada)

    world.sync(world.change(ada, surname="Berg"))

    contact = world.record(ada)
    assert (contact.id, contact.is_active, contact.last_name) == (before, True, "Berg")
    assert world.kinds(ada) == ["create", "deactivate", "reactivate"]


def test_a_rehire_under_a_new_user_gets_the_old_record_r9(world: World) -> None:
    ada = world.hire("ada")
    world.sync(ada)
    before = world.record(ada).id
    world.directory.users.pop(ada.id)
    world.sync(ada)

    again = world.hire("rehired", mail="ada@contoso.example")
    world.sync(again)

    assert (world.record(again).id, world.record(again).is_active) == (before, True)


def test_whose_record_passed_to_another_user_is_matched_as_new_when_he_returns_r19(
    world: World,
) -> None:
    ada = world.hire("ada")
    world.sync(ada)
    world.leave(ada)
    world.sync(ada)
    other = world.hire("other", mail="ada@contoso.example")
    world.sync(other)
    world.join(ada)

    address = "ada.new@contoso.example"
    world.sync(world.change(ada, mail=address, upn=address))

    assert world.record(other).first_name == "Other"
    assert world.record(ada).id != world.record(other).id
    assert world.record(ada).default_email == address


def test_and_with_the_same_address_he_waits_for_a_person_r9_r19(world: World) -> None:
    ada = world.hire("ada")
    world.sync(ada)
    world.leave(ada)
    world.sync(ada)
    other = world.hire("other", mail="ada@contoso.example")
    world.sync(other)
    world.join(ada)

    world.sync(ada)

    assert world.record(other).first_name == "Other"
    assert [one.user_id for one in world.worker.conflicts.list(CONNECTION)] == [ada.id]


def test_a_connection_may_keep_the_records_of_those_who_leave_r17(world: World) -> None:
    world.worker.connections.update(CONNECTION, lambda _: a_connection(on_leave="keep"))
    ada = world.hire("ada")
    world.sync(ada)
    world.leave(ada)

    world.sync(ada)

    assert world.record(ada).is_active
    assert state(world, ada) is LinkState.KEPT
    assert world.kinds(ada) == ["create", "keep"]


def test_a_leaver_whose_record_is_gone_or_inactive_already_ends_well_r17(world: World) -> None:
    ada, ben = world.hire("ada"), world.hire("ben")
    world.sync(ada, ben)
    world.bms.remove_contact(world.record(ada).id)
    world.bms.edit_contact(world.record(ben).id, is_active=False)
    for user in (ada, ben):
        world.leave(user)

    world.sync(ada, ben)

    assert state(world, ada) is state(world, ben) is LinkState.INACTIVE
    assert all(world.activity(user)[-1].notes for user in (ada, ben))


def test_who_leaves_one_group_for_a_lower_rule_moves_to_that_rule_r17(world: World) -> None:
    world.set_rules(world.rule, world.a_rule("all", order=2))
    ada = world.hire("ada", "staff", "all")
    world.sync(ada)
    world.leave(ada)

    world.sync(ada)

    link = world.link(ada)
    assert link is not None
    assert (link.state, link.rule_id) == (LinkState.ACTIVE, "rule-all")
    assert world.record(ada).is_active


# --- moving ----------------------------------------------------------------------------------


def to_fabrikam(world: World) -> None:
    world.set_rules(replace(world.rule, account_id=AccountId(world.fabrikam.id)))


def test_a_move_makes_a_contact_in_the_new_account_and_deactivates_the_old_one_r17(
    world: World,
) -> None:
    ada = world.hire("ada")
    world.sync(ada)
    old = world.record(ada).id
    to_fabrikam(world)

    world.sync(ada)

    assert (world.record(ada).account_id, world.record(ada).is_active) == (world.fabrikam.id, True)
    assert not world.bms.get_contact(old).is_active
    assert world.kinds(ada) == ["create", "move"]


def test_a_move_matches_within_the_new_account_only_r17(world: World) -> None:
    ada = world.hire("ada")
    world.sync(ada)
    third = world.bms.add_account("Third")
    world.bms.add_contact(third.id, "A", "L", ["ada@contoso.example"])
    there = world.bms.add_contact(world.fabrikam.id, "A", "L", ["ada@contoso.example"])
    to_fabrikam(world)

    world.sync(ada)

    assert world.record(ada).id == there.id
    assert (world.record(ada).first_name, world.record(ada).is_active) == ("Ada", True)


def test_there_and_back_again_reactivates_the_first_contact_r17(world: World) -> None:
    ada = world.hire("ada")
    world.sync(ada)
    old = world.record(ada).id
    to_fabrikam(world)
    world.sync(ada)
    world.set_rules(world.rule)

    world.sync(ada)

    assert (world.record(ada).id, world.record(ada).is_active) == (old, True)
    assert active(world) == 1


def test_a_move_that_meets_two_contacts_waits_and_changes_nothing_r9_r17(world: World) -> None:
    ada = world.hire("ada")
    world.sync(ada)
    old = world.record(ada).id
    doubles = [
        world.bms.add_contact(world.fabrikam.id, "A", "L", ["ada@contoso.example"]).id
        for _ in range(2)
    ]
    to_fabrikam(world)

    world.sync(ada)
    assert (world.record(ada).id, world.record(ada).is_active) == (old, True)
    assert len(world.worker.conflicts.list(CONNECTION)) == 1

    world.bms.remove_contact(doubles[0])
    world.clock.pass_(timedelta(minutes=20))
    world.full_sync()
    assert world.record(ada).id == doubles[1]
    assert not world.bms.get_contact(old).is_active
    assert world.worker.conflicts.list(CONNECTION) == []


# --- groups that cannot be read --------------------------------------------------------------


@pytest.mark.parametrize("how", ["gone", "hidden", "refused"])
def test_an_unreadable_group_deactivates_nobody_and_calls_for_a_person_r20(
    world: World, how: str
) -> None:
    people = staff(world, 3)
    world.directory.inside[a_group_id("staff")].clear()
    if how == "gone":
        world.directory.held_groups.clear()
    elif how == "hidden":
        world.directory.held_groups[a_group_id("staff")] = a_group("staff", hidden=True)
    else:
        refused = PersonMustAct("Entra refuses the group.", "Grant it.", code="graph-rights")
        world.directory.groups = lambda ids: dict.fromkeys(ids, refused)  # type: ignore[method-assign]

    world.sync(*people)

    assert active(world) == 3
    assert {state(world, user) for user in people} == {LinkState.ACTIVE}
    assert world.troubles() == [trouble_texts.GROUPS]


def test_a_group_that_is_only_not_answered_for_is_asked_again_r20(world: World) -> None:
    (ada,) = staff(world, 1)
    world.directory.inside[a_group_id("staff")].clear()
    real = world.directory.groups
    busy = TryLater("Graph is busy.")
    world.directory.groups = lambda ids: dict.fromkeys(ids, busy)  # type: ignore[method-assign]
    world.notice(ada)

    world.deliver(within=timedelta(seconds=30))
    assert active(world) == 1
    assert world.troubles() == []

    world.directory.groups = real  # type: ignore[method-assign]
    world.deliver()
    assert active(world) == 0


# --- the limit -------------------------------------------------------------------------------


def test_leavers_beyond_the_limit_all_wait_r20(world: World) -> None:
    people = staff(world, 12)
    leavers = people[:6]
    for user in leavers:
        world.leave(user)

    world.sync(*people)

    assert active(world) == 12
    assert world.troubles() == [trouble_texts.LEAVERS]
    assert {world.kinds(user)[-1] for user in leavers} == {"hold"}
    assert world.kinds(people[-1]) == ["create"]


def test_leavers_within_the_limit_go_r20(world: World) -> None:
    people = staff(world, 12)
    for user in people[:5]:
        world.leave(user)

    world.sync(*people)

    assert active(world) == 7
    assert world.troubles() == []


def test_leavers_of_one_day_count_together_and_a_repeat_counts_once_r20(world: World) -> None:
    people = staff(world, 12)
    for user in people[:3]:
        world.leave(user)
    world.sync(*people[:3])
    world.sync(*people[:3])
    world.clock.pass_(timedelta(hours=20))
    for user in people[3:6]:
        world.leave(user)

    world.sync(*people[3:6])
    assert active(world) == 9, "six within a day are too many"

    world.clock.pass_(timedelta(hours=5))
    for user in people[6:11]:
        world.leave(user)
    world.sync(*people[6:11])
    assert active(world) == 4, "the first three are of another day"


def test_who_waited_and_is_back_in_scope_goes_on_as_if_nothing_was_r20(world: World) -> None:
    people = staff(world, 6)
    for user in people:
        world.leave(user)
    world.sync(*people)
    for user in people:
        world.join(user)
    world.bms.clear_counters()

    world.sync(*people)

    assert world.bms.counters().total == 0
    assert {state(world, user) for user in people} == {LinkState.ACTIVE}


def test_moves_deactivate_too_and_count_r17_r20(world: World) -> None:
    people = staff(world, 6)
    to_fabrikam(world)

    world.sync(*people)

    assert {contact.account_id for contact in world.bms.contacts()} == {world.contoso.id}
    assert world.troubles() == [trouble_texts.LEAVERS]


def test_the_limit_is_the_connections_own_r20(world: World) -> None:
    limit = HoldLimit(count=1, percent=0, at_most=50)
    world.worker.connections.update(CONNECTION, lambda _: a_connection(hold_limit=limit))
    people = staff(world, 4)
    for user in people[:2]:
        world.leave(user)

    world.sync(*people)

    assert active(world) == 4
