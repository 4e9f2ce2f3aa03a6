"""Each field of one person side by side: Entra, the rules, what was written, what BMS holds (R11).

The values come from where the sync takes them; here is only said which of them stands, and why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shared.core import employee_fields as employees
from shared.core.employee_fields import (
    FIELDS,
    LABELS,
    WantedEmployee,
    shown_values,
)
from shared.core.explanation import FieldSaid, Source
from shared.core.fields import WantedContact
from shared.core.matching import key, usable
from shared.core.model import (
    Contact,
    ContactPhone,
    ContactTypes,
    Employee,
    EntraUser,
    FieldChange,
    LinkState,
    MappingRule,
)

LOCAL_EDIT = "was edited in BMS, and stays so until something about this person changes in Entra"
_EMPTY = "Entra has none: what somebody typed in BMS stays"
_CLEARED = "Entra has none any more: what the sync had written is taken back"
_LABELS = {
    "FirstName": "First name",
    "LastName": "Last name",
    "Email": "E-mail",
    "WorkPhone": "Work phone",
    "MobilePhone": "Mobile phone",
    "JobTitle": "Job title",
}


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one person's fields, from whatever side."""

    user: EntraUser | None
    written: Mapping[str, str]
    up_to_date: bool  # nothing about him has changed in Entra since the last write
    changes: tuple[FieldChange, ...] = ()  # that the next look makes


def contact_fields(
    known: Known,
    wanted: WantedContact | None,
    rule: MappingRule | None,
    record: Contact | None,
    types: ContactTypes,
    locations: Mapping[int, str],
    link_state: LinkState | None,
) -> tuple[FieldSaid, ...]:
    """The fields of a contact, those that only a rule sets included."""
    held = {} if record is None else _held(record, types, known.written)
    rows = [
        _contact_field(known, name, label, wanted, held if record is not None else None)
        for name, label in _LABELS.items()
    ]
    return (*rows, _location(rule, record, locations, known), _active(rule, record, link_state))


def _contact_field(
    known: Known,
    name: str,
    label: str,
    wanted: WantedContact | None,
    held: Mapping[str, str] | None,
) -> FieldSaid:
    written = known.written.get(name)
    in_bms = None if held is None else held.get(name, "")
    if wanted is None or known.user is None:
        return FieldSaid(
            name, label, None, in_bms, "bms" if in_bms else "none", None, written, in_bms
        )
    entra, detail = _in_entra(known.user, name, wanted)
    value = _value(wanted, name)
    label_of_change = label.lower()
    changes = {one.field: one.new for one in known.changes}
    if value:
        note = None
        if in_bms is not None and not _same(name, value, in_bms):
            note = LOCAL_EDIT if known.up_to_date and label_of_change not in changes else None
        return FieldSaid(name, label, entra, value, "entra", detail, written, in_bms, note)
    if changes.get(label_of_change) == "":
        return FieldSaid(name, label, entra, "", "entra", detail, written, in_bms, _CLEARED)
    if in_bms:
        return FieldSaid(name, label, entra, in_bms, "bms", None, written, in_bms, _EMPTY)
    return FieldSaid(name, label, entra, "", "none", None, written, in_bms)


def _same(name: str, value: str, in_bms: str) -> bool:
    return key(value) == key(in_bms) if name == "Email" else value == in_bms.strip()


def _value(wanted: WantedContact, name: str) -> str:
    return {
        "FirstName": wanted.first_name,
        "LastName": wanted.last_name,
        "Email": wanted.email,
        "WorkPhone": wanted.work_phone,
        "MobilePhone": wanted.mobile_phone,
        "JobTitle": wanted.job_title,
    }[name]


def _in_entra(user: EntraUser, name: str, wanted: WantedContact) -> tuple[str, str]:
    """The value as Entra has it, and the property that it comes from."""
    if name == "Email":
        if usable(user.mail) and key(user.mail) == key(wanted.email):
            return user.mail, "mail"
        if usable(user.upn) and key(user.upn) == key(wanted.email):
            return user.upn, "userPrincipalName"
        return wanted.email, "proxyAddresses" if wanted.email else "no usable address"
    value, source = {
        "FirstName": (user.given_name, "givenName"),
        "LastName": (user.surname, "surname"),
        "WorkPhone": (user.business_phone, "businessPhones"),
        "MobilePhone": (user.mobile_phone, "mobilePhone"),
        "JobTitle": (user.job_title, "jobTitle"),
    }[name]
    if name in ("FirstName", "LastName") and not value.strip():
        return "", "derived from displayName"
    return value, source


def _held(record: Contact, types: ContactTypes, written: Mapping[str, str]) -> dict[str, str]:
    default = next((one.address for one in record.emails if one.is_default), "")
    return {
        "FirstName": record.first_name,
        "LastName": record.last_name,
        "Email": default,
        "WorkPhone": _phone(record.phones, types.work_phone, written.get("WorkPhone", "")),
        "MobilePhone": _phone(record.phones, types.mobile_phone, written.get("MobilePhone", "")),
        "JobTitle": record.job_title,
    }


def _phone(phones: tuple[ContactPhone, ...], type_id: int | None, written: str) -> str:
    """Of several phones of the type: ours, else the default, else the first (as phones.py)."""
    of_type = [one for one in phones if type_id is not None and one.type_id == type_id]
    ours = [one for one in of_type if written and one.number.strip() == written.strip()]
    default = [one for one in of_type if one.is_default]
    chosen = next(iter([*ours, *default, *of_type]), None)
    return chosen.number if chosen else ""


def _location(
    rule: MappingRule | None,
    record: Contact | None,
    locations: Mapping[int, str],
    known: Known,
) -> FieldSaid:
    def named(location: int | None) -> str:
        return "" if location is None else locations.get(location, str(location))

    in_bms = None if record is None else named(record.location_id)
    if rule is not None and rule.location_id is not None:
        moved = record is not None and record.account_id != rule.account_id
        if not moved:
            edited = in_bms not in (None, named(rule.location_id))
            note = LOCAL_EDIT if edited and not known.changes else None
            return FieldSaid(
                "LocationId", "Location", None, named(rule.location_id), "rule",
                "the mapping rule names it", None, in_bms, note,
            )  # fmt: skip
    if record is not None:
        return FieldSaid("LocationId", "Location", None, in_bms, "bms", None, None, in_bms)
    if rule is not None:
        return FieldSaid(
            "LocationId", "Location", None, None, "default", "the account's main location"
        )
    return FieldSaid("LocationId", "Location", None, None, "none")


def _active(
    rule: MappingRule | None, record: Contact | Employee | None, state: LinkState | None
) -> FieldSaid:
    in_bms = None if record is None else ("yes" if record.is_active else "no")
    if rule is not None:
        return FieldSaid(
            "IsActive", "Active", None, "yes", "rule", "a rule takes him", None, in_bms
        )
    if state is LinkState.KEPT:
        note = "kept as it is, by the connection's setting or a person's word"
        return FieldSaid("IsActive", "Active", None, in_bms, "bms", None, None, in_bms, note)
    if state is None or state is LinkState.SKIPPED:
        return FieldSaid("IsActive", "Active", None, in_bms, "none", None, None, in_bms)
    return FieldSaid("IsActive", "Active", None, "no", "rule", "no rule takes him", None, in_bms)


def employee_fields(
    known: Known,
    wanted: WantedEmployee | None,
    rule: MappingRule | None,
    employee: Employee | None,
    link_state: LinkState | None,
) -> tuple[FieldSaid, ...]:
    """The fields of an employee; BMS shows only some of them (R26)."""
    held = {} if employee is None else shown_values(employee)
    rows: list[FieldSaid] = []
    for one in FIELDS:
        written = known.written.get(one.name)
        in_bms = held.get(one.name) if employee is not None and one.shown else None
        note = None if one.shown else "BMS does not show this field"
        source: Source = "bms" if in_bms else "none"
        if wanted is None or known.user is None:
            rows.append(
                FieldSaid(one.name, one.label, None, in_bms, source, None, written, in_bms, note)
            )
            continue
        value = wanted.get(one.name)
        target = value.name or value.value
        if target:
            source = _SOURCES[value.source]
        elif value.source is employees.Source.ENTRA:
            target = in_bms or ""
        else:
            source = "none"
        edited = in_bms is not None and target not in (None, in_bms) and known.up_to_date
        if edited and not known.changes:
            note = LOCAL_EDIT
        rows.append(
            FieldSaid(
                one.name,
                LABELS[one.name],
                _employee_in_entra(known.user, one.name),
                target,
                source,
                _DETAIL.get(source),
                written,
                in_bms,
                note,
            )
        )
    return (*rows, _active(rule, employee, link_state))


_SOURCES: dict[employees.Source, Source] = {
    employees.Source.ENTRA: "entra",
    employees.Source.RULE: "rule",
    employees.Source.DEFAULT: "default",
    employees.Source.MISSING: "none",
}
_DETAIL = {"rule": "the mapping rule", "default": "the Employee Defaults"}


def _employee_in_entra(user: EntraUser, name: str) -> str | None:
    return {
        "FirstName": user.given_name,
        "LastName": user.surname,
        "EmailAddress": user.mail,
        "UserName": user.upn,
        "EmployeeId": user.upn,
        "JobTitleId": user.job_title,
        "DepartmentId": user.department,
        "ManagerId": user.manager,
        "WorkPhone": user.business_phone,
        "MobilePhone": user.mobile_phone,
    }.get(name)
