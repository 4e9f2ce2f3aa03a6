"""What is older than the setting goes: activity, ended syncs, decided holds (timer)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from shared.ports import Archive, Now, Previews
from shared.sync.holding import Holding


@dataclass(frozen=True, slots=True)
class Retention:
    """The use case behind the timer."""

    archive: Archive
    holding: Holding
    days: int
    previews: Previews
    now: Now

    def run(self) -> int:
        """End holds that nobody decided, remove what is too old; answers how many entries."""
        try:
            self.holding.expire()
        finally:  # the one does not wait for the other's trouble
            removed = self.archive.remove_before(self.now() - timedelta(days=self.days))
            removed += self.previews.remove_expired(self.now())
        return removed
