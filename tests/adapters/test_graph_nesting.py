"""How groups hold a user, and who is meant by a text, at the wire (R1)."""

from __future__ import annotations

import pytest

from shared.core.model import GroupId, UserId
from shared.core.nesting import shortest_path
from tests.adapters.entra_wire import Wire


def test_r1_the_path_of_a_nested_group_is_read_in_two_requests(wire: Wire) -> None:
    user = wire.entra.add_user(wire.tenant, "ada@contoso.test", displayName="Ada")
    front = wire.entra.add_group(wire.tenant, "Front desk", members=[user])
    office = wire.entra.add_group(wire.tenant, "Office", members=[front])
    staff = wire.entra.add_group(wire.tenant, "Optics staff", members=[office])
    directory = wire.directory()
    directory.organization_id()
    wire.entra.counters(reset=True)

    found = directory.nesting(UserId(user), [GroupId(staff)])

    assert wire.entra.count("graph POST /$batch") == 2
    assert shortest_path(GroupId(staff), found.direct, found.parents) == (staff, office, front)
    assert found.names[GroupId(front)] == "Front desk"
    assert found.complete


def test_a_group_that_holds_him_directly_costs_one_request(wire: Wire) -> None:
    user = wire.entra.add_user(wire.tenant, "ada@contoso.test", displayName="Ada")
    staff = wire.entra.add_group(wire.tenant, "Staff", members=[user])
    directory = wire.directory()
    directory.organization_id()
    wire.entra.counters(reset=True)

    found = directory.nesting(UserId(user), [GroupId(staff)])

    assert wire.entra.count("graph POST /$batch") == 1
    assert found.direct == {staff}


def test_of_very_many_groups_only_some_are_asked_and_it_says_so(wire: Wire) -> None:
    user = wire.entra.add_user(wire.tenant, "ada@contoso.test", displayName="Ada")
    for number in range(60):
        wire.entra.add_group(wire.tenant, f"Own {number}", members=[user])
    inner = wire.entra.add_group(wire.tenant, "Inner", members=[])
    chain = wire.entra.add_group(wire.tenant, "zz", members=[inner])
    top = wire.entra.add_group(wire.tenant, "Top", members=[chain])
    wire.entra.add_member(wire.tenant, inner, user)
    directory = wire.directory()
    directory.organization_id()
    wire.entra.counters(reset=True)

    found = directory.nesting(UserId(user), [GroupId(top)])

    assert wire.entra.count("graph POST /$batch") <= 4
    assert not found.complete
    assert GroupId(top) in found.names


@pytest.mark.parametrize("text", ["ADA@contoso.test", "a.lind@contoso.test", "Ada Lind"])
def test_a_user_is_named_by_upn_alias_or_whole_name(wire: Wire, text: str) -> None:
    user = wire.entra.add_user(
        wire.tenant,
        "ada@contoso.test",
        displayName="Ada Lind",
        mail="ada@contoso.test",
        proxyAddresses=["SMTP:ada@contoso.test", "smtp:a.lind@contoso.test"],
    )
    wire.entra.add_user(wire.tenant, "bob@contoso.test", displayName="Ada Lindqvist")

    assert [one.id for one in wire.directory().users_named(text)] == [user]
