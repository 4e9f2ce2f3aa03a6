"""Take user deltas from the queue: gather, decide, act, report.

A message names users, nothing more. For each one the link is read first and Entra second, so that a
claim on the unchanged link proves that nobody decided from a newer look meanwhile (R22). Most users
end at the first step of the decision; the others get a job (seeking, acting). Whatever cannot be
done now goes back to the queue with a delay; one user's trouble never stops the others (R24).
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from shared.core import trouble_texts
from shared.core.decision import (
    Compare,
    FinishMove,
    Forget,
    Nothing,
    Relabel,
    Remember,
    Seek,
    Step,
    TakeOut,
    Wait,
    first_step,
)
from shared.core.fields import wanted_contact
from shared.core.matching import addresses
from shared.core.messages import UserDelta, encode_user_delta
from shared.core.model import (
    Connection,
    GroupId,
    Link,
    LinkState,
    Origin,
    RecordType,
    UserId,
)
from shared.core.rules import Membership, Placement, place
from shared.errors import Limited, PersonMustAct, SyncError, TryLater
from shared.ports import (
    FRESH,
    ActivityLog,
    Conflicts,
    Connections,
    Directories,
    Failure,
    Failures,
    Links,
    Look,
    Now,
    Owner,
    Owners,
    Part,
    Queues,
    Rules,
    Runs,
)
from shared.sync import troubles
from shared.sync.acting import Acting
from shared.sync.contact_jobs import Change, Deactivate, EndMove, Job
from shared.sync.finding import Sought
from shared.sync.leavers import CountLeavers
from shared.sync.seeking import Seeking
from shared.sync.work import Told, Work, wait_for_lock

log = logging.getLogger(__name__)

_FRESH_SLICE = timedelta(seconds=60)
_BULK_SLICE = timedelta(seconds=20)  # a bulk message ends soon and hands its rest on
_BACK_OFF = (2, 5, 15, 30, 60, 120, 300, 600)
_MOST_TRIES = 14
_LOOK_AGAIN = (3, 15, 60)
_PARKED = timedelta(minutes=2)


@dataclass(frozen=True)
class Apply:
    """The use case behind the user-delta queues."""

    connections: Connections
    rules: Rules
    links: Links
    owners: Owners
    conflicts: Conflicts
    log: ActivityLog
    runs: Runs
    failures: Failures
    queues: Queues
    directories: Directories
    leavers: CountLeavers
    seeking: Seeking
    acting: Acting
    now: Now

    # --- from the queue, or for a person who waits ---------------------------------------------

    def handle(self, delta: UserDelta, queue: str) -> None:
        """Decide and write for the users of one message; what is left goes back to its queue."""
        connection = self.connections.get(delta.connection_id)
        if connection is None or connection.first_sync_at is None:
            return  # deleted meanwhile, or nobody asked for its first sync (R5)
        if not connection.may_write:
            self.queues.send(queue, encode_user_delta(delta), _PARKED)
            return
        work = self._work(connection, delta, _FRESH_SLICE if queue == FRESH else _BULK_SLICE)
        try:
            self._run(work)
        except SyncError as error:
            self._all_later(work, error)
        self._report(work, queue)

    def one(self, connection: Connection, user_id: UserId) -> Told:
        """This one user now. Raises SyncError when it cannot be done at present."""
        delta = UserDelta(connection.id, (user_id,), Origin.PERSON, signal_at=self.now())
        work = self._work(connection, delta, _FRESH_SLICE)
        self._run(work)
        if work.activities:
            self.log.add(work.activities)
        if user_id in work.later:
            raise work.later[user_id]
        return work.told.get(user_id, Told("nothing", "is up to date"))

    def _work(self, connection: Connection, delta: UserDelta, time: timedelta) -> Work:
        return Work(
            connection=connection,
            delta=delta,
            rules=[
                rule
                for rule in self.rules.live(connection.id)
                if rule.record_type is RecordType.CONTACT
            ],
            directory=self.directories.open(connection),
            until=self.now() + time,
            now=self.now,
        )

    def _run(self, work: Work) -> None:
        looks = self._gather(work)
        steps = self._hold_back(work, self._still_theirs(work, self._decide(work, looks)))
        self.acting.act(work, self._jobs(work, steps))

    # --- gather ------------------------------------------------------------------------------

    def _gather(self, work: Work) -> dict[UserId, Look]:
        """Links first, Entra second (R22)."""
        now = self.now()
        users = list(dict.fromkeys(work.delta.users))
        work.links = self.links.get_many(work.connection.id, users)
        free = []
        for user in users:
            link = work.links.get(user)
            if link is not None and link.claim is not None and link.claim.until > now:
                wait = wait_for_lock(link.claim.until - now)
                work.later[user] = TryLater("is being written just now", wait, counts=False)
            else:
                free.append(user)
        enabled = [rule for rule in work.rules if rule.enabled]
        groups = sorted({rule.group_id for rule in enabled})
        direct = any(not rule.include_nested for rule in enabled)
        looks: dict[UserId, Look] = {}
        for user, look in work.directory.look(free, groups, direct=direct).items():
            if isinstance(look, SyncError):
                work.later[user] = look
            else:
                looks[user] = look
        return looks

    # --- decide ------------------------------------------------------------------------------

    def _decide(self, work: Work, looks: dict[UserId, Look]) -> dict[UserId, Step]:
        doubtful = self._doubtful(work, looks)
        unreadable = self._unreadable(work, doubtful) if doubtful else frozenset()
        steps: dict[UserId, Step] = {}
        for user, look in looks.items():
            placement: Placement | None = None
            if look.user is not None:
                work.users[user] = look.user
                membership = Membership(look.member_of, look.direct, unreadable)
                placement = place(look.user, membership, work.rules)
                work.wanted[user] = wanted_contact(look.user, work.connection.email_source)
            steps[user] = first_step(
                placement,
                work.wanted.get(user),
                work.links.get(user),
                on_leave=work.connection.on_leave,
                match_scope=work.connection.match_scope,
            )
        return steps

    def _doubtful(self, work: Work, looks: dict[UserId, Look]) -> set[GroupId]:
        """Groups whose absence would make somebody leave or move: are they there at all? (R22)"""
        groups = {rule.id: rule.group_id for rule in work.rules if rule.enabled}
        doubtful = set()
        for user, look in looks.items():
            link = work.links.get(user)
            if link is None or link.record_id is None or link.rule_id is None:
                continue
            group = groups.get(link.rule_id)
            if group is not None and look.user is not None and group not in look.member_of:
                doubtful.add(group)
        return doubtful

    def _unreadable(self, work: Work, groups: set[GroupId]) -> frozenset[GroupId]:
        found = work.directory.groups(sorted(groups))
        bad: set[GroupId] = set()
        for group in groups:
            state = found.get(group)
            if isinstance(state, TryLater):
                raise state  # it may well be there
            if isinstance(state, SyncError) or state is None or state.hidden:
                bad.add(group)
        if bad:
            troubles.record(
                self.connections,
                work.connection.id,
                trouble_texts.unreadable_groups(sorted(bad), self.now()),
                seen=work.connection,
            )
        return frozenset(bad)

    def _still_theirs(self, work: Work, steps: dict[UserId, Step]) -> dict[UserId, Step]:
        """Who comes back gets his record again, unless it has passed to another user (R19)."""
        back = {
            user: step
            for user, step in steps.items()
            if isinstance(step, Compare) and step.returning
        }
        if not back:
            return steps
        owners = self.owners.get_many(
            RecordType.CONTACT, [step.record_id for step in back.values()]
        )
        after = dict(steps)
        for user, step in back.items():
            owner = owners.get(step.record_id)
            work.owners[user] = owner
            if owner is None or owner == Owner(work.connection.id, user):
                continue
            account = step.rule.account_id
            if account is not None:
                only_there = work.connection.match_scope == "account"
                work.links[user] = replace(
                    work.link_of(user),
                    state=LinkState.PENDING,
                    record_id=None,
                    account_id=None,
                    rule_account_id=None,
                    written={},
                )
                after[user] = Seek(step.rule, account, only_there, reason=step.reason)
        return after

    def _hold_back(self, work: Work, steps: dict[UserId, Step]) -> dict[UserId, Step]:
        """R20: leavers of one message are counted together before the first is written."""
        leaving = {
            user: step.reason
            for user, step in steps.items()
            if isinstance(step, TakeOut) or (isinstance(step, Seek) and step.leaving is not None)
        }
        if not leaving:
            return steps
        if self.leavers.allow(work.connection, list(leaving), work.delta.together):
            if work.bulk:
                troubles.clear_seen(self.connections, work.connection, {trouble_texts.LEAVERS})
            return steps
        trouble = trouble_texts.too_many_leavers(
            len(leaving), work.connection.hold_limit, self.now()
        )
        troubles.record(self.connections, work.connection.id, trouble, seen=work.connection)
        waiting = dict(steps)
        for user, reason in leaving.items():
            waiting[user] = Remember(
                work.link_of(user).state,
                "hold",
                f"waits, since too many leave at once: {reason}",
                True,
            )
        return waiting

    # --- act: what needs no claim at once, the rest as jobs --------------------------------------

    def _jobs(self, work: Work, steps: dict[UserId, Step]) -> list[Job]:
        jobs: list[Job] = []
        saves: list[Link] = []
        gone: list[Link] = []
        sought: list[Sought] = []
        settled: list[UserId] = []
        for user, step in steps.items():
            link = work.links.get(user)
            if link is not None and link.in_conflict and _ends_conflict(step):
                settled.append(user)
                if isinstance(step, Nothing):
                    saves.append(replace(link, in_conflict=False))
            match step:
                case Nothing() | Wait():
                    work.told[user] = Told("nothing", step.reason)
                    if self._not_seen_yet(work, link):
                        work.again.append(user)
                case Forget():
                    work.told[user] = Told("nothing", "is in no mapped group")
                    gone += [link] if link is not None else []
                case Remember():
                    saves.extend(self._remember(work, user, step, link))
                case Relabel():
                    work.told[user] = Told("nothing", "another rule wins; BMS stays the same")
                    link_after = replace(work.link_of(user), in_conflict=False, claim=None)
                    saves.append(replace(link_after, rule_id=step.rule.id))
                case Seek():
                    keys = addresses(work.users[user], work.connection.email_source)
                    sought.append(Sought(user, tuple(keys), step))
                case Compare():
                    jobs.append(
                        Change(
                            work.link_of(user),
                            step.rule,
                            work.wanted[user],
                            step.record_id,
                            step.reason,
                            step.set_location,
                            step.location_only,
                            step.returning,
                            work.owners.get(user),
                        )
                    )
                case FinishMove():
                    jobs.append(EndMove(work.link_of(user), step.reason))
                    work.decide_again(user)
                case TakeOut():
                    jobs.append(Deactivate(work.link_of(user), step.record_id, step.reason))
        if saves:
            saved = self.links.save([work.named(link) for link in saves])
            for link in saves:
                if link.user_id not in saved:
                    work.decide_again(link.user_id)
        if gone:
            self.links.remove(gone)
        for user in settled:
            self.conflicts.remove(work.connection.id, user)
        if sought:
            jobs.extend(self.seeking.jobs(work, sought))
        return jobs

    def _not_seen_yet(self, work: Work, link: Link | None) -> bool:
        """A group change was signalled, yet nothing differs: replicas may lag (graph.md 3.7)."""
        signal = work.delta.signal_at
        if not work.delta.membership or signal is None or work.delta.looks >= len(_LOOK_AGAIN):
            return False
        return link is None or link.updated_at is None or link.updated_at < signal

    def _remember(
        self, work: Work, user: UserId, step: Remember, link: Link | None
    ) -> Iterable[Link]:
        if link is not None and link.state is step.state and link.reason == step.reason:
            work.told[user] = Told(step.kind, step.reason)
            return []
        work.tell(user, step.kind, step.reason, link)
        base = work.link_of(user)
        return [
            replace(
                base,
                state=step.state,
                reason=step.reason,
                in_conflict=False,
                fingerprint=base.fingerprint if step.keep_fingerprint else "",
                updated_at=self.now(),
                claim=None,
            )
        ]

    # --- report --------------------------------------------------------------------------------

    def _report(self, work: Work, queue: str) -> None:
        if work.activities:
            self.log.add(work.activities)
            work.activities.clear()
        if work.wrote:
            troubles.clear_seen(self.connections, work.connection, trouble_texts.BMS)
        delta = work.delta
        left = list(dict.fromkeys([*work.rest, *work.later]))
        finished = len(set(delta.users)) - len(left)
        failed = len(work.failed - set(left))
        after = replace(delta, done=delta.done + finished - failed, failed=delta.failed + failed)
        if left:
            self._send_rest(work, queue, after, left)
        elif delta.sync:
            self.runs.part(Part(delta.sync, delta.part, after.done, after.failed, self.now()))
        if work.again:
            later = UserDelta(
                delta.connection_id,
                tuple(work.again),
                delta.origin,
                signal_at=delta.signal_at,
                upper_bound=delta.upper_bound,
                membership=True,
                looks=delta.looks + 1,
            )
            delay = timedelta(seconds=_LOOK_AGAIN[delta.looks])
            self.queues.send(queue, encode_user_delta(later), delay)
        log.info(
            "decided connection=%s origin=%s users=%d %s later=%d",
            work.connection.id,
            delta.origin.value,
            len(delta.users),
            " ".join(f"{kind}={count}" for kind, count in _counts(work.told.values()).items()),
            len(left),
        )

    def _send_rest(self, work: Work, queue: str, delta: UserDelta, left: Sequence[UserId]) -> None:
        """Bring back what could not be done now; `delta` has the progress so far."""
        errors = list(work.later.values())
        counting = any(not isinstance(error, TryLater) or error.counts for error in errors)
        progress = delta.done + delta.failed > work.delta.done + work.delta.failed
        tries = 0 if progress or not counting else delta.tries + 1
        rest = replace(delta, users=tuple(left), tries=tries)
        if tries > _MOST_TRIES:
            self._give_up(work, queue, rest)
            return
        delay = timedelta(0) if work.rest else _delay(errors, tries)
        self.queues.send(queue, encode_user_delta(rest), delay)
        if delta.sync:
            limited = sum(1 for one in errors if isinstance(one, Limited))
            progress_so_far = Part(
                delta.sync,
                delta.part,
                delta.done,
                delta.failed,
                self.now(),
                waiting_for_budget=limited,
                finished=False,
            )
            self.runs.part(progress_so_far)

    def _give_up(self, work: Work, queue: str, rest: UserDelta) -> None:
        """After hours of trying, a person looks at it; a full sync tries these users again."""
        sentence = next((error.sentence for error in work.later.values()), "It kept failing.")
        self.failures.add(
            Failure(
                id=uuid.uuid4().hex,
                connection_id=work.connection.id,
                at=self.now(),
                cause="kept failing",
                sentence=sentence,
                next_step="Mend what the sentence names, then start a full sync.",
                message=encode_user_delta(replace(rest, tries=0)),
                queue=queue,
            )
        )
        for user in rest.users:
            work.tell(user, "failure", sentence, work.links.get(user))
        self.log.add(work.activities)
        work.activities.clear()
        if rest.sync:
            failed = rest.failed + len(rest.users)
            self.runs.part(Part(rest.sync, rest.part, rest.done, failed, self.now()))

    def _all_later(self, work: Work, error: SyncError) -> None:
        """Trouble with the whole message: who was not decided comes back."""
        if isinstance(error, PersonMustAct):
            trouble = troubles.trouble_of(error, self.now())
            troubles.record(self.connections, work.connection.id, trouble, seen=work.connection)
            error = TryLater(error.sentence, _PARKED, counts=False)
        for user in work.delta.users:
            if user not in work.told:
                work.later[user] = error


def _ends_conflict(step: Step) -> bool:
    """Whether nobody is sought any more, and no job that ends it follows."""
    return isinstance(step, Nothing | Forget | Remember | Relabel)


def _counts(told: Iterable[Told]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for one in told:
        counts[one.kind] = counts.get(one.kind, 0) + 1
    return counts


def _delay(errors: Sequence[SyncError], tries: int) -> timedelta:
    """How long to leave it: what the other side asked for, else growing waits."""
    asked = [
        error.after for error in errors if isinstance(error, TryLater) and error.after is not None
    ]
    if asked and len(asked) == len(errors):
        return min(asked)
    return timedelta(seconds=_BACK_OFF[min(tries, len(_BACK_OFF) - 1)])
