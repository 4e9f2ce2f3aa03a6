"""Who may call the admin API (design section 9).

Two ways in, one per deployment: App Service Authentication with the app role, or `ADMIN_TOKEN`.
The platform's headers are believed only when the platform itself says that its module is on;
without it anybody on the internet can send them.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from dataclasses import dataclass

from shared.config import Settings
from shared.web.http import JSON, Reply, Request, origin_of, problem

_READING = {"GET", "HEAD", "OPTIONS"}
_ROLE_CLAIMS = {"roles", "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"}
_TENANT_CLAIMS = {"tid", "http://schemas.microsoft.com/identity/claims/tenantid"}
_CHALLENGE = (("WWW-Authenticate", 'Bearer realm="directory sync"'),)


@dataclass(frozen=True, slots=True)
class AdminOnly:
    """The check before everything that is not anonymous by design."""

    settings: Settings

    def refusal(self, request: Request) -> Reply | None:
        """None when the admin calls; otherwise the refusal to answer with."""
        if self.settings.platform_auth:
            return self._by_platform(request)
        if self.settings.admin_token:
            return self._by_token(request)
        return problem(
            403,
            "Nobody may use the admin API yet: switch App Service Authentication on, with the app "
            f"role {self.settings.admin_role} (setting ADMIN_ROLE), or set ADMIN_TOKEN.",
        )

    def _by_token(self, request: Request) -> Reply | None:
        scheme, _, given = request.headers.get("authorization", "").strip().partition(" ")
        if scheme.lower() == "bearer" and hmac.compare_digest(
            given.strip().encode(errors="replace"), self.settings.admin_token.encode()
        ):
            return None
        return problem(
            401,
            "This call needs the admin: send the header Authorization: Bearer with the value of "
            "the setting ADMIN_TOKEN.",
            headers=_CHALLENGE,
        )

    def _by_platform(self, request: Request) -> Reply | None:
        principal = _principal(request.headers.get("x-ms-client-principal", ""))
        if principal is None:
            return problem(
                401,
                "This call needs the admin: sign in, or send an Entra access token for this app.",
                headers=_CHALLENGE,
            )
        if self.settings.admin_role not in principal:
            return problem(
                403,
                f"You are signed in, but without the app role {self.settings.admin_role}: have it "
                "assigned to you under Enterprise applications, then sign in again.",
            )
        if request.method not in _READING and not self._from_our_pages(request):
            return problem(
                403,
                "This call changes something and does not come from this app's own pages: send it "
                "from there, or with the header X-Requested-With.",
            )
        return None

    def _from_our_pages(self, request: Request) -> bool:
        """Against cross-site request forgery: the platform signs in by cookie.

        A foreign page can make a browser send a form with that cookie, but it can neither choose
        Sec-Fetch-Site and Origin nor add a header or a JSON type without asking us first (CORS).
        """
        site = request.headers.get("sec-fetch-site")
        if site is not None:
            return site == "same-origin"
        origin = request.headers.get("origin")
        if origin is not None:
            return origin == origin_of(self.settings.public_url)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        return (
            kind == JSON
            or "x-requested-with" in request.headers
            or "authorization" in request.headers
        )


def _principal(header: str) -> set[str] | None:
    """The app roles of whoever signed in; None for nobody (or somebody of no Entra tenant)."""
    if not header:
        return None
    try:
        body = json.loads(base64.b64decode(header))
        claims = [(str(claim["typ"]), str(claim["val"])) for claim in body["claims"]]
        role_claims = _ROLE_CLAIMS | {str(body.get("role_typ") or "roles")}
    except (binascii.Error, ValueError, KeyError, TypeError, AttributeError):
        return None
    if not any(kind in _TENANT_CLAIMS and value for kind, value in claims):
        return None
    return {value for kind, value in claims if kind in role_claims}
