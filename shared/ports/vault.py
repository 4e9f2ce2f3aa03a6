"""Key Vault, and the names of the secrets in it (R29)."""

from __future__ import annotations

from typing import Protocol

from shared.core.model import (
    ConnectionId,
)


class Vault(Protocol):
    """Key Vault secrets (R29). Values are cached for minutes."""

    def get(self, name: str, *, fresh: bool = False) -> str | None:
        """The value, None when there is no such secret. `fresh` passes the cache by."""

    def put(self, name: str, value: str) -> None: ...

    def delete(self, name: str) -> None:
        """Gone already is fine."""


def application_key(connection_id: ConnectionId) -> str:
    """Name of the secret that holds a connection's client secret."""
    return f"connection-{connection_id}-application-key"


def token_cache(connection_id: ConnectionId) -> str:
    """Name of the secret that holds MSAL's token cache."""
    return f"connection-{connection_id}-token-cache"


def client_state(connection_id: ConnectionId) -> str:
    """Name of the secret that Graph sends back with each notification."""
    return f"connection-{connection_id}-client-state"


BMS_PASSWORD = "bms-password"  # noqa: S105 - the name of a secret, not a secret
ITGLUE_KEY = "itglue-api-key"
