"""The storage queues."""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol


class Queues(Protocol):
    """Storage queues. Text is JSON; the adapter encodes it as host.json says."""

    def send(self, queue: str, text: str, delay: timedelta | None = None) -> None: ...

    def backlog(self) -> dict[str, int]:
        """Approximate number of waiting messages by queue, poison queues included."""


SWEEPS = "sweeps"
FRESH = "user-deltas"
BULK = "user-deltas-bulk"
LEAVERS = "user-deltas-leavers"
ITGLUE = "itglue-contacts"
QUEUES = (SWEEPS, FRESH, BULK, LEAVERS, ITGLUE)
