"""The version of the tables, and the way from an older one to this app's.

One entity holds the version that the tables were last brought to; tables without it are those of
the first release, version 1. The first trigger of a process looks once. Where the tables are older
it takes a lease, goes the missing steps and notes each one, so that whoever comes after a crash
goes on where it ended. A step may run twice, and beside workers of the release before: it writes
under etags, and only what is lacking. For the same reason the readers of the tables keep their
defaults for members that the release before did not write.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta

from shared import VERSION
from shared.adapters.schema_steps import to_version_2
from shared.adapters.store_connections import stamp, when
from shared.adapters.tables import Entity, Storage, Write
from shared.errors import Misconfigured, TryLater
from shared.ports import Now

log = logging.getLogger(__name__)

# Goes one version on. It is a generator: at each yield the lease may be extended.
Step = Callable[[Storage], Iterator[None]]

FIRST = 1
STEPS: tuple[Step, ...] = (to_version_2,)
_KEYS = {"PartitionKey": "settings", "RowKey": "schema"}
_LEASE = timedelta(minutes=2)
_EXTEND_AFTER = timedelta(seconds=30)
_PATIENCE = 5.0  # seconds that a trigger waits for somebody else's steps before it comes back later
_PAUSE = 0.1
_AGAIN = timedelta(seconds=10)


class _Overtaken(Exception):
    """The lease ended before the work did, and somebody else has it now."""


class TableSchema:
    """ports.Schema."""

    def __init__(
        self,
        storage: Storage,
        now: Now,
        *,
        steps: Sequence[Step] = STEPS,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._storage = storage
        self._table = storage.table("settings")
        self._now = now
        self._steps = steps
        self._clock = clock
        self._sleep = sleep
        self._me = secrets.token_hex(8)
        self._lock = threading.Lock()
        self._ready = False

    @property
    def newest(self) -> int:
        """The version that this app works with."""
        return FIRST + len(self._steps)

    def bring_up(self) -> None:
        """See to it that the tables are of this app's version; after the first time it is free.

        Misconfigured when a newer app wrote them, TryLater while somebody else brings them up.
        """
        if self._ready:
            return
        if not self._lock.acquire(timeout=_PATIENCE):
            raise self._busy()
        try:
            if not self._ready:
                self._bring_up()
                self._ready = True
        finally:
            self._lock.release()

    def _bring_up(self) -> None:
        end = self._clock() + _PATIENCE
        while True:
            entity = self._table.get(**_keys())
            version = int(entity["version"]) if entity else FIRST
            if version > self.newest:
                raise _too_new(version, str(entity["by"]) if entity else VERSION, self.newest)
            if version == self.newest:
                return
            if entity is None or self._may_take(entity):
                try:
                    self._go(version, entity["etag"] if entity else "")
                    return
                except _Overtaken:
                    continue
            if self._clock() >= end:
                raise self._busy()
            self._sleep(_PAUSE)

    def _may_take(self, entity: Entity) -> bool:
        """Nobody is at it; or it is this process's own lease, from a try that storage cut short."""
        until = when(entity["leasedUntil"])
        return until is None or until <= self._now() or entity["leasedBy"] == self._me

    def _go(self, version: int, etag: str) -> None:
        """Go every missing step under a lease; _Overtaken when the lease is somebody else's."""
        etag = self._write(version, etag, leased=True)
        for step in self._steps[version - FIRST :]:
            log.info("tables: from version %d to %d", version, version + 1)
            extended_at = self._now()
            for _ in step(self._storage):
                if self._now() - extended_at > _EXTEND_AFTER:
                    etag = self._write(version, etag, leased=True)
                    extended_at = self._now()
            version += 1
            etag = self._write(version, etag, leased=version < self.newest)

    def _write(self, version: int, etag: str, *, leased: bool) -> str:
        entity: Entity = {
            **_KEYS,
            "version": version,
            "by": VERSION,
            "at": stamp(self._now()),
            "leasedBy": self._me if leased else "",
            "leasedUntil": stamp(self._now() + _LEASE) if leased else "",
        }
        after = self._table.write(Write(entity, etag=etag))
        if after is None:
            raise _Overtaken
        return after

    def _busy(self) -> TryLater:
        return TryLater(
            f"The tables are being brought to version {self.newest} by this upgrade of the app: "
            "please try again in a minute.",
            _AGAIN,
            counts=False,
        )


def _keys() -> dict[str, str]:
    return {"partition": _KEYS["PartitionKey"], "row": _KEYS["RowKey"]}


def _too_new(found: int, by: str, newest: int) -> Misconfigured:
    return Misconfigured(
        f"The tables are of version {found}, which the app of version {by} made, and this app "
        f"({VERSION}) knows version {newest} at most: deploy version {by} of the app or a later "
        "one, or restore the tables from a backup of before that upgrade."
    )
