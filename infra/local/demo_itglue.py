"""IT Glue in the demonstration: switched on, with a contact that somebody typed in there."""

from __future__ import annotations

from infra.local.admin import Admin, wait_for
from infra.local.itglue.control import ItGlueControl, PersonState

_PATIENCE_SECONDS = 45.0


def switch_on(
    admin: Admin, itglue: ItGlueControl, account: str, account_id: int, person: tuple[str, str, str]
) -> int:
    """Fill IT Glue, switch it on as a technician does; the id of the person's contact there."""
    first, last, address = person
    organization = itglue.add_organization(account, psa_id=account_id)
    home = {"value": "03055509", "primary": True, "label-name": "Home", "label-type": "phone"}
    number = itglue.add_contact(
        organization,
        first,
        last,
        emails=[address],
        phones=[{**home, "extension": None}],
        notes="Prefers to be called after ten.",
    )
    admin.call(
        "PUT",
        "/api/settings/itglue",
        {
            "enabled": True,
            "apiKey": itglue.key,
            "inactiveContactTypeId": itglue.types()["No Longer Employed"],
        },
    )
    return number


def await_phone(itglue: ItGlueControl, number: int, digits: str) -> PersonState:
    """Wait until a contact in IT Glue has this phone."""

    def look() -> PersonState | None:
        contact = itglue.contact(number)
        return contact if any(digits in each["value"] for each in contact.phones) else None

    return wait_for(look, _PATIENCE_SECONDS, what="the change in IT Glue")
