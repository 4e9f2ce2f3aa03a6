"""What happens to a request, from its path to its reply: key, limit, fault, route."""

from __future__ import annotations

import math
import time
from collections import deque
from dataclasses import dataclass

from infra.local.bms.faults import Fault, Faults
from infra.local.bms.journal import Journal, Line, Write
from infra.local.itglue.contacts import Contacts
from infra.local.itglue.lists import Lists
from infra.local.itglue.records import Account
from infra.local.itglue.switches import Switches
from infra.local.itglue.wire import Query, Refusal, Reply, Request, refused

DEFAULT_KEY = "ITG.local-key-of-the-demonstration"
_AT_ONCE = ("rate_limited", "error", "unauthorized")


@dataclass(slots=True)
class Visit:
    """A request on its way through."""

    request: Request
    number: int
    endpoint: str
    reply: Reply | None = None
    fault: Fault | None = None
    changed: bool = False


class Service:
    """The stand-in without its sockets."""

    def __init__(self) -> None:
        self.journal = Journal()
        self.reset()

    def reset(self) -> None:
        """Begin anew: an empty account, one key, no faults, all switches at their defaults."""
        self.ahead = 0.0
        self.account = Account(self.now)
        self.switches = Switches()
        self.keys = {DEFAULT_KEY}
        self.faults = Faults()
        self._calls: dict[str, deque[float]] = {}
        self.refused_by_limit = 0
        self.journal.clear()

    def now(self) -> float:
        """Seconds since 1970 on this account's clock."""
        return time.time() + self.ahead

    def used(self, key: str) -> int:
        """How much of a key's limit is used now."""
        calls = self._calls.get(key, deque())
        edge = self.now() - self.switches.rate_window_seconds
        return sum(1 for at in calls if at > edge)

    def admit(self, request: Request) -> Visit:
        """Check key and limit, draw a fault. A reply set here is the last word."""
        path = request.target.partition("?")[0]
        visit = Visit(request, self.journal.next_number(), f"{request.method} {_template(path)}")
        if request.key not in self.keys:
            status = self.switches.refused_key_status
            words = "Forbidden" if status == 403 else "Unauthorized"
            visit.reply = refused(Refusal(status, words), self.switches)
            return visit
        wait = self._wait(request.key)
        if wait is not None:
            visit.reply = self._too_many(wait)
            return visit
        visit.fault = self.faults.strike(visit.endpoint, request.target, request.body)
        if visit.fault is not None and visit.fault.kind in _AT_ONCE:
            visit.reply = self._faulty(visit.fault)
        return visit

    def commit(self, visit: Visit) -> Reply:
        """Do the work of an admitted request and return its reply, also for a late client."""
        if visit.reply is not None:
            return visit.reply
        version = self.account.version
        try:
            visit.reply = self._route(visit.request)
        except Refusal as refusal:
            visit.reply = refused(refusal, self.switches)
        visit.changed = self.account.version != version
        if visit.fault is not None and visit.fault.kind == "error_after":
            visit.reply = self._faulty(visit.fault)
        return visit.reply

    def finish(self, visit: Visit, status: int) -> None:
        """Count and log a request; status 0 says that no reply went out."""
        request, now = visit.request, self.now()
        fault = visit.fault.kind if visit.fault else None
        self.journal.note(
            Line(visit.number, now, request.method, visit.endpoint, request.target, status, fault)
        )
        if request.method != "GET":
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

    def _wait(self, key: str) -> float | None:
        if not self.switches.rate_limit_on:
            return None
        now, window = self.now(), self.switches.rate_window_seconds
        calls = self._calls.setdefault(key, deque())
        while calls and calls[0] <= now - window:
            calls.popleft()
        if len(calls) < self.switches.rate_limit:
            calls.append(now)
            return None
        self.refused_by_limit += 1
        return (calls[0] if calls else now) + window - now

    def _too_many(self, wait: float) -> Reply:
        headers = {}
        if self.switches.retry_after == "seconds":
            headers["Retry-After"] = str(max(1, math.ceil(wait)))
        return refused(Refusal(429, "Too Many Requests"), self.switches, headers)

    def _faulty(self, fault: Fault) -> Reply:
        headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
        if fault.kind == "rate_limited":
            return refused(Refusal(429, "Too Many Requests"), self.switches, headers)
        if fault.kind == "unauthorized":
            return refused(
                Refusal(self.switches.refused_key_status, "Forbidden"), self.switches, headers
            )
        return refused(Refusal(fault.status, "Something went wrong"), self.switches, headers)

    def _route(self, request: Request) -> Reply:
        path, _, text = request.target.partition("?")
        query, words = Query(text), path.strip("/").split("/")
        organization: int | None = None
        if len(words) >= 4 and words[0] == "organizations" and words[2] == "relationships":
            organization, words = _id(words[1]), words[3:]
        number = _id(words[1]) if len(words) == 2 else None
        if len(words) > 2:
            raise Refusal(404, "Not Found")
        method, name = request.method, words[0]
        if name == "contacts":
            return self._contacts(request, query, path, organization, number)
        lists = Lists(self.account, self.switches)
        if name == "locations" and method == "GET":
            if number is None:
                return lists.places(query, path, organization)
            return lists.place(number)
        if name == "organizations" and method == "GET" and organization is None:
            if number is None:
                return lists.organizations(query, path)
            return lists.organization(number)
        if name == "organization_statuses" and method == "GET" and number is None:
            return lists.statuses(query, path)
        if name == "contact_types":
            if number is None:
                return lists.types(query, path) if method == "GET" else lists.add_type(request)
            if method == "GET":
                return lists.type(number)
            return lists.change_type(number, request)
        raise Refusal(404, "Not Found")

    def _contacts(
        self,
        request: Request,
        query: Query,
        path: str,
        organization: int | None,
        number: int | None,
    ) -> Reply:
        contacts = Contacts(self.account, self.switches)
        match request.method, number:
            case "GET", None:
                return contacts.list(query, path, organization)
            case "GET", int():
                return contacts.one(number, query, organization)
            case "POST", None:
                return contacts.create(request, organization)
            case "PATCH", None:
                return contacts.change_many(request, organization)
            case "PATCH", int():
                return contacts.change(number, request, organization)
            case "DELETE", None:
                return contacts.delete_many(request, organization)
        raise Refusal(404, "Not Found")


def _template(path: str) -> str:
    return "/" + "/".join("{id}" if word.isdigit() else word for word in path.strip("/").split("/"))


def _id(word: str) -> int:
    if not word.isdigit():
        raise Refusal(404, "Not Found")
    return int(word)
