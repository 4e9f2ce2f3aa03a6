"""E-mail addresses and phone numbers of existing contacts in the BMS stand-in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from infra.local.bms.control_values import ContactState
from infra.local.bms.process import BmsProcess, start_bms
from tests.local.bms_wire import MOBILE_PHONE, OTHER_EMAIL, WORK_EMAIL, WORK_PHONE, Answer, Wire

ADD, UPDATE, DELETE = 0, 1, 2
FIRST, SECOND, THIRD = "first@contoso.example", "second@contoso.example", "third@contoso.example"


@pytest.fixture(scope="module")
def running() -> Iterator[BmsProcess]:
    with start_bms() as process:
        yield process


@pytest.fixture
def wire(running: BmsProcess) -> Wire:
    running.control.reset()
    return Wire(running)


@pytest.fixture
def contact(wire: Wire) -> ContactState:
    return wire.control.add_contact(
        wire.customer().id, "Ada", "Lind", emails=[FIRST, SECOND], phones=["111", "222"]
    )


def emails(wire: Wire, contact: ContactState, *operations: dict[str, Any]) -> Answer:
    return wire.call("PATCH", f"/v2/crm/contacts/{contact.id}/emails", list(operations))


def phones(wire: Wire, contact: ContactState, *operations: dict[str, Any]) -> Answer:
    return wire.call("PATCH", f"/v2/crm/contacts/{contact.id}/phones", list(operations))


def add(address: str, is_default: bool = False, type_id: int | None = WORK_EMAIL) -> dict[str, Any]:
    return {
        "Operation": ADD,
        "EmailAddress": address,
        "TypeId": type_id,
        "IsDefault": is_default,
    }


def update(address: str, **changes: Any) -> dict[str, Any]:
    return {"Operation": UPDATE, "EmailAddress": address, **changes}


def delete(address: str) -> dict[str, Any]:
    return {"Operation": DELETE, "EmailAddress": address}


def defaults(wire: Wire, contact: ContactState) -> list[str]:
    kept = wire.control.get_contact(contact.id)
    return [each.value for each in kept.emails if each.is_default]


def counts(answer: Answer) -> tuple[int, int, int]:
    result = answer.result
    return result["added"], result["updated"], result["deleted"]


def test_an_added_address_is_shown_and_counted(wire: Wire, contact: ContactState) -> None:
    answer = emails(wire, contact, add(THIRD, type_id=OTHER_EMAIL))

    assert counts(answer) == (1, 0, 0)
    assert [row["emailaddress"] for row in answer.result["emails"]] == [FIRST, SECOND, THIRD]
    assert answer.result["emails"][2]["emailtype"] == "Other"
    assert defaults(wire, contact) == [FIRST]


def test_entry_ids_are_unique_and_stay(wire: Wire, contact: ContactState) -> None:
    before = {each.value: each.id for each in contact.emails}

    rows = emails(wire, contact, update(SECOND, NewEmailAddress=THIRD), add(SECOND)).result[
        "emails"
    ]

    after = {row["emailaddress"]: row["id"] for row in rows}
    assert (after[FIRST], after[THIRD]) == (before[FIRST], before[SECOND])
    assert len(set(after.values())) == 3


def test_an_update_changes_value_type_and_mark(wire: Wire, contact: ContactState) -> None:
    change = update(SECOND.upper(), NewEmailAddress=THIRD, TypeId=OTHER_EMAIL, IsDefault=True)

    answer = emails(wire, contact, change)

    row = answer.result["emails"][1]
    assert counts(answer) == (0, 1, 0)
    assert (row["emailaddress"], row["emailtypeid"], row["isdefault"]) == (THIRD, OTHER_EMAIL, True)
    assert defaults(wire, contact) == [THIRD]


def test_an_update_leaves_alone_what_it_does_not_name(wire: Wire, contact: ContactState) -> None:
    emails(wire, contact, update(FIRST, NewEmailAddress=THIRD))

    first = wire.control.get_contact(contact.id).emails[0]
    assert (first.value, first.type_id, first.is_default) == (THIRD, WORK_EMAIL, True)


def test_a_further_address_can_be_deleted(wire: Wire, contact: ContactState) -> None:
    assert counts(emails(wire, contact, delete(SECOND))) == (0, 0, 1)
    assert [each.value for each in wire.control.get_contact(contact.id).emails] == [FIRST]


def test_deleting_the_default_address_is_refused_unless_switched(
    wire: Wire, contact: ContactState
) -> None:
    assert "default" in emails(wire, contact, delete(FIRST)).reasons

    wire.control.set_switches(default_email_deletion="allow")
    emails(wire, contact, delete(FIRST))

    assert defaults(wire, contact) == [SECOND]


def test_a_new_default_unsets_the_former_in_one_request(wire: Wire, contact: ContactState) -> None:
    answer = emails(wire, contact, add(THIRD, True), delete(FIRST))

    assert counts(answer) == (1, 0, 1)
    assert defaults(wire, contact) == [THIRD]


def test_a_second_default_is_refused_when_switched(wire: Wire, contact: ContactState) -> None:
    wire.control.set_switches(new_default="refused")

    assert "default" in emails(wire, contact, add(THIRD, True)).reasons
    step = update(FIRST, IsDefault=False), update(SECOND, IsDefault=True)
    assert counts(emails(wire, contact, *step)) == (0, 2, 0)


def test_both_stay_defaults_when_switched(wire: Wire, contact: ContactState) -> None:
    wire.control.set_switches(new_default="keeps_both")

    emails(wire, contact, add(THIRD, True))

    assert defaults(wire, contact) == [FIRST, THIRD]


def test_a_contact_is_never_left_without_a_default(wire: Wire, contact: ContactState) -> None:
    assert "default" in emails(wire, contact, update(FIRST, IsDefault=False)).reasons


def test_the_first_entry_is_the_default_unasked(wire: Wire) -> None:
    bare = wire.control.add_contact(wire.customer().id, "Ada", "Lind")

    emails(wire, bare, add(FIRST))

    assert defaults(wire, bare) == [FIRST]


@pytest.mark.parametrize(
    ("operation", "reason"),
    [
        (add(THIRD, type_id=None), "not a valid type"),
        (add(THIRD, type_id=WORK_PHONE), "not a valid type"),
        (add(" "), "empty"),
        (update(THIRD, IsDefault=True), "no such"),
        (update(FIRST, NewEmailAddress=""), "empty"),
        (delete(THIRD), "no such"),
        ({"Operation": DELETE}, "no such"),
    ],
    ids=str,
)
def test_an_operation_that_cannot_be_done_refuses_the_whole_request(
    wire: Wire, contact: ContactState, operation: dict[str, Any], reason: str
) -> None:
    answer = emails(wire, contact, add("before@contoso.example"), operation)

    assert reason in answer.reasons
    assert wire.control.get_contact(contact.id) == contact


def test_the_same_address_twice_is_taken_unless_switched(wire: Wire, contact: ContactState) -> None:
    assert counts(emails(wire, contact, add(FIRST))) == (1, 0, 0)
    wire.control.set_switches(same_entry_twice="refuse")
    assert "already" in emails(wire, contact, add(SECOND.upper())).reasons


def test_lengths_of_addresses_are_limited_when_switched(wire: Wire, contact: ContactState) -> None:
    wire.control.set_switches(max_lengths={"EmailAddress": 10})

    assert "longer than 10" in emails(wire, contact, add(THIRD)).reasons


def test_swapped_numbers_show_in_the_counters(wire: Wire, contact: ContactState) -> None:
    wire.control.set_switches(operations=["add", "delete", "update"])

    answer = emails(wire, contact, update(SECOND, NewEmailAddress=THIRD))

    assert counts(answer) == (0, 0, 1)
    assert [each.value for each in wire.control.get_contact(contact.id).emails] == [FIRST]


def test_phones_follow_the_same_rules(wire: Wire, contact: ContactState) -> None:
    mobile = {"Operation": ADD, "PhoneNumber": "333", "TypeId": MOBILE_PHONE, "IsDefault": True}

    answer = phones(
        wire,
        contact,
        mobile,
        {"Operation": UPDATE, "PhoneNumber": "111", "NewPhoneNumber": "112"},
        {"Operation": DELETE, "PhoneNumber": "222"},
    )

    assert counts(answer) == (1, 1, 1)
    rows = [(row["phone"], row["phonetype"], row["isdefault"]) for row in answer.result["phones"]]
    assert rows == [("112", "Work", False), ("333", "Mobile", True)]


def test_deleting_the_default_phone_is_refused_unless_switched(
    wire: Wire, contact: ContactState
) -> None:
    gone = {"Operation": DELETE, "PhoneNumber": "111"}
    assert "default" in phones(wire, contact, gone).reasons

    wire.control.set_switches(default_phone_deletion="allow")

    assert counts(phones(wire, contact, gone)) == (0, 0, 1)


def test_deleting_the_only_phone_is_refused_unless_switched(
    wire: Wire, contact: ContactState
) -> None:
    phones(wire, contact, {"Operation": DELETE, "PhoneNumber": "222"})
    last = {"Operation": DELETE, "PhoneNumber": "111"}
    assert "only phone" in phones(wire, contact, last).reasons

    wire.control.set_switches(only_phone_deletion="allow")

    assert counts(phones(wire, contact, last)) == (0, 0, 1)
    assert wire.control.get_contact(contact.id).phones == ()


def test_an_empty_list_of_operations_does_nothing(wire: Wire, contact: ContactState) -> None:
    assert counts(emails(wire, contact)) == (0, 0, 0)
