"""The host's own routes under /admin: status, the list of functions, starting one by hand.

In Azure they need the master key. Here they are open to calls that name a loopback host; a call
that came another way (a tunnel to this port) needs `LOCAL_HOST_KEY`.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime

from aiohttp import web

from infra.local.host.messages import TypedData
from infra.local.host.timers import invoke_with_retries, timer_data
from infra.local.host.triggers import Function, HttpTrigger, QueueTrigger
from infra.local.host.worker import Invoker

_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


class Admin:
    """Answers the requests under /admin/."""

    def __init__(self, functions: Mapping[str, Function], invoker: Invoker, key: str) -> None:
        self._functions = {name.lower(): function for name, function in functions.items()}
        self._invoker = invoker
        self._key = key.encode()
        self._began = time.monotonic()
        self.running: set[asyncio.Task[None]] = set()

    async def handle(self, request: web.BaseRequest, path: str) -> web.Response:
        """Answer a request; the path is what follows /admin/."""
        if not self._allowed(request):
            return web.Response(status=401)
        match request.method, path.strip("/").lower().split("/"):
            case (("GET" | "POST"), ["host", "ping"]):
                return web.Response()
            case "GET", ["host", "status"]:
                return web.json_response(self._status())
            case "GET", ["functions"]:
                return web.json_response(
                    [
                        {"name": function.name, "trigger": function.describe()}
                        for function in self._functions.values()
                    ]
                )
            case "POST", ["functions", name]:
                return await self._start(request, name)
        return web.Response(status=404)

    def _allowed(self, request: web.BaseRequest) -> bool:
        host = request.host
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        if name.lower() in _LOOPBACK:
            return True
        given = request.headers.get("x-functions-key", "").encode(errors="surrogateescape")
        return bool(self._key) and hmac.compare_digest(given, self._key)

    def _status(self) -> dict[str, object]:
        return {
            "state": "Running",
            "version": "4.local",
            "processUptime": int((time.monotonic() - self._began) * 1000),
            "functions": len(self._functions),
            "invocations": self._invoker.invocations,
            "running": self._invoker.running,
        }

    async def _start(self, request: web.BaseRequest, name: str) -> web.Response:
        function = self._functions.get(name)
        if function is None:
            return web.Response(status=404)
        if isinstance(function.trigger, HttpTrigger):
            return web.json_response(
                {"message": "An HTTP function is started by a request to its route."}, status=400
            )
        body = await request.read()
        try:
            given = json.loads(body) if body else {}
            text = given.get("input") or ""
        except (ValueError, AttributeError):
            return web.json_response({"message": 'Send {"input": "..."}.'}, status=400)
        if isinstance(function.trigger, QueueTrigger):
            run = self._queue(function, text if isinstance(text, str) else json.dumps(text))
        else:
            run = invoke_with_retries(
                function, self._invoker, timer_data(past_due=False, status=None)
            )
        task = asyncio.create_task(run)
        self.running.add(task)
        task.add_done_callback(self.running.discard)
        return web.Response(status=202)

    async def _queue(self, function: Function, text: str) -> None:
        now = TypedData(json=json.dumps(datetime.now(UTC).isoformat()))
        metadata = {
            "Id": TypedData(string="by-hand"),
            "PopReceipt": TypedData(string="by-hand"),
            "DequeueCount": TypedData(json="1"),
            "InsertionTime": now,
            "ExpirationTime": now,
            "NextVisibleTime": now,
            "QueueTrigger": TypedData(string=text),
        }
        await self._invoker.invoke(function, TypedData(string=text), trigger_metadata=metadata)
