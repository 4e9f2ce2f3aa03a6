"""Faults on demand, counters and the request log of the vault stand-in."""

from __future__ import annotations

import time
from collections import Counter, deque
from dataclasses import dataclass
from typing import Any, Literal, get_args

FaultKind = Literal["status", "timeout", "slow", "reset", "lost", "unheard", "truncated", "cut_off"]
_LOG_LENGTH = 20_000


class BadFault(ValueError):
    """A fault that cannot be used as it was given."""


@dataclass
class Fault:
    """What goes wrong, for which calls, and how often (None: until taken back).

    status: an error answer (429, 500, 503, 403, …). timeout: no answer ever. slow: the answer comes
    so many seconds later. reset: the connection breaks and nothing was done. lost: it was done, and
    then the connection breaks. unheard: it was done, and no answer ever comes. truncated: half a
    body, as if it were whole. cut_off: the connection breaks in the middle of the body.
    """

    route: str
    kind: FaultKind
    secret: str | None = None
    status: int = 500
    seconds: float = 0.0
    retry_after: int | None = None
    times: int | None = None
    id: int = 0

    def as_json(self) -> dict[str, Any]:
        """The fault as the control routes show it."""
        return {
            "route": self.route,
            "kind": self.kind,
            "secret": self.secret,
            "status": self.status,
            "seconds": self.seconds,
            "retryAfter": self.retry_after,
            "times": self.times,
            "id": self.id,
        }


class Observed:
    """What was called, and what shall go wrong."""

    def __init__(self, routes: set[str]) -> None:
        self._routes = routes
        self._faults: list[Fault] = []
        self._last_id = 0
        self.calls: Counter[str] = Counter()
        self.statuses: Counter[str] = Counter()
        self._log: deque[tuple[float, str, str, int]] = deque(maxlen=_LOG_LENGTH)

    def record(self, route: str, method: str, path: str, status: int) -> None:
        """Note one answered call."""
        self.calls[route] += 1
        self.statuses[f"{route} {status}"] += 1
        self._log.append((time.time(), method, path, status))

    def log(self) -> list[dict[str, Any]]:
        """The latest calls, oldest first; never bodies or values."""
        return [
            {"time": when, "method": method, "path": path, "status": status}
            for when, method, path, status in self._log
        ]

    def reset(self) -> None:
        """Count from zero again and empty the log."""
        self.calls.clear()
        self.statuses.clear()
        self._log.clear()

    def add_fault(self, wanted: dict[str, Any]) -> int:
        """Add a fault: `{route, kind, secret?, status?, seconds?, retryAfter?, times?}`.

        Answers its number.
        """
        route = wanted.get("route", "*")
        if route != "*" and route not in self._routes:
            raise BadFault(f"A route is '*' or one of: {', '.join(sorted(self._routes))}.")
        kind: Any = wanted.get("kind")
        if kind not in get_args(FaultKind):
            raise BadFault(f"A fault is one of {', '.join(get_args(FaultKind))}, not {kind!r}.")
        self._last_id += 1
        self._faults.append(
            Fault(
                route,
                kind,
                wanted.get("secret"),
                int(wanted.get("status", 500)),
                float(wanted.get("seconds", 0)),
                wanted.get("retryAfter"),
                wanted.get("times"),
                self._last_id,
            )
        )
        return self._last_id

    def clear_faults(self, fault_id: int | None = None) -> None:
        """Take back one fault, or all."""
        self._faults = [
            each for each in self._faults if fault_id is not None and each.id != fault_id
        ]

    def faults(self) -> list[dict[str, Any]]:
        """The faults that are still to come."""
        return [fault.as_json() for fault in self._faults]

    def take_fault(self, route: str, secret: str | None) -> Fault | None:
        """The fault that hits this call, counted down."""
        for fault in self._faults:
            if fault.route in ("*", route) and fault.secret in (None, secret):
                if fault.times is not None:
                    fault.times -= 1
                    if fault.times <= 0:
                        self._faults.remove(fault)
                return fault
        return None
