"""Starts Azurite, the real storage emulator: tables, queues and blobs on loopback."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from infra.local.network.ca import Certificates
from infra.local.network.node import AZURITE_MAIN, find_node
from infra.local.network.ports import free_port
from infra.local.process import ChildProcess, Ready, kept_environment

ACCOUNT = "devstoreaccount1"
# The emulator's published key: every Azurite in the world has it, it protects nothing.
ACCOUNT_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)
_LISTENING = re.compile(r"Azurite (\w+) service is successfully listening at \w+://[^:]+:(\d+)")
_SERVICES = ("blob", "queue", "table")


class AzuriteNotInstalled(Exception):
    """The npm package is not there."""


class Azurite:
    """One Azurite process, in memory unless it is given a directory.

    With certificates it speaks https and accepts bearer tokens (`--oauth basic`: it reads a token's
    audience, issuer and times, and does not check its signature), as a managed identity needs.
    """

    def __init__(
        self,
        log: Path,
        *,
        directory: Path | None = None,
        certificates: Certificates | None = None,
    ) -> None:
        if not AZURITE_MAIN.exists():
            raise AzuriteNotInstalled("Azurite is not installed: run `make venv`.")
        self._directory = directory
        self._certificates = certificates
        self._log = log
        # In memory Azurite chooses its ports itself; on disk they stay the same over a restart.
        self._ports = {name: 0 if directory is None else free_port() for name in _SERVICES}
        self._child = self._new_child()

    @property
    def process(self) -> ChildProcess:
        return self._child

    @property
    def ports(self) -> dict[str, int]:
        """The port of each service: blob, queue, table."""
        return dict(self._ports)

    @property
    def scheme(self) -> str:
        return "http" if self._certificates is None else "https"

    @property
    def connection_string(self) -> str:
        """What goes into `AzureWebJobsStorage`."""
        endpoints = "".join(
            f"{name.capitalize()}Endpoint={self.scheme}://127.0.0.1:{self._ports[name]}/{ACCOUNT};"
            for name in _SERVICES
        )
        return (
            f"DefaultEndpointsProtocol={self.scheme};AccountName={ACCOUNT};"
            f"AccountKey={ACCOUNT_KEY};{endpoints}"
        )

    @property
    def pid(self) -> int:
        """Its process."""
        return self._child.pid

    def start(self) -> None:
        """Start without waiting."""
        self._child.start()

    def wait_ready(self, timeout: float = 30.0) -> None:
        """Wait until all three services listen."""
        self._ports.update(self._child.wait_ready(timeout))

    def restart(self, *, crash: bool = False) -> None:
        """End Azurite (SIGKILL for a crash) and start it on the same ports; needs a directory."""
        if self._directory is None:
            raise RuntimeError("Azurite in memory forgets everything at a restart.")
        if crash:
            self._child.kill()
        else:
            self._child.stop()
        self._child = self._new_child()
        self.start()
        self.wait_ready()

    def stop(self) -> None:
        """End Azurite."""
        self._child.stop()

    def _new_child(self) -> ChildProcess:
        # The real node binary, never a wrapper: ending a wrapper leaves node running.
        command = [find_node().binary, str(AZURITE_MAIN), "--silent", "--disableTelemetry"]
        # The current SDKs send an API version that Azurite does not know yet and refuses with 400.
        command.append("--skipApiVersionCheck")
        if self._directory is None:
            command.append("--inMemoryPersistence")
        else:
            self._directory.mkdir(parents=True, exist_ok=True)
            command += ["--location", str(self._directory)]
        for name in _SERVICES:
            command += [f"--{name}Host", "127.0.0.1", f"--{name}Port", str(self._ports[name])]
        if self._certificates is not None:
            command += ["--oauth", "basic"]
            command += ["--cert", str(self._certificates.certificate)]
            command += ["--key", str(self._certificates.key)]
        return ChildProcess(
            "Azurite",
            command,
            log=self._log,
            environment=kept_environment(),
            directory=self._log.parent,
            ready_reader=_listening_ports,
        )


def _listening_ports(lines: Sequence[str]) -> Ready | None:
    ports = {match[1].lower(): int(match[2]) for line in lines if (match := _LISTENING.match(line))}
    return ports if len(ports) == len(_SERVICES) else None
