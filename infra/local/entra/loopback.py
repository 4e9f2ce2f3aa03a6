"""A requests session for which Microsoft's hosts are the stand-in's plain loopback port.

msal accepts https addresses only. With this session it keeps them, and so do all links in
replies; only the way there is another one.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import requests
from requests.adapters import HTTPAdapter

LOGIN = "https://login.microsoftonline.com"
GRAPH = "https://graph.microsoft.com"


class Loopback(HTTPAdapter):
    """Sends every request to one loopback address, with the Host it was meant for."""

    def __init__(self, base_url: str) -> None:
        self._base = urlsplit(base_url)
        super().__init__()

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: float | tuple[float, float] | tuple[float, None] | None = None,
        verify: bool | str = True,
        cert: bytes | str | tuple[bytes | str, bytes | str] | None = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Send the request to the loopback address."""
        parts = urlsplit(request.url or "")
        request.headers["Host"] = str(parts.netloc)
        request.url = urlunsplit(
            (
                self._base.scheme,
                self._base.netloc,
                str(parts.path),
                str(parts.query),
                str(parts.fragment),
            )
        )
        return super().send(request, stream, timeout, verify, cert, proxies)


def session(base_url: str) -> requests.Session:
    """Return a session for which both hosts are the stand-in."""
    made = requests.Session()
    made.trust_env = False
    for host in (LOGIN, GRAPH):
        made.mount(f"{host}/", Loopback(base_url))
    return made


def application_token(client: requests.Session, tenant: str, client_id: str, secret: str) -> str:
    """Return an access token of the application itself."""
    reply = client.post(
        f"{LOGIN}/{tenant}/oauth2/v2.0/token",
        data={
            "client_id": client_id,
            "client_secret": secret,
            "grant_type": "client_credentials",
            "scope": f"{GRAPH}/.default",
        },
        timeout=30,
    )
    values: dict[str, Any] = reply.json()
    if "access_token" not in values:
        raise ValueError(str(values))
    return str(values["access_token"])
