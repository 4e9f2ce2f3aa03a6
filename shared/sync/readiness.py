"""Work begins only on tables of this app's version; until then it waits where it came from.

A message whose turn comes too early goes back into its queue as a new one, so that an upgrade that
takes minutes, or one that was rolled back, never makes a poison message of it. A timer that is too
early lets its turn pass. The webhook needs none of this: it only reads what every version reads,
and what it queues waits here.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta

from shared.errors import SyncError, TryLater
from shared.ports import Queues
from shared.ports.schema import Schema

log = logging.getLogger(__name__)

_AGAIN = timedelta(seconds=15)
_REFUSED = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Readiness:
    """What the triggers ask before they begin."""

    schema: Schema
    queues: Queues

    def may_begin(self, queue: str = "", text: str = "") -> bool:
        """Whether to begin now. If not, the message of that queue comes back later by itself."""
        try:
            self.schema.bring_up()
        except SyncError as error:
            log.warning("not begun: %s %s", queue or "timer", error.sentence)
            if queue:
                self.queues.send(queue, text, _delay(error))
            return False
        return True


def _delay(error: SyncError) -> timedelta:
    if isinstance(error, TryLater):
        return error.after or _AGAIN
    return _REFUSED
