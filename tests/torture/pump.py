"""The host's queues in this process, so that a test decides who takes which message, and when.

The algorithm is that of the real host (infra/local/host/queues.py): a message is taken under a
lease, deleted when its function ends well, brought back after 30 seconds when it fails, and sent to
the poison queue after the fifth time. Who dies leaves his message to the lease's end, ten minutes
later. Leases and delays pass by the world's clock: when nothing is due, it jumps.
"""

from __future__ import annotations

import heapq
import json
import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count

from azure.storage.queue import (
    QueueClient,
    QueueMessage,
    QueueServiceClient,
    TextBase64DecodePolicy,
    TextBase64EncodePolicy,
)

from infra.local.process import REPOSITORY
from shared.core.messages import decode_sweep_order, decode_user_delta
from shared.ports import BULK, FRESH, LEAVERS, SWEEPS
from tests.torture.clock import Clock
from tests.torture.instance import Died, Instance

_OPTIONS = json.loads((REPOSITORY / "host.json").read_text())["extensions"]["queues"]
MOST_TRIES: int = _OPTIONS["maxDequeueCount"]
AFTER_FAILURE = timedelta(seconds=30)  # host.json's visibilityTimeout
LEASE = timedelta(minutes=10)
_HIDDEN = 6 * 24 * 3600  # in storage; the world's clock says when it really ends
WORK = (FRESH, LEAVERS, SWEEPS, BULK)
QUEUES = (*WORK, *(f"{name}-poison" for name in WORK))


@dataclass(order=True)
class _Later:
    due: datetime
    number: int
    bring: Callable[[], None] = field(compare=False)


@dataclass
class Taken:
    """A message under its lease."""

    queue: str
    message: QueueMessage
    text: str


class Pump:
    """Hands messages of the real queues to instances."""

    def __init__(self, connection_string: str, clock: Clock, chance: random.Random) -> None:
        service = QueueServiceClient.from_connection_string(connection_string)
        self._clients: dict[str, QueueClient] = {
            name: service.get_queue_client(
                name,
                message_encode_policy=TextBase64EncodePolicy(),
                message_decode_policy=TextBase64DecodePolicy(),
            )
            for name in QUEUES
        }
        self._clock, self._chance = clock, chance
        self._later: list[_Later] = []
        self._numbers = count()
        self._lock = threading.Lock()
        self.handled = 0
        self.errors: list[str] = []

    def empty(self) -> None:
        """Begin anew, with queues that are there and empty."""
        self._later.clear()
        for client in self._clients.values():
            if not _exists(client):
                client.create_queue()
            client.clear_messages()

    # --- what comes due ------------------------------------------------------------------------

    def send_later(self, queue: str, text: str, delay: timedelta) -> None:
        """A message of the app that shall stay invisible for so long."""
        self._at(self._clock.now() + delay, lambda: self.put(queue, text))

    def put(self, queue: str, text: str) -> None:
        """A message that is due now."""
        self._clients[queue].send_message(text)

    def _at(self, moment: datetime, bring: Callable[[], None]) -> None:
        with self._lock:
            heapq.heappush(self._later, _Later(moment, next(self._numbers), bring))

    def _bring_due(self) -> None:
        while True:
            with self._lock:
                if not self._later or self._later[0].due > self._clock.now():
                    return
                one = heapq.heappop(self._later)
            one.bring()

    def jump(self) -> bool:
        """Let time pass until the next message is due; whether there is one."""
        with self._lock:
            due = self._later[0].due if self._later else None
        if due is None:
            return False
        self._clock.jump_to(due)
        self._bring_due()
        return True

    # --- one message ---------------------------------------------------------------------------

    def take(self) -> Taken | None:
        """The next message, from the queues in turn of their urgency; or by chance another one."""
        self._bring_due()
        order = [*QUEUES]
        if self._chance.random() < 0.3:  # queues know no priority among each other
            self._chance.shuffle(order)
        for name in order:
            message = self._clients[name].receive_message(visibility_timeout=_HIDDEN)
            if message is not None:
                return Taken(name, message, str(message.content))
        return None

    def run(self, taken: Taken, instance: Instance) -> None:
        """One instance works on one message, as the host would have it."""
        self.handled += 1
        tries = taken.message.dequeue_count or 1
        is_work = taken.queue in WORK
        if is_work and tries > MOST_TRIES:
            self._to_poison(taken)
            return
        try:
            self.work(taken, instance)
        except Died:
            self._back(taken, LEASE)
        except Exception as error:  # as the host: logged, and tried again
            self.errors.append(f"{taken.queue}: {error!r}")
            if not is_work:
                self._back(taken, LEASE)
            elif tries >= MOST_TRIES:
                self._to_poison(taken)
            else:
                self._back(taken, AFTER_FAILURE)
        else:
            if instance.dead:
                self._back(taken, LEASE)
            else:
                self._clients[taken.queue].delete_message(taken.message)

    def together(self, taken: Taken, instances: Sequence[Instance]) -> None:
        """Several instances have the same message at the same time, as after a lost lease."""
        ready = threading.Barrier(len(instances))

        def also(instance: Instance) -> None:
            ready.wait()
            try:
                self.work(taken, instance)
            except Died:
                pass
            except Exception as error:
                self.errors.append(f"{taken.queue}: {error!r}")

        others = [threading.Thread(target=also, args=(each,)) for each in instances[1:]]
        for thread in others:
            thread.start()
        ready.wait()
        self.run(taken, instances[0])
        for thread in others:
            thread.join()

    def again(self, taken: Taken) -> None:
        """The same message is delivered once more, some time later."""
        self.send_later(taken.queue, taken.text, timedelta(seconds=self._chance.uniform(0, 90)))

    def lose(self, taken: Taken) -> None:
        """The message is gone."""
        self._clients[taken.queue].delete_message(taken.message)

    def put_back(self, taken: Taken) -> None:
        """Not handled after all; it is due again at once."""
        self._clients[taken.queue].update_message(taken.message, visibility_timeout=0)

    def work(self, taken: Taken, instance: Instance) -> None:
        """What the triggers of function_app.py do."""
        app, queue = instance.app, taken.queue
        if queue.endswith("-poison"):
            app.poison.handle(queue.removesuffix("-poison"), taken.text)
        elif queue == SWEEPS:
            app.sweep.handle(decode_sweep_order(taken.text))
        else:
            app.apply.handle(decode_user_delta(taken.text), queue)

    def _back(self, taken: Taken, after: timedelta) -> None:
        def bring() -> None:
            self._clients[taken.queue].update_message(taken.message, visibility_timeout=0)

        self._at(self._clock.now() + after, bring)

    def _to_poison(self, taken: Taken) -> None:
        self._clients[f"{taken.queue}-poison"].send_message(taken.text)
        self._clients[taken.queue].delete_message(taken.message)


def _exists(client: QueueClient) -> bool:
    from azure.core.exceptions import ResourceNotFoundError

    try:
        client.get_queue_properties()
    except ResourceNotFoundError:
        return False
    return True
