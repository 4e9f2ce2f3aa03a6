"""Key Vault (R29): client secrets, token caches, webhook secrets and passwords live there only.

Values are kept in this process for five minutes, since every call costs tens of milliseconds and
the service allows few. What this process wrote is seen by it at once. Deleted secrets stay
recoverable in Azure and block their name: `put` brings such a one back before it writes.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from shared.adapters.http_session import PooledSession
from shared.errors import Misconfigured, SyncError, TryLater

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from azure.keyvault.secrets import SecretClient

log = logging.getLogger(__name__)

_KEPT_SECONDS = 300.0
_RECOVERY_SECONDS = 20.0
_ROLE = "Key Vault Secrets Officer"


class KeyVault:
    """ports.Vault over azure-keyvault-secrets."""

    def __init__(
        self,
        url: str,
        session: Callable[[], PooledSession],
        *,
        client_id: str = "",
        credential: Callable[[], TokenCredential] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._session = session
        self._credential = credential or (lambda: managed_identity(client_id))
        self._clock = clock
        self._lock = threading.Lock()
        self._client: SecretClient | None = None
        self._kept: dict[str, tuple[str, float]] = {}

    def get(self, name: str, *, fresh: bool = False) -> str | None:
        """The value, None when there is no such secret. `fresh` passes the cache by."""
        kept = self._kept.get(name)
        if kept is not None and not fresh and self._clock() < kept[1]:
            return kept[0]
        from azure.core.exceptions import ResourceNotFoundError

        client = self._open()
        with _translated(name):
            try:
                value = client.get_secret(name).value
            except ResourceNotFoundError:
                value = None
        if value is None:
            self._kept.pop(name, None)
        else:
            self._keep(name, value)
        return value

    def put(self, name: str, value: str) -> None:
        """Write a new version; a name that was deleted recoverably is recovered first."""
        from azure.core.exceptions import ResourceExistsError

        client = self._open()
        with _translated(name):
            try:
                client.set_secret(name, value)
            except ResourceExistsError as error:
                if _inner_code(error) != "ObjectIsDeletedButRecoverable":
                    raise
                client.begin_recover_deleted_secret(name).wait(_RECOVERY_SECONDS)
                client.set_secret(name, value)
        self._keep(name, value)

    def delete(self, name: str) -> None:
        """Gone already is fine."""
        from azure.core.exceptions import ResourceNotFoundError

        client = self._open()
        self._kept.pop(name, None)
        with _translated(name):
            try:
                client.begin_delete_secret(name)
            except ResourceNotFoundError:
                return

    def _keep(self, name: str, value: str) -> None:
        self._kept[name] = (value, self._clock() + _KEPT_SECONDS)

    def _open(self) -> SecretClient:
        with self._lock:
            if self._client is None:
                from azure.core.pipeline.transport import RequestsTransport
                from azure.keyvault.secrets import SecretClient

                transport = RequestsTransport(
                    session=self._session(),
                    session_owner=False,
                    use_env_settings=False,  # the session has read the environment already
                    connection_timeout=5,
                    read_timeout=15,
                )
                self._client = SecretClient(
                    self._url,
                    self._credential(),
                    transport=transport,
                    permit_redirects=False,
                    retry_total=3,
                    retry_backoff_factor=0.3,
                    retry_backoff_max=3,
                    logging_enable=False,
                )
            return self._client


def managed_identity(client_id: str = "") -> TokenCredential:
    """The app's own identity in Azure; a developer's sign-in elsewhere."""
    from azure.identity import DefaultAzureCredential, ManagedIdentityCredential

    named = client_id or os.environ.get("AZURE_CLIENT_ID") or None
    if os.environ.get("IDENTITY_ENDPOINT"):
        # The chain would go on to developers' tools whenever the identity has passing trouble.
        return ManagedIdentityCredential(client_id=named)
    return DefaultAzureCredential(managed_identity_client_id=named)


@contextmanager
def _translated(name: str) -> Iterator[None]:
    """Azure's exceptions in our words. Secret names are ids, so they may be named."""
    from azure.core.exceptions import (
        AzureError,
        ClientAuthenticationError,
        DecodeError,
        HttpResponseError,
    )

    try:
        yield
    except SyncError:
        raise
    except DecodeError as error:
        _report(name, error)
        raise TryLater("Key Vault sent an answer that is cut off.") from error
    except ClientAuthenticationError as error:
        _report(name, error)
        sentence = (
            "The app cannot sign in to Key Vault with its managed identity: check that the "
            "function app has an identity, and that KEY_VAULT_URL names a vault of its tenant."
        )
        if getattr(error, "status_code", None) == 401:
            raise Misconfigured(sentence) from error
        raise TryLater(sentence) from error  # the identity itself gave no token, which may pass
    except HttpResponseError as error:
        _report(name, error)
        raise _from_status(name, error) from error
    except AzureError as error:  # no connection, time-out, an answer that is cut off
        _report(name, error)
        raise TryLater("Key Vault cannot be reached.") from error


def _from_status(name: str, error: Any) -> SyncError:
    status, code = error.status_code, _inner_code(error)
    if status == 403 and code == "SecretDisabled":
        return Misconfigured(f"The secret {name} is disabled in Key Vault: enable it.")
    if status == 403:
        return Misconfigured(
            "Key Vault refuses the app: assign the role "
            f"{_ROLE} on the vault to the app's managed identity, and let the network rules of "
            "the vault admit the app."
        )
    if status == 400:
        return Misconfigured(f"Key Vault does not take the secret {name}: it is too long.")
    if status is None or status < 400:
        return TryLater("Key Vault sent an answer that is cut off.")
    return TryLater(f"Key Vault answered with HTTP {status}.", counts=status != 429)


def _inner_code(error: Any) -> str:
    inner = getattr(getattr(error, "error", None), "innererror", None) or {}
    found = inner.get("code") if isinstance(inner, dict) else None
    if found:
        return str(found)
    # Older API versions, and proxies in between, leave the inner error to be read from the text.
    text = str(getattr(error, "message", ""))
    return "ObjectIsDeletedButRecoverable" if "deleted but recoverable" in text.lower() else ""


def _report(name: str, error: Any) -> None:
    log.warning(
        "call failed: Key Vault %s: %s %s",
        name,
        type(error).__name__,
        getattr(error, "status_code", None) or "",
    )
