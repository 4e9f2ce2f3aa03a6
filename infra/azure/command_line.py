"""Runs `az` and `azd`, and reads what they answer."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# What was made a moment ago is not known to all of Entra's servers at once.
_TOO_EARLY = ("NoBackingApplicationObject", "does not reference a valid", "ResourceNotFound")
_TRIES, _PAUSE = 8, 5.0
_GRAPH = "https://graph.microsoft.com/v1.0"


class CommandFailed(Exception):
    """A command ended with an error; says which, and what it printed."""


class AzGraph:
    """registrations.Graph, as whoever is signed in to `az`."""

    def get(self, path: str) -> dict[str, Any] | None:
        """The object; None when there is none."""
        try:
            return rest("get", f"{_GRAPH}/{path}")
        except CommandFailed as error:
            if "Request_ResourceNotFound" in str(error):
                return None
            raise

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The object that was made."""
        for _ in range(_TRIES - 1):
            try:
                return rest("post", f"{_GRAPH}/{path}", body)
            except CommandFailed as error:
                if not any(sign in str(error) for sign in _TOO_EARLY):
                    raise
            time.sleep(_PAUSE)
        return rest("post", f"{_GRAPH}/{path}", body)

    def patch(self, path: str, body: Mapping[str, Any]) -> None:
        """Change the object."""
        rest("patch", f"{_GRAPH}/{path}", body)


def rest(method: str, url: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """One call by `az rest`."""
    command = ["az", "rest", "--method", method, "--url", url, "--only-show-errors"]
    if body is None:
        return _json(run(command))
    with tempfile.TemporaryDirectory() as folder:
        # A file, since every shell has its own idea of quotes.
        path = Path(folder) / "body.json"
        path.write_text(json.dumps(body), encoding="utf-8")
        return _json(run([*command, "--body", f"@{path}"]))


def run(command: list[str]) -> str:
    """What the command printed; CommandFailed when it did not succeed."""
    program = shutil.which(command[0])
    if program is None:
        raise CommandFailed(f"{command[0]} is not installed.")
    answer = subprocess.run([program, *command[1:]], capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        raise CommandFailed(f"{' '.join(command[:6])} failed: {answer.stderr.strip()}")
    return answer.stdout


def deployment_values() -> dict[str, str]:
    """The values of the azd environment, and the environment variables, which come first."""
    try:
        kept = dict(_json(run(["azd", "env", "get-values", "--output", "json"])))
    except CommandFailed:
        kept = {}  # deployed without azd
    return {**kept, **os.environ}


def keep(name: str, value: str) -> None:
    """Write a value into the azd environment, or say how it is to be used."""
    try:
        run(["azd", "env", "set", name, value])
    except CommandFailed:
        say(f"Use this for the deployment: {name}={value}")


def say(text: str) -> None:
    """Tell the person at the terminal."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _json(text: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(text) if text.strip() else {}
    return value
