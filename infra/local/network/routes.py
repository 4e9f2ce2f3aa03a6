"""Which names the local network knows, where they lead, and what goes wrong with them on demand."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, get_args

FaultKind = Literal["refuse", "reset", "delay"]
HTTPS_PORT = 443


class BadRoute(ValueError):
    """A route, or a fault, that cannot be used as it was given."""


class Resettable(Protocol):
    """A tunnel, seen from here."""

    def reset(self) -> None: ...


@dataclass
class Fault:
    """What goes wrong with a name's connections, a number of times or until taken back."""

    kind: FaultKind
    times: int | None = None
    seconds: float = 0.0
    after_bytes: int = 0


@dataclass
class Name:
    """One route: a host name (or a wildcard for one label), and the stand-in that it leads to."""

    pattern: str
    host: str
    port: int
    connections: int = 0
    faults: list[Fault] = field(default_factory=list)
    tunnels: set[Resettable] = field(default_factory=set)

    def take(self, kind: FaultKind) -> Fault | None:
        """The fault of this kind that is due, counted down."""
        for fault in self.faults:
            if fault.kind == kind:
                if fault.times is not None:
                    fault.times -= 1
                    if fault.times <= 0:
                        self.faults.remove(fault)
                return fault
        return None

    def resets_now(self, arriving: int) -> bool:
        """Whether the connection breaks with these arriving bytes."""
        for fault in self.faults:
            if fault.kind == "reset":
                if fault.after_bytes >= arriving:
                    fault.after_bytes -= arriving
                    return False
                return self.take("reset") is not None
        return False


class Network:
    """All routes, and a count of what went where."""

    def __init__(self) -> None:
        self._names: dict[str, Name] = {}
        self.refused: Counter[str] = Counter()

    def route(self, pattern: str, target: str) -> None:
        """Lead a name, or `*.` and a domain, to host:port on this machine."""
        host, _, port = target.rpartition(":")
        if host not in ("127.0.0.1", "localhost") or not port.isdigit():
            raise BadRoute(f"A route leads to 127.0.0.1:PORT, not to {target!r}.")
        key = pattern.lower()
        if key in self._names:
            self._names[key].host, self._names[key].port = host, int(port)
        else:
            self._names[key] = Name(key, host, int(port))

    def find(self, target: str) -> Name | None:
        """The route for `name:port` of a CONNECT request."""
        name, _, port = target.lower().rpartition(":")
        # A served name on another port is no service that we know.
        if port != str(HTTPS_PORT):
            return None
        # As in certificates, the wildcard stands for exactly one label.
        return self._names.get(name) or self._names.get("*." + name.partition(".")[2])

    def refuse(self, target: str) -> None:
        """Count a request to a place that the local network does not know."""
        self.refused[target.removesuffix(f":{HTTPS_PORT}")] += 1

    def add_fault(self, wanted: dict[str, Any]) -> None:
        """Add a fault: `{name, kind, times?, seconds?, afterBytes?}`."""
        name = self._names.get(str(wanted.get("name", "")).lower())
        if name is None:
            raise BadRoute(f"There is no route for {wanted.get('name')!r}.")
        kind: Any = wanted.get("kind")
        if kind not in get_args(FaultKind):
            raise BadRoute(f"A fault is one of {', '.join(get_args(FaultKind))}, not {kind!r}.")
        name.faults.append(
            Fault(
                kind,
                wanted.get("times"),
                float(wanted.get("seconds", 0)),
                int(wanted.get("afterBytes", 0)),
            )
        )
        if kind == "refuse":
            # Keep-alive would go on over the tunnels that are open.
            self.cut(name.pattern)

    def clear_faults(self, pattern: str | None = None) -> None:
        """Take back the faults of one name, or all."""
        for name in self._names.values():
            if pattern is None or name.pattern == pattern.lower():
                name.faults.clear()

    def cut(self, pattern: str) -> int:
        """Reset all open tunnels of a name; the answer is how many there were."""
        name = self._names.get(pattern.lower())
        if name is None:
            raise BadRoute(f"There is no route for {pattern!r}.")
        tunnels = list(name.tunnels)
        for tunnel in tunnels:
            tunnel.reset()
        return len(tunnels)

    def state(self) -> dict[str, Any]:
        """Routes, counts and faults, for a person or a test."""
        return {
            "routes": {name.pattern: f"{name.host}:{name.port}" for name in self._names.values()},
            "connections": {
                name.pattern: name.connections for name in self._names.values() if name.connections
            },
            "open": {
                name.pattern: len(name.tunnels) for name in self._names.values() if name.tunnels
            },
            "refused": dict(self.refused),
            "faults": [
                {
                    "name": name.pattern,
                    "kind": fault.kind,
                    "times": fault.times,
                    "seconds": fault.seconds,
                    "afterBytes": fault.after_bytes,
                }
                for name in self._names.values()
                for fault in name.faults
            ],
        }

    def reset_counts(self) -> None:
        """Count from zero again."""
        self.refused.clear()
        for name in self._names.values():
            name.connections = 0
