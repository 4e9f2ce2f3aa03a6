"""What becomes of the users of a message (R1–R14, R22, R24), in real tables and BMS."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.core.model import AccountId, LinkState, LocationId, RecordId, RecordType
from tests.builders import CONNECTION, a_connection, a_group_id, a_user
from tests.sync.world import World

pytestmark = pytest.mark.world


# --- coming ----------------------------------------------------------------------------------


def test_a_new_user_becomes_a_contact_with_every_field_r6_r11(world: World) -> None:
    ada = world.hire("ada", job_title="Controller", business_phone="+49 30 1", mobile_phone="17")

    world.sync(ada)

    contact = world.record(ada)
    assert (contact.first_name, contact.last_name) == ("Ada", "Lind")
    assert (contact.job_title, contact.is_active) == ("Controller", True)
    assert contact.default_email == "ada@contoso.example"
    assert [(phone.value, phone.type_id) for phone in contact.phones] == [
        ("+49 30 1", 21),
        ("17", 22),
    ]
    assert contact.account_id == world.contoso.id
    assert contact.location_id == world.contoso.main_location_id
    (told,) = world.activity(ada)
    assert (told.kind, told.record_id, told.origin) == ("create", contact.id, "sweep")
    assert told.seconds is not None
    owners = world.worker.owners.get_many(RecordType.CONTACT, [RecordId(contact.id)])
    assert owners[RecordId(contact.id)].user_id == ada.id


def test_a_contact_that_somebody_typed_in_is_merged_and_keeps_its_id_r6(world: World) -> None:
    typed = world.bms.add_contact(
        world.contoso.id, "Adah", "Lindt", ["old@contoso.example", "ADA@contoso.example"]
    )
    ada = world.hire("ada")

    world.sync(ada)

    contact = world.record(ada)
    assert contact.id == typed.id
    assert (contact.first_name, contact.last_name) == ("Ada", "Lind")
    assert contact.default_email == "ADA@contoso.example"
    assert [email.value for email in contact.emails] == [
        "old@contoso.example",
        contact.default_email,
    ]
    assert world.kinds(ada) == ["merge"]


def test_a_contact_typed_in_after_the_lists_were_read_is_found_too_r6(world: World) -> None:
    ada, ben = world.hire("ada"), world.hire("ben")
    world.sync(ada)
    typed = world.bms.add_contact(world.contoso.id, "Ben", "L", ["ben@contoso.example"])

    world.sync(ben)

    assert world.record(ben).id == typed.id


def test_a_match_in_another_account_is_merged_there_with_a_note_r6(world: World) -> None:
    typed = world.bms.add_contact(world.fabrikam.id, "A", "L", ["ada@contoso.example"])
    ada = world.hire("ada")

    world.sync(ada)

    contact = world.record(ada)
    assert (contact.id, contact.account_id) == (typed.id, world.fabrikam.id)
    assert any("stays there" in note for note in world.activity(ada)[0].notes)


def test_a_connection_may_match_in_the_rules_account_only_r6(world: World) -> None:
    world.worker.connections.update(CONNECTION, lambda _: a_connection(match_scope="account"))
    world.bms.add_contact(world.fabrikam.id, "A", "L", ["ada@contoso.example"])
    ada = world.hire("ada")

    world.sync(ada)

    assert world.record(ada).account_id == world.contoso.id
    assert len(world.contacts("ada@contoso.example")) == 2


def test_one_inactive_match_is_taken_and_active_again_r9(world: World) -> None:
    typed = world.bms.add_contact(
        world.contoso.id, "Ada", "Lind", ["ada@contoso.example"], is_active=False
    )
    ada = world.hire("ada")

    world.sync(ada)

    assert (world.record(ada).id, world.record(ada).is_active) == (typed.id, True)


def test_two_matches_wait_for_a_person_and_nothing_is_written_r9(world: World) -> None:
    doubles = [
        world.bms.add_contact(world.contoso.id, "Ada", "Lind", ["ada@contoso.example"]).id
        for _ in range(2)
    ]
    ada = world.hire("ada")

    world.sync(ada)
    world.sync(ada)

    link = world.link(ada)
    assert link is not None
    assert (link.state, link.record_id) == (LinkState.CONFLICT, None)
    (conflict,) = world.worker.conflicts.list(CONNECTION)
    assert (conflict.user_id, set(conflict.record_ids)) == (ada.id, set(doubles))
    assert world.bms_writes() == 0
    assert world.kinds(ada) == ["conflict"], "told once"


def test_a_conflict_ends_when_one_match_is_left_r9(world: World) -> None:
    one, two = (
        world.bms.add_contact(world.contoso.id, "Ada", "Lind", ["ada@contoso.example"]).id
        for _ in range(2)
    )
    ada = world.hire("ada")
    world.sync(ada)
    world.bms.remove_contact(two)
    world.clock.pass_(timedelta(minutes=20))

    world.full_sync()

    assert world.record(ada).id == one
    assert world.worker.conflicts.list(CONNECTION) == []


def test_of_two_users_with_one_address_the_one_linked_first_keeps_it_r9(world: World) -> None:
    ada, twin = world.hire("ada"), world.hire("twin", mail="Ada@contoso.example")
    world.sync(ada)

    world.sync(twin)

    assert world.record(ada).first_name == "Ada"
    (conflict,) = world.worker.conflicts.list(CONNECTION)
    assert (conflict.user_id, conflict.record_ids) == (twin.id, (world.record(ada).id,))
    assert len(world.contacts("ada@contoso.example")) == 1


def test_two_users_with_one_address_in_one_message_never_both_get_a_record_r9(
    world: World,
) -> None:
    twins = [world.hire(name, mail="same@contoso.example") for name in ("ada", "ben")]

    world.sync(*twins)

    assert len(world.contacts("same@contoso.example")) == 1
    states = sorted(link.state for user in twins if (link := world.link(user)))
    assert states == [LinkState.ACTIVE, LinkState.CONFLICT]


def test_when_the_first_one_leaves_the_second_gets_the_record_r9(world: World) -> None:
    ada, twin = world.hire("ada"), world.hire("twin", mail="ada@contoso.example")
    world.sync(ada)
    world.sync(twin)
    world.leave(ada)

    world.sync(ada)

    assert world.record(twin).id == world.record(ada).id
    assert (world.record(twin).first_name, world.record(twin).is_active) == ("Twin", True)
    assert world.worker.conflicts.list(CONNECTION) == []


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"mail": "", "upn": "x#EXT#@contoso.example"}, "no usable e-mail address"),
        ({"given_name": "", "surname": "", "display_name": " "}, "neither a given name"),
        ({"guest": True}, "guest"),
        ({"enabled": False}, "blocked"),
    ],
    ids=["no address", "no name", "a guest", "blocked from the start"],
)
def test_whom_nothing_can_be_made_of_is_skipped_with_the_reason_r4(
    world: World, fields: dict[str, object], words: str
) -> None:
    ada, ben = world.hire("ada", **fields), world.hire("ben")

    world.sync(ada, ben)
    world.sync(ada, ben)

    (told,) = world.activity(ada)
    assert told.kind == "skip"
    assert words in told.reason
    assert len(world.bms.contacts()) == 1, "the rest goes on"


def test_a_user_in_no_mapped_group_leaves_no_trace_r10(world: World) -> None:
    stranger = a_user("stranger")
    world.directory.users[stranger.id] = stranger

    world.sync(stranger)

    assert world.link(stranger) is None
    assert world.activity(stranger) == []
    assert world.bms_writes() == 0


def test_names_with_quotes_and_unicode_arrive_as_they_are_r11(world: World) -> None:
    user = world.hire("x", given_name="Łukasz 🙂", surname='O\'Neil "<b>"', mail="o'neil@x.example")

    world.sync(user)

    contact = world.record(user)
    assert (contact.first_name, contact.last_name) == ("Łukasz 🙂", 'O\'Neil "<b>"')
    assert contact.default_email == "o'neil@x.example"


def test_the_rule_of_lowest_order_decides_the_account_r2(world: World) -> None:
    first = world.a_rule("vip", order=0, account_id=AccountId(world.fabrikam.id))
    world.set_rules(world.rule, first)
    ada = world.hire("ada", "staff", "vip")

    world.sync(ada)

    assert world.record(ada).account_id == world.fabrikam.id


def test_nested_members_count_r1(world: World) -> None:
    world.a_rule("inner")
    world.directory.inside[a_group_id("staff")].add(a_group_id("inner"))
    ada = world.hire("ada", "inner")

    world.sync(ada)

    assert world.record(ada).is_active


# --- staying ---------------------------------------------------------------------------------


def test_a_second_look_at_the_same_user_writes_nothing_r14(world: World) -> None:
    ada = world.hire("ada", job_title="Controller", business_phone="1", mobile_phone="2")
    world.sync(ada)
    world.bms.clear_counters()

    world.sync(ada)

    assert world.bms.counters().total == 0
    assert world.kinds(ada) == ["create"]


def test_a_renamed_user_is_never_doubled_r8(world: World) -> None:
    ada = world.hire("ada")
    world.sync(ada)
    before = world.record(ada).id

    world.sync(world.change(ada, surname="Berg", mail="ada.berg@contoso.example"))

    contact = world.record(ada)
    assert (contact.id, contact.last_name) == (before, "Berg")
    assert contact.default_email == "ada.berg@contoso.example"
    assert [email.value for email in contact.emails] == [
        "ada@contoso.example",
        "ada.berg@contoso.example",
    ]


def test_a_local_edit_stays_until_the_person_changes_in_entra_r12(world: World) -> None:
    ada = world.hire("ada", job_title="Clerk")
    world.sync(ada)
    world.bms.edit_contact(world.record(ada).id, first_name="Addie", is_active=False)
    world.sync(ada)
    assert (world.record(ada).first_name, world.record(ada).is_active) == ("Addie", False)

    world.sync(world.change(ada, job_title="Controller"))

    contact = world.record(ada)
    assert (contact.first_name, contact.job_title, contact.is_active) == ("Ada", "Controller", True)


def test_an_emptied_value_clears_only_what_was_ours_r13(world: World) -> None:
    ada = world.hire("ada", job_title="Clerk")
    ben = world.hire("ben")
    world.sync(ada, ben)
    world.bms.edit_contact(world.record(ben).id, job_title="typed by hand")

    world.sync(world.change(ada, job_title=""), world.change(ben, surname="Berg"))

    assert not world.record(ada).job_title
    assert world.record(ben).job_title == "typed by hand"


def test_the_only_phone_stays_where_bms_refuses_to_clear_it_with_a_note_r13(world: World) -> None:
    ada = world.hire("ada", business_phone="1")
    world.sync(ada)

    world.sync(world.change(ada, business_phone=""))

    assert [phone.value for phone in world.record(ada).phones] == ["1"]
    assert any("stays" in note for note in world.activity(ada)[-1].notes)


def test_a_linked_user_who_loses_every_address_stays_with_a_note_told_once_r4(
    world: World,
) -> None:
    ada = world.hire("ada")
    world.sync(ada)
    gone = world.change(ada, mail="", upn="no-address", surname="Berg")

    world.sync(gone)
    world.sync(gone)

    assert (world.record(ada).is_active, world.record(ada).last_name) == (True, "Lind")
    assert world.kinds(ada) == ["create", "note"]


def test_a_record_that_is_gone_in_bms_is_made_anew_and_told_r8(world: World) -> None:
    ada = world.hire("ada")
    world.sync(ada)
    before = world.record(ada).id
    world.bms.remove_contact(before)

    world.sync(world.change(ada, surname="Berg"))

    contact = world.record(ada)
    assert contact.id != before
    assert (contact.last_name, contact.is_active) == ("Berg", True)
    assert world.kinds(ada) == ["create", "note", "create"]
    assert f"{before} is gone" in world.activity(ada)[1].reason


def test_a_record_that_is_gone_in_bms_is_matched_again_first_r8(world: World) -> None:
    ada = world.hire("ada")
    world.sync(ada)
    world.bms.remove_contact(world.record(ada).id)
    typed = world.bms.add_contact(world.contoso.id, "A", "L", ["ada@contoso.example"])

    world.sync(world.change(ada, surname="Berg"))

    assert world.record(ada).id == typed.id


def test_a_changed_location_of_the_rule_moves_in_place_and_writes_nothing_else_r12_r17(
    world: World,
) -> None:
    ada = world.hire("ada")
    world.sync(ada)
    world.bms.edit_contact(world.record(ada).id, first_name="Addie")
    branch = world.bms.add_location(world.contoso.id, "Branch")
    world.set_rules(world.a_rule("staff", location_id=LocationId(branch)))

    world.sync(ada)
    world.sync(ada)

    contact = world.record(ada)
    assert (contact.location_id, contact.first_name) == (branch, "Addie")
    assert world.kinds(ada) == ["create", "update"]
