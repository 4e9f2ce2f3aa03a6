"""Microsoft Graph: from a request to a reply, alone or as part of a batch."""

import itertools
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import unquote

from infra.local.entra import batch, routes
from infra.local.entra.calls import Call, Reply
from infra.local.entra.faults import Fault
from infra.local.entra.graph_errors import GraphError, bad_request, denied
from infra.local.entra.odata import parse_query
from infra.local.entra.throttle import units_for
from infra.local.entra.tokens import AccessToken

if TYPE_CHECKING:
    from infra.local.entra.world import World

VERSION = "/v1.0"
_prefix = str(uuid.uuid4())[:24]
_numbers = itertools.count(1)


def new_request_id() -> str:
    """Return a fresh GUID, made cheaply: every reply carries one."""
    return f"{_prefix}{next(_numbers):012x}"


class Outcome:
    """A reply on its way out, with the fault that still has to be played on the connection."""

    __slots__ = ("fault", "reply", "route", "tenant")

    def __init__(self) -> None:
        self.reply = Reply(500)
        self.fault: Fault | None = None
        self.route = "unknown"
        self.tenant = ""


async def answer(
    world: "World",
    method: str,
    path: str,
    query: str,
    headers: Mapping[str, str],
    body: bytes,
    base: str,
) -> Outcome:
    """Answer one request that came over the wire; `path` begins after the version."""
    outcome = Outcome()
    request_id = new_request_id()
    try:
        token = _token(world, headers)
        outcome.tenant = token.tenant
        if path == "/$batch":
            outcome.route = f"{method} /$batch"
            outcome.fault = world.faults.pick("graph", method, "/$batch", token.tenant, path, False)
            _raise_status(outcome.fault)
            if method != "POST":
                raise GraphError(405, "Request_BadRequest", "Specified HTTP method is not allowed.")
            outcome.reply = await batch.answer(world, token, headers, body, base)
        else:
            await serve(world, token, method, path, query, headers, body, base, outcome, False)
    except GraphError as error:
        outcome.reply = error_reply(world, error, request_id, headers)
    world.book.count(f"graph {outcome.route}", outcome.tenant)
    outcome.reply.headers["request-id"] = request_id
    outcome.reply.headers["client-request-id"] = headers.get("client-request-id", request_id)
    return outcome


async def serve(
    world: "World",
    token: AccessToken,
    method: str,
    path: str,
    query: str,
    headers: Mapping[str, str],
    body: bytes,
    base: str,
    outcome: Outcome,
    in_batch: bool,
) -> None:
    """Find the route, check faults, permissions and limits, and carry the call out."""
    parts = [unquote(part) for part in path.strip("/").split("/")]
    found = routes.find(parts)
    if found is None:
        raise bad_request(f"Resource not found for the segment '{parts[-1]}'.")
    methods, params = found
    route = methods.get(method)
    template = next(iter(methods.values())).template
    outcome.route = f"{method} {template}"
    outcome.fault = world.faults.pick("graph", method, template, token.tenant, path, in_batch)
    if outcome.fault is not None and not outcome.fault.after_work:
        _raise_status(outcome.fault)
        if outcome.fault.kind in ("reset", "timeout"):
            return
    if route is None:
        if method in ("POST", "PATCH", "PUT", "DELETE"):
            # Writing needs scopes that this app never has.
            raise denied()
        raise GraphError(405, "Request_BadRequest", "Specified HTTP method is not allowed.")
    directory = world.tenants[token.tenant]
    if template == "/me" or template.startswith("/me/"):
        if token.user is None:
            raise bad_request("/me request is only valid with delegated authentication flow.")
        params = (token.user, *params)
    elif token.user is not None and token.user in world.restricted and route.cost > 0:
        raise denied()
    if not any(needed <= token.permissions for needed in route.allowed):
        raise denied()
    options = parse_query(query)
    extra: dict[str, str] = {}
    if route.cost > 0:
        base_cost = route.cost
        if template.endswith("/delta"):
            units = max(1, world.switches.delta_resource_units)
        else:
            units = units_for(base_cost, options)
        extra = world.throttle.directory_call(
            token.client_id, token.tenant, len(directory.user_ids), units
        )
    call = Call(world, directory, token, method, path, params, options, headers, body, base)
    result = route.handler(call)
    reply = result if isinstance(result, Reply) else await result
    reply.headers.update(extra)
    outcome.reply = reply
    if outcome.fault is not None and outcome.fault.after_work:
        _raise_status(outcome.fault)


def error_reply(
    world: "World", error: GraphError, request_id: str, headers: Mapping[str, str]
) -> Reply:
    """Write an error reply."""
    client_id = headers.get("client-request-id", request_id)
    body = error.body(request_id, client_id, world.clock.now())
    reply = Reply(error.status, body, dict(error.headers))
    if error.status == 401:
        reply.headers["WWW-Authenticate"] = (
            'Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/'
            'authorize", client_id="00000003-0000-0000-c000-000000000000"'
        )
    return reply


def _raise_status(fault: Fault | None) -> None:
    if fault is not None and fault.kind == "status":
        raise fault.as_error()


def _token(world: "World", headers: Mapping[str, str]) -> AccessToken:
    kind, _, text = headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer" or not text:
        raise GraphError(401, "InvalidAuthenticationToken", "Access token is empty.")
    token = world.tokens.access.get(text.strip())
    if token is None or token.tenant not in world.tenants:
        raise GraphError(
            401,
            "InvalidAuthenticationToken",
            "CompactToken parsing failed with error code: 80049217",
        )
    if token.expires_at <= world.clock.now():
        raise GraphError(
            401,
            "InvalidAuthenticationToken",
            "Lifetime validation failed, the token is expired.",
        )
    return token
