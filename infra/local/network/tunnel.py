"""One client's way through the proxy: the CONNECT request, then bytes in both directions."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable
from typing import cast

from infra.local.network.routes import Name, Network

_LONGEST_HEAD = 65536
# Linux only; elsewhere the option does not exist.
_QUICK_ACKNOWLEDGE: int | None = getattr(socket, "TCP_QUICKACK", None)


class ClientSide(asyncio.Protocol):
    """The side of a tunnel towards the client."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._head = bytearray()
        self._early = bytearray()
        self._connecting: asyncio.Task[None] | None = None
        self.name: Name | None = None
        self.transport: asyncio.Transport | None = None
        self.server: ServerSide | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._socket = without_nagle(self.transport)

    def data_received(self, data: bytes) -> None:
        acknowledge(self._socket)
        if self.server is not None and self.server.transport is not None:
            self.server.transport.write(data)
        elif self._connecting is not None:
            self._early += data
        else:
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            if end >= 0:
                self._early += self._head[end + 4 :]
                self._open(bytes(self._head[:end]))
            elif len(self._head) > _LONGEST_HEAD:
                self._answer("431 Request Header Fields Too Large", "The request is too long.")

    def eof_received(self) -> bool:
        if self.server is not None and self.server.transport is not None:
            with contextlib.suppress(OSError, RuntimeError):
                self.server.transport.write_eof()
            return True
        return False

    def pause_writing(self) -> None:
        if self.server is not None and self.server.transport is not None:
            self.server.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.server is not None and self.server.transport is not None:
            self.server.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._connecting is not None:
            self._connecting.cancel()
        if self.server is not None and self.server.transport is not None:
            self.server.transport.close()
        if self.name is not None:
            self.name.tunnels.discard(self)

    def reset(self) -> None:
        """Break both connections with a TCP reset, as a failing network does."""
        for transport in (self.transport, self.server.transport if self.server else None):
            if transport is not None:
                sock = transport.get_extra_info("socket")
                with contextlib.suppress(OSError):
                    # Lingering for zero seconds makes the close a reset.
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                transport.abort()

    def _open(self, head: bytes) -> None:
        words = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
        if len(words) != 3:
            self._answer("400 Bad Request", "That is not an HTTP request.")
            return
        method, target, _ = words
        name = self._network.find(target) if method == "CONNECT" else None
        if name is None:
            # Plain http through the proxy is refused too: every outside service speaks https.
            self._network.refuse(target if method == "CONNECT" else f"{method} {target}")
            self._answer("403 Forbidden", f"The local network does not lead to {target}.")
            return
        self._connecting = asyncio.get_running_loop().create_task(self._connect(name))

    async def _connect(self, name: Name) -> None:
        assert self.transport is not None
        self.name = name
        name.tunnels.add(self)
        name.connections += 1
        delay = name.take("delay")
        if delay is not None:
            await asyncio.sleep(delay.seconds)
        if name.take("refuse") is not None:
            self._answer("503 Service Unavailable", "Refused on demand.")
            return
        loop = asyncio.get_running_loop()
        try:
            _, self.server = await loop.create_connection(
                lambda: ServerSide(self, name), name.host, name.port
            )
        except OSError:
            self._answer("502 Bad Gateway", "Nothing answers behind this name.")
            return
        self.transport.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        if self._early and self.server.transport is not None:
            self.server.transport.write(bytes(self._early))
            self._early.clear()

    def _answer(self, status: str, sentence: str) -> None:
        if self.transport is None or self.transport.is_closing():
            return
        body = (sentence + "\n").encode()
        self.transport.write(
            f"HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
            + body
        )
        self.transport.close()


class ServerSide(asyncio.Protocol):
    """The side of a tunnel towards the stand-in."""

    def __init__(self, client: ClientSide, name: Name) -> None:
        self._client = client
        self._name = name
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        without_nagle(self.transport)

    def data_received(self, data: bytes) -> None:
        client = self._client.transport
        if client is None:
            return
        # A fault is looked at with every piece, so that it also hits tunnels that are open already.
        if self._name.faults and self._name.resets_now(len(data)):
            client.write(data[: len(data) // 2])
            self._client.reset()
            return
        client.write(data)

    def eof_received(self) -> bool:
        if self._client.transport is not None:
            with contextlib.suppress(OSError, RuntimeError):
                self._client.transport.write_eof()
        return True

    def pause_writing(self) -> None:
        if self._client.transport is not None:
            self._client.transport.pause_reading()

    def resume_writing(self) -> None:
        if self._client.transport is not None:
            self._client.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._client.transport is not None:
            self._client.transport.close()


def without_nagle(transport: asyncio.Transport) -> socket.socket:
    """Send every piece at once; the answer is the transport's socket."""
    sock: socket.socket = transport.get_extra_info("socket")
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def acknowledge(sock: socket.socket) -> None:
    """Acknowledge what has just arrived at once.

    urllib3 leaves Nagle's algorithm on towards a proxy: it sends a request's head, and keeps the
    body back until the head is acknowledged, which takes the kernel 40 ms when it is not told. The
    option does not last, so it is set with every piece.
    """
    if _QUICK_ACKNOWLEDGE is not None:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, _QUICK_ACKNOWLEDGE, 1)


def client_side(network: Network) -> Callable[[], ClientSide]:
    """What the proxy's server makes for each connection."""
    return lambda: ClientSide(network)
