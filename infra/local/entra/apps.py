"""Application registrations, their secrets, and who consented to what."""

import hmac
import uuid
from dataclasses import dataclass, field

# Delegated scopes that a user may consent to without an administrator.
USER_CONSENT = frozenset({"User.Read"})
OIDC_SCOPES = frozenset({"openid", "profile", "email", "offline_access"})
GRAPH_PREFIX = "https://graph.microsoft.com/"
_GRAPH_APP_ID = "00000003-0000-0000-c000-000000000000/"


@dataclass(slots=True)
class Secret:
    """A client secret; the value is what counts, the id is what people paste by mistake."""

    value: str
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    ends_at: float | None = None


@dataclass(slots=True)
class Consent:
    """What a tenant has granted to an app."""

    delegated: set[str] = field(default_factory=set)
    roles: set[str] = field(default_factory=set)


@dataclass(slots=True)
class App:
    """One registration, and the tenants that have taken it in."""

    client_id: str
    home_tenant: str
    name: str
    multi_tenant: bool
    redirect_uris: list[str] = field(default_factory=list)
    secrets: list[Secret] = field(default_factory=list)
    declared_delegated: set[str] = field(default_factory=set)
    declared_roles: set[str] = field(default_factory=set)
    consents: dict[str, Consent] = field(default_factory=dict)
    disabled: bool = False
    dropped_scopes: set[str] = field(default_factory=set)

    def allowed_in(self, tenant: str) -> bool:
        """Whether people of the tenant can meet this app at all."""
        return self.multi_tenant or tenant == self.home_tenant

    def consent(self, tenant: str) -> Consent:
        """Return what the tenant granted; nothing if it never did."""
        return self.consents.get(tenant) or Consent()

    def secret_problem(self, given: str | None, now: float) -> int | None:
        """Return the AADSTS number that a presented secret earns, or None if it is good."""
        if not given:
            return 7000218
        expired = False
        for secret in self.secrets:
            if hmac.compare_digest(secret.value.encode(), given.encode()):
                if secret.ends_at is None or secret.ends_at > now:
                    return None
                expired = True
        return 7000222 if expired else 7000215


def graph_scopes(text: str) -> tuple[list[str], set[str]]:
    """Split a scope parameter into Graph's (bare names, .default too) and OpenID's.

    Raises ValueError when a scope belongs to another resource.
    """
    graph: list[str] = []
    oidc: set[str] = set()
    for part in text.split():
        bare = part
        for prefix in (GRAPH_PREFIX, _GRAPH_APP_ID):
            bare = bare.removeprefix(prefix)
        if bare.lower() in OIDC_SCOPES:
            oidc.add(bare.lower())
        elif "://" in bare:
            raise ValueError(part)
        else:
            graph.append(bare.removeprefix("/"))
    return graph, oidc
