"""Count deactivations against the connection's limit before the first one is written (R20)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shared.core.holds import passes_limit, recent
from shared.core.model import Connection, UserId
from shared.errors import TryLater
from shared.ports import Links, Now, Window, Windows

_TRIES = 10


@dataclass(frozen=True, slots=True)
class CountLeavers:
    """The moving day of a connection's deactivations."""

    windows: Windows
    links: Links
    now: Now

    def allow(self, connection: Connection, users: Sequence[UserId], together: int = 0) -> bool:
        """Whether all of these may be deactivated now; if so, they are counted.

        They were read together, so they are allowed or held together; `together` is their number
        where they come in several messages. Who was counted already (his message came twice) is
        not counted again.
        """
        for _ in range(_TRIES):
            window = self.windows.get(connection.id) or Window()
            taken = recent(window.taken, self.now())
            more = [user for user in users if user not in taken]
            if not more:
                return True
            base = window.base if taken else None
            all_of_them = max(len(more), together)
            if len(taken) + all_of_them > connection.hold_limit.count and base is None:
                base = self.links.count_active(connection.id) + len(taken)
            if passes_limit(
                connection.hold_limit, base=base or 0, already=len(taken), more=all_of_them
            ):
                return False
            counted = {**taken, **dict.fromkeys(more, self.now())}
            if self.windows.save(connection.id, Window(counted, base, window.etag)):
                return True
        raise TryLater("Deactivations of this connection are being counted by others just now.")
