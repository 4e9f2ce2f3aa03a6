"""The HTTP door of instances in this process: the admin API, the callback and the webhook."""

from __future__ import annotations

import asyncio
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from shared.web.http import Reply, problem, request_from
from tests.torture.instance import Died, Instance


class Front:
    """One address on loopback; whichever instance is `behind` answers, one that died with 503."""

    def __init__(self) -> None:
        self.behind: Instance | None = None
        self._loop = asyncio.new_event_loop()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._threads = [
            threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True),
            threading.Thread(target=self._loop.run_forever, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    @property
    def base_url(self) -> str:
        return f"http://localhost:{self._server.server_port}"

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        for thread in self._threads:
            thread.join()
        self._loop.close()

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Reply:
        """What the triggers of function_app.py do."""
        instance = self.behind
        if instance is None or instance.dead:
            return problem(503, "Nobody is here.")
        request = request_from(method, f"{self.base_url}{path}", headers, body)
        try:
            if not request.path.startswith("/webhooks/graph/"):
                return instance.app.api.dispatch(request)
            connection = request.path.split("/")[3]
            reply = asyncio.run_coroutine_threadsafe(
                instance.app.webhook.answer(connection, request), self._loop
            )
            return reply.result(30)
        except Died:
            return problem(503, "Died while answering.")


def _handler(front: Front) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            reply = front.answer(self.command, self.path, dict(self.headers.items()), body)
            self.send_response(reply.status)
            self.send_header("Content-Type", reply.content_type)
            for name, value in reply.headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _any  # noqa: N815 - the base class

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class
            """Silence."""

    return Handler
