"""Puts the host together: loads the app, listens, runs the triggers, ends in order."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from infra.local.host.admin import Admin
from infra.local.host.host_json import HostJson, read_host_json
from infra.local.host.http_server import LARGEST_BODY, HttpServer
from infra.local.host.logs import HOST, Logs
from infra.local.host.queues import QueueListener
from infra.local.host.refusal import Refused
from infra.local.host.routes import Routes
from infra.local.host.storage import Storage
from infra.local.host.timers import TimerListener, TimerMemory
from infra.local.host.triggers import (
    Function,
    HttpTrigger,
    QueueTrigger,
    TimerTrigger,
    read_functions,
)
from infra.local.host.worker import Invoker, load_app

_GRACE_SECONDS = 3.0
_BACKLOG = 2048
_HEADER_SIZE = 32_768


@dataclass(frozen=True)
class HostSettings:
    """What the command line and the environment say to the host itself."""

    app: Path
    port: int
    lease: int
    key: str
    environment: Mapping[str, str]


def read_settings(app: Path, port: int, environment: Mapping[str, str]) -> HostSettings:
    """Check the host's own settings; refuse a wrong one."""
    lease = environment.get("LOCAL_HOST_LEASE_SECONDS", "600")
    if not lease.isdigit() or not 1 <= int(lease) <= 604_800:
        raise Refused("LOCAL_HOST_LEASE_SECONDS must be a whole number of seconds, 1 to 604800.")
    if not app.is_dir():
        raise Refused(f"There is no directory {app}.")
    return HostSettings(
        app=app.resolve(),
        port=port,
        lease=int(lease),
        key=environment.get("LOCAL_HOST_KEY", ""),
        environment=environment,
    )


async def serve(settings: HostSettings, ready: Callable[[dict[str, Any]], None]) -> None:
    """Run the host until SIGTERM or SIGINT; `ready` is called once everything listens."""
    began = time.monotonic()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, stop.set)
    host_json = read_host_json(settings.app)
    logs = Logs(host_json.log_levels)
    metadata = await load_app(settings.app)
    functions = read_functions(metadata, host_json.route_prefix, settings.environment)
    host = _Host(settings, host_json, functions, logs)
    try:
        port = await host.start()
    except OSError as error:
        raise Refused(f"Port {settings.port} cannot be listened on: {error.strerror}.") from error
    ready(
        {
            "ready": True,
            "port": port,
            "functions": [function.name for function in functions],
            "seconds": round(time.monotonic() - began, 3),
        }
    )
    for function in functions:
        HOST.info("loaded %s: %s", function.name, function.describe())
    host.warn()
    await stop.wait()
    await host.stop()


class _Host:
    def __init__(
        self, settings: HostSettings, host_json: HostJson, functions: list[Function], logs: Logs
    ) -> None:
        self._settings = settings
        self._functions = functions
        self._invoker = Invoker(logs, host_json.function_timeout)
        by_trigger = [(function, type(function.trigger)) for function in functions]
        queues = [function for function, kind in by_trigger if kind is QueueTrigger]
        timers = [function for function, kind in by_trigger if kind is TimerTrigger]
        # Each queue polls with one call at a time; the rest is for renewing and ending messages.
        self._storage = Storage(settings.environment, threads=max(8, 2 * len(queues)))
        self._queues = [
            QueueListener(function, self._invoker, self._storage, host_json.queues, settings.lease)
            for function in queues
        ]
        memory = TimerMemory(self._storage, settings.app)
        self._timers = [TimerListener(function, self._invoker, memory) for function in timers]
        self._admin = Admin(
            {function.name: function for function in functions}, self._invoker, settings.key
        )
        self._http = HttpServer(Routes(functions), self._invoker, settings.key, self._admin.handle)
        self._listening: list[asyncio.Task[None]] = []
        self._runner: web.ServerRunner | None = None

    async def start(self) -> int:
        """Listen on HTTP and start the triggers; return the port."""

        def new_request(
            message: Any, payload: Any, protocol: Any, writer: Any, task: Any
        ) -> web.BaseRequest:
            return web.BaseRequest(
                message,
                payload,
                protocol,
                writer,
                task,
                asyncio.get_running_loop(),
                client_max_size=LARGEST_BODY,
            )

        server = web.Server(
            self._http.handle,
            request_factory=new_request,
            access_log=None,
            # ASP.NET hands a compressed body on as it came.
            auto_decompress=False,
            max_field_size=_HEADER_SIZE,
        )
        self._runner = web.ServerRunner(server, shutdown_timeout=_GRACE_SECONDS)
        await self._runner.setup()
        site = web.TCPSite(
            self._runner,
            "127.0.0.1",
            self._settings.port,
            backlog=_BACKLOG,
            reuse_address=True,
        )
        await site.start()
        created = await asyncio.gather(*(queue.create() for queue in self._queues))
        listeners: list[Awaitable[None]] = [
            queue.listen(created=there) for queue, there in zip(self._queues, created, strict=True)
        ]
        listeners += [timer.listen() for timer in self._timers]
        self._listening = [asyncio.ensure_future(listener) for listener in listeners]
        for task in self._listening:
            task.add_done_callback(_tell_of_an_end)
        return int(self._runner.addresses[0][1])

    def warn(self) -> None:
        """Say what would puzzle a person later."""
        guarded = [
            function.name
            for function in self._functions
            if isinstance(function.trigger, HttpTrigger)
            and function.trigger.auth_level != "anonymous"
        ]
        if guarded and not self._settings.key:
            HOST.warning(
                "LOCAL_HOST_KEY is not set, so nobody can call %s (they need a key)",
                ", ".join(guarded),
            )

    async def stop(self) -> None:
        """Take no more work, and give what runs a few seconds to end."""
        for task in self._listening:
            task.cancel()
        running = set(self._admin.running)
        running = running.union(*(queue.running for queue in self._queues))
        running = running.union(*(timer.running for timer in self._timers))
        closing = asyncio.create_task(self._runner.cleanup()) if self._runner else None
        if running:
            _, unfinished = await asyncio.wait(running, timeout=_GRACE_SECONDS)
            if unfinished:
                HOST.warning(
                    "%d functions were still running; their messages come back when the lease ends",
                    len(unfinished),
                )
        if closing is not None:
            await asyncio.wait({closing}, timeout=_GRACE_SECONDS)
        self._storage.close()


def _tell_of_an_end(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        HOST.critical("a trigger has stopped: %s", error, exc_info=error)
