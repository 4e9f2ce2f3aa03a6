"""Who may read the vault: the challenge, the managed identity, and what goes wrong on demand."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.identity import DefaultAzureCredential
from azure.keyvault.secrets import SecretClient

from infra.local.network.control_client import ControlRefused
from tests.local.vault_client import VAULT, VaultNetwork, inside, secret_client, vault_network

GET = "GET /secrets/{name}"
NO_RETRY: dict[str, Any] = {"retry_total": 0}


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VaultNetwork]:
    with vault_network(tmp_path_factory.mktemp("vault")) as running, inside(running):
        yield running


@pytest.fixture(autouse=True)
def _fresh(network: VaultNetwork) -> None:
    network.vault.reset()
    network.vault.switch(token_seconds=86_400)
    network.vault.set_secret("key", "value", VAULT)


@pytest.fixture
def client() -> Iterator[SecretClient]:
    with secret_client(**NO_RETRY) as one:
        one.get_secret("key")
        yield one


def token_of(network: VaultNetwork, resource: str, **headers: str) -> requests.Response:
    return requests.get(
        f"{network.vault.base_url}/msi/token",
        params={"api-version": "2019-08-01", "resource": resource},
        headers={"X-IDENTITY-HEADER": network.vault_ready["identityHeader"], **headers},
        timeout=5,
    )


def ask(network: VaultNetwork, token: str | None) -> requests.Response:
    return requests.get(
        f"{network.vault.base_url}/secrets/key?api-version=7.4",
        headers={} if token is None else {"Authorization": f"Bearer {token}"},
        timeout=5,
    )


def test_a_call_without_a_token_is_challenged(network: VaultNetwork) -> None:
    answer = ask(network, None)
    assert answer.status_code == 401
    challenge = answer.headers["WWW-Authenticate"]
    assert challenge.startswith('Bearer authorization="https://login.windows.net/')
    assert 'resource="https://vault.azure.net"' in challenge


def test_only_a_token_of_the_identity_endpoint_for_the_vault_is_accepted(
    network: VaultNetwork,
) -> None:
    good = token_of(network, "https://vault.azure.net").json()["access_token"]
    other = token_of(network, "https://storage.azure.com").json()["access_token"]
    network.vault.set_secret("key", "value")
    assert ask(network, good).status_code == 200
    assert ask(network, other).status_code == 401
    assert ask(network, good[:-2] + "xx").status_code == 401
    assert ask(network, "made-up").status_code == 401
    network.vault.forget_tokens()
    assert ask(network, good).status_code == 401


def test_a_token_ends(network: VaultNetwork) -> None:
    network.vault.switch(token_seconds=-1)
    token = token_of(network, "https://vault.azure.net").json()["access_token"]
    assert ask(network, token).status_code == 401


def test_the_identity_endpoint_wants_its_header(network: VaultNetwork) -> None:
    wrong = token_of(network, "https://vault.azure.net", **{"X-IDENTITY-HEADER": "guess"})
    assert wrong.status_code == 401


def test_the_sdk_signs_in_once_for_many_calls(network: VaultNetwork) -> None:
    with secret_client() as client:
        for _ in range(5):
            client.get_secret("key")
    assert network.vault.calls()["GET /msi/token"] == 1
    assert network.vault.statuses()[f"{GET} 200"] == 5


def test_the_sdk_probes_a_host_that_it_does_not_know_without_a_token(
    network: VaultNetwork,
) -> None:
    network.vault.set_secret("key", "value", "fresh.vault.azure.net")
    with secret_client("https://fresh.vault.azure.net") as client:
        client.get_secret("key")
    assert network.vault.statuses()[f"{GET} 401"] == 1


def test_azure_identity_takes_the_app_service_identity(network: VaultNetwork) -> None:
    with DefaultAzureCredential() as credential:
        token = credential.get_token("https://storage.azure.com/.default")
    assert token.expires_on > time.time() + 80_000
    assert network.vault.calls() == {"GET /msi/token": 1}


def test_a_broken_identity_endpoint_stops_the_client(network: VaultNetwork) -> None:
    network.vault.add_fault("status", route="GET /msi/token", status=400)
    with secret_client(**NO_RETRY) as client, pytest.raises(ClientAuthenticationError):
        client.get_secret("key")


@pytest.mark.parametrize("status", [403, 429, 500, 503])
def test_an_error_is_answered_as_often_as_wanted(
    network: VaultNetwork, client: SecretClient, status: int
) -> None:
    network.vault.add_fault("status", route=GET, status=status, times=2)
    for _ in range(2):
        with pytest.raises(HttpResponseError) as failed:
            client.get_secret("key")
        assert failed.value.status_code == status
    assert client.get_secret("key").value == "value"
    assert network.vault.faults() == []


def test_a_fault_can_be_for_one_secret(network: VaultNetwork, client: SecretClient) -> None:
    network.vault.set_secret("other", "fine", VAULT)
    network.vault.add_fault("status", secret="key", status=403)
    assert client.get_secret("other").value == "fine"
    with pytest.raises(HttpResponseError, match="not authorized"):
        client.get_secret("key")


def test_the_sdk_waits_as_retry_after_says(network: VaultNetwork) -> None:
    network.vault.add_fault("status", route=GET, status=429, retry_after=1, times=1)
    began = time.monotonic()
    with secret_client() as client:
        assert client.get_secret("key").value == "value"
    assert time.monotonic() - began >= 1


def test_a_broken_connection_did_nothing_and_a_lost_answer_did(
    network: VaultNetwork, client: SecretClient
) -> None:
    network.vault.add_fault("reset", route="PUT /secrets/{name}", times=1)
    with pytest.raises((ServiceRequestError, ServiceResponseError)):
        client.set_secret("key", "never")
    assert network.vault.secrets(VAULT)["key"] == "value"
    network.vault.add_fault("lost", route="PUT /secrets/{name}", times=1)
    with pytest.raises((ServiceRequestError, ServiceResponseError)):
        client.set_secret("key", "written")
    assert network.vault.secrets(VAULT)["key"] == "written"


def test_slow_and_silent_answers_meet_the_clients_timeout(
    network: VaultNetwork, client: SecretClient
) -> None:
    network.vault.add_fault("slow", route=GET, seconds=0.3, times=1)
    began = time.monotonic()
    assert client.get_secret("key").value == "value"
    assert time.monotonic() - began >= 0.3
    network.vault.add_fault("timeout", route=GET, times=1)
    with pytest.raises(ServiceResponseError):
        client.get_secret("key", read_timeout=0.3)


def test_control_routes_are_not_on_the_tls_port(network: VaultNetwork) -> None:
    answer = requests.get(f"https://{VAULT}/_control/secrets", timeout=5)
    assert answer.status_code == 404
    assert requests.get(f"https://{VAULT}/msi/token", timeout=5).status_code == 404


def test_an_unknown_fault_is_refused_in_words(network: VaultNetwork) -> None:
    with pytest.raises(ControlRefused, match="A route is"):
        network.vault.add_fault("status", route="GET /nowhere")


def test_the_log_names_calls_and_never_values(network: VaultNetwork, client: SecretClient) -> None:
    network.vault.reset_counts()
    client.set_secret("key", "not-for-the-log")
    last = network.vault.log()[-1]
    assert (last["method"], last["path"], last["status"]) == ("PUT", "/secrets/key", 200)
    assert "not-for-the-log" not in str(network.vault.log())
