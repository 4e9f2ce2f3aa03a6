"""What has to fit before a token is believed (R28), and what travels in the browser's cookie.

MSAL 1.39 does not validate the ID token. It came straight from the token endpoint over TLS, so its
signature adds nothing, but tenant, audience, issuer and nonce are ours to check.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from shared.adapters.signin_transport import json_object
from shared.core.model import Mode
from shared.core.permissions import DELEGATED
from shared.core.signin_trouble import NOT_PROVEN, WRONG_TENANT, Refusal, scopes_missing

SCOPES: Final = DELEGATED
OIDC_SCOPES: Final = ("offline_access", "openid", "profile")


@dataclass(frozen=True, slots=True)
class Bound:
    """What binds a sign-in to one browser. Only the browser holds it."""

    mode: Mode
    state: str
    code_verifier: str = ""
    nonce: str = ""

    def cookie(self) -> str:
        """As a cookie value."""
        body = {"m": self.mode, "s": self.state, "v": self.code_verifier, "n": self.nonce}
        text = json.dumps(body, separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_cookie(cookie: str) -> Bound | None:
    """The inverse; None for anything else."""
    try:
        raw = base64.urlsafe_b64decode(cookie + "=" * (-len(cookie) % 4)).decode()
    except (binascii.Error, ValueError):
        return None
    body = json_object(raw)
    if body.get("m") not in (Mode.DELEGATED, Mode.APPLICATION):
        return None
    return Bound(
        Mode(body["m"]),
        str(body.get("s") or ""),
        str(body.get("v") or ""),
        str(body.get("n") or ""),
    )


def same(one: str, other: str) -> bool:
    """Equal, compared in constant time."""
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode("utf-8", "replace"))


def doubt(
    result: Mapping[str, Any], bound: Bound, *, tenant_id: str, application_id: str, issuer: str
) -> Refusal | None:
    """Why this answer to a redeemed code is not to be believed; None when all fits."""
    claims = result.get("id_token_claims")
    if not isinstance(claims, dict):
        return NOT_PROVEN
    if str(claims.get("tid", "")).lower() != tenant_id:
        return WRONG_TENANT
    nonce = hashlib.sha256(bound.nonce.encode()).hexdigest()
    fits = (
        bool(bound.nonce)
        and str(claims.get("aud", "")).lower() == application_id.lower()
        and str(claims.get("iss", "")) == issuer.replace("{tenantid}", tenant_id)
        and same(str(claims.get("nonce", "")), nonce)
    )
    if not fits:
        return NOT_PROVEN
    lacking = missing_scopes(str(result.get("scope") or ""))
    if lacking:
        return scopes_missing(lacking)
    if not result.get("refresh_token"):
        return scopes_missing(["offline_access"])
    return None


def missing_scopes(granted: str) -> list[str]:
    """Needed scopes that are not in the reply's list, which may write them with a prefix."""
    have = {name.rsplit("/", 1)[-1].lower() for name in granted.split()}
    return [name for name in SCOPES if name.lower() not in have]


def decorated(scopes: Iterable[str]) -> list[str]:
    """As MSAL itself puts them into a flow."""
    return [*scopes, *OIDC_SCOPES]
