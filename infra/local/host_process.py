"""The function host as a child process that can crash and come back on its port."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from infra.local.process import REPOSITORY, ChildProcess


class HostProcess:
    """One `python -m infra.local.host`."""

    def __init__(
        self, port: int, environment: Mapping[str, str], log: Path, *, app: Path = REPOSITORY
    ) -> None:
        self.port = port
        self.environment = dict(environment)
        self._child = ChildProcess(
            "The function host",
            [sys.executable, "-m", "infra.local.host", "--port", str(port), "--app", str(app)],
            log=log,
            environment=self.environment,
        )

    @property
    def base_url(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def log_path(self) -> Path:
        return self._child.log_path

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._child.alive

    @property
    def exit_status(self) -> int | None:
        return self._child.exit_status

    def start(self, timeout: float = 30.0) -> None:
        """Start the host and wait until it serves."""
        self._child.start()
        self._child.wait_ready(timeout)

    def kill(self) -> None:
        """End it at once (SIGKILL), as when an instance dies."""
        self._child.kill()

    def stop(self) -> None:
        """Ask it to end (SIGTERM)."""
        self._child.stop()

    def restart(self, *, crash: bool = False, timeout: float = 30.0) -> None:
        """End it (by SIGKILL for a crash) and start it on the same port with the same settings."""
        if crash:
            self.kill()
        else:
            self.stop()
        self.start(timeout)
