"""Faults on demand: what a network and a busy service do to a client.

A fault names the calls it hits, how often, and what happens to them. The important difference is
whether the write has taken place when the client learns nothing: `hang` and `reset` strike
before it, `hang_after`, `reset_after` and `error_after` strike after it.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal, get_args

Kind = Literal[
    "rate_limited",
    "error",
    "error_after",
    "refused_in_200",
    "unauthorized",
    "hang",
    "hang_after",
    "reset",
    "reset_after",
    "truncated",
    "cut_off",
    "slow",
]


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of trouble and the calls it strikes."""

    kind: Kind
    # "PATCH /v2/crm/contacts/{id}", where * stands for anything.
    endpoint: str = "*"
    # Strike this many calls; None: until cleared.
    count: int | None = None
    # Let this many matching calls pass first.
    skip: int = 0
    # Strike each call with this probability.
    rate: float = 1.0
    # slow: delay; hang: how long nothing comes; hang_after: the reply comes this late.
    seconds: float = 120.0
    status: int = 500
    # Seconds for a Retry-After header; None: none is sent.
    retry_after: int | None = None
    # Only calls whose path, query or body hold this text.
    contains: str | None = None


@dataclass(slots=True)
class _Standing:
    id: int
    fault: Fault
    to_skip: int
    left: int | None
    struck: int = 0


class Faults:
    """The faults in force."""

    def __init__(self) -> None:
        self._standing: list[_Standing] = []
        self._last_id = 0
        # Seeded: a run that failed can be run again.
        self._dice = random.Random(7)

    def add(self, values: Mapping[str, Any]) -> int:
        """Put a fault in force and return its id; ValueError says what is wrong with it."""
        try:
            fault = Fault(**values)
        except TypeError as error:
            raise ValueError(str(error)) from error
        if fault.kind not in get_args(Kind):
            raise ValueError(f"there is no fault {fault.kind!r}; known: {get_args(Kind)}")
        self._last_id += 1
        self._standing.append(_Standing(self._last_id, fault, fault.skip, fault.count))
        return self._last_id

    def clear(self, fault_id: int | None = None) -> None:
        """End one fault, or all."""
        self._standing = [
            each for each in self._standing if fault_id is not None and each.id != fault_id
        ]

    def strike(self, endpoint: str, target: str, body: bytes) -> Fault | None:
        """Return the fault that hits this call, and count it."""
        if not self._standing:
            return None
        for each in self._standing:
            if not self._matches(each.fault, endpoint, target, body):
                continue
            if each.to_skip > 0:
                each.to_skip -= 1
                continue
            if each.left == 0 or self._dice.random() >= each.fault.rate:
                continue
            if each.left is not None:
                each.left -= 1
            each.struck += 1
            return each.fault
        return None

    def as_json(self) -> list[dict[str, Any]]:
        """Return the faults with how often each has struck."""
        return [
            {"id": each.id, "struck": each.struck, "left": each.left, **asdict(each.fault)}
            for each in self._standing
        ]

    @staticmethod
    def _matches(fault: Fault, endpoint: str, target: str, body: bytes) -> bool:
        # Route templates hold braces and no brackets, so fnmatch has only * to care about.
        if fault.endpoint != "*" and not fnmatchcase(endpoint.lower(), fault.endpoint.lower()):
            return False
        if fault.contains is None:
            return True
        return fault.contains in target or fault.contains.encode() in body
