"""Read a connection's delta queries and queue whom they name (R21 to R23).

What a delta page says is a hint: it names users, and the decision is made later from a direct look.
A change in a group concerns its members; a change in a nested group concerns everybody below it.
The cursor is saved last, when everything read with it is safely queued.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from shared.core.messages import (
    SweepOrder,
    UserDelta,
    encode_sweep_order,
    encode_user_delta,
    pack,
)
from shared.core.model import (
    Connection,
    ConnectionId,
    Cursors,
    GroupId,
    MappingRule,
    Origin,
    SyncId,
    SyncRun,
    UserId,
    goes_on,
)
from shared.core.signin_trouble import SIGN_IN_CODES
from shared.core.trouble_texts import GROUPS
from shared.errors import DecideAgain, PersonMustAct, SyncError, TryLater
from shared.ports import (
    FRESH,
    SWEEPS,
    Connections,
    CursorDead,
    DeltaItem,
    Directories,
    Directory,
    NewId,
    Now,
    Queues,
    Rules,
    Runs,
    SweepState,
)
from shared.sync import troubles
from shared.sync.full_sync import FullSync
from shared.sync.group_check import SECOND_LOOK
from shared.sync.subscriptions import KeepSubscriptions

log = logging.getLogger(__name__)

# A notification may come before the delta query shows the change (graph.md 3.7).
_LOOK_AGAIN = (2, 5, 15, 45)
_BACK_OFF = (5, 15, 60, 120, 300)
_MOST_TRIES = 30
_EDIT_SETTLES = timedelta(minutes=2)
_FULL_SYNCS_AT_ONCE = 2
_AT_ONCE = ("preview", "undo", "drift")  # one each: they must not keep anybody from his sweep
_SLOT_WAIT = timedelta(seconds=5)
_HEALED_BY_READING = frozenset({"graph-refused", "rejected"})
_PROBE_EVERY = timedelta(minutes=15)
_JUST_READ = timedelta(seconds=10)


@dataclass(slots=True)
class _Found:
    """What one round of both delta queries names."""

    users: dict[UserId, None] = field(default_factory=dict)
    members: dict[UserId, None] = field(default_factory=dict)
    shown: set[GroupId] = field(default_factory=set)
    nested: set[GroupId] = field(default_factory=set)
    compare_all: bool = False
    users_link: str = ""
    groups_link: str = ""


@dataclass(frozen=True)
class Sweep:
    """The use case behind the queue of sweep orders, and the timer that fills it."""

    connections: Connections
    rules: Rules
    runs: Runs
    state: SweepState
    directories: Directories
    queues: Queues
    full_sync: FullSync
    subscriptions: KeepSubscriptions
    orders: Mapping[str, Callable[[SweepOrder], None]]  # of other use cases, by kind
    new_id: NewId
    now: Now
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _full_slots: threading.Semaphore = field(
        default_factory=lambda: threading.Semaphore(_FULL_SYNCS_AT_ONCE), repr=False
    )
    _slots: Mapping[str, threading.Semaphore] = field(
        default_factory=lambda: {kind: threading.Semaphore(1) for kind in _AT_ONCE}, repr=False
    )
    _running: dict[ConnectionId, list[SweepOrder]] = field(default_factory=dict, repr=False)
    _ordered: dict[ConnectionId, tuple[Connection, datetime]] = field(
        default_factory=dict, repr=False
    )

    # --- the timer -----------------------------------------------------------------------------

    def order_due(self) -> int:
        """Queue a sweep for every connection that may be read; answers how many."""
        ordered = 0
        trouble: SyncError | None = None
        for connection in self.connections.list():
            if connection.first_sync_at is None or connection.paused:
                continue
            try:
                ordered += self._order_one(connection)
            except SyncError as error:
                trouble = error  # the connections behind this one are ordered all the same (R24)
        if trouble is not None:
            raise trouble
        return ordered

    def _order_one(self, connection: Connection) -> int:
        if connection.may_write and self._edit_is_forgotten(connection):
            rules = SweepOrder(connection.id, "rules", stamp=connection.rules_edited_at)
            self.queues.send(SWEEPS, encode_sweep_order(rules))
        if not connection.may_write and not self._probe_due(connection):
            return 0
        self._ordered[connection.id] = connection, self.now()
        self.queues.send(SWEEPS, encode_sweep_order(SweepOrder(connection.id, "sweep")))
        return 1

    def _edit_is_forgotten(self, connection: Connection) -> bool:
        """An edit that never came to an end: paused, refused, or a worker died (R5)."""
        edited = connection.rules_edited_at
        if edited is None or self.now() - edited < _EDIT_SETTLES:
            return False
        if connection.compared_edit is not None and connection.compared_edit >= edited:
            return False
        return not self._full_goes_on(connection)

    def _full_goes_on(self, connection: Connection) -> bool:
        runs, _ = self.runs.list(connection_id=connection.id, limit=20)
        return any(run.kind in ("full", "rules") and goes_on(run, self.now()) for run in runs)

    def _probe_due(self, connection: Connection) -> bool:
        """A blocked connection is tried now and then: the cause may be mended elsewhere."""
        if connection.connected_at is None:
            return False
        blocked = [trouble.since for trouble in connection.troubles if trouble.blocks]
        if not blocked:
            return False
        minutes = int((self.now() - min(blocked)).total_seconds() // 60)
        return minutes > 0 and minutes % int(_PROBE_EVERY.total_seconds() // 60) == 0

    # --- the queue -----------------------------------------------------------------------------

    def handle(self, order: SweepOrder) -> None:
        """Carry one order out; what fails for now comes back with a delay."""
        connection = self._just_read(order) or self.connections.get(order.connection_id)
        if connection is None:
            return
        whole = order.kind in ("full", "rules")
        slots = self._full_slots if whole else self._slots.get(order.kind)
        if slots is None:
            self._handle(connection, order)
            return
        if not slots.acquire(blocking=False):
            # Waiting here would keep a place of the queue from everybody's sweeps.
            self.queues.send(SWEEPS, encode_sweep_order(order), _SLOT_WAIT)
            return
        try:
            self._handle(connection, order)
        finally:
            slots.release()

    def _just_read(self, order: SweepOrder) -> Connection | None:
        """The connection as the timer has just read it in this process.

        An idle sweep needs no newer one: it only asks, and what it finds is decided by the
        connection as it is then.
        """
        if order != SweepOrder(order.connection_id, "sweep"):
            return None
        connection, at = self._ordered.pop(order.connection_id, (None, None))
        if connection is None or at is None or self.now() - at > _JUST_READ:
            return None
        return connection

    def _handle(self, connection: Connection, order: SweepOrder) -> None:
        if order.kind == "rules" and order.sync is None:
            if not _is_last_edit(connection, order):
                return
            reason = "mapping rules were edited"
            order = replace(order, sync=self._new_run(connection.id, "rules", reason))
        if order.kind == "full" and order.sync is None:
            order = replace(order, sync=self._new_run(connection.id, "full", "was replayed"))
        try:
            self._carry_out(connection, order)
        except SyncError as error:
            self._later(connection, order, error)

    def _carry_out(self, connection: Connection, order: SweepOrder) -> None:
        match order.kind:
            case "full":
                if order.sync is not None:
                    self.full_sync.run(order, order.sync, Origin.FULL)
            case "rules":
                if order.sync is not None:
                    self.full_sync.run(order, order.sync, Origin.RULES)
            case "subscriptions":
                # A lifecycle event carries its time; it wants a fresh token at once (R31).
                self.subscriptions.keep(connection.id, urged=order.signal_at is not None)
            case kind if kind in self.orders:
                self.orders[kind](order)
            case _:
                self._one_at_a_time(connection, order)

    def _new_run(self, connection_id: ConnectionId, kind: str, reason: str) -> SyncId:
        sync_id = SyncId(self.new_id())
        self.runs.add(SyncRun(sync_id, connection_id, kind, "queued", self.now(), reason))
        return sync_id

    def _later(self, connection: Connection, order: SweepOrder, error: SyncError) -> None:
        if isinstance(error, PersonMustAct):
            trouble = troubles.trouble_of(error, self.now())
            troubles.record(self.connections, connection.id, trouble, seen=connection)
            if order.sync is not None:
                self.runs.failed(
                    order.sync, self.now(), f"{error.sentence} {error.next_step}".strip()
                )
            return
        if order.kind == "sweep" and order.sync is None and not order.groups:
            log.warning("sweep failed connection=%s: %s", connection.id, error.sentence)
            return  # the timer orders the next one
        counts = not isinstance(error, TryLater) or error.counts
        tries = order.tries + int(counts)
        if tries > _MOST_TRIES:
            if order.sync is not None:
                self.runs.failed(order.sync, self.now(), error.sentence)
            return
        asked = error.after if isinstance(error, TryLater) else None
        delay = asked or timedelta(seconds=_BACK_OFF[min(tries, len(_BACK_OFF) - 1)])
        self.queues.send(SWEEPS, encode_sweep_order(replace(order, tries=tries)), delay)

    # --- one sweep -----------------------------------------------------------------------------

    def _one_at_a_time(self, connection: Connection, order: SweepOrder) -> None:
        """One delta round at a time per connection (graph.md 3.9).

        An order that finds one running asks it to go round once more instead of running beside it:
        a burst of group changes becomes a few rounds. Should this process die, the timer's next
        sweep finds what was asked for.
        """
        with self._lock:
            if connection.id in self._running:
                self._running[connection.id].append(order)
                return
            self._running[connection.id] = []
        put_back: list[SweepOrder] = []
        current: SweepOrder | None = order
        try:
            while current is not None:
                try:
                    self._sweep(connection, current)
                except SyncError as error:
                    self._later(connection, current, error)
                with self._lock:
                    waiting = self._running[connection.id]
                    # Those of a person keep their own progress, so they are not merged.
                    put_back += [one for one in waiting if one.sync is not None]
                    current = _merged([one for one in waiting if one.sync is None])
                    if current is None:
                        del self._running[connection.id]
                    else:
                        self._running[connection.id] = []
        finally:
            with self._lock:
                put_back += self._running.pop(connection.id, []) if current is not None else []
            for one in put_back:
                self.queues.send(SWEEPS, encode_sweep_order(one), timedelta(seconds=1))

    def _sweep(self, connection: Connection, order: SweepOrder) -> None:
        if connection.first_sync_at is None or connection.paused or not connection.connected_at:
            self._end(order, 0)
            return
        cursors = self.state.cursors(connection.id)
        if cursors is None:
            self._end(order, 0)
            return  # its first full sync, which begins the cursors, is still under way
        if not (cursors.users_link and cursors.groups_link):
            self._renew(connection)
            self._end(order, 0)
            return
        if order.groups and not cursors.tracked_groups.intersection(order.groups):
            return  # a group that no rule has anything to do with
        began = self.now()
        directory = self.directories.open(connection)
        try:
            found = self._read(directory, cursors)
        except CursorDead:
            self._start_over(connection, cursors)
            self._end(order, 0)
            return
        delta = UserDelta(
            connection.id,
            (),
            Origin.SWEEP,
            signal_at=order.signal_at or cursors.swept_at or began,
            upper_bound=order.signal_at is None,
            membership=bool(found.members),
        )
        named = {**found.users, **found.members}
        if named and self._overtaken(cursors):
            self._end(order, 0)
            return  # another instance has read the same, and queued it
        for message in pack(delta, named):
            self.queues.send(FRESH, encode_user_delta(message))
        if found.compare_all:
            self._order_full(connection, "a group inside a mapped group was deleted")
        after = replace(
            cursors,
            users_link=found.users_link,
            groups_link=found.groups_link,
            tracked_groups=cursors.tracked_groups | found.nested,
            swept_at=began,
        )
        if not self.state.save_cursors(after):
            log.info("sweep overtaken connection=%s", connection.id)
        self._end(order, len(found.users) + len(found.members))
        troubles.clear_seen(self.connections, connection, SIGN_IN_CODES | _HEALED_BY_READING)
        if any(trouble.code == GROUPS for trouble in connection.troubles):
            self._look_for_groups(connection, directory)
        self._look_again(order, cursors, found)

    def _overtaken(self, cursors: Cursors) -> bool:
        now = self.state.cursors(cursors.connection_id)
        return now is None or now.etag != cursors.etag

    def _read(self, directory: Directory, cursors: Cursors) -> _Found:
        """One round of both delta queries."""
        found = _Found()
        for page in directory.delta(cursors.users_link):
            found.users.update((UserId(item.id), None) for item in page.items)
            found.users_link = page.cursor or ""
        subtrees: dict[GroupId, None] = {}
        for page in directory.delta(cursors.groups_link):
            for item in page.items:
                if GroupId(item.id) in cursors.tracked_groups:
                    subtrees |= self._note(found, cursors, item)
            found.groups_link = page.cursor or ""
        for group in subtrees:
            self._below(directory, group, found)
        if not (found.users_link and found.groups_link):
            raise TryLater("Graph ended a delta round without a link to go on from.")
        return found

    def _note(self, found: _Found, cursors: Cursors, item: DeltaItem) -> dict[GroupId, None]:
        """Take down the members of one changed group; answers the groups among them."""
        found.shown.add(GroupId(item.id))
        found.compare_all |= item.removed
        subtrees: dict[GroupId, None] = {}
        for change in item.members:
            is_group = change.is_group
            if is_group is None:
                is_group = GroupId(change.id) in cursors.tracked_groups
            if is_group:
                subtrees[GroupId(change.id)] = None
            else:
                found.members[UserId(change.id)] = None
        return subtrees

    def _below(self, directory: Directory, group: GroupId, found: _Found) -> None:
        """A group came into a mapped group, or left it: that concerns everybody below it."""
        try:
            found.nested |= {group, *directory.nested_groups(group)}
            for page in directory.members(group, nested=True):
                found.members.update((user.id, None) for user in page)
        except (PersonMustAct, DecideAgain):
            found.compare_all = True  # it cannot be read any more, so nobody can be named

    def _look_for_groups(self, connection: Connection, directory: Directory) -> None:
        """A mapped group that could not be read is there again: everybody is compared (R20)."""
        rules = [rule for rule in self.rules.edited(connection.id) if rule.enabled]
        found = directory.groups(sorted({rule.group_id for rule in rules}))
        reason = "a mapped group can be read again"
        for rule in rules:
            group = found.get(rule.group_id)
            if group is None and not rule.group_gone_twice and self._gone_for_long(rule):
                reason = "a mapped group is still gone after an hour"
                break
            if group is None or isinstance(group, SyncError) or group.hidden:
                return
        if not self._full_goes_on(connection):
            self._order_full(connection, reason)

    def _gone_for_long(self, rule: MappingRule) -> bool:
        since = rule.group_gone_since
        return since is not None and self.now() - since >= SECOND_LOOK

    def _look_again(self, order: SweepOrder, cursors: Cursors, found: _Found) -> None:
        """A group was notified, but the delta query does not show it yet (graph.md 3.7)."""
        missing = cursors.tracked_groups.intersection(order.groups) - found.shown
        if missing and order.looks < len(_LOOK_AGAIN):
            again = replace(order, looks=order.looks + 1, sync=None)
            delay = timedelta(seconds=_LOOK_AGAIN[order.looks])
            self.queues.send(SWEEPS, encode_sweep_order(again), delay)

    def _end(self, order: SweepOrder, seen: int) -> None:
        if order.sync is not None:
            self.runs.started(order.sync, self.now(), "sweep")
            self.runs.all_read(order.sync, seen=seen, unchanged=seen, parts=0)

    def _start_over(self, connection: Connection, cursors: Cursors) -> None:
        """R23: a dead link leads to a full round, which finds who is absent by comparing sets."""
        self._order_full(connection, "Graph no longer took the delta link")
        self.state.save_cursors(replace(cursors, users_link="", groups_link=""))

    def _renew(self, connection: Connection) -> None:
        """Without links there is nothing to go on from: a full sync begins new ones."""
        if not connection.may_write:
            # A blocked connection is tried now and then; this shows whether it is mended (R30).
            self.directories.open(connection).organization_id()
            troubles.clear_seen(self.connections, connection, SIGN_IN_CODES)
        if not self._full_goes_on(connection):
            self._order_full(connection, "the delta links have to be begun anew")

    def _order_full(self, connection: Connection, reason: str) -> None:
        sync_id = self._new_run(connection.id, "full", reason)
        order = SweepOrder(connection.id, "full", sync=sync_id)
        try:
            self.queues.send(SWEEPS, encode_sweep_order(order))
        except SyncError as error:
            # Otherwise it would seem to go on, and stand in the way of the next.
            self.runs.failed(sync_id, self.now(), f"It could not be queued: {error.sentence}")
            raise


def _is_last_edit(connection: Connection, order: SweepOrder) -> bool:
    """R5: of edits made one by one, only the order of the last one is carried out."""
    edited = connection.rules_edited_at
    if order.stamp is None or connection.first_sync_at is None:
        return False
    compared = connection.compared_edit
    if compared is not None and compared >= order.stamp:
        return False  # a full sync has gone by these rules since
    return edited is None or edited <= order.stamp


def _merged(waiting: list[SweepOrder]) -> SweepOrder | None:
    """One order for all that waited."""
    if not waiting:
        return None
    signals = [one.signal_at for one in waiting if one.signal_at is not None]
    groups = dict.fromkeys(group for one in waiting for group in one.groups)
    # A timer's order names no groups, and sweeps whatever the notified ones are about.
    everything = any(not one.groups for one in waiting)
    return replace(
        waiting[0],
        groups=() if everything else tuple(groups),
        signal_at=min(signals) if signals else None,
        looks=max(one.looks for one in waiting),
    )
