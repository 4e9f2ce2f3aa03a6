"""Storage queues as the Functions host reads them, on the real emulator."""

from __future__ import annotations

import base64
from datetime import timedelta

import pytest
from azure.storage.queue import QueueServiceClient

from shared.adapters.http_session import PooledSession
from shared.adapters.queues import StorageQueues
from shared.errors import Misconfigured, TryLater
from shared.ports import BULK, FRESH, QUEUES
from tests.real_storage import RealStorage

pytestmark = pytest.mark.world


@pytest.fixture
def queues(real_storage: RealStorage) -> StorageQueues:
    with QueueServiceClient.from_connection_string(real_storage.connection_string) as service:
        for queue in list(service.list_queues()):
            service.get_queue_client(queue).clear_messages()
    return StorageQueues(real_storage.settings, PooledSession)


def received(real_storage: RealStorage, queue: str) -> list[str]:
    """The texts as they lie in the queue, without any decoding."""
    with QueueServiceClient.from_connection_string(real_storage.connection_string) as service:
        return [str(one.content) for one in service.get_queue_client(queue).receive_messages()]


def test_a_message_is_encoded_as_the_host_reads_it(
    queues: StorageQueues, real_storage: RealStorage
) -> None:
    queues.send(FRESH, '{"v":1,"name":"Łukasz 🙂"}')

    (text,) = received(real_storage, FRESH)
    assert base64.b64decode(text).decode() == '{"v":1,"name":"Łukasz 🙂"}'


def test_a_delayed_message_is_not_there_yet(
    queues: StorageQueues, real_storage: RealStorage
) -> None:
    queues.send(BULK, "now")
    queues.send(BULK, "later", timedelta(minutes=5))
    queues.send(BULK, "far", timedelta(days=30))

    assert [base64.b64decode(text) for text in received(real_storage, BULK)] == [b"now"]


def test_the_longest_message_is_taken(queues: StorageQueues, real_storage: RealStorage) -> None:
    queues.send(FRESH, "x" * 48 * 1024)

    assert len(received(real_storage, FRESH)) == 1


def test_the_backlog_counts_every_queue_and_its_poison_queue(queues: StorageQueues) -> None:
    queues.send(FRESH, "one")
    queues.send(FRESH, "two", timedelta(minutes=5))
    queues.send(f"{BULK}-poison", "three")

    backlog = queues.backlog()

    assert set(backlog) == {*QUEUES, *(f"{queue}-poison" for queue in QUEUES)}
    assert {name: count for name, count in backlog.items() if count} == {
        FRESH: 2,
        f"{BULK}-poison": 1,
    }


def test_queues_that_cannot_be_reached_are_tried_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    nowhere = RealStorage(
        "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=YQ==;"
        "TableEndpoint=http://127.0.0.1:9/a;QueueEndpoint=http://127.0.0.1:9/a;"
    )

    with pytest.raises(TryLater):
        StorageQueues(nowhere.settings, PooledSession).send(FRESH, "text")


def test_a_connection_string_that_is_none_is_a_wrong_setting() -> None:
    with pytest.raises(Misconfigured, match="AzureWebJobsStorage"):
        StorageQueues(RealStorage("nonsense").settings, PooledSession).send(FRESH, "text")
