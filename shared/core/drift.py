"""What differs between what was last written to a record and what BMS holds now (pure).

The comparison is that of the sync itself: a record is compared with the values that the link
remembers as if they were Entra's, and what would have to be written has been edited by hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shared.core.employee_fields import ACTIVE, LABELS, NO, YES, ToWrite, same, shown_values
from shared.core.employee_fields import FIELDS as EMPLOYEE_FIELDS
from shared.core.fields import INACTIVE, SHOWN, WantedContact, contact_changes
from shared.core.model import (
    Contact,
    ContactTypes,
    Employee,
    Link,
    LinkState,
)

_NAMES = {label: name for name, label in SHOWN.items()}
_RECORD, _ACCOUNT, _LOCATION = "Record", "AccountId", "LocationId"
_COMPARED = frozenset({LinkState.ACTIVE, LinkState.INACTIVE, LinkState.KEPT})


@dataclass(frozen=True, slots=True)
class DriftField:
    """One field. `written`: what was written or compared last; `next`: what a sync will do."""

    field: str
    label: str
    written: str
    in_bms: str
    next: str


def is_compared(link: Link) -> bool:
    """Whether the link names a record of which something was written, with nothing under way."""
    return link.record_id is not None and link.state in _COMPARED and not link.task


def contact_drift(
    link: Link,
    record: Contact | None,
    types: ContactTypes,
    names: Mapping[int, str],
) -> tuple[DriftField, ...]:
    """The fields of a contact that were edited in BMS; `names`: of accounts and locations."""
    if record is None:
        return (_gone(link),)
    written = link.written
    default = next((one.address for one in record.emails if one.is_default), "")
    wanted = WantedContact(
        first_name=written.get("FirstName", ""),
        last_name=written.get("LastName", ""),
        email=written.get("Email") or default,
        work_phone=written.get("WorkPhone", ""),
        mobile_phone=written.get("MobilePhone", ""),
        job_title=written.get("JobTitle", ""),
    )
    changes = contact_changes(record, wanted, written=written, types=types, activate=False)
    found = [
        _edited(link, _NAMES[one.field], one.field, one.new, one.old)
        for one in changes.shown
        if one.new or one.old
    ]
    for name, present in (
        ("FirstName", record.first_name),
        ("LastName", record.last_name),
        ("JobTitle", record.job_title),
    ):
        if written.get(name) == "" and present.strip():  # cleared once, and typed in since
            found.append(_edited(link, name, SHOWN[name], "", present.strip()))
    for name, label, ours, theirs in (
        (_ACCOUNT, "account", link.account_id, record.account_id),
        (_LOCATION, "location", link.location_id, record.location_id),
    ):
        if ours is not None and ours != theirs:
            shown = "" if theirs is None else names.get(theirs, str(theirs))
            found.append(_edited(link, name, label, names.get(ours, str(ours)), shown))
    if (active := _state(link, record.is_active)) is not None:
        found.append(active)
    return tuple(found)


def employee_drift(
    link: Link, employee: Employee | None, titles: Mapping[int, str]
) -> tuple[DriftField, ...]:
    """The same of an employee, as far as BMS shows him (bms-api.md 7.1)."""
    if employee is None:
        return (_gone(link),)
    held = shown_values(employee)
    found: list[DriftField] = []
    for one in EMPLOYEE_FIELDS:
        value = link.written.get(one.name)
        if not one.shown or not value:
            continue
        number = int(value) if one.name == "JobTitleId" and value.isdecimal() else None
        name = value if number is None else titles.get(number, "")
        if number is not None and not name:
            continue  # the list no longer has it, so there is nothing to compare
        if not same(one.name, held[one.name], ToWrite(one.name, value, name, "")):
            found.append(_edited(link, one.name, LABELS[one.name], name, held[one.name]))
    if (active := _state(link, employee.is_active)) is not None:
        found.append(active)
    return tuple(found)


def _state(link: Link, is_active: bool) -> DriftField | None:
    ours = link.state is not LinkState.INACTIVE and link.written.get(INACTIVE) != "no"
    if ours == is_active:
        return None
    if ours:
        sentence = (
            "It stays inactive until the person changes in Entra; then it becomes active again."
            if link.state is LinkState.ACTIVE
            else "It stays inactive: the person is out of scope."
        )
    elif link.state is LinkState.INACTIVE:
        sentence = (
            "It stays active: the person has left, and his record was deactivated once. Deactivate "
            "it in BMS if that was a mistake."
        )
    else:
        sentence = "It stays active; the person's next change in Entra makes it active as well."
    return DriftField(ACTIVE, "Active", YES if ours else NO, YES if is_active else NO, sentence)


def _gone(link: Link) -> DriftField:
    sentence = (
        "With the person's next change in Entra a record is looked for by address, else created."
        if link.state is LinkState.ACTIVE
        else "Nothing happens before the person is back in scope; then a record is looked for by "
        "address, else created."
    )
    return DriftField(_RECORD, "Record", "there", "gone", sentence)


def _edited(link: Link, name: str, label: str, ours: str, theirs: str) -> DriftField:
    return DriftField(name, label[:1].upper() + label[1:], ours, theirs, _next(link, name))


def _next(link: Link, name: str) -> str:
    if name == _ACCOUNT:
        return "It stays: the person remains linked to this record, in whichever account it is."
    if name == _LOCATION:
        return "It stays: a location is written only when the mapping rule names another one."
    if link.state is not LinkState.ACTIVE:
        return (
            "It stays: the person is out of scope. When he is back, the field becomes what Entra "
            "says then."
        )
    if link.refused:
        return "It becomes what Entra says with the next full sync: the last write was refused."
    return "It stays until the person changes in Entra; then it becomes what Entra says again."
