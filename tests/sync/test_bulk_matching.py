"""Bulk work matches against BMS's lists as they are, however old the index was (R6)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.core.model import AccountId, EntraUser, RecordType
from tests.builders import CONNECTION
from tests.sync.interference import calls_of
from tests.sync.test_preview import ask, people, wish
from tests.sync.test_worklist import DEFAULTS, employees
from tests.sync.world import World

pytestmark = pytest.mark.world

ADDRESS = "ada@contoso.example"


def an_employee_of_bms(world: World) -> EntraUser:
    """Ada, who is linked to an employee by a rule of her own."""
    world.worker.defaults.update(lambda now: replace(now, values=DEFAULTS))
    desk = employees(world)
    world.set_rules(world.rule, desk)
    world.bms.add_employee(first_name="Ada", last_name="Lind", email=ADDRESS, user_name=ADDRESS)
    return world.hire("ada", "desk")


def typed_in(world: World) -> None:
    """Somebody types Ada's contact into BMS."""
    world.bms.add_contact(world.contoso.id, "Ada", "Lind", [ADDRESS])


def test_an_employee_who_becomes_a_contact_is_matched_though_no_index_was_read_r6_r18(
    world: World,
) -> None:
    ada = an_employee_of_bms(world)
    world.full_sync()
    assert world.worker.index.read_at() is None
    typed_in(world)
    world.leave(ada, "desk")
    world.join(ada, "staff")

    world.full_sync()

    assert len(world.contacts(ADDRESS)) == 1
    link = world.link(ada)
    assert link is not None
    assert link.record_type is RecordType.CONTACT


def test_an_employee_who_becomes_a_contact_is_matched_with_an_index_a_month_old_r6(
    world: World,
) -> None:
    ada = an_employee_of_bms(world)
    world.hire("ben")
    world.full_sync()
    world.clock.pass_(timedelta(days=30))
    typed_in(world)
    world.leave(ada, "desk")
    world.join(ada, "staff")

    world.full_sync()

    assert len(world.contacts(ADDRESS)) == 1


def test_a_preview_of_an_employee_who_becomes_a_contact_says_the_match_r6_r18(
    world: World,
) -> None:
    ada = an_employee_of_bms(world)
    world.full_sync()
    typed_in(world)
    (known,) = world.contacts(ADDRESS)
    desk = next(one for one in world.worker.rules.edited(CONNECTION) if one != world.rule)

    preview = ask(
        world,
        wish(world.rule),
        wish(desk, record_type=RecordType.CONTACT, account_id=AccountId(world.contoso.id)),
    )

    assert people(world, preview)[ada.id].record_id == known.id


def test_whose_record_is_gone_is_matched_with_lists_as_new_as_the_sync_r6_r8(
    world: World,
) -> None:
    ada = world.hire("ada")
    world.full_sync()
    world.clock.pass_(timedelta(days=30))
    world.bms.remove_contact(world.record(ada).id)
    typed_in(world)
    world.change(ada, job_title="New")

    world.full_sync()

    assert len(world.contacts(ADDRESS)) == 1


def test_what_the_comparison_has_read_its_messages_do_not_read_again_r6_r25(
    world: World,
) -> None:
    for number in range(3):
        world.hire(f"u{number}")

    reads = calls_of(world, "bms.contacts")

    world.full_sync()

    assert len(world.bms.contacts()) == 3
    assert len(reads) == 2, "the active and the inactive ones, once"


def test_a_conflict_that_waits_does_not_have_the_lists_read_by_each_message_r6_r25(
    world: World,
) -> None:
    world.hire("ada")
    typed_in(world)
    typed_in(world)
    world.full_sync()
    world.clock.pass_(timedelta(minutes=5))
    reads = calls_of(world, "bms.contacts")

    world.full_sync()

    assert reads == []
