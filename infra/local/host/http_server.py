"""HTTP triggers: a request becomes the worker's RpcHttp message, its answer a response.

What the Functions host does to a request is done here too: headers in lower case and joined by
commas, query parameters without a value dropped, the body as raw bytes, keys in `x-functions-key`
or `?code=`. One thing is better than in Azure: a chunked body arrives in full.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, quote

from aiohttp import hdrs, web
from multidict import CIMultiDict

from infra.local.host.logs import HOST
from infra.local.host.messages import RpcHttp, TypedData
from infra.local.host.routes import Match, Routes
from infra.local.host.worker import Invoker, Outcome

# Kestrel's limit, as the Functions host sets it.
LARGEST_BODY = 104_857_600
_SAME_SITE = {1: "lax", 2: "strict", 3: "none"}
# The server says these itself.
_OWN_HEADERS = frozenset({"content-length", "transfer-encoding", "connection", "keep-alive"})

AdminHandler = Callable[[web.BaseRequest, str], Awaitable[web.Response]]


class HttpServer:
    """Answers every request of the host's port."""

    def __init__(self, routes: Routes, invoker: Invoker, key: str, admin: AdminHandler) -> None:
        self._routes = routes
        self._invoker = invoker
        self._key = key.encode()
        self._admin = admin

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; never raises for what the app did."""
        path, _, query = request.raw_path.partition("?")
        try:
            if path[:7].lower() == "/admin/":
                return await self._admin(request, path[7:])
            match = self._routes.find(request.method, path)
            if match is None:
                return _home_page() if path == "/" else _bare(404)
            parameters = _query(query)
            if not self._allowed(request, match, parameters):
                return _bare(401)
            return await self._run(request, match, parameters)
        except web.HTTPRequestEntityTooLarge:
            return _bare(413)
        except (ConnectionError, web.RequestPayloadError):
            # The client went away while it sent its body.
            return _bare(400)

    def _allowed(self, request: web.BaseRequest, match: Match, parameters: dict[str, str]) -> bool:
        if match.trigger.auth_level == "anonymous":
            return True
        given = request.headers.get("x-functions-key") or parameters.get("code") or ""
        return bool(self._key) and hmac.compare_digest(
            given.encode(errors="surrogateescape"), self._key
        )

    async def _run(
        self, request: web.BaseRequest, match: Match, parameters: dict[str, str]
    ) -> web.Response:
        body = await request.read() if request.body_exists else b""
        headers: dict[str, str] = {}
        for name, value in request.headers.items():
            lower = name.lower()
            headers[lower] = f"{headers[lower]},{value}" if lower in headers else value
        outcome = await self._invoker.invoke(
            match.function,
            TypedData(
                http=RpcHttp(
                    method=request.method,
                    url=f"{request.scheme}://{request.host}{request.raw_path}",
                    headers=headers,
                    params=match.parameters,
                    query=parameters,
                    body=TypedData(bytes=body) if body else TypedData(),
                )
            ),
            trace_parent=headers.get("traceparent", ""),
            trace_state=headers.get("tracestate", ""),
        )
        try:
            return _response(outcome)
        except (TypeError, ValueError) as error:
            HOST.error("function %s gave no usable response: %s", match.function.name, error)
            return _bare(500)


def _query(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in parse_qsl(text):
        found[name] = f"{found[name]},{value}" if name in found else value
    return found


def _response(outcome: Outcome) -> web.Response:
    if not outcome.succeeded:
        return _bare(500)
    value = outcome.value
    kind = value.WhichOneof("data") if value is not None else None
    if value is None or kind is None:
        return _bare(204)
    if kind != "http":
        return web.Response(
            text=str(getattr(value, kind)), headers={"Server": "Kestrel"}, content_type="text/plain"
        )
    http: RpcHttp = value.http
    headers: CIMultiDict[str] = CIMultiDict({"Server": "Kestrel"})
    for name, text in http.headers.items():
        if "\r" in text or "\n" in text:
            raise ValueError(f"the header {name} has several lines")
        if name.lower() not in _OWN_HEADERS:
            headers[name] = text
    for cookie in http.cookies:
        headers.add(hdrs.SET_COOKIE, cookie_text(cookie))
    body = http.body.bytes if http.body is not None else b""
    return web.Response(status=int(http.status_code), headers=headers, body=body)


def cookie_text(cookie: Any) -> str:
    """Write a cookie message as the Functions host does.

    ASP.NET escapes the value and writes attribute names and SameSite in lower case. The worker
    sends an empty domain and path where the app gave none; RFC 6265 has clients ignore those, but
    not all client libraries do, so they are left out here.
    """
    parts = [f"{cookie.name}={quote(cookie.value or '', safe='')}"]
    if cookie.expires is not None:
        moment = datetime.fromtimestamp(cookie.expires.value.seconds, UTC)
        parts.append(f"expires={moment:%a, %d %b %Y %H:%M:%S GMT}")
    if cookie.max_age is not None:
        parts.append(f"max-age={int(cookie.max_age.value)}")
    if cookie.domain is not None and cookie.domain.value:
        parts.append(f"domain={cookie.domain.value}")
    if cookie.path is not None and cookie.path.value:
        parts.append(f"path={cookie.path.value}")
    if cookie.secure is not None and cookie.secure.value:
        parts.append("secure")
    if cookie.same_site in _SAME_SITE:
        parts.append(f"samesite={_SAME_SITE[cookie.same_site]}")
    if cookie.http_only is not None and cookie.http_only.value:
        parts.append("httponly")
    return "; ".join(parts)


def _bare(status: int) -> web.Response:
    return web.Response(status=status, headers={"Server": "Kestrel"})


def _home_page() -> web.Response:
    return web.Response(
        text="<!DOCTYPE html><title>Function app</title><p>The function app is up and running.</p>",
        content_type="text/html",
        headers={"Server": "Kestrel"},
    )
