"""Questions to Microsoft's token endpoint, asked through MSAL.

A new MSAL object is made for every question: MSAL repeats a refusal for 60 seconds without asking,
also when somebody has just mended its cause. The text of a refusal is logged as numbers only.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlsplit

from shared.adapters.http import Answer, HttpClient
from shared.adapters.http_session import PooledSession
from shared.adapters.signin_proof import SCOPES
from shared.adapters.signin_transport import MsalTransport, json_object, refused
from shared.config import Settings
from shared.core.model import Connection
from shared.core.signin_trouble import APP_UNKNOWN, RECONNECT, Refusal
from shared.errors import Misconfigured, PersonMustAct, TryLater
from shared.ports import Vault, token_cache

log = logging.getLogger(__name__)


class Msal:
    """Apps, metadata and tokens of one deployment."""

    def __init__(
        self,
        settings: Settings,
        vault: Vault,
        session: PooledSession,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._settings = settings
        self._vault = vault
        self._transport = MsalTransport(
            HttpClient(
                session,
                "Microsoft's sign-in service",
                [settings.login_url],
                frozenset({"GET", "POST"}),
                sleep=sleep,
            )
        )
        self._graph = HttpClient(
            session, "Microsoft Graph", [settings.graph_url], frozenset({"GET"}), sleep=sleep
        )

    def app(self, connection: Connection, tenant: str, secret: str, cache: Any) -> Any:
        """A new MSAL object for the connection's tenant."""
        if not self._settings.login_url.startswith("https://"):
            raise Misconfigured("LOGIN_URL must begin with https://: MSAL accepts nothing else.")
        import msal

        return passing(
            lambda: msal.ConfidentialClientApplication(
                connection.application_id,
                client_credential=secret,
                authority=f"{self._settings.login_url}/{tenant}",
                token_cache=cache,
                http_client=self._transport,
                instance_discovery=False,
            )
        )

    def metadata(self, tenant: str) -> Mapping[str, Any]:
        """The tenant's OpenID configuration; PersonMustAct when there is no such tenant."""
        url = f"{self._settings.login_url}/{quote(tenant)}/v2.0/.well-known/openid-configuration"
        return json_object(self._transport.get(url).text)

    def delegated_token(
        self, connection: Connection, tenant: str, secret: str, cached: str, fresh: bool
    ) -> tuple[str, float]:
        """A token by the cached sign-in, and its seconds; a renewed cache goes to the vault."""
        from msal import SerializableTokenCache

        cache = SerializableTokenCache()
        try:
            cache.deserialize(cached or None)
        except (ValueError, TypeError, AttributeError) as error:
            raise person_must_act(RECONNECT) from error
        app = self.app(connection, tenant, secret, cache)
        accounts = app.get_accounts()
        if not accounts:  # never connected, or the application id has changed since
            raise person_must_act(RECONNECT)
        result = passing(
            lambda: app.acquire_token_silent_with_error(
                list(SCOPES), accounts[0], force_refresh=fresh
            )
        )
        if result is None:
            raise person_must_act(RECONNECT)
        if "access_token" not in result:
            report_refusal(connection, result)
            raise refused(result, otherwise=RECONNECT)
        if cache.has_state_changed:
            try:
                self._vault.put(token_cache(connection.id), cache.serialize())
            except (TryLater, Misconfigured) as error:
                # The token is good, and the refresh token that the vault holds stays valid.
                log.warning("token cache not saved: connection=%s %s", connection.id, error)
        return str(result["access_token"]), float(result.get("expires_in") or 0)

    def application_token(
        self, connection: Connection, tenant: str, secret: str
    ) -> tuple[str, float]:
        """A token by the client secret alone, and its seconds."""
        app = self.app(connection, tenant, secret, None)
        scope = f"{graph_resource(self._settings.graph_url)}/.default"
        result = passing(lambda: app.acquire_token_for_client([scope]))
        if "access_token" not in result:
            report_refusal(connection, result)
            raise refused(result, otherwise=APP_UNKNOWN)
        return str(result["access_token"]), float(result.get("expires_in") or 0)

    def organization(self, token: str) -> Answer:
        """Ask Graph whose token this is."""
        return self._graph.request(
            "GET",
            f"{self._settings.graph_url}/v1.0/organization?$select=id",
            headers={"Authorization": f"Bearer {token}"},
        )


def report_refusal(connection: Connection, answer: Mapping[str, Any]) -> None:
    """Ids and numbers only: the description may name people."""
    numbers = re.findall(r"AADSTS\d+", str(answer.get("error_description") or ""))
    log.warning(
        "sign-in refused: connection=%s error=%s suberror=%s %s trace=%s",
        connection.id,
        _plain(answer.get("error")),
        _plain(answer.get("suberror")),
        " ".join(numbers[:3]),
        _plain(answer.get("trace_id")),
    )


def passing(call: Callable[[], Any]) -> Any:
    """Run a call of MSAL; what it raises for a broken answer is passing trouble."""
    from msal.exceptions import MsalServiceError

    try:
        return call()
    except (MsalServiceError, ValueError, RuntimeError, KeyError) as error:
        raise TryLater(
            "Microsoft's sign-in service sent an answer that MSAL cannot use.",
            timedelta(seconds=30),
        ) from error


def person_must_act(refusal: Refusal) -> PersonMustAct:
    """A refusal as the error to raise."""
    return PersonMustAct(refusal.reason, refusal.next_step, code=refusal.code)


def graph_resource(graph_url: str) -> str:
    """Graph's name as a resource; a stand-in on loopback stands for the real one."""
    host = urlsplit(graph_url).hostname
    if host in ("localhost", "127.0.0.1", "::1"):
        return "https://graph.microsoft.com"
    return graph_url


def _plain(value: object) -> str:
    text = str(value or "-")
    return text if re.fullmatch(r"[\w.:-]{1,80}", text) else "?"
