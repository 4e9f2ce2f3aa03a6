"""POST /$batch: up to twenty calls in one request, answered in any order."""

import asyncio
import base64
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from multidict import CIMultiDict

from infra.local.entra.calls import Reply
from infra.local.entra.graph_errors import GraphError
from infra.local.entra.rendering import dumps
from infra.local.entra.tokens import AccessToken

if TYPE_CHECKING:
    from infra.local.entra.world import World

_MOST_PARTS = 20
_METHODS = frozenset({"GET", "POST", "PATCH", "PUT", "DELETE"})


async def answer(
    world: "World",
    token: AccessToken,
    headers: Mapping[str, str],
    body: bytes,
    base: str,
) -> Reply:
    """Answer a batch; the outer status says nothing about its parts."""
    parts = _parts(body)
    ids = [str(part["id"]) for part in parts]
    waits = {str(part["id"]): _depends(part, ids) for part in parts}
    statuses: dict[str, int] = {}
    replies: dict[str, bytes] = {}
    open_parts = {str(part["id"]): part for part in parts}
    while open_parts:
        ready = [i for i in open_parts if all(w in statuses for w in waits[i])]
        if not ready:
            raise _invalid("The dependsOn of the requests goes round in a circle.")
        for part_id in ready:
            part = open_parts.pop(part_id)
            if any(statuses[w] >= 400 for w in waits[part_id]):
                error = GraphError(424, "FailedDependency", "A request it depends on failed.")
                reply = _failed(world, error, headers)
            else:
                reply = await _part(world, token, part, headers, base)
            statuses[part_id] = reply.status
            replies[part_id] = _written(part_id, reply)
    order = list(replies)
    if world.switches.batch_order == "shuffle":
        world.batch_random.shuffle(order)
    elif world.switches.batch_order == "reverse":
        order.reverse()
    outer = 200
    if world.switches.batch_outer_424 and 429 in statuses.values():
        outer = 424
    return Reply(outer, b'{"responses":[' + b",".join(replies[i] for i in order) + b"]}")


async def _part(
    world: "World",
    token: AccessToken,
    part: Mapping[str, Any],
    outer: Mapping[str, str],
    base: str,
) -> Reply:
    # A part is served like a call of its own, so the import goes round in a circle.
    from infra.local.entra import graph

    inner: CIMultiDict[str] = CIMultiDict(part.get("headers") or {})
    body = b""
    outcome = graph.Outcome()
    try:
        if part.get("body") is not None:
            if "json" not in inner.get("Content-Type", ""):
                raise GraphError(
                    400, "BadRequest", "Write request id : a Content-Type header is required."
                )
            body = dumps(part["body"])
        path, _, query = str(part["url"]).partition("?")
        path = "/" + path.lstrip("/")
        method = str(part["method"]).upper()
        await graph.serve(
            world, token, method, path, query, inner, body, base, outcome, in_batch=True
        )
        fault = outcome.fault
        if fault is not None and fault.kind == "slow":
            await asyncio.sleep(fault.seconds)
        reply = outcome.reply
        if fault is not None and fault.kind in ("reset", "timeout", "truncate"):
            # A part has no connection of its own to break; its gateway says 504.
            raise GraphError(504, "UnknownError", "The request timed out.")
    except GraphError as error:
        reply = _failed(world, error, outer)
    world.book.count(f"graph-part {outcome.route}", token.tenant)
    return reply


def _failed(world: "World", error: GraphError, headers: Mapping[str, str]) -> Reply:
    from infra.local.entra import graph

    reply = graph.error_reply(world, error, graph.new_request_id(), headers)
    reply.headers.pop("WWW-Authenticate", None)
    return reply


def _written(part_id: str, reply: Reply) -> bytes:
    headers = {**reply.headers}
    body = reply.body
    if body:
        headers["Content-Type"] = reply.content_type
        if not reply.content_type.startswith("application/json"):
            body = dumps(base64.b64encode(body).decode())
    head = dumps({"id": part_id, "status": reply.status, "headers": headers})
    return head[:-1] + b',"body":' + body + b"}" if body else head


def _parts(body: bytes) -> list[dict[str, Any]]:
    try:
        value = json.loads(body)
    except ValueError as error:
        raise _invalid("Invalid batch payload format.") from error
    parts = value.get("requests") if isinstance(value, dict) else None
    if not isinstance(parts, list) or not parts or not all(isinstance(p, dict) for p in parts):
        raise _invalid("Invalid batch payload format.")
    if len(parts) > _MOST_PARTS:
        raise _invalid(f"Number of batch request steps exceeds the maximum value of {_MOST_PARTS}.")
    seen: set[str] = set()
    for part in parts:
        for name in ("id", "method", "url"):
            if not isinstance(part.get(name), str) or not part[name]:
                raise _invalid(f"Batch request steps must have '{name}'.")
        if part["id"].lower() in seen:
            raise _invalid("Request id's must be unique in the batch.")
        seen.add(part["id"].lower())
        if part["method"].upper() not in _METHODS:
            raise _invalid(f"The method {part['method']} is not supported.")
        if "://" in part["url"] or part["url"].lstrip("/").startswith("v1.0/"):
            raise _invalid("The url of a batch request step is relative to the version.")
    return parts


def _depends(part: Mapping[str, Any], ids: list[str]) -> list[str]:
    wanted = part.get("dependsOn") or []
    for other in wanted:
        if other not in ids or other == part["id"]:
            raise _invalid(f"dependsOn names an unknown request: {other}.")
    return [str(other) for other in wanted]


def _invalid(message: str) -> GraphError:
    return GraphError(400, "BadRequest", message)
