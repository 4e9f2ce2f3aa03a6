"""How far a connection is on the way from nothing to its first synced person.

The guide shows every step of it; a connection's own page shows the one that is next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shared.core.model import GOING_ON
from shared.web.api.bms import BmsShown
from shared.web.api.connections import ConnectionList, ConnectionShown
from shared.web.api.mapping_rules import RuleList
from shared.web.api.syncs import SyncList, SyncShown
from shared.web.console.inside import Inside, at

STEPS = ("bms", "add", "connect", "rules", "check", "sync", "people")
_NEWEST = 100
_RUNS = 50
_LATELY = 200


@dataclass(frozen=True, slots=True)
class SetUp:
    """What is done already, for one connection or for none yet."""

    bms: BmsShown
    connection: ConnectionShown | None = None
    rules: int = 0  # enabled ones
    runs: Sequence[SyncShown] = ()  # newest first

    @property
    def full_sync(self) -> SyncShown | None:
        """The newest full sync."""
        return next((run for run in self.runs if run.kind == "full"), None)

    @property
    def synced(self) -> bool:
        """Whether the first sync has come to its end."""
        return self.connection is not None and _is_synced(self.connection, self.runs)

    def is_done(self, step: str) -> bool:
        """Whether this step is behind."""
        connection = self.connection
        match step:
            case "bms":
                return bool(self.bms.tenant) and self.bms.has_password
            case "add":
                return connection is not None
            case "connect":
                return connection is not None and is_connected(connection)
            case "rules":
                return self.rules > 0
            case "check":
                return connection is not None and connection.first_sync_at is not None
            case _:
                return self.synced

    @property
    def next(self) -> str:
        """The first step that is not done; empty when all are."""
        return next((step for step in STEPS if not self.is_done(step)), "")

    def state(self, step: str) -> str:
        """Of one step: done, now or later."""
        if self.is_done(step):
            return "done"
        return "now" if step == self.next else "later"


def is_connected(connection: ConnectionShown) -> bool:
    """Whether its tenant can be read: connected once, and nothing stands in the way since."""
    return connection.connected_at is not None and not any(
        trouble.blocks for trouble in connection.troubles
    )


def goes_on(run: SyncShown) -> bool:
    """Whether its figures may still change."""
    return run.state in GOING_ON


def set_up_of(api: Inside, connection: ConnectionShown | None) -> SetUp:
    """How far this connection is; without one, whether BMS can be reached at all."""
    bms = api.get(BmsShown, "/api/settings/bms")
    if connection is None:
        return SetUp(bms)
    rules = api.get(RuleList, "/api/mapping-rules", connectionId=connection.id, limit=1000).items
    return SetUp(
        bms,
        connection,
        sum(1 for rule in rules if rule.enabled),
        runs_of(api, connection.id),
    )


def runs_of(api: Inside, connection_id: str) -> list[SyncShown]:
    """The newest syncs of the connection."""
    return api.get(SyncList, "/api/syncs", connectionId=connection_id, limit=_RUNS).items


def newest_unfinished(api: Inside) -> tuple[ConnectionShown | None, ConnectionShown | None]:
    """The connection that the guide is about, and the newest of all, finished or not."""
    newest = api.get(ConnectionList, "/api/connections", order="newest", limit=_NEWEST).items
    if not newest:
        return None, None
    lately = api.get(SyncList, "/api/syncs", limit=_LATELY).items
    for each in newest:
        runs = [run for run in lately if run.connection_id == each.id]
        if each.state != "paused" and not _is_synced(each, runs):
            return each, newest[0]
    return None, newest[0]


def connection_of(api: Inside, connection_id: str) -> ConnectionShown:
    """One connection; Refused when there is none."""
    return api.get(ConnectionShown, at("/api/connections/{}", connection_id))


def _is_synced(connection: ConnectionShown, runs: Sequence[SyncShown]) -> bool:
    if connection.first_sync_at is None:
        return False
    full = [run for run in runs if run.kind == "full"]
    # A sync that ended long ago is no longer among them.
    return not full or any(run.state == "done" for run in full)
