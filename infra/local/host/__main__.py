"""`python -m infra.local.host --port 7071 [--app DIR]`: runs a function app on this machine.

Settings come from the environment alone: the app's own, `AzureWebJobsStorage`, and for the host
`LOCAL_HOST_LEASE_SECONDS` (600) and `LOCAL_HOST_KEY` (the key of functions that need one). One JSON
line on stdout says that it is ready; everything else goes to stderr. Exit status 1: refused.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import sys
import threading
from pathlib import Path
from typing import Any

from infra.local.host.host import read_settings, serve
from infra.local.host.refusal import Refused

_LAST_SECONDS = 0.5


def main() -> int:
    """Run the host until it is told to end."""
    parser = argparse.ArgumentParser(prog="python -m infra.local.host", description=__doc__)
    parser.add_argument("--port", type=int, default=7071, help="0 chooses a free one")
    parser.add_argument("--app", type=Path, default=Path.cwd(), help="the app's directory")
    arguments = parser.parse_args()
    _allow_many_connections()
    # stdout is for the ready line; what the app prints belongs to the log.
    stdout = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def ready(line: dict[str, Any]) -> None:
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps(line), file=stdout, flush=True)

    try:
        asyncio.run(serve(read_settings(arguments.app, arguments.port, os.environ), ready))
    except Refused as refused:
        if refused.details:
            print(refused.details.rstrip(), file=sys.stderr)
        print(refused.sentence, file=sys.stderr, flush=True)
        _end_soon(1)
        return 1
    _end_soon(0)
    return 0


def _allow_many_connections() -> None:
    try:
        import resource
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 65_536)), hard))


def _end_soon(status: int) -> None:
    # A synchronous function that does not end would keep its thread, and so the process, for ever.
    def end() -> None:
        logging.shutdown()
        sys.stderr.flush()
        os._exit(status)

    timer = threading.Timer(_LAST_SECONDS, end)
    timer.daemon = True
    timer.start()


if __name__ == "__main__":
    sys.exit(main())
