"""A storage account that fails on demand: a reverse proxy in front of the emulator.

    python -m infra.local.storage_faults --table 127.0.0.1:1 --queue 127.0.0.1:2 --blob 127.0.0.1:3

Each service gets a port of its own; the ready line names them, and the port of the control routes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from typing import Any

import aiohttp
from aiohttp import web

from infra.local.network.ready import allow_many_connections, announce_and_wait
from infra.local.storage_faults.faults import SERVICES, BadFault, Faults
from infra.local.storage_faults.forward import Forwarder


def control_app(faults: Faults) -> web.Application:
    """The control routes."""

    async def get_faults(_: web.Request) -> web.Response:
        return web.json_response(faults.as_json())

    async def post_fault(request: web.Request) -> web.Response:
        try:
            number = faults.add(await request.json())
        except (BadFault, TypeError, json.JSONDecodeError) as error:
            return web.json_response({"error": str(error)}, status=400)
        return web.json_response({"id": number}, status=201)

    async def delete_faults(request: web.Request) -> web.Response:
        number = request.query.get("id")
        faults.clear(None if number is None else int(number))
        return web.json_response({})

    async def get_counters(_: web.Request) -> web.Response:
        return web.json_response({"calls": dict(faults.calls)})

    async def delete_counters(_: web.Request) -> web.Response:
        faults.calls.clear()
        return web.json_response({})

    app = web.Application()
    app.router.add_get("/_control/faults", get_faults)
    app.router.add_post("/_control/faults", post_fault)
    app.router.add_delete("/_control/faults", delete_faults)
    app.router.add_get("/_control/counters", get_counters)
    app.router.add_delete("/_control/counters", delete_counters)
    return app


async def serve(port: int, targets: dict[str, str]) -> None:
    """Serve until told to end."""
    faults = Faults()
    ready: dict[str, Any] = {}
    control = web.AppRunner(control_app(faults), access_log=None, shutdown_timeout=0.2)
    await control.setup()
    await web.TCPSite(control, "127.0.0.1", port).start()
    ready["port"] = control.addresses[0][1]
    runners: list[web.ServerRunner | web.AppRunner] = [control]
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(total=None),
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        # What the client does not send, the emulator does not get.
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
    ) as session:
        for service, target in targets.items():
            forwarder = Forwarder(service, f"http://{target}", faults, session)
            # A call that nobody waits for any more is still carried out, as in real life.
            runner = web.ServerRunner(
                web.Server(forwarder.handle, access_log=None), shutdown_timeout=0.1
            )
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0, backlog=512).start()
            ready[f"{service}Port"] = runner.addresses[0][1]
            runners.append(runner)
        await announce_and_wait(**ready)
        await asyncio.gather(*(runner.cleanup() for runner in runners))


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m infra.local.storage_faults")
    parser.add_argument("--port", type=int, default=0, help="port of the control routes")
    for service in SERVICES:
        parser.add_argument(
            f"--{service}", required=True, metavar="127.0.0.1:PORT", help="where it really is"
        )
    arguments = vars(parser.parse_args())
    allow_many_connections()
    asyncio.run(serve(arguments["port"], {name: arguments[name] for name in SERVICES}))


if __name__ == "__main__":
    main()
