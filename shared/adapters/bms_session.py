"""Signing in to BMS v2 and calling it (bms-api.md sections 2 and 3).

What surprises: the sign-in is a form; a failure may come inside a 200 (`success: false`); names are
PascalCase in the vendor's file and camelCase on the wire, so replies are read case-insensitively;
some replies come with an envelope here and without it there.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.adapters.bms_budget import BmsBudget
from shared.adapters.bms_tokens import LIFE_UNKNOWN, SIGN_IN_REFUSED, Token, Tokens
from shared.adapters.http import NO_DELETE, Answer, HttpClient, Patience, Stop, ended
from shared.adapters.http_session import PooledSession
from shared.core.budget import Lane
from shared.core.model import BmsSettings
from shared.errors import Limited, PersonMustAct, Rejected, TryLater
from shared.measures import BMS_CALLS
from shared.ports import BmsSettingsStore, Now, Vault

log = logging.getLogger(__name__)

_RENEW_EARLY = timedelta(minutes=5)
_SETTINGS_FOR = timedelta(seconds=10)
# All tries of one call together stay below two thirds of a claim's life (shared/sync/work.py), so
# that a claim that has run out proves that its worker writes no more.
PATIENCE = Patience(tries=2, seconds=4, read_timeout=20, whole_timeout=30)
_SECURITY_ERROR = 978001  # "token is missing or expired", whatever the status


class Reply(dict[str, Any]):
    """A JSON object whose members are found whatever their case."""

    def __init__(self, members: Mapping[str, Any]) -> None:
        super().__init__({str(name).lower(): value for name, value in members.items()})

    def value(self, name: str, default: Any = None) -> Any:
        """The member, or the default when it is absent or null."""
        found = self.get(name.lower())
        return default if found is None else found

    def text(self, name: str) -> str:
        """The member as text; "" when absent."""
        return str(self.value(name, ""))

    def number(self, name: str) -> int | None:
        """The member as a whole number; None when absent."""
        found = self.value(name)
        return None if found is None else int(found)

    def items_of(self, name: str) -> list[Reply]:
        """The member as a list of objects."""
        return [Reply(one) for one in self.value(name, []) if isinstance(one, Mapping)]


class BmsSession:
    """One signed-in session per process; safe for many threads."""

    def __init__(
        self,
        session: PooledSession,
        store: BmsSettingsStore,
        vault: Vault,
        budget: BmsBudget,
        now: Now,
    ) -> None:
        self._session = session
        self._store = store
        self._now = now
        self._lock = threading.Lock()
        self._tokens = Tokens(vault, now, self._sign_in)
        self._settings: BmsSettings | None = None
        self._settings_at: datetime | None = None
        self._budget = budget
        self._http: HttpClient | None = None

    def settings(self) -> BmsSettings:
        """The settings as saved, read again every ten seconds; PersonMustAct for none."""
        with self._lock:
            now = self._now()
            if (
                self._settings is None
                or self._settings_at is None
                or now - self._settings_at > _SETTINGS_FOR
            ):
                self._settings = self._store.get()
                self._settings_at = now
            if self._settings is None:
                raise PersonMustAct(
                    "BMS is not set up yet.",
                    "Enter the BMS address, tenant, user name and password in the settings.",
                    code="bms-settings",
                )
            return self._settings

    def check(self, settings: BmsSettings, password: str) -> None:
        """Sign in with these settings; PersonMustAct when BMS refuses."""
        self._sign_in(settings, password)
        self._tokens.forget()
        with self._lock:
            self._settings_at = None

    def call(
        self,
        method: str,
        route: str,
        path: str,
        *,
        params: list[tuple[str, str]] | None = None,
        body: object = None,
        repeatable: bool | None = None,
        missing_is_none: bool = False,
        lane: Lane = Lane.FRESH,
    ) -> Reply | None:
        """Call one route; answers the whole envelope. `route` is the template that BMS counts by.

        Raises Rejected with BMS's own words when it refuses, TryLater for passing trouble,
        Uncertain when a write that must not be repeated got no answer.
        """
        settings = self.settings()
        brake = self._budget.meter(f"{method} {route}", lane)
        what = (method, path, params, body, repeatable, brake, lane)
        token = self._tokens.access(settings)
        answer = self._send(settings, token, *what)
        if _token_refused(answer):
            # The token may have been withdrawn before its time: sign in once more, try once more.
            token = self._tokens.access(settings, refused=token)
            answer = self._send(
                settings, token, method, path, params, body, repeatable, brake, lane
            )
        if _token_refused(answer):
            raise PersonMustAct(
                "BMS refuses the token that it has just issued.",
                "Check in BMS that the API user is active and has API access.",
                code=SIGN_IN_REFUSED,
            )
        if answer.status == 404 and missing_is_none:
            if answer.content.lstrip().startswith(b"<"):
                # A page of something in between says nothing about the record (R8).
                raise TryLater("BMS answered 404 with a web page: is its address right?")
            return None
        reply = _parse(answer)
        if not answer.ok or reply.value("success", True) is False:
            error = Reply(reply.value("error", {})) if reply.value("error") else Reply({})
            if missing_is_none and _says_missing(error):
                return None
            if answer.status == 403:
                raise PersonMustAct(
                    f"BMS does not allow this: {_words(error, answer.status)}",
                    "Give the API user's security role the right to view and modify contacts.",
                    code="bms-rights",
                )
            raise Rejected(
                f"BMS refused: {_words(error, answer.status)}",
                "Correct the person in Entra or the account in BMS.",
            )
        return reply

    def _send(
        self,
        settings: BmsSettings,
        token: str,
        method: str,
        path: str,
        params: list[tuple[str, str]] | None,
        body: object,
        repeatable: bool | None,
        brake: Stop,
        lane: Lane,
    ) -> Answer:
        try:
            answer = self._client(settings).request(
                method,
                f"{settings.api_url}{path}",
                headers={"Authorization": f"Bearer {token}"},
                params=dict(params) if params else None,
                json_body=body,
                idempotent=repeatable,
                brake=brake,
            )
        except TryLater as error:
            if not isinstance(error, Limited):  # which is also raised where nothing was sent
                BMS_CALLS.add(1, {"lane": lane.value, "outcome": "failed"})
            raise
        BMS_CALLS.add(1, {"lane": lane.value, "outcome": f"{answer.status // 100}xx"})
        return answer

    def _client(self, settings: BmsSettings) -> HttpClient:
        client = self._http
        if client is None or settings.api_url not in client.origins:
            client = HttpClient(self._session, "BMS", [settings.api_url], NO_DELETE, PATIENCE)
            self._http = client
        return client

    def _sign_in(self, settings: BmsSettings, password: str) -> Token:
        answer = self._client(settings).request(
            "POST",
            f"{settings.api_url}/v2/security/authenticate",
            form={
                "GrantType": "password",
                "UserName": settings.user_name,
                "Password": password,
                "Tenant": settings.tenant,
            },
            idempotent=True,
            brake=self._budget.meter("POST /v2/security/authenticate", Lane.FRESH),
        )
        reply = _parse(answer)
        result = Reply(reply.value("result") or {})
        if not answer.ok or reply.value("success", True) is False or not result.text("accessToken"):
            error = Reply(reply.value("error") or {})
            raise PersonMustAct(
                f"BMS refused the sign-in: {_masked(_words(error, answer.status), password)}",
                "Check tenant, user name and password in the BMS settings. The user must be an API "
                "user whose role has API access.",
                code=SIGN_IN_REFUSED,
            )
        expires = _time(result.text("accessTokenExpireOn")) or self._now() + LIFE_UNKNOWN
        log.info("signed in to BMS until %s", expires.isoformat(timespec="seconds"))
        # The life is not published (bms-api.md 2.3): a short one is not to be renewed at each call.
        early = min(_RENEW_EARLY, (expires - self._now()) / 4)
        return Token(result.text("accessToken"), expires - early, settings.version)


def _token_refused(answer: Answer) -> bool:
    if answer.status == 401:
        return True
    if b"978001" not in answer.content:
        return False  # the common case, without parsing twice
    return Reply(_parse(answer).value("error") or {}).number("code") == _SECURITY_ERROR


def _parse(answer: Answer) -> Reply:
    try:
        body = answer.json()
    except TryLater:
        if answer.status >= 400:
            return Reply({"success": False})
        raise
    return Reply(body) if isinstance(body, Mapping) else Reply({"result": body})


def _words(error: Reply, status: int) -> str:
    """BMS's own words, never its stack trace (bms-api.md 3.2)."""
    words = error.text("details") or error.text("message") or f"HTTP {status}"
    more = [str(one) for one in error.value("subErrors", [])]
    return ended(" ".join([words, *more])[:400])


def _masked(words: str, secret: str) -> str:
    """Should BMS echo what it was sent, nobody reads it (R29)."""
    return words.replace(secret, "…") if secret else words


def _says_missing(error: Reply) -> bool:
    """Whether the contact itself is meant: a refused value names something else that is missing."""
    text = f"{error.text('message')} {error.text('details')}".lower()
    if any(word in text for word in ("location", "account", "type")):
        return False
    return "not found" in text or "does not exist" in text


def _time(text: str) -> datetime | None:
    """BMS's times, with or without a zone; without one they count as UTC (assumed)."""
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
