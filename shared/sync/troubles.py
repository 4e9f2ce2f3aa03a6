"""What a connection suffers from (R30): recorded once, cleared when mended.

Every sweep of a connection in trouble meets the same trouble again; nothing is written unless
something changes.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta

from shared.core.model import Connection, ConnectionId, Trouble
from shared.core.signin_trouble import SIGN_IN_CODES
from shared.errors import PersonMustAct, SyncError, TryLater
from shared.ports import Connections


def trouble_of(error: PersonMustAct, since: datetime) -> Trouble:
    """An error as a trouble. Without a sign-in or permission nothing can be read: that blocks."""
    return Trouble(error.code, error.sentence, error.next_step, since, error.code in SIGN_IN_CODES)


def record(
    connections: Connections,
    connection_id: ConnectionId,
    trouble: Trouble,
    *,
    seen: Connection | None = None,
) -> None:
    """Put a trouble on the connection, in place of an older one of the same code.

    `seen` is the connection as the failed work had read it: if somebody has connected it anew since
    then, the trouble is already out of date and nothing is recorded.
    """
    now = connections.get(connection_id)
    if now is None or _with(now, trouble, seen) == now:
        return
    connections.update(connection_id, lambda current: _with(current, trouble, seen))


def as_later(
    connections: Connections, seen: Connection, error: SyncError, at: datetime, wait: timedelta
) -> SyncError:
    """Trouble that is not one user's: a person hears of it, and the work waits."""
    if not isinstance(error, PersonMustAct):
        return error
    record(connections, seen.id, trouble_of(error, at), seen=seen)
    return TryLater(error.sentence, wait, counts=False)


def clear(connections: Connections, connection_id: ConnectionId, codes: Collection[str]) -> None:
    """Take troubles of these codes off the connection."""
    now = connections.get(connection_id)
    if now is None or without(now, codes) == now:
        return
    connections.update(connection_id, lambda current: without(current, codes))


def clear_seen(connections: Connections, connection: Connection, codes: Collection[str]) -> None:
    """The same, without asking the tables when `connection`, as read before, has none of them."""
    if any(trouble.code in codes for trouble in connection.troubles):
        clear(connections, connection.id, codes)


def without(connection: Connection, codes: Collection[str]) -> Connection:
    """The connection without troubles of these codes."""
    kept = tuple(trouble for trouble in connection.troubles if trouble.code not in codes)
    return connection if kept == connection.troubles else replace(connection, troubles=kept)


def _with(connection: Connection, trouble: Trouble, seen: Connection | None) -> Connection:
    if seen is not None and seen.connected_at != connection.connected_at:
        return connection
    for old in connection.troubles:
        if old.code == trouble.code:
            trouble = replace(trouble, since=old.since)
            if old == trouble:
                return connection
    others = without(connection, {trouble.code}).troubles
    return replace(connection, troubles=(*others, trouble))
