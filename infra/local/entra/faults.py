"""Faults on demand: which call is hit, how, and for how long.

A fault matches calls by service, method, route template and tenant. Parts of a batch are calls
of their own, so a 429 can be placed inside a batch.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from infra.local.entra.graph_errors import GraphError
from infra.local.entra.throttle import retry_after_text

# truncate: the connection ends in the middle of the body; short: half a body, as if it were whole.
KINDS = ("status", "slow", "timeout", "reset", "truncate", "short", "aadsts")
_CODES = {
    400: "BadRequest",
    401: "InvalidAuthenticationToken",
    403: "Authorization_RequestDenied",
    404: "Request_ResourceNotFound",
    429: "TooManyRequests",
    500: "InternalServerError",
    502: "BadGateway",
    503: "ServiceUnavailable",
    504: "UnknownError",
}


@dataclass(slots=True)
class Fault:
    """One fault; `count` None means until it is cleared."""

    kind: str = "status"
    service: str = "graph"  # or "login"
    method: str = "*"
    route: str = "*"  # a route template such as /users/{id}, or * at its end for a prefix
    tenant: str = "*"
    path_contains: str = ""
    in_batch: bool | None = None  # None: both parts of batches and calls of their own
    after: int = 0  # so many matching calls go through first
    count: int | None = None
    rate: float = 1.0
    status: int = 503
    code: str = ""
    message: str = "Injected fault."
    retry_after: float | None = None
    retry_after_form: str = "int"  # or "float", "date"
    seconds: float = 30.0  # for slow and timeout
    after_work: bool = False  # the call is carried out, only its reply is lost
    aadsts: int = 50173
    body: str | None = None  # sent instead of Graph's error body
    id: int = 0
    hits: int = 0

    def matches(
        self, service: str, method: str, route: str, tenant: str, path: str, in_batch: bool
    ) -> bool:
        """Whether the call is one that this fault is meant for."""
        if self.service != service or self.method not in ("*", method):
            return False
        if self.tenant not in ("*", tenant) or self.path_contains not in path:
            return False
        if self.in_batch is not None and self.in_batch != in_batch:
            return False
        if self.route.endswith("*"):
            return route.startswith(self.route[:-1])
        return self.route == route

    def as_error(self) -> GraphError:
        """Return the error reply of a status fault."""
        headers = {}
        if self.retry_after is not None:
            headers["Retry-After"] = retry_after_text(self.retry_after_form, self.retry_after)
        code = self.code or _CODES.get(self.status, "UnknownError")
        return GraphError(self.status, code, self.message, headers)


class Faults:
    """The faults that are set."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._random = random.Random(seed)
        self._next_id = 1
        self.active: list[Fault] = []

    def add(self, values: Mapping[str, Any]) -> Fault:
        """Set a fault; unknown members are refused."""
        known = {entry.name for entry in fields(Fault)} - {"id", "hits"}
        unknown = set(values) - known
        if unknown:
            raise ValueError(f"A fault has no {', '.join(sorted(unknown))}.")
        fault = Fault(**values)
        if fault.kind not in KINDS:
            raise ValueError(f"The kind of a fault is one of {', '.join(KINDS)}.")
        fault.id = self._next_id
        self._next_id += 1
        self.active.append(fault)
        return fault

    def clear(self, fault_id: int | None = None) -> None:
        """Remove one fault, or all."""
        if fault_id is None:
            self.active.clear()
            self._random = random.Random(self._seed)
        else:
            self.active = [fault for fault in self.active if fault.id != fault_id]

    def pick(
        self, service: str, method: str, route: str, tenant: str, path: str, in_batch: bool
    ) -> Fault | None:
        """Return the fault that hits this call, or None."""
        for fault in self.active:
            if not fault.matches(service, method, route, tenant, path, in_batch):
                continue
            if fault.after > 0:
                fault.after -= 1
                continue
            if fault.count is not None and fault.hits >= fault.count:
                continue
            if fault.rate < 1.0 and self._random.random() >= fault.rate:
                continue
            fault.hits += 1
            return fault
        return None
