"""What the sync would do for one person now, found out by having the sync do it to memory.

The very objects that decide and act are put together over stores that forget and a BMS that is
only read, so that nothing has to be said twice: claims, holds, conflicts, choices, moves and the
fields to send come out as they would. Nothing is written anywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field, replace
from typing import ParamSpec, TypeVar

from shared.core.itglue import ItGlueSettings
from shared.core.messages import UserDelta
from shared.core.model import Activity, Connection, FieldChange, Link, MappingRule, Origin, UserId
from shared.errors import SyncError
from shared.ports import (
    FRESH,
    AddressIndex,
    Bms,
    BmsSettingsStore,
    Conflict,
    Conflicts,
    Connections,
    Directories,
    EmployeeDefaultsStore,
    Holds,
    Links,
    Now,
    Owners,
    Rules,
    Windows,
    Worklist,
)
from shared.sync.acting import Acting, Hands
from shared.sync.address_reading import ReadAddresses
from shared.sync.contact_jobs import ContactJobs
from shared.sync.deciding import Deciding
from shared.sync.employee_acting import EmployeeActing
from shared.sync.employee_by_api import EmployeesByApi
from shared.sync.employee_choices import EmployeeChoices
from shared.sync.employee_gathering import GatherEmployees
from shared.sync.employee_planning import PlanEmployees
from shared.sync.finding import FindRecords
from shared.sync.holding import Holding
from shared.sync.holding_back import HoldingBack
from shared.sync.itglue_queue import QueueForItGlue
from shared.sync.leavers import CountLeavers
from shared.sync.rehearsal_bms import RehearsedBms, RehearsedWriter
from shared.sync.rehearsal_memory import (
    NoQueues,
    RehearsedConflicts,
    RehearsedConnections,
    RehearsedDefaults,
    RehearsedHolds,
    RehearsedIndex,
    RehearsedLinks,
    RehearsedLog,
    RehearsedOwners,
    RehearsedWindows,
    RehearsedWorklist,
)
from shared.sync.reports import Reports
from shared.sync.seeking import Seeking
from shared.sync.work import Told, Work

_PASSES = 4  # a decision may have to be made again on what the one before it has left
P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Stores:
    """What a rehearsal reads."""

    connections: Connections
    rules: Rules
    links: Links
    owners: Owners
    conflicts: Conflicts
    holds: Holds
    windows: Windows
    index: AddressIndex
    defaults: EmployeeDefaultsStore
    worklist: Worklist
    bms_settings: BmsSettingsStore
    directories: Directories
    bms: Bms


@dataclass
class Rehearsal:
    """One person's sync in memory. `work` is of the first pass: what was seen, and decided first.

    `error` is what kept it from its end.
    """

    connection: Connection
    user_id: UserId
    links: RehearsedLinks
    conflicts: RehearsedConflicts
    index: RehearsedIndex
    bms: RehearsedBms
    log: RehearsedLog
    deciding: Deciding
    work: Work | None = None
    told: Told | None = None
    error: SyncError | None = None
    _lines: int = field(default=0, init=False)

    def run(self, rules: list[MappingRule]) -> None:
        """Play it by these rules, again where a decision leads to another one."""
        for _ in range(_PASSES):
            before = _bare(self.link)
            self.error = self._pass(rules)
            if self.error is None or (_bare(self.link) == before and not self._new_lines()):
                return

    def _pass(self, rules: list[MappingRule]) -> SyncError | None:
        delta = UserDelta(self.connection.id, (self.user_id,), Origin.PERSON)
        work = self.deciding.begin(self.connection, delta, FRESH)
        work.rules = rules
        self.work = self.work or work
        try:
            self.deciding.run(work)
        except SyncError as error:
            return error
        finally:
            self.log.add(work.activities)
            self.told = work.told.get(self.user_id, self.told)
        return work.later.get(self.user_id)

    def _new_lines(self) -> bool:
        before, self._lines = self._lines, len(self.log.held)
        return self._lines > before

    @property
    def link(self) -> Link | None:
        """The link as the rehearsal has left it."""
        return self.links.get(self.connection.id, self.user_id)

    @property
    def conflict(self) -> Conflict | None:
        """The conflict that it has left."""
        return self.conflicts.get(self.connection.id, self.user_id)

    @property
    def lines(self) -> list[Activity]:
        """The lines that it would write about this user."""
        return [one for one in self.log.held if one.user_id == self.user_id]

    @property
    def changes(self) -> tuple[FieldChange, ...]:
        """What it would change in BMS, in order."""
        return tuple(change for line in self.lines for change in line.changes)


@dataclass(frozen=True)
class Rehearsing:
    """Sets the scene."""

    stores: Stores
    now: Now

    def begin(self, connection: Connection, user_id: UserId, link: Link | None) -> Rehearsal:
        """A rehearsal that nothing has happened in yet.

        A claim that somebody holds on the user just now is left out of it: what is wanted is what
        the decision comes to, not that it waits for a moment.
        """
        real, now = self.stores, self.now
        connections, links = RehearsedConnections(real.connections), RehearsedLinks(real.links)
        if link is not None and link.claim is not None and link.claim.until > now():
            links.held[connection.id, user_id] = replace(link, claim=None)
        owners, conflicts = RehearsedOwners(real.owners), RehearsedConflicts(real.conflicts)
        index, log, queues = RehearsedIndex(real.index, now), RehearsedLog(), NoQueues()
        defaults, worklist = RehearsedDefaults(real.defaults), RehearsedWorklist(real.worklist)
        bms = RehearsedBms(real.bms)
        holding = Holding(connections, RehearsedHolds(real.holds), links, queues, now)
        finding = FindRecords(index, owners, links, bms)
        reading = ReadAddresses(index, bms, now)
        planning = PlanEmployees(links, owners, now)
        hands = Hands(ContactJobs(bms), _AtOnce())
        by_api = EmployeesByApi(bms, RehearsedWriter(), worklist, now)
        leavers = CountLeavers(RehearsedWindows(real.windows), links, now)
        deciding = Deciding(
            connections=connections,
            rules=real.rules,
            links=links,
            owners=owners,
            conflicts=conflicts,
            directories=real.directories,
            holding_back=HoldingBack(leavers, holding),
            holding=holding,
            seeking=Seeking(links, owners, conflicts, reading, finding, queues, now),
            acting=Acting(
                connections=connections,
                links=links,
                owners=owners,
                index=index,
                conflicts=conflicts,
                log=log,
                queues=queues,
                finding=finding,
                holding=holding,
                itglue=QueueForItGlue(_NoItGlue(), queues, now),
                fresh=hands,
                bulk=hands,
                leavers=hands,
                now=now,
            ),
            employees=GatherEmployees(connections, defaults, worklist, links, bms, bms, now),
            employee_acting=EmployeeActing(
                connections=connections,
                links=links,
                owners=owners,
                log=log,
                worklist=worklist,
                defaults=defaults,
                bms_settings=real.bms_settings,
                planning=planning,
                choices=EmployeeChoices(links, owners, conflicts, worklist, planning, queues, now),
                fresh=by_api,
                bulk=by_api,
                reports=Reports(links, queues, now),
                holding=holding,
                now=now,
            ),
            now=now,
        )
        return Rehearsal(connection, user_id, links, conflicts, index, bms, log, deciding)


class _AtOnce(Executor):
    """One thing after the other, in the caller's own thread."""

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        future: Future[R] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


class _NoItGlue:
    """ports.ItGlueSettingsStore: nothing is passed on."""

    def get(self) -> ItGlueSettings | None:
        return None

    def put(self, settings: ItGlueSettings) -> None:
        """Kept nowhere."""


def _bare(link: Link | None) -> Link | None:
    """The link without what every try leaves on it."""
    return None if link is None else replace(link, claim=None, updated_at=None)
