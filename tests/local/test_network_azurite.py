"""Azurite as the launcher starts it, used by Microsoft's own clients."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from azure.core.exceptions import ResourceNotFoundError
from azure.data.tables import TableServiceClient
from azure.identity import DefaultAzureCredential
from azure.storage.queue import QueueServiceClient

from infra.local.network.azurite import ACCOUNT, Azurite
from infra.local.network.ca import SERVED_NAMES, make_certificates
from infra.local.network.node import find_node
from infra.local.process import ChildProcess
from tests.local.vault_client import VaultNetwork, inside, vault_network

pytestmark = pytest.mark.world


@pytest.fixture(scope="module")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    one = Azurite(tmp_path_factory.mktemp("azurite") / "azurite.log")
    one.start()
    one.wait_ready()
    yield one
    one.stop()


def test_the_connection_string_opens_tables_and_queues(azurite: Azurite) -> None:
    with TableServiceClient.from_connection_string(azurite.connection_string) as tables:
        table = tables.create_table("links")
        table.upsert_entity({"PartitionKey": "a", "RowKey": "b", "value": 1})
        assert table.get_entity("a", "b")["value"] == 1
    with QueueServiceClient.from_connection_string(azurite.connection_string) as queues:
        queue = queues.create_queue("work")
        queue.send_message("hello")
        assert [message.content for message in queue.receive_messages()] == ["hello"]


def test_the_process_is_node_itself(azurite: Azurite) -> None:
    command = Path(f"/proc/{azurite.process.pid}/exe")
    if not command.exists():
        pytest.skip("this system has no /proc")
    assert command.resolve() == Path(find_node().binary).resolve()


def test_in_memory_nothing_is_written_and_a_restart_is_refused(azurite: Azurite) -> None:
    assert {path.name for path in azurite.process.log_path.parent.iterdir()} == {"azurite.log"}
    with pytest.raises(RuntimeError, match="forgets everything"):
        azurite.restart()


def test_on_disk_storage_survives_a_restart_on_the_same_ports(tmp_path: Path) -> None:
    azurite = Azurite(tmp_path / "azurite.log", directory=tmp_path / "storage")
    azurite.start()
    azurite.wait_ready()
    try:
        before = azurite.connection_string
        with TableServiceClient.from_connection_string(before) as tables:
            tables.create_table("links").upsert_entity({"PartitionKey": "a", "RowKey": "b"})
            azurite.restart()
            assert azurite.connection_string == before
            assert tables.get_table_client("links").get_entity("a", "b")["RowKey"] == "b"
            with pytest.raises(ResourceNotFoundError):
                tables.get_table_client("links").get_entity("a", "c")
    finally:
        azurite.stop()


def test_the_managed_identity_opens_storage_under_its_real_names(tmp_path: Path) -> None:
    with vault_network(tmp_path) as network, inside(network):
        azurite = Azurite(tmp_path / "azurite.log", certificates=network.certificates)
        azurite.start()
        azurite.wait_ready()
        try:
            lead_to(network, azurite)
            with (
                DefaultAzureCredential() as credential,
                TableServiceClient(
                    f"https://{ACCOUNT}.table.core.windows.net", credential=credential
                ) as tables,
                QueueServiceClient(
                    f"https://{ACCOUNT}.queue.core.windows.net", credential=credential
                ) as queues,
            ):
                table = tables.create_table("links")
                table.upsert_entity({"PartitionKey": "a", "RowKey": "b"})
                assert table.get_entity("a", "b")["RowKey"] == "b"
                queue = queues.create_queue("work")
                queue.send_message("hello")
                assert [one.content for one in queue.receive_messages()] == ["hello"]
        finally:
            azurite.stop()


def lead_to(network: VaultNetwork, azurite: Azurite) -> None:
    network.proxy.set_routes(
        {
            f"*.{service}.core.windows.net": f"127.0.0.1:{port}"
            for service, port in azurite.ports.items()
        }
    )


def test_the_certificate_is_good_for_every_served_name(tmp_path: Path) -> None:
    made = make_certificates(tmp_path)
    words = ["--tls-port", "0", "--cert", str(made.certificate), "--key", str(made.key)]
    vault = ChildProcess(
        "vault",
        [sys.executable, "-m", "infra.local.vault", "--port", "0", *words],
        log=tmp_path / "vault.log",
    )
    proxy = ChildProcess(
        "proxy",
        [sys.executable, "-m", "infra.local.network.proxy", "--port", "0"],
        log=tmp_path / "proxy.log",
    )
    vault.start()
    proxy.start()
    try:
        tls_port = vault.wait_ready()["tlsPort"]
        ready = proxy.wait_ready()
        names = [name for name in SERVED_NAMES if name != "localhost"]
        requests.put(
            f"http://127.0.0.1:{ready['controlPort']}/_control/routes",
            json=dict.fromkeys(names, f"127.0.0.1:{tls_port}"),
            timeout=5,
        ).raise_for_status()
        with requests.Session() as session:
            session.trust_env = False
            session.proxies = {"https": f"http://127.0.0.1:{ready['port']}"}
            session.verify = str(made.bundle)
            for name in names:
                answer = session.get(f"https://{name.replace('*', 'some')}/secrets", timeout=5)
                assert answer.status_code == 401
            session.proxies = {}
            for name in ("localhost", "127.0.0.1"):
                answer = session.get(f"https://{name}:{tls_port}/secrets", timeout=5)
                assert answer.status_code == 401
            session.verify = True
            with pytest.raises(requests.exceptions.SSLError):
                session.get(f"https://localhost:{tls_port}/secrets", timeout=5)
    finally:
        vault.stop()
        proxy.stop()
