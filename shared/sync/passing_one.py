"""One record on its way to IT Glue: which contact it is there, and what has to change (R27)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from shared.core.itglue import (
    WORK_LABEL,
    GlueChanges,
    GlueContact,
    GlueEntry,
    GlueId,
    ItGlueSettings,
    Matched,
    PassedOn,
    PassState,
    doubled,
    glue_changes,
    new_in_glue,
    rename_warning,
    wanted_in_glue,
)
from shared.core.itglue_messages import PassItem, PassOn, encode_pass_on
from shared.core.model import Activity, ConnectionId, FieldChange, Link, RecordType
from shared.errors import DecideAgain, Rejected, SyncError, TryLater, Uncertain
from shared.ports import (
    ITGLUE,
    ActivityLog,
    Failure,
    Failures,
    GlueRefusal,
    ItGlue,
    Links,
    Now,
    Owners,
    PassedOnStore,
)
from shared.sync.itglue_finding import Case, FindInGlue, Nowhere, Stays


class Busy(TryLater):
    """Somebody writes this very contact now."""

    def __init__(self, sentence: str, after: timedelta) -> None:
        super().__init__(sentence, after, counts=False)


KIND = "itglue"  # of the activity
_CREATING = timedelta(seconds=150)  # all tries of one call end well before
_SYNC_WORDS = ("sync", "psa", "integration", "external")
_ABOUT_ALL = {"data", "attributes", "base"}  # what an error names that is about no one value
_MANAGED = "IT Glue has this contact from BMS: it is left to IT Glue's own sync with BMS"


@dataclass(frozen=True, slots=True)
class PassOne:
    """Passes one record on, paid for from one lane of the limit."""

    glue: ItGlue
    rows: PassedOnStore
    links: Links
    owners: Owners
    finding: FindInGlue
    log: ActivityLog
    failures: Failures
    now: Now

    def pass_on(
        self,
        connection_id: ConnectionId,
        item: PassItem,
        settings: ItGlueSettings,
        *,
        asked: bool,
    ) -> None:
        """Bring IT Glue to the present state of this record. DecideAgain: look once more."""
        row = self.rows.get(item.record_id)  # before the link: see passing_on
        link = self._link(connection_id, item)
        if link is None:
            return
        account = item.account_id or (row.account_id if row else None)
        leaves = link.old_record_type is RecordType.CONTACT
        if leaves and link.old_record_id == item.record_id:
            # Still to be deactivated in BMS, and queued again then: only its account would be lost.
            if row is None:
                owner = (link.connection_id, link.user_id)
                self._save(PassedOn(item.record_id, *owner, account_id=account))
            return
        wanted = wanted_in_glue(link, item.record_id, account)
        if wanted is None:
            return
        if row is None:
            row = PassedOn(item.record_id, link.connection_id, link.user_id)
        # The record may have passed to another user (R9).
        row = replace(row, connection_id=link.connection_id, user_id=link.user_id)
        case = Case(item, link, row, wanted, settings)
        if not asked and row.state is PassState.MANAGED:
            self._still_managed(case)
            return
        if not asked and row.state is PassState.REFUSED and row.refused == wanted.fingerprint:
            return
        if asked:
            case = replace(case, row=replace(row, lists_merge=False))
        try:
            case, found = self.finding.find(case)
        except Rejected as error:  # of this record alone (R24)
            self._refused(case, error)
            return
        if isinstance(found, Stays):
            self._stays(case, found)
        elif isinstance(found, Matched):
            self._bring(case, found)
        elif found is not None and wanted.active:
            self._create(case, found)

    def _link(self, connection_id: ConnectionId, item: PassItem) -> Link | None:
        """The link that speaks for this record now: its owner's, else that of who left it."""
        owner = self.owners.get_many(RecordType.CONTACT, [item.record_id]).get(item.record_id)
        if owner is not None:
            link = self.links.get(owner.connection_id, owner.user_id)
        else:
            link = self.links.get(connection_id, item.user_id)
        if link is None:
            return None
        if link.claim is not None:
            left = link.claim.until - self.now()
            if left > timedelta(0):
                raise Busy("is being written to BMS just now", min(left, timedelta(seconds=3)))
            return None  # its worker has died: the job is done again, and queued again
        return link

    # --- bring it there ------------------------------------------------------------------------

    def _create(self, case: Case, place: Nowhere) -> None:
        now, until = self.now(), case.row.creating_until
        if until is not None and until > now:
            raise Busy("is being made in IT Glue just now", until - now)
        row = self._save(replace(case.row, creating_until=now + _CREATING))
        fields, emails, phones = new_in_glue(case.wanted, self.glue.labels())
        try:
            try:
                contact = self.glue.create(place.organization_id, fields, emails, phones)
            except GlueRefusal:
                plain = self._plain(phones)
                if plain == phones:
                    raise
                contact = self.glue.create(place.organization_id, fields, emails, plain or ())
        except Uncertain as error:
            # Whether it was made shows when the organization is read again. The mark stays until
            # it is certain that nothing more will come of this call.
            raise Busy(error.sentence, timedelta(seconds=5)) from error
        except Rejected as error:
            self._refused(replace(case, row=replace(row, creating_until=None)), error)
            return
        except SyncError:
            self._save(replace(row, creating_until=None))
            raise
        self.finding.hold(row, contact.id)
        row = replace(
            row,
            account_id=case.wanted.account_id,
            contact_id=contact.id,
            state=PassState.PASSED,
            reason="",
            refused="",
            written=case.wanted.values(),
            creating_until=None,
        )
        shown = tuple(
            FieldChange(_WORDS[name], "", value)
            for name, value in case.wanted.values().items()
            if value
        )
        self._done(case, row, f"made contact {contact.id}", shown)

    def _bring(self, case: Case, found: Matched) -> None:
        contact = found.contact
        if found.by:
            case = replace(case, row=self.finding.hold(case.row, contact.id))
        changes = glue_changes(
            contact,
            case.wanted,
            case.row,
            inactive_type=case.settings.inactive_contact_type_id,
            labels=self.glue.labels(),
        )
        notes = [*changes.notes]
        after = changes.after
        if changes.nothing and case.row.state is PassState.MANAGED:
            after = replace(after, state=PassState.MANAGED, reason=case.row.reason)
        if changes.renames:
            notes += self._warning(case, contact)
        if not changes.nothing:
            try:
                held = self._update(contact.id, changes)
            except GlueRefusal as error:
                self._not_taken(case, contact, changes, error)
                return
            except Rejected as error:
                self._refused(case, error)
                return
            lists = changes.emails is not None or changes.phones is not None
            if lists and doubled(held) and not doubled(contact):
                notes.append(
                    "IT Glue added the e-mails and phones to its own instead of replacing them: "
                    "tidy this contact up there; its lists are left alone from now on"
                )
                after = replace(after, lists_merge=True)
        words = _told(case, found, changes)
        told = words or notes or case.notes
        case = replace(case, notes=(*case.notes, *notes))
        if told:
            self._done(case, after, words or f"contact {contact.id} is as wanted", changes.shown)
        elif after != case.row:
            self._save(after)

    def _update(self, contact_id: GlueId, changes: GlueChanges) -> GlueContact:
        fields, emails, phones = changes.fields, changes.emails, changes.phones
        try:
            return self.glue.update(contact_id, fields, emails, phones)
        except GlueRefusal as error:
            plain = self._plain(phones)
            if plain == phones or "contact-phones" not in error.names:
                raise
            return self.glue.update(contact_id, fields, emails, plain)

    def _plain(self, phones: tuple[GlueEntry, ...] | None) -> tuple[GlueEntry, ...] | None:
        """The phones without labels that IT Glue was never seen with: it may refuse new ones."""
        known = {*self.glue.labels(), WORK_LABEL}
        return phones and tuple(
            one if one.label in known else replace(one, label=WORK_LABEL) for one in phones
        )

    def _warning(self, case: Case, contact: GlueContact) -> list[str]:
        first, last = case.wanted.first_name, case.wanted.last_name
        others = [
            one
            for one in self.glue.contacts(contact.organization_id, fresh=self.finding.reads_afresh)
            if one.id != contact.id and (one.first_name, one.last_name) == (first, last)
        ]
        warning = rename_warning(
            case.wanted, case.row.written, managed=False, namesakes=len(others)
        )
        return [warning] if warning else []

    def _not_taken(
        self, case: Case, contact: GlueContact, changes: GlueChanges, error: GlueRefusal
    ) -> None:
        """422: because BMS keeps this contact, or because of what was sent."""
        about_all = set(error.names) <= _ABOUT_ALL
        says_so = about_all and any(word in error.sentence.lower() for word in _SYNC_WORDS)
        if not (contact.synced or says_so or self._is_kept_by_bms(case, contact)):
            self._refused(case, error)
            return
        notes: tuple[str, ...] = ()
        if changes.renames:
            before = {"FirstName": contact.first_name, "LastName": contact.last_name}
            warning = rename_warning(case.wanted, before, managed=True)
            notes = (warning,) if warning else ()
        row = replace(
            case.row,
            account_id=case.wanted.account_id or case.row.account_id,
            contact_id=contact.id,
            state=PassState.MANAGED,
            reason=_MANAGED,
            written=case.wanted.values(),
            refused="",
        )
        if case.row.state is PassState.MANAGED and not notes:
            self._save(row)
            return
        self._done(replace(case, notes=(*case.notes, *notes)), row, _MANAGED)

    def _is_kept_by_bms(self, case: Case, contact: GlueContact) -> bool:
        """IT Glue need not mark what BMS's own sync keeps, but it knows the BMS id of it."""
        if self.glue.is_synced(contact.id):
            return True
        of_bms = self.glue.contacts_of_bms(case.row.record_id)
        return any(one.id == contact.id for one in of_bms)

    def _still_managed(self, case: Case) -> None:
        """Nothing is sent; a rename is told, since it may break IT Glue's match by name."""
        warning = rename_warning(case.wanted, case.row.written, managed=True)
        if warning and case.wanted.active:
            row = replace(case.row, written=case.wanted.values())
            self._done(replace(case, notes=(warning,)), row, _MANAGED)

    def _stays(self, case: Case, why: Stays) -> None:
        row = replace(
            case.row,
            account_id=case.wanted.account_id or case.row.account_id,
            state=why.state,
            reason=why.reason,
        )
        if (case.row.state, case.row.reason) == (why.state, why.reason):
            return
        self._done(case, row, f"not passed on to IT Glue: {why.reason}", whole=True)

    def _refused(self, case: Case, error: Rejected) -> None:
        """Not sent again until the person changes, or somebody replays it."""
        again = PassOn(case.row.connection_id, (case.item,), asked=True)
        self.failures.add(
            Failure(
                id=_failure_id(case.row),
                connection_id=case.row.connection_id,
                at=self.now(),
                cause="itglue-refused",
                sentence=f"Record {case.row.record_id}: {error.sentence}",
                next_step=error.next_step,
                message=encode_pass_on(again),
                queue=ITGLUE,
            )
        )
        reason = f"{error.sentence} {error.next_step}"
        row = replace(
            case.row,
            account_id=case.wanted.account_id or case.row.account_id,
            state=PassState.REFUSED,
            reason=reason,
            refused=case.wanted.fingerprint,
        )
        self._done(case, row, f"not passed on to IT Glue: {reason}", whole=True)

    # --- remember and tell ---------------------------------------------------------------------

    def _save(self, row: PassedOn) -> PassedOn:
        saved = self.rows.save(row)
        if saved is None:
            raise DecideAgain("Another worker has passed this contact on meanwhile.")
        return saved

    def _done(
        self,
        case: Case,
        row: PassedOn,
        words: str,
        changes: tuple[FieldChange, ...] = (),
        *,
        whole: bool = False,
    ) -> None:
        self._save(row)
        if case.row.state is PassState.REFUSED and row.state is not PassState.REFUSED:
            self.failures.remove([_failure_id(row)])
        self.log.add(
            [
                Activity(
                    at=self.now(),
                    connection_id=row.connection_id,
                    kind=KIND,
                    reason=words if whole else f"IT Glue: {words}",
                    origin=KIND,
                    user_id=row.user_id,
                    display_name=case.link.display_name,
                    record_id=row.record_id,
                    rule_id=case.link.rule_id,
                    changes=changes,
                    notes=case.notes,
                )
            ]
        )


_WORDS = {
    "FirstName": "first name",
    "LastName": "last name",
    "Email": "e-mail",
    "JobTitle": "job title",
    "WorkPhone": "work phone",
    "MobilePhone": "mobile phone",
}


def _told(case: Case, found: Matched, changes: GlueChanges) -> str:
    """The line for the activity; "" where nothing was done."""
    contact = found.contact.id
    parts = [f"matched contact {contact} by {found.by}"] if found.by else []
    if "contact-type-id" in changes.fields:
        mark = "no longer marked as inactive" if case.wanted.active else "marked as inactive"
        parts.append(mark if parts else f"contact {contact} {mark}")
    elif not changes.nothing:
        parts.append("changed" if parts else f"changed contact {contact}")
    return ", ".join(parts)


def _failure_id(row: PassedOn) -> str:
    return f"itglue-{row.record_id}"
