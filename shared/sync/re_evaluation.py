"""After an edit of rules or options everybody it touches is looked at again (R5).

Edits made one by one are gathered: each one sends an order of its own that comes due 30 seconds
later, and only the order of the last edit is carried out (its stamp is the connection's).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from shared.core.messages import SweepOrder, encode_sweep_order
from shared.core.model import Approval, ConnectionId
from shared.ports import SWEEPS, Connections, Now, Queues

GATHER = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class ReEvaluation:
    """Orders it."""

    connections: Connections
    queues: Queues
    now: Now

    def order(
        self, connection_id: ConnectionId, *, gather: bool, approval: Approval | None = None
    ) -> None:
        """Note the edit, and order the re-evaluation if the first sync was asked for.

        `approval` is of this very edit: what a person approved before it no longer holds (R20).
        """
        edited_at = self.now()
        connection = self.connections.update(
            connection_id,
            lambda each: replace(each, rules_edited_at=edited_at, approval=approval),
        )
        if connection is None or connection.first_sync_at is None:
            return
        order = SweepOrder(connection_id, kind="rules", stamp=edited_at)
        self.queues.send(SWEEPS, encode_sweep_order(order), GATHER if gather else None)
