"""The outside in memory: each fake holds state and fulfils one port.

A test looks at the state that results, not at which method was called. `down` makes a fake answer
everything with that error.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from shared.core.digest import LinkDigests
from shared.core.messages import (
    SweepOrder,
    UserDelta,
    decode_sweep_order,
    decode_user_delta,
)
from shared.core.model import (
    Activity,
    BmsSettings,
    Connection,
    ConnectionId,
    Cursors,
    EntraGroup,
    EntraUser,
    GroupId,
    Link,
    MappingRule,
    RuleId,
    Subscription,
    SyncId,
    SyncRun,
    UserId,
)
from shared.errors import BadInput, SyncError
from shared.ports import (
    FRESH,
    SWEEPS,
    Conflict,
    DeltaPage,
    DriftItem,
    DriftReading,
    EndpointBudget,
    Failure,
    HeldUser,
    Hold,
    Look,
    Nesting,
    Part,
    Room,
    SignedIn,
    SignInStart,
    UndoOutcome,
)

T = TypeVar("T")

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@dataclass
class Clock:
    """A clock that stands still until it is moved."""

    at: datetime = START

    def __call__(self) -> datetime:
        return self.at

    def pass_(self, span: timedelta) -> None:
        self.at += span


def counted(prefix: str) -> Callable[[], str]:
    """Ids one after the other: prefix1, prefix2 …"""
    number = 0

    def next_id() -> str:
        nonlocal number
        number += 1
        return f"{prefix}{number}"

    return next_id


def _slice(items: Sequence[T], limit: int, cursor: str | None) -> tuple[list[T], str | None]:
    if cursor is not None and not cursor.isdigit():
        raise BadInput(400, "cursor is not one of ours.", field="cursor")
    start = int(cursor or 0)
    end = start + limit
    return list(items[start:end]), str(end) if end < len(items) else None


@dataclass
class FakeConnections:
    held: dict[ConnectionId, Connection] = field(default_factory=dict)
    deleted: list[ConnectionId] = field(default_factory=list)

    def get(self, connection_id: ConnectionId) -> Connection | None:
        return self.held.get(connection_id)

    def list(self) -> list[Connection]:
        return list(self.held.values())

    def add(self, connection: Connection) -> None:
        self.held[connection.id] = connection

    def update(
        self, connection_id: ConnectionId, change: Callable[[Connection], Connection]
    ) -> Connection | None:
        if connection_id not in self.held:
            return None
        self.held[connection_id] = change(self.held[connection_id])
        return self.held[connection_id]

    def delete(self, connection_id: ConnectionId) -> None:
        self.held.pop(connection_id, None)
        self.deleted.append(connection_id)


@dataclass
class FakeRules:
    held: dict[RuleId, MappingRule] = field(default_factory=dict)
    alive: dict[ConnectionId, list[MappingRule]] = field(default_factory=dict)

    def edited(self, connection_id: ConnectionId | None = None) -> list[MappingRule]:
        rules = self.held.values()
        return [rule for rule in rules if connection_id in (None, rule.connection_id)]

    def get(self, rule_id: RuleId) -> MappingRule | None:
        return self.held.get(rule_id)

    def put(self, rule: MappingRule) -> None:
        self.held[rule.id] = rule

    def remove(self, rule: MappingRule) -> None:
        self.held.pop(rule.id, None)

    def replace(self, connection_id: ConnectionId, rules: Sequence[MappingRule]) -> None:
        for rule in self.edited(connection_id):
            self.held.pop(rule.id)
        for rule in rules:
            self.held[rule.id] = rule

    def live(self, connection_id: ConnectionId, version: str = "") -> list[MappingRule]:
        return list(self.alive.get(connection_id, []))

    def make_live(self, connection_id: ConnectionId, rules: Sequence[MappingRule]) -> None:
        self.alive[connection_id] = list(rules)


@dataclass
class FakeLinks:
    held: dict[tuple[ConnectionId, UserId], Link] = field(default_factory=dict)

    def get(self, connection_id: ConnectionId, user_id: UserId) -> Link | None:
        return self.held.get((connection_id, user_id))

    def get_many(
        self, connection_id: ConnectionId, user_ids: Sequence[UserId]
    ) -> dict[UserId, Link]:
        found = {user_id: self.get(connection_id, user_id) for user_id in user_ids}
        return {user_id: link for user_id, link in found.items() if link is not None}

    def all(self, connection_id: ConnectionId) -> Iterator[list[Link]]:
        yield self._of(connection_id)

    def digests(self, connection_id: ConnectionId) -> LinkDigests:
        digests = LinkDigests(connection_id)
        for page in self.all(connection_id):
            for link in page:
                digests.add(link)
        return digests

    def employees(self, connection_id: ConnectionId) -> list[Link]:
        return [link for link in self._of(connection_id) if link.record_type == "employee"]

    def count_active(self, connection_id: ConnectionId) -> int:
        return sum(1 for link in self._of(connection_id) if link.state == "active")

    def save(self, links: Sequence[Link]) -> dict[UserId, Link]:
        written: dict[UserId, Link] = {}
        for link in links:
            before = self.get(link.connection_id, link.user_id)
            if (before.etag if before else "") != link.etag:
                continue
            after = replace(link, etag=str(int(link.etag or 0) + 1))
            self.held[link.connection_id, link.user_id] = written[link.user_id] = after
        return written

    def remove(self, links: Sequence[Link]) -> None:
        for link in links:
            self.held.pop((link.connection_id, link.user_id), None)

    def page(
        self,
        connection_id: ConnectionId,
        *,
        state: str | None,
        text: str | None,
        limit: int,
        cursor: str | None,
    ) -> tuple[list[Link], str | None]:
        found = [
            link
            for link in self._of(connection_id)
            if (state is None or link.state == state)
            and (not text or any(text.casefold() in each.casefold() for each in _texts(link)))
        ]
        return _slice(found, limit, cursor)

    def _of(self, connection_id: ConnectionId) -> list[Link]:
        mine = [link for link in self.held.values() if link.connection_id == connection_id]
        return sorted(mine, key=lambda link: link.user_id)


def _texts(link: Link) -> tuple[str, ...]:
    return link.user_id, link.upn, link.display_name, link.address, str(link.record_id or "")


@dataclass
class FakeRuns:
    held: dict[SyncId, SyncRun] = field(default_factory=dict)
    parts: dict[tuple[SyncId, str], Part] = field(default_factory=dict)

    def add(self, run: SyncRun) -> None:
        self.held[run.id] = run

    def get(self, sync_id: SyncId) -> SyncRun | None:
        return self.held.get(sync_id)

    def list(
        self,
        *,
        connection_id: ConnectionId | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> tuple[list[SyncRun], str | None]:
        mine = [run for run in self.held.values() if connection_id in (None, run.connection_id)]
        return _slice(mine[::-1], limit, cursor)

    def started(self, sync_id: SyncId, at: datetime, attempt: str) -> None:
        self.held[sync_id] = replace(self.held[sync_id], state="running", started_at=at)

    def seen(self, sync_id: SyncId, seen: int) -> None:
        self.held[sync_id] = replace(self.held[sync_id], seen=seen)

    def all_read(self, sync_id: SyncId, *, seen: int, unchanged: int, parts: int) -> None:
        state = "waiting" if parts else "done"
        self.held[sync_id] = replace(self.held[sync_id], seen=seen, done=unchanged, state=state)

    def failed(self, sync_id: SyncId, at: datetime, reason: str) -> None:
        self.held[sync_id] = replace(
            self.held[sync_id], state="failed", finished_at=at, reason=reason
        )

    def part(self, part: Part) -> None:
        self.parts[part.sync_id, part.part] = part


@dataclass
class FakeActivityLog:
    held: list[Activity] = field(default_factory=list)

    def add(self, items: Sequence[Activity]) -> None:
        self.held += items

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
        found = [
            each
            for each in sorted(self.held, key=lambda each: each.at, reverse=True)
            if connection_id in (None, each.connection_id)
            and user_id in (None, each.user_id)
            and kind in (None, each.kind)
            and (since is None or each.at >= since)
            and sync_id in (None, each.sync_id)
        ]
        return _slice(found, limit, cursor)

    def users_of(self, sync_id: SyncId, since: datetime) -> Iterator[Sequence[tuple[UserId, str]]]:
        yield [
            (each.user_id, each.id)
            for each in self.held
            if each.sync_id == sync_id and each.user_id
        ]

    def get_many(self, ids: Sequence[str]) -> Sequence[Activity]:
        return [each for each in self.held if each.id in ids]

    def mark_undone(self, ids: Sequence[str], by: SyncId) -> None:
        self.held = [
            replace(each, undone_by=each.undone_by or by) if each.id in ids else each
            for each in self.held
        ]


@dataclass
class FakeUndoOutcomes:
    held: dict[tuple[SyncId, str], UndoOutcome] = field(default_factory=dict)

    def put(self, run: SyncId, outcomes: Sequence[UndoOutcome]) -> None:
        for each in outcomes:
            self.held.setdefault((run, each.activity_id), each)

    def get_many(self, run: SyncId, activity_ids: Sequence[str]) -> Sequence[UndoOutcome]:
        return [self.held[run, each] for each in activity_ids if (run, each) in self.held]

    def list(
        self, run: SyncId, *, limit: int, cursor: str | None = None
    ) -> tuple[Sequence[UndoOutcome], str | None]:
        return _slice([one for key, one in self.held.items() if key[0] == run], limit, cursor)


@dataclass
class FakeDrift:
    held: dict[ConnectionId, list[DriftItem]] = field(default_factory=dict)
    readings: dict[ConnectionId, DriftReading] = field(default_factory=dict)

    def reading(self, connection_id: ConnectionId) -> DriftReading:
        return self.readings.get(connection_id) or DriftReading(connection_id)

    def begin(self, connection_id: ConnectionId, now: datetime, lease: timedelta) -> bool:
        known = self.reading(connection_id)
        if known.reading_until is not None and known.reading_until > now:
            return False
        self.readings[connection_id] = replace(known, reading_until=now + lease)
        return True

    def progress(self, reading: DriftReading) -> bool:
        known = reading.connection_id in self.readings
        self.readings[reading.connection_id] = reading
        return known

    def replace_all(
        self,
        connection_id: ConnectionId,
        items: Sequence[DriftItem],
        not_compared: Collection[UserId] = (),
    ) -> None:
        kept = [one for one in self.held.get(connection_id, []) if one.user_id in not_compared]
        self.held[connection_id] = sorted([*kept, *items], key=lambda item: item.user_id)

    def remove(self, connection_id: ConnectionId) -> None:
        self.held.pop(connection_id, None)

    def list(
        self, connection_id: ConnectionId, *, text: str, limit: int, cursor: str | None
    ) -> tuple[Sequence[DriftItem], str | None]:
        sought = text.strip().casefold()
        found = [
            each
            for each in self.held.get(connection_id, [])
            if sought in f"{each.display_name} {each.account_name} {each.record_id}".casefold()
            and each.user_id > (cursor or "")
        ]
        more = found[limit - 1].user_id if len(found) > limit else None
        return found[:limit], more


@dataclass
class FakeConflicts:
    held: dict[tuple[ConnectionId, UserId], Conflict] = field(default_factory=dict)

    def put(self, conflict: Conflict) -> None:
        self.held[conflict.connection_id, conflict.user_id] = conflict

    def get(self, connection_id: ConnectionId, user_id: UserId) -> Conflict | None:
        return self.held.get((connection_id, user_id))

    def settle(self, connection_id: ConnectionId, user_id: UserId) -> None:
        found = self.held.get((connection_id, user_id))
        if found is not None and found.state == "open":
            del self.held[connection_id, user_id]

    def count_open(self) -> int:
        return sum(1 for each in self.held.values() if each.state == "open")

    def list(
        self, connection_id: ConnectionId | None = None, *, state: str | None = None
    ) -> list[Conflict]:
        return [
            each
            for each in self.held.values()
            if connection_id in (None, each.connection_id) and state in (None, each.state)
        ]


@dataclass
class FakeHolds:
    held: dict[str, Hold] = field(default_factory=dict)
    inside: dict[str, dict[UserId, HeldUser]] = field(default_factory=dict)

    def add(self, hold: Hold) -> bool:
        return self.held.setdefault(hold.id, hold) is hold

    def put(self, hold: Hold) -> None:
        self.held[hold.id] = hold

    def get(self, hold_id: str) -> Hold | None:
        return self.held.get(hold_id)

    def put_people(self, hold: Hold, people: Sequence[HeldUser]) -> None:
        self.inside.setdefault(hold.id, {}).update({one.user_id: one for one in people})

    def people(self, hold: Hold, users: Sequence[UserId] | None = None) -> list[HeldUser]:
        found = self.inside.get(hold.id, {}).values()
        return [one for one in found if users is None or one.user_id in users]

    def people_page(
        self, hold: Hold, *, limit: int, after: UserId | None
    ) -> tuple[list[HeldUser], UserId | None]:
        people = sorted(self.people(hold), key=lambda one: one.user_id)
        left = [one for one in people if after is None or one.user_id > after]
        return left[:limit], left[limit - 1].user_id if len(left) > limit else None

    def tally(self, hold: Hold) -> dict[str, int]:
        return Counter(one.state for one in self.people(hold))

    def count_waiting(self, holds: Sequence[Hold]) -> int:
        return sum(self.tally(hold).get("waiting", 0) for hold in holds)

    def list(
        self, *, connection_id: ConnectionId | None = None, state: str | None = None
    ) -> list[Hold]:
        return [
            each
            for each in reversed(self.held.values())
            if connection_id in (None, each.connection_id) and state in (None, each.state)
        ]


@dataclass
class FakeBudget:
    """As much as is asked for, unless told otherwise."""

    endpoints: list[EndpointBudget] = field(default_factory=list)
    waits: timedelta = timedelta(0)
    leavers: datetime | None = None
    finishes: datetime = START

    def view(self) -> list[EndpointBudget]:
        return self.endpoints

    def finish(self, endpoints: Sequence[str], calls: int, pace: timedelta) -> datetime:
        return self.finishes

    def bulk_room(self, endpoints: Sequence[str], calls: int) -> Room:
        return Room(0 if self.waits else calls, self.waits)

    def bulk_plenty(self, endpoints: Sequence[str], calls: int) -> bool:
        return not self.waits

    def note_leavers(self, until: datetime) -> None:
        self.leavers = until

    def leavers_until(self) -> datetime | None:
        return self.leavers


@dataclass
class FakeFailures:
    held: list[Failure] = field(default_factory=list)

    def add(self, *failures: Failure) -> None:
        self.held[:0] = reversed(failures)

    def get(self, failure_id: str) -> Failure | None:
        return next((each for each in self.held if each.id == failure_id), None)

    def remove(self, failure_ids: Sequence[str]) -> None:
        self.held = [each for each in self.held if each.id not in failure_ids]

    def count(self) -> int:
        return len(self.held)

    def list(self) -> list[Failure]:
        return list(self.held)


@dataclass
class FakeSweepState:
    kept: dict[ConnectionId, Cursors] = field(default_factory=dict)
    held: dict[tuple[ConnectionId, str], Subscription] = field(default_factory=dict)

    def cursors(self, connection_id: ConnectionId) -> Cursors | None:
        return self.kept.get(connection_id)

    def last_sweeps(self) -> dict[ConnectionId, datetime]:
        return {
            connection_id: cursors.swept_at
            for connection_id, cursors in self.kept.items()
            if cursors.swept_at is not None
        }

    def save_cursors(self, cursors: Cursors) -> bool:
        before = self.kept.get(cursors.connection_id)
        if (before.etag if before else "") != cursors.etag:
            return False
        etag = str(int(cursors.etag or 0) + 1)
        self.kept[cursors.connection_id] = replace(cursors, etag=etag)
        return True

    def subscriptions(self, connection_id: ConnectionId) -> list[Subscription]:
        return [each for each in self.held.values() if each.connection_id == connection_id]

    def all_subscriptions(self) -> dict[ConnectionId, list[Subscription]]:
        found: dict[ConnectionId, list[Subscription]] = {}
        for each in self.held.values():
            found.setdefault(each.connection_id, []).append(each)
        return found

    def save_subscription(self, subscription: Subscription) -> None:
        self.held[subscription.connection_id, subscription.resource] = subscription

    def remove_subscription(self, connection_id: ConnectionId, resource: str) -> None:
        self.held.pop((connection_id, resource), None)


@dataclass
class FakeBmsSettings:
    held: BmsSettings | None = None
    down: SyncError | None = None

    def get(self) -> BmsSettings | None:
        if self.down:
            raise self.down
        return self.held

    def put(self, settings: BmsSettings) -> None:
        if self.down:
            raise self.down
        self.held = settings


@dataclass
class FakeVault:
    held: dict[str, str] = field(default_factory=dict)
    down: SyncError | None = None

    def get(self, name: str, *, fresh: bool = False) -> str | None:
        if self.down:
            raise self.down
        return self.held.get(name)

    def put(self, name: str, value: str) -> None:
        if self.down:
            raise self.down
        self.held[name] = value

    def delete(self, name: str) -> None:
        if self.down:
            raise self.down
        self.held.pop(name, None)


@dataclass
class FakeQueues:
    """`sent` holds (queue, text, delay) in the order of sending."""

    sent: list[tuple[str, str, timedelta | None]] = field(default_factory=list)
    down: SyncError | None = None

    def send(self, queue: str, text: str, delay: timedelta | None = None) -> None:
        if self.down:
            raise self.down
        self.sent.append((queue, text, delay))

    def backlog(self) -> dict[str, int]:
        names = [queue for queue, _, _ in self.sent]
        return {name: names.count(name) for name in sorted(set(names))}

    @property
    def sweep_orders(self) -> list[tuple[SweepOrder, timedelta | None]]:
        return [
            (decode_sweep_order(text), wait) for name, text, wait in self.sent if name == SWEEPS
        ]

    @property
    def fresh(self) -> list[UserDelta]:
        return [decode_user_delta(text) for name, text, _ in self.sent if name == FRESH]


@dataclass
class FakeSignIn:
    tenants: dict[str, str] = field(default_factory=dict)
    forgotten: list[ConnectionId] = field(default_factory=list)

    def tenant_id_of(self, domain: str) -> str:
        return self.tenants[domain]

    def begin(self, connection: Connection) -> SignInStart:
        return SignInStart("https://login.example/authorize", "state", "cookie")

    def finish(self, connection: Connection, *, cookie: str, query: Mapping[str, str]) -> SignedIn:
        return SignedIn(self.tenants[connection.tenant_domain])

    def token(self, connection: Connection, *, fresh: bool = False) -> str:
        return "token"

    def forget(self, connection_id: ConnectionId) -> None:
        self.forgotten.append(connection_id)


@dataclass
class FakeDirectory:
    """One tenant: users, groups, and who is in which group (users or groups, direct)."""

    tenant_id: str = "0a1b2c3d-0000-4000-8000-0000000000ff"
    users: dict[UserId, EntraUser] = field(default_factory=dict)
    held_groups: dict[GroupId, EntraGroup] = field(default_factory=dict)
    inside: dict[GroupId, set[str]] = field(default_factory=dict)
    subscribed: dict[str, str] = field(default_factory=dict)
    managed_by: dict[UserId, UserId] = field(default_factory=dict)
    refused: dict[str, SyncError] = field(default_factory=dict)
    down: SyncError | None = None

    def organization_id(self) -> str:
        return self.tenant_id

    def find_user(self, id_or_upn: str) -> EntraUser | None:
        self._answer()
        wanted = id_or_upn.casefold()
        for user in self.users.values():
            if wanted in (user.id, user.upn.casefold()):
                return user
        return None

    def users_named(self, text: str) -> list[EntraUser]:
        self._answer()
        wanted = text.casefold()
        return [
            user
            for user in self.users.values()
            if wanted in (user.upn.casefold(), user.mail.casefold(), user.display_name.casefold())
            or f"smtp:{wanted}" in [each.casefold() for each in user.proxy_addresses]
        ]

    def nesting(self, user: UserId, tops: Collection[GroupId]) -> Nesting:
        self._answer()
        holders = {group for group in self.inside if user in self._everybody(group)}
        return Nesting(
            frozenset(group for group in holders if user in self.inside[group]),
            {group: self.held_groups[group].name for group in holders if group in self.held_groups},
            {
                group: frozenset(above for above in holders if group in self.inside[above])
                for group in holders
            },
        )

    def refused_reads(self) -> dict[str, SyncError]:
        self._answer()
        return dict(self.refused)

    def search_users(self, text: str, limit: int) -> list[EntraUser]:
        self._answer()
        sought = text.casefold()
        return [
            user
            for user in self.users.values()
            if any(sought in each.casefold() for each in (user.display_name, user.upn, user.id))
        ][:limit]

    def search_groups(self, text: str, limit: int) -> list[EntraGroup]:
        self._answer()
        sought = text.casefold()
        return [
            group
            for group in self.held_groups.values()
            if sought in group.name.casefold() or sought == group.id
        ][:limit]

    def groups(self, ids: Sequence[GroupId]) -> dict[GroupId, EntraGroup | SyncError | None]:
        self._answer()
        return {group_id: self.held_groups.get(group_id) for group_id in ids}

    def look(
        self, users: Sequence[UserId], groups: Sequence[GroupId], *, direct: bool
    ) -> dict[UserId, Look | SyncError]:
        self._answer()
        looks: dict[UserId, Look | SyncError] = {}
        for user_id in users:
            near = frozenset(one for one in groups if user_id in self.inside.get(one, ()))
            far = frozenset(one for one in groups if user_id in self._everybody(one))
            looks[user_id] = Look(self.users.get(user_id), far, near if direct else frozenset())
        return looks

    def managers(self, users: Sequence[UserId]) -> dict[UserId, UserId | SyncError | None]:
        self._answer()
        return {user: self.managed_by.get(user) for user in users}

    def members(self, group: GroupId, *, nested: bool) -> Iterator[list[EntraUser]]:
        self._answer()
        ids = self._everybody(group) if nested else self.inside.get(group, set())
        yield [self.users[UserId(one)] for one in sorted(ids) if one in self.users]

    def nested_groups(self, group: GroupId) -> set[GroupId]:
        self._answer()
        return {GroupId(one) for one in self._everybody(group) if one in self.held_groups}

    def start_cursor(self, resource: str) -> str:
        return f"https://graph.example/{resource}/delta?$deltatoken=1"

    def delta(self, link: str) -> Iterator[DeltaPage]:
        yield DeltaPage((), cursor=link)

    def create_subscription(
        self, resource: str, *, notify: str, lifecycle: str, client_state: str, expires: datetime
    ) -> tuple[str, datetime]:
        self._answer()
        self.subscribed[f"sub-{resource}"] = resource
        return f"sub-{resource}", expires

    def extend_subscription(self, subscription_id: str, expires: datetime) -> datetime | None:
        return expires if subscription_id in self.subscribed else None

    def subscription_exists(self, subscription_id: str) -> bool:
        return subscription_id in self.subscribed

    def delete_subscription(self, subscription_id: str) -> None:
        self.subscribed.pop(subscription_id, None)

    def _everybody(self, group: GroupId) -> set[str]:
        found: set[str] = set()
        left = [str(group)]
        while left:
            new = self.inside.get(GroupId(left.pop()), set()) - found
            found |= new
            left += new
        return found

    def _answer(self) -> None:
        if self.down:
            raise self.down


@dataclass
class FakeDirectories:
    """Every connection opens the same tenant, unless it has one of its own in `by_connection`."""

    directory: FakeDirectory = field(default_factory=FakeDirectory)
    by_connection: dict[ConnectionId, FakeDirectory] = field(default_factory=dict)

    def open(self, connection: Connection) -> FakeDirectory:
        return self.by_connection.get(connection.id, self.directory)


@dataclass
class FakeSubscriptions:
    """Keeps no subscriptions, but notes for which connections they were taken down."""

    removed: list[ConnectionId] = field(default_factory=list)
    down: SyncError | None = None

    def remove(self, connection: Connection) -> None:
        if self.down:
            raise self.down
        self.removed.append(connection.id)
