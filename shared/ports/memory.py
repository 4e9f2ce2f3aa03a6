"""Remembered besides people: connections, rules, runs, activity, cursors, settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from shared.core.model import (
    Activity,
    BmsSettings,
    Connection,
    ConnectionId,
    Cursors,
    MappingRule,
    RuleId,
    Subscription,
    SyncId,
    SyncRun,
    UserId,
)


class Connections(Protocol):
    """Connections, and what hangs on them one to one."""

    def get(self, connection_id: ConnectionId) -> Connection | None: ...

    def list(self) -> list[Connection]: ...

    def add(self, connection: Connection) -> None: ...

    def update(
        self, connection_id: ConnectionId, change: Callable[[Connection], Connection]
    ) -> Connection | None:
        """Read, change, write back; repeated when somebody else wrote meanwhile. None = gone."""

    def delete(self, connection_id: ConnectionId) -> None:
        """The connection with its rules, links, cursors, subscriptions and sign-ins."""


class Rules(Protocol):
    """The rule set as edited, and the live one that decisions use (R5)."""

    def edited(self, connection_id: ConnectionId | None = None) -> list[MappingRule]: ...

    def get(self, rule_id: RuleId) -> MappingRule | None: ...

    def put(self, rule: MappingRule) -> None: ...

    def remove(self, rule: MappingRule) -> None: ...

    def replace(self, connection_id: ConnectionId, rules: Sequence[MappingRule]) -> None:
        """The whole edited set at once."""

    def live(self, connection_id: ConnectionId, version: str = "") -> list[MappingRule]:
        """The set that decisions use; a copy that was read before will do if it is this version."""

    def make_live(self, connection_id: ConnectionId, rules: Sequence[MappingRule]) -> None: ...


class ActivityLog(Protocol):
    def add(self, items: Sequence[Activity]) -> None: ...

    def list(
        self,
        *,
        connection_id: ConnectionId | None = None,
        user_id: UserId | None = None,
        kind: str | None = None,
        since: datetime | None = None,
        sync_id: SyncId | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> tuple[list[Activity], str | None]:
        """Newest first, with the next page's cursor. BadInput for a cursor that is not ours."""

    def users_of(self, sync_id: SyncId, since: datetime) -> Iterator[Sequence[tuple[UserId, str]]]:
        """Of every line of a sync that began then: whose it is, and its id; page by page."""

    def get_many(self, ids: Sequence[str]) -> Sequence[Activity]:
        """These lines, in any order; one that is not there is left out."""

    def mark_undone(self, ids: Sequence[str], by: SyncId) -> None:
        """Note on these lines which run took them back, unless one did before."""


@dataclass(frozen=True, slots=True)
class Part:
    """What became of one message of a run. Written once per part, so a repeat changes nothing."""

    sync_id: SyncId
    part: str
    done: int
    failed: int
    finished_at: datetime
    waiting_for_budget: int = 0
    finished: bool = True


class Runs(Protocol):
    """Full syncs and their progress."""

    def add(self, run: SyncRun) -> None: ...

    def get(self, sync_id: SyncId) -> SyncRun | None:
        """With the progress of its parts counted in."""

    def list(
        self,
        *,
        connection_id: ConnectionId | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> tuple[list[SyncRun], str | None]: ...

    def started(self, sync_id: SyncId, at: datetime, attempt: str) -> None:
        """Running. Only parts whose name begins with this attempt count from here on."""

    def seen(self, sync_id: SyncId, seen: int) -> None:
        """So many users were read so far."""

    def all_read(self, sync_id: SyncId, *, seen: int, unchanged: int, parts: int) -> None:
        """The reading is complete: so many users seen, so many parts queued."""

    def failed(self, sync_id: SyncId, at: datetime, reason: str) -> None: ...

    def part(self, part: Part) -> None: ...


class SweepState(Protocol):
    """Cursors and subscriptions of a connection."""

    def cursors(self, connection_id: ConnectionId) -> Cursors | None: ...

    def last_sweeps(self) -> dict[ConnectionId, datetime]:
        """When each connection's last successful sweep began."""

    def save_cursors(self, cursors: Cursors) -> bool:
        """False when somebody else saved meanwhile (etag)."""

    def subscriptions(self, connection_id: ConnectionId) -> list[Subscription]: ...

    def all_subscriptions(self) -> dict[ConnectionId, list[Subscription]]:
        """Those of every connection that has one."""

    def save_subscription(self, subscription: Subscription) -> None: ...

    def remove_subscription(self, connection_id: ConnectionId, resource: str) -> None: ...


@dataclass(frozen=True, slots=True)
class PendingSignIn:
    """A sign-in that waits for its callback; only hashes of the state and the cookie are kept."""

    state_hash: str
    cookie_hash: str
    connection_id: ConnectionId
    expires_at: datetime


class PendingSignIns(Protocol):
    def add(self, pending: PendingSignIn) -> None: ...

    def take(self, state_hash: str) -> PendingSignIn | None:
        """Remove and answer: a state works once, whoever comes first."""


class BmsSettingsStore(Protocol):
    def get(self) -> BmsSettings | None: ...

    def put(self, settings: BmsSettings) -> None: ...


@dataclass(frozen=True, slots=True)
class Window:
    """Deactivations of a connection in the moving day (R20)."""

    taken: Mapping[UserId, datetime] = field(default_factory=dict)
    base: int | None = None  # active links when the window began; None = not counted yet
    etag: str = field(default="", compare=False)


class Windows(Protocol):
    def get(self, connection_id: ConnectionId) -> Window | None: ...

    def save(self, connection_id: ConnectionId, window: Window) -> bool:
        """False when somebody else saved meanwhile (etag; "" = there was none)."""


class Archive(Protocol):
    """Everything that grows for ever."""

    def remove_before(self, moment: datetime) -> int:
        """Remove activity, ended syncs, decided holds and sign-ins from before; how many entries.

        What still has an effect stays, however old: a refusal is one until it is taken back.
        """
