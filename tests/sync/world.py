"""The sync as it runs: real tables on Azurite, BMS as a process, Entra in memory.

A `Worker` is one instance of the app; two of them share nothing but the storage. Queues are in
memory, on the world's own clock: `deliver` hands messages over as the host does, in the order in
which they come due, and the clock moves with them. `tap` is told of every call that a worker makes
to a store or to BMS, before and after it, and may do there what it likes: die, or let another
worker run.
"""

from __future__ import annotations

import functools
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, cast

from infra.local.bms.control_values import AccountState, ContactState
from infra.local.bms.process import BmsProcess
from shared.adapters.bms import BmsApi
from shared.adapters.bms_budget import BmsBudget, SavedLimit
from shared.adapters.bms_session import BmsSession
from shared.adapters.bms_v1 import EmployeesV1
from shared.adapters.http_session import PooledSession
from shared.adapters.store_connections import TableConnections, TableRules
from shared.adapters.store_decisions import TableConflicts, TableHolds
from shared.adapters.store_drift import TableDrift
from shared.adapters.store_employees import TableEmployeeDefaults, TableWorklist
from shared.adapters.store_index import TableAddressIndex
from shared.adapters.store_log import TableActivityLog, TableFailures, TableRuns, backwards
from shared.adapters.store_people import TableLinks, TableOwners
from shared.adapters.store_previews import TablePreviews
from shared.adapters.store_sweeps import TableSweepState, TableWindows
from shared.adapters.store_undo import TableUndoOutcomes
from shared.core.messages import (
    SweepOrder,
    UserDelta,
    decode_sweep_order,
    decode_user_delta,
    encode_sweep_order,
    encode_user_delta,
)
from shared.core.model import (
    AccountId,
    Activity,
    BmsSettings,
    EntraUser,
    Link,
    MappingRule,
    Origin,
    SyncId,
    SyncRun,
    UserId,
)
from shared.errors import SyncError
from shared.ports import BMS_PASSWORD, BULK, FRESH, ITGLUE, LEAVERS, SWEEPS, Look
from shared.sync.acting import Acting, Hands
from shared.sync.address_reading import ReadAddresses
from shared.sync.apply import Apply
from shared.sync.approvals import Approvals
from shared.sync.contact_jobs import ContactJobs
from shared.sync.deciding import Deciding
from shared.sync.drift import Drift
from shared.sync.drift_reading import ReadDrift
from shared.sync.employee_acting import EmployeeActing
from shared.sync.employee_by_api import EmployeesByApi
from shared.sync.employee_choices import EmployeeChoices
from shared.sync.employee_gathering import GatherEmployees
from shared.sync.employee_planning import PlanEmployees
from shared.sync.finding import FindRecords
from shared.sync.full_sync import FullSync
from shared.sync.holding import Holding
from shared.sync.holding_back import HoldingBack
from shared.sync.itglue_queue import QueueForItGlue
from shared.sync.leavers import CountLeavers
from shared.sync.mapping_rules import MappingRules
from shared.sync.new_id import new_id
from shared.sync.outcomes import Outcomes
from shared.sync.pacing import BulkShare, Pacing
from shared.sync.preview_deciding import DecidePreview
from shared.sync.preview_run import RunPreview
from shared.sync.previewing import Previewing
from shared.sync.re_evaluation import ReEvaluation
from shared.sync.reports import Reports
from shared.sync.seeking import Seeking
from shared.sync.undo_employees import UndoEmployees
from shared.sync.undo_one import UndoOne
from shared.sync.undo_order import GatherUndo, OrderUndo
from shared.sync.undoing import Undoing
from shared.sync.worklist import WorkOff
from tests.builders import CONNECTION, a_connection, a_group, a_group_id, a_rule, a_user
from tests.fakes import (
    Clock,
    FakeBmsSettings,
    FakeDirectories,
    FakeDirectory,
    FakeVault,
)
from tests.fakes_itglue import FakeItGlueSettings
from tests.real_storage import RealStorage

T = TypeVar("T")
Tap = Callable[[str, str], None]  # "links.save", "before" | "after"

TENANT, USER, PASSWORD = "Northwind MSP", "directory.sync", "correct horse battery staple"
WRITES = frozenset(
    f"{port}.{method}"
    for port, methods in {
        "links": ("save", "remove"),
        "index": ("begin_reading", "finish_reading", "abandon_reading", "change", "put"),
        "owners": ("take", "take_new", "release"),
        "conflicts": ("put", "remove"),
        "log": ("add",),
        "windows": ("save",),
        "bms": ("create_contact", "patch_contact", "change_emails", "change_phones"),
        "queues": ("send",),
        "worklist": ("put", "change", "remove"),
        "writer": ("create", "change"),
    }.items()
    for method in methods
)


class Died(BaseException):
    """A worker's end in the middle of its work: nothing of the app may catch it."""


class _Tapped:
    def __init__(self, port: object, name: str, tap: Callable[[], Tap | None]) -> None:
        self._port, self._name, self._tap = port, name, tap

    def __getattr__(self, method: str) -> Any:
        real = getattr(self._port, method)
        call = f"{self._name}.{method}"

        @functools.wraps(real)
        def told(*args: Any, **options: Any) -> Any:
            tap = self._tap()
            if tap:
                tap(call, "before")
            answer = real(*args, **options)
            if tap:
                tap(call, "after")
            return answer

        return told


@dataclass
class Directory(FakeDirectory):
    """Entra in memory; `troubles` are of single users, `unread` is a group that ends half way."""

    troubles: dict[UserId, SyncError] = field(default_factory=dict)
    before_look: Callable[[], None] | None = None

    def look(
        self, users: Sequence[UserId], groups: Sequence[Any], *, direct: bool
    ) -> dict[UserId, Look | SyncError]:
        looks = {**super().look(users, groups, direct=direct)}
        looks.update({user: self.troubles[user] for user in users if user in self.troubles})
        if self.before_look:
            self.before_look()
        return looks


@dataclass(order=True)
class _Message:
    due: datetime
    number: int
    queue: str = field(compare=False)
    text: str = field(compare=False)


@dataclass
class Inbox:
    """The queues: what was sent waits here until `deliver` takes it out."""

    clock: Clock
    waiting: list[_Message] = field(default_factory=list)
    count: int = 0

    def send(self, queue: str, text: str, delay: timedelta | None = None) -> None:
        self.count += 1
        due = self.clock() + (delay or timedelta(0))
        self.waiting.append(_Message(due, self.count, queue, text))

    def backlog(self) -> dict[str, int]:
        names = [message.queue for message in self.waiting]
        return {name: names.count(name) for name in names}

    def deltas(self, queue: str | None = None) -> list[UserDelta]:
        return [
            decode_user_delta(message.text)
            for message in sorted(self.waiting)
            if message.queue not in (SWEEPS, ITGLUE) and queue in (None, message.queue)
        ]


class Worker:
    """One instance of the app."""

    def __init__(self, world: World) -> None:
        self.tap: Tap | None = None
        clock, storage = world.clock, world.storage.opened()
        self.clock = clock

        def tapped(name: str, port: T) -> T:
            return cast(T, _Tapped(port, name, lambda: self.tap))

        self.connections = tapped("connections", TableConnections(storage))
        self.rules = tapped("rules", TableRules(storage))
        self.links = tapped("links", TableLinks(storage))
        self.owners = tapped("owners", TableOwners(storage))
        self.conflicts = tapped("conflicts", TableConflicts(storage))
        self.windows = tapped("windows", TableWindows(storage))
        self.index = tapped("index", TableAddressIndex(storage, clock))
        self.log = tapped("log", TableActivityLog(storage))
        self.runs = tapped("runs", TableRuns(storage, clock))
        self.failures = tapped("failures", TableFailures(storage))
        self.state = tapped("state", TableSweepState(storage))
        self.queues = tapped("queues", world.inbox)
        self.holds = tapped("holds", TableHolds(storage))
        budget = BmsBudget(storage, SavedLimit(world.bms_settings, clock), clock)
        session = BmsSession(PooledSession(), world.bms_settings, world.vault, budget, clock)
        bms = BmsApi(session, clock)
        self.bms = tapped("bms", bms)

        reading = ReadAddresses(self.index, self.bms, clock)
        finding = FindRecords(self.index, self.owners, self.links, self.bms)
        self.holding = Holding(self.connections, self.holds, self.links, self.queues, clock)
        self.itglue = QueueForItGlue(world.itglue_settings, self.queues, clock)
        self.defaults = tapped("defaults", TableEmployeeDefaults(storage))
        self.worklist = tapped("worklist", TableWorklist(storage))
        writer = EmployeesV1(PooledSession(), session.settings, world.vault, budget, clock)
        self.writer = tapped("writer", writer)
        self.previews = tapped("previews", TablePreviews(storage))
        approvals = Approvals(self.previews, self.runs, clock)
        leavers = CountLeavers(self.windows, self.links, clock)
        planning = PlanEmployees(self.links, self.owners, clock)
        reports = Reports(self.links, self.queues, clock)
        self.work_off = WorkOff(
            connections=self.connections,
            links=self.links,
            owners=self.owners,
            log=self.log,
            worklist=self.worklist,
            defaults=self.defaults,
            bms=self.bms,
            bulk_bms=self.bms,
            planning=planning,
            reports=reports,
            queues=self.queues,
            now=clock,
        )
        by_api = EmployeesByApi(self.bms, self.writer, self.worklist, clock)
        employee_acting = EmployeeActing(
            connections=self.connections,
            links=self.links,
            owners=self.owners,
            log=self.log,
            worklist=self.worklist,
            defaults=self.defaults,
            bms_settings=world.bms_settings,
            planning=planning,
            choices=EmployeeChoices(
                self.links,
                self.owners,
                self.conflicts,
                self.worklist,
                planning,
                self.queues,
                clock,
            ),
            fresh=by_api,
            bulk=by_api,
            reports=reports,
            holding=self.holding,
            now=clock,
        )
        gathering = GatherEmployees(
            self.connections,
            self.defaults,
            self.worklist,
            self.links,
            self.bms,
            self.bms,
            clock,
        )
        hands = Hands(ContactJobs(self.bms), world.pool)
        share = BulkShare(budget, clock, sleep=lambda time: clock.pass_(timedelta(seconds=time)))
        bulk = Hands(ContactJobs(tapped("bms", bms.bulk())), world.pool, share.room)
        self.outcomes = tapped("outcomes", TableUndoOutcomes(storage))
        undoing = Undoing(
            connections=self.connections,
            links=self.links,
            owners=self.owners,
            log=self.log,
            queues=self.queues,
            outcomes=self.outcomes,
            holding=self.holding,
            finding=finding,
            itglue=self.itglue,
            one=UndoOne(
                self.owners,
                self.log,
                UndoEmployees(
                    employee_acting,
                    self.owners,
                    self.worklist,
                    self.defaults,
                    by_api,
                    by_api,
                    clock,
                ),
                hands,
                bulk,
            ),
            now=clock,
        )
        deciding = Deciding(
            connections=self.connections,
            rules=self.rules,
            links=self.links,
            owners=self.owners,
            conflicts=self.conflicts,
            directories=world.directories,
            approvals=approvals,
            holding_back=HoldingBack(leavers, self.holding),
            holding=self.holding,
            seeking=Seeking(
                self.links, self.owners, self.conflicts, reading, finding, self.queues, clock
            ),
            acting=Acting(
                connections=self.connections,
                links=self.links,
                owners=self.owners,
                index=self.index,
                conflicts=self.conflicts,
                log=self.log,
                queues=self.queues,
                finding=finding,
                holding=self.holding,
                itglue=self.itglue,
                fresh=hands,
                bulk=bulk,
                leavers=hands,
                now=clock,
            ),
            employees=gathering,
            employee_acting=employee_acting,
            now=clock,
        )
        self.apply = Apply(
            connections=self.connections,
            log=self.log,
            queues=self.queues,
            work_off=self.work_off,
            undoing=undoing,
            outcomes=Outcomes(
                self.connections, self.log, self.runs, self.failures, self.queues, clock
            ),
            pacing=Pacing(budget, clock),
            now=clock,
            deciding=deciding,
        )
        self.undo = OrderUndo(
            connections=self.connections,
            links=self.links,
            runs=self.runs,
            log=self.log,
            outcomes=self.outcomes,
            queues=self.queues,
            handle_now=self.apply.handle,
            now=clock,
            new_id=lambda: backwards(clock()),
        )
        self.drift_store = tapped("drift", TableDrift(storage))
        self.read_drift = ReadDrift(
            self.links, self.drift_store, self.bms, world.bms_settings, clock
        )
        self.drift = Drift(
            self.connections, self.links, self.drift_store, self.read_drift, self.queues, clock
        )
        self.gather_undo = GatherUndo(self.runs, self.log, self.queues, clock)
        self.full_sync = FullSync(
            connections=self.connections,
            rules=self.rules,
            links=self.links,
            runs=self.runs,
            state=self.state,
            directories=world.directories,
            queues=self.queues,
            reading=reading,
            approvals=approvals,
            now=clock,
        )
        self.preview_run = RunPreview(
            connections=self.connections,
            previews=self.previews,
            links=self.links,
            directories=world.directories,
            reading=reading,
            deciding=DecidePreview(
                links=self.links,
                owners=self.owners,
                conflicts=self.conflicts,
                finding=finding,
                employees=gathering,
                defaults=self.defaults,
                bms_settings=world.bms_settings,
                planning=planning,
                bms=self.bms,
                now=clock,
            ),
            leavers=leavers,
            bms=self.bms,
            queues=self.queues,
            now=clock,
        )
        self.mapping = MappingRules(
            self.connections,
            self.rules,
            world.directories,
            self.bms,
            world.bms_settings,
            ReEvaluation(self.connections, self.queues, clock),
            clock,
        )
        self.previewing = Previewing(
            self.connections,
            self.previews,
            self.mapping,
            self.queues,
            clock,
            world.wait,
            new_id,
        )

    def handle(self, queue: str, text: str) -> None:
        """As the triggers do."""
        if queue == SWEEPS:
            order = decode_sweep_order(text)
            if order.kind == "preview":
                self.preview_run.handle(order)
            elif order.kind == "drift":
                self.read_drift.carry_out(order)
            elif order.undoes is not None:
                self.gather_undo.run(order)
            elif order.kind == "rules" and order.sync is None:
                sync_id = SyncId(f"rules-{uuid.uuid4().hex}")
                connection = self.connections.get(order.connection_id)
                if connection is not None and connection.rules_edited_at == order.stamp:
                    run = SyncRun(sync_id, order.connection_id, "rules", "queued", self.clock())
                    self.runs.add(run)
                    self.full_sync.run(order, sync_id, Origin.RULES)
            elif order.sync is not None:
                self.full_sync.run(order, order.sync, Origin.FULL)
            return
        self.apply.handle(decode_user_delta(text), queue)


class World:
    """A tenant with the group `staff` mapped to the account Contoso, and nobody in it yet."""

    def __init__(self, storage: RealStorage, bms: BmsProcess) -> None:
        self.storage, self.bms = storage, bms.control
        self.clock = Clock(datetime.now(UTC).replace(microsecond=0))
        self.inbox = Inbox(self.clock)
        self.pool = ThreadPoolExecutor(16)
        settings = BmsSettings(
            api_url=bms.url, gateway_url=bms.url, tenant=TENANT, user_name=USER, version="1"
        )
        self.bms_settings = FakeBmsSettings(settings)
        self.vault = FakeVault({BMS_PASSWORD: PASSWORD})
        self.itglue_settings = FakeItGlueSettings()
        self.directory = Directory()
        self.directories = FakeDirectories(self.directory)
        self.contoso: AccountState = self.bms.add_account("Contoso")
        self.fabrikam: AccountState = self.bms.add_account("Fabrikam")
        self.worker = self.a_worker()
        self.worker.connections.add(a_connection())
        self.rule = self.a_rule("staff")
        self.set_rules(self.rule)

    def a_worker(self) -> Worker:
        """An instance of the app."""
        return Worker(self)

    def close(self) -> None:
        self.pool.shutdown()

    # --- Entra ---------------------------------------------------------------------------------

    def a_rule(self, group: str, **fields: Any) -> MappingRule:
        """A rule into Contoso, and its group in Entra."""
        self.directory.held_groups.setdefault(a_group_id(group), a_group(group))
        self.directory.inside.setdefault(a_group_id(group), set())
        return a_rule(group, **{"account_id": AccountId(self.contoso.id), **fields})

    def set_rules(self, *rules: MappingRule) -> None:
        self.worker.rules.replace(CONNECTION, rules)
        self.worker.rules.make_live(CONNECTION, rules)

    def hire(self, name: str, *groups: str, **fields: Any) -> EntraUser:
        """A user of Entra, in the group `staff` unless said otherwise."""
        user = a_user(name, **fields)
        self.directory.users[user.id] = user
        for group in groups or ("staff",):
            self.directory.inside[a_group_id(group)].add(user.id)
        return user

    def change(self, user: EntraUser, **fields: Any) -> EntraUser:
        changed = replace(user, **fields)
        self.directory.users[user.id] = changed
        return changed

    def leave(self, user: EntraUser, group: str = "staff") -> None:
        self.directory.inside[a_group_id(group)].discard(user.id)

    def join(self, user: EntraUser, group: str = "staff") -> None:
        self.directory.inside[a_group_id(group)].add(user.id)

    # --- queues --------------------------------------------------------------------------------

    def notice(self, *users: EntraUser, queue: str = FRESH, **fields: Any) -> None:
        """A message that names these users, a second after all that was before."""
        self.clock.pass_(timedelta(seconds=1))
        given = {"origin": Origin.SWEEP, "signal_at": self.clock(), **fields}
        delta = UserDelta(CONNECTION, tuple(user.id for user in users), **given)
        self.inbox.send(queue, encode_user_delta(delta))

    def deliver(self, worker: Worker | None = None, *, within: timedelta | None = None) -> None:
        """Hand over everything that comes due, until nothing waits (or for so long only)."""
        end = self.clock() + (timedelta(hours=2) if within is None else within)
        for _ in range(400):
            due = [message for message in self.inbox.waiting if message.due <= end]
            if not due:
                return
            message = min(due)
            self.inbox.waiting.remove(message)
            self.clock.at = max(self.clock.at, message.due)
            try:
                (worker or self.worker).handle(message.queue, message.text)
            except SyncError:
                text = message.text
                if message.queue == SWEEPS:
                    order = decode_sweep_order(text)
                    text = encode_sweep_order(replace(order, tries=order.tries + 1))
                self.inbox.send(message.queue, text, timedelta(seconds=5))
        raise AssertionError(f"the queues never empty: {self.inbox.backlog()}")

    def wait(self, seconds: float) -> None:
        """A caller of the admin API waits, while the host goes on."""
        self.deliver(within=timedelta(seconds=seconds))
        self.clock.pass_(timedelta(seconds=seconds))

    def sync(self, *users: EntraUser, **fields: Any) -> None:
        """A notice of these users, and all that follows from it."""
        self.notice(*users, **fields)
        self.deliver()

    def full_sync(self, kind: str = "full") -> SyncRun:
        """One full sync with all its parts."""
        sync_id = SyncId(f"run-{self.inbox.count}")
        run = SyncRun(sync_id, CONNECTION, kind, "queued", self.clock())
        self.worker.runs.add(run)
        self.inbox.send(SWEEPS, encode_sweep_order(SweepOrder(CONNECTION, kind, sync=sync_id)))
        self.deliver()
        found = self.worker.runs.get(sync_id)
        assert found is not None
        return found

    # --- what became of it ---------------------------------------------------------------------

    def link(self, user: EntraUser) -> Link | None:
        return self.worker.links.get(CONNECTION, user.id)

    def record(self, user: EntraUser) -> ContactState:
        """The contact that this user is linked to."""
        link = self.link(user)
        assert link is not None
        assert link.record_id is not None
        return self.bms.get_contact(link.record_id)

    def contacts(self, address: str) -> list[ContactState]:
        """Every contact with this address, whoever made it."""
        return [
            contact
            for contact in self.bms.contacts()
            if any(email.value == address for email in contact.emails)
        ]

    def activity(self, user: EntraUser | None = None) -> list[Activity]:
        """Oldest first."""
        items, _ = self.worker.log.list(user_id=user.id if user else None, limit=1000)
        return items[::-1]

    def kinds(self, user: EntraUser) -> list[str]:
        return [activity.kind for activity in self.activity(user)]

    def troubles(self) -> list[str]:
        connection = self.worker.connections.get(CONNECTION)
        assert connection is not None
        return [trouble.code for trouble in connection.troubles]

    def bms_writes(self) -> int:
        return len(self.bms.writes())


__all__ = ["BULK", "FRESH", "LEAVERS", "SWEEPS", "WRITES", "Died", "Worker", "World"]
