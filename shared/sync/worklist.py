"""The worklist as people see it: read, tick items off, close what BMS shows to be done (R26).

An item is closed on its link first and taken off the list second, so that a worker that dies in
between leaves an item that no link names: the next look removes it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.core.employee_decision import DISMISSED
from shared.core.employee_matching import match_employee
from shared.core.matching import Ambiguous, Found
from shared.core.messages import UserDelta, encode_user_delta
from shared.core.model import (
    Activity,
    ConnectionId,
    Employee,
    Link,
    LinkState,
    Origin,
    RecordId,
    RecordType,
    Trace,
    UserId,
)
from shared.core.worklist import (
    Item,
    ItemKind,
    Licences,
    closed,
    done_kind,
    field_changes,
    licences,
    still_to_do,
    told_sources,
)
from shared.errors import BadInput, SyncError
from shared.ports import (
    FRESH,
    ActivityLog,
    Bms,
    Connections,
    EmployeeDefaultsStore,
    Links,
    Now,
    Owner,
    Owners,
    Queues,
    Worklist,
)
from shared.sync.connections import existing
from shared.sync.employee_planning import PlanEmployees
from shared.sync.reports import Reports

log = logging.getLogger(__name__)

_ORPHAN = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Page:
    """Open items, and what they come to."""

    items: list[Item]
    licences: Licences
    mode: str
    fell_back: str


@dataclass(frozen=True, slots=True)
class WorkOff:
    """The use cases of the worklist."""

    connections: Connections
    links: Links
    owners: Owners
    log: ActivityLog
    worklist: Worklist
    defaults: EmployeeDefaultsStore
    bms: Bms
    bulk_bms: Bms  # for looks that nobody waits for (R25)
    planning: PlanEmployees
    reports: Reports
    queues: Queues
    now: Now

    def open_items(self, connection_id: str | None = None, kind: str | None = None) -> Page:
        """What is to be done, oldest first."""
        of = existing(self.connections, connection_id).id if connection_id else None
        items = [
            item for item in self.worklist.list(of) if kind is None or item.kind is ItemKind(kind)
        ]
        defaults = self.defaults.get()
        return Page(items, licences(items), defaults.mode, defaults.fell_back)

    # --- a person's word -----------------------------------------------------------------------

    def done(self, item_id: str, record_id: int | None = None) -> Item:
        """Ticked off: it counts as written. BadInput says why it cannot be."""
        item, link = self._open(item_id)
        employee = self._typed(item, record_id) if item.kind is ItemKind.CREATE else None
        record = employee.id if employee is not None else item.record_id
        if not self._close(item, link, record, "ticked off by a person"):
            raise BadInput(409, "This item is being changed just now: look again.")
        return item

    def dismiss(self, item_id: str) -> Item:
        """Taken off the list without being done; it comes back when the user changes."""
        item, link = self._open(item_id)
        after = replace(link, task="", reason=DISMISSED, updated_at=self.now())
        if item.kind is not ItemKind.DEACTIVATE:
            after = replace(after, fingerprint=item.basis)
            if link.record_id is None:
                after = replace(after, state=LinkState.SKIPPED)
        elif link.record_type is RecordType.EMPLOYEE:
            after = replace(after, state=LinkState.KEPT)
        if not self.links.save([after]):
            raise BadInput(409, "This item is being changed just now: look again.")
        self.worklist.remove(item.connection_id, item.user_id)
        self.log.add([self._activity(item, after, "skip", DISMISSED)])
        return item

    def _open(self, item_id: str) -> tuple[Item, Link]:
        connection, _, rest = item_id.partition(".")
        user, _, _ = rest.partition(".")
        found = self.worklist.get(ConnectionId(connection), UserId(user)) if user else None
        if found is None:
            raise BadInput(
                404, "There is no open item with this id: see the worklist.", field="itemId"
            )
        link = self.links.get(found.connection_id, found.user_id)
        if found.id != item_id or link is None or link.task != found.task:
            raise BadInput(
                409,
                "This item was replaced: the person changed in Entra, or BMS shows a part of it "
                "done. Look at the worklist again.",
            )
        if link.claim is not None and link.claim.until > self.now():
            raise BadInput(409, "This item is being changed just now: try again in a moment.")
        return found, link

    def _typed(self, item: Item, record_id: int | None) -> Employee:
        """The employee whom a person has typed in."""
        staff = {one.id: one for one in self.bms.employees(newer_than=self.now())}
        if record_id is not None:
            chosen = staff.get(RecordId(record_id))
            if chosen is None:
                raise BadInput(
                    422, f"BMS has no employee {record_id}: check the id.", field="recordId"
                )
            if chosen.id in self._others(item, staff.values()):
                raise BadInput(
                    422, f"Employee {record_id} belongs to another user.", field="recordId"
                )
            return chosen
        found = self._match(item, staff.values())
        if isinstance(found, Found):
            return staff[found.candidate.record_id]
        if isinstance(found, Ambiguous):
            named = ", ".join(str(one) for one in found.record_ids)
            raise BadInput(
                409, f"{found.reason} ({named}): say which one by recordId.", field="recordId"
            )
        raise BadInput(
            409,
            f"BMS shows no employee with the e-mail {item.keys[0] if item.keys else ''} or the "
            f"user name {item.user_name}: type him in first, or name him by recordId.",
            field="recordId",
        )

    # --- what BMS shows ------------------------------------------------------------------------

    def look(
        self,
        connection_id: ConnectionId | None = None,
        *,
        a_person_waits: bool = False,
        newer_than: datetime | None = None,
    ) -> int:
        """Close what BMS shows to be done; answers how many items.

        `newer_than`: a list of BMS's that was read since then will do.
        """
        items = self.worklist.list(connection_id)
        if not items:
            return 0
        bms = self.bms if a_person_waits else self.bulk_bms
        staff = {one.id: one for one in bms.employees(newer_than=newer_than or self.now())}
        count = 0
        for item in items:
            try:
                count += self._look_at(item, staff.values())
            except SyncError as error:  # one user's trouble never stops the others (R24)
                log.warning(
                    "worklist item left open: connection=%s user=%s %s",
                    item.connection_id,
                    item.user_id,
                    type(error).__name__,
                )
        return count

    def _look_at(self, item: Item, staff: Iterable[Employee]) -> bool:
        link, now = self.links.get(item.connection_id, item.user_id), self.now()
        if link is not None and link.claim is not None and link.claim.until > now:
            return False
        if link is None or link.task != item.task:
            if now - item.at > _ORPHAN:
                # As it was read: a newer item may have taken its place since then.
                self.worklist.remove(item.connection_id, item.user_id, etag=item.etag)
                self._decide_again(item)
            return False
        if item.kind is ItemKind.CREATE:
            found = self._match(item, staff)
            if not isinstance(found, Found) or not found.candidate.is_active:
                return False
            return self._close_created(item, link, found.candidate.record_id, staff)
        employee = next((one for one in staff if one.id == item.record_id), None)
        if item.kind is ItemKind.DEACTIVATE:
            over = employee is None or not employee.is_active
            return over and self._close(item, link, item.record_id, "BMS shows it")
        if employee is None:
            self._decide_again(item)  # gone in BMS (R8)
            return False
        left = still_to_do(item, employee)
        if left is None:
            return self._close(item, link, item.record_id, "BMS shows it")
        if left is not item:
            self.worklist.change(left)
        return False

    def _close_created(
        self, item: Item, link: Link, record_id: RecordId, staff: Iterable[Employee]
    ) -> bool:
        employee = next(one for one in staff if one.id == record_id)
        left = still_to_do(item, employee)
        if left is None:
            return self._close(item, link, record_id, "BMS shows it")
        # He is there, but not all was typed as it should be: the rest becomes a change.
        wrong = {one.field for one in left.fields}
        typed = {name: value for name, value in item.after.items() if name not in wrong}
        return self._close(replace(item, after=typed, basis=""), link, record_id, "BMS shows it")

    def _match(self, item: Item, staff: Iterable[Employee]) -> object:
        present = list(staff)
        others = self._others(item, present)
        left = [one for one in present if one.id not in others]
        return match_employee(item.keys, item.user_name, left, frozenset())

    def _others(self, item: Item, staff: Iterable[Employee]) -> set[RecordId]:
        mine = Link(item.connection_id, item.user_id, LinkState.PENDING)
        return set(self.planning.held_by_others(mine, item.keys, item.user_name, staff))

    # --- close ---------------------------------------------------------------------------------

    def _close(self, item: Item, link: Link, record_id: RecordId | None, how: str) -> bool:
        after = replace(closed(link, item, record_id), updated_at=self.now())
        me = Owner(link.connection_id, link.user_id)
        if item.kind is not ItemKind.DEACTIVATE and record_id is not None:
            owner = self.owners.get_many(RecordType.EMPLOYEE, [record_id]).get(record_id)
            if not self.owners.take(RecordType.EMPLOYEE, record_id, me, over=owner):
                return False
        if not self.links.save([after]):
            return False
        self.worklist.remove(item.connection_id, item.user_id)
        was_contact = link.record_type is RecordType.CONTACT and link.record_id is not None
        if item.kind is not ItemKind.DEACTIVATE and was_contact and link.record_id is not None:
            self.owners.release(RecordType.CONTACT, link.record_id, me)
        created = item.kind is ItemKind.CREATE
        trace = Trace(replace(link, task="", claim=None), RecordType.EMPLOYEE, created)
        told = self._activity(item, after, done_kind(item, link), f"{item.reason}; {how}")
        self.log.add([replace(told, trace=trace)])
        if item.kind is not ItemKind.DEACTIVATE:
            # What is left of a move, or was typed in another way, is decided now.
            self._decide_again(item)
            self.reports.look_again(item.connection_id, [item.user_id])
        return True

    def _activity(self, item: Item, link: Link, kind: str, reason: str) -> Activity:
        return Activity(
            at=self.now(),
            connection_id=item.connection_id,
            kind=kind,
            reason=reason,
            origin=Origin.PERSON.value,
            user_id=item.user_id,
            display_name=item.display_name,
            record_id=item.record_id if item.record_id is not None else link.record_id,
            rule_id=item.rule_id,
            changes=field_changes(item) if kind != "skip" else (),
            notes=(*item.notes, *(told_sources(item) if kind != "skip" else ())),
        )

    def _decide_again(self, item: Item) -> None:
        signal = UserDelta(item.connection_id, (item.user_id,), Origin.PERSON, signal_at=self.now())
        self.queues.send(FRESH, encode_user_delta(signal))
