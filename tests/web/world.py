"""The admin API over fakes, and a short way to call it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cached_property
from typing import Any

from shared.config import Settings, StorageSettings
from shared.core.messages import UserDelta
from shared.core.model import (
    BmsSettings,
    Connection,
    ConnectionId,
    EntraGroup,
    EntraUser,
    GroupId,
    Mode,
    Trouble,
    UserId,
)
from shared.errors import SyncError
from shared.ports import BMS_PASSWORD, SignInStart, application_key
from shared.sync.address_reading import ReadAddresses
from shared.sync.approvals import Approvals
from shared.sync.bms_settings import ManageBms
from shared.sync.choosing import Choosing
from shared.sync.connections import ManageConnections
from shared.sync.drift import Drift
from shared.sync.drift_reading import ReadDrift
from shared.sync.employee_defaults import CheckEmployeeIds, ManageEmployeeDefaults
from shared.sync.employee_planning import PlanEmployees
from shared.sync.explain import Explain
from shared.sync.finding import FindRecords
from shared.sync.holding import Holding
from shared.sync.itglue_organizations import ItGlueOrganizations
from shared.sync.itglue_queue import QueueForItGlue
from shared.sync.itglue_settings import ManageItGlue
from shared.sync.mapping_rules import MappingRules
from shared.sync.onboarding_check import OnboardingCheck
from shared.sync.order_sync import OrderSync
from shared.sync.pacing import Pacing
from shared.sync.previewing import Previewing
from shared.sync.re_evaluation import ReEvaluation
from shared.sync.records import Records
from shared.sync.rehearsing import Rehearsing, Stores
from shared.sync.replaying import Replaying
from shared.sync.reports import Reports
from shared.sync.status import Health, ReadStatus
from shared.sync.undo_order import OrderUndo
from shared.sync.users import Users
from shared.sync.waits_for_person import WaitsForPerson
from shared.sync.what_waits import WhatWaits
from shared.sync.who_is_meant import WhoIsMeant
from shared.sync.work import Told
from shared.sync.worklist import WorkOff
from shared.web.api.all_routes import admin_api
from shared.web.http import Reply, request_from
from tests.fakes import (
    START,
    Clock,
    FakeActivityLog,
    FakeBmsSettings,
    FakeBudget,
    FakeConflicts,
    FakeConnections,
    FakeDirectories,
    FakeDrift,
    FakeFailures,
    FakeHolds,
    FakeLinks,
    FakeQueues,
    FakeRules,
    FakeRuns,
    FakeSignIn,
    FakeSubscriptions,
    FakeSweepState,
    FakeUndoOutcomes,
    FakeVault,
    counted,
)
from tests.fakes_bms import FakeBms, an_account
from tests.fakes_employees import (
    FakeEmployeeDefaults,
    FakeEmployeeWriter,
    FakeOwners,
    FakeWorklist,
)
from tests.fakes_index import FakeAddressIndex, FakeChecks, FakeWindows
from tests.fakes_itglue import FakeItGlue, FakeItGlueMemory, FakeItGlueSettings, FakePassedOn
from tests.fakes_previews import FakePreviews
from tests.web.conforming import Conforming

TOKEN = "a-token-of-the-admin"
SETTINGS = Settings(
    storage=StorageSettings(connection_string="UseDevelopmentStorage=true"),
    key_vault_url="https://vault.example",
    public_url="https://sync.example",
    admin_token=TOKEN,
)
APP_ID = "11111111-0000-4000-8000-000000000001"
SALES = "22222222-0000-4000-8000-000000000001"
SUPPORT = "22222222-0000-4000-8000-000000000002"
NOWHERE = "22222222-0000-4000-8000-00000000dead"
INES = "33333333-0000-4000-8000-000000000001"
TENANT_ID = "44444444-0000-4000-8000-000000000001"


@dataclass(frozen=True)
class Answer:
    """A reply, read."""

    status: int
    body: Any
    headers: dict[str, str]

    @property
    def detail(self) -> str:
        """The sentence of a refusal."""
        return str(self.body["detail"])


def read(reply: Reply) -> Answer:
    text = reply.body.decode()
    body: Any = json.loads(text) if "json" in reply.content_type and text else text
    return Answer(reply.status, body, dict(reply.headers))


@dataclass
class FakeConnect:
    """Starts flows, and ends them the way `ends` says."""

    world: World
    ends: Exception | None = None
    finished: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)

    def begin(self, connection_id: ConnectionId) -> SignInStart:
        return SignInStart("https://login.example/authorize?state=s1", "s1", "the-cookie")

    def finish(self, *, cookie: str, query: Mapping[str, str]) -> Connection:
        self.finished.append((cookie, query))
        if self.ends:
            raise self.ends
        return self.world.connections.list()[0]


@dataclass
class FakeSyncOne:
    """Decides what `decides` says."""

    decides: Told | Exception = field(default_factory=lambda: Told("nothing", "is up to date"))
    asked: list[UserId] = field(default_factory=list)

    def __call__(self, connection: Connection, user_id: UserId, /) -> Told:
        self.asked.append(user_id)
        if isinstance(self.decides, Exception):
            raise self.decides
        return self.decides


@dataclass
class FakeSchema:
    """Tables of the right version, unless `wrong`."""

    wrong: SyncError | None = None

    def bring_up(self) -> None:
        if self.wrong:
            raise self.wrong


@dataclass
class World:
    """The fakes behind one admin API."""

    settings: Settings = SETTINGS
    clock: Clock = field(default_factory=Clock)
    connections: FakeConnections = field(default_factory=FakeConnections)
    rules: FakeRules = field(default_factory=FakeRules)
    links: FakeLinks = field(default_factory=FakeLinks)
    runs: FakeRuns = field(default_factory=FakeRuns)
    activity: FakeActivityLog = field(default_factory=FakeActivityLog)
    conflicts: FakeConflicts = field(default_factory=FakeConflicts)
    failures: FakeFailures = field(default_factory=FakeFailures)
    holds: FakeHolds = field(default_factory=FakeHolds)
    budget: FakeBudget = field(default_factory=FakeBudget)
    sweeps: FakeSweepState = field(default_factory=FakeSweepState)
    bms_settings: FakeBmsSettings = field(default_factory=FakeBmsSettings)
    vault: FakeVault = field(default_factory=FakeVault)
    queues: FakeQueues = field(default_factory=FakeQueues)
    sign_in: FakeSignIn = field(default_factory=FakeSignIn)
    directories: FakeDirectories = field(default_factory=FakeDirectories)
    bms: FakeBms = field(default_factory=FakeBms)
    glue: FakeItGlue = field(default_factory=FakeItGlue)
    glue_settings: FakeItGlueSettings = field(default_factory=FakeItGlueSettings)
    glue_memory: FakeItGlueMemory = field(default_factory=FakeItGlueMemory)
    passed_on: FakePassedOn = field(default_factory=FakePassedOn)
    windows: FakeWindows = field(default_factory=FakeWindows)
    checks: FakeChecks = field(default_factory=FakeChecks)
    lane: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))
    patience: float = 20
    index: FakeAddressIndex = field(default_factory=FakeAddressIndex)
    owners: FakeOwners = field(default_factory=FakeOwners)
    employee_defaults: FakeEmployeeDefaults = field(default_factory=FakeEmployeeDefaults)
    worklist: FakeWorklist = field(default_factory=FakeWorklist)
    writer: FakeEmployeeWriter = field(default_factory=FakeEmployeeWriter)
    subscriptions: FakeSubscriptions = field(default_factory=FakeSubscriptions)
    sync_one: FakeSyncOne = field(default_factory=FakeSyncOne)
    previews: FakePreviews = field(default_factory=FakePreviews)
    drift: FakeDrift = field(default_factory=FakeDrift)
    undo_outcomes: FakeUndoOutcomes = field(default_factory=FakeUndoOutcomes)
    undone_now: list[UserDelta] = field(default_factory=list)
    schema: FakeSchema = field(default_factory=FakeSchema)

    def __post_init__(self) -> None:
        self.connect = FakeConnect(self)
        re_evaluation = ReEvaluation(self.connections, self.queues, self.clock)
        self.manage = ManageConnections(
            self.connections,
            self.vault,
            self.sign_in,
            self.subscriptions,
            self.queues,
            re_evaluation,
            self.clock,
            counted("c"),
        )
        self.syncs = OrderSync(
            self.connections,
            self.rules,
            self.runs,
            self.bms_settings,
            self.queues,
            Pacing(self.budget, self.clock),
            self.clock,
            counted("s"),
        )
        self.mapping = MappingRules(
            self.connections,
            self.rules,
            self.directories,
            self.bms,
            self.bms_settings,
            re_evaluation,
            self.clock,
            counted("r"),
        )
        self.previewing = Previewing(
            self.connections,
            self.previews,
            self.mapping,
            self.queues,
            self.clock,
            lambda seconds: self.clock.pass_(timedelta(seconds=seconds)),
            counted("p"),
        )
        glue_queue = QueueForItGlue(self.glue_settings, self.queues, self.clock)
        self.itglue = ManageItGlue(
            self.glue_settings,
            self.glue_memory,
            self.glue,
            self.vault,
            self.connections,
            ItGlueOrganizations(
                self.glue_settings,
                self.glue_memory,
                self.passed_on,
                self.rules,
                self.glue,
                self.bms,
                glue_queue,
                self.clock,
            ),
            glue_queue,
            self.queues,
            self.clock,
            counted("g"),
        )
        self.work_off = WorkOff(
            connections=self.connections,
            links=self.links,
            owners=self.owners,
            log=self.activity,
            worklist=self.worklist,
            defaults=self.employee_defaults,
            bms=self.bms,
            bulk_bms=self.bms,
            planning=PlanEmployees(self.links, self.owners, self.clock),
            reports=Reports(self.links, self.queues, self.clock),
            queues=self.queues,
            now=self.clock,
        )
        self.health = Health(self.bms_settings, self.clock)
        records = Records(self.connections, self.links, self.conflicts, self.failures)
        holding = Holding(self.connections, self.holds, self.links, self.queues, self.clock)
        choosing = Choosing(self.conflicts, self.links, self.queues, self.clock)
        self.api = admin_api(
            self.settings,
            connections=self.manage,
            connect=self.connect,
            syncs=self.syncs,
            rules=self.mapping,
            previews=self.previewing,
            bms=ManageBms(
                self.bms_settings,
                self.bms,
                self.vault,
                self.connections,
                self.links,
                counted("v"),
            ),
            itglue=self.itglue,
            employee_defaults=ManageEmployeeDefaults(
                self.employee_defaults,
                self.worklist,
                self.bms,
                self.bms_settings,
                self.writer,
                self.connections,
                self.rules,
                CheckEmployeeIds(self.bms),
                ReEvaluation(self.connections, self.queues, self.clock),
                self.clock,
            ),
            worklist=self.work_off,
            users=Users(
                self.connections,
                self.directories,
                self.links,
                self.queues,
                self.clock,
                self.sync_one,
            ),
            records=records,
            holding=holding,
            choosing=choosing,
            explain=Explain(
                Rehearsing(
                    Stores(
                        connections=self.connections,
                        rules=self.rules,
                        links=self.links,
                        owners=self.owners,
                        conflicts=self.conflicts,
                        holds=self.holds,
                        windows=self.windows,
                        index=self.index,
                        defaults=self.employee_defaults,
                        worklist=self.worklist,
                        bms_settings=self.bms_settings,
                        directories=self.directories,
                        approvals=Approvals(self.previews, self.runs, self.clock),
                        bms=self.bms,
                    ),
                    self.clock,
                ),
                WhoIsMeant(self.directories, self.links),
                WaitsForPerson(self.holds, self.conflicts, self.failures, self.worklist),
                self.activity,
            ),
            check=OnboardingCheck(
                connections=self.connections,
                rules=self.rules,
                links=self.links,
                directories=self.directories,
                bms=self.bms,
                bms_settings=self.bms_settings,
                budget=self.budget,
                reading=ReadAddresses(self.index, self.bms, self.clock),
                finding=FindRecords(self.index, self.owners, self.links, self.bms),
                checks=self.checks,
                lane=self.lane,
                now=self.clock,
                patience=self.patience,
            ),
            replaying=Replaying(self.failures, self.queues),
            waiting=WhatWaits(
                holding, records, choosing, self.work_off, self.links, self.bms, self.clock
            ),
            status=ReadStatus(
                self.connections,
                self.sweeps,
                self.activity,
                self.queues,
                self.failures,
                self.bms_settings,
                self.budget,
                self.clock,
                self.itglue,
                self.work_off,
            ),
            health=self.health,
            activity=self.activity,
            undo=OrderUndo(
                self.connections,
                self.links,
                self.runs,
                self.activity,
                self.undo_outcomes,
                self.queues,
                lambda delta, _: self.undone_now.append(delta),
                self.clock,
                counted("u"),
            ),
            drift=Drift(
                self.connections,
                self.links,
                self.drift,
                ReadDrift(self.links, self.drift, self.bms, self.bms_settings, self.clock),
                self.queues,
                self.clock,
            ),
            known_connections=self.connections,
            schema=self.schema,
            now=self.clock,
        )

    @cached_property
    def conforming(self) -> Conforming:
        """The description of this API, to hold replies against."""
        return Conforming(self.api)

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str | None = TOKEN,
        headers: Mapping[str, str] | None = None,
        raw: bytes | None = None,
    ) -> Answer:
        """Send it with the admin's token. The reply is held against the API's description."""
        sent = {"Authorization": f"Bearer {token}"} if token else {}
        content = raw if raw is not None else b""
        if body is not None:
            content = json.dumps(body).encode()
        if content:
            sent["Content-Type"] = "application/json"
        sent.update(headers or {})
        url = f"https://sync.example{path}"
        reply = self.api.dispatch(request_from(method, url, sent, content))
        assert self.conforming.faults(method, url, reply) == []
        return read(reply)

    def add(self, connection: Connection) -> Connection:
        """Put it there, with its application key."""
        self.connections.add(connection)
        self.vault.put(application_key(connection.id), "the-application-key")
        return connection

    def now(self, connection: Connection) -> Connection:
        """The connection as it is now."""
        return self.connections.held[connection.id]


def a_connection(connection_id: str = "contoso", **members: Any) -> Connection:
    """A connected connection."""
    standard = Connection(
        id=ConnectionId(connection_id),
        tenant_domain=f"{connection_id}.example",
        application_id=APP_ID,
        mode=Mode.DELEGATED,
        created_at=START,
        tenant_id=TENANT_ID,
        connected_at=START,
    )
    return replace(standard, **members)


def a_draft(connection_id: str = "contoso", **members: Any) -> Connection:
    """One that was never connected."""
    return a_connection(connection_id, tenant_id=None, connected_at=None, **members)


def a_trouble(code: str = "sign-in-secret-wrong", *, blocks: bool = True) -> Trouble:
    return Trouble(code, "The secret is wrong.", "Enter the right one.", START, blocks)


def a_group(group_id: str = SALES, name: str = "Sales", **members: Any) -> EntraGroup:
    return EntraGroup(GroupId(group_id), name, START, **members)


def a_user(user_id: str = INES, name: str = "Ines Okafor", **members: Any) -> EntraUser:
    upn = f"{name.split()[0].lower()}@contoso.example"
    return EntraUser(UserId(user_id), upn=upn, mail=upn, display_name=name, **members)


def a_rule(**members: Any) -> dict[str, Any]:
    """The body of a rule that can be taken."""
    return {
        "connectionId": "contoso",
        "groupId": SALES,
        "order": 10,
        "recordType": "contact",
        "accountId": 7,
        **members,
    }


def a_ready_world(**members: Any) -> World:
    """BMS set up, Contoso connected, a group and an account there."""
    world = World(**members)
    world.bms_settings.held = BmsSettings(tenant="MSP", user_name="api", version="v0")
    world.vault.put(BMS_PASSWORD, "old-password")
    world.bms.held = {account.id: account for account in (an_account(7), an_account(8))}
    world.directories.directory.held_groups = {
        group.id: group for group in (a_group(), a_group(SUPPORT, "Support"))
    }
    world.directories.directory.users = {UserId(INES): a_user()}
    world.add(a_connection())
    return world
