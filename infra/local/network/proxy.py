"""The local network: a CONNECT proxy that leads the outside services' names to the stand-ins.

Every other name is refused and counted, which proves that nothing else is called. TLS goes through
untouched: the stand-ins show the throw-away CA's certificate themselves.

    python -m infra.local.network.proxy --port 0 --route graph.microsoft.com=127.0.0.1:1234 ...
"""

from __future__ import annotations

import argparse
import asyncio
import json
from typing import Any

from aiohttp import web

from infra.local.network.ready import allow_many_connections, announce_and_wait
from infra.local.network.routes import BadRoute, Network
from infra.local.network.tunnel import client_side


def control_app(network: Network) -> web.Application:
    """The proxy's control routes, on a port of their own."""

    async def state(_: web.Request) -> web.Response:
        return web.json_response(network.state())

    async def put_routes(request: web.Request) -> web.Response:
        for pattern, target in (await _body(request)).items():
            network.route(pattern, target)
        return web.json_response(network.state()["routes"])

    async def post_fault(request: web.Request) -> web.Response:
        network.add_fault(await _body(request))
        return web.json_response({}, status=201)

    async def delete_faults(request: web.Request) -> web.Response:
        network.clear_faults(request.query.get("name"))
        return web.json_response({})

    async def post_cut(request: web.Request) -> web.Response:
        return web.json_response({"cut": network.cut(str((await _body(request)).get("name", "")))})

    async def delete_counts(_: web.Request) -> web.Response:
        network.reset_counts()
        return web.json_response({})

    @web.middleware
    async def in_words(request: web.Request, handler: Any) -> web.StreamResponse:
        try:
            response: web.StreamResponse = await handler(request)
        except (BadRoute, json.JSONDecodeError) as exc:
            return web.json_response({"error": str(exc)}, status=400)
        return response

    app = web.Application(middlewares=[in_words])
    app.router.add_get("/_control/state", state)
    app.router.add_put("/_control/routes", put_routes)
    app.router.add_post("/_control/faults", post_fault)
    app.router.add_delete("/_control/faults", delete_faults)
    app.router.add_post("/_control/cut", post_cut)
    app.router.add_delete("/_control/counts", delete_counts)
    return app


async def _body(request: web.Request) -> dict[str, Any]:
    body = await request.json()
    if not isinstance(body, dict):
        raise BadRoute("The body must be a JSON object.")
    return body


async def serve(port: int, control_port: int, routes: list[str]) -> None:
    """Serve until told to end."""
    network = Network()
    for route in routes:
        pattern, _, target = route.partition("=")
        network.route(pattern, target)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(client_side(network), "127.0.0.1", port, backlog=512)
    runner = web.AppRunner(control_app(network), access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", control_port).start()
    await announce_and_wait(
        port=server.sockets[0].getsockname()[1], controlPort=runner.addresses[0][1]
    )
    server.close()
    await runner.cleanup()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m infra.local.network.proxy")
    parser.add_argument("--port", type=int, default=0, help="port of the proxy (0: a free one)")
    parser.add_argument("--control-port", type=int, default=0, help="port of the control routes")
    parser.add_argument(
        "--route",
        action="append",
        default=[],
        metavar="NAME=127.0.0.1:PORT",
        help="where a name leads; *.example.com stands for one label before it",
    )
    arguments = parser.parse_args()
    allow_many_connections()
    try:
        asyncio.run(serve(arguments.port, arguments.control_port, arguments.route))
    except BadRoute as exc:
        parser.error(str(exc))


if __name__ == "__main__":
    main()
