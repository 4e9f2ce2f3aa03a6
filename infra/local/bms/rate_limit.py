"""BMS's hourly limit: so many calls per method and route template in a sliding window."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime

from infra.local.bms.switches import Switches


@dataclass(frozen=True, slots=True)
class Usage:
    """How much of one endpoint's limit is used."""

    used: int
    limit: int
    refused: int


class RateLimit:
    """Counts calls per endpoint and says when the next one is allowed."""

    def __init__(self) -> None:
        self._calls: dict[str, deque[float]] = {}
        self._refused: dict[str, int] = {}

    def wait_for(self, endpoint: str, switches: Switches, now: float) -> float | None:
        """Count a call; return the seconds until there is room, or None when it may pass."""
        if not switches.rate_limit_on:
            return None
        calls = self._calls.setdefault(endpoint, deque())
        self._forget(calls, switches, now)
        if len(calls) < self.limit_of(endpoint, switches):
            calls.append(now)
            return None
        self._refused[endpoint] = self._refused.get(endpoint, 0) + 1
        if switches.rate_counts_refused:
            calls.append(now)
            calls.popleft()
        oldest = calls[0] if calls else now
        return max(0.0, oldest + switches.rate_window_seconds - now)

    @staticmethod
    def limit_of(endpoint: str, switches: Switches) -> int:
        """Return the limit of an endpoint: its own, else that of its API version."""
        own = switches.rate_limits.get(endpoint)
        if own is not None:
            return own
        return switches.v1_rate_limit if " /api/" in endpoint else switches.rate_limit

    def usage(self, switches: Switches, now: float) -> dict[str, Usage]:
        """Return the use of every endpoint that was called."""
        for calls in self._calls.values():
            self._forget(calls, switches, now)
        return {
            endpoint: Usage(
                len(calls), self.limit_of(endpoint, switches), self._refused.get(endpoint, 0)
            )
            for endpoint, calls in self._calls.items()
        }

    def clear(self) -> None:
        """Forget all calls."""
        self._calls.clear()
        self._refused.clear()

    @staticmethod
    def _forget(calls: deque[float], switches: Switches, now: float) -> None:
        edge = now - switches.rate_window_seconds
        while calls and calls[0] <= edge:
            calls.popleft()


def retry_after(wait: float, switches: Switches, now: float) -> dict[str, str]:
    """Return the Retry-After header in the form that is switched on."""
    if switches.retry_after == "omit":
        return {}
    seconds = max(1, math.ceil(wait))
    if switches.retry_after == "date":
        moment = datetime.fromtimestamp(now + seconds, UTC)
        return {"Retry-After": format_datetime(moment, usegmt=True)}
    return {"Retry-After": str(seconds)}
