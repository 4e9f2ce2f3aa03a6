"""The sockets of the stand-in: a plain port with control routes, and a TLS port without.

aiohttp's low-level server is used, without its router and middlewares: paths are matched in any
casing, and thousands of requests a second leave no room for layers.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct

from aiohttp import web

from infra.local.bms.control_routes import ControlRoutes
from infra.local.bms.faults import Fault
from infra.local.bms.replies import Reply
from infra.local.bms.service import Request, Service, Visit

CONTROL = "/_control/"


class HttpServer:
    """Serves one Service on up to two ports of 127.0.0.1."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._control = ControlRoutes(service)
        self._closing = asyncio.Event()
        self._runners: list[web.ServerRunner] = []

    async def listen(
        self, port: int, context: ssl.SSLContext | None = None, with_control: bool = True
    ) -> int:
        """Open a port (0: any free one) and return its number."""
        handler = self._with_control if with_control else self._without_control
        runner = web.ServerRunner(
            web.Server(handler, access_log=None), shutdown_timeout=0.2, access_log=None
        )
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", port, ssl_context=context, backlog=512)
        await site.start()
        self._runners.append(runner)
        return int(runner.addresses[0][1])

    async def close(self) -> None:
        """Let hanging requests go and close all ports."""
        self._closing.set()
        for runner in self._runners:
            await runner.cleanup()

    async def _with_control(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.raw_path.startswith(CONTROL):
            body = await request.content.read()
            status, answer = self._control.answer(request.method, request.raw_path, body)
            return web.Response(status=status, body=answer, content_type="application/json")
        return await self._serve(request)

    async def _without_control(self, request: web.BaseRequest) -> web.StreamResponse:
        return await self._serve(request)

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        service = self._service
        headers = request.headers
        visit = service.admit(
            Request(
                method=request.method,
                target=request.raw_path,
                authorization=headers.get("Authorization", ""),
                content_type=headers.get("Content-Type", ""),
                body=await request.content.read() if request.body_exists else b"",
            )
        )
        if visit.fault is None:
            reply = service.commit(visit)
            service.finish(visit, reply.status)
            return _response(reply)
        return await self._serve_with_fault(request, visit, visit.fault)

    async def _serve_with_fault(
        self, request: web.BaseRequest, visit: Visit, fault: Fault
    ) -> web.StreamResponse:
        service = self._service
        if fault.kind == "slow":
            # The client may have gone by then; the work is done all the same, as in real life.
            await self._pause(fault.seconds)
        if fault.kind in ("hang", "reset"):
            service.finish(visit, 0)
            if fault.kind == "hang":
                await self._pause(fault.seconds)
            return _broken(request)
        reply = service.commit(visit)
        if fault.kind in ("reset_after", "cut_off"):
            service.finish(visit, 0)
            if fault.kind == "cut_off":
                await _send_half(request, reply)
            return _broken(request)
        service.finish(visit, reply.status)
        if fault.kind == "hang_after":
            await self._pause(fault.seconds)
        if fault.kind == "truncated":
            reply = Reply(
                reply.status, reply.body[: len(reply.body) // 2], reply.content_type, reply.headers
            )
        return _response(reply)

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._closing.wait(), seconds)
        except TimeoutError:
            return


def _response(reply: Reply) -> web.Response:
    # An empty body has no content type, as with ASP.NET's own 404 and 405.
    headers = {"Content-Type": reply.content_type} if reply.body else {}
    return web.Response(status=reply.status, body=reply.body, headers=headers | reply.headers)


async def _send_half(request: web.BaseRequest, reply: Reply) -> None:
    response = web.StreamResponse(
        status=reply.status,
        headers={"Content-Type": reply.content_type, "Content-Length": str(len(reply.body))},
    )
    await response.prepare(request)
    await response.write(reply.body[: len(reply.body) // 2])


def _broken(request: web.BaseRequest) -> web.StreamResponse:
    """Break the connection off with a reset, not a polite end."""
    transport = request.transport
    if transport is not None:
        bare = transport.get_extra_info("socket")
        if bare is not None:
            bare.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    # Nobody is left to read this.
    return web.Response(status=500)
