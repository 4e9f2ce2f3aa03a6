"""The HTTP face of the vault stand-in: Key Vault's secrets and App Service's identity endpoint."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from infra.local.vault import errors, wire
from infra.local.vault.errors import VaultError
from infra.local.vault.faults import Fault, Observed
from infra.local.vault.identity import (
    CLIENT_ID,
    TENANT_ID,
    VAULT_RESOURCE,
    BadToken,
    Identity,
)
from infra.local.vault.store import Secret, Store, Switches

DEFAULT_VAULT = "local-sync.vault.azure.net"
IDENTITY_ROUTE = "GET /msi/token"
_LARGEST_PAGE = 25
_LONG = 3600.0
# Faults that strike when the work is done, or spoil its answer.
_AFTERWARDS = ("lost", "unheard", "truncated", "cut_off")

Answer = tuple[int, Any]
Handler = Callable[[web.Request, Store, bytes], Answer]


class VaultService:
    """State and routes of the stand-in; the same for its plain and its TLS port."""

    def __init__(self, identity: Identity, switches: Switches) -> None:
        self.identity = identity
        self.switches = switches
        self._stores: dict[str, Store] = {}
        self._routes: dict[str, Handler] = {
            "PUT /secrets/{name}": self._set,
            "GET /secrets/{name}": self._get,
            "GET /secrets/{name}/versions": self._list_versions,
            "GET /secrets/{name}/{version}": self._get,
            "PATCH /secrets/{name}": self._update,
            "PATCH /secrets/{name}/{version}": self._update,
            "DELETE /secrets/{name}": self._delete,
            "GET /secrets": self._list,
            "GET /deletedsecrets": self._list_deleted,
            "GET /deletedsecrets/{name}": self._get_deleted,
            "POST /deletedsecrets/{name}/recover": self._recover,
            "DELETE /deletedsecrets/{name}": self._purge,
        }
        self.observed = Observed({*self._routes, IDENTITY_ROUTE})

    def store(self, host: str) -> Store:
        """The vault of a host name; by a loopback address one reaches the default vault."""
        name = host.partition(":")[0].lower()
        if not name.endswith(".vault.azure.net"):
            name = DEFAULT_VAULT
        if name not in self._stores:
            self._stores[name] = Store(self.switches)
        return self._stores[name]

    def forget_secrets(self) -> None:
        """Empty all vaults."""
        self._stores.clear()

    def add_vault_routes(self, app: web.Application) -> None:
        """Serve Key Vault's own routes."""
        for route, handler in self._routes.items():
            method, path = route.split(" ")
            app.router.add_route(method, path, self._guarded(route, handler))
            # The SDK asks for the newest version with an empty one: /secrets/NAME/
            if path.endswith(("{name}", "secrets")):
                app.router.add_route(method, path + "/", self._guarded(route, handler))

    def add_identity_route(self, app: web.Application) -> None:
        """Serve App Service's identity endpoint (plain http, as in App Service)."""
        app.router.add_get("/msi/token", self._token)

    def _guarded(
        self, route: str, handler: Handler
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(request: web.Request) -> web.Response:
            response = await self._answer(route, handler, request)
            self.observed.record(route, request.method, request.path, response.status)
            return response

        return answer

    async def _answer(self, route: str, handler: Handler, request: web.Request) -> web.Response:
        refused = self._challenge(request)
        if refused is not None:
            return refused
        # After the challenge: a fault for one call hits the call, not the SDK's probe before it.
        fault = self.observed.take_fault(route, request.match_info.get("name"))
        if fault is not None and fault.kind not in _AFTERWARDS:
            response = await _failed(request, fault)
            if response is not None:
                return response
        try:
            if "api-version" not in request.query:
                raise errors.bad_parameter("The api-version query parameter is missing.")
            sent = await request.read()
            status, body = handler(request, self.store(request.host), sent)
        except VaultError as exc:
            status, body = exc.status, exc.body()
        return await _spoilt(request, fault, _json(status, body))

    def _challenge(self, request: web.Request) -> web.Response | None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            reason = "AKV10000: Request is missing a Bearer or PoP token."
        else:
            try:
                self.identity.check(token.strip(), VAULT_RESOURCE)
                return None
            except BadToken as exc:
                reason = str(exc)
        response = _json(401, VaultError(401, "Unauthorized", reason).body())
        challenge = (
            f'Bearer authorization="https://login.windows.net/{TENANT_ID}", '
            f'resource="{VAULT_RESOURCE}"'
        )
        if token:
            challenge += ', error="invalid_token"'
        response.headers["WWW-Authenticate"] = challenge
        return response

    async def _token(self, request: web.Request) -> web.Response:
        response = await self._token_answer(request)
        self.observed.record(IDENTITY_ROUTE, request.method, request.path, response.status)
        return response

    async def _token_answer(self, request: web.Request) -> web.Response:
        fault = self.observed.take_fault(IDENTITY_ROUTE, None)
        if fault is not None and fault.kind not in _AFTERWARDS:
            response = await _failed(request, fault)
            if response is not None:
                return response
        # The secret header keeps a forged server-side request from fetching tokens.
        if request.headers.get("X-IDENTITY-HEADER") != self.identity.header:
            return _json(401, {"statusCode": 401, "message": "X-IDENTITY-HEADER is wrong."})
        if request.query.get("api-version") != "2019-08-01":
            return _json(400, {"statusCode": 400, "message": "api-version must be 2019-08-01."})
        resource = request.query.get("resource")
        if not resource:
            return _json(400, {"statusCode": 400, "message": "The resource is missing."})
        client_id = request.query.get("client_id", CLIENT_ID)
        if client_id != CLIENT_ID:
            return _json(400, {"statusCode": 400, "message": "No User Assigned identity found."})
        issued = self.identity.issue(resource)
        body = {
            "access_token": issued.text,
            "client_id": CLIENT_ID,
            "expires_on": str(issued.expires_on),
            "resource": issued.resource,
            "token_type": "Bearer",
        }
        return await _spoilt(request, fault, _json(200, body))

    def _set(self, request: web.Request, store: Store, sent: bytes) -> Answer:
        secret, version = store.set(request.match_info["name"], _object(sent))
        return 200, wire.bundle(request, secret, version, with_value=True)

    def _get(self, request: web.Request, store: Store, sent: bytes) -> Answer:
        version_id = request.match_info.get("version", "")
        secret, version = store.get(request.match_info["name"], version_id)
        return 200, wire.bundle(request, secret, version, with_value=True)

    def _update(self, request: web.Request, store: Store, sent: bytes) -> Answer:
        version_id = request.match_info.get("version", "")
        secret, version = store.update(request.match_info["name"], version_id, _object(sent))
        return 200, wire.bundle(request, secret, version)

    def _delete(self, request: web.Request, store: Store, sent: bytes) -> Answer:
        return 200, wire.deleted_bundle(request, store.delete(request.match_info["name"]))

    def _get_deleted(self, request: web.Request, store: Store, sent: bytes) -> Answer:
        return 200, wire.deleted_bundle(request, store.get_deleted(request.match_info["name"]))

    def _recover(self, request: web.Request, store: Store, sent: bytes) -> Answer:
        secret = store.recover(request.match_info["name"])
        return 200, wire.bundle(request, secret, secret.newest)

    def _purge(self, request: web.Request, store: Store, sent: bytes) -> Answer:
        store.purge(request.match_info["name"])
        return 204, None

    def _list(self, request: web.Request, store: Store, sent: bytes) -> Answer:
        size, after = self._paging(request)
        secrets, more = store.page(deleted=False, after=after, size=size)
        items = [wire.item(request, secret, secret.newest) for secret in secrets]
        return 200, {"value": items, "nextLink": wire.next_link(request, size, more)}

    def _list_deleted(self, request: web.Request, store: Store, sent: bytes) -> Answer:
        size, after = self._paging(request)
        secrets, more = store.page(deleted=True, after=after, size=size)
        items = [
            {**wire.item(request, secret, secret.newest), **wire.deletion(request, secret)}
            for secret in secrets
        ]
        return 200, {"value": items, "nextLink": wire.next_link(request, size, more)}

    def _list_versions(self, request: web.Request, store: Store, sent: bytes) -> Answer:
        size, after = self._paging(request)
        name = request.match_info["name"]
        versions = store.versions(name)
        if after and not after.isdigit():
            raise errors.bad_parameter("$skiptoken is invalid.")
        first = int(after or 0)
        items = [
            {
                **wire.item(request, Secret(name), version),
                "id": wire.id_of(request, name, version.id),
            }
            for version in versions[first : first + size]
        ]
        more = str(first + size) if first + size < len(versions) else None
        return 200, {"value": items, "nextLink": wire.next_link(request, size, more)}

    def _paging(self, request: web.Request) -> tuple[int, str]:
        try:
            size = int(request.query.get("maxresults", self.switches.page_size))
            token = base64.urlsafe_b64decode(request.query.get("$skiptoken", "")).decode()
        except ValueError as exc:
            raise errors.bad_parameter("maxresults or $skiptoken is invalid.") from exc
        if not 1 <= size <= _LARGEST_PAGE:
            raise errors.bad_parameter(
                f"The maxresults parameter must be between 1 and {_LARGEST_PAGE}."
            )
        return size, token


def break_connection(request: web.Request) -> None:
    """End the connection without an answer."""
    if request.transport is not None:
        request.transport.abort()


async def _spoilt(
    request: web.Request, fault: Fault | None, response: web.Response
) -> web.Response:
    """What becomes of an answer when the work is done."""
    kind = fault.kind if fault is not None else ""
    whole = response.body if isinstance(response.body, bytes) else b""
    if kind == "unheard":
        await asyncio.sleep(_LONG)
    if kind == "cut_off":
        cut = web.StreamResponse(status=response.status, headers=response.headers)
        cut.content_length = len(whole)
        await cut.prepare(request)
        await cut.write(whole[: len(whole) // 2])
    if kind in ("lost", "unheard", "cut_off"):
        break_connection(request)
    if kind == "truncated":
        response.body = whole[: len(whole) // 2]
    return response


async def _failed(request: web.Request, fault: Fault) -> web.Response | None:
    """Carry out a fault; None when the call shall go on afterwards."""
    if fault.kind == "slow":
        await asyncio.sleep(fault.seconds)
        return None
    if fault.kind == "timeout":
        await asyncio.sleep(_LONG)
    if fault.kind == "status":
        response = _json(fault.status, errors.of_status(fault.status).body())
        if fault.retry_after is not None:
            response.headers["Retry-After"] = str(fault.retry_after)
        return response
    break_connection(request)
    return _json(500, None)


def _object(sent: bytes) -> Mapping[str, Any]:
    try:
        body = json.loads(sent)
    except ValueError as exc:
        raise errors.bad_parameter("The request body is not valid JSON.") from exc
    if not isinstance(body, dict):
        raise errors.bad_parameter("The request body must be a JSON object.")
    return body


def _json(status: int, body: Any) -> web.Response:
    if body is None:
        return web.Response(status=status)
    return web.Response(
        status=status, body=json.dumps(body).encode(), content_type="application/json"
    )
