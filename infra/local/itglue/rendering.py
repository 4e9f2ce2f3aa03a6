"""Records as IT Glue shows them."""

from __future__ import annotations

from infra.local.itglue.records import Account, ContactType, Entry, Organization, Person, Place
from infra.local.itglue.switches import Switches
from infra.local.itglue.wire import Json, stamp

_URL = "https://local.itglue.com"


def organization(one: Organization) -> Json:
    """An organization."""
    return {
        "id": str(one.id),
        "type": "organizations",
        "attributes": {
            "name": one.name,
            "alert": None,
            "description": None,
            "organization-type-id": None,
            "organization-type-name": None,
            "organization-status-id": 1,
            "organization-status-name": "Active",
            "primary": one.primary,
            "logo": None,
            "quick-notes": None,
            "short-name": None,
            "parent-id": None if one.parent_id is None else str(one.parent_id),
            "ancestor-ids": [],
            "psa-integration": None if one.psa_id is None else "enabled",
            "my-glue": False,
            "created-at": stamp(one.at),
            "updated-at": stamp(one.at),
        },
    }


def place(one: Place, account: Account) -> Json:
    """A location."""
    organization = account.organizations[one.organization_id]
    return {
        "id": str(one.id),
        "type": "locations",
        "attributes": {
            "organization-id": one.organization_id,
            "organization-name": organization.name,
            "name": one.name,
            "primary": one.primary,
            "address-1": None,
            "address-2": None,
            "city": one.city,
            "postal-code": None,
            "region-id": None,
            "region-name": None,
            "country-id": None,
            "country-name": None,
            "phone": None,
            "fax": None,
            "notes": None,
            "formatted-phone": None,
            "formatted-fax": None,
            "created-at": stamp(one.at),
            "updated-at": stamp(one.at),
        },
    }


def contact_type(one: ContactType) -> Json:
    """A contact type."""
    return {
        "id": str(one.id),
        "type": "contact-types",
        "attributes": {
            "name": one.name,
            "created-at": stamp(one.at),
            "updated-at": stamp(one.at),
        },
    }


def person(one: Person, account: Account, switches: Switches, include: set[str]) -> Json:
    """A contact."""
    kind = account.types.get(one.contact_type_id or 0)
    location = account.places.get(one.location_id or 0)
    attributes: Json = {
        "organization-id": one.organization_id,
        "organization-name": account.organizations[one.organization_id].name,
        "name": one.name,
        "first-name": one.first_name,
        "last-name": one.last_name,
        "title": one.title,
        "contact-type-id": one.contact_type_id,
        "contact-type-name": kind.name if kind else None,
        "location-id": one.location_id,
        "location-name": location.name if location else None,
        "important": one.important,
        "notes": one.notes,
        "restricted": one.restricted,
        "created-at": stamp(one.created_at),
        "updated-at": stamp(one.updated_at),
        "resource-url": f"{_URL}/{one.organization_id}/contacts/{one.id}",
        "my-glue": False,
        "contact-emails": [dict(each) for each in one.emails],
        "contact-phones": [_phone(each) for each in one.phones],
    }
    if switches.psa_mark == "shown":
        attributes["psa-integration"] = "enabled" if one.synced else None
    shown: Json = {"id": str(one.id), "type": "contacts", "attributes": attributes}
    if "adapters_resources" in include and switches.adapters == "shown":
        pointers = [{"type": "adapters-resources", "id": str(one.id)}] if one.synced else []
        shown["relationships"] = {"adapters-resources": {"data": pointers}}
    return shown


def adapters(account: Account) -> list[Json]:
    """What `include=adapters_resources` adds: the PSA's own id of each synced contact."""
    return [
        {
            "id": str(one.id),
            "type": "adapters-resources",
            "attributes": {"remote-id": str(one.psa_id), "adapter-type": one.psa_type},
        }
        for one in account.people.values()
        if one.synced
    ]


def _phone(entry: Entry) -> Entry:
    value = str(entry["value"])
    head = 1 if value.startswith("+") else 0
    formatted = f"{value[: 3 + head]} {value[3 + head :]}".strip()
    return {**entry, "formatted-value": formatted}
