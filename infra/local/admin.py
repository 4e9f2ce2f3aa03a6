"""A technician's hands: the admin API and the browser of the connect flow, as a client.

Used by the demo and by the stories; it knows the addresses of design section 6 and nothing of what
is behind them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from http.cookiejar import DefaultCookiePolicy
from typing import Any, TypeVar
from urllib.parse import urljoin

import requests

_T = TypeVar("_T")


class Refused(RuntimeError):
    """The admin API answered with a problem."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        super().__init__(f"{status}: {problem.get('detail', problem)}")
        self.status = status
        self.problem = dict(problem)


class Admin:
    """Calls the admin API of one app."""

    def __init__(self, base_url: str, token: str, *, proxy: str = "", ca_bundle: str = "") -> None:
        self.base_url = base_url.rstrip("/")
        self._api = requests.Session()
        self._api.trust_env = False
        self._api.headers["Authorization"] = f"Bearer {token}"
        # Cookies of the connect flow are the browser's; hundreds of flows' would not fit a header.
        self._api.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
        self._proxy = proxy
        self._ca_bundle = ca_bundle

    def call(self, method: str, path: str, body: Any = None, **query: str) -> Any:
        """One call; Refused when it is not a success."""
        reply = self._api.request(
            method, f"{self.base_url}{path}", json=body, params=query or None, timeout=60
        )
        value = reply.json() if reply.content else None
        if reply.status_code >= 400:
            raise Refused(reply.status_code, value if isinstance(value, dict) else {})
        return value

    def text(self, path: str) -> str:
        """A reply that is no JSON."""
        reply = self._api.get(f"{self.base_url}{path}", timeout=60)
        if reply.status_code >= 400:
            raise Refused(reply.status_code, {})
        return reply.content.decode("utf-8")

    def items(self, path: str, **query: str) -> list[dict[str, Any]]:
        """Every item of a list, page by page."""
        found: list[dict[str, Any]] = []
        cursor = None
        while True:
            more: dict[str, str] = {"cursor": cursor} if cursor else {}
            page = self.call("GET", path, **query, **more)
            found.extend(page["items"])
            cursor = page.get("nextCursor")
            if not cursor:
                return found

    def connect(self, connection_id: str) -> requests.Response:
        """Do what a person's browser does: sign in at Microsoft and come back."""
        start = self._api.post(
            f"{self.base_url}/api/connections/{connection_id}/connect", timeout=60
        )
        if start.status_code >= 400:
            raise Refused(start.status_code, start.json())
        browser = requests.Session()
        browser.trust_env = False
        browser.proxies = {"https": self._proxy} if self._proxy else {}
        browser.verify = self._ca_bundle or True
        browser.cookies.update(start.cookies)
        address = str(start.json()["authorizeUrl"])
        for _ in range(10):
            reply = browser.get(address, allow_redirects=False, timeout=30)
            if reply.status_code not in (301, 302, 303, 307):
                return reply
            address = urljoin(address, reply.headers["Location"])
        raise RuntimeError("The sign-in went round in circles.")

    def sync(self, connection_id: str, kind: str = "full", timeout: float = 300) -> dict[str, Any]:
        """Order a sync and wait for its end."""
        order = self.call("POST", f"/api/connections/{connection_id}/sync", {"kind": kind})
        return self.finished(order["syncId"], timeout)

    def finished(self, sync_id: str, timeout: float = 300) -> dict[str, Any]:
        """Wait until a sync is done or failed."""

        def ended() -> dict[str, Any] | None:
            run: dict[str, Any] = self.call("GET", f"/api/syncs/{sync_id}")
            return run if run["state"] in ("done", "failed") else None

        return wait_for(ended, timeout, what=f"the end of sync {sync_id}")


def wait_for(
    look: Callable[[], _T | None], timeout: float = 30, *, what: str = "it", every: float = 0.1
) -> _T:
    """Look again and again until there is an answer; TimeoutError when there is none in time."""
    until = time.monotonic() + timeout
    while True:
        value = look()
        if value:
            return value
        if time.monotonic() > until:
            raise TimeoutError(f"{what} did not come within {timeout:g} s")
        time.sleep(every)
