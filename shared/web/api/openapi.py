"""GET /api/openapi.json: the admin API described (OpenAPI 3.1), made from the table of routes.

Nothing of a shape is written down here a second time: paths, parameters, bodies and replies come
from the very structs that the router reads requests with and the handlers answer with.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from shared import VERSION
from shared.web.api.openapi_schemas import (
    Schema,
    query_parameters,
    schemas_of,
    value_schema,
    words_of,
)
from shared.web.http import JSON, PROBLEM, Problem, Reply, json_reply
from shared.web.router import AnyQuery, Call, NoBody, Route

ADDRESS = "/api/openapi.json"
_SECURITY = "admin"
_ABOUT = (
    "Everything that the console does. Lists are `{items, nextCursor}` and page with "
    "`?limit=&cursor=`. PUT replaces the whole resource: a member left out is unset, but for "
    "write-only members (left out: kept, `null`: removed). Shares are fractions (0.2), percents "
    "are percents (10). Times are RFC 3339 in UTC. Every refusal is a problem detail (RFC 9457) "
    "with a sentence for a person, and with `field` where one member or parameter is at fault; "
    "another method than the described ones is refused with 405 and `Allow`."
)
# What the way of every request can refuse, and when.
_REFUSALS: Mapping[int, str] = {
    400: "A query parameter does not fit or is not known, or the body is no JSON.",
    401: "The caller is not signed in.",
    403: "The caller is not the admin, or nobody is as long as no way in is set.",
    404: "There is no such thing.",
    409: "It cannot be done as things stand; the sentence says what is in the way.",
    413: "The body is larger than 1 MiB.",
    415: "The body is not sent as JSON.",
    422: "The body does not fit, or something that it names cannot be taken.",
    500: "Something is wrong on our side, or a setting of the deployment is.",
    503: "Something that this needs cannot be reached, or a limit is used up: come back later.",
}
_RETRY = {
    "description": "Seconds after which a further try makes sense.",
    "required": True,
    "schema": {"type": "integer", "minimum": 1},
}
_CHALLENGE = {
    "description": "How to sign in.",
    "required": True,
    "schema": {"type": "string"},
}
_PROBLEM_HEADERS: Mapping[int, Schema] = {
    401: {"WWW-Authenticate": _CHALLENGE},
    503: {"Retry-After": _RETRY},
}
_TITLES = {"bms": "BMS", "itglue": "IT Glue", "health": "Health"}


class Described(msgspec.Struct):
    """An OpenAPI 3.1 description."""

    openapi: str
    info: dict[str, Any]
    servers: list[dict[str, Any]]
    security: list[dict[str, list[str]]]
    tags: list[dict[str, str]]
    paths: dict[str, dict[str, Any]]
    components: dict[str, Any]


def describe(routes: Iterable[Route]) -> dict[str, Any]:
    """The description of these routes; what is neither under /api nor /health is no part of it."""
    described = sorted(
        (
            each
            for each in routes
            if each.template.startswith("/api/") or each.template == "/health"
        ),
        key=lambda route: (tag_of(route), route.template, _METHODS.index(route.method)),
    )
    shapes: list[type] = [Problem]
    for route in described:
        shapes += [shape for shape in (_body(route), *_replies(route).values()) if shape]
    schemas, components = schemas_of(shapes)
    paths: dict[str, dict[str, Any]] = {}
    for route in described:
        paths.setdefault(route.template, {})[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Directory sync: admin API", "version": VERSION, "description": _ABOUT},
        "servers": [{"url": "/", "description": "This app"}],
        "security": [{_SECURITY: []}],
        "tags": [{"name": name} for name in dict.fromkeys(tag_of(each) for each in described)],
        "paths": paths,
        "components": {
            "schemas": components,
            "responses": {f"Problem{status}": _refusal(status, schemas) for status in _REFUSALS},
            "securitySchemes": {
                _SECURITY: {
                    "type": "http",
                    "scheme": "bearer",
                    "description": (
                        "The value of the setting ADMIN_TOKEN; with App Service Authentication an "
                        "Entra access token for this app with the app role."
                    ),
                }
            },
        },
    }


@dataclass(slots=True)
class DescriptionApi:
    """The resource. `routes` is asked at the first request: the table holds this one too."""

    routes_of_api: Callable[[], Iterable[Route]]
    _made: dict[str, Any] | None = field(default=None)

    def routes(self) -> list[Route]:
        """Its row in the table."""
        return [
            Route(
                "GET",
                ADDRESS,
                self.get,
                "This description",
                reply=Described,
                description="The whole admin API as OpenAPI 3.1, made from what the code accepts.",
                tag="Description",
            )
        ]

    def get(self, _: Call) -> Reply:
        """GET /api/openapi.json."""
        if self._made is None:
            self._made = describe(self.routes_of_api())
        return json_reply(self._made)


_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_PARAMETER = re.compile(r"\{(\w+)\}")


def tag_of(route: Route) -> str:
    """The resource that a route belongs to."""
    if route.tag:
        return route.tag
    segment = route.template.removeprefix("/api/").strip("/").split("/")[0]
    return _TITLES.get(segment) or segment.replace("-", " ").capitalize()


def operation_id(route: Route) -> str:
    """A name that says what the operation does: listConnections, approveHold, saveSettingsBms."""
    nouns: list[str] = []
    for segment in route.template.removeprefix("/api/").strip("/").split("/"):
        if not segment.startswith("{"):
            nouns.append(_camel(segment))
            continue
        noun, before = _camel(segment[1:-1].removesuffix("Id")), nouns[-1]
        if before.endswith(f"{noun}s"):
            nouns[-1] = before.removesuffix("s")
        elif not before.endswith("s"):
            nouns.append(noun)
    if route.method == "POST" and route.status == 201:
        nouns[-1] = nouns[-1].removesuffix("s")
    elif route.method == "POST":
        *rest, verb = nouns
        # A bare verb such as import is a reserved word in many a language.
        return verb[:1].lower() + verb[1:] + "".join(rest) if rest else f"do{verb}"
    return _verb(route) + "".join(nouns)


def _verb(route: Route) -> str:
    if route.method == "GET":
        fields = getattr(route.reply, "__struct_fields__", ())
        return "list" if "items" in fields else "get"
    return {"POST": "add", "PUT": "replace", "PATCH": "change", "DELETE": "delete"}[route.method]


def _camel(segment: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in re.split(r"[-.]", segment))


def _operation(route: Route, schemas: Mapping[type, Schema]) -> Schema:
    operation: Schema = {
        "operationId": operation_id(route),
        "tags": [tag_of(route)],
        "summary": route.summary,
        "description": route.description or f"{route.summary}.",
    }
    parameters = [*_path_parameters(route)]
    if route.query is not AnyQuery:
        parameters += query_parameters(route.query)
    if parameters:
        operation["parameters"] = parameters
    body = _body(route)
    if body is not None:
        operation["requestBody"] = {
            "required": any(each.required for each in msgspec.structs.fields(body)),
            "content": {JSON: {"schema": schemas[body]}},
        }
    operation["responses"] = _responses(route, schemas)
    if route.anonymous:
        operation["security"] = []
    return operation


def _path_parameters(route: Route) -> Iterator[Schema]:
    for name in _PARAMETER.findall(route.template):
        noun = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name.removesuffix("Id")).lower()
        schema: Schema = {"type": "string"}
        if name in route.path:
            schema = value_schema(route.path[name])
        if schema.get("type") == "string":
            schema.setdefault("minLength", 1)
        yield {
            "name": name,
            "in": "path",
            "required": True,
            "description": schema.pop("description", f"The {noun}'s id, as its list shows it."),
            "schema": schema,
        }


def _responses(route: Route, schemas: Mapping[type, Schema]) -> Schema:
    responses: Schema = {}
    for status, shape in _replies(route).items():
        response: Schema = {
            "description": words_of(shape) if shape else _EMPTY.get(status, "Done.")
        }
        if headers := route.headers.get(status):
            response["headers"] = {
                name: {"description": words, "required": True, "schema": {"type": "string"}}
                for name, words in headers.items()
            }
        if shape is not None:
            response["content"] = {JSON: {"schema": schemas[shape]}}
        elif route.media != JSON:
            response["content"] = {route.media: {"schema": {"type": "string"}}}
        responses[str(status)] = response
    for status in refusals_of(route):
        responses[str(status)] = {"$ref": f"#/components/responses/Problem{status}"}
    return responses


_EMPTY = {204: "Done; there is nothing to say.", 503: "It is not well."}


def refusals_of(route: Route) -> list[int]:
    """The statuses of the problem details that a route can answer with."""
    if route.anonymous:
        return []
    found = {400, 401, 403, 500, 503, *route.refusals}
    if "{" in route.template:
        found.add(404)
    if route.method in ("POST", "PUT", "PATCH"):
        found |= {413, 415, 422}
    return sorted(found)


def _refusal(status: int, schemas: Mapping[type, Schema]) -> Schema:
    response: Schema = {
        "description": _REFUSALS[status],
        "content": {PROBLEM: {"schema": schemas[Problem]}},
    }
    if status in _PROBLEM_HEADERS:
        response["headers"] = _PROBLEM_HEADERS[status]
    return response


def _body(route: Route) -> type[msgspec.Struct] | None:
    return (
        None if route.body is NoBody or not issubclass(route.body, msgspec.Struct) else route.body
    )


def _replies(route: Route) -> dict[int, type[msgspec.Struct] | None]:
    return {route.status: route.reply, **route.also}
