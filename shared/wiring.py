"""Where concrete things meet: the real clients, built once per process from the settings.

Nothing is connected at import or here; each client opens its connections when it is first used. The
work of the queues runs in pools of its own, one per lane, so that bulk work never takes a thread
from the webhook, the admin API or fresh changes (design section 4).
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime

from shared.adapters import telemetry
from shared.adapters.bms import BmsApi
from shared.adapters.bms_budget import BmsBudget, SavedLimit
from shared.adapters.bms_session import BmsSession
from shared.adapters.bms_v1 import EmployeesV1
from shared.adapters.graph import GraphDirectories
from shared.adapters.http_session import PooledSession
from shared.adapters.itglue import ItGlueApi
from shared.adapters.itglue_session import ItGlueSession, itglue_limit
from shared.adapters.queues import StorageQueues
from shared.adapters.schema import TableSchema
from shared.adapters.signin import MsalSignIn
from shared.adapters.store_archive import TableArchive
from shared.adapters.store_checks import TableChecks
from shared.adapters.store_connections import TableConnections, TableRules
from shared.adapters.store_decisions import TableConflicts, TableHolds
from shared.adapters.store_drift import TableDrift
from shared.adapters.store_employees import TableEmployeeDefaults, TableWorklist
from shared.adapters.store_index import TableAddressIndex
from shared.adapters.store_itglue import TableItGlueMemory, TableItGlueSettings, TablePassedOn
from shared.adapters.store_log import TableActivityLog, TableFailures, TableRuns, backwards
from shared.adapters.store_people import TableLinks, TableOwners
from shared.adapters.store_previews import TablePreviews
from shared.adapters.store_sweeps import (
    TableBmsSettings,
    TablePendingSignIns,
    TableSweepState,
    TableWindows,
)
from shared.adapters.store_undo import TableUndoOutcomes
from shared.adapters.tables import Storage
from shared.adapters.vault import KeyVault
from shared.config import Settings, read_settings
from shared.sync.acting import Acting, Hands
from shared.sync.address_reading import ReadAddresses
from shared.sync.apply import Apply
from shared.sync.approvals import Approvals
from shared.sync.bms_settings import ManageBms
from shared.sync.choosing import Choosing
from shared.sync.connect import Connect
from shared.sync.connections import ManageConnections
from shared.sync.contact_jobs import ContactJobs
from shared.sync.deciding import Deciding
from shared.sync.drift import Drift
from shared.sync.drift_reading import ReadDrift
from shared.sync.employee_acting import EmployeeActing
from shared.sync.employee_by_api import EmployeesByApi
from shared.sync.employee_choices import EmployeeChoices
from shared.sync.employee_defaults import CheckEmployeeIds, ManageEmployeeDefaults
from shared.sync.employee_gathering import GatherEmployees
from shared.sync.employee_planning import PlanEmployees
from shared.sync.explain import Explain
from shared.sync.finding import FindRecords
from shared.sync.full_sync import FullSync
from shared.sync.holding import Holding
from shared.sync.holding_back import HoldingBack
from shared.sync.itglue_finding import FindInGlue
from shared.sync.itglue_organizations import ItGlueOrganizations
from shared.sync.itglue_queue import QueueForItGlue
from shared.sync.itglue_settings import ManageItGlue
from shared.sync.leavers import CountLeavers
from shared.sync.mapping_rules import MappingRules
from shared.sync.measuring import Measure
from shared.sync.new_id import new_id
from shared.sync.onboarding_check import OnboardingCheck
from shared.sync.order_sync import OrderSync
from shared.sync.outcomes import Outcomes
from shared.sync.pacing import BulkShare, Pacing
from shared.sync.passing_on import PassingOn
from shared.sync.passing_one import PassOne
from shared.sync.poison import Poison
from shared.sync.preview_deciding import DecidePreview
from shared.sync.preview_run import RunPreview
from shared.sync.previewing import Previewing
from shared.sync.re_evaluation import ReEvaluation
from shared.sync.readiness import Readiness
from shared.sync.records import Records
from shared.sync.rehearsing import Rehearsing, Stores
from shared.sync.replaying import Replaying
from shared.sync.reports import Reports
from shared.sync.retention import Retention
from shared.sync.seeking import Seeking
from shared.sync.status import Health, ReadStatus
from shared.sync.subscriptions import KeepSubscriptions
from shared.sync.sweep import Sweep
from shared.sync.undo_employees import UndoEmployees
from shared.sync.undo_one import UndoOne
from shared.sync.undo_order import GatherUndo, OrderUndo
from shared.sync.undoing import Undoing
from shared.sync.users import Users
from shared.sync.waits_for_person import WaitsForPerson
from shared.sync.what_waits import WhatWaits
from shared.sync.who_is_meant import WhoIsMeant
from shared.sync.worklist import WorkOff
from shared.web.api.all_routes import admin_api
from shared.web.console.console import Console, console
from shared.web.console.pages import all_pages
from shared.web.router import Api
from shared.web.webhook import Webhook


def now() -> datetime:
    """The present moment, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Lanes:
    """One pool per kind of work; its size caps how much of it this instance does at once."""

    fresh: ThreadPoolExecutor
    bulk: ThreadPoolExecutor
    leavers: ThreadPoolExecutor  # before other bulk work (R25)
    sweeps: ThreadPoolExecutor
    full_syncs: ThreadPoolExecutor
    timers: ThreadPoolExecutor
    itglue: ThreadPoolExecutor


@dataclass(frozen=True)
class App:
    """Everything that the triggers call."""

    settings: Settings
    api: Api
    console: Console
    readiness: Readiness
    webhook: Webhook
    apply: Apply
    passing_on: PassingOn
    sweep: Sweep
    subscriptions: KeepSubscriptions
    poison: Poison
    retention: Retention
    measure: Measure
    invocation: Callable[..., AbstractContextManager[None]]  # of telemetry: (name, traceparent)
    flush: Callable[[], None]  # what was measured and traced
    worklist: WorkOff
    lanes: Lanes


_lock = threading.Lock()
_app: App | None = None


def app() -> App:
    """The app of this process. Misconfigured when a setting is missing or wrong."""
    global _app
    with _lock:
        if _app is None:
            _app = build(read_settings(os.environ))
        return _app


def build(settings: Settings) -> App:
    """Join everything together."""
    # The SDKs log every request at INFO, addresses included.
    for name in ("azure", "urllib3", "msal", "opentelemetry"):
        logging.getLogger(name).setLevel(logging.WARNING)
    exporting = telemetry.set_up(settings)
    outside, inside = PooledSession(), PooledSession()
    storage = Storage(settings.storage, lambda: inside)
    schema = TableSchema(storage, now)
    queues = StorageQueues(settings.storage, lambda: inside)
    vault = KeyVault(settings.key_vault_url, lambda: outside, client_id=settings.storage.client_id)
    connections, rules = TableConnections(storage), TableRules(storage)
    links, owners = TableLinks(storage), TableOwners(storage)
    conflicts, windows = TableConflicts(storage), TableWindows(storage)
    index = TableAddressIndex(storage, now)
    activity, failures = TableActivityLog(storage), TableFailures(storage)
    runs, sweep_state = TableRuns(storage, now), TableSweepState(storage)
    bms_settings = TableBmsSettings(storage)

    sign_in = MsalSignIn(settings, vault, outside)
    directories = GraphDirectories(settings, outside, sign_in)
    limit = SavedLimit(bms_settings, now)
    budget = BmsBudget(storage, limit, now)
    bms_session = BmsSession(outside, bms_settings, vault, budget, now)
    bms = BmsApi(bms_session, now)

    glue_settings, glue_memory = TableItGlueSettings(storage), TableItGlueMemory(storage)
    passed_on = TablePassedOn(storage)
    glue_budget = BmsBudget(storage, itglue_limit, now, partition="itglue", words="IT Glue's limit")
    glue = ItGlueApi(ItGlueSession(outside, glue_settings, vault, glue_budget, now), now)
    glue_queue = QueueForItGlue(glue_settings, queues, now)

    subscriptions = KeepSubscriptions(
        connections, sweep_state, directories, vault, settings, queues, now
    )
    reading = ReadAddresses(index, bms.bulk(), now)
    finding = FindRecords(index, owners, links, bms)
    pacing = Pacing(budget, now)
    holds = TableHolds(storage)
    holding = Holding(connections, holds, links, queues, now)
    acting = Acting(
        connections=connections,
        links=links,
        owners=owners,
        index=index,
        conflicts=conflicts,
        log=activity,
        queues=queues,
        finding=finding,
        holding=holding,
        itglue=glue_queue,
        fresh=Hands(ContactJobs(bms), ThreadPoolExecutor(8, thread_name_prefix="bms-fresh")),
        bulk=Hands(
            ContactJobs(bms.bulk()),
            ThreadPoolExecutor(12, thread_name_prefix="bms-bulk"),
            BulkShare(budget, now).room,
        ),
        leavers=Hands(
            ContactJobs(bms.bulk()),
            ThreadPoolExecutor(8, thread_name_prefix="bms-left"),
            BulkShare(budget, now, leavers=True).room,
        ),
        now=now,
    )
    previews = TablePreviews(storage)
    approvals = Approvals(previews, runs, now)
    leavers = CountLeavers(windows, links, now)
    planning = PlanEmployees(links, owners, now)
    defaults, worklist = TableEmployeeDefaults(storage), TableWorklist(storage)
    writer = EmployeesV1(outside, bms_session.settings, vault, budget, now)
    reports = Reports(links, queues, now)
    work_off = WorkOff(
        connections,
        links,
        owners,
        activity,
        worklist,
        defaults,
        bms,
        bms.bulk(),
        planning,
        reports,
        queues,
        now,
    )
    gathering = GatherEmployees(connections, defaults, worklist, links, bms, bms.bulk(), now)
    employee_acting = EmployeeActing(
        connections=connections,
        links=links,
        owners=owners,
        log=activity,
        worklist=worklist,
        defaults=defaults,
        bms_settings=bms_settings,
        planning=planning,
        choices=EmployeeChoices(links, owners, conflicts, worklist, planning, queues, now),
        fresh=EmployeesByApi(bms, writer, worklist, now),
        bulk=EmployeesByApi(bms.bulk(), writer.bulk(), worklist, now),
        reports=reports,
        holding=holding,
        now=now,
    )
    undo_outcomes = TableUndoOutcomes(storage)
    undoing = Undoing(
        connections=connections,
        links=links,
        owners=owners,
        log=activity,
        queues=queues,
        outcomes=undo_outcomes,
        holding=holding,
        finding=finding,
        itglue=glue_queue,
        one=UndoOne(
            owners,
            activity,
            UndoEmployees(
                employee_acting,
                owners,
                worklist,
                defaults,
                employee_acting.fresh,
                employee_acting.bulk,
                now,
            ),
            acting.fresh,
            acting.bulk,
        ),
        now=now,
    )
    deciding = Deciding(
        connections=connections,
        rules=rules,
        links=links,
        owners=owners,
        conflicts=conflicts,
        directories=directories,
        approvals=approvals,
        holding_back=HoldingBack(leavers, holding),
        holding=holding,
        seeking=Seeking(links, owners, conflicts, reading, finding, queues, now),
        acting=acting,
        employees=gathering,
        employee_acting=employee_acting,
        now=now,
    )
    apply = Apply(
        connections=connections,
        log=activity,
        queues=queues,
        work_off=work_off,
        undoing=undoing,
        outcomes=Outcomes(connections, activity, runs, failures, queues, now),
        pacing=pacing,
        now=now,
        deciding=deciding,
    )
    full_sync = FullSync(
        connections=connections,
        rules=rules,
        links=links,
        runs=runs,
        state=sweep_state,
        directories=directories,
        queues=queues,
        reading=reading,
        approvals=approvals,
        now=now,
    )
    preview_run = RunPreview(
        connections=connections,
        previews=previews,
        links=links,
        directories=directories,
        reading=reading,
        deciding=DecidePreview(
            links=links,
            owners=owners,
            conflicts=conflicts,
            finding=finding,
            employees=gathering,
            defaults=defaults,
            bms_settings=bms_settings,
            planning=planning,
            bms=bms.bulk(),
            now=now,
        ),
        leavers=leavers,
        bms=bms.bulk(),
        queues=queues,
        now=now,
    )

    def passing(lane: ItGlueApi, *, afresh: bool) -> PassOne:
        organizations = ItGlueOrganizations(
            glue_settings, glue_memory, passed_on, rules, lane, bms.bulk(), glue_queue, now
        )
        finding_there = FindInGlue(lane, passed_on, owners, organizations, afresh)
        return PassOne(lane, passed_on, links, owners, finding_there, activity, failures, now)

    fresh_glue = passing(glue, afresh=True)
    passing_on = PassingOn(
        settings=glue_settings,
        memory=glue_memory,
        links=links,
        queues=queues,
        fresh=fresh_glue,
        bulk=passing(glue.bulk(), afresh=False),
        now=now,
    )
    itglue = ManageItGlue(
        store=glue_settings,
        memory=glue_memory,
        glue=glue,
        vault=vault,
        connections=connections,
        organizations=fresh_glue.finding.organizations,
        queue=glue_queue,
        queues=queues,
        now=now,
    )

    def new_run_id() -> str:
        return backwards(now())

    drift = TableDrift(storage)
    read_drift = ReadDrift(links, drift, bms.bulk(), bms_settings, now)
    sweep = Sweep(
        connections=connections,
        rules=rules,
        runs=runs,
        state=sweep_state,
        directories=directories,
        queues=queues,
        full_sync=full_sync,
        subscriptions=subscriptions,
        orders={
            "preview": preview_run.handle,
            "undo": GatherUndo(runs, activity, queues, now).run,
            "drift": read_drift.carry_out,
        },
        new_id=new_run_id,
        now=now,
    )
    rehearsing = Rehearsing(
        Stores(
            connections=connections,
            rules=rules,
            links=links,
            owners=owners,
            conflicts=conflicts,
            holds=holds,
            windows=windows,
            index=index,
            defaults=defaults,
            worklist=worklist,
            bms_settings=bms_settings,
            directories=directories,
            approvals=approvals,
            bms=bms,
        ),
        now,
    )
    explain = Explain(
        rehearsing,
        WhoIsMeant(directories, links),
        WaitsForPerson(holds, conflicts, failures, worklist),
        activity,
    )
    check = OnboardingCheck(
        connections=connections,
        rules=rules,
        links=links,
        directories=directories,
        bms=bms.bulk(),
        bms_settings=bms_settings,
        budget=budget,
        reading=reading,
        finding=finding,
        checks=TableChecks(storage),
        lane=ThreadPoolExecutor(2, thread_name_prefix="checks"),
        now=now,
    )
    re_evaluation = ReEvaluation(connections, queues, now)
    records = Records(connections, links, conflicts, failures)
    choosing = Choosing(conflicts, links, queues, now)
    mapping = MappingRules(connections, rules, directories, bms, bms_settings, re_evaluation, now)
    api = admin_api(
        settings,
        connections=ManageConnections(
            connections, vault, sign_in, subscriptions, queues, re_evaluation, now
        ),
        connect=Connect(
            connections,
            TablePendingSignIns(storage),
            sign_in,
            subscriptions,
            queues,
            now,
        ),
        syncs=OrderSync(connections, rules, runs, bms_settings, queues, pacing, now, new_run_id),
        rules=mapping,
        previews=Previewing(connections, previews, mapping, queues, now, time.sleep, new_id),
        employee_defaults=ManageEmployeeDefaults(
            defaults,
            worklist,
            bms,
            bms_settings,
            writer,
            connections,
            rules,
            CheckEmployeeIds(bms),
            re_evaluation,
            now,
        ),
        worklist=work_off,
        bms=ManageBms(bms_settings, bms, vault, connections, links),
        itglue=itglue,
        users=Users(connections, directories, links, queues, now, apply.one),
        records=records,
        explain=explain,
        check=check,
        holding=holding,
        choosing=choosing,
        replaying=Replaying(failures, queues),
        waiting=WhatWaits(holding, records, choosing, work_off, links, bms, now),
        status=ReadStatus(
            connections,
            sweep_state,
            activity,
            queues,
            failures,
            bms_settings,
            budget,
            now,
            itglue,
            work_off,
        ),
        health=Health(bms_settings, now),
        activity=activity,
        undo=OrderUndo(
            connections,
            links,
            runs,
            activity,
            undo_outcomes,
            queues,
            apply.handle,
            now,
            new_run_id,
        ),
        drift=Drift(connections, links, drift, read_drift, queues, now),
        known_connections=connections,
        schema=schema,
        now=now,
    )
    return App(
        settings=settings,
        api=api,
        console=console(settings, api, all_pages(now), now),
        readiness=Readiness(schema, queues),
        webhook=Webhook(connections, sweep_state, vault, queues, now),
        apply=apply,
        passing_on=passing_on,
        sweep=sweep,
        subscriptions=subscriptions,
        poison=Poison(runs, previews, failures, queues, now),
        worklist=work_off,
        retention=Retention(TableArchive(storage), holding, settings.retention_days, previews, now),
        measure=Measure(
            connections,
            sweep_state,
            activity,
            queues,
            failures,
            budget,
            glue_memory,
            exporting,
            now,
        ),
        invocation=telemetry.invocation,
        flush=telemetry.flush,
        lanes=Lanes(
            fresh=ThreadPoolExecutor(8, thread_name_prefix="fresh"),
            bulk=ThreadPoolExecutor(6, thread_name_prefix="bulk"),
            leavers=ThreadPoolExecutor(2, thread_name_prefix="leavers"),
            sweeps=ThreadPoolExecutor(12, thread_name_prefix="sweeps"),
            # Two full syncs, a preview, an undo and a drift at a time, and one to put off the rest.
            full_syncs=ThreadPoolExecutor(6, thread_name_prefix="full"),
            timers=ThreadPoolExecutor(2, thread_name_prefix="timers"),
            itglue=ThreadPoolExecutor(4, thread_name_prefix="itglue"),
        ),
    )
