"""A wrong or missing setting is refused with one sentence that names it (design section 5)."""

from __future__ import annotations

import re

import pytest

from shared.config import Settings, StorageSettings, read_settings
from shared.errors import Misconfigured

LEAST = {
    "AzureWebJobsStorage": "UseDevelopmentStorage=true",
    "KEY_VAULT_URL": "https://vault.example",
    "PUBLIC_URL": "https://sync.example",
}
MANAGED = {name: value for name, value in LEAST.items() if name != "AzureWebJobsStorage"}


def test_the_least_settings_take_all_defaults() -> None:
    assert read_settings(LEAST) == Settings(
        storage=StorageSettings(connection_string="UseDevelopmentStorage=true"),
        key_vault_url="https://vault.example",
        public_url="https://sync.example",
        login_url="https://login.microsoftonline.com",
        graph_url="https://graph.microsoft.com",
        admin_token="",
        admin_role="Sync.Admin",
        sweep_schedule="0 * * * * *",
        platform_auth=False,
    )


def test_every_setting_can_be_given() -> None:
    settings = read_settings(
        {
            **MANAGED,
            "AzureWebJobsStorage__accountName": "contoso",
            "AzureWebJobsStorage__clientId": "an-identity",
            "LOGIN_URL": "https://login.microsoftonline.us/",
            "GRAPH_URL": "https://graph.microsoft.us",
            "ADMIN_TOKEN": "a-token-of-the-admin",
            "ADMIN_ROLE": "Directory.Admin",
            "SWEEP_SCHEDULE": "30 */2 * * * *",
        }
    )

    assert settings == Settings(
        storage=StorageSettings(
            table_url="https://contoso.table.core.windows.net",
            queue_url="https://contoso.queue.core.windows.net",
            client_id="an-identity",
        ),
        key_vault_url="https://vault.example",
        public_url="https://sync.example",
        login_url="https://login.microsoftonline.us",
        graph_url="https://graph.microsoft.us",
        admin_token="a-token-of-the-admin",
        admin_role="Directory.Admin",
        sweep_schedule="30 */2 * * * *",
    )


def test_storage_addresses_may_be_named_one_by_one() -> None:
    table, queue = "https://t.example", "https://q.example"
    settings = read_settings(
        {
            **MANAGED,
            "AzureWebJobsStorage__tableServiceUri": table,
            "AzureWebJobsStorage__queueServiceUri": queue,
        }
    )

    assert settings.storage == StorageSettings(table_url=table, queue_url=queue)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_http_is_taken_on_loopback(host: str) -> None:
    assert read_settings({**LEAST, "PUBLIC_URL": f"http://{host}:7071"}).public_url


def test_the_redirect_uri_and_the_webhook_lie_below_the_public_url_r28_r31() -> None:
    settings = read_settings({**LEAST, "PUBLIC_URL": "https://sync.example/"})

    assert settings.redirect_uri == "https://sync.example/OAuth/IntegrationCallback.aspx"
    assert settings.webhook_url("c1") == "https://sync.example/webhooks/graph/c1"
    assert settings.webhook_url("c1", lifecycle=True).endswith("/webhooks/graph/c1/lifecycle")


def test_app_service_authentication_counts_only_on_the_platform() -> None:
    for one in ("WEBSITE_INSTANCE_ID", "WEBSITE_POD_NAME", "CONTAINER_NAME"):
        believed = {"WEBSITE_AUTH_ENABLED": "True", one: "i-1"}
        assert read_settings({**LEAST, **believed}).platform_auth, one

    assert not read_settings({**LEAST, "WEBSITE_AUTH_ENABLED": "True"}).platform_auth


_TABLES, _QUEUES = "AzureWebJobsStorage__tableServiceUri", "AzureWebJobsStorage__queueServiceUri"


def test_telemetry_goes_nowhere_while_its_key_vault_reference_is_not_resolved() -> None:
    name = "APPLICATIONINSIGHTS_CONNECTION_STRING"
    reference = "@Microsoft.KeyVault(SecretUri=https://kv.example/secrets/insights)"

    assert read_settings({**LEAST, name: reference}).insights == ""
    assert read_settings({**LEAST, name: "InstrumentationKey=1;Ingest"}).insights
    with pytest.raises(Misconfigured, match=name):
        read_settings({**LEAST, name: "https://insights.example"})


@pytest.mark.parametrize(
    ("name", "change"),
    [
        pytest.param("AzureWebJobsStorage", {"AzureWebJobsStorage": ""}, id="no storage"),
        pytest.param(
            "AzureWebJobsStorage", {"AzureWebJobsStorage": "nonsense"}, id="storage is nonsense"
        ),
        pytest.param(
            _QUEUES,
            {"AzureWebJobsStorage": "", _TABLES: "https://t.example"},
            id="tables without queues",
        ),
        pytest.param(
            _TABLES,
            {"AzureWebJobsStorage": "", _TABLES: "t.example", _QUEUES: "https://q.example"},
            id="tables are no address",
        ),
        pytest.param(
            _QUEUES,
            {"AzureWebJobsStorage": "", _TABLES: "https://t.example", _QUEUES: "http://q.example"},
            id="queues over http",
        ),
        pytest.param("KEY_VAULT_URL", {"KEY_VAULT_URL": ""}, id="no vault"),
        pytest.param("KEY_VAULT_URL", {"KEY_VAULT_URL": "vault"}, id="vault is no address"),
        pytest.param("KEY_VAULT_URL", {"KEY_VAULT_URL": "http://v.example"}, id="vault over http"),
        pytest.param("PUBLIC_URL", {"PUBLIC_URL": " "}, id="no public address"),
        pytest.param("PUBLIC_URL", {"PUBLIC_URL": "https://"}, id="public address without host"),
        pytest.param("PUBLIC_URL", {"PUBLIC_URL": "ftp://sync.example"}, id="public over ftp"),
        pytest.param("PUBLIC_URL", {"PUBLIC_URL": "https://a.example:x"}, id="port is no number"),
        pytest.param("PUBLIC_URL", {"PUBLIC_URL": "https://a.example:99999"}, id="port too large"),
        pytest.param("PUBLIC_URL", {"PUBLIC_URL": "https://[a.example"}, id="half an address"),
        pytest.param("PUBLIC_URL", {"PUBLIC_URL": "https://u:p@a.example"}, id="user in address"),
        pytest.param("PUBLIC_URL", {"PUBLIC_URL": "https://a.example?x=1"}, id="query in address"),
        pytest.param("LOGIN_URL", {"LOGIN_URL": "http://login.example"}, id="sign-in over http"),
        pytest.param("GRAPH_URL", {"GRAPH_URL": "graph"}, id="graph is no address"),
        pytest.param("ADMIN_TOKEN", {"ADMIN_TOKEN": "short"}, id="a short token"),
        pytest.param(
            "ADMIN_TOKEN",
            {
                "ADMIN_TOKEN": "a-token-of-the-admin",
                "WEBSITE_AUTH_ENABLED": "true",
                "WEBSITE_INSTANCE_ID": "i-1",
            },
            id="a token beside App Service Authentication",
        ),
        pytest.param("SWEEP_SCHEDULE", {"SWEEP_SCHEDULE": "every minute"}, id="no schedule"),
        pytest.param(
            "SWEEP_SCHEDULE", {"SWEEP_SCHEDULE": "0 61 * * * *"}, id="no minute of the hour"
        ),
        pytest.param("SWEEP_SCHEDULE", {"SWEEP_SCHEDULE": "a b c d e f"}, id="schedule of words"),
    ],
)
def test_a_wrong_setting_is_refused_with_one_sentence_that_names_it(
    name: str, change: dict[str, str]
) -> None:
    with pytest.raises(Misconfigured) as refusal:
        read_settings({**LEAST, **change})

    sentence = refusal.value.sentence
    assert name in sentence
    assert sentence.endswith(".")
    assert not re.search(r"\. [A-Z]", sentence), "one sentence"
    assert "a-token-of-the-admin" not in sentence
