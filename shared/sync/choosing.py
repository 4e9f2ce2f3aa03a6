"""A person resolves a conflict, once; what was chosen is remembered (R9)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from shared.core.messages import UserDelta, encode_user_delta
from shared.core.model import ConnectionId, Origin, RecordId, UserId
from shared.errors import BadInput
from shared.ports import FRESH, Conflict, Conflicts, Now, Queues


@dataclass(frozen=True, slots=True)
class Choosing:
    """The use case behind a conflict's buttons."""

    conflicts: Conflicts
    queues: Queues
    now: Now

    def resolve(
        self, conflict_id: str, *, record_id: int | None, create: bool, ignore: bool
    ) -> Conflict:
        """Keep the choice and decide the user again with it; BadInput when it is no choice."""
        conflict = self._get(conflict_id)
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

    def _get(self, conflict_id: str) -> Conflict:
        connection, _, user = conflict_id.partition(".")
        found = self.conflicts.get(ConnectionId(connection), UserId(user)) if user else None
        if found is None:
            raise BadInput(404, "There is no conflict with this id: see the list of conflicts.")
        return found
