"""Opens a service client of the storage account, by connection string or managed identity."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from shared.adapters.vault import managed_identity
from shared.config import StorageSettings
from shared.errors import Misconfigured


def open_service(
    service: Any, url: str, settings: StorageSettings, session: Callable[[], Any], **options: Any
) -> Any:
    """The SDK's client of this class, over our pooled session.

    The session has its own proxies and its own idea of the environment, so the SDK's is left out.
    """
    from azure.core.pipeline.transport import RequestsTransport

    options["transport"] = RequestsTransport(
        session=session(),
        session_owner=False,
        use_env_settings=False,
        connection_timeout=5,
        read_timeout=10,  # storage itself ends a table query after 5 seconds, with a page
    )
    if not settings.connection_string:
        return service(url, credential=managed_identity(settings.client_id), **options)
    try:
        return service.from_connection_string(settings.connection_string, **options)
    except ValueError as error:
        raise Misconfigured("AzureWebJobsStorage is not a storage connection string.") from error
