"""Azure Storage queues: where work waits. Messages are encoded as host.json says (base64)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from shared.adapters.storage_service import open_service
from shared.adapters.telemetry import traceparent
from shared.config import StorageSettings
from shared.core.correlation import carry
from shared.errors import Misconfigured, TryLater
from shared.ports import QUEUES

if TYPE_CHECKING:
    from azure.storage.queue import QueueClient, QueueServiceClient

_LONGEST_DELAY = timedelta(days=7) - timedelta(hours=1)  # a message lives seven days


class StorageQueues:
    """ports.Queues."""

    def __init__(self, settings: StorageSettings, session: Callable[[], Any]) -> None:
        self._settings = settings
        self._session = session
        self._lock = threading.Lock()
        self._service: QueueServiceClient | None = None
        self._clients: dict[str, QueueClient] = {}

    def send(self, queue: str, text: str, delay: timedelta | None = None) -> None:
        seconds = int(min(delay, _LONGEST_DELAY).total_seconds() + 0.999) if delay else 0
        with _translated():
            self._client(queue).send_message(carry(text, traceparent()), visibility_timeout=seconds)

    def backlog(self) -> dict[str, int]:
        counts: dict[str, int] = {}
        for queue in QUEUES:
            for name in (queue, f"{queue}-poison"):
                with _translated():
                    properties = self._client(name).get_queue_properties()
                    counts[name] = int(properties.approximate_message_count or 0)
        return counts

    def _client(self, queue: str) -> QueueClient:
        with self._lock:
            client = self._clients.get(queue)
        if client is not None:
            return client
        from azure.core.exceptions import ResourceExistsError
        from azure.storage.queue import TextBase64DecodePolicy, TextBase64EncodePolicy

        with self._lock:
            if self._service is None:
                self._service = self._connect()
            client = self._service.get_queue_client(
                queue,
                message_encode_policy=TextBase64EncodePolicy(),
                message_decode_policy=TextBase64DecodePolicy(),
            )
        with suppress(ResourceExistsError):
            client.create_queue()
        with self._lock:
            self._clients[queue] = client
        return client

    def _connect(self) -> QueueServiceClient:
        from azure.storage.queue import QueueServiceClient

        service: QueueServiceClient = open_service(
            QueueServiceClient,
            self._settings.queue_url,
            self._settings,
            self._session,
            # Seconds altogether: a person or Graph waits, and repeats by themselves.
            retry_policy=_sparing_retry(),
        )
        return service


def _sparing_retry() -> Any:
    from azure.core.exceptions import ServiceResponseError
    from azure.storage.queue import LinearRetry

    class SparingRetry(LinearRetry):
        """Two more tries, but none for a message that may have arrived: it would come twice."""

        def increment(
            self, settings: Any, request: Any, response: Any = None, error: Any = None, **_: Any
        ) -> bool:
            if isinstance(error, ServiceResponseError) and request.method == "POST":
                return False
            return bool(super().increment(settings, request, response, error))

    return SparingRetry(backoff=1, retry_total=2, random_jitter_range=0)


@contextmanager
def _translated() -> Iterator[None]:
    from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError

    try:
        yield
    except ClientAuthenticationError as error:
        raise Misconfigured(
            "The app may not use its storage queues: give its identity the role "
            "Storage Queue Data Contributor."
        ) from error
    except HttpResponseError as error:
        if error.status_code == 403:
            raise Misconfigured(
                "The app may not use its storage queues: give its identity the role "
                "Storage Queue Data Contributor, or check the connection string."
            ) from error
        raise TryLater("The storage queues are busy.", timedelta(seconds=5)) from error
    except AzureError as error:
        raise TryLater("The storage queues cannot be reached.", timedelta(seconds=5)) from error
