"""Connecting a tenant (R28): from the button to the callback.

A sign-in that waits is noted as two hashes: of its state, which comes back in the address, and of a
cookie, which comes back from the same browser. A state works once and for ten minutes, whatever
comes of it.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final, Protocol

from shared.core.messages import SweepOrder, encode_sweep_order
from shared.core.model import Connection, ConnectionId, Trouble
from shared.core.signin_trouble import SIGN_IN_CODES, WRONG_TENANT
from shared.errors import BadInput, PersonMustAct, SyncError
from shared.ports import (
    SWEEPS,
    Connections,
    Now,
    PendingSignIn,
    PendingSignIns,
    Queues,
    SignIn,
    SignInStart,
)
from shared.sync.troubles import record, without

log = logging.getLogger(__name__)

_VALID_FOR: Final = timedelta(minutes=10)
_AGAIN: Final = "Open the console and press Connect again."


class Subscribing(Protocol):
    """The part of keeping subscriptions (R31) that is needed here."""

    def keep(self, connection_id: ConnectionId, *, urged: bool = False) -> None: ...


@dataclass(frozen=True, slots=True)
class Connect:
    """Begin and finish a sign-in."""

    connections: Connections
    pending: PendingSignIns
    sign_in: SignIn
    subscriptions: Subscribing
    queues: Queues
    now: Now

    def begin(self, connection_id: ConnectionId) -> SignInStart:
        """Where to send the browser, and the cookie that it must bring back.

        BadInput when there is no such connection or its tenant is connected already; PersonMustAct
        (recorded on the connection as well) when it cannot be begun.
        """
        connection = self.connections.get(connection_id)
        if connection is None:
            raise BadInput(
                404,
                "There is no connection with this id: see the list of connections.",
                field="connectionId",
            )
        try:
            connection = self._with_tenant(connection)
            start = self.sign_in.begin(connection)
        except PersonMustAct as error:
            self._record(connection, error)
            raise
        self.pending.add(
            PendingSignIn(
                state_hash=_hash(start.state),
                cookie_hash=_hash(start.cookie),
                connection_id=connection.id,
                expires_at=self.now() + _VALID_FOR,
            )
        )
        return start

    def finish(self, *, cookie: str, query: Mapping[str, str]) -> Connection:
        """The connection, connected. BadInput when this callback is none of ours."""
        connection = self._genuine(cookie, query)
        try:
            signed = self.sign_in.finish(connection, cookie=cookie, query=query)
            if signed.tenant_id.lower() != connection.tenant_id:
                raise PersonMustAct(
                    WRONG_TENANT.reason, WRONG_TENANT.next_step, code=WRONG_TENANT.code
                )
        except PersonMustAct as error:
            self._record(connection, error)
            raise
        connected = self._connected(connection)
        log.info("connected: connection=%s mode=%s", connected.id, connected.mode)
        self._begin_work(connected)
        return self.connections.get(connected.id) or connected

    def _genuine(self, cookie: str, query: Mapping[str, str]) -> Connection:
        """The connection that this callback is for; its state is used up from here on."""
        state = query.get("state", "")
        if not state:
            raise BadInput(
                400, f"This page is for the way back from Microsoft's sign-in alone. {_AGAIN}"
            )
        pending = self.pending.take(_hash(state))
        if pending is None:
            raise BadInput(400, f"This sign-in is not known here, or was used already. {_AGAIN}")
        if pending.expires_at <= self.now():
            raise BadInput(400, f"This sign-in took longer than ten minutes. {_AGAIN}")
        if not cookie or not hmac.compare_digest(_hash(cookie), pending.cookie_hash):
            raise BadInput(
                400, f"This sign-in was begun in another browser, or cookies are off. {_AGAIN}"
            )
        connection = self.connections.get(pending.connection_id)
        if connection is None:
            raise BadInput(400, "The connection that this sign-in was for has been deleted.")
        return connection

    def _with_tenant(self, connection: Connection) -> Connection:
        """The connection with the tenant that its domain belongs to now."""
        tenant = self.sign_in.tenant_id_of(connection.tenant_domain)
        for other in self.connections.list():
            if other.tenant_id == tenant and other.id != connection.id and other.connected_at:
                raise BadInput(
                    409,
                    f"The tenant of {connection.tenant_domain} is connected already, as "
                    f"{other.tenant_domain}: one connection per tenant is enough.",
                )
        if connection.tenant_id == tenant:
            return connection
        known = self.connections.update(
            connection.id, lambda current: replace(current, tenant_id=tenant)
        )
        return known or replace(connection, tenant_id=tenant)

    def _connected(self, connection: Connection) -> Connection:
        """Note the success, unless a person has made it another connection meanwhile."""
        at = self.now()

        def change(current: Connection) -> Connection:
            if _identity(current) != _identity(connection):
                return current
            return without(replace(current, connected_at=at), SIGN_IN_CODES)

        after = self.connections.update(connection.id, change)
        if after is None or _identity(after) != _identity(connection):
            raise BadInput(400, f"The connection was changed during the sign-in. {_AGAIN}")
        return after

    def _begin_work(self, connection: Connection) -> None:
        """Subscriptions and the first sweep; failing here does not undo the connect."""
        try:
            self.subscriptions.keep(connection.id)
        except SyncError as error:
            log.warning("subscriptions not made: connection=%s %s", connection.id, error.sentence)
            self._order(connection.id, "subscriptions")
        if connection.may_write:
            self._order(connection.id, "sweep")

    def _record(self, connection: Connection, error: PersonMustAct) -> None:
        """A failed attempt stops a connection that has nothing, not one that works."""
        works = connection.connected_at is not None and not any(
            trouble.blocks for trouble in connection.troubles
        )
        reason = error.sentence
        if works:
            reason = f"The last attempt to connect failed, the sign-in before it goes on: {reason}"
        trouble = Trouble(error.code, reason, error.next_step, self.now(), blocks=not works)
        record(self.connections, connection.id, trouble, seen=connection)

    def _order(self, connection_id: ConnectionId, kind: str) -> None:
        self.queues.send(SWEEPS, encode_sweep_order(SweepOrder(connection_id, kind)))


def _identity(connection: Connection) -> object:
    return (
        connection.tenant_id,
        connection.tenant_domain,
        connection.application_id,
        connection.mode,
    )


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
