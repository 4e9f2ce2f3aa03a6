"""The app registrations: what they allow, and that doing it twice does nothing twice (R28)."""

from __future__ import annotations

from typing import Any

import pytest

from infra.azure.join_apps import join, wait
from infra.azure.portal_steps import portal_steps
from infra.azure.register_apps import make, missing
from infra.azure.registrations import (
    ADMIN_ROLE,
    APPLICATION,
    DELEGATED,
    AlreadyThere,
    connector_body,
)
from shared.config import read_settings
from tests.azure.directory import Directory

URL = "https://func-x.azurewebsites.net"


class Deployment:
    """A directory, and the values that the deployment keeps."""

    def __init__(self) -> None:
        self.directory = Directory()
        self.values = {
            "AZURE_ENV_NAME": "prod",
            "PUBLIC_URL": URL,
            "APP_URL": URL,
            "AZURE_TENANT_ID": "t",
            "IDENTITY_PRINCIPAL_ID": "p",
        }

    def make(self, **options: bool) -> None:
        make(self.directory, self.values, self.values.__setitem__, **options)

    def all(self) -> Directory:
        self.make()
        join(self.directory, self.values)
        return self.directory


def granted(body: dict[str, Any], kind: str) -> set[str]:
    [graph] = body["requiredResourceAccess"]
    return {one["id"] for one in graph["resourceAccess"] if one["type"] == kind}


def test_the_connector_asks_for_the_four_delegated_permissions_and_nothing_that_writes_r28() -> (
    None
):
    assert set(DELEGATED) == {"Directory.Read.All", "Group.Read.All", "User.Read", "User.Read.All"}
    assert granted(connector_body("prod"), "Scope") == set(DELEGATED.values())
    assert granted(connector_body("prod"), "Role") == set(APPLICATION.values())
    assert not granted(connector_body("prod", delegated_only=True), "Role")


def test_customers_of_any_tenant_may_consent_to_the_connector_and_only_to_it_r28() -> None:
    directory = Deployment().all()
    assert directory.named("sync (prod)")["signInAudience"] == "AzureADMultipleOrgs"
    assert directory.named("console")["signInAudience"] == "AzureADMyOrg"


def test_the_connector_gets_the_redirect_uri_that_the_app_uses_r28() -> None:
    settings = read_settings(
        {
            "AzureWebJobsStorage__accountName": "st",
            "KEY_VAULT_URL": "https://kv.vault.azure.net",
            "PUBLIC_URL": URL,
        }
    )
    assert Deployment().all().named("sync (prod)")["web"]["redirectUris"] == [settings.redirect_uri]


def test_nobody_signs_in_without_an_assignment_and_the_deployer_has_one() -> None:
    directory = Deployment().all()
    console = directory.named("console")
    [principal] = [p for p in directory.principals.values() if p["appId"] == console["appId"]]
    assert principal["appRoleAssignmentRequired"] is True
    [role] = console["appRoles"]
    [given] = directory.below[f"servicePrincipals/{principal['id']}/appRoleAssignedTo"]
    assert (role["value"], given["appRoleId"], given["principalId"]) == (
        ADMIN_ROLE,
        role["id"],
        "me",
    )


def test_the_role_is_the_one_that_the_app_asks_for() -> None:
    assert read_settings(
        {
            "AzureWebJobsStorage__accountName": "st",
            "KEY_VAULT_URL": "https://kv.vault.azure.net",
            "PUBLIC_URL": URL,
        }
    ).admin_role == (ADMIN_ROLE)


def test_the_console_has_no_secret_and_trusts_the_apps_identity() -> None:
    directory = Deployment().all()
    console = directory.named("console")
    [trusted] = directory.below[f"applications/{console['id']}/federatedIdentityCredentials"]
    assert trusted["subject"] == "p"
    assert trusted["issuer"] == "https://login.microsoftonline.com/t/v2.0"
    assert trusted["audiences"] == ["api://AzureADTokenExchange"]
    assert directory.secrets == []


def test_the_sign_in_keeps_its_id_tokens_when_the_redirect_uri_is_added() -> None:
    web = Deployment().all().named("console")["web"]
    assert web["redirectUris"] == [f"{URL}/.auth/login/aad/callback"]
    assert web["implicitGrantSettings"] == {"enableIdTokenIssuance": True}


def test_with_a_domain_of_its_own_both_addresses_lead_back_from_the_sign_in() -> None:
    deployment = Deployment()
    deployment.values["PUBLIC_URL"] = "https://sync.example.com"
    directory = deployment.all()
    assert len(directory.named("console")["web"]["redirectUris"]) == 2
    assert directory.named("sync (prod)")["web"]["redirectUris"] == [
        "https://sync.example.com/OAuth/IntegrationCallback.aspx"
    ]


def test_scripts_may_ask_for_tokens_by_the_named_clients_alone() -> None:
    deployment = Deployment()
    deployment.make()
    assert "preAuthorizedApplications" not in deployment.directory.named("console")["api"]
    deployment.values["API_CLIENT_IDS"] = "cli, other"
    deployment.make()
    deployment.make()
    api = deployment.directory.named("console")["api"]
    assert [one["appId"] for one in api["preAuthorizedApplications"]] == ["cli", "other"]
    [scope] = api["oauth2PermissionScopes"]
    assert api["preAuthorizedApplications"][0]["delegatedPermissionIds"] == [scope["id"]]


def test_a_second_time_makes_nothing_twice() -> None:
    deployment = Deployment()
    deployment.all()
    deployment.all()
    directory = deployment.directory
    assert len(directory.applications) == 2
    assert len(directory.grants) == 1
    assert all(len(below) == 1 for below in directory.below.values())
    assert all(len(a["web"]["redirectUris"]) == 1 for a in directory.applications.values())


def test_a_registration_is_never_taken_by_its_name_alone() -> None:
    first, second = Deployment(), Deployment()
    first.make()
    second.directory = first.directory
    with pytest.raises(AlreadyThere):
        second.make()


def test_no_secret_is_made_unless_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    deployment = Deployment()
    deployment.make()
    assert deployment.directory.secrets == []
    assert "s3cret" not in capsys.readouterr().out
    deployment.make(secret=True)
    assert len(deployment.directory.secrets) == 1
    assert "s3cret" in capsys.readouterr().out


def test_the_printed_steps_have_every_value_that_the_script_sets() -> None:
    steps = portal_steps("prod", URL, "p")
    for value in (
        *DELEGATED,
        *APPLICATION,
        ADMIN_ROLE,
        "user_impersonation",
        "requestedAccessTokenVersion",
        "Assignment required?",
        "api://AzureADTokenExchange",
        f"{URL}/OAuth/IntegrationCallback.aspx",
        f"{URL}/.auth/login/aad/callback",
    ):
        assert value in steps


def test_what_must_be_set_before_is_said_with_how() -> None:
    assert "azd env set ALERT_EMAIL" in missing({"AZURE_ENV_NAME": "prod"})
    assert missing({"AZURE_ENV_NAME": "prod", "ALERT_EMAIL": "a@example.com"}) == ""


def test_resolved_references_are_not_waited_for() -> None:
    refreshed: list[str] = []
    wait(list, lambda: refreshed.append("yes"))
    assert refreshed == []
