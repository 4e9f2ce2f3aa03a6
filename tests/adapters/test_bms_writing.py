"""Writing contacts of BMS v2 at the wire (bms-api.md 5)."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from shared.adapters import bms_session
from shared.adapters.http import Patience
from shared.errors import PersonMustAct, Rejected, Uncertain
from shared.ports import EntryChange
from tests.adapters.bms_adapter import (
    CREATE,
    PATCH,
    BmsWire,
)

pytestmark = pytest.mark.world


# --- writing ---------------------------------------------------------------------------------


def test_a_new_contact_is_created_and_finished_by_patch(bms_wire: BmsWire) -> None:
    record = bms_wire.api.create_contact(
        bms_wire.new(
            work_phone="1", work_phone_type_id=21, mobile_phone="2", mobile_phone_type_id=22
        )
    )
    bms_wire.api.patch_contact(record, {"JobTitle": "Controller"})

    made = bms_wire.control.get_contact(record)
    assert (made.first_name, made.last_name, made.job_title) == ("Ada", "Lind", "Controller")
    assert (made.account_id, made.location_id) == (
        bms_wire.account.id,
        bms_wire.account.main_location_id,
    )
    assert made.default_email == "ada@contoso.example"
    assert [(one.value, one.type_id, one.is_default) for one in made.phones] == [
        ("1", 21, True),
        ("2", 22, False),
    ]


def test_a_patch_names_only_what_changes_r14(bms_wire: BmsWire) -> None:
    record = bms_wire.a_contact(poc=True, bill_by_contact=True)

    bms_wire.api.patch_contact(record, {"JobTitle": None, "IsActive": False})

    (write,) = bms_wire.control.writes()
    assert write.body == [
        {"op": "replace", "path": "/JobTitle", "value": None},
        {"op": "replace", "path": "/IsActive", "value": False},
    ]
    after = bms_wire.control.get_contact(record)
    assert (after.is_active, after.poc, after.bill_by_contact) == (False, True, True)


@pytest.mark.parametrize("status", [200, 400], ids=lambda status: f"told as {status}")
def test_what_bms_refuses_is_told_in_its_own_words(bms_wire: BmsWire, status: int) -> None:
    bms_wire.control.set_switches(validation_status=status, max_lengths={"LastName": 3})

    with pytest.raises(Rejected) as refusal:
        bms_wire.api.create_contact(bms_wire.new())

    assert "LastName" in refusal.value.sentence
    assert bms_wire.control.contacts() == []
    assert bms_wire.calls(CREATE) == 1, "a refusal is not tried again"


@pytest.mark.parametrize("body", ["problem", "envelope", "none"])
def test_a_body_that_asp_net_refuses_is_a_refusal_whatever_comes_back(
    bms_wire: BmsWire, body: str
) -> None:
    bms_wire.control.set_switches(bad_request_body=body)

    with pytest.raises(Rejected):
        bms_wire.api.create_contact(bms_wire.new(first_name=5))


def test_a_stack_trace_of_bms_is_never_shown_r29(
    bms_wire: BmsWire, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="shared")
    bms_wire.control.add_fault("refused_in_200", CREATE)

    with pytest.raises(Rejected) as refusal:
        bms_wire.api.create_contact(bms_wire.new())

    shown = refusal.value.sentence + refusal.value.next_step + caplog.text
    assert "stack" not in shown.lower()
    assert "   at " not in shown
    assert len(refusal.value.sentence) < 500


def test_a_change_that_bms_swallows_is_not_taken_as_done(bms_wire: BmsWire) -> None:
    record = bms_wire.a_contact()
    bms_wire.control.set_switches(patch_ignores=["JobTitle"])

    with pytest.raises(Rejected, match="JobTitle"):
        bms_wire.api.patch_contact(record, {"JobTitle": "Controller"})


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls give up after half a second instead of twenty."""
    monkeypatch.setattr(bms_session, "PATIENCE", Patience(tries=2, seconds=4, read_timeout=0.5))


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "kind", ["hang_after", "reset_after", "cut_off", "truncated", "error_after", "hang", "reset"]
)
def test_a_create_without_an_answer_is_uncertain_and_not_sent_again_r22(
    bms_wire: BmsWire, kind: Any
) -> None:
    bms_wire.control.add_fault(kind, CREATE, seconds=2)

    with pytest.raises(Uncertain):
        bms_wire.api.create_contact(bms_wire.new())

    assert bms_wire.calls(CREATE) == 1
    assert len(bms_wire.control.contacts()) == (0 if kind in ("hang", "reset") else 1)


@pytest.mark.usefixtures("impatient")
def test_an_entry_change_without_an_answer_is_not_sent_again_r22(bms_wire: BmsWire) -> None:
    record = bms_wire.a_contact()
    endpoint = "PATCH /v2/crm/contacts/{contactId}/phones"
    bms_wire.control.add_fault("reset_after", endpoint)

    with pytest.raises(Uncertain):
        bms_wire.api.change_phones(record, [EntryChange("add", "1", type_id=21, is_default=True)])

    assert len(bms_wire.control.get_contact(record).phones) == 1


def test_a_patch_without_an_answer_is_sent_again_since_twice_does_no_harm(
    bms_wire: BmsWire,
) -> None:
    record = bms_wire.a_contact()
    bms_wire.control.add_fault("reset_after", PATCH, count=1)

    bms_wire.api.patch_contact(record, {"JobTitle": "Controller"})

    assert bms_wire.calls(PATCH) == 2
    assert bms_wire.control.get_contact(record).job_title == "Controller"


# --- e-mails and phones ----------------------------------------------------------------------


@pytest.mark.parametrize("default", ["unsets_former", "keeps_both"])
def test_a_new_primary_address_is_the_only_default_and_the_former_stays_r11(
    bms_wire: BmsWire, default: str
) -> None:
    bms_wire.control.set_switches(new_default=default)
    record = bms_wire.a_contact("old@x.example")

    bms_wire.api.change_emails(
        record, [EntryChange("add", "new@x.example", type_id=11, is_default=True)]
    )

    emails = bms_wire.control.get_contact(record).emails
    assert [(one.value, one.is_default) for one in emails] == [
        ("old@x.example", False),
        ("new@x.example", True),
    ]


def test_an_existing_address_is_made_the_default_r11(bms_wire: BmsWire) -> None:
    record = bms_wire.a_contact("old@x.example", "new@x.example")

    bms_wire.api.change_emails(
        record, [EntryChange("update", "new@x.example", "new@x.example", 11, True)]
    )

    assert bms_wire.control.get_contact(record).default_email == "new@x.example"


def test_phones_are_added_changed_and_removed_one_operation_a_call(bms_wire: BmsWire) -> None:
    record = bms_wire.a_contact(phones=["1"])

    bms_wire.api.change_phones(
        record,
        [
            EntryChange("add", "2", type_id=22, is_default=False),
            EntryChange("update", "2", "3", 22, is_default=True),
            EntryChange("remove", "1", type_id=21),
        ],
    )

    phones = bms_wire.control.get_contact(record).phones
    assert [(one.value, one.type_id, one.is_default) for one in phones] == [("3", 22, True)]
    assert [len(write.body) for write in bms_wire.control.writes()] == [1, 1, 1]


@pytest.mark.parametrize("kind", ["emails", "phones"])
@pytest.mark.parametrize(
    ("meaning", "operation"),
    [
        (("delete", "update", "add"), "add"),
        (("update", "add", "delete"), "add"),
        (("add", "delete", "update"), "update"),
        (("add", "delete", "update"), "remove"),
    ],
    ids=["0 deletes", "0 updates", "1 deletes", "2 updates"],
)
def test_where_the_operation_numbers_mean_something_else_all_such_writes_stop(
    bms_wire: BmsWire, kind: str, meaning: tuple[str, ...], operation: str
) -> None:
    record = bms_wire.a_contact("a@x.example", "b@x.example", phones=["1", "2"])
    bms_wire.control.set_switches(operations=list(meaning))
    bms_wire.control.set_switches(default_phone_deletion="allow", default_email_deletion="allow")
    type_id, value = (11, "b@x.example") if kind == "emails" else (21, "2")
    change = EntryChange(operation, value, value if operation == "update" else "", type_id)
    send = bms_wire.api.change_emails if kind == "emails" else bms_wire.api.change_phones

    with pytest.raises(PersonMustAct) as guard:
        send(record, [change])
    written = len(bms_wire.control.writes())
    for stopped in (bms_wire.api.change_emails, bms_wire.api.change_phones):
        with pytest.raises(PersonMustAct):
            stopped(record, [EntryChange("add", "c@x.example", type_id=type_id)])

    assert guard.value.code == "bms-entry-operations"
    assert len(bms_wire.control.writes()) == written


def test_a_mere_refusal_of_one_entry_does_not_stop_all_others(bms_wire: BmsWire) -> None:
    record = bms_wire.a_contact(phones=["1"])
    with pytest.raises(Rejected, match="only phone"):
        bms_wire.api.change_phones(record, [EntryChange("remove", "1", type_id=21)])

    bms_wire.api.change_phones(record, [EntryChange("add", "2", type_id=22, is_default=False)])

    assert len(bms_wire.control.get_contact(record).phones) == 2
