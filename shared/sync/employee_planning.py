"""From a decision about an employee to a plan: the link, and the item that is to be done (R6-R19).

Nothing is written here. A plan without an item needs nothing of BMS; one with an item is done by a
person or, in API mode, by the app: the same fields either way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from shared.core.employee_decision import (
    CompareEmployee,
    EmployeeStep,
    EndEmployeeMove,
    SeekEmployee,
    TakeOutEmployee,
)
from shared.core.employee_fields import (
    ACTIVE,
    ToWrite,
    WantedEmployee,
    after_change,
    all_to_write,
    to_change,
    with_manager,
    written_by,
)
from shared.core.employee_matching import match_employee
from shared.core.matching import Ambiguous, Found, key
from shared.core.model import (
    Employee,
    EmployeeDefaults,
    Link,
    LinkState,
    MappingRule,
    RecordId,
    RecordType,
    UserId,
)
from shared.core.worklist import Item, ItemKind, as_employee, kind_of, switch_off
from shared.ports import (
    Bms,
    BmsSettingsStore,
    EmployeeDefaultsStore,
    Links,
    Now,
    Owner,
    Owners,
)
from shared.sync.work import Work


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to become of one user. `link` is the one that the decision rests on.

    `now` is the link as soon as the plan is on record; `take` an employee to be owned before that.
    """

    link: Link
    now: Link
    kind: str
    reason: str
    item: Item | None = None
    take: RecordId | None = None
    over: Owner | None = None
    notes: tuple[str, ...] = ()
    ends_move: bool = False  # nothing else about the user is decided by it

    @property
    def user_id(self) -> UserId:
        """Whose plan it is."""
        return self.link.user_id


@dataclass(frozen=True, slots=True)
class LeaveBe:
    """BMS holds somebody whom this app must not touch (R15)."""

    link: Link
    reason: str


@dataclass(frozen=True, slots=True)
class Choose:
    """A person must choose (R9)."""

    found: Ambiguous


@dataclass(frozen=True, slots=True)
class Gone:
    """BMS no longer has the linked employee (R8)."""

    record_id: RecordId


@dataclass(frozen=True, slots=True)
class Lost:
    """The employee has passed to another user (R9, R19)."""

    record_id: RecordId


Planned = Plan | LeaveBe | Choose | Gone | Lost


@dataclass(frozen=True, slots=True)
class Staff:
    """Everybody in BMS, and whom to leave alone."""

    employees: Mapping[RecordId, Employee]
    defaults: EmployeeDefaults
    api_user: str

    def is_protected(self, employee: Employee) -> bool:
        """R15: the API user, and whom the operator named."""
        is_api_user = bool(self.api_user) and key(employee.user_name) == key(self.api_user)
        return is_api_user or employee.id in self.defaults.protected


def staff_of(
    bms: Bms,
    defaults: EmployeeDefaultsStore,
    settings: BmsSettingsStore,
    newer_than: datetime | None = None,
) -> Staff:
    """Everybody in BMS, by a list that was read since then."""
    saved = settings.get()
    return Staff(
        {one.id: one for one in bms.employees(newer_than=newer_than)},
        defaults.get(),
        saved.user_name if saved else "",
    )


@dataclass(frozen=True, slots=True)
class PlanEmployees:
    """Makes plans."""

    links: Links
    owners: Owners
    now: Now

    def plan(self, work: Work, user: UserId, step: EmployeeStep, staff: Staff) -> Planned:
        """What one decision comes to."""
        match step:
            case SeekEmployee():
                return self._seek(work, user, step, staff)
            case CompareEmployee():
                return self._compare(work, user, step, staff)
            case TakeOutEmployee():
                return self._take_out(work, user, step, staff)
            case EndEmployeeMove():
                return replace(self._end_move(work, user, step, staff), ends_move=True)

    # --- who has no employee yet -----------------------------------------------------------------

    def _seek(self, work: Work, user: UserId, step: SeekEmployee, staff: Staff) -> Planned:
        wanted = work.employees[user]
        present = staff.employees.values()
        held = self.held_by_others(work.link_of(user), wanted.keys, wanted.user_name, present)
        found = match_employee(wanted.keys, wanted.user_name, present, frozenset(held))
        if isinstance(found, Ambiguous):
            return Choose(found)
        if isinstance(found, Found):
            return self.take_over(work, user, step, staff, found.candidate.record_id)
        return self.create(work, user, step)

    def held_by_others(
        self, mine: Link, keys: Iterable[str], user_name: str, employees: Iterable[Employee]
    ) -> dict[RecordId, Owner]:
        """The fitting employees who are another user's, as long as he is in scope (R9)."""
        wanted = {*keys, key(user_name)}
        fitting = [
            one.id for one in employees if key(one.email) in wanted or key(one.user_name) in wanted
        ]
        if not fitting:
            return {}
        owners = self.owners.get_many(RecordType.EMPLOYEE, fitting)
        return {
            record: owner
            for record, owner in owners.items()
            if (owner.connection_id, owner.user_id) != (mine.connection_id, mine.user_id)
            and self._still_held(record, owner)
        }

    def _still_held(self, record: RecordId, owner: Owner) -> bool:
        link = self.links.get(owner.connection_id, owner.user_id)
        if link is None:
            return False
        if link.claim is not None:
            return True  # a worker is about to write it, or died over it
        is_his = link.record_type is RecordType.EMPLOYEE and link.record_id == record
        leaving = kind_of(link.task) is ItemKind.DEACTIVATE
        return is_his and link.state is LinkState.ACTIVE and not leaving

    def take_over(
        self, work: Work, user: UserId, step: SeekEmployee, staff: Staff, record_id: RecordId
    ) -> Planned:
        """An employee who is in BMS already becomes this user's (R6)."""
        link, wanted, employee = (
            work.link_of(user),
            work.employees[user],
            staff.employees[record_id],
        )
        if staff.is_protected(employee):
            return LeaveBe(link, f"employee {record_id} is protected, so he is left as he is")
        fields = to_change(employee, wanted, {}, settings_only=False, activate=True)
        linked = replace(
            link,
            **as_employee(link, record_id),
            state=LinkState.ACTIVE,
            rule_id=step.rule.id,
            fingerprint=wanted.fingerprint,
            reason=step.reason,
            task="",
        )
        over = self.owners.get_many(RecordType.EMPLOYEE, [record_id]).get(record_id)
        if not fields:
            done = replace(linked, written=after_change({}, wanted))
            return Plan(link, done, "merge", step.reason, None, record_id, over, wanted.notes)
        item = self._item(work, user, ItemKind.CHANGE, step.rule, wanted, fields, step.reason)
        item = replace(item, record_id=record_id, after=after_change({}, wanted))
        if employee.is_active:
            now = replace(linked, written=with_manager({}, wanted), task=item.task)
            return Plan(link, now, "merge", step.reason, item, record_id, over, wanted.notes)
        # Until he is active again he is not there: his contact, if he has one, stays (R18).
        return Plan(
            link,
            self._waiting(link, step, wanted, item),
            "worklist",
            f"employee {record_id} is to become active again: {step.reason}",
            item,
            record_id,
            over,
            wanted.notes,
        )

    def create(self, work: Work, user: UserId, step: SeekEmployee) -> Plan:
        """Nobody has his address or user name: a new employee."""
        link, wanted = work.link_of(user), work.employees[user]
        fields = all_to_write(wanted)
        item = self._item(work, user, ItemKind.CREATE, step.rule, wanted, fields, step.reason)
        notes = list(wanted.notes)
        if wanted.missing:
            notes.append(
                f"no value for {', '.join(wanted.missing)}: enter it in the Employee Defaults"
            )
        item = replace(item, after=written_by(wanted), notes=tuple(notes))
        reason = f"to be created as an employee: {step.reason}"
        now = self._waiting(link, step, wanted, item)
        return Plan(link, now, "worklist", reason, item, notes=item.notes)

    def _waiting(self, link: Link, step: SeekEmployee, wanted: WantedEmployee, item: Item) -> Link:
        if link.record_id is not None:
            return replace(link, task=item.task)  # still the contact that he was
        return replace(
            link,
            state=LinkState.WORKLIST,
            record_type=RecordType.EMPLOYEE,
            rule_id=step.rule.id,
            fingerprint=wanted.fingerprint,
            written=with_manager({}, wanted),
            reason=step.reason,
            task=item.task,
        )

    # --- who has one -----------------------------------------------------------------------------

    def _compare(self, work: Work, user: UserId, step: CompareEmployee, staff: Staff) -> Planned:
        link, wanted = work.link_of(user), work.employees[user]
        if step.returning and self._passed_on(link, step.record_id):
            return Lost(step.record_id)
        employee = staff.employees.get(step.record_id)
        if employee is None:
            return Gone(step.record_id)
        as_wanted = replace(
            link,
            rule_id=step.rule.id,
            fingerprint=wanted.fingerprint,
            reason=step.reason,
            task="",
        )
        if staff.is_protected(employee):
            reason = f"employee {step.record_id} is protected, so he is left as he is"
            return LeaveBe(replace(as_wanted, reason=link.reason), reason)
        # An item that is still open may hold more than what the settings changed.
        settings_only = step.settings_only and not link.task
        fields = to_change(
            employee,
            wanted,
            link.written,
            settings_only=settings_only,
            activate=not settings_only,
            by_api=staff.defaults.by_api,
        )
        after = after_change(link.written, wanted)
        if not fields:
            done = replace(as_wanted, state=LinkState.ACTIVE, written=after)
            kind = "reactivate" if step.returning else "unchanged"
            return Plan(link, done, kind, step.reason, None, step.record_id, notes=wanted.notes)
        item = self._item(work, user, ItemKind.CHANGE, step.rule, wanted, fields, step.reason)
        item = replace(item, record_id=step.record_id, after=after)
        now = replace(as_wanted, task=item.task, written=with_manager(link.written, wanted))
        if link.state is not LinkState.ACTIVE:
            now = replace(link, task=item.task)
            if not any(one.field == ACTIVE for one in fields):
                now = replace(as_wanted, state=LinkState.ACTIVE, task=item.task)
        reason = f"to be changed: {step.reason}"
        take = step.record_id if step.returning else None
        return Plan(link, now, "worklist", reason, item, take, notes=wanted.notes)

    # --- who leaves ------------------------------------------------------------------------------

    def _take_out(self, work: Work, user: UserId, step: TakeOutEmployee, staff: Staff) -> Planned:
        link = work.link_of(user)
        if self._passed_on(link, step.record_id):
            return Lost(step.record_id)
        employee = staff.employees.get(step.record_id)
        done = replace(link, state=LinkState.INACTIVE, fingerprint="", reason=step.reason, task="")
        if employee is None or not employee.is_active:
            note = "is gone in BMS" if employee is None else "was inactive in BMS already"
            return Plan(link, done, "deactivate", step.reason, notes=(f"the employee {note}",))
        if staff.is_protected(employee):
            reason = f"employee {step.record_id} is protected, so he is left as he is"
            return LeaveBe(replace(done, state=LinkState.KEPT), reason)
        item = self._off(work, user, step.record_id, step.reason, employee)
        now = replace(link, task=item.task)
        return Plan(link, now, "worklist", f"to be deactivated: {step.reason}", item)

    def _end_move(self, work: Work, user: UserId, step: EndEmployeeMove, staff: Staff) -> Plan:
        link = work.link_of(user)
        done = replace(link, old_record_id=None, old_record_type=RecordType.CONTACT, task="")
        if self._passed_on(link, step.record_id):
            note = f"the old employee {step.record_id} belongs to another user now"
            return Plan(link, done, "move", step.reason, notes=(note,))
        employee = staff.employees.get(step.record_id)
        if employee is None or not employee.is_active or staff.is_protected(employee):
            note = (
                "stays as it is" if employee is not None and employee.is_active else "is inactive"
            )
            notes = (f"the old employee {step.record_id} {note}",)
            return Plan(link, done, "move", step.reason, notes=notes)
        item = self._off(work, user, step.record_id, step.reason, employee)
        now = replace(done, task=item.task)
        reason = f"the old employee {step.record_id} is to be deactivated: {step.reason}"
        return Plan(link, now, "worklist", reason, item)

    def _passed_on(self, link: Link, record_id: RecordId) -> bool:
        owner = self.owners.get_many(RecordType.EMPLOYEE, [record_id]).get(record_id)
        return owner is not None and owner != Owner(link.connection_id, link.user_id)

    # --- items -----------------------------------------------------------------------------------

    def _item(
        self,
        work: Work,
        user: UserId,
        kind: ItemKind,
        rule: MappingRule,
        wanted: WantedEmployee,
        fields: tuple[ToWrite, ...],
        reason: str,
    ) -> Item:
        entra = work.users[user]
        return Item(
            connection_id=work.connection.id,
            user_id=user,
            kind=kind,
            basis=wanted.fingerprint,
            at=self.now(),
            reason=reason,
            fields=fields,
            display_name=entra.display_name,
            upn=entra.upn,
            rule_id=rule.id,
            keys=wanted.keys,
            user_name=wanted.user_name,
            notes=wanted.notes,
        )

    def _off(
        self, work: Work, user: UserId, record_id: RecordId, reason: str, employee: Employee
    ) -> Item:
        link = work.link_of(user)
        return Item(
            connection_id=work.connection.id,
            user_id=user,
            kind=ItemKind.DEACTIVATE,
            basis=str(record_id),
            at=self.now(),
            reason=reason,
            fields=switch_off(),
            display_name=link.display_name or employee.name,
            upn=link.upn,
            record_id=record_id,
            rule_id=link.rule_id,
        )
