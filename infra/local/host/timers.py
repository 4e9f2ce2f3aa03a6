"""Timer triggers, after the WebJobs SDK's TimerListener.

A timer never overlaps itself: the next occurrence is looked for when a run has ended, so those
that fell into the run are left out. An exception does not stop it. A monitored timer remembers when
it is due next; one that was due while the host was away runs once at start as "past due". Azure
keeps that memory in a blob, this host in a row of the table `LocalHostTimers`, since the blob SDK
is no dependency of the project.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError

from infra.local.host.logs import HOST
from infra.local.host.messages import TypedData
from infra.local.host.storage import Storage
from infra.local.host.triggers import Function, TimerTrigger
from infra.local.host.worker import InvocationContext, Invoker

if TYPE_CHECKING:
    from azure.data.tables import TableClient

_TABLE = "LocalHostTimers"
_LONGEST_SLEEP = 60.0


@dataclass(frozen=True)
class TimerStatus:
    """When a monitored timer ran last and is due next."""

    last: datetime | None
    due: datetime


class TimerMemory:
    """Remembers the status of monitored timers over restarts."""

    def __init__(self, storage: Storage, app: Path) -> None:
        self._storage = storage
        # One table may serve several apps, as one storage account does in Azure.
        self._partition = hashlib.sha256(str(app).encode()).hexdigest()[:16]
        self._client: TableClient | None = None
        self._opened = False

    async def read(self, name: str) -> TimerStatus | None:
        """The status of the timer, or None when nothing is known."""
        client = await self._open()
        if client is None:
            return None
        try:
            row: Any = await self._storage.call(client.get_entity, self._partition, name)
            last = row.get("last")
            return TimerStatus(
                datetime.fromisoformat(last) if last else None, datetime.fromisoformat(row["due"])
            )
        except (ResourceNotFoundError, KeyError, ValueError):
            return None
        except AzureError as error:
            self._storage.outage.failed(error)
            return None

    async def write(self, name: str, status: TimerStatus) -> None:
        """Remember the status; without storage it is forgotten."""
        client = await self._open()
        if client is None:
            return
        row = {
            "PartitionKey": self._partition,
            "RowKey": name,
            "last": status.last.isoformat() if status.last else "",
            "due": status.due.isoformat(),
        }
        try:
            await self._storage.call(client.upsert_entity, row)
        except AzureError as error:
            self._storage.outage.failed(error)

    async def _open(self) -> TableClient | None:
        if not self._opened:
            client = self._storage.table(_TABLE, "AzureWebJobsStorage")
            if client is not None:
                try:
                    await self._storage.call(client.create_table)
                except ResourceExistsError:
                    pass
                except AzureError as error:
                    self._storage.outage.failed(error)
                    return None
            self._client = client
            self._opened = True
        return self._client


class TimerListener:
    """Runs one function by its schedule."""

    def __init__(self, function: Function, invoker: Invoker, memory: TimerMemory) -> None:
        assert isinstance(function.trigger, TimerTrigger)
        self._function = function
        self._trigger = function.trigger
        self._invoker = invoker
        self._monitored = self._trigger.use_monitor and not (
            self._trigger.schedule.faster_than_a_minute
        )
        self._memory = memory
        self._status: TimerStatus | None = None
        self._run: asyncio.Task[None] | None = None

    @property
    def running(self) -> set[asyncio.Task[None]]:
        """The run that has not ended, if there is one."""
        return {self._run} if self._run is not None and not self._run.done() else set()

    async def listen(self) -> None:
        """Run by the schedule until cancelled; a run that has begun is left to `running`."""
        schedule = self._trigger.schedule
        past_due = False
        now = datetime.now(UTC)
        if self._monitored:
            self._status = await self._memory.read(self._function.name)
            past_due = self._status is not None and self._status.due < now
            if self._status is None:
                self._status = TimerStatus(None, schedule.next_after(now))
                await self._memory.write(self._function.name, self._status)
        if past_due or self._trigger.run_on_startup:
            await self._run_once(past_due=past_due)
        while True:
            due = schedule.next_after(datetime.now(UTC))
            # In short pieces, so that a clock that is set or a machine that slept does no harm.
            while (left := (due - datetime.now(UTC)).total_seconds()) > 0:
                await asyncio.sleep(min(left, _LONGEST_SLEEP))
            await self._run_once(past_due=False)

    async def _run_once(self, *, past_due: bool) -> None:
        self._run = asyncio.create_task(self._invoke(past_due=past_due))
        # Shielded: the end of listening does not end the run.
        await asyncio.shield(self._run)

    async def _invoke(self, *, past_due: bool) -> None:
        began = datetime.now(UTC)
        if past_due:
            HOST.info("timer %s is past due and runs now", self._function.name)
        data = timer_data(past_due=past_due, status=self._status if self._monitored else None)
        await invoke_with_retries(self._function, self._invoker, data)
        if self._monitored:
            now = datetime.now(UTC) + timedelta(milliseconds=1)
            self._status = TimerStatus(began, self._trigger.schedule.next_after(now))
            await self._memory.write(self._function.name, self._status)


async def invoke_with_retries(function: Function, invoker: Invoker, data: TypedData) -> None:
    """Run the function, and again by its retry policy while it fails."""
    retry = function.retry
    tries = 0
    while True:
        context = InvocationContext(tries, retry.most) if retry else None
        outcome = await invoker.invoke(function, data, context=context)
        tries += 1
        if outcome.succeeded or retry is None or 0 <= retry.most < tries:
            return
        await asyncio.sleep(retry.delay(tries))


def timer_data(*, past_due: bool, status: TimerStatus | None) -> TypedData:
    """What the function gets as its TimerRequest."""
    known = None
    if status is not None:
        last = status.last or datetime(1, 1, 1, tzinfo=UTC)
        known = {
            "Last": last.isoformat(),
            "Next": status.due.isoformat(),
            "LastUpdated": last.isoformat(),
        }
    return TypedData(
        json=json.dumps(
            {"Schedule": {"AdjustForDST": True}, "ScheduleStatus": known, "IsPastDue": past_due}
        )
    )
