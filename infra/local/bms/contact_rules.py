"""What BMS demands of a contact, as far as it is known or assumed.

Each check returns sentences; a write collects them all and is refused with them together, or
goes through as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from infra.local.bms.records import Contact
from infra.local.bms.refusals import Rejected
from infra.local.bms.world import NewEntry, World


def check_name(member: str, value: str | None) -> list[str]:
    """First and last name must not be empty."""
    return [] if value and value.strip() else [f"{member} is required."]


def check_account(world: World, account_id: int) -> list[str]:
    """The account must be known, and active unless switched otherwise."""
    account = world.accounts.get(account_id)
    if account is None:
        return [f"Account {account_id} does not exist."]
    if not account.is_active and world.switches.inactive_account == "refuse":
        return [f"Account {account_id} is inactive."]
    return []


def check_location(world: World, account_id: int, location_id: int) -> list[str]:
    """The location must belong to the account."""
    location = world.locations.get(location_id)
    if location is None or location.account_id != account_id:
        return [f"Location {location_id} does not belong to account {account_id}."]
    if not location.is_active and world.switches.inactive_location == "refuse":
        return [f"Location {location_id} is inactive."]
    return []


def check_type(world: World, list_name: str, type_id: int | None) -> list[str]:
    """The e-mail or phone type must exist and be active."""
    row = world.lists[list_name].get(type_id or 0)
    if row is None or not row.is_active:
        return [f"Type {type_id} is not a valid type."]
    return []


def check_entries(world: World, list_name: str, entries: Iterable[NewEntry]) -> list[str]:
    """Entries need a value, a valid type, and exactly one default among them."""
    entries = list(entries)
    what = "e-mail address" if list_name == "email_types" else "phone number"
    reasons: list[str] = []
    for each in entries:
        if not each.value.strip():
            reasons.append(f"The {what} is empty.")
        reasons += check_type(world, list_name, each.type_id)
    if entries and sum(each.is_default for each in entries) != 1:
        reasons.append(f"Exactly one {what} must be the default.")
    return reasons


def fit_length(world: World, member: str, value: Any, reasons: list[str]) -> Any:
    """Return a text within its maximum length: cut, or with a reason added, as switched."""
    limit = world.switches.max_lengths.get(member)
    if limit is None or not isinstance(value, str) or len(value) <= limit:
        return value
    if world.switches.over_length == "truncate":
        return value[:limit]
    reasons.append(f"{member} must not be longer than {limit} characters.")
    return value


# Members of ContactPutInputDto and the attributes that they set.
ATTRIBUTES = {
    "AccountId": "account_id",
    "LocationId": "location_id",
    "FirstName": "first_name",
    "MiddleName": "middle_name",
    "LastName": "last_name",
    "JobTitle": "job_title",
    "Poc": "poc",
    "IsActive": "is_active",
    "ReceiveInvoices": "receive_invoices",
    "BillByContact": "bill_by_contact",
    "EffectiveDate": "effective_date",
}


def apply_members(world: World, contact: Contact, members: dict[str, Any], by: int) -> None:
    """Check and set members of a contact, all of them or none."""
    switches = world.switches
    ignored = {each.lower() for each in switches.patch_ignores}
    members = {name: value for name, value in members.items() if name.lower() not in ignored}
    reasons: list[str] = []
    account_id = members.get("AccountId", contact.account_id)
    if account_id != contact.account_id:
        if switches.patch_account_id == "refuse":
            raise Rejected("AccountId of a contact cannot be changed.")
        if switches.patch_account_id == "ignore":
            members.pop("AccountId")
            account_id = contact.account_id
        else:
            reasons += check_account(world, account_id)
    location_id = members.get("LocationId", contact.location_id)
    if location_id != contact.location_id or account_id != contact.account_id:
        if switches.patch_location_id == "refuse" and location_id != contact.location_id:
            raise Rejected("LocationId of a contact cannot be changed.")
        if switches.patch_location_id == "ignore":
            members.pop("LocationId", None)
        else:
            reasons += check_location(world, account_id, location_id or 0)
    changes: dict[str, object] = {}
    for name, value in members.items():
        if name in ("FirstName", "LastName"):
            reasons += check_name(name, value)
        changes[ATTRIBUTES[name]] = fit_length(world, name, value, reasons)
    if reasons:
        raise Rejected(*reasons)
    if changes.get("is_active") is False:
        # Assumed: a contact that is not active cannot sign in to the client portal.
        changes["has_portal_access"] = False
    world.change_contact(contact, changes, by)
