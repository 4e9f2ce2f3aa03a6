"""What was asked of the stand-in: counters, a log without bodies, and the writes with theirs.

Bodies are kept for writes to records only; sign-in forms carry passwords and are never kept.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from typing import Any, NamedTuple

_KEPT = 300_000


class Line(NamedTuple):
    """One request in the log."""

    number: int
    at: float
    method: str
    endpoint: str
    target: str
    status: int
    fault: str | None


class Write(NamedTuple):
    """One write request, with its body."""

    number: int
    at: float
    method: str
    endpoint: str
    target: str
    status: int
    changed: bool
    body: bytes


class Journal:
    """Counts and remembers requests."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.statuses: Counter[tuple[str, int]] = Counter()
        self.ignored_query: Counter[str] = Counter()
        self.log: deque[Line] = deque(maxlen=_KEPT)
        self.writes: deque[Write] = deque(maxlen=_KEPT)
        self.total = 0

    def note(self, line: Line) -> None:
        """Count and log a request that was answered, or left without an answer (status 0)."""
        self.calls[line.endpoint] += 1
        self.statuses[line.endpoint, line.status] += 1
        self.log.append(line)

    def next_number(self) -> int:
        """Return the number of the request that has just come in."""
        self.total += 1
        return self.total

    def counters(self) -> dict[str, Any]:
        """Return the counters as JSON."""
        statuses: dict[str, dict[str, int]] = {}
        for (endpoint, status), count in self.statuses.items():
            statuses.setdefault(endpoint, {})[str(status)] = count
        return {
            "total": sum(self.calls.values()),
            "calls": dict(self.calls),
            "statuses": statuses,
            "ignored_query": dict(self.ignored_query),
        }

    def writes_since(self, number: int) -> list[dict[str, Any]]:
        """Return the writes after a request number, oldest first."""
        return [
            {**each._asdict(), "body": _readable(each.body)}
            for each in self.writes
            if each.number > number
        ]

    def log_since(self, number: int) -> list[dict[str, Any]]:
        """Return the log after a request number, oldest first."""
        return [each._asdict() for each in self.log if each.number > number]

    def clear(self) -> None:
        """Forget everything but the numbering."""
        self.calls.clear()
        self.statuses.clear()
        self.ignored_query.clear()
        self.log.clear()
        self.writes.clear()


def _readable(body: bytes) -> Any:
    if not body:
        return None
    try:
        return json.loads(body)
    except ValueError:
        return body.decode("utf-8", "replace")
