"""What a contact may be made of, and what a write makes of it (itglue-api.md 3.2)."""

from __future__ import annotations

import re
from typing import Any

from infra.local.itglue.records import Account, Entry, Person
from infra.local.itglue.switches import Switches
from infra.local.itglue.wire import Json, Refusal

_TEXTS = ("first_name", "last_name", "title", "notes")
_FLAGS = ("important", "restricted")
_READ_ONLY = (
    "id",
    "name",
    "organization_name",
    "contact_type_name",
    "location_name",
    "created_at",
    "updated_at",
    "resource_url",
    "psa_integration",
    "my_glue",
)
_KNOWN = {*_TEXTS, *_FLAGS, *_READ_ONLY, "contact_type_id", "location_id", "contact_emails"}
_KNOWN |= {"contact_phones", "organization_id"}
_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_SEPARATORS = re.compile(r"[\s().\-/]+")
SYNCED = "This contact is synced with an external integration and cannot be changed."


def apply(account: Account, one: Person, values: Json, switches: Switches) -> None:
    """Change a contact; Refusal 422 before anything was changed."""
    unknown = sorted(set(values) - _KNOWN)
    if unknown:
        raise Refusal(400, f"unknown attribute {unknown[0]}", unknown[0])
    changes: dict[str, Any] = {}
    for name in _TEXTS:
        if name in values:
            if values[name] is not None and not isinstance(values[name], str):
                raise Refusal(422, f"{name} is invalid", name)
            changes[name] = values[name]
    for name in _FLAGS:
        if name in values:
            changes[name] = None if values[name] is None else str(values[name]) in ("True", "1")
    if "contact_type_id" in values:
        changes["contact_type_id"] = _type(account, values["contact_type_id"])
    if "location_id" in values:
        changes["location_id"] = _place(account, one, values["location_id"])
    if "contact_emails" in values:
        new = _emails(values["contact_emails"], account, switches)
        changes["emails"] = new if switches.array_patch == "replace" else [*one.emails, *new]
    if "contact_phones" in values:
        new = _phones(values["contact_phones"], account, switches)
        changes["phones"] = new if switches.array_patch == "replace" else [*one.phones, *new]
    for name, value in changes.items():
        setattr(one, name, value)
    account.labels |= {each["label-name"] for each in (*one.emails, *one.phones)}
    account.touch(one)


def _type(account: Account, value: Any) -> int | None:
    if value is None:
        return None
    if not str(value).isdigit() or int(value) not in account.types:
        raise Refusal(422, "Valid contact_type_id is required", "contact_type_id")
    return int(value)


def _place(account: Account, one: Person, value: Any) -> int | None:
    if value is None:
        return None
    place = account.places.get(int(value)) if str(value).isdigit() else None
    if place is None or place.organization_id != one.organization_id:
        raise Refusal(422, "Valid location_id is required", "location_id")
    return place.id


def _entries(value: Any, name: str) -> list[Json]:
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise Refusal(422, f"{name} is invalid", name)
    return [{key.replace("-", "_"): part for key, part in each.items()} for each in value]


def _label(entry: Json, name: str, account: Account, switches: Switches) -> str:
    label = entry.get("label_name")
    if not isinstance(label, str) or not label.strip():
        raise Refusal(422, "label-name is required", name)
    if switches.unknown_label == "refuse" and label not in account.labels:
        raise Refusal(422, "label-name is invalid", name)
    return label


def _emails(value: Any, account: Account, switches: Switches) -> list[Entry]:
    made: list[Entry] = []
    for entry in _entries(value, "contact_emails"):
        address = str(entry.get("value") or "")
        if not _ADDRESS.fullmatch(address):
            raise Refusal(422, "Email is invalid", "contact_emails")
        label = _label(entry, "contact_emails", account, switches)
        primary = bool(entry.get("primary", False))
        made.append({"value": address, "primary": primary, "label-name": label})
    return made


def _phones(value: Any, account: Account, switches: Switches) -> list[Entry]:
    made: list[Entry] = []
    for entry in _entries(value, "contact_phones"):
        number = _SEPARATORS.sub("", str(entry.get("value") or ""))
        if switches.plus_sign == "strip":
            number = number.lstrip("+")
        if not number:
            raise Refusal(422, "Phone is required", "contact_phones")
        kind = entry.get("label_type", "phone")
        if kind not in ("phone", "fax"):
            raise Refusal(422, "label-type is invalid", "contact_phones")
        extension = entry.get("extension")
        made.append(
            {
                "value": number,
                "extension": None if extension is None else _SEPARATORS.sub("", str(extension)),
                "primary": bool(entry.get("primary", False)),
                "label-name": _label(entry, "contact_phones", account, switches),
                "label-type": kind,
            }
        )
    return made
