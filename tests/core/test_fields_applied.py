"""Changes that were made leave nothing to change, and lose nothing (R11, R13, R14)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from shared.core.fields import ContactChanges, WantedContact
from shared.core.matching import key
from shared.core.model import Contact, ContactEmail, ContactPhone
from shared.core.phones import EntryStep
from tests.builders import HOME, MOBILE, WORK, a_contact, a_phone
from tests.core.comparing import compared, wanted

_TEXTS = st.sampled_from(["", "Ada", "Ida", " Ada ", "Łukasz", "O'Neil"])
_NUMBERS = st.sampled_from(["1", "2", " 1 ", "+49 30 1"])
_ADDRESSES = st.sampled_from(["a@x.example", "A@X.example", "b@x.example", "c@x.example"])


def _one_default(entries: list[Any]) -> tuple[Any, ...]:
    return tuple(replace(each, is_default=place == 0) for place, each in enumerate(entries))


_EMAILS = st.lists(
    st.builds(ContactEmail, _ADDRESSES, st.sampled_from([11, 13]), st.just(False)),
    max_size=3,
    unique_by=lambda one: key(one.address),
).map(_one_default)
_PHONES = st.lists(
    st.builds(ContactPhone, _NUMBERS, st.sampled_from([WORK, MOBILE, HOME]), st.just(False)),
    max_size=4,
    unique_by=lambda one: one.number.strip(),
).map(_one_default)
_RECORDS = st.builds(
    a_contact,
    first_name=_TEXTS,
    last_name=_TEXTS,
    job_title=_TEXTS,
    is_active=st.booleans(),
    emails=_EMAILS,
    phones=_PHONES,
)
_WANTED = st.builds(
    WantedContact,
    first_name=st.sampled_from(["Ada", "Ida"]),
    last_name=st.sampled_from(["Lind", "-"]),
    email=st.sampled_from(["a@x.example", "d@x.example"]),
    work_phone=st.sampled_from(["", "1", "2", "3"]),
    mobile_phone=st.sampled_from(["", "4", "5"]),
    job_title=st.sampled_from(["", "Clerk"]),
)
_WRITTEN = st.dictionaries(
    st.sampled_from(["FirstName", "LastName", "JobTitle", "WorkPhone", "MobilePhone", "Email"]),
    st.sampled_from(["Ada", "Clerk", "1", "2", "a@x.example"]),
)


def applied(record: Contact, changes: ContactChanges) -> Contact:
    """What BMS holds after these changes: entries are named by value alone (bms-api.md 5.6)."""
    names = {"FirstName": "first_name", "LastName": "last_name", "JobTitle": "job_title"}
    fields: dict[str, Any] = {
        names[name]: value or "" for name, value in changes.fields.items() if name in names
    }
    fields["is_active"] = bool(changes.fields.get("IsActive", record.is_active))
    emails = [(one.address, one.type_id, one.is_default) for one in record.emails]
    phones = [(one.number, one.type_id, one.is_default) for one in record.phones]
    for held, steps in ((emails, changes.emails), (phones, changes.phones)):
        for step in steps:
            _apply(held, step)
    return replace(
        record,
        **fields,
        emails=tuple(ContactEmail(*one) for one in emails),
        phones=tuple(ContactPhone(*one) for one in phones),
    )


def _apply(held: list[tuple[str, int, bool]], step: EntryStep) -> None:
    if step.operation == "add":
        named = len(held)
        held.append((step.value, step.type_id or 0, False))
    else:
        named = next(at for at, one in enumerate(held) if key(one[0]) == key(step.value))
    if step.operation == "remove":
        assert len(held) == 1 or not held[named][2], "BMS refuses to remove the default"
        del held[named]
        return
    value, type_id, default = held[named]
    if step.is_default is not None:
        default = step.is_default
    if default:
        held[:] = [(one[0], one[1], False) for one in held]
    held[named] = (step.new_value or value, step.type_id or type_id, default)


@given(record=_RECORDS, want=_WANTED, written=_WRITTEN, activate=st.booleans())
@example(
    record=a_contact(phones=(a_phone("1", WORK, default=True), a_phone("2", HOME))),
    want=wanted(email="a@x.example"),
    written={"WorkPhone": "1"},
    activate=True,
)
def test_changes_that_were_made_leave_nothing_to_change_r14(
    record: Contact, want: WantedContact, written: dict[str, str], activate: bool
) -> None:
    first = compared(record, want, written=written, activate=activate)
    after = applied(record, first)

    again = compared(after, want, written=first.written, activate=activate)

    assert again.nothing, again
    assert [one.address for one in after.emails if one.is_default and key(one.address)] == [
        one.address for one in after.emails if key(one.address) == key(want.email)
    ][:1]
    if after.phones and record.phones:
        assert sum(one.is_default for one in after.phones) == 1


def phones_after(
    record: Contact, want: WantedContact, written: dict[str, str]
) -> list[tuple[str, int]]:
    after = applied(record, compared(record, want, written=written))
    return sorted((one.number, one.type_id) for one in after.phones)


def test_a_number_that_moves_from_mobile_to_work_ends_in_its_new_type_r11() -> None:
    record = a_contact(phones=(a_phone("1", MOBILE, default=True),))

    phones = phones_after(record, wanted(work_phone="1"), {"MobilePhone": "1"})

    assert phones == [("1", WORK)]


def test_of_two_types_with_one_number_only_the_changed_one_changes_r11() -> None:
    record = a_contact(phones=(a_phone("1", WORK, default=True), a_phone("1", MOBILE)))
    ours = {"WorkPhone": "1", "MobilePhone": "1"}

    phones = phones_after(record, wanted(work_phone="1", mobile_phone="3"), ours)

    assert phones == [("1", WORK), ("3", MOBILE)]


@given(record=_RECORDS, want=_WANTED, written=_WRITTEN)
def test_what_nobody_of_us_wrote_is_never_lost_r13(
    record: Contact, want: WantedContact, written: dict[str, str]
) -> None:
    after = applied(record, compared(record, want, written=written))

    kept = {key(one.address) for one in record.emails}
    assert kept <= {key(one.address) for one in after.emails}
    homes = {one.number for one in record.phones if one.type_id == HOME}
    assert homes <= {one.number for one in after.phones}
    if not want.job_title and written.get("JobTitle") != record.job_title.strip():
        assert after.job_title == record.job_title
