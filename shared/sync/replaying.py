"""Failed work goes back to its queue when a person says so (R24).

Replaying is safe: a message only names users, and what is done is decided anew from how things are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from shared.core.itglue_messages import decode_pass_on, encode_pass_on
from shared.core.messages import (
    UnreadableMessage,
    decode_sweep_order,
    decode_user_delta,
    encode_sweep_order,
    encode_user_delta,
)
from shared.errors import BadInput
from shared.ports import ITGLUE, SWEEPS, Failure, Failures, Queues


@dataclass(frozen=True, slots=True)
class Replaying:
    """The use cases of failures."""

    failures: Failures
    queues: Queues

    def one(self, failure_id: str) -> int:
        """This failure; answers how many went back."""
        failure = self.failures.get(failure_id)
        if failure is None:
            raise BadInput(
                404,
                "There is no failure with this id: see the list of failures.",
                field="failureId",
            )
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
            self.queues.send(failure.queue, _as_new(failure))
            self.failures.remove([failure.id])
        return len(failures)


def _as_new(failure: Failure) -> str:
    """The message with all its tries before it again."""
    try:
        if failure.queue == SWEEPS:
            order = decode_sweep_order(failure.message)
            if order.sync is not None and order.undoes is None:
                # That run has ended: a replay is a run of its own.
                order = replace(order, kind="full", sync=None, stamp=None)
            return encode_sweep_order(replace(order, tries=0, looks=0, revived=0))
        if failure.queue == ITGLUE:
            items = decode_pass_on(failure.message)
            return encode_pass_on(replace(items, tries=0, revived=0))
        delta = decode_user_delta(failure.message)
        return encode_user_delta(replace(delta, tries=0, looks=0, revived=0))
    except UnreadableMessage:
        return failure.message  # of another version of the app, perhaps of the next one
