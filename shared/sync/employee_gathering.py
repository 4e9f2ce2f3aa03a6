"""What a decision about an employee rests on, besides the user: defaults, BMS's lists, the manager.

Read only for messages that name somebody whom an employee rule takes; everybody else costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from shared.core.employee_decision import AnyStep, makes_item_void
from shared.core.employee_fields import LISTS, Lists, wanted_employee
from shared.core.model import (
    EmployeeDefaults,
    LinkState,
    MappingRule,
    RecordId,
    RecordType,
    UserId,
)
from shared.core.rules import Placement
from shared.errors import PersonMustAct, SyncError
from shared.ports import Bms, Connections, EmployeeDefaultsStore, Links, Now, Worklist
from shared.sync import troubles
from shared.sync.work import PARKED, Work


@dataclass(frozen=True, slots=True)
class GatherEmployees:
    """Fills in what is wanted of employees, and takes void items off the worklist."""

    connections: Connections
    defaults: EmployeeDefaultsStore
    worklist: Worklist
    links: Links
    bms: Bms
    bulk_bms: Bms  # paid for from the bulk share of its limit (R25)
    now: Now

    def wanted(self, work: Work, placements: Mapping[UserId, Placement]) -> bool:
        """What each of them should be, where an employee rule takes him; whether the API writes.

        Who cannot be told at present is put to `later`.
        """
        ruled = _ruled(placements)
        if not ruled and not _concerned(work):
            return False
        defaults = self.defaults.get()
        try:
            self._fill(work, ruled, defaults)
        except SyncError as error:
            later = troubles.as_later(self.connections, work.connection, error, self.now(), PARKED)
            work.later |= {user: later for user in ruled if user not in work.employees}
        return defaults.by_api

    def preview(self, work: Work, placements: Mapping[UserId, Placement]) -> bool:
        """The same with nothing written; trouble with BMS is raised."""
        ruled = _ruled(placements)
        if not ruled and not _concerned(work):
            return False
        defaults = self.defaults.get()
        self._fill(work, ruled, defaults)
        return defaults.by_api

    def _fill(
        self, work: Work, ruled: Mapping[UserId, MappingRule], defaults: EmployeeDefaults
    ) -> None:
        if not ruled:
            return
        bms = self.bms if work.fresh else self.bulk_bms
        lists = lists_of(bms)
        linked = self._managers(work, list(ruled))
        if any(manager not in lists["employees"] for manager in linked.values()):
            staff = bms.employees(newer_than=self.now())  # he was made just now
            lists = {**lists, "employees": {int(one.id): one.name for one in staff}}
        for user, rule in ruled.items():
            if user in work.later:
                continue
            work.employees[user] = wanted_employee(
                work.users[user],
                work.connection.email_source,
                rule,
                defaults.values,
                lists,
                linked.get(user),
            )

    def _managers(self, work: Work, users: list[UserId]) -> dict[UserId, RecordId]:
        """The employee of each one's manager in Entra, where the manager is linked (R11)."""
        managers: dict[UserId, UserId] = {}
        for user, manager in work.directory.managers(users).items():
            if isinstance(manager, SyncError):
                work.later[user] = manager
            elif manager is not None:
                managers[user] = manager
                work.users[user] = replace(work.users[user], manager=manager)
        if not managers:
            return {}
        links = self.links.get_many(work.connection.id, sorted(set(managers.values())))
        found: dict[UserId, RecordId] = {}
        for user, manager in managers.items():
            link = links.get(manager)
            if link is None or manager == user or link.state is not LinkState.ACTIVE:
                continue
            if link.record_type is RecordType.EMPLOYEE and link.record_id is not None:
                found[user] = link.record_id
        return found

    def withdraw(self, work: Work, steps: Mapping[UserId, AnyStep]) -> dict[UserId, AnyStep]:
        """Take items off the worklist whose decision no longer holds (R26)."""
        after = dict(steps)
        for user, step in steps.items():
            link = work.links.get(user)
            if link is None or not makes_item_void(step, link):
                continue
            saved = self.links.save([replace(link, task="")])
            if user in saved:
                work.links[user] = saved[user]
                self.worklist.remove(link.connection_id, user)
            else:
                del after[user]
                work.decide_again(user)
        return after


def _ruled(placements: Mapping[UserId, Placement]) -> dict[UserId, MappingRule]:
    """Whom an employee rule takes."""
    return {
        user: placement.rule
        for user, placement in placements.items()
        if placement.rule is not None and placement.rule.record_type is RecordType.EMPLOYEE
    }


def _concerned(work: Work) -> bool:
    return any(link.record_type is RecordType.EMPLOYEE or link.task for link in work.links.values())


def lists_of(bms: Bms) -> Lists:
    """BMS's look-ups of an employee's values (cached by the adapter)."""
    found: dict[str, dict[int, str]] = {}
    for kind in sorted(set(LISTS.values())):
        try:
            found[kind] = dict(bms.lookup(kind))
        except PersonMustAct:
            # The names of some tables are a guess (bms-api.md 6): their ids stay without names.
            if kind != "employmenttypes":
                raise
            found[kind] = {}
    return found
