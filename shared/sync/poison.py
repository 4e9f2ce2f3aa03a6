"""What a queue gave up on becomes a failure that a person can read and replay (R24).

Nothing here raises: a poison queue's own message would never come back.
"""

from __future__ import annotations

import logging
import uuid
from dataclasses import dataclass

from shared.core.messages import UnreadableMessage, decode_sweep_order, decode_user_delta
from shared.core.model import ConnectionId, SyncId
from shared.errors import SyncError
from shared.ports import SWEEPS, Connections, Failure, Failures, Now, Part, Runs

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Poison:
    """The use case behind the poison queues."""

    connections: Connections
    runs: Runs
    failures: Failures
    now: Now

    def handle(self, queue: str, text: str) -> None:
        """Keep the message as a failure, and end its part of a sync."""
        connection_id = ConnectionId("")
        try:
            connection_id = self._end_run(queue, text)
        except UnreadableMessage:
            log.error("a message of %s cannot be read", queue)
        except SyncError as error:
            log.error("poison message of %s: %s", queue, error.sentence)
        self.failures.add(
            Failure(
                id=uuid.uuid4().hex,
                connection_id=connection_id,
                at=self.now(),
                cause="poison",
                sentence=f"A message of the queue {queue} failed every time it was tried.",
                next_step="Look at the app's log for the cause, mend it, then start a full sync.",
                message=text,
                queue=queue,
            )
        )

    def _end_run(self, queue: str, text: str) -> ConnectionId:
        if queue == SWEEPS:
            order = decode_sweep_order(text)
            if order.sync is not None:
                self.runs.failed(order.sync, self.now(), "It failed every time it was tried.")
            return order.connection_id
        delta = decode_user_delta(text)
        if delta.sync is not None:
            failed = delta.failed + len(delta.users)
            self.runs.part(Part(SyncId(delta.sync), delta.part, delta.done, failed, self.now()))
        return delta.connection_id
