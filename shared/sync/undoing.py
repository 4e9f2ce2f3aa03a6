"""Take back what decisions wrote, user by user, under claims like every other write (R22).

A message names lines of the activity. A user's lines go back newest first, each from what BMS holds
at that moment, so that a message that comes twice finds everything done. Written in this order:
BMS, activity, IT Glue's queue, outcome, link, the mark on the line; a worker that dies in between
is followed by one that finds the fields back already.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import copy_context
from dataclasses import dataclass, field, replace

from shared.core.fields import wanted_contact
from shared.core.matching import key
from shared.core.messages import UserDelta, encode_user_delta
from shared.core.model import (
    Activity,
    Contact,
    FieldChange,
    HoldMark,
    Link,
    LinkState,
    Origin,
    RecordId,
    RecordType,
    SyncId,
    Trace,
    UserId,
)
from shared.core.undo import (
    GONE,
    PASSED_ON,
    TO_BE_TYPED,
    UNDONE,
    OtherRecord,
    PutBack,
    SameRecord,
    back_changes,
    link_after,
    put_back,
    trace_after,
    undo_step,
)
from shared.errors import DecideAgain, Rejected, SyncError, TryLater
from shared.ports import (
    FRESH,
    ActivityLog,
    Connections,
    HeldUser,
    Links,
    Now,
    Owner,
    Owners,
    Queues,
    UndoOutcome,
    UndoOutcomes,
)
from shared.sync import troubles
from shared.sync.acting import BMS_DOWN, Hands
from shared.sync.claims import guard, take_claims
from shared.sync.contact_jobs import UNFINISHED, BeforeWrite
from shared.sync.finding import FindRecords
from shared.sync.holding import Holding
from shared.sync.itglue_queue import QueueForItGlue, written_records
from shared.sync.undo_employees import UndoEmployees
from shared.sync.work import Work, wait_for_lock

_CHUNK = 24


class _Refused(Exception):
    """This line cannot be undone; the text says why."""


@dataclass(slots=True)
class _Told:
    """What became of one line."""

    outcome: UndoOutcome
    kind: str = "undo"  # of the line that tells of it
    trace: Trace | None = None
    notes: tuple[str, ...] = ()
    marks: bool = False  # the line counts as undone from now on


@dataclass(slots=True)
class _User:
    """One user while his lines are taken back."""

    claimed: Link
    lines: Sequence[Activity]
    link: Link = field(init=False)
    told: list[_Told] = field(default_factory=list)
    released: list[tuple[RecordType, RecordId]] = field(default_factory=list)
    shown: list[tuple[Contact, tuple[str, ...]]] = field(default_factory=list)
    look_again: bool = False
    error: SyncError | None = None

    def __post_init__(self) -> None:
        self.link = self.claimed


@dataclass(frozen=True)
class Undoing:
    """Works off messages that name lines to be undone."""

    connections: Connections
    links: Links
    owners: Owners
    log: ActivityLog
    queues: Queues
    outcomes: UndoOutcomes
    holding: Holding
    finding: FindRecords
    itglue: QueueForItGlue
    employees: UndoEmployees
    fresh: Hands
    bulk: Hands
    now: Now

    def run(self, work: Work) -> None:
        """Undo the lines of one message; whoever cannot be written now comes back."""
        by_user: dict[UserId, list[Activity]] = {user: [] for user in work.delta.users}
        # An id counts backwards in time, so that the newest comes first.
        for line in sorted(self.log.get_many(work.delta.lines), key=lambda one: one.id):
            if line.user_id in by_user and line.undone_by != work.delta.sync:
                by_user[line.user_id].append(line)
        work.links = self.links.get_many(work.connection.id, list(by_user))
        free = [user for user, lines in by_user.items() if lines and self._is_free(work, user)]
        self._fingerprints(work, free)
        free = [user for user in free if user not in work.later]
        for start in range(0, len(free), _CHUNK):
            some = free[start : start + _CHUNK]
            if start and self.now() > work.until:
                work.rest.extend(free[start:])
                return
            self._chunk(work, {user: by_user[user] for user in some})

    def _is_free(self, work: Work, user: UserId) -> bool:
        link, now = work.links.get(user), self.now()
        if link is None or link.claim is None or link.claim.until <= now:
            return True
        wait = wait_for_lock(link.claim.until - now)
        sentence = "This person is being written just now."
        work.later[user] = TryLater(sentence, wait, counts=False)
        return False

    def _fingerprints(self, work: Work, users: Sequence[UserId]) -> None:
        """Whose last write is unfinished would be written again: what Entra says now settles it."""
        unfinished = [
            user
            for user in users
            if (link := work.links.get(user)) is not None and link.fingerprint == UNFINISHED
        ]
        looks = work.directory.look(unfinished, (), direct=False) if unfinished else {}
        for user, look in looks.items():
            if isinstance(look, SyncError):
                work.later[user] = look
            elif look.user is not None:
                wanted = wanted_contact(look.user, work.connection.email_source)
                work.links[user] = replace(work.links[user], fingerprint=wanted.fingerprint)

    # --- some users at a time --------------------------------------------------------------------

    def _chunk(self, work: Work, lines: dict[UserId, list[Activity]]) -> None:
        for user, of_user in lines.items():
            if user not in work.links:
                told = [_Told(_not_undone(line, undo_step(line, None))) for line in of_user]
                self.outcomes.put(_run(work), [one.outcome for one in told])
        taken_at = self.now()
        wanted = [(work.links[user], False) for user in lines if user in work.links]
        claimed = take_claims(self.links, work, wanted, taken_at)
        users = [_User(link, lines[user]) for user, link in claimed.items()]
        before_write = guard(self.now, taken_at)
        hands = self._hands(work)
        contexts = [copy_context() for _ in users]
        list(
            hands.pool.map(
                lambda own, user: own.run(self._undo, work, user, before_write), contexts, users
            )
        )
        if users:
            self._finish(work, users)

    def _hands(self, work: Work) -> Hands:
        return self.fresh if work.fresh else self.bulk

    def _undo(self, work: Work, user: _User, before_write: BeforeWrite) -> None:
        for line in user.lines:
            try:
                user.told.append(self._undo_line(work, user, line, before_write))
            except _Refused as refusal:
                user.told.append(_Told(_not_undone(line, str(refusal))))
            except Rejected as error:
                user.told.append(_Told(_not_undone(line, f"{error.sentence} {error.next_step}")))
            except DecideAgain:
                user.told.append(_Told(_not_undone(line, GONE)))
            except SyncError as error:
                user.error = error
                return

    def _undo_line(
        self, work: Work, user: _User, line: Activity, before_write: BeforeWrite
    ) -> _Told:
        step = undo_step(line, user.link)
        if isinstance(step, str):
            raise _Refused(step)
        before = user.link
        reason = f"{UNDONE}: {line.kind} of {line.at:%Y-%m-%d %H:%M} UTC"
        if isinstance(step, OtherRecord):
            return self._other_record(work, user, line, step, reason, before_write)
        if before.record_type is RecordType.EMPLOYEE:
            planned = self.employees.same_record(work, before, line, step.changes, reason)
            typed = self.employees.carry_out(work, planned, before_write)
            done, notes, by_hand = planned.done, planned.notes, typed
            _refuse_if_nothing(done)
            user.link = link_after(line, before, step, done, reason)
            if by_hand:
                user.link = replace(user.link, written=before.written, task=planned.task)
        else:
            done, notes = self._same_record(work, user, line, step, before_write)
            by_hand = False
            user.link = link_after(line, before, step, done, reason)
        trace = trace_after(line, before, step, done)
        return _told(line, step.record_id, done.shown, done.refused, notes, trace, by_hand=by_hand)

    def _same_record(
        self, work: Work, user: _User, line: Activity, step: SameRecord, before_write: BeforeWrite
    ) -> tuple[PutBack, tuple[str, ...]]:
        if user.link.state is not LinkState.ACTIVE:
            self._take_owner(work, user, RecordType.CONTACT, step.record_id)
        record = self._contact(work, step.record_id)
        done = self._back(work, record, line, step.changes, user.link)
        _refuse_if_nothing(done)
        notes = self._hands(work).jobs.send(step.record_id, done, before_write)
        user.shown.append(_as_shown(record, done))
        return done, tuple(notes)

    def _back(
        self,
        work: Work,
        record: Contact,
        line: Activity,
        changes: Sequence[FieldChange],
        link: Link,
    ) -> PutBack:
        trace = line.trace
        return put_back(
            record,
            changes,
            types=self._hands(work).jobs.bms.contact_types(),
            written=link.written,
            added=trace.added if trace is not None else (),
            removed=trace.removed if trace is not None else (),
        )

    def _contact(self, work: Work, record_id: RecordId) -> Contact:
        record = self._hands(work).jobs.bms.contact(record_id)
        if record is None:
            raise _Refused(GONE)
        return record

    def _take_owner(
        self, work: Work, user: _User, record_type: RecordType, record_id: RecordId
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
        user: _User,
        line: Activity,
        step: OtherRecord,
        reason: str,
        before_write: BeforeWrite,
    ) -> _Told:
        """The old record first, so that the person is never without one."""
        before = user.link
        notes: list[str] = []
        task = ""
        back = back_changes(line, step)
        if step.back_type is RecordType.EMPLOYEE:
            self._take_owner(work, user, RecordType.EMPLOYEE, step.back_to)
            assert line.trace is not None, "only a line with a trace has a step"
            old = replace(line.trace.before, claim=None)
            planned = self.employees.same_record(work, old, line, back, reason)
            by_hand = self.employees.carry_out(work, planned, before_write)
            task = planned.task if by_hand else ""
            shown = planned.done.shown
        else:
            record = self._contact(work, step.back_to)
            self._take_owner(work, user, RecordType.CONTACT, step.back_to)
            done_back = self._back(work, record, line, back, before)
            notes += self._hands(work).jobs.send(step.back_to, done_back, before_write)
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
        user: _User,
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
        record = self._hands(work).jobs.bms.contact(step.taken)
        if record is None:
            notes.append(f"the contact {step.taken} is gone in BMS")
            return nothing
        done = self._back(work, record, line, step.changes, user.link)
        notes += self._hands(work).jobs.send(step.taken, done, before_write)
        user.shown.append(_as_shown(record, done))
        told = ", ".join(f"{one.field} {one.old} → {one.new}" for one in done.shown)
        notes.append(f"the contact {step.taken} of the move: {told or 'stays as it is'}")
        return done

    # --- what was done -------------------------------------------------------------------------

    def _finish(self, work: Work, users: Sequence[_User]) -> None:
        run = _run(work)
        for user in users:
            for told in user.told:
                self._tell(work, user, told)
            for record, removed in user.shown:
                self.finding.learn(record)
                if removed:
                    self.finding.unlearn(record.id, [key(address) for address in removed])
        if work.activities:
            work.wrote = True
            self.log.add(work.activities)
            work.activities.clear()
        written = [
            item
            for user in users
            if any(told.marks for told in user.told)
            for item in written_records(user.claimed, user.link)
        ]
        self.itglue.send(work.connection.id, written, bulk=not work.fresh)
        self.outcomes.put(run, [told.outcome for user in users for told in user.told])
        saved = self.links.save([_unclaimed(user, self.now) for user in users])
        marked: list[str] = []
        for user in users:
            link = user.link
            me = Owner(work.connection.id, link.user_id)
            if link.user_id not in saved:
                work.decide_again(link.user_id)
                continue
            for record_type, record_id in user.released:
                self.owners.release(record_type, record_id, me)
            marked += [told.outcome.activity_id for told in user.told if told.marks]
            if user.error is not None:
                work.later[link.user_id] = troubles.as_later(
                    self.connections, work.connection, user.error, self.now(), BMS_DOWN
                )
        self.log.mark_undone(marked, run)
        self._keep(work, [user for user in users if user.link.user_id in saved])

    def _tell(self, work: Work, user: _User, told: _Told) -> None:
        """One line of the activity for what went back; nothing for what did not."""
        outcome = told.outcome
        if not told.marks or not (outcome.changes or told.notes or told.kind == "worklist"):
            return
        work.tell(
            user.link.user_id,
            told.kind,
            user.link.reason,
            replace(user.link, record_id=outcome.record_id),
            outcome.changes,
            (f"undoes {outcome.activity_id}", *told.notes),
            told.trace,
        )
        work.told.pop(user.link.user_id, None)  # an undo settles no failure

    def _keep(self, work: Work, users: Sequence[_User]) -> None:
        """Who is kept as if refused can be found, and decided again, among the holds (R20)."""
        people = [
            HeldUser(
                user.link.user_id,
                user.link.record_id,
                user.link.reason,
                user.link.display_name,
                HoldMark.REFUSED.value,
            )
            for user in users
            if user.link.hold is HoldMark.REFUSED and user.claimed.hold is not HoldMark.REFUSED
        ]
        if people:
            self.holding.kept(work.connection.id, people)
        back = [
            user.link.user_id
            for user in users
            if user.claimed.hold and user.link.hold is HoldMark.NONE
        ]
        if back:
            self.holding.back(work.connection.id, back)
        for user in users:
            if user.look_again:
                again = UserDelta(
                    work.connection.id, (user.link.user_id,), Origin.PERSON, signal_at=self.now()
                )
                self.queues.send(FRESH, encode_user_delta(again))


def _run(work: Work) -> SyncId:
    assert work.delta.sync is not None, "an undo is a run of its own"
    return work.delta.sync


def _unclaimed(user: _User, now: Callable[[], object]) -> Link:
    return replace(user.link, claim=None, etag=user.claimed.etag)


def _refuse_if_nothing(done: PutBack) -> None:
    if done.refused and not done.shown and done.nothing:
        raise _Refused("; ".join(done.refused))


def _not_undone(line: Activity, reason: object) -> UndoOutcome:
    return UndoOutcome(
        line.id,
        line.user_id or UserId(""),
        line.display_name,
        line.record_id,
        False,
        reason=str(reason),
    )


def _told(
    line: Activity,
    record_id: RecordId,
    shown: tuple[FieldChange, ...],
    refused: tuple[str, ...],
    notes: tuple[str, ...],
    trace: Trace,
    *,
    by_hand: bool,
) -> _Told:
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
    return _Told(outcome, kind, None if by_hand else trace, notes, marks=True)


def _as_shown(record: Contact, done: PutBack) -> tuple[Contact, tuple[str, ...]]:
    """The record as BMS holds it now, for the index, and the addresses that it lost."""
    removed = tuple(one.value for one in done.emails if one.operation == "remove")
    active = record.is_active if done.active is None else done.active
    gone = {key(address) for address in removed}
    emails = tuple(one for one in record.emails if key(one.address) not in gone)
    return replace(record, is_active=active, emails=emails), removed
