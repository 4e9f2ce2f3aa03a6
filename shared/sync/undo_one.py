"""Take back what decisions wrote for one user, from what BMS holds at that moment.

The worker holds the user's claim. Nothing is written to the tables here but who owns a record,
which has to be so before the record is written (R9), and what a person is to type (R26).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from shared.core.matching import key
from shared.core.model import (
    Activity,
    Contact,
    FieldChange,
    Link,
    LinkState,
    RecordId,
    RecordType,
    Trace,
    UserId,
)
from shared.core.undo import (
    AGAIN,
    GONE,
    OTHER_RECORD,
    PASSED_ON,
    RECORD,
    TO_BE_TYPED,
    UNDONE,
    OtherRecord,
    PutBack,
    SameRecord,
    back_changes,
    is_back,
    link_after,
    put_back,
    trace_after,
    undo_step,
    written_again,
)
from shared.errors import DecideAgain, Rejected, SyncError
from shared.ports import (
    ActivityLog,
    Owner,
    Owners,
    UndoOutcome,
)
from shared.sync.acting import Hands
from shared.sync.contact_jobs import BeforeWrite
from shared.sync.undo_employees import UndoEmployees
from shared.sync.work import Work

_MOST_LINES = 500


class _Refused(Exception):
    """This line cannot be undone; the text says why."""


@dataclass(slots=True)
class Told:
    """What became of one line."""

    outcome: UndoOutcome
    kind: str = "undo"  # of the line that tells of it
    trace: Trace | None = None
    notes: tuple[str, ...] = ()
    marks: bool = False  # the line counts as undone from now on
    told_before: bool = False

    @property
    def is_news(self) -> bool:
        """Whether the activity is to tell of it."""
        return (self.marks or self.kind == "worklist") and not self.told_before


@dataclass(slots=True)
class OfUser:
    """One user while his lines are taken back."""

    claimed: Link
    lines: Sequence[Activity]
    link: Link = field(init=False)
    told: list[Told] = field(default_factory=list)
    released: list[tuple[RecordType, RecordId]] = field(default_factory=list)
    shown: list[tuple[Contact, tuple[str, ...]]] = field(default_factory=list)
    look_again: bool = False
    saved: Mapping[str, UndoOutcome] = field(default_factory=dict)  # by a worker that died then
    error: SyncError | None = None
    later: Sequence[Activity] = ()  # what was told of him since the oldest of the lines

    def __post_init__(self) -> None:
        self.link = self.claimed

    def written_again(self, line: Activity) -> frozenset[str]:
        """What was decided again since this line, but for what goes back with it."""
        back = {told.outcome.activity_id for told in self.told if told.marks}
        return written_again(line, [one for one in self.later if one.id not in back])


@dataclass(frozen=True)
class UndoOne:
    """Does it, by the hands of one lane."""

    owners: Owners
    log: ActivityLog
    employees: UndoEmployees
    fresh: Hands
    bulk: Hands

    def hands(self, work: Work) -> Hands:
        """Whose threads and share of BMS's limit these are."""
        return self.fresh if work.fresh else self.bulk

    def undo(self, work: Work, user: OfUser, before_write: BeforeWrite) -> None:
        """Take back this user's lines, newest first, until something passing is in the way."""
        try:
            user.later = self._written_since(user)
        except SyncError as error:
            user.error = error
            return
        for line in user.lines:
            try:
                user.told.append(self._undo_line(work, user, line, before_write))
            except _Refused as refusal:
                user.told.append(Told(not_undone(line, str(refusal))))
            except Rejected as error:
                user.told.append(Told(not_undone(line, f"{error.sentence} {error.next_step}")))
            except DecideAgain:
                user.told.append(Told(not_undone(line, GONE)))
            except SyncError as error:
                user.error = error
                return

    def _written_since(self, user: OfUser) -> Sequence[Activity]:
        """His lines since the oldest of these, if the link tells that there are any."""
        link, since = user.claimed, min(line.at for line in user.lines)
        if link.updated_at is None or link.updated_at <= since:
            return ()
        found, _ = self.log.list(
            connection_id=link.connection_id, user_id=link.user_id, since=since, limit=_MOST_LINES
        )
        return found

    def _undo_line(
        self, work: Work, user: OfUser, line: Activity, before_write: BeforeWrite
    ) -> Told:
        step = undo_step(line, user.link)
        if step == OTHER_RECORD and line.id in user.saved and is_back(line, user.link):
            return _ended(user, line)
        if isinstance(step, str):
            raise _Refused(step)
        again = user.written_again(line)
        if isinstance(step, OtherRecord) and RECORD in again:
            raise _Refused(AGAIN)
        before = user.link
        reason = f"{UNDONE}: {line.kind} of {line.at:%Y-%m-%d %H:%M} UTC"
        if isinstance(step, OtherRecord):
            return self._other_record(work, user, line, step, reason, before_write)
        if before.record_type is RecordType.EMPLOYEE:
            planned = self.employees.same_record(work, before, line, step.changes, again, reason)
            told_before = self.employees.is_on_worklist(planned)
            typed = self.employees.carry_out(work, planned, before_write)
            done, notes, by_hand = planned.done, planned.notes, typed
            _refuse_if_nothing(done)
            user.link = link_after(line, before, step, done, reason)
            if by_hand:
                user.link = replace(user.link, written=before.written, task=planned.task)
        else:
            done, notes = self._same_record(work, user, line, step, before_write)
            by_hand = told_before = False
            user.link = link_after(line, before, step, done, reason)
        trace = trace_after(line, before, step, done)
        told = _told(line, step.record_id, done.shown, done.refused, notes, trace, by_hand=by_hand)
        # Until it is typed, and if the item is dismissed, the line stands as it did.
        return replace(told, marks=not by_hand, told_before=told_before)

    def _same_record(
        self, work: Work, user: OfUser, line: Activity, step: SameRecord, before_write: BeforeWrite
    ) -> tuple[PutBack, tuple[str, ...]]:
        if user.link.state is not LinkState.ACTIVE:
            self._take_owner(work, user, RecordType.CONTACT, step.record_id)
        record = self._contact(work, step.record_id)
        done = self._back(work, user, record, line, step.changes)
        _refuse_if_nothing(done)
        done, notes = self.hands(work).jobs.send_back(step.record_id, done, before_write)
        user.shown.append(_as_shown(record, done))
        return done, tuple(notes)

    def _back(
        self,
        work: Work,
        user: OfUser,
        record: Contact,
        line: Activity,
        changes: Sequence[FieldChange],
    ) -> PutBack:
        trace = line.trace
        return put_back(
            record,
            changes,
            types=self.hands(work).jobs.bms.contact_types(),
            written=user.link.written,
            again=user.written_again(line) if record.id == line.record_id else (),
            before=trace.before.written if trace is not None else {},
            added=trace.added if trace is not None else (),
            removed=trace.removed if trace is not None else (),
        )

    def _contact(self, work: Work, record_id: RecordId) -> Contact:
        record = self.hands(work).jobs.bms.contact(record_id)
        if record is None:
            raise _Refused(GONE)
        return record

    def _take_owner(
        self, work: Work, user: OfUser, record_type: RecordType, record_id: RecordId
    ) -> None:
        """Own the record before it is written, unless it has passed to another user (R9)."""
        me = Owner(work.connection.id, user.link.user_id)
        owner = self.owners.get_many(record_type, [record_id]).get(record_id)
        if owner is not None and owner != me:
            raise _Refused(PASSED_ON)
        if not self.owners.take(record_type, record_id, me, over=owner):
            raise _Refused(PASSED_ON)

    # --- a move --------------------------------------------------------------------------------

    def _other_record(
        self,
        work: Work,
        user: OfUser,
        line: Activity,
        step: OtherRecord,
        reason: str,
        before_write: BeforeWrite,
    ) -> Told:
        """The old record first, so that the person is never without one."""
        before = user.link
        notes: list[str] = []
        task = ""
        back = back_changes(line, step)
        if step.back_type is RecordType.EMPLOYEE:
            self._take_owner(work, user, RecordType.EMPLOYEE, step.back_to)
            assert line.trace is not None, "only a line with a trace has a step"
            old = replace(line.trace.before, claim=None)
            planned = self.employees.same_record(work, old, line, back, frozenset(), reason)
            by_hand = self.employees.carry_out(work, planned, before_write)
            task = planned.task if by_hand else ""
            shown = planned.done.shown
        else:
            record = self._contact(work, step.back_to)
            self._take_owner(work, user, RecordType.CONTACT, step.back_to)
            done_back = self._back(work, user, record, line, back)
            jobs = self.hands(work).jobs
            done_back, told = jobs.send_back(step.back_to, done_back, before_write)
            notes += told
            user.shown.append(_as_shown(record, done_back))
            shown, by_hand = done_back.shown, False
        done = self._leave(work, user, line, step, notes, before_write)
        after = link_after(line, before, step, done, reason)
        if step.taken_type is RecordType.EMPLOYEE and done.active is False:
            # Deactivated by the next look, by the worklist or the app as configured (R18, R26).
            after = replace(after, old_record_id=step.taken, old_record_type=RecordType.EMPLOYEE)
            user.look_again = True
        user.link = replace(after, task=task)
        user.released.append((step.taken_type, step.taken))
        trace = trace_after(line, before, step, done)
        return _told(line, step.back_to, shown, done.refused, tuple(notes), trace, by_hand=by_hand)

    def _leave(
        self,
        work: Work,
        user: OfUser,
        line: Activity,
        step: OtherRecord,
        notes: list[str],
        before_write: BeforeWrite,
    ) -> PutBack:
        """The record that the move led to: as it was before, or inactive if it was made then."""
        nothing = PutBack({}, (), (), (), (), user.link.written)
        if step.taken_type is RecordType.EMPLOYEE:
            state = [one for one in step.changes if one.field == "active" and one.old == "no"]
            notes.append(f"the employee {step.taken} is no longer this person's")
            return replace(nothing, active=False) if state else nothing
        record = self.hands(work).jobs.bms.contact(step.taken)
        if record is None:
            notes.append(f"the contact {step.taken} is gone in BMS")
            return nothing
        done = self._back(work, user, record, line, step.changes)
        done, refused = self.hands(work).jobs.send_back(step.taken, done, before_write)
        notes += refused
        user.shown.append(_as_shown(record, done))
        told = ", ".join(f"{one.field} {one.old} → {one.new}" for one in done.shown)
        notes.append(f"the contact {step.taken} of the move: {told or 'stays as it is'}")
        return done


def _refuse_if_nothing(done: PutBack) -> None:
    if done.refused and not done.shown and done.nothing:
        raise _Refused("; ".join(done.refused))


def not_undone(line: Activity, reason: object) -> UndoOutcome:
    """The outcome of a line that stays as it is."""
    return UndoOutcome(
        line.id,
        line.user_id or UserId(""),
        line.display_name,
        line.record_id,
        False,
        reason=str(reason),
    )


def _ended(user: OfUser, line: Activity) -> Told:
    """All but the end was done by a worker that died: the rest of it, told before."""
    assert line.trace is not None, "a saved undo had a step"
    assert line.record_id is not None, "a saved undo had a record"
    taken = (line.trace.record_type, line.record_id)
    user.released.append(taken)
    user.look_again = (user.link.old_record_type, user.link.old_record_id) == taken
    return Told(user.saved[line.id], marks=True, told_before=True)


def _told(
    line: Activity,
    record_id: RecordId,
    shown: tuple[FieldChange, ...],
    refused: tuple[str, ...],
    notes: tuple[str, ...],
    trace: Trace,
    *,
    by_hand: bool,
) -> Told:
    """What went back; what is still to be typed counts as told, not as undone."""
    reason = "; ".join((*refused, TO_BE_TYPED) if by_hand else refused)
    outcome = UndoOutcome(
        line.id,
        line.user_id or UserId(""),
        line.display_name,
        record_id,
        not by_hand,
        shown,
        reason,
    )
    kind = "worklist" if by_hand else "undo"
    return Told(outcome, kind, None if by_hand else trace, notes, marks=True)


def _as_shown(record: Contact, done: PutBack) -> tuple[Contact, tuple[str, ...]]:
    """The record as BMS holds it now, for the index, and the addresses that it lost."""
    removed = tuple(one.value for one in done.emails if one.operation == "remove")
    active = record.is_active if done.active is None else done.active
    gone = {key(address) for address in removed}
    emails = tuple(one for one in record.emails if key(one.address) not in gone)
    return replace(record, is_active=active, emails=emails), removed
