"""The managed identity: tokens as App Service hands them out, and the check that a vault makes.

A token is a JWT in the shape of Microsoft's, signed with a key that lives as long as this process.
Azurite in its `--oauth basic` mode reads the same claims (it wants the issuer sts.windows.net).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from dataclasses import dataclass
from typing import Any

TENANT_ID = "7f1c2a54-3d0e-4b7a-9c35-0d6a1be0c001"
CLIENT_ID = "5b9d7c11-84a2-4f0e-8a1d-2c7e90f4c002"
OBJECT_ID = "e40c6a35-6f6b-4d59-b1f4-91d0a87bc003"
VAULT_RESOURCE = "https://vault.azure.net"
_MOST_REMEMBERED = 1000


class BadToken(Exception):
    """A bearer token that the vault does not accept, with the reason."""


@dataclass(frozen=True)
class IssuedToken:
    """A token and when it ends (seconds since 1970)."""

    text: str
    resource: str
    expires_on: int


class Identity:
    """Issues tokens for resources, and recognises its own."""

    def __init__(self, header: str, *, token_seconds: int = 86_400) -> None:
        self.header = header
        self.token_seconds = token_seconds
        self._key = secrets.token_bytes(32)
        # Verified tokens, so that a busy client costs one dictionary look-up per request.
        self._verified: dict[str, dict[str, Any]] = {}

    def issue(self, resource: str) -> IssuedToken:
        """Make a token for a resource such as https://vault.azure.net."""
        now = int(time.time())
        expires_on = now + self.token_seconds
        claims = {
            "aud": resource,
            "iss": f"https://sts.windows.net/{TENANT_ID}/",
            "iat": now,
            "nbf": now,
            "exp": expires_on,
            "appid": CLIENT_ID,
            "appidacr": "2",
            "idp": f"https://sts.windows.net/{TENANT_ID}/",
            "idtyp": "app",
            "oid": OBJECT_ID,
            "sub": OBJECT_ID,
            "tid": TENANT_ID,
            "uti": secrets.token_urlsafe(16),
            "ver": "1.0",
        }
        signed = f"{_encoded({'typ': 'JWT', 'alg': 'HS256'})}.{_encoded(claims)}"
        return IssuedToken(f"{signed}.{self._signature(signed)}", resource, expires_on)

    def check(self, token: str, resource: str) -> None:
        """Accept a token that was issued here for this resource and has not ended."""
        claims = self._verified.get(token)
        if claims is None:
            signed, _, signature = token.rpartition(".")
            if not hmac.compare_digest(self._signature(signed), signature):
                raise BadToken("AKV10043: The token's signature is invalid.")
            claims = json.loads(base64.urlsafe_b64decode(signed.split(".")[1] + "=="))
            if len(self._verified) >= _MOST_REMEMBERED:
                self._verified.clear()
            self._verified[token] = claims
        if claims["aud"].rstrip("/") != resource:
            raise BadToken(
                f"AKV10022: Invalid audience. Expected {resource}, found: {claims['aud']}."
            )
        if claims["exp"] <= time.time():
            raise BadToken("AKV10046: The token has expired.")

    def forget_issued(self) -> None:
        """Make every token issued so far invalid."""
        self._key = secrets.token_bytes(32)
        self._verified.clear()

    def _signature(self, signed: str) -> str:
        digest = hmac.new(self._key, signed.encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _encoded(part: dict[str, Any]) -> str:
    text = json.dumps(part, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()
