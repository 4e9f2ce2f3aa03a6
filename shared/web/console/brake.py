"""A brake on guessing the admin token: too many wrong ones from one address, and it waits.

Per process and by address, so that a stranger who guesses keeps nobody else out.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock

from shared.web.http import Request

_WRONG, _WITHIN = 10, timedelta(minutes=1)
_ADDRESSES = 1000  # remembered at most


@dataclass(frozen=True, slots=True)
class Brake:
    """Remembers the moments of wrong tokens."""

    _wrong: OrderedDict[str, deque[datetime]] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    def holds(self, request: Request, now: datetime) -> bool:
        """Whether this address has to wait."""
        with self._lock:
            moments = self._wrong.get(_address(request), deque())
            return len(moments) == _WRONG and now - moments[0] < _WITHIN

    def wrong(self, request: Request, now: datetime) -> None:
        """One more wrong token."""
        with self._lock:
            moments = self._wrong.setdefault(_address(request), deque(maxlen=_WRONG))
            moments.append(now)
            self._wrong.move_to_end(_address(request))
            if len(self._wrong) > _ADDRESSES:
                self._wrong.popitem(last=False)


def _address(request: Request) -> str:
    """Whose request it is: the last entry is the platform's own, the others anybody can write."""
    last = request.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
    host, _, port = last.rpartition(":")
    return host if host and port.isdecimal() and ("]" in host or ":" not in host) else last
