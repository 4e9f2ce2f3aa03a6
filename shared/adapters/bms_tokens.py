"""One access token of BMS per process, for each of its two APIs.

Each refused sign-in brings the API user closer to a lock-out, so a refusal is believed for a while
and the same password is not sent twice.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from shared.core.model import BmsSettings
from shared.errors import PersonMustAct
from shared.ports import BMS_PASSWORD, Now, Vault

SIGN_IN_REFUSED: Final = "bms-signin"
LIFE_UNKNOWN: Final = timedelta(hours=1)  # bms-api.md 2.3: not published; assumed
_REFUSAL_KEPT: Final = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Token:
    """An access token, and when to get the next one."""

    access: str
    renew_at: datetime
    for_version: str


class Tokens:
    """Keeps the token; safe for many threads, of which one at a time signs in."""

    def __init__(
        self, vault: Vault, now: Now, sign_in: Callable[[BmsSettings, str], Token]
    ) -> None:
        self._vault = vault
        self._now = now
        self._sign_in = sign_in
        self._lock = threading.Lock()
        self._token: Token | None = None
        self._refusal: tuple[str, datetime, PersonMustAct] | None = None

    def access(self, settings: BmsSettings, *, refused: str = "") -> str:
        """The access token; another one than `refused`, which another thread may have replaced."""
        with self._lock:
            token, now = self._token, self._now()
            if (
                token is not None
                and token.for_version == settings.version
                and token.renew_at > now
                and token.access != refused
            ):
                return token.access
            if self._refusal is not None:
                version, until, error = self._refusal
                if version == settings.version and now < until:
                    raise error
            try:
                self._token = self._signed_in(settings)
            except PersonMustAct as error:
                if error.code == SIGN_IN_REFUSED:
                    self._refusal = (settings.version, now + _REFUSAL_KEPT, error)
                raise
            self._refusal = None
            return self._token.access

    def forget(self) -> None:
        """The next call signs in anew, whatever was refused before."""
        with self._lock:
            self._token = None
            self._refusal = None

    def _signed_in(self, settings: BmsSettings) -> Token:
        password = self._vault.get(BMS_PASSWORD) or ""
        try:
            return self._with(settings, password)
        except PersonMustAct as error:
            if error.code != SIGN_IN_REFUSED:
                raise
            # Another instance may have saved a new one a moment ago.
            newer = self._vault.get(BMS_PASSWORD, fresh=True) or ""
            if newer == password:
                raise
            return self._with(settings, newer)

    def _with(self, settings: BmsSettings, password: str) -> Token:
        if not password:
            raise PersonMustAct(
                "The BMS password is missing.",
                "Enter it in the BMS settings.",
                code=SIGN_IN_REFUSED,
            )
        return self._sign_in(settings, password)
