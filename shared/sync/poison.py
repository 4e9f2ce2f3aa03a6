"""What a queue gave up on: worked on again a few times, then a failure for a person (R24).

A message ends here when its worker died five times over it, or when something in it made the
worker raise five times; from outside the two look alike. A worker that died says nothing about the
message, so it goes back to work by itself, later each time. Trouble on the way there is kept as a
failure: what failed here every time would never come back.
"""

from __future__ import annotations

import logging
import uuid
from dataclasses import dataclass, replace
from datetime import timedelta

from shared.core.itglue_messages import decode_pass_on, encode_pass_on
from shared.core.messages import (
    UnreadableMessage,
    decode_sweep_order,
    decode_user_delta,
    encode_sweep_order,
    encode_user_delta,
)
from shared.core.model import ConnectionId
from shared.errors import SyncError
from shared.measures import FAILURES
from shared.ports import ITGLUE, SWEEPS, Failure, Failures, Now, Part, Previews, Queues, Runs

log = logging.getLogger(__name__)

_TRIES = 3
_AGAIN = (timedelta(seconds=30), timedelta(minutes=5), timedelta(minutes=30))


@dataclass(frozen=True, slots=True)
class Poison:
    """The use case behind the poison queues."""

    runs: Runs
    previews: Previews
    failures: Failures
    queues: Queues
    now: Now

    def handle(self, queue: str, text: str) -> None:
        """Send it back to work, or keep it as a failure and end its part of a sync."""
        connection_id = ConnectionId("")
        try:
            revived, connection_id = self._revived(queue, text)
            if revived:
                return
        except UnreadableMessage:
            log.error("a message of %s cannot be read", queue)
        except SyncError as error:
            log.error("poison message of %s: %s", queue, error.sentence)
        FAILURES.add(1, {"cause": "poison"})
        self.failures.add(
            Failure(
                id=uuid.uuid4().hex,
                connection_id=connection_id,
                at=self.now(),
                cause="poison",
                sentence=f"A message of the queue {queue} failed every time it was tried.",
                next_step="Look at the app's log for the cause and mend it, then replay this.",
                message=text,
                queue=queue,
            )
        )

    def _revived(self, queue: str, text: str) -> tuple[bool, ConnectionId]:
        if queue == SWEEPS:
            order = decode_sweep_order(text)
            if order.revived < len(_AGAIN):
                again = encode_sweep_order(replace(order, revived=order.revived + 1))
                self.queues.send(queue, again, _AGAIN[order.revived])
                return True, order.connection_id
            if order.preview:
                self._end_preview(order.preview)
                return True, order.connection_id
            if order.sync is not None:
                self.runs.failed(order.sync, self.now(), "It failed every time it was tried.")
            return False, order.connection_id
        if queue == ITGLUE:
            message = decode_pass_on(text)
            if message.revived < len(_AGAIN):
                once_more = encode_pass_on(replace(message, revived=message.revived + 1))
                self.queues.send(queue, once_more, _AGAIN[message.revived])
                return True, message.connection_id
            return False, message.connection_id
        delta = decode_user_delta(text)
        if delta.revived < len(_AGAIN):
            back = encode_user_delta(replace(delta, revived=delta.revived + 1))
            self.queues.send(queue, back, _AGAIN[delta.revived])
            return True, delta.connection_id
        if delta.sync is not None:
            failed = delta.failed + len(delta.users)
            self.runs.part(Part(delta.sync, delta.part, delta.done, failed, self.now()))
        return False, delta.connection_id

    def _end_preview(self, preview_id: str) -> None:
        """Who waits for it asks anew; there is nothing that a replay could do."""
        for _ in range(_TRIES):
            preview = self.previews.get(preview_id)
            if preview is None or preview.state != "running":
                return
            reason = "It failed every time it was tried: look at the app's log for the cause."
            ended = replace(preview, state="failed", reason=reason, busy_until=None)
            if self.previews.save(ended) is not None:
                return
