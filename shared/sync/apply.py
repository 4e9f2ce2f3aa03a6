"""Take user deltas from the queue, have them decided and carried out, and report.

A message names users, nothing more. Whatever cannot be done now goes back to the queue with a
delay; one user's trouble never stops the others (R24).
"""

from __future__ import annotations

from dataclasses import dataclass

from shared.core.messages import UserDelta, encode_user_delta
from shared.core.model import (
    Connection,
    Origin,
    UserId,
)
from shared.errors import SyncError
from shared.ports import (
    FRESH,
    ActivityLog,
    Connections,
    Now,
    Queues,
)
from shared.sync.deciding import Deciding
from shared.sync.outcomes import Outcomes
from shared.sync.pacing import Pacing
from shared.sync.undoing import Undoing
from shared.sync.work import PARKED, Told
from shared.sync.worklist import WorkOff


@dataclass(frozen=True)
class Apply:
    """The use case behind the user-delta queues."""

    connections: Connections
    log: ActivityLog
    queues: Queues
    deciding: Deciding
    work_off: WorkOff
    undoing: Undoing
    outcomes: Outcomes
    pacing: Pacing
    now: Now

    def handle(self, delta: UserDelta, queue: str) -> None:
        """Decide and write for the users of one message; what is left goes back to its queue."""
        connection = self.connections.get(delta.connection_id)
        if connection is None or connection.first_sync_at is None:
            return  # deleted meanwhile, or nobody asked for its first sync (R5)
        if not connection.may_write:
            self.queues.send(queue, encode_user_delta(delta), PARKED)
            return
        wait = self.pacing.wait_before(queue, len(delta.users))
        if wait is not None:
            self.outcomes.wait_for_budget(delta, queue, wait)
            return
        began = self.now()
        work = self.deciding.begin(connection, delta, queue)
        try:
            if delta.lines:
                self.undoing.run(work)
            else:
                self.deciding.run(work)
                self.deciding.spend_approvals(work)
            if delta.sync and work.employees:
                # After each part of a full sync (R26), by the list that this message has read.
                self.work_off.look(connection.id, newer_than=began)
        except SyncError as error:
            self.outcomes.all_later(work, error)
        self.outcomes.report(work)

    def one(self, connection: Connection, user_id: UserId) -> Told:
        """This one user now. Raises SyncError when it cannot be done at present."""
        delta = UserDelta(connection.id, (user_id,), Origin.PERSON, signal_at=self.now())
        work = self.deciding.begin(connection, delta, FRESH)
        self.deciding.run(work)
        self.deciding.spend_approvals(work)
        if work.activities:
            self.log.add(work.activities)
        self.outcomes.keep_failures(work)
        if user_id in work.later:
            raise work.later[user_id]
        return work.told.get(user_id, Told("nothing", "is up to date"))
