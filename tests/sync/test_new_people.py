"""Whom a full sync saw without a link is written without asking for one (R22)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.core.model import EntraUser, LinkState, Origin
from shared.ports import BULK
from tests.builders import CONNECTION
from tests.sync.interference import CREATING, calls_of, dies, of
from tests.sync.world import World

pytestmark = pytest.mark.world

ADDRESS = "ada@contoso.example"


def again(world: World, *users: EntraUser) -> None:
    """What a full sync queued for these, who had no link then, comes now (or once more)."""
    world.notice(*users, queue=BULK, origin=Origin.FULL, signal_at=None, unlinked=True)
    world.deliver()


def test_a_full_sync_of_new_people_reads_none_of_their_links(world: World) -> None:
    people = [world.hire(f"p{number}") for number in range(30)]
    reads = calls_of(world, "links.get_many")
    assert world.full_sync().done == 30
    assert reads == []
    assert all(world.link(one) for one in people)


def test_who_is_known_is_still_read_first_r22(world: World) -> None:
    ada = world.hire("ada", job_title="Clerk")
    world.full_sync()
    world.clock.pass_(timedelta(minutes=5))
    world.change(ada, job_title="Chief")
    world.hire("bob")
    reads = calls_of(world, "links.get_many")
    world.full_sync()
    assert len(reads) == 1
    assert world.record(ada).job_title == "Chief"


def test_who_was_linked_meanwhile_gets_no_second_record_r22(world: World) -> None:
    ada = world.hire("ada")
    world.sync(ada)
    again(world, ada)
    assert len(world.contacts(ADDRESS)) == 1
    assert world.kinds(ada) == ["create"]


@pytest.mark.parametrize("call", [call for call in CREATING if call != "bms.patch_contact"])
def test_a_message_whose_worker_died_at_any_call_ends_as_one_record_r22(
    world: World, call: str
) -> None:
    ada = world.hire("ada")
    delta = replace(of(ada, origin=Origin.FULL), unlinked=True, index_since=world.clock())
    dies(world, delta, call)
    again(world, ada)
    assert len(world.contacts(ADDRESS)) == 1
    link = world.link(ada)
    assert link is not None
    assert link.state is LinkState.ACTIVE


def test_who_is_skipped_is_told_once_r24(world: World) -> None:
    ada = world.hire("ada", mail="", upn="")
    world.full_sync()
    again(world, ada)
    assert world.kinds(ada) == ["skip"]


def test_what_comes_back_is_read_like_any_other(world: World) -> None:
    ada = world.hire("ada")
    world.sync(ada)
    reads = calls_of(world, "links.get_many")
    again(world, ada)
    assert len(reads) == 1
    assert world.worker.links.get(CONNECTION, ada.id) is not None
