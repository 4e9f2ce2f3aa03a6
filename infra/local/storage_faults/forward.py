"""The way of one storage call through here: to the emulator and back, untouched but for faults.

Nothing is signed: the signature covers method, path and headers, and those go on as they came,
with the Host header of the client. The body is read in full, since a fault may look into it.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from infra.local.storage_faults.errors import refusal
from infra.local.storage_faults.faults import Fault, Faults

# They concern one connection only, and here are two. The body is sent whole, with its length.
_NOT_PASSED_ON = frozenset(
    {"connection", "keep-alive", "transfer-encoding", "content-length", "te", "upgrade"}
)
_HELD_BACK = ("timeout", "reset", "status")


class Forwarder:
    """Serves one storage service on one port."""

    def __init__(
        self, service: str, target: str, faults: Faults, session: aiohttp.ClientSession
    ) -> None:
        self._service = service
        self._target = target
        self._faults = faults
        self._session = session

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one call of a storage client."""
        body = await request.read()
        self._faults.calls[f"{self._service} {request.method}"] += 1
        fault = self._faults.take(self._service, request.method, request.raw_path, body)
        kind = fault.kind if fault is not None else ""
        if fault is not None and kind == "slow":
            await asyncio.sleep(fault.seconds)
        if fault is not None and kind in _HELD_BACK:
            return await self._held_back(request, fault)
        status, headers, content = await self._forward(request, body)
        if fault is not None and kind == "timeout_after":
            await asyncio.sleep(fault.seconds)
        if kind in ("timeout_after", "reset_after"):
            return _broken(request)
        if kind == "cut_off":
            return await _half(request, status, headers, content)
        if kind == "truncated":
            content = content[: len(content) // 2]
        return web.Response(status=status, headers=headers, body=content)

    async def _held_back(self, request: web.BaseRequest, fault: Fault) -> web.StreamResponse:
        if fault.kind == "timeout":
            await asyncio.sleep(fault.seconds)
        if fault.kind != "status":
            return _broken(request)
        headers, content = refusal(self._service, fault.status, fault.code)
        if fault.retry_after is not None:
            headers["Retry-After"] = str(fault.retry_after)
        return web.Response(status=fault.status, headers=headers, body=content)

    async def _forward(
        self, request: web.BaseRequest, body: bytes
    ) -> tuple[int, CIMultiDict[str], bytes]:
        headers = CIMultiDict(
            (name, value)
            for name, value in request.headers.items()
            if name.lower() not in _NOT_PASSED_ON
        )
        # Also of an empty body the length is signed.
        if "Content-Length" in request.headers:
            headers["Content-Length"] = request.headers["Content-Length"]
        async with self._session.request(
            request.method,
            URL(self._target + request.raw_path, encoded=True),
            headers=headers,
            data=body or None,
            allow_redirects=False,
        ) as answer:
            content = await answer.read()
            passed = CIMultiDict(
                (name, value)
                for name, value in answer.headers.items()
                if name.lower() not in _NOT_PASSED_ON
            )
            return answer.status, passed, content


def _broken(request: web.BaseRequest) -> web.StreamResponse:
    """Break the connection off with a reset, not a polite end."""
    transport = request.transport
    if transport is not None:
        bare = transport.get_extra_info("socket")
        if bare is not None:
            with contextlib.suppress(OSError):
                bare.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    # Nobody is left to read this.
    return web.Response(status=500)


async def _half(
    request: web.BaseRequest, status: int, headers: CIMultiDict[str], content: bytes
) -> web.StreamResponse:
    cut = web.StreamResponse(status=status, headers=headers)
    cut.content_length = len(content)
    await cut.prepare(request)
    await cut.write(content[: len(content) // 2])
    return _broken(request)
