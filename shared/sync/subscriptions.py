"""Keeping Graph's change-notification subscriptions (R31).

Two for each connection: users and groups. Delegated: Graph delivers only as long as the token that
a subscription was last extended with, so it is extended every half hour with a fresh one, by PATCH
alone. Application: extended when half of its life is over, and looked at every hour in between.
One that Graph no longer knows is made anew, and a sweep finds what went past meanwhile.

Without notifications everything still works, a minute later: trouble here never blocks.
"""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from shared.config import Settings
from shared.core.messages import SweepOrder, encode_sweep_order
from shared.core.model import Connection, ConnectionId, Mode, Subscription, Trouble
from shared.core.signin_trouble import PERMISSIONS, SIGN_IN_CODES
from shared.errors import PersonMustAct, SyncError
from shared.ports import (
    SWEEPS,
    Connections,
    Directories,
    Directory,
    Now,
    Queues,
    SweepState,
    Vault,
    client_state,
)
from shared.sync.troubles import clear, record, trouble_of

log = logging.getLogger(__name__)

RESOURCES: Final = ("users", "groups")
CODE: Final = "subscription"
# The most that Graph gives is just under 29 days, counted by Graph's clock.
LIFE: Final = timedelta(days=28) - timedelta(hours=1)
_EXTEND_DELEGATED: Final = timedelta(minutes=30)
_LOOK_APPLICATION: Final = timedelta(hours=1)
_JUST_NOW: Final = timedelta(minutes=5)  # the same order may come twice


@dataclass(frozen=True, slots=True)
class KeepSubscriptions:
    """The use case behind connect, pause, delete, the timer and lifecycle notifications."""

    connections: Connections
    state: SweepState
    directories: Directories
    vault: Vault
    settings: Settings
    queues: Queues
    now: Now

    def keep_all(self) -> int:
        """The timer: order work for each connection that needs some; how many do."""
        due = [
            connection
            for connection in self.connections.list()
            if connection.may_read and self._is_due(connection)
        ]
        for connection in due:
            self._order(connection.id, "subscriptions")
        return len(due)

    def keep(self, connection_id: ConnectionId, *, urged: bool = False) -> None:
        """Both subscriptions exist and live on. `urged`: Graph itself asks for it (lifecycle).

        What needs a person is recorded on the connection; passing trouble is raised.
        """
        connection = self.connections.get(connection_id)
        if connection is None or not connection.may_read:
            return
        directory = self.directories.open(connection)
        stored = {each.resource: each for each in self.state.subscriptions(connection_id)}
        secret, is_new = self._client_state(connection_id)
        lost = False
        refused: PersonMustAct | None = None
        failed: SyncError | None = None
        for resource in RESOURCES:
            known = stored.get(resource)
            try:
                if known is not None and is_new:
                    # It would send a secret that nobody holds any more.
                    directory.delete_subscription(known.id)
                    known, lost = None, True
                if known is None:
                    self._create(connection, directory, resource, secret)
                elif not self._lives_on(connection, directory, known, urged):
                    lost = True
                    self._create(connection, directory, resource, secret)
            except PersonMustAct as error:
                refused = error
            except SyncError as error:
                failed = error
        if lost and connection.may_write:
            self._order(connection_id, "sweep")
        if refused is not None:
            self._record(connection, refused)
        elif failed is None:
            clear(self.connections, connection_id, {CODE})
        if failed is not None:
            raise failed

    def remove(self, connection: Connection) -> None:
        """Remove both at Graph. What cannot be removed stays noted, and is raised at the end."""
        directory = self.directories.open(connection)
        failed: SyncError | None = None
        for subscription in self.state.subscriptions(connection.id):
            try:
                directory.delete_subscription(subscription.id)
            except SyncError as error:
                failed = error
            else:
                self.state.remove_subscription(connection.id, subscription.resource)
        if failed is not None:
            raise failed

    def _is_due(self, connection: Connection) -> bool:
        every = _EXTEND_DELEGATED if connection.mode is Mode.DELEGATED else _LOOK_APPLICATION
        stored = {each.resource: each for each in self.state.subscriptions(connection.id)}
        now = self.now()
        return any(
            resource not in stored or now - stored[resource].extended_at >= every
            for resource in RESOURCES
        )

    def _create(
        self, connection: Connection, directory: Directory, resource: str, secret: str
    ) -> None:
        made_at = self.now()
        subscription_id, expires = directory.create_subscription(
            resource,
            notify=self.settings.webhook_url(connection.id),
            lifecycle=self.settings.webhook_url(connection.id, lifecycle=True),
            client_state=secret,
            expires=made_at + LIFE,
        )
        self._save(connection.id, resource, subscription_id, expires, made_at)

    def _lives_on(
        self, connection: Connection, directory: Directory, known: Subscription, urged: bool
    ) -> bool:
        """Extend it, or look at it, as is due; False when Graph no longer knows it."""
        at = self.now()
        if at - known.extended_at < _JUST_NOW:
            # Extending twice would break Graph's ten minutes; looking does no harm.
            return not urged or directory.subscription_exists(known.id)
        half_gone = known.expires_at - at < LIFE / 2
        if connection.mode is Mode.APPLICATION and not (urged or half_gone):
            if not directory.subscription_exists(known.id):
                return False
            # Noted as the last time that Graph confirmed it, so that the next look is in an hour.
            self._save(connection.id, known.resource, known.id, known.expires_at, at)
            return True
        try:
            expires = directory.extend_subscription(known.id, at + LIFE)
        except PersonMustAct as error:
            if error.code != PERMISSIONS.code:
                raise
            # It may belong to the account that was signed in before: out of reach for this one.
            # If a permission is missing indeed, making it anew says so.
            return False
        if expires is None:
            return False
        self._save(connection.id, known.resource, known.id, expires, at)
        return True

    def _save(
        self,
        connection_id: ConnectionId,
        resource: str,
        subscription_id: str,
        expires: datetime,
        at: datetime,
    ) -> None:
        self.state.save_subscription(
            Subscription(connection_id, resource, subscription_id, expires, at)
        )

    def _client_state(self, connection_id: ConnectionId) -> tuple[str, bool]:
        """The secret that Graph sends back, made when there is none; and whether it was made."""
        name = client_state(connection_id)
        secret = self.vault.get(name)
        if secret:
            return secret, False
        made = secrets.token_urlsafe(32)
        self.vault.put(name, made)
        # Another worker may have made one at the same moment: the vault's is the one that counts.
        return self.vault.get(name, fresh=True) or made, True

    def _record(self, connection: Connection, error: PersonMustAct) -> None:
        log.warning("subscriptions refused: connection=%s code=%s", connection.id, error.code)
        if error.code in SIGN_IN_CODES:
            trouble = trouble_of(error, self.now())
        else:
            trouble = Trouble(
                CODE,
                f"{error.sentence} Until that is mended, changes are found by sweeps every minute.",
                error.next_step,
                self.now(),
            )
        record(self.connections, connection.id, trouble, seen=connection)

    def _order(self, connection_id: ConnectionId, kind: str) -> None:
        self.queues.send(SWEEPS, encode_sweep_order(SweepOrder(connection_id, kind)))
