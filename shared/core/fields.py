"""What a contact's fields should be, and how they differ from what BMS holds (R11–R14).

Three texts meet for each field: what Entra says now, what BMS holds now, and what this app wrote
(or found equal) last time. The third decides whether an empty Entra value may clear a field (R13).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from json.encoder import encode_basestring_ascii as _quoted

from shared.core.matching import key, primary_address
from shared.core.model import (
    AccountId,
    Contact,
    ContactEmail,
    ContactPhone,
    ContactTypes,
    EntraUser,
    FieldChange,
    Link,
    LinkState,
    LocationId,
    RecordId,
)
from shared.core.phones import EntryStep, PhoneBook

INACTIVE = "IsActive"  # in a link's `written`: "no" where a person's undo left it inactive
LONGEST = 100  # names and titles; BMS's own limits are not published (R11)


@dataclass(frozen=True, slots=True)
class WantedContact:
    """The values that Entra gives a contact; "" where it has none."""

    first_name: str
    last_name: str
    email: str
    work_phone: str
    mobile_phone: str
    job_title: str
    notes: tuple[str, ...] = ()
    # Changes when any value computed from Entra changes (R12). Asked for more than once, so kept.
    fingerprint: str = field(init=False, compare=False, default="")

    def __post_init__(self) -> None:
        values = (
            self.first_name,
            self.last_name,
            self.email,
            self.work_phone,
            self.mobile_phone,
            self.job_title,
        )
        object.__setattr__(self, "fingerprint", fingerprint_of(values))


@dataclass(frozen=True, slots=True)
class ContactChanges:
    """Everything to send for one contact, and what is to be remembered as written afterwards."""

    fields: Mapping[str, object]  # JSON Patch replacements, by BMS name
    emails: tuple[EntryStep, ...]
    phones: tuple[EntryStep, ...]
    written: Mapping[str, str]
    shown: tuple[FieldChange, ...]
    notes: tuple[str, ...]

    @property
    def nothing(self) -> bool:
        """R14."""
        return not (self.fields or self.emails or self.phones)

    @property
    def added_emails(self) -> tuple[str, ...]:
        """Addresses that the record did not have before."""
        return tuple(step.value for step in self.emails if step.operation == "add")


def wanted_contact(user: EntraUser, email_source: str) -> WantedContact:
    """R11: the values for a contact. `first_name` is "" when Entra has no name at all."""
    notes: list[str] = []
    values = contact_values(user, email_source, notes)
    return WantedContact(*values, notes=tuple(notes))


def contact_values(
    user: EntraUser, email_source: str, notes: list[str]
) -> tuple[str, str, str, str, str, str]:
    """The texts of a `WantedContact` in its order; what was cut is added to `notes`."""
    first, last = _names(user)
    return (
        _cut(first, "first name", notes),
        _cut(last, "last name", notes),
        primary_address(user, email_source),
        _text(user.business_phone),
        _text(user.mobile_phone),
        _cut(_text(user.job_title), "job title", notes),
    )


def fingerprint_of(values: Sequence[str]) -> str:
    """Changes when any value computed from Entra changes (R12)."""
    # As JSON, so that no two lists of values look alike.
    text = f"[{', '.join(map(_quoted, values))}]"
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _names(user: EntraUser) -> tuple[str, str]:
    given, surname = _text(user.given_name), _text(user.surname)
    if given and surname:
        return given, surname
    words = _text(user.display_name).split()
    if len(words) > 1:
        return given or " ".join(words[:-1]), surname or words[-1]
    if words:
        return given or words[0], surname or "-"
    if given or surname:
        return given or surname, surname or "-"
    return "", ""


def _text(value: str) -> str:
    return value.strip()


def _cut(value: str, what: str, notes: list[str]) -> str:
    if len(value) <= LONGEST:
        return value
    notes.append(f"the {what} was cut to {LONGEST} characters")
    return value[:LONGEST].rstrip()


def contact_changes(
    record: Contact,
    wanted: WantedContact,
    *,
    written: Mapping[str, str],
    types: ContactTypes,
    activate: bool,
    set_location: LocationId | None = None,
    location_only: bool = False,
) -> ContactChanges:
    """Compare a record as it is now with what is wanted; send only what differs (R14).

    `written` is what this app wrote or found equal last time (empty at a merge).
    `location_only`: a change of rule alone writes only what the rule sets (R12).
    """
    fields: dict[str, object] = {}
    shown: list[FieldChange] = []
    after = dict(written)
    notes = [*wanted.notes]
    emails: tuple[EntryStep, ...] = ()
    phone_steps: tuple[EntryStep, ...] = ()

    if set_location is not None and record.location_id != set_location:
        fields["LocationId"] = int(set_location)
        old = "" if record.location_id is None else str(record.location_id)
        shown.append(FieldChange("location", old, str(set_location)))

    if not location_only:
        for name, current, value in (
            ("FirstName", record.first_name, wanted.first_name),
            ("LastName", record.last_name, wanted.last_name),
            ("JobTitle", record.job_title, wanted.job_title),
        ):
            current = current.strip()
            if value:
                after[name] = value
                if value != current:
                    fields[name] = value
                    shown.append(FieldChange(SHOWN[name], current, value))
            elif current and written.get(name) == current:
                # Entra's value went away, and what BMS holds is ours: take it back (R13).
                after[name] = ""
                fields[name] = None
                shown.append(FieldChange(SHOWN[name], current, ""))
            else:
                after.pop(name, None)
        emails = _email_steps(record, wanted.email, types, shown)
        after["Email"] = wanted.email
        phones = PhoneBook(record.phones)
        for name, value, type_id in (
            ("WorkPhone", wanted.work_phone, types.work_phone),
            ("MobilePhone", wanted.mobile_phone, types.mobile_phone),
        ):
            if type_id is None:
                if value:
                    notes.append(f"the {SHOWN[name]} was left out: its phone type is not known")
                continue
            phones.want(SHOWN[name], value, type_id, ours=written.get(name, ""))
            if value:
                after[name] = value
            else:
                after.pop(name, None)
        phone_steps = phones.steps()
        shown.extend(phones.shown)
        notes.extend(phones.notes)

    if activate:
        after.pop(INACTIVE, None)
        if not record.is_active:
            fields["IsActive"] = True
            shown.append(FieldChange("active", "no", "yes"))
    return ContactChanges(fields, emails, phone_steps, after, tuple(shown), tuple(notes))


def remembered_contact(link: Link, types: ContactTypes) -> Contact:
    """The contact as this app last wrote it or found it equal, where BMS is not to be asked."""
    held = link.written
    email = held.get("Email", "")
    phones = (
        (held.get("WorkPhone", ""), types.work_phone),
        (held.get("MobilePhone", ""), types.mobile_phone),
    )
    return Contact(
        id=link.record_id or RecordId(0),
        account_id=link.account_id or AccountId(0),
        location_id=link.location_id,
        first_name=held.get("FirstName", ""),
        last_name=held.get("LastName", ""),
        job_title=held.get("JobTitle", ""),
        is_active=link.state in (LinkState.ACTIVE, LinkState.KEPT) and held.get(INACTIVE) != "no",
        emails=(ContactEmail(email, types.email or 0, True),) if email else (),
        phones=tuple(
            ContactPhone(number, type_id, False)
            for number, type_id in phones
            if number and type_id is not None
        ),
    )


def shown_of_new(wanted: WantedContact, types: ContactTypes) -> tuple[FieldChange, ...]:
    """The fields of a new contact as the activity shows them; a phone needs its type."""
    values = (
        ("first name", wanted.first_name),
        ("last name", wanted.last_name),
        ("e-mail", wanted.email),
        ("work phone", wanted.work_phone if types.work_phone is not None else ""),
        ("mobile phone", wanted.mobile_phone if types.mobile_phone is not None else ""),
        ("job title", wanted.job_title),
    )
    return tuple(FieldChange(name, "", value) for name, value in values if value)


SHOWN = {
    "FirstName": "first name",
    "LastName": "last name",
    "JobTitle": "job title",
    "Email": "e-mail",
    "WorkPhone": "work phone",
    "MobilePhone": "mobile phone",
}


def _email_steps(
    record: Contact, address: str, types: ContactTypes, shown: list[FieldChange]
) -> tuple[EntryStep, ...]:
    """R11: the primary address is there and is the default; every other entry stays."""
    default = next((entry for entry in record.emails if entry.is_default), None)
    same = [entry for entry in record.emails if key(entry.address) == key(address)]
    if any(entry.is_default for entry in same):
        return ()
    shown.append(FieldChange("e-mail", default.address if default else "", address))
    if same:
        entry = same[0]
        return (EntryStep("update", entry.address, entry.address, entry.type_id, True),)
    type_id = types.email or (default.type_id if default else None)
    return (EntryStep("add", address, type_id=type_id, is_default=True),)
