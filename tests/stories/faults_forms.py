"""How each fault looks at each outside service, meant for one customer alone.

`strike` puts a fault on; `once` lets it pass by itself after a call or a few. What a fault does is
the same everywhere: what differs is the control routes of the stand-ins.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Final

from infra.local.vault.control import VaultControl
from tests.stories.faults_customer import Answered, FaultCustomer, Wave
from tests.stories.story import BMS_SETTINGS

FAULTS: Final = (
    "429 with Retry-After",
    "429 without Retry-After",
    "500",
    "503",
    "time-out",
    "time-out after commit",
    "reset",
    "truncated JSON",
    "401 in mid-run",
    "slow",
)
UNLIMITED: Final = {**BMS_SETTINGS, "hourlyLimit": 1_000_000}
HANGING: Final = ("time-out", "time-out after commit")
ASKED_TO_WAIT = 2
SLOW = 2.0


class Service(ABC):
    """One outside service and what can be wrong with it."""

    name: str  # as a sentence names it

    def __init__(self, customer: FaultCustomer) -> None:
        self.customer = customer
        self._undo: list[Callable[[], None]] = []

    @abstractmethod
    def strike(self, fault: str, wave: Wave, *, once: bool) -> None:
        """Put the fault on for this customer."""

    @abstractmethod
    def ask(self, wave: Wave) -> Answered:
        """What somebody is answered who needs the service right now."""

    def needs_a_person(self, fault: str, *, once: bool) -> bool:
        """Whether it is no fault that passes, but something that only a person can mend."""
        return False

    def mend(self) -> None:  # noqa: B027 - nothing, mostly
        """What that person does."""

    def calm(self) -> None:
        """End the fault."""
        for undo in self._undo:
            undo()
        self._undo.clear()


class Graph(Service):
    """Microsoft Graph, by tenant."""

    name = "Microsoft Graph"
    service = "graph"

    def strike(self, fault: str, wave: Wave, *, once: bool) -> None:
        if fault == "401 in mid-run" and once:
            self.customer.entra.expire_access_tokens(self.customer.tenant)
            return
        forms: dict[str, dict[str, Any]] = {
            "429 with Retry-After": {"status": 429, "retry_after": ASKED_TO_WAIT},
            "429 without Retry-After": {"status": 429},
            "500": {"status": 500},
            "503": {"status": 503},
            "time-out": {"kind": "timeout", "seconds": 3600},
            "time-out after commit": {"kind": "timeout", "seconds": 3600, "after_work": True},
            "reset": {"kind": "reset"},
            "truncated JSON": {"kind": "short" if once else "truncate"},
            "401 in mid-run": {"status": 401},
            "slow": {"kind": "slow", "seconds": SLOW},
        }
        form = {"count": (1 if fault in HANGING else 2) if once else None, **forms[fault]}
        self._add(form)

    def _add(self, form: dict[str, Any]) -> None:
        customer = self.customer
        number = customer.entra.add_fault(
            form.pop("kind", "status"), service=self.service, tenant=customer.tenant, **form
        )
        self._undo.append(lambda: customer.entra.clear_faults(number))

    def ask(self, wave: Wave) -> Answered:
        customer = self.customer
        return customer.asks("POST", f"/api/users/{customer.connection}/{wave.renamed}/sync")


class SignIn(Graph):
    """Microsoft's sign-in: asked only when a token has ended, so all of them do."""

    name = "sign-in"
    service = "login"

    def _add(self, form: dict[str, Any]) -> None:
        super()._add(form)
        self.customer.entra.expire_access_tokens(self.customer.tenant)

    def strike(self, fault: str, wave: Wave, *, once: bool) -> None:
        if fault == "401 in mid-run":
            # What the token endpoint says by 401: the secret is no longer the right one.
            self._add({"kind": "aadsts", "aadsts": 7000215, "count": 1 if once else None})
            return
        super().strike(fault, wave, once=once)

    def needs_a_person(self, fault: str, *, once: bool) -> bool:
        return fault == "401 in mid-run"

    def mend(self) -> None:
        page = self.customer.admin.connect(self.customer.connection)
        assert page.status_code == 200, page.text


class Bms(Service):
    """BMS, by the records of a wave: the new one by its address, the others by their ids."""

    name = "BMS"

    def strike(self, fault: str, wave: Wave, *, once: bool) -> None:
        if fault == "401 in mid-run" and once:
            self.customer.bms.invalidate_tokens()
            return
        forms: dict[str, dict[str, Any]] = {
            "429 with Retry-After": {"kind": "rate_limited", "retry_after": ASKED_TO_WAIT},
            "429 without Retry-After": {"kind": "rate_limited"},
            "500": {"kind": "error", "status": 500},
            "503": {"kind": "error", "status": 503},
            "time-out": {"kind": "hang", "seconds": 3600.0},
            "time-out after commit": {"kind": "hang_after", "seconds": 3600.0},
            "reset": {"kind": "reset"},
            "truncated JSON": {"kind": "truncated" if once else "cut_off"},
            "401 in mid-run": {"kind": "unauthorized"},
            "slow": {"kind": "slow", "seconds": SLOW},
        }
        form = forms[fault]
        if fault == "429 without Retry-After" and once:
            # BMS's brake lasts a minute then: one of the three is enough.
            self._add(form, "POST /v2/crm/contacts", wave.texts[0], once)
            return
        self._add(form, "POST /v2/crm/contacts", wave.texts[0], once)
        for text in wave.texts[1:]:
            self._add(form, "PATCH *" if once else "*", text, once)

    def _add(self, form: dict[str, Any], endpoint: str, text: str, once: bool) -> None:
        bms = self.customer.bms
        number = bms.add_fault(endpoint=endpoint, contains=text, count=1 if once else None, **form)
        self._undo.append(lambda: bms.clear_faults(number))

    def ask(self, wave: Wave) -> Answered:
        customer = self.customer
        return customer.asks("POST", f"/api/users/{customer.connection}/{wave.renamed}/sync")

    def needs_a_person(self, fault: str, *, once: bool) -> bool:
        return fault == "401 in mid-run" and not once

    def mend(self) -> None:
        customer = self.customer
        customer.admin.call("PUT", "/api/settings/bms", UNLIMITED)
        customer.admin.sync(customer.connection, timeout=150)


class Vault(Service):
    """Key Vault, by the secrets of a connection."""

    name = "Key Vault"

    def strike(self, fault: str, wave: Wave, *, once: bool) -> None:
        vault = VaultControl(self.customer.world.base_url("vault"))
        forms: dict[str, dict[str, Any]] = {
            "429 with Retry-After": {"kind": "status", "status": 429, "retry_after": 1},
            "429 without Retry-After": {"kind": "status", "status": 429},
            "500": {"kind": "status", "status": 500},
            "503": {"kind": "status", "status": 503},
            "time-out": {"kind": "timeout"},
            "time-out after commit": {"kind": "unheard"},
            "reset": {"kind": "reset" if once else "lost"},
            "truncated JSON": {"kind": "truncated" if once else "cut_off"},
            "401 in mid-run": {"kind": "status", "status": 401},
            "slow": {"kind": "slow", "seconds": SLOW},
        }
        for secret in ("application-key", "token-cache", "client-state"):
            number = vault.add_fault(
                secret=f"connection-{self.customer.connection}-{secret}",
                times=1 if once else None,
                **forms[fault],
            )
            self._undo.append(lambda number=number: vault.clear_faults(number))  # type: ignore[misc]

    def ask(self, wave: Wave) -> Answered:
        body = {"applicationKey": self.customer.draft()["applicationKey"]}
        return self.customer.asks("PATCH", f"/api/connections/{self.customer.connection}", body)


class Storage(Service):
    """What the tables and the queues have in common: the connection's id is in every call."""

    service: str
    cut = "cut_off"

    def strike(self, fault: str, wave: Wave, *, once: bool) -> None:
        forms: dict[str, dict[str, Any]] = {
            "429 with Retry-After": {"kind": "status", "status": 429, "retry_after": 1},
            "429 without Retry-After": {"kind": "status", "status": 429},
            "500": {"kind": "status", "status": 500},
            "503": {"kind": "status", "status": 503},
            "time-out": {"kind": "timeout"},
            "time-out after commit": {"kind": "timeout_after"},
            "reset": {"kind": "reset"},
            "truncated JSON": {"kind": "truncated" if once else self.cut},
            "401 in mid-run": {"kind": "status", "status": 401},
            "slow": {"kind": "slow", "seconds": SLOW},
        }
        for method in self._methods(fault, once=once):
            self._add(forms[fault], method, self.customer.connection, 1 if once else None)

    def _methods(self, fault: str, *, once: bool) -> tuple[str, ...]:
        return ("*",)

    def _add(self, form: dict[str, Any], method: str, contains: str, times: int | None) -> None:
        storage = self.customer.world.storage
        number = storage.add_fault(
            service=self.service, method=method, contains=contains, times=times, **form
        )
        self._undo.append(lambda: storage.clear_faults(number))


class Tables(Storage):
    """Table Storage."""

    name = "table storage"
    service = "table"

    def _methods(self, fault: str, *, once: bool) -> tuple[str, ...]:
        # A write is what matters; who hangs half a minute at each step would never be done.
        if not once:
            return ("*",)
        return ("POST",) if fault in HANGING else ("GET", "POST")

    def ask(self, wave: Wave) -> Answered:
        return self.customer.asks("GET", f"/api/connections/{self.customer.connection}")


class Queues(Storage):
    """Queue Storage: what is sent for a customer, and in passing what the host takes and ends."""

    name = "storage queues"
    service = "queue"
    cut = "truncated"  # each send that was done and seems not to be is done four times

    def strike(self, fault: str, wave: Wave, *, once: bool) -> None:
        super().strike(fault, wave, once=once)
        if once:
            storage = self.customer.world.storage
            form = dict(storage.faults()[-1])
            form = {name: form[name] for name in ("kind", "status", "retry_after", "seconds")}
            for method in ("GET", "DELETE"):
                self._add(form, method, "", 1)

    def ask(self, wave: Wave) -> Answered:
        customer = self.customer
        path = f"/api/connections/{customer.connection}/sync"
        return customer.asks("POST", path, {"kind": "sweep"})
