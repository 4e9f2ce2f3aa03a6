"""The pooled session that every outgoing call of this process shares.

Plain `requests`, with four of its habits changed: the proxy and CA environment is read once per
host instead of for every request (as is what kind of file the bundle is), one TLS context per CA
bundle serves all connections (each would otherwise load the whole bundle again), Nagle's algorithm
is off also towards a proxy (urllib3 leaves it on there, which costs 40 ms for every body), and
nothing is remembered between calls: no cookies, no netrc, no redirects.
"""

from __future__ import annotations

import os
import socket
import ssl
import threading
from collections.abc import Mapping
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import certifi
import requests
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies
from urllib3.util.ssl_ import create_urllib3_context

from shared.errors import Misconfigured

POOL = 32
_SOCKET_OPTIONS = [
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
]


class PooledSession(requests.Session):
    """A session for many threads. Honours HTTPS_PROXY, NO_PROXY and REQUESTS_CA_BUNDLE."""

    def __init__(self, pool: int = POOL) -> None:
        super().__init__()
        # requests would read the environment and ~/.netrc again for every single request.
        self.trust_env = False
        # Answers of one tenant must not colour calls for another one.
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._environment: dict[str, tuple[Mapping[str, str], str | bool]] = {}
        adapter = _Adapter(pool)
        self.mount("https://", adapter)
        self.mount("http://", adapter)

    def merge_environment_settings(
        self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any
    ) -> Any:
        """What requests asks for before it sends; the environment's part is kept per host."""
        parts = urlsplit(str(url))
        place = f"{parts.scheme}://{parts.netloc}"
        known = self._environment.get(place)
        if known is None:
            known = self._environment[place] = _from_environment(place)
        environment_proxies, bundle = known
        return {
            "proxies": {**environment_proxies, **(proxies or {})},
            "stream": bool(stream),
            "verify": bundle if verify is None or verify is True else verify,
            "cert": cert,
        }


def _from_environment(place: str) -> tuple[Mapping[str, str], str | bool]:
    bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
    return get_environ_proxies(place), bundle or True


class _Adapter(HTTPAdapter):
    """Connections without Nagle, on TLS contexts that are made once."""

    def __init__(self, pool: int) -> None:
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._places: dict[tuple[Any, ...], tuple[Any, Any]] = {}
        self._lock = threading.Lock()
        super().__init__(pool_connections=16, pool_maxsize=pool)

    def init_poolmanager(
        self, connections: int, maxsize: int, block: bool = False, **pool_kwargs: Any
    ) -> None:
        pool_kwargs["socket_options"] = _SOCKET_OPTIONS
        super().init_poolmanager(connections, maxsize, block, **pool_kwargs)

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> Any:
        proxy_kwargs["socket_options"] = _SOCKET_OPTIONS
        with self._lock:  # two threads at once would each make a manager, and one would be lost
            return super().proxy_manager_for(proxy, **proxy_kwargs)

    def build_connection_pool_key_attributes(
        self, request: Any, verify: Any, cert: Any = None
    ) -> tuple[Any, Any]:
        parts = urlsplit(request.url)
        place = parts.scheme, parts.netloc, verify, cert
        known = self._places.get(place)
        if known is None:
            known = super().build_connection_pool_key_attributes(request, verify, cert)
            if known[0]["scheme"] == "https" and verify and cert is None:
                known = known[0], {"ssl_context": self._context(verify)}
            self._places[place] = known
        # urllib3 takes them apart: whoever asks gets copies.
        return {**known[0]}, {**known[1]}

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        # The context holds the CA certificates already; requests would add them per connection.
        if not verify or cert is not None:
            super().cert_verify(conn, url, verify, cert)  # type: ignore[no-untyped-call]

    def _context(self, verify: str | bool) -> ssl.SSLContext:
        bundle = verify if isinstance(verify, str) else certifi.where()
        with self._lock:
            context = self._contexts.get(bundle)
            if context is None:
                context = self._contexts[bundle] = _trusting(bundle)
            return context


def _trusting(bundle: str) -> ssl.SSLContext:
    context = create_urllib3_context()
    try:
        if os.path.isdir(bundle):
            context.load_verify_locations(capath=bundle)
        else:
            context.load_verify_locations(cafile=bundle)
    except (OSError, ssl.SSLError) as error:
        raise Misconfigured(
            "The certificate bundle that REQUESTS_CA_BUNDLE names cannot be read: "
            "set it to a PEM file of trusted certificates, or remove it."
        ) from error
    return context
