"""GET routes of accounts and their locations."""

from __future__ import annotations

from typing import Any

from infra.local.bms.calls import Call
from infra.local.bms.first_lists import PERSON_ID
from infra.local.bms.paging import active_filter, page_of, text_test
from infra.local.bms.records import Account, Location
from infra.local.bms.refusals import NotThere
from infra.local.bms.replies import Reply, as_wire, enveloped
from infra.local.bms.world import World


def lookup(call: Call) -> Reply:
    """GET /v2/crm/accounts/lookup."""
    world = call.world
    rows = list(world.accounts.values())
    if not call.query.boolean("Filter.WithInactiveAccounts"):
        rows = [each for each in rows if each.is_active]
    wanted = set(call.query.integers("Filter.Ids"))
    if wanted:
        rows = [each for each in rows if each.id in wanted]
    name = text_test(call, "Filter.Name")
    if name is not None:
        rows = [each for each in rows if name(each.name)]
    return enveloped(
        [
            {
                "Id": each.id,
                "Name": each.name,
                "TenantName": world.tenant,
                "IsActive": each.is_active,
            }
            for each in page_of(call, rows)
        ],
        call.switches,
    )


def summary_list(call: Call) -> Reply:
    """GET /v2/crm/accounts/summary: accounts with their locations, and a total."""
    query = call.query
    rows = list(call.world.accounts.values())
    active = active_filter(call)
    if active is not None:
        rows = [each for each in rows if each.is_active == active]
    type_id = query.integer("Filter.AccountTypeId")
    if type_id is not None:
        rows = [each for each in rows if each.type_id == type_id]
    name = text_test(call, "Filter.AccountName")
    if name is not None:
        rows = [each for each in rows if name(each.name)]
    code = text_test(call, "Filter.AccountCode")
    if code is not None:
        rows = [each for each in rows if code(each.code)]
    type_name = text_test(call, "Filter.AccountTypeName")
    if type_name is not None:
        types = call.world.lists["account_types"]
        rows = [each for each in rows if type_name(types[each.type_id].name)]
    for member in ("created_on", "modified_on"):
        words = "CreatedOn" if member == "created_on" else "ModifiedOn"
        since = query.moment(f"Filter.{words}From")
        until = query.moment(f"Filter.{words}To")
        rows = [
            each
            for each in rows
            if (since is None or getattr(each, member) >= since)
            and (until is None or getattr(each, member) <= until)
        ]
    page = [_summary(call.world, each) for each in page_of(call, rows)]
    return enveloped(page, call.switches, total=len(rows))


def summary_one(call: Call) -> Reply:
    """GET /v2/crm/accounts/summary/{id}: enveloped, or the bare object that the file declares."""
    row = _summary(call.world, _account(call, call.ids[0]))
    if call.switches.single_summary == "bare":
        return Reply(body=as_wire(row, call.switches))
    return enveloped(row, call.switches)


def locations_lookup(call: Call) -> Reply:
    """GET /v2/crm/accounts/{accountId}/locations/lookup: all active ones, not paged."""
    world = call.world
    account = _account(call, call.ids[0])
    return enveloped(
        [
            {
                "Id": each.id,
                "Name": each.name,
                "AccountId": each.account_id,
                "IsMain": each.is_main,
            }
            for each in (world.locations[number] for number in account.location_ids)
            if each.is_active
        ],
        call.switches,
    )


def location_one(call: Call) -> Reply:
    """GET /v2/crm/accounts/{accountId}/locations/{locationId}."""
    account_id, location_id = call.ids
    _account(call, account_id)
    location = call.world.locations.get(location_id)
    if location is None or location.account_id != account_id:
        raise NotThere(f"Account {account_id} has no location {location_id}.")
    return enveloped(_location(call.world, location), call.switches)


def _account(call: Call, account_id: int) -> Account:
    account = call.world.accounts.get(account_id)
    if account is None:
        raise NotThere(f"There is no account {account_id}.")
    return account


def _summary(world: World, account: Account) -> dict[str, Any]:
    unset = dict.fromkeys(
        (
            "ParentId",
            "BusinessTypeId",
            "BusinessType",
            "ServiceTypeId",
            "ServiceType",
            "AccountManagerId",
            "AccountManagerUserName",
            "CurrencyId",
            "CurrencyName",
            "CreditLimit",
            "NetDays",
            "SalesTaxItemId",
            "SalesTaxItemName",
            "Website",
            "Description",
            "ClassId",
            "ClassName",
            "AcquiredDate",
        )
    )
    return {
        "Id": account.id,
        "AccountCode": account.code,
        "AccountTypeId": account.type_id,
        "AccountType": world.list_name_of("account_types", account.type_id),
        "AccountName": account.name,
        **unset,
        "IsActive": account.is_active,
        "IsBilling": False,
        "TenantName": world.tenant,
        **_audit(world, account.created_on, account.modified_on),
        "Locations": [_location(world, world.locations[each]) for each in account.location_ids],
    }


def _location(world: World, location: Location) -> dict[str, Any]:
    return {
        "Id": location.id,
        **_audit(world, location.created_on, location.created_on),
        "LocationName": location.name,
        "IsMain": location.is_main,
        "IsActive": location.is_active,
        "TimeZoneId": None,
        "DateFormatId": None,
        "TimeFormatId": None,
        "Addresses": [],
    }


def _audit(world: World, created_on: float, modified_on: float) -> dict[str, Any]:
    return {
        "CreatedBy": PERSON_ID,
        "CreatedOn": world.stamp(created_on),
        "ModifiedBy": PERSON_ID,
        "ModifiedOn": world.stamp(modified_on),
    }
