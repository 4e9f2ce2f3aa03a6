"""Change-notification subscriptions: what may be watched, by whom, and for how long."""

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from infra.local.entra.clock import Clock, iso, iso_seven, parse_iso
from infra.local.entra.graph_errors import GraphError
from infra.local.entra.tokens import AccessToken

_RESOURCE = re.compile(
    r"^(?P<collection>users|groups)(?:/(?P<id>[^/]+)(?:/(?P<relation>members|owners))?)?$", re.I
)
# The scope that the documentation names; wider ones may not be accepted in its place.
SCOPE_OF = {"users": "User.Read.All", "groups": "Group.Read.All"}


@dataclass(slots=True)
class Subscription:
    """One subscription, with the authorization it was last extended with."""

    id: str
    tenant: str
    client_id: str
    creator: str | None
    resource: str
    collection: str
    object_id: str | None
    relation: str | None
    change_types: frozenset[str]
    change_type: str
    notification_url: str
    lifecycle_url: str | None
    client_state: str | None
    expires_at: float
    token_expires_at: float
    tls: str
    query_options: str | None = None
    next_lifecycle_at: float | None = None
    renewed_at: float = 0.0
    reauthorized_at: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Return the resource as Graph shows it."""
        return {
            "id": self.id,
            "resource": self.resource,
            "applicationId": self.client_id,
            "changeType": self.change_type,
            "clientState": self.client_state,
            "notificationUrl": self.notification_url,
            "lifecycleNotificationUrl": self.lifecycle_url,
            "notificationQueryOptions": self.query_options,
            "expirationDateTime": iso(self.expires_at),
            "creatorId": self.creator or self.client_id,
            "includeResourceData": None,
            "latestSupportedTlsVersion": self.tls,
            "encryptionCertificate": None,
            "encryptionCertificateId": None,
            "notificationUrlAppId": None,
        }

    def lifecycle_notice(self, event: str) -> dict[str, Any]:
        """Return a lifecycle notification."""
        return {
            "subscriptionId": self.id,
            "subscriptionExpirationDateTime": iso_seven(self.expires_at),
            "tenantId": self.tenant,
            "clientState": self.client_state,
            "lifecycleEvent": event,
        }


@dataclass(slots=True)
class SubscriptionBook:
    """All subscriptions, by id and by tenant."""

    by_id: dict[str, Subscription] = field(default_factory=dict)
    by_tenant: dict[str, dict[str, Subscription]] = field(default_factory=dict)

    def add(self, subscription: Subscription) -> None:
        """Keep a subscription."""
        self.by_id[subscription.id] = subscription
        self.by_tenant.setdefault(subscription.tenant, {})[subscription.id] = subscription

    def drop(self, subscription_id: str) -> Subscription | None:
        """Forget a subscription; returns it if there was one."""
        subscription = self.by_id.pop(subscription_id, None)
        if subscription is not None:
            self.by_tenant[subscription.tenant].pop(subscription_id, None)
        return subscription

    def drop_expired(self, now: float) -> None:
        """Remove what has run out, as Graph does by itself."""
        for subscription in [s for s in self.by_id.values() if s.expires_at <= now]:
            self.drop(subscription.id)

    def find(self, subscription_id: str, token: AccessToken, now: float) -> Subscription:
        """Return a subscription that this caller may touch, or a 404."""
        subscription = self.by_id.get(subscription_id.lower())
        if subscription is not None and subscription.expires_at <= now:
            self.drop(subscription.id)
            subscription = None
        if subscription is None or not visible(subscription, token):
            raise GraphError(404, "ResourceNotFound", "The object was not found.")
        return subscription

    def clear(self) -> None:
        """Forget everything."""
        self.by_id.clear()
        self.by_tenant.clear()


def visible(subscription: Subscription, token: AccessToken) -> bool:
    """Whether the caller sees it: the app's own, and for a user the user's own."""
    if subscription.tenant != token.tenant or subscription.client_id != token.client_id:
        return False
    return token.user is None or subscription.creator == token.user


def build(
    body: Mapping[str, Any], token: AccessToken, clock: Clock, maximum_minutes: float
) -> Subscription:
    """Check the body of a POST /subscriptions and make the subscription of it."""
    for name in ("changeType", "resource", "notificationUrl", "expirationDateTime"):
        if not isinstance(body.get(name), str) or not body[name]:
            raise _invalid(f"Value cannot be null or empty. Parameter name: {name}")
    resource = str(body["resource"])
    match = _RESOURCE.match(resource.lstrip("/"))
    if match is None:
        raise _invalid(f"Resource '{resource}' is not supported for subscriptions.")
    types = [part.strip().lower() for part in str(body["changeType"]).split(",")]
    for one in types:
        if one not in ("updated", "deleted"):
            raise _invalid(f"ChangeType '{one}' is not supported for this resource.")
    state = body.get("clientState")
    if state is not None and (not isinstance(state, str) or len(state) > 128):
        raise _invalid("clientState must not be longer than 128 characters.")
    if body.get("includeResourceData"):
        raise _invalid("Resource data is not supported for this resource.")
    lifecycle_url = body.get("lifecycleNotificationUrl")
    if lifecycle_url is not None and not isinstance(lifecycle_url, str):
        raise _invalid("lifecycleNotificationUrl must be a string.")
    tls = body.get("latestSupportedTlsVersion") or "v1_2"
    if tls not in ("v1_0", "v1_1", "v1_2", "v1_3"):
        raise _invalid("latestSupportedTlsVersion is not valid.")
    object_id = match["id"]
    return Subscription(
        id=str(uuid.uuid4()),
        tenant=token.tenant,
        client_id=token.client_id,
        creator=token.user,
        resource=resource,
        collection=match["collection"].lower(),
        object_id=object_id.lower() if object_id else None,
        relation=match["relation"].lower() if match["relation"] else None,
        change_types=frozenset(types),
        change_type=str(body["changeType"]),
        notification_url=str(body["notificationUrl"]),
        lifecycle_url=lifecycle_url,
        client_state=state,
        expires_at=read_expiry(body["expirationDateTime"], clock, maximum_minutes),
        token_expires_at=token.expires_at,
        tls=tls,
    )


def read_expiry(text: Any, clock: Clock, maximum_minutes: float) -> float:
    """Read an expirationDateTime and refuse one out of range."""
    try:
        expires_at = parse_iso(str(text))
    except ValueError as error:
        raise _invalid("expirationDateTime is not a date and time.") from error
    now = clock.now()
    if expires_at <= now:
        raise _invalid("Subscription expiration must be in the future.")
    # A minute's grace: the request was on its way.
    if expires_at > now + maximum_minutes * 60 + 60:
        raise _invalid(
            f"Subscription expiration can only be {maximum_minutes:.0f} minutes in the future."
        )
    return expires_at


def _invalid(message: str) -> GraphError:
    return GraphError(400, "InvalidRequest", message)
