"""The state of the tenant as the control routes show it: complete, and in one fixed shape.

Tests compare 100,000 contacts at once, so a contact is written as text directly; a dictionary
per contact and entry would take several times as long.
"""

from __future__ import annotations

from json.encoder import encode_basestring
from typing import Any

from infra.local.bms.records import Account, Contact, Entry
from infra.local.bms.world import World


def account_state(world: World, account: Account) -> dict[str, Any]:
    """Return an account with its locations."""
    return {
        "id": account.id,
        "name": account.name,
        "is_active": account.is_active,
        "locations": [
            {
                "id": each.id,
                "name": each.name,
                "is_main": each.is_main,
                "is_active": each.is_active,
            }
            for each in (world.locations[number] for number in account.location_ids)
        ],
    }


def contacts_json(world: World, account_id: int | None, is_active: bool | None) -> bytes:
    """Return the state of many contacts as a JSON array."""
    contacts = world.contacts
    ids = world.index.ids(account_id, is_active)
    return f"[{','.join([contact_json(contacts[each]) for each in ids])}]".encode()


def contact_json(contact: Contact) -> str:
    """Return everything that is kept about a contact as a JSON object."""
    location_id = "null" if contact.location_id is None else contact.location_id
    return (
        f'{{"id":{contact.id},"account_id":{contact.account_id},"location_id":{location_id},'
        f'"first_name":{_text(contact.first_name)},"middle_name":{_text(contact.middle_name)},'
        f'"last_name":{_text(contact.last_name)},"job_title":{_text(contact.job_title)},'
        f'"is_active":{_flag(contact.is_active)},"poc":{_flag(contact.poc)},'
        f'"receive_invoices":{_flag(contact.receive_invoices)},'
        f'"bill_by_contact":{_flag(contact.bill_by_contact)},'
        f'"effective_date":{_text(contact.effective_date)},'
        f'"has_portal_access":{_flag(contact.has_portal_access)},'
        f'"emails":[{",".join([_entry(each) for each in contact.emails])}],'
        f'"phones":[{",".join([_entry(each) for each in contact.phones])}],'
        f'"created_by":{contact.created_by},"created_on":{contact.created_on},'
        f'"modified_by":{contact.modified_by},"modified_on":{contact.modified_on}}}'
    )


def _entry(entry: Entry) -> str:
    return (
        f'{{"id":{entry.id},"value":{_text(entry.value)},"type_id":{entry.type_id},'
        f'"is_default":{_flag(entry.is_default)}}}'
    )


def _text(value: str | None) -> str:
    return "null" if value is None else encode_basestring(value)


def _flag(value: bool) -> str:
    return "true" if value else "false"
