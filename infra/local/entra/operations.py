"""The control operations: what a test or demo can do to the world, by name.

Each takes the members of a JSON object and returns something that JSON can say.
"""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

from infra.local.entra import population
from infra.local.entra.apps import App, Consent, Secret
from infra.local.entra.authorize import Outcome
from infra.local.entra.clock import iso, parse_iso
from infra.local.entra.subscriptions import Subscription
from infra.local.entra.world import World

Operation = Callable[..., Any | Awaitable[Any]]


class Operations:
    """Every public method is a control operation of the same name."""

    def __init__(self, world: World) -> None:
        self._world = world

    def find(self, name: str) -> Operation | None:
        """Return the operation, or None for a stranger."""
        if name.startswith("_") or name == "find":
            return None
        operation = getattr(self, name, None)
        return operation if callable(operation) else None

    # The world

    def reset(self) -> None:
        """Empty the world."""
        self._world.reset()

    def switches(self, **values: Any) -> dict[str, Any]:
        """Set switches and return all of them."""
        self._world.switches.change(values)
        self._world.delivery.wake()
        return self._world.switches.as_dict()

    def clock(self, move_seconds: float = 0.0, reset: bool = False) -> dict[str, Any]:
        """Move the clock and tell the time."""
        if reset:
            self._world.clock.reset()
        if move_seconds:
            self._world.clock.move(move_seconds)
        now = self._world.clock.now()
        return {"now": now, "iso": iso(now), "offset": self._world.clock.offset}

    def counters(self, reset: bool = False) -> dict[str, Any]:
        """Return the count of every call, and what became of notifications."""
        book = self._world.book
        value = {
            "calls": dict(book.counts),
            "byTenant": {tenant: dict(counts) for tenant, counts in book.by_tenant.items()},
            "notifications": asdict(self._world.delivery.tally),
        }
        if reset:
            book.reset()
        return value

    def requests(self, last: int = 200, service: str | None = None) -> list[dict[str, Any]]:
        """Return the latest requests, oldest first."""
        entries = list(self._world.book.log)
        if service is not None:
            entries = [entry for entry in entries if entry["service"] == service]
        return entries[-last:]

    def add_fault(self, **values: Any) -> int:
        """Set a fault and return its number."""
        return self._world.faults.add(values).id

    def clear_faults(self, fault_id: int | None = None) -> None:
        """Remove one fault or all."""
        self._world.faults.clear(fault_id)

    def faults(self) -> list[dict[str, Any]]:
        """Return the faults with how often each has hit."""
        return [asdict(fault) for fault in self._world.faults.active]

    # Tenants and apps

    def add_tenant(
        self, domain: str, tenant_id: str | None = None, display_name: str | None = None
    ) -> str:
        """Make a tenant and return its id."""
        return self._world.add_tenant(tenant_id, domain, display_name or domain).id

    def tenants(self) -> list[dict[str, Any]]:
        """Return all tenants with their sizes."""
        return [
            {
                "id": directory.id,
                "domain": directory.domain,
                "displayName": directory.display_name,
                "users": len(directory.user_ids),
                "groups": len(directory.group_ids),
                "changes": directory.head,
            }
            for directory in self._world.tenants.values()
        ]

    def register_app(
        self,
        client_id: str,
        home_tenant: str,
        secrets: list[dict[str, Any]],
        redirect_uris: list[str],
        delegated: list[str],
        roles: list[str],
        multi_tenant: bool = False,
        name: str = "Directory sync",
        consent: bool = True,
    ) -> str:
        """Register an app and, unless told otherwise, consent to it in its home tenant."""
        home = self._world.tenant(home_tenant)
        app = App(
            client_id.lower(),
            home.id,
            name,
            multi_tenant,
            list(redirect_uris),
            [_secret(secret) for secret in secrets],
            set(delegated),
            set(roles),
        )
        if consent:
            app.consents[home.id] = Consent(set(delegated), set(roles))
        self._world.apps[app.client_id] = app
        return app.client_id

    def update_app(
        self,
        client_id: str,
        secrets: list[dict[str, Any]] | None = None,
        redirect_uris: list[str] | None = None,
        disabled: bool | None = None,
        dropped_scopes: list[str] | None = None,
    ) -> None:
        """Change a registration; `dropped_scopes` never make it into a token."""
        app = self._world.app(client_id)
        if secrets is not None:
            app.secrets = [_secret(secret) for secret in secrets]
        if redirect_uris is not None:
            app.redirect_uris = list(redirect_uris)
        if disabled is not None:
            app.disabled = disabled
        if dropped_scopes is not None:
            app.dropped_scopes = set(dropped_scopes)

    def expire_secrets(self, client_id: str) -> None:
        """End every secret of the app now."""
        for secret in self._world.app(client_id).secrets:
            secret.ends_at = self._world.clock.now() - 1

    def set_consent(
        self, client_id: str, tenant: str, delegated: list[str], roles: list[str]
    ) -> None:
        """Set what the tenant has granted to the app."""
        app = self._world.app(client_id)
        app.consents[self._world.tenant(tenant).id] = Consent(set(delegated), set(roles))

    def withdraw_consent(self, client_id: str, tenant: str) -> None:
        """Take back everything the tenant granted; tokens that are out work until they end."""
        self._world.app(client_id).consents.pop(self._world.tenant(tenant).id, None)

    # Signing in

    def sign_in_as(
        self, user: str | None, tenant: str | None = None, home: str | None = None
    ) -> None:
        """Let whoever opens the sign-in page of the tenant be this user, at once; None: a page."""
        at = self._world.tenant(tenant).id if tenant else ""
        if user is None:
            self._world.signs_in_as.pop(at, None)
            return
        directory = self._world.tenant(home or tenant or "")
        self._world.signs_in_as[at] = (directory.id, directory.get(user).id)

    def set_administrator(self, tenant: str, user: str, administrator: bool = True) -> None:
        """Make a user an administrator who may consent for the tenant."""
        user_id = self._world.tenant(tenant).get(user).id
        if administrator:
            self._world.administrators.add(user_id)
        else:
            self._world.administrators.discard(user_id)

    def restrict_user(self, tenant: str, user: str, restricted: bool = True) -> None:
        """Take the user's own right to read the directory: delegated calls get 403."""
        user_id = self._world.tenant(tenant).get(user).id
        if restricted:
            self._world.restricted.add(user_id)
        else:
            self._world.restricted.discard(user_id)

    def sign_in_outcome(
        self,
        tenant: str,
        error: str | None = None,
        description: str = "",
        subcode: str = "",
        count: int | None = None,
    ) -> None:
        """Let the next sign-ins and consents of the tenant end with this error."""
        key = self._world.tenant(tenant).id
        if error is None:
            self._world.sign_in_outcomes.pop(key, None)
            return
        self._world.sign_in_outcomes[key] = Outcome(error, description, subcode, count)

    def revoke_sessions(self, tenant: str, user: str | None = None) -> None:
        """Revoke the refresh tokens of a user, or of everybody."""
        directory = self._world.tenant(tenant)
        now = self._world.clock.now()
        for user_id in [directory.get(user).id] if user else directory.user_ids:
            self._world.revoked_at[(directory.id, user_id)] = now

    def require_mfa(self, tenant: str, required: bool = True) -> None:
        """Demand a second factor of every sign-in made before now."""
        key = self._world.tenant(tenant).id
        if required:
            self._world.mfa_since[key] = self._world.clock.now()
        else:
            self._world.mfa_since.pop(key, None)

    def expire_access_tokens(self, tenant: str | None = None) -> int:
        """End every access token now; returns how many."""
        tokens = self._world.tokens.access
        key = self._world.tenant(tenant).id if tenant else None
        gone = [text for text, token in tokens.items() if key in (None, token.tenant)]
        for text in gone:
            del tokens[text]
        return len(gone)

    # The directory

    def add_user(self, tenant: str, props: dict[str, Any]) -> str:
        """Create a user and return the id."""
        return self._world.tenant(tenant).add_user(self._with_manager(tenant, props)).id

    def update_users(self, tenant: str, users: list[dict[str, Any]]) -> int:
        """Change users, each named by id; returns how many differed."""
        directory = self._world.tenant(tenant)
        changed = 0
        for given in users:
            props = self._with_manager(tenant, given)
            changed += directory.update(props.pop("id"), props)
        return changed

    def add_group(self, tenant: str, props: dict[str, Any], kind: str = "security") -> str:
        """Create a group and return the id."""
        return self._world.tenant(tenant).add_group(props, kind).id

    def update_group(self, tenant: str, group: str, props: dict[str, Any]) -> bool:
        """Change a group."""
        return self._world.tenant(tenant).update(group, props)

    def add_other(self, tenant: str, odata_type: str, props: dict[str, Any]) -> str:
        """Create a device, contact or service principal and return the id."""
        return self._world.tenant(tenant).add_other(odata_type, props).id

    def soft_delete(self, tenant: str, key: str) -> None:
        """Delete a user or group to deletedItems."""
        self._world.tenant(tenant).soft_delete(key)

    def hard_delete(self, tenant: str, key: str) -> None:
        """Remove a user or group for good."""
        self._world.tenant(tenant).hard_delete(key)

    def restore(self, tenant: str, key: str) -> None:
        """Bring a soft-deleted user or group back."""
        self._world.tenant(tenant).restore(key)

    def add_members(self, tenant: str, group: str, members: list[str]) -> int:
        """Add direct members."""
        return self._world.tenant(tenant).add_members(group, members)

    def remove_members(self, tenant: str, group: str, members: list[str]) -> int:
        """Remove direct members."""
        return self._world.tenant(tenant).remove_members(group, members)

    def get(self, tenant: str, key: str) -> dict[str, Any]:
        """Return an object as the directory holds it."""
        entity = self._world.tenant(tenant).get(key)
        value: dict[str, Any] = {
            "id": entity.id,
            "kind": entity.kind,
            "status": entity.status,
            "props": entity.props,
            "memberOf": list(entity.parents),
        }
        if entity.members is not None:
            value["members"] = list(entity.members)
        return value

    def load(self, tenant: str, document: dict[str, Any]) -> dict[str, int]:
        """Take in a whole directory."""
        return population.load(self._world.tenant(tenant), document)

    def generate(self, tenant: str, users: int, ids: bool = False, **plan: Any) -> dict[str, Any]:
        """Make up a directory; user ids are returned only when asked for."""
        now = self._world.clock.now()
        made = population.generate(self._world.tenant(tenant), users, now=now, **plan)
        shown = made["users"] if ids else made["users"][:1]
        return {"userCount": len(made["users"]), "users": shown, "groups": made["groups"]}

    def expire_delta_links(self, tenant: str, answer: str | None = None) -> None:
        """Make every delta link given out so far dead, with this answer."""
        if answer is not None:
            self._world.switches.change({"delta_expiry_answer": answer})
        directory = self._world.tenant(tenant)
        for kind in ("user", "group"):
            self._world.deltas.expire(directory.id, kind, self._world.clock.now())

    def expire_page_tokens(self) -> None:
        """Make every page token of plain lists dead."""
        self._world.listings.clear()

    # Subscriptions and notifications

    def subscriptions(self, tenant: str | None = None) -> list[dict[str, Any]]:
        """Return the subscriptions with what Graph does not show."""
        self._world.subscriptions.drop_expired(self._world.clock.now())
        key = self._world.tenant(tenant).id if tenant else None
        return [
            {
                **subscription.as_json(),
                "tenantId": subscription.tenant,
                "tokenExpiresAt": iso(subscription.token_expires_at),
                "endpointState": self._endpoint_state(subscription),
            }
            for subscription in self._world.subscriptions.by_id.values()
            if key in (None, subscription.tenant)
        ]

    def drop_subscription(self, subscription_id: str) -> bool:
        """Let a subscription vanish without a word."""
        self._world.delivery.forget_subscription(subscription_id)
        return self._world.subscriptions.drop(subscription_id) is not None

    def end_subscription_token(self, subscription_id: str) -> None:
        """Let the token that the subscription was last extended with end now."""
        subscription = self._world.subscriptions.by_id[subscription_id]
        subscription.token_expires_at = self._world.clock.now()

    def send_lifecycle(self, subscription_id: str, event: str) -> None:
        """Send a lifecycle notification."""
        subscription = self._world.subscriptions.by_id[subscription_id]
        self._world.delivery.send_lifecycle(subscription, event)

    async def deliver_now(self) -> dict[str, int]:
        """Deliver everything that waits and wait for the first answers."""
        return await self._world.delivery.deliver_now()

    def lose_notifications(self) -> int:
        """Throw away everything that waits."""
        return self._world.delivery.lose()

    def waiting_notifications(self) -> list[dict[str, Any]]:
        """Return the notifications that wait, with their attempts."""
        return [asdict(parcel) for parcel in self._world.delivery.waiting]

    def _endpoint_state(self, subscription: Subscription) -> str:
        endpoint = self._world.delivery.endpoints.get(subscription.notification_url)
        return endpoint.state(self._world.clock.now()) if endpoint else "ok"

    def _with_manager(self, tenant: str, props: dict[str, Any]) -> dict[str, Any]:
        if not props.get("manager"):
            return dict(props)
        return {**props, "manager": self._world.tenant(tenant).get(str(props["manager"])).id}


def _secret(given: dict[str, Any]) -> Secret:
    ends = given.get("ends")
    secret = Secret(str(given["value"]), ends_at=parse_iso(ends) if ends else None)
    if given.get("id"):
        secret.id = str(given["id"])
    return secret
