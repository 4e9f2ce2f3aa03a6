"""Delta queries at the wire (R21, R23; graph.md section 3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from shared.errors import Rejected, SyncError, TryLater
from shared.ports import CursorDead, DeltaItem
from tests.adapters.entra_wire import Wire

DEAD_ANSWERS = [
    "410_location",
    "410_syncStateNotFound",
    "400_syncStateNotFound",
    "410_resyncRequired",
    "400_unsupportedQuery",
]


def round_of(wire: Wire, link: str) -> tuple[dict[str, DeltaItem], str]:
    items: dict[str, DeltaItem] = {}
    cursor = ""
    for page in wire.directory().delta(link):
        items |= {item.id: item for item in page.items}
        cursor = page.cursor or cursor
    return items, cursor


def test_a_cursor_begins_now_and_reports_what_comes_after(wire: Wire) -> None:
    wire.entra.generate(wire.tenant, 50, groups=1)
    cursor = wire.directory().start_cursor("users")

    nothing, cursor = round_of(wire, cursor)
    user = wire.entra.add_user(wire.tenant, "ada@contoso.test", displayName="Ada")
    something, cursor = round_of(wire, cursor)
    again, _ = round_of(wire, cursor)

    assert nothing == {}
    assert list(something) == [user]
    assert again == {}


def test_a_deleted_user_is_reported_as_removed(wire: Wire) -> None:
    user = wire.entra.add_user(wire.tenant, "ada@contoso.test", displayName="Ada")
    cursor = wire.directory().start_cursor("users")
    wire.entra.soft_delete(wire.tenant, user)

    items, _ = round_of(wire, cursor)

    assert items[user].removed


def test_every_mapped_field_is_tracked(wire: Wire) -> None:
    user = wire.entra.add_user(wire.tenant, "ada@contoso.test", displayName="Ada")
    cursor = wire.directory().start_cursor("users")
    changes: list[dict[str, Any]] = [
        {"givenName": "A"},
        {"surname": "L"},
        {"mail": "a@contoso.test"},
        {"businessPhones": ["1"]},
        {"mobilePhone": "2"},
        {"jobTitle": "T"},
        {"department": "D"},
        {"accountEnabled": False},
        {"userType": "Guest"},
        {"displayName": "Ada L"},
        {"userPrincipalName": "al@contoso.test"},
    ]

    for change in changes:
        wire.entra.update_user(wire.tenant, user, **change)
        items, cursor = round_of(wire, cursor)
        assert user in items, change


def test_membership_changes_come_with_the_group(wire: Wire) -> None:
    ada = wire.entra.add_user(wire.tenant, "ada@contoso.test", displayName="Ada")
    bob = wire.entra.add_user(wire.tenant, "bob@contoso.test", displayName="Bob")
    inner = wire.entra.add_group(wire.tenant, "Inner")
    group = wire.entra.add_group(wire.tenant, "G", members=[bob])
    cursor = wire.directory().start_cursor("groups")
    wire.entra.add_members(wire.tenant, group, [ada, inner])
    wire.entra.remove_member(wire.tenant, group, bob)

    items, _ = round_of(wire, cursor)

    members = {(each.id, each.is_group, each.removed) for each in items[group].members}
    assert members == {(ada, False, False), (inner, True, False), (bob, False, True)}


def test_where_from_now_on_is_refused_the_whole_is_read_instead(wire: Wire) -> None:
    wire.entra.generate(wire.tenant, 450)
    wire.entra.add_fault(
        "status", "/users/delta", status=400, code="Request_UnsupportedQuery", count=1
    )
    cursor = wire.directory().start_cursor("users")
    user = wire.entra.add_user(wire.tenant, "ada@contoso.test", displayName="Ada")

    items, _ = round_of(wire, cursor)

    assert list(items) == [user]


def test_empty_pages_repeats_and_shuffled_order_do_no_harm(wire: Wire) -> None:
    wire.entra.switch(delta_empty_pages=True, delta_repeat_rate=0.5, delta_page_size=10)
    cursor = wire.directory().start_cursor("users")
    made = wire.entra.generate(wire.tenant, 45, ids=True)

    items, _ = round_of(wire, cursor)

    assert set(made["users"]) <= set(items)


@pytest.mark.parametrize("answer", DEAD_ANSWERS)
@pytest.mark.parametrize("resource", ["users", "groups"])
def test_r23_each_way_of_saying_that_a_link_is_dead_is_understood(
    wire: Wire, answer: str, resource: str
) -> None:
    cursor = wire.directory().start_cursor(resource)
    wire.entra.expire_delta_links(wire.tenant, answer)

    with pytest.raises(CursorDead):
        round_of(wire, cursor)


def test_an_unsupported_query_that_is_not_about_the_link_is_no_dead_link(wire: Wire) -> None:
    cursor = wire.directory().start_cursor("users")
    wire.entra.add_fault(
        "status",
        "/users/delta",
        status=400,
        code="Request_UnsupportedQuery",
        message="The property is not supported.",
    )

    with pytest.raises(Rejected):
        round_of(wire, cursor)


@pytest.mark.parametrize(
    "foreign",
    [
        lambda link: link.replace("graph.microsoft.com", "graph.example.net"),
        lambda link: link.replace("https://", "http://"),
        lambda link: link.replace("https://graph.microsoft.com", "https://graph.microsoft.com@x.y"),
        lambda link: link.replace("https://graph.microsoft.com", "https://graph.microsoft.com:444"),
    ],
    ids=["host", "scheme", "user part", "port"],
)
def test_a_stored_link_to_another_place_gets_no_token(
    wire: Wire, foreign: Callable[[str], str]
) -> None:
    cursor = wire.directory().start_cursor("users")

    with pytest.raises(CursorDead):
        list(wire.directory().delta(foreign(cursor)))


def test_a_round_that_dies_half_way_begins_again_once(wire: Wire) -> None:
    wire.entra.switch(delta_page_size=10)
    cursor = wire.directory().start_cursor("users")
    made = wire.entra.generate(wire.tenant, 35, ids=True)
    wire.entra.add_fault(
        "status", "/users/delta", status=400, code="Directory_ExpiredPageToken", after=2, count=1
    )

    items, end = round_of(wire, cursor)

    assert set(items) == set(made["users"])
    assert end


def test_r23_a_round_that_breaks_off_has_no_cursor(wire: Wire) -> None:
    wire.entra.switch(delta_page_size=10)
    cursor = wire.directory().start_cursor("users")
    wire.entra.generate(wire.tenant, 35)
    wire.entra.add_fault("status", "/users/delta", status=429, retry_after=60, after=1)
    cursors: list[str | None] = []

    with pytest.raises(SyncError):
        cursors.extend(page.cursor for page in wire.directory().delta(cursor))

    assert set(cursors) <= {None}


@pytest.mark.parametrize("form", ["int", "float", "date"])
def test_each_form_of_retry_after_is_honoured(wire: Wire, form: str) -> None:
    cursor = wire.directory().start_cursor("users")
    wire.entra.add_fault(
        "status", "/users/delta", status=429, retry_after=120, retry_after_form=form
    )

    with pytest.raises(TryLater) as error:
        round_of(wire, cursor)

    assert error.value.after is not None
    assert 100 < error.value.after.total_seconds() <= 121
    assert not error.value.counts


def test_a_page_that_is_cut_off_is_asked_for_again_later(wire: Wire) -> None:
    cursor = wire.directory().start_cursor("users")
    wire.entra.add_fault("truncate", "/users/delta")

    with pytest.raises(TryLater):
        round_of(wire, cursor)


def test_a_token_that_ends_between_two_pages_is_renewed(wire: Wire) -> None:
    wire.entra.switch(delta_page_size=10)
    cursor = wire.directory().start_cursor("users")
    made = wire.entra.generate(wire.tenant, 25, ids=True)
    seen: set[str] = set()

    for number, page in enumerate(wire.directory().delta(cursor)):
        seen |= {item.id for item in page.items}
        if number == 0:
            wire.entra.expire_access_tokens(wire.tenant)

    assert seen == set(made["users"])


def test_an_idle_round_is_one_request(wire: Wire) -> None:
    cursor = wire.directory().start_cursor("users")
    wire.entra.counters(reset=True)

    round_of(wire, cursor)

    assert sum(wire.entra.counters()["calls"].values()) == 1
