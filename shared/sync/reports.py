"""Whoever is managed by somebody who has just become an employee is looked at again (R11)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from shared.core.employee_fields import MANAGER_USER
from shared.core.messages import UserDelta, encode_user_delta, pack
from shared.core.model import ConnectionId, Origin, UserId
from shared.ports import FRESH, Links, Now, Queues

_SOON = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Reports:
    """Finds them by what their links remember."""

    links: Links
    queues: Queues
    now: Now

    def look_again(self, connection_id: ConnectionId, managers: Collection[UserId]) -> None:
        """Queue everybody whom one of these manages."""
        if not managers:
            return
        users = [
            link.user_id
            for link in self.links.employees(connection_id)
            if link.written.get(MANAGER_USER) in managers
        ]
        signal = UserDelta(connection_id, (), Origin.PERSON, signal_at=self.now())
        for delta in pack(signal, users):
            self.queues.send(FRESH, encode_user_delta(delta), _SOON)
