"""One connection in memory, with the real sweep and the real full sync behind its queue."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import cast

from shared.core.messages import SweepOrder
from shared.core.model import ConnectionId, Cursors, MappingRule, SyncId, SyncRun, UserId
from shared.ports import FRESH, SWEEPS, CursorDead, DeltaItem, DeltaPage
from shared.sync.address_reading import ReadAddresses
from shared.sync.approvals import Approvals
from shared.sync.full_sync import FullSync
from shared.sync.re_evaluation import ReEvaluation
from shared.sync.subscriptions import KeepSubscriptions
from shared.sync.sweep import Sweep
from tests.builders import CONNECTION, a_connection, a_group, a_group_id, a_rule, a_user_id
from tests.fakes import (
    Clock,
    FakeConnections,
    FakeDirectories,
    FakeDirectory,
    FakeLinks,
    FakeQueues,
    FakeRules,
    FakeRuns,
    FakeSweepState,
    counted,
)
from tests.fakes_previews import FakePreviews

STAFF, OTHER = a_group_id("staff"), a_group_id("other")
ADA = a_user_id("ada")
MINUTE = timedelta(minutes=1)
SOON = 10.0  # seconds, for threads


class Died(BaseException):
    """A worker's end."""


@dataclass
class Tenant(FakeDirectory):
    """Each delta round names whom `changed` holds; some links are dead."""

    changed: list[UserId] = field(default_factory=list)
    dead: set[str] = field(default_factory=set)
    begun: int = 0
    rounds: int = 0
    during: Callable[[], None] | None = None  # in the midst of a round
    after_groups: Callable[[], None] | None = None

    def start_cursor(self, resource: str) -> str:
        self._answer()
        self.begun += 1
        return f"{resource}-{self.begun}"

    def delta(self, link: str) -> Iterator[DeltaPage]:
        self._answer()
        users = link.startswith("users")
        if users:
            self.rounds += 1
            if self.during:
                self.during()
        if link in self.dead:
            raise CursorDead("gone")
        named = self.changed if users else []
        yield DeltaPage(tuple(DeltaItem(user) for user in named), cursor=link)

    def groups(self, ids: Sequence[object]) -> dict[object, object]:  # type: ignore[override]
        found = super().groups(ids)  # type: ignore[arg-type]
        if self.after_groups:
            self.after_groups()
        return cast(dict[object, object], found)


@dataclass
class State(FakeSweepState):
    """Dies instead of saving, once it is told to."""

    dies: bool = False

    def save_cursors(self, cursors: Cursors) -> bool:
        if self.dies:
            raise Died
        return super().save_cursors(cursors)


@dataclass
class Rules(FakeRules):
    before_live: Callable[[], None] | None = None
    after_live: Callable[[], None] | None = None

    def make_live(self, connection_id: ConnectionId, rules: Sequence[MappingRule]) -> None:
        # Taken out first: whoever comes in between makes his own live without a hook.
        before, self.before_live = self.before_live, None
        if before:
            before()
        super().make_live(connection_id, rules)
        after, self.after_live = self.after_live, None
        if after:
            after()


class Office:
    """A connection that is swept each minute, with the real full sync behind it."""

    def __init__(self) -> None:
        self.clock, self.queues, self.runs = Clock(), FakeQueues(), FakeRuns()
        self.tenant, self.state, self.rules = Tenant(), State(), Rules()
        self.tenant.held_groups = {STAFF: a_group("staff")}
        self.tenant.inside = {STAFF: set()}
        self.connections = FakeConnections({CONNECTION: a_connection()})
        self.rules.replace(CONNECTION, [a_rule("staff")])
        self.rules.make_live(CONNECTION, [a_rule("staff")])
        tracked = frozenset({STAFF, OTHER})
        begun = Cursors(CONNECTION, "users-0", "groups-0", tracked, swept_at=self.clock())
        self.state.save_cursors(begun)
        self.full = self.a_full_sync()
        self.sweep = self.a_worker(self.full)
        self.edits = ReEvaluation(self.connections, self.queues, self.clock)

    def a_full_sync(self) -> FullSync:
        return FullSync(
            connections=self.connections,
            rules=self.rules,
            links=FakeLinks(),
            runs=self.runs,
            state=self.state,
            directories=FakeDirectories(self.tenant),
            queues=self.queues,
            reading=cast(ReadAddresses, None),
            approvals=Approvals(FakePreviews(), self.runs, self.clock),
            now=self.clock,
        )

    def a_worker(self, full: FullSync) -> Sweep:
        return Sweep(
            connections=self.connections,
            rules=self.rules,
            runs=self.runs,
            state=self.state,
            directories=FakeDirectories(self.tenant),
            queues=self.queues,
            full_sync=full,
            subscriptions=cast(KeepSubscriptions, None),
            orders={},
            new_id=counted("run"),
            now=self.clock,
        )

    def run(self, **order: object) -> None:
        given: dict[str, object] = {"kind": "sweep", **order}
        self.sweep.handle(SweepOrder(CONNECTION, **given))  # type: ignore[arg-type]

    def asked(self, name: str = "asked") -> SyncId:
        """A run that a person ordered."""
        self.runs.add(SyncRun(SyncId(name), CONNECTION, "sweep", "queued", self.clock()))
        return SyncId(name)

    def taken(self) -> list[SweepOrder]:
        """The orders of the queue, which is empty then."""
        orders = [order for order, _ in self.queues.sweep_orders]
        self.queues.sent = [one for one in self.queues.sent if one[0] != SWEEPS]
        return orders

    def work_off(self) -> None:
        for _ in range(30):
            orders = self.taken()
            if not orders:
                return
            for order in orders:
                self.sweep.handle(order)
        raise AssertionError("the queue never empties")

    def minutes(self, count: int) -> None:
        """The timer goes off each minute, and its orders are carried out."""
        for _ in range(count):
            self.clock.pass_(MINUTE)
            self.sweep.order_due()
            self.work_off()

    def sweeps_live(self) -> bool:
        """Whether a change of now is queued within three minutes (R21)."""
        self.queues.sent = [one for one in self.queues.sent if one[0] != FRESH]
        self.tenant.changed = [ADA]
        self.minutes(3)
        return any(ADA in delta.users for delta in self.queues.fresh)

    @property
    def cursors(self) -> Cursors:
        return self.state.kept[CONNECTION]
