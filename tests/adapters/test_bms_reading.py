"""Reading BMS v2 at the wire, in whatever shape it answers (bms-api.md 3 to 6)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.core.model import AccountId, ContactTypes, RecordId
from shared.errors import BadInput, DecideAgain, TryLater
from shared.ports import EntryChange
from tests.adapters.bms_adapter import (
    LIST,
    BmsWire,
)

pytestmark = pytest.mark.world


# --- reading ---------------------------------------------------------------------------------


@pytest.mark.parametrize("casing", ["camel", "pascal"])
@pytest.mark.parametrize("single", ["enveloped", "bare"])
def test_replies_are_read_in_any_casing_and_envelope(
    bms_wire: BmsWire, casing: str, single: str
) -> None:
    record = bms_wire.a_contact("ada@x.example", "a@x.example", phones=["1"], job_title="Clerk")
    bms_wire.control.set_switches(reply_casing=casing, single_summary=single)

    contact = bms_wire.read(record)

    assert (contact.id, contact.account_id) == (record, bms_wire.account.id)
    assert contact.location_id == bms_wire.account.main_location_id
    assert (contact.first_name, contact.last_name, contact.job_title) == ("Ada", "Lind", "Clerk")
    assert contact.is_active
    assert [(one.address, one.type_id, one.is_default) for one in contact.emails] == [
        ("ada@x.example", 11, True),
        ("a@x.example", 11, False),
    ]
    assert [(one.number, one.type_id) for one in contact.phones] == [("1", 21)]
    assert [[one.id for one in page] for page in bms_wire.api.contacts(active=True)] == [[record]]
    assert [(one.id, one.name) for one in bms_wire.api.accounts()] == [
        (bms_wire.account.id, "Contoso")
    ]


@pytest.mark.parametrize("status", [404, 200], ids=lambda status: f"told as {status}")
def test_a_record_that_is_gone_is_none_to_read_and_decided_again_to_write_r8(
    bms_wire: BmsWire, status: int
) -> None:
    bms_wire.control.set_switches(not_found_status=status)

    assert bms_wire.api.contact(RecordId(4711)) is None
    with pytest.raises(DecideAgain):
        bms_wire.api.patch_contact(RecordId(4711), {"JobTitle": "x"})
    with pytest.raises(DecideAgain):
        bms_wire.api.change_emails(RecordId(4711), [EntryChange("add", "a@x", type_id=11)])
    with pytest.raises(DecideAgain):
        bms_wire.api.change_phones(RecordId(4711), [EntryChange("add", "1", type_id=21)])


@pytest.mark.parametrize(
    ("order", "count"),
    [
        ("stable", 0),
        ("stable", 100),
        ("stable", 101),
        ("within", 230),
        ("drift", 230),
        ("shuffle", 230),
    ],
)
def test_every_contact_is_read_once_in_whatever_order_rows_come_r6(
    bms_wire: BmsWire, order: str, count: int
) -> None:
    if count:
        bms_wire.control.generate(count, account_ids=[bms_wire.account.id])
    bms_wire.control.set_switches(row_order=order)

    read = [contact.id for page in bms_wire.api.contacts(active=True) for contact in page]

    assert len(read) == len(set(read)) == count


def test_pages_that_are_smaller_than_asked_lose_nobody(bms_wire: BmsWire) -> None:
    bms_wire.control.generate(130, account_ids=[bms_wire.account.id])
    bms_wire.control.set_switches(max_page_size=40)

    assert sum(len(page) for page in bms_wire.api.contacts(active=True)) == 130


def test_active_and_inactive_contacts_are_read_apart_r6(bms_wire: BmsWire) -> None:
    active, inactive = bms_wire.a_contact(), bms_wire.a_contact(is_active=False)

    assert [one.id for page in bms_wire.api.contacts(active=True) for one in page] == [active]
    assert [one.id for page in bms_wire.api.contacts(active=False) for one in page] == [inactive]


def test_a_search_answers_exact_matches_of_both_states_only_r6(bms_wire: BmsWire) -> None:
    mine = bms_wire.a_contact("other@x.example", "Ada@X.example")
    inactive = bms_wire.a_contact("ada@x.example", is_active=False)
    bms_wire.a_contact("dada@x.example")
    bms_wire.a_contact("ada@x.example.org")

    found = bms_wire.api.find_contacts("ada@x.example")

    assert {one.id for one in found} == {mine, inactive}


@pytest.mark.parametrize("text", ["o'neil+tag@x.example", "łukasz@x.example", "a&b=c@x.example"])
def test_a_search_takes_any_address(bms_wire: BmsWire, text: str) -> None:
    record = bms_wire.a_contact(text)

    assert [one.id for one in bms_wire.api.find_contacts(text)] == [record]


def test_a_record_without_location_or_phone_is_read_as_it_is(bms_wire: BmsWire) -> None:
    record = bms_wire.a_contact(location_id=None)

    contact = bms_wire.read(record)

    assert (contact.location_id, contact.phones) == (None, ())


@pytest.mark.parametrize("kind", ["truncated", "error", "reset"])
def test_a_page_that_is_missing_half_way_raises_r20(bms_wire: BmsWire, kind: Any) -> None:
    bms_wire.control.generate(150, account_ids=[bms_wire.account.id])
    bms_wire.control.add_fault(kind, LIST, skip=1)

    with pytest.raises(TryLater):
        list(bms_wire.api.contacts(active=True))


def test_accounts_come_with_their_locations_and_are_remembered_for_minutes(
    bms_wire: BmsWire,
) -> None:
    bms_wire.control.add_location(bms_wire.account.id, "Branch", is_active=False)

    account = bms_wire.api.account(AccountId(bms_wire.account.id))
    assert account is not None
    assert [(one.name, one.is_main, one.is_active) for one in account.locations] == [
        ("Main", True, True),
        ("Branch", False, False),
    ]
    assert bms_wire.api.account(AccountId(1)) is None
    assert bms_wire.calls("GET /v2/crm/accounts/summary") == 1

    bms_wire.control.add_account("New")
    bms_wire.clock.pass_(timedelta(minutes=11))
    assert {one.name for one in bms_wire.api.accounts()} == {"Contoso", "New"}


@pytest.mark.parametrize(
    ("kind", "some"),
    [
        ("accounts", "Contoso"),
        ("departments", "Service Desk"),
        ("jobtitles", "Technician"),
        ("securityroles", "Technician"),
        ("employeeroles", "Engineer"),
        ("employees", "Olga Marin"),
        ("employmenttypes", "Full Time"),
        ("emailtypes", "Work"),
        ("phonetypes", "Mobile"),
        ("locations", "Head Office"),
    ],
)
def test_every_look_up_of_the_forms_has_ids_and_names(
    bms_wire: BmsWire, kind: str, some: str
) -> None:
    rows = bms_wire.api.lookup(kind)

    assert some in [name for _, name in rows]
    assert all(number > 0 for number, _ in rows)


def test_locations_of_an_account_are_its_own(bms_wire: BmsWire) -> None:
    rows = bms_wire.api.lookup("locations", account_id=AccountId(bms_wire.account.id))

    assert rows == [(bms_wire.account.main_location_id, "Main")]
    with pytest.raises(BadInput, match="4711"):
        bms_wire.api.lookup("locations", account_id=AccountId(4711))
    with pytest.raises(BadInput, match="no look-up"):
        bms_wire.api.lookup("planets")


# --- types of e-mails and phones -------------------------------------------------------------


def test_types_come_from_the_settings_first(bms_wire: BmsWire) -> None:
    assert bms_wire.settings.held is not None
    bms_wire.settings.held = replace(
        bms_wire.settings.held, email_type_id=13, work_phone_type_id=23, mobile_phone_type_id=24
    )

    assert bms_wire.api.contact_types() == ContactTypes(13, 23, 24)
    assert bms_wire.control.counters().total == 0


def test_types_come_from_the_look_up_tables_before_any_contact_was_read(bms_wire: BmsWire) -> None:
    assert bms_wire.api.contact_types() == ContactTypes(11, 21, 22)


def test_types_are_learnt_from_contacts_where_the_tables_have_other_names(
    bms_wire: BmsWire,
) -> None:
    bms_wire.control.set_switches(email_type_table="Unknown1", phone_type_table="Unknown2")
    bms_wire.control.generate(3, account_ids=[bms_wire.account.id], phone="1{n}", mobile="2{n}")

    assert bms_wire.api.contact_types() == ContactTypes(11, 21, 22)


def test_types_that_nothing_shows_are_not_known(bms_wire: BmsWire) -> None:
    bms_wire.control.set_switches(email_type_table="Unknown1", phone_type_table="Unknown2")

    assert bms_wire.api.contact_types() == ContactTypes(None, None, None)
