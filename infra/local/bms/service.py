"""What happens to a request, from its path to its reply: route, token, limit, fault, handler."""

from __future__ import annotations

from dataclasses import dataclass

from infra.local.bms.calls import Call, Query
from infra.local.bms.faults import Fault, Faults
from infra.local.bms.journal import Journal, Line, Write
from infra.local.bms.openapi import query_names
from infra.local.bms.rate_limit import RateLimit, retry_after
from infra.local.bms.refusals import NotSignedIn, Refusal, Unreadable, V1Refused
from infra.local.bms.replies import NOT_SERVED, TOO_MANY, UNWELL, Reply, failure, refused
from infra.local.bms.routes import V1_ROUTES, V2_ROUTES, not_served
from infra.local.bms.routing import Route, RouteTable
from infra.local.bms.switches import Switches
from infra.local.bms.tokens import Credentials, Tokens
from infra.local.bms.world import Clock, World

UNMATCHED = "(no such route)"
_ANSWERED_AT_ONCE = ("rate_limited", "error", "refused_in_200", "unauthorized")


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it came over the wire."""

    method: str
    target: str
    authorization: str
    content_type: str
    body: bytes


@dataclass(slots=True)
class Visit:
    """A request on its way through."""

    request: Request
    number: int
    endpoint: str
    route: Route | None = None
    reply: Reply | None = None
    fault: Fault | None = None
    changed: bool = False


class Service:
    """The stand-in without its sockets."""

    def __init__(self) -> None:
        self._table = RouteTable((*not_served(), *V2_ROUTES, *V1_ROUTES))
        self.journal = Journal()
        self.reset()

    def reset(self) -> None:
        """Begin anew: a fresh tenant, no faults, all switches at their defaults."""
        self.clock = Clock()
        self.world = World(self.clock, Switches())
        self.tokens = Tokens(Credentials())
        self.limit = RateLimit()
        self.faults = Faults()
        self.journal.clear()

    def set_switches(self, changes: dict[str, object]) -> None:
        """Change switches; ValueError names a wrong one."""
        self.world.switches = self.world.switches.with_changes(changes)
        # Casing and time zone are inside the cached rows.
        self.world.names_changed()

    def admit(self, request: Request) -> Visit:
        """Find the route; check token and limit; draw a fault. A reply set here is the last word.

        `commit` does the work afterwards, unless the fault strikes before it.
        """
        path, _, query = request.target.partition("?")
        words = path.strip("/").split("/")
        switches = self.world.switches
        route, allowed = self._table.find(request.method, words, switches)
        number = self.journal.next_number()
        if route is None:
            visit = Visit(request, number, f"{request.method} {UNMATCHED}")
            headers = {"Allow": ", ".join(allowed)} if allowed else {}
            visit.reply = Reply(405 if allowed else 404, headers=headers)
            return visit
        visit = Visit(request, number, route.endpoint, route)
        if route.handler is None:
            text = "The vendor has this route; the stand-in does not serve it."
            visit.reply = failure(switches, 501, NOT_SERVED, "Not served", text)
            return visit
        self._note_ignored(route, query)
        now = self.clock.now()
        try:
            if not route.anonymous:
                self.tokens.check(request.authorization, route.version, switches, now)
        except NotSignedIn as refusal:
            visit.reply = self._refused(route, refusal)
            return visit
        wait = self.limit.wait_for(route.endpoint, switches, now)
        if wait is not None:
            visit.reply = self._too_many(route, retry_after(wait, switches, now))
            return visit
        visit.fault = self.faults.strike(route.endpoint, request.target, request.body)
        if visit.fault is not None and visit.fault.kind in _ANSWERED_AT_ONCE:
            visit.reply = self._faulty(route, visit.fault)
        return visit

    def commit(self, visit: Visit) -> Reply:
        """Do the work of an admitted request and return its reply, also for a late client."""
        if visit.reply is not None:
            return visit.reply
        route = visit.route
        if route is None or route.handler is None:
            raise AssertionError("a visit without a handler has its reply already")
        path, _, query_text = visit.request.target.partition("?")
        version = self.world.version
        try:
            query = Query(query_text)
            self._refuse_unknown_query(route, query)
            call = Call(
                service=self,
                args=route.arguments(path.strip("/").split("/")),
                query=query,
                content_type=visit.request.content_type,
                body=visit.request.body,
                user_id=self.tokens.credentials.user_id,
            )
            visit.reply = route.handler(call)
        except Refusal as refusal:
            visit.reply = self._refused(route, refusal)
        visit.changed = self.world.version != version
        if visit.fault is not None and visit.fault.kind == "error_after":
            visit.reply = self._faulty(route, visit.fault)
        return visit.reply

    def finish(self, visit: Visit, status: int) -> None:
        """Count and log a request; status 0 says that no reply went out."""
        request = visit.request
        now = self.clock.now()
        fault = visit.fault.kind if visit.fault else None
        self.journal.note(
            Line(visit.number, now, request.method, visit.endpoint, request.target, status, fault)
        )
        is_sign_in = visit.route is not None and visit.route.anonymous
        if request.method != "GET" and not is_sign_in:
            self.journal.writes.append(
                Write(
                    visit.number,
                    now,
                    request.method,
                    visit.endpoint,
                    request.target,
                    status,
                    visit.changed,
                    request.body,
                )
            )

    def _note_ignored(self, route: Route, query: str) -> None:
        if not query or route.version == "v1":
            return
        known = query_names(route.method, route.template)
        for name in Query(query).names():
            if name not in known:
                self.journal.ignored_query[f"{route.endpoint} ?{name}"] += 1

    def _refuse_unknown_query(self, route: Route, query: Query) -> None:
        if self.world.switches.unknown_query == "ignore" or route.version == "v1":
            return
        known = query_names(route.method, route.template)
        unknown = {name: ["There is no such query name."] for name in query.names()}
        unknown = {name: why for name, why in unknown.items() if name not in known}
        if unknown:
            raise Unreadable(unknown)

    def _refused(self, route: Route, refusal: Refusal) -> Reply:
        if route.version == "v1" and not isinstance(refusal, V1Refused):
            status = 401 if isinstance(refusal, NotSignedIn) else 400
            refusal = V1Refused(status, "refused", str(refusal))
        return refused(refusal, self.world.switches)

    def _too_many(self, route: Route, headers: dict[str, str]) -> Reply:
        if route.version == "v1":
            return Reply(429, headers=headers)
        text = f"The hourly limit of {route.endpoint} is used up."
        return failure(
            self.world.switches, 429, TOO_MANY, "Too Many Requests", text, headers=headers
        )

    def _faulty(self, route: Route, fault: Fault) -> Reply:
        switches = self.world.switches
        headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
        if fault.kind == "rate_limited":
            return self._too_many(route, headers)
        if fault.kind == "unauthorized":
            return self._refused(route, NotSignedIn("The token has been withdrawn."))
        if fault.kind == "refused_in_200":
            return failure(switches, 200, UNWELL, "Error", "The service is unwell.")
        return failure(
            switches, fault.status, UNWELL, "Error", "The service is unwell.", headers=headers
        )
