"""Take back what decisions wrote, user by user, under claims like every other write (R22).

A message names lines of the activity. A user's lines go back newest first, each from what BMS holds
at that moment, so that a message that comes twice finds everything done. Written in this order:
BMS, activity, IT Glue's queue, outcome, the list of who is kept, link, the mark on the line; a
worker that dies in between is followed by one that finds the fields back already, or the move.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import copy_context
from dataclasses import dataclass, replace

from shared.core.fields import wanted_contact
from shared.core.matching import key
from shared.core.messages import UserDelta, encode_user_delta
from shared.core.model import (
    Activity,
    HoldMark,
    Link,
    Origin,
    SyncId,
    UserId,
)
from shared.core.undo import is_back, undo_step
from shared.errors import Limited, SyncError, TryLater
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
from shared.sync.acting import BMS_DOWN, long_wait
from shared.sync.claims import guard, take_claims
from shared.sync.contact_jobs import UNFINISHED
from shared.sync.finding import FindRecords
from shared.sync.holding import Holding
from shared.sync.itglue_queue import QueueForItGlue, written_records
from shared.sync.undo_one import OfUser, Told, UndoOne, not_undone
from shared.sync.work import Work, wait_for_lock

_CHUNK = 24


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
    one: UndoOne
    now: Now

    def run(self, work: Work) -> None:
        """Undo the lines of one message; whoever cannot be written now comes back."""
        by_user: dict[UserId, list[Activity]] = {user: [] for user in work.delta.users}
        # An id counts backwards in time, so that the newest comes first.
        for line in sorted(self.log.get_many(work.delta.lines), key=lambda one: one.id):
            if line.user_id in by_user and line.undone_by != work.delta.sync:
                by_user[line.user_id].append(line)
        work.links = self.links.get_many(work.connection.id, list(by_user))
        self._refuse_at_once(work, by_user)
        free = [user for user, lines in by_user.items() if lines and self._is_free(work, user)]
        self._fingerprints(work, free)
        free = [user for user in free if user not in work.later]
        hands, start = self.one.hands(work), 0
        while start < len(free):
            if start and self.now() > work.until:
                work.rest.extend(free[start:])
                return
            limit = long_wait(work)
            if limit is not None:
                # Claims for what cannot be sent would be taken and given back in vain.
                work.later.update(dict.fromkeys(free[start:], limit))
                return
            some = free[start : start + _CHUNK]
            try:
                with hands.room(len(some)) as room:
                    self._chunk(work, {user: by_user[user] for user in some[:room]})
                    start += room
            except Limited as used_up:
                work.later.update(dict.fromkeys(free[start:], used_up))
                return

    def _refuse_at_once(self, work: Work, by_user: dict[UserId, list[Activity]]) -> None:
        """Whose lines all wrote nothing, or stand otherwise for good, is claimed by nobody."""
        outcomes: list[UndoOutcome] = []
        for user, lines in by_user.items():
            link = work.links.get(user)
            if link is not None and any(is_back(line, link) for line in lines):
                continue
            steps = [(line, undo_step(line, link)) for line in lines]
            if all(isinstance(step, str) for _, step in steps):
                outcomes += [not_undone(line, step) for line, step in steps]
                lines.clear()
        if outcomes:
            self.outcomes.put(_run(work), outcomes)

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
        try:
            looks = work.directory.look(unfinished, (), direct=False) if unfinished else {}
        except SyncError as error:  # nobody else needs Entra
            work.later.update(dict.fromkeys(unfinished, error))
            return
        for user, look in looks.items():
            if isinstance(look, SyncError):
                work.later[user] = look
            elif look.user is not None:
                wanted = wanted_contact(look.user, work.connection.email_source)
                work.links[user] = replace(work.links[user], fingerprint=wanted.fingerprint)

    # --- some users at a time --------------------------------------------------------------------

    def _chunk(self, work: Work, lines: dict[UserId, list[Activity]]) -> None:
        taken_at = self.now()
        wanted = [(work.links[user], False) for user in lines if user in work.links]
        claimed = take_claims(self.links, work, wanted, taken_at)
        users = [OfUser(link, lines[user]) for user, link in claimed.items()]
        self._saved_before(work, users)
        before_write = guard(self.now, taken_at)
        hands = self.one.hands(work)
        contexts = [copy_context() for _ in users]
        list(
            hands.pool.map(
                lambda own, user: own.run(self.one.undo, work, user, before_write), contexts, users
            )
        )
        if users:
            self._finish(work, users)

    def _saved_before(self, work: Work, users: Sequence[OfUser]) -> None:
        """Of a worker that died after it had saved a move back: what it did is only to be ended."""
        back = {line.id for user in users for line in user.lines if is_back(line, user.claimed)}
        if back:
            known = self.outcomes.get_many(_run(work), sorted(back))
            for user in users:
                user.saved = {one.activity_id: one for one in known if one.undone}

    # --- what was done -------------------------------------------------------------------------

    def _finish(self, work: Work, users: Sequence[OfUser]) -> None:
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
        self._list_kept(work, users)
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
        self._settle(work, [user for user in users if user.link.user_id in saved])

    def _tell(self, work: Work, user: OfUser, told: Told) -> None:
        """One line of the activity for what went back, even if a worker that died did it."""
        outcome = told.outcome
        if not told.is_news:
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

    def _list_kept(self, work: Work, users: Sequence[OfUser]) -> None:
        """Who is kept as if refused can be found, and decided again, among the holds (R20).

        Listed before the mark is written: no mark is ever without a list that shows it.
        """
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

    def _settle(self, work: Work, users: Sequence[OfUser]) -> None:
        """What follows once the links say so."""
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


def _unclaimed(user: OfUser, now: Callable[[], object]) -> Link:
    return replace(user.link, claim=None, etag=user.claimed.etag)
