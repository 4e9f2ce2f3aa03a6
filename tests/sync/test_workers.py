"""Two workers on one user at the same time (R9, R22)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.core.model import Origin
from shared.ports import BULK, FRESH
from tests.builders import a_user_id
from tests.sync.interference import ADDRESS, CREATING, at_the_same_time, of, on, settled
from tests.sync.world import WRITES, Worker, World

pytestmark = pytest.mark.world


@pytest.mark.parametrize("round_", range(3))
def test_two_workers_on_one_new_user_create_one_contact_r22(world: World, round_: int) -> None:
    ada = world.hire("ada")
    others = [Worker(world), Worker(world)]

    at_the_same_time(*(lambda one=one: one.apply.handle(of(ada), FRESH) for one in others))
    world.deliver()

    settled(world, ada)


@pytest.mark.parametrize("round_", range(3))
def test_two_users_with_one_address_at_the_same_time_make_one_contact_and_one_conflict_r9(
    world: World, round_: int
) -> None:
    twins = [world.hire(name, mail=ADDRESS) for name in ("ada", "ben")]
    others = [Worker(world), Worker(world)]

    at_the_same_time(
        *(
            lambda one=one, user=user: one.apply.handle(of(user), FRESH)
            for one, user in zip(others, twins, strict=True)
        )
    )
    world.deliver()

    settled(world, *twins)


def test_a_full_sync_and_a_fresh_change_on_the_same_new_users_make_one_contact_each_r22(
    world: World,
) -> None:
    people = [world.hire(f"u{number}") for number in range(12)]
    bulk, fresh = Worker(world), Worker(world)

    at_the_same_time(
        lambda: bulk.apply.handle(of(*people, origin=Origin.FULL), BULK),
        lambda: fresh.apply.handle(of(*people), FRESH),
    )
    world.deliver()

    assert len(world.bms.contacts()) == 12
    assert {world.record(user).default_email for user in people} == {user.mail for user in people}


@pytest.mark.parametrize("call", CREATING)
def test_another_worker_at_any_moment_of_a_creation_makes_no_second_contact_r22(
    world: World, call: str
) -> None:
    ada = world.hire("ada", job_title="Controller")
    other = Worker(world)
    world.worker.tap = on(call, "after", lambda: other.apply.handle(of(ada), FRESH))

    world.sync(ada)

    settled(world, ada)


@pytest.mark.parametrize("call", CREATING)
def test_a_second_user_of_the_address_at_any_moment_of_a_creation_becomes_a_conflict_r9(
    world: World, call: str
) -> None:
    ada, ben = world.hire("ada", job_title="Controller"), world.hire("ben", mail=ADDRESS)
    other = Worker(world)
    world.worker.tap = on(call, "after", lambda: other.apply.handle(of(ben), FRESH))

    world.sync(ada)

    settled(world, ada, ben)


@pytest.mark.parametrize(
    "call", ["index.begin_reading", "owners.take", "links.save", "bms.patch_contact", "log.add"]
)
def test_a_second_user_of_the_address_at_any_moment_of_a_merge_becomes_a_conflict_r9(
    world: World, call: str
) -> None:
    world.bms.add_contact(world.contoso.id, "A", "L", [ADDRESS])
    ada, ben = world.hire("ada"), world.hire("ben", mail=ADDRESS)
    other = Worker(world)
    world.worker.tap = on(call, "after", lambda: other.apply.handle(of(ben), FRESH))

    world.sync(ada)

    settled(world, ada, ben)


def test_a_link_that_changed_between_read_and_claim_is_decided_again_r22(world: World) -> None:
    ada = world.hire("ada")
    world.sync(ada)
    older = world.change(ada, surname="Berg")
    world.notice(older)

    def newer_look_by_another_worker() -> None:
        world.directory.before_look = None
        Worker(world).apply.handle(of(world.change(ada, surname="Newer")), FRESH)

    world.directory.before_look = newer_look_by_another_worker

    world.deliver()

    assert world.record(ada).last_name == "Newer"
    assert world.kinds(ada) == ["create", "update"]


def test_a_user_who_is_being_written_waits_r22(world: World) -> None:
    ada = world.hire("ada")
    other = Worker(world)
    seen: list[tuple[str, ...]] = []

    def meanwhile() -> None:
        other.apply.handle(of(ada), FRESH)
        seen.extend(delta.users for delta in world.inbox.deltas())

    world.worker.tap = on("bms.create_contact", "before", meanwhile)

    world.sync(ada)

    assert seen == [(ada.id,)]
    settled(world, ada)


def test_the_writes_of_a_creation_are_all_named_here(world: World) -> None:
    seen: set[str] = set()
    world.worker.tap = lambda call, _: seen.add(call)

    world.sync(world.hire("ada", job_title="Controller"))

    assert seen & WRITES == set(CREATING)


def test_an_unknown_user_in_a_message_harms_nobody(world: World) -> None:
    ada = world.hire("ada")

    world.sync(ada, replace(ada, id=a_user_id("nobody")))

    settled(world, ada)
