"""What leaves a process, counted where it leaves: at the session that every outside call uses.

Counts do not depend on the machine, so they are exact, and the tests hold them as limits.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import requests

from shared.adapters.http_session import PooledSession

_IDS = re.compile(r"/(?:\d+|[0-9a-f]{8}-[0-9a-f-]{27})(?=/|$)", re.I)
_ACCOUNT = "/devstoreaccount1"  # of the emulator, whose address is the host alone
_KEYS = re.compile(r"\(.*\)")


class Calls:
    """Calls by kind: `graph`, `bms`, `table`, `queue`, `vault`, `sign-in`; and bytes both ways."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.by_kind: Counter[str] = Counter()
        self.each: Counter[str] = Counter()
        self.sent = 0
        self.received = 0

    def add(self, kind: str, call: str, sent: int, received: int) -> None:
        """One call."""
        with self._lock:
            self.by_kind[kind] += 1
            self.each[f"{kind} {call}"] += 1
            if kind in ("graph", "bms"):
                self.sent += sent
                self.received += received

    @property
    def storage(self) -> int:
        """Transactions of the app's own: tables read and written, messages sent."""
        return self.by_kind["table"] + self.by_kind["queue"]

    def as_json(self) -> dict[str, Any]:
        """For another process."""
        return {
            "byKind": dict(self.by_kind),
            "each": dict(sorted(self.each.items())),
            "storage": self.storage,
            "sent": self.sent,
            "received": self.received,
        }


@contextmanager
def counted(places: dict[str, str]) -> Iterator[Calls]:
    """Count every call of this process in the block; `places` are kinds by `host:port`."""
    calls, send = Calls(), PooledSession.send

    def counting(self: PooledSession, request: Any, **options: Any) -> requests.Response:
        answer = send(self, request, **options)
        parts = urlsplit(str(request.url))
        kind = places.get(parts.netloc, parts.hostname or "?")
        path = _KEYS.sub("", _IDS.sub("/{id}", parts.path.removeprefix(_ACCOUNT)))
        received = int(answer.headers.get("Content-Length") or 0)
        calls.add(kind, f"{request.method} {path}", len(request.body or b""), received)
        return answer

    PooledSession.send = counting  # type: ignore[method-assign, assignment]
    try:
        yield calls
    finally:
        PooledSession.send = send  # type: ignore[method-assign]
