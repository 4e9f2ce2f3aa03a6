"""Reading users and groups through Graph, at the wire (R1, R22; graph.md sections 1, 2, 4, 6)."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

from shared.core.model import EntraUser, GroupId, Mode, UserId
from shared.errors import DecideAgain, PersonMustAct, SyncError, TryLater
from shared.ports import Look
from tests.adapters.entra_wire import CLIENT_ID, Wire

NOBODY = UserId("0a1b2c3d-0000-4000-8000-00000000dead")


def looked(wire: Wire, *users: str, groups: list[str], direct: bool = False) -> list[Look]:
    ids = [UserId(user) for user in users]
    found = wire.directory().look(ids, [GroupId(group) for group in groups], direct=direct)
    answers = [found[user] for user in ids]
    assert all(isinstance(answer, Look) for answer in answers), answers
    return [answer for answer in answers if isinstance(answer, Look)]


def member_ids(wire: Wire, group: str, *, nested: bool) -> set[str]:
    return {
        user.id for page in wire.directory().members(GroupId(group), nested=nested) for user in page
    }


def test_a_user_is_read_with_every_field_that_is_mapped(wire: Wire) -> None:
    user = wire.entra.add_user(
        wire.tenant,
        "ada@contoso.test",
        displayName="Ada Łovelace",
        givenName="Ada",
        surname="Łovelace",
        mail="Ada@contoso.test",
        proxyAddresses=["SMTP:Ada@contoso.test", "smtp:a@contoso.test"],
        businessPhones=["+44 20 555"],
        mobilePhone="+44 7 555",
        jobTitle="Analyst",
        department="Engines",
    )

    assert wire.directory().find_user(user) == EntraUser(
        id=UserId(user),
        upn="ada@contoso.test",
        mail="Ada@contoso.test",
        display_name="Ada Łovelace",
        given_name="Ada",
        surname="Łovelace",
        job_title="Analyst",
        department="Engines",
        business_phone="+44 20 555",
        mobile_phone="+44 7 555",
        proxy_addresses=("SMTP:Ada@contoso.test", "smtp:a@contoso.test"),
    )


def test_a_guest_is_found_by_a_upn_with_a_hash_sign(wire: Wire) -> None:
    upn = "eve_fabrikam.test#EXT#@contoso.test"
    wire.entra.add_user(wire.tenant, upn, displayName="Eve", userType="Guest")

    found = wire.directory().find_user(upn)

    assert found is not None
    assert found.guest


@pytest.mark.parametrize("name", [NOBODY, "nobody@contoso.test", "no such thing/..?x", ""])
def test_who_does_not_exist_is_nobody(wire: Wire, name: str) -> None:
    assert wire.directory().find_user(name) is None


def test_r22_a_look_tells_the_user_and_his_groups_through_nesting(wire: Wire) -> None:
    user = wire.entra.add_user(wire.tenant, "ada@contoso.test", displayName="Ada")
    inner = wire.entra.add_group(wire.tenant, "Inner", members=[user])
    outer = wire.entra.add_group(wire.tenant, "Outer", members=[inner])
    other = wire.entra.add_group(wire.tenant, "Other")

    [look] = looked(wire, user, groups=[inner, outer, other], direct=True)

    assert look.user is not None
    assert look.user.display_name == "Ada"
    assert look.member_of == {inner, outer}
    assert look.direct == {inner}


def test_r22_more_than_twenty_groups_are_checked_in_pieces(wire: Wire) -> None:
    user = wire.entra.add_user(wire.tenant, "ada@contoso.test", displayName="Ada")
    groups = [
        wire.entra.add_group(wire.tenant, f"G{n}", members=[user] if n % 2 else [])
        for n in range(45)
    ]

    [look] = looked(wire, user, groups=groups)

    assert look.member_of == {group for n, group in enumerate(groups) if n % 2}


def test_r22_many_users_are_looked_at_in_few_batches_and_never_mixed_up(wire: Wire) -> None:
    made = wire.entra.generate(wire.tenant, 205, groups=1, ids=True)
    wire.entra.counters(reset=True)

    looks = looked(wire, *made["users"], groups=made["groups"])

    assert [look.user.id for look in looks if look.user] == made["users"]
    assert wire.entra.count("graph POST /$batch") == 21


def test_r22_without_groups_only_the_user_is_asked_for(wire: Wire) -> None:
    made = wire.entra.generate(wire.tenant, 20, ids=True)
    wire.entra.counters(reset=True)

    looked(wire, *made["users"], groups=[], direct=True)

    assert wire.entra.count("graph POST /$batch") == 1
    assert wire.entra.count("graph POST /users/{id}/checkMemberGroups") == 0


def test_r16_a_deleted_user_and_one_who_never_was_are_both_nobody(wire: Wire) -> None:
    user = wire.entra.add_user(wire.tenant, "ada@contoso.test", displayName="Ada")
    group = wire.entra.add_group(wire.tenant, "G", members=[user])
    wire.entra.soft_delete(wire.tenant, user)

    looks = looked(wire, user, NOBODY, "not-an-id", groups=[group])

    assert [look.user for look in looks] == [None, None, None]


def test_a_user_too_new_for_the_server_that_checks_groups_is_looked_at_again_later(
    wire: Wire,
) -> None:
    user = UserId(wire.entra.add_user(wire.tenant, "ada@contoso.test", displayName="Ada"))
    group = GroupId(wire.entra.add_group(wire.tenant, "G", members=[user]))
    wire.entra.add_fault(
        "status", "/users/{id}/checkMemberGroups", status=404, code="Request_ResourceNotFound"
    )

    found = wire.directory().look([user], [group], direct=False)

    assert isinstance(found[user], TryLater)


def test_a_throttled_part_of_a_batch_is_sent_again(wire: Wire) -> None:
    made = wire.entra.generate(wire.tenant, 30, groups=1, ids=True)
    wire.entra.add_fault(
        "status",
        "/users/{id}",
        in_batch=True,
        status=429,
        retry_after=0.2,
        retry_after_form="float",
        count=5,
    )

    looks = looked(wire, *made["users"], groups=made["groups"])

    assert all(look.user and look.member_of for look in looks)


def test_one_user_in_lasting_trouble_does_not_stop_the_others(wire: Wire) -> None:
    made = wire.entra.generate(wire.tenant, 25, groups=1, ids=True)
    wire.entra.add_fault("status", "/users/{id}", path_contains=made["users"][3], status=503)

    found = wire.directory().look(made["users"], made["groups"], direct=False)

    assert [user for user in made["users"] if isinstance(found[user], SyncError)] == [
        made["users"][3]
    ]


def test_a_long_wait_inside_a_batch_is_left_to_the_queue(wire: Wire) -> None:
    made = wire.entra.generate(wire.tenant, 2, groups=1, ids=True)
    wire.entra.add_fault("status", "/users/{id}", in_batch=True, status=429, retry_after=90)

    found = wire.directory().look(made["users"], made["groups"], direct=False)

    for trouble in found.values():
        assert isinstance(trouble, TryLater)
        assert trouble.after is not None
        assert trouble.after >= timedelta(seconds=60)
        assert not trouble.counts


def test_a_throttled_tenant_is_left_alone_by_all_threads(wire: Wire) -> None:
    directory = wire.directory()
    wire.entra.add_fault("status", "/organization", status=429, retry_after=90, count=1)
    with pytest.raises(TryLater):
        directory.organization_id()
    wire.entra.counters(reset=True)

    with pytest.raises(TryLater) as error:
        wire.directory().organization_id()

    assert error.value.after is not None
    assert wire.entra.count("graph GET /organization") == 0


def test_a_batch_that_is_a_424_as_a_whole_is_sent_again(wire: Wire) -> None:
    made = wire.entra.generate(wire.tenant, 3, groups=1, ids=True)
    wire.entra.switch(batch_outer_424=True)
    wire.entra.add_fault("status", "/users/{id}", in_batch=True, status=429, count=1)

    assert len(looked(wire, *made["users"], groups=made["groups"])) == 3


def test_a_token_that_ends_in_mid_run_is_renewed_once(wire: Wire) -> None:
    made = wire.entra.generate(wire.tenant, 45, groups=1, ids=True)
    directory = wire.directory()
    directory.organization_id()
    wire.entra.expire_access_tokens(wire.tenant)

    found = directory.look(made["users"], made["groups"], direct=False)

    assert all(isinstance(answer, Look) for answer in found.values())


def test_r30_a_missing_permission_is_told_with_its_cure(wire: Wire) -> None:
    wire.entra.set_consent(CLIENT_ID, wire.tenant, roles=["Group.Read.All"])
    group = wire.entra.add_group(wire.tenant, "G")

    with pytest.raises(PersonMustAct) as error:
        wire.directory().look([NOBODY], [GroupId(group)], direct=False)

    assert error.value.code == "permissions"
    assert "User.Read.All" in error.value.next_step


@pytest.mark.parametrize("nested", [True, False])
def test_r1_members_come_with_nesting_or_without(wire: Wire, nested: bool) -> None:
    ada = wire.entra.add_user(wire.tenant, "ada@contoso.test", displayName="Ada")
    bob = wire.entra.add_user(wire.tenant, "bob@contoso.test", displayName="Bob")
    device = wire.entra.add_other(wire.tenant, "#microsoft.graph.device", displayName="Laptop")
    inner = wire.entra.add_group(wire.tenant, "Inner", members=[bob])
    outer = wire.entra.add_group(wire.tenant, "Outer", members=[ada, inner, device])

    assert member_ids(wire, outer, nested=nested) == ({ada, bob} if nested else {ada})


def test_every_group_below_one_is_found(wire: Wire) -> None:
    lowest = wire.entra.add_group(wire.tenant, "Lowest")
    inner = wire.entra.add_group(wire.tenant, "Inner", members=[lowest])
    outer = wire.entra.add_group(wire.tenant, "Outer", members=[inner])

    assert wire.directory().nested_groups(GroupId(outer)) == {inner, lowest}


def test_a_large_group_is_read_page_by_page(wire: Wire) -> None:
    made = wire.entra.generate(wire.tenant, 2500, groups=1)

    pages = [len(page) for page in wire.directory().members(made["groups"][0], nested=True)]

    assert pages == [999, 999, 502]


def test_a_list_whose_page_token_has_died_starts_again(wire: Wire) -> None:
    made = wire.entra.generate(wire.tenant, 1500, groups=1)
    seen: set[str] = set()

    for number, page in enumerate(wire.directory().members(made["groups"][0], nested=True)):
        seen |= {user.id for user in page}
        if number == 0:
            wire.entra.expire_page_tokens()

    assert len(seen) == 1500


def test_r20_a_missing_page_is_an_error_never_an_end(wire: Wire) -> None:
    made = wire.entra.generate(wire.tenant, 1500, groups=1)
    wire.entra.add_fault("status", "/groups/{id}/transitiveMembers*", status=504, after=1)

    with pytest.raises(TryLater):
        for _ in wire.directory().members(made["groups"][0], nested=True):
            pass


def test_members_of_a_group_that_is_gone_are_an_error(wire: Wire) -> None:
    with pytest.raises(DecideAgain):
        list(wire.directory().members(GroupId(NOBODY), nested=True))


def test_r1_groups_tell_their_kind_and_whether_their_members_are_hidden(wire: Wire) -> None:
    plain = wire.entra.add_group(wire.tenant, "Plain")
    team = wire.entra.add_group(wire.tenant, "Team", kind="m365")
    hidden = wire.entra.add_group(wire.tenant, "Hidden", kind="m365", visibility="HiddenMembership")
    found = wire.directory().groups(
        [GroupId(plain), GroupId(team), GroupId(hidden), GroupId(NOBODY), GroupId("x")]
    )
    shown = {
        group.name: (group.kind, group.hidden, group.created_at is not None)
        for group in found.values()
        if group is not None and not isinstance(group, SyncError)
    }

    assert shown == {
        "Plain": ("security", False, True),
        "Team": ("microsoft365", False, True),
        "Hidden": ("microsoft365", True, True),
    }
    assert found[GroupId(NOBODY)] is None
    assert found[GroupId("x")] is None


def test_groups_are_searched_by_beginning_of_name_or_by_id(wire: Wire) -> None:
    group = wire.entra.add_group(wire.tenant, "O'Brien & Söhne")
    wire.entra.add_group(wire.tenant, "Other")
    directory = wire.directory()

    assert [each.id for each in directory.search_groups("o'brien & s", 10)] == [group]
    assert [each.id for each in directory.search_groups(group.upper(), 10)] == [group]
    assert len(directory.search_groups("", 10)) == 2
    assert directory.search_groups("nothing", 10) == []


def test_users_are_searched_by_name_upn_address_and_id(wire: Wire) -> None:
    user = wire.entra.add_user(
        wire.tenant, "ada@contoso.test", displayName="Ada Lovelace", mail="countess@contoso.test"
    )
    directory = wire.directory()

    for text in ("ada lo", "ada@contoso.test", "countess@contoso.test", user.upper()):
        assert [each.id for each in directory.search_users(text, 10)] == [user], text


def test_delegated_rights_are_no_more_than_the_persons_own(wire: Wire) -> None:
    wire.sign_in_once()
    wire.entra.restrict_user(wire.tenant, "ines@contoso.test")
    group = wire.entra.add_group(wire.tenant, "G")

    with pytest.raises(PersonMustAct):
        list(wire.directory(Mode.DELEGATED).members(GroupId(group), nested=True))


def test_pages_of_999_users_are_read_quickly(wire: Wire) -> None:
    made = wire.entra.generate(wire.tenant, 999, groups=1)
    directory = wire.directory()
    directory.organization_id()

    began = time.process_time()
    [page] = directory.members(made["groups"][0], nested=True)

    assert len(page) == 999
    assert time.process_time() - began < 0.25


def test_managers_are_read_for_many_at_once_and_nobody_is_none(wire: Wire) -> None:
    boss = wire.entra.add_user(wire.tenant, "boss@contoso.test")
    ada = wire.entra.add_user(wire.tenant, "ada@contoso.test", manager=boss)
    ben = wire.entra.add_user(wire.tenant, "ben@contoso.test")

    found = wire.directories.open(wire.connection()).managers([UserId(ada), UserId(ben)])

    assert found == {ada: boss, ben: None}
