"""The five shapes in which BMS shows a contact, each with names of its own.

Poc, IsPoc; ReceiveInvoices, RecieveInvoices, CanRecieveInvoices; Phone, PhoneNumber: the
spellings are the vendor's.
"""

from __future__ import annotations

from typing import Any

from infra.local.bms.records import Contact, Entry
from infra.local.bms.replies import as_wire
from infra.local.bms.world import TENANT_ID, World

Row = dict[str, Any]


def list_row_bytes(world: World, contact: Contact) -> bytes:
    """Return the list row as it goes out, made anew only when something in it has changed."""
    if contact.row_epoch != world.row_epoch:
        contact.row = as_wire(list_row(world, contact), world.switches)
        contact.row_epoch = world.row_epoch
    return contact.row


def list_row(world: World, contact: Contact) -> Row:
    """ContactsSummaryOutputDto: a row of the main list."""
    return {
        "Id": contact.id,
        "CreatedBy": contact.created_by,
        "CreatedOn": world.stamp(contact.created_on),
        "ModifiedBy": contact.modified_by,
        "ModifiedOn": world.stamp(contact.modified_on),
        "AccountId": contact.account_id,
        "AccountName": world.accounts[contact.account_id].name,
        "LocationId": contact.location_id,
        "LocationName": _location_name(world, contact),
        "FirstName": contact.first_name,
        "LastName": contact.last_name,
        "JobTitle": contact.job_title,
        "IsPoc": contact.poc,
        "IsActive": contact.is_active,
        "EffectiveDate": contact.effective_date,
        "IsBillable": contact.bill_by_contact,
        "Emails": email_rows(world, contact),
        "Phones": phone_rows(world, contact),
        "CanRecieveInvoices": contact.receive_invoices,
    }


def write_row(world: World, contact: Contact) -> Row:
    """ContactOutputDto: the reply to PATCH and PUT."""
    return {
        "Id": contact.id,
        "CreatedBy": contact.created_by,
        "CreatedOn": world.stamp(contact.created_on),
        "ModifiedBy": contact.modified_by,
        "ModifiedOn": world.stamp(contact.modified_on),
        "AccountId": contact.account_id,
        "AccountName": world.accounts[contact.account_id].name,
        # Not nullable here, unlike in the list.
        "LocationId": contact.location_id or 0,
        "LocationName": _location_name(world, contact),
        "FirstName": contact.first_name,
        "MiddleName": contact.middle_name,
        "LastName": contact.last_name,
        "JobTitle": contact.job_title,
        "Poc": contact.poc,
        "IsActive": contact.is_active,
        "BillByContact": contact.bill_by_contact,
        "EffectiveDate": contact.effective_date,
        "Phones": phone_rows(world, contact),
        "Emails": email_rows(world, contact),
        "RecieveInvoices": contact.receive_invoices,
        "CreatedByName": world.user_name_of(contact.created_by),
        "ModifiedByName": world.user_name_of(contact.modified_by),
    }


def create_row(world: World, contact: Contact) -> Row:
    """ContactSummaryOutputDto: the flat reply to a create."""
    held = world.custom_values.get((world.switches.contact_module_id, contact.id), {})
    return {
        "Id": contact.id,
        "FirstName": contact.first_name,
        "LastName": contact.last_name,
        "AccountId": contact.account_id,
        "AccountName": world.accounts[contact.account_id].name,
        "LocationId": contact.location_id or 0,
        "LocationName": _location_name(world, contact),
        "PhoneNumber": contact.default_phone(),
        "EmailAddress": contact.default_email(),
        "CustomFieldsData": [
            {
                "Id": each.id,
                "Name": world.custom_fields[each.field_id].name,
                "Data": each.data,
                "SettingsId": each.settings_id,
                "CustomFieldType": world.custom_fields[each.field_id].data_type,
                "CustomFieldId": each.field_id,
            }
            for each in held.values()
        ],
    }


def search_row(world: World, contact: Contact) -> Row:
    """ContactsSearchSelectOutputDto: a row of /search, with one e-mail address."""
    return {
        "Id": contact.id,
        "AccountId": contact.account_id,
        "AccountName": world.accounts[contact.account_id].name,
        "LocationId": contact.location_id or 0,
        "LocationName": _location_name(world, contact),
        "FirstName": contact.first_name,
        "LastName": contact.last_name,
        "JobTitle": contact.job_title,
        "EmailAddress": contact.default_email(),
        "IsPoc": contact.poc,
        "IsActive": contact.is_active,
        "HasClientPortalAccess": contact.has_portal_access,
    }


def lookup_row(world: World, contact: Contact) -> Row:
    """ContactLookupOutputDto: a row of an account's contact look-up."""
    return {
        "Id": contact.id,
        "Name": full_name(contact),
        "LocationId": contact.location_id or 0,
        "LocationName": _location_name(world, contact),
        "Phone": contact.default_phone(),
        "EmailAddress": contact.default_email(),
    }


def info_row(world: World, contact: Contact) -> Row:
    """ContactSummaryInfoOutputDto: the card beside a ticket."""
    account = world.accounts[contact.account_id]
    blank: Row = dict.fromkeys(
        (
            "Website",
            "PhoneNumber",
            "FaxNumber",
            "Address1",
            "Address2",
            "City",
            "State",
            "ZipCode",
            "Country",
            "latitude",
            "longitude",
        )
    )
    return {
        "Id": contact.id,
        "ContactName": full_name(contact),
        "ContactPhone": contact.default_phone(),
        "ContactEmailAddress": contact.default_email(),
        "ClientName": account.name,
        "LocationName": _location_name(world, contact),
        "LocationId": contact.location_id or 0,
        "AccountType": world.list_name_of("account_types", account.type_id),
        **blank,
        "TenantId": TENANT_ID,
        "IsActive": contact.is_active,
        "AccountId": contact.account_id,
    }


def email_rows(world: World, contact: Contact) -> list[Row]:
    """ContactEmailOutputDto rows."""
    return [
        {
            **_entry_row(world, each),
            "EmailAddress": each.value,
            "EmailTypeId": each.type_id,
            "EmailType": world.list_name_of("email_types", each.type_id),
            "IsDefault": each.is_default,
        }
        for each in contact.emails
    ]


def phone_rows(world: World, contact: Contact) -> list[Row]:
    """ContactPhoneOutputDto rows."""
    return [
        {
            **_entry_row(world, each),
            "Phone": each.value,
            "PhoneTypeId": each.type_id,
            "PhoneType": world.list_name_of("phone_types", each.type_id),
            "IsDefault": each.is_default,
        }
        for each in contact.phones
    ]


def full_name(contact: Contact) -> str:
    """Return first and last name."""
    return f"{contact.first_name or ''} {contact.last_name or ''}".strip()


def _entry_row(world: World, entry: Entry) -> Row:
    return {
        "Id": entry.id,
        "CreatedBy": entry.created_by,
        "CreatedOn": world.stamp(entry.created_on),
        "ModifiedBy": entry.modified_by,
        "ModifiedOn": world.stamp(entry.modified_on),
    }


def _location_name(world: World, contact: Contact) -> str | None:
    location = world.locations.get(contact.location_id or 0)
    return location.name if location else None
