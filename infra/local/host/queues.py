"""Queue triggers, with the algorithm of the WebJobs SDK's QueueListener and QueueProcessor.

A listener takes up to `batchSize` messages under a lease of ten minutes, runs them side by side,
and takes the next batch as soon as no more than `newBatchThreshold` of them still run. An empty
queue is asked again after 100 ms, then at growing intervals up to `maxPollingInterval`. The lease
is renewed at half time; `visibilityTimeout` is only the delay after a failure.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import random
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError
from azure.storage.queue import QueueMessage

from infra.local.host.host_json import QueueOptions
from infra.local.host.logs import HOST
from infra.local.host.messages import TypedData
from infra.local.host.storage import Outage, Storage, StorageQueue
from infra.local.host.triggers import Function, QueueTrigger
from infra.local.host.worker import Invoker

_POISON = "-poison"
_SHORTEST_INTERVAL = 0.1
_TRIES = 3


class QueueListener:
    """Feeds one queue's messages to its function."""

    def __init__(
        self,
        function: Function,
        invoker: Invoker,
        storage: Storage,
        options: QueueOptions,
        lease: int,
    ) -> None:
        assert isinstance(function.trigger, QueueTrigger)
        name, connection = function.trigger.queue, function.trigger.connection
        self.function = function
        self.queue: StorageQueue = storage.queue(name, connection)
        # A poison queue has no poison queue of its own.
        self.poison: StorageQueue | None = (
            None if name.endswith(_POISON) else storage.queue(name + _POISON, connection)
        )
        self.options = options
        self.lease = lease
        self.invoker = invoker
        self.outage: Outage = storage.outage
        self.running: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()

    async def create(self) -> bool:
        """Make the queue if it is missing; say whether storage answered."""
        try:
            await self.queue.create()
        except AzureError as error:
            self.outage.failed(error)
            return False
        self.outage.answered()
        return True

    async def listen(self, *, created: bool) -> None:
        """Take and run messages until cancelled; running ones are left to `running`."""
        interval = _SHORTEST_INTERVAL
        found_before = False
        while True:
            await self._wait_for_room()
            found = False
            if not created:
                created = await self.create()
            if created:
                try:
                    messages = await self.queue.receive(self.options.batch_size, self.lease)
                except ResourceNotFoundError:
                    # Somebody has deleted the queue.
                    created = False
                except AzureError as error:
                    self.outage.failed(error)
                else:
                    self.outage.answered()
                    found = bool(messages)
                    for message in messages:
                        self._start(message)
            if found:
                found_before = True
                continue
            if found_before:
                interval = _SHORTEST_INTERVAL
            else:
                interval = min(self.options.max_polling_interval, interval * 2)
            found_before = False
            # The SDK spreads its intervals by a fifth, so that queues do not poll in step.
            await asyncio.sleep(
                min(self.options.max_polling_interval, interval * random.uniform(0.8, 1.2))
            )

    async def _wait_for_room(self) -> None:
        while len(self.running) > self.options.new_batch_threshold:
            self._changed.clear()
            await self._changed.wait()

    def _start(self, message: QueueMessage) -> None:
        task = asyncio.create_task(_Delivery(self, message).run())
        self.running.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.running.discard(task)
        self._changed.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            HOST.error("queue %s: %s", self.queue.name, error, exc_info=error)


class _Delivery:
    """One message from its receipt to its end."""

    def __init__(self, listener: QueueListener, message: QueueMessage) -> None:
        self._listener = listener
        self._message = message
        self._id = str(message.id)
        self._receipt = str(message.pop_receipt)
        self._renewal: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        listener, message = self._listener, self._message
        dequeued = message.dequeue_count or 1
        most = listener.options.max_dequeue_count
        if dequeued > most:
            await self._to_poison(f"was taken more than {most} times")
            return
        body = _decode(str(message.content), base64_encoded=listener.options.base64)
        if body is None:
            await self._to_poison("is not base64, as host.json's messageEncoding says")
            return
        self._renew_later()
        try:
            outcome = await listener.invoker.invoke(
                listener.function, _data(body), trigger_metadata=_metadata(message, body)
            )
        finally:
            if self._timer is not None:
                self._timer.cancel()
        if self._renewal is not None:
            # It changes the receipt, with which alone the message can be ended.
            await asyncio.wait({self._renewal})
        if outcome.succeeded:
            await self._insist(lambda: listener.queue.delete(self._id, self._receipt))
        elif listener.poison is None:
            # As in Azure: left hidden until its lease ends, to prevent a fast endless loop.
            HOST.warning("message %s of %s failed and stays hidden", self._id, listener.queue.name)
        elif dequeued >= most:
            await self._to_poison(f"failed {dequeued} times")
        else:
            await self._insist(self._release)

    async def _release(self) -> None:
        delay = int(self._listener.options.visibility_timeout)
        try:
            await self._listener.queue.hide(self._id, self._receipt, delay)
        except HttpResponseError as error:
            if error.status_code not in (400, 404):
                raise

    async def _to_poison(self, why: str) -> None:
        poison = self._listener.poison
        if poison is None:
            HOST.warning("message %s of %s %s", self._id, self._listener.queue.name, why)
            return
        HOST.warning("message %s %s and goes to %s", self._id, why, poison.name)
        if await self._insist(lambda: poison.send(str(self._message.content))):
            await self._insist(lambda: self._listener.queue.delete(self._id, self._receipt))

    async def _insist(self, step: Callable[[], Awaitable[None]]) -> bool:
        for attempt in range(1, _TRIES + 1):
            try:
                await step()
            except AzureError as error:
                self._listener.outage.failed(error)
                if attempt < _TRIES:
                    await asyncio.sleep(0.2 * 3**attempt)
            else:
                return True
        return False

    def _renew_later(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._listener.lease / 2, self._renew_now)

    def _renew_now(self) -> None:
        self._renewal = asyncio.create_task(self._renew())

    async def _renew(self) -> None:
        try:
            self._receipt = await self._listener.queue.hide(
                self._id, self._receipt, self._listener.lease
            )
        except HttpResponseError as error:
            if error.status_code in (400, 404):
                HOST.warning("the lease of message %s is lost: another may run it", self._id)
                return
            self._listener.outage.failed(error)
        except AzureError as error:
            self._listener.outage.failed(error)
        self._renew_later()


def _decode(content: str, *, base64_encoded: bool) -> bytes | None:
    if not base64_encoded:
        return content.encode()
    try:
        return base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError):
        return None


def _data(body: bytes) -> TypedData:
    try:
        return TypedData(string=body.decode())
    except UnicodeDecodeError:
        return TypedData(bytes=body)


def _metadata(message: QueueMessage, body: bytes) -> dict[str, TypedData]:
    # The Functions host sends texts as strings and everything else as JSON.
    return {
        "Id": TypedData(string=str(message.id)),
        "PopReceipt": TypedData(string=str(message.pop_receipt)),
        "DequeueCount": TypedData(json=json.dumps(message.dequeue_count)),
        "InsertionTime": _time(message.inserted_on),
        "ExpirationTime": _time(message.expires_on),
        "NextVisibleTime": _time(message.next_visible_on),
        "QueueTrigger": TypedData(string=body.decode(errors="replace")),
    }


def _time(moment: Any) -> TypedData:
    return TypedData(json=json.dumps(moment.isoformat() if isinstance(moment, datetime) else None))
