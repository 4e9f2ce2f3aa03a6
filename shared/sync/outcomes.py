"""What became of a message: progress told, the rest sent back, what kept failing kept (R24).

Whatever could not be done now returns to its queue with a growing wait, as a message of its own, so
that trouble that passes never uses up a message's deliveries. What kept failing for hours becomes a
failure that a person can replay; where nearly everything fails, the connection is stopped.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from shared.core import trouble_texts
from shared.core.messages import UserDelta, encode_user_delta
from shared.core.model import Origin, UserId
from shared.errors import Limited, PersonMustAct, SyncError, TryLater
from shared.measures import DECISIONS, FAILURES, FRESHNESS, correlation_id
from shared.ports import (
    FRESH,
    ActivityLog,
    Connections,
    Failure,
    Failures,
    Now,
    Part,
    Queues,
    Runs,
)
from shared.sync import troubles
from shared.sync.status import is_fresh_write
from shared.sync.work import LOOK_AGAIN, PARKED, Told, Work

log = logging.getLogger(__name__)

_BACK_OFF = (2, 5, 15, 30, 60, 120, 300, 600)
_MOST_TRIES = 80  # half a day, so that an outage of the other side ends without a person
_LAST = 50
_TOO_MANY = 0.4  # of the last decisions
_LOOK_BACK = timedelta(days=1)


@dataclass(frozen=True)
class Outcomes:
    """The end of every message."""

    connections: Connections
    log: ActivityLog
    runs: Runs
    failures: Failures
    queues: Queues
    now: Now

    def wait_for_budget(self, delta: UserDelta, queue: str, wait: timedelta) -> None:
        """Put a message back before anything was read for it (R25)."""
        self.queues.send(queue, encode_user_delta(delta), wait)
        if delta.sync:
            users = len(delta.users)
            part = Part(delta.sync, delta.part, delta.done, delta.failed, self.now(), users, False)
            self.runs.part(part)

    def report(self, work: Work) -> None:
        """Tell the progress, and send back to its queue what could not be done now."""
        if work.activities:
            self.log.add(work.activities)
            work.activities.clear()
        self.keep_failures(work)
        if work.failed:
            self._stop_mass_failure(work)
        if work.wrote:
            troubles.clear_seen(self.connections, work.connection, trouble_texts.BMS)
        delta = work.delta
        left = list(dict.fromkeys([*work.rest, *work.later]))
        finished = len(set(delta.users)) - len(left)
        failed = len(work.failed.keys() - set(left))
        after = replace(delta, done=delta.done + finished - failed, failed=delta.failed + failed)
        if left:
            self._send_rest(work, after, left)
        elif delta.sync:
            self.runs.part(Part(delta.sync, delta.part, after.done, after.failed, self.now()))
        for users, doubted in ((work.again, delta.doubted), (work.doubted, True)):
            self._look_again(work, [user for user in users if user not in left], doubted=doubted)
        counts = _counts(work.told.values())
        _measure(work, counts)
        log.info(
            "decided connection=%s origin=%s users=%d %s later=%d correlation=%s",
            work.connection.id,
            delta.origin.value,
            len(delta.users),
            " ".join(f"{kind}={count}" for kind, count in counts.items()),
            len(left),
            correlation_id(),
        )

    def _look_again(self, work: Work, users: Sequence[UserId], *, doubted: bool) -> None:
        if not users:
            return
        delta = work.delta
        later = UserDelta(
            delta.connection_id,
            tuple(users),
            delta.origin,
            signal_at=delta.signal_at,
            upper_bound=delta.upper_bound,
            membership=delta.membership,
            looks=delta.looks + 1,
            doubted=doubted,
        )
        delay = timedelta(seconds=LOOK_AGAIN[delta.looks])
        self.queues.send(work.queue, encode_user_delta(later), delay)

    def _stop_mass_failure(self, work: Work) -> None:
        """Rather stop than hammer on: more than 40 % of the last 50 decisions failed.

        What fails again as it did before is not told again, and counts all the same.
        """
        connection = work.connection
        since = self.now() - _LOOK_BACK
        if connection.resumed_at is not None:
            since = max(since, connection.resumed_at)
        untold = [work.told[user] for user in work.failed if work.told[user].activity is None]
        reasons = [one.reason for one in untold[:_LAST]]
        counted = len(reasons)
        if counted < _LAST:
            last, _ = self.log.list(connection_id=connection.id, since=since, limit=_LAST - counted)
            counted += len(last)
            reasons += [one.reason for one in last if one.kind == "failure"]
        if counted == _LAST and len(reasons) > _TOO_MANY * _LAST:
            trouble = trouble_texts.mass_failure(len(reasons), _LAST, reasons[0], self.now())
            troubles.record(self.connections, work.connection.id, trouble, seen=work.connection)

    def keep_failures(self, work: Work) -> None:
        """Whom BMS refused, a person finds among the failures until his change is settled."""
        settled = [
            _failure_id(work, user)
            for user in work.told
            if work.link_of(user).refused
            and user not in work.failed
            and user not in work.later
            and user not in work.undecided
        ]
        if settled:
            self.failures.remove(settled)
        if work.failed:
            self.failures.add(*[self._failure(work, *each) for each in work.failed.items()])

    def _failure(self, work: Work, user: UserId, error: PersonMustAct) -> Failure:
        again = UserDelta(work.connection.id, (user,), Origin.PERSON)
        return Failure(
            id=_failure_id(work, user),
            connection_id=work.connection.id,
            at=self.now(),
            cause=error.code,
            sentence=error.sentence,
            next_step=error.next_step,
            message=encode_user_delta(again),
            queue=FRESH,
            user_id=user,
        )

    def _send_rest(self, work: Work, delta: UserDelta, left: Sequence[UserId]) -> None:
        """Bring back what could not be done now; `delta` has the progress so far."""
        errors = list(work.later.values())
        counting = any(not isinstance(error, TryLater) or error.counts for error in errors)
        progress = delta.done + delta.failed > work.delta.done + work.delta.failed
        tries = 0 if progress or not counting else delta.tries + 1
        together = work.together_with(left)
        # Whoever comes back may be linked by now: the next look reads what is remembered of him.
        rest = replace(delta, users=tuple(left), tries=tries, together=together, unlinked=False)
        if tries > _MOST_TRIES:
            self._give_up(work, rest)
            return
        delay = timedelta(0) if work.rest else _delay(errors, tries)
        self.queues.send(work.queue, encode_user_delta(rest), delay)
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

    def _give_up(self, work: Work, rest: UserDelta) -> None:
        """After hours of trying, a person looks at it and replays it."""
        sentence = next((error.sentence for error in work.later.values()), "It kept failing.")
        FAILURES.add(1, {"cause": "kept failing"})
        self.failures.add(
            Failure(
                id=uuid.uuid4().hex,
                connection_id=work.connection.id,
                at=self.now(),
                cause="kept failing",
                sentence=sentence,
                next_step="Mend what the sentence names, then replay this.",
                message=encode_user_delta(replace(rest, tries=0)),
                queue=work.queue,
            )
        )
        for user in rest.users:
            work.tell(user, "failure", sentence, work.links.get(user))
        self.log.add(work.activities)
        work.activities.clear()
        if rest.sync:
            failed = rest.failed + len(rest.users)
            self.runs.part(Part(rest.sync, rest.part, rest.done, failed, self.now()))

    def all_later(self, work: Work, error: SyncError) -> None:
        """Trouble with the whole message: who was not decided comes back."""
        error = troubles.as_later(self.connections, work.connection, error, self.now(), PARKED)
        for user in work.delta.users:
            if user not in work.told:
                work.later[user] = error


def _failure_id(work: Work, user: UserId) -> str:
    """One per user: what fails again takes the place of what failed before."""
    return f"{work.connection.id}.{user}"


def _counts(told: Iterable[Told]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for one in told:
        counts[one.kind] = counts.get(one.kind, 0) + 1
    return counts


def _measure(work: Work, counts: Mapping[str, int]) -> None:
    for kind, count in counts.items():
        DECISIONS.add(count, {"kind": kind})
    for one in work.told.values():
        if one.activity is not None and is_fresh_write(one.activity):
            FRESHNESS.record(one.activity.seconds or 0.0)


def _delay(errors: Sequence[SyncError], tries: int) -> timedelta:
    """How long to leave it: what the other side asked for, else growing waits."""
    asked = [
        error.after for error in errors if isinstance(error, TryLater) and error.after is not None
    ]
    limited = any(isinstance(error, Limited) for error in errors)
    if asked and (limited or len(asked) == len(errors)):
        return min(asked)
    return timedelta(seconds=_BACK_OFF[min(tries, len(_BACK_OFF) - 1)])
