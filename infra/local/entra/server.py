"""The process on the wire: one plain loopback port, and a TLS port when given a certificate."""

import asyncio
import inspect
import json
import ssl
import time
from typing import Any

from aiohttp import web

from infra.local.entra import graph, signin
from infra.local.entra.aadsts import SignInError
from infra.local.entra.faults import Fault
from infra.local.entra.operations import Operations
from infra.local.entra.world import World

GRAPH_HOST = "graph.microsoft.com"
_MOST_BODY = 256 * 1024 * 1024


class Server:
    """Leads each request to sign-in, Graph or control."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._operations = Operations(world)
        self._runner: web.ServerRunner | None = None
        self._plain = ""
        self._stopping = asyncio.Event()

    async def start(
        self,
        port: int,
        tls_port: int | None = None,
        context: ssl.SSLContext | None = None,
        trusted: ssl.SSLContext | bool = True,
    ) -> dict[str, int]:
        """Listen; returns the ports."""
        # Handlers of a client that has gone are ended, so that a slow fault holds nothing up.
        server = web.Server(
            self._handle, access_log=None, handler_cancellation=True, keepalive_timeout=75
        )
        self._runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port, backlog=1024)
        await site.start()
        ports = {"port": _port(site)}
        self._plain = f"http://127.0.0.1:{ports['port']}"
        if context is not None:
            tls = web.TCPSite(
                self._runner, "127.0.0.1", tls_port or 0, ssl_context=context, backlog=1024
            )
            await tls.start()
            ports["tlsPort"] = _port(tls)
        await self._world.delivery.start(trusted)
        return ports

    async def stop(self) -> None:
        """Stop listening and end what is under way."""
        self._stopping.set()
        await self._world.delivery.stop()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path, _, query = request.raw_path.partition("?")
        if path.startswith("/_control"):
            if request.transport is None or request.secure:
                return web.Response(status=404)
            return await self._control(request, path, query)
        host = (request.host or "").lower()
        body = await request.read() if request.can_read_body else b""
        if host == GRAPH_HOST or (host != signin.LOGIN_HOST and path.startswith("/v1.0/")):
            return await self._graph(request, host, path, query, body)
        return await self._sign_in(request, host, path, query, body)

    # Graph

    async def _graph(
        self, request: web.BaseRequest, host: str, path: str, query: str, body: bytes
    ) -> web.StreamResponse:
        started = time.perf_counter()
        if not path.startswith(graph.VERSION + "/"):
            return web.json_response(
                {"error": {"code": "BadRequest", "message": "Invalid version."}}, status=400
            )
        base = self._base(request, host, GRAPH_HOST) + graph.VERSION
        outcome = await graph.answer(
            self._world,
            request.method,
            path[len(graph.VERSION) :],
            query,
            request.headers,
            body,
            base,
        )
        reply = outcome.reply
        self._log(
            "graph",
            request,
            path,
            query,
            reply.status,
            started,
            {
                "route": outcome.route,
                "tenant": outcome.tenant,
                "clientRequestId": request.headers.get("client-request-id"),
                "priority": request.headers.get("x-ms-throttle-priority"),
            },
            body,
        )
        sent = reply.body
        if outcome.fault is not None and outcome.fault.body is not None:
            sent = outcome.fault.body.encode()
        headers = reply.headers
        if sent:
            headers["Content-Type"] = reply.content_type
        response = web.Response(status=reply.status, body=sent, headers=headers)
        return await self._faulty(request, response, outcome.fault)

    # Sign-in

    async def _sign_in(
        self, request: web.BaseRequest, host: str, path: str, query: str, body: bytes
    ) -> web.StreamResponse:
        started = time.perf_counter()
        authority = path.strip("/").partition("/")[0]
        template = signin.template_of(path)
        directory = self._world.find_tenant(authority)
        tenant = directory.id if directory else ""
        self._world.book.count(f"login {request.method} {template}", tenant)
        fault = self._world.faults.pick("login", request.method, template, tenant, path, False)
        asked = signin.SignInRequest(
            self._world,
            request.method,
            authority,
            path,
            signin.read_form(query.encode()),
            signin.read_form(body),
            request.headers,
            self._base(request, host, signin.LOGIN_HOST),
            self._plain,
        )
        if fault is not None and fault.kind == "aadsts" and not fault.after_work:
            error = SignInError(fault.aadsts, fault.message if fault.code else "")
            answer = signin.refusal(asked, error)
        elif (
            fault is not None
            and fault.kind in ("status", "reset", "timeout")
            and not fault.after_work
        ):
            answer = _broken(fault)
        else:
            answer = signin.answer(asked)
            if fault is not None and fault.kind == "status":
                answer = _broken(fault)
        self._log("login", request, path, query, answer.status, started, {"route": template}, body)
        response = web.Response(
            status=answer.status,
            text=answer.body,
            content_type=answer.content_type,
            headers=answer.headers,
        )
        return await self._faulty(request, response, fault)

    # Control

    async def _control(self, request: web.BaseRequest, path: str, query: str) -> web.StreamResponse:
        name = path.removeprefix("/_control").strip("/")
        operation = self._operations.find(name)
        if operation is None:
            return web.json_response({"error": f"There is no operation {name}."}, status=404)
        raw = await _read_all(request)
        try:
            arguments: dict[str, Any] = json.loads(raw) if raw else signin.read_form(query.encode())
            result = operation(**arguments)
            if inspect.isawaitable(result):
                result = await result
        except (ValueError, TypeError, KeyError) as error:
            return web.json_response({"error": str(error)}, status=400)
        return web.json_response({"result": result})

    # Inside

    def _base(self, request: web.BaseRequest, host: str, real: str) -> str:
        if host in (real, f"{real}:443"):
            return f"https://{real}"
        return f"{'https' if request.secure else 'http'}://{request.host}"

    async def _faulty(
        self, request: web.BaseRequest, response: web.Response, fault: Fault | None
    ) -> web.StreamResponse:
        """Play what a fault does to the connection."""
        if fault is None or fault.kind in ("status", "aadsts"):
            return response
        if fault.kind in ("slow", "timeout"):
            await self._pause(fault.seconds)
        if fault.kind == "short" and isinstance(response.body, bytes):
            response.body = response.body[: len(response.body) // 2]
        if fault.kind == "truncate" and isinstance(response.body, bytes) and response.body:
            whole = response.body
            cut = web.StreamResponse(status=response.status, headers=response.headers)
            cut.content_length = len(whole)
            await cut.prepare(request)
            await cut.write(whole[: len(whole) // 2])
            if request.transport is not None:
                request.transport.close()
            return cut
        if fault.kind in ("reset", "timeout") and request.transport is not None:
            request.transport.abort()
        return response

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return

    def _log(
        self,
        service: str,
        request: web.BaseRequest,
        path: str,
        query: str,
        status: int,
        started: float,
        more: dict[str, Any],
        body: bytes,
    ) -> None:
        entry = {
            "at": self._world.clock.now(),
            "service": service,
            "method": request.method,
            "path": f"{path}?{query}" if query else path,
            "host": request.host,
            "status": status,
            "ms": round((time.perf_counter() - started) * 1000, 2),
            **more,
        }
        if self._world.switches.log_bodies and body:
            entry["body"] = body.decode("utf-8", "replace")
        self._world.book.log.append(entry)


async def _read_all(request: web.BaseRequest) -> bytes:
    """Read a control body of any size: whole directories come this way."""
    pieces: list[bytes] = []
    size = 0
    async for piece in request.content.iter_chunked(1 << 16):
        size += len(piece)
        if size > _MOST_BODY:
            raise web.HTTPRequestEntityTooLarge(_MOST_BODY, size)
        pieces.append(piece)
    return b"".join(pieces)


def _broken(fault: Fault) -> signin.SignInReply:
    headers = fault.as_error().headers
    body = fault.body if fault.body is not None else "<html><body>Service Unavailable</body></html>"
    kind = "text/html" if body.startswith("<") else "application/json"
    return signin.SignInReply(fault.status, body, kind, headers)


def _port(site: web.TCPSite) -> int:
    server = site._server
    if not isinstance(server, asyncio.Server):
        raise RuntimeError("The site does not listen.")
    return int(server.sockets[0].getsockname()[1])


def client_trust(ca_file: str | None) -> ssl.SSLContext | bool:
    """Return what the client that delivers notifications trusts."""
    return ssl.create_default_context(cafile=ca_file) if ca_file else True
