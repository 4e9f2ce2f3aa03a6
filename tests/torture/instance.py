"""One instance of the whole app in this process: real wiring and adapters, mortal at any call.

Three things of the wiring are exchanged: the clocks, which may be fast or slow; the queues, whose
delays pass by the world's clock; and the session, through which every call to the outside goes
(Graph, sign-in, BMS, vault, tables, queues). There an instance dies, before a call or after it,
and from then on nothing of it reaches the outside any more, as when its process is killed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from unittest.mock import patch

import requests

from shared import wiring
from shared.adapters.http_session import PooledSession
from shared.adapters.queues import StorageQueues
from shared.adapters.signin import MsalSignIn
from shared.adapters.vault import KeyVault
from shared.config import StorageSettings, read_settings
from shared.wiring import App

SendLater = Callable[[str, str, timedelta], None]
READS = frozenset({"GET", "HEAD", "OPTIONS"})


class Died(BaseException):
    """The end of an instance in the middle of its work; nothing of the app may catch it."""


class Fate:
    """Whether an instance lives, and at which of its writes it dies."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left: int | None = None
        self._after = False
        self.dead = False
        self.last_call = ""

    def dies_at(self, write: int, *, after: bool) -> None:
        """Die at the n-th write from now: before it went out, or with its answer lost."""
        with self._lock:
            self._left, self._after = write, after

    def spare(self) -> None:
        """Live on."""
        with self._lock:
            self._left = None

    def meets(self, call: str, *, writes: bool) -> bool:
        """At each call: raise Died, or answer whether death follows it."""
        with self._lock:
            if self.dead:
                raise Died
            if not writes or self._left is None:
                return False
            self._left -= 1
            if self._left > 0:
                return False
            self.dead, self.last_call = True, call
            if not self._after:
                raise Died
            return True


class _MortalSession(PooledSession):
    def __init__(self, fate: Fate) -> None:
        super().__init__()
        self._fate = fate

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        call = f"{request.method} {str(request.url).split('?')[0]}"
        dies = self._fate.meets(call, writes=request.method not in READS)
        answer = super().send(request, **options)
        if dies or self._fate.dead:
            raise Died
        return answer


class _DelayedQueues(StorageQueues):
    """Messages that are due now are in the real queue; the world's clock brings the others."""

    def __init__(
        self, settings: StorageSettings, session: Callable[[], Any], fate: Fate, later: SendLater
    ) -> None:
        super().__init__(settings, session)
        self._fate, self._later = fate, later

    def send(self, queue: str, text: str, delay: timedelta | None = None) -> None:
        if not delay or delay <= timedelta():
            super().send(queue, text)
            return
        dies = self._fate.meets(f"POST {queue}", writes=True)
        self._later(queue, text, delay)
        if dies:
            raise Died


class Instance:
    """An app that can die."""

    def __init__(
        self, environment: Mapping[str, str], now: Callable[[], datetime], later: SendLater
    ) -> None:
        self.fate = Fate()
        fate = self.fate

        def seconds() -> float:
            return now().timestamp()

        with (
            patch.object(wiring, "now", now),
            patch.object(wiring, "PooledSession", lambda: _MortalSession(fate)),
            patch.object(wiring, "MsalSignIn", partial(MsalSignIn, clock=seconds)),
            patch.object(wiring, "KeyVault", partial(KeyVault, clock=seconds)),
            patch.object(
                wiring,
                "StorageQueues",
                lambda settings, session: _DelayedQueues(settings, session, fate, later),
            ),
        ):
            self.app: App = wiring.build(read_settings(environment))

    @property
    def dead(self) -> bool:
        return self.fate.dead
