"""Lists of the BMS stand-in: pages, filters, states, order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from infra.local.bms.control_values import AccountState, NewAddress
from infra.local.bms.process import BmsProcess, start_bms
from tests.local.bms_wire import Wire

CONTACTS = "/v2/crm/contacts/summary"
SEARCH = "/v2/crm/contacts/search"
ACCOUNTS = "/v2/crm/accounts/summary"


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


def ids(rows: list[Any]) -> list[int]:
    return [row["id"] for row in rows]


def test_a_page_has_50_rows_by_default_and_100_at_most(wire: Wire) -> None:
    wire.control.generate(130)

    assert len(wire.get(CONTACTS)) == 50
    assert len(wire.get(CONTACTS, PageSize=100)) == 100
    assert len(wire.get(CONTACTS, PageSize=500)) == 100


def test_page_sizes_can_be_set(wire: Wire) -> None:
    wire.control.generate(30)
    wire.control.set_switches(default_page_size=5, max_page_size=20)

    assert len(wire.get(CONTACTS)) == 5
    assert len(wire.get(CONTACTS, PageSize=100)) == 20


def test_a_page_size_over_the_cap_is_refused_when_switched(wire: Wire) -> None:
    wire.control.set_switches(over_max_page_size="refuse")

    assert "PageSize" in wire.call("GET", CONTACTS, PageSize=101).reasons


def test_pages_begin_at_one_and_zero_is_the_first_too(wire: Wire) -> None:
    wire.control.generate(30)

    first = wire.get(CONTACTS, PageSize=10, PageNumber=1)

    assert wire.get(CONTACTS, PageSize=10, PageNumber=0) == first
    assert wire.get(CONTACTS, PageSize=10) == first
    assert wire.get(CONTACTS, PageSize=10, PageNumber=2)[0]["id"] == first[-1]["id"] + 1


def test_pages_begin_at_zero_when_switched(wire: Wire) -> None:
    wire.control.generate(30)
    wire.control.set_switches(first_page=0)

    first = wire.get(CONTACTS, PageSize=10, PageNumber=0)

    assert wire.get(CONTACTS, PageSize=10, PageNumber=1)[0]["id"] == first[-1]["id"] + 1


def test_a_page_beyond_the_end_is_empty_and_still_has_the_total(wire: Wire) -> None:
    wire.control.generate(30)

    answer = wire.call("GET", CONTACTS, PageSize=10, PageNumber=4)

    assert (answer.result, answer.body["totalrecords"]) == ([], 30)


def test_only_paged_envelopes_have_a_total(wire: Wire) -> None:
    wire.control.seed_demo()

    for path in (CONTACTS, ACCOUNTS, "/v2/hr/employees/searchselect"):
        assert "totalrecords" in wire.call("GET", path).body
    for path in (SEARCH, "/v2/crm/accounts/lookup", "/v2/hr/employees/lookup"):
        assert "totalrecords" not in wire.call("GET", path).body


def test_all_pages_together_hold_every_contact_once(wire: Wire) -> None:
    wire.control.generate(250, accounts=2)

    assert sorted(ids(wire.rows(CONTACTS))) == ids(wire.control.contacts_json())


@pytest.mark.parametrize("order", ["drift", "shuffle"])
def test_rows_come_twice_or_not_at_all_when_the_order_changes(wire: Wire, order: str) -> None:
    wire.control.generate(250)
    wire.control.set_switches(row_order=order)

    rows = wire.rows(CONTACTS)

    assert len(rows) == 250
    assert len(set(ids(rows))) < 250


def test_rows_change_places_within_a_page_when_switched(wire: Wire) -> None:
    wire.control.generate(250)
    wire.control.set_switches(row_order="within")

    rows = ids(wire.rows(CONTACTS))

    assert rows != sorted(rows)
    assert len(set(rows)) == 250


def test_an_account_filter_gives_that_account_only(wire: Wire) -> None:
    first, second = wire.control.generate(20, accounts=2)

    rows = wire.get(CONTACTS, Filter__AccountId=second)

    assert {row["accountid"] for row in rows} == {second}
    assert wire.call("GET", CONTACTS, Filter__AccountId=first).body["totalrecords"] == 10
    assert wire.get(CONTACTS, Filter__AccountId=999) == []


def test_both_states_come_unless_one_is_asked_for(wire: Wire) -> None:
    wire.control.generate(10, inactive_every=5)

    assert len(wire.get(CONTACTS)) == 10
    assert len(wire.get(CONTACTS, Filter__IsActive="true")) == 8
    assert len(wire.get(CONTACTS, Filter__IsActive="False")) == 2


def test_only_active_ones_come_when_switched(wire: Wire) -> None:
    wire.control.generate(10, inactive_every=5)
    wire.control.add_account("Gone", is_active=False)
    wire.control.set_switches(is_active_absent="active")

    assert len(wire.get(CONTACTS)) == 8
    assert len(wire.get(SEARCH)) == 8
    assert len(wire.get(ACCOUNTS)) == 1
    assert len(wire.get(CONTACTS, Filter__IsActive="false")) == 2


def test_a_contact_changes_lists_with_its_state(wire: Wire, account: AccountState) -> None:
    contact = wire.control.add_contact(account.id, "Ada", "Lind")
    wire.get(CONTACTS, Filter__AccountId=account.id, Filter__IsActive="true")

    wire.patch(contact.id, IsActive=False)

    assert wire.get(CONTACTS, Filter__AccountId=account.id, Filter__IsActive="true") == []
    assert ids(wire.get(CONTACTS, Filter__IsActive="false")) == [contact.id]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Filter.FirstName", "mar"),
        ("Filter.LastName", "LIND"),
        ("Filter.AccountName", "contos"),
        ("Filter.Email", "ALIAS@"),
        ("Filter.Phone", "555010"),
    ],
)
def test_text_filters_match_a_part_in_any_casing(
    wire: Wire, account: AccountState, name: str, value: str
) -> None:
    phones, emails = ["+49 30 555010"], ["mara@contoso.example", "alias@contoso.example"]
    mara = wire.control.add_contact(account.id, "Mara", "Lindner", emails, phones)
    wire.control.add_contact(wire.customer("Fabrikam").id, "Otto", "Berg", ["otto@x.example"])

    assert ids(wire.get(CONTACTS, **{name: value})) == [mara.id]


def test_text_filters_match_the_whole_when_switched(wire: Wire, account: AccountState) -> None:
    mara = wire.control.add_contact(account.id, "Mara", "Lind", ["m@contoso.example"])
    wire.control.add_contact(account.id, "Mara", "Lindner", ["am@contoso.example"])
    wire.control.set_switches(string_filters="exact")

    assert ids(wire.get(CONTACTS, Filter__LastName="lind")) == [mara.id]
    assert ids(wire.get(CONTACTS, Filter__Email=" M@contoso.example ")) == [mara.id]


def test_text_filters_heed_casing_when_switched(wire: Wire, account: AccountState) -> None:
    wire.control.add_contact(account.id, "Mara", "Lind")
    wire.control.set_switches(filters_ignore_case=False)

    assert wire.get(CONTACTS, Filter__LastName="lin") == []
    assert len(wire.get(CONTACTS, Filter__LastName="Lin")) == 1


def test_the_main_list_finds_further_addresses_and_search_does_not(
    wire: Wire, account: AccountState
) -> None:
    wire.control.add_contact(account.id, emails=["a@contoso.example", "b@contoso.example"])

    assert len(wire.get(CONTACTS, Filter__Email="b@contoso.example")) == 1
    assert wire.get(SEARCH, Filter__EmailAddress="b@contoso.example") == []
    wire.control.set_switches(summary_email_filter="default", search_email_filter="all")
    assert wire.get(CONTACTS, Filter__Email="b@contoso.example") == []
    assert len(wire.get(SEARCH, Filter__EmailAddress="b@contoso.example")) == 1


def test_time_filters_include_their_edge(wire: Wire, account: AccountState) -> None:
    old = wire.control.add_contact(account.id)
    wire.control.move_clock(100)
    new = wire.control.add_contact(account.id)
    changed_on = wire.get(f"{CONTACTS}/{new.id}")["modifiedon"]

    assert ids(wire.get(CONTACTS, Filter__ModifiedOnFrom=changed_on)) == [new.id]
    assert ids(wire.get(CONTACTS, Filter__ModifiedOnTo=changed_on)) == [old.id, new.id]
    assert wire.call("GET", CONTACTS, Filter__ModifiedOnFrom="lately").status == 400


def test_timestamps_lose_their_zone_when_switched(wire: Wire, account: AccountState) -> None:
    wire.control.add_contact(account.id, emails=["a@contoso.example"])
    assert wire.get(CONTACTS)[0]["createdon"].endswith("Z")

    wire.control.set_switches(timestamps="zoneless")

    row = wire.get(CONTACTS)[0]
    assert not row["createdon"].endswith("Z")
    assert not row["emails"][0]["createdon"].endswith("Z")


def test_search_takes_several_ids_and_accounts(wire: Wire) -> None:
    first, second, third = wire.control.generate(9, accounts=3)
    some = ids(wire.get(SEARCH))[:4:3]

    assert ids(wire.get(SEARCH, Filter__Ids=some)) == some
    found = wire.get(SEARCH, Filter__AccountIds=[first, third])
    assert {row["accountid"] for row in found} == {first, third}
    assert second not in {row["accountid"] for row in found}


def test_search_narrows_by_title_place_and_marks(wire: Wire, account: AccountState) -> None:
    branch = wire.control.add_location(account.id, "Branch")
    chief = wire.control.add_contact(
        account.id, job_title="Chief", location_id=branch, poc=True, has_portal_access=True
    )
    wire.control.add_contact(account.id, job_title="Clerk")

    for query in (
        {"Filter.JobTitle": "chief"},
        {"Filter.LocationId": branch},
        {"Filter.LocationName": "bran"},
        {"Filter.IsPoc": "true"},
        {"Filter.HasClientPortalAccess": "true"},
    ):
        assert ids(wire.get(SEARCH, **query)) == [chief.id], query


def test_a_missing_location_is_null_in_the_list_and_zero_elsewhere(wire: Wire) -> None:
    contact = wire.control.seed_demo()["contacts"]["without_location"]

    assert wire.get(f"{CONTACTS}/{contact}")["locationid"] is None
    assert wire.get(SEARCH, Filter__Ids=contact)[0]["locationid"] == 0
    assert wire.patch(contact, JobTitle="Clerk").result["locationid"] == 0


def test_accounts_come_with_their_locations(wire: Wire) -> None:
    wire.control.add_account("Two", locations=[{"name": "A"}, {"name": "B", "is_main": True}])

    places = wire.get(ACCOUNTS)[0]["locations"]

    assert [(each["locationname"], each["ismain"]) for each in places] == [
        ("A", False),
        ("B", True),
    ]


def test_account_lists_filter_by_name_state_and_type(wire: Wire, account: AccountState) -> None:
    gone = wire.control.add_account("Gone", is_active=False)

    assert ids(wire.get(ACCOUNTS, Filter__AccountName="CONT")) == [account.id]
    assert ids(wire.get(ACCOUNTS, Filter__IsActive="false")) == [gone.id]
    assert ids(wire.get(ACCOUNTS, Filter__AccountTypeName="vendor")) == []
    assert ids(wire.get("/v2/crm/accounts/lookup")) == [account.id]
    both = wire.get("/v2/crm/accounts/lookup", Filter__WithInactiveAccounts="true")
    assert ids(both) == [account.id, gone.id]


def test_a_renamed_account_shows_in_rows_that_were_sent_before(
    wire: Wire, account: AccountState
) -> None:
    wire.control.add_contact(account.id)
    wire.get(CONTACTS)

    wire.control.edit_account(account.id, name="Contoso AG")

    assert wire.get(CONTACTS)[0]["accountname"] == "Contoso AG"


def test_every_change_of_a_contact_shows_in_a_row_that_was_sent_before(
    wire: Wire, account: AccountState
) -> None:
    contact = wire.control.add_contact(account.id, "Ada", "Lind", ["a@x.example"])
    base = f"/v2/crm/contacts/{contact.id}"
    add_email = {"Operation": 0, "EmailAddress": "b@x.example", "TypeId": 11, "IsDefault": True}
    add_phone = {"Operation": 0, "PhoneNumber": "1", "TypeId": 21, "IsDefault": True}
    rows = [wire.get(CONTACTS)[0]]

    wire.patch(contact.id, JobTitle="Chief")
    rows.append(wire.get(CONTACTS)[0])
    wire.call("PATCH", f"{base}/emails", [add_email])
    rows.append(wire.get(CONTACTS)[0])
    wire.call("PATCH", f"{base}/phones", [add_phone])
    rows.append(wire.get(CONTACTS)[0])
    wire.control.edit_contact(contact.id, first_name="Adele")
    rows.append(wire.get(CONTACTS)[0])

    assert [row["jobtitle"] for row in rows] == [None, "Chief", "Chief", "Chief", "Chief"]
    assert [len(row["emails"]) for row in rows] == [1, 1, 2, 2, 2]
    assert [len(row["phones"]) for row in rows] == [0, 0, 0, 1, 1]
    assert rows[-1]["firstname"] == "Adele"


def test_locations_are_found_under_their_account_only(wire: Wire, account: AccountState) -> None:
    other = wire.customer("Fabrikam").main_location_id
    wire.control.add_location(account.id, "Closed", is_active=False)
    base = f"/v2/crm/accounts/{account.id}/locations"

    assert [row["name"] for row in wire.get(f"{base}/lookup")] == ["Main"]
    assert wire.get(f"{base}/{account.main_location_id}")["ismain"] is True
    assert wire.call("GET", f"{base}/{other}").status == 404


def test_the_card_of_a_contact_belongs_to_its_account(wire: Wire, account: AccountState) -> None:
    contact = wire.control.add_contact(account.id, "Ada", "Lind", ["a@x.example"], ["1"])
    other = wire.customer("Fabrikam").id

    card = wire.get(f"/v2/crm/accounts/{account.id}/contacts/{contact.id}/summaryinfo")

    assert (card["contactname"], card["contactphone"]) == ("Ada Lind", "1")
    path = f"/v2/crm/accounts/{other}/contacts/{contact.id}/summaryinfo"
    assert wire.call("GET", path).status == 404


def test_an_accounts_contacts_can_be_looked_up(wire: Wire, account: AccountState) -> None:
    ada = wire.control.add_contact(account.id, "Ada", "Lind", [NewAddress("a@x.example", "Other")])
    wire.control.add_contact(account.id, "Otto", "Berg")

    rows = wire.get(f"/v2/crm/accounts/{account.id}/contacts/lookup", Filter__Name="a li")

    assert ids(rows) == [ada.id]
    assert wire.call("GET", "/v2/crm/accounts/1/contacts/lookup").status == 404


@pytest.mark.parametrize("path", [f"{CONTACTS}/1", f"{ACCOUNTS}/1", "/v2/hr/assignees/1/roles"])
def test_an_unknown_id_is_404_or_a_failed_200_when_switched(wire: Wire, path: str) -> None:
    assert wire.call("GET", path).status == 404

    wire.control.set_switches(not_found_status=200)

    answer = wire.call("GET", path)
    assert (answer.status, answer.body["success"]) == (200, False)
