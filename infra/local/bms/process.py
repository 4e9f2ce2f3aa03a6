"""Starts the stand-in as a process of its own, as tests and demos do.

with start_bms() as bms:
    account = bms.control.add_account("Contoso")
    bms.control.set_switches(validation_status=400)
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Literal

from infra.local.bms.control import BmsControl
from infra.local.bms.control_values import Json

_REPOSITORY = Path(__file__).parents[3]


class BmsProcess:
    """A running stand-in; leaving the with block ends it."""

    def __init__(self, process: subprocess.Popen[str], ready: Json) -> None:
        self.process = process
        self.port: int = ready["port"]
        self.tls_port: int | None = ready.get("tlsPort")
        self.url = f"http://127.0.0.1:{self.port}"
        self.control = BmsControl(self.url)

    def __enter__(self) -> BmsProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> Literal[False]:
        self.stop()
        return False

    def stop(self) -> int:
        """End the process and return its exit status."""
        self.control.close()
        self.process.terminate()
        try:
            status = self.process.wait(timeout=5)
        finally:
            self.process.kill()
            if self.process.stdout:
                self.process.stdout.close()
        return status


def start_bms(*arguments: str) -> BmsProcess:
    """Start the stand-in on a free port; further arguments name files by absolute paths."""
    command = [sys.executable, "-m", "infra.local.bms", "--port", "0", *arguments]
    process = subprocess.Popen(command, cwd=_REPOSITORY, stdout=subprocess.PIPE, text=True)
    line = process.stdout.readline() if process.stdout else ""
    if not line:
        raise RuntimeError(f"the stand-in ended with status {process.wait()}")
    return BmsProcess(process, json.loads(line))
