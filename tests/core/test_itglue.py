"""What IT Glue should hold, by values (R27)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shared.core.itglue import (
    GlueContact,
    GlueEntry,
    GlueId,
    Matched,
    OrganizationId,
    PassedOn,
    PassState,
    Several,
    WantedInGlue,
    doubled,
    glue_changes,
    match,
    new_in_glue,
    rename_warning,
    wanted_in_glue,
)
from shared.core.itglue_messages import (
    EVERYBODY,
    MOST_RECORDS,
    PassItem,
    PassOn,
    decode_pass_on,
    encode_pass_on,
    pack_items,
)
from shared.core.messages import UnreadableMessage
from shared.core.model import AccountId, LinkState, RecordId
from tests.builders import CONNECTION, a_link, a_user_id
from tests.fakes import START

INACTIVE = 57
ADA = "ada@contoso.example"


def wanted(**fields: Any) -> WantedInGlue:
    given: dict[str, Any] = {
        "record_id": RecordId(500),
        "account_id": AccountId(7),
        "active": True,
        "first_name": "Ada",
        "last_name": "Lind",
        "email": ADA,
    }
    return WantedInGlue(**{**given, **fields})


def entry(value: str, label: str = "Work", *, primary: bool = False, **more: Any) -> GlueEntry:
    return GlueEntry(value, label, primary, **more)


def a_contact(number: str = "88", *emails: str, **fields: Any) -> GlueContact:
    held = tuple(entry(each, primary=not place) for place, each in enumerate(emails))
    given: dict[str, Any] = {"first_name": "Ada", "last_name": "Lind", "emails": held}
    return GlueContact(GlueId(number), OrganizationId(3001), **{**given, **fields})


def a_row(**fields: Any) -> PassedOn:
    return PassedOn(RecordId(500), CONNECTION, a_user_id("ada"), **fields)


def change(contact: GlueContact, want: WantedInGlue, row: PassedOn | None = None) -> Any:
    return glue_changes(contact, want, row or a_row(), inactive_type=INACTIVE)


# --- what is wanted ----------------------------------------------------------------------------


def test_r27_what_the_link_remembers_as_written_is_what_it_glue_shall_show() -> None:
    written = {
        "FirstName": "Ada",
        "LastName": "Lind",
        "Email": ADA,
        "JobTitle": "Clerk",
        "WorkPhone": "1",
    }

    found = wanted_in_glue(a_link(written=written), RecordId(500), None)

    assert found == wanted(title="Clerk", work_phone="1")


@pytest.mark.parametrize(
    ("state", "active"),
    [(LinkState.ACTIVE, True), (LinkState.KEPT, True), (LinkState.INACTIVE, False)],
)
def test_r17_r27_a_kept_record_stays_active_and_a_leavers_does_not(
    state: LinkState, active: bool
) -> None:
    found = wanted_in_glue(a_link(state=state), RecordId(500), None)
    assert found is not None
    assert found.active is active


@pytest.mark.parametrize("state", [LinkState.PENDING, LinkState.CONFLICT, LinkState.FAILED])
def test_r27_a_record_that_is_not_yet_the_users_is_not_passed_on(state: LinkState) -> None:
    assert wanted_in_glue(a_link(state=state), RecordId(500), None) is None


def test_r17_r27_the_record_that_a_move_left_behind_is_inactive_in_its_own_account() -> None:
    found = wanted_in_glue(a_link(record_id=RecordId(501)), RecordId(500), AccountId(9))
    assert found is not None
    assert (found.active, found.account_id) == (False, 9)


# --- matching ----------------------------------------------------------------------------------


def test_r27_an_email_goes_before_a_name() -> None:
    named = a_contact("1", "else@contoso.example")
    mailed = a_contact("2", ADA.upper(), first_name="A.")

    assert match(wanted(), [named, mailed]) == Matched(mailed, "e-mail")


def test_r27_a_further_email_counts_after_the_primary_ones() -> None:
    further = a_contact("1", "x@contoso.example", ADA)
    primary = a_contact("2", ADA)

    assert match(wanted(), [further, primary]) == Matched(primary, "e-mail")
    assert match(wanted(), [further]) == Matched(further, "e-mail")


@pytest.mark.parametrize(
    ("first", "last", "fits"),
    [("Ada", "Lind", True), (" Ada ", "Lind", True), ("ada", "Lind", False), ("Ada", "L", False)],
)
def test_r27_a_name_matches_exactly_or_not_at_all(first: str, last: str, fits: bool) -> None:
    one = a_contact("1", first_name=first, last_name=last)

    assert match(wanted(), [one]) == (Matched(one, "name") if fits else None)


def test_r27_two_of_one_name_or_address_are_nobodys_guess() -> None:
    assert match(wanted(), [a_contact("1", ADA), a_contact("2", ADA)]) == Several(
        (GlueId("1"), GlueId("2")), "e-mail"
    )
    assert match(wanted(), [a_contact("1"), a_contact("2")]) == Several(
        (GlueId("1"), GlueId("2")), "name"
    )


def test_r27_nobody_without_a_name_is_matched_by_name() -> None:
    assert match(wanted(first_name=""), [a_contact("1", first_name="")]) is None


# --- what differs ------------------------------------------------------------------------------


def test_r14_r27_nothing_is_sent_when_nothing_differs() -> None:
    contact = a_contact("1", ADA, title="Clerk", phones=(entry("4930555", primary=True),))

    assert change(contact, wanted(title="Clerk", work_phone="+49 30 555")).nothing


def test_r27_only_what_differs_is_sent() -> None:
    contact = a_contact("1", ADA, last_name="Berg", title="Clerk")

    changes = change(contact, wanted(title="Clerk"))

    assert changes.fields == {"last-name": "Lind"}
    assert (changes.emails, changes.phones) == (None, None)


def test_r11_r27_a_new_address_becomes_the_one_primary_and_all_others_stay() -> None:
    contact = a_contact("1", "old@contoso.example", "private@home.example")

    changes = change(contact, wanted())

    assert [(one.value, one.primary) for one in changes.emails] == [
        ("old@contoso.example", False),
        ("private@home.example", False),
        (ADA, True),
    ]


def test_r27_an_address_that_is_there_becomes_primary_in_its_place() -> None:
    contact = a_contact("1", "old@contoso.example", ADA.upper())

    assert [(one.value, one.primary) for one in change(contact, wanted()).emails] == [
        ("old@contoso.example", False),
        (ADA.upper(), True),
    ]


def test_r27_two_primary_addresses_become_one() -> None:
    both = (entry(ADA, primary=True), entry("x@contoso.example", primary=True))
    changes = change(a_contact("1", emails=both), wanted())
    assert [one.primary for one in changes.emails] == [True, False]


def test_r11_r27_phones_are_set_in_their_labels_and_all_others_stay() -> None:
    fax = entry("999", "Work Fax", label_type="fax")
    held = (fax, entry("111", "Work", extension="7"), entry("222", "Home", primary=True))

    changes = change(a_contact("1", ADA, phones=held), wanted(work_phone="3", mobile_phone="4"))

    assert changes.phones == (
        fax,
        entry("3", "Work", extension="7"),
        entry("222", "Home", primary=True),
        entry("4", "Cell"),
    )


def test_r27_a_number_that_is_there_under_another_label_is_not_doubled() -> None:
    contact = a_contact("1", ADA, phones=(entry("49305550", "Main", primary=True),))

    assert change(contact, wanted(work_phone="+49 (30) 555-0")).nothing


def test_r13_r27_an_empty_value_clears_only_what_was_written_here() -> None:
    held = (entry("111", "Work", primary=True), entry("222", "Mobile"))
    contact = a_contact("1", ADA, title="Clerk", phones=held)

    assert change(contact, wanted()).nothing, "typed by people"
    ours = a_row(written={"JobTitle": "Clerk", "WorkPhone": "1-11", "MobilePhone": "333"})
    changes = change(contact, wanted(), ours)

    assert changes.fields == {"title": None}
    assert changes.phones == (entry("222", "Mobile", primary=True),), "one primary is left"


def test_r27_labels_that_the_account_has_are_used() -> None:
    _, emails, phones = new_in_glue(
        wanted(work_phone="1", mobile_phone="2"), labels=["Office", "Mobile", "Home"]
    )
    assert [one.label for one in emails] == ["Work"]
    assert [one.label for one in phones] == ["Office", "Mobile"]
    assert [one.primary for one in phones] == [True, False]


def test_r27_a_contact_whose_lists_were_doubled_once_gets_no_lists_any_more() -> None:
    changes = change(a_contact("1", "old@x.example"), wanted(), a_row(lists_merge=True))
    assert changes.nothing
    assert "doubles" in changes.notes[0]


def test_r27_doubled_entries_are_seen() -> None:
    assert doubled(a_contact("1", ADA, ADA.upper()))
    assert doubled(a_contact("1", ADA, phones=(entry("+49 1"), entry("491"))))
    assert not doubled(a_contact("1", ADA, "b@x.example", phones=(entry("1"), entry("1", "Home"))))


# --- leaving and returning ---------------------------------------------------------------------


def test_r27_a_leaver_gets_the_inactive_type_and_nothing_else_changes() -> None:
    contact = a_contact("1", "old@contoso.example", last_name="Berg", type_id=41)

    changes = change(contact, wanted(active=False))

    assert changes.fields == {"contact-type-id": INACTIVE}
    assert (changes.emails, changes.phones) == (None, None)
    assert (changes.after.type_before, changes.after.type_set) == (41, INACTIVE)


@pytest.mark.parametrize("before", [41, None])
def test_r19_r27_who_is_back_has_the_type_that_he_had_before(before: int | None) -> None:
    contact = a_contact("1", ADA, type_id=before)
    left = change(contact, wanted(active=False)).after

    back = change(replace(contact, type_id=INACTIVE), wanted(), left)

    assert back.fields == {"contact-type-id": before}
    assert back.after.type_set is None


def test_r27_a_type_that_a_person_chose_meanwhile_stays() -> None:
    left = change(a_contact("1", ADA, type_id=41), wanted(active=False)).after
    contact = a_contact("1", ADA, type_id=33)

    assert change(contact, wanted(active=False), left).nothing
    back = change(contact, wanted(), left)
    assert back.nothing
    assert back.after.type_before == 33


def test_r27_another_inactive_type_in_the_settings_is_taken_over() -> None:
    left = change(a_contact("1", ADA, type_id=41), wanted(active=False)).after
    contact = a_contact("1", ADA, type_id=INACTIVE)

    changes = glue_changes(contact, wanted(active=False), left, inactive_type=60)

    assert changes.fields == {"contact-type-id": 60}
    assert changes.after.type_before == 41


def test_r27_without_an_inactive_type_a_leaver_is_noted() -> None:
    changes = glue_changes(a_contact("1"), wanted(active=False), a_row(), inactive_type=None)
    assert changes.nothing
    assert "no inactive contact type" in changes.notes[0]


def test_r27_a_match_that_was_marked_as_inactive_is_active_again() -> None:
    changes = change(a_contact("1", ADA, type_id=INACTIVE), wanted())
    assert changes.fields == {"contact-type-id": None}
    assert changes.notes


# --- names -------------------------------------------------------------------------------------


def test_r27_a_rename_warns_where_it_would_break_it_glues_match_by_name() -> None:
    before = {"FirstName": "Ada", "LastName": "Berg"}

    assert rename_warning(wanted(), before, managed=False) is None, "both sides are renamed"
    assert "second contact" in (rename_warning(wanted(), before, managed=True) or "")
    assert rename_warning(wanted(), wanted().values(), managed=True) is None
    assert "1 other contact" in (rename_warning(wanted(), before, managed=False, namesakes=1) or "")


# --- messages ----------------------------------------------------------------------------------

FULL = PassOn(
    CONNECTION,
    (PassItem(RecordId(5), a_user_id("ada"), AccountId(7)), PassItem(RecordId(6), a_user_id("b"))),
    EVERYBODY,
    after=a_user_id("ada"),
    last=True,
    done=3,
    started_at=START,
    asked=True,
    bulk=True,
    tries=2,
    revived=1,
)


@pytest.mark.parametrize("message", [FULL, PassOn(CONNECTION)])
def test_a_message_is_read_as_it_was_written(message: PassOn) -> None:
    assert decode_pass_on(encode_pass_on(message)) == message


@pytest.mark.parametrize("text", ["", "null", "{}", '{"c":"x","k":"other"}', '{"c":"x","i":[1]}'])
def test_a_text_that_is_no_message_is_refused(text: str) -> None:
    with pytest.raises(UnreadableMessage):
        decode_pass_on(text)


def test_r22_a_message_holds_ids_and_each_record_once() -> None:
    items = [PassItem(RecordId(number % 60), a_user_id("ada")) for number in range(120)]

    packed = list(pack_items(PassOn(CONNECTION), items))

    assert [len(one.items) for one in packed] == [MOST_RECORDS, 60 - MOST_RECORDS]
    assert len(encode_pass_on(packed[0])) < 4000


def test_the_state_of_a_row_is_kept_as_a_word() -> None:
    assert PassState("managed") is PassState.MANAGED
