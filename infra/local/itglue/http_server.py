"""The sockets of the stand-in: a plain port with control routes, and a TLS port without."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct

from aiohttp import web

from infra.local.itglue.control_routes import ControlRoutes
from infra.local.itglue.service import Service, Visit
from infra.local.itglue.wire import MEDIA_TYPE, Reply, Request

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
        handler = self._with_control if with_control else self._serve
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

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        service = self._service
        visit = service.admit(
            Request(
                method=request.method,
                target=request.raw_path,
                key=request.headers.get("x-api-key", ""),
                content_type=request.headers.get("Content-Type", ""),
                body=await request.content.read() if request.body_exists else b"",
            )
        )
        if visit.fault is None or visit.reply is not None:
            reply = service.commit(visit)
            service.finish(visit, reply.status)
            return _response(reply)
        return await self._serve_with_fault(request, visit)

    async def _serve_with_fault(self, request: web.BaseRequest, visit: Visit) -> web.StreamResponse:
        service, fault = self._service, visit.fault
        if fault is None:
            raise AssertionError("a visit without a fault is answered at once")
        if fault.kind == "slow":
            await self._pause(fault.seconds)
        if fault.kind in ("hang", "reset"):
            service.finish(visit, 0)
            if fault.kind == "hang":
                await self._pause(fault.seconds)
            return _broken(request)
        reply = service.commit(visit)
        if fault.kind in ("reset_after", "cut_off", "hang_after"):
            service.finish(visit, 0)
            if fault.kind == "hang_after":
                await self._pause(fault.seconds)
            return _broken(request)
        service.finish(visit, reply.status)
        if fault.kind == "truncated":
            reply = Reply(reply.status, reply.body[: len(reply.body) // 2], reply.headers)
        return _response(reply)

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._closing.wait(), seconds)
        except TimeoutError:
            return


def _response(reply: Reply) -> web.Response:
    headers = {"Content-Type": MEDIA_TYPE} if reply.body else {}
    return web.Response(status=reply.status, body=reply.body, headers={**headers, **reply.headers})


def _broken(request: web.BaseRequest) -> web.StreamResponse:
    """Break the connection off with a reset, not a polite end."""
    transport = request.transport
    if transport is not None:
        bare = transport.get_extra_info("socket")
        if bare is not None:
            bare.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return web.Response(status=500)  # nobody is left to read this
