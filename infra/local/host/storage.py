"""The host's own way to storage queues and to the timers' table.

Connections are named by settings as in Azure: a connection string under the name itself, or the
identity-based `NAME__queueServiceUri`, `NAME__tableServiceUri`, `NAME__accountName`. The SDK's
synchronous clients run in a small thread pool of the host, so that polling blocks neither the loop
nor the worker's thread pool. Retries are off: the host has its own back-off, and the SDK's first
one lasts 15 seconds.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import requests
from azure.core.exceptions import HttpResponseError, ResourceExistsError
from azure.core.pipeline.transport import RequestsTransport
from azure.storage.queue import QueueClient, QueueMessage
from requests.adapters import HTTPAdapter

from infra.local.host.logs import HOST, STORAGE_THREADS
from infra.local.host.refusal import Refused

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from azure.data.tables import TableClient

_QUIET_SECONDS = 30.0

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Connection:
    """Where a named connection leads to: a connection string, or an account and an identity."""

    connection_string: str = ""
    queue_uri: str = ""
    table_uri: str = ""
    client_id: str = ""


def read_connection(name: str, settings: Mapping[str, str]) -> Connection | None:
    """Read the settings of a connection; None when there are none."""
    text = settings.get(name) or settings.get(f"AzureWebJobs{name}")
    if text:
        return Connection(connection_string=text)
    account = settings.get(f"{name}__accountName", "")
    uris = {
        service: settings.get(f"{name}__{service}ServiceUri")
        or (f"https://{account}.{service}.core.windows.net" if account else "")
        for service in ("queue", "table")
    }
    if not any(uris.values()):
        return None
    return Connection(
        queue_uri=uris["queue"],
        table_uri=uris["table"],
        client_id=settings.get(f"{name}__clientId", ""),
    )


class Outage:
    """Says once that storage does not answer, and once that it does again."""

    def __init__(self) -> None:
        self._told = False
        self._last_told = -math.inf

    def failed(self, error: Exception) -> None:
        """Note a failed call."""
        now = time.monotonic()
        # Calls of one outage end in any order, also after the first one that goes well again.
        if not self._told and now - self._last_told > _QUIET_SECONDS:
            self._told, self._last_told = True, now
            reason = " ".join(str(error).split())[:200]
            HOST.warning("storage does not answer as it should, trying again: %s", reason)

    def answered(self) -> None:
        """Note a call that went well."""
        if self._told:
            self._told = False
            HOST.warning("storage answers again")


class Storage:
    """Makes clients and runs their calls in the host's own threads."""

    def __init__(self, settings: Mapping[str, str], threads: int) -> None:
        self._settings = settings
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=STORAGE_THREADS)
        self._session = requests.Session()
        adapter = HTTPAdapter(pool_connections=8, pool_maxsize=threads)
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)
        self._credentials: dict[str, TokenCredential] = {}
        self.outage = Outage()

    async def call(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a call of a client in a thread of the host."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, lambda: function(*args, **kwargs))

    def close(self) -> None:
        """Let the threads end."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def queue(self, name: str, connection_name: str) -> StorageQueue:
        """Open a queue; refuse a connection that is not set."""
        connection = read_connection(connection_name, self._settings)
        if connection is None or not (connection.connection_string or connection.queue_uri):
            raise Refused(
                f'The queue "{name}" needs the setting {connection_name}, or '
                f"{connection_name}__queueServiceUri or __accountName."
            )
        try:
            if connection.connection_string:
                client = QueueClient.from_connection_string(
                    connection.connection_string, name, **self._options()
                )
            else:
                client = QueueClient(
                    connection.queue_uri, name, self._credential(connection), **self._options()
                )
        except ValueError as error:
            raise Refused(f"The setting {connection_name} is no connection: {error}.") from error
        return StorageQueue(self, name, client)

    def table(self, name: str, connection_name: str) -> TableClient | None:
        """Open a table; None when the connection names no table service."""
        # Imported late: an app without monitored timers need not pay for it.
        from azure.data.tables import TableClient

        connection = read_connection(connection_name, self._settings)
        options = {**self._options(), "table_name": name}
        try:
            if connection is not None and connection.connection_string:
                return TableClient.from_connection_string(connection.connection_string, **options)
            if connection is not None and connection.table_uri:
                return TableClient(
                    connection.table_uri, credential=self._credential(connection), **options
                )
        except ValueError:
            return None
        return None

    def _options(self) -> dict[str, Any]:
        return {
            "transport": RequestsTransport(session=self._session, session_owner=False),
            "retry_total": 0,
            "connection_timeout": 5,
            "read_timeout": 30,
        }

    def _credential(self, connection: Connection) -> TokenCredential:
        # Imported late: it costs a third of a second that a connection string need not pay.
        from azure.identity import DefaultAzureCredential

        known = self._credentials.get(connection.client_id)
        if known is None:
            named = {"managed_identity_client_id": connection.client_id or None}
            known = DefaultAzureCredential(**{k: v for k, v in named.items() if v})
            self._credentials[connection.client_id] = known
        return known


class StorageQueue:
    """One queue, with bodies as the text that the service holds."""

    def __init__(self, storage: Storage, name: str, client: QueueClient) -> None:
        self.name = name
        self._storage = storage
        self._client = client

    async def create(self) -> None:
        """Make the queue if it is missing."""
        await self._storage.call(self._create)

    async def receive(self, count: int, lease: int) -> list[QueueMessage]:
        """Take up to that many messages and hide them for the lease."""

        def page() -> list[QueueMessage]:
            messages = self._client.receive_messages(
                messages_per_page=count, visibility_timeout=lease
            )
            return list(next(messages.by_page(), ()))

        return await self._storage.call(page)

    async def hide(self, message_id: str, receipt: str, seconds: int) -> str:
        """Keep the message hidden for so long from now; return its new receipt."""
        # By its id alone: with the message object the SDK would send the body again.
        updated = await self._storage.call(
            self._client.update_message, message_id, receipt, visibility_timeout=seconds
        )
        return str(updated.pop_receipt)

    async def delete(self, message_id: str, receipt: str) -> None:
        """Delete the message; one that is gone, or taken by another, is left alone."""
        try:
            await self._storage.call(self._client.delete_message, message_id, receipt)
        except HttpResponseError as error:
            if error.status_code not in (400, 404):
                raise

    async def send(self, body: str) -> None:
        """Add a message that never expires; make the queue if it is missing."""
        try:
            await self._storage.call(self._client.send_message, body, time_to_live=-1)
        except HttpResponseError as error:
            if error.status_code != 404:
                raise
            await self.create()
            await self._storage.call(self._client.send_message, body, time_to_live=-1)

    def _create(self) -> None:
        try:
            self._client.create_queue()
        except ResourceExistsError as error:
            # A queue that has just been deleted also answers 409, and is not there.
            if getattr(error, "error_code", "") == "QueueBeingDeleted":
                raise
