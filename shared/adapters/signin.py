"""Microsoft sign-in through MSAL (R28–R30): ports.SignIn.

Two modes. Delegated: a person signs in (authorization code with PKCE), the token cache with the
refresh token lives in Key Vault. Application: an administrator consents, tokens are fetched with
the client secret and live in this process only.

Threads that want a token of one connection at the same time wait for one answer.
"""

from __future__ import annotations

import logging
import re
import secrets
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from shared.adapters.http_session import PooledSession
from shared.adapters.signin_msal import Msal, graph_resource, person_must_act, report_refusal
from shared.adapters.signin_proof import (
    SCOPES,
    Bound,
    decorated,
    doubt,
    read_cookie,
    same,
)
from shared.adapters.signin_transport import refused
from shared.config import Settings
from shared.core.model import Connection, ConnectionId, Mode
from shared.core.signin_trouble import (
    APP_UNKNOWN,
    NOT_PROVEN,
    PERMISSIONS,
    SECRET_MISSING,
    TENANT_UNKNOWN,
    WRONG_TENANT,
    Refusal,
)
from shared.errors import PersonMustAct, SyncError, TryLater
from shared.ports import SignedIn, SignInStart, Vault, application_key, token_cache

log = logging.getLogger(__name__)

_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_DOMAIN = re.compile(r"(?=.{1,253}\Z)[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})+", re.IGNORECASE)
_RENEWED_BEFORE = 300.0  # seconds before the end: MSAL's own margin
_FORCED_SHARED = 10.0  # threads that all met one 401 share the token that the first one forced
_FAILURE_SHARED = 2.0  # and the refusal that the first one met
_CONSENT_TRIES = 6  # a fresh consent can take seconds to reach all of Microsoft's servers
_CONSENT_PAUSE = 1.5


@dataclass(slots=True)
class _Held:
    """What this process holds for one connection."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    # (who it is for, token, good until, forced until): replaced as a whole, read without the lock
    grant: tuple[object, str, float, float] | None = None
    failure: tuple[object, SyncError, float] | None = None


class MsalSignIn:
    """Signs connections in and hands out tokens."""

    def __init__(
        self,
        settings: Settings,
        vault: Vault,
        session: PooledSession,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._settings = settings
        self._vault = vault
        self._clock = clock
        self._sleep = sleep
        self._msal = Msal(settings, vault, session, sleep=sleep)
        self._lock = threading.Lock()
        self._held: dict[ConnectionId, _Held] = {}

    # --- Connecting ---------------------------------------------------------------------------

    def tenant_id_of(self, domain: str) -> str:
        """The tenant GUID behind a domain name; PersonMustAct when there is no such tenant."""
        name = domain.strip().lower()
        if not (_DOMAIN.fullmatch(name) or _GUID.fullmatch(name)):
            raise person_must_act(TENANT_UNKNOWN)
        # The endpoints in the metadata hold the GUID, also when asked for by name.
        parts = urlsplit(str(self._msal.metadata(name).get("token_endpoint") or ""))
        tenant = parts.path.strip("/").split("/")[0].lower()
        if not _GUID.fullmatch(tenant):
            raise person_must_act(TENANT_UNKNOWN)
        return tenant

    def begin(self, connection: Connection) -> SignInStart:
        """Where to send the browser; what binds the answer to it goes into the cookie."""
        tenant = self._tenant(connection)
        secret = self._secret(connection)
        state = secrets.token_urlsafe(32)
        if connection.mode is Mode.APPLICATION:
            url = self._consent_url(connection, tenant, state)
            return SignInStart(url, state, Bound(Mode.APPLICATION, state).cookie())
        app = self._msal.app(connection, tenant, secret, None)
        with warnings.catch_warnings():
            # MSAL warns against response_mode=query; the redirect address of this product is a GET.
            warnings.simplefilter("ignore")
            flow = app.initiate_auth_code_flow(
                list(SCOPES),
                redirect_uri=self._settings.redirect_uri,
                state=state,
                prompt="select_account",
                response_mode="query",
            )
        bound = Bound(Mode.DELEGATED, state, flow["code_verifier"], flow["nonce"])
        return SignInStart(str(flow["auth_uri"]), state, bound.cookie())

    def finish(self, connection: Connection, *, cookie: str, query: Mapping[str, str]) -> SignedIn:
        """Redeem the callback (code + PKCE, or admin consent); the tokens go to the vault.

        The returned tenant is proven: by the ID token's tid, or by GET /organization.
        """
        bound = read_cookie(cookie)
        if bound is None or not bound.state or not same(bound.state, query.get("state", "")):
            raise person_must_act(NOT_PROVEN)
        # Before anything else: a declined consent says admin_consent=True as well.
        if query.get("error"):
            report_refusal(connection, query)
            raise refused({name: query.get(name, "") for name in ("error", "error_description")})
        if bound.mode is not connection.mode:
            raise person_must_act(NOT_PROVEN)
        tenant = self._tenant(connection)
        self.forget(connection.id)
        if connection.mode is Mode.APPLICATION:
            return self._finish_consent(connection, tenant)
        return self._finish_code(connection, tenant, bound, query)

    def _finish_code(
        self, connection: Connection, tenant: str, bound: Bound, query: Mapping[str, str]
    ) -> SignedIn:
        if not query.get("code"):
            raise person_must_act(NOT_PROVEN)
        from msal import SerializableTokenCache

        # MSAL writes tokens into the cache before it compares the nonce, so this one is thrown away
        # unless everything fits; only then it goes to the vault.
        cache = SerializableTokenCache()
        app = self._msal.app(connection, tenant, self._secret(connection), cache)
        flow = {
            "state": bound.state,
            "redirect_uri": self._settings.redirect_uri,
            "scope": decorated(SCOPES),
            "code_verifier": bound.code_verifier,
            "nonce": bound.nonce,
            "claims_challenge": None,
        }
        answer = {"code": query["code"], "state": query["state"]}
        try:
            result = app.acquire_token_by_auth_code_flow(flow, answer)
        except (ValueError, RuntimeError, KeyError, TypeError) as error:
            raise person_must_act(
                NOT_PROVEN
            ) from error  # another nonce, or an ID token that is none
        if "access_token" not in result:
            report_refusal(connection, result)
            raise refused(result, otherwise=NOT_PROVEN)
        issuer = str(self._msal.metadata(tenant).get("issuer") or "")
        refusal = doubt(
            result,
            bound,
            tenant_id=tenant,
            application_id=connection.application_id,
            issuer=issuer,
        )
        if refusal is not None:
            raise person_must_act(refusal)
        self._vault.put(token_cache(connection.id), cache.serialize())
        return SignedIn(tenant, str(result["id_token_claims"].get("oid") or ""))

    def _finish_consent(self, connection: Connection, tenant: str) -> SignedIn:
        """The consent's own answer proves nothing: only a token that works does."""
        secret = self._secret(connection)
        trouble: Refusal = PERMISSIONS
        for attempt in range(_CONSENT_TRIES):
            if attempt:
                self._sleep(_CONSENT_PAUSE)
            try:
                token, _ = self._msal.application_token(connection, tenant, secret)
            except PersonMustAct as error:
                if error.code != APP_UNKNOWN.code:
                    raise
                trouble = APP_UNKNOWN
                continue
            answer = self._msal.organization(token)
            if answer.status in (401, 403):  # roles granted a moment ago may not be in force yet
                trouble = PERMISSIONS
                continue
            if not answer.ok:
                raise TryLater(f"Microsoft Graph answered with HTTP {answer.status}.")
            if _organization_id(answer.json()) != tenant:
                raise person_must_act(WRONG_TENANT)
            return SignedIn(tenant)
        raise person_must_act(trouble)

    # --- Tokens -------------------------------------------------------------------------------

    def token(self, connection: Connection, *, fresh: bool = False) -> str:
        """An access token for Graph. `fresh` forces a new one (R31). PersonMustAct when refused."""
        key = _key(connection)
        held = self._held_for(connection.id)
        found = self._usable(held, key, fresh)
        if found is not None:
            return found
        with held.lock:
            found = self._usable(held, key, fresh)
            if found is not None:
                return found
            if held.failure and held.failure[0] == key and self._clock() < held.failure[2]:
                raise held.failure[1]
            try:
                token, seconds = self._obtain(connection, fresh)
            except SyncError as error:
                held.failure = (key, error, self._clock() + _FAILURE_SHARED)
                raise
            now = self._clock()
            good = now + max(seconds - _RENEWED_BEFORE, min(seconds / 2, 60.0))
            held.grant = (key, token, good, now + _FORCED_SHARED if fresh else 0.0)
            held.failure = None
            return token

    def forget(self, connection_id: ConnectionId) -> None:
        """Drop cached tokens in this process (after a changed secret or a deletion)."""
        with self._lock:
            self._held.pop(connection_id, None)

    def _usable(self, held: _Held, key: object, fresh: bool) -> str | None:
        grant = held.grant
        if grant is None or grant[0] != key:
            return None
        return grant[1] if self._clock() < (grant[3] if fresh else grant[2]) else None

    def _held_for(self, connection_id: ConnectionId) -> _Held:
        with self._lock:
            return self._held.setdefault(connection_id, _Held())

    def _obtain(self, connection: Connection, fresh: bool) -> tuple[str, float]:
        tenant = self._tenant(connection)
        read = self._secrets_of(connection)
        try:
            return self._ask(connection, tenant, read, fresh)
        except PersonMustAct:
            # Another instance may have reconnected, or been given a new secret, a minute ago.
            newest = self._secrets_of(connection, fresh=True)
            if newest == read:
                raise
            return self._ask(connection, tenant, newest, fresh)

    def _secrets_of(self, connection: Connection, *, fresh: bool = False) -> tuple[str, str]:
        secret = self._vault.get(application_key(connection.id), fresh=fresh) or ""
        if connection.mode is Mode.APPLICATION:
            return secret, ""
        return secret, self._vault.get(token_cache(connection.id), fresh=fresh) or ""

    def _ask(
        self, connection: Connection, tenant: str, read: tuple[str, str], fresh: bool
    ) -> tuple[str, float]:
        secret, cached = read
        if not secret:
            raise person_must_act(SECRET_MISSING)
        if connection.mode is Mode.APPLICATION:
            return self._msal.application_token(connection, tenant, secret)
        return self._msal.delegated_token(connection, tenant, secret, cached, fresh)

    # --- Shared -------------------------------------------------------------------------------

    def _tenant(self, connection: Connection) -> str:
        return (connection.tenant_id or self.tenant_id_of(connection.tenant_domain)).lower()

    def _secret(self, connection: Connection) -> str:
        secret = self._vault.get(application_key(connection.id))
        if not secret:
            raise person_must_act(SECRET_MISSING)
        return secret

    def _consent_url(self, connection: Connection, tenant: str, state: str) -> str:
        """graph.md 7.7. The metadata names the address that browsers can reach."""
        authorize = str(self._msal.metadata(tenant).get("authorization_endpoint") or "")
        base, found, _ = authorize.partition("/oauth2/v2.0/authorize")
        if not found:
            base = f"{self._settings.login_url}/{tenant}"
        query = {
            "client_id": connection.application_id,
            "scope": f"{graph_resource(self._settings.graph_url)}/.default",
            "redirect_uri": self._settings.redirect_uri,
            "state": state,
        }
        return f"{base}/v2.0/adminconsent?{urlencode(query)}"


def _key(connection: Connection) -> object:
    """Whatever changes here makes held tokens useless; a new Connect is among it."""
    return (
        connection.application_id,
        connection.mode,
        connection.tenant_id,
        connection.connected_at,
    )


def _organization_id(body: Any) -> str:
    rows = body.get("value") if isinstance(body, dict) else None
    first = rows[0] if isinstance(rows, list) and rows else None
    return str(first.get("id") or "").lower() if isinstance(first, dict) else ""
