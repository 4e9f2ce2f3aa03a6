"""Conflicts: a person chooses once, and the choice is remembered (R9)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.core.model import AccountId, Claim, EntraUser, LinkState, RecordId, RecordType
from shared.errors import BadInput
from shared.ports import FRESH, Conflict, Owner
from shared.sync.choosing import Choosing
from tests.builders import CONNECTION
from tests.sync.interference import of, on
from tests.sync.world import Worker, World

pytestmark = pytest.mark.world

ADDRESS = "ada@contoso.example"


def doubles(world: World, count: int = 2, **members: object) -> list[RecordId]:
    """Contacts in BMS that all have Ada's address."""
    return [
        RecordId(world.bms.add_contact(world.contoso.id, "A", "L", [ADDRESS], **members).id)  # type: ignore[arg-type]
        for _ in range(count)
    ]


def resolve(world: World, user: EntraUser, **choice: object) -> Conflict:
    """What a person chose, and all that follows from it."""
    choosing = Choosing(
        world.worker.conflicts, world.worker.links, world.worker.queues, world.clock
    )
    world.clock.pass_(timedelta(seconds=1))
    wish = {"record_id": None, "create": False, "ignore": False, **choice}
    chosen = choosing.resolve(f"{CONNECTION}.{user.id}", **wish)  # type: ignore[arg-type]
    world.deliver()
    return chosen


def waiting(world: World) -> list[str]:
    """Whom a person is asked about."""
    found = world.worker.conflicts.list(CONNECTION)
    return sorted(one.user_id for one in found if one.state == "open")


def the(world: World, user: EntraUser) -> Conflict:
    found = world.worker.conflicts.get(CONNECTION, user.id)
    assert found is not None
    return found


def later(world: World) -> None:
    """The index is read anew by the next full sync."""
    world.clock.pass_(timedelta(minutes=20))
    world.full_sync()


# --- one of them, a new one, none ------------------------------------------------------------


def test_the_chosen_record_becomes_the_users_and_the_other_stays_as_it_is_r9(world: World) -> None:
    first, second = doubles(world)
    ada = world.hire("ada")
    world.sync(ada)

    resolve(world, ada, record_id=second)

    assert world.record(ada).id == second
    assert world.record(ada).first_name == "Ada"
    assert world.bms.get_contact(first).first_name == "A"
    assert waiting(world) == []
    link = world.link(ada)
    assert link is not None
    assert (link.state, link.in_conflict) == (LinkState.ACTIVE, False)


def test_a_new_record_may_be_chosen_although_others_match_r9(world: World) -> None:
    both = doubles(world)
    ada = world.hire("ada")
    world.sync(ada)

    resolve(world, ada, create=True)

    assert world.record(ada).id not in both
    assert len(world.contacts(ADDRESS)) == 3
    later(world)
    assert len(world.contacts(ADDRESS)) == 3


def test_who_is_ignored_is_left_out_through_full_syncs_and_told_once_r9(world: World) -> None:
    doubles(world)
    ada = world.hire("ada")
    world.sync(ada)

    resolve(world, ada, ignore=True)
    later(world)
    later(world)

    assert {contact.first_name for contact in world.contacts(ADDRESS)} == {"A"}
    link = world.link(ada)
    assert link is not None
    assert (link.state, link.record_id) == (LinkState.SKIPPED, None)
    assert world.kinds(ada) == ["conflict", "skip"]
    assert waiting(world) == []


def test_a_mover_who_is_ignored_stays_where_he_is_and_is_told_once_r9_r17(world: World) -> None:
    ada = world.hire("ada")
    world.sync(ada)
    old = world.record(ada).id
    for _ in range(2):
        world.bms.add_contact(world.fabrikam.id, "A", "L", [ADDRESS])
    world.set_rules(replace(world.rule, account_id=AccountId(world.fabrikam.id)))
    world.sync(ada)

    resolve(world, ada, ignore=True)
    later(world)

    assert (world.record(ada).id, world.record(ada).is_active) == (old, True)
    assert world.kinds(ada) == ["create", "conflict", "skip"]


def test_an_ignored_user_costs_no_reading_of_bms_in_a_full_sync_r9(world: World) -> None:
    doubles(world)
    ada = world.hire("ada")
    world.sync(ada)
    resolve(world, ada, ignore=True)
    later(world)
    world.bms.clear_counters()

    world.clock.pass_(timedelta(minutes=5))
    world.full_sync()

    assert world.bms.counters().total == 0


def test_a_choice_may_be_changed_until_it_was_carried_out_r9(world: World) -> None:
    first, _ = doubles(world)
    ada = world.hire("ada")
    world.sync(ada)
    resolve(world, ada, ignore=True)

    resolve(world, ada, record_id=first)

    assert world.record(ada).id == first
    with pytest.raises(BadInput, match="settled") as told:
        resolve(world, ada, create=True)
    assert told.value.status == 409
    assert world.record(ada).id == first


def test_what_is_no_choice_is_refused_and_changes_nothing_r9(world: World) -> None:
    both = doubles(world)
    ada = world.hire("ada")
    world.sync(ada)

    with pytest.raises(BadInput, match="exactly one"):
        resolve(world, ada)
    with pytest.raises(BadInput, match="exactly one"):
        resolve(world, ada, record_id=both[0], create=True)
    with pytest.raises(BadInput, match="not one of this conflict"):
        resolve(world, ada, record_id=999)
    with pytest.raises(BadInput, match="no conflict"):
        resolve(world, world.hire("ben"), create=True)

    assert the(world, ada).state == "open"
    assert world.bms_writes() == 0


# --- remembered ------------------------------------------------------------------------------


def test_the_choice_is_remembered_for_the_same_records_r9(world: World) -> None:
    doubles(world)
    ada = world.hire("ada")
    world.sync(ada)
    resolve(world, ada, ignore=True)
    world.leave(ada)
    world.sync(ada)
    assert world.link(ada) is None
    world.join(ada)

    world.sync(ada)

    link = world.link(ada)
    assert link is not None
    assert link.state is LinkState.SKIPPED
    assert waiting(world) == []


def test_other_records_are_asked_about_again_though_there_are_as_many_r9(world: World) -> None:
    first, second = doubles(world)
    ada = world.hire("ada")
    world.sync(ada)
    world.bms.remove_contact(first)
    (third,) = doubles(world, 1)

    later(world)
    assert set(the(world, ada).record_ids) == {second, third}
    resolve(world, ada, ignore=True)

    world.bms.remove_contact(second)
    (fourth,) = doubles(world, 1)
    later(world)
    assert waiting(world) == [ada.id]
    assert set(the(world, ada).record_ids) == {third, fourth}
    resolve(world, ada, record_id=fourth)
    assert world.record(ada).id == fourth


def test_a_choice_that_falls_while_the_records_change_is_asked_for_again_r9(world: World) -> None:
    first, second = doubles(world)
    ada = world.hire("ada")
    world.sync(ada)
    world.bms.remove_contact(first)
    (third,) = doubles(world, 1)
    world.worker.conflicts.put(replace(the(world, ada), state="resolved", ignore=True))

    later(world)

    assert waiting(world) == [ada.id]
    assert set(the(world, ada).record_ids) == {second, third}


def test_a_conflict_ends_by_itself_when_a_record_goes_away_r9(world: World) -> None:
    first, second = doubles(world)
    ada = world.hire("ada")
    world.sync(ada)
    world.bms.remove_contact(first)

    later(world)

    assert world.record(ada).id == second
    assert world.worker.conflicts.list(CONNECTION) == []
    with pytest.raises(BadInput, match="no conflict"):
        resolve(world, ada, create=True)


def test_a_conflict_that_a_dead_worker_left_over_is_settled_by_a_choice_r9(world: World) -> None:
    ada = world.hire("ada")
    world.sync(ada)
    mine = RecordId(world.record(ada).id)
    left_over = Conflict(CONNECTION, ada.id, (mine, RecordId(99)), "two", world.clock())
    world.worker.conflicts.put(left_over)

    with pytest.raises(BadInput, match="settled"):
        resolve(world, ada, record_id=99)

    assert world.worker.conflicts.list(CONNECTION) == []
    assert world.record(ada).id == mine


# --- inactive ones ---------------------------------------------------------------------------


def test_a_single_inactive_match_is_active_again_without_asking_r9(world: World) -> None:
    (old,) = doubles(world, 1, is_active=False)
    ada = world.hire("ada")

    world.sync(ada)

    assert (world.record(ada).id, world.record(ada).is_active) == (old, True)
    assert world.worker.conflicts.list(CONNECTION) == []


def test_of_several_inactive_ones_the_chosen_one_is_active_again_r9(world: World) -> None:
    first, second = doubles(world, 2, is_active=False)
    ada = world.hire("ada")
    world.sync(ada)
    assert waiting(world) == [ada.id]

    resolve(world, ada, record_id=first)

    assert (world.record(ada).id, world.record(ada).is_active) == (first, True)
    assert not world.bms.get_contact(second).is_active


def test_an_active_match_wins_over_inactive_ones_without_asking_r9(world: World) -> None:
    doubles(world, 2, is_active=False)
    (there,) = doubles(world, 1)
    ada = world.hire("ada")

    world.sync(ada)

    assert world.record(ada).id == there


# --- another user's record -------------------------------------------------------------------


def two_of_one_address(world: World) -> tuple[EntraUser, EntraUser, RecordId]:
    ada = world.hire("ada")
    world.sync(ada)
    twin = world.hire("twin", mail=ADDRESS)
    world.sync(twin)
    assert waiting(world) == [twin.id]
    return ada, twin, RecordId(world.record(ada).id)


def owner_of(world: World, record: RecordId) -> Owner | None:
    return world.worker.owners.get_many(RecordType.CONTACT, [record]).get(record)


def test_a_record_chosen_from_another_user_passes_and_he_is_asked_about_r9(world: World) -> None:
    ada, twin, record = two_of_one_address(world)

    resolve(world, twin, record_id=record)

    assert world.record(twin).id == record
    assert world.record(twin).first_name == "Twin"
    assert owner_of(world, record) == Owner(CONNECTION, twin.id)
    link = world.link(ada)
    assert link is not None
    assert (link.state, link.record_id) == (LinkState.CONFLICT, None)
    assert waiting(world) == [ada.id]


def test_the_later_word_counts_and_two_users_never_take_turns_r9(world: World) -> None:
    ada, twin, record = two_of_one_address(world)
    resolve(world, twin, record_id=record)

    resolve(world, ada, record_id=record)  # ends: `deliver` empties the queues

    assert world.record(ada).id == record
    assert world.record(ada).first_name == "Ada"
    assert owner_of(world, record) == Owner(CONNECTION, ada.id)
    assert waiting(world) == [twin.id]
    world.bms.clear_counters()
    world.sync(ada, twin)
    assert world.bms_writes() == 0


def test_the_other_may_have_a_new_one_r9(world: World) -> None:
    ada, twin, record = two_of_one_address(world)
    resolve(world, twin, record_id=record)

    resolve(world, ada, create=True)

    assert world.record(twin).id == record
    assert world.record(ada).id != record
    assert world.record(ada).first_name == "Ada"
    assert waiting(world) == []


def test_a_record_is_not_taken_from_under_the_worker_that_writes_it_r9_r22(world: World) -> None:
    ada, twin, record = two_of_one_address(world)
    link = world.link(ada)
    assert link is not None
    now = world.clock()
    claim = Claim("another", now, now + timedelta(seconds=30))
    world.worker.links.save([replace(link, claim=claim)])
    choosing = Choosing(
        world.worker.conflicts, world.worker.links, world.worker.queues, world.clock
    )
    choosing.resolve(f"{CONNECTION}.{twin.id}", record_id=record, create=False, ignore=False)

    world.deliver(within=timedelta(seconds=10))
    assert owner_of(world, record) == Owner(CONNECTION, ada.id)
    after = world.link(ada)
    assert after is not None
    assert after.claim == claim

    world.deliver()
    assert world.record(twin).id == record


def test_whoever_is_written_at_the_very_moment_keeps_no_second_link_r9_r22(world: World) -> None:
    ada, twin, record = two_of_one_address(world)
    Choosing(world.worker.conflicts, world.worker.links, world.worker.queues, world.clock).resolve(
        f"{CONNECTION}.{twin.id}", record_id=record, create=False, ignore=False
    )
    world.inbox.waiting.clear()
    worker = Worker(world)

    def rewritten() -> None:
        link = world.link(ada)
        assert link is not None
        world.worker.links.save([replace(link, upn="written.by.another@contoso.example")])

    worker.tap = on("links.get", "after", rewritten, nth=2)
    worker.apply.handle(of(twin), FRESH)
    world.deliver()

    holders = [
        user for user in (ada, twin) if (link := world.link(user)) and link.record_id == record
    ]
    assert holders == [twin]
    assert owner_of(world, record) == Owner(CONNECTION, twin.id)
