"""A person resolves a conflict, once; what was chosen is remembered (R9)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from shared.core.messages import UserDelta, encode_user_delta
from shared.core.model import ConnectionId, Origin, RecordId, UserId
from shared.errors import BadInput
from shared.ports import FRESH, Conflict, Conflicts, Links, Now, Queues


@dataclass(frozen=True, slots=True)
class Choosing:
    """The use case behind a conflict's buttons."""

    conflicts: Conflicts
    links: Links
    queues: Queues
    now: Now

    def resolve(
        self, conflict_id: str, *, record_id: int | None, create: bool, ignore: bool
    ) -> Conflict:
        """Keep the choice and decide the user again with it; BadInput when it is no choice.

        A choice may be changed until it was carried out; the user's link decides from then on.
        """
        conflict = self.get(conflict_id)
        link = self.links.get(conflict.connection_id, conflict.user_id)
        if link is not None and link.record_id is not None and not link.in_conflict:
            # Left over by a worker that died, or carried out: there is nothing to choose.
            self.conflicts.settle(conflict.connection_id, conflict.user_id)
            raise BadInput(
                409, f"This is settled: the user is linked to record {link.record_id} by now."
            )
        if sum((record_id is not None, create, ignore)) != 1:
            raise BadInput(422, "Choose exactly one: recordId, create or ignore.", field="recordId")
        if record_id is not None and record_id not in conflict.record_ids:
            known = ", ".join(str(one) for one in conflict.record_ids)
            raise BadInput(
                422,
                f"Record {record_id} is not one of this conflict's records: choose one of {known}.",
                field="recordId",
            )
        chosen = replace(
            conflict,
            state="resolved",
            chosen=None if record_id is None else RecordId(record_id),
            create=create,
            ignore=ignore,
        )
        self.conflicts.put(chosen)
        delta = UserDelta(
            conflict.connection_id, (conflict.user_id,), Origin.PERSON, signal_at=self.now()
        )
        self.queues.send(FRESH, encode_user_delta(delta))
        return chosen

    def get(self, conflict_id: str) -> Conflict:
        """The conflict; BadInput 404 when there is none."""
        connection, _, user = conflict_id.partition(".")
        key = ConnectionId(connection), UserId(user.lower())
        found = self.conflicts.get(*key) if user else None
        if found is None:
            raise BadInput(
                404,
                "There is no conflict with this id: see the list of conflicts.",
                field="conflictId",
            )
        return found
