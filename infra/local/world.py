"""The whole local world: storage, stand-ins and the network that leads to them.

    with World() as world:
        host = world.start_host()

Everything is a process on a free port of 127.0.0.1 with its files in one temporary directory, so
several worlds can run at once and nothing stays behind. `python -m infra.local.world` starts one
for a person and serves until Ctrl-C.
"""

from __future__ import annotations

import argparse
import secrets
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from infra.local.bms.control import BmsControl
from infra.local.entra.control import EntraControl
from infra.local.host_process import HostProcess
from infra.local.itglue.control import ItGlueControl
from infra.local.network.azurite import ACCOUNT, Azurite, AzuriteNotInstalled
from infra.local.network.ca import Certificates, make_certificates
from infra.local.network.node import NodeNotFound
from infra.local.network.ports import free_port
from infra.local.network.proxy_control import ProxyControl
from infra.local.process import (
    KEPT_VARIABLES,
    REPOSITORY,
    ChildFailed,
    ChildProcess,
    Ready,
    kept_environment,
    remove_at_death,
)
from infra.local.storage_faults.control import StorageControl
from infra.local.vault.control import VaultControl

# Which outside names each stand-in serves.
STAND_INS: dict[str, tuple[str, ...]] = {
    "entra": ("login.microsoftonline.com", "graph.microsoft.com"),
    "bms": ("api.bms.kaseya.com", "bms.kaseya.com"),
    "itglue": ("api.itglue.com", "api.eu.itglue.com", "api.au.itglue.com"),
    "vault": ("*.vault.azure.net",),
}
VAULT_URL = "https://local-sync.vault.azure.net"
DEFAULT_LEASE_SECONDS = 600


class World:
    """Storage, stand-ins and network as processes; a context manager."""

    entra: EntraControl
    bms: BmsControl
    itglue: ItGlueControl
    vault: VaultControl
    proxy: ProxyControl
    azurite: Azurite
    storage: StorageControl  # with `storage_faults` only

    def __init__(
        self,
        directory: Path | None = None,
        *,
        storage_on_disk: bool = False,
        storage_identity: bool = False,
        storage_faults: bool = False,
        lease_seconds: int = DEFAULT_LEASE_SECONDS,
        arguments: dict[str, Sequence[str]] | None = None,
    ) -> None:
        """Prepare a world: `directory` is kept, without one a temporary one is made and removed.

        `arguments` are further command-line words by stand-in. With `storage_identity`
        Azurite speaks https under its real names and takes the managed identity's tokens, and the
        app gets no storage key. With `storage_faults` function hosts reach the storage through a
        proxy that fails on demand (`storage`); tests look past it.
        """
        if storage_identity and storage_faults:
            raise ValueError("The storage that fails on demand is reached by a connection string.")
        self._given_directory = directory
        self._storage_on_disk = storage_on_disk
        self._storage_identity = storage_identity
        self._storage_faults = storage_faults
        self._lease_seconds = lease_seconds
        self._arguments = arguments or {}
        self._children: dict[str, ChildProcess] = {}
        self._ready: dict[str, Ready] = {}
        self._hosts: list[HostProcess] = []
        self.admin_token = secrets.token_urlsafe(32)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start everything; nothing is left running when a part does not come up."""
        if self._given_directory is None:
            self.directory = Path(tempfile.mkdtemp(prefix="local-world-"))
            remove_at_death(self.directory)
        else:
            self.directory = self._given_directory.resolve()
            self.directory.mkdir(parents=True, exist_ok=True)
        try:
            self._start_all()
        except BaseException:
            self.stop(keep_logs=True)
            raise

    def stop(self, *, keep_logs: bool = False) -> None:
        """End every process, hosts first, and remove the temporary directory."""
        _all_at_once([host.stop for host in self._hosts])
        self._hosts.clear()
        endings: list[Callable[[], None]] = [child.stop for child in self._children.values()]
        if hasattr(self, "azurite"):
            endings.append(self.azurite.stop)
        _all_at_once(endings)
        self._children.clear()
        if self._given_directory is None and not keep_logs:
            shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def proxy_url(self) -> str:
        """The CONNECT proxy's address."""
        return f"http://127.0.0.1:{self._ready['proxy']['port']}"

    @property
    def storage_connection_string(self) -> str:
        return self.azurite.connection_string

    @property
    def pids(self) -> dict[str, int]:
        """The process of each part by its name; running function hosts are `host 1`, `host 2`, …"""
        found = {name: child.pid for name, child in self._children.items()}
        found["azurite"] = self.azurite.pid
        hosts = (one for one in self._hosts if one.alive)
        return found | {f"host {number}": one.pid for number, one in enumerate(hosts, 1)}

    def base_url(self, stand_in: str) -> str:
        """A stand-in's plain http address, for a client that goes there without the network."""
        return f"http://127.0.0.1:{self._ready[stand_in]['port']}"

    def network_environment(self) -> dict[str, str]:
        """Variables that lead a process's outgoing calls into this world, and nothing else."""
        return {
            "HTTP_PROXY": self.proxy_url,
            "HTTPS_PROXY": self.proxy_url,
            "NO_PROXY": "127.0.0.1,localhost",
            "REQUESTS_CA_BUNDLE": str(self.certificates.bundle),
            "IDENTITY_ENDPOINT": self.base_url("vault") + self._ready["vault"]["identityPath"],
            "IDENTITY_HEADER": self._ready["vault"]["identityHeader"],
        }

    def app_environment(
        self, port: int, *, lease_seconds: int | None = None, **settings: str
    ) -> dict[str, str]:
        """The whole environment of a function host on this port; `settings` are added last."""
        lease = self._lease_seconds if lease_seconds is None else lease_seconds
        return {
            **kept_environment(),
            **self.network_environment(),
            "PYTHONPATH": str(REPOSITORY),
            **self._storage_settings(),
            "KEY_VAULT_URL": VAULT_URL,
            "PUBLIC_URL": f"http://localhost:{port}",
            "ADMIN_TOKEN": self.admin_token,
            "LOCAL_HOST_LEASE_SECONDS": str(lease),
            **settings,
        }

    def start_host(
        self,
        port: int | None = None,
        *,
        lease_seconds: int | None = None,
        app: Path = REPOSITORY,
        **settings: str,
    ) -> HostProcess:
        """Start a function host with the app and wait until it serves.

        `settings` are app settings. Several hosts are several instances of one app; give them the
        same PUBLIC_URL if that matters.
        """
        # Chosen here and not by the host, since PUBLIC_URL names it.
        chosen = free_port() if port is None else port
        host = HostProcess(
            chosen,
            self.app_environment(chosen, lease_seconds=lease_seconds, **settings),
            self._log(f"host-{chosen}"),
            app=app,
        )
        host.start()
        self._hosts.append(host)
        return host

    def _start_all(self) -> None:
        # Everything is started first and awaited afterwards: the processes come up side by side.
        # The proxy learns its routes last, when the stand-ins have said their ports.
        self.certificates: Certificates = make_certificates(self.directory / "certificates")
        self.azurite = Azurite(
            self._log("azurite"),
            directory=self.directory / "storage" if self._storage_on_disk else None,
            certificates=self.certificates if self._storage_identity else None,
        )
        self.azurite.start()
        served = ["--cert", str(self.certificates.certificate)]
        served += ["--key", str(self.certificates.key), "--tls-port", "0"]
        for name in STAND_INS:
            self._start_child(name, f"infra.local.{name}", served)
        self._start_child("proxy", "infra.local.network.proxy", [])
        for name, child in self._children.items():
            self._ready[name] = child.wait_ready()
        self.azurite.wait_ready()
        self.entra = EntraControl(self.base_url("entra"))
        self.bms = BmsControl(self.base_url("bms"))
        self.itglue = ItGlueControl(self.base_url("itglue"))
        self.vault = VaultControl(self.base_url("vault"))
        self.proxy = ProxyControl(f"http://127.0.0.1:{self._ready['proxy']['controlPort']}")
        self.proxy.set_routes(self._routes())
        if self._storage_faults:
            # Only now, since it has to know the ports that Azurite has chosen.
            words = [word for name, port in self.azurite.ports.items() for word in _at(name, port)]
            self._start_child("storage_faults", "infra.local.storage_faults", words)
            self._ready["storage_faults"] = self._children["storage_faults"].wait_ready()
            self.storage = StorageControl(self.base_url("storage_faults"))

    def _start_child(self, name: str, module: str, words: list[str]) -> None:
        child = ChildProcess(
            f"The stand-in {name}",
            [sys.executable, "-m", module, "--port", "0", *words, *self._arguments.get(name, ())],
            log=self._log(name),
            environment={**kept_environment(), "PYTHONPATH": str(REPOSITORY)},
        )
        child.start()
        self._children[name] = child

    def _routes(self) -> dict[str, str]:
        routes = {
            outside: f"127.0.0.1:{self._ready[name]['tlsPort']}"
            for name, names in STAND_INS.items()
            for outside in names
        }
        if self._storage_identity:
            for service, port in self.azurite.ports.items():
                routes[f"*.{service}.core.windows.net"] = f"127.0.0.1:{port}"
        return routes

    def _storage_settings(self) -> dict[str, str]:
        if self._storage_identity:
            return {"AzureWebJobsStorage__accountName": ACCOUNT}
        text = self.storage_connection_string
        if self._storage_faults:
            for service, port in self.azurite.ports.items():
                between = self._ready["storage_faults"][f"{service}Port"]
                text = text.replace(f"127.0.0.1:{port}/", f"127.0.0.1:{between}/")
        return {"AzureWebJobsStorage": text}

    def _log(self, name: str) -> Path:
        return self.directory / "logs" / f"{name}.log"


def _at(service: str, port: int) -> tuple[str, str]:
    return f"--{service}", f"127.0.0.1:{port}"


def _all_at_once(endings: Sequence[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=end) for end in endings]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def main() -> int:
    """Start a world for a person and serve until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m infra.local.world")
    parser.add_argument("--directory", type=Path, help="keep logs and storage here")
    parser.add_argument("--host", action="store_true", help="start the function host as well")
    parser.add_argument("--port", type=int, help="port of the function host (default: a free one)")
    arguments = parser.parse_args()
    began = time.monotonic()
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    try:
        with World(arguments.directory, storage_on_disk=arguments.directory is not None) as world:
            _describe(world, arguments.port, start_host=arguments.host)
            print(f"\nUp after {time.monotonic() - began:.1f} s. Ctrl-C ends it.", flush=True)
            ended.wait()
    except (ChildFailed, AzuriteNotInstalled, NodeNotFound) as failed:
        print(failed, file=sys.stderr)
        return 1
    return 0


def _describe(world: World, port: int | None, *, start_host: bool) -> None:
    for name, outside in STAND_INS.items():
        print(f"{name:<8} {world.base_url(name)}  {', '.join(outside)}")
    print(f"proxy    {world.proxy_url}")
    print(f"storage  {world.storage_connection_string}")
    print(f"logs     {world.directory / 'logs'}")
    if start_host:
        host = world.start_host(port)
        print(f"app      {host.base_url}/console  token {world.admin_token}")
        return
    chosen = port or free_port()
    own = world.app_environment(chosen)
    print("\nFor a function host of your own:")
    for name in own.keys() - set(KEPT_VARIABLES):
        print(f"  export {name}='{own[name]}'")
    print(f"  python -m infra.local.host --port {chosen}")


if __name__ == "__main__":
    sys.exit(main())
