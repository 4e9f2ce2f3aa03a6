"""Azure Table Storage: clients made once, transactions, and errors in our own words.

Everything the app remembers goes through `Table`. A write that loses against another worker is not
an error here but an answer, since that is the ordinary case that R22 is about.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from shared.adapters import table_requests
from shared.adapters.storage_service import open_service
from shared.adapters.table_requests import Entity, LostRace, Write
from shared.config import StorageSettings
from shared.errors import Misconfigured, TryLater

if TYPE_CHECKING:
    from azure.data.tables import TableClient, TableServiceClient

__all__ = ["Entity", "Storage", "Table", "Write", "joined", "pieces"]

_T = TypeVar("_T")
MOST_PER_TRANSACTION = 100
_PAGE = 1000  # the most that the service gives at once
_PIECE = 30_000  # a property holds at most 32,768 characters


def pieces(name: str, text: str) -> dict[str, str]:
    """A long text as several properties: name0, name1, …"""
    cut = [text[start : start + _PIECE] for start in range(0, len(text), _PIECE)] or [""]
    return {f"{name}{index}": piece for index, piece in enumerate(cut)}


def joined(entity: Entity, name: str) -> str:
    """The inverse of `pieces`."""
    found: list[str] = []
    while (piece := entity.get(f"{name}{len(found)}")) is not None:
        found.append(str(piece))
    return "".join(found)


class Storage:
    """Opens the tables of the app, lazily and once; creates a missing table when first written."""

    def __init__(self, settings: StorageSettings, session: Callable[[], Any]) -> None:
        self._settings = settings
        self._session = session
        self._lock = threading.Lock()
        self._service: TableServiceClient | None = None
        self._tables: dict[str, Table] = {}

    def table(self, name: str) -> Table:
        """The table of this name."""
        with self._lock:
            if name not in self._tables:
                self._tables[name] = Table(self, name)
            return self._tables[name]

    def client(self, name: str) -> TableClient:
        """The SDK's client, over one pooled session."""
        with self._lock:
            if self._service is None:
                self._service = self._connect()
            return self._service.get_table_client(name)

    def _connect(self) -> TableServiceClient:
        from azure.data.tables import TableServiceClient

        service: TableServiceClient = open_service(
            TableServiceClient,
            self._settings.table_url,
            self._settings,
            self._session,
            # A deployment's own storage answers or is down: wait shortly, then let the queue wait.
            retry_total=4,
            retry_read=1,
            retry_connect=2,
            retry_backoff_factor=0.3,
            retry_backoff_max=5,
        )
        return service


class Table:
    """One table."""

    def __init__(self, storage: Storage, name: str) -> None:
        self._storage = storage
        self._name = name
        self._client: TableClient | None = None

    def _open(self) -> TableClient:
        if self._client is None:
            client = self._storage.client(self._name)
            with _translated():
                from azure.core.exceptions import ResourceExistsError

                with suppress(ResourceExistsError):
                    client.create_table()
            self._client = client
        return self._client

    def get(self, partition: str, row: str) -> Entity | None:
        """One entity, or None."""
        client = self._open()
        with _translated():
            return table_requests.get(client, partition, row)

    def pages(
        self,
        query: str,
        *,
        parameters: Mapping[str, Any] | None = None,
        select: Sequence[str] | None = None,
        page: int = _PAGE,
        after: str | None = None,
    ) -> Iterator[tuple[list[Entity], str | None]]:
        """Pages of a query, each with the token of the next page (None at the end)."""
        client = self._open()
        yield from _each(
            table_requests.pages(client, query, parameters or {}, select or (), page, after)
        )

    def contents(
        self, query: str, parameters: Mapping[str, Any], select: Sequence[str]
    ) -> Iterator[bytes]:
        """The pages of a query as plain JSON, for who reads very many rows."""
        found = table_requests.contents(
            self._open(), query, parameters, select, _PAGE, None, plain=True
        )
        for content, _ in _each(found):
            yield content

    def query(
        self,
        query: str,
        *,
        parameters: Mapping[str, Any] | None = None,
        select: Sequence[str] | None = None,
    ) -> Iterator[Entity]:
        """All entities of a query."""
        for entities, _ in self.pages(query, parameters=parameters, select=select):
            yield from entities

    def write(self, write: Write) -> str | None:
        """Write one entity; the new etag, or None when somebody else was quicker."""
        return self.write_all([write]).get(0)

    def write_all(self, writes: Sequence[Write]) -> dict[int, str]:
        """Write entities of one partition in transactions; answers new etags by index.

        A write that lost its race is left out of the answer; all others are done.
        """
        done: dict[int, str] = {}
        for start in range(0, len(writes), MOST_PER_TRANSACTION):
            pending = list(range(start, min(start + MOST_PER_TRANSACTION, len(writes))))
            while pending:
                lost = self._transaction([writes[index] for index in pending], pending, done)
                if lost is None:
                    break
                pending.pop(lost)
        return done

    def _transaction(
        self, writes: Sequence[Write], indexes: Sequence[int], done: dict[int, str]
    ) -> int | None:
        """One transaction; the position of the write that lost its race, or None: all done."""
        client = self._open()
        with _translated():
            try:
                if len(writes) == 1:
                    etags = [table_requests.write_one(client, writes[0])]
                else:
                    etags = table_requests.write_together(client, writes)
            except LostRace as lost:
                gone_already = len(writes) == 1 and writes[0].delete and not writes[0].etag
                return None if gone_already else lost.index
        done.update(zip(indexes, etags, strict=True))
        return None


def _each(found: Iterator[_T]) -> Iterator[_T]:
    while True:
        with _translated():
            try:
                one = next(found)
            except StopIteration:
                return
        yield one


@contextmanager
def _translated() -> Iterator[None]:
    """Azure's exceptions as ours."""
    from azure.core.exceptions import (
        AzureError,
        ClientAuthenticationError,
        DecodeError,
        HttpResponseError,
        ResourceExistsError,
        ResourceModifiedError,
        ResourceNotFoundError,
        ServiceRequestError,
        ServiceResponseError,
    )

    try:
        yield
    except DecodeError as error:
        raise TryLater("The table storage sent an answer that is cut off.") from error
    except (ResourceExistsError, ResourceModifiedError, ResourceNotFoundError) as error:
        raise TryLater("The table storage changed while it was written.") from error
    except ClientAuthenticationError as error:
        raise Misconfigured(
            "The app may not use its table storage: give its identity the role "
            "Storage Table Data Contributor."
        ) from error
    except HttpResponseError as error:
        if error.status_code == 403:
            raise Misconfigured(
                "The app may not use its table storage: give its identity the role "
                "Storage Table Data Contributor, or check the connection string."
            ) from error
        if error.status_code in (429, 500, 502, 503, 504) or error.status_code is None:
            raise TryLater("The table storage is busy.", timedelta(seconds=5)) from error
        raise TryLater(f"The table storage answered {error.status_code}.") from error
    except (ServiceRequestError, ServiceResponseError) as error:
        raise TryLater("The table storage cannot be reached.", timedelta(seconds=5)) from error
    except AzureError as error:
        raise TryLater("The table storage failed.") from error
