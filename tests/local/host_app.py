"""Writes small function apps and runs the local function host on them as a process of its own."""

from __future__ import annotations

import json
import os
import re
import sys
import textwrap
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import requests

from infra.local.process import REPOSITORY, ChildProcess

T = TypeVar("T")

_HEAD = """
import logging, os, threading, time
import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

def note(text: str) -> None:
    with open("notes", "a") as file:
        file.write(text + "\\n")
"""


def write_app(
    directory: Path, code: str, *, queues: Mapping[str, Any] | None = None, prefix: str = ""
) -> Path:
    """Write a function app whose code finds `app`, `func` and `note` (a line into a file)."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "function_app.py").write_text(_HEAD + textwrap.dedent(code))
    extensions = {"http": {"routePrefix": prefix}, "queues": dict(queues or {})}
    (directory / "host.json").write_text(json.dumps({"version": "2.0", "extensions": extensions}))
    return directory


class RunningHost:
    """The host as a process, serving one app."""

    def __init__(self, app: Path, **settings: str) -> None:
        self.app = app
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        # Started elsewhere than in the repository, and not in the app's directory either.
        self.process = ChildProcess(
            "function host",
            [sys.executable, "-m", "infra.local.host", "--port", "0", "--app", str(app)],
            log=app / "host.log",
            environment={**kept, "PYTHONPATH": str(REPOSITORY), **settings},
            directory=app.parent,
        )
        self.ready: Mapping[str, Any] = {}

    def __enter__(self) -> RunningHost:
        self.process.start()
        self.ready = self.process.wait_ready()
        return self

    def __exit__(self, *_: object) -> None:
        self.process.stop()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ready['port']}"

    @property
    def log(self) -> str:
        return (self.app / "host.log").read_text()

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        """Send one request."""
        return requests.request(method, self.url + path, timeout=20, **options)

    def notes(self, pattern: str = "") -> list[str]:
        """The lines that the app's functions noted so far."""
        try:
            lines = (self.app / "notes").read_text().splitlines()
        except FileNotFoundError:
            return []
        return [line for line in lines if re.search(pattern, line)]


def wait_for(value: Callable[[], T], seconds: float = 10.0) -> T:
    """Ask until the value is true; fail when it has not become so in time."""
    deadline = time.monotonic() + seconds
    while not (found := value()):
        assert time.monotonic() < deadline, f"still {found!r} after {seconds} s"
        time.sleep(0.02)
    return found
