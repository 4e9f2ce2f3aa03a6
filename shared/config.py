"""The deployment's settings: read from the environment once, checked, passed down.

Everything that belongs to one customer is in the tables, not here. A wrong or missing setting is
refused at start with one sentence that names it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from shared.errors import Misconfigured

log = logging.getLogger(__name__)

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_LOGIN_URL = "https://login.microsoftonline.com"
_GRAPH_URL = "https://graph.microsoft.com"
_RETENTION_DAYS = 90
_ADMIN_ROLE = "Sync.Admin"
# One of these tells that Azure runs the app; a Flex Consumption instance has no instance id.
_SET_BY_AZURE = ("WEBSITE_INSTANCE_ID", "WEBSITE_POD_NAME", "CONTAINER_NAME")
_SWEEP_SCHEDULE = "0 * * * * *"  # every minute


@dataclass(frozen=True, slots=True)
class StorageSettings:
    """Where tables and queues are: a connection string, or addresses and a managed identity."""

    connection_string: str = ""
    table_url: str = ""
    queue_url: str = ""
    client_id: str = ""  # of a user-assigned identity


@dataclass(frozen=True, slots=True)
class Settings:
    """All app settings (design section 5)."""

    storage: StorageSettings
    key_vault_url: str
    public_url: str
    login_url: str = _LOGIN_URL
    graph_url: str = _GRAPH_URL
    admin_token: str = ""
    admin_role: str = _ADMIN_ROLE
    sweep_schedule: str = _SWEEP_SCHEDULE
    retention_days: int = _RETENTION_DAYS
    platform_auth: bool = False  # App Service Authentication is on
    insights: str = ""  # where telemetry goes; it names a place and opens nothing

    @property
    def redirect_uri(self) -> str:
        """R28."""
        return f"{self.public_url}/OAuth/IntegrationCallback.aspx"

    def webhook_url(self, connection_id: str, *, lifecycle: bool = False) -> str:
        """The address that Graph notifies for a connection (R31)."""
        return (
            f"{self.public_url}/webhooks/graph/{connection_id}{'/lifecycle' if lifecycle else ''}"
        )


def read_settings(env: Mapping[str, str]) -> Settings:
    """Settings from environment variables; raises Misconfigured with one sentence."""
    platform_auth = env.get("WEBSITE_AUTH_ENABLED", "").lower() == "true" and any(
        env.get(name) for name in _SET_BY_AZURE
    )
    settings = Settings(
        storage=_storage(env),
        key_vault_url=_url(env, "KEY_VAULT_URL"),
        public_url=_url(env, "PUBLIC_URL"),
        login_url=_url(env, "LOGIN_URL", _LOGIN_URL),
        graph_url=_url(env, "GRAPH_URL", _GRAPH_URL),
        admin_token=env.get("ADMIN_TOKEN", ""),
        admin_role=env.get("ADMIN_ROLE", "") or _ADMIN_ROLE,
        sweep_schedule=_schedule(env.get("SWEEP_SCHEDULE", "") or _SWEEP_SCHEDULE),
        retention_days=_days(env.get("RETENTION_DAYS", "")),
        platform_auth=platform_auth,
        insights=_insights(env.get("APPLICATIONINSIGHTS_CONNECTION_STRING", "").strip()),
    )
    if settings.admin_token and platform_auth:
        raise Misconfigured(
            "ADMIN_TOKEN is set although App Service Authentication is on, which would refuse it: "
            "remove ADMIN_TOKEN, or switch the authentication off."
        )
    if settings.admin_token and len(settings.admin_token) < 16:
        raise Misconfigured("ADMIN_TOKEN is shorter than 16 characters: choose a longer one.")
    return settings


def _storage(env: Mapping[str, str]) -> StorageSettings:
    name = "AzureWebJobsStorage"
    if env.get(name):
        parts = {part.partition("=")[0].strip().lower() for part in env[name].split(";")}
        if not parts & {"usedevelopmentstorage", "accountname", "tableendpoint"}:
            raise Misconfigured(
                f"{name} is not a storage connection string: copy it from the storage account's "
                "access keys, or use a managed identity instead."
            )
        return StorageSettings(connection_string=env[name])
    client_id = env.get(f"{name}__clientId", "")
    account = env.get(f"{name}__accountName", "")
    table = _service(env, f"{name}__tableServiceUri")
    queue = _service(env, f"{name}__queueServiceUri")
    if account:
        table = table or f"https://{account}.table.core.windows.net"
        queue = queue or f"https://{account}.queue.core.windows.net"
    if not (table and queue):
        raise Misconfigured(
            f"{name} is missing: set it to a connection string, or set {name}__accountName "
            f"(or {name}__tableServiceUri and {name}__queueServiceUri) for a managed identity."
        )
    return StorageSettings(table_url=table, queue_url=queue, client_id=client_id)


def _url(env: Mapping[str, str], name: str, default: str = "") -> str:
    value = (env.get(name, "") or default).strip().rstrip("/")
    if not value:
        raise Misconfigured(f"{name} is missing: set it to an https address.")
    problem = url_problem(value)
    if problem:
        raise Misconfigured(f"{name} {problem}")
    return value


def url_problem(value: str) -> str | None:
    """What is wrong with an outside address, as the end of a sentence; None when nothing is."""
    try:
        parts = urlsplit(value)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port, parts = "", None, urlsplit("")
    if not host or parts.scheme not in ("http", "https"):
        return "is not an address: it must begin with https:// and name a host."
    if parts.scheme == "http" and host not in _LOOPBACK:
        return "uses http: only https is accepted, except on this machine's own loopback."
    if parts.username or parts.password or parts.query or parts.fragment or port == 0:
        return "must be a plain address, without a user, query or fragment."
    return None


_CRON_FIELDS = (
    ("second", 0, 59),
    ("minute", 0, 59),
    ("hour", 0, 23),
    ("day", 1, 31),
    ("month", 1, 12),
    ("day of the week", 0, 6),
)
_CRON_NAMES = {
    "month": ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
    "day of the week": ["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
}


def _schedule(text: str) -> str:
    """The schedule, if it is one: the host would refuse it only after the app was loaded."""
    fields = text.split()
    if len(fields) not in (5, 6):
        raise Misconfigured(
            f"SWEEP_SCHEDULE is not an NCRONTAB expression of 5 or 6 fields: {text!r}."
        )
    for (name, low, high), field in zip(_CRON_FIELDS[-len(fields) :], fields, strict=True):
        for item in field.split(","):
            span, slash, step = item.partition("/")
            ends = ["*"] if span == "*" else span.split("-", 1)
            values = [_cron_value(end, name, low) for end in ends if end != "*"]
            fits = all(value is not None and low <= value <= high for value in values)
            if not fits or (slash and not (step.isdigit() and int(step) > 0)):
                raise Misconfigured(
                    f"SWEEP_SCHEDULE is wrong: {item!r} is no {name} ({low} to {high})."
                )
    return text


def _cron_value(text: str, name: str, low: int) -> int | None:
    if text.isdigit():
        return int(text)
    names = _CRON_NAMES.get(name, [])
    return names.index(text.lower()) + low if text.lower() in names else None


def _service(env: Mapping[str, str], name: str) -> str:
    value = env.get(name, "").strip().rstrip("/")
    if value and (problem := url_problem(value)):
        raise Misconfigured(f"{name} {problem}")
    return value


def _insights(text: str) -> str:
    if text.startswith("@Microsoft.KeyVault("):
        log.warning(
            "Telemetry is off: the Key Vault reference in APPLICATIONINSIGHTS_CONNECTION_STRING is "
            "not resolved. It begins with the next start after it is."
        )
        return ""
    if text and "InstrumentationKey=" not in text:
        raise Misconfigured(
            "APPLICATIONINSIGHTS_CONNECTION_STRING is not what Application Insights shows as its "
            "connection string."
        )
    return text


def _days(text: str) -> int:
    if not text.strip():
        return _RETENTION_DAYS
    if not text.strip().isdecimal() or not 1 <= int(text) <= 3650:
        raise Misconfigured("RETENTION_DAYS is not a whole number of days from 1 to 3650.")
    return int(text)
