"""Undo of one decision: what goes back, what cannot, and why (pure).

A line of the activity says what was changed, from what to what, and on which link that rested. Each
field goes back only where BMS still holds what the decision wrote; what somebody has changed since
stays and is named. After an undo the link still counts as up to date: the sync leaves alone what a
person took back, as it leaves alone a local edit (R12), until the person changes in Entra.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from shared.core.fields import INACTIVE, SHOWN
from shared.core.matching import key
from shared.core.model import (
    Activity,
    Contact,
    ContactTypes,
    FieldChange,
    HoldMark,
    Link,
    LinkState,
    RecordId,
    RecordType,
    Trace,
)
from shared.core.phones import EntryStep, PhoneBook

UNDONE = "undone by a person"
ALREADY = "it was undone already"
WROTE_NOTHING = "this decision wrote nothing to BMS"
ON_WORKLIST = (
    "it only stands on the worklist, or was typed since: dismiss the item there, or undo the line "
    "that tells of the typing"
)
TOO_OLD = "it was written by an older version of the app, which kept nothing to undo it by"
NO_LINK = "nothing is remembered of this person any more"
OTHER_RECORD = "decided again since: the person has another record now"
SECOND_HALF = "it only ended a move: undo the move itself"
GONE = "the record is gone in BMS"
PASSED_ON = "the record belongs to another user by now"
TO_BE_TYPED = "stands on the worklist now: a person types it into BMS"
EDITED = "edited in BMS since"
AGAIN = "decided again since"

RECORD = "record"
_NAMES = {label: name for name, label in SHOWN.items()}
_TEXTS = {"FirstName": "first_name", "LastName": "last_name", "JobTitle": "job_title"}
_PHONES = ("work phone", "mobile phone")


@dataclass(frozen=True, slots=True)
class PutBack:
    """What to send for one contact so that it is as before, as far as that can be."""

    fields: Mapping[str, object]
    emails: tuple[EntryStep, ...]
    phones: tuple[EntryStep, ...]
    shown: tuple[FieldChange, ...]
    refused: tuple[str, ...]  # what stays, and why
    written: Mapping[str, str]  # what the link remembers afterwards
    notes: tuple[str, ...] = ()
    active: bool | None = None  # as it is afterwards, where that was part of it

    @property
    def nothing(self) -> bool:
        """Whether BMS holds all of it already, or none of it can be put back."""
        return not (self.fields or self.emails or self.phones)


@dataclass(frozen=True, slots=True)
class SameRecord:
    """The record stays the user's: some fields, or its state, go back."""

    record_id: RecordId
    changes: tuple[FieldChange, ...]


@dataclass(frozen=True, slots=True)
class OtherRecord:
    """The user goes back to the record that he left (R17, R18)."""

    taken: RecordId
    taken_type: RecordType
    changes: tuple[FieldChange, ...]  # of the one that he has now
    back_to: RecordId
    back_type: RecordType
    activate: bool


UndoStep = SameRecord | OtherRecord

_MADE = (FieldChange("active", "no", "yes"),)  # what making a record did to it


def undo_step(line: Activity, link: Link | None) -> UndoStep | str:
    """What undoing this line comes to, or the sentence that says why it cannot be undone."""
    trace = line.trace
    if line.undone_by:
        return ALREADY
    if trace is None:
        return _without_trace(line)
    if link is None:
        return NO_LINK
    if line.record_id is None:
        return WROTE_NOTHING
    if (link.record_type, link.record_id) != (trace.record_type, line.record_id):
        return OTHER_RECORD
    before = trace.before
    changes = _MADE if trace.created else line.changes
    same = (before.record_type, before.record_id) == (trace.record_type, line.record_id)
    if before.record_id is None or same:
        if not changes:
            return SECOND_HALF if before.old_record_id is not None else WROTE_NOTHING
        return SameRecord(line.record_id, changes)
    return OtherRecord(
        line.record_id,
        trace.record_type,
        changes,
        before.record_id,
        before.record_type,
        activate=_was_active(before),
    )


def is_back(line: Activity, link: Link) -> bool:
    """Whether the user has the record again that this line took him from."""
    if line.trace is None or line.record_id is None:
        return False
    before, of = line.trace.before, (link.record_type, link.record_id)
    moved = (before.record_type, before.record_id) != (line.trace.record_type, line.record_id)
    return moved and of == (before.record_type, before.record_id)


def written_again(line: Activity, later: Iterable[Activity]) -> frozenset[str]:
    """The fields of this line's record that a later decision wrote, and nobody took back.

    The value alone does not tell: it may be the same again. A move is told as the field "record".
    """
    found: set[str] = set()
    for one in later:
        if one.trace is None or one.undone_by or one.kind == "undo" or one.at <= line.at:
            continue
        before, of = one.trace.before, (one.trace.record_type, one.record_id)
        if before.old_record_id is not None and of[0] is not before.record_type:
            continue  # it only ended a move, at the record that he had left
        if before.record_id is not None and of != (before.record_type, before.record_id):
            found.add(RECORD)
        if one.record_id == line.record_id:
            found.update(change.field for change in one.changes)
    return frozenset(found)


def _without_trace(line: Activity) -> str:
    if line.kind == "worklist":
        return ON_WORKLIST
    if line.kind in ("create", "merge", "update", "move", "deactivate", "reactivate", "undo"):
        return TOO_OLD
    return WROTE_NOTHING


def _was_active(link: Link) -> bool:
    active = link.state in (LinkState.ACTIVE, LinkState.KEPT)
    return active and link.written.get(INACTIVE) != "no"


# --- one contact ------------------------------------------------------------------------------


def remember(written: dict[str, str], before: Mapping[str, str], name: str, value: str) -> None:
    """The value is the app's again only where it was before: else somebody typed it (R13)."""
    if value and before.get(name) == value:
        written[name] = value
    else:
        written.pop(name, None)


def put_back(
    record: Contact,
    changes: Sequence[FieldChange],
    *,
    types: ContactTypes,
    written: Mapping[str, str],
    before: Mapping[str, str],
    again: Collection[str] = (),
    added: Sequence[str] = (),
    removed: Sequence[str] = (),
) -> PutBack:
    """Field by field: back to the old value where BMS still holds the new one.

    `written` is what the link remembers now, `before` what it remembered when the decision was
    made, `again` the fields that were decided again since. `added` and `removed` are the e-mail
    addresses that came and went with it.
    """
    work = _Contact(record, types, written, before)
    for change in changes:
        if change.field in again:
            work.refuse(change, AGAIN)
        else:
            work.take_back(change, added, removed)
    return work.result()


class _Contact:
    """One contact while its changes are taken back."""

    def __init__(
        self,
        record: Contact,
        types: ContactTypes,
        written: Mapping[str, str],
        before: Mapping[str, str],
    ) -> None:
        self._record = record
        self._types = types
        self._known = written
        self._before = before
        self._written = dict(written)
        self._fields: dict[str, object] = {}
        self._emails: tuple[EntryStep, ...] = ()
        self._phones = PhoneBook(record.phones)
        self._shown: list[FieldChange] = []
        self._refused: list[str] = []
        self._active: bool | None = None

    def result(self) -> PutBack:
        """Everything together."""
        phones = self._phones.steps()
        return PutBack(
            self._fields,
            self._emails,
            phones,
            (*self._shown, *self._phones.shown),
            tuple(self._refused),
            self._written,
            tuple(self._phones.notes),
            self._active,
        )

    def take_back(self, change: FieldChange, added: Sequence[str], removed: Sequence[str]) -> None:
        """One field."""
        name = _NAMES.get(change.field, "")
        if change.field == "active":
            self._state(change)
        elif change.field == "location":
            self._location(change)
        elif name in _TEXTS:
            self._text(name, change)
        elif name == "Email":
            self._email(change, added, removed)
        elif change.field in _PHONES:
            self._phone(name, change)
        else:
            self.refuse(change, "this field cannot be put back")

    def refuse(self, change: FieldChange, why: str) -> None:
        """Leave one field as it is."""
        self._refused.append(f"{change.field}: {why}")

    def _changed(self, change: FieldChange, name: str, present: str) -> None:
        ours = bool(present) and self._known.get(name) == present
        self.refuse(change, AGAIN if ours else EDITED)

    def _text(self, name: str, change: FieldChange) -> None:
        present = str(getattr(self._record, _TEXTS[name])).strip()
        if present not in (change.new, change.old):
            self._changed(change, name, present)
            return
        if present != change.old:
            if not change.old and name != "JobTitle":
                self.refuse(change, "it was empty before, and BMS takes no empty one")
                return
            self._fields[name] = change.old or None
            self._shown.append(FieldChange(change.field, present, change.old))
        remember(self._written, self._before, name, change.old)

    def _email(self, change: FieldChange, added: Sequence[str], removed: Sequence[str]) -> None:
        emails = self._record.emails
        default = next((entry for entry in emails if entry.is_default), None)
        present = default.address if default else ""
        steps: list[EntryStep] = []
        if key(present) == key(change.new) != key(change.old):
            old = next((one for one in emails if key(one.address) == key(change.old)), None)
            if old is not None:
                steps.append(EntryStep("update", old.address, old.address, old.type_id, True))
            elif change.old in removed and default is not None:
                steps.append(EntryStep("add", change.old, type_id=default.type_id, is_default=True))
            else:
                why = "there was no default before" if not change.old else "its former one is gone"
                self.refuse(change, why)
                return
            self._shown.append(FieldChange(change.field, present, change.old))
        elif key(present) != key(change.old):
            self._changed(change, "Email", present)
            return
        for entry in emails:
            if key(entry.address) == key(change.new) and change.new in added:
                steps.append(EntryStep("remove", entry.address, type_id=entry.type_id, must=False))
        self._emails = tuple(steps)
        remember(self._written, self._before, "Email", change.old)

    def _phone(self, name: str, change: FieldChange) -> None:
        work = name == "WorkPhone"
        type_id = self._types.work_phone if work else self._types.mobile_phone
        if type_id is None:
            self.refuse(change, "its phone type is not known")
            return
        held = [one.number.strip() for one in self._record.phones if one.type_id == type_id]
        is_new = change.new.strip() in held if change.new else not held
        is_old = change.old.strip() in held if change.old else not held
        if is_new:
            self._phones.want(change.field, change.old, type_id, ours=change.new)
        elif not is_old:
            self._changed(change, name, held[0] if held else "")
            return
        remember(self._written, self._before, name, change.old)

    def _state(self, change: FieldChange) -> None:
        active = change.old == "yes"
        self._active = active
        if self._record.is_active is not active:
            self._fields["IsActive"] = active
            self._shown.append(FieldChange("active", _word(not active), _word(active)))
        if active:
            self._written.pop(INACTIVE, None)
        else:
            self._written[INACTIVE] = "no"

    def _location(self, change: FieldChange) -> None:
        location = self._record.location_id
        present = "" if location is None else str(location)
        if present == change.old:
            return
        if present != change.new:
            self.refuse(change, EDITED)
        elif not change.old:
            self.refuse(change, "it had none before, and BMS takes no empty one")
        else:
            self._fields["LocationId"] = int(change.old)
            self._shown.append(FieldChange(change.field, present, change.old))


def _word(active: bool) -> str:
    return "yes" if active else "no"


# --- the link afterwards -----------------------------------------------------------------------


def link_after(line: Activity, link: Link, step: UndoStep, done: PutBack, reason: str) -> Link:
    """What is remembered once the step is done; the claim is the worker's to clear."""
    trace = line.trace
    assert trace is not None, "only a line with a trace has a step"
    before = trace.before
    if isinstance(step, OtherRecord):
        return _moved_back(line, link, before, reason)
    after = replace(link, written=done.written, reason=reason)
    if done.active is None:
        return after
    if line.kind == "undo" and before.state is not LinkState.ACTIVE:
        # An undo of a deactivation, undone: he is as the decision left him.
        return replace(
            after, state=before.state, hold=HoldMark.NONE, fingerprint=before.fingerprint
        )
    if done.active and link.state is LinkState.INACTIVE:
        # He is out of scope: kept as if a person had refused (R20).
        return replace(after, state=LinkState.ACTIVE, hold=HoldMark.REFUSED)
    return after


def _moved_back(line: Activity, link: Link, before: Link, reason: str) -> Link:
    """The old record is his again; the move is not made anew before a person says so (R20)."""
    written = {name: value for name, value in before.written.items() if name != INACTIVE}
    return replace(
        before,
        state=LinkState.ACTIVE if _was_active(before) else before.state,
        display_name=link.display_name,
        upn=link.upn,
        address=link.address,
        written=written,
        old_record_id=None,
        old_record_type=RecordType.CONTACT,
        task="",
        reason=reason,
        hold=before.hold if line.kind == "undo" else HoldMark.REFUSED,
        in_conflict=False,
        refused=False,
        claim=link.claim,
        etag=link.etag,
    )


def trace_after(line: Activity, link: Link, step: UndoStep, done: PutBack) -> Trace:
    """By which the undo itself can be undone. `done` is of the record that he has until now."""
    before = replace(link, claim=None)
    if isinstance(step, OtherRecord):
        return Trace(before, step.back_type, left=done.shown)
    assert line.trace is not None, "only a line with a trace has a step"
    added, removed = (
        tuple(one.value for one in done.emails if one.operation == name)
        for name in ("add", "remove")
    )
    return Trace(before, line.trace.record_type, added=added, removed=removed)


def back_changes(line: Activity, step: OtherRecord) -> tuple[FieldChange, ...]:
    """What the move did to the record that he left."""
    left = line.trace.left if line.trace is not None else ()
    state = (FieldChange("active", "yes", "no"),) if step.activate else ()
    return (*(one for one in left if one.field != "active"), *state)
