"""The real storage emulator, as one process of the app opens it."""

from __future__ import annotations

from dataclasses import dataclass, field

from azure.data.tables import TableServiceClient

from shared.adapters.http_session import PooledSession
from shared.adapters.tables import Storage
from shared.config import StorageSettings

_SESSION = PooledSession()


@dataclass(frozen=True)
class RealStorage:
    """An emulator; `opened()` is what another instance of the app would make of it."""

    connection_string: str
    settings: StorageSettings = field(init=False)

    def __post_init__(self) -> None:
        settings = StorageSettings(connection_string=self.connection_string)
        object.__setattr__(self, "settings", settings)

    def opened(self) -> Storage:
        return Storage(self.settings, lambda: _SESSION)

    def drop_tables(self) -> None:
        with TableServiceClient.from_connection_string(self.connection_string) as service:
            for table in list(service.list_tables()):
                service.delete_table(table.name)
