"""Talks to the control routes of a stand-in: JSON over plain http on loopback."""

from __future__ import annotations

import json
from http.client import HTTPConnection
from typing import Any
from urllib.parse import quote, urlencode, urlsplit


class ControlRefused(Exception):
    """The stand-in did not accept a control call."""


class ControlClient:
    """Calls control routes; may be used by several threads.

    Plain http.client, since requests and urllib would obey the proxy settings of the environment.
    """

    def __init__(self, base_url: str, *, timeout: float = 30.0) -> None:
        parts = urlsplit(base_url)
        if parts.scheme != "http" or parts.hostname is None or parts.port is None:
            raise ValueError(
                f"A control address looks like http://127.0.0.1:1234, not {base_url!r}."
            )
        self.base_url = base_url.rstrip("/")
        self._host, self._port, self._timeout = parts.hostname, parts.port, timeout

    def call(
        self, method: str, *path: str, body: Any = None, query: dict[str, str] | None = None
    ) -> Any:
        """Call `/_control/<path>` and return the JSON that it answers with."""
        target = "/".join(["/_control", *(quote(part, safe="") for part in path)])
        if query:
            target += "?" + urlencode(query)
        connection = HTTPConnection(self._host, self._port, timeout=self._timeout)
        try:
            connection.request(
                method,
                target,
                body=None if body is None else json.dumps(body),
                headers={} if body is None else {"Content-Type": "application/json"},
            )
            response = connection.getresponse()
            text = response.read().decode("utf-8")
        finally:
            connection.close()
        if response.status >= 300:
            raise ControlRefused(f"{method} {target}: {response.status} {text}")
        return json.loads(text) if text else None
