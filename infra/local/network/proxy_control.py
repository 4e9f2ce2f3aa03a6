"""Client of the proxy's control routes."""

from __future__ import annotations

from typing import Any

from infra.local.network.control_client import ControlClient
from infra.local.network.routes import FaultKind


class ProxyControl:
    """Watches and disturbs the local network; takes the address of the proxy's control port."""

    def __init__(self, base_url: str) -> None:
        self._client = ControlClient(base_url)

    def state(self) -> dict[str, Any]:
        """Routes, connections, open tunnels, refused names and faults."""
        state: dict[str, Any] = self._client.call("GET", "state")
        return state

    def refused(self) -> dict[str, int]:
        """How often each unknown name was asked for; empty when nothing else was called."""
        return dict(self.state()["refused"])

    def connections(self) -> dict[str, int]:
        """How many connections each route has had."""
        return dict(self.state()["connections"])

    def set_routes(self, routes: dict[str, str]) -> None:
        """Add or change routes: name (or wildcard) → 127.0.0.1:PORT."""
        self._client.call("PUT", "routes", body=routes)

    def add_fault(
        self,
        name: str,
        kind: FaultKind,
        *,
        times: int | None = None,
        seconds: float = 0.0,
        after_bytes: int = 0,
    ) -> None:
        """Let a route's connections fail (`times` of them, or until the faults are cleared).

        refuse: 503 to CONNECT, open tunnels are reset. reset: broken in the middle of an answer,
        after so many bytes. delay: CONNECT is answered so many seconds later.
        """
        body = {"name": name, "kind": kind, "times": times}
        self._client.call(
            "POST", "faults", body={**body, "seconds": seconds, "afterBytes": after_bytes}
        )

    def clear_faults(self, name: str | None = None) -> None:
        """Take back the faults of one route, or all."""
        self._client.call("DELETE", "faults", query=None if name is None else {"name": name})

    def cut(self, name: str) -> int:
        """Reset a route's open tunnels now; the answer is how many there were."""
        cut: int = self._client.call("POST", "cut", body={"name": name})["cut"]
        return cut

    def reset_counts(self) -> None:
        """Count from zero again."""
        self._client.call("DELETE", "counts")
