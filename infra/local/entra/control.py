"""Client of the stand-in's control API, for tests and demos. Synchronous, typed, no proxies.

with running() as entra:
    tenant = entra.add_tenant("contoso.test")
    entra.add_user(tenant, "ada@contoso.test", displayName="Ada")
"""

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import requests

_ROOT = Path(__file__).resolve().parents[3]
DELEGATED_SCOPES = ("Directory.Read.All", "Group.Read.All", "User.Read", "User.Read.All")
APPLICATION_ROLES = ("Directory.Read.All", "Group.Read.All", "User.Read.All")


class ControlError(RuntimeError):
    """The stand-in refused a control operation; the text says why."""


class EntraControl:
    """Changes and looks into one running stand-in."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url.rstrip("/")
        self._session = requests.Session()
        self._session.trust_env = False

    def call(self, operation: str, **arguments: Any) -> Any:
        """Carry out one control operation by name."""
        reply = self._session.post(
            f"{self.base_url}/_control/{operation}", json=arguments, timeout=120
        )
        value = reply.json()
        if reply.status_code != 200:
            raise ControlError(value.get("error", reply.text))
        return value["result"]

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    # The world

    def reset(self) -> None:
        """Empty the world: no tenants, default switches, real time."""
        self.call("reset")

    def switch(self, **values: Any) -> dict[str, Any]:
        """Set switches (see switches.py) and return all of them."""
        return cast(dict[str, Any], self.call("switches", **values))

    def move_clock(self, seconds: float = 0, *, minutes: float = 0, days: float = 0) -> float:
        """Move the stand-in's clock and return its time."""
        move = seconds + minutes * 60 + days * 86_400
        return float(self.call("clock", move_seconds=move)["now"])

    def reset_clock(self) -> float:
        """Go back to real time."""
        return float(self.call("clock", reset=True)["now"])

    def now(self) -> float:
        """Return the stand-in's time in seconds since 1970."""
        return float(self.call("clock")["now"])

    def counters(self, reset: bool = False) -> dict[str, Any]:
        """Return `{"calls": {...}, "byTenant": {...}, "notifications": {...}}`."""
        return cast(dict[str, Any], self.call("counters", reset=reset))

    def count(self, key: str, tenant: str | None = None) -> int:
        """Return one counter, for example "graph GET /users/delta"."""
        counts = self.counters()
        calls = counts["byTenant"].get(tenant, {}) if tenant else counts["calls"]
        return int(calls.get(key, 0))

    def requests(self, last: int = 200, service: str | None = None) -> list[dict[str, Any]]:
        """Return the latest requests, oldest first."""
        return cast(list[dict[str, Any]], self.call("requests", last=last, service=service))

    def add_fault(
        self, kind: str = "status", route: str = "*", service: str = "graph", **more: Any
    ) -> int:
        """Set a fault (see faults.py) and return its number."""
        return int(self.call("add_fault", kind=kind, route=route, service=service, **more))

    def clear_faults(self, fault_id: int | None = None) -> None:
        """Remove one fault, or all."""
        self.call("clear_faults", fault_id=fault_id)

    def faults(self) -> list[dict[str, Any]]:
        """Return the faults with how often each has hit."""
        return cast(list[dict[str, Any]], self.call("faults"))

    # Tenants and apps

    def add_tenant(
        self, domain: str, tenant_id: str | None = None, display_name: str | None = None
    ) -> str:
        """Make a tenant and return its id."""
        return str(
            self.call("add_tenant", domain=domain, tenant_id=tenant_id, display_name=display_name)
        )

    def tenants(self) -> list[dict[str, Any]]:
        """Return all tenants with their sizes."""
        return cast(list[dict[str, Any]], self.call("tenants"))

    def register_app(
        self,
        client_id: str,
        home_tenant: str,
        secret: str | Sequence[Mapping[str, Any]],
        redirect_uris: Iterable[str] = (),
        *,
        delegated: Iterable[str] = DELEGATED_SCOPES,
        roles: Iterable[str] = APPLICATION_ROLES,
        multi_tenant: bool = False,
        name: str = "Directory sync",
        consent: bool = True,
    ) -> str:
        """Register an app; secrets are a text or `{"value", "ends"?, "id"?}` each."""
        return str(
            self.call(
                "register_app",
                client_id=client_id,
                home_tenant=home_tenant,
                secrets=_secrets(secret),
                redirect_uris=list(redirect_uris),
                delegated=list(delegated),
                roles=list(roles),
                multi_tenant=multi_tenant,
                name=name,
                consent=consent,
            )
        )

    def update_app(
        self,
        client_id: str,
        *,
        secret: str | Sequence[Mapping[str, Any]] | None = None,
        redirect_uris: Iterable[str] | None = None,
        disabled: bool | None = None,
        dropped_scopes: Iterable[str] | None = None,
    ) -> None:
        """Change a registration; `dropped_scopes` never make it into a token."""
        self.call(
            "update_app",
            client_id=client_id,
            secrets=None if secret is None else _secrets(secret),
            redirect_uris=None if redirect_uris is None else list(redirect_uris),
            disabled=disabled,
            dropped_scopes=None if dropped_scopes is None else list(dropped_scopes),
        )

    def expire_secrets(self, client_id: str) -> None:
        """End every secret of the app now."""
        self.call("expire_secrets", client_id=client_id)

    def set_consent(
        self,
        client_id: str,
        tenant: str,
        delegated: Iterable[str] = DELEGATED_SCOPES,
        roles: Iterable[str] = APPLICATION_ROLES,
    ) -> None:
        """Set what the tenant has granted to the app."""
        self.call(
            "set_consent",
            client_id=client_id,
            tenant=tenant,
            delegated=list(delegated),
            roles=list(roles),
        )

    def withdraw_consent(self, client_id: str, tenant: str) -> None:
        """Take back everything the tenant granted; tokens that are out work until they end."""
        self.call("withdraw_consent", client_id=client_id, tenant=tenant)

    # Signing in

    def sign_in_as(self, user: str | None, tenant: str | None, home: str | None = None) -> None:
        """Answer the sign-in page of `tenant` (None: any) as this user, at once.

        `home` is the user's own tenant when it is another one; user None brings the page back.
        """
        self.call("sign_in_as", user=user, tenant=tenant, home=home)

    def set_administrator(self, tenant: str, user: str, administrator: bool = True) -> None:
        """Make a user an administrator who may consent for the tenant."""
        self.call("set_administrator", tenant=tenant, user=user, administrator=administrator)

    def restrict_user(self, tenant: str, user: str, restricted: bool = True) -> None:
        """Take the user's own right to read the directory: delegated calls get 403."""
        self.call("restrict_user", tenant=tenant, user=user, restricted=restricted)

    def sign_in_outcome(
        self,
        tenant: str,
        error: str | None,
        description: str = "",
        subcode: str = "",
        count: int | None = None,
    ) -> None:
        """Let the next sign-ins and consents end with this error; None ends that."""
        self.call(
            "sign_in_outcome",
            tenant=tenant,
            error=error,
            description=description,
            subcode=subcode,
            count=count,
        )

    def revoke_sessions(self, tenant: str, user: str | None = None) -> None:
        """Revoke the refresh tokens of a user, or of everybody."""
        self.call("revoke_sessions", tenant=tenant, user=user)

    def require_mfa(self, tenant: str, required: bool = True) -> None:
        """Demand a second factor of every sign-in made before now."""
        self.call("require_mfa", tenant=tenant, required=required)

    def expire_access_tokens(self, tenant: str | None = None) -> int:
        """Make every access token useless now; returns how many."""
        return int(self.call("expire_access_tokens", tenant=tenant))

    # The directory

    def add_user(self, tenant: str, upn: str, **props: Any) -> str:
        """Create a user; properties are Graph's names, `id` and `manager` too."""
        return str(self.call("add_user", tenant=tenant, props={"userPrincipalName": upn, **props}))

    def update_user(self, tenant: str, user: str, **props: Any) -> bool:
        """Change a user; returns whether anything differed."""
        return self.update_users(tenant, [{**props, "id": user}]) == 1

    def update_users(self, tenant: str, users: Sequence[Mapping[str, Any]]) -> int:
        """Change many users, each named by `id`; returns how many differed."""
        return int(self.call("update_users", tenant=tenant, users=list(users)))

    def block_user(self, tenant: str, user: str, blocked: bool = True) -> None:
        """Block or unblock a user's sign-in."""
        self.update_user(tenant, user, accountEnabled=not blocked)

    def add_group(
        self,
        tenant: str,
        name: str,
        *,
        kind: str = "security",
        members: Iterable[str] = (),
        **props: Any,
    ) -> str:
        """Create a group ("security", "m365", "mail_security", "distribution")."""
        group = str(
            self.call("add_group", tenant=tenant, props={"displayName": name, **props}, kind=kind)
        )
        ids = list(members)
        if ids:
            self.add_members(tenant, group, ids)
        return group

    def update_group(self, tenant: str, group: str, **props: Any) -> bool:
        """Change a group; returns whether anything differed."""
        return bool(self.call("update_group", tenant=tenant, group=group, props=props))

    def add_other(self, tenant: str, odata_type: str, **props: Any) -> str:
        """Create a member of another type, for example "#microsoft.graph.device"."""
        return str(self.call("add_other", tenant=tenant, odata_type=odata_type, props=props))

    def soft_delete(self, tenant: str, key: str) -> None:
        """Delete a user or group to deletedItems."""
        self.call("soft_delete", tenant=tenant, key=key)

    def hard_delete(self, tenant: str, key: str) -> None:
        """Remove a user or group for good."""
        self.call("hard_delete", tenant=tenant, key=key)

    def restore(self, tenant: str, key: str) -> None:
        """Bring a soft-deleted user or group back."""
        self.call("restore", tenant=tenant, key=key)

    def add_members(self, tenant: str, group: str, members: Iterable[str]) -> int:
        """Add direct members (users, groups, others); returns how many were new."""
        return int(self.call("add_members", tenant=tenant, group=group, members=list(members)))

    def add_member(self, tenant: str, group: str, member: str) -> int:
        """Add one direct member."""
        return self.add_members(tenant, group, [member])

    def remove_members(self, tenant: str, group: str, members: Iterable[str]) -> int:
        """Remove direct members; returns how many there were."""
        return int(self.call("remove_members", tenant=tenant, group=group, members=list(members)))

    def remove_member(self, tenant: str, group: str, member: str) -> int:
        """Remove one direct member."""
        return self.remove_members(tenant, group, [member])

    def get(self, tenant: str, key: str) -> dict[str, Any]:
        """Return an object as the directory holds it, dead or alive."""
        return cast(dict[str, Any], self.call("get", tenant=tenant, key=key))

    def load(self, tenant: str, document: Mapping[str, Any]) -> dict[str, int]:
        """Take in a whole directory (see population.load)."""
        return cast(dict[str, int], self.call("load", tenant=tenant, document=document))

    def generate(
        self,
        tenant: str,
        users: int,
        *,
        groups: int = 1,
        groups_per_user: int = 1,
        nested: int = 0,
        prefix: str = "person",
        ids: bool = False,
    ) -> dict[str, Any]:
        """Make up a directory (see population.generate); returns `{"users", "groups", ...}`."""
        return cast(
            dict[str, Any],
            self.call(
                "generate",
                tenant=tenant,
                users=users,
                groups=groups,
                groups_per_user=groups_per_user,
                nested=nested,
                prefix=prefix,
                ids=ids,
            ),
        )

    def expire_delta_links(self, tenant: str, answer: str | None = None) -> None:
        """Make every delta link given out so far dead, with one of the documented answers."""
        self.call("expire_delta_links", tenant=tenant, answer=answer)

    def expire_page_tokens(self) -> None:
        """Make every page token of plain lists dead."""
        self.call("expire_page_tokens")

    # Subscriptions and notifications

    def subscriptions(self, tenant: str | None = None) -> list[dict[str, Any]]:
        """Return the subscriptions with tenantId, tokenExpiresAt and endpointState."""
        return cast(list[dict[str, Any]], self.call("subscriptions", tenant=tenant))

    def drop_subscription(self, subscription_id: str) -> bool:
        """Let a subscription vanish without a word."""
        return bool(self.call("drop_subscription", subscription_id=subscription_id))

    def end_subscription_token(self, subscription_id: str) -> None:
        """Let the token that the subscription was last extended with end now."""
        self.call("end_subscription_token", subscription_id=subscription_id)

    def send_lifecycle(self, subscription_id: str, event: str = "reauthorizationRequired") -> None:
        """Send a lifecycle notification."""
        self.call("send_lifecycle", subscription_id=subscription_id, event=event)

    def deliver_now(self) -> dict[str, int]:
        """Deliver everything that waits; returns sent, delivered and waiting."""
        return cast(dict[str, int], self.call("deliver_now"))

    def lose_notifications(self) -> int:
        """Throw away everything that waits; returns how many."""
        return int(self.call("lose_notifications"))

    def waiting_notifications(self) -> list[dict[str, Any]]:
        """Return the notifications that wait, with their attempts."""
        return cast(list[dict[str, Any]], self.call("waiting_notifications"))


@contextmanager
def running(*arguments: str) -> Iterator[EntraControl]:
    """Run a stand-in on a free port as a process of its own, and end it."""
    command = [sys.executable, "-m", "infra.local.entra", "--port", "0", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=_ROOT)
    try:
        if process.stdout is None:
            raise ControlError("The stand-in has no output.")
        ready = json.loads(process.stdout.readline())
        control = EntraControl(f"http://127.0.0.1:{ready['port']}")
        try:
            yield control
        finally:
            control.close()
    finally:
        process.terminate()
        process.wait(10)
        if process.stdout is not None:
            process.stdout.close()


def _secrets(secret: str | Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    if isinstance(secret, str):
        return [{"value": secret}]
    return [dict(one) for one in secret]
