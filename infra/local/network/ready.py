"""How a stand-in says that it is ready, and how it learns that it shall end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from typing import Any

_CONNECTIONS = 65_536


def allow_many_connections() -> None:
    """Raise the limit of open files, which is often so low that a benchmark reaches it."""
    try:
        import resource
    except ImportError:  # Windows has no such limit.
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, _CONNECTIONS)), hard))


async def announce_and_wait(**ready: Any) -> None:
    """Print the one JSON line that says "ready", then wait for SIGTERM or SIGINT."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    print(json.dumps({"ready": True, **ready}), flush=True)
    await ended.wait()
