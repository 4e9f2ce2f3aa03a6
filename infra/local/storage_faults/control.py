"""Client of the storage proxy's control routes."""

from __future__ import annotations

from typing import Any

from infra.local.network.control_client import ControlClient
from infra.local.storage_faults.faults import FaultKind


class StorageControl:
    """Disturbs the storage; takes the address of the control port."""

    def __init__(self, base_url: str) -> None:
        self._client = ControlClient(base_url)

    def add_fault(self, kind: FaultKind, service: str = "*", **more: Any) -> int:
        """Set a fault (see faults.py) and return its number."""
        fault = {"kind": kind, "service": service, **more}
        return int(self._client.call("POST", "faults", body=fault)["id"])

    def faults(self) -> list[dict[str, Any]]:
        """The faults with how often each has struck."""
        return list(self._client.call("GET", "faults"))

    def clear_faults(self, fault_id: int | None = None) -> None:
        """Take back one fault, or all."""
        query = None if fault_id is None else {"id": str(fault_id)}
        self._client.call("DELETE", "faults", query=query)

    def calls(self) -> dict[str, int]:
        """Calls per service and method: `table GET`."""
        return dict(self._client.call("GET", "counters")["calls"])

    def reset_counts(self) -> None:
        """Count from zero again."""
        self._client.call("DELETE", "counters")
