"""A contact's fields: from Entra, against what BMS holds and what we wrote (R11–R14)."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.fields import (
    LONGEST,
    WantedContact,
    fingerprint_of,
    wanted_contact,
)
from shared.core.model import (
    ContactTypes,
    FieldChange,
    LocationId,
)
from shared.core.phones import EntryStep
from tests.builders import (
    HOME,
    MOBILE,
    OTHER_EMAIL,
    WORK,
    WORK_EMAIL,
    a_contact,
    a_phone,
    a_user,
    an_email,
)
from tests.core.comparing import compared, wanted

# --- R11: values from Entra ------------------------------------------------------------------


def test_each_entra_value_has_its_field_r11() -> None:
    user = a_user(
        given_name="Ada",
        surname="Lind",
        mail="ada@contoso.example",
        business_phone="+49 30 1",
        mobile_phone="+49 170 1",
        job_title="Controller",
    )

    assert wanted_contact(user, "mail") == WantedContact(
        "Ada", "Lind", "ada@contoso.example", "+49 30 1", "+49 170 1", "Controller"
    )


@pytest.mark.parametrize(
    ("given_name", "surname", "display_name", "first", "last"),
    [
        pytest.param("", "", "Ada Maria Lind", "Ada Maria", "Lind", id="both from display name"),
        pytest.param("", "", "Ada", "Ada", "-", id="a single word"),
        pytest.param("Ada", "", "Dr Ada Lind", "Ada", "Lind", id="surname from display name"),
        pytest.param("", "Lind", "Ada Byron", "Ada", "Lind", id="given name from display name"),
        pytest.param("Ada", "", "", "Ada", "-", id="given name only"),
        pytest.param("Ada", "", "Ada", "Ada", "-", id="given name equals display name"),
        pytest.param(" Ada ", "\tLind", "", "Ada", "Lind", id="blanks around"),
        pytest.param("", "", "  Ada   Lind ", "Ada", "Lind", id="blanks in the display name"),
        pytest.param("", "", "", "", "", id="no name at all"),
        pytest.param(" ", "\n", " ", "", "", id="blanks only"),
        pytest.param("", "", "Łukasz Żółć", "Łukasz", "Żółć", id="unicode"),
    ],
)
def test_missing_names_come_from_the_display_name_r11(
    given_name: str, surname: str, display_name: str, first: str, last: str
) -> None:
    user = a_user(given_name=given_name, surname=surname, display_name=display_name)

    want = wanted_contact(user, "mail")

    assert (want.first_name, want.last_name) == (first, last)


@pytest.mark.parametrize(
    ("field", "name", "words"),
    [
        ("given_name", "first_name", "first name"),
        ("surname", "last_name", "last name"),
        ("job_title", "job_title", "job title"),
    ],
)
def test_a_text_that_is_too_long_is_cut_and_noted_r11(field: str, name: str, words: str) -> None:
    want = wanted_contact(a_user(**{field: "x" * (LONGEST + 1)}), "mail")

    assert getattr(want, name) == "x" * LONGEST
    assert want.notes == (f"the {words} was cut to {LONGEST} characters",)


def test_a_text_of_just_the_limit_is_not_cut_r11() -> None:
    assert wanted_contact(a_user(surname="x" * LONGEST), "mail").notes == ()


# --- R12: what counts as a change in Entra ---------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"first_name": "Ida"},
        {"last_name": "Berg"},
        {"email": "ida@contoso.example"},
        {"work_phone": "1"},
        {"mobile_phone": "1"},
        {"job_title": "Controller"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_value_computed_from_entra_changes_the_fingerprint_r12(
    change: dict[str, str],
) -> None:
    assert wanted(**change).fingerprint != wanted().fingerprint


def test_values_do_not_run_together_in_the_fingerprint_r12() -> None:
    one = wanted(work_phone="12", mobile_phone="3")
    two = wanted(work_phone="1", mobile_phone="23")

    assert one.fingerprint != two.fingerprint


def test_a_note_is_no_change_r12() -> None:
    assert wanted(notes=("cut",)).fingerprint == wanted().fingerprint


# --- R14: only what differs ------------------------------------------------------------------


def test_a_record_that_is_as_wanted_gets_nothing_r14() -> None:
    changes = compared(a_contact(), wanted())

    assert changes.nothing
    assert changes.shown == ()


def test_only_the_fields_that_differ_are_sent_r14() -> None:
    changes = compared(a_contact(job_title="Clerk"), wanted(job_title="Controller"))

    assert changes.fields == {"JobTitle": "Controller"}
    assert (changes.emails, changes.phones) == ((), ())
    assert changes.shown == (FieldChange("job title", "Clerk", "Controller"),)


def test_blanks_around_a_value_in_bms_are_no_difference_r14() -> None:
    assert compared(a_contact(first_name=" Ada "), wanted()).nothing


def test_an_inactive_record_becomes_active_r19() -> None:
    changes = compared(a_contact(is_active=False), wanted())

    assert changes.fields == {"IsActive": True}


def test_a_record_is_not_activated_where_that_is_not_asked_r12() -> None:
    assert compared(a_contact(is_active=False), wanted(), activate=False).nothing


def test_a_change_of_rule_alone_writes_the_location_and_nothing_else_r12() -> None:
    record = a_contact(first_name="typed by hand", is_active=False)

    changes = compared(
        record,
        wanted(job_title="Controller"),
        activate=False,
        set_location=LocationId(71),
        location_only=True,
        written={"FirstName": "Ada"},
    )

    assert changes.fields == {"LocationId": 71}
    assert (changes.emails, changes.phones) == ((), ())
    assert changes.written == {"FirstName": "Ada"}


def test_a_location_that_is_set_already_is_not_sent_r14() -> None:
    assert compared(a_contact(), wanted(), set_location=LocationId(70)).nothing


# --- R11: addresses --------------------------------------------------------------------------


def test_a_new_primary_address_is_added_as_default_and_the_former_stays_r11() -> None:
    changes = compared(a_contact(), wanted(email="ada.lind@contoso.example"))

    assert changes.emails == (
        EntryStep("add", "ada.lind@contoso.example", type_id=WORK_EMAIL, is_default=True),
    )
    assert changes.shown == (
        FieldChange("e-mail", "ada@contoso.example", "ada.lind@contoso.example"),
    )


def test_a_further_address_becomes_the_default_instead_of_being_added_again_r11() -> None:
    record = a_contact(
        emails=(
            an_email("old@contoso.example", default=True),
            an_email("Ada@Contoso.example", type_id=OTHER_EMAIL),
        )
    )

    changes = compared(record, wanted())

    assert changes.emails == (
        EntryStep("update", "Ada@Contoso.example", "Ada@Contoso.example", OTHER_EMAIL, True),
    )


def test_case_and_blanks_of_the_default_address_are_no_difference_r6() -> None:
    record = a_contact(emails=(an_email(" Ada@CONTOSO.example", default=True),))

    assert compared(record, wanted()).nothing


def test_without_a_known_e_mail_type_the_new_address_takes_the_defaults_type_r11() -> None:
    record = a_contact(emails=(an_email("old@x.example", default=True, type_id=OTHER_EMAIL),))

    changes = compared(record, wanted(), types=ContactTypes())

    assert changes.emails[0].type_id == OTHER_EMAIL


# --- R11, R13: phones ------------------------------------------------------------------------


def test_a_phone_is_set_in_its_type_and_others_stay_r11() -> None:
    record = a_contact(phones=(a_phone("1", WORK, default=True), a_phone("9", HOME)))

    changes = compared(record, wanted(work_phone="2", mobile_phone="3"))

    assert changes.phones == (
        EntryStep("update", "1", "2", WORK, True),
        EntryStep("add", "3", type_id=MOBILE, is_default=False),
    )


def test_the_first_phone_of_all_is_the_default_r11() -> None:
    changes = compared(a_contact(), wanted(work_phone="1", mobile_phone="2"))

    assert [(step.value, step.is_default) for step in changes.phones] == [("1", True), ("2", False)]


def test_of_two_phones_of_a_type_the_one_we_wrote_is_changed_r11() -> None:
    record = a_contact(phones=(a_phone("by hand", WORK, default=True), a_phone("1", WORK)))

    changes = compared(record, wanted(work_phone="2"), written={"WorkPhone": "1"})

    assert changes.phones == (EntryStep("update", "1", "2", WORK, False),)


def test_a_phone_whose_type_is_not_known_is_left_out_with_a_note_r11() -> None:
    changes = compared(a_contact(), wanted(work_phone="1"), types=ContactTypes(email=WORK_EMAIL))

    assert changes.nothing
    assert changes.notes == ("the work phone was left out: its phone type is not known",)


def test_an_empty_entra_phone_leaves_what_somebody_typed_r13() -> None:
    record = a_contact(phones=(a_phone("1", WORK, default=True),))

    assert compared(record, wanted()).nothing


def test_an_empty_entra_phone_takes_back_what_we_wrote_r13() -> None:
    record = a_contact(phones=(a_phone("9", HOME, default=True), a_phone("1", WORK)))

    changes = compared(record, wanted(), written={"WorkPhone": "1"})

    assert changes.phones == (EntryStep("remove", "1", type_id=WORK),)


def test_a_phone_of_ours_that_somebody_changed_is_not_taken_back_r13() -> None:
    record = a_contact(phones=(a_phone("by hand", WORK, default=True), a_phone("9", HOME)))

    assert compared(record, wanted(), written={"WorkPhone": "1"}).nothing


def test_the_default_phone_is_cleared_only_after_another_is_the_default_r13() -> None:
    record = a_contact(phones=(a_phone("1", WORK, default=True), a_phone("9", HOME)))

    changes = compared(record, wanted(), written={"WorkPhone": "1"})

    assert changes.phones == (
        EntryStep("update", "9", "9", HOME, True),
        EntryStep("remove", "1", type_id=WORK),
    )


def test_the_only_phone_may_be_refused_and_then_stays_r13() -> None:
    record = a_contact(phones=(a_phone("1", WORK, default=True),))

    (step,) = compared(record, wanted(), written={"WorkPhone": "1"}).phones

    assert (step.operation, step.must) == ("remove", False)


# --- R13: empty values -----------------------------------------------------------------------


def test_an_empty_job_title_leaves_what_somebody_typed_r13() -> None:
    changes = compared(a_contact(job_title="typed by hand"), wanted())

    assert changes.nothing
    assert "JobTitle" not in changes.written


def test_an_empty_job_title_takes_back_what_we_wrote_r13() -> None:
    changes = compared(a_contact(job_title="Clerk"), wanted(), written={"JobTitle": "Clerk"})

    assert changes.fields == {"JobTitle": None}


def test_a_value_that_was_found_equal_counts_as_ours_r13() -> None:
    equal = compared(a_contact(job_title="Clerk"), wanted(job_title="Clerk"))
    assert equal.nothing

    later = compared(a_contact(job_title="Clerk"), wanted(), written=equal.written)

    assert later.fields == {"JobTitle": None}


def test_what_we_took_back_and_somebody_typed_again_stays_r13() -> None:
    cleared = compared(a_contact(job_title="Clerk"), wanted(), written={"JobTitle": "Clerk"})

    later = compared(a_contact(job_title="Clerk"), wanted(), written=cleared.written)

    assert later.nothing


@given(st.lists(st.text(max_size=12), min_size=6, max_size=6))
def test_a_fingerprint_is_the_one_that_links_remember_since_the_first_version_r12(
    values: list[str],
) -> None:
    former = hashlib.sha256(json.dumps(values).encode()).hexdigest()[:24]

    assert fingerprint_of(values) == former
