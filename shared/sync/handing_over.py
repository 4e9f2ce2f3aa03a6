"""A person gave one user the record of another one: the other has none from here on (R9)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from shared.core.messages import UserDelta, encode_user_delta
from shared.core.model import HoldMark, Link, LinkState, Origin, RecordId, RecordType, UserId
from shared.errors import TryLater
from shared.ports import FRESH, Conflicts, Links, Now, Owner, Owners, Queues
from shared.sync.work import Work, wait_for_lock


@dataclass(frozen=True, slots=True)
class HandingOver:
    """Takes a record from its former user, who is decided again."""

    record_type: RecordType
    links: Links
    owners: Owners
    conflicts: Conflicts
    queues: Queues
    now: Now

    def take(self, work: Work, user: UserId, record_id: RecordId) -> tuple[bool, Owner | None]:
        """Whether the record is free for this user, and who lost it.

        Not free while the other is being written just now; this user is decided again then.
        """
        owner = self.owners.get_many(self.record_type, [record_id]).get(record_id)
        if owner is None or owner == Owner(work.connection.id, user):
            return True, None
        link = self.links.get(owner.connection_id, owner.user_id)
        if link is not None and link.claim is not None and link.claim.until > self.now():
            # His worker writes this very record.
            wait = wait_for_lock(link.claim.until - self.now())
            sentence = "The user whose record was chosen is being written just now."
            work.later[user] = TryLater(sentence, wait, counts=False)
            return False, None
        held = link is not None and link.record_type is self.record_type
        his = link if held and link is not None and link.record_id == record_id else None
        if his is not None and not self.links.save([self._without_record(his)]):
            work.decide_again(user)
            return False, None
        known = self.conflicts.get(owner.connection_id, owner.user_id)
        same_type = known is not None and known.record_type is self.record_type
        if known is not None and same_type and known.chosen == record_id:
            # The later word counts: otherwise the two would take it from each other for ever.
            self.conflicts.put(replace(known, state="open", chosen=None, found_at=self.now()))
        self.owners.release(self.record_type, record_id, owner)
        delta = UserDelta(
            owner.connection_id, (owner.user_id,), Origin.PERSON, signal_at=self.now()
        )
        self.queues.send(FRESH, encode_user_delta(delta), timedelta(seconds=5))
        return True, owner if his is not None else None

    def _without_record(self, link: Link) -> Link:
        return replace(
            link,
            state=LinkState.PENDING,
            record_id=None,
            account_id=None,
            rule_account_id=None,
            fingerprint="",
            written={},
            task="" if self.record_type is RecordType.EMPLOYEE else link.task,
            reason="a person gave this record to another user",
            hold=HoldMark.NONE,
            claim=None,
        )
