"""Access and refresh tokens that this service gave out.

The access token looks like a JWT but is not one: clients must not read it.
"""

import base64
import secrets
from dataclasses import dataclass

from infra.local.entra.clock import Clock


@dataclass(slots=True, frozen=True)
class AccessToken:
    """What a bearer token stands for."""

    tenant: str
    client_id: str
    user: str | None  # None: the application itself
    permissions: frozenset[str]
    issued_at: float
    expires_at: float


@dataclass(slots=True, frozen=True)
class RefreshToken:
    """What a refresh token stands for; `signed_in_at` is the interactive sign-in behind it."""

    tenant: str
    client_id: str
    user: str
    scopes: tuple[str, ...]
    signed_in_at: float
    issued_at: float


class TokenBook:
    """All tokens by their text."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.access: dict[str, AccessToken] = {}
        self.refresh: dict[str, RefreshToken] = {}

    def give_access(self, token: AccessToken, length: int) -> str:
        """Keep the token and return its text."""
        if len(self.access) > 50_000:
            now = self._clock.now()
            self.access = {text: t for text, t in self.access.items() if t.expires_at > now}
        text = _text("eyJ0eXAiOiJKV1QiLCJub25jZSI6I", length, dots=True)
        self.access[text] = token
        return text

    def give_refresh(self, token: RefreshToken, length: int) -> str:
        """Keep the token and return its text."""
        text = _text("1.AX", length, dots=False)
        self.refresh[text] = token
        return text

    def clear(self) -> None:
        """Forget every token."""
        self.access.clear()
        self.refresh.clear()


def _text(prefix: str, length: int, dots: bool) -> str:
    noise = base64.urlsafe_b64encode(secrets.token_bytes(max(length, 60))).decode()
    noise = noise.rstrip("=")[: max(length, 60) - len(prefix)]
    if dots:
        noise = f"{noise[:30]}.{noise[31:-20]}.{noise[-19:]}"
    return prefix + noise
