"""Faults on demand, and a count of what went through.

A fault names the calls that it hits. The text that `contains` looks for may be in the address, in
the body, or in the base64 of a queue message, so that a fault can be meant for one connection's
work alone. What matters most is on which side of the storage's own work a fault strikes: `timeout`
and `reset` before it, `timeout_after` and `reset_after` after it.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

FaultKind = Literal[
    "status",
    "slow",
    "timeout",
    "timeout_after",
    "reset",
    "reset_after",
    "truncated",
    "cut_off",
]
SERVICES = ("blob", "queue", "table")
_MESSAGE = re.compile(rb"<MessageText>([A-Za-z0-9+/=\s]*)</MessageText>")


class BadFault(ValueError):
    """A fault that cannot be used as it was given."""


@dataclass(slots=True)
class Fault:
    """What goes wrong, for which calls, and how often (`times` None: until taken back).

    status: an error answer, nothing done. slow: everything comes so many seconds later. timeout:
    nothing is done and no answer comes; timeout_after: it is done, and no answer comes. reset,
    reset_after: the same with a connection that breaks. truncated: the answer's body is half of
    what it should be; cut_off: the connection breaks in the middle of it.
    """

    kind: FaultKind
    service: str = "*"
    method: str = "*"
    contains: str = ""
    skip: int = 0
    times: int | None = None
    status: int = 503
    code: str = ""
    retry_after: int | None = None
    seconds: float = 3600.0
    id: int = 0
    struck: int = 0

    def matches(self, service: str, method: str, target: str, body: bytes) -> bool:
        """Whether the call is one that this fault is meant for."""
        if self.service not in ("*", service) or self.method not in ("*", method):
            return False
        if not self.contains:
            return True
        wanted = self.contains.encode()
        return wanted in target.encode() or wanted in body or wanted in _messages(body)


class Faults:
    """The faults that are set."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._last_id = 0
        self.calls: Counter[str] = Counter()

    def add(self, values: Mapping[str, Any]) -> int:
        """Set a fault and return its number; BadFault says what is wrong with it."""
        known = {entry.name for entry in fields(Fault)} - {"id", "struck"}
        if unknown := set(values) - known:
            raise BadFault(f"A fault has no {', '.join(sorted(unknown))}.")
        if values.get("kind") not in get_args(FaultKind):
            kinds = ", ".join(get_args(FaultKind))
            raise BadFault(f"A fault is one of {kinds}, not {values.get('kind')!r}.")
        if values.get("service", "*") not in ("*", *SERVICES):
            raise BadFault(f"A service is '*' or one of {', '.join(SERVICES)}.")
        self._last_id += 1
        self._faults.append(Fault(**values, id=self._last_id))
        return self._last_id

    def clear(self, fault_id: int | None = None) -> None:
        """Take back one fault, or all."""
        self._faults = [
            each for each in self._faults if fault_id is not None and each.id != fault_id
        ]

    def take(self, service: str, method: str, target: str, body: bytes) -> Fault | None:
        """The fault that hits this call, counted down."""
        for fault in self._faults:
            if fault.times == 0 or not fault.matches(service, method, target, body):
                continue
            if fault.skip > 0:
                fault.skip -= 1
                continue
            if fault.times is not None:
                fault.times -= 1
            fault.struck += 1
            return fault
        return None

    def as_json(self) -> list[dict[str, Any]]:
        """The faults with how often each has struck."""
        return [asdict(fault) for fault in self._faults]


def _messages(body: bytes) -> bytes:
    """The texts of the queue messages in a body."""
    found: list[bytes] = []
    for match in _MESSAGE.finditer(body):
        try:
            found.append(base64.b64decode(match[1]))
        except binascii.Error:
            continue
    return b"\n".join(found)
