"""Carry one decision out in BMS: create, take over, change, deactivate a contact (R8–R19).

A job is done by one worker that holds the user's claim. What it returns is what is to be
remembered; nothing is written to the tables here. BMS is asked for the record as it is now, and
only what differs is sent (R14).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from shared.core.fields import ContactChanges, WantedContact, contact_changes, shown_of_new
from shared.core.matching import key
from shared.core.model import (
    Account,
    AccountId,
    Contact,
    ContactEmail,
    FieldChange,
    Link,
    LinkState,
    LocationId,
    MappingRule,
    RecordId,
    RecordType,
)
from shared.core.phones import EntryStep
from shared.core.undo import PutBack
from shared.errors import DecideAgain, Rejected, TryLater
from shared.ports import AddressEntry, Bms, EntryChange, NewContact, Owner

BeforeWrite = Callable[[], None]

UNFINISHED = "unfinished"  # no fingerprint ever equals this


@dataclass(frozen=True, slots=True)
class Create:
    """A new contact; `leaving` is deactivated afterwards (R17)."""

    link: Link
    rule: MappingRule
    wanted: WantedContact
    account_id: AccountId
    reason: str
    seen: AddressEntry | None  # the index's entry for the address that the decision rests on
    leaving: RecordId | None = None


@dataclass(frozen=True, slots=True)
class TakeOver:
    """A contact that was found by address becomes this user's (R6, R9)."""

    link: Link
    rule: MappingRule
    wanted: WantedContact
    record_id: RecordId
    elsewhere: bool
    keys: tuple[str, ...]
    reason: str
    former_owner: Owner | None  # whose record it was; he is gone (R9)
    leaving: RecordId | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """The linked contact is brought to what is wanted."""

    link: Link
    rule: MappingRule
    wanted: WantedContact
    record_id: RecordId
    reason: str
    set_location: LocationId | None
    location_only: bool
    returning: bool
    owner_seen: Owner | None = None  # of the record of somebody who returns


@dataclass(frozen=True, slots=True)
class Deactivate:
    """The linked contact becomes inactive; it is never deleted (R16)."""

    link: Link
    record_id: RecordId
    reason: str


@dataclass(frozen=True, slots=True)
class EndMove:
    """The contact that a move has left behind becomes inactive (R17)."""

    link: Link
    reason: str


Job = Create | TakeOver | Change | Deactivate | EndMove


@dataclass(frozen=True, slots=True)
class Done:
    """What a job did: the link to remember, and the line for the activity."""

    link: Link
    kind: str
    reason: str
    changes: tuple[FieldChange, ...] = ()
    notes: tuple[str, ...] = ()
    record: Contact | None = None  # as BMS holds it now, where its addresses matter to the index
    created: bool = False
    added: tuple[str, ...] = ()  # e-mail addresses that the record did not have before

    @property
    def unfinished(self) -> bool:
        """A second call failed after the first had taken effect: look again soon."""
        return self.link.fingerprint == UNFINISHED or self.link.old_record_id is not None


class RecordGone(DecideAgain):
    """BMS no longer has the record that the link or the index names (R8)."""

    def __init__(self, record_id: RecordId) -> None:
        super().__init__("The record is gone in BMS.")
        self.record_id = record_id


class NoLongerMatches(DecideAgain):
    """The record exists, but is not what the index said of it."""

    def __init__(self, contact: Contact) -> None:
        super().__init__("The record in BMS was changed meanwhile.")
        self.contact = contact


@dataclass(frozen=True, slots=True)
class ContactJobs:
    """Does jobs in BMS."""

    bms: Bms

    def do(self, job: Job, before_write: BeforeWrite) -> Done:
        """Carry out one job. `before_write` raises when the claim may have run out."""
        match job:
            case Create():
                return self._create(job, before_write)
            case TakeOver():
                return self._take_over(job, before_write)
            case Change():
                return self._change(job, before_write)
            case Deactivate():
                return self._deactivate(job, before_write)
            case EndMove():
                link, notes = self._take_out_old(job.link, before_write)
                return Done(link, "move", job.reason, notes=tuple(notes))

    # --- create ------------------------------------------------------------------------------

    def _create(self, job: Create, before_write: BeforeWrite) -> Done:
        self._finish_former_move(job.link, before_write)
        location = self._location(job.rule, job.account_id)
        types = self.bms.contact_types()
        if types.email is None:
            raise Rejected(
                "BMS shows no e-mail type, and a contact needs one.",
                "Set emailTypeId in the BMS settings.",
                code="bms-types",
            )
        wanted, notes = job.wanted, [*job.wanted.notes]
        work = wanted.work_phone if types.work_phone is not None else ""
        mobile = wanted.mobile_phone if types.mobile_phone is not None else ""
        for name, value, used in (
            ("work phone", wanted.work_phone, work),
            ("mobile phone", wanted.mobile_phone, mobile),
        ):
            if value and not used:
                notes.append(f"the {name} was left out: its phone type is not known")
        before_write()
        record_id = self.bms.create_contact(
            NewContact(
                first_name=wanted.first_name,
                last_name=wanted.last_name,
                account_id=job.account_id,
                location_id=location,
                email=wanted.email,
                email_type_id=types.email,
                work_phone=work,
                work_phone_type_id=types.work_phone,
                mobile_phone=mobile,
                mobile_phone_type_id=types.mobile_phone,
            )
        )
        written = {
            "FirstName": wanted.first_name,
            "LastName": wanted.last_name,
            "Email": wanted.email,
        }
        if work:
            written["WorkPhone"] = work
        if mobile:
            written["MobilePhone"] = mobile
        link = replace(
            job.link,
            state=LinkState.ACTIVE,
            record_type=RecordType.CONTACT,
            record_id=record_id,
            account_id=job.account_id,
            rule_id=job.rule.id,
            rule_account_id=job.account_id,
            location_id=job.rule.location_id,
            fingerprint=wanted.fingerprint,
            written=written,
            reason=job.reason,
            old_record_id=job.leaving,
            old_record_type=job.link.record_type,
        )
        # The contact exists from here on: whatever fails now must not make another one.
        link, more = self._finish_creation(link, wanted, before_write)
        notes.extend(more)
        link, moved = self._take_out_old(link, before_write)
        notes.extend(moved)
        shown = shown_of_new(wanted, types)
        record = Contact(
            record_id,
            job.account_id,
            LocationId(location),
            wanted.first_name,
            wanted.last_name,
            wanted.job_title,
            True,
            emails=(ContactEmail(wanted.email, types.email, True),),
        )
        kind = "move" if job.leaving is not None else "create"
        return Done(link, kind, job.reason, shown, tuple(notes), record, created=True)

    def _finish_creation(
        self, link: Link, wanted: WantedContact, before_write: BeforeWrite
    ) -> tuple[Link, list[str]]:
        """POST cannot set the job title (bms-api.md 5.2); a failure is made good next time."""
        if not wanted.job_title or link.record_id is None:
            return link, []
        try:
            before_write()
            self.bms.patch_contact(link.record_id, {"JobTitle": wanted.job_title})
        except (Rejected, DecideAgain, TryLater):
            # Without the fingerprint the next look compares everything again.
            return replace(link, fingerprint=UNFINISHED), ["the job title is still to be written"]
        return replace(link, written={**link.written, "JobTitle": wanted.job_title}), []

    def _location(self, rule: MappingRule, account_id: AccountId) -> int:
        if rule.location_id is not None:
            return int(rule.location_id)
        location = _main_location(self.bms.account(account_id))
        if location is None:
            # It may have been marked in BMS after the list was read.
            account = self.bms.account(account_id, fresh=True)
            location = _main_location(account)
        if location is not None:
            return location
        if account is None or not account.is_active:
            fault = "has no account" if account is None else "has an inactive account"
            raise Rejected(
                f"BMS {fault} {account_id}.",
                "Activate it in BMS, or choose another account in the mapping rule.",
                code="bms-account",
            )
        raise Rejected(
            f"The BMS account {account_id} has no main location.",
            "Mark a main location in BMS, or choose a location in the mapping rule.",
            code="bms-location",
        )

    # --- take over, change -------------------------------------------------------------------

    def _take_over(self, job: TakeOver, before_write: BeforeWrite) -> Done:
        self._finish_former_move(job.link, before_write)
        record = self._read(job.record_id)
        if not any(key(entry.address) in job.keys for entry in record.emails):
            raise NoLongerMatches(record)
        moves_in = not job.elsewhere
        # An employee's id says nothing about contacts.
        was_contact = job.link.record_type is RecordType.CONTACT
        stays = job.leaving is None or (was_contact and job.leaving == job.record_id)
        changes = contact_changes(
            record,
            job.wanted,
            written={},
            types=self.bms.contact_types(),
            activate=True,
            set_location=job.rule.location_id if moves_in else None,
        )
        notes = self.send(job.record_id, changes, before_write)
        if job.elsewhere:
            notes.append(f"the record was found in account {record.account_id} and stays there")
        if not record.is_active:
            notes.append("the record was inactive and is active again")
        link = replace(
            job.link,
            state=LinkState.ACTIVE,
            record_type=RecordType.CONTACT,
            record_id=job.record_id,
            account_id=record.account_id,
            rule_id=job.rule.id,
            rule_account_id=job.rule.account_id,
            location_id=job.rule.location_id if moves_in else None,
            fingerprint=job.wanted.fingerprint,
            written=changes.written,
            reason=job.reason,
            old_record_id=None if stays else job.leaving,
            old_record_type=job.link.record_type,
        )
        link, moved = self._take_out_old(link, before_write)
        kind = "merge" if stays else "move"
        shown = _after(record, job.wanted)
        all_notes = (*notes, *moved)
        return Done(
            link, kind, job.reason, changes.shown, all_notes, shown, added=changes.added_emails
        )

    def _change(self, job: Change, before_write: BeforeWrite) -> Done:
        record = self._read(job.record_id)
        changes = contact_changes(
            record,
            job.wanted,
            written=job.link.written,
            types=self.bms.contact_types(),
            activate=not job.location_only,
            set_location=job.set_location,
            location_only=job.location_only,
        )
        notes = self.send(job.record_id, changes, before_write)
        link = replace(
            job.link,
            state=LinkState.ACTIVE,
            account_id=record.account_id,
            rule_id=job.rule.id,
            rule_account_id=job.rule.account_id,
            location_id=(
                job.rule.location_id if job.set_location is not None else job.link.location_id
            ),
            fingerprint=job.link.fingerprint if job.location_only else job.wanted.fingerprint,
            written=job.link.written if job.location_only else changes.written,
            reason=job.reason,
        )
        link, moved = self._take_out_old(link, before_write)
        notes.extend(moved)
        if job.returning:
            kind = "reactivate"
        else:
            kind = "update" if changes.shown or moved else "unchanged"
        known_otherwise = bool(changes.emails) or "IsActive" in changes.fields
        shown = _after(record, job.wanted) if known_otherwise else None
        all_notes = tuple(notes)
        return Done(
            link, kind, job.reason, changes.shown, all_notes, shown, added=changes.added_emails
        )

    def _read(self, record_id: RecordId) -> Contact:
        record = self.bms.contact(record_id)
        if record is None:
            raise RecordGone(record_id)
        return record

    def send_back(
        self, record_id: RecordId, changes: PutBack, before_write: BeforeWrite
    ) -> tuple[PutBack, list[str]]:
        """Write what goes back; answers what of it BMS took, with notes on what it refused."""
        kept: set[str] = set()
        notes = self.send(record_id, changes, before_write, kept)
        emails = tuple(
            step for step in changes.emails if step.operation != "remove" or step.value not in kept
        )
        return replace(changes, emails=emails), notes

    def send(
        self,
        record_id: RecordId,
        changes: ContactChanges | PutBack,
        before_write: BeforeWrite,
        kept: set[str] | None = None,
    ) -> list[str]:
        """Write what differs; answers notes on what BMS refused and what may stay.

        `kept` collects the e-mail addresses that BMS did not let go.
        """
        notes = list(changes.notes)
        if changes.nothing:
            return notes
        before_write()
        # Entries first: should one be refused, the person is still shown as he was.
        for step in changes.emails:
            before_write()
            try:
                self.bms.change_emails(record_id, [_entry(step)])
            except Rejected:
                if step.must:
                    raise
                notes.append("BMS refused to remove the added e-mail address: it stays")
                if kept is not None:
                    kept.add(step.value)
        for step in changes.phones:
            before_write()
            try:
                self.bms.change_phones(record_id, [_entry(step)])
            except Rejected:
                if step.must:
                    raise
                notes.append("the phone is the only one, and BMS refused to clear it: it stays")
        if changes.fields:
            before_write()
            self.bms.patch_contact(record_id, changes.fields)
        return notes

    # --- deactivate --------------------------------------------------------------------------

    def _deactivate(self, job: Deactivate, before_write: BeforeWrite) -> Done:
        link = replace(job.link, state=LinkState.INACTIVE, fingerprint="", reason=job.reason)
        record = self.bms.contact(job.record_id)
        shown: tuple[FieldChange, ...] = ()
        notes: list[str] = []
        if record is None:
            notes.append("the record is gone in BMS")
        elif not record.is_active:
            notes.append("the record was inactive in BMS already")
        else:
            before_write()
            self.bms.patch_contact(job.record_id, {"IsActive": False})
            record = replace(record, is_active=False)
            shown = (FieldChange("active", "yes", "no"),)
        link, moved = self._take_out_old(link, before_write)
        notes.extend(moved)
        return Done(link, "deactivate", job.reason, shown, tuple(notes), record)

    def _finish_former_move(self, link: Link, before_write: BeforeWrite) -> None:
        """Before the next move: there is room for one old record only."""
        if self._take_out_old(link, before_write)[0].old_record_id is not None:
            raise TryLater("A former move of this user is still to be finished.")

    def _take_out_old(self, link: Link, before_write: BeforeWrite) -> tuple[Link, list[str]]:
        """Second half of a move: the old contact goes once the new one exists (R17)."""
        if link.old_record_id is None or link.old_record_type is RecordType.EMPLOYEE:
            return link, []  # an employee is not written by these calls: decided next (R18)
        try:
            old = self.bms.contact(link.old_record_id)
            if old is not None and old.is_active:
                before_write()
                self.bms.patch_contact(link.old_record_id, {"IsActive": False})
        except (Rejected, DecideAgain, TryLater):
            return link, ["the old contact is still to be deactivated"]
        note = f"the old contact {link.old_record_id} was deactivated"
        return replace(link, old_record_id=None), [note]


def _entry(step: EntryStep) -> EntryChange:
    return EntryChange(step.operation, step.value, step.new_value, step.type_id, step.is_default)


def _after(record: Contact, wanted: WantedContact) -> Contact:
    """The record with the address that was just added, for the index."""
    others = [entry for entry in record.emails if key(entry.address) != key(wanted.email)]
    added = ContactEmail(wanted.email, 0, True)
    return replace(record, is_active=True, emails=(*others, added))


def _main_location(account: Account | None) -> int | None:
    """R3: the main location, else the only active one; never a guess."""
    if account is None or not account.is_active:
        return None
    active = [one for one in account.locations if one.is_active]
    main = [one for one in active if one.is_main] or (active if len(active) == 1 else [])
    return int(main[0].id) if main else None
