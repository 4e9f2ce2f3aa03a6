"""Failed work goes back to its queue when a person says so (R24).

Replaying is safe: a message only names users, and what is done is decided anew from how things are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shared.errors import BadInput
from shared.ports import Failure, Failures, Queues


@dataclass(frozen=True, slots=True)
class Replaying:
    """The use cases of failures."""

    failures: Failures
    queues: Queues

    def one(self, failure_id: str) -> int:
        """This failure; answers how many went back."""
        failure = self.failures.get(failure_id)
        if failure is None:
            raise BadInput(404, "There is no failure with this id: see the list of failures.")
        return self._replay([failure])

    def all_of(self, cause: str | None, connection_id: str | None) -> int:
        """All failures of a cause, of a connection, or all there are."""
        return self._replay(
            [
                failure
                for failure in self.failures.list()
                if (cause is None or failure.cause == cause)
                and (connection_id is None or failure.connection_id == connection_id)
            ]
        )

    def _replay(self, failures: Sequence[Failure]) -> int:
        for failure in failures:
            # Sent first: should the removal fail, the work is done twice, which does no harm.
            self.queues.send(failure.queue, failure.message)
            self.failures.remove([failure.id])
        return len(failures)
