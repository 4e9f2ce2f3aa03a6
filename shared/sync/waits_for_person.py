"""What of one user waits for a person: a hold, a conflict, a failure, an item on the worklist."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from shared.core.explanation import WaitingSaid
from shared.core.model import ConnectionId, HoldMark, Link, UserId
from shared.ports import Conflicts, Failures, Holds, Worklist


@dataclass(frozen=True, slots=True)
class WaitsForPerson:
    """Looks through what waits."""

    holds: Holds
    conflicts: Conflicts
    failures: Failures
    worklist: Worklist

    def of(
        self, connection_id: ConnectionId, user_id: UserId, link: Link | None
    ) -> Iterator[WaitingSaid]:
        """What is open about this user, most urgent first."""
        if link is None:
            return
        if link.hold is HoldMark.WAITING:
            for hold in self.holds.list(connection_id=connection_id, state="open"):
                for one in self.holds.people(hold, [user_id]):
                    if one.state == "waiting":
                        sentence = f"The deactivation waits in a hold: {one.reason}."
                        yield WaitingSaid("hold", hold.id, sentence)
        conflict = self.conflicts.get(connection_id, user_id)
        if conflict is not None and conflict.state == "open":
            sentence = f"A person must choose the record: {conflict.reason}."
            yield WaitingSaid("conflict", conflict.id, sentence)
        if link.refused:
            for failure in self.failures.list():
                if (failure.connection_id, failure.user_id) == (connection_id, user_id):
                    sentence = f"The last write failed: {failure.sentence} {failure.next_step}"
                    yield WaitingSaid("failure", failure.id, sentence.strip())
        item = self.worklist.get(connection_id, user_id) if link.task else None
        if item is not None:
            sentence = f"The worklist has an item to {item.kind.value} the employee: {item.reason}."
            yield WaitingSaid("worklist", item.id, sentence)
