"""The app settings that Bicep makes are those that the app reads."""

from __future__ import annotations

import re

from infra.checks.bicep import FOLDER
from infra.checks.bicep_source import read_all
from infra.checks.bicep_tree import at, resources
from shared.config import read_settings

# Read by the Functions host, by App Service, and by Azure's own libraries.
NOT_OURS = {
    "AzureWebJobsStorage__credential",
    "AZURE_CLIENT_ID",
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
    "OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID",
    "WEBSITE_AUTH_AAD_ALLOWED_TENANTS",
}
# What the platform has in place of Bicep's expressions.
VALUES = {
    "AzureWebJobsStorage__accountName": "st1",
    "AzureWebJobsStorage__clientId": "c1",
    "KEY_VAULT_URL": "https://kv-1.vault.azure.net/",
    "PUBLIC_URL": "https://func-1.azurewebsites.net",
    "ADMIN_ROLE": "Sync.Admin",
    "SWEEP_SCHEDULE": "0 * * * * *",
    "RETENTION_DAYS": "90",
    "APPLICATIONINSIGHTS_CONNECTION_STRING": "InstrumentationKey=1;IngestionEndpoint=https://i",
}
# What Flex Consumption sets itself; WEBSITE_INSTANCE_ID is not among it.
PLATFORM = {
    "WEBSITE_AUTH_ENABLED": "True",
    "WEBSITE_SKU": "FlexConsumption",
    "WEBSITE_POD_NAME": "pod",
    "CONTAINER_NAME": "container",
}


def names() -> set[str]:
    [settings] = [
        config
        for config in resources(read_all(FOLDER), "Microsoft.Web/sites/config")
        if at(config, "name") == "appsettings"
    ]
    return set(at(settings, "properties"))


def test_every_setting_has_a_reader() -> None:
    assert names() == set(VALUES) | NOT_OURS


def test_the_app_starts_with_just_these_settings_and_its_identity() -> None:
    settings = read_settings(VALUES)
    assert settings.storage.table_url == "https://st1.table.core.windows.net"
    assert settings.storage.client_id == "c1"
    assert settings.storage.connection_string == ""


def test_on_flex_consumption_the_sign_in_of_the_platform_is_recognised() -> None:
    assert read_settings(VALUES | PLATFORM).platform_auth


def test_without_the_platform_its_word_is_not_believed() -> None:
    assert not read_settings(VALUES | {"WEBSITE_AUTH_ENABLED": "True"}).platform_auth


def test_an_unresolved_reference_costs_the_telemetry_and_not_the_sync() -> None:
    reference = "@Microsoft.KeyVault(SecretUri=https://kv-1.vault.azure.net/secrets/a)"
    settings = read_settings(VALUES | {"APPLICATIONINSIGHTS_CONNECTION_STRING": reference})
    assert settings.insights == ""


def test_main_keeps_to_what_the_app_accepts() -> None:
    text = (FOLDER / "main.bicep").read_text(encoding="utf-8")
    found = re.search(r"@minValue\((\d+)\)\n@maxValue\((\d+)\)\nparam retentionDays", text)
    assert found
    for days in found.groups():
        assert read_settings(VALUES | {"RETENTION_DAYS": days}).retention_days == int(days)
