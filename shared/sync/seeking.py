"""From "no link names this user" to a job: take over, create, or ask a person (R6, R9)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.core.matching import Ambiguous, Found, NotFound, key
from shared.core.model import Link, LinkState, RecordType, UserId
from shared.errors import TryLater
from shared.ports import Conflict, Conflicts, Links, Now, Owners, Queues
from shared.sync.address_reading import ReadAddresses
from shared.sync.comparing import CONFLICT_AGE
from shared.sync.contact_jobs import Create, Job, TakeOver
from shared.sync.finding import Answer, FindRecords, Sought
from shared.sync.handing_over import HandingOver
from shared.sync.standing_choice import LEFT_OUT, chosen_match, standing_choice
from shared.sync.work import Told, Work, wait_for_lock

# A create whose answer never came may still take effect for so long.
IN_FLIGHT = timedelta(seconds=90)
# A message whose worker died is back in the queue ten minutes after it was taken (functions.md).
_COMES_BACK = timedelta(minutes=15)
_WAIT_FOR_DEAD = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class Seeking:
    """Matches users and makes their jobs."""

    links: Links
    owners: Owners
    conflicts: Conflicts
    reading: ReadAddresses
    finding: FindRecords
    queues: Queues
    now: Now

    def jobs(self, work: Work, sought: Sequence[Sought]) -> list[Job]:
        """A job for each user who has one match or none; conflicts are remembered and told."""
        now = self.now()
        self.reading.since(_index_since(work, sought))
        going = [one for one in sought if not self._may_be_in_flight(work, one, now)]
        answers = self._answers(work, going)
        free = [one for one in going if not self._is_awaited(work, one, answers[one.user_id], now)]
        left_over = [one for one in free if _locked(answers[one.user_id])]
        for one in left_over:
            # By a worker that died, perhaps after BMS had made the record.
            self.finding.search(one.keys)
        answers |= self._as_stored(work, left_over)
        jobs: list[Job] = []
        for one in free:
            answer = answers[one.user_id]
            if isinstance(answer.match, Ambiguous):
                jobs.extend(self._choice(work, one, answer, answer.match))
            else:
                jobs.append(self._job(work, one, answer))
        return jobs

    def _may_be_in_flight(self, work: Work, one: Sought, now: datetime) -> bool:
        """After a claim that ran out while a record was being made: look in BMS first (R22)."""
        claim = work.link_of(one.user_id).claim
        if claim is None or not claim.creating:
            return False
        if self.finding.search(one.keys):
            return False
        age = now - claim.taken_at
        if age < IN_FLIGHT:
            wait = min(IN_FLIGHT - age, timedelta(seconds=15))
            sentence = "BMS may still be creating the contact."
            work.later[one.user_id] = TryLater(sentence, wait, counts=False)
            return True
        # A filter query may leave rows out (R6): only the full lists prove that there is none.
        self.reading.since(claim.taken_at + IN_FLIGHT)
        return False

    def _answers(self, work: Work, sought: Sequence[Sought]) -> dict[UserId, Answer]:
        answers = self.finding.find(
            work.connection.id, sought, cached=work.bulk, search=not work.bulk
        )
        # A lock may be outdated in this process's copy.
        doubtful = [one for one in sought if _locked(answers[one.user_id])] if work.bulk else []
        return answers | self._as_stored(work, doubtful)

    def _as_stored(self, work: Work, sought: Sequence[Sought]) -> dict[UserId, Answer]:
        if not sought:
            return {}
        return self.finding.find(work.connection.id, sought, cached=False, search=False)

    def _is_awaited(self, work: Work, one: Sought, answer: Answer, now: datetime) -> bool:
        """Whether another user with this address comes first, since a record is made for him (R9).

        A worker that died over it may have left a record without an owner. It was filled with the
        other user's fields, so it is left to him for as long as his message may still come back.
        Of two for whom that is so, each goes on.
        """
        mine = work.link_of(one.user_id).claim
        patient = mine is None or not mine.creating
        for entry in answer.entries.values():
            other, until = entry.creating_for, entry.creating_until
            if other is None or other == one.user_id or until is None:
                continue
            if until > now:
                wait = wait_for_lock(until - now)
            elif patient and now - until < _COMES_BACK and self._was_being_made(work, other):
                wait = _WAIT_FOR_DEAD
            else:
                continue
            sentence = "Another user with this address is being created just now."
            work.later[one.user_id] = TryLater(sentence, wait, counts=False)
            return True
        return False

    def _was_being_made(self, work: Work, user: UserId) -> bool:
        link = self.links.get(work.connection.id, user)
        return link is not None and link.claim is not None and link.claim.creating

    def _job(self, work: Work, one: Sought, answer: Answer) -> Job:
        link, wanted, step = work.link_of(one.user_id), work.wanted[one.user_id], one.step
        if not isinstance(answer.match, Found):
            seen = answer.entries.get(key(wanted.email))
            return Create(link, step.rule, wanted, step.account_id, step.reason, seen, step.leaving)
        return TakeOver(
            link,
            step.rule,
            wanted,
            answer.match.candidate.record_id,
            answer.match.elsewhere,
            one.keys,
            step.reason,
            answer.former_owner,
            step.leaving,
        )

    def _choice(self, work: Work, one: Sought, answer: Answer, found: Ambiguous) -> list[Job]:
        """What a person chose for these very records; else it becomes a conflict (R9)."""
        known = self.conflicts.get(work.connection.id, one.user_id)
        choice = standing_choice(known, found, RecordType.CONTACT)
        if choice is not None and choice.ignore:
            self._leave_out(work, one)
            return []
        match = None if choice is None else chosen_match(choice, one, answer)
        if match is None:
            self._conflict(work, one, found, known)
            return []
        if isinstance(match, Found):
            record_id = match.candidate.record_id
            if not self._handing_over.take(work, one.user_id, record_id)[0]:
                return []
            answer = replace(answer, former_owner=None)
        return [self._job(work, one, replace(answer, match=match))]

    @property
    def _handing_over(self) -> HandingOver:
        stores = (self.links, self.owners, self.conflicts, self.queues)
        return HandingOver(RecordType.CONTACT, *stores, self.now)

    def _leave_out(self, work: Work, one: Sought) -> None:
        link = work.link_of(one.user_id)
        reason = LEFT_OUT
        work.told[one.user_id] = Told("skip", reason)
        if link.reason == reason and link.claim is None:
            return
        state = LinkState.SKIPPED if link.record_id is None else link.state
        after = replace(link, state=state, reason=reason, refused=False, claim=None)
        after = replace(after, updated_at=self.now())
        if self.links.save([work.named(after)]):
            work.tell(one.user_id, "skip", reason, link)
        else:
            work.decide_again(one.user_id)

    def _conflict(self, work: Work, one: Sought, found: Ambiguous, known: Conflict | None) -> None:
        """A person must choose (R9); nothing is written to BMS."""
        link = work.link_of(one.user_id)
        asked = (
            known is not None
            and known.state == "open"
            and known.record_type is RecordType.CONTACT
            and set(known.record_ids) == set(found.record_ids)
        )
        if asked and link.in_conflict and link.reason == found.reason and link.claim is None:
            work.told[one.user_id] = Told("conflict", found.reason)
            return
        now = self.now()
        state = link.state if link.record_id is not None else LinkState.CONFLICT
        after: Link = replace(
            link,
            state=state,
            reason=found.reason,
            in_conflict=True,
            refused=False,
            updated_at=now,
            claim=None,
        )
        self.conflicts.put(
            Conflict(work.connection.id, one.user_id, found.record_ids, found.reason, now)
        )
        if not self.links.save([work.named(after)]):
            work.decide_again(one.user_id)
            return
        notes = (f"records: {', '.join(str(record) for record in found.record_ids)}",)
        work.tell(one.user_id, "conflict", found.reason, link, notes=notes)


def _index_since(work: Work, sought: Sequence[Sought]) -> datetime | None:
    """How new the index must be (R6).

    Bulk work is not searched user by user: as new as its comparison, which read the index for
    those whom it saw to need it; who turns out to need it later finds it read, or reads it.
    """
    began = work.delta.index_since if work.bulk else None
    if began is None:
        return None
    waits = all(work.link_of(one.user_id).in_conflict for one in sought)
    return began - CONFLICT_AGE if waits else began


def _locked(answer: Answer) -> bool:
    return isinstance(answer.match, NotFound) and any(
        entry.creating_for is not None for entry in answer.entries.values()
    )
