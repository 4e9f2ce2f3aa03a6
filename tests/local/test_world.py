"""The whole local world at once: every service under its real name, and nothing else reachable."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from azure.data.tables import TableServiceClient
from azure.identity import DefaultAzureCredential
from azure.keyvault.secrets import SecretClient

from infra.local.network.azurite import ACCOUNT, ACCOUNT_KEY
from infra.local.world import VAULT_URL, World

pytestmark = pytest.mark.world

SMALL_APP = """
import os

import azure.functions as func
import requests
from azure.identity import DefaultAzureCredential
from azure.keyvault.secrets import SecretClient

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="pid")
def pid(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(str(os.getpid()))


@app.route(route="secret")
def secret(req: func.HttpRequest) -> func.HttpResponse:
    client = SecretClient(os.environ["KEY_VAULT_URL"], DefaultAzureCredential())
    return func.HttpResponse(client.get_secret("greeting").value)


@app.route(route="outside")
def outside(req: func.HttpRequest) -> func.HttpResponse:
    try:
        requests.get("https://telemetry.example.com/", timeout=5)
    except requests.exceptions.ProxyError:
        return func.HttpResponse("refused")
    return func.HttpResponse("reached")
"""


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with World() as one:
        yield one


@pytest.fixture
def inside(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """This process calls as an app in the world does."""
    enter(world, monkeypatch)
    world.proxy.reset_counts()
    return world


@pytest.fixture
def small_app(tmp_path: Path) -> Path:
    (tmp_path / "function_app.py").write_text(SMALL_APP)
    (tmp_path / "host.json").write_text('{"version": "2.0"}')
    return tmp_path


def enter(world: World, patch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            patch.delenv(name)
    for name, value in world.network_environment().items():
        patch.setenv(name, value)


def running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def soon(claim: Callable[[], bool], seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while not claim():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("https://login.microsoftonline.com/common/v2.0/.well-known/openid-configuration", 200),
        ("https://graph.microsoft.com/v1.0/users", 401),
        ("https://api.bms.kaseya.com/v2/crm/contacts/summary", 401),
        ("https://bms.kaseya.com/v1/nowhere", 404),
        ("https://api.itglue.com/contacts", 403),
        ("https://api.eu.itglue.com/contacts", 403),
        (f"{VAULT_URL}/secrets/key?api-version=7.4", 401),
    ],
)
def test_each_stand_in_answers_under_its_real_name(inside: World, url: str, status: int) -> None:
    answer = requests.get(url, timeout=10)
    assert answer.status_code == status
    assert sum(inside.proxy.connections().values()) == 1
    assert inside.proxy.refused() == {}


@pytest.mark.parametrize("url", ["https://example.com/", "http://example.com/"])
def test_any_other_name_is_refused_and_counted(inside: World, url: str) -> None:
    if url.startswith("https"):
        with pytest.raises(requests.exceptions.ProxyError):
            requests.get(url, timeout=10)
        assert inside.proxy.refused() == {"example.com": 1}
    else:
        assert requests.get(url, timeout=10).status_code == 403
        assert inside.proxy.refused() == {f"GET {url}": 1}
    assert inside.proxy.connections() == {}


def test_no_stand_in_shows_its_control_routes_to_the_app(inside: World) -> None:
    names = ("graph.microsoft.com", "login.microsoftonline.com", "api.bms.kaseya.com")
    for name in (*names, "api.itglue.com"):
        answer = requests.get(f"https://{name}/_control/state", timeout=10)
        assert answer.status_code in (400, 401, 403, 404)


def test_the_app_is_given_this_world_and_nothing_of_the_surroundings(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = "http://outside.example:3128"
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "AZURE_CLIENT_ID", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, outside)
    environment = world.app_environment(7071, lease_seconds=5, SWEEP_SCHEDULE="*/5 * * * * *")
    assert outside not in environment.values()
    assert environment["AzureWebJobsStorage"] == world.storage_connection_string
    assert environment["KEY_VAULT_URL"] == VAULT_URL
    assert environment["PUBLIC_URL"] == "http://localhost:7071"
    assert environment["ADMIN_TOKEN"] == world.admin_token
    assert environment["HTTPS_PROXY"] == world.proxy_url
    assert environment["LOCAL_HOST_LEASE_SECONDS"] == "5"
    assert environment["SWEEP_SCHEDULE"] == "*/5 * * * * *"


def test_an_app_in_the_host_reads_the_vault_and_reaches_nothing_outside(
    world: World, small_app: Path
) -> None:
    world.proxy.reset_counts()
    world.vault.set_secret("greeting", "hello")
    host = world.start_host(app=small_app)
    try:
        assert requests.get(f"{host.base_url}/api/secret", timeout=10).text == "hello"
        assert requests.get(f"{host.base_url}/api/outside", timeout=10).text == "refused"
        assert world.proxy.refused() == {"telemetry.example.com": 1}
    finally:
        host.stop()


def test_a_host_that_crashed_comes_back_on_its_port(world: World, small_app: Path) -> None:
    host = world.start_host(app=small_app)
    try:
        first = requests.get(f"{host.base_url}/api/pid", timeout=10).text
        host.restart(crash=True)
        assert requests.get(f"{host.base_url}/api/pid", timeout=10).text != first
    finally:
        host.stop()
    assert not host.alive
    assert host.log_path.exists()


def test_a_second_world_with_the_managed_identity_leaves_nothing_behind(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with World(storage_identity=True) as second:
        directory, storage_pid = second.directory, second.azurite.process.pid
        assert second.proxy_url != world.proxy_url
        environment = second.app_environment(7071)
        assert environment["AzureWebJobsStorage__accountName"] == ACCOUNT
        assert ACCOUNT_KEY not in str(environment)
        enter(second, monkeypatch)
        with (
            DefaultAzureCredential() as credential,
            TableServiceClient(
                f"https://{ACCOUNT}.table.core.windows.net", credential=credential
            ) as tables,
            SecretClient(VAULT_URL, credential) as vault,
        ):
            tables.create_table("links")
            assert [table.name for table in tables.list_tables()] == ["links"]
            vault.set_secret("only", "here")
            assert second.vault.secrets() == {"only": "here"}
            assert "only" not in world.vault.secrets()
    assert not directory.exists()
    assert soon(lambda: not running(storage_pid))
