"""The Bicep files pass their check, and the check sees what would be wrong (design section 9)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from infra.checks.bicep import FOLDER, problems_of
from infra.checks.bicep_rules import ROLE_IDS, HttpRoute, excluded_paths
from infra.checks.bicep_source import NotBicep, read, read_all
from shared.adapters import vault
from tests.azure.conftest import Changed

APP = "function_app.bicep"
BLOB_OWNER = ROLE_IDS["Storage Blob Data Owner"]
ANOTHER_ROLE = """\
resource another 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: name
}
"""


def test_the_files_are_as_they_must_be(functions: Sequence[Mapping[str, Any]]) -> None:
    assert problems_of(read_all(FOLDER), functions) == []


def test_what_is_no_bicep_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "main.bicep").write_text("param a string\nresource {\n")
    with pytest.raises(NotBicep, match=r"main\.bicep: .*line 2"):
        read(tmp_path / "main.bicep")


@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        ("storage.bicep", "location: location", "location: locaton", "locaton is not defined"),
        ("vault.bicep", "${insightsAddress.", "${insightsAdress.", "insightsAdress is not defined"),
        ("roles.bicep", "guid(account", "giud(account", "giud is not defined"),
        ("main.bicep", "name: 'st${token}'", "name: 'st'", ""),
        ("main.bicep", "    sku: storageSku\n", "", "storage is not given sku"),
        ("main.bicep", "sku: storageSku", "skew: storageSku", "storage takes no skew"),
        ("main.bicep", "vault.outputs.url", "vault.outputs.uri", "vault has no output uri"),
        ("main.bicep", "'alerts.bicep'", "'alarms.bicep'", "alarms.bicep does not exist"),
        ("main.bicep", "param extraTags", "param x int = 1\nparam extraTags", "x is not used"),
        (APP, "'FC1'", "'Y1'", "sku.name is 'Y1'"),
        (APP, "version: '3.13'", "version: '3.11'", "runtime.version is '3.11'"),
        (APP, "httpsOnly: true", "httpsOnly: false", "httpsOnly is False"),
        (APP, "allow: false", "allow: true", "properties.allow is True"),
        (APP, "'UserAssignedIdentity'", "'StorageAccountConnectionString'", "authentication.type"),
        ("storage.bicep", "allowSharedKeyAccess: false", "allowSharedKeyAccess: true", "SharedKey"),
        ("storage.bicep", "    allowSharedKeyAccess: false\n", "", "allowSharedKeyAccess is None"),
        ("storage.bicep", "'TLS1_2'", "'TLS1_0'", "minimumTlsVersion"),
        ("vault.bicep", "enablePurgeProtection: true", "enablePurgeProtection: false", "Purge"),
        ("vault.bicep", "enableRbacAuthorization: true", "enableRbacAuthorization: false", "Rbac"),
        ("monitoring.bicep", "DisableLocalAuth: true", "DisableLocalAuth: false", "LocalAuth"),
    ],
)  # fmt: skip
def test_a_slip_is_seen(file: str, old: str, new: str, told: str, with_change: Changed) -> None:
    problems = with_change(file, old, new)
    assert any(told in problem for problem in problems) if told else problems == []


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        (APP, "insightsReference\n    APPL", "insights.properties.ConnectionString\n    APPL"),
        (APP, "KEY_VAULT_URL: vaultUrl", "KEY_VAULT_URL: site.listKeys().keys[0].value"),
        ("storage.bicep", "= account.id", "= listKeys(account.id, '1').keys[0].value"),
        ("monitoring.bicep", "= insights.name", "= insights.properties.InstrumentationKey"),
        ("vault.bicep", "= vault.name", "= insights.properties.ConnectionString"),
        ("storage.bicep", "= account.name", "= 'DefaultEndpointsProtocol=https;AccountKey=abc'"),
    ],
)  # fmt: skip
def test_no_key_gets_into_a_setting_or_an_output_unseen(
    file: str, old: str, new: str, with_change: Changed
) -> None:
    told = with_change(file, old, new)
    assert any(re.search(r"hands out keys|has .*(Connection|Key)", line) for line in told)


@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        ("roles.bicep", BLOB_OWNER, ROLE_IDS["Key Vault Secrets Officer"], "not the known"),
        ("roles.bicep", "'Key Vault Secrets Officer': '", "'Owner': '", "not the known"),
        ("roles.bicep", "scope: vault\n", "scope: resourceGroup()\n", "more than one resource"),
        ("roles.bicep", "  principalType: 'ServicePrincipal'\n", "", "principalType"),
        ("identity.bicep", "output id", f"{ANOTHER_ROLE}\noutput id", "roles.bicep alone"),
        ("identity.bicep", "output id", f"var r = '{BLOB_OWNER}'\noutput id", "bare id"),
    ],
)  # fmt: skip
def test_a_role_that_is_another_or_elsewhere_is_seen(
    file: str, old: str, new: str, told: str, with_change: Changed
) -> None:
    assert any(told in problem for problem in with_change(file, old, new))


def test_the_vaults_role_is_the_one_that_the_app_names_when_it_is_refused() -> None:
    assert vault._ROLE in ROLE_IDS


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("['/webhooks/graph/*', ", "['/api/*', '/webhooks/graph/*', ", "lets anybody into api/"),
        ("['/webhooks/graph/*', ", "['/*', '/webhooks/graph/*', ", "lets anybody into api/"),
        (", '/health']", "]", "/health (health) is behind the sign-in"),
        (", '/health']", ", '/health', '/metrics']", "/metrics is no route"),
        ("requireAuthentication: true", "requireAuthentication: false", "requireAuthentication"),
        ("'RedirectToLoginPage'", "'AllowAnonymous'", "unauthenticatedClientAction"),
        ("union([consoleClientId], apiClientIds)", "[]", "tokens of any application"),
        ("'function:apply_user_delta'", "'function:apply'", "apply is always ready"),
        ("    KEY_VAULT_URL: vaultUrl\n", "", "setting KEY_VAULT_URL is missing"),
    ],
)
def test_a_gap_in_the_sign_in_is_seen(old: str, new: str, told: str, with_change: Changed) -> None:
    assert any(told in problem for problem in with_change(APP, old, new))


def test_pages_of_administrators_must_be_behind_the_sign_in() -> None:
    page = HttpRoute("console", "console/{*path}")
    assert excluded_paths(["/console/*"], [page]) == [
        "/console/* lets anybody into console/{*path}"
    ]
    assert excluded_paths([], [page]) == []
