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

    def allow(self, connection: Connection, users: Sequence[UserId], elsewhere: int = 0) -> bool:
        """Whether all of these may be deactivated now; if so, they are counted.

        They were read together, so they are allowed or held together; `elsewhere` is how many were
        read with them and come in other messages, before or after. Who was counted already (his
        message came twice) is not counted again.
        """
        for _ in range(_TRIES):
            window = self.windows.get(connection.id) or Window()
            held, after = self._counted(connection, window, users, elsewhere)
            if after == window:
                return not held
            if self.windows.save(connection.id, after) or held:
                return not held
        raise TryLater("Deactivations of this connection are being counted by others just now.")

    def would_pass(self, connection: Connection, users: Sequence[UserId]) -> bool:
        """Whether these together would be too many now; nothing is counted."""
        window = self.windows.get(connection.id) or Window()
        return self._counted(connection, window, users, 0)[0]

    def _counted(
        self, connection: Connection, window: Window, users: Sequence[UserId], elsewhere: int
    ) -> tuple[bool, Window]:
        """Whether they pass the limit, and the window with what is to be remembered of it."""
        limit = connection.hold_limit
        taken = recent(window.taken, self.now())
        more = [user for user in users if user not in taken]
        if not more:
            return False, window
        # Those elsewhere are among the taken if they were allowed.
        already = max(len(taken), elsewhere)
        # The window moves on with every deactivation that falls out of it.
        base = window.base if taken and len(taken) == len(window.taken) else None
        if already + len(more) > limit.count and base is None:
            base = self.links.count_active(connection.id) + len(taken)
        held = passes_limit(limit, base=base or 0, already=already, more=len(more))
        if held and base == window.base:
            return True, window
        counted = taken if held else {**taken, **dict.fromkeys(more, self.now())}
        return held, Window(counted, base, window.etag)
