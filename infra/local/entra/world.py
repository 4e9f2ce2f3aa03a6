"""Everything the process knows: tenants, apps, tokens, subscriptions, faults and switches."""

import random
import uuid

from infra.local.entra.apps import App
from infra.local.entra.authorize import Grant, Outcome
from infra.local.entra.calls import CallBook
from infra.local.entra.clock import Clock
from infra.local.entra.delivery import Delivery
from infra.local.entra.delta import DeltaBook
from infra.local.entra.directory import Directory
from infra.local.entra.faults import Faults
from infra.local.entra.paging import Listings
from infra.local.entra.subscriptions import SubscriptionBook
from infra.local.entra.switches import Switches
from infra.local.entra.throttle import Throttle
from infra.local.entra.tokens import TokenBook


class World:
    """The state of the stand-in."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.switches = Switches()
        self.tenants: dict[str, Directory] = {}
        self._domains: dict[str, str] = {}
        self.apps: dict[str, App] = {}
        self.tokens = TokenBook(self.clock)
        self.codes: dict[str, Grant] = {}
        self.signs_in_as: dict[str, tuple[str, str]] = {}  # tenant or "" -> (home tenant, user)
        self.sign_in_outcomes: dict[str, Outcome] = {}
        self.administrators: set[str] = set()
        self.restricted: set[str] = set()  # users whose own rights do not reach the directory
        self.revoked_at: dict[tuple[str, str], float] = {}
        self.mfa_since: dict[str, float] = {}
        self.subscriptions = SubscriptionBook()
        self.deltas = DeltaBook()
        self.listings = Listings()
        self.throttle = Throttle(self.clock, self.switches)
        self.faults = Faults(self.switches.seed)
        self.book = CallBook()
        self.batch_random = random.Random(self.switches.seed)
        self.delivery = Delivery(self)
        self.clock.on_move(self.delivery.wake)

    def reset(self) -> None:
        """Go back to an empty world in real time with default switches."""
        self.switches.reset()
        self.clock.reset()
        self.tenants.clear()
        self._domains.clear()
        self.apps.clear()
        self.tokens.clear()
        self.codes.clear()
        self.signs_in_as.clear()
        self.sign_in_outcomes.clear()
        self.administrators.clear()
        self.restricted.clear()
        self.revoked_at.clear()
        self.mfa_since.clear()
        self.subscriptions.clear()
        self.deltas.clear()
        self.listings.clear()
        self.throttle.clear()
        self.faults.clear()
        self.book.reset()
        self.batch_random = random.Random(self.switches.seed)
        self.delivery.clear()

    def add_tenant(self, tenant_id: str | None, domain: str, display_name: str) -> Directory:
        """Make a tenant with an empty directory."""
        key = (tenant_id or str(uuid.uuid4())).lower()
        if key in self.tenants or domain.lower() in self._domains:
            raise ValueError(f"There is a tenant {key} or a domain {domain} already.")
        directory = Directory(key, domain, display_name, self.clock, self.delivery.on_change)
        self.tenants[key] = directory
        self._domains[domain.lower()] = key
        return directory

    def find_tenant(self, name: str) -> Directory | None:
        """Return the tenant with this id or verified domain."""
        lowered = name.lower()
        return self.tenants.get(self._domains.get(lowered, lowered))

    def tenant(self, name: str) -> Directory:
        """Return the tenant with this id or domain; raises ValueError for a stranger."""
        directory = self.find_tenant(name)
        if directory is None:
            raise ValueError(f"There is no tenant {name}.")
        return directory

    def app(self, client_id: str) -> App:
        """Return the registration; raises ValueError for a stranger."""
        app = self.apps.get(client_id.lower())
        if app is None:
            raise ValueError(f"There is no app {client_id}.")
        return app
