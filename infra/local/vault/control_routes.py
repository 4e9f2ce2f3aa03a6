"""The vault stand-in's control routes, for tests and demos; on the plain port only."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from aiohttp import web

from infra.local.vault.errors import VaultError
from infra.local.vault.faults import BadFault
from infra.local.vault.service import DEFAULT_VAULT, VaultService
from infra.local.vault.store import Store


def add_control_routes(app: web.Application, service: VaultService) -> None:
    """Serve `/_control/...`."""
    routes = _Routes(service)
    for method, path, handler in (
        ("GET", "/secrets", routes.get_secrets),
        ("GET", "/deleted", routes.get_deleted),
        ("PUT", "/secrets/{name}", routes.put_secret),
        ("GET", "/secrets/{name}/versions", routes.get_versions),
        ("POST", "/fill", routes.fill),
        ("GET", "/switches", routes.get_switches),
        ("PUT", "/switches", routes.put_switches),
        ("GET", "/faults", routes.get_faults),
        ("POST", "/faults", routes.post_fault),
        ("DELETE", "/faults", routes.delete_faults),
        ("GET", "/counters", routes.get_counters),
        ("DELETE", "/counters", routes.delete_counters),
        ("GET", "/log", routes.get_log),
        ("POST", "/tokens/forget", routes.forget_tokens),
        ("POST", "/reset", routes.reset),
    ):
        app.router.add_route(method, "/_control" + path, _in_words(handler))


class _Routes:
    def __init__(self, service: VaultService) -> None:
        self._service = service

    async def get_secrets(self, request: web.Request) -> Any:
        store = self._store(request)
        return {name: secret.newest.value for name, secret in store.active().items()}

    async def get_deleted(self, request: web.Request) -> Any:
        store = self._store(request)
        return {name: secret.newest.value for name, secret in store.deleted().items()}

    async def put_secret(self, request: web.Request) -> Any:
        _, version = self._store(request).set(request.match_info["name"], await request.json())
        return {"version": version.id}

    async def get_versions(self, request: web.Request) -> Any:
        return [
            {"version": version.id, "value": version.value, "enabled": version.enabled}
            for version in self._store(request).versions(request.match_info["name"])
        ]

    async def fill(self, request: web.Request) -> Any:
        body = await request.json()
        fill(self._store(request), int(body["count"]))
        return {}

    async def get_switches(self, _: web.Request) -> Any:
        return {
            **dataclasses.asdict(self._service.switches),
            "token_seconds": self._service.identity.token_seconds,
        }

    async def put_switches(self, request: web.Request) -> Any:
        wanted = dict(await request.json())
        if "token_seconds" in wanted:
            self._service.identity.token_seconds = int(wanted.pop("token_seconds"))
        known = {field.name for field in dataclasses.fields(self._service.switches)}
        if not wanted.keys() <= known:
            raise BadFault(f"Switches are: token_seconds, {', '.join(sorted(known))}.")
        for name, value in wanted.items():
            setattr(self._service.switches, name, value)
        return await self.get_switches(request)

    async def get_faults(self, _: web.Request) -> Any:
        return self._service.observed.faults()

    async def post_fault(self, request: web.Request) -> Any:
        return {"id": self._service.observed.add_fault(await request.json())}

    async def delete_faults(self, request: web.Request) -> Any:
        number = request.query.get("id")
        self._service.observed.clear_faults(None if number is None else int(number))
        return {}

    async def get_counters(self, _: web.Request) -> Any:
        observed = self._service.observed
        return {"calls": dict(observed.calls), "statuses": dict(observed.statuses)}

    async def delete_counters(self, _: web.Request) -> Any:
        self._service.observed.reset()
        return {}

    async def get_log(self, _: web.Request) -> Any:
        return self._service.observed.log()

    async def forget_tokens(self, _: web.Request) -> Any:
        self._service.identity.forget_issued()
        return {}

    async def reset(self, _: web.Request) -> Any:
        self._service.forget_secrets()
        self._service.observed.reset()
        self._service.observed.clear_faults()
        return {}

    def _store(self, request: web.Request) -> Store:
        return self._service.store(request.query.get("vault", DEFAULT_VAULT))


def fill(store: Store, count: int) -> None:
    """Make many secrets, to see how a client fares with a large vault."""
    for number in range(count):
        store.set(f"scale-{number:06}", {"value": f"value {number}"})


def _in_words(handler: Any) -> Any:
    async def answer(request: web.Request) -> web.Response:
        try:
            return web.json_response(await handler(request))
        except VaultError as exc:
            return web.json_response(exc.body(), status=exc.status)
        except (BadFault, KeyError, TypeError, json.JSONDecodeError) as exc:
            return web.json_response({"error": str(exc)}, status=400)

    return answer
