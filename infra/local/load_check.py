"""Loads the app as Azure does, through Microsoft's worker library, and lists its functions.

    python -m infra.local.load_check
    python -m infra.local.load_check --app FOLDER
    python -m infra.local.load_check --json

`--app` loads the app in another folder, with nothing of this one to import from. `--json` lists
the functions with their routes for a program to read. Nothing is started and nothing is called:
importing and indexing must need no network. The settings are the least that the app asks for. Exit
status 1: the worker refuses the app, and says why; or the console lacks a template or a file.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import io
import json
import logging
import os
import platform
import re
import sys
import time
from pathlib import Path
from typing import Any

from infra.local.host.refusal import Refused
from infra.local.host.worker import load_app
from infra.local.process import KEPT_VARIABLES, REPOSITORY

_TEMPLATE = re.compile(r'"([a-z_]+\.html)"')
_ASSET = re.compile(r"""asset\(["']([^"']+)["']\)""")
SETTINGS = {
    "AzureWebJobsStorage__accountName": "unreached",
    "KEY_VAULT_URL": "https://unreached.vault.azure.net",
    "PUBLIC_URL": "https://sync.example.com",
}


def main() -> int:
    """Load the app; the answer is the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--app", type=Path, default=REPOSITORY, help="the folder of the app")
    parser.add_argument("--json", action="store_true", help="list the functions as JSON")
    arguments = parser.parse_args()
    app: Path = arguments.app.resolve()
    if app != REPOSITORY:
        sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != REPOSITORY]
    for name in set(os.environ) - set(KEPT_VARIABLES):
        del os.environ[name]
    os.environ |= SETTINGS
    # The library logs its own start-up on stdout and stderr; a refusal carries what matters.
    logging.disable(logging.CRITICAL)
    began = time.monotonic()
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            metadata = asyncio.run(load_app(app))
    except Refused as refused:
        print(f"{refused.details}\n{refused.sentence}".strip(), file=sys.stderr)
        return 1
    if faults := console_faults(app):
        print("\n".join(faults), file=sys.stderr)
        return 1
    if arguments.json:
        print(json.dumps([_described(entry) for entry in metadata]))
        return 0
    names = sorted(str(entry.name) for entry in metadata)
    seconds = time.monotonic() - began
    print(f"Python {platform.python_version()}: {len(names)} functions in {seconds:.1f} s")
    print(f"  {', '.join(names)}")
    return 0


def console_faults(app: Path) -> list[str]:
    """Every template and file that the loaded app's console names, if it cannot be read."""
    # By name: this program is no part of the app, and takes the one that was loaded.
    rendering: Any = importlib.import_module("shared.web.console.rendering")

    folder = app / "shared" / "web"
    sources = [*folder.rglob("*.py"), *folder.rglob("*.html")]
    texts = [source.read_text(encoding="utf-8") for source in sources]
    faults = []
    for name, read in (
        (_TEMPLATE, rendering.environment().get_template),
        (_ASSET, rendering.asset),
    ):
        for one in sorted({found for text in texts for found in name.findall(text)}):
            try:
                read(one)
            except Exception as error:  # whatever it is, the page would fail with it
                faults.append(f"the console cannot use {one}: {type(error).__name__}: {error}")
    return faults


def _described(entry: Any) -> dict[str, Any]:
    """The function's name, its trigger, and its route if it has one."""
    bindings = [json.loads(raw) for raw in entry.raw_bindings]
    [trigger] = [binding for binding in bindings if binding["type"].endswith("Trigger")]
    return {
        "name": str(entry.name),
        "trigger": trigger["type"],
        "route": trigger.get("route"),
        "authLevel": trigger.get("authLevel"),
        "queue": trigger.get("queueName"),
    }


if __name__ == "__main__":
    sys.exit(main())
