"""The vault stand-in behind the local network, and Microsoft's client in front of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from azure.identity import DefaultAzureCredential
from azure.keyvault.secrets import SecretClient

from infra.local.network.ca import Certificates, make_certificates
from infra.local.network.proxy_control import ProxyControl
from infra.local.process import ChildProcess
from infra.local.vault.control import VaultControl

VAULT_URL = "https://myvault.vault.azure.net"
VAULT = "myvault.vault.azure.net"


@dataclass(frozen=True)
class VaultNetwork:
    """Addresses and control of a running vault and proxy."""

    vault: VaultControl
    proxy: ProxyControl
    proxy_url: str
    vault_ready: dict[str, Any]
    certificates: Certificates

    def environment(self) -> dict[str, str]:
        """What an app is given to find them."""
        return {
            "HTTPS_PROXY": self.proxy_url,
            "NO_PROXY": "127.0.0.1,localhost",
            "REQUESTS_CA_BUNDLE": str(self.certificates.bundle),
            "IDENTITY_ENDPOINT": f"{self.vault.base_url}/msi/token",
            "IDENTITY_HEADER": self.vault_ready["identityHeader"],
        }


@contextmanager
def vault_network(directory: Path) -> Iterator[VaultNetwork]:
    """Run a vault and a proxy that leads `*.vault.azure.net` to it."""
    made = make_certificates(directory)
    words = ["--tls-port", "0", "--cert", str(made.certificate), "--key", str(made.key)]
    vault = ChildProcess(
        "vault",
        [sys.executable, "-m", "infra.local.vault", "--port", "0", *words],
        log=directory / "vault.log",
    )
    proxy = ChildProcess(
        "proxy",
        [sys.executable, "-m", "infra.local.network.proxy", "--port", "0"],
        log=directory / "proxy.log",
    )
    vault.start()
    proxy.start()
    try:
        vault_ready = dict(vault.wait_ready())
        proxy_ready = proxy.wait_ready()
        control = ProxyControl(f"http://127.0.0.1:{proxy_ready['controlPort']}")
        control.set_routes({"*.vault.azure.net": f"127.0.0.1:{vault_ready['tlsPort']}"})
        yield VaultNetwork(
            VaultControl(f"http://127.0.0.1:{vault_ready['port']}"),
            control,
            f"http://127.0.0.1:{proxy_ready['port']}",
            vault_ready,
            made,
        )
    finally:
        vault.stop()
        proxy.stop()


@contextmanager
def inside(network: VaultNetwork) -> Iterator[None]:
    """Give this process the network's environment."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("https_proxy", "http_proxy", "HTTP_PROXY", "no_proxy", "all_proxy"):
            patch.delenv(name, raising=False)
        for name, value in network.environment().items():
            patch.setenv(name, value)
        yield


@contextmanager
def secret_client(url: str = VAULT_URL, **options: Any) -> Iterator[SecretClient]:
    """Microsoft's client, signed in as an app in App Service is."""
    with (
        DefaultAzureCredential() as credential,
        SecretClient(url, credential, **options) as client,
    ):
        yield client
