"""Signing in: credentials, one-time codes and the tokens that come of them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import struct
from dataclasses import dataclass
from typing import Literal

from infra.local.bms.first_lists import API_USER_ID
from infra.local.bms.refusals import NotSignedIn, SignInRefused
from infra.local.bms.switches import Switches


@dataclass(frozen=True, slots=True)
class Credentials:
    """The one user who may sign in."""

    tenant: str = "Northwind MSP"
    user: str = "directory.sync"
    password: str = "correct horse battery staple"
    # A fixed one-time code, or a base32 secret that yields changing ones; None: no MFA.
    mfa_code: str | None = None
    mfa_secret: str | None = None
    user_id: int = API_USER_ID


@dataclass(frozen=True, slots=True)
class Pair:
    """An access token and the refresh token that renews it."""

    access: str
    refresh: str
    access_expires: float
    refresh_expires: float


class Tokens:
    """The tokens that are good at the moment."""

    def __init__(self, credentials: Credentials) -> None:
        self.credentials = credentials
        self._good: dict[str, tuple[Literal["v1", "v2"], float]] = {}
        self._refresh: dict[str, float] = {}

    def sign_in(self, form: dict[str, str], now: float) -> None:
        """Check tenant, user, password and one-time code, or raise SignInRefused."""
        expected = self.credentials
        given = (form.get("tenant", ""), form.get("username", ""), form.get("password", ""))
        # The tenant is taken as case-sensitive, blanks and all; the user name is not.
        if (given[0], given[1].lower(), given[2]) != (
            expected.tenant,
            expected.user.lower(),
            expected.password,
        ):
            raise SignInRefused("The tenant, user name or password is wrong.")
        if expected.mfa_code is None and expected.mfa_secret is None:
            return
        code = form.get("mfacode", "")
        good = [expected.mfa_code] if expected.mfa_code else []
        if expected.mfa_secret:
            # One step of 30 s back and forth, for clocks that differ.
            good += [one_time_code(expected.mfa_secret, now + 30 * step) for step in (-1, 0, 1)]
        if code not in good:
            raise SignInRefused("A current one-time code is needed.")

    def issue(self, switches: Switches, now: float) -> Pair:
        """Make a new pair of v2 tokens."""
        pair = Pair(
            access=_token("v2"),
            refresh=secrets.token_urlsafe(24),
            access_expires=now + switches.access_token_seconds,
            refresh_expires=now + switches.refresh_token_seconds,
        )
        self._good[pair.access] = ("v2", pair.access_expires)
        self._refresh[pair.refresh] = pair.refresh_expires
        return pair

    def renew(self, refresh: str, switches: Switches, now: float) -> Pair:
        """Swap a refresh token for a new pair; it works once."""
        if self._refresh.pop(refresh, 0.0) <= now:
            raise SignInRefused("The refresh token is unknown or expired.")
        return self.issue(switches, now)

    def issue_v1(self, switches: Switches, now: float) -> str:
        """Make a v1 token."""
        token = _token("v1")
        self._good[token] = ("v1", now + switches.v1_token_seconds)
        return token

    def check(
        self, authorization: str, version: Literal["v1", "v2"], switches: Switches, now: float
    ) -> None:
        """Raise NotSignedIn unless the header carries a good token of this API version."""
        scheme, _, token = authorization.partition(" ")
        held = self._good.get(token.strip())
        fits = held is not None and (switches.tokens_interchangeable or held[0] == version)
        if scheme.lower() != "bearer" or held is None or not fits or held[1] <= now:
            raise NotSignedIn("The token is missing, unknown or expired.")

    def invalidate(self, refresh_too: bool) -> None:
        """Make every access token worthless at once."""
        self._good.clear()
        if refresh_too:
            self._refresh.clear()


def one_time_code(secret: str, now: float) -> str:
    """Return the six digits of RFC 6238 for a base32 secret."""
    padded = secret.replace(" ", "").upper()
    key = base64.b32decode(padded + "=" * (-len(padded) % 8))
    mac = hmac.new(key, struct.pack(">Q", int(now) // 30), hashlib.sha1).digest()
    place = mac[-1] & 0x0F
    number = int.from_bytes(mac[place : place + 4], "big") & 0x7FFFFFFF
    return f"{number % 1_000_000:06d}"


def _token(version: str) -> str:
    # Shaped like a JWT, as the file declares; nobody is to read what is in it.
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').decode().rstrip("=")
    return f"{head}.{version}-{secrets.token_urlsafe(24)}.{secrets.token_urlsafe(16)}"
