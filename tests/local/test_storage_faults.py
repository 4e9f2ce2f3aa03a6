"""The storage that fails on demand, looked at with Microsoft's own client."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import AzureError, HttpResponseError
from azure.storage.queue import QueueClient

from infra.local.network.azurite import Azurite
from infra.local.network.control_client import ControlRefused
from infra.local.process import REPOSITORY, ChildProcess
from infra.local.storage_faults.control import StorageControl


@dataclass(frozen=True)
class Storage:
    """A queue, straight and by way of the proxy."""

    control: StorageControl
    straight: QueueClient
    between: QueueClient

    def held(self) -> int:
        return len(self.straight.peek_messages(max_messages=32))


@pytest.fixture(scope="module")
def storage(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    words = [
        word for name, port in azurite.ports.items() for word in (f"--{name}", f"127.0.0.1:{port}")
    ]
    child = ChildProcess(
        "The storage proxy",
        [sys.executable, "-m", "infra.local.storage_faults", *words],
        log=tmp_path_factory.mktemp("storage") / "proxy.log",
        directory=Path(REPOSITORY),
    )
    child.start()
    ready = child.wait_ready()
    text = azurite.connection_string
    other = text.replace(f":{azurite.ports['queue']}/", f":{ready['queuePort']}/")
    quick: dict[str, Any] = {"retry_total": 0, "read_timeout": 1}
    one = Storage(
        StorageControl(f"http://127.0.0.1:{ready['port']}"),
        QueueClient.from_connection_string(text, "faulty"),
        QueueClient.from_connection_string(other, "faulty", **quick),
    )
    one.straight.create_queue()
    yield one
    child.stop()


@pytest.fixture(autouse=True)
def calm(storage: Storage) -> None:
    storage.control.clear_faults()
    storage.straight.clear_messages()


def test_without_a_fault_the_signature_holds_on_the_way_through(storage: Storage) -> None:
    storage.control.reset_counts()

    storage.between.send_message("hello")

    assert [message.content for message in storage.between.receive_messages()] == ["hello"]
    assert storage.control.calls()["queue POST"] == 1


@pytest.mark.parametrize(
    ("kind", "done"),
    [
        ("status", 0),
        ("timeout", 0),
        ("reset", 0),
        ("timeout_after", 1),
        ("reset_after", 1),
        ("cut_off", 1),
        ("truncated", 1),
    ],
)
def test_a_fault_strikes_before_or_after_the_work_and_once(
    storage: Storage, kind: str, done: int
) -> None:
    storage.control.add_fault(kind, "queue", method="POST", times=1)  # type: ignore[arg-type]

    with pytest.raises(AzureError):
        storage.between.send_message("first")
    assert storage.held() == done
    storage.between.send_message("second")
    assert storage.held() == done + 1


def test_a_status_has_its_retry_after_and_its_code(storage: Storage) -> None:
    storage.control.add_fault("status", "queue", times=1, status=503, retry_after=7)

    with pytest.raises(HttpResponseError) as error:
        storage.between.send_message("first")
    assert error.value.status_code == 503
    response: Any = error.value.response
    assert response.headers["Retry-After"] == "7"


def test_a_fault_is_meant_for_messages_that_hold_its_text_also_in_base64(storage: Storage) -> None:
    storage.control.add_fault("status", "queue", contains="mine")

    storage.between.send_message("eW91cnM=")  # "yours"
    with pytest.raises(HttpResponseError):
        storage.between.send_message("bWluZQ==")  # "mine"
    assert [each["struck"] for each in storage.control.faults()] == [1]


def test_an_unknown_fault_is_refused_with_a_sentence(storage: Storage) -> None:
    with pytest.raises(ControlRefused, match="A fault is one of"):
        storage.control.add_fault("flood", "queue")  # type: ignore[arg-type]
