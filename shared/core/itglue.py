"""What a contact in IT Glue should be, and how that differs from what it is (R27).

IT Glue gets what this app has last written to BMS. What people typed in IT Glue beside that stays:
the arrays of e-mails and phones are read, changed here, and written back whole, with exactly one
primary entry each (itglue-api.md 3.2). A contact has no active state there; its type tells.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import NewType

from shared.core.matching import key
from shared.core.model import (
    AccountId,
    ConnectionId,
    FieldChange,
    Link,
    LinkState,
    RecordId,
    RecordType,
    UserId,
)

GlueId = NewType("GlueId", str)  # of a contact in IT Glue
OrganizationId = NewType("OrganizationId", int)

EMAIL_LABEL = "Work"
WORK_LABEL = "Work"
MOBILE_LABEL = "Cell"  # the vendor's own example
_MOBILE_WORDS = ("mobile", "cell")
_WORK_WORDS = ("work", "office", "business", "direct")


@dataclass(frozen=True, slots=True)
class ItGlueSettings:
    """How IT Glue is reached. The key is in Key Vault. `organizations` were chosen by hand."""

    enabled: bool = False
    api_url: str = "https://api.itglue.com"
    inactive_contact_type_id: int | None = None
    organizations: tuple[tuple[AccountId, OrganizationId], ...] = ()
    version: str = ""  # changes with every save, so that running workers notice


@dataclass(frozen=True, slots=True)
class GlueEntry:
    """An e-mail or a phone of a contact. Extension and label type are of phones."""

    value: str
    label: str
    primary: bool = False
    extension: str | None = None
    label_type: str = "phone"


@dataclass(frozen=True, slots=True)
class GlueContact:
    """A contact as IT Glue shows it now. `synced`: IT Glue says that a PSA keeps it."""

    id: GlueId
    organization_id: OrganizationId
    first_name: str = ""
    last_name: str = ""
    title: str = ""
    type_id: int | None = None
    emails: tuple[GlueEntry, ...] = ()
    phones: tuple[GlueEntry, ...] = ()
    synced: bool = False


class PassState(StrEnum):
    """What became of a contact on its way to IT Glue."""

    NONE = ""  # not there yet
    PASSED = "passed"
    MANAGED = "managed"  # BMS's own sync with IT Glue keeps it (422)
    UNMAPPED = "unmapped"  # its account has no organization in IT Glue yet
    AMBIGUOUS = "ambiguous"  # several contacts match
    REFUSED = "refused"  # IT Glue refused these values


@dataclass(frozen=True, slots=True)
class PassedOn:
    """Remembered of one BMS contact: which contact in IT Glue it is, and what we wrote there.

    `type_before` is the type it had when it was last seen active. `type_set` is the type by which
    we marked it as inactive, None when we did not.
    """

    record_id: RecordId
    connection_id: ConnectionId
    user_id: UserId
    account_id: AccountId | None = None
    contact_id: GlueId | None = None
    state: PassState = PassState.NONE
    reason: str = ""
    written: Mapping[str, str] = field(default_factory=dict)
    type_before: int | None = None
    type_set: int | None = None
    refused: str = ""  # fingerprint of the values that IT Glue refused
    lists_merge: bool = False  # IT Glue added our list to its own instead of replacing it
    creating_until: datetime | None = None  # somebody makes the contact now, or died over it
    etag: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class WantedInGlue:
    """A contact as this app has last written it to BMS; "" where there is no value."""

    record_id: RecordId
    account_id: AccountId | None
    active: bool
    first_name: str
    last_name: str
    email: str
    title: str = ""
    work_phone: str = ""
    mobile_phone: str = ""

    @property
    def fingerprint(self) -> str:
        """Changes when any value changes."""
        values = [*self.values().values(), str(self.active)]
        return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:24]

    def values(self) -> dict[str, str]:
        """What is remembered as written."""
        return {
            "FirstName": self.first_name,
            "LastName": self.last_name,
            "Email": self.email,
            "JobTitle": self.title,
            "WorkPhone": self.work_phone,
            "MobilePhone": self.mobile_phone,
        }


def wanted_in_glue(
    link: Link, record_id: RecordId, account_id: AccountId | None
) -> WantedInGlue | None:
    """What IT Glue should show for a record of this user; None: nothing is to be said of it.

    A record that the link no longer names was left behind by a move: it is inactive (R17).
    """
    mine = link.record_id == record_id and link.record_type is RecordType.CONTACT
    if link.state not in (LinkState.ACTIVE, LinkState.KEPT, LinkState.INACTIVE):
        return None
    written = link.written
    return WantedInGlue(
        record_id=record_id,
        account_id=link.account_id if mine else account_id,
        active=mine and link.state is not LinkState.INACTIVE,
        first_name=written.get("FirstName", "").strip(),
        last_name=written.get("LastName", "").strip(),
        email=written.get("Email", "") or link.address,
        title=written.get("JobTitle", "").strip(),
        work_phone=written.get("WorkPhone", ""),
        mobile_phone=written.get("MobilePhone", ""),
    )


# --- matching ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Matched:
    """Exactly one contact; `by` says what gave it away."""

    contact: GlueContact
    by: str


@dataclass(frozen=True, slots=True)
class Several:
    """More than one contact fits: a person must tidy up in IT Glue."""

    ids: tuple[GlueId, ...]
    by: str


def match(wanted: WantedInGlue, contacts: Sequence[GlueContact]) -> Matched | Several | None:
    """Choose among the contacts of the organization: e-mail first, then exact first + last name.

    Primary addresses go before further ones. Somebody without a name is not matched by name.
    """
    address = key(wanted.email)
    primary = [
        one
        for one in contacts
        if any(entry.primary and key(entry.value) == address for entry in one.emails)
    ]
    anywhere = [one for one in contacts if any(key(entry.value) == address for entry in one.emails)]
    named = [one for one in contacts if _is_named(one, wanted.first_name, wanted.last_name)]
    for found, by in ((primary, "e-mail"), (anywhere, "e-mail"), (named, "name")):
        if by == "e-mail" and not address:
            continue
        if by == "name" and not (wanted.first_name and wanted.last_name):
            continue
        if len(found) == 1:
            return Matched(found[0], by)
        if found:
            return Several(tuple(one.id for one in found), by)
    return None


def _is_named(contact: GlueContact, first: str, last: str) -> bool:
    return contact.first_name.strip() == first and contact.last_name.strip() == last


# --- what differs ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class GlueChanges:
    """What to send; None: the list stays as it is. `after` is to be remembered when it is done."""

    fields: Mapping[str, object]  # by IT Glue's attribute name
    emails: tuple[GlueEntry, ...] | None
    phones: tuple[GlueEntry, ...] | None
    after: PassedOn
    shown: tuple[FieldChange, ...]
    notes: tuple[str, ...]

    @property
    def nothing(self) -> bool:
        """R14."""
        return not self.fields and self.emails is None and self.phones is None

    @property
    def renames(self) -> bool:
        """Whether the name changes."""
        return "first-name" in self.fields or "last-name" in self.fields


def glue_changes(
    contact: GlueContact,
    wanted: WantedInGlue,
    row: PassedOn,
    *,
    inactive_type: int | None,
    labels: Sequence[str] = (),
) -> GlueChanges:
    """Compare a contact in IT Glue with what is wanted. Somebody who leaves changes type only."""
    fields: dict[str, object] = {}
    shown: list[FieldChange] = []
    notes: list[str] = []
    after = replace(
        row,
        account_id=wanted.account_id or row.account_id,
        contact_id=contact.id,
        state=PassState.PASSED,
        reason="",
        refused="",
        creating_until=None,
    )
    after = _type(contact, wanted, after, inactive_type, fields, shown, notes)
    if not wanted.active:
        return GlueChanges(fields, None, None, after, tuple(shown), tuple(notes))

    for name, word, current, value, mine in (
        ("first-name", "first name", contact.first_name, wanted.first_name, ""),
        ("last-name", "last name", contact.last_name, wanted.last_name, ""),
        ("title", "job title", contact.title, wanted.title, row.written.get("JobTitle", "")),
    ):
        held = current.strip()
        if value and value != held:
            fields[name] = value
            shown.append(FieldChange(word, held, value))
        elif not value and held and held == mine:
            fields[name] = None  # what we had written, and nobody changed since (R13)
            shown.append(FieldChange(word, held, ""))
    emails = _emails(contact.emails, wanted.email, labels, shown)
    phones = _phones(contact.phones, wanted, row.written, labels, shown)
    if row.lists_merge and (emails is not None or phones is not None):
        notes.append("e-mails and phones were left: IT Glue adds to its lists, and doubles them")
        emails = phones = None
    after = replace(after, written=wanted.values())
    return GlueChanges(fields, emails, phones, after, tuple(shown), tuple(notes))


def new_in_glue(
    wanted: WantedInGlue, labels: Sequence[str] = ()
) -> tuple[Mapping[str, object], tuple[GlueEntry, ...], tuple[GlueEntry, ...]]:
    """Attributes, e-mails and phones of a contact that is to be made."""
    nobody = GlueContact(GlueId(""), OrganizationId(0))
    row = PassedOn(wanted.record_id, ConnectionId(""), UserId(""))
    made = glue_changes(nobody, wanted, row, inactive_type=None, labels=labels)
    return made.fields, made.emails or (), made.phones or ()


def _type(
    contact: GlueContact,
    wanted: WantedInGlue,
    row: PassedOn,
    inactive: int | None,
    fields: dict[str, object],
    shown: list[FieldChange],
    notes: list[str],
) -> PassedOn:
    now = contact.type_id
    marked = now is not None and now in (inactive, row.type_set)
    if not marked:
        row = replace(row, type_before=now)
    if wanted.active:
        if marked:
            fields["contact-type-id"] = row.type_before
            shown.append(FieldChange("contact type", _text(now), _text(row.type_before)))
            if row.type_set is None:
                notes.append("the contact was marked as inactive in IT Glue, and no longer is")
        return replace(row, type_set=None)
    if inactive is None:
        notes.append("no inactive contact type is chosen in the IT Glue settings")
        return row
    if now == inactive or (row.type_set is not None and not marked):
        return row  # marked already, or a person has chosen another type since
    fields["contact-type-id"] = inactive
    shown.append(FieldChange("contact type", _text(now), _text(inactive)))
    return replace(row, type_set=inactive)


def _text(type_id: int | None) -> str:
    return "" if type_id is None else str(type_id)


def _emails(
    held: Sequence[GlueEntry], address: str, labels: Sequence[str], shown: list[FieldChange]
) -> tuple[GlueEntry, ...] | None:
    """The address is there and is the one primary; all others stay (R11)."""
    if not address:
        return None
    mine = next((one for one in held if key(one.value) == key(address)), None)
    primary = [one for one in held if one.primary]
    if mine is not None and primary == [mine]:
        return None
    if mine is None:
        mine = GlueEntry(address, _label(labels, (EMAIL_LABEL.lower(),), EMAIL_LABEL))
        held = (*held, mine)
    before = primary[0].value if primary else ""
    if key(before) != key(address):
        shown.append(FieldChange("e-mail", before, address))
    return tuple(replace(one, primary=one is mine) for one in held)


def _phones(
    held: Sequence[GlueEntry],
    wanted: WantedInGlue,
    written: Mapping[str, str],
    labels: Sequence[str],
    shown: list[FieldChange],
) -> tuple[GlueEntry, ...] | None:
    after = list(held)
    for name, word, value, words, label in (
        ("WorkPhone", "work phone", wanted.work_phone, _WORK_WORDS, WORK_LABEL),
        ("MobilePhone", "mobile phone", wanted.mobile_phone, _MOBILE_WORDS, MOBILE_LABEL),
    ):
        mine = _place(after, written.get(name, ""), words)
        if not digits(value):
            if mine is not None and digits(after[mine].value) == digits(written.get(name, "")):
                shown.append(FieldChange(word, after[mine].value, ""))
                del after[mine]
            continue
        if any(digits(one.value) == digits(value) for one in after):
            continue
        if mine is None:
            after.append(GlueEntry(value, _label(labels, words, label)))
            shown.append(FieldChange(word, "", value))
        else:
            shown.append(FieldChange(word, after[mine].value, value))
            after[mine] = replace(after[mine], value=value)
    if tuple(after) == tuple(held):
        return None
    chosen = next((at for at, one in enumerate(after) if one.primary), 0)
    return tuple(replace(one, primary=at == chosen) for at, one in enumerate(after))


def _place(entries: Sequence[GlueEntry], ours: str, words: Sequence[str]) -> int | None:
    """Where our number is: the entry that we wrote, else the one whose label says so."""
    if digits(ours):
        for at, one in enumerate(entries):
            if digits(one.value) == digits(ours):
                return at
    for at, one in enumerate(entries):
        label = one.label.lower()
        if words is _WORK_WORDS and any(word in label for word in _MOBILE_WORDS):
            continue  # "Work Mobile" is the mobile phone's
        if one.label_type != "fax" and any(word in label for word in words):
            return at
    return None


def _label(labels: Sequence[str], words: Sequence[str], default: str) -> str:
    """A label that the account has already; nobody knows whether IT Glue takes new ones."""
    fitting = [one for one in labels if any(word in one.lower() for word in words)]
    return default if default in labels or not fitting else min(fitting)


def digits(number: str) -> str:
    """The form in which phones are compared: IT Glue keeps no separators."""
    return "".join(one for one in number if one.isdigit())


def doubled(contact: GlueContact) -> bool:
    """Whether a list holds an entry twice: IT Glue has then merged instead of replaced."""
    emails = [key(one.value) for one in contact.emails]
    phones = [(digits(one.value), one.label) for one in contact.phones]
    return len(set(emails)) < len(emails) or len(set(phones)) < len(phones)


# --- names -------------------------------------------------------------------------------------


def rename_warning(
    wanted: WantedInGlue, written: Mapping[str, str], *, managed: bool, namesakes: int = 0
) -> str | None:
    """What a rename may break: IT Glue's own sync with BMS matches by exact name (section 6)."""
    before = (written.get("FirstName", ""), written.get("LastName", ""))
    if managed and any(before) and before != (wanted.first_name, wanted.last_name):
        return (
            "renamed in BMS: IT Glue's own sync finds contacts by their exact name, so look "
            "whether a second contact has appeared in IT Glue"
        )
    if namesakes:
        return (
            f"{namesakes} other contact(s) of the organization have this name: IT Glue's own sync "
            "with BMS, which finds contacts by their exact name, may take the wrong one"
        )
    return None
