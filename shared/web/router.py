"""The table of routes, and the way of a request through it.

A route names its template, its handler, and the shapes of query, body and reply; the OpenAPI
description is a view of the same table. Whatever goes wrong on the way comes out as a problem
detail with a sentence for a person, and nothing else of what happened inside.
"""

from __future__ import annotations

import logging
import traceback
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import msgspec

from shared.errors import (
    BadInput,
    BadInputs,
    DecideAgain,
    Misconfigured,
    PersonMustAct,
    Rejected,
    SyncError,
    TryLater,
)
from shared.web.auth import AdminOnly
from shared.web.bodies import has_control, read_body, read_query
from shared.web.http import JSON, Reply, Request, problem

LARGEST_BODY = 1024 * 1024
_RETRY_SECONDS = 5  # when the other side did not say how long

log = logging.getLogger(__name__)


class NoQuery(msgspec.Struct, forbid_unknown_fields=True):
    """A route without query parameters."""


class AnyQuery(msgspec.Struct):
    """An anonymous route, whose callers may add what they like to the address."""


class NoBody(msgspec.Struct, forbid_unknown_fields=True):
    """A route that takes no body still accepts `{}`."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request that fits its route. `query` and `body` are of the route's own shapes."""

    path: Mapping[str, str]
    query: Any
    body: Any
    request: Request


@dataclass(frozen=True, slots=True)
class Route:
    """One row of the table.

    `also`: further statuses of success with their replies, such as 202 beside 200. `refusals`: the
    problem details that only the handler can give (404, 409, 422, 503 …); what the way of every
    request can refuse is added by the description. `headers`: status → header → what it holds.
    `path`: the types of those path parameters that are not any text. `media`: of the reply.
    """

    method: str
    template: str
    handler: Callable[[Call], Reply]
    summary: str
    query: type[msgspec.Struct] = NoQuery
    body: type[msgspec.Struct] = NoBody
    reply: type[msgspec.Struct] | None = None
    status: int = 200
    anonymous: bool = False
    description: str = ""
    tag: str = ""  # empty: the resource that the template begins with
    also: Mapping[int, type[msgspec.Struct] | None] = field(default_factory=dict)
    refusals: tuple[int, ...] = ()
    headers: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
    path: Mapping[str, Any] = field(default_factory=dict)
    media: str = JSON

    def matches(self, segments: list[str]) -> dict[str, str] | None:
        """The template's values in this path; None when it is another route's."""
        wanted = self.template.strip("/").split("/")
        if len(wanted) != len(segments):
            return None
        found: dict[str, str] = {}
        for want, have in zip(wanted, segments, strict=True):
            if want.startswith("{"):
                value = unquote(have)
                if not value or has_control(value):
                    return None
                found[want[1:-1]] = value
            elif want.lower() != have.lower():  # the Functions host ignores case in routes
                return None
        return found


class Api:
    """Answers every request of the admin API; never raises."""

    def __init__(self, admin_only: AdminOnly, routes: Iterable[Route]) -> None:
        self._admin_only = admin_only
        # A literal segment wins over a parameter in the same place.
        self.routes = tuple(sorted(routes, key=lambda route: "{" in route.template))

    def dispatch(self, request: Request) -> Reply:
        """The reply to this request."""
        anonymous = any(route.anonymous for route, _ in self._here(request))
        refused = None if anonymous else self._admin_only.refusal(request)
        return refused or self.answer(request)

    def answer(self, request: Request) -> Reply:
        """The same for a caller of whom somebody else has made sure that it is the admin."""
        here = self._here(request)
        if not here:
            return problem(404, "There is nothing at this address.")
        for route, path in here:
            if route.method == request.method:
                return _answer(route, path, request)
        allowed = ", ".join(sorted({route.method for route, _ in here}))
        return problem(
            405,
            f"{request.method} is not possible here; possible: {allowed}.",
            headers=(("Allow", allowed),),
        )

    def _here(self, request: Request) -> list[tuple[Route, dict[str, str]]]:
        """The routes at this address, whatever the method."""
        segments = request.path.strip("/").split("/")
        return [
            (route, path) for route in self.routes if (path := route.matches(segments)) is not None
        ]


def _answer(route: Route, path: Mapping[str, str], request: Request) -> Reply:
    try:
        call = Call(path, read_query(request.query, route.query), _body(route, request), request)
        return route.handler(call)
    except BadInput as refusal:
        return _bad_input(refusal)
    except SyncError as error:
        return _trouble(error)
    except Exception as error:  # whatever it is, the caller gets no details of it
        return _broken(route, error)


def _body(route: Route, request: Request) -> object:
    """The body in the route's shape."""
    if len(request.body) > LARGEST_BODY:
        raise BadInput(413, "The body is larger than 1 MiB: send less at once.")
    if not request.body:  # the same as {}
        return read_body(b"{}", route.body)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != JSON and not (kind.startswith("application/") and kind.endswith("+json")):
        raise BadInput(
            415, "The body must be JSON: send it with the header Content-Type: application/json."
        )
    return read_body(request.body, route.body)


def _bad_input(refusal: BadInput) -> Reply:
    problems = refusal.problems if isinstance(refusal, BadInputs) else ()
    several = [{"detail": each.sentence, "field": each.field} for each in problems]
    return problem(
        refusal.status,
        refusal.sentence,
        field=refusal.field,
        errors=several or None,
    )


def _trouble(error: SyncError) -> Reply:
    if isinstance(error, TryLater):
        seconds = (
            _RETRY_SECONDS if error.after is None else max(1, int(error.after.total_seconds()))
        )
        return problem(503, error.sentence, headers=(("Retry-After", str(seconds)),))
    if isinstance(error, PersonMustAct):
        return problem(
            422 if isinstance(error, Rejected) else 409,
            error.sentence,
            nextStep=error.next_step,
            code=error.code,
        )
    if isinstance(error, DecideAgain):
        return problem(409, f"{error.sentence} Please look again and repeat the call.")
    if isinstance(error, Misconfigured):
        return problem(500, error.sentence)
    return problem(500, "Something went wrong on our side.")


def _broken(route: Route, error: Exception) -> Reply:
    """500 without details. The log gets the place, not the message: that may hold a name."""
    error_id = uuid.uuid4().hex
    log.error(
        "request failed: %s %s error=%s %s\n%s",
        route.method,
        route.template,
        error_id,
        type(error).__name__,
        "".join(traceback.format_tb(error.__traceback__)),
    )
    return problem(500, "Something went wrong on our side.", errorId=error_id)
