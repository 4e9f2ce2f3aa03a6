"""A worker may die between any two writes; the next one finishes its work (R22)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.core.model import AccountId, EntraUser, LinkState, Origin
from shared.ports import BULK, FRESH
from tests.sync.interference import ADDRESS, CREATING, dies, of, settled
from tests.sync.world import World

pytestmark = pytest.mark.world


def test_a_worker_that_dies_before_the_create_leaves_it_to_the_next_r22(world: World) -> None:
    ada = world.hire("ada")
    dies(world, of(ada), "bms.create_contact", "before")
    assert world.contacts(ADDRESS) == []

    world.sync(ada)

    settled(world, ada)


def test_after_a_death_between_create_and_link_the_record_is_found_r22(world: World) -> None:
    ada = world.hire("ada")
    dies(world, of(ada), "bms.create_contact")
    (made,) = world.contacts(ADDRESS)
    link = world.link(ada)
    assert link is not None
    assert link.record_id is None
    world.clock.pass_(timedelta(minutes=10))

    world.sync(ada)

    assert world.record(ada).id == made.id
    settled(world, ada)


def test_while_the_dead_workers_claim_lasts_nobody_writes_r22(world: World) -> None:
    ada = world.hire("ada")
    dies(world, of(ada), "bms.create_contact", "before")
    world.notice(ada)

    world.deliver(within=timedelta(seconds=100))

    assert world.bms_writes() == 0
    assert [delta.users for delta in world.inbox.deltas()] == [(ada.id,)]


@pytest.mark.parametrize("call", CREATING)
def test_a_worker_may_die_after_any_write_of_a_creation_r22(world: World, call: str) -> None:
    ada = world.hire("ada", job_title="Controller")
    dies(world, of(ada), call)
    if call == "index.begin_reading":
        world.clock.pass_(timedelta(minutes=9))  # nobody else reads until its lease has run out

    world.sync(ada)

    settled(world, ada)


@pytest.mark.parametrize(
    "call", ["links.save", "index.change", "bms.create_contact", "owners.take_new", "index.put"]
)
def test_after_such_a_death_a_second_user_of_the_address_is_a_conflict_r9(
    world: World, call: str
) -> None:
    ada, ben = world.hire("ada"), world.hire("ben", mail=ADDRESS, job_title="Controller")
    ada = world.change(ada, job_title="Clerk")
    dies(world, of(ada), call)
    world.clock.pass_(timedelta(minutes=11))

    world.sync(ben)
    world.sync(ada)
    world.full_sync()

    settled(world, ada, ben)


@pytest.mark.parametrize("queue", [FRESH, BULK])
def test_what_was_made_for_one_user_is_not_given_to_another_of_the_address_r9(
    world: World, queue: str
) -> None:
    ada, ben = world.hire("ada"), world.hire("ben", mail=ADDRESS)
    ada = world.change(ada, job_title="Clerk", business_phone="1")
    dies(world, of(ada), "bms.create_contact")
    world.clock.pass_(timedelta(minutes=9))  # what the dead worker held has run out
    origin = Origin.FULL if queue == BULK else Origin.SWEEP
    world.notice(ben, queue=queue, origin=origin, index_since=world.clock())
    world.deliver(within=timedelta(minutes=1))

    world.sync(ada)  # and now her message is back
    world.deliver()

    settled(world, ada, ben)
    assert world.record(ada).job_title == "Clerk"
    assert world.kinds(ben) == ["conflict"]


def test_who_never_comes_back_leaves_the_address_to_the_next_r9(world: World) -> None:
    ada, ben = world.hire("ada"), world.hire("ben", mail=ADDRESS)
    dies(world, of(ada), "bms.create_contact")
    (made,) = world.contacts(ADDRESS)

    world.sync(ben)

    assert world.record(ben).id == made.id


def test_who_waits_for_a_dead_workers_lock_asks_bms_seldom_r25(world: World) -> None:
    ada, ben = world.hire("ada"), world.hire("ben", mail=ADDRESS)
    dies(world, of(ada), "index.change")
    world.bms.clear_counters()

    world.sync(ben)

    assert world.record(ben).is_active
    # BMS allows 1,500 an hour on this route, for all users together.
    assert world.bms.counters().calls["GET /v2/crm/contacts/summary"] <= 60


def test_a_record_that_the_filter_leaves_out_is_found_in_the_lists_r6_r22(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = world.hire("ada")
    world.bms.add_fault("reset_after", "POST /v2/crm/contacts/summary", count=1)
    # Nobody knows what a filter query leaves out: here, everything.
    monkeypatch.setattr("shared.adapters.bms.BmsApi.find_contacts", lambda *_: [])

    world.sync(ada)

    settled(world, ada)


def test_a_create_that_timed_out_after_its_commit_is_found_not_repeated_r22(world: World) -> None:
    ada = world.hire("ada", job_title="Controller")
    endpoint = "POST /v2/crm/contacts/summary"
    world.bms.add_fault("reset_after", endpoint, count=1)

    world.sync(ada)

    settled(world, ada)
    assert world.bms.counters().calls[endpoint] == 1


def test_a_create_that_timed_out_before_its_commit_is_repeated_once_it_is_certain_r22(
    world: World,
) -> None:
    ada = world.hire("ada")
    endpoint = "POST /v2/crm/contacts/summary"
    world.bms.add_fault("reset", endpoint, count=1)
    began = world.clock()

    world.sync(ada)

    settled(world, ada)
    assert world.bms.counters().calls[endpoint] == 2
    assert world.clock() - began >= timedelta(seconds=90), "it might still have been under way"


def test_a_bulk_create_that_timed_out_after_its_commit_is_not_repeated_r22(world: World) -> None:
    ada = world.hire("ada")
    world.bms.add_fault("reset_after", "POST /v2/crm/contacts/summary", count=1)

    world.full_sync()

    settled(world, ada)


def _changing(world: World) -> tuple[EntraUser, EntraUser]:
    """Ada as linked, and as she is now: every kind of write is due."""
    ada = world.hire("ada", business_phone="1")
    world.sync(ada)
    return ada, world.change(
        ada, surname="Berg", mail="ada.berg@contoso.example", business_phone="2", mobile_phone="3"
    )


@pytest.mark.parametrize(
    ("call", "nth"),
    [
        ("links.save", 1),
        ("bms.change_emails", 1),
        ("bms.change_phones", 1),
        ("bms.change_phones", 2),
        ("bms.patch_contact", 1),
        ("index.change", 1),
        ("log.add", 1),
    ],
    ids=lambda value: str(value),
)
def test_a_worker_may_die_after_any_write_of_a_change_r22(
    world: World, call: str, nth: int
) -> None:
    ada, now = _changing(world)
    dies(world, of(now), call, nth=nth)

    world.sync(now)

    contact = world.record(ada)
    assert contact.last_name == "Berg"
    assert contact.default_email == now.mail
    assert [email.value for email in contact.emails] == [ADDRESS, now.mail]
    assert sorted((phone.value, phone.type_id) for phone in contact.phones) == [
        ("2", 21),
        ("3", 22),
    ]


@pytest.mark.parametrize(
    ("call", "nth"),
    [("windows.save", 1), ("links.save", 1), ("bms.patch_contact", 1), ("log.add", 1)],
    ids=lambda value: str(value),
)
def test_a_worker_may_die_after_any_write_of_a_leave_r22(world: World, call: str, nth: int) -> None:
    ada = world.hire("ada")
    world.sync(ada)
    world.leave(ada)
    dies(world, of(ada), call, nth=nth)

    world.sync(ada)

    link = world.link(ada)
    assert link is not None
    assert (link.state, link.claim) == (LinkState.INACTIVE, None)
    assert not world.record(ada).is_active


_MOVING = [
    ("links.save", 1),
    ("bms.create_contact", 1),
    ("bms.patch_contact", 1),
    ("index.put", 1),
    ("owners.take_new", 1),
    ("links.save", 2),
]


@pytest.mark.parametrize(("call", "nth"), _MOVING, ids=lambda value: str(value))
def test_a_worker_may_die_after_any_write_of_a_move_r17_r22(
    world: World, call: str, nth: int
) -> None:
    ada = world.hire("ada")
    world.sync(ada)
    old = world.record(ada).id
    world.set_rules(replace(world.rule, account_id=AccountId(world.fabrikam.id)))
    dies(world, of(ada), call, nth=nth)

    world.sync(ada)

    contacts = {contact.account_id: contact for contact in world.contacts(ADDRESS)}
    assert len(world.contacts(ADDRESS)) == len(contacts) == 2
    assert (contacts[world.contoso.id].id, contacts[world.contoso.id].is_active) == (old, False)
    assert contacts[world.fabrikam.id].is_active
    assert world.record(ada).id == contacts[world.fabrikam.id].id
    link = world.link(ada)
    assert link is not None
    assert (link.old_record_id, link.claim) == (None, None)
