"""Carry jobs out under claims, and remember what was done (R22).

A claim is written on the link that the decision rests on; only the worker whose claim was written
goes on, and it begins no call to BMS once the claim may have run out. A creation locks the address
as well, so that two users with one address never both get a new record (R9). Afterwards owner,
index, activity and link are written in this order: a worker that dies in between leaves enough to
find its record again. What IT Glue is to hear of is queued before the link, whose claim brings the
job back until then (R27).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager, nullcontext
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from shared.core import trouble_texts
from shared.core.matching import addresses, key
from shared.core.messages import UserDelta, encode_user_delta, pack
from shared.core.model import (
    ConnectionId,
    HoldMark,
    Link,
    LinkState,
    Origin,
    RecordId,
    RecordType,
    Trace,
    UserId,
)
from shared.errors import Limited, PersonMustAct, Rejected, SyncError, TryLater, Uncertain
from shared.ports import (
    FRESH,
    LEAVERS,
    ActivityLog,
    AddressEntry,
    AddressIndex,
    Conflicts,
    Connections,
    Links,
    Now,
    Owner,
    Owners,
    Queues,
)
from shared.sync import troubles
from shared.sync.address_reading import known_of
from shared.sync.claims import give_back, guard, take_claims
from shared.sync.contact_jobs import (
    Change,
    ContactJobs,
    Create,
    Deactivate,
    Done,
    Job,
    NoLongerMatches,
    RecordGone,
    TakeOver,
)
from shared.sync.finding import FindRecords
from shared.sync.holding import Holding
from shared.sync.itglue_queue import QueueForItGlue, written_records
from shared.sync.work import CLAIM_LIFE, Told, Work

BMS_DOWN = timedelta(minutes=1)
_A_MOMENT = timedelta(seconds=5)
_FEWEST, _MOST = 24, 100  # jobs at once; a transaction holds a hundred writes
_FIRST = 50
# Far below the life of its claims. Many messages share the threads, so that each of them seems
# slow: with less time they would all work in small chunks, and write as many transactions more.
_A_CHUNK = timedelta(seconds=8)


class Pace:
    """How many jobs are claimed at once: as many as BMS does in some seconds.

    The more, the fewer transactions; but claims run out, and a slice of time ends between two
    chunks only.
    """

    def __init__(self) -> None:
        self.size = _FIRST

    def took(self, jobs: int, time: timedelta) -> None:
        """Learn from a chunk that was done."""
        fitting = jobs * _A_CHUNK // max(time, timedelta(milliseconds=1))
        self.size = max(_FEWEST, min(_MOST, fitting))


@dataclass(frozen=True, slots=True)
class Hands:
    """Who writes to BMS for one lane: its threads, and its share of the hourly limit (R25)."""

    jobs: ContactJobs
    pool: Executor
    # How many of so many jobs the share pays for, within the block.
    room: Callable[[int], AbstractContextManager[int]] = nullcontext
    pace: Pace = field(default_factory=Pace)


@dataclass(frozen=True)
class Acting:
    """Does the jobs of one message."""

    connections: Connections
    links: Links
    owners: Owners
    index: AddressIndex
    conflicts: Conflicts
    log: ActivityLog
    queues: Queues
    finding: FindRecords
    holding: Holding
    itglue: QueueForItGlue
    fresh: Hands
    bulk: Hands
    leavers: Hands  # of their own, so that they never queue behind other bulk work
    now: Now

    def act(self, work: Work, jobs: Sequence[Job]) -> None:
        """Carry the jobs out, some at a time; what the time slice does not reach is `rest`."""
        hands, start = self._hands(work), 0
        while start < len(jobs):
            left = [job.link.user_id for job in jobs[start:]]
            if start and self.now() > work.until:
                work.rest.extend(left)
                return
            limit = long_wait(work)
            if limit is not None:
                # Claims and locks for what cannot be sent would be taken and given back in vain.
                work.later.update(dict.fromkeys(left, limit))
                return
            try:
                start += self._some(work, hands, jobs[start:])
            except Limited as used_up:
                work.later.update(dict.fromkeys(left, used_up))
                return

    def _some(self, work: Work, hands: Hands, jobs: Sequence[Job]) -> int:
        """Do as many of these as the pace allows and the share pays for; answers how many."""
        pace = hands.pace
        wanted = min(pace.size, len(jobs))
        with hands.room(wanted) as room:
            began = self.now()
            self._chunk(work, jobs[:room])
            time = self.now() - began
        if long_wait(work) is not None:
            pace.size = _FEWEST
        elif room == wanted:
            pace.took(room, time)
        return room

    def _hands(self, work: Work) -> Hands:
        if work.fresh:
            return self.fresh
        return self.leavers if work.queue == LEAVERS else self.bulk

    def _chunk(self, work: Work, jobs: Sequence[Job]) -> None:
        hands = self._hands(work)
        taken_at = self.now()
        claimed = self._claim(work, jobs, taken_at)
        owning = self._take_owners(work, claimed)
        going, locked = self._lock_addresses(work, owning, taken_at)

        before_write = guard(self.now, taken_at)
        used_up: list[Limited] = []

        def carry_out(job: Job) -> Done | SyncError:
            if used_up:
                return used_up[0]  # the others would wait for it as well, with their claims
            try:
                return hands.jobs.do(job, before_write)
            except Limited as error:
                used_up.append(error)
                return error
            except SyncError as error:
                return error

        # A copy each: a context belongs to one thread at a time.
        contexts = [copy_context() for _ in going]
        results = list(hands.pool.map(lambda own, job: own.run(carry_out, job), contexts, going))
        finished: list[tuple[Job, Done]] = []
        waiting: list[tuple[Job, Limited]] = []
        for job, result in zip(going, results, strict=True):
            if isinstance(result, Done):
                finished.append((job, result))
            elif isinstance(result, Limited):
                waiting.append((job, result))
            else:
                self._undone(work, job, result, locked.get(job.link.user_id))
        self._wait(work, waiting, locked)
        self._finish(work, finished, locked)

    # --- claims and locks ----------------------------------------------------------------------

    def _claim(self, work: Work, jobs: Sequence[Job], now: datetime) -> list[Job]:
        wanted = [(job.link, isinstance(job, Create)) for job in jobs]
        claimed = take_claims(self.links, work, wanted, now)
        return [
            replace(job, link=claimed[job.link.user_id])
            for job in jobs
            if job.link.user_id in claimed
        ]

    def _take_owners(self, work: Work, jobs: Sequence[Job]) -> list[Job]:
        """Own the record before it is written (R9).

        The claim is there first: whoever finds us as the owner sees that we are at work.
        """
        going: list[Job] = []
        for job in jobs:
            if self._owns(work, job):
                going.append(job)
            else:
                give_back(self.links, [job.link])
                work.decide_again(job.link.user_id)
        return going

    def _owns(self, work: Work, job: Job) -> bool:
        me = Owner(work.connection.id, job.link.user_id)
        if isinstance(job, TakeOver):
            return self.owners.take(RecordType.CONTACT, job.record_id, me, over=job.former_owner)
        if isinstance(job, Change) and job.returning:
            # Written anew, so that whoever saw him as gone no longer takes the record over (R19).
            return self.owners.take(RecordType.CONTACT, job.record_id, me, over=job.owner_seen)
        return True

    def _lock_addresses(
        self, work: Work, jobs: Sequence[Job], now: datetime
    ) -> tuple[list[Job], dict[UserId, AddressEntry]]:
        """Lock each new contact's address, provided it is still as it was when we matched."""
        wishes: dict[str, tuple[Create, AddressEntry]] = {}
        lost: list[Job] = []
        for job in jobs:
            if not isinstance(job, Create):
                continue
            address = key(job.wanted.email)
            if address in wishes:
                lost.append(job)
                continue
            entry = job.seen or AddressEntry(address)
            until = now + CLAIM_LIFE
            locking = replace(entry, creating_for=job.link.user_id, creating_until=until)
            wishes[address] = (job, locking)
        locked = self.index.change([entry for _, entry in wishes.values()]) if wishes else {}
        lost += [job for address, (job, _) in wishes.items() if address not in locked]
        if lost:
            give_back(self.links, [job.link for job in lost])
            for job in lost:
                work.decide_again(job.link.user_id)
        without = {job.link.user_id for job in lost}
        held = {
            job.link.user_id: locked[address]
            for address, (job, _) in wishes.items()
            if address in locked
        }
        return [job for job in jobs if job.link.user_id not in without], held

    # --- what was done -------------------------------------------------------------------------

    def _finish(
        self,
        work: Work,
        finished: Sequence[tuple[Job, Done]],
        locked: dict[UserId, AddressEntry],
    ) -> None:
        if not finished:
            return
        work.wrote = True
        now = self.now()
        links: list[Link] = []
        owned: list[tuple[RecordId, Owner]] = []
        entries: list[AddressEntry] = []
        back: list[UserId] = []
        for job, done in finished:
            user = job.link.user_id
            if done.created and done.record is not None:
                entry = locked[user]
                known = (*entry.known, known_of(done.record))
                entries.append(replace(entry, known=known, creating_for=None, creating_until=None))
                owned.append((done.record.id, Owner(work.connection.id, user)))
            elif done.record is not None:
                self.finding.learn(done.record, done_for=user)
            after = replace(
                done.link,
                in_conflict=False,
                refused=False,
                hold=HoldMark.NONE,
                claim=None,
                updated_at=now,
            )
            links.append(work.named(after))
            if job.link.hold and not isinstance(job, Deactivate):
                back.append(user)
            if done.kind == "unchanged":
                work.told[user] = Told("nothing", "is up to date")
            else:
                trace = Trace(
                    replace(job.link, claim=None),
                    done.link.record_type,
                    created=done.created,
                    added=done.added,
                )
                work.tell(user, done.kind, done.reason, done.link, done.changes, done.notes, trace)
            if done.unfinished:
                work.later[user] = TryLater("a second call to BMS is still to be made")
        if owned:
            self.owners.take_new(RecordType.CONTACT, owned)
        if entries:
            self.index.put(entries)  # from here on others find the record, and whose it is
        if work.activities:
            self.log.add(work.activities)
            work.activities.clear()
        written = [item for job, done in finished for item in written_records(job.link, done.link)]
        self.itglue.send(work.connection.id, written, bulk=not work.fresh)
        saved = self.links.save(links)
        left: set[RecordId] = set()
        for job, done in finished:
            if job.link.user_id not in saved:
                work.decide_again(job.link.user_id)
            left |= self._released(work, job, done)
        if left:
            self._settle_conflicts(left)
        back = [user for user in back if user in saved]
        if back:
            self.holding.back(work.connection.id, back)

    def _released(self, work: Work, job: Job, done: Done) -> set[RecordId]:
        """The records that a user has left with this job."""
        before, after = job.link, done.link
        left: RecordId | None = None
        if isinstance(job, Deactivate):
            left = job.record_id
        elif before.record_id is not None and (before.record_type, before.record_id) != (
            after.record_type,
            after.record_id,
        ):
            left = before.record_id
            me = Owner(work.connection.id, before.user_id)
            self.owners.release(before.record_type, left, me)
        if before.in_conflict:
            self.conflicts.settle(work.connection.id, before.user_id)
        return set() if left is None else {left}

    def _settle_conflicts(self, left: set[RecordId]) -> None:
        """A record that somebody left may settle another user's conflict, wherever (R9)."""
        waiting: dict[ConnectionId, list[UserId]] = {}
        for one in self.conflicts.list():
            if one.state == "open" and left.intersection(one.record_ids):
                waiting.setdefault(one.connection_id, []).append(one.user_id)
        for connection_id, users in waiting.items():
            signal = UserDelta(connection_id, (), Origin.SWEEP, signal_at=self.now())
            for delta in pack(signal, users):
                self.queues.send(FRESH, encode_user_delta(delta))

    # --- what was not --------------------------------------------------------------------------

    def _wait(
        self,
        work: Work,
        waiting: Sequence[tuple[Job, Limited]],
        locked: dict[UserId, AddressEntry],
    ) -> None:
        """Nothing was sent for them: they come back when the limit allows."""
        if not waiting:
            return
        users = {job.link.user_id: error for job, error in waiting}
        locks = [lock for user, lock in locked.items() if user in users]
        if locks:
            free = [replace(lock, creating_for=None, creating_until=None) for lock in locks]
            self.index.put(free)
        give_back(self.links, [job.link for job, _ in waiting])
        work.later.update(users)

    def _undone(self, work: Work, job: Job, error: SyncError, lock: AddressEntry | None) -> None:
        user = job.link.user_id
        if isinstance(job, Create) and isinstance(error, Uncertain):
            # Claim and lock stay, the claim as run out: the next look searches BMS first.
            if job.link.claim is not None:
                claim = replace(job.link.claim, until=self.now())
                self.links.save([replace(job.link, claim=claim)])
            work.later[user] = TryLater(error.sentence, timedelta(seconds=5))
            return
        if lock is not None:
            self.index.put([replace(lock, creating_for=None, creating_until=None)])
        if isinstance(job, TakeOver) and not isinstance(error, TryLater):
            me = Owner(work.connection.id, user)
            self.owners.release(RecordType.CONTACT, job.record_id, me)
        if isinstance(error, PersonMustAct) and error.code == trouble_texts.ENTRIES:
            # This user waits for a person, and so do all e-mails and phones; the rest goes on.
            self._whole_bms(work, error)
            self._rejected(work, job, error)
        elif isinstance(error, Rejected):
            self._rejected(work, job, error)
        elif isinstance(error, RecordGone):
            self._record_gone(work, job, error)
        else:
            if isinstance(error, NoLongerMatches) and isinstance(job, TakeOver):
                self.finding.unlearn(job.record_id, job.keys)
                self.finding.learn(error.contact)
            give_back(self.links, [job.link])
            work.later[user] = self._whole_bms(work, error)

    def _whole_bms(self, work: Work, error: SyncError) -> SyncError:
        connection = work.connection
        return troubles.as_later(self.connections, connection, error, self.now(), BMS_DOWN)

    def _record_gone(self, work: Work, job: Job, error: RecordGone) -> None:
        """R8: match again by address, else create anew, and say so."""
        user = job.link.user_id
        if isinstance(job, TakeOver):
            self.finding.unlearn(error.record_id, job.keys)
            give_back(self.links, [job.link])
        else:
            keys = [key(job.link.address)] if job.link.address else []
            if user in work.users:
                keys += addresses(work.users[user], work.connection.email_source)
            self.finding.unlearn(error.record_id, keys)
            me = Owner(work.connection.id, user)
            self.owners.release(RecordType.CONTACT, error.record_id, me)
            reason = f"record {error.record_id} is gone in BMS"
            self.links.save(
                [
                    replace(
                        job.link,
                        state=LinkState.PENDING,
                        record_id=None,
                        account_id=None,
                        rule_account_id=None,
                        fingerprint="",
                        written={},
                        reason=reason,
                        claim=None,
                    )
                ]
            )
            work.tell(user, "note", f"{reason}: the user is matched again", job.link)
        work.decide_again(user)

    def _rejected(self, work: Work, job: Job, error: PersonMustAct) -> None:
        """BMS refused this one: told once, tried again when the user changes or at a full sync."""
        user = job.link.user_id
        reason = f"{error.sentence} {error.next_step}".strip()
        state = LinkState.FAILED if job.link.record_id is None else job.link.state
        work.told[user] = Told("failure", reason)
        if job.link.reason != reason:
            work.tell(user, "failure", reason, job.link)
        after = replace(job.link, state=state, reason=reason, refused=True, claim=None)
        self.links.save([replace(after, updated_at=self.now())])
        work.failed[user] = error


def long_wait(work: Work) -> Limited | None:
    """The limit that this message has run into, where it is not over in a moment (R25)."""
    for error in work.later.values():
        if isinstance(error, Limited) and (error.after is None or error.after > _A_MOMENT):
            return error
    return None
