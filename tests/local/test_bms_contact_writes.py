"""Creating, patching, replacing and deleting contacts of the BMS stand-in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from infra.local.bms.control_values import AccountState, ContactState
from infra.local.bms.process import BmsProcess, start_bms
from tests.local.bms_wire import WORK_PHONE, Answer, Wire, a_phone, an_email

PLAIN = "plain@contoso.example"


@pytest.fixture(scope="module")
def running() -> Iterator[BmsProcess]:
    with start_bms() as process:
        yield process


@pytest.fixture
def wire(running: BmsProcess) -> Wire:
    running.control.reset()
    return Wire(running)


@pytest.fixture
def account(wire: Wire) -> AccountState:
    return wire.customer()


@pytest.fixture
def contact(wire: Wire, account: AccountState) -> ContactState:
    return wire.control.add_contact(
        account.id, "Ada", "Lind", [PLAIN], job_title="Clerk", poc=True, middle_name="M."
    )


def put(wire: Wire, contact: ContactState, **changes: Any) -> Answer:
    body: dict[str, Any] = {
        "AccountId": contact.account_id,
        "LocationId": contact.location_id,
        "FirstName": contact.first_name,
        "MiddleName": contact.middle_name,
        "LastName": contact.last_name,
        "JobTitle": contact.job_title,
        "Poc": contact.poc,
        "IsActive": contact.is_active,
        "ReceiveInvoices": contact.receive_invoices,
        "BillByContact": contact.bill_by_contact,
        "EffectiveDate": contact.effective_date,
    }
    kept = {name: value for name, value in (body | changes).items() if value != "left out"}
    return wire.call("PUT", f"/v2/crm/contacts/{contact.id}", kept)


def operate(wire: Wire, contact: ContactState, *operations: dict[str, Any]) -> Answer:
    return wire.call("PATCH", f"/v2/crm/contacts/{contact.id}", list(operations))


# Create


def test_a_created_contact_is_active_and_has_no_job_title(
    wire: Wire, account: AccountState
) -> None:
    made = wire.create(account).result

    kept = wire.control.get_contact(made["id"])
    assert (kept.is_active, kept.job_title) == (True, None)
    assert [each.value for each in kept.emails] == ["mara.lind@contoso.example"]
    assert made["emailaddress"] == "mara.lind@contoso.example"
    assert made["phonenumber"] == "+49 30 555010"
    assert wire.get(f"/v2/crm/contacts/summary/{made['id']}")["firstname"] == "Mara"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"FirstName": " "}, "FirstName is required"),
        ({"FirstName": None}, "FirstName is required"),
        ({"LastName": ""}, "LastName is required"),
        ({"AccountId": 4}, "Account 4 does not exist"),
        ({"LocationId": 0}, "Location 0 does not belong"),
        ({"Emails": []}, "e-mail address is required"),
        ({"Emails": None}, "e-mail address is required"),
        ({"Emails": [an_email("", True)]}, "e-mail address is empty"),
        ({"Emails": [an_email("a@x.example", True, 99)]}, "Type 99 is not valid"),
        ({"Emails": [an_email("a@x.example", True, WORK_PHONE)]}, "Type 21 is not valid"),
        ({"Emails": [an_email("a@x.example")]}, "Exactly one e-mail"),
        (
            {"Emails": [an_email("a@x.example", True), an_email("b@x.example", True)]},
            "Exactly one e-mail",
        ),
        ({"Phones": [a_phone("1")]}, "Exactly one phone"),
        ({"Phones": [a_phone("1", True, 11)]}, "Type 11 is not valid"),
        ({"CustomFieldsData": [{"CustomFieldId": 8}]}, "Custom field 8 does not exist"),
    ],
)
def test_a_create_is_refused_as_a_whole_with_the_reason(
    wire: Wire, account: AccountState, changes: dict[str, Any], reason: str
) -> None:
    answer = wire.create(account, **changes)

    assert answer.status == 200
    words = reason.replace("is not valid", "is not a valid")
    assert words in answer.reasons
    assert wire.control.contacts() == []


def test_a_location_of_another_account_is_refused(wire: Wire, account: AccountState) -> None:
    elsewhere = wire.customer("Fabrikam").main_location_id

    assert "does not belong" in wire.create(account, LocationId=elsewhere).reasons


def test_every_reason_is_given_at_once(wire: Wire, account: AccountState) -> None:
    answer = wire.create(account, FirstName="", LastName="", Emails=[])

    assert len(answer.error["suberrors"]) == 3


def test_an_inactive_account_is_refused_unless_switched(wire: Wire) -> None:
    closed = wire.control.add_account("Closed", is_active=False)

    assert "inactive" in wire.create(closed).reasons
    wire.control.set_switches(inactive_account="allow")
    assert wire.create(closed).result


def test_an_inactive_location_is_refused_unless_switched(wire: Wire, account: AccountState) -> None:
    closed = wire.control.add_location(account.id, "Closed", is_active=False)

    assert "inactive" in wire.create(account, LocationId=closed).reasons
    wire.control.set_switches(inactive_location="allow")
    assert wire.create(account, LocationId=closed).result


def test_phones_are_optional_unless_switched(wire: Wire, account: AccountState) -> None:
    assert wire.create(account, Phones=[]).result
    wire.control.set_switches(phone_required=True)
    assert "phone number is required" in wire.create(account, Phones=None).reasons


def test_a_refused_write_is_400_when_switched(wire: Wire, account: AccountState) -> None:
    wire.control.set_switches(validation_status=400)

    answer = wire.create(account, FirstName="")

    assert (answer.status, answer.body["success"]) == (400, False)


def test_the_same_address_may_be_on_several_contacts(wire: Wire, account: AccountState) -> None:
    twins = {wire.create(account).result["id"] for _ in range(2)}

    assert len(twins) == 2


def test_a_required_custom_field_is_demanded_and_kept(wire: Wire, account: AccountState) -> None:
    field = wire.control.add_custom_field("Entra object id", is_required=True)
    assert "'Entra object id' is required" in wire.create(account).reasons

    data = [{"Id": 0, "CustomFieldId": field, "Data": "a-b-c", "SettingsId": None}]
    made = wire.create(account, CustomFieldsData=data).result

    assert made["customfieldsdata"][0]["data"] == "a-b-c"
    rows = wire.get(f"/v2/system/customFields/3/{made['id']}")
    assert [(row["name"], row["data"]) for row in rows] == [("Entra object id", "a-b-c")]


@pytest.mark.parametrize(("mode", "length"), [("refuse", None), ("truncate", 5)])
def test_lengths_are_limited_when_switched(
    wire: Wire, account: AccountState, mode: str, length: int | None
) -> None:
    wire.control.set_switches(max_lengths={"FirstName": 5}, over_length=mode)

    answer = wire.create(account, FirstName="Wilhelmina")

    if length is None:
        assert "longer than 5" in answer.reasons
    else:
        assert answer.result["firstname"] == "Wilhelmina"[:length]


# PATCH


def test_a_patch_changes_what_it_names_and_nothing_else(wire: Wire, contact: ContactState) -> None:
    reply = wire.patch(contact.id, JobTitle="Chief", IsActive=False).result

    kept = wire.control.get_contact(contact.id)
    assert (kept.job_title, kept.is_active) == ("Chief", False)
    assert (kept.poc, kept.middle_name, kept.emails) == (True, "M.", contact.emails)
    assert (reply["jobtitle"], reply["isactive"]) == ("Chief", False)
    assert reply["modifiedbyname"] == "Directory Sync"


@pytest.mark.parametrize("path", ["/JobTitle", "jobTitle", "/jobtitle", "JOBTITLE"])
def test_a_path_may_lack_its_slash_and_have_any_casing(
    wire: Wire, contact: ContactState, path: str
) -> None:
    answer = operate(wire, contact, {"op": "replace", "path": path, "value": "Chief"})

    assert answer.result["jobtitle"] == "Chief"


def test_add_replaces_and_remove_empties(wire: Wire, contact: ContactState) -> None:
    answer = operate(
        wire,
        contact,
        {"op": "add", "path": "/MiddleName", "value": "N."},
        {"op": "remove", "path": "/JobTitle"},
        {"op": "remove", "path": "/Poc"},
    )

    assert answer.result["middlename"] == "N."
    assert (answer.result["jobtitle"], answer.result["poc"]) == (None, False)


def test_a_test_that_fails_stops_the_whole_patch(wire: Wire, contact: ContactState) -> None:
    change = {"op": "replace", "path": "/JobTitle", "value": "Chief"}

    right = operate(wire, contact, {"op": "test", "path": "/JobTitle", "value": "Clerk"}, change)
    wrong = operate(
        wire,
        contact,
        {"op": "replace", "path": "/MiddleName", "value": "X."},
        {"op": "test", "path": "/JobTitle", "value": "Clerk"},
    )

    assert right.result["jobtitle"] == "Chief"
    assert "not equal" in wrong.reasons
    assert wire.control.get_contact(contact.id).middle_name == "M."


@pytest.mark.parametrize(
    ("operation", "reason"),
    [
        ({"op": "replace", "path": "/Emails", "value": []}, "was not found"),
        ({"op": "replace", "path": "/Id", "value": 1}, "was not found"),
        ({"op": "replace", "value": 1}, "was not found"),
        ({"op": "destroy", "path": "/JobTitle"}, "Invalid JsonPatch"),
        ({"op": "replace", "path": "/FirstName", "value": ""}, "FirstName is required"),
        ({"op": "remove", "path": "/LastName"}, "LastName is required"),
        ({"op": "replace", "path": "/AccountId", "value": 4}, "cannot be changed"),
        ({"op": "replace", "path": "/LocationId", "value": 4}, "does not belong"),
    ],
    ids=str,
)
def test_a_patch_that_cannot_be_done_is_refused(
    wire: Wire, contact: ContactState, operation: dict[str, Any], reason: str
) -> None:
    assert reason in operate(wire, contact, operation).reasons
    assert wire.control.get_contact(contact.id) == contact


@pytest.mark.parametrize(("name", "value"), [("IsActive", "false"), ("JobTitle", 7)])
def test_a_patch_value_of_a_wrong_type_is_400(
    wire: Wire, contact: ContactState, name: str, value: Any
) -> None:
    assert wire.patch(contact.id, **{name: value}).status == 400


def test_a_contact_keeps_its_account_unless_switched(wire: Wire, contact: ContactState) -> None:
    other = wire.customer("Fabrikam")
    move = {"AccountId": other.id, "LocationId": other.main_location_id}
    assert "cannot be changed" in wire.patch(contact.id, **move).reasons

    wire.control.set_switches(patch_account_id="ignore")
    assert wire.patch(contact.id, AccountId=other.id).result["accountid"] == contact.account_id
    wire.control.set_switches(patch_account_id="allow")
    assert wire.patch(contact.id, **move).result["accountid"] == other.id

    rows = wire.get("/v2/crm/contacts/summary", Filter__AccountId=other.id)
    assert [row["id"] for row in rows] == [contact.id]


def test_a_contact_changes_location_unless_switched(
    wire: Wire, account: AccountState, contact: ContactState
) -> None:
    branch = wire.control.add_location(account.id, "Branch")

    wire.control.set_switches(patch_location_id="refuse")
    assert "cannot be changed" in wire.patch(contact.id, LocationId=branch).reasons
    wire.control.set_switches(patch_location_id="ignore")
    assert wire.patch(contact.id, LocationId=branch).result["locationid"] == contact.location_id
    wire.control.set_switches(patch_location_id="allow")
    assert wire.patch(contact.id, LocationId=branch).result["locationname"] == "Branch"


def test_members_can_be_ignored_silently_by_switch(wire: Wire, contact: ContactState) -> None:
    wire.control.set_switches(patch_ignores=["JobTitle"])

    reply = wire.patch(contact.id, JobTitle="Chief", MiddleName="Q.").result

    assert (reply["jobtitle"], reply["middlename"]) == ("Clerk", "Q.")


def test_a_contact_without_a_location_can_still_be_patched(
    wire: Wire, account: AccountState
) -> None:
    contact = wire.control.add_contact(account.id, "Ada", "Lind", location_id=None)

    assert wire.patch(contact.id, JobTitle="Chief").result["jobtitle"] == "Chief"
    assert wire.control.get_contact(contact.id).location_id is None


def test_deactivating_ends_access_to_the_client_portal(wire: Wire, account: AccountState) -> None:
    contact = wire.control.add_contact(account.id, "A", "B", has_portal_access=True)

    wire.patch(contact.id, IsActive=False)

    assert wire.control.get_contact(contact.id).has_portal_access is False


def test_an_unknown_contact_cannot_be_written(wire: Wire) -> None:
    base = "/v2/crm/contacts/1"

    assert wire.patch(1, JobTitle="x").status == 404
    assert wire.call("PUT", base, {}).status == 404
    assert wire.call("DELETE", base).status == 404
    assert wire.call("PATCH", f"{base}/emails", []).status == 404
    assert wire.call("PATCH", f"{base}/phones", []).status == 404


# PUT and DELETE


def test_a_put_with_every_member_changes_only_what_differs(
    wire: Wire, contact: ContactState
) -> None:
    put(wire, contact, JobTitle="Chief")

    kept = wire.control.get_contact(contact.id)
    assert (kept.job_title, kept.poc, kept.is_active) == ("Chief", True, True)


def test_a_put_without_is_active_deactivates(wire: Wire, contact: ContactState) -> None:
    reply = put(wire, contact, IsActive="left out", Poc="left out", MiddleName="left out").result

    assert (reply["isactive"], reply["poc"], reply["middlename"]) == (False, False, None)
    assert wire.control.get_contact(contact.id).emails == contact.emails


@pytest.mark.parametrize("name", ["LocationId", "FirstName", "LastName", "AccountId"])
def test_a_put_without_ids_or_names_is_refused(
    wire: Wire, contact: ContactState, name: str
) -> None:
    assert put(wire, contact, **{name: "left out"}).reasons


def test_a_delete_removes_and_is_counted(wire: Wire, contact: ContactState) -> None:
    answer = wire.call("DELETE", f"/v2/crm/contacts/{contact.id}")

    assert (answer.status, answer.raw) == (200, b"")
    assert wire.control.find_contact(contact.id) is None
    assert wire.control.counters().calls["DELETE /v2/crm/contacts/{Id}"] == 1
    assert [each.method for each in wire.control.writes()] == ["DELETE"]
