"""Who may open the console, and that a form was sent from one of its pages (design section 9).

Behind App Service Authentication the platform signs people in. Without it the value of ADMIN_TOKEN
is exchanged for a cookie that ends by itself: the moments of its beginning and end under a keyed
hash, so that any instance can check it and none has to remember it. A new ADMIN_TOKEN ends every
session.

Forms carry a token that a cookie repeats, which no foreign page can read or set; and the browser's
own word where a request comes from is heard as well.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from shared.config import Settings
from shared.ports import Now
from shared.web.auth import AdminOnly
from shared.web.http import Reply, Request, cookies_of, origin_of

SESSION, FORM_TOKEN = "console-session", "console-form"
LASTS = timedelta(hours=8)  # without opening a page
AT_MOST = timedelta(hours=24)  # however many pages are opened
_A_DAY = timedelta(days=1)
_SESSION = re.compile(r"(([0-9]{1,11})\.([0-9]{1,11}))\.([0-9a-f]{64})", re.ASCII)
_TOKEN = re.compile(r"[A-Za-z0-9_-]{32}", re.ASCII)
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
        return self._session(request) is not None

    def prolonged(self, request: Request) -> tuple[tuple[str, str], ...]:
        """The header that moves the session's end, once more than half of it is over."""
        session = self._session(request) if self.by_token else None
        if session is None:
            return ()
        began, ends = session
        later = min(self.now() + LASTS, began + AT_MOST)
        if ends - self.now() > LASTS / 2 or later <= ends:
            return ()
        return (self._kept(began, later),)

    def _session(self, request: Request) -> tuple[datetime, datetime] | None:
        """Beginning and end of the session that lasts; None when there is none."""
        found = _SESSION.fullmatch(cookies_of(request).get(SESSION, ""))
        if found is None:
            return None
        moments, proof = found[1], found[4]
        if not hmac.compare_digest(proof, self._proof(moments)):
            return None
        began, ends = (datetime.fromtimestamp(int(one), UTC) for one in (found[2], found[3]))
        return (began, ends) if ends > self.now() else None

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
        return self._kept(self.now(), self.now() + LASTS)

    def _kept(self, began: datetime, ends: datetime) -> tuple[str, str]:
        moments = f"{int(began.timestamp())}.{int(ends.timestamp())}"
        return self.cookie(SESSION, f"{moments}.{self._proof(moments)}", ends - self.now())

    def closed(self) -> tuple[str, str]:
        """The header that closes it."""
        return self.cookie(SESSION, "", timedelta())

    def form_cookie(self, token: str) -> tuple[str, str]:
        """The header that keeps the forms' token.

        Lax: it comes along when a link elsewhere leads here, so that the forms that are open in
        other windows stay valid. It lets nobody in.
        """
        return self.cookie(FORM_TOKEN, token, _A_DAY, same_site="Lax")

    def form_token(self, request: Request) -> str:
        """The token of this browser's forms; empty when it has none yet."""
        found = cookies_of(request).get(FORM_TOKEN, "")
        return found if _TOKEN.fullmatch(found) else ""

    def cookie(
        self, name: str, value: str, lasts: timedelta, *, same_site: str = "Strict"
    ) -> tuple[str, str]:
        """A Set-Cookie header for the console alone, which no other site's form carries."""
        secure = "; Secure" if self.settings.public_url.startswith("https://") else ""
        age = int(lasts.total_seconds())
        return (
            "Set-Cookie",
            f"{name}={value}; Path={_PATH}; Max-Age={age}; HttpOnly; SameSite={same_site}{secure}",
        )

    def from_our_pages(self, request: Request, form_token: str) -> bool:
        """Whether a form was sent by a page of this console (against request forgery)."""
        site = request.headers.get("sec-fetch-site")
        origin = request.headers.get("origin")
        if site is not None and site != "same-origin":
            return False
        if site is None and origin is not None and origin != origin_of(self.settings.public_url):
            return False
        kept = self.form_token(request)
        return bool(kept) and hmac.compare_digest(
            form_token.encode(errors="replace"), kept.encode(errors="replace")
        )

    def _proof(self, moments: str) -> str:
        key = hmac.digest(self.settings.admin_token.encode(), b"console session", "sha256")
        return hmac.new(key, moments.encode(), hashlib.sha256).hexdigest()


def new_form_token() -> str:
    """A token for the forms of one browser."""
    return secrets.token_urlsafe(24)
