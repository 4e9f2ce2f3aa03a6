"""Connections as a person manages them: add, change, pause, resume, delete.

The application key goes to the vault and never comes back out (R29). What hangs on the outside
(subscriptions in the customer's tenant) is taken down as far as the tenant still lets us; nothing
here waits for that.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field, replace
from typing import Protocol

from shared.core.messages import SweepOrder, encode_sweep_order
from shared.core.model import Connection, ConnectionId, HoldLimit, Mode
from shared.core.signin_trouble import SIGN_IN_CODES
from shared.core.trouble_texts import MASS_FAILURE
from shared.errors import BadInput, SyncError
from shared.ports import (
    SWEEPS,
    Connections,
    NewId,
    Now,
    Queues,
    SignIn,
    Vault,
    application_key,
    client_state,
    token_cache,
)
from shared.sync.new_id import new_id
from shared.sync.re_evaluation import ReEvaluation
from shared.sync.troubles import without

_DOMAIN = re.compile(
    r"(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]"
)
_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)

log = logging.getLogger(__name__)


class Subscribed(Protocol):
    """The part of keeping subscriptions (R31) that is needed here."""

    def remove(self, connection: Connection) -> None: ...


@dataclass(frozen=True, slots=True)
class NewConnection:
    """What a person enters to add a connection."""

    tenant_domain: str
    application_id: str
    application_key: str = field(repr=False)
    mode: Mode = Mode.DELEGATED
    email_source: str = "mail"
    match_scope: str = "all"
    on_leave: str = "deactivate"
    hold_limit: HoldLimit = field(default_factory=HoldLimit)
    secret_expires_on: str | None = None


@dataclass(frozen=True, slots=True)
class ConnectionChange:
    """What shall be another than before; None stays. A `secret_expires_on` of "" removes it."""

    tenant_domain: str | None = None
    application_id: str | None = None
    application_key: str | None = field(default=None, repr=False)
    mode: Mode | None = None
    email_source: str | None = None
    match_scope: str | None = None
    on_leave: str | None = None
    hold_limit: HoldLimit | None = None
    secret_expires_on: str | None = None


@dataclass(frozen=True, slots=True)
class Changed:
    """The connection now, and what the person should know about the change."""

    connection: Connection
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ManageConnections:
    """The use cases of one connection, but for connecting and syncing."""

    connections: Connections
    vault: Vault
    sign_in: SignIn
    subscriptions: Subscribed
    queues: Queues
    re_evaluation: ReEvaluation
    now: Now
    new_id: NewId = new_id

    def all(self) -> list[Connection]:
        """All connections, oldest first."""
        return sorted(self.connections.list(), key=lambda each: (each.created_at, each.id))

    def get(self, connection_id: str) -> Connection:
        """BadInput 404 when there is none."""
        return existing(self.connections, connection_id)

    def has_application_key(self, connection: Connection) -> bool:
        """Whether the vault holds its client secret."""
        return bool(self.vault.get(application_key(connection.id)))

    def add(self, new: NewConnection) -> Connection:
        """A new connection, as a draft; BadInput when something in it cannot be taken."""
        domain = plain_domain(new.tenant_domain)
        key = _application_key(new.application_key)
        self._refuse_second(domain, besides=None)
        connection = Connection(
            id=ConnectionId(self.new_id()),
            tenant_domain=domain,
            application_id=new.application_id.strip().lower(),
            mode=new.mode,
            created_at=self.now(),
            email_source=new.email_source,
            match_scope=new.match_scope,
            on_leave=new.on_leave,
            hold_limit=new.hold_limit,
            secret_expires_on=new.secret_expires_on,
        )
        # The secret first: a connection without one would be half-made.
        self.vault.put(application_key(connection.id), key)
        try:
            self.connections.add(connection)
            # Somebody may have added the same tenant at this very moment.
            self._refuse_second(domain, besides=connection.id)
        except (SyncError, BadInput):
            self.connections.delete(connection.id)
            self.vault.delete(application_key(connection.id))
            raise
        return self.get(connection.id)

    def change(self, connection_id: str, change: ConnectionChange) -> Changed:
        """The connection with these changes; those of tenant, application or mode disconnect it."""
        before = self.get(connection_id)
        domain = before.tenant_domain
        if change.tenant_domain is not None:
            domain = plain_domain(change.tenant_domain)
            self._refuse_second(domain, besides=before.id)
        wanted = _changed(before, change, domain)
        notes: list[str] = []
        if change.application_key is not None:
            self.vault.put(application_key(before.id), _application_key(change.application_key))
        reconnect = before.connected_at is not None and _identity(wanted) != _identity(before)
        if reconnect:
            notes += self._take_down(before)
            notes.append(
                "Tenant, application or mode changed: it is a draft again, connect it anew."
            )
        after = self.connections.update(before.id, lambda now: _changed(now, change, domain))
        if after is None:
            raise _unknown()
        if reconnect:
            self.vault.delete(token_cache(before.id))
        self.sign_in.forget(before.id)
        if change.application_key is not None and after.may_read:
            self._send(after.id, "sweep")  # shows at once whether the new key works
        if _options(after) != _options(before):
            self.re_evaluation.order(after.id, gather=True)
        return Changed(self.get(before.id), tuple(notes))

    def restore(self, connection: Connection) -> Connection:
        """A connection of a backup: a draft under its own id, whose key is entered afterwards."""
        self._refuse_second(connection.tenant_domain, besides=connection.id)
        self.connections.add(connection)
        return self.get(connection.id)

    def pause(self, connection_id: str) -> Changed:
        """Nothing is read or written for it until it is resumed; its subscriptions go (R31)."""
        before = self.get(connection_id)
        after = self.connections.update(before.id, lambda now: replace(now, paused=True))
        if after is None:
            raise _unknown()
        return Changed(after, tuple(self._take_down(before)) if not before.paused else ())

    def resume(self, connection_id: str) -> Changed:
        """It goes on: subscriptions are made anew, and a sweep reads what was missed."""
        before = self.get(connection_id)
        at = self.now()
        after = self.connections.update(
            before.id,
            lambda now: replace(without(now, {MASS_FAILURE}), paused=False, resumed_at=at),
        )
        if after is None:
            raise _unknown()
        if not before.may_read and after.may_read:
            self._send(after.id, "subscriptions")
            self._send(after.id, "sweep")
        return Changed(after)

    def delete(self, connection_id: str) -> None:
        """Its subscriptions, secrets, rules and links are gone; records in BMS stay as they are."""
        before = self.get(connection_id)
        # Workers that hold a message of it stop here, before anything is taken away.
        self.connections.update(before.id, lambda now: replace(now, paused=True))
        self._take_down(before)
        for name in (application_key, token_cache, client_state):
            self.vault.delete(name(before.id))
        self.sign_in.forget(before.id)
        self.connections.delete(before.id)

    def _take_down(self, connection: Connection) -> list[str]:
        """Remove its subscriptions if the tenant lets us; they end by themselves otherwise."""
        if connection.connected_at is None:
            return []
        try:
            self.subscriptions.remove(connection)
        except SyncError as error:
            log.warning("connection %s: subscriptions not removed", connection.id)
            return [
                f"Its subscriptions in Microsoft Graph could not be removed ({error.sentence}) "
                "They end by themselves within four weeks; what they send until then is ignored."
            ]
        return []

    def _refuse_second(self, domain: str, *, besides: ConnectionId | None) -> None:
        for other in self.connections.list():
            if other.tenant_domain == domain and other.id != besides:
                raise BadInput(
                    409,
                    f"There is a connection for {domain} already ({other.id}): change that one.",
                    field="tenantDomain",
                )

    def _send(self, connection_id: ConnectionId, kind: str) -> None:
        self.queues.send(SWEEPS, encode_sweep_order(SweepOrder(connection_id, kind=kind)))


def existing(connections: Connections, connection_id: str) -> Connection:
    """The connection; BadInput 404 when there is none."""
    connection = connections.get(ConnectionId(connection_id))
    if connection is None:
        raise _unknown()
    return connection


def _unknown() -> BadInput:
    return BadInput(
        404,
        "There is no connection with this id: see the list of connections.",
        field="connectionId",
    )


def _changed(now: Connection, change: ConnectionChange, domain: str) -> Connection:
    """The connection as it is now, with the change."""
    after = replace(
        now,
        tenant_domain=domain,
        application_id=(change.application_id or now.application_id).strip().lower(),
        mode=change.mode or now.mode,
        email_source=change.email_source or now.email_source,
        match_scope=change.match_scope or now.match_scope,
        on_leave=change.on_leave or now.on_leave,
        hold_limit=change.hold_limit or now.hold_limit,
        secret_expires_on=(
            now.secret_expires_on
            if change.secret_expires_on is None
            else change.secret_expires_on or None
        ),
    )
    another = _identity(after) != _identity(now)
    if change.application_key is not None or another:
        # What was wrong with the sign-in was wrong with the one before.
        troubles = tuple(each for each in now.troubles if each.code not in SIGN_IN_CODES)
        after = replace(after, troubles=troubles)
    if another:
        after = replace(after, tenant_id=None)
    if another and now.connected_at is not None:
        after = replace(after, connected_at=None, troubles=())
    if now.tenant_domain != after.tenant_domain:
        # Perhaps other people altogether: a person asks for the first sync again (R5).
        after = replace(after, first_sync_at=None)
    return after


def _identity(connection: Connection) -> tuple[str, str, Mode]:
    return connection.tenant_domain, connection.application_id, connection.mode


def _options(connection: Connection) -> tuple[str, str, str]:
    return connection.email_source, connection.match_scope, connection.on_leave


def plain_domain(text: str) -> str:
    """The domain name as it is kept; BadInput when it is none."""
    domain = text.strip().rstrip(".").lower()
    if not _DOMAIN.fullmatch(domain):
        raise BadInput(
            422,
            "tenantDomain must be a domain name of the tenant, such as contoso.com or "
            "contoso.onmicrosoft.com.",
            field="tenantDomain",
        )
    return domain


def _application_key(text: str) -> str:
    key = text.strip()
    if not key:
        raise BadInput(
            422,
            "applicationKey must not be empty: enter the value of a client secret of the app.",
            field="applicationKey",
        )
    if _GUID.fullmatch(key):
        raise BadInput(
            422,
            "applicationKey is the id of a client secret, not its value: copy the column Value "
            "from Certificates & secrets (it is shown only once, when the secret is made).",
            field="applicationKey",
        )
    return key
