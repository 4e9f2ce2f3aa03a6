"""The local world at scale: a BMS without limit, tenants of any size, and the ways to them.

Graph and BMS are reached straight, without the CONNECT proxy, which would be one more stand-in
whose time is not the app's. Sign-in stays on its real name, since MSAL takes nothing else.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Self

from infra.local.admin import Admin
from infra.local.host_process import HostProcess
from infra.local.network.ports import free_port
from infra.local.process import REPOSITORY
from infra.local.world import World
from shared.core.model import ConnectionId

NEVER = "0 0 0 1 1 *"  # a schedule of no use: sweeps come by order alone
_SECRET = "s3cret-value-~abc"  # of the stand-in's tenant
_NO_HOLD = {"count": 1_000_000, "percent": 100, "atMost": 1_000_000}
_NO_LIMIT = 1_000_000

Json = dict[str, Any]


@dataclass(frozen=True)
class Customer:
    """One connected tenant."""

    tenant: str
    connection: str
    account: int
    users: Sequence[str]
    groups: Sequence[str]

    @property
    def id(self) -> ConnectionId:
        """The connection, as messages name it."""
        return ConnectionId(self.connection)


class Stage:
    """A world with one function host (or none), ready for customers."""

    def __init__(self, *, storage_faults: bool = False) -> None:
        self.world = World(storage_faults=storage_faults)
        self._customers = 0
        self._host: HostProcess | None = None

    def __enter__(self) -> Self:
        self.world.start()
        # What a tenant of Graph may ask for in ten seconds would be the stand-in's limit, not ours.
        self.world.entra.switch(throttle=False, delta_shuffle=False)
        self._account = self.world.bms.add_account("Customers").id
        return self

    def __exit__(self, *_: object) -> None:
        self.world.stop()

    @property
    def entra(self) -> Any:
        """The control of Entra's stand-in."""
        return self.world.entra

    @property
    def bms(self) -> Any:
        """The control of BMS's stand-in."""
        return self.world.bms

    @property
    def host(self) -> HostProcess:
        """The one that answers."""
        assert self._host is not None, "no host was started"
        return self._host

    def direct(self) -> dict[str, str]:
        """Settings that lead straight to Graph's stand-in."""
        return {"GRAPH_URL": self.world.base_url("entra")}

    def environment(self, **settings: str) -> dict[str, str]:
        """For a process of the app without a host."""
        given = {**self.direct(), **settings}
        return self.world.app_environment(free_port(), lease_seconds=None, **given)

    def start_host(self, **settings: str) -> HostProcess:
        """Start a host; the first one that runs gives the admin API."""
        given = {"SWEEP_SCHEDULE": NEVER, **self.direct(), **settings}
        host = self.world.start_host(None, lease_seconds=None, app=REPOSITORY, **given)
        if self._host is None or not self._host.alive:
            self._host = host
            self.admin = Admin(
                host.base_url,
                self.world.admin_token,
                proxy=self.world.proxy_url,
                ca_bundle=str(self.world.certificates.bundle),
            )
        return host

    def stop_host(self) -> None:
        """Whoever comes next starts one of his own."""
        if self._host is not None:
            self._host.stop()

    def limit_bms(self, calls: int = _NO_LIMIT, window: int = 3600, *, on: bool = False) -> None:
        """Give BMS this hourly limit, and tell the app; without `on` BMS knows none."""
        self.bms.set_switches(rate_limit_on=on, rate_limit=calls, rate_window_seconds=window)
        settings = {
            "apiUrl": self.world.base_url("bms"),
            "gatewayUrl": self.world.base_url("bms"),
            "tenant": "Northwind MSP",
            "userName": "directory.sync",
            "password": "correct horse battery staple",
            "hourlyLimit": calls,
            "limitWindowSeconds": window,
        }
        self.admin.call("PUT", "/api/settings/bms", settings)

    def connect(self, users: int, *, groups: int = 1, rule: bool = True) -> Customer:
        """A tenant of so many people in groups, connected, with a rule for the first group."""
        self._customers += 1
        domain = f"customer{self._customers}.example"
        tenant = self.entra.add_tenant(domain)
        application = str(uuid.uuid5(uuid.NAMESPACE_DNS, domain))
        callback = f"{self.host.base_url}/OAuth/IntegrationCallback.aspx"
        self.entra.register_app(application, tenant, _SECRET, [callback], multi_tenant=True)
        boss = self.entra.add_user(tenant, f"admin@{domain}", displayName="Admin Boss")
        self.entra.set_administrator(tenant, boss)
        self.entra.sign_in_as(boss, tenant)
        made = self.entra.generate(tenant, users, groups=groups, ids=True)
        body: Json = {
            "tenantDomain": domain,
            "applicationId": application,
            "applicationKey": _SECRET,
        }
        body |= {"mode": "application", "holdLimit": _NO_HOLD}
        connection = str(self.admin.call("POST", "/api/connections", body)["id"])
        self.admin.connect(connection)
        state = self.admin.call("GET", f"/api/connections/{connection}")
        assert state["state"] == "connected", state
        customer = Customer(tenant, connection, self._account, made["users"], made["groups"])
        if rule:
            self.add_rule(customer)
        return customer

    def add_rule(self, customer: Customer, group: str = "") -> None:
        """Members of the group (else of the first one) become contacts of the account."""
        body = {
            "connectionId": customer.connection,
            "groupId": group or customer.groups[0],
            "order": 10,
            "recordType": "contact",
            "accountId": customer.account,
        }
        self.admin.call("POST", "/api/mapping-rules", body)

    def order(self, customer: Customer, kind: str = "full") -> str:
        """Ask for a sync; its id."""
        path = f"/api/connections/{customer.connection}/sync"
        return str(self.admin.call("POST", path, {"kind": kind})["syncId"])

    def finished(self, sync: str, timeout: float, *, every: float = 0.5) -> Json:
        """Wait until a sync has ended well."""
        until = time.monotonic() + timeout
        while True:
            run: Json = self.admin.call("GET", f"/api/syncs/{sync}")
            if run["state"] in ("done", "failed"):
                assert run["state"] == "done", run
                assert run["failed"] == 0, run
                return run
            assert time.monotonic() < until, f"{sync} took longer than {timeout:.0f} s: {run}"
            time.sleep(every)


# How a measurement comes by a stage: `Stage` itself makes a world for it alone.
Stages = Callable[[], AbstractContextManager[Stage]]


class SharedStage:
    """One world for several measurements, each with hosts of its own: worlds start slowly."""

    def __init__(self) -> None:
        self._stage: Stage | None = None

    @contextmanager
    def __call__(self) -> Iterator[Stage]:
        """The stage, for one measurement at a time."""
        if self._stage is None:
            self._stage = Stage()
            self._stage.__enter__()
        try:
            yield self._stage
        finally:
            self._stage.stop_host()

    def close(self) -> None:
        """End the world."""
        if self._stage is not None:
            self._stage.__exit__()
