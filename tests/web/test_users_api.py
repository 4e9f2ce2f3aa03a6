"""Groups and users of a tenant, and the sync of one user by hand."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.core.model import Activity, ConnectionId, GroupId, Link, LinkState, Origin, UserId
from shared.errors import DecideAgain, PersonMustAct, TryLater
from shared.sync.work import Told
from tests.fakes import START
from tests.web.world import INES, SALES, World, a_connection, a_draft, a_group, a_ready_world

SYNC = f"/api/users/contoso/{INES}/sync"


def a_synced_world() -> World:
    world = a_ready_world()
    world.add(a_connection(first_sync_at=START))
    return world


def test_groups_are_found_by_name_and_an_unusable_one_says_why() -> None:
    world = a_ready_world()
    world.directories.directory.held_groups[GroupId(SALES)] = a_group(hidden=True)

    items = world.call("GET", "/api/connections/contoso/groups?q=sal").body["items"]

    assert [(each["id"], each["name"], each["usable"]) for each in items] == [
        (SALES, "Sales", False)
    ]
    assert "hidden" in items[0]["reason"]


def test_users_are_found_with_their_record_or_without() -> None:
    world = a_ready_world()
    without = world.call("GET", "/api/users/contoso?q=ines").body["items"]
    world.links.save([Link(ConnectionId("contoso"), UserId(INES), LinkState.ACTIVE)])
    linked = world.call("GET", "/api/users/contoso?q=ines").body["items"]

    assert [each["record"] for each in without] == [None]
    assert linked[0]["record"]["state"] == "active"
    assert linked[0]["userPrincipalName"] == "ines@contoso.example"


@pytest.mark.parametrize("path", ["/api/connections/contoso/groups", "/api/users/contoso"])
def test_searching_a_tenant_that_is_not_connected_is_409(path: str) -> None:
    world = a_ready_world()
    world.add(a_draft())

    answer = world.call("GET", f"{path}?q=x")

    assert answer.status == 409
    assert "not connected" in answer.detail


@pytest.mark.parametrize(
    "user", [INES, INES.upper(), "ines@contoso.example", "INES%40contoso.example"]
)
def test_one_user_is_synced_by_id_or_upn_and_told_what_was_decided(user: str) -> None:
    world = a_synced_world()
    line = Activity(
        START, ConnectionId("contoso"), "create", "Member of Sales.", "person", UserId(INES)
    )
    world.sync_one.decides = Told("create", "Member of Sales.", line)

    answer = world.call("POST", f"/api/users/contoso/{user}/sync")

    assert answer.status == 200
    assert world.sync_one.asked == [INES]
    assert (answer.body["decision"], answer.body["reason"]) == ("create", "Member of Sales.")
    assert answer.body["activity"]["kind"] == "create"


def test_a_guests_upn_with_its_hash_is_found() -> None:
    world = a_synced_world()
    user = world.directories.directory.users[UserId(INES)]
    world.directories.directory.users[UserId(INES)] = type(user)(
        UserId(INES), upn="ines_x.test#EXT#@contoso.example"
    )

    answer = world.call("POST", "/api/users/contoso/ines_x.test%23EXT%23@contoso.example/sync")

    assert (answer.status, world.sync_one.asked) == (200, [INES])


def test_nothing_to_do_is_told_as_such() -> None:
    answer = a_synced_world().call("POST", SYNC)

    assert answer.status == 200
    assert (answer.body["decision"], answer.body["reason"]) == ("nothing", "is up to date")
    assert answer.body["activity"] is None


@pytest.mark.parametrize("user", ["nobody@contoso.example", "33333333-0000-4000-8000-00000000dead"])
def test_a_user_that_neither_entra_nor_a_link_knows_is_404(user: str) -> None:
    world = a_synced_world()

    assert world.call("POST", f"/api/users/contoso/{user}/sync").status == 404
    assert not world.sync_one.asked


@pytest.mark.parametrize("user", [INES, "Ines@contoso.example"])
def test_a_user_who_is_gone_from_entra_is_synced_as_long_as_a_link_remembers_him(user: str) -> None:
    world = a_synced_world()
    world.directories.directory.users.clear()
    link = Link(ConnectionId("contoso"), UserId(INES), LinkState.ACTIVE, upn="ines@contoso.example")
    world.links.save([link])

    assert world.call("POST", f"/api/users/contoso/{user}/sync").status == 200
    assert world.sync_one.asked == [INES]


@pytest.mark.parametrize(
    "connection",
    [a_draft(), a_connection(), a_connection(paused=True, first_sync_at=START)],
    ids=["draft", "before the first sync", "paused"],
)
def test_r5_one_user_is_not_synced_while_the_connection_may_not_write(
    connection: object,
) -> None:
    world = a_ready_world()
    world.add(connection)  # type: ignore[arg-type]

    assert world.call("POST", SYNC).status == 409
    assert not world.sync_one.asked


@pytest.mark.parametrize(
    "error",
    [TryLater("BMS does not answer.", timedelta(seconds=30)), DecideAgain("It has changed.")],
)
def test_passing_trouble_queues_the_user_as_a_persons_fresh_change(error: Exception) -> None:
    world = a_synced_world()
    world.sync_one.decides = error

    answer = world.call("POST", SYNC)

    assert (answer.status, answer.body["queued"]) == (202, True)
    [delta] = world.queues.fresh
    assert (delta.users, delta.origin, delta.signal_at) == ((INES,), Origin.PERSON, START)


def test_what_a_person_must_mend_is_told_at_once() -> None:
    world = a_synced_world()
    world.sync_one.decides = PersonMustAct("BMS refuses.", "Enter the password.", code="bms")

    answer = world.call("POST", SYNC)

    assert (answer.status, answer.body["nextStep"]) == (409, "Enter the password.")
    assert not world.queues.fresh
