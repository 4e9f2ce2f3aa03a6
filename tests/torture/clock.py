"""One clock for the app, Entra and BMS, which jumps over the hours in which nothing happens."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from infra.local.bms.control import BmsControl
from infra.local.entra.control import EntraControl


class Clock:
    """Real time plus an offset that only grows; the stand-ins are taken along."""

    def __init__(self, entra: EntraControl, bms: BmsControl) -> None:
        self._entra, self._bms = entra, bms
        self._ahead = timedelta()
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """The moment in this world."""
        return datetime.fromtimestamp(time.time(), UTC) + self._ahead

    def skewed(self, by: timedelta) -> Callable[[], datetime]:
        """The clock of an instance that is fast or slow."""
        return lambda: self.now() + by

    def jump_to(self, moment: datetime) -> None:
        """Let the time until then pass at once."""
        with self._lock:
            left = moment - self.now()
            if left <= timedelta():
                return
            self._ahead += left
            self._entra.move_clock(left.total_seconds())
            self._bms.move_clock(left.total_seconds())
