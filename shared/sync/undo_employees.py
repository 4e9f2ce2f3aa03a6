"""An employee goes back: by the worklist, or through the one route that writes employees (R26).

What BMS does not show cannot be compared, so it stays as it is and is named. The item is one like
any other: it closes by itself when BMS shows the change, and a change in Entra replaces it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from shared.core.employee_fields import ACTIVE, LABELS, NO, YES, ToWrite, same, shown_values
from shared.core.fields import INACTIVE
from shared.core.model import (
    Activity,
    Employee,
    FieldChange,
    Link,
    RecordId,
    RecordType,
)
from shared.core.undo import AGAIN, EDITED, GONE, PASSED_ON, PutBack, remember
from shared.core.worklist import Item, ItemKind, is_shown
from shared.errors import Rejected
from shared.ports import EmployeeDefaultsStore, Now, Owner, Owners, RouteMissing, Worklist
from shared.sync.employee_acting import EmployeeActing
from shared.sync.employee_by_api import EmployeesByApi
from shared.sync.employee_planning import Staff
from shared.sync.work import Work

_FIELDS = {label.lower(): name for name, label in LABELS.items()}
OTHER_ITEM = (
    "another item of this person is open on the worklist: type it or dismiss it, then undo again"
)
_NOT_SHOWN = "BMS does not show it, so nobody can say whether it is still what was written"


@dataclass(frozen=True, slots=True)
class PlannedBack:
    """What goes back at one employee; without an item there is nothing to do."""

    done: PutBack
    item: Item | None
    notes: tuple[str, ...] = ()

    @property
    def task(self) -> str:
        """What the link keeps of it while it is on the worklist."""
        return self.item.task if self.item is not None else ""


@dataclass(frozen=True)
class UndoEmployees:
    """Plans and carries out what goes back at employees."""

    acting: EmployeeActing
    owners: Owners
    worklist: Worklist
    defaults: EmployeeDefaultsStore
    fresh: EmployeesByApi
    bulk: EmployeesByApi
    now: Now

    def same_record(
        self,
        work: Work,
        link: Link,
        line: Activity,
        changes: Sequence[FieldChange],
        again: Collection[str],
        reason: str,
    ) -> PlannedBack:
        """Compare with BMS and plan; `again` was decided since, so it stays.

        Rejected says why this employee is left as he is.
        """
        assert link.record_id is not None, "an undo names the record that it is about"
        staff = self.acting.staff(work, work.began)
        employee = self._employee(work, link, staff)
        fields: list[ToWrite] = []
        refused: list[str] = []
        written = {**link.written}
        before = line.trace.before.written if line.trace is not None else {}
        active: bool | None = None
        titles = self._titles(work, changes)
        for change in changes:
            if change.field in again:
                refused.append(f"{change.field}: {AGAIN}")
                continue
            one = self._field(employee, change, titles, link.written)
            if isinstance(one, str):
                refused.append(f"{change.field}: {one}")
                continue
            if one.field == ACTIVE:
                active = one.value == YES
            else:
                remember(written, before, one.field, one.value)
            if not same(one.field, shown_values(employee)[one.field], one):
                fields.append(one)
        if active is not None:
            written.pop(INACTIVE, None)
            written |= {} if active else {INACTIVE: "no"}
        shown = tuple(
            FieldChange(LABELS[one.field].lower(), one.old, one.name or one.value) for one in fields
        )
        done = PutBack({}, (), (), shown, tuple(refused), written, active=active)
        return PlannedBack(done, self._item(link, line, fields, written, reason))

    def is_on_worklist(self, planned: PlannedBack) -> bool:
        """Whether this very item is there; Rejected while another one of this person is."""
        item = planned.item
        if item is None:
            return False
        known = self.worklist.get(item.connection_id, item.user_id)
        if known is None:
            return False
        if (known.kind, known.reason) == (item.kind, item.reason):
            return True
        raise _left_alone(OTHER_ITEM)

    def carry_out(self, work: Work, planned: PlannedBack, before_write: Callable[[], None]) -> bool:
        """Do it; True when it is left to a person, on the worklist."""
        item = planned.item
        if item is None:
            return False
        if self.defaults.get().by_api:
            hands = self.fresh if work.fresh else self.bulk
            before_write()
            try:
                hands.do(item, before_write)
                return False
            except RouteMissing:
                pass  # R26: a person types it
        self.worklist.put([item])
        return True

    def _employee(self, work: Work, link: Link, staff: Staff) -> Employee:
        record_id = link.record_id or RecordId(0)
        employee = staff.employees.get(record_id)
        if employee is None:
            raise _left_alone(GONE)
        if staff.is_protected(employee):
            raise _left_alone("the employee is protected (R15)")
        owner = self.owners.get_many(RecordType.EMPLOYEE, [record_id]).get(record_id)
        if owner is not None and owner != Owner(work.connection.id, link.user_id):
            raise _left_alone(PASSED_ON)
        return employee

    def _titles(self, work: Work, changes: Sequence[FieldChange]) -> Mapping[str, int]:
        """BMS's job titles by name, where one is to go back."""
        if not any(_FIELDS.get(one.field) == "JobTitleId" for one in changes):
            return {}
        hands = self.fresh if work.fresh else self.bulk
        return {name.strip().casefold(): number for number, name in hands.bms.lookup("jobtitles")}

    def _field(
        self,
        employee: Employee,
        change: FieldChange,
        titles: Mapping[str, int],
        written: Mapping[str, str],
    ) -> ToWrite | str:
        """What to write so that the field is as before, or why it stays."""
        name = _FIELDS.get(change.field, "")
        if not is_shown(name):
            return _NOT_SHOWN
        present = shown_values(employee)[name]
        old = change.old or (NO if name == ACTIVE else "")
        value = old
        if name == "JobTitleId":
            number = titles.get(old.strip().casefold())
            if number is None:
                return "BMS's list of job titles no longer has the one of before"
            value = str(number)
        back = ToWrite(name, value, old, "entra", present)
        is_new = present.strip().casefold() == change.new.strip().casefold()
        if same(name, present, back) or (is_new and old):
            return back
        if is_new:
            return "it was empty before, and BMS takes no empty one"
        return AGAIN if written.get(name) == present else EDITED

    def _item(
        self,
        link: Link,
        line: Activity,
        fields: Sequence[ToWrite],
        written: Mapping[str, str],
        reason: str,
    ) -> Item | None:
        if not fields:
            return None
        return Item(
            connection_id=link.connection_id,
            user_id=link.user_id,
            kind=ItemKind.CHANGE,
            basis=link.fingerprint,
            at=self.now(),
            reason=reason,
            fields=tuple(fields),
            display_name=link.display_name or line.display_name,
            upn=link.upn,
            record_id=link.record_id,
            rule_id=link.rule_id,
            after=written,
        )


def _left_alone(why: str) -> Rejected:
    return Rejected(why, "")
