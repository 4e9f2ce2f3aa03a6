"""The stand-in's clock: real time plus an offset that tests move.

Every lifetime (codes, tokens, delta links, subscriptions, retries) is measured with it, so that
ninety days pass in one call.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime


class Clock:
    """Tells the time of the stand-in's world."""

    def __init__(self) -> None:
        self.offset = 0.0
        self._listeners: list[Callable[[], None]] = []

    def now(self) -> float:
        """Return seconds since 1970 in this world."""
        return time.time() + self.offset

    def move(self, seconds: float) -> None:
        """Move the clock on (or back) and wake whoever waits for a moment."""
        self.offset += seconds
        self._wake()

    def reset(self) -> None:
        """Go back to real time."""
        self.offset = 0.0
        self._wake()

    def on_move(self, listener: Callable[[], None]) -> None:
        """Call `listener` whenever the clock is moved."""
        self._listeners.append(listener)

    def _wake(self) -> None:
        for listener in self._listeners:
            listener()


def iso(moment: float) -> str:
    """Write a moment as Graph writes most of them."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def iso_seven(moment: float) -> str:
    """Write a moment with the seven fractional digits that some Graph properties carry."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"


def iso_offset(moment: float) -> str:
    """Write a moment with the +00:00 that notifications carry."""
    return iso(moment)[:-1] + "+00:00"


def parse_iso(text: str) -> float:
    """Read any of the forms above; raises ValueError on anything else."""
    parsed = datetime.fromisoformat(text)
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=UTC)
    return parsed.timestamp()
