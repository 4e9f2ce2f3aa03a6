"""Queue triggers of the local function host, on real storage queues."""

from __future__ import annotations

import base64
import json
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import AzureError
from azure.storage.queue import QueueClient

from infra.local.network.azurite import Azurite
from tests.local.host_app import RunningHost, wait_for, write_app

pytestmark = pytest.mark.world

_OPTIONS = {
    "batchSize": 8,
    "newBatchThreshold": 4,
    "maxDequeueCount": 2,
    "visibilityTimeout": "00:00:01",
    "maxPollingInterval": "00:00:00.2",
}
_APP = """
import asyncio, json

def on(name: str):
    return app.queue_trigger(arg_name="m", queue_name=name, connection="AzureWebJobsStorage")

@on("%WORK_QUEUE%")
def work(m: func.QueueMessage) -> None:
    note("work " + json.dumps({
        "id": m.id, "body": m.get_body().decode(), "count": m.dequeue_count,
        "inserted": str(m.insertion_time), "expires": str(m.expiration_time),
        "visible": str(m.time_next_visible), "receipt": bool(m.pop_receipt),
    }))

@on("failing")
def failing(m: func.QueueMessage) -> None:
    note(f"failing {m.dequeue_count} {m.get_body().decode()} {time.time()}")
    raise RuntimeError("no")

@on("once")
def once(m: func.QueueMessage) -> None:
    note(f"once {m.dequeue_count}")
    if m.dequeue_count == 1:
        raise RuntimeError("not yet")

@on("waiting")
async def waiting(m: func.QueueMessage) -> None:
    note("waiting begins")
    await asyncio.sleep(0.6)
    note("waiting ends")

@on("other-poison")
def poisoned(m: func.QueueMessage) -> None:
    note("poisoned")
    raise RuntimeError("still no")
"""


@pytest.fixture(scope="module")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    process = Azurite(tmp_path_factory.mktemp("azurite") / "azurite.log")
    process.start()
    process.wait_ready()
    yield process
    process.stop()


@pytest.fixture(scope="module")
def host(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHost]:
    app = write_app(tmp_path_factory.mktemp("queues") / "app", _APP, queues=_OPTIONS)
    with RunningHost(
        app, AzureWebJobsStorage=azurite.connection_string, WORK_QUEUE="work"
    ) as running:
        yield running


OpenQueue = Callable[[str], QueueClient]


@pytest.fixture
def queue(azurite: Azurite) -> OpenQueue:
    return lambda name: QueueClient.from_connection_string(azurite.connection_string, name)


def send(queue: QueueClient, *texts: str) -> None:
    for text in texts:
        queue.send_message(base64.b64encode(text.encode()).decode())


def held(queue: QueueClient) -> int:
    """How many messages the queue holds, hidden ones included."""
    return queue.get_queue_properties().approximate_message_count or 0


def bodies(queue: QueueClient) -> list[str]:
    try:
        return [str(message.content) for message in queue.peek_messages(32)]
    except AzureError:
        return []


def test_a_message_reaches_the_function_with_all_its_properties_and_is_deleted(
    host: RunningHost, queue: OpenQueue
) -> None:
    send(queue("work"), "grüß dich")
    (line,) = wait_for(lambda: host.notes("work .*grüß|work .*gr.u00fc"))
    message = json.loads(line.removeprefix("work "))
    assert (message["body"], message["count"], message["receipt"]) == ("grüß dich", 1, True)
    assert uuid.UUID(message["id"])
    assert message["inserted"].endswith("+00:00")
    assert message["inserted"] < message["visible"] < message["expires"]
    wait_for(lambda: held(queue("work")) == 0)


def test_a_message_that_fails_too_often_goes_to_the_poison_queue_as_it_was(
    host: RunningHost, queue: OpenQueue
) -> None:
    send(queue("failing"), "bad")
    wait_for(lambda: bodies(queue("failing-poison")))
    assert bodies(queue("failing-poison")) == [base64.b64encode(b"bad").decode()]
    wait_for(lambda: held(queue("failing")) == 0)
    tries = [line.split() for line in host.notes("failing")]
    assert [(count, body) for _, count, body, _ in tries] == [("1", "bad"), ("2", "bad")]
    # visibilityTimeout is the delay between tries.
    assert float(tries[1][3]) - float(tries[0][3]) >= 0.9


def test_a_message_that_fails_once_is_tried_again_and_deleted(
    host: RunningHost, queue: OpenQueue
) -> None:
    send(queue("once"), "x")
    assert wait_for(lambda: [*host.notes("once")][1:] and host.notes("once")) == [
        "once 1",
        "once 2",
    ]
    wait_for(lambda: held(queue("once")) == 0)
    assert bodies(queue("once-poison")) == []


def test_a_message_that_is_not_base64_goes_to_the_poison_queue_without_a_run(
    host: RunningHost, queue: OpenQueue
) -> None:
    queue("work").send_message("{plain text}")
    assert wait_for(lambda: bodies(queue("work-poison"))) == ["{plain text}"]
    assert host.notes("plain text") == []


def test_a_message_of_a_poison_queue_has_no_further_poison_queue(
    host: RunningHost, queue: OpenQueue
) -> None:
    send(queue("other-poison"), "x")
    wait_for(lambda: "failed and stays hidden" in host.log)
    assert held(queue("other-poison")) == 1
    assert host.notes("poisoned") == ["poisoned"]


def test_messages_of_a_batch_run_side_by_side_and_the_next_batch_joins_at_the_threshold(
    host: RunningHost, queue: OpenQueue
) -> None:
    began = time.monotonic()
    send(queue("waiting"), *(str(number) for number in range(16)))
    wait_for(lambda: len(host.notes("waiting ends")) == 16)
    # 16 runs of 0.6 s would take 9.6 s one after the other.
    assert time.monotonic() - began < 7
    running = most = 0
    for line in host.notes("waiting"):
        running += 1 if line.endswith("begins") else -1
        most = max(most, running)
    # At most the threshold still runs when a further batch is taken.
    assert 2 <= most <= 4 + 8


def test_a_queue_function_can_be_started_by_hand(host: RunningHost) -> None:
    host.call("POST", "/admin/functions/work", json={"input": "by hand please"})
    wait_for(lambda: host.notes("by hand please"))


_STUCK = """
@app.queue_trigger(arg_name="m", queue_name="stuck", connection="AzureWebJobsStorage")
def stuck(m: func.QueueMessage) -> None:
    note(f"begins {m.dequeue_count}")
    if m.dequeue_count == 1:
        time.sleep(2.5)
    note(f"ends {m.dequeue_count}")
"""


def _stuck_app(path: Path, **options: Any) -> Path:
    return write_app(path / "app", _STUCK, queues={"maxPollingInterval": "00:00:00.2", **options})


def test_the_message_of_a_killed_host_runs_again_when_its_lease_ends(
    azurite: Azurite, queue: OpenQueue, tmp_path: Path
) -> None:
    settings = {
        "AzureWebJobsStorage": azurite.connection_string,
        "LOCAL_HOST_LEASE_SECONDS": "2",
    }
    app = _stuck_app(tmp_path)
    with RunningHost(app, **settings) as host:
        send(queue("stuck"), "x")
        wait_for(lambda: host.notes("begins 1"))
        host.process.kill()
    with RunningHost(app, **settings) as host:
        wait_for(lambda: host.notes("ends 2"))
        assert host.notes("ends 1") == []
        wait_for(lambda: held(queue("stuck")) == 0)


def test_a_lease_is_renewed_while_the_function_runs(
    azurite: Azurite, queue: OpenQueue, tmp_path: Path
) -> None:
    app = _stuck_app(tmp_path)
    with RunningHost(
        app, AzureWebJobsStorage=azurite.connection_string, LOCAL_HOST_LEASE_SECONDS="1"
    ) as host:
        send(queue("stuck"), "x")
        wait_for(lambda: host.notes("ends"))
        wait_for(lambda: held(queue("stuck")) == 0)
        assert host.notes() == ["begins 1", "ends 1"]


def test_a_message_taken_too_often_by_dying_hosts_goes_to_the_poison_queue_without_a_run(
    azurite: Azurite, queue: OpenQueue, tmp_path: Path
) -> None:
    doomed = queue("stuck")
    send(doomed, "doomed")
    (message,) = doomed.receive_messages(visibility_timeout=1)
    doomed.update_message(message.id, message.pop_receipt, visibility_timeout=0)
    app = _stuck_app(tmp_path, maxDequeueCount=1)
    with RunningHost(app, AzureWebJobsStorage=azurite.connection_string) as host:
        wait_for(lambda: bodies(queue("stuck-poison")))
        assert host.notes() == []


def test_an_outage_of_storage_is_told_once_and_survived(tmp_path: Path) -> None:
    storage = Azurite(tmp_path / "azurite.log", directory=tmp_path / "data")
    storage.start()
    storage.wait_ready()
    try:
        app = write_app(tmp_path / "app", _APP, queues={**_OPTIONS, "messageEncoding": "none"})
        with RunningHost(
            app, AzureWebJobsStorage=storage.connection_string, WORK_QUEUE="work"
        ) as host:
            storage.stop()
            wait_for(lambda: "storage does not answer" in host.log)
            storage.restart()
            work = QueueClient.from_connection_string(storage.connection_string, "work")
            work.send_message("plain")
            wait_for(lambda: host.notes('"body": "plain"'))
            assert host.log.count("storage does not answer") == 1
            assert host.log.count("storage answers again") == 1
    finally:
        storage.stop()
