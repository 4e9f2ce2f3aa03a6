"""Who may open the console, and that a form was sent from one of its pages (design section 9).

Behind App Service Authentication the platform signs people in. Without it the value of ADMIN_TOKEN
is exchanged for a cookie that ends by itself: the moment of its end under a keyed hash, so that
any instance can check it and none has to remember it. A new ADMIN_TOKEN ends every session.

Forms carry a token that a cookie repeats, which no foreign page can read or set; and the browser's
own word where a request comes from is heard as well.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from shared.config import Settings
from shared.ports import Now
from shared.web.auth import AdminOnly
from shared.web.http import Reply, Request, origin_of

SESSION, FORM_TOKEN = "console-session", "console-form"
LASTS = timedelta(hours=8)
_PATH = "/console"


@dataclass(frozen=True, slots=True)
class Doors:
    """The console's door."""

    settings: Settings
    admin_only: AdminOnly
    now: Now

    @property
    def by_token(self) -> bool:
        """Whether people sign in here, with the token, and can sign out."""
        return bool(self.settings.admin_token) and not self.settings.platform_auth

    def is_open(self, request: Request) -> bool:
        """Whether this browser is signed in with the token."""
        ends, _, proof = cookies_of(request).get(SESSION, "").partition(".")
        if not (ends.isascii() and ends.isdecimal() and len(ends) < 16):
            return False
        right = hmac.compare_digest(proof.encode(errors="replace"), self._proof(ends).encode())
        return right and int(ends) > self.now().timestamp()

    def refusal(self, request: Request) -> Reply | None:
        """The platform's way in, as for the admin API; None when the admin asks."""
        return self.admin_only.refusal(request)

    def fits(self, token: str) -> bool:
        """Whether this is the admin token."""
        return hmac.compare_digest(
            token.strip().encode(errors="replace"), self.settings.admin_token.encode()
        )

    def opened(self) -> tuple[str, str]:
        """The header that keeps the door open for this browser."""
        ends = str(int((self.now() + LASTS).timestamp()))
        return self.cookie(SESSION, f"{ends}.{self._proof(ends)}", LASTS)

    def closed(self) -> tuple[str, str]:
        """The header that closes it."""
        return self.cookie(SESSION, "", timedelta())

    def cookie(self, name: str, value: str, lasts: timedelta) -> tuple[str, str]:
        """A Set-Cookie header for the console alone, which no other site's request carries."""
        secure = "; Secure" if self.settings.public_url.startswith("https://") else ""
        age = int(lasts.total_seconds())
        return (
            "Set-Cookie",
            f"{name}={value}; Path={_PATH}; Max-Age={age}; HttpOnly; SameSite=Strict{secure}",
        )

    def from_our_pages(self, request: Request, form_token: str) -> bool:
        """Whether a form was sent by a page of this console (against request forgery)."""
        site = request.headers.get("sec-fetch-site")
        origin = request.headers.get("origin")
        if site is not None and site != "same-origin":
            return False
        if site is None and origin is not None and origin != origin_of(self.settings.public_url):
            return False
        kept = cookies_of(request).get(FORM_TOKEN, "")
        return bool(kept) and hmac.compare_digest(
            form_token.encode(errors="replace"), kept.encode(errors="replace")
        )

    def _proof(self, ends: str) -> str:
        key = hmac.digest(self.settings.admin_token.encode(), b"console session", "sha256")
        return hmac.new(key, ends.encode(), hashlib.sha256).hexdigest()


def new_form_token() -> str:
    """A token for the forms of one browser."""
    return secrets.token_urlsafe(24)


def cookies_of(request: Request) -> Mapping[str, str]:
    """The cookies that came along."""
    pairs = (part.partition("=") for part in request.headers.get("cookie", "").split(";"))
    return {name.strip(): value.strip() for name, _, value in pairs}
