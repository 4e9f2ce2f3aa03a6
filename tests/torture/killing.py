"""A function host that is killed at random moments and comes back on its port."""

from __future__ import annotations

import random
import threading
from types import TracebackType
from typing import Any, Self

import requests

from infra.local.admin import Admin
from infra.local.host_process import HostProcess


class Killer:
    """Kills the host again and again while its block runs; afterwards the host serves."""

    def __init__(
        self, host: HostProcess, chance: random.Random, *, most: int, pause: tuple[float, float]
    ) -> None:
        self._host, self._most, self._pause = host, most, pause
        self._chance = random.Random(chance.random())
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._go_on)
        self._trouble: BaseException | None = None
        self.kills = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._enough.set()
        self._thread.join()
        if self._trouble is not None and error is None:
            raise self._trouble

    def wait_until_done(self) -> None:
        """Wait until as many kills as were wished for have been made."""
        self._thread.join()

    @property
    def goes_on(self) -> bool:
        return self._thread.is_alive()

    def _go_on(self) -> None:
        try:
            while self.kills < self._most and not self._enough.wait(
                self._chance.uniform(*self._pause)
            ):
                self._host.restart(crash=True)
                self.kills += 1
        except BaseException as error:  # told where the block ends
            self._trouble = error


class PatientAdmin(Admin):
    """The admin API of a host that may be dead at the moment."""

    def call(self, method: str, path: str, body: Any = None, **query: str) -> Any:
        """One call, tried again for as long as a host needs to come back."""
        pause = threading.Event()
        for _ in range(200):
            try:
                return super().call(method, path, body, **query)
            except requests.RequestException:
                pause.wait(0.2)
        return super().call(method, path, body, **query)
