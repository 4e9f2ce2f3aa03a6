"""What Entra wants of a contact, compared with what BMS holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.core.fields import ContactChanges, WantedContact, contact_changes
from shared.core.model import Contact, ContactTypes
from tests.builders import TYPES


def wanted(**fields: Any) -> WantedContact:
    """What Entra gives the contact that `a_contact()` is."""
    given: dict[str, Any] = {
        "first_name": "Ada",
        "last_name": "Lind",
        "email": "ada@contoso.example",
        "work_phone": "",
        "mobile_phone": "",
        "job_title": "",
    }
    return WantedContact(**{**given, **fields})


def compared(
    record: Contact,
    want: WantedContact,
    *,
    written: Mapping[str, str] | None = None,
    types: ContactTypes = TYPES,
    activate: bool = True,
    **more: Any,
) -> ContactChanges:
    return contact_changes(
        record, want, written=written or {}, types=types, activate=activate, **more
    )
