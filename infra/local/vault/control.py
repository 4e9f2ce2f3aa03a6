"""Client of the vault stand-in's control routes."""

from __future__ import annotations

from typing import Any

from infra.local.network.control_client import ControlClient
from infra.local.vault.faults import FaultKind


class VaultControl:
    """Looks into the vault stand-in and disturbs it; takes the address of its plain port.

    `vault` names one of several vaults by its host name; without it the local world's own is meant.
    """

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url.rstrip("/")
        self._client = ControlClient(base_url)

    def secrets(self, vault: str | None = None) -> dict[str, str]:
        """Name → newest value of every secret that is not deleted."""
        return dict(self._client.call("GET", "secrets", query=_of(vault)))

    def deleted(self, vault: str | None = None) -> dict[str, str]:
        """Name → newest value of every secret that is deleted but not purged."""
        return dict(self._client.call("GET", "deleted", query=_of(vault)))

    def versions(self, name: str, vault: str | None = None) -> list[dict[str, Any]]:
        """All versions of a secret, oldest first: version, value, enabled."""
        return list(self._client.call("GET", "secrets", name, "versions", query=_of(vault)))

    def set_secret(self, name: str, value: str, vault: str | None = None, **more: Any) -> str:
        """Write a version from outside (`contentType`, `tags`, `attributes` as in the API)."""
        body = {"value": value, **more}
        made = self._client.call("PUT", "secrets", name, body=body, query=_of(vault))
        return str(made["version"])

    def fill(self, count: int, vault: str | None = None) -> None:
        """Add secrets named scale-000000 and on."""
        self._client.call("POST", "fill", body={"count": count}, query=_of(vault))

    def add_fault(
        self,
        kind: FaultKind,
        *,
        route: str = "*",
        secret: str | None = None,
        status: int = 500,
        seconds: float = 0.0,
        retry_after: int | None = None,
        times: int | None = None,
    ) -> int:
        """Let calls fail: `times` of them, or until the faults are cleared; answers its number.

        status: answer with `status` (429, 500, 503, 403) and maybe Retry-After. timeout: never
        answer. slow: answer `seconds` later. reset: break the connection, nothing done. lost: do
        it, then break the connection; unheard: do it and never answer. truncated, cut_off: half an
        answer, as if it were whole or with the connection broken. `route` is a method and
        template, such as `PUT /secrets/{name}` or `GET /msi/token`; `secret` narrows it to one
        name.
        """
        body: dict[str, Any] = {"kind": kind, "route": route, "secret": secret, "status": status}
        body |= {"seconds": seconds, "retryAfter": retry_after, "times": times}
        return int(self._client.call("POST", "faults", body=body)["id"])

    def faults(self) -> list[dict[str, Any]]:
        """The faults that are still to come."""
        return list(self._client.call("GET", "faults"))

    def clear_faults(self, fault_id: int | None = None) -> None:
        """Take back one fault, or all."""
        query = None if fault_id is None else {"id": str(fault_id)}
        self._client.call("DELETE", "faults", query=query)

    def calls(self) -> dict[str, int]:
        """Calls per method and route template, the SDK's first one without a token included."""
        return dict(self._client.call("GET", "counters")["calls"])

    def statuses(self) -> dict[str, int]:
        """Calls per method, route template and answered status: `GET /secrets/{name} 200`."""
        return dict(self._client.call("GET", "counters")["statuses"])

    def reset_counts(self) -> None:
        """Count from zero again and empty the log."""
        self._client.call("DELETE", "counters")

    def log(self) -> list[dict[str, Any]]:
        """The latest calls, oldest first: time, method, path, status."""
        return list(self._client.call("GET", "log"))

    def switch(self, **switches: Any) -> dict[str, Any]:
        """Set deletion_seconds, recovery_seconds, purge_protection, page_size, token_seconds."""
        return dict(self._client.call("PUT", "switches", body=switches))

    def forget_tokens(self) -> None:
        """Make every token issued so far invalid."""
        self._client.call("POST", "tokens", "forget")

    def reset(self) -> None:
        """Empty all vaults, faults, counters and the log."""
        self._client.call("POST", "reset")


def _of(vault: str | None) -> dict[str, str] | None:
    return None if vault is None else {"vault": vault}
