"""Starts the stand-in as a process of its own, as tests do.

with start_itglue() as glue:
    organization = glue.control.add_organization("Contoso", psa_id=7)
    glue.control.set_switches(retry_after="seconds")
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from infra.local.itglue.control import ItGlueControl

_REPOSITORY = Path(__file__).parents[3]


class ItGlueProcess:
    """A running stand-in; leaving the with block ends it."""

    def __init__(self, process: subprocess.Popen[str], ready: dict[str, Any]) -> None:
        self.process = process
        self.port: int = ready["port"]
        self.url = f"http://127.0.0.1:{self.port}"
        self.control = ItGlueControl(self.url)

    def __enter__(self) -> ItGlueProcess:
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
        self.process.terminate()
        try:
            status = self.process.wait(timeout=5)
        finally:
            self.process.kill()
            if self.process.stdout:
                self.process.stdout.close()
        return status


def start_itglue(*arguments: str) -> ItGlueProcess:
    """Start the stand-in on a free port."""
    command = [sys.executable, "-m", "infra.local.itglue", "--port", "0", *arguments]
    process = subprocess.Popen(command, cwd=_REPOSITORY, stdout=subprocess.PIPE, text=True)
    line = process.stdout.readline() if process.stdout else ""
    if not line:
        raise RuntimeError(f"the stand-in ended with status {process.wait()}")
    return ItGlueProcess(process, json.loads(line))
